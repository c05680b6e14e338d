"""Golden windows: what they hold, their file against every damage, and what their check finds."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import TINY_WINDOW, Tiny
from gyrovae_tf.cli.main import cli
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf import golden, runtime
from gyrovae_tf.bundle import GOLDEN, MANIFEST, MODEL, Bundle
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.golden_npz import LARGEST, MOST, Golden
from gyrovae_tf.signal import frontend

NAMES = ("windows", "images", "outputs", "scores")


def some(count: int = 3, window: int = 64, seed: int = 0) -> Golden:
    """Golden windows of noise."""
    rng = np.random.default_rng(seed)
    return Golden(
        windows=rng.integers(-32768, 32768, (count, window, 3)).astype(np.int16),
        images=rng.integers(-128, 128, (count, 2, 32, 32, 3)).astype(np.int8),
        outputs=rng.integers(-128, 128, (count, 2, 32, 32, 3)).astype(np.int8),
        scores=rng.uniform(0, 5, count),
        kernels="tflm",
        version="tflite-micro 1",
    )


@pytest.fixture(scope="module")
def bundle(tiny: Tiny) -> Bundle:
    """The run's detector with golden windows."""
    windows = tiny.dataset.validation_windows
    assert windows is not None
    return dataclasses.replace(tiny.bundle, golden=golden.make(tiny.bundle, golden.choose(windows)))


# --- which windows ------------------------------------------------------------------------------------------


def test_normal_windows_are_spread_in_time_and_two_odd_ones_follow() -> None:
    """Window number i of 101 holds i everywhere: at 1/5, 2/5, 3/5 and 4/5 of the way are 20, 40, 60 and 80."""
    windows = np.broadcast_to(np.arange(101, dtype=np.int16)[:, None, None], (101, 64, 3))
    chosen = golden.choose(windows)
    assert chosen.dtype == np.int16
    assert chosen.shape == (6, 64, 3)
    assert chosen[:4, 0, 0].tolist() == [20, 40, 60, 80]
    assert np.array_equal(chosen[:4], windows[[20, 40, 60, 80]])
    still, extremes = chosen[4:]
    assert (still == [0, 4096, -32768]).all()
    assert extremes[:4, 0].tolist() == [-32768, 32767, -32768, 32767]
    assert (np.flatnonzero(extremes[:, 1]).tolist(), extremes[21, 1]) == ([21], 32767)
    assert (extremes[:32, 2] == -32768).all()
    assert (extremes[32:, 2] == 32767).all()


@pytest.mark.parametrize(("there", "asked", "expected"), [(0, 4, 0), (1, 4, 1), (3, 4, 3), (9, 1, 1), (50, 8, 8)])
def test_there_are_as_many_as_asked_for_or_all(there: int, asked: int, expected: int) -> None:
    windows = np.arange(there, dtype=np.int16)[:, None, None] + np.zeros((1, 64, 3), np.int16)
    chosen = golden.choose(windows, asked)
    assert len(chosen) == expected + 2
    assert len(set(chosen[:expected, 0, 0].tolist())) == expected, "no window twice"


def test_windows_of_another_form_are_refused() -> None:
    with pytest.raises(GyrovaeError, match="windows are not of the front end's form"):
        golden.choose(np.zeros((5, 64, 3), np.int32))
    with pytest.raises(GyrovaeError, match="at least 1"):
        golden.choose(np.zeros((5, 64, 3), np.int16), 0)


# --- what is made of them -----------------------------------------------------------------------------------


def test_they_hold_what_front_end_model_and_score_make_of_them(bundle: Bundle) -> None:
    made = bundle.golden
    assert made is not None
    assert len(made) == 6
    detector = runtime.Detector(bundle)
    assert np.array_equal(made.images, frontend.images(made.windows, bundle.spec))
    scalogram, field = detector.model.reconstruct(made.images)
    assert np.array_equal(made.outputs[:, 0], scalogram)
    assert np.array_equal(made.outputs[:, 1], field)
    assert np.array_equal(made.scores, detector.score_windows(made.windows).score)
    assert (made.scores[4:] > 1).all(), "no machine moves like that"
    assert np.median(made.scores[:4]) < 1
    assert made.kernels == runtime.best()
    assert made.version.split()[0] == {"tflm": "tflite-micro", "litert": "ai-edge-litert"}[made.kernels]
    assert golden.make(bundle, made.windows) == made


