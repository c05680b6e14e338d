"""The ESP32's part of the firmware: compiled for syntax only (tests/stubs), its drivers run on a pretended bus."""

from __future__ import annotations

import dataclasses
import itertools
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest
from esp_firmware import INCLUDE, KCONFIGS, MAIN, STUBS, TFLM, UART, USB, module, sdkconfig

from gyrovae_tf import contract
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.firmware import OPERATORS, headers
from gyrovae_tf.golden_npz import Golden

FROM_IDF = {
    *("ESP_CONSOLE_UART", "ESP_CONSOLE_UART_BAUDRATE", "ESP_CONSOLE_UART_NUM"),
    *("ESP_CONSOLE_USB_SERIAL_JTAG", "FREERTOS_HZ"),
}
"""Settings of ESP-IDF's own that the code looks at: they are there in 5.3 to 6.1."""
G = 9.80665


def sources() -> list[Path]:
    found = sorted([*MAIN.glob("*.cpp"), *TFLM.glob("*.cpp")])
    assert len(found) > 10
    return found


# --- compiled ---------------------------------------------------------------------------------------------------


def check_syntax(folder: Path, files: list[Path]) -> None:
    """Files that a compiler finds no fault with; `folder` holds their sdkconfig.h, and nn_model.h if there is one."""
    flags = ["-fsyntax-only", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Wconversion"]
    include = [option for path in (folder, *INCLUDE) for option in ("-I", path)]
    for path in files:
        firmware.checked(
            [firmware.tool("g++"), *flags, "-Wshadow", "-Werror", "-Wfatal-errors", *include, path], folder
        )


@pytest.mark.parametrize("console", [USB, UART], ids=["usb", "uart"])
@pytest.mark.parametrize(
    "settings",
    [
        "",
        "CONFIG_GYROVAE_SENSOR_QMA7981=y\nCONFIG_GYROVAE_READY_GPIO=7\nCONFIG_GYROVAE_RANGE_2G=y\n",
        "CONFIG_GYROVAE_SENSOR_LSM6DS3=y\nCONFIG_GYROVAE_DETECT_AT_BOOT=n\nCONFIG_GYROVAE_RANGE_8G=y\n",
        "CONFIG_GYROVAE_SENSOR_LSM6DSO=y\nCONFIG_GYROVAE_LONGEST_WINDOW=1024\nCONFIG_GYROVAE_RANGE_16G=y\n",
    ],
    ids=["any sensor", "qma7981", "lsm6ds3", "lsm6dso"],
)
def test_the_code_is_correct_cpp_with_each_setting(tmp_path: Path, settings: str, console: str) -> None:
    check_syntax(sdkconfig(tmp_path, settings, console), sources())


@pytest.mark.parametrize("golden", [False, True])
def test_the_code_takes_a_generated_header(tmp_path: Path, golden: bool) -> None:
    made = firmware.case(firmware.fitted(256), firmware.random_windows(20, 256, seed=3))
    outputs = np.zeros((2, 2, 32, 32, 3), np.int8)
    windows = Golden(made.windows[:2], made.images[:2], outputs, np.array([0.5, 2.0]), "tflm", "tflite-micro 1")
    emit_header(dataclasses.replace(made.bundle, golden=windows), tmp_path / "nn_model.h", golden=golden)
    folder = sdkconfig(tmp_path, "", USB)
    check_syntax(folder, [MAIN / "detectors.cpp"])
    probe = tmp_path / "probe.cpp"
    probe.write_text(f'#include "{MAIN / "detectors.cpp"}"\nstatic_assert(GYROVAE_COMPILED->id != 0);\n')
    check_syntax(folder, [probe])


def test_a_window_that_is_no_multiple_of_32_does_not_compile(tmp_path: Path) -> None:
    folder = sdkconfig(tmp_path, "CONFIG_GYROVAE_LONGEST_WINDOW=100\n", USB)
    with pytest.raises(AssertionError, match="no length of a window"):
        check_syntax(folder, [MAIN / "app_main.cpp"])


def test_another_console_does_not_compile(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the protocol goes over it"):
        check_syntax(sdkconfig(tmp_path, "", ""), [MAIN / "link.cpp"])


def test_cppcheck_finds_nothing(tmp_path: Path) -> None:
    folder = sdkconfig(tmp_path, "", USB)
    command = [firmware.tool("cppcheck"), "--enable=warning,performance,portability", "--error-exitcode=1", "--quiet"]
    include = [option for path in (folder, *INCLUDE) for option in ("-I", path)]
    quiet = ["--inline-suppr", "--std=c++17", f"--suppress=*:{STUBS}/*"]
    firmware.checked([*command, *quiet, *include, *sources()], tmp_path)


# --- files of the project ---------------------------------------------------------------------------------------


def test_the_generated_headers_are_those_of_this_version() -> None:
    for name, text in headers().items():
        assert (firmware.FIRMWARE / name).read_text() == text, f"python -m gyrovae_tf.firmware firmware  # {name}"


def test_the_resolver_has_the_contracts_operators_and_no_others() -> None:
    text = (firmware.FIRMWARE / OPERATORS).read_text()
    methods = re.findall(r"X\(Add(\w+)\)", text)
    assert [name.lower() for name in methods] == [name.replace("_", "").lower() for name in contract.OPS]
    assert f"kOperators = {len(contract.OPS)};" in text
    stub = (STUBS / "tensorflow/lite/micro/micro_mutable_op_resolver.h").read_text()
    assert sorted(re.findall(r"TfLiteStatus Add(\w+)\(\)", stub)) == sorted(methods)


def declared() -> set[str]:
    return {name for path in KCONFIGS for name in re.findall(r"^\s*config (\w+)$", path.read_text(), re.MULTILINE)}


def test_each_setting_is_declared_and_used() -> None:
    code = "".join(path.read_text() for path in [*sources(), *MAIN.glob("*.h"), *TFLM.rglob("*.h")])
    used = set(re.findall(r"\bCONFIG_(\w+)", code))
    assert used - FROM_IDF <= declared()
    assert FROM_IDF - {"FREERTOS_HZ"} <= used
    text = "".join(path.read_text() for path in KCONFIGS)
    for name in declared() - used - {"GYROVAE_SENSOR_ANY"}:
        assert re.search(rf"default \d+ if {name}$", text, re.MULTILINE), f"nothing looks at {name}"


def test_what_the_guide_quotes_is_what_the_firmware_has() -> None:
    guide = (firmware.FIRMWARE / "README.md").read_text()
    choices = {re.sub(r"_[A-Z0-9]+$", "", name) for name in declared()} | {"GYROVAE_RANGE"}
    assert set(re.findall(r"GYROVAE_[A-Z_]+", guide)) <= declared() | choices
    code = "".join(
        path.read_text() for path in [*sources(), *firmware.COMPONENT.glob("*.cpp"), *firmware.COMPONENT.rglob("*.h")]
    )
    said = re.sub(r'"\s*"', "", code)
    words = re.findall(r"`#[EIW] ([^`*]+?)(?:: \.\.\.)?`", guide) + re.findall(
        r"^    #[IW] ([^*\d]+)", guide, re.MULTILINE
    )
    assert len(words) > 12
    for text in words:
        assert f'"{text.strip()}' in said, text


def test_the_defaults_are_settings_once_each() -> None:
    lines = (firmware.FIRMWARE / "sdkconfig.defaults").read_text().splitlines()
    names = [line.split("=", 1)[0] for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"CONFIG_[A-Z0-9_]+", name) for name in names)
    assert len(names) == len(set(names))
    assert "CONFIG_FREERTOS_HZ=1000" in lines
    assert "CONFIG_ESP_TASK_WDT_PANIC=y" in lines
    for core in (0, 1):  # an idle task that does not run is a model that is behind
        assert f"CONFIG_ESP_TASK_WDT_CHECK_IDLE_TASK_CPU{core}=n" in lines


@pytest.mark.parametrize("folder", [MAIN, TFLM], ids=["main", "gyrovae_tflm"])
def test_the_build_lists_all_of_a_component(folder: Path) -> None:
    listed = (folder / "CMakeLists.txt").read_text().split("SRCS", 1)[1].split("INCLUDE_DIRS", 1)[0]
    assert sorted(listed.replace('"', "").split()) == sorted(path.name for path in folder.glob("*.cpp"))


@pytest.mark.parametrize("folder", [MAIN, TFLM], ids=["main", "gyrovae_tflm"])
def test_the_component_manager_takes_the_manifest(folder: Path) -> None:
    module("idf_component_manager")
    compote = [sys.executable, "-c", "from idf_component_manager.cli import safe_cli; safe_cli()"]
    firmware.checked([*compote, "manifest", "lint"], folder)


def test_the_versions_of_others_components_are_fixed() -> None:
    text = (TFLM / "idf_component.yml").read_text()
    assert re.findall(r'(espressif/\S+): "==(\d+\.\d+\.\d+)"', text) == [
        ("espressif/esp-tflite-micro", "1.4.0"),
        ("espressif/esp-nn", "1.2.9"),
    ]
    assert text.count("espressif/") == 2
    for folder in (MAIN, TFLM):  # 5.3.0 has defects in the drivers that the firmware rests on
        assert re.findall(r'^  idf: "(.+)"$', (folder / "idf_component.yml").read_text(), re.MULTILINE) == [
            ">=5.3.1,<6.2"
        ]


@pytest.mark.parametrize("path", KCONFIGS, ids=["main", "gyrovae_tflm"])
def test_kconfcheck_takes_the_settings(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / path.name  # kconfcheck writes its suggestions beside the file
    copy.write_bytes(path.read_bytes())
    firmware.checked([sys.executable, "-m", module("kconfcheck"), copy], tmp_path)


def test_the_partitions_do_not_overlap_and_fit_the_flash() -> None:
    table = (firmware.FIRMWARE / "partitions.csv").read_text()
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines() if not line.startswith("#")]
    parts = {row[0]: (row[1], row[2], int(row[3], 0), int(row[4], 0)) for row in rows}
    assert list(parts) == ["nvs", "phy_init", "factory", "detector"]
    end = 0x9000  # behind the bootloader and the table itself
    for kind, _, offset, size in parts.values():
        assert offset >= end
        assert offset % (0x10000 if kind == "app" else 0x1000) == 0
        assert size % 0x1000 == 0
        end = offset + size
    assert end <= 4 << 20
    kind, subtype, offset, size = parts["detector"]
    assert (kind, int(subtype, 0)) == ("data", 0x40)
    assert offset % 0x10000 == 0 == size % 0x10000  # whole pages of the MMU
    assert "static_cast<esp_partition_subtype_t>(0x40)" in (MAIN / "detectors.cpp").read_text()


# --- drivers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chip:
    """A sensor as its datasheet has it."""

    identity: int
    address: int
    other_address: int
    rates: tuple[float, ...]
    lsb_at_4g: float
    counts: tuple[int, int]
    registers: dict[int, int] = field(default_factory=dict)
    """What has to stand in them at 200 Hz and 4 g."""


LSM6_RATES = (12.5, 26, 52, 104, 208, 416, 833)
LSM6 = (0x6A, 0x6B, LSM6_RATES, 0.122e-3 * G, (-32768, 32767))
CHIPS = {
    "QMA7981": Chip(
        *(0xE7, 0x12, 0x13, (200e3 / 7695, 500e3 / 3855, 200e3 / 975, 500e3 / 975), 4 * G / 8192, (-8192, 8191)),
        {0x0F: 0x02, 0x10: 0xE3, 0x11: 0x82},
    ),
    "LSM6DS3": Chip(0x6A, *LSM6, {0x08: 0x01, 0x0A: 5 << 3 | 6, 0x10: 5 << 4 | 2 << 2, 0x12: 0x44}),
    "LSM6DSO": Chip(0x6C, *LSM6, {0x09: 5, 0x0A: 6, 0x10: 5 << 4 | 2 << 2, 0x12: 0x44, 0x18: 0xE2}),
}


@dataclass(frozen=True)
class Sample:
    """One that a driver has read."""

    number: int
    t_us: int
    which: int
    """Of all that the pretended sensor has made."""
    counts: tuple[int, int, int]
    late: float
    """Its time less the true one, in periods."""


DRIVERS = [MAIN / f"{name}.cpp" for name in ("clock", "imu", "lsm6", "lsm6ds3", "lsm6dso", "qma7981")]


class Run:
    """What tests/stubs/sensors.cpp or sampling.cpp says."""

    def __init__(self, text: str) -> None:
        self.lines = [line.split() for line in text.splitlines()]
        self.problem = " ".join(next((line[1:] for line in self.lines if line[0] == "problem"), []))
        self.losses = sum(line[0] == "lost" for line in self.lines)
        self.missing = sum(int(line[1]) for line in self.lines if line[0] == "missing")
        self.registers = {int(line[1]): int(line[2]) for line in self.lines if line[0] == "register"}
        self.samples = [
            Sample(*map(int, line[1:4]), (int(line[4]), int(line[5]), int(line[6])), float(line[7]))
            for line in self.lines
            if line[0] == "sample"
        ]

    def numbers(self, word: str) -> list[float]:
        return next([float(value) for value in line[1:]] for line in self.lines if line[0] == word)


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sensors") / "sensors"
    return firmware.sanitized(target, STUBS / "sensors.cpp", *DRIVERS, include=[MAIN])


def run(sensors: Path, chip: str, **settings: float) -> Run:
    facts = {"identity": CHIPS[chip].identity, "address": CHIPS[chip].address, **settings}
    words = [f"chip={chip}", *(f"{name}={value}" for name, value in facts.items())]
    return Run(firmware.checked([sensors, *words], sensors.parent))


@pytest.mark.parametrize("chip", CHIPS)
def test_a_driver_says_and_does_what_the_datasheet_says(sensors: Path, chip: str) -> None:
    told, wanted = run(sensors, chip), CHIPS[chip]
    assert told.problem == ""
    assert told.numbers("lsb")[0] == pytest.approx(wanted.lsb_at_4g, rel=1e-6)
    assert tuple(told.numbers("counts")) == wanted.counts
    assert {place: told.registers[place] for place in wanted.registers} == wanted.registers


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("range_g", "ratio"), [(2, 0.5), (4, 1), (8, 2), (16, 4)])
def test_a_range_scales_a_count(sensors: Path, chip: str, range_g: int, ratio: float) -> None:
    lsb = run(sensors, chip, range=range_g).numbers("lsb")[0]
    assert lsb == pytest.approx(CHIPS[chip].lsb_at_4g * ratio, rel=1e-6)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_nearest_rate_is_taken_and_measured(sensors: Path, chip: str) -> None:
    for rate_hz in CHIPS[chip].rates:
        for off in (-0.05, 0.0, 0.03):
            told = run(sensors, chip, rate=1.02 * rate_hz, off=off)
            assert told.problem == ""
            assert told.numbers("nominal")[0] == pytest.approx(rate_hz, rel=1e-6)
            assert told.numbers("measured")[0] == pytest.approx(rate_hz * (1 + off), rel=5e-3)


