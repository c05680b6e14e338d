"""The one place that imports TensorFlow: version-checked, quiet, deterministic."""

from __future__ import annotations

import os
import warnings
from types import ModuleType

# Read when TensorFlow loads; the start-up lines it silences say nothing that a user can act on.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf
    import tf_keras as keras

__all__ = ["keras", "make_reproducible", "tf", "versions"]


def make_reproducible(seed: int) -> None:
    """Seed every random draw of TensorFlow, NumPy and Python, and choose deterministic kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def versions() -> dict[str, str]:
    """Versions of the packages that shape a model."""
    import platform

    import numpy as np

    import gyrovae_tf

    packages: list[ModuleType] = [gyrovae_tf, tf, keras, np]
    found = {package.__name__: str(package.__version__) for package in packages}
    return {**found, "python": platform.python_version()}
