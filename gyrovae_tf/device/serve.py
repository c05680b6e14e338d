"""A pretend device on a pseudo-terminal or a TCP port, in real time or faster, until it is told to stop.

Like a real one it keeps speaking whether or not somebody listens; what a listener does not read in time is lost.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gyrovae_tf.device.link import Boot, Faults, Line, Link, Record
from gyrovae_tf.device.outlet import Outlet, Pty, Tcp
from gyrovae_tf.device.pretend import Device
from gyrovae_tf.errors import GyrovaeError

_QUEUE = 1 << 16  # bytes that a device keeps for a listener that does not read
_TICK_S = 0.002
_LONGEST_COMMAND = 256
_PATIENCE_S = 2.0  # for the last bytes to be read
_QUIET_S = 0.1  # without a byte left to read: the system may hold some back for a moment


@dataclass(frozen=True)
class Incidents:
    """What happens, in seconds of the device's time since it was switched on. None: it does not."""

    reboot_after_s: float | None = None
    unplug_after_s: float | None = None
    unplugged_s: float | None = None
    """How long (in real time) until it is plugged in again; None: for good."""
    powered: bool = False
    """It keeps running while it is unplugged; else plugging it in boots it."""


def serve(
    device: Device,
    outlet: Outlet,
    *,
    faults: Faults | None = None,
    incidents: Incidents | None = None,
    speed: float = 1.0,
    seconds: float | None = None,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    record: Record | None = None,
) -> Record:
    """Let `device` speak through `outlet` until `stop()`, for `seconds` of its time, or until it is unplugged for good.

    `speed` times real time; infinity is as fast as it is read: its clock moves only while somebody listens who has
    said something, if only an empty line.
    `record`, when given, is filled while it runs; it is what is returned.
    """
    for what, value in (("speed", speed), ("seconds", 1.0 if seconds is None else seconds)):
        if not value > 0:
            raise GyrovaeError(f"{what} must be above 0", received=value)
    session = _Session(device, outlet, faults or Faults(), incidents or Incidents(), record or Record(), seed, speed)
    try:
        session.run(math.inf if seconds is None else seconds, stop)
    finally:
        outlet.unplug()
    return session.record


