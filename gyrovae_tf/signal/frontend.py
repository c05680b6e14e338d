"""Windows of counts in, int8 images out: the `power` front end, and its fit to normal motion.

The C++ twin is firmware/components/gyrovae/frontend.cpp.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.mtf import ONE, field
from gyrovae_tf.signal.scalogram import centered, log_power
from gyrovae_tf.spec import (
    BANDS,
    CELLS,
    FRACTION,
    LEVELS,
    PIXEL,
    Spec,
    choose_lsb,
    design_bands,
    power_floors,
)

_CHUNK = 64  # windows at a time: what they need stays in the processor's cache
_GAIN = 1 << 16
_LEAST_SPREAD_OCTAVES = 0.25  # a steady tone's spread is no reason to call a change of a few percent abnormal
_LEAST_SPREAD_FIELD = ONE // 50


def images(windows: NDArray[np.integer[Any]], spec: Spec) -> NDArray[np.int8]:
    """int16 windows [k, N, 3] in, int8 images [k, 2, 32, 32, 3] out: scalogram [band, cell, axis] and field [i, j, axis].

    A pixel is 32 times the deviation from normal motion's mean in standard deviations, clipped to +-4 of them.
    """
    check_windows(windows, spec.window)
    out = np.empty((len(windows), 2, BANDS, CELLS, 3), np.int8)
    edges = np.array(spec.field_edges)
    floor = np.array(spec.power_floor)[None, None, :, None]
    power_mean = np.array(spec.power_mean)[None, :, :, None]
    power_gain = np.array(spec.power_gain)[None, :, :, None]
    field_mean = np.array(spec.field_mean)[None, :, None, None]
    field_gain = np.array(spec.field_gain)[None, :, None, None]
    for start in range(0, len(windows), _CHUNK):
        part = windows[start : start + _CHUNK]
        power = np.maximum(log_power(part, spec.bands), floor)
        out[start : start + _CHUNK, 0] = np.moveaxis(_pixels(power, power_mean, power_gain), 1, 3)
        cells = field(part, edges).astype(np.int64) >> spec.field_shift
        out[start : start + _CHUNK, 1] = np.moveaxis(_pixels(cells, field_mean, field_gain), 1, 3)
    return out


def fit(windows: NDArray[np.integer[Any]], *, rate_hz: float, lsb: float, units: str) -> Spec:
    """int16 windows [k, N, 3] of normal motion in, the spec of their front end out (tables, statistics, edges).

    Mean and standard deviation of each (axis, band) are over windows and time cells; the field's edges are the
    octiles of the counts about their window's mean; the field's mean and spread are one pair an axis.
    """
    length = windows.shape[1]
    check_windows(windows, length)
    if not len(windows):
        raise GyrovaeError("no windows to fit the front end to", expected="at least one")
    bands = design_bands(length, rate_hz)
    floors = power_floors(bands)
    floor = np.array(floors)[None, None, :, None]
    signal = np.concatenate([np.moveaxis(centered(part), 1, 0).reshape(3, -1) for part in _chunks(windows)], 1)
    edges = np.ceil(np.quantile(signal, np.arange(1, LEVELS) / LEVELS, axis=1)).T.astype(np.int64)
    shift = math.ceil(2 * math.log2(length / CELLS))
    power, cells = _Moments((3, BANDS)), _Moments((3,))
    for part in _chunks(windows):
        power.add(np.moveaxis(np.maximum(log_power(part, bands), floor), 0, 2).reshape(3, BANDS, -1))
        cells.add(np.moveaxis(field(part, edges).astype(np.int64) >> shift, 0, 1).reshape(3, -1))
    power_spread = np.maximum(power.spread(), _LEAST_SPREAD_OCTAVES * FRACTION)
    field_spread = np.maximum(cells.spread(), _LEAST_SPREAD_FIELD)
    return Spec(
        window=length,
        rate_hz=float(rate_hz),
        lsb=float(lsb),
        units=units,
        bands=bands,
        power_floor=floors,
        power_mean=_table(power.mean()),
        power_gain=_table(PIXEL * _GAIN / power_spread),
        field_edges=_table(edges),
        field_shift=shift,
        field_mean=_table(cells.mean()),
        field_gain=_table(PIXEL * _GAIN / field_spread),
    )


def to_counts(samples: NDArray[np.floating[Any]], lsb: float) -> NDArray[np.int16]:
    """Samples [n, 3] in the sensor's units in, int16 counts [n, 3] out: rounded half to even, saturated."""
    return np.clip(np.rint(np.asarray(samples) / lsb), -32768, 32767).astype(np.int16)


def lsb_of(samples: list[NDArray[np.floating[Any]]]) -> float:
    """Normal motion's samples, each [n, 3], in; a count's size in their units out (see `spec.choose_lsb`)."""
    return choose_lsb(max(float(np.abs(part).max(initial=0.0)) for part in samples))


def check_windows(windows: NDArray[np.integer[Any]], length: int) -> None:
    """Refuse anything but int16 [k, length, 3]."""
    if windows.dtype != np.int16 or windows.ndim != 3 or windows.shape[1:] != (length, 3):
        raise GyrovaeError(
            "the windows are not of the front end's form",
            expected=f"int16 [k, {length}, 3]",
            received=f"{windows.dtype} {list(windows.shape)}",
        )


def _pixels(values: NDArray[Any], mean: NDArray[Any], gain: NDArray[Any]) -> NDArray[np.int64]:
    """(value - mean) * gain / 65536, rounded half up, clipped to int8; all integers."""
    return np.clip(((values - mean) * gain + _GAIN // 2) >> 16, -128, 127)


def _chunks(windows: NDArray[np.integer[Any]]) -> list[NDArray[np.integer[Any]]]:
    return [windows[start : start + _CHUNK] for start in range(0, len(windows), _CHUNK)]


def _table(values: NDArray[Any]) -> Any:
    """An array as nested tuples of Python integers."""
    rounded = np.rint(values).astype(np.int64)
    return tuple(map(_table, rounded)) if rounded.ndim > 1 else tuple(int(v) for v in rounded)


class _Moments:
    """Sums of integers and of their squares along the last axis: exact, so their order does not matter."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count = 0
        self._sum = np.zeros(shape, object)
        self._squares = np.zeros(shape, object)

    def add(self, values: NDArray[Any]) -> None:
        values = values.astype(np.int64)
        self._count += values.shape[-1]
        self._sum += values.sum(axis=-1)
        self._squares += (values * values).sum(axis=-1)

    def mean(self) -> NDArray[np.float64]:
        return (self._sum / self._count).astype(np.float64)

    def spread(self) -> NDArray[np.float64]:
        """Standard deviation (population)."""
        variance = (self._squares * self._count - self._sum * self._sum) / self._count**2
        return np.sqrt(variance.astype(np.float64))
