"""What a .tflite holds: the description against the interpreter's, the contract, and damaged bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from handmade import source
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gyrovae_tf.contract import OPS, check_contract, contract_violations
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.operators import Options, padding
from gyrovae_tf.tflite import Model, Tensor, describe, read, read_model

# --- models converted by TensorFlow -------------------------------------------------------------------------


def convert(function: Any, shape: list[int], data: list[np.ndarray] | None) -> bytes:
    """The .tflite of a one-input function: float32 without `data`, else int8, calibrated on them."""
    import tensorflow as tf

    concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if data is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in data)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.fixture(scope="session")
def small() -> tuple[bytes, bytes]:
    """[1, 8, 8, 3] -> convolution of 4 channels, 3x3, stride 2 -> dense of 5: (int8, float32)."""
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(hidden)))
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((1, 8, 8, 3)).astype(np.float32) for _ in range(4)]
    return convert(model, [1, 8, 8, 3], data), convert(model, [1, 8, 8, 3], None)


@pytest.fixture(scope="session")
def contracted() -> bytes:
    """Two images in one [2, 32, 32, 3] input, each through a convolution of its own: the contract's shape."""
    import tf_keras as keras

    keras.utils.set_random_seed(2)
    images = [keras.Input((32, 32, 3)) for _ in range(2)]
    model = keras.Model(images, [keras.layers.Conv2D(3, 3, padding="same")(image) for image in images])
    rng = np.random.default_rng(0)
    data = [rng.uniform(-4, 127 / 32, (2, 32, 32, 3)).astype(np.float32) for _ in range(2)]
    data[0].flat[:2] = -4, 127 / 32  # the ends of int8 / 32, so that the scale becomes exactly 1/32
    return convert(lambda pair: tuple(model([pair[:1], pair[1:]])), [2, 32, 32, 3], data)


def test_tensors_are_those_the_interpreter_sees(small: tuple[bytes, bytes], contracted: bytes) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    for content in (*small, contracted):
        model = describe(content)
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        details = interpreter.get_tensor_details()
        assert len(model.tensors) == len(details)
        for tensor, detail in zip(model.tensors, details, strict=True):
            assert tensor.name == detail["name"]
            assert tensor.index == detail["index"]
            assert tensor.shape == tuple(detail["shape"])
            assert tensor.dtype == np.dtype(detail["dtype"]).name
            assert tensor.scale == tuple(detail["quantization_parameters"]["scales"].tolist())
            # One zero point a channel, or (older interpreters) one for all of them.
        assert set(tensor.zero_point) == set(detail["quantization_parameters"]["zero_points"].tolist())
        assert model.inputs == tuple(detail["index"] for detail in interpreter.get_input_details())
        assert model.outputs == tuple(detail["index"] for detail in interpreter.get_output_details())
        operators = interpreter._get_ops_details()
        assert [operator.name for operator in model.operators] == [op["op_name"] for op in operators]
        assert [operator.inputs for operator in model.operators] == [tuple(op["inputs"]) for op in operators]
        assert [operator.outputs for operator in model.operators] == [tuple(op["outputs"]) for op in operators]


def test_a_small_int8_model_by_hand(small: tuple[bytes, bytes]) -> None:
    content = small[0]
    model = describe(content)
    assert model.size_bytes == len(content)
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert model.description == "MLIR Converted."
    assert [(operator.name, operator.macs) for operator in model.operators] == [
        ("CONV_2D", 4 * 4 * 4 * 3 * 3 * 3),  # output 4x4x4, kernel 3x3, 3 channels in
        ("RESHAPE", 0),
        ("FULLY_CONNECTED", 5 * 64),
    ]
    assert model.macs == 1728 + 320
    assert model.op_names == ("CONV_2D", "FULLY_CONNECTED", "RESHAPE")
    # Kernel int8 [4, 3, 3, 3], bias int32 [4], kernel int8 [5, 64], shape int32 [2]. The dense layer's bias
    # is still zero, and the converter drops it.
    assert model.weight_bytes == 4 * 3 * 3 * 3 + 4 * 4 + 5 * 64 + 2 * 4
    # The convolution has its input (8x8x3) and its output (4x4x4) alive; later operators have less.
    assert model.activation_bytes == 192 + 64
    kernel = next(tensor for tensor in model.tensors if tensor.shape == (5, 64))
    assert (kernel.is_constant, kernel.bytes, kernel.dtype, len(kernel.scale)) == (True, 320, "int8", 5)
    first = model.tensors[model.inputs[0]]
    assert (first.is_constant, first.bytes, first.needed_bytes) == (False, 0, 192)


