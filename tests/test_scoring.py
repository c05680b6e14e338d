"""Fleet scoring: the detector's own scores, whoever computes them, however often they are killed."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib.util
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
import threadpoolctl
from conftest import TINY_MACHINE
from gyrovae_tf.cli.main import cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyrovae_tf import scoretable, scoring, workers
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import cut, segments_of
from gyrovae_tf.learn.evaluate import evaluate
from gyrovae_tf.learn.fleetpage import fleet_page
from gyrovae_tf.ranking import SLICES, Device, Tally, ranked
from gyrovae_tf.recording import Recording
from gyrovae_tf.runtime import Detector
from gyrovae_tf.scoring import NothingScoredError, Scored, score_recordings
from gyrovae_tf.shards import _coded, top_reasons
from gyrovae_tf.signal.score import reasons, vote

BUNDLE = Path(__file__).with_name("bundles") / "v3.gyrovae"
HAVE = {name: importlib.util.find_spec(name) is not None for name in ("pyarrow", "distributed")}
needs_parquet = pytest.mark.skipif(not HAVE["pyarrow"], reason="pyarrow is not installed (extra scale)")
SHARDS: dict[str, Any] = {"shard_rows": 400, "long_bytes": 1000, "hop": 16}
"""So small that every recording is several shards."""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(BUNDLE)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three devices: one that is well, one that breaks, one whose second recording has gaps."""
    folder = tmp_path_factory.mktemp("fleet")
    for device, fault in (("well", None), ("worn", "looseness"), ("gaps", None)):
        for number in range(2):
            made = simulate(TINY_MACHINE, seconds=6, seed=10 + number, fault=fault if number else None)
            if device == "gaps" and number:
                made = Recording(made.samples, made.rate_hz, ((0, 450), (450, 480), (480, len(made))), "g")
            (folder / device).mkdir(exist_ok=True)
            made.write(folder / device / f"{number}.csv")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def once(bundle: Bundle, fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """All of it scored here, one shard after the other."""
    return score_recordings(bundle, [fleet], tmp_path_factory.mktemp("once") / "scores.csv", **SHARDS)


# --- what is in the table


def test_every_window_once_with_the_detectors_own_score(bundle: Bundle, fleet: Path, once: Scored) -> None:
    detector, found = Detector(bundle, once.kernels), rows(once.path)
    vote_of = bundle.calibration.vote_alarms, bundle.calibration.vote_windows
    stride = bundle.spec.window // 16
    expected: list[dict[str, str]] = []
    for path in sorted(fleet.rglob("*.csv")):
        recording = Recording.read(path)
        windows, origins = cut([recording], window=bundle.spec.window, hop=16, lsb=bundle.spec.lsb)
        scores, segments = detector.score_windows(windows), segments_of(origins, [recording])
        alarm = scores.score >= 1
        events = [vote(alarm[segments == segment], *vote_of, stride) for segment in np.unique(segments)]
        for index, event in enumerate(np.concatenate(events)):
            (top,) = reasons(scores.deviation[index], bundle.spec, count=1)
            row = {
                "recording": str(path),
                "segment": segments[index],
                "start": origins[index, 1],
                "start_s": origins[index, 1] / 200.0,
                "score": float(scores.score[index]),
                "alarm": str(bool(alarm[index])).lower(),
                "event": str(bool(event)).lower(),
                "axis": top.axis,
                "low_hz": top.low_hz,
                "high_hz": top.high_hz,
                "direction": top.direction,
                "share": top.share,
            }
            expected.append({name: str(value) for name, value in row.items()})
    assert found == expected
    assert len(found) == once.windows == once.scored
    assert 0 < once.alarms == sum(row["alarm"] == "true" for row in found) < len(found)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([-3.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.5]), min_size=96, max_size=96), st.booleans())
def test_the_top_reason_is_the_first_of_reasons(values: list[float], uneven: bool) -> None:
    spec = Bundle.load(BUNDLE).spec
    deviation = np.array(values).reshape(1, 3, 32) * (1 + 0.1 * np.arange(32) if uneven else 1)
    assert top_reasons(deviation, spec)[0].tolist() == list(_coded(reasons(deviation[0], spec, count=1)))


