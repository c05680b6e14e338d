"""Trust: drift and odd stretches are named, stationary data are not accused, too few data are called that."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.threshold import blocks_of
from gyrovae_tf.learn.trust import Trust, check, foreseen, odd_share
from gyrovae_tf.wording import span

COUNT, BLOCKS = 3200, blocks_of(3200, 16)
TWO_DAYS = ["monday.csv"] * 1600 + ["tuesday.csv"] * 1600


def stationary(seed: int) -> NDArray[np.float64]:
    return 1 + 0.3 * np.random.default_rng(seed).exponential(size=COUNT)


def examine(scores: NDArray[np.float64]) -> Trust:
    return check(scores, BLOCKS, 0.01, seconds=3600, recordings=TWO_DAYS)


def test_stationary_data_of_two_days_are_promised() -> None:
    promised = [examine(stationary(seed)).promised for seed in range(20)]
    assert sum(promised) >= 19


def test_a_shifted_half_is_drift() -> None:
    found = examine(stationary(1) * np.where(np.arange(COUNT) < COUNT // 2, 1.0, 1.3))
    assert found.drift == pytest.approx(1.3, rel=0.05)
    assert found.drift_p < 0.01
    assert not found.promised
    named = f"The data drift: later stretches score {100 * (found.drift - 1):.0f} % above earlier ones."
    assert named in found.warnings


def test_drift_that_leaves_both_ends_odd_is_drift() -> None:
    """Out-of-block scores of a steady drift: the middle is like what lies on both sides of it, the ends are not."""
    found = examine(stationary(2) * (1 + 0.6 * np.abs(np.linspace(-1, 1, COUNT))))
    assert found.drift == pytest.approx(1.0, abs=0.05)
    assert found.ends > 1.1
    assert any("first and the last stretches" in warning for warning in found.warnings)


def test_an_odd_stretch_is_named_by_its_time() -> None:
    """The fifth of sixteen blocks of an hour lasts from minute 15.0 to 18.75."""
    found = examine(stationary(3) * np.where(BLOCKS == 4, 6.0, 1.0))
    assert found.left_out_rates[4] == 1.0
    assert any("minutes 15.0 to 18.8, would be 100 % alarms had" in warning for warning in found.warnings)


def test_an_odd_stretch_of_a_minute_is_named_by_its_seconds() -> None:
    """In minutes it would be 0.2 to 0.3."""
    found = check(stationary(3) * np.where(BLOCKS == 4, 6.0, 1.0), BLOCKS, 0.01, seconds=60, recordings=TWO_DAYS)
    assert any("worst, seconds 15 to 19, would be 100 % alarms had" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("start", "stop", "whole", "told"),
    [
        (0.0, 599.0, 599.0, "seconds 0 to 599"),
        (28.4, 33.1, 60.0, "seconds 28 to 33"),
        (2.0, 3.5, 60.0, "seconds 2.0 to 3.5"),
        (0.0, 450.0, 3600.0, "minutes 0.0 to 7.5"),  # in minutes as the chart above
        (570.0, 600.0, 600.0, "minutes 9.5 to 10.0"),
        (3600.0, 3606.0, 7200.0, "minutes 60.00 to 60.10"),
    ],
)
def test_a_span_of_time_has_two_ends(start: float, stop: float, whole: float, told: str) -> None:
    assert span(start, stop, whole) == told


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.2])
def test_an_odd_stretch_is_one_at_any_rate(rate: float) -> None:
    scores = stationary(3) * np.where(BLOCKS == 4, 6.0, 1.0)
    found = check(scores, BLOCKS, rate, seconds=3600, recordings=TWO_DAYS)
    assert any(text.startswith("1 of 16 stretches differs from the rest") for text in found.warnings)
    plain = check(stationary(3), BLOCKS, rate, seconds=3600, recordings=TWO_DAYS)
    assert not any("from the rest" in text for text in plain.warnings)


@pytest.mark.parametrize(("rate", "share"), [(0.01, 0.1), (0.05, 0.5), (0.1, 0.55), (0.2, 0.6)])
def test_what_makes_a_stretch_odd(rate: float, share: float) -> None:
    assert odd_share(rate) == pytest.approx(share)


def test_the_left_out_rate_by_hand() -> None:
    """Block 1 against the threshold of block 0, whose scores are all 1: three of its four windows lie above."""
    found = check(np.array([1.0, 1, 1, 1, 1, 2, 3, 4]), np.repeat([0, 1], 4), 0.05, seconds=8)
    assert found.left_out_rates == (0.0, 0.75)


def test_few_data_are_called_few_and_uniform() -> None:
    scores = stationary(4)[:120]
    found = check(scores, blocks_of(120, 16), 0.01, seconds=30)
    assert not found.promised
    assert any(warning.startswith("Too few data: 0.5 minutes") for warning in found.warnings)
    assert any(warning.startswith("Too uniform: one recording") for warning in found.warnings)


def test_windows_that_repeat_each_other_are_few() -> None:
    found = examine(np.repeat(stationary(5)[:80], 40))
    assert found.effective_windows < 160
    assert any(warning.startswith("Too few data") for warning in found.warnings)


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=40), number=st.integers(1, 9))
def test_whatever_the_scores_the_record_is_json(values: list[float], number: int) -> None:
    found = check(np.array(values), blocks_of(len(values), number), 0.01, seconds=1.0)
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["promised"] is False
    assert record["recordings"] == 1
    assert all(0 <= rate <= 1 for rate in record["left_out_rates"])
    assert math.isfinite(record["drift"])


def test_nothing_to_check_is_refused() -> None:
    with pytest.raises(GyrovaeError, match="empty"):
        check(np.zeros(0), np.zeros(0, np.int64), 0.01, seconds=0)


# --- what the amount of data foretells -------------------------------------------------------------------------


def of_minutes(minutes: float, recordings: int) -> SimpleNamespace:
    """What of a dataset tells its length: windows of 1.28 s, a quarter of that apart, a quarter of them held back."""
    count = round(60 * minutes / 0.32)
    of = np.arange(count)[:, None] % recordings
    return SimpleNamespace(
        train_images=np.zeros(count - count // 4),
        validation_images=np.zeros(count // 4),
        train_origins=of[: count - count // 4],
        validation_origins=of[count - count // 4 :],
        hop=64,
        spec=SimpleNamespace(window=256, rate_hz=200.0),
        sources=("normal.csv",) * recordings,  # each in the folder of its day
    )


@pytest.mark.parametrize(
    ("minutes", "recordings", "rate", "expected"),
    [
        (10, 1, 0.01, []),
        (5, 1, 0.01, []),  # 234 windows side by side, of which 2.3 are 1 %
        (4.5, 1, 0.01, ["Too uniform"]),  # 211
        (4.5, 2, 0.01, []),
        (4, 2, 0.01, ["Too few data"]),  # 188
        (4, 1, 0.01, ["Too few data", "Too uniform"]),
        (10, 1, 0.001, ["Too few data"]),
        (1, 2, 0.1, []),
    ],
)
def test_the_amount_of_data_foretells_warnings(
    minutes: float, recordings: int, rate: float, expected: list[str]
) -> None:
    found = foreseen(cast(Dataset, of_minutes(minutes, recordings)), rate)
    assert [text.split(":")[0] for text in found] == expected


def test_what_is_foretold_is_what_is_found() -> None:
    """A minute of windows that are as good as independent: the check says the same, in the same words."""
    count = 46  # side by side
    scores, blocks = stationary(0)[:count], blocks_of(count, 16)
    found = check(scores, blocks, 0.01, seconds=58.88, recordings=["a"] * count)
    data = of_minutes(58.88 / 60, 1)
    told = foreseen(cast(Dataset, data))
    assert told[0].startswith("Too few data: 0.98 minutes hold at most 46 independent windows; 1 % of them is 0.5.")
    assert found.warnings[-1] == told[1]
    assert found.warnings[0].split(" hold")[0] == told[0].split(" hold")[0]
