"""Bytes of a serial port in, events out, and back again: the line protocol of a gyrovae device, version 1.

The C++ twin is firmware/components/gyrovae/wire.cpp. `docs/protocol.md` says the same at more length, with examples.

A line ends with LF (CR LF will do), holds printable ASCII, and has at most `LONGEST` bytes before its end. What the
device says ends with `*` and the CRC of what stands before it, four hexadecimal digits (capitals); the first character
tells what it is:

    NUMBER T_US X Y Z*CCCC        a sample: decimal integers, one space between
    {"gyrovae":1, ...}*CCCC       the banner: who speaks, one JSON object; after a boot and in answer to each command
    V ... *CCCC                   a verdict, one a window: `Verdict`
    #I text*CCCC                  a word of the device: #I information, #W warning, #E error

- CRC: CRC-16/IBM-3740 (polynomial 1021, start FFFF, no reflection, no final xor; "123456789" gives 29B1).
- NUMBER: samples that the sensor has given since boot, modulo 2^32, in whatever mode; so a missing number is a sample
  that the link (or a full queue of the device) has lost.
- T_US: the device's clock when the sample was taken, microseconds since boot modulo 2^32 (71.6 minutes).
- X Y Z: int16 counts of `lsb`.

Some 33 bytes a sample, at most 49: 200 Hz take 57 % of 115,200 baud, 1 kHz 36 % of 921,600.
Numbers with decimals have a fixed number of them, so that a device writes them as integers.

The stock firmware (Seeed's gyro_anomaly_detection_nn) is understood, too. In its sampling mode it says, after the text
of the boot, lines `x y z dt`, m/s^2 with five decimals and whole milliseconds. In its detection mode it says for each
window, among other text,

    Predict results: -3.67124 -17.98375
    Sampled: 32 (1304)

The first figure is of the scalogram, the second of the field, in dB (lower: a worse reconstruction); how many decimals
there are depends on what was printed before, perhaps with an exponent; inf, -inf and nan happen. The second line counts
samples, since the result before and since boot. What it samples before its first result it prints, too, with blanks in
front: that is text. There is no CRC and no number in these lines: what the link loses or changes cannot always be seen.
Its timer prints at the same time, so that a line may be cut up: then it is none.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, TypeAlias, get_args

from gyrovae_tf.calibration import MOST_VOTES
from gyrovae_tf.errors import GyrovaeError

VERSION = 1
LONGEST = 512
"""Bytes of a line without its end. What is longer is skipped, and never kept in memory."""
WRAP = 1 << 32
"""Numbers and times of samples begin again at 0 here."""
MOST_SAMPLE_BYTES = 49
"""The longest line of a sample, with its end."""
LARGEST_SCORE = 9_999_999.999
"""What is larger, or no number, is written as this."""

Mode = Literal["stream", "detect"]
Level = Literal["info", "warning", "error"]
Model = Literal["compiled", "partition", "none"]
Protocol = Literal["gyrovae", "stock"]
MODES: tuple[Mode, ...] = get_args(Mode)
COMMANDS = ("stream", "detect", "info", "calibrate", "forget")
"""What a host may say, one word a line: the two modes; `info` for the banner alone; `calibrate` with a number of
minutes of normal motion behind it, to refit the threshold on site; `forget` to go back to the detector's own. Each is
answered by a banner, an unknown one by a word of error."""

_SAMPLE = re.compile(rb"(\d{1,10}) (\d{1,10}) (-?\d{1,5}) (-?\d{1,5}) (-?\d{1,5})")
_MARKED = re.compile(rb"(.*)\*([0-9A-F]{4})")
_TEXT = re.compile(rb"[\t -~]*")
_NUMBER, _SCORE = r"(\d{1,10})", r"(\d{1,7}\.\d{3})"
_VERDICT = re.compile(
    f"V {_NUMBER} {_NUMBER} {_NUMBER} {_SCORE} {_SCORE} (-|AE?|E) (-|[^ ]+) {_NUMBER} {_NUMBER} {_NUMBER}"
)
_REASON = re.compile(r"([xyz])([+-])(\d{1,3})%(\d{1,6}\.\d\d)-(\d{1,6}\.\d\d)")
_STOCK = re.compile(rb"(-?\d{1,6}\.\d{5})\s+(-?\d{1,6}\.\d{5})\s+(-?\d{1,6}\.\d{5})\s+(\d{1,9})\s*")
_FIGURE = rb"([-+]?(?:inf|nan|(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:e[-+]?\d{1,3})?))"
_RESULT = b"Predict results: "
_FIGURES = re.compile(_RESULT + _FIGURE + b" " + _FIGURE + rb"\s*", re.IGNORECASE)
_SAMPLED = re.compile(rb"Sampled: (\d{1,10}) \((\d{1,10})\)\s*")
_MOST_DB = 400.0
"""No figure of float32 numbers is larger or smaller, but for the infinite ones: it lost its point on the way."""
_LEVELS: dict[str, Level] = {"I": "info", "W": "warning", "E": "error"}
_WORDS = {"firmware": 32, "sensor": 32, "units": 32}  # texts of the banner and their longest
_BOOT = b"rst:0x"  # how every ESP32's ROM says, once a boot, why it boots


class Sample(NamedTuple):
    """One sample of our protocol."""

    number: int
    """Of the sample since boot, modulo 2^32."""
    t_us: int
    """When it was taken, microseconds since boot, modulo 2^32."""
    x: int
    y: int
    z: int


class StockSample(NamedTuple):
    """One sample of the stock firmware: m/s^2, and whole milliseconds since the sample before."""

    x: float
    y: float
    z: float
    dt_ms: int


class StockFigures(NamedTuple):
    """What the stock firmware's console prints of one window, in dB."""

    scalogram_db: float
    field_db: float


