"""The whole way, as a user goes it: from a recording to a header that compiles, on simulated and on real machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_options

import gyrovae_tf as gt
from gyrovae_tf.device.simulate import FAULTS, Machine
from gyrovae_tf.learn.demo import demo
from gyrovae_tf.learn.layout import training_part


def compiled_model(header: Path) -> bytes:
    """The model array of a header as a compiled C++ program finds it."""
    compiler = shutil.which("g++")
    if compiler is None:
        message = "no g++ here to compile the header with"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = header.parent
    (folder / "main.cpp").write_text(
        f"""
        #include "{header.name}"
        #include <cstdio>
        int main() {{ return std::fwrite(nn_model_tflite, 1, nn_model_tflite_len, stdout) != nn_model_tflite_len; }}
        """
    )
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "main.cpp", "-o", "program"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return subprocess.run([folder / "program"], check=True, capture_output=True).stdout


def test_from_a_recording_to_a_header(tmp_path: Path) -> None:
    pump = Machine(rate_hz=400.0, shaft_hz=49.0, blades=5, structure_hz=120.0, bearing_hz=170.0)
    for name, seconds, fault, seed in (
        ("normal", 50, None, 1),
        ("more", 15, None, 2),
        ("off", 10, "off", 3),
        ("blockage", 10, "blockage", 4),
    ):
        gt.simulate(pump, seconds=seconds, fault=fault, severity=1.5, seed=seed).write(tmp_path / f"{name}.csv")

    dataset = gt.preprocess([tmp_path / "normal.csv"], tmp_path / "dataset", window=128)
    assert (dataset.spec.rate_hz, dataset.spec.units, dataset.spec.lsb) == (400.0, "m/s^2", pump.lsb)
    run = gt.train(tmp_path / "dataset", tmp_path / "run", options=tiny_options(seed=5))
    bundle = gt.quantize(run, false_alarm_rate=0.02, vote=(2, 3))
    faults = {"off": [tmp_path / "off.csv"], "blockage": [tmp_path / "blockage.csv"]}
    result = gt.evaluate(tmp_path / "run", normal=[tmp_path / "more.csv"], anomalies=faults)
    assert min(result.auroc.values()) > 0.95
    assert result.false_alarm_rate < 0.15
    assert result.groups["off"].alarms > 0.95
    assert result.groups["off"].events >= 1

    text = gt.emit_header(run, tmp_path / "nn_model.h")
    assert (tmp_path / "nn_model.h").read_text() == text
    assert bundle.spec.digest in text
    assert compiled_model(tmp_path / "nn_model.h") == bundle.model

    detector = gt.Detector(tmp_path / "run")
    still = np.tile(np.array([0, 0, round(9.80665 / pump.lsb)], np.int16), (1, 128, 1))
    assert detector.score_windows(still).score[0] > 1


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    seen: list[str] = []
    made = demo(tmp_path / "demo", seed=1, progress=lambda _done, _total, what: seen.append(what))
    told = json.loads((tmp_path / "demo" / "evaluation.json").read_text())
    assert told == json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert told["auroc"].keys() == FAULTS.keys()
    assert told["auroc_mean"] > 0.95
    assert told["auroc_min"] > 0.85
    assert told["false_alarm_rate"] < 0.05
    assert told["events_per_hour"]["off"] > 30
    assert (told["macs"], told["model_bytes"]) == (109_568, made.model_bytes)
    assert made.model_bytes <= 64 * 1024
    assert all(Path(path).exists() for path in made.files)
    assert {"simulating", "windows", "scoring normal windows", "calibrating", "normal (1 of 7)"} <= set(seen)
    header = tmp_path / "demo" / "nn_model.h"
    assert compiled_model(header) == gt.Bundle.load(tmp_path / "demo" / "run").model
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    (tmp_path / "demo" / "evaluation.json").unlink()
    with pytest.raises(gt.GyrovaeError, match="holds other files"):
        demo(tmp_path / "demo")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode", "least"),
    [
        ("nxp_fan", "best", 0.99),
        ("ceiling_fan_esp32", "ptq", 0.975),
        ("nicla_transport_accel", "best", 0.985),
        ("rosa_shaft_imu", "ptq", 0.92),
    ],
)
def test_real_machines(shared: Path, tmp_path: Path, name: str, mode: str, least: float) -> None:
    """Else defaults throughout, one seed: the mean AUROC over the kinds of anomaly, and false alarms for 1 % asked."""
    folder = shared / "datasets" / name
    files, meta = training_part(folder)
    dataset = gt.preprocess(files, tmp_path / "dataset", window=meta["recommended_window"])
    run = gt.train(dataset, tmp_path / "run")
    gt.quantize(run, mode=mode)
    told = gt.evaluate(run, dataset=folder).to_dict()
    print(f"\n{name}: {json.dumps(told)}")
    assert told["auroc"].keys() == meta["anomaly_kinds"].keys()
    assert told["auroc_mean"] >= least
    assert told["false_alarm_rate"] <= 0.04
