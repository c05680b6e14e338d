"""What the linter finds in models made for it, what it says they cost, and that nothing crashes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from handmade import OPTIONS, Handmade, source
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gyrovae_tf
from gyrovae_tf import Check, tflite
from gyrovae_tf.contract import OPS, contract_violations
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.findings import RULES
from gyrovae_tf.kerneltypes import KERNELS
from gyrovae_tf.lint import Layer, check
from gyrovae_tf.target import TARGETS
from gyrovae_tf.tflmops import REGISTRABLE

RELU = schema.ActivationFunctionType.RELU


def found(content: bytes) -> list[tuple[str, str, int | None]]:
    """(severity, rule, operator) of every finding but those about the model's input and outputs."""
    return [(f.severity, f.rule, f.operator) for f in check(content).findings if f.rule != "interface"]


def only(content: bytes, rule: str) -> str:
    """What the one finding of this rule says; it must be the only one of the model that is no note."""
    (finding,) = (f for f in check(content).findings if f.rule == rule)
    assert [f.rule for f in check(content).findings if f.severity != "note" and f.rule != "interface"] in ([rule], [])
    return finding.what


# --- a model without a fault ----------------------------------------------------------------------------------


def contracted() -> Handmade:
    """The contract's input and outputs with a 1x1 convolution of 16 channels between, for each image."""
    made = Handmade()
    made.inputs = [made.tensor([2, 32, 32, 3], scale=(1 / 32,))]
    begin = made.tensor([4], "int32", constant=True)
    for _ in range(2):
        image = made.tensor([1, 32, 32, 3], scale=(1 / 32,))
        made.op("SLICE", [made.inputs[0], begin, begin], [image])
        made.outputs.append(made.conv(made.conv(image, (3, 3), 16), (1, 1), 3))
    return made


def test_a_model_that_keeps_the_contract_has_notes_only() -> None:
    made = contracted()
    result = check(made.build(*made.outputs))
    assert isinstance(result, Check)
    assert result.ok
    assert [(f.severity, f.rule, f.operator) for f in result.findings] == [
        ("note", "reference-kernel", 0),  # SLICE
        ("note", "reference-kernel", 3),
        ("note", "slow-path", 1),  # from 3 channels
        ("note", "slow-path", 4),
    ]
    assert result.macs == result.accelerated_macs == 2 * 1024 * (16 * 27 + 3 * 16)
    assert result.arena_lower_bound_bytes == tflite.describe(made.build(*made.outputs)).activation_bytes


def test_the_contract_of_the_interface_is_checked() -> None:
    made, image = source([1, 8, 8, 8])
    result = check(made.build(made.conv(image, (1, 1), 8)))
    assert not result.ok
    assert [f.what for f in result.of("error")] == [
        "the input has shape [1, 8, 8, 8] instead of [2, 32, 32, 3]",
        "the input's scale is [0.5] instead of [0.03125]",
        "1 outputs instead of 2",
        "output 0 has shape [1, 8, 8, 8] instead of [1, 32, 32, 3]",
    ]
    assert {f.where for f in result.of("error")} == {"model"}


# --- errors ---------------------------------------------------------------------------------------------------


def test_operators_that_the_firmware_lacks() -> None:
    made, image = source([1, 8, 8, 8])
    content = made.build(made.then("TANH", made.then("RELU", image)))
    assert found(content)[0] == ("error", "operator", 1)
    finding = next(f for f in check(content).findings if f.rule == "operator")
    assert (finding.where, finding.what) == ("operator 1 TANH (t2)", "TANH is not registered")
    assert "may register it: TensorFlow Lite Micro has it" in finding.why


def test_operators_that_tensorflow_lite_micro_lacks() -> None:
    made, image = source([1, 8, 8, 8])
    content = made.build(made.then("GELU", image))
    assert found(content)[0] == ("error", "unknown-operator", 0)
    assert check(content).obstacles == ("unknown-operator",)


def test_the_kernels_here_take_what_is_no_obstacle_and_refuse_what_is_one() -> None:
    """TensorFlow Lite Micro for a PC has the target's operators, and lacks what the target lacks."""
    if not os.environ.get("CI"):
        pytest.importorskip("tflite_micro", reason="tflite-micro is for Linux on x86-64")
    from tflite_micro import runtime

    for name in ("TANH", "ABS", "RELU6", "GELU", "SELECT", "TOPK_V2"):
        made, image = source([1, 8, 8, 8])
        content = made.build(made.then(name, image))
        if check(content).obstacles:
            assert name in ("GELU", "SELECT", "TOPK_V2")
            with pytest.raises(RuntimeError):
                runtime.Interpreter.from_bytes(content, arena_size=1 << 16)
        else:
            runtime.Interpreter.from_bytes(content, arena_size=1 << 16).invoke()


def test_sizes_that_are_computed() -> None:
    made, image = source([2, 4])
    size = made.tensor([2], "int32")
    made.op("SHAPE", [image], [size])
    filled = made.tensor([2, 4])
    made.op("FILL", [size, made.tensor([], constant=True)], [filled])
    content = made.build(filled)
    assert [f.what for f in check(content).findings if f.rule == "computed"] == ["tensor 1 (t1) is no constant"]
    assert check(content).obstacles == ("computed",)
    made, image = source([2, 4])
    size = made.tensor([2], "int32", constant=True)
    made.op("FILL", [size, made.tensor([], constant=True)], [made.tensor([0, 0])])
    assert "computed" not in {rule for _, rule, _ in found(made.build(image))}