def test_other_kernels_are_named(bundle: Bundle) -> None:
    assert bundle.golden is not None
    made = golden.make(bundle, bundle.golden.windows[:2], "litert-reference")
    assert made.kernels == "litert-reference"
    assert made.version.split()[0] in ("ai-edge-litert", "tensorflow")
    assert np.array_equal(made.images, bundle.golden.images[:2])


# --- the check ----------------------------------------------------------------------------------------------


def test_the_same_kernels_find_the_same(bundle: Bundle) -> None:
    found = golden.verify(bundle)
    assert found.same_kernels
    assert found.problems == ()
    assert (found.windows, found.image_pixels, found.output_pixels, found.largest_lsb) == (6, 0, 0, 0)
    assert found.output_total == 6 * 2 * 32 * 32 * 3
    assert (found.score_difference, found.verdicts) == (0, 0)
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (record["windows"], record["same_kernels"], record["problems"]) == (6, True, [])


def changed(bundle: Bundle, name: str, edit: Callable[[NDArray[Any]], None]) -> Bundle:
    assert bundle.golden is not None
    array = getattr(bundle.golden, name).copy()
    edit(array)
    return dataclasses.replace(bundle, golden=dataclasses.replace(bundle.golden, **{name: array}))


def test_one_changed_pixel_of_an_image_is_found(bundle: Bundle) -> None:
    def edit(images: NDArray[Any]) -> None:
        images[2, 1, 7, 9, 0] ^= 1

    found = golden.verify(changed(bundle, "images", edit))
    assert found.image_pixels == 1
    assert found.problems == ("the front end gives other images (pixels that differ: 1)",)
    other = golden.verify(changed(bundle, "images", edit), "litert-reference")
    assert other.problems == found.problems, "whatever the kernels: the front end has none"


def test_changed_outputs_are_found(bundle: Bundle) -> None:
    def edit(outputs: NDArray[Any]) -> None:
        outputs[0, 0, 0, 0, 0] ^= 1
        outputs[5, 1, 31, 31, 2] = -128 if outputs[5, 1, 31, 31, 2] >= 0 else 127

    found = golden.verify(changed(bundle, "outputs", edit))
    assert found.output_pixels == 2
    assert found.largest_lsb >= 127, "no overflow of int8"
    (problem,) = found.problems
    assert problem == f"the model gives other outputs (pixels: 2, by up to {found.largest_lsb} LSB)"


def test_a_changed_score_is_found(bundle: Bundle) -> None:
    def edit(scores: NDArray[Any]) -> None:
        scores[5] *= 1.001

    found = golden.verify(changed(bundle, "scores", edit))
    assert found.score_difference == pytest.approx(1 - 1 / 1.001)
    assert found.problems == ("the score gives other values (relative difference: up to 0.001)",)


def test_a_changed_verdict_is_counted(bundle: Bundle) -> None:
    def edit(scores: NDArray[Any]) -> None:
        scores[4] = 0.5

    assert golden.verify(changed(bundle, "scores", edit)).verdicts == 1


def test_other_kernels_are_reported_and_not_blamed(bundle: Bundle) -> None:
    assert bundle.golden is not None
    found = golden.verify(bundle, "litert-xnnpack")
    assert not found.same_kernels
    assert found.kernels.startswith("litert-xnnpack (")
    assert found.problems == ()
    assert found.largest_lsb <= 4
    outputs = golden.make(bundle, bundle.golden.windows, "litert-xnnpack").outputs
    assert found.output_pixels == np.count_nonzero(outputs != bundle.golden.outputs)


