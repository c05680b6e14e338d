"""A Parquet recording of any length in, its rows piece by piece out: columns as in a CSV file with a header.

Which they are, among others, `header` says: axes, a time (numbers, or Parquet's own type for times), and `segment`.
Rate, units and the like are a JSON object under "gyrovae" in the file's metadata. Needs pyarrow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.chunks import (
    Facts,
    Gaps,
    Mark,
    Piece,
    is_url,
    name_of,
    open_bytes,
    optional,
)
from gyrovae_tf.clock import Clock, Steps
from gyrovae_tf.csvtable import LARGEST, LATEST, Clockwork, Floats, json_object, positive, wrong_columns
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.header import Header, read_header
from gyrovae_tf.recording import RESERVED, settled, stated_by, told_of_times

METADATA = b"gyrovae"
"""The key of a recording's metadata in its file."""
ROWS = 1 << 17
"""Rows that are read at a time."""
_MEND = "Remove that row, or put a number there that can be."
_NOTHING = np.zeros((0, 3))
_LARGEST_GROUP = 1 << 30  # bytes of the columns that are read: a row group is unpacked as a whole


def is_clock(of: Any) -> bool:
    """Whether a column of this type could hold times: numbers, or Parquet's own type for them."""
    types = optional("pyarrow").types
    return bool(types.is_floating(of) or types.is_integer(of) or types.is_timestamp(of))


def header_of(schema: Any) -> Header | None:
    """What the columns of a file with this schema are: see `header.read_header`."""
    return read_header(list(schema.names), lambda index: "number" if is_clock(schema.field(index).type) else "text")


