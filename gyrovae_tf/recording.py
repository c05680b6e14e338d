"""Recordings of 3-axis motion: CSV files in; samples with their rate, units and gaps out, and back again.

`data/README.md` shows each format. What is not plain from a file is refused, never guessed:

- a header with `x,y,z`, or else an accelerometer's axes by a usual name (`accX` as Edge Impulse writes, `ax`, ...), or
  else `gyrX,gyrY,gyrZ`, among columns that are ignored, but for `segment` and a time (`timestamp`, `time`, ...);
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

import contextlib
import dataclasses
import functools
import itertools
import json
import math
import os
import stat
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import array, path_of, told
from gyrovae_tf.clock import Clock
from gyrovae_tf.csvtable import (
    FLATTENED,
    JOURNAL,
    LARGEST,
    Clockwork,
    Floats,
    columns,
    flattened,
    json_object,
    positive,
    read_head,
    read_notes,
    read_table,
    read_text,
)
from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.spec import RATE_TOLERANCE
from gyrovae_tf.wording import some

RESERVED = ("rate_hz", "units", "lsb")
GUESSED = "guessed_rate_hz"
"""The key in the metadata of a recording whose rate rests on a guess of what its times are in."""
UNEVEN = "uneven_times"
"""The key in the metadata of a recording whose times are uneven, as those of arrival are."""
_LARGEST_META = 16 << 20  # bytes
_END = 32_000  # counts, of the 32,767 that int16 holds: no machine's motion is there on average
_SLOWEST, _FASTEST = 2, 20_000  # Hz
_GIVE = "Give it with --rate-hz (rate_hz in Python), or as sample_rate_hz in a meta.json beside it."
_AT_FAULT = (
    "If its clock is at fault, or samples were stamped as they arrived, give --rate-hz (rate_hz in Python); if that "
    "does not help, remove the column of times, too, or call it what is no time, such as note."
)
_FOLDERS = 4  # from the file's own on: dataset/anomaly/kind/session/a.csv
_LIKE_G = (0.85, 1.15)  # g: what a sensor's offset and scale may be off
_LEFT_OF_G = 0.3  # on average, in a sensor that is turned about; of motion without gravity there is less
_MOST_PULL = 200.0  # m/s^2 on average: what a shaft's sensor may feel
_IN_NS = 1e-5  # samples in a millisecond of what the times count, by samples a second: nothing else counts so fast
_SURE = 500  # Hz: what is slower in one unit is too slow in the next larger one
_LIKELY = (4, 4000)  # Hz, where nothing says in what times are: what slower and faster ones look like is another unit


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

    def __repr__(self) -> str:
        rate = None if self.rate_hz is None else f"{self.rate_hz:g}"
        return (
            f"Recording(source={self.source!r}, samples=<{len(self)} x 3>, rate_hz={rate}, "
            f"segments=<{len(self.segments)}>, units={self.units!r})"
        )

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            object.__setattr__(
                self, "source", str(path_of(self.source, "source is not usable", "a name, for messages"))
            )
        samples = _own(self.samples, self.source)
        if samples.ndim != 2 or samples.shape[1] != 3 or not len(samples):
            raise GyrovaeError(
                f"{self.source}: no recording",
                expected="samples [n, 3], n at least 1",
                received=list(samples.shape),
            )
        if not np.abs(samples).max() <= LARGEST:  # NaN compares false
            raise GyrovaeError(f"{self.source}: a sample is not finite or larger than {LARGEST:g} {self.units}")
        samples.flags.writeable = False
        if not _covers(self.segments, len(samples)):
            raise GyrovaeError(
                f"{self.source}: segments do not cover the rows in order",
                expected=f"half-open ranges from 0 to {len(samples)}, such as ((0, {len(samples)}),)",
                received=told(self.segments),
            )
        if not (isinstance(self.units, str) and self.units):
            raise GyrovaeError(f"{self.source}: units", expected="a text", received=repr(self.units))
        if not isinstance(self.metadata, Mapping):
            raise GyrovaeError(f"{self.source}: metadata", expected="values by name", received=told(self.metadata))
        if any(key in self.metadata for key in RESERVED):
            raise GyrovaeError(f"{self.source}: metadata must not hold any of {', '.join(RESERVED)}")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "segments", tuple((int(start), int(stop)) for start, stop in self.segments))
        for name in ("rate_hz", "lsb"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, positive(value, f"{self.source}: {name}"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.samples.flags.writeable = False  # which a pickle and a copy do not keep

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, rate_hz: float | None = None) -> Recording:
        """Read a CSV file into a `Recording`; see the module's text for the formats.

        `rate_hz`, when given, is the recording's rate. It must agree with a rate stated in the file to 1 % and with
        one measured by its timestamps to 5 % (dt in whole ms: also to their resolution), or, where the file has
        neither, to 2 % with that of the `meta.json` below. Without it the rate is the stated one, else the measured
        one, else `sample_rate_hz` of a `meta.json` in the file's folder or up to three above, else None. That
        `meta.json`, or a nearer one without a rate, also gives the units where the format leaves them open (else
        m/s^2). Measured is the mean step within segments (of dt the median). A segment starts where a step is not
        positive or over 1.5 medians (whole ms: also over median + 1, so that 1.25 ms written as 1, 1, 1, 2 is no
        gap). Of a clock that runs unevenly, as of arrival or a coarse one, only long steps are gaps, and `metadata`
        says from where on (`UNEVEN`); where that is so of one step in a hundred and more, the rate must be known.
        """
        path = path_of(path, "this is no file", "the path of a recording")
        source = path.name
        given = check_rate_hz(rate_hz)
        text = read_text(path)
        metadata, start, line = read_head(text, source)
        if text.startswith(JOURNAL):
            del metadata["journal"]
            metadata |= read_notes(text[start:], line, source)
        stated, lsb, units = stated_by(metadata, source)
        table = read_table(text[start:], line, source)
        rest = {key: value for key, value in metadata.items() if key not in RESERVED}
        if table.names is None and table.fields[-1] >= FLATTENED:
            motion, skipped = flattened(table)
            if skipped:
                rest["skipped_values"] = skipped
        else:
            motion = columns(table)
        samples = motion.samples * (motion.factor if units is None else 1.0)
        rate, units, times = settled(
            source,
            given=given,
            stated=stated,
            times=motion.times,
            tick_ms=motion.tick_ms,
            clock=motion.clock,
            path=path,
            units=units or motion.units,
        )
        rest |= told_of_times(times, motion.tick_ms, given or stated, rate)
        breaks = motion.breaks
        if times is not None and motion.steps is not None:
            breaks = breaks | times.gaps(motion.steps)
        borders = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(samples)]
        samples.flags.writeable = False  # nobody else has it: it need not be copied
        return cls(samples, rate, tuple(itertools.pairwise(borders)), source, units, lsb, metadata=rest)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the recording as a CSV file that `read` gives back exactly: wholly, or not at all.

        Raises `GyrovaeError` when the file cannot be written or `metadata` holds what JSON cannot.
        """
        if str(path).lower().endswith(".parquet"):
            raise GyrovaeError(f"{path}: recordings are written as CSV", remedy="Choose a name that ends in .csv.")
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


