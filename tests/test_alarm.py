"""What is done with decisions: a log of whole lines, commands, messages to a broker; nothing holds up the monitor."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gyrovae_tf.device import alarm
from gyrovae_tf.device.alarm import Command, Log, Mqtt
from gyrovae_tf.device.monitor import Decision
from gyrovae_tf.device.wire import Reason
from gyrovae_tf.errors import GyrovaeError

REASONS = (Reason("x", 48.5, 55.0, "louder", 0.61), Reason("z", 2.0, 4.0, "quieter", 0.2))


def decision(window: int = 0, **changes: Any) -> Decision:
    given = {
        "window": window,
        "time": 1_700_000_000.25 + window,
        "number": 63,
        "t_us": 315_000,
        "score": 1.734,
        "threshold": 1.0,
        "alarm": True,
        "event": True,
        "begins": True,
        "reasons": REASONS,
        "source": "host",
    }
    return Decision(**{**given, **changes})  # type: ignore[arg-type]


def eventually(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What `what` gives once it is something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


# --- the log


def lines(path: Path) -> list[dict[str, Any]]:
    content = path.read_text()
    assert content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()]


def test_a_log_is_appended_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for first in (0, 2):
        log = Log(path)
        log(decision(first))
        log(decision(first + 1, score=math.nan))
        assert lines(path)[-1]["window"] == first + 1  # before it is closed
        log.close()
    found = lines(path)
    assert [entry["window"] for entry in found] == [0, 1, 2, 3]
    assert [entry["score"] for entry in found] == [1.734, None, 1.734, None]
    assert found[0] == decision().to_dict()
    assert found[0]["reasons"][0] == {
        "axis": "x",
        "low_hz": 48.5,
        "high_hz": 55.0,
        "direction": "louder",
        "share": 0.61,
    }


def test_half_a_line_of_somebody_who_was_killed_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"window": 1}\n{"wind')
    log = Log(path)
    log(decision(5))
    log.close()
    whole = path.read_text().splitlines()
    assert whole[:2] == ['{"window": 1}', '{"wind']
    assert json.loads(whole[2])["window"] == 5


def test_a_path_that_cannot_be_written_is_said_once_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "none" / "log.jsonl"
    path.parent.mkdir()
    log = Log(path)
    shutil.rmtree(path.parent)
    log(decision(0))
    log(decision(1))
    assert log.notes() == [f"cannot write {path}: No such file or directory; monitoring goes on without"]
    assert log.notes() == []
    path.parent.mkdir()
    log(decision(2))
    assert log.notes() == [f"{path} is written again; 2 decisions are missing in it"]
    log.close()
    assert [entry["window"] for entry in lines(path)] == [2]


def test_a_log_is_there_before_the_first_decision(tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl").close()
    assert (tmp_path / "log.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("name", "why"), [("folder", "Is a directory"), ("none/log.jsonl", "No such file or directory")]
)
def test_a_log_that_cannot_be_is_refused_at_the_start(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(GyrovaeError) as raised:
        Log(tmp_path / name)
    assert str(raised.value) == (
        f"cannot write {tmp_path / name}: {why}; expected a file in a folder that is there\n"
        "Check the name, and that one may write there."
    )


@pytest.mark.skipif(os.name != "posix", reason="files that are open cannot be moved")
def test_a_log_that_is_moved_or_removed_begins_anew_under_its_name(tmp_path: Path) -> None:
    path, old = tmp_path / "log.jsonl", tmp_path / "log.jsonl.1"
    log = Log(path)
    log(decision(0))
    path.rename(old)
    log(decision(1))
    assert [entry["window"] for entry in lines(old)] == [0]
    assert [entry["window"] for entry in lines(path)] == [1]
    path.unlink()
    log(decision(2))
    log(decision(3))
    log.close()
    assert [entry["window"] for entry in lines(path)] == [2, 3]
    assert log.notes() == []


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    log = Log(pipe)
    for window in range(500):
        log(decision(window))
    assert log.notes() == [f"cannot write {pipe}: nobody reads it; monitoring goes on without"]
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    content = os.read(reader, 1 << 20)
    kept = [json.loads(line)["window"] for line in content.splitlines()]
    assert kept == list(range(len(kept))), "what was in it stays"
    assert content.endswith(b"\n")
    log(decision(500))
    assert log.notes() == [f"{pipe} is written again; {500 - len(kept)} decisions are missing in it"]
    assert json.loads(os.read(reader, 1 << 20))["window"] == 500
    log.close()
    os.close(reader)


def test_a_log_is_written_as_bytes_where_files_are_opened_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which would put CR before each LF."""
    binary = 1 << 29
    flags: list[int] = []
    open_ = os.open

    def opened(name: object, how: int, *more: int) -> int:
        flags.append(how)
        return open_(name, how & ~binary, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", opened)
    log = Log(tmp_path / "log.jsonl")
    log(decision(0))
    log.close()
    assert [how & binary for how in flags] == [binary]


@pytest.mark.parametrize("timeout_s", [0, -1.0, math.inf, "30"])
def test_times_that_no_command_can_be_given(timeout_s: Any) -> None:
    with pytest.raises(GyrovaeError, match="the command's time is not usable; expected above 0 seconds, received"):
        Command("true", timeout_s=timeout_s)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(tmp_path: Path) -> None:
    link = tmp_path / "log.jsonl"
    link.symlink_to("/dev/full")
    log = Log(link)
    log(decision(0))
    log(decision(1))
    assert log.notes() == [f"cannot write {link}: No space left on device; monitoring goes on without"]
    log.close()


_LIMITED = """
import resource, sys
sys.path.insert(0, {tests!r})
from test_alarm import Log, decision
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
log = Log(sys.argv[1])
for window in range(10):
    log(decision(window))
print(len(log.notes()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log(decision(10))
print(*log.notes())
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes")
def test_a_disk_that_takes_half_a_line_is_left_with_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    script = _LIMITED.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True)
    found = [entry["window"] for entry in lines(path)]
    fitting = 1000 // len(path.read_text().splitlines()[0] + "\n")
    assert 1 <= fitting < 5
    assert found == [*range(fitting), 10]
    assert done.stdout.splitlines() == ["1", f"{path} is written again; {10 - fitting} decisions are missing in it"]


# --- commands


@pytest.fixture
def run() -> Iterator[Callable[..., Command]]:
    made: list[Command] = []

    def make(*arguments: Any, **settings: Any) -> Command:
        made.append(Command(*arguments, **settings))
        return made[-1]

    yield make
    for command in made:
        command.close()


_TELL = """
import json, os, sys
told = {k: v for k, v in os.environ.items() if k.startswith("GYROVAE_")}
with open(sys.argv[1] + ".part", "w") as file:
    json.dump([json.load(sys.stdin), told, sys.argv[2:]], file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


def test_a_command_gets_the_event(run: Callable[..., Command], tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(_TELL)
    out = tmp_path / "out"
    command = run(f"{sys.executable} {tmp_path / 'tell.py'} {out} 'two words' '$HOME' ';'")
    command(decision(7))
    content = eventually(lambda: out.exists() and out.read_text())
    event, told, words = json.loads(content)
    assert event == decision(7).to_dict()
    assert told == {
        "GYROVAE_SCORE": "1.734",
        "GYROVAE_THRESHOLD": "1.000",
        "GYROVAE_TIME": "2023-11-14T22:13:27.250+00:00",
        "GYROVAE_WINDOW": "7",
        "GYROVAE_SOURCE": "host",
        "GYROVAE_REASONS": "x 48-55 Hz louder: 61 %; z 2.0-4.0 Hz quieter: 20 %",
    }
    assert words == ["two words", "$HOME", ";"]  # no shell
    assert command.notes() == []


def test_it_is_run_when_an_event_begins_and_not_again(run: Callable[..., Command], tmp_path: Path) -> None:
    command = run(f"echo x >> {tmp_path / 'out'}", shell=True)
    command(decision(0, event=False, begins=False))
    command(decision(1))
    for window in range(2, 5):
        command(decision(window, begins=False))
    command.close()
    assert (tmp_path / "out").read_text() == "x\n"


def test_a_command_that_fails_is_reported_once_an_event(run: Callable[..., Command]) -> None:
    command = run("sh -c 'echo first >&2; echo \"no such lamp\" >&2; exit 3'")
    command(decision(0))
    command.close()
    assert command.notes() == ["sh -c 'echo first >&2; echo \"no such lamp\" >&2; exit 3': status 3: no such lamp"]
    command(decision(1))
    command.close()
    assert len(command.notes()) == 1


def test_a_command_that_cannot_be_started(
    run: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "lamp").write_text("#!/bin/sh\n")
    (tmp_path / "lamp").chmod(0o755)
    command = run("lamp a")
    (tmp_path / "lamp").unlink()
    command(decision())
    assert command.notes() == ["cannot run lamp a: No such file or directory"]


@pytest.mark.parametrize("text", ["no-such-program-7f3 a", "./lamp", "''"])
def test_a_command_that_is_not_there_is_refused_at_the_start(
    run: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamp").write_text("#!/bin/sh\n")  # which may not be run
    with pytest.raises(GyrovaeError, match=r"there is no such program, or it may not be run\n.*--exec-shell gives"):
        run(text)
    run(text, shell=True)  # what a shell makes of it is its own


def test_a_command_that_the_end_stops_has_not_failed(
    run: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm, "_PATIENCE_S", 0.1)
    command = run("sleep 1000")
    command(decision())
    command.close()
    assert command.notes() == ["sleep 1000: stopped, as it was still running at the end"]


def test_a_command_that_does_not_end_is_ended_with_its_children(run: Callable[..., Command], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = run(f"sh -c 'sleep 1000 & echo $! > {pid}; wait'", timeout_s=0.5)
    command(decision())
    assert command.notes() == [], "it is not waited for"
    (note,) = eventually(command.notes)
    assert note.endswith(": stopped after 0.5 s")

    def gone() -> bool:
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            return True
        # a container's first process may leave the dead unburied
        stat = Path(f"/proc/{pid.read_text().strip()}/stat")
        return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    eventually(gone)


def test_only_so_many_run_at_a_time(run: Callable[..., Command]) -> None:
    command = run("sleep 1000", timeout_s=1.0)
    for window in range(6):
        command(decision(window))
    assert command.notes() == ["sleep 1000: not run, 4 of it are still running"] * 2


def test_one_that_does_not_read_what_it_is_given(run: Callable[..., Command]) -> None:
    command = run("true")
    command(decision(reasons=REASONS * 2000))
    command.close()
    assert command.notes() == []


@pytest.mark.parametrize("text", ["", "  ", "'unclosed"])
def test_what_is_no_command(text: str) -> None:
    with pytest.raises(GyrovaeError, match="command"):
        Command(text)


# --- MQTT


class Broker:
    """As much of an MQTT 3.1.1 broker as it takes to hear one client (OASIS standard, sections 2 and 3)."""

    def __init__(self, port: int = 0, *, refuse: int = 0) -> None:
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        self.refuse = refuse
        self.heard: list[tuple[str, bytes, int, bool]] = []
        """Topic, content, QoS, retained."""
        self.connects: list[bytes] = []
        self._client: socket.socket | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            try:
                self._client = self.server.accept()[0]
            except OSError:
                return
            with self._client, contextlib.suppress(OSError, EOFError):
                while True:
                    self._answer(self._client)

    def _answer(self, client: socket.socket) -> None:
        def take(count: int) -> bytes:
            found = b""
            while len(found) < count:
                part = client.recv(count - len(found))
                if not part:
                    raise EOFError
                found += part
            return found

        kind = take(1)[0]
        length, shift = 0, 0
        while True:
            byte = take(1)[0]
            length, shift = length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        body = take(length)
        if kind >> 4 == 1:  # CONNECT
            self.connects.append(body)
            client.sendall(bytes([0x20, 2, 0, self.refuse]))
        elif kind >> 4 == 3:  # PUBLISH
            (size,) = struct.unpack(">H", body[:2])
            topic, rest, qos = body[2 : 2 + size].decode(), body[2 + size :], kind >> 1 & 3
            if qos:
                client.sendall(bytes([0x40, 2]) + rest[:2])
                rest = rest[2:]
            self.heard.append((topic, rest, qos, bool(kind & 1)))
        elif kind >> 4 == 12:  # PINGREQ
            client.sendall(bytes([0xD0, 0]))

    def close(self) -> None:
        self._closed = True
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    with contextlib.suppress(OSError):
        made.close()


@pytest.fixture
def paho() -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed") if not os.environ.get(
        "CI"
    ) else __import__("paho.mqtt.client")


@pytest.mark.usefixtures("paho")
def test_a_broker_is_told_when_an_event_begins_and_when_it_is_over(broker: Broker) -> None:
    mqtt = Mqtt(f"mqtt://fan:s%40cret@127.0.0.1:{broker.port}/hall%203/fan")
    mqtt(decision(0, event=False, begins=False))
    mqtt(decision(1))
    mqtt(decision(2, begins=False))
    mqtt(decision(3, event=False, begins=False))
    mqtt(decision(4, event=False, begins=False))
    eventually(lambda: len(broker.heard) == 2)
    mqtt.close()
    assert [(topic, qos, retained) for topic, _, qos, retained in broker.heard] == [("hall 3/fan", 1, False)] * 2
    begins, over = (json.loads(content) for _, content, _, _ in broker.heard)
    assert begins == {"state": "begins", **decision(1).to_dict()}
    assert (over["state"], over["window"]) == ("over", 3)
    assert broker.connects[0].endswith(b"\x00\x03fan\x00\x06s@cret")
    assert mqtt.notes() == []


@pytest.mark.slow
@pytest.mark.usefixtures("paho")
def test_a_broker_that_goes_away_and_comes_back_misses_nothing(broker: Broker) -> None:
    mqtt = Mqtt(f"mqtt://127.0.0.1:{broker.port}/fan")
    mqtt(decision(0))
    eventually(lambda: broker.heard)
    broker.close()
    (note,) = eventually(mqtt.notes)
    assert note == f"MQTT: 127.0.0.1:{broker.port}: the connection was lost; trying again"
    mqtt(decision(1, event=False, begins=False))
    mqtt(decision(2))
    again = Broker(broker.port)
    try:
        eventually(lambda: len(again.heard) >= 2, 40)
        assert [json.loads(content)["window"] for _, content, _, _ in again.heard] == [1, 2]
        assert eventually(mqtt.notes) == [f"MQTT: connected with 127.0.0.1:{broker.port} again"]
    finally:
        mqtt.close()
        again.close()


@pytest.mark.usefixtures("paho")
def test_a_broker_that_is_not_there_holds_nothing_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mqtt = Mqtt(f"mqtt://127.0.0.1:{port}/fan")
    for window in range(2000):
        mqtt(decision(window, event=window % 2 == 0, begins=window % 2 == 0))
    notes = mqtt.notes()
    assert "MQTT: messages are lost, 1000 wait for the broker already" in notes
    eventually(lambda: notes.extend(mqtt.notes()) or any("cannot be reached; trying again" in note for note in notes))
    assert len(notes) == 2, "each is said once"
    mqtt.close()


@pytest.mark.usefixtures("paho")
def test_messages_that_were_not_delivered_are_told_at_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mqtt = Mqtt(f"mqtt://127.0.0.1:{port}/fan")
    mqtt(decision(0))
    mqtt(decision(1, event=False, begins=False))
    mqtt.close()
    assert mqtt.notes() == [
        f"MQTT: 127.0.0.1:{port}: cannot be reached; trying again",
        f"MQTT: 2 messages could not be delivered to 127.0.0.1:{port}",
    ]


@pytest.mark.usefixtures("paho")
def test_a_message_just_before_the_end_is_delivered(broker: Broker) -> None:
    mqtt = Mqtt(f"mqtt://127.0.0.1:{broker.port}/fan")
    mqtt(decision(0))
    mqtt.close()
    assert [json.loads(content)["window"] for _, content, _, _ in broker.heard] == [0]
    assert mqtt.notes() == []


@pytest.mark.usefixtures("paho")
def test_a_broker_that_refuses() -> None:
    refusing = Broker(refuse=5)
    mqtt = Mqtt(f"mqtt://127.0.0.1:{refusing.port}/fan")
    note = eventually(mqtt.notes)[0]
    assert note == f"MQTT: 127.0.0.1:{refusing.port}: refuses: Not authorized; trying again"
    mqtt.close()
    refusing.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/topic", "received scheme 'http'"),
        ("mqtt://user:secret@host:99999/topic", "a bad host or port"),
        ("mqtt://user:secret@host", "received topic ''"),
        ("mqtt://user:secret@host/a/+/b", r"no \+ or #, received topic 'a/\+/b'"),
        ("nonsense", "received scheme ''"),
        ("mqtt://user:secret@exa..mple/topic", "a bad host or port"),
        (f"mqtt://user:secret@{'a' * 70}/topic", "a bad host or port"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(GyrovaeError, match=message) as raised:
        Mqtt(url)
    assert "secret" not in str(raised.value)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(GyrovaeError, match=r'\npip install "gyrovae-tf\[mqtt\]"'):
        Mqtt("mqtt://host/topic")


def test_ctrl_c_is_for_the_monitor_and_not_for_its_commands(run: Callable[..., Command], tmp_path: Path) -> None:
    command = run(f"sh -c 'ps -o pgid= -p $$ > {tmp_path / 'out'}'")
    command(decision())
    command.close()
    assert int((tmp_path / "out").read_text()) != os.getpgrp()
