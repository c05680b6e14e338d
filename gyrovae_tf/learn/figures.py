"""A run and recordings in, all that its report shows out: as plain values, before any of it is text or a chart."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baseline
from gyrovae_tf.learn.agreement import Agreement, agreement
from gyrovae_tf.learn.dataset import Dataset, Progress, check_hop
from gyrovae_tf.learn.evaluate import Evaluation, Group, Recordings, auroc, evaluate, load_baseline
from gyrovae_tf.learn.layout import to_test_on
from gyrovae_tf.learn.motion import NORMAL, Motion, held_back, recorded, rivals, scored
from gyrovae_tf.learn.promise import Promise, promise
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.train import LOG
from gyrovae_tf.recording import check_rate_hz
from gyrovae_tf.signal.perturb import PERTURBATIONS
from gyrovae_tf.signal.score import Reason, reasons
from gyrovae_tf.spec import PIXEL
from gyrovae_tf.streaming import read_all

_WORST_OF_A_KIND = 1
_WORST_NORMAL = 3
_SEED = 0


@dataclass(frozen=True)
class Row:
    """One kind of motion in the table of results."""

    kind: str
    windows: int
    alarms: float
    """Share of windows that score 1.0 or more."""
    events_per_hour: float | None
    """None where it was not or cannot be counted."""
    group: Group | None
    """Events and delay as `evaluate` counts them; None where it was not asked: for held-back windows and stand-ins."""
    auroc: float | None
    """None for normal motion."""
    baseline_alarms: float | None
    """Share of windows above the threshold of the run's own baseline."""
    baseline_auroc: dict[str, float]
    """Baseline -> its figure, the run's own first; empty for normal motion and where there is none."""


@dataclass(frozen=True)
class Example:
    """One window: what was seen, what the model made of it, and why it scores as it does."""

    kind: str
    why: str
    """Why this one is shown."""
    source: str
    """Its recording."""
    start_s: float
    """Where in it the window begins."""
    score: float
    shares: dict[str, float]
    """View -> its part of the score."""
    reasons: tuple[Reason, ...]
    """What deviates most in the view of bands."""
    seen: NDArray[np.float64]
    """[2, 32, 32, 3] scalogram and field in standard deviations."""
    rebuilt: NDArray[np.float64]
    """The same, as the int8 model reconstructs it."""
    deviation: NDArray[np.float64]
    """[3, 32] (axis, band)."""
    motion: NDArray[np.float64] | None
    """[N, 3] about its mean, in the sensor's units; None where only images were kept."""


@dataclass(frozen=True)
class Figures:
    """All that a report shows."""

    run: Run
    bundle: Bundle
    model: tflite.Model
    data: Dataset
    log: dict[str, list[float]]
    """Columns of the training's log."""
    motions: dict[str, Motion]
    """"normal" first."""
    rows: tuple[Row, ...]
    """In the same order."""
    held_back: bool
    """Whether "normal" is the run's own held-back windows."""
    stand_ins: dict[str, str]
    """Built-in changes that stand in for faults -> what they do; empty where faults were recorded."""
    evaluation: Evaluation | None
    """Where recordings were given: what `evaluate` says of them."""
    examples: tuple[Example, ...]
    """A typical window of each kind."""
    worst: tuple[Example, ...]
    """The windows that score highest, of each kind and of normal motion."""
    agreement: Agreement
    promise: Promise
    """What the calibration found out about false alarms."""

    @property
    def normal(self) -> Motion:
        """Normal motion."""
        return self.motions[NORMAL]


