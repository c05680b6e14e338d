"""A recording's file in, those of its columns that nobody reads and that part its rows out: labels, states, sensors.

Recordings that others have published often hold faults beside normal motion, or several sensors, in one file, and a
column says which row is which. The axes alone do not tell, so it is told to who learns from them.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gyrovae_tf.chunks import is_url, name_of, open_bytes, optional
from gyrovae_tf.csvtable import (
    HEAD,
    NUMBER,
    ROW,
    bare_newlines,
    is_utf16,
    read_head,
    read_table,
    split_rows,
    without_excel,
)
from gyrovae_tf.errors import readable
from gyrovae_tf.parquetchunks import arrow_readable, header_of
from gyrovae_tf.recording import Recording
from gyrovae_tf.wording import some

WORDS, NUMBERS = 20, 8
"""A column that parts rows has so many values at the most, as words and where all are numbers."""
_LEAST = 20  # rows that are looked at
_FEWEST_CHANGES = 0.05  # of rows that differ from the one before in a column of numbers that parts them in stretches
_MOST_CHANGES, _BY_TURNS = 0.9, 4  # ... and that of sensors by turns, of which there are so many at the most
_FILES = 100
_PARTS, _PART = 64, 4096  # bytes that are looked at, evenly over the file
_FROM_AFAR = 8  # parts of a file at a URL: each is a request
_ROWS = 100  # of each part of a Parquet file
_START = 1 << 20  # bytes that the names of the columns are among
_SLOW = re.compile(  # what changes slowly by nature
    r"temp|batt|volt|humid|press|rssi|date|time|hour|minute|second"
    r"|location|latit|longit|altit|\b(?:lat|lon|lng|alt)\b|gps|satell|accuracy"
)
_DATE = re.compile(r"\d{1,4}([-/.:])\d{1,2}\1\d{1,4}")


def mixed(path: str) -> dict[str, tuple[str, ...]]:
    """The path or URL of a CSV or Parquet recording in; names of unread columns that part its rows -> values out.

    Values are in the order in which they come. Looked at are some thousands of rows, evenly over the file: what is true
    of few of its rows may not be seen. Empty where the columns have no names, and for text in UTF-16.
    """
    columns = _of_parquet(path) if path.lower().endswith(".parquet") else _of_csv(path)
    return {name: found for name, values in columns if (found := parted(name, values))}


def mixtures(sources: Sequence[Recording | str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Recordings in; their files that are `mixed`, of a hundred at the most, evenly chosen, and by what, out."""
    names = [source for source in sources if isinstance(source, str)]
    count = min(len(names), _FILES)
    chosen = [names[part * (len(names) - 1) // max(count - 1, 1)] for part in range(count)]
    found = {}
    for name in chosen:
        with readable(name):
            found[name_of(name)] = mixed(name)
    return {name: columns for name, columns in found.items() if columns}


def telling(found: Mapping[str, Mapping[str, Sequence[str]]], total: int) -> str:
    """Names of mixed files with their columns, as of `mixtures`, and the number of all files in, what to say out."""
    columns = {name: values for one in reversed(list(found.values())) for name, values in one.items()}
    shown = some([f"{name} ({some([value or 'nothing' for value in values])})" for name, values in columns.items()])
    names = some(list(found))
    return f"Columns that are not read part the rows of {len(found)} of {total} recordings ({names}): {shown}."


def parted(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """A column's name and values, row by row, in; its kinds of values where they part the rows, else nothing, out.

    That is a few values, and where all are numbers, each for many rows, or by turns, as of two sensors. Numbers may be
    missing: a slow quantity beside fast ones has no value in most rows.
    """
    kinds = tuple(dict.fromkeys(values))
    if len(values) < _LEAST or len(kinds) > WORDS or _SLOW.search(name.lower()):
        return ()
    if not all(map(_is_number, filter(None, kinds))):
        return () if len(kinds) < 2 or any(map(_DATE.search, kinds)) else kinds
    kinds, values = tuple(filter(None, kinds)), [value for value in values if value]
    if not 2 <= len(kinds) <= NUMBERS:
        return ()
    changes = sum(one != other for one, other in itertools.pairwise(values)) / len(values)
    by_turns = changes >= _MOST_CHANGES and len(kinds) <= _BY_TURNS
    return kinds if by_turns or changes <= _FEWEST_CHANGES else ()


def _is_number(text: str) -> bool:
    return text.lower() == "nan" or NUMBER.fullmatch(text.replace(",", ".", 1).encode()) is not None


def _of_csv(path: str) -> Iterator[tuple[str, list[str]]]:
    """Names and some values of the columns that are not read."""
    with open_bytes(path) as file:
        start = file.read(_START)
        size = file.seek(0, 2)
        if is_utf16(start):
            return
        text = without_excel(_plain(start))
        text = text if size <= _START else text[: text.rfind(b"\n") + 1]
        ends = [found.end() for found in itertools.islice(ROW.finditer(text), HEAD)]
        if not ends:
            return
        _, offset, line = read_head(text, path)
        table = read_table(text[offset : ends[-1]], line, path)
        if table.names is None or table.header is None:
            return
        header = table.header
        rest = set(range(len(table.names))) - {*header.axes, header.time, header.segment}
        if not rest:
            return
        rows: list[list[bytes]] = []
        for place, length in _places(size, _FROM_AFAR if is_url(path) else _PARTS):
            file.seek(place)
            lines = _plain(file.read(length)).split(b"\n")
            # Lines are cut where a part begins and ends; the first of all is no sample.
            body = b"\n".join(lines[1:] if length == size else lines[1:-1])
            piece = split_rows(body, 0, path, table.delimiter, ended=table.ended)
            rows += [piece.row(index) for index, width in enumerate(piece.fields) if width == len(table.names)]
    names = [name.encode() for name in table.names]  # they may come behind notes
    rows = [row for row in rows if [text.lower() for text in row] != names]
    for index in sorted(rest):
        yield table.names[index], [row[index].decode(errors="replace") for row in rows]


def _places(size: int, parts: int) -> list[tuple[int, int]]:
    """The size of a file and a number of parts in, beginning and length of those out: all of a small file is one."""
    if size <= _PARTS * _PART:
        return [(0, size)]
    return [(part * (size - _PART) // (parts - 1), _PART) for part in range(parts)]


def _plain(raw: bytes) -> bytes:
    return bare_newlines(raw.removeprefix(codecs.BOM_UTF8))


def _of_parquet(path: str) -> Iterator[tuple[str, list[str]]]:
    """As `_of_csv`."""
    parquet = optional("pyarrow.parquet")
    with open_bytes(path) as raw, arrow_readable(f"{name_of(path)}: its other columns cannot be read"):
        file = parquet.ParquetFile(raw)
        schema = file.schema_arrow
        header = header_of(schema)
        if header is None:
            return
        rest = {
            name: list[str]()
            for index, name in enumerate(schema.names)
            if index not in {*header.axes, header.time, header.segment} and _is_label(schema.field(index).type)
        }
        groups = file.metadata.num_row_groups
        looked_at = sorted({part * (groups - 1) // (_PARTS - 1) for part in range(_PARTS)}) if rest else []
        for group in looked_at:
            apart = max(file.metadata.row_group(group).num_rows * len(looked_at) // _PARTS, _ROWS)
            for batch in file.iter_batches(apart, row_groups=[group], columns=list(rest), use_threads=False):
                for name in rest:
                    values = batch.column(name).slice(0, _ROWS).to_pylist()
                    rest[name] += ["" if value is None else str(value) for value in values]
        yield from rest.items()


def _is_label(of: Any) -> bool:
    """Whether a column of this type of Parquet can be one of labels: text, coded or not, whole numbers, yes or no."""
    types = optional("pyarrow").types
    text = of.value_type if types.is_dictionary(of) else of
    return bool(types.is_string(text) or types.is_large_string(text) or types.is_integer(of) or types.is_boolean(of))
