"""The pretend device: what it says, what its cable does to that, and that its record is the truth."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import serial
from conftest import TINY_MACHINE, Tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.device import pretend as pretend_module
from gyrovae_tf.device.link import Boot, Faults, Line, Link, Record
from gyrovae_tf.device.pretend import Device, Habits, Motion
from gyrovae_tf.device.serve import Incidents, pretend
from gyrovae_tf.device.simulate import Machine, simulate
from gyrovae_tf.device.wire import Banner, Event, Parser, Rebooted, Sample, Status, StockSample, Verdict
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording
from gyrovae_tf.runtime import Detector

COUNTING = Recording(
    np.array([[i % 8000, i // 8000, -i % 8000] for i in range(24_000)], float) * 0.5,
    400.0,
    ((0, 24_000),),
    "c",
    lsb=0.5,
)
"""Samples that tell their own place: x + 8000 y."""


def events(lines: list[Line] | bytes) -> list[Event]:
    content = lines if isinstance(lines, bytes) else b"".join(line.content for line in lines)
    return Parser().feed(b"\n" + content)


# --- what it says


def test_a_boot_is_told_by_the_rom_and_by_a_banner() -> None:
    device = Device(Motion(Machine(rate_hz=400)))
    rebooted, banner = events(device.boot())
    assert rebooted == Rebooted("rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)")
    assert isinstance(banner, Banner)
    assert dataclasses.replace(banner, boot=0, firmware="") == Banner(
        sensor="pretend", rate_hz=400.0, lsb=0.004788403, counts=(-8192, 8191)
    )
    again = events(device.boot())[1]
    assert isinstance(again, Banner)
    assert again.boot != banner.boot


def test_samples_are_those_of_the_simulated_machine() -> None:
    device = Device(Motion(Machine(), fault="imbalance", severity=2.0, seed=7))
    device.boot()
    said = events(device.advance(1.0))
    expected = simulate(seconds=1, fault="imbalance", severity=2.0, seed=7)
    assert [sample[2:] for sample in said] == [
        tuple(row) for row in np.rint(expected.samples / expected.lsb).astype(int).tolist()
    ]
    assert [sample[:2] for sample in said[:3]] == [(0, 1000), (1, 6000), (2, 11000)]
    assert len(said) == 200


def test_a_long_stream_goes_on_where_a_short_simulation_ends() -> None:
    motion, whole = Motion(seed=3), simulate(seconds=200, seed=3)
    piece = np.concatenate([motion(np.arange(start, start + 4000)) for start in range(0, 40_000, 4000)])
    assert np.array_equal(piece, np.rint(whole.samples / whole.lsb))


def test_after_hours_the_machine_runs_backwards_and_forwards_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is simulated has an end; a night before the screen has none, and nothing jumps in it."""
    monkeypatch.setattr(pretend_module, "_MOST_SAMPLES", 20_000)
    motion = Motion(seed=3)
    known = motion(np.arange(24_000))  # twice a minute
    assert np.array_equal(motion(np.arange(24_000, 48_000)), known[::-1])
    assert np.array_equal(motion(np.arange(480_000, 504_000)), known)


def test_a_recording_is_played_again_and_again() -> None:
    motion = Motion(recording=COUNTING)
    assert (motion.rate_hz, motion.lsb, motion.units) == (400.0, 0.5, "m/s^2")
    assert motion(np.array([0, 9000, 23_999, 24_000])).tolist() == [[0, 0, 0], [1000, 1, 7000], [7999, 2, 1], [0, 0, 0]]


def test_after_a_boot_numbers_and_times_begin_again_and_the_machine_does_not() -> None:
    device = Device(Motion(recording=COUNTING))
    device.boot()
    device.advance(1.0)
    device.boot()
    assert events(device.advance(0.004)) == [Sample(0, 1000, 400, 0, 7600), Sample(1, 3500, 401, 0, 7599)]