def test_registrable_operators_are_of_the_schema() -> None:
    builtins = {name for name in REGISTRABLE if not name.startswith("CUSTOM:")}
    assert builtins < set(vars(schema.BuiltinOperator))
    assert set(OPS) < builtins
    assert "CUSTOM:SignalWindow" in REGISTRABLE


def test_errors_about_our_firmware_alone_are_no_obstacles() -> None:
    """A network for something else: other inputs, an operator and floats that our firmware does not take."""
    made, image = source([1, 4])
    real = made.tensor([1, 4], "float32", signature=[-1, 4])
    made.op("DEQUANTIZE", [image], [real])
    squashed = made.tensor([1, 4], "float32")
    made.op("LOGISTIC", [real], [squashed])
    result = check(made.build(squashed))
    assert {f.rule for f in result.of("error")} == {"interface", "operator", "float", "dynamic-shape"}
    assert result.obstacles == ()
    assert result.to_dict()["obstacles"] == []


def test_of_several_subgraphs_the_first_is_looked_at() -> None:
    """As of models that keep state in variables, which one of their subgraphs sets at the start."""
    made, image = source([1, 8, 8, 8])
    made.subgraphs = 3
    result = check(made.build(made.conv(image, (1, 1), 16)))
    assert next(f.what for f in result.findings if f.rule == "subgraphs") == "3 subgraphs instead of 1"
    assert result.macs == 8 * 8 * 8 * 16
    assert result.obstacles == ()


def test_what_keeps_its_values_between_inferences_is_written() -> None:
    made, image = source([1, 8])
    state, result = made.tensor([1, 8]), made.tensor([1, 8])
    made.op("ADD", [image, state], [result])
    assert "order" in {rule for _, rule, _ in found(made.build(result))}
    made.tensors[state].isVariable = True
    assert "order" not in {rule for _, rule, _ in found(made.build(result))}


def test_float_tensors_are_told_by_operator() -> None:
    made, image = source([1, 4])
    real = made.tensor([1, 4], "float32")
    made.op("DEQUANTIZE", [image], [real])
    squared = made.tensor([1, 4], "float32")
    made.op("EXP", [real], [squared])
    back = made.tensor([1, 4])
    made.op("QUANTIZE", [squared], [back])
    assert [f for f in found(made.build(back)) if f[0] == "error"] == [("error", "float", i) for i in (0, 1, 2)]
    assert "t1), 2 (t2)" in check(made.build(back)).findings[1].what


def test_a_float_tensor_that_nothing_touches_breaks_the_contract_too() -> None:
    made, image = source([1, 4])
    made.tensor([3], "float32")
    assert "1 float tensors that no operator touches, such as tensor 1 (t1)" in only(made.build(image), "float")


def test_integer_weights_on_float_activations() -> None:
    made, image = source([1, 4, 4, 8], "float32")
    made.conv(image, (1, 1), 8)
    made.tensors[3].type = schema.TensorType.FLOAT32
    assert ("error", "hybrid", 0) in found(made.build(3))


