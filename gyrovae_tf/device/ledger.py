"""Rows of a stream in, lines of a recording's file out, and what else is known of a collection as its metadata."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import Any

from gyrovae_tf.device.journal import Journal
from gyrovae_tf.device.sequence import Row
from gyrovae_tf.device.stream import Stream
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

_NEAR = 0.005  # a measured rate is told as the nominal one where it is that near to it
_LEAST_STEPS = 100  # to measure a rate with
_FIRST_NOTE_S, _NOTE_S = 5.0, 30.0  # when facts are written down: after a kill, the latest are there
_RECENT = 4096


class Ledger:
    """What is kept of a stream, and what is known of it."""

    def __init__(self, stream: Stream, journal: Journal, label: str | None) -> None:
        """`GyrovaeError` where the file that is continued bears another label."""
        self._stream, self._journal, self._label = stream, journal, label
        self._earlier = [] if journal.earlier is None else collected_of(journal.earlier)
        if journal.earlier is not None and label is not None and journal.earlier.metadata.get("label") != label:
            raise GyrovaeError(
                f"{journal.path} bears another label",
                expected=journal.earlier.metadata.get("label"),
                received=label,
                remedy="Collect into another file.",
            )
        self.kept = self.duplicates = self.clipped = self.reconnects = 0
        self.recent: deque[Row] = deque(maxlen=_RECENT)
        """The latest rows."""
        self._first_segment = journal.segment + 1
        self._begun = False
        self._lines: list[str] = []  # until the first line of the file is known
        self._texts: dict[float, str] = {}
        self._last: tuple[float, float, float] | None = None
        self._note_at = math.inf

    @property
    def segments(self) -> int:
        """How many there are of this collection."""
        return self._journal.segment + 1 - self._first_segment

    def keep(self, rows: list[Row]) -> None:
        """Turn rows into lines of the file."""
        self.recent.extend(rows)
        banner, texts, segment = self._stream.banner, self._texts, self._journal.segment
        lsb, (least, most) = (1.0, (-math.inf, math.inf)) if banner is None else (banner.lsb, banner.counts)
        lines = []
        for begins, x, y, z in rows:
            if banner is None:
                line = f"{x!r},{y!r},{z!r},"
            else:
                for value in (x, y, z):
                    if value not in texts:
                        texts[value] = repr(value * lsb)  # the shortest text that reads back equal
                line = f"{texts[x]},{texts[y]},{texts[z]},"
            if begins:
                segment += 1
            elif (x, y, z) == self._last:
                self.duplicates += 1
            self._last = (x, y, z)
            if x <= least or y <= least or z <= least or x >= most or y >= most or z >= most:
                self.clipped += 1
            lines.append(f"{line}{segment}\n")
        self._journal.segment = segment
        self.kept += len(rows)
        if self._begun:
            self._journal.add(lines)
        else:
            self._lines += lines

    def write(self, now: float, *, final: bool = False) -> None:
        """Put what is due on the disk; `final`: all there is, for good."""
        if not self._begun and self._lines and (final or self._known()):
            head = self._head()
            if self._journal.earlier is not None:
                _check_continued(self._journal.earlier, head)
            self._journal.begin(head)
            self._journal.add(self._lines)
            self._lines, self._begun, self._note_at = [], True, now + _FIRST_NOTE_S
        if self._begun:
            if now >= self._note_at:
                self._note_at = now + _NOTE_S
                self.note(self.facts())
            self._journal.sync(now, force=final)

    def note(self, facts: dict[str, Any]) -> None:
        """Add these facts to the file, in the place of those before."""
        rate = self._rate()
        self._journal.note(({} if rate is None else {"rate_hz": rate}) | {"collected": [*self._earlier, facts]})

    def facts(self) -> dict[str, Any]:
        """What is known of this collection besides its samples."""
        stream, tally = self._stream, self._stream.tally
        lines = stream.lines
        return {
            "first_segment": self._first_segment,
            "samples": self.kept,
            "seconds": tally.steps.total_us / 1e6,
            "measured_rate_hz": tally.steps.rate_hz,
            "steps": tally.steps.count,
            "steps_us": tally.steps.total_us,
            "jitter_us": tally.steps.jitter_us,
            "largest_step_us": tally.steps.largest_us,
            "gaps": tally.gaps,
            "lost": tally.lost,
            "repeated": tally.repeated,
            "late": tally.late,
            "too_late": tally.too_late,
            "stray": tally.stray,
            "pauses": tally.pauses,
            "unclaimed": stream.unclaimed,
            "reboots": stream.reboots,
            "reconnects": self.reconnects,
            "bad_lines": lines.damaged,
            **dataclasses.asdict(lines),
        }

    def _known(self) -> bool:
        """Whether the first line can be written: the stock firmware does not say its rate."""
        return self._stream.banner is not None or self._stream.tally.steps.count >= _LEAST_STEPS

    def _head(self) -> dict[str, Any]:
        banner, rate = self._stream.banner, self._rate()
        head: dict[str, Any] = {} if rate is None else {"rate_hz": rate}
        if banner is None:
            head |= {"units": "m/s^2", "protocol": "stock"}
        else:
            head |= {"units": banner.units, "lsb": banner.lsb, "counts": list(banner.counts), "sensor": banner.sensor}
            head |= {"nominal_rate_hz": banner.rate_hz, "protocol": "gyrovae", "firmware": banner.firmware}
            head |= {} if banner.spec is None else {"spec": banner.spec}
        return head | ({} if self._label is None else {"label": self._label})

    def _rate(self) -> float | None:
        """The rate to be told: the nominal one, unless the measured one (over all collections) is another."""
        now, banner = self._stream.tally.steps, self._stream.banner
        steps = now.count + sum(int(one.get("steps", 0)) for one in self._earlier)
        total_us = now.total_us + sum(int(one.get("steps_us", 0)) for one in self._earlier)
        nominal = 1e6 / now.usual_us if banner is None else banner.rate_hz
        if banner is not None and steps < _LEAST_STEPS:
            return nominal
        if not total_us:
            return None
        measured = 1e6 * steps / total_us
        # Half a per cent is nothing to a detector, and recordings of one sensor should have one rate.
        return nominal if abs(measured - nominal) <= _NEAR * nominal else float(f"{measured:.6g}")


def collected_of(recording: Recording) -> list[dict[str, Any]]:
    """The facts of each collection that a recording's file holds."""
    found = recording.metadata.get("collected")
    return list(found) if isinstance(found, list) else []


def _check_continued(earlier: Recording, head: dict[str, Any]) -> None:
    """Refuse to append what has another scale, rate or sensor than the file."""
    told: dict[str, object] = {"units": earlier.units, "lsb": earlier.lsb}
    told |= {name: earlier.metadata.get(name) for name in ("sensor", "protocol", "nominal_rate_hz", "counts")}
    for name, before in told.items():
        if head.get(name) != before:
            raise GyrovaeError(
                f"{earlier.source} was collected with another {name}",
                expected=before,
                received=head.get(name),
                remedy="Collect into another file.",
            )
