"""How to train: numbers that can be chosen, checked, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyrovae_tf.arguments import number, whole

LARGEST_BATCH = 8192
"""Windows: a gigabyte and a half of intermediate values."""
_COUNTS = {  # the least and the most
    "epochs": (1, (1 << 31) - 1),
    "batch": (1, LARGEST_BATCH),
    "warm_up_steps": (0, (1 << 31) - 1),
    "patience": (1, (1 << 31) - 1),
    "seed": (0, (1 << 32) - 1),
    "steps_per_epoch": (1, (1 << 31) - 1),
}
_FLOAT32 = float.fromhex("0x1.fffffep127")  # what TensorFlow computes with


@dataclass(frozen=True)
class Options:
    """How to train; the defaults suit minutes of motion of one machine."""

    epochs: int = 40
    """At the most; an epoch is `steps_per_epoch` steps, whatever the size of the dataset."""
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
        taken: dict[str, float] = {
            name: whole(getattr(self, name), f"{name} is not usable", least, most)
            for name, (least, most) in _COUNTS.items()
        }
        floats: dict[str, tuple[str, Callable[[float], bool]]] = {
            "learning_rate": ("above 0, at most 1", lambda value: 0 < value <= 1),
            "beta": ("above 0, at most 3.4e38", lambda value: 0 < value <= _FLOAT32),
            "free_nats": ("0 or more, at most 3.4e38", lambda value: 0 <= value <= _FLOAT32),
        }
        for name, (expected, fits) in floats.items():
            taken[name] = number(getattr(self, name), f"{name} is not usable", expected, fits)
        # numpy's numbers become Python's: a run's record is JSON.
        for name, value in taken.items():
            object.__setattr__(self, name, value)
