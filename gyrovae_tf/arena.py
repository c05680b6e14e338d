"""A .tflite in, the bytes of tensor arena that it needs out: measured on TFLM's kernels, with ESP-NN's scratch on top.

TFLM trusts its model and its arena, and may crash when either is wrong: every measurement is a process of its own.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from gyrovae_tf import tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.espnn import ESP_NN, scratch_bytes
from gyrovae_tf.version import version_of

STEP = 16
"""Arenas are multiples of it: TFLM aligns what it places to 16 bytes."""
_SPARE = 1 << 20  # of the first run's arena, beside what the tensors themselves need
_LARGEST = 64 << 20  # no microcontroller has more, and a damaged model may ask for anything
_SECONDS = 60
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_MISSING = 75  # exit status of a process that could not import tflite_micro
# arguments: arena size, inputs, outputs, where to import from. The outputs show whether a tight arena was overwritten.
_RUN = f"""
import sys
sys.path[:] = sys.argv[4:]
try:
    import hashlib, resource
    import numpy
    from tflite_micro import runtime
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit({_MISSING})
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
size, inputs, outputs = map(int, sys.argv[1:4])
interpreter = runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=size)
for index in range(inputs):
    wanted = interpreter.get_input_details(index)
    interpreter.set_input(numpy.zeros(wanted["shape"], wanted["dtype"]), index)
interpreter.invoke()
interpreter.print_allocations()
for index in range(outputs):
    print(hashlib.sha256(interpreter.get_output(index).tobytes()).hexdigest())
