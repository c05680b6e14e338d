"""Recordings of any length in, the shards of a dataset out: what a worker does, in three passes over them.

First the rows, segments and facts of each recording, from which follows which windows there are and which are held
back. Then the largest sample, and the windows that the front end is fitted to. Then the images. What comes of a task is
the same whoever does it, and how often.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.chunks import Mark
from gyrovae_tf.errors import GyrovaeError, readable
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.mixed import mixed
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal import frontend
from gyrovae_tf.spec import Spec
from gyrovae_tf.streaming import Stream, read

ROWS = 2_000_000
"""Rows of a long recording that are one task."""
_IMAGES = 1024  # windows whose images are made at once
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Surveyed:
    """A recording that is read anew in each pass."""

    stream: Stream
    marks: list[Mark]
    """Places to begin to read at."""
    starts: list[int]
    """The rows where segments begin."""
    mixed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of its file, columns that are not read and that part its rows, as labels do -> their values: see `mixed`."""

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Half-open row ranges without a gap inside."""
        return list(itertools.pairwise([*self.starts, len(self)]))

    def __len__(self) -> int:
        return self.stream.facts.rows

    def mark(self, row: int) -> Mark | None:
        """The last place to begin to read at for what begins at a row."""
        found = int(np.searchsorted([mark.row for mark in self.marks], row, side="right")) - 1
        return self.marks[found] if found > 0 else None


def survey(shared: tuple[float | None, bool], source: str | Recording) -> Surveyed:
    """A path, URL or recording in, what is known of it out.

    Shared are a rate for recordings without one, and whether samples are kept in memory: files are read once then.
    `GyrovaeError` when it is no recording.
    """
    rate_hz, kept = shared
    if isinstance(source, Recording):
        stream = Stream.of(source, rate_hz=rate_hz)
        return Surveyed(stream, *stream.survey())
    with readable(source):
        stream = Stream.of(read(source, rate_hz=rate_hz)) if kept else Stream.open(source, rate_hz=rate_hz)
        return Surveyed(stream, *stream.survey(), mixed=mixed(source))


class Stretch(NamedTuple):
    """Rows `first` to before `last` of a recording, to be looked at."""

    stream: Stream
    mark: Mark | None
    first: int
    last: int
    covered: Labels
    """[n, 2] ranges of its rows that training windows cover."""
    chosen: Labels
    """Rows of it where windows begin that the front end is fitted to."""


class Seen(NamedTuple):
    """What a stretch holds."""

    largest: float
    """The largest magnitude of a sample ..."""
    largest_trained: float
    """... and of those that training windows cover; 0 where there are none."""
    windows: NDArray[Any]
    """[n, N, 3] the chosen windows: counts where their size is known, else float64 in the recording's units."""


def stretches(recording: Surveyed, trained: Labels, chosen: Labels, window: int, rows: int) -> Iterator[Stretch]:
    """A recording and the rows where its training windows, and the chosen ones of these, begin in; its stretches out.

    A stretch is `rows` rows long; a recording that is not longer is one.
    """
    apart = np.diff(trained) > window
    begins, ends = (
        (trained[np.append(True, apart)], trained[np.append(apart, True)] + window) if len(trained) else (trained,) * 2
    )
    for first in range(0, len(recording), rows):
        last = min(first + rows, len(recording))
        low, high = np.searchsorted(ends, first, side="right"), np.searchsorted(begins, last)
        covered = np.stack([np.maximum(begins[low:high], first), np.minimum(ends[low:high], last)], axis=1)
        mine = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, last)]
        yield Stretch(recording.stream, recording.mark(first), first, last, covered, mine)


def look(shared: tuple[int, float | None], stretch: Stretch) -> Seen:
    """A window's length and, where it is known, the size of a count, and a stretch in; what it holds out."""
    window, lsb = shared
    found = np.empty((len(stretch.chosen), window, 3))
    largest, trained = [0.0], [0.0]
    end = max([stretch.last, *(stretch.chosen[-1:] + window).tolist()])
    with readable(stretch.stream.path):
        for piece in stretch.stream.pieces(stretch.mark):
            row, samples = piece.row, piece.samples
            if row >= end:
                break
            if row + len(samples) <= stretch.first:
                continue
            size = np.abs(samples)
            largest.append(float(size[max(stretch.first - row, 0) : max(stretch.last - row, 0)].max(initial=0.0)))
            near = np.searchsorted(stretch.covered[:, 1], [row, row + len(samples)], side="right")
            for low, high in stretch.covered[near[0] : near[1] + 1].tolist():
                trained.append(float(size[max(low - row, 0) : max(high - row, 0)].max(initial=0.0)))
            low, high = np.searchsorted(stretch.chosen, [row - window + 1, row + len(samples)])
            for index in range(low, high):
                start = int(stretch.chosen[index]) - row
                part = samples[max(start, 0) : start + window]
                found[index, max(-start, 0) : max(-start, 0) + len(part)] = part
    counts = found if lsb is None else frontend.to_counts(found, lsb)
    return Seen(max(largest), max(trained), counts)


class Run(NamedTuple):
    """All windows of a recording that begin in rows `first` to before `last`."""

    recording: int
    stream: Stream
    mark: Mark | None
    first: int
    last: int


class Portion(NamedTuple):
    """The windows of one shard."""

    part: str
    number: int
    first: int
    """The first one's number in its part."""
    windows: int
    """How many they are."""
    runs: tuple[Run, ...]


def portions(
    part: str, known: Sequence[Surveyed], origins: Labels, chosen: NDArray[np.bool_], size: int
) -> Iterator[Portion]:
    """A part's name, recordings, the origins of all windows, and which the part has, in; its shards out."""
    places = np.flatnonzero(chosen)
    for number, start in enumerate(range(0, len(places), size)):
        mine = places[start : start + size]
        recording, row = origins[mine].T
        apart = np.flatnonzero((np.diff(mine) != 1) | (np.diff(recording) != 0))
        runs = []
        for low, high in zip([0, *(apart + 1).tolist()], [*apart.tolist(), len(mine) - 1], strict=True):
            of, first = known[recording[low]], int(row[low])
            runs.append(Run(int(recording[low]), of.stream, of.mark(first), first, int(row[high]) + 1))
        yield Portion(part, number, start, len(mine), tuple(runs))


def make(shared: tuple[Spec, int], portion: Portion) -> dict[str, NDArray[Any]]:
    """A spec and a hop, and a shard's windows in; its arrays out: images, origins, features, windows."""
    spec, hop = shared
    parts, origins = [], []
    for run in portion.runs:
        with readable(run.stream.path):
            for batch in run.stream.windows(
                spec.window, hop, spec.lsb, first=run.first, last=run.last, mark=run.mark, batch=_IMAGES
            ):
                parts.append(batch.windows)
                origins.append(np.stack([np.full(len(batch.starts), run.recording), batch.starts], axis=1))
    if not parts:
        raise changed()
    windows = np.ascontiguousarray(np.concatenate(parts))  # the order of additions, and so last digits, follow it
    images = [frontend.images(windows[row : row + _IMAGES], spec) for row in range(0, len(windows), _IMAGES)]
    return {
        "images": np.concatenate(images),
        "origins": np.concatenate(origins).astype(np.int64),
        "features": log_band_energies(windows),
        "windows": windows,
    }


def changed() -> GyrovaeError:
    """What is wrong when other windows are found than there were."""
    return GyrovaeError("the recordings were changed while they were read", remedy="Preprocess them again.")
