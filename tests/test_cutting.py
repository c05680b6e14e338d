"""Cutting: which windows there are, which segment and stretch each lies in, and which are held back, all by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import covered, cut, cut_samples, divided, lost_to_gaps, segments_of, stretches_of
from gyrovae_tf.learn.dataset import preprocess
from gyrovae_tf.recording import Recording


def ramp(*lengths: int, start: float = 0.0) -> Recording:
    """A recording in segments of these lengths: x is the row, y and z follow from it."""
    borders = [0, *itertools.accumulate(lengths)]
    rows = start + np.arange(borders[-1])
    samples = np.stack([rows, rows + 0.25, -rows], axis=1)
    return Recording(samples, 100.0, tuple(itertools.pairwise(borders)), "ramp")


def numbers(held_back: NDArray[np.bool_]) -> list[int]:
    return np.flatnonzero(held_back).tolist()


# --- windows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "starts"),
    [(4, [0]), (5, [0]), (6, [0, 2]), (7, [0, 2]), (8, [0, 2, 4])],
)
def test_a_window_reaches_up_to_the_last_sample_and_no_further(length: int, starts: list[int]) -> None:
    _, origins = cut([ramp(length)], window=4, hop=2, lsb=1.0)
    assert origins.tolist() == [[0, start] for start in starts]


def test_each_recording_has_its_own_windows() -> None:
    """Windows begin anew with every segment that is as long as one."""
    windows, origins = cut([ramp(4, 3, 5), ramp(3), ramp(4, start=100)], window=4, hop=1, lsb=1.0)
    assert origins.tolist() == [[0, 0], [0, 7], [0, 8], [2, 0]]
    assert windows[:, :, 0].tolist() == [[0, 1, 2, 3], [7, 8, 9, 10], [8, 9, 10, 11], [100, 101, 102, 103]]
    assert windows[:, 0, 2].tolist() == [0, -7, -8, -100]


def test_samples_stay_in_the_units_of_the_recording() -> None:
    windows, origins = cut_samples([ramp(3, 3)], window=3, hop=3)
    assert (windows.dtype, origins.tolist()) == (np.float32, [[0, 0], [0, 3]])
    assert windows[1].tolist() == [[3, 3.25, -3], [4, 4.25, -4], [5, 5.25, -5]]


def test_where_no_window_fits_the_longest_stretch_is_told() -> None:
    with pytest.raises(GyrovaeError, match=r"window of 4: gaps cut .* received 3 at the most, of 6 in all"):
        cut([ramp(2, 1), ramp(3, 2, 1)], window=4, hop=1, lsb=1.0)


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([90, 9], ""),  # 9.1 %
        (
            [81, 9],
            "10 % of the samples are in no window, as they lie in stretches without a gap of fewer than 10: of 2 ",
        ),
        ([10, 9, 1, 20], "25 % of the samples are in no window"),
        ([10, 10], ""),
    ],
)
def test_what_gaps_leave_out_is_told_from_a_tenth_on(lengths: list[int], said: str) -> None:
    told = lost_to_gaps([ramp(*lengths)], 10)
    assert told.startswith(said)
    assert bool(told) == bool(said)


def test_it_is_told_where_too_few_windows_are_left_and_where_enough_are(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"\n88 % of the samples are in no window, .* Record longer, or choose"):
        divided([ramp(*[9] * 10, 12)], 10, 1, 0.25)
    noise = np.random.default_rng(0).normal(size=(2000, 3))
    borders = [0, *range(1000, 2001, 50)]
    recording = Recording(noise, 100.0, tuple(itertools.pairwise(borders)), "noise")
    data = preprocess([recording], tmp_path / "dataset", window=64)
    assert [note for note in data.notes if "in no window" in note] == [lost_to_gaps([recording], 64)]
    assert lost_to_gaps([recording], 64).startswith("50 % of the samples are in no window")


# --- segments and stretches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "hop", "samples", "apart"),
    [
        ([0], 4, 8, 1),
        ([0, 4], 4, 12, 1),
        ([0, 4, 8], 4, 16, 2),
        ([8, 0, 4], 4, 16, 2),  # whatever their order
        ([0, 4, 12, 16], 4, 24, 2),  # two stretches
        ([0, 6, 12], 6, 20, 2),
        ([0, 10, 20], 10, 24, 3),  # what lies between is in no window
    ],
)
def test_the_samples_that_windows_of_eight_cover(rows: list[int], hop: int, samples: int, apart: int) -> None:
    origins = np.array([(0, row) for row in rows])
    assert covered(origins, 8, hop) == (samples, apart)
    twice = np.array([(recording, row) for recording in (0, 1) for row in rows])
    assert covered(twice, 8, hop) == (2 * samples, 2 * apart)


def test_segments_are_numbered_through_all_recordings() -> None:
    recordings = [ramp(3), ramp(9, 4), ramp(2, 6)]
    origins = np.array([[0, 0], [0, 2], [1, 0], [1, 8], [1, 9], [1, 12], [2, 0], [2, 1], [2, 2], [2, 7]])
    assert segments_of(origins, recordings).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_stretch_ends_where_a_window_is_not_one_hop_further() -> None:
    origins = np.array([[0, 0], [0, 10], [0, 20], [0, 40], [0, 50], [0, 55], [1, 65], [1, 75], [1, 10], [1, 20]])
    assert stretches_of(origins, 10).tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 4, 4]
    assert stretches_of(origins[:1], 10).tolist() == [0]


# --- what is held back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "held_back"),
    [
        (47, range(35, 47)),  # one block: the last quarter, 11.75 windows
        (48, [*range(18, 24), *range(42, 48)]),  # two of 24
        (320, [row for first in range(30, 320, 40) for row in range(first, first + 10)]),  # never more than eight
    ],
)
def test_the_last_part_of_each_block_is_held_back(count: int, held_back: list[int]) -> None:
    """Windows side by side: nothing is dropped."""
    _, kept, training = divided([ramp(4 * count)], 4, 4, 0.25)
    assert numbers(kept) == list(held_back)
    assert (training == ~kept).all()


def test_windows_close_together_are_not_lost_between_many_blocks() -> None:
    """30 windows of time: 4 blocks of 116, of which 29 are held back, and 15 at each border are in neither part."""
    _, kept, training = divided([ramp(16 * 30)], 16, 1, 0.25)
    assert numbers(kept)[::29] == [87, 203, 319, 436]
    assert (kept.sum(), training.sum()) == (4 * 29, 465 - 4 * 29 - 7 * 15)


def test_what_overlaps_with_what_is_held_back_is_not_trained_on() -> None:
    """48 windows, each half over the next: 17 shares samples with 18, and 24 with 23; 41 with 42."""
    _, kept, training = divided([ramp(49 * 2)], 4, 2, 0.25)
    assert numbers(kept) == [*range(18, 24), *range(42, 48)]
    assert numbers(training) == [*range(17), *range(25, 41)]


def test_nothing_overlaps_over_a_gap_or_the_end_of_a_recording() -> None:
    """Segments of six windows: held back are the fourth and eighth whole."""
    lengths = [14, 14, 14, 14]
    _, kept, training = divided([ramp(*lengths), ramp(*lengths)], 4, 2, 0.25)
    assert numbers(kept) == [*range(18, 24), *range(42, 48)]
    assert (training == ~kept).all()


def test_sixteen_windows_to_train_on_and_four_to_hold_back_are_enough() -> None:
    _, kept, training = divided([ramp(80)], 4, 4, 0.2)
    assert (numbers(training), numbers(kept)) == ([*range(16)], [16, 17, 18, 19])


@pytest.mark.parametrize(("training", "held_back"), [(15, 4), (16, 3), (15, 3)])
def test_fewer_windows_are_refused(training: int, held_back: int) -> None:
    """Windows of 4 samples with one between them."""
    count = training + held_back
    with pytest.raises(GyrovaeError) as told:
        divided([ramp(5 * count - 1)], 4, 5, held_back / count)
    assert str(told.value) == (
        f"too few samples: {5 * count - 1} give {training} windows of 4 to train on and {held_back} to hold back; "
        "expected at least 16 and 4\nRecord longer, or choose a smaller --window or --hop (now 4 and 5)."
    )


def test_the_samples_of_all_recordings_are_told() -> None:
    with pytest.raises(GyrovaeError, match="too few samples: 60 give 11 windows of 4 to train on and 4 to hold back"):
        divided([ramp(40), ramp(20)], 4, 4, 0.25)


def test_a_share_of_nothing_holds_nothing_back() -> None:
    with pytest.raises(GyrovaeError, match="400 give 100 windows of 4 to train on and 0 to hold back"):
        divided([ramp(400)], 4, 4, 0.0)