def test_another_version_of_the_same_kernels_is_another(bundle: Bundle) -> None:
    assert bundle.golden is not None
    older = dataclasses.replace(bundle.golden, version="tflite-micro 0.1")
    found = golden.verify(dataclasses.replace(bundle, golden=older))
    assert (found.recorded, found.same_kernels) == (f"{older.kernels} (tflite-micro 0.1)", False)


def test_with_another_threshold_they_come_out_as_the_detector_gives_them_now(tiny: Tiny) -> None:
    made = tiny.bundle.with_threshold(tiny.bundle.calibration.threshold / 3)
    assert not golden.verify(made).problems
    assert tiny.bundle.golden is not None
    assert golden.verify(dataclasses.replace(made, golden=tiny.bundle.golden)).problems


def test_without_golden_windows_there_is_nothing_to_check(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match="holds no golden windows\nQuantise again"):
        golden.verify(dataclasses.replace(tiny.bundle, golden=None))


# --- the record ---------------------------------------------------------------------------------------------


def test_arrays_are_copies_that_cannot_be_written_to() -> None:
    windows = np.zeros((1, 64, 3), np.int16)
    made = dataclasses.replace(some(1), windows=windows)
    windows[:] = 1
    assert not made.windows.any()
    with pytest.raises(ValueError, match="read-only"):
        made.images[0] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windows": np.zeros((3, 64, 3), np.int32)}, "windows are not of their form; expected int16"),
        ({"windows": np.zeros((3, 64, 2), np.int16)}, "windows are not of their form"),
        ({"windows": np.zeros((64, 3), np.int16)}, "windows are not of their form"),
        ({"windows": np.zeros((3, 65, 3), np.int16)}, "window length is not usable"),
        ({"windows": np.zeros((2, 64, 3), np.int16)}, r"images are not of their form; expected int8 \[2, 2, 32"),
        ({"images": np.zeros((3, 1, 32, 32, 3), np.int8)}, "images are not of their form"),
        ({"outputs": np.zeros((3, 2, 32, 32, 3), np.uint8)}, "outputs are not of their form"),
        ({"scores": np.zeros((3, 1))}, "scores are not of their form"),
        ({"scores": np.zeros(3, np.float32)}, "scores are not of their form"),
        ({"scores": np.array([1, np.nan, 2])}, "score is not a number"),
        ({"scores": np.array([1, np.inf, 2])}, "score is not a number"),
        ({"kernels": ""}, "do not say which kernels"),
        ({"version": None}, "do not say which kernels"),
    ],
)
def test_arrays_of_another_form_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        dataclasses.replace(some(), **change)


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_none_or_too_many_are_refused(count: int) -> None:
    with pytest.raises(GyrovaeError, match="1 to 32 of them"):
        some(count)


# --- their file ---------------------------------------------------------------------------------------------


def back(content: bytes) -> Golden:
    return Golden.from_npz(content, kernels="tflm", version="tflite-micro 1")


@pytest.mark.parametrize(("count", "window"), [(1, 64), (6, 256), (MOST, 1024)])
def test_there_and_back(count: int, window: int) -> None:
    made = some(count, window)
    content = made.to_npz()
    assert len(content) <= LARGEST
    found = back(content)
    assert found == made
    assert hash(found) == hash(made)
    assert content == some(count, window).to_npz(), "the same arrays are the same bytes"
    assert made != some(count, window, seed=1)
    assert made != dataclasses.replace(made, version="tflite-micro 2")


