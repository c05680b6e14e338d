"""The terminal's view of a monitored device: score against threshold over time, reasons, counters."""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, TextIO

from gyrovae_tf.wording import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gyrovae_tf.device.monitor import Decision
    from gyrovae_tf.device.watched import Watched

_ROWS = 8
_LABEL = 7  # columns for the scale
_LEAST_S = 0.1  # between two drawings
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = " #"
_LARGEST = 1e9
_RED, _GREEN, _YELLOW, _DIM, _END = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def plot(
    points: list[tuple[float, bool]], threshold: float, width: int, *, colour: bool = False, plain: bool = False
) -> list[str]:
    """Scores with whether each is an alarm in; rows of a bar chart with a logarithmic scale out, the top row first.

    Each row has `width` columns, of which the first ones are the scale; the newest score is on the right. The scale
    goes from an eighth of the threshold to four times it, or as high as the scores do.
    """
    places = max(width - _LABEL - 1, 1)
    shown = points[-places:]
    blocks = _PLAIN_BLOCKS if plain else _BLOCKS
    finite = [min(value, _LARGEST) for value, _ in shown if math.isfinite(value)]
    low, high = threshold / 8, max([4 * threshold, *finite])
    eighths = len(blocks) - 1

    def height(value: float) -> int:
        """In blocks' steps; what is no number reaches the top."""
        if not math.isfinite(value):
            return _ROWS * eighths
        inside = min(max(value, low), high)
        return max(round(_ROWS * eighths * math.log(inside / low) / math.log(high / low)), 1)

    heights = [height(value) for value, _ in shown]
    line = max(height(threshold) - 1, 0) // eighths
    rows = []
    for row in reversed(range(_ROWS)):
        at = low * (high / low) ** ((row + 0.5) / _ROWS)
        label = f"{threshold:.2f}" if row == line else f"{at:.3g}" if row in (0, _ROWS - 1) else ""
        empty = ("-" if plain else "─") if row == line else " "
        cells = []
        for tall, (_, alarm) in zip(heights, shown, strict=True):
            cell = blocks[min(max(tall - row * eighths, 0), eighths)]
            if cell == " ":
                cells.append(("", empty))
            else:
                cells.append((_RED if alarm else _GREEN, cell))
        axis = "|" if plain else "┤"
        bars = _joined(cells, colour=colour)
        rows.append(f"{label[:_LABEL]:>{_LABEL}}{axis}" + empty * (places - len(shown)) + bars)
    return rows


def _joined(cells: list[tuple[str, str]], *, colour: bool) -> str:
    """Characters, each with its colour or none, in; text that changes colour as seldom as it can out."""
    text = ""
    for shade, run in itertools.groupby(cells, key=lambda cell: cell[0]):
        plain = "".join(character for _, character in run)
        text += f"{shade}{plain}{_END}" if colour and shade else plain
    return text


def _clock(decision: Decision) -> str:
    return time.strftime("%H:%M:%S", time.localtime(decision.time))


def line_for(decision: Decision) -> str:
    """A decision in, one plain line for it out."""
    clock = _clock(decision)
    verdict = "EVENT" if decision.event else "alarm" if decision.alarm else "normal"
    number = score(decision.score, 3, decision.threshold)
    text = f"{clock}  window {decision.window}  score {number}  threshold {decision.threshold:.3f}  {verdict}"
    return text + (f"  {decision.seen}" if decision.seen else "")


