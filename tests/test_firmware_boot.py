"""Boots of the ESP32's app on a pretended flash, NVS and sensor: which detector it takes, and what outlives a boot."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import emulated_device
import numpy as np
import portable_firmware as firmware
import pytest
from esp_firmware import INCLUDE, MAIN, STUBS, USB, sdkconfig

from gyrovae_tf.cgen import emit_header
from gyrovae_tf.device import wire
from gyrovae_tf.flash import SIZE, image
from gyrovae_tf.signal.score import vote
from gyrovae_tf.spec import LSB_TOLERANCE, RATE_TOLERANCE

WINDOW = emulated_device.WINDOW


@dataclass
class Board:
    """A device without power, and what is in its flash."""

    folder: Path
    program: Path
    script: emulated_device.Script

    def flash(self, image: bytes | None) -> None:
        """Into the partition; the rest of it is erased."""
        (self.folder / "flash.bin").write_bytes(b"" if image is None else image + b"\xff" * (SIZE - len(image)))

    def normal(self) -> list[int]:
        """Windows that are no alarms."""
        return [int(i) for i in np.flatnonzero(self.script.scores < 1)]

    def boot(self, *commands: str, windows: int = 0, ends: int = 0, play: list[int] | None = None, **more: str) -> Said:
        """What it says from a boot on, while the sensor gives so many windows; `ends`: 3 is a crash."""
        (self.folder / "commands.txt").write_text("".join(f"{command}\n" for command in commands))
        spec = self.script.bundle.spec
        facts = {"rate_hz": spec.rate_hz, "lsb": repr(spec.lsb), "window": WINDOW, "windows": windows, **more}
        order = play if play is not None else range(len(self.script.windows))
        words = [f"{name}={value}" for name, value in facts.items()] + ["play=" + ",".join(map(str, order))]
        done = subprocess.run([self.program, *words], cwd=self.folder, capture_output=True, timeout=60)
        assert done.returncode == ends, done.stderr.decode()[-2000:]
        return Said(done.stdout)


class Said:
    """Lines of the device, all of which have to be whole."""

    def __init__(self, sent: bytes) -> None:
        self.lines = []
        for line in sent.decode("ascii").splitlines():
            text, crc = line[:-5], line[-4:]
            assert f"{wire.crc(text.encode()):04X}" == crc, line
            self.lines.append(text)
        self.words = [line for line in self.lines if line.startswith("#")]
        self.banners = [json.loads(line) for line in self.lines if line.startswith("{")]
        self.verdicts = [line.split() for line in self.lines if line.startswith("V")]


def built(folder: Path, script: emulated_device.Script | None = None, settings: str = "") -> Path:
    """The program, with the script's detector compiled in, if there is one."""
    folder = sdkconfig(folder, f"CONFIG_GYROVAE_LONGEST_WINDOW=64\n{settings}", USB)
    if script is not None:
        emit_header(script.bundle, folder / "nn_model.h", golden=True)
    sources = [STUBS / "boot.cpp", *(MAIN / f"{name}.cpp" for name in ("app_main", "detectors", "storage"))]
    include = [option for path in (folder, *INCLUDE) for option in ("-I", path)]
    objects = firmware.compiled("g++", firmware.SANITIZED, folder)
    command = [firmware.tool("g++"), "-std=c++17", *firmware.SANITIZED, *include, *sources, *objects]
    firmware.checked([*command, "-o", folder / "boot"], folder)
    return folder / "boot"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """With and without a detector compiled in."""
    script = emulated_device.made_up()
    return {bool(one): built(tmp_path_factory.mktemp("boot"), one) for one in (None, script)}


@pytest.fixture(scope="module")
def script() -> emulated_device.Script:
    return emulated_device.made_up()


@pytest.fixture(params=[False, True], ids=["nothing compiled in", "compiled in"])
def board(
    request: pytest.FixtureRequest, tmp_path: Path, programs: dict[bool, Path], script: emulated_device.Script
) -> Board:
    script.write(tmp_path)
    made = Board(tmp_path, programs[request.param], script)
    made.flash(b"")
    return made


def compiled_in(board: Board, programs: dict[bool, Path]) -> bool:
    return board.program == programs[True]


def fallback(board: Board, programs: dict[bool, Path]) -> str:
    """The model that a device takes when that of the partition is of no use."""
    return "compiled" if compiled_in(board, programs) else "none"


