"""The Keras model that was quantised and images in, its reconstructions and scores out: what quantising changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.calibration import Calibration
from gyrovae_tf.learn.vae import to_float
from gyrovae_tf.signal.score import expected_sums, profiles, score
from gyrovae_tf.spec import Spec

_PART = 256  # images at once


def reconstructions(model: Any, images: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The Keras model and int8 images [k, 2, 32, 32, 3] in, what it makes of them out.

    Scalograms and fields, each float32 [k, 32, 32, 3] in standard deviations (32 pixels).
    """
    scalogram, field = (np.empty(images[:, 0].shape, np.float32) for _ in range(2))
    for start in range(0, len(images), _PART):
        rows = slice(start, start + _PART)
        some = to_float(images[rows])
        scalogram[rows], field[rows] = (np.asarray(output) for output in model([some[:, 0], some[:, 1]]))
    return scalogram, field


def float_scores(
    model: Any,
    images: NDArray[np.int8],
    spec: Spec,
    calibration: Calibration,
    window_means: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.float64]:
    """The Keras model, int8 images [k, 2, 32, 32, 3], spec and calibration in; scores [k] without quantisation out.

    `window_means` [k, 3] in counts (`profile.means`) are needed where the tilt counts; `GyrovaeError` when they are
    missing then.
    """
    scalogram, field = (expected_sums(output, 1.0, 0) for output in reconstructions(model, images))
    return score(profiles(images, (scalogram, field), spec, window_means), calibration).score
