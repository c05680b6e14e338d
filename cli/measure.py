"""Commands that measure: evaluate, benchmark."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.wording import many, one_line

from . import stock
from .crew import check_crew, scheduler_option
from .learn import FRONTENDS
from .progress import progress_bar
from .show import WIDTH, as_json, evaluation_table, print_json, table
from .tested import TestCommand, read_options, test_recordings

KERNELS = ("tflm", "litert", "litert-reference", "litert-xnnpack")
"""Those of the runtime; naming them here keeps NumPy out of --help, and a test compares."""
_OURS = ("int8", "float", "as printed", "scalogram alone", "field alone")
"""Methods that are the detector, or a part of it."""
_FILES = 5
"""How many of those that were not scored are named."""
_FOLDER = click.Path(path_type=Path)


@click.command(cls=TestCommand, short_help="Test recordings -> a table of how well it works.")
@click.argument("run", type=_FOLDER)
@test_recordings
@click.option(
    "--frontend", type=click.Choice(FRONTENDS), help="Refuse a detector of another one.  [default: RUN's own]"
)
@click.option(
    "--runtime", "kernels", type=click.Choice(KERNELS), help=f"Kernels.  [default: {KERNELS[0]} if installed]"
)
@click.option("--model", type=_FOLDER, help="A .tflite instead of the bundle's: what export made of RUN.")
@click.option("--compare", is_flag=True, help="Also tell how far other kernels lie from these.")
@click.option("--jobs", type=click.IntRange(1), help="Processes.  [default: 1, or for much the computer's cores]")
@scheduler_option
@click.option("--parts", type=_FOLDER, metavar="DIR", help="Keep what is done until all is: interrupted work goes on.")
@as_json
def evaluate(
    run: Path, jobs: int | None, scheduler: str | None, parts: Path | None, as_json: bool, **tested: Any
) -> None:
    """Score recordings with the int8 model of RUN (a run or a bundle), exactly as the device will.

    Recordings are CSV or Parquet files of any length, folders (with those in them), patterns, or URLs; memory does not
    grow with their length. Parquet, URLs and --scheduler need: pip install "gyrovae-tf[scale]". A worker that dies
    costs time only. With --parts, the same command goes on where it was interrupted; the folder goes when all is done.

    A detector for Seeed's stock firmware is evaluated as that firmware works: its images, truncated to int8 without a
    clamp, and what its console prints.

    tflm are the kernels of the device (TensorFlow Lite Micro). Those of litert are there on every PC and round some
    pixels otherwise.
    """
    check_crew(jobs, scheduler)
    options = read_options(**tested, jobs=jobs, scheduler=scheduler, parts=parts)
    try:
        with progress_bar() as progress:
            from gyrovae_tf.learn import evaluate as library

            result = library.evaluate(run, progress=progress, **options)
    except KeyboardInterrupt:
        if parts is None:
            raise
        raise GyrovaeError("stopped by Ctrl-C", remedy="What is done is kept: the same command goes on.") from None
    if as_json:
        print_json(result.to_dict())
    else:
        click.echo(evaluation_table(result))
        if result.console is not None:
            click.echo("\n" + stock.console_notes(result.console))


def _lengths(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, ...]:
    """Lengths as in 0.5,1,2."""
    try:
        lengths = tuple(float(word) for word in value.split(",")) if value is not None else ()
    except ValueError:
        lengths = (0.0,)
    if not all(0 < length < float("inf") for length in lengths):
        raise click.BadParameter(f"{value!r} is not a list of minutes, as in 0.5,1,2,5,10")
    return lengths


@click.command(short_help="Real recordings -> the detector beside simple baselines.")
@click.argument("folders", nargs=-1, type=_FOLDER, metavar="DIR...", required=True)
@click.option("-o", "--output", type=_FOLDER, default=Path("benchmark"), show_default=True, help="Folder to make.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings a dataset.")
@click.option(
    "--frontend",
    type=click.Choice(FRONTENDS),
    default="power",
    show_default=True,
    help="stock: in Seeed's firmware.",
)
@click.option("--minutes", metavar="M,M,...", callback=_lengths, help="Also train on so little: 0.5,1,2,5,10.")
@click.option("--false-alarm-rate", default=0.01, show_default=True, help="Share of normal windows asked for.")
@as_json
def benchmark(folders: tuple[Path, ...], output: Path, as_json: bool, **options: Any) -> None:
    """Train, quantise and test on each DIR: meta.json, normal/*.csv and anomaly/<kind>/*.csv.

    split.normal_train of meta.json names the files to learn from, split.normal_test those to test on, against every
    kind of anomaly (and split.normal_test_in_fault_sessions, where it is there, once more). Where one of the first two
    is missing, it is all else in normal/; without both the last third of the files, by name, is tested on. A note says
    so. Files to test on that cannot be used are left out, and told. Baselines see the same windows; they need
    scikit-learn: pip install "gyrovae-tf[bench]".

    OUTPUT/benchmark.json, written after each DIR, and --json hold one object: `datasets` is a list of objects with
    `name` and `methods` (method -> `mean`, `min` and `kinds` of AUROC, and more), or `error`. OUTPUT/<name>/run is the
    last seed's run. Status 2 when no DIR could be used.
    """
    with progress_bar() as progress:
        from gyrovae_tf.learn import benchmark as library

        result = library.benchmark(folders, output, progress=progress, **options)
    if as_json:
        print_json(result)
        return
    for record in result["datasets"]:
        click.echo(_dataset(record) + "\n")
    click.echo(_summary(result))
    click.echo(f"\nall figures: {output / library.RESULT}")


def _dataset(record: dict[str, Any]) -> str:
    """One dataset as text: a row a method, best first."""
    if "error" in record:
        return _wrapped(f"{record['name']}: not measured: {one_line(record['error'])}")
    windows = record["windows"]
    head = (
        f"{record['name']}: {windows['train']:,} windows of {record['window']} samples to learn from, "
        f"{windows['normal']:,} normal and {sum(windows['anomalies'].values()):,} abnormal ones to test on"
    )
    methods = _ranked(record["methods"])
    rows = [["method", "AUROC", "worst kind", "below 5 % FA", "recall", "false alarms", "seconds"]]
    for name, found in methods:
        rows.append([name, *_cells(found), f"{found['seconds']:.1f}"])
    notes = [_wrapped(f"note: {note}") for note in record["notes"]]
    parts = [_wrapped(head), *notes, table(rows)]
    int8 = record["methods"]["int8"]
    parts.append(
        _wrapped(
            f"int8 ({record['runtime']}): {int8['bytes']:,} bytes and {int8['macs']:,} multiply-accumulates a window; "
            f"its front end {int8['frontend_table_bytes']:,} and {int8['frontend_macs']:,}; "
            f"the score's tables {int8['score_table_bytes']:,} bytes"
        )
    )
    parts.append(_modes(record["modes"], record["kept"]))
    stricter = [(name, found["in_fault_sessions"]) for name, found in methods if "in_fault_sessions" in found]
    if stricter:
        parts.append(
            f"Against normal motion of the faults' own sessions ({windows['normal_in_fault_sessions']} windows):"
        )
        ranked = sorted(stricter, key=lambda pair: -pair[1]["mean"])
        parts.append(table([rows[0][:-1], *([name, *_cells(found)] for name, found in ranked)]))
    if record["minutes"]:
        parts.append(_minutes(record["minutes"]))
    parts += _skipped(record["skipped"])
    parts += [_wrapped(f"seed {seed} failed: {one_line(why)}") for seed, why in record["failed_seeds"].items()]
    return "\n".join(parts)


def _skipped(skipped: dict[str, str]) -> list[str]:
    """Kinds that were not scored, and some of the files."""
    files = [name for name in skipped if "/" in name]
    shown = [name for name in skipped if name not in files[_FILES:]]
    parts = [_wrapped(f"not scored: {name}: {one_line(skipped[name])}") for name in shown]
    more = len(files) - _FILES
    return [*parts, f"not scored: {many(more, 'more file')}; benchmark.json names them"] if more > 0 else parts


def _cells(found: dict[str, Any], digits: int = 3) -> list[str]:
    recall, alarms = found["recall"]["mean"], found["false_alarm_rate"]
    numbers = (found["mean"], found["min"], found["partial"]["mean"])
    return [*(f"{number:.{digits}f}" for number in numbers), f"{100 * recall:.1f} %", f"{100 * alarms:.1f} %"]


def _modes(modes: dict[str, Any], kept: list[str]) -> str:
    """The ways to quantise side by side."""
    rows = [["quantised by", "AUROC", "worst kind", "below 5 % FA", "recall", "false alarms", "kept"]]
    for mode, found in modes.items():
        rows.append([mode, *_cells(found, digits=4), f"{kept.count(mode)} of {len(kept)}"])
    return table(rows)


def _minutes(lengths: list[dict[str, Any]]) -> str:
    """The table of AUROC against minutes to learn from, with what could not be measured below it."""
    rows = [["minutes to learn from", "AUROC", "worst kind", "false alarms"]]
    notes = []
    for found in lengths:
        if "kinds" not in found:
            notes.append(_wrapped(f"{found['minutes']:g} minutes: {one_line(found.get('skipped') or found['error'])}"))
            continue
        alarms = f"{100 * found['false_alarm_rate']:.1f} %"
        rows.append([f"{found['minutes']:g}", f"{found['mean']:.3f}", f"{found['min']:.3f}", alarms])
    return "\n".join([*([table(rows)] if len(rows) > 1 else []), *notes])


def _summary(result: dict[str, Any]) -> str:
    """One row a dataset: int8 beside the best baseline."""
    rows = [["dataset", "int8", "float", "best baseline", "AUROC", "int8 ahead by", "false alarms"]]
    for record in result["datasets"]:
        if "error" in record:
            continue
        methods = record["methods"]
        name, best = next((n, found) for n, found in _ranked(methods) if n not in _OURS)
        int8 = methods["int8"]
        means = [f"{methods[n]['mean']:.3f}" if n in methods else "" for n in ("int8", "float")]
        ahead = f"{int8['mean'] - best['mean']:+.3f}"
        rows.append(
            [record["name"], *means, name, f"{best['mean']:.3f}", ahead, f"{100 * int8['false_alarm_rate']:.1f} %"]
        )
    notes = [
        f"AUROC: the mean over kinds of anomaly and {_seeds(len(result['seeds']))}; worst kind: the least of them.",
        "below 5 % FA: partial AUROC up to 5 % false alarms; 0.5 is a coin, as with AUROC.",
        f"recall, false alarms: at each method's threshold, set on normal windows that it was not fitted to for "
        f"{100 * result['false_alarm_rate']:g} % false alarms.",
        *_stock_notes(result),
        "best baseline: chosen with the anomalies known, which nobody can do in the field.",
    ]
    return "\n".join([table(rows), "", *map(_wrapped, notes)])


def _stock_notes(result: dict[str, Any]) -> list[str]:
    """What the methods of the stock firmware are."""
    if result["frontend"] != "stock":
        return []
    return [
        "int8: a model of ours in Seeed's stock firmware, an alarm where a figure of its console is above or below "
        "what normal windows have; as printed: only below, as in the tutorial; scalogram, field alone: one of the two."
    ]


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _ranked(methods: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(methods.items(), key=lambda pair: -pair[1]["mean"])


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(" ".join(text.split()), WIDTH))
