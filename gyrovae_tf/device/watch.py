"""A port and a monitor in, decisions to whoever wants them out, until it is told to stop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gyrovae_tf.device.monitor import Decision
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.wire import Parser
from gyrovae_tf.errors import GyrovaeError

_WAIT_S = 0.05  # for the first byte
_AGAIN_S = 0.5  # from one try to open to the next
_MOST = 1 << 16


class Line(Protocol):
    """A port that is opened again and again until it is there."""

    def read(self) -> bytes | None:
        """What has come, perhaps after a short wait; None while it is not open."""

    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent is lost."""

    @property
    def opened(self) -> int:
        """How often it was opened."""

    @property
    def trouble(self) -> str:
        """Why it is not open."""


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
    monitor, parser, opened = watched.monitor, Parser(watched.lines), 0
    until = None if seconds is None else time.monotonic() + seconds
    while not stop() and (until is None or time.monotonic() < until):
        chunk = line.read()
        connected = chunk is not None
        if connected != watched.connected:
            watched.connected = connected
            if not connected:
                told(f"{watched.port}: {line.trouble or 'lost'}; waiting for it")
            elif opened:
                told(f"{watched.port} is back")
        watched.trouble = line.trouble
        if line.opened != opened:
            opened = line.opened
            parser.restart()
            parser.protocol = None
            monitor.connected(time.time())
        events = parser.feed(chunk or b"")
        for event in events:  # one by one: what ends the monitoring must not take with it what was decided before
            for decision in monitor.take([event], time.time()):
                watched(decision)
                decided(decision)
                for listener in listeners:
                    listener(decision)
            if windows is not None and monitor.made >= windows:
                break
        monitor.tick(time.time())
        for command in monitor.commands():
            line.write(command)
        for note in [*monitor.notes(), *(note for listener in listeners for note in listener.notes())]:
            told(note)
        tick()
        if windows is not None and monitor.made >= windows:
            return


class SerialLine:
    """A serial port, or a URL of pyserial's, that is opened again when it was lost."""

    def __init__(self, port: str, baud: int = 115200) -> None:
        """Open it; `GyrovaeError` when it cannot be at first."""
        self._name, self._baud = port, baud
        self._port: Any = None
        self._tried = -math.inf
        self.opened = 0
        self.trouble = ""
        self._open()
        if self._port is None:
            raise GyrovaeError(
                f"cannot open {port}: {self.trouble}",
                remedy="Is the device plugged in, and no other program using it? gyrovae-tf collect --list-ports",
            )

    def _open(self) -> None:
        import serial

        self._tried = time.monotonic()
        try:
            self._port = serial.serial_for_url(self._name, self._baud, timeout=_WAIT_S, write_timeout=1.0)
        except (serial.SerialException, OSError, ValueError) as error:
            self.trouble = str(error)
            return
        self.opened, self.trouble = self.opened + 1, ""

    def read(self) -> bytes | None:
        """What has come, after a twentieth of a second at most; None while it is not open."""
        import serial

        if self._port is None:
            if time.monotonic() - self._tried < _AGAIN_S:
                time.sleep(_WAIT_S)
                return None
            self._open()
            if self._port is None:
                return None
        try:
            found: bytes = self._port.read(max(1, min(self._port.in_waiting, _MOST)))
            if not found or len(found) > 1:
                return found
            return found + self._port.read(min(self._port.in_waiting, _MOST))
        except (serial.SerialException, OSError, TypeError) as error:
            self._lose(str(error))
            return None

    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent is lost."""
        import serial

        if self._port is None:
            return
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self.close()
        self.trouble, self._tried = why, time.monotonic()

    def close(self) -> None:
        """Close it."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()
