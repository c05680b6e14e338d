"""The Markov transition field: small enough to do by hand, and against pyts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.signal.mtf import ONE, field, levels, transitions

EDGES = np.array([[-30, -20, -10, 0, 10, 20, 30]] * 3)


def three(signal: NDArray[np.integer]) -> NDArray[np.int16]:
    """The same signal on all three axes, as one window."""
    return np.repeat(np.asarray(signal)[None, :, None], 3, axis=2).astype(np.int16)


def test_a_level_starts_at_its_edge() -> None:
    signal = np.array([-31, -30, -29, -21, -20, -19, -11, -10, -9, -1, 0, 1, 9, 10, 11, 19, 20, 21, 29, 30, 31])
    expected = [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7]
    level = levels(three(signal), EDGES)
    assert level.shape == (1, 3, 21)
    assert level[0].tolist() == [expected] * 3


def test_each_axis_has_its_own_edges() -> None:
    signal = np.array([-5, 5] * 32)
    edges = np.array([[-7, -6, -5, 0, 5, 6, 7], [-9, -8, -7, -6, -5, -4, -3], [10, 11, 12, 13, 14, 15, 16]])
    level = levels(three(signal), edges)[0]
    assert level[:, :2].tolist() == [[3, 5], [5, 7], [0, 0]]


def test_the_mean_is_rounded_half_up() -> None:
    signal = np.array([0] * 32 + [1] * 32)  # mean 0.5, rounded to 1
    edges = np.array([[-1, 0, 1, 2, 3, 4, 5]] * 3)
    assert levels(three(signal), edges)[0, 0, [0, 32]].tolist() == [1, 2]  # -1 and 0


def test_transition_probabilities_by_hand() -> None:
    # 0 0 1 0 0 1 ...: level 0 is followed by 0 and by 1 as often as not, level 1 always by 0.
    level = np.array([[0, 0, 1] * 4 + [0]])
    expected = np.zeros((8, 8))
    expected[0, :2] = [ONE / 2, ONE / 2]  # 4 times 0 -> 0, 4 times 0 -> 1
    expected[1, 0] = ONE
    assert (transitions(level)[0] == expected).all()
    level = np.array([[2, 2, 5, 2, 7]])  # 2 -> 2, 5, 7 once each; 5 -> 2; 7 is never left
    expected = np.zeros((8, 8))
    expected[2, [2, 5, 7]] = 10922  # 32768 / 3, rounded down
    expected[5, 2] = ONE
    assert (transitions(level)[0] == expected).all()


def test_rows_of_windows_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 8, (5, 200))
    together = transitions(level)
    for row in range(5):
        assert (transitions(level[row : row + 1])[0] == together[row]).all()


def test_probabilities_of_a_level_sum_to_one_or_to_nothing() -> None:
    rng = np.random.default_rng(1)
    level = rng.integers(0, 7, (50, 64))  # level 7 never occurs
    total = transitions(level).sum(axis=2)
    assert (total[:, 7] == 0).all()
    assert (total <= 32768).all()
    assert (total[total > 0] >= 32768 - 7).all()


def test_a_field_by_hand() -> None:
    # Two samples a cell. Signal: one period is four samples at -15, -15, 15, 15 (levels 2, 2, 5, 5), 16 periods.
    signal = np.array([-15, -15, 15, 15] * 16)
    # 2 -> 2 and 2 -> 5 16 times each; 5 -> 5 16 times, 5 -> 2 15 times (the window ends).
    p22, p25, p55, p52 = 16384, 16384, 16 * 32768 // 31, 15 * 32768 // 31
    cells = field(three(signal), EDGES)
    assert cells.shape == (1, 3, 32, 32)
    expected = np.tile(np.array([[4 * p22, 4 * p25], [4 * p52, 4 * p55]]), (16, 16))  # 2 x 2 pairs a cell
    assert (cells[0] == expected).all()


def test_a_still_window_never_leaves_its_level() -> None:
    assert (field(np.full((2, 64, 3), 1234, np.int16), EDGES) == 4 * 32768).all()


def test_the_largest_field_is_that_of_a_constant() -> None:
    for length in (64, 96, 1024):
        assert (field(np.zeros((1, length, 3), np.int16), EDGES) == (length // 32) ** 2 * 32768).all()


@pytest.fixture(scope="module")
def pyts_field() -> Any:
    """A `MarkovTransitionField` of eight uniform bins, not averaged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling would take half a minute
        from pyts.image import MarkovTransitionField
    return MarkovTransitionField(image_size=1.0, n_bins=8, strategy="uniform")


@pytest.mark.parametrize("length", [64, 96, 256])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_field_is_that_of_pyts(pyts_field: Any, length: int, seed: int) -> None:
    # pyts digitises by itself: eight uniform bins over the signal's range. With a range of exactly -40 to 40 its inner
    # edges are ours. A sample on an edge may belong to either side, so none is.
    rng = np.random.default_rng(seed)
    walk = np.clip(np.cumsum(rng.normal(0, 8, length // 2)), -39, 39).astype(int)
    walk[walk % 10 == 0] += 1
    walk[0] = 40
    walk = np.concatenate([walk, -walk])  # no mean
    oracle = pyts_field.transform(walk[None, :].astype(float))
    level = levels(three(walk), EDGES)[0, 0]
    full = transitions(level[None])[0][level[:, None], level[None, :]]
    assert np.abs(full - oracle[0] * ONE).max() < 1  # ours is rounded down
    assert (full <= oracle[0] * ONE + 1e-6).all()
    segment = length // 32
    cells = field(three(walk), EDGES)[0, 0] / segment**2
    averaged = oracle[0].reshape(32, segment, 32, segment).mean(axis=(1, 3)) * ONE
    assert np.abs(cells - averaged).max() < 1