def test_the_true_rate_shows_in_the_times_alone() -> None:
    device = Device(Motion(recording=COUNTING), habits=Habits(true_rate_hz=100.0))
    assert device.banner.rate_hz == 400.0
    device.boot()
    assert [sample.t_us for sample in events(device.advance(0.031)) if isinstance(sample, Sample)] == [
        1000,
        11000,
        21000,
        31000,
    ]


def test_a_slow_sensor_that_is_polled_fast_repeats_itself() -> None:
    device = Device(Motion(recording=COUNTING), habits=Habits(sensor_hz=100.0))
    device.boot()
    said = [sample.x for sample in events(device.advance(0.03)) if isinstance(sample, Sample)]
    assert said == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]


def test_commands() -> None:
    device = Device(Motion(recording=COUNTING))
    device.boot()
    device.advance(0.01)
    for name in (b"info", b"stream", b" stream \r"):
        (banner,) = events(device.command(name))
        assert isinstance(banner, Banner)
        assert (banner.next, banner.mode) == (device.made, "stream")
    word, banner = events(device.command(b"detect"))
    assert word == Status("error", "there is no detector")
    assert isinstance(banner, Banner)
    assert events(device.command(b"sleep")) == [Status("error", "unknown command: stream, detect, info")]
    word, banner = events(device.command(b"calibrate 10"))
    assert word == Status("error", "a pretend device is not calibrated on site")
    assert isinstance(banner, Banner)
    assert device.command(b"") == []


def test_the_stock_firmware() -> None:
    device = Device(Motion(recording=COUNTING), protocol="stock")
    said = events([*device.boot(), *device.advance(0.012)])
    assert isinstance(said[0], Rebooted)
    assert said[1:] == [
        StockSample(0.0, 0.0, 0.0, 1),
        StockSample(0.5, 0.0, 3999.5, 2),  # 400 Hz in whole milliseconds
        StockSample(1.0, 0.0, 3999.0, 3),
        StockSample(1.5, 0.0, 3998.5, 2),
        StockSample(2.0, 0.0, 3998.0, 3),
    ]
    assert device.command(b"stream") == []


@pytest.mark.slow
def test_with_a_detector_it_gives_the_verdicts_of_the_library(tiny: Tiny) -> None:
    motion = Motion(dataclasses.replace(TINY_MACHINE), fault="imbalance", severity=4.0, seed=5)
    window = tiny.bundle.spec.window
    device = Device(_Counts(motion, tiny), detector=Detector(tiny.bundle), hop=32)
    banner = events(device.boot())[1]
    assert isinstance(banner, Banner)
    assert (banner.mode, banner.model, banner.spec, banner.window, banner.hop) == (
        "detect",
        "compiled",
        tiny.bundle.spec.digest,
        window,
        32,
    )
    said = [e for e in events(device.advance(0.5) + device.advance(3.0)) if isinstance(e, Verdict)]
    assert [verdict.window for verdict in said] == list(range(len(said)))
    assert [verdict.number for verdict in said[:3]] == [63, 95, 127]
    assert said[0].t_us == 1000 + 63 * 5000
    counts = device.motion(np.arange(600))
    windows = np.stack([counts[v.number - window + 1 : v.number + 1] for v in said])
    expected = Detector(tiny.bundle).score_windows(windows).score
    assert [verdict.score for verdict in said] == pytest.approx(expected, abs=5e-4)
    assert all(verdict.alarm == (score >= 1) for verdict, score in zip(said, expected, strict=True))
    assert any(verdict.alarm for verdict in said)
    assert all(0 < len(verdict.reasons) <= 3 for verdict in said)
    device.command(b"stream")
    assert all(isinstance(event, Sample) for event in events(device.advance(3.5)))


class _Counts(Motion):
    """A machine's motion in the counts of a detector."""

    def __init__(self, motion: Motion, tiny: Tiny) -> None:
        self._inner, self._ratio = motion, motion.lsb / tiny.bundle.spec.lsb
        self.rate_hz, self.lsb, self.units, self.counts = 200.0, tiny.bundle.spec.lsb, "m/s^2", (-32768, 32767)

    def __call__(self, at: np.ndarray) -> np.ndarray:
        return np.rint(self._inner(at) * self._ratio).astype(np.int16)


