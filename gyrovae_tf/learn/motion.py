"""Recordings or held-back windows in, `Motion` out: windows of one kind with what detectors make of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.learn import baseline, baselines
from gyrovae_tf.learn.cutting import cut, segments_of, stretches_of
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.evaluate import Recordings
from gyrovae_tf.signal import frontend
from gyrovae_tf.spec import Spec
from gyrovae_tf.streaming import read_all

NORMAL = "normal"
"""What normal motion is called among kinds of motion."""
NAMES = {"mahalanobis": "Mahalanobis", "knn": "nearest neighbours", "energy": "energy"}
"""Simple detectors that are compared with -> what people call them."""
Watch = tuple[Progress | None, str]
"""Whom to tell of progress, and what is being done."""
Rivals = dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]
"""Simple detector -> what gives its scores of features."""
_OTHERS = ("knn", "energy")  # beside the run's own baseline
_CHUNK = 256
_SEED = 0


@dataclass(frozen=True)
class Motion:
    """The windows of one kind of motion, and what the int8 detector makes of them."""

    windows: NDArray[np.int16] | None
    """[k, N, 3] counts; None where only images were kept."""
    kept_images: NDArray[np.int8] | None
    """[k, 2, 32, 32, 3] scalogram and field, where there are no windows to make them of."""
    score: NDArray[np.float64]
    """[k] 1.0 is the alarm."""
    shares: dict[str, NDArray[np.float64]]
    """View -> [k] its part of the score; those of a window sum to 1."""
    deviation: NDArray[np.float64]
    """[k, 3, 32] (axis, band) power against that of the nearest regime; above 0 is louder."""
    distance: dict[str, NDArray[np.float64]]
    """Baseline -> its distances [k]; empty without a baseline."""
    origins: NDArray[np.int64]
    """[k, 2] recording and first row."""
    segments: NDArray[np.int64]
    """[k] number of the stretch without a gap that each window lies in."""
    sources: tuple[str, ...]
    """Names of the recordings."""
    hop: int
    """Samples from one window to the next."""

    @property
    def place(self) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...], int]:
        """Where the windows come from: origins, segments, sources, hop."""
        return self.origins, self.segments, self.sources, self.hop

    @property
    def alarms(self) -> float:
        """Share of windows that score 1.0 or more."""
        return float((self.score >= 1.0).mean())

    def images(self, places: NDArray[np.intp], spec: Spec) -> NDArray[np.int8]:
        """Scalogram and field [n, 2, 32, 32, 3] of some windows."""
        if self.windows is not None:
            return frontend.images(self.windows[places], spec)
        assert self.kept_images is not None  # one of the two is always there
        return self.kept_images[places]


def rivals(data: Dataset, classical: baseline.Mahalanobis | None, rate: float) -> Rivals:
    """The run's own baseline, and those of others that can be had here, fitted to the same windows."""
    found: Rivals = {} if classical is None else {baseline.NAME: classical.distance}
    for name in _OTHERS:
        if name == "energy" or importlib.util.find_spec("sklearn"):
            fitted = baselines.fit(
                name, data.train_features, data.validation_features, seed=_SEED, false_alarm_rate=rate
            )
            found[name] = fitted.score
    return found


def recorded(recordings: Recordings, detector: runtime.Detector, others: Rivals, hop: int, watch: Watch) -> Motion:
    """Recordings of one kind, already accepted by `evaluate`, as `Motion`."""
    known, spec = read_all(recordings), detector.bundle.spec
    windows, origins = cut(known, window=spec.window, hop=hop, lsb=spec.lsb)
    sources = tuple(recording.source for recording in known)
    return scored(windows, detector, others, (origins, segments_of(origins, known), sources, hop), watch)


def held_back(data: Dataset, detector: runtime.Detector, others: Rivals, watch: Watch) -> Motion:
    """The dataset's held-back windows; a new stretch begins where the next window is not the next hop."""
    origins = data.validation_origins
    place = (origins, stretches_of(origins, data.hop), data.sources, data.hop)
    if data.validation_windows is not None:
        return scored(data.validation_windows, detector, others, place, watch)
    scores = detector.score_images(data.validation_images)
    distance = {name: rival(data.validation_features) for name, rival in others.items()}
    return Motion(None, data.validation_images, scores.score, scores.shares, scores.deviation, distance, *place)


def scored(
    windows: NDArray[np.int16],
    detector: runtime.Detector,
    others: Rivals,
    place: tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...], int],
    watch: Watch,
) -> Motion:
    """Windows and where they come from in, `Motion` out."""
    progress, what = watch
    parts = []
    for start in range(0, len(windows), _CHUNK):
        parts.append(detector.score_windows(windows[start : start + _CHUNK]))
        if progress:
            progress(min(start + _CHUNK, len(windows)), len(windows), what)
    score = np.concatenate([part.score for part in parts])
    shares = {name: np.concatenate([part.shares[name] for part in parts]) for name in parts[0].shares}
    deviation = np.concatenate([part.deviation for part in parts])
    features = baseline.log_band_energies(windows)
    distance = {name: rival(features) for name, rival in others.items()}
    return Motion(windows, None, score, shares, deviation, distance, *place)
