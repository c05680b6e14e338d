"""Bytes of a port in, rows of samples out: the conversation with a device whose protocol is not known beforehand."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from gyrovae_tf.device.sequence import Row, Sequence, StockSequence, Tally
from gyrovae_tf.device.wire import (
    VERSION,
    WRAP,
    Banner,
    Counts,
    Event,
    Parser,
    Protocol,
    Rebooted,
    Sample,
    Status,
    StockFigures,
    StockSample,
    command_line,
)
from gyrovae_tf.errors import GyrovaeError

_AGAIN_S = 1.0  # until a question that got no answer is asked again
_SILENCE_S = 3.0  # without a sample, until the device is asked to stream once more
_FRESH_S = 5.0  # without a sample before the first answer: what came before that was kept while nobody read
_MOST_KEPT = 2000  # samples: a device has room for some 16 KiB of lines
_MOST_WAITING = 20_000  # samples that are kept until a banner says what they are
_MOST_WORDS = 20


@dataclass
class Stream:
    """A device that is asked to stream: feed it what the port gives, send what it asks for, take its rows."""

    tally: Tally = field(default_factory=Tally)
    """What became of the samples."""
    banner: Banner | None = None
    """Who speaks; None until it has said so, and for the stock firmware."""
    reboots: int = 0
    """Boots that were noticed after the first banner or sample."""
    unclaimed: int = 0
    """Samples that came while nobody had said what they are, and were too many to be kept."""
    words: list[Status] = field(default_factory=list)
    """The latest words of the device."""

    def __post_init__(self) -> None:
        self._parser = Parser()
        self._sequence: Sequence | StockSequence | None = None
        self._waiting: list[Sample] | None = None  # samples that a banner has to explain; None: they are explained
        self._booted: float | None = None  # when a first banner came that was said at a boot: perhaps long ago
        self._asked = -_AGAIN_S
        self._heard: float | None = None  # when the last sample came, or the device said that it streams
        self._unanswered = True
        self._resumed = False  # the port was opened anew

    @property
    def lines(self) -> Counts:
        """Lines that came, and why some were skipped."""
        return self._parser.counts

    @property
    def protocol(self) -> Protocol | None:
        """Which one is spoken; None until a line says it."""
        return self._parser.protocol

    @property
    def ready(self) -> bool:
        """Whether it is known what the numbers mean."""
        return self._sequence is not None

    def feed(self, chunk: bytes, now: float) -> list[Row]:
        """What the port gave, and the time in seconds, in; rows out. `GyrovaeError` when no sense can be made of it."""
        for event in self._parser.feed(chunk):
            if type(event) is Sample:
                self._sample(event, now)
            else:
                self._other(event, now)
        if self._booted is not None and now - self._booted >= _SILENCE_S:  # it does not hear
            self._claim(now)
        if self._sequence is not None and self._sequence.waiting:
            assert isinstance(self._sequence, Sequence)
            self._sequence.tick(now, idle=not chunk)
        return self._take()

    def question(self, now: float) -> bytes:
        """What is to be sent to the device now, mostly nothing."""
        if self.protocol == "stock":
            return b""
        silent = self._heard is not None and now - self._heard > _SILENCE_S
        if not (self._unanswered or silent) or now - self._asked < _AGAIN_S:
            return b""
        self._asked = now
        # The empty line ends whatever half a line the device may have got before.
        return b"\n" + command_line("stream")

    def reopened(self, now: float) -> list[Row]:
        """The port was opened anew: rows that had been held back, out. What follows is a new segment."""
        self._parser.restart()
        if isinstance(self._sequence, Sequence):
            if self._booted is not None:
                self._claim(now)
            self._sequence.finish()
            if self._waiting is None:
                self._waiting = []
        if self._sequence is not None:
            self._sequence.split()
        self._unanswered, self._asked, self._heard = True, now - _AGAIN_S, now
        return self._take()

    def finish(self) -> list[Row]:
        """Rows that were held back."""
        if isinstance(self._sequence, Sequence):
            if self._booted is not None:
                self._claim(self._booted)
            self._sequence.finish()
        self._parser.restart()
        return self._take()

    def _take(self) -> list[Row]:
        if self._sequence is None:
            return []
        rows, self._sequence.rows = self._sequence.rows, []
        return rows

    def _sample(self, sample: Sample, now: float) -> None:
        self._heard = now
        if self._sequence is None:  # before the first banner: the recording begins with that
            return
        if self._waiting is None:
            assert isinstance(self._sequence, Sequence)
            if self._sequence.add(sample, now):
                return
            self._waiting, self._unanswered, self._asked = [], True, now - _AGAIN_S  # booted, or a stale line
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(sample)
        else:
            self.unclaimed += 1
        if self._booted is not None and len(self._waiting) > _MOST_KEPT:
            self._claim(now)

    def _other(self, event: Event, now: float) -> None:
        if type(event) is StockSample:
            if self._sequence is None:
                self._sequence = StockSequence(self.tally)
            assert isinstance(self._sequence, StockSequence)
            self._heard, self._unanswered = now, False
            self._sequence.add(event)
        elif isinstance(event, StockFigures):
            raise GyrovaeError(
                "the device prints results, not samples: it is Seeed's firmware in its detection mode",
                remedy="To record motion, set GYRO_SAMPLE_MODE to 1 in its app_main.cpp and flash it again. To record "
                "the results, collect --figures; to watch it, gyrovae-tf monitor --model RUN.",
            )
        elif isinstance(event, Banner):
            self._greeted(event, now)
        elif isinstance(event, Rebooted):
            self._rebooted(now)
        elif isinstance(event, Status):
            self.words = [*self.words[1 - _MOST_WORDS :], event]

    def _rebooted(self, now: float) -> None:
        if isinstance(self._sequence, StockSequence):
            self.reboots += 1
            self._sequence.split()
        elif self._sequence is not None:
            if self._booted is not None:
                self._claim(now)
            self._sequence.finish()
            self._waiting, self._unanswered = [], True

    def _greeted(self, banner: Banner, now: float) -> None:
        check_version(banner)
        before, self.banner = self.banner, banner
        if before is not None:
            _check_same(before, banner)
        self._unanswered, self._heard = banner.mode != "stream", now
        if before is None or self._sequence is None:
            self._sequence = Sequence(self.tally)
        elif banner.boot != before.boot:
            assert isinstance(self._sequence, Sequence)
            self._sequence.finish()
            rows = self._sequence.rows
            self._sequence = Sequence(self.tally)
            self._sequence.rows = rows
            self.reboots += 1
        if before is None and banner.mode == "stream" and not banner.next:
            # What follows may have been kept since that boot, while nobody read: the answer tells.
            self._waiting, self._booted, self._unanswered, self._asked = [], now, True, now - _AGAIN_S
            return
        if self._booted is not None and self._waiting:
            self._waiting = _fresh(self._waiting, banner)
        self._claim(now)

    def _claim(self, now: float) -> None:
        """The samples that wait are of the device that has said who it is."""
        waiting, self._waiting, self._booted = self._waiting or [], None, None
        for sample in waiting:
            assert isinstance(self._sequence, Sequence)
            # Of the same boot after all, and behind what is known: a copy of what came long ago.
            if not self._sequence.add(sample, now):
                self.tally.repeated += 1


def _fresh(waiting: list[Sample], banner: Banner) -> list[Sample]:
    """Samples in front of an answer in, those behind the last long hole among their numbers out."""
    last = banner.next
    for place in range(len(waiting) - 1, -1, -1):
        if _FRESH_S * banner.rate_hz < (last - waiting[place].number) % WRAP < WRAP // 2:
            return waiting[place + 1 :]
        last = waiting[place].number
    return waiting


def check_version(banner: Banner) -> None:
    """Refuse a device that speaks another version of the protocol."""
    if banner.version != VERSION:
        raise GyrovaeError(
            "the device speaks another version of the protocol",
            expected=VERSION,
            received=banner.version,
            remedy="Flash the firmware that belongs to this gyrovae-tf, or install the one that belongs to it.",
        )


def told_instead(words: Many[Status], expected: str) -> GyrovaeError | None:
    """A device's words and what it did not say in, the refusal that tells its own reason out; None without one.

    That is its latest error, or else its latest warning: a device without a sensor says nothing else.
    """
    for level in ("error", "warning"):
        found = [word.text for word in words if word.level == level]
        if found:
            return GyrovaeError(
                f"the device says: {found[-1]}",
                expected=expected,
                received="none",
                remedy="See to what it says, and try again.",
            )
    return None


def _check_same(before: Banner, now: Banner) -> None:
    """Refuse to go on with another sensor, or the same one set otherwise: a recording has one scale."""
    for name in ("sensor", "lsb", "units", "rate_hz", "counts"):
        if getattr(before, name) != getattr(now, name):
            raise GyrovaeError(
                f"the device came back with another {name}",
                expected=getattr(before, name),
                received=getattr(now, name),
                remedy="What was collected so far is kept; collect into another file.",
            )
