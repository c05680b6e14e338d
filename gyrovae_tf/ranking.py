"""Scores of many devices in, the devices by need of attention out: those with the most events and alarms first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SLICES = 48
"""Parts, equal in windows, of what there is of a device: the points of its curve."""
_LOW, _STEP = 1e-3, 1.01  # scores are counted in classes of 1 %
_CLASSES = 2100  # up to above 1e6
RISING = 1.25
"""A device's score rises when the last third's median is so much higher than the first third's."""
_MANY = 5.0
"""Alarms are many when there are so much more of them than was asked for."""
_LEAST_ALARMS = 3

Status = Literal["good", "look", "bad"]


@dataclass(frozen=True)
class Device:
    """What the scores of one device come to."""

    name: str
    recordings: int
    windows: int
    alarms: int
    """Windows with a score of 1.0 and more."""
    events: int
    """Times that the vote began to hold."""
    in_events: float
    """Share of windows at which the vote held."""
    hours: float
    """How much motion was looked at (gaps do not count)."""
    median: float
    """The middle score, to 1 %."""
    upper: float
    """What one window of twenty exceeds, to 1 %."""
    highest: float
    """The highest score."""
    trend: float | None
    """The median of the last third of the windows over that of the first; None where there are fewer than 48."""
    status: Status
    """bad: there were events; look: many alarms, or rising scores; good: neither."""
    why: str
    """Axis, band and direction that were the top reason of most alarms; empty without alarms."""
    curve: tuple[float, ...]
    """The median of each of up to 48 parts, in order."""
    peaks: tuple[float, ...]
    """The highest score of each part."""

    @property
    def alarm_rate(self) -> float:
        """Share of windows that are alarms."""
        return self.alarms / max(self.windows, 1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "alarm_rate": self.alarm_rate}


class Tally:
    """The scores of one device, added in the order of time; memory does not grow with their number."""

    def __init__(self, name: str, windows: int) -> None:
        """The device, and how many windows will come in all."""
        self._name, self._total = name, windows
        self._slices = min(SLICES, max(windows, 1))
        self._counts = np.zeros((self._slices, _CLASSES), np.int64)
        self._peaks = np.zeros(self._slices)
        self._done = self._alarms = self._events = self._held = self._recordings = 0
        self._seconds: dict[float, int] = {}  # from one window to the next -> windows
        self._before: tuple[object, int, bool] = (None, -1, False)
        self._why: dict[str, int] = {}

    def add(
        self,
        recording: object,
        segments: NDArray[Any],
        score: NDArray[np.float64],
        event: NDArray[Any],
        window_s: float,
        why: Iterable[str],
    ) -> None:
        """Further windows of a recording, `window_s` apart: segment, score, event of each, and why alarms were ones."""
        place = (self._done + np.arange(len(score))) * self._slices // max(self._total, 1)
        classes = np.log(np.maximum(score, _LOW) / _LOW) / np.log(_STEP)
        np.add.at(self._counts, (place, np.minimum(classes.astype(np.int64), _CLASSES - 1)), 1)
        np.maximum.at(self._peaks, place, score)
        held = event.astype(bool)
        known, segment, was = self._before
        self._recordings += known != recording
        for index in np.flatnonzero(held):
            if index:
                begins = not (held[index - 1] and segments[index - 1] == segments[index])
            else:
                begins = not (was and (known, segment) == (recording, int(segments[0])))
            self._events += int(begins)
        if len(score):
            self._before = (recording, int(segments[-1]), bool(held[-1]))
        self._held += int(held.sum())
        self._alarms += int((score >= 1.0).sum())
        self._done += len(score)
        self._seconds[window_s] = self._seconds.get(window_s, 0) + len(score)
        for text in why:
            self._why[text] = self._why.get(text, 0) + 1

    def device(self, false_alarm_rate: float) -> Device:
        """The figures; `false_alarm_rate` is what the threshold was set for."""
        third = self._slices // 3
        trend = None
        if self._slices == SLICES:
            trend = _quantile(self._counts[-third:].sum(0), 0.5) / _quantile(self._counts[:third].sum(0), 0.5)
        many = self._alarms >= max(_LEAST_ALARMS, _MANY * false_alarm_rate * self._done)
        rising = trend is not None and trend >= RISING
        everything = self._counts.sum(0)
        return Device(
            name=self._name,
            recordings=self._recordings,
            windows=self._done,
            alarms=self._alarms,
            events=self._events,
            in_events=self._held / max(self._done, 1),
            hours=sum(seconds * windows for seconds, windows in self._seconds.items()) / 3600,
            median=_quantile(everything, 0.5),
            upper=_quantile(everything, 0.95),
            highest=float(self._peaks.max()),
            trend=trend,
            status="bad" if self._events else "look" if many or rising else "good",
            why=max(self._why, key=lambda text: (self._why[text], text), default=""),
            curve=tuple(_quantile(counts, 0.5) for counts in self._counts),
            peaks=tuple(self._peaks.tolist()),
        )


def ranked(devices: Iterable[Device]) -> tuple[Device, ...]:
    """Devices in, those that need attention most first out: by time in events, then alarms, then the upper score."""
    order = ("bad", "look", "good")
    return tuple(sorted(devices, key=lambda d: (order.index(d.status), -d.in_events, -d.alarm_rate, -d.upper, d.name)))


def _quantile(counts: NDArray[np.int64], share: float) -> float:
    """The middle of the class that this share of the counted scores lies in or below."""
    total = int(counts.sum())
    if not total:
        return 0.0
    place = int(np.searchsorted(np.cumsum(counts), share * total, side="left"))
    return float(_LOW * _STEP ** (place + 0.5))
