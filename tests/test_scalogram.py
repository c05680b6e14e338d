"""The wavelet scalogram: tones, factors and offsets by hand, PyWavelets as an oracle, and that nothing overflows."""

from __future__ import annotations

import inspect
from fractions import Fraction

import numpy as np
import pytest
import pywt
from numpy.typing import NDArray

from gyrovae_tf.signal.scalogram import LOG2_TABLE, centered, instants_of_cells, log_power
from gyrovae_tf.spec import AMPLITUDE_SHIFT, HALF_BAND, LOG_POWER_LIMIT, Band, design_bands, power_floors

LENGTHS = tuple(range(64, 1025, 32))
BANDS_256 = design_bands(256, 1.0)  # centre frequencies in cycles a sample


def three(signal: NDArray[np.floating]) -> NDArray[np.int16]:
    """The same signal on all three axes, as one window."""
    return np.repeat(np.rint(signal)[None, :, None], 3, axis=2).astype(np.int16)


def whole(band: Band) -> tuple[list[int], list[int]]:
    """Both halves of a wavelet: its real and imaginary taps from the first lag to the last."""
    return list(band.real[:0:-1]) + list(band.real), [-v for v in band.imag[:0:-1]] + list(band.imag)


# --- what it says of a signal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [64, 256, 1024])
def test_a_tone_is_loudest_in_its_own_band(length: int) -> None:
    bands = design_bands(length, 1.0)
    for index, band in enumerate(bands):
        tone = 8000 * np.sin(2 * np.pi * band.center_hz * np.arange(length) + 0.3)
        power = log_power(three(tone), bands)[0, 0]
        middle = power[:, 12:20].mean(axis=1)  # away from the edges
        assert abs(int(middle.argmax()) - index) <= (1 if length == 64 else 0), (index, middle)


def test_all_bands_hear_a_tone_equally_well() -> None:
    peaks = []
    for index, band in enumerate(BANDS_256[4:], 4):
        tone = 8000 * np.cos(2 * np.pi * band.center_hz * np.arange(256))
        peaks.append(log_power(three(tone), BANDS_256)[0, 0, index, 16])
    # amplitude 8000 is shifted by one bit, times half the taps' sum 2^15, in 1/64: 2^22 * 0.977, squared
    assert np.abs(np.array(peaks) / 256 + 2 - 2 * np.log2(16000 / 2 * 32768 / 64)).max() < 0.25


@pytest.mark.parametrize("exponent", [1, 2, 5])
def test_twice_the_amplitude_is_two_octaves_of_power(exponent: int) -> None:
    rng = np.random.default_rng(exponent)
    half = rng.integers(-250, 250, 128)
    signal = np.concatenate([half, -half])  # no mean
    louder = log_power(three(signal * 2.0**exponent), BANDS_256)
    assert (louder == log_power(three(signal), BANDS_256) + exponent * 2 * 256).all()


def test_an_offset_changes_nothing() -> None:
    signal = np.random.default_rng(0).integers(-9000, 9000, 256)
    for offset in (1, -7, 20000, -20000):
        assert (log_power(three(signal + offset), BANDS_256) == log_power(three(signal), BANDS_256)).all()


def test_a_sign_changes_next_to_nothing() -> None:
    signal = np.random.default_rng(0).normal(0, 3000, 256)
    signal -= np.rint(signal).mean()
    difference = np.abs(log_power(three(-signal), BANDS_256) - log_power(three(signal), BANDS_256))
    assert difference.max() <= 2 * 256
    assert np.median(difference) <= 1


def test_no_motion_is_zero() -> None:
    assert (log_power(np.full((2, 256, 3), -5, np.int16), BANDS_256) == 0).all()


def test_an_impulse_is_where_it_happened() -> None:
    for cell in (3, 16, 28):
        signal = np.zeros(256)
        signal[8 * cell + 4] = 30000
        power = log_power(three(signal), BANDS_256)[0, 0]
        highest = [index for index, band in enumerate(BANDS_256) if band.level == 0]
        assert (power[highest].argmax(axis=1) == cell).all()


