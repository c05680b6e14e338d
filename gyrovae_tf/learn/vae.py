"""The variational autoencoder: two small branches, one an image, and the graph that is exported.

The encoder works on patches: every convolution's stride equals its kernel, so that none needs padding (the device's
kernels get asymmetric padding wrong) and each is a plain matrix product. The decoder makes each row of an image, a band
or a segment, of a few channels by one and the same dense layer; rows lie one behind the other in memory, so that
nothing has to be transposed. See Kingma and Welling, Auto-Encoding Variational Bayes (2014); free bits: Kingma et al.,
Improved Variational Inference (2016).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import whole
from gyrovae_tf.learn import replicas
from gyrovae_tf.learn.engine import keras, tf
from gyrovae_tf.spec import BANDS, CELLS, PIXEL

BRANCHES = ("scalogram", "field")
_PIXELS = BANDS * CELLS * 3
_PATCH = 4


@dataclass(frozen=True)
class Architecture:
    """Widths of the network; channels in multiples of 8 suit the device's kernels."""

    latent: int = 4
    """Latent units of each branch."""
    patch_channels: int = 8
    """Channels of the first convolution, 4 x 4 pixels to 1."""
    code_channels: int = 8
    """Channels of the second convolution, 2 x 2 to 1."""
    decoder_channels: int = 8
    """Channels that the decoder makes a row of pixels of."""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            expected = "a whole number from 1 to 1024"
            # numpy's become Python's: a run's record is JSON.
            object.__setattr__(self, name, whole(value, f"{name} is not usable", 1, 1024, expected=expected))


def encoder(image: Any, architecture: Architecture, branch: str) -> tuple[Any, Any]:
    """A [b, 32, 32, 3] tensor in; mean and log variance of its code, each [b, latent], out."""
    layers = keras.layers
    hidden = layers.Conv2D(architecture.patch_channels, _PATCH, _PATCH, activation="relu", name=f"{branch}_patches")(
        image
    )
    hidden = layers.Conv2D(architecture.code_channels, 2, 2, activation="relu", name=f"{branch}_code")(hidden)
    hidden = layers.Flatten(name=f"{branch}_flat")(hidden)
    mean = layers.Dense(architecture.latent, name=f"{branch}_mean")(hidden)
    return mean, layers.Dense(architecture.latent, name=f"{branch}_log_variance")(hidden)


def decoder(code: Any, architecture: Architecture, branch: str) -> Any:
    """A [b, latent] tensor in, the [b, 32, 32, 3] image it stands for out."""
    layers = keras.layers
    channels = architecture.decoder_channels
    # A bias for each of its 256 units would take more room than the weights.
    hidden = layers.Dense(BANDS * channels, activation="relu", use_bias=False, name=f"{branch}_rows")(code)
    hidden = layers.Reshape((BANDS, channels), name=f"{branch}_by_row")(hidden)
    hidden = layers.Dense(CELLS * 3, name=f"{branch}_pixels")(hidden)
    return layers.Reshape((BANDS, CELLS, 3), name=f"{branch}_image")(hidden)


def _parts(architecture: Architecture) -> tuple[Any, Any]:
    """Encoder (images in; means and log variances out) and decoder (codes in; images out) of both branches."""
    images = [keras.Input((BANDS, CELLS, 3), name=f"{branch}_input") for branch in BRANCHES]
    codes = [encoder(image, architecture, branch) for image, branch in zip(images, BRANCHES, strict=True)]
    latents = [keras.Input((architecture.latent,), name=f"{branch}_latent") for branch in BRANCHES]
    decoded = [decoder(latent, architecture, branch) for latent, branch in zip(latents, BRANCHES, strict=True)]
    means, log_variances = [mean for mean, _ in codes], [log_variance for _, log_variance in codes]
    return keras.Model(images, means + log_variances), keras.Model(latents, decoded)


@keras.utils.register_keras_serializable(package="gyrovae_tf")
class Offset(keras.layers.Layer):
    """Adds one constant image [32, 32, 3], its only weight, to each image of a batch."""

    def build(self, shape: Any) -> None:
        """Make room for the constant."""
        self.image = self.add_weight("image", tuple(shape[1:]), initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, images: Any) -> Any:
        """Images [b, 32, 32, 3] in, the same plus the constant out."""
        return images + self.image


def export_graph(architecture: Architecture, source: VAE | None = None) -> Any:
    """The flat Functional model that is quantised: two images in, two reconstructions from the code's mean out.

    Weights are those of `source`, by layer name, where it is given. The log variance has no part in it.
    """
    images = [keras.Input((BANDS, CELLS, 3), name=f"{branch}_input") for branch in BRANCHES]
    outputs = []
    for image, branch in zip(images, BRANCHES, strict=True):
        mean, _ = encoder(image, architecture, branch)
        outputs.append(decoder(mean, architecture, branch))
    model = keras.Model(images, outputs, name="gyrovae")
    if source is not None:
        trained = {layer.name: layer for part in (source.encoder, source.decoder) for layer in part.layers}
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(trained[layer.name].get_weights())
    return model


