"""Decisions in; a log, commands that are run, and messages of MQTT out. None of them ever holds up the monitor."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gyrovae_tf.arguments import number
from gyrovae_tf.device.monitor import Decision
from gyrovae_tf.errors import GyrovaeError, check_same_kind
from gyrovae_tf.wording import many

_PATIENCE_S = 5.0  # for commands and messages that are under way at the end
_TICK_S = 0.02  # from one look whether the broker has all to the next
_MOST_RUNNING = 4
_LONGEST_WORDS = 200  # characters of what a command complained of
_MOST_WAITING = 1000  # messages that wait for the broker


def line_of(decision: Decision) -> str:
    """A decision in, its JSON in one line, without an end, out."""
    return json.dumps(decision.to_dict(), allow_nan=False)


def time_text(decision: Decision) -> str:
    """When it was made, as ISO 8601 in UTC with milliseconds."""
    made = datetime.datetime.fromtimestamp(decision.time, datetime.timezone.utc)
    return made.isoformat(timespec="milliseconds")


class Log:
    """A file of JSON Lines that grows by whole lines. What goes wrong is said once; writing is tried on and on.

    It is the file that has the name: one that was moved or removed (logrotate) is followed by a new one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open or make the file; `GyrovaeError` where that cannot be."""
        self._path = Path(path)
        check_same_kind(path, lambda head: head.lstrip().startswith(b"{"), "log of decisions")
        self._file: int | None = None
        self._notes: list[str] = []
        self._missed = 0
        self._torn = False  # the last line has no end
        try:
            self._open()
        except OSError as error:
            raise GyrovaeError(
                f"cannot write {path}: {error.strerror or error}",
                expected="a file in a folder that is there",
                remedy="Check the name, and that one may write there.",
            ) from None

    def __call__(self, decision: Decision) -> None:
        """Append a decision."""
        try:
            self._append(line_of(decision).encode() + b"\n")
        except OSError as error:
            full = isinstance(error, BlockingIOError)  # a pipe; to close it would lose what is in it
            if not self._missed:
                why = "nobody reads it" if full else error.strerror or error
                self._notes.append(f"cannot write {self._path}: {why}; monitoring goes on without")
            self._missed += 1
            if not full:
                self._shut()
            return
        if self._missed:
            self._notes.append(f"{self._path} is written again; {self._missed} decisions are missing in it")
            self._missed = 0

    def _open(self) -> int:
        """The file that has the name now; another one, which had it before, is closed."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # it is gone
                if os.path.samestat(self._path.stat(), os.fstat(self._file)):
                    return self._file
            self._shut()
        # of one system each; what is no ordinary file would hold up the monitor while nobody reads it
        own = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK", "O_NOCTTY"))
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | own, 0o666)
        return self._file

    def _append(self, line: bytes) -> None:
        file = self._open()
        before = os.fstat(file)
        ordinary = stat.S_ISREG(before.st_mode)
        if ordinary:
            os.lseek(file, max(before.st_size - 1, 0), os.SEEK_SET)
            self._torn = os.read(file, 1) not in (b"", b"\n")  # somebody was interrupted
        if self._torn:
            line = b"\n" + line
        written = 0
        try:
            written = os.write(file, line)
            if written < len(line):  # a disk that is about to be full takes a part
                written += os.write(file, line[written:])
            if written < len(line):
                raise OSError(28, "the disk is full")
            self._torn = False
        except OSError:
            if ordinary:
                with contextlib.suppress(OSError):  # the line that follows would be no line
                    os.ftruncate(file, before.st_size)
            else:
                self._torn |= written > 0
            raise

    def notes(self) -> list[str]:
        """What went wrong, or right again, and was not told yet."""
        found, self._notes = self._notes, []
        return found

    def _shut(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Close the file."""
        self._shut()


class Command:
    """A command that is run when an event begins: the decision as JSON on its standard input, and in its environment.

    `GYROVAE_SCORE`, `GYROVAE_THRESHOLD`, `GYROVAE_TIME` (ISO 8601, UTC), `GYROVAE_WINDOW`, `GYROVAE_SOURCE` and
    `GYROVAE_REASONS` (in words, separated by `; `).
    """

    def __init__(self, command: str, *, shell: bool = False, timeout_s: float = 30.0) -> None:
        """`command` is split as a shell would, without running one; `shell` gives it to one as it is."""
        try:
            words = [command] if shell else shlex.split(command)
        except ValueError as error:
            raise GyrovaeError(f"cannot read the command: {error}", received=command) from None
        if not words or not command.strip():
            raise GyrovaeError("there is no command to run", expected="as in 'notify-send \"fan 3\"'")
        if not shell and shutil.which(words[0]) is None:
            raise GyrovaeError(
                f"cannot run {words[0] or 'a command without a name'}: there is no such program, or it may not be run",
                remedy="Check its name and path; --exec-shell gives the whole line to a shell.",
            )
        self._words: str | list[str] = command if shell else words
        self._shell = shell
        self._timeout_s = number(timeout_s, "the command's time is not usable", "above 0 seconds", lambda s: s > 0)
        self._name = command if len(command) <= 60 else command[:57] + "..."
        self._notes: deque[str] = deque()
        self._running: list[tuple[threading.Thread, subprocess.Popen[bytes]]] = []
        self._ended: set[int] = set()  # processes that did not end by themselves

    def __call__(self, decision: Decision) -> None:
        """Start the command, if an event begins with this decision."""
        if not decision.begins:
            return
        self._running = [pair for pair in self._running if pair[0].is_alive()]
        if len(self._running) >= _MOST_RUNNING:
            self._notes.append(f"{self._name}: not run, {_MOST_RUNNING} of it are still running")
            return
        said = tempfile.TemporaryFile()  # noqa: SIM115  # a pipe could be kept open by what the command leaves behind
        try:
            process = subprocess.Popen(
                self._words,
                shell=self._shell,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, **_environment(decision)},
                start_new_session=True,  # Ctrl-C is for the monitor
            )
        except (OSError, ValueError) as error:
            said.close()
            self._notes.append(f"cannot run {self._name}: {getattr(error, 'strerror', None) or error}")
            return
        content = line_of(decision).encode() + b"\n"
        thread = threading.Thread(target=self._see_to, args=(process, content, said), daemon=True)
        self._running.append((thread, process))
        thread.start()

    def _see_to(self, process: subprocess.Popen[bytes], content: bytes, said: Any) -> None:
        """Wait for a command, and note how it failed."""
        with said:
            try:
                process.communicate(content, timeout=self._timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                self._notes.append(f"{self._name}: stopped after {self._timeout_s:g} s")
                return
            finally:
                process.wait()
            if process.returncode and process.pid not in self._ended:
                said.seek(max(said.seek(0, os.SEEK_END) - 2000, 0))
                words = said.read().decode(errors="replace").split("\n")
                last = next((line.strip() for line in reversed(words) if line.strip()), "")
                plain = "".join(c if c.isprintable() else "?" for c in last)[:_LONGEST_WORDS]
                self._notes.append(f"{self._name}: status {process.returncode}" + (f": {plain}" if plain else ""))

    def notes(self) -> list[str]:
        """What went wrong and was not told yet: at most one line an event."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def close(self) -> None:
        """Give what is still running a few seconds, then end it."""
        until = time.monotonic() + _PATIENCE_S
        for thread, process in self._running:
            thread.join(max(until - time.monotonic(), 0.0))
            if thread.is_alive():
                self._ended.add(process.pid)
                _kill(process)
                thread.join(1.0)
                self._notes.append(f"{self._name}: stopped, as it was still running at the end")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _environment(decision: Decision) -> dict[str, str]:
    return {
        "GYROVAE_SCORE": f"{decision.score:.3f}" if math.isfinite(decision.score) else "",
        "GYROVAE_THRESHOLD": f"{decision.threshold:.3f}",
        "GYROVAE_TIME": time_text(decision),
        "GYROVAE_WINDOW": str(decision.window),
        "GYROVAE_SOURCE": decision.source,
        "GYROVAE_REASONS": "; ".join(decision.words),
    }


class Mqtt:
    """A broker's topic that is told when an event begins and when it is over (QoS 1, not retained).

    A message is the decision's JSON with `state`, "begins" or "over". Connects in the background, again and again.
    """

    def __init__(self, url: str) -> None:
        """`url` is mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC, or mqtts:// for TLS."""
        host, port, tls, user, password, self._topic = _broker(url)
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise GyrovaeError(
                f"the package for MQTT cannot be imported: {error}", remedy='pip install "gyrovae-tf[mqtt]"'
            ) from None
        self._where = f"{host}:{port}"
        self._notes: deque[str] = deque()
        self._down = self._full = False
        self._was_event = False
        self._due = self._delivered = 0  # messages
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(_MOST_WAITING)
        self._client.reconnect_delay_set(1, 30)
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls:
            self._client.tls_set()
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self._lost("the connection was lost")
        self._client.on_publish = self._on_publish
        self._client.on_connect_fail = lambda *_: self._lost("cannot be reached")
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()

    def __call__(self, decision: Decision) -> None:
        """Tell the broker, if an event begins or ends with this decision."""
        state = "begins" if decision.begins else "over" if self._was_event and not decision.event else None
        self._was_event = decision.event
        if state is None:
            return
        content = json.dumps({"state": state, **decision.to_dict()}, allow_nan=False)
        message = self._client.publish(self._topic, content, qos=1, retain=False)
        self._due += 1
        full = message.rc == 15  # MQTT_ERR_QUEUE_SIZE
        if full and not self._full:
            self._notes.append(f"MQTT: messages are lost, {_MOST_WAITING} wait for the broker already")
        self._full = full

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lost(f"refuses: {reason}")
        elif self._down:
            self._down = False
            self._notes.append(f"MQTT: connected with {self._where} again")

    def _on_publish(self, *_: Any) -> None:
        self._delivered += 1  # the broker has it

    def _lost(self, why: str) -> None:
        if not self._down:
            self._notes.append(f"MQTT: {self._where}: {why}; trying again")
        self._down = True

    def notes(self) -> list[str]:
        """What went wrong, or right again, and was not told yet."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def close(self) -> None:
        """Give the latest messages a few seconds, then leave; those that were not delivered are told."""
        until = time.monotonic() + _PATIENCE_S
        while self._delivered < self._due and not self._down and time.monotonic() < until:
            time.sleep(_TICK_S)
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()
        if missing := self._due - self._delivered:
            self._notes.append(f"MQTT: {many(missing, 'message')} could not be delivered to {self._where}")
        self._due = self._delivered = 0


def _broker(url: str) -> tuple[str, int, bool, str | None, str | None, str]:
    """A URL in; host, port, TLS, user, password and topic out. What is wrong is told without the password."""
    expected = "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC (mqtts:// for TLS)"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as whoever connects to it does
    except ValueError:
        raise GyrovaeError("the address of the MQTT broker", expected=expected, received="a bad host or port") from None
    tls = parts.scheme == "mqtts"
    topic = unquote(parts.path.removeprefix("/"))
    if not (parts.scheme in ("mqtt", "mqtts") and parts.hostname):
        raise GyrovaeError("the address of the MQTT broker", expected=expected, received=f"scheme {parts.scheme!r}")
    if not topic or any(sign in topic for sign in "+#\0") or parts.query or parts.fragment:
        raise GyrovaeError(
            "the address of the MQTT broker", expected=f"{expected}, no + or #", received=f"topic {topic!r}"
        )
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return parts.hostname, port or (8883 if tls else 1883), tls, user, password, topic
