"""Recordings in, which of them hold nothing but samples of another out: a copy is not to be learnt from, and tried on.

A recording counts as held by another where its samples stand there in a row, wherever that is: the whole file under
another name, the older backup of a file that grew, a file among those that were joined to one. What else a file says
(times, gaps, its first line) does not matter. Two passes over the recordings, piece by piece: the first finds a place
in each by which it is known again, and reads as far as that, mostly some rows; the second looks for these places in all
of them. Rows count as numbers of 64 bits, and samples in a row as sums of those, which follow from the sums before and
behind.
"""

from __future__ import annotations

import functools
import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import readable
from gyrovae_tf.learn.making import Crew, Progress
from gyrovae_tf.learn.preparing import ROWS
from gyrovae_tf.recording import Recording
from gyrovae_tf.streaming import Stream
from gyrovae_tf.wording import first_of

_PLACE = 64  # rows by which a recording is known again: no window is shorter
_LEAST_CHANGES = 8  # of these rows that differ from the one before: a board at rest reads the same by chance
_TRIES = 16  # places in a recording that are tried for another, where motion repeats exactly
_BLOCK = 1 << 16  # rows that are looked at at once
_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
Numbers = NDArray[np.uint64]


class Known(NamedTuple):
    """Recordings without those whose samples others hold."""

    kept: list[int]
    """Numbers of these, from 0, in order."""
    left_out: tuple[int, ...] = ()
    """Numbers of the others."""
    note: str = ""
    """What is to be said of them; empty where there are none."""


class _Place(NamedTuple):
    """By what a recording is known again."""

    row: int
    key: int
    """Its `_PLACE` rows from there on."""


class _Sought(NamedTuple):
    """The places of all recordings."""

    whose: dict[int, list[tuple[int, int]]]
    """Key -> the recordings that are known by it, and the row of each."""
    lengths: list[int]
    """Of all recordings."""


def without_copies(
    streams: Sequence[Stream],
    sources: Sequence[Recording | str],
    window: int,
    crew: Crew,
    progress: Progress | None = None,
) -> Known:
    """Recordings, where they are from, and the length of a window in; the same without those that others hold out.

    Of equal ones the first is kept. One is left alone where nothing in it is unlike a sensor at rest, or less than a
    window from there on.
    """
    everything = list(range(len(streams)))
    if len(streams) < 2:
        return Known(everything)
    lengths = [stream.facts.rows for stream in streams]
    worth = sum(lengths) > ROWS
    whose: dict[int, list[tuple[int, int]]] = {}
    for number, place in sorted(crew.results(_place, None, streams, worth=worth)):
        if place is not None and lengths[number] - place.row >= window:
            whose.setdefault(place.key, []).append((number, place.row))
    # Where one alone is left, there is nothing to be found in the others.
    tasks = list(enumerate(streams)) if sum(map(len, whose.values())) > 1 else []
    found: dict[int, list[tuple[int, int]]] = {}
    for index, seen in crew.results(_look, _Sought(whose, lengths), tasks, worth=worth):
        found[index] = seen
        if progress and worth:
            progress(len(found), len(tasks), "recordings, whether one holds another")
    whole = {number: came_to for number, seen in found.items() for other, came_to in seen if other == number}
    holders: dict[int, list[int]] = {}
    for number, seen in found.items():
        for other, came_to in seen:
            larger = (lengths[number], -number) > (lengths[other], -other)
            if larger and whole.get(other) == came_to:
                holders.setdefault(other, []).append(number)
    left_out = tuple(sorted(holders))
    kept = [number for number in everything if number not in holders]
    return Known(kept, left_out, _told(streams, sources, {number: _kept_by(number, holders) for number in left_out}))


def _kept_by(number: int, holders: dict[int, list[int]]) -> int:
    """Which recording that is kept holds this one: a holder may be held by another itself."""
    while number in holders:
        number = next((holder for holder in sorted(holders[number]) if holder not in holders), holders[number][-1])
    return number


def _told(streams: Sequence[Stream], sources: Sequence[Recording | str], held: dict[int, int]) -> str:
    """Recordings, where they are from, and which are left out for which, in; what is to be said out."""
    if not held:
        return ""
    often = Counter(stream.source for stream in streams)

    def name(number: int) -> str:
        short, place = streams[number].source, sources[number]
        if often[short] == 1:
            return short
        return f"{short} (number {number + 1})" if isinstance(place, Recording) else place

    by_holder: dict[str, list[str]] = {}
    for number, holder in held.items():
        part = "" if streams[number].facts.rows == streams[holder].facts.rows else "a part of "
        by_holder.setdefault(part + name(holder), []).append(name(number))
    if len(by_holder) == 1:
        ((holder_name, names),) = by_holder.items()
        verbs = ("holds", "is") if len(names) == 1 else ("hold", "are")
        return f"{first_of(names)} {verbs[0]} the same samples as {holder_name} and {verbs[1]} left out."
    pairs = [f"{copy} (as {holder_name})" for holder_name, names in by_holder.items() for copy in names]
    return f"{len(pairs)} recordings hold the same samples as others and are left out: {first_of(pairs)}."


