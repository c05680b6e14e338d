"""The times of a recording in, piece by piece or at once; the rate they give and which steps of theirs are gaps out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DISTINCT = 1 << 20  # steps between two samples that are told apart exactly
_COARSE = np.int64(-1 << 32)  # keeps the first 20 bits of a float64's fraction: a millionth of its value
_FEWEST = 32  # steps: of fewer it is not told how they differ
_PAUSE = 100  # median steps: what is longer is no lateness
_USUAL = 0.995  # of all steps: bursts of 200 samples ...
_PAUSE_OF_BURSTS = 20  # ... and the longest between two, in the longest usual step
_SKEWED = 1.25  # medians: where the mean is larger, more is lost than is late
_MADE_UP = 0.25  # of what long steps have too much: that short ones have too little tells lateness from losses
_ALL_MADE_UP = 0.8
_RARE = 1e-3  # of all steps: nothing is lost by taking so few for what they look like
_MANY = 0.01  # of all steps: from so many short ones on an even clock gives another rate
_HALF, _NEARLY_ALL = 0.5, 0.95  # of the mean step: shorter ones are too short, if samples were late, and if all jitter
_NEAR_WHOLE = 0.2  # steps
_REACH = 4  # of a late clock's typical step, by time: what is longer is a gap, but where that is usual


class Steps:
    """Steps of a clock, added piece by piece. Memory is bounded, whatever their number.

    They are told apart exactly up to a million distinct ones, else to a millionth.
    """

    def __init__(self) -> None:
        self._values: Floats = np.zeros(0)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sums: Floats = np.zeros(0)
        self._coarse = False

    def add(self, steps: Floats) -> None:
        """Take note of some."""
        values = np.concatenate([self._values, self._keys(steps)])
        counts = np.concatenate([self._counts, np.ones(len(steps), np.int64)])
        self._merge(values, counts, np.concatenate([self._sums, steps]))
        if len(self._values) > _DISTINCT and not self._coarse:
            self._coarse = True
            self._merge(self._keys(self._values), self._counts, self._sums)

    def _keys(self, steps: Floats) -> Floats:
        return np.frombuffer((steps.view(np.int64) & _COARSE).tobytes()) if self._coarse else steps

    def _merge(self, values: Floats, counts: NDArray[np.int64], sums: Floats) -> None:
        distinct, places = np.unique(values, return_inverse=True)
        self._values = distinct
        self._counts = np.bincount(places, counts, len(self._values)).astype(np.int64)
        self._sums = np.asarray(np.bincount(places, sums, len(self._values)), np.float64)

    def median(self) -> float | None:
        """The middle one of those above 0, or the mean of the two in the middle; None without any."""
        values, passed = self._above()
        if not len(values):
            return None
        return float(values[np.searchsorted(passed, [(passed[-1] - 1) // 2, passed[-1] // 2], "right")].mean())

    def are_all(self, step: float) -> bool:
        """Whether there are some, each of them this one."""
        return len(self._values) == 1 and self._values[0] == step

    def usual(self) -> float:
        """The longest of those above 0, but for one in 200."""
        values, passed = self._above()
        return float(values[np.searchsorted(passed, _USUAL * passed[-1])])

    def _above(self) -> tuple[Floats, NDArray[np.int64]]:
        """Those above 0, and how many there are up to each."""
        above = self._values > 0
        return self._values[above], np.cumsum(self._counts[above])

    def up_to(self, longest: float) -> tuple[float, float]:
        """Those above 0 and up to `longest`: their mean, and their share of all."""
        kept = (self._values > 0) & (self._values <= longest)
        number = int(self._counts[kept].sum())
        return math.fsum(self._sums[kept]) / number, number / int(self._counts.sum())

    def whole(self, step: float, longest: float) -> bool:
        """Whether most of those above `longest` are near a whole number of so long steps, as behind lost samples."""
        above = self._values > longest
        turns = self._values[above] / step
        near = np.abs(turns - turns.round()) <= _NEAR_WHOLE
        return bool(self._counts[above][near].sum() > self._counts[above].sum() / 2)

    def late(self, back: float, pause: float, slowest: float, longest: float, short_of: float = _HALF) -> Clock | None:
        """The clock that these give if samples were stamped as they arrived; None: they were not.

        Steps back by `back` and more, and those longer than `pause`, are not looked at; the mean of the others is at
        most `slowest`. Those below `short_of` means are too short. None up to `longest` is a gap. Samples that are
        stamped as they arrive, or by a coarse clock, come in steps too long that others make up for, which are too
        short; what is lost is not made up for.
        """
        kept = (self._values > -back) & (self._values <= pause)
        values, counts = self._values[kept], self._counts[kept]
        number = int(counts.sum())
        if number < _FEWEST:
            return None
        total = values * counts
        mean = math.fsum(total) / number
        if not 0 < mean <= slowest:
            return None
        short, long = values < short_of * mean, values > 1.5 * mean
        missing = math.fsum((mean - values[short]) * counts[short])
        excess = math.fsum((values[long] - mean) * counts[long])
        behind = float(counts[short].sum() / number)
        if behind < _RARE or missing < _MADE_UP * excess:
            return None
        passed = np.cumsum(np.maximum(total, 0.0))
        reach = _REACH * float(values[np.searchsorted(passed, passed[-1] / 2)])
        if counts[values > reach].sum() >= _RARE * number and missing >= _ALL_MADE_UP * excess:
            reach = pause  # of stalls: nothing is lost in them
        above = float(counts[long].sum() / number)
        return Clock(-back, max(reach, longest), 1000 / mean, behind=behind, above=above)


class Clock(NamedTuple):
    """What a recording's times say."""

    shortest: float
    """Milliseconds; a step that is not longer is a gap."""
    longest: float
    """Milliseconds; a longer step is a gap."""
    measured_hz: float | None
    """None where no step is above 0."""
    slack_ms: float = 0.0
    """What dt, in whole milliseconds, may be off."""
    behind: float = 0.0
    """Of a clock that runs unevenly, as of arrival: the share of samples that follow right behind another, or with it.

    Gaps up to `longest` cannot be told from its steps.
    """
    above: float = 0.0
    """Of such a clock: the share of steps that are too long."""
    late: Clock | None = None
    """The same times, if samples were stamped somewhat late."""
    bursts: Clock | None = None
    """The same times, if samples were stamped as they arrived, many at once: what they look like is another rate."""
    jitter: Clock | None = None
    """The same times, if most steps are a little too short and others too long, as of a loop that waits by turns."""
    counts: bool = False
    """Whether every step is 1: then it may count samples, and be no time."""
    whole: bool = True
    """Whether what is too long are mostly whole numbers of steps: then samples may be lost instead."""

    @classmethod
    def of(cls, steps: Steps, *, fractional: bool, is_dt: bool) -> Clock:
        """All steps, whether any time has a fraction, and whether the column holds the steps themselves, in."""
        median = steps.median()
        if median is None:
            return cls(0.0, math.inf, None)
        longest = longest_step(median, fractional=fractional)
        if is_dt:  # cut to whole ms at each sample, which does not average out
            return cls(0.0, longest, 1000 / median, 1.0)
        mean, share = steps.up_to(longest)
        even = cls(0.0, longest, 1000 / mean, counts=steps.are_all(1.0))
        if 1 - share < _RARE:
            return even
        return even._replace(
            late=steps.late(median, _PAUSE * median, _SKEWED * median, longest),
            jitter=steps.late(median, _PAUSE * median, _SKEWED * median, longest, _NEARLY_ALL),
            whole=steps.whole(mean, longest),
            bursts=steps.late(median, _PAUSE_OF_BURSTS * steps.usual(), math.inf, longest),
        )

    @property
    def unsure(self) -> bool:
        """Whether so many samples follow late and then right behind others that their steps do not say the rate.

        Short steps alone may be repeats.
        """
        return self.late is not None and self.late.behind >= _MANY and self.late.above >= _RARE

    def gaps(self, steps: Floats) -> NDArray[np.bool_]:
        """Steps in, which of them are gaps out."""
        return (steps <= self.shortest) | (steps > self.longest)


def longest_step(median: float, *, fractional: bool) -> float:
    """The median step of a clock in ms, and whether any time has a fraction, in; the longest that is no gap, out."""
    return 1.5 * median if fractional else max(1.5 * median, median + 1)
