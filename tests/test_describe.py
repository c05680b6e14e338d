"""Descriptions: what a run, a bundle and a .tflite hold, for people and for scripts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_WINDOW, Tiny, tiny_options

from gyrovae_tf import golden, tflite
from gyrovae_tf.arena import Arena
from gyrovae_tf.describe import Description, describe, figure, many
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration
from gyrovae_tf.stockspec import StockSpec


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return tiny.copy(tmp_path)


def table(found: Description, title: str) -> dict[str, list[str]]:
    """First cell -> the others of a table's rows."""
    (rows,) = (rows for name, rows in found.sections if name == title)
    assert len({len(row) for row in rows}) == 1
    return {row[0]: row[1:] for row in rows[1:]}


def test_a_model(tiny: Tiny) -> None:
    found = describe(tiny.run.path / BUNDLE / "model_int8.tflite")
    model = tflite.describe(tiny.bundle.model)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["bytes"] == len(tiny.bundle.model)
    assert facts["sha256"] == tiny.bundle.model_sha256
    assert (facts["macs"], facts["contract"]) == (109_568, "kept")
    assert sum(operator["macs"] for operator in facts["operators"]) == 109_568
    assert {operator["name"] for operator in facts["operators"]} == set(tiny.bundle.ops)
    (images,) = (facts["tensors"][index] for index in facts["inputs"])
    assert (images["shape"], images["dtype"], images["scale"], images["zero_point"]) == (
        [2, 32, 32, 3],
        "int8",
        [1 / 32],
        [0],
    )
    assert [title for title, _ in found.sections] == ["model", "operators", "tensors"]
    assert table(found, "model")["multiply-accumulates"] == ["109,568, of which 109,568 in accelerated kernels"]
    assert table(found, "model")["contract"] == ["kept"]
    assert len(table(found, "operators")) == len(model.operators)
    tensors = table(found, "tensors")
    assert len(tensors) == len(model.tensors)
    assert tensors[f"{model.inputs[0]} in"][:4] == ["2 32 32 3", "int8", "0.03125", "0"]
    assert all(f"{index} out" in tensors for index in model.outputs)


def test_weights_are_counted_where_they_are_used(tiny: Tiny) -> None:
    facts = describe(tiny.run.path / BUNDLE / "model_int8.tflite").to_dict()
    dense = [operator for operator in facts["operators"] if operator["name"] == "FULLY_CONNECTED"]
    # 4 x 4 cells of 8 channels to 4 units, those to 32 rows of 8 channels, and each row's 8 to 96 pixels, a byte each;
    # then biases of four bytes, of which TensorFlow before 2.20 folds those of the code into the layer after it.
    sizes = sorted(operator["weight_bytes"] for operator in dense)
    pixels = 8 * 96 + 4 * 96
    assert sizes in (
        sorted([512 + 4 * 4, 1024, pixels] * 2),
        sorted([512, 1024 + 4 * 256, pixels] * 2),
    )
    assert sorted(operator["macs"] for operator in dense) == [512] * 2 + [1024] * 2 + [32 * 8 * 96] * 2


def test_a_bundle(tiny: Tiny) -> None:
    found = describe(tiny.run.path / BUNDLE)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    spec = tiny.dataset.spec
    detector = facts["detector"]
    assert (detector["window"], detector["window_ms"], detector["rate_hz"]) == (64, 320.0, 200.0)
    assert (detector["lsb"], detector["units"], detector["spec_digest"]) == (spec.lsb, "m/s^2", spec.digest)
    assert (detector["vote"], detector["false_alarm_rate"]) == ([3, 5], 0.01)
    calibration = tiny.bundle.calibration
    assert detector["regimes"] == {
        name: len(getattr(calibration, name).codes) for name in ("bands", "groups", "quarters", "rhythm", "level")
    }
    assert detector["score_table_bytes"] == calibration.table_bytes
    assert detector["lowest_band_hz"] == pytest.approx(2 * 200 / 64)
    assert detector["highest_band_hz"] == pytest.approx(90)
    assert facts["model"]["macs"] == facts["metrics"]["macs"] == 109_568
    assert facts["versions"].keys() >= {"tensorflow", "python"}
    assert [title for title, _ in found.sections] == [
        "detector",
        "calibration",
        "ways to quantise",
        "training",
        "versions",
        "model",
        "operators",
        "tensors",
    ]
    rows = table(found, "detector")
    assert rows["window"] == ["64 samples, 320 ms"]
    assert rows["vote"] == ["3 alarms of 5 windows"]
    assert rows["false alarms"] == ["1 % of normal windows"]
    assert f"rhythm {len(calibration.rhythm.codes)}," in rows["regimes"][0]
    inner = f"{calibration.threshold:.6g}"
    assert rows["score's inner scale"] == [f"{inner}; scores are divided by it, so that the alarm is at 1.0"]


