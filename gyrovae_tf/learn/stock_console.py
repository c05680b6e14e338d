"""Scores of windows under the stock front end in, the figures and alarm levels of the stock firmware's console out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.stockbundle import Band, StockCalibration
from gyrovae_tf.stockdetector import StockDetector, StockScores

_PART = 512
IMAGES = ("scalogram", "field")
"""The console's two figures, in its order."""


@dataclass(frozen=True)
class Printed:
    """What the console prints on one kind of motion."""

    middle_db: dict[str, float]
    """Image -> the middle one of its figures."""
    too_low: dict[str, float]
    """Image -> share of windows whose figure is an alarm for being low."""
    too_high: dict[str, float]
    """Image -> share of windows whose figure is an alarm for being high."""
    wrapped: float
    """Share of windows with a pixel that wrapped around in int8."""


@dataclass(frozen=True)
class Console:
    """Figures of the console, on each kind of motion, and the levels beyond which they are alarms."""

    bands: dict[str, Band]
    """Image -> levels as the console prints the figures."""
    row_db: float
    """What they allow for the undefined row of the scalogram (`StockCalibration.row_db`); figures here leave it out."""
    motion: dict[str, Printed]
    """"normal" and each kind of anomaly."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def console_of(calibration: StockCalibration, scores: Mapping[str, StockScores]) -> Console:
    """Alarm levels and the scores of each kind of motion in, what the console shows of them out."""
    motion = {}
    for kind, found in scores.items():
        alarms = found.ratios >= 1.0
        motion[kind] = Printed(
            dict(zip(IMAGES, map(float, np.median(found.figures, axis=0)), strict=True)),
            dict(zip(IMAGES, map(float, (alarms & found.too_low).mean(axis=0)), strict=True)),
            dict(zip(IMAGES, map(float, (alarms & ~found.too_low).mean(axis=0)), strict=True)),
            float((found.wrapped > 0).mean()),
        )
    return Console(dict(zip(IMAGES, calibration.console, strict=True)), calibration.row_db, motion)


def stock_scores(
    detector: StockDetector, windows: NDArray[np.float32], progress: Progress | None, what: str
) -> StockScores:
    """A detector and float32 windows [k, 256, 3] in m/s^2 in; their scores, made in parts that show progress, out."""
    parts = []
    for start in range(0, len(windows), _PART):
        parts.append(detector.score_windows(windows[start : start + _PART]))
        if progress:
            progress(min(start + _PART, len(windows)), len(windows), what)
    names = ("score", "ratios", "too_low", "figures", "wrapped")
    return StockScores(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
