"""collect on pretend devices: what it writes is what the device said, and every loss is counted as it was."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import PROGRAM, port_of
from gyrovae_tf.cli.main import cli

import gyrovae_tf as gt
from gyrovae_tf.device import port as port_module
from gyrovae_tf.device.collect import Progress, collect
from gyrovae_tf.device.link import Faults, Record
from gyrovae_tf.device.port import Listed
from gyrovae_tf.device.pretend import Device, Habits, Motion
from gyrovae_tf.device.serve import Incidents, pretend
from gyrovae_tf.device.simulate import Machine, simulate
from gyrovae_tf.device.stopping import stopped_by
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

LSB = 0.004788403
OUTLETS = [pytest.param(None, id="pty"), pytest.param(("127.0.0.1", 0), id="tcp")]


@dataclass(frozen=True)
class Soak:
    """Two minutes in real time through the commands: a device, and what collects from it."""

    folder: Path
    began: float
    device: subprocess.Popen[str]
    collecting: subprocess.Popen[str]


@pytest.fixture(scope="module", autouse=True)
def soak(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak | None]:
    """Waiting is most of it: it goes on beside the other tests of this file, where its own is to be run."""
    if not any(
        item.name == "test_soak_of_two_minutes_in_real_time_through_the_commands" for item in request.session.items
    ):
        yield None
        return
    folder = tmp_path_factory.mktemp("soak")
    words = "simulate --rate-hz 400 --drop .01 --duplicate .01 --corrupt .01 --late .01 --seed 3"
    words += f" --link {folder / 'port'} --record {folder / 'record.json'}"
    with subprocess.Popen([*PROGRAM, *words.split()], stdout=subprocess.PIPE, text=True) as device:
        words = f"collect --port {port_of(device)} -o {folder / 'r.csv'} --seconds 118 --accept-anyway --json"
        began = time.monotonic()
        with subprocess.Popen(
            [*PROGRAM, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as collecting:
            yield Soak(folder, began, device, collecting)
            collecting.kill()
        device.kill()


def counting(rate_hz: float = 400.0, count: int = 600_000) -> Motion:
    """Samples that tell their place: 100 y + x % 100 of the counts."""
    place = np.arange(count)
    counts = np.stack([place % 8000, place // 100, np.random.default_rng(0).integers(-50, 50, count)], axis=1)
    return Motion(
        recording=Recording(counts * LSB, rate_hz, ((0, count),), "c", lsb=LSB, metadata={"counts": [-8192, 8191]})
    )


def places(recording: Recording) -> np.ndarray:
    """Which samples of `counting` these are."""
    counts = np.rint(recording.samples / LSB).astype(int)
    assert np.array_equal(counts * LSB, recording.samples)  # the counts come back exactly
    return counts[:, 0] % 100 + 100 * counts[:, 1]


def check_places(recording: Recording) -> np.ndarray:
    """Each segment is without a gap, and no two could be one."""
    found = places(recording)
    for start, stop in recording.segments:
        assert np.array_equal(found[start:stop], np.arange(found[start], found[start] + stop - start))
    return found


def check_losses(recording: Recording, facts: dict[str, Any], record: Record) -> None:
    """What was lost between the first and the last sample is what the device's record says, and is counted exactly."""
    (boot,) = record.boots
    assert boot.overrun == []
    found = check_places(recording)
    inside = [n for n in boot.lost if found[0] < n < found[-1]]
    assert set(range(found[0], found[-1] + 1)) - set(found.tolist()) == set(inside)
    assert facts["lost"] == len(inside)
    assert facts["gaps"] == len(recording.segments) - 1
    # One that was duplicated or late at the very end may not have come any more.
    duplicated = sum(found[0] < n <= found[-1] for n in boot.duplicated)
    assert duplicated - 1 <= facts["repeated"] <= duplicated
    # Nor shows it where all that should have overtaken one got lost.
    late = sum(found[0] < n <= found[-1] for n in boot.late)
    assert 0.95 * late - 9 <= facts["late"] <= late
    assert (facts["too_late"], facts["stray"], facts["pauses"], facts["unclaimed"]) == (0, 0, 0, 0)


ONE_PER_CENT = Faults(drop=0.01, duplicate=0.01, corrupt=0.01, late=0.01)


