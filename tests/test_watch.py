"""`gyrovae-tf monitor` on a pretend device: through pseudo-terminals and TCP, unplugged and plugged in again."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAM, TINY_MACHINE, Tiny, port_of
from gyrovae_tf.cli.live import View, line_for, plot
from test_alarm import decision

from gyrovae_tf.device.link import Faults
from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.port import Listed
from gyrovae_tf.device.pretend import Device, Motion
from gyrovae_tf.device.serve import Incidents, Pretended, pretend
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.device.stockconsole import StockReason
from gyrovae_tf.device.watch import Line, patience_s, watch
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.wire import (
    Banner,
    Parser,
    Sample,
    StockFigures,
    Verdict,
    banner_line,
    status_line,
    verdict_line,
)
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Detector
from gyrovae_tf.signal import frontend

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
slow = pytest.mark.slow


@pytest.fixture(params=["pty", "tcp"])
def outlet(request: pytest.FixtureRequest) -> tuple[str, int] | None:
    return ("127.0.0.1", 0) if request.param == "tcp" else None


def watched_for(monitor: Monitor, port: str, **settings: Any) -> tuple[Watched, list[Decision], list[str]]:
    """What is known after watching, the decisions, and what was told."""
    watched, found, told = Watched(monitor, port), [], []
    line = Line(port)
    try:
        watch(watched, line, decided=found.append, told=told.append, **settings)
    finally:
        line.close()
    return watched, found, told


def news(told: list[str]) -> list[str]:
    """Without what a device that talks fast said before it heard that somebody reads it."""
    return [text for text in told if not text.startswith("left out ")]


def over(it: Pretended, monitor: Monitor) -> Callable[[], bool]:
    """Whether the device has ended, and nothing of what it said comes any more."""
    seen, since = -1, time.monotonic()

    def ended() -> bool:
        nonlocal seen, since
        if it.thread.is_alive() or monitor.traffic.samples != seen:
            seen, since = monitor.traffic.samples, time.monotonic()
        return time.monotonic() - since > 1.0

    return ended


# --- the library, with a detector


@pytest.fixture
def out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pretend device talks faster than time passes: it has said all before it is answered, and that is of now."""
    monkeypatch.setattr("gyrovae_tf.device.monitor._UNHEARD_S", 0.0)


def test_another_board_under_the_name_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    board, other = "303A:1001 7C:DF:A1:00:00:01", "303A:1001 7C:DF:A1:00:00:02"
    incidents = Incidents(unplug_after_s=2.0, unplugged_s=0.1)
    with pretend(Device(Motion(TINY_MACHINE), seed=1), incidents=incidents, speed=math.inf) as it:
        listed = iter([board])  # when it is opened; later it is another
        monkeypatch.setattr("gyrovae_tf.device.port.list_ports", lambda: [Listed(it.port, "", next(listed, other))])
        monitor = Monitor()
        watched, _, told = watched_for(monitor, it.port, seconds=2)
    assert not watched.connected
    assert f"{it.port} belongs to another device ({other} instead of {board}), which is left alone" in told


@slow
@pytest.mark.usefixtures("out_of_time")
def test_unplugged_and_plugged_in_again(tiny: Tiny, outlet: tuple[str, int] | None) -> None:
    detector, motion = Detector(tiny.bundle), Motion(TINY_MACHINE, seed=4)
    device = Device(motion, seed=1)
    incidents = Incidents(unplug_after_s=2.0, unplugged_s=0.3)
    with pretend(device, tcp=outlet, incidents=incidents, speed=math.inf, seconds=4.0) as it:
        monitor = Monitor(detector)
        watched, found, told = watched_for(monitor, it.port, stop=over(it, monitor), seconds=60)
    assert it.record.unplugged == 1
    boots = [boot.samples for boot in it.record.boots]
    assert len(boots) == 2
    assert monitor.traffic.connections >= 2
    assert f"{it.port} is gone; waiting for it" in told
    assert f"{it.port} is back" in told
    window = tiny.bundle.spec.window
    ends = [one.number or 0 for one in found]
    turn = 1 + int(np.flatnonzero(np.diff(ends) < 0)[0])  # the numbers begin again with the second boot
    assert turn >= 3
    assert len(found) - turn >= 3
    for before, some in ((0, found[:turn]), (boots[0], found[turn:])):
        ends = [one.number or 0 for one in some]
        assert np.diff(ends).tolist() == [window] * (len(ends) - 1)
        counts = np.stack([motion(before + np.arange(end - window + 1, end + 1)) for end in ends])
        assert [one.score for one in some] == detector.score_windows(counts).score.tolist()
    assert watched.latest == found[-1]


