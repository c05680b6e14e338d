"""`gyrovae-tf`: the commands, and how what goes wrong is told."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any

import click

from gyrovae_tf import __version__
from gyrovae_tf.errors import GyrovaeError

# TensorFlow imports Keras 3 besides the Keras 2 that is used here, a second or two, unless it is told that it need not.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_COMMANDS = {
    "demo": ("learn", "The whole way on a simulated machine, in a few minutes."),
    "simulate": ("device", "A pretend device, to try everything without hardware."),
    "collect": ("device", "A device's samples -> a recording, judged."),
    "preprocess": ("learn", "Recordings of normal motion -> a dataset of images."),
    "train": ("learn", "A dataset -> a trained VAE."),
    "quantize": ("learn", "A trained VAE -> a calibrated int8 detector."),
    "export": ("learn", "A trained VAE -> a .tflite of another precision, to compare."),
    "evaluate": ("measure", "Test recordings -> how well the detector tells them apart."),
    "score": ("score", "Recordings of a fleet -> a table of scores, and which device to look at."),
    "fleet": ("fleet", "A table of recordings -> a detector for each device or group, and which to look at."),
    "benchmark": ("measure", "Real recordings -> the detector beside simple baselines."),
    "report": ("report", "A detector -> one HTML page: does it work, what does it miss, why."),
    "emit-header": ("deploy", "A detector -> a C header for the firmware."),
    "check": ("check", "Any .tflite, run or bundle -> what its target cannot run, or runs slowly."),
    "flash-image": ("deploy", "A detector -> an image for the device's flash."),
    "monitor": ("monitor", "A device -> live verdicts, alarms and a page for browsers."),
    "calibrate": ("site", "A device on its machine -> a threshold for that place."),
    "info": ("deploy", "What a run, a bundle or a .tflite holds."),
}
"""Command -> file in this folder and one line of help: known without importing the command's file."""


class _Commands(click.Group):
    """Commands in the order in which they are used, each imported when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f".{_COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; of one that is misspelt, the nearest is told as click does it for options."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, 1) if args else []
            if near and not args[0].startswith("-"):
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C becomes one line (click would put an empty one in front of it)."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, ImportError) as error:
            if not _stopped(error):
                raise
            raise GyrovaeError("stopped by Ctrl-C; nothing half-written is left behind") from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; whatever a user can mend is told in one or two lines, with status 2."""
        # Closed ones are None: what is said then is said to nobody.
        sys.stdout, sys.stderr = (stream or io.StringIO() for stream in (sys.stdout, sys.stderr))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A file name that the terminal's encoding lacks is no reason to fail.
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except GyrovaeError as error:
            remedy = error.remedy or ""
            _fail(str(error).removesuffix(remedy), remedy)
        except click.ClickException as error:
            if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # none before click 8.2
                error.show()
                sys.exit(2)
            context = error.ctx if isinstance(error, click.UsageError) else None
            _fail(_plain(error.format_message()), f"Help: {context.command_path} --help" if context else "")
        except click.Abort as error:
            if not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            _fail("stopped by Ctrl-C")
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            _fail(f"the file system refused{where}: {error.strerror or error}")
        except MemoryError:
            _fail("not enough memory for this much data")


def _stopped(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: native code that is being imported tells of another one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _plain(text: str) -> str:
    """What click says of an option in, the same without the names that programmers have for numbers out."""
    for theirs, ours in (("valid integer", "whole number"), ("valid float", "number")):
        text = text.replace(f"is not a {theirs} range.", f"is not a {ours}.").replace(f"a {theirs}.", f"a {ours}.")
    return text


def _fail(problem: str, remedy: str = "") -> None:
    """Tell what is wrong, and below it what to do, in one line each, and exit with status 2."""
    click.echo("gyrovae-tf: " + " ".join(problem.split()), err=True)
    if remedy:
        click.echo(" ".join(remedy.split()), err=True)
    _drop_output()
    sys.exit(2)


def _drop_output() -> None:
    """Forget what could not be written to standard output: on exit Python would try, and complain, once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gyrovae-tf")
def cli() -> None:
    """From a 3-axis IMU's normal motion to an int8 anomaly detector on an ESP32.

    The usual way: preprocess, train, quantize, evaluate, emit-header. Try it without hardware: gyrovae-tf demo.
    """


if __name__ == "__main__":
    cli()
