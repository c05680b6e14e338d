"""How much memory and time it takes to preprocess a recording larger than memory should hold, and to train on it.

    python benchmarks/sharded.py [--samples 50_000_000] [--folder FOLDER] [--parquet] [--hop 64] [--jobs N]
        [--epochs 10] [--quantize]

Writes the recording of benchmarks/streaming.py into FOLDER, unless it is there, and runs `gyrovae-tf preprocess`,
`train` and `quantize` on it as a user would: prints the rate of each tenth of the windows, and the most memory that the
command and all its processes had resident together. At the default hop, 50 million samples need 8 GB of disk. Needs
Linux, and for --parquet the extra `scale`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streaming import write

EVERY_S = 0.1


def resident_mb(pid: int) -> float:
    """Memory that a process and all that it started have resident, in MB; what they share counts for each."""
    children: dict[int, list[int]] = {}
    pages: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        pages[int(folder.name)] = int(fields[21])
    found, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        found += pages.get(one, 0)
        waiting += children.get(one, [])
    return found * 4096 / 1e6


def run(words: list[str], look: Callable[[float, float], None] = lambda *_: None) -> None:
    """Run a command of ours; print its time and the most memory. `look` is called with both now and then."""
    began, most = time.perf_counter(), 0.0
    print(f"gyrovae-tf {' '.join(words)}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", "gyrovae_tf.cli.main", *words])
    while process.poll() is None:
        most = max(most, resident_mb(process.pid))
        look(time.perf_counter() - began, most)
        time.sleep(EVERY_S)
    if process.returncode:
        sys.exit(process.returncode)
    print(f"  {time.perf_counter() - began:.1f} s, at the most {most:,.0f} MB resident", flush=True)


def tenths(done: Path, windows: int) -> Callable[[float, float], None]:
    """A look at the shards in a folder that prints the rate of each tenth of them as it comes."""
    shards = -(-windows // 4096)
    began, counted, tenth = 0.0, 0, 1

    def look(seconds: float, most: float) -> None:
        nonlocal began, counted, tenth
        found = len(list(done.glob("*.json")))
        if found and not counted:
            print(f"  looking at all of it, and the first shards: {seconds:.1f} s, {most:,.0f} MB", flush=True)
            began, counted = seconds, found
        elif found >= max(tenth * shards / 10, counted + 1) and tenth <= 10:
            rate = (found - counted) * 4096 / (seconds - began)
            print(f"  tenth {tenth:2}: {rate:8,.0f} windows/s, {most:6,.0f} MB", flush=True)
            began, counted, tenth = seconds, found, tenth + 1

    return look


def main() -> None:
    """Parse, write, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--hop", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--quantize", action="store_true")
    options = parser.parse_args()
    path = options.folder / f"streaming_{options.samples}.{'parquet' if options.parquet else 'csv'}"
    if not path.exists():
        write(path, options.samples, timestamps=False)
    dataset, trained = options.folder / "sharded_dataset", options.folder / "sharded_run"
    for folder in (dataset, dataset.with_name("sharded_dataset.parts"), trained):
        shutil.rmtree(folder, ignore_errors=True)
    windows = (options.samples - 256) // options.hop + 1
    print(f"{path}: {path.stat().st_size / 1e6:,.0f} MB, {windows:,} windows of 256 every {options.hop}")
    look = tenths(dataset.with_name("sharded_dataset.parts") / "done", windows)
    run(["preprocess", str(path), "-o", str(dataset), "--hop", str(options.hop), "--jobs", str(options.jobs)], look)
    size = sum(file.stat().st_size for file in dataset.iterdir())
    print(f"{dataset}: {size / 1e6:,.0f} MB in {len(list(dataset.iterdir())):,} files")
    run(["train", str(dataset), "-o", str(trained), "--epochs", str(options.epochs)])
    if options.quantize:
        run(["quantize", str(trained)])


if __name__ == "__main__":
    main()
