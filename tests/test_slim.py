"""Slimmed models: the same outputs bit for bit, in fewer bytes and less memory."""

from __future__ import annotations

from typing import Any

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
    assert sorted(operator.name for operator in after.operators) == sorted(o.name for o in before.operators)


def test_constants_keep_their_bytes_and_are_aligned(fat: bytes) -> None:
    content = slim(fat)
    tables = litert("schema_py_generated")
    before, after = (tables.ModelT.InitFromObj(tables.Model.GetRootAs(one, 0)) for one in (fat, content))

    def constants(model: Any) -> list[bytes]:
        return sorted(bytes(b.data) for b in model.buffers if b.data is not None and len(b.data))

    metadata = {bytes(before.buffers[entry.buffer].data) for entry in before.metadata}
    assert constants(after) == [data for data in constants(before) if data not in metadata]
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
    assert [tensor.shape for tensor in model.tensors] == [tensor.shape for tensor in tflite.describe(fat).tensors]
