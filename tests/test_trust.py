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


# --- by hand ---------------------------------------------------------------------------------------------------


def by_blocks(values: list[float], each: int = 5) -> Trust:
    """So many windows of each value, every value a block of its own."""
    return check(np.repeat(values, each), np.repeat(np.arange(len(values)), each), 0.01, seconds=3600)


def drifts(found: Trust) -> list[str]:
    return [text for text in found.warnings if text.startswith("The data drift")]


@pytest.mark.parametrize(
    ("twos", "told"),
    [
        (3, []),  # three times the rate, and not more
        (4, ["On stretches left out, 20.0 % were alarms where 5 % should be."]),
        (5, ["On stretches left out, 25.0 % were alarms where 5 % should be."]),  # ten times the rate: not yet odd
        (6, ["1 of 2 stretches differs from the rest; worst, seconds 10 to 20, would be 60 % alarms had they not"]),
    ],
)
def test_alarms_on_stretches_left_out(twos: int, told: list[str]) -> None:
    """Ten windows of 1, and ten of which so many are 2: above the threshold of the first, which have no alarm."""
    scores = np.array([1.0] * (20 - twos) + [2.0] * twos)
    found = check(scores, np.repeat([0, 1], 10), 0.05, seconds=20, recordings=["a"] * 10 + ["b"] * 10)
    assert found.left_out_rates == (0.0, twos / 10)
    about = [text for text in found.warnings if "stretches" in text]
    assert len(about) == len(told)
    assert all(text.startswith(start) for text, start in zip(about, told, strict=True))


def test_a_score_at_the_threshold_is_an_alarm() -> None:
    found = check(np.ones(8), np.repeat([0, 1], 4), 0.05, seconds=8, method="quantile")
    assert found.left_out_rates == (1.0, 1.0)


def test_of_several_odd_stretches_the_worst_is_named() -> None:
    """A fifth of the windows may be alarms; of the second ten seconds 70 % are, and all of the fourth."""
    plain, some, odd = [*range(1, 11)], [1, 2, 3, *[20] * 7], [20] * 10
    scores = np.array([plain, some, plain, odd, plain], np.float64).ravel()
    found = check(scores, np.repeat(np.arange(5), 10), 0.2, seconds=50, method="quantile")
    assert found.left_out_rates == (0.0, 0.7, 0.0, 1.0, 0.0)
    start = "2 of 5 stretches differ from the rest; worst, seconds 30 to 40, would be 100 % alarms had they"
    assert any(text.startswith(start) for text in found.warnings)


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (200, []),
        (199, ["60 minutes hold about 199 independent windows; 1 % of them is 2.0. About 200 are needed to promise "]),
    ],
)
def test_two_windows_must_be_expected_above_the_threshold(most: int, told: list[str]) -> None:
    """However independent windows seem: no more than lie side by side."""
    found = check(stationary(0), BLOCKS, 0.01, seconds=3600, recordings=TWO_DAYS, most=most)
    assert found.effective_windows == most
    few = [text.removeprefix("Too few data: ") for text in found.warnings if text.startswith("Too few data: ")]
    assert [text[: len(start)] for text, start in zip(few, told, strict=True)] == told


def test_far_too_few_windows_are_told_in_figures_that_say_something() -> None:
    found = check(stationary(0), BLOCKS, 0.0001, seconds=3600, recordings=TWO_DAYS, most=300)
    assert (
        "Too few data: 60 minutes hold about 300 independent windows; 0.01 % of them is less than 0.1. "
        "About 20,000 are needed to promise that."
    ) in found.warnings


@pytest.mark.parametrize(("number", "few"), [(3, True), (4, False)])
def test_fewer_than_four_blocks_are_too_few(number: int, few: bool) -> None:
    found = check(stationary(0), blocks_of(COUNT, number), 0.01, seconds=3600, recordings=TWO_DAYS)
    assert any(text.startswith("Too few data") for text in found.warnings) == few


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (1.2, ["The data drift: later stretches score 20 % above earlier ones."]),
        (0.8, ["The data drift: later stretches score 20 % below earlier ones."]),
        (1.05, []),  # beyond chance, but little
        (0.95, []),
    ],
)
def test_drift_by_hand(later: float, told: list[str]) -> None:
    found = by_blocks([1.0] * 8 + [later] * 8)
    assert found.drift == pytest.approx(later)
    assert found.drift_p < 0.01
    assert drifts(found) == told


@pytest.mark.parametrize(("half", "orders"), [(4, 70), (6, 924)])
def test_how_often_chance_drifts_as_much(half: int, orders: int) -> None:
    """Of so many orders two are as extreme: all that is higher comes last, or first. One of 35 may well be chance."""
    found = by_blocks([1.0] * half + [2.0] * half)
    assert found.drift_p == pytest.approx(2 / orders, abs=0.007)
    assert bool(drifts(found)) == (half == 6)


