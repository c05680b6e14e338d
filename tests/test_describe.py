"""Descriptions: what a run, a bundle and a .tflite hold, for people and for scripts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_WINDOW, Tiny, tiny_options

from gyrovae_tf import golden, tflite
from gyrovae_tf.arena import Arena
from gyrovae_tf.describe import Description, describe
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.quantize import BUNDLE


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
    assert table(found, "model")["macs"] == ["109,568"]
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
        name: len(getattr(calibration, name).codes) for name in ("bands", "groups", "rhythm", "level")
    }
    assert detector["score_table_bytes"] == calibration.table_bytes
    assert detector["lowest_band_hz"] == pytest.approx(2 * 200 / 64)
    assert detector["highest_band_hz"] == pytest.approx(90)
    assert facts["model"]["macs"] == facts["metrics"]["macs"] == 109_568
    assert facts["versions"].keys() >= {"tensorflow", "python"}
    assert [title for title, _ in found.sections] == [
        "detector",
        "metrics",
        "versions",
        "model",
        "operators",
        "tensors",
    ]
    rows = table(found, "detector")
    assert rows["vote"] == ["3 5"]
    assert rows["regimes.rhythm"] == [str(len(tiny.bundle.calibration.rhythm.codes))]


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
    assert (rows["arena.host_bytes"], rows["golden.windows"]) == (["18,912"], ["6"])


def test_what_a_bundle_was_made_without(tiny: Tiny, tmp_path: Path) -> None:
    rows = table(describe(dataclasses.replace(tiny.bundle, arena=None, golden=None).save(tmp_path / "a")), "detector")
    assert rows["arena"] == rows["golden"] == ["not known"]


def test_a_run(tiny: Tiny) -> None:
    found = describe(tiny.run)
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["finished"] is True
    assert facts["options"]["epochs"] == tiny_options().epochs
    assert facts["metrics"] == tiny.run.metrics
    assert facts["bundles"][BUNDLE] == json.loads(json.dumps(describe(tiny.run.path / BUNDLE).to_dict()))
    rows = table(found, "training")
    assert rows["finished"] == ["yes"]
    assert rows["options.epochs"] == ["3"]
    assert rows["metrics.best_epoch"] == ["3"]
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
        (tmp_path, r"is neither a run nor a bundle; expected a folder with run.json or manifest.json, or a .tflite"),
        (tmp_path / "missing", "there is no"),
        (tmp_path / ("x" * 300), "cannot read|there is no"),
    ):
        with pytest.raises(GyrovaeError, match=message):
            describe(path)
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    with pytest.raises(GyrovaeError, match=r"is not a .tflite model"):
        describe(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.json", r"run.json is not JSON"),
        (f"{BUNDLE}/manifest.json", r"manifest.json is not JSON"),
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
