"""The whole way on a simulated machine: recordings, dataset, run, detector, test, header."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf import cgen
from gyrovae_tf.bundle import check_replaceable
from gyrovae_tf.device.simulate import FAULTS, simulate
from gyrovae_tf.errors import atomic_write
from gyrovae_tf.learn.dataset import Progress, preprocess
from gyrovae_tf.learn.evaluate import Evaluation, evaluate
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.quantize import BUNDLE, quantize
from gyrovae_tf.learn.train import train

MARKER = "evaluation.json"
_NORMAL_S, _TEST_S, _FAULT_S = 1200.0, 300.0, 60.0
_SEVERITY = 0.5  # a plain fault is 1: these are half as bad


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    evaluation: Evaluation
    """How well the detector tells the simulated faults from normal motion."""
    model_bytes: int
    """Size of the .tflite."""
    macs: int
    """Multiply-accumulates a window."""
    files: dict[str, str]
    """Path -> what it is."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values: those of the evaluation, and `model_bytes`, `macs`, `files`."""
        return {
            **self.evaluation.to_dict(),
            "model_bytes": self.model_bytes,
            "macs": self.macs,
            "files": self.files,
        }


def demo(output: str | PathLike[str], *, seed: int = 0, progress: Progress | None = None) -> Demo:
    """A folder's name and a seed in, everything from simulated recordings to the C header in that folder out.

    Twenty minutes of normal motion to learn from (twice what `trust.foreseen` asks for; but one recording, which tells
    nothing of other days), five minutes to test on, and a minute of each fault of the simulator at half its plain
    severity. A folder that an earlier demo made is replaced; other folders must be empty.
    """
    folder = Path(output)
    check_replaceable(folder, marker=MARKER)
    recordings = folder / "recordings"
    plan = {"normal": (_NORMAL_S, None), "normal_test": (_TEST_S, None), **{kind: (_FAULT_S, kind) for kind in FAULTS}}
    # The marker comes first: a demo that was stopped may be replaced by the next one.
    atomic_write(folder / MARKER, "{}\n")
    for place, (name, (seconds, fault)) in enumerate(plan.items()):
        severity = 0.0 if fault is None else _SEVERITY
        recording = simulate(seconds=seconds, fault=fault, severity=severity, seed=1000 * seed + place)
        recording.write(recordings / f"{name}.csv")
        if progress:
            progress(place + 1, len(plan), "simulating")
    dataset = preprocess([recordings / "normal.csv"], folder / "dataset", progress=progress)
    run = train(dataset, folder / "run", options=Options(seed=seed), overwrite=True, progress=progress)
    bundle = quantize(run, progress=progress)
    evaluation = evaluate(
        run.path,
        normal=[recordings / "normal_test.csv"],
        anomalies={kind: [recordings / f"{kind}.csv"] for kind in FAULTS},
        progress=progress,
    )
    cgen.emit_header(bundle, folder / "nn_model.h")
    made = Demo(
        evaluation=evaluation,
        model_bytes=len(bundle.model),
        macs=bundle.metrics["macs"],
        files={
            str(recordings): "simulated recordings, CSV",
            str(folder / "dataset"): "images to train on, and the front end's spec",
            str(folder / "run"): "the trained Keras model and its logs (TensorBoard: run/tensorboard)",
            str(folder / "run" / BUNDLE): "the int8 model, its spec, score and threshold",
            str(folder / "nn_model.h"): "the same as a C header for the firmware",
            str(folder / MARKER): "the table above, as JSON",
        },
    )
    atomic_write(folder / MARKER, json.dumps(made.to_dict(), indent=1) + "\n")
    return made
