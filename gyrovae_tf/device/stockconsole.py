"""A line of the stock firmware's console in, its two figures out, and what they mean by a detector's levels.

app_main.cpp of gyro_anomaly_detection_nn prints a line for each window, among many others:

    Predict results: -3.67124 -17.98375

The first figure is of the scalogram, the second of the field, in dB (lower: a worse reconstruction). How many decimals
there are depends on what it printed before (fixed with five after its first samples, else six digits in all, perhaps
with an exponent); inf, -inf and nan happen. Its sampling timer prints at the same time, so a line may be cut up: then
it is none.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gyrovae_tf.stockbundle import Band, StockCalibration

_NUMBER = r"[-+]?(?:inf|nan|(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:e[-+]?\d{1,3})?)"
_LINE = re.compile(rf"Predict results: ({_NUMBER}) ({_NUMBER})\s*", re.IGNORECASE | re.ASCII)
_LONGEST = 160
"""Characters of a line that may be one of these."""
MOST_RATIO = 1e6
"""No figure counts for more: inf and -inf are this far off."""


@dataclass(frozen=True)
class Figures:
    """What the console prints of one window, in dB."""

    scalogram_db: float
    field_db: float


@dataclass(frozen=True)
class Verdict:
    """What the figures of one window mean."""

    score: float | None
    """1.0 is the alarm, higher is more abnormal; None where neither figure is a number."""
    reasons: tuple[str, ...]
    """For people: a figure that is an alarm, a reason each."""

    @property
    def alarm(self) -> bool:
        """Whether the window is abnormal."""
        return self.score is not None and self.score >= 1.0


def figures_of(line: str) -> Figures | None:
    """A line of the console, with or without its end, in; its two figures out, or None where it is another line.

    What a boot log or a terminal puts in front of it does not matter.
    """
    place = line.find("Predict results: ")
    found = _LINE.fullmatch(line, place) if place >= 0 and len(line) <= _LONGEST else None
    return None if found is None else Figures(float(found[1]), float(found[2]))


def verdict(figures: Figures, calibration: StockCalibration, *, first: bool = True) -> Verdict:
    """Figures of a window and a detector's calibration in, what they mean out.

    The levels are those for the console, with what they allow for the scalogram's undefined row. Where a device's first
    figure is spoilt by that row (far too low whatever the machine does), `first=False` leaves it out. A figure that is
    no number says nothing.
    """
    scalogram, field = calibration.console
    known = [("scalogram", figures.scalogram_db, scalogram)] if first else []
    known += [("field", figures.field_db, field)]
    ratios, reasons = [], []
    for name, value, band in known:
        if math.isnan(value):
            continue
        ratios.append(_ratio(value, band))
        if ratios[-1] < 1.0:
            continue
        if value < band.middle_db:
            reasons.append(f"{name} {value:.2f} dB, alarm from {band.low_db:.2f} down: unlike normal motion")
        else:
            reasons.append(f"{name} {value:.2f} dB, alarm from {band.high_db:.2f} up: less than normal motion")
    return Verdict(max(ratios, default=None), tuple(reasons))


def _ratio(value: float, band: Band) -> float:
    """A figure and its band in, how far it lies from the middle in units of the level on that side out."""
    if value <= band.middle_db:
        return min((band.middle_db - value) / (band.middle_db - band.low_db), MOST_RATIO)
    return min((value - band.middle_db) / (band.high_db - band.middle_db), MOST_RATIO)
