"""A run in, its network in int8 by every way to quantise out, and which one finds most changes of normal motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.calibrate import fit_views, fused, scaled, view_distances
from gyrovae_tf.learn.convert import to_int8
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.evaluate import auroc
from gyrovae_tf.learn.floating import reconstructions
from gyrovae_tf.learn.qat import quantize_aware
from gyrovae_tf.learn.rows import some_of, spread
from gyrovae_tf.learn.run import Run
from gyrovae_tf.signal.frontend import images as images_of
from gyrovae_tf.signal.perturb import PERTURBATIONS
from gyrovae_tf.signal.score import Profiles, expected_sums, profiles
from gyrovae_tf.spec import PIXEL

FLOAT = "float"
MARGIN = 1e-3
"""Detection that differs by less is alike; what is nearer to the float network is kept then."""
_MOST = 256  # windows that are changed
_MOST_TRAINING = 2048  # windows that regimes are fitted to
_FEWEST = 8  # held-back windows in each half, to tell anything by
_PART = 256


@dataclass(frozen=True)
class Candidate:
    """The network in one form, and how good it is on windows that it was not trained on."""

    mode: str
    """A name of `MODES`, or "float": the network before it was quantised."""
    content: bytes | None
    """The .tflite; None of the float network."""
    auroc: float | None
    """How well a score that is fitted for this trial tells held-back windows (of their second half: the first one
    scales the score) from the same with a built-in change, the mean over `perturb.PERTURBATIONS`; None where the
    dataset did not keep its windows. The detector's own figures, on all of them, are those of `report`."""
    worst: str | None
    """The change that is told worst ..."""
    worst_auroc: float | None
    """... and how well."""
    error: float
    """Mean squared error of the reconstruction of held-back windows, in squared standard deviations."""
    from_float: float
    """Mean absolute difference to what the float network rebuilds of them, in pixels (1/32 of a standard deviation)."""
    bytes: int | None
    """Size of the .tflite."""
    macs: int | None
    """Multiply-accumulates."""
    operators: int | None
    """Operators in it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, all but the content."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "content"}


Rebuild = Callable[[NDArray[np.int8]], NDArray[np.floating[Any]]]
"""int8 images [k, 2, 32, 32, 3] in, their reconstructions in standard deviations, of the same shape, out."""


def candidates(
    run: Run, data: Dataset, modes: Sequence[str], kernels: str, progress: Progress | None = None
) -> list[Candidate]:
    """A run, its dataset, names of `MODES` and the kernels to try them on in, a `Candidate` for each out.

    Where there is a choice to make, "float", the network before it was quantised, comes first for comparison.
    """
    model, trial = run.keras_model(), _Trial.of(data, run.options.seed)

    def exact(images: NDArray[np.int8]) -> NDArray[np.floating[Any]]:
        return np.stack(reconstructions(model, images), axis=1)

    found = []
    if len(modes) > 1:
        of_float = trial.figures(exact)
        found.append(Candidate(FLOAT, None, *of_float, from_float=0.0, bytes=None, macs=None, operators=None))
    for mode in modes:
        if mode == "qat":
            aware = quantize_aware(model, data, beta=run.options.beta, seed=run.options.seed, progress=progress)
            content = to_int8(aware, data.train_images, aware=True)
        else:
            content = to_int8(model, data.train_images)
        if progress:
            progress(1, 1, f"{mode}: trying it")
        described = tflite.describe(content)
        rebuild = runtime.Model(content, kernels).rebuilt
        found.append(
            Candidate(
                mode,
                content,
                *trial.figures(rebuild),
                from_float=PIXEL * float(np.abs(rebuild(trial.normal) - exact(trial.normal)).mean(dtype=np.float64)),
                bytes=len(content),
                macs=described.macs,
                operators=len(described.operators),
            )
        )
    return found


def choose(found: Sequence[Candidate]) -> Candidate:
    """Candidates in, the one to keep out: the best AUROC, and of those within `MARGIN` of it the nearest to float.

    Not the smallest error: QAT goes on training, and a little less error of windows that it chose its weights by says
    nothing of its rounding. Where int8 is coarse, both tell the same.
    """
    quantised = [candidate for candidate in found if candidate.content is not None]
    if not quantised:
        raise GyrovaeError("there is no int8 model to choose from")
    top = max(candidate.auroc or 0.0 for candidate in quantised)
    alike = [candidate for candidate in quantised if (candidate.auroc or 0.0) >= top - MARGIN]
    return min(alike, key=lambda candidate: candidate.from_float)


@dataclass(frozen=True)
class _Trial:
    """Windows to try networks on: all that does not depend on the network."""

    data: Dataset
    seed: int
    training: NDArray[np.int8]
    """Images that regimes are fitted to."""
    scaling: NDArray[np.int8]
    """Held-back images that scales come from: the first half."""
    normal: NDArray[np.int8]
    """Held-back images of the second half."""
    changed: dict[str, NDArray[np.int8]]
    """Perturbation -> images of the second half's windows, changed; none where the windows were not kept."""

    @classmethod
    def of(cls, data: Dataset, seed: int) -> _Trial:
        """Choose and change windows."""
        half = len(data.validation_images) // 2
        rest = np.arange(half, len(data.validation_images))
        rest = rest[spread(len(rest), _MOST)]
        windows = None if data.validation_windows is None or half < _FEWEST else data.validation_windows[rest]
        return cls(
            data,
            seed,
            training=some_of(data.train_images, _MOST_TRAINING),
            scaling=data.validation_images[:half],
            normal=data.validation_images[rest],
            changed={}
            if windows is None
            else {name: images_of(change.apply(windows, seed), data.spec) for name, change in PERTURBATIONS.items()},
        )

    def figures(self, rebuild: Rebuild) -> tuple[float | None, str | None, float | None, float]:
        """A network in; AUROC, worst change, its AUROC (None where there are no changes), and squared error out."""
        normal, error = self._profiles(rebuild, self.normal)
        if not self.changed:
            return None, None, None, error
        views = fit_views(self._profiles(rebuild, self.training)[0], seed=self.seed, trials=1)
        views = scaled(views, view_distances(views, self._profiles(rebuild, self.scaling)[0]))
        usual = fused(views, view_distances(views, normal))
        found = {
            name: auroc(usual, fused(views, view_distances(views, self._profiles(rebuild, images)[0])))
            for name, images in self.changed.items()
        }
        worst = min(found, key=lambda name: found[name])
        return float(np.mean(list(found.values()))), worst, found[worst], error

    def _profiles(self, rebuild: Rebuild, images: NDArray[np.int8]) -> tuple[Profiles, float]:
        """Profiles of images and of what a network makes of them, and the mean squared error."""
        parts, total = [], 0.0
        for start in range(0, len(images), _PART):
            seen = images[start : start + _PART]
            rebuilt = rebuild(seen)
            sums = (expected_sums(rebuilt[:, 0], 1.0, 0), expected_sums(rebuilt[:, 1], 1.0, 0))
            parts.append(profiles(seen, sums, self.data.spec))
            total += float(np.square(rebuilt - seen / np.float64(PIXEL)).sum(dtype=np.float64))
        return Profiles.joined(parts), total / images.size
