"""A fleet: who learns from what, one model a device or a group, and which device to look at first."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import measured
from click.testing import CliRunner, Result
from conftest import TINY_MACHINE, tiny_options
from gyrovae_tf.cli.fleet import _text
from gyrovae_tf.cli.main import cli
from hypothesis import given, settings
from hypothesis import strategies as st

import gyrovae_tf as gt
from gyrovae_tf import temporary
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.fleettable import FleetTable, Row, Wanted, folder_names, models_of, read_fleet_table
from gyrovae_tf.learn import fleetmodel
from gyrovae_tf.learn.fleet import Fleet, fleet
from gyrovae_tf.learn.fleetmodel import DATASETS, MODELS, Job, Outcome, Task
from gyrovae_tf.learn.fleetrecord import Judged, Model, Need, read_model, standings, write_model
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.trainedpage import trained_page
from gyrovae_tf.ranking import Device, Status
from gyrovae_tf.streaming import find_recordings

# --- the table


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_is_read(tmp_path: Path) -> None:
    table = read_fleet_table(
        written(
            tmp_path,
            "\ufeffDevice,recording,PART,group,serial\n"
            "Lüfter 1,a.csv,,fans,77\n"
            "\n"
            'pump,"b, new.csv",Score,pumps\n'
            "pump,/data/c_*.csv,train,pumps,\n"
            "pump,s3://store/d,,pumps,\n",
        )
    )
    assert table.rows == (
        Row(2, "Lüfter 1", str(tmp_path / "a.csv"), "fans", "train"),
        Row(4, "pump", str(tmp_path / "b, new.csv"), "pumps", "score"),
        Row(5, "pump", "/data/c_*.csv", "pumps", "train"),
        Row(6, "pump", "s3://store/d", "pumps", "train"),
    )
    assert table.grouped
    assert table.unused == ("serial",)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_other_spreadsheets(tmp_path: Path, separator: str) -> None:
    text = "recording,device\r\na.csv,fan\r\n".replace(",", separator)
    table = read_fleet_table(written(tmp_path, text))
    assert table.rows == (Row(2, "fan", str(tmp_path / "a.csv"), "", "train"),)
    assert not table.grouped


def test_a_folder_with_signs_of_a_pattern_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "week [1]"
    folder.mkdir()
    (folder / "a1.csv").touch()
    (one, every) = read_fleet_table(written(folder, "device,recording\nfan,a1.csv\nfan,a*.csv\n")).rows
    assert one.recording == str(folder / "a1.csv")
    assert find_recordings([every.recording]) == [str(folder / "a1.csv")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no header for a fleet; expected columns device and recording"),
        ("name,file\nfan,a.csv\n", "received name,file"),
        ("device,recording\n", "has no rows"),
        ("device,recording\n,a.csv\n", "line 2 has no device"),
        ("device,recording\nfan\n", "line 2 has no recording"),
        ("device,recording\nfan,a.csv,b.csv\n", "line 2 has more cells than the header; expected 2, received 3"),
        ("device,recording,part\nfan,a.csv,test\n", "line 2: unknown part; expected train or score, received test"),
        ("device,recording,device\nfan,a.csv,fan\n", "has the column device twice"),
        ("device,recording\nfan,a\0.csv\n", "holds a NUL character"),
        ('device,recording\nfan,"a.csv\n', "line 2: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_meant(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(GyrovaeError, match=re.escape(words)):
        read_fleet_table(written(tmp_path, text))


def test_no_table_of_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"device,recording\nL\xfcfter,a.csv\n")
    with pytest.raises(GyrovaeError, match=r"is not UTF-8[\s\S]*Save it as CSV in UTF-8"):
        read_fleet_table(tmp_path / "t.csv")


CELLS = st.sampled_from(["device", "recording", "group", "part", "train", "a.csv", "../x", '"', "\r", "\0", "é"])
ROWS = st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=5).map("\n".join)
TABLES = ROWS | ROWS.map(lambda rows: f"device,recording\n{rows}")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80) | TABLES.map(str.encode))
def test_any_file_is_a_table_or_refused_in_words(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        try:
            table = read_fleet_table(path)
        except GyrovaeError as error:
            assert str(path) in str(error)  # noqa: PT017  # it may as well be a table
            return
        assert all(row.device and row.recording and row.part in ("train", "score") for row in table.rows)


# --- which models


def rows(*cells: tuple[str, str, str, str]) -> FleetTable:
    """Device, recording, group and part of each row."""
    made = tuple(Row(number, *row) for number, row in enumerate(cells, start=2))
    return FleetTable(Path("t.csv"), made, any(row.group for row in made), ())


TWO_FANS = rows(
    ("fan 1", "a", "fans", "train"),
    ("fan 2", "b", "fans", "train"),
    ("fan 2", "c", "fans", "score"),
    ("pump", "d", "pumps", "train"),
    ("fan 1", "e", "fans", "train"),
    ("fan 1", "a", "fans", "train"),
)


def test_a_model_a_group_where_there_are_groups() -> None:
    fans, pumps = models_of(TWO_FANS)
    assert fans == Wanted("fans", "fans", {"fan 1": ("a", "e"), "fan 2": ("b",)}, {"fan 2": ("c",)})
    assert fans.devices == ("fan 1", "fan 2")
    assert pumps == Wanted("pumps", "pumps", {"pump": ("d",)}, {})


def test_a_model_a_device() -> None:
    found = models_of(TWO_FANS, "device")
    assert [(one.name, one.train, one.score) for one in found] == [
        ("fan 1", {"fan 1": ("a", "e")}, {}),
        ("fan 2", {"fan 2": ("b",)}, {"fan 2": ("c",)}),
        ("pump", {"pump": ("d",)}, {}),
    ]
    assert models_of(rows(("fan 1", "a", "", "train")))[0].name == "fan 1"


@pytest.mark.parametrize(
    ("table", "by", "words"),
    [
        (rows(("a", "1", "g", "train"), ("b", "2", "", "train")), None, "line 3: b has no group"),
        (
            rows(("a", "1", "g", "train"), ("a", "2", "h", "train")),
            "group",
            "line 3: a is in two groups; expected g, as in line 2, received h",
        ),
        (TWO_FANS, "colour", "unknown kind of models; expected device or group, received colour"),
    ],
)
def test_models_that_cannot_be_meant(table: FleetTable, by: str | None, words: str) -> None:
    with pytest.raises(GyrovaeError, match=re.escape(words)):
        models_of(table, by)


# --- names of folders


def test_plain_names_stay_and_others_are_made_plain() -> None:
    names = ["fan-1", "Pump_2.old", "../../etc", "/abs", "C:\\x", "a/b", "a b", "con", "NUL.txt", ".hidden", "end.", ""]
    found = folder_names([*names, "Größe", "x" * 300, "A", "a", "\0"])
    assert found["fan-1"] == "fan-1"
    assert found["Pump_2.old"] == "Pump_2.old"
    assert re.fullmatch(r"etc-[0-9a-f]{12}", found["../../etc"])
    assert re.fullmatch(r"Gr-e-[0-9a-f]{12}|Gr-[0-9a-f]{12}|Gr-+e-[0-9a-f]{12}", found["Größe"])
    assert re.fullmatch(r"x{40}-[0-9a-f]{12}", found["x" * 300])
    assert re.fullmatch(r"A-[0-9a-f]{12}", found["A"])
    assert re.fullmatch(r"x-[0-9a-f]{12}", found[""])
    assert found["con"] != "con"
    assert found["end."] != "end."


NAMES = st.one_of(
    st.text(max_size=80),
    st.text("aA.-_/\\ :0", max_size=6),
    st.sampled_from(["..", ".", "../a", "a/../b", "/", "~", "aux", "COM1", "a" * 255, "ß", "ss", "SS", "\udc80"]),
    st.from_regex(r"[a-z]{1,3}-[0-9a-f]{12}", fullmatch=True),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, max_size=12))
def test_a_name_never_leaves_its_folder_nor_meets_another(names: list[str]) -> None:
    found = folder_names(names)
    assert set(found) == set(names)
    for folder in found.values():
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", folder)
        assert Path("/base", folder).resolve().parent == Path("/base")
        assert not folder.endswith(".")
    assert len({folder.casefold() for folder in found.values()}) == len(found)
    # A folder's name given as a device's does not meet the one that it was made for.
    again = folder_names([*found, *found.values()])
    assert len({folder.casefold() for folder in again.values()}) == len(again)


# --- the order of devices


def device(name: str, status: Status = "good", **changes: Any) -> Device:
    figures: dict[str, Any] = {
        "name": name,
        "recordings": 1,
        "windows": 100,
        "alarms": 0,
        "events": 0,
        "in_events": 0.0,
        "hours": 0.5,
        "median": 0.4,
        "upper": 0.6,
        "highest": 0.8,
        "trend": None,
        "status": status,
        "why": "",
        "curve": (0.4, 0.5),
        "peaks": (0.6, 0.8),
    }
    return Device(**{**figures, **changes})


def model(name: str, *judged: Judged, **changes: Any) -> Model:
    names = changes.pop("devices", tuple(one.figures.name for one in judged) or (name,))
    facts: dict[str, Any] = {"recordings": 2, "minutes": 5.0, "windows": 500, "epochs": 12, "error": 0.5, "auroc": 0.9}
    facts |= {"mode": "ptq", "bytes": 12000, "sha256": "ab" * 32, "false_alarm_rate": 0.01, "vote": (3, 5)}
    return Model(name, folder_names([name])[name], names, judged=judged, **{**facts, **changes})


def scored(name: str, status: Status = "good", **changes: Any) -> Judged:
    return Judged(device(name, status, **changes), held_back=False)


def held(name: str, status: Status = "good", **changes: Any) -> Judged:
    return Judged(device(name, status, **changes), held_back=True)


MODELS_OF_ALL_KINDS = (
    model("well", scored("well")),
    model("dead", failed="the recordings show no motion on any axis", devices=("dead",)),
    model("short", held("short"), doubts=("Too few data: 0.5 minutes.",)),
    model("rising", scored("rising", "look", trend=1.5)),
    model(
        "group",
        scored("worn", "bad", events=2, in_events=0.2, alarms=30),
        scored("worse", "bad", events=1, in_events=0.6, alarms=60),
        held("mixed", "bad", events=1, in_events=0.1),
        doubts=("The data drift.",),
        unscored={"unread": {"x.csv": "no such file"}},
        devices=("worn", "worse", "mixed", "unread"),
    ),
)


def test_devices_by_need_of_attention() -> None:
    found = [(one.name, one.need, one.status) for one in standings(MODELS_OF_ALL_KINDS)]
    expected: list[tuple[str, Need, Status]] = [
        ("worse", "events", "bad"),
        ("worn", "events", "bad"),
        ("dead", "no model", "bad"),
        # Normal motion that was held back had an event: the recordings differ, which is no alarm.
        ("mixed", "look", "look"),
        ("rising", "look", "look"),
        ("unread", "look", "look"),
        ("short", "doubt", "look"),
        ("well", "good", "good"),
    ]
    assert found == expected


def test_a_record_comes_back(tmp_path: Path) -> None:
    whole = MODELS_OF_ALL_KINDS[4]
    write_model(tmp_path, whole, "digest")
    assert read_model(tmp_path, "digest") == whole
    assert read_model(tmp_path, "another") is None
    assert read_model(tmp_path / "none", "digest") is None
    text = (tmp_path / "model.json").read_text()
    for damaged in (text.replace("12000", "12001"), text[:-9], "{}", "[]", text.replace('"judged"', '"judge"')):
        assert damaged != text
        (tmp_path / "model.json").write_text(damaged)
        assert read_model(tmp_path, "digest") is None


# --- the page


def page_of(models: tuple[Model, ...]) -> str:
    return trained_page(Fleet(Path("out"), "device", models, standings(models), (), len(models), 10.0))


def test_the_page_is_whole_and_safe() -> None:
    odd = "<script>alert(1)</script>"
    evil = model(odd, scored(odd, why=odd), doubts=(odd,), report=True)
    failed = model("a&b", failed="row 1 <bad>", devices=("a&b",))
    text = page_of((*MODELS_OF_ALL_KINDS, evil, failed))
    assert "2 of 10 devices had events." in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "row 1 &lt;bad&gt;" in text
    links = re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", text)
    assert links == [f"models/{folder_names([odd])[odd]}/report.html"]
    assert "@import" not in text
    assert "url(" not in text
    body = text[text.index("<body>") : text.index("</body>") + 7].replace("&#160;", " ")
    tree = ElementTree.fromstring(body)
    assert [part.get("id") for part in tree.iter("section")] == ["verdict", "devices", "failed", "refused", "models"]
    devices = next(part for part in tree.iter("section") if part.get("id") == "devices")
    (body_rows,) = devices.iter("tbody")
    assert ["".join(row.find("td").itertext()) for row in body_rows][:3] == ["worse", "worn", "a&b"]  # type: ignore[union-attr]
    anchors = {part.get("id") for part in tree.iter() if part.get("id")}
    assert {part.get("href", "")[1:] for part in tree.iter("a") if part.get("href", "").startswith("#")} <= anchors


def test_a_refusal_of_two_lines_is_two_sentences_on_page_and_screen() -> None:
    short = model("a", scored("a"), unscored={"a": {"x.csv": "too few samples; received 100\nRecord longer."}})
    told = "too few samples; received 100. Record longer."
    assert f"<b>x.csv</b>: {told}</li>" in page_of((short,))
    made = Fleet(Path("out"), "device", (short,), standings((short,)), (), 1, 10.0)
    assert f"not scored: x.csv: {told}" in _text(made).splitlines()


def test_what_is_doubted_has_the_width_of_the_table() -> None:
    text = page_of((model("a", scored("a"), doubts=("Too few data.", "It drifts.")), model("b", scored("b"))))
    columns = text[text.index('id="models"') :].count("</th>")
    assert f'<tr class="below"><td colspan="{columns}"><div>Too few data. It drifts.</div></td></tr>' in text
    assert text.count('class="below"') == 1, "nothing below a model without doubts"


def test_the_page_tells_the_rates_and_votes_that_models_have() -> None:
    alike = page_of((model("a", scored("a")), model("b", scored("b"))))
    assert "on normal motion 1 % was asked for. Event: 3 of 5 windows in a row that share no samples began" in alike
    other = page_of((model("a", scored("a")), model("b", scored("b"), vote=(2, 2), false_alarm_rate=0.0234)))
    assert "on normal motion 1 % to 2.34 %, by model, was asked for. Event: 2 of 2 or 3 of 5 windows in a row" in other
    events = page_of((model("a", scored("a"), events_per_day=0.5, false_alarm_rate=0.00071),))
    told = "a mean of 0.5 false events a day was asked for of each device: thresholds were set for 0.071 % of normal"
    assert told in events


@pytest.mark.parametrize(
    ("models", "headline"),
    [
        (MODELS_OF_ALL_KINDS[:1], "Nothing stands out among 1 devices."),
        (MODELS_OF_ALL_KINDS[:2], "1 of 2 devices have no model."),
        ((*MODELS_OF_ALL_KINDS[:1], MODELS_OF_ALL_KINDS[2]), "1 of 2 devices have a model that is to be doubted."),
        ((*MODELS_OF_ALL_KINDS[:1], MODELS_OF_ALL_KINDS[3]), "No events; 1 of 2 devices are worth a look."),
    ],
)
def test_the_headline(models: tuple[Model, ...], headline: str) -> None:
    assert headline in page_of(models)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it(chromium: str, tmp_path: Path, width: int) -> None:
    (tmp_path / "fleet.html").write_text(page_of(MODELS_OF_ALL_KINDS), encoding="utf-8")
    found = measured(chromium, tmp_path / "fleet.html", width)
    assert (found["wide"], found["sections"], found["unseen"]) == ([], 5, 0)
    assert found["scroll"] <= width


# --- the work, with models that take no time


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of models as they are made: folders with one file; a recording that holds "bad" makes none."""
    names: list[str] = []

    def make(job: Job, task: Task) -> Outcome:
        wanted = task.wanted
        names.append(wanted.name)
        content = "".join(Path(name).read_text() for part in wanted.train.values() for name in part)
        if "bad" in content:
            raise GyrovaeError("too few samples", remedy="Record longer.")
        found = model(wanted.name, *(scored(name) for name in wanted.devices))
        found = dataclasses.replace(found, folder=wanted.folder)
        assert job.work is not None
        place = Path(job.work) / f"place{len(names)}"
        kept = ((DATASETS, "dataset.json"),) if job.settings.keep_datasets else ()
        for folder, marker in ((MODELS, "run.json"), *kept):
            (place / folder / wanted.folder).mkdir(parents=True)
            (place / folder / wanted.folder / marker).write_text(f"{content} by making number {len(names)}")
        write_model(place / MODELS / wanted.folder, found, task.made_from)
        return Outcome(found, str(place), {})

    monkeypatch.setattr(fleetmodel, "make", make)
    return names


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four devices: one is bad, one has an odd name, one has no file."""
    for name in ("one", "two", "bad", "odd"):
        (tmp_path / f"{name}.csv").write_text(name)
    text = "device,recording\none,one.csv\nbad,bad.csv\n../odd,odd.csv\ngone,gone.csv\ntwo,two.csv\n"
    return written(tmp_path, text)


def content(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.json")}


def test_a_model_that_fails_stops_no_other(made: list[str], table: Path, tmp_path: Path) -> None:
    done = fleet(table, tmp_path / "out")
    assert made == ["one", "bad", "../odd", "two"]
    assert done.failed == {
        "bad": "too few samples. Record longer.",
        "gone": f"cannot read {tmp_path / 'gone.csv'}: no such file",
    }
    assert done.made == 3
    odd = folder_names(["../odd"])["../odd"]
    assert sorted(path.name for path in (tmp_path / "out" / "models").iterdir()) == sorted(["one", "two", odd])
    assert sorted(path.name for path in (tmp_path / "out" / "datasets").iterdir()) == sorted(["one", "two", odd])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"fleet.json", "fleet.html", "models", "datasets"}
    facts = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert facts["finished"] is True
    assert [(one["name"], one["folder"], bool(one["failed"])) for one in facts["models"]] == [
        ("one", "one", False),
        ("bad", "bad", True),
        ("../odd", odd, False),
        ("gone", "gone", True),
        ("two", "two", False),
    ]
    assert [one["device"] for one in facts["devices"]] == ["bad", "gone", "../odd", "one", "two"]
    assert facts["models"][2]["run"] == f"models/{odd}"


def test_resume_makes_what_is_missing(made: list[str], table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fleet(table, out)
    before = content(out)
    made.clear()
    (tmp_path / "bad.csv").write_text("good after all")
    (tmp_path / "two.csv").write_text("two, changed")
    with table.open("a") as file:
        file.write("three,one.csv\n")
    done = fleet(table, out, resume=True)
    assert sorted(made) == ["bad", "three", "two"]
    assert list(done.failed) == ["gone"]
    assert content(out)["models/one/run.json"] == before["models/one/run.json"]
    assert content(out)["models/two/run.json"].startswith("two, changed")
    made.clear()
    assert fleet(table, out, resume=True).made == 0
    assert made == []


def test_ctrl_c_keeps_what_is_made(
    made: list[str], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = fleetmodel.make, tmp_path / "out"

    def make(job: Job, task: Task) -> Outcome:
        if task.wanted.name == "two":
            raise KeyboardInterrupt
        return whole(job, task)

    monkeypatch.setattr(fleetmodel, "make", make)
    with pytest.raises(KeyboardInterrupt):
        fleet(table, out)
    assert json.loads((out / "fleet.json").read_text())["finished"] is False
    assert not (out / "work").exists()
    monkeypatch.setattr(fleetmodel, "make", whole)
    made.clear()
    done = fleet(table, out, resume=True)
    assert sorted(made) == ["bad", "two"]
    assert done.made == 1


def test_what_is_there_is_not_lost_by_mistake(made: list[str], table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fleet(table, out)
    before = content(out)
    with pytest.raises(GyrovaeError, match="holds a fleet already"):
        fleet(table, out)
    with pytest.raises(GyrovaeError, match="were made with other settings: window, options"):
        fleet(table, out, window=128, options=Options(epochs=2), resume=True)
    groups = written(tmp_path, "device,recording,group\none,one.csv,g\n", "groups.csv")
    with pytest.raises(GyrovaeError, match="other settings: by"):
        fleet(groups, out, resume=True)
    with pytest.raises(GyrovaeError, match="holds other files"):
        fleet(table, tmp_path)
    assert content(out) == before
    made.clear()
    fleet(table, out, window=128, overwrite=True)
    assert made == ["one", "bad", "../odd", "two"]


@pytest.mark.usefixtures("made")
def test_datasets_that_are_not_to_be_kept_are_not(table: Path, tmp_path: Path) -> None:
    """Nor those of models that are made anew."""
    out = tmp_path / "out"
    fleet(table, out)
    assert len(list((out / "datasets").iterdir())) == 3
    (out / "datasets" / "mine").mkdir()
    (out / "datasets" / "mine" / "notes.txt").write_text("")
    fleet(table, out, overwrite=True, keep_datasets=False)
    assert [path.name for path in (out / "datasets").iterdir()] == ["mine"]
    fleet(table, tmp_path / "new", keep_datasets=False)
    assert not (tmp_path / "new" / "datasets").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 100}, "window"),
        ({"hop": 0}, "the hop is not usable"),
        ({"rate_hz": -1.0}, "rate_hz; expected a finite number above 0"),
        ({"mode": "int4"}, "unknown quantisation mode"),
        ({"lsb": 0.0}, r"the size of a count \(lsb\) is not usable"),
        ({"false_alarm_rate": 2.0}, "rate"),
        ({"false_alarm_rate": 0.02, "false_alarms_per_day": 24}, "either a false-alarm rate or false alarms a day"),
        ({"false_alarms_per_day": 0}, "the false alarms a day are not usable"),
        ({"vote": (4, 3)}, "the vote is not usable"),
        ({"jobs": 0}, "the number of jobs is not usable"),
        ({"by": "colour"}, "unknown kind of models"),
    ],
)
def test_what_is_refused_at_once(made: list[str], table: Path, tmp_path: Path, changes: Any, words: str) -> None:
    with pytest.raises(GyrovaeError, match=words):
        fleet(table, tmp_path / "out", **changes)
    assert made == []
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("table")
def test_a_recording_is_not_learnt_and_scored(made: list[str], tmp_path: Path) -> None:
    text = "device,recording,part\none,*.csv,train\none,two.csv,score\ntwo,two.csv,score\n"
    done = fleet(written(tmp_path, text, "t2.csv"), tmp_path / "out")
    assert done.failed["one"].startswith("recordings are both to be learnt and to be scored: ")
    assert done.failed["two"] == "there is nothing to learn from: no recording of the part train"
    assert made == []


@pytest.mark.usefixtures("table")
def test_however_it_is_spelt(made: list[str], tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("one.csv")
    text = "device,recording,part\none,one.csv,train\none,{},score\n"
    for name in (f"../{tmp_path.name}/one.csv", "link.csv"):
        done = fleet(written(tmp_path, text.format(name), "t2.csv"), tmp_path / "out", overwrite=True)
        assert done.failed["one"].startswith("recordings are both to be learnt and to be scored: ")
    assert made == []


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("part", ["train", "score"])
def test_a_recording_is_of_one_device(made: list[str], tmp_path: Path, part: str) -> None:
    """A row copied once too often would credit one device with another's motion."""
    text = f"device,group,recording,part\none,g,one.csv,train\none,g,two.csv,{part}\ntwo,g,two.csv,{part}\n"
    done = fleet(written(tmp_path, text, "t2.csv"), tmp_path / "out")
    assert (
        done.failed["g"]
        == f"{tmp_path / 'two.csv'} is given to two devices: one and two. Mend the table: it is of one."
    )
    assert made == []