@pytest.mark.parametrize("chip", CHIPS)
def test_every_sample_is_read_numbered_and_timed(sensors: Path, chip: str) -> None:
    told = run(sensors, chip, seconds=20, off=0.03)
    samples = told.samples
    assert len(samples) == pytest.approx(20 * told.numbers("real")[0], abs=5)
    assert [s.number for s in samples] == list(range(len(samples)))
    assert [s.which for s in samples] == list(range(samples[0].which, samples[0].which + len(samples)))
    for s in samples:
        most = 8192 if chip == "QMA7981" else 32768
        assert s.counts == (s.which % most, -(s.which % most) - 1, 1000)
    steps = [b.t_us - a.t_us for a, b in itertools.pairwise(samples)]
    assert min(steps) > 0
    assert min(s.late for s in samples) > -0.2
    assert max(s.late for s in samples) < 1.0


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("pause_ms", [50, 1500, 5000])
def test_samples_that_are_lost_leave_a_gap_of_their_number(sensors: Path, chip: str, pause_ms: int) -> None:
    told = run(sensors, chip, seconds=10, pause_after=3, pause_ms=pause_ms)
    places = [(a, b) for a, b in itertools.pairwise(told.samples) if b.which != a.which + 1]
    kept = chip != "QMA7981" and pause_ms < 2000  # its FIFO holds more than two seconds
    assert len(places) == (0 if kept else 1)
    assert told.losses == (1 if chip != "QMA7981" and not kept else 0)
    steps = [b.number - a.number for a, b in itertools.pairwise(told.samples)]
    assert told.missing == sum(steps) - len(steps)
    for before, after in places:
        assert after.number - before.number == pytest.approx(after.which - before.which, abs=1)
    assert max(s.late for s in told.samples) < 1.0  # also of those that had waited in the FIFO
    missing = sum(b.which - a.which - 1 for a, b in places)
    assert missing == pytest.approx(0 if kept else pause_ms * 1e-3 * told.numbers("real")[0], abs=8)


