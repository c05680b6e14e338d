"""The console of the stock firmware: what its two figures mean, and which of its results are windows of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrovae_tf.device.monitor import in_words
from gyrovae_tf.device.stockconsole import MOST_RATIO, Pace, verdict
from gyrovae_tf.device.wire import WRAP, StockFigures, StockSampled
from gyrovae_tf.stockbundle import Band, StockCalibration
from gyrovae_tf.stockdetector import Errors, scored

LEVELS = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 3, 5)
"""On the console the first band is -20.5, -10.5, -0.5."""


@pytest.mark.parametrize(
    ("first", "second", "score", "reasons"),
    [
        (-10.5, -25.0, 0.0, ()),
        (-15.5, -25.0, 0.5, ()),
        (-20.5, -25.0, 1.0, ("scalogram -20.50 dB, alarm from -20.50 down: unlike normal motion",)),
        (-0.5, -25.0, 1.0, ("scalogram -0.50 dB, alarm from -0.50 up: less than normal motion",)),
        (-10.5, -40.0, 3.0, ("field -40.00 dB, alarm from -30.00 down: unlike normal motion",)),
        (-10.5, -math.inf, MOST_RATIO, ("field -inf dB, alarm from -30.00 down: unlike normal motion",)),
        (math.nan, -27.5, 0.5, ()),
    ],
)
def test_what_figures_mean(first: float, second: float, score: float, reasons: tuple[str, ...]) -> None:
    found = verdict(StockFigures(first, second), LEVELS)
    assert found.score == pytest.approx(score)
    assert tuple(map(in_words, found.reasons)) == reasons
    assert (found.score >= 1.0) is bool(reasons)


def test_a_spoilt_first_figure_can_be_left_out() -> None:
    assert verdict(StockFigures(-300.0, -25.0), LEVELS).score > 1.0
    assert verdict(StockFigures(-300.0, -25.0), LEVELS, second_alone=True).score == 0.0


def test_two_figures_that_are_no_numbers_say_nothing() -> None:
    found = verdict(StockFigures(math.nan, math.nan), LEVELS)
    assert math.isnan(found.score)
    assert found.reasons == ()


@given(st.floats(-60, 20), st.floats(-60, 20))
def test_the_console_and_the_pc_agree(first: float, second: float) -> None:
    """What the PC scores from errors is what is read off the console, but for the allowance for the undefined row."""
    errors = 10 ** (-np.array([[first, second]]) / 10)
    expected = scored(Errors(errors, np.zeros(1), np.zeros(1)), LEVELS).score[0]
    found = verdict(StockFigures(first - LEVELS.row_db, second), LEVELS)
    assert found.score == pytest.approx(expected, abs=1e-9)


# --- which results are windows of their own


def taken(pace: Pace, totals: list[int | None], step_s: float = 0.17) -> list[int]:
    """Which results are taken: they come every `step_s` seconds, and the samples so far are told after each."""
    found = []
    for i, total in enumerate(totals):
        if pace.due(i * step_s):
            found.append(i)
        if total is not None:
            pace.sampled(StockSampled(32, total))
    return found


def test_results_of_the_same_samples_are_taken_once() -> None:
    """256 samples are eight results of 32."""
    assert taken(Pace(), [320 + 32 * i for i in range(40)]) == [0, 8, 16, 24, 32]


def test_after_a_boot_one_result_more_is_waited_for() -> None:
    """How many of its samples came while it was made, the first one does not say."""
    pace = Pace()
    assert pace.due(0.0)
    pace.sampled(StockSampled(277, 277))
    found = []
    for i in range(1, 20):
        found.append(pace.due(0.0))
        pace.sampled(StockSampled(32, 277 + 32 * i))
    assert [i for i, due in enumerate(found, 1) if due] == [9, 17]


def test_slow_results_are_all_taken() -> None:
    pace = Pace()
    assert all(pace.due(0.0) and pace.sampled(StockSampled(300, 1000 + 300 * i)) for i in range(5))


def test_every_result_by_a_hop_of_1() -> None:
    assert taken(Pace(1), [320 + 32 * i for i in range(5)]) == [0, 1, 2, 3, 4]


def test_without_the_number_of_samples_the_clock_tells() -> None:
    assert taken(Pace(), [None] * 20) == [0, 8, 16]


def test_one_number_that_is_missing_costs_one_result_at_most() -> None:
    totals: list[int | None] = [320 + 32 * i for i in range(40)]
    totals[16] = None
    assert taken(Pace(), totals) == [0, 8, 16, 24, 32]
    totals[15] = totals[16] = None
    assert taken(Pace(), totals) == [0, 8, 16, 25, 33]


def test_the_number_of_samples_begins_again_at_2_to_the_32() -> None:
    assert taken(Pace(), [(WRAP - 200 + 32 * i) % WRAP for i in range(20)]) == [0, 8, 16]


def test_a_boot_that_was_not_seen_shows_in_the_number_of_samples() -> None:
    pace = Pace()
    assert pace.sampled(StockSampled(32, 5000))
    assert not pace.sampled(StockSampled(32, 288))
    assert pace.sampled(StockSampled(32, 320))