def _own(given: Any, source: str) -> Floats:
    """Samples in, the same as float64 that nobody else can change out; `GyrovaeError` when they are no numbers."""
    found = array(given)
    if found.dtype.kind not in "fiub" or isinstance(given, np.ma.MaskedArray):
        raise GyrovaeError(
            f"{source}: no recording",
            expected="samples [n, 3] that are numbers, none of them masked",
            received=f"{type(given).__name__} of {found.dtype}",
        )
    samples = np.ascontiguousarray(found, np.float64)
    if samples.flags.writeable and np.may_share_memory(samples, found):
        samples = samples.copy()
    return samples.view()


def _covers(segments: Any, rows: int) -> bool:
    """Whether these are half-open ranges that cover so many rows in order, and nothing else."""
    try:
        borders = [0, *(stop for _, stop in segments)]
        whole = [(start, stop) for start, stop in itertools.pairwise(borders) if start < stop]
        return (
            list(map(tuple, segments)) == whole
            and borders[-1] == rows
            and all(int(border) == border for border in borders)
        )
    except (TypeError, ValueError):  # no pairs, or not of numbers
        return False


Source: TypeAlias = "Recording | str | os.PathLike[str]"
"""A recording, or the name of its file."""


def listed(recordings: Iterable[Source] | Source) -> list[Source]:
    """Recordings or names in, as a list out: one alone is one, and no text of many letters.

    `GyrovaeError` when there is anything else among them, such as samples that are no `Recording` yet.
    """
    if isinstance(recordings, Recording | str | os.PathLike):
        return [recordings]
    table = hasattr(recordings, "columns")  # a data frame, which is its columns' names to who goes through it
    found: list[Any] = list(recordings) if isinstance(recordings, Iterable) and not table else [recordings]
    for one in found:
        if not isinstance(one, Recording | str | os.PathLike):
            raise GyrovaeError(
                "this is no recording",
                expected="a gyrovae_tf.Recording, or the name of a file",
                received=told(one),
                remedy="Samples [n, 3] in memory become one: Recording(samples, rate_hz, ((0, len(samples)),), name).",
            )
    return found


