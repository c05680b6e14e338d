"""Recordings of normal motion and a length in, a portion of that length out, taken from everywhere in them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

PIECE = 4
"""Windows that a piece of the timeline is long."""


def length_s(recordings: Sequence[Recording], window: int) -> float:
    """Recordings of one known rate and a window's samples in; seconds in stretches that hold a window out."""
    return sum(stop - start for _, start, stop in _pieces(recordings, window)) / _rate(recordings)


def portion(recordings: Sequence[Recording], seconds: float, window: int) -> list[Recording]:
    """Recordings of one known rate, a length and a window's samples in; about that much of them out.

    Each stretch without a gap is divided into equal pieces of about four windows (a shorter stretch is a piece of its
    own; one shorter than a window is left out), and as many pieces as fill the length are taken at equal distances
    along the timeline of all recordings: so short portions, too, touch the machine's speeds and loads. Pieces that
    touch are joined; others lie in segments of their own, so no window crosses from one into the next. `GyrovaeError`
    when there is less than that.
    """
    pieces, whole = _pieces(recordings, window), length_s(recordings, window)
    if not 0 < seconds <= whole:
        raise GyrovaeError(
            "the recordings are shorter than the portion of them",
            expected=f"at most {whole:.0f} s",
            received=f"{seconds:.0f} s",
        )
    number = min(max(round(seconds / whole * len(pieces)), 1), len(pieces))
    chosen = [pieces[int((place + 0.5) * len(pieces) / number)] for place in range(number)]
    portions = []
    for index, recording in enumerate(recordings):
        ranges: list[tuple[int, int]] = []
        starts = {start for start, _ in recording.segments}
        for _, start, stop in (piece for piece in chosen if piece[0] == index):
            if ranges and ranges[-1][1] == start and start not in starts:
                start, _ = ranges.pop()
            ranges.append((start, stop))
        if ranges:
            borders = [0, *np.cumsum([stop - start for start, stop in ranges]).tolist()]
            samples = np.concatenate([recording.samples[start:stop] for start, stop in ranges])
            segments = tuple(itertools.pairwise(borders))
            portions.append(dataclasses.replace(recording, samples=samples, segments=segments))
    return portions


def _pieces(recordings: Sequence[Recording], window: int) -> list[tuple[int, int, int]]:
    """(recording, first row, end) of every piece, in order."""
    pieces = []
    for index, recording in enumerate(recordings):
        for start, stop in recording.segments:
            if stop - start >= window:
                number = max((stop - start) // (PIECE * window), 1)
                borders = [start + (stop - start) * place // number for place in range(number + 1)]
                pieces += [(index, first, end) for first, end in itertools.pairwise(borders)]
    return pieces


def _rate(recordings: Sequence[Recording]) -> float:
    rate = recordings[0].rate_hz if recordings else None
    if rate is None:
        raise GyrovaeError("no recording with a known rate", expected="at least one")
    return rate
