"""The serial port of the ESP32's firmware as a UART: a line is sent or dropped, and nobody waits for long."""

from __future__ import annotations

from pathlib import Path

import portable_firmware as firmware
import pytest
from esp_firmware import INCLUDE, MAIN, STUBS, UART, sdkconfig

PATIENCE_MS, TICK_MS = 50, 1
SAMPLE_BYTES, WORD_BYTES = 33, 46  # of stubs/link.cpp
BAUD = 115200


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = sdkconfig(tmp_path_factory.mktemp("link"), "", UART)
    include = [option for path in (folder, *INCLUDE) for option in ("-I", path)]
    command = [firmware.tool("g++"), "-std=c++17", *firmware.SANITIZED, *include]
    firmware.checked([*command, STUBS / "link.cpp", MAIN / "link.cpp", "-o", folder / "link"], folder)
    return folder / "link"


def written(link: Path, **settings: float) -> dict[str, float]:
    said = firmware.checked([link, *(f"{name}={value}" for name, value in settings.items())], link.parent)
    return {name: float(value) for name, value in (line.split() for line in said.splitlines())}


@pytest.mark.parametrize("mended", [0, 1], ids=["all is free", "what is free"])
def test_what_the_line_carries_is_sent(link: Path, mended: int) -> None:
    found = written(link, mended=mended, every_us=1e6 / 208, seconds=60)
    assert found["samples"] == pytest.approx(60 * 208, abs=1)
    assert found["dropped"] == found["dropped_words"] == found["late_ms"] == 0


@pytest.mark.parametrize("mended", [0, 1], ids=["all is free", "what is free"])
def test_what_it_does_not_carry_is_dropped_and_nobody_waits(link: Path, mended: int) -> None:
    """Whatever the driver says of its buffer. Words are waited for, as long as that does not hold up the samples."""
    found = written(link, mended=mended, every_us=1e6 / 833, seconds=60)
    assert found["late_ms"] <= PATIENCE_MS + TICK_MS
    assert found["dropped_words"] == 0
    carried = 60 * BAUD / 10 / (SAMPLE_BYTES + WORD_BYTES / 100)
    assert found["samples"] - found["dropped"] == pytest.approx(carried, rel=0.03)