def test_options_of_a_converted_model(small: tuple[bytes, bytes]) -> None:
    convolution, reshape, dense = describe(small[0]).operators
    assert convolution.options == Options(padding="SAME", stride=(2, 2), activation="RELU")
    assert reshape.options is None
    assert dense.options == Options()


def test_options_of_every_kind() -> None:
    made, image = source([1, 9, 9, 4])
    kinds = schema.ActivationFunctionType
    options = {"dilationHFactor": 2, "dilationWFactor": 3, "fusedActivationFunction": kinds.RELU6}
    made.conv(image, (3, 3), 0, stride=3, padding="VALID", name="DEPTHWISE_CONV_2D", multiplier=2, **options)
    made.then("MAX_POOL_2D", image, strideH=1, strideW=2, filterHeight=3, filterWidth=4, padding=schema.Padding.SAME)
    made.then("ADD", image, image, fusedActivationFunction=kinds.RELU)
    made.then("ADD", image, image, present=False)
    depthwise, pooling, addition, bare = describe(made.build()).operators
    assert depthwise.options == Options("VALID", (3, 3), (2, 3), depth_multiplier=2, activation="RELU6")
    assert pooling.options == Options("SAME", stride=(1, 2), window=(3, 4))
    assert addition.options == Options(activation="RELU")
    assert bare.options is None


def test_options_of_another_operator_are_none() -> None:
    made, image = source([1, 4])
    made.then("ADD", image, image, fusedActivationFunction=1)
    made.operators[0].builtinOptionsType = schema.BuiltinOptions.MulOptions
    assert describe(made.build()).operators[0].options is None


@pytest.mark.parametrize(("field", "words"), [("padding", "padding 7"), ("fusedActivationFunction", "activation 7")])
def test_options_that_nobody_knows_are_refused(field: str, words: str) -> None:
    made, image = source([1, 4, 4, 4])
    result = made.conv(image, (1, 1), 4)
    setattr(made.operators[0].builtinOptions, field, 7)
    with pytest.raises(GyrovaeError, match=f"{words} is unknown to the installed LiteRT"):
        describe(made.build(result))


def test_the_place_of_every_constant(small: tuple[bytes, bytes]) -> None:
    for content in small:
        model = describe(content)
        buffers = schema.ModelT.InitFromPackedBuf(content).buffers
        constants = [tensor for tensor in model.tensors if tensor.is_constant]
        assert len(constants) >= 4
        for tensor in constants:
            assert tensor.offset is not None
            assert content[tensor.offset : tensor.offset + tensor.bytes] == bytes(buffers[tensor.buffer].data)
        assert all(tensor.offset is None for tensor in model.tensors if not tensor.is_constant)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "result", "expected"),
    [
        (16, 3, 2, 1, 8, (0, 1)),  # SAME: (8 - 1) * 2 + 3 - 16 = 1
        (15, 3, 2, 1, 8, (1, 1)),
        (16, 4, 2, 1, 8, (1, 1)),
        (16, 4, 4, 1, 4, (0, 0)),
        (16, 3, 1, 2, 16, (2, 2)),  # a dilated kernel reaches over 5
        (16, 3, 2, 1, 7, (0, 0)),  # VALID
    ],
)
def test_padding(size: int, kernel: int, stride: int, dilation: int, result: int, expected: tuple[int, int]) -> None:
    assert padding(size, kernel, stride, dilation, result) == expected


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"abc")
    assert read(tmp_path / "m") == b"abc"
    with pytest.raises(GyrovaeError, match=r"cannot read .*nothing: No such file"):
        read(tmp_path / "nothing")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(GyrovaeError, match="huge is too large"):
        read(tmp_path / "huge")