def test_the_calibration_of_a_bundle_in_words(tiny: Tiny, tmp_path: Path) -> None:
    metrics = {
        "mode": "ptq",
        "macs": 109_568,
        "threshold": {"threshold": 1.9, "rate": 0.01, "rate_low": 0.00047, "rate_high": 0.0861},
        "trust": {
            "windows": 1350,
            "minutes": 7.2,
            "recordings": 1,
            "effective_windows": 10.4,
            "promised": False,
            "drift": 0.77,
            "drift_p": 0.005,
            "warnings": ["Too few data.", "The data drift."],
            "note": "",
        },
        "vote": {
            "alarms": 3,
            "windows": 5,
            "hop_s": 1.28,
            "events_per_day": 60.8,
            "events_low": 0.0006,
            "events_high": 67_500.0,
            "delay_s": {"1": 3.84, "0.9": 4.27, "0.5": 9.3},
            "warnings": ["An extrapolation."],
        },
        "modes": [{"mode": "float", "auroc": 0.9779, "error": 0.4716}, {"mode": "ptq", "auroc": None, "bytes": 11_904}],
        "something new": {"of": 3},
    }
    found = describe(dataclasses.replace(tiny.bundle, metrics=metrics).save(tmp_path / "a"))
    assert found.to_dict()["metrics"] == metrics
    (rows,) = (rows for title, rows in found.sections if title == "calibration")
    assert rows == [
        ["name", "value"],
        ["quantised by", "ptq"],
        ["model", "109,568 multiply-accumulates a window"],
        ["normal windows", "1,350 windows, 7.2 minutes in 1 recording; as good as 10 independent ones"],
        [
            "false alarms",
            "1 % of windows asked for; for more time of the same kind 0.047 to 8.6 % (95 % interval)",
        ],
        ["can be promised", "no, see the notes"],
        [
            "false events",
            "61 a day (95 % interval under 0.01 to 67,500), by 3 alarms of 5 windows, 1.3 s apart",
        ],
        [
            "delay of an event",
            "3.8 s where all windows of a fault are alarms, 4.3 s where nine in ten are, 9.3 s where half are",
        ],
        ["drift", "later stretches score -23 % against earlier ones (by chance: p = 0.005)"],
        ["something new.of", "3"],
        ["note", "Too few data."],
        ["note", "The data drift."],
        ["note", "An extrapolation."],
    ]
    (ways,) = (rows for title, rows in found.sections if title == "ways to quantise")
    assert ways[1:] == [
        ["float", "0.9779", "", "n/a", "0.4716", "", "", "", "", ""],
        ["ptq", "n/a", "", "n/a", "n/a", "0.00", "11,904", "", "", "kept"],
    ]


def test_the_arena_and_the_golden_windows_of_a_bundle(tiny: Tiny, tmp_path: Path) -> None:
    arena = Arena(18912, 5584, "tflite-micro 1", "measured; an estimate")
    windows = golden.choose(np.zeros((5, TINY_WINDOW, 3), np.int16))
    made = golden.make(tiny.bundle, windows)
    found = describe(dataclasses.replace(tiny.bundle, arena=arena, golden=made).save(tmp_path / "a"))
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))["detector"]
    assert facts["arena"] == {
        "host_bytes": 18912,
        "scratch_bytes": 5584,
        "suggested_bytes": 26032,  # 24,496 * 17 / 16 = 26,027
        "kernels": "tflite-micro 1",
        "method": "measured; an estimate",
    }
    assert facts["golden"] == {
        "windows": 6,
        "alarms": int((made.scores >= 1).sum()),
        "kernels": made.kernels,
        "version": made.version,
    }
    rows = table(found, "detector")
    assert rows["arena"] == ["reserve 26,032 bytes: 18,912 measured, 5,584 of scratch estimated (tflite-micro 1)"]
    assert rows["golden windows"][0].startswith("6, of which ")


def test_what_a_bundle_was_made_without(tiny: Tiny, tmp_path: Path) -> None:
    rows = table(describe(dataclasses.replace(tiny.bundle, arena=None, golden=None).save(tmp_path / "a")), "detector")
    assert (rows["arena"], rows["golden windows"]) == (["not measured"], ["none"])


def test_a_run(tiny: Tiny) -> None:
    found = describe(tiny.run)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["finished"] is True
    assert facts["options"]["epochs"] == tiny_options().epochs
    assert facts["metrics"] == tiny.run.metrics
    assert facts["bundles"][BUNDLE] == json.loads(json.dumps(describe(tiny.run.path / BUNDLE).to_dict()))
    rows = table(found, "training")
    assert rows["finished"] == ["yes"]
    assert rows["at the most"][0].startswith("3 epochs of ")
    assert rows["trained"] == ["3 epochs, of which number 3 is kept"]
    assert " nats: " in rows["field: its code carries"][0]
    assert f"{BUNDLE}: training" not in dict(found.sections)  # told above
    assert found.sections[1][0] == f"{BUNDLE}: detector"


def test_a_run_without_a_bundle(copy: Path) -> None:
    shutil.rmtree(copy / BUNDLE)
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {"finished": False, "metrics": {}}))
    found = describe(copy)
    assert found.to_dict()["bundles"] == {}
    assert [title for title, _ in found.sections] == ["training"]
    assert table(found, "training")["finished"] == ["no"]


