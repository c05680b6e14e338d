"""Quantisation: a .tflite that the firmware can run, close to the Keras model, with a threshold that holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.cluster import KMeans

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import convert
from gyrovae_tf.learn.engine import keras
from gyrovae_tf.learn.quantize import BUNDLE, calibrate, quantize, regimes, tail_threshold
from gyrovae_tf.learn.vae import to_float
from gyrovae_tf.runtime import Detector, Model
from gyrovae_tf.signal.score import score

# --- the model -------------------------------------------------------------------------------------------------


def test_the_model_keeps_the_contract(tiny: Tiny) -> None:
    model = tflite.describe(tiny.bundle.model)
    contract.check_contract(model)
    (images,) = (model.tensors[index] for index in model.inputs)
    assert (images.shape, images.dtype, images.scale, images.zero_point) == ((2, 32, 32, 3), "int8", (1 / 32,), (0,))
    for index in model.outputs:
        assert (model.tensors[index].shape, model.tensors[index].dtype) == ((1, 32, 32, 3), "int8")
    assert not [tensor.name for tensor in model.tensors if tensor.dtype.startswith("float")]
    assert set(model.op_names) <= set(contract.OPS)
    assert model.op_names == tiny.bundle.ops


def test_the_model_is_small(tiny: Tiny) -> None:
    model = tflite.describe(tiny.bundle.model)
    assert len(tiny.bundle.model) <= 64 * 1024
    assert model.macs == tiny.bundle.metrics["macs"] == 229_376
    assert model.accelerated_macs == model.macs
    # No padding: on even strides the device's kernels get it wrong (a kernel as large as its stride needs none).
    assert "PAD" not in model.op_names


def test_fully_connected_layers_have_one_scale(tiny: Tiny) -> None:
    """Older kernels read only the first scale of a fully connected layer's weights."""
    model = tflite.describe(tiny.bundle.model)
    dense = [operator for operator in model.operators if operator.name == "FULLY_CONNECTED"]
    assert len(dense) == 4
    assert {len(model.tensors[operator.inputs[1]].scale) for operator in dense} == {1}


def test_int8_reconstructions_are_close_to_float_ones(tiny: Tiny) -> None:
    images = tiny.dataset.validation_images
    run = Model(tiny.bundle.model)
    scalogram, field = run.reconstruct(images)
    expected = tiny.run.keras_model()([to_float(images[:, 0]), to_float(images[:, 1])])
    for found, scale, zero_point, exact in (
        (scalogram, run.scale, run.zero_point, np.asarray(expected[0])),
        (field, run.field_scale, run.field_zero_point, np.asarray(expected[1])),
    ):
        difference = np.abs((found.astype(np.float64) - zero_point) * scale - exact)
        assert difference.mean() < 0.03  # standard deviations; a pixel of the input is 1/32 of one
        assert difference.max() < 0.5
        assert exact.std() > 0.1  # there is something to be close to


def test_the_order_of_the_outputs_is_looked_at(tiny: Tiny) -> None:
    images, model = tiny.dataset.train_images, tiny.run.keras_model()
    assert convert.in_order(tiny.bundle.model, model, images)
    swapped = keras.Model(model.inputs, model.outputs[::-1])
    assert not convert.in_order(tiny.bundle.model, swapped, images)
    other = convert.to_int8(swapped, images)  # a .tflite with the field first
    assert convert.in_order(other, swapped, images)
    assert not convert.in_order(other, model, images)


def test_extremes_of_the_input_are_told_apart(tiny: Tiny) -> None:
    """The input's fixed scale reaches both ends of int8: nothing is clipped."""
    run = Model(tiny.bundle.model)
    images = np.zeros((3, 2, 32, 32, 3), np.int8)
    images[1], images[2] = 127, -128
    scalogram, _ = run.reconstruct(images)
    assert len({part.tobytes() for part in scalogram}) == 3


# --- the bundle ------------------------------------------------------------------------------------------------


