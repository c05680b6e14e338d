"""What is known of a device that is monitored, for those who show it: a terminal, a web page."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
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

    def __call__(self, decision: Decision) -> None:
        """Remember a decision."""
        with self.lock:
            self._remember(decision)

    def _remember(self, decision: Decision) -> None:
        self.latest = decision
        self.history.append((decision.window, decision.time, decision.score, decision.alarm, decision.event))
        if decision.begins:
            if self.events and self.events[-1].ended is None:  # the device was gone when it was over
                self.events[-1].ended = decision.time
            self.events.append(Spell(decision.time, decision.window, decision.score, decision.words))
        if not self.events or self.events[-1].ended is not None:
            return
        current = self.events[-1]
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