def test_a_fifo_that_does_not_begin_with_a_sample_is_begun_anew(sensors: Path) -> None:
    told = run(sensors, "LSM6DS3", seconds=3, skew=1)
    assert told.losses == 1
    assert all(s.counts[1] == -s.counts[0] - 1 for s in told.samples)
    assert len(told.samples) > 600


@pytest.mark.parametrize("chip", CHIPS)
def test_each_transfer_that_fails_is_an_error(sensors: Path, chip: str) -> None:
    for transfer in range(1, 31):  # all of `open`, and the first ones of `measure`
        assert run(sensors, chip, fail_open=transfer).problem == "I2C: test", transfer


@pytest.mark.parametrize("chip", CHIPS)
def test_a_register_that_does_not_keep_its_value_is_an_error(sensors: Path, chip: str) -> None:
    for place in CHIPS[chip].registers:
        problem = run(sensors, chip, sticky=place, range=8, rate=130).problem
        assert problem == "the sensor does not keep what is written into it", hex(place)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_rate_that_is_not_the_one_that_was_set_is_an_error(sensors: Path, chip: str) -> None:
    for off in (-0.15, 0.15):
        assert run(sensors, chip, off=off).problem == "the sensor's rate is not the one that was set"
    assert run(sensors, chip, silent=1).problem == "the sensor gives no samples"


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rate_hz", [5, 3000])
def test_a_rate_that_a_sensor_does_not_have_is_an_error(sensors: Path, chip: str, rate_hz: int) -> None:
    assert "has no such rate: take" in run(sensors, chip, rate=rate_hz).problem