@pytest.mark.slow
def test_a_detector_for_another_sensor_is_not_used(tiny: Tiny) -> None:
    device = Device(Motion(recording=COUNTING), detector=Detector(tiny.bundle))
    banner = events(device.boot())[1]
    assert isinstance(banner, Banner)
    assert banner.mode == "stream"
    word = events(device.command(b"detect"))[0]
    assert isinstance(word, Status)
    assert word.level == "error"
    assert word.text == "the detector is for 200 Hz, the sensor gives 400 Hz"


# --- what the cable does


def carried(faults: Faults, count: int, seed: int = 0, pieces: int = 7) -> tuple[bytes, Record]:
    device = Device(Motion(recording=COUNTING))
    record = Record([Boot(0)])
    link = Link(faults, record, seed)
    said = device.advance(count / 400)
    size = max(1, len(said) // pieces)
    out = [link.carry(said[low : low + size]) for low in range(0, len(said), size)]
    return b"".join([*out, link.settle()]), record


def numbers(stream: bytes) -> list[int]:
    return [sample.number for sample in events(stream) if isinstance(sample, Sample)]


def test_a_good_cable_changes_nothing() -> None:
    stream, record = carried(Faults(), 400)
    assert numbers(stream) == list(range(400))
    assert record == Record([Boot(0)])


def test_dropped_lines() -> None:
    stream, record = carried(Faults(drop=0.1), 400)
    (boot,) = record.boots
    assert numbers(stream) == [n for n in range(400) if n not in boot.dropped]
    assert 20 < len(boot.dropped) < 60
    assert boot.lost == boot.dropped


def test_duplicated_lines() -> None:
    stream, record = carried(Faults(duplicate=0.1), 400)
    duplicated = record.boots[0].duplicated
    assert numbers(stream) == sorted([*range(400), *duplicated])
    assert 20 < len(duplicated) < 60


def test_late_lines_come_after_at_most_eight_others() -> None:
    stream, record = carried(Faults(late=0.1), 400)
    found, late = numbers(stream), record.boots[0].late
    assert sorted(found) == list(range(400))
    assert found != list(range(400))
    for number in late:
        overtook = [other for other in found[: found.index(number)] if other > number and other not in late]
        assert len(overtook) <= 8
    assert [n for n in found if n not in late] == [n for n in range(400) if n not in late]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 50))
def test_corrupted_lines_are_never_samples_and_each_bad_line_is_counted(seed: int, pieces: int) -> None:
    stream, record = carried(Faults(drop=0.05, duplicate=0.05, corrupt=0.2, late=0.1), 200, seed, pieces)
    boot, parser = record.boots[0], Parser()
    found = [sample.number for sample in parser.feed(b"\n" + stream) if isinstance(sample, Sample)]
    assert sorted(found) == sorted([*(set(range(200)) - set(boot.lost)), *boot.duplicated])
    assert parser.counts.skipped == record.bad_lines
    assert parser.feed(b"\n") == []


def test_the_same_seed_damages_the_same_lines() -> None:
    faults = Faults(0.05, 0.05, 0.05, 0.05)
    first, second, other = carried(faults, 400, 1, 3), carried(faults, 400, 1, 3), carried(faults, 400, 2, 3)
    assert first == second
    assert first[0] != other[0]
    assert carried(faults, 400, 1, 11)[1] == first[1]  # however it is cut


@pytest.mark.parametrize("shares", [(-0.1,), (1.1,), (0.6, 0.6), (math.nan,)])
def test_shares_that_cannot_be(shares: tuple[float, ...]) -> None:
    with pytest.raises(GyrovaeError, match="shares of damaged lines"):
        Faults(*shares)


# --- through a port


