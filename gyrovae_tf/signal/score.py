"""Images and their reconstruction in, scores with reasons out: two-sided, in units of the threshold.

The C++ twin is firmware/components/gyrovae/score.cpp.

Normal motion is a few regimes (speeds, loads), each with a typical profile: the scalogram's time sums by (axis, band).
The reconstruction tells which regime the VAE takes a window for; the residual profile is the signed difference between
the window's own profile and that regime's, standardised on normal motion. Its fourth-power mean is the score: a band
that falls silent counts as much as one that becomes loud, and few bands that deviate much count more than many that
deviate a little.
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
    """[k] 1.0 is the alarm, higher is more abnormal."""
    regime: NDArray[np.intp]
    """[k] the regime that the reconstruction shows: a row of the calibration's codebook."""
    deviation: NDArray[np.float64]
    """[k, 3, 32] the standardised residual profile (axis, band); above 0 is louder."""


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
    """Its part of the score's fourth power, 0 to 1."""


def time_sums(images: NDArray[np.int8]) -> NDArray[np.int64]:
    """int8 [k, 32, 32, 3] (band, cell, axis) in, sums over the 32 time cells out, int64 [k, 3, 32] (axis, band)."""
    return images.sum(axis=2, dtype=np.int64).swapaxes(1, 2)


def expected_sums(output: NDArray[np.int8], scale: float, zero_point: int) -> NDArray[np.float64]:
    """int8 reconstructed scalograms [k, 32, 32, 3] in, their time sums [k, 3, 32] in pixels out.

    `scale` (in standard deviations, 32 pixels) and `zero_point` are those of the model's first output.
    """
    return (time_sums(output) - CELLS * zero_point) * np.float64(scale * PIXEL)


def recognise(sums: NDArray[np.float64], calibration: Calibration) -> NDArray[np.intp]:
    """Time sums [k, 3, 32] in, the regime nearest to each [k] (the first of equals) out."""
    weight = np.array(calibration.weight)
    nearest, regime = np.full(len(sums), np.inf), np.zeros(len(sums), np.intp)
    for index, code in enumerate(calibration.codebook):  # all at once would be large for long recordings
        distance = np.square((sums - np.array(code)) * weight).sum(axis=(1, 2))
        closer = distance < nearest
        regime[closer] = index
        nearest[closer] = distance[closer]
    return regime


def residual_profile(
    sums: NDArray[np.int64], regime: NDArray[np.intp], calibration: Calibration
) -> NDArray[np.float64]:
    """Time sums of windows [k, 3, 32] and their regimes [k] in, standardised deviations [k, 3, 32] out."""
    return (sums - np.array(calibration.codebook)[regime]) * np.array(calibration.weight)


def fourth_power_mean(deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviations [k, 3, 32] in, the fourth root of the mean of their fourth powers [k] out."""
    squares = np.square(deviation)
    return np.sqrt(np.sqrt(np.square(squares).mean(axis=(1, 2))))


def score(
    scalogram: NDArray[np.int8],
    output: NDArray[np.int8],
    scale: float,
    zero_point: int,
    calibration: Calibration,
) -> Scores:
    """int8 scalograms and their int8 reconstructions [k, 32, 32, 3] in, `Scores` of k windows out."""
    regime = recognise(expected_sums(output, scale, zero_point), calibration)
    deviation = residual_profile(time_sums(scalogram), regime, calibration)
    return Scores(fourth_power_mean(deviation) / calibration.threshold, regime, deviation)


def reasons(deviation: NDArray[np.float64], spec: Spec, count: int = 3) -> list[Reason]:
    """One window's deviations [3, 32] in, the `count` (axis, band)s that contribute most out, largest first.

    Fewer where fewer deviate at all.
    """
    powers = deviation**4
    total = powers.sum()
    if not total > 0:
        return []
    order = np.argsort(-powers, axis=None, kind="stable")[:count]
    found = []
    for place in order:
        axis, band = divmod(int(place), powers.shape[1])
        if not powers[axis, band] > 0:
            break
        found.append(
            Reason(
                axis=AXES[axis],
                center_hz=spec.bands[band].center_hz,
                direction="louder" if deviation[axis, band] > 0 else "quieter",
                share=float(powers[axis, band] / total),
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
