"""Datasets larger than memory: the same as small ones, whoever makes them, however often they are interrupted."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
from conftest import TINY_MACHINE, tiny_options
from gyrovae_tf.cli.main import cli
from numpy.typing import NDArray

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import dataset as library
from gyrovae_tf.learn import making
from gyrovae_tf.learn.dataset import Dataset, preprocess
from gyrovae_tf.learn.making import Crew
from gyrovae_tf.learn.preparing import Surveyed, look, stretches
from gyrovae_tf.learn.rows import Rows, spread
from gyrovae_tf.learn.stored import write_dataset
from gyrovae_tf.recording import Recording
from gyrovae_tf.streaming import Stream

HAVE = {name: importlib.util.find_spec(name) is not None for name in ("pyarrow", "distributed", "fsspec")}
needs_parquet = pytest.mark.skipif(not HAVE["pyarrow"], reason="pyarrow is not installed (extra scale)")
ARRAYS = (*library._ARRAYS, *library._WINDOWS)
SMALL: dict[str, Any] = {"window": 64, "hop": 16, "shard_windows": 40}
"""So small that every recording gives several shards."""


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings: one with gaps, one that is too short for a window."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, seconds in enumerate((8, 6, 7)):
        made = simulate(TINY_MACHINE, seconds=seconds, seed=number)
        if number == 1:
            made = Recording(made.samples, made.rate_hz, ((0, 450), (450, 480), (480, len(made))), "gaps")
        made.write(folder / f"{number}.csv")
    Recording(np.ones((20, 3)), 200.0, ((0, 20),), "short").write(folder / "3.csv")
    return folder


@pytest.fixture(scope="module")
def once(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """All of it in one go, by this process."""
    return preprocess([recordings], tmp_path_factory.mktemp("once") / "dataset", **SMALL)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recording and no dataset is small enough to be held."""
    monkeypatch.setattr(making, "_WORTH", 0)
    monkeypatch.setattr(library, "HELD", 0)


def in_memory(recordings: Path) -> list[Recording]:
    return [Recording.read(path) for path in sorted(recordings.glob("*.csv"))]


# --- the same content


def test_shards_hold_what_one_file_would(recordings: Path, once: Dataset) -> None:
    assert once.path is not None
    whole = preprocess(in_memory(recordings), window=64, hop=16)
    assert len(whole.train_images) > 3 * 40
    assert whole.spec == once.spec
    assert whole.digest == once.digest == Dataset.load(once.path).digest
    for name in ARRAYS:
        assert np.array_equal(getattr(whole, name), getattr(once, name))
        parts = sorted(once.path.glob(f"{name}-*.npy"))
        assert [len(np.load(path)) for path in parts[:-1]] == [40] * (len(parts) - 1)
        assert np.array_equal(np.concatenate([np.load(path) for path in parts]), getattr(whole, name))


@pytest.mark.usefixtures("streamed")
def test_what_is_read_piece_by_piece_is_the_same(recordings: Path, once: Dataset, tmp_path: Path) -> None:
    made = preprocess([recordings], tmp_path / "dataset", **SMALL)
    assert once.path is not None
    assert tree(tmp_path / "dataset") == tree(once.path)
    assert not made.held
    for name in ARRAYS:
        lazy, whole = getattr(made, name), getattr(once, name)
        assert isinstance(lazy, Rows) != name.endswith("origins")
        assert np.array_equal(np.asarray(lazy), whole)
    assert made.digest == Dataset.load(tmp_path / "dataset").digest == once.digest
    assert made.seconds == once.seconds


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("name", ["ceiling_fan_esp32", "nicla_transport_accel", "nxp_fan", "rosa_shaft_imu"])
def test_real_recordings_give_the_same_streamed(shared: Path, tmp_path: Path, name: str) -> None:
    folder = shared / "datasets" / name
    split = json.loads((folder / "meta.json").read_text())["split"]["normal_train"][:12]
    paths = [folder / "normal" / file for file in split]
    kept = preprocess([Recording.read(path) for path in paths], window=64, hop=48, validation_share=0.3)
    made = preprocess(paths, tmp_path / "dataset", window=64, hop=48, validation_share=0.3, shard_windows=100)
    assert (made.spec, made.digest) == (kept.spec, kept.digest)
    for array in ARRAYS:
        assert np.array_equal(np.asarray(getattr(made, array)), getattr(kept, array))