def test_the_bundle_is_saved_in_the_run(tiny: Tiny) -> None:
    assert Bundle.load(tiny.run.path) == tiny.bundle
    assert Bundle.load(tiny.run.path / BUNDLE) == tiny.bundle
    assert tiny.bundle.spec == tiny.dataset.spec
    assert tiny.bundle.metrics["mode"] == "ptq"
    assert tiny.bundle.metrics["runtime"] == "litert"
    assert tiny.bundle.metrics["training"] == tiny.run.metrics
    assert json.loads((tiny.run.path / BUNDLE / "manifest.json").read_text())["ops"] == list(tiny.bundle.ops)
    assert tiny.bundle.calibration.held_back_windows == len(tiny.dataset.validation_images)


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.21, 1.0, float("nan"), float("inf")])
def test_a_false_alarm_rate_that_cannot_be(tiny: Tiny, rate: float) -> None:
    with pytest.raises(GyrovaeError, match=r"the false-alarm rate is not usable; expected above 0, at most 0.2"):
        quantize(tiny.run, false_alarm_rate=rate)


def test_an_unknown_mode(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match="unknown quantisation mode; expected ptq, received guess"):
        quantize(tiny.run, mode="guess")


def test_a_vote_that_cannot_be_leaves_the_bundle_alone(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match="the vote is not usable"):
        quantize(tiny.run, vote_alarms=6, vote_windows=5)
    assert Bundle.load(tiny.run.path) == tiny.bundle


# --- the threshold ---------------------------------------------------------------------------------------------

RATES = (0.2, 0.1, 0.05, 0.01, 0.002)


@pytest.mark.parametrize("excess", [0.05, 0.2, 0.5])
def test_the_threshold_of_an_exponential_tail_is_its_quantile(excess: float) -> None:
    """Logarithms that are exponential are what the fit supposes: Pareto's distribution (SciPy's as the oracle)."""
    truth = stats.pareto(1 / excess)
    scores = truth.rvs(20_000, random_state=1)
    for rate in RATES:
        assert np.log(tail_threshold(scores, rate)) == pytest.approx(np.log(truth.isf(rate)), rel=0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("truth", "most"),
    [
        (stats.expon(), 1.9),
        (stats.chi(96, scale=96**-0.5), 1.1),
        (stats.lognorm(0.3), 1.25),
        (stats.lognorm(0.8), 1.65),
    ],
    ids=["exponential", "chi of 96", "log-normal 0.3", "log-normal 0.8"],
)
def test_the_threshold_of_a_lighter_tail_errs_to_fewer_false_alarms(
    truth: stats.rv_continuous, most: float, rate: float
) -> None:
    """Where the tail falls faster than supposed the threshold is too high, by a factor that is bounded here."""
    threshold = tail_threshold(truth.rvs(20_000, random_state=2), rate)
    assert 0.93 * truth.isf(rate) <= threshold <= most * truth.isf(rate)
    if rate <= 0.02:
        assert threshold >= truth.isf(rate)


def test_one_outlier_does_not_set_the_threshold() -> None:
    scores = stats.lognorm(0.2).rvs(500, random_state=3)
    with_outlier = np.append(scores, 50.0)
    assert tail_threshold(with_outlier, 0.01) < 1.4 * tail_threshold(scores, 0.01)


POSITIVE = st.floats(1e-6, 1e6)


@given(st.lists(POSITIVE, min_size=4, max_size=60), st.lists(st.floats(1e-4, 0.2), min_size=2, max_size=2))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_smaller_rate_never_lowers_the_threshold(scores: list[float], rates: list[float]) -> None:
    low, high = sorted(rates)
    array = np.array(scores)
    assert tail_threshold(array, low) >= tail_threshold(array, high) * (1 - 1e-12)
    edge = float(np.exp(np.quantile(np.log(array), 0.8)))
    assert tail_threshold(array, 0.2) == pytest.approx(edge, rel=1e-9)
    assert tail_threshold(3 * array, low) == pytest.approx(3 * tail_threshold(array, low), rel=1e-9)


def test_scores_that_do_not_differ() -> None:
    assert tail_threshold(np.full(50, 2.5), 0.01) == pytest.approx(2.5)
    assert tail_threshold(np.zeros(50), 0.01) == pytest.approx(1e-9)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.2])
def test_about_the_asked_share_of_held_back_windows_raises_the_alarm(tiny: Tiny, rate: float) -> None:
    model, data = Model(tiny.bundle.model), tiny.dataset
    calibration = calibrate(model, data, false_alarm_rate=rate, vote_alarms=2, vote_windows=4, seed=0)
    images = data.validation_images
    found = score(images[:, 0], model.reconstruct(images)[0], model.scale, model.zero_point, calibration)
    assert len(images) > 90
    assert 0.4 * rate - 0.01 <= (found.score >= 1).mean() <= 1.6 * rate + 0.01
    assert (calibration.false_alarm_rate, calibration.vote_alarms, calibration.vote_windows) == (rate, 2, 4)


