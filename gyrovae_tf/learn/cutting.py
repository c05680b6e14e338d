"""Recordings in, windows out: cut where there is no gap, and divided into some to train on and some to hold back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording, too_short
from gyrovae_tf.signal import frontend

_BLOCKS = 8  # parts of the timeline, each with its own training and validation stretch
_LEAST_BLOCK = 24  # windows, a quarter of one apart
_LEAST_TRAIN, _LEAST_VALIDATION = 16, 4
_LOST = 0.1  # of the samples: so many are told


class Segmented(Protocol):
    """What is known of a recording before its samples are read."""

    @property
    def segments(self) -> Sequence[tuple[int, int]]:
        """Half-open row ranges without a gap inside, in order, covering all rows."""

    def __len__(self) -> int: ...


def divided(
    recordings: Sequence[Segmented], window: int, hop: int, validation_share: float, left_out: str = ""
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Recordings in; the origins [k, 2] of their windows, which to hold back, and which to train on, out.

    They depend on the recordings' segments alone, and take some tens of bytes a window. `GyrovaeError` when there are
    too few of either, which also says what was `left_out` of the recordings.
    """
    origins = _origins(recordings, window, hop)
    held_back, training = _split(origins, segments_of(origins, recordings), window, hop, validation_share)
    if training.sum() < _LEAST_TRAIN or held_back.sum() < _LEAST_VALIDATION:
        total = sum(len(recording) for recording in recordings)
        longer = f"Record longer, or choose a smaller --window or --hop (now {window} and {hop})."
        raise GyrovaeError(
            f"too few samples: {total} give {int(training.sum())} windows of {window} to train on and "
            f"{int(held_back.sum())} to hold back",
            expected=f"at least {_LEAST_TRAIN} and {_LEAST_VALIDATION}",
            remedy=" ".join(filter(None, (left_out, lost_to_gaps(recordings, window), longer))),
        )
    return origins, held_back, training


def lost_to_gaps(recordings: Sequence[Segmented], window: int) -> str:
    """Recordings in, what is to be said where many of their samples are in no window, as these span no gap, out.

    Empty where they are few.
    """
    lengths = np.array([stop - start for recording in recordings for start, stop in recording.segments])
    share = float(lengths[lengths < window].sum() / max(lengths.sum(), 1))
    if share < _LOST:
        return ""
    return (
        f"{100 * share:.0f} % of the samples are in no window, as they lie in stretches without a gap of fewer than "
        f"{window}: of {len(lengths)} stretches the longest has {int(lengths.max())}. Gaps are where times repeat, go "
        "back or jump, where segments change, and between files."
    )


def cut(
    recordings: Sequence[Recording], *, window: int, hop: int, lsb: float
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Recordings in; int16 windows [k, window, 3] and their origins [k, 2] (recording, first row) out.

    No window crosses a gap. `GyrovaeError` when not a single window fits.
    """
    origins = _origins(recordings, window, hop)
    windows = np.empty((len(origins), window, 3), np.int16)
    _fill(windows, recordings, origins, lambda samples: frontend.to_counts(samples, lsb))
    return windows, origins


def cut_samples(
    recordings: Sequence[Recording], *, window: int, hop: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The same with float32 windows in the units of the recordings."""
    origins = _origins(recordings, window, hop)
    windows = np.empty((len(origins), window, 3), np.float32)
    _fill(windows, recordings, origins, lambda samples: samples.astype(np.float32))
    return windows, origins


def _fill(
    windows: NDArray[Any],
    recordings: Sequence[Recording],
    origins: NDArray[np.int64],
    convert: Callable[[NDArray[np.float64]], NDArray[Any]],
) -> None:
    """Put into `windows` what begins at `origins`, converted."""
    window = windows.shape[1]
    for index, recording in enumerate(recordings):
        mine = origins[:, 0] == index
        if mine.any():
            values = convert(recording.samples)
            views = np.lib.stride_tricks.sliding_window_view(values, window, axis=0).swapaxes(1, 2)
            windows[mine] = views[origins[mine, 1]]


def segments_of(origins: NDArray[np.int64], recordings: Sequence[Segmented]) -> NDArray[np.int64]:
    """Origins [k, 2] of windows and their recordings in; the number [k] of the segment that each window lies in out.

    Segments are numbered from 0 through all recordings.
    """
    # One number for each place: that of the recording first, then the row.
    reach = max(map(len, recordings)) + 1
    starts = [index * reach + start for index, recording in enumerate(recordings) for start, _ in recording.segments]
    places = origins[:, 0] * reach + origins[:, 1]
    return (np.searchsorted(np.array(starts, np.int64), places, side="right") - 1).astype(np.int64)


def stretches_of(origins: NDArray[np.int64], hop: int) -> NDArray[np.int64]:
    """Origins [k, 2] of windows in time order in; the number [k] of the stretch that each lies in, from 0, out.

    A new stretch begins where a window is not `hop` samples behind the one before.
    """
    step = np.diff(origins, axis=0)
    return np.concatenate([[0], np.cumsum((step[:, 0] != 0) | (step[:, 1] != hop))]).astype(np.int64)


def covered(origins: NDArray[np.int64], window: int, hop: int) -> tuple[int, int]:
    """Origins [k, 2] of windows in; the samples that they cover and how many windows lie side by side in these out.

    Samples count once, whatever the order of the windows; those between windows further apart than `window` do not.
    """
    ordered = origins[np.lexsort((origins[:, 1], origins[:, 0]))]
    behind = (np.bincount(stretches_of(ordered, hop)) - 1) * min(hop, window)  # samples, of each stretch
    return int((behind + window).sum()), int((behind // window + 1).sum())


def _origins(recordings: Sequence[Segmented], window: int, hop: int) -> NDArray[np.int64]:
    """(recording, first row) of every window that lies within one segment, [k, 2]; refuses where there is none."""
    origins = [
        np.stack(np.broadcast_arrays(index, np.arange(start, stop - window + 1, hop)), axis=1)
        for index, recording in enumerate(recordings)
        for start, stop in recording.segments
        if stop - start >= window
    ]
    if not origins:
        longest = max(stop - start for recording in recordings for start, stop in recording.segments)
        raise too_short(window, longest, max(map(len, recordings)))
    return np.concatenate(origins).astype(np.int64)


def _split(
    origins: NDArray[np.int64], segments: NDArray[np.int64], window: int, hop: int, share: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Origins [k, 2] in time order and their segments [k] in; which windows are held back, and which trained on, out.

    Windows of one segment closer than a window's length share samples; those of different ones share none.
    """
    count = len(origins)
    # Of windows closer together a block needs more, as no more of its time may be lost between the parts.
    blocks = max(1, min(_BLOCKS, count * min(4 * hop, window) // (window * _LEAST_BLOCK)))
    held_back = np.zeros(count, bool)
    for block in range(blocks):
        first, last = block * count // blocks, (block + 1) * count // blocks
        held_back[last - round((last - first) * share) : last] = True
    # A place on one timeline, where windows of different recordings or segments never come near each other.
    place = segments * (int(origins[:, 1].max()) + window) + origins[:, 1]
    kept = place[held_back]
    if not len(kept):
        return held_back, ~held_back
    after = np.searchsorted(kept, place)
    to_next = np.abs(kept[np.minimum(after, len(kept) - 1)] - place)
    to_previous = np.abs(kept[np.maximum(after - 1, 0)] - place)
    return held_back, ~held_back & (np.minimum(to_next, to_previous) >= window)
