"""A run in, one self-contained HTML file about it out: does it work, what does it miss, what to do next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gyrovae_tf.bundle import STOCK
from gyrovae_tf.errors import atomic_write
from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.learn.evaluate import Recordings
from gyrovae_tf.learn.figures import Example, Figures, gather
from gyrovae_tf.learn.health import Check, checks
from gyrovae_tf.learn.markup import check_page
from gyrovae_tf.learn.page import page
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.stock_report import stock_report
from gyrovae_tf.learn.verdict import Verdict, found, judge
from gyrovae_tf.lint import check
from gyrovae_tf.signal.cost import frontend_cost


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    path: Path
    """The HTML file."""
    summary: dict[str, Any]
    """Its figures as JSON-ready values."""

    def to_dict(self) -> dict[str, Any]:
        """The path and the figures."""
        return {"report": str(self.path), **self.summary}


def report(
    run: Run | str | PathLike[str],
    output: str | PathLike[str] = "report.html",
    *,
    normal: Recordings = (),
    anomalies: Mapping[str, Recordings] | None = None,
    dataset: str | PathLike[str] | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """A quantised run and, where there are any, test recordings in; an HTML file at `output` and its `Report` out.

    `normal`, `anomalies`, `dataset`, `hop` and `rate_hz` are those of `evaluate`, whose figures the page shows. Without
    recordings, normal motion is what the run's dataset held back; without anomalies, built-in changes of normal motion
    (`signal.perturb`) stand in for faults, and the page says so. Of a run on the stock front end the page shows
    what the stock firmware's console will print, and its alarm levels. The same inputs give the same bytes.
    `GyrovaeError` as in `evaluate`, and when the run was not quantised or its dataset is gone.
    """
    check_page(output)
    run = run if isinstance(run, Run) else Run.load(run)
    if run.frontend == STOCK:
        text, summary = stock_report(
            run, normal=normal, anomalies=anomalies, dataset=dataset, hop=hop, rate_hz=rate_hz, progress=progress
        )
        atomic_write(output, text)
        return Report(Path(output), summary)
    figures = gather(
        run, normal=normal, anomalies=anomalies, dataset=dataset, hop=hop, rate_hz=rate_hz, progress=progress
    )
    health = checks(figures.data, figures.bundle)
    verdict = judge(figures, health)
    atomic_write(output, page(figures, verdict, health))
    return Report(Path(output), _summary(figures, verdict, health))


def _summary(figures: Figures, verdict: Verdict, health: Sequence[Check]) -> dict[str, Any]:
    cost, model = frontend_cost(figures.bundle.spec), figures.model
    checked = check(figures.bundle.model)
    both = figures.agreement
    return {
        "verdict": {
            "status": verdict.status,
            "headline": verdict.headline,
            "points": [{"status": status, "text": text} for status, text in verdict.points],
            "steps": list(verdict.steps),
        },
        "normal": "held back" if figures.held_back else "given",
        "learnt": None if figures.evaluation is None else figures.evaluation.learnt,
        "synthetic": bool(figures.stand_ins),
        "requested_false_alarm_rate": figures.bundle.calibration.false_alarm_rate,
        "promise": figures.promise.to_dict(),
        "motions": {
            row.kind: {
                "windows": row.windows,
                "alarm_rate": row.alarms,
                "events_per_hour": row.events_per_hour,
                "delay_s": row.group.delay_s if row.group else None,
                "auroc": row.auroc,
                "found": None if row.auroc is None else found(row),
                "baseline_alarm_rate": row.baseline_alarms,
                "baseline_auroc": row.baseline_auroc,
            }
            for row in figures.rows
        },
        "health": [{"name": c.name, "value": c.value, "status": c.status, "meaning": c.meaning} for c in health],
        "worst": [_worst(example) for example in figures.worst],
        "int8_against_float": {
            "windows": len(both.float_error),
            "scalogram_pixels": float(both.pixels[:, 0].mean()),
            "field_pixels": float(both.pixels[:, 1].mean()),
            "score_change": both.change,
            "same_side": both.same_side,
            "auroc": {kind: {"float": exact, "int8": int8} for kind, (exact, int8) in both.aurocs().items()},
            "float_error": float(np.mean(both.float_error)),
            "int8_error": float(np.mean(both.int8_error)),
        },
        "device": {
            "model_bytes": model.size_bytes,
            "table_bytes": cost.total_table_bytes,
            "score_table_bytes": figures.bundle.calibration.table_bytes,
            "arena": None if figures.bundle.arena is None else figures.bundle.arena.to_dict(),
            "macs": model.macs,
            "accelerated_macs": checked.accelerated_macs,
            "frontend_macs": cost.total_macs,
            "estimated_model_ms": checked.estimate.ms,
        },
    }


def _worst(example: Example) -> dict[str, Any]:
    return {
        "kind": example.kind,
        "score": example.score,
        "shares": example.shares,
        "recording": example.source,
        "start_s": example.start_s,
        "reasons": [dataclasses.asdict(reason) for reason in example.reasons],
    }
