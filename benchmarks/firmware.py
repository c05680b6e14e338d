"""What the portable firmware costs: instructions a window on an emulated Cortex-M4F, RAM, stack and flash.

    python benchmarks/firmware.py [--lengths 64 128 256 512 1024] [--windows 50] [--core cortex-m3] [--json]

Needs the Debian packages gcc-arm-none-eabi and qemu-system-arm, and the test extra. The component is compiled with the
flags of its CMakeLists.txt. Windows are of motion like that to which the front end was fitted (a tone and noise), then
those that no machine makes, of which the worst counts. The emulator gives an instruction a nanosecond, and the board's
timer counts 40 of them: a figure is off by at most 40, and holds the some ten instructions that read the timer.

With --core cortex-m3 they are those of a core without an FPU and without two products an instruction.
Instructions of a Cortex-M are not cycles, and neither are they those of an ESP32-S3: compare them with one another.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import portable_firmware as firmware

from gyrovae_tf.signal import frontend

STOCK = 1_639_891
"""Instructions of the reference's front end for a window of 256, float32, -O3 -ffast-math, on the same core."""
PARTS = ("front_end", "profiles", "score")
FITTED = 200  # windows


def motion(count: int, length: int) -> NDArray[np.int16]:
    """Windows of a machine: a tone of any phase, its octave, and noise."""
    rng = np.random.default_rng(length)
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 3))
    time = np.arange(length)[:, None]
    signal = 4000 * np.sin(0.7 * time + phase) + 900 * np.sin(1.4 * time + phase) + 4096 * np.array([0, 0, 1])
    return np.rint(signal + rng.normal(0, 400, signal.shape)).astype(np.int16)


def measured(core: firmware.Core, length: int, count: int, component: list[Path], folder: Path) -> dict[str, Any]:
    """The figures for windows of a length."""
    windows = motion(FITTED + count, length)
    spec = frontend.fit(windows[:FITTED], rate_hz=200, lsb=0.001, units="m/s^2")
    odd = firmware.degenerate(length)
    case = firmware.case(spec, np.concatenate([windows, np.stack(list(odd.values()))])).last(count + len(odd))
    case.write(firmware.header(folder, case) / "windows.bin")
    program = firmware.emulated(core, "measure", folder, component)
    firmware.checked([*program, "-icount", "shift=0"], folder)
    found = np.fromfile(folder / "results.bin", np.uint32)
    memory, stack = (int(value) for value in found[-2:])
    spent = found[:-2].reshape(len(case.windows), len(PARTS))
    worst = int(spent[count:, 0].argmax())
    code, tables = flash(folder / "measure.elf")
    return {
        "window": length,
        **{part: round(float(spent[:count, place].mean())) for place, part in enumerate(PARTS)},
        "front_end_worst": int(spent[count:, 0].max()),
        "front_end_worst_window": list(odd)[worst],
        "ram_bytes": memory,
        "stack_bytes": stack,
        "code_bytes": code,
        "table_bytes": tables,
    }


def flash(program: Path) -> tuple[int, int]:
    """Bytes of the component's functions in a program, and of the detector's tables (its model is not among them)."""
    names = firmware.checked([firmware.tool("arm-none-eabi-nm"), "--print-size", program], program.parent)
    code = tables = 0
    for line in names.splitlines():
        place, *size, _, name = line.split()
        if not size or int(place, 16) >= 0x20000000:  # in RAM
            continue
        if "gyrovae" in name:
            code += int(size[0], 16)
        elif name.startswith("nn_model_"):
            tables += int(size[0], 16)
    return code, tables


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--windows", type=int, default=50)
    parser.add_argument("--core", choices=["cortex-m4f", "cortex-m3"], default="cortex-m4f")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    core = firmware.CORES[options.core]
    for name in (f"{core.compiler}g++", f"{core.compiler}nm", core.emulator[0]):
        if shutil.which(name) is None:
            print(f"there is no {name} here: apt-get install {firmware.PACKAGES[name]}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        component = firmware.component_for(core, folder)
        rows = [measured(core, length, options.windows, component, folder) for length in options.lengths]
    if options.json:
        print(json.dumps({"core": options.core, "stock_front_end_256": STOCK, "lengths": rows}))
        return 0
    print("Instructions a window of three axes (typical: mean; worst: of windows that no machine makes), then bytes")
    print(f"{'window':>6} {'front end':>10} {'worst':>10} {'profiles':>9} {'score':>8}", end=" ")
    print(f"{'RAM':>7} {'stack':>6} {'code':>6} {'tables':>7}  worst window")
    for row in rows:
        print(f"{row['window']:6d} {row['front_end']:10,} {row['front_end_worst']:10,} {row['profiles']:9,}", end=" ")
        print(f"{row['score']:8,} {row['ram_bytes']:7,} {row['stack_bytes']:6,} {row['code_bytes']:6,}", end=" ")
        print(f"{row['table_bytes']:7,}  {row['front_end_worst_window']}")
    print(f"The reference's front end, windows of 256: {STOCK:,} instructions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