class _Session:
    """The course of one `serve`: its clock, its queue, and what has happened."""

    def __init__(
        self,
        device: Device,
        outlet: Outlet,
        faults: Faults,
        incidents: Incidents,
        record: Record,
        seed: int,
        speed: float,
    ) -> None:
        self.record = record
        self._device, self._outlet, self._incidents, self._speed = device, outlet, incidents, speed
        self._link = Link(faults, record, seed)
        self._queue = bytearray()
        self._commands = bytearray()
        self._spoken = False
        self._began = time.monotonic()
        self._now = 0.0  # seconds of the device's time since it was switched on
        self._booted = 0.0
        self._unplugged: float | None = None  # since when, in real time
        self._unplug_at = math.inf if incidents.unplug_after_s is None else incidents.unplug_after_s
        self._reboot_at = math.inf if incidents.reboot_after_s is None else incidents.reboot_after_s

    def run(self, seconds: float, stop: Callable[[], bool]) -> None:
        self._boot()
        while not stop() and self._now < seconds:
            self._answer()
            self._pass_time(seconds)
            self._flush()
            if self._now >= self._reboot_at:
                self._reboot_at = math.inf
                self._boot()
            if self._now >= self._unplug_at:
                self._unplug_at = math.inf
                self._settle()
                self._outlet.unplug()
                self._queue.clear()
                self._unplugged, self.record.unplugged = time.monotonic(), self.record.unplugged + 1
                if self._incidents.unplugged_s is None:
                    return
            if self._unplugged is not None and time.monotonic() - self._unplugged >= (self._incidents.unplugged_s or 0):
                self._outlet.plug()
                self._unplugged = None
                if not self._incidents.powered:
                    self._boot()
            if not (math.isinf(self._speed) and self._spoken and not self._queue):
                self._outlet.wait(_TICK_S, to_write=bool(self._queue))
        self._settle()

    def _boot(self) -> None:
        if self.record.boots:
            self._queue += self._link.settle()
        said = self._device.boot()
        self._booted = self._now
        if self._outlet.listening():
            self._queue += b"".join(line.content for line in said)
        self.record.boots.append(Boot(self._device.banner.boot))

    def _answer(self) -> None:
        """Obey what the listener has said."""
        said = self._outlet.read()
        self._spoken = self._outlet.listening() and (self._spoken or bool(said))
        self._commands += said
        *lines, rest = bytes(self._commands).split(b"\n")
        self._commands = bytearray(rest[-_LONGEST_COMMAND:])
        for line in lines:
            self._queue += self._link.carry(self._device.command(line.rstrip(b"\r")))

    def _pass_time(self, seconds: float) -> None:
        """Move the clock on, and let the device say what there is to say."""
        next_event = min(seconds, self._unplug_at, self._reboot_at)
        if not math.isinf(self._speed):
            self._now = min((time.monotonic() - self._began) * self._speed, next_event)
        elif self._spoken and len(self._queue) < _QUEUE // 2:
            self._now = min(self._now + 256 / self._device.rate_hz, next_event)
        if self._unplugged is not None and not self._incidents.powered:
            self._booted = self._now  # switched off
            return
        while True:
            first = self._device.made
            lines = self._device.advance(self._now - self._booted)
            if self._device.made == first:
                return
            self._say(first, lines)

    def _say(self, first: int, lines: list[Line]) -> None:
        """Queue what can be sent of the lines of the samples from `first` on, and put the rest on record."""
        boot = self.record.boots[-1]
        boot.samples = self._device.made
        samples = bool(lines) and lines[0].number is not None
        if not self._outlet.listening():
            self._queue.clear()
            lines, samples = [], False
        if not samples:
            for number in range(first, self._device.made):
                boot.skip(number)
        if lines and len(self._queue) > _QUEUE and not math.isinf(self._speed):
            boot.overrun += [line.number for line in lines if line.number is not None]
            return
        self._queue += self._link.carry(lines)

    def _flush(self) -> None:
        while self._queue and self._outlet.listening():
            written = self._outlet.write(bytes(self._queue[:_QUEUE]))
            del self._queue[:written]
            if not written:
                return

    def _settle(self) -> None:
        """Let the listener read what was said, for a while."""
        self._queue += self._link.settle()
        now = time.monotonic()
        until, quiet = now + _PATIENCE_S, now
        while self._outlet.listening() and now < until and now - quiet < _QUIET_S:
            self._flush()
            if self._queue or self._outlet.unread():
                quiet = now
            time.sleep(_TICK_S)
            now = time.monotonic()


@dataclass
class Pretended:
    """A pretend device that speaks in a thread of its own."""

    port: str
    """What `collect` is to be given."""
    record: Record
    """What it has done so far; final once `pretend` is left."""
    stop: threading.Event
    thread: threading.Thread
    problem: BaseException | None = None


@contextlib.contextmanager
def pretend(
    device: Device,
    *,
    tcp: tuple[str, int] | None = None,
    faults: Faults | None = None,
    incidents: Incidents | None = None,
    speed: float = 1.0,
    seconds: float | None = None,
    seed: int = 0,
) -> Iterator[Pretended]:
    """A device in, one that can be listened to on a pseudo-terminal (or TCP host and port) out, while the block runs.

    The other arguments are those of `serve`.
    """
    with tempfile.TemporaryDirectory(prefix="gyrovae-") as folder:
        outlet: Outlet = Pty(Path(folder) / "port") if tcp is None else Tcp(*tcp)
        stop = threading.Event()

        def run() -> None:
            try:
                serve(
                    device,
                    outlet,
                    faults=faults,
                    incidents=incidents,
                    speed=speed,
                    seconds=seconds,
                    seed=seed,
                    stop=stop.is_set,
                    record=made.record,
                )
            except BaseException as error:
                made.problem = error

        made = Pretended(outlet.name, Record(), stop, threading.Thread(target=run, daemon=True))
        made.thread.start()
        while made.thread.is_alive() and not made.record.boots:  # nobody comes early enough to hear it boot
            time.sleep(_TICK_S)
        try:
            yield made
        finally:
            stop.set()
            made.thread.join()
            if made.problem is not None:
                raise made.problem
