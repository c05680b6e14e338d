"""Files from somewhere: whatever they hold, they run no code, write nothing elsewhere, and take no memory for a claim.

Each is given to the commands that read it, in a process with a gigabyte beside what Python and its packages take; the
answer is one or two lines and status 2.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import forked
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from conftest import Tiny
from handmade import source
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.errors import GyrovaeError, read_file
from gyrovae_tf.npy import read_npy, read_npz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does it")
ROOT = Path(__file__).resolve().parents[1]
CLAIM = b"{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }"
KEPT = 300  # MiB: what a refusal may take at the most, much less than any claim below


class Explosive:
    """What an unpickled file could do."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def npy(descr: bytes, shape: bytes, content: bytes = b"") -> bytes:
    """An .npy file whose header claims a type and a shape."""
    text = (CLAIM % (descr, shape)).ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@lru_cache(maxsize=4)
def bomb(name: str, mib: int = 1024) -> bytes:
    """A zip archive with one member of so many MiB of zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        for _ in range(mib):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


def reseal(folder: Path, name: str, content: bytes, marker: str) -> None:
    """Put a file into a dataset or bundle, with its right hash."""
    (folder / name).write_bytes(content)
    record = json.loads((folder / marker).read_text())
    record["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / marker).write_text(json.dumps(record))


def refuse(folder: Path, *words: object, reason: str = "") -> None:
    """Run a command that has to refuse what it is given, for this reason, and to keep its memory."""
    done = forked.command(folder, *words)
    assert done.refused, (done.code, done.errors[-3000:])
    assert reason in done.errors
    assert done.used < KEPT


# --- no code ----------------------------------------------------------------------------------------------------

BANNED = {
    *("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "imp", "code", "runpy"),
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "shutil.unpack_archive"),
    *("np.load", "numpy.load", "pd.read_pickle", "keras.models.load_model", "tarfile"),
}
ALLOWED = {
    ("gyrovae_tf/learn/kerasfile.py", "keras.models.load_model"),  # behind its checks
    ("gyrovae_tf/workers.py", "pickle"),  # what a process hands its own workers, in a file that has no name
}
UNPACKING = {"extract", "extractall"}


def uses(tree: ast.AST) -> set[str]:
    """The banned names that a module imports or calls; calls with a shell, or with pickles allowed."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names} & BANNED
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")[0]
            found |= {module, *(f"{module}.{name.name}" for name in node.names)} & BANNED
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found |= {called} & BANNED
            if isinstance(node.func, ast.Attribute) and node.func.attr in UNPACKING:
                found.add(called)
            for word in node.keywords:
                text = f"{word.arg}={ast.unparse(word.value)}"
                found |= {text} & {"shell=True", "allow_pickle=True", "safe_mode=False"}
    return found


def test_the_sources_load_nothing_that_could_be_code() -> None:
    for path in sorted([*(ROOT / "gyrovae_tf").rglob("*.py"), *(ROOT / "cli").glob("*.py")]):
        name = path.relative_to(ROOT).as_posix()
        found = {use for use in uses(ast.parse(path.read_text(encoding="utf-8"))) if (name, use) not in ALLOWED}
        assert not found, f"{name}: {found}"


def test_the_reader_of_sources_sees_them() -> None:
    text = "import pickle\nfrom os import system\neval('1')\nnp.load(f, allow_pickle=True)\nPopen(x, shell=True)\n"
    text += "z.extractall()"
    assert uses(ast.parse(text)) == {
        *("pickle", "os.system", "eval", "np.load", "allow_pickle=True", "shell=True", "z.extractall"),
    }


# --- arrays -----------------------------------------------------------------------------------------------------