def single(name: str, inputs: str, outputs: str) -> bytes:
    """A model of one operator, from the types of its tensors; "int32[2]" is a constant of that shape, of zeros."""
    made = Handmade()

    def tensor(text: str) -> int:
        dtype, _, shape = text.rstrip("]").partition("[")
        # What is not quantised must not look so: some kernels refuse int32 with a scale.
        scale = (0.5,) if dtype in ("int4", "int8", "uint8", "int16") else ()
        return made.tensor(json.loads(f"[{shape or '1, 2, 2, 4'}]"), dtype, constant=bool(shape), scale=scale)

    places = [[tensor(text) for text in texts.split()] for texts in (inputs, outputs)]
    made.inputs = [i for i in places[0] if not made.tensors[i].buffer]
    made.op(name, *places)
    return made.build(*places[1], inside=True)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "expected"),
    [
        (
            "CONV_2D",
            "uint8 uint8 int32",
            "uint8",
            "input 0, tensor 0 (t0), is uint8; the kernel takes int8, int16, float32",
        ),
        ("CONV_2D", "int8 int4 int32", "int8", None),
        (
            "CONV_2D",
            "int8 int8 int32",
            "int16",
            "output 0, tensor 3 (t3), is int16; the kernel takes int8 where input 0 is int8",
        ),
        (
            "CONV_2D",
            "int16 int8 float32",
            "int16",
            "input 2, tensor 2 (t2), is float32; the kernel takes int32, int64 where input 0 is int16",
        ),
        ("CONV_2D", "int16 int8", "int16", None),  # a bias is optional
        (
            "FULLY_CONNECTED",
            "int16 int4[4,4]",
            "int16",
            "input 1, tensor 1 (t1), is int4; the kernel takes int8 where input 0 is int16",
        ),
        ("TRANSPOSE_CONV", "int32 int8 int16 int64", "int16", None),
        (
            "TRANSPOSE_CONV",
            "int32 float32 int8",
            "int8",
            "input 2, tensor 2 (t2), is int8; the kernel takes float32 where input 1 is float32",
        ),
        ("FLOOR_MOD", "int32 int32", "int32", "input 0, tensor 0 (t0), is int32; the kernel takes float32"),
        ("MIRROR_PAD", "int32 int32", "int32", "output 0, tensor 2 (t2), is int32; the kernel takes int8, float32"),
        ("GATHER", "float32 int64", "float32", "input 1, tensor 1 (t1), is int64; the kernel takes int32"),
        ("MAXIMUM", "int64 int64", "int64", None),
        (
            "CONCATENATION",
            "int8 int8 uint8",
            "int8",
            "input 2, tensor 2 (t2), is uint8; the kernel takes int8 where input 0 is int8",
        ),
        (
            "QUANTIZE",
            "float32",
            "uint8",
            "output 0, tensor 1 (t1), is uint8; the kernel takes int8, int16 where input 0 is float32",
        ),
        ("QUANTIZE", "int8", "uint8", None),
        ("RESHAPE", "uint8", "uint8", None),  # it is copied
        ("SLICE", "int8 int64 int64", "int8", None),
        (
            "SLICE",
            "int8 int64 int32",
            "int8",
            "input 2, tensor 2 (t2), is int32; the kernel takes int64 where input 0 is int8 and input 1 is int64",
        ),
        ("SHAPE", "float64", "int32", None),  # which does not look into it
        (
            "WHILE",
            "variant",
            "variant",
            "input 0, tensor 0 (t0), is variant, a type that TensorFlow Lite Micro has no place for",
        ),
        ("GELU", "uint8", "uint8", None),  # there is no kernel at all, which is told
    ],
)
def test_types_of_elements_that_a_kernel_does_not_take(
    name: str, inputs: str, outputs: str, expected: str | None
) -> None:
    content = single(name, inputs, outputs)
    told = [f for f in check(content).findings if f.rule == "type"]
    assert [(f.severity, f.operator, f.what) for f in told] == ([("error", 0, f"its {expected}")] if expected else [])
    assert ("type" in check(content).obstacles) == bool(expected)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "rule"),
    [
        ("DEQUANTIZE", "float16", "float32", "float16"),
        ("DEQUANTIZE", "int32", "float32", "type"),
        ("DEQUANTIZE", "uint8", "float32", None),
        ("CONV_2D", "float32 int8", "float32", "hybrid"),
        ("CONV_2D", "float32 uint8", "float32", "type"),
        ("BATCH_MATMUL", "float32 int8", "float32", "type"),
    ],
)
def test_a_type_is_told_once(name: str, inputs: str, outputs: str, rule: str | None) -> None:
    told = [f[1] for f in found(single(name, inputs, outputs)) if f[1] in ("type", "float16", "hybrid")]
    assert told == ([rule] if rule else [])


def test_the_types_of_every_registrable_operator_are_known() -> None:
    assert set(KERNELS) == {name for name in REGISTRABLE if not name.startswith("CUSTOM:")}
    types = {t for rows in KERNELS.values() for row in rows for place in (*row.inputs, *row.outputs) for t in place}
    assert types < {name.lower() for name in vars(schema.TensorType)}


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "runs"),
    [
        ("ABS", "int16", "int16", True),
        ("ABS", "int32", "int32", False),
        ("ABS", "int8", "int16", False),
        ("ADD", "int32 int32", "int32", True),
        ("ADD", "int64 int64", "int64", False),
        ("CAST", "bool", "float32", True),
        ("CAST", "uint8", "float32", False),
        ("DEQUANTIZE", "uint8", "float32", True),
        ("DEQUANTIZE", "int32", "float32", False),
        ("EMBEDDING_LOOKUP", "int32[1] int8", "float32", True),
        ("EMBEDDING_LOOKUP", "int32[1] float32", "int8", False),
        ("EQUAL", "int64 int64", "bool", True),
        ("EQUAL", "int16 int16", "bool", False),
        ("FLOOR_MOD", "float32 float32", "float32", True),
        ("FLOOR_MOD", "int32 int32", "int32", False),
        ("FULLY_CONNECTED", "int8 int4[4,4]", "int8", True),
        ("FULLY_CONNECTED", "int16 int8[4,4]", "int16", True),
        ("FULLY_CONNECTED", "int16 int4[4,4]", "int16", False),
        ("FULLY_CONNECTED", "uint8 uint8[4,4]", "uint8", False),
        ("GATHER", "int8 int32[1]", "int8", True),
        ("GATHER", "int8 int64[1]", "int8", False),
        ("GATHER", "int32 int32[1]", "int32", False),
        ("LOGICAL_NOT", "bool", "bool", True),
        ("LOGICAL_NOT", "int8", "int8", False),
        ("MAXIMUM", "int64 int64", "int64", True),
        ("MAXIMUM", "uint8 uint8", "uint8", False),
        ("MIRROR_PAD", "int8 int64[4,2]", "int8", True),
        ("MIRROR_PAD", "int32 int32[4,2]", "int32", False),
        ("MUL", "int16 int16", "int16", True),
        ("MUL", "int8 int16", "int8", False),
        ("QUANTIZE", "uint8", "int8", True),
        ("QUANTIZE", "float32", "uint8", False),
        ("REVERSE_V2", "int64 int32[1]", "int64", True),
        ("REVERSE_V2", "int8 int64[1]", "int8", False),
        ("ZEROS_LIKE", "int64", "int64", True),
        ("ZEROS_LIKE", "int16", "int16", False),
    ],
)
def test_the_kernels_here_take_the_same_types(name: str, inputs: str, outputs: str, runs: bool) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("tflite_micro", reason="tflite-micro is for Linux on x86-64")
    from tflite_micro import runtime

    content = single(name, inputs, outputs)
    assert check(content).obstacles == (() if runs else ("type",))
    if runs:
        runtime.Interpreter.from_bytes(content, arena_size=1 << 16).invoke()
    else:  # while it is prepared or invoked
        with pytest.raises(RuntimeError):
            runtime.Interpreter.from_bytes(content, arena_size=1 << 16).invoke()