"""


@dataclass(frozen=True)
class Arena:
    """The tensor arena that a model needs."""

    host_bytes: int
    """Smallest arena that works on the kernels that measured it, on a 64-bit PC."""
    scratch_bytes: int
    """Estimate: the most that one operator asks for besides, where ESP-NN's kernels for the ESP32-S3 replace TFLM's."""
    kernels: str
    """The package whose kernels measured `host_bytes`, and its version."""
    method: str
    """How both figures came about, in words."""

    def __post_init__(self) -> None:
        sizes = (self.host_bytes, self.scratch_bytes)
        texts = (self.kernels, self.method)
        if (
            any(type(size) is not int or not 0 <= size <= _LARGEST for size in sizes)
            or self.host_bytes == 0
            or not all(isinstance(text, str) and text for text in texts)
        ):
            raise GyrovaeError(
                "the arena's figures are not usable",
                expected=f"host_bytes and scratch_bytes up to {_LARGEST}, kernels and method in words",
                received=", ".join(map(str, (*sizes, *texts))),
            )

    @property
    def suggested_bytes(self) -> int:
        """What a firmware should reserve: both figures and a sixteenth of them, as a multiple of 16.

        On the safe side: scratch lives among the activations of its moment, so the sum is seldom needed in full. For
        one model of 18,912 + 5,584 bytes, esp-tflite-micro compiled for a PC took 19,616 with ESP-NN's own sums of
        scratch. The sixteenth is for a less lucky placement and other versions; a 32-bit device's tables are smaller.
        """
        return _rounded_up(-(-(self.host_bytes + self.scratch_bytes) * 17 // 16))

    def to_dict(self) -> dict[str, Any]:
        """The fields and `suggested_bytes` as JSON-ready values."""
        return {**asdict(self), "suggested_bytes": self.suggested_bytes}

    @classmethod
    def from_dict(cls, record: object) -> Arena:
        """The inverse of `to_dict`; `GyrovaeError` for anything else."""
        names = [field.name for field in fields(cls)]
        if not isinstance(record, Mapping) or set(record) != {*names, "suggested_bytes"}:
            raise GyrovaeError(
                "the arena's figures are not usable", expected=f"an object of {', '.join(names)}, suggested_bytes"
            )
        found = cls(**{name: record[name] for name in names})
        if record["suggested_bytes"] != found.suggested_bytes:
            raise GyrovaeError(
                "the arena's suggested_bytes does not follow from its other figures",
                expected=found.suggested_bytes,
                received=record["suggested_bytes"],
            )
        return found


@dataclass(frozen=True)
class _Ran:
    """What a process with an arena of some size came to."""

    outputs: str | None
    """Hashes of the outputs; None when it failed."""
    message: str
    """What it wrote to its error output."""


def measure(model: bytes) -> Arena | None:
    """The bytes of a .tflite in, the `Arena` that it needs out; None where tflite-micro cannot be imported.

    TFLM runs it in an ample arena and reports what it used. That figure is then tried: it must give the same outputs,
    and 16 bytes less must fail; where either is not so, the smallest arena that works is searched for in steps of 16.
    All in processes of their own, each allowed a minute: a crash or a refusal is a `GyrovaeError`, as are bytes that
    are no .tflite. Scratch is computed from the operators' shapes (`espnn.scratch_bytes`).
    """
    described = tflite.describe(model)
    if importlib.util.find_spec("tflite_micro") is None:
        return None
    ample = _rounded_up(_SPARE + sum(t.needed_bytes or 0 for t in described.tensors if not t.is_constant))
    if ample > _LARGEST:
        raise GyrovaeError("the model is too large to run on a microcontroller", received=f"{ample} bytes of tensors")
    first = _run(model, described, ample)
    if first is None:
        return None
    reported = _TOTAL.search(first.message)
    if first.outputs is None or reported is None:
        raise GyrovaeError(
            f"TensorFlow Lite Micro cannot run this .tflite: {_last_line(first.message)}",
            remedy="See what it holds: gyrovae-tf info MODEL.tflite",
        )

    def works(size: int) -> bool:
        ran = _run(model, described, size)
        return ran is not None and ran.outputs == first.outputs

    smallest, reached = _smallest(works, _rounded_up(int(reported[1])), ample)
    scratch = max((scratch_bytes(o, described.tensors) for o in described.operators), default=0)
    return Arena(
        host_bytes=smallest,
        scratch_bytes=scratch,
        kernels=version_of("tflite-micro"),
        method=f"host: smallest arena, in steps of {STEP}, that works with TFLM's reference kernels on a 64-bit PC "
        f"({reached}); scratch: an estimate, the largest that one operator asks for in {ESP_NN}, from its shapes",
    )


def _smallest(works: Callable[[int], bool], reported: int, ample: int) -> tuple[int, str]:
    """Whether a size works, the size that TFLM reports and one that works in; the smallest that works, and how, out."""
    if works(reported):
        if not works(reported - STEP):
            return reported, f"the one that it reports; {STEP} less fails"
        fails, enough = 0, reported - STEP
    else:
        fails, enough = reported, ample
    while enough - fails > STEP:
        middle = (fails + enough) // 2 // STEP * STEP
        if works(middle):
            enough = middle
        else:
            fails = middle
    return enough, f"searched for, as the one that it reports, {reported}, is not the smallest"


def _run(model: bytes, described: tflite.Model, size: int) -> _Ran | None:
    """Run the model once in an arena of `size` bytes, in a process of its own; None without tflite_micro there."""
    command = [sys.executable, "-c", _RUN, str(size), str(len(described.inputs)), str(len(described.outputs))]
    try:
        done = subprocess.run([*command, *sys.path], input=model, capture_output=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return _Ran(None, f"it did not end within {_SECONDS} seconds")
    except OSError as error:
        raise GyrovaeError(f"cannot start Python to measure the arena: {error.strerror}") from None
    message = done.stderr.decode("utf-8", "replace")
    if done.returncode == _MISSING:
        return None
    if done.returncode < 0:
        message += f"\nit crashed with signal {-done.returncode}"
    return _Ran(done.stdout.decode("ascii", "replace") if done.returncode == 0 else None, message)


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it gave no reason"


def _rounded_up(size: int) -> int:
    return -(-size // STEP) * STEP
