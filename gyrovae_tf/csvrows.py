"""Whole lines of a CSV recording in, their rows and numbers out, by what its first rows have told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.clock import Clock, Steps
from gyrovae_tf.csvtable import (
    LARGEST,
    LATEST,
    Clockwork,
    Floats,
    Table,
    fourth_is_dt,
    parse,
    refuse_other_than_dt,
    refuse_times,
)


@dataclass(frozen=True)
class Layout:
    """How the rows of one file are to be read."""

    delimiter: bytes
    names: list[str] | None
    width: int  # fields in a row
    ended: bool = False  # as `csvtable.Table`
    comma: bool = False  # as `csvtable.Table`
    axes: tuple[int, ...] = (0, 1, 2)
    time: int | None = None
    tick_ms: float | None = 1.0  # as `header.Header`
    segment: int | None = None
    written: bool = False  # as `header.Header`
    clock: Clockwork | None = None  # as `csvtable.Motion`
    units: str | None = "m/s^2"
    factor: float = 1.0
    flat: bool = False  # rows of x y z x y z ...
    kept: int = 0  # values of the first of such rows that are samples; in front of them are
    skipped: int = 0
    may_hold_dt: bool = False  # such rows could also be x y z dt x y z dt ...

    @property
    def limits(self) -> dict[int, float]:
        """Column -> largest size of its numbers."""
        if self.flat:
            return dict.fromkeys(range(max(self.width, self.kept + self.skipped)), LARGEST)
        return dict.fromkeys(self.axes, LARGEST) | ({} if self.time is None else {self.time: LATEST})


class Watched:
    """What the first pass gathers of times, and of what could be times."""

    def __init__(self, source: str, layout: Layout) -> None:
        self._source, self._layout = source, layout
        self._steps, self._fractional = Steps(), False
        self._clock: Floats | None = None  # the latest time
        self._first: Floats | None = None  # of the first column: a value, three where it could be a time
        self._rest: list[float] = []  # least and largest dt
        self._row = 0
        self._could_be_time = True
        self._latest_first = -np.inf
        self._rises = np.full(3, layout.names is None and layout.time is None and not layout.flat)
        self._latest = np.full((1, 3), -np.inf)
        self._all_whole, self._fourth_whole, self._fourth = True, True, [np.inf, -np.inf]

    def add(self, table: Table, *, first: bool) -> bool:
        """Look at some rows; whether all that is looked at are numbers."""
        layout = self._layout
        if layout.flat:
            return not layout.may_hold_dt or self._add_flat(table, first=first)
        if layout.time is None:
            return self._add_rises(table, first=first)
        is_dt = layout.names is None
        found = numbers_of(table, layout, ({0: LATEST} if is_dt else {}) | {layout.time: LATEST}, first=first)
        if found is None:
            return False
        clock = found[0][:, -1]
        self._fractional |= bool((clock % 1).any())
        if is_dt:
            self._steps.add(clock[1:] if self._row == 0 else clock)
            self._look(found[0][:, 0], clock)
        else:
            self._steps.add(np.diff(clock) if self._clock is None else np.diff(clock, prepend=self._clock))
            self._clock = clock[-1:]
        self._row += len(clock)
        return True

    def _look(self, first: Floats, last: Floats) -> None:
        """Keep what tells whether the last column can be dt, and the first a time."""
        rises = np.diff(first, prepend=self._latest_first) > 0
        self._could_be_time &= bool(rises.all()) and not (first % 1).any()
        self._latest_first = float(first[-1])
        rest = last[1:] if self._row == 0 else last
        if self._row == 0:
            self._first_dt = float(last[0])
        if len(rest):
            bounds = [float(rest.min()), float(rest.max()), *self._rest]
            self._rest = [min(bounds), max(bounds)]

    def _add_rises(self, table: Table, *, first: bool) -> bool:
        if not self._rises.any():  # as it is with motion, after a few rows
            return True
        found = numbers_of(table, self._layout, self._layout.limits, first=first)
        if found is None:
            return False
        self._rises &= (np.diff(found[0], axis=0, prepend=self._latest) > 0).all(axis=0)
        self._latest = found[0][-1:]
        self._row += len(found[0])
        return True

    def _add_flat(self, table: Table, *, first: bool) -> bool:
        found = numbers_of(table, self._layout, self._layout.limits, first=first)
        if found is None:
            return False
        values = found[0].ravel()
        whole, fourth = values % 1 == 0, values[::-4]
        self._all_whole &= bool(whole.all())
        self._fourth_whole &= bool(whole[::-4].all())
        if len(fourth):
            self._fourth = [min(self._fourth[0], fourth.min()), max(self._fourth[1], fourth.max())]
        return True

    def clock(self) -> Clock | None:
        """The clock that was found, at the end; refuses what is none."""
        layout = self._layout
        low, high = self._fourth
        if layout.may_hold_dt and self._fourth_whole and not self._all_whole and low >= 0 and high >= 2:
            raise fourth_is_dt(self._source)
        if layout.time is None:
            refuse_times(self._source, self._row, self._rises)
            return None
        if layout.names is None:
            # The same verdict as on the whole columns, from a few values that are like them.
            times = np.arange(min(self._row, 3), dtype=float) if self._could_be_time else np.zeros(1)
            dts = np.array([self._first_dt, *self._rest, *([self._rest[-1]] if self._rest else [])])
            if self._fractional:
                dts[-1] = 0.5
            none = np.zeros(0, np.intp)
            refuse_other_than_dt(Table(self._source, b"", b"", None, none, none, none, none), times, dts)
        return Clock.of(self._steps, fractional=self._fractional, is_dt=layout.names is None)


def changed(layout: Layout, **changes: Any) -> Layout:
    return Layout(**{**vars(layout), **changes})


def numbers_of(
    table: Table, layout: Layout, limits: Mapping[int, float], *, first: bool
) -> tuple[Floats, NDArray[np.object_] | None] | None:
    """The columns of `limits`, or the samples of flat rows, and the labels of segments; None when one is no number."""
    if not layout.flat:
        written = layout.time if layout.written else None
        return parse(table.body, layout.delimiter, len(table.lines), limits, layout.segment, written)
    body, rows = table.body, len(table.lines)
    if first:
        head = b"\n".join(table.row(0)[layout.skipped :])
        text = head + body[table.ends[0] :].replace(layout.delimiter, b"\n")
        total = layout.kept + (rows - 1) * layout.width
    else:
        text, total = body.replace(layout.delimiter, b"\n"), rows * layout.width
    if not total:
        return np.zeros((0, 3)), None
    found = parse(text, layout.delimiter, total, {0: LARGEST}, None)
    return None if found is None else (found[0].reshape(-1, 3), None)
