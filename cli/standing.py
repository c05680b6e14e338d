"""One line on standard error that shows how a collection stands, for as long as somebody is looking."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .progress import Screen

if TYPE_CHECKING:
    from gyrovae_tf.device.collect import Progress
    from gyrovae_tf.device.sequence import Row

_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_MOST_BINS, _LEAST_BINS = 12, 3
_BIN_S = 0.25


@contextmanager
def live_line() -> Iterator[Callable[[Progress], None] | None]:
    """Yield what shows a collection's progress; None when nobody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    screen = Screen(sys.stderr)
    try:
        _BLOCKS.encode(sys.stderr.encoding)
        signs = _BLOCKS
    except UnicodeEncodeError:
        signs = _ASCII

    def show(progress: Progress) -> None:
        screen.draw(line(progress, shutil.get_terminal_size().columns - 1, signs))

    try:
        yield show
    finally:
        screen.keep()


def line(progress: Progress, columns: int, signs: str = _BLOCKS) -> str:
    """How a collection stands, in at most `columns` characters; what does not fit is left out from the end.

    The axes are drawn all or none: they get shorter where the line is narrow, as that of a terminal of 80 columns is.
    """
    parts = [f"{progress.samples:,} samples {progress.seconds:.1f} s"]
    if progress.waiting is not None:
        parts.insert(0, progress.waiting)
    if progress.rate_hz is not None:
        parts.append(f"{progress.rate_hz:.5g} Hz")
    parts.append(f"lost {progress.lost:,} gaps {progress.gaps:,}")
    parts.append(f"dup {progress.duplicates / max(progress.samples, 1):.0%} clip {progress.clipped:,}")
    if progress.damaged:
        parts.append(f"damaged {progress.damaged:,}")
    text = ""
    for part in parts:
        longer = f"{text}  {part}" if text else part
        if len(longer) > max(columns, 20):
            return text
        text = longer
    bins = min((columns - len(text) - len("  x y z")) // 3, _MOST_BINS)
    if bins < _LEAST_BINS:
        return text
    size = max(2, round((progress.rate_hz or 100) * _BIN_S))
    axes = (name + sparkline(progress.recent, axis, size, bins, signs) for axis, name in enumerate("xyz", start=1))
    return f"{text}  {' '.join(axes)}"


def sparkline(rows: Sequence[Row], axis: int, size: int, bins: int, signs: str = _BLOCKS) -> str:
    """How strongly an axis (1 to 3) moved lately: peak to peak in each `size` rows, over the largest of them."""
    latest = [row[axis] for row in list(rows)[-size * bins :]]
    spans = []
    for start in range(len(latest) % size, len(latest), size):
        piece = latest[start : start + size]
        spans.append(max(piece) - min(piece))
    top = max(spans, default=0.0)
    marks = (signs[1 + round((len(signs) - 2) * span / top)] if top else signs[1] for span in spans)
    return "".join(marks).rjust(bins)