@pytest.mark.parametrize("chip", CHIPS)
def test_a_sensor_is_found_by_what_it_says_it_is(sensors: Path, chip: str) -> None:
    facts = CHIPS[chip]
    assert run(sensors, chip).lines[0] == ["found", chip, str(facts.address)]
    assert run(sensors, chip, address=facts.other_address).lines[0] == ["found", chip, str(facts.other_address)]
    for nowhere in (0, 0x07, 0x78):
        assert run(sensors, chip, address=nowhere).problem.startswith("no sensor answers on I2C")


@pytest.mark.parametrize("chip", CHIPS)
def test_something_else_that_answers_is_told_with_its_address(sensors: Path, chip: str) -> None:
    for address in (0x08, 0x68, 0x77):
        told = run(sensors, chip, address=address)
        assert told.problem.startswith("a device answers on I2C, but it is none of the sensors")
        assert told.numbers("at") == [address]
    told = run(sensors, chip, identity=0x11)
    assert told.problem.startswith("a device answers on I2C, but it is none of the sensors")
    assert told.numbers("at") == [CHIPS[chip].address]


@pytest.mark.parametrize("chip", ["LSM6DS3", "LSM6DSO"])
def test_a_rate_is_not_measured_over_samples_that_are_lost(sensors: Path, chip: str) -> None:
    """The FIFO says that some are lost with a batch that is empty, and what is lost here is within the tolerance."""
    told = run(sensors, chip, overrun_after=1, overrun_ms=100)
    assert told.problem == "samples were lost while the sensor's rate was measured"