# --- the contract -------------------------------------------------------------------------------------------


def test_a_model_that_keeps_the_contract(contracted: bytes) -> None:
    model = describe(contracted)
    assert contract_violations(model) == ()
    check_contract(model)
    assert model.macs == 2 * 32 * 32 * 3 * 3 * 3 * 3
    assert model.tensors[model.inputs[0]].scale == (0.03125,)


def test_a_float_model_breaks_the_contract_and_every_reason_is_named(small: tuple[bytes, bytes]) -> None:
    model = describe(small[1])
    with pytest.raises(GyrovaeError) as caught:
        check_contract(model)
    message = str(caught.value)
    for reason in contract_violations(model):
        assert reason in message
    for words in (
        "the input has shape [1, 8, 8, 3] instead of [2, 32, 32, 3]",
        "the input is float32 instead of int8",
        "the input's scale is [] instead of [0.03125]",
        "the input's zero point is [] instead of [0]",
        "1 outputs instead of 2",
        "output 0 has shape [1, 5] instead of [1, 32, 32, 3]",
        "output 0 is float32 instead of int8",
        "float tensors: 0 (",
        "and 4 more",  # 7 of the 8 tensors are float, all but the shape of the reshape
    ):
        assert words in message
    assert len(message.splitlines()) == 2


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """`content` with one change made through the schema's own object interface."""
    model = schema.ModelT.InitFromPackedBuf(content)
    edit(model)
    return packed(model)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def first_input(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]


def first_output(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]


def constant(model: Any, kind: int) -> Any:
    return next(t for t in model.subgraphs[0].tensors if t.type == kind and model.buffers[t.buffer].data is not None)


def swap_operators(model: Any) -> None:
    model.subgraphs[0].operators.reverse()


def no_operators(model: Any) -> None:
    model.subgraphs[0].operators = []


def scale_of_the_input(model: Any) -> None:
    first_input(model).quantization.scale = [float(np.nextafter(np.float32(1 / 32), np.float32(1)))]


def zero_point_of_the_input(model: Any) -> None:
    first_input(model).quantization.zeroPoint = [-1]


def three_outputs(model: Any) -> None:
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs, model.subgraphs[0].outputs[0]]


def two_inputs(model: Any) -> None:
    model.subgraphs[0].inputs = [*model.subgraphs[0].inputs, model.subgraphs[0].outputs[0]]


def open_batch(model: Any) -> None:
    first_output(model).shapeSignature = [-1, 32, 32, 3]


def unsigned_output(model: Any) -> None:
    first_output(model).type = schema.TensorType.UINT8


def output_without_scale(model: Any) -> None:
    first_output(model).quantization = None


def half_float_constant(model: Any) -> None:
    constant(model, schema.TensorType.INT8).type = schema.TensorType.FLOAT16


def short_constant(model: Any) -> None:
    tensor = constant(model, schema.TensorType.INT8)
    model.buffers[tensor.buffer].data = model.buffers[tensor.buffer].data[:-1]


def two_subgraphs(model: Any) -> None:
    model.subgraphs.append(schema.SubGraphT())


def foreign_operator(model: Any) -> None:
    model.operatorCodes.append(operator_code(schema.BuiltinOperator.PAD))
    model.subgraphs[0].operators[0].opcodeIndex = len(model.operatorCodes) - 1


