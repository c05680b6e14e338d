"""The threshold: tails with known parameters, intervals that cover, blocks and folds, degenerate data."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal, stats

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import (
    METHODS,
    blocks_of,
    effective_windows,
    folds,
    pareto_fit,
    student_975,
    tail_at,
    tail_fit,
)

ALL = sorted(METHODS)

# --- one fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.0, 0.2, 0.4])
def test_the_pareto_fit_recovers_shape_and_scale(shape: float) -> None:
    excess = stats.genpareto(shape, scale=2.0).rvs(20000, random_state=1)
    found_shape, found_scale = pareto_fit(excess)
    assert found_shape == pytest.approx(shape, abs=0.04)
    assert found_scale == pytest.approx(2.0, rel=0.05)


def test_the_pareto_fit_by_hand() -> None:
    """1, 2, 6: mean 3; weighted mean (2*1 + 1*2 + 0*6) / (3*2) = 2/3; shape 2 - 3 / (3 - 4/3) = 0.2; scale 3 * 0.8."""
    shape, scale = pareto_fit(np.array([2.0, 6.0, 1.0]))
    assert (shape, scale) == (pytest.approx(0.2), pytest.approx(2.4))


def test_thresholds_by_hand() -> None:
    """0, 1, ..., 10: the upper fifth's edge is 8, above it lie 9 and 10, 1.5 above it on average."""
    scores = np.arange(11.0)
    assert METHODS["exponential"](scores, 0.02) == pytest.approx(8 + 1.5 * math.log(10))
    assert METHODS["pareto"](scores, 0.02) == pytest.approx(8 + 1.5 * math.log(10))  # too few for a shape
    excess = (math.log(9 / 8) + math.log(10 / 8)) / 2
    assert METHODS["hill"](scores, 0.02) == pytest.approx(8 * 10**excess)
    assert METHODS["quantile"](scores, 0.1) == pytest.approx(9.0)
    assert METHODS["quantile"](np.zeros(11), 0.1) == 1e-9  # at 0 everything would be an alarm


@pytest.mark.parametrize(
    ("distribution", "method"),
    [(stats.expon(2), "exponential"), (stats.genpareto(0.2), "pareto"), (stats.pareto(8), "hill")],
)
def test_each_method_finds_the_quantile_of_its_own_distribution(distribution: stats.rv_frozen, method: str) -> None:
    scores = distribution.rvs(400_000, random_state=2)
    assert METHODS[method](scores, 0.001) == pytest.approx(distribution.isf(0.001), rel=0.03)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 15, 100])
def test_students_t(freedom: int) -> None:
    assert student_975(freedom) == pytest.approx(stats.t(freedom).ppf(0.975), rel=3e-3)


# --- with an interval ------------------------------------------------------------------------------------------


def like_neighbours(rng: np.random.Generator, count: int, rho: float) -> NDArray[np.float64]:
    """Exponential scores whose ranks follow an autoregression of order one."""
    noise = rng.standard_normal(count)
    noise[1:] *= math.sqrt(1 - rho * rho)
    steps = signal.lfilter([1.0], [1.0, -rho], noise)
    scores: NDArray[np.float64] = 1 + stats.expon().ppf(stats.norm().cdf(steps))
    return scores


def test_the_interval_covers_the_true_threshold_when_neighbours_are_alike() -> None:
    """95 % promised; 100 recordings of 600 windows in 12 blocks, neighbours' correlation 0.8."""
    rng = np.random.default_rng(3)
    true, blocks = 1 + math.log(100), blocks_of(600, 12)
    covered, narrow = 0, 0
    for _ in range(100):
        scores = like_neighbours(rng, 600, 0.8)
        found = tail_fit(scores, blocks, 0.01, resamples=50)
        covered += found.low <= true <= found.high
        # The same as if windows were independent: what the blocks are for.
        alone = tail_fit(scores, np.arange(600), 0.01, resamples=50)
        narrow += alone.low <= true <= alone.high
    assert covered >= 88
    assert narrow < covered - 10