def test_open_dimensions() -> None:
    made, image = source([1, 4, 4, 8])
    made.tensors[image].shapeSignature = [-1, 4, 4, 8]
    result = only(made.build(made.then("RELU", image)), "dynamic-shape")
    assert result == "tensor 0 (t0) has the signature [-1, 4, 4, 8]"


def test_a_constant_of_another_size_and_a_tensor_that_nothing_writes() -> None:
    made, image = source([1, 4])
    result = made.dense(image, 3)
    made.data[1] = bytes(11)  # [3, 4] takes 12
    assert [f[1] for f in found(made.build(result)) if f[0] == "error"] == ["constant-size"]
    made.data[1] = bytes(12)
    nothing = made.tensor([1, 4])
    assert [f[1] for f in found(made.build(result, nothing)) if f[0] == "error"] == ["order"]


@pytest.mark.parametrize("options", [{"present": False}, {"strideH": 0}, {"dilationWFactor": 0}])
def test_options_that_a_kernel_cannot_do_without(options: dict[str, Any]) -> None:
    made, image = source([1, 4, 4, 8])
    weights, result = made.tensor([8, 1, 1, 8], constant=True), made.tensor([1, 4, 4, 8])
    made.op("CONV_2D", [image, weights], [result], **options)
    assert ("error", "options", 0) in found(made.build(result))


# --- what ESP-NN computes wrongly -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "channels", "expected"),
    [
        # 3x3, stride 2: on even sizes nothing in front and one behind, on odd ones 1 and 1.
        ([16, 16], (3, 3), 2, "SAME", 16, "asymmetric-padding"),
        ([15, 15], (3, 3), 2, "SAME", 16, None),
        # One dimension even, the other odd: front 0 and 1, behind 1 and 1. ESP-NN pads above and below by 0.
        ([16, 15], (3, 3), 2, "SAME", 16, "short-padding"),
        # 5x5, stride 2 on an even size: 3 in all, 1 in front, 2 behind.
        ([16, 16], (5, 5), 2, "SAME", 16, "short-padding"),
        # 4x4, stride 2 on an even size: 1 and 1. Stride 1: 1 in front, 2 behind.
        ([16, 16], (4, 4), 2, "SAME", 16, None),
        ([16, 16], (4, 4), 1, "SAME", 16, "short-padding"),
        ([16, 16], (2, 2), 2, "SAME", 16, None),
        ([15, 15], (2, 2), 2, "VALID", 16, None),
        # Windows of few channels have a kernel that looks at every border, since ESP-NN 1.2.1.
        ([16, 15], (3, 3), 2, "SAME", 3, "asymmetric-padding"),
    ],
)
def test_padding_of_convolutions(
    size: list[int], kernel: tuple[int, int], stride: int, padding: str, channels: int, expected: str | None
) -> None:
    made, image = source([1, *size, channels])
    rules = {rule for _, rule, _ in found(made.build(made.conv(image, kernel, 8, stride=stride, padding=padding)))}
    assert rules & {"asymmetric-padding", "short-padding", "uneven-padding"} == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("size", "channels", "expected"),
    [
        ([16, 15], 16, ("error", "depthwise-scratch")),  # front 0 and 1
        ([16, 16], 16, ("note", "uneven-padding")),  # front 0 and 0, behind 1 and 1
        ([16, 15], 8, ("note", "uneven-padding")),
        ([15, 15], 16, None),
    ],
)
def test_padding_of_depthwise_convolutions(size: list[int], channels: int, expected: tuple[str, str] | None) -> None:
    made, image = source([1, *size, channels])
    content = made.build(made.conv(image, (3, 3), 0, stride=2, name="DEPTHWISE_CONV_2D"))
    padded = [(f[0], f[1]) for f in found(content) if f[1] in ("depthwise-scratch", "uneven-padding")]
    assert padded == ([expected] if expected else [])