def test_without_a_deviation_there_is_no_reason(bundle: Bundle) -> None:
    assert top_reasons(np.zeros((2, 3, 32)), bundle.spec).tolist() == [[0.0] * 5] * 2
    assert top_reasons(np.zeros((0, 3, 32)), bundle.spec).shape == (0, 5)


@needs_parquet
def test_parquet_holds_the_same(bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow.parquet

    done = score_recordings(bundle, [fleet], tmp_path / "s.parquet", **SHARDS)
    found, expected = pd.read_parquet(done.path), pd.read_csv(once.path, float_precision="round_trip")
    pd.testing.assert_frame_equal(found, expected, check_exact=True, check_dtype=False)
    about = json.loads(pyarrow.parquet.read_schema(done.path).metadata[b"gyrovae"])
    assert about["model"] == bundle.model_sha256


def test_one_task_a_recording_gives_the_same(bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path) -> None:
    done = score_recordings(bundle, [fleet], tmp_path / "s.csv", hop=16)
    assert done.path.read_bytes() == once.path.read_bytes()
    assert done.devices == once.devices


# --- several workers, and those that die


def test_several_processes_give_the_same(bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path) -> None:
    done = score_recordings(bundle, [fleet], tmp_path / "s.csv", jobs=2, **SHARDS)
    assert done.path.read_bytes() == once.path.read_bytes()
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_costs_nothing_but_time(
    bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(done: int, _total: int, what: str) -> None:
        children = multiprocessing.active_children()
        if "windows/s" in what and done in (2, 6) and children:
            killed.append(children[0].pid or 0)
            os.kill(killed[-1], signal.SIGKILL)

    done = score_recordings(bundle, [fleet], tmp_path / "s.csv", jobs=2, progress=kill, **SHARDS)
    assert len(killed) == 2
    assert done.path.read_bytes() == once.path.read_bytes()
    assert done.windows == once.windows


def _die(_shared: object, _task: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _double(factor: int, task: int) -> int:
    if task < 0:
        raise GyrovaeError(f"{task} is below 0")
    return factor * task


def test_threads_share_the_work_and_blas_has_one_to_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    together = threading.Barrier(2, timeout=60)  # passed by two at once, or not at all

    def work(number: int) -> tuple[int, set[int]]:
        together.wait()
        return number, threads_of_blas()

    with threadpoolctl.threadpool_limits(2, "blas"):
        with workers.threaded() as each:
            found = list(each(work, range(4)))
        assert found == [(number, {1}) for number in range(4)]
        assert threads_of_blas() == {2}


def threads_of_blas() -> set[int]:
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


def test_after_a_stop_threads_do_not_begin_anything_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 1)
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.02 * number)  # the first is done at once; of the others some are left to be dropped

    with contextlib.suppress(KeyboardInterrupt), workers.threaded() as each:
        next(each(work, range(30)))
        raise KeyboardInterrupt
    assert len(begun) < 30


def test_workers_that_always_die_are_told() -> None:
    with pytest.raises(GyrovaeError, match="worker processes died 3 times in a row"):
        list(workers.results(_die, None, [1, 2, 3], jobs=2))


UNGUARDED = """
from gyrovae_tf.learn.evaluate import evaluate
from gyrovae_tf.scoring import score_recordings
{call}
"""
CALLS = {
    "score": "score_recordings({bundle!r}, [{fleet!r}], {output!r}, jobs=2)",
    "evaluate": "evaluate({bundle!r}, normal=[{fleet!r}], jobs=2, shard_rows=400, long_bytes=1000, parts={output!r})",
}


@pytest.mark.parametrize("name", ["-", "script.py"])
@pytest.mark.parametrize("call", CALLS)
def test_a_script_that_workers_cannot_import_is_told_so(fleet: Path, tmp_path: Path, call: str, name: str) -> None:
    """The bundle is larger than what a pipe takes (64 KiB) while nobody reads it."""
    assert len(pickle.dumps(Bundle.load(BUNDLE))) > 1 << 16
    words = {"bundle": str(BUNDLE), "fleet": str(fleet), "output": str(tmp_path / "out.csv")}
    script = UNGUARDED.format(call=CALLS[call].format(**words))
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, name],
        input=script,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.endswith(
        "GyrovaeError: worker processes died 3 times in a row\nIs there enough memory? Try fewer --jobs. "
        'In Python: jobs above 1 need a script with if __name__ == "__main__".\n'
    )
    assert ("a worker process has begun to run this script once more" in done.stderr) == (name != "-")
    assert "is at work" not in done.stderr
    assert not list((tmp_path / "temporary").iterdir())