class StockSampled(NamedTuple):
    """How many samples the stock firmware has taken, as it says after a window's figures."""

    since: int
    """Since the window before, modulo 2^32."""
    total: int
    """Since boot, modulo 2^32."""


@dataclass(frozen=True)
class Banner:
    """Who speaks. Of a protocol that is not ours only `version` is known."""

    version: int = VERSION
    firmware: str = ""
    """The firmware's version, which is gyrovae-tf's."""
    sensor: str = ""
    """The sensor's type, such as QMA7981."""
    rate_hz: float = 0.0
    """Samples a second as the sensor is set; what it truly does shows in the times."""
    lsb: float = 0.0
    """Units a count."""
    units: str = "m/s^2"
    counts: tuple[int, int] = (-32768, 32767)
    """The least and the largest count that the sensor gives: what reaches them is clipped."""
    mode: Mode = "stream"
    boot: int = 0
    """A number that differs from that of the boot before."""
    next: int = 0
    """Number of the next sample."""
    t_us: int = 0
    """The device's clock now, in microseconds since boot, modulo 2^32."""
    model: Model = "none"
    """Where its detector comes from: compiled in, or from the partition of the flash that is made for it."""
    spec: str | None = None
    """Digest of the detector's spec, 64 hexadecimal digits; None where there is no detector."""
    window: int = 0
    """Samples a window; 0 where there is no detector."""
    hop: int = 0
    """Samples from one window to the next; 0 where there is no detector."""
    vote: tuple[int, int] = (0, 0)
    """Alarms among so many windows in a row that share no samples make an event; 0 of 0 where there is no detector."""
    threshold: float = 1.0
    """The score from which a window is an alarm; 1 unless it was calibrated on site. Thousandths on the wire."""
    site_windows: int = 0
    """Windows that the threshold was calibrated with on site; 0: it is the detector's own."""


class Reason(NamedTuple):
    """A stretch of frequencies that makes a window abnormal."""

    axis: str
    low_hz: float
    high_hz: float
    direction: Literal["louder", "quieter"]
    share: float
    """0 to 1, in whole per cent on the wire."""


