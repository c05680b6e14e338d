"""How fast the `stock` front end is on this machine: windows a second, for several numbers of windows at once.

    python benchmarks/stock.py [--windows 4096]

One process; BLAS may use more than one thread unless OPENBLAS_NUM_THREADS=1 is set.
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np

from gyrovae_tf.signal.stock import stock_images, to_int8

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=4096)
    count = parser.parse_args().windows
    windows = np.random.default_rng(0).normal(0, 3, (count, 256, 3)).astype(np.float32)
    stock_images(windows[:1])  # builds the tables
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}")
    for size in sorted({1, 16, 256, count}):
        part, times = windows[:size], []
        for _ in range(REPEATS):
            start = time.perf_counter()
            scalogram, field = stock_images(part)
            to_int8(scalogram, 0.125)
            to_int8(field, 0.125)
            times.append(time.perf_counter() - start)
        print(f"{size:6} at once: {size / min(times):8.0f} windows/s")


if __name__ == "__main__":
    main()
