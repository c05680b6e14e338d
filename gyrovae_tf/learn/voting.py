"""Scores of consecutive normal windows in, the vote (k of n windows) and the threshold for a rate of events out.

An event begins when at least k of the latest n windows are alarms and was not so a window before: a rising edge of
`signal.score.vote` over windows side by side. The k-th largest of the latest n scores is the score of such a vote: an
event is an excursion of it above the threshold, so events are counted on the real sequence of scores, with all the
likeness of neighbouring windows, and never computed from the alarms of single windows as if those were independent.
Scores must be those of windows as far apart as on the device (`phases` picks them from denser ones).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import RESAMPLES, TAIL_SHARE, blocks_of, exponential, student_975
from gyrovae_tf.wording import figure, many

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

MENU = ((1, 1), (2, 2), (2, 3), (3, 4), (3, 5))
"""The votes to choose from: alarms among windows. Longer ones need longer recordings than users have."""
DEFAULT = (3, 5)
DAY_S = 86400.0
_REFERENCE_RATE = 0.01
_LEAST_EVENTS = 1e-9  # a day; so that their logarithm exists
_SHARES = (1.0, 0.9, 0.5)


@dataclass(frozen=True)
class Vote:
    """A vote, its threshold, and what to expect of them."""

    alarms: int
    """An event needs this many alarms ..."""
    windows: int
    """... among this many windows in a row that share no samples."""
    threshold: float
    """A window that scores this or more is an alarm."""
    low: float
    """Lower end of the threshold's 95 % interval (equal to it where it was given)."""
    high: float
    """Upper end."""
    events_per_day: float
    """False events a day to expect on normal motion like the one that the scores come from."""
    events_low: float
    """Lower end of their 95 % interval."""
    events_high: float
    """Upper end."""
    events_seen: float
    """Events at this threshold in the scores themselves (where several stretches cover the same time, their mean)."""
    days: float
    """Time that the scores cover (each second once)."""
    hop_s: float
    """Seconds from one window to the next."""
    delay_s: dict[str, float]
    """Share of a fault's windows that are alarms ("1", "0.9", "0.5") -> mean seconds from its first window to an event.

    Alarms of different windows are taken as independent here; the first window itself takes a window's length to fill.
    """
    warnings: tuple[str, ...]
    """What cannot be promised, in plain words."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**dataclasses.asdict(self), "warnings": list(self.warnings)}


def choose_vote(
    scores: Floats,
    stretches: Labels,
    blocks: Labels,
    events_per_day: float,
    *,
    hop_s: float,
    repeats: int = 1,
    menu: Sequence[tuple[int, int]] = MENU,
    seed: int = 0,
) -> Vote:
    """Scores [k] of normal windows `hop_s` apart, their stretches and blocks [k] and a rate of events in, a `Vote` out.

    A stretch is a run of consecutive windows without a gap; a block is what the interval resamples and may hold several
    stretches. `repeats`: how many stretches cover the same time (see `phases`). For each vote of the menu the threshold
    is set to the rate of events; of these the one is chosen that a reference fault triggers soonest: normal scores
    raised by one factor so that half of them would be alarms at a rate of 1 % of single windows. No anomaly is used.
    """
    if not (math.isfinite(events_per_day) and events_per_day > 0):
        raise GyrovaeError("the rate of false alarms is not usable", expected="above 0 a day", received=events_per_day)
    _check(scores, stretches, blocks, hop_s)
    if events_per_day > DAY_S / hop_s:
        raise GyrovaeError(
            "there cannot be so many false alarms a day",
            expected=f"at most {DAY_S / hop_s:,.0f}, as many as windows",
            received=f"{events_per_day:g}",
        )
    reference = scores * (exponential(scores, _REFERENCE_RATE) / max(float(np.median(scores)), 1e-9))
    best: tuple[float, int] | None = None
    for k, n in menu:
        excursions = _excursions(scores, stretches, blocks, (k, n), hop_s)
        threshold = excursions.threshold(events_per_day)
        rank = (expected_windows(k, n, float((reference >= threshold).mean())), n)
        if best is None or rank < best:
            best, chosen, vote = rank, excursions, (k, n)
    if best is None:
        raise GyrovaeError("no votes to choose from")
    threshold = chosen.threshold(events_per_day)
    reach = chosen.reach(lambda drawn: math.log(drawn.threshold(events_per_day)), seed)
    single = _excursions(scores, stretches, blocks, (1, 1), hop_s)
    return _vote(chosen, single, vote, threshold, reach, repeats, seed, events_per_day)


def vote_at(
    scores: Floats,
    stretches: Labels,
    blocks: Labels,
    threshold: float,
    *,
    hop_s: float,
    repeats: int = 1,
    vote: tuple[int, int] = DEFAULT,
    seed: int = 0,
) -> Vote:
    """The same with a threshold and a vote in: the events a day to expect, and the delay."""
    found, single = (_excursions(scores, stretches, blocks, each, hop_s) for each in (vote, (1, 1)))
    return _vote(found, single, vote, threshold, 0.0, repeats, seed, None)


def phases(stretches: Labels, step: int) -> tuple[NDArray[np.intp], Labels]:
    """Stretches [k] of dense windows and a step in; the order in which to take the windows so that consecutive ones are
    `step` apart, and the stretch of each, out: every stretch becomes `step` interleaved ones that cover the same time.
    """
    if step < 1:
        raise GyrovaeError("the step is not usable", expected="1 or more", received=step)
    _, first, which = np.unique(stretches, return_index=True, return_inverse=True)
    phase = (np.arange(len(stretches)) - first[which]) % step
    label = which * step + phase
    order = np.argsort(label, kind="stable")
    return order, label[order].astype(np.int64)


def voted(scores: Floats, alarms: int, windows: int) -> Floats:
    """Consecutive scores [k] in, the `alarms`-th largest of the latest `windows` [k] out: the score of that vote.

    Minus infinity for the first `alarms` - 1.
    """
    if not len(scores):
        return np.zeros(0)
    padded = np.concatenate([np.full(windows - 1, -np.inf), scores])
    view = np.lib.stride_tricks.sliding_window_view(padded, windows)
    out: Floats = np.partition(view, windows - alarms, axis=1)[:, windows - alarms]
    return out


def expected_windows(alarms: int, windows: int, share: float) -> float:
    """A vote and the chance that a window is an alarm in, the mean number of windows until the vote holds out.

    Starting from no alarm, windows independent. Infinite where no window is an alarm, and where it takes so many that
    rounding hides them. Exact: each state is which of the latest `windows` - 1 were alarms.
    """
    if not share > 0:
        return math.inf
    span = windows - 1
    states = [s for s in range(1 << span) if s.bit_count() < alarms]
    place = {state: index for index, state in enumerate(states)}
    matrix = np.eye(len(states))
    for state in states:
        for alarm, chance in ((0, 1 - share), (1, share)):
            if state.bit_count() + alarm >= alarms:
                continue
            following = ((state << 1) | alarm) & ((1 << span) - 1)
            matrix[place[state], place[following]] -= chance
    try:
        mean = float(np.linalg.solve(matrix, np.ones(len(states)))[place[0]])
    except np.linalg.LinAlgError:
        return math.inf
    return mean if math.isfinite(mean) and 0 < mean < 1e12 else math.inf


@dataclass(frozen=True)
class _Excursions:
    """Excursions of a vote's score above an edge, by block: peaks over threshold with runs declustering.

    The edge is exceeded by a fifth of the votes. The peak of an excursion decides whether it is an event at a higher
    threshold (Davison and Smith, Models for Exceedances over High Thresholds, 1990); logarithms of peaks are taken as
    exponential, a heavier tail than that of single windows, because slow changes decide what passes a vote.
    """

    joined: Floats
    """The votes' scores of all runs, minus infinity in front of each."""
    longest: int
    """Windows of the longest run."""
    edge: float
    peaks: list[Floats]
    days: list[float]
    hop_s: float

    def rate(self) -> tuple[float, float]:
        """Excursions a day (one where none was seen: time does not rule it out); mean log excess of their peaks."""
        peaks = np.concatenate(self.peaks)
        excess = float(np.log(peaks / self.edge).mean()) if len(peaks) else 0.0
        return max(len(peaks), 1) / sum(self.days), excess

    def threshold(self, events_per_day: float) -> float:
        rate, excess = self.rate()
        beyond = max(math.log(rate / events_per_day), 0.0) * excess
        return self.edge * math.exp(min(max(beyond, 1e-6), 600.0))

    def events(self, threshold: float) -> float:
        """Events a day to expect: beyond the edge by the tail, up to it as counted."""
        if threshold <= self.edge:
            return self.seen(threshold) / sum(self.days)
        rate, excess = self.rate()
        return rate * math.exp(-min(math.log(threshold / self.edge) / excess, 700.0)) if excess > 0 else 0.0

    def seen(self, threshold: float) -> int:
        """Rising edges at a threshold."""
        above = self.joined >= threshold
        return int((above[1:] & ~above[:-1]).sum())

    def reach(self, measure: Callable[[_Excursions], float], seed: int) -> float:
        """Half the 95 % interval of a figure: its standard error over resampled blocks times Student's t."""
        number = len(self.peaks)
        rng = np.random.default_rng(seed)
        values = []
        for _ in range(RESAMPLES):
            drawn = rng.integers(number, size=number)
            peaks, days = [self.peaks[i] for i in drawn], [self.days[i] for i in drawn]
            values.append(measure(dataclasses.replace(self, peaks=peaks, days=days)))
        freedom = max(number - 1, 1)
        return min(student_975(freedom) * float(np.std(values)) * math.sqrt(number / freedom), 50.0)


