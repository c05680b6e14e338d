"""An operator in, how a target runs it and an estimate of its cycles out.

`TARGETS` is the table: another microcontroller is one more entry, with a function from an operator to its `Way`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gyrovae_tf import hazards
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.espnn import ESP_NN, scratch_bytes
from gyrovae_tf.findings import Finding
from gyrovae_tf.operators import Options, padding
from gyrovae_tf.tflite import Model, Operator, Tensor
from gyrovae_tf.tflmops import REGISTRABLE

Basis = Literal["published", "derived", "assumed"]


@dataclass(frozen=True)
class Way:
    """How a target runs one operator."""

    kernel: str
    """The kernel that it takes, in words."""
    accelerated: bool
    """Whether that kernel is made for this target's vector unit."""
    cycles: float
    """Estimated, of one run."""
    basis: Basis
    """Where the estimate is from: a figure published for this kernel; one for a similar kernel, or for a whole network;
    or none at all."""
    remark: str = ""
    """Why it takes a slower way than it could; empty if it does not."""


@dataclass(frozen=True)
class Target:
    """A microcontroller and the kernels that run there."""

    name: str
    title: str
    clock_hz: float
    method: str
    """How times are estimated, in words."""
    way: Callable[[Operator, Sequence[Tensor]], Way]
    """An operator and its model's tensors in, how it is run out."""
    hazards: Callable[[Operator, Sequence[Tensor]], Iterator[Finding]]
    """The same in, what its kernels are known to compute wrongly out."""
    registrable: frozenset[str]
    """The operators that its TensorFlow Lite Micro has kernels for, spelt as `Operator.name`."""
    scratch_bytes: Callable[[Operator, Sequence[Tensor]], int]
    """The same in, the bytes of scratch that its kernel asks for out."""

    def accelerated_macs(self, model: Model) -> int:
        """Those of a model's multiply-accumulates that are spent in accelerated kernels."""
        return sum(operator.macs for operator in model.operators if self.way(operator, model.tensors).accelerated)


# Cycles on an ESP32-S3 at 240 MHz as ESP-NN 1.2.3 publishes them (README.md): for each kernel those of its vector
# version and of plain C ("ANSI C"), divided by the multiply-accumulates or the elements of the example.
# 1x1 convolutions of 64 and of 16 channels, 331,008 cycles for 409,600 MACs in 6,400 outputs and 39,022 for 16,384 MACs
# in 1,024, leave one straight line: cycles = MAC * macs + OUTPUT * outputs.
MAC = (331_008 - 39_022 / 1_024 * 6_400) / (409_600 - 16_384 / 1_024 * 6_400)  # 0.28
OUTPUT = (39_022 - 16_384 * MAC) / 1_024  # 33.6: adding the bias, requantising, storing
# A 3x3 convolution from 3 channels, 394,842 cycles for 2,304 outputs. Its inner loop (esp_nn_dot_s8_aligned_esp32s3)
# takes 2 instructions for 16 multiply-accumulates, 27 filled up to 32: the rest is an output's, whatever its window.
WINDOW_MAC = 2 / 16
WINDOW_OUTPUT = 394_842 / 2_304 - 32 * WINDOW_MAC  # 167
DEPTHWISE_3X3_MAC = 184_176 / 36_864  # 5.0, with 16 channels
DEPTHWISE_MAC = 372_435 / 80_000  # 4.7, 5x5 with a multiplier of 4
# FULLY_CONNECTED of 271 inputs and 3 outputs, of which an output's share is taken from the convolutions.
DENSE_MAC = (1_078 / 3 - OUTPUT) / 271  # 1.2
ADD, MUL, SOFTMAX = 74_440 / 1_615, 35_002 / 1_615, 11_107 / 256  # an element: 46, 22, 43
AVERAGE_POOL, MAX_POOL = 118_052 / 28_224, 48_069 / 28_224  # an element of a window: 4.2, 1.7
GROUPED_MAC = 2_193_289 / 62_208  # 35, plain C, the 3x3 convolution
PLAIN_ADD, PLAIN_MUL = 281_337 / 1_615, 122_703 / 1_615  # 174, 76
PLAIN_AVERAGE_POOL, PLAIN_MAX_POOL = 427_293 / 28_224, 376_294 / 28_224
# The person-detection network of 7,157,888 MACs: 54 ms with ESP-NN; 2300 ms with TFLM's reference kernels; and 380 ms
# on an ESP32 (240 MHz), for which ESP-NN has portable C without vectors.
PERSON_DETECTION_MACS = 7_157_888
NETWORK_MAC = 0.054 * 240e6 / PERSON_DETECTION_MACS  # 1.8
REFERENCE_MAC = 2.300 * 240e6 / PERSON_DETECTION_MACS  # 77
PORTABLE_MAC = 0.380 * 240e6 / PERSON_DETECTION_MACS  # 13
# Nothing is published for what only moves data: one cycle a byte copied in a block, 20 an element copied singly.
BLOCK, SINGLY = 1.0, 20.0
_BLOCKS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION"})
_MOVES = frozenset({"SLICE", "STRIDED_SLICE", "TRANSPOSE", "PAD", "PADV2", "SPLIT", "PACK", "UNPACK", "GATHER"})


