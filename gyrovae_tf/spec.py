"""Every number that Python and the firmware share: the front end's tables, fitted to one machine's normal motion."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyrovae_tf.arguments import whole
from gyrovae_tf.errors import GyrovaeError

VERSION = 1
AXES = ("x", "y", "z")
BANDS = 32
CELLS = 32
LEVELS = 8
"""Amplitude levels of the Markov transition field."""
PIXEL = 32
"""An image pixel is int8 / PIXEL standard deviations, zero point 0."""
WINDOW_MIN, WINDOW_MAX = 64, 1024
FRACTION = 256
"""Log powers are integers in 1/FRACTION octave."""
GAIN_SHIFT = 16
"""Gains are pixels a unit in 1 / 2^GAIN_SHIFT."""
LOG_POWER_LIMIT = 55 * FRACTION
"""No log power's magnitude exceeds this, whatever the window and for every spec that is accepted.

A window is shifted to at most 2^14, by 2 bits to the right to 13 to the left, and the octave pyramid at the most
doubles that (the magnitudes of the cascaded half-band filters sum to less than 2): below 2^15. A wavelet's magnitudes
sum to less than 2^16, so its sums of products stay below 2^31, amplitudes below 2^25, and the sum of their two squares
below 2^51. With the shift undone that is from -2 * 13 to 51 + 2 * 2 octaves. (`design_bands` makes wavelets of half
that size: 52 octaves.)
"""
FIELD_ONE = 1 << 15
"""A transition probability of 1, and the largest cell of a field once `field_shift` is applied."""
SIGNAL_BITS = 14
"""A window is shifted so that its largest magnitude has this many bits (block floating point)."""
AMPLITUDE_SHIFT = 6
HALF_BAND = (3, 0, -25, 0, 150, 256, 150, 0, -25, 0, 3)
"""Low-pass of the octave pyramid, in 1/512: maximally flat half-band filter of 11 taps."""
MAX_LEVEL = 5
_TOP = 0.22  # a band moves down an octave while its centre stays below this, in cycles a sample
_HIGHEST = 0.45  # cycles a sample
_LOWEST_CYCLES = 2.0  # cycles a window
_LEAST_CYCLES, _MOST_CYCLES = 5.0, 16.0  # a wavelet's angular frequency times its standard deviation in time
_TRUNCATION = 2.5  # standard deviations on either side
_TAP_SUM = 1 << 15
_LARGEST_TAP = (1 << 15) - 1
LONGEST_WAVELET = 64
"""Taps of a wavelet's right half that the firmware has room for. `design_bands` makes them of up to 39."""
_HZ = (1e-30, 1e30)
"""What a centre frequency lies within, so that float32 holds it with all its digits."""
_LONGEST_UNITS = 32  # characters
RATE_TOLERANCE = 0.02
"""How far a sensor's rate may be off its detector's, as a share of that: their clocks differ by a per cent or two."""
LSB_TOLERANCE = 1e-3
"""How far the size of its count may be off: files and banners state it with more digits or fewer."""


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
    """[axis][band] pixels a log power, in 1 / 2^GAIN_SHIFT."""
    field_edges: tuple[tuple[int, ...], ...]
    """[axis] the seven inner edges of the amplitude levels, in counts about the window's mean."""
    field_shift: int
    """Right shift that brings the field's cell sums to 15 bits."""
    field_mean: tuple[int, ...]
    """[axis] mean of the field on normal motion."""
    field_gain: tuple[int, ...]
    """[axis] pixels a unit of the field, in 1 / 2^GAIN_SHIFT."""

    def __repr__(self) -> str:
        return (
            f"Spec(window={self.window}, rate_hz={self.rate_hz:g}, lsb={self.lsb:g}, units={self.units!r}, "
            f"digest='{self.digest[:12]}...')"
        )

    def __post_init__(self) -> None:
        check_window(self.window)
        check_rate(self.rate_hz)
        if not _is_positive(self.lsb):
            raise GyrovaeError("the size of a count (lsb) is not usable", expected="above 0", received=self.lsb)
        # One form of each number, so that equal specs have equal digests.
        object.__setattr__(self, "rate_hz", float(self.rate_hz))
        object.__setattr__(self, "lsb", float(self.lsb))
        units = self.units
        if not (isinstance(units, str) and units.strip() and units.isprintable() and len(units) <= _LONGEST_UNITS):
            raise GyrovaeError(
                "the units are not usable",
                expected=f"1 to {_LONGEST_UNITS} printable characters, such as m/s^2",
                received=repr(units),
            )
        # (value - mean) * gain + half a pixel fits int32: 2 * 55 * 256 * 2^16 + 2^15 and 2^15 * 2^15 + 2^15 < 2^31.
        limit = LOG_POWER_LIMIT
        _check_table("power_floor", self.power_floor, (BANDS,), -limit, limit)
        _check_table("power_mean", self.power_mean, (3, BANDS), -limit, limit)
        _check_table("power_gain", self.power_gain, (3, BANDS), 0, 1 << 16)
        _check_table("field_edges", self.field_edges, (3, LEVELS - 1), -(1 << 17), 1 << 17)
        _check_table("field_mean", self.field_mean, (3,), 0, FIELD_ONE)
        _check_table("field_gain", self.field_gain, (3,), 0, 1 << 15)
        _check_table("field_shift", (self.field_shift,), (1,), 0, 16)
        if (self.window // CELLS) ** 2 > 1 << self.field_shift:
            raise GyrovaeError(
                "the spec's field_shift leaves more than 15 bits",
                expected=f"at least {field_shift_of(self.window)}",
                received=self.field_shift,
            )
        if any(list(edges) != sorted(edges) for edges in self.field_edges):
            raise GyrovaeError("the spec's field_edges do not ascend")
        if not isinstance(self.bands, tuple) or len(self.bands) != BANDS:
            raise GyrovaeError("the spec has a wrong number of bands", expected=BANDS)
        for index, band in enumerate(self.bands):
            _check_band(index, band, self.window)

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
        except (TypeError, ValueError, RecursionError) as error:
            raise GyrovaeError(f"the spec is not JSON: {error}") from None
        return cls.from_dict(raw)

    @classmethod
    def from_dict(cls, raw: Any) -> Spec:
        """A spec from `to_json`'s parsed object; errors as in `from_json`."""
        if not isinstance(raw, dict):
            raise GyrovaeError("the spec is not a JSON object", received=type(raw).__name__)
        raw = dict(raw)
        version = raw.pop("spec_version", None)
        if type(version) is not int or version != VERSION:
            raise GyrovaeError("this spec has another version", expected=VERSION, received=version)
        names = {field.name for field in dataclasses.fields(cls)}
        if set(raw) != names:
            odd = sorted(set(raw) ^ names)
            raise GyrovaeError(f"the spec's fields are not those of version {VERSION}: {', '.join(odd)}")
        try:
            raw["bands"] = tuple(
                Band(**{**band, "real": tuple(band["real"]), "imag": tuple(band["imag"])}) for band in raw["bands"]
            )
            for name in ("power_mean", "power_gain", "field_edges"):
                raw[name] = tuple(tuple(row) for row in raw[name])
            for name in ("power_floor", "field_mean", "field_gain"):
                raw[name] = tuple(raw[name])
            return cls(**raw)
        except (TypeError, KeyError, ValueError) as error:
            raise GyrovaeError(f"the spec is malformed: {error}") from None


def check_window(window: int) -> int:
    """A window length in, the same as Python's number out; refuses all but multiples of 32 from 64 to 1024 samples."""
    problem = "the window length is not usable"
    expected = f"a multiple of {CELLS} samples from {WINDOW_MIN} to {WINDOW_MAX}"
    found = whole(window, problem, WINDOW_MIN, WINDOW_MAX, expected=expected)
    if found % CELLS:
        raise GyrovaeError(problem, expected=expected, received=found)
    return found


def check_rate(rate_hz: float) -> None:
    """Refuse a sampling rate that is not a positive number of samples a second."""
    if not _is_positive(rate_hz):
        raise GyrovaeError("the sampling rate is not usable", expected="above 0 Hz", received=rate_hz)


def field_shift_of(window: int) -> int:
    """Window length in, the least right shift out that brings a field's cell sums, (N / 32)^2 * 2^15, to 2^15."""
    return ((window // CELLS) ** 2 - 1).bit_length()


def design_bands(window: int, rate_hz: float) -> tuple[Band, ...]:
    """Window length and rate in, 32 integer Morlet wavelets out, from 2 cycles a window to 0.45 of the rate.

    psi(t) = exp(-t^2 / 2 s^2) (exp(i 2 pi f t) - k), cut at 2.5 s; k makes it admissible (Mallat, A Wavelet Tour of
    Signal Processing, 4.3). The square roots of the centre frequencies are equally spaced, half way between linear
    and logarithmic: machines say as much in their high bands as in their low ones. A wavelet is as wide in frequency
    as the bands are apart there: 2 pi f s = f / (distance of the next band), kept from 5 to 16.
    Taps are scaled to a sum of magnitudes of 2^15 and rounded; the centre tap takes up the rounding, so that a
    constant gives exactly nothing.
    """
    check_window(window)
    check_rate(rate_hz)
    lowest, highest = math.sqrt(_LOWEST_CYCLES / window), math.sqrt(_HIGHEST)
    step = (highest - lowest) / (BANDS - 1)
    bands = []
    for index in range(BANDS):
        root = lowest + step * index
        frequency = root * root
        cycles = min(max(root / (2 * step), _LEAST_CYCLES), _MOST_CYCLES)
        level = 0
        while level < MAX_LEVEL and frequency * 2 ** (level + 1) <= _TOP:
            level += 1
        omega = 2 * np.pi * frequency * 2**level
        sigma = cycles / omega
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
    """Wavelets in, [band] log power out (1/256 octave) of white noise of 1/12 square count.

    That is what a still sensor's rounding gives.
    """
    floors = []
    for band in bands:
        energy = band.real[0] ** 2 + 2 * sum(v**2 for v in band.real[1:]) + 2 * sum(v**2 for v in band.imag)
        # An octave down, half of the noise's power is left, spread evenly over the half of the band that is left.
        power = energy / 12 / 2**band.level / 4**AMPLITUDE_SHIFT
        floors.append(round(FRACTION * math.log2(power)))
    return tuple(floors)


def choose_lsb(largest: float) -> float:
    """The largest magnitude of normal motion in, a count's size out, so that 2.5 times that magnitude fits int16.

    1, 2 or 5 times a power of ten.
    """
    if not (math.isfinite(largest) and largest >= 0):
        raise GyrovaeError("the samples' range is not usable", received=largest)
    least = max(largest, 1e-6) * 2.5 / 32767
    decade = 10.0 ** math.floor(math.log10(least))
    # The power of ten as text gives the float nearest to it (0.002 and not 0.0020000000000000005).
    step = next(step for step in (1, 2, 5, 10) if step * decade >= least)
    return float(f"{step * decade:.0e}")


def _is_positive(value: object) -> bool:
    """Whether this is a number above 0 that a float can hold (JSON knows integers that none can)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _check_band(index: int, band: Band, window: int) -> None:
    """Refuse a wavelet that cannot be applied, is not even and odd about its centre, or could leave int32."""
    half = len(band.real)
    _check_table(f"bands[{index}].real", band.real, (half,), -_LARGEST_TAP, _LARGEST_TAP)
    _check_table(f"bands[{index}].imag", band.imag, (half,), -_LARGEST_TAP, _LARGEST_TAP)
    _check_table(f"bands[{index}].level", (band.level,), (1,), 0, MAX_LEVEL)
    centered = isinstance(band.center_hz, float) and _HZ[0] <= band.center_hz <= _HZ[1]
    if not (centered and 0 < half <= min(window, LONGEST_WAVELET) and band.imag[0] == 0):
        raise GyrovaeError(f"the spec's wavelet {index} is not usable")
    if max(abs(band.real[0]) + 2 * sum(map(abs, band.real[1:])), 2 * sum(map(abs, band.imag))) >= 1 << 16:
        raise GyrovaeError(f"the spec's wavelet {index} is too large", expected="magnitudes that sum to below 65536")


def _check_table(name: str, table: Any, shape: tuple[int, ...], least: int, most: int) -> None:
    """Refuse a table that is not of this shape, or holds anything but integers from `least` to `most`."""
    if len(shape) > 1:
        if not isinstance(table, tuple) or len(table) != shape[0]:
            raise GyrovaeError(f"the spec's {name} has a wrong shape", expected=list(shape))
        for row in table:
            _check_table(name, row, shape[1:], least, most)
        return
    if not isinstance(table, tuple) or len(table) != shape[0]:
        raise GyrovaeError(f"the spec's {name} has a wrong length", expected=shape[0])
    odd = [v for v in table if not (type(v) is int and least <= v <= most)]
    if odd:
        raise GyrovaeError(
            f"the spec's {name} holds something else than integers of its range",
            expected=f"{least} to {most}",
            received=odd[0],
        )