def check_rate_hz(rate_hz: float | None) -> float | None:
    """A rate that a caller gives for recordings in, the same as a float out; None, where none is given, is fine."""
    return None if rate_hz is None else positive(rate_hz, "rate_hz")


def rated(recording: Recording, rate_hz: float | None) -> Recording:
    """A recording in, with `rate_hz` where it has no rate of its own out; `GyrovaeError` when it has another."""
    given = check_rate_hz(rate_hz)
    if given is None:
        return recording
    if recording.rate_hz is None:
        return dataclasses.replace(recording, rate_hz=given)
    _check_rate(recording.source, given, recording.rate_hz)
    return recording


class Described(Protocol):
    """What is known of a recording without its samples."""

    @property
    def source(self) -> str:
        """Where it came from."""

    @property
    def rate_hz(self) -> float | None:
        """Samples a second."""

    @property
    def units(self) -> str:
        """Of its samples."""


def check_alike(known: Sequence[Described]) -> None:
    """Refuse recordings (or streams) that do not belong together, as what is read together must."""
    if not known:
        raise GyrovaeError("no recordings", expected="at least one CSV file", received="none")
    first = known[0]
    for other in known:
        if other.rate_hz is None or first.rate_hz is None:
            raise GyrovaeError(f"{other.source}: nothing says its sample rate", remedy=_GIVE)
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


def check_fits(known: Described, rate_hz: float, units: str) -> None:
    """Refuse a recording (or a stream) of another rate (by more than 2 %) or other units than a detector is for."""
    if known.rate_hz is None:
        raise GyrovaeError(
            f"{known.source}: nothing says its sample rate",
            expected=f"{rate_hz:g} Hz, which the detector was made for",
            remedy=_GIVE,
        )
    if abs(known.rate_hz / rate_hz - 1) > RATE_TOLERANCE:
        raise GyrovaeError(
            f"{known.source} was recorded at another rate than the detector was made for",
            expected=f"{rate_hz:g} Hz",
            received=f"{known.rate_hz:g} Hz",
            remedy=f"Record at that rate. {_AT_FAULT}",
        )
    if known.units != units:
        raise GyrovaeError(
            f"{known.source} is in other units than the detector was made for",
            expected=units,
            received=known.units,
            remedy="Give recordings in those units. (Columns that are called x (g), y (g), z (g) become m/s^2.)",
        )


def sum_of_means(windows: NDArray[Any]) -> Floats:
    """Windows [k, N, 3] in, the sum of their means [3] out: those of parts can be added up."""
    total: Floats = windows.mean(axis=1, dtype=np.float64).sum(axis=0)
    return total


def pull_of(means: Floats, count: int, step: float) -> float:
    """The sum of so many windows' means [3] and what one is in them in, the magnitude of the mean of all out.

    That is gravity, where nothing else pulls.
    """
    return float(np.linalg.norm(means)) / max(count, 1) * step


def turned_pull(pull: float, size: float) -> float:
    """The magnitude of the mean acceleration and the mean of its magnitudes in, what tells how large gravity is, out.

    That is the first, but in a sensor that is turned about, where the second could be gravity in g.
    """
    return size if pull >= _LEFT_OF_G and _LIKE_G[0] < size < _LIKE_G[1] else pull


