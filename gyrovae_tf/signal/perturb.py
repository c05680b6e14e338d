"""Windows of normal motion in, windows with a built-in change out: stand-ins for faults where none were recorded.

They say what a detector can notice at all; they are no substitute for recordings of real faults. All are seeded, leave
the windows that they are given as they are, and saturate at int16 as a sensor does. Sizes are relative to the motion of
all windows given: the root mean square of each axis about its window's mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError

Windows = NDArray[np.int16]


class Perturbation(NamedTuple):
    """One way to change windows."""

    apply: Callable[[Windows, int], Windows]
    """int16 windows [k, N, 3] and a seed in, as many changed windows out."""
    description: str
    """What it does, in a line for people."""


def gain(windows: Windows, seed: int = 0, *, factor: float) -> Windows:
    """int16 windows [k, N, 3] in, their motion about the window's mean times `factor` out; nothing is drawn."""
    mean, motion = _split(windows, seed)
    return _counts(mean + factor * motion)


def added_tone(windows: Windows, seed: int = 0, *, size: float = 0.5) -> Windows:
    """int16 windows [k, N, 3] in, the same with a sine on one axis out.

    Axis, phase and frequency (2 cycles a window to 0.45 of the rate, evenly on a logarithmic scale) are drawn for each
    window; the amplitude is `size` times the axis's motion.
    """
    mean, motion = _split(windows, seed)
    count, length, _ = windows.shape
    draw = np.random.default_rng(seed)
    axis, phase = draw.integers(0, 3, count), draw.uniform(0, 2 * math.pi, (count, 1))
    cycles = np.exp(draw.uniform(math.log(2), math.log(0.45 * length), (count, 1)))
    tone = np.sin(2 * np.pi * cycles * np.arange(length) / length + phase)
    out = mean + motion
    out[np.arange(count), :, axis] += size * _size(motion)[axis, None] * tone
    return _counts(out)


def impulses(windows: Windows, seed: int = 0, *, size: float = 3.0, every: int = 64) -> Windows:
    """int16 windows [k, N, 3] in, the same with one blow in each `every` samples on average out.

    A blow is felt on all axes with random signs, starts at `size` times the axis's motion, and rings down with
    alternating signs to less than a tenth within eight samples.
    """
    mean, motion = _split(windows, seed)
    count, length, _ = windows.shape
    draw = np.random.default_rng(seed)
    number = max(1, length // every)
    start = draw.integers(0, length, (count, number))
    sign = draw.choice([-1.0, 1.0], (count, number, 1, 3))
    ring = np.power(-0.7, np.arange(8))
    out = np.concatenate([mean + motion, np.zeros((count, len(ring), 3))], axis=1)  # what rings on after the window
    at = start[:, :, None] + np.arange(len(ring))
    np.add.at(out, (np.arange(count)[:, None, None], at), size * _size(motion) * sign * ring[:, None])
    return _counts(out[:, :length])


def band_lost(windows: Windows, seed: int = 0) -> Windows:
    """int16 windows [k, N, 3] in, the same without one octave of their spectrum, on all axes, out.

    The octave (centre from 3 cycles a window to 0.35 of the rate, evenly on a logarithmic scale) is drawn for each.
    """
    mean, motion = _split(windows, seed)
    count, length, _ = windows.shape
    centre = np.exp(np.random.default_rng(seed).uniform(math.log(3), math.log(0.35 * length), (count, 1)))
    bins = np.arange(length // 2 + 1)
    lost = (bins >= centre / np.sqrt(2)) & (bins <= centre * np.sqrt(2))
    spectrum = np.fft.rfft(motion, axis=1)
    spectrum[lost] = 0
    return _counts(mean + np.fft.irfft(spectrum, length, axis=1))


def axes_swapped(windows: Windows, seed: int = 0) -> Windows:
    """int16 windows [k, N, 3] in, the same with x as y, y as z and z as x out; nothing is drawn."""
    _split(windows, seed)
    return np.roll(windows, 1, axis=2)


def more_noise(windows: Windows, seed: int = 0, *, size: float = 0.3) -> Windows:
    """int16 windows [k, N, 3] in, the same with white noise of `size` times each axis's motion out."""
    mean, motion = _split(windows, seed)
    noise = np.random.default_rng(seed).standard_normal(windows.shape)
    return _counts(mean + motion + size * _size(motion) * noise)


def stillness(windows: Windows, seed: int = 0) -> Windows:
    """int16 windows [k, N, 3] in, their means with a sensor's noise of one count about them out."""
    mean, _ = _split(windows, seed)
    return _counts(mean + np.random.default_rng(seed).standard_normal(windows.shape))


def _louder(windows: Windows, seed: int = 0) -> Windows:
    return gain(windows, seed, factor=1.5)


def _quieter(windows: Windows, seed: int = 0) -> Windows:
    return gain(windows, seed, factor=1 / 1.5)


PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        "gain +50 %": Perturbation(_louder, "all motion half as large again"),
        "gain -33 %": Perturbation(_quieter, "all motion two thirds as large"),
        "added tone": Perturbation(added_tone, "a sine on one axis, half as large as the axis's motion"),
        "impulses": Perturbation(impulses, "blows, three times as large as the motion, one in 64 samples"),
        "one band lost": Perturbation(band_lost, "one octave of the spectrum gone, another one in each window"),
        "axes swapped": Perturbation(axes_swapped, "x as y, y as z, z as x: the sensor turned or remounted"),
        "more noise": Perturbation(more_noise, "white noise on every axis, 0.3 times as large as its motion"),
        "stillness": Perturbation(stillness, "the machine is off: no more than a sensor's noise of one count"),
    }
)
"""Name, as reports print it -> the change."""


def _split(windows: NDArray[Any], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Windows [k, N, 3] in, each window's means [k, 1, 3] and the motion about them [k, N, 3] out; refuses others."""
    if windows.dtype != np.int16 or windows.ndim != 3 or windows.shape[2] != 3 or windows.shape[1] < 8:
        raise GyrovaeError(
            "only windows of counts can be perturbed",
            expected="int16 [k, N, 3], N at least 8",
            received=f"{windows.dtype} {list(windows.shape)}",
        )
    if not (isinstance(seed, int) and seed >= 0):
        raise GyrovaeError("the seed is not usable", expected="an integer from 0 on", received=seed)
    mean = windows.mean(axis=1, keepdims=True, dtype=np.float64)
    return mean, windows - mean


def _size(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Motion [k, N, 3] in, its root mean square by axis [3] out, one count at the least."""
    return np.sqrt(np.maximum(np.square(motion).sum(axis=(0, 1)) / max(1, motion[..., 0].size), 1.0))


def _counts(values: NDArray[np.float64]) -> Windows:
    """Values in, int16 out: rounded half to even, saturated."""
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)
