"""Evaluation of recordings of any length: the figures of those in memory, whoever computes them and however often."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny
from gyrovae_tf.cli.main import cli

from gyrovae_tf import workers
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import evaluate as library
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.compare import evenly
from gyrovae_tf.learn.cutting import cut, segments_of
from gyrovae_tf.learn.evaluate import Evaluation, evaluate, load_baseline
from gyrovae_tf.learn.measured import Way, measure
from gyrovae_tf.recording import Recording
from gyrovae_tf.runtime import Detector
from gyrovae_tf.shards import Job
from gyrovae_tf.streaming import sources_of

HOP = 16
SHARDS: dict[str, Any] = {"shard_rows": 400, "long_bytes": 1000, "hop": HOP}
"""So small that every recording is several shards."""


def gapped(recording: Recording, *borders: int) -> Recording:
    ends = [0, *borders, len(recording)]
    return dataclasses.replace(recording, segments=tuple(itertools.pairwise(ends)))


KINDS = {
    "normal": [
        simulate(TINY_MACHINE, seconds=12, seed=2),
        gapped(simulate(TINY_MACHINE, seconds=6, seed=3), 390, 410, 1000),  # 20 samples between two gaps
    ],
    "off": [
        simulate(TINY_MACHINE, seconds=0.3, seed=4, fault="off"),  # too short for a window
        gapped(simulate(TINY_MACHINE, seconds=6, seed=5, fault="off"), 600),
    ],
    "loose": [simulate(TINY_MACHINE, seconds=6, seed=6, fault="looseness")],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The same in files."""
    folder = tmp_path_factory.mktemp("recordings")
    found: dict[str, list[Path]] = {}
    for kind, recordings in KINDS.items():
        for number, recording in enumerate(recordings):
            found.setdefault(kind, []).append(folder / kind / f"{number}.csv")
            recording.write(found[kind][-1])
    return found


