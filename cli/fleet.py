"""The command fleet: a table of recordings -> a detector for each device or group, and which device to look at."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.wording import one_line, some

from .calibration import calibration_options
from .crew import check_crew, scheduler_option
from .progress import progress_bar
from .show import WIDTH, as_json, print_json, say, table

if TYPE_CHECKING:
    from gyrovae_tf.learn.fleet import Fleet

_SHOWN = 20
"""Devices and refusals that are listed; the page and --json have them all."""


@click.command(short_help="A table of recordings -> a detector a device, and which device to look at.")
@click.argument("recordings", type=click.Path(path_type=Path), metavar="TABLE")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The fleet's folder.")
@click.option(
    "--by", type=click.Choice(("device", "group")), help="What gets a model.  [default: group, if there are any]"
)
@click.option("--window", type=int, help="Samples in a window, a multiple of 32.  [default: 256]")
@click.option("--hop", type=int, help="Samples from one window to the next.  [default: a quarter of the window]")
@click.option("--rate-hz", type=float, help="Samples a second, for recordings that do not say.")
@click.option("--lsb", type=float, help="Units a count of the sensor, for recordings that do not say.")
@click.option("--epochs", type=int, help="At the most; 100 steps each.  [default: 40]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of every random draw.  [default: 0]")
@click.option(
    "--mode", type=click.Choice(("best", "ptq", "qat")), default="best", show_default=True, help="How to quantise."
)
@calibration_options
@click.option("--reports", is_flag=True, help="Also a report of each model.")
@click.option(
    "--drop-datasets",
    is_flag=True,
    help="Keep no datasets (some 10 MB a quarter of an hour): report and quantize need them.",
)
@click.option("--jobs", type=click.IntRange(1), help="Models side by side.  [default: this computer's cores]")
@scheduler_option
@click.option("--resume", is_flag=True, help="Keep the models that are there, and make the others.")
@click.option("--overwrite", is_flag=True, help="Make all models anew.")
@as_json
def fleet(
    recordings: Path,
    output: Path,
    epochs: int | None,
    seed: int | None,
    drop_datasets: bool,
    jobs: int | None,
    scheduler: str | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Preprocess, train and quantise a detector for each device or group in TABLE, and rank the devices.

    TABLE is a CSV file with a header and the columns device and recording; where wanted also group and part. A
    recording is a file (seen from the table's folder), a folder, a pattern in quotes or not, or a URL; a device may
    have several rows. The part train (so it is where nothing is said) is normal motion to learn from; the part score is
    scored with the finished detector. Of a device without it, what its model held back is scored instead.

    \b
        device,group,recording,part
        fan 1,fans,fan1/normal_*.csv,train
        fan 1,fans,fan1/today.csv,score

    The folder holds fleet.html, a page for browsers; fleet.json; and a run a model in models/, for every other command.
    A model that cannot be made, of too few data or a dead sensor, is told and stops no other.

    Exit status: 0, or 1 when some models could not be made or some recordings not be scored.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    check_crew(jobs, scheduler)
    try:
        with progress_bar("models") as progress:
            from gyrovae_tf.learn import fleet as library
            from gyrovae_tf.learn.options import Options
            from gyrovae_tf.workers import cores

            given = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
            done = library.fleet(
                recordings,
                output,
                options=Options(**given),
                keep_datasets=not drop_datasets,
                jobs=jobs or cores(),
                scheduler=scheduler,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
                **settings,
            )
    except KeyboardInterrupt:
        raise GyrovaeError(
            "stopped by Ctrl-C", remedy="Models that are made are kept: the same command goes on with --resume."
        ) from None
    if as_json:
        print_json(done.to_dict())
    else:
        click.echo(_text(done))
        say(f"next: open {done.path / library.PAGE}")
    if done.failed or done.unscored:
        sys.exit(1)


def _text(done: Fleet) -> str:
    rows = [["device", "", "model", "motion", "windows", "alarms", "events", "upper", "trend", "mostly"]]
    for one in done.devices[:_SHOWN]:
        rows.append([one.name, "OK" if one.need == "good" else one.need, one.model.name, *[""] * 7])
        if one.judged is not None:
            figures = one.judged.figures
            trend = "" if figures.trend is None else f"{figures.trend:.2f}"
            rows[-1][3:] = ["held back" if one.judged.held_back else "scored", f"{figures.windows:,}"]
            rows[-1] += [f"{100 * figures.alarm_rate:.1f} %", f"{figures.events:,}", f"{figures.upper:.2f}", trend]
            rows[-1].append(figures.why)
    lines = [table(rows)]
    if len(done.devices) > _SHOWN:
        lines.append(f"and {len(done.devices) - _SHOWN:,} more devices")
    there = sum(not model.failed for model in done.models)
    kept = f", {there - done.made:,} already there" if there > done.made else ""
    speed = f" in {done.seconds:.0f} s ({done.models_per_h:,.0f} an hour)" if done.made else ""
    notes = [
        f"{done.path}: a model a {done.by}; {done.made:,} made{speed}{kept}, {len(done.failed):,} could not be made.",
        "upper: what one window in twenty exceeds; trend: the median of the last third over that of the first; held "
        "back: normal motion that the model was not trained on.",
    ]
    notes += [f"no model for {name}: {why}" for name, why in list(done.failed.items())[:_SHOWN]]
    notes += [f"not scored: {name}: {one_line(why)}" for name, why in list(done.unscored.items())[:_SHOWN]]
    doubted = [model for model in done.models if model.doubts]
    notes += [f"{model.name}: {' '.join(model.doubts)}" for model in doubted[:_SHOWN]]
    hidden = sum(max(len(listed) - _SHOWN, 0) for listed in (done.failed, done.unscored, doubted))
    if hidden:
        notes.append(f"and {hidden:,} more notes: see the page")
    if done.stale:
        folders = some(done.stale, _SHOWN)
        notes.append(f"in {done.path / 'models'} from before, and of no model above: {folders}")
    if done.unused:
        notes.append(f"columns of the table that mean nothing here: {', '.join(done.unused)}")
    return "\n".join([*lines, "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))])
