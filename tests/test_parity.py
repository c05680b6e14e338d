"""One front end on both sides: the firmware's images equal Python's, its scores and verdicts are Python's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest

from gyrovae_tf.signal.score import reasons
from gyrovae_tf.spec import Spec

LENGTHS = (64, 128, 256, 512, 1024)
BUILDS = {
    "O0": ("-O0",),
    "O2": ("-O2",),
    "fast": ("-O3", "-ffast-math", "-march=native"),
    "sanitized": firmware.SANITIZED,
}
WINDOWS = 2000


@lru_cache(maxsize=len(LENGTHS))
def everything(length: int) -> firmware.Case:
    """Random windows of all kinds, the degenerate ones among them."""
    windows = firmware.random_windows(WINDOWS, length, seed=2)
    odd = np.stack(list(firmware.degenerate(length).values()))
    few = {"quarters": length % 512 != 0, "tilt": length % 256 != 0}
    return firmware.case(firmware.fitted(length), np.concatenate([windows, odd]), seed=length, **few)


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The component's object files, by build."""
    return {
        name: firmware.compiled("g++", flags, tmp_path_factory.mktemp(f"component-{name}"))
        for name, flags in BUILDS.items()
    }


def on_host(folder: Path, case: firmware.Case, build: str, objects: dict[str, list[Path]]) -> list[str | Path]:
    """The program that runs a case on this machine."""
    return firmware.on_host("parity", firmware.header(folder, case), BUILDS[build], objects[build])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("build", BUILDS)
def test_images_are_equal_and_scores_and_verdicts_are_those_of_python(
    tmp_path: Path, objects: dict[str, list[Path]], build: str, length: int
) -> None:
    case = everything(length)
    found = firmware.run(on_host(tmp_path, case, build, objects), tmp_path, case)
    firmware.compare(found, case)


EMULATED = [
    *(("cortex-m4f", length) for length in (64, 128, 256, 512)),
    *(("rv32imc", length) for length in (64, 128, 256, 512)),
    *(("cortex-m0", length) for length in (64, 128)),  # 16 KiB of RAM hold no more besides the images
]
EMULATED_WINDOWS = 500


