"""How to train: numbers that can be chosen, checked, without TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrovae_tf.errors import GyrovaeError

LARGEST_BATCH = 8192
"""Windows: a gigabyte and a half of intermediate values."""


@dataclass(frozen=True)
class Options:
    """How to train; the defaults suit minutes of motion of one machine."""

    epochs: int = 40
    """At the most; an epoch is 100 steps whatever the size of the dataset."""
    batch: int = 64
    """Windows a step, drawn with replacement."""
    learning_rate: float = 2e-3
    """At the start; falls to 0 along half a cosine over all epochs."""
    beta: float = 1.0
    """Weight of the divergence."""
    warm_up_steps: int = 500
    """Steps over which beta rises from 0."""
    free_nats: float = 0.02
    """Divergence of each latent unit that costs nothing."""
    patience: int = 10
    """Epochs without a better validation loss before training stops."""
    seed: int = 0
    """Of every random draw."""

    steps_per_epoch: int = 100
    """Steps between two validations."""

    def __post_init__(self) -> None:
        counts = {"epochs": 1, "batch": 1, "patience": 1, "steps_per_epoch": 1, "warm_up_steps": 0, "seed": 0}
        for name, least in counts.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise GyrovaeError(f"{name} is not usable", expected="a whole number", received=repr(value))
            if value < least:
                raise GyrovaeError(f"{name} is not usable", expected=f"at least {least}", received=value)
        if self.batch > LARGEST_BATCH:
            raise GyrovaeError("batch is not usable", expected=f"at most {LARGEST_BATCH}", received=self.batch)
        if self.seed >= 1 << 32:
            raise GyrovaeError("seed is not usable", expected="below 2^32", received=self.seed)
        for name in ("learning_rate", "beta"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise GyrovaeError(f"{name} is not usable", expected="above 0", received=value)
        if not (math.isfinite(self.free_nats) and self.free_nats >= 0):
            raise GyrovaeError("free_nats is not usable", expected="0 or more", received=self.free_nats)