@pytest.mark.parametrize("tcp", OUTLETS)
def test_a_minute_with_every_fault_of_the_link(tmp_path: Path, tcp: tuple[str, int] | None) -> None:
    with pretend(Device(counting()), tcp=tcp, faults=ONE_PER_CENT, speed=math.inf, seconds=60) as it:
        done = collect(it.port, tmp_path / "r.csv", wait_s=0.2, accept_anyway=True, label="fan")
    check_losses(done.recording, done.facts, it.record)
    assert done.ended == "gone"
    assert str(done.problem).startswith(f"{it.port} is gone, for 0.2 s now; ")
    assert done.facts["checksum"] + done.facts["undecodable"] + done.facts["text"] == it.record.bad_lines
    read = Recording.read(tmp_path / "r.csv")
    assert np.array_equal(read.samples, done.recording.samples)
    assert read.segments == done.recording.segments
    assert (read.rate_hz, read.lsb, read.units) == (400.0, LSB, "m/s^2")
    assert read.metadata["label"] == "fan"
    assert read.metadata["collected"] == [done.facts]


@pytest.mark.slow
def test_soak_of_twenty_minutes_at_400_hz_in_accelerated_time(tmp_path: Path) -> None:
    faults = Faults(drop=0.01, duplicate=0.01, corrupt=0.01, late=0.01)
    with pretend(Device(counting()), faults=faults, speed=math.inf, seconds=1300, seed=5) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=470_000, accept_anyway=True)
    assert len(done.recording) == 470_000
    assert done.ended == "samples"
    assert places(done.recording)[-1] > 480_000  # 20 minutes
    assert done.facts["lost"] > 5000
    check_losses(done.recording, done.facts, it.record)


def test_so_many_samples(tmp_path: Path) -> None:
    with pretend(Device(counting()), faults=ONE_PER_CENT, speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=1234, accept_anyway=True)
    assert (len(done.recording), done.ended, done.problem) == (1234, "samples", None)
    assert len(Recording.read(tmp_path / "r.csv")) == 1234
    found = check_places(done.recording)
    assert done.facts["lost"] == found[-1] - found[0] - 1233


def test_so_many_seconds_of_the_devices_time(tmp_path: Path) -> None:
    with pretend(Device(counting()), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", seconds=30)
    assert (len(done.recording), done.facts["seconds"], done.ended, done.problem) == (12_001, 30.0, "seconds", None)
    assert done.judgement.good


def test_public_names(tmp_path: Path) -> None:
    with pretend(Device(counting()), speed=math.inf) as it:
        done = gt.collect(it.port, tmp_path / "r.csv", samples=2000)
    assert gt.judge(gt.Recording.read(tmp_path / "r.csv")) == done.judgement


# --- the stock firmware


def test_the_stock_firmware(tmp_path: Path) -> None:
    with pretend(Device(Motion(seed=2), protocol="stock"), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=5000)
    expected = simulate(seconds=40, seed=2).samples.round(5)
    found = done.recording.samples
    start = int(np.flatnonzero((expected == found[0]).all(axis=1))[0])
    assert np.array_equal(found, expected[start : start + 5000])
    assert (done.recording.rate_hz, done.recording.lsb, done.recording.units) == (200.0, None, "m/s^2")
    assert (done.judgement.good, done.judgement.lost, done.judgement.nominal_rate_hz) == (True, None, None)
    assert done.recording.metadata["protocol"] == "stock"


def test_the_stock_firmware_on_a_slow_sensor_is_refused(tmp_path: Path) -> None:
    device = Device(Motion(), protocol="stock", habits=Habits(sensor_hz=14.0))
    with pretend(device, speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=5000)
    assert not done.judgement.good
    assert not (tmp_path / "r.csv").exists()
    assert done.path == tmp_path / "r.csv.rejected"
    assert len(Recording.read(done.path)) == 5000
    assert str(done.problem) == (
        "not good enough to train on: 93 % of the samples repeat the one before: the sensor is read more often than it "
        f"measures, so it gives about 14 values a second; what was collected is kept in {done.path}\n"
        "Set the sensor's output rate to that at which it is read, or read it by its data-ready signal or FIFO. To "
        "use it all the same, rename that file; --accept-anyway keeps the next one's name."
    )


def test_accepted_anyway_the_reason_stays_with_the_recording(tmp_path: Path) -> None:
    with pretend(Device(Motion(), habits=Habits(sensor_hz=14.0)), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=5000, accept_anyway=True)
    assert done.problem is None
    assert not done.judgement.good
    (told,) = Recording.read(tmp_path / "r.csv").metadata["collected"]
    assert (told["good"], told["accepted_anyway"]) == (False, True)
    assert told["flaws"][0].startswith("93 % of the samples repeat the one before")


def test_a_true_rate_that_is_not_what_the_device_says(tmp_path: Path) -> None:
    with pretend(Device(counting(), habits=Habits(true_rate_hz=380.0)), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=4000)
    read = Recording.read(tmp_path / "r.csv")
    assert read.rate_hz == pytest.approx(380, rel=1e-5)
    assert read.metadata["nominal_rate_hz"] == 400.0
    assert done.judgement.rate_error == pytest.approx(-0.05, abs=1e-6)


# --- incidents


@pytest.mark.parametrize("tcp", OUTLETS)
def test_a_reboot_in_the_middle(tmp_path: Path, tcp: tuple[str, int] | None) -> None:
    incidents = Incidents(reboot_after_s=10.0)
    with pretend(Device(counting()), tcp=tcp, incidents=incidents, speed=math.inf, seconds=25) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=9900)
    assert [boot.samples for boot in it.record.boots] == [4000, 6000]
    assert done.recording.segments == ((0, 4000), (4000, 9900))
    assert np.array_equal(places(done.recording), np.arange(9900))  # the machine went on
    assert (done.facts["reboots"], done.facts["lost"], done.facts["reconnects"]) == (1, 0, 0)


