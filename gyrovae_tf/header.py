"""Names of columns in; which of them are motion, time and segment out. CSV and Parquet files are read by it alike.

Motion is `x,y,z`, or else an accelerometer's axes by one of the names they usually have (`accX` as Edge Impulse writes,
`ax`, `acc_x`, `accel_x (g)`, `imu[0].accx`, `linear_acceleration_x`), or else a gyroscope's `gyrX,gyrY,gyrZ`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

EXPECTED = "columns x,y,z or accX,accY,accZ (or ax, acc_x, accel_x ...) or gyrX,gyrY,gyrZ"
SEGMENT = "segment"
TIME = "timestamp"
_G = 9.80665  # m/s^2, the standard acceleration of free fall
_ACCELERATIONS = {"g": _G, "mg": _G / 1000, **dict.fromkeys(("m/s^2", "m/s2", "m/s²", "ms2", "mps2"), 1.0)}
_MILLISECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1.0),
    **dict.fromkeys(("us", "µs", "usec", "micros", "microseconds"), 1e-3),
}
_UNIT = r"(?:[ _]+(?P<plain>{0})|[ _]*[(\[](?P<braced>{0})[)\]])?"
_ACCELERATION = re.compile(
    r"(?:imu\W*\d*\W*)?(?:lin(?:ear)?[ _]?)?(?:|a|acc|accel|acceleration|accelerometer)[ _.-]?(?P<axis>[xyz])"
    + _UNIT.format("|".join(map(re.escape, _ACCELERATIONS)))
)
_CLOCK = re.compile(
    r"(?:(?:time[ _]?stamp|elapsed[ _]time|elapsed|time|t)"
    + _UNIT.format("|".join(_MILLISECONDS))
    + r"|(?P<bare>millis|milliseconds|micros|microseconds|seconds))"
)


class Header(NamedTuple):
    """What the columns of a file are, by number from 0."""

    axes: tuple[int, int, int]
    units: str | None
    """None: the names do not say."""
    factor: float
    """What a value is multiplied by to be in these units."""
    time: int | None
    tick_ms: float | None
    """Milliseconds in one step of the time column; None: its name does not say."""
    segment: int | None


def read_header(names: Sequence[str], is_number: Callable[[int], bool]) -> Header | None:
    """Names of columns, and whether the first value of one is a number, in; what they are out.

    None when there is no motion among them; `ValueError`, which names it, when a column that counts is there twice. A
    time is `timestamp`, or else the first column of numbers with a usual name for one (`time`, `t_ms`, `time (s)`).
    """
    lower = [name.strip().lower() for name in names]
    found = _motion(lower)
    if found is None:
        return None
    axes, units, factor = found
    for name in (*axes, TIME, SEGMENT):
        if lower.count(name) > 1:
            raise ValueError(f"column {name} is there {lower.count(name)} times")
    time, tick_ms = _time(lower, is_number)
    x, y, z = map(lower.index, axes)
    return Header((x, y, z), units, factor, time, tick_ms, lower.index(SEGMENT) if SEGMENT in lower else None)


def _motion(names: Sequence[str]) -> tuple[tuple[str, str, str], str | None, float] | None:
    """Names in lower case in; those of the axes, their units and a factor to these out."""
    for axes, units in ((("x", "y", "z"), None), (("accx", "accy", "accz"), "m/s^2")):
        if set(axes) <= set(names):
            return axes, units, 1.0
    for name in names:
        matched = _ACCELERATION.fullmatch(name)
        if not matched:
            continue
        before, after = name[: matched.start("axis")], name[matched.end("axis") :]
        axes = (f"{before}x{after}", f"{before}y{after}", f"{before}z{after}")
        if set(axes) <= set(names):
            unit = matched["plain"] or matched["braced"]
            return axes, "m/s^2" if unit else None, _ACCELERATIONS[unit] if unit else 1.0
    axes = ("gyrx", "gyry", "gyrz")
    # Edge Impulse's firmware gives degrees per second.
    return (axes, "rad/s", math.pi / 180) if set(axes) <= set(names) else None


def _time(names: Sequence[str], is_number: Callable[[int], bool]) -> tuple[int | None, float | None]:
    """Names in lower case in; the column of the time and the milliseconds in one of its steps out."""
    if TIME in names:
        return names.index(TIME), None
    for index, name in enumerate(names):
        matched = _CLOCK.fullmatch(name)
        if matched and is_number(index):
            unit = matched["plain"] or matched["braced"] or matched["bare"]
            return index, _MILLISECONDS[unit] if unit else None
    return None, None