@pytest.mark.parametrize(
    ("edit", "reasons"),
    [
        (scale_of_the_input, ["the input's scale is [0.03125000"]),
        (zero_point_of_the_input, ["the input's zero point is [-1] instead of [0]"]),
        (two_inputs, ["2 inputs instead of 1"]),
        (three_outputs, ["3 outputs instead of 2"]),
        (open_batch, ["tensors without a fixed shape: "]),
        (unsigned_output, ["output 0 is uint8 instead of int8"]),
        (output_without_scale, ["output 0 has no single scale and zero point"]),
        (half_float_constant, ["float tensors: ", "constants whose bytes do not fit their shape: "]),
        (short_constant, ["constants whose bytes do not fit their shape: "]),
        (foreign_operator, ["operators that the firmware lacks: PAD"]),
        (swap_operators, ["tensors that are read before they are written: "]),
        (no_operators, ["tensors that are read before they are written: "]),
        (two_subgraphs, ["2 subgraphs instead of 1"]),
    ],
)
def test_each_violation_is_named_and_no_other(
    contracted: bytes, edit: Callable[[Any], None], reasons: list[str]
) -> None:
    found = contract_violations(describe(edited(contracted, edit)))
    assert len(found) == len(reasons)
    for reason, start in zip(found, reasons, strict=True):
        assert reason.startswith(start)


def test_every_op_of_the_contract_is_an_operator_of_the_schema() -> None:
    known = {name for name in vars(schema.BuiltinOperator) if name.isupper()}
    assert len(OPS) == len(set(OPS)) == 22
    assert set(OPS) <= known


# --- models made by hand: operators that the small models lack ----------------------------------------------


def operator_code(builtin: int, custom: str | None = None) -> Any:
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode, code.builtinCode, code.customCode = min(builtin, 127), builtin, custom
    return code


def handmade(builtin: int, inputs: list[list[int]], output: list[int], custom: str | None = None) -> Any:
    """A float model of one operator; its inputs are the model's inputs, its output is the last tensor."""
    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.description = 3, "by hand"
    model.operatorCodes, model.subgraphs = [operator_code(builtin, custom)], [graph]
    model.buffers = [schema.BufferT()]
    graph.tensors = [schema.TensorT() for _ in (*inputs, output)]
    for tensor, shape in zip(graph.tensors, (*inputs, output), strict=True):
        tensor.shape, tensor.name = shape, f"of {shape}"
    operator.inputs, operator.outputs = list(range(len(inputs))), [len(inputs)]
    graph.inputs, graph.outputs, graph.operators = operator.inputs, operator.outputs, [operator]
    return model


@pytest.mark.parametrize(
    ("name", "inputs", "output", "macs"),
    [
        ("CONV_2D", [[1, 6, 6, 4], [8, 3, 3, 2], [8]], [1, 6, 6, 8], 6 * 6 * 8 * 9 * 2),  # two groups
        ("DEPTHWISE_CONV_2D", [[1, 6, 6, 4], [1, 3, 3, 8], [8]], [1, 6, 6, 8], 6 * 6 * 8 * 9),
        ("FULLY_CONNECTED", [[7, 10], [3, 10]], [7, 3], 7 * 3 * 10),
        ("TRANSPOSE_CONV", [[4], [8, 2, 2, 5], [1, 6, 6, 5]], [1, 12, 12, 8], 6 * 6 * 5 * 4 * 8),
        ("BATCH_MATMUL", [[2, 3, 4], [2, 4, 5]], [2, 3, 5], 2 * 3 * 5 * 4),
        ("BATCH_MATMUL", [[2, 4, 3], [2, 4, 5]], [2, 3, 5], 2 * 3 * 5 * 4),  # first factor adjoint
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", [[2, 9, 5], [7, 5], [7, 5]], [2, 9, 7], 2 * 9 * 4 * 7 * (5 + 7)),
        ("SVDF", [[3, 6], [8, 6], [8, 10]], [3, 8], 3 * 8 * (6 + 10)),
        ("ADD", [[2, 3], [2, 3]], [2, 3], 0),
        ("GELU", [[2, 3]], [2, 3], 0),  # number 150: only the newer of the two code fields holds it
    ],
)
def test_multiply_accumulates(name: str, inputs: list[list[int]], output: list[int], macs: int) -> None:
    model = describe(packed(handmade(getattr(schema.BuiltinOperator, name), inputs, output)))
    (operator,) = model.operators
    assert (operator.name, operator.macs, operator.version) == (name, macs, 1)
    assert model.macs == macs
    assert model.description == "by hand"


