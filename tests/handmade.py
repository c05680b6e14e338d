"""Models made tensor by tensor and operator by operator, for tests of what reads a .tflite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_BITS = {
    "int4": 4,
    **dict.fromkeys(("bool", "int8", "uint8"), 8),
    **dict.fromkeys(("int16", "float16"), 16),
    **dict.fromkeys(("int32", "float32"), 32),
    "int64": 64,
}
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "GATHER": "GatherOptions",
    "MIRROR_PAD": "MirrorPadOptions",
}
_STRIDED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D")


@dataclass
class Handmade:
    """A model under construction; tensors are called t0, t1, ..., and have a scale of 0.5 unless told otherwise."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    data: list[bytes] = field(default_factory=lambda: [b""])
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    subgraphs: int = 1
    """Those behind the first are empty."""

    def tensor(
        self,
        shape: list[int],
        dtype: str = "int8",
        *,
        constant: bool = False,
        scale: tuple[float, ...] = (0.5,),
        signature: list[int] | None = None,
    ) -> int:
        """Add a tensor, with zeros as its content when it is a constant; returns its index."""
        made = schema.TensorT()
        made.shape, made.type, made.name = shape, getattr(schema.TensorType, dtype.upper()), f"t{len(self.tensors)}"
        made.shapeSignature = signature
        if dtype != "float32":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = list(scale), [0] * len(scale)
        made.buffer = 0
        if constant:
            made.buffer = len(self.data)
            self.data.append(bytes((int(np.prod(shape)) * _BITS[dtype] + 7) // 8))
        self.tensors.append(made)
        return len(self.tensors) - 1

    def op(self, name: str, inputs: list[int], outputs: list[int], **options: Any) -> int:
        """Add an operator; `options` are fields of its table in the schema. Returns its index."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.codes), inputs, outputs
        if name in OPTIONS and options.pop("present", True):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[name])
            made.builtinOptions = getattr(schema, OPTIONS[name] + "T")()
            if name in _STRIDED:
                options = {"strideH": 1, "strideW": 1} | options
            for key, value in options.items():
                assert hasattr(made.builtinOptions, key)
                setattr(made.builtinOptions, key, value)
        self.codes.append(code)
        self.operators.append(made)
        return len(self.operators) - 1

    def conv(
        self,
        source: int,
        kernel: tuple[int, int],
        channels: int,
        *,
        stride: int = 1,
        padding: str = "SAME",
        name: str = "CONV_2D",
        multiplier: int = 1,
        **options: Any,
    ) -> int:
        """Add a convolution with weights and bias behind `source`; returns its output."""
        n, height, width, depth = self.tensors[source].shape
        if padding == "SAME":
            size = [-(-height // stride), -(-width // stride)]
        else:
            size = [(height - kernel[0]) // stride + 1, (width - kernel[1]) // stride + 1]
        weights = [channels, *kernel, depth]
        if name == "DEPTHWISE_CONV_2D":
            channels = depth * multiplier
            weights = [1, *kernel, channels]
            options["depthMultiplier"] = multiplier
        inputs = [source, self.tensor(weights, constant=True), self.tensor([channels], "int32", constant=True)]
        result = self.tensor([n, *size, channels])
        code = getattr(schema.Padding, padding)
        self.op(name, inputs, [result], strideH=stride, strideW=stride, padding=code, **options)
        return result

    def dense(self, source: int, units: int, **weights: Any) -> int:
        """Add a FULLY_CONNECTED behind `source`; returns its output."""
        *rows, width = self.tensors[source].shape
        inputs = [source, self.tensor([units, width], constant=True, **weights)]
        result = self.tensor([*rows, units])
        self.op("FULLY_CONNECTED", inputs, [result])
        return result

    def then(self, name: str, *sources: int, shape: list[int] | None = None, **options: Any) -> int:
        """Add an operator whose output is like its first source, or of `shape`; returns the output."""
        result = self.tensor(shape or list(self.tensors[sources[0]].shape))
        self.op(name, list(sources), [result], **options)
        return result

    def build(self, *outputs: int, off: int = 0, inside: bool = False) -> bytes:
        """The .tflite. Constants stand behind the tables, each `off` bytes behind a multiple of 16.

        Or `inside` of the tables, the only place where TensorFlow Lite Micro looks for them.
        """
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version, model.description = 3, "by hand"
        model.operatorCodes, model.subgraphs = self.codes, [graph]
        model.subgraphs += [schema.SubGraphT() for _ in range(1, self.subgraphs)]
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, list(outputs)
        model.buffers = [schema.BufferT() for _ in self.data]
        places = [16] * len(self.data)
        for _ in range(2):  # the second time with the places that follow from the length of the tables
            for buffer, content, place in zip(model.buffers, self.data, places, strict=True):
                if content and inside:
                    buffer.data = np.frombuffer(content, np.uint8)
                elif content:
                    buffer.offset, buffer.size = place, len(content)
            builder = flatbuffers.Builder(1024)
            builder.Finish(model.Pack(builder), b"TFL3")
            whole = bytearray(builder.Output())
            for number, content in enumerate([] if inside else self.data):
                whole += bytes(-len(whole) % 16 + off)
                places[number] = len(whole)
                whole += content
        return bytes(whole)


def source(shape: list[int], dtype: str = "int8") -> tuple[Handmade, int]:
    """A model with one input, and that input."""
    made = Handmade()
    made.inputs = [made.tensor(shape, dtype)]
    return made, made.inputs[0]
