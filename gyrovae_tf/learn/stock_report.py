"""A run on the stock front end in, a page about it out: what the stock console will tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from gyrovae_tf.bundle import STOCK
from gyrovae_tf.learn import charts
from gyrovae_tf.learn.dataset import Progress, check_hop
from gyrovae_tf.learn.evaluate import Recordings, auroc
from gyrovae_tf.learn.figures import log_of
from gyrovae_tf.learn.health import Status
from gyrovae_tf.learn.layout import to_test_on
from gyrovae_tf.learn.learnt import learnt_by, overlaps
from gyrovae_tf.learn.markup import data_table, escaped, side_by_side, small_print, three
from gyrovae_tf.learn.motion import NORMAL
from gyrovae_tf.learn.page import shell
from gyrovae_tf.learn.promise import Promise, promise
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.stock_console import IMAGES, Console, console_of, stock_scores
from gyrovae_tf.learn.stock_data import MARGIN, StockDataset, changed_windows, counts_of
from gyrovae_tf.learn.stock_quantize import load_dataset
from gyrovae_tf.learn.train import LOG
from gyrovae_tf.learn.verdict import (
    FOUND,
    LONGER,
    PARTLY,
    RECORD_FAULT,
    RECORD_MORE,
    SEPARATES,
    TOO_STRICT,
    TRY_OTHERS,
    UNTRIED,
    Verdict,
    as_asked,
    percent,
    too_few,
)
from gyrovae_tf.learn.windows import windows_like
from gyrovae_tf.recording import check_rate_hz
from gyrovae_tf.signal.perturb import PERTURBATIONS
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockdetector import StockDetector, StockScores
from gyrovae_tf.stockheader import edits
from gyrovae_tf.stockspec import ARENA_BYTES

_TELLS = 0.8  # mean AUROC below which a detector is no good


@dataclass(frozen=True)
class _Seen:
    """All that the page shows."""

    run: Run
    bundle: StockBundle
    data: StockDataset
    scores: dict[str, StockScores]
    """"normal" first, then each kind."""
    made_up: bool
    """Whether the kinds are built-in changes of held-back motion."""
    kernels: str
    promise: Promise
    learnt: dict[str, float] | None
    """Kind of motion that was given -> share of its windows that the run was trained on; None where not known."""
    division: tuple[str, ...] = ()
    """Which files of the dataset are tested on, where its meta.json does not say so."""

    @property
    def auroc(self) -> dict[str, float]:
        """Kind -> how well it is told from normal motion."""
        normal = self.scores[NORMAL].score
        return {kind: auroc(normal, found.score) for kind, found in self.scores.items() if kind != NORMAL}

    @property
    def alarms(self) -> dict[str, float]:
        """Kind of motion -> share of its windows that are alarms."""
        return {kind: float((found.score >= 1).mean()) for kind, found in self.scores.items()}

    @property
    def console(self) -> Console:
        """What the console shows of each kind of motion."""
        return console_of(self.bundle.calibration, self.scores)


def stock_report(
    run: Run,
    *,
    normal: Recordings = (),
    anomalies: Mapping[str, Recordings] | None = None,
    dataset: str | PathLike[str] | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    progress: Progress | None = None,
) -> tuple[str, dict[str, Any]]:
    """A quantised run and test recordings, as `report` takes them, in; the page's HTML and its figures out."""
    seen = _gather(run, normal, anomalies, dataset, hop, rate_hz, progress)
    verdict = _judge(seen)
    sections = [
        ("results", "Kinds of motion", _results(seen)),
        ("console", "What the console prints", _console(seen)),
        ("int8", "Room in int8", _int8(seen)),
        ("training", "Training", _training(seen)),
        ("device", "On the device", _device(seen)),
    ]
    summary = {
        "frontend": STOCK,
        "verdict": {
            "status": verdict.status,
            "headline": verdict.headline,
            "points": [{"status": status, "text": text} for status, text in verdict.points],
            "steps": list(verdict.steps),
        },
        "synthetic": seen.made_up,
        "requested_false_alarm_rate": seen.bundle.calibration.false_alarm_rate,
        "alarm_rate": seen.alarms,
        "auroc": seen.auroc,
        "console": seen.console.to_dict(),
        "promise": seen.promise.to_dict(),
        "learnt": seen.learnt,
    }
    return shell(f"Stock firmware report: {run.path.resolve().name}", verdict, sections), summary


