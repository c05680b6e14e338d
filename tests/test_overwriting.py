"""A slip of the name costs nobody a recording: commands write over files of their own kind alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import TINY_MACHINE, Tiny
from gyrovae_tf.cli.main import cli

from gyrovae_tf.device.simulate import simulate


@pytest.fixture
def place(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a run with its bundle, and a recording."""
    tiny.copy(tmp_path)
    simulate(TINY_MACHINE, seconds=10, seed=1).write(tmp_path / "mine.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(line: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, line.split())
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("line", "what", "own"),
    [
        ("emit-header run -o", "C header", "model.h"),
        ("flash-image run -o", "image of a detector", "detector.bin"),
        ("export run --format int8 -o", ".tflite model", "model.tflite"),
        ("report run -o", "HTML page", "report.html"),
        ("score run mine.csv -o", "table of scores", "scores.csv"),
        ("score run mine.csv -o scores.csv --summary", "HTML page", "fleet.html"),
    ],
)
def test_a_recording_is_not_replaced(place: Path, line: str, what: str, own: str) -> None:
    recorded = (place / "mine.csv").read_bytes()
    code, told = call(f"{line} mine.csv")
    assert (code, (place / "mine.csv").read_bytes()) == (2, recorded)
    assert told.splitlines()[-2:] == [
        f"gyrovae-tf: mine.csv is there already, and is no {what}",
        "Choose another name, or remove that file first.",
    ]
    (place / own).touch()  # empty: nothing to lose
    assert call(f"{line} {own}")[0] == 0
    first = (place / own).read_bytes()
    assert first
    assert call(f"{line} {own}")[0] == 0  # its own kind


def test_nor_one_in_parquet(place: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"x": [0.0], "y": [0.0], "z": [1.0]}).to_parquet(place / "mine.parquet")
    code, told = call("score run mine.csv -o mine.parquet")
    assert code == 2
    assert "mine.parquet is there already, and is no table of scores" in told
    assert [call("score run mine.csv -o scores.parquet")[0] for _ in range(2)] == [0, 0]


@pytest.mark.usefixtures("place")
def test_a_log_does_not_grow_in_a_recording() -> None:
    code, told = call("monitor --port nowhere --log mine.csv")
    assert code == 2
    assert "mine.csv is there already, and is no log of decisions" in told


def test_the_header_of_another_program_may_be_replaced(place: Path) -> None:
    """As Seeed's firmware has one of its own, which ours is to stand in for."""
    (place / "nn_model.h").write_text("\nunsigned char nn_model_tflite[] = {0x1c};\n")
    assert call("emit-header run -o nn_model.h")[0] == 0
    assert "nn_model_tflite_len" in (place / "nn_model.h").read_text()