@slow
@pytest.mark.usefixtures("out_of_time")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_loss_is_counted(tiny: Tiny, seed: int) -> None:
    """Against the record of the cable that lost them."""
    device = Device(Motion(TINY_MACHINE, seed=seed), seed=seed)
    faults = Faults(drop=0.01, duplicate=0.01, corrupt=0.01, late=0.01)
    with pretend(device, faults=faults, speed=math.inf, seconds=60, seed=seed) as it:
        monitor = Monitor(Detector(tiny.bundle))
        watched, _, _ = watched_for(monitor, it.port, stop=over(it, monitor), seconds=120)
    (boot,) = it.record.boots
    assert boot.samples == 12_000
    unsent = sum(last - first + 1 for first, last in boot.unsent)
    traffic = monitor.traffic
    assert traffic.lost == len(boot.lost)
    assert traffic.repeated == len(boot.duplicated)
    assert traffic.samples + traffic.late == boot.samples - unsent - len(boot.lost)
    # One that was held back while nothing else was sent has not been overtaken.
    assert 0.9 * len(boot.late) <= traffic.late <= len(boot.late)
    assert watched.counters()["bad_lines"] <= it.record.bad_lines
    assert monitor.made > 20
    assert monitor.notes() == []


@slow
def test_the_device_s_verdicts(tiny: Tiny) -> None:
    """Its scores are the detector's, rounded to thousandths on the wire."""
    detector, motion = Detector(tiny.bundle), Motion(TINY_MACHINE, seed=7, fault="imbalance", severity=2.0)
    with pretend(Device(motion, detector=Detector(tiny.bundle)), speed=math.inf) as it:
        watched, found, told = watched_for(Monitor(detector, on_device=True), it.port, windows=30, seconds=60)
    assert [one.source for one in found] == ["device"] * 30
    counts = np.stack([motion(np.arange((one.number or 0) - 63, (one.number or 0) + 1)) for one in found])
    assert [one.score for one in found] == pytest.approx(detector.score_windows(counts).score, abs=5e-4)
    assert watched.monitor.lost_windows == 0
    assert set(news(told)) <= {"the device boots"}, "it is the same detector"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"", "nothing has come for 0.3 s: does the firmware run, and is this its port?"),
        (b"\x80\xff" * 500, "nothing can be made of what comes (1,000 bytes): is --baud that of the firmware?"),
        (b"Hello\r\nworld\r\n" * 10, "what comes is text, and nothing of it samples or results (140 bytes)"),
    ],
)
def test_a_port_that_says_nothing_is_complained_of_once(
    monkeypatch: pytest.MonkeyPatch, said: bytes, complaint: str
) -> None:
    monkeypatch.setattr("gyrovae_tf.device.watch.SILENCE_S", 0.3)
    monkeypatch.setattr("gyrovae_tf.device.watch.BOOT_S", 0.6)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        line = Line(port)
        client, _ = server.accept()
        client.sendall(said)
        told: list[str] = []
        watch(Watched(Monitor(), port), line, told=told.append, seconds=1.5)
        line.close()
        asked = client.recv(1000)
        client.close()
    assert told == [f"{port}: {complaint}"]
    assert asked == b"stream\ndetect\n\nstream\ndetect\n", "asked again after a second"


def test_text_of_before_is_not_complained_of_when_it_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyrovae_tf.device.watch.SILENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        line = Line(port)
        client, _ = server.accept()
        client.sendall(b"\nESP-ROM:esp32s3-20210327\r\n" + verdict(0))
        client.close()
        told: list[str] = []
        with contextlib.closing(line):
            watch(Watched(Monitor(), port), line, told=told.append, seconds=2.0)
    assert told[-1] == f"{port}: nothing has come for 0.3 s: does the firmware run, and is this its port?"


def verdict(window: int) -> bytes:
    return verdict_line(Verdict(window, 64 * window + 63, 320_000 * window, 0.5, 1.0, False, False, (), 1, 1, 1))


