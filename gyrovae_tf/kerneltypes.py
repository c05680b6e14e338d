"""Element types that the kernels of TensorFlow Lite Micro take: an operator and its tensors in, what is amiss out.

They were read in the kernels of esp-tflite-micro 1.4.0 (tensorflow/lite/micro/kernels; esp_nn where it has one of its
own) and tried on TensorFlow Lite Micro for a PC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrovae_tf.findings import label
from gyrovae_tf.tflite import Operator, Tensor

# A row: operators | types of their inputs > types of their outputs | what T stands for, the same in the whole row.
# A dot, and whatever is behind the last that is named, is what the kernel does not look at: it takes any type there,
# though it may read it as another. int8*8 means eight places, T... all inputs. An operator may have several rows.
_KERNELS = """
ABS LEAKY_RELU LOGISTIC TANH              | T > T                           | int8 int16 float32
ADD SUB                                   | . . > T                         | int8 int16 int32 float32
ADD_N                                     | T... > T                        | int8 float32
ARG_MAX ARG_MIN                           | T int32 > int32                 | int8 float32
ASSIGN_VARIABLE                           | resource/int32 . >              |
AVERAGE_POOL_2D MAX_POOL_2D               | T > .                           | int8 int16 float32
BATCH_MATMUL                              | T T > T                         | int8 int16 float32
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND       | T . . > T                       | int8 float32
BROADCAST_ARGS                            | T T > T                         | int32 int64
BROADCAST_TO                              | T int32/int64 > T               | any
CALL_ONCE                                 | >                               |
CAST                                      | T > int8/int16/int32/uint32/float32 | bool int8 int16 int32 uint32 float32
CEIL COS EXP LOG ROUND SIN SQRT SQUARE    | float32 > float32               |
CONCATENATION                             | T... > T                        | bool int8 int16 int32 int64 float32
CONV_2D                                   | int8 int8/int4 . > int8         |
CONV_2D                                   | int16 int8 int32/int64 > int16  |
CONV_2D                                   | float32 float32 . > float32     |
CUMSUM                                    | T int32 > T                     | int8 float32
DEPTH_TO_SPACE SPACE_TO_DEPTH             | T > T                           | int8 float32
DEPTHWISE_CONV_2D                         | int8 int8/int4 . > .            |
DEPTHWISE_CONV_2D                         | int16 int8 . > .                |
DEPTHWISE_CONV_2D                         | float32 float32 . > .           |
DEQUANTIZE                                | int8/uint8/int16 > float32      |
DIV                                       | T T > T                         | int8 int32 float32
DYNAMIC_UPDATE_SLICE                      | T T int32/int64 > .             | int8 int16 int32 float32
ELU L2_NORMALIZATION LOG_SOFTMAX RSQRT    | T > T                           | int8 float32
EMBEDDING_LOOKUP                          | int32 int8 > int8/float32       |
EMBEDDING_LOOKUP                          | int32 float32 > float32         |
EQUAL NOT_EQUAL                           | T . > .                         | bool int8 int32 int64 float32
EXPAND_DIMS                               | T int32 > .                     | int8 int16 float32
FILL                                      | int8/int16/int32/int64 T > T    | int8 int32 float32
FLOOR NEG                                 | float32 > .                     |
FLOOR_DIV FLOOR_MOD                       | T T > T                         | float32
FULLY_CONNECTED                           | int8 int8/int4 . > int8         |
FULLY_CONNECTED                           | int16 int8 . > int16            |
FULLY_CONNECTED                           | float32 float32 . > float32     |
GATHER GATHER_ND                          | T int32 > .                     | int8 float32
GREATER                                   | T . > .                         | int8 int16 int32 int64 float32
GREATER_EQUAL LESS LESS_EQUAL             | T . > .                         | int8 int32 int64 float32
HARD_SWISH                                | T > .                           | int8 float32
IF                                        | bool >                          |
L2_POOL_2D                                | float32 > float32               |
LOGICAL_AND LOGICAL_OR                    | . . > .                         |
LOGICAL_NOT                               | bool > bool                     |
MAXIMUM MINIMUM                           | . . > T                         | int8 int16 int32 int64 float32
MEAN                                      | T int32 > .                     | int8 int16 float32
MIRROR_PAD                                | . . > T                         | int8 float32
MUL                                       | T T > .                         | int8 int16 int32 float32
PACK                                      | . > T                           | int8 int16 int32 int64 float32
PAD PADV2                                 | T . T > T                       | int8 int16 int32 float32
PRELU                                     | T . > .                         | int8 float32
PRELU                                     | int16 int8 > .                  |
QUANTIZE                                  | float32/int32 > int8/int16      |
QUANTIZE                                  | int16 > int8/int16/int32        |
QUANTIZE                                  | int8 > int8/uint8/int16/int32   |
QUANTIZE                                  | uint8 > int8                    |
READ_VARIABLE SQUEEZE VAR_HANDLE WHILE    | >                               |
REDUCE_ALL                                | bool int32 > bool               |
REDUCE_MAX REDUCE_MIN                     | T int32 > T                     | int8 float32
RELU RELU6                                | T > .                           | int8 int16 float32
RESHAPE                                   | T . > T                         | any
RESIZE_BILINEAR                           | . int32 > T                     | int8 float32
RESIZE_NEAREST_NEIGHBOR                   | . int32 > T                     | int8 int16 float32
REVERSE_V2                                | T int32 > T                     | bool int8 uint8 int16 int32 int64 float32
SELECT_V2                                 | bool T T > .                    | int8 int16 float32
SHAPE                                     | . > int32                       |
SLICE                                     | T int32 int32 > T               | bool int8 int16 int32 float32
SLICE                                     | T int64 int64 > T               | bool int8 int16 int32 float32
SOFTMAX                                   | int8 > int8/int16               |
SOFTMAX                                   | T > T                           | int16 float32
SPLIT                                     | . T > .                         | int8 int16 int32 float32
SPLIT_V UNPACK                            | T > .                           | int8 int16 int32 float32
SQUARED_DIFFERENCE                        | T T > int8/int16/int32/float32  | any
STRIDED_SLICE                             | . . . . > T                     | bool int8 int16 int32 float32
SUM                                       | T int32 > T                     | int8 int16 float32
SVDF                                      | int8 int8 int8/int16 int32 int8/int16 > int8 |
SVDF                                      | T*5 > T                         | float32
TRANSPOSE                                 | T . > T                         | int8 int16 float32
TRANSPOSE_CONV                            | . int8 T . > T                  | int8 int16
TRANSPOSE_CONV                            | . float32 float32 . > float32   |
UNIDIRECTIONAL_SEQUENCE_LSTM              | T int8*8 .*9 T int16 > T        | int8 int16
UNIDIRECTIONAL_SEQUENCE_LSTM              | T*9 .*9 T T > T                 | float32
ZEROS_LIKE                                | T > .                           | int8 int32 int64 float32
"""
_STORED = (
    *("bool", "int4", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "resource"),
)
"""The types that TensorFlow Lite Micro knows the size of, and so finds a place for (memory_helpers.cc)."""

Types = tuple[str, ...]
"""What a kernel takes in one place; empty: anything."""


@dataclass(frozen=True)
class _Row:
    inputs: tuple[Types, ...]
    outputs: tuple[Types, ...]
    alike: bool
    """Whether all inputs are like the first."""

    def at(self, side: str, i: int) -> Types:
        places = self.inputs if side == "input" else self.outputs
        if self.alike and side == "input":
            i = 0
        return places[i] if i < len(places) else ()


def _read(table: str) -> dict[str, tuple[_Row, ...]]:
    rows: dict[str, tuple[_Row, ...]] = {}
    for line in table.strip().splitlines():
        names, places, meant = line.split("|")
        inputs, outputs = places.split(">")
        alike = "..." in inputs
        for t in _STORED if meant.strip() == "any" else meant.split() or [""]:
            row = _Row(_places(inputs.replace("...", ""), t), _places(outputs, t), alike)
            for name in names.split():
                rows[name] = (*rows.get(name, ()), row)
    return rows


def _places(text: str, t: str) -> tuple[Types, ...]:
    places: tuple[Types, ...] = ()
    for word in text.split():
        place, _, times = word.partition("*")
        types = (t,) if place == "T" else () if place == "." else tuple(place.split("/"))
        places += (types,) * int(times or 1)
    return places


KERNELS = _read(_KERNELS)
"""Operator -> what its kernel takes: one of these rows as a whole."""


def amiss(operator: Operator, tensors: Sequence[Tensor]) -> str | None:
    """An operator and its model's tensors in; the first type that its kernel does not take, in words, out.

    None where there is none, and for operators without a kernel here.
    """
    every = rows = KERNELS.get(operator.name, ())
    decided: list[str] = []
    for side, i, tensor in _tensors(operator, tensors) if rows else ():
        what = f"its {side} {i}, {label(tensor)}, is {tensor.dtype}"
        if tensor.dtype not in _STORED and not tensor.is_constant:
            return f"{what}, a type that TensorFlow Lite Micro has no place for"
        left = tuple(row for row in rows if tensor.dtype in (row.at(side, i) or (tensor.dtype,)))
        if not left:
            taken = dict.fromkeys(t for row in rows for t in row.at(side, i))
            narrowed = {row.at(side, i) for row in rows} != {row.at(side, i) for row in every}
            where = f" where {' and '.join(decided)}" if narrowed else ""
            return f"{what}; the kernel takes {', '.join(taken)}{where}"
        if len(left) < len(rows):
            decided.append(f"{side} {i} is {tensor.dtype}")
        rows = left
    return None


def _tensors(operator: Operator, tensors: Sequence[Tensor]) -> Iterator[tuple[str, int, Tensor]]:
    for side, indices in (("input", operator.inputs), ("output", operator.outputs)):
        yield from ((side, i, tensors[index]) for i, index in enumerate(indices) if index >= 0)