def _place(_: None, stream: Stream) -> _Place | None:
    """A recording in, the first place by which it is known again out; None where there is none."""
    last: Numbers = np.zeros(0, np.uint64)
    for row, numbers in _rows(stream):
        known = np.concatenate([last, numbers])
        changes = np.concatenate([[0], np.cumsum(known[1:] != known[:-1])])
        if len(known) >= _PLACE:
            enough = np.flatnonzero(changes[_PLACE - 1 :] - changes[: 1 - _PLACE] >= _LEAST_CHANGES)
            if len(enough):
                first = int(enough[0])
                sums = np.cumsum(known[first : first + _PLACE] * _powers(_BASE, _PLACE))
                return _Place(row - len(last) + first, int(sums[-1]))
        last = known[1 - _PLACE :]
    return None


def _look(sought: _Sought, task: tuple[int, Stream]) -> list[tuple[int, int]]:
    """Places, and a recording with its number, in; what it holds for which of the others, from their place on, out.

    It is in itself, too, which says what it comes to.
    """
    number, stream = task
    total = sought.lengths[number]
    inverse = pow(_BASE, -1, 1 << 64)
    ahead, back = _powers(_BASE, _BLOCK), _powers(inverse, _BLOCK + _PLACE)
    sought_keys = np.array(sorted(sought.whose), np.uint64)
    tries = Counter[int]()
    waiting: list[tuple[int, int, int, int]] = []  # the row behind, whose, the sum before, the first row
    found: list[tuple[int, int]] = []
    sums = np.zeros(1, np.uint64)  # of all rows before `start`, and each next one
    start = 0
    for row, numbers in _rows(stream):
        powers = ahead[: len(numbers)] * np.uint64(pow(_BASE, row, 1 << 64))
        sums = np.concatenate([sums, sums[-1] + np.cumsum(numbers * powers, dtype=np.uint64)])
        behind = row + len(numbers)
        count = behind - start - _PLACE + 1  # places that are whole
        if count > 0:
            keys = (sums[_PLACE:] - sums[:count]) * (back[:count] * np.uint64(pow(inverse, start, 1 << 64)))
            nearest = np.minimum(np.searchsorted(sought_keys, keys), len(sought_keys) - 1)
            for hit in np.flatnonzero(sought_keys[nearest] == keys).tolist():
                key, place = int(keys[hit]), start + hit
                if tries[key] == _TRIES:
                    continue
                ends = [
                    (place - first + sought.lengths[other], other)
                    for other, first in sought.whose[key]
                    if place >= first and place - first + sought.lengths[other] <= total
                ]
                tries[key] += bool(ends)
                for end, other in ends:
                    heapq.heappush(waiting, (end, other, int(sums[hit]), place))
        while waiting and waiting[0][0] <= behind:
            end, other, before, first = heapq.heappop(waiting)
            came_to = (int(sums[end - start]) - before) * pow(inverse, first, 1 << 64) % (1 << 64)
            found.append((other, came_to))
        if count > 0:
            sums, start = sums[count:], start + count
    return found


def _rows(stream: Stream) -> Iterator[tuple[int, Numbers]]:
    """A recording in; a number for each of its rows, `_BLOCK` of them at the most at once, and the first's row out."""
    with readable(stream.path):
        for piece in stream.pieces():
            for place in range(0, len(piece.samples), _BLOCK):
                yield piece.row + place, _numbers(piece.samples[place : place + _BLOCK])


def _numbers(samples: NDArray[Any]) -> Numbers:
    """Samples [n, 3] in, a number for each row out. They are taken in float32: some formats keep no more of them."""
    axes = (samples.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)  # 0 makes -0 the same as 0
    mixed = np.zeros(len(samples), np.uint64)
    for axis, factor in enumerate(_MIX):
        mixed = (mixed + axes[:, axis] + np.uint64(1)) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
    return mixed


@functools.lru_cache(maxsize=4)
def _powers(base: int, count: int) -> Numbers:
    """A number's first powers, from 1 on, of 64 bits each."""
    return np.cumprod(np.array([1, *[base] * (count - 1)], np.uint64), dtype=np.uint64)