def opened(port: str) -> serial.SerialBase:
    """A port; what is unplugged is waited for."""
    limit = time.monotonic() + 20
    while True:
        try:
            return serial.serial_for_url(port, 115200, timeout=0.1)
        except serial.SerialException:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def listen(port: str, seconds: float, say: bytes = b"stream\n") -> tuple[list[Event], Parser]:
    """What comes out of a port until it falls silent, ends, or the time is over."""
    parser, found, until = Parser(), [], time.monotonic() + seconds
    with opened(port) as line:
        line.write(say)
        while time.monotonic() < until and select.select([line.fileno()], [], [], 1.0)[0]:
            try:
                chunk = os.read(line.fileno(), 65536)
            except OSError:
                break
            if not chunk:
                break
            found += parser.feed(chunk)
    return found, parser


@pytest.fixture(params=["pty", "tcp"])
def outlet(request: pytest.FixtureRequest) -> tuple[str, int] | None:
    return ("127.0.0.1", 0) if request.param == "tcp" else None


def test_as_fast_as_it_is_read(outlet: tuple[str, int] | None) -> None:
    faults = Faults(0.01, 0.01, 0.01, 0.01)
    with pretend(Device(Motion(recording=COUNTING)), tcp=outlet, faults=faults, speed=math.inf, seconds=60) as it:
        found, parser = listen(it.port, 30)
        it.thread.join(10)
    boot = it.record.boots[0]
    samples = [event.number for event in found if isinstance(event, Sample)]
    assert boot.samples == 24_000
    assert (boot.unsent, boot.overrun) == ([], [])
    assert sorted(samples) == sorted([*(set(range(24_000)) - set(boot.lost)), *boot.duplicated])
    assert parser.counts.skipped <= it.record.bad_lines + 5  # the boot's text, a half line at the beginning
    assert len(boot.lost) > 300


def test_in_real_time(outlet: tuple[str, int] | None) -> None:
    with pretend(Device(Motion(recording=COUNTING)), tcp=outlet) as it:
        began = time.monotonic()
        found, _ = listen(it.port, 1.5)
        took = time.monotonic() - began
        time.sleep(0.3)
    samples = [event.number for event in found if isinstance(event, Sample)]
    assert samples == list(range(samples[0], samples[0] + len(samples)))
    assert 0.5 * took * 400 < len(samples) < 1.5 * took * 400
    made = it.record.boots[0].samples
    assert it.record.boots[0].unsent[-1][1] == made - 1  # nobody listened at the end


def test_what_a_listener_does_not_read_in_time_is_lost_and_on_record(outlet: tuple[str, int] | None) -> None:
    device = Device(Motion(recording=dataclasses.replace(COUNTING, rate_hz=20_000.0)))
    with (
        pretend(device, tcp=outlet, speed=10) as it,
        serial.serial_for_url(it.port, timeout=0.1) as line,
    ):
        until = time.monotonic() + 20
        while not it.record.boots[0].overrun and time.monotonic() < until:
            time.sleep(0.1)
        assert line.read(100)
    assert it.record.boots[0].overrun


def test_a_reboot(outlet: tuple[str, int] | None) -> None:
    incidents = Incidents(reboot_after_s=1.0)
    device = Device(Motion(recording=COUNTING))
    with pretend(device, tcp=outlet, incidents=incidents, speed=math.inf, seconds=2.5) as it:
        found, _ = listen(it.port, 10)
    assert [boot.samples for boot in it.record.boots] == [400, 600]
    samples = [event.number for event in found if isinstance(event, Sample)]
    assert samples == [*range(400), *range(600)]
    before = next(i for i, event in enumerate(found) if isinstance(event, Sample))
    told = [type(event) for event in found[before:] if not isinstance(event, Sample)]
    assert told == [Rebooted, Banner]
    assert len({boot.boot for boot in it.record.boots}) == 2


def test_unplugged_and_plugged_in_again(outlet: tuple[str, int] | None) -> None:
    incidents = Incidents(unplug_after_s=1.0, unplugged_s=0.2)
    device = Device(Motion(recording=COUNTING))
    with pretend(device, tcp=outlet, incidents=incidents, speed=math.inf, seconds=2.0) as it:
        first, _ = listen(it.port, 10)
        second, _ = listen(it.port, 10)
    assert it.record.unplugged == 1
    assert [boot.samples for boot in it.record.boots] == [400, 400]
    for found in (first, second):
        assert [event.number for event in found if isinstance(event, Sample)] == list(range(400))