@needs_parquet
def test_parquet_patterns_and_urls(recordings: Path, once: Dataset, tmp_path: Path) -> None:
    import fsspec
    import pyarrow
    import pyarrow.parquet

    memory = fsspec.filesystem("memory")
    for number in range(4):
        read = Recording.read(recordings / f"{number}.csv")
        segment = np.searchsorted([start for start, _ in read.segments], np.arange(len(read)), side="right")
        columns = {name: read.samples[:, axis] for axis, name in enumerate("xyz")}
        table = pyarrow.table({**columns, "segment": segment})
        about = json.dumps({"rate_hz": read.rate_hz, "units": read.units} | ({"lsb": read.lsb} if read.lsb else {}))
        folder = tmp_path / "p" / str(number)
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(
            table.replace_schema_metadata({"gyrovae": about}), folder / "a.parquet", row_group_size=300
        )
        memory.pipe(f"/preprocess/{number}.csv", (recordings / f"{number}.csv").read_bytes())
    for names in ([tmp_path / "p"], [str(tmp_path / "p" / "*" / "a.parquet")], ["memory://preprocess/*.csv"]):
        made = preprocess(names, **SMALL)
        assert (made.spec, made.digest) == (once.spec, once.digest)
    both = preprocess([recordings / "0.csv", *(f"memory://preprocess/{number}.csv" for number in (1, 2, 3))], **SMALL)
    assert both.digest == once.digest


def test_the_front_end_of_many_windows_is_fitted_to_evenly_spaced_ones(recordings: Path, once: Dataset) -> None:
    known = [making.survey((None, False), str(path)) for path in sorted(recordings.glob("*.csv"))]
    some = making.fitted(known, once.train_origins, 64, once.spec.lsb, Crew(), None, most=64 * 50)
    assert once.train_windows is not None
    expected = once.train_windows[spread(len(once.train_windows), 50)]
    from gyrovae_tf.signal import frontend

    assert some == frontend.fit(expected, rate_hz=200.0, lsb=once.spec.lsb, units="m/s^2")
    assert some != once.spec


@pytest.mark.parametrize("rows", [100, 333, 5000])
def test_what_is_seen_in_stretches(rows: int) -> None:
    """By hand: a ramp of 1000 rows in two segments, windows of 64 at four places."""
    samples = np.arange(1000.0)[:, None] * [1, -1, 0.5]
    stream = Stream.of(Recording(samples, 100.0, ((0, 430), (430, 1000)), "ramp"))
    known = Surveyed(stream, *stream.survey())
    trained, chosen = np.array([0, 32, 200, 430]), np.array([32, 430])
    tasks = list(stretches(known, trained, chosen, 64, rows))
    assert [(task.first, task.last) for task in tasks] == [
        (first, min(first + rows, 1000)) for first in range(0, 1000, rows)
    ]
    covered = {row for task in tasks for low, high in task.covered.tolist() for row in range(low, high)}
    assert covered == {*range(96), *range(200, 264), *range(430, 494)}
    seen = [look((64, None), task) for task in tasks]
    assert max(part.largest for part in seen) == 999
    assert max(part.largest_trained for part in seen) == 493
    windows = np.concatenate([part.windows for part in seen])
    assert windows[:, 0, 0].tolist() == [32, 430]
    assert windows[:, 63, 1].tolist() == [-95, -493]


# --- several workers, and those that die


