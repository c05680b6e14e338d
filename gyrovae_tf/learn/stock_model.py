"""Images of the stock front end in, what a VAE of unit variance is trained on out; and the trained network back again.

The stock firmware's images are in units of their own, and its model takes and gives them as they are. Most of a
scalogram is what gravity leaves at the edges, the same in all windows. The VAE is therefore trained on images
standardised by the mean of each pixel. The exported network takes that mean off its input and adds it to its output
(ADD, a constant image); scales are folded into the first and the last layers, which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.learn.engine import keras
from gyrovae_tf.learn.stock_data import StockDataset, load_arrays
from gyrovae_tf.learn.vae import BRANCHES, Offset, to_float
from gyrovae_tf.spec import BANDS
from gyrovae_tf.stockspec import UNDEFINED_ROWS

_LEAST_STD = 1e-3
_PARTS = ("patches", "code", "flat", "mean", "rows", "by_row", "pixels", "image")
"""Layers of a branch of `vae.export_graph`, in order."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Standard:
    """What an image is made of one of mean 0 and spread 1 by."""

    mean: Floats
    """[image, 32, 32, axis] mean of each pixel."""
    std: Floats
    """[image] one spread about it for all pixels: the firmware's figure adds up their errors as they are."""

    def of(self, pairs: Floats) -> Floats:
        """Image pairs [k, 2, 32, 32, 3] in, the same standardised out."""
        scaled: Floats = (pairs - self.mean) / self.std[:, None, None, None]
        return scaled


@dataclass(frozen=True)
class Material:
    """A dataset as float32 images [k, 2, 32, 32, 3], standardised: as the device's int8 says them, and as they are."""

    standard: Standard
    train: tuple[Floats, Floats]
    """Inputs and what is to be made of them, training windows."""
    validation: tuple[Floats, Floats]
    """The same for the held-back windows."""


def material(data: StockDataset) -> Material:
    """A dataset in, its `Material` out; the standard is that of the training windows."""
    pixels, pairs = load_arrays(data, "train")
    standard = standard_of(pairs)
    held_back, held_back_pairs = load_arrays(data, "validation")
    scale = data.spec.input_scale
    return Material(
        standard,
        (standard.of(to_float(pixels, scale)), standard.of(pairs)),
        (standard.of(to_float(held_back, scale)), standard.of(held_back_pairs)),
    )


def standard_of(pairs: Floats) -> Standard:
    """Image pairs [k, 2, 32, 32, 3] in, mean of each pixel and spread out; rows that do not count left out of that."""
    mean = pairs.mean(axis=0, dtype=np.float64).astype(np.float32)
    std = np.empty(2, np.float32)
    for index, first in enumerate((UNDEFINED_ROWS, 0)):
        about = (pairs[:, index, first:] - mean[index, first:]).astype(np.float64)
        std[index] = max(float(np.sqrt(np.square(about).mean())), _LEAST_STD)
    return Standard(mean, std)


def fold(model: Any, standard: Standard) -> Any:
    """The flat model of standardised images in, a model with the same weights of images as they are out.

    The rows of the scalogram that the firmware leaves undefined are rebuilt as the first one that it does not.
    """
    layers = {layer.name: layer for layer in model.layers}
    entries, outputs = [], []
    for index, branch in enumerate(BRANCHES):
        mean, std = standard.mean[index], standard.std[index]
        shift, back = Offset(name=f"{branch}_less_mean"), Offset(name=f"{branch}_plus_mean")
        entry = keras.Input(mean.shape, name=f"{branch}_input")
        hidden = shift(entry)
        for part in _PARTS:
            hidden = layers[f"{branch}_{part}"](hidden)
        outputs.append(back(hidden))
        entries.append(entry)
        rebuilt = mean.copy()
        if index == 0:
            rebuilt[:UNDEFINED_ROWS] = mean[UNDEFINED_ROWS]
        shift.set_weights([-mean])
        back.set_weights([rebuilt])
        kernel, bias = layers[f"{branch}_patches"].get_weights()
        layers[f"{branch}_patches"].set_weights([kernel / std, bias])
        kernel, bias = layers[f"{branch}_pixels"].get_weights()
        layers[f"{branch}_pixels"].set_weights([kernel * std, bias * std])
    rows = layers[f"{BRANCHES[0]}_rows"]
    (kernel,) = rows.get_weights()
    width = kernel.shape[1] // BANDS
    for row in range(UNDEFINED_ROWS):
        kernel[:, row * width : (row + 1) * width] = kernel[:, UNDEFINED_ROWS * width : (UNDEFINED_ROWS + 1) * width]
    rows.set_weights([kernel])
    return keras.Model(entries, outputs, name="gyrovae_stock")
