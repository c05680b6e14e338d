"""The command check: exit status, text and JSON; and a bundle's golden windows run along."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import Tiny
from gyrovae_tf.cli.main import cli
from handmade import source
from test_lint import contracted, rich

from gyrovae_tf import golden, runtime
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.lint import check

SEPARATE: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*words: str | Path) -> Result:
    return CliRunner(**SEPARATE).invoke(cli, ["check", *map(str, words)])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A .tflite that keeps the contract."""
    made = contracted()
    (tmp_path / "kept.tflite").write_bytes(made.build(*made.outputs))
    return tmp_path / "kept.tflite"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A .tflite that breaks it, with warnings besides."""
    (tmp_path / "broken.tflite").write_bytes(rich())
    return tmp_path / "broken.tflite"


@pytest.fixture(scope="session")
def bundle(tiny: Tiny) -> Bundle:
    """The shared detector, with golden windows of the best kernels there are."""
    windows = tiny.dataset.validation_windows
    assert windows is not None
    return dataclasses.replace(tiny.bundle, golden=golden.make(tiny.bundle, golden.choose(windows)))


def changed(bundle: Bundle, **arrays: Any) -> Bundle:
    """The same bundle with other golden windows."""
    assert bundle.golden is not None
    return dataclasses.replace(bundle, golden=dataclasses.replace(bundle.golden, **arrays))


# --- exit status ----------------------------------------------------------------------------------------------


def test_status_0_without_errors_and_1_with_them(kept: Path, broken: Path) -> None:
    assert run(kept).exit_code == 0
    result = run(broken)
    assert result.exit_code == 1
    assert result.stderr == ""
    assert run(broken, "--json").exit_code == 1


def test_status_2_for_what_is_no_model(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "text").write_text("no model")
    for words, reason in (
        (
            [tmp_path / "text"],
            "text is not a .tflite model; expected a .tflite file, a run or a bundle, received a text",
        ),
        ([tmp_path / "nothing"], "there is no"),
        ([tmp_path], "holds no quantised model"),
        (["x" * 5000], "cannot read"),
        ([kept, "--target", "esp8266"], "unknown target; expected esp32s3, received esp8266"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert reason in result.stderr
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) <= 2


def test_the_status_reaches_the_shell(broken: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "gyrovae_tf.cli.main", "check", broken], capture_output=True)
    assert done.returncode == 1
    assert b"1 error" not in done.stdout
    assert b"4 errors" in done.stdout
    assert done.stderr == b""


def test_help_says_what_the_status_means() -> None:
    result = run("--help")
    assert "Exit status: 0 without errors, 1 with errors, 2 when MODEL cannot be used" in " ".join(
        result.output.split()
    )


# --- what is printed ------------------------------------------------------------------------------------------


def test_text(broken: Path) -> None:
    lines = run(broken).stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("target: ESP32-S3 at 240 MHz")
    assert any("ESTIMATE, not a measurement" in line for line in lines)
    rows = [line.split() for line in lines if line.startswith("0 ")]
    # 4 * 4 * 8 outputs of 27 MACs; 8 * 27 weights and 8 * 4 bytes of bias; 8 * 8 * 3 in and 4 * 4 * 8 out
    assert rows[0][:7] == ["0", "CONV_2D", "1x4x4x8", "3,456", "248", "320", "yes"]
    place = lines.index("warning: unfused-relu")
    assert lines[place + 1] == "  operator 3 RELU (t9): RELU behind operator 2 DEPTHWISE_CONV_2D"
    assert lines[place + 2].startswith("    why: It is an operator and a tensor more than needed")
    assert lines[place + 4].startswith("    do: Give the layer before it the activation.")
    assert lines[-1] == "4 errors, 5 warnings, 8 notes"
    assert (
        "These errors are about Gyrovae's firmware: nothing is known here that keeps a program of your own with "
        "TensorFlow Lite Micro from the model."
    ) in " ".join(lines)


def test_what_a_program_of_ones_own_meets(tmp_path: Path) -> None:
    made, image = source([1, 4])
    (tmp_path / "m").write_bytes(made.build(made.then("GELU", made.then("TANH", image))))
    assert (
        "Of these errors, a program of your own with TensorFlow Lite Micro meets unknown-operator; the others are "
        "about Gyrovae's firmware."
    ) in " ".join(run(tmp_path / "m").stdout.splitlines())
    (tmp_path / "kept").write_bytes(contracted().build(*contracted().outputs))
    assert "program of your own" not in run(tmp_path / "kept").stdout


def test_many_places_of_one_rule_are_counted(tmp_path: Path) -> None:
    made, image = source([1, 4])
    for _ in range(9):
        image = made.then("TANH", image)
    (tmp_path / "m").write_bytes(made.build(image))
    lines = run(tmp_path / "m").stdout.splitlines()
    assert sum("TANH is not registered" in line for line in lines) == 6
    assert "  and 3 more places (--json lists all)" in lines


def test_one_json_object(broken: Path) -> None:
    record = json.loads(run(broken, "--json").stdout)
    assert list(record) == ["target", "ok", "obstacles", "findings", "layers", "totals", "estimate", "arena", "golden"]
    assert (record["ok"], record["arena"], record["golden"], record["target"]["name"]) == (False, None, None, "esp32s3")
    assert record == json.loads(json.dumps(check(broken).to_dict()))
    (finding,) = (f for f in record["findings"] if f["rule"] == "unfused-relu")
    assert {key: finding[key] for key in ("severity", "operator", "op", "tensor", "where")} == {
        "severity": "warning",
        "operator": 3,
        "op": "RELU",
        "tensor": "t9",
        "where": "operator 3 RELU (t9)",
    }
    assert {"what", "why", "remedy"} <= set(finding)
    assert sum(layer["macs"] for layer in record["layers"]) == record["totals"]["macs"]
    assert record["totals"]["file_bytes"] == broken.stat().st_size
    assert sum(layer["cycles"] for layer in record["layers"]) == pytest.approx(record["estimate"]["cycles"])


def test_bytes_and_a_path_are_the_same(kept: Path) -> None:
    assert check(kept) == check(str(kept)) == check(kept.read_bytes())


# --- bundles --------------------------------------------------------------------------------------------------


def test_a_bundle_and_the_run_that_holds_it(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "run" / "detector.gyrovae")
    for place in (tmp_path / "run", tmp_path / "run" / "detector.gyrovae"):
        result = run(place)
        assert result.exit_code == 0, result.stdout
        assert f"golden windows: 6 run on {runtime.best()}" in result.stdout
    found = check(tmp_path / "run")
    assert found.golden is not None
    assert found.golden.problems == ()
    assert found.arena == bundle.arena
    assert [f.rule for f in found.findings if f.rule.startswith("golden")] == []


def test_golden_windows_that_come_out_otherwise_are_an_error(bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.golden is not None
    outputs = bundle.golden.outputs.copy()
    outputs[0, 0, 0, 0, 0] ^= 1  # one pixel, by one step
    changed(bundle, outputs=outputs).save(tmp_path / "b.gyrovae")
    result = run(tmp_path / "b.gyrovae")
    assert result.exit_code == 1
    assert "model: 6 golden windows: the model gives other outputs (pixels: 1, by up to 1 LSB)" in result.stdout


def test_golden_windows_of_kernels_that_are_missing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bundle.golden is not None
    changed(bundle, kernels="tflm", version="tflite-micro 0").save(tmp_path / "b.gyrovae")
    monkeypatch.setattr(runtime, "installed", lambda: ("litert",))
    result = check(tmp_path / "b.gyrovae")
    assert result.ok
    (finding,) = (f for f in result.findings if f.rule == "golden-kernels")
    assert finding.severity == "warning"
    assert finding.what.startswith(
        "the golden windows are from tflm (tflite-micro 0) and ran on litert (ai-edge-litert"
    )
    assert "gyrovae-tf[tflm]" in finding.remedy


def test_a_bundle_without_golden_windows(bundle: Bundle, tmp_path: Path) -> None:
    dataclasses.replace(bundle, golden=None).save(tmp_path / "b.gyrovae")
    result = check(tmp_path / "b.gyrovae")
    assert result.ok
    assert result.golden is None
    assert [f.severity for f in result.findings if f.rule == "golden-missing"] == ["note"]


def test_a_model_with_errors_is_not_run(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of TFLM trust what they are given."""
    dataclasses.replace(bundle, model=rich()).save(tmp_path / "b.gyrovae")
    monkeypatch.setattr(golden, "verify", lambda _: pytest.fail("it was run"))
    rules = {f.rule for f in check(tmp_path / "b.gyrovae").findings}
    assert "golden-not-run" in rules
    assert "resolver" in rules  # the manifest lists the operators of another model


