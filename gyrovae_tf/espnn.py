"""An operator's shapes in, the bytes of scratch that ESP-NN's kernel for it asks for on the ESP32-S3 out.

These are the sums of `esp_nn_get_conv_scratch_size_esp32s3`, `esp_nn_get_depthwise_conv_scratch_size_esp32s3` and
`esp_nn_get_softmax_scratch_size_esp32s3`, as esp-tflite-micro's kernels call them (they request the result in the
arena, for as long as that one operator runs). ESP-NN's other kernels ask for none. Other versions use other sums.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrovae_tf.tflite import Operator, Tensor

ESP_NN = "ESP-NN 1.2.3 for the ESP32-S3 (as esp-tflite-micro 1.4.0 calls it)"
"""The versions that the sums are from."""


_LARGEST_STRIDE = 16


@dataclass(frozen=True)
class _Extent:
    """One of the two dimensions of a convolution."""

    size: int
    """Of the input."""
    kernel: int
    result: int
    """Of the output."""
    stride: int
    pad: int
    """Before the first row or column."""

    @property
    def beyond(self) -> int:
        """Rows or columns behind the input's last that ESP-NN provides for."""
        return max(0, self.result * self.stride + self.kernel - 1 - self.size)


def scratch_bytes(operator: Operator, tensors: Sequence[Tensor]) -> int:
    """An operator and its model's tensors in, bytes of scratch out; 0 for what ESP-NN does without.

    Stride and padding are taken from the shapes; where several explain them, the one that needs most counts.
    """
    shapes = [tensors[i].shape if i >= 0 else () for i in (*operator.inputs[:2], *operator.outputs[:1])]
    if not operator.inputs or operator.inputs[0] < 0 or tensors[operator.inputs[0]].dtype != "int8":
        return 0
    if operator.name == "SOFTMAX":
        return 4 * shapes[0][1] if len(shapes[0]) > 1 else 0
    if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or [len(shape) for shape in shapes] != [4, 4, 4]:
        return 0
    source, weights, result = shapes
    needed = _convolution if operator.name == "CONV_2D" else _depthwise
    ways = itertools.product(*(_ways(source[i], weights[i], result[i]) for i in (1, 2)))
    return max((needed(height, width, source[3], result[3]) for height, width in ways), default=0)


def _ways(size: int, kernel: int, result: int) -> Iterator[_Extent]:
    """The strides and paddings that make an output of this size: TensorFlow's SAME and VALID."""
    for stride in range(1, _LARGEST_STRIDE + 1):
        if result in (-(-size // stride), (size - kernel) // stride + 1):
            pad = max(0, (result - 1) * stride + kernel - size) // 2
            yield _Extent(size, kernel, result, stride, pad)


def _convolution(height: _Extent, width: _Extent, channels: int, filters: int) -> int:
    """esp_nn_get_conv_scratch_size_esp32s3."""
    both = (height, width)
    pixels = height.size * width.size
    align = 64
    if all((extent.kernel, extent.pad, extent.stride) == (1, 0, 1) for extent in both):
        padded = _up(channels, 8)
        transposed = 16 * padded if pixels >= 8 else 0
        return (pixels * padded if channels % 8 else 0) + padded * filters + transposed + align
    row, taps = width.kernel * channels, height.kernel * width.kernel
    window = taps * channels
    if row < 16 <= window:
        aligned = _up(window, 16)
        return filters * 4 + 16 + filters * aligned + 16 + aligned + align
    padded_input = math.prod(extent.size + 2 * extent.pad for extent in both) * channels
    behind = math.prod(extent.size + extent.beyond for extent in both) * channels
    return (
        (padded_input if any(extent.pad for extent in both) else 0)
        + taps * _up(channels, 16) * filters
        + _up(row, 16) * height.kernel * filters
        + (behind if any(extent.beyond for extent in both) else 0)
        + align
        + filters * 4
    )


def _depthwise(height: _Extent, width: _Extent, channels: int, filters: int) -> int:
    """esp_nn_get_depthwise_conv_scratch_size_esp32s3."""
    both = (height, width)
    multiplier = filters // channels if channels else 0
    pixels, taps = height.size * width.size, height.kernel * width.kernel
    weights = taps * channels * multiplier
    wide = 2 * (weights + pixels * channels)  # both as int16
    if multiplier == 1 and channels % 8 == 0:
        if (height.kernel, width.kernel) != (3, 3):
            return 32 + (wide if wide <= 48 << 10 else 2 * weights + 2 * width.size * height.kernel * channels)
        if channels % 16 == 0:
            padding = [2 * e.pad if height.pad or width.pad else e.result * e.stride + 2 - e.size for e in both]
            rows, columns = height.size + padding[0], width.size + padding[1]
            whole = rows * columns * channels
            if not any(padding):
                return weights + 16
            return weights + 16 + (whole if whole <= 40 << 10 else columns * 3 * channels)
        if channels >= 12:
            padded = _up(channels, 16)
            entries = math.prod(e.size + 2 * e.pad + e.beyond for e in both) + height.result * width.result
            return 9 * padded + entries * padded + 64
        return wide + 32
    if multiplier == 1 and channels > 3:
        padded = _up(channels, 8)
        source = _up(2 * taps * padded, 16)
        result = _up(source + 2 * pixels * padded, 16)
        return _up(result + height.result * width.result * padded, 16) + 12 * padded + 16
    return wide + 32 if multiplier % 4 == 0 else 32


def _up(number: int, multiple: int) -> int:
    """The least multiple that is no less than the number."""
    return -(-number // multiple) * multiple
