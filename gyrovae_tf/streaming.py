"""Recordings of any length in, their windows a batch at a time out: CSV or Parquet, files, folders, patterns or URLs.

What is held in memory is a few pieces of a file, whatever its length.
"""

from __future__ import annotations

import bisect
import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import instance, path_of, whole
from gyrovae_tf.chunks import Facts, Mark, Piece, is_url, name_of, optional
from gyrovae_tf.csvchunks import CsvChunks
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.parquetchunks import ParquetChunks
from gyrovae_tf.recording import Recording, Source, check_alike, listed, rated
from gyrovae_tf.signal.frontend import check_lsb, to_counts
from gyrovae_tf.wording import first_of

BATCH = 1024
"""Windows at a time."""
ENDINGS = (".csv", ".parquet")
"""How files in a folder end that are recordings."""
_PACKED = (".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".zip")


class Batch(NamedTuple):
    """Some windows of one recording."""

    windows: NDArray[Any]
    """[k, N, 3] in int16 counts, or in float32 of the recording's units."""
    starts: NDArray[np.int64]
    """[k] the first row of each."""
    segments: NDArray[np.int64]
    """[k] the segment that each lies in, from 0."""

    def part(self, rows: slice) -> Batch:
        """Some of them."""
        return Batch(self.windows[rows], self.starts[rows], self.segments[rows])


@dataclass(frozen=True)
class Stream:
    """A recording that is read piece by piece. It can be sent to other processes."""

    path: str
    """Its path or URL."""
    facts: Facts
    """Rows, rate, units, lsb and metadata, as `Recording.read` finds them."""
    _chunks: CsvChunks | ParquetChunks | _Held = field(repr=False)

    @classmethod
    def open(cls, path: str | PathLike[str], *, rate_hz: float | None = None) -> Stream:
        """A file's path or URL in; `rate_hz` as for `Recording.read`. `GyrovaeError` when it is no recording.

        Reads it once through, without keeping it. Named .parquet it is Parquet, else CSV.
        """
        name = path if isinstance(path, str) else fspath(path_of(path, "this is no file", "a recording's path or URL"))
        kind = ParquetChunks if name.lower().endswith(".parquet") else CsvChunks
        chunks = kind(name, rate_hz)
        return cls(name, chunks.facts, chunks)

    @classmethod
    def of(cls, recording: Recording, *, rate_hz: float | None = None) -> Stream:
        """A recording that is in memory in, the same as a stream out; `rate_hz` where it has none of its own."""
        recording = rated(instance(recording, "this is no recording", Recording), rate_hz)
        facts = Facts(len(recording), recording.rate_hz, recording.units, recording.lsb, dict(recording.metadata))
        return cls(recording.source, facts, _Held(recording))

    @property
    def source(self) -> str:
        """The file's name, for messages."""
        return name_of(self.path)

    @property
    def rate_hz(self) -> float | None:
        """Samples a second; None where nothing says it."""
        return self.facts.rate_hz

    @property
    def units(self) -> str:
        """Of the samples."""
        return self.facts.units

    def marks(self) -> list[Mark]:
        """Places where `windows` may begin to read, in order: one more pass over the file."""
        return self.survey()[0]

    def survey(self) -> tuple[list[Mark], list[int]]:
        """The same, and the rows where segments begin."""
        return self._chunks.marks()

    def pieces(self, mark: Mark | None = None) -> Iterator[Piece]:
        """The samples from a mark (or the first row) on."""
        return self._chunks.pieces(mark)

    def recording(self) -> Recording:
        """All of it at once, for recordings that fit into memory."""
        pieces = list(self.pieces())
        starts = [row for piece in pieces for row in piece.starts()]
        _, rate, units, lsb, metadata = self.facts
        segments = tuple(zip(starts, [*starts[1:], self.facts.rows], strict=True))
        samples = np.concatenate([piece.samples for piece in pieces])
        return Recording(samples, rate, segments, self.source, units, lsb, metadata)

    def longest(self) -> int:
        """The most samples without a gap: all of it is read; `GyrovaeError` where it has other rows by now."""
        starts, rows = list[int](), 0
        for piece in self.pieces():
            starts += piece.starts()
            rows += len(piece.samples)
        if rows != self.facts.rows:
            raise GyrovaeError(f"{self.path} was changed while it was read", remedy="Do the same once it is whole.")
        return max(stop - start for start, stop in itertools.pairwise([*starts, rows]))

    def windows(
        self,
        window: int,
        hop: int,
        lsb: float | None,
        *,
        first: int = 0,
        last: int | None = None,
        mark: Mark | None = None,
        batch: int = BATCH,
    ) -> Iterator[Batch]:
        """Windows of `window` samples, `hop` apart from the start of each segment, in counts of `lsb`, in order.

        They are those that `learn.cutting.cut` (without an `lsb` `cut_samples`: float32 in its units) cuts out of the
        whole recording, of which those that begin in rows `first` to before `last`. `mark` is one at or before
        `first`, to begin to read at. `GyrovaeError` for lengths, counts' sizes and batches that are none.
        """
        window = whole(window, "the window length is not usable", 1)
        hop = whole(hop, "the hop is not usable", 1)
        batch = whole(batch, "batch is not usable", 1)
        return self._windows(window, hop, check_lsb(lsb), first, last, mark, batch)

    def _windows(
        self,
        window: int,
        hop: int,
        lsb: float | None,
        first: int,
        last: int | None,
        mark: Mark | None,
        batch: int,
    ) -> Iterator[Batch]:
        """The same, of what was checked when it was asked for."""
        run = _Run(window, hop, first, self.facts.rows if last is None else last, mark)
        ready: list[Batch] = []
        count = 0
        for piece in self.pieces(mark):
            if piece.row >= run.last + window:
                break
            counts = piece.samples.astype(np.float32) if lsb is None else to_counts(piece.samples, lsb)
            # A piece may go on with the segment of the one before.
            borders = np.unique([0, *np.flatnonzero(piece.breaks), len(counts)])
            for start, stop in itertools.pairwise(borders.tolist()):
                for found in run.add(counts[start:stop], piece.row + start, begins=bool(piece.breaks[start])):
                    ready.append(found)
                    count += len(found.starts)
                    if count >= batch:
                        joined = _joined(ready)
                        for place in range(0, count - batch + 1, batch):
                            yield joined.part(slice(place, place + batch))
                        ready, count = [joined.part(slice(count - count % batch, None))], count % batch
        if count:
            yield _joined(ready)


@dataclass(frozen=True)
class _Held:
    """A recording in memory, given in pieces."""

    recording: Recording

    _ROWS = 1 << 16

    def marks(self) -> tuple[list[Mark], list[int]]:
        starts = [start for start, _ in self.recording.segments]
        found = []
        for row in range(0, len(self.recording), self._ROWS):
            segment = bisect.bisect_right(starts, row) - 1
            found.append(Mark(row, row, 1, segment, starts[segment]))
        return found, starts

    def pieces(self, mark: Mark | None = None) -> Iterator[Piece]:
        breaks = np.zeros(len(self.recording), np.bool_)
        breaks[[start for start, _ in self.recording.segments]] = True
        for row in range(0 if mark is None else mark.row, len(breaks), self._ROWS):
            part = slice(row, row + self._ROWS)
            yield Piece(row, self.recording.samples[part], breaks[part])


class _Run:
    """The end of the segment that is being read: what has come of it and is needed for further windows."""

    _MOST = 256  # windows that are copied at once

    def __init__(self, window: int, hop: int, first: int, last: int, mark: Mark | None) -> None:
        self._window, self._hop, self._first, self.last = window, hop, first, last
        self._segment, self._began = (-1, 0) if mark is None else (mark.segment, mark.began)
        if mark is not None and mark.began == mark.row:
            self._segment -= 1  # counted when it begins
        self._kept: list[NDArray[Any]] = []
        self._row = 0  # of the first kept sample
        self._length = 0
        self._next = self._grid(0 if mark is None else mark.row)

    def _grid(self, row: int) -> int:
        """The first window's start at or behind a row, and within what is asked for."""
        behind = max(row, self._first) - self._began
        return self._began + max(-(-behind // self._hop), 0) * self._hop

    def add(self, counts: NDArray[Any], row: int, *, begins: bool) -> Iterator[Batch]:
        """Samples of one segment, which it may begin with, and the first one's row in; windows that are whole out."""
        if begins:
            self._segment, self._began = self._segment + 1, row
            self._next = self._grid(row)
        if begins or not self._kept:
            self._kept, self._row, self._length = [], row, 0
        self._kept.append(counts)
        self._length += len(counts)
        # Starts of windows that end within what is here.
        stop = min(self._row + self._length - self._window + 1, self.last)
        if self._next >= stop:
            self._drop()
            return
        samples = np.concatenate(self._kept)
        views = np.lib.stride_tricks.sliding_window_view(samples, self._window, axis=0).swapaxes(1, 2)
        starts = np.arange(self._next, stop, self._hop, dtype=np.int64)
        for place in range(0, len(starts), self._MOST):
            part = starts[place : place + self._MOST]
            yield Batch(views[part - self._row], part, np.full(len(part), self._segment, np.int64))
        self._kept = [samples]
        self._next = int(starts[-1]) + self._hop
        self._drop()

    def _drop(self) -> None:
        """Let go of the samples in front of the next window."""
        needless = min(max(self._next - self._row, 0), self._length)
        if needless and len(self._kept) == 1:
            self._kept = [self._kept[0][needless:].copy()]
        elif needless:
            self._kept = [np.concatenate(self._kept)[needless:]]
        self._row, self._length = self._row + needless, self._length - needless


def _joined(parts: Sequence[Batch]) -> Batch:
    return parts[0] if len(parts) == 1 else Batch(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def read_all(recordings: Iterable[Source] | Source, *, rate_hz: float | None = None) -> list[Recording]:
    """Recordings that belong together, or names as for `find_recordings`, in; all of one rate and unit, in memory, out.

    `rate_hz` is for those that do not state a rate. Raises `GyrovaeError` when there are none, a file is bad, two
    disagree (in rate by more than 1 %), or nothing says a rate.
    """
    return read_sources(sources_of(recordings), rate_hz=rate_hz)


def read_sources(sources: Iterable[Recording | str], *, rate_hz: float | None = None) -> list[Recording]:
    """What `sources_of` gives in, all of it out: see `read_all`."""
    known = [
        rated(source, rate_hz) if isinstance(source, Recording) else read(source, rate_hz=rate_hz) for source in sources
    ]
    check_alike(known)
    return known


def read(name: str, *, rate_hz: float | None = None) -> Recording:
    """The path of a CSV or Parquet file, or its URL, in; all of it out: a path of a CSV file as `Recording.read`."""
    if is_url(name) or name.lower().endswith(".parquet"):
        return Stream.open(name, rate_hz=rate_hz).recording()
    return Recording.read(name, rate_hz=rate_hz)


def find_recordings(names: Iterable[Source] | Source) -> list[str]:
    """Names in; paths and URLs of recordings out, in order and each once.

    A folder stands for the .csv and .parquet files in it and in its folders, a pattern (`**` is any number of folders)
    for what it matches; both may be URLs of a file system that fsspec knows. One name alone may be given as it is.
    `GyrovaeError` where nothing is found.
    """
    found: list[str] = []
    for source in sources_of(names):
        if isinstance(source, Recording):
            raise GyrovaeError(
                f"{source.source} is in memory, and files are needed here", remedy="Write it first: Recording.write."
            )
        found.append(source)
    return found


def sources_of(recordings: Iterable[Source] | Source) -> list[Recording | str]:
    """Recordings and names in; the recordings as they are, and what `find_recordings` makes of the names, out."""
    found: list[Recording | str] = []
    known: set[str] = set()
    for given in listed(recordings):
        if isinstance(given, Recording):
            found.append(given)
            continue
        for name in _found(fspath(given)):
            place = name if is_url(name) else os.path.abspath(name)  # noqa: PTH100  # resolve() would follow links
            if place not in known:
                found.append(name)
                known.add(place)
    return found


def _found(name: str) -> list[str]:
    if inside := _in_url(name) if is_url(name) else _in_folder(name):
        return inside
    problem = f"nothing matches {name}" if _is_pattern(name) else f"{name} holds no {' or '.join(ENDINGS)} files"
    folder = Path(name)
    others = sorted(file.name for file in _below(folder) if file.name[0] != ".") if folder.is_dir() else []
    if not others:
        raise GyrovaeError(problem)
    packed = any(file.lower().endswith(_PACKED) for file in others)
    remedy = "Unpack them." if packed else "Where recordings in CSV are among these, let their names end in .csv."
    raise GyrovaeError(problem, received=first_of(others), remedy=remedy)


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _is_recording(inside: Iterable[str]) -> bool:
    """Whether a file is one, by the names from the folder that was given on."""
    *folders, file = inside
    return file.lower().endswith(ENDINGS) and not any(part.startswith(".") for part in (*folders, file))


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder, those in folders elsewhere that are linked there, too, but each folder's once."""
    root, seen = Path(os.path.realpath(folder)), set[str]()

    def leads_back(path: Path) -> bool:
        """Whether it is a link to this folder, into it or to one around it, whose files have other names already."""
        if not path.is_symlink():
            return False
        place = Path(os.path.realpath(path))
        return root in (place, *place.parents) or place in root.parents

    def refuse(error: OSError) -> None:
        """Of a folder that was given; of those in it others are read."""
        if error.filename is not None and Path(error.filename) == folder:
            raise GyrovaeError(f"cannot read {folder}: {error.strerror or error}") from error

    for here, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        place = os.path.realpath(here)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = [name for name in sorted(folders) if not name.startswith(".") and not leads_back(Path(here, name))]
        yield from (Path(here, file) for file in files)


def _in_folder(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        inside = (file for file in _below(path) if _is_recording(file.relative_to(path).parts))
        return sorted(str(file) for file in inside if file.is_file())
    if not path.exists() and _is_pattern(name):
        return sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())  # noqa: PTH207
    return [name]


def _in_url(name: str) -> list[str]:
    try:
        system, path = optional("fsspec").core.url_to_fs(name)
        if _is_pattern(path):
            return sorted(system.unstrip_protocol(file) for file in system.glob(path) if system.isfile(file))
        if system.isdir(path):
            inside = (file for file in system.find(path) if _is_recording(file[len(path) :].split("/")))
            return sorted(map(system.unstrip_protocol, inside))
    except (OSError, ValueError, ImportError) as error:  # ImportError: a scheme whose package is not installed
        raise GyrovaeError(f"cannot read {name}: {error}") from None
    return [name]
