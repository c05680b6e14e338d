"""The text of a CSV file in, its columns of motion out: what `recording` reads files with.

What is refused is refused with the row, as a person counts lines in the file, and the column.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import functools
import io
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gyrovae_tf.arguments import number
from gyrovae_tf.clock import Clock, Steps
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.header import EXPECTED, Header, Kind, is_unit, read_header

Floats = npt.NDArray[np.float64]

LARGEST = 1e6
"""No sample is larger, in any unit: 1e6 m/s^2 is 100,000 g."""
LATEST = 1e19
"""No time is larger, in any unit: nanoseconds since 1970 are 1.8e18."""

ROW = re.compile(rb"(?m)^[ \t]*[^#\s].*$")
"""A line that is no comment and not empty."""
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(rb"[+-]?\d+,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2}(,\d{3})+")  # or a number with three decimals
JOURNAL = b'# {"journal": 1, '
"""How a file begins that `device.journal` writes, line by line as samples come: its last line may be cut."""
# A time of day, with or without its date, parts of a second and zone.
_WRITTEN = re.compile(
    r"((?:\d{4}-\d\d-\d\d[T ])?\d\d?:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?( ?(?:Z|UTC|[+-]\d\d:?\d\d))?",
    re.ASCII,
)
_PRINTED = re.compile(rb"[\0\t-\r -~\x80-\xff]*")  # what text consists of, and zeros
_ARCHIVES = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x1f\x8b": "a compressed file",
    b"PAR1": "a Parquet file",
}
_SAVE = "Save it as CSV UTF-8 in the program that it comes from, or in an editor or a spreadsheet."
_ABOVE = "Where lines stand above the names of the columns, remove those lines."
_JSON = "It looks like JSON: write its samples as CSV, below a first line such as timestamp,x,y,z"
HEAD = 9
"""Rows, with that of the names, that tell what a file holds."""
_QUOTED = b"\x1f"  # stands for a delimiter in quotes, which parts nothing
_EXCEL = re.compile(rb'"?sep=.?"?[ \t]*(?=\n)')  # a first line that tells a spreadsheet the delimiter
_MARKED = re.compile(rb"[+-]?\d[\d.,']*([eE][+-]?\d+)?")
_NAMED = re.compile(r"[^\W\d][\w ]*[:=] *[+-]?\d+\.?\d*(?:[ ,;].*)?|[\d:.]+ -> .*")
_ALONE = "Write what the values are in a first line, such as timestamp,x,y,z, and in the others values alone."
_MEASURED = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)? *(\D.*)")
RISES = 10
"""Rows of which each is above the one before: motion has no so many, unless it is all there is, and a time has."""
_COUNTED = 100_000  # rows behind a faulty one that are looked at for more like it
FLATTENED = 15  # values a row; fewer could be an accelerometer beside a gyroscope


class Motion(NamedTuple):
    """What the rows say: samples [n, 3], breaks [n - 1] between rows, and what the format tells of units and rate.

    Breaks are those of labels; `steps` [n - 1] of the clock, where there is one, make others.
    """

    samples: Floats
    breaks: npt.NDArray[np.bool_]
    units: str | None = "m/s^2"
    factor: float = 1.0
    times: Clock | None = None
    steps: Floats | None = None
    tick_ms: float | None = 1.0
    """As `header.Header`; `times` are as for 1."""
    clock: Clockwork | None = None


class Clockwork(NamedTuple):
    """What messages say of the column of times."""

    name: str | None
    """None: it is the last one of x y z dt, which have no names."""
    unread: str | None = None
    """Its first value, where that is no time."""


class Table(NamedTuple):
    """The rows of a file: where each starts and ends in `body`, its line number in the file, its number of fields."""

    source: str
    body: bytes
    delimiter: bytes
    names: list[str] | None  # of the header, lower case
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    lines: npt.NDArray[np.intp]
    fields: npt.NDArray[np.intp]
    header: Header | None = None  # what the names say; of a table as `read_table` gives it
    ended: bool = False  # whether rows end with a delimiter that parts nothing, and were relieved of it
    comma: bool = False  # whether decimals have a comma: then it and the point have changed places in `body`

    def row(self, index: int) -> list[bytes]:
        row = self.body[self.starts[index] : self.ends[index]]
        return [text.strip().replace(_QUOTED, self.delimiter) for text in row.split(self.delimiter)]

    def rows(self, first: int, last: int | None) -> Table:
        """Some of the rows."""
        rows = slice(first, last)
        if not len(self.starts[rows]):
            none = self.starts[:0]
            return self._replace(body=b"", starts=none, ends=none, lines=none, fields=none)
        start, end = int(self.starts[rows][0]), int(self.ends[rows][-1])
        return self._replace(
            body=self.body[start:end],
            starts=self.starts[rows] - start,
            ends=self.ends[rows] - start,
            lines=self.lines[rows],
            fields=self.fields[rows],
        )

    def exchanged(self) -> Table:
        """Decimals with a comma as those with a point, and the other way round."""
        comma = _QUOTED if self.delimiter == b"," else b","
        return self._replace(body=self.body.translate(bytes.maketrans(comma + b".", b"." + comma)), comma=True)

    def shown(self, text: bytes) -> str:
        """A value of a row as the file has it, of 40 characters at the most."""
        return (text.translate(bytes.maketrans(b".,", b",.")) if self.comma else text).decode()[:40]


def positive(value: object, what: str) -> float:
    return float(number(value, what, "a finite number above 0", lambda found: 0 < found <= 1e300))


def read_text(path: Path) -> bytes:
    """The file as UTF-8 with bare newlines."""
    try:
        if path.is_dir():
            raise GyrovaeError(f"{path}: a folder", expected="a CSV file", remedy=f"Name its files: {path / '*.csv'}")
        if path.is_char_device() or path.is_block_device():  # such as /dev/zero; a pipe may be meant
            raise GyrovaeError(f"{path}: a device", expected="a CSV file")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        raise GyrovaeError(f"cannot read {path}: {reason}") from error
    refuse_other_files(raw, path.name)
    try:
        if is_utf16(raw):
            raw = raw.decode("utf-16").encode()
        raw = raw.removeprefix(codecs.BOM_UTF8)
        if raw.startswith(JOURNAL):
            raw = raw[: whole_lines(raw)]  # a power failure may leave zeros where the end was to be
        raw.decode()
    except UnicodeError as error:
        raise not_text(path.name) from error
    if b"\0" in raw:
        raise binary(path.name, raw)
    return without_excel(bare_newlines(raw))


def without_excel(text: bytes) -> bytes:
    """How a file begins, with bare newlines, in; the same out, with a first line `sep=;` as a comment."""
    return b"#" + text[1:] if _EXCEL.match(text) else text


def bare_newlines(raw: bytes) -> bytes:
    """Text in, the same with newlines alone at the ends of its lines out."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def is_utf16(start: bytes) -> bool:
    """How a file begins in; whether its text is UTF-16, which Windows PowerShell's `>` writes."""
    return start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_journal(start: bytes) -> bool:
    """How a file begins, of which 64 bytes are looked at, in; whether it is a journal, whatever it was saved as."""
    text = start[:64].decode("utf-16" if is_utf16(start) else "utf-8-sig", "ignore")
    return text.encode().startswith(JOURNAL)