def _excursions(scores: Floats, stretches: Labels, blocks: Labels, vote: tuple[int, int], hop_s: float) -> _Excursions:
    _check(scores, stretches, blocks, hop_s)
    edges = np.flatnonzero(np.diff(stretches)) + 1
    runs = [voted(run, *vote) for run in np.split(scores, edges)]
    whole = np.concatenate(runs)
    usable = whole[np.isfinite(whole)]  # no stretch may be long enough for one vote
    edge = max(float(np.quantile(usable, 1 - TAIL_SHARE)) if len(usable) else float(scores.max()), 1e-9)
    labels, place = np.unique(blocks, return_inverse=True)
    if len(labels) == 1:
        place = blocks_of(len(scores), 8)
    peaks: list[list[float]] = [[] for _ in range(int(place.max()) + 1)]
    offset = 0
    for run in runs:
        above = np.concatenate([[False], run > edge, [False]])
        starts, stops = np.flatnonzero(~above[:-1] & above[1:]), np.flatnonzero(above[:-1] & ~above[1:])
        for start, stop in zip(starts, stops, strict=True):
            highest = int(start + run[start:stop].argmax())
            peaks[place[offset + highest]].append(float(run[highest]))
        offset += len(run)
    days = np.bincount(place) * hop_s / DAY_S
    joined = np.concatenate([part for run in runs for part in ([-np.inf], run)])
    return _Excursions(joined, max(map(len, runs)), edge, [np.array(p) for p in peaks], [float(d) for d in days], hop_s)