def test_what_chance_never_did_has_no_chance_of_0() -> None:
    """None of 4000 drawn orders, and the one that was seen."""
    assert by_blocks([1.0 + index for index in range(40)]).drift_p == 1 / 4001


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (2.0, ["The data drift: the first and the last stretches score 100 % above the middle."]),
        (1.05, []),
        (0.5, []),  # what is scored without its neighbours in time is no nearer to the rest for that
    ],
)
def test_both_ends_by_hand(ends: float, told: list[str]) -> None:
    """The first and the last quarter of twelve blocks."""
    found = by_blocks([ends] * 3 + [1.0] * 6 + [ends] * 3)
    assert (found.drift, found.ends) == (pytest.approx(1.0), pytest.approx(ends))
    assert found.drift_p == 1.0
    assert found.ends_p == pytest.approx(2 / 924, abs=0.003)
    assert drifts(found) == told


def test_drift_is_told_once() -> None:
    """Of 24 blocks the later half scores twice as much, and so do the ends."""
    found = by_blocks([2.0] * 6 + [1.0] * 6 + [2.0] * 6 + [4.0] * 6)
    assert (found.drift, found.ends) == (pytest.approx(2.0), pytest.approx(2.0))
    assert max(found.drift_p, found.ends_p) < 0.01
    assert drifts(found) == ["The data drift: later stretches score 100 % above earlier ones."]


def test_a_few_high_scores_are_no_drift() -> None:
    """The typical score of a block is its median, and at least 1e-9."""
    scores = np.array([1.0, 1, 1] * 8 + [1.0, 1, 100] * 8)
    assert check(scores, np.repeat(np.arange(16), 3), 0.01, seconds=48).drift == 1.0
    assert by_blocks([0.0] * 8 + [1.0] * 8).drift == pytest.approx(1e9)


def test_a_single_block_shows_no_drift() -> None:
    found = check(np.array([1.0, 2, 3]), np.zeros(3, np.int64), 0.01, seconds=3)
    assert (found.drift, found.drift_p, found.ends, found.ends_p) == (1.0, 1.0, 1.0, 1.0)
    assert found.left_out_rates == ()


@pytest.mark.parametrize(("seconds", "uniform"), [(289, True), (291, False)])
def test_one_recording_of_five_minutes_less_its_last_windows_is_enough(seconds: float, uniform: bool) -> None:
    found = check(stationary(0), BLOCKS, 0.01, seconds=seconds)
    told = "Too uniform: one recording of 4.8 minutes, less than 5; record longer, on several days."
    assert (told in found.warnings) == uniform
    assert found.note.startswith("All data come from one recording: ")
    assert examine(stationary(0)).note == ""


def test_scores_and_blocks_of_other_lengths_are_refused() -> None:
    with pytest.raises(GyrovaeError, match=r"differ in shape.*received \(3,\), \(2,\)"):
        check(np.ones(3), np.zeros(2, np.int64), 0.01, seconds=1)


# --- what the amount of data foretells -------------------------------------------------------------------------


def of_windows(*counts: int, hop: int = 64) -> SimpleNamespace:
    """What of a dataset tells its length: windows of 1.28 s, so many of each recording; a quarter are held back."""
    origins = np.array([(recording, hop * place) for recording, count in enumerate(counts) for place in range(count)])
    held_back = len(origins) // 4
    return SimpleNamespace(
        train_origins=origins[:-held_back],
        validation_origins=origins[-held_back:],
        hop=hop,
        spec=SimpleNamespace(window=256, rate_hz=200.0),
        sources=("normal.csv",) * len(counts),  # each in the folder of its day
    )


def of_minutes(minutes: float, recordings: int) -> SimpleNamespace:
    """Windows a quarter of their length apart, which cover so many minutes: the last reaches three hops further."""
    return of_windows(*[round(60 * minutes / recordings / 0.32) - 3] * recordings)


@pytest.mark.parametrize(
    ("minutes", "recordings", "rate", "expected"),
    [
        (10, 1, 0.01, []),
        (5, 1, 0.01, []),  # 234 windows side by side, of which 2.3 are 1 %
        (4.5, 1, 0.01, ["Too uniform"]),  # 211
        (4.5, 2, 0.01, []),  # 105 of each
        (4, 2, 0.01, ["Too few data"]),  # 93
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


def test_two_hundred_windows_side_by_side_are_enough_for_one_percent() -> None:
    """The first, and every fourth behind it; of each recording."""
    assert foreseen(cast(Dataset, of_windows(397, 397))) == ()
    (told,) = foreseen(cast(Dataset, of_windows(397, 396)))  # 396 * 0.32 s and 0.96 s more
    assert told == (
        "Too few data: 4.3 minutes hold at most 199 independent windows; 1 % of them is 2.0. "
        "About 200 are needed to promise that."
    )


def test_windows_further_apart_than_their_length_cover_no_more_than_themselves() -> None:
    """199 windows of 1.28 s, whatever lies between them."""
    (told,) = foreseen(cast(Dataset, of_windows(100, 99, hop=1024)))
    assert told.startswith("Too few data: 4.2 minutes hold at most 199 independent windows;")


def test_short_recordings_hold_a_window_each() -> None:
    """48 of 2 s: three windows, which cover 1.92 s and of which no two share no sample."""
    (told,) = foreseen(cast(Dataset, of_windows(*[3] * 48)))
    assert told.startswith("Too few data: 1.5 minutes hold at most 48 independent windows;")


def test_a_recording_that_was_held_back_whole_is_one_of_several() -> None:
    data = of_minutes(4.5, 1)
    data.validation_origins[:, 0] += 1
    assert foreseen(cast(Dataset, data)) == ()
