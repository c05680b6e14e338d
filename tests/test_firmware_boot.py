"""Boots of the ESP32's app on a pretended flash, NVS and sensor: which detector it takes, and what outlives a boot."""

from __future__ import annotations

import dataclasses
import json
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import emulated_device
import numpy as np
import portable_firmware as firmware
import pytest
from esp_firmware import INCLUDE, MAIN, STUBS, USB, sdkconfig

from gyrovae_tf.cgen import emit_header
from gyrovae_tf.device import wire
from gyrovae_tf.device.monitor import PAUSE_S, PAUSE_WINDOWS
from gyrovae_tf.flash import SIZE, image
from gyrovae_tf.signal.score import vote
from gyrovae_tf.spec import LSB_TOLERANCE, RATE_TOLERANCE

WINDOW = emulated_device.WINDOW
SLOW_HOP = 15 * WINDOW


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


def built(
    folder: Path, script: emulated_device.Script | None = None, settings: str = "", *, golden: bool = True
) -> Path:
    """The program, with the script's detector compiled in, if there is one."""
    folder = sdkconfig(folder, f"CONFIG_GYROVAE_LONGEST_WINDOW=64\n{settings}", USB)
    if script is not None:
        emit_header(script.bundle, folder / "nn_model.h", golden=golden)
    sources = [STUBS / "boot.cpp", *(MAIN / f"{name}.cpp" for name in ("app_main", "detectors", "storage"))]
    component = folder.parent / "boot-component"  # the same with all settings
    component.mkdir(exist_ok=True)
    objects = firmware.compiled("g++", firmware.SANITIZED, component)
    return firmware.sanitized(folder / "boot", *sources, *objects, include=(folder, *INCLUDE))


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


NUMBERS = ("spec", "window", "shift", "alarms", "windows", "taps", "model", "arena", "golden", "bands", "groups")
"""Whole numbers of an image from its 64th byte on; among them the regimes of the first two views."""


@pytest.mark.parametrize(
    ("place", "form", "values", "why"),
    [
        (8, "I", (0, 1, 3), "the image is of another version"),
        (12, "I", (0, 63, 1 << 20, 1 << 31), "the image is not whole"),
        (16, "I", (0,), "the image is damaged (CRC-32)"),
        ("window", "i", (0, 31, 96, -64), "the window is longer than this firmware has room for"),
        ("taps", "i", (0, -1, 65537), "the image's wavelets are not usable"),
        ("model", "i", (15, 0, -1), "the image's model is not usable"),
        ("model", "i", (1 << 20, 2**31 - 1), "the image is too short"),
        ("arena", "i", (-1,), "the image's model is not usable"),
        ("golden", "i", (-1, 33), "the image's golden windows are not usable"),
        ("golden", "i", (32,), "the image is too short"),
        ("bands", "i", (-1, 65), "a view has a wrong number of regimes"),
        ("groups", "i", (-1, 65), "a view has a wrong number of regimes"),
        (180, "f", (0.0, -3.0, 100.0, float("nan")), "the image's reach is not usable"),
    ],
)
def test_an_image_with_a_wrong_number_is_refused_by_its_name(
    tmp_path: Path,
    programs: dict[bool, Path],
    script: emulated_device.Script,
    place: int | str,
    form: str,
    values: tuple[float, ...],
    why: str,
) -> None:
    """Also where its CRC is right."""
    script.write(tmp_path)
    board = Board(tmp_path, programs[False], script)
    for value in values:
        made = bytearray(image(script.bundle))
        struct.pack_into(f"<{form}", made, place if isinstance(place, int) else 64 + 4 * NUMBERS.index(place), value)
        if place not in (12, 16):
            struct.pack_into("<I", made, 16, zlib.crc32(made[20:]))
        board.flash(bytes(made))
        assert board.boot().words[1] == f"#W {why}", value


