"""Slimmed models: the same outputs bit for bit, in fewer bytes and less memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import flatbuffers
import numpy as np
import pytest
from conftest import Tiny

from gyrovae_tf import contract, tflite
from gyrovae_tf.learn.convert import to_int8
from gyrovae_tf.learn.slim import slim
from gyrovae_tf.litert import litert
from gyrovae_tf.runtime import Model, installed

NOISE = np.random.default_rng(0).integers(-128, 128, (12, 2, 32, 32, 3)).astype(np.int8)


@pytest.fixture(scope="module")
def fat(tiny: Tiny) -> bytes:
    """What the converter makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gyrovae_tf.learn.convert.slim", lambda content: content)
        return to_int8(tiny.run.keras_model(), tiny.dataset.train_images)


def test_what_is_converted_is_slim(tiny: Tiny, fat: bytes) -> None:
    assert slim(fat) == tiny.bundle.model
    assert slim(slim(fat)) == slim(fat)


@pytest.mark.parametrize("kernels", installed())
def test_every_output_is_the_same(tiny: Tiny, fat: bytes, kernels: str) -> None:
    for images in (NOISE, tiny.dataset.validation_images[:12]):
        for one, other in zip(
            Model(fat, kernels).reconstruct(images), Model(slim(fat), kernels).reconstruct(images), strict=True
        ):
            assert np.array_equal(one, other)


def test_it_is_smaller_and_needs_less_memory(fat: bytes) -> None:
    before, after = tflite.describe(fat), tflite.describe(slim(fat))
    assert after.size_bytes < 0.95 * before.size_bytes
    assert after.activation_bytes < before.activation_bytes
    assert contract.contract_violations(after) == ()
    assert after.macs == before.macs


def test_dense_layers_read_what_was_copied_for_them(fat: bytes) -> None:
    """Each branch: the patches of the encoder to the code, and the grid of the decoder to rows of pixels."""
    before, after = (Counter(operator.name for operator in tflite.describe(c).operators) for c in (fat, slim(fat)))
    assert before - after == {"RESHAPE": 4}
    assert after - before == {}
    model = tflite.describe(slim(fat))
    assert after["RESHAPE"] == 2  # the outputs, whose shape the contract fixes
    assert {o.outputs[0] for o in model.operators if o.name == "RESHAPE"} == set(model.outputs)
    dense = [
        tuple(model.tensors[i].shape for i in (*o.inputs[:2], o.outputs[0]))
        for o in model.operators
        if o.name == "FULLY_CONNECTED"
    ]
    assert dense.count(((1, 4, 4, 8), (4, 128), (1, 4))) == 2
    assert dense.count(((1, 256), (96, 8), (32, 96))) == 2


@pytest.mark.parametrize("change", ["keeps dimensions", "another scale"])
def test_copies_that_a_dense_layer_needs_stay(fat: bytes, change: str) -> None:
    tables = litert("schema_py_generated")
    model = tables.ModelT.InitFromObj(tables.Model.GetRootAs(fat, 0))
    graph = model.subgraphs[0]
    for described, operator in zip(tflite.describe(fat).operators, graph.operators, strict=True):
        if described.name == "FULLY_CONNECTED" and change == "keeps dimensions":
            operator.builtinOptions.keepNumDims = True
        if described.name == "RESHAPE" and change == "another scale":
            quantization = graph.tensors[described.outputs[0]].quantization
            quantization.scale = quantization.scale * np.float32(2)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    before, after = (sorted(o.name for o in tflite.describe(c).operators) for c in (content, slim(content)))
    assert before == after


def test_constants_keep_their_bytes_and_are_aligned(fat: bytes) -> None:
    content = slim(fat)
    tables = litert("schema_py_generated")
    before, after = (tables.ModelT.InitFromObj(tables.Model.GetRootAs(one, 0)) for one in (fat, content))

    def constants(model: Any) -> list[bytes]:
        return sorted(bytes(b.data) for b in model.buffers if b.data is not None and len(b.data))

    metadata = {bytes(before.buffers[entry.buffer].data) for entry in before.metadata}
    known = [data for data in constants(before) if data not in metadata]
    gone = Counter(known) - Counter(constants(after))
    assert not Counter(constants(after)) - Counter(known)
    assert {len(data) for data in gone} == {2 * 4}  # the shapes, two numbers each, of copies that were left out
    for data in constants(after):
        if len(data) > 64 and content.count(data) == 1:
            assert content.index(data) % 16 == 0


def test_what_no_kernel_reads_is_gone(fat: bytes) -> None:
    assert b"CONVERSION_METADATA" in fat
    content = slim(fat)
    assert b"CONVERSION_METADATA" not in content
    model = tflite.describe(content)
    assert {tensor.name for tensor in model.tensors} == {""}
    assert model.description == ""
    used = {i for operator in model.operators for i in (*operator.inputs, *operator.outputs) if i >= 0}
    assert used == set(range(len(model.tensors)))
