"""A detector for the stock firmware put to work on the PC: what its console would print, and what that means."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Model, copied
from gyrovae_tf.signal.stock import check_windows, figures, stock_images, to_int8, wrapped
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration
from gyrovae_tf.stockspec import UNDEFINED_ROWS, StockSpec

Floats = NDArray[np.float64]

MOST_DB = 200.0
"""No figure is higher, not even that of a reconstruction without error."""
_PART = 256


@dataclass(frozen=True)
class Errors:
    """Sums of squared errors of k windows' reconstructions, of the images before int8, as the firmware adds them up."""

    images: Floats
    """[k, 2] of scalogram and field, less the scalogram's undefined row."""
    row: Floats
    """[k] of that row, with the undefined quarter of it taken for 0."""
    wrapped: Floats
    """[k] share of pixels that int8 could not hold, and that the model saw as something else."""

    @property
    def figures(self) -> Floats:
        """[k, 2] in dB (at most `MOST_DB`), as the console prints them but for the undefined row."""
        return np.minimum(figures(self.images), MOST_DB)

    @property
    def console(self) -> Floats:
        """[k, 2] the same with that row."""
        total = self.images + np.stack([self.row, np.zeros_like(self.row)], axis=1)
        return np.minimum(figures(total), MOST_DB)


@dataclass(frozen=True, eq=False)
class StockScores:
    """The scores of k windows and what they are made of."""

    score: Floats
    """[k] 1.0 is the alarm, higher is more abnormal: the greater of the two images' `ratios`."""
    ratios: Floats
    """[k, 2] how far the figures of scalogram and field lie from the middle one of normal windows, in units of the
    alarm level on that side."""
    too_low: NDArray[np.bool_]
    """[k, 2] whether that is below the middle: a worse reconstruction."""
    figures: Floats
    """[k, 2] in dB (`Errors.figures`)."""
    wrapped: Floats
    """[k] share of pixels that wrapped around in int8."""


class StockDetector:
    """A bundle's front end, model and score in one call.

    The model runs in a process of its own, threads take turns, and copies are as those of `runtime.Detector`.
    """

    def __init__(self, bundle: StockBundle | str | os.PathLike[str], kernels: str | None = None) -> None:
        """A bundle, or the path of one (or of a run that holds one); `kernels` as for `runtime.Model`."""
        self.bundle = bundle if isinstance(bundle, StockBundle) else StockBundle.load(bundle)
        self.model = Model(self.bundle.model, kernels, input_scale=self.bundle.spec.input_scale, isolate=True)

    def __copy__(self) -> StockDetector:
        return copied(self, model=copy.copy(self.model))

    def score_windows(self, windows: NDArray[Any]) -> StockScores:
        """float32 windows [k, 256, 3] in m/s^2 at 200 Hz in, `StockScores` out."""
        return scored(errors_of(self.model, windows, self.bundle.spec), self.bundle.calibration)

    def printed(self, windows: NDArray[Any]) -> Floats:
        """The same windows in; the two figures [k, 2] in dB that the console prints of each out.

        With the undefined quarter of the scalogram's first row taken for 0.
        """
        return errors_of(self.model, windows, self.bundle.spec).console


def errors_of(model: Model, windows: NDArray[Any], spec: StockSpec) -> Errors:
    """An int8 model, float32 windows [k, 256, 3] in m/s^2 and their front end in; `Errors` of k windows out.

    The model sees int8, truncated and wrapped around as in the firmware; its outputs are compared with the images as
    they were before that, which is what the firmware does.
    """
    if model.precision != "int8":
        raise GyrovaeError("the stock firmware runs int8 models alone", expected="int8", received=model.precision)
    windows = check_windows(windows)
    images, row, lost = np.empty((len(windows), 2)), np.empty(len(windows)), np.empty(len(windows))
    for start in range(0, len(windows), _PART):
        rows = slice(start, start + _PART)
        pair = np.stack(stock_images(windows[rows], spec.constants), axis=1)
        rebuilt = model.rebuilt(to_int8(pair, spec.input_scale))
        off = np.square(rebuilt - pair)
        images[rows, 0] = off[:, 0, UNDEFINED_ROWS:].sum(axis=(1, 2, 3))
        images[rows, 1] = off[:, 1].sum(axis=(1, 2, 3))
        row[rows] = _undefined(pair[:, 0], rebuilt[:, 0])
        lost[rows] = wrapped(pair, spec.input_scale).mean(axis=(1, 2, 3, 4))
    return Errors(images, row, lost)


def scored(errors: Errors, calibration: StockCalibration) -> StockScores:
    """`Errors` of k windows and alarm levels in, their `StockScores` out."""
    found = errors.figures
    ratios = np.stack([ratios_of(found[:, i], band) for i, band in enumerate(calibration.bands)], axis=1)
    below = found < np.array([band.middle_db for band in calibration.bands])
    return StockScores(ratios.max(axis=1), ratios, below, found, errors.wrapped)


def ratios_of(found: Floats, band: Band) -> Floats:
    """Figures [k] in dB and their band in; their distances from its middle, 1 at either level, [k] out."""
    below = (band.middle_db - found) / (band.middle_db - band.low_db)
    return np.maximum(below, (found - band.middle_db) / (band.high_db - band.middle_db))


def _undefined(scalogram: NDArray[np.float32], rebuilt: Floats) -> Floats:
    """Scalograms and their reconstructions [k, 32, 32, 3] in, squared error of the undefined rows [k] out.

    A row there is 3/4 of the first scale's and 1/4 of what lies in front of a buffer, which is taken for 0.
    """
    off = rebuilt[:, :UNDEFINED_ROWS] - 0.75 * scalogram[:, :UNDEFINED_ROWS]
    return np.asarray(np.square(off).sum(axis=(1, 2, 3)))
