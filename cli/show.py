"""What the commands print: progress while they work, tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrovae_tf.errors import GyrovaeError

if TYPE_CHECKING:
    from gyrovae_tf.learn.evaluate import Evaluation

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def say(text: str) -> None:
    """A line for people, on standard error, when somebody is looking."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(value, indent=1))


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield a function (done, total, what) that moves a bar on standard error; None when nobody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    state: dict[str, Any] = {"bar": None, "key": None}

    def close() -> None:
        if state["bar"] is not None:
            state["bar"].render_finish()
            state["bar"] = None

    def move(done: int, total: int, what: str) -> None:
        stage = (total, what.split(" loss")[0])
        if state["bar"] is None or state["key"] != stage:
            close()
            state["key"] = stage
            state["bar"] = click.progressbar(
                length=total, label=f"{what:<24}"[:24], file=sys.stderr, item_show_func=lambda note: note
            )
            state["bar"].render_progress()
        bar = state["bar"]
        bar.update(max(done - bar.pos, 0), what)

    try:
        yield move
    finally:
        close()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells (the first is the header) as aligned text: the first column to the left, others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for index, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
        if index == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def evaluation_table(result: Evaluation) -> str:
    """An evaluation as text: one row a kind of motion."""
    classical = result.baseline_auroc is not None and result.baseline_alarms is not None
    header = ["motion", "windows", "AUROC", "alarms", "events/h"]
    rows = [header + (["AUROC (Mahalanobis)", "alarms (Mahalanobis)"] if classical else [])]
    for kind, group in result.groups.items():
        per_hour = group.events_per_hour
        row = [
            kind,
            str(group.windows),
            f"{result.auroc[kind]:.3f}" if kind in result.auroc else "",
            f"{100 * group.alarms:.1f} %",
            "n/a" if per_hour is None else f"{per_hour:.1f}",
        ]
        if result.baseline_auroc is not None and result.baseline_alarms is not None:
            row.append(f"{result.baseline_auroc[kind]:.3f}" if kind in result.baseline_auroc else "")
            row.append(f"{100 * result.baseline_alarms[kind]:.1f} %")
        rows.append(row)
    needed, windows = result.vote
    lines = [
        table(rows),
        "",
        f"AUROC: 1.0 tells every abnormal window from every normal one, 0.5 is chance. Alarms: share of windows that "
        f"score 1.0 or more\n({100 * result.requested_false_alarm_rate:g} % of normal ones was asked for). "
        f"Events: {needed} alarms among {windows} windows in a row.",
    ]
    if not classical:
        lines.append("No baseline: it belongs to the run, and this is a bundle alone.")
    if any(group.events_per_hour is None for group in result.groups.values()):
        lines.append(f"n/a: no recording is long enough for {windows} windows in a row.")
    return "\n".join(lines)


def expand(names: Sequence[str]) -> list[Path]:
    """Names as typed in; files out: a folder stands for the CSV files in it, a pattern for what it matches."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(path.glob("*.csv"))
            if not inside:
                raise GyrovaeError(f"{path} holds no .csv files")
            found += inside
        elif not path.exists() and any(sign in name for sign in "*?["):
            import glob

            matched = sorted(glob.glob(name))
            if not matched:
                raise GyrovaeError(f"nothing matches {name}")
            found += map(Path, matched)
        else:
            found.append(path)
    return found
