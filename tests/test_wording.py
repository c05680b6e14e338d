"""Words of counts, figures and scores."""

from __future__ import annotations

import pytest

from gyrovae_tf.wording import figure, first_of, many, one_line, score, some


@pytest.mark.parametrize(("count", "text"), [(0, "0 gaps"), (1, "1 gap"), (1200, "1,200 gaps")])
def test_counts(count: int, text: str) -> None:
    assert many(count, "gap") == text


@pytest.mark.parametrize(
    ("names", "dots", "counted"),
    [
        ("a", "a", "a"),
        ("a b c", "a, b, c", "a, b, c"),
        ("a b c d", "a, b, c, d", "a, b, c and 1 more"),
        ("a b c d e f g", "a, b, c, d, e, ...", "a, b, c and 4 more"),
    ],
)
def test_names(names: str, dots: str, counted: str) -> None:
    assert (some(names.split()), first_of(names.split())) == (dots, counted)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (0.0001, "under 0.01"), (0.0123, "0.012"), (1.25, "1.2"), (9.9, "9.9"), (67500.4, "67,500")],
)
def test_figures(number: float, text: str) -> None:
    assert figure(number) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.994, 2, "0.99"),
        (0.9977, 2, "0.99"),
        (1.0, 2, "1.00"),
        (0.99996, 3, "0.999"),
        (1.004, 2, "1.00"),
        (12.3, 2, "12.30"),
    ],
)
def test_a_score_below_the_alarm_is_not_rounded_up_to_it(value: float, digits: int, text: str) -> None:
    assert score(value, digits) == text


def test_an_alarm_may_lie_elsewhere() -> None:
    """A threshold that was set on site, or with --threshold."""
    assert [score(value, 2, 1.5) for value in (0.999, 1.4999, 1.5, 1.504)] == ["1.00", "1.49", "1.50", "1.50"]
    assert score(float("nan"), 2, 1.5) == "nan"
    assert score(float("inf"), 2, 1.5) == "inf"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("no such file", "no such file"),
        ("too few; expected 9\nRecord  longer.", "too few; expected 9. Record longer."),
    ],
)
def test_a_message_in_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
