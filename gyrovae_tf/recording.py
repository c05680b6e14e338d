"""Recordings of 3-axis motion: CSV files in; samples with their rate, units and gaps out, and back again.

`data/README.md` shows each format. What is not plain from a file is refused, never guessed:

- a header with `x,y,z`, or else `accX,accY,accZ` (Edge Impulse), or else `gyrX,gyrY,gyrZ`, among columns that are
  ignored, but for `segment` and `timestamp` (ms);
- three columns without a header: x y z; four: the x y z dt of Seeed's `gyro_anomaly_detection_nn` (m/s^2, dt in
  whole ms since the sample before);
- 15 values a row or more without a header: SSCMA's `tools/dataset_tool/read_serial.py`.

What that script does, read in Seeed-Studio/ModelAssistant (65ff08e4, November 2024, and its forerunner
`dataset_tool/serial_port_read.py`): its `-sr` is the baud rate and also the number of serial lines that it joins into
one row (115,200 samples by default). It cuts each line at spaces and drops the last part, so dt is gone and a row
holds x y z x y z ... It reads every line in turn and discards nothing between two rows, so rows are one stream: one
segment here. It writes no header and loses an unfinished last row. The first row may open with boot messages or with
half a line; `signal_data_processing.py` never sees that row, because pandas takes it for a header. Here its samples are
kept, counted from its end, and `metadata["skipped_values"]` says how many values in front were dropped. One early
version (21b876c9) kept dt in the rows; such files are refused.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import itertools
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gyrovae_tf.errors import GyrovaeError, atomic_write

Floats = npt.NDArray[np.float64]

LARGEST = 1e6
"""No sample is larger, in any unit: 1e6 m/s^2 is 100,000 g."""

_AXES: tuple[tuple[tuple[str, str, str], str | None, float], ...] = (  # names, units (None: not said), factor to them
    (("x", "y", "z"), None, 1.0),
    (("accx", "accy", "accz"), "m/s^2", 1.0),
    (("gyrx", "gyry", "gyrz"), "rad/s", math.pi / 180),  # Edge Impulse's firmware gives degrees per second
)
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_EXPECTED = "columns x,y,z or accX,accY,accZ or gyrX,gyrY,gyrZ"
_FLATTENED = 15  # values a row; fewer could be an accelerometer beside a gyroscope
_RESERVED = ("rate_hz", "units", "lsb")


@dataclass(frozen=True, eq=False)
class Recording:
    """The motion of one machine as one file holds it: samples, how fast they came, and where they are broken.

    Raises `GyrovaeError` when a field cannot be: samples not finite or beyond 1e6, segments that do not cover them.
    """

    samples: Floats
    """float64 [n, 3] in `units`, read-only."""
    rate_hz: float | None
    """Samples a second; None where nothing says it."""
    segments: tuple[tuple[int, int], ...]
    """Half-open row ranges without a gap inside, in order, covering all rows. No window may cross their borders."""
    source: str
    """The file's name, for messages."""
    units: str = "m/s^2"
    lsb: float | None = None
    """Units a count of the sensor, when known."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Whatever else the first line said (label, sensor ...): what JSON can hold."""

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(self.samples, dtype=np.float64).view()
        if samples.ndim != 2 or samples.shape[1] != 3 or not len(samples):
            raise GyrovaeError(
                f"{self.source}: no recording",
                expected="samples [n, 3], n at least 1",
                received=list(samples.shape),
            )
        if not np.abs(samples).max() <= LARGEST:  # NaN compares false
            raise GyrovaeError(f"{self.source}: a sample is not finite or larger than {LARGEST:g} {self.units}")
        samples.flags.writeable = False
        borders = [0, *(stop for _, stop in self.segments)]
        whole = [(start, stop) for start, stop in itertools.pairwise(borders) if start < stop]
        if list(map(tuple, self.segments)) != whole or borders[-1] != len(samples):
            raise GyrovaeError(
                f"{self.source}: segments do not cover the rows in order",
                expected=f"half-open ranges from 0 to {len(samples)}",
                received=self.segments if len(self.segments) < 5 else f"{len(self.segments)} segments",
            )
        if not (isinstance(self.units, str) and self.units):
            raise GyrovaeError(f"{self.source}: units", expected="a text", received=repr(self.units))
        if any(key in self.metadata for key in _RESERVED):
            raise GyrovaeError(f"{self.source}: metadata must not hold any of {', '.join(_RESERVED)}")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "segments", tuple((int(start), int(stop)) for start, stop in self.segments))
        for name in ("rate_hz", "lsb"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _positive(value, f"{self.source}: {name}"))

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, rate_hz: float | None = None) -> Recording:
        """Read a CSV file into a `Recording`; see the module's text for the formats.

        `rate_hz`, when given, is the recording's rate. It must agree with a rate stated in the file to 1 % and with
        one measured by its timestamps to 5 % (dt in whole ms: also to their resolution). Without it the rate is the
        stated one, else the measured one, else `sample_rate_hz` of a `meta.json` in the file's folder or up to two
        above, else None. That `meta.json` also gives the units where the format leaves them open (else m/s^2).
        Measured is the mean step within segments (of dt the median). A segment starts where a step is not positive or
        over 1.5 medians (whole ms: also over median + 1, so that 1.25 ms written as 1, 1, 1, 2 is no gap).
        """
        path = Path(path)
        source = path.name
        given = None if rate_hz is None else _positive(rate_hz, "rate_hz")
        text = _text(path)
        metadata, start, line = _head(text, source)
        stated, lsb = (
            None if metadata.get(key) is None else _positive(metadata[key], f"{source}: {key} in its metadata line")
            for key in ("rate_hz", "lsb")
        )
        units: str | None = metadata.get("units")
        if units is not None and not (isinstance(units, str) and units):
            raise GyrovaeError(f"{source}: units in its metadata line", expected="a text", received=repr(units))
        table = _table(text[start:], line, source)
        rest = {key: value for key, value in metadata.items() if key not in _RESERVED}
        if table.names is None and table.fields[-1] >= _FLATTENED:
            motion, skipped = _flattened(table)
            if skipped:
                rest["skipped_values"] = skipped
        else:
            motion = _columns(table)
        samples = motion.samples * (motion.factor if units is None else 1.0)
        units, measured = units or motion.units, motion.measured_hz
        rate = given or stated or measured
        if given and stated and abs(given - stated) > 0.01 * stated:
            raise GyrovaeError(
                f"{source}: its rate is not the given one",
                expected=f"{given:g} Hz (given)",
                received=f"{stated:g} Hz (stated in the file)",
            )
        if rate and measured and not 950 / measured <= 1000 / rate <= 1.05 * (1000 / measured + motion.slack_ms):
            raise GyrovaeError(
                f"{source}: its timestamps do not fit its rate",
                expected=f"{rate:g} Hz ({'given' if given else 'stated in the file'})",
                received=f"{measured:.5g} Hz (measured by its timestamps)",
            )
        if measured and rate == measured and not 2 <= measured <= 20_000:
            raise GyrovaeError(
                f"{source}: its timestamps give {measured:.5g} Hz",
                expected="2 to 20000 Hz",
                remedy="Timestamps must be in milliseconds.",
            )
        if rate is None or units is None:
            folder_rate, folder_units = _folder_meta(path)
            rate, units = rate or folder_rate, units or folder_units or "m/s^2"
        borders = [0, *(np.flatnonzero(motion.breaks) + 1).tolist(), len(samples)]
        return cls(samples, rate, tuple(itertools.pairwise(borders)), source, units, lsb, metadata=rest)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the recording as a CSV file that `read` gives back exactly: wholly, or not at all.

        Raises `GyrovaeError` when the file cannot be written or `metadata` holds what JSON cannot.
        """
        known = {"rate_hz": self.rate_hz, "units": self.units, "lsb": self.lsb}
        head = {key: value for key, value in known.items() if value is not None} | dict(self.metadata)
        try:
            first = json.dumps(head, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise GyrovaeError(f"{self.source}: metadata cannot be written as JSON: {error}") from error
        numbers = list(map(repr, self.samples.ravel().tolist()))  # repr is the shortest text that reads back equal
        columns, header = [numbers[0::3], numbers[1::3], numbers[2::3]], "x,y,z"
        if len(self.segments) > 1:
            columns.append([str(i) for i, (start, stop) in enumerate(self.segments) for _ in range(start, stop)])
            header += ",segment"
        rows = map(",".join, zip(*columns, strict=True))
        atomic_write(path, "\n".join([f"# {first}", header, *rows, ""]))

    @property
    def duration_s(self) -> float | None:
        """Rows divided by rate, in seconds (gaps do not count); None where the rate is not known."""
        return None if self.rate_hz is None else len(self) / self.rate_hz

    def __len__(self) -> int:
        return len(self.samples)


def read_all(
    recordings: Iterable[Recording | str | os.PathLike[str]], *, rate_hz: float | None = None
) -> list[Recording]:
    """Recordings that belong together, or their files, in; all of one rate (to 1 %) and one known unit out.

    `rate_hz` is for those that do not state a rate. Raises `GyrovaeError` when there are none, a file is bad, two
    disagree, or nothing says a rate.
    """
    known = [_known(recording, rate_hz) for recording in recordings]
    if not known:
        raise GyrovaeError("no recordings", expected="at least one CSV file", received="none")
    first = known[0]
    for other in known:
        if other.rate_hz is None or first.rate_hz is None:
            raise GyrovaeError(
                f"{other.source}: nothing says its sample rate",
                remedy="Give it with --rate-hz (rate_hz in Python).",
            )
        if abs(other.rate_hz - first.rate_hz) > 0.01 * first.rate_hz:
            raise GyrovaeError(
                "the recordings differ in rate",
                expected=f"{first.rate_hz:g} Hz as in {first.source}",
                received=f"{other.rate_hz:g} Hz in {other.source}",
            )
        if other.units != first.units:
            raise GyrovaeError(
                "the recordings differ in units",
                expected=f"{first.units} as in {first.source}",
                received=f"{other.units} in {other.source}",
            )
    return known


def _known(recording: Recording | str | os.PathLike[str], rate_hz: float | None) -> Recording:
    if not isinstance(recording, Recording):
        return Recording.read(recording, rate_hz=rate_hz)
    if recording.rate_hz is None and rate_hz is not None:
        return dataclasses.replace(recording, rate_hz=rate_hz)
    return recording


class _Motion(NamedTuple):
    """What the rows say: samples [n, 3], breaks [n - 1] between rows, and what the format tells of units and rate."""

    samples: Floats
    breaks: npt.NDArray[np.bool_]
    units: str | None = "m/s^2"
    factor: float = 1.0
    measured_hz: float | None = None
    slack_ms: float = 0.0


class _Table(NamedTuple):
    """The rows of a file: where each starts and ends in `body`, its line number in the file, its number of fields."""

    source: str
    body: bytes
    delimiter: bytes
    names: list[str] | None  # of the header, lower case
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    lines: npt.NDArray[np.intp]
    fields: npt.NDArray[np.intp]

    def row(self, index: int) -> list[bytes]:
        row = self.body[self.starts[index] : self.ends[index]]
        return [text.strip() for text in row.split(self.delimiter)]


def _positive(value: object, what: str) -> float:
    number = math.nan
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and value <= 1e300:
        number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise GyrovaeError(f"{what}", expected="a finite number above 0", received=repr(value)[:40])
    return number


def _text(path: Path) -> bytes:
    """The file as UTF-8 with bare newlines."""
    try:
        if path.is_dir():
            raise GyrovaeError(f"{path}: a folder", expected="a CSV file", remedy=f"Name its files: {path / '*.csv'}")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        raise GyrovaeError(f"cannot read {path}: {reason}") from error
    try:
        # Windows PowerShell's `>` writes UTF-16.
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        raw = text.encode()
    except UnicodeError as error:
        raise GyrovaeError(f"{path.name}: not a text file", expected="CSV in UTF-8") from error
    if "\0" in text:
        raise GyrovaeError(f"{path.name}: a binary file", expected="CSV in UTF-8")
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _head(text: bytes, source: str) -> tuple[dict[str, Any], int, int]:
    """What the JSON object in the leading `#` lines says, and where the table begins: offset and line number."""
    metadata: dict[str, Any] | None = None
    position, line = 0, 1
    while position < len(text):
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        content = text[position:end].strip()
        comment = content.lstrip(b"#").strip()
        if content and not content.startswith(b"#"):
            return metadata or {}, position, line
        if comment.startswith(b"{"):
            if metadata is not None:
                raise GyrovaeError(f"{source}, row {line}: a second metadata line", expected="one JSON object")
            metadata = _json_object(comment, f"{source}, row {line}: the metadata line")
        position, line = end + 1, line + 1
    raise _no_samples(source)


def _no_samples(source: str) -> GyrovaeError:
    return GyrovaeError(f"{source}: no samples", expected=_EXPECTED, received="an empty file")


def _json_object(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"{what} is not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise GyrovaeError(what, expected="a JSON object", received=type(value).__name__)
    return value


def _table(body: bytes, line: int, source: str) -> _Table:
    """Find delimiter, header and rows of `body`, whose first line is line `line` of the file; refuse ragged rows."""
    first = re.sub(rb'"[^"\n]*"', b"", body[: (body + b"\n").index(b"\n")]).strip()
    delimiter = next((mark for mark in (b";", b"\t", b",") if mark in first), b" ")
    if b"#" in body:
        body = re.sub(rb"(?m)^[ \t]*#.*$", b"", body)
    if b'"' in body:
        body = re.sub(rb'"([^"\n]*)"', lambda quoted: quoted[1].replace(delimiter, b"_"), body)
    if delimiter == b" ":
        body = body.strip(b" \t").replace(b"\t", b" ")
        if any(mark in body for mark in (b"  ", b" \n", b"\n ")):
            body = re.sub(rb" *\n *", b"\n", re.sub(rb"  +", b" ", body))
    elif b" " in body or b"\t" in body:
        body = re.sub(rb"(?m)^[ \t]+$", b"", body)
    data = np.frombuffer(body, np.uint8)
    newlines = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate([[0], newlines + 1])
    ends = np.concatenate([newlines, [len(body)]])
    kept = np.flatnonzero(ends > starts)
    if not kept.size:
        raise _no_samples(source)
    starts, ends = starts[kept], ends[kept]
    marks = np.flatnonzero(data == ord(delimiter))
    fields = np.searchsorted(marks, ends) - np.searchsorted(marks, starts) + 1
    table = _Table(source, body, delimiter, None, starts, ends, kept + line, fields)
    found = table.row(0)
    names = [text.decode().lower() for text in found]
    if any(set(group) <= set(names) for group, _, _ in _AXES):
        if len(kept) == 1:
            raise GyrovaeError(f"{source}: no samples", expected="rows of numbers", received="only a header")
        cut = int(starts[1])
        table = table._replace(
            body=body[cut:],
            names=names,
            starts=starts[1:] - cut,
            ends=ends[1:] - cut,
            lines=table.lines[1:],
            fields=fields[1:],
        )
    elif not any(map(_NUMBER.fullmatch, found)):
        shown = ",".join(names[:12]) + (",..." if len(names) > 12 else "")
        raise GyrovaeError(f"{source}: wrong columns", expected=_EXPECTED, received=repr(shown[:120]))
    # SSCMA's first row may differ from the others: see _flattened.
    width = len(names) if table.names or fields[-1] < _FLATTENED else int(fields[-1])
    ragged = np.flatnonzero(table.fields != width)
    ragged = ragged[ragged > 0] if table.names is None and width >= _FLATTENED else ragged
    if ragged.size:
        raise GyrovaeError(
            f"{source}, row {table.lines[ragged[0]]}: the number of columns changes",
            expected=width,
            received=table.fields[ragged[0]],
        )
    return table


def _columns(table: _Table) -> _Motion:
    """A table with one sample a row: named columns, or x y z, or x y z dt."""
    source, names, factor = table.source, table.names, 1.0
    axes, units = [0, 1, 2], None
    time = segment = None
    if names is not None:
        group, units, factor = next(entry for entry in _AXES if set(entry[0]) <= set(names))
        twice = [name for name in (*group, "timestamp", "segment") if names.count(name) > 1]
        if twice:
            raise GyrovaeError(f"{source}: column {twice[0]} is there {names.count(twice[0])} times")
        axes = [names.index(name) for name in group]
        time = names.index("timestamp") if "timestamp" in names else None
        segment = names.index("segment") if "segment" in names else None
    elif table.fields[0] == 4:
        time, units = 3, "m/s^2"
    elif table.fields[0] != 3:
        raise GyrovaeError(
            f"{source}: {table.fields[0]} columns and no header, so what they are is not plain",
            expected="3 (x y z), 4 (x y z dt), or rows of 15 and more (x y z x y z ...)",
            remedy="Add a first line that names the columns, such as: timestamp,x,y,z",
        )
    limits = dict.fromkeys(axes, LARGEST) | ({} if time is None else {time: 1e15})
    parsed = _parse(table.body, table.delimiter, len(table.lines), limits, segment)
    if parsed is None:
        raise _offence(table, limits)
    numbers, labels = parsed
    samples = numbers[:, :3]
    breaks = np.zeros(len(samples) - 1, np.bool_) if labels is None else labels[1:] != labels[:-1]
    if time is None:
        return _Motion(samples, breaks, units, factor)
    clock = numbers[:, 3]
    if names is None:
        _refuse_other_than_dt(table, samples[:, 0], clock)
    steps = np.diff(clock) if names is not None else clock[1:]
    positive = steps[steps > 0]
    if not positive.size:
        return _Motion(samples, breaks | (steps <= 0), units, factor)
    median = float(np.median(positive))
    longest = 1.5 * median if (clock % 1).any() else max(1.5 * median, median + 1)
    broken = (steps <= 0) | (steps > longest)
    # Rounded stamps average out over a stretch; dt, cut to whole ms at each sample, does not, so there the median.
    step = median if names is None else float(steps[~broken].mean())
    return _Motion(samples, breaks | broken, units, factor, 1000 / step, slack_ms=float(names is None))


def _refuse_other_than_dt(table: _Table, first: Floats, last: Floats) -> None:
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


def _flattened(table: _Table) -> tuple[_Motion, int]:
    """SSCMA rows x y z x y z ... as one stream, and how many values in front of the first row were dropped."""
    first, rows, width = table.row(0), len(table.lines), int(table.fields[-1])
    kept = len(first) - max((i + 1 for i, text in enumerate(first) if not _NUMBER.fullmatch(text)), default=0)
    if kept < len(first) or len(first) != width:
        kept -= kept % 3
        width = width if rows > 1 else kept
    if width % 3 or width == 0:
        raise GyrovaeError(
            f"{table.source}: rows of {table.fields[-1]} values and no header",
            expected="x y z x y z ..., a multiple of 3",
        )
    rest = table.body[table.ends[0] :].replace(table.delimiter, b"\n")
    total, skipped = kept + (rows - 1) * width, len(first) - kept
    parsed = _parse(b"\n".join(first[skipped:]) + rest, table.delimiter, total, {0: LARGEST}, None)
    if parsed is None:
        raise _offence(table, dict.fromkeys(range(max(width, len(first))), LARGEST), skipped)
    values = parsed[0].ravel()
    whole, last = values % 1 == 0, values[::-4]
    if width % 4 == 0 and whole[::-4].all() and not whole.all() and last.min() >= 0 and last.max() >= 2:
        raise GyrovaeError(
            f"{table.source}: every fourth value looks like a dt",
            expected="rows of x y z x y z ...",
            remedy="Write one sample a line: x y z dt",
        )
    return _Motion(values.reshape(-1, 3), np.zeros(total // 3 - 1, np.bool_)), skipped


def _parse(
    body: bytes, delimiter: bytes, rows: int, limits: Mapping[int, float], segment: int | None
) -> tuple[Floats, npt.NDArray[np.object_] | None] | None:
    """The columns of `limits` as float64 [rows, columns] and the column `segment` as texts; None when one cannot be."""
    import pandas as pd

    # Before 3.1 pandas rounds correctly only when asked to; since then always, and it warns when asked.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    dtypes: dict[int, Any] = dict.fromkeys(limits, np.float64) | ({} if segment is None else {segment: str})
    reading = dict(header=None, usecols=list(dtypes), dtype=dtypes, na_filter=False, quoting=csv.QUOTE_NONE, **exact)
    try:
        frame = pd.read_csv(io.BytesIO(body), sep=delimiter.decode(), low_memory=False, **reading)
        numbers = frame[list(limits)].to_numpy(np.float64)
    except (ValueError, OverflowError):
        return None
    if len(numbers) != rows or not (np.abs(numbers) <= list(limits.values())).all():
        return None
    return numbers, None if segment is None else frame[segment].to_numpy(object)


def _offence(table: _Table, limits: Mapping[int, float], skipped: int = 0) -> GyrovaeError:
    """The first value that is no number or beyond its column's limit, by row and column as a person counts."""
    bounds = zip(table.lines.tolist(), table.starts.tolist(), table.ends.tolist(), strict=True)
    for index, (line, start, end) in enumerate(bounds):
        row = table.body[start:end].split(table.delimiter)
        for column, limit in limits.items():
            if column >= len(row) or (index == 0 and column < skipped):
                continue
            text = row[column].strip()
            number = _NUMBER.fullmatch(text)
            if number and abs(float(text)) <= limit:
                continue
            where = f"{table.source}, row {line}, column {table.names[column] if table.names else column + 1}"
            shown = text.decode()[:40]
            if number:
                return GyrovaeError(where, expected=f"at most {limit:g} in size", received=shown)
            remedy = "Write decimals with a point." if re.fullmatch(rb"[+-]?\d+,\d+", text) else None
            return GyrovaeError(where, expected="a number", received=repr(shown), remedy=remedy)
    return GyrovaeError(f"{table.source}: not a table of numbers")


def _folder_meta(path: Path) -> tuple[float | None, str | None]:
    """Rate in Hz and units of the nearest `meta.json` that states a rate: in the file's folder or up to two above."""
    for folder in path.absolute().parents[:3]:
        candidate = folder / "meta.json"
        try:
            status = candidate.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found = _parse_meta(str(candidate), status.st_mtime_ns, status.st_size)
            if found[0] is not None:
                return found
    return None, None


@functools.lru_cache(maxsize=64)
def _parse_meta(path: str, _changed_ns: int, _size: int) -> tuple[float | None, str | None]:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise GyrovaeError(f"cannot read {path}: {error.strerror or error}") from error
    meta = _json_object(text, path)
    if "sample_rate_hz" not in meta:
        return None, None
    units = meta.get("units")
    rate = _positive(meta["sample_rate_hz"], f"{path}: sample_rate_hz")
    return rate, units if isinstance(units, str) and units else None
