"""What a .tflite holds: bytes in, a description out.

The tables are read with the schema classes of LiteRT; no interpreter runs.
The bytes may come from anywhere: whatever they hold, `describe` returns a `Model` or raises `GyrovaeError`.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import re
import shlex
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.arguments import told
from gyrovae_tf.errors import GyrovaeError, read_file
from gyrovae_tf.litert import litert
from gyrovae_tf.operators import Options, multiply_accumulates, read_options
from gyrovae_tf.wording import many

IDENTIFIER = b"TFL3"
"""Bytes 4 to 7 of every .tflite: the flatbuffer's file identifier."""
MODELS = "a .tflite file, a run or a bundle"
"""What those ask for that take each of them."""
_THE_FILE = "Give the .tflite file itself, not a .keras model, a header or a folder."
_SCHEMA_VERSION = 3
_LARGEST = 256 << 20  # bytes: no microcontroller takes more
_MAX_RANK = 8  # TensorFlow's own limit; without one a damaged shape makes numbers of a million digits
# What the flatbuffer classes and the code below raise when an offset, a length or an index is nonsense.
_DAMAGE = (struct.error, IndexError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Tensor:
    """One tensor: its type is the schema's name in lower case ("int8", "int32", "float32").

    `scale` and `zero_point` are empty for a tensor that is not quantised, and hold one value a channel for
    weights quantised per channel. `shape_signature` is empty when absent; -1 in it marks an open dimension.
    `buffer` is the index of its buffer, `bytes` that buffer's size: 0 for an activation. `offset` is where in the file
    a constant's bytes begin, None for an activation.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    buffer: int
    bytes: int
    is_constant: bool
    offset: int | None = None
    is_variable: bool = False
    """Whether it keeps its values from one inference to the next (the state of an LSTM), from zeros on."""

    @property
    def elements(self) -> int:
        """Product of the dimensions; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether its elements are floats or complex numbers, of any width."""
        return "float" in self.dtype or "complex" in self.dtype

    @property
    def needed_bytes(self) -> int | None:
        """Bytes that this shape and type take; None for types of no fixed width (string, resource)."""
        width = re.search(r"\d+", self.dtype)
        bits = int(width.group()) if width else 8 if self.dtype == "bool" else None
        return None if bits is None else (self.elements * bits + 7) // 8


@dataclass(frozen=True)
class Operator:
    """One operator in the order of execution. An input of -1 is an optional one that was left out.

    `name` is the schema's ("CONV_2D"), or "CUSTOM:" and the custom code. `macs` is what
    `operators.multiply_accumulates` makes of its shapes; `options` are None where `operators.read_options` finds none.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    macs: int
    options: Options | None = None


@dataclass(frozen=True)
class Model:
    """The first subgraph of a .tflite, which is what an interpreter runs.

    `inputs` and `outputs` index `tensors`; `buffers` are sizes in bytes. `subgraphs` counts all of them: what control
    flow (CALL_ONCE, IF, WHILE) runs in the others is in none of the figures.
    """

    size_bytes: int
    sha256: str
    description: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: tuple[int, ...]
    subgraphs: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(operator.macs for operator in self.operators)

    @property
    def op_names(self) -> tuple[str, ...]:
        """Names of the operators used, each once, sorted: what a resolver has to register."""
        return tuple(sorted({operator.name for operator in self.operators}))

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants (weights, biases, shapes); a buffer that tensors share counts once."""
        return sum(self.buffers[i] for i in {tensor.buffer for tensor in self.tensors if tensor.is_constant})

    @property
    def activation_bytes(self) -> int:
        """Most bytes of activations alive at one time, an operator's inputs and outputs together.

        A tensor lives from the operator that writes it (an input of the model: from the start) to the last
        that reads it (an output: to the end). To compare models; the arena holds scratch and tables besides.
        """
        first = dict.fromkeys(self.inputs, 0)
        last: dict[int, int] = {}
        for operator in self.operators:
            for i in operator.outputs:
                first.setdefault(i, operator.index)
                last[i] = operator.index
            last.update((i, operator.index) for i in operator.inputs if i in first)
        last.update((i, len(self.operators) - 1) for i in self.outputs if i in first)
        # Walk the changes instead of every (operator, tensor) pair.
        change = [0] * (len(self.operators) + 1)
        for i, start in first.items():
            tensor = self.tensors[i]
            if not tensor.is_constant:
                size = tensor.needed_bytes or 0
                change[start] += size
                change[max(start, last.get(i, start)) + 1 if self.operators else 0] -= size
        alive = peak = 0
        for step in change:
            alive += step
            peak = max(peak, alive)
        return peak


class _Reader:
    """Vectors and strings out of flatbuffer tables, never more bytes in total than the file has.

    A file may point from many places to one long vector and so unfold to the square of its size. Honest
    writers store each vector where it is used, so the size of the file is allowance enough.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size

    def spend(self, count: int, width: int) -> int:
        self.left -= count * width
        if self.left < 0:
            raise ValueError("the lengths of its vectors add up to more than the file")
        return count

    def numbers(self, table: Any, field: str, width: int) -> tuple[Any, ...]:
        """The vector `field` of numbers of `width` bytes; empty when absent."""
        count = self.spend(getattr(table, f"{field}Length")(), width)
        return tuple(getattr(table, f"{field}AsNumpy")().tolist()) if count else ()

    def tables(self, table: Any, field: str) -> list[Any]:
        """The vector `field` of tables; empty when absent."""
        count = self.spend(getattr(table, f"{field}Length")(), 4)
        return [getattr(table, field)(i) for i in range(count)]

    def text(self, value: bytes | None) -> str:
        """A string of the file; people will read it on a terminal, so what cannot be printed is replaced."""
        value = value or b""
        self.spend(len(value), 1)
        return "".join(c if c.isprintable() else "\ufffd" for c in value.decode("utf-8", errors="replace"))


def read(path: str | PathLike[str]) -> bytes:
    """The path of a file in, its bytes out; `GyrovaeError` when it cannot be read or is far too large."""
    return read_file(path, largest=_LARGEST)


def read_model(path: str | PathLike[str], expected: str = "a .tflite file") -> bytes:
    """The path of a .tflite in, its bytes out; `GyrovaeError` as `read`, and when it is something else, says what.

    `expected` is what the refusal asks for.
    """
    if not isinstance(path, str | PathLike):
        raise GyrovaeError("this is no path of a model", expected=expected, received=told(path))
    content = read(path)
    if content[4:8] == IDENTIFIER:
        return content
    remedy = _THE_FILE
    if Path(path).suffix.lower() in (".csv", ".parquet"):
        remedy = f"A recording becomes a dataset first: gyrovae-tf preprocess {shlex.quote(str(path))} -o dataset"
    raise GyrovaeError(
        f"{path} is not a .tflite model",
        expected=expected,
        received=f"{_kind(content)} of {many(len(content), 'byte')}" if content else "an empty file",
        remedy=remedy,
    )


def _kind(content: bytes) -> str:
    """What a file is that is no model."""
    if content.startswith(b"PK\x03\x04"):
        return "a zip archive (as .keras files are)"
    if content.startswith(b"\x89HDF"):
        return "a Keras file (.h5)"
    if content.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS (git lfs pull brings the file)"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(content[:4096])
    except UnicodeDecodeError:
        return "another binary file"
    return "another binary file" if "\0" in text else "a text file"


def describe(model: bytes) -> Model:
    """Take the bytes of a .tflite, give its tensors, operators, inputs and outputs.

    Raises `GyrovaeError` when the bytes are no .tflite, or are damaged. Of several subgraphs the first is described.
    """
    if not isinstance(model, bytes | bytearray | memoryview):
        raise GyrovaeError(
            "this is not a .tflite model",
            expected="the bytes of one",
            received=told(model),
            remedy="Read its file first: pathlib.Path(path).read_bytes().",
        )
    if len(model) < 8 or bytes(model[4:8]) != IDENTIFIER:
        raise GyrovaeError(
            "this is not a .tflite model",
            expected=f"a file with the identifier {IDENTIFIER!r} at byte 4",
            received=f"{len(model)} bytes" + (f" with {bytes(model[4:8])!r} there" if len(model) >= 8 else ""),
            remedy=_THE_FILE,
        )
    schema = litert("schema_py_generated")
    try:
        return _describe(bytes(model), schema)
    except _DAMAGE as error:
        raise GyrovaeError(
            f"the .tflite model ({len(model)} bytes) is truncated or damaged: {error}",
            remedy="Export it again, or copy it again in binary mode.",
        ) from error


def _describe(data: bytes, schema: Any) -> Model:
    reader = _Reader(len(data))
    root = schema.Model.GetRootAs(data, 0)
    if root.Version() != _SCHEMA_VERSION:
        raise ValueError(f"schema version {root.Version()} instead of {_SCHEMA_VERSION}")
    subgraphs = reader.tables(root, "Subgraphs")
    if not subgraphs:
        raise ValueError("it has no subgraph")
    graph = subgraphs[0]
    places = tuple(_buffer(buffer, reader) for buffer in reader.tables(root, "Buffers"))
    dtypes, builtins = _enum(schema.TensorType), _enum(schema.BuiltinOperator)
    codes = [_op_code(code, builtins, reader) for code in reader.tables(root, "OperatorCodes")]
    tensors = tuple(
        _tensor(table, i, places, dtypes, reader) for i, table in enumerate(reader.tables(graph, "Tensors"))
    )
    operators = tuple(
        _operator(table, i, codes, tensors, reader, schema) for i, table in enumerate(reader.tables(graph, "Operators"))
    )
    return Model(
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        description=reader.text(root.Description()),
        tensors=tensors,
        operators=operators,
        inputs=_indices(reader.numbers(graph, "Inputs", 4), len(tensors), "an input of the model"),
        outputs=_indices(reader.numbers(graph, "Outputs", 4), len(tensors), "an output of the model"),
        buffers=tuple(size for _, size in places),
        subgraphs=len(subgraphs),
    )


def _enum(names: type) -> dict[int, str]:
    """Value to name of a class of the schema whose attributes are an enumeration."""
    return {v: k for k, v in vars(names).items() if isinstance(v, int) and not k.startswith("_")}


def _buffer(table: Any, reader: _Reader) -> tuple[int, int]:
    """Where in the file a buffer's bytes begin, and how many they are."""
    # Data stand in the table, or (files that may exceed 2 GiB) after the flatbuffer, at an offset above 1.
    start, size = int(table.Offset()), int(table.Size())
    if start <= 1:
        size = int(table.DataLength())
        # The schema's classes give a vector's content, not its place: this is how they find it (field 0 is at 4).
        start = int(table._tab.Vector(table._tab.Offset(4))) if size else 0
    if size and start + size > reader.size:
        raise ValueError("a buffer reaches beyond the end of the file")
    return start, size


def _op_code(table: Any, builtins: dict[int, str], reader: _Reader) -> tuple[str, int]:
    # Codes above 127 do not fit the older, one-byte field, which then holds 127: the greater one is meant.
    code = max(int(table.DeprecatedBuiltinCode()), int(table.BuiltinCode()))
    if code not in builtins:
        raise ValueError(f"operator code {code} is unknown to the installed LiteRT")
    name = builtins[code]
    if name == "CUSTOM":
        name = f"CUSTOM:{reader.text(table.CustomCode())}"
    return name, int(table.Version())


def _tensor(
    table: Any, index: int, places: Sequence[tuple[int, int]], dtypes: dict[int, str], reader: _Reader
) -> Tensor:
    shape = reader.numbers(table, "Shape", 4)
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise ValueError(f"tensor {index} has a shape of {len(shape)} dimensions with {min(shape)} the smallest")
    if table.Type() not in dtypes:
        raise ValueError(f"tensor {index} is of a type ({table.Type()}) unknown to the installed LiteRT")
    (buffer,) = _indices((table.Buffer(),), len(places), f"the buffer of tensor {index}")
    start, size = places[buffer]
    quantization = table.Quantization()
    scale = zero_point = ()
    if quantization is not None:
        scale = reader.numbers(quantization, "Scale", 4)
        zero_point = reader.numbers(quantization, "ZeroPoint", 8)
    return Tensor(
        name=reader.text(table.Name()),
        index=index,
        shape=shape,
        shape_signature=reader.numbers(table, "ShapeSignature", 4),
        dtype=dtypes[table.Type()].lower(),
        scale=scale,
        zero_point=zero_point,
        buffer=buffer,
        bytes=size,
        is_constant=size > 0,
        offset=start if size else None,
        is_variable=bool(table.IsVariable()),
    )


def _operator(
    table: Any, index: int, codes: Sequence[tuple[str, int]], tensors: Sequence[Tensor], reader: _Reader, schema: Any
) -> Operator:
    (code,) = _indices((table.OpcodeIndex(),), len(codes), f"the code of operator {index}")
    name, version = codes[code]
    inputs = _indices(reader.numbers(table, "Inputs", 4), len(tensors), f"an input of operator {index}", least=-1)
    outputs = _indices(reader.numbers(table, "Outputs", 4), len(tensors), f"an output of operator {index}")
    return Operator(
        index=index,
        name=name,
        version=version,
        inputs=inputs,
        outputs=outputs,
        macs=multiply_accumulates(
            name, [tensors[i].shape if i >= 0 else () for i in inputs], [tensors[i].shape for i in outputs]
        ),
        options=read_options(table, name, schema),
    )


def _indices(values: Sequence[int], count: int, what: str, least: int = 0) -> tuple[int, ...]:
    wrong = [i for i in values if not least <= i < count]
    if wrong:
        raise ValueError(f"{what} is number {wrong[0]} of {count}")
    return tuple(values)
