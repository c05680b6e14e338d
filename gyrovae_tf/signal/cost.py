"""A spec in, what its front end costs the device out: multiply-accumulates a window, and bytes of tables in flash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gyrovae_tf.signal.scalogram import LOG2_TABLE, instants_of_cells
from gyrovae_tf.spec import AXES, BANDS, CELLS, HALF_BAND, LEVELS, Spec

MOST_MACS = 300_000
"""A front end may need so many multiply-accumulates a window of three axes."""
MOST_TABLE_BYTES = 24 * 1024
"""And so many bytes of tables."""
MOST_SCORE_BYTES = 8 * 1024
"""The score's tables may take so many bytes (`Calibration.table_bytes`)."""


@dataclass(frozen=True)
class Cost:
    """What the device pays for one step of detection."""

    macs: Mapping[str, int]
    """Stage -> multiply-accumulates a window of three axes."""
    table_bytes: Mapping[str, int]
    """Group of tables -> bytes in flash."""

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates a window, all stages."""
        return sum(self.macs.values())

    @property
    def total_table_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(self.table_bytes.values())


def frontend_cost(spec: Spec) -> Cost:
    """A spec in, the `Cost` of the `power` front end for a window of three axes out.

    A multiply-accumulate is one product of two integers, whether or not its result is added to a sum; additions,
    shifts, comparisons and look-ups are not counted. By stage, for each axis:

    - pyramid: at each octave that a band lives in, or that leads there, one product for each nonzero tap of the
      half-band filter and each sample that is kept (the centre tap, a shift, counts as one).
    - wavelets: for each band, at each different instant of its cells, one product for each tap of the right half,
      real and imaginary (zero at the centre): the two samples that mirrored taps share are added, or subtracted,
      first. (Without that it would be twice as many.)
    - power: two squares for each band and instant.
    - field: shares times transitions times shares, [32, 8] x [8, 8] x [8, 32], and a division counted as one product
      for each of the 64 transitions.
    - pixels: one product for each pixel of both images.

    Tables are counted in the types of the generated header: int16 wavelet taps (right half only), with level, count,
    offset and centre frequency of each band; the filter; the logarithm's table; floors, means and gains of the
    scalogram; edges, means and gains of the field.
    """
    top = max(band.level for band in spec.bands)
    instants = [len(np.unique(instants_of_cells(spec.window, band.level))) for band in spec.bands]
    halves = [len(band.real) for band in spec.bands]
    filter_taps = sum(tap != 0 for tap in HALF_BAND)
    macs = {
        "pyramid": filter_taps * sum(spec.window >> level for level in range(1, top + 1)),
        "wavelets": sum(count * (2 * half - 1) for count, half in zip(instants, halves, strict=True)),
        "power": 2 * sum(instants),
        "field": CELLS * LEVELS * LEVELS + CELLS * LEVELS * CELLS + LEVELS * LEVELS,
        "pixels": 2 * BANDS * CELLS,
    }
    table_bytes = {
        "wavelets": 2 * 2 * sum(halves) + BANDS * (1 + 2 + 2 + 4),
        "filter": 2 * len(HALF_BAND),
        "logarithm": len(LOG2_TABLE),
        "scalogram": 2 * BANDS + len(AXES) * BANDS * (2 + 4),
        "field": len(AXES) * 4 * (LEVELS - 1 + 2),
    }
    return Cost({stage: len(AXES) * count for stage, count in macs.items()}, table_bytes)
