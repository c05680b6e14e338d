"""The command score: a detector and the recordings of a fleet -> a table of scores, and a page that ranks devices."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrovae_tf.errors import GyrovaeError

from .crew import check_crew, scheduler_option
from .progress import progress_bar
from .show import WIDTH, as_json, print_json, say, table

if TYPE_CHECKING:
    from gyrovae_tf.scoring import Scored

_SHOWN = 20
"""Devices and refusals that are listed; the table, the page and --json have them all."""


@click.command(short_help="Recordings of a fleet -> a table of scores, and which device to look at.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("recordings", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The table: its name ends in .parquet or .csv.",
)
@click.option("--summary", type=click.Path(path_type=Path), metavar="HTML", help="Also a page that ranks the devices.")
@click.option("--hop", type=click.IntRange(1), help="Samples from one window to the next.  [default: half a window]")
@click.option("--rate-hz", type=float, help="Samples a second, for recordings that do not say.")
@click.option("--runtime", "kernels", help="Kernels to run the model on.  [default: the device's, where installed]")
@click.option("--jobs", type=click.IntRange(1), help="Processes of this computer.  [default: its cores]")
@scheduler_option
@click.option("--resume", is_flag=True, help="Go on with interrupted work.")
@as_json
def score(
    bundle: Path,
    recordings: tuple[str, ...],
    output: Path,
    summary: Path | None,
    hop: int | None,
    rate_hz: float | None,
    kernels: str | None,
    jobs: int | None,
    scheduler: str | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Score every window of RECORDINGS with the int8 detector in BUNDLE (a bundle or a run).

    RECORDINGS are CSV or Parquet files of any length, folders (with those in them), patterns, or URLs. The table has
    one row a window: recording, segment, start, score (1.0 is the alarm), event, and the top reason. A device is what
    a recording calls "device" in its metadata, else a folder, else a file.

    Work that was interrupted goes on with --resume; a worker that dies costs time only. Parquet, URLs and --scheduler
    need: pip install "gyrovae-tf[scale]".

    Exit status: 0, or 1 when some recordings could not be scored, or 2 when none could.
    """
    check_crew(jobs, scheduler)
    from gyrovae_tf.scoring import score_recordings
    from gyrovae_tf.workers import cores

    if summary is not None:
        from gyrovae_tf.learn.fleetpage import write_fleet_page
        from gyrovae_tf.learn.markup import check_page

        check_page(summary)  # before what takes long
        if summary.resolve() == output.resolve():
            raise click.UsageError(f"--summary and --output are the same file: {summary}")
    try:
        with progress_bar("scoring") as progress:
            done = score_recordings(
                bundle,
                recordings,
                output,
                hop=hop,
                rate_hz=rate_hz,
                kernels=kernels,
                jobs=jobs or cores(),
                scheduler=scheduler,
                resume=resume,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise GyrovaeError(
            "stopped by Ctrl-C", remedy="What is scored is kept: the same command goes on with --resume."
        ) from None
    if summary is not None:
        write_fleet_page(done, summary)
    if as_json:
        print_json({**done.to_dict(), "summary": None if summary is None else str(summary)})
    else:
        click.echo(_text(done))
        say(f"the page: {summary}" if summary is not None else "next: the same with --summary fleet.html")
    if done.refused:
        sys.exit(1)


def _text(done: Scored) -> str:
    from gyrovae_tf.wording import many, one_line
    from gyrovae_tf.wording import score as score_text

    rows = [["device", "", "windows", "alarms", "events", "median", "upper", "trend", "mostly"]]
    for device in done.devices[:_SHOWN]:
        trend = "" if device.trend is None else f"{device.trend:.2f}"
        rows.append([device.name, {"good": "OK", "look": "look", "bad": "events"}[device.status]])
        rows[-1] += [f"{device.windows:,}", f"{100 * device.alarm_rate:.1f} %", f"{device.events:,}"]
        rows[-1] += [score_text(device.median), score_text(device.upper), trend, device.why]
    lines = [table(rows)]
    if len(done.devices) > _SHOWN:
        lines.append(f"and {many(len(done.devices) - _SHOWN, 'more device')}")
    notes = [
        f"{done.path}: {many(done.windows, 'window')} of {many(done.recordings, 'recording')}, "
        f"{many(done.alarms, 'alarm')}; "
        f"{many(done.scored, 'window')} scored in {done.seconds:.1f} s ({done.windows_per_s:,.0f} a second, "
        f"{done.kernels})",
        "upper: what one window in twenty exceeds; trend: the median of the last third over that of the first.",
    ]
    notes += [f"note: {text}" for text in done.notes]
    notes += [f"not scored: {name}: {one_line(reason)}" for name, reason in list(done.refused.items())[:_SHOWN]]
    if len(done.refused) > _SHOWN:
        notes.append(f"and {len(done.refused) - _SHOWN:,} more recordings that could not be scored")
    return "\n".join([*lines, "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))])
