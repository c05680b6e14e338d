"""Ports: that nothing read is lost when the other end goes, that RFC 2217 works, and that a board is found again."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
import time
from pathlib import Path

import pytest
import serial
import serial.rfc2217

from gyrovae_tf.device import port as module
from gyrovae_tf.device.collect import collect
from gyrovae_tf.device.pretend import Device, Motion
from gyrovae_tf.device.serve import pretend
from gyrovae_tf.errors import GyrovaeError


def test_all_that_came_before_the_other_end_hung_up_is_read() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    name = f"socket://127.0.0.1:{listener.getsockname()[1]}"
    content = os.urandom(1_000_000)

    def talk() -> None:
        client, _ = listener.accept()
        time.sleep(0.2)  # opening a port throws away what is there already
        client.sendall(content)
        client.close()

    threading.Thread(target=talk, daemon=True).start()
    port = module.Port(name)
    found = b""
    while len(found) < len(content):
        found += port.read(1.0)
    assert found == content
    for _ in range(2):
        with pytest.raises(module.GoneError):
            port.read(1.0)
    port.close()
    listener.close()


def test_silence_is_nothing_and_closing_takes_no_time() -> None:
    with pretend(Device(Motion()), speed=math.inf) as it:  # says nothing before it is spoken to
        port = module.Port(it.port)
        time.sleep(0.2)
        port.read(0.2)
        assert port.read(0.05) == b""
        assert port.write(b"info\n")
        began = time.monotonic()
        port.close()
        assert time.monotonic() - began < 1


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells")
def test_a_server_that_says_nothing_is_asked_by_the_system_whether_it_is_there() -> None:
    """One that lost its power never hangs up: without this it is waited for, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = module.Port(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        remote = f":{listener.getsockname()[1]:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        (timer,) = [row[5] for row in rows if row[2].endswith(remote) and row[3] == "01"]
        port.close()
    kind, when = timer.split(":")
    assert kind == "02", "the timer that runs is that of keepalive"
    assert int(when, 16) <= 11 * os.sysconf("SC_CLK_TCK")


def serve_rfc2217(listener: socket.socket, device: str) -> None:
    """A server as pyserial's example has it: one client, options by the protocol, bytes both ways."""
    client, _ = listener.accept()
    line = serial.serial_for_url(device, timeout=0)

    class Connection:
        def write(self, data: bytes) -> None:
            client.sendall(data)

    manager = serial.rfc2217.PortManager(line, Connection())
    while True:
        ready, _, _ = select.select([client, line.fileno()], [], [], 0.1)
        if client in ready:
            data = client.recv(1024)
            if not data:
                return
            line.write(b"".join(manager.filter(data)))
        if line.fileno() in ready:
            with contextlib.suppress(BlockingIOError):  # the client has had it thrown away just now
                client.sendall(b"".join(manager.escape(os.read(line.fileno(), 4096))))


def test_rfc_2217(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        serial.rfc2217.PortManager, "check_modem_lines", lambda *_words, **_rest: None
    )  # a pty has none
    listener = socket.create_server(("127.0.0.1", 0))
    with pretend(Device(Motion(seed=4)), tcp=("127.0.0.1", 0)) as it:  # a pseudo-terminal has no DTR to be set
        threading.Thread(target=serve_rfc2217, args=(listener, it.port), daemon=True).start()
        name = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?timeout=20"  # seconds, on a busy machine
        done = collect(name, tmp_path / "r.csv", samples=400, accept_anyway=True)
    assert len(done.recording) == 400
    assert (done.facts["lost"], done.facts["gaps"]) == (0, 0)
    listener.close()


def test_a_board_that_comes_back_under_another_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretend(Device(Motion()), speed=math.inf) as it:
        board, other = "303A:1001 7C:DF:A1:00:00:01", "303A:1001 7C:DF:A1:00:00:02"
        there = [module.Listed("/dev/none", "other", other), module.Listed(it.port, "board", board)]
        monkeypatch.setattr(module, "list_ports", lambda: there)
        assert module.reopen("/dev/gone", None, 115_200) is None
        assert module.reopen("/dev/gone", "303A:1001 elsewhere", 115_200) is None
        found = module.reopen("/dev/gone", board, 115_200)
        assert found is not None
        assert (found.name, found.identity) == (it.port, board)
        found.close()


BOARD, OTHER = "303A:1001 7C:DF:A1:00:00:01", "303A:1001 7C:DF:A1:00:00:02"


def test_boards_whose_names_changed_places_are_not_confused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a reset of their hub."""
    with pretend(Device(Motion())) as one, pretend(Device(Motion())) as two:
        there = [module.Listed(one.port, "", BOARD), module.Listed(two.port, "", OTHER)]
        monkeypatch.setattr(module, "list_ports", lambda: there)
        port = module.Port(one.port)
        assert port.identity == BOARD
        port.close()
        there[:] = [module.Listed(one.port, "", OTHER), module.Listed(two.port, "", BOARD)]
        found = module.reopen(one.port, BOARD, 115_200)
        assert found is not None
        assert (found.name, found.identity) == (two.port, BOARD)
        found.close()


def test_a_name_that_another_board_has_now_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretend(Device(Motion())) as it:
        there = [module.Listed(it.port, "", OTHER)]
        monkeypatch.setattr(module, "list_ports", lambda: there)
        assert module.reopen(it.port, BOARD, 115_200) is None
        assert module.taken(it.port, BOARD) == f"{it.port} belongs to another device ({OTHER} instead of {BOARD})"
        assert module.taken(it.port, OTHER) == module.taken(it.port, None) == module.taken("/dev/none", BOARD) == ""
        found = module.reopen(it.port, None, 115_200)  # nobody knows what it was
        assert found is not None
        found.close()


def test_of_a_board_with_two_ports_the_same_one_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretend(Device(Motion())) as it, pretend(Device(Motion())) as second:
        there = [module.Listed(it.port, "", BOARD), module.Listed(second.port, "", BOARD)]
        monkeypatch.setattr(module, "list_ports", lambda: there)
        found = module.reopen(second.port, BOARD, 115_200)
        assert found is not None
        assert found.name == second.port
        found.close()


def test_the_refusal_names_the_ports_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [module.Listed(f"/dev/ttyACM{i}", "", None) for i in range(8)]
    monkeypatch.setattr(module, "list_ports", lambda: there)
    with pytest.raises(GyrovaeError) as caught:
        module.Port("/dev/none")
    assert str(caught.value) == (
        "cannot open /dev/none: there is no such port\n"
        "There are: /dev/ttyACM0, /dev/ttyACM1, /dev/ttyACM2, /dev/ttyACM3, /dev/ttyACM4, /dev/ttyACM5 and 2 more "
        "(gyrovae-tf collect --list-ports)."
    )
    there.clear()
    with pytest.raises(GyrovaeError, match="is the board plugged in, with a cable that carries data"):
        module.Port("/dev/none")


def test_a_port_that_one_may_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object, **_rest: object) -> None:
        raise serial.SerialException(13, "could not open port /dev/ttyUSB0: [Errno 13] Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(GyrovaeError, match=r"you may not use it\n.*usermod -a -G dialout"):
        module.Port("/dev/ttyUSB0")
