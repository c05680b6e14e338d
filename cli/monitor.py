"""The command that watches a machine through a device: monitor."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gyrovae_tf.device.stopping import ENDING, stopped_by
from gyrovae_tf.errors import GyrovaeError

from .amount import Amount

if TYPE_CHECKING:
    from gyrovae_tf.device.monitor import Decision
    from gyrovae_tf.device.watched import Watched

_FILE = click.Path(path_type=Path)


@click.command(short_help="A device -> live verdicts, alarms and a page for browsers.")
@click.option(
    "--port", metavar="PORT|URL", required=True, help="As for collect: COM3, /dev/ttyACM0, socket://HOST:PORT."
)
@click.option("--baud", type=click.IntRange(1), default=115200, show_default=True, help="As the firmware has it.")
@click.option("--model", type=_FILE, metavar="RUN", help="Decide on this computer, with this run or bundle.")
@click.option("--on-device", is_flag=True, help="The device decides; --model is only compared with its detector.")
@click.option("--hop", type=click.IntRange(1), help="Samples from one window to the next.  [default: a window]")
@click.option("--threshold", type=float, default=1.0, show_default=True, help="The score that is an alarm.")
@click.option("--second-alone", is_flag=True, help="Stock firmware: leave out the first figure, where it is spoilt.")
@click.option("--seconds", type=Amount(0, min_open=True), help="End after so many seconds.")
@click.option("--windows", type=click.IntRange(1), help="End after so many windows.")
@click.option("--log", type=_FILE, metavar="JSONL", help="Append each verdict to this file, a JSON object a line.")
@click.option("--exec", "execute", metavar="CMD", help="Run this when an event begins; it gets the verdict as JSON.")
@click.option("--exec-shell", is_flag=True, help="Give --exec to the shell: for pipes, variables, several commands.")
@click.option(
    "--exec-timeout",
    type=Amount(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds; then it is ended.",
)
@click.option(
    "--mqtt", metavar="URL", envvar="GYROVAE_MQTT", help="Publish events: mqtt://USER:PASSWORD@HOST:PORT/TOPIC."
)
@click.option("--web", type=click.IntRange(0, 65535), metavar="PORT", help="A page for browsers on this computer.")
@click.option("--web-bind", metavar="ADDRESS", default="127.0.0.1", help="For other computers; needs --web-token.")
@click.option(
    "--web-token",
    metavar="TOKEN",
    envvar="GYROVAE_WEB_TOKEN",
    help="What a browser must give: ?token=TOKEN. Or GYROVAE_WEB_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def monitor(
    *,
    port: str,
    baud: int,
    model: Path | None,
    on_device: bool,
    seconds: float | None,
    windows: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Watch a machine: the verdicts of a device's own detector, or, with --model, of the same one on this computer.

    A verdict a window: a score, of which 1 is the alarm, and what makes it high. Several alarms among the latest
    windows are an event. Ctrl-C ends it.

    Seeed's stock firmware prints figures without an alarm ("Predict results: a b"). With --model, a run that was
    preprocessed with --frontend stock, they are judged here by its levels; in its sampling mode, its samples are.
    """
    from gyrovae_tf.device.monitor import Monitor
    from gyrovae_tf.device.watch import Line, watch
    from gyrovae_tf.device.watched import Watched

    detector = None
    if model is not None:
        from gyrovae_tf.shards import detector_of

        detector = detector_of(model)
    elif on_device is False and (options["hop"] is not None or options["threshold"] != 1.0):
        raise click.UsageError("--hop and --threshold are for --model: a device has its own")
    settings = {name: options[name] for name in ("hop", "threshold", "second_alone")}
    core = Monitor(detector, on_device=on_device or None, **settings)
    watched = Watched(core, port, "" if model is None else str(model))
    listeners: list[Any] = []
    try:
        with contextlib.ExitStack() as stack:
            listeners += _listeners(watched, stack, **options)
            line = stack.enter_context(contextlib.closing(Line(port, baud)))
            stopped = stack.enter_context(stopped_by(*ENDING))
            output = _Output(watched, as_json=as_json)
            stack.callback(output.close)
            watch(
                watched,
                line,
                listeners=listeners,
                told=output.told,
                decided=output.decided,
                tick=output.tick,
                stop=stopped,
                seconds=seconds,
                windows=windows,
            )
    except BrokenPipeError:  # who read along has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except GyrovaeError:
        if core.made:  # what was seen before is worth telling
            _sum_up(watched, listeners)
        raise
    _sum_up(watched, listeners)


def _sum_up(watched: Watched, listeners: list[Any]) -> None:
    """Tell what was not told yet, and what it came to."""
    for one in [watched.monitor, *listeners]:  # some of it came up while they were closed
        for note in one.notes():
            click.echo(note, err=True)
    click.echo(watched.summary(), err=True)


def _listeners(
    watched: Watched,
    stack: contextlib.ExitStack,
    *,
    log: Path | None,
    execute: str | None,
    exec_shell: bool,
    exec_timeout: float,
    mqtt: str | None,
    web: int | None,
    web_bind: str,
    web_token: str | None,
    **_rest: Any,
) -> list[Any]:
    """Who wants the decisions."""
    from gyrovae_tf.device.alarm import Command, Log, Mqtt

    made: list[Any] = []
    if web is not None:
        from gyrovae_tf.device.web import Page

        page = Page(watched, web, bind=web_bind, token=web_token)
        made.append(page)
        click.echo(f"a page for browsers: {page.url}" + ("" if web_token is None else "?token=..."), err=True)
    elif web_bind != "127.0.0.1":
        raise click.UsageError("--web-bind is for --web PORT")
    elif click.get_current_context().get_parameter_source("web_token") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--web-token is for --web PORT")
    if log is not None:
        made.append(Log(log))
    if execute is not None:
        made.append(Command(execute, shell=exec_shell, timeout_s=exec_timeout))
    elif exec_shell:
        raise click.UsageError("--exec-shell is for --exec CMD")
    if mqtt is not None:
        made.append(Mqtt(mqtt))
    for one in made:
        stack.callback(one.close)
    return made


class _Output:
    """Where verdicts and notes go: a view where somebody looks, else lines."""

    def __init__(self, watched: Watched, *, as_json: bool) -> None:
        from .live import View

        self._json = as_json
        shown = sys.stdout.isatty() and not as_json and os.environ.get("TERM") != "dumb"
        self._view = View(sys.stdout, watched) if shown else None

    def decided(self, decision: Decision) -> None:
        """Print a decision; in the view only an event's beginning stays."""
        from .live import line_for

        if self._view is not None:
            if decision.begins:
                self._view.say(line_for(decision))
        elif self._json:
            from gyrovae_tf.device.alarm import line_of

            click.echo(line_of(decision))
        else:
            click.echo(line_for(decision))

    def told(self, text: str) -> None:
        """Tell a person."""
        if self._view is not None:
            self._view.say(f"{time.strftime('%H:%M:%S')}  {text}")
        else:
            click.echo(text, err=True)

    def tick(self) -> None:
        """Draw the view, if it is time to."""
        if self._view is not None:
            self._view.draw(time.monotonic())

    def close(self) -> None:
        """Draw the last state, and leave it there."""
        if self._view is not None:
            self._view.draw(time.monotonic(), at_once=True)
            self._view.close()
            self._view = None