def test_where_padding_is_short_is_said_in_full() -> None:
    made, image = source([1, 16, 15, 16])
    what = only(made.build(made.conv(image, (3, 3), 8, stride=2)), "short-padding")
    assert what == "3x3 with stride 2x2 on 16x15: 0 rows above and 1 below, 1 columns left and 1 right"


@pytest.mark.parametrize(
    ("rows", "width", "expected"),
    [
        (1, 20, None),  # a row alone begins where the tensor does
        (3, 20, ("error", "fc-rows")),  # row 1 begins at byte 20
        (3, 24, ("warning", "fc-rows-slow")),
        (3, 32, None),
    ],
)
def test_rows_of_dense_layers(rows: int, width: int, expected: tuple[str, str] | None) -> None:
    made, image = source([rows, width])
    content = made.build(made.dense(image, 8))
    assert [(f[0], f[1]) for f in found(content) if f[1].startswith("fc-")] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (0, []),
        (4, [("warning", "weights-alignment", 0), ("note", "constant-alignment", None)]),
        (8, [("note", "constant-alignment", None)]),  # 8 bytes are enough for the kernel that was wrong
    ],
)
def test_constants_off_alignment(off: int, expected: list[tuple[str, str, int | None]]) -> None:
    made, image = source([1, 4, 4, 8])
    content = made.build(made.conv(image, (1, 1), 8), off=off)
    assert found(content) == expected
    weights = tflite.describe(content).tensors[1]
    assert weights.offset is not None
    assert weights.offset % 16 == off


def test_one_scale_a_channel_in_a_dense_layer() -> None:
    made, image = source([1, 16])
    assert only(made.build(made.dense(image, 3, scale=(0.1, 0.2, 0.3))), "per-channel-fc") == "3 scales of its weights"
    made, image = source([1, 16])
    assert found(made.build(made.dense(image, 3))) == []


# --- what costs time ------------------------------------------------------------------------------------------


def layer(content: bytes, index: int = 0) -> Layer:
    return check(content).layers[index]


def kernel(content: bytes) -> tuple[str, bool]:
    return layer(content).kernel, layer(content).accelerated


@pytest.mark.parametrize(
    ("channels", "size", "filters", "options", "expected"),
    [
        (8, (1, 1), 5, {}, ("ESP-NN 1x1", True)),
        (3, (3, 3), 8, {}, ("ESP-NN im2col", True)),  # rows of 9 bytes, windows of 27
        (2, (2, 2), 8, {}, ("ESP-NN general", True)),  # windows of 8: too small
        (6, (3, 3), 8, {}, ("ESP-NN general", True)),
        (8, (1, 1), 8, {"stride": 2}, ("ESP-NN general", True)),
        (8, (3, 3), 8, {"dilationHFactor": 2}, ("TFLM reference", False)),
    ],
)
def test_kernels_of_convolutions(
    channels: int, size: tuple[int, int], filters: int, options: dict[str, int], expected: tuple[str, bool]
) -> None:
    made, image = source([1, 8, 8, channels])
    assert kernel(made.build(made.conv(image, size, filters, **options))) == expected


def test_convolutions_in_groups_run_on_plain_c() -> None:
    made, image = source([1, 4, 4, 8])
    weights, result = made.tensor([8, 1, 1, 4], constant=True), made.tensor([1, 4, 4, 8])
    made.op("CONV_2D", [image, weights], [result])
    assert kernel(made.build(result)) == ("ESP-NN plain C", False)
    assert only(made.build(result), "unaccelerated") == (
        "runs on the ESP-NN plain C kernel (in groups of 4 channels: ESP-NN runs it in plain C): 512 MACs"
    )


@pytest.mark.parametrize(
    ("channels", "multiplier", "size", "expected"),
    [
        (16, 1, (3, 3), ("ESP-NN depthwise 3x3", True)),
        (8, 1, (3, 3), ("ESP-NN depthwise 3x3", True)),
        (8, 1, (5, 5), ("ESP-NN depthwise 16-bit", True)),
        (6, 1, (3, 3), ("ESP-NN depthwise 16-bit", True)),
        (3, 1, (3, 3), ("ESP-NN portable C", False)),
        (3, 4, (3, 3), ("ESP-NN depthwise 16-bit", True)),
        (8, 3, (3, 3), ("ESP-NN portable C", False)),
    ],
)
def test_kernels_of_depthwise_convolutions(
    channels: int, multiplier: int, size: tuple[int, int], expected: tuple[str, bool]
) -> None:
    made, image = source([1, 9, 9, channels])
    assert kernel(made.build(made.conv(image, size, 0, name="DEPTHWISE_CONV_2D", multiplier=multiplier))) == expected


def test_elementwise_kernels_do_not_broadcast() -> None:
    made, image = source([1, 4, 4, 8])
    assert kernel(made.build(made.then("ADD", image, image))) == ("ESP-NN ADD", True)
    made, image = source([1, 4, 4, 8])
    row = made.tensor([1, 1, 1, 8], constant=True)
    assert kernel(made.build(made.then("MUL", image, row))) == ("TFLM reference", False)