@pytest.mark.parametrize(
    ("step", "share", "model"),
    [
        *((step, 1.0, "partition") for step in (0, 2, -2)),
        *((step, 1.0, "") for step in (3, -3)),
        *((0, share, "partition") for share in (1.009, 0.991)),
        *((0, share, "") for share in (1.011, 0.989)),
    ],
)
def test_kernels_may_round_otherwise_than_the_pcs(
    board: Board, programs: dict[bool, Path], step: int, share: float, model: str
) -> None:
    """By two steps of an output, and by a hundredth of a score: here in the last golden window."""
    golden = board.script.bundle.golden
    assert golden is not None
    outputs, scores = golden.outputs.copy(), golden.scores.copy()
    assert outputs[2, 0, 31, 31, 2] == 0
    outputs[2, 0, 31, 31, 2] = step
    scores[2] *= share
    golden = dataclasses.replace(golden, outputs=outputs, scores=scores)
    board.flash(image(dataclasses.replace(board.script.bundle, golden=golden)))
    assert board.boot().banners[0]["model"] == (model or fallback(board, programs))


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


@pytest.mark.parametrize("reset", ["panic", "int_wdt", "task_wdt", "wdt"])
def test_a_detector_that_crashes_the_device_is_not_tried_again(
    board: Board, programs: dict[bool, Path], reset: str
) -> None:
    board.flash(image(board.script.bundle))
    assert board.boot(ends=3, crash="partition").banners == []
    said = board.boot(crash="partition", reset=reset)
    assert said.words[1] == "#W the device crashed when it was tried: switch it off and on to try again"
    assert said.banners[0]["model"] == fallback(board, programs)
    assert board.boot(reset=reset).banners[0]["model"] == fallback(board, programs)  # as long as there is power
    assert board.boot().banners[0]["model"] == "partition"


def test_a_detector_without_golden_windows_is_tried_as_well(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, script: emulated_device.Script
) -> None:
    """It would crash at its first window else, and after each boot again."""
    script.write(tmp_path)
    board = Board(tmp_path, built(tmp_path_factory.mktemp("plain"), script, golden=False), script)
    assert board.boot(windows=1).words[-2] == "#I golden windows passed: 0"
    board.flash(image(dataclasses.replace(script.bundle, golden=None)))
    assert len(board.boot(windows=1).verdicts) == 1
    for _ in ("partition", "compiled"):
        assert board.boot(ends=3, crash="partition,compiled", reset="panic").banners == []
    said = board.boot(crash="partition,compiled", reset="panic", windows=1)
    assert said.banners[0]["model"] == "none"
    assert len([line for line in said.lines if line[0].isdigit()]) == WINDOW


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
    said = board.boot("calibrate 5", rate_hz="104")  # the answer is a banner all the same
    assert said.words[-2:] == [problem, problem]
    assert [b["mode"] for b in said.banners] == ["stream", "stream"]
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


def test_a_window_has_no_gap_and_is_of_one_mode(board: Board) -> None:
    """What there was of the third half is thrown away: by samples that are missing, and by a mode that begins."""
    board.flash(image(board.script.bundle))
    halves = {"window": "32", "windows": 5, "play": [0, 1, 2, 4, 5]}  # windows 0 and 2, and half of 1 between them
    for cut, last in (({"gap": "3"}, 96 + 7 + 63), ({"later": "detect", "later_after": "3"}, 96 + 63)):
        said = board.boot(**halves, **cut)
        assert [int(v[2]) for v in said.verdicts] == [63, last]
        told = [min(score, 9999999) for score in board.script.scores[[0, 2]]]
        assert [float(v[4]) for v in said.verdicts] == pytest.approx(told, rel=2e-4, abs=6e-4)


def test_a_window_whose_model_fails_has_no_verdict(board: Board) -> None:
    board.flash(image(board.script.bundle))
    said = board.boot(window="32", windows=4, play=[1, 2, 4, 5])  # the script has no window of these halves
    assert [line.split(" ")[:3] for line in said.lines if line[0] == "V"] == [["V", "0", "127"]]
    assert said.words[-1] == "#E the window is none of the script"


def test_a_mode_that_begins_anew_begins_the_vote_anew(board: Board) -> None:
    """Three alarms of five windows are an event; after two there is another `detect`."""
    board.flash(image(board.script.bundle))
    alarm = int(np.argmax(board.script.scores))
    said = board.boot(windows=5, play=[alarm], later="detect", later_after="2")
    assert ["A" in v[6] for v in said.verdicts] == [True, True, True, True, True]
    assert ["E" in v[6] for v in said.verdicts] == [False, False, False, False, True]


