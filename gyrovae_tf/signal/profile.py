"""Images in, profiles out: what a window sounds like, by axis and band, whatever the instant; integers throughout.

The C++ twin is firmware/components/gyrovae/profile.cpp. Pixels are logarithms; a profile of powers is the logarithm of
their mean. To that end a standard deviation is taken for two octaves (16 pixels for one), which is that of a narrow
band of noise, so that 2^(pixel / 16) is a table of 16 numbers and a shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.signal.scalogram import log2
from gyrovae_tf.spec import AXES, BANDS, CELLS, FRACTION, GAIN_SHIFT, Spec

PIXELS_AN_OCTAVE = 16
GROUP = 4
"""Neighbouring bands that the coarse profile takes together."""
GROUPS = BANDS // GROUP
QUARTERS = 4
"""Parts of the bands whose powers are told each."""
_MANTISSA_BITS = 10
EXP2_TABLE = tuple(round(2 ** (_MANTISSA_BITS + i / PIXELS_AN_OCTAVE)) for i in range(PIXELS_AN_OCTAVE))
"""1024 * 2^(i / 16): the fractional part of a power of two by sixteenths."""
_EXP2 = np.array(EXP2_TABLE, np.int64)
_LOWEST = -128 // PIXELS_AN_OCTAVE  # octaves of the darkest pixel
_OF_PIXEL = _EXP2[np.arange(256) % 16] << (np.arange(256) // 16)
"""Pixel + 128 -> 2^(pixel / 16) in 2^-18."""
_QUIET = 16 * PIXELS_AN_OCTAVE  # sixteenths of an octave below the loudest band: what is quieter does not count
_LEVEL_BITS = 10


def time_sums(images: NDArray[np.int8]) -> NDArray[np.int64]:
    """int8 images [k, 32, 32, 3] in, sums of pixels along the second axis, int64 [k, 3, 32] (axis, row), out.

    For a scalogram rows are bands; for a field they are the segments from which it leads.
    """
    return images.sum(axis=2, dtype=np.int64).swapaxes(1, 2)


def band_profile(scalogram: NDArray[np.int8]) -> NDArray[np.int64]:
    """int8 scalograms [k, 32, 32, 3] in, log mean power over time [k, 3, 32] (axis, band) in 1/16 pixel out.

    FRACTION * log2 of the mean of 2^(pixel / 16), by the tables of exponentials and logarithms; 0 where all is 0.
    """
    index = scalogram.view(np.uint8) ^ 0x80  # pixel + 128
    total = np.zeros((len(index), BANDS, len(AXES)), np.int64)
    for cell in range(CELLS):  # all at once would be eight times the images
        total += _OF_PIXEL[index[:, :, cell]]
    zero = _MANTISSA_BITS - _LOWEST + CELLS.bit_length() - 1
    return log2(total.swapaxes(1, 2).astype(np.float64)).astype(np.int64) - zero * FRACTION


def group_profile(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Time sums of scalograms [k, 3, 32] in, sums over `GROUP` neighbouring bands, [k, 3, 8], out."""
    return sums.reshape(len(sums), 3, GROUPS, GROUP).sum(axis=3)


def band_powers(profile: NDArray[np.int64], spec: Spec) -> NDArray[np.int64]:
    """Band profiles [k, 3, 32] (1/16 pixel) in, the bands' log powers [k, 3, 32] in 1/256 octave out.

    A band's log power is its mean on normal motion plus its profile in octaves (a pixel is 2^16 / gain log powers).
    """
    mean, gain = np.array(spec.power_mean), np.maximum(np.array(spec.power_gain), 1)
    return mean + ((profile << (GAIN_SHIFT - 3)) // gain + 1 >> 1)  # rounded: half up


def levels(power: NDArray[np.int64]) -> NDArray[np.int64]:
    """Log powers [..., bands] of neighbouring bands in, that of all of them together [...] in 1/256 octave out.

    Powers are added in sixteenths of an octave below the loudest band; what lies 16 octaves below it does not count.
    """
    loudest = power.max(axis=-1, keepdims=True)
    below = (loudest - power) >> 4  # sixteenths
    part = _EXP2[-below % PIXELS_AN_OCTAVE] << _LEVEL_BITS >> ((below + PIXELS_AN_OCTAVE - 1) // PIXELS_AN_OCTAVE)
    total = np.where(below < _QUIET, part, 0).sum(axis=-1).astype(np.float64)
    zero = (_MANTISSA_BITS + _LEVEL_BITS) * FRACTION
    return loudest[..., 0] + log2(total).astype(np.int64) - zero


def quarters(power: NDArray[np.int64]) -> NDArray[np.int64]:
    """Log powers of all bands [k, 3, 32] in, those of each quarter's bands together [k, 3, 4] in 1/256 octave out."""
    return levels(power.reshape(*power.shape[:2], QUARTERS, BANDS // QUARTERS))


def means(windows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """int16 windows [k, N, 3] in, the rounded mean of each axis [k, 3] in counts (half up) out."""
    length = windows.shape[1]
    return (2 * windows.sum(axis=1, dtype=np.int64) + length) // (2 * length)
