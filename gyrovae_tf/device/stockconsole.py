"""Figures of the stock firmware's console in, what they mean by a detector's levels out.

Seeed's firmware prints two figures a window (`wire.StockFigures`) and says nothing of alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from gyrovae_tf.device.wire import WRAP, StockFigures, StockSampled
from gyrovae_tf.stockbundle import Band, StockCalibration
from gyrovae_tf.stockdetector import ratios_of
from gyrovae_tf.stockspec import RATE_HZ, WINDOW

MOST_RATIO = 1e6
"""No figure counts for more: inf and -inf are this far off."""

Image = Literal["scalogram", "field"]


class StockReason(NamedTuple):
    """A figure that makes a window abnormal."""

    image: Image
    db: float
    """What was printed."""
    level_db: float
    """Where the alarm begins."""
    side: Literal["low", "high"]
    """Low: unlike normal motion. High: easier to rebuild than normal motion, as where there is less of it."""


@dataclass(frozen=True)
class StockVerdict:
    """What the figures of one window mean."""

    score: float
    """1.0 is the alarm, higher is more abnormal; not a number where no figure is one."""
    reasons: tuple[StockReason, ...]
    """Each figure that is an alarm."""


def verdict(figures: StockFigures, calibration: StockCalibration, *, second_alone: bool = False) -> StockVerdict:
    """Figures of a window and a detector's calibration in, what they mean out.

    The levels are those for the console, with what they allow for the scalogram's undefined row. Where a device's first
    figure is spoilt by that row (far too low whatever the machine does), `second_alone` leaves it out. A figure that is
    no number says nothing.
    """
    scalogram, field = calibration.console
    known: list[tuple[Image, float, Band]] = [("field", figures.field_db, field)]
    if not second_alone:
        known.insert(0, ("scalogram", figures.scalogram_db, scalogram))
    ratios, reasons = [], []
    for image, value, band in known:
        if math.isnan(value):
            continue
        ratios.append(_ratio(value, band))
        if ratios[-1] < 1.0:
            continue
        if value < band.middle_db:
            reasons.append(StockReason(image, value, band.low_db, "low"))
        else:
            reasons.append(StockReason(image, value, band.high_db, "high"))
    return StockVerdict(max(ratios, default=math.nan), tuple(reasons))


def _ratio(value: float, band: Band) -> float:
    """A figure and its band in, how far it lies from the middle in units of the level on that side out."""
    return min(float(ratios_of(np.asarray(value), band)), MOST_RATIO)


RESULT_SAMPLES = 32
"""From one result of the console to the next."""


class Pace:
    """The console's results in, those of windows that lie `hop` samples apart out.

    Each result is of the latest 256 samples, and the firmware gives several of them in that time; alarms of the same
    samples are one observation, not several. What it says of its samples tells how far apart they are; without that,
    this computer's clock.
    """

    def __init__(self, hop: int = WINDOW) -> None:
        self.hop = hop
        self.restart()

    def restart(self) -> None:
        """What follows does not join what came before."""
        self._known: int | None = None  # samples since boot, as last said
        self._total: int | None = None  # the same, if it was said since the latest result
        self._at: int | None = None  # what was said, or would have been, before the result that was last taken
        self._then: float | None = None  # when that was

    def sampled(self, said: StockSampled) -> bool:
        """Numbers of samples in; False where the one since boot has begun anew, and with it all that is known."""
        anew = self._known is not None and (said.total - self._known) % WRAP > WRAP // 2
        if anew:
            self.restart()
        self._known = self._total = said.total
        if self._then is not None and self._at is None:
            # Of the first result since boot nothing was said before it.
            self._at = said.total if said.since == said.total else (said.total - said.since) % WRAP
        return not anew

    def due(self, now: float) -> bool:
        """A result came: whether it is to be taken."""
        total, self._total = self._total, None
        if self._then is None:
            due = True
        elif total is not None and self._at is not None:
            due = (total - self._at) % WRAP >= self.hop
        else:
            due = now - self._then >= self.hop / RATE_HZ
        if due:
            self._then, self._at = now, total
        return due
