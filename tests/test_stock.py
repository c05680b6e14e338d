"""The stock firmware's front end: against vectors of its own C++, against SciPy and PyWavelets, and by hand."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pywt
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import gyrovae_tf as gt
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal import stock
from gyrovae_tf.stockspec import DEFAULTS, StockConstants, StockSpec

PLAIN = StockConstants(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), squeeze=1.0, expand=1.0)
"""Constants under which whole numbers pass unchanged."""


def windows(seed: int = 0, count: int = 5) -> NDArray[np.float32]:
    """Motion about gravity on z, in m/s^2."""
    rng = np.random.default_rng(seed)
    tone = np.sin(rng.uniform(0.05, 1.2, (count, 1, 3)) * np.arange(256)[:, None] + rng.uniform(0, 6, (count, 1, 3)))
    return np.asarray(rng.uniform(0, 4) * tone + rng.normal(0, 0.5, tone.shape) + [0, 0, 9.8], np.float32)


# --- against the firmware itself ---


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, NDArray[Any]]:
    """What the firmware's own C++ made of 24 windows."""
    with np.load(shared / "golden" / "stock_frontend.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("moving", 2e-5), ("still", 2e-5), ("ramp", 2e-5), ("impulse", 2e-5), ("saturated", 1e-4)],
)
def test_golden_vectors(golden: dict[str, NDArray[Any]], kind: str, tolerance: float) -> None:
    chosen = golden["kind"] == kind
    assert chosen.any()
    scalogram, field = gt.stock_images(golden["windows"][chosen])
    np.testing.assert_allclose(scalogram[:, 1:], golden["scalogram"][chosen], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(field, golden["field"][chosen])


def test_the_constants_are_those_of_the_golden_vectors(golden: dict[str, NDArray[Any]]) -> None:
    assert DEFAULTS.mean == (float(golden["mean"]),) * 3
    assert DEFAULTS.std == (float(golden["std"]),) * 3


# --- by hand ---


def test_a_window_of_nothing() -> None:
    scalogram, field = gt.stock_images(np.zeros((1, 256, 3), np.float32), PLAIN)
    assert scalogram.shape == field.shape == (1, 32, 32, 3)
    assert scalogram.dtype == field.dtype == np.float32
    assert not scalogram.any()
    assert (field == 1).all()  # one level, always followed by itself


def test_samples_are_rounded_down_then_shifted_and_divided() -> None:
    """5.12 steps to 1 m/s^2: 1.0 becomes 5 steps = 0.9765625, and -1.0 becomes -6 steps = -1.171875."""
    constants = StockConstants(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    down = {1.0: 0.9765625, -1.0: -1.171875}
    for value, step in down.items():
        seen, _ = gt.stock_images(np.full((1, 256, 3), value, np.float32), constants)
        same, _ = gt.stock_images(np.full((1, 256, 3), 1.0, np.float32), PLAIN)
        np.testing.assert_allclose(seen, step * same, rtol=0, atol=1e-6)


def test_only_the_fourth_and_fifth_of_eight_samples_reach_the_scalogram() -> None:
    window = np.zeros((1, 256, 3), np.float32)
    for place in (0, 1, 2, 5, 6, 7):
        window[:, place::8] = 1000.0
    scalogram, _ = gt.stock_images(window, PLAIN)
    assert not scalogram.any()


def test_each_row_between_two_scales_is_their_mixture() -> None:
    """Row i lies at (i + 0.5) / 2 - 0.5: 0.25, 0.75, 1.25 ...; the last one beyond the last scale."""
    scalogram, _ = gt.stock_images(windows(), DEFAULTS)
    rows = scalogram.swapaxes(0, 1).astype(np.float64)
    np.testing.assert_allclose(rows[1] - rows[0], (rows[2] - rows[0]) / 3, atol=1e-5)
    np.testing.assert_allclose(rows[31] - rows[30], rows[30] - rows[29], atol=1e-5)


def test_the_field_of_a_step() -> None:
    """Without a filter to speak of: 16 segments low, 16 high; low is followed by high once in 16 times."""
    constants = dataclasses.replace(PLAIN, taps=2, cutoff_hz=99.0)
    window = np.zeros((1, 256, 3), np.float32)
    window[:, 128:] = 100.0
    field = gt.stock_images(window, constants)[1][0, :, :, 0]
    # The two taps smear the step into segment 16, whose level is a third one, between the others.
    assert set(np.unique(field[:15, :15])) == {np.float32(15 / 16)}
    assert set(np.unique(field[:16, 16])) == {np.float32(1 / 16)}
    assert set(np.unique(field[:16, 17:])) == {np.float32(0)}
    assert set(np.unique(field[16, 17:])) == {np.float32(1)}
    assert set(np.unique(field[17:, 17:])) == {np.float32(1)}
    assert not field[17:, :17].any()


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [
        (0.0, 0.125, 0),
        (0.1249, 0.125, 0),  # towards zero, not to the nearest
        (-0.1249, 0.125, 0),
        (0.125, 0.125, 1),
        (-0.25, 0.125, -2),
        (127.9, 1.0, 127),
        (128.0, 1.0, -128),  # wraps
        (130.7, 1.0, -126),
        (-128.9, 1.0, -128),
        (-129.0, 1.0, 127),
        (256.0, 1.0, 0),
        (1e30, 1.0, -1),  # 2^31 - 1 is ...ff
        (-1e30, 1.0, 0),  # -2^31 is ...00
        (float("nan"), 1.0, -1),
    ],
)
def test_conversion_to_int8(value: float, scale: float, expected: int) -> None:
    found = stock.to_int8(np.array([value], np.float32), scale)
    assert found.dtype == np.int8
    assert found.tolist() == [expected]


@given(st.floats(-1e9, 1e9, width=32), st.integers(-6, 6))
def test_conversion_is_truncation_modulo_256(value: float, exponent: int) -> None:
    scale = 2.0**exponent
    one = np.array([value], np.float32)
    steps = int(value / scale)
    inside = -(2**31) <= steps < 2**31
    assert bool(stock.wrapped(one, scale)[0]) is not (-128 <= steps <= 127)
    if inside:
        assert stock.to_int8(one, scale).tolist() == [(steps + 128) % 256 - 128]


def test_figures_of_the_console() -> None:
    """20 * log10(1 / sqrt(sum)): a sum of 100 is -20 dB, of 1 is 0 dB, of 0.01 is 20 dB."""
    assert stock.figures(np.array([100.0, 1.0, 0.01])).tolist() == [-20.0, 0.0, 20.0]
    assert stock.figures(np.array([0.0])).tolist() == [np.inf]


# --- against other people's implementations ---


def test_the_filter_is_scipys() -> None:
    np.testing.assert_allclose(stock.filter_taps(), scipy.signal.firwin(200, 0.9), rtol=0, atol=1e-12)


def test_the_transform_is_that_of_pywavelets() -> None:
    seen = windows()
    scaled = (np.floor(seen.astype(np.float64) * 5.12) / 5.12 - DEFAULTS.mean[0]) / DEFAULTS.std[0]
    sampled = (scaled[:, 3::8] + scaled[:, 4::8]) / 2
    wavelet = pywt.ContinuousWavelet("morl")
    wavelet.lower_bound, wavelet.upper_bound = -2, 2
    expected, _ = pywt.cwt(sampled, np.arange(2, 18), wavelet, axis=1, precision=10)  # [16, k, 32, 3]
    scalogram, _ = gt.stock_images(seen)
    np.testing.assert_allclose(scalogram[:, 0], expected[0], rtol=0, atol=2e-3)  # one sample of the wavelet off
    middle = np.moveaxis((3 * expected[:-1] + expected[1:]) / 4, 0, 1)
    np.testing.assert_allclose(scalogram[:, 1:31:2], middle, rtol=0, atol=2e-2)


def test_the_field_is_the_plain_definition() -> None:
    seen = windows(seed=3)
    scaled = (np.floor(seen.astype(np.float64) * 5.12) / 5.12 - DEFAULTS.mean[0]) / DEFAULTS.std[0]
    filtered = scipy.signal.lfilter(scipy.signal.firwin(200, 0.9), 1, scaled, axis=1)
    _, field = gt.stock_images(seen)
    for window, image in zip(filtered, field, strict=True):
        for axis in range(3):
            level = window[:, axis].reshape(32, 8).mean(axis=1)
            unit = (level - level.min()) / (level.max() - level.min())
            bins = [min(max(sum(edge <= v for edge in np.linspace(0, 1, 64)), 1), 63) - 1 for v in unit]
            pairs = list(itertools.pairwise(bins))
            expected = [
                [pairs.count((a, b)) / max(sum(first == a for first, _ in pairs), 1) for b in bins] for a in bins
            ]
            np.testing.assert_allclose(image[:, :, axis], expected, rtol=0, atol=1e-6)


# --- properties ---


@given(st.floats(-70, 70, width=32))
def test_a_constant_window_is_finite_and_every_axis_alike(value: float) -> None:
    scalogram, field = gt.stock_images(np.full((1, 256, 3), value, np.float32))
    assert np.isfinite(scalogram).all()
    assert (field >= 0).all()
    assert (field <= 1).all()
    for image in (scalogram, field):
        assert (image == image[..., :1]).all()


def test_a_saturated_window_is_finite() -> None:
    window = np.where(np.arange(256)[None, :, None] % 16 < 8, 78.3, -78.3) * np.ones((1, 1, 3))
    scalogram, field = gt.stock_images(window.astype(np.float32))
    assert np.isfinite(scalogram).all()
    assert np.isfinite(field).all()


@given(st.integers(0, 2**32 - 1))
def test_a_window_does_not_depend_on_its_company(seed: int) -> None:
    seen = windows(seed, count=3)
    together = gt.stock_images(seen)
    for index in range(3):
        alone = gt.stock_images(seen[index : index + 1])
        np.testing.assert_allclose(alone[0][0], together[0][index], rtol=0, atol=1e-5)


def test_rows_of_a_field_are_shares_of_what_follows() -> None:
    _, field = gt.stock_images(windows(7, 40))
    assert field.min() == 0
    assert field.max() <= 1


def test_it_does_not_change_what_it_is_given() -> None:
    seen = windows()
    before = seen.copy()
    gt.stock_images(seen)
    np.testing.assert_array_equal(seen, before)


def test_no_windows_give_no_images() -> None:
    scalogram, field = gt.stock_images(np.zeros((0, 256, 3), np.float32))
    assert scalogram.shape == field.shape == (0, 32, 32, 3)


# --- what is refused ---


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 128, 3), np.float32),
        np.zeros((256, 3), np.float32),
        np.zeros((1, 256, 3), np.int16),
        np.full((1, 256, 3), np.nan, np.float32),
        np.full((1, 256, 3), 1e7, np.float32),
    ],
)
def test_other_windows_are_refused(bad: NDArray[Any]) -> None:
    with pytest.raises(GyrovaeError):
        gt.stock_images(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.0, 0.0)},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, float("nan"), 1.0)},
        {"taps": 1},
        {"taps": 200.0},
        {"bins": 1},
        {"cutoff_hz": 100.0},
        {"scale_start": 0.0},
        {"scale_step": "1"},
    ],
)
def test_other_constants_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GyrovaeError, match=next(iter(change))):
        dataclasses.replace(DEFAULTS, **change)


