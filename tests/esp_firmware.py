"""The ESP32's part of the firmware, where tests can compile it: its folders, its settings, Espressif's own tools."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import portable_firmware as firmware
import pytest

MAIN = firmware.FIRMWARE / "main"
TFLM = firmware.FIRMWARE / "components" / "gyrovae_tflm"
STUBS = Path(__file__).parent / "stubs"
KCONFIGS = (MAIN / "Kconfig.projbuild", TFLM / "Kconfig")
INCLUDE = (MAIN, TFLM / "include", firmware.COMPONENT / "include", STUBS)
USB = "#define CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG 1\n"
UART = (
    "#define CONFIG_ESP_CONSOLE_UART 1\n#define CONFIG_ESP_CONSOLE_UART_NUM 0\n"
    "#define CONFIG_ESP_CONSOLE_UART_BAUDRATE 115200\n"
)
MODULES = {
    "kconfcheck": "esp-idf-kconfig",
    "kconfgen": "esp-idf-kconfig",
    "idf_component_manager": "idf-component-manager",
}


def module(name: str) -> str:
    """A Python module of Espressif's tools, which has to be there in CI; elsewhere the test is skipped."""
    if importlib.util.find_spec(name) is None:
        message = f"there is no {name} here: pip install {MODULES[name]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return name


def sdkconfig(folder: Path, settings: str, console: str) -> Path:
    """A folder in, and sdkconfig.h in it as ESP-IDF makes it of our Kconfig files and of settings."""
    folder.mkdir(parents=True, exist_ok=True)
    kconfig, defaults, header = folder / "Kconfig", folder / "defaults", folder / "sdkconfig.h"
    kconfig.write_text('mainmenu "test"\n' + "".join(f'source "{path}"\n' for path in KCONFIGS))
    defaults.write_text(settings)
    command = [sys.executable, "-m", module("kconfgen"), "--kconfig", kconfig, "--defaults", defaults]
    firmware.checked([*command, "--output", "header", header], folder)
    with header.open("a") as file:
        file.write(f"#define CONFIG_FREERTOS_HZ 1000\n{console}")
    return folder
