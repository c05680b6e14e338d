"""A model's layers, as `check` describes them, in; the same by kind of operator, for the report, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrovae_tf.lint import Layer


@dataclass(frozen=True)
class Share:
    """One kind of operator in a model."""

    name: str
    count: int
    macs: int
    accelerated: bool
    """Whether every one of them runs on a kernel that uses the target's vector unit."""
    ms: float
    """ESTIMATE."""


def shares(layers: Sequence[Layer]) -> Sequence[Share]:
    """Layers in, their kinds of operator out, those that take longest first."""
    found = []
    for name in {layer.op: None for layer in layers}:
        mine = [layer for layer in layers if layer.op == name]
        found.append(
            Share(
                name,
                len(mine),
                sum(layer.macs for layer in mine),
                all(layer.accelerated for layer in mine),
                sum(layer.us for layer in mine) / 1000,
            )
        )
    return sorted(found, key=lambda share: (-share.ms, share.name))