def test_a_custom_operator_goes_by_its_code() -> None:
    model = describe(packed(handmade(schema.BuiltinOperator.CUSTOM, [[2]], [2], custom="MyOp")))
    assert model.op_names == ("CUSTOM:MyOp",)
    assert "operators that the firmware lacks: CUSTOM:MyOp" in contract_violations(model)


def test_names_that_a_terminal_would_obey_are_made_harmless() -> None:
    made = handmade(schema.BuiltinOperator.RELU, [[2]], [2])
    made.subgraphs[0].tensors[0].name = b"a\x1b[2Jb\xff"
    assert describe(packed(made)).tensors[0].name == "a\ufffd[2Jb\ufffd"


def test_bytes_of_activations_alive_at_one_time() -> None:
    # a (100 floats) -> b (100) -> c (10): a and b together are the most, c replaces a.
    made = handmade(schema.BuiltinOperator.RELU, [[100]], [100])
    graph, second = made.subgraphs[0], schema.OperatorT()
    last = schema.TensorT()
    last.shape, last.name = [10], "c"
    graph.tensors.append(last)
    second.inputs, second.outputs = [1], [2]
    graph.operators.append(second)
    graph.outputs = [2]
    assert describe(packed(made)).activation_bytes == 4 * (100 + 100)
    graph.outputs = [1, 2]  # b stays for the caller; a is still gone when c comes
    assert describe(packed(made)).activation_bytes == 4 * (100 + 100)
    second.inputs = [0]  # now a is needed to the end
    assert describe(packed(made)).activation_bytes == 4 * (100 + 100 + 10)


@pytest.mark.parametrize(
    ("dtype", "shape", "needed", "is_float"),
    [
        ("int8", (3,), 3, False),
        ("int4", (3,), 2, False),  # 12 bits
        ("int4", (2, 2), 2, False),
        ("bool", (3,), 3, False),
        ("float16", (3,), 6, True),
        ("complex64", (3,), 24, True),
        ("int64", (), 8, False),  # a scalar
        ("int8", (0, 4), 0, False),
        ("string", (3,), None, False),
    ],
)
def test_bytes_that_a_tensor_needs(dtype: str, shape: tuple[int, ...], needed: int | None, is_float: bool) -> None:
    tensor = Tensor("t", 0, shape, (), dtype, (), (), 0, 0, is_constant=False)
    assert (tensor.needed_bytes, tensor.is_float) == (needed, is_float)


def test_tensors_of_no_fixed_width_count_for_nothing() -> None:
    made = handmade(schema.BuiltinOperator.RELU, [[100]], [10])
    made.subgraphs[0].tensors[0].type = schema.TensorType.STRING
    assert describe(packed(made)).activation_bytes == 40


def test_what_is_written_twice_lives_from_the_first_to_the_last_time() -> None:
    made, image = source([1, 100])  # int8
    first = made.then("RELU", image)
    made.then("RELU", image)
    made.then("RELU", image)
    made.operators[2].outputs = [first]
    assert describe(made.build(image)).activation_bytes == 300  # all three while the second operator runs


def test_tensors_may_share_a_buffer() -> None:
    made, image = source([1, 4])
    for _ in range(2):
        weights = made.tensor([8, 4], constant=True)
        made.tensors[weights].buffer = 1
        made.op("FULLY_CONNECTED", [image, weights], [made.tensor([1, 8])])
    assert describe(made.build()).weight_bytes == 32


def test_shapes_of_up_to_eight_dimensions_some_of_them_empty() -> None:
    made = handmade(schema.BuiltinOperator.RELU, [[1] * 8], [0, 3])
    assert [tensor.shape for tensor in describe(packed(made)).tensors] == [(1,) * 8, (0, 3)]


