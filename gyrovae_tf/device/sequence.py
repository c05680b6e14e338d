"""Samples as a link delivers them in, rows in the device's order out: what is missing, twice, late or too far apart.

A row begins a segment where something is missing in front of it: no window may reach across.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from gyrovae_tf.device.wire import WRAP, Sample, StockSample

_HALF = WRAP // 2
HELD = 32
"""Samples that are kept back behind a hole, at most, in case what belongs there is only late."""
HELD_S = 0.25
"""How long they are kept back."""
_IDLE_S = 2.0  # the same while nothing comes at all: what stands still, the device or this computer, gives nothing up
_RECENT = 512  # samples of which a second copy is known as such
_STEPS = 65  # steps of which the median is the usual one
_LEAST_STEPS = 16
_PAUSE = 2.5  # usual steps; a device's clock may be read late, and is then early for the next

Row: TypeAlias = "tuple[bool, float, float, float]"
"""Whether it begins a segment; x, y, z in counts (of the stock firmware: in m/s^2)."""


@dataclass
class Steps:
    """Times between neighbouring samples, in microseconds: their number, sum and spread."""

    count: int = 0
    total_us: int = 0
    squares: int = 0
    largest_us: int = 0
    usual_us: float = math.inf
    """The median of the latest steps, within segments or not; infinite while there are too few."""
    _latest: deque[int] = field(default_factory=lambda: deque(maxlen=_STEPS))
    _until: int = _LEAST_STEPS  # steps until the median is taken again

    def see(self, step_us: int) -> None:
        """A step from a sample to the next that the device made."""
        self._latest.append(step_us)
        self._until -= 1
        if not self._until:
            self.usual_us, self._until = statistics.median(self._latest), _LEAST_STEPS

    def add(self, step_us: int) -> None:
        """A step within a segment."""
        self.count += 1
        self.total_us += step_us
        self.squares += step_us * step_us
        self.largest_us = max(self.largest_us, step_us)

    @property
    def rate_hz(self) -> float | None:
        """Samples a second by the device's clock; None before there are two."""
        return self.count * 1e6 / self.total_us if self.total_us else None

    @property
    def jitter_us(self) -> float | None:
        """Standard deviation of the steps."""
        if not self.count:
            return None
        return math.sqrt(max(0, self.count * self.squares - self.total_us**2)) / self.count


@dataclass
class Tally:
    """What became of the samples of a stream."""

    samples: int = 0
    """Rows that were given out."""
    gaps: int = 0
    """Places where samples are missing between two rows."""
    lost: int = 0
    """Samples that are missing there, as far as their numbers tell."""
    repeated: int = 0
    """Lines that had come before."""
    late: int = 0
    """Lines that came after later ones, and were put in their place."""
    too_late: int = 0
    """Lines that came when their place had been given up; they count as lost, too."""
    stray: int = 0
    """Lines whose number fits nowhere: damaged, and yet with a CRC that fits."""
    pauses: int = 0
    """Places where nothing is missing by its number, but the clock goes on too far or back."""
    steps: Steps = field(default_factory=Steps)
    most: float = math.inf
    """Rows to give out at most."""
    most_us: float = math.inf
    """The same as a time within segments, in microseconds."""

    @property
    def full(self) -> bool:
        """Whether all that was asked for is there: what comes then is not looked at."""
        return self.samples >= self.most or self.steps.total_us >= self.most_us


class _Held(NamedTuple):
    sample: Sample
    when: float
    passed: int  # rows given out before it came


