"""Numbers of the command line that must be numbers: click takes nan for one within any range."""

from __future__ import annotations

import math
from typing import Any

import click


class Amount(click.FloatRange):
    """A range without nan and without an infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text in, the number out; refuses what is no finite number within the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
