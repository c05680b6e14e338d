"""An operator's table of a .tflite and its shapes in, its options and its multiply-accumulates out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Options:
    """What an operator is told besides its tensors; a field that its kind lacks keeps its default.

    Pairs are (height, width).
    """

    padding: str = ""
    """"SAME" or "VALID" of convolutions and poolings, else empty."""
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (0, 0)
    """Of a pooling."""
    depth_multiplier: int = 0
    """Of a DEPTHWISE_CONV_2D: output channels of each input channel."""
    activation: str = "NONE"
    """The fused one: "NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH" or "SIGN_BIT"."""


# Operator -> its table of options in the schema. Other operators' options do not concern a linter.
_TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "CONCATENATION": "ConcatenationOptions",
}
WITH_OPTIONS = frozenset(_TABLES)
"""Names of the operators whose options are read."""


def read_options(table: Any, name: str, schema: Any) -> Options | None:
    """An Operator of the flatbuffer, its name and the schema's module in, its `Options` out.

    None for operators not in `WITH_OPTIONS`, and where the file holds none, or those of another operator. ValueError
    for a padding or an activation that the schema does not have.
    """
    kind = _TABLES.get(name)
    if kind is None or table.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind):
        return None
    union = table.BuiltinOptions()
    if union is None:
        return None
    options = getattr(schema, kind)()
    options.Init(union.Bytes, union.Pos)

    def number(field: str, absent: int) -> int:
        return int(getattr(options, field)()) if hasattr(options, field) else absent

    activation = number("FusedActivationFunction", schema.ActivationFunctionType.NONE)
    return Options(
        padding=_named(schema.Padding, options.Padding(), "padding") if hasattr(options, "Padding") else "",
        stride=(number("StrideH", 1), number("StrideW", 1)),
        dilation=(number("DilationHFactor", 1), number("DilationWFactor", 1)),
        window=(number("FilterHeight", 0), number("FilterWidth", 0)),
        depth_multiplier=number("DepthMultiplier", 0),
        activation=_named(schema.ActivationFunctionType, activation, "activation"),
    )


def _named(names: type, value: int, what: str) -> str:
    for name, number in vars(names).items():
        if number == value and not name.startswith("_"):
            return name
    raise ValueError(f"{what} {value} is unknown to the installed LiteRT")


def padding(size: int, kernel: int, stride: int, dilation: int, result: int) -> tuple[int, int]:
    """One dimension of a convolution in (all in elements), the padding before the first and after the last out.

    As TensorFlow Lite computes it from the size of the result, for SAME and for VALID: the odd one goes behind.
    """
    total = max(0, (result - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def multiply_accumulates(name: str, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    """An operator's name and the shapes of its inputs and outputs in, its multiply-accumulates out.

    With kernel height kh, width kw and the shapes of the TFLite schema:
      CONV_2D            output elements * kh * kw * input channels (of a group)
      DEPTHWISE_CONV_2D  output elements * kh * kw
      FULLY_CONNECTED    output elements * input width
      TRANSPOSE_CONV     input elements * kh * kw * output channels
      BATCH_MATMUL       output elements * inner dimension
      UNIDIRECTIONAL_SEQUENCE_LSTM   input elements / input width * 4 * units * (input width + units)
      SVDF               rows of the input * filters * (input width + memory)
    and 0 for all others. Products with padding count, additions of a bias do not. IndexError or ValueError where
    shapes are missing or of other ranks.
    """
    if name == "CONV_2D":  # input [n, h, w, ci], weights [co, kh, kw, ci of a group]
        _, kh, kw, channels = inputs[1]
        return math.prod(outputs[0]) * kh * kw * channels
    if name == "DEPTHWISE_CONV_2D":  # weights [1, kh, kw, co]
        _, kh, kw, _ = inputs[1]
        return math.prod(outputs[0]) * kh * kw
    if name == "FULLY_CONNECTED":  # weights [units, input width]
        _, width = inputs[1]
        return math.prod(outputs[0]) * width
    if name == "TRANSPOSE_CONV":  # output shape, weights [co, kh, kw, ci], input [n, h, w, ci]
        channels, kh, kw, _ = inputs[1]
        return math.prod(inputs[2]) * kh * kw * channels
    if name == "BATCH_MATMUL":  # [.., m, k] or, adjoint, [.., k, m], times [.., k, n], gives [.., m, n]
        m = outputs[0][-2]
        return math.prod(outputs[0]) * (inputs[0][-1] * inputs[0][-2] // m) if m else 0
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":  # input [batch, time, width]; the forget gate's weights [units, width]
        units, width = inputs[2]
        return math.prod(inputs[0][:-1]) * 4 * units * (width + units)
    if name == "SVDF":  # input [batch, width], weights of features [filters, width] and of time [filters, memory]
        (filters, width), (_, memory) = inputs[1], inputs[2]
        return math.prod(inputs[0][:-1]) * filters * (width + memory)
    return 0