def options(kinds: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `evaluate`."""
    return {"normal": kinds["normal"], "anomalies": {kind: kinds[kind] for kind in kinds if kind != "normal"}}


def figures(*given: Any, **options: Any) -> Evaluation:
    """What `evaluate` finds, but for the name of the one recording that is too short, which a file has another of."""
    found = evaluate(*given, **options)
    assert [re.sub(r"\(.*\)", "", text) for text in found.unused] == [
        "off: 1 recording  with no stretch as long as a window: left out."
    ]
    return dataclasses.replace(found, unused=())


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> Evaluation:
    """Recordings in memory, evaluated here, each at once."""
    return figures(tiny.run, **options(KINDS), hop=HOP)


# --- the figures


def test_every_window_has_the_detectors_score_and_the_baselines_distance(
    tiny: Tiny, files: dict[str, list[Path]]
) -> None:
    detector, classical = Detector(tiny.bundle), load_baseline(tiny.run)
    assert classical is not None
    job = Job(tiny.bundle, detector.model.kernels, HOP, None)
    sources = {kind: sources_of(mine) for kind, mine in files.items()}
    found = measure(job, sources, classical, Way(shard_rows=400, long_bytes=1000), None)
    for kind, recordings in KINDS.items():
        windows, origins = cut(recordings, window=TINY_WINDOW, hop=HOP, lsb=tiny.bundle.spec.lsb)
        assert np.array_equal(found[kind].score, detector.score_windows(windows).score)
        assert np.array_equal(found[kind].distance, classical.distance(log_band_energies(windows)))
        borders = [np.flatnonzero(np.diff(one)) for one in (found[kind].segments, segments_of(origins, recordings))]
        assert borders[0].tolist() == borders[1].tolist()
        assert len(found[kind].shards) > len(recordings)
        places = evenly(len(windows))
        assert np.array_equal(found[kind].windows(job, places), windows[places])


def test_files_in_shards_give_the_same(tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation) -> None:
    assert figures(tiny.run, **options(files), hop=HOP) == whole
    assert figures(tiny.run, **options(files), **SHARDS) == whole
    assert whole.groups["off"].stretches == 2


def test_folders_patterns_and_parquet(tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation) -> None:
    folder = files["normal"][0].parents[1]
    named = {"normal": [folder / "normal"], "off": [f"{folder}/off/[01].csv"], "loose": [str(files["loose"][0])]}
    assert figures(tiny.run, **options(named), hop=HOP) == whole
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra scale)")
    import pyarrow
    import pyarrow.parquet

    recording = KINDS["loose"][0]
    head = f'{{"rate_hz": {recording.rate_hz}, "units": "m/s^2"}}'
    columns = {axis: recording.samples[:, index] for index, axis in enumerate("xyz")}
    stored = pyarrow.table(columns).replace_schema_metadata({"gyrovae": head})
    pyarrow.parquet.write_table(stored, folder / "loose.parquet", row_group_size=300)
    named["loose"] = [str(folder / "loose.parquet")]
    assert figures(tiny.run, **options(named), **SHARDS) == whole


def test_urls(tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra scale)")
    store = fsspec.filesystem("memory")
    names: dict[str, list[str]] = {}
    for kind, paths in files.items():
        store.makedirs(f"/test_measured/{kind}", exist_ok=True)
        for path in paths:
            store.pipe(f"/test_measured/{kind}/{path.name}", path.read_bytes())
        names[kind] = [f"memory://test_measured/{kind}"]
    assert figures(tiny.run, **options(names), **SHARDS) == whole


# --- several workers


def test_several_processes_give_the_same(tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation) -> None:
    seen: list[tuple[int, int, str]] = []
    found = figures(tiny.run, **options(files), **SHARDS, jobs=2, progress=lambda *words: seen.append(words))
    assert found == whole
    rows = sum(len(recording) for recordings in KINDS.values() for recording in recordings)
    assert {(total, what) for _, total, what in seen} == {(5, "a first look"), (rows, "scoring")}
    assert seen[-1][0] == rows
    assert figures(tiny.run, **options(KINDS), hop=HOP, jobs=2) == whole


def test_a_worker_that_is_killed_costs_nothing_but_time(
    tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation
) -> None:
    killed: list[int] = []

    def kill(_done: int, _total: int, _what: str) -> None:
        children = multiprocessing.active_children()
        if len(killed) < 2 and children:
            killed.append(children[0].pid or 0)
            os.kill(killed[-1], signal.SIGKILL)

    assert figures(tiny.run, **options(files), **SHARDS, jobs=2, progress=kill) == whole
    assert len(killed) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_refusal_at_the_first_look_names_the_kind_and_ends_the_workers(
    tiny: Tiny, files: dict[str, list[Path]], tmp_path: Path, jobs: int
) -> None:
    (tmp_path / "bad.csv").write_text("x,y,z\n" + "1,2,oops\n" * 200)
    with pytest.raises(GyrovaeError, match=r"^off: ") as refused:
        evaluate(tiny.run, **options({**files, "off": [tmp_path / "bad.csv"]}), **SHARDS, jobs=jobs)
    assert refused.traceback  # keeps what it went through: nothing is collected as garbage yet
    assert not multiprocessing.active_children()


def test_little_is_done_by_this_process(
    tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("more processes for a minute of motion")

    monkeypatch.setattr(workers, "_by_processes", refuse)
    assert figures(tiny.run, **options(files), hop=HOP, shard_rows=400, jobs=None) == whole
    assert Way(jobs=None).workers(much=True)["jobs"] == workers.cores()
    with pytest.raises(GyrovaeError, match="the number of jobs is not usable; expected at least 1, received 0"):
        evaluate(tiny.run, **options(files), jobs=0)


# --- interrupted work


def test_work_that_is_killed_goes_on_where_it_stopped(
    tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation, tmp_path: Path
) -> None:
    parts = tmp_path / "parts"
    named = {kind: list(map(str, paths)) for kind, paths in files.items()}
    code = "import time; from gyrovae_tf.learn.evaluate import evaluate; " + (
        f"evaluate({str(tiny.run.path)!r}, **{options(named)!r}, **{SHARDS!r}, parts={str(parts)!r}, "
        "progress=lambda *_: time.sleep(0.2))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while len(list(parts.glob("0*.npz"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("0*.npz")}
    assert 3 <= len(kept) < 15
    seen: dict[str, int] = {}

    def look(*_: object) -> None:
        seen.update({name: (parts / name).stat().st_mtime_ns for name in kept})

    with pytest.raises(GyrovaeError, match=r"the interrupted work in .*parts was another"):
        evaluate(tiny.run, **options(named), **(SHARDS | {"hop": 17}), parts=parts)
    assert figures(tiny.run, **options(named), **SHARDS, parts=parts, progress=look) == whole
    assert seen == kept
    assert not parts.exists()


def test_parts_are_of_files_and_in_a_folder_of_their_own(
    tiny: Tiny, files: dict[str, list[Path]], tmp_path: Path
) -> None:
    with pytest.raises(GyrovaeError, match="only what comes of recordings in files can be kept in parts"):
        evaluate(tiny.run, **options(KINDS), parts=tmp_path / "parts")
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(GyrovaeError, match="holds other files"):
        evaluate(tiny.run, **options(files), parts=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# --- memory

_EVALUATE = """
import resource, sys
from gyrovae_tf.learn.evaluate import evaluate
def most_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
run, small, large = sys.argv[1:]
evaluate(run, normal=[small], hop=1000, long_bytes=1000)
before = most_kb()
print(evaluate(run, normal=[large], hop=1000, long_bytes=1000).groups["normal"].windows, most_kb() - before)
"""


def test_memory_does_not_grow_with_the_recording(tiny: Tiny, tmp_path: Path) -> None:
    """Two million rows in no more memory than half a million; held at once they are 48 MB as float64."""
    motion = simulate(TINY_MACHINE, seconds=250, seed=7)
    motion.write(tmp_path / "part.csv")
    lines = (tmp_path / "part.csv").read_text().splitlines(keepends=True)
    head, rows = "".join(lines[:2]), "".join(lines[2:])
    for name, times in (("small.csv", 10), ("large.csv", 40)):
        (tmp_path / name).write_text(head + rows * times)
    done = subprocess.run(
        [sys.executable, "-c", _EVALUATE, tiny.run.path, tmp_path / "small.csv", tmp_path / "large.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    windows, grown_kb = map(int, done.stdout.split())
    assert windows == (40 * len(motion) - TINY_WINDOW) // 1000 + 1
    assert grown_kb < 30_000


# --- the command


def run(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, ["evaluate", *map(str, words)])


def test_the_command(tiny: Tiny, files: dict[str, list[Path]], whole: Evaluation, tmp_path: Path) -> None:
    folder = files["normal"][0].parents[1]
    words = ["--normal", folder / "normal", "--anomaly", f"off={folder / 'off'}", "--anomaly", f"loose={folder}/loose"]
    done = run(tiny.run.path, *words, "--hop", HOP, "--jobs", "2", "--parts", tmp_path / "parts")
    assert done.exit_code == 0, done.output
    told = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[2:5]}
    assert told == {kind: str(whole.groups[kind].windows) for kind in KINDS}
    assert not (tmp_path / "parts").exists()
    both = run(tiny.run.path, *words, "--jobs", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert both.exit_code == 2
    assert "either --jobs or --scheduler" in both.output


def test_ctrl_c_says_what_is_kept(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "evaluate", stopped)
    done = run(tiny.run.path, "--normal", "a.csv", "--parts", tmp_path / "parts")
    assert done.exit_code == 2
    assert done.output == "gyrovae-tf: stopped by Ctrl-C\nWhat is done is kept: the same command goes on.\n"