def test_numpy_reads_it() -> None:
    made = some()
    with np.load(io.BytesIO(made.to_npz()), allow_pickle=False) as stored:
        assert sorted(stored.files) == sorted(NAMES)
        for name in NAMES:
            assert stored[name].dtype == getattr(made, name).dtype
            assert np.array_equal(stored[name], getattr(made, name))


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def npy(array: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


MEMBERS = {f"{name}.npy": npy(getattr(some(), name)) for name in NAMES}


def test_it_is_a_plain_archive_of_arrays() -> None:
    assert back(archive(MEMBERS)) == some()


class Explosive:
    """What an unpickled file could do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("the file was unpickled",)


CLAIM = b"\x93NUMPY\x01\x00\x76\x00{'descr': '|i1', 'fortran_order': False, 'shape': (%s, 2, 32, 32, 3), }"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.npy", npy(np.array([Explosive()] * 3, object)), "scores is not an array of float64"),
        ("scores.npy", pickle.dumps(Explosive()), "scores is not an array of float64"),
        ("windows.npy", npy(some().windows.astype(np.int32)), "windows is not an array of int16"),
        ("windows.npy", npy(some().windows.astype(">i2")), "windows is not an array of int16"),
        ("windows.npy", npy(np.asfortranarray(some().windows)), "windows is not an array of int16"),
        ("windows.npy", npy(some().windows, version=(2, 0)), "windows is not an array of int16"),
        ("windows.npy", npy(some().windows[:2]), "images are not of their form"),
        ("images.npy", npy(some().images[:, 0]), "images are not of their form"),
        ("images.npy", MEMBERS["images.npy"][:-1], "damaged: cannot reshape"),
        ("images.npy", MEMBERS["images.npy"] + b"\0", "damaged: cannot reshape"),
        ("images.npy", (CLAIM % b"99999999999").ljust(127) + b"\n", "damaged: cannot reshape"),
        ("images.npy", (CLAIM % b"9" * 100).ljust(127) + b"\n", "images is not an array"),
        ("images.npy", (CLAIM % b"__import__('os')").ljust(127) + b"\n", "images is not an array"),
        ("images.npy", b"", "images is not an array"),
        ("scores.npy", npy(np.array([1.0, np.nan, 2.0])), "score is not a number"),
        ("extra.npy", npy(np.zeros(1)), "does not hold images.npy, outputs.npy, scores.npy, windows.npy"),
        ("../windows.npy", npy(np.zeros(1)), "does not hold images.npy, outputs.npy, scores.npy, windows.npy"),
    ],
)
def test_another_member_is_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        back(archive(MEMBERS | {name: content}))


def test_a_missing_member_is_refused() -> None:
    for name in MEMBERS:
        with pytest.raises(GyrovaeError, match="does not hold images"):
            back(archive({other: content for other, content in MEMBERS.items() if other != name}))


def test_a_member_twice_is_refused() -> None:
    buffer = io.BytesIO(archive(MEMBERS))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as file:
        file.writestr("scores.npy", MEMBERS["scores.npy"])
    with pytest.raises(GyrovaeError, match="or one twice"):
        back(buffer.getvalue())


def test_what_is_packed_is_not_unpacked() -> None:
    """100 MB of zeros in 100 kB."""
    bomb = npy(np.zeros((3, 2, 32, 32, 3), np.int8)) + bytes(100 << 20)
    content = archive(MEMBERS | {"images.npy": bomb}, zipfile.ZIP_DEFLATED)
    assert len(content) < LARGEST
    with pytest.raises(GyrovaeError, match="damaged: it is compressed"):
        back(content)


def test_a_size_that_is_only_claimed_is_refused() -> None:
    """The size of a member in the archive's directory becomes 2 GiB."""
    content = bytearray(archive(MEMBERS))
    entry = content.index(b"PK\x01\x02")
    for field in (20, 24):  # compressed and uncompressed size
        content[entry + field : entry + field + 4] = (2 << 30).to_bytes(4, "little")
    with pytest.raises(GyrovaeError, match="damaged: its members are larger than the file"):
        back(bytes(content))


def test_a_file_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(GyrovaeError, match=f"too large; expected at most {LARGEST} bytes, received {LARGEST + 1}"):
        back(bytes(LARGEST + 1))


CONTENT = some(1).to_npz()
ENDS = [*range(300), *range(len(CONTENT) - 600, len(CONTENT))]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.sampled_from(ENDS), st.integers(1, 255))
def test_any_changed_byte_of_its_tables_is_refused_or_harmless(place: int, change: int) -> None:
    content = bytearray(CONTENT)
    content[place] ^= change
    try:
        found = back(bytes(content))
    except GyrovaeError:
        return
    assert found == some(1)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, len(CONTENT)).map(lambda length: CONTENT[:length]))