@pytest.fixture(scope="session")
def component(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """A core's name in, the component's object files for it out."""
    folders = {name: tmp_path_factory.mktemp(name) for name in firmware.CORES}
    return lambda name: firmware.component_for(firmware.CORES[name], folders[name])


@pytest.mark.slow
@pytest.mark.parametrize(("core", "length"), EMULATED)
def test_the_same_on_emulated_microcontrollers(
    tmp_path: Path, component: Callable[[str], list[Path]], core: str, length: int
) -> None:
    case = everything(length).last(EMULATED_WINDOWS + len(firmware.degenerate(length)))
    firmware.header(tmp_path, case)
    program = firmware.emulated(firmware.CORES[core], "parity", tmp_path, component(core))
    firmware.compare(firmware.run(program, tmp_path, case), case)


def limits(spec: Spec) -> dict[str, Spec]:
    """Specs whose tables reach the ends of their ranges, or are laid out as no fit does."""
    high, low = 55 * 256, -55 * 256
    floor = {"power_floor": (low,) * 32, "field_mean": (0, 32768, 5), "field_gain": (1 << 15,) * 3}
    bands = spec.bands[::-1]
    longest = dataclasses.replace(bands[3], real=(*bands[3].real[:1], *(0,) * 62, 5), imag=(*(0,) * 63, -32000))
    full = dataclasses.replace(bands[7], real=(1, *(-32767,) * 1), imag=(0, -32767))
    edge = 1 << 17
    return {
        "high means": dataclasses.replace(
            spec, power_mean=((high,) * 32,) * 3, power_gain=((1 << 16,) * 32,) * 3, **floor
        ),
        "low means": dataclasses.replace(
            spec, power_mean=((low,) * 32,) * 3, power_gain=((1 << 16,) * 32,) * 3, **floor
        ),
        "no gain": dataclasses.replace(spec, power_gain=((0,) * 32,) * 3, field_gain=(0,) * 3),
        "bands in another order": dataclasses.replace(spec, bands=(*bands[:3], longest, *bands[4:7], full, *bands[8:])),
        "one octave, not the first": dataclasses.replace(
            spec, bands=tuple(dataclasses.replace(band, level=5) for band in bands)
        ),
        "edges": dataclasses.replace(
            spec,
            field_edges=((-edge,) * 7, (edge,) * 7, (-65535, -1, 0, 0, 0, 1, 65535)),
            field_shift=spec.field_shift + 1,
        ),
    }


@pytest.mark.parametrize("name", limits(firmware.fitted(128)))
def test_tables_at_their_limits(tmp_path: Path, objects: dict[str, list[Path]], name: str) -> None:
    windows = firmware.random_windows(100, 128, seed=3)
    odd = np.stack(list(firmware.degenerate(128).values()))
    case = firmware.case(limits(firmware.fitted(128))[name], np.concatenate([odd, windows]), seed=4)
    firmware.compare(firmware.run(on_host(tmp_path, case, "sanitized", objects), tmp_path, case), case)


def test_reasons_are_those_of_python(tmp_path: Path, objects: dict[str, list[Path]]) -> None:
    case = firmware.case(firmware.fitted(64), firmware.random_windows(300, 64, seed=5))
    found = firmware.run(on_host(tmp_path, case, "O2", objects), tmp_path, case)
    assert (found["reasons"] == 3).mean() > 0.9
    assert len({tuple(axis) for axis in found["reason"]["axis"]}) > 5
    for result, deviation in zip(found, case.scores().deviation, strict=True):
        expected = reasons(deviation, case.bundle.spec)
        assert result["reasons"] == len(expected)
        for reason, other in zip(result["reason"], expected, strict=False):
            assert "xyz"[reason["axis"]] == other.axis
            assert ("quieter", "louder")[reason["louder"]] == other.direction
            numbers = [float(reason[name]) for name in ("center_hz", "low_hz", "high_hz", "share")]
            expect = [other.center_hz, other.low_hz, other.high_hz, other.share]
            assert numbers == pytest.approx(expect, rel=1e-5, abs=1e-4)


def test_where_nothing_deviates_the_first_regime_is_the_nearest_and_there_are_no_reasons(
    tmp_path: Path, objects: dict[str, list[Path]]
) -> None:
    case = firmware.case(firmware.fitted(64), firmware.random_windows(10, 64, seed=6))
    calibration = case.bundle.calibration
    deaf = dataclasses.replace(calibration.bands, weight=(0.0,) * 96)
    bundle = dataclasses.replace(case.bundle, calibration=dataclasses.replace(calibration, bands=deaf))
    case = dataclasses.replace(case, bundle=bundle)
    found = firmware.run(on_host(tmp_path, case, "O0", objects), tmp_path, case)
    firmware.compare(found, case)
    assert found["regime"].tolist() == found["reasons"].tolist() == [0] * 10
    assert len(deaf.codes) > 1


def centered(center: float, power: float) -> firmware.Case:
    """Windows and a detector whose views' distances are all told in units of this center."""
    case = firmware.case(firmware.fitted(64), firmware.random_windows(10, 64, seed=7))
    change = {"center": float(np.float32(center)), "power": power}
    views = {name: dataclasses.replace(view, **change) for name, view in case.bundle.calibration.views.items()}
    calibration = dataclasses.replace(case.bundle.calibration, **views, threshold=1.0)
    return dataclasses.replace(case, bundle=dataclasses.replace(case.bundle, calibration=calibration))


@pytest.mark.parametrize(("center", "least", "most"), [(1e-4, 1000, 999_999), (1e-30, 1_000_000, 1_000_000)])
def test_a_view_adds_a_million_at_the_most(
    tmp_path: Path, objects: dict[str, list[Path]], center: float, least: float, most: float
) -> None:
    case = centered(center, 1.0)
    found = firmware.run(on_host(tmp_path, case, "sanitized", objects), tmp_path, case)
    firmware.compare(found, case)
    assert least <= found["score"].min() <= found["score"].max() <= most


def test_a_view_that_is_next_to_nothing_adds_nothing(tmp_path: Path, objects: dict[str, list[Path]]) -> None:
    """The third power of 1e-30 is no float32."""
    case = centered(1e30, 3.0)
    found = firmware.run(on_host(tmp_path, case, "sanitized", objects), tmp_path, case)
    assert found["score"].tolist() == 10 * [0.0]
    assert found["shares"].tolist() == 10 * [6 * [0.0]]


REASONS = """\
#include <cstdio>
#include <cstdlib>
#include "gyrovae/score.h"
using namespace gyrovae;
// Deviations of places in 3 axes of 32 bands, whose centers are 1, 2, ... 32 Hz: place=deviation, as arguments.
int main(int count, char **words) {
  static float hz[kBands], deviation[kAxes * kBands];
  for (int i = 0; i < kBands; i++) hz[i] = static_cast<float>(i + 1);
  for (int i = 1; i < count; i++) {
    char *value;
    const long place = std::strtol(words[i], &value, 10);
    deviation[place] = std::strtof(value + 1, nullptr);
  }
  Tables tables = {};
  tables.band_hz = hz;
  score::Reason found[3];
  const int kept = score::reasons(deviation, tables, found, 3);
  for (int i = 0; i < kept; i++) {
    const score::Reason &one = found[i];
    std::printf("%c%c %.1f-%.1f-%.1f %.2f\\n", "xyz"[one.axis], one.louder ? '+' : '-', double(one.low_hz),
                double(one.center_hz), double(one.high_hz), double(one.share));
  }
}
"""


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory, objects: dict[str, list[Path]]) -> Path:
    folder = tmp_path_factory.mktemp("reasons")
    (folder / "main.cpp").write_text(REASONS)
    return firmware.sanitized(folder / "by_hand", folder / "main.cpp", *objects["sanitized"])