@dataclass(frozen=True)
class Verdict:
    """What the device made of one window."""

    window: int
    """Number of the window since boot."""
    number: int
    """Of its last sample."""
    t_us: int
    """When its last sample was taken."""
    score: float
    """Higher is more abnormal, 1.0 is the threshold of the detector; thousandths on the wire."""
    threshold: float
    """The score from which it is an alarm: 1.0 unless it was calibrated on site."""
    alarm: bool
    event: bool
    """With this window the vote makes an event of the alarms."""
    reasons: tuple[Reason, ...]
    frontend_us: int
    inference_us: int
    score_us: int


class Status(NamedTuple):
    """A word of the device to whoever reads it."""

    level: Level
    text: str


class Rebooted(NamedTuple):
    """The device booted."""

    text: str
    """What its ROM says of it."""


Event: TypeAlias = Sample | StockSample | StockFigures | StockSampled | Banner | Verdict | Status | Rebooted


def crc(text: bytes) -> int:
    """CRC-16/IBM-3740 of some bytes."""
    return binascii.crc_hqx(text, 0xFFFF)


def sample_line(number: int, t_us: int, x: int, y: int, z: int) -> bytes:
    """The line of a sample; number and time may be whole, counts must be int16."""
    return _marked(b"%d %d %d %d %d" % (number % WRAP, t_us % WRAP, x, y, z))


def banner_line(banner: Banner) -> bytes:
    """The line of a banner; `GyrovaeError` where its texts make it too long."""
    content = {"gyrovae": banner.version} | {name: getattr(banner, name) for name in _FIELDS}
    # Decimals as the device writes them: so many, and always so many.
    fixed = {name: f"{content[name]:.{digits}f}" for name, digits in _DECIMALS.items()}
    texts = (
        f'"{name}":{fixed.get(name) or json.dumps(value, separators=(",", ":"))}' for name, value in content.items()
    )
    return _marked(f"{{{','.join(texts)}}}".encode())


def verdict_line(verdict: Verdict) -> bytes:
    """The line of a verdict: scores in thousandths, frequencies in hundredths, shares in whole per cent."""
    reasons = ",".join(
        f"{r.axis}{'+' if r.direction == 'louder' else '-'}{round(100 * r.share)}%{r.low_hz:.2f}-{r.high_hz:.2f}"
        for r in verdict.reasons
    )
    flags = "A" * verdict.alarm + "E" * verdict.event
    score = verdict.score if verdict.score <= LARGEST_SCORE else LARGEST_SCORE  # NaN compares false
    return _marked(
        f"V {verdict.window} {verdict.number} {verdict.t_us} {score:.3f} {verdict.threshold:.3f} {flags or '-'} "
        f"{reasons or '-'} {verdict.frontend_us} {verdict.inference_us} {verdict.score_us}".encode()
    )


def status_line(level: Level, text: str) -> bytes:
    """The line of a word to the reader; characters that are not printable ASCII become question marks."""
    letter = next(letter for letter, name in _LEVELS.items() if name == level)
    plain = re.sub(r"[^ -~]", "?", text)[: LONGEST - 16]
    return _marked(f"#{letter} {plain}".encode())


def stock_line(x: float, y: float, z: float, dt_ms: int) -> bytes:
    """The stock firmware's line of a sample."""
    return b"%.5f %.5f %.5f %d\n" % (x, y, z, dt_ms)


def result_line(figures: StockFigures) -> bytes:
    """The stock firmware's line of a window's figures, as its console prints it after its first samples."""
    return b"%s%.5f %.5f\r\n" % (_RESULT, *figures)


def command_line(name: str, *numbers: int) -> bytes:
    """What a host sends: one of `COMMANDS`."""
    if name not in COMMANDS:
        raise GyrovaeError("unknown command for a device", expected=", ".join(COMMANDS), received=name)
    return " ".join([name, *map(str, numbers)]).encode() + b"\n"