def odd_pulls(
    pulls: Sequence[tuple[str, float]], units: str, what: str = "recordings", *, lsb: float | None = None
) -> tuple[str, ...]:
    """Recordings with the magnitude of their mean acceleration, and its units, in; what is odd in that out.

    Gravity tells whether what is called m/s^2 is in g, or in counts of a sensor. Nothing is said of other units, but
    where the means are those of a detector's counts of `lsb`, and are where its counts end.
    """
    found = []
    end = math.inf if lsb is None else _END * lsb
    cut = [name for name, pull in pulls if pull >= end]
    if cut:
        found.append(
            f"The mean of {len(cut)} of {len(pulls)} {what} ({some(cut)}) lies beyond {end:.3g} {units}, where the "
            f"counts of this detector ({lsb:g} {units}) end: the windows were cut off there, and their scores say "
            f"nothing. Are these in {units}, in thousandths of g (mg), or in counts of the sensor?"
        )
    for low, high, why, remedy in (
        (
            *_LIKE_G,
            "as gravity is in g",
            'If it is in g, say so in the names of the columns, "x (g),y (g),z (g)": the device measures in m/s^2.',
        ),
        (
            *(_MOST_PULL, math.inf),
            "where gravity is 9.8",
            "If these are thousandths of g (mg), mm/s^2 or counts of the sensor, multiply them by what one is in "
            "m/s^2: that is what the device measures in.",
        ),
    ):
        odd = [(name, pull) for name, pull in pulls if units == "m/s^2" and low < pull < min(high, end)]
        if odd:
            names = some([name for name, _ in odd])
            where = f" in {len(odd)} of {len(pulls)} {what} ({names})" if len(odd) < len(pulls) else ""
            mean = statistics.median(pull for _, pull in odd)
            found.append(f"The mean acceleration{where} is {mean:,.2f} m/s^2, {why}. {remedy}")
    return tuple(found)


def too_short(window: int, longest: int, most: int | None = None, *, source: str = "") -> GyrovaeError:
    """A window's length and the most samples that there are without a gap in, what is wrong with these out.

    `most`: of the recording that has most, gaps or not, where that is known; `source`: its name, where it is one.
    """
    what = f"{source}: too few samples" if source else "too few samples"
    if most is not None and most >= window:
        return GyrovaeError(
            f"{what} for one window of {window}: gaps cut the recording into short stretches, as its times "
            "repeat, go back or jump, or its segments are short",
            expected=f"at least {window} samples without a gap",
            received=f"{longest} at the most, of {most} in all",
            remedy=f"Record longer without gaps. {_AT_FAULT}",
        )
    return GyrovaeError(
        f"{what} for one window of {window}",
        expected=f"at least {window} samples without a gap",
        received=f"{longest} at the most",
        remedy="Record longer, without gaps (times that repeat or jump are gaps). With a smaller --window in "
        "preprocess fewer samples do.",
    )


def _check_folder_rate(source: str, given: float, path: Path) -> None:
    """Refuse a given rate where the file says none, and a meta.json that can be read says another."""
    rate, file = None, None
    with contextlib.suppress(GyrovaeError):
        rate, _, file = _folder_meta(path)
    if rate is not None and not abs(given / rate - 1) <= RATE_TOLERANCE:
        raise GyrovaeError(
            f"{source}: its rate is not the given one",
            expected=f"{given:g} Hz (given)",
            received=f"{rate:g} Hz (stated in {file})",
            remedy="Correct the rate, or that file.",
        )


def _check_rate(source: str, given: float, stated: float) -> None:
    if not abs(given - stated) <= 0.01 * stated:
        raise GyrovaeError(
            f"{source}: its rate is not the given one",
            expected=f"{given:g} Hz (given)",
            received=f"{stated:g} Hz (stated in the recording)",
        )


def stated_by(metadata: Mapping[str, Any], source: str) -> tuple[float | None, float | None, str | None]:
    """What a file says of itself in, its stated rate, lsb and units out; each None where it says nothing."""
    stated, lsb = (
        None if metadata.get(key) is None else positive(metadata[key], f"{source}: {key} in its metadata line")
        for key in ("rate_hz", "lsb")
    )
    units = metadata.get("units")
    if units is not None and not (isinstance(units, str) and units):
        raise GyrovaeError(f"{source}: units in its metadata line", expected="a text", received=repr(units))
    return stated, lsb, units