@pytest.mark.parametrize(
    ("deviations", "told"),
    [
        ("", []),
        # Bands 0 and 1 of x are of one sign, and next to each other; of 4 + 9 + 3 parts they have 13.
        ("0=2 1=3 34=-1 66=-1 90=-1", ["x+ 0.5-2.0-2.5 0.81", "y- 2.5-3.0-3.5 0.06", "z- 2.5-3.0-3.5 0.06"]),
        # The last band of x and the first one of y are none, nor are two signs.
        ("31=1 32=1 64=-1 65=1", ["x+ 31.5-32.0-32.5 0.25", "y+ 0.5-1.0-1.5 0.25", "z- 0.5-1.0-1.5 0.25"]),
        # A larger share comes first, of equal ones the first: also where there is no room for the last.
        ("3=1 40=2 50=-2 70=3", ["z+ 6.5-7.0-7.5 0.50", "y+ 8.5-9.0-9.5 0.22", "y- 18.5-19.0-19.5 0.22"]),
        # Below 1 nothing counts, unless that is the largest there is.
        ("5=1 6=0.9 7=-0.5", ["x+ 5.5-6.0-6.5 0.49"]),
        ("5=-0.5 6=-0.5 9=0.25", ["x- 5.5-6.0-7.5 0.89"]),
    ],
)
def test_reasons_by_hand(by_hand: Path, deviations: str, told: list[str]) -> None:
    assert firmware.checked([by_hand, *deviations.split()], by_hand.parent).splitlines() == told


REAL = """\
#include <cstdio>
#include <cstdlib>
#include "gyrovae/real.h"
int main(int, char **words) {
  const float x = std::strtof(words[2], nullptr);
  const char which = words[1][0];
  const float y = which == 's' ? gyrovae::square_root(x) : which == 'l' ? gyrovae::log2(x) : gyrovae::exp2(x);
  std::printf("%.9g", double(y));
}
"""


def test_roots_logarithms_and_powers_by_hand(tmp_path: Path) -> None:
    """All the digits that a float32 has: the kernels have no library for them."""
    (tmp_path / "main.cpp").write_text(REAL)
    real = firmware.sanitized(tmp_path / "real", tmp_path / "main.cpp", firmware.COMPONENT / "real.cpp")
    for which, x, y in (
        *(("s", 2, 1.41421356), ("s", 3, 1.73205081), ("s", 1e12, 1e6), ("s", 1e-36, 1e-18), ("s", 0, 0)),
        *(("s", -1, 0), ("s", "nan", 0), ("l", 8, 3), ("l", 10, 3.32192809), ("l", 1.4, 0.485426827)),
        *(("l", 0.72, -0.473931188), ("l", 1e-6, -19.9315686), ("e", 3, 8), ("e", 0.49, 1.40444487)),
        *(("e", -0.49, 0.712025098), ("e", -20, 9.53674316e-07), ("e", 0, 1)),
    ):
        assert float(firmware.checked([real, which, str(x)], tmp_path)) == pytest.approx(y, rel=3e-7)
