"""What preprocess, quantize, emit-header and evaluate do and print for Seeed's stock firmware."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrovae_tf.errors import GyrovaeError

from .progress import progress_bar
from .show import WIDTH, command, print_json, say, table

if TYPE_CHECKING:
    from gyrovae_tf.learn.stock_console import Console
    from gyrovae_tf.stockbundle import Band
    from gyrovae_tf.stockspec import StockConstants

FIT = "fit"


def refuse(given: dict[str, Any], why: str) -> None:
    """Refuse options (by their name in Python) that were given and mean nothing here."""
    for name, value in given.items():
        if value is not None and value is not False and value != ():  # 0 was given
            raise click.UsageError(f"--{name.replace('_', '-')}: {why}")


def constants(given: str | None) -> StockConstants | str | None:
    """The word fit, or a JSON file with some of the firmware's constants, in; what the library takes out."""
    if given is None or given == FIT:
        return given
    from gyrovae_tf.stockspec import StockConstants

    try:
        return StockConstants.from_dict(json.loads(Path(given).read_bytes()))
    except OSError as error:
        raise GyrovaeError(f"cannot read {given}: {error.strerror}", expected=f'"{FIT}" or a JSON file') from None
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"{given} is not JSON: {error}") from None


def preprocess(
    recordings: tuple[str, ...],
    output: Path,
    dataset: Path | None,
    stock_constants: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """`preprocess --frontend stock`."""
    refuse({"lsb": options.pop("lsb")}, "the stock firmware computes in m/s^2")
    if options["window"] not in (None, 256):
        raise click.UsageError("--window: the stock firmware's windows are of 256 samples")
    del options["window"]
    given = constants(stock_constants)
    if given is not None:
        options["constants"] = given
    with progress_bar() as progress:
        from gyrovae_tf.learn import stock_data as library

        made = library.stock_preprocess(recordings, output, dataset=dataset, progress=progress, **options)
    from gyrovae_tf.stockheader import edits

    spec, lines = made.spec, edits(made.spec.constants)
    if as_json:
        print_json(
            {
                "dataset": str(output),
                "frontend": "stock",
                "train_windows": len(made.train_windows),
                "validation_windows": len(made.validation_windows),
                "window": spec.window,
                "hop": made.hop,
                "rate_hz": spec.rate_hz,
                "input_scale": spec.input_scale,
                "margin": made.margin,
                "spec_digest": spec.digest,
                "edits": lines,
                "notes": list(made.notes),
            }
        )
        return
    click.echo(
        f"{output}: {len(made.train_windows):,} windows to train on and {len(made.validation_windows):,} held back, "
        f"for Seeed's stock firmware;\nthe model's input is in steps of {spec.input_scale:g}: "
        f"int8 holds {made.margin:.1f} times the largest pixel of these windows"
    )
    for text in made.notes:
        click.echo(f"note: {text}")
    _edits(lines)
    say(f"next: {command('train', output, '-o', 'run')}")


def quantize(run: Path, as_json: bool, mode: str, **options: Any) -> None:
    """`quantize` of a run on the stock front end."""
    if mode == "qat":
        raise click.UsageError("--mode qat: a model for the stock firmware is quantised after training (ptq)")
    why = "not for the stock firmware, whose console prints two figures a window and no more"
    refuse({name: options.pop(name) for name in ("tilt", "false_alarms_per_day")}, why)
    with progress_bar() as progress:
        from gyrovae_tf.learn import stock_quantize as library
        from gyrovae_tf.learn.quantize import BUNDLE

        bundle = library.stock_quantize(run, progress=progress, **options)
    from gyrovae_tf.wording import expected_events, figure

    folder, metrics = run / BUNDLE, bundle.metrics
    if as_json:
        print_json(
            {
                "bundle": str(folder),
                "frontend": "stock",
                "bytes": len(bundle.model),
                "macs": metrics["macs"],
                "calibration": bundle.calibration.to_dict(),
                "console": [vars(band) for band in bundle.calibration.console],
                **{name: metrics[name] for name in ("mode", "runtime", "threshold", "trust", "vote", "int8")},
                "arena": None if bundle.arena is None else bundle.arena.to_dict(),
            }
        )
        return
    tail, trust, vote = metrics["threshold"], metrics["trust"], metrics["vote"]
    first, second = bundle.calibration.console
    click.echo(
        f"{folder}: {len(bundle.model) / 1024:.1f} KiB, {metrics['macs']:,} multiply-accumulates a window\n"
        f"operators: {', '.join(bundle.ops)}\n"
        f'the console prints "Predict results: a b"; an alarm is\n{_levels("a", first)} (scalogram), or '
        f"{_levels('b', second)} (field)\n"
        f"that is {figure(100 * tail['rate'])} % of {tail['windows']:,} normal windows that were held back; for more "
        f"time of the same kind\nbetween {figure(100 * tail['rate_low'])} % and {figure(100 * tail['rate_high'])} %\n"
        f"{expected_events(vote)}"
    )
    for text in (*trust["warnings"], *vote["warnings"], *([trust["note"]] if trust["note"] else [])):
        click.echo(f"note: {text}")
    say(
        f"next: {command('evaluate', run)} --normal ... --anomaly KIND=...\n"
        f"then: {command('emit-header', run, '--flavour', 'stock')}"
    )


def emit_header(run: Path, output: Path, as_json: bool) -> None:
    """`emit-header --flavour stock`."""
    from gyrovae_tf import stockheader
    from gyrovae_tf.stockbundle import StockBundle

    text = stockheader.stock_header(run, output)
    bundle = StockBundle.load(run)
    lines = stockheader.edits(bundle.spec.constants)
    if as_json:
        print_json(
            {
                "header": str(output),
                "bytes": len(text.encode()),
                "flavour": "stock",
                "model_bytes": len(bundle.model),
                "console": [vars(band) for band in bundle.calibration.console],
                "edits": lines,
            }
        )
        return
    click.echo(f"{output}: the model as {stockheader.ARRAY}, {len(bundle.model):,} bytes")
    _edits(lines)
    say(
        f"next: put it in the place of {stockheader.NAME} in examples/gyro_anomaly_detection_nn/main of "
        "sscma-example-esp32, and build that again\n"
        f"then: {command('monitor', '--port', '/dev/ttyACM0', '--model', run)}"
    )


def console_notes(console: Console) -> str:
    """What the console prints on each kind of motion, as text."""
    rows = [["motion", "first figure", "too low", "too high", "second figure", "too low", "too high"]]
    for kind, found in console.motion.items():
        rows.append([kind])
        for image in console.bands:
            rows[-1] += [f"{found.middle_db[image] - (console.row_db if image == 'scalogram' else 0):.2f}"]
            rows[-1] += [f"{100 * share[image]:.1f} %" for share in (found.too_low, found.too_high)]
    first, second = console.bands.values()
    notes = [
        f'What the stock firmware\'s console prints ("Predict results: a b", dB, the middle window): an alarm is '
        f"{_levels('a', first)}, or {_levels('b', second)}.",
        "The first figure counts a row of the scalogram of which a quarter is undefined on the device; "
        f"{console.row_db:.2f} dB are allowed for it here. If it reads far lower on a healthy machine, "
        "go by the second alone.",
    ]
    wrapped = {kind: found.wrapped for kind, found in console.motion.items() if found.wrapped > 0}
    if wrapped:
        told = ", ".join(f"{100 * share:.1f} % of {kind}" for kind, share in wrapped.items())
        notes.append(f"Pixels wrapped around in int8, as they will on the device, in {told}.")
    return "\n".join([table(rows), "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))])


def _levels(letter: str, band: Band) -> str:
    return f"{letter} <= {band.low_db:.2f} or {letter} >= {band.high_db:.2f}"


def _edits(lines: list[str]) -> None:
    """What has to be edited in the firmware, where anything has."""
    if lines:
        click.echo("in the firmware's app_main.cpp, put these lines in the place of its own:")
        click.echo("\n".join(lines))