def whole_lines(raw: bytes) -> int:
    """Bytes of lines in; how many belong to lines that have their end, out."""
    return max(raw.rfind(b"\n"), raw.rfind(b"\r")) + 1


def refuse_other_files(start: bytes, source: str) -> None:
    """How a file begins, of which 4 bytes are looked at, in; refuses those that are named .csv and are none."""
    for mark, what in _ARCHIVES.items():
        if start.startswith(mark):
            remedy = "Open or unpack it, and save what is inside as CSV UTF-8."
            if mark == b"PAR1":
                remedy = "Name it .parquet."
            problem = f"{source}: {what}, whatever its name says"
            if mark == b"PAR1" and source.lower().endswith(".parquet"):
                problem, remedy = f"{source}: {what}", "In Python: gyrovae_tf.Stream.open(path).recording()"
            raise GyrovaeError(problem, expected="CSV in UTF-8", remedy=remedy)


def not_text(source: str) -> GyrovaeError:
    """What to say of bytes that are no UTF-8."""
    return GyrovaeError(f"{source}: its text is not UTF-8", expected="CSV in UTF-8", remedy=_SAVE)


def binary(source: str, raw: bytes, line: int = 1) -> GyrovaeError:
    """What to say of bytes among which is a zero, and the first of which are of line `line`."""
    if _PRINTED.fullmatch(raw) and (line > 1 or raw.strip(b"\0")):
        row = line + bare_newlines(raw[: raw.index(b"\0")]).count(b"\n")
        return GyrovaeError(
            f"{source}, row {row}: bytes of zero in its text",
            expected="CSV in UTF-8",
            remedy="A logger whose power fails leaves some. Take them out: tr -d '\\000' < that file > another.csv",
        )
    return GyrovaeError(f"{source}: a binary file", expected="CSV in UTF-8", remedy=_SAVE)


