"""Regimes: as good as scikit-learn's K-means, few for few windows; and a covariance as scikit-learn shrinks it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.covariance import LedoitWolf

from gyrovae_tf.learn.regimes import regimes, shrunk_covariance

# --- the regimes --------------------------------------------------------------------------------------------


def inertia(points: NDArray[np.float64], centers: NDArray[np.float64]) -> float:
    """Sum of squared distances to the nearest centre."""
    return float(np.square(points[:, None] - centers[None]).sum(axis=2).min(axis=1).sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("blobs", "spread"), [(16, 0.3), (16, 1.0), (5, 1.0), (30, 1.0), (1, 1.0)])
def test_regimes_are_as_good_as_those_of_scikit_learn(blobs: int, spread: float, seed: int) -> None:
    rng = np.random.default_rng([seed, blobs])
    points = rng.normal(0, 1, (blobs, 96))[rng.integers(0, blobs, 600)] + rng.normal(0, spread, (600, 96))
    centers, _ = regimes(points, 16, seed)
    assert centers.shape == (16, 96)
    best = KMeans(16, n_init=5, random_state=0).fit(points)
    assert inertia(points, centers) <= 1.05 * best.inertia_


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 100), st.integers(1, 5), st.integers(1, 20))
def test_each_window_belongs_to_the_nearest_regime(seed: int, count: int, size: int, most: int) -> None:
    points = np.random.default_rng(seed).normal(0, 3, (count, size)).round(1)
    centers, label = regimes(points, most, seed)
    distance = np.square(points[:, None] - centers[None]).sum(axis=2)
    assert label.shape == (count,)
    assert distance[np.arange(count), label] == pytest.approx(distance.min(axis=1))


def test_a_regime_is_the_mean_of_its_windows() -> None:
    points = np.repeat([[0.0, 0.0], [0.0, 2.0], [30.0, 8.0], [34.0, 8.0]], 4, axis=0)
    centers, label = regimes(points, 5, 0)  # 16 windows: two regimes at the most
    found = sorted(centers.tolist())
    assert found == [[0.0, 1.0], [32.0, 8.0]]
    assert centers[label].tolist() == [[0.0, 1.0]] * 8 + [[32.0, 8.0]] * 8


def test_no_more_regimes_than_different_windows() -> None:
    points = np.zeros((200, 96))
    points[:100, 36] = 10.0
    points[::2, 71] = 0.4
    centers, _ = regimes(points, 16, 0)
    found = sorted((float(center[36]), float(center[71])) for center in centers)
    assert np.array(found) == pytest.approx(np.array([(0.0, 0.0), (0.0, 0.4), (10.0, 0.0), (10.0, 0.4)]))


@pytest.mark.parametrize(
    ("count", "most", "number"),
    [
        (1, 16, 1),
        (8, 16, 1),
        (15, 16, 1),
        (16, 16, 2),
        (40, 16, 5),
        (127, 16, 15),
        (128, 16, 16),
        (500, 16, 16),
        (500, 32, 32),
        (200, 32, 25),
        (500, 1, 1),
    ],
)
def test_a_regime_for_every_eight_windows(count: int, most: int, number: int) -> None:
    points = np.random.default_rng(count).normal(0, 1, (count, 96))
    centers, label = regimes(points, most, 0)
    assert len(centers) == number
    assert np.isfinite(centers).all()
    assert set(label.tolist()) == set(range(number))


def test_windows_that_do_not_differ_are_one_regime() -> None:
    centers, label = regimes(np.full((200, 96), 1.25), 16, 0)
    assert centers.tolist() == np.full((1, 96), 1.25).tolist()
    assert label.tolist() == [0] * 200


def test_the_seed_decides_the_regimes() -> None:
    points = np.random.default_rng(0).normal(0, 1, (300, 96))
    assert np.array_equal(regimes(points, 16, 1)[0], regimes(points, 16, 1)[0])
    assert not np.array_equal(regimes(points, 16, 1)[0], regimes(points, 16, 2)[0])


# --- the covariance -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(500, 24), (100, 24), (30, 24), (10, 24), (2, 24), (5000, 3), (4, 3)])
@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_the_covariance_is_that_of_scikit_learn(count: int, size: int, alike: float) -> None:
    rng = np.random.default_rng([count, size])
    points = rng.normal(0.3, 1, (count, size)) + alike * rng.normal(0, 3, (count, 1))
    expected = LedoitWolf(assume_centered=True).fit(points).covariance_
    assert shrunk_covariance(points) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_covariance_is_about_zero_and_not_about_the_mean() -> None:
    points = np.tile([[3.0, 0.0], [3.0, 0.0]], (10_000, 1))
    assert shrunk_covariance(points) == pytest.approx(np.array([[9.0, 0.0], [0.0, 0.0]]), abs=0.01)


def test_deviations_that_are_all_0_have_no_covariance() -> None:
    assert shrunk_covariance(np.zeros((9, 3))).tolist() == np.zeros((3, 3)).tolist()


def test_a_covariance_that_is_a_multiple_of_1_stays() -> None:
    points = np.vstack([2 * np.eye(4), -2 * np.eye(4)])
    assert shrunk_covariance(points) == pytest.approx(np.eye(4))  # 2 * 4 / 8 on the diagonal