def _esp32s3(operator: Operator, tensors: Sequence[Tensor]) -> Way:
    """How esp-tflite-micro 1.4.0 dispatches to ESP-NN 1.2.3 on the ESP32-S3, as read in the sources named below."""
    inputs = [tensors[i] for i in operator.inputs if i >= 0]
    outputs = [tensors[i] for i in operator.outputs]
    kinds = {tensor.dtype for tensor in (*inputs[:2], *outputs)}
    if not inputs or not outputs or operator.name not in _WAYS:
        return _reference(operator, inputs, outputs)
    if kinds != {"int8"}:
        return _reference(operator, inputs, outputs, f"{' and '.join(sorted(kinds))}: ESP-NN has kernels for int8 only")
    return _WAYS[operator.name](operator, inputs, outputs[0])


def _reference(operator: Operator, inputs: Sequence[Tensor], outputs: Sequence[Tensor], remark: str = "") -> Way:
    """TFLM's own kernel, in plain C."""
    elements = max((tensor.elements for tensor in (*inputs, *outputs) if not tensor.is_constant), default=0)
    kernel = "TFLM reference"
    if operator.macs:
        return Way(kernel, False, REFERENCE_MAC * operator.macs, "derived", remark)
    if operator.name in _BLOCKS | _MOVES:
        moved = sum(tensor.elements for tensor in outputs)
        return Way(kernel, False, (BLOCK if operator.name in _BLOCKS else SINGLY) * moved, "assumed", remark)
    each = PLAIN_ADD if operator.name in ("ADD", "SUB", "SQUARED_DIFFERENCE") else PLAIN_MUL
    return Way(kernel, False, each * elements, "assumed", remark)


