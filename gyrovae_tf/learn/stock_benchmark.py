"""One folder of recordings in, how well the stock firmware does on it with a model of ours out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.stock_console import IMAGES, stock_scores
from gyrovae_tf.learn.stock_data import features, stock_preprocess
from gyrovae_tf.learn.stock_quantize import stock_quantize
from gyrovae_tf.learn.train import train
from gyrovae_tf.learn.trial import Group, Scores, Trial, baseline_trials, figured, learnt_notes, record_of, windows_of
from gyrovae_tf.learn.windows import unseen
from gyrovae_tf.signal.stock import macs
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockdetector import StockDetector, StockScores

LOW = "as printed"
"""What the tutorial reads off the console: the lower of the two figures, in units of its own level, is abnormal."""


def measure_stock(
    folder: Path, work: Path, options: Sequence[Options], rate: float, progress: Progress | None
) -> dict[str, Any]:
    """A folder in the shared layout at 200 Hz in, its record as `benchmark` has it out; the last run is left in `work`.

    Methods are "int8" (both levels of both figures), `LOW`, either image's figure alone, and the baselines.
    `GyrovaeError` when the firmware could not have made the recordings: another rate, or stretches below 256 samples.
    """
    data = stock_preprocess(output=work / "dataset", dataset=folder, progress=progress)
    hop = data.spec.window // 2
    tests = unseen(folder, data.spec, hop=hop)
    learnt = features(data.train_windows), features(data.validation_windows)
    tested = {group: features(windows) for group, windows in tests.groups().items()}
    trials: dict[str, list[Trial]] = {}
    used: list[int] = []
    failed: dict[str, str] = {}
    bundle: StockBundle | None = None
    for choice in options:
        try:
            started = time.perf_counter()
            run = train(data, work / "run", options=choice, overwrite=True, progress=progress)
            bundle = stock_quantize(run, false_alarm_rate=rate, progress=progress)
            fitted = time.perf_counter()
        except GyrovaeError as error:
            failed[str(choice.seed)] = str(error)
            continue
        used.append(choice.seed)
        detector = StockDetector(bundle)
        found = {
            group: stock_scores(detector, windows, progress, group[1] or group[0])
            for group, windows in tests.groups().items()
        }
        seconds = time.perf_counter() - fitted
        for name, scores in _methods(found).items():
            trials.setdefault(name, []).append(figured(scores, 1.0, fitted - started, seconds))
        for name, trial in baseline_trials(learnt, tested, seed=choice.seed, rate=rate).items():
            trials.setdefault(name, []).append(trial)
    if bundle is None:
        raise GyrovaeError("no seed led to a detector: " + next(iter(failed.values())))
    methods = {name: record_of(found, used) for name, found in trials.items()}
    methods["int8"] |= {
        "bytes": len(bundle.model),
        "macs": bundle.metrics["macs"],
        "frontend_macs": macs(data.spec.constants),
        "frontend_table_bytes": 0,
        "score_table_bytes": 0,
    }
    return {
        "window": data.spec.window,
        "hop": hop,
        "rate_hz": data.spec.rate_hz,
        "windows": windows_of(len(data.train_windows), len(data.validation_windows), tests),
        "seeds": used,
        "methods": methods,
        "modes": {"ptq": methods["int8"]},
        "kept": ["ptq"] * len(used),
        "skipped": tests.skipped,
        "failed_seeds": failed,
        "minutes": [],
        "notes": [*data.notes, *learnt_notes(work / "run", tests)],
    }


def _methods(found: Mapping[Group, StockScores]) -> dict[str, dict[Group, Scores]]:
    """Scores of each group of windows in, by method and group out."""
    methods = {"int8": {group: scores.score for group, scores in found.items()}}
    methods[LOW] = {
        group: np.where(scores.too_low, scores.ratios, -scores.ratios).max(axis=1) for group, scores in found.items()
    }
    for index, image in enumerate(IMAGES):
        methods[f"{image} alone"] = {group: scores.ratios[:, index] for group, scores in found.items()}
    return methods
