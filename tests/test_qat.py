"""Quantisation-aware training: a model that keeps the contract, is as good as the float one, and the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Tiny

from gyrovae_tf import contract, tflite
from gyrovae_tf.learn import qat
from gyrovae_tf.learn.convert import in_order, to_int8
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.runtime import Model, best


def aware(tiny: Tiny, data: Dataset | None = None, **asked: Any) -> Any:
    return qat.quantize_aware(tiny.run.keras_model(), data or tiny.dataset, **{"beta": 1.0, "seed": 3, **asked})


@pytest.fixture(scope="module")
def trained(tiny: Tiny) -> Any:
    return aware(tiny)


@pytest.fixture(scope="module")
def content(tiny: Tiny, trained: Any) -> bytes:
    return to_int8(trained, tiny.dataset.train_images, aware=True)


def test_the_model_keeps_the_contract(content: bytes) -> None:
    model = tflite.describe(content)
    assert contract.contract_violations(model) == ()
    (images,) = (model.tensors[index] for index in model.inputs)
    assert (images.shape, images.dtype, images.scale, images.zero_point) == ((2, 32, 32, 3), "int8", (1 / 32,), (0,))
    for index in model.outputs:
        assert (model.tensors[index].shape, model.tensors[index].dtype) == ((1, 32, 32, 3), "int8")
    assert not [tensor.name for tensor in model.tensors if "float" in tensor.dtype]


def test_it_does_the_work_of_the_model_that_was_quantised_after_training(tiny: Tiny, content: bytes) -> None:
    """No quantiser is left over as an operator of its own, and dense layers have one scale."""
    model, other = tflite.describe(content), tflite.describe(tiny.bundle.model)
    assert [operator.name for operator in model.operators] == [operator.name for operator in other.operators]
    assert model.macs == other.macs
    for operator in model.operators:
        if operator.name == "FULLY_CONNECTED":
            assert len(model.tensors[operator.inputs[1]].scale) == 1


def test_scalogram_first_field_second(tiny: Tiny, trained: Any, content: bytes) -> None:
    """By content, against the network before it was quantised."""
    images = tiny.dataset.validation_images
    assert in_order(content, tiny.run.keras_model(), images)
    assert in_order(content, trained, images)


def test_it_runs_on_the_device_s_kernels_and_rebuilds_as_well(tiny: Tiny, content: bytes) -> None:
    images = tiny.dataset.validation_images
    error = {
        name: np.square(Model(model, best()).rebuilt(images) - images / 32).mean()
        for name, model in (("qat", content), ("ptq", tiny.bundle.model))
    }
    assert error["qat"] <= error["ptq"] * 1.02
    exact = qat.mean_squared_error(tiny.run.keras_model(), images)
    assert 0.5 * exact < error["qat"] < 1.02 * exact  # better: the tiny network was not trained to the end


def test_both_inputs_have_the_fixed_range(trained: Any) -> None:
    ranges = {
        weight.name.rsplit("_", 1)[1]: float(weight.numpy())
        for layer in trained.layers
        if layer.name.startswith("quantize_layer")
        for weight in layer.weights
        if weight.name.endswith(("_min:0", "_max:0"))
    }
    assert ranges == {"min:0": -4.0, "max:0": 127 / 32}


def test_training_goes_on(tiny: Tiny, trained: Any) -> None:
    """The weights are others than before, and at least as good with int8's rounding as they were without training."""
    model = tiny.run.keras_model()
    before = {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}
    for name, kernel in before.items():
        (now,) = (weight for weight in trained.get_layer(f"quant_{name}").weights if weight.name.endswith("kernel:0"))
        assert not np.array_equal(now.numpy(), kernel)
        assert np.abs(now.numpy() - kernel).max() < 0.5


def test_the_mean_squared_error_by_hand() -> None:
    """A network that says 0 to everything; one window of 32 (a standard deviation), one of 0."""
    images = np.zeros((2, 2, 32, 32, 3), np.int8)
    images[0] = 32

    def nothing(parts: Any) -> Any:
        return [np.zeros_like(part) for part in parts]

    assert qat.mean_squared_error(nothing, images) == 0.5
    assert qat.mean_squared_error(nothing, images[:0]) == 0.0


def test_progress_is_told(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "STEPS", 200)
    told: list[tuple[int, int, str]] = []
    aware(tiny, progress=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(100, 200), (200, 200)]
    assert "quantisation-aware training" in told[0][2]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tiny: Tiny, content: bytes) -> None:
    images = tiny.dataset.train_images
    assert to_int8(aware(tiny), images, aware=True) == content
    assert to_int8(aware(tiny, seed=4), images, aware=True) != content
