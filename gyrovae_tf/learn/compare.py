"""A detector and windows in; how far other kernels' outputs and scores lie from its own, out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.signal.frontend import images as images_of
from gyrovae_tf.signal.profile import means

_MOST = 256  # windows of each kind


@dataclass(frozen=True)
class Comparison:
    """One set of kernels beside the one that was evaluated, on the same windows."""

    windows: int
    """Windows compared."""
    pixels: float
    """Share of output pixels that differ."""
    largest: int
    """The largest difference of a pixel, in steps of the output (LSB)."""
    score_median: float
    """By what part of itself the score of the middle window moves."""
    score_largest: float
    """The same of the window that moves most."""
    verdicts: float
    """Share of windows that are an alarm under one and none under the other."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return dataclasses.asdict(self)


def compare(
    detector: runtime.Detector, kinds: Mapping[str, NDArray[np.int16]], progress: Progress | None = None
) -> dict[str, Comparison]:
    """An int8 detector and int16 windows [k, N, 3] by kind in; name of each other set of kernels -> `Comparison` out.

    `evenly` chooses as many as are worth it. The device's kernels are missing from the result where they are
    not installed. `GyrovaeError` when the model is not int8: steps mean nothing for a float.
    """
    if detector.model.precision != "int8":
        raise GyrovaeError(
            "only int8 models can be compared between kernels", expected="int8", received=detector.model.precision
        )
    windows = np.concatenate(list(kinds.values()))
    images, middle = images_of(windows, detector.bundle.spec), means(windows)
    own = detector.score_images(images, middle).score
    others = [name for name in runtime.installed() if name != detector.model.kernels]
    found = {}
    for done, name in enumerate(others, 1):
        other = runtime.Detector(detector.bundle, name, model=detector.content)
        apart = runtime.difference(detector.model, other.model, images)
        score = other.score_images(images, middle).score
        moved = np.abs(score / np.maximum(own, np.finfo(np.float64).tiny) - 1)
        found[name] = Comparison(
            windows=len(windows),
            pixels=apart.pixels,
            largest=apart.largest,
            score_median=float(np.median(moved)),
            score_largest=float(moved.max()),
            verdicts=float(((score >= 1.0) != (own >= 1.0)).mean()),
        )
        if progress:
            progress(done, len(others), f"comparing with {name}")
    return found


def evenly(count: int) -> NDArray[np.int64]:
    """How many windows there are in, the places of at most 256 of them, evenly chosen, out."""
    return spread(count, _MOST)