class View:
    """A part of a terminal that is drawn again and again; what is said stays above it."""

    def __init__(self, stream: TextIO, watched: Watched) -> None:
        self._stream, self._watched = stream, watched
        self._colour = not os.environ.get("NO_COLOR")
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        self._plain = not encoding.startswith("utf")
        self._shown: list[str] = []
        self._at = -math.inf

    def draw(self, now: float, *, at_once: bool = False) -> None:
        """Draw it, unless that was done just now."""
        if now - self._at < _LEAST_S and not at_once:
            return
        self._at = now
        columns, height = shutil.get_terminal_size()
        lines = [_cut(line, columns - 1) for line in self.lines(columns - 1)][: max(height - 1, 1)]
        if lines != self._shown:
            self._write(lines)

    def say(self, text: str) -> None:
        """A line above the view, which stays."""
        self._write([])
        self._stream.write("".join(c if c.isprintable() else "?" for c in text) + "\n")
        self._stream.flush()
        self._at = -math.inf

    def close(self) -> None:
        """Leave the view where it is."""
        self._stream.flush()
        self._shown = []

    def _write(self, lines: list[str]) -> None:
        up = f"\x1b[{len(self._shown)}A" if self._shown else ""
        self._stream.write(up + "\r\x1b[J" + "".join(line + "\n" for line in lines))
        self._stream.flush()
        self._shown = lines

    def lines(self, width: int) -> list[str]:
        """The view, line by line."""
        watched = self._watched
        monitor, latest = watched.monitor, watched.latest
        who = f"{watched.model} on this computer" if monitor.source == "host" else "the device decides"
        lines = [self._painted(_DIM, f"{watched.port}: {who}; Ctrl-C ends it")]
        seen = "-"
        if not watched.connected:
            lines.append(self._painted(_YELLOW, f"not connected: the port is waited for{_last(latest)}"))
        elif latest is None:
            lines.append("no verdict yet")
        elif (silent_s := watched.silent_s) is not None:
            lines.append(self._painted(_YELLOW, f"no verdict for {silent_s:.0f} s{_last(latest)}"))
        else:
            seen = _fitting(latest.words or [latest.seen], width) or "-"
            colour = _RED if latest.alarm or latest.event else _GREEN
            word = "EVENT" if latest.event else "alarm" if latest.alarm else "normal"
            numbers = f"score {score(latest.score, 2, latest.threshold)}, threshold {latest.threshold:.2f}"
            lines.append(f"{self._painted(colour, f'{word:6}')}  {numbers}")
        points = [(value, alarm) for _, _, value, alarm, _ in watched.history]
        lines += plot(points, monitor.threshold, width, colour=self._colour, plain=self._plain)
        return [*lines, seen, *self._counts(width)]

    def _counts(self, width: int) -> list[str]:
        from gyrovae_tf.wording import many

        watched = self._watched
        monitor, counters = watched.monitor, watched.counters()
        rate = "rate not known yet" if monitor.rate_hz is None else f"{monitor.rate_hz:.1f} samples/s"
        if "results" in counters:
            rate = many(counters["results"], "result")
        parts = [rate, *(many(counters[f"{name}s"], name) for name in ("window", "alarm", "event"))]
        if "gaps" in counters:
            parts.append(f"{counters['lost']:,} lost in {many(counters['gaps'], 'gap')}")
            parts += [f"{counters[name]:,} {text}" for name, text in _SELDOM.items() if counters.get(name)]
        else:
            parts += [f"{counters[name]:,} {text}" for name, text in _SELDOM_DEVICE.items() if counters.get(name)]
        latest = watched.latest
        if latest is not None and latest.source == "device":
            told = (("front end", latest.frontend_us), ("model", latest.inference_us), ("score", latest.score_us))
            parts.append("device: " + ", ".join(f"{name} {(us or 0) / 1000:.1f} ms" for name, us in told))
        lines = [""]
        for part in parts:
            longer = f"{lines[-1]}, {part}" if lines[-1] else part
            if len(longer) > width and lines[-1]:
                lines.append(part)
            else:
                lines[-1] = longer
        return [self._painted(_DIM, line) for line in lines]

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_END}" if self._colour else text


def _last(latest: Decision | None) -> str:
    """What was decided last says nothing of now: when that was."""
    return "" if latest is None else f"; last: window {latest.window} at {_clock(latest)}"


def _fitting(reasons: Sequence[str], width: int) -> str:
    """Reasons on one line, of at most `width` columns; dots for what is left out: a cut figure would be another one."""
    for count in range(len(reasons), 0, -1):
        line = "; ".join([*reasons[:count], *["..."] * (count < len(reasons))])
        if len(line) <= width:
            return line
    return "..."


_SELDOM_DEVICE = {"lost_windows": "verdicts lost", "bad_lines": "bad lines", "boots": "boots"}
_SELDOM = {"late": "too late", "repeated": "came twice", "bad_lines": "bad lines", "boots": "boots"}
"""Counters that are shown once they are not 0."""


def _cut(text: str, width: int) -> str:
    """Text of at most `width` columns; escape sequences take none, and stay."""
    out, used = [], 0
    for part in re.split(f"({_ESCAPE.pattern})", text):
        if _ESCAPE.fullmatch(part):
            out.append(part)
        else:
            out.append("".join(c if c.isprintable() else "?" for c in part[: max(width - used, 0)]))
            used += len(out[-1])
    return "".join(out)
