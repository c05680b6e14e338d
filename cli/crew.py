"""Who does the work, as several commands are told alike: processes of this computer, or a Dask scheduler's workers."""

from __future__ import annotations

import click

scheduler_option = click.option(
    "--scheduler", metavar="URL", help="Instead: the workers of a Dask scheduler, tcp://HOST:PORT."
)


def check_crew(jobs: int | None, scheduler: str | None) -> None:
    """Refuse both at once."""
    if jobs is not None and scheduler is not None:
        raise click.UsageError("give either --jobs or --scheduler")
