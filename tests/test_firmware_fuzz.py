"""Bytes that reach the firmware from outside, made by libFuzzer under sanitizers: a stated number of runs, no finding.

The parsers are those of the commands that come over the serial port, and of the detector's image in the flash.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest
from test_flash import bundle

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import SIZES
from gyrovae_tf.flash import image
from gyrovae_tf.golden_npz import Golden

RUNS = 200_000
LONGEST = 16 << 10  # bytes of an image
QUIET = Path(__file__).with_name("fuzz_quiet.txt")
"""Not followed by the fuzzer: the loop over an image's bits takes twenty times as long as everything else then."""
FLAGS = ("-O2", "-g", "-fno-sanitize-recover=all", f"-fsanitize-coverage-ignorelist={QUIET}")
COMMANDS = (
    b"stream\ndetect\r\ninfo \nforget\ncalibrate 5\ncalibrate 1440\ncalibrate 0\n\n\rcalibrate 99999999999999999\n"
)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The component, compiled for the fuzzer."""
    flags = ("-fsanitize=fuzzer-no-link,address,undefined", *FLAGS)
    return firmware.compiled("clang++", flags, tmp_path_factory.mktemp("fuzz"))


def fuzz(name: str, objects: list[Path], folder: Path, corpus: dict[str, bytes], *, longest: int) -> str:
    """Build firmware/emulated/<name>.cpp and let it run `RUNS` times from a corpus; what libFuzzer tells of it."""
    include = ["-I", firmware.COMPONENT / "include"]
    flags = [*firmware.STRICT, "-fsanitize=fuzzer,address,undefined", *FLAGS]
    build = [firmware.tool("clang++"), "-std=c++17", *flags, *include]
    firmware.checked([*build, firmware.EMULATED / f"{name}.cpp", *objects, "-o", folder / name], folder)
    (folder / "corpus").mkdir()
    for entry, content in corpus.items():
        (folder / "corpus" / entry).write_bytes(content)
    limits = ["-seed=1", f"-runs={RUNS}", f"-max_len={longest}", "-rss_limit_mb=1024", "-timeout=10"]
    return firmware.checked(
        # The shell starts it as a process of its own: one that is replaced hands on how large it has been, and a test
        # with TensorFlow in it has been larger than the limit.
        ["sh", "-c", '"$@" 2>&1; exit $?', "sh", folder / name, *limits, "-print_final_stats=1", "corpus"],
        folder,
    )


def runs(told: str) -> int:
    found = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
    assert found, told[-2000:]
    return int(found[1])


@pytest.mark.slow
def test_commands_are_read_as_a_plain_program_reads_them(objects: list[Path], tmp_path: Path) -> None:
    corpus = {f"line{i}": line for i, line in enumerate(COMMANDS.splitlines(keepends=True))} | {"all": COMMANDS}
    assert runs(fuzz("fuzz_commands", objects, tmp_path, corpus, longest=256)) >= RUNS


@pytest.mark.slow
def test_an_image_is_refused_or_can_be_run(objects: list[Path], tmp_path: Path) -> None:
    corpus = {f"tilt{tilt:d}": image(small(bundle(tilt=tilt))) for tilt in (False, True)}
    golden = small(bundle())
    corpus["golden"] = image(dataclasses.replace(golden, golden=one_golden(golden)))
    assert max(map(len, corpus.values())) < LONGEST
    told = fuzz("fuzz_image", objects, tmp_path, corpus, longest=LONGEST)
    assert runs(told) >= RUNS
    found = re.search(r"accepted (\d+) images, ran (\d+) of them", told)
    assert found
    assert int(found[1]) > RUNS / 100
    assert int(found[2]) > RUNS / 2000


def small(made: Bundle) -> Bundle:
    """The same with one regime a view and no golden windows: the fuzzer gets through it ten times as often."""
    views = {name: getattr(made.calibration, name) for name in SIZES}
    cut = {
        name: view and dataclasses.replace(view, codes=view.codes[:1], scatter=view.scatter[:1])
        for name, view in views.items()
    }
    return dataclasses.replace(made, calibration=dataclasses.replace(made.calibration, **cut), golden=None)


def one_golden(made: Bundle) -> Golden:
    windows = np.zeros((1, made.spec.window, 3), np.int16)
    images = np.zeros((1, 2, 32, 32, 3), np.int8)
    return Golden(windows, images, images, np.ones(1), "tflm", "tflite-micro 1")
