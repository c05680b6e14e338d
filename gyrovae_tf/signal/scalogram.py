"""Windows of counts in, log power of 32 Morlet wavelets in 32 time cells out; integers throughout.

The C++ twin is firmware/components/gyrovae/scalogram.cpp. Everything here is an integer that float64 holds exactly
(below 2^53), so that BLAS multiplies exactly; nothing depends on rounding modes, order of sums or compiler flags.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.spec import (
    AMPLITUDE_SHIFT,
    BANDS,
    CELLS,
    FRACTION,
    HALF_BAND,
    POSITIONS,
    SIGNAL_BITS,
    Band,
)

_MANTISSA_BITS = 7
LOG2_TABLE = tuple(round(FRACTION * float(np.log2(1 + m / (1 << _MANTISSA_BITS)))) for m in range(1 << _MANTISSA_BITS))
"""256 * log2(1 + m / 128): the fractional part of a logarithm by the seven bits below the leading one."""
_LOG2_TABLE = np.array(LOG2_TABLE, np.int32)


def log_power(windows: NDArray[np.integer[Any]], bands: tuple[Band, ...]) -> NDArray[np.int32]:
    """int16 windows [k, N, 3] in, int32 log power [k, 3, 32 bands, 32 cells] in 1/256 octave out.

    For each axis: subtract the window's mean, shift to 14 bits, decimate by octaves, multiply with the wavelets at two
    instants of each cell, sum the squared magnitudes, take log2, undo the shift. A window without motion gives log2
    of 1 (0): the caller's power floor lies above it where it matters.
    """
    count, length, axes = windows.shape
    signal = centered(windows)
    signal, shift = _block_shift(signal.reshape(count * axes, length))
    power = np.empty((count * axes, BANDS, CELLS))
    for level, plan in enumerate(_plan(bands, length)):
        if level:
            signal = _decimate(signal)
        if plan is not None:
            _apply(signal, plan, power)
    octaves = _log2(power) - (2 * FRACTION) * shift[:, None, None]
    return octaves.reshape(count, axes, BANDS, CELLS)


def centered(windows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """int16 windows [k, N, 3] in, the counts about each window's rounded mean out, float64 integers [k, 3, N]."""
    length = windows.shape[1]
    signal = np.moveaxis(windows, 2, 1).astype(np.float64)
    total = signal.sum(axis=2, keepdims=True)
    signal -= np.floor((2 * total + length) / (2 * length))
    return signal


def _block_shift(signal: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Shift each row so that its largest magnitude has 14 bits (right shifts round half up); the shifts, left positive."""
    largest = np.abs(signal).max(axis=1)
    shift = np.where(largest > 0, SIGNAL_BITS - np.frexp(largest)[1], 0).astype(np.int32)
    return np.floor(signal * np.exp2(shift)[:, None] + 0.5), shift


def _decimate(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """One octave down: half-band low-pass at every other sample, zeros beyond the ends, rounded half up."""
    margin = len(HALF_BAND) // 2
    padded = np.pad(signal, ((0, 0), (margin, margin)))
    count = signal.shape[1] // 2
    total = np.zeros((len(signal), count))
    for lag, tap in enumerate(HALF_BAND):
        if tap:
            total += tap * padded[:, lag : lag + 2 * count : 2]
    return np.floor((total + 256) / 512)


class _Level(NamedTuple):
    """What one octave of the pyramid computes."""

    bands: NDArray[np.int64]  # which of the 32
    taps: NDArray[np.float64]  # [lag, 2 * bands]: real parts, then imaginary
    starts: NDArray[np.int64]  # instants, as samples of this octave
    cell_instants: NDArray[np.int64]  # [cell, position] into `starts`


@lru_cache(maxsize=8)
def _plan(bands: tuple[Band, ...], length: int) -> tuple[_Level | None, ...]:
    """The wavelets by octave, mirrored and padded to one length."""
    plan: list[_Level | None] = []
    for level in range(max(band.level for band in bands) + 1):
        chosen = [index for index, band in enumerate(bands) if band.level == level]
        if not chosen:
            plan.append(None)
            continue
        half = max(len(bands[index].real) for index in chosen)
        taps = np.zeros((2 * half - 1, 2 * len(chosen)))
        for column, index in enumerate(chosen):
            reach = len(bands[index].real)
            right = np.array([bands[index].real, bands[index].imag], np.float64)
            taps[half - 1 : half - 1 + reach, [column, len(chosen) + column]] = right.T
            taps[half - reach : half, [column, len(chosen) + column]] = (right * [[1], [-1]]).T[::-1]
        instants = instants_of_cells(length, level)
        starts, where = np.unique(instants, return_inverse=True)
        plan.append(_Level(np.array(chosen), taps, starts, where.reshape(instants.shape)))
    return tuple(plan)


def instants_of_cells(length: int, level: int) -> NDArray[np.int64]:
    """The samples [32 cells, 2] of an octave at which a cell's power is taken: a quarter and three quarters into it."""
    step = np.arange(CELLS * POSITIONS).reshape(CELLS, POSITIONS)
    return ((2 * step + 1) * length // (2 * CELLS * POSITIONS)) >> level


def _apply(signal: NDArray[np.float64], plan: _Level, power: NDArray[np.float64]) -> None:
    """Fill `power` [rows, band, cell] for the bands of one octave."""
    reach = len(plan.taps) // 2
    padded = np.pad(signal, ((0, 0), (reach, reach)))
    views = np.lib.stride_tricks.sliding_window_view(padded, len(plan.taps), axis=1)[:, plan.starts]
    amplitude = views @ plan.taps
    amplitude *= 2.0**-AMPLITUDE_SHIFT
    np.floor(amplitude, out=amplitude)
    amplitude *= amplitude
    number = len(plan.bands)
    squares = amplitude[..., :number] + amplitude[..., number:]
    cells = squares[:, plan.cell_instants[:, 0]]
    for position in range(1, POSITIONS):
        cells += squares[:, plan.cell_instants[:, position]]
    power[:, plan.bands] = cells.swapaxes(1, 2)


def _log2(power: NDArray[np.float64]) -> NDArray[np.int32]:
    """256 * log2 of integers below 2^53, by exponent and a table of the leading bits; 0 gives what 1 gives."""
    # A positive float64 is its exponent and mantissa side by side: the top bits are a logarithm to seven bits.
    leading = (np.maximum(power, 1.0).view(np.int64) >> (52 - _MANTISSA_BITS)).astype(np.int32)
    exponent = (leading >> _MANTISSA_BITS) - 1023
    return exponent * FRACTION + _LOG2_TABLE[leading & ((1 << _MANTISSA_BITS) - 1)]