def test_constants_by_name() -> None:
    assert StockConstants.from_dict({}) == DEFAULTS
    assert StockConstants.from_dict({"mean": [0, 0, 9.8], "taps": 100}).mean == (0.0, 0.0, 9.8)
    assert StockConstants.from_dict(json.loads(json.dumps(DEFAULTS.to_dict()))) == DEFAULTS
    with pytest.raises(GyrovaeError, match="unknown stock constants: gain"):
        StockConstants.from_dict({"gain": 1})


def test_a_spec_is_json_and_back() -> None:
    spec = StockSpec(dataclasses.replace(DEFAULTS, bins=32), 0.25)
    assert StockSpec.from_dict(json.loads(spec.to_json())) == spec
    assert len(spec.digest) == 64
    assert spec.digest != StockSpec(DEFAULTS, 0.25).digest
    assert (spec.window, spec.rate_hz, spec.units, spec.window_ms) == (256, 200.0, "m/s^2", 1280.0)


@pytest.mark.parametrize("scale", [0.1, 0.0, -0.125, float("nan"), 2.0**20, "1"])
def test_an_input_scale_is_a_power_of_two(scale: Any) -> None:
    with pytest.raises(GyrovaeError, match="power of two"):
        StockSpec(input_scale=scale)


@pytest.mark.parametrize("change", [{"frontend": "power"}, {"spec_version": 2}, {"extra": 1}])
def test_a_spec_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(GyrovaeError):
        StockSpec.from_dict({**json.loads(StockSpec().to_json()), **change})
