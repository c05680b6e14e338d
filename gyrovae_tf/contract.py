"""What an exported model must be, so that our firmware and the stock one can run it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.tflite import Model, Tensor
from gyrovae_tf.wording import first_of

# The operators that the stock firmware registers, and so the only ones an exported model may use.
OPS: tuple[str, ...] = (
    "SLICE",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "ADD",
    "TRANSPOSE",
    "RESHAPE",
    "FULLY_CONNECTED",
    "RELU",
    "DEQUANTIZE",
    "EXP",
    "MUL",
    "MEAN",
    "SUB",
    "SQUARED_DIFFERENCE",
    "RSQRT",
    "QUANTIZE",
    "SUM",
    "SQRT",
    "TRANSPOSE_CONV",
    "DIV",
    "STRIDED_SLICE",
    "CONCATENATION",
)
INPUT_SHAPE = (2, 32, 32, 3)
OUTPUT_SHAPE = (1, 32, 32, 3)
INPUT_SCALE = 1 / 32
INPUT_ZERO_POINT = 0


def contract_violations(model: Model, input_scale: float = INPUT_SCALE) -> tuple[str, ...]:
    """Take a description, give every reason why the firmware cannot run the model, in words; empty if none.

    The contract: one input, int8 [2, 32, 32, 3], scale exactly 1/32 (or another
    `input_scale`: the stock firmware takes any), zero point 0; two outputs, int8
    [1, 32, 32, 3] with one scale; only operators of `OPS`; no float tensor; every shape fixed; every constant
    as long as its shape says; every tensor written before it is read; one subgraph.
    """
    return tuple(itertools.chain.from_iterable(violations_by_kind(model, input_scale).values()))


def violations_by_kind(model: Model, input_scale: float = INPUT_SCALE) -> dict[str, tuple[str, ...]]:
    """Take a description, give the reasons of `contract_violations` under what they are about.

    "interface" (input and outputs), "operators", "floats", "shapes" (not fixed), "constants" (of another size than
    their shape), "order" (read before written), "subgraphs" (several).
    """
    unknown = [name for name in model.op_names if name not in OPS]
    floats = [_label(t) for t in model.tensors if t.is_float]
    return {
        "interface": (*_input_violations(model, "int8", input_scale), *_output_violations(model, "int8")),
        "operators": _listed("operators that the firmware lacks", unknown, most=len(unknown)),
        "floats": _listed("float tensors", floats),
        **_structure_violations(model),
    }


def float_violations(model: Model) -> tuple[str, ...]:
    """Take a description, give every reason why it is no export for a PC, in words; empty if none.

    What an export of another precision must be: as in the contract, but that input and outputs are float32 in
    standard deviations (pixels / 32), and that operators and tensors within are free.
    """
    return (
        *_input_violations(model, "float32"),
        *_output_violations(model, "float32"),
        *itertools.chain.from_iterable(_structure_violations(model).values()),
    )


def check_contract(model: Model, input_scale: float = INPUT_SCALE) -> None:
    """Take a description; raise `GyrovaeError` naming every reason why the firmware cannot run the model."""
    violations = contract_violations(model, input_scale)
    if violations:
        raise GyrovaeError(
            "the model cannot run in the firmware: " + "; ".join(violations),
            remedy="Use a model that gyrovae-tf exported as int8.",
        )


def _label(tensor: Tensor) -> str:
    return f"{tensor.index} ({tensor.name[:60]}, {tensor.dtype} {list(tensor.shape)})"


def _listed(what: str, items: Sequence[str], most: int = 3) -> tuple[str, ...]:
    """One violation that names the first of `items` and counts the others; none when there are no items."""
    return (f"{what}: {first_of(items, most)}",) if items else ()


def _structure_violations(model: Model) -> dict[str, tuple[str, ...]]:
    """What no interpreter can be trusted with."""
    tensors = model.tensors
    unfixed = [_label(t) for t in tensors if -1 in t.shape_signature]
    misfits = [_label(t) for t in tensors if t.is_constant and t.bytes != t.needed_bytes]
    return {
        "shapes": _listed("tensors without a fixed shape", unfixed),
        "constants": _listed("constants whose bytes do not fit their shape", misfits),
        "order": _listed("tensors that are read before they are written", _unwritten(model)),
        "subgraphs": (f"{model.subgraphs} subgraphs instead of 1",) if model.subgraphs > 1 else (),
    }


def _input_violations(model: Model, dtype: str, scale: float = INPUT_SCALE) -> list[str]:
    if len(model.inputs) != 1:
        return [f"{len(model.inputs)} inputs instead of 1"]
    tensor = model.tensors[model.inputs[0]]
    found = []
    if tensor.shape != INPUT_SHAPE:
        found.append(f"the input has shape {list(tensor.shape)} instead of {list(INPUT_SHAPE)}")
    if tensor.dtype != dtype:
        found.append(f"the input is {tensor.dtype} instead of {dtype}")
    if dtype != "int8":
        return found
    if tensor.scale != (scale,):
        found.append(f"the input's scale is {list(tensor.scale)} instead of [{scale}]")
    if tensor.zero_point != (INPUT_ZERO_POINT,):
        found.append(f"the input's zero point is {list(tensor.zero_point)} instead of [{INPUT_ZERO_POINT}]")
    return found


def _output_violations(model: Model, dtype: str) -> list[str]:
    found = []
    if len(model.outputs) != 2:
        found.append(f"{len(model.outputs)} outputs instead of 2")
    for number, i in enumerate(model.outputs):
        tensor = model.tensors[i]
        if tensor.shape != OUTPUT_SHAPE:
            found.append(f"output {number} has shape {list(tensor.shape)} instead of {list(OUTPUT_SHAPE)}")
        if tensor.dtype != dtype:
            found.append(f"output {number} is {tensor.dtype} instead of {dtype}")
        elif dtype == "int8" and (
            len(tensor.scale) != 1 or not 0 < tensor.scale[0] < math.inf or len(tensor.zero_point) != 1
        ):
            found.append(f"output {number} has no single scale and zero point")
    return found


def _unwritten(model: Model) -> list[str]:
    """Labels of tensors that an operator or the caller reads and nothing has written before."""
    written = {t.index for t in model.tensors if t.is_constant or t.is_variable or t.elements == 0} | set(model.inputs)
    missing: dict[int, None] = {}
    for operator in model.operators:
        missing.update((i, None) for i in operator.inputs if i >= 0 and i not in written)
        written.update(operator.outputs)
    missing.update((i, None) for i in model.outputs if i not in written)
    return [_label(model.tensors[i]) for i in missing]
