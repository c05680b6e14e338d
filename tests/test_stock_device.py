"""The stock firmware's console through ports: a pretend one, recorded by collect, judged by monitor."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import PROGRAM, StockTiny, port_of, stock_recording
from numpy.typing import NDArray

import gyrovae_tf as gt
from gyrovae_tf.device.collect import collect
from gyrovae_tf.device.figures import HEADER, CollectedFigures, collect_figures
from gyrovae_tf.device.link import Faults, Line
from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.pretend import Device, Motion
from gyrovae_tf.device.serve import Incidents, pretend
from gyrovae_tf.device.stockconsole import StockReason
from gyrovae_tf.device.watch import Line as Port
from gyrovae_tf.device.watch import watch
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.wire import Event, Parser, Rebooted, StockFigures, StockSampled
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration
from gyrovae_tf.stockdetector import StockDetector
from gyrovae_tf.stockspec import StockSpec

COUNTING = Recording(
    np.stack([np.arange(4000) % 1000, (1000 - np.arange(4000)) % 1000, np.zeros(4000)], axis=1) / 10,
    200.0,
    ((0, 4000),),
    "c",
    lsb=0.1,
)
"""x tells a sample's place, in tenths."""
LEVELS = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 3, 5)


@pytest.fixture
def detector() -> Any:
    """Its figures are the x of a window's first sample, and less that of its last."""

    def printed(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        assert windows.dtype == np.float32
        return np.stack([windows[:, 0, 0], -windows[:, -1, 0]], axis=1).astype(np.float64)

    return SimpleNamespace(bundle=StockBundle(b"", StockSpec(), LEVELS, ()), printed=printed)


def said(lines: list[Line]) -> bytes:
    return b"".join(line.content for line in lines)


def events(lines: list[Line]) -> list[Event]:
    return Parser().feed(said(lines))


# --- the pretend console


def test_the_console_boots_shows_its_first_samples_and_then_results(detector: Any) -> None:
    device = Device(Motion(recording=COUNTING), detector=detector)
    assert device.protocol == "stock"
    text = said([*device.boot(), *device.advance(1.0), *device.advance(2.0)])
    assert text.startswith(b"ESP-ROM:")
    assert b"\r\nDry run model...\r\n" in text
    assert b"\r\nsample 1:\r\n  0.00000 0.00000 0.00000 1\nsample 2:\r\n  0.10000 99.90000 0.00000 5\n" in text
    assert text.count(b"\nsample ") == 255
    assert b"\nSampled 256 samples\r\nStart prediction loop...\r\nGEDADNN Perf:\r\n" in text
    assert b"\r\nPredict time: 156ms\r\nSampled: 32 (288)\r\nData skipped: no\r\nCoverage: 0.87500\r\n" in text
    found = Parser().feed(text)
    assert isinstance(found[0], Rebooted)
    assert found[1:] == [  # windows that end with sample 256, 288, 320, 352 and 384
        StockFigures(0.0, -25.5),
        StockSampled(256, 256),
        StockFigures(3.2, -28.7),
        StockSampled(32, 288),
        StockFigures(6.4, -31.9),
        StockSampled(32, 320),
        StockFigures(9.6, -35.1),
        StockSampled(32, 352),
        StockFigures(12.8, -38.3),
        StockSampled(32, 384),
    ]


@pytest.mark.parametrize("step_s", [0.005, 0.25, 1.3])
def test_what_is_said_does_not_depend_on_when_it_is_asked(detector: Any, step_s: float) -> None:
    once, often = (Device(Motion(recording=COUNTING), detector=detector) for _ in range(2))
    told = said(once.advance(4.0))
    pieces = [often.advance(min(step_s * i, 4.0)) for i in range(math.ceil(4.0 / step_s) + 1)]
    assert said([line for piece in pieces for line in piece]) == told


def test_a_boot_begins_with_a_new_window(detector: Any) -> None:
    device = Device(Motion(recording=COUNTING), detector=detector)
    device.boot()
    assert len(device.advance(1.6)) > 256  # 320 samples
    again = events([*device.boot(), *device.advance(1.5)])
    assert again[1:3] == [StockFigures(32.0, -57.5), StockSampled(256, 256)]
    assert device.command(b"info") == []


@pytest.mark.parametrize("changes", [{"rate_hz": 100.0}, {"units": "rad/s"}])
def test_the_stock_firmware_knows_one_rate_and_unit(detector: Any, changes: dict[str, Any]) -> None:
    motion = Motion(recording=dataclasses.replace(COUNTING, **changes))
    with pytest.raises(GyrovaeError, match=r"samples at another rate, or in other units; expected 200 Hz, m/s\^2"):
        Device(motion, detector=detector)


# --- collect


def test_collect_says_that_results_are_no_samples(detector: Any, tmp_path: Path) -> None:
    device = Device(Motion(recording=COUNTING), detector=detector)
    with pretend(device, speed=math.inf) as it, pytest.raises(GyrovaeError) as caught:
        collect(it.port, tmp_path / "r.csv")
    assert str(caught.value) == (
        "the device prints results, not samples: it is Seeed's firmware in its detection mode\n"
        "To record motion, set GYRO_SAMPLE_MODE to 1 in its app_main.cpp and flash it again. To record the results, "
        "collect --figures; to watch it, gyrovae-tf monitor --model RUN."
    )
    assert list(tmp_path.iterdir()) == []


def rows(path: Path) -> list[list[float]]:
    """The rows of a file of figures: its first lines are as they should be."""
    first, second, *lines = path.read_text().splitlines()
    assert first.startswith('# {"journal": 1, "protocol": "stock"')
    assert second == HEADER == "time_s,scalogram_db,field_db,segment"
    return [list(map(float, line.split(","))) for line in lines]


def stopping_at(path: Path, count: int) -> Callable[[], bool]:
    """Whether so many rows are on the disk."""
    until = time.monotonic() + 60
    return lambda: time.monotonic() > until or (path.exists() and path.read_bytes().count(b"\n") >= count + 2)


def test_figures_are_recorded(detector: Any, tmp_path: Path) -> None:
    path, began = tmp_path / "f.csv", time.time()
    with pretend(Device(Motion(recording=COUNTING), detector=detector), speed=5) as it:
        done = collect_figures(it.port, path, label="fan", stop=stopping_at(path, 20))
    assert (done.ended, done.problem, done.windows) == ("stopped", None, None)
    found = rows(path)
    assert done.results == len(found) >= 20
    scalogram = np.array([row[1] for row in found])
    assert np.diff(scalogram)[np.diff(scalogram) > 0] == pytest.approx(3.2)  # every one, but where the recording ends
    assert [round(-row[2] - row[1], 5) for row in found if row[1] < 70] == [25.5] * sum(row[1] < 70 for row in found)
    times = [row[0] for row in found]
    assert times == sorted(times)
    assert began - 0.001 <= times[0] <= times[-1] <= time.time()
    assert {row[3] for row in found} == {0.0}
    assert '"label": "fan"' in path.read_text().splitlines()[0]
    assert json.loads(json.dumps(done.to_dict()))["results"] == done.results


def test_what_is_no_number_is_recorded_as_it_was_printed(detector: Any, tmp_path: Path) -> None:
    detector.printed = lambda windows: np.array([[math.inf, math.nan]] * len(windows))
    path = tmp_path / "f.csv"
    with pretend(Device(Motion(recording=COUNTING), detector=detector), speed=math.inf, seconds=10) as it:
        collect_figures(it.port, path, stop=stopping_at(path, 3))
    assert path.read_text().splitlines()[2].split(",")[1:] == ["inf", "nan", "0"]


@pytest.mark.parametrize("tcp", [None, ("127.0.0.1", 0)], ids=["pty", "tcp"])
def test_unplugged_and_plugged_in_again(detector: Any, tmp_path: Path, tcp: tuple[str, int] | None) -> None:
    path = tmp_path / "f.csv"
    incidents = Incidents(unplug_after_s=4.0, unplugged_s=0.5)
    device = Device(Motion(recording=COUNTING), detector=detector)
    with pretend(device, tcp=tcp, incidents=incidents, speed=math.inf, seconds=8.0) as it:
        done = collect_figures(it.port, path, wait_s=2.0)
    found = rows(path)
    assert [row[3] for row in found] == [0.0] * 18 + [1.0] * 18  # 800 samples each: 1 + (800 - 256) / 32
    assert found[18][1] == 80.0  # the machine went on
    assert (done.results, done.reconnects, done.ended) == (36, 1, "gone")
    assert str(done.problem).startswith(f"{it.port} is gone, for 2 s now; 36 are kept\n")


def test_a_bad_cable_costs_results(detector: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    device, faults = Device(Motion(recording=COUNTING), detector=detector), Faults(drop=0.1, duplicate=0.1, corrupt=0.1)
    with pretend(device, faults=faults, speed=math.inf, seconds=20, seed=1) as it:
        done = collect_figures(it.port, path, wait_s=0.5)
    (boot,) = it.record.boots
    sent = [number for number in range(255, 4000, 32) if number not in boot.lost]
    sure = sorted([*sent, *boot.duplicated])
    assert len(boot.dropped) > 5
    # Without a checksum a damaged line may still look like a result.
    assert len(sure) <= done.results <= len(sure) + len(boot.corrupted)
    assert done.bad_lines > 0
    exact = {(number - 255) % 1000 / 10 for number in sent}
    assert exact <= {row[1] for row in rows(path)}


def test_going_on_with_a_file(detector: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    with pretend(Device(Motion(recording=COUNTING), detector=detector), speed=5) as it:
        collect_figures(it.port, path, label="fan", stop=stopping_at(path, 5))
        before = path.read_text()
        path.write_text(before + "1700000000.000,1")  # cut by a power failure
        with pytest.raises(GyrovaeError, match=r"f\.csv exists"):
            collect_figures(it.port, path)
        with pytest.raises(GyrovaeError, match="collected with another label; expected fan, received pump"):
            collect_figures(it.port, path, append=True, label="pump")
        with pytest.raises(
            GyrovaeError, match=r"holds something else.*expected columns x,y,z,segment, received time_s"
        ):
            collect(it.port, path, append=True)
        collect_figures(it.port, path, append=True, stop=stopping_at(path, before.count("\n") + 3))
    assert path.read_text().startswith(before)
    assert [row[3] for row in rows(path)][-1] == 1.0
    assert {len(row) for row in rows(path)} == {4}


def test_a_file_of_figures_is_no_recording(detector: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    with pretend(Device(Motion(recording=COUNTING), detector=detector), speed=math.inf, seconds=10) as it:
        collect_figures(it.port, path, stop=stopping_at(path, 3))
    with pytest.raises(GyrovaeError, match=r"wrong columns.*received 'time_s,scalogram_db,field_db,segment'"):
        Recording.read(path)


@pytest.mark.parametrize(
    ("protocol", "says"),
    [("gyrovae", "the device runs our firmware"), ("stock", "the device sends samples, no figures")],
)
def test_a_device_that_prints_no_figures(tmp_path: Path, protocol: Any, says: str) -> None:
    device = Device(Motion(recording=COUNTING), protocol=protocol)
    with pretend(device) as it, pytest.raises(GyrovaeError, match=f"{says}.*\nLeave --figures and --model out"):
        collect_figures(it.port, tmp_path / "f.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_is_left_of_a_line_is_no_mode(
    detector: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first samples a line may lose its blanks."""
    path, boot = tmp_path / "f.csv", Device.boot
    monkeypatch.setattr(Device, "boot", lambda self: [*boot(self), Line(b"0.00000 0.00000 0.00000 5\n")])
    device = Device(Motion(recording=COUNTING), detector=detector)
    with pretend(device, incidents=Incidents(reboot_after_s=4.0), speed=math.inf, seconds=8.0) as it:
        done = collect_figures(it.port, path, wait_s=0.5)
    assert (done.results, done.ended, done.reboots) == (36, "gone", 1)
    assert [row[3] for row in rows(path)] == [0.0] * 18 + [1.0] * 18


def test_a_port_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyrovae_tf.device.figures.BOOT_S", 0.5)
    master, slave = os.openpty()
    with pytest.raises(GyrovaeError, match="prints no results\nCheck cable, power and baud rate"):
        collect_figures(os.ttyname(slave), tmp_path / "f.csv")
    os.close(master)
    os.close(slave)
    assert list(tmp_path.iterdir()) == []


# --- with a model


def stock_motion(seed: int, gain: float = 1.0) -> Motion:
    return Motion(recording=stock_recording(seed=seed, seconds=30, gain=gain))


def heard(port: str, monitor: Monitor, windows: int) -> tuple[Watched, list[Decision]]:
    watched, found = Watched(monitor, port), []
    line = Port(port)
    watch(watched, line, decided=found.append, windows=windows, seconds=60)
    line.close()
    return watched, found


def test_the_monitor_decides_as_the_detector_does(stock_tiny: StockTiny) -> None:
    """By what the console prints, every 256 samples; to what its five decimals tell."""
    detector, motion = StockDetector(stock_tiny.bundle), stock_motion(2)
    device = Device(motion, detector=StockDetector(stock_tiny.bundle))
    with pretend(device, speed=math.inf) as it:
        watched, found = heard(it.port, Monitor(detector), 12)
    ends = [256, 544, *range(800, 800 + 10 * 256, 256)]  # a boot's second window waits for a number of samples
    windows = np.stack([motion(np.arange(end - 256, end)) for end in ends]) * motion.lsb
    figures = detector.printed(windows.astype(np.float32))
    assert [one.figures for one in found] == [tuple(pair) for pair in np.round(figures, 5).tolist()]
    assert re.fullmatch(r"12 windows, \d+ alarms?, \d events?; \d+ results printed(; 1 boot)?", watched.summary())
    assert watched.counters()["results"] == watched.monitor.traffic.results


def test_samples_of_the_sampling_mode_are_judged_by_the_same_levels(stock_tiny: StockTiny) -> None:
    detector, motion = StockDetector(stock_tiny.bundle), stock_motion(3, gain=3.0)
    with pretend(Device(motion, protocol="stock"), speed=math.inf) as it:
        watched, found = heard(it.port, Monitor(detector), 8)
    first = watched.monitor.traffic.samples - 8 * 256
    assert first == 0
    assert all(one.figures is not None for one in found)
    assert [one.event for one in found][-1] is True
    assert any(isinstance(reason, StockReason) for one in found for reason in one.reasons)


def test_collect_with_the_model_raises_the_alarm(stock_tiny: StockTiny, tmp_path: Path) -> None:
    alarms: list[Decision] = []
    path = tmp_path / "f.csv"
    device = Device(stock_motion(3, gain=3.0), detector=StockDetector(stock_tiny.bundle))
    with pretend(device, speed=math.inf, seconds=30) as it:
        done = gt.collect_figures(it.port, path, model=stock_tiny.run, wait_s=1.0, decided=alarms.append)
    assert isinstance(done, CollectedFigures)
    assert done.results == len(rows(path)) == 1 + (6000 - 256) // 32
    assert done.windows == len(alarms) == pytest.approx(6000 / 256, abs=2)
    assert done.alarms == sum(one.alarm for one in alarms) >= 3
    assert done.events == sum(one.begins for one in alarms) >= 1
    other = dataclasses.replace(stock_tiny.bundle, model=stock_tiny.bundle.model + b"\0")
    with (
        pretend(device, speed=math.inf, seconds=30) as it,
        pytest.raises(GyrovaeError, match="collected with another model"),
    ):
        gt.collect_figures(it.port, path, model=other, append=True)


# --- the commands


@pytest.mark.slow
def test_the_alarm_that_the_stock_firmware_lacks(start: Any, stock_tiny: StockTiny, tmp_path: Path) -> None:
    """simulate, monitor with its log and its command, and collect, as they are typed."""
    stock_recording(seed=3, seconds=30, gain=3.0).write(tmp_path / "loud.csv")
    run, log, out, csv = stock_tiny.run, tmp_path / "log.jsonl", tmp_path / "event.txt", tmp_path / "f.csv"
    device = start(
        *("simulate", "--protocol", "stock-console", "--model", run, "--recording", tmp_path / "loud.csv"),
        *("--drop", 0.05, "--corrupt", 0.05, "--speed", 4),
    )
    port = port_of(device)
    process = start(
        *("monitor", "--port", port, "--model", run, "--windows", 8, "--json", "--log", log),
        *("--exec-shell", "--exec", f'echo "$GYROVAE_REASONS" > {out}'),
    )
    printed, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [json.loads(line) for line in log.read_text().splitlines()] == lines
    assert sum(line["begins"] for line in lines) == 1
    assert lines[-1]["event"] is True
    assert all(set(line["figures"]) == {"scalogram_db", "field_db"} for line in lines)
    assert re.match(r"(scalogram|field) -?\d+\.\d\d dB, alarm from -?\d+\.\d\d (down|up): ", out.read_text())
    assert re.search(r"^8 windows, \d alarms, 1 event; \d+ results printed", told, re.MULTILINE)

    process = start("collect", "--port", port, "-o", csv, "--model", run, "--seconds", 5)
    printed, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert re.search(r"^\d\d:\d\d:\d\d  window \d+  score \d+\.\d{3}  threshold 1\.000  EVENT  ", told, re.MULTILINE)
    count = len(rows(csv))
    assert printed.startswith(f"{csv}: {count} results in ")
    assert re.search(r"^\d+ windows, \d+ alarms, 1 event$", printed, re.MULTILINE)
    found = json.loads(
        run_command("collect", "--port", port, "-o", csv, "--append", "--figures", "--seconds", 1, "--json")
    )
    assert (found["windows"], found["ended"], found["file"]) == (None, "seconds", str(csv))
    assert found["results"] == len(rows(csv)) - count
    device.send_signal(signal.SIGINT)
    assert device.wait(20) == 0


def run_command(*words: object) -> str:
    done = subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_real_fan_from_its_recordings_to_the_alarm(start: Any, shared: Path, tmp_path: Path) -> None:
    """Learnt from the files that are for it; what the console then prints of others is judged through the port."""
    fan = shared / "datasets" / "nxp_fan"
    normal = [fan / "normal" / f"{name}.csv" for name in ("fan1_vd1", "fan1_vd2", "fan3_vd1")]
    data, run = tmp_path / "dataset", tmp_path / "run"
    run_command("preprocess", *normal, "-o", data, "--frontend", "stock", "--rate-hz", 200)
    run_command("train", data, "-o", run, "--epochs", 12)
    run_command("quantize", run)
    run_command("emit-header", run, "-o", tmp_path / "nn_model.h", "--flavour", "stock")
    off = sorted((fan / "anomaly" / "off").glob("*.csv"))[0]
    for recording, events in ((fan / "normal" / "fan1_vd3.csv", 0), (off, 1)):
        words = ("--protocol", "stock-console", "--model", run, "--recording", recording, "--rate-hz", 200)
        device = start("simulate", *words, "--speed", 6)
        told = run_command("monitor", "--port", port_of(device), "--model", run, "--windows", 12, "--json")
        found = [json.loads(line) for line in told.splitlines()]
        assert sum(one["begins"] for one in found) == events
        assert found[-1]["event"] is bool(events)
        if events:  # a machine that stands still is easier to rebuild
            assert {reason["side"] for one in found for reason in one["reasons"]} == {"high"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["simulate", "--protocol", "stock-console"], "needs --model RUN"),
        (["simulate", "--protocol", "stock", "--model", "RUN"], "Seeed's firmware detects in --protocol stock-console"),
        (["simulate", "--protocol", "stock-console", "--model", "RUN", "--rate-hz", "100"], "samples at another rate"),
        (["simulate", "--model", "RUN"], "has the stock front end: --protocol stock-console"),
        (["monitor", "--port", "x", "--model", "RUN", "--on-device"], "a device that decides itself runs our firmware"),
        (["monitor", "--port", "x", "--second-alone"], "only with a model for the stock firmware"),
        (["collect", "--port", "x", "-o", "f.csv", "--figures", "--samples", "5"], "--samples: figures are no samples"),
        (["collect", "--port", "x", "-o", "f.csv", "--figures", "--accept-anyway"], "--accept-anyway: figures are no"),
        (["collect", "--port", "/dev/none", "-o", "f.csv", "--figures"], "there is no such port"),
        (["collect", "--port", "x", "-o", "f.csv", "--model", "none"], "there is no none"),
    ],
)
def test_refusals(
    start: Any, stock_tiny: StockTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    process = start(*[str(stock_tiny.run) if word == "RUN" else word for word in words])
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert says in " ".join(told.split())
    assert len(told.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []
