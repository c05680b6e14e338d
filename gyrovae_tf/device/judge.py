"""A recording in, whether it is good enough to train on out, and if not, why and what to do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import instance, whole
from gyrovae_tf.recording import Recording
from gyrovae_tf.spec import AXES, check_window
from gyrovae_tf.wording import many

HOP_SHARE = 4
"""Windows are counted a quarter of one apart, as `preprocess` takes them."""
_FEW_WINDOWS = 25  # the fewest of one stretch that `preprocess` takes: 16 to train on, 6 held back, 3 between them
_MS_VARIANCE = 0.25e6  # us^2 at most, of times in whole milliseconds
# Shares from which something is told, and from which a recording is refused.
_HELD = (0.02, 0.2)
_CLIPPED = (0.001, 0.05)
_RATE_OFF = (0.05, 0.25)
_JITTER = (0.1, 0.5)
_LOST = (0.01, math.inf)
_BAD_LINES = (0.01, math.inf)


@dataclass(frozen=True)
class Flaw:
    """Something that is wrong with a recording."""

    name: str
    """still, duplicates, clipping, rate, jitter, lost, lines or windows."""
    refused: bool
    """Whether it must not be trained on; else only something to know."""
    reason: str
    remedy: str


@dataclass(frozen=True)
class Judgement:
    """What a recording is like. None: nothing in it says so."""

    samples: int
    duration_s: float | None
    """Samples over rate; gaps do not count."""
    rate_hz: float | None
    """Samples a second, as windows are to be understood."""
    nominal_rate_hz: float | None
    """What the device said of itself."""
    rate_error: float | None
    """Measured over nominal rate, less 1."""
    jitter: float | None
    """Standard deviation of the time from sample to sample, over its mean."""
    gaps: int
    """Places that no window crosses."""
    lost: int | None
    """Samples that are missing there."""
    duplicates: float
    """Share of samples that equal the one before on all axes."""
    held: float
    """Share that a sensor repeats having nothing new: duplicates, less those that coarse steps make by chance."""
    clipped: float | None
    """Share of samples at an end of the sensor's range, on any axis."""
    still_axes: tuple[str, ...]
    """Axes that never change."""
    window: int
    windows: int
    """Windows of `window` samples, a quarter of one apart, that lie within segments."""
    flaws: tuple[Flaw, ...]

    @property
    def good(self) -> bool:
        """Whether it can be trained on."""
        return not any(flaw.refused for flaw in self.flaws)

    @property
    def enough(self) -> bool:
        """Whether there are as many windows as training needs."""
        return not any(flaw.name == "windows" for flaw in self.flaws)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**dataclasses.asdict(self), "good": self.good, "enough": self.enough}


