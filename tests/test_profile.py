"""Profiles: powers over time by hand, and every integer equal to a plain one-by-one computation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.profile import (
    EXP2_TABLE,
    band_powers,
    band_profile,
    group_profile,
    levels,
    means,
    quarters,
    time_sums,
)
from gyrovae_tf.spec import Spec

SPEC = fit(
    np.random.default_rng(0).integers(-900, 900, (8, 64, 3)).astype(np.int16), rate_hz=100, lsb=0.01, units="m/s^2"
)


def picture(value: int = 0) -> NDArray[np.int8]:
    """One scalogram [1, 32 bands, 32 cells, 3 axes] of one brightness."""
    return np.full((1, 32, 32, 3), value, np.int8)


def noise(seed: int, count: int = 4) -> NDArray[np.int8]:
    """Images of any pixels, some bands dark and some bright."""
    rng = np.random.default_rng(seed)
    middle, spread = rng.integers(-128, 128, (count, 32, 1, 3)), rng.integers(1, 200, (count, 32, 1, 3))
    pixels = middle + spread * rng.standard_normal((count, 32, 32, 3))
    return np.clip(np.rint(pixels), -128, 127).astype(np.int8)


def plain_log2(number: int) -> int:
    """256 * log2, by the leading bit and the seven below it."""
    octave = number.bit_length() - 1
    below = (number << 7 >> octave) - 128
    return 256 * octave + round(256 * math.log2(1 + below / 128))


def plain_exp2(sixteenths: int) -> int:
    """1024 * 2^(sixteenths / 16) for 0 to 15."""
    return round(1024 * 2 ** (sixteenths / 16))


# --- time sums ----------------------------------------------------------------------------------------------


def test_sums_are_over_time_for_each_axis_and_band() -> None:
    images = picture(-128)
    images[0, 5, :, 2] = np.arange(32)
    sums = time_sums(images)
    assert sums.shape == (1, 3, 32)
    assert sums.dtype == np.int64
    assert sums[0, 2, 5] == 31 * 32 / 2
    assert sums[0, 0, 0] == -128 * 32
    assert (sums == -128 * 32).sum() == 3 * 32 - 1


def test_groups_are_four_neighbouring_bands() -> None:
    sums = np.zeros((1, 3, 32), np.int64)
    sums[0, 1, 4:8] = (1, 20, 300, 4000)
    sums[0, 2, 31] = -5
    found = group_profile(sums)
    assert found.shape == (1, 3, 8)
    assert (found[0, 1, 1], found[0, 2, 7]) == (4321, -5)
    assert (found != 0).sum() == 2


# --- the profile of powers ----------------------------------------------------------------------------------


def test_the_table_of_exponentials() -> None:
    assert tuple(map(plain_exp2, range(16))) == EXP2_TABLE
    assert (EXP2_TABLE[0], EXP2_TABLE[8]) == (1024, 1448)  # 1024 * sqrt(2)


@pytest.mark.parametrize(
    ("pixel", "profile"),
    [
        (0, 0),
        (16, 256),  # an octave is 16 pixels, a pixel 16 steps
        (-16, -256),
        (32, 512),
        (127, 127 * 16),
        (-128, -128 * 16),
    ],
)
def test_steady_power_is_its_own_mean(pixel: int, profile: int) -> None:
    found = band_profile(picture(pixel))
    assert found.shape == (1, 3, 32)
    assert found.dtype == np.int64
    assert (found == profile).all()


@pytest.mark.parametrize("band", [0, 17, 31])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_loud_cell_counts_by_its_power(axis: int, band: int) -> None:
    images = picture()
    images[0, band, 9, axis] = 80  # five octaves: (31 * 1 + 32) / 32 = 63 / 32, log2 of which is 0.977
    found = band_profile(images)
    assert found[0, axis, band] == round(256 * math.log2(63 / 32)) == 250
    assert (found != 0).sum() == 1
    images[0, band, 9, axis] = 112  # seven octaves: (31 + 128) / 32
    assert band_profile(images)[0, axis, band] == round(256 * math.log2(159 / 32)) == 592
    images[0, band, 9, axis] = -128  # (31 + 1 / 256) / 32
    assert band_profile(images)[0, axis, band] == round(256 * math.log2(31 / 32)) == -12


def test_the_order_in_time_does_not_count() -> None:
    images = noise(1)
    assert np.array_equal(band_profile(images[:, :, ::-1]), band_profile(images))


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_band_profiles_equal_a_plain_computation(seed: int) -> None:
    images = noise(seed, count=2)
    found = band_profile(images)
    exponentials = [plain_exp2(i) for i in range(16)]
    for window in range(2):
        for axis in range(3):
            for band in range(32):
                steps = [int(pixel) + 128 for pixel in images[window, band, :, axis]]
                total = sum(exponentials[step % 16] << step // 16 for step in steps)
                assert found[window, axis, band] == plain_log2(total) - 23 * 256  # 10 bits, 8 octaves, 32 cells


def test_band_profiles_are_close_to_the_logarithm_of_the_mean_power() -> None:
    images = noise(2, count=50)
    exact = 256 * np.log2(np.exp2(images / 16.0).mean(axis=2)).swapaxes(1, 2)
    error = band_profile(images) - exact
    assert error.max() < 1  # rounding of the tables
    assert error.min() > -4  # a logarithm by seven bits falls short by up to log2(129 / 128), which is 2.9 steps


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 31), st.integers(1, 255))
def test_more_power_never_lowers_a_profile(seed: int, cell: int, more: int) -> None:
    quiet = noise(seed, count=1)
    loud = quiet.copy()
    loud[:, :, cell] = np.minimum(quiet[:, :, cell].astype(int) + more, 127)
    assert (band_profile(loud) >= band_profile(quiet)).all()


# --- the level ----------------------------------------------------------------------------------------------


def spec(mean: int | tuple[int, ...], gain: int) -> Spec:
    """A front end with these mean log powers on every axis and one gain for all bands."""
    row = (mean,) * 32 if isinstance(mean, int) else mean
    return dataclasses.replace(SPEC, power_mean=(row,) * 3, power_gain=((gain,) * 32,) * 3)


def level_of(profile: NDArray[np.int64], front: Spec) -> NDArray[np.int64]:
    return levels(band_powers(profile, front))


def flat(value: int) -> NDArray[np.int64]:
    return np.full((1, 3, 32), value, np.int64)


def test_a_loud_band_is_the_level() -> None:
    bands = (-3000,) * 7 + (2100,) + (-3000,) * 24  # 5100 / 256 is 20 octaves below
    assert level_of(flat(0), spec(bands, 4096)).tolist() == [[2100] * 3]


def test_equal_bands_add_up() -> None:
    assert level_of(flat(0), spec(100, 4096)).tolist() == [[100 + 5 * 256] * 3]  # 32 of them: five octaves
    two = (2000, 2000) + (-3000,) * 30
    assert level_of(flat(0), spec(two, 4096)).tolist() == [[2000 + 256] * 3]
    three = (2000, 2000, 2000 - 256) + (-3000,) * 29  # 2.5 times one: log2 is 1.3219
    assert level_of(flat(0), spec(three, 4096)).tolist() == [[2000 + round(256 * math.log2(2.5))] * 3]


@pytest.mark.parametrize(("quiet", "level"), [(2000 - 4095, 2003), (2000 - 4096, 2000)])
def test_what_lies_16_octaves_below_does_not_count(quiet: int, level: int) -> None:
    """In units of 2^-20 of the loudest: 7844 (7 1/16 octaves below) and 30 * 16 (just inside) are over 1 / 128."""
    bands = (2000, 2000 - 7 * 256 - 16) + (quiet,) * 30
    assert level_of(flat(0), spec(bands, 4096)).tolist() == [[level] * 3]  # 256 * log2(129 / 128) is 2.9


@pytest.mark.parametrize(
    ("gain", "profile", "level"),
    [
        (4096, 256, 256),  # 16 pixels an octave: 16 pixels are one
        (8192, 256, 128),  # 32 pixels an octave
        (4096, -256, -256),
        (8192, 1, 1),  # half a step, half up
        (8192, -1, 0),
        (16384, 1, 0),
        (65536, 2047, 128),  # 127.9
    ],
)
def test_profiles_are_turned_back_into_log_powers(gain: int, profile: int, level: int) -> None:
    assert level_of(flat(profile), spec(500, gain)).tolist() == [[500 + level + 5 * 256] * 3]


def test_quarters_are_eight_neighbouring_bands() -> None:
    power = np.arange(96).reshape(1, 3, 32) // 8 * 256  # quarter i of axis a is 4 a + i octaves up
    eight = 3 * 256  # bands of the same power
    assert quarters(power).tolist() == [[[(4 * axis + i) * 256 + eight for i in range(4)] for axis in range(3)]]
    power[0, 0, 9] += 20 * 256  # what is 16 octaves below the loudest does not count, in its own quarter alone
    assert quarters(power)[0, 0].tolist() == [eight, 21 * 256, 2 * 256 + eight, 3 * 256 + eight]
    assert (levels(power.reshape(1, 3, 4, 8)) == quarters(power)).all()


def test_axes_have_levels_of_their_own() -> None:
    profile = flat(0)
    profile[0, 1] = 256
    profile[0, 2] = -512
    assert level_of(profile, spec(0, 4096)).tolist() == [[1280, 1536, 768]]


def test_a_gain_of_0_leaves_the_mean() -> None:
    """Such a band's pixels are 0, whatever its power."""
    assert level_of(flat(0), spec(700, 0)).tolist() == [[700 + 1280] * 3]


