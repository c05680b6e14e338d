"""A model in, the operators that a converter should have folded into others out. None of it depends on a target."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from gyrovae_tf.findings import Finding, found
from gyrovae_tf.tflite import Model, Operator, Tensor

_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
_CLAMPING = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV"})
_SCALING = frozenset({"MUL", "DIV", "ADD", "SUB"})
_CLAMPS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})
_RENAMING = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def unfolded(model: Model) -> Iterator[Finding]:
    """A model in; what of it is superfluous out: scales behind weights, ReLUs, requantisations, copies of copies."""
    tensors = model.tensors
    writer = {i: operator for operator in model.operators for i in operator.outputs}
    readers = Counter(itertools.chain(model.outputs, *(operator.inputs for operator in model.operators)))
    weighted: set[int] = set()  # outputs of layers with weights, and those scaled
    for operator in model.operators:
        if not operator.inputs or not operator.outputs:
            continue
        before = writer.get(operator.inputs[0])
        alone = readers[operator.inputs[0]] == 1
        if operator.name in _WEIGHTED:
            weighted.add(operator.outputs[0])
        elif operator.name in _SCALING:
            factor = _constant(operator, tensors)
            if factor is not None:
                (behind,) = (i for i in operator.inputs if i != factor.index)
                channels = tensors[behind].shape[-1:]
                if behind in weighted and readers[behind] == 1 and factor.elements in (1, *channels):
                    clamped = _activation(writer[behind])
                    what = f"a constant {list(factor.shape)} behind {_label(writer[behind])}"
                    what += "" if clamped == "NONE" else f" and its {clamped}"
                    yield found("unfolded-scale", what, operator, tensors)
                    weighted.add(operator.outputs[0])
        elif operator.name in _CLAMPS and before is not None and alone:
            if before.name in _CLAMPING and _activation(before) == "NONE":
                yield found("unfused-relu", f"{operator.name} behind {_label(before)}", operator, tensors)
        elif operator.name == "QUANTIZE":
            yield from _requantized(operator, before, tensors)
        elif operator.name in _RENAMING or operator.name == "TRANSPOSE":
            yield from _copied(operator, before if alone else None, tensors)


def _requantized(operator: Operator, before: Operator | None, tensors: tuple[Tensor, ...]) -> Iterator[Finding]:
    source, result = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    if before is not None and before.name == "QUANTIZE":
        yield found("double-quantize", f"QUANTIZE behind {_label(before)}", operator, tensors)
    elif source.dtype == result.dtype:
        same = (source.scale, source.zero_point) == (result.scale, result.zero_point)
        what = f"{source.dtype} to {source.dtype}, from scale {_scale(source)} to {_scale(result)}"
        yield found("requantize", what + (": it changes nothing" if same else ""), operator, tensors)


def _copied(operator: Operator, before: Operator | None, tensors: tuple[Tensor, ...]) -> Iterator[Finding]:
    renaming = operator.name in _RENAMING
    rule = "reshape-pair" if renaming else "transpose-pair"
    if before is not None and (before.name in _RENAMING if renaming else before.name == "TRANSPOSE"):
        yield found(rule, f"{operator.name} behind {_label(before)}", operator, tensors)
    elif renaming and tensors[operator.inputs[0]].shape == tensors[operator.outputs[0]].shape:
        yield found(rule, f"from {list(tensors[operator.inputs[0]].shape)} to the same shape", operator, tensors)


def _constant(operator: Operator, tensors: tuple[Tensor, ...]) -> Tensor | None:
    """The constant of two inputs of which exactly one is one."""
    if len(operator.inputs) != 2 or -1 in operator.inputs:
        return None
    constants = [tensors[i] for i in operator.inputs if tensors[i].is_constant]
    return constants[0] if len(constants) == 1 else None


def _activation(operator: Operator) -> str:
    return "NONE" if operator.options is None else operator.options.activation


def _label(operator: Operator) -> str:
    return f"operator {operator.index} {operator.name}"


def _scale(tensor: Tensor) -> str:
    return f"{tensor.scale[0]:.6g}" if len(tensor.scale) == 1 else f"({len(tensor.scale)} scales)"
