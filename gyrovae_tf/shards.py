"""A detector and a shard of recordings in, the score of each of its windows out: what a worker does.

A shard is a recording, or some millions of rows of a long one. What comes of it is the same whoever scores it, and how
often.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime, scoretable
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import Calibration
from gyrovae_tf.chunks import Mark
from gyrovae_tf.errors import readable
from gyrovae_tf.parts import Part
from gyrovae_tf.recording import check_fits, pull_of, sum_of_means
from gyrovae_tf.signal.score import Reason, Scores, edges_hz, reasons, stride_of, vote
from gyrovae_tf.spec import AXES, BANDS, Spec
from gyrovae_tf.stockbundle import StockBundle, StockCalibration, load_bundle
from gyrovae_tf.stockdetector import StockDetector
from gyrovae_tf.streaming import Batch, Stream


class Job(NamedTuple):
    """What all shards share."""

    bundle: Bundle | StockBundle
    kernels: str
    hop: int
    rate_hz: float | None
    model: bytes | None = None
    """Another .tflite in place of the bundle's."""


class Shard(NamedTuple):
    """The windows of one recording that begin in rows `first` to before `last` (None: all)."""

    recording: int
    number: int
    path: str
    first: int = 0
    last: int | None = None
    stream: Stream | None = None
    """None: to be opened by who scores it."""
    mark: Mark | None = None

    @property
    def file(self) -> str:
        """The name of its part in the folder of the work."""
        return f"{self.recording:07}-{self.number:05}.npz"


def identity(job: Job) -> dict[str, Any]:
    """What the scores depend on, beside the recordings, as JSON-ready values."""
    calibration = json.dumps(job.bundle.calibration.to_dict(), sort_keys=True)
    return {
        "model": hashlib.sha256(job.bundle.model if job.model is None else job.model).hexdigest(),
        "spec": job.bundle.spec.digest,
        "calibration": hashlib.sha256(calibration.encode()).hexdigest(),
        "kernels": job.kernels,
        "hop": job.hop,
        "rate_hz": job.rate_hz,
    }


def divide(shared: tuple[Job, int], shard: Shard) -> list[Shard]:
    """A recording in, its shards, of so many rows at the most, which know where to begin to read, out."""
    job, rows = shared
    stream = _opened(job, shard)
    if stream.facts.rows <= rows:
        return [shard._replace(stream=stream)]
    marks = stream.marks()
    # The vote at a shard's first window looks at windows in front of it.
    lead = _lead(job)
    shards = []
    for number, first in enumerate(range(0, stream.facts.rows, rows)):
        mark = max((mark for mark in marks if mark.row <= max(first - lead, 0)), key=lambda mark: mark.row)
        last = min(first + rows, stream.facts.rows)
        shards.append(shard._replace(number=number, first=first, last=last, stream=stream, mark=mark))
    return shards


def windows_of(job: Job, shard: Shard, first: int | None = None) -> Iterator[Batch]:
    """What shards share and one of them in; its windows (or those from row `first` on) batch by batch out.

    `GyrovaeError` when the recording cannot be read.
    """
    spec = job.bundle.spec
    stream = _opened(job, shard) if shard.stream is None else shard.stream
    lsb = spec.lsb if isinstance(spec, Spec) else None
    first = shard.first if first is None else first
    with readable(shard.path):
        yield from stream.windows(spec.window, job.hop, lsb, first=first, last=shard.last, mark=shard.mark)


def score_shard(job: Job, shard: Shard) -> Part:
    """What shards share and one of them in, the arrays of `scoretable` out, and facts of its recording.

    Scores are those of the detector's `score_windows`, whatever the batch. What a detector for the stock firmware finds
    has no reasons: its two figures name no axis and no band.
    """
    spec, calibration = job.bundle.spec, job.bundle.calibration
    if shard.stream is None:
        shard = shard._replace(stream=_opened(job, shard))
    assert shard.stream is not None
    facts = shard.stream.facts
    lead = _lead(job)
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in ("segment", "start", "score", "reason")}
    detector = detector_for(job)
    means = np.zeros(3)
    for batch in windows_of(job, shard, max(shard.first - lead, 0)):
        means += sum_of_means(batch.windows)
        scores = detector.score_windows(batch.windows)
        if isinstance(scores, Scores) and isinstance(spec, Spec):
            top = top_reasons(scores.deviation, spec)
        else:
            top = np.zeros((len(batch.starts), 5))
        for name, values in zip(found, (batch.segments, batch.starts, scores.score, top), strict=True):
            found[name].append(values)
    part = {name: np.concatenate(values) if values else np.zeros(0) for name, values in found.items()}
    top, stride = part.pop("reason").reshape(-1, 5), stride_of(spec.window, job.hop)
    part |= judged(part["score"], part["segment"], top, calibration, stride)
    pull = pull_of(means, len(part["start"]), step_of(job))
    own = part["start"] >= shard.first
    part = {name: values[own] for name, values in part.items()}
    part |= {name: part[name].astype(np.int64) for name in ("segment", "start")}
    device = facts.metadata.get("device")
    text = device if isinstance(device, str) else ""
    return part | {
        "rate_hz": np.array([facts.rate_hz]),
        "pull": np.array([pull]),
        "device": np.frombuffer(text.encode(), np.uint8),
    }


def _lead(job: Job) -> int:
    """How many samples before a window the first of those begins that the vote there looks at."""
    return (job.bundle.calibration.vote_windows * stride_of(job.bundle.spec.window, job.hop) - 1) * job.hop


def step_of(job: Job) -> float:
    """What one is in windows, in the detector's units."""
    spec = job.bundle.spec
    return spec.lsb if isinstance(spec, Spec) else 1.0


