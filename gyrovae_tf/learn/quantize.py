"""A trained run in, a calibrated int8 bundle out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime, tflite
from gyrovae_tf.bundle import SUFFIX, Bundle
from gyrovae_tf.calibration import Calibration
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import convert
from gyrovae_tf.learn.dataset import Dataset, Progress, in_parts
from gyrovae_tf.learn.engine import versions
from gyrovae_tf.learn.run import Run
from gyrovae_tf.signal.score import expected_sums, recognise, score, time_sums
from gyrovae_tf.spec import CELLS, PIXEL

MODES: dict[str, Callable[[Any, Dataset], bytes]] = {
    "ptq": lambda model, data: convert.to_int8(model, data.train_images),
}
"""Ways to quantise: the Keras model and its dataset in, the .tflite out."""
BUNDLE = f"detector{SUFFIX}"
_REGIMES = 16
_LEAST_WINDOWS_A_REGIME = 4
_RESTARTS = 4
_LEAST_UNEXPLAINED = 0.15 * CELLS * PIXEL  # 0.15 standard deviations: a band that never varied must not decide alone
_LEAST_SPREAD = 0.05  # of what is unexplained
_TAIL_SHARE = 0.2
_PART = 256  # windows between two reports of progress


def quantize(
    run: Run | str | PathLike[str],
    *,
    mode: str = "ptq",
    false_alarm_rate: float = 0.01,
    vote_alarms: int = 3,
    vote_windows: int = 5,
    progress: Progress | None = None,
) -> Bundle:
    """A run (or its folder) in; its model in int8, calibrated, as a `Bundle` out, saved in the run's folder.

    `mode` "ptq" quantises after training with the ranges of training windows. The score's regimes and spreads come
    from the int8 model on the training windows, its threshold from the int8 model on the held-back ones, so that about
    `false_alarm_rate` of normal windows (a share, above 0, at most 0.2) score 1.0 or more.
    """
    if mode not in MODES:
        raise GyrovaeError("unknown quantisation mode", expected=" or ".join(MODES), received=mode)
    if not 0 < false_alarm_rate <= _TAIL_SHARE:
        raise GyrovaeError(
            "the false-alarm rate is not usable", expected=f"above 0, at most {_TAIL_SHARE}", received=false_alarm_rate
        )
    run = run if isinstance(run, Run) else Run.load(run)
    data = run.load_dataset()
    content = MODES[mode](run.keras_model(), data)
    model = runtime.Model(content)
    described = tflite.describe(content)
    calibration = calibrate(
        model,
        data,
        false_alarm_rate=false_alarm_rate,
        vote_alarms=vote_alarms,
        vote_windows=vote_windows,
        seed=run.options.seed,
        progress=progress,
    )
    bundle = Bundle(
        model=content,
        spec=data.spec,
        calibration=calibration,
        ops=described.op_names,
        metrics={
            "mode": mode,
            "runtime": runtime.NAME,
            "macs": described.macs,
            "training": run.metrics,
            "train_windows": len(data.train_images),
        },
        versions=versions(),
    )
    bundle.save(Path(run.path) / BUNDLE)
    return bundle


def calibrate(
    model: runtime.Model,
    data: Dataset,
    *,
    false_alarm_rate: float,
    vote_alarms: int,
    vote_windows: int,
    seed: int,
    progress: Progress | None = None,
) -> Calibration:
    """An int8 model and its dataset in, the score's statistics and thresholds out.

    Regimes and spreads are those of the training windows, whose number makes them steady; the threshold rests on
    held-back windows only. (Spreads of the held-back windows themselves, tried on four machines, let through up to
    five times as many false alarms.)
    """

    def reconstruct(images: NDArray[np.int8]) -> NDArray[np.int8]:
        return model.reconstruct(images)[0]

    trained = in_parts(reconstruct, data.train_images, _PART, progress, "scoring training windows")
    expected = expected_sums(trained, model.scale, model.zero_point)
    sums = time_sums(data.train_images[:, 0])
    # What the VAE cannot explain is the yardstick of each (axis, band) when regimes are told apart.
    unexplained = np.sqrt((sums - expected).var(axis=0) + _LEAST_UNEXPLAINED**2)
    codebook = regimes(sums / unexplained, seed) * unexplained
    draft = Calibration(
        codebook=tuple(tuple(tuple(int(v) for v in axis) for axis in row) for row in np.rint(codebook).astype(int)),
        weight=_float32(1 / unexplained),
        threshold=1.0,
        false_alarm_rate=false_alarm_rate,
        held_back_windows=len(data.validation_images),
        vote_alarms=vote_alarms,
        vote_windows=vote_windows,
    )
    about = sums - np.array(draft.codebook)[recognise(expected, draft)]
    spread = np.sqrt(np.square(about).mean(axis=0) + (_LEAST_SPREAD * unexplained) ** 2)
    draft = dataclasses.replace(draft, weight=_float32(1 / spread))
    held_back = in_parts(reconstruct, data.validation_images, _PART, progress, "scoring held-back windows")
    scores = score(data.validation_images[:, 0], held_back, model.scale, model.zero_point, draft).score
    threshold = tail_threshold(scores, false_alarm_rate)
    return dataclasses.replace(draft, threshold=float(np.float32(threshold)))


def tail_threshold(scores: NDArray[np.float64], rate: float) -> float:
    """Scores [k] of normal windows and a rate in, the score that this share of normal windows exceeds out.

    Peaks over threshold: above the upper fifth's edge u the logarithm of the score is taken as exponential, which its
    mean excess m fits; the threshold is u * (0.2 / rate)^m (Hill, A Simple General Approach to Inference About the
    Tail of a Distribution, 1975). Unlike an empirical maximum it uses more than one window, and reaches beyond them.
    """
    logs = np.log(np.maximum(scores, 1e-9))
    edge = float(np.quantile(logs, 1 - _TAIL_SHARE))
    above = logs[logs > edge]
    excess = float((above - edge).mean()) if len(above) else 0.0
    return math.exp(edge + excess * math.log(_TAIL_SHARE / rate))


def regimes(profiles: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Profiles [k, 3, 32] of normal windows in; typical ones [n, 3, 32] out, n at most 16, fewer for few windows.

    K-means (Lloyd) with k-means++ starts (Arthur and Vassilvitskii, 2007), the best of four.
    """
    points = profiles.reshape(len(profiles), -1)
    number = max(1, min(_REGIMES, len(points) // _LEAST_WINDOWS_A_REGIME))
    rng = np.random.default_rng(seed)
    best, centers = math.inf, points[:1]
    for _ in range(_RESTARTS):
        candidate = _lloyd(points, _spread_starts(points, number, rng))
        inertia = float(_distances(points, candidate).min(axis=1).sum())
        if inertia < best:
            best, centers = inertia, candidate
    return centers.reshape(-1, *profiles.shape[1:])


def _spread_starts(points: NDArray[np.float64], number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """k-means++: each next centre is drawn with a probability proportional to its squared distance from the others.

    Of a few drawn, the one that leaves the least distance is taken ("greedy", in the same paper): with a single draw,
    regimes as far apart as sixteen speeds of a machine were missed in every second trial.
    """
    trials = 2 + int(math.log(number))
    centers = [points[rng.integers(len(points))]]
    nearest = np.square(points - centers[0]).sum(axis=1)
    for _ in range(number - 1):
        total = nearest.sum()
        if not total > 0:  # fewer different points than centres
            break
        drawn = points[rng.choice(len(points), size=trials, p=nearest / total)]
        left = np.minimum(nearest[:, None], _distances(points, drawn))
        best = int(left.sum(axis=0).argmin())
        centers.append(drawn[best])
        nearest = left[:, best]
    return np.array(centers)


def _lloyd(points: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move centres to the means of their points until none changes, at the most 100 times."""
    for _ in range(100):
        labels = _distances(points, centers).argmin(axis=1)
        moved = centers.copy()
        for label in np.unique(labels):
            moved[label] = points[labels == label].mean(axis=0)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def _distances(points: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances [points, centres]."""
    squares = np.square(points).sum(axis=1)[:, None] + np.square(centers).sum(axis=1)[None]
    distances: NDArray[np.float64] = np.maximum(squares - 2 * points @ centers.T, 0.0)
    return distances


def _float32(table: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """[axis][band] numbers rounded to float32, as Python floats."""
    return tuple(tuple(float(v) for v in row) for row in table.astype(np.float32))