def test_a_score_that_just_reaches_the_threshold_is_an_alarm(board: Board) -> None:
    """Each view adds a million at the most, and here each does: on the average as much as the threshold."""
    bundle, golden = board.script.bundle, board.script.bundle.golden
    assert golden is not None
    tiny = float(np.float32(1e-30))
    views = {name: dataclasses.replace(view, center=tiny) for name, view in bundle.calibration.views.items()}
    calibration = dataclasses.replace(bundle.calibration, **views, threshold=1e6)
    golden = dataclasses.replace(golden, scores=np.ones(3))
    board.flash(image(dataclasses.replace(bundle, calibration=calibration, golden=golden)))
    said = board.boot(windows=3)
    assert said.banners[0]["model"] == "partition"
    assert [v[4:7] for v in said.verdicts] == [
        ["1.000", "1.000", "A"],
        ["1.000", "1.000", "A"],
        ["1.000", "1.000", "AE"],
    ]


@pytest.mark.parametrize(("beyond", "votes"), [(0, True), (1, False)])
def test_a_pause_that_ends_an_event_on_the_pc_ends_the_vote(board: Board, beyond: int, votes: bool) -> None:
    """As much as a minute, of windows of a third of a second."""
    board.flash(image(board.script.bundle))
    alarm = int(np.argmax(board.script.scores))
    needed = board.script.bundle.calibration.vote_alarms
    rate_hz = board.script.bundle.spec.rate_hz
    assert PAUSE_S * rate_hz > PAUSE_WINDOWS * WINDOW
    missing = int(PAUSE_S * rate_hz) - WINDOW + beyond  # from one verdict to the next there is a window as well
    said = board.boot(windows=needed, play=[alarm], gap=str(needed - 1), missing=str(missing))
    assert ["A" in v[6] for v in said.verdicts] == needed * [True]
    assert ["E" in v[6] for v in said.verdicts] == [*(needed - 1) * [False], votes]


@pytest.mark.parametrize(("beyond", "votes"), [(0, True), (1, False)])
def test_a_pause_is_so_many_windows_where_these_are_longer(slow: Board, beyond: int, votes: bool) -> None:
    script = emulated_device.made_up(rate_hz=100)
    script.write(slow.folder)
    board = Board(slow.folder, slow.program, script)
    board.flash(image(script.bundle))
    alarm, needed = int(np.argmax(script.scores)), script.bundle.calibration.vote_alarms
    pause = PAUSE_WINDOWS * SLOW_HOP
    assert pause > PAUSE_S * script.bundle.spec.rate_hz
    gap, missing = (needed - 1) * SLOW_HOP // WINDOW, pause - SLOW_HOP + beyond
    said = board.boot(windows=gap + 1, play=[alarm], gap=str(gap), missing=str(missing))
    assert ["E" in v[6] for v in said.verdicts] == [*(needed - 1) * [False], votes]


@pytest.mark.parametrize("hop", [32, 16])
def test_windows_that_share_samples_vote_apart(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, script: emulated_device.Script, hop: int
) -> None:
    rule, stride = (script.bundle.calibration.vote_alarms, script.bundle.calibration.vote_windows), WINDOW // hop
    folder, play = tmp_path_factory.mktemp("overlapping"), [*range(len(script.windows))] * 2
    samples = script.windows[play].reshape(-1, 3)
    windows = np.stack([samples[i : i + WINDOW] for i in range(0, len(samples) - WINDOW + 1, hop)])
    # What the model makes of those that are none of the script's is chance as well.
    known = {window.tobytes(): output for window, output in zip(script.windows, script.outputs, strict=True)}
    outputs = np.stack([known.get(one.tobytes(), script.outputs[i % 7]) for i, one in enumerate(windows)])
    both = dataclasses.replace(
        script,
        windows=np.concatenate([script.windows, windows]),
        outputs=np.concatenate([script.outputs, outputs]),
    )
    both.write(tmp_path)
    board = Board(tmp_path, built(folder, script, f"CONFIG_GYROVAE_HOP={hop}\n"), both)
    alarms = firmware.Case(script.bundle, windows, outputs[:, 1]).scores().score >= 1
    said = board.boot(windows=len(play), play=play)
    assert ["A" in v[6] for v in said.verdicts] == alarms.tolist()
    assert ["E" in v[6] for v in said.verdicts] == firmware.held(alarms, *rule, stride)
    assert firmware.held(alarms, *rule, stride) != firmware.held(alarms, *rule, 1)
    # A minute is 187 windows that share no samples; of others each `stride`th counts, from the first on.
    told = board.boot("calibrate 1", windows=20, play=play).lines
    before = told[: told.index("#I calibration on site: 16 of 187 windows")]
    assert len([line for line in before if line[0] == "V"]) == 15 * stride + 1


