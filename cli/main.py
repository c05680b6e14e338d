"""`gyrovae-tf`: the commands, and how what goes wrong is told."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from gyrovae_tf import __version__
from gyrovae_tf.errors import GyrovaeError

_COMMANDS = {
    "demo": ("learn", "The whole way on a simulated machine, in a few minutes."),
    "preprocess": ("learn", "Recordings of normal motion -> a dataset of images."),
    "train": ("learn", "A dataset -> a trained VAE."),
    "quantize": ("learn", "A trained VAE -> a calibrated int8 detector."),
    "evaluate": ("learn", "Test recordings -> how well the detector tells them apart."),
    "emit-header": ("deploy", "A detector -> a C header for the firmware."),
    "info": ("deploy", "What a run, a bundle or a .tflite holds."),
}
"""Command -> file in this folder and one line of help: known without importing the command's file."""


class _Commands(click.Group):
    """Commands in the order in which they are used, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"gyrovae_tf.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; whatever a user can mend is told in one or two lines, with status 2."""
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except GyrovaeError as error:
            _fail(str(error))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.ClickException as error:
            _fail(error.format_message())
        except (click.Abort, KeyboardInterrupt):
            _fail("stopped by Ctrl-C; nothing half-written is left behind")
        except BrokenPipeError:
            # Whoever read our output has gone; keep Python from complaining about it once more on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            _fail(f"the file system refused{where}: {error.strerror or error}")
        except MemoryError:
            _fail("not enough memory for this much data")


def _fail(message: str) -> None:
    click.echo(f"gyrovae-tf: {message}", err=True)
    sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gyrovae-tf")
def cli() -> None:
    """From a 3-axis IMU's normal motion to an int8 anomaly detector on an ESP32.

    The usual way: preprocess, train, quantize, evaluate, emit-header. Try it without hardware: gyrovae-tf demo.
    """


if __name__ == "__main__":
    cli()