def test_a_fit_says_what_it_rests_on() -> None:
    rng = np.random.default_rng(4)
    scores, blocks = like_neighbours(rng, 800, 0.9), blocks_of(800, 8)
    found = tail_fit(scores, blocks, 0.01)
    assert found.low < found.threshold < found.high
    assert found.rate_low < 0.01 < found.rate_high <= 0.2
    assert (found.windows, found.blocks, found.method) == (800, 8, "exponential")
    assert found.effective_windows < 200
    assert not found.extrapolated or found.effective_windows < 100
    assert tail_fit(scores, blocks, 0.0001).extrapolated
    assert found == tail_fit(scores, blocks, 0.01)
    assert json.loads(json.dumps(found.to_dict()))["threshold"] == found.threshold


def test_the_shares_of_a_threshold_that_was_chosen_otherwise() -> None:
    """Scores 1 to 100: the upper fifth begins at 80.2 and lies 10.3 above it on average."""
    scores = np.arange(1.0, 101.0)
    found = tail_at(scores, np.repeat(np.arange(10), 10), 100.8, 90.5, 111.1, least=0.001)
    assert found.rate == pytest.approx(0.2 * math.exp(-2))
    assert (found.rate_low, found.rate_high) == pytest.approx((0.2 * math.exp(-3), 0.2 * math.exp(-1)))
    assert (found.threshold, found.low, found.high, found.windows, found.blocks) == (100.8, 90.5, 111.1, 100, 10)
    far = tail_at(scores, np.zeros(100, int), 1e9, 1.0, 1e9, least=0.001)
    assert (far.rate, far.rate_high) == (0.001, 0.2)  # no rate beyond what tails are fitted to


def test_blocks_that_differ_widen_the_interval() -> None:
    scores = np.random.default_rng(5).exponential(size=800) + 1
    blocks = blocks_of(800, 8)
    shifted = scores * np.repeat(np.linspace(1, 2, 8), 100)
    alike, different = tail_fit(scores, blocks, 0.01), tail_fit(shifted, blocks, 0.01)
    assert math.log(different.high / different.low) > 1.5 * math.log(alike.high / alike.low)


def test_several_scores_of_one_window_are_no_more_evidence() -> None:
    scores, blocks = np.random.default_rng(6).exponential(size=400), blocks_of(400, 8)
    once, twice = tail_fit(scores, blocks, 0.01), tail_fit(np.repeat(scores, 2), np.repeat(blocks, 2), 0.01)
    assert twice.threshold == pytest.approx(once.threshold, rel=0.01)
    assert math.log(twice.high / twice.low) == pytest.approx(math.log(once.high / once.low), rel=0.2)
    assert twice.effective_windows == pytest.approx(once.effective_windows, rel=0.2)


def test_effective_windows() -> None:
    rng = np.random.default_rng(7)
    independent = rng.exponential(size=4000)
    blocks = blocks_of(4000, 8)
    assert effective_windows(independent, blocks) == pytest.approx(4000, rel=0.15)
    assert effective_windows(np.repeat(independent[:1000], 4), blocks) == pytest.approx(1000, rel=0.2)
    assert tail_fit(independent, blocks, 0.01, most=2000).effective_windows == 2000  # windows overlap by half
    assert tail_at(independent, blocks, 4.0, 3.0, 5.0, least=0.0, most=2000).effective_windows == 2000


scores_lists = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=60)
rates = st.floats(1e-6, 0.2)


