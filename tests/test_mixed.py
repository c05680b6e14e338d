"""Columns that nobody reads and that part a recording's rows: faults beside normal motion, sensors by turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gyrovae_tf as gt
from gyrovae_tf.mixed import mixed, mixtures, parted, telling

FIFTY = ["1"] * 50


@pytest.mark.parametrize(
    ("name", "values", "kinds"),
    [
        ("wconfid", [*FIFTY, *["2"] * 50], ("1", "2")),
        ("label", [*["normal"] * 10, *["worn"] * 10], ("normal", "worn")),
        ("label", ["", *["worn"] * 19], ("", "worn")),
        ("fault", [*FIFTY, *["2"] * 50], ("1", "2")),  # "alt" is in it
        ("speed", ["1,5", ""] * 50 + ["2,5", ""] * 50, ("1,5", "2,5")),
        ("state", [f"s{i}" for i in range(20)], tuple(f"s{i}" for i in range(20))),
        ("sensor", ["7", "9"] * 10, ("7", "9")),  # by turns
        ("sensor", ["a", "b", "b", "a"] * 5, ("a", "b")),
    ],
    ids=["stretches", "words", "nothing and a word", "fault", "rare", "twenty words", "numbers by turns", "words"],
)
def test_what_parts_rows(name: str, values: list[str], kinds: tuple[str, ...]) -> None:
    assert parted(name, values) == kinds


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", ["normal"] * 100),
        ("label", [*["normal"] * 9, *["worn"] * 10]),
        ("state", [f"s{i}" for i in range(21)]),
        ("step", [str(i // 20) for i in range(180)]),
        ("gx", ["0", "1", "0", "0", "-1", "0", "0"] * 10),  # a gyroscope that lies still
        ("count", [str(i % 5) for i in range(100)]),
        ("temperature", [*FIFTY, *["2"] * 50]),
        *((name, [*FIFTY, *["2"] * 50]) for name in ("location Latitude (°)", "Satellites in range", "gps_lat")),
        ("day", ["2024-05-01"] * 50 + ["2024-05-02"] * 50),
        ("n", [str(i) for i in range(100)]),
        ("altitude", ["34,5", "", "", "", ""] * 20),  # in German, and once in five rows
        ("altitude", ["nan"] * 30),
        ("altitude", [""] * 30),
    ],
    ids=[
        *(
            "one value",
            "few rows",
            "many words",
            "many numbers",
            "noise",
            "a counter",
            "slow",
            "place",
            "sky",
            "way",
            "dates",
            "all differ",
        ),
        *("rare", "no number", "nothing"),
    ],
)
def test_what_does_not(name: str, values: list[str]) -> None:
    assert parted(name, values) == ()


def rows(count: int, label: str, seed: int = 0) -> list[str]:
    motion = np.random.default_rng(seed).normal(size=(count, 3)).round(3)
    return [f"{label},{x},{y},{z}" for x, y, z in motion.tolist()]


def write(path: Path, head: str, *lines: str) -> str:
    path.write_text("\n".join([head, *lines, ""]))
    return str(path)


@pytest.mark.parametrize("count", [100, 20_000], ids=["small", "looked at in parts"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "head", ["Label,x,y,z", '# {"rate_hz": 100}\nLabel,x,y,z', "#Label,x,y,z"], ids=["names", "notes", "comment"]
)
def test_a_csv_file(tmp_path: Path, count: int, newline: str, head: str) -> None:
    lines = [head, *rows(count, "normal"), "# a remark", *rows(count, '"worn, badly"')]
    (path := tmp_path / "r.csv").write_bytes(newline.join(lines).replace("\n", newline).encode())
    assert mixed(str(path)) == {"label": ("normal", "worn, badly")}


def test_what_is_read_is_no_label(tmp_path: Path) -> None:
    lines = [f"{i // 50},{i}" + text for i, text in enumerate(rows(100, ""))]
    assert mixed(write(tmp_path / "r.csv", "segment,timestamp,x,y,z", *lines)) == {}
    assert mixed(write(tmp_path / "s.csv", "state,timestamp,x,y,z", *lines)) == {"state": ("0", "1")}


@pytest.mark.parametrize("text", ["1,2,3\n" * 100, "1 2 9.8 5\n" * 100], ids=["x y z", "x y z dt"])
def test_columns_without_names(tmp_path: Path, text: str) -> None:
    (path := tmp_path / "r.csv").write_text(text)
    assert mixed(str(path)) == {}


def test_more_notes_than_are_looked_at(tmp_path: Path) -> None:
    notes = '# {"note": "' + "n" * (2 << 20) + '"}'
    lines = [notes, "label,x,y,z", *rows(50, "a"), *rows(50, "b")]
    (path := tmp_path / "r.csv").write_text("\n".join(lines))
    assert len(gt.Recording.read(path)) == 100
    assert mixed(str(path)) == {}


def test_utf_16_is_not_looked_at(tmp_path: Path) -> None:
    text = "\n".join(["label,x,y,z", *rows(50, "a"), *rows(50, "b")])
    (path := tmp_path / "r.csv").write_text(text, encoding="utf-16")
    assert mixed(str(path)) == {}


@pytest.mark.parametrize("group", [50, 10_000], ids=["many groups", "one group"])
def test_a_parquet_file(tmp_path: Path, group: int) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    count = 8000
    motion = {axis: np.zeros(count) for axis in "xyz"}
    columns = {
        "label": np.repeat(["normal", "worn"], count // 2),
        "fault": np.arange(count) >= count // 2,
        "speed": pa.array(np.repeat([1, 2, None, 3], count // 4).tolist(), pa.int8()),
        "code": pa.array(["a", "b"] * (count // 2)).dictionary_encode(),
        "gyro": np.linspace(0, 1, count),
        "row": np.arange(count),
    }
    parquet.write_table(pa.table(motion | columns), path := tmp_path / "r.parquet", row_group_size=group)
    assert mixed(str(path)) == {
        "label": ("normal", "worn"),
        "fault": ("False", "True"),
        "speed": ("1", "2", "3"),
        "code": ("a", "b"),
    }


def test_a_damaged_column_of_a_parquet_file_is_told(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({**{axis: np.zeros(100) for axis in "xyz"}, "label": ["normal", "worn"] * 50})
    parquet.write_table(table, path := tmp_path / "r.parquet", compression="gzip")
    content = path.read_bytes()
    path.write_bytes(content.replace(content[content.rindex(b"\x1f\x8b") :][:40], b"\0" * 40))
    with pytest.raises(gt.GyrovaeError, match=r"^r\.parquet: its other columns cannot be read: "):
        mixed(str(path))


def test_of_many_files_some_are_looked_at(tmp_path: Path) -> None:
    paths = []
    for number in range(201):
        label = "worn" if number in (0, 1, 200) else "normal"
        name = str(tmp_path / f"{number}.csv")
        paths.append(write(Path(name), "label,x,y,z", *rows(20, "normal"), *rows(20, label)))
    assert mixtures(paths) == {name: {"label": ("normal", "worn")} for name in ("0.csv", "200.csv")}
    assert mixtures(paths[1:2]) == {"1.csv": {"label": ("normal", "worn")}}
    assert mixtures([]) == {}


def test_what_is_said_of_them() -> None:
    labels = {"label": ("a", "b", "", "d", "e", "f", "g")}
    assert telling({"1.csv": labels, "2.csv": {"sensor": ("1", "2")}}, 7) == (
        "Columns that are not read part the rows of 2 of 7 recordings (1.csv, 2.csv): "
        "sensor (1, 2), label (a, b, nothing, d, e, ...)."
    )


@pytest.mark.parametrize("output", [None, "dataset"], ids=["in memory", "as files"])
def test_whoever_learns_is_told(tmp_path: Path, output: str | None) -> None:
    one = write(tmp_path / "one.csv", "label,x,y,z", *rows(1000, "normal"), *rows(1000, "worn", seed=1))
    two = write(tmp_path / "two.csv", "label,x,y,z", *rows(2000, "normal", seed=2))
    data = gt.preprocess([one, two], output and tmp_path / output, rate_hz=100)
    assert data.suspect == tuple(note for note in data.notes if "not read" in note)
    assert list(data.suspect) == [
        "Columns that are not read part the rows of 1 of 2 recordings (one.csv): label (normal, worn). All rows are "
        "taken for normal motion of one machine, seen by one sensor: where such a column tells faults, machines or "
        "sensors apart, keep only the rows that are normal, in a file for each sensor."
    ]
    data.save(tmp_path / "kept")
    assert gt.Dataset.load(tmp_path / "kept").suspect == data.suspect
    held = [gt.Recording.read(path, rate_hz=100) for path in (one, two)]
    assert gt.preprocess(held, None).suspect == ()
