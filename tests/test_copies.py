"""Copies of recordings: what is held back is not trained on under another name; and what is no copy is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import copies, making
from gyrovae_tf.learn.copies import Known, without_copies
from gyrovae_tf.learn.dataset import Dataset, preprocess
from gyrovae_tf.learn.making import Crew
from gyrovae_tf.learn.stock_data import StockDataset, stock_preprocess
from gyrovae_tf.recording import Recording
from gyrovae_tf.streaming import Stream

Samples = NDArray[np.float64]


def noise(rows: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-10, 10, (rows, 3)).round(3)


def recording(samples: Samples, source: str, **fields: object) -> Recording:
    settings = {"rate_hz": 200.0, "segments": ((0, len(samples)),), "source": source, "lsb": 0.001, **fields}
    return Recording(samples, **settings)  # type: ignore[arg-type]


def known(*recordings: Samples, window: int = 64) -> Known:
    sources = [recording(samples, f"{place}.csv") for place, samples in enumerate(recordings)]
    return without_copies([Stream.of(one) for one in sources], sources, window, Crew())


def told(made: Dataset | StockDataset) -> list[str]:
    return [note for note in made.notes if "left out" in note]


# --- what is left out


def test_a_copied_file_is_left_out_once_and_told(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("s.csv", "s_copy.csv", "t.csv", "data (1).csv")]
    for name in names:
        recording(noise(4000, seed=name.name == "t.csv"), "made").write(name)
    made = preprocess(names, tmp_path / "d", window=64)
    assert told(made) == ["s_copy.csv, data (1).csv hold the same samples as s.csv and are left out."]
    assert (made.sources, made.left_out) == (("s.csv", "t.csv"), (1, 3))
    alone = preprocess([names[0], names[2]], tmp_path / "alone", window=64)
    assert made.digest == alone.digest
    assert (alone.left_out, told(alone)) == ((), [])
    again = Dataset.load(tmp_path / "d")
    assert (again.notes, again.left_out, again.sources) == (made.notes, made.left_out, made.sources)


def test_nothing_held_back_is_trained_on_with_copies() -> None:
    made = preprocess([recording(noise(4000), name) for name in "abc"], window=64)
    assert made.train_windows is not None
    assert made.validation_windows is not None
    trained = {window.tobytes() for window in made.train_windows}
    assert not trained & {window.tobytes() for window in made.validation_windows}


def test_what_else_a_file_says_does_not_matter(tmp_path: Path) -> None:
    """Other times, gaps and a first line; and what it says is told nevertheless."""
    samples = noise(4000)
    rows = [f"{12.5 + row / 200},{x},{y},{z}" for row, (x, y, z) in enumerate(samples.tolist())]
    (tmp_path / "timed.csv").write_text("\n".join(["time_s,x,y,z", *rows]))
    gaps = recording(samples, "gaps.csv", segments=((0, 1000), (1000, 4000)), lsb=None, metadata={"fault": "bearing"})
    made = preprocess([recording(samples, "s.csv"), tmp_path / "timed.csv", gaps], window=64)
    assert told(made) == ["timed.csv, gaps.csv hold the same samples as s.csv and are left out."]
    assert made.suspect == (
        "1 of 3 recordings say that they are of a fault: gaps.csv. A detector must learn from normal motion alone.",
    )
    assert made.spec.lsb == 0.001


def test_the_older_backup_of_a_file_that_grew_is_left_out() -> None:
    grown = noise(5000)
    older = recording(grown[:3000], "older.csv")
    made = preprocess([older, recording(grown, "s.csv", segments=((0, 3000), (3000, 5000)))], window=64)
    assert told(made) == ["older.csv holds the same samples as a part of s.csv and is left out."]
    assert (made.sources, made.left_out) == (("s.csv",), (0,))


@pytest.mark.parametrize("first", [0, 1, 1000, 2000], ids=["beginning", "a row behind", "middle", "end"])
def test_a_recording_within_another_is_left_out(first: int) -> None:
    joined = noise(4000)
    assert known(joined, joined[first : first + 2000]).left_out == (1,)


def test_a_recording_that_goes_on_behind_another_is_kept() -> None:
    motion = noise(4000)
    assert known(motion[:3000], motion[1000:]).left_out == ()


def test_one_sample_that_differs_makes_another_recording() -> None:
    motion = noise(3000)
    for row in (0, 1500, 2999):
        other = motion.copy()
        other[row, 2] += 0.001
        assert known(motion, other).left_out == ()
    assert known(motion, motion[::-1], motion[:, ::-1]).left_out == ()


def test_a_part_of_a_part_is_told_by_what_is_kept() -> None:
    motion = noise(4000)
    found = known(motion[500:1000], motion[:2000], motion, motion)
    assert found.kept == [2]
    assert found.note == (
        "3 recordings hold the same samples as others and are left out: 0.csv (as a part of 2.csv), "
        "1.csv (as a part of 2.csv), 3.csv (as 2.csv)."
    )


def test_many_copies_are_counted() -> None:
    found = known(*[noise(500)] * 6)
    assert found.note == "1.csv, 2.csv, 3.csv and 2 more hold the same samples as 0.csv and are left out."


def test_copies_of_one_name_are_told_by_more_than_that(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("a.csv", "old/a.csv"):
        recording(noise(4000), "made").write(tmp_path / name)
    made = preprocess([tmp_path / "a.csv", tmp_path / "old" / "a.csv"], window=64)
    assert told(made) == [f"{tmp_path}/old/a.csv holds the same samples as {tmp_path}/a.csv and is left out."]
    assert told(preprocess([recording(noise(4000), "a")] * 2, window=64)) == [
        "a (number 2) holds the same samples as a (number 1) and is left out."
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_long_files_are_read_piece_by_piece(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_WORTH", 0)
    monkeypatch.setattr(copies, "ROWS", 0)
    motion = noise(150_000)
    parts = {"long.csv": motion, "part.csv": motion[60_001:140_000], "other.csv": noise(2000, seed=1)}
    for name, samples in parts.items():
        recording(samples, "made").write(tmp_path / name)
    made = preprocess([tmp_path / name for name in parts], window=64, hop=640, jobs=jobs)
    assert told(made) == ["part.csv holds the same samples as a part of long.csv and is left out."]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(64, 300)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_it_finds_what_looking_at_all_rows_finds(parts: list[tuple[int, int]]) -> None:
    motion = noise(600)
    ranges = [(first, min(first + length, 600)) for first, length in parts]
    expected = [
        number
        for number, (first, last) in enumerate(ranges)
        if any(
            begin <= first and last <= end and ((begin, end) != (first, last) or other < number)
            for other, (begin, end) in enumerate(ranges)
            if other != number
        )
    ]
    found = known(*(motion[first:last] for first, last in ranges))
    assert found.left_out == tuple(expected)
    assert sorted([*found.kept, *found.left_out]) == list(range(len(parts)))


# --- what is left alone


def test_boards_at_rest_and_short_recordings_are_no_copies() -> None:
    still = np.tile((0.0, 0.0, 9.81), (2000, 1))
    blinks = still.copy()
    blinks[[500, 1500], 2] = 9.82
    short = noise(63)
    assert known(still, still, still[:500], blinks, blinks, short, short).left_out == ()
    assert known(noise(255), noise(255), window=256).left_out == ()


def test_rest_before_the_motion_is_no_reason_to_be_taken_for_another() -> None:
    rest = np.zeros((1000, 3))
    one, other = (np.concatenate([rest, noise(2000, seed)]) for seed in (0, 1))
    assert known(one, other).left_out == ()
    assert known(one, other, one).left_out == (2,)


def test_motion_that_repeats_exactly_is_compared_to_its_end() -> None:
    turn = noise(100)
    repeated = np.tile(turn, (30, 1))
    ends_otherwise = np.concatenate([repeated[:2000], noise(100, seed=1)])
    assert known(repeated, ends_otherwise).left_out == ()
    assert known(repeated, repeated[40:1040]).left_out == (1,)


def test_what_is_too_little_without_copies_is_refused_with_their_names() -> None:
    with pytest.raises(GyrovaeError, match=r"too few .*\nb holds the same samples as a and is left out\. Rec"):
        preprocess([recording(noise(1000), name) for name in "ab"], window=64, hop=64)


# --- the stock firmware


def test_the_stock_front_end_leaves_copies_out_too() -> None:
    made = stock_preprocess([recording(noise(6000), name) for name in ("a.csv", "b.csv")])
    assert told(made) == ["b.csv holds the same samples as a.csv and is left out."]
    assert made.sources == ("a.csv",)
    assert made.digest == stock_preprocess([recording(noise(6000), "a.csv")]).digest
    assert told(stock_preprocess([recording(noise(6000, seed), str(seed)) for seed in (0, 1)])) == []
