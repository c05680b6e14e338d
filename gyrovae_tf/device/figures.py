"""The stock firmware's console in, a file of the figures that it prints out, and, with its model, their alarms."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyrovae_tf.arguments import switches, whole
from gyrovae_tf.device.collect import Ended, check_times
from gyrovae_tf.device.journal import Journal
from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.port import BAUD
from gyrovae_tf.device.stopping import stopped_by
from gyrovae_tf.device.watch import BOOT_S, Line
from gyrovae_tf.device.wire import (
    Banner,
    Event,
    Parser,
    Rebooted,
    Sample,
    StockFigures,
    StockSample,
    Verdict,
    command_line,
)
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockdetector import StockDetector

HEADER = "time_s,scalogram_db,field_db,segment"
"""Unix seconds of this computer, the two figures as printed, and the number of the stretch without a boot or a gap."""


_SAMPLES = "Leave --figures and --model out to record its samples"
_MOST_STRANGE = 10  # samples in a row; one may be left of a line that was cut up


@dataclass(frozen=True)
class CollectedFigures:
    """What a collection of figures came to."""

    path: Path
    results: int
    """Rows that were written now: pairs of figures."""
    seconds: float
    """From the first of them to the last, by this computer's clock."""
    windows: int | None
    """Windows that were judged: results whose windows have no sample in common. None without a model."""
    alarms: int | None
    """How many of them are abnormal."""
    events: int | None
    """How often several alarms among consecutive windows were an event."""
    bad_lines: int
    reboots: int
    reconnects: int
    ended: Ended
    problem: GyrovaeError | None
    """Why it ended early."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        told = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "path"}
        return {"file": str(self.path), **told, "problem": self.problem and str(self.problem)}


def collect_figures(
    port: str,
    output: str | os.PathLike[str],
    *,
    model: StockBundle | str | os.PathLike[str] | None = None,
    baud: int = BAUD,
    seconds: float | None = None,
    label: str | None = None,
    append: bool = False,
    overwrite: bool = False,
    wait_s: float = 60.0,
    decided: Callable[[Decision], None] = lambda _decision: None,
    told: Callable[[str], None] = lambda _text: None,
    stop: Callable[[], bool] = lambda: False,
) -> CollectedFigures:
    """A port with Seeed's stock firmware in its detection mode, and a file's name in; `CollectedFigures` out.

    The file is a CSV of `HEADER` that grows by whole lines, a row each "Predict results: a b". With the `model` that is
    on the device (a bundle, or a run that holds one) they are judged by its alarm levels, and `decided` gets a decision
    a window; `told` gets what a person should know. It ends after `seconds`, when `stop()` says so, on Ctrl-C, or when
    the port has been gone or silent for `wait_s`. `GyrovaeError` where nothing came, and from a device that sends
    samples or runs our firmware; for what comes later see `CollectedFigures.problem`.
    """
    seconds, wait_s = check_times(seconds, wait_s)
    baud = whole(baud, "the baud rate is not usable", 1)
    detector = None if model is None else StockDetector(model)
    append, overwrite = switches(append=append, overwrite=overwrite)
    journal = Journal(output, append=append, overwrite=overwrite, header=HEADER)
    try:
        run = _Run(port, journal, detector, label)
        with contextlib.closing(Line(port, baud)) as line, stopped_by(signal.SIGINT) as interrupted:
            run.to_the_end(line, seconds, wait_s, lambda: stop() or interrupted(), decided, told)
        if not journal.written:
            raise run.problem or GyrovaeError("no results came, so no file was written")
        return run.collected()
    finally:
        journal.close()


class _Run:
    """A collection under way."""

    def __init__(self, port: str, journal: Journal, detector: StockDetector | None, label: str | None) -> None:
        """`GyrovaeError` where the file that is continued bears another label or model."""
        given = {"label": label, "model": None if detector is None else detector.bundle.model_sha256}
        given = {name: value for name, value in given.items() if value is not None}
        for name, value in given.items():
            if journal.head.get(name, value) != value:
                raise GyrovaeError(
                    f"{journal.path} was collected with another {name}",
                    expected=journal.head[name],
                    received=value,
                    remedy="Collect into another file.",
                )
        journal.begin({"protocol": "stock", **given})
        self._journal = journal
        self.results = 0
        self.problem: GyrovaeError | None = None
        self._port = port
        self._parser = Parser()
        self._monitor = None if detector is None else Monitor(detector)
        self._ended: Ended = "stopped"
        self._times: tuple[float, float] | None = None  # of the first result and the latest
        self._reboots = self._opened = self._strange = 0
        self._splits = True  # the next result begins a segment

    def to_the_end(
        self,
        line: Line,
        seconds: float | None,
        wait_s: float,
        stop: Callable[[], bool],
        decided: Callable[[Decision], None],
        told: Callable[[str], None],
    ) -> None:
        """Collect until there is a reason not to."""
        alive = time.monotonic()
        until = math.inf
        try:
            while not stop():
                chunk = line.read()
                if line.opened != self._opened:
                    self._opened, self._splits = line.opened, True
                    self._parser.restart()
                    self._parser.protocol = None
                    line.write(b"\n" + command_line("info"))  # our firmware would answer; the stock one hears nothing
                    if self._monitor is not None:
                        self._monitor.connected(time.time())
                now, before = time.monotonic(), self.results
                for decision in self._take(self._parser.feed(chunk or b"")):
                    decided(decision)
                for note in () if self._monitor is None else self._monitor.notes():
                    told(note)
                if self.results > before:
                    alive = now
                    until = min(until, now + (math.inf if seconds is None else seconds))
                self._journal.sync(now)
                if now >= until:
                    self._ended = "seconds"
                    break
                gone = chunk is None
                if now - alive > (wait_s if gone else max(wait_s, BOOT_S) if self.results else BOOT_S):
                    self._ended = "gone" if gone else "silent"
                    raise self._early(wait_s)
        except GyrovaeError as error:
            self._ended = "failed" if self._ended == "stopped" else self._ended
            self.problem = error
        try:
            self._journal.sync(time.monotonic(), force=True)
        except GyrovaeError as error:
            self._ended, self.problem = "failed", self.problem or error

    def _take(self, events: Iterable[Event]) -> Iterable[Decision]:
        """Write what is printed, and judge it."""
        now = time.time()
        for event in events:
            if isinstance(event, Sample | Banner | Verdict):
                raise GyrovaeError(
                    "the device runs our firmware, and prints no figures",
                    remedy=f"{_SAMPLES}; gyrovae-tf monitor shows its verdicts.",
                )
            if isinstance(event, StockSample):
                self._strange += 1
                if self._strange > _MOST_STRANGE:
                    raise GyrovaeError(
                        "the device sends samples, no figures: it is Seeed's firmware in its sampling mode",
                        remedy=f"{_SAMPLES}, or set GYRO_SAMPLE_MODE to 0 and flash it again.",
                    )
                continue
            if isinstance(event, Rebooted):
                self._reboots, self._splits = self._reboots + bool(self.results), True
            elif isinstance(event, StockFigures):
                self._strange = 0
                self._write(event, now)
            if self._monitor is not None:
                yield from self._monitor.take([event], now)

    def _write(self, figures: StockFigures, now: float) -> None:
        self._journal.segment += self._splits
        self._splits = False
        self.results += 1
        self._times = (now if self._times is None else self._times[0], now)
        self._journal.add([f"{now:.3f},{figures.scalogram_db!r},{figures.field_db!r},{self._journal.segment}\n"])

    def _early(self, wait_s: float) -> GyrovaeError:
        if self._ended == "gone":
            problem = f"{self._port} is gone, for {wait_s:g} s now"
        elif self.results:
            problem = f"{self._port} prints no results any more"
        else:
            problem = f"{self._port} prints no results"
        return GyrovaeError(
            f"{problem}; {self.results:,} are kept" if self.results else problem,
            remedy="Check cable, power and baud rate, and that Seeed's firmware runs there in its detection mode.",
        )

    def collected(self) -> CollectedFigures:
        """What it came to."""
        monitor, (first, last) = self._monitor, self._times or (0.0, 0.0)
        return CollectedFigures(
            path=self._journal.path,
            results=self.results,
            seconds=last - first,
            windows=None if monitor is None else monitor.made,
            alarms=None if monitor is None else monitor.alarms,
            events=None if monitor is None else monitor.events,
            bad_lines=self._parser.counts.damaged,
            reboots=self._reboots,
            reconnects=self._opened - 1,
            ended=self._ended,
            problem=self.problem,
        )
