"""Windows in m/s^2 in, the images that Seeed's stock firmware makes of them out: the `stock` front end.

The firmware is the example gyro_anomaly_detection_nn of Seeed-Studio/sscma-example-esp32 (branch dev). Its front end is
float32 and has flaws that a model must have been trained with:

- A window's mean stays in it, so orientation counts; one mean and spread for all machines, compiled in.
- Every eighth sample is looked at (the mean of two), without a filter before it: frequencies above 12.5 Hz are folded.
- The filter of the Markov transition field starts from nothing, so that each window begins with the same step.
- Row 0 of the scalogram is extrapolated from memory in front of a buffer: a quarter of it is undefined. Here it is the
  row of the first scale, and models are made so that it cannot matter (`learn.stock_model`).
- int8 is a C++ conversion from float: truncated towards zero, and beyond +-128 undefined (`to_int8`).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import array, instance
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.stockspec import DEFAULTS, LARGEST, RATE_HZ, SCALES, SIZE, UNDEFINED_ROWS, UNITS, WINDOW, StockConstants

Floats = NDArray[np.float32]
_STEP = WINDOW // SIZE
_WAVELET = 1024  # points on [-2, 2]
_EPS = 1e-20
_CHUNK = 256  # windows at a time: what they need stays in the processor's cache


def stock_images(windows: NDArray[Any], constants: StockConstants = DEFAULTS) -> tuple[Floats, Floats]:
    """float32 windows [k, 256, 3] in m/s^2 at 200 Hz in; scalograms and fields, each float32 [k, 32, 32, 3], out.

    Scalograms are [scale, time, axis], in standard deviations times the wavelet's gain; fields [i, j, axis], the
    probability that the level of segment i is followed by that of segment j. They equal what the firmware's C++ makes
    to about 1e-5; fields are equal but where a segment lies within rounding of a level's edge. The last axis varies
    fastest, as in the model's input. `GyrovaeError` when the windows are of another form or not finite, and for
    constants that are no `StockConstants`.

    Definitions: wavelet transform by differences of a convolution with the integrated wavelet, as PyWavelets' `cwt`;
    filter by windowing (Oppenheim and Schafer, 7.5); field by Wang and Oates, Imaging Time-Series (2015).
    """
    windows = check_windows(windows)
    constants = instance(constants, "the stock constants are not usable", StockConstants)
    scalogram, field = (np.empty((len(windows), SIZE, SIZE, 3), np.float32) for _ in range(2))
    for start in range(0, len(windows), _CHUNK):
        rows = slice(start, start + _CHUNK)
        scaled = _scaled(windows[rows], constants).swapaxes(1, 2).astype(np.float64)  # [k, 3, 256]
        scalogram[rows] = np.moveaxis(_scalogram(scaled, constants), 1, 3)
        field[rows] = np.moveaxis(_field(scaled, constants), 1, 3)
    return scalogram, field


def to_int8(values: Floats, scale: float) -> NDArray[np.int8]:
    """float32 values and the size of one int8 step in, int8 as the firmware stores it (zero point 0) out.

    value / scale is rounded towards zero. From 128 on C++ leaves the result undefined; chosen here is what an ESP32-S3
    does: TRUNC.S to int32, saturated there (not a number: 2^31 - 1), of which the lowest 8 bits are stored, so that
    130.7 becomes -126. With `scale` a power of two the quotient is exact, however the compiler divides.
    """
    steps = np.asarray(values, np.float32) / np.float32(scale)
    whole = np.trunc(np.where(np.isnan(steps), np.float32(np.inf), steps).astype(np.float64))
    wide = np.clip(whole, -(2**31), 2**31 - 1).astype(np.int64)
    return (wide & 0xFF).astype(np.uint8).view(np.int8)


def wrapped(values: Floats, scale: float) -> NDArray[np.bool_]:
    """float32 values and the size of one int8 step in, which of them int8 cannot hold out."""
    steps = np.trunc(np.asarray(values, np.float64) / scale)
    fits: NDArray[np.bool_] = (steps >= -128) & (steps <= 127)
    return ~fits


def figures(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of squared errors of an image in, the figures in dB that the firmware's console prints out.

    20 * log10(1 / sqrt(sum)): the lower, the worse the reconstruction; infinite where there is no error.
    """
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(errors)


def check_windows(windows: NDArray[Any]) -> Floats:
    """Windows in, the same as float32 out; refuses anything but finite numbers [k, 256, 3] that a sensor can say."""
    windows = array(windows)
    if windows.ndim != 3 or windows.shape[1:] != (WINDOW, 3) or windows.dtype.kind != "f":
        raise GyrovaeError(
            "the windows are not of the stock front end's form",
            expected=f"float32 [k, {WINDOW}, 3] in {UNITS}",
            received=f"{windows.dtype} {list(windows.shape)}",
        )
    if not (np.abs(windows) <= LARGEST).all():  # NaN compares false
        raise GyrovaeError("a sample is no number, or too large", expected=f"up to {LARGEST:g} {UNITS}")
    return windows.astype(np.float32, copy=False)


def filter_taps(constants: StockConstants = DEFAULTS) -> NDArray[np.float64]:
    """Constants in, the low pass of the field [taps] out: a Hamming-windowed sinc with a gain of 1 at 0 Hz."""
    lag = np.arange(constants.taps) - (constants.taps - 1) / 2
    cutoff = constants.cutoff_hz / (RATE_HZ / 2)
    window = 0.54 + 0.46 * np.cos(np.linspace(-np.pi, np.pi, constants.taps))
    taps: NDArray[np.float64] = np.sinc(cutoff * lag) * window
    return taps / taps.sum()


