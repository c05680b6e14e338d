"""How fast the `power` front end is on this machine: windows a second by stage, beside the plain version of the tests.

    python benchmarks/frontend.py [--windows 2000] [--length 256]

One process; BLAS may use more than one thread unless OPENBLAS_NUM_THREADS=1 is set. Compare ratios of one run: the
absolute figures are those of a machine and of what else it does.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.mtf import field
from gyrovae_tf.signal.scalogram import log_power

CHUNK = 64  # as in `images`
REPEATS = 5


def plain_frontend() -> ModuleType:
    """tests/plain_frontend.py: a test's module, on no path of ours."""
    path = Path(__file__).resolve().parents[1] / "tests" / "plain_frontend.py"
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def best_s(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """The shortest of several runs: what else the machine does only ever adds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def each(run: Callable[[Any], object], parts: list[Any]) -> None:
    """Keeps no result: memory that is new each time would take as long as the stage itself."""
    for part in parts:
        run(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    count = options.windows
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 3))
    signal = 4000 * np.sin(0.7 * np.arange(options.length)[:, None] + phase) + rng.normal(0, 400, phase.shape)
    windows = np.rint(signal + rng.normal(0, 400, signal.shape)).astype(np.int16)
    spec = frontend.fit(windows[:200], rate_hz=200, lsb=0.001, units="m/s^2")
    edges = np.array(spec.field_edges)
    parts = [windows[start : start + CHUNK] for start in range(0, count, CHUNK)]

    whole = best_s(lambda: frontend.images(windows, spec))
    stages = {
        "log_power": best_s(lambda: each(lambda part: log_power(part, spec.bands), parts)),
        "field": best_s(lambda: each(lambda part: field(part, edges), parts)),
    }
    stages["pixels"] = whole - sum(stages.values())
    fitting = best_s(lambda: frontend.fit(windows, rate_hz=200, lsb=0.001, units="m/s^2"), 2)

    tracemalloc.start()
    images = frontend.images(windows, spec)
    peak = tracemalloc.get_traced_memory()[1] - images.nbytes
    tracemalloc.stop()

    plain = plain_frontend()
    few = windows[:4].tolist()
    slow = best_s(lambda: [plain.images(window, spec) for window in few], 2) / len(few)
    equal = all(image.tolist() == plain.images(window, spec) for window, image in zip(few, images, strict=False))

    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    print(f"{count} windows of {options.length} x 3, the best of {REPEATS} runs")
    print(f"images            {count / whole:10.0f} windows/s   {1e6 * whole / count:8.1f} us a window")
    for name, seconds in stages.items():
        print(f"  {name:<15} {count / seconds:10.0f} windows/s   {1e6 * seconds / count:8.1f} us a window")
    print(f"fit               {count / fitting:10.0f} windows/s   {1e6 * fitting / count:8.1f} us a window")
    print(f"plain version     {1 / slow:10.1f} windows/s   {1e6 * slow:8.0f} us a window")
    print(f"images is {slow * count / whole:.0f} times as fast as the plain version, pixels equal: {equal}")
    print(f"memory of images beside its output: {peak / 2**20:.1f} MiB at the most")
    print(f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