HOSTILE_ARRAYS: dict[str, Callable[[Path], bytes]] = {
    "a claim of 6 TB": lambda _: npy(b"|i1", b"1000000000, 2, 32, 32, 3", bytes(6144)),
    "a claim beyond all sizes": lambda _: npy(b"|i1", b"9223372036854775807, 9223372036854775807"),
    "a claim of nothing, many times": lambda _: npy(b"|i1", b"0, 9223372036854775807"),
    "a pickle": lambda mark: npy(b"|O", b"1", pickle.dumps(Explosive(mark))),
    "a pickle alone": lambda mark: pickle.dumps(Explosive(mark)),
    "an expression": lambda mark: npy(b"|i1", f"__import__('os').mkdir({str(mark)!r})".encode()),
    "nested brackets": lambda _: npy(b"|i1", b"(" * 30_000),
    "a zip": lambda _: bomb("train_images-00000.npy"),
}


@pytest.mark.parametrize("name", HOSTILE_ARRAYS)
def test_a_dataset_with_a_hostile_array(tiny: Tiny, tmp_path: Path, name: str) -> None:
    tiny.copy(tmp_path / "in")
    content = HOSTILE_ARRAYS[name](tmp_path / "mark")
    reseal(tmp_path / "in" / "dataset", "train_images-00000.npy", content, "dataset.json")
    refuse(tmp_path / "out", "train", tmp_path / "in" / "dataset", "-o", tmp_path / "run")
    assert not (tmp_path / "mark").exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["state.npz", "baseline.npz", "learnt.npz"])
@pytest.mark.parametrize("name", ["a zip bomb", "a pickle", "a claim"])
def test_a_run_with_hostile_arrays(tiny: Tiny, tmp_path: Path, file: str, name: str) -> None:
    run = tiny.copy(tmp_path / "in")
    member = {"a pickle": HOSTILE_ARRAYS["a pickle"](tmp_path / "mark"), "a claim": npy(b"<f8", b"1000000000000")}
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("mean.npy", member.get(name, b""))
    (run / file).write_bytes(bomb("mean.npy") if name == "a zip bomb" else stored.getvalue())
    record = json.loads((run / "run.json").read_text()) | {"finished": False}
    normal = tmp_path / "normal.csv"
    normal.write_text('# {"rate_hz": 200}\nx,y,z\n' + "1,2,3\n3,1,2\n" * 2000)
    words: tuple[object, ...] = ("evaluate", run, "--normal", normal)
    if file == "state.npz":
        (run / "run.json").write_text(json.dumps(record))
        words = ("train", run.parent / "dataset", "-o", run, "--resume")
    refuse(tmp_path / "out", *words, reason=f"{file} is damaged")
    assert not (tmp_path / "mark").exists()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_make_an_array_of_their_own_size_or_none(data: st.DataObject) -> None:
    array = np.arange(data.draw(st.integers(0, 24)), dtype=data.draw(st.sampled_from(["i1", "<i2", "<f4", "<f8"])))
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = bytearray(buffer.getvalue())
    assert (read_npy(bytes(content)) == array).all()
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=5)
    ):
        content[place] = value
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    for read in (read_npy, read_npz):
        try:
            found = read(cut)
        except ValueError:
            continue
        assert isinstance(found, np.ndarray)
        assert found.nbytes <= len(cut)


def test_arrays_come_back_in_both_orders() -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    buffer = io.BytesIO()
    np.savez(buffer, rows=array, columns=np.asfortranarray(array), number=np.array(7))
    back = read_npz(buffer.getvalue())
    assert set(back) == {"rows", "columns", "number"}
    assert back["columns"].flags.f_contiguous
    np.testing.assert_array_equal(back["rows"], array)
    np.testing.assert_array_equal(back["columns"], array)
    assert back["number"] == 7


# --- .keras -----------------------------------------------------------------------------------------------------


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def reconfigured(content: bytes, change: Callable[[dict], object]) -> bytes:
    """A .keras file with its configuration changed."""
    parts = parts_of(content)
    config = json.loads(parts["config.json"])
    change(config)
    return packed(parts | {"config.json": json.dumps(config).encode()})


