"""How much memory and time recordings of any length take: windows cut out of one, or scored.

    python benchmarks/streaming.py [--samples 50_000_000] [--folder FOLDER] [--parquet] [--timestamps] [--bundle BUNDLE]
    python benchmarks/streaming.py --evaluate RUN [--jobs 2] ...

Writes a recording of so many samples (one simulated machine, an hour of it again and again) into FOLDER, unless it is
there, and reads it: prints the rate of each tenth, and the most memory that this process took. With --bundle its
windows are scored, too, on one core. With --evaluate it is evaluated instead, by so many processes, and the memory is
that of all of them. Needs Linux or macOS (--evaluate: Linux), and for --parquet the extra `scale`.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.runtime import Detector
from gyrovae_tf.streaming import Stream

RATE_HZ, LSB = 200.0, 0.0024
MOTION_S = 3600.0


def write(path: Path, samples: int, *, timestamps: bool) -> None:
    """The recording: rounded to the sensor's counts, as a sensor gives them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    motion = np.rint(simulate(seconds=MOTION_S, seed=1).samples / LSB) * LSB
    head = f'{{"rate_hz": {RATE_HZ}, "units": "m/s^2", "lsb": {LSB}}}'
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        schema = pyarrow.schema([(name, pyarrow.float64()) for name in "xyz"], metadata={"gyrovae": head})
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            for first in range(0, samples, len(motion)):
                part = motion[: samples - first]
                columns = [pyarrow.array(part[:, axis]) for axis in range(3)]
                writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema), row_group_size=1 << 18)
        return
    rows = [f"{x:.4f},{y:.4f},{z:.4f}" for x, y, z in motion.tolist()]
    text = "\n".join(rows) + "\n"
    with path.open("w") as file:
        file.write(f"# {head}\n" + ("timestamp,x,y,z\n" if timestamps else "x,y,z\n"))
        for first in range(0, samples, len(rows)):
            part = rows[: samples - first]
            if timestamps:
                file.write("".join(f"{(first + row) * 5},{values}\n" for row, values in enumerate(part)))
            else:
                file.write(text if len(part) == len(rows) else "\n".join(part) + "\n")


def most_mb() -> float:
    """The most memory that this process has had resident, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure(stream: Stream, detector: Detector | None) -> None:
    """Read all windows; print as they come."""
    began = before = time.perf_counter()
    rows, count, alarms = stream.facts.rows, 0, 0
    tenth = 1
    spec = None if detector is None else detector.bundle.spec
    window, lsb = (256, LSB) if spec is None else (spec.window, spec.lsb)
    for batch in stream.windows(window, window // 2, lsb):
        count += len(batch.starts)
        if detector is not None:
            alarms += int((detector.score_windows(batch.windows).score >= 1).sum())
        while batch.starts[-1] >= tenth * rows // 10 - 2 * window and tenth <= 10:
            now = time.perf_counter()
            print(f"  tenth {tenth:2}: {rows / 10 / (now - before):12,.0f} samples/s, {most_mb():6,.0f} MB", flush=True)
            before, tenth = now, tenth + 1
    seconds = time.perf_counter() - began
    print(f"{count:,} windows in {seconds:.1f} s: {rows / seconds:,.0f} samples/s, {count / seconds:,.0f} windows/s")
    if detector is not None:
        print(f"{alarms:,} alarms, kernels {detector.model.kernels}")


def resident_mb(process: int) -> float:
    """Memory of a process and of all that it has started, in MB, shared pages counted with each."""
    parents, resident = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(told["PPid"])
        resident[int(folder.name)] = int(told.get("VmRSS", "0 kB").split()[0]) / 1024
    family, before = {process}, 0
    while len(family) > before:
        before = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(resident.get(one, 0.0) for one in family)


def measure_evaluation(path: Path, run: str, jobs: int, kernels: str | None) -> None:
    """Evaluate it as normal motion; print as it goes on."""
    from gyrovae_tf.learn.evaluate import evaluate

    most, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            most[0] = max(most[0], resident_mb(os.getpid()))

    tenths = [(time.perf_counter(), 0)]

    def moved(done: int, total: int, what: str) -> None:
        now = time.perf_counter()
        if what == "a first look":
            print(f"first look: {now - tenths[0][0]:.1f} s", flush=True)
            tenths[:] = [(now, 0)]
        elif done >= total * len(tenths) / 10:
            rate = (done - tenths[-1][1]) / (now - tenths[-1][0])
            print(f"  {done / total:4.0%}: {rate:12,.0f} samples/s, {most[0]:6,.0f} MB", flush=True)
            tenths.append((now, done))

    threading.Thread(target=watch, daemon=True).start()
    began = time.perf_counter()
    found = evaluate(run, normal=[path], jobs=jobs, kernels=kernels, progress=moved)
    over.set()
    seconds, windows = time.perf_counter() - began, found.groups["normal"].windows
    print(f"{windows:,} windows in {seconds:.1f} s: {windows / seconds:,.0f} windows/s, at the most {most[0]:,.0f} MB")
    print(f"{found.groups['normal'].alarms:.2%} alarms, kernels {found.kernels}, processes: {jobs}")


def main() -> None:
    """Parse, write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--timestamps", action="store_true")
    parser.add_argument("--bundle")
    parser.add_argument("--kernels")
    parser.add_argument("--evaluate", metavar="RUN")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    name = f"streaming_{options.samples}{'_timestamps' if options.timestamps else ''}"
    path = options.folder / f"{name}.{'parquet' if options.parquet else 'csv'}"
    if not path.exists():
        write(path, options.samples, timestamps=options.timestamps)
    if options.evaluate:
        measure_evaluation(path, options.evaluate, options.jobs, options.kernels)
        return
    print(f"{path}: {path.stat().st_size / 1e6:,.0f} MB; memory before reading {most_mb():,.0f} MB")
    began = time.perf_counter()
    stream = Stream.open(path)
    print(f"first look: {time.perf_counter() - began:.1f} s for {stream.facts.rows:,} samples, {most_mb():,.0f} MB")
    measure(stream, None)
    if options.bundle:
        measure(stream, Detector(options.bundle, options.kernels))


if __name__ == "__main__":
    main()
