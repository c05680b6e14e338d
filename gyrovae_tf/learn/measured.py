"""Test recordings of each kind in, what detector and baseline make of every window of them out, shard by shard.

Recordings are read piece by piece, so what is in memory is some tens of bytes a window, whatever they are long.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.chunks import is_url, name_of
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.baseline import Mahalanobis, log_band_energies
from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.learn.learnt import Learnt, share_of
from gyrovae_tf.learn.stock_data import counts_of
from gyrovae_tf.parts import Part, Parts, completed
from gyrovae_tf.recording import Recording, check_alike, check_fits, pull_of, sum_of_means, too_short
from gyrovae_tf.scoring import LONG_BYTES, SHARD_ROWS, stamp
from gyrovae_tf.shards import Job, Shard, detector_for, divide, identity, step_of, windows_of
from gyrovae_tf.stockdetector import StockScores
from gyrovae_tf.streaming import BATCH, Stream
from gyrovae_tf.temporary import releasing
from gyrovae_tf.workers import check_jobs, cores, results

_MANY_WINDOWS = 20_000
"""With fewer, one process is done before further ones have started."""
_BUNCH_ROWS = 250_000
"""Of little recordings, so many rows are one task."""
_STOCK = ("ratios", "too_low", "figures", "wrapped")
"""What `StockScores` holds beside the score."""


class Way(NamedTuple):
    """How the work is done."""

    jobs: int | None = 1
    """Processes of this computer; None: one for little, one a core for much."""
    scheduler: str | None = None
    """Address of a Dask scheduler, whose workers do it instead."""
    parts: str | PathLike[str] | None = None
    """A folder to keep in, until all is done, what is done."""
    shard_rows: int = SHARD_ROWS
    """Rows of a long recording that are done at a time."""
    long_bytes: int = LONG_BYTES
    """Files that have no more together are read at once."""

    def workers(self, *, much: bool) -> dict[str, Any]:
        """How many workers, as the arguments of `workers.results`."""
        jobs = self.jobs if self.jobs is not None else cores() if much else 1
        return {"jobs": jobs, "scheduler": self.scheduler}


@dataclass(frozen=True)
class Measured:
    """What came of all windows of one kind of motion, in order."""

    score: NDArray[np.float64]
    """[k] 1.0 is the alarm."""
    segments: NDArray[np.int64]
    """[k] changes from one window to the next where there is a gap, or another recording begins."""
    distance: NDArray[np.float64] | None
    """[k] of the baseline; None without one."""
    pull: float
    """Magnitude of the mean of its windows, in units of the detector: what gravity is in them."""
    learnt: float
    """Share of them that were learnt; 0, too, where it is not known what was."""
    stock: StockScores | None
    """What a detector for the stock firmware finds."""
    shards: tuple[Shard, ...]
    """Where the windows come from."""
    counts: tuple[int, ...]
    """How many come from each."""

    def windowless(self) -> list[str]:
        """Names of the recordings that none of the windows is of."""
        counts, names = dict[int, int](), dict[int, str]()
        for shard, count in zip(self.shards, self.counts, strict=True):
            counts[shard.recording] = counts.get(shard.recording, 0) + count
            names[shard.recording] = name_of(shard.path)
        return [names[recording] for recording, count in counts.items() if not count]

    def windows(self, job: Job, places: NDArray[np.intp]) -> NDArray[Any]:
        """Some windows, by their places in order, read once more."""
        found, first = [], 0
        for shard, count in zip(self.shards, self.counts, strict=True):
            mine = places[(places >= first) & (places < first + count)] - first
            first += count
            for batch in windows_of(job, shard) if len(mine) else ():
                found.append(batch.windows[mine[(mine >= 0) & (mine < len(batch.starts))]])
                mine = mine - len(batch.starts)
        return np.concatenate(found)


@releasing()
def measure(
    job: Job,
    sources: Mapping[str, Sequence[Recording | str]],
    classical: Mahalanobis | None,
    way: Way,
    progress: Progress | None,
    *,
    learnt: Learnt | None = None,
) -> dict[str, Measured]:
    """A detector's job, recordings (or files, as of `sources_of`) of each kind and a baseline in; `Measured` out.

    `learnt` is what is known of what the detector learnt.
    `GyrovaeError`, which names the kind, when recordings are of another rate or other units than the detector or each
    other, or too short for a window.
    """
    if way.jobs is not None:
        check_jobs(way.jobs)
    parts = _parts(job, sources, classical, learnt, way)
    bunches = {kind: _bunches(shards, way) for kind, shards in _divided(job, sources, way, progress).items()}
    every = [(kind, bunch) for kind, mine in bunches.items() for bunch in mine]
    workers = way.workers(much=sum(bunch.rows for _, bunch in every) // job.hop > _MANY_WINDOWS)
    alone = workers["scheduler"] is None and min(workers["jobs"], len(every)) == 1
    bar = None if progress is None else _Bar(progress, bunches, alone=alone)
    work = (job, classical, learnt, bar.moved if bar and alone else None)
    found: dict[str, Part] = {}
    tasks = [bunch for _, bunch in every]
    with closing(completed(measure_bunch, work, tasks, parts, **workers)) as done:  # a refusal ends the workers
        for index, part, _ in done:
            kind, bunch = every[index]
            if isinstance(part, GyrovaeError):
                raise _of(kind, part)
            found[bunch.file] = part
            if bar:
                bar.moved(bunch, bunch.rows)
    measured = {kind: _joined(job, kind, mine, found) for kind, mine in bunches.items()}
    if parts is not None:
        parts.remove()
    return measured


class Bunch(NamedTuple):
    """Shards of one kind that are one task: many little ones, or a large one."""

    shards: tuple[Shard, ...]

    @property
    def file(self) -> str:
        """The name of their part."""
        return self.shards[0].file

    @property
    def rows(self) -> int:
        """How many they have."""
        return sum(map(_rows, self.shards))


Moved = Callable[[Bunch, int], None]
"""Called with a bunch and the rows of it that are done."""


def measure_bunch(shared: tuple[Job, Mahalanobis | None, Learnt | None, Moved | None], bunch: Bunch) -> Part:
    """What shards share and some of them in; what there is of each of their windows out.

    That is the number of its shard in the bunch, its segment there, the score, the baseline's distance, and what else
    `StockScores` holds; and, of all of them, the sum of their means, and how many were learnt of how many.
    """
    job, classical, learnt, moved = shared
    detector = detector_for(job)
    found: list[Part] = []
    means, known = np.zeros(3), np.zeros(2, np.int64)
    for windows, columns, done in _gathered(job, bunch):
        scores = detector.score_windows(windows)
        columns["score"] = scores.score
        means += sum_of_means(windows)
        counts = windows
        if isinstance(scores, StockScores):
            columns |= {name: getattr(scores, name) for name in _STOCK}
            counts = counts_of(windows)
        if classical is not None:
            columns["distance"] = classical.distance(log_band_energies(counts))
        if learnt is not None:
            known += learnt.count(counts)
        found.append(columns)
        if moved is not None:
            moved(bunch, done)
    if not found:
        return {"shard": np.zeros(0, np.int64)}
    part = {name: np.concatenate([columns[name] for columns in found]) for name in found[0]}
    return {**part, "means": means[None], "learnt": known[None]}


def _gathered(job: Job, bunch: Bunch) -> Iterator[tuple[NDArray[Any], Part, int]]:
    """Windows of all shards, so many at a time as are scored fast, shard and segment of each, and the rows done."""
    ready: list[tuple[NDArray[Any], ...]] = []
    before = 0
    for number, shard in enumerate(bunch.shards):
        for batch in windows_of(job, shard):
            ready.append((batch.windows, np.full(len(batch.starts), number, np.int64), batch.segments))
            if sum(len(windows) for windows, *_ in ready) >= BATCH:
                windows, numbers, segments = map(np.concatenate, zip(*ready, strict=True))
                yield windows, {"shard": numbers, "segment": segments}, before + int(batch.starts[-1]) - shard.first
                ready = []
        before += _rows(shard)
    if ready:
        windows, numbers, segments = map(np.concatenate, zip(*ready, strict=True))
        yield windows, {"shard": numbers, "segment": segments}, before


# --- before and after


def _parts(
    job: Job,
    sources: Mapping[str, Sequence[Recording | str]],
    classical: Mahalanobis | None,
    learnt: Learnt | None,
    way: Way,
) -> Parts | None:
    """The folder to keep in what is done, made or gone on with."""
    if way.parts is None:
        return None
    named = [[kind, source] for kind, mine in sources.items() for source in mine]
    if any(isinstance(source, Recording) for _, source in named):
        raise GyrovaeError("only what comes of recordings in files can be kept in parts")
    known = b"" if classical is None else b"".join(values.tobytes() for values in (classical.mean, classical.precision))
    plan = {
        "schema_version": 2,
        "job": identity(job),
        "baseline": hashlib.sha256(known).hexdigest(),
        "learnt": None if learnt is None else hashlib.sha256(learnt.marks.tobytes()).hexdigest(),
        "shard_rows": way.shard_rows,
        "recordings": [[kind, source, stamp(str(source))] for kind, source in named],
    }
    return Parts(Path(way.parts), plan, resume=True, again="Begin anew, with another folder of parts, or remove it.")


def _divided(
    job: Job, sources: Mapping[str, Sequence[Recording | str]], way: Way, progress: Progress | None
) -> dict[str, list[Shard]]:
    """Recordings of each kind opened, found to fit together and to the detector, and cut into shards."""
    tasks = [(kind, source) for kind, mine in sources.items() for source in mine]
    shards: dict[int, list[Shard]] = {}
    files: list[Shard] = []
    much = sum(stamp(source)[0] for _, source in tasks if isinstance(source, str)) > way.long_bytes
    for number, (_, source) in enumerate(tasks):
        stream = _held(job, source, much=much)
        if stream is not None:
            shards[number] = [Shard(number, 0, stream.path, stream=stream)]
        else:
            files.append(Shard(number, 0, str(source)))
    workers = way.workers(much=True) if much else {}
    with closing(results(divide, (job, way.shard_rows), files, **workers)) as looked:
        for done, (index, found) in enumerate(looked, 1):
            number = files[index].recording
            if isinstance(found, GyrovaeError):
                raise _of(tasks[number][0], found)
            shards[number] = found
            if progress and much:
                progress(done, len(files), "a first look")
    of_kind: dict[str, list[Shard]] = {kind: [] for kind in sources}
    for number, (kind, _) in enumerate(tasks):
        of_kind[kind] += shards[number]
    for kind, mine in of_kind.items():
        streams = [shard.stream for shard in mine if shard.number == 0 and shard.stream is not None]
        try:
            check_alike(streams)
            for stream in streams:
                check_fits(stream, job.bundle.spec.rate_hz, job.bundle.spec.units)
        except GyrovaeError as error:
            raise _of(kind, error) from None
    return of_kind


def _held(job: Job, source: Recording | str, *, much: bool) -> Stream | None:
    """A recording that is in memory, or comes there as all are little: reading it once is faster than in pieces."""
    if isinstance(source, str):
        if much or is_url(source) or not source.lower().endswith(".csv"):
            return None
        source = Recording.read(source, rate_hz=job.rate_hz)
    return Stream.of(source, rate_hz=job.rate_hz)


def _rows(shard: Shard) -> int:
    assert shard.stream is not None
    return (shard.stream.facts.rows if shard.last is None else shard.last) - shard.first


def _of(kind: str, error: GyrovaeError) -> GyrovaeError:
    """What is wrong with a kind's recordings."""
    return GyrovaeError(
        f"{kind}: {error.problem}", expected=error.expected, received=error.received, remedy=error.remedy
    )


