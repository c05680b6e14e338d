"""The `power` front end: equal, pixel for pixel, to a plain version of it; its statistics, invariances and limits."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import plain_frontend
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.frontend import fit, images, lsb_of, to_counts
from gyrovae_tf.spec import Spec, choose_lsb

LENGTHS = (64, 96, 128, 256, 512, 1024)


def motion(count: int, length: int, seed: int, amplitude: float = 3000.0) -> NDArray[np.int16]:
    """Windows of a rotating machine: three lines, another phase in each window and axis, and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)[None, :, None]
    signal = rng.normal(0, amplitude / 20, (count, length, 3)) + rng.normal(0, amplitude, (count, 1, 3))
    for frequency, share in ((0.031, 1.0), (0.12, 0.4), (0.37, 0.1)):
        swing = amplitude * share * rng.lognormal(0, 0.1, (count, 1, 3))
        signal += swing * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 2 * np.pi, (count, 1, 3)))
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


def degenerate(length: int) -> dict[str, NDArray[np.int16]]:
    """Windows [N, 3] that no machine makes, and that sensors do."""
    rng = np.random.default_rng(length)
    step = np.arange(length)
    signals = {
        "still at 0": np.zeros(length),
        "still at the top": np.full(length, 32767),
        "still at the bottom": np.full(length, -32768),
        "noise of one count": rng.integers(0, 2, length),
        "saturated square": np.where(step % 2, 32767, -32768),
        "ramp": np.linspace(-32768, 32767, length).round(),
        "impulse": np.where(step == length // 2, 32767, 0),
        "impulse at the end": np.where(step == length - 1, -32768, 0),
        "step": np.where(step < length // 3, -5, 7),
        "full step": np.where(step < length // 2, -32768, 32767),
        "slow square": np.where(step // 8 % 2, 32767, -32768),
        "one count once": (step == 7).astype(int),
    }
    return {name: np.repeat(signal[:, None], 3, axis=1).astype(np.int16) for name, signal in signals.items()}


def fitted(length: int) -> Spec:
    return fit(motion(24, length, seed=1), rate_hz=200, lsb=0.001, units="m/s^2")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return fitted(128)


@pytest.fixture(scope="module")
def windows() -> NDArray[np.int16]:
    return motion(200, 128, seed=2)


# --- equal to the plain version --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_pixels_are_those_of_the_plain_version(length: int) -> None:
    rng = np.random.default_rng(length)
    white = rng.integers(-32768, 32768, (1, length, 3)).astype(np.int16)
    windows = np.concatenate([white, motion(2, length, seed=3), motion(1, length, seed=4, amplitude=4.0)])
    spec = fitted(length)
    for window, image in zip(windows, images(windows, spec), strict=True):
        assert image.tolist() == plain_frontend.images(window.tolist(), spec)


@pytest.mark.parametrize("length", LENGTHS)
def test_pixels_are_those_of_the_plain_version_where_the_motion_is_degenerate(length: int) -> None:
    cases = degenerate(length)
    windows = np.stack([window[:, 0] for window in cases.values()]).reshape(-1, 3, length).swapaxes(1, 2)
    spec = fitted(length)
    for number, (window, image) in enumerate(zip(windows, images(windows, spec), strict=True)):  # three a window
        assert image.tolist() == plain_frontend.images(window.tolist(), spec), list(cases)[3 * number :][:3]


def test_pixels_are_those_of_the_plain_version_at_the_limits_of_the_tables(spec: Spec) -> None:
    high, low = 55 * 256, -55 * 256
    windows = np.stack(list(degenerate(128).values()))[[0, 3, 4, 6]]
    for mean, gain in ((high, 1 << 16), (low, 1 << 16), (0, 0)):
        extreme = dataclasses.replace(
            spec,
            power_floor=(low,) * 32,
            power_mean=((mean,) * 32,) * 3,
            power_gain=((gain,) * 32,) * 3,
            field_mean=(0, 32768, 5),
            field_gain=(1 << 15,) * 3,
        )
        for window, image in zip(windows, images(windows, extreme), strict=True):
            assert image.tolist() == plain_frontend.images(window.tolist(), extreme)


# --- what the images are ---------------------------------------------------------------------------------------


def test_images_of_the_training_windows_have_mean_0_and_standard_deviation_1() -> None:
    # Noise at a level that varies from window to window, so that no spread meets its lower limit or the clipping.
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (300, 256, 3)) * 1000 * rng.lognormal(0, 0.3, (300, 1, 3))
    windows = np.clip(noise, -32768, 32767).astype(np.int16)
    value = images(windows, fit(windows, rate_hz=100, lsb=0.001, units="m/s^2")) / 32
    scalogram, field = value[:, 0], value[:, 1]
    assert np.abs(scalogram.mean(axis=(0, 2))).max() < 0.05  # each (band, axis)
    assert np.abs(scalogram.std(axis=(0, 2)) - 1).max() < 0.05
    assert np.abs(field.mean(axis=(0, 1, 2))).max() < 0.05  # each axis
    assert np.abs(field.std(axis=(0, 1, 2)) - 1).max() < 0.05


def test_a_tilt_changes_nothing(spec: Spec) -> None:
    windows = motion(20, 128, seed=6, amplitude=1000)
    tilted = (windows.astype(int) + np.array([9807, -4903, 1])).astype(np.int16)
    assert (images(tilted, spec) == images(windows, spec)).all()


def test_axes_do_not_mix(windows: NDArray[np.int16]) -> None:
    order = [2, 0, 1]
    plain, permuted = windows[:40], np.ascontiguousarray(windows[:40, :, order])
    spec = fit(plain, rate_hz=200, lsb=0.001, units="m/s^2")
    other = fit(permuted, rate_hz=200, lsb=0.001, units="m/s^2")
    assert (images(permuted, other) == images(plain, spec)[..., order]).all()
    changed = plain.copy()
    changed[:, :, 1] = 0
    differs = (images(changed, spec) != images(plain, spec)).any(axis=(0, 1, 2, 3))
    assert differs.tolist() == [False, True, False]


def test_a_still_window_is_quiet_in_every_band_and_never_leaves_its_level(spec: Spec) -> None:
    still = images(np.full((1, 128, 3), 17, np.int16), spec)[0]
    for axis in range(3):
        for band in range(32):
            deviation = (spec.power_floor[band] - spec.power_mean[axis][band]) * spec.power_gain[axis][band] / 65536
            expected = max(-128, math.floor(deviation + 0.5))
            assert (still[0, band, :, axis] == expected).all()
        deviation = (32768 - spec.field_mean[axis]) * spec.field_gain[axis] / 65536
        assert (still[1, :, :, axis] == min(127, math.floor(deviation + 0.5))).all()
    assert (still[0] < 0).all()


def test_louder_is_brighter_and_quieter_darker(spec: Spec) -> None:
    normal = motion(20, 128, seed=7)
    louder, quieter = (images((normal * factor).astype(np.int16), spec)[:, 0].mean() for factor in (1.5, 0.5))
    assert quieter < images(normal, spec)[:, 0].mean() < louder


def test_images_do_not_depend_on_the_company_a_window_keeps(spec: Spec, windows: NDArray[np.int16]) -> None:
    together = images(windows, spec)
    assert together.dtype == np.int8
    assert together.shape == (200, 2, 32, 32, 3)
    for index in (0, 63, 64, 131, 199):
        assert (images(windows[index : index + 1], spec)[0] == together[index]).all()
    assert (images(windows[::-1], spec)[::-1] == together).all()  # not contiguous, other neighbours
    assert (images(np.asfortranarray(windows), spec) == together).all()
    assert images(windows[:0], spec).shape == (0, 2, 32, 32, 3)


def test_a_fit_repeats_to_the_digest_and_leaves_its_input_alone(windows: NDArray[np.int16]) -> None:
    kept = windows.copy()
    specs = [fit(windows, rate_hz=200, lsb=0.001, units="m/s^2") for _ in range(2)]
    assert specs[0] == specs[1]
    assert specs[0].digest == specs[1].digest
    images(windows, specs[0])
    assert (windows == kept).all()


def test_the_order_of_the_windows_does_not_change_a_fit(windows: NDArray[np.int16]) -> None:
    shuffled = np.random.default_rng(0).permutation(windows)
    assert fit(shuffled, rate_hz=200, lsb=0.001, units="m/s^2") == fit(windows, rate_hz=200, lsb=0.001, units="m/s^2")


def test_edges_are_the_octiles_of_normal_motion(windows: NDArray[np.int16]) -> None:
    spec = fit(windows, rate_hz=200, lsb=0.001, units="m/s^2")
    signal = windows - np.floor(windows.mean(axis=1, keepdims=True) + 0.5)
    for axis in range(3):
        below = [(signal[:, :, axis] < edge).mean() for edge in spec.field_edges[axis]]
        assert below == pytest.approx([1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8], abs=0.002)


# --- windows that cannot be used -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 128, 3), np.int32),
        np.zeros((4, 128, 3)),
        np.zeros((4, 64, 3), np.int16),
        np.zeros((4, 128, 2), np.int16),
        np.zeros((128, 3), np.int16),
        np.zeros(128, np.int16),
    ],
    ids=lambda bad: f"{bad.dtype}{bad.shape}",
)
def test_other_windows_are_refused(spec: Spec, bad: NDArray[np.int16]) -> None:
    with pytest.raises(GyrovaeError, match=r"expected int16 \[k, 128, 3\], received "):
        images(bad, spec)


def test_windows_in_a_list(spec: Spec, windows: NDArray[np.int16]) -> None:
    assert np.array_equal(images(list(windows[:2]), spec), images(windows[:2], spec))  # type: ignore[arg-type]
    for bad, received in ((windows[:2].tolist(), "int64"), ([[1], [1, 2]], "object"), (None, "object"), ("a", "<U1")):
        with pytest.raises(GyrovaeError, match=rf"expected int16 \[k, 128, 3\], received {received} \["):
            images(bad, spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [None, {"window": 128}, "spec"])
def test_what_is_no_spec_is_refused(windows: NDArray[np.int16], bad: Any) -> None:
    with pytest.raises(
        GyrovaeError, match=r"the spec of the front end is not usable; expected a gyrovae_tf\.Spec, rece"
    ):
        images(windows, bad)


@pytest.mark.parametrize("shape", [(0, 128, 3), (4, 100, 3), (4, 32, 3), (4, 2048, 3), (4, 128, 6), (128, 3), (7,), ()])
def test_a_fit_needs_windows_of_the_right_form(shape: tuple[int, ...]) -> None:
    with pytest.raises(GyrovaeError):
        fit(np.zeros(shape, np.int16), rate_hz=200, lsb=0.001, units="m/s^2")


@pytest.mark.parametrize("bad", [{"rate_hz": 0}, {"rate_hz": math.nan}, {"lsb": 0}, {"lsb": math.inf}, {"units": ""}])
def test_a_fit_refuses_numbers_that_make_no_sense(windows: NDArray[np.int16], bad: dict[str, float]) -> None:
    with pytest.raises(GyrovaeError):
        fit(windows, **{"rate_hz": 200.0, "lsb": 0.001, "units": "m/s^2", **bad})  # type: ignore[arg-type]


def test_a_fit_to_windows_without_motion_is_finite() -> None:
    windows = motion(20, 128, seed=8)
    windows[:, :, 1] = 100  # one axis does not move
    spec = fit(windows, rate_hz=200, lsb=0.001, units="m/s^2")
    assert spec.power_mean[1] == spec.power_floor
    assert spec.power_gain[1] == (32 * 65536 // 64,) * 32  # the least spread is a quarter of an octave, 64 / 256
    assert spec.field_edges[1] == (0,) * 7
    assert spec.field_mean[1] == 32768
    assert (images(windows, spec)[..., 1] == 0).all()
    moving = images(motion(1, 128, seed=9), spec)[0, 0, :, :, 1]
    assert (moving == 127).mean() > 0.9


# --- samples to counts -----------------------------------------------------------------------------------------


def test_counts_are_rounded_half_to_even_and_saturate() -> None:
    samples = np.array([[0.0, 0.5, 1.5], [2.5, -0.5, -1.5], [0.74, 20000.0, -20000.0]]) * 0.25
    assert to_counts(samples, 0.25).tolist() == [[0, 0, 2], [2, 0, -2], [1, 20000, -20000]]
    saturated = to_counts(np.array([[1e9, -1e9, 8191.8], [math.inf, -math.inf, -8192.0]]), 0.25)
    assert saturated.tolist() == [[32767, -32768, 32767], [32767, -32768, -32768]]
    assert saturated.dtype == np.int16


def test_a_sample_that_is_no_number_has_no_counts() -> None:
    with pytest.raises(GyrovaeError, match="not a number"):
        to_counts(np.array([[0.0, math.nan, 0.0]]), 0.25)


@pytest.mark.parametrize(
    ("largest", "lsb"),
    [
        (10.0, 0.001),  # 2.5 * 10 / 32767 = 0.00076
        (13.0, 0.001),
        (13.2, 0.002),
        (20.0, 0.002),
        (40.0, 0.005),
        (100.0, 0.01),
        (9.80665, 0.001),
        (0.01, 1e-6),
        (0.0, 1e-10),
        (1e6, 100.0),
    ],
)
def test_the_size_of_a_count_leaves_room_for_two_and_a_half_times_normal_motion(largest: float, lsb: float) -> None:
    assert choose_lsb(largest) == lsb


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.floats(1e-6, 1e30))
def test_the_size_of_a_count_is_a_plain_number_and_neither_too_fine_nor_too_coarse(largest: float) -> None:
    lsb = choose_lsb(largest)
    assert f"{lsb:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")
    assert 32767 / 2.5 * (1 - 1e-9) / 2.5 <= largest / lsb <= 32767 / 2.5 * (1 + 1e-9)


@pytest.mark.parametrize("largest", [-1.0, math.nan, math.inf])
def test_no_size_of_a_count_without_a_range(largest: float) -> None:
    with pytest.raises(GyrovaeError, match="range"):
        choose_lsb(largest)


def test_the_largest_magnitude_of_all_recordings_decides() -> None:
    parts = [np.array([[0.0, 1.0, 2.0]]), np.zeros((0, 3)), np.array([[0.0, -10.0, 2.0]])]
    assert lsb_of(parts) == 0.001
    for bad in ([], [np.zeros((1, 3)), np.full((1, 3), math.nan)], [np.full((1, 3), math.nan), np.zeros((1, 3))]):
        with pytest.raises(GyrovaeError, match="range"):
            lsb_of(bad)
