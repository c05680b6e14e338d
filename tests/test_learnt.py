"""Which windows lie in motion that was learnt: by what they hold, wherever they begin and whatever a file is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import npz
from gyrovae_tf.learn.learnt import Learnt, learnt_by, marks, overlaps

NO_MARK = 2**63 - 1
MOTION = np.random.default_rng(0).integers(-300, 300, (6000, 3)).astype(np.int16)


def windows(samples: NDArray[np.int16], size: int = 128, hop: int = 32, first: int = 0) -> NDArray[np.int16]:
    return np.stack([samples[row : row + size] for row in range(first, len(samples) - size + 1, hop)])


@given(st.integers(0, 5800))
@settings(max_examples=50, deadline=None)
def test_a_mark_is_that_of_32_samples_wherever_they_lie(first: int) -> None:
    """A window of 32 samples is one stretch; a longer one has the least of the marks of its stretches."""
    long = MOTION[first : first + 200]
    inside = [int(marks(long[None, row : row + 32])[0]) for row in range(len(long) - 31)]
    assert int(marks(long[None])[0]) == min(inside)
    assert len(set(inside)) == len(inside)


@pytest.mark.parametrize("change", [(0, 0), (31, 2), (16, 1)])
def test_any_sample_changes_the_mark(change: tuple[int, int]) -> None:
    one = MOTION[None, :32].copy()
    other = one.copy()
    other[0][change] += 1
    assert marks(one) != marks(other)


def test_the_order_of_axes_and_samples_counts() -> None:
    one = MOTION[None, :32]
    seen = {
        int(marks(np.ascontiguousarray(each))[0]) for each in (one, one[:, ::-1], one[:, :, ::-1], one[:, :, [1, 0, 2]])
    }
    assert len(seen) == 4


@pytest.mark.parametrize(("changes", "told"), [(0, False), (15, False), (16, True), (31, True)])
def test_what_hardly_moves_has_no_mark(changes: int, told: bool) -> None:
    """A sensor at rest repeats itself; that says nothing of where a window is from."""
    still = np.zeros((1, 32, 3), np.int16)
    still[0, :, 1] = np.minimum(np.arange(32), changes)
    assert (marks(still)[0] != NO_MARK) == told


@pytest.mark.parametrize("first", [0, 1, 8, 16])
def test_the_same_motion_cut_elsewhere(first: int) -> None:
    learnt = Learnt.of([windows(MOTION)])
    assert learnt.share(windows(MOTION, hop=64, first=first)) > (0.99 if first == 0 else 0.85)


def test_other_motion() -> None:
    other = np.random.default_rng(1).integers(-300, 300, (6000, 3)).astype(np.int16)
    learnt = Learnt.of([windows(MOTION)])
    assert learnt.share(windows(other)) == 0
    assert learnt.share(windows(np.concatenate([MOTION[:3000], other[:3000]]))) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("chance", [0.02, 0.05, 0.3])
def test_a_sensor_that_hardly_sees_anything(chance: float) -> None:
    """Noise of one count, now and then."""
    one, other = ((np.random.default_rng(seed).random((60_000, 3)) < chance).astype(np.int16) for seed in (1, 2))
    assert Learnt.of([windows(one)]).share(windows(other)) == 0


@pytest.mark.parametrize(("spread", "offset"), [(0.25, 0.25), (0.3, 0.3), (0.35, 0.25)])
def test_a_sensor_whose_noise_is_a_count_on_one_axis(spread: float, offset: float) -> None:
    one, other = np.zeros((2, 200_000, 3), np.int16)
    for seed, samples in enumerate((one, other)):
        samples[:, 0] = np.rint(np.random.default_rng(seed).normal(offset, spread, len(samples)))
    assert Learnt.of([windows(one)]).share(windows(other)) < 0.01


def test_a_few_windows_are_chance() -> None:
    learnt = Learnt.of([windows(MOTION)])
    assert learnt.count(windows(MOTION)[:4]) == (4, 4)
    assert learnt.share(windows(MOTION)[:4]) == 0
    assert learnt.share(windows(MOTION)[:5]) == 1


def test_blocks_are_one() -> None:
    every = windows(MOTION)
    one, parts = Learnt.of([every]), Learnt.of([every[:70], every[70:71], every[71:]])
    assert one.whole
    assert parts.whole
    assert one.marks.tolist() == parts.marks.tolist() == sorted(set(marks(every).tolist()))


def test_nothing_that_moves_is_nothing_learnt() -> None:
    learnt = Learnt.of([np.zeros((4, 128, 3), np.int16)])
    assert len(learnt.marks) == 0
    assert learnt.share(windows(MOTION)) == 0
    assert learnt.share(np.zeros((4, 128, 3), np.int16)) == 0


def test_of_very_many_windows_the_least_marks_are_kept() -> None:
    """They are as good as all: by them alone others are told, and by no more."""
    noise = np.random.default_rng(2).integers(-300, 300, (90_000 + 31, 3)).astype(np.int16)
    every = windows(noise, size=32, hop=1)
    learnt = Learnt.of([every[:50_000], every[50_000:]])
    assert not learnt.whole
    assert learnt.marks.tolist() == sorted(marks(every).tolist())[:65_536]
    assert learnt.share(every) == 1
    assert learnt.share(windows(MOTION, size=32, hop=1)) == 0


@pytest.mark.parametrize("count", [3, 70])
def test_what_was_learnt_from_a_file(tmp_path: Path, count: int) -> None:
    learnt = Learnt.of([windows(MOTION)[:count]])
    assert learnt_by(tmp_path) is None
    learnt.save(tmp_path / "learnt.npz")
    (tmp_path / "detector.gyrovae").mkdir()
    for run in (tmp_path, tmp_path / "detector.gyrovae"):
        found = learnt_by(run)
        assert found is not None
        assert found.marks.tolist() == learnt.marks.tolist()
        assert found.whole


@pytest.mark.parametrize(
    "change",
    [
        {"marks": np.zeros(3)},
        {"marks": np.zeros((2, 2), np.int64)},
        {"marks": np.zeros(0, np.int64)},
        {"whole": np.zeros(2)},
    ],
    ids=str,
)
def test_another_file_in_its_place(tmp_path: Path, change: dict[str, NDArray[np.generic]]) -> None:
    arrays = {"marks": np.arange(3), "whole": np.array(0)}
    npz.save(tmp_path / "learnt.npz", arrays | change)
    with pytest.raises(GyrovaeError, match=r"learnt.npz does not tell what was learnt.*\nTrain the run again"):
        learnt_by(tmp_path)


def test_what_is_told() -> None:
    assert overlaps(None) == overlaps({"normal": 0.0, "loose": 0.009}) == ()
    assert overlaps({"normal": 0.5, "loose": 1.0}) == (
        "normal: 50 % of its windows lie in motion that was trained on, so its figures flatter; test on recordings "
        "that were not.",
        "loose: 100 % of its windows lie in motion that was trained on, as normal motion; a detector must learn from "
        "normal motion alone.",
    )
