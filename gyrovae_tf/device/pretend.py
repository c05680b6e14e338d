"""Counts of a machine in, what a device on it says out: our firmware or the stock one, without port or clock.

`serve` gives it both. What it cannot do: calibrate on site.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.calibration import MOST_PHASES, MOST_VOTES
from gyrovae_tf.device import wire
from gyrovae_tf.device.link import Line
from gyrovae_tf.device.simulate import Machine, simulate
from gyrovae_tf.device.stockconsole import RESULT_SAMPLES
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.score import reasons, stride_of, vote
from gyrovae_tf.spec import LSB_TOLERANCE, RATE_TOLERANCE, Spec
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockspec import RATE_HZ, UNITS, WINDOW
from gyrovae_tf.streaming import read_all
from gyrovae_tf.version import VERSION

if TYPE_CHECKING:
    from gyrovae_tf.runtime import Detector
    from gyrovae_tf.stockdetector import StockDetector

BOOT_TEXT = (
    b"ESP-ROM:esp32s3-20210327\r\n"
    b"Build:Mar 27 2021\r\n"
    b"rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
    b"SPIWP:0xee\r\n"
)
_CONSOLE_TEXT = (
    b"Heap info:\r\n  total: 26412 bytes\r\n  free: 8679936 bytes\r\n\r\n"
    b"Initializing gyro sensor...\r\nGyro sensor initialized\r\nInitializing GEDAD...\r\nGEDAD initialized\r\n"
    b"Dry run model...\r\nGEDADNN:\r\n  buffer size: 6144\r\nStart sampling in 3 seconds...\r\n"
)
_FIRST_S = 60.0  # what is simulated at first; twice as much each time it has been used up
_MOST_SAMPLES = 2_000_000  # of a simulation; the last one, of up to twice as many, takes half a gigabyte to make
_LATER_US = 1000  # from a boot to the first sample
_STEP_SAMPLES = 4096  # made at once


class Motion:
    """The counts of a machine, from its first sample on and without an end."""

    def __init__(
        self,
        machine: Machine | None = None,
        *,
        fault: str | None = None,
        severity: float = 1.0,
        seed: int = 0,
        recording: Recording | str | os.PathLike[str] | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """A machine that `simulate` simulates, or a recording, which is played again and again.

        `rate_hz` is for a recording that does not state its own.
        """
        self._settings = {"fault": fault, "severity": severity, "seed": seed}
        self._machine = machine or Machine()
        self._recorded = recording is not None
        if recording is None:
            lsb, half = self._machine.lsb, 2 ** (self._machine.bits - 1)
            self.rate_hz, self.lsb, self.units = float(self._machine.rate_hz), lsb, "m/s^2"
            self.counts = (-half, half - 1)
            self._known = self._simulated(_FIRST_S)
            self._more: Future[NDArray[np.int16]] | None = None
            return
        found = read_all([recording], rate_hz=rate_hz)[0]
        assert found.rate_hz is not None
        lsb = found.lsb or frontend.lsb_of([found.samples])
        self._known = frontend.to_counts(found.samples, lsb)
        self.rate_hz, self.lsb, self.units = found.rate_hz, lsb, found.units
        stated = found.metadata.get("counts")
        self.counts = tuple(stated) if isinstance(stated, list) and len(stated) == 2 else (-32768, 32767)

    def _simulated(self, seconds: float) -> NDArray[np.int16]:
        made = simulate(self._machine, seconds=seconds, **self._settings)  # type: ignore[arg-type]
        return np.rint(made.samples / self._machine.lsb).astype(np.int16)

    def __call__(self, at: NDArray[np.int64]) -> NDArray[np.int16]:
        """Positions [n] of samples in, their counts [n, 3] out."""
        if self._recorded:
            return self._known[at % len(self._known)]
        # A longer simulation begins with the shorter one. It is made beside: a device does not stand still meanwhile.
        while len(at) and at[-1] >= len(self._known) // 2 and len(self._known) < _MOST_SAMPLES:
            if self._more is None:
                self._more = _beside(self._simulated, 2 * len(self._known) / self.rate_hz)
            if at[-1] < len(self._known):
                break
            self._known, self._more = self._more.result(), None
        # After hours the machine runs backwards to the start, and forwards again: nothing jumps.
        back = at % (2 * len(self._known))
        return self._known[np.minimum(back, 2 * len(self._known) - 1 - back)]


def _beside(make: Callable[[float], NDArray[np.int16]], seconds: float) -> Future[NDArray[np.int16]]:
    """What `make` makes of `seconds`, in a thread that nobody has to wait for at the end."""
    made: Future[NDArray[np.int16]] = Future()

    def run() -> None:
        try:
            made.set_result(make(seconds))
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return made


@dataclass(frozen=True)
class Habits:
    """How the pretend device differs from what its banner says. None: it does not."""

    true_rate_hz: float | None = None
    """Samples a second by its own clock."""
    sensor_hz: float | None = None
    """New values a second of a sensor that is polled faster: what lies between is repeated."""


class Device:
    """A device: commands and the passing of time in, lines out.

    With a detector for the stock firmware it is that firmware in its detection mode, which prints figures; the
    undefined quarter of the scalogram's first row is then 0. `seed` is that of the numbers by which its boots are told
    apart; None: no two devices have the same.
    """

    def __init__(
        self,
        motion: Motion,
        *,
        protocol: wire.Protocol = "gyrovae",
        habits: Habits | None = None,
        detector: Detector | StockDetector | None = None,
        hop: int | None = None,
        sensor: str = "pretend",
        seed: int | None = 0,
    ) -> None:
        self._console = detector is not None and isinstance(detector.bundle, StockBundle)
        self.motion, self._detector = motion, detector
        self.protocol: wire.Protocol = "stock" if self._console else protocol
        habits = habits or Habits()
        self.rate_hz = habits.true_rate_hz or motion.rate_hz
        self._sensor_hz = habits.sensor_hz
        for what, value in (("true rate", self.rate_hz), ("sensor's rate", self._sensor_hz or 1.0)):
            if not (math.isfinite(value) and 0 < value <= 1e5):
                raise GyrovaeError(f"the {what} is not usable", expected="above 0, up to 100000 Hz", received=value)
        self._boots = np.random.default_rng(None if seed is None else [seed, 0xB007])
        self._before = 0  # samples of the boots before
        self.made = 0
        """Samples since boot."""
        self._banner = wire.Banner(
            firmware=VERSION,
            sensor=sensor,
            rate_hz=motion.rate_hz,
            lsb=round(motion.lsb, 9),
            units=motion.units,
            counts=motion.counts,
        )
        self._misfit = "there is no detector"
        if self._console:
            if motion.units != UNITS or abs(motion.rate_hz / RATE_HZ - 1) > RATE_TOLERANCE:
                raise GyrovaeError(
                    "the stock firmware samples at another rate, or in other units",
                    expected=f"{RATE_HZ:g} Hz, {UNITS}",
                    received=f"{motion.rate_hz:g} Hz, {motion.units}",
                )
        elif detector is not None:
            bundle = cast("Detector", detector).bundle
            spec, calibration = bundle.spec, bundle.calibration
            self._misfit = _misfit(self._banner, spec)
            least = -(-spec.window // MOST_PHASES)
            if hop is not None and not least <= hop <= spec.window:
                raise GyrovaeError("the hop is not usable", expected=f"{least} to {spec.window} samples", received=hop)
            self._banner = replace(
                self._banner,
                model="compiled",
                spec=spec.digest,
                window=spec.window,
                hop=hop or spec.window,
                vote=(calibration.vote_alarms, calibration.vote_windows),
            )
        self._windows = 0
        self._alarms: deque[bool] = deque(maxlen=MOST_VOTES * MOST_PHASES)
        self._waiting = np.zeros((0, 3), np.int16)  # samples of the window that is not full yet

    @property
    def banner(self) -> wire.Banner:
        """What it would say of itself now."""
        t_us = self._t_us(self.made - 1) if self.made else 0
        return replace(self._banner, next=self.made % wire.WRAP, t_us=t_us % wire.WRAP)

    def boot(self) -> list[Line]:
        """Begin from the start; the machine moves on. What is said at a boot."""
        self._before += self.made
        self.made = self._windows = 0
        self._banner = replace(self._banner, boot=int(self._boots.integers(wire.WRAP)))
        self._begin("stream" if self._misfit else "detect")
        said = [Line(BOOT_TEXT)]
        if self.protocol == "gyrovae":
            said.append(Line(wire.banner_line(self.banner)))
        else:
            said.append(Line(b"I (311) main_task: Calling app_main()\r\n" + _CONSOLE_TEXT * self._console))
        return said

    def command(self, text: bytes) -> list[Line]:
        """A line of the host in, the answer out. The stock firmware hears nothing."""
        if self.protocol == "stock" or not text.strip():
            return []
        name = text.strip()
        said = []
        if name in (b"stream", b"detect"):
            if name == b"detect" and self._misfit:
                said.append(Line(wire.status_line("error", self._misfit)))
            self._begin("detect" if name == b"detect" and not self._misfit else "stream")
        elif re.fullmatch(rb"calibrate \d{1,4}|forget", name):
            said.append(Line(wire.status_line("error", "a pretend device is not calibrated on site")))
        elif name != b"info":
            return [Line(wire.status_line("error", "unknown command: stream, detect, info"))]
        return [*said, Line(wire.banner_line(self.banner))]

    def _begin(self, mode: wire.Mode) -> None:
        self._banner = replace(self._banner, mode=mode)
        self._alarms.clear()
        self._waiting = self._waiting[:0]

    def advance(self, seconds: float) -> list[Line]:
        """Seconds since boot in, what is said of the samples up to then out (at most some thousands of them)."""
        due = max(0, math.floor((seconds * 1e6 - _LATER_US) * self.rate_hz / 1e6) + 1)
        first, stop = self.made, min(due, self.made + _STEP_SAMPLES)
        if stop <= first:
            return []
        at = self._before + np.arange(first, stop)
        if self._sensor_hz is not None and self._sensor_hz < self.rate_hz:
            at = np.floor(np.floor(at * (self._sensor_hz / self.rate_hz)) * (self.rate_hz / self._sensor_hz))
        counts = self.motion(at.astype(np.int64))
        self.made = stop
        if self._console:
            return self._results(first, counts)
        if self.protocol == "stock":
            return self._stock(first, counts)
        if self._banner.mode == "stream":
            return [
                Line(wire.sample_line(first + i, self._t_us(first + i), *xyz), first + i)
                for i, xyz in enumerate(counts.tolist())
            ]
        return self._verdicts(first, counts)

    def _t_us(self, number: int) -> int:
        return _LATER_US + round(number * 1e6 / self.rate_hz)

    def _stock(self, first: int, counts: NDArray[np.int16]) -> list[Line]:
        lines = []
        for i, (x, y, z) in enumerate((counts * self.motion.lsb).tolist(), first):
            dt_ms = self._t_us(i) // 1000 - (self._t_us(i - 1) // 1000 if i else 0)
            lines.append(Line(wire.stock_line(x, y, z, dt_ms), i))
        return lines

    def _results(self, first: int, counts: NDArray[np.int16]) -> list[Line]:
        """What the console prints: the first samples, then, again and again, the figures of the latest window."""
        told = self._stock(first, counts[: max(WINDOW - 1 - first, 0)])
        lines = [Line(b"sample %d:\r\n  %s" % (first + 1 + i, line.content)) for i, line in enumerate(told)]
        self._waiting = np.concatenate([self._waiting, counts])
        start = first + len(counts) - len(self._waiting)
        ends = range(start + WINDOW, first + len(counts) + 1, RESULT_SAMPLES)
        if not ends:
            return lines
        windows = np.stack([self._waiting[end - start - WINDOW : end - start] for end in ends])
        self._waiting = self._waiting[len(ends) * RESULT_SAMPLES :]
        if ends[0] == WINDOW:
            lines.append(Line(b"Sampled %d samples\r\nStart prediction loop...\r\n" % WINDOW))
        found = cast("StockDetector", self._detector).printed((windows * self.motion.lsb).astype(np.float32))
        for end, figures in zip(ends, found.tolist(), strict=True):
            since = WINDOW if end == WINDOW else RESULT_SAMPLES
            lines += [
                Line(b"GEDADNN Perf:\r\n  perf not enabled\r\n"),
                Line(wire.result_line(wire.StockFigures(*figures)), end - 1),
                Line(b"Predict time: %dms\r\n" % (RESULT_SAMPLES * 1000 / RATE_HZ - 4)),
                Line(b"Sampled: %d (%d)\r\n" % (since, end)),
                Line(b"Data skipped: no\r\nCoverage: %.5f\r\n" % (1 - since / WINDOW)),
            ]
        return lines

    def _verdicts(self, first: int, counts: NDArray[np.int16]) -> list[Line]:
        """The verdicts of the windows that end among these counts; the first begins with the mode."""
        window, hop = self._banner.window, self._banner.hop
        waiting = np.concatenate([self._waiting, counts])
        end = first + len(counts)
        lines = []
        while len(waiting) >= window:
            lines.append(self._verdict(waiting[:window], end - len(waiting) + window - 1))
            waiting = waiting[hop:]
        self._waiting = waiting
        return lines

    def _verdict(self, window: NDArray[np.int16], last: int) -> Line:
        detector = cast("Detector", self._detector)
        scores = detector.score_windows(window[None])
        self._windows += 1
        score, calibration = float(scores.score[0]), detector.bundle.calibration
        self._alarms.append(score >= 1.0)
        stride = stride_of(self._banner.window, self._banner.hop)
        event = vote(np.array(self._alarms), calibration.vote_alarms, calibration.vote_windows, stride)[-1]
        named = tuple(
            wire.Reason(r.axis, r.low_hz, r.high_hz, "louder" if r.direction == "louder" else "quieter", r.share)
            for r in reasons(scores.deviation[0], detector.bundle.spec)
        )
        verdict = wire.Verdict(
            self._windows - 1, last, self._t_us(last) % wire.WRAP, score, 1.0, score >= 1.0, bool(event), named, 0, 0, 0
        )
        return Line(wire.verdict_line(verdict))


def _misfit(banner: wire.Banner, spec: Spec) -> str:
    """Why a detector with this spec does not fit the sensor, or nothing; as `Core::misfit` in the firmware."""
    if spec.units != banner.units:
        return f"the detector is for {spec.units}, the sensor gives {banner.units}"
    if not abs(banner.rate_hz / spec.rate_hz - 1) <= RATE_TOLERANCE:
        return f"the detector is for {spec.rate_hz:g} Hz, the sensor gives {banner.rate_hz:g} Hz"
    if not abs(banner.lsb / spec.lsb - 1) <= LSB_TOLERANCE:
        return f"the detector is for counts of {spec.lsb:g}, the sensor's are {banner.lsb:g}"
    return ""
