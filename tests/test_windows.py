"""What of a dataset's test recordings can be scored, and what is told of the rest."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.windows import shorter_window, unseen
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal import frontend

SPEC = frontend.fit(np.zeros((1, 64, 3), np.int16), rate_hz=200.0, lsb=0.01, units="m/s^2")
NAN = "x,y,z\n1,2,nan\n"
SHORT = "x,y,z\n" + "1,2,3\n" * 63
WHOLE = "x,y,z\n" + "1,2,3\n" * 64


def dataset(folder: Path, files: dict[str, str], **meta: Any) -> Path:
    """A dataset at 200 Hz with these files beside normal/train.csv."""
    for name, text in {"normal/train.csv": WHOLE, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    record = {"sample_rate_hz": 200, "split": {"normal_train": ["train.csv"]}, **meta}
    (folder / "meta.json").write_text(json.dumps(record))
    return folder


def test_a_bad_file_costs_only_itself_and_is_named(tmp_path: Path) -> None:
    files = {
        "normal/bad.csv": NAN,
        "normal/good.csv": WHOLE,
        "anomaly/clog/1.csv": WHOLE,
        "anomaly/clog/2.csv": NAN,
        "anomaly/clog/3.csv": WHOLE,
        "anomaly/clog/4.csv": SHORT,
        "anomaly/clog/5.csv": '# {"rate_hz": 50}\n' + WHOLE,
        "anomaly/clog/6.csv": '# {"units": "g"}\n' + WHOLE,
        "anomaly/off/1.csv": WHOLE,
    }
    found = unseen(dataset(tmp_path, files), SPEC, hop=64)
    assert len(found.normal) == 1
    assert {kind: len(windows) for kind, windows in found.anomalies.items()} == {"clog": 2, "off": 1}
    assert {name: why.splitlines()[0] for name, why in found.skipped.items()} == {
        "anomaly/clog/2.csv": "2.csv, row 2, column z; expected a number, received 'nan'",
        "anomaly/clog/4.csv": "4.csv: too few samples for one window of 64; expected at least 64 samples without a "
        "gap, received 63 at the most",
        "anomaly/clog/5.csv": "5.csv was recorded at another rate than the detector was made for; expected 200 Hz, "
        "received 50 Hz",
        "anomaly/clog/6.csv": "6.csv is in other units than the detector was made for; expected m/s^2, received g",
        "normal/bad.csv": "bad.csv, row 2, column z; expected a number, received 'nan'",
    }
    assert found.skipped["anomaly/clog/4.csv"].endswith("or let meta.json say a shorter recommended_window.")


def test_a_kind_of_which_nothing_can_be_used(tmp_path: Path) -> None:
    files = {
        "normal/a.csv": WHOLE,
        "anomaly/clog/1.csv": WHOLE,
        "anomaly/off/1.csv": NAN,
        "anomaly/off/2.csv": SHORT,
        "anomaly/worn/1.csv": NAN,
        "anomaly/empty/notes.txt": "",
    }
    found = unseen(dataset(tmp_path, files), SPEC, hop=64)
    assert list(found.anomalies) == ["clog"]
    assert {kind: why.splitlines()[0] for kind, why in found.skipped.items()} == {
        "empty": f"{tmp_path / 'anomaly' / 'empty'} holds no .csv or .parquet files; received notes.txt",
        "off": "none of 2 recordings can be used; the first: 1.csv, row 2, column z; expected a number, received 'nan'",
        "worn": "1.csv, row 2, column z; expected a number, received 'nan'",
    }


def test_normal_motion_of_which_nothing_can_be_used(tmp_path: Path) -> None:
    files = {"normal/a.csv": SHORT, "normal/b.csv": NAN, "anomaly/clog/1.csv": WHOLE}
    with pytest.raises(GyrovaeError, match=r"none of 2 recordings can be used; the first: a.csv: too few samples"):
        unseen(dataset(tmp_path, files), SPEC, hop=64)


def test_no_kind_of_which_anything_can_be_used(tmp_path: Path) -> None:
    files = {"normal/a.csv": WHOLE, "anomaly/clog/1.csv": NAN}
    with pytest.raises(GyrovaeError, match=r"^no kind of anomaly can be scored: 1.csv, row 2, column z;"):
        unseen(dataset(tmp_path, files), SPEC, hop=64)


def test_a_gap_leaves_the_windows_on_both_sides_of_it(tmp_path: Path) -> None:
    """Of 64 samples, 3 and 130."""
    gaps = "x,y,z,segment\n" + "1,2,3,0\n" * 64 + "1,2,3,1\n" * 3 + "1,2,3,2\n" * 130
    files = {"normal/a.csv": gaps, "anomaly/clog/1.csv": WHOLE}
    found = unseen(dataset(tmp_path, files), SPEC, hop=64)
    assert found.skipped == {}
    assert found.normal.tolist() == [[[100, 200, 300]] * 64] * 3  # counts of 0.01


def test_normal_motion_of_the_sessions_of_faults_is_a_group_of_its_own(tmp_path: Path) -> None:
    files = {"normal/a.csv": WHOLE, "normal/b.csv": WHOLE + "1,2,3\n" * 64, "anomaly/clog/1.csv": WHOLE}
    split = {"normal_train": ["train.csv"], "normal_test_in_fault_sessions": ["b.csv"]}
    found = unseen(dataset(tmp_path, files, split=split), SPEC, hop=64)
    groups = {group: len(windows) for group, windows in found.groups().items()}
    assert groups == {("normal", ""): 1, ("anomaly", "clog"): 1, ("fault_sessions", ""): 2}
    (tmp_path / "normal" / "b.csv").write_text(NAN)
    found = unseen(tmp_path, SPEC, hop=64)
    assert list(found.groups()) == [("normal", ""), ("anomaly", "clog")]
    assert list(found.skipped) == ["normal_test_in_fault_sessions"]
    assert found.skipped["normal_test_in_fault_sessions"].startswith("b.csv, row 2, column z;")


def test_a_listed_file_that_is_gone(tmp_path: Path) -> None:
    split = {"normal_train": ["train.csv"], "normal_test": ["a.csv", "gone.csv"]}
    files = {"normal/a.csv": WHOLE, "anomaly/clog/1.csv": WHOLE}
    found = unseen(dataset(tmp_path, files, split=split), SPEC, hop=64)
    assert list(found.skipped) == ["normal/gone.csv"]
    assert "no such file" in found.skipped["normal/gone.csv"]


def test_files_in_folders_of_a_kind_have_the_rate_of_the_dataset(tmp_path: Path) -> None:
    files = {"normal/a.csv": WHOLE, "anomaly/clog/s1/1.csv": WHOLE, "anomaly/clog/s2/1.CSV": WHOLE}
    found = unseen(dataset(tmp_path, files), SPEC, hop=64)
    assert len(found.anomalies["clog"]) == 2
    assert found.skipped == {}


@pytest.mark.parametrize(
    ("lengths", "window"),
    [
        ([256, 256], None),  # the usual one fits
        ([255, 255], 128),
        ([200, 200, 200], 128),
        ([300, 150, 150], None),  # half of the samples lie in 300
        ([300, 150, 151], 128),
        ([100, 100, 199], 64),
        ([100, 100, 200], 128),
        ([64, 32, 32], 64),
        ([63, 63], None),  # no window fits
    ],
)
def test_the_window_that_half_of_the_samples_fit(tmp_path: Path, lengths: list[int], window: int | None) -> None:
    borders = np.cumsum([0, *lengths]).tolist()
    segments = tuple(itertools.pairwise(borders))
    Recording(np.zeros((borders[-1], 3)), 200.0, segments, "a").write(tmp_path / "normal" / "a.csv")
    for recommended, expected in ((None, window), (64, None), (256, None)):
        meta = {"split": {"normal_train": ["a.csv"]}, "recommended_window": recommended}
        (tmp_path / "meta.json").write_text(json.dumps(meta))
        assert shorter_window(tmp_path) == expected
