"""Names of columns in; which of them are motion, time and segment out. CSV and Parquet files are read by it alike.

Motion is `x,y,z`, or else an accelerometer's axes by one of the names they usually have (`accX` as Edge Impulse writes,
`ax`, `acc_x`, `accel_x (g)`, `imu[0].accx`, `linear_acceleration_x`), or else a gyroscope's `gyrX,gyrY,gyrZ`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

EXPECTED = "columns x,y,z or accX,accY,accZ (or ax, acc_x, accel_x ...) or gyrX,gyrY,gyrZ"
SEGMENT = "segment"
TIME = "timestamp"
_G = 9.80665  # m/s^2, the standard acceleration of free fall
_ACCELERATIONS = {
    **{"g": _G, "mg": _G / 1000},
    **dict.fromkeys(("m/s^2", "m/s2", "m/s²", "ms2", "mps2"), 1.0),
    **dict.fromkeys(("mm/s^2", "mm/s2", "mm/s²"), 1e-3),
}
_MILLISECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1.0),
    **dict.fromkeys(("us", "µs", "usec", "micros", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanoseconds"), 1e-6),
}
_TURNED = ("rad/s", "deg/s", "°/s", "dps")
_UNIT = r"(?:[ _]+(?P<plain>{0})|[ _]*[(\[](?P<braced>{0})[)\]])?"
_ACCELERATION = re.compile(
    r"(?:imu\W*\d*\W*)?(?:lin(?:ear)?[ _]?)?(?:|a|acc|accel|acceleration|accelerometer|axis)[ _.-]?(?P<axis>[xyz])"
    r"(?:[ _-]?axis)?" + _UNIT.format("|".join(map(re.escape, _ACCELERATIONS)))
)
_CLOCK = re.compile(
    r"(?:(?:(?:unix|epoch|utc|host|device|sensor|server|system|relative|up|u)[ _]?)?"
    r"(?:time[ _]?stamp|elapsed[ _]time|elapsed|time[ _]t|time[ _]since[ _]start(?:[ _]in)?|time|t)"
    + _UNIT.format("|".join(_MILLISECONDS))
    + r"|(?P<bare>millis|milliseconds|micros|microseconds|nanos|nanoseconds|seconds)(?:[ _]elapsed)?)"
)


Kind = Literal["number", "time", "text", "nothing"]
"""What the first value of a column is: a number; a time of day, with or without its date; other text; missing."""


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
    written: bool = False
    """Whether times are written as such (12:00:00.005), and so to be read as milliseconds."""
    unread: int | None = None
    """Where there is no time: a column that has a time's name but no times."""


def is_unit(text: str) -> bool:
    """Whether a text, perhaps in brackets, is a unit of motion or of time."""
    return text.strip().strip("[]()").strip().lower() in {*_ACCELERATIONS, *_MILLISECONDS, *_TURNED}


def read_header(names: Sequence[str], kind: Callable[[int], Kind]) -> Header | None:
    """Names of columns, and what the first value of one is, in; what they are out.

    None when there is no motion among them; `ValueError`, which names it, when a column that counts is there twice. A
    time is `timestamp`, or else the first column of numbers with a usual name for one (`time`, `t_ms`, `time (s)`), or
    else the first of written times.
    """
    lower = [name.strip().lower() for name in names]
    motion = _motion(lower)
    if motion is None:
        return None
    axes, units, factor = motion
    for name in (*axes, TIME, SEGMENT):
        if lower.count(name) > 1:
            raise ValueError(f"column {name} is there {lower.count(name)} times")
    x, y, z = map(lower.index, axes)
    segment = lower.index(SEGMENT) if SEGMENT in lower else None
    clocks = {index: found for index, name in enumerate(lower) if (found := _CLOCK.fullmatch(name))}
    time = _time(lower, list(clocks), kind)
    if time is None:
        return Header((x, y, z), units, factor, None, None, segment, unread=next(iter(clocks), None))
    if kind(time) == "time":
        return Header((x, y, z), units, factor, time, 1.0, segment, written=True)
    unit = clocks[time]["plain"] or clocks[time]["braced"] or clocks[time]["bare"]
    return Header((x, y, z), units, factor, time, _MILLISECONDS[unit] if unit else None, segment)


def _time(names: Sequence[str], clocks: Sequence[int], kind: Callable[[int], Kind]) -> int | None:
    """Which of the columns that have a time's name is the time; None where none holds times."""
    # A timestamp whose first value is missing is one all the same, and is refused with its row.
    if TIME in names and kind(names.index(TIME)) != "text":
        return names.index(TIME)
    return next((index for wanted in ("number", "time") for index in clocks if kind(index) == wanted), None)


def _motion(names: Sequence[str]) -> tuple[tuple[str, str, str], str | None, float] | None:
    """Names in lower case in; those of the axes, their units and a factor to these out."""
    turned = "w" in names  # x, y, z and w are a quaternion
    for axes, units in ((("x", "y", "z"), None), (("accx", "accy", "accz"), "m/s^2")):
        if set(axes) <= set(names) and not (units is None and turned):
            return axes, units, 1.0
    for name in names:
        matched = _ACCELERATION.fullmatch(name)
        if not matched or (turned and name in ("x", "y", "z")):
            continue
        before, after = name[: matched.start("axis")], name[matched.end("axis") :]
        axes = (f"{before}x{after}", f"{before}y{after}", f"{before}z{after}")
        if set(axes) <= set(names):
            unit = matched["plain"] or matched["braced"]
            return axes, "m/s^2" if unit else None, _ACCELERATIONS[unit] if unit else 1.0
    axes = ("gfx", "gfy", "gfz")  # g-forces, of Physics Toolbox
    if set(axes) <= set(names):
        return axes, "m/s^2", _G
    axes = ("gyrx", "gyry", "gyrz")
    # Edge Impulse's firmware gives degrees per second.
    return (axes, "rad/s", math.pi / 180) if set(axes) <= set(names) else None
