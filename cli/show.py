"""What the commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrovae_tf.wording import many

if TYPE_CHECKING:
    from gyrovae_tf.learn.compare import Comparison
    from gyrovae_tf.learn.evaluate import Evaluation, Group

WIDTH = 100
"""Columns that a table may take."""
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( %)?|n/a|")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def say(text: str) -> None:
    """A line for people, on standard error, when somebody is looking."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def command(*words: str | Path) -> str:
    """A command of ours, as it can be typed into a shell."""
    return shlex.join(["gyrovae-tf", *map(str, words)])


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output; what is no finite number becomes null."""
    click.echo(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells (the first is the header) as aligned text: numbers to the right, all else to the left.

    A last column that would not fit into `WIDTH` columns is wrapped.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    widths[-1] = min(widths[-1], max(WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1), 20))
    right = [index > 0 and all(_NUMBER.fullmatch(cell) for cell in column[1:]) for index, column in enumerate(columns)]
    lines = []
    for number, row in enumerate(rows):
        first, *more = textwrap.wrap(row[-1], widths[-1]) or [""]
        for cells in ([*row[:-1], first], *([*[""] * (len(row) - 1), part] for part in more)):
            aligned = zip(cells, widths, right, strict=True)
            lines.append("  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in aligned).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def evaluation_table(result: Evaluation) -> str:
    """An evaluation as text: one row a kind of motion, what the columns mean, and what cannot be promised.

    The delay is left out where its column does not fit.
    """
    text = _evaluation_table(result, delay=len(result.groups) > 1)
    if max(map(len, text.splitlines())) > WIDTH:
        text = _evaluation_table(result, delay=False)
    return text


def _evaluation_table(result: Evaluation, *, delay: bool) -> str:
    rows = [["motion", "windows", "alarms", "events/h", *["delay, s"] * delay, "AUROC"]]
    for kind, group in result.groups.items():
        per_hour = group.events_per_hour
        rows.append([kind, str(group.windows), f"{100 * group.alarms:.1f} %"])
        rows[-1].append("n/a" if per_hour is None else f"{per_hour:.1f}")
        if delay:
            rows[-1].append("" if kind == "normal" else _delay(group))
        rows[-1].append(_three(result.auroc.get(kind)))
    needed, windows = result.vote
    asked = result.promise.asked(result.requested_false_alarm_rate)
    notes = [
        f"alarms: share of windows that score 1.0 or more; on normal motion {asked} was asked for.",
        f"events: times that {needed} of {windows} windows in a row that share no samples began to be alarms (where "
        f"all are, one); windows begin every {result.hop} samples (--hop): the more of them, the more events.",
        "AUROC: how well the score tells this motion from normal: 1.0 always, 0.5 no better than a coin.",
    ]
    if delay:
        notes.insert(
            2,
            "delay: mean time from the beginning of a recording, or a gap in it, to its first event"
            + ("; in brackets how many of them have one." if any("(" in row[4] for row in rows[1:]) else "."),
        )
    absent = []
    if any(group.events_per_hour is None for group in result.groups.values()):
        absent.append(f"no recording is long enough for {many(needed, 'window')} that share no samples")
    if delay and any(g.votable and not g.told for kind, g in result.groups.items() if kind != "normal"):
        absent.append("there was no event")
    if absent:
        notes.insert(2 + delay, f"n/a: {', or '.join(absent)}.")
    if result.baseline_auroc is not None and result.baseline_alarms is not None:
        rows[0] += ["baseline alarms", "baseline AUROC"]
        for row in rows[1:]:
            row += [f"{100 * result.baseline_alarms[row[0]]:.1f} %", _three(result.baseline_auroc.get(row[0]))]
        notes.append("baseline: what a simple detector makes of the same windows (Mahalanobis on log band energies).")
    else:
        notes.append("No baseline to compare with: it belongs to the run, and this is a bundle alone.")
    notes.append(_kernels_note(result))
    warnings = result.promise.trust.warnings if result.promise.trust else ()
    notes += [f"false alarms cannot be promised: {text}" for text in warnings]
    notes += result.notes
    parts = [table(rows), "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))]
    if result.comparison is not None:
        parts += ["", *_comparison(result.comparison, result.kernels)]
    return "\n".join(parts)


def _delay(group: Group) -> str:
    """The mean delay, and of how many stretches it is where not all have an event."""
    if group.delay_s is None:
        return "n/a"
    return f"{group.delay_s:.1f}" + (f" ({group.told} of {group.stretches})" if group.told < group.stretches else "")


def modes_table(modes: Sequence[dict[str, Any]], kept: str) -> str:
    """What `quantize` found out about each way to quantise, as text."""
    from gyrovae_tf.describe import modes_rows

    rows = modes_rows(modes, kept)
    note = (
        "AUROC: how well the score tells held-back normal windows from the same with a built-in change, the mean over "
        "changes; error: mean squared error of the reconstruction; off: how far it is from the float network's, in "
        "pixels. Where detection is alike, the one nearer to float is kept."
    )
    return "\n".join([table(rows), "", *textwrap.wrap(note, WIDTH)])


def _kernels_note(result: Evaluation) -> str:
    """Whose arithmetic the scores are."""
    if result.precision != "int8":
        return f"run on: {result.kernels}, in {result.precision}; the device runs the int8 model alone."
    if result.kernels == "tflm":
        text = "run on: tflm, the kernels of the device, pixel for pixel"
    else:
        text = (
            f"run on: {result.kernels}, which rounds some pixels otherwise than the device; "
            'pip install "gyrovae-tf[tflm]" (Linux on x86-64) runs the device\'s kernels'
        )
    other = result.threshold_kernels
    return text + (f". The threshold was set on {other}." if other not in (None, result.kernels) else ".")


def _comparison(comparison: dict[str, Comparison], kernels: str) -> list[str]:
    """Other kernels beside those that were evaluated."""
    rows = [["kernels", "pixels off", "most, LSB", "score moves", "at most", "other verdict"]]
    for name, found in comparison.items():
        rows.append([name, f"{100 * found.pixels:.2f} %", str(found.largest)])
        rows[-1] += [f"{100 * found.score_median:.2g} %", f"{100 * found.score_largest:.2g} %"]
        rows[-1].append(f"{100 * found.verdicts:.2f} %")
    windows = max((found.windows for found in comparison.values()), default=0)
    note = (
        f"The same model on other kernels, against {kernels}, on {windows} of these windows: share of output pixels "
        "that differ, by how many steps at most, how far the middle window's score moves and the one that moves most, "
        "and how many windows are an alarm on one and none on the other."
    )
    return [table(rows), "", *textwrap.wrap(note, WIDTH)]


def _three(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"