def test_golden_windows_that_cannot_be_run_are_an_error(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrovae_tf.errors import GyrovaeError

    def refuse(_: Bundle) -> Golden:
        raise GyrovaeError("TensorFlow Lite Micro cannot run this .tflite: no memory")

    bundle.save(tmp_path / "b.gyrovae")
    monkeypatch.setattr(golden, "verify", refuse)
    result = run(tmp_path / "b.gyrovae")
    assert result.exit_code == 1
    assert "the golden windows cannot be run: TensorFlow Lite Micro cannot run this" in result.stdout


def test_an_operator_that_the_resolver_would_lack(bundle: Bundle, tmp_path: Path) -> None:
    dataclasses.replace(bundle, ops=tuple(op for op in bundle.ops if op != "RESHAPE")).save(tmp_path / "b.gyrovae")
    (finding,) = check(tmp_path / "b.gyrovae").of("error")
    assert finding.what == "the model uses what the manifest does not list: RESHAPE"


def test_our_own_model_has_nothing_that_esp_nn_gets_wrong(bundle: Bundle) -> None:
    """What the architecture was chosen for: symmetric padding, accelerated sums, nothing unfolded, all aligned."""
    result = check(bundle.model)
    assert result.of("error") == ()
    assert result.accelerated_macs == result.macs
    assert {f.rule for f in result.findings} <= {"reference-kernel", "slow-path"}
    assert np.isfinite(result.estimate.ms)
    assert 0 < result.estimate.ms < 100
