"""The command check: any .tflite, a run or a bundle -> what a target cannot run, or runs slowly."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .show import WIDTH, as_json, print_json, table

if TYPE_CHECKING:
    from gyrovae_tf.lint import Check

_PLACES = 6
"""Places that are shown of one rule; --json has them all."""


@click.command(short_help="What a target cannot run, or runs slowly.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", default="esp32s3", show_default=True, help="The microcontroller to check for.")
@as_json
def check(model: Path, target: str, as_json: bool) -> None:
    """Check MODEL: any .tflite, or a run or a bundle, whose golden windows are run as well.

    Errors: the firmware cannot run it, or computes wrong values. Warnings: slow or risky. Notes: to know. The time is
    an ESTIMATE from published figures, not a measurement.

    Exit status: 0 without errors, 1 with errors, 2 when MODEL cannot be used at all.
    """
    from gyrovae_tf.lint import check

    result = check(model, target)
    if as_json:
        print_json(result.to_dict())
    else:
        click.echo("\n".join(_text(result)))
    if not result.ok:
        sys.exit(1)


def _text(result: Check) -> Iterator[str]:
    from gyrovae_tf.wording import many

    yield from textwrap.wrap(f"target: {result.title}", WIDTH)
    share = f" ({100 * result.accelerated_macs / result.macs:.0f} % accelerated)" if result.macs else ""
    yield f"model: {result.file_bytes:,} bytes, {many(len(result.layers), 'operator')}, {result.macs:,} MACs{share}"
    yield f"weights: {result.weight_bytes:,} bytes"
    arena = f"arena: more than {result.arena_lower_bound_bytes:,} bytes (activations alive at one time)"
    if result.arena is not None:
        arena += f"; reserve {result.arena.suggested_bytes:,}"
    yield from textwrap.wrap(f"{arena}; scratch: up to {result.scratch_bytes:,} (estimate)", WIDTH)
    rows = [["", "operator", "output", "MACs", "weights, B", "activations, B", "accel.", "us", "kernel"]]
    for layer in result.layers:
        rows.append([str(layer.index), layer.op, "x".join(map(str, layer.shape)), f"{layer.macs:,}"])
        rows[-1] += [f"{layer.weight_bytes:,}", f"{layer.activation_bytes:,}", "yes" if layer.accelerated else "no"]
        rows[-1] += [f"{layer.us:,.0f}", layer.kernel]
    yield from ("", table(rows), "")
    estimate = result.estimate
    yield from textwrap.wrap(
        f"time: {estimate.ms:.3g} ms an inference, an ESTIMATE, not a measurement; {100 * estimate.assumed:.0f} % of "
        f"it is assumed. {estimate.method}",
        WIDTH,
    )
    if result.golden is not None:
        yield from ("", f"golden windows: {result.golden.windows} run on {result.golden.kernels}")
    for rule, alike in groupby(result.findings, key=lambda finding: finding.rule):
        places = list(alike)
        yield from ("", f"{places[0].severity}: {rule}")
        for finding in places[:_PLACES]:
            yield from _indented(f"{finding.where}: {finding.what}", "  ")
        if len(places) > _PLACES:
            yield f"  and {len(places) - _PLACES} more places (--json lists all)"
        yield from _indented(f"why: {places[0].why}", "    ")
        yield from _indented(f"do: {places[0].remedy}", "    ")
    yield from _elsewhere(result)
    counts = [len(result.of(severity)) for severity in ("error", "warning", "note")]
    yield ""
    yield ", ".join(many(count, name) for count, name in zip(counts, ("error", "warning", "note"), strict=True))


def _elsewhere(result: Check) -> Iterator[str]:
    """What the errors are for those who have a program of their own."""
    if len(result.obstacles) == len({finding.rule for finding in result.of("error")}):
        return
    own = "a program of your own with TensorFlow Lite Micro"
    if result.obstacles:
        told = f"Of these errors, {own} meets {', '.join(result.obstacles)}; the others are about Gyrovae's firmware."
    else:
        told = f"These errors are about Gyrovae's firmware: nothing is known here that keeps {own} from the model."
    yield from ("", *textwrap.wrap(told, WIDTH))


def _indented(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
