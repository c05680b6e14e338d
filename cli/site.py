"""The command that sets a device's threshold where it is mounted: calibrate."""

from __future__ import annotations

from collections.abc import Callable

import click

from gyrovae_tf.device.stopping import ENDING, stopped_by

from .progress import progress_bar
from .show import as_json, print_json, say


@click.command(short_help="A device on its machine -> a threshold for that place.")
@click.option("--port", metavar="PORT|URL", required=True, help="As for collect.")
@click.option("--baud", type=click.IntRange(1), default=115200, show_default=True, help="As the firmware has it.")
@click.option("--minutes", type=click.IntRange(1, 1440), default=5, show_default=True, help="Of normal motion.")
@click.option("--forget", is_flag=True, help="Go back to the detector's own threshold.")
@as_json
def calibrate(port: str, baud: int, minutes: int, forget: bool, as_json: bool) -> None:
    """Let a device set its threshold for the place where it is, while the machine runs as it normally does.

    Another mounting, floor or machine of the same kind moves the scores of normal motion. The device collects them,
    puts its threshold as far above them as the detector's own was above those it was made with, and keeps it over
    a boot, for that detector only. Whatever runs meanwhile is taken for normal: do it on a machine that you trust.
    """
    from gyrovae_tf.device import onsite

    if forget:
        banner = onsite.forget(port, baud=baud)
    else:
        words: dict[str, None] = {}  # each once, and when no bar is in the way any more
        try:
            with stopped_by(*ENDING) as stopped, progress_bar() as move:
                moved = _moved(move)
                banner = onsite.calibrate(
                    port, minutes=minutes, baud=baud, progress=moved, told=words.setdefault, stop=stopped
                )
        finally:
            for word in words:
                click.echo(word, err=True)
    if as_json:
        print_json({"port": port, "threshold": banner.threshold, "windows": banner.site_windows, "spec": banner.spec})
    elif forget:
        click.echo(f"{port}: the detector's own threshold again, {banner.threshold:g}")
    else:
        click.echo(f"{port}: threshold {banner.threshold:g}, from {banner.site_windows} windows; kept by the device")
        say("the detector's own is 1; gyrovae-tf calibrate --forget goes back to it")


def _moved(move: Callable[[int, int, str], None] | None) -> Callable[[int, int], None] | None:
    return None if move is None else lambda done, total: move(done, total, "scores of normal motion")
