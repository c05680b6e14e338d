"""Windows of counts in, log power of 32 Morlet wavelets in 32 time cells out; integers throughout.

The C++ twin is firmware/components/gyrovae/scalogram.cpp. Everything here is an integer that float64 holds exactly
(below 2^53, or such an integer over 64), so that BLAS multiplies exactly; nothing depends on rounding modes, order of
sums or compiler flags.

Inside, signals are [sample, row] with a row for each window and axis: an instant's neighbours then lie side by side
for all rows, and the wavelets are one matrix product an instant, without a copy of the overlapping windows.
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
    SIGNAL_BITS,
    Band,
)

_MANTISSA_BITS = 7
LOG2_TABLE = tuple(round(FRACTION * float(np.log2(1 + m / (1 << _MANTISSA_BITS)))) for m in range(1 << _MANTISSA_BITS))
"""256 * log2(1 + m / 128): the fractional part of a logarithm by the seven bits below the leading one."""
_OCTAVES = 53
_LOG2 = np.array([FRACTION * octave + part for octave in range(_OCTAVES) for part in LOG2_TABLE], np.int32)
_LOG2_OF_1 = 1023 << _MANTISSA_BITS  # the top bits of 1.0


def log_power(windows: NDArray[np.integer[Any]], bands: tuple[Band, ...]) -> NDArray[np.int32]:
    """int16 windows [k, N, 3] in, int32 log power [k, 3, 32 bands, 32 cells] in 1/256 octave out.

    For each axis: subtract the window's mean, shift to 14 bits, decimate by octaves, multiply with the wavelets in the
    middle of each cell, take the squared magnitude and its log2, undo the shift. A window without motion gives log2
    of 1 (0): the caller's power floor lies above it where it matters. (In memory k and axis come last.)
    """
    count, length, axes = windows.shape
    signal, shift = _block_shift(centered_rows(windows))
    power = np.empty((BANDS, CELLS, count * axes))
    for level, plan in enumerate(_plan(bands, length)):
        if level:
            signal = _decimate(signal)
        if plan is not None:
            _apply(signal, plan, power)
    octaves = log2(power)
    octaves -= (2 * FRACTION) * shift
    return octaves.reshape(BANDS, CELLS, count, axes).transpose(2, 3, 0, 1)


def centered(windows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """int16 windows [k, N, 3] in, the counts about each window's rounded mean out, float64 integers [k, 3, N]."""
    count, length, axes = windows.shape
    return centered_rows(windows).reshape(length, count, axes).transpose(1, 2, 0)


def centered_rows(windows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """What `centered` gives, as [N, k * 3]."""
    length = windows.shape[1]
    signal = np.ascontiguousarray(windows.swapaxes(0, 1)).reshape(length, -1).astype(np.float64)
    signal -= np.floor((2 * signal.sum(axis=0) + length) / (2 * length))
    return signal


def _block_shift(signal: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Shift each row of [N, rows] so that its largest magnitude has 14 bits; the shifts, left positive, too.

    Right shifts round half up.
    """
    largest = np.maximum(signal.max(axis=0), -signal.min(axis=0))
    shift = np.where(largest > 0, SIGNAL_BITS - np.frexp(largest)[1], 0).astype(np.int32)
    shifted = signal * np.exp2(shift)
    shifted += 0.5
    return np.floor(shifted, out=shifted), shift


def _decimate(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """One octave down: half-band low-pass at every other sample, zeros beyond the ends, rounded half up."""
    margin = len(HALF_BAND) // 2
    padded = np.pad(signal, ((margin, margin), (0, 0)))
    count = len(signal) // 2
    total = np.full((count, signal.shape[1]), 256.0)
    for lag, tap in enumerate(HALF_BAND):
        if tap:
            total += tap * padded[lag : lag + 2 * count : 2]
    total *= 1 / 512
    return np.floor(total, out=total)


class _Level(NamedTuple):
    """What one octave of the pyramid computes."""

    bands: NDArray[np.int64]  # which of the 32
    taps: NDArray[np.float64]  # [2 * bands, lag] over 2^AMPLITUDE_SHIFT: real parts, then imaginary
    starts: NDArray[np.int64]  # instants, as samples of this octave
    cells: NDArray[np.int64]  # [cell] the place of its instant in `starts`


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
        taps = np.zeros((2 * len(chosen), 2 * half - 1))
        for row, index in enumerate(chosen):
            reach = len(bands[index].real)
            right = np.array([bands[index].real, bands[index].imag], np.float64)
            taps[[row, len(chosen) + row], half - 1 : half - 1 + reach] = right
            taps[[row, len(chosen) + row], half - reach : half] = (right * [[1], [-1]])[:, ::-1]
        taps *= 2.0**-AMPLITUDE_SHIFT
        starts, cells = np.unique(instants_of_cells(length, level), return_inverse=True)
        plan.append(_Level(np.array(chosen), taps, starts, cells))
    return tuple(plan)


def instants_of_cells(length: int, level: int) -> NDArray[np.int64]:
    """The samples [32 cells] of an octave at which a cell's power is taken: its middle."""
    return ((2 * np.arange(CELLS) + 1) * length // (2 * CELLS)) >> level


def _apply(signal: NDArray[np.float64], plan: _Level, power: NDArray[np.float64]) -> None:
    """Fill `power` [band, cell, row] for the bands of one octave."""
    number, lags = len(plan.bands), plan.taps.shape[1]
    padded = np.pad(signal, ((lags // 2, lags // 2), (0, 0)))
    squares = np.empty((len(plan.starts), number, signal.shape[1]))
    amplitude = np.empty((2 * number, signal.shape[1]))
    for place, start in enumerate(plan.starts):
        np.matmul(plan.taps, padded[start : start + lags], out=amplitude)
        np.floor(amplitude, out=amplitude)
        np.square(amplitude, out=amplitude)
        np.add(amplitude[:number], amplitude[number:], out=squares[place])
    for cell, place in enumerate(plan.cells):
        power[plan.bands, cell] = squares[place]


def log2(power: NDArray[np.float64]) -> NDArray[np.int32]:
    """Integers below 2^53 in, 256 * log2 of them out, by exponent and the seven bits below it; 0 gives what 1 gives."""
    # A positive float64 is its exponent and mantissa side by side: the top bits are a logarithm to seven bits.
    leading = np.maximum(power, 1.0).view(np.int64)
    leading >>= 52 - _MANTISSA_BITS
    leading -= _LOG2_OF_1
    return _LOG2[leading]
