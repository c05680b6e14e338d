"""The portable firmware, compiled and run by tests: windows in, what it makes of them out, and what Python makes."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import SIZES, WIDE, Calibration, View
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import Profiles, Scores, expected_sums, profiles, score
from gyrovae_tf.spec import Spec

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
COMPONENT = FIRMWARE / "components" / "gyrovae"
EMULATED = FIRMWARE / "emulated"
CMAKE = COMPONENT / "CMakeLists.txt"
SCALE, ZERO_POINT = np.float32(0.03125), -3
"""Of the model's second output, as these tests have it."""
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
PORTABLE = ("-std=c++17", "-fno-exceptions", "-fno-rtti", *STRICT)
RESULT = np.dtype(
    [
        ("images", "i1", (2, 32, 32, 3)),
        *((name, "<i4") for name in ("alarm", "event", "regime", "reasons")),
        ("score", "<f4"),
        ("shares", "<f4", (len(SIZES),)),
        ("deviation", "<f4", (3, 32)),
        (
            "reason",
            [("axis", "<i4"), ("louder", "<i4"), *((n, "<f4") for n in ("center_hz", "low_hz", "high_hz", "share"))],
            (3,),
        ),
    ]
)
"""What firmware/emulated/parity.cpp writes for a window."""


PACKAGES = {
    "arm-none-eabi-g++": "gcc-arm-none-eabi",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-nm": "binutils-arm-none-eabi",
    "clang++": "clang libclang-rt-dev",
    "cppcheck": "cppcheck",
    "g++": "g++",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "riscv64-unknown-elf-g++": "gcc-riscv64-unknown-elf",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
}
"""Program -> Debian's package of it."""


def tool(name: str) -> str:
    """The path of a program, which has to be there in CI; elsewhere the test is skipped."""
    found = shutil.which(name)
    if found is None:
        message = f"there is no {name} here: apt-get install {PACKAGES[name]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def checked(command: list[str | Path], folder: Path, timeout_s: float = 600) -> str:
    """Run a program to its end; its standard output. What it says when it fails is the test's failure."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


def compiled(compiler: str, flags: tuple[str, ...], folder: Path) -> list[Path]:
    """The component's object files, compiled in a folder unless they are there."""
    sources = sorted(COMPONENT.glob("*.cpp"))
    objects = [folder / f"{source.stem}.o" for source in sources]
    for source, target in zip(sources, objects, strict=True):
        if not target.exists():
            command = [tool(compiler), *PORTABLE, *flags, "-I", COMPONENT / "include", "-c", source, "-o", target]
            checked(command, folder)
    return objects


SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""Flags of a build that ends where something is read or written out of bounds, or overflows."""


def sanitized(target: Path, *sources: Path, include: Iterable[Path] = (), flags: Iterable[str] = ()) -> Path:
    """C++ sources, or objects built like it, in; a program of this machine, made at `target` with those flags, out.

    It finds the component's headers behind those of the folders in `include`.
    """
    folders = [option for path in (*include, COMPONENT / "include") for option in ("-I", path)]
    command = [tool("g++"), "-std=c++17", *flags, *SANITIZED, *folders, *sources, "-o", target]
    checked(command, target.parent)
    return target


def on_host(
    program: str, folder: Path, flags: tuple[str, ...], objects: list[Path], *, beside: str = "channel_host"
) -> list[str | Path]:
    """The command that runs firmware/emulated/<program>.cpp on this machine, made in `folder` with what lies there."""
    include = ["-I", folder, "-I", COMPONENT / "include", f"-Wa,-I{folder}"]
    sources = [EMULATED / f"{program}.cpp", EMULATED / f"{beside}.cpp"]
    command = [tool("g++"), *PORTABLE, *flags, *include, *sources, *objects]
    checked([*command, "-o", folder / program], folder)
    return [folder / program]


# --- emulated cores ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Core:
    """A microcontroller that QEMU emulates, and how programs for it are made."""

    compiler: str
    """As in arm-none-eabi-gcc, without gcc."""
    flags: tuple[str, ...]
    start: str
    """Source of what runs before main."""
    script: str
    """The linker's."""
    linking: tuple[str, ...]
    emulator: tuple[str, ...]


def _cortex_m(flags: str, board: str, flash: int, ram: int) -> Core:
    sizes = (f"-Wl,--defsym=flash_size={flash}", f"-Wl,--defsym=ram_size={ram}")
    emulator = ("qemu-system-arm", "-M", board)
    return Core("arm-none-eabi-", (*flags.split(), "-mthumb"), "start_cortex_m.c", "cortex_m.ld", sizes, emulator)


