"""Votes: events by hand on literal alarms, delays by hand and by simulation, and a rate of events that is kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import blocks_of
from gyrovae_tf.learn.voting import DAY_S, MENU, choose_vote, expected_windows, phases, vote_at, voted
from gyrovae_tf.signal.score import vote


def alarms(text: str) -> NDArray[np.float64]:
    """ "..x." -> scores of which x is an alarm at 1.0."""
    return np.array([2.0 if letter == "x" else 0.5 for letter in text])


def zeros(count: int) -> NDArray[np.int64]:
    return np.zeros(count, np.int64)


# --- events ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "k", "n", "events"),
    [
        ("..x..x.xx.", 1, 1, 3),
        ("..x..x.xx.", 2, 2, 1),
        ("..x..x.xx.", 2, 3, 1),
        (".xx..xx...", 2, 2, 2),
        ("xxx.......", 3, 5, 1),
        ("x.x.x.....x.x.x", 3, 5, 2),
        ("x..x..x..x", 3, 5, 0),
        ("..........", 1, 1, 0),
        ("xxxxxxxxxx", 1, 1, 1),
    ],
)
def test_events_by_hand(text: str, k: int, n: int, events: int) -> None:
    found = vote_at(alarms(text), zeros(len(text)), zeros(len(text)), 1.0, hop_s=1.0, vote=(k, n))
    assert found.events_seen == events


def test_a_gap_ends_a_vote() -> None:
    text = "...xxx..."
    whole = vote_at(alarms(text), zeros(9), zeros(9), 1.0, hop_s=1.0, vote=(3, 3))
    broken = vote_at(alarms(text), np.array([0] * 5 + [1] * 4), zeros(9), 1.0, hop_s=1.0, vote=(3, 3))
    assert (whole.events_seen, broken.events_seen) == (1, 0)


@given(st.lists(st.floats(0, 3), max_size=40), st.sampled_from(MENU))
def test_the_votes_score_tells_whether_the_vote_holds(values: list[float], choice: tuple[int, int]) -> None:
    scores = np.array(values)
    assert (voted(scores, *choice) >= 1.0).tolist() == vote(scores >= 1.0, *choice).tolist()


def test_phases_by_hand() -> None:
    order, stretches = phases(np.array([0, 0, 0, 0, 0, 7, 7, 7]), 2)
    assert order.tolist() == [0, 2, 4, 1, 3, 5, 7, 6]
    assert stretches.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]


# --- delay -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "share", "mean"),
    [
        (3, 5, 1.0, 3.0),
        (1, 1, 0.5, 2.0),
        (1, 4, 0.25, 4.0),
        (2, 2, 0.5, 6.0),  # two heads in a row: 1 / p + 1 / p^2
        (3, 3, 0.5, 14.0),
        (2, 3, 0.0, math.inf),
    ],
)
def test_the_delay_by_hand(k: int, n: int, share: float, mean: float) -> None:
    assert expected_windows(k, n, share) == pytest.approx(mean)


@pytest.mark.parametrize(("k", "n"), MENU)
def test_the_delay_is_that_of_the_vote(k: int, n: int) -> None:
    rng = np.random.default_rng(0)
    first = [int(vote(rng.random(400) < 0.5, k, n).argmax()) + 1 for _ in range(2000)]
    assert expected_windows(k, n, 0.5) == pytest.approx(np.mean(first), rel=0.08)


# --- a rate of events ------------------------------------------------------------------------------------------


def like_neighbours(count: int, seed: int, rho: float = 0.8) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(count)
    scores: NDArray[np.float64] = np.exp(0.2 * signal.lfilter([math.sqrt(1 - rho * rho)], [1.0, -rho], noise))
    return scores


@pytest.mark.parametrize("choice", MENU)
def test_the_rate_of_events_is_kept_on_other_data_of_the_same_kind(choice: tuple[int, int]) -> None:
    """200 events a day asked for, from two hours of windows a second apart; counted on ten days."""
    made, fresh = like_neighbours(7200, 1), like_neighbours(864_000, 2)
    found = choose_vote(made, zeros(7200), blocks_of(7200, 12), 200, hop_s=1.0, menu=[choice])
    counted = vote_at(fresh, zeros(864_000), blocks_of(864_000, 10), found.threshold, hop_s=1.0, vote=choice)
    assert 100 < counted.events_seen / 10 < 400
    assert found.events_per_day == pytest.approx(200, rel=1e-6)
    assert found.low < found.threshold < found.high
    assert found.events_low < 200 < found.events_high
    assert (found.days, found.warnings) == (pytest.approx(7200 / DAY_S), ())


def test_fewer_events_asked_for_give_a_higher_threshold() -> None:
    scores, blocks = like_neighbours(3600, 3), blocks_of(3600, 12)
    few, many = (choose_vote(scores, zeros(3600), blocks, rate, hop_s=1.0, menu=[(3, 5)]) for rate in (1, 100))
    assert few.threshold > many.threshold
    twice = choose_vote(2 * scores, zeros(3600), blocks, 100, hop_s=1.0, menu=[(3, 5)])
    assert twice.threshold == pytest.approx(2 * many.threshold)


def test_an_extrapolation_is_called_one() -> None:
    scores = like_neighbours(300, 4)
    found = choose_vote(scores, zeros(300), blocks_of(300, 8), 1, hop_s=1.0)
    assert found.events_high > 100  # three in five minutes cannot be ruled out: 864 a day
    assert any("1 false event a day is an extrapolation: the scores cover 5 minutes" in w for w in found.warnings)


def test_neighbours_that_are_alike_make_voting_useless_and_independent_ones_do_not() -> None:
    """Bursts of ten equal windows pass every vote alike, so the shortest one wins; lone outliers are voted out."""
    rng = np.random.default_rng(5)
    lone = 1 + 0.1 * rng.exponential(size=6000)
    bursts = np.repeat(lone[:600], 10)
    ask = {"hop_s": 1.0, "stretches": zeros(6000), "blocks": blocks_of(6000, 12), "events_per_day": 50.0}
    of_bursts, of_lone = choose_vote(bursts, **ask), choose_vote(lone, **ask)  # type: ignore[arg-type]
    assert of_bursts.alarms == 1
    assert of_lone.alarms > 1
    assert of_lone.threshold < of_bursts.threshold


def test_a_record_is_json_and_repeats() -> None:
    scores = like_neighbours(600, 6)
    order, stretches = phases(zeros(600), 2)
    blocks = blocks_of(600, 8)
    one, two = (
        choose_vote(scores[order], stretches, blocks[order], 24, hop_s=2.0, repeats=2, seed=3) for _ in range(2)
    )
    assert one == two
    assert one.days == pytest.approx(600 / DAY_S)
    record = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert record["delay_s"]["1"] == one.alarms * 2.0
    assert record["delay_s"]["0.5"] > record["delay_s"]["0.9"] >= record["delay_s"]["1"]


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=30), rate=st.floats(1e-3, 67_500))
def test_whatever_the_scores_every_figure_is_a_number(values: list[float], rate: float) -> None:
    scores = np.array(values)
    found = choose_vote(scores, zeros(len(values)), blocks_of(len(values), 3), rate, hop_s=1.28)
    json.dumps(found.to_dict(), allow_nan=False)
    assert 0 < found.low <= found.threshold <= found.high
    assert 0 <= found.events_low <= found.events_per_day <= found.events_high


def test_a_vote_has_no_more_events_than_its_alarms_alone() -> None:
    """Few scores, of which the tail of a vote may foresee anything."""
    rng = np.random.default_rng(5)
    for count in (60, 200, 1000):
        scores = rng.lognormal(0, 0.4, count)
        place, blocks = zeros(count), blocks_of(count, 8)
        for threshold in np.quantile(scores, [0.5, 0.9, 0.99]) * 1.01:
            single, *others = (
                vote_at(scores, place, blocks, float(threshold), hop_s=1.28, vote=choice)
                for choice in ((1, 1), (2, 2), (2, 3), (3, 5), (5, 8))
            )
            for one in others:
                assert one.events_per_day <= single.events_per_day
                assert one.events_low <= single.events_low
                assert one.events_high <= single.events_high


def test_more_events_than_are_possible() -> None:
    scores, place = np.random.default_rng(6).lognormal(0, 0.4, 1000), zeros(1000)
    with pytest.raises(GyrovaeError, match=r"so many false alarms a day; expected at most 67,500, .* received 1e\+06"):
        choose_vote(scores, place, blocks_of(1000, 8), 1e6, hop_s=1.28)
    found = choose_vote(scores, place, blocks_of(1000, 8), 60_000, hop_s=1.28)
    assert found.events_per_day < 30_000
    (told,) = (text for text in found.warnings if "were asked for" in text)
    assert told.startswith("60,000 false events a day were asked for, and ")
    assert told.endswith("no threshold is set so low that more than 20 % of normal windows exceed it.")


def test_what_is_not_usable_is_refused() -> None:
    one = np.ones(10)
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(GyrovaeError, match="rate of false alarms"):
            choose_vote(one, zeros(10), zeros(10), rate, hop_s=1.0)
    with pytest.raises(GyrovaeError, match="no votes to choose from"):
        choose_vote(one, zeros(10), zeros(10), 1.0, hop_s=1.0, menu=())
    with pytest.raises(GyrovaeError, match="time between windows"):
        choose_vote(one, zeros(10), zeros(10), 1.0, hop_s=0.0)
    with pytest.raises(GyrovaeError, match="empty"):
        choose_vote(np.zeros(0), zeros(0), zeros(0), 1.0, hop_s=1.0)
