"""Signals in, a question out: has somebody asked to stop? So that nothing is torn in the middle."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a service manager sends."""


@contextlib.contextmanager
def stopped_by(*kinds: signal.Signals) -> Iterator[Callable[[], bool]]:
    """Yield whether one of these signals has come. A second one does what the signal did before.

    Outside the main thread, which alone may catch signals, they go on doing that.
    """
    came = False
    before: dict[signal.Signals, Any] = {}

    def note(_kind: int, _frame: object) -> None:
        nonlocal came
        came = True
        for each, handler in before.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():
        for kind in kinds:
            before[kind] = signal.signal(kind, note)
    try:
        yield lambda: came
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
