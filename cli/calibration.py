"""What a detector is calibrated for, as several commands are told alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--false-alarm-rate", type=float, help="Share of normal windows that may be alarms.  [default: 0.01]"),
    click.option("--false-alarms-per-day", type=float, help="Instead: false events a day, after voting."),
    click.option(
        "--vote", nargs=2, type=int, help="K N: an event is K alarms of N.  [default: 3 5, or chosen for the day]"
    ),
    click.option(
        "--tilt", is_flag=True, help="Let orientation and slow acceleration count, for vehicles and transport."
    ),
)


def calibration_options(command: _Command) -> _Command:
    """A command in, the same with these options out."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
