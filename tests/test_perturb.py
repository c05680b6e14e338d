"""Built-in changes of normal windows: each does what it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.perturb import (
    PERTURBATIONS,
    added_tone,
    axes_swapped,
    band_lost,
    gain,
    impulses,
    more_noise,
    stillness,
)

LENGTH = 128


@pytest.fixture
def windows() -> NDArray[np.int16]:
    """40 windows of noise about means of 100, -200 and 300 counts; x moves by 1000, y by 2000, z by 4000."""
    noise = np.random.default_rng(7).standard_normal((40, LENGTH, 3))
    return np.rint([100, -200, 300] + noise * [1000, 2000, 4000]).astype(np.int16)


def rms(windows: NDArray[np.int16]) -> NDArray[np.float64]:
    return (windows - windows.mean(axis=1, keepdims=True)).std(axis=(0, 1))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_perturbation_is_seeded_keeps_the_form_and_leaves_its_input(
    name: str, windows: NDArray[np.int16]
) -> None:
    before = windows.copy()
    change = PERTURBATIONS[name].apply
    first, again = change(windows, 3), change(windows, 3)
    assert first.dtype == np.int16
    assert first.shape == windows.shape
    assert np.array_equal(first, again)
    assert np.array_equal(windows, before)
    assert (first != windows).any(axis=(1, 2)).all(), "every window is changed"
    assert PERTURBATIONS[name].description


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_loud_windows_saturate_and_do_not_wrap_around(name: str) -> None:
    """A square wave at the ends of int16 rises and falls with what is left of it, never to the other end."""
    square = np.where(np.arange(LENGTH) % 32 < 16, 32767, -32768).astype(np.int16)
    loud = np.repeat(square[None, :, None], 3, axis=2)
    changed = PERTURBATIONS[name].apply(loud, 1).astype(np.int64)
    if name in ("gain +50 %", "axes swapped"):
        assert np.array_equal(changed, loud)
    if name in ("gain +50 %", "gain -33 %", "axes swapped"):
        assert (np.sign(changed) == np.sign(loud)).all()
    elif name in ("more noise", "added tone"):  # of at most 0.5 or some 4 x 0.3 times the motion: rarely across zero
        assert (np.sign(changed) == np.sign(loud)).mean() > 0.99
    assert -32768 <= changed.min() <= changed.max() <= 32767


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_no_windows_give_no_windows(name: str) -> None:
    assert PERTURBATIONS[name].apply(np.zeros((0, LENGTH, 3), np.int16), 0).shape == (0, LENGTH, 3)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_windows_without_motion_are_no_accident(name: str) -> None:
    still = np.full((2, LENGTH, 3), 5, np.int16)
    changed = PERTURBATIONS[name].apply(still, 0)
    difference = np.abs(changed.astype(np.int64) - 5).max()
    assert difference <= 12, "sizes are relative to one count where nothing moves"
    assert difference >= {"impulses": 3, "more noise": 1, "stillness": 1}.get(name, 0)


def test_gain_multiplies_the_motion_and_not_the_mean() -> None:
    window = np.full((1, 8, 3), 1000, np.int16)
    window[0, ::2, 0] += 100  # mean 1050, 50 to both sides
    louder = gain(window, factor=1.5)
    assert louder[0, :, 0].tolist() == [1125, 975] * 4
    assert louder[0, :, 1].tolist() == [1000] * 8
    assert gain(window, factor=0.5)[0, :2, 0].tolist() == [1075, 1025]


def test_added_tone_is_one_spectral_line_on_one_axis(windows: NDArray[np.int16]) -> None:
    difference = added_tone(windows, 5).astype(np.float64) - windows
    loud = np.abs(difference).max(axis=1) > 0
    assert loud.sum(axis=1).tolist() == [1] * len(windows)
    size = rms(windows)
    for tone, axis in zip(difference, loud.argmax(axis=1), strict=True):
        wave = tone[:, axis]
        assert np.abs(wave).max() <= 0.5 * size[axis] + 1
        power = np.abs(np.fft.rfft(wave * np.hanning(LENGTH))) ** 2
        peak = int(power.argmax())
        assert peak + 1 >= 2
        assert peak <= 0.45 * LENGTH + 1
        assert power[max(0, peak - 3) : peak + 4].sum() > 0.99 * power.sum()


def test_added_tones_reach_all_axes(windows: NDArray[np.int16]) -> None:
    difference = np.abs(added_tone(windows, 5).astype(np.int64) - windows).max(axis=(0, 1))
    assert (difference > 0).all()


def test_impulses_are_few_and_large(windows: NDArray[np.int16]) -> None:
    difference = np.abs(impulses(windows, 5).astype(np.float64) - windows)
    touched = (difference > 0).any(axis=2).sum(axis=1)
    assert touched.max() <= 2 * 8, "two blows of eight samples in 128"
    largest = difference.max(axis=(0, 1)) / rms(windows)
    assert (largest > 2.9).all()
    assert (largest < 6.1).all()


def test_impulse_rings_down_with_alternating_signs() -> None:
    still = np.zeros((1, 64, 3), np.int16)
    loud = np.where(np.arange(64) % 2, 1000, -1000).astype(np.int16)
    source = still + loud[None, :, None]
    blow = (impulses(source, 2).astype(np.int64) - source)[0, :, 0]
    start = int(np.flatnonzero(blow)[0])
    assert abs(blow[start]) == 3000
    ringing = blow[start : start + 4] / blow[start]
    assert ringing == pytest.approx([1, -0.7, 0.49, -0.343], abs=0.001)


def test_a_lost_band_is_silent_and_the_rest_is_as_before(windows: NDArray[np.int16]) -> None:
    before = np.abs(np.fft.rfft(windows - windows.mean(axis=1, keepdims=True), axis=1))
    changed = band_lost(windows, 5)
    after = np.abs(np.fft.rfft(changed - windows.mean(axis=1, keepdims=True), axis=1))
    rounding = 20.0  # rounding to counts is white noise of 0.29 a sample, 3.3 in a spectral line of 128
    for old, new in zip(before, after, strict=True):
        lost = np.flatnonzero((new < rounding).all(axis=1))
        lost = lost[lost > 0]  # the mean is taken off
        assert len(lost) >= 2
        assert np.array_equal(lost, np.arange(lost[0], lost[-1] + 1)), "one band without a hole"
        assert lost[-1] / lost[0] <= 2, "an octave at the most"
        kept = np.setdiff1d(np.arange(1, len(old)), lost)
        assert np.abs(new[kept] - old[kept]).max() < rounding


def test_axes_are_exchanged_and_nothing_else(windows: NDArray[np.int16]) -> None:
    swapped = axes_swapped(windows)
    for axis, was in enumerate([2, 0, 1]):
        assert np.array_equal(swapped[..., axis], windows[..., was])


def test_noise_is_white_and_in_proportion_to_each_axis(windows: NDArray[np.int16]) -> None:
    difference = more_noise(windows, 5).astype(np.float64) - windows
    assert difference.std(axis=(0, 1)) == pytest.approx(0.3 * rms(windows), rel=0.05)
    assert np.abs(np.mean(difference[:, 1:] * difference[:, :-1], axis=(0, 1))).max() < 0.05 * difference.var()


def test_stillness_leaves_the_mean_and_one_count_of_noise(windows: NDArray[np.int16]) -> None:
    still = stillness(windows, 5)
    assert np.abs(still.mean(axis=1) - windows.mean(axis=1)).max() < 0.5
    assert still.std(axis=1) == pytest.approx(1.04, abs=0.3)  # root of 1 + 1/12, for rounding


def test_another_seed_draws_otherwise(windows: NDArray[np.int16]) -> None:
    for name in ("added tone", "impulses", "one band lost", "more noise", "stillness"):
        change = PERTURBATIONS[name].apply
        assert not np.array_equal(change(windows, 1), change(windows, 2)), name


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 128, 3)), np.zeros((128, 3), np.int16), np.zeros((2, 128, 2), np.int16), np.zeros((1, 4, 3), "<i2")],
)
def test_what_is_no_window_is_refused(wrong: NDArray[np.int16]) -> None:
    with pytest.raises(GyrovaeError, match="int16"):
        stillness(wrong)


def test_a_negative_seed_is_refused(windows: NDArray[np.int16]) -> None:
    with pytest.raises(GyrovaeError, match="seed"):
        more_noise(windows, -1)