CORES = {
    "cortex-m4f": _cortex_m("-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16", "mps2-an386", 1 << 22, 1 << 16),
    "cortex-m3": _cortex_m("-mcpu=cortex-m3 -mfloat-abi=soft", "mps2-an385", 1 << 22, 1 << 16),
    "cortex-m0": _cortex_m("-mcpu=cortex-m0 -mfloat-abi=soft", "microbit", 1 << 18, 1 << 14),
    "rv32imc": Core(
        "riscv64-unknown-elf-",
        ("-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32", "-mcmodel=medany"),
        "start_riscv.S",
        "riscv.ld",
        (),
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none"),
    ),
}
"""The first has an FPU and two products an instruction, the others neither. None of these programs has a C library."""
_BARE = ("-ffreestanding", "-fno-threadsafe-statics", "-ffunction-sections", "-fdata-sections")


def component_flags() -> tuple[str, ...]:
    """The compiler's flags that the component's CMakeLists.txt asks for."""
    found = re.search(r"target_compile_options\(\$\{COMPONENT_LIB\} PRIVATE ([^)]*)\)", CMAKE.read_text())
    assert found is not None
    return tuple(found[1].split())


def component_for(core: Core, folder: Path) -> list[Path]:
    """The component's object files for a core, compiled in a folder unless they are there."""
    return compiled(f"{core.compiler}g++", (*component_flags(), *core.flags, *_BARE), folder)


def emulated(
    core: Core,
    program: str,
    folder: Path,
    component: list[Path],
    *,
    beside: str = "channel_semihosting",
    serial: str = "none",
) -> list[str | Path]:
    """The command that runs firmware/emulated/<program>.cpp; `folder` holds nn_model.h and gets the ELF file.

    `beside` is another source of the program, `serial` what QEMU makes of the core's first serial port.
    """
    gcc, gxx = f"{core.compiler}gcc", f"{core.compiler}g++"
    include = ("-I", folder, "-I", COMPONENT / "include", f"-Wa,-I{folder}")
    objects = []
    for source in (f"{program}.cpp", f"{beside}.cpp", core.start, "memory.c"):
        target = folder / f"{source}.o"
        if source.endswith(".cpp"):
            command = [tool(gxx), *PORTABLE, "-O2", *core.flags, *_BARE, *include]
        else:  # without the last one, memcpy would be made of a call of memcpy
            command = [tool(gcc), *STRICT, "-O2", *core.flags, *_BARE[:1], "-fno-tree-loop-distribute-patterns"]
        checked([*command, "-c", EMULATED / source, "-o", target], folder)
        objects.append(target)
    elf = folder / f"{program}.elf"
    linking = ("-nostdlib", "-T", EMULATED / core.script, *core.linking, "-Wl,--gc-sections", "-Wl,--fatal-warnings")
    checked([tool(gcc), *core.flags, *objects, *component, *linking, "-lgcc", "-o", elf], folder)
    quiet = ("-nographic", "-monitor", "none", "-serial", serial)
    semihosting = ("-semihosting-config", "enable=on,target=native")
    return [tool(core.emulator[0]), *core.emulator[1:], *quiet, *semihosting, "-kernel", elf]


# --- what is run ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A detector, windows, and what Python makes of them."""

    bundle: Bundle
    windows: NDArray[np.int16]
    outputs: NDArray[np.int8]
    """[k, 32, 32, 3] the model's second output: any will do."""

    def last(self, count: int) -> Case:
        """The same detector and the last windows only."""
        return Case(self.bundle, self.windows[-count:], self.outputs[-count:])

    @property
    def images(self) -> NDArray[np.int8]:
        return frontend.images(self.windows, self.bundle.spec)

    def scores(self) -> Scores:
        sums = expected_sums(self.outputs, float(SCALE), ZERO_POINT)
        nothing = np.zeros((len(self.windows), 3, 32))
        seen = profiles(self.images, (nothing, sums), self.bundle.spec, means(self.windows))
        return score(seen, self.bundle.calibration)

    def write(self, path: Path) -> None:
        """The file that firmware/emulated/parity.cpp reads."""
        with path.open("wb") as file:
            file.write(np.int32(len(self.windows)).tobytes() + SCALE.tobytes() + np.int32(ZERO_POINT).tobytes())
            for window, output in zip(self.windows, self.outputs, strict=True):
                file.write(window.tobytes() + output.tobytes())