def test_any_bytes_are_golden_windows_or_an_error(content: bytes) -> None:
    try:
        assert back(content) == some(1)
    except GyrovaeError:
        return


# --- in a bundle --------------------------------------------------------------------------------------------


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    return bundle.save(tmp_path / "fan.gyrovae")


def replace_file(folder: Path, content: bytes) -> None:
    """Another file of golden windows, with its hash in the manifest."""
    (folder / GOLDEN).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][GOLDEN] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_a_bundle_keeps_them(bundle: Bundle, saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [GOLDEN, MANIFEST, MODEL]
    loaded = Bundle.load(saved)
    assert loaded == bundle
    assert golden.verify(loaded).problems == ()
    manifest = json.loads((saved / MANIFEST).read_text())
    assert manifest["files"][GOLDEN] == hashlib.sha256((saved / GOLDEN).read_bytes()).hexdigest()
    assert loaded.golden is not None
    assert manifest["golden"] == {"kernels": loaded.golden.kernels, "version": loaded.golden.version}


def test_one_changed_byte_is_noticed(saved: Path) -> None:
    content = bytearray((saved / GOLDEN).read_bytes())
    content[1000] ^= 1
    (saved / GOLDEN).write_bytes(content)
    with pytest.raises(GyrovaeError, match=rf"{GOLDEN} is damaged or was replaced; expected sha256"):
        Bundle.load(saved)
    (saved / GOLDEN).unlink()
    with pytest.raises(GyrovaeError, match=rf"cannot read .*{GOLDEN}: No such file"):
        Bundle.load(saved)


def test_a_file_of_another_kind_is_refused_even_with_its_hash(saved: Path) -> None:
    replace_file(saved, archive(MEMBERS | {"scores.npy": npy(np.array([Explosive()] * 3, object))}))
    with pytest.raises(GyrovaeError, match=rf"{GOLDEN}: the golden windows are damaged"):
        Bundle.load(saved)
    replace_file(saved, bytes(LARGEST + 1))
    with pytest.raises(GyrovaeError, match=rf"{GOLDEN} is too large"):
        Bundle.load(saved)
    replace_file(saved, some(3, 2 * TINY_WINDOW).to_npz())
    with pytest.raises(GyrovaeError, match="not of this detector; expected windows of 64 samples, received 128"):
        Bundle.load(saved)


@pytest.mark.parametrize(
    "record", [None, [], {}, {"kernels": "tflm"}, {"kernels": 1, "version": "1"}, {"kernels": "", "version": "1"}]
)
def test_a_manifest_that_does_not_say_what_made_them_is_refused(saved: Path, record: object) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["golden"] = record
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(GyrovaeError):
        Bundle.load(saved)


def test_the_command_writes_them_into_a_header(bundle: Bundle, saved: Path) -> None:
    header = saved.parent / "nn_model.h"
    done = CliRunner().invoke(cli, ["emit-header", str(saved), "-o", str(header), "--golden", "--json"])
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert facts["golden"] is True
    assert facts["arena"] == (None if bundle.arena is None else bundle.arena.to_dict())
    assert header.read_text() == emit_header(bundle, golden=True)
    done = CliRunner().invoke(cli, ["emit-header", str(saved), "-o", str(header), "--golden"])
    assert done.stdout.endswith("score, and 6 golden windows\n")


def test_the_command_refuses_a_bundle_without_them(tiny: Tiny, tmp_path: Path) -> None:
    bare = dataclasses.replace(tiny.bundle, golden=None).save(tmp_path / "bare")
    done = CliRunner().invoke(cli, ["emit-header", str(bare), "-o", str(tmp_path / "a.h"), "--golden"])
    assert done.exit_code == 2
    assert "the bundle holds no golden windows" in done.stderr
    assert not (tmp_path / "a.h").exists()
