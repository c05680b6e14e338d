"""A portion of recordings: as long as asked, from everywhere, and without a window that never was."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.portion import PIECE, length_s, portion
from gyrovae_tf.recording import Recording

WINDOW = 64
PIECE_SAMPLES = PIECE * WINDOW


def recording(*lengths: int, first: float = 0.0) -> Recording:
    """Segments of these lengths at 100 Hz; x counts the samples from `first`, so that each can be told."""
    borders = np.cumsum([0, *lengths]).tolist()
    samples = np.zeros((borders[-1], 3))
    samples[:, 0] = first + np.arange(borders[-1])
    return Recording(samples, 100.0, tuple(itertools.pairwise(borders)), f"from {first:g}")


def test_pieces_are_taken_at_equal_distances() -> None:
    """Ten pieces of 256 samples; two of them are the third and the eighth."""
    (found,) = portion([recording(10 * PIECE_SAMPLES)], 2 * PIECE_SAMPLES / 100, WINDOW)
    assert found.segments == ((0, 256), (256, 512))
    assert found.samples[[0, 255, 256, 511], 0].tolist() == [512, 767, 1792, 2047]
    assert found.rate_hz == 100


def test_pieces_that_touch_are_joined_unless_a_gap_parts_them() -> None:
    whole = [recording(3 * PIECE_SAMPLES, 2 * PIECE_SAMPLES)]
    (found,) = portion(whole, 5 * PIECE_SAMPLES / 100, WINDOW)
    assert found.segments == whole[0].segments
    assert np.array_equal(found.samples, whole[0].samples)


def test_bursts_stay_whole_and_too_short_ones_are_left_out() -> None:
    bursts = [recording(100, first=1000 * index) for index in range(20)]
    shorts = [recording(63, first=-1000)]
    assert length_s(bursts + shorts, WINDOW) == 20
    found = portion(bursts + shorts, 5, WINDOW)
    assert [part.samples[0, 0] for part in found] == [2000, 6000, 10_000, 14_000, 18_000]
    assert all(len(part) == 100 for part in found)


def test_more_than_there_is() -> None:
    with pytest.raises(GyrovaeError, match=r"shorter than the portion of them; expected at most 10 s, received 11 s"):
        portion([recording(1000)], 11, WINDOW)
    with pytest.raises(GyrovaeError, match="no recording with a known rate"):
        portion([], 1, WINDOW)


@given(st.lists(st.lists(st.integers(1, 3000), min_size=1, max_size=4), min_size=1, max_size=6), st.floats(0.01, 1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_portion(lengths: list[list[int]], share: float) -> None:
    known = [recording(*parts, first=100_000.0 * index) for index, parts in enumerate(lengths)]
    whole = length_s(known, WINDOW)
    if whole == 0:
        return
    found = portion(known, share * whole, WINDOW)
    xs = np.concatenate([part.samples[:, 0] for part in found])
    assert len(np.unique(xs)) == len(xs)
    longest = 2 * PIECE_SAMPLES  # a stretch of almost eight windows is one piece
    assert abs(len(xs) / 100 - share * whole) <= longest / 100 * (1 + len(xs) / PIECE_SAMPLES)
    real = {
        (source, value + start, value + stop)
        for source, value in ((part.source, 100_000.0 * index) for index, part in enumerate(known))
        for start, stop in next(part for part in known if part.source == source).segments
    }
    for part in found:
        for start, stop in part.segments:
            rows = part.samples[start:stop, 0]
            assert (np.diff(rows) == 1).all()  # without a gap inside
            assert any(name == part.source and low <= rows[0] and rows[-1] < high for name, low, high in real)
            assert len(rows) >= WINDOW