def test_files_of_others_in_a_model_s_place_stop_no_other_model(made: list[str], table: Path, tmp_path: Path) -> None:
    for folder in ("models/one", "datasets/two"):
        (tmp_path / "out" / folder).mkdir(parents=True)
        (tmp_path / "out" / folder / "thesis.txt").write_text("years of work")
    (tmp_path / "out" / "fleet.json").write_text("{}")
    done = fleet(table, tmp_path / "out", overwrite=True)
    assert made == ["bad", "../odd"]
    for name in ("one", "two"):
        assert "holds other files" in done.failed[name]
    assert done.made == 1


def test_two_at_work_in_one_folder(
    made: list[str], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary, "_PATIENCE_S", 0.0)
    fleet(table, tmp_path / "out")
    said = list(made)
    other = (
        f"from gyrovae_tf import temporary as t; t.hold(t.Path({str(tmp_path / 'out')!r})); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", other], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(GyrovaeError, match=r"another gyrovae-tf is at work in .*out"):
            fleet(table, tmp_path / "out", resume=True)
        process.kill()
    assert made == said
    assert fleet(table, tmp_path / "out", resume=True).made == 0


@pytest.mark.usefixtures("made")
def test_models_by_dask_workers_are_sent(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker elsewhere sends the files; here they come to the same folder."""
    fleet(table, tmp_path / "here")
    monkeypatch.setattr(fleetmodel, "make", _sent)
    monkeypatch.setattr("gyrovae_tf.learn.fleet.results", lambda work, job, tasks, **_: _each(work, job, tasks))
    done = fleet(table, tmp_path / "there", scheduler="tcp://nowhere:1")
    assert list(done.failed) == ["bad", "gone"]
    assert set(content(tmp_path / "there")) == set(content(tmp_path / "here"))


def _each(work: Callable[[Job, Task], Outcome], job: Job, tasks: list[Task]) -> Any:
    for number, task in enumerate(tasks):
        try:
            yield number, work(job, task)
        except GyrovaeError as error:
            yield number, error


def _sent(job: Job, task: Task) -> Outcome:
    assert job.work is None
    wanted = task.wanted
    if wanted.name == "bad":
        raise GyrovaeError("too few samples")
    found = dataclasses.replace(model(wanted.name, scored(wanted.name)), folder=wanted.folder)
    record = json.dumps({}).encode()
    names = [f"models/{wanted.folder}/run.json", f"models/{wanted.folder}/model.json"]
    return Outcome(found, None, dict.fromkeys([*names, f"datasets/{wanted.folder}/dataset.json"], record))


# --- the command


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["fleet", *map(str, words)])


def test_the_command(made: list[str], table: Path, tmp_path: Path) -> None:
    done = run(table, "-o", tmp_path / "out", "--jobs", "1", "--epochs", "3")
    assert done.exit_code == 1  # some could not be made
    assert made == ["one", "bad", "../odd", "two"]
    lines = done.stdout.splitlines()
    assert lines[2].split() == ["bad", "no", "model", "bad"]
    assert "a model a device; 3 made in" in done.stdout
    assert "2 could not be made." in done.stdout
    assert "no model for bad: too few samples. Record longer." in done.stdout
    settings_of = json.loads((tmp_path / "out" / "fleet.json").read_text())["settings"]
    assert settings_of["options"]["epochs"] == 3
    (tmp_path / "bad.csv").write_text("good")
    (tmp_path / "gone.csv").write_text("here")
    again = run(table, "-o", tmp_path / "out", "--jobs", "1", "--epochs", "3", "--resume", "--json")
    assert again.exit_code == 0
    facts = json.loads(again.stdout)
    assert (facts["made"], facts["failed"]) == (2, {})
    assert len(facts["models"]) == len(facts["devices"]) == 5
    assert facts["stale"] == []
    folders = {one["name"]: one["folder"] for one in facts["models"]}
    (tmp_path / "bad.csv").write_text("bad")
    fewer = written(tmp_path, "device,recording\none,one.csv\nbad,bad.csv\n", "fewer.csv")
    words = (fewer, "-o", tmp_path / "out", "--jobs", "1", "--epochs", "3", "--resume")
    left = sorted(folder for name, folder in folders.items() if name != "one")
    assert json.loads(run(*words, "--json").stdout)["stale"] == left
    assert f"of no model above: {', '.join(left)}" in " ".join(run(*words).stdout.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--resume", "--overwrite"), "--resume and --overwrite exclude each other"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"), "give either --jobs or --scheduler"),
        (("--window", "33"), "window"),
    ],
)
def test_the_command_refuses(made: list[str], table: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = run(table, "-o", tmp_path / "out", *words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert made == []


def test_the_command_told_to_stop(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(_job: Job, _task: Task) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(fleetmodel, "make", make)
    done = run(table, "-o", tmp_path / "out", "--jobs", "1")
    assert done.exit_code == 2
    assert done.stderr == (
        "gyrovae-tf: stopped by Ctrl-C\nModels that are made are kept: the same command goes on with --resume.\n"
    )


# --- a process that makes a model


def test_a_process_that_dies_is_one_failed_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Wanted("fan", "fan", {"fan": ("none.csv",)}, {})
    how = fleetmodel.Settings(
        window=None,
        hop=None,
        rate_hz=None,
        lsb=None,
        options={},
        mode="ptq",
        false_alarm_rate=None,
        false_alarms_per_day=None,
        vote=None,
        tilt=False,
        reports=False,
        keep_datasets=True,
    )
    job = Job(how, str(tmp_path))
    monkeypatch.setattr(fleetmodel, "_SERVE", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(GyrovaeError, match=r"ended with signal 9\n.*enough memory"):
        fleetmodel.make(job, Task(wanted, ""))
    monkeypatch.setattr(fleetmodel, "_SERVE", "import sys; print('No room', file=sys.stderr); sys.exit(7)")
    with pytest.raises(GyrovaeError, match=r"ended with exit status 7 \(No room\)"):
        fleetmodel.make(job, Task(wanted, ""))


# --- real recordings


EPOCHS = ("--epochs", "3", "--mode", "ptq", "--hop", "128")


@pytest.fixture(scope="module")
def fans(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three real fans, of which one is clogged later, a sensor that shows nothing, and one with hardly any data."""
    folder, real = tmp_path_factory.mktemp("fans"), shared / "datasets" / "nxp_fan"
    head = '# {"rate_hz": 200.0, "units": "g"}\nx,y,z\n'
    (folder / "dead.csv").write_text(head + "0,0,1\n" * 20000)
    (folder / "short.csv").write_text(head + "0.1,0,1\n0,0.1,1\n" * 200)
    lines = ["device;group;part;recording"]
    lines += [f"fan {n};fans;;{real}/normal/fan{n}_vd{'' if n == 2 else '1'}.csv" for n in (1, 2, 3)]
    lines += [f"fan 3;fans;score;{real}/anomaly/clog/fan3_*.csv", "../dead;dead;;dead.csv", "short;short;;short.csv"]
    return written(folder, "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def trained(fans: Path) -> Path:
    """All of it by the command, two models side by side."""
    out = fans.parent / "out"
    done = run(fans, "-o", out, "--by", "device", "--jobs", "2", "--reports", *EPOCHS)
    assert done.exit_code == 1, done.output
    return out


@pytest.mark.slow
def test_real_fans(trained: Path) -> None:
    facts = json.loads((trained / "fleet.json").read_text())
    folders = {one["name"]: one["folder"] for one in facts["models"]}
    assert "show no motion on any axis" in facts["failed"]["../dead"]
    assert "too few samples" in facts["failed"]["short"]
    assert len(facts["failed"]) == 2
    first, *others = facts["devices"]
    assert (first["device"], first["need"], first["held_back"]) == ("fan 3", "events", False)
    assert first["scores"]["events"] >= 1
    assert {one["device"]: one["need"] for one in others}["../dead"] == "no model"
    for name in ("fan 1", "fan 2", "fan 3"):
        run_folder = trained / "models" / folders[name]
        assert Bundle.load(run_folder).model_sha256 == {m["name"]: m["sha256"] for m in facts["models"]}[name]
        assert gt.Run.load(run_folder).load_dataset().sources
        assert (run_folder / "report.html").read_text().startswith("<!DOCTYPE html>")
        assert folders[name] in (run_folder / "report.html").read_text()
    assert (trained / "models" / folders["fan 3"] / "scores.csv").is_file()
    assert not (trained / "work").exists()
    assert not (trained / "models" / "dead").exists()


@pytest.mark.slow
def test_the_page_of_real_fans_in_a_browser(chromium: str, trained: Path) -> None:
    found = measured(chromium, trained / "fleet.html", 1200)
    assert (found["wide"], found["sections"]) == ([], 4)
    (trained / "outer.html").unlink()


def detectors(root: Path) -> dict[str, bytes]:
    """What must not depend on who made it, by file."""
    files = [*root.glob("models/*/detector.gyrovae/*"), *root.glob("datasets/*/*"), *root.glob("models/*/log.csv")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def processes() -> set[str]:
    """Command lines that make a model for this test."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode("utf-8", "replace")
        except OSError:  # it has just ended
            continue
        if "fleetmodel.serve" in line and os.getpid() == _test_of(entry.parent):
            found.add(entry.parent.name)
    return found


def _test_of(entry: Path) -> int:
    """The test that a process belongs to, by a variable of its environment."""
    try:
        environment = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return -1
    mine = [int(line.partition(b"=")[2]) for line in environment if line.startswith(b"OF_TEST=")]
    return mine[0] if mine else -1


def until(condition: Callable[[], Any], seconds: float = 600) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_killed_in_the_middle_and_resumed(trained: Path, fans: Path) -> None:
    """The same bytes as without, and with other processes side by side; nothing goes on after the kill."""
    out = fans.parent / "killed"
    words = [sys.executable, "-m", "gyrovae_tf.cli.main", "fleet", fans, "-o", out, "--by", "device", "--jobs", "1"]
    environment = {**os.environ, "OF_TEST": str(os.getpid())}
    process = subprocess.Popen([*map(str, [*words, *EPOCHS, "--reports"])], env=environment, stdout=subprocess.DEVNULL)
    until(lambda: (out / "models").is_dir() and list((out / "models").glob("[!.]*")) and processes())
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not processes())
    kept = {path: path.stat().st_mtime_ns for path in (out / "models").glob("[!.]*/run.json")}
    assert 1 <= len(kept) < 3
    assert json.loads((out / "fleet.json").read_text())["finished"] is False
    done = run(fans, "-o", out, "--by", "device", "--jobs", "2", "--resume", "--reports", *EPOCHS)
    assert done.exit_code == 1, done.output
    told = " ".join(done.stdout.split())
    assert f"{3 - len(kept)} made" in told
    assert f"{len(kept)} already there" in told
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert detectors(out) == detectors(trained)
    assert (out / "fleet.json").read_text() == (trained / "fleet.json").read_text()


@pytest.mark.slow
def test_one_model_for_a_group(fans: Path) -> None:
    out = fans.parent / "groups"
    done = fleet(
        fans,
        out,
        options=Options(epochs=3),
        mode="ptq",
        hop=128,
        lsb=0.01,
        false_alarms_per_day=240,
        vote=(2, 3),
        keep_datasets=False,
    )
    assert done.by == "group"
    assert list(done.failed) == ["dead", "short"]
    (group,) = (one for one in done.models if not one.failed)
    assert (group.name, group.devices, group.recordings) == ("fans", ("fan 1", "fan 2", "fan 3"), 3)
    assert {one.name: one.judged.held_back for one in done.devices if one.judged} == {
        "fan 1": True,
        "fan 2": True,
        "fan 3": False,
    }
    assert not (out / "datasets").exists()
    bundle = Bundle.load(out / "models" / group.folder)
    calibration = bundle.calibration
    assert (bundle.spec.lsb, calibration.vote_alarms, calibration.vote_windows) == (0.01, 2, 3)
    assert bundle.metrics["vote"]["events_per_day"] == pytest.approx(240)


@pytest.mark.slow
def test_a_copy_in_a_group_is_left_out_and_told(tmp_path: Path) -> None:
    """The device that it is of learnt nothing of its own; the others' held-back motion stays theirs."""
    for seed, names in enumerate((["a", "copy"], ["c"])):
        made = gt.simulate(TINY_MACHINE, seconds=60, seed=seed)
        for name in names:
            made.write(tmp_path / f"{name}.csv")
    table = written(tmp_path, "device,recording,group\na,a.csv,g\nb,copy.csv,g\nc,c.csv,g\n")
    done = fleet(table, tmp_path / "out", options=tiny_options(), mode="ptq", window=64)
    (model,) = done.models
    assert (model.failed, model.devices, model.recordings) == ("", ("a", "b", "c"), 2)
    assert "1 recording left out, as others hold the same samples: copy.csv." in model.doubts
    assert {one.name: one.judged is not None for one in done.devices} == {"a": True, "b": False, "c": True}


@pytest.mark.slow
def test_a_worker_of_dask_gives_the_same(trained: Path, fans: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="dask is not installed (extra scale)")
    lines = fans.read_text().splitlines()
    one = written(fans.parent, "\n".join([lines[0], lines[2]]), "one.csv")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, protocol="tcp://"
    ) as cluster:
        address = cluster.scheduler_address
        done = run(one, "-o", fans.parent / "dask", "--by", "device", "--scheduler", address, "--reports", *EPOCHS)
    assert done.exit_code == 0, done.output
    found = detectors(fans.parent / "dask")
    assert len(found) > 4
    assert found == {name: content for name, content in detectors(trained).items() if name in found}
