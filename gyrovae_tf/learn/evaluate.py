"""A bundle and test recordings in, a table of how well it tells abnormal from normal motion out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime, tflite
from gyrovae_tf.arguments import switch, told
from gyrovae_tf.bundle import POWER, STOCK, Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baseline, npz
from gyrovae_tf.learn.compare import Comparison, evenly
from gyrovae_tf.learn.compare import compare as compared
from gyrovae_tf.learn.dataset import Progress, check_hop
from gyrovae_tf.learn.layout import to_test_on
from gyrovae_tf.learn.learnt import learnt_by, overlaps
from gyrovae_tf.learn.measured import Way, measure
from gyrovae_tf.learn.promise import Promise, promise
from gyrovae_tf.learn.stock_console import Console, console_of
from gyrovae_tf.mixed import mixtures, telling
from gyrovae_tf.recording import Recording, check_rate_hz, odd_pulls
from gyrovae_tf.scoring import LONG_BYTES, SHARD_ROWS, check_shards
from gyrovae_tf.shards import Job, detector_of, lent
from gyrovae_tf.signal.score import stride_of, vote
from gyrovae_tf.stockbundle import StockBundle, is_stock
from gyrovae_tf.stockdetector import StockDetector
from gyrovae_tf.streaming import sources_of
from gyrovae_tf.wording import first_of, many
from gyrovae_tf.workers import check_jobs

Recordings = Sequence[Recording | str | PathLike[str]]


@dataclass(frozen=True)
class Group:
    """Scores of one kind of motion."""

    windows: int
    """Windows scored."""
    alarms: float
    """Share of them that score 1.0 or more."""
    events: int
    """Alarms after voting: how often it began to hold that enough of the latest windows were alarms. The vote begins
    anew behind a gap, which may be a day; a device that loses samples, and `monitor`, go on with it for a minute."""
    hours: float
    """Time from the first window's begin to the last one's end, over all stretches."""
    votable: bool
    """Whether any stretch without a gap has as many windows that share no samples as an event takes alarms."""
    delay_s: float | None = None
    """For abnormal motion: seconds from the first sample of a stretch without a gap to the end of the window with which
    its first event begins, the mean over the stretches that have an event; None where none has one, and where no
    stretch is long enough for one. It tells the time to an alarm only where the fault is there from the start."""
    stretches: int = 1
    """Recordings, or parts of them between gaps."""
    told: int = 0
    """How many of these have an event."""
    silent: int = 0
    """How many have none, though they are as long as what a vote looks back on."""
    abnormal: bool = False
    """Whether this is a kind of anomaly."""

    @property
    def events_per_hour(self) -> float | None:
        """Events an hour; None where no stretch is long enough for one."""
        return self.events / self.hours if self.votable else None


@dataclass(frozen=True)
class Evaluation:
    """How well a detector tells abnormal from normal motion."""

    auroc: dict[str, float]
    """Kind of anomaly -> area under the ROC curve of the int8 model's scores."""
    groups: dict[str, Group]
    """"normal" and each kind -> its alarms and events."""
    baseline_auroc: dict[str, float] | None
    """The same figure for the baseline (Mahalanobis distance on log band energies)."""
    baseline_alarms: dict[str, float] | None
    """"normal" and each kind -> share of windows above the baseline's threshold."""
    false_alarm_rate: float
    """Share of normal windows at or above the threshold."""
    requested_false_alarm_rate: float
    """What the threshold was set for."""
    vote: tuple[int, int]
    """Alarms among windows that make an event."""
    hop: int
    """Samples from one scored window to the next. The vote counts windows that share no samples, whatever it is; still,
    the more windows, the more events."""
    promise: Promise = field(default_factory=Promise)
    """What the calibration found out about the detector's false alarms, from the normal data it was made of."""
    kernels: str = runtime.HOST
    """What ran the model: a name of `runtime.KERNELS`."""
    threshold_kernels: str | None = None
    """What its threshold was set with; None where the bundle does not say."""
    precision: str = "int8"
    """Type of the model's input and outputs: that of the device, or "float32" for an export."""
    comparison: dict[str, Comparison] | None = None
    """Other kernels -> how far they lie from these; None where that was not asked for."""
    learnt: dict[str, float] | None = None
    """"normal" and each kind -> share of its windows that lie in motion that the detector was trained or calibrated on:
    on these its figures flatter. Without overlap 0; None where it is not known what was learnt."""
    division: tuple[str, ...] = ()
    """Which files of the dataset are tested on, where its meta.json does not say so."""
    odd_units: tuple[str, ...] = ()
    """Why recordings may not be in the m/s^2 that they are taken for."""
    mixed: tuple[str, ...] = ()
    """Why recordings may hold more than the kind of motion that they are given for."""
    unused: tuple[str, ...] = ()
    """Which recordings count nowhere, as they hold no window."""
    console: Console | None = None
    """Figures and alarm levels as the stock firmware prints them; None of detectors for ours."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the test recordings.

        Nothing lists them, they hold no window, were trained on, or may be in other units or of more than one kind.
        """
        return (*self.division, *self.unused, *overlaps(self.learnt), *self.odd_units, *self.mixed)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `auroc` maps each kind to the int8 model's figure, `delay_s` to `Group.delay_s`, the mean
        over `told` of its `stretches`.

        `threshold`, `trust` and `voting` are what the bundle holds of its calibration (`threshold.Tail`, `trust.Trust`,
        `voting.Vote`), where it does. Their events are those of windows `hop_s` apart; the others of windows `hop`
        samples apart. `compare` maps other kernels to their `Comparison`, where that was asked for.
        """
        known = self.promise.to_dict()
        console = {} if self.console is None else {"frontend": STOCK, "console": self.console.to_dict()}
        return {
            **console,
            "auroc": self.auroc,
            "auroc_mean": float(np.mean(list(self.auroc.values()))) if self.auroc else None,
            "auroc_min": min(self.auroc.values(), default=None),
            "false_alarm_rate": self.false_alarm_rate,
            "requested_false_alarm_rate": self.requested_false_alarm_rate,
            "alarm_rate": {kind: group.alarms for kind, group in self.groups.items()},
            "events_per_hour": {kind: group.events_per_hour for kind, group in self.groups.items()},
            "delay_s": {kind: group.delay_s for kind, group in self.groups.items() if kind != "normal"},
            "told": {kind: group.told for kind, group in self.groups.items() if kind != "normal"},
            "stretches": {kind: group.stretches for kind, group in self.groups.items() if kind != "normal"},
            "windows": {kind: group.windows for kind, group in self.groups.items()},
            "baseline": None
            if self.baseline_auroc is None
            else {"name": baseline.NAME, "auroc": self.baseline_auroc, "alarm_rate": self.baseline_alarms},
            "vote": list(self.vote),
            "hop": self.hop,
            "learnt": self.learnt,
            "notes": list(self.notes),
            "runtime": self.kernels,
            "threshold_runtime": self.threshold_kernels,
            "precision": self.precision,
            "compare": None
            if self.comparison is None
            else {name: found.to_dict() for name, found in self.comparison.items()},
            "threshold": known["threshold"],
            "trust": known["trust"],
            "voting": known["vote"],
        }


def evaluate(
    run: Bundle | StockBundle | str | PathLike[str],
    *,
    normal: Recordings = (),
    anomalies: Mapping[str, Recordings] | None = None,
    dataset: str | PathLike[str] | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    frontend: str | None = None,
    kernels: str | None = None,
    model: str | PathLike[str] | None = None,
    compare: bool = False,
    jobs: int | None = 1,
    scheduler: str | None = None,
    parts: str | PathLike[str] | None = None,
    shard_rows: int = SHARD_ROWS,
    long_bytes: int = LONG_BYTES,
    progress: Progress | None = None,
) -> Evaluation:
    """A bundle (or its path, or a quantised run's), and recordings it has never seen, in; an `Evaluation` of it out.

    `normal` and `anomalies` (kind -> recordings) are recordings, or paths, folders, patterns or URLs of CSV and Parquet
    files of any length (`streaming.find_recordings`); or `dataset` is a folder in the layout normal/*.csv,
    anomaly/<kind>/*.csv, meta.json: the normal files are those of split.normal_test, or without it those that
    `preprocess` leaves to be tested on, and `notes` say so. Windows are `hop` samples apart (half a window unless
    given). The baseline is that of the run's training windows; a bundle alone has none. The images are those of the
    detector's own front end: with `frontend` ("power", "stock") one of another is refused.

    `kernels` run the model (a name of `runtime.KERNELS`; unless given the device's where they are installed). `model`
    is a .tflite to put in place of the bundle's, such as `export` makes, under the same score and threshold. With
    `compare` all other installed kernels run it as well, to see how far they lie apart.

    The work is done by `jobs` processes of this computer (None: by one, or where there is much by one a core), or by
    the workers of a Dask `scheduler`, which have to reach the recordings by the same names. The figures are the same,
    whoever does it. `parts` is a folder to keep in what is done until all is: given again, work that was interrupted
    goes on there. Where files have more than `long_bytes` together, those of more than `shard_rows` rows are done so
    many rows at a time.
    """
    if not isinstance(run, Bundle | StockBundle | str | PathLike):
        raise GyrovaeError("there is nothing to evaluate", expected="a bundle, or a path", received=type(run).__name__)
    compare, rate_hz = switch(compare, "compare is not usable"), check_rate_hz(rate_hz)
    shard_rows, long_bytes = check_shards(shard_rows, long_bytes)
    stock = isinstance(run, StockBundle) or (not isinstance(run, Bundle) and is_stock(run))
    _check_frontend(frontend, STOCK if stock else POWER)
    if (model is not None or compare) and stock:
        raise GyrovaeError("a detector for the stock firmware is evaluated as it is: without --model or --compare")
    content = None if model is None else tflite.read_model(model)
    detector = detector_of(run, kernels, content)
    bundle = detector.bundle
    normal, anomalies, division = to_test_on(normal, anomalies, dataset)
    if not normal:
        raise GyrovaeError("no normal recordings to evaluate on", remedy="Give some that were not trained on: --normal")
    if "normal" in anomalies:
        raise GyrovaeError('a kind of anomaly cannot be called "normal"')
    hop = check_hop(bundle.spec.window // 2 if hop is None else hop)
    jobs = None if jobs is None else check_jobs(jobs)
    known = None if isinstance(run, Bundle | StockBundle) else Path(run)
    classical, learnt = (None, None) if known is None else (load_baseline(known), learnt_by(known))
    job = Job(bundle, detector.model.kernels, hop, rate_hz, content)
    sources = {kind: sources_of(recordings) for kind, recordings in {"normal": normal, **anomalies}.items()}
    with lent(job, detector):
        found = measure(
            job,
            sources,
            classical,
            Way(jobs, scheduler, parts, shard_rows, long_bytes),
            progress,
            learnt=learnt,
        )
    scores = {kind: one.score for kind, one in found.items()}
    distances = {kind: one.distance for kind, one in found.items() if one.distance is not None}
    groups = {
        kind: group_of(one.score, one.segments, bundle, hop, abnormal=kind != "normal") for kind, one in found.items()
    }
    printed = {kind: one.stock for kind, one in found.items() if one.stock is not None}
    seen = {kind: one.windows(job, evenly(len(one.score))) for kind, one in found.items()} if compare else {}
    return Evaluation(
        auroc={kind: auroc(scores["normal"], scores[kind]) for kind in anomalies},
        groups=groups,
        baseline_auroc=None
        if classical is None
        else {kind: auroc(distances["normal"], distances[kind]) for kind in anomalies},
        baseline_alarms=None
        if classical is None
        else {kind: float((values >= classical.threshold).mean()) for kind, values in distances.items()},
        false_alarm_rate=groups["normal"].alarms,
        requested_false_alarm_rate=bundle.calibration.false_alarm_rate,
        vote=(bundle.calibration.vote_alarms, bundle.calibration.vote_windows),
        hop=hop,
        promise=promise(bundle),
        kernels=detector.model.kernels,
        threshold_kernels=bundle.metrics.get("runtime"),
        precision=detector.model.precision,
        comparison=compared(detector, seen, progress) if isinstance(detector, runtime.Detector) and compare else None,
        learnt=None if learnt is None else {kind: one.learnt for kind, one in found.items()},
        division=division,
        odd_units=odd_pulls(
            [(kind, one.pull) for kind, one in found.items()],
            bundle.spec.units,
            "kinds of motion",
            lsb=bundle.spec.lsb if isinstance(bundle, Bundle) else None,
        ),
        mixed=_mixed([source for mine in sources.values() for source in mine]),
        unused=tuple(filter(None, (_unused(kind, one.windowless()) for kind, one in found.items()))),
        console=console_of(detector.bundle.calibration, printed) if isinstance(detector, StockDetector) else None,
    )


def _unused(kind: str, names: Sequence[str]) -> str:
    """A kind and its recordings that hold no window in, what to say of them out."""
    which = f"{kind}: {many(len(names), 'recording')} ({first_of(names)})"
    return f"{which} with no stretch as long as a window: left out." if names else ""


def _check_frontend(asked: str | None, own: str) -> None:
    """Refuse a front end that is asked for and is not that of the detector."""
    if asked not in (None, POWER, STOCK):
        raise GyrovaeError("unknown front end", expected=f"{POWER} or {STOCK}", received=told(asked))
    if asked not in (None, own):
        raise GyrovaeError(
            "the detector is of another front end",
            expected=asked,
            received=own,
            remedy=f"Leave --frontend out, or preprocess with --frontend {asked} and train again.",
        )


def _mixed(sources: Sequence[Recording | str]) -> tuple[str, ...]:
    found = mixtures(sources)
    if not found:
        return ()
    return (
        f"{telling(found, len(sources))} All rows of a recording are taken for one kind of motion: where such a column "
        "tells faults, machines or sensors apart, give the rows of each in a file of their own.",
    )


def auroc(normal: NDArray[np.float64], abnormal: NDArray[np.float64]) -> float:
    """Scores of normal and of abnormal windows in; the chance that an abnormal one scores higher (ties half) out.

    The Mann-Whitney statistic (Hanley and McNeil, 1982).
    """
    below = np.searchsorted(np.sort(normal), abnormal, side="left")
    up_to = np.searchsorted(np.sort(normal), abnormal, side="right")
    return float((below + up_to).mean() / (2 * len(normal)))


def load_baseline(run: str | PathLike[str]) -> baseline.Mahalanobis | None:
    """A run's folder, or the bundle inside it, in; the classical detector of its training windows out.

    None where there is none: a bundle that was copied out of its run.
    """
    file = npz.of_run(run, baseline.FILE)
    return None if file is None else baseline.Mahalanobis.load(file)


def group_of(
    scores: NDArray[np.float64],
    segments: NDArray[np.int64],
    bundle: Bundle | StockBundle,
    hop: int,
    *,
    abnormal: bool,
) -> Group:
    """Scores [k] in order, `hop` samples apart, the segment [k] of each and a detector in, the `Group` of them out.

    Events are counted within stretches that no gap breaks.
    """
    calibration, window = bundle.calibration, bundle.spec.window
    alarms = scores >= 1.0
    stretches, stride = np.split(alarms, np.flatnonzero(np.diff(segments)) + 1), stride_of(window, hop)
    events, samples, votable, silent = 0, 0, False, 0
    first = []  # samples to the end of the window with which each stretch's first event begins
    for stretch in stretches:
        votable |= len(stretch) > (calibration.vote_alarms - 1) * stride
        held = vote(stretch, calibration.vote_alarms, calibration.vote_windows, stride)
        events += int((np.diff(held.astype(np.int8), prepend=0) == 1).sum())
        samples += window + (len(stretch) - 1) * hop
        silent += not held.any() and len(stretch) > (calibration.vote_windows - 1) * stride
        if held.any():
            first.append(window + int(held.argmax()) * hop)
    return Group(
        windows=len(scores),
        alarms=float(alarms.mean()),
        events=events,
        hours=samples / bundle.spec.rate_hz / 3600,
        votable=votable,
        delay_s=float(np.mean(first)) / bundle.spec.rate_hz if abnormal and votable and first else None,
        stretches=len(stretches),
        told=len(first),
        silent=silent,
        abnormal=abnormal,
    )
