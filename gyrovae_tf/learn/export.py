"""A trained run in, its network as a .tflite of one precision out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import tflite
from gyrovae_tf.bundle import POWER, Bundle, check_frontend
from gyrovae_tf.errors import GyrovaeError, atomic_write, check_same_kind
from gyrovae_tf.learn.convert import PRECISIONS, to_precision
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.learn.run import Run
from gyrovae_tf.spec import CELLS


@dataclass(frozen=True)
class Exported:
    """A .tflite that was written."""

    path: str
    """The file."""
    precision: str
    """A name of `convert.PRECISIONS`."""
    bytes: int
    """Its size."""
    macs: int
    """Multiply-accumulates a window."""
    operators: tuple[str, ...]
    """Names of the operators in it."""
    on_device: bool
    """Whether the firmware can run it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "operators": list(self.operators)}


def export(
    run: Run | str | PathLike[str], *, precision: str = "int8", output: str | PathLike[str] | None = None
) -> Exported:
    """A run (or its folder) in; its network as a .tflite in `output`, model_<precision>.tflite in the run unless given.

    `precision` is "float32", "float16" (weights), "dynamic" (weights of int8 in layers that have 1,024 or more) or
    "int8": that of the run's bundle where it was quantised, else as `quantize` with the mode "ptq" makes it. Input and
    outputs are those of the contract, but float32 in standard deviations (pixels / 32) where the precision is not
    "int8"; `evaluate` takes each as `model`.
    """
    if precision not in PRECISIONS:
        raise GyrovaeError("unknown precision", expected=" or ".join(PRECISIONS), received=precision)
    run = run if isinstance(run, Run) else Run.load(run)
    check_frontend({"frontend": run.frontend}, POWER, run.path)
    path = Path(run) / f"model_{precision}.tflite" if output is None else Path(output)
    check_same_kind(path, lambda head: head[4:8] == tflite.IDENTIFIER, ".tflite model")
    if precision == "int8" and (Path(run) / BUNDLE).exists():
        content = Bundle.load(Path(run) / BUNDLE).model
    else:
        images = run.load_dataset().train_images if precision == "int8" else _any_images()
        content = to_precision(run.keras_model(), images, precision)
    atomic_write(path, content)
    described = tflite.describe(content)
    return Exported(str(path), precision, len(content), described.macs, described.op_names, precision == "int8")


def _any_images() -> NDArray[np.int8]:
    """Pixels to compare two models on, of any kind: where nothing is quantised, no data are needed."""
    shape = (32, 2, CELLS, CELLS, 3)
    return np.random.default_rng(0).integers(-96, 97, shape).astype(np.int8)