@settings(deadline=None)
@given(values=scores_lists, one=rates, other=rates, method=st.sampled_from(ALL))
def test_a_lower_rate_never_gives_a_lower_threshold(values: list[float], one: float, other: float, method: str) -> None:
    scores = np.array(values)
    low, high = sorted((one, other))
    assert METHODS[method](scores, low) >= METHODS[method](scores, high) * (1 - 1e-12)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0.01, 100), min_size=1, max_size=60),
    rate=rates,
    power=st.integers(-8, 8),
    method=st.sampled_from(ALL),
)
def test_the_threshold_scales_with_the_scores(values: list[float], rate: float, power: int, method: str) -> None:
    scores, factor = np.array(values), 2.0**power
    assert METHODS[method](scores * factor, rate) == pytest.approx(METHODS[method](scores, rate) * factor, rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(values=scores_lists, number=st.integers(1, 9), rate=rates, method=st.sampled_from(ALL))
def test_whatever_the_scores_every_figure_is_a_number(
    values: list[float], number: int, rate: float, method: str
) -> None:
    scores = np.array(values)
    found = tail_fit(scores, blocks_of(len(scores), number), rate, method=method, resamples=20)  # type: ignore[arg-type]
    figures = [v for v in found.to_dict().values() if isinstance(v, float)]
    assert all(math.isfinite(v) for v in figures)
    assert 0 < found.low <= found.threshold <= found.high
    assert 0 <= found.rate_low <= found.rate_high <= 1


@pytest.mark.parametrize("method", ["exponential", "pareto", "hill"])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.7])
def test_equal_scores_are_no_alarms(method: str, value: float) -> None:
    scores = np.full(50, value)
    found = tail_fit(scores, blocks_of(50, 5), 0.01, method=method)  # type: ignore[arg-type]
    assert not (scores >= np.float32(found.threshold)).any()
    assert found.threshold == pytest.approx(max(value, 1e-9), rel=1e-5)


def test_one_score_and_one_block_are_defined() -> None:
    found = tail_fit(np.array([2.0]), np.array([0]), 0.01)
    assert found.threshold == pytest.approx(2.0, rel=1e-5)
    assert (found.effective_windows, found.blocks, found.extrapolated) == (1.0, 1, True)
    whole = tail_fit(np.random.default_rng(8).exponential(size=400), np.zeros(400, np.int64), 0.01)
    assert whole.blocks == 8
    assert whole.low < whole.threshold < whole.high


@pytest.mark.parametrize(
    ("scores", "blocks", "rate", "method", "problem"),
    [
        ([], [], 0.01, "hill", "no scores"),
        ([1.0, math.nan], [0, 0], 0.01, "hill", "not usable"),
        ([1.0, -1.0], [0, 0], 0.01, "hill", "not usable"),
        ([1.0, 2.0], [0], 0.01, "hill", "differ in shape"),
        ([[1.0, 2.0]], [[0, 1]], 0.01, "hill", "differ in shape"),
        ([1.0, 2.0], [0, 1], 0.0, "hill", "rate is not usable"),
        ([1.0, 2.0], [0, 1], 0.3, "hill", "rate is not usable"),
        ([1.0, 2.0], [0, 1], math.nan, "hill", "rate is not usable"),
        ([1.0, 2.0], [0, 1], 0.01, "magic", "unknown way"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    scores: list[float], blocks: list[int], rate: float, method: str, problem: str
) -> None:
    with pytest.raises(GyrovaeError, match=problem):
        tail_fit(np.array(scores), np.array(blocks, np.int64), rate, method=method)  # type: ignore[arg-type]


# --- blocks and folds ------------------------------------------------------------------------------------------


def test_blocks_follow_each_other() -> None:
    assert blocks_of(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert blocks_of(2, 8).tolist() == [0, 1]
    with pytest.raises(GyrovaeError, match="no windows"):
        blocks_of(0, 3)


def test_folds_leave_out_what_shares_samples() -> None:
    """Windows of 4, hop 2: from 0, 2, 4, 6 in one segment, and from 8 after a gap. Block 0 ends at 2, which meets 4."""
    origins = np.array([[0, 0], [0, 2], [0, 4], [0, 6], [0, 8]])
    segments, blocks = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 1, 1])
    first, second = folds(origins, segments, blocks, 4)
    assert [first[0].tolist(), first[1].tolist()] == [[True, True, False, False, False], [False] * 3 + [True] * 2]
    assert [second[0].tolist(), second[1].tolist()] == [[False, False, True, True, True], [True] + [False] * 4]
