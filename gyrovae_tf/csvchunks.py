"""A CSV recording of any length in, its rows piece by piece out: the formats of `recording`, in bounded memory.

A first pass over the file finds what only its end tells: the number of rows, whether all have the same columns, the
median step of the clock. Samples are read in further ones. Where a file has several faults, another one of them may be
told than by `Recording.read`.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.chunks import Facts, Gaps, Mark, Piece, is_url, name_of, open_bytes
from gyrovae_tf.clock import Clock
from gyrovae_tf.csvrows import Layout, Watched, changed, numbers_of
from gyrovae_tf.csvtable import (
    FLATTENED,
    HEAD,
    LATEST,
    ROW,
    Floats,
    Table,
    bare_newlines,
    binary,
    columns,
    flat_shape,
    is_journal,
    is_utf16,
    not_text,
    offence,
    other_width,
    positive,
    read_head,
    read_notes,
    read_table,
    refuse_other_files,
    split_rows,
    usual_width,
    whole_lines,
    without_excel,
)
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import RESERVED, settled, stated_by, told_of_times

CHUNK = 4 << 20
"""Bytes that are read at a time."""
_LONGEST_LINE = 256 << 20  # bytes
_LONGEST_HEAD = 1 << 20


class _Chunk(NamedTuple):
    """Whole lines of a file."""

    offset: int  # the byte of the file where they begin
    line: int  # the number of the first, as a person counts
    text: bytes  # UTF-8 with bare newlines


class CsvChunks:
    """A CSV file that is read piece by piece. It can be sent to other processes."""

    def __init__(self, path: str, rate_hz: float | None = None, chunk: int = CHUNK) -> None:
        """The path or URL of a file, and its rate as for `Recording.read`; `GyrovaeError` when it is no recording."""
        self._path, self._chunk, self._source = path, chunk, name_of(path)
        given = None if rate_hz is None else positive(rate_hz, "rate_hz")
        with open_bytes(path) as file:
            start = file.read(64)
        refuse_other_files(start, self._source)
        self._journal = is_journal(start)
        self._utf16 = is_utf16(start)
        metadata, self._table_line, self._layout = self._head()
        layout = self._layout
        rows, notes, self._clock = self._survey()
        if self._journal:
            del metadata["journal"]
            metadata |= notes
        stated, lsb, units = stated_by(metadata, self._source)
        self._factor = layout.factor if units is None else 1.0
        units = units or layout.units
        rate, units, self._clock = settled(
            self._source,
            given=given,
            stated=stated,
            times=self._clock,
            tick_ms=layout.tick_ms,
            clock=layout.clock,
            path=None if is_url(path) else Path(path),
            units=units,
        )
        rest = {key: value for key, value in metadata.items() if key not in RESERVED}
        if layout.skipped:
            rest["skipped_values"] = layout.skipped
        rest |= told_of_times(self._clock, layout.tick_ms, given or stated, rate)
        self.facts = Facts(rows, rate, units, lsb, rest)
        """What is known before samples are read."""

    def marks(self) -> tuple[list[Mark], list[int]]:
        """Places to begin at, some MB apart, and the rows where segments begin: one more pass over the file."""
        found: list[Mark] = []
        starts: list[int] = []
        for mark, piece in self._read(None, samples=False):
            found.append(mark)
            starts += piece.starts()
        return found[:1] if self._utf16 else found, starts  # its text is no longer that of the file, byte for byte

    def pieces(self, mark: Mark | None = None) -> Iterator[Piece]:
        """The rows from a mark (or the first) on; `GyrovaeError` at the first value that is no number."""
        return (piece for _, piece in self._read(mark, samples=True))

    # --- bytes to lines

    def _lines(self, mark: Mark | None = None) -> Iterator[_Chunk]:
        """The file's lines from a mark on."""
        offset, line = (0, 1) if mark is None else (mark.offset, mark.line)
        carry = b""
        with open_bytes(self._path) as file:
            file.seek(offset)
            for block in self._decoded(file) if self._utf16 else iter(lambda: file.read(self._chunk), b""):
                raw = carry + block
                cut = raw.rfind(b"\n") + 1 or raw[:-1].rfind(b"\r") + 1
                carry = raw[cut:]
                if cut:
                    text = self._text(raw[:cut], line, first=offset == 0)
                    yield _Chunk(offset, line, text)
                    offset, line = offset + cut, line + text.count(b"\n")
                elif b"\0" in block and not self._journal:  # it may go on for ever
                    self._text(carry, line, first=offset == 0)
                elif len(carry) > _LONGEST_LINE:
                    raise GyrovaeError(f"{self._source}, row {line}: a line of more than {_LONGEST_LINE >> 20} MB")
        if self._journal:
            carry = carry[: whole_lines(carry)]  # the last one may be cut, or be the zeros that a power failure leaves
        if carry:
            yield _Chunk(offset, line, self._text(carry, line, first=offset == 0))

    def _decoded(self, file: IO[bytes]) -> Iterator[bytes]:
        """A file in UTF-16 as pieces of UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-16")()
        with self._readable():
            while block := file.read(self._chunk):
                yield decoder.decode(block).encode()
            yield decoder.decode(b"", final=True).encode()

    def _text(self, raw: bytes, line: int, *, first: bool) -> bytes:
        with self._readable():
            raw.decode("utf-8")
        if b"\0" in raw:
            raise binary(self._source, raw, line)
        raw = raw.removeprefix(codecs.BOM_UTF8) if first else raw
        return without_excel(bare_newlines(raw)) if first else bare_newlines(raw)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError as error:
            raise not_text(self._source) from error

    # --- the head and the layout

    def _head(self) -> tuple[dict[str, Any], int, Layout]:
        """Metadata, the line where the table begins, and the layout that its first rows tell."""
        text, ends, whole = b"", list[int](), True
        for chunk in self._lines():
            ends += [len(text) + found.end() for found in itertools.islice(ROW.finditer(chunk.text), HEAD)]
            text += chunk.text
            if len(ends) >= HEAD or (len(ends) > 1 and len(text) > _LONGEST_HEAD):
                whole = False
                break
        metadata, start, line = read_head(text, self._source)
        self._commented = text[start - 1 : start] == b"#"  # the line of the names
        table = read_table(text[start : ends[:HEAD][-1] if ends else None], line, self._source, whole=whole)
        if table.names is None and table.fields[-1] >= FLATTENED:
            return metadata, line, self._flat(table)
        names = table.names
        try:
            motion = columns(table.rows(0, 1), whole=False)
        except GyrovaeError:
            columns(table, whole=False)  # where more rows are at fault, it tells so
            raise
        found = Layout(
            table.delimiter,
            names,
            int(table.fields[0]),
            ended=table.ended,
            comma=table.comma,
            units=motion.units,
            factor=motion.factor,
            clock=motion.clock,
        )
        if table.header is None:
            return metadata, line, found if found.width == 3 else changed(found, time=3)
        told = table.header._asdict()
        del told["unread"]
        return metadata, line, changed(found, **told)

    def _flat(self, table: Table) -> Layout:
        """As `csvtable.flattened`, from the first rows."""
        kept, width = flat_shape(table)
        found = Layout(table.delimiter, None, int(table.fields[-1]), ended=table.ended, comma=table.comma, flat=True)
        return changed(found, kept=kept, skipped=len(table.row(0)) - kept, may_hold_dt=width % 4 == 0)

    # --- lines to rows

    def _tables(self, mark: Mark | None = None) -> Iterator[tuple[_Chunk, Table, bool]]:
        """Chunks from a mark on, their rows, and whether the first of these is the file's first."""
        layout, begins = self._layout, mark is None or mark.row == 0
        headed = begins and layout.names is not None and not self._commented
        for chunk in self._lines(None if begins else mark):
            how = {"ended": layout.ended, "comma": layout.comma}
            table = split_rows(chunk.text, chunk.line, self._source, layout.delimiter, **how)
            if headed and len(table.lines):
                table, headed = table.rows(1, None), False
            if len(table.lines):
                yield chunk, table._replace(names=layout.names), begins
                begins = False

    def _survey(self) -> tuple[int, dict[str, Any], Clock | None]:
        """The number of samples, what a journal notes on its way, and the clock. Refuses rows of other widths."""
        layout, notes, watched = self._layout, dict[str, Any](), Watched(self._source, self._layout)
        widths: dict[int, tuple[int, int]] = {}  # number of fields -> the first line with so many; how many have them
        rows = last = 0
        for _, table, first in self._tables():
            counted = table.fields[1:] if first and layout.flat else table.fields
            lines = table.lines[len(table.lines) - len(counted) :]
            for width, place, number in zip(*np.unique(counted, return_index=True, return_counts=True), strict=True):
                line, before = widths.get(int(width), (int(lines[place]), 0))
                widths[int(width)] = line, before + int(number)
            rows, last = rows + len(table.lines), int(table.fields[-1])
            if set(widths) <= {layout.width} and not watched.add(table, first=first):
                self._refuse_number()
        usual = usual_width({fields: number for fields, (_, number) in widths.items()}, last)
        width = layout.width if layout.names is not None or usual < FLATTENED else usual
        if others := {line: found for found, (line, _) in widths.items() if found != width}:
            decimals = layout.delimiter == b"," and layout.names is not None
            more = sum(number for found, (_, number) in widths.items() if found != width) - 1
            raise other_width(self._source, min(others), width, others[min(others)], decimals=decimals, more=more)
        if self._journal:
            for chunk in self._lines():
                before = max(self._table_line - chunk.line, 0)
                text = b"\n".join(chunk.text.split(b"\n")[before:]) if before else chunk.text
                notes |= read_notes(text, chunk.line + before, self._source)
        return (layout.kept + (rows - 1) * layout.width) // 3 if layout.flat else rows, notes, watched.clock()

    def _refuse_number(self) -> None:
        """Raise for the first value of the file that is no number, and tell how many rows are like it."""
        tables = self._tables()
        for _, table, first in tables:
            if numbers_of(table, self._layout, self._layout.limits, first=first) is None:
                raise self._offence(table, first=first, behind=(other for _, other, _ in tables))

    def _offence(self, table: Table, *, first: bool, behind: Iterable[Table] = ()) -> GyrovaeError:
        layout = self._layout
        written = layout.time if layout.written else None
        return offence(table, layout.limits, layout.skipped if first else 0, written=written, behind=behind)

    # --- rows to samples

    def _numbers(
        self, table: Table, limits: Mapping[int, float], *, first: bool
    ) -> tuple[Floats, NDArray[np.object_] | None]:
        found = numbers_of(table, self._layout, limits, first=first)
        if found is None:
            self._refuse_number()
            raise self._offence(table, first=first)
        return found

    def _read(self, mark: Mark | None, *, samples: bool) -> Iterator[tuple[Mark, Piece]]:
        """Places and the rows behind them; without `samples` these are not read unless they must be."""
        layout, gaps = self._layout, Gaps(mark, self._clock, is_dt=self._layout.names is None)
        limits = layout.limits if samples or layout.time is None else {layout.time: LATEST}
        looked_at = samples or layout.time is not None or layout.segment is not None
        for chunk, table, first in self._tables(mark):
            if looked_at:
                numbers, labels = self._numbers(table, limits, first=first)
                clock = None if layout.time is None else numbers[:, -1]
                values = numbers[:, :3] if self._factor == 1.0 else numbers[:, :3] * self._factor
                count = len(numbers)
            else:
                count = len(table.lines) if not layout.flat else self._samples(table, first=first)
                values, clock, labels = np.empty((count, 0)), None, None
            row, segment, began, breaks = gaps.of(count, clock, labels)
            yield Mark(row, chunk.offset, chunk.line, segment, began), Piece(row, values, breaks)

    def _samples(self, table: Table, *, first: bool) -> int:
        """How many samples the rows of a flat table hold."""
        rows = len(table.lines)
        return (self._layout.kept + (rows - 1) * self._layout.width if first else rows * self._layout.width) // 3