def test_axes_and_windows_do_not_mix() -> None:
    windows = np.random.default_rng(1).integers(-3000, 3000, (7, 96, 3)).astype(np.int16)
    windows[3] *= 10
    bands = design_bands(96, 1.0)
    together = log_power(windows, bands)
    assert together.shape == (7, 3, 32, 32)
    assert together.dtype == np.int32
    for index in range(7):
        for axis in range(3):
            alone = np.zeros((1, 96, 3), np.int16)
            alone[0, :, axis] = windows[index, :, axis]
            assert (log_power(alone, bands)[0, axis] == together[index, axis]).all()


def test_the_mean_is_rounded_half_up() -> None:
    ones = np.arange(64) < 32  # mean 1/2
    assert centered(three(ones * 1.0))[0, 0, [0, 63]].tolist() == [0, -1]
    assert centered(three(ones * -1.0))[0, 0, [0, 63]].tolist() == [-1, 0]


def test_a_cell_is_heard_in_its_middle() -> None:
    assert instants_of_cells(256, 0).tolist() == list(range(4, 256, 8))
    assert instants_of_cells(256, 3).tolist() == list(range(32))
    assert instants_of_cells(64, 1).tolist() == [(2 * cell + 1) // 2 for cell in range(32)]
    assert instants_of_cells(96, 0)[:4].tolist() == [1, 4, 7, 10]


@pytest.mark.skipif(
    "precision" not in inspect.signature(pywt.cwt).parameters,
    reason="PyWavelets before 1.9 (the last for Python 3.10) samples wavelets too coarsely to be compared with",
)
def test_power_is_that_of_pywavelets() -> None:
    """The same Morlet wavelets by PyWavelets, at full rate and in floating point: log power correlates cell by cell."""
    rng = np.random.default_rng(2)
    step = np.arange(256)
    chirp = 6000 * np.sin(2 * np.pi * (0.02 * step + 0.2 * step**2 / 256)) + rng.normal(0, 300, 256)
    for signal, least in ((rng.normal(0, 3000, 256), 0.98), (chirp, 0.93)):
        window = three(signal)
        counts = window[0, :, 0] - window[0, :, 0].mean()
        ours = log_power(window, BANDS_256)[0, 0] / 256
        both = []
        for index, band in enumerate(BANDS_256):
            instants = instants_of_cells(256, band.level) << band.level
            theirs = pywavelets(counts, band.center_hz)[instants]
            reach = 2.5 * cycles(band.center_hz) / (2 * np.pi * band.center_hz)
            inner = (instants > reach) & (instants < 256 - reach)
            if inner.sum() < 12:  # the lowest bands are all edge; zeros lie beyond it there, too
                inner[:] = True
            assert np.corrcoef(ours[index, inner], theirs[inner])[0, 1] > least, index
            both.append(np.stack([ours[index, inner], theirs[inner]]))
        assert np.corrcoef(np.concatenate([pair - pair.mean(axis=1, keepdims=True) for pair in both], axis=1))[0, 1] > (
            least + 0.012
        )


def cycles(frequency: float) -> float:
    """Angular frequency times standard deviation in time: as wide as the bands are apart, but from 5 to 16."""
    distance = (np.sqrt(BANDS_256[-1].center_hz) - np.sqrt(BANDS_256[0].center_hz)) / 31
    return float(np.clip(np.sqrt(frequency) / (2 * distance), 5, 16))


def pywavelets(signal: NDArray[np.floating], frequency: float) -> NDArray[np.float64]:
    """log2 of the squared magnitude of cmor, exp(-t^2 / B) exp(2 pi i C t): for C = 1, B is 2 (cycles / 2 pi)^2."""
    wavelet = pywt.ContinuousWavelet(f"cmor{2 * (cycles(frequency) / (2 * np.pi)) ** 2:.6f}-1.0")
    wavelet.lower_bound, wavelet.upper_bound = -12, 12
    coefficients, _ = pywt.cwt(signal, [1 / frequency], wavelet, precision=16)
    return np.log2(np.abs(coefficients[0]) ** 2)


# --- how it is made --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_wavelets_sum_to_nothing_and_are_even_and_odd(length: int) -> None:
    bands = design_bands(length, 100.0)
    assert len(bands) == 32
    for band in bands:
        real, imag = whole(band)
        assert sum(real) == 0
        assert sum(imag) == 0
        assert real == real[::-1]
        assert imag == [-v for v in imag[::-1]]
        assert 0.97 < np.hypot(real, imag).sum() / 32768 < 1.03


@pytest.mark.parametrize("length", [64, 256, 1024])
def test_taps_are_those_of_the_formula(length: int) -> None:
    """psi(t) = exp(-t^2 / 2 s^2) (exp(i w t) - k) with k so that psi has no mean, sum of |psi| 2^15, |t| <= 2.5 s."""
    bands = design_bands(length, 1.0)
    distance = (np.sqrt(bands[-1].center_hz) - np.sqrt(bands[0].center_hz)) / 31
    for band in bands:
        omega = 2 * np.pi * band.center_hz * 2**band.level
        s = np.clip(np.sqrt(band.center_hz) / (2 * distance), 5, 16) / omega
        reach = int(np.ceil(2.5 * s))
        t = np.arange(-reach, reach + 1)
        gauss = np.exp(-(t**2) / (2 * s**2))
        psi = gauss * (np.exp(1j * omega * t) - (gauss * np.cos(omega * t)).sum() / gauss.sum())
        psi *= 2**15 / np.abs(psi).sum()
        real, imag = whole(band)
        assert len(real) == len(t)
        assert np.abs(np.array(imag) - psi.imag).max() <= 0.5 + 1e-6
        error = np.abs(np.array(real) - psi.real)
        assert error[reach] <= reach + 1  # the centre takes up the rounding of the others
        assert np.delete(error, reach).max() <= 0.5 + 1e-6


def test_bands_run_from_two_cycles_a_window_to_nine_tenths_of_the_nyquist_frequency() -> None:
    for length, rate in ((64, 50.0), (256, 104.0), (1024, 1000.0)):
        hz = np.array([band.center_hz for band in design_bands(length, rate)])
        assert hz[0] == pytest.approx(2 * rate / length)
        assert hz[-1] == pytest.approx(0.45 * rate)
        assert np.ptp(np.diff(np.sqrt(hz))) < 1e-9 * rate
        assert [band.real for band in design_bands(length, rate)] == [band.real for band in design_bands(length, 1.0)]


def test_a_wavelet_responds_to_its_own_frequency_most() -> None:
    for band in BANDS_256:
        real, imag = whole(band)
        response = np.abs(np.fft.fft(np.array(real) + 1j * np.array(imag), 8192))
        peak = np.fft.fftfreq(8192)[response.argmax()]
        assert peak == pytest.approx(band.center_hz * 2**band.level, rel=0.03)


def test_the_half_band_filter_passes_a_constant_and_stops_the_highest_frequency() -> None:
    assert sum(HALF_BAND) == 512
    assert sum(tap * (-1) ** place for place, tap in enumerate(HALF_BAND)) == 0
    assert tuple(reversed(HALF_BAND)) == HALF_BAND
    # at the highest centre frequency that is taken after decimation, 0.22 / 2 cycles a sample, nothing is lost
    response = abs(np.exp(2j * np.pi * 0.11 * np.arange(11)) @ HALF_BAND) / 512
    assert response == pytest.approx(1, abs=0.02)


def test_the_logarithm_is_within_a_128th_of_an_octave() -> None:
    mantissa = 1 + np.arange(128) / 128
    assert np.abs(np.array(LOG2_TABLE) / 256 - np.log2(mantissa)).max() <= 1 / 512
    # a number between two entries is at the most the step of the table from the lower: log2(129/128) < 1 / 88
    inside = np.random.default_rng(3).uniform(1, 2, 10000)
    error = np.log2(inside) - np.array(LOG2_TABLE)[((inside - 1) * 128).astype(int)] / 256
    assert error.min() >= -1 / 512
    assert error.max() <= 1 / 88 + 1 / 512


def test_the_floor_is_what_rounding_noise_gives() -> None:
    # Rounding to counts adds noise that is uniform within half a count; here 2^10 times as loud, to be resolved.
    noise = np.random.default_rng(4).uniform(-512, 512, (400, 256, 3))
    power = log_power(np.rint(noise).astype(np.int16), BANDS_256) / 256 - 2 * 10
    mean = np.log2((2.0 ** power[:, :, :, 8:24]).mean(axis=(0, 1, 3)))  # away from the edges
    error = np.abs(mean - np.array(power_floors(BANDS_256)) / 256)
    assert error[2:].max() < 0.12
    assert error[:2].max() < 0.3  # nowhere away from the edges


# --- nothing overflows -----------------------------------------------------------------------------------------


def cascade(octaves: int) -> list[Fraction]:
    """The impulse response of `octaves` half-band filters and decimations, seen from the full rate."""
    response = [Fraction(1)]
    for octave in range(octaves):
        spread = [Fraction(0)] * ((len(HALF_BAND) - 1) * 2**octave + 1)
        spread[:: 2**octave] = [Fraction(tap, 512) for tap in HALF_BAND]
        response = [
            sum((response[k] * spread[n - k] for k in range(len(response)) if 0 <= n - k < len(spread)), Fraction(0))
            for n in range(len(response) + len(spread) - 1)
        ]
    return response


def test_an_octave_never_exceeds_15_bits() -> None:
    rounding = Fraction(0)
    single = sum(map(abs, cascade(1)))
    for octave in range(6):
        magnitude = sum(map(abs, cascade(octave)))
        assert magnitude <= 2
        # the window is shifted to at most 2^14; each octave's rounding adds half a count to what the earlier ones left
        assert 2**14 * magnitude + rounding < 2**15
        rounding = rounding * single + Fraction(1, 2)


@pytest.mark.parametrize("length", LENGTHS)
def test_no_sum_leaves_its_type(length: int) -> None:
    for band in design_bands(length, 100.0):
        real, imag = whole(band)
        worst_real, worst_imag = (2**15 * sum(map(abs, part)) for part in (real, imag))
        assert max(worst_real, worst_imag) < 2**31
        power = ((worst_real >> AMPLITUDE_SHIFT) + 1) ** 2 + ((worst_imag >> AMPLITUDE_SHIFT) + 1) ** 2
        assert power < 2**53
        assert 256 * (np.log2(power) + 2 * 2) < LOG_POWER_LIMIT  # shifted by two bits to the right at the most
    assert LOG_POWER_LIMIT >= 2 * 256 * 13  # and by 13 to the left


@pytest.mark.parametrize("length", [64, 96, 256, 1024])
def test_the_loudest_windows_stay_within_the_limit(length: int) -> None:
    """For each band the window that adds up most: its own wavelet's signs, at full scale."""
    bands = design_bands(length, 1.0)
    step = np.arange(length)
    windows = [np.where(np.cos(2 * np.pi * band.center_hz * step) < 0, -32768, 32767) for band in bands]
    power = log_power(np.stack([three(window)[0] for window in windows]), bands)
    assert power.max() <= LOG_POWER_LIMIT
    assert power.max() > 44 * 256
    faint = np.zeros(length)
    faint[3] = 1
    assert log_power(three(faint), bands).min() >= -LOG_POWER_LIMIT
