"""Signals in, a question out: has somebody asked to stop? So that nothing is torn in the middle."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a service manager sends."""
_ONE_S = 0.3  # the command timeout sends a signal twice, to the process and to its group: that is one question


@contextlib.contextmanager
def stopped_by(*kinds: signal.Signals) -> Iterator[Callable[[], bool]]:
    """Yield whether one of these signals has come. A later one does what the signal did before.

    Outside the main thread, which alone may catch signals, they go on doing that.
    """
    came: float | None = None
    before: dict[signal.Signals, Any] = {}

    def note(kind: int, _frame: object) -> None:
        nonlocal came
        if came is None:
            came = time.monotonic()
        elif time.monotonic() - came >= _ONE_S:
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.raise_signal(kind)

    if threading.current_thread() is threading.main_thread():
        for kind in kinds:
            before[kind] = signal.signal(kind, note)
    try:
        yield lambda: came is not None
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