def test_poolings_want_channels_in_fours() -> None:
    for channels, expected in ((8, ("ESP-NN pooling", True)), (6, ("ESP-NN plain C", False))):
        made, image = source([1, 8, 8, channels])
        pooled = made.then("MAX_POOL_2D", image, shape=[1, 4, 4, channels], filterHeight=2, filterWidth=2)
        assert kernel(made.build(pooled)) == expected


def test_what_is_not_int8_is_not_accelerated() -> None:
    made, image = source([1, 16], "int16")
    assert kernel(made.build(made.dense(image, 8))) == ("TFLM reference", False)


def test_transposed_convolutions() -> None:
    made, image = source([1, 4, 4, 8])
    shape, weights = made.tensor([4], "int32", constant=True), made.tensor([8, 2, 2, 8], constant=True)
    result = made.tensor([1, 8, 8, 8])
    made.op("TRANSPOSE_CONV", [shape, weights, image], [result], strideH=2, strideW=2)
    # 4 * 4 * 8 inputs, each times 2 * 2 * 8 weights
    assert only(made.build(result), "transpose-conv") == "4,096 MACs on the TFLM reference kernel"


@pytest.mark.parametrize(
    ("width", "words"),
    [(8, "8 inputs, less than 16: 8 at a time"), (20, "20 inputs: 4 of them, beyond a multiple of 16")],
)
def test_narrow_dense_layers(width: int, words: str) -> None:
    made, image = source([1, width])
    (finding,) = check(made.build(made.dense(image, 8))).of("note")
    assert finding.rule == "slow-path"
    assert words in finding.what


# --- what a converter should have folded ----------------------------------------------------------------------


def test_a_batch_norm_that_was_left() -> None:
    made, image = source([1, 4, 4, 8])
    scaled = made.then("MUL", made.conv(image, (1, 1), 8), made.tensor([8], constant=True))
    shifted = made.then("ADD", scaled, made.tensor([8], constant=True))
    findings = [f for f in check(made.build(shifted)).findings if f.rule == "unfolded-scale"]
    assert [(f.operator, f.what) for f in findings] == [
        (1, "a constant [8] behind operator 0 CONV_2D"),
        (2, "a constant [8] behind operator 1 MUL"),
    ]


def test_a_scale_that_cannot_be_folded_is_none() -> None:
    made, image = source([1, 4, 4, 8])
    result = made.conv(image, (1, 1), 8)
    scaled = made.then("MUL", result, made.tensor([1, 4, 4, 8], constant=True))  # another factor for each pixel
    assert "unfolded-scale" not in [f[1] for f in found(made.build(scaled))]
    made, image = source([1, 4, 4, 8])
    result = made.conv(image, (1, 1), 8)
    scaled = made.then("MUL", result, made.tensor([8], constant=True))
    assert "unfolded-scale" not in [f[1] for f in found(made.build(scaled, result))]  # read elsewhere, too


def test_a_relu_that_is_not_fused() -> None:
    made, image = source([1, 4, 4, 8])
    clamped = made.then("RELU", made.conv(image, (1, 1), 8))
    assert only(made.build(clamped), "unfused-relu") == "RELU behind operator 0 CONV_2D"
    made, image = source([1, 4, 4, 8])
    clamped = made.then("RELU", made.conv(image, (1, 1), 8, fusedActivationFunction=RELU))
    assert "unfused-relu" not in [f[1] for f in found(made.build(clamped))]


def test_requantisations() -> None:
    made, image = source([1, 4])
    again = made.then("QUANTIZE", made.then("QUANTIZE", image))
    made.tensors[1].quantization.scale = [0.25]
    made.tensors[2].quantization.scale = [0.125]
    findings = [f for f in check(made.build(again)).findings if "quant" in f.rule]
    assert [(f.severity, f.rule, f.operator, f.what) for f in findings] == [
        ("warning", "double-quantize", 1, "QUANTIZE behind operator 0 QUANTIZE"),
        ("note", "requantize", 0, "int8 to int8, from scale 0.5 to 0.25"),
    ]
    made, image = source([1, 4])
    assert only(made.build(made.then("QUANTIZE", image)), "requantize").endswith("0.5 to 0.5: it changes nothing")


def test_copies_of_copies() -> None:
    made, image = source([1, 4, 4, 8])
    new, order = made.tensor([2], "int32", constant=True), made.tensor([4], "int32", constant=True)
    flat = made.then("RESHAPE", made.then("RESHAPE", image, new, shape=[16, 8]), new, shape=[1, 128])
    turned = made.then("TRANSPOSE", made.then("TRANSPOSE", image, order), order)
    same = made.then("RESHAPE", image, new)
    findings = [f for f in check(made.build(flat, turned, same)).findings if f.rule.endswith("-pair")]
    assert [(f.rule, f.operator, f.what) for f in findings] == [
        ("reshape-pair", 1, "RESHAPE behind operator 0 RESHAPE"),
        ("reshape-pair", 4, "from [1, 4, 4, 8] to the same shape"),
        ("transpose-pair", 3, "TRANSPOSE behind operator 2 TRANSPOSE"),
    ]


