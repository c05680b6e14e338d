"""A trained Keras graph and its dataset in, the same graph fine-tuned to live with int8 out.

Quantisation-aware training (tensorflow-model-optimization): every weight and activation is rounded as int8 would round
it, and the weights learn to make up for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.engine import keras, make_reproducible, tf
from gyrovae_tf.learn.vae import BRANCHES, to_float
from gyrovae_tf.spec import PIXEL

STEPS = 1200
"""Steps of the fine-tuning; the moving averages of the ranges need about a thousand."""
_BATCH = 64
_LEARNING_RATE = 3e-4  # at the start; a sixth of the training's, falling to 0
_EVERY = 100  # steps between two looks at the held-back windows
_RANGED = 300  # windows that the ranges start from
LOWEST, HIGHEST = -128 / PIXEL, 127 / PIXEL
"""The input's fixed range, in standard deviations: what int8 pixels can say."""


def quantize_aware(model: Any, data: Dataset, *, beta: float, seed: int, progress: Progress | None = None) -> Any:
    """The flat Keras model and its dataset in, the model with quantisers in it, fine-tuned, out.

    The loss is that of the training as far as the exported graph has it: half the squared error a pixel and, by `beta`,
    the part of the divergence that the means of the codes cause (half their squares). Log variances, and so noise, are
    no part of this graph. Both inputs have one fixed range, as they are one tensor on the device. The ranges of
    activations start at those of training windows and move from there; the weights that are best on held-back windows
    are kept. The same seed gives the same weights.
    """
    import tensorflow_model_optimization as tfmot

    make_reproducible(seed)
    aware = tfmot.quantization.keras.quantize_model(model)
    _set_ranges(aware, model, data.train_images)
    means = [aware.get_layer(f"quant_{branch}_mean").output for branch in BRANCHES]
    trained = keras.Model(aware.inputs, [*aware.outputs, *means])
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, STEPS))
    optimizer.build(trained.trainable_variables)
    pixels = tf.constant(data.train_images)
    count = len(data.train_images)

    @tf.function
    def step(number: Any) -> None:
        # The draw depends on seed and step alone.
        place = tf.stack([tf.constant(seed, tf.int64) + 2, number])
        chosen = tf.random.stateless_uniform([_BATCH], place, 0, count, tf.int64)
        images = tf.cast(tf.gather(pixels, chosen), tf.float32) / PIXEL
        with tf.GradientTape() as tape:
            *rebuilt, first, second = trained([images[:, 0], images[:, 1]], training=True)
            error = tf.reduce_sum(tf.square(tf.stack(rebuilt, axis=1) - images), axis=[1, 2, 3, 4])
            divergence = tf.reduce_sum(tf.square(first) + tf.square(second), axis=1)
            loss = tf.reduce_mean(0.5 * error + 0.5 * beta * divergence) / images.shape[1:].num_elements()
        optimizer.minimize(loss, trained.trainable_variables, tape=tape)

    best, least = aware.get_weights(), np.inf
    for number in range(STEPS):
        step(tf.constant(number, tf.int64))
        if (number + 1) % _EVERY == 0:
            error = mean_squared_error(aware, data.validation_images)
            if error < least:
                best, least = aware.get_weights(), error
            if progress:
                progress(number + 1, STEPS, f"quantisation-aware training, validation error {error:.4f}")
    aware.set_weights(best)
    return aware


def mean_squared_error(model: Any, images: NDArray[np.int8]) -> float:
    """A Keras model and int8 images [k, 2, 32, 32, 3] in, its mean squared error in squared standard deviations out."""
    total = 0.0
    for start in range(0, len(images), 256):
        seen = to_float(images[start : start + 256])
        rebuilt = np.stack([np.asarray(part) for part in model([seen[:, 0], seen[:, 1]])], axis=1)
        total += float(np.square(rebuilt - seen).sum(dtype=np.float64))
    return total / max(images.size, 1)


def _set_ranges(aware: Any, model: Any, images: NDArray[np.int8]) -> None:
    """Give every quantiser of activations the range that it sees on training windows; the inputs their fixed one.

    Left alone, ranges start at +-6 and come near the right ones only after thousands of steps.
    """
    chosen = to_float(images[np.linspace(0, len(images) - 1, min(_RANGED, len(images))).round().astype(int)])
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    values = keras.Model(model.inputs, [layer.output for layer in layers])([chosen[:, 0], chosen[:, 1]])
    ranges = {
        layer.name: (min(float(np.min(value)), 0.0), max(float(np.max(value)), 0.0))
        for layer, value in zip(layers, values, strict=True)
    }
    for layer in aware.layers:
        known = {weight.name.split("/")[-1].split(":")[0]: weight for weight in layer.weights}
        if layer.name.startswith("quantize_layer"):  # of an input
            lowest, highest = LOWEST, HIGHEST
            ends = [[weight for name, weight in known.items() if name.endswith(end)] for end in ("_min", "_max")]
        else:
            lowest, highest = ranges.get(layer.name.removeprefix("quant_"), (0.0, 0.0))
            ends = [
                [weight for name, weight in known.items() if name == f"post_activation_{end}"] for end in ("min", "max")
            ]
        for variables, value in zip(ends, (lowest, highest), strict=True):
            for variable in variables:
                variable.assign(value)
