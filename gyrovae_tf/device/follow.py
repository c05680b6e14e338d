"""Decisions for programs of one's own: on what a port says (`monitor`), or on samples from anywhere (`Live`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gyrovae_tf import arguments
from gyrovae_tf.arguments import array, number, switch, switches, whole
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.live import Ended, Windows
from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.port import BAUD
from gyrovae_tf.device.watch import Line, decisions
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Detector
from gyrovae_tf.shards import detector_of
from gyrovae_tf.signal.frontend import to_counts
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockdetector import StockDetector

Deciding: TypeAlias = "Detector | StockDetector | Bundle | StockBundle | str | PathLike[str]"
"""A detector, a bundle, or the path of one (or of a run that holds one)."""


def monitor(
    port: str,
    *,
    model: Deciding | None = None,
    on_device: bool = False,
    hop: int | None = None,
    threshold: float = 1.0,
    second_alone: bool = False,
    baud: int = BAUD,
    seconds: float | None = None,
    windows: int | None = None,
    told: Callable[[str], None] = lambda _text: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Decision]:
    """A port (or URL) in, the decisions on the windows of the device behind it out, one by one, as they are made.

    They are the device's own; with a `model` those of this computer, unless `on_device`: then it is only compared with
    the device's detector. `hop` is in samples; `threshold`, `second_alone` as for the command. A port that is gone is
    waited for. It ends after `seconds`, after so many `windows`, or when `stop()` says so; `told` gets what a person
    should know. The port is opened with the first decision that is asked for, and closed when the loop over them ends.
    `GyrovaeError` where it cannot be opened, and where the device, its sensor or its detector do not fit.
    """
    baud = whole(baud, "the baud rate is not usable", 1)
    on_device, second_alone = switches(on_device=on_device, second_alone=second_alone)
    detector = None if model is None else _detector(model)
    core = Monitor(detector, on_device=on_device or None, hop=hop, threshold=threshold, second_alone=second_alone)

    def read() -> Iterator[Decision]:
        with contextlib.closing(Line(port, baud)) as line:
            yield from decisions(Watched(core, port), line, told=told, stop=stop, seconds=seconds, windows=windows)

    return read()


class Live:
    """Samples as they come in, from a broker, a queue or a socket; a decision on each of their windows out.

    What `monitor` does with the samples of a port: windows that span no gap, score, alarm, reasons, and the vote that
    makes an event of several alarms. Nobody says here how fast samples come: they have to be at the detector's rate
    (`detector.bundle.spec.rate_hz`).
    """

    def __init__(
        self, detector: Deciding, *, hop: int | None = None, threshold: float = 1.0, counts: bool = False
    ) -> None:
        """A detector, a bundle, or its path; `hop` samples from one window to the next (a window, unless given).

        With `counts` samples are whole numbers in counts of the sensor, of `detector.bundle.spec.lsb` each; else
        they are in its units, m/s^2. A score of `threshold` or more is an alarm. `GyrovaeError` for what does not fit.
        """
        self.detector = _detector(detector)
        """What decides."""
        self._monitor = Monitor(self.detector, hop=hop, threshold=threshold)
        self._lsb = self.detector.bundle.spec.lsb if isinstance(self.detector, Detector) else None
        self._counts = switch(counts, "counts is not usable")
        if self._counts and self._lsb is None:
            raise GyrovaeError("a detector for the stock firmware takes no counts", expected="samples in m/s^2")
        kind = np.float32 if self._lsb is None else np.int16
        self._windows = Windows(self.detector.bundle.spec.window, hop, kind)
        self._taken = 0

    @property
    def windows(self) -> int:
        """Decisions so far."""
        return self._monitor.made

    @property
    def alarms(self) -> int:
        """How many of them were alarms."""
        return self._monitor.alarms

    @property
    def events(self) -> int:
        """Events that began."""
        return self._monitor.events

    def push(self, samples: ArrayLike, *, at: float | None = None) -> list[Decision]:
        """The next samples, [n, 3] of x, y, z (or one, [3]), in; decisions on the windows that end with them out.

        `at` is when they came, in Unix seconds (unless given: now): an event does not go on over a pause of a minute.
        `Decision.number` is that of a window's last sample, of all that were pushed, from 0. `GyrovaeError`, and none
        of them taken, where they are no finite numbers of that form.
        """
        at = time.time() if at is None else number(at, "the time is not usable", "Unix seconds", lambda _found: True)
        found = []
        for sample in self._checked(samples).tolist():
            window = self._windows.push(sample)
            self._taken += 1
            if window is not None:
                found.append(self._monitor.decide(Ended(window, self._taken - 1, None), at))
        return found

    def gap(self) -> None:
        """Samples are missing here: no window spans this place. The vote goes on."""
        self._windows.gap()

    def _checked(self, samples: ArrayLike) -> NDArray[Any]:
        """Samples as they are given in, [n, 3] as the detector takes them out."""
        given = array(samples)
        found = given[None] if given.shape == (3,) else given
        problem, kinds = "the samples are not usable", "iu" if self._counts else "iuf"
        if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in kinds:
            what = "counts, whole numbers [n, 3]" if self._counts else "numbers [n, 3], in " + self._units
            raise GyrovaeError(problem, expected=what, received=arguments.told(given))
        if not np.isfinite(found).all():
            raise GyrovaeError(problem, expected="finite numbers", received="NaN or infinity")
        if self._counts:
            limits = np.iinfo(np.int16)
            if found.size and not limits.min <= found.min() <= found.max() <= limits.max:
                raise GyrovaeError(problem, expected="counts of 16 bits", received=f"{found.min()} to {found.max()}")
            return found
        return found.astype(np.float32) if self._lsb is None else to_counts(found, self._lsb)

    @property
    def _units(self) -> str:
        return self.detector.bundle.spec.units


def _detector(given: Deciding) -> Detector | StockDetector:
    return given if isinstance(given, Detector | StockDetector) else detector_of(given)