def _bunches(shards: Sequence[Shard], way: Way) -> list[Bunch]:
    """Shards of one kind in order, those that are little put together."""
    most = min(_BUNCH_ROWS, way.shard_rows)
    bunches: list[list[Shard]] = []
    rows = most
    for shard in shards:
        if rows + _rows(shard) > most:
            bunches.append([])
            rows = 0
        bunches[-1].append(shard)
        rows += _rows(shard)
    return [Bunch(tuple(mine)) for mine in bunches]


def _joined(job: Job, kind: str, bunches: Sequence[Bunch], found: Mapping[str, Part]) -> Measured:
    """What came of a kind's bunches as one."""
    parts = [(bunch, found[bunch.file]) for bunch in bunches]
    shards = tuple(shard for bunch in bunches for shard in bunch.shards)
    full = [part for _, part in parts if len(part["shard"])]
    if not full:
        streams = [shard.stream for shard in shards if shard.stream is not None]
        longest, most = max(stream.longest() for stream in streams), max(stream.facts.rows for stream in streams)
        raise _of(kind, too_short(job.bundle.spec.window, longest, most))
    columns = {name: np.concatenate([part[name] for part in full]) for name in full[0]}
    recording = np.concatenate(
        [np.array([shard.recording for shard in bunch.shards])[part["shard"].astype(np.int64)] for bunch, part in parts]
    )
    # Segments are numbered in each recording anew: here through all of them.
    borders = (np.diff(recording) != 0) | (np.diff(columns["segment"]) != 0)
    known, telling = columns["learnt"].sum(axis=0).tolist()
    counts = [np.bincount(part["shard"].astype(np.int64), minlength=len(bunch.shards)) for bunch, part in parts]
    return Measured(
        score=columns["score"],
        segments=np.concatenate([[0], np.cumsum(borders)]).astype(np.int64),
        distance=columns.get("distance"),
        pull=pull_of(columns["means"].sum(axis=0), len(columns["score"]), step_of(job)),
        learnt=share_of(known, telling),
        stock=StockScores(columns["score"], *(columns[name] for name in _STOCK)) if "ratios" in columns else None,
        shards=shards,
        counts=tuple(np.concatenate(counts).tolist()),
    )


class _Bar:
    """Rows done, told kind by kind where they are done one after the other, else of all together."""

    def __init__(self, progress: Progress, bunches: Mapping[str, Sequence[Bunch]], *, alone: bool) -> None:
        self._progress = progress
        self._done: dict[str, dict[str, int]] = {}
        self._total: dict[str, int] = {}
        self._of: dict[str, str] = {}
        for place, (kind, mine) in enumerate(bunches.items(), 1):
            name = f"{kind} ({place} of {len(bunches)})" if alone else "scoring"
            self._done.setdefault(name, {})
            self._total[name] = self._total.get(name, 0) + sum(bunch.rows for bunch in mine)
            self._of |= {bunch.file: name for bunch in mine}

    def moved(self, bunch: Bunch, rows: int) -> None:
        name = self._of[bunch.file]
        self._done[name][bunch.file] = max(rows, 1)
        self._progress(sum(self._done[name].values()), self._total[name], name)
