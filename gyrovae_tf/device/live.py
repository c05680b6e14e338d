"""Samples as they come in, windows without a gap out: what a stream needs to be fit for a detector, and what it lost.

`Windows` is the twin of the firmware's Ring (firmware/components/gyrovae/include/gyrovae/ring.h).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.device.wire import WRAP, Banner, Sample, StockSample
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.frontend import to_counts
from gyrovae_tf.spec import LSB_TOLERANCE, RATE_TOLERANCE, Spec
from gyrovae_tf.stockspec import StockSpec

_MEASURED_TOLERANCE = 0.05  # of a rate that only the samples tell
_STOCK_UNITS = "m/s^2"
_PATIENCE_S = 2.0  # of samples: how long a banner is waited for, and how much of it tells a rate
_LATE = 64  # numbers that a line may be behind: what is further back comes from another boot
_MOST_BEHIND = 16  # so many in a row that are behind are no late lines
_MOST_LOST = 1_000_000  # a larger jump of the numbers is no loss
_EVERY = 16  # samples between two points of the rate
_LEAST_POINTS = 3
_LONGEST_HOP = 1 << 20

Sample3: TypeAlias = "tuple[float, float, float]"


@dataclass
class Traffic:
    """What has come in so far."""

    samples: int = 0
    """Taken into windows, or waiting for the window to be full."""
    lost: int = 0
    """Numbers that never came."""
    gaps: int = 0
    """Places where a window was given up and the next one begun."""
    late: int = 0
    """Overtaken by others, so that they came too late for their window."""
    repeated: int = 0
    """Came twice."""
    boots: int = 0
    """Times that the device was seen to boot."""
    connections: int = 0
    """Times that the port was opened."""
    results: int = 0
    """Pairs of figures that the stock firmware's console printed."""


class Windows:
    """Samples [3] in, a window of the latest `window` of them every `hop` out."""

    def __init__(self, window: int, hop: int | None = None, dtype: type[np.int16 | np.float32] = np.int16) -> None:
        """Of counts, or of other numbers (float32)."""
        hop = window if hop is None else hop
        if not 1 <= hop <= _LONGEST_HOP:
            raise GyrovaeError("the hop is not usable", expected=f"1 to {_LONGEST_HOP:,} samples", received=hop)
        self.window, self.hop = window, hop
        self._dtype = dtype
        self._samples: deque[Sample3] = deque(maxlen=window)
        self.gap()

    def gap(self) -> None:
        """Samples are missing here: no window spans this place. The next one begins with the next sample."""
        self._samples.clear()
        self._missing = self.window

    @property
    def waiting(self) -> bool:
        """Whether there are samples that a gap would cost."""
        return bool(self._samples)

    def push(self, sample: Sample3) -> NDArray[Any] | None:
        """One sample in; the window [window, 3] that ends with it out, or None."""
        self._samples.append(sample)
        self._missing -= 1
        if self._missing:
            return None
        self._missing = self.hop
        return np.array(self._samples, self._dtype)


