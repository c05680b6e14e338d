"""The same recordings and seed give the same bytes, on one thread and on two: dataset, .tflite, bundle and header.

TensorFlow adds up in another order with another number of threads; `learn.engine` therefore gives it one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WHOLE_WAY = """
import hashlib, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import TINY_MACHINE, TINY_WINDOW, tiny_options
import gyrovae_tf as gt

place = Path(sys.argv[1])
gt.simulate(TINY_MACHINE, seconds=40, seed=3).write(place / "normal.csv")
dataset = gt.preprocess([place / "normal.csv"], place / "dataset", window=TINY_WINDOW, hop=32)
run = gt.train(dataset, place / "run", options=tiny_options(seed=5))
gt.emit_header(gt.quantize(run), place / "nn_model.h", golden=True)
files = sorted(p for p in place.rglob("*") if p.is_file() and "tensorboard" not in p.parts)
found = {p.relative_to(place).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
print(json.dumps(found))
"""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@pytest.mark.slow
def test_the_whole_way_gives_the_same_bytes_on_one_thread_and_on_two(tmp_path: Path) -> None:
    found = []
    for threads in ("1", "2"):
        place = tmp_path / "here" if threads == "1" else tmp_path / "there"
        place.mkdir()
        command = [sys.executable, "-c", WHOLE_WAY, str(place), str(Path(__file__).parent)]
        environment = {**os.environ, **dict.fromkeys(THREADS, threads)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    one, two = found
    wanted = {
        "nn_model.h",
        "dataset/train_images-00000.npy",
        "run/detector.gyrovae/model_int8.tflite",
        "run/model.keras",
    }
    assert wanted <= set(one)
    assert {name for name in one if one[name] != two[name]} | (set(one) ^ set(two)) == set()
