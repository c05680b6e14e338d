"""Counts and figures in, words for people out."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 5


def many(count: int, what: str) -> str:
    """A count and what is counted in, as in "1 gap" and "1,200 gaps", out."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def false_events(a_day: float) -> str:
    """False events a day that were asked for in, as in "a mean of 0.5 false events a day", out."""
    return f"a mean of {a_day:g} false event{'' if a_day == 1 else 's'} a day"


def some(names: Sequence[str], most: int = _NAMED) -> str:
    """Names in, the first few of them, parted by commas, out; dots stand for the others."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def figure(number: float) -> str:
    """A number in, two significant digits of it, and no powers of ten, out."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}" if number >= 0.01 or number == 0 else "under 0.01"


def score(value: float, digits: int = 2) -> str:
    """A score in, so many digits of it out; one below the alarm is never rounded up to it."""
    text = f"{value:.{digits}f}"
    return f"0.{'9' * digits}" if value < 1 <= float(text) else text


def one_line(text: str) -> str:
    """A message of one line or two in, both as sentences of one line out."""
    *first, last = (" ".join(part.split()) for part in text.splitlines() or [""])
    return " ".join([*(f"{part.removesuffix('.')}." for part in first), last])