def count_windows(recording: Recording, window: int) -> int:
    """Windows of so many samples, a quarter of one apart, that lie within a recording's segments."""
    hop = window // HOP_SHARE
    return sum(max(0, (stop - start - window) // hop + 1) for start, stop in recording.segments)


def judge(recording: Recording, *, window: int = 256, earlier: int = 0) -> Judgement:
    """A recording in, its `Judgement` out. Rate and losses are known where `collect` recorded it.

    `earlier`: windows of the file that it continues, which count where they are to be enough to train on.
    """
    recording, window = instance(recording, "this cannot be judged", Recording), check_window(window)
    earlier = whole(earlier, "the number of earlier windows is not usable", 0)
    samples, rate = recording.samples, recording.rate_hz
    sessions = _sessions(recording.metadata)
    measured, jitter = _timing(sessions, whole_ms=recording.metadata.get("protocol") == "stock")
    nominal = recording.metadata.get("nominal_rate_hz")
    nominal = float(nominal) if isinstance(nominal, (int, float)) else None
    same = np.zeros((len(samples), 3), bool)
    same[1:] = samples[1:] == samples[:-1]
    same[[start for start, _ in recording.segments]] = False
    steps = max(1, len(samples) - len(recording.segments))
    lines = _total(sessions, "lines")
    made = Judgement(
        samples=len(samples),
        duration_s=recording.duration_s,
        rate_hz=rate,
        nominal_rate_hz=nominal,
        rate_error=measured / nominal - 1 if measured and nominal else None,
        jitter=jitter,
        gaps=len(recording.segments) - 1,
        lost=None if not sessions or recording.metadata.get("protocol") == "stock" else _total(sessions, "lost"),
        duplicates=float(same.all(axis=1).sum()) / steps,
        held=_held(same.sum(axis=0) / steps, float(same.all(axis=1).sum()) / steps),
        clipped=_clipped(recording),
        still_axes=tuple(AXES[i] for i in np.flatnonzero(np.ptp(samples, axis=0) == 0)),
        window=window,
        windows=count_windows(recording, window),
        flaws=(),
    )
    bad = _total(sessions, "bad_lines") / max(1, lines)
    return dataclasses.replace(made, flaws=tuple(_flaws(made, bad, earlier, recording)))


def _sessions(metadata: Mapping[str, object]) -> list[Mapping[str, Any]]:
    found = metadata.get("collected")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _total(sessions: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(session.get(name) or 0) for session in sessions)


def _timing(sessions: Sequence[Mapping[str, Any]], *, whole_ms: bool) -> tuple[float | None, float | None]:
    """Rate in Hz as measured by the device's clock, and jitter as a share of a step."""
    steps, total_us = _total(sessions, "steps"), _total(sessions, "steps_us")
    if not (steps and total_us):
        return None, None
    variance = sum(int(s.get("steps") or 0) * float(s.get("jitter_us") or 0) ** 2 for s in sessions) / steps
    if whole_ms:
        variance = max(0.0, variance - _MS_VARIANCE)
    return 1e6 * steps / total_us, math.sqrt(variance) * steps / total_us


def _clipped(recording: Recording) -> float | None:
    counts, lsb = recording.metadata.get("counts"), recording.lsb
    if lsb is None or not (isinstance(counts, (list, tuple)) and len(counts) == 2):
        return None
    found = np.rint(recording.samples / lsb)
    return float(((found <= counts[0]) | (found >= counts[1])).any(axis=1).mean())


def _held(axis_same: NDArray[np.float64], all_same: float) -> float:
    """Shares of steps without a change, on each axis and on all, in; the share at which the sensor had nothing new out.

    Were h that share and q_i what coarse steps leave unchanged on axis i else, all would stay with
    h + (1 - h) q_x q_y q_z and axis i with h + (1 - h) q_i. Solved for h by bisection.
    """
    low, high = 0.0, all_same
    for _ in range(60):
        h = (low + high) / 2
        by_chance = np.prod((axis_same - h) / (1 - h)) if h < 1 else 0.0
        low, high = (h, high) if h + (1 - h) * by_chance < all_same else (low, h)
    return 0.0 if high < 1e-6 else high


def _flaws(made: Judgement, bad_lines: float, earlier: int, recording: Recording) -> Iterator[Flaw]:
    def flaw(name: str, share: float, limits: tuple[float, float], reason: str, remedy: str) -> Iterator[Flaw]:
        if share > limits[0]:
            yield Flaw(name, share > limits[1], reason, remedy)

    if made.still_axes:
        stuck = made.still_axes == AXES
        axes = " and ".join(made.still_axes)
        never = f"axis {axes} never changes" if len(made.still_axes) == 1 else f"axes {axes} never change"
        which = "nothing moves" if stuck else never
        remedy = "Check the sensor and its wiring" + (", and record while the machine runs." if stuck else ".")
        yield Flaw("still", True, f"{which}: every sample reads the same", remedy)
    else:
        fresh = f", so it gives about {(1 - made.held) * made.rate_hz:.3g} values a second" if made.rate_hz else ""
        yield from flaw(
            "duplicates",
            made.held,
            _HELD,
            f"{_percent(made.duplicates)} of the samples repeat the one before: the sensor is read more often than it "
            f"measures{fresh}",
            "Set the sensor's output rate to that at which it is read, or read it by its data-ready signal or FIFO.",
        )
    if made.clipped is not None:
        yield from flaw(
            "clipping",
            made.clipped,
            _CLIPPED,
            f"{_percent(made.clipped)} of the samples are at the end of the sensor's range",
            "Set a larger range of the sensor.",
        )
    if made.rate_error is not None and made.nominal_rate_hz is not None:
        measured = made.nominal_rate_hz * (1 + made.rate_error)
        yield from flaw(
            "rate",
            abs(made.rate_error),
            _RATE_OFF,
            f"the samples come at {measured:.5g} Hz, the device says {made.nominal_rate_hz:g} Hz",
            "Set the sensor's rate to what the firmware says, or the other way round; check that it keeps up.",
        )
    if made.jitter is not None:
        yield from flaw(
            "jitter",
            made.jitter,
            _JITTER,
            f"the time from sample to sample varies by {_percent(made.jitter)}",
            "Take samples by the sensor's data-ready signal or FIFO, not by a timer of the firmware.",
        )
    if made.lost is not None:
        yield from flaw(
            "lost",
            made.lost / (made.samples + made.lost),
            _LOST,
            *_loss(made.lost, made.lost / (made.samples + made.lost), _sessions(recording.metadata)),
        )
    yield from flaw(
        "lines",
        bad_lines,
        _BAD_LINES,
        f"{_percent(bad_lines)} of the lines came damaged",
        "Check the cable, the ground, and that the baud rate is the device's.",
    )
    if not made.windows or made.windows + earlier < _FEW_WINDOWS:
        longest = max(stop - start for start, stop in recording.segments)
        none = f"no stretch without a gap is as long as a window of {made.window} samples (the longest: {longest})"
        it = "with this the file" if earlier else "it"
        few = f"{it} gives only {many(made.windows + earlier, 'window')} of {made.window} samples, too few to train on"
        leaky = made.lost is not None and made.lost > _LOST[0] * made.samples
        remedy = "Record longer, or go on with --append." if made.windows else "Record longer."
        remedy = "Mend what loses samples, then record longer." if leaky else remedy
        yield Flaw("windows", not made.windows, few if made.windows else none, remedy)


def _loss(lost: int, share: float, sessions: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What is said of lost samples, and what to do: a cable that was pulled out is no slow one."""
    were = f"{many(lost, 'sample')} {'was' if lost == 1 else 'were'} lost"
    part = f"({_percent(share)})"
    slow = "a higher baud rate or a shorter cable, and close other programs that keep this computer busy."
    breaks, gaps = _total(sessions, "reconnects"), _total(sessions, "gaps")
    if not breaks:
        return f"{were} on the way {part}", f"Use {slow}"
    told = f"while the device was unplugged or its port gone: {many(breaks, 'reconnection')}"
    hold = "See that plug and cable sit firmly, and that nothing switches the port off."
    if gaps <= breaks:
        return f"{were} {part} {told}", hold
    return f"{were} {part}, some of them {told}", f"{hold} For the rest use {slow}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
