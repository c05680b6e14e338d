"""A Keras graph in, a .tflite that keeps the contract out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.contract import INPUT_SCALE
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.engine import quiet, tf
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.learn.slim import slim
from gyrovae_tf.learn.vae import to_float
from gyrovae_tf.runtime import HOST, Model
from gyrovae_tf.spec import PIXEL

_REPRESENTATIVE = 300
_COMPARED = 32
_LOWEST, _HIGHEST = -128, 127
PRECISIONS = ("float32", "float16", "dynamic", "int8")
"""What a model can be exported in: weights and arithmetic of float32; weights of float16; weights of int8 and
activations that are quantised as they come ("dynamic", where a layer has 1,024 weights or more: the converter leaves
smaller ones alone); all of int8, which alone the device runs."""


def to_int8(model: Any, images: NDArray[np.int8], *, aware: bool = False, input_scale: float = INPUT_SCALE) -> bytes:
    """The flat Keras model and int8 training images [k, 2, 32, 32, 3] in, the int8 .tflite out.

    Activation ranges come from up to 300 of the images; or, where the model is `aware` (`qat.quantize_aware`), from the
    quantisers in it. An int8 step of the input is `input_scale`.
    The result is checked: `GyrovaeError` when it breaks the contract of `contract.check_contract`,
    or when its outputs do not come in the order scalogram, field.
    """
    chosen = images[spread(len(images), _REPRESENTATIVE)]
    # The input's scale is fixed by the two ends of int8; one pixel each, so that no other range is widened.
    chosen[0, :, 0, 0, 0] = _LOWEST
    chosen[0, :, -1, -1, -1] = _HIGHEST

    def prepare(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if not aware:
            converter.representative_dataset = lambda: ([image] for image in to_float(chosen, input_scale))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        # TFLM before 2024 reads only one scale for a fully connected layer and would be silently wrong.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    return _ordered(model, images, prepare, input_scale)


def to_precision(model: Any, images: NDArray[np.int8], precision: str) -> bytes:
    """The flat Keras model, int8 training images and a name of `PRECISIONS` in, the .tflite out.

    All have one input [2, 32, 32, 3] and two outputs [1, 32, 32, 3], scalogram and field: int8 as the contract has it,
    in the other precisions float32 in standard deviations (pixels / 32).
    """
    if precision not in PRECISIONS:
        raise GyrovaeError("unknown precision", expected=" or ".join(PRECISIONS), received=precision)
    if precision == "int8":
        return to_int8(model, images)

    def prepare(converter: Any) -> None:
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        # A scale for each unit of a dense layer takes more room than int8 saves.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    return _ordered(model, images, prepare)


def _ordered(
    model: Any, images: NDArray[np.int8], prepare: Callable[[Any], None], input_scale: float = INPUT_SCALE
) -> bytes:
    """Convert the model with a converter that `prepare` sets up; the .tflite whose outputs are in order out."""
    held = tf.Module()  # as what is converted; of a Keras model every layer would be traced once more, for seconds
    held.weights = model.variables
    # Which output comes first depends on the converter's version and path, not on names alone: try, and look.
    for keys in (("output_1", "output_0"), ("output_0", "output_1")):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([_concrete(model, keys)], held)
        prepare(converter)
        with quiet():
            content = slim(converter.convert())
        if in_order(content, model, images, input_scale):
            return content
    raise GyrovaeError(
        "the converter does not keep the order of the model's outputs",
        expected="scalogram first, field second",
        remedy="This TensorFlow version is not known to work: install one within the bounds of gyrovae-tf.",
    )


def in_order(content: bytes, model: Any, images: NDArray[np.int8], input_scale: float = INPUT_SCALE) -> bool:
    """A .tflite, the Keras model it stands for and some images in; whether the scalogram is its first output."""
    some = images[spread(len(images), _COMPARED)]
    outputs = Model(content, HOST, input_scale=input_scale).rebuilt(some).swapaxes(0, 1)
    expected = [np.asarray(part) for part in model([to_float(some[:, i], input_scale) for i in range(2)])]
    right = sum(float(np.square(a - b).mean()) for a, b in zip(outputs, expected, strict=True))
    swapped = sum(float(np.square(a - b).mean()) for a, b in zip(outputs, expected[::-1], strict=True))
    return right < swapped


def _concrete(model: Any, keys: tuple[str, str]) -> Any:
    """The model as a function of one tensor [2, 32, 32, 3] of fixed shape: scalogram and field as its two images."""

    @tf.function(input_signature=[tf.TensorSpec((2, 32, 32, 3), tf.float32, name="images")])
    def gyrovae(images: Any) -> Any:
        return dict(zip(keys, model([images[0:1], images[1:2]]), strict=True))

    return gyrovae.get_concrete_function()


assert PIXEL * 4 == -_LOWEST  # the contract's fixed input range is -4 .. 127/32