def test_statistics_come_from_training_windows_and_thresholds_from_held_back_ones(tiny: Tiny) -> None:
    model, calibration = Model(tiny.bundle.model), tiny.bundle.calibration
    louder = np.clip(tiny.dataset.validation_images.astype(np.int16) + 40, -128, 127).astype(np.int8)
    again = calibrate(
        model,
        dataclasses.replace(tiny.dataset, validation_images=louder),
        false_alarm_rate=0.01,
        vote_alarms=3,
        vote_windows=5,
        seed=0,
    )
    assert again.codebook == calibration.codebook
    assert again.weight == calibration.weight
    assert again.threshold > 1.5 * calibration.threshold


def test_a_detector_scores_as_it_was_calibrated(tiny: Tiny) -> None:
    found = Detector(tiny.bundle).score_images(tiny.dataset.validation_images)
    assert (found.score >= 1).mean() <= 0.04  # one in a hundred was asked for


# --- the regimes -----------------------------------------------------------------------------------------------


def inertia(points: NDArray[np.float64], centers: NDArray[np.float64]) -> float:
    """Sum of squared distances to the nearest centre."""
    return float(np.square(points[:, None] - centers[None]).sum(axis=2).min(axis=1).sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("blobs", "spread"), [(16, 0.3), (16, 1.0), (5, 1.0), (30, 1.0), (1, 1.0)])
def test_regimes_are_as_good_as_those_of_scikit_learn(blobs: int, spread: float, seed: int) -> None:
    rng = np.random.default_rng([seed, blobs])
    points = rng.normal(0, 1, (blobs, 96))[rng.integers(0, blobs, 600)] + rng.normal(0, spread, (600, 96))
    centers = regimes(points.reshape(-1, 3, 32), seed=seed)
    assert centers.shape == (16, 3, 32)
    best = KMeans(16, n_init=5, random_state=0).fit(points)
    assert inertia(points, centers.reshape(16, 96)) <= 1.05 * best.inertia_


def test_no_more_regimes_than_different_windows() -> None:
    points = np.zeros((100, 3, 32))
    points[:50, 1, 4] = 10.0
    points[::2, 2, 7] = 0.4
    centers = regimes(points, seed=0)
    found = sorted((float(center[1, 4]), float(center[2, 7])) for center in centers)
    assert np.array(found) == pytest.approx(np.array([(0.0, 0.0), (0.0, 0.4), (10.0, 0.0), (10.0, 0.4)]))


@pytest.mark.parametrize(("count", "number"), [(1, 1), (3, 1), (7, 1), (8, 2), (40, 10), (63, 15), (64, 16), (500, 16)])
def test_fewer_regimes_for_few_windows(count: int, number: int) -> None:
    points = np.random.default_rng(count).normal(0, 1, (count, 3, 32))
    centers = regimes(points, seed=0)
    assert len(centers) == number
    assert np.isfinite(centers).all()


def test_windows_that_do_not_differ_are_one_regime() -> None:
    assert regimes(np.full((200, 3, 32), 1.25), seed=0).tolist() == np.full((1, 3, 32), 1.25).tolist()


def test_the_seed_decides_the_regimes() -> None:
    points = np.random.default_rng(0).normal(0, 1, (300, 3, 32))
    assert np.array_equal(regimes(points, seed=1), regimes(points, seed=1))
    assert not np.array_equal(regimes(points, seed=1), regimes(points, seed=2))


# --- conversion that goes wrong --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_that_breaks_the_contract_is_refused(tiny: Tiny) -> None:
    """A sigmoid is no operator that the firmware knows."""
    model = tiny.run.keras_model()
    odd = keras.Model(model.inputs, [keras.layers.Activation("sigmoid")(model.outputs[0]), model.outputs[1]])
    with pytest.raises(GyrovaeError, match="LOGISTIC"):
        convert.to_int8(odd, tiny.dataset.train_images)


def test_a_run_without_its_dataset(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    (tmp_path / "dataset" / "dataset.json").unlink()
    with pytest.raises(GyrovaeError, match=r"dataset is not a dataset"):
        quantize(run)