def test_the_ready_line_is_asked_for_only_where_there_is_one(sensors: Path) -> None:
    assert run(sensors, "QMA7981", line=0).registers[0x17] == 0
    with_line = run(sensors, "QMA7981", line=1).registers
    assert (with_line[0x17], with_line[0x1A]) == (0x10, 0x10)


CLOCK = """\
#include <cstdio>
#include <cstdlib>
#include "clock.h"
using namespace gyrovae;
// A clock of 100 Hz, 1 for a FIFO; then batches: when it was read, how many samples, how many are left, whether some
// are lost.
int main(int count, char **words) {
  imu::Clock clock;
  clock.start(100.0, words[1][0] == '1');
  for (int i = 2; i + 3 < count; i += 4) {
    const auto number = [&](int k) { return std::atoll(words[i + k]); };
    const auto many = static_cast<int>(number(1)), left = static_cast<int>(number(2));
    const unsigned missing = clock.batch(number(0), many, left, number(3) != 0);
    std::printf("%u:%u@%u ", missing, clock.number(0), clock.t_us(0));
  }
}
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    (folder / "main.cpp").write_text(CLOCK)
    return firmware.sanitized(folder / "clock", folder / "main.cpp", MAIN / "clock.cpp", include=[MAIN])


@pytest.mark.parametrize(
    ("batches", "told"),
    [
        ("0 10000 1 0 0 20000 1 0 0", "0:0@10000 0:1@20000"),
        # One that is 0.79 of a period late is late, one that is 0.81 late is the next one.
        # The time follows a 32nd of that, and the period a 128th of this: 20000 + 246.9 + 1.9.
        ("0 10000 1 0 0 27900 1 0 0", "0:0@10000 0:1@20248"),
        ("0 10000 1 0 0 28100 1 0 0", "0:0@10000 1:2@28100"),
        # None is of the future; and none goes back by more than half a period: 10000 + 5000 - 39.1.
        ("0 10000 1 0 0 18000 1 0 0", "0:0@10000 0:1@17984"),
        ("0 10000 1 0 0 12000 1 0 0", "0:0@10000 0:1@14960"),
        ("0 4294977296 1 0 0", "0:0@10000"),  # 32 bits of time
        # What a FIFO has lost the time tells; at least one, and none of those that are left in it.
        ("1 10000 1 0 0 50000 1 0 1", "0:0@10000 3:4@50000"),
        ("1 10000 1 0 0 20000 1 0 1", "0:0@10000 1:2@25000"),
        ("1 10000 1 0 0 50000 1 2 1", "0:0@10000 1:2@30000"),
        ("1 10000 1 0 0 20000 1 5 1", "0:0@10000 1:2@25000"),
    ],
)
def test_numbers_and_times_by_hand(clock: Path, batches: str, told: str) -> None:
    """How many are missing, and the number and the time of the first sample of each batch."""
    assert firmware.checked([clock, *batches.split()], clock.parent).strip() == told


# --- the task that reads them -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[-1, 7], ids=["polled", "data-ready line"])
def sampling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With and without a data-ready line."""
    settings = f"CONFIG_GYROVAE_READY_GPIO={request.param}\n"
    folder = sdkconfig(tmp_path_factory.mktemp("sampling"), settings, USB)
    sources = [STUBS / "sampling.cpp", MAIN / "sampling.cpp", *DRIVERS]
    return firmware.sanitized(folder / "sampling", *sources, include=(folder, *INCLUDE))


