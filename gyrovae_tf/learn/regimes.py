"""Profiles of normal motion in, its regimes (K-means) and the shape of what lies about them out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_LEAST_WINDOWS_A_REGIME = 8

Floats = NDArray[np.float64]


def regimes(points: Floats, most: int, seed: int, trials: int = 4) -> tuple[Floats, NDArray[np.intp]]:
    """Profiles [k, d] of normal windows in; at most `most` typical ones [n, d], fewer for few windows, and the number
    [k] of each window's out.

    K-means (Lloyd) with k-means++ starts (Arthur and Vassilvitskii, 2007), the best of some trials.
    """
    number = max(1, min(most, len(points) // _LEAST_WINDOWS_A_REGIME))
    rng = np.random.default_rng(seed)
    squares = np.square(points).sum(axis=1)
    best, centers = math.inf, points[:1]
    for _ in range(trials):
        candidate = _lloyd(points, _spread_starts(points, squares, number, rng))
        inertia = float(_distances(points, squares, candidate).min(axis=1).sum())
        if inertia < best:
            best, centers = inertia, candidate
    return centers, _distances(points, squares, centers).argmin(axis=1)


def shrunk_covariance(points: Floats) -> Floats:
    """Deviations [k, d] from what is expected in, their covariance [d, d] about zero, shrunk to a multiple of 1, out.

    Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices (2004).
    """
    count, size = points.shape
    covariance = points.T @ points / count
    mean = float(np.trace(covariance)) / size
    squares = np.square(points)
    noise = (float((squares.T @ squares).sum()) / count - float(np.square(covariance).sum())) / (count * size)
    spread = (float(np.square(covariance).sum()) - size * mean**2) / size
    share = min(noise, spread) / spread if spread > 0 else 1.0
    return (1 - share) * covariance + share * mean * np.eye(size)


def _spread_starts(points: Floats, squares: Floats, number: int, rng: np.random.Generator) -> Floats:
    """k-means++: each next centre is drawn with a probability proportional to its squared distance from the others.

    Of a few drawn, the one that leaves the least distance is taken ("greedy", in the same paper): with a single draw,
    regimes as far apart as sixteen speeds of a machine were missed in every second trial.
    """
    trials = 2 + int(math.log(number))
    centers = [points[rng.integers(len(points))]]
    nearest = np.square(points - centers[0]).sum(axis=1)
    for _ in range(number - 1):
        total = nearest.sum()
        if not total > 0:  # fewer different points than centres
            break
        drawn = points[rng.choice(len(points), size=trials, p=nearest / total)]
        left = np.minimum(nearest[:, None], _distances(points, squares, drawn))
        best = int(left.sum(axis=0).argmin())
        centers.append(drawn[best])
        nearest = left[:, best]
    return np.array(centers)


def _lloyd(points: Floats, centers: Floats) -> Floats:
    """Move centres to the means of their points until none changes, at the most 100 times."""
    twice, row = 2 * points, np.arange(len(points))
    before: NDArray[np.intp] | None = None
    for _ in range(100):
        # Nearest by |c|^2 - 2 p c: what it lacks of the squared distance is the same for all centres.
        labels = (np.square(centers).sum(axis=1) - twice @ centers.T).argmin(axis=1)
        if before is not None and np.array_equal(labels, before):
            break
        before = labels
        belongs = np.zeros((len(points), len(centers)))
        belongs[row, labels] = 1.0
        count = belongs.sum(axis=0)
        used = count > 0
        centers = np.where(used[:, None], belongs.T @ points / np.maximum(count, 1)[:, None], centers)
    return centers


def _distances(points: Floats, squares: Floats, centers: Floats) -> Floats:
    """Points, their squared lengths and centres in, squared distances [points, centres] out."""
    both = squares[:, None] + np.square(centers).sum(axis=1)[None]
    distances: Floats = np.maximum(both - points @ (2 * centers.T), 0.0)
    return distances
