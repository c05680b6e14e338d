"""A detector and windows in, golden windows out (what another implementation must find), and their check.

The firmware's self-test runs them on the device; `verify` runs them on a PC, on other kernels or another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.version import version_of

NORMAL = 4
"""Windows of normal motion among the golden ones, unless asked for another number."""
SCORE_TOLERANCE = 1e-9
"""Relative difference of two scores of the same outputs: sums may be added in another order."""
_HOMES = {"tflm": ("tflite-micro",), "litert": ("ai-edge-litert", "tensorflow")}


@dataclass(frozen=True)
class Verification:
    """How golden windows and what is found now lie apart."""

    windows: int
    """How many were run."""
    recorded: str
    """Kernels that the golden outputs are from, with their version."""
    kernels: str
    """Kernels that ran now, with their version."""
    image_pixels: int
    """Pixels of the front end's images that differ: must be 0."""
    output_pixels: int
    """Pixels of the model's outputs that differ: must be 0 where the kernels are the same."""
    output_total: int
    """Pixels of all outputs."""
    largest_lsb: int
    """The largest difference of an output, in steps of int8."""
    score_difference: float
    """The largest relative difference of a score."""
    verdicts: int
    """Windows that are an alarm in one and none in the other."""

    @property
    def same_kernels(self) -> bool:
        """Whether the outputs must be equal."""
        return self.recorded == self.kernels

    @property
    def problems(self) -> tuple[str, ...]:
        """What must not be, in words; empty when all is well. Other kernels may round differently."""
        return tuple(self._problems())

    def _problems(self) -> Iterator[str]:
        if self.image_pixels:
            yield f"the front end gives other images (pixels that differ: {self.image_pixels})"
        if self.same_kernels and self.output_pixels:
            yield f"the model gives other outputs (pixels: {self.output_pixels}, by up to {self.largest_lsb} LSB)"
        if self.same_kernels and self.score_difference > SCORE_TOLERANCE:
            yield f"the score gives other values (relative difference: up to {self.score_difference:.2g})"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "same_kernels": self.same_kernels, "problems": list(self.problems)}


def choose(windows: NDArray[np.int16], count: int = NORMAL) -> NDArray[np.int16]:
    """int16 windows [k, N, 3] of held-back normal motion in time order in, those to make golden ones of out.

    `count` of them (all, if there are fewer), spread evenly in time, then two that no machine makes, which reach what
    normal motion does not, among it saturation: a still window (x, y and z at rest at 0, at 1 g's likely place, and at
    the end of the range), and one of extremes (x alternates between both ends of the range, y is still but for one
    impulse, z is a step from one end to the other).
    """
    length = windows.shape[1]
    frontend.check_windows(windows, length)
    if count < 1:
        raise GyrovaeError("no golden windows of normal motion are asked for", expected="at least 1", received=count)
    places = np.linspace(0, len(windows) - 1, min(count, len(windows)) + 2)[1:-1]
    still = np.broadcast_to(np.array([0, 4096, -32768], np.int16), (length, 3))
    time = np.arange(length)
    extremes = np.stack(
        [
            np.where(time % 2, 32767, -32768),
            np.where(time == length // 3, 32767, 0),
            np.where(time < length // 2, -32768, 32767),
        ],
        axis=1,
    ).astype(np.int16)
    return np.concatenate([windows[np.rint(places).astype(int)], still[None], extremes[None]])


def make(bundle: Bundle, windows: NDArray[np.int16], kernels: str | None = None) -> Golden:
    """A bundle and int16 windows [n, N, 3] of its spec in, `Golden` windows computed on `kernels` out.

    `kernels` is a name of `runtime.KERNELS`; `runtime.best()` unless given, the device's own where they are installed.
    """
    detector = runtime.Detector(bundle, kernels)
    images = frontend.images(windows, bundle.spec)
    outputs = np.stack(detector.model.reconstruct(images), axis=1)
    scores = detector.score_images(images, means(windows)).score
    kernels = detector.model.kernels
    return Golden(windows, images, outputs, scores, kernels, version_of(*_HOMES[kernels.split("-")[0]]))


def verify(bundle: Bundle, kernels: str | None = None) -> Verification:
    """A bundle with golden windows in; what front end, model and score make of them now, compared with it, out.

    `kernels` as for `make`; unless given those that made them, where they are installed. `GyrovaeError` when the
    bundle holds no golden windows. Whether all is well is in `Verification.problems`.
    """
    golden = bundle.golden
    if golden is None:
        raise GyrovaeError("the bundle holds no golden windows", remedy="Quantise again: gyrovae-tf quantize RUN/")
    if kernels is None:
        kernels = golden.kernels if golden.kernels in runtime.installed() else runtime.best()
    found = make(bundle, golden.windows, kernels)
    apart = np.abs(found.outputs.astype(np.int16) - golden.outputs)
    scale = np.maximum(np.abs(golden.scores), np.finfo(np.float64).tiny)
    return Verification(
        windows=len(golden),
        recorded=f"{golden.kernels} ({golden.version})",
        kernels=f"{found.kernels} ({found.version})",
        image_pixels=int(np.count_nonzero(found.images != golden.images)),
        output_pixels=int(np.count_nonzero(apart)),
        output_total=apart.size,
        largest_lsb=int(apart.max()),
        score_difference=float((np.abs(found.scores - golden.scores) / scale).max()),
        verdicts=int(np.count_nonzero((found.scores >= 1) != (golden.scores >= 1))),
    )