def test_a_model_that_breaks_the_contract_is_described(tiny: Tiny, tmp_path: Path) -> None:
    """The input's scale, 1/32 as float32, doubled where it stands."""
    (tmp_path / "other.tflite").write_bytes(tiny.bundle.model.replace(b"\x00\x00\x00\x3d", b"\x00\x00\x80\x3d"))
    found = describe(tmp_path / "other.tflite")
    (violation,) = [line for line in found.to_dict()["contract"] if "scale" in line]
    assert "0.0625" in violation
    assert violation in table(found, "model")["contract"][0]


def test_what_is_none_of_these(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path, r"neither a run nor a bundle nor a dataset; expected a folder with run.json, manifest.json or data"),
        (tmp_path / "missing", "there is no"),
        (tmp_path / ("x" * 300), "cannot read|there is no"),
    ):
        with pytest.raises(GyrovaeError, match=message):
            describe(path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"x,y,z\n1,2,3\n", "a text file of 12 bytes"),
        ("a.h", "/* für */".encode() * 1000, "a text file of 10,000 bytes"),
        ("a.keras", b"PK\x03\x04" + bytes(100), "a zip archive (as .keras files are) of 104 bytes"),
        ("a.bin", bytes(100), "another binary file of 100 bytes"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "a Keras file (.h5) of 8 bytes"),
        ("a.tflite", b"version https://git-lfs", "a pointer of Git LFS (git lfs pull brings the file) of 23 bytes"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "another binary file of 8 bytes"),
        ("a", b"", "an empty file"),
    ],
)
def test_a_file_that_is_no_model_is_told_in_words(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(GyrovaeError) as told:
        describe(path)
    problem, remedy = str(told.value).splitlines()
    assert problem == f"{path} is not a .tflite model; expected a .tflite file, a run or a bundle, received {kind}"
    if name == "a.csv":
        assert remedy == f"A recording becomes a dataset first: gyrovae-tf preprocess {path} -o dataset"


def test_a_bundle_for_the_stock_firmware(tiny: Tiny, tmp_path: Path) -> None:
    levels = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.0, 0.01, 100, 3, 5)
    rows = table(describe(StockBundle(tiny.bundle.model, StockSpec(), levels, ()).save(tmp_path / "a")), "detector")
    assert rows["front end"] == ["of Seeed's stock firmware"]
    assert rows["alarm, second figure"] == ["at or below -30.00 dB, or at or above -15.00 dB"]
    assert rows["firmware.taps"] == ["200"]
    assert rows["vote"] == ["3 alarms of 5 windows"]


def test_a_dataset(tmp_path: Path) -> None:
    record: dict[str, Any] = {
        "spec": {"window": 256, "rate_hz": 200.0, "lsb": 0.001, "units": "m/s^2"},
        "hop": 64,
        "sources": ["a.csv", "b.csv"],
        "train_windows": 12_345,
        "validation_windows": 96,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(record))
    found = describe(tmp_path)
    assert found.to_dict() == {
        "dataset": {
            "frontend": "power",
            "train_windows": 12_345,
            "validation_windows": 96,
            "window": 256,
            "hop": 64,
            "rate_hz": 200.0,
            "lsb": 0.001,
            "units": "m/s^2",
            "sources": ["a.csv", "b.csv"],
        }
    }
    assert table(found, "dataset") == {
        "windows": ["12,345 to train on, 96 held back"],
        "window": ["256 samples; 64 from one to the next"],
        "rate": ["200 Hz"],
        "one count": ["0.001 m/s^2"],
        "front end": ["power"],
        "sources": ["a.csv, b.csv"],
        "next": [f"gyrovae-tf train {tmp_path} -o run"],
    }
    (tmp_path / "dataset.json").write_text("{}")  # of whatever version: what it does not say is not known
    assert table(describe(tmp_path), "dataset")["rate"] == ["not known Hz"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (7.1e-10, "under 0.01"), (0.23, "0.23"), (1.0, "1"), (57.3, "57"), (130.4, "130"), (6.75e4, "67,500")],
)
def test_a_figure_has_two_digits_and_no_power_of_ten(number: float, text: str) -> None:
    assert figure(number) == text


def test_counts() -> None:
    assert [many(count, "gap") for count in (0, 1, 2, 1200)] == ["0 gaps", "1 gap", "2 gaps", "1,200 gaps"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.json", r"run.json is not JSON: .*\nIt is damaged: train again, with --overwrite\."),
        (f"{BUNDLE}/manifest.json", r"manifest.json is not JSON: .*\nQuantise again\."),
        (f"{BUNDLE}/model_int8.tflite", r"model_int8.tflite is damaged"),
    ],
)
def test_a_damaged_file(copy: Path, name: str, message: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:200])
    with pytest.raises(GyrovaeError, match=message):
        describe(copy)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.tflite").open("wb") as file:
        file.truncate(1 << 30)  # sparse: it takes no room
    with pytest.raises(GyrovaeError, match="too large"):
        describe(tmp_path / "huge.tflite")