def _check(scores: Floats, stretches: Labels, blocks: Labels, hop_s: float) -> None:
    if not (len(scores) and scores.shape == stretches.shape == blocks.shape):
        received = f"{scores.shape}, {stretches.shape}, {blocks.shape}"
        raise GyrovaeError("scores, stretches and blocks differ in shape, or are empty", received=received)
    if not hop_s > 0:
        raise GyrovaeError("the time between windows is not usable", expected="above 0 s", received=hop_s)


def _events(found: _Excursions, threshold: float, days: float, seed: int) -> tuple[float, float, float]:
    """Events a day to expect, and their interval."""
    events = found.events(threshold)
    spread = found.reach(lambda drawn: math.log(max(drawn.events(threshold), _LEAST_EVENTS)), seed)
    low, high = events * math.exp(-spread), events * math.exp(spread)
    # What was not seen in the whole time may still happen three times as often as once in it (rule of three).
    high = max(high, 3 / days) if events * days < 1 else high
    return events, low, min(high, DAY_S / found.hop_s)


def _vote(
    found: _Excursions,
    single: _Excursions,
    vote: tuple[int, int],
    threshold: float,
    reach: float,
    repeats: int,
    seed: int,
    asked: float | None,
) -> Vote:
    days = sum(found.days) / repeats
    # Each event has a run of alarms to itself: there are no more of them than of those, which are seen more often.
    both = (_events(each, threshold, days, seed) for each in (found, single))
    events, low, high = map(min, *both)
    warnings = []
    if asked is not None and asked > found.rate()[0]:
        warnings.append(
            f"{figure(asked)} false events a day were asked for, and {figure(events)} are to be expected: no threshold "
            f"is set so low that more than {100 * TAIL_SHARE:.0f} % of normal windows exceed it."
        )
    expected = (events if asked is None else asked) * days
    if found.longest < vote[0]:
        warnings.append(f"No stretch without a gap has the {many(vote[0], 'window')} that an event takes.")
    elif expected < 1:
        covered = f"{figure(24 * days)} hours" if 24 * days >= 1 else f"{figure(1440 * days)} minutes"
        count = f"{figure(events)} false event{'' if figure(events) == '1' else 's'}"
        warnings.append(
            f"{count} a day is an extrapolation: the scores cover {covered}, in which "
            f"{figure(expected)} would be expected. The true figure may be up to {figure(high)} a day; record longer."
        )
    return Vote(
        alarms=vote[0],
        windows=vote[1],
        threshold=threshold,
        low=threshold * math.exp(-reach),
        high=threshold * math.exp(reach),
        events_per_day=events,
        events_low=low,
        events_high=high,
        events_seen=found.seen(threshold) / repeats,
        days=days,
        hop_s=found.hop_s,
        delay_s={f"{share:g}": expected_windows(*vote, share) * found.hop_s for share in _SHARES},
        warnings=tuple(warnings),
    )
