"""How many lines a second the PC parses and collects, and what share of a core a stream of 1 kHz takes.

    python benchmarks/serial_lines.py

Parsing is the parser alone, on lines in memory. Collecting is `collect` on a pretend device over TCP, which has a
process of its own: reading, parsing, ordering, writing and fsync; its processor time is that of this process, and in
real time includes what waiting for 1,000 lines a second costs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gyrovae_tf.device.collect import collect
from gyrovae_tf.device.stream import Stream
from gyrovae_tf.device.wire import Banner, Parser, banner_line, sample_line, stock_line

_LINES = 200_000
_CHUNK = 4096
_RATE_HZ = 1000.0


def lines_a_second(stream: bytes, parser: Parser | Stream) -> float:
    """Lines in `stream` over the processor time that `parser` takes for it."""
    began = time.process_time()
    for start in range(0, len(stream), _CHUNK):
        chunk = stream[start : start + _CHUNK]
        if isinstance(parser, Stream):
            parser.feed(chunk, 0.0)
        else:
            parser.feed(chunk)
    return stream.count(b"\n") / (time.process_time() - began)


def collected(speed: str, samples: int, folder: Path) -> tuple[float, float]:
    """Samples a second of real time, and of processor time, of a collection of so many."""
    command = [sys.executable, "-m", "gyrovae_tf.cli.main", "simulate", "--tcp", "0"]
    command += ["--rate-hz", str(_RATE_HZ), "--speed", speed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        port = device.stdout.readline().strip()
        wall, used = time.perf_counter(), time.process_time()
        try:
            done = collect(port, folder / f"{speed}.csv", samples=samples)
        finally:
            device.terminate()
        wall, used = time.perf_counter() - wall, time.process_time() - used
    assert len(done.recording) == samples
    assert done.facts["lost"] == 0
    return samples / wall, samples / used


def main() -> int:
    """Measure and print."""
    samples = [(i, 1000 * i, i % 16000 - 8000, -i % 333, i % 7777) for i in range(_LINES)]
    ours = b"\n" + b"".join(sample_line(*sample) for sample in samples)
    stock = b"\n" + b"".join(stock_line(x * 0.01, y * 0.01, z * 0.01, 1) for _, _, x, y, z in samples)
    print(f"parsed, ours:  {lines_a_second(ours, Parser()):10,.0f} lines a second of processor time")
    print(f"parsed, stock: {lines_a_second(stock, Parser()):10,.0f}")
    stream = Stream()
    stream.feed(b"\n" + banner_line(Banner(sensor="x", rate_hz=_RATE_HZ, lsb=0.01)), 0.0)
    print(f"put in order:  {lines_a_second(ours, stream):10,.0f}")
    with tempfile.TemporaryDirectory() as folder:
        wall, used = collected("max", _LINES, Path(folder))
        print(f"collected:     {used:10,.0f} samples a second of processor time; {wall:,.0f} of real time")
        _, used = collected("1", 10_000, Path(folder))
        print(f"in real time, {_RATE_HZ:g} samples a second take {100 * _RATE_HZ / used:.1f} % of a core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
