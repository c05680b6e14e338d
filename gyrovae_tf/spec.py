"""Every number that Python and the firmware share: the front end's tables, fitted to one machine's normal motion."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyrovae_tf.errors import GyrovaeError

VERSION = 1
AXES = ("x", "y", "z")
BANDS = 32
CELLS = 32
POSITIONS = 2
"""Wavelet powers are taken at this many instants of a time cell."""
LEVELS = 8
"""Amplitude levels of the Markov transition field."""
PIXEL = 32
"""An image pixel is int8 / PIXEL standard deviations, zero point 0."""
WINDOW_MIN, WINDOW_MAX = 64, 1024
FRACTION = 256
"""Log powers are integers in 1/FRACTION octave."""
SIGNAL_BITS = 14
"""A window is shifted so that its largest magnitude has this many bits (block floating point)."""
AMPLITUDE_SHIFT = 6
HALF_BAND = (3, 0, -25, 0, 150, 256, 150, 0, -25, 0, 3)
"""Low-pass of the octave pyramid, in 1/512: maximally flat half-band filter of 11 taps."""
MAX_LEVEL = 5
_TOP = 0.22  # a band moves down an octave while its centre stays below this, in cycles a sample
_HIGHEST = 0.45  # cycles a sample
_LOWEST_CYCLES = 2.0  # cycles a window
_MORLET = 5.0  # angular frequency times standard deviation in time
_TRUNCATION = 2.5  # standard deviations on either side
_TAP_SUM = 1 << 15


@dataclass(frozen=True)
class Band:
    """One complex Morlet wavelet, as integers; the right half, since it is even and its imaginary part odd."""

    center_hz: float
    """Centre frequency."""
    level: int
    """Octaves of decimation before it is applied."""
    real: tuple[int, ...]
    """Real taps at lags 0..h; the whole (mirrored) wavelet sums to zero."""
    imag: tuple[int, ...]
    """Imaginary taps at lags 0..h; mirrored with the sign changed, so imag[0] is 0."""


@dataclass(frozen=True)
class Spec:
    """The front end of one machine: windows of int16 counts in, int8 images out, the same on PC and device."""

    window: int
    """Samples in a window: a multiple of 32 from 64 to 1024."""
    rate_hz: float
    """Samples a second."""
    lsb: float
    """Units a count."""
    units: str
    """What the sensor measures, "m/s^2" or "rad/s"."""
    bands: tuple[Band, ...]
    """The 32 wavelets, lowest frequency first."""
    power_floor: tuple[int, ...]
    """[band] log power of the sensor's own rounding (1/12 square count), below which nothing is resolved."""
    power_mean: tuple[tuple[int, ...], ...]
    """[axis][band] mean log power of normal motion, in 1/256 octave."""
    power_gain: tuple[tuple[int, ...], ...]
    """[axis][band] pixels a log power, in 1/65536."""
    field_edges: tuple[tuple[int, ...], ...]
    """[axis] the seven inner edges of the amplitude levels, in counts about the window's mean."""
    field_shift: int
    """Right shift that brings the field's cell sums to 15 bits."""
    field_mean: tuple[int, ...]
    """[axis] mean of the field on normal motion."""
    field_gain: tuple[int, ...]
    """[axis] pixels a unit of the field, in 1/65536."""

    def __post_init__(self) -> None:
        check_window(self.window)
        check_rate(self.rate_hz)
        if not (math.isfinite(self.lsb) and self.lsb > 0):
            raise GyrovaeError("the size of a count (lsb) is not usable", expected="above 0", received=self.lsb)
        _check_table("power_floor", self.power_floor, (BANDS,), 1 << 20)
        _check_table("power_mean", self.power_mean, (3, BANDS), 1 << 20)
        _check_table("power_gain", self.power_gain, (3, BANDS), 1 << 16)
        _check_table("field_edges", self.field_edges, (3, LEVELS - 1), 1 << 17)
        _check_table("field_mean", self.field_mean, (3,), 1 << 16)
        _check_table("field_gain", self.field_gain, (3,), 1 << 15)
        _check_table("field_shift", (self.field_shift,), (1,), 16)
        if any(list(edges) != sorted(edges) for edges in self.field_edges):
            raise GyrovaeError("the spec's field_edges do not ascend")
        if len(self.bands) != BANDS:
            raise GyrovaeError("the spec has a wrong number of bands", expected=BANDS, received=len(self.bands))
        for index, band in enumerate(self.bands):
            half = len(band.real)
            _check_table(f"bands[{index}].real", band.real, (half,), _TAP_SUM)
            _check_table(f"bands[{index}].imag", band.imag, (half,), _TAP_SUM)
            magnitude = max(abs(band.real[0]) + 2 * sum(map(abs, band.real[1:])), 2 * sum(map(abs, band.imag)))
            if not (0 <= band.level <= MAX_LEVEL and 0 < half <= self.window and magnitude <= 1 << 16):
                raise GyrovaeError(f"the spec's wavelet {index} is out of range")

    @property
    def window_ms(self) -> float:
        """Length of a window in milliseconds."""
        return 1000.0 * self.window / self.rate_hz

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change when any number above does (SHA-256 of the canonical JSON)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The whole spec as one line of canonical JSON (sorted keys)."""
        return json.dumps({"spec_version": VERSION, **dataclasses.asdict(self)}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """A spec from `to_json`'s text; `GyrovaeError` for another version, a missing or unknown field, bad values."""
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise GyrovaeError(f"the spec is not JSON: {error}") from None
        if not isinstance(raw, dict):
            raise GyrovaeError("the spec is not a JSON object", received=type(raw).__name__)
        return cls.from_dict(raw)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Spec:
        """A spec from `to_json`'s parsed object; errors as in `from_json`."""
        raw = dict(raw)
        version = raw.pop("spec_version", None)
        if version != VERSION:
            raise GyrovaeError("this spec has another version", expected=VERSION, received=version)
        names = {field.name for field in dataclasses.fields(cls)}
        if set(raw) != names:
            odd = sorted(set(raw) ^ names)
            raise GyrovaeError(f"the spec's fields are not those of version {VERSION}: {', '.join(odd)}")
        try:
            raw["bands"] = tuple(
                Band(float(b["center_hz"]), int(b["level"]), tuple(b["real"]), tuple(b["imag"])) for b in raw["bands"]
            )
            for name in ("power_mean", "power_gain", "field_edges"):
                raw[name] = tuple(tuple(row) for row in raw[name])
            for name in ("power_floor", "field_mean", "field_gain"):
                raw[name] = tuple(raw[name])
            return cls(**raw)
        except (TypeError, KeyError, ValueError, IndexError) as error:
            raise GyrovaeError(f"the spec is malformed: {error}") from None