def test_names_in_any_script_are_kept() -> None:
    made = handmade(schema.BuiltinOperator.RELU, [[2]], [2])
    made.subgraphs[0].tensors[0].name = "Gr\u00f6\u00dfe"
    assert describe(packed(made)).tensors[0].name == "Gr\u00f6\u00dfe"


def test_codes_of_old_writers_and_versions() -> None:
    made = handmade(schema.BuiltinOperator.FULLY_CONNECTED, [[7, 10], [3, 10]], [7, 3])
    code = made.operatorCodes[0]
    code.builtinCode, code.version = 0, 5  # there was but the field of one byte
    (operator,) = describe(packed(made)).operators
    assert (operator.name, operator.version, operator.macs) == ("FULLY_CONNECTED", 5, 210)


def test_an_input_may_be_left_out_and_no_number_else_is_none() -> None:
    made = handmade(schema.BuiltinOperator.FULLY_CONNECTED, [[7, 10], [3, 10]], [7, 3])
    made.subgraphs[0].operators[0].inputs = [0, 1, -1]
    (operator,) = describe(packed(made)).operators
    assert (operator.inputs, operator.macs) == ((0, 1, -1), 210)
    for wrong in (-2, 3):
        made.subgraphs[0].operators[0].inputs = [0, 1, wrong]
        with pytest.raises(GyrovaeError, match=f"an input of operator 0 is number {wrong} of 3"):
            describe(packed(made))


# --- bytes that are no model --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL2" + bytes(100), b"PK\x03\x04 a .keras file"])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(GyrovaeError, match=r"not a \.tflite model"):
        describe(content)


def test_what_was_given_instead_of_a_models_bytes_is_told() -> None:
    with pytest.raises(GyrovaeError, match=r"not a \.tflite model; expected the bytes of one, received"):
        describe("model.tflite")  # type: ignore[arg-type]
    for content, received in (
        (b"TFL3", "received 4 bytes\n"),
        (b"\x1c\0\0\0TFL2", r"received 8 bytes with b'TFL2' there"),
    ):
        with pytest.raises(GyrovaeError, match=received):
            describe(content)


def test_bytes_of_other_kinds_are_bytes() -> None:
    content = packed(handmade(schema.BuiltinOperator.RELU, [[2]], [2]))
    assert describe(bytearray(content)) == describe(memoryview(content)) == describe(content)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.keras", b"PK\x03\x04" + bytes(96), "received a zip archive (as .keras files are) of 100 bytes"),
        ("m.h", b"TFL3", "received a text file of 4 bytes"),
        ("m.txt", b"x" * 4095 + "\u00e4".encode(), "received a text file of 4,097 bytes"),  # cut inside a letter
        ("m.bin", b"\xff\xfe", "received another binary file of 2 bytes"),
        ("m.bin", b"a\0", "received another binary file of 2 bytes"),
        ("m", b"", "received an empty file"),
        ("my log.CSV", b"x,y,z\n", "gyrovae-tf preprocess '{}' -o dataset"),
        ("m.parquet", b"PAR1", "gyrovae-tf preprocess {} -o dataset"),
    ],
)
def test_a_file_that_is_no_model_is_told_by_its_kind(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GyrovaeError, match=r"is not a \.tflite model; expected a run") as caught:
        read_model(tmp_path / name, "a run")
    assert told.format(tmp_path / name) in str(caught.value)


def test_a_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"\x1c\0\0\0TFL3")
    assert read_model(tmp_path / "m") == read_model(str(tmp_path / "m")) == b"\x1c\0\0\0TFL3"
    with pytest.raises(GyrovaeError, match=r"this is no path of a model; expected a \.tflite file, received"):
        read_model(b"\x1c\0\0\0TFL3")  # type: ignore[arg-type]


def negative_dimension(model: Any) -> None:
    first_input(model).shape = [-1, 32, 32, 3]


def too_many_dimensions(model: Any) -> None:
    first_input(model).shape = [1] * 9