def read_head(text: bytes, source: str) -> tuple[dict[str, Any], int, int]:
    """What the JSON object in the leading `#` lines says, and where the table begins: offset and line number.

    Where the last of these lines has the names of the columns, the table begins behind its `#`.
    """
    metadata: dict[str, Any] | None = None
    position, line = 0, 1
    above, named = b"", (0, 0)  # the last line that begins with #, and where what follows that begins
    while position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        content = text[position:end].strip()
        comment = content.lstrip(b"#").strip()
        if content and not content.startswith(b"#"):
            return (metadata or {}, *(named if _are_names(above, content) else (position, line)))
        if content:
            above, named = comment, (end - len(text[position:end].lstrip().lstrip(b"#")), line)
        if comment.startswith(b"{"):
            if metadata is not None:
                raise GyrovaeError(f"{source}, row {line}: a second metadata line", expected="one JSON object")
            metadata = json_object(comment, f"{source}, row {line}: the metadata line")
        position, line = end + 1, line + 1
    raise _no_samples(source)


def _delimiter(line: bytes) -> bytes:
    return next((mark for mark in (b";", b"\t", b",") if mark in line), b" ")


def _are_names(comment: bytes, row: bytes) -> bool:
    """Whether what stands behind # names the columns of the row below, as Klipper and numpy write them."""
    names, fields = ([text.strip() for text in line.split(_delimiter(comment))] for line in (comment, row))
    if len(names) != len(fields) or not any(map(NUMBER.fullmatch, (text.replace(b",", b".") for text in fields))):
        return False
    try:
        return read_header([name.decode().lower() for name in names], lambda _: "number") is not None
    except ValueError:  # one is there twice: a comment, then
        return False


def read_notes(text: bytes, line: int, source: str) -> dict[str, Any]:
    """What the JSON objects in a journal's later `#` lines say, the last one counting most.

    `text` begins at line `line` of the file.
    """
    notes: dict[str, Any] = {}
    for found in re.finditer(rb"(?m)^#[ \t]*(\{.*)$", text):
        row = line + text.count(b"\n", 0, found.start())
        what = f"{source}, row {row}: the metadata line"
        note = json_object(found[1], what)
        if fixed := {"journal", "units", "lsb"} & set(note):
            raise GyrovaeError(f"{what} must not change {sorted(fixed)[0]}")
        notes |= note
    return notes


def _no_samples(source: str) -> GyrovaeError:
    return GyrovaeError(f"{source}: no samples", expected=EXPECTED, received="an empty file")