@pytest.mark.slow
def test_a_batch_norm_as_tensorflow_leaves_it() -> None:
    """Behind the activation a batch norm cannot be folded into the convolution before it."""
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3), batch_size=1)
    hidden = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    outside = keras.layers.BatchNormalization(beta_initializer="ones")(hidden)
    inside = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same")(inputs)))
    rng = np.random.default_rng(0)
    for output, expected in ((outside, 2), (inside, 0)):
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, output))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [rng.standard_normal((1, 8, 8, 3)).astype(np.float32)] for _ in range(4)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        rules = [rule for _, rule, _ in found(converter.convert())]
        assert rules.count("unfolded-scale") == expected


# --- what it costs --------------------------------------------------------------------------------------------


def published(build: Callable[[], bytes], cycles: int) -> Any:
    return pytest.param(build, cycles)


def convolution(size: int, channels: int, filters: int, kernel: int = 1) -> bytes:
    made, image = source([1, size, size, channels])
    return made.build(made.conv(image, (kernel, kernel), filters, padding="VALID"))


def depthwise(size: int, channels: int, kernel: int, multiplier: int, padding: str) -> bytes:
    made, image = source([1, size, size, channels])
    pixels = made.conv(image, (kernel, kernel), 0, name="DEPTHWISE_CONV_2D", multiplier=multiplier, padding=padding)
    return made.build(pixels)


def dense(width: int, units: int) -> bytes:
    made, image = source([1, width])
    return made.build(made.dense(image, units))


def elementwise(name: str, size: int) -> bytes:
    made, image = source([1, size])
    return made.build(made.then(name, image, image))


def pooling(name: str) -> bytes:
    made, image = source([1, 16, 16, 16])
    return made.build(made.then(name, image, shape=[1, 14, 14, 16], filterHeight=3, filterWidth=3))


def softmax() -> bytes:
    made, image = source([8, 32])
    return made.build(made.then("SOFTMAX", image))


@pytest.mark.parametrize(
    ("build", "cycles"),
    [  # ESP-NN 1.2.3, README.md: "Kernelwise performance on ESP32-S3 chip"
        published(lambda: convolution(10, 64, 64), 331_008),
        published(lambda: convolution(8, 16, 16), 39_022),
        published(lambda: convolution(8, 3, 64, 3), 394_842),
        published(lambda: depthwise(18, 16, 3, 1, "VALID"), 184_176),
        published(lambda: dense(271, 3), 1_078),
        published(lambda: elementwise("ADD", 1_615), 74_440),
        published(lambda: elementwise("MUL", 1_615), 35_002),
        published(lambda: pooling("AVERAGE_POOL_2D"), 118_052),
        published(lambda: pooling("MAX_POOL_2D"), 48_069),
        published(softmax, 11_107),
    ],
)
def test_every_published_figure_comes_out_again(build: Callable[[], bytes], cycles: int) -> None:
    assert check(build()).estimate.cycles == pytest.approx(cycles, rel=1e-12)


def test_the_estimate_of_a_tiny_model_by_hand() -> None:
    made, image = source([1, 4, 4, 16])
    hidden = made.conv(image, (1, 1), 8, fusedActivationFunction=RELU)
    flat = made.then("RESHAPE", hidden, made.tensor([2], "int32", constant=True), shape=[1, 128])
    result = check(made.build(made.dense(flat, 2)))
    # 1x1 convolutions: 16,384 a + 1,024 b = 39,022 and 409,600 a + 6,400 b = 331,008 cycles
    a = (331_008 - 6.25 * 39_022) / (409_600 - 6.25 * 16_384)
    b = (39_022 - 16_384 * a) / 1_024
    assert (round(a, 3), round(b, 1)) == (0.284, 33.6)
    convolved, copied, summed = 4 * 4 * 8 * 16 * a + 128 * b, 128, 256 * (1_078 / 3 - b) / 271 + 2 * b
    facts = [
        (layer.op, layer.shape, layer.macs, layer.weight_bytes, layer.activation_bytes, layer.accelerated)
        for layer in result.layers
    ]
    assert facts == [
        ("CONV_2D", (1, 4, 4, 8), 2_048, 8 * 16 + 8 * 4, 256 + 128, True),
        ("RESHAPE", (1, 128), 0, 8, 128 + 128, False),
        ("FULLY_CONNECTED", (1, 2), 256, 256, 128 + 2, True),
    ]
    assert [layer.cycles for layer in result.layers] == pytest.approx([convolved, copied, summed])
    assert [layer.us for layer in result.layers] == pytest.approx([convolved / 240, copied / 240, summed / 240])
    assert result.estimate.ms == pytest.approx((convolved + copied + summed) / 240e3)
    assert result.estimate.assumed == pytest.approx(copied / (convolved + copied + summed))
    assert (result.macs, result.accelerated_macs, result.weight_bytes) == (2_304, 2_304, 160 + 8 + 256)
    assert result.arena_lower_bound_bytes == 256 + 128