@pytest.mark.parametrize("tcp", OUTLETS)
def test_unplugged_and_plugged_in_again(tmp_path: Path, tcp: tuple[str, int] | None) -> None:
    incidents = Incidents(unplug_after_s=10.0, unplugged_s=0.5)
    with pretend(Device(counting()), tcp=tcp, incidents=incidents, speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=8000, wait_s=10)
    assert (it.record.unplugged, done.problem) == (1, None)
    assert done.recording.segments == ((0, 4000), (4000, 8000))
    assert np.array_equal(places(done.recording), np.arange(8000))
    assert (done.facts["reboots"], done.facts["reconnects"], done.facts["lost"]) == (1, 1, 0)


@pytest.mark.parametrize("tcp", OUTLETS)
def test_unplugged_while_the_device_goes_on_every_lost_sample_is_known(
    tmp_path: Path, tcp: tuple[str, int] | None
) -> None:
    incidents = Incidents(unplug_after_s=1.0, unplugged_s=0.7, powered=True)
    with pretend(Device(counting()), tcp=tcp, incidents=incidents) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=1200, wait_s=10)
    found = check_places(done.recording)
    assert len(done.recording.segments) == 2
    (boot,) = it.record.boots
    away = max(last - first + 1 for first, last in boot.unsent)
    assert away >= 0.6 * 400
    assert done.facts["lost"] == found[-1] - found[0] + 1 - 1200
    assert done.facts["lost"] >= away
    assert (done.facts["reboots"], done.facts["reconnects"]) == (0, 1)


def test_unplugged_for_good(tmp_path: Path) -> None:
    with pretend(Device(counting()), incidents=Incidents(unplug_after_s=5.0), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=8000, wait_s=0.5)
    assert (len(done.recording), done.ended) == (2000, "gone")
    assert str(done.problem) == (
        f"{it.port} is gone, for 0.5 s now; 2,000 samples are kept\nCheck cable and power, and go on with --append."
    )


def test_another_board_under_the_name_is_not_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, other = "303A:1001 7C:DF:A1:00:00:01", "303A:1001 7C:DF:A1:00:00:02"
    waiting: list[str | None] = []
    with pretend(Device(counting()), incidents=Incidents(unplug_after_s=5.0, unplugged_s=0.1), speed=math.inf) as it:
        listed = iter([board])  # when it is opened; later it is another
        monkeypatch.setattr(port_module, "list_ports", lambda: [Listed(it.port, "", next(listed, other))])
        done = collect(
            it.port, tmp_path / "r.csv", samples=8000, wait_s=0.5, progress=lambda now: waiting.append(now.waiting)
        )
    assert (len(done.recording), done.ended, done.facts["reconnects"]) == (2000, "gone", 0)
    assert str(done.problem) == (
        f"{it.port} belongs to another device ({other} instead of {board}), for 0.5 s now; 2,000 samples are kept\n"
        "Check cable and power, and go on with --append."
    )
    assert waiting[-1] == f"{it.port} belongs to another device: waiting for the one before"