def test_what_workers_share_may_be_large_and_leaves_no_file_open() -> None:
    array, before = np.arange(1 << 20), open_files()
    assert dict(workers.results(_element, array, [7, 1 << 19, 12], jobs=2)) == {0: 7, 1: 1 << 19, 2: 12}
    found = workers.results(_element, array, [1, 2, 3], jobs=2)
    next(found)
    found.close()
    assert open_files() <= before


def _element(array: Any, task: int) -> int:
    return int(array[task])


def open_files() -> set[str]:
    """What this process has open, but for pipes: ended pools close those a moment later."""
    found = set()
    for path in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed since
            found.add(str(path.readlink()))
    return {name for name in found if name.startswith("/")}


def test_no_room_for_what_workers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/none")
    with pytest.raises(GyrovaeError, match="cannot write a temporary file for the workers: No such file"):
        list(workers.results(_double, 2, [1, 2], jobs=2))


def test_other_processes_than_its_own_are_left_alone() -> None:
    """Also those that were started after it, and another pool's."""
    found, others = (workers.results(_double, 2, list(range(20)), jobs=2) for _ in range(2))
    assert next(found)[1] % 2 == next(others)[1] % 2 == 0
    mine = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    mine.start()
    found.close()
    assert mine.is_alive()
    assert len(list(others)) == 19
    assert mine.is_alive()
    mine.terminate()
    mine.join()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_refusal_is_a_result(jobs: int) -> None:
    found = dict(workers.results(_double, 2, [5, -1, 7], jobs=jobs))
    assert (found[0], str(found[1]), found[2]) == (10, "-1 is below 0", 14)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two workers on loopback."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed (extra scale)")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, protocol="tcp://"
    ) as made:
        yield made


def test_dask_gives_the_same(bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path, cluster: Any) -> None:
    killed: list[int] = []

    def kill(done: int, _total: int, what: str) -> None:
        if "windows/s" in what and done == 2:
            process = next(iter(cluster.workers.values())).process
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    done = score_recordings(
        bundle, [fleet], tmp_path / "s.csv", scheduler=cluster.scheduler_address, progress=kill, **SHARDS
    )
    assert len(killed) == 1
    assert done.path.read_bytes() == once.path.read_bytes()


def test_dask_evaluates_the_same(fleet: Path, cluster: Any) -> None:
    tested = {"normal": [fleet / "well"], "anomalies": {"worn": [fleet / "worn"], "gaps": [fleet / "gaps"]}, "hop": 16}
    how: dict[str, Any] = {"scheduler": cluster.scheduler_address, "shard_rows": 400, "long_bytes": 1000}
    assert evaluate(BUNDLE, **tested, **how) == evaluate(BUNDLE, **tested)


@pytest.mark.skipif(not HAVE["distributed"], reason="dask is not installed (extra scale)")
def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE_S", 1.0)
    with pytest.raises(GyrovaeError, match="no Dask scheduler answers at tcp://127"):
        list(workers.results(_double, 2, [1], scheduler="tcp://127.0.0.1:9"))


# --- interrupted work


def test_work_that_is_killed_goes_on_where_it_stopped(
    bundle: Bundle, fleet: Path, once: Scored, tmp_path: Path
) -> None:
    output, parts = tmp_path / "s.csv", tmp_path / "s.csv.parts"
    code = "import sys, time; from gyrovae_tf import scoring; " + (
        f"scoring.score_recordings({str(BUNDLE)!r}, [{str(fleet)!r}], {str(output)!r}, shard_rows=400, "
        "long_bytes=1000, hop=16, progress=lambda *_: time.sleep(0.2))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(list(parts.glob("0*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("0*.npz")}
    assert 3 <= len(kept) < 18
    assert not output.exists()
    # Half a part, as no crash of ours leaves, is done again.
    damaged = sorted(kept)[0]
    (parts / damaged).write_bytes((parts / damaged).read_bytes()[:100])
    untouched = set(kept) - {damaged}
    seen: dict[str, int] = {}

    def look(*_: object) -> None:
        seen.update({name: (parts / name).stat().st_mtime_ns for name in untouched})

    done = score_recordings(bundle, [fleet], output, resume=True, progress=look, **SHARDS)
    assert seen == {name: kept[name] for name in untouched}
    assert output.read_bytes() == once.path.read_bytes()
    assert done.scored < done.windows == once.windows
    assert not parts.exists()


