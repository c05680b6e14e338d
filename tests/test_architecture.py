"""The script that compares architectures: it measures what it says, and goes on where it stopped."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from conftest import TINY_MACHINE, tiny_options

from gyrovae_tf.device.simulate import simulate


@pytest.fixture
def script() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "architecture.py"
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


RESULTS = {
    "4-8-8-8": {
        "fan": {
            "0": {"auroc": 0.9, "worst": 0.8, "error": 0.5, "macs": 109568, "bytes": 12480, "arena": 14560},
            "1": {"auroc": 1.0, "worst": 0.9, "error": 0.7, "macs": 109568, "bytes": 12464, "arena": 14560},
        },
        "pump": {"0": {"failed": "collapsed"}},
    }
}


def test_the_table(script: ModuleType) -> None:
    assert script.table(RESULTS, ["fan", "pump"]).splitlines() == [
        "| latent-patch-code-decoder | MACs | bytes | arena | error | fan | pump |",
        "|---|---|---|---|---|---|---|",
        "| 4-8-8-8 | 109,568 | 12,480 | 14,560 | 0.600 | 0.9500 (0.850) | failed |",
    ]


@pytest.mark.slow
def test_it_measures_and_goes_on(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fan = tmp_path / "fan"
    (fan / "normal").mkdir(parents=True)
    (fan / "anomaly" / "off").mkdir(parents=True)
    simulate(TINY_MACHINE, seconds=60, seed=1).write(fan / "normal" / "a.csv")
    simulate(TINY_MACHINE, seconds=20, seed=2).write(fan / "normal" / "b.csv")
    simulate(TINY_MACHINE, seconds=20, seed=3, fault="off").write(fan / "anomaly" / "off" / "c.csv")
    split = {"normal_train": ["a.csv"], "normal_test": ["b.csv"]}
    (fan / "meta.json").write_text(json.dumps({"sample_rate_hz": 200, "recommended_window": 64, "split": split}))
    monkeypatch.setattr(script, "Options", tiny_options)
    words = [str(fan), "-o", str(tmp_path / "out"), "--try", "4-8-8-8,3-8-8-4"]
    assert script.main(words) == 0
    first = capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    one, other = told["4-8-8-8"]["fan"]["0"], told["3-8-8-4"]["fan"]["0"]
    assert one["macs"] == 109_568 > other["macs"]
    assert one["bytes"] > other["bytes"]
    assert one["auroc"] > 0.95
    monkeypatch.setattr(script, "measured", None)  # nothing is measured again
    assert script.main(words) == 0
    assert capsys.readouterr().out == first
    assert script.main([str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 2
