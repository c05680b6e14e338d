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
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.device import wire
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.signal import frontend

WINDOW, RATE_HZ, WINDOWS = 64, 200, 12


@dataclass(frozen=True, eq=False)
class Script:
    """A detector, the windows that the sensor gives one after the other, and what the model and Python make of them."""

    bundle: Bundle
    windows: NDArray[np.int16]
    outputs: NDArray[np.int8]
    """[k, 2, 32, 32, 3]"""
    scores: NDArray[np.float64]
    scale: float
    zero_point: int
    """Of the model's second output."""

    def write(self, folder: Path) -> None:
        """The file script.bin that firmware/emulated/device.cpp includes."""
        samples = self.windows.reshape(-1, 3)
        head = struct.pack("<iifi", len(samples), len(self.windows), self.scale, self.zero_point)
        parts = [head, samples.tobytes(), bytes(-len(samples.tobytes()) % 4)]
        images = frontend.images(self.windows, self.bundle.spec)
        for image, output in zip(images, self.outputs, strict=True):
            parts += [struct.pack("<I", zlib.crc32(image.tobytes())), output.tobytes()]
        (folder / "script.bin").write_bytes(b"".join(parts))


def made_up(seed: int = 8, rate_hz: float = RATE_HZ) -> Script:
    """A detector with golden windows whose model is chance, and windows of all kinds: half of them are alarms."""
    case = firmware.case(firmware.fitted(WINDOW, rate_hz), firmware.random_windows(WINDOWS, WINDOW, seed), seed=seed)
    outputs = np.stack([np.zeros_like(case.outputs), case.outputs], axis=1)
    scores = case.scores().score
    golden = Golden(case.windows[:3], case.images[:3], outputs[:3], scores[:3], "tflm", "tflite-micro 1")
    calibration = dataclasses.replace(case.bundle.calibration, reach=1.5)
    bundle = dataclasses.replace(case.bundle, golden=golden, calibration=calibration)
    return Script(bundle, case.windows, outputs, scores, float(firmware.SCALE), firmware.ZERO_POINT)


def recorded(bundle: Bundle, windows: NDArray[np.int16]) -> Script:
    """A real detector, whose model runs here on the kernels that made its golden windows."""
    assert bundle.golden is not None
    detector = runtime.Detector(bundle, bundle.golden.kernels)
    golden = bundle.golden.windows[~(windows == bundle.golden.windows[:, None]).all(axis=(2, 3)).any(axis=1)]
    both = np.concatenate([windows, golden])
    outputs = np.stack(detector.model.reconstruct(frontend.images(both, bundle.spec)), axis=1)
    scores = detector.score_windows(both).score
    model = detector.model
    return Script(bundle, both, outputs, scores, float(model.field_scale), int(model.field_zero_point))


def built(folder: Path, script: Script, *, on: str) -> list[str | Path]:
    """The command that runs the device in `folder`: `on` is the name of an emulated core, or `host`."""
    emit_header(script.bundle, folder / "nn_model.h", golden=True)
    script.write(folder)
    if on != "host":
        core = firmware.CORES[on]
        component = firmware.component_for(core, folder)
        return firmware.emulated(core, "device", folder, component, beside="board_mps2", serial="pty")
    objects = firmware.compiled("g++", firmware.SANITIZED, folder)
    return firmware.on_host("device", folder, firmware.SANITIZED, objects, beside="board_host")


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