def test_a_hop_that_is_too_short_for_the_vote_is_said(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, script: emulated_device.Script
) -> None:
    script.write(tmp_path)
    for hop, mode in ((3, "stream"), (4, "detect")):
        folder = tmp_path_factory.mktemp(f"hop-{hop}")
        board = Board(tmp_path, built(folder, script, f"CONFIG_GYROVAE_HOP={hop}\n"), script)
        said = board.boot("detect")
        assert [b["mode"] for b in said.banners] == [mode, mode]
        remedy = "set GYROVAE_HOP to 4 at least, or to 0 for a whole window; it is 3"
        problem = f"#E windows share too many samples for the vote: {remedy}"
        assert said.words.count(problem) == (2 if mode == "stream" else 0)
    said = board.boot("calibrate 1")
    assert said.words[-1].endswith("windows 187"), "of a minute at 200 Hz so many share no samples"


def test_forget_begins_the_vote_anew(board: Board) -> None:
    """The alarms so far were those of another threshold."""
    board.flash(image(board.script.bundle))
    alarm = int(np.argmax(board.script.scores))
    needed, windows = board.script.bundle.calibration.vote_alarms, board.script.bundle.calibration.vote_windows
    for words, before in (({}, 0), ({"later": "forget", "later_after": str(needed - 1)}, needed - 1)):
        said = board.boot(windows=windows, play=[alarm], **words)
        assert ["A" in v[6] for v in said.verdicts] == windows * [True]
        assert ["E" in v[6] for v in said.verdicts] == [i + 1 >= before + needed for i in range(windows)]


@pytest.fixture(scope="module")
def slow_program(tmp_path_factory: pytest.TempPathFactory, script: emulated_device.Script) -> Path:
    return built(tmp_path_factory.mktemp("slow"), script, f"CONFIG_GYROVAE_HOP={SLOW_HOP}\n")


@pytest.fixture
def slow(tmp_path: Path, slow_program: Path, script: emulated_device.Script) -> Board:
    """A window every five seconds, of the script's: thirty take two and a half minutes."""
    script.write(tmp_path)
    return Board(tmp_path, slow_program, script)


def test_a_calibration_that_is_too_short_is_refused_at_once(slow: Board) -> None:
    said = slow.boot("calibrate 2", windows=3)
    assert said.words[-1] == "#E too few windows: at least 30 are needed, calibrate for minutes: 3"
    assert not any("calibration on site" in word for word in said.words)
    said = slow.boot("calibrate 3", windows=3)
    assert said.words[-1].endswith("as it normally does; windows 37")


def test_thirty_windows_are_enough(slow: Board) -> None:
    """Of 960 samples at 160 Hz, which is 6 s: three minutes."""
    script = emulated_device.made_up(rate_hz=160)
    script.write(slow.folder)
    board = Board(slow.folder, slow.program, script)
    board.flash(image(script.bundle))
    refused = "#E too few windows: at least 30 are needed, calibrate for minutes: 3"
    assert board.boot("calibrate 2").words[-1] == refused
    begun = "#I calibration on site: keep the machine running as it normally does; windows 30"
    assert board.boot("calibrate 3").words[-1] == begun


def test_a_calibration_that_begins_anew_counts_from_its_beginning_and_forget_ends_it(board: Board) -> None:
    board.flash(image(board.script.bundle))
    following = "#I calibration on site: 16 of 187 windows"
    said = board.boot("calibrate 1", windows=40, later="calibrate 1", later_after="20")
    order = [line[0] == "V" for line in said.lines if line[0] == "V" or line == following]
    assert order == [*16 * [True], False, *20 * [True], False, *4 * [True]]
    said = board.boot("calibrate 1", windows=40, later="forget", later_after="10")
    assert following not in said.words
    assert not [word for word in said.words if word.startswith("#E")]


