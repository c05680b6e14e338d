"""A device that streams in, a recording's file out, with a verdict on it; nothing that was received is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gyrovae_tf.arguments import number, switches, whole
from gyrovae_tf.device.journal import Journal
from gyrovae_tf.device.judge import Judgement, count_windows, judge
from gyrovae_tf.device.ledger import Ledger
from gyrovae_tf.device.port import BAUD, GoneError, Port, reopen, taken
from gyrovae_tf.device.sequence import Row
from gyrovae_tf.device.stopping import stopped_by
from gyrovae_tf.device.stream import Stream, told_instead
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording
from gyrovae_tf.spec import check_window
from gyrovae_tf.wording import many

Ended = Literal["samples", "seconds", "stopped", "gone", "silent", "failed"]
"""So many samples or seconds were asked for; somebody stopped it; the port went away, or fell silent; see `problem`."""
_ANSWER_S = 10.0  # until a device that says nothing of use is given up
_SHOW_S = 0.2
_RETRY_S = 0.2
_SILENT_S = 2.0  # without a sample: told
_SHOWN_TEXT = 4096


@dataclass(frozen=True)
class Progress:
    """How a collection stands."""

    samples: int
    seconds: float
    """Of the device's time, without gaps."""
    rate_hz: float | None
    """As measured; None before there are two samples."""
    gaps: int
    """Places that no window may cross."""
    lost: int
    duplicates: int
    """Samples that equal the one before."""
    clipped: int
    """Samples at an end of the sensor's range."""
    damaged: int
    """Lines that nothing could be made of."""
    recent: Sequence[Row]
    """The latest rows."""
    waiting: str | None
    """What is being waited for, in words; None while samples come."""


@dataclass(frozen=True)
class Collected:
    """What a collection came to."""

    path: Path
    """The file with the samples: the one asked for, or, where they were refused, one of another name."""
    recording: Recording
    """What was collected now (a file that was continued holds more)."""
    whole: Recording
    """All that `path` holds now."""
    judgement: Judgement
    facts: dict[str, Any]
    """What is also written into the file's metadata, as the last of `collected`."""
    ended: Ended
    problem: GyrovaeError | None
    """Why it is not what was asked for: it ended early, or what was collected is not good enough to train on."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        r = self.recording
        told: dict[str, Any] = {"file": str(self.path), "problem": self.problem and str(self.problem)}
        told |= {"segments": len(r.segments), "rate_hz": r.rate_hz, "units": r.units, "lsb": r.lsb}
        w = self.whole
        total = {"samples": len(w), "seconds": w.duration_s, "segments": len(w.segments), "windows": self.windows}
        return {**told, **self.facts, "verdict": self.judgement.to_dict(), "total": total}

    @property
    def windows(self) -> int:
        """Windows that `path` holds, of as many samples as the verdict's."""
        return count_windows(self.whole, self.judgement.window)


def check_times(seconds: float | None, wait_s: float) -> tuple[float | None, float]:
    """How long to collect (None: no end) and to wait in, the same as Python's numbers out; refuses what is neither."""
    if seconds is not None:
        seconds = number(seconds, "the seconds to collect are not usable", "above 0", lambda found: found > 0)
    if wait_s != math.inf:
        expected = "0 or more seconds"
        wait_s = number(wait_s, "the time to wait is not usable", expected, lambda found: found >= 0)
    return seconds, wait_s