LATE = "samples lost, the sensor was read too late:"


FIFO_DATA = {"LSM6DS3": 0x3E, "LSM6DSO": 0x78}
FIFO_STATUS = 0x3A


def notices(told: Run) -> list[tuple[str, int, str]]:
    """Level, number and text of what the task says, in its order."""
    return [(line[1], int(line[2]), " ".join(line[3:])) for line in told.lines if line[0] == "notice"]


def taken(told: Run) -> list[list[int]]:
    """Number and counts of the samples that reached the app."""
    return [[int(value) for value in line[1:]] for line in told.lines if line[0] == "taken"]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_sensor_is_read_without_a_word(sampling: Path, chip: str) -> None:
    told = run(sampling, chip, seconds=10, off=0.03)
    assert notices(told) == []
    numbers = [number for number, *_ in taken(told)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > 1500


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("warm", [-0.04, 0.04])
def test_a_sensor_whose_rate_changes_while_it_gets_warm_loses_nothing(sampling: Path, chip: str, warm: float) -> None:
    told = run(sampling, chip, seconds=80, warm=warm)
    assert notices(told) == []
    assert longest(told) == len(taken(told)) > 75 * 200


@pytest.mark.parametrize("chip", CHIPS)
def test_samples_that_are_lost_are_counted_and_told(sampling: Path, chip: str) -> None:
    told = run(sampling, chip, seconds=14, hold_after=4, hold_ms=5000)
    steps = [b[0] - a[0] for a, b in itertools.pairwise(taken(told))]
    missing = sum(steps) - len(steps)
    assert missing > 400
    assert notices(told) == [("W", missing, LATE)]


def test_a_device_that_is_no_sensor_is_told_with_its_address(sampling: Path) -> None:
    told = run(sampling, "QMA7981", seconds=3, address=0x68)
    problem = "a device answers on I2C, but it is none of the sensors that this firmware was built for; its address:"
    assert set(notices(told)) == {("E", 0x68, problem)}
    told = run(sampling, "QMA7981", seconds=3, address=0)
    assert {text.split(":")[0] for _, _, text in notices(told)} == {"no sensor answers on I2C"}


def test_another_sensor_on_the_bus_does_not_take_the_place_of_one_that_is_away(sampling: Path) -> None:
    told = run(sampling, "QMA7981", seconds=12, other=0x6A, away_after=5, away_ms=3000)
    assert [line[1] for line in told.lines if line[0] == "sensor"] == ["QMA7981"]
    assert {text for _, _, text in notices(told)} == {"I2C: nobody"}
    assert len(notices(told)) == 4  # at once, and then once a second
    samples = taken(told)
    assert all(counts[1] == -counts[0] - 1 and counts[2] == 1000 for _, *counts in samples)
    gap = max(range(1, len(samples)), key=lambda i: samples[i][0] - samples[i - 1][0])
    assert samples[gap][0] - samples[gap - 1][0] > 500
    assert len(samples) - gap > 500  # it is read again


def test_a_device_that_comes_back_as_another_one_is_not_used(sampling: Path) -> None:
    told = run(sampling, "QMA7981", seconds=8, identity_after=5, identity_then=0x11, away_after=5, away_ms=500)
    assert notices(told)[-1][2] == "another device than the sensor answers at its address on I2C"


def connected(sampling: Path) -> bool:
    return "#define CONFIG_GYROVAE_READY_GPIO 7\n" in (sampling.parent / "sdkconfig.h").read_text()


def longest(told: Run) -> int:
    """Samples in a row of the app's, none of which is missing."""
    numbers = [number for number, *_ in taken(told)]
    ends = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
    return max(b - a for a, b in itertools.pairwise([0, *ends, len(numbers)]))


def test_a_data_ready_line_without_edges_is_told_once_and_done_without(sampling: Path) -> None:
    told = run(sampling, "QMA7981", seconds=10, edges_until=0)
    line = ("W", 7, "samples come, but no edge on the data-ready GPIO")
    assert notices(told).count(line) == connected(sampling)
    late = [number for _, number, text in notices(told) if text == LATE]
    assert bool(late) == connected(sampling)  # until it is clear that none comes
    assert sum(late) < 1.2 * 205
    assert longest(told) > 6.5 * 205
    for chip in ("LSM6DS3", "LSM6DSO"):  # needs none
        assert notices(run(sampling, chip, seconds=10, edges_until=0)) == []


def test_a_data_ready_line_whose_edges_come_back_is_used_again(sampling: Path) -> None:
    ends = {at: run(sampling, "QMA7981", seconds=at, edges_until=4, edges_from=7) for at in (6, 7, 11, 12)}
    transfers = {at: told.numbers("transfers")[0] for at, told in ends.items()}
    said = [text for _, _, text in notices(ends[12])]
    assert said.count("samples come, but no edge on the data-ready GPIO") == connected(sampling)
    numbers = [number for number, *_ in taken(ends[12])]
    assert numbers[-1] - numbers[-1400] == 1399  # since before they came back
    assert transfers[7] - transfers[6] > 700  # asked every millisecond
    if connected(sampling):
        assert transfers[12] - transfers[11] == pytest.approx(205, abs=3)


@pytest.mark.parametrize("chip", FIFO_DATA)
def test_an_error_costs_nothing_that_the_fifo_still_holds(sampling: Path, chip: str) -> None:
    told = run(sampling, chip, seconds=12, refuse_at=FIFO_STATUS, refuse_every=0.5)
    assert {text for _, _, text in notices(told)} == {"I2C: refused"}
    assert sum(number for _, number, _ in notices(told)) >= 15  # of 16; they are told once a second
    assert longest(told) == len(taken(told)) > 1500


@pytest.mark.parametrize("chip", FIFO_DATA)
def test_what_is_left_in_the_fifo_is_not_missing(sampling: Path, chip: str) -> None:
    """A read of its data fails, and whether that has cost some nobody knows: a number is left out; not one of those
    that wait, more than are read at once."""
    told = run(sampling, chip, seconds=12, refuse_at=FIFO_DATA[chip], hold_after=4, hold_ms=500)
    assert notices(told) == [("E", 1, "I2C: refused")]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(taken(told))]
    assert [step for step in steps if step != (1, 1)] == [(2, 1)]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_sensor_that_falls_silent_is_told_once_a_second(sampling: Path, chip: str) -> None:
    """Its rate falls to nothing within three seconds, from the fifth on; every transfer works."""
    told = run(sampling, chip, seconds=14, warm=-20)
    silent = [number for level, number, text in notices(told) if (level, text) == ("E", "the sensor gives no samples")]
    assert silent in (5 * [1], 6 * [1])


