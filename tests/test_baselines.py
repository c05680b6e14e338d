"""The baselines: each finds what it is known to find, and equals scikit-learn or plain arithmetic."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import StandardScaler

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baselines
from gyrovae_tf.learn.baselines import FITS, Baseline, fit

Array = NDArray[np.float64]
DRAWN = {"isolation_forest", "kmeans"}


def normal_motion(count: int, seed: int) -> Array:
    """Features of a machine with two speeds, the columns of different units."""
    rng = np.random.default_rng(seed)
    speed = rng.integers(0, 2, (count, 1)) * 3.0
    return (rng.normal(0, 0.3, (count, 27)) + speed) * np.linspace(0.5, 5, 27) + 10


TRAIN, HELD_BACK, NEW = (normal_motion(count, seed) for seed, count in enumerate((400, 200, 300)))


def fitted(name: str, seed: int = 0, rate: float = 0.01) -> Baseline:
    return fit(name, TRAIN, HELD_BACK, seed=seed, false_alarm_rate=rate)


def test_the_issues_seven_are_there() -> None:
    assert list(FITS) == ["mahalanobis", "isolation_forest", "one_class_svm", "knn", "pca", "kmeans", "energy"]


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("direction", [-1, 1], ids=["quieter", "louder"])
def test_what_is_far_from_normal_scores_higher_on_both_sides(name: str, direction: int) -> None:
    found = fitted(name)
    abnormal = NEW + direction * 12 * TRAIN.std(axis=0)
    abnormal[:, ::2] = NEW[:, ::2] + direction * 9 * TRAIN.std(axis=0)[::2]
    assert found.score(NEW).shape == (300,)
    assert found.score(abnormal).min() > found.score(NEW).max()
    assert found.score(abnormal).min() > found.threshold


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_threshold_leaves_the_asked_share_of_held_back_windows_above(name: str, rate: float) -> None:
    found = fitted(name, rate=rate)
    assert (found.score(HELD_BACK) >= found.threshold).mean() == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("name", FITS)
def test_the_same_seed_gives_the_same_scores(name: str) -> None:
    first = fitted(name, seed=3).score(NEW)
    assert np.array_equal(fitted(name, seed=3).score(NEW), first)
    assert np.array_equal(fitted(name, seed=4).score(NEW), first) == (name not in DRAWN)


@pytest.mark.parametrize("name", FITS)
def test_a_window_scores_the_same_alone_and_in_other_units(name: str) -> None:
    found = fitted(name)
    together = found.score(NEW[:20])
    assert [found.score(row[None])[0] for row in NEW[:20]] == pytest.approx(together)
    scale = np.geomspace(0.25, 4, 27)
    other = fit(name, TRAIN * scale - 3, HELD_BACK * scale - 3, seed=0, false_alarm_rate=0.01)
    assert other.score(NEW[:20] * scale - 3) == pytest.approx(together, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_sixteen_windows_and_a_dead_axis_are_enough(name: str) -> None:
    """The fewest that preprocess lets through; an axis that never moves has constant features."""
    few = TRAIN[:16].copy()
    few[:, ::3] = -2.4849
    found = fit(name, few, few[:4], seed=0, false_alarm_rate=0.01)
    alive = few.copy()
    alive[:, ::3] += 5
    assert np.isfinite(found.score(few)).all()
    if name == "isolation_forest":  # its trees split nothing that never varied
        assert np.array_equal(found.score(alive), found.score(few))
    else:
        assert (found.score(alive) > found.score(few).max()).all()


@pytest.mark.parametrize("name", FITS)
def test_windows_that_are_all_the_same(name: str) -> None:
    found = fit(name, np.ones((20, 27)), np.ones((5, 27)), seed=0, false_alarm_rate=0.01)
    assert np.isfinite(found.score(np.ones((2, 27)))).all()


def test_neighbours_by_hand() -> None:
    """On a line of points at 0, 1, 2 ... 19 (in one of 27 features): five nearest of 30 are 11, 12, 13, 14, 15 away."""
    train = np.zeros((20, 27))
    train[:, 4] = np.arange(20)
    found = fit("knn", train, train, seed=0, false_alarm_rate=0.5)
    query = np.zeros((1, 27))
    query[0, 4] = 30
    assert found.score(query)[0] == pytest.approx(13 / np.arange(20).std())


def test_kmeans_is_the_distance_to_the_nearest_border() -> None:
    scaler = StandardScaler().fit(TRAIN)
    reference = KMeans(32, n_init=10, random_state=5).fit(scaler.transform(TRAIN))
    away = pairwise_distances(scaler.transform(TRAIN), reference.cluster_centers_)
    radius = [away[reference.labels_ == label, label].max() for label in range(32)]
    expected = (pairwise_distances(scaler.transform(NEW), reference.cluster_centers_) - radius).min(axis=1)
    assert fitted("kmeans", seed=5).score(NEW) == pytest.approx(expected)
    assert fitted("kmeans", seed=5).score(TRAIN).max() <= 1e-9  # every window lies within its own cluster's radius


def test_pca_leaves_what_lies_off_the_components() -> None:
    """Motion along one direction of 27 explains everything; what is off it is the error, squared."""
    direction = np.zeros(27)
    direction[:2] = 1.0
    train = np.random.default_rng(0).normal(0, 1, (300, 1)) * direction
    found = fit("pca", train, train, seed=0, false_alarm_rate=0.5)
    spread = train.std(axis=0)[0]
    along, across = np.zeros((2, 27))
    along[:2] = spread * 5
    across[:2] = spread * 3, -spread * 3
    shift = train.mean(axis=0)
    assert found.score(along[None] + shift) == pytest.approx(0, abs=1e-9)
    assert found.score(across[None] + shift) == pytest.approx(18)  # 3^2 + 3^2


def test_energy_is_the_worst_axis_in_standard_deviations() -> None:
    found = fitted("energy")
    quiet = TRAIN.mean(axis=0) + TRAIN.std(axis=0) * np.r_[np.full(24, 50.0), 1.0, -4.0, 2.0]
    assert found.score(quiet[None])[0] == pytest.approx(4)


def test_what_cannot_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GyrovaeError, match=r"unknown baseline; expected mahalanobis or .*, received magic"):
        fit("magic", TRAIN, HELD_BACK, seed=0, false_alarm_rate=0.01)
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(GyrovaeError, match=r'pip install "gyrovae-tf\[bench\]"'):
        baselines.check_installed()
    with pytest.raises(GyrovaeError, match="scikit-learn"):
        fitted("knn")
    for name in ("mahalanobis", "energy"):  # these need none
        assert np.isfinite(fitted(name).score(NEW)).all()