def settled(
    source: str,
    *,
    given: float | None,
    stated: float | None,
    times: Clock | None,
    tick_ms: float | None,
    clock: Clockwork | None,
    path: Path | None,
    units: str | None,
) -> tuple[float | None, str, Clock | None]:
    """A rate that is given, stated in the file or measured by its times, and units in; rate, units and times out.

    `times` are as for timestamps in milliseconds; `tick_ms` says what they are in (see `header.Header`), and `clock`
    what they are called. What is open then a meta.json near `path` may say. Refuses what does not fit together, and
    times that cannot be read, or that samples share, where nothing else says the rate; see `Recording.read`.
    """
    named = clock is not None and clock.name is not None
    column = f"column {clock.name}, or call it what is no time, such as note" if clock and named else "last column"
    without = f"If its clock is at fault, remove the {column}, and give --rate-hz (rate_hz in Python)."
    known, whose = given or stated, "given" if given else "stated in the file"
    clocks = times
    times, measured = _fitting(clocks, tick_ms, known)
    if path is not None and not known and clocks and (clocks.unsure or clocks.bursts):
        found, _, file = _folder_meta(path)
        other, gives = _fitting(clocks, tick_ms, found)
        if found and other and gives and (clocks.unsure or other is clocks.bursts):
            known, whose, times, measured = found, f"stated in {file}", other, gives
    rate = known or measured
    if times and times.counts and tick_ms is None and known and measured and not _fits(measured, known, 0.0):
        measured = None  # it counts samples
    if given and stated:
        _check_rate(source, given, stated)
    if times and rate and measured and not _fits(measured, rate, times.slack_ms):
        raise GyrovaeError(
            f"{source}: its timestamps do not fit its rate",
            expected=f"{rate:g} Hz ({whose})",
            received=f"{measured:.5g} Hz (measured by its timestamps)",
            remedy=f"Correct the rate. {without}",
        )
    whole = clocks and (clocks.bursts or clocks.late)
    if clocks and clocks.unsure and whole and whole.measured_hz and not known:
        mean = _measured(whole.measured_hz, tick_ms, None, 0.0)
        raise GyrovaeError(
            f"{source}: its times run so unevenly that they do not say its rate",
            expected="samples that follow one another in even steps, or a rate that is known",
            received=f"{mean:.5g} a second on the whole, {100 * whole.behind:.0f} % right behind another, or with it",
            remedy="If they are of one sensor, and were stamped as they arrived or by a coarse clock, give --rate-hz "
            "(rate_hz in Python). If they are of several sensors, or written twice, make a file of one of each.",
        )
    if measured and rate == measured and not 0.99 * _SLOWEST <= measured <= 1.01 * _FASTEST:
        raise GyrovaeError(
            f"{source}: its timestamps give {measured:.5g} Hz",
            expected=f"{_SLOWEST} to {_FASTEST} Hz",
            remedy=f"Say what its times are in by the column's name, such as time_s, time_us or time_ns. {_AT_FAULT}",
        )
    if path is not None and (rate is None or units is None):
        folder_rate, folder_units, _ = _folder_meta(path)
        rate, units = rate or folder_rate, units or folder_units
    if path is not None and given and not (stated or measured):
        _check_folder_rate(source, given, path)
    if rate is None and clock is not None and clock.unread is not None:
        raise GyrovaeError(
            f"{source}: nothing says its sample rate, as its column {clock.name} holds no times that can be read",
            expected="numbers, or times with parts of a second such as 12:00:00.005 or 2024-05-01T12:00:00.005",
            received=clock.unread,
            remedy=_GIVE,
        )
    return rate, units or "m/s^2", times


def told_of_times(
    times: Clock | None, tick_ms: float | None, known: float | None, rate: float | None
) -> dict[str, Any]:
    """Times, what they are in, a rate that is given or stated, and the rate in; what metadata say of them out."""
    return _uneven(times, tick_ms, rate) | _guessed(times, tick_ms, known, rate)


def _uneven(times: Clock | None, tick_ms: float | None, rate: float | None) -> dict[str, Any]:
    """Times, what they are in, and a rate in; what a recording's metadata say of times that run unevenly out.

    Under "uneven_times": `rate_hz`, the samples a second on the whole, and `gap_s`, the longest step in seconds that is
    no gap: shorter ones cannot be told.
    """
    if times is None or not times.behind or not times.measured_hz or rate is None:
        return {}
    hz = _measured(times.measured_hz, tick_ms, rate, times.slack_ms)
    steps = times.longest * times.measured_hz / 1000
    return {UNEVEN: {"rate_hz": round(hz, 3), "gap_s": round(steps / hz, 4)}}