def test_a_device_that_hears_nothing_is_monitored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has it to say anything more for that."""
    monkeypatch.setattr("gyrovae_tf.device.monitor._UNHEARD_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        line = Line(port)
        client, _ = server.accept()
        client.sendall(b"".join(map(verdict, range(3))))
        found: list[Decision] = []
        with contextlib.closing(line), client:
            watch(Watched(Monitor(), port), line, decided=found.append, windows=3, seconds=30)
    assert [one.number for one in found] == [63, 127, 191]


def test_how_long_a_device_may_say_nothing() -> None:
    """Three windows: the first takes a window, each further one a hop."""
    assert patience_s(10.0, Banner(rate_hz=12.5, window=160, hop=160)) == 38.4
    assert patience_s(10.0, Banner(rate_hz=25.0, window=1000, hop=125)) == 120.0
    assert patience_s(10.0, Banner(rate_hz=200.0, window=256, hop=256)) == 10.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seconds": "5"}, r"the seconds to watch are not usable; expected above 0, received '5' \(text\)"),
        ({"seconds": math.nan}, "the seconds to watch are not usable; expected above 0, received nan"),
        ({"windows": 2.5}, "the number of windows is not usable; expected a whole number, received 2.5"),
        ({"windows": 0}, "the number of windows is not usable; expected at least 1, received 0"),
    ],
)
def test_how_long_cannot_be_watched(given: dict[str, Any], says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line(f"socket://127.0.0.1:{server.getsockname()[1]}")
        with contextlib.closing(line), pytest.raises(GyrovaeError, match=says):
            watch(Watched(Monitor(), "p"), line, **given)


def test_a_baud_rate_that_is_none() -> None:
    with pytest.raises(GyrovaeError, match="the baud rate is not usable; expected a whole number, received '115200'"):
        Line("/dev/none", "115200")  # type: ignore[arg-type]


@slow
def test_the_firmware_on_an_emulated_core(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It decides, then it streams and this computer decides: the same windows, the same numbers."""
    monkeypatch.setattr("gyrovae_tf.device.monitor._MOST_ASKED", 10**6)  # it talks faster than a busy computer reads
    import emulated_device as emulated

    spec = tiny.bundle.spec
    motion = [simulate(TINY_MACHINE, seconds=6, seed=9, fault=fault).samples for fault in (None, "imbalance")]
    counts = [frontend.to_counts(samples, spec.lsb) for samples in motion]
    windows = np.concatenate([one[: len(one) // 64 * 64].reshape(-1, 64, 3) for one in counts])
    script = emulated.recorded(tiny.bundle, windows)
    samples = script.windows.reshape(-1, 3)
    detector = Detector(tiny.bundle)
    assert tiny.bundle.golden is not None
    assert detector.model.kernels == tiny.bundle.golden.kernels

    with emulated.running(emulated.built(tmp_path, script, on="cortex-m4f"), tmp_path) as device:
        monitor = Monitor(detector, on_device=True)
        began: list[int] = []  # number of the script's first sample, for each decision: it begins anew with a mode
        watched = Watched(monitor, device.port)
        found: list[Decision] = []
        told: list[str] = []

        def decided(one: Decision) -> None:
            found.append(one)
            began.append(0 if monitor.banner is None else monitor.banner.next)

        with contextlib.closing(Line(device.port)) as line:
            watch(watched, line, decided=decided, told=told.append, windows=60, seconds=120)
        rows = (np.array([one.number for one in found]) - began)[:, None] + np.arange(-63, 1)
        expected = detector.score_windows(samples[rows % len(samples)]).score
        assert [one.source for one in found] == ["device"] * 60
        assert [one.score for one in found] == pytest.approx(expected, rel=1e-4, abs=5.1e-4)
        assert {one.alarm for one in found} == {True, False}
        assert monitor.lost_windows == 0

        found.clear()
        monitor = Monitor(detector)
        with contextlib.closing(_Overheard(device.port)) as line:
            watched = Watched(monitor, device.port)
            watch(watched, line, decided=found.append, told=told.append, windows=60, seconds=120)
    heard = {one.number: one[2:] for one in Parser().feed(bytes(line.heard)) if isinstance(one, Sample)}
    counts = [[heard[number] for number in range(one.number - 63, one.number + 1)] for one in found if one.number]
    assert [one.source for one in found] == ["host"] * 60
    assert [one.score for one in found] == detector.score_windows(np.array(counts, np.int16)).score.tolist()
    assert {one.alarm for one in found} == {True, False}
    assert monitor.traffic.lost == 0
    assert news(told) == [], "the detectors are the same"


class _Overheard(Line):
    """A port that keeps what came out of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.heard = bytearray()

    def read(self) -> bytes | None:
        chunk = super().read()
        self.heard += chunk or b""
        return chunk


# --- the command


@slow
@pytest.mark.parametrize("tcp", [[], ["--tcp", "0"]])
def test_json_log_and_command(
    start: Callable[..., subprocess.Popen[str]], tiny: Tiny, tmp_path: Path, tcp: list[str]
) -> None:
    port = port_of(start("simulate", "--fault", "imbalance", "--severity", 3, "--seed", 2, *tcp))
    log, out = tmp_path / "log.jsonl", tmp_path / "event.json"
    process = start(
        *("monitor", "--port", port, "--model", tiny.run.path, "--windows", 8, "--json"),
        *("--log", log, "--exec", f"cp /dev/stdin {out}"),
    )
    printed, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["window"] for line in lines] == list(range(8))
    assert [json.loads(line) for line in log.read_text().splitlines()] == lines
    numbers = [line["number"] for line in lines]
    assert np.diff(numbers).tolist() == [64] * 7
    motion = Motion(fault="imbalance", severity=3.0, seed=2)
    windows = np.stack([motion(np.arange(number - 63, number + 1)) for number in numbers])
    assert [line["score"] for line in lines] == Detector(tiny.bundle).score_windows(windows).score.tolist()
    assert all(line["source"] == "host" for line in lines)
    needed = tiny.bundle.calibration.vote_alarms
    assert [line["alarm"] for line in lines] == [True] * 8
    assert [line["begins"] for line in lines] == [i == needed - 1 for i in range(8)]
    assert json.loads(out.read_text()) == lines[needed - 1]
    assert told == f"8 windows, 8 alarms, 1 event; {numbers[-1] - numbers[0] + 64} samples, 0 lost in 0 gaps\n"


@slow
def test_the_device_decides_and_ctrl_c_ends_it(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    port = port_of(start("simulate", "--model", tiny.run.path))
    process = start("monitor", "--port", port)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    pattern = r"\d\d:\d\d:\d\d  window \d  score \d+\.\d{3}  threshold 1\.000  (normal|alarm|EVENT)(  [xyz] .*%)?\n"
    assert all(re.fullmatch(pattern, line) for line in lines), lines
    (summary,) = news(told.splitlines())
    assert re.fullmatch(r"\d+ windows, \d+ alarms?, \d+ events?", summary)


@slow
def test_a_page_for_browsers(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    port = port_of(start("simulate"))
    token = "a-token-of-20-signs."
    words = ["monitor", "--port", port, "--model", tiny.run.path, "--web", 0, "--web-token", token]
    process = start(*words, "--web-bind", "0.0.0.0")
    assert process.stdout is not None
    assert process.stderr is not None
    told = re.fullmatch(r"a page for browsers: http://0\.0\.0\.0:(\d+)/\?token=\.\.\.\n", process.stderr.readline())
    assert told
    first = re.findall(r"score (\S+)", process.stdout.readline())
    address = f"http://127.0.0.1:{told[1]}/state.json"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address, timeout=10)
    request = urllib.request.Request(address, headers={"X-Gyrovae-Token": token})
    with urllib.request.urlopen(request, timeout=10) as answer:
        state = json.load(answer)
    assert f"{state['history'][0][2]:.3f}" == first[0]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(request, timeout=10)


@slow
def test_a_port_that_is_gone_for_good(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    port = port_of(start("simulate", "--unplug-after", 12))
    process = start("monitor", "--port", port, "--model", tiny.run.path)
    assert process.stderr is not None
    assert process.stderr.readline() == f"{port} is gone; waiting for it\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


@slow
def test_who_reads_along_may_stop(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    port = port_of(start("simulate"))
    process = start("monitor", "--port", port, "--model", tiny.run.path, "--hop", 16)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert re.fullmatch(r"\d+ windows, .* gaps\n", process.stderr.read())


@slow
@pytest.mark.parametrize(
    ("device", "words", "message"),
    [
        (
            ["--rate-hz", "400"],
            ["--model", "RUN"],
            "another sample rate than this sensor's; expected 200 Hz, received 400",
        ),
        ([], [], "the device has no detector"),
        (["--protocol", "stock"], [], "the stock firmware sends samples, no verdicts"),
        (["--protocol", "stock", "--rate-hz", "100"], ["--model", "RUN"], "expected 200 Hz, to 5 %, received 100 Hz"),
    ],
)
def test_devices_that_cannot_be_monitored_so(
    start: Callable[..., subprocess.Popen[str]], tiny: Tiny, device: list[str], words: list[str], message: str
) -> None:
    port = port_of(start("simulate", *device))
    words = [str(tiny.run.path) if word == "RUN" else word for word in words]
    process = start("monitor", "--port", port, *words, "--seconds", 30)
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert message in told
    assert len(told.splitlines()) <= 3


@slow
def test_the_stock_firmware(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    port = port_of(start("simulate", "--protocol", "stock"))
    process = start("monitor", "--port", port, "--model", tiny.run.path, "--windows", 3, "--json")
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert [json.loads(line)["number"] for line in printed.splitlines()] == [None] * 3
    assert "the stock firmware: without numbers and checksums not every loss is seen" in told


def test_a_device_s_error_at_the_end_does_not_hide_what_was_seen(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    """Its detector is gone after a boot."""
    told = {"sensor": "test", "rate_hz": 200.0, "lsb": 0.5, "next": 64}
    detector: dict[str, Any] = {"model": "compiled", "spec": "ab" * 32, "window": 64, "hop": 64, "vote": (3, 5)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start("monitor", "--port", f"socket://127.0.0.1:{server.getsockname()[1]}")
        client, _ = server.accept()
        with client:
            client.recv(100)
            for mode in ("stream", "detect"):
                client.sendall(banner_line(Banner(mode=mode, **told, **detector)))
            client.sendall(verdict(1) + status_line("error", "there is no detector") + banner_line(Banner(**told)))
            printed, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(printed.splitlines()) == 1
    word, summary, error, *_ = said.splitlines()
    assert word == "the device says: there is no detector"
    assert summary == "1 window, 0 alarms, 0 events"
    assert "the device has no detector" in error


def test_a_token_of_the_environment_is_for_pages_alone(
    start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GYROVAE_WEB_TOKEN", "abcdefgh12345678")
    process = start("monitor", "--port", "/dev/none")
    assert "cannot open /dev/none" in process.communicate(timeout=60)[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "/dev/none"], "cannot open /dev/none: there is no such port"),
        (["--port", "x", "--hop", "3"], "--hop and --threshold are for --model"),
        (["--port", "x", "--web-bind", "0.0.0.0"], "--web-bind is for --web PORT"),
        (
            ["--port", "x", "--web-token", "abcdefgh12345678"],
            "--web-token is for --web PORT",
        ),  # typed, not of the shell
        (["--port", "x", "--exec-shell"], "--exec-shell is for --exec CMD"),
        (["--port", "x", "--web", "0", "--web-bind", "0.0.0.0"], "whoever reaches 0.0.0.0 could read along"),
        (["--port", "x", "--mqtt", "http://a/b"], "the address of the MQTT broker"),
        (["--port", "x", "--model", "none"], "there is no none"),
        ([], "Missing option '--port'"),
    ],
)
def test_refusals(start: Callable[..., subprocess.Popen[str]], words: list[str], message: str) -> None:
    process = start("monitor", *words)
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert message in " ".join(told.split())


# --- the terminal


def test_the_plot() -> None:
    """The scale goes from 1/8 to 4, five octaves in 64 steps: 1 is three octaves up, 38 steps, four rows and 6/8."""
    assert plot([(0.125, False), (0.5, False), (1.0, True), (4.0, True)], 1.0, 16) == [
        "   3.22┤       █",
        "       ┤       █",
        "       ┤       █",
        "   1.00┤──────▆█",
        "       ┤     ▂██",
        "       ┤     ███",
        "       ┤     ███",
        "  0.155┤    ▁███",
    ]


def test_the_plot_shows_the_latest_and_takes_any_score() -> None:
    rows = plot([(float(i), False) for i in range(1000)], 1.0, 20)
    assert all(len(row) == 20 for row in rows)
    odd = plot([(math.nan, True), (math.inf, True), (0.0, False), (-1.0, False), (1e300, True)], 1.0, 20, plain=True)
    assert all(row.isascii() and len(row) == 20 for row in odd)
    assert all(row[-5] == "#" for row in odd), "what is no number reaches the top"


def test_a_plain_line() -> None:
    text = line_for(decision(3))
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  window 3  score 1\.734  threshold 1\.000  EVENT  "
        r"x 48-55 Hz louder: 61 %; z 2\.0-4\.0 Hz quieter: 20 %",
        text,
    )


STOCK = {
    "number": None,
    "t_us": None,
    "score": 0.5,
    "alarm": False,
    "event": False,
    "reasons": (),
    "figures": StockFigures(-15.5, math.inf),
}


def test_a_plain_line_of_the_stock_firmware_s_console() -> None:
    assert line_for(decision(3, **STOCK)).endswith(
        "score 0.500  threshold 1.000  normal  scalogram -15.50 dB, field inf dB"
    )
    low = decision(3, **{**STOCK, "reasons": (StockReason("scalogram", -15.5, -12.25, "low"),)})
    assert line_for(low).endswith("normal  scalogram -15.50 dB, alarm from -12.25 down: unlike normal motion")


def test_the_view_of_the_stock_firmware_s_console() -> None:
    watched = Watched(Monitor(), "p", connected=True)
    watched.monitor.traffic.results = 1200
    watched(decision(3, **STOCK))
    lines = View(io.StringIO(), watched).lines(100)
    assert [ESCAPES.sub("", line) for line in lines[-2:]] == [
        "scalogram -15.50 dB, field inf dB",
        "1,200 results, 0 windows, 0 alarms, 0 events",
    ]


def test_the_view_of_a_device_that_fell_silent() -> None:
    """What was decided last says nothing of now."""
    watched = Watched(Monitor(), "p", connected=True, clock=iter([0.0, 5.0, 5.5]).__next__)
    watched(decision(0, alarm=False, event=False))
    view = View(io.StringIO(), watched)
    told = [ESCAPES.sub("", view.lines(80)[1]) for _ in range(2)]
    assert told[0] == "normal  score 1.73, threshold 1.00"
    assert re.fullmatch(r"no verdict for 6 s; last: window 0 at \d\d:\d\d:\d\d", told[1])
    watched.connected = False
    gone = ESCAPES.sub("", view.lines(80)[1])
    assert re.fullmatch(r"not connected: the port is waited for; last: window 0 at \d\d:\d\d:\d\d", gone)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (51, "x 48-55 Hz louder: 61 %; z 2.0-4.0 Hz quieter: 20 %"),
        (50, "x 48-55 Hz louder: 61 %; ..."),
        (28, "x 48-55 Hz louder: 61 %; ..."),
        (27, "..."),
    ],
)
def test_reasons_that_do_not_fit_are_left_out_whole(width: int, shown: str) -> None:
    watched = Watched(Monitor(), "p", connected=True)
    watched(decision(0))
    assert View(io.StringIO(), watched).lines(width)[10] == shown


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_view_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    watched = Watched(Monitor(), "/dev/tty\x1b[31mACM0")
    view = View(out, watched)
    watched.connected = True
    view.draw(0.0)
    for window in range(50):
        one = decision(window, score=0.3 + 0.05 * window, source="device", frontend_us=5102, inference_us=1, score_us=0)
        watched(one)
        view.draw(float(window + 1))
        view.draw(window + 1.05)  # too soon
    view.say("a word \x1b[2J that stays")
    view.close()
    written = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert written.count("\x1b[J") == 1 + 50 + 1
    assert "\x1b[2J" not in written
    plain = ESCAPES.sub("", written).replace("\r", "")
    assert max(len(line) for line in plain.splitlines() if "stays" not in line) < columns
    assert "\x1b[31m" in written
    if columns >= 80:
        assert "x 48-55 Hz louder: 61 %; z 2.0-4.0 Hz quieter: 20 %" in plain
        assert "device: front end 5.1 ms, model 0.0 ms, score 0.0 ms" in plain


@slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_in_a_terminal(start: Callable[..., subprocess.Popen[str]], tiny: Tiny) -> None:
    import pty

    port = port_of(start("simulate", "--fault", "imbalance", "--severity", 3))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24", "PYTHONUTF8": "1"}
    words = [*PROGRAM, "monitor", "--port", port, "--model", str(tiny.run.path), "--seconds", "5"]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait(30) == 0
    text = written.decode()
    assert set(ESCAPES.findall(text)) <= {"\x1b[J", *(f"\x1b[{n}A" for n in range(30))}, "NO_COLOR"
    last = ESCAPES.sub("", text.split("\x1b[J")[-1])
    assert re.search(r"^EVENT   score \d", last, re.MULTILINE)
    assert "█" in last
    assert "200.0 samples/s" in last
    plain = ESCAPES.sub("", text).replace("\r", "")
    assert len(re.findall(r"^\d\d:\d\d:\d\d  window \d+  .*  EVENT", plain, re.MULTILINE)) == 1, (
        "it stays above the view"
    )
