"""What a pretend device says in, bytes at a pseudo-terminal or a TCP port out, and back: where it is plugged in."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from typing import Protocol

from gyrovae_tf.errors import GyrovaeError


class Outlet(Protocol):
    """Where a pretend device can be plugged in."""

    name: str
    """What a collector is to be given."""

    def listening(self) -> bool: ...
    def write(self, data: bytes) -> int: ...
    def read(self) -> bytes: ...
    def wait(self, seconds: float, *, to_write: bool) -> None: ...
    def unread(self) -> bool: ...
    def unplug(self) -> None: ...
    def plug(self) -> None: ...


class Pty:
    """A pseudo-terminal, named by a path of its own so that the name stays when it is plugged in again."""

    def __init__(self, link: str | os.PathLike[str] | None = None) -> None:
        """`link` is a name to give it; without it the name is that of the system until it is unplugged."""
        if os.name != "posix":
            raise GyrovaeError("this system has no pseudo-terminals", remedy="Use --tcp 0 instead.")
        self._link = None if link is None else Path(link)
        if self._link is not None and (self._link.exists() and not self._link.is_symlink()):
            raise GyrovaeError(f"{link} exists", remedy="Choose another name for the link.")
        self._master: int | None = None
        self.plug()
        self.name = str(self._link or self._path)

    def plug(self) -> None:
        import tty

        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(slave)
        os.close(slave)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLHUP)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            try:
                self._link.symlink_to(self._path)
            except OSError as error:
                raise GyrovaeError(f"cannot make the link {self._link}: {error.strerror}") from error

    def unplug(self) -> None:
        if self._master is not None:
            os.close(self._master)
            self._master = None
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def listening(self) -> bool:
        return self._master is not None and not any(state & select.POLLHUP for _, state in self._poll.poll(0))

    def write(self, data: bytes) -> int:
        if self._master is None:
            return 0
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def read(self) -> bytes:
        if self._master is None:
            return b""
        try:
            return os.read(self._master, 4096)
        except OSError:  # nothing there, or nobody
            return b""

    def wait(self, seconds: float, *, to_write: bool) -> None:
        if self._master is None or not self.listening():
            time.sleep(seconds)  # a hung up one would be ready at once
            return
        select.select([self._master], [self._master] if to_write else [], [], seconds)

    def unread(self) -> bool:
        """Whether the listener has not read all that was written."""
        import fcntl
        import termios

        if not self.listening():
            return False
        slave = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return any(fcntl.ioctl(slave, termios.FIONREAD, b"\0\0\0\0"))
        finally:
            os.close(slave)


class Tcp:
    """A TCP port, for one listener at a time, as a serial port server (ser2net) gives it."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._address = (host, port)
        self._server: socket.socket | None = None
        self._client: socket.socket | None = None
        self.plug()
        shown = f"[{host}]" if ":" in host else host
        self.name = f"socket://{shown}:{self._address[1]}"

    def plug(self) -> None:
        host, port = self._address
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._server = socket.create_server((host, port), family=family, backlog=1)
        except (OSError, OverflowError) as error:
            raise GyrovaeError(f"cannot listen on {host}:{port}: {error}", remedy="Choose another port.") from error
        self._address = (host, self._server.getsockname()[1])
        self._server.setblocking(False)

    def unplug(self) -> None:
        for one in (self._client, self._server):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_WR)
                self._drain(one)
                one.close()
        self._client = self._server = None

    @staticmethod
    def _drain(client: socket.socket) -> None:
        """Read what is left: closing a socket that holds unread bytes would throw away those under way."""
        with contextlib.suppress(OSError):
            while client.recv(4096):
                pass

    def listening(self) -> bool:
        if self._client is None and self._server is not None:
            with contextlib.suppress(BlockingIOError):
                self._client = self._server.accept()[0]
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._client is not None

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def write(self, data: bytes) -> int:
        if self._client is None:
            return 0
        try:
            return self._client.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._hang_up()
            return 0

    def read(self) -> bytes:
        if not self.listening() or self._client is None:
            return b""
        try:
            found = self._client.recv(4096)
        except BlockingIOError:
            return b""
        except OSError:
            found = b""
        if not found:
            self._hang_up()
        return found

    def wait(self, seconds: float, *, to_write: bool) -> None:
        ends = [one for one in (self._client or self._server,) if one is not None]
        if not ends:
            time.sleep(seconds)
            return
        select.select(ends, [self._client] if to_write and self._client else [], [], seconds)

    def unread(self) -> bool:
        return False  # the system delivers what was sent even after closing