class Sequence:
    """The samples of one boot of a device."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._next: int | None = None  # the number that is due, without wrapping
        self._last: Sample | None = None
        self._held: dict[int, _Held] = {}
        self._recent: dict[int, Sample] = {}
        self._missing: set[int] = set()
        self._begins = True
        self.rows: list[Row] = []
        """What has been put in order; to be taken out."""

    @property
    def waiting(self) -> bool:
        """Whether samples are held back."""
        return bool(self._held)

    def split(self) -> None:
        """What comes now is a segment of its own."""
        self._begins = True

    def add(self, sample: Sample, now: float) -> bool:
        """A sample, and when it came, in; False where it cannot be one of this boot."""
        if self._tally.full:
            return True
        if self._next is None:
            self._next = sample.number
        ahead = (sample.number - self._next + _HALF) % WRAP - _HALF
        if ahead == 0:
            self._give(sample)
            if self._held:
                self._late()
            return True
        place = self._next + ahead
        if ahead < 0:
            known = self._recent.get(place)
            if known == sample:
                self._tally.repeated += 1
            elif known is None and place in self._missing:
                self._tally.too_late += 1
                self._missing.discard(place)
            else:
                return False
        elif place in self._held:
            self._tally.repeated += 1
        else:
            if any(other > place for other in self._held):
                self._tally.late += 1
            self._held[place] = _Held(sample, now, self._tally.samples)
            if len(self._held) > HELD:
                self._give_up()
        return True

    def tick(self, now: float, *, idle: bool = True) -> None:
        """Let go of what has been held back for long enough.

        Unless the link is `idle` (nothing came), the device's clock has to say so, too: where this computer was late to
        read, what is missing may be what it reads next. An idle link is given more time.
        """
        while self._held and not self._tally.full:
            first = min(self._held)
            patience = _IDLE_S if idle else HELD_S
            if now - self._held[first].when < patience or not (len(self._held) > 1 or self._fits(first)):
                return
            passed_us = (self._held[max(self._held)].sample.t_us - self._held[first].sample.t_us) % WRAP
            if not idle and passed_us < HELD_S * 1e6:
                return
            self._give_up()

    def finish(self) -> None:
        """Nothing more comes."""
        while self._held and not self._tally.full:
            self._give_up()

    def _fits(self, place: int) -> bool:
        """Whether the time of a sample that is held fits its number."""
        assert self._next is not None
        steps, last = self._tally.steps, self._last
        if last is None or not steps.count:
            return True
        usual = steps.total_us / steps.count
        expected = (place - self._next + 1) * usual
        found = (self._held[place].sample.t_us - last.t_us) % WRAP
        off = (found - expected + _HALF) % WRAP - _HALF
        return expected < _HALF and abs(off) <= 0.25 * expected + 5 * usual + 50_000

    def _give_up(self) -> None:
        """What is missing in front of the first sample that is held is lost."""
        assert self._next is not None
        first = min(self._held)
        if (self._tally.samples > self._held[first].passed or len(self._held) == 1) and not self._fits(first):
            del self._held[first]
            self._tally.stray += 1
            return
        self._missing = {place for place in self._missing if place > first - _RECENT}
        self._missing.update(range(max(self._next, first - _RECENT), first))
        self._tally.lost += first - self._next
        self._tally.gaps += 1
        self._begins = True
        self._next = first
        self._drain()

    def _late(self) -> None:
        """A sample came that is due, and after one that is not: either is out of place."""
        first = min(self._held)
        if self._fits(first):
            self._tally.late += 1
            self._drain()
        else:
            del self._held[first]
            self._tally.stray += 1

    def _drain(self) -> None:
        while self._next in self._held and not self._tally.full:
            self._give(self._held.pop(self._next).sample)

    def _give(self, sample: Sample) -> None:
        assert self._next is not None
        tally, last = self._tally, self._last
        begins = self._begins
        if last is not None:
            step = (sample.t_us - last.t_us) % WRAP
            if not begins:
                if step >= _HALF or step > _PAUSE * tally.steps.usual_us:
                    begins = True
                    tally.pauses += 1
                else:
                    tally.steps.add(step)
                tally.steps.see(step)
        self._begins = False
        self._last = sample
        self._recent[self._next] = sample
        self._recent.pop(self._next - _RECENT, None)
        self._next += 1
        tally.samples += 1
        self.rows.append((begins, sample.x, sample.y, sample.z))


class StockSequence:
    """The samples of the stock firmware: without numbers, so that only its times tell of gaps."""

    waiting = False

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._begins = True
        self.rows: list[Row] = []
        """What has come; to be taken out."""

    def split(self) -> None:
        """What comes now is a segment of its own."""
        self._begins = True

    def add(self, sample: StockSample) -> None:
        """A sample in, with the time since the one before it."""
        tally, begins = self._tally, self._begins
        if tally.full:
            return
        step = 1000 * sample.dt_ms
        if not begins:
            usual = tally.steps.usual_us
            # As for the same lines in a file: whole milliseconds alone make 1.25 ms 1, 1, 1, 2.
            if step == 0 or step > max(1.5 * usual, usual + 1000):
                begins = True
                tally.pauses += 1
            else:
                tally.steps.add(step)
            tally.steps.see(step)
        self._begins = False
        tally.samples += 1
        self.rows.append((begins, sample.x, sample.y, sample.z))
