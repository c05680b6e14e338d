"""What is known of a device that is monitored, for those who show it: a terminal, a web page."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gyrovae_tf.device.monitor import Decision, Monitor
from gyrovae_tf.device.wire import Counts
from gyrovae_tf.wording import many

HISTORY = 2000
"""Decisions that are remembered."""
_EVENTS = 50


@dataclass
class Spell:
    """One event, from the window with which it began."""

    began: float
    """Unix seconds."""
    window: int
    peak: float
    """The highest score so far."""
    reasons: tuple[str, ...]
    """Of that window, in words."""
    ended: float | None = None
    """When it was over, or, where a long pause followed, when it was last seen."""
    lasted_s: float = 0.0
    """So far, or until then; by a clock that nobody sets."""


@dataclass
class Watched:
    """A monitor and what has come of it so far; called with each decision."""

    monitor: Monitor
    port: str
    model: str = ""
    """Name of the model that was given."""
    lines: Counts = field(default_factory=Counts)
    connected: bool = False
    latest: Decision | None = None
    history: deque[tuple[int, float, float, bool, bool]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """Window, time, score, alarm and event of the latest decisions."""
    events: deque[Spell] = field(default_factory=lambda: deque(maxlen=_EVENTS))
    """The latest events."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the three above change; for those who read them in another thread."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that nobody sets."""
    _at: float = 0.0  # by it, when the latest decision came
    _began: float = 0.0  # and the latest event

    def __call__(self, decision: Decision) -> None:
        """Remember a decision."""
        with self.lock:
            self._remember(decision)

    @property
    def age_s(self) -> float | None:
        """Seconds since the latest decision; None before the first."""
        return None if self.latest is None else self.clock() - self._at

    @property
    def silent_s(self) -> float | None:
        """The same where a decision is overdue, else None: what was decided last says nothing of now."""
        age = self.age_s
        return None if age is None or age <= self.monitor.patience_s else age

    def spells(self) -> list[Spell]:
        """The latest events, the latest first: one of which nothing was heard for long ended when it was last seen."""
        found = [replace(spell) for spell in reversed(self.events)]
        age = self.age_s
        if found and found[0].ended is None and age is not None and age > self.monitor.pause_s:
            assert self.latest is not None
            found[0].ended = self.latest.time
        return found

    def _remember(self, decision: Decision) -> None:
        before, self.latest, self._at = self.latest, decision, self.clock()
        self.history.append((decision.window, decision.time, decision.score, decision.alarm, decision.event))
        if before is not None and self.events and self.events[-1].ended is None:
            paused = abs(decision.time - before.time) > self.monitor.pause_s
            if decision.begins or (paused and not decision.event):  # nobody knows of the time between
                self.events[-1].ended = before.time
        if decision.begins:
            self._began = self._at
            self.events.append(Spell(decision.time, decision.window, decision.score, decision.words))
        if not self.events or self.events[-1].ended is not None:
            return
        current = self.events[-1]
        current.lasted_s = self._at - self._began
        if not decision.event:
            current.ended = decision.time
        elif decision.score > current.peak:
            current.peak, current.reasons = decision.score, decision.words

    def counters(self) -> dict[str, Any]:
        """What was counted so far, by name, JSON-ready."""
        monitor, traffic = self.monitor, self.monitor.traffic
        found: dict[str, Any] = {"windows": monitor.made, "alarms": monitor.alarms, "events": monitor.events}
        if traffic.results:
            found["results"] = traffic.results
        elif monitor.source == "host":
            names = ("samples", "lost", "gaps", "late", "repeated")
            found |= {name: getattr(traffic, name) for name in names}
        else:
            found["lost_windows"] = monitor.lost_windows
        return found | {"bad_lines": self.lines.damaged, "boots": traffic.boots, "connections": traffic.connections}

    def summary(self) -> str:
        """One line for the end."""
        monitor, traffic = self.monitor, self.monitor.traffic
        parts = [many(monitor.made, "window"), many(monitor.alarms, "alarm"), many(monitor.events, "event")]
        if traffic.results:
            parts.append(f"{many(traffic.results, 'result')} printed")
        elif monitor.source == "host":
            parts.append(f"{many(traffic.samples, 'sample')}, {traffic.lost:,} lost in {many(traffic.gaps, 'gap')}")
        elif monitor.lost_windows:
            parts.append(f"{many(monitor.lost_windows, 'verdict')} lost")
        if traffic.boots:
            parts.append(many(traffic.boots, "boot"))
        if traffic.connections > 1:
            parts.append(f"connected {traffic.connections} times")
        return "; ".join([", ".join(parts[:3]), *parts[3:]])
