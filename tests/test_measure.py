"""Figures of a detector against scikit-learn's, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gyrovae_tf.learn.measure import averaged, figures, partial_auroc

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=40)  # few values: many ties


@given(SCORES, SCORES, st.sampled_from([0.01, 0.05, 0.3, 1.0]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_partial_area_is_scikit_learn_s(normal: list[float], abnormal: list[float], most: float) -> None:
    truth = [0] * len(normal) + [1] * len(abnormal)
    expected = roc_auc_score(truth, normal + abnormal, max_fpr=most)
    assert partial_auroc(np.array(normal), np.array(abnormal), most) == pytest.approx(expected, abs=1e-12)


def test_the_partial_area_of_many_windows() -> None:
    rng = np.random.default_rng(0)
    normal, abnormal = rng.normal(0, 1, 3000), rng.normal(1.5, 1, 2000)
    truth = np.r_[np.zeros(3000), np.ones(2000)]
    expected = roc_auc_score(truth, np.r_[normal, abnormal], max_fpr=0.05)
    assert partial_auroc(normal, abnormal) == pytest.approx(expected, abs=1e-12)
    assert 0.6 < expected < 0.8


def test_partial_areas_by_hand() -> None:
    normal = np.arange(100.0)
    assert partial_auroc(normal, np.full(3, 1000.0)) == pytest.approx(1.0)
    assert partial_auroc(normal, normal) == pytest.approx(0.5)
    # Above all but 4 of 100: nothing found up to 4 %, all of it from 4 % to 5 %: an area of 0.01.
    area, least = 0.01, 0.05**2 / 2
    assert partial_auroc(normal, np.full(7, 95.5)) == pytest.approx(0.5 * (1 + (area - least) / (0.05 - least)))


def test_figures_by_hand() -> None:
    found = figures(np.array([0.0, 1, 2, 3]), {"off": np.array([2.5, 9]), "worn": np.array([3.5])}, threshold=3)
    assert found.kinds == {"off": 0.875, "worn": 1.0}  # 2.5 is above three of four, 9 above all
    assert found.recall == {"off": 0.5, "worn": 1.0}
    assert found.false_alarm_rate == 0.25
    record = found.to_dict()
    assert (record["mean"], record["min"]) == (0.9375, 0.875)
    assert record["partial"]["kinds"]["worn"] == 1.0
    assert record["recall"]["mean"] == 0.75


def test_figures_are_averaged_one_by_one() -> None:
    normal = np.array([0.0, 1, 2, 3])
    one = figures(normal, {"off": np.array([9.0]), "worn": np.array([-1.0])}, threshold=3)
    other = figures(normal, {"off": np.array([1.5]), "worn": np.array([9.0])}, threshold=4)
    both = averaged([one, other])
    assert both.kinds == {"off": 0.75, "worn": 0.5}
    assert both.recall == {"off": 0.5, "worn": 0.5}
    assert both.false_alarm_rate == 0.125
    assert both.to_dict()["min"] == 0.5  # the worst kind on average, not the average of the worst