def reweighted(content: bytes, change: Callable[[h5py.File], object]) -> bytes:
    """A .keras file with its weights changed."""
    parts = parts_of(content)
    buffer = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return packed(parts | {"model.weights.h5": buffer.getvalue()})


def lambda_file(mark: Path) -> bytes:
    """An HDF5 model whose Lambda makes a folder as soon as it is built: what Keras loads under any name."""
    from gyrovae_tf.learn.engine import keras

    text = f"(lambda x: (__import__('os').makedirs({str(mark)!r}, exist_ok=True), x)[1])"
    entry = keras.Input((1,))
    model = keras.Model(entry, keras.layers.Lambda(eval(text), output_shape=(1,))(entry))
    path = mark.with_suffix(".h5")
    with pytest.warns(UserWarning, match="HDF5"):
        model.save(path, save_format="h5")
    mark.rmdir()  # building it made the folder
    return path.read_bytes()


def dense(config: dict) -> dict:
    found: dict = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
    return found


def another_class(module: str | None, name: str) -> Callable[[bytes, Path], bytes]:
    return lambda content, _: reconfigured(content, lambda c: dense(c).update(module=module, class_name=name))


def emptied(file: h5py.File, make: Callable[[h5py.Group], object]) -> None:
    del file["layers/dense/vars/0"]
    make(file["layers/dense/vars"])