# --- the command


@pytest.fixture
def start(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Start `simulate` with these words."""
    return functools.partial(start, "simulate")


def test_a_record_takes_no_recordings_place(start, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("x,y,z\n1,2,3\n")
    for record, words in (("mine.csv", "is there already, and is no record"), (".", "is a folder")):
        process = start("--record", tmp_path / record, "--seconds", 1)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert words in err
    assert (tmp_path / "mine.csv").read_text() == "x,y,z\n1,2,3\n"


def test_started_again_with_the_same_seed_it_is_the_same_machine_after_another_boot(start, tmp_path: Path) -> None:
    motion, boots = Motion(seed=3), []
    for number in range(2):
        process = start("--record", tmp_path / f"{number}.json", "--seed", 3)
        found, _ = listen(process.stdout.readline().strip(), 1.0)
        samples = [event for event in found if isinstance(event, Sample)]
        assert samples
        expected = motion(np.array([sample.number for sample in samples])).tolist()
        assert [[sample.x, sample.y, sample.z] for sample in samples] == expected
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        boots.append(json.loads((tmp_path / f"{number}.json").read_text())["boots"][0]["boot"])
    assert boots[0] != boots[1]


@pytest.mark.parametrize("option", ["--reboot-after", "--seconds", "--drop"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_what_is_no_number(start, option: str, number: str) -> None:
    process = start(option, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "is not" in err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_line_names_the_port_and_a_signal_ends_it(start, tmp_path: Path, kind: signal.Signals) -> None:
    process = start("--record", tmp_path / "r.json", "--drop", 0.1)
    port = process.stdout.readline().strip()
    assert Path(port).exists()
    found, _ = listen(port, 1.0)
    process.send_signal(kind)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    record = json.loads((tmp_path / "r.json").read_text())
    samples = [event.number for event in found if isinstance(event, Sample)]
    missing = set(range(samples[0], samples[-1] + 1)) - set(samples)
    assert missing
    assert missing == {n for n in record["boots"][0]["dropped"] if samples[0] < n < samples[-1]}


def test_over_tcp_with_json(start) -> None:
    process = start("--tcp", 0, "--seconds", 2, "--speed", "max", "--json", "--rate-hz", 100)
    port = process.stderr.readline().strip()
    assert port.startswith("socket://127.0.0.1:")
    found, _ = listen(port, 20)
    out, _ = process.communicate(timeout=20)
    told = json.loads(out)
    assert told["port"] == port
    assert told["boots"][0]["samples"] == 200
    assert len([event for event in found if isinstance(event, Sample)]) == 200


def test_a_link_names_the_pty(start, tmp_path: Path) -> None:
    process = start("--link", tmp_path / "port", "--protocol", "stock")
    assert process.stdout.readline().strip() == str(tmp_path / "port")
    found, parser = listen(str(tmp_path / "port"), 1.0)
    assert parser.protocol == "stock"
    assert len(found) > 20
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not (tmp_path / "port").is_symlink()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fault", "gremlins"], "unknown fault; expected one of imbalance, "),
        (["--tcp", "nowhere"], "'nowhere' is no HOST:PORT"),
        (["--tcp", "127.0.0.1:99999"], "is no HOST:PORT"),
        (["--speed", "0"], "'0' is neither a number above 0 nor max"),
        (["--unplug-after", "1:2:3"], "'1:2:3' is neither seconds nor SECONDS:SECONDS"),
        (["--recording", "none.csv"], "cannot read none.csv: no such file"),
        (["--recording", "none.csv", "--fault", "off"], "--fault is for the simulated machine"),
        (["--drop", "0.9", "--late", "0.9"], "shares of damaged lines"),
        (["--rate-hz", "5"], "rate_hz"),
        (["--link", "/"], "/ exists"),
    ],
)
def test_refusals(start, words: list[str], says: str) -> None:
    process = start(*words)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert says in " ".join(err.split())
    assert len(err.splitlines()) <= 2