def unknown_type(model: Any) -> None:
    first_input(model).type = 99


def foreign_buffer(model: Any) -> None:
    first_input(model).buffer = len(model.buffers)


def foreign_code(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = len(model.operatorCodes)


def foreign_tensor(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = [len(model.subgraphs[0].tensors)]


def negative_output(model: Any) -> None:
    model.subgraphs[0].outputs = [-1]


def unknown_operator(model: Any) -> None:
    model.operatorCodes[0].builtinCode = 9999


def other_version(model: Any) -> None:
    model.version = 4


def buffer_beyond_the_end(model: Any) -> None:
    model.buffers[-1].offset, model.buffers[-1].size = 10**6, 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (negative_dimension, "tensor .* has a shape of 4 dimensions with -1 the smallest"),
        (too_many_dimensions, "tensor .* has a shape of 9 dimensions"),
        (unknown_type, r"tensor .* is of a type \(99\) unknown"),
        (foreign_buffer, "the buffer of tensor .* is number"),
        (foreign_code, "the code of operator 0 is number"),
        (foreign_tensor, "an input of operator 0 is number"),
        (negative_output, "an output of the model is number -1"),
        (unknown_operator, "operator code 9999 is unknown"),
        (other_version, "schema version 4 instead of 3"),
        (buffer_beyond_the_end, "a buffer reaches beyond the end"),
    ],
)
def test_damaged_tables_are_refused_by_name(contracted: bytes, edit: Callable[[Any], None], words: str) -> None:
    with pytest.raises(GyrovaeError, match=words):
        describe(edited(contracted, edit))


def test_a_convolution_without_weights_is_refused() -> None:
    with pytest.raises(GyrovaeError, match="truncated or damaged"):
        describe(packed(handmade(schema.BuiltinOperator.CONV_2D, [[1, 4, 4, 1]], [1, 4, 4, 1])))


def test_of_several_subgraphs_the_first_is_described() -> None:
    model = handmade(schema.BuiltinOperator.RELU, [[2]], [2])
    one = describe(packed(model))
    model.subgraphs.append(schema.SubGraphT())
    two = describe(packed(model))
    assert (one.subgraphs, two.subgraphs) == (1, 2)
    assert (two.tensors, two.operators, two.inputs, two.outputs) == (
        one.tensors,
        one.operators,
        one.inputs,
        one.outputs,
    )


def test_a_model_without_a_subgraph_is_refused() -> None:
    model = handmade(schema.BuiltinOperator.RELU, [[2]], [2])
    model.subgraphs = []
    with pytest.raises(GyrovaeError, match="damaged: it has no subgraph"):
        describe(packed(model))


def test_a_buffer_after_the_tables_is_measured() -> None:
    """Files that may exceed 2 GiB keep their data behind the flatbuffer, at an offset and a size."""
    model = handmade(schema.BuiltinOperator.RELU, [[2]], [2])
    data = schema.BufferT()
    data.offset, data.size = 16, 8
    model.buffers.append(data)
    model.subgraphs[0].tensors[0].buffer = 1
    tensor = describe(packed(model)).tensors[0]
    assert (tensor.bytes, tensor.is_constant) == (8, True)


@pytest.mark.parametrize(
    ("offset", "size", "refused"), [(1, 0, False), (16, 10**6, True), (10**6, 1, True), (10**6, 0, False)]
)
def test_where_a_buffer_may_be(offset: int, size: int, refused: bool) -> None:
    """At 0 or 1 it is none: the data stand in the table."""
    model = handmade(schema.BuiltinOperator.RELU, [[8]], [8])
    model.buffers[0].data, model.buffers[0].offset, model.buffers[0].size = b"weights!", offset, size
    if refused:
        with pytest.raises(GyrovaeError, match="a buffer reaches beyond the end of the file"):
            describe(packed(model))
    else:
        assert describe(packed(model)).buffers == (8 if offset == 1 else 0,)


