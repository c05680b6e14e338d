"""The command report: a run as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .progress import progress_bar
from .show import as_json, print_json, say
from .tested import TestCommand, read_options, test_recordings


@click.command(cls=TestCommand, short_help="A run -> one HTML page about it.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page."
)
@test_recordings
@as_json
def report(run: Path, output: Path, as_json: bool, **tested: Any) -> None:
    """Write what there is to know about the detector in RUN as one HTML file that needs no network.

    Without recordings, normal motion is what the training held back, and computed changes of it stand in for faults.
    """
    recordings = read_options(**tested)
    with progress_bar() as progress:
        from gyrovae_tf.learn import report as library

        made = library.report(run, output, progress=progress, **recordings)
    if as_json:
        print_json(made.to_dict())
        return
    verdict = made.summary["verdict"]
    click.echo(f"{verdict['headline']}\n" + "\n".join(f"- {point['text']}" for point in verdict["points"]))
    click.echo(f"{output}: all figures, for a browser")
    for step in verdict["steps"]:
        say(f"next: {step}")
