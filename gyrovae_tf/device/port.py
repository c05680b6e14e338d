"""The name of a serial port, a pseudo-terminal or a URL in, chunks of bytes out, until it is gone.

Names: /dev/ttyACM0, COM3, socket://host:port, rfc2217://host:port and whatever else pyserial's `serial_for_url` knows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import re
import select
import socket
import threading
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.arguments import told
from gyrovae_tf.errors import GyrovaeError

BAUD = 115_200
_CHUNK = 1 << 16
_MOST_CHUNKS = 256  # read ahead, so that a slow disk stops nobody
_WAIT_S = 0.1
_MOST_NAMED = 6
NO_PORT = "There is no serial port here now: is the board plugged in, with a cable that carries data?"
_ASKED_S, _APART_S, _TIMES = 10, 5, 3  # without a byte, until a server is asked whether it is there; then how often


class GoneError(Exception):
    """The port was unplugged, or the other end hung up."""


@dataclass(frozen=True)
class Listed:
    """A serial port that is there."""

    name: str
    """What to give as the port."""
    description: str
    identity: str | None
    """Vendor, product and serial number on the USB (without one, where it is plugged in), which stay when the name
    changes; None for other ports."""


def list_ports() -> list[Listed]:
    """The serial ports of this computer, those on the USB first."""
    from serial.tools import list_ports

    found = []
    for info in list_ports.comports():
        identity = None if info.vid is None else f"{info.vid:04X}:{info.pid:04X} {info.serial_number or info.location}"
        found.append(Listed(info.device, info.description or "", identity))
    return sorted(found, key=lambda port: (port.identity is None, port.name))


class Port:
    """An open port. A thread reads it, so that nothing is lost while the reader does something else."""

    def __init__(self, name: str, baud: int = BAUD) -> None:
        """Open it; `GyrovaeError` says why it cannot be, and what to do."""
        self.name = name
        self.identity = next((port.identity for port in _listed() if port.name == name), None)
        self._serial = _open(name, baud)
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_MOST_CHUNKS)
        self._gone = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reads {name}", daemon=True)
        self._thread.start()

    def read(self, timeout_s: float = _WAIT_S) -> bytes:
        """What has come, or nothing after `timeout_s`; `GoneError` once all has been read and no more can come."""
        chunks: list[bytes] = []
        with contextlib.suppress(queue.Empty):
            while not self._gone:
                chunk = self._chunks.get_nowait() if chunks else self._chunks.get(timeout=timeout_s)
                if chunk is None:
                    self._gone = True
                else:
                    chunks.append(chunk)
        if self._gone and not chunks:
            raise GoneError(self.name)
        return b"".join(chunks)

    def write(self, data: bytes) -> bool:
        """Send; False where it does not go (whoever reads will learn why)."""
        import serial

        if not data:
            return True
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError):
            return False
        return True

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(queue.Empty):  # the thread may wait for room
            while True:
                self._chunks.get_nowait()
        self._thread.join(timeout=5)
        with contextlib.suppress(OSError):  # it may be gone
            self._serial.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                chunk = _chunk(self._serial)
            except (OSError, TypeError, ValueError):  # pyserial's own is an OSError; others where it lost its handle
                break
            if chunk:
                self._put(chunk)
        self._put(None)

    def _put(self, chunk: bytes | None) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._chunks.put(chunk, timeout=_WAIT_S)
                return


def reopen(name: str, identity: str | None, baud: int) -> Port | None:
    """A port that was gone, if it is there again: what has its identity, whatever its name; without one, its name.

    After a reset of a hub the names of its boards may have changed places.
    """
    names = [name] if identity is None else [port.name for port in _listed() if port.identity == identity]
    for found in sorted(names, key=lambda one: one != name):  # a board with two ports has one identity for both
        with contextlib.suppress(GyrovaeError):
            return Port(found, baud)
    return None


def taken(name: str, identity: str | None) -> str:
    """What to say where another device has the name of a port that is gone; mostly nothing."""
    now = next((port.identity for port in _listed() if port.name == name), None)
    if identity is None or now in (None, identity):
        return ""
    return f"{name} belongs to another device ({now} instead of {identity})"


def _listed() -> list[Listed]:
    try:
        return list_ports()
    except (OSError, ImportError):  # sysfs is not there, or the system is one that pyserial does not know
        return []


def _chunk(line: Any) -> bytes:
    """What has come, after at most `_WAIT_S`; an OSError when the other end is gone."""
    descriptor = _descriptor(line)
    if descriptor is None:
        return bytes(line.read(max(1, min(line.in_waiting, _CHUNK))))
    # pyserial's own `read` drops what it has got when the other end hangs up in the middle.
    if not select.select([descriptor], [], [], _WAIT_S)[0]:
        return b""
    chunk = os.read(descriptor, _CHUNK)
    if not chunk:
        raise OSError(errno.EIO, "hung up")
    return chunk


def _descriptor(line: Any) -> int | None:
    """What `os.read` can read; None on Windows and for protocols that pyserial decodes."""
    if os.name != "posix" or type(line).__module__ not in ("serial.serialposix", "serial.urlhandler.protocol_socket"):
        return None
    return int(line.fileno())


def _open(name: str, baud: int) -> Any:
    import serial

    if not isinstance(name, str):
        raise GyrovaeError("this is no port", expected="a port's name or URL", received=told(name))
    # Two readers of one port would steal each other's bytes. DTR and RTS stay as pyserial sets them, both on: the
    # reset circuit of ESP32 boards then does nothing, and boards with native USB know that somebody listens.
    own: dict[str, Any] = {} if "://" in name or os.name != "posix" else {"exclusive": True}
    if not name.lower().startswith("rfc2217:"):  # which has no such timeout
        own["write_timeout"] = 1.0
    try:
        line = serial.serial_for_url(name, baudrate=baud, timeout=_WAIT_S, **own)
    except (serial.SerialException, OSError, ValueError, OverflowError, NotImplementedError) as error:
        raise _refusal(name, baud, error) from None
    connection = getattr(line, "_socket", None)
    if isinstance(connection, socket.socket):
        _keep_asking(connection)
    return line


def _keep_asking(connection: socket.socket) -> None:
    """Let the system see that a server is gone which lost its power or network, and so never hung up."""
    # TCP_KEEPALIVE is macOS's name for the first.
    times = {"TCP_KEEPIDLE": _ASKED_S, "TCP_KEEPALIVE": _ASKED_S, "TCP_KEEPINTVL": _APART_S, "TCP_KEEPCNT": _TIMES}
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in times.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _refusal(name: str, baud: int, error: Exception) -> GyrovaeError:
    """Why a port cannot be opened, in words, and what to do."""
    code = getattr(error, "errno", None)
    if code is None:
        told = re.search(r"\[Errno (\d+)\]", str(error))
        code = int(told[1]) if told else None
    problem = f"cannot open {name or 'a port without a name'}"
    if code in (errno.EACCES, errno.EPERM) or "PermissionError" in str(error):
        if os.name == "posix":
            return GyrovaeError(
                f"{problem}: you may not use it",
                remedy="Become a member of the group that may: sudo usermod -a -G dialout $USER (on Arch: uucp); "
                "then log in again.",
            )
        return GyrovaeError(f"{problem}: another program uses it", remedy="Close the serial monitor, IDE or collector.")
    if code in (errno.EBUSY, errno.EAGAIN):
        return GyrovaeError(
            f"{problem}: another program uses it", remedy="Close the serial monitor, IDE or other collector."
        )
    if code == errno.ECONNREFUSED:
        return GyrovaeError(f"{problem}: nobody listens there", remedy="Check host and port, and that the server runs.")
    if code == errno.ENOENT or "FileNotFoundError" in str(error):
        return GyrovaeError(f"{problem}: there is no such port", remedy=_there())
    if "://" in name:
        reason = str(error).rpartition(": ")[2]
        if "not supported between" in reason or "port not in range" in str(error):
            reason = "it names no port"
        return GyrovaeError(f"{problem}: {reason}", expected="a URL as in socket://127.0.0.1:5000")
    if code in (errno.ENOTTY, errno.EISDIR, errno.ENXIO, errno.ENODEV) or "Inappropriate ioctl" in str(error):
        return GyrovaeError(f"{problem}: it is no serial port", remedy=_there())
    if "baud" in str(error).lower():
        return GyrovaeError(f"{problem} at {baud} baud", remedy="Use the baud rate of the firmware, mostly 115200.")
    return GyrovaeError(f"{problem}: {error}", remedy=_there())


def _there() -> str:
    """Which ports there are, in words."""
    names = [port.name for port in _listed()]
    if not names:
        return NO_PORT
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"There are: {', '.join(names[:_MOST_NAMED])}{more} (gyrovae-tf collect --list-ports)."