def _gather(
    run: Run,
    normal: Recordings,
    anomalies: Mapping[str, Recordings] | None,
    dataset: str | PathLike[str] | None,
    hop: int | None,
    rate_hz: float | None,
    progress: Progress | None,
) -> _Seen:
    detector, data = StockDetector(run), load_dataset(run)
    normal, kinds, division = to_test_on(normal, anomalies, dataset)
    hop, rate_hz = check_hop(data.spec.window // 2 if hop is None else hop), check_rate_hz(rate_hz)

    def cut(recordings: Recordings) -> Any:
        return windows_like(recordings, data.spec, hop=hop, rate_hz=rate_hz)[0]

    windows = {NORMAL: cut(normal) if normal else data.validation_windows}
    if kinds:
        windows |= {kind: cut(recordings) for kind, recordings in kinds.items()}
    else:
        windows |= {name: changed_windows(name, windows[NORMAL]) for name in PERTURBATIONS}
    scores = {kind: stock_scores(detector, part, progress, kind) for kind, part in windows.items()}
    bundle, known = detector.bundle, learnt_by(run.path)
    given = [kind for kind in (NORMAL, *kinds) if kind in kinds or normal]
    learnt = None if known is None else {kind: known.share(counts_of(windows[kind])) for kind in given}
    return _Seen(run, bundle, data, scores, not kinds, detector.model.kernels, promise(bundle), learnt, division)


def _judge(seen: _Seen) -> Verdict:
    asked, rate, windows = seen.bundle.calibration.false_alarm_rate, seen.alarms[NORMAL], len(seen.scores[NORMAL].score)
    mean = float(np.mean(list(seen.auroc.values())))
    alarms, remark = as_asked(round(rate * windows), windows, asked)
    points: list[tuple[Status, str]] = [
        (
            alarms,
            f"{percent(rate)} of {windows:,} normal windows raise an alarm; {percent(asked)} was asked for.{remark}",
        )
    ]
    faults = {kind: share for kind, share in seen.alarms.items() if kind != NORMAL}
    found = [kind for kind, share in faults.items() if share >= FOUND]
    missed = [kind for kind, share in faults.items() if share < PARTLY]
    partly = [kind for kind in faults if kind not in (*found, *missed)]
    what = "built-in changes" if seen.made_up else "kinds of abnormal motion"
    groups = {"": found, "in part: ": partly, "missed: ": missed}
    told = "; ".join(f"{word}{', '.join(kinds) or 'none'}" for word, kinds in groups.items())
    detects: Status = "good" if len(found) == len(faults) else "bad" if len(missed) == len(faults) else "look"
    points.append((detects, f"Found of {len(faults)} {what}: {told}."))
    points += [("bad", text[0].upper() + text[1:]) for text in overlaps(seen.learnt)]
    points += [("look", text) for text in seen.division]
    if seen.promise.trust is not None:
        points += [("look", text) for text in seen.promise.trust.warnings]
    points.append(
        (
            "look",
            "The stock firmware looks at every eighth sample, rounds to 0.2 m/s^2 and keeps gravity in: much of what "
            "our own firmware finds is not in its images at all.",
        )
    )
    status: Status = "bad" if mean < _TELLS or detects == "bad" else "good" if alarms == detects == "good" else "look"
    but = "with more false alarms than asked for" if alarms == "bad" else "with reservations"
    headline = {
        "good": "The stock firmware with this model tells these motions apart.",
        "look": f"The stock firmware with this model tells these motions apart, {but}.",
        "bad": "The stock firmware with this model does not tell these motions apart well enough.",
    }[status]
    if overlaps(seen.learnt):
        status, headline = "bad", UNTRIED
    strict = [] if seen.made_up else [kind for kind in (*partly, *missed) if seen.auroc[kind] >= SEPARATES]
    first = TOO_STRICT.format(", ".join(strict)) if strict else ""
    if alarms != "good":
        first = LONGER if alarms == "look" and too_few(windows, asked) else RECORD_MORE
    elif status == "bad" and not strict:
        first = RECORD_MORE
    return Verdict(status, headline, tuple(points), tuple(_steps(seen, status, first)))


def _steps(seen: _Seen, status: Status, first: str) -> Iterator[str]:
    """What to do next: a firmware is worth building only with a model that tells real faults from normal motion."""
    learnt = overlaps(seen.learnt)
    if first and not learnt:
        yield first
    if learnt:
        yield TRY_OTHERS
    elif seen.made_up:
        yield RECORD_FAULT
    elif status == "good":
        yield (
            "gyrovae-tf emit-header RUN --flavour stock -o nn_model.h, in the place of the firmware's own, and build "
            "it."
        )
        yield (
            "gyrovae-tf monitor --port PORT --model RUN judges its console by these levels; first on the healthy "
            "machine."
        )
    yield "For small or fast vibrations, orientation or other rates: our own firmware and the power front end."


def _results(seen: _Seen) -> str:
    head = ["motion", "alarms", "AUROC", "first figure too low", "too high", "second too low", "too high", "windows"]
    rows = []
    for kind, scores in seen.scores.items():
        told = seen.console.motion[kind]
        shares = [percent(share[image]) for image in IMAGES for share in (told.too_low, told.too_high)]
        rows.append(
            [escaped(kind), percent(seen.alarms[kind]), three(seen.auroc.get(kind)), *shares, f"{len(scores.score):,}"]
        )
    notes = [
        "Alarms: share of windows that have a figure beyond one of its levels. AUROC: the chance that a window of this "
        "kind lies further out than a normal one; 1 always, 0.5 a coin.",
        f"Scored with the kernels of {seen.kernels}, truncated and wrapped around in int8 as in the firmware.",
    ]
    if seen.made_up:
        notes.insert(0, "No faults were given: these are computed changes of normal motion, no real ones.")
    chart = (charts.histograms({kind: found.score for kind, found in seen.scores.items()}), "Scores; 1 is the alarm.")
    return data_table(head, rows, "w") + side_by_side(chart) + small_print(notes)


def _console(seen: _Seen) -> str:
    console = seen.console
    rows = [
        [name, image, f"{band.low_db:.2f}", f"{band.middle_db:.2f}", f"{band.high_db:.2f}"]
        for name, (image, band) in zip(("first", "second"), console.bands.items(), strict=True)
    ]
    lead = 'For each window the console prints "Predict results: a b". An alarm is a figure at or beyond a level.'
    notes = [
        "20 * log10(1 / sqrt(sum of squared errors)) in dB. Low: the model cannot rebuild what it sees. High: there is "
        "less to rebuild than on normal motion, as when the machine stands still.",
        f"The levels rest on {seen.bundle.calibration.held_back_windows:,} normal windows that were held back.",
        f"The first figure counts a row of the scalogram of which a quarter is whatever lies in front of a buffer; "
        f"{console.row_db:.2f} dB are allowed for it. If it is far lower on a healthy machine, go by the second alone.",
    ]
    table = data_table(["figure", "image", "alarm at or below, dB", "normal", "alarm at or above"], rows, "ww")
    return f'<p class="lead">{escaped(lead)}</p>' + table + small_print(notes)


def _int8(seen: _Seen) -> str:
    data = seen.data
    rows = [
        ["one step of the input", f"{data.spec.input_scale:g}"],
        ["it holds up to", f"{127 * data.spec.input_scale:g}"],
        ["largest pixel of normal windows", f"{data.largest:.2f}"],
        ["largest of louder ones (computed)", f"{data.largest_changed:.2f}"],
    ]
    for kind, found in seen.console.motion.items():
        rows.append([f"windows with a pixel that wraps around: {escaped(kind)}", percent(found.wrapped)])
    notes = [
        f"{data.margin:.1f} times the largest pixel of normal windows fits; at least {MARGIN:g} times should.",
        "The firmware truncates pixels and does not clamp them: what int8 cannot hold turns into something else.",
    ]
    return data_table(["", ""], rows, "w") + small_print(notes)


def _training(seen: _Seen) -> str:
    metrics = seen.run.metrics
    text = f"{metrics['epochs']} epochs, of which number {metrics['best_epoch']} is kept."
    curve = charts.training(
        log_of(seen.run.path / LOG), int(metrics["best_epoch"]), "error", "squared error a pixel", "error"
    )
    return f'<p class="lead">{escaped(text)}</p>' + side_by_side((curve, "Reconstruction error, standardised."))


def _device(seen: _Seen) -> str:
    bundle = seen.bundle
    arena = "not measured" if bundle.arena is None else f"{bundle.arena.suggested_bytes:,} of {ARENA_BYTES:,}"
    rows = [
        ["model, in RAM", f"{len(bundle.model):,} bytes"],
        ["multiply-accumulates", f"{bundle.metrics.get('macs', 0):,}"],
        ["operators", escaped(", ".join(bundle.ops))],
        ["tensor arena", arena],
        ["model's SHA-256", bundle.model_sha256],
    ]
    lines = edits(bundle.spec.constants)
    if lines:
        rows.append(["to edit in app_main.cpp", "<br />".join(map(escaped, lines))])
    return data_table(["", ""], rows, "ww")