def test_other_work_is_not_gone_on_with(bundle: Bundle, fleet: Path, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "s.csv"
    with pytest.raises(KeyboardInterrupt):
        score_recordings(bundle, [fleet / "well"], output, progress=stop)
    with pytest.raises(GyrovaeError, match=r"the interrupted work in .*s\.csv\.parts was another"):
        score_recordings(bundle, [fleet / "well"], output, hop=7, resume=True)
    plan = tmp_path / "s.csv.parts" / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"schema_version": 1}))
    with pytest.raises(
        GyrovaeError, match=r"another version of gyrovae-tf began the work in .*s\.csv\.parts\nBegin anew"
    ):
        score_recordings(bundle, [fleet / "well"], output, resume=True)
    done = score_recordings(bundle, [fleet / "worn"], output)  # begins anew
    assert done.windows == len(rows(output)) > 0
    (tmp_path / "t.csv.parts").mkdir()
    (tmp_path / "t.csv.parts" / "mine.txt").write_text("")
    with pytest.raises(GyrovaeError, match="holds other files"):
        score_recordings(bundle, [fleet / "well"], tmp_path / "t.csv")


# --- recordings that cannot be scored


def test_recordings_that_may_be_in_g_are_told(bundle: Bundle, tmp_path: Path) -> None:
    """All their windows are alarms, and nothing is wrong with the machine."""
    known = simulate(TINY_MACHINE, seconds=20, seed=1)
    for name, factor in (("a.csv", 1.0), ("b.csv", 1 / 9.80665)):
        dataclasses.replace(known, samples=known.samples * factor, lsb=None).write(tmp_path / name)
    done = score_recordings(bundle, [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "s.csv")
    (told,) = done.notes
    assert told.startswith(f"The mean acceleration in 1 of 2 recordings ({tmp_path / 'b.csv'}) is ")
    assert "as gravity is in g. If it is in g, say so in the names of the columns" in told
    assert done.to_dict()["notes"] == [told]
    assert score_recordings(bundle, [tmp_path / "a.csv"], tmp_path / "t.csv").notes == ()


def test_what_cannot_be_scored_is_left_out_whole_and_told(bundle: Bundle, fleet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    lines = (fleet / "well" / "0.csv").read_text().splitlines()
    (folder / "good.csv").write_text("\n".join(lines))
    (folder / "late.csv").write_text("\n".join([*lines[:-1], "1,oops,3"]))
    (folder / "rate.csv").write_text("\n".join(lines).replace("200.0", "100.0", 1))
    (folder / "short.csv").write_text("\n".join(lines[:20]))
    (folder / "units.csv").write_text("\n".join(lines).replace("m/s^2", "g", 1))
    done = score_recordings(bundle, [folder, folder / "none.csv"], tmp_path / "s.csv", **SHARDS)
    assert {row["recording"] for row in rows(done.path)} == {str(folder / "good.csv")}
    reasons_of = {Path(name).stem: why for name, why in done.refused.items()}
    assert set(reasons_of) == {"late", "none", "rate", "short", "units"}
    assert "column y; expected a number, received 'oops'" in reasons_of["late"]
    assert "no such file" in reasons_of["none"]
    assert "expected 200 Hz, received 100 Hz" in reasons_of["rate"]
    assert reasons_of["short"].startswith(
        f"{folder / 'short.csv'}: too few samples for one window of 64; expected at least 64 samples without a gap, "
        "received 18 at the most\nRecord longer"
    )
    assert "expected m/s^2, received g" in reasons_of["units"]
    with pytest.raises(GyrovaeError, match="too few samples"):
        score_recordings(bundle, [folder / "short.csv"], tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()


def test_what_is_emptied_or_removed_meanwhile_costs_no_other(bundle: Bundle, fleet: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    text = (fleet / "well" / "0.csv").read_text()
    for name in ("emptied.csv", "good.csv"):
        (folder / name).write_text(text)
    (folder / "removed.csv").write_text("\n".join(text.splitlines()[:20]))

    def meddle(done: int, total: int, what: str) -> None:
        if done == total and "first look" in what:
            (folder / "emptied.csv").write_text("")
        elif done == total:
            (folder / "removed.csv").unlink()

    done = score_recordings(bundle, [folder], tmp_path / "s.csv", progress=meddle, **SHARDS)
    assert {row["recording"] for row in rows(done.path)} == {str(folder / "good.csv")}
    assert {Path(name).stem: why.partition("\n")[0] for name, why in done.refused.items()} == {
        "emptied": f"{folder / 'emptied.csv'} was changed while it was read",
        "removed": f"cannot read {folder / 'removed.csv'}: no such file",
    }


@pytest.mark.parametrize(
    ("output", "options", "words"),
    [
        ("s.xlsx", {}, r"expected a name ending in \.parquet or \.csv"),
        ("s.csv", {"hop": 0}, "the hop is not usable; expected at least 1, received 0"),
        ("s.csv", {"jobs": 0}, "the number of jobs is not usable"),
        ("s.csv", {"kernels": "cuda"}, "unknown kernels"),
    ],
)
def test_what_is_refused_at_once(
    bundle: Bundle, fleet: Path, tmp_path: Path, output: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(GyrovaeError, match=words):
        score_recordings(bundle, [fleet], tmp_path / output, **options)
    assert not list(tmp_path.iterdir())


# --- the table alone

PART = {
    "segment": np.array([0, 3]),
    "start": np.array([40, 5_000_000_000]),
    "score": np.array([0.1, 2.5]),
    "alarm": np.array([0, 1]),
    "event": np.array([1, 0]),
    "axis": np.array([0, 2]),  # none, y
    "low_hz": np.array([0.0, 12.5]),
    "high_hz": np.array([0.0, 15.0]),
    "direction": np.array([0, 2]),  # none, quieter
    "share": np.array([0.0, 0.3]),
}


def test_a_table_by_hand(tmp_path: Path) -> None:
    with scoretable.table(tmp_path / "s.CSV", {}) as table:
        table.add("a.csv", 200.0, PART)
        table.add("\u00e4/l\udcfcfter.csv", 300.0, {name: values[:1] for name, values in PART.items()})
    assert (tmp_path / "s.CSV").read_bytes().decode().split("\n") == [
        "recording,segment,start,start_s,score,alarm,event,axis,low_hz,high_hz,direction,share",
        "a.csv,0,40,0.2,0.1,false,true,,,,,",
        "a.csv,3,5000000000,25000000.0,2.5,true,false,y,12.5,15.0,quieter,0.3",
        "\u00e4/l\\udcfcfter.csv,0,40,0.13333333333333333,0.1,false,true,,,,,",
        "",
    ]


@needs_parquet
def test_a_table_in_parquet_by_hand(tmp_path: Path) -> None:
    import pyarrow.parquet

    with scoretable.table(tmp_path / "s.PARQUET", {"b": 2, "a": 1}) as table:
        table.add("a.csv", 200.0, PART)
        table.add("\u00e4/l\udcfcfter.csv", 300.0, {name: values[:1] for name, values in PART.items()})
    found = pyarrow.parquet.read_table(tmp_path / "s.PARQUET")
    assert {field.name: str(field.type) for field in found.schema} == {
        **{"recording": "string", "segment": "int64", "start": "int64", "start_s": "double", "score": "double"},
        **{"alarm": "bool", "event": "bool", "axis": "string", "low_hz": "double", "high_hz": "double"},
        **{"direction": "string", "share": "double"},
    }
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("a.csv", 0, 40, 0.2, 0.1, False, True, None, None, None, None, None),
        ("a.csv", 3, 5_000_000_000, 25_000_000.0, 2.5, True, False, "y", 12.5, 15.0, "quieter", 0.3),
        ("\u00e4/l\\udcfcfter.csv", 0, 40, 0.13333333333333333, 0.1, False, True, None, None, None, None, None),
    ]
    assert found.schema.metadata[b"gyrovae"] == b'{"a": 1, "b": 2}'


@pytest.mark.parametrize("ending", ["CSV", pytest.param("parquet", marks=needs_parquet)])
def test_a_table_stands_in_for_a_table_alone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s.{ending}"
    scoretable.check_output(path)  # nothing is there
    with scoretable.table(path, {}) as table:
        table.add("a.csv", 200.0, PART)
    scoretable.check_output(path)
    for other in (b"recording,segment,x,y,z\n", b"PAR1 and no more of it PAR1"):
        path.write_bytes(other)
        with pytest.raises(GyrovaeError, match="is there already, and is no table of scores"):
            scoretable.check_output(path)
    path.write_bytes(b"")
    scoretable.check_output(path)


@needs_parquet
def test_a_table_of_other_columns_is_not_replaced(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"recording": ["mine"], "x": [0.5]}), tmp_path / "s.parquet")
    with pytest.raises(GyrovaeError, match=r"s\.parquet is there already, and is no table of scores"):
        scoretable.check_output(tmp_path / "s.parquet")


@pytest.mark.parametrize("name", ["s.tsv", "s", "csv"])
def test_a_table_needs_a_name_that_says_its_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(GyrovaeError, match=r"expected a name ending in \.parquet or \.csv"):
        scoretable.check_output(tmp_path / name)
    with (
        pytest.raises(GyrovaeError, match=r"expected a name ending in \.parquet or \.csv"),
        scoretable.table(tmp_path / name, {}),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_parquet_without_its_package_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(GyrovaeError, match=r'pip install "gyrovae-tf\[scale\]"'):
        scoretable.check_name(tmp_path / "s.parquet")
    scoretable.check_name(tmp_path / "s.csv")


# --- ranking


def test_devices_by_need_of_attention(once: Scored) -> None:
    first, *others = once.devices
    assert (first.name, first.status, first.recordings) == ("worn", "bad", 2)
    assert first.events >= 1
    assert first.trend is not None
    assert first.trend > 1.25
    assert re.fullmatch(r"[xyz] near \d+ Hz (louder|quieter)", first.why)
    assert {device.name for device in others} == {"gaps", "well"}
    assert sum(device.windows for device in once.devices) == once.windows


def tally(name: str, *parts: tuple[list[int], list[float], list[int]], recordings: list[int] | None = None) -> Device:
    made = Tally(name, sum(len(part[0]) for part in parts))
    for number, (segments, scores, events) in enumerate(parts):
        which = number if recordings is None else recordings[number]
        made.add(which, np.array(segments), np.array(scores), np.array(events), 18.75, [])
    return made.device(0.01)


def test_events_are_counted_where_they_begin() -> None:
    one = ([0, 0, 0, 0], [0.5, 2, 2, 2], [0, 0, 1, 1])
    assert tally("a", one).events == 1
    # It goes on in the next shard of the recording; in another recording or segment it begins again.
    on = ([0, 0, 1], [2.0, 2, 2], [1, 1, 1])
    assert tally("a", one, on, recordings=[0, 0]).events == 2
    assert tally("a", one, on, recordings=[0, 1]).events == 3


def test_figures_by_hand() -> None:
    made = tally("a", ([0] * 96, [0.5] * 32 + [0.6] * 32 + [1.5] * 32, [0] * 96))
    assert (made.windows, made.alarms, made.alarm_rate, made.hours) == (96, 32, 1 / 3, 0.5)
    assert made.median == pytest.approx(0.6, rel=0.01)
    assert made.upper == pytest.approx(1.5, rel=0.01)
    assert made.trend == pytest.approx(3.0, rel=0.02)
    assert (made.highest, made.status) == (1.5, "look")
    assert len(made.curve) == len(made.peaks) == SLICES
    assert tally("b", ([0] * 10, [0.5] * 10, [0] * 10)).trend is None


def test_the_order_of_devices() -> None:
    well = tally("well", ([0] * 96, [0.5] * 96, [0] * 96))
    rising = tally("rising", ([0] * 96, [0.4] * 48 + [0.8] * 48, [0] * 96))
    event = tally("event", ([0] * 96, [0.5] * 90 + [2.0] * 6, [0] * 92 + [1] * 4))
    longer = tally("longer", ([0] * 96, [0.5] * 80 + [2.0] * 16, [0] * 82 + [1] * 14))
    found = ranked([well, rising, event, longer])
    assert [device.name for device in found] == ["longer", "event", "rising", "well"]
    assert [device.status for device in found] == ["bad", "bad", "look", "good"]
    assert [device.in_events for device in found] == [14 / 96, 4 / 96, 0, 0]


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first draw imports much
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60))
def test_quantiles_to_one_percent(scores: list[float]) -> None:
    made = tally("a", ([0] * len(scores), scores, [0] * len(scores)))
    assert made.median == pytest.approx(np.quantile(scores, 0.5, method="inverted_cdf"), rel=0.01)
    assert made.upper == pytest.approx(np.quantile(scores, 0.95, method="inverted_cdf"), rel=0.01)


# --- the page and the command


def test_the_page_is_whole_and_safe(once: Scored) -> None:
    import dataclasses
    from xml.etree import ElementTree

    first = dataclasses.replace(once.devices[0], name="<script>alert(1)</script>")
    odd = dataclasses.replace(once, devices=(first, *once.devices[1:]), refused={"a&b.csv": "row 1 <bad>"})
    text = fleet_page(odd)
    assert "1 of 3 devices had events." in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "a&amp;b.csv" in text
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|url\(""", text)
    body = text[text.index("<body>") : text.index("</body>") + 7].replace("&#160;", " ")
    tree = ElementTree.fromstring(body)
    assert [row.find("td").text for row in tree.iter("tr") if row.find("td") is not None][1:3] == ["gaps", "well"]  # type: ignore[union-attr]
    assert len(list(tree.iter("svg"))) == 3


def run(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, ["score", *map(str, words)])


def test_the_command(fleet: Path, once: Scored, tmp_path: Path) -> None:
    output, page = tmp_path / "s.csv", tmp_path / "fleet.html"
    done = run(BUNDLE, fleet, "-o", output, "--hop", "16", "--jobs", "2", "--summary", page)
    assert done.exit_code == 0, done.output
    assert output.read_bytes() == once.path.read_bytes()
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert done.stdout.splitlines()[2].startswith("worn")
    assert f"{once.windows:,} windows of 6 recordings" in done.stdout


def test_the_command_for_scripts(fleet: Path, tmp_path: Path) -> None:
    done = run(BUNDLE, fleet / "well", tmp_path / "none.csv", "-o", tmp_path / "s.csv", "--jobs", "1", "--json")
    assert done.exit_code == 1  # one could not be scored
    facts = json.loads(done.stdout)
    assert facts["recordings"] == 2
    assert list(facts["refused"]) == [str(tmp_path / "none.csv")]
    assert facts["windows"] == len(rows(tmp_path / "s.csv"))
    assert sum(device["windows"] for device in facts["devices"]) == facts["windows"]


def test_the_command_tells_what_cannot_be(fleet: Path, tmp_path: Path) -> None:
    assert run(BUNDLE, tmp_path / "none.csv", "-o", tmp_path / "s.csv").exit_code == 2
    both = run(BUNDLE, fleet, "-o", tmp_path / "s.csv", "--jobs", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert both.exit_code == 2
    assert "either --jobs or --scheduler" in both.output


def test_ctrl_c_says_how_to_go_on(fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score_recordings", stopped)
    done = run(BUNDLE, fleet, "-o", tmp_path / "s.csv")
    assert done.exit_code == 2
    assert done.output == (
        "gyrovae-tf: stopped by Ctrl-C\nWhat is scored is kept: the same command goes on with --resume.\n"
    )


def test_a_device_names_itself(bundle: Bundle, fleet: Path, tmp_path: Path) -> None:
    text = (fleet / "well" / "0.csv").read_text().replace('{"rate', '{"device": "Lüfter 7", "rate', 1)
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    done = score_recordings(bundle, [tmp_path / "x.csv", fleet / "well" / "1.csv"], tmp_path / "s.csv")
    named, folder = sorted(device.name for device in done.devices)
    assert named == "Lüfter 7"
    assert folder.endswith("well")


def test_the_caller_may_say_whose_a_recording_is(bundle: Bundle, fleet: Path, tmp_path: Path) -> None:
    mine = {str(fleet / "well" / "0.csv"): "north", str(fleet / "gaps" / "0.csv"): "north"}
    names = [*mine, fleet / "well" / "1.csv"]
    done = score_recordings(bundle, names, tmp_path / "s.csv", devices=mine)
    assert sorted((device.name.rpartition("/")[2], device.recordings) for device in done.devices) == [
        ("north", 2),
        ("well", 1),
    ]


def test_whose_a_recording_is_may_be_said_by_any_path_of_it_and_what_is_none_is_told(
    bundle: Bundle, fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fleet)
    mine = {fleet / "well" / "0.csv": "north", "well/../well/1.csv": "south", "wel/0.csv": "east"}
    done = score_recordings(bundle, ["well/0.csv", "well/1.csv"], tmp_path / "s.csv", devices=mine)
    assert sorted(device.name for device in done.devices) == ["north", "south"]
    assert "devices names what is no recording here: wel/0.csv" in done.notes


@pytest.mark.parametrize(
    ("given", "files", "devices"),
    [
        ("fans", ["fans/a/1.csv", "fans/b/1.csv"], ["a", "b"]),
        ("fans", ["fans/a/1.csv", "fans/a/2.csv"], ["a"]),  # as where there are others beside it
        ("fans", ["fans/1.csv", "fans/2.csv"], ["1.csv", "2.csv"]),
        ("fans", ["fans/1.csv", "fans/a/2.csv"], [".", "a"]),
        ("fans", ["fans/north/a/1.csv", "fans/north/b/1.csv"], ["north/a", "north/b"]),
        (".", ["fans/a/1.csv", "fans/b/1.csv"], ["fans/a", "fans/b"]),
        ("fans/*/*.csv", ["fans/a/1.csv", "fans/b/1.csv"], ["a", "b"]),
    ],
)
def test_a_folder_is_a_device(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, files: list[str], devices: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in files:
        simulate(TINY_MACHINE, seconds=1, seed=1).write(file)
    done = score_recordings(bundle, [given], "s.csv")
    assert sorted(device.name for device in done.devices) == devices


def test_a_device_keeps_its_name_whatever_becomes_of_others(bundle: Bundle, tmp_path: Path) -> None:
    for file in ("a/1.csv", "a/2.csv", "b/1.csv"):
        simulate(TINY_MACHINE, seconds=1, seed=1).write(tmp_path / "fans" / file)
    (tmp_path / "fans" / "b" / "1.csv").write_text("x,y,z\n1,2,3\n")
    done = score_recordings(bundle, [tmp_path / "fans"], tmp_path / "s.csv")
    assert len(done.refused) == 1
    assert [(device.name, device.recordings) for device in done.devices] == [("a", 2)]


def test_links_to_folders_are_followed_and_the_table_itself_is_no_recording(bundle: Bundle, tmp_path: Path) -> None:
    simulate(TINY_MACHINE, seconds=1, seed=1).write(tmp_path / "elsewhere" / "1.csv")
    (tmp_path / "fans").mkdir()
    (tmp_path / "fans" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "fans")
    for _ in range(2):
        done = score_recordings(bundle, [tmp_path / "fans"], tmp_path / "fans" / "scores.csv")
        assert ([device.name for device in done.devices], done.refused) == (["a"], {})


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text")
@pytest.mark.parametrize("ending", ["csv", pytest.param("parquet", marks=needs_parquet)])
def test_a_name_that_is_no_text(bundle: Bundle, tmp_path: Path, ending: str) -> None:
    odd = os.fsdecode(b"l\xfcfter.csv")
    simulate(TINY_MACHINE, seconds=1, seed=1).write(tmp_path / odd)
    done = score_recordings(bundle, [tmp_path], tmp_path / f"scores.{ending}")
    assert done.refused == {}
    if ending == "csv":
        assert {row["recording"] for row in rows(done.path)} == {f"{tmp_path}/l\\udcfcfter.csv"}


def test_where_nothing_can_be_scored_each_reason_is_known(bundle: Bundle, tmp_path: Path) -> None:
    simulate(TINY_MACHINE, seconds=0.1, seed=1).write(tmp_path / "short.csv")
    (tmp_path / "text.csv").write_text("x,y,z\n1,2,three\n")
    with pytest.raises(NothingScoredError, match="too few samples") as caught:
        score_recordings(bundle, [tmp_path], tmp_path / "s.csv")
    assert [Path(name).name for name in caught.value.refused] == ["short.csv", "text.csv"]
    assert "three" in caught.value.refused[str(tmp_path / "text.csv")]
