"""A classical detector to compare with: Mahalanobis distance on log band energies."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import npz
from gyrovae_tf.learn.regimes import shrunk_covariance

_BANDS = 8
_FEATURES = 3 * (_BANDS + 1)
_CHUNK = 1024
_FLOOR = 1 / 12  # square counts: the sensor's own rounding
_LEAST_SPREAD = 1e-3  # of a feature; a thousandth of the energy is no change
_LEAST_VARIANCE = 1e-6
NAME = "mahalanobis"
FILE = "baseline.npz"


def log_band_energies(windows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """int16 windows [k, N, 3] in; 8 log band energies and the log standard deviation of each axis, [k, 27], out.

    Bands are equally wide, from 1 cycle a window to half the rate (of the spacings tried the strongest on average);
    the window's mean is removed (it tells how the sensor is mounted). Energies are natural logarithms of square
    counts, floored at the sensor's rounding; axes come last (band 0 of x, of y, of z, band 1 of x ...).
    """
    length = windows.shape[1]
    edges = np.linspace(1, length // 2 + 1, _BANDS + 1).astype(int)
    features = []
    for start in range(0, len(windows), _CHUNK):
        part = windows[start : start + _CHUNK].astype(np.float64)
        part -= part.mean(axis=1, keepdims=True)
        spectrum = np.abs(np.fft.rfft(part, axis=1)) ** 2 * (2 / length**2)
        energies = [spectrum[:, low:high].sum(axis=1) for low, high in itertools.pairwise(edges)]
        columns = np.stack([*energies, part.var(axis=1)], axis=1)
        features.append(np.log(columns + _FLOOR).reshape(len(part), -1))
    return np.concatenate(features)


def location(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features [k, d] of normal windows in, their mean [d] and standard deviation [d] (at least 0.001) out."""
    return features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_SPREAD)


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """Distance from normal motion's mean in units of its covariance."""

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    threshold: float

    @classmethod
    def fit(
        cls, features: NDArray[np.float64], false_alarm_rate: float, held_back: NDArray[np.float64] | None = None
    ) -> Mahalanobis:
        """Features [k, d] of normal windows in, the fitted detector out.

        Its threshold is the upper quantile of the held-back windows' distances (of the same windows' if none are
        given). The covariance of the standardised features is shrunk towards the identity by the share that Ledoit
        and Wolf derive from the data (A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004).
        """
        mean, spread = location(features)
        covariance = shrunk_covariance((features - mean) / spread) + _LEAST_VARIANCE * np.eye(len(mean))
        fitted = cls(mean, np.linalg.inv(covariance) / np.outer(spread, spread), 0.0)
        distances = fitted.distance(features if held_back is None else held_back)
        return cls(fitted.mean, fitted.precision, float(np.quantile(distances, 1 - false_alarm_rate)))

    def distance(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features [k, d] in, distances [k] out; larger is more abnormal."""
        off = features - self.mean
        return np.sqrt(np.maximum(np.einsum("ki,ij,kj->k", off, self.precision, off), 0.0))

    def save(self, path: Path) -> None:
        """Write the detector to a file."""
        npz.save(path, {"mean": self.mean, "precision": self.precision, "threshold": np.array(self.threshold)})

    @classmethod
    def load(cls, path: Path) -> Mahalanobis:
        """The inverse of `save`; `GyrovaeError` when the file is damaged."""
        remedy = "Train the run again."
        stored = npz.load(path, remedy=remedy)
        try:
            mean, precision, threshold = stored["mean"], stored["precision"], float(stored["threshold"])
        except (KeyError, TypeError, ValueError) as error:
            raise GyrovaeError(f"{path} is not a baseline: {error}", remedy=remedy) from None
        if mean.shape != (_FEATURES,) or precision.shape != (_FEATURES, _FEATURES):
            raise GyrovaeError(f"{path} is not a baseline of {_FEATURES} features", remedy=remedy)
        return cls(mean, precision, threshold)
