"""Images and their reconstruction in, scores with reasons out: two-sided, in units of the threshold.

The C++ twin is firmware/components/gyrovae/score.cpp.

Two views of the same window are standardised on normal motion, and the more abnormal one counts:

* the residual profile: for each (axis, band) the signed difference between scalogram and reconstruction, averaged
  over time. It asks whether the window fits what the VAE knows.
* the regime distance: for each (axis, band) the difference between the scalogram, averaged over time, and the nearest
  of a few typical profiles (K-means centres) of normal motion. It asks whether the window is one the machine makes.

Both are root mean squares, so that a band that falls silent counts as much as one that becomes loud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.calibration import Calibration
from gyrovae_tf.spec import AXES, CELLS, PIXEL, Spec


@dataclass(frozen=True)
class Scores:
    """The scores of k windows and what they are made of."""

    score: NDArray[np.float64]
    """[k] the larger of the two ratios below: 1.0 is the alarm, higher is more abnormal."""
    profile: NDArray[np.float64]
    """[k] the residual profile in units of its threshold."""
    regime: NDArray[np.float64]
    """[k] the distance to the nearest regime in units of its threshold."""
    deviation: NDArray[np.float64]
    """[k, 3, 32] signed, standardised deviations (axis, band) of whichever counted; above 0 is louder."""


@dataclass(frozen=True)
class Reason:
    """One (axis, band) that makes a window abnormal."""

    axis: str
    """x, y or z."""
    center_hz: float
    """Centre frequency of the band."""
    direction: str
    """louder or quieter."""
    share: float
    """Its part of the squared score, 0 to 1."""


def time_sums(images: NDArray[np.int8]) -> NDArray[np.int64]:
    """int8 [k, 32, 32, 3] (band, cell, axis) in, sums over the 32 time cells out, int64 [k, 3, 32] (axis, band)."""
    return images.sum(axis=2, dtype=np.int64).swapaxes(1, 2)


def residual_profile(
    scalogram: NDArray[np.int8], output: NDArray[np.int8], scale: float, zero_point: int
) -> NDArray[np.float64]:
    """int8 scalograms and int8 reconstructions [k, 32, 32, 3] in, mean signed residuals [k, 3, 32] out.

    In standard deviations of the band (pixels / 32); `scale` and `zero_point` are those of the model's first output.
    """
    seen = time_sums(scalogram) / PIXEL
    expected = (time_sums(output) - CELLS * zero_point) * scale
    return (seen - expected) / CELLS


def profile_deviation(profile: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Residual profiles [k, 3, 32] in, the same standardised on normal motion out."""
    return (profile - np.array(calibration.profile_mean)) * np.array(calibration.profile_weight)


def regime_deviation(sums: NDArray[np.int64], calibration: Calibration) -> NDArray[np.float64]:
    """Time sums of scalograms [k, 3, 32] in, standardised deviations from the nearest regime [k, 3, 32] out."""
    weight = np.array(calibration.regime_weight)
    codebook = np.array(calibration.codebook)
    nearest = np.full(len(sums), np.inf)
    deviation = np.zeros(sums.shape)
    for code in codebook:  # a few regimes; a [k, regimes, 3, 32] array would be large for long recordings
        candidate = (sums - code) * weight
        distance = (candidate**2).sum(axis=(1, 2))
        closer = distance < nearest
        deviation[closer] = candidate[closer]
        nearest = np.minimum(nearest, distance)
    return deviation


def root_mean_square(deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviations [k, 3, 32] in, their root mean square [k] out."""
    return np.sqrt((deviation**2).mean(axis=(1, 2)))


def score(
    scalogram: NDArray[np.int8],
    output: NDArray[np.int8],
    scale: float,
    zero_point: int,
    calibration: Calibration,
) -> Scores:
    """int8 scalograms and their int8 reconstructions [k, 32, 32, 3] in, `Scores` of k windows out."""
    by_profile = profile_deviation(residual_profile(scalogram, output, scale, zero_point), calibration)
    by_regime = regime_deviation(time_sums(scalogram), calibration)
    profile = root_mean_square(by_profile) / calibration.profile_threshold
    regime = root_mean_square(by_regime) / calibration.regime_threshold
    deviation = np.where((profile >= regime)[:, None, None], by_profile, by_regime)
    return Scores(np.maximum(profile, regime), profile, regime, deviation)


def reasons(deviation: NDArray[np.float64], spec: Spec, count: int = 3) -> list[Reason]:
    """One window's deviations [3, 32] in, the `count` (axis, band)s that contribute most out, largest first.

    Fewer where fewer deviate at all.
    """
    squares = deviation**2
    total = squares.sum()
    if not total > 0:
        return []
    order = np.argsort(-squares, axis=None, kind="stable")[:count]
    found = []
    for place in order:
        axis, band = divmod(int(place), squares.shape[1])
        if not squares[axis, band] > 0:
            break
        found.append(
            Reason(
                axis=AXES[axis],
                center_hz=spec.bands[band].center_hz,
                direction="louder" if deviation[axis, band] > 0 else "quieter",
                share=float(squares[axis, band] / total),
            )
        )
    return found


def vote(alarms: NDArray[np.bool_], alarms_needed: int, windows: int) -> NDArray[np.bool_]:
    """Alarms of consecutive windows [k] in, whether `alarms_needed` of the latest `windows` were alarms out, bool [k].

    False for the first `windows` - 1 windows only where too few alarms have come so far.
    """
    if not len(alarms):
        return np.zeros(0, bool)
    counts: NDArray[Any] = np.convolve(alarms.astype(np.int64), np.ones(windows, np.int64))[: len(alarms)]
    return counts >= alarms_needed
