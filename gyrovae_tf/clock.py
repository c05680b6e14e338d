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
_PAUSE = 20  # median or usual steps: what is longer is no jitter
_USUAL = 0.995  # of all steps: bursts of 200 samples
_BROKEN = 1e-3  # of all steps: where fewer are gaps, nothing is lost by taking them for what they look like
_SKEWED = 1.25  # medians: where the mean is larger, more is lost than is late
_MADE_UP = 0.25  # of what long steps have too much: that short ones have too little tells jitter from losses
_REACH = 4  # of an uneven clock's typical step, by time: what is longer is a gap
_SHARED = 0.1  # of all steps of an uneven clock: from so many that are none on, samples share their times


class Steps:
    """Steps of a clock, added piece by piece in order. Memory is bounded, whatever their number.

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

    def usual(self) -> float:
        """The longest of those above 0, but for one in 200."""
        values, passed = self._above()
        return float(values[np.searchsorted(passed, _USUAL * passed[-1])])

    def _above(self) -> tuple[Floats, NDArray[np.int64]]:
        """Those above 0, and how many there are up to each."""
        above = self._values > 0
        return self._values[above], np.cumsum(self._counts[above])

    def mean(self, above: float, longest: float) -> float:
        """The mean of those that are longer than `above`, up to `longest`."""
        kept = (self._values > above) & (self._values <= longest)
        return math.fsum(self._sums[kept]) / int(self._counts[kept].sum())

    def share(self, above: float, longest: float) -> float:
        """How many of all are longer than `above`, up to `longest`."""
        kept = (self._values > above) & (self._values <= longest)
        return float(self._counts[kept].sum() / self._counts.sum())

    def jitter(self, back: float, pause: float, slowest: float) -> float | None:
        """The longest step that is no gap of a clock that runs unevenly; None: it runs evenly, but for what is lost.

        Steps back by `back` and more, and those longer than `pause`, are not looked at; the mean of the others is at
        most `slowest`. Samples that are stamped as they arrive, or by a coarse clock, come in steps too long that
        others make up for, which are too short; what is lost is not made up for.
        """
        kept = (self._values > -back) & (self._values <= pause)
        values, counts = self._values[kept], self._counts[kept]
        if counts.sum() < _FEWEST:
            return None
        total = values * counts
        mean = math.fsum(total) / int(counts.sum())
        short, long = values < mean / 2, values > 1.5 * mean
        missing = math.fsum((mean - values[short]) * counts[short])
        excess = math.fsum((values[long] - mean) * counts[long])
        if not 0 < mean <= slowest or not excess or missing < _MADE_UP * excess:
            return None
        passed = np.cumsum(np.maximum(total, 0.0))
        typical = float(values[np.searchsorted(passed, passed[-1] / 2)])
        return _REACH * typical


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
    uneven: bool = False
    """Whether its steps differ so much that gaps up to `longest` cannot be told from them."""
    shared: bool = False
    """Whether many samples share their times with others, as those of a coarse clock, or of several sensors, do."""
    bursts: Clock | None = None
    """What they say if samples were stamped as they arrived, some at once: true where a known rate fits this alone."""

    @classmethod
    def of(cls, steps: Steps, *, fractional: bool, is_dt: bool) -> Clock:
        """All steps, whether any time has a fraction, and whether the column holds the steps themselves, in."""
        median = steps.median()
        if median is None:
            return cls(0.0, math.inf, None)
        longest = longest_step(median, fractional=fractional)
        if is_dt:  # cut to whole ms at each sample, which does not average out
            return cls(0.0, longest, 1000 / median, 1.0)
        bursts = cls._uneven(steps, median, longest, steps.usual(), math.inf)
        broken = 1 - steps.share(0.0, longest) >= _BROKEN
        if broken and (found := cls._uneven(steps, median, longest, median, _SKEWED * median)):
            return found._replace(bursts=bursts)
        return cls(0.0, longest, 1000 / steps.mean(0.0, longest), bursts=bursts)

    @classmethod
    def _uneven(cls, steps: Steps, median: float, longest: float, usual: float, slowest: float) -> Clock | None:
        """The clock that steps give if they are uneven, up to some usual ones; None: they are not."""
        reach = steps.jitter(median, _PAUSE * usual, slowest)
        if reach is None:
            return None
        reach = max(reach, longest)
        shared = steps.share(-math.ulp(0.0), 0.0) >= _SHARED
        return cls(-median, reach, 1000 / steps.mean(-median, reach), uneven=True, shared=shared)

    def gaps(self, steps: Floats) -> NDArray[np.bool_]:
        """Steps in, which of them are gaps out."""
        return (steps <= self.shortest) | (steps > self.longest)


def longest_step(median: float, *, fractional: bool) -> float:
    """The median step of a clock in ms, and whether any time has a fraction, in; the longest that is no gap, out."""
    return 1.5 * median if fractional else max(1.5 * median, median + 1)