def case(spec: Spec, windows: NDArray[np.int16], *, seed: int = 0, quarters: bool = True, tilt: bool = False) -> Case:
    """A spec and windows in, a case with a calibration to their measure out: about half of the windows are alarms."""
    rng = np.random.default_rng(seed)
    outputs = rng.integers(-128, 128, (len(windows), 32, 32, 3)).astype(np.int8)
    images = frontend.images(windows, spec)
    sums = expected_sums(outputs, float(SCALE), ZERO_POINT)
    seen = profiles(images, (np.zeros_like(sums), sums), spec, means(windows))
    calibration = Calibration(
        bands=_view("bands", seen, 7, rng),
        groups=_view("groups", seen, 5, rng, mixed=True),
        quarters=_view("quarters", seen, 6, rng) if quarters else None,
        rhythm=_view("rhythm", seen, 64 if tilt else 4, rng),
        level=_view("level", seen, 3, rng, mixed=True),
        tilt=_view("tilt", seen, 2, rng, mixed=True) if tilt else None,
        threshold=1.0,
        false_alarm_rate=0.001,
        held_back_windows=100,
        vote_alarms=3,
        vote_windows=5,
    )
    calibration = dataclasses.replace(calibration, threshold=_between(score(seen, calibration).score))
    bundle = Bundle(b"\x1c\x00\x00\x00TFL3" + rng.bytes(40), spec, calibration, ("CONV_2D",), None, {}, {})
    return Case(bundle, windows, outputs)


def _between(scores: NDArray[np.float64]) -> float:
    """A threshold that about half of the scores reach, and that none is near: where the middle ones leave a gap."""
    middle = np.sort(scores)[int(0.4 * len(scores)) : max(int(0.6 * len(scores)), int(0.4 * len(scores)) + 2)]
    widest = int(np.argmax(np.diff(middle)))
    return float(np.float32((middle[widest] + middle[widest + 1]) / 2))


def _view(name: str, seen: Profiles, regimes: int, rng: np.random.Generator, *, mixed: bool = False) -> View:
    """Regimes about some of the windows, everything else by chance."""
    size, values = SIZES[name], seen.seen[name]
    largest = 32767 if name in WIDE else 127
    codes = values[rng.integers(0, len(values), regimes)] + rng.integers(-3, 4, (regimes, size))
    triangle = [rng.normal(0, 0.3, i + 1) + (np.arange(i + 1) == i) for i in range(size)] if mixed else []
    spread = np.maximum(values.std(axis=0), 1.0)
    return View(
        codes=tuple(tuple(int(v) for v in row) for row in np.clip(np.rint(codes), -largest, largest)),
        weight=_singles(rng.uniform(0.5, 2.0, size) / spread),
        scatter=_singles(rng.uniform(0.7, 3.0, regimes)),
        mixing=tuple(_singles(row) for row in triangle),
        residual_weight=_singles(rng.uniform(0.005, 0.1, size)) if name == "rhythm" else (),
        center=_singles(rng.uniform(0.5, 2.0, 1))[0],
        power=_singles(rng.uniform(0.6, 3.0, 1))[0],
    )


def _singles(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in values.astype(np.float32))


@lru_cache(maxsize=8)
def fitted(length: int, rate_hz: float = 200) -> Spec:
    """A front end for motion of a machine."""
    rng = np.random.default_rng(length)
    motion = np.concatenate([random_windows(60, length, seed=1), rng.normal(0, 900, (60, length, 3)).astype(np.int16)])
    return frontend.fit(motion, rate_hz=rate_hz, lsb=0.001, units="m/s^2")


def random_windows(count: int, length: int, seed: int) -> NDArray[np.int16]:
    """int16 windows [count, length, 3]; each axis of each is of a kind, an amplitude and an offset of its own."""
    rng = np.random.default_rng([seed, length])
    rows = 3 * count
    amplitude = np.exp2(rng.uniform(-1, 16.5, (rows, 1)))  # from less than a count to beyond the range
    time = np.arange(length)
    frequency, phase = rng.uniform(0, 0.5, (rows, 1)), rng.uniform(0, 2 * np.pi, (rows, 1))
    white, sine = rng.normal(0, 1, (rows, length)), np.sin(2 * np.pi * frequency * time + phase)
    flat = rng.uniform(-1, 1, (rows, length))
    impulses = np.where(rng.uniform(0, 1, (rows, length)) < 0.02, flat, 0)
    walk = np.cumsum(white, axis=1) / np.sqrt(length)
    mixture = 0.5 * sine + 0.1 * white + impulses
    bursts = white * (np.sin(2 * np.pi * time / length * rng.integers(1, 9, (rows, 1))) > 0)
    kinds = np.stack([white, flat, sine, np.sign(sine), impulses, walk, mixture, bursts])
    signal = kinds[rng.integers(0, len(kinds), rows), np.arange(rows)] * amplitude
    signal += np.where(rng.uniform(0, 1, (rows, 1)) < 0.5, rng.integers(-32768, 32768, (rows, 1)), 0)
    signal *= rng.uniform(0, 1, (rows, 1)) > 0.03  # an axis that is dead
    counts = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return counts.reshape(count, 3, length).swapaxes(1, 2).copy()


