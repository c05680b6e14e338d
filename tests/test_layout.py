"""Which file of a dataset's folder is for what, as its meta.json says it, or leaves it open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.layout import (
    ToTestOn,
    anomaly_part,
    division,
    fault_session_part,
    normal_test_part,
    stray_part,
    to_test_on,
    training_part,
)

ROWS = "x,y,z\n1,2,3\n"


@pytest.fixture
def fan(tmp_path: Path) -> Path:
    """A dataset whose meta.json is still to be written."""
    for name in ("normal/a.csv", "normal/b.csv", "normal/c.csv", "normal/s1/d.CSV", "anomaly/clog/a.csv"):
        write(tmp_path / name)
    (tmp_path / "normal" / "notes.txt").write_text("no recording")
    return tmp_path


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ROWS)


def split(folder: Path, **parts: Any) -> Path:
    """The folder, with a meta.json that lists these parts."""
    (folder / "meta.json").write_text(json.dumps({"split": parts}))
    return folder


def named(folder: Path, files: list[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files]


def dataset_to_test_on(folder: Path) -> ToTestOn:
    return to_test_on([], {}, folder)


def divided(folder: Path) -> tuple[list[str], list[str]]:
    """What is learnt from, and what is tested on."""
    return named(folder, training_part(folder)[0]), named(folder, normal_test_part(folder))


@pytest.mark.parametrize("name", ["a.csv", "normal/a.csv", "./a.csv", "./normal/a.csv", "s1/../a.csv"])
def test_names_are_from_normal_or_from_the_folder_on(fan: Path, name: str) -> None:
    split(fan, normal_train=[name], normal_test=["c.csv", "b.csv"])
    (learnt,) = training_part(fan)[0]
    assert learnt.samefile(fan / "normal" / "a.csv")
    assert named(fan, normal_test_part(fan)) == ["normal/c.csv", "normal/b.csv"]  # as listed
    assert division(fan) == []


def test_a_folder_in_normal_that_is_called_normal(fan: Path) -> None:
    write(fan / "normal" / "normal" / "a.csv")
    split(fan, normal_train=["normal/a.csv"], normal_test=["normal/b.csv"])
    assert divided(fan) == (["normal/normal/a.csv"], ["normal/b.csv"])


def test_folders_and_patterns_are_listed_as_well(fan: Path) -> None:
    split(fan, normal_train=["s1"], normal_test=["normal/[ab].csv"])
    assert divided(fan) == (["normal/s1/d.CSV"], ["normal/a.csv", "normal/b.csv"])


@pytest.mark.parametrize(
    ("parts", "learnt", "tested", "note"),
    [
        (
            {"normal_train": ["a.csv"]},
            ["normal/a.csv"],
            ["normal/b.csv", "normal/c.csv", "normal/s1/d.CSV"],
            "meta.json lists no split.normal_test: what else there is in normal/ (3 files) is tested on.",
        ),
        (
            {"normal_test": ["./a.csv"], "normal_test_in_fault_sessions": ["c.csv"]},
            ["normal/b.csv", "normal/s1/d.CSV"],
            ["normal/a.csv"],
            "meta.json lists no split.normal_train: what else there is in normal/ (2 files) is learnt from.",
        ),
        (
            {"normal_train": None},
            ["normal/a.csv", "normal/b.csv", "normal/c.csv"],
            ["normal/s1/d.CSV"],
            "meta.json lists neither split.normal_train nor split.normal_test: of the 4 files of normal/, in order of "
            "their names, the last third (normal/s1/d.CSV) is tested on, the rest is learnt from.",
        ),
    ],
    ids=["only to learn from", "only to test on", "neither"],
)
def test_what_is_not_listed_is_divided_and_told(
    fan: Path, parts: dict[str, Any], learnt: list[str], tested: list[str], note: str
) -> None:
    split(fan, **parts)
    assert divided(fan) == (learnt, tested)
    assert division(fan) == [note]


@pytest.mark.parametrize(("count", "tested"), [(2, 1), (3, 1), (5, 1), (6, 2), (9, 3)])
def test_the_last_third_is_tested_on(tmp_path: Path, count: int, tested: int) -> None:
    files = [f"normal/{number}.csv" for number in range(count)]
    for name in files:
        write(tmp_path / name)
    (tmp_path / "meta.json").write_text("{}")
    assert divided(tmp_path) == (files[:-tested], files[-tested:])


def test_motion_of_the_faults_sessions_is_not_learnt_from_where_nothing_else_is_listed(fan: Path) -> None:
    split(fan, normal_test_in_fault_sessions=["a.csv"])
    assert divided(fan) == (["normal/b.csv", "normal/c.csv"], ["normal/s1/d.CSV"])
    assert named(fan, fault_session_part(fan)) == ["normal/a.csv"]


@pytest.mark.parametrize("names", [(), ("a.csv",)])
def test_one_file_alone_cannot_be_divided(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write(tmp_path / "normal" / name)
    (tmp_path / "meta.json").write_text("{}")
    received = "normal/a.csv" if names else "none"
    with pytest.raises(GyrovaeError, match=rf"expected two files or more, .* received {received}\nRecord .* or cut"):
        training_part(tmp_path)


def test_a_test_part_that_is_no_use_does_not_keep_anybody_from_learning(fan: Path) -> None:
    split(fan, normal_train=["a.csv"], normal_test=[])
    assert [path.name for path in training_part(fan)[0]] == ["a.csv"]
    with pytest.raises(GyrovaeError, match=r"does not list its split.normal_test"):
        normal_test_part(fan)


def test_one_part_that_takes_all_files(fan: Path) -> None:
    split(fan, normal_train=["*.csv", "s1"])
    assert len(training_part(fan)[0]) == 4  # which may be all that is asked for
    with pytest.raises(GyrovaeError, match=r"lists all files of normal/ to be learnt from.*\n.*split.normal_train"):
        normal_test_part(fan)
    split(fan, normal_test=["*.csv", "s1"])
    assert len(normal_test_part(fan)) == 4
    with pytest.raises(GyrovaeError, match=r"lists all files of normal/ to be tested on.*\n.*split.normal_test"):
        training_part(fan)


@pytest.mark.parametrize("part", ["normal_test", "normal_test_in_fault_sessions"])
@pytest.mark.parametrize("again", ["b.csv", "normal/b.csv", "s1/../b.csv", "link.csv"])
def test_what_is_learnt_from_is_not_tested_on(fan: Path, part: str, again: str) -> None:
    (fan / "normal" / "link.csv").symlink_to("b.csv")
    split(fan, **{"normal_train": ["a.csv", "b.csv"], "normal_test": ["c.csv"], part: ["c.csv", again]})
    message = rf"the same recordings under split.normal_train and split.{part}; .* received normal/b.csv\nTake them out"
    for read in (training_part, normal_test_part, dataset_to_test_on, division):
        with pytest.raises(GyrovaeError, match=message):
            read(fan)


@pytest.mark.parametrize(
    "meta", [{"split": []}, {"split": {"normal_train": []}}, {"split": {"normal_train": "a.csv"}}], ids=str
)
def test_what_is_no_list_of_names_is_refused(fan: Path, meta: dict[str, Any]) -> None:
    (fan / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(GyrovaeError, match=r'not list its split.normal_train; expected {"split": {"normal_train": \['):
        training_part(fan)


def test_evaluate_and_report_test_on_what_is_left(fan: Path) -> None:
    """... and tell so."""
    split(fan, normal_train=["a.csv"])
    found = dataset_to_test_on(fan)
    assert list(found.normal) == normal_test_part(fan)
    assert found.anomalies == {"clog": [fan / "anomaly" / "clog" / "a.csv"]}
    assert found.division == tuple(division(fan)) != ()


def test_recordings_of_anomalies_are_found_as_evaluate_finds_them(fan: Path) -> None:
    for name in ("b.CSV", "s1/c.csv", "s1/d.parquet", ".hidden.csv", "notes.txt"):
        write(fan / "anomaly" / "clog" / name)
    (fan / "anomaly" / "empty").mkdir()
    assert {kind: named(fan / "anomaly", files) for kind, files in anomaly_part(fan).items()} == {
        "clog": ["clog/a.csv", "clog/b.CSV", "clog/s1/c.csv", "clog/s1/d.parquet"],
        "empty": [],
    }


@pytest.mark.parametrize("name", ["a\0.csv", "\ud800.csv", 999 * "a" + ".csv"], ids=["NUL", "half a character", "long"])
@pytest.mark.parametrize("part", ["normal_train", "normal_test"])
def test_what_no_file_can_be_called_is_refused(fan: Path, part: str, name: str) -> None:
    parts = {"normal_train": ["a.csv"], "normal_test": ["b.csv"]}
    split(fan, **(parts | {part: [name]}))
    ask = training_part if part == "normal_train" else normal_test_part
    with pytest.raises(GyrovaeError, match=f"lists what no file can be called under split.{part}; expected names"):
        ask(fan)


def test_a_recording_that_no_kind_holds_is_told(fan: Path) -> None:
    split(fan, normal_train=["a.csv"], normal_test=["b.csv"])
    for name in ("loose.csv", ".hidden.csv", "notes.txt"):
        write(fan / "anomaly" / name)
    assert named(fan, stray_part(fan)) == ["anomaly/loose.csv"]
    assert list(anomaly_part(fan)) == ["clog"]
    assert dataset_to_test_on(fan).division == (
        "anomaly/loose.csv: left out, as no kind's folder in anomaly/ holds it.",
    )