def wavelets(constants: StockConstants = DEFAULTS) -> list[NDArray[np.float64]]:
    """Constants in, for each scale the integrated wavelet's samples (in the order of the convolution) out.

    In float32 where a rounding decides which sample is taken.
    """
    place = np.float32(-2) + np.float32(4) * (np.arange(_WAVELET, dtype=np.float32) / np.float32(_WAVELET - 1))
    step = place[1] - place[0]
    wave = np.exp(np.float32(-0.5) * place * place) * np.cos(np.float32(5) * place)
    integral = np.cumsum(wave, dtype=np.float32) * step
    found = []
    for number in range(SCALES):
        scale = np.float32(constants.scale_start + number * constants.scale_step)
        count = math.ceil(scale * (place[-1] - place[0])) + 1
        index = np.floor(np.arange(count, dtype=np.float32) / (scale * step)).astype(np.int64)
        found.append(integral[index[index < _WAVELET]][::-1].astype(np.float64))
    return found


def macs(constants: StockConstants = DEFAULTS) -> int:
    """Constants in, multiply-accumulates of the firmware's filter and wavelet transform a window of 3 axes out."""
    filtered = sum(min(constants.taps, sample + 1) for sample in range(WINDOW))
    return 3 * (filtered + SIZE * sum(map(len, wavelets(constants))))


def _scaled(windows: Floats, constants: StockConstants) -> Floats:
    """Windows in, rounded down and standardised, out; float32 at every step, as rounding down is no place to differ."""
    steps = np.floor(windows * np.float32(constants.squeeze)) * np.float32(constants.expand)
    mean, std = np.array(constants.mean, np.float32), np.array(constants.std, np.float32)
    scaled: Floats = (steps - mean) / std
    return scaled


def _scalogram(scaled: NDArray[np.float64], constants: StockConstants) -> NDArray[np.float64]:
    """Standardised windows [k, 3, 256] in, scalograms [k, 3, 32, 32] out."""
    # Bilinear sampling at 8 j + 3.5.
    sampled = (scaled[..., _STEP // 2 - 1 :: _STEP] + scaled[..., _STEP // 2 :: _STEP]) / 2
    transform = sampled @ _transform(constants)
    return np.asarray(_rows() @ transform.reshape(*sampled.shape[:2], SCALES, SIZE))


@functools.lru_cache(maxsize=8)
def _transform(constants: StockConstants) -> NDArray[np.float64]:
    """Constants in, the wavelet transform of 32 samples as a matrix [32, 16 * 32] out."""
    matrix = np.empty((SIZE, SCALES, SIZE))
    for number, wavelet in enumerate(wavelets(constants)):
        factor = -np.float32(math.sqrt(np.float32(constants.scale_start + number * constants.scale_step)))
        for sample, unit in enumerate(np.eye(SIZE)):
            difference = np.diff(np.convolve(unit, wavelet)) * np.float64(factor)
            start = (len(difference) - SIZE) // 2
            matrix[sample, number] = difference[start : start + SIZE]
    return matrix.reshape(SIZE, SCALES * SIZE)


@functools.lru_cache(maxsize=1)
def _rows() -> NDArray[np.float64]:
    """How the 32 rows are made of the 16 scales, [32, 16]: row i lies at (i + 0.5) / 2 - 0.5, the last is extrapolated,
    the first (undefined in the firmware) is the first scale."""
    mixing = np.zeros((SIZE, SCALES))
    mixing[0, 0] = 1.0
    for row in range(UNDEFINED_ROWS, SIZE):
        place = (row + 0.5) * SCALES / SIZE - 0.5
        low = min(math.floor(place), SCALES - 2)
        mixing[row, low], mixing[row, low + 1] = 1 - (place - low), place - low
    return mixing


@functools.lru_cache(maxsize=8)
def _segments(constants: StockConstants) -> NDArray[np.float64]:
    """Constants in, low pass and mean of 32 segments as one matrix [256, 32] out."""
    taps = filter_taps(constants)
    matrix = np.zeros((WINDOW, SIZE))
    for sample in range(WINDOW):
        response = np.zeros(WINDOW)
        part = taps[: WINDOW - sample]
        response[sample : sample + len(part)] = part
        matrix[sample] = response.reshape(SIZE, _STEP).mean(axis=1)
    return matrix


def _field(scaled: NDArray[np.float64], constants: StockConstants) -> Floats:
    """Standardised windows [k, 3, 256] in, fields [k, 3, 32, 32] out."""
    level = (scaled @ _segments(constants)).astype(np.float32)
    least, most = level.min(axis=2, keepdims=True), level.max(axis=2, keepdims=True)
    reach = np.maximum(most - least, np.float32(_EPS))
    edges = np.arange(constants.bins, dtype=np.float32) / np.float32(constants.bins - 1)
    above = np.searchsorted(edges, (level - least) / reach, side="right")  # edges at or below the value
    bin_of = np.maximum(np.minimum(above, constants.bins - 1) - 1, 0)
    same = (bin_of[..., :, None] == bin_of[..., None, :]).astype(np.float32)
    # Of the segments of i's level, those but the last that j's level follows.
    follows = same[..., :-1] @ same[..., 1:].swapaxes(2, 3)
    seen = same[..., :-1].sum(axis=3, keepdims=True)
    return np.asarray(follows / np.maximum(seen, np.float32(1)), np.float32)