def check_window(window: int) -> None:
    """Refuse a window length that is no multiple of 32 from 64 to 1024 samples."""
    if not isinstance(window, int) or window % CELLS or not WINDOW_MIN <= window <= WINDOW_MAX:
        raise GyrovaeError(
            "the window length is not usable",
            expected=f"a multiple of {CELLS} samples from {WINDOW_MIN} to {WINDOW_MAX}",
            received=window,
        )


def check_rate(rate_hz: float) -> None:
    """Refuse a sampling rate that is not a positive number of samples a second."""
    if not (isinstance(rate_hz, int | float) and math.isfinite(rate_hz) and rate_hz > 0):
        raise GyrovaeError("the sampling rate is not usable", expected="above 0 Hz", received=rate_hz)


def design_bands(window: int, rate_hz: float) -> tuple[Band, ...]:
    """Window length and rate in, 32 integer Morlet wavelets out, log-spaced from 2 cycles a window to 0.45 of the rate.

    psi(t) = exp(-t^2 / 2 s^2) (exp(i 2 pi f t) - k), s = 5 / (2 pi f), cut at 2.5 s; k makes it admissible (Mallat,
    A Wavelet Tour of Signal Processing, 4.3). Taps are scaled to a sum of magnitudes of 2^15 and rounded; the centre
    tap takes up the rounding, so that a constant gives exactly nothing.
    """
    check_window(window)
    check_rate(rate_hz)
    lowest = _LOWEST_CYCLES / window
    bands = []
    for frequency in lowest * (_HIGHEST / lowest) ** (np.arange(BANDS) / (BANDS - 1)):
        level = 0
        while level < MAX_LEVEL and frequency * 2 ** (level + 1) <= _TOP:
            level += 1
        omega = 2 * np.pi * frequency * 2**level
        sigma = _MORLET / omega
        lag = np.arange(-math.ceil(_TRUNCATION * sigma), math.ceil(_TRUNCATION * sigma) + 1)
        envelope = np.exp(-(lag**2) / (2 * sigma**2))
        real = envelope * np.cos(omega * lag)
        real -= envelope * (real.sum() / envelope.sum())
        imag = envelope * np.sin(omega * lag)
        scale = _TAP_SUM / np.hypot(real, imag).sum()
        real, imag = np.rint(real * scale), np.rint(imag * scale)
        center = len(lag) // 2
        real[center] -= real.sum()
        bands.append(
            Band(
                center_hz=float(frequency * rate_hz),
                level=level,
                real=tuple(int(v) for v in real[center:]),
                imag=tuple(int(v) for v in imag[center:]),
            )
        )
    return tuple(bands)


def power_floors(bands: tuple[Band, ...]) -> tuple[int, ...]:
    """Wavelets in, [band] log power out (1/256 octave) of white noise of 1/12 square count: a still sensor's rounding."""
    noise_gain = sum(tap**2 for tap in HALF_BAND) / 512**2
    floors = []
    for band in bands:
        energy = band.real[0] ** 2 + 2 * sum(v**2 for v in band.real[1:]) + 2 * sum(v**2 for v in band.imag)
        power = POSITIONS / 12 * noise_gain**band.level * energy / 4**AMPLITUDE_SHIFT
        floors.append(round(FRACTION * math.log2(power)))
    return tuple(floors)


def choose_lsb(largest: float) -> float:
    """The largest magnitude of normal motion in, a count's size out: 1, 2 or 5 times a power of ten, so that 2.5 times it fits int16."""
    if not (math.isfinite(largest) and largest >= 0):
        raise GyrovaeError("the samples' range is not usable", received=largest)
    least = max(largest, 1e-6) * 2.5 / 32767
    decade = 10.0 ** math.floor(math.log10(least))
    # The power of ten as text gives the float nearest to it (0.002 and not 0.0020000000000000005).
    step = next(step for step in (1, 2, 5, 10) if step * decade >= least)
    return float(f"{step * decade:.0e}")


def _check_table(name: str, table: Any, shape: tuple[int, ...], limit: int) -> None:
    """Refuse a table that is not of this shape, or holds anything but integers within +-limit."""
    if len(shape) > 1:
        if not isinstance(table, tuple) or len(table) != shape[0]:
            raise GyrovaeError(f"the spec's {name} has a wrong shape", expected=list(shape))
        for row in table:
            _check_table(name, row, shape[1:], limit)
        return
    if not isinstance(table, tuple) or len(table) != shape[0]:
        raise GyrovaeError(f"the spec's {name} has a wrong length", expected=shape[0])
    if not all(type(v) is int and -limit <= v <= limit for v in table):
        raise GyrovaeError(f"the spec's {name} holds something else than integers within {limit}")