def _marked(text: bytes) -> bytes:
    if len(text) > LONGEST - 5:
        raise GyrovaeError(
            "too long a line for the protocol", expected=f"at most {LONGEST} bytes", received=f"{len(text) + 5} bytes"
        )
    return b"%s*%04X\n" % (text, crc(text))


@dataclass
class Counts:
    """What a `Parser` has met. Every line that is not empty is counted once, as an event's or as skipped."""

    lines: int = 0
    """Whole lines that were not empty."""
    checksum: int = 0
    """Skipped: looks like a line of ours, but its CRC says no."""
    undecodable: int = 0
    """Skipped: bytes that are no printable ASCII, or a line of ours, or a result of the stock firmware, that makes no
    sense."""
    oversized: int = 0
    """Skipped: longer than `LONGEST`."""
    text: int = 0
    """Skipped: other text, such as that of a boot."""
    halves: int = 0
    """Skipped: lines whose beginning was before the port was opened, or whose end was lost when it was closed."""

    @property
    def skipped(self) -> int:
        """All lines that were skipped."""
        return self.damaged + self.text + self.halves

    @property
    def damaged(self) -> int:
        """Lines that cannot be what was sent."""
        return self.checksum + self.undecodable + self.oversized


@dataclass
class Parser:
    """Bytes in any chunks in, events out. It never raises, and never keeps more than `LONGEST` bytes.

    The first line of either protocol decides for it: what looks like the other's is then skipped as text.
    """

    counts: Counts = field(default_factory=Counts)
    protocol: Protocol | None = None
    """Which one is spoken; None until the first line says it."""
    _rest: bytes = b""
    _too_long: bool = False
    _begun: bool = False  # a line's end has been seen, so that what follows is a whole line

    def feed(self, chunk: bytes) -> list[Event]:
        """The events of the lines that end in `chunk`."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        events = []
        for line in lines:
            text = line.rstrip(b"\r")
            whole = not self._too_long and len(line) <= LONGEST + 1 and len(text) <= LONGEST
            event = self._line(text) if whole else None
            if event is not None:
                events.append(event)
            if not whole:
                self._skip("oversized")
            self._begun, self._too_long = True, False
        self._too_long = self._too_long or len(rest) > LONGEST + 1
        self._rest = b"" if self._too_long else rest
        return events

    def restart(self) -> None:
        """The port was opened anew: what has been read of a line is no part of what follows."""
        if self._rest or self._too_long:
            self.counts.lines += 1
            self.counts.halves += 1
        self._rest, self._too_long, self._begun = b"", False, False

    def _skip(self, why: str) -> None:
        """Count a line that nothing is made of; a first one may have lost its beginning."""
        self.counts.lines += why == "oversized"
        why = why if self._begun else "halves"
        setattr(self.counts, why, getattr(self.counts, why) + 1)

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return None
        self.counts.lines += 1
        if not _TEXT.fullmatch(line):
            self._skip("undecodable")
            return None
        marked = _MARKED.fullmatch(line) if self.protocol != "stock" else None
        if marked:
            if crc(marked[1]) != int(marked[2], 16):
                self._skip("checksum")
                return None
            return self._content(marked[1])
        if self.protocol != "gyrovae":
            # A first line may be half a one, and half a number looks like a whole one: only a CRC would tell.
            stock = _STOCK.fullmatch(line) if self._begun else None
            if stock:
                self.protocol = "stock"
                x, y, z = map(float, stock.groups()[:3])
                return StockSample(x, y, z, int(stock[4]))
            place = line.find(_RESULT)
            if place >= 0:
                return self._result(line[place:])
            sampled = _SAMPLED.fullmatch(line) if self.protocol == "stock" else None
            if sampled:
                return StockSampled(int(sampled[1]) % WRAP, int(sampled[2]) % WRAP)
        self._skip("text")
        return Rebooted(line.decode("ascii")) if line.startswith(_BOOT) else None

    def _result(self, line: bytes) -> Event | None:
        """A line from the words of a result on; what a boot or a terminal put in front does not matter."""
        found = _FIGURES.fullmatch(line)
        figures = None if found is None else StockFigures(float(found[1]), float(found[2]))
        if figures is None or any(_MOST_DB < abs(figure) < math.inf for figure in figures):
            self._skip("undecodable")
            return None
        self.protocol = "stock"
        return figures

    def _content(self, text: bytes) -> Event | None:
        plain = text.decode("ascii")
        kind = plain[:1]
        event: Event | None = None
        if kind == "{":
            event = _banner(plain)
        elif kind == "V":
            event = _verdict(plain)
        elif kind == "#":
            level = _LEVELS.get(plain[1:2])
            event = Status(level, plain[3:]) if level and plain[2:3] == " " else None
        else:
            event = _sample(text)
        if event is None:
            self._skip("undecodable")
        else:
            self.protocol = "gyrovae"
        return event


def _sample(text: bytes) -> Sample | None:
    found = _SAMPLE.fullmatch(text)
    if not found:
        return None
    number, t_us, x, y, z = map(int, found.groups())
    usable = number < WRAP and t_us < WRAP and all(-32768 <= count <= 32767 for count in (x, y, z))
    return Sample(number, t_us, x, y, z) if usable else None


_FIELDS = tuple(one.name for one in fields(Banner) if one.name != "version")
_DECIMALS = {"rate_hz": 3, "lsb": 9, "threshold": 3}


def _banner(text: str) -> Banner | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    version = content.get("gyrovae") if isinstance(content, dict) else None
    if not isinstance(version, int) or not _whole(version, 0, 10**6):
        return None
    if version != VERSION:
        return Banner(version=version)
    found = {name: content.get(name) for name in _FIELDS}
    spec, counts, vote = found["spec"], found["counts"], found["vote"]
    usable = (
        all(_word(found[name], longest) for name, longest in _WORDS.items())
        and found["units"] != ""
        and all(_number(found[name]) for name in _DECIMALS)
        and _two(counts, -32768, 32767)
        and counts[0] < counts[1]
        and _two(vote, 0, MOST_VOTES)
        and vote[0] <= vote[1]
        and (vote[0] == 0) == (vote[1] == 0) == (spec is None)
        and (spec is None or (isinstance(spec, str) and re.fullmatch("[0-9a-f]{64}", spec)))
        and found["mode"] in MODES
        and found["model"] in get_args(Model)
        and (found["model"] == "none") == (spec is None)
        and all(_whole(found[name], 0, WRAP - 1) for name in ("boot", "next", "t_us", "window", "hop", "site_windows"))
    )
    if not usable:
        return None
    found |= {"counts": tuple(counts), "vote": tuple(vote)} | {name: float(found[name]) for name in _DECIMALS}
    return Banner(version=VERSION, **found)


def _word(value: object, longest: int) -> bool:
    """JSON can escape what must not reach a terminal."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _two(values: object, least: int, most: int) -> bool:
    return isinstance(values, list) and len(values) == 2 and all(_whole(value, least, most) for value in values)


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and 1e-9 <= value <= LARGEST_SCORE


def _verdict(text: str) -> Verdict | None:
    found = _VERDICT.fullmatch(text)
    if not found:
        return None
    reasons = []
    for part in found[7].split(",") if found[7] != "-" else ():
        one = _REASON.fullmatch(part)
        if not one:
            return None
        direction: Literal["louder", "quieter"] = "louder" if one[2] == "+" else "quieter"
        reasons.append(Reason(one[1], float(one[4]), float(one[5]), direction, int(one[3]) / 100))
    window, number, t_us, *_, frontend_us, inference_us, score_us = (
        int(text) if text.isdigit() else 0 for text in found.groups()
    )
    return Verdict(
        window=window,
        number=number,
        t_us=t_us,
        score=float(found[4]),
        threshold=float(found[5]),
        alarm="A" in found[6],
        event="E" in found[6],
        reasons=tuple(reasons),
        frontend_us=frontend_us,
        inference_us=inference_us,
        score_us=score_us,
    )
