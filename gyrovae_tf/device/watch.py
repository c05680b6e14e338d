"""A port and a monitor in, decisions to whoever wants them out, until it is told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from gyrovae_tf.arguments import number, whole
from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.port import BAUD, GoneError, Port, reopen, taken
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.wire import Banner, Event, Parser

_WAIT_S = 0.05  # for bytes
_AGAIN_S = 0.5  # from one try to open to the next
SILENCE_S = 5.0
"""After so long a port that is open and says nothing is complained of."""
BOOT_S = 15.0
"""The same for one that says other text: the stock firmware takes nine seconds to its first result."""


class Line:
    """A port that is opened again when it was gone."""

    def __init__(self, name: str, baud: int = BAUD) -> None:
        """Open it; `GyrovaeError` when it cannot be at first."""
        self._name, self._baud = name, whole(baud, "the baud rate is not usable", 1)
        self._port: Port | None = Port(name, self._baud)
        self._identity = self._port.identity
        self._tried = 0.0
        self.opened = 1
        """How often it was opened."""
        self.taken = ""
        """What to say while another device has its name; mostly nothing."""

    def read(self) -> bytes | None:
        """What has come, after a tenth of a second at most; None while it is gone."""
        if self._port is None:
            if time.monotonic() - self._tried >= _AGAIN_S:
                self._port, self._tried = reopen(self._name, self._identity, self._baud), time.monotonic()
                self.taken = "" if self._port else taken(self._name, self._identity)
            if self._port is None:
                time.sleep(_WAIT_S)
                return None
            self.opened += 1
        try:
            return self._port.read(_WAIT_S)
        except GoneError:
            self.close()
            self._tried = time.monotonic()
            return None

    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent is lost."""
        if self._port is not None:
            self._port.write(data)

    def close(self) -> None:
        """Close it."""
        port, self._port = self._port, None
        if port is not None:
            port.close()


class Listener(Protocol):
    """Who wants decisions: a log, a command, a broker, a page."""

    def __call__(self, decision: Decision) -> None: ...
    def notes(self) -> list[str]: ...


def watch(
    watched: Watched,
    line: Line,
    *,
    listeners: Sequence[Listener] = (),
    told: Callable[[str], None] = lambda _text: None,
    decided: Callable[[Decision], None] = lambda _decision: None,
    tick: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float | None = None,
    windows: int | None = None,
) -> None:
    """Read and decide until `stop()`, for `seconds`, or until so many `windows` were decided.

    `decided` and the `listeners` get each decision, `told` what a person should know, `tick` is called between two
    readings. `GyrovaeError` as from `Monitor.take`.
    """
    for decision in decisions(
        watched, line, listeners=listeners, told=told, tick=tick, stop=stop, seconds=seconds, windows=windows
    ):
        decided(decision)


def decisions(
    watched: Watched,
    line: Line,
    *,
    listeners: Sequence[Listener] = (),
    told: Callable[[str], None] = lambda _text: None,
    tick: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float | None = None,
    windows: int | None = None,
) -> Iterator[Decision]:
    """The same, decision by decision."""
    if seconds is not None:
        seconds = number(seconds, "the seconds to watch are not usable", "above 0", lambda found: found > 0)
    if windows is not None:
        windows = whole(windows, "the number of windows is not usable", 1)
    monitor, parser, opened = watched.monitor, Parser(watched.lines), 0
    silence = _Silence(watched.lines.text)
    until = None if seconds is None else time.monotonic() + seconds
    count, other = 0, ""
    while not stop() and (until is None or time.monotonic() < until):
        chunk = line.read()
        connected = chunk is not None
        if connected != watched.connected:
            watched.connected = connected
            if not connected:
                told(f"{watched.port} is gone; waiting for it")
            elif opened:  # not for the first time
                told(f"{watched.port} is back")
        if line.taken != other:
            other = line.taken
            if other:
                told(f"{other}, which is left alone")
        if line.opened != opened:
            opened = line.opened
            parser.restart()
            parser.protocol = None
            monitor.connected(time.time())
            silence = _Silence(watched.lines.text)
        events = parser.feed(chunk or b"")
        silence.hear(chunk or b"", events, watched.lines.text)
        if connected and (complaint := silence.complaint(_patience_s(monitor))):
            told(f"{watched.port}: {complaint}")
        # One by one: what ends the monitoring must not take with it what was decided before. Time passes without, too.
        for some in [[event] for event in events] or [[]]:
            for decision in monitor.take(some, time.time()):
                watched(decision)
                yield decision
                for listener in listeners:
                    listener(decision)
                count += 1
                if count == windows:
                    break
            if count == windows:
                break
        monitor.tick(time.time())
        for command in monitor.commands():
            line.write(command)
        for note in [*monitor.notes(), *(note for listener in listeners for note in listener.notes())]:
            told(note)
        tick()
        if count == windows:
            return


class _Silence:
    """How long nothing has come of a port that is open."""

    def __init__(self, lines: int) -> None:
        """`lines` of other text came before it was opened."""
        self._since = time.monotonic()
        self._bytes = 0
        self._lines = self._before = lines  # of text, so far and up to the latest event
        self._told = False

    def hear(self, chunk: bytes, events: Sequence[Event], lines: int) -> None:
        """What has come, what was made of it, and how many lines of other text have come so far."""
        self._lines = lines
        if events:
            self._since, self._bytes, self._before, self._told = time.monotonic(), 0, lines, False
        self._bytes += 0 if events else len(chunk)

    def complaint(self, patience_s: float) -> str:
        """What to tell a person about it: once, and again after something has come; mostly nothing."""
        text = self._lines > self._before
        if text:  # that of a boot takes time
            patience_s = max(patience_s, BOOT_S)
        if self._told or time.monotonic() - self._since < patience_s:
            return ""
        self._told = True
        if text:
            return f"what comes is text, and nothing of it samples or results ({self._bytes:,} bytes)"
        if self._bytes:
            return f"nothing can be made of what comes ({self._bytes:,} bytes): is --baud that of the firmware?"
        return f"nothing has come for {patience_s:g} s: does the firmware run, and is this its port?"


def patience_s(least_s: float, banner: Banner) -> float:
    """The least patience in seconds and a device in; how long it may say nothing while it detects: three windows."""
    return max(least_s, 3 * max(banner.window, banner.hop) / banner.rate_hz)


def _patience_s(monitor: Monitor) -> float:
    """How long a device may say nothing: one that decides speaks but once a window."""
    banner = monitor.banner
    return SILENCE_S if monitor.source == "host" or banner is None else patience_s(SILENCE_S, banner)
