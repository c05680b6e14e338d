"""An operator in, what ESP-NN's kernels for the ESP32-S3 are known to compute wrongly out.

Read in ESP-NN 1.2.3, esp-tflite-micro 1.4.0 and the threads named in `findings.RULES`:
 - `esp_nn_conv_s8_esp32s3` is told only the padding in front. Where that is not 0 in both dimensions it pads both sides
   by it; where it is 0 it pads behind by what the output needs (since commit 27d1f4a, version 1.2.1; before, nothing).
   Windows of `kernel width * channels < 16 <= whole window` have a kernel of their own that looks at every border.
 - `esp_nn_get_depthwise_conv_scratch_size_esp32s3` supposes that 3x3 kernels with 16n channels are padded by 0 or 1 on
   every side; `esp_nn_depthwise_conv_s8_esp32s3` takes another path, which needs more, where they are not.
 - `esp_nn_conv_s8_mult8_1x1_esp32s3` loaded 8 bytes of weights at a time and ignored the low 3 bits of their address,
   until commit d17c031 (version 1.2.2).
 - `esp_nn_fully_connected_s8_esp32s3` falls back to a kernel that loads 8 bytes of input at a time and ignores the low
   3 bits of their address; TFLM calls it a row at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gyrovae_tf.findings import Finding, found
from gyrovae_tf.operators import Options, padding
from gyrovae_tf.tflite import Operator, Tensor


def esp_nn(operator: Operator, tensors: Sequence[Tensor]) -> Iterator[Finding]:
    """An operator and its model's tensors in, a `Finding` for each of its known defects out."""
    chosen = [tensors[i] if i >= 0 else None for i in (*operator.inputs[:2], *operator.outputs[:1])]
    if len(operator.inputs) < 2 or len(chosen) != 3:
        return
    source, weights, result = chosen
    if source is None or weights is None or result is None or {source.dtype, weights.dtype} != {"int8"}:
        return
    if operator.name == "FULLY_CONNECTED" and len(weights.shape) == 2:
        yield from _rows(operator, weights.shape[1], result, tuple(tensors))
    if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or operator.options is None:
        return
    if operator.options.dilation == (1, 1) and {len(t.shape) for t in (source, weights, result)} == {4}:
        single = operator.name == "CONV_2D" and weights.shape[1:3] == operator.options.stride == (1, 1)
        if single and source.shape[3] == weights.shape[3] and source.shape[3] % 8 == 0 and (weights.offset or 0) % 8:
            yield found("weights-alignment", f"1x1 weights begin at byte {weights.offset}", operator, tuple(tensors))
        yield from _padded(operator, operator.options, (source.shape, weights.shape, result.shape), tuple(tensors))


def _rows(operator: Operator, width: int, result: Tensor, tensors: tuple[Tensor, ...]) -> Iterator[Finding]:
    rows = result.elements // result.shape[-1] if result.shape and result.shape[-1] else 0
    # Below 16 inputs every row goes the slow way, wherever it begins: that is told as a slow path.
    if rows > 1 and width % 16 and (width % 8 or width > 16):
        yield found(
            "fc-rows-slow" if width % 8 == 0 else "fc-rows",
            f"{rows} rows of {width} inputs: {'row 1' if rows == 2 else f'rows 1 to {rows - 1}'} begin off alignment",
            operator,
            tensors,
        )


def _padded(
    operator: Operator, options: Options, shapes: tuple[tuple[int, ...], ...], tensors: tuple[Tensor, ...]
) -> Iterator[Finding]:
    source, weights, result = shapes
    kernel, channels = weights[1:3], source[3]
    (above, below), (left, right) = (
        padding(source[i + 1], kernel[i], options.stride[i], 1, result[i + 1]) for i in (0, 1)
    )
    if (above, left) == (below, right):
        return
    what = (
        f"{kernel[0]}x{kernel[1]} with stride {options.stride[0]}x{options.stride[1]} on {source[1]}x{source[2]}: "
        f"{above} rows above and {below} below, {left} columns left and {right} right"
    )
    if operator.name == "DEPTHWISE_CONV_2D":
        whole = kernel == (3, 3) and channels % 16 == 0 and result[3] == channels
        unequal = (above, left) not in ((0, 0), (1, 1))
        yield found("depthwise-scratch" if whole and unequal else "uneven-padding", what, operator, tensors)
    elif weights[3] == channels:  # convolutions in groups run on plain C, which is right
        row = kernel[1] * channels
        bordered = row < 16 <= kernel[0] * row  # a kernel that looks at every border
        short = (above or left) and (below > above or right > left) and not bordered
        yield found("short-padding" if short else "asymmetric-padding", what, operator, tensors)
