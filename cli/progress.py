"""A progress bar on standard error, for as long as somebody is looking."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

_LABEL = 26  # columns for the stage's name
_BESIDE = 70  # columns for all but the bar: stage, per cent, time, and a note such as a loss
_LEAST_BAR, _LONGEST_BAR = 10, 30


@dataclass
class _Stage:
    """One bar: what is done in it, out of how much, since when."""

    name: str
    total: int
    began: float
    """When the stage before it ended."""
    first: int
    """What was done at its first report (a resumed training begins in the middle); the time left is judged from it."""
    first_at: float
    done: int
    note: str = ""

    def line(self, now: float, columns: int, *, over: bool) -> str:
        """The bar as one line of at most `columns` characters: name, bar, per cent, time left (or taken), note."""
        share = min(max(self.done / max(self.total, 1), 0.0), 1.0)
        gained = self.done - self.first
        if over:
            clock = f"took {_clock(now - self.began)}"
        elif gained > 0:
            clock = f"{_clock((now - self.first_at) * (self.total - self.done) / gained)} left"
        else:
            clock = ""
        name = self.name if len(self.name) <= _LABEL else self.name[: _LABEL - 3] + "..."
        width = min(max(columns - _BESIDE, _LEAST_BAR), _LONGEST_BAR)
        full = int(share * width)
        bar = f"{name:<{_LABEL}} [{'#' * full}{'-' * (width - full)}] {int(100 * share):3} %"
        return f"{bar}  {clock}  {self.note}".rstrip()[:columns]


def _clock(seconds: float) -> str:
    """Seconds in, minutes and seconds (and hours where there are any) out, as in 1:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Screen:
    """Redraws one line at the foot of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0

    def draw(self, line: str) -> None:
        """Put this line in the place of the one drawn before."""
        # Blanks rather than an escape sequence: consoles that know none show nothing strange.
        self._stream.write("\r" + line.ljust(self._drawn))
        self._stream.flush()
        self._drawn = len(line)

    def clear(self) -> None:
        self.draw("")
        self._stream.write("\r")
        self._stream.flush()

    def keep(self) -> None:
        """Leave the line where it is and go on below it."""
        self._stream.write("\n")
        self._stream.flush()
        self._drawn = 0


@contextmanager
def progress_bar(name: str | None = None) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield a function (done, total, what) that moves a bar on standard error; None when nobody is looking.

    A new bar begins whenever `total` changes or `done` does not rise. It bears the first `what` it is given, or `name`;
    another `what` later on is shown behind it.
    """
    if not sys.stderr.isatty():
        yield None
        return
    screen = Screen(sys.stderr)
    stage: _Stage | None = None
    began = time.monotonic()

    def show(*, over: bool = False) -> None:
        if stage is not None:
            columns = max(shutil.get_terminal_size().columns - 1, 20)
            screen.draw(stage.line(time.monotonic(), columns, over=over))

    def move(done: int, total: int, what: str) -> None:
        nonlocal stage, began
        now = time.monotonic()
        if stage is None or total != stage.total or done <= stage.done:
            if stage is not None:
                screen.keep()
            stage = _Stage(name or what, total, began, done, now, done)
        stage.done, stage.note, began = done, "" if what == stage.name else what, now
        show(over=done >= total)

    screen.draw("starting ...")
    try:
        yield move
    finally:
        if stage is None:
            screen.clear()
        else:
            show(over=True)
            screen.keep()