def gather(
    run: Run | str | PathLike[str],
    *,
    normal: Recordings = (),
    anomalies: Mapping[str, Recordings] | None = None,
    dataset: str | PathLike[str] | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    progress: Progress | None = None,
) -> Figures:
    """A quantised run and test recordings (see `report`) in, `Figures` out."""
    hop, rate_hz = None if hop is None else check_hop(hop), check_rate_hz(rate_hz)
    run = run if isinstance(run, Run) else Run.load(run)
    detector = runtime.Detector(run)
    data = run.load_dataset()
    some = data.excerpt()
    normal, anomalies, division = to_test_on(normal, anomalies, dataset)
    classical = load_baseline(run)
    others = rivals(some, classical, detector.bundle.calibration.false_alarm_rate)
    evaluation = None
    if normal or anomalies:
        normal = read_all(normal, rate_hz=rate_hz) if normal else ()
        anomalies = {kind: read_all(recordings, rate_hz=rate_hz) for kind, recordings in anomalies.items()}
        found = evaluate(run, normal=normal, anomalies=anomalies, hop=hop, progress=progress)
        evaluation = replace(found, division=division)
        motions = {
            kind: recorded(recordings, detector, others, evaluation.hop, (progress, kind))
            for kind, recordings in {NORMAL: normal, **anomalies}.items()
        }
    else:
        motions = {NORMAL: held_back(some, detector, others, (progress, NORMAL))}
    stand_ins = {}
    source = motions[NORMAL].windows
    if not anomalies and source is not None:
        for kind, perturbation in PERTURBATIONS.items():
            changed = perturbation.apply(source, _SEED)
            motions[kind] = scored(changed, detector, others, motions[NORMAL].place, (progress, kind))
            stand_ins[kind] = perturbation.description
    return Figures(
        run=run,
        bundle=detector.bundle,
        model=tflite.describe(detector.bundle.model),
        data=data,
        log=log_of(Path(run) / LOG),
        motions=motions,
        rows=tuple(_row(kind, motions, evaluation, classical) for kind in motions),
        held_back=evaluation is None,
        stand_ins=stand_ins,
        evaluation=evaluation,
        examples=tuple(
            _example(kind, motion, _typical(motion), "typical", detector) for kind, motion in motions.items()
        ),
        worst=tuple(
            _example(kind, motion, place, "highest score", detector)
            for kind, motion in motions.items()
            for place in _highest(motion, _WORST_NORMAL if kind == NORMAL else _WORST_OF_A_KIND, data.spec.window)
        ),
        agreement=agreement(run.keras_model(), detector, motions),
        promise=promise(detector.bundle),
    )


def _row(
    kind: str,
    motions: Mapping[str, Motion],
    evaluation: Evaluation | None,
    classical: baseline.Mahalanobis | None,
) -> Row:
    """A kind's figures: those of `evaluate` where it was asked, else the same from the scores."""
    motion, normal = motions[kind], motions[NORMAL]
    group = evaluation.groups.get(kind) if evaluation else None
    own = motion.distance.get(baseline.NAME)
    return Row(
        kind=kind,
        windows=len(motion.score),
        alarms=group.alarms if group else motion.alarms,
        events_per_hour=group.events_per_hour if group else None,
        group=group,
        auroc=None if kind == NORMAL else auroc(normal.score, motion.score),
        baseline_alarms=None if own is None or classical is None else float((own >= classical.threshold).mean()),
        baseline_auroc={}
        if kind == NORMAL
        else {name: auroc(normal.distance[name], motion.distance[name]) for name in motion.distance},
    )


def _typical(motion: Motion) -> int:
    """The window whose score is the middle one."""
    return int(np.argsort(motion.score, kind="stable")[len(motion.score) // 2])


def _highest(motion: Motion, count: int, window: int) -> list[int]:
    """The windows of the highest scores that share no sample with one another."""
    found: list[int] = []
    for place in np.argsort(-motion.score, kind="stable").tolist():
        recording, first = motion.origins[place]
        if all(r != recording or abs(f - first) >= window for r, f in motion.origins[found]):
            found.append(place)
        if len(found) == count:
            break
    return found


def _example(kind: str, motion: Motion, place: int, why: str, detector: runtime.Detector) -> Example:
    spec = detector.bundle.spec
    image = motion.images(np.array([place]), spec)
    recording, first = motion.origins[place]
    about = None
    if motion.windows is not None:
        window = motion.windows[place].astype(np.float64)
        about = (window - window.mean(axis=0)) * spec.lsb
    return Example(
        kind=kind,
        why=why,
        source=motion.sources[recording],
        start_s=float(first / spec.rate_hz),
        score=float(motion.score[place]),
        shares={name: float(values[place]) for name, values in motion.shares.items()},
        reasons=tuple(reasons(motion.deviation[place], spec)),
        seen=image[0] / PIXEL,
        rebuilt=detector.model.rebuilt(image)[0],
        deviation=motion.deviation[place],
        motion=about,
    )


def log_of(path: Path) -> dict[str, list[float]]:
    """A run's log.csv in, its columns out."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {})}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise GyrovaeError(f"cannot read {path}: {error}", remedy="Train again.") from None
    missing = {"epoch", "error", "val_error", "kl", "val_kl"} - set(columns)
    if missing:
        raise GyrovaeError(f"{path} lacks {', '.join(sorted(missing))}", remedy="Train again.")
    return columns
