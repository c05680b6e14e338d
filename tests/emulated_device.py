"""The firmware behind a serial port, on an emulated Cortex-M4F or on this machine, with a script for its sensor."""

from __future__ import annotations

import dataclasses
import os
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import portable_firmware as firmware
import serial

from gyrovae_tf.cgen import emit_header
from gyrovae_tf.device import wire
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import expected_sums, profiles, score

WINDOW, RATE_HZ, WINDOWS = 64, 200, 12
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def case(seed: int = 8) -> firmware.Case:
    """A detector with golden windows, and the windows of the script with what the model makes of them."""
    made = firmware.case(firmware.fitted(WINDOW), firmware.random_windows(WINDOWS, WINDOW, seed), seed=seed)
    outputs = np.stack([np.zeros_like(made.outputs), made.outputs], axis=1)
    golden = Golden(made.windows[:3], made.images[:3], outputs[:3], made.scores().score[:3], "tflm", "tflite-micro 1")
    calibration = dataclasses.replace(made.bundle.calibration, reach=1.5)
    return dataclasses.replace(made, bundle=dataclasses.replace(made.bundle, golden=golden, calibration=calibration))


def write_script(case: firmware.Case, folder: Path, *, pause_us: int = 0) -> None:
    """The file script.bin that firmware/emulated/device.cpp includes."""
    samples = case.windows.reshape(-1, 3)
    parts = [struct.pack("<iiI", len(samples), len(case.windows), pause_us), samples.tobytes()]
    parts.append(bytes(-len(samples.tobytes()) % 4))
    for images, output in zip(case.images, case.outputs, strict=True):
        parts += [struct.pack("<I", zlib.crc32(images.tobytes())), bytes(output.nbytes), output.tobytes()]
    (folder / "script.bin").write_bytes(b"".join(parts))


def built(folder: Path, case: firmware.Case, *, on: str, pause_us: int = 0) -> list[str | Path]:
    """The command that runs the device in `folder`: `on` is the name of an emulated core, or `host`."""
    emit_header(case.bundle, folder / "nn_model.h", golden=True)
    write_script(case, folder, pause_us=pause_us)
    if on != "host":
        core = firmware.CORES[on]
        component = firmware.component_for(core, folder)
        return firmware.emulated(core, "device", folder, component, beside="board_mps2", serial="pty")
    include = ["-I", folder, "-I", firmware.COMPONENT / "include", f"-Wa,-I{folder}"]
    sources = [firmware.EMULATED / "device.cpp", firmware.EMULATED / "board_host.cpp"]
    objects = firmware.compiled("g++", SANITIZED, folder)
    command = [
        firmware.tool("g++"),
        *firmware.PORTABLE,
        *SANITIZED,
        *include,
        *sources,
        *objects,
        "-o",
        folder / "device",
    ]
    firmware.checked(command, folder)
    return [folder / "device"]


@dataclass
class Device:
    """A running device, and what has been read of it."""

    process: subprocess.Popen[bytes]
    port: str
    """The path of its serial port, where it has one."""
    link: IO[bytes] | serial.Serial
    parser: wire.Parser
    waiting: list[wire.Event]

    def send(self, *words: str) -> None:
        """Say something to it."""
        self.link.write("".join(f"{word}\n" for word in words).encode())
        self.link.flush()

    def event(self, kind: type[wire.Event], timeout_s: float = 30) -> wire.Event:
        """The next event of a kind; what comes before it is gone."""
        end = time.monotonic() + timeout_s
        while True:
            while self.waiting:
                found = self.waiting.pop(0)
                if isinstance(found, kind):
                    return found
            assert time.monotonic() < end, f"no {kind.__name__} in {timeout_s} s; {self.parser.counts}"
            assert self.process.poll() is None, "the device has ended"
            self.waiting += self.parser.feed(self._read())

    def _read(self) -> bytes:
        if isinstance(self.link, serial.Serial):
            return self.link.read(max(self.link.in_waiting, 1))
        return os.read(self.process.stdout.fileno(), 4096) if self.process.stdout else b""


@contextmanager
def running(command: list[str | Path], folder: Path) -> Iterator[Device]:
    """A device that runs until the end of the block."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if len(command) == 1:
            yield Device(process, "", process.stdin, wire.Parser(), [])
            return
        # "char device redirected to /dev/pts/3 (label serial0)"
        said = process.stdout.readline().decode()
        port = re.search(r"redirected to (\S+)", said)
        assert port, said
        with serial.Serial(port[1], timeout=0.1) as link:
            yield Device(process, port[1], link, wire.Parser(), [])
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def scores(case: firmware.Case) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What Python makes of the script's windows."""
    sums = expected_sums(case.outputs, float(firmware.SCALE), firmware.ZERO_POINT)
    seen = profiles(case.images, (np.zeros_like(sums), sums), case.bundle.spec, means(case.windows))
    return score(seen, case.bundle.calibration).score