def test_an_interrupted_collection_is_continued_in_a_new_segment(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with pretend(Device(counting()), speed=math.inf) as it:
        first = collect(it.port, path, samples=3000, label="fan")
        path.write_bytes(path.read_bytes()[:-700])  # as after a kill: the last lines are gone, one is cut
        kept = len(Recording.read(path))
        second = collect(it.port, path, samples=2000, append=True)
    whole = Recording.read(path)
    assert len(first.recording) == 3000
    assert len(second.recording) == 2000
    assert whole.segments == ((0, kept), (kept, kept + 2000))
    check_places(whole)
    assert [one["samples"] for one in whole.metadata["collected"]][-1] == 2000
    assert whole.metadata["label"] == "fan"


def test_what_cannot_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with pretend(Device(counting()), speed=math.inf) as it:
        collect(it.port, path, samples=2000, label="fan")
    before = path.read_bytes()
    with pytest.raises(GyrovaeError, match="bears another label; expected fan, received pump"):
        collect(it.port, path, append=True, label="pump")
    with (
        pretend(Device(counting(rate_hz=200.0)), speed=math.inf) as it,
        pytest.raises(GyrovaeError, match=r"collected with another nominal_rate_hz; expected 400\.0, received 200\.0"),
    ):
        collect(it.port, path, append=True, samples=100)
    assert path.read_bytes() == before


def test_a_refused_continuation_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with pretend(Device(Motion()), speed=math.inf) as it:
        collect(it.port, path, samples=3000)
    before = path.read_bytes()
    with pretend(Device(Motion(), habits=Habits(sensor_hz=20.0)), speed=math.inf) as it:
        done = collect(it.port, path, samples=3000, append=True)
    assert path.read_bytes() == before
    assert done.path == tmp_path / "r.csv.rejected"
    assert len(Recording.read(done.path)) == len(done.whole) == 3000


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pretend(Device(counting())) as it:
        collect(it.port, tmp_path / "r.csv", seconds=2, progress=seen.append)
    assert [one.samples for one in seen] == sorted(one.samples for one in seen)
    assert seen[-1].samples > 500
    assert seen[-1].rate_hz == pytest.approx(400)
    assert len(seen[-1].recent) > 300
    assert 5 <= len(seen) <= 15


# --- other ends of the line


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP port at which `talk` answers each that comes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    talk(client)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"", "and nothing else is said there\nCheck that it is the right port"),
        (b"Hello, world!\n" * 50, "what comes is other text; received 'Hello, world!'\nFlash gyrovae-tf's firmware"),
        (b"0.1,-0.3,9.8\n" * 50, "have the board print each sample as that does: x y z in m/s^2 with five decimals"),
        (bytes(range(128, 256)) * 50 + b"\n\xff\n" * 20, "what comes is no text\nGive the firmware's baud rate"),
        (b"0" * 100_000, "what comes is no text\nGive the firmware's baud rate"),
    ],
    ids=["silence", "text", "another format", "noise", "no newlines"],
)
def test_what_is_no_device_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, says: str) -> None:
    monkeypatch.setattr("gyrovae_tf.device.collect._ANSWER_S", 4.0)

    def talk(client: socket.socket) -> None:
        while client.recv(100):  # once asked: opening a port throws away what has come until then
            client.sendall(said)

    with server(talk) as port, pytest.raises(GyrovaeError) as caught:
        collect(port, tmp_path / "r.csv")
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"port": "/dev/none"}, "cannot open /dev/none: there is no such port"),
        ({"port": "socket://127.0.0.1:1"}, "nobody listens there"),
        ({"port": "socket://127.0.0.1"}, "it names no port"),
        ({"port": "what://ever"}, "protocol 'what' not known"),
        ({"port": "/etc/passwd"}, "it is no serial port"),
        ({"port": ""}, "cannot open a port without a name"),
        ({"seconds": 0.0}, "the seconds to collect are not usable; expected above 0, received 0.0"),
        ({"seconds": "600"}, r"the seconds to collect are not usable; expected above 0, received '600' \(text\)"),
        ({"seconds": float("inf")}, "the seconds to collect are not usable; expected above 0, received inf"),
        ({"samples": -1}, "the number of samples is not usable; expected at least 1, received -1"),
        ({"samples": 10.5}, "the number of samples is not usable; expected a whole number, received 10.5"),
        ({"baud": "115200"}, r"the baud rate is not usable; expected a whole number, received '115200' \(text\)"),
        ({"wait_s": -1.0}, "the time to wait is not usable; expected 0 or more seconds, received -1.0"),
        ({"wait_s": None}, "the time to wait is not usable; expected 0 or more seconds, received None"),
        ({"window": 100}, "the window length is not usable"),
    ],
)
def test_refusals(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(GyrovaeError, match=says):
        collect(**{"port": "/dev/none", "output": tmp_path / "r.csv", **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_somebody_else_reads_is_busy(tmp_path: Path) -> None:
    import serial

    with (
        pretend(Device(counting())) as it,
        serial.serial_for_url(it.port, exclusive=True),
        pytest.raises(GyrovaeError, match=r"another program uses it\nClose the serial monitor"),
    ):
        collect(it.port, tmp_path / "r.csv")


# --- the command


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "collect", *map(str, words)]
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 120, **options})


