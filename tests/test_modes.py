"""Which int8 network is kept: the better at built-in changes, and of those alike the one nearer to the float one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import Tiny
from sklearn.metrics import roc_auc_score

from gyrovae_tf import runtime, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.calibrate import fit_views, fused, scaled, view_distances
from gyrovae_tf.learn.floating import reconstructions
from gyrovae_tf.learn.modes import MARGIN, Candidate, candidates, choose
from gyrovae_tf.signal.frontend import images
from gyrovae_tf.signal.perturb import PERTURBATIONS


def candidate(mode: str, auroc: float | None, from_float: float, content: bytes | None = b"TFL3") -> Candidate:
    size = {"bytes": 4, "macs": 1, "operators": 1}
    return Candidate(mode, content, auroc, None, None, 1.0, from_float=from_float, **size)


@pytest.mark.parametrize(
    ("ptq", "qat", "kept"),
    [
        ((0.95, 0.5), (0.93, 0.4), "ptq"),  # detection comes first
        ((0.93, 0.4), (0.95, 0.5), "qat"),
        ((0.95, 0.5), (0.9495, 0.4), "qat"),  # alike: the nearer
        ((0.9495, 0.4), (0.95, 0.5), "ptq"),
        ((0.95, 0.4), (0.95, 0.4), "ptq"),  # the same: the simpler
        ((None, 0.5), (None, 0.4), "qat"),  # nothing else is known
    ],
)
def test_the_choice(ptq: tuple[float, float], qat: tuple[float, float], kept: str) -> None:
    assert MARGIN == 0.001
    found = [candidate("float", 1.0, 0.0, None), candidate("ptq", *ptq), candidate("qat", *qat)]
    assert choose(found).mode == kept


def test_the_float_network_is_no_detector() -> None:
    with pytest.raises(GyrovaeError, match="there is no int8 model to choose from"):
        choose([candidate("float", 1.0, 0.0, None)])


@pytest.fixture(scope="module")
def found(tiny: Tiny) -> list[Candidate]:
    return candidates(tiny.run, tiny.dataset, ("ptq", "qat"), runtime.best())


def test_every_network_is_tried(tiny: Tiny, found: list[Candidate]) -> None:
    assert [one.mode for one in found] == ["float", "ptq", "qat"]
    exact, ptq, qat = found
    assert (exact.content, exact.from_float) == (None, 0.0)
    assert ptq.content == tiny.bundle.model != qat.content
    for one in (ptq, qat):
        assert one.content is not None
        described = tflite.describe(one.content)
        assert (one.bytes, one.macs, one.operators) == (len(one.content), described.macs, len(described.operators))
        assert one.auroc == pytest.approx(exact.auroc, abs=0.02)
        assert 0.5 * exact.error < one.error < 1.05 * exact.error
        assert one.worst in PERTURBATIONS
        assert one.worst_auroc is not None
        assert one.auroc is not None
        assert one.worst_auroc <= one.auroc
        assert one.to_dict().keys() == {field.name for field in dataclasses.fields(Candidate)} - {"content"}


def test_the_figures_are_those_of_changed_windows(tiny: Tiny, found: list[Candidate]) -> None:
    """PTQ once more, step by step: regimes of training windows, scales of the first half of those held back."""
    data = tiny.dataset
    model = runtime.Model(tiny.bundle.model)
    half = len(data.validation_images) // 2
    assert data.validation_windows is not None
    assert len(data.validation_images) - half <= 256  # all of them count

    def seen(pixels: object) -> object:
        return runtime.profiles_of(model, pixels, data.spec)  # type: ignore[arg-type]

    views = fit_views(seen(data.train_images), seed=tiny.run.options.seed, trials=1)  # type: ignore[arg-type]
    views = scaled(views, view_distances(views, seen(data.validation_images[:half])))  # type: ignore[arg-type]
    normal = fused(views, view_distances(views, seen(data.validation_images[half:])))  # type: ignore[arg-type]
    aurocs = {}
    for name, change in PERTURBATIONS.items():
        changed = images(change.apply(data.validation_windows[half:], tiny.run.options.seed), data.spec)
        scores = fused(views, view_distances(views, seen(changed)))  # type: ignore[arg-type]
        aurocs[name] = roc_auc_score([0] * len(normal) + [1] * len(scores), [*normal, *scores])
    ptq = found[1]
    assert ptq.auroc == pytest.approx(np.mean(list(aurocs.values())), abs=1e-9)
    assert ptq.worst_auroc == pytest.approx(min(aurocs.values()), abs=1e-9)
    assert ptq.worst is not None
    assert aurocs[ptq.worst] == min(aurocs.values())
    apart = model.rebuilt(data.validation_images[half:]) - data.validation_images[half:] / 32
    assert ptq.error == pytest.approx(np.square(apart).mean(), rel=1e-9)
    exact = np.stack(reconstructions(tiny.run.keras_model(), data.validation_images[half:]), axis=1)
    off = np.abs(model.rebuilt(data.validation_images[half:]) - exact).mean(dtype=np.float64)
    assert ptq.from_float == pytest.approx(32 * off, rel=1e-6)


def test_one_way_alone_is_not_compared_with_the_float_network(tiny: Tiny) -> None:
    (alone,) = candidates(tiny.run, tiny.dataset, ("ptq",), "litert")
    assert (alone.mode, alone.content) == ("ptq", tiny.bundle.model)


def test_without_windows_only_the_error_is_known(tiny: Tiny) -> None:
    older = dataclasses.replace(tiny.dataset, validation_windows=None)
    (alone,) = candidates(tiny.run, older, ("ptq",), "litert")
    assert (alone.auroc, alone.worst, alone.worst_auroc) == (None, None, None)
    assert 0 < alone.error < 2