def _convolution(operator: Operator, inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/conv.cc and esp_nn_conv_s8_esp32s3 (src/convolution/esp_nn_conv_esp32s3.c)."""
    source, weights, options = inputs[0].shape, inputs[1].shape, operator.options or Options()
    if {len(source), len(weights), len(result.shape)} != {4}:
        return _reference(operator, inputs, [result], "its tensors are not of rank 4")
    if options.dilation != (1, 1):
        return _reference(operator, inputs, [result], "dilated: ESP-NN has no kernel for it")
    channels, (height, width) = source[3], weights[1:3]
    if weights[3] != channels:
        remark = f"in groups of {weights[3]} channels: ESP-NN runs it in plain C"
        return Way("ESP-NN plain C", False, GROUPED_MAC * operator.macs, "derived", remark)
    front = tuple(padding(source[i], weights[i], options.stride[i - 1], 1, result.shape[i])[0] for i in (1, 2))
    if (height, width) == options.stride == (1, 1) and front == (0, 0):
        if channels % 8 == 0:
            return Way("ESP-NN 1x1", True, MAC * operator.macs + OUTPUT * result.elements, "published")
        vector = channels // 8 * 8  # esp_nn_conv_s8_1x1 takes the channels beyond it singly
        share = (vector * MAC + (channels - vector) * PORTABLE_MAC) / max(channels, 1)
        remark = f"{channels} input channels: {channels - vector} of them, beyond a multiple of 8, run without vectors"
        return Way("ESP-NN 1x1", True, share * operator.macs + OUTPUT * result.elements, "derived", remark)
    row = width * channels
    if row < 16 <= height * row:  # esp_nn_conv_s8_im2col_s3
        taps = _up(height * row, 16)
        remark = (
            f"{channels} input channels: rows of {row} bytes, so that every window is copied before it is multiplied"
        )
        return Way("ESP-NN im2col", True, (WINDOW_OUTPUT + WINDOW_MAC * taps) * result.elements, "derived", remark)
    # esp_nn_conv_s8_filter_aligned_input_padded_esp32s3: rows of the kernel are filled up to 16 bytes.
    remark = f"rows of {row} bytes are filled up to {_up(row, 16)}" if row % 16 else ""
    return Way("ESP-NN general", True, NETWORK_MAC * operator.macs * _up(row, 16) / max(row, 1), "derived", remark)


def _depthwise(operator: Operator, inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/depthwise_conv.cc and esp_nn_depthwise_conv_s8_esp32s3."""
    source, weights, options = inputs[0].shape, inputs[1].shape, operator.options or Options()
    if {len(source), len(weights), len(result.shape)} != {4}:
        return _reference(operator, inputs, [result], "its tensors are not of rank 4")
    if options.dilation != (1, 1):
        return _reference(operator, inputs, [result], "dilated: ESP-NN has no kernel for it")
    channels = source[3]
    multiplier = result.shape[3] // channels if channels else 0
    if multiplier == 1 and channels % 8 == 0 and weights[1:3] == (3, 3):
        front = tuple(padding(source[i], 3, options.stride[i - 1], 1, result.shape[i])[0] for i in (1, 2))
        whole = channels % 16 == 0 and front in ((0, 0), (1, 1))
        cycles = DEPTHWISE_3X3_MAC * operator.macs * (1 if whole else _up(channels, 16) / channels)
        remark = (
            "" if whole else f"{channels} channels, padded by {front[0]} and {front[1]}: input is copied and widened"
        )
        return Way("ESP-NN depthwise 3x3", True, cycles, "published" if whole else "derived", remark)
    if multiplier == 1 and channels > 3:
        remark = f"{channels} channels are filled up to {_up(channels, 8)}" if channels % 8 else ""
        cycles = DEPTHWISE_MAC * operator.macs * _up(channels, 8) / channels
        return Way("ESP-NN depthwise 16-bit", True, cycles, "derived", remark)
    if multiplier and multiplier % 4 == 0:
        return Way("ESP-NN depthwise 16-bit", True, DEPTHWISE_MAC * operator.macs, "published")
    remark = f"{channels} channels times {multiplier}: ESP-NN runs it in portable C"
    return Way("ESP-NN portable C", False, PORTABLE_MAC * operator.macs, "derived", remark)


def _dense(operator: Operator, inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/fully_connected.cc and esp_nn_fully_connected_s8_esp32s3: 16 at a time from 16 inputs on."""
    width = inputs[1].shape[-1] if len(inputs) > 1 and inputs[1].shape else 0
    cycles = DENSE_MAC * operator.macs + OUTPUT * result.elements
    if width < 16:
        return Way("ESP-NN dense 16-bit", True, cycles, "derived", f"{width} inputs, less than 16: 8 at a time")
    remark = f"{width} inputs: {width % 16} of them, beyond a multiple of 16, run without vectors" if width % 16 else ""
    return Way("ESP-NN dense", True, cycles, "published", remark)


def _elementwise(operator: Operator, inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/add.cc and esp_nn/mul.cc: no broadcasting."""
    if len({tensor.shape for tensor in (*inputs[:2], result)}) != 1:
        return _reference(operator, inputs, [result], "inputs of different shapes: ESP-NN's kernel does not broadcast")
    each = ADD if operator.name == "ADD" else MUL
    return Way(f"ESP-NN {operator.name}", True, each * result.elements, "published")


def _pool(operator: Operator, _inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/pooling.cc: channels in multiples of 4."""
    height, width = (operator.options or Options()).window
    work = result.elements * height * width
    average = operator.name == "AVERAGE_POOL_2D"
    if not result.shape or result.shape[-1] % 4:
        remark = f"{result.shape[-1] if result.shape else 0} channels, no multiple of 4: plain C"
        each = PLAIN_AVERAGE_POOL if average else PLAIN_MAX_POOL
        return Way("ESP-NN plain C", False, each * work, "published", remark)
    return Way("ESP-NN pooling", True, (AVERAGE_POOL if average else MAX_POOL) * work, "published")


def _softmax(_operator: Operator, _inputs: Sequence[Tensor], result: Tensor) -> Way:
    """esp_nn/softmax.cc."""
    return Way("ESP-NN softmax", True, SOFTMAX * result.elements, "published")


_WAYS: dict[str, Callable[[Operator, Sequence[Tensor], Tensor], Way]] = {
    "ADD": _elementwise,
    "AVERAGE_POOL_2D": _pool,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool,
    "MUL": _elementwise,
    "SOFTMAX": _softmax,
}


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


DEFAULT = "esp32s3"
"""The firmware's."""
TARGETS: dict[str, Target] = {
    DEFAULT: Target(
        name=DEFAULT,
        title=f"ESP32-S3 at 240 MHz with {ESP_NN}",
        clock_hz=240e6,
        method=(
            "From the cycles that ESP-NN 1.2.3 publishes for its kernels on the ESP32-S3, those of an output apart "
            f"from those of a multiply-accumulate (1x1 convolution: {MAC:.2f} a MAC and {OUTPUT:.0f} an output; dense: "
            f"{DENSE_MAC:.1f} a MAC; depthwise: {DEPTHWISE_3X3_MAC:.0f} a MAC; from few channels: {WINDOW_OUTPUT:.0f} "
            f"an output); other convolutions at the {NETWORK_MAC:.1f} a MAC of person detection (54 ms); reference "
            f"kernels at its {REFERENCE_MAC:.0f} without ESP-NN; moving data is assumed at {SINGLY:.0f} cycles an "
            f"element, {BLOCK:.0f} in a block. Front end and score are not in it. Person detection itself comes to "
            "48 ms this way; published are 47 ms with its tensors in internal RAM and 54 ms in external RAM."
        ),
        way=_esp32s3,
        hazards=hazards.esp_nn,
        registrable=REGISTRABLE,
        scratch_bytes=scratch_bytes,
    )
}
"""Name -> target."""


def find_target(name: str) -> Target:
    """A name of `TARGETS` in, the target out; `GyrovaeError` for another name."""
    if name not in TARGETS:
        raise GyrovaeError("unknown target", expected=" or ".join(TARGETS), received=name)
    return TARGETS[name]