def test_the_command(tmp_path: Path) -> None:
    with pretend(Device(counting()), speed=math.inf) as it:
        done = run("--port", it.port, "-o", tmp_path / "r.csv", "--samples", 5000)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            f"{tmp_path / 'r.csv'}: 5,000 samples, 12.5 s at 400 Hz (the device says 400 Hz)",
            "segments: 1; windows of 256 samples: 75",
            "link: lost 0 in 0 gaps",
            "samples: duplicates 0 %, clipped 0 %, jitter 0 %",
            "verdict: can be trained on",
        ]
        done = run("--port", it.port, "-o", tmp_path / "r.csv")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"gyrovae-tf: {tmp_path / 'r.csv'} exists\nGive another name")
        done = run("--port", it.port, "-o", tmp_path / "r.csv", "--samples", 100, "--overwrite", "--json")
        assert done.returncode == 2  # no window
        told = json.loads(done.stdout)
        assert (told["samples"], told["verdict"]["good"]) == (100, False)
        assert told["file"] == str(tmp_path / "r.csv.rejected")
        assert len(done.stderr.splitlines()) == 2


def test_what_is_too_short_is_not_said_to_be_fit_and_the_whole_file_is_told(tmp_path: Path) -> None:
    with pretend(Device(counting()), speed=math.inf) as it:
        path = tmp_path / "r.csv"
        done = run("--port", it.port, "-o", path, "--samples", 1000)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1:] == [
            "segments: 1; windows of 256 samples: 12",
            "link: lost 0 in 0 gaps",
            "samples: duplicates 0 %, clipped 0 %, jitter 0 %",
            "warning: it gives only 12 windows of 256 samples, too few to train on. Record longer, or go on with",
            "  --append.",
            "verdict: too few windows to train on as it is: record longer, or go on with --append",
        ]
        done = run("--port", it.port, "-o", path, "--samples", 1100, "--append")
        assert done.stdout.splitlines() == [
            f"{path}: 1,100 samples, 2.7 s at 400 Hz (the device says 400 Hz)",
            "segments: 1; windows of 256 samples: 14",
            "the file now holds 2,100 samples, 5.2 s in 2 segments; windows: 26",
            "link: lost 0 in 0 gaps",
            "samples: duplicates 0 %, clipped 0 %, jitter 0 %",
            "verdict: can be trained on",
        ]
        told = json.loads(run("--port", it.port, "-o", path, "--samples", 400, "--append", "--json").stdout)
        assert (told["samples"], told["segments"], told["verdict"]["windows"]) == (400, 1, 3)
        assert told["total"] == {"samples": 2500, "seconds": 6.25, "segments": 3, "windows": 29}