def degenerate(length: int) -> dict[str, NDArray[np.int16]]:
    """Windows [length, 3] that no machine makes, and that sensors do."""
    rng = np.random.default_rng(length)
    step, zero = np.arange(length), np.zeros(length)
    flip = np.where(step % 2, 32767, -32768)
    axes = {
        "still at 0": (zero, zero, zero),
        "still at gravity": (zero, zero, zero + 4096),
        "still at both ends": (zero + 32767, zero - 32768, zero - 1),
        "noise of one count": tuple(rng.integers(0, 2, (3, length))),
        "one count once": (step == 7, step == length - 1, step == 0),
        "saturated": (zero + 32767, np.where(step < 9, 0, 32767), np.where(step // 8 % 2, 32767, -32768)),
        "ramps": (np.linspace(-32768, 32767, length), np.linspace(9, -9, length), step),
        "impulses": (32767 * (step == length // 2), -32768 * (step == 0), 32767 * (step == length - 1)),
        "alternating extremes": (flip, -1 - flip, flip // 4),
        "as loud as 16 bits of a fold": (
            np.sign(flip) * 32767,
            np.where(step // 16 % 2, 32767, -32767),
            16383 * np.sign(flip),
        ),
        "steps": (np.where(step < length // 3, -5, 7), np.where(step < length // 2, -32768, 32767), step // 32 * 999),
        "dead axis": (zero, 3000 * np.sin(0.7 * step), rng.normal(0, 500, length)),
        "noise over the whole range": tuple(rng.integers(-32768, 32768, (3, length))),
    }
    return {name: np.stack(np.rint(signal), axis=1).astype(np.int16) for name, signal in axes.items()}  # type: ignore[call-overload]


# --- what is compared -------------------------------------------------------------------------------------------


def compare(found: NDArray[np.void], case: Case) -> None:
    """Results of firmware/emulated/parity.cpp against Python: pixels and verdicts equal, numbers to 1e-4."""
    assert len(found) == len(case.windows)
    differ = (found["images"] != case.images).any(axis=(1, 2, 3, 4))
    assert not differ.any(), f"images of windows {np.flatnonzero(differ)[:10]} differ"
    scores, calibration = case.scores(), case.bundle.calibration
    np.testing.assert_allclose(found["score"], scores.score, rtol=1e-4, atol=1e-9)
    alarms = scores.score >= 1
    np.testing.assert_array_equal(found["alarm"].astype(bool), alarms)
    assert len(alarms) < 20 or 0.05 < alarms.mean() < 0.95, "verdicts are of one kind: a poor test"
    votes = [alarms[max(i + 1 - calibration.vote_windows, 0) : i + 1].sum() for i in range(len(alarms))]
    np.testing.assert_array_equal(found["event"], np.array(votes) >= calibration.vote_alarms)
    names = [name for name in SIZES if name in scores.shares]
    for place, name in enumerate(SIZES):
        share = scores.shares[name] if name in names else np.zeros(len(alarms))
        np.testing.assert_allclose(found["shares"][:, place], share, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["regime"], scores.regime)
    np.testing.assert_allclose(found["deviation"], scores.deviation, rtol=1e-6, atol=1e-6)


def held(alarms: NDArray[np.bool_], needed: int, windows: int, stride: int) -> list[bool]:
    """Alarms one by one in, whether the firmware's vote holds, out: as it is defined, phase by phase."""
    found = []
    for count in range(1, len(alarms) + 1):
        phases = [alarms[:count][phase::stride][-windows:] for phase in range(stride)]
        found.append(any(int(phase.sum()) >= needed for phase in phases))
    return found


def run(program: list[str | Path], folder: Path, case: Case) -> NDArray[np.void]:
    """Run a program made of parity.cpp on a case, in a folder; what it found."""
    case.write(folder / "windows.bin")
    (folder / "results.bin").unlink(missing_ok=True)
    checked(program, folder)
    return np.fromfile(folder / "results.bin", RESULT)


def header(folder: Path, case: Case) -> Path:
    """The case's nn_model.h in a folder, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    emit_header(case.bundle, folder / "nn_model.h")
    return folder
