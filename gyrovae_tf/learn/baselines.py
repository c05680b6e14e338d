"""Features of normal windows in, simple detectors to compare with out: each a score and a threshold of its own.

All work on the features of `baseline.log_band_energies`, standardised on the windows that they learn from. Settings
were chosen on four machines for the strongest baselines, one for all of them (docs/experiments.md): a comparison with
weak ones says nothing. All but Mahalanobis and energy need scikit-learn, the extra `bench`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baseline
from gyrovae_tf.learn.rows import spread

Features = NDArray[np.float64]
Scorer = Callable[[Features], NDArray[np.float64]]
"""Standardised features [k, d] in, scores [k] out; higher is more abnormal."""

_TREES = 300
_LARGEST_TREE = 4096  # windows
_NU = 0.01
_MOST_SUPPORTED = 8192  # windows: fitting the SVM takes the square of their number
_NEIGHBOURS = 5
_VARIANCE = 0.95
_CENTERS = 32
_LEAST_WINDOWS_A_CENTER = 4


@dataclass(frozen=True)
class Baseline:
    """One detector, fitted."""

    name: str
    """A key of `FITS`."""
    mean: NDArray[np.float64]
    """[d] of the features that it learnt from."""
    spread: NDArray[np.float64]
    """[d] their standard deviation."""
    scorer: Scorer
    """Gives the scores of standardised features."""
    threshold: float
    """The score from which on a window is an alarm, in the baseline's own units."""

    def score(self, features: Features) -> NDArray[np.float64]:
        """Features [k, d] in, scores [k] out; higher is more abnormal."""
        return self.scorer((features - self.mean) / self.spread)


def fit(name: str, features: Features, held_back: Features, *, seed: int, false_alarm_rate: float) -> Baseline:
    """A name of `FITS` and features [k, d] of normal windows in, the fitted `Baseline` out.

    Its threshold is the upper quantile of the scores of held-back windows [n, d] that leaves `false_alarm_rate` of
    them above it. `seed` is that of every random draw. `GyrovaeError` when scikit-learn is needed and not installed.
    """
    if name not in FITS:
        raise GyrovaeError("unknown baseline", expected=" or ".join(FITS), received=name)
    mean, spread = baseline.location(features)
    scorer = FITS[name]((features - mean) / spread, seed)
    scores = scorer((held_back - mean) / spread)
    return Baseline(name, mean, spread, scorer, float(np.quantile(scores, 1 - false_alarm_rate)))


def mahalanobis(features: Features, _seed: int) -> Scorer:
    """Standardised features [k, d] in; the distance from their mean in units of their covariance, shrunk, out."""
    fitted = baseline.Mahalanobis.fit(features, 0.5)  # its threshold is not used
    return fitted.distance


def isolation_forest(features: Features, seed: int) -> Scorer:
    """Standardised features [k, d] in; how few splits set a window apart (Liu, Ting and Zhou, 2008), out.

    Each of 300 trees sees all windows (4096 at the most): on no machine weaker than with the usual 256.
    """
    forest = _sklearn().ensemble.IsolationForest(
        n_estimators=_TREES, max_samples=min(_LARGEST_TREE, len(features)), random_state=seed
    )
    forest.fit(features)
    return lambda windows: -np.asarray(forest.score_samples(windows))


def one_class_svm(features: Features, _seed: int) -> Scorer:
    """Standardised features [k, d] in; the distance beyond the border around them (Schölkopf et al., 2001), out.

    A Gaussian kernel of scikit-learn's default width, nu 0.01; of more than 8192 windows that many, evenly chosen.
    """
    chosen = spread(len(features), _MOST_SUPPORTED)
    svm = _sklearn().svm.OneClassSVM(kernel="rbf", gamma="scale", nu=_NU)
    svm.fit(features[chosen])
    return lambda windows: -np.asarray(svm.decision_function(windows))


def knn(features: Features, _seed: int) -> Scorer:
    """Standardised features [k, d] in; the mean distance to the five nearest of them, out."""
    neighbours = _sklearn().neighbors.NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(features)))
    neighbours.fit(features)
    return lambda windows: np.asarray(neighbours.kneighbors(windows)[0]).mean(axis=1)


def pca(features: Features, _seed: int) -> Scorer:
    """Standardised features [k, d] in; squared error of rebuilding from 95 % of their variance's components out."""
    if not features.any():  # nothing varies, and no component explains anything
        return lambda windows: np.asarray(np.square(windows).sum(axis=1))
    components = _sklearn().decomposition.PCA(n_components=_VARIANCE, svd_solver="full")
    components.fit(features)

    def score(windows: Features) -> NDArray[np.float64]:
        rebuilt = np.asarray(components.inverse_transform(components.transform(windows)))
        return np.asarray(np.square(windows - rebuilt).sum(axis=1))

    return score


def kmeans(features: Features, seed: int) -> Scorer:
    """Standardised features [k, d] in; the least distance to one of 32 clusters less the cluster's radius, out.

    A cluster's radius is that of its farthest window. This is the score of Edge Impulse's K-means block
    (`calculate_cluster_distance` in its inferencing SDK). Fewer clusters where windows are fewer than 128.
    """
    different = len(np.unique(features, axis=0))
    number = max(1, min(_CENTERS, len(features) // _LEAST_WINDOWS_A_CENTER, different))
    clusters = _sklearn().cluster.KMeans(n_clusters=number, n_init=10, random_state=seed)
    labels = np.asarray(clusters.fit_predict(features))
    distances = np.asarray(clusters.transform(features))
    radius = np.array([distances[labels == label, label].max(initial=0.0) for label in range(number)])
    return lambda windows: np.asarray((clusters.transform(windows) - radius).min(axis=1))


def energy(features: Features, _seed: int) -> Scorer:
    """Standardised features [k, d] in; how far the log energy of the axis that is farthest off is, out.

    Two-sided, in standard deviations; the energy is the variance of an axis, the last three features.
    """
    del features  # they are standardised: there is nothing else to learn
    return lambda windows: np.asarray(np.abs(windows[:, -3:]).max(axis=1))


FITS: dict[str, Callable[[Features, int], Scorer]] = {
    "mahalanobis": mahalanobis,
    "isolation_forest": isolation_forest,
    "one_class_svm": one_class_svm,
    "knn": knn,
    "pca": pca,
    "kmeans": kmeans,
    "energy": energy,
}
"""Name of a baseline -> what fits it: standardised features and a seed in, what gives scores out."""


def check_installed() -> None:
    """Refuse, with what to install, where scikit-learn is missing: before hours of training, not after them."""
    _sklearn()


def _sklearn() -> Any:
    """scikit-learn, imported only where it is used."""
    try:
        import sklearn.cluster
        import sklearn.decomposition
        import sklearn.ensemble
        import sklearn.neighbors
        import sklearn.svm
    except ImportError as error:
        raise GyrovaeError(
            f"the baselines need scikit-learn, which cannot be imported: {error}",
            remedy='Install it: pip install "gyrovae-tf[bench]"',
        ) from None
    return sklearn
