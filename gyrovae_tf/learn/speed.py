"""An int8 model in, a rough estimate of its time on an ESP32-S3 out; never a measurement.

Published figures for ESP-NN's kernels on an ESP32-S3 (Espressif, person detection of 54 ms, and its layer timings):
1.3 cycles a multiply-accumulate in FULLY_CONNECTED, 6.3 in a convolution from three channels, 1.8 on average, which
stands for every other accelerated operator. The same model took 2300 ms on TFLM's reference kernels: 43 times as long,
which stands for operators that ESP-NN does not accelerate. Operators that only copy are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrovae_tf.tflite import ACCELERATED_ESP_NN, Model, Operator

CLOCK_HZ = 240e6
_FULLY_CONNECTED, _FEW_CHANNELS, _AVERAGE = 1.3, 6.3, 1.8
_REFERENCE = _AVERAGE * 2300 / 54
_FEW = 4


@dataclass(frozen=True)
class Share:
    """One kind of operator in a model."""

    name: str
    count: int
    macs: int
    accelerated: bool
    """Whether ESP-NN has a kernel for it."""
    ms: float
    """Estimated, at 240 MHz."""


def shares(model: Model) -> Sequence[Share]:
    """A model in, its operators by name out, those that take longest first."""
    found = []
    for name in model.op_names:
        mine = [operator for operator in model.operators if operator.name == name]
        cycles = sum(operator.macs * _cycles(model, operator) for operator in mine)
        macs = sum(operator.macs for operator in mine)
        found.append(Share(name, len(mine), macs, name in ACCELERATED_ESP_NN, 1000 * cycles / CLOCK_HZ))
    return sorted(found, key=lambda share: (-share.ms, share.name))


def _cycles(model: Model, operator: Operator) -> float:
    """Cycles a multiply-accumulate."""
    if operator.name not in ACCELERATED_ESP_NN:
        return _REFERENCE
    if operator.name == "FULLY_CONNECTED":
        return _FULLY_CONNECTED
    shape = model.tensors[operator.inputs[0]].shape if operator.inputs else ()
    return _FEW_CHANNELS if operator.name == "CONV_2D" and shape and shape[-1] <= _FEW else _AVERAGE