@pytest.mark.parametrize("command", ["stream", "detect", "forget", "calibrate 1"])
def test_a_calibration_that_is_ended_early_is_told_once(board: Board, command: str) -> None:
    """In front of the banner: a monitor that is started meanwhile says `stream`, and nobody would know."""
    board.flash(image(board.script.bundle))
    ended = "#W the calibration on site was ended before it was done, and sets no threshold"
    said = board.boot("calibrate 1", windows=20, later=command, later_after="10")
    assert said.words.count(ended) == 1
    assert said.lines[said.lines.index(ended) + 1].startswith('{"gyrovae":1,')
    assert ended not in board.boot(command, windows=20).words
    assert ended not in board.boot("calibrate 1", windows=190, later=command, later_after="188").words  # it was done


def test_where_there_is_no_detector_there_is_nothing_to_forget(
    tmp_path: Path, programs: dict[bool, Path], script: emulated_device.Script
) -> None:
    script.write(tmp_path)
    said = Board(tmp_path, programs[False], script).boot("forget")
    assert [(b["model"], b["threshold"]) for b in said.banners] == [("none", 1), ("none", 1)]
    assert not [word for word in said.words if word.startswith("#E")]


def test_a_new_threshold_begins_the_vote_anew(board: Board) -> None:
    """187 windows that are alarms to the detector are normal here: the next one is neither alarm nor event."""
    board.flash(image(board.script.bundle))
    loud = int(np.flatnonzero((board.script.scores > 1) & (board.script.scores < 10))[0])
    said = board.boot("calibrate 1", windows=188, play=[loud])
    assert [v[6] for v in said.verdicts][-2:] == ["AE", "-"]
    assert said.verdicts[187][5] == f"{said.banners[-1]['threshold']:.3f}"


def test_a_calibration_that_is_refused_changes_nothing(slow: Board) -> None:
    refused = "#E too few windows: at least 30 are needed, calibrate for minutes: 3"
    said = slow.boot("stream", "calibrate 2", windows=1)
    assert [line for line in said.lines if line[0] in "{#"][-2] == refused  # and a banner behind it
    assert [b["mode"] for b in said.banners] == ["detect", "stream", "stream"]
    assert len([line for line in said.lines if line[0].isdigit()]) == WINDOW
    # One that runs goes on, and so does the vote.
    alarm = int(np.argmax(slow.script.scores))
    between = {"later": "calibrate 2", "later_after": "20"}  # the second verdict and the third
    said = slow.boot("calibrate 3", windows=37 * SLOW_HOP // WINDOW, play=[alarm], **between)
    assert refused in said.words
    assert [line for line in said.lines if line.startswith("#I calibration")][-1].endswith("32 of 37 windows")
    assert ["E" in v[6] for v in said.verdicts][:5] == [False, False, True, True, True]


def test_before_there_is_a_sensor_a_command_is_answered_by_a_word(board: Board) -> None:
    board.flash(image(board.script.bundle))
    for command in wire.COMMANDS:
        said = board.boot(late="3", early="calibrate 5" if command == "calibrate" else command)
        assert said.lines[0] == "#W the sensor is not open yet, and no command is followed before"
        assert [(b["sensor"], b["mode"]) for b in said.banners] == [("script", "detect")]
        assert "#W the sensor is not open yet, and no command is followed before" not in said.lines[1:]


def test_lines_that_are_dropped_are_told_once_there_is_room_all_of_them(board: Board) -> None:
    """The port is full until the sixth window's end. Each second a word of it is dropped, too, and does not count."""
    board.flash(image(board.script.bundle))
    said = board.boot(windows=12, full=str(6 * WINDOW), tick_us="20000")
    assert [verdict[1] for verdict in said.verdicts] == ["5", "6", "7", "8", "9", "10", "11"]
    assert said.words[2:] == ["#W lines dropped, the port is too slow or nobody reads: 5"]


def test_the_driver_of_i2c_is_silent_before_a_sensor_is_looked_for(board: Board) -> None:
    board.boot()
    assert (board.folder / "steps.txt").read_text().splitlines() == ["i2c.master 0", "sampling", "* 0"]
