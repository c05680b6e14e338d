"""What a window costs the device: instructions on an emulated Cortex-M4F, and RAM, by benchmarks/firmware.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import portable_firmware as firmware
import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "firmware.py"


@pytest.mark.slow
def test_a_window_of_256_costs_half_of_what_the_reference_needs(tmp_path: Path) -> None:
    for name in ("arm-none-eabi-g++", "arm-none-eabi-nm", "qemu-system-arm"):
        firmware.tool(name)
    command = [sys.executable, BENCHMARK, "--lengths", "256", "--windows", "5", "--json"]
    found = json.loads(firmware.checked(command, tmp_path))
    assert found["stock_front_end_256"] == 1_639_891
    (row,) = found["lengths"]
    assert row["window"] == 256
    assert 100_000 < row["front_end"] <= row["front_end_worst"] <= 820_000
    assert 0 < row["profiles"] + row["score"] < row["front_end"]
    assert row["ram_bytes"] + row["stack_bytes"] <= 16 * 1024
    assert row["ram_bytes"] > 8 * 1024
    assert 2_000 < row["code_bytes"] < 16 * 1024
    assert 4_000 < row["table_bytes"] < 32 * 1024