class Rate:
    """Numbers of samples and the device's times in, samples a second by the device's clock out."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, int]] = deque(maxlen=512)  # samples and microseconds, neither of which wraps
        self._latest = (0, 0)

    def restart(self) -> None:
        """Numbers or times begin anew."""
        self._points.clear()

    def add(self, number: int, t_us: int, nominal_hz: float = 0.0) -> None:
        """A sample's number and time, both modulo 2^32; where the nominal rate is known, a step that is longer than
        the clock can tell begins anew."""
        steps, took = ((now - before) % WRAP for now, before in zip((number, t_us), self._latest, strict=True))
        if steps * 1e6 >= WRAP * nominal_hz > 0:
            self.restart()
        at, since = self._points[-1] if self._points else (0, 0)
        self._points.append((at + steps, since + took))
        self._latest = (number, t_us)

    @property
    def hz(self) -> float | None:
        """None as long as too few have come."""
        points = self._points.copy()  # another thread may ask
        if len(points) < _LEAST_POINTS:
            return None
        (first, began), (last, ended) = points[0], points[-1]
        return (last - first) * 1e6 / (ended - began) if ended > began else None


class Ended(NamedTuple):
    """A window that is full."""

    samples: NDArray[Any]
    """[N, 3]: int16 in counts, or, for the stock front end, float32 in m/s^2."""
    number: int | None
    """Of its last sample; None from the stock firmware."""
    t_us: int | None


@dataclass
class Intake:
    """Samples of a device in, windows for a detector with this spec out; `GyrovaeError` where they do not fit it.

    Nothing is decided before it is known that rate and counts are the detector's: by the banner, or, from what never
    sends one, by two seconds of samples (for the rate; the counts are then taken for the detector's).
    """

    spec: Spec | StockSpec
    windows: Windows
    traffic: Traffic = field(default_factory=Traffic)
    notes: list[str] = field(default_factory=list)
    """What a person should know, in the order in which it came up; to be taken away."""
    rate: Rate = field(default_factory=Rate)
    _known: bool = False  # rate and counts fit
    _told: bool = False
    _next: int | None = None  # number of the next sample
    _behind: int = 0
    _missing: deque[int] = field(default_factory=lambda: deque(maxlen=_LATE))  # numbers that may still come late
    _stock_at: tuple[int, int] = (0, 0)  # samples and milliseconds so far
    _stock: list[int] = field(default_factory=list)  # steps in ms, until the rate is known
    _first: Sample | None = None  # without a banner: since when, and how many
    _seen: int = 0

    def restart(self) -> None:
        """What follows comes from another boot, or from a port that was opened anew."""
        self._gap()
        self.rate.restart()
        self._known, self._next, self._behind, self._first, self._seen = False, None, 0, None, 0
        self._missing.clear()
        self._stock.clear()

    def banner(self, banner: Banner) -> None:
        """Check that the sensor is one for the detector."""
        assert isinstance(self.spec, Spec)
        check_fit(banner, self.spec)
        self._known = True

    def sample(self, sample: Sample) -> Ended | None:
        """A sample of our protocol in, the window that it ends out."""
        number = sample.number
        if self._next is not None and number != self._next and not self._jump(number):
            return None
        self._behind, self._next = 0, (number + 1) % WRAP
        if not self._known and not self._measured(sample):
            return None
        if self.traffic.samples % _EVERY == 0:
            self.rate.add(number, sample.t_us, self.spec.rate_hz)
        return self._push(sample[2:], number, sample.t_us)

    def stock(self, sample: StockSample) -> Ended | None:
        """A sample of the stock firmware in, the window that it ends out."""
        period = 1000.0 / self.spec.rate_hz
        steps, took = self._stock_at
        self._stock_at = steps + max(round(sample.dt_ms / period), 1), took + sample.dt_ms
        if not self._known:
            self._stock.append(sample.dt_ms)
            if sum(self._stock[1:]) < 1000 * _PATIENCE_S and len(self._stock) < 10 * _PATIENCE_S * self.spec.rate_hz:
                return None
            self._check_stock()
        # Whole milliseconds: 1.25 ms come as 1, 1, 1, 2. A step of 0 is no step, unless samples are that fast.
        elif sample.dt_ms > max(1.5 * period, period + 1) or (sample.dt_ms == 0 and period >= 2):
            self.traffic.lost += max(round(sample.dt_ms / period) - 1, 0)
            self._gap()
        # What is no number of counts, the parser does not let through.
        xyz: Sample3 = sample[:3]
        if isinstance(self.spec, Spec):
            xyz = to_counts(np.array([xyz]), self.spec.lsb)[0].tolist()
        if self.traffic.samples % _EVERY == 0:
            self.rate.add(self._stock_at[0] % WRAP, 1000 * self._stock_at[1] % WRAP, self.spec.rate_hz)
        return self._push(xyz, None, None)

    def _push(self, xyz: Sample3, number: int | None, t_us: int | None) -> Ended | None:
        self.traffic.samples += 1
        window = self.windows.push(xyz)
        return None if window is None else Ended(window, number, t_us)

    def _jump(self, number: int) -> bool:
        """A number that is not the next: whether its sample is to be taken."""
        assert self._next is not None
        ahead = (number - self._next) % WRAP
        behind = WRAP - ahead
        if behind <= _LATE and self._behind < _MOST_BEHIND:
            self._behind += 1
            if number in self._missing:
                self._missing.remove(number)
                self.traffic.late, self.traffic.lost = self.traffic.late + 1, self.traffic.lost - 1
            else:
                self.traffic.repeated += 1
            return False
        if ahead <= _MOST_LOST:
            self.traffic.lost += ahead
            self._missing.extend((number - back) % WRAP for back in range(min(ahead, _LATE), 0, -1))
        else:  # the numbers began anew: a boot that was not seen
            self.rate.restart()
            self._missing.clear()
            self._first, self._seen = None, 0
        self._gap()
        return True

    def _gap(self) -> None:
        self.traffic.gaps += self.windows.waiting
        self.windows.gap()

    def _measured(self, sample: Sample) -> bool:
        """Whether so many samples have come without a banner that they are to be taken as they are."""
        if self._first is None:
            self._first = sample
        self._seen += 1
        took = (sample.t_us - self._first.t_us) % WRAP / 1e6
        if took < _PATIENCE_S and self._seen < 10 * _PATIENCE_S * self.spec.rate_hz:
            return False
        steps = (sample.number - self._first.number) % WRAP
        assert isinstance(self.spec, Spec)
        _check_measured(steps / took if took else 0.0, self.spec)
        self._known = True
        self._say_unknown(f"no banner came: counts are taken for those of the model ({self.spec.lsb:g} a count)")
        return True

    def _check_stock(self) -> None:
        if self.spec.units != _STOCK_UNITS:
            raise GyrovaeError(
                "the model is for other units than the stock firmware's",
                expected=self.spec.units,
                received=_STOCK_UNITS,
                remedy="Use a model that was trained with what this firmware sends.",
            )
        middle = median(self._stock)
        steps = [step for step in self._stock if step <= max(1.5 * middle, middle + 1)]
        _check_measured(1000 * len(steps) / sum(steps) if sum(steps) else 0.0, self.spec)
        self._known = True
        self._stock.clear()
        self._say_unknown("the stock firmware: without numbers and checksums not every loss is seen")

    def _say_unknown(self, text: str) -> None:
        if not self._told:
            self.notes.append(text)
        self._told = True


def check_fit(banner: Banner, spec: Spec) -> None:
    """`GyrovaeError` unless the sensor's units, rate and count are those that the detector was made for."""
    problem, expected, received = "", "", ""
    other = ", or train a model with recordings of this one"
    if banner.units != spec.units:
        problem, expected, received = "units", spec.units, banner.units
    elif not abs(banner.rate_hz / spec.rate_hz - 1) <= RATE_TOLERANCE:
        problem, expected, received = "sample rate", f"{spec.rate_hz:g} Hz", f"{banner.rate_hz:g} Hz"
    elif not abs(banner.lsb / spec.lsb - 1) <= LSB_TOLERANCE:
        problem, expected, received = "size of a count (lsb)", f"{spec.lsb:g} {spec.units}", f"{banner.lsb:g}"
        other = f", or preprocess the recordings again with --lsb {banner.lsb:.7g} if they are of this sensor"
    if problem:
        raise GyrovaeError(
            f"the model was made for another {problem} than this sensor's",
            expected=expected,
            received=received,
            remedy=f"Set the sensor to what the model was trained with{other}.",
        )


def _check_measured(hz: float, spec: Spec | StockSpec) -> None:
    if not abs(hz / spec.rate_hz - 1) <= _MEASURED_TOLERANCE:
        raise GyrovaeError(
            "the samples come at another rate than the model was made for",
            expected=f"{spec.rate_hz:g} Hz, to {100 * _MEASURED_TOLERANCE:g} %",
            received=f"{hz:.4g} Hz",
            remedy="Set the device to the rate of the training recordings, or train with recordings of this one.",
        )
