"""The baseline: band energies by hand and by Parseval's theorem, distances against SciPy's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import npz
from gyrovae_tf.learn.baseline import Mahalanobis, log_band_energies

ROUNDING = 1 / 12  # square counts, the floor


def test_a_sine_has_its_energy_in_its_band() -> None:
    t = np.arange(128)
    window = np.zeros((1, 128, 3), np.int16)
    window[0, :, 0] = 500
    window[0, :, 1] = np.rint(2000 * np.sin(2 * np.pi * 20 * t / 128)) - 77
    energies = np.exp(log_band_energies(window).reshape(9, 3)) - ROUNDING
    assert energies[:, [0, 2]] == pytest.approx(0, abs=1e-9)  # a constant has none, whatever its value
    # 64 bins from 1 cycle a window in 8 bands of 8: 20 cycles lie in the third; half the square of the amplitude
    assert energies[2, 1] == pytest.approx(2000**2 / 2, rel=1e-3)
    assert energies[8, 1] == pytest.approx(2000**2 / 2, rel=1e-3)  # the variance
    assert energies[[0, 1, 3, 4, 5, 6, 7], 1] == pytest.approx(0, abs=1)


@pytest.mark.parametrize("window", [64, 96, 256, 1024])
def test_the_bands_hold_all_of_the_variance(window: int) -> None:
    """Parseval: below half the rate, where a bin's negative frequency is the bin itself, all counts once."""
    counts = np.random.default_rng(window).integers(-3000, 3000, (5, window, 3)).astype(np.int16)
    alternating = np.where(np.arange(window) % 2, -1, 1)[None, :, None]
    counts = counts - np.rint((counts * alternating).mean(axis=1, keepdims=True) * alternating).astype(np.int16)
    features = log_band_energies(counts.astype(np.int16)).reshape(5, 9, 3)
    energies = np.exp(features) - ROUNDING
    assert energies[:, :8].sum(axis=1) == pytest.approx(counts.var(axis=1), rel=1e-4)
    assert energies[:, 8] == pytest.approx(counts.var(axis=1))


def test_windows_are_taken_one_by_one() -> None:
    counts = np.random.default_rng(0).integers(-3000, 3000, (1100, 64, 3)).astype(np.int16)
    together = log_band_energies(counts)
    assert together.shape == (1100, 27)
    for index in (0, 1023, 1024, 1099):
        assert together[index] == pytest.approx(log_band_energies(counts[index : index + 1])[0], rel=1e-12)


@pytest.mark.parametrize("value", [0, 32767, -32768])
def test_a_still_window_is_finite(value: int) -> None:
    features = log_band_energies(np.full((1, 64, 3), value, np.int16))
    assert features == pytest.approx(np.log(ROUNDING))


@pytest.mark.parametrize("count", [40, 400, 20_000])
def test_distances_are_those_of_scipy_and_scikit_learn(count: int) -> None:
    rng = np.random.default_rng(count)
    features = rng.normal(0, 1, (count, 27)) @ rng.normal(0, 1, (27, 27)) + 5
    fitted = Mahalanobis.fit(features, 0.01)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    inverse = np.linalg.inv(LedoitWolf().fit((features - mean) / spread).covariance_)
    others = rng.normal(0, 9, (6, 27))
    expected = [mahalanobis((row - mean) / spread, np.zeros(27), inverse) for row in others]
    assert fitted.distance(others) == pytest.approx(expected, rel=1e-3)
    assert fitted.distance(features.mean(axis=0)[None]) == pytest.approx(0, abs=1e-6)


def test_the_units_of_a_feature_do_not_count() -> None:
    features = np.random.default_rng(5).normal(0, 1, (50, 27))
    scale = np.geomspace(0.1, 1000, 27)
    others = np.random.default_rng(6).normal(0, 3, (9, 27))
    expected = Mahalanobis.fit(features, 0.01).distance(others)
    assert Mahalanobis.fit(features * scale + 7, 0.01).distance(others * scale + 7) == pytest.approx(expected)


def test_the_threshold_is_exceeded_by_the_asked_share() -> None:
    features = np.random.default_rng(2).normal(0, 1, (1000, 27))
    for rate in (0.01, 0.1):
        fitted = Mahalanobis.fit(features, rate)
        assert (fitted.distance(features) >= fitted.threshold).mean() == pytest.approx(rate, abs=1e-9)


def test_constant_and_few_features_are_no_obstacle() -> None:
    features = np.random.default_rng(3).normal(0, 1, (16, 27))
    features[:, 5] = 2.0
    fitted = Mahalanobis.fit(features, 0.01)
    assert np.isfinite(fitted.distance(features)).all()
    assert (fitted.distance(features + np.eye(27)[5]) > fitted.distance(features) + 100).all()


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    features = np.random.default_rng(4).normal(0, 1, (100, 27))
    fitted = Mahalanobis.fit(features, 0.05)
    fitted.save(tmp_path / "baseline.npz")
    read = Mahalanobis.load(tmp_path / "baseline.npz")
    assert np.array_equal(read.distance(features), fitted.distance(features))
    assert read.threshold == fitted.threshold


def test_a_damaged_baseline(tmp_path: Path) -> None:
    path = tmp_path / "baseline.npz"
    Mahalanobis.fit(np.random.default_rng(4).normal(0, 1, (100, 27)), 0.05).save(path)
    content = path.read_bytes()
    for damaged in (b"", content[:100], content[:-1], content.replace(b"mean.npy", b"meen.npy")):
        path.write_bytes(damaged)
        with pytest.raises(GyrovaeError, match=r"baseline.npz is .*\nTrain the run again"):
            Mahalanobis.load(path)
    path.unlink()
    with pytest.raises(GyrovaeError, match=r"cannot read .*baseline.npz"):
        Mahalanobis.load(path)


@pytest.mark.parametrize(
    "change",
    [{"mean": np.zeros(3)}, {"precision": np.zeros(27)}, {"threshold": np.zeros(2)}, {"threshold": np.array("x")}],
    ids=str,
)
def test_a_baseline_of_another_form(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    arrays = {"mean": np.zeros(27), "precision": np.eye(27), "threshold": np.array(1.0)}
    npz.save(tmp_path / "baseline.npz", arrays | change)
    with pytest.raises(GyrovaeError, match=r"baseline.npz is (not a baseline|damaged)"):
        Mahalanobis.load(tmp_path / "baseline.npz")