HOSTILE_KERAS: dict[str, Callable[[bytes, Path], bytes]] = {
    "HDF5 with Python in it": lambda _, mark: lambda_file(mark),
    "HDF5 with Python in it, and a zip behind": lambda content, mark: lambda_file(mark) + content,
    "a module of the attacker's": another_class("evil_module", "Layer"),
    "a function for a class": another_class("os", "system"),
    "Keras' own Lambda": another_class("keras.layers", "Lambda"),
    "no module, as older files have it": another_class(None, "Lambda"),
    "a layer that runs a graph": another_class("keras.layers", "TFSMLayer"),
    "an activation that is looked up": lambda content, _: reconfigured(
        content,
        lambda c: dense(c)["config"].update(
            activation={"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
        ),
    ),
    "a class registered under another name": lambda content, _: reconfigured(
        content, lambda c: dense(c).update(registered_name="evil>Layer")
    ),
    "a compile_config": lambda content, _: reconfigured(content, lambda c: c.update(compile_config={"loss": "mse"})),
    "a layer of 4 TB": lambda content, _: reconfigured(content, lambda c: dense(c)["config"].update(units=10**9)),
    "an input of 4 TB": lambda content, _: reconfigured(
        content, lambda c: c["config"]["layers"][0]["config"].update(batch_input_shape=[None, 10**6, 10**6, 3])
    ),
    "deep nesting": lambda content, _: packed(parts_of(content) | {"config.json": b"[" * 500_000}),
    "a large configuration": lambda content, _: packed(
        parts_of(content) | {"config.json": b'{"a": [' + b"0," * (1 << 20) + b"0]}"}
    ),
    "a zip bomb": lambda *_: bomb("model.weights.h5"),
    "compressed weights": lambda content, _: packed(parts_of(content), zipfile.ZIP_DEFLATED),
    "a file beside": lambda content, _: packed(parts_of(content) | {"assets/../../mark": b"x"}),
    "weights in another file": lambda content, _: reweighted(
        content, lambda f: emptied(f, lambda g: g.__setitem__("0", h5py.ExternalLink("/etc/passwd", "/x")))
    ),
    "weights by a link": lambda content, _: reweighted(
        content, lambda f: emptied(f, lambda g: g.__setitem__("0", h5py.SoftLink("/layers/dense/vars/1")))
    ),
    "weights stored outside": lambda content, _: reweighted(
        content,
        lambda f: emptied(f, lambda g: g.create_dataset("0", (64, 4), "f4", external=[("/etc/passwd", 0, 1024)])),
    ),
    "weights of 4 TB, not written": lambda content, _: reweighted(
        content, lambda f: emptied(f, lambda g: g.create_dataset("0", (10**6, 10**6), "f4"))
    ),
    "weights in packed pieces": lambda content, _: reweighted(
        content,
        lambda f: emptied(f, lambda g: g.create_dataset("0", (10**5, 10**5), "f4", chunks=True, compression="gzip")),
    ),
    "a circle of groups": lambda content, _: reweighted(content, lambda f: f.__setitem__("layers/again", f["layers"])),
    "nothing": lambda *_: b"",
    "a pickle": lambda _, mark: pickle.dumps(Explosive(mark)),
}


@pytest.mark.parametrize("name", HOSTILE_KERAS)
def test_a_hostile_keras_file(tiny: Tiny, tmp_path: Path, name: str) -> None:
    run = tiny.copy(tmp_path / "in")
    mark = tmp_path / "mark"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "evil_module.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    content = HOSTILE_KERAS[name]((run / "model.keras").read_bytes(), mark)
    (run / "model.keras").write_bytes(content)
    record = json.loads((run / "run.json").read_text()) | {"model_sha256": hashlib.sha256(content).hexdigest()}
    (run / "run.json").write_text(json.dumps(record))
    refuse(tmp_path / "out", "export", run, "--format", "float32", reason="cannot load")
    assert not mark.exists()


def test_any_change_of_a_keras_file_is_refused_or_harmless(tiny: Tiny, tmp_path: Path) -> None:
    content = (tiny.run.path / "model.keras").read_bytes()
    process = forked.start(_load_changed, content, tmp_path / "told", 400)
    process.join(120)
    assert process.exitcode == 0, f"ended with {process.exitcode} after {(tmp_path / 'told').read_text()}"
    assert int((tmp_path / "told").read_text()) == 400


def _load_changed(content: bytes, told: Path, runs: int) -> None:
    """Weights with some bytes changed, over and over, in a process that may crash."""
    from gyrovae_tf.learn.kerasfile import _weights

    rng = np.random.default_rng(0)
    weights = np.frombuffer(parts_of(content)["model.weights.h5"], np.uint8)
    plain = np.frombuffer(content, np.uint8)
    from gyrovae_tf.learn import kerasfile

    for number in range(1, runs + 1):
        for whole, read in ((weights, lambda data: sum(_weights(data))), (plain, kerasfile._checked_config)):
            changed = whole.copy()
            changed[rng.integers(0, len(changed), rng.integers(1, 40))] = rng.integers(0, 256)
            cut = changed[: rng.integers(0, len(changed)) if number % 4 == 0 else len(changed)]
            with contextlib.suppress(ValueError):
                read(cut.tobytes())
        told.write_text(str(number))


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_run_cannot_make_a_command_write_elsewhere(tiny: Tiny, tmp_path: Path) -> None:
    """Every file that training, quantisation and export write into a run is a link to somebody's file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    names = (
        "log.csv",
        "state.npz",
        "model.keras",
        "baseline.npz",
        "tensorboard",
        "detector.gyrovae",
        "model_int8.tflite",
    )
    for name in names:
        run = tiny.copy(tmp_path / name / "in")
        target = outside / name
        if (run / name).is_dir():
            target.mkdir()
        else:
            target.write_text("precious")
        if (run / name).is_dir() and not (run / name).is_symlink():
            for path in sorted((run / name).rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            (run / name).rmdir()
        else:
            (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target)
        unfinished = json.loads((run / "run.json").read_text()) | {"finished": False}
        dataset = run.parent / "dataset"
        refuse(tmp_path / "out", "train", dataset, "-o", run, "--overwrite", reason="symbolic links")
        refuse(tmp_path / "out", "quantize", run, reason="symbolic links")
        refuse(tmp_path / "out", "export", run, reason="symbolic links")
        (run / "run.json").write_text(json.dumps(unfinished))
        refuse(tmp_path / "out", "train", dataset, "-o", run, "--resume", reason="symbolic links")
        assert list(target.iterdir()) == [] if target.is_dir() else target.read_text() == "precious"


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "golden.npz/../../evil", "a\0b", "."])
def test_a_bundle_names_no_other_files(tiny: Tiny, tmp_path: Path, name: str) -> None:
    bundle = tiny.copy(tmp_path / "in") / "detector.gyrovae"
    record = json.loads((bundle / "manifest.json").read_text())
    record["files"][name] = record["files"].pop("golden.npz")
    (bundle / "manifest.json").write_text(json.dumps(record))
    refuse(tmp_path / "out", "info", bundle, reason="files must name")
    refuse(tmp_path / "out", "emit-header", bundle, "-o", tmp_path / "nn_model.h", reason="files must name")


@pytest.mark.parametrize("name", ["manifest.json", "model_int8.tflite", "golden.npz"])
@pytest.mark.parametrize("kind", ["endless", "a pipe", "64 GB of nothing", "a folder", "nested", "a link in a circle"])
def test_a_bundle_of_odd_files(tiny: Tiny, tmp_path: Path, name: str, kind: str) -> None:
    bundle = tiny.copy(tmp_path / "in") / "detector.gyrovae"
    make_odd(bundle / name, kind)
    refuse(tmp_path / "out", "info", bundle)


@pytest.mark.parametrize(
    "name", ["run/run.json", "dataset/dataset.json", "dataset/train_images-00000.npy", "run/model.keras"]
)
@pytest.mark.parametrize("kind", ["endless", "a pipe", "64 GB of nothing", "nested"])
def test_a_run_of_odd_files(tiny: Tiny, tmp_path: Path, name: str, kind: str) -> None:
    run = tiny.copy(tmp_path / "in")
    make_odd(tmp_path / "in" / name, kind)
    words = ("export", run, "--format", "dynamic") if name.startswith("run/") else ("quantize", run, "--mode", "ptq")
    refuse(tmp_path / "out", *words)


def make_odd(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "64 GB of nothing":
        with path.open("wb") as file:
            file.truncate(65 << 30)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link in a circle":
        path.symlink_to(path)
    else:
        path.write_bytes(b'{"schema_version": ' + b"[" * 200_000)


def test_reading_keeps_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", largest=5) == b"12345"
    with pytest.raises(GyrovaeError, match=r"file is too large; expected at most 4 bytes\nSmaller"):
        read_file(tmp_path / "file", largest=4, remedy="Smaller.")
    with pytest.raises(GyrovaeError, match="/dev/zero: it is not an ordinary file"):
        read_file("/dev/zero", largest=4)
    with pytest.raises(GyrovaeError, match=r"cannot read .*none: No such file"):
        read_file(tmp_path / "none", largest=4)
    with pytest.raises(GyrovaeError, match=r"cannot read .*: embedded null"):
        read_file("a\0b", largest=4)


# --- .tflite ----------------------------------------------------------------------------------------------------


def large_tensors() -> bytes:
    made, entry = source([1, 30_000, 30_000, 64])
    return made.build(made.then("RELU", entry))


def many_pointers() -> bytes:
    """Tables that claim vectors of 2^31 elements."""
    made, entry = source([1, 4])
    content = bytearray(made.build(made.then("RELU", entry)))
    for place in range(8, len(content) - 3, 4):
        if struct.unpack_from("<I", content, place)[0] in (1, 2):
            struct.pack_into("<I", content, place, 0x7FFFFFFF)
    return bytes(content)


def test_tflite_files_that_claim_too_much(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "huge.tflite").write_bytes(large_tensors())
    done = forked.command(tmp_path / "out", "check", tmp_path / "huge.tflite")
    assert (done.code, "Traceback" in done.errors) == (1, False)  # it is read, not run: errors are found
    normal = tmp_path / "normal.csv"
    normal.write_text('# {"rate_hz": 200}\nx,y,z\n' + "1,2,3\n3,1,2\n" * 2000)
    refuse(tmp_path / "out", "evaluate", tiny.run.path, "--model", tmp_path / "huge.tflite", "--normal", normal)
    for name, content in {
        "claims": many_pointers(),
        "bomb": bomb("x", 100),
        "empty": b"",
        "magic": b"\0\0\0\0TFL3",
    }.items():
        (tmp_path / f"{name}.tflite").write_bytes(content)
        refuse(tmp_path / "out", "check", tmp_path / f"{name}.tflite")
        refuse(tmp_path / "out", "info", tmp_path / f"{name}.tflite")


# --- CSV --------------------------------------------------------------------------------------------------------

HOSTILE_CSV: dict[str, bytes] = {
    "ten million columns": b"x,y,z" + b"," * 10_000_000 + b"\n1,2,3\n",
    "ten million columns of numbers": b"1," * 10_000_000 + b"1\n",
    "ten million empty lines": b"\n" * 10_000_000,
    "a number of ten million digits": b"x,y,z\n1,2," + b"9" * 10_000_000 + b"\n",
    "an exponent": b"x,y,z\n1e999999999,2,3\n",
    "nested metadata": b"# " + b'{"a":' * 100_000 + b"\nx,y,z\n1,2,3\n",
    "metadata with a long number": b'# {"rate_hz": ' + b"9" * 100_000 + b"}\nx,y,z\n1,2,3\n",
    "quotes": b"x,y,z\n" + b'"' * 1_000_001 + b"\n",
    "binary": bytes(range(256)) * 1000,
    "UTF-16 of nothing": b"\xff\xfe" + b"\xd8\x00" * 1000,
    "comments": b"#" * 5_000_000 + b"\n",
    "a gzip": zlib.compress(bytes(1 << 20)),
}


@pytest.mark.parametrize("name", HOSTILE_CSV)
def test_a_hostile_recording(tmp_path: Path, name: str) -> None:
    path = tmp_path / "normal.csv"
    path.write_bytes(HOSTILE_CSV[name])
    done = forked.command(tmp_path / "out", "preprocess", path, "-o", tmp_path / "dataset", "--rate-hz", 200)
    assert done.refused, (done.code, done.errors[-3000:])
    assert not (tmp_path / "dataset").exists()


def test_parquet_that_unpacks_to_a_hundred_times_its_memory(tmp_path: Path) -> None:
    """A label of a megabyte in 200,000 rows: 200 GB, in a file of less than two."""
    table = {name: np.zeros(200_000) for name in "xyz"}
    label = pyarrow.DictionaryArray.from_arrays(np.zeros(200_000, np.int32), ["a" * 1_000_000])
    table = pyarrow.table({**table, "segment": label.cast(pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))})
    pyarrow.parquet.write_table(table, tmp_path / "r.parquet", store_schema=False)
    assert (tmp_path / "r.parquet").stat().st_size < 2_000_000
    words = ["--window", 256, "--rate-hz", 200]
    done = forked.command(tmp_path / "out", "preprocess", tmp_path / "r.parquet", "-o", tmp_path / "dataset", *words)
    assert done.refused, (done.code, done.errors[-3000:])  # all zeros: it was read to its end
    assert "no motion" in done.errors
    assert done.used < KEPT


def test_recordings_that_do_not_end(tmp_path: Path) -> None:
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    refuse(tmp_path / "out", "preprocess", tmp_path / "endless.csv", "-o", tmp_path / "dataset", reason="a device")
    with (tmp_path / "sparse.csv").open("wb") as file:
        file.truncate(1 << 40)
    refuse(tmp_path / "out", "preprocess", tmp_path / "sparse.csv", "-o", tmp_path / "dataset", reason="a binary file")