@pytest.mark.usefixtures("streamed")
def test_several_processes_give_the_same(
    recordings: Path, once: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SHARD", 1)  # worth more than one process
    killed: list[int] = []

    def kill(done: int, _total: int, what: str) -> None:
        children = multiprocessing.active_children()
        if what == "windows" and not killed and done > 80 and children:
            killed.append(children[0].pid or 0)
            os.kill(killed[-1], signal.SIGKILL)

    preprocess([recordings], tmp_path / "dataset", jobs=2, progress=kill, **SMALL)
    assert once.path is not None
    assert tree(tmp_path / "dataset") == tree(once.path)
    assert len(killed) == 1
    assert not multiprocessing.active_children()
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


@pytest.mark.slow
@pytest.mark.usefixtures("streamed")
@pytest.mark.skipif(not HAVE["distributed"], reason="dask is not installed (extra scale)")
def test_dask_gives_the_same(recordings: Path, once: Dataset, tmp_path: Path) -> None:
    import distributed

    killed: list[int] = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, protocol="tcp://"
    ) as cluster:

        def kill(done: int, _total: int, what: str) -> None:
            if what == "windows" and not killed and done > 40:
                killed.append(next(iter(cluster.workers.values())).process.pid)
                os.kill(killed[-1], signal.SIGKILL)

        address = cluster.scheduler_address
        preprocess([recordings], tmp_path / "dataset", scheduler=address, progress=kill, **SMALL)
    assert once.path is not None
    assert tree(tmp_path / "dataset") == tree(once.path)
    assert len(killed) == 1


def test_recordings_in_memory_are_for_one_process(recordings: Path) -> None:
    with pytest.raises(GyrovaeError, match="several workers cannot share recordings that are in memory"):
        preprocess(in_memory(recordings), jobs=2, **SMALL)
    with pytest.raises(GyrovaeError, match="the number of jobs is not usable; expected at least 1, received 0"):
        preprocess([recordings], jobs=0, **SMALL)


# --- interrupted work


class StoppedError(Exception):
    pass


def stop_after(shards: int) -> Any:
    counted = itertools.count(1)

    def stop(_done: int, _total: int, what: str) -> None:
        if what == "windows" and next(counted) == shards:
            raise StoppedError

    return stop


def test_what_is_interrupted_goes_on_where_it_stopped(recordings: Path, once: Dataset, tmp_path: Path) -> None:
    output, parts = tmp_path / "dataset", tmp_path / "dataset.parts"
    with pytest.raises(StoppedError):
        preprocess([recordings], output, progress=stop_after(3), **SMALL)
    assert not output.exists()
    kept = {path: path.stat().st_mtime_ns for path in (parts / "dataset").iterdir()}
    assert len(kept) == 3 * 4
    # A shard that is damaged, as no crash of ours leaves it, is made again; so is one whose record is.
    first, second, third = sorted((parts / "done").iterdir())
    damaged = {parts / "dataset" / name for name in json.loads(first.read_text())}
    victim = sorted(damaged)[0]
    victim.write_bytes(victim.read_bytes()[:-1])
    damaged |= {parts / "dataset" / name for name in json.loads(second.read_text())}
    second.write_text("{")
    (parts / "dataset" / ".train_images-00007.npy.abc.part").write_bytes(b"half")  # as a kill leaves it
    seen: dict[Path, int] = {}

    def look_at(*_: object) -> None:
        seen.update({path: path.stat().st_mtime_ns for path in kept})

    preprocess([recordings], output, resume=True, progress=look_at, **SMALL)
    assert {path for path in kept if seen[path] != kept[path]} == damaged
    assert once.path is not None
    assert tree(output) == tree(once.path)
    assert not parts.exists()
    assert third.name.startswith("train")


