"""A Keras model, its int8 twin and windows in; how far they agree, in images, scores and what they find, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.learn.evaluate import auroc
from gyrovae_tf.learn.floating import float_scores, reconstructions
from gyrovae_tf.learn.motion import NORMAL, Motion
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.signal.profile import means
from gyrovae_tf.spec import PIXEL

_COMPARED = 192  # windows of each kind, at the most


@dataclass(frozen=True)
class Agreement:
    """The float model against the int8 model, on the same images and under the same calibration."""

    kinds: tuple[str, ...]
    """[k] the kind of motion of each window."""
    pixels: NDArray[np.float64]
    """[k, 2] mean absolute difference of scalogram and field, in pixels of 1/32 standard deviation."""
    float_error: NDArray[np.float64]
    """[k] mean squared error of each window, both images, in squared standard deviations."""
    int8_error: NDArray[np.float64]
    """The same of the int8 model."""
    float_score: NDArray[np.float64]
    """[k] the score from the float model's reconstruction."""
    int8_score: NDArray[np.float64]
    """The score from that of the int8 model."""

    @property
    def abnormal(self) -> NDArray[np.bool_]:
        """[k] whether the window is one of abnormal motion."""
        return np.array(self.kinds) != NORMAL

    @property
    def same_side(self) -> float:
        """Share of windows that both call an alarm, or neither."""
        return float(((self.float_score >= 1.0) == (self.int8_score >= 1.0)).mean())

    @property
    def change(self) -> float:
        """By what part of itself the score of the middle window changes."""
        return float(np.median(np.abs(self.int8_score / np.maximum(self.float_score, 1e-9) - 1)))

    def aurocs(self) -> dict[str, tuple[float, float]]:
        """Kind of abnormal motion -> AUROC on these windows, of the float and of the int8 model."""
        kinds = np.array(self.kinds)
        return {
            kind: (
                auroc(self.float_score[kinds == NORMAL], self.float_score[kinds == kind]),
                auroc(self.int8_score[kinds == NORMAL], self.int8_score[kinds == kind]),
            )
            for kind in dict.fromkeys(self.kinds)
            if kind != NORMAL
        }


def agreement(model: Any, detector: runtime.Detector, motions: Mapping[str, Motion]) -> Agreement:
    """The Keras model, the detector made from it and motion by kind in, `Agreement` out.

    On at most 192 windows of each kind, evenly chosen.
    """
    bundle = detector.bundle
    images, float_score, int8_score, kinds = [], [], [], []
    for kind, motion in motions.items():
        count = len(motion.score)
        take = spread(count, _COMPARED)
        some = motion.images(take, bundle.spec)
        mean = None if motion.windows is None else means(motion.windows[take])
        images.append(some)
        float_score.append(float_scores(model, some, bundle.spec, bundle.calibration, mean))
        int8_score.append(motion.score[take])
        kinds += [kind] * len(take)
    every = np.concatenate(images)
    exact = [part.astype(np.float64) for part in reconstructions(model, every)]
    rounded = list(detector.model.rebuilt(every).swapaxes(0, 1))
    seen = every / np.float64(PIXEL)
    pixels = [np.abs(a - b).mean(axis=(1, 2, 3)) * PIXEL for a, b in zip(exact, rounded, strict=True)]

    def error(outputs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        parts = [np.square(seen[:, i] - outputs[i]).mean(axis=(1, 2, 3)) for i in range(2)]
        return np.asarray(np.mean(parts, axis=0), np.float64)

    return Agreement(
        kinds=tuple(kinds),
        pixels=np.stack(pixels, axis=1),
        float_error=error(exact),
        int8_error=error(rounded),
        float_score=np.concatenate(float_score),
        int8_score=np.concatenate(int8_score),
    )
