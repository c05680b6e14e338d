"""Windows of counts in, int8 images out: the `power` front end, and its fit to normal motion.

The C++ twin is firmware/components/gyrovae/frontend.cpp.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import array, instance, number
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.mtf import ONE, field
from gyrovae_tf.signal.scalogram import centered, log_power
from gyrovae_tf.spec import (
    BANDS,
    CELLS,
    FRACTION,
    GAIN_SHIFT,
    LEVELS,
    PIXEL,
    Spec,
    check_window,
    choose_lsb,
    design_bands,
    field_shift_of,
    power_floors,
)

_CHUNK = 64  # windows at a time: what they need stays in the processor's cache
_GAIN = 1 << GAIN_SHIFT
_LEAST_SPREAD_OCTAVES = 0.25  # a steady tone's spread is no reason to call a change of a few percent abnormal
_LEAST_SPREAD_FIELD = ONE // 50


def images(windows: NDArray[np.integer[Any]], spec: Spec) -> NDArray[np.int8]:
    """int16 windows [k, N, 3] in, int8 images [k, 2, 32, 32, 3] out: scalogram [band, cell, axis], field [i, j, axis].

    A pixel is 32 times the deviation from normal motion's mean in standard deviations, clipped to +-4 of them.
    `GyrovaeError` for windows of another form, and for what is no spec: that of a dataset is its `spec`.
    """
    spec = instance(spec, "the spec of the front end is not usable", Spec)
    windows = check_windows(windows, spec.window)
    out = np.empty((len(windows), 2, BANDS, CELLS, 3), np.int8)
    edges = np.array(spec.field_edges)
    most = min(len(windows), _CHUNK)
    floor, power_mean, power_gain = (
        _as_log_power(table, most) for table in ((spec.power_floor,) * 3, spec.power_mean, spec.power_gain)
    )
    field_mean, field_gain = (np.array(table, np.int32)[:, None, None] for table in (spec.field_mean, spec.field_gain))
    for start in range(0, len(windows), _CHUNK):
        part, image = windows[start : start + _CHUNK], out[start : start + _CHUNK]
        count = len(part)
        power = np.maximum(log_power(part, spec.bands), floor[:count])
        scalogram = _pixels(power, power_mean[:count], power_gain[:count])
        cells = field(part, edges).astype(np.int32) >> spec.field_shift
        transition = _pixels(cells, field_mean, field_gain)
        for axis in range(3):  # one copy of all three would be in runs of three pixels
            image[:, 0, :, :, axis] = scalogram[:, axis]
            image[:, 1, :, :, axis] = transition[:, axis]
    return out


def fit(windows: NDArray[np.integer[Any]], *, rate_hz: float, lsb: float, units: str) -> Spec:
    """int16 windows [k, N, 3] of normal motion in, the spec of their front end out (tables, statistics, edges).

    Mean and standard deviation of each (axis, band) are over windows and time cells; the field's edges are the
    octiles of the counts about their window's mean; the field's mean and spread are one pair an axis.
    """
    length = windows.shape[1] if windows.ndim > 1 else 0
    windows = check_windows(windows, length)
    check_window(length)
    if not len(windows):
        raise GyrovaeError("no windows to fit the front end to", expected="at least one")
    bands = design_bands(length, rate_hz)
    floors = power_floors(bands)
    floor = np.array(floors)[None, None, :, None]
    signal = np.concatenate([np.moveaxis(centered(part), 1, 0).reshape(3, -1) for part in _chunks(windows)], 1)
    edges = np.ceil(np.quantile(signal, np.arange(1, LEVELS) / LEVELS, axis=1)).T.astype(np.int64)
    shift = field_shift_of(length)
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
    """Samples [n, 3] in the sensor's units in, int16 counts [n, 3] out: rounded half to even, saturated.

    `GyrovaeError` when a sample is not a number.
    """
    counts = np.rint(np.asarray(samples) / lsb)
    if np.isnan(counts).any():
        raise GyrovaeError("a sample is not a number", expected="finite samples")
    return np.clip(counts, -32768, 32767).astype(np.int16)


def lsb_of(samples: list[NDArray[np.floating[Any]]]) -> float:
    """Normal motion's samples, each [n, 3], in; a count's size in their units out (see `spec.choose_lsb`)."""
    largest = [np.abs(part).max(initial=0.0) for part in samples]
    return choose_lsb(float(np.max(largest)) if largest else math.nan)


def check_lsb(lsb: float | None) -> float | None:
    """A size of a count in, the same as Python's number out; None, where there is none to give, is fine."""
    if lsb is None:
        return None
    return number(lsb, "the size of a count (lsb) is not usable", "above 0", lambda value: value > 0)


def check_windows(windows: NDArray[np.integer[Any]], length: int) -> NDArray[np.integer[Any]]:
    """Windows in, the same out, as an array where they are in lists; refuses anything but int16 [k, length, 3]."""
    if not hasattr(windows, "dtype"):  # what stands in for an array is read piece by piece
        windows = array(windows)
    if windows.dtype != np.int16 or windows.ndim != 3 or windows.shape[1:] != (length, 3):
        raise GyrovaeError(
            "the windows are not of the front end's form",
            expected=f"int16 [k, {length}, 3]",
            received=f"{windows.dtype} {list(windows.shape)}",
        )
    return windows


def _as_log_power(table: Any, count: int) -> NDArray[np.int32]:
    """[3, 32] in, the same for each of `count` windows out: [count, 3, 32, 1], with log_power's order in memory."""
    return np.tile(np.array(table, np.int32).T, (1, count)).reshape(BANDS, 1, count, 3).transpose(2, 3, 0, 1)


def _pixels(values: NDArray[np.int32], mean: NDArray[np.int32], gain: NDArray[np.int32]) -> NDArray[np.int8]:
    """(value - mean) * gain / 65536, rounded half up, clipped to int8; Spec's limits keep it within int32."""
    pixels = values - mean
    pixels *= gain
    pixels += _GAIN // 2
    pixels >>= GAIN_SHIFT
    return np.clip(pixels, -128, 127, out=pixels).astype(np.int8)


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