class VAE(keras.Model):
    """Images [b, 2, 32, 32, 3] (float32, pixels / 32) in, reconstructions of the same form out; trained by `fit`.

    The loss is the negative evidence lower bound a pixel, with unit observation variance: half the squared error
    plus beta times the divergence of the code from a standard normal; beta rises from 0 over the first steps, and
    `free_nats` of each unit cost nothing, so that a code is not given up before it is useful.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        beta: float,
        warm_up_steps: int,
        free_nats: float,
        seed: int,
        blind_rows: int = 0,
        **kwargs: Any,
    ) -> None:
        """`blind_rows`: the first rows of the scalogram that must not count, fewer than a patch has (see `blind`)."""
        super().__init__(**kwargs)
        self.architecture = architecture
        self.encoder, self.decoder = _parts(architecture)
        self._beta = beta
        self._warm_up_steps = warm_up_steps
        self._free_nats = free_nats
        self._seed = seed
        self._blind_rows = blind_rows
        self._loss = keras.metrics.Mean(name="loss")
        self._error = keras.metrics.Mean(name="error")
        self._divergence = keras.metrics.Mean(name="kl")

    @property
    def metrics(self) -> list[Any]:
        """What `fit` resets at each epoch: loss and squared error a pixel, divergence in nats a window."""
        return [self._loss, self._error, self._divergence]

    def encode(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        """Images [b, 2, 32, 32, 3] in; means and log variances, each [b, 2, latent], out."""
        (*codes,) = self.encoder([images[:, 0], images[:, 1]], training=training)
        return tf.stack(codes[:2], axis=1), tf.stack(codes[2:], axis=1)

    def decode(self, codes: Any, training: bool = False) -> Any:
        """Codes [b, 2, latent] in, images [b, 2, 32, 32, 3] out."""
        return tf.stack(self.decoder([codes[:, 0], codes[:, 1]], training=training), axis=1)

    def call(self, images: Any, training: bool = False) -> Any:
        """Reconstruct from the code's mean, as the exported model does."""
        return self.decode(self.encode(images, training)[0], training)

    def train_step(self, batch: Any) -> dict[str, Any]:
        """One step of gradient descent on a batch, with codes drawn by the reparameterisation trick.

        A batch is images, or (images, what is to be made of them) where these differ.
        """
        images, targets = batch if isinstance(batch, tuple) else (batch, batch)
        step = self.optimizer.iterations
        with tf.GradientTape() as tape:
            mean, log_variance = self.encode(images, training=True)
            codes = mean + tf.exp(0.5 * log_variance) * self._noise(tf.shape(mean), step)
            decoded = self.decode(codes, training=True)
            error, divergence = self._terms(targets, decoded, mean, log_variance, training=True)
            beta = self._beta * tf.minimum(1.0, tf.cast(step, tf.float32) / max(self._warm_up_steps, 1))
            loss = (0.5 * error * 2 * _PIXELS + beta * divergence) / (2 * _PIXELS)
            share = replicas.share(loss)
        self.optimizer.minimize(share, self.trainable_variables, tape=tape)
        if self._blind_rows:
            self.blind()
        return self._report(loss, error, divergence)

    def test_step(self, batch: Any) -> dict[str, Any]:
        """The loss at full beta without noise: comparable between epochs, which early stopping needs."""
        images, targets = batch if isinstance(batch, tuple) else (batch, batch)
        mean, log_variance = self.encode(images)
        error, divergence = self._terms(targets, self.decode(mean), mean, log_variance)
        loss = (0.5 * error * 2 * _PIXELS + self._beta * divergence) / (2 * _PIXELS)
        return self._report(loss, error, divergence)

    def _noise(self, shape: Any, step: Any) -> Any:
        """The draw depends on seed and step alone: a resumed run draws what an uninterrupted one would have."""
        seed = tf.stack([tf.cast(self._seed, tf.int64), step])
        if replicas.count() == 1:
            return tf.random.stateless_normal(shape, seed)
        return replicas.own_part(
            lambda rows: tf.random.stateless_normal(tf.concat([[rows], shape[1:]], 0), seed), shape[0]
        )

    def _terms(
        self, images: Any, decoded: Any, mean: Any, log_variance: Any, training: bool = False
    ) -> tuple[Any, Any]:
        """Mean squared error a pixel, and divergence in nats a window (both branches) beyond the free ones."""
        squares = tf.square(images - decoded)
        if self._blind_rows:
            squares = squares * self._row_weights()
        error = tf.reduce_mean(squares)
        by_unit = tf.reduce_mean(unit_divergence(mean, log_variance), axis=0)
        if training:
            by_unit = replicas.averaged(by_unit)
        return error, tf.reduce_sum(tf.maximum(by_unit, self._free_nats))

    def blind(self) -> None:
        """Set what the scalogram's encoder would see of its blind rows to 0.

        Patches share their weights, so this blinds it for the first rows of all patches. Exact in int8, too: a weight
        of 0 stays 0.
        """
        kernel = self.encoder.get_layer(f"{BRANCHES[0]}_patches").kernel
        kernel.assign(tf.concat([tf.zeros_like(kernel[: self._blind_rows]), kernel[self._blind_rows :]], axis=0))

    def _row_weights(self) -> Any:
        """0 for the blind rows of the scalogram; the other rows of it make up for them."""
        weights = np.ones((2, BANDS, 1, 1), np.float32)
        weights[0, : self._blind_rows] = 0
        weights[0, self._blind_rows :] = BANDS / (BANDS - self._blind_rows)
        return weights

    def _report(self, loss: Any, error: Any, divergence: Any) -> dict[str, Any]:
        for metric, value in zip(self.metrics, (loss, error, divergence), strict=True):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.metrics}


def unit_divergence(mean: Any, log_variance: Any) -> Any:
    """Means and log variances of any one shape in, their divergence from a standard normal in nats, same shape, out."""
    return 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1.0)


def to_float(images: NDArray[np.int8], scale: float = 1 / PIXEL) -> NDArray[np.float32]:
    """int8 pixels and the size of one step, a power of two, in; standard deviations, or what it is a step of, out."""
    pixels: NDArray[np.float32] = images.astype(np.float32) * np.float32(scale)
    return pixels