def test_the_partitions_detector_comes_first_and_detects(board: Board) -> None:
    board.flash(image(board.script.bundle))
    said = board.boot(windows=len(board.script.windows))
    assert said.words == ["#I golden windows passed: 3", "#I arena bytes used: 13584"]
    assert [(b["model"], b["mode"], b["spec"], b["boot"]) for b in said.banners] == [
        ("partition", "detect", board.script.bundle.spec.digest, 77)
    ]
    assert len(said.verdicts) == len(board.script.windows)
    for verdict, score in zip(said.verdicts, board.script.scores, strict=True):
        assert float(verdict[4]) == pytest.approx(min(score, 9999999), rel=2e-4, abs=6e-4)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("erased", "there is no detector's image"),
        ("none", "the flash has no partition `detector`"),
        ("bit", "the image is damaged (CRC-32)"),
        ("longer window", "the window is longer than this firmware has room for"),
        ("other golden score", "self-test: the score is another than on the PC"),
        ("refused", "the model is damaged"),
    ],
)
def test_a_partition_that_is_of_no_use_is_said_and_passed_over(
    board: Board, programs: dict[bool, Path], damage: str, why: str
) -> None:
    good = image(board.script.bundle)
    golden = board.script.bundle.golden
    assert golden is not None
    if damage == "bit":
        board.flash(good[:5000] + bytes([good[5000] ^ 4]) + good[5001:])
    elif damage == "none":
        board.flash(None)
    elif damage == "longer window":
        board.flash(image(firmware.case(firmware.fitted(128), firmware.random_windows(20, 128, 1)).bundle))
    elif damage == "other golden score":
        other = dataclasses.replace(golden, scores=golden.scores * 1.1)
        board.flash(image(dataclasses.replace(board.script.bundle, golden=other)))
    elif damage == "refused":
        board.flash(good)
    said = board.boot(windows=1, refuse="partition" if damage == "refused" else "")
    assert said.words[:2] == ["#W the detector in the partition is not used, because:", f"#W {why}"]
    model = fallback(board, programs)
    assert said.banners[0]["model"] == model
    assert said.banners[0]["mode"] == ("stream" if model == "none" else "detect")
    samples = [line for line in said.lines if line[0].isdigit()]
    assert len(samples) == (WINDOW if model == "none" else 0)
    if model == "none":
        assert said.words[2:] == ["#W no detector is compiled in: the device only streams"]
        assert samples[0].split()[2:] == [str(v) for v in board.script.windows[0, 0]]


def test_a_threshold_of_the_site_outlives_a_boot_for_its_detector_only(board: Board) -> None:
    bundle = board.script.bundle
    board.flash(image(bundle))
    windows = 60 * 200 // WINDOW
    said = board.boot("calibrate 1", windows=windows + 2, play=board.normal())
    threshold, count = said.banners[-1]["threshold"], said.banners[-1]["site_windows"]
    assert count == windows
    assert threshold != 1
    again = board.boot()
    assert (again.banners[0]["threshold"], again.banners[0]["site_windows"]) == (threshold, count)
    board.flash(image(dataclasses.replace(bundle, model=bundle.model + bytes(16))))
    assert board.boot().banners[0]["site_windows"] == 0
    board.flash(image(bundle))
    assert board.boot("forget", windows=1).banners[-1]["threshold"] == 1
    assert board.boot().banners[0]["site_windows"] == 0
    assert not (board.folder / "nvs.bin").exists()