@pytest.mark.parametrize(("kind", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)])
def test_a_signal_ends_it_with_all_that_was_collected(tmp_path: Path, kind: signal.Signals, times: int) -> None:
    """Also one that comes twice at once, as from the command timeout."""
    with pretend(Device(counting())) as it:
        command = [*PROGRAM, "collect", "--port", it.port, "-o", str(tmp_path / "r.csv")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            _until((tmp_path / "r.csv").exists)
            time.sleep(2.0)
            for _ in range(times):
                process.send_signal(kind)
                time.sleep(0.002)
            sent = it.record.boots[0].samples
            out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "verdict: " in out
    found = check_places(Recording.read(tmp_path / "r.csv"))
    assert found[-1] >= sent - 200  # what was under way, on a busy machine a second of it


def test_who_asks_again_later_is_not_made_to_wait() -> None:
    with stopped_by(signal.SIGINT) as stopped:
        assert not stopped()
        for _ in range(2):  # at once, which is one question
            signal.raise_signal(signal.SIGINT)
        assert stopped()
        time.sleep(0.4)  # longer than two signals of one question lie apart
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def _until(there: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not there():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_file_that_may_not_grow_ends_it_with_what_is_there(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with pretend(Device(counting()), speed=5) as it:
        done = run("--port", it.port, "-o", tmp_path / "r.csv", preexec_fn=limit)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"gyrovae-tf: cannot write {tmp_path / 'r.csv'}: File too large",
        "Check that the folder may be written to, and that the disk is not full.",
    ]
    recording = Recording.read(tmp_path / "r.csv")
    check_places(recording)
    assert 90_000 < (tmp_path / "r.csv").stat().st_size <= 100_000
    told = re.match(rf"{re.escape(str(tmp_path / 'r.csv'))}: {len(recording):,} samples, (\S+) s at 400 ", done.stdout)
    assert told is not None
    assert float(told[1]) == pytest.approx(len(recording) / 400, abs=0.051)  # 5.95 s are 5.9 or 6.0


def test_what_has_no_window_is_not_said_to_go_on(tmp_path: Path) -> None:
    """It is kept under another name, and --append goes on with the name that was given."""
    with pretend(Device(Motion()), speed=math.inf) as it:
        done = collect(it.port, tmp_path / "r.csv", samples=100)
    assert str(done.problem).endswith(
        f"what was collected is kept in {tmp_path / 'r.csv.rejected'}\nRecord longer. To use it all the same, rename "
        "that file; --accept-anyway keeps the next one's name."
    )


@pytest.mark.parametrize("name", ["r.parquet", "r.PARQUET", "-"])
def test_a_name_of_what_is_no_csv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GyrovaeError, match=f"written as CSV, .*: {name} is no name for it\nGive another name, as in "):
        collect("/dev/none", name)
    assert list(tmp_path.iterdir()) == []


def test_ports_are_listed() -> None:
    done = run("--list-ports")
    assert (done.returncode, bool(done.stderr)) == (0, not done.stdout)
    for words in (("--list-ports", "--json"), ("--json", "--list-ports")):
        told = run(*words)
        assert (told.returncode, told.stderr) == (0, "")
        ports = json.loads(told.stdout)["ports"]
        assert len(ports) == len(done.stdout.splitlines())
        assert all(port.keys() == {"name", "description", "identity"} for port in ports)


def test_where_there_is_no_port_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_module, "list_ports", list)
    done = CliRunner().invoke(cli, ["collect", "--list-ports"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "There is no serial port here now: is the board plugged in, with a cable that carries data?\n"
    done = CliRunner().invoke(cli, ["collect", "--list-ports", "--json"])
    assert (done.exit_code, done.stderr, json.loads(done.stdout)) == (0, "", {"ports": []})


def killed_after(path: Path, seconds: float, speed: float) -> None:
    """Kill a collection, and look at what is there: all but the last second, and one for a busy machine."""
    device = Device(counting(rate_hz=1000.0))
    with pretend(device, speed=speed) as it:
        command = [*PROGRAM, "collect", "--port", it.port, "-o", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            _until(lambda: bool(it.record.boots) and it.record.boots[0].samples > 0 and process.poll() is None)
            _until(lambda: path.exists() or process.poll() is not None)
            time.sleep(seconds)
            process.kill()
            sent = it.record.boots[0].samples
            process.wait()
    recording = Recording.read(path)
    found = check_places(recording)
    assert len(recording.segments) == 1
    assert found[-1] >= sent - 2 * 1000 * speed
    again = path.with_suffix(".again.csv")
    again.write_bytes(path.read_bytes())
    with pretend(Device(counting(rate_hz=1000.0)), speed=math.inf) as it:
        collect(it.port, again, samples=500, append=True, accept_anyway=True)
    assert len(Recording.read(again)) == len(recording) + 500


def test_killed(tmp_path: Path) -> None:
    killed_after(tmp_path / "r.csv", 0.7, 1.0)


@pytest.mark.slow
def test_killed_at_a_hundred_moments(tmp_path: Path) -> None:
    draw = random.Random(1)
    moments = [draw.uniform(0, 2) for _ in range(100)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: killed_after(tmp_path / f"{n}.csv", moments[n], 1.0), range(100)))


# --- the live line


def test_the_live_line() -> None:
    from gyrovae_tf.cli.standing import line

    rows = [(False, float(100 * (i % 2) * (i // 50)), 1.0, float(i % 2)) for i in range(600)]
    stands = Progress(12_345, 61.7, 200.04, 3, 17, 0, 2, 5, rows, None)
    assert line(stands, 200) == (
        "12,345 samples 61.7 s  200.04 Hz  lost 17 gaps 3  dup 0% clip 2  damaged 5  "
        "x▁▂▂▃▄▄▅▅▆▇▇█ y▁▁▁▁▁▁▁▁▁▁▁▁ z████████████"
    )
    usual = dataclasses.replace(stands, lost=0, gaps=0, clipped=0, damaged=0)
    assert line(usual, 79) == "12,345 samples 61.7 s  200.04 Hz  lost 0 gaps 0  dup 0% clip 0  x▇▇█ y▁▁▁ z███"
    assert line(stands, 60) == "12,345 samples 61.7 s  200.04 Hz  lost 17 gaps 3"
    waiting = dataclasses.replace(stands, waiting="/dev/ttyACM0 is gone: waiting for it")
    assert line(waiting, 70) == "/dev/ttyACM0 is gone: waiting for it  12,345 samples 61.7 s  200.04 Hz"


def test_the_live_line_is_shown_where_somebody_looks(tmp_path: Path) -> None:
    with pretend(Device(counting())) as it:
        master, slave = os.openpty()
        command = [*PROGRAM, "collect", "--port", it.port, "-o", str(tmp_path / "r.csv"), "--seconds", "4"]
        environment = {**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, env=environment, timeout=60)
        os.close(slave)
        shown = os.read(master, 100_000).decode()
        os.close(master)
    assert done.returncode == 0
    assert "400 Hz  lost 0 gaps 0  dup 0% clip 0  x" in shown


@pytest.mark.slow
def test_soak_of_two_minutes_in_real_time_through_the_commands(soak: Soak) -> None:
    """The last one here: it has begun with the first."""
    told, complaints = soak.collecting.communicate(timeout=180)
    assert (soak.collecting.returncode, complaints) == (0, "")
    assert time.monotonic() - soak.began > 118
    soak.device.send_signal(signal.SIGINT)
    assert soak.device.wait(20) == 0
    facts, record = json.loads(told), json.loads((soak.folder / "record.json").read_text())
    recording = Recording.read(soak.folder / "r.csv")
    assert facts["samples"] == len(recording) > 45_000
    (boot,) = record["boots"]
    assert boot["overrun"] == []
    # Which of the machine's samples the first is, its values tell; then one after the other, but for those lost.
    machine = simulate(Machine(rate_hz=400), seconds=200, seed=3)
    expected = np.rint(machine.samples / machine.lsb).astype(int)
    rows = np.rint(recording.samples / recording.lsb).astype(int)
    lost = set(boot["dropped"]) | set(boot["corrupted"])
    arrived = [number for number in range(len(expected)) if number not in lost]
    start = next(i for i in range(len(arrived)) if np.array_equal(expected[arrived[i : i + 20]], rows[:20]))
    numbers = arrived[start : start + len(rows)]
    assert facts["too_late"] == facts["stray"] == 0
    assert np.array_equal(expected[numbers], rows)
    assert facts["lost"] == sum(numbers[0] < n < numbers[-1] for n in lost)
    assert facts["lost"] > 500