def person_detection() -> bytes:
    """MobileNet v1 of width 0.25 on [1, 96, 96, 1], as esp-tflite-micro's example has it."""
    made, hidden = source([1, 96, 96, 1])
    hidden = made.conv(hidden, (3, 3), 0, stride=2, name="DEPTHWISE_CONV_2D", multiplier=8)
    for stride, channels in chain(
        [(1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128)], [(1, 128)] * 5, [(2, 256), (1, 256)]
    ):
        hidden = made.conv(hidden, (3, 3), 0, stride=stride, name="DEPTHWISE_CONV_2D")
        hidden = made.conv(hidden, (1, 1), channels)
    hidden = made.then("AVERAGE_POOL_2D", hidden, shape=[1, 1, 1, 256], filterHeight=3, filterWidth=3)
    return made.build(made.then("SOFTMAX", made.conv(hidden, (1, 1), 2)))


def test_the_method_against_a_network_that_was_measured() -> None:
    """Published: 47 ms with its tensors in internal RAM, 54 ms in external RAM; no figure of it was used for these."""
    result = check(person_detection())
    assert result.macs == 7_157_888
    assert result.estimate.ms == pytest.approx(48.05, abs=0.01)
    assert result.estimate.ms == pytest.approx(47, rel=0.05)
    assert "comes to 48 ms" in result.estimate.method


def test_an_estimate_calls_itself_one() -> None:
    record = check(convolution(8, 16, 16)).to_dict()
    assert record["estimate"]["label"] == "ESTIMATE, not a measurement"
    assert record["estimate"]["clock_hz"] == 240e6
    assert "publishes" in record["estimate"]["method"]


# --- targets, inputs and rules --------------------------------------------------------------------------------


def test_targets_are_a_table() -> None:
    assert list(TARGETS) == ["esp32s3"]
    with pytest.raises(GyrovaeError, match="unknown target; expected esp32s3, received esp8266"):
        check(convolution(8, 16, 16), target="esp8266")


def test_the_package_has_it() -> None:
    assert gyrovae_tf.check is check
    assert gyrovae_tf.Check is Check


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in RULES.values():
        assert rule.why[0].isupper()
        assert rule.why.endswith(".")
        assert rule.remedy[0].isupper()


# --- whatever the bytes ---------------------------------------------------------------------------------------


def checked_or_refused(content: bytes) -> None:
    try:
        result = check(content)
    except GyrovaeError:
        return
    assert isinstance(result, Check)
    json.dumps(result.to_dict())
    # Nothing that the contract forbids is passed over.
    assert result.ok or result.of("error")
    if contract_violations(tflite.describe(content)):
        assert not result.ok


def rich() -> bytes:
    """A model with most of what is looked at."""
    made, image = source([1, 8, 8, 3])
    hidden = made.conv(image, (3, 3), 8, stride=2)
    hidden = made.then("MUL", hidden, made.tensor([8], constant=True))
    hidden = made.then("RELU", made.conv(hidden, (3, 3), 0, name="DEPTHWISE_CONV_2D"))
    flat = made.then("RESHAPE", hidden, made.tensor([2], "int32", constant=True), shape=[4, 32])
    return made.build(made.then("QUANTIZE", made.then("QUANTIZE", made.dense(flat, 3, scale=(1.0, 2.0, 3.0)))))


@given(flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=8))
@example(flips=[(0, 255)])
@settings(max_examples=300, derandomize=True, deadline=None)
def test_flipped_bits(flips: list[tuple[int, int]]) -> None:
    content = bytearray(rich())
    for position, mask in flips:
        content[position % len(content)] ^= mask
    checked_or_refused(bytes(content))


@given(value=st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFF]), offset=st.integers(0, 15))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_every_word_overwritten_in_turn(value: int, offset: int) -> None:
    content = rich()
    for start in range(offset, len(content), 16):
        checked_or_refused(content[:start] + bytes([value] * 4) + content[start + 4 :])


@given(content=st.binary(max_size=300))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_arbitrary_bytes(content: bytes) -> None:
    checked_or_refused(content)
    checked_or_refused(b"\x08\0\0\0TFL3" + content)


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 8, 16, 2**31 - 1]), max_size=5)
KINDS = st.sampled_from(["int8", "int16", "int32", "float32"])
TENSORS = st.lists(st.tuples(SHAPES, KINDS), min_size=1, max_size=5)
NAMES = st.sampled_from(sorted({*OPTIONS, *OPS, "MAX_POOL_2D", "SOFTMAX", "BATCH_MATMUL", "TANH"}))


@given(
    tensors=TENSORS,
    operators=st.lists(
        st.tuples(NAMES, st.lists(st.integers(-1, 4), max_size=4), st.lists(st.integers(0, 4), max_size=2)), max_size=4
    ),
    strides=st.tuples(st.integers(-1, 3), st.integers(-1, 3)),
)
@settings(max_examples=500, derandomize=True, deadline=None)
def test_operators_of_any_shape(
    tensors: list[tuple[list[int], str]],
    operators: list[tuple[str, list[int], list[int]]],
    strides: tuple[int, int],
) -> None:
    made = Handmade()
    for shape, kind in tensors:
        made.tensor(shape, kind)
    made.inputs = [0]
    for name, inputs, outputs in operators:
        options = {"strideH": strides[0], "strideW": strides[1]} if "CONV_2D" in name or "POOL" in name else {}
        made.op(name, [i for i in inputs if i < len(tensors)], [i for i in outputs if i < len(tensors)], **options)
    checked_or_refused(made.build(0))
