"""Counts and figures in, words for people out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_NAMED = 5
_SHORT_S = 600.0


def many(count: int, what: str) -> str:
    """A count and what is counted in, as in "1 gap" and "1,200 gaps", out."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def false_events(a_day: float) -> str:
    """False events a day that were asked for in, as in "a mean of 0.5 false events a day", out."""
    return f"a mean of {a_day:g} false event{'' if a_day == 1 else 's'} a day"


def expected_events(vote: Mapping[str, Any]) -> str:
    """`voting.Vote.to_dict` in, the false events to expect and the delay to an event as lines of text out."""
    rule = f"{many(vote['alarms'], 'alarm')} of {many(vote['windows'], 'window')}"
    events = figure(vote["events_per_day"])
    events += " false one" if events == "1" else " false ones"
    return (
        f"events ({rule}, {figure(vote['hop_s'])} s apart): {events} a day ({figure(vote['events_low'])} to "
        f"{figure(vote['events_high'])}); "
        f"a fault is told\n{vote['delay_s']['1']:.1f} s after its first window where all its windows are alarms, "
        f"{vote['delay_s']['0.5']:.1f} s where half are"
    )


def unit_of_time(seconds: float) -> tuple[float, str]:
    """How long something lasts in; the unit to tell times in it by, in seconds and in words, out."""
    return (1.0, "seconds") if seconds < _SHORT_S else (60.0, "minutes")


def span(start_s: float, stop_s: float, whole_s: float) -> str:
    """From when to when of how long in, as in "seconds 28 to 33" or "minutes 12.5 to 14.1", out."""
    unit, name = unit_of_time(whole_s)
    start, stop = start_s / unit, stop_s / unit
    digits = 0 if unit == 1 and stop - start >= 2 else 1 if stop - start >= 0.2 else 2
    return f"{name} {start:.{digits}f} to {stop:.{digits}f}"


def some(names: Sequence[str], most: int = _NAMED) -> str:
    """Names in, the first few of them, parted by commas, out; dots stand for the others."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def first_of(names: Sequence[str], most: int = 3) -> str:
    """Names in, the first few of them, and how many more there are, out."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def figure(number: float) -> str:
    """A number in, two significant digits of it, and no powers of ten, out."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}" if number >= 0.01 or number == 0 else "under 0.01"


def score(value: float, digits: int = 2, alarm: float = 1.0) -> str:
    """A score in, so many digits of it out; one below the alarm is never rounded up to it."""
    text = f"{value:.{digits}f}"
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}" if value < alarm <= float(text) else text


def one_line(text: str) -> str:
    """A message of one line or two in, both as sentences of one line out."""
    *first, last = (" ".join(part.split()) for part in text.splitlines() or [""])
    return " ".join([*(f"{part.removesuffix('.')}." for part in first), last])