def plain_level(profile: list[int], mean: tuple[int, ...], gain: tuple[int, ...]) -> int:
    powers = [
        m + ((p * 8192 // max(g, 1)) + 1) // 2  # floor(x + 1/2) of p / 16 pixels at 65536 / g log powers each
        for p, m, g in zip(profile, mean, gain, strict=True)
    ]
    total = 0
    for power in powers:
        below = (max(powers) - power) // 16
        if below < 256:
            octaves = -(-below // 16)
            total += plain_exp2(16 * octaves - below) * 1024 >> octaves
    return max(powers) + plain_log2(total) - 20 * 256


LIMIT = 55 * 256


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.data())
def test_levels_equal_a_plain_computation(data: st.DataObject) -> None:
    def row(least: int, most: int) -> tuple[int, ...]:
        return tuple(data.draw(st.lists(st.integers(least, most), min_size=32, max_size=32)))

    reach = data.draw(st.sampled_from((100, 2000, LIMIT)))
    mean, gain = row(-reach, reach), row(0, data.draw(st.sampled_from((10, 8192, 65536))))
    profile = np.array([[row(-2048, 2032) for _ in range(3)]], np.int64)
    odd = dataclasses.replace(SPEC, power_mean=(mean,) * 3, power_gain=(gain,) * 3)
    assert level_of(profile, odd).tolist() == [[plain_level(axis, mean, gain) for axis in profile[0].tolist()]]


def test_levels_are_close_to_the_logarithm_of_the_summed_powers() -> None:
    rng = np.random.default_rng(3)
    mean = tuple(int(v) for v in rng.integers(-1000, 3000, 32))
    profile = rng.integers(-2048, 2033, (200, 3, 32))
    exact = 256 * np.log2(np.exp2((np.array(mean) + profile * (4096 / 6000)) / 256).sum(axis=2))
    error = level_of(profile, spec(mean, 6000)) - exact
    assert np.abs(error).max() < 20  # a sixteenth of an octave is 16 steps
    assert np.abs(error.mean()) < 6


# --- the mean -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "mean"),
    [
        ((1, 1), 1),
        ((1, 2), 2),  # half up
        ((0, 1), 1),
        ((-1, 0), 0),
        ((-2, -1), -1),
        ((-3, -2), -2),
        ((1, 1, 2), 1),
        ((1, 2, 2), 2),
        ((-1, -1, -2), -1),
        ((32767, 32767), 32767),
        ((-32768, -32768), -32768),
    ],
)
def test_means_are_rounded_half_up(counts: tuple[int, ...], mean: int) -> None:
    window = np.zeros((1, len(counts), 3), np.int16)
    window[0, :, 1] = counts
    assert means(window).tolist() == [[0, mean, 0]]


def test_means_of_long_saturated_windows_do_not_overflow() -> None:
    window = np.full((2, 1024, 3), 32767, np.int16)
    window[1] = -32768
    assert means(window).tolist() == [[32767] * 3, [-32768] * 3]


def test_nothing_in_nothing_out() -> None:
    none = picture()[:0]
    assert time_sums(none).shape == band_profile(none).shape == (0, 3, 32)
    assert group_profile(time_sums(none)).shape == (0, 3, 8)
    assert level_of(band_profile(none), SPEC).shape == (0, 3)
    assert means(np.zeros((0, 64, 3), np.int16)).shape == (0, 3)
