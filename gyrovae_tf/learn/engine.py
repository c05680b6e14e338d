"""The one place that imports TensorFlow: quiet, and deterministic when asked to be."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import numpy as np

from gyrovae_tf.version import VERSION

__all__ = ["keeps_generators", "keras", "make_reproducible", "quiet", "tf", "versions"]

Given = ParamSpec("Given")
Made = TypeVar("Made")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what native code writes to standard error off the screen; it is written there after all on a failure."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        saved = os.dup(2)
        try:
            os.dup2(log.fileno(), 2)
            yield
        except Exception:
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


with warnings.catch_warnings(), quiet():
    warnings.simplefilter("ignore")
    import tensorflow as tf
    import tf_keras as keras

    # Looking for a GPU complains, when there is none, at the first use of TensorFlow: have that happen here.
    tf.config.list_physical_devices()
    # Sums are the same on any number of cores then; networks as small as ours are trained no faster on several.
    with contextlib.suppress(RuntimeError):  # TensorFlow was used before, and cannot be told any more
        tf.config.threading.set_intra_op_parallelism_threads(1)


def keeps_generators(work: Callable[Given, Made]) -> Callable[Given, Made]:
    """Work that calls `make_reproducible` in; the same, after which Python and NumPy draw as if it had not, out.

    TensorFlow's own seed and its deterministic kernels stay.
    """

    @functools.wraps(work)
    def kept(*args: Given.args, **options: Given.kwargs) -> Made:
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the caller's, not ours
        try:
            return work(*args, **options)
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002

    return kept


def make_reproducible(seed: int) -> None:
    """Seed every random draw of TensorFlow, NumPy and Python, and choose deterministic kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def threads() -> int:
    """How many threads may add up a sum: 1, but where this process used TensorFlow before us, one a processor or so."""
    return int(tf.config.threading.get_intra_op_parallelism_threads()) or os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of the packages that shape a model."""
    found = {package.__name__: str(package.__version__) for package in (tf, keras, np)}
    return {**found, "gyrovae_tf": VERSION, "python": platform.python_version()}
