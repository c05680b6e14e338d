"""A Keras graph in, a .tflite that keeps the contract out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import contract, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.engine import quiet, tf
from gyrovae_tf.learn.vae import to_float
from gyrovae_tf.runtime import Model
from gyrovae_tf.spec import PIXEL

_REPRESENTATIVE = 300
_COMPARED = 32
_LOWEST, _HIGHEST = -128, 127


def to_int8(model: Any, images: NDArray[np.int8]) -> bytes:
    """The flat Keras model and int8 training images [k, 2, 32, 32, 3] in, the int8 .tflite out (post-training).

    Activation ranges come from up to 300 of the images. The result is checked: `GyrovaeError` when it breaks the
    contract of `contract.check_contract`, or when its outputs do not come in the order scalogram, field.
    """
    chosen = images[np.linspace(0, len(images) - 1, min(_REPRESENTATIVE, len(images))).round().astype(int)].copy()
    # The input's scale is fixed by the two ends of int8; one pixel each, so that no other range is widened.
    chosen[0, :, 0, 0, 0] = _LOWEST
    chosen[0, :, -1, -1, -1] = _HIGHEST
    # Which output comes first depends on the converter's version and path, not on names alone: try, and look.
    for keys in (("output_1", "output_0"), ("output_0", "output_1")):
        content = _convert(model, chosen, keys)
        contract.check_contract(tflite.describe(content))
        if in_order(content, model, images):
            return content
    raise GyrovaeError(
        "the converter does not keep the order of the model's outputs",
        expected="scalogram first, field second",
        remedy="This TensorFlow version is not known to work: install one within the bounds of gyrovae-tf.",
    )


def _convert(model: Any, representative: NDArray[np.int8], keys: tuple[str, str]) -> bytes:
    """Full int8 conversion of the model as a function whose outputs bear these keys."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_concrete(model, keys)], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in to_float(representative))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # TFLM before 2024 reads only one scale for a fully connected layer and would be silently wrong.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with quiet():
        content: bytes = converter.convert()
    return content


def in_order(content: bytes, model: Any, images: NDArray[np.int8]) -> bool:
    """A .tflite, the Keras model it stands for and some images in; whether the scalogram is its first output."""
    some = images[np.linspace(0, len(images) - 1, min(_COMPARED, len(images))).round().astype(int)]
    run = Model(content)
    scalogram, field = run.reconstruct(some)
    outputs = (
        (scalogram.astype(np.float64) - run.zero_point) * run.scale,
        (field.astype(np.float64) - run.field_zero_point) * run.field_scale,
    )
    expected = [np.asarray(part) for part in model([to_float(some[:, 0]), to_float(some[:, 1])])]
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