def judged(
    score: NDArray[np.float64],
    segment: NDArray[Any],
    top: NDArray[np.float64],
    calibration: Calibration | StockCalibration,
    stride: int,
) -> Part:
    """Scores [k], segments [k] and `top_reasons` [k, 5] of windows in order in; columns from alarm on out.

    `stride` is that of the windows (`signal.score.stride_of`).
    """
    alarm = score >= 1.0
    event = np.zeros(len(alarm), bool)
    for places in np.split(np.arange(len(alarm)), np.flatnonzero(np.diff(segment)) + 1):
        event[places] = vote(alarm[places], calibration.vote_alarms, calibration.vote_windows, stride)
    part: Part = {"alarm": alarm.astype(np.int8), "event": event.astype(np.int8)}
    part |= {"axis": top[:, 0].astype(np.int8), "direction": top[:, 3].astype(np.int8)}
    return part | {"low_hz": top[:, 1], "high_hz": top[:, 2], "share": top[:, 4]}


def top_reasons(deviation: NDArray[np.float64], spec: Spec) -> NDArray[np.float64]:
    """Deviations [k, 3, 32] of k windows in; the first of `reasons` of each in numbers, [k, 5], out.

    They are: axis from 1, low and high edge, direction (1 louder, 2 quieter), share; zeros where there is no reason.
    `reasons` one window at a time would take as long as the front end.
    """
    count, width = len(deviation), deviation.shape[1] * deviation.shape[2]
    flat = np.ascontiguousarray(deviation).reshape(count, width)
    powers, size = flat**2, np.abs(flat)
    strong = size >= np.minimum(1.0, size.max(axis=1, initial=0.0))[:, None]
    sign = np.where(strong, np.sign(flat), 0).reshape(-1, len(AXES), BANDS)
    begins = np.ones(sign.shape, bool)
    begins[:, :, 1:] = sign[:, :, 1:] != sign[:, :, :-1]
    starts = np.flatnonzero(begins)
    if not len(starts):
        return np.zeros((count, 5))
    part = np.where(sign.ravel()[starts] != 0, np.add.reduceat(powers.ravel(), starts), -1.0)
    ends = np.append(starts[1:], count * width)
    first = np.searchsorted(starts, np.arange(count + 1) * width)
    coded = np.zeros((count, 5))
    for index in range(count):
        parts = part[first[index] : first[index + 1]]
        best = int(parts.argmax())
        if parts[best] <= 0:  # nothing deviates
            continue
        if (parts >= parts[best] * (1 - 1e-9)).sum() > 1:  # alike but for rounding, which is that of `reasons`
            coded[index] = _coded(reasons(deviation[index], spec, count=1))
            continue
        low, high = int(starts[first[index] + best]), int(ends[first[index] + best])
        axis, band = divmod(low - index * width, BANDS)
        share = float(powers.ravel()[low:high].sum()) / float(powers[index].sum())
        edges = _edges(spec)
        louder = flat[index, low - index * width] > 0
        coded[index] = axis + 1, edges[band], edges[band + high - low], 1 if louder else 2, share
    return coded


@functools.lru_cache(maxsize=8)
def _edges(spec: Spec) -> tuple[float, ...]:
    """`edges_hz` as Python's numbers."""
    return tuple(edges_hz(spec).tolist())


def _coded(found: Sequence[Reason]) -> tuple[float, ...]:
    """A reason, where there is one, as `top_reasons` gives it."""
    if not found:
        return (0.0,) * 5
    top = found[0]
    direction = scoretable.DIRECTIONS.index(top.direction)
    return AXES.index(top.axis) + 1.0, top.low_hz, top.high_hz, float(direction), top.share


_loaded = threading.local()


def detector_of(
    bundle: Bundle | StockBundle | str | PathLike[str], kernels: str | None = None, model: bytes | None = None
) -> runtime.Detector | StockDetector:
    """A bundle (or its path, or that of a run), kernels and perhaps another .tflite as for `Detector` in, what scores
    windows, for whichever firmware it is made, out."""
    if not isinstance(bundle, Bundle | StockBundle):
        bundle = load_bundle(bundle)
    if isinstance(bundle, StockBundle):
        return StockDetector(bundle, kernels)
    return runtime.Detector(bundle, kernels, model=model)


@contextmanager
def lent(job: Job, detector: runtime.Detector | StockDetector) -> Iterator[None]:
    """A job and its detector in: for this time it scores what this thread does of the job."""
    _loaded.job, _loaded.key, _loaded.detector = job, json.dumps(identity(job)), detector
    try:
        yield
    finally:
        _loaded.job = _loaded.key = _loaded.detector = None


def detector_for(job: Job) -> runtime.Detector | StockDetector:
    """The job's detector, loaded once for each thread: an interpreter serves one at a time."""
    if getattr(_loaded, "job", None) is not job:  # what it says takes as long as scoring a small recording
        key = json.dumps(identity(job))
        if getattr(_loaded, "key", None) != key:
            _loaded.job, _loaded.key = None, None
            _loaded.detector = detector_of(job.bundle, job.kernels, job.model)
        _loaded.job, _loaded.key = job, key
    detector: runtime.Detector | StockDetector = _loaded.detector
    return detector


def _opened(job: Job, shard: Shard) -> Stream:
    """A recording of the rate and units that the detector was made for."""
    with readable(shard.path):
        stream = Stream.open(shard.path, rate_hz=job.rate_hz)
    check_fits(stream, job.bundle.spec.rate_hz, job.bundle.spec.units)
    return stream
