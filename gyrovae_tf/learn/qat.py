"""A trained Keras graph and its dataset in, the same graph fine-tuned to live with int8 out.

Quantisation-aware training (tensorflow-model-optimization): every weight and activation is rounded as int8 would round
it, and the weights learn to make up for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.engine import keeps_generators, keras, make_reproducible, tf
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.learn.vae import BRANCHES, to_float
from gyrovae_tf.spec import PIXEL

STEPS = 600
"""Steps of the fine-tuning: as the ranges start from those of training windows, twice as many gain nothing."""
_BATCH = 64
_LEARNING_RATE = 3e-4  # at the start; a sixth of the training's, falling to 0
_EVERY = 100  # steps between two looks at the held-back windows
_RANGED = 300  # windows that the ranges start from
_PART = 256  # windows at once
LOWEST, HIGHEST = -128 / PIXEL, 127 / PIXEL
"""The input's fixed range, in standard deviations: what int8 pixels can say."""
_INPUT = "quantize_layer"  # what tfmot calls the quantiser of an input
_QUANTIZED = "quant_"  # what it puts before the name of a layer
_ENDS = ("post_activation", "output")  # what it calls the range of a layer's activation, and of a layer without one


@keeps_generators
def quantize_aware(model: Any, data: Dataset, *, beta: float, seed: int, progress: Progress | None = None) -> Any:
    """The flat Keras model and its dataset in, the model with quantisers in it, fine-tuned, out.

    The loss is that of the training as far as the exported graph has it: half the squared error a pixel and, by `beta`,
    the part of the divergence that the means of the codes cause (half their squares). Log variances, and so noise and
    free bits, are no part of this graph. Both inputs have one fixed range, as they are one tensor on the device. The
    ranges of activations start at those of training windows and move from there. The weights with the least loss on
    held-back windows are kept, as in the training. The same seed gives the same weights.
    """
    import tensorflow_model_optimization as tfmot

    make_reproducible(seed)
    aware = tfmot.quantization.keras.quantize_model(model)
    _set_ranges(aware, model, data.train_images)
    means = [aware.get_layer(f"{_QUANTIZED}{branch}_mean").output for branch in BRANCHES]
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
            loss = tf.reduce_mean(_losses(trained, images, beta, training=True))
        optimizer.minimize(loss, trained.trainable_variables, tape=tape)

    best, least = aware.get_weights(), np.inf
    for number in range(STEPS):
        step(tf.constant(number, tf.int64))
        if (number + 1) % _EVERY == 0:
            loss = _mean_loss(trained, data.validation_images, beta)
            if loss < least:
                best, least = aware.get_weights(), loss
            if progress:
                progress(number + 1, STEPS, f"quantisation-aware training, validation loss {loss:.4f}")
    if not np.isfinite(least):
        raise GyrovaeError("quantisation-aware training diverged: the loss is no number", remedy="Use --mode ptq.")
    aware.set_weights(best)
    return aware


def _losses(trained: Any, images: Any, beta: float, *, training: bool) -> Any:
    """The graph with its codes' means as further outputs, and images [b, 2, 32, 32, 3] in; losses a pixel [b] out."""
    *rebuilt, first, second = trained([images[:, 0], images[:, 1]], training=training)
    error = tf.reduce_sum(tf.square(tf.stack(rebuilt, axis=1) - images), axis=[1, 2, 3, 4])
    divergence = tf.reduce_sum(tf.square(first) + tf.square(second), axis=1)
    return (0.5 * error + 0.5 * beta * divergence) / images.shape[1:].num_elements()


def _mean_loss(trained: Any, images: NDArray[np.int8], beta: float) -> float:
    """The mean of `_losses` over int8 images."""
    total = 0.0
    for start in range(0, len(images), _PART):
        seen = tf.constant(to_float(images[start : start + _PART]))
        total += float(np.sum(_losses(trained, seen, beta, training=False), dtype=np.float64))
    return total / len(images)


def _set_ranges(aware: Any, model: Any, images: NDArray[np.int8]) -> None:
    """Give every quantiser of activations the range that it sees on training windows; the inputs their fixed one.

    Left alone, ranges start at +-6 and come near the right ones only after thousands of steps. Training leaves the
    inputs' as they are: it widens them for what lies outside, and no pixel does.
    """
    chosen = to_float(images[spread(len(images), _RANGED)])
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    values = keras.Model(model.inputs, [layer.output for layer in layers])([chosen[:, 0], chosen[:, 1]])
    ranges = {
        f"{_QUANTIZED}{layer.name}": (min(float(np.min(value)), 0.0), max(float(np.max(value)), 0.0))
        for layer, value in zip(layers, values, strict=True)
    }
    for layer in aware.layers:
        of_input = layer.name.startswith(_INPUT)
        found = (LOWEST, HIGHEST) if of_input else ranges.get(layer.name)
        if found is None:
            continue
        for name in (layer.name,) if of_input else _ENDS:
            for end, value in zip(("min", "max"), found, strict=True):
                for weight in layer.weights:
                    if weight.name.split("/")[-1].split(":")[0] == f"{name}_{end}":
                        weight.assign(value)
