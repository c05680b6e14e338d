"""Quantisation: a .tflite that the firmware can run, close to the Keras model, with a threshold that holds."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Tiny

from gyrovae_tf import arena, contract, golden, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import convert
from gyrovae_tf.learn.calibrate import calibrate
from gyrovae_tf.learn.engine import keras
from gyrovae_tf.learn.promise import promise
from gyrovae_tf.learn.quantize import BUNDLE, quantize
from gyrovae_tf.learn.vae import to_float
from gyrovae_tf.runtime import Detector, Model, best
from gyrovae_tf.target import DEFAULT, find_target

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
    assert len(tiny.bundle.model) <= 12 * 1024
    assert tiny.bundle.arena is None or tiny.bundle.arena.host_bytes <= 16 * 1024
    assert model.macs == tiny.bundle.metrics["macs"] == 109_568
    assert find_target(DEFAULT).accelerated_macs(model) == model.macs
    # No padding: on even strides the device's kernels get it wrong (a kernel as large as its stride needs none).
    assert "PAD" not in model.op_names


def test_fully_connected_layers_have_one_scale(tiny: Tiny) -> None:
    """Older kernels read only the first scale of a fully connected layer's weights."""
    model = tflite.describe(tiny.bundle.model)
    dense = [operator for operator in model.operators if operator.name == "FULLY_CONNECTED"]
    assert len(dense) == 6
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
    assert [found["mode"] for found in tiny.bundle.metrics["modes"]] == ["ptq"]
    assert tiny.bundle.metrics["runtime"] == best()
    assert tiny.bundle.metrics["training"] == tiny.run.metrics
    assert json.loads((tiny.run.path / BUNDLE / "manifest.json").read_text())["ops"] == list(tiny.bundle.ops)
    every = len(tiny.dataset.train_images) + len(tiny.dataset.validation_images)
    assert tiny.bundle.calibration.held_back_windows == every


def test_the_bundle_holds_an_arena_and_golden_windows(tiny: Tiny) -> None:
    """What the firmware reserves, and what it tries itself with at boot."""
    pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro has wheels for Linux on x86-64 only")
    assert tiny.bundle.arena == arena.measure(tiny.bundle.model)
    assert tiny.bundle.golden is not None
    assert golden.verify(tiny.bundle).problems == ()
    kept = tiny.dataset.validation_windows
    assert kept is not None
    normal = [window.tobytes() for window in tiny.bundle.golden.windows[:4]]
    assert set(normal) <= {window.tobytes() for window in kept}


def test_without_the_device_s_kernels_the_arena_is_not_known(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tflite_micro" else real(name))
    bundle = quantize(tiny.copy(tmp_path), mode="ptq")
    assert bundle.arena is None
    assert bundle.metrics["runtime"] == "litert"
    assert bundle.golden is not None
    assert bundle.golden.kernels.startswith("litert")
    assert bundle.model == tiny.bundle.model


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.21, 1.0, float("nan"), float("inf")])
def test_a_false_alarm_rate_that_cannot_be(tiny: Tiny, rate: float) -> None:
    with pytest.raises(GyrovaeError, match=r"the false-alarm rate is not usable; expected above 0, at most 0.2"):
        quantize(tiny.run, false_alarm_rate=rate)


def test_an_unknown_mode(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match="unknown quantisation mode; expected ptq or qat or best, received guess"):
        quantize(tiny.run, mode="guess")


def test_ctrl_c_leaves_the_bundle_alone(tiny: Tiny, tmp_path: Path) -> None:
    """Pressed while QAT is at it, and once more while the score is calibrated."""
    run = tiny.copy(tmp_path)
    for stage in ("quantisation-aware training", "calibrating"):
        told = []

        def press(_done: int, _total: int, what: str, stage: str = stage, told: list[str] = told) -> None:
            told.append(what)
            if what.startswith(stage):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            quantize(run, mode="best", progress=press)
        assert told[-1].startswith(stage)
        assert Bundle.load(run) == tiny.bundle
        assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_false_alarms_a_day_that_cannot_be(tiny: Tiny, number: float) -> None:
    with pytest.raises(GyrovaeError, match="the false alarms a day are not usable; expected above 0"):
        quantize(tiny.run, false_alarms_per_day=number)


def test_a_rate_and_false_alarms_a_day_exclude_each_other(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match="either a false-alarm rate or false alarms a day, not both"):
        quantize(tiny.run, false_alarm_rate=0.01, false_alarms_per_day=1.0)


@pytest.mark.parametrize("vote", [(6, 5), (0, 5), (1, 9), (-1, 1), (1.0, 2), (True, 2), (1, 2, 3), (1,), ()], ids=str)
def test_a_vote_that_cannot_be_leaves_the_bundle_alone(tiny: Tiny, vote: Any) -> None:
    with pytest.raises(GyrovaeError, match="the vote is not usable; expected 1 <= alarms <= windows <= 8"):
        quantize(tiny.run, vote=vote)
    assert Bundle.load(tiny.run.path) == tiny.bundle


def test_a_tilt_that_is_not_known(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    dataclasses.replace(tiny.dataset, train_windows=None, validation_windows=None).save(tmp_path / "dataset")
    with pytest.raises(GyrovaeError, match=r"whose means the tilt needs\nPreprocess it again"):
        quantize(run, mode="ptq", tilt=True)
    assert quantize(run, mode="ptq").calibration == tiny.bundle.calibration


def test_the_bundle_tells_what_it_can_promise(tiny: Tiny) -> None:
    """What `calibrate` found, as JSON."""
    metrics, calibration = tiny.bundle.metrics, tiny.bundle.calibration
    made = calibrate(Model(tiny.bundle.model), tiny.dataset, seed=tiny.run.options.seed)
    assert made.calibration == calibration
    told = {"threshold": made.tail.to_dict(), "trust": made.trust.to_dict(), "vote": made.vote.to_dict()}
    assert {name: metrics[name] for name in told} == json.loads(json.dumps(told, allow_nan=False))
    assert calibration.threshold == np.float32(metrics["threshold"]["threshold"])
    assert metrics["score_table_bytes"] == calibration.table_bytes
    assert metrics["train_windows"] == len(tiny.dataset.train_images)


def test_what_is_asked_for_reaches_the_calibration(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    bundle = quantize(run, mode="ptq", false_alarms_per_day=50.0, vote=(2, 4), tilt=True)
    calibration = bundle.calibration
    assert (calibration.vote_alarms, calibration.vote_windows) == (2, 4)
    assert calibration.tilt is not None
    assert bundle.metrics["vote"]["events_per_day"] == pytest.approx(50.0)
    assert promise(bundle).asked(calibration.false_alarm_rate) == "a mean of 50 false events a day"
    assert promise(tiny.bundle).asked(tiny.bundle.calibration.false_alarm_rate) == "1 %"
    assert calibration.threshold == np.float32(bundle.metrics["vote"]["threshold"])
    assert Bundle.load(run) == bundle
    assert quantize(run, mode="ptq", false_alarm_rate=0.2).calibration.threshold < tiny.bundle.calibration.threshold


def test_a_detector_scores_as_it_was_calibrated(tiny: Tiny) -> None:
    """Windows that it knows score lower than what the threshold was set for: windows it was not fitted to."""
    for images in (tiny.dataset.train_images, tiny.dataset.validation_images):
        found = Detector(tiny.bundle).score_images(images)
        assert (found.score >= 1).mean() <= 0.02  # one in a hundred was asked for


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
