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


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """With and without a detector compiled in."""
    made = {}
    script = emulated_device.made_up()
    for compiled in (False, True):
        folder = sdkconfig(tmp_path_factory.mktemp("boot"), "CONFIG_GYROVAE_LONGEST_WINDOW=64\n", USB)
        if compiled:
            emit_header(script.bundle, folder / "nn_model.h", golden=True)
        sources = [STUBS / "boot.cpp", *(MAIN / f"{name}.cpp" for name in ("app_main", "detectors", "storage"))]
        include = [option for path in (folder, *INCLUDE) for option in ("-I", path)]
        objects = firmware.compiled("g++", firmware.SANITIZED, folder)
        command = [firmware.tool("g++"), "-std=c++17", *firmware.SANITIZED, *include, *sources, *objects]
        made[compiled] = folder / "boot"
        firmware.checked([*command, "-o", made[compiled]], folder)
    return made


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
    assert said.words[-1] == "#E the detector was made for another sample rate than the sensor's"
    assert said.banners[0]["mode"] == "stream"