def test_other_work_is_not_gone_on_with(recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "dataset"
    preprocess([recordings], output, resume=True, **SMALL)  # nothing to go on with: begins
    before = tree(output)
    with pytest.raises(StoppedError):
        preprocess([recordings], output, progress=stop_after(1), **{**SMALL, "hop": 17})
    assert tree(output) == before  # until all of it is there, the old one is
    with pytest.raises(GyrovaeError, match=r"the interrupted work in .*dataset\.parts was another"):
        preprocess([recordings], output, resume=True, **SMALL)
    preprocess([recordings], output, **SMALL)  # begins anew
    assert tree(output) == before
    (tmp_path / "other.parts").mkdir()
    (tmp_path / "other.parts" / "mine.txt").write_text("")
    with pytest.raises(GyrovaeError, match="holds other files"):
        preprocess([recordings], tmp_path / "other", **SMALL)


def test_a_recording_that_changes_meanwhile(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_WORTH", 0)
    copy = tmp_path / "0.csv"
    text = (recordings / "0.csv").read_text()
    copy.write_text(text)
    fit = library.fitted

    def shorten(*given: Any, **named: Any) -> Any:
        spec = fit(*given, **named)
        copy.write_text("\n".join(text.splitlines()[:900]))
        return spec

    monkeypatch.setattr(library, "fitted", shorten)
    with pytest.raises(GyrovaeError, match="the recordings were changed while they were read"):
        preprocess([copy], tmp_path / "dataset", **SMALL)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.slow
def test_killed_at_random_moments_the_command_goes_on(recordings: Path, tmp_path: Path) -> None:
    """The command with its workers, killed over and over, in the end has made what it makes undisturbed."""
    code = (
        "from gyrovae_tf.learn import dataset, making; making._WORTH = 0; dataset.SHARD = 1; "
        "import sys; from gyrovae_tf.cli.main import cli; "
        "real = dataset.preprocess; "
        "dataset.preprocess = lambda *a, **k: real(*a, **k, shard_windows=5); cli(sys.argv[1:])"
    )
    script = tmp_path / "command.py"
    script.write_text(f'if __name__ == "__main__":\n    {code}\n')

    def start(output: Path) -> subprocess.Popen[bytes]:
        words = ["preprocess", recordings, "-o", output, "--window", "64", "--hop", "16", "--jobs", "2", "--resume"]
        return subprocess.Popen([sys.executable, script, *map(str, words)], stdout=subprocess.DEVNULL)

    began = time.monotonic()
    assert start(tmp_path / "undisturbed").wait() == 0
    took = time.monotonic() - began
    wanted, output = tree(tmp_path / "undisturbed"), tmp_path / "dataset"
    rng, cut = np.random.default_rng(3), 0
    while cut < 20:
        process = start(output)
        try:
            assert process.wait(float(rng.uniform(0, took))) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            cut += 1
        if output.exists():
            assert tree(output) == wanted
            shutil.rmtree(output)
    assert start(output).wait() == 0
    assert tree(output) == wanted
    assert not (tmp_path / "dataset.parts").exists()


# --- rows in files


@pytest.fixture
def lazy(once: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The dataset, left in its files."""
    monkeypatch.setattr(library, "HELD", 0)
    assert once.path is not None
    return Dataset.load(once.path)


@pytest.mark.parametrize(
    "key",
    [
        *(0, -1, 39, 40, slice(None), slice(3, 5), slice(35, 130), slice(-7, None), slice(50, 10), slice(0, 100, 7)),
        *(slice(90, 10, -3), [0], [], [5, 5, 81, 2, -1, 40], np.array([[1, 100], [39, 41]])),
        *((slice(38, 42), 0), (slice(None), 1, 2), ([100, 3], 1), (3, 1)),
    ],
    ids=str,
)
def test_rows_are_those_of_an_array(once: Dataset, lazy: Dataset, key: Any) -> None:
    found, expected = lazy.train_images[key], once.train_images[key]
    assert np.array_equal(found, expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_rows_have_the_properties_of_an_array(once: Dataset, lazy: Dataset) -> None:
    rows, whole = lazy.train_windows, once.train_windows
    assert isinstance(rows, Rows)
    assert whole is not None
    assert (rows.shape, rows.dtype, rows.ndim, len(rows), rows.nbytes) == (
        *(whole.shape, whole.dtype, whole.ndim),
        *(len(whole), whole.nbytes),
    )
    assert rows.sha256 == hashlib.sha256(whole.tobytes()).hexdigest()
    odd = np.arange(len(whole)) % 2 == 1
    assert np.array_equal(rows[odd], whole[odd])
    assert np.array_equal(np.stack(list(itertools.islice(rows, 3))), whole[:3])
    for wrong in (len(whole), [0, -len(whole) - 1], 1.5, "a", None, ...):
        with pytest.raises((IndexError, ValueError)):
            rows[wrong]


@pytest.mark.usefixtures("streamed")
def test_a_dataset_that_was_written_anew_is_not_read_as_the_old_one(recordings: Path, tmp_path: Path) -> None:
    files = sorted(recordings.iterdir())
    old = preprocess(files, tmp_path / "dataset", window=64)
    preprocess(files[:1], tmp_path / "dataset", window=64)
    for rows in (0, slice(0, 2), [1, 0]):
        with pytest.raises(GyrovaeError, match=r"is not the file that it was: .* written anew, or is damaged\nLoad it"):
            old.train_images[rows]
    assert len(Dataset.load(tmp_path / "dataset").train_images[:2]) == 2


def test_a_file_that_becomes_shorter(lazy: Dataset, tmp_path: Path) -> None:
    assert lazy.path is not None
    shutil.copytree(lazy.path, tmp_path / "copy")
    rows = Dataset.load(tmp_path / "copy").train_images
    path = tmp_path / "copy" / "train_images-00001.npy"
    path.write_bytes(path.read_bytes()[:-6000])
    assert len(rows[:40]) == 40
    with pytest.raises(GyrovaeError, match=r"train_images-00001\.npy is not the file that it was"):
        rows[79]
    path.unlink()
    with pytest.raises(GyrovaeError, match=r"cannot read .*train_images-00001\.npy"):
        rows[40]


# --- the folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_windows": 10}, "holds no images"),
        ({"train_windows": 10**15}, "is malformed"),
        ({"train_windows": True}, "is malformed"),
        ({"train_windows": -1}, "is malformed"),
        ({"validation_windows": "40"}, "is malformed"),
        ({"shard_windows": 0}, "is malformed"),
        ({"shard_windows": 41}, "holds no images"),
        ({"shard_windows": 10**18}, "is malformed"),
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_its_files(
    once: Dataset, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    assert once.path is not None
    shutil.copytree(once.path, tmp_path / "copy")
    record = json.loads((tmp_path / "copy" / "dataset.json").read_text())
    (tmp_path / "copy" / "dataset.json").write_text(json.dumps(record | change))
    with pytest.raises(GyrovaeError, match=message):
        Dataset.load(tmp_path / "copy")


def test_a_header_that_claims_more_than_there_is(once: Dataset, tmp_path: Path) -> None:
    assert once.path is not None
    shutil.copytree(once.path, tmp_path / "copy")
    path = tmp_path / "copy" / "train_images-00001.npy"
    content = path.read_bytes().replace(b"(40, 2", b"(99, 2", 1)
    path.write_bytes(content)
    record = json.loads((tmp_path / "copy" / "dataset.json").read_text())
    record["files"][path.name] = hashlib.sha256(content).hexdigest()
    (tmp_path / "copy" / "dataset.json").write_text(json.dumps(record))
    with pytest.raises(GyrovaeError, match=r"is malformed: .*claims to hold 608256 bytes and holds 245760"):
        Dataset.load(tmp_path / "copy")


def test_the_committed_dataset_of_the_first_version_loads_forever() -> None:
    read = Dataset.load(Path(__file__).with_name("datasets") / "v1")
    assert read.digest == "46239dc4304f55efdb080082816ea0e0e9c4e79a21f87b58a0a090926eb82700"
    assert (read.spec.window, read.hop, read.spec.rate_hz, len(read.sources)) == (64, 64, 200.0, 1)
    assert read.train_origins.tolist() == [[0, 64 * place] for place in range(16)]
    assert read.validation_origins.tolist() == [[0, 64 * place] for place in range(16, 21)]
    assert read.train_windows is not None
    assert read.train_images.shape == (16, 2, 32, 32, 3)
    assert read.train_windows.shape == (16, 64, 3)
    assert read.train_features.shape == (16, 27)


def test_a_dataset_of_the_first_version_is_read_piece_by_piece(once: Dataset, tmp_path: Path, streamed: None) -> None:  # noqa: ARG001
    record = {
        "schema_version": 1,
        "spec": json.loads(once.spec.to_json()),
        "hop": once.hop,
        "sources": list(once.sources),
        "train_windows": len(once.train_images),
        "validation_windows": len(once.validation_images),
    }
    arrays: dict[str, NDArray[Any]] = {name: getattr(once, name) for name in ARRAYS}
    write_dataset(tmp_path / "first", arrays, record)
    assert (tmp_path / "first" / "train_images.npy").is_file()
    read = Dataset.load(tmp_path / "first")
    assert (read.spec, read.hop, read.sources, read.digest) == (once.spec, once.hop, once.sources, once.digest)
    assert not read.held
    for name in ARRAYS:
        assert np.array_equal(np.asarray(getattr(read, name)), getattr(once, name))
    again = read.save(tmp_path / "again")
    assert Dataset.load(tmp_path / "again").digest == again.digest == once.digest


# --- what learns from it


def test_an_excerpt_by_hand(tiny_dataset: Dataset) -> None:
    total = len(tiny_dataset.train_images) + len(tiny_dataset.validation_images)
    assert tiny_dataset.excerpt(total) is tiny_dataset
    # 374 windows every 32 samples: one stretch from the first, as there is room for one alone.
    assert total <= 374
    one = tiny_dataset.excerpt(100)
    assert one.held
    places = sorted([*one.train_origins[:, 1].tolist(), *one.validation_origins[:, 1].tolist()])
    everything = sorted([*tiny_dataset.train_origins[:, 1].tolist(), *tiny_dataset.validation_origins[:, 1].tolist()])
    assert places == everything[:100]


def test_an_excerpt_is_stretches_of_all_the_time(once: Dataset, lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_STRETCH", 10)
    some = lazy.excerpt(50)
    assert some.held
    origins = np.concatenate([once.train_origins, once.validation_origins])
    order = np.lexsort((origins[:, 1], origins[:, 0]))
    starts = np.linspace(0, len(order) - 10, 5).round().astype(int)
    expected = {tuple(origins[place]) for start in starts for place in order[start : start + 10]}
    assert {tuple(row) for row in (*some.train_origins.tolist(), *some.validation_origins.tolist())} == expected
    assert len(some.train_images) + len(some.validation_images) == 50
    where = [once.train_origins.tolist().index(row) for row in some.train_origins.tolist()]
    assert where == sorted(where)
    for name in ("images", "windows", "features"):
        assert np.array_equal(getattr(some, f"train_{name}"), getattr(once, f"train_{name}")[where])


def test_tf_data_in_order(once: Dataset, lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_BLOCK", 30)
    for data in (once, lazy):
        for part, images in (("train", once.train_images), ("validation", once.validation_images)):
            batches = data.tf_data(part, batch=32)  # type: ignore[arg-type]
            found = list(batches.as_numpy_iterator())
            assert [len(batch) for batch in found[:-1]] == [32] * (len(found) - 1)
            assert len(batches) == len(found) == -(-len(images) // 32)
            assert found[0].dtype == np.float32
            assert np.array_equal(np.concatenate(found), images / np.float32(32))
    with pytest.raises(GyrovaeError, match="unknown part of a dataset; expected train or validation, received test"):
        once.tf_data("test")  # type: ignore[arg-type]


def test_tf_data_shuffled(once: Dataset, lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_BLOCK", 30)

    def rows(batches: Any) -> list[bytes]:
        return [row.tobytes() for batch in batches.as_numpy_iterator() for row in batch]

    expected = [row.tobytes() for row in once.train_images / np.float32(32)]
    batches = lazy.tf_data(seed=1)
    first, second = rows(batches), rows(batches)
    assert sorted(first) == sorted(second) == sorted(expected)  # each once
    assert first != expected
    assert first != second  # drawn anew
    assert first == rows(once.tf_data(seed=1))
    assert first != rows(lazy.tf_data(seed=2))


def test_the_same_training_from_files_as_from_memory(
    once: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrovae_tf.learn import train as training
    from gyrovae_tf.learn.export import export

    assert once.path is not None
    options = tiny_options(epochs=2)
    monkeypatch.setattr(training, "check_latent", lambda *_: {})  # so few steps teach a latent space little
    one = training.train(once.path, tmp_path / "one", options=options)
    monkeypatch.setattr(library, "HELD", 0)
    other = training.train(once.path, tmp_path / "other", options=options)
    assert one.metrics == other.metrics
    assert (tmp_path / "one" / "log.csv").read_bytes() == (tmp_path / "other" / "log.csv").read_bytes()
    for name in ("baseline.npz", "learnt.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    made = [Path(export(run, precision="float32").path).read_bytes() for run in (one, other)]
    assert made[0] == made[1]


def test_validation_of_many_windows_is_on_evenly_spaced_ones(
    once: Dataset, lazy: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrovae_tf.learn import train as training

    monkeypatch.setattr(training, "_VALIDATED", 16)
    monkeypatch.setattr(training, "check_latent", lambda *_: {})
    seen: list[NDArray[np.int8]] = []
    real = training.latent_use
    monkeypatch.setattr(training, "latent_use", lambda vae, images: (seen.append(images), real(vae, images))[1])
    run = training.train(lazy, tmp_path / "run", options=tiny_options(epochs=1))
    assert run.metrics["validated_on"] == 16
    assert np.array_equal(seen[0], once.validation_images[spread(len(once.validation_images), 16)])


@pytest.mark.slow
def test_a_large_dataset_is_quantised_and_reported_on_an_excerpt(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrovae_tf.learn.quantize import quantize
    from gyrovae_tf.learn.report import report
    from gyrovae_tf.learn.train import train

    monkeypatch.setattr(library, "HELD", 0)
    monkeypatch.setattr(library, "EXCERPT", 240)
    monkeypatch.setattr(Dataset.excerpt, "__defaults__", (240,))
    monkeypatch.setattr(library, "_STRETCH", 60)
    assert tiny_dataset.path is not None
    run = train(tiny_dataset.path, tmp_path / "run", options=tiny_options())
    bundle = quantize(run, mode="ptq")
    total = len(tiny_dataset.train_images) + len(tiny_dataset.validation_images)
    assert bundle.metrics["excerpt"] == {"windows": 240, "of": total}
    assert bundle.metrics["train_windows"] == len(tiny_dataset.train_images)
    assert bundle.metrics["threshold"]["windows"] <= 240
    page = report(run, tmp_path / "report.html")
    shown = page.summary["motions"]["normal"]["windows"]
    assert shown < len(tiny_dataset.validation_images)
    text = (tmp_path / "report.html").read_text()
    assert f"These are {shown} of the {len(tiny_dataset.validation_images)} windows that were held back" in text


# --- the command


def run_command(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, ["preprocess", *map(str, words)])


def test_the_command(recordings: Path, tmp_path: Path) -> None:
    done = run_command(recordings, "-o", tmp_path / "dataset", "--window", "64", "--hop", "16", "--jobs", "2")
    assert done.exit_code == 0, done.output
    whole = preprocess([recordings], window=64, hop=16)
    assert Dataset.load(tmp_path / "dataset").digest == whole.digest
    assert f"{len(whole.train_images)} windows to train on" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"], "either --jobs or --scheduler"),
        (["--frontend", "stock", "--jobs", "2"], "--jobs: not with --frontend stock"),
        (["--frontend", "stock", "--scheduler", "tcp://127.0.0.1:9"], "--scheduler: not with --frontend stock"),
        (["--frontend", "stock", "--resume"], "--resume: not with --frontend stock"),
    ],
)
def test_what_the_command_refuses(recordings: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = run_command(recordings, "-o", tmp_path / "dataset", *words)
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())


def test_ctrl_c_says_how_to_go_on(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "preprocess", stopped)
    done = run_command(recordings, "-o", tmp_path / "dataset")
    assert done.exit_code == 2
    assert done.stderr == (
        "gyrovae-tf: stopped by Ctrl-C\nWhat is done is kept: the same command goes on with --resume.\n"
    )