def _guessed(times: Clock | None, tick_ms: float | None, known: float | None, rate: float | None) -> dict[str, Any]:
    """Times, what they are in, a rate that is given or stated, and the rate in; what metadata say of a guess out.

    Under "guessed_rate_hz" that rate, where times say it in a unit that nothing says, and it is so high that a larger
    unit could be meant: seconds for milliseconds, or no time but a count of samples.
    """
    if times is None or tick_ms is not None or known or not times.measured_hz or rate is None or rate < _SURE:
        return {}
    if times.measured_hz < _IN_NS * rate or rate != _measured(times.measured_hz, None, None, times.slack_ms):
        return {}
    return {GUESSED: round(rate, 3)}


def _fitting(times: Clock | None, tick_ms: float | None, rate: float | None) -> tuple[Clock | None, float | None]:
    """Times, and what they are in, in; what of them fits a rate, if anything does, and the rate that it gives out.

    Whether samples were late, or some were lost or came twice, is told by which of the two fits better. Steps that
    could be of lost samples are taken for those of a loop that jitters only where nothing else fits.
    """
    if times is None or not times.measured_hz:
        return times, None
    last_resorts = (times.bursts, times.jitter) if times.whole else (times.bursts,)
    known = [
        (clock, hz)
        for clock in (times.late, times, times.jitter, times.bursts)
        if clock and clock.measured_hz and (hz := _measured(clock.measured_hz, tick_ms, rate, clock.slack_ms))
    ]
    fits = [(clock, hz) for clock, hz in known if rate and _fits(hz, rate, clock.slack_ms)]
    sure = [(clock, hz) for clock, hz in fits if not any(clock is one for one in last_resorts)]
    if rate and (sure or fits):
        return min(sure or fits, key=lambda found: abs(math.log(found[1] / rate)))
    return times, _measured(times.measured_hz, tick_ms, rate, times.slack_ms)


def _measured(per_tick: float, tick_ms: float | None, rate: float | None, slack_ms: float) -> float:
    """The rate that timestamps give as milliseconds, what they are in, and a known rate in; the rate they give out.

    Where nothing says what they are in, it is milliseconds, seconds, microseconds or nanoseconds: the first that fits
    the known rate, or else gives a likely one, or else one that can be.
    """
    if tick_ms is not None:
        return per_tick / tick_ms
    could_be = [per_tick / tick for tick in (1.0, 1000.0, 1e-3, 1e-6)]
    fitting = [hz for hz in could_be if rate and _fits(hz, rate, slack_ms)]
    likely, possible = ([hz for hz in could_be if low <= hz <= high] for low, high in (_LIKELY, (_SLOWEST, _FASTEST)))
    return (fitting or likely or possible or could_be)[0]


def _fits(measured: float, rate: float, slack_ms: float) -> bool:
    return 950 / measured <= 1000 / rate <= 1.05 * (1000 / measured + slack_ms)


def _folder_meta(path: Path) -> tuple[float | None, str | None, Path | None]:
    """Rate in Hz, units and path of the nearest `meta.json` that states a rate: beside the file or above.

    Units count without a rate, too: a file whose times tell its rate needs no other. Of two such files the nearest
    counts.
    """
    nearest: str | None = None
    for folder in path.absolute().parents[:_FOLDERS]:
        candidate = folder / "meta.json"
        try:
            status = candidate.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            rate, units = _parse_meta(str(candidate), status.st_mtime_ns, status.st_size)
            nearest = nearest or units
            if rate is not None:
                return rate, nearest, candidate
    return None, nearest, None


@functools.lru_cache(maxsize=64)
def _parse_meta(path: str, _changed_ns: int, _size: int) -> tuple[float | None, str | None]:
    meta = json_object(read_file(path, largest=_LARGEST_META), path)
    units = meta.get("units")
    rate = positive(meta["sample_rate_hz"], f"{path}: sample_rate_hz") if "sample_rate_hz" in meta else None
    return rate, units if isinstance(units, str) and units else None
