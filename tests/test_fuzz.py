"""Where Atheris is installed, each reader of files and lines gets a stated number of inputs (benchmarks/fuzz.py)."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from conftest import Tiny

from gyrovae_tf.device.wire import sample_line, stock_line

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "tests" / "bundles" / "v4.gyrovae"
RUNS = {
    "tflite": 3000,
    "npy": 20_000,
    "npz": 5000,
    "csv": 1000,
    "pieces": 1000,
    "parquet": 5000,
    "lines": 20_000,
    "manifest": 1000,
    "keras": 5000,
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="atheris is not installed (pip install atheris)"
    ),
]


def seed(reader: str, tiny: Tiny, folder: Path) -> None:
    """One input that is whole, to change."""
    if reader == "tflite":
        shutil.copy(BUNDLE / "model_int8.tflite", folder)
    elif reader == "manifest":
        shutil.copy(BUNDLE / "manifest.json", folder)
    elif reader == "keras":
        with zipfile.ZipFile(tiny.run.path / "model.keras") as file:
            (folder / "a").write_bytes(file.read("config.json") + file.read("model.weights.h5"))
    elif reader == "parquet":
        columns = {"x": np.arange(9.0), "y": np.ones(9), "z": np.ones(9), "timestamp": 5.0 * np.arange(9)}
        pyarrow.parquet.write_table(pyarrow.table({**columns, "segment": ["a"] * 4 + ["b"] * 5}), folder / "a.parquet")
    elif reader == "npy":
        np.save(folder / "a.npy", np.arange(12, dtype=np.int16).reshape(3, 4))
    elif reader == "npz":
        np.savez(folder / "a.npz", a=np.arange(3), b=np.eye(2))
    elif reader == "lines":
        (folder / "a").write_bytes(sample_line(7, 35_000, 1, -2, 8192) + stock_line(0.1, -0.2, 9.81, 5) + b"boot\r\n")
    else:
        (folder / "a.csv").write_text('# {"rate_hz": 200}\ntimestamp,x,y,z\n0,1,2,3\n5,-1,.5,9.81\n10,1e1,2,3\n')


@pytest.mark.parametrize("reader", RUNS)
def test_a_reader_under_atheris(reader: str, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    seed(reader, tiny, tmp_path / "seeds")
    words = [f"-runs={RUNS[reader]}", "-seed=1", "-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={tmp_path}/"]
    program = [sys.executable, ROOT / "benchmarks" / "fuzz.py", reader, *words, tmp_path / "seeds"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Done {RUNS[reader]} runs" in done.stderr