def collect(
    port: str,
    output: str | os.PathLike[str],
    *,
    baud: int = BAUD,
    seconds: float | None = None,
    samples: int | None = None,
    label: str | None = None,
    append: bool = False,
    overwrite: bool = False,
    accept_anyway: bool = False,
    wait_s: float = 60.0,
    window: int = 256,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Collected:
    """A port (or URL) and a file's name in, what was `Collected` out; the file grows while samples come.

    It ends after `samples`, after `seconds` of the device's time (gaps do not count), when `stop()` says so, on Ctrl-C,
    or when the port has been gone or silent for `wait_s`; a port that comes back is read on, as a new segment.
    `append` goes on with a file that an earlier collection wrote. What is not good enough to train on (see `judge`,
    with windows of `window`) is kept under another name, unless `accept_anyway`. `progress` is called some five times
    a second. `GyrovaeError` where nothing was collected; for all that comes later see `Collected.problem`.
    """
    seconds, wait_s = check_times(seconds, wait_s)
    samples = None if samples is None else whole(samples, "the number of samples is not usable", 1)
    baud = whole(baud, "the baud rate is not usable", 1)
    window = check_window(window)
    append, overwrite, accept_anyway = switches(append=append, overwrite=overwrite, accept_anyway=accept_anyway)
    journal = Journal(output, append=append, overwrite=overwrite)
    try:
        stream = Stream()
        stream.tally.most = math.inf if samples is None else samples
        stream.tally.most_us = math.inf if seconds is None else seconds * 1e6
        ledger = Ledger(stream, journal, label)
        with stopped_by(signal.SIGINT) as interrupted:
            run = _Run(stream, ledger, port, baud, wait_s)
            run.to_the_end(lambda: stop() or interrupted(), "seconds" if samples is None else "samples", progress)
        return _finished(run, journal, accept_anyway, window)
    finally:
        journal.close()


class _Run:
    """A collection under way: the port, and when something last came from it."""

    def __init__(self, stream: Stream, ledger: Ledger, port: str, baud: int, wait_s: float) -> None:
        self.stream, self.ledger = stream, ledger
        self.ended: Ended = "stopped"
        self.problem: GyrovaeError | None = None
        self._name, self._baud, self._wait_s = port, baud, wait_s
        self._port: Port | None = Port(port, baud)
        self._identity = self._port.identity
        self._taken = ""  # what to say while another device has its name
        self._opened = self._alive = time.monotonic()  # when the port was, and when the last row came
        self._text = b""  # the beginning of what is not understood

    def to_the_end(self, stop: Callable[[], bool], limit: Ended, progress: Callable[[Progress], None] | None) -> None:
        """Collect until there is a reason not to."""
        shown = -math.inf
        try:
            while not self._over(stop, limit):
                self._step()
                if progress is not None and time.monotonic() - shown >= _SHOW_S:
                    shown = time.monotonic()
                    progress(self._standing())
        except GyrovaeError as error:
            self.ended, self.problem = "failed", error
        finally:
            if self._port is not None:
                self._port.close()
        try:
            self.ledger.keep(self.stream.finish())
            self.ledger.write(time.monotonic(), final=True)
        except GyrovaeError as error:
            self.ended, self.problem = "failed", self.problem or error

    def _over(self, stop: Callable[[], bool], limit: Ended) -> bool:
        now = time.monotonic()
        if self.stream.tally.full:
            self.ended = limit
        elif stop():
            self.ended = "stopped"
        elif self._port is None and now - self._alive > self._wait_s:
            self.ended, self.problem = "gone", self._early(self._taken or f"{self._name} is gone")
        elif self._port is not None and not self.stream.ready and now - self._opened > _ANSWER_S:
            raise self._unanswered()
        elif self._port is not None and self.stream.ready and now - self._alive > max(self._wait_s, _ANSWER_S):
            self.ended, self.problem = "silent", self._early(f"{self._name} gives no samples any more")
        else:
            return False
        return True

    def _step(self) -> None:
        """Read what there is, keep it, and ask what is to be asked."""
        if self._port is None:
            time.sleep(_RETRY_S)
            self._port = reopen(self._name, self._identity, self._baud)
            self._taken = "" if self._port else taken(self._name, self._identity)
            if self._port is not None:
                self.ledger.reconnects += 1
                self._opened = self._alive = time.monotonic()
                self.stream.reopened(self._opened)
        else:
            self._port.write(self.stream.question(time.monotonic()))
            ready = self.stream.ready
            try:
                chunk = self._port.read()
                now = time.monotonic()
                rows = self.stream.feed(chunk, now)
            except GoneError:
                self._port.close()
                self._port, self._alive = None, time.monotonic()
                rows = self.stream.reopened(self._alive)
            else:
                if not self.stream.ready:
                    self._text = (self._text + chunk)[-_SHOWN_TEXT:]
                if rows or self.stream.ready != ready:
                    self._alive = now
            self.ledger.keep(rows)
        self.ledger.write(time.monotonic())

    def _standing(self) -> Progress:
        tally, ledger = self.stream.tally, self.ledger
        waiting = None
        if self._port is None:
            waiting = f"{self._name} is gone: waiting for it"
            if self._taken:
                waiting = f"{self._name} belongs to another device: waiting for the one before"
        elif not self.stream.ready:
            waiting = "waiting for the device"
        elif time.monotonic() - self._alive > _SILENT_S:
            waiting = "no samples come"
        return Progress(
            samples=ledger.kept,
            seconds=tally.steps.total_us / 1e6,
            rate_hz=tally.steps.rate_hz,
            gaps=ledger.segments - 1 if ledger.kept else 0,
            lost=tally.lost,
            duplicates=ledger.duplicates,
            clipped=ledger.clipped,
            damaged=self.stream.lines.skipped - self.stream.lines.text - self.stream.lines.halves,
            recent=ledger.recent,
            waiting=waiting,
        )

    def _early(self, why: str) -> GyrovaeError:
        verb = "is" if self.ledger.kept == 1 else "are"
        return GyrovaeError(
            f"{why}, for {self._wait_s:g} s now; {many(self.ledger.kept, 'sample')} {verb} kept",
            remedy="Check cable and power, and go on with --append.",
        )

    def _unanswered(self) -> GyrovaeError:
        """Nothing that was received makes sense: in which way."""
        if instead := told_instead(self.stream.words, f"a banner within {_ANSWER_S:g} s"):
            return instead
        counts, problem = self.stream.lines, f"{self._name}: no device of ours answers within {_ANSWER_S:g} s"
        if not self._text:
            return GyrovaeError(
                f"{problem}, and nothing else is said there",
                remedy="Check that it is the right port, that the board runs its firmware, and the baud rate.",
            )
        if counts.undecodable + counts.oversized + counts.halves > counts.text or not counts.lines:
            return GyrovaeError(
                f"{problem}; what comes is no text", remedy=f"Give the firmware's baud rate (--baud, now {self._baud})."
            )
        shown = (self._text.decode("ascii", "replace").strip().splitlines() or [""])[-1][:60]
        return GyrovaeError(
            f"{problem}; what comes is other text",
            received=repr(shown),
            remedy="Flash gyrovae-tf's firmware, or Seeed's with its sampling mode switched on; or have the board "
            "print each sample as that does: x y z in m/s^2 with five decimals, and the whole milliseconds since the "
            "one before, such as 0.12000 -0.31000 9.79000 5",
        )


def _finished(run: _Run, journal: Journal, accept_anyway: bool, window: int) -> Collected:
    """Read what was collected, judge it, and put it where it belongs."""
    if not journal.written:
        raise run.problem or GyrovaeError("no samples came, so no file was written")
    whole = Recording.read(journal.path)
    facts = run.ledger.facts() | {"ended": run.ended}
    recording = _part(whole, 0 if journal.earlier is None else len(journal.earlier), facts)
    if len(recording) < facts["samples"]:  # the disk did not take the latest ones
        facts |= {"samples": len(recording), "seconds": facts["seconds"] * len(recording) / facts["samples"]}
    earlier = 0 if journal.earlier is None else count_windows(journal.earlier, window)
    judgement = judge(recording, window=window, earlier=earlier)
    problem, path = run.problem, journal.path
    refused = [flaw for flaw in judgement.flaws if flaw.refused]
    facts |= {"good": judgement.good, "flaws": [flaw.reason for flaw in judgement.flaws]}
    if not judgement.good and accept_anyway:
        facts["accepted_anyway"] = True
    with contextlib.suppress(GyrovaeError):  # a full disk, which `problem` tells
        run.ledger.note(facts)
        journal.sync(time.monotonic(), force=True)
    if refused and not accept_anyway:
        path, whole = journal.reject(), recording
        problem = GyrovaeError(
            f"not good enough to train on: {'; '.join(flaw.reason for flaw in refused)}; what was collected is kept in "
            f"{path}",
            remedy=f"{refused[0].remedy} To use it all the same, rename that file; --accept-anyway keeps the next "
            "one's name.",
        )
    return Collected(path, recording, whole, judgement, facts, run.ended, problem)


def _part(whole: Recording, start: int, facts: dict[str, Any]) -> Recording:
    """The rows from `start` on, which is where a segment begins, as a recording of their own."""
    segments = tuple((low - start, high - start) for low, high in whole.segments if low >= start)
    metadata = {**whole.metadata, "collected": [facts]}
    return dataclasses.replace(whole, samples=whole.samples[start:], segments=segments, metadata=metadata)
