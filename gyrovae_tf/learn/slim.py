"""A converter's .tflite in, the same network in fewer bytes and in an order that needs less memory out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import tflite
from gyrovae_tf.litert import litert

_ALIGNMENT = 16  # bytes, of constants: kernels read them in place


def slim(content: bytes) -> bytes:
    """The bytes of a .tflite in, those of one that computes the same, bit for bit, out.

    Left out is what no kernel reads: names, signatures, metadata, ranges that scales were made of, and copies to
    another shape for a dense layer, which takes any. Constants are aligned to 16 bytes. Operators come in an order that
    keeps few bytes of activations alive at one time (the converter ends one image before it begins the other, and so
    keeps the input until late).
    """
    tables = litert("schema_py_generated")
    model = tables.ModelT.InitFromObj(tables.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    graph.operators = _without_copies(graph.operators, tflite.describe(content))
    _strip(model)
    graph.operators = [graph.operators[place] for place in _order(tflite.describe(_packed(model)))]
    return _packed(model)


def _without_copies(tables: list[Any], model: tflite.Model) -> list[Any]:
    """Tables of operators and the model's description in, the tables without RESHAPEs before dense layers out.

    A dense layer reads rows of the width of its weights, one behind the other, whatever the shape of its input.
    """
    kept = []
    for operator, table in zip(model.operators, tables, strict=True):
        readers = [reader for reader in model.operators if operator.outputs[0] in reader.inputs]
        if (
            operator.name == "RESHAPE"
            and operator.outputs[0] not in model.outputs
            and all(_reads_rows(reader, operator.outputs[0], tables[reader.index]) for reader in readers)
            and _alike(*(model.tensors[i] for i in (operator.inputs[0], operator.outputs[0])))
        ):
            for reader in readers:
                tables[reader.index].inputs = [operator.inputs[0], *tables[reader.index].inputs[1:]]
        else:
            kept.append(table)
    return kept


def _reads_rows(operator: tflite.Operator, tensor: int, table: Any) -> bool:
    """Whether an operator is a dense layer that takes this tensor as its input and gives a matrix."""
    dense = operator.name == "FULLY_CONNECTED" and operator.inputs.index(tensor) == 0
    return dense and tensor not in operator.inputs[1:] and not table.builtinOptions.keepNumDims


def _alike(one: tflite.Tensor, other: tflite.Tensor) -> bool:
    """Whether the same bytes mean the same numbers in both."""
    return (one.dtype, one.scale, one.zero_point) == (other.dtype, other.scale, other.zero_point)


def _order(model: tflite.Model) -> list[int]:
    """A description in, its operators in the order in which they are to run out.

    Of those whose inputs are there, always the one with which fewest bytes are alive; the earlier one of equals.
    """
    waiting = {operator.index: operator for operator in model.operators}
    readers = {tensor.index: 0 for tensor in model.tensors}
    for operator in model.operators:
        for i in {i for i in operator.inputs if i >= 0}:
            readers[i] += 1
    for i in model.outputs:
        readers[i] += 1  # the caller
    size = {t.index: 0 if t.is_constant else t.needed_bytes or 0 for t in model.tensors}
    there = {tensor.index for tensor in model.tensors if tensor.is_constant} | set(model.inputs)
    written = {i for operator in model.operators for i in operator.outputs}
    order = []
    while waiting:
        ready = [
            operator
            for operator in waiting.values()
            if all(i in there or i not in written for i in operator.inputs if i >= 0)
        ]
        if not ready:  # a circle, which no converter makes
            return [operator.index for operator in model.operators]

        def grows(operator: tflite.Operator) -> tuple[int, int, int]:
            """Bytes that come with it, those that are left of them, and its place."""
            comes = sum(size[i] for i in operator.outputs)
            goes = sum(size[i] for i in set(operator.inputs) if i >= 0 and readers[i] == 1)
            return comes, comes - goes, operator.index

        chosen = min(ready, key=grows)
        for i in {i for i in chosen.inputs if i >= 0}:
            readers[i] -= 1
        there.update(chosen.outputs)
        order.append(chosen.index)
        del waiting[chosen.index]
    return order


def _strip(model: Any) -> None:
    """Take out of a model's tables what no kernel reads."""
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        tensor.name = tensor.shapeSignature = None
        quantization = tensor.quantization
        if quantization is not None:
            quantization.min = quantization.max = None
            if quantization.scale is None or not len(quantization.scale):
                tensor.quantization = None
    model.metadata, model.signatureDefs, model.metadataBuffer = [], [], None
    model.description = graph.name = None
    _keep_used(graph)
    used = {tensor.buffer for tensor in graph.tensors}
    kept = [i for i in sorted(used) if model.buffers[i].data is not None and len(model.buffers[i].data)]
    places = {buffer: place for place, buffer in enumerate(kept, 1)}  # buffer 0 is the empty one
    for tensor in graph.tensors:
        tensor.buffer = places.get(tensor.buffer, 0)
    model.buffers = [model.buffers[0], *(model.buffers[i] for i in kept)]


def _keep_used(graph: Any) -> None:
    """Drop the tensors that no operator reads or writes: results and shapes of the copies that were left out."""
    holders = [(holder, name) for holder in (graph, *graph.operators) for name in ("inputs", "outputs")]
    used = sorted({int(i) for holder, name in holders for i in getattr(holder, name) if i >= 0})
    places = {-1: -1, **{tensor: place for place, tensor in enumerate(used)}}  # -1: an input that was left out
    graph.tensors = [graph.tensors[i] for i in used]
    for holder, name in holders:
        setattr(holder, name, np.array([places[int(i)] for i in getattr(holder, name)], np.int32))


def _packed(model: Any) -> bytes:
    """Tables in, the bytes of a file out."""
    import flatbuffers

    class Builder(flatbuffers.Builder):
        """Aligns vectors of bytes, which constants are."""

        def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  # flatbuffers calls it so
            if x.dtype != np.uint8:
                return int(super().CreateNumpyVector(x))
            self.StartVector(1, x.size, _ALIGNMENT)
            self.head: int = self.head - x.size
            self.Bytes[self.head : self.head + x.size] = x.tobytes()
            return int(self.EndVector())

    builder = Builder(1 << 16)
    builder.Finish(model.Pack(builder), tflite.IDENTIFIER)
    return bytes(builder.Output())