def json_object(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"{what} is not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise GyrovaeError(what, expected="a JSON object", received=type(value).__name__)
    return value


def read_table(body: bytes, line: int, source: str, *, whole: bool = True) -> Table:
    """Find delimiter, header and rows of `body`, whose first line is line `line` of the file; refuse ragged rows.

    `whole`: whether they are all that the file has.
    """
    first = re.sub(rb'"[^"\n]*"', b"", body[: (body + b"\n").index(b"\n")]).strip()
    delimiter = _delimiter(first)
    table = split_rows(body, line, source, delimiter)
    if not len(table.lines):
        raise _no_samples(source)
    comma = _has_comma(table)
    if _is_ended(table.exchanged() if comma else table):
        table = split_rows(body, line, source, delimiter, ended=True)
    names = [text.decode().lower() for text in table.row(0)]
    table = table.exchanged() if comma else table
    found = table.row(0)

    def kind(index: int) -> Kind:
        rows = map(table.row, range(1, min(len(table.lines), HEAD)))
        return kind_of([row[index] for row in rows if index < len(row)])

    try:
        header = read_header(names, kind)
    except ValueError as error:
        raise GyrovaeError(f"{source}: {error}") from None
    if header is not None:
        if len(table.lines) == 1:
            raise GyrovaeError(f"{source}: no samples", expected="rows of numbers", received="only a header")
        table = table.rows(1, None)._replace(names=names, header=header)
    elif not any(map(NUMBER.fullmatch, found)):
        raise wrong_columns(source, names)
    # SSCMA's first row may differ from the others: see flattened.
    usual = usual_width(dict(enumerate(np.bincount(table.fields[1:]).tolist())), int(table.fields[-1]))
    width = len(names) if table.names or usual < FLATTENED else usual
    ragged = np.flatnonzero(table.fields != width)
    ragged = ragged[ragged > 0] if table.names is None and width >= FLATTENED else ragged
    if ragged.size:
        line, received = int(table.lines[ragged[0]]), int(table.fields[ragged[0]])
        decimals, more = delimiter == b"," and header is not None, len(ragged) - 1
        raise other_width(source, line, width, received, decimals=decimals, more=more, least=not whole)
    return table


def usual_width(rows: Mapping[int, int], last: int) -> int:
    """Number of fields -> of how many rows behind the first, and that of the last row, in; the usual number out.

    The last row may be cut; where others are as many, it is the usual one.
    """
    return max(rows, key=lambda fields: (rows[fields], fields == last), default=last)


def wrong_columns(source: str, names: Sequence[str]) -> GyrovaeError:
    """What to say of columns among which is no motion."""
    shown = ",".join(names[:12]) + (",..." if len(names) > 12 else "")
    remedy = (
        "Rename the columns of the three axes to x,y,z (a gyroscope's in degrees per second to gyrX,gyrY,gyrZ). "
        f"{_ABOVE} Where the file is no recording of motion, give the others without it."
    )
    if shown.startswith(("{", "[{", "[[")):
        remedy = _JSON
    elif _NAMED.match(shown):
        remedy = _ALONE
    problem = f"{source}: wrong columns"
    return GyrovaeError(problem, expected=EXPECTED, received=repr(shown[:120]), remedy=remedy)


def other_width(
    source: str, line: int, expected: int, received: int, *, decimals: bool, more: int = 0, least: bool = False
) -> GyrovaeError:
    """What to say of a row of another width, and of more like it, or `least` of so many.

    `decimals`: whether commas part the columns that a header names.
    """
    if decimals and expected < received <= 2 * expected:
        these = "those rows" if more else "that row"
        remedy = f"Where decimals are written with commas, write them with points. Else remove {these}."
    else:
        remedy = f"Remove {'those rows if they are' if more else 'that row if it is'} cut. {_ABOVE}"
    return GyrovaeError(
        f"{source}, {_row(line, more, least=least)}: the number of columns changes",
        expected=expected,
        received=received,
        remedy=remedy,
    )


def _row(line: int, more: int, *, least: bool = False) -> str:
    """The number of the first of some rows, and how many more there are, or at least."""
    return f"row {line}" + (f" and {'at least ' if least else ''}{more:,} more" if more else "")


def kind_of(values: Sequence[bytes]) -> Kind:
    """The first values of a column in, what it holds out. Whole seconds alone are no times: they part no samples.

    One among others is, as some programs leave out a part that is zero.
    """
    if not values:
        return "nothing"
    value = values[0]
    if NUMBER.fullmatch(value):
        return "number"
    found = [_WRITTEN.fullmatch(text.decode()) for text in values]
    if found[0] and any(time and time["part"] for time in found):
        return "time"
    # What numbers look like where one is missing, or is written with a comma.
    missing = re.fullmatch(rb"|[+-]?(nan|inf|infinity)", value, re.IGNORECASE) or _COMMA.fullmatch(value)
    return "nothing" if missing else "text"


def milliseconds(text: str) -> float | None:
    """A written time (2024-05-01T12:00:00.005Z, 12:00:00.005) in; since 1970, or midnight, out; None: it is no time."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    whole, part, zone = found.groups()
    seconds = _seconds(whole, zone or "")
    return None if seconds is None else 1000 * seconds + (int(part.ljust(9, "0")) / 1e6 if part else 0.0)


@functools.lru_cache(maxsize=256)  # many rows lie in one second
def _seconds(text: str, zone: str) -> int | None:
    date, _, clock = text.replace("T", " ").rpartition(" ")
    hour, minute, second = map(int, clock.split(":"))
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = datetime.date.fromisoformat(date).toordinal() - datetime.date(1970, 1, 1).toordinal() if date else 0
    except ValueError:
        return None
    digits = re.sub(r"\D", "", zone)
    east = 60 * int(digits[:2]) + int(digits[2:]) if digits else 0
    return ((24 * days + hour) * 60 + minute + (east if "-" in zone else -east)) * 60 + second


def _has_comma(table: Table) -> bool:
    """Whether numbers have a comma before their decimals, by the first rows; where it may part thousands, none has."""
    if not re.search(rb"\d[,\x1f]\d", table.body[: table.ends[:HEAD][-1]]):
        return False
    numbers = [text for index in range(min(len(table.lines), HEAD)) for text in table.row(index)]
    commas = [text for text in numbers if b"," in text and _MARKED.fullmatch(text)]
    return (
        all(map(_COMMA.fullmatch, commas))
        and not all(map(_THOUSANDS.fullmatch, commas))
        and not any(b"." in text and NUMBER.fullmatch(text) for text in numbers)
    )


def _is_ended(table: Table) -> bool:
    """Whether rows end with a delimiter behind the last value, as loops print them, by the first two.

    Where names and numbers both do, it is a column without a name, and left alone.
    """
    first, second = (table.row(min(index, len(table.lines) - 1)) for index in range(2))
    more = len(second) - len(first)
    if any(map(NUMBER.fullmatch, first)):
        return more == 0 and not first[-1] and not second[-1]
    return (more == 1 and not second[-1]) or (more == -1 and not first[-1])


def split_rows(
    body: bytes, line: int, source: str, delimiter: bytes, *, ended: bool = False, comma: bool = False
) -> Table:
    """Whole lines, the first of which is line `line` of the file, in; their rows, of which there may be none, out.

    `ended`: a delimiter at a row's end parts nothing. `comma`: as of `Table`.
    """
    if b"#" in body:
        body = re.sub(rb"(?m)^[ \t]*#.*$", b"", body)
    if b'"' in body:
        body = re.sub(rb'"([^"\n]*)"', lambda quoted: quoted[1].replace(delimiter, _QUOTED), body)
    if delimiter == b" ":
        body = body.strip(b" \t").replace(b"\t", b" ")
        if any(mark in body for mark in (b"  ", b" \n", b"\n ")):
            body = re.sub(rb" *\n *", b"\n", re.sub(rb"  +", b" ", body))
    elif b" " in body or b"\t" in body:
        body = re.sub(rb"(?m)^[ \t]+$", b"", body)
    if ended:
        body = re.sub(rb"(?m)" + re.escape(delimiter) + rb" *$", b"", body)
    data = np.frombuffer(body, np.uint8)
    newlines = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate([[0], newlines + 1])
    ends = np.concatenate([newlines, [len(body)]])
    kept = np.flatnonzero(ends > starts)
    starts, ends = starts[kept], ends[kept]
    marks = np.flatnonzero(data == ord(delimiter))
    fields = np.searchsorted(marks, ends) - np.searchsorted(marks, starts) + 1
    table = Table(source, body, delimiter, None, starts, ends, kept + line, fields, ended=ended)
    return table.exchanged() if comma else table


def columns(table: Table, *, whole: bool = True) -> Motion:
    """A table with one sample a row: named columns, or x y z, or x y z dt; `whole`: whether it has all of its rows."""
    source, names = table.source, table.names
    header = table.header or Header((0, 1, 2), None, 1.0, None, 1.0, None)
    axes, units, factor, time, tick_ms, segment, _, _ = header
    clock_is = None if names is None else clockwork(header, names, table.row(0))
    if names is None and table.fields[0] == 4:
        time, units, clock_is = 3, "m/s^2", Clockwork(None)
    elif names is None and table.fields[0] != 3:
        raise GyrovaeError(
            f"{source}: {table.fields[0]} columns and no header, so what they are is not plain",
            expected="3 (x y z), 4 (x y z dt), or rows of 15 and more (x y z x y z ...)",
            remedy=f"{_ABOVE} Where there are no names, add a first line with one for each column: x, y, z, timestamp "
            "for a time, and any other for what is to be left out.",
        )
    limits = dict.fromkeys(axes, LARGEST) | ({} if time is None else {time: LATEST})
    # The first of four columns without names may be a time: then that is what is said of it, not how large it is.
    wide = limits | ({0: LATEST} if names is None and time is not None else {})
    written = time if header.written else None
    parsed = parse(table.body, table.delimiter, len(table.lines), wide, segment, written)
    if parsed is None:
        raise offence(table, limits, written=written)
    numbers, labels = parsed
    samples = numbers[:, :3]
    breaks = np.zeros(len(samples) - 1, np.bool_) if labels is None else labels[1:] != labels[:-1]
    if time is None:
        if names is None:
            refuse_times(source, len(samples), np.logical_and.reduce(np.diff(samples, axis=0) > 0))
        return Motion(samples, breaks, units, factor, clock=clock_is)
    clock = numbers[:, 3]
    if names is None:
        refuse_other_than_dt(table, samples[:, 0], clock)
        if whole and np.abs(samples[:, 0]).max() > LARGEST:
            raise offence(table, limits)
    steps = np.diff(clock) if names is not None else clock[1:]
    found = Steps()
    found.add(steps)
    times = Clock.of(found, fractional=bool((clock % 1).any()), is_dt=names is None)
    return Motion(samples, breaks, units, factor, times, steps, tick_ms, clock_is)


def clockwork(header: Header, names: Sequence[str], first: Sequence[bytes]) -> Clockwork | None:
    """Columns, their names and the first row in; what messages say of the time out; None where there is none."""
    if header.unread is not None:
        return Clockwork(names[header.unread], repr(first[header.unread].decode()[:40]))
    return None if header.time is None else Clockwork(names[header.time])


def refuse_times(source: str, rows: int, rises: npt.NDArray[np.bool_]) -> None:
    """Three columns without a header are x y z only where none of them [3] rises with every row."""
    if rows < RISES or not rises.any():
        return
    column = int(rises.argmax()) + 1
    raise GyrovaeError(
        f"{source}: 3 columns and no header are read as x y z, but column {column} rises with every row, "
        "as a time does",
        expected="the three axes of motion",
        remedy="Record all three. If these are, add a first line that names them: x,y,z",
    )


def refuse_other_than_dt(table: Table, first: Floats, last: Floats) -> None:
    """Four columns without a header are x y z dt only where the last can be dt and the first is no time."""
    reason = None
    if (last % 1).any() or last.min() < 0 or (len(last) > 1 and last[1:].max() < 2):
        reason = "the last column is no dt in whole milliseconds"
    elif len(first) > 2 and not (first % 1).any() and (np.diff(first) > 0).all():
        reason = "the first column looks like a time"
    if reason:
        raise GyrovaeError(
            f"{table.source}: 4 columns and no header are read as x y z dt, but {reason}",
            remedy="Add a first line that names the columns, such as: timestamp,x,y,z",
        )


def flattened(table: Table) -> tuple[Motion, int]:
    """SSCMA rows x y z x y z ... as one stream, and how many values in front of the first row were dropped."""
    first, rows = table.row(0), len(table.lines)
    kept, width = flat_shape(table)
    rest = table.body[table.ends[0] :].replace(table.delimiter, b"\n")
    total, skipped = kept + (rows - 1) * width, len(first) - kept
    parsed = parse(b"\n".join(first[skipped:]) + rest, table.delimiter, total, {0: LARGEST}, None)
    if parsed is None:
        raise offence(table, dict.fromkeys(range(max(width, len(first))), LARGEST), skipped)
    values = parsed[0].ravel()
    whole, last = values % 1 == 0, values[::-4]
    if width % 4 == 0 and whole[::-4].all() and not whole.all() and last.min() >= 0 and last.max() >= 2:
        raise fourth_is_dt(table.source)
    return Motion(values.reshape(-1, 3), np.zeros(total // 3 - 1, np.bool_)), skipped


def flat_shape(table: Table) -> tuple[int, int]:
    """How many values of the first of SSCMA's rows are samples, and how many values a row has; refuses other rows."""
    first, width = table.row(0), int(table.fields[-1])
    kept = len(first) - max((i + 1 for i, text in enumerate(first) if not NUMBER.fullmatch(text)), default=0)
    if kept < len(first) or len(first) != width:
        kept -= kept % 3
        width = width if len(table.lines) > 1 else kept
    if width % 3 or width == 0:
        raise GyrovaeError(
            f"{table.source}: rows of {table.fields[-1]} values and no header",
            expected="x y z x y z ..., a multiple of 3",
            remedy=_JSON if first[0].startswith((b"{", b"[")) else None,
        )
    return kept, width


def fourth_is_dt(source: str) -> GyrovaeError:
    """What to say of rows that hold x y z dt x y z dt ..."""
    return GyrovaeError(
        f"{source}: every fourth value looks like a dt",
        expected="rows of x y z x y z ...",
        remedy="Write one sample a line: x y z dt",
    )


def parse(
    body: bytes,
    delimiter: bytes,
    rows: int,
    limits: Mapping[int, float],
    segment: int | None,
    written: int | None = None,
) -> tuple[Floats, npt.NDArray[np.object_] | None] | None:
    """The columns of `limits` as float64 [rows, columns] and the column `segment` as texts; None when one cannot be.

    Times in the column `written` are read as milliseconds.
    """
    import pandas as pd

    # Before 3.1 pandas rounds correctly only when asked to; since then always, and it warns when asked.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    dtypes: dict[int, Any] = dict.fromkeys(limits, np.float64) | ({} if segment is None else {segment: str})
    if written is not None and written in limits:
        dtypes[written] = str
    # Columns of True and False are numbers to pandas, and a byte order mark in front is nothing.
    row = re.search(rb"[^\n]+", body)
    first = row[0].split(delimiter) if row else []
    if not all(NUMBER.fullmatch(text.strip()) for n, text in enumerate(first) if dtypes.get(n) is np.float64):
        return None
    reading = dict(header=None, usecols=list(dtypes), dtype=dtypes, na_filter=False, quoting=csv.QUOTE_NONE, **exact)
    try:
        frame = pd.read_csv(io.BytesIO(body), sep=delimiter.decode(), low_memory=False, **reading)
        if written is not None and written in limits:
            # NaN, where one is no time, is refused below.
            times = [math.nan if (time := milliseconds(text)) is None else time for text in frame[written].tolist()]
            frame[written] = np.array(times, np.float64)
        numbers = frame[list(limits)].to_numpy(np.float64)
    except (ValueError, OverflowError):
        return None
    if len(numbers) != rows or not (np.abs(numbers) <= list(limits.values())).all():
        return None
    return numbers, None if segment is None else frame[segment].to_numpy(object)


class _Fault(NamedTuple):
    """The first value of a row that cannot be."""

    line: int
    row: list[bytes]
    column: int


def offence(
    table: Table,
    limits: Mapping[int, float],
    skipped: int = 0,
    *,
    written: int | None = None,
    behind: Iterable[Table] = (),
) -> GyrovaeError:
    """The first value that is no number or beyond its column's limit, by row and column as a person counts.

    How many more rows are like it is told, too: of the table and of those `behind` it, as far as they are looked at.
    """
    rows = _faults(table, limits, skipped, written)
    fault = next(filter(None, rows), None)
    if fault is None:
        return GyrovaeError(f"{table.source}: not a table of numbers")
    following = itertools.chain(
        rows, itertools.chain.from_iterable(_faults(other, limits, 0, written) for other in behind)
    )
    others = [found is not None for found in itertools.islice(following, _COUNTED)]
    more, not_all = sum(others), any(True for _ in following)
    name = table.names[fault.column] if table.names else fault.column + 1
    where = f"{table.source}, {_row(fault.line, more, least=not_all)}, column {name}"
    which = "those rows" if more else "that row"
    text = fault.row[fault.column].strip()
    shown = table.shown(text)
    if fault.column == written:
        remedy = f"Remove {which}, or write a time there."
        return GyrovaeError(where, expected="a time such as 12:00:00.005", received=repr(shown), remedy=remedy)
    if NUMBER.fullmatch(text):
        remedy = f"Remove {which}, or write a number there that can be."
        return GyrovaeError(where, expected=f"at most {limits[fault.column]:g} in size", received=shown, remedy=remedy)
    values = [fault.row[other].strip() for other in limits if other < len(fault.row)]
    if written_so := _as_written(text, named=table.names is not None):
        remedy = written_so
    elif any(map(NUMBER.fullmatch, values)):
        every = others and all(others) and fault.line == table.lines[0]
        remedy = "No row has one there: write one in each." if every else f"Remove {which}, or write a number there."
    elif not more and all(is_unit(value.decode()) for value in values):
        unit = shown.strip("[]() ")
        remedy = f"These look like units: write them behind the names, such as {name} ({unit}), and remove that row."
    else:
        remedy = f"Remove {which}: {'they hold' if more else 'it holds'} no sample."
    return GyrovaeError(where, expected="a number", received=repr(shown), remedy=remedy)


def _as_written(value: bytes, *, named: bool) -> str | None:
    """What is no number in; what to do about how it is written out, where a number is in it."""
    text = value.decode()
    plain = "".join("" if mark.isspace() else {"\u2212": "-", "\u2013": "-"}.get(mark, mark) for mark in text)
    if NUMBER.fullmatch(plain.encode()) and (odd := next((mark for mark in text if not mark.isascii()), None)):
        return f"It holds the character {unicodedata.name(odd, 'without a name')}: write it in plain ASCII."
    if _MARKED.fullmatch(value):
        either = ""
        if _THOUSANDS.fullmatch(value) and text.count(",") == 1:
            either = f"It may be {text.replace(',', '.')} or {text.replace(',', '')}. "
        return f"{either}Write decimals with a point, and nothing between thousands."
    if (measured := _MEASURED.fullmatch(text)) and is_unit(measured[1]):
        return f"Write numbers alone, and what they are in behind the column's name, such as x ({measured[1]})."
    if _NAMED.fullmatch(text) or (not named and milliseconds(text) is not None):
        return _ALONE
    return None


def _faults(table: Table, limits: Mapping[int, float], skipped: int, written: int | None) -> Iterator[_Fault | None]:
    """The first fault of each row, or None for one that has none."""
    bounds = zip(table.lines.tolist(), table.starts.tolist(), table.ends.tolist(), strict=True)
    for index, (line, start, end) in enumerate(bounds):
        row = [text.replace(_QUOTED, table.delimiter) for text in table.body[start:end].split(table.delimiter)]
        found = None
        for column, limit in limits.items():
            if column >= len(row) or (index == 0 and column < skipped):
                continue
            text = row[column].strip()
            if column == written:
                fits = milliseconds(text.decode()) is not None
            else:
                fits = NUMBER.fullmatch(text) is not None and abs(float(text)) <= limit
            if not fits:
                found = _Fault(line, row, column)
                break
        yield found