def test_samples_that_the_app_has_no_time_for_are_dropped_counted_and_told(sampling: Path) -> None:
    """Three seconds of it are more than wait for it: 512."""
    told = run(sampling, "LSM6DS3", seconds=12, hold_after=4, hold_ms=3000)
    steps = [b[0] - a[0] for a, b in itertools.pairwise(taken(told))]
    assert {(level, text) for level, _, text in notices(told)} == {
        ("W", "samples dropped, the model does not keep up:")
    }
    assert sum(number for _, number, _ in notices(told)) == sum(steps) - len(steps) > 100


def test_an_error_of_a_sensor_without_a_fifo_leaves_out_a_number(sampling: Path) -> None:
    """Whether it has cost a sample nobody knows; and what an error costs is not told twice."""
    told = run(sampling, "QMA7981", seconds=8, refuse_at=1, refuse_every=1)
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(taken(told))]
    assert notices(told) == 4 * [("E", 1, "I2C: refused")]
    assert [step for step in steps if step != (1, 1)] == 4 * [(2, 1)]


@pytest.mark.parametrize("chip", CHIPS)
def test_what_a_sensor_gives_before_it_has_settled_is_missing(sampling: Path, chip: str) -> None:
    """Where it was away and is set up anew: its first samples are no motion."""
    told = run(sampling, chip, seconds=12, away_after=5, away_ms=500, settle_ms=95)
    assert {text for _, _, text in notices(told)} == {"I2C: nobody"}
    samples = taken(told)
    assert {counts[2] for _, *counts in samples} == {1000}
    gap = max(range(1, len(samples)), key=lambda i: samples[i][0] - samples[i - 1][0])
    assert len(samples) - gap > 1000  # it is read again
    period = 1 / next(float(line[2]) for line in told.lines if line[0] == "sensor")
    assert samples[-1][0] * period == pytest.approx(12 - 2.1, abs=0.15)  # numbers go on as if it had not been away
