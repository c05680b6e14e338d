"""Whether `monitor` keeps up: a stream at 1 kHz x 3 axes, as bytes of the line protocol, decided on this computer.

    python benchmarks/monitor.py RUN [--rate-hz 1000] [--seconds 60] [--hop 256]

RUN is a run or a bundle; its front end is taken for one at the rate asked for (nothing that takes time depends on the
rate). One process on one core: the time is that of parsing, windows, front end, model, score and reasons. "times real
time" says how much faster than the stream that is; 1 is just not too slow.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import platform
import time

import numpy as np

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.monitor import Monitor
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.wire import Banner, Parser, banner_line, sample_line
from gyrovae_tf.runtime import Detector, installed

CHUNK = 4096  # bytes that a port gives at once


def stream(bundle: Bundle, seconds: float) -> bytes:
    """A banner and the samples after it."""
    spec = bundle.spec
    rng = np.random.default_rng(0)
    counts = rng.normal(0, 300, (round(seconds * spec.rate_hz), 3)).astype(int).tolist()
    banner = Banner(sensor="benchmark", rate_hz=spec.rate_hz, lsb=spec.lsb, units=spec.units)
    lines = [sample_line(n, round(n * 1e6 / spec.rate_hz), *xyz) for n, xyz in enumerate(counts)]
    return b"\n" + banner_line(banner) + b"".join(lines)


def decided(content: bytes, detector: Detector | None, hop: int | None) -> tuple[float, int]:
    """Seconds of the processor that a stream takes, and windows; without a detector those of the parser alone."""
    monitor = Monitor(detector, hop=hop) if detector else None
    watched = Watched(monitor, "benchmark") if monitor else None
    parser = Parser()
    began = time.process_time()
    for start in range(0, len(content), CHUNK):
        events = parser.feed(content[start : start + CHUNK])
        if monitor and watched:
            for made in monitor.take(events, 0.0):
                watched(made)
    return time.process_time() - began, monitor.made if monitor else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--rate-hz", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the stream")
    parser.add_argument("--hop", type=int, action="append", help="samples; may be given several times")
    options = parser.parse_args()
    with contextlib.suppress(AttributeError):  # Linux alone
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bundle = Bundle.load(options.run)
    bundle = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, rate_hz=options.rate_hz), golden=None)
    window = bundle.spec.window
    content = stream(bundle, options.seconds)
    print(f"{platform.machine()}, Python {platform.python_version()}, one core; window {window} samples, ")
    print(f"{options.seconds:g} s of {options.rate_hz:g} Hz x 3 axes, {len(content):,} bytes\n")
    print(
        f"{'kernels':18} {'hop':>5} {'windows':>8} {'CPU s':>7} {'ms/window':>10} {'windows/s':>10} {'x real time':>12}"
    )
    spent, _ = decided(content, None, None)
    print(f"{'(parser alone)':18} {'':5} {'':8} {spent:7.2f} {'':10} {'':10} {options.seconds / spent:12.1f}")
    for kernels in installed():
        detector = Detector(bundle, kernels)
        decided(stream(bundle, 3 * window / options.rate_hz), detector, None)  # to be warm
        for hop in options.hop or [window, window // 4]:
            spent, made = decided(content, detector, hop)
            each = 1000 * spent / made
            print(
                f"{kernels:18} {hop:5} {made:8} {spent:7.2f} {each:10.2f} {made / spent:10.1f} "
                f"{options.seconds / spent:12.1f}"
            )


if __name__ == "__main__":
    main()
