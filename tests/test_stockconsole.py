"""The console of the stock firmware: what is one of its result lines, and what its two figures mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrovae_tf.device.stockconsole import MOST_RATIO, Figures, figures_of, verdict
from gyrovae_tf.stockbundle import Band, StockCalibration
from gyrovae_tf.stockdetector import Errors, scored

LEVELS = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 3, 5)
"""On the console the first band is -20.5, -10.5, -0.5."""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Predict results: -3.67124 -17.98375", (-3.67124, -17.98375)),  # fixed, five decimals
        ("Predict results: -11.0853 7\r\n", (-11.0853, 7.0)),  # six digits
        ("Predict results: 1e-05 -1.5E+02\n", (1e-5, -150.0)),
        ("Predict results: inf -inf", (math.inf, -math.inf)),
        ("I (3211) main: Predict results: 1 2", (1.0, 2.0)),
        ("\x1b[0mPredict results: 1. .5 ", (1.0, 0.5)),
    ],
)
def test_a_result(line: str, expected: tuple[float, float]) -> None:
    found = figures_of(line)
    assert found == Figures(*expected)


def test_not_a_number_is_a_result() -> None:
    found = figures_of("Predict results: nan -nan")
    assert found is not None
    assert math.isnan(found.scalogram_db)
    assert math.isnan(found.field_db)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Predict time: 104ms",
        "Predict results:",
        "Predict results: 1",
        "Predict results: 1 2 3",
        "Predict results: 1,5 2",
        "Predict results: -11.sample 12:",  # the sampling timer printed in between
        "Predict results: 0x10 2",
        "Predict results: 1_0 2",
        "Predict results: \u0661 \u0662",
        "Predict results: 1  2",
        "Predict results: 1 2" + " " * 200,
        "-3.67 -17.98",
        "0.01234 -0.20000 9.78762 5",  # sampling mode
    ],
)
def test_another_line(line: str) -> None:
    assert figures_of(line) is None


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for line in (text, f"Predict results: {text}", f"Predict results: 1 {text}"):
        found = figures_of(line)
        assert found is None or isinstance(found.scalogram_db, float)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([".5f", ".6g", "g"]))
def test_what_was_printed_is_read(first: float, second: float, form: str) -> None:
    found = figures_of(f"Predict results: {first:{form}} {second:{form}}\r\n")
    assert found == Figures(float(f"{first:{form}}"), float(f"{second:{form}}"))


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
    found = verdict(Figures(first, second), LEVELS)
    assert found.score == pytest.approx(score)
    assert found.reasons == reasons
    assert found.alarm is bool(reasons)


def test_a_spoilt_first_figure_can_be_left_out() -> None:
    assert verdict(Figures(-300.0, -25.0), LEVELS).alarm
    assert verdict(Figures(-300.0, -25.0), LEVELS, first=False).score == 0.0


def test_two_figures_that_are_no_numbers_say_nothing() -> None:
    found = verdict(Figures(math.nan, math.nan), LEVELS)
    assert found.score is None
    assert not found.alarm


@given(st.floats(-60, 20), st.floats(-60, 20))
def test_the_console_and_the_pc_agree(first: float, second: float) -> None:
    """What the PC scores from errors is what is read off the console, but for the allowance for the undefined row."""
    errors = 10 ** (-np.array([[first, second]]) / 10)
    expected = scored(Errors(errors, np.zeros(1), np.zeros(1)), LEVELS).score[0]
    found = verdict(Figures(first - LEVELS.row_db, second), LEVELS)
    assert found.score == pytest.approx(expected, abs=1e-9)
