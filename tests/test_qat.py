"""Quantisation-aware training: a model that keeps the contract, is as good as the float one, and the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Tiny

from gyrovae_tf import contract, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import qat
from gyrovae_tf.learn.convert import in_order, to_int8
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.engine import keras
from gyrovae_tf.learn.floating import reconstructions
from gyrovae_tf.learn.vae import BRANCHES
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
    rebuilt = np.stack(reconstructions(tiny.run.keras_model(), images), axis=1)
    exact = np.square(rebuilt - images / 32).mean()
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


def test_the_weights_with_the_least_loss_on_held_back_windows_are_kept(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the squared error a pixel and, by beta, half the squares of the codes' means. Every look is told."""
    monkeypatch.setattr(qat, "STEPS", 300)
    told: list[tuple[int, int, str]] = []
    beta, images = 40.0, tiny.dataset.validation_images
    model = aware(tiny, beta=beta, progress=lambda *step: told.append(step))
    assert [step[:2] for step in told] == [(100, 300), (200, 300), (300, 300)]
    assert all(step[2].startswith("quantisation-aware training, validation loss ") for step in told)
    means = keras.Model(model.inputs, [model.get_layer(f"quant_{branch}_mean").output for branch in BRANCHES])
    codes = np.concatenate([np.asarray(part) for part in means([images[:, 0] / 32, images[:, 1] / 32])], axis=1)
    error = np.square(np.stack(reconstructions(model, images), axis=1) - images / 32).mean()
    loss = 0.5 * error + 0.5 * beta * np.square(codes).sum(axis=1).mean() / (2 * 32 * 32 * 3)
    assert loss == pytest.approx(min(float(step[2].split()[-1]) for step in told), abs=1e-4)


def other_network() -> Any:
    """Other kernels and kinds of layers than ours: what a search for an architecture may come to."""
    layers, images, outputs = keras.layers, [], []
    for branch in BRANCHES:
        images.append(keras.Input((32, 32, 3)))
        hidden = layers.Flatten()(layers.Conv2D(8, 8, 8, activation="relu")(images[-1]))
        hidden = layers.Dense(8 * 8 * 8)(layers.Dense(3, name=f"{branch}_mean")(hidden))
        hidden = layers.ReLU(name=f"{branch}_relu")(layers.Reshape((8, 8, 8))(hidden))
        hidden = layers.Concatenate(axis=3, name=f"{branch}_twice")([hidden, hidden])
        hidden = layers.Reshape((8, 8, 4, 12))(layers.Conv2D(48, 1)(hidden))
        outputs.append(layers.Reshape((32, 32, 3))(layers.Permute((1, 3, 2, 4))(hidden)))
    return keras.Model(images, outputs)


def test_another_network_is_quantised_alike(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """No range is left where tfmot begins, at 6, and int8 rebuilds what the network with quantisers in it does."""
    monkeypatch.setattr(qat, "STEPS", 100)
    keras.utils.set_random_seed(1)
    images = tiny.dataset.train_images
    model = qat.quantize_aware(other_network(), tiny.dataset, beta=1.0, seed=3)
    ranges = [weight for weight in model.weights if weight.name.endswith(("_min:0", "_max:0"))]
    assert {weight.name.split("/")[-1] for weight in ranges} >= {"output_max:0", "post_activation_max:0"}
    assert not [weight.name for weight in ranges if np.any(np.abs(weight.numpy()) == 6)]
    content = to_int8(model, images, aware=True)
    assert contract.contract_violations(tflite.describe(content)) == ()
    exact = np.stack(reconstructions(model, images), axis=1)
    assert np.abs(Model(content, best()).rebuilt(images) - exact).mean() < 0.1 * exact.std()


def test_a_training_that_diverges(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "STEPS", 100)
    monkeypatch.setattr(qat, "_LEARNING_RATE", 1e30)
    with pytest.raises(GyrovaeError, match=r"quantisation-aware training diverged: .*\nUse --mode ptq"):
        aware(tiny)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tiny: Tiny, content: bytes) -> None:
    images = tiny.dataset.train_images
    assert to_int8(aware(tiny), images, aware=True) == content
    assert to_int8(aware(tiny, seed=4), images, aware=True) != content
