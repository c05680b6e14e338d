"""Scores of one method on test windows in, its figures and times out; and the means of several seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.learn import baselines
from gyrovae_tf.learn.learnt import learnt_by, overlaps
from gyrovae_tf.learn.measure import Figures, averaged, figures
from gyrovae_tf.learn.stock_data import counts_of
from gyrovae_tf.learn.windows import Unseen

Scores = NDArray[np.float64]
Group = tuple[str, str]
"""Part and kind, as `windows.Unseen.groups` names them."""


@dataclass(frozen=True)
class Trial:
    """One method with one seed."""

    figures: Figures
    in_fault_sessions: Figures | None
    fit_s: float
    score_s: float


def figured(scores: Mapping[Group, Scores], threshold: float, fit_s: float, score_s: float) -> Trial:
    """Scores of each group of windows, the method's threshold and its times in, the `Trial` out."""
    abnormal = {kind: values for (part, kind), values in scores.items() if part == "anomaly"}
    stricter = scores.get(("fault_sessions", ""))
    return Trial(
        figures(scores["normal", ""], abnormal, threshold),
        None if stricter is None else figures(stricter, abnormal, threshold),
        fit_s,
        score_s,
    )


def baseline_trials(
    learnt: tuple[Scores, Scores], tests: Mapping[Group, Scores], *, seed: int, rate: float
) -> dict[str, Trial]:
    """Features of training and held-back windows and of each group to test on in; a trial of every baseline out.

    Each is fitted to the windows that the model was trained on, with a threshold of its own.
    """
    found = {}
    for name in baselines.FITS:
        started = time.perf_counter()
        fitted = baselines.fit(name, *learnt, seed=seed, false_alarm_rate=rate)
        ready = time.perf_counter()
        scores = {group: fitted.score(values) for group, values in tests.items()}
        done = time.perf_counter()
        found[name] = figured(scores, fitted.threshold, ready - started, done - ready)
    return found


def windows_of(trained: int, held_back: int, tests: Unseen) -> dict[str, Any]:
    """How many windows were trained on, held back and tested on, for the record of a dataset."""
    return {
        "train": trained,
        "held_back": held_back,
        "normal": len(tests.normal),
        "normal_in_fault_sessions": 0 if tests.fault_sessions is None else len(tests.fault_sessions),
        "anomalies": {kind: len(windows) for kind, windows in tests.anomalies.items()},
    }


def learnt_notes(run: Path, tests: Unseen) -> list[str]:
    """A run's folder and what it was tested on in; which of that it learnt from, in words, out."""
    known = learnt_by(run)
    if known is None:
        return []

    def share(windows: NDArray[Any]) -> float:
        return known.share(counts_of(windows) if windows.dtype.kind == "f" else windows)

    stricter = () if tests.fault_sessions is None else overlaps({"normal": share(tests.fault_sessions)})
    return [
        *overlaps({"normal": share(tests.normal)}),
        *(f"in the faults' sessions, {text}" for text in stricter),
        *overlaps({kind: share(windows) for kind, windows in tests.anomalies.items()}),
    ]


def record_of(trials: Sequence[Trial], seeds: Sequence[int]) -> dict[str, Any]:
    """Trials of one method in, one for each seed; the record of their means and of each out."""
    record = averaged([trial.figures for trial in trials]).to_dict()
    fit_s, score_s = (float(np.mean([getattr(trial, name) for trial in trials])) for name in ("fit_s", "score_s"))
    record |= {"seconds": fit_s + score_s, "fit_seconds": fit_s, "score_seconds": score_s}
    stricter = [trial.in_fault_sessions for trial in trials if trial.in_fault_sessions is not None]
    if stricter:
        record["in_fault_sessions"] = averaged(stricter).to_dict()
    record["seeds"] = [{"seed": seed, **trial.figures.to_dict()} for seed, trial in zip(seeds, trials, strict=True)]
    return record