def test_a_constant_longer_than_the_file_is_refused() -> None:
    model = handmade(schema.BuiltinOperator.RELU, [[8]], [8])
    model.buffers[0].data = b"weights!"
    content = packed(model)
    length = b"\x08\0\0\0"  # stands in front of the data
    assert content.count(length + b"weights!") == 1
    assert describe(content).buffers == (8,)
    with pytest.raises(GyrovaeError, match="truncated or damaged"):
        describe(content.replace(length + b"weights!", b"\x08\0\x01\0" + b"weights!"))


def of_one_tensor(times: int, letters: int, sizes: int) -> bytes:
    """A file whose tensors are one and the same, with a name of so many letters and a shape signature of so many."""
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("n" * letters)
    signature = builder.CreateNumpyVector(np.ones(sizes, np.int32))
    schema.TensorStart(builder)
    schema.TensorAddName(builder, name)
    schema.TensorAddShapeSignature(builder, signature)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, times)
    for _ in range(times):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    buffer = schema.BufferT().Pack(builder)
    schema.ModelStartBuffersVector(builder, 1)
    builder.PrependUOffsetTRelative(buffer)
    buffers = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("times", "letters", "sizes"),
    [
        (2_000, 100_000, 1),  # would unfold to 200 MB
        (2, 100_000, 1),
        (2, 1, 25_000),  # 100,000 bytes
    ],
)
def test_one_vector_named_from_everywhere_does_not_unfold(times: int, letters: int, sizes: int) -> None:
    with pytest.raises(GyrovaeError, match="add up to more than the file"):
        describe(of_one_tensor(times, letters, sizes))
    assert len(describe(of_one_tensor(1, letters, sizes)).tensors) == 1


def test_every_truncation_is_refused(small: tuple[bytes, bytes]) -> None:
    # The converter writes the operator codes last, so that no part of the file can be missing unnoticed.
    content = small[0]
    for length in range(0, len(content), 7):
        with pytest.raises(GyrovaeError):
            describe(content[:length])


def described_or_refused(content: bytes) -> None:
    try:
        model = describe(content)
    except GyrovaeError:
        return
    assert isinstance(model, Model)
    # What was accepted can be asked everything.
    assert all(isinstance(reason, str) for reason in contract_violations(model))
    assert model.macs >= 0
    assert model.weight_bytes >= 0
    assert model.activation_bytes >= 0


@given(
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=8),
    which=st.integers(0, 1),
)
@example(flips=[(0, 255)], which=0)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_flipped_bits_are_described_or_refused(
    small: tuple[bytes, bytes], flips: list[tuple[int, int]], which: int
) -> None:
    content = bytearray(small[which])
    for position, mask in flips:
        content[position % len(content)] ^= mask
    described_or_refused(bytes(content))


@given(value=st.sampled_from([0x00, 0x7F, 0x80, 0xFF]), offset=st.integers(0, 15))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_every_word_overwritten_in_turn(small: tuple[bytes, bytes], value: int, offset: int) -> None:
    content = small[0]
    for start in range(offset, len(content), 16):
        described_or_refused(content[:start] + bytes([value] * 4) + content[start + 4 :])


@given(tail=st.binary(max_size=200))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_random_bytes_behind_the_identifier(tail: bytes) -> None:
    described_or_refused(b"\x08\0\0\0TFL3" + tail)


# --- imports ------------------------------------------------------------------------------------------------


def test_reading_a_model_does_not_import_tensorflow() -> None:
    code = (
        "import sys, gyrovae_tf.tflite as t\n"
        "assert 'ai_edge_litert' not in sys.modules\n"
        "try: t.describe(b'\\0\\0\\0\\0TFL3')\n"
        "except t.GyrovaeError: pass\n"
        "assert 'ai_edge_litert' in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_ai_edge_litert_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    monkeypatch.setitem(sys.modules, "tensorflow.lite.python.schema_py_generated", None)  # TensorFlow has a copy of it
    with pytest.raises(GyrovaeError, match="pip install ai-edge-litert"):
        describe(b"\x08\0\0\0TFL3" + bytes(64))
