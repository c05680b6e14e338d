"""What evaluate and report are given alike: test recordings, normal ones and those of each kind of anomaly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class TestCommand(click.Command):
    """Lets --normal and --anomaly take several values at once, as a shell's pattern gives them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        option = kind = empty = None
        for word in args:
            name, sign, value = word.partition("=")
            if name in ("--normal", "--anomaly"):
                if empty is not None:
                    break
                option, kind, empty = name, None, None if sign else name
                if not sign:
                    continue
                word = value
            elif option is None or word.startswith("-"):
                option = None
                spread.append(word)
                continue
            empty = None
            if option == "--anomaly":
                name, sign, _ = word.partition("=")
                if sign and not any(mark in name for mark in "/\\"):
                    kind = name
                elif kind is not None:
                    # a further file of the kind before it
                    word = f"{kind}={word}"
            spread += [option, word]
        if empty is not None and not ctx.resilient_parsing:
            raise click.BadOptionUsage(empty, f"Option {empty!r} requires a value.", ctx)
        return super().parse_args(ctx, spread)


def test_recordings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `read_options` understands."""
    options = [
        click.option("--normal", multiple=True, metavar="CSV...", help="Normal motion that was not trained on."),
        click.option(
            "--anomaly", multiple=True, metavar="KIND=CSV...", help="Abnormal motion; the kind is yours to name."
        ),
        click.option(
            "--dataset",
            type=click.Path(path_type=Path),
            help="Instead: a folder with meta.json, normal/ and anomaly/<kind>/.",
        ),
        click.option("--hop", type=int, help="Samples from one window to the next.  [default: half a window]"),
        click.option("--rate-hz", type=float, help="Samples a second, for recordings that do not say."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def read_options(normal: tuple[str, ...], anomaly: tuple[str, ...], **rest: Any) -> dict[str, Any]:
    """The options' values in, the arguments of `evaluate` and `report` in the library out."""
    kinds: dict[str, list[str]] = {}
    for word in anomaly:
        kind, sign, name = word.partition("=")
        if not (kind and sign and name):
            raise click.UsageError(f"--anomaly {word}: expected KIND=CSV, as in --anomaly imbalance=fault.csv")
        kinds.setdefault(kind, []).append(name)
    return {"normal": list(normal), "anomalies": kinds, **rest}