@contextlib.contextmanager
def arrow_readable(problem: str) -> Iterator[None]:
    """What pyarrow complains of inside becomes `GyrovaeError`: the problem, and the reason."""
    try:
        yield
    except (optional("pyarrow").ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise GyrovaeError(f"{problem}: {reason}") from None


class ParquetChunks:
    """A Parquet file that is read piece by piece. It can be sent to other processes."""

    def __init__(self, path: str, rate_hz: float | None = None, rows: int = ROWS) -> None:
        """The path or URL of a file, and its rate as for `Recording.read`; `GyrovaeError` when it is no recording."""
        self._path, self._rows, self._source = path, rows, name_of(path)
        self._label: str | None = None  # known when the columns are
        given = None if rate_hz is None else positive(rate_hz, "rate_hz")
        with self._opened() as file:
            schema = file.schema_arrow
            raw = (schema.metadata or {}).get(METADATA)
            total = file.metadata.num_rows
            names = list(schema.names)
            self._check_groups(file.metadata)
        metadata = {} if raw is None else json_object(raw, f"{self._source}: its metadata {METADATA.decode()}")
        try:
            found = header_of(schema)
        except ValueError as error:
            raise GyrovaeError(f"{self._source}: {error}") from None
        if found is None:
            raise wrong_columns(self._source, names)
        self._axes = [names[index] for index in found.axes]
        self._time, self._label = (None if index is None else names[index] for index in (found.time, found.segment))
        clock = None if self._time is None else Clockwork(self._time)
        if found.unread is not None:
            unread = schema.field(found.unread)
            clock = Clockwork(unread.name, str(unread.type))
        tick_ms = found.tick_ms
        if found.time is not None and optional("pyarrow").types.is_timestamp(schema.field(found.time).type):
            tick_ms = 1.0  # as `_times` gives them
        if not total:
            raise GyrovaeError(f"{self._source}: no samples", expected="rows of numbers", received="no row")
        self._check_types(schema)
        stated, lsb, units = stated_by(metadata, self._source)
        self._factor = found.factor if units is None else 1.0
        units = units or found.units
        self._clock = self._survey() if self._time else None
        rate, units, self._clock = settled(
            self._source,
            given=given,
            stated=stated,
            times=self._clock,
            tick_ms=tick_ms,
            clock=clock,
            path=None if is_url(path) else Path(path),
            units=units,
        )
        rest = {key: value for key, value in metadata.items() if key not in RESERVED}
        rest |= told_of_times(self._clock, tick_ms, given or stated, rate)
        self.facts = Facts(total, rate, units, lsb, rest)
        """What is known before samples are read."""

    def marks(self) -> tuple[list[Mark], list[int]]:
        """The first row of each row group, and the rows where segments begin.

        One more pass over the file where there are times or segments.
        """
        found: dict[int, Mark] = {}
        starts: list[int] = []
        gaps = Gaps(None, self._clock, is_dt=False)
        for group, count, columns in self._batches(0, self._columns(samples=False)):
            row, segment, began, breaks = gaps.of(count, *self._gap_columns(columns, gaps.row))
            found.setdefault(group, Mark(row, group, 0, segment, began))
            starts += Piece(row, _NOTHING, breaks).starts()
        return list(found.values()), starts

    def pieces(self, mark: Mark | None = None) -> Iterator[Piece]:
        """The rows from a mark (or the first) on; `GyrovaeError` at the first value that is no number."""
        gaps = Gaps(mark, self._clock, is_dt=False)
        for _, count, columns in self._batches(0 if mark is None else mark.offset, self._columns(samples=True)):
            samples = np.stack([self._numbers(columns, name, LARGEST, gaps.row) for name in self._axes], axis=1)
            row, _, _, breaks = gaps.of(count, *self._gap_columns(columns, gaps.row))
            yield Piece(row, samples if self._factor == 1.0 else samples * self._factor, breaks)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file for pyarrow."""
        parquet = optional("pyarrow.parquet")
        with open_bytes(self._path) as raw, self._readable():
            # A long label in a hundred thousand rows is one in the file, and so it is here.
            yield parquet.ParquetFile(raw, read_dictionary=[self._label] if self._label else None)

    def _readable(self) -> contextlib.AbstractContextManager[None]:
        """What pyarrow complains of inside becomes ours: as it reads, and as labels are looked at."""
        return arrow_readable(f"{self._source}: no Parquet file that can be read")

    def _check_groups(self, metadata: Any) -> None:
        for group in range(metadata.num_row_groups):
            size = metadata.row_group(group).total_byte_size
            if size > _LARGEST_GROUP:
                raise GyrovaeError(
                    f"{self._source}: a row group is too large to be read piece by piece",
                    expected=f"up to {_LARGEST_GROUP:,} bytes",
                    received=f"{size:,}",
                    remedy="Write it again with smaller row groups.",
                )

    def _check_types(self, schema: Any) -> None:
        """Refuse columns before they are read: one row of lists can be larger than memory."""
        types = optional("pyarrow").types
        for name in self._columns(samples=True):
            if schema.names.count(name) > 1:  # columns are read by their names
                raise GyrovaeError(f"{self._source}: column {name} is there {schema.names.count(name)} times")
            of, label = schema.field(name).type, name == self._label
            if label:
                usable = not (types.is_nested(of) or types.is_fixed_size_binary(of))
            else:
                usable = is_clock(of) and (name == self._time or not types.is_timestamp(of))
            if not usable:
                expected = "text or numbers" if label else "numbers"
                raise GyrovaeError(
                    f"{self._source}, column {name}", expected=expected, received=str(of), remedy="Write it as such."
                )

    def _columns(self, *, samples: bool) -> list[str]:
        return [*(self._axes if samples else []), *filter(None, (self._time, self._label))]

    def _batches(self, first: int, columns: list[str]) -> Iterator[tuple[int, int, Any]]:
        """Row group, number of rows and columns of each part of the file from a row group on."""
        with self._opened() as file:
            for group in range(first, file.metadata.num_row_groups):
                if not columns:  # pyarrow reads no rows without columns
                    yield group, file.metadata.row_group(group).num_rows, None
                    continue
                for batch in file.iter_batches(self._rows, row_groups=[group], columns=columns, use_threads=False):
                    if batch.num_rows:
                        yield group, batch.num_rows, batch

    def _gap_columns(self, columns: Any, row: int) -> tuple[Floats | None, NDArray[np.object_] | None]:
        labels = None if self._label is None else columns.column(self._label)
        clock = None if self._time is None else self._times(columns, row)
        if labels is None:
            return clock, None
        with self._readable():
            labels.validate(full=True)  # pyarrow does not look at indices and text as it reads them
            coded = labels.dictionary_encode()
            known = np.array([*coded.dictionary.to_pylist(), None], object)
            return clock, known[coded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]

    def _times(self, columns: Any, row: int) -> Floats:
        """Milliseconds."""
        assert self._time is not None
        types, column = optional("pyarrow").types, columns.column(self._time)
        if not types.is_timestamp(column.type):
            return self._numbers(columns, self._time, LATEST, row)
        self._refuse_nulls(column, self._time, row)
        ticks = column.cast(optional("pyarrow").int64()).to_numpy(zero_copy_only=False)
        if column.type.unit == "s":
            return np.asarray(ticks * 1000.0, np.float64)
        unit = {"ms": 1, "us": 1000, "ns": 1_000_000}[column.type.unit]
        # Whole milliseconds stay whole: float64 does not hold nanoseconds since 1970.
        return np.asarray(ticks // unit + (ticks % unit) / unit, np.float64)

    def _numbers(self, columns: Any, name: str, largest: float, row: int) -> Floats:
        """A column as float64; refuses what is no number or beyond `largest`."""
        column = columns.column(name)
        self._refuse_nulls(column, name, row)
        numbers = column.to_numpy(zero_copy_only=False).astype(np.float64)
        wrong = np.flatnonzero(~(np.abs(numbers) <= largest))  # NaN compares false
        if wrong.size:
            where = f"{self._source}, row {row + int(wrong[0]) + 1}, column {name}"
            value = numbers[wrong[0]]
            raise GyrovaeError(
                where,
                expected="a number" if np.isnan(value) else f"at most {largest:g} in size",
                received=str(value),
                remedy=_MEND,
            )
        return numbers

    def _refuse_nulls(self, column: Any, name: str, row: int) -> None:
        if column.null_count:
            place = row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))) + 1
            raise GyrovaeError(
                f"{self._source}, row {place}, column {name}", expected="a number", received="nothing", remedy=_MEND
            )

    def _survey(self) -> Clock:
        assert self._time is not None
        steps, fractional, row = Steps(), False, 0
        latest: Floats | None = None
        for _, count, columns in self._batches(0, [self._time]):
            clock = self._times(columns, row)
            steps.add(np.diff(clock) if latest is None else np.diff(clock, prepend=latest))
            fractional |= bool((clock % 1).any())
            latest, row = clock[-1:], row + count
        return Clock.of(steps, fractional=fractional, is_dt=False)