def test_what_was_kept_and_is_damaged_is_not_used(board: Board) -> None:
    board.flash(image(board.script.bundle))
    board.boot("calibrate 1", windows=60 * 200 // WINDOW + 2, play=board.normal())
    kept = (board.folder / "nvs.bin").read_bytes()
    assert board.boot().banners[0]["site_windows"] > 0
    for wrong in (
        kept[:-1],
        b"\x02" + kept[1:],
        kept[:16] + b"\x00\x00\xc0\x7f" + kept[20:],
        b"",
    ):  # NaN for a threshold
        (board.folder / "nvs.bin").write_bytes(wrong)
        assert (board.boot().banners[0]["site_windows"], board.boot().banners[0]["threshold"]) == (0, 1)


def test_a_threshold_that_cannot_be_kept_is_said(board: Board) -> None:
    board.flash(image(board.script.bundle))
    said = board.boot("calibrate 1", windows=60 * 200 // WINDOW + 2, play=board.normal(), nvs="full")
    assert "#E the threshold of this site cannot be kept over a boot" in said.words
    assert said.banners[-1]["site_windows"] > 0  # but it is used


def test_a_detector_that_crashes_the_device_is_not_tried_again(board: Board, programs: dict[bool, Path]) -> None:
    board.flash(image(board.script.bundle))
    assert board.boot(ends=3, crash="partition").banners == []
    said = board.boot(crash="partition", reset="panic")
    assert said.words[1] == "#W the device crashed when it was tried: switch it off and on to try again"
    assert said.banners[0]["model"] == fallback(board, programs)
    assert board.boot(reset="panic").banners[0]["model"] == fallback(board, programs)  # as long as there is power
    assert board.boot().banners[0]["model"] == "partition"


def test_two_detectors_that_crash_the_device_leave_one_that_streams(
    tmp_path: Path, programs: dict[bool, Path], script: emulated_device.Script
) -> None:
    script.write(tmp_path)
    board = Board(tmp_path, programs[True], script)
    board.flash(image(script.bundle))
    board.boot(ends=3, crash="partition,compiled")
    board.boot(ends=3, crash="partition,compiled", reset="panic")
    said = board.boot(crash="partition,compiled", reset="panic", windows=1)
    assert said.banners[0]["model"] == "none"
    assert len([line for line in said.lines if line[0].isdigit()]) == WINDOW


def test_another_sensor_than_the_detectors_streams_and_says_why(board: Board) -> None:
    board.flash(image(board.script.bundle))
    said = board.boot(rate_hz="104")
    problem = "#E the detector was made for another sample rate than the sensor's: 200.000 Hz, and it gives 104.000 Hz"
    assert said.words[-1] == problem
    assert said.banners[0]["mode"] == "stream"
    said = board.boot(lsb="0.0012")
    problem = "another range or type of sensor: a count of 0.001000000, and it gives one of 0.001200000"
    assert said.words[-1] == f"#E the detector was made for {problem}"
    assert said.banners[0]["mode"] == "stream"


@pytest.mark.parametrize(("name", "tolerance"), [("rate_hz", RATE_TOLERANCE), ("lsb", LSB_TOLERANCE)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sensor_may_be_off_its_detector_by_the_tolerance(
    board: Board, name: str, tolerance: float, sign: int
) -> None:
    board.flash(image(board.script.bundle))
    value = getattr(board.script.bundle.spec, name)
    for share, mode in ((0.99, "detect"), (1.01, "stream")):
        said = board.boot(**{name: repr(value * (1 + sign * share * tolerance))})
        assert said.banners[0]["mode"] == mode


def test_the_vote_goes_on_where_samples_are_missing(board: Board) -> None:
    """Windows begin anew; a sensor that loses a sample now and then silences nothing."""
    board.flash(image(board.script.bundle))
    alarm, normal = int(np.argmax(board.script.scores)), board.normal()[0]
    play, gap = [alarm, alarm, alarm, normal, alarm, normal], 2
    alarms = board.script.scores[play] >= 1
    needed = board.script.bundle.calibration.vote_alarms, board.script.bundle.calibration.vote_windows
    said = board.boot(windows=len(play), play=play, gap=str(gap))
    assert [int(v[2]) for v in said.verdicts] == [63, 127, *(128 + 7 + 64 * i + 63 for i in range(len(play) - gap))]
    assert ["A" in v[6] for v in said.verdicts] == alarms.tolist()
    assert ["E" in v[6] for v in said.verdicts] == vote(alarms, *needed).tolist()
    assert any(vote(alarms, *needed)[gap : gap + needed[0] - 1]), "an event over the gap"


def test_a_calibration_that_is_too_short_is_refused_at_once(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, script: emulated_device.Script
) -> None:
    """A window every five seconds: thirty take two and a half minutes."""
    script.write(tmp_path)
    folder = tmp_path_factory.mktemp("slow")
    board = Board(tmp_path, built(folder, script, "CONFIG_GYROVAE_HOP=1000\n"), script)
    said = board.boot("calibrate 2", windows=3)
    assert said.words[-1] == "#E too few windows: at least 30 are needed, calibrate for minutes: 3"
    assert not any("calibration on site" in word for word in said.words)
    said = board.boot("calibrate 3", windows=3)
    assert said.words[-1].endswith("as it normally does; windows 36")


def test_before_there_is_a_sensor_a_command_is_answered_by_a_word(board: Board) -> None:
    board.flash(image(board.script.bundle))
    for command in wire.COMMANDS:
        said = board.boot(late="3", early="calibrate 5" if command == "calibrate" else command)
        assert said.lines[0] == "#W the sensor is not open yet, and no command is followed before"
        assert [(b["sensor"], b["mode"]) for b in said.banners] == [("script", "detect")]
        assert "#W the sensor is not open yet, and no command is followed before" not in said.lines[1:]


def test_the_driver_of_i2c_is_silent_before_a_sensor_is_looked_for(board: Board) -> None:
    board.boot()
    assert (board.folder / "steps.txt").read_text().splitlines() == ["i2c.master 0", "sampling", "* 0"]
