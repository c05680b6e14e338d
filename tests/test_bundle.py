"""The bundle and its calibration: there and back, damage is refused, and no folder is ever half written."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gyrovae_tf.arena import Arena
from gyrovae_tf.bundle import MANIFEST, MODEL, Bundle, check_replaceable, find_bundle, read_json, replacing_folder
from gyrovae_tf.calibration import SIZES, Calibration, View
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.frontend import fit


def view(name: str, *, mixed: bool = False) -> View:
    """A view of two regimes, every number of it another."""
    size = SIZES[name]
    row = tuple(float(np.float32(0.1 * i + 0.01)) for i in range(size))
    return View(
        codes=((-127,) * size, tuple(range(size))),
        weight=row,
        scatter=(0.5, 2.0),
        mixing=tuple(row[: i + 1] for i in range(size)) if mixed else (),
        residual_weight=row[::-1] if name == "rhythm" else (),
        center=1.25,
        power=0.75,
    )


CALIBRATION = Calibration(
    bands=view("bands"),
    groups=view("groups", mixed=True),
    quarters=view("quarters"),
    rhythm=view("rhythm"),
    level=view("level", mixed=True),
    tilt=None,
    threshold=2.5,
    false_alarm_rate=0.001,
    held_back_windows=1234,
    vote_alarms=3,
    vote_windows=5,
)
SPEC = fit(
    np.random.default_rng(0).integers(-900, 900, (8, 64, 3)).astype(np.int16), rate_hz=104, lsb=0.01, units="m/s^2"
)
ARENA = Arena(31000, 5600, "tflite-micro 1", "measured")
BUNDLE = Bundle(
    model=b"TFL3" + bytes(range(256)),
    spec=SPEC,
    calibration=CALIBRATION,
    ops=("CONV_2D", "FULLY_CONNECTED"),
    arena=ARENA,
    metrics={"auroc": 0.9, "by_kind": {"off": [1.0, 2]}},
    versions={"tensorflow": "2.21.0"},
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return BUNDLE.save(tmp_path / "fan.gyrovae")


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes meanwhile: writes fail half way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- there and back --------------------------------------------------------------------------------------------


def test_there_and_back(saved: Path) -> None:
    assert sorted(content(saved)) == [MANIFEST, MODEL]
    assert (saved / MODEL).read_bytes() == BUNDLE.model
    back = Bundle.load(saved)
    assert back == BUNDLE
    assert back.model_sha256 == BUNDLE.model_sha256
    assert Bundle.load(str(saved)) == BUNDLE


def test_a_tilt_there_and_back(tmp_path: Path) -> None:
    tilted = dataclasses.replace(BUNDLE, calibration=dataclasses.replace(CALIBRATION, tilt=view("tilt", mixed=True)))
    assert Bundle.load(tilted.save(tmp_path / "a")) == tilted


def test_what_was_not_measured_stays_unknown(tmp_path: Path) -> None:
    bare = Bundle(b"x", SPEC, CALIBRATION, ())
    back = Bundle.load(bare.save(tmp_path / "a"))
    assert back == bare
    assert back.arena is None
    assert back.golden is None
    assert back.metrics == back.versions == {}


def test_saving_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    assert content(BUNDLE.save(tmp_path / "a")) == content(BUNDLE.save(tmp_path / "b"))


def test_a_run_that_holds_one_bundle_stands_for_it(saved: Path) -> None:
    assert find_bundle(saved) == saved
    assert find_bundle(saved.parent) == saved
    assert Bundle.load(saved.parent) == BUNDLE
    BUNDLE.save(saved.parent / "other.gyrovae")
    with pytest.raises(GyrovaeError, match=r"several bundles: fan\.gyrovae, other\.gyrovae; name one"):
        find_bundle(saved.parent)


def test_there_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    for name, message in (("nothing", "there is no"), ("", "no quantised model"), ("file", "no quantised model")):
        with pytest.raises(GyrovaeError, match=message):
            find_bundle(tmp_path / name)
    for name in ("x" * 300, "file/a"):
        with pytest.raises(GyrovaeError):
            find_bundle(tmp_path / name)


# --- damage ----------------------------------------------------------------------------------------------------


def test_one_changed_byte_of_the_model_is_noticed(saved: Path) -> None:
    model = bytearray(BUNDLE.model)
    model[100] ^= 1
    (saved / MODEL).write_bytes(model)
    found = dataclasses.replace(BUNDLE, model=bytes(model)).model_sha256
    with pytest.raises(GyrovaeError) as caught:
        Bundle.load(saved)
    assert str(caught.value) == (
        f"{saved / MODEL} is damaged or was replaced; expected sha256 {BUNDLE.model_sha256}, received {found}\n"
        "Quantise again: gyrovae-tf quantize RUN/"
    )
    (saved / MODEL).write_bytes(BUNDLE.model[:-1])
    with pytest.raises(GyrovaeError, match="is damaged"):
        Bundle.load(saved)


def test_one_changed_number_of_the_spec_is_noticed(saved: Path) -> None:
    def louder(manifest: dict[str, Any]) -> None:
        manifest["spec"]["power_mean"][1][5] += 1

    mean = [list(row) for row in SPEC.power_mean]
    mean[1][5] += 1
    other = dataclasses.replace(SPEC, power_mean=tuple(tuple(row) for row in mean))
    change(saved, louder)
    with pytest.raises(
        GyrovaeError, match=f"changed after it was made; expected digest {SPEC.digest}, received {other.digest}"
    ):
        Bundle.load(saved)


@pytest.mark.parametrize("version", [0, 1, 5, "4", None, True, 4.0, [4], "x" * 100_000])
def test_an_unknown_schema_version_is_refused_and_both_are_named(saved: Path, version: object) -> None:
    change(saved, lambda manifest: manifest.update(schema_version=version))
    with pytest.raises(GyrovaeError, match="schema version that this gyrovae-tf does not know; expected 4") as caught:
        Bundle.load(saved)
    if version is not None:
        assert f", received {version}"[:300] in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_missing_fields_are_named(saved: Path) -> None:
    for name in set(BUNDLE.manifest()) - {"calibration_digest"}:  # which older ones lack
        BUNDLE.save(saved)
        change(saved, lambda manifest, name=name: manifest.pop(name))
        with pytest.raises(GyrovaeError, match="schema version" if name == "schema_version" else f"lacks {name}"):
            Bundle.load(saved)


def test_missing_files_are_named(saved: Path) -> None:
    (saved / MODEL).unlink()
    with pytest.raises(GyrovaeError, match=f"cannot read .*{MODEL}: No such file"):
        Bundle.load(saved)
    (saved / MODEL).mkdir()
    with pytest.raises(GyrovaeError, match=f"cannot read .*{MODEL}: Is a directory"):
        Bundle.load(saved)
    (saved / MANIFEST).unlink()
    with pytest.raises(GyrovaeError, match="no quantised model"):
        Bundle.load(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"a": ' * 200_000, "is not JSON"),
        (b"[]", "does not hold a JSON object; received list"),
        (b"null", "does not hold a JSON object; received NoneType"),
        (b"{}", "schema version"),
        (b" " * (4 << 20) + b"{}", "too large; expected at most 4194304 bytes"),
    ],
    ids=["empty", "open", "binary", "deep lists", "deep objects", "list", "null", "nothing in it", "huge"],
)
def test_a_manifest_that_is_none_is_refused(saved: Path, text: bytes, message: str) -> None:
    (saved / MANIFEST).write_bytes(text)
    with pytest.raises(GyrovaeError, match=message):
        Bundle.load(saved)


@pytest.mark.parametrize(
    "new",
    [
        {"arena": 31000},
        {"arena": {}},
        {"arena": {**ARENA.to_dict(), "more": 1}},
        *({"arena": {**ARENA.to_dict(), "host_bytes": wrong}} for wrong in (0, -1, True, 31000.0, 1 << 40, None)),
        *({"arena": {**ARENA.to_dict(), "scratch_bytes": wrong}} for wrong in (-1, True, "5600", None)),
        *({"arena": {**ARENA.to_dict(), "method": wrong}} for wrong in ("", None, 1)),
        *({"arena": {**ARENA.to_dict(), "suggested_bytes": wrong}} for wrong in (0, 38880, 38912, None)),
        {"golden": {"kernels": "tflm", "version": "1"}},
        {"ops": "CONV_2D"},
        {"ops": [1]},
        {"ops": None},
        {"metrics": []},
        {"versions": []},
        {"versions": {"tensorflow": 2}},
        {"files": {}},
        {"files": [MODEL]},
        {"files": {MODEL: BUNDLE.model_sha256, "../../etc/passwd": "0"}},
        {"files": {MODEL: None}},
        {"spec": []},
        {"spec": ["ab"]},
        {"spec": "ab"},
        {"spec": None},
        {"spec_digest": None},
        {"calibration": []},
        {"calibration": {}},
        {"calibration": {**CALIBRATION.to_dict(), "bands": None}},
    ],
    ids=str,
)
def test_fields_of_another_kind_are_refused(saved: Path, new: dict[str, Any]) -> None:
    change(saved, lambda manifest: manifest.update(new))
    with pytest.raises(GyrovaeError):
        Bundle.load(saved)


def test_a_threshold_that_was_changed_is_refused(saved: Path) -> None:
    """One digit, as a fault of a disk or a hand makes it: the detector would never alarm, or always."""
    change(saved, lambda manifest: manifest["calibration"].update(threshold=2 * CALIBRATION.threshold))
    with pytest.raises(GyrovaeError, match=r"the calibration in .*manifest.json was changed after it was made"):
        Bundle.load(saved)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
MANIFEST_OF_BUNDLE: dict[str, Any] = json.loads(json.dumps(BUNDLE.manifest()))


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every field, two levels deep, and to a few entries below."""
    if isinstance(value, dict):
        for key in value:
            yield (*way, key)
            yield from ways(value[key], (*way, key))
    elif isinstance(value, list) and value:
        yield (*way, 0)
        yield from ways(value[0], (*way, 0))


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.sampled_from(list(ways(MANIFEST_OF_BUNDLE))), JSON)
@example(("calibration", "threshold"), 10**400)
@example(("calibration", "level", "codes"), [["xyz"]])
@example(("calibration", "level", "weight"), "xyz")
@example(("calibration", "rhythm"), None)
@example(("calibration", "tilt"), {})
@example(("spec", "bands"), "x" * 32)
def test_any_value_in_a_manifest_is_a_bundle_or_an_error(way: tuple[Any, ...], value: object) -> None:
    manifest = json.loads(json.dumps(MANIFEST_OF_BUNDLE))
    inner = manifest
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    if way[0] == "calibration":
        del manifest["calibration_digest"]  # as bundles had none: each value is looked at
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / MODEL).write_bytes(BUNDLE.model)
        (Path(name) / MANIFEST).write_text(json.dumps(manifest))
        try:
            bundle = Bundle.load(name)
        except GyrovaeError:
            return
        bundle.save(Path(name) / "again")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_an_error(text: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(text)
        try:
            assert isinstance(read_json(Path(file.name)), dict)
        except GyrovaeError:
            return


# --- saving ----------------------------------------------------------------------------------------------------


def test_saving_over_a_bundle_replaces_it_wholly(saved: Path) -> None:
    (saved / "extra").write_bytes(b"of the old one")
    other = dataclasses.replace(BUNDLE, model=b"other", arena=None)
    assert other.save(saved) == saved
    assert Bundle.load(saved) == other
    assert sorted(content(saved)) == [MANIFEST, MODEL]
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    BUNDLE.save(tmp_path / "a")
    assert Bundle.load(tmp_path / "a") == BUNDLE
    BUNDLE.save(tmp_path / "new" / "folders" / "a")
    assert Bundle.load(tmp_path / "new" / "folders" / "a") == BUNDLE


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_bytes(b"1")
    with pytest.raises(
        GyrovaeError, match=rf"thesis holds other files; expected a new or empty folder, or one with {MANIFEST}"
    ):
        BUNDLE.save(tmp_path / "thesis")
    assert content(tmp_path) == {"thesis/chapter": b"1"}


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_bytes(b"1")
    with pytest.raises(GyrovaeError, match="thesis is a file"):
        BUNDLE.save(tmp_path / "thesis")
    with pytest.raises(GyrovaeError):
        BUNDLE.save(tmp_path / "thesis" / "a")
    assert content(tmp_path) == {"thesis": b"1"}


@pytest.mark.parametrize("name", [".", "..", "../work"])
def test_the_working_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(GyrovaeError):
        BUNDLE.save(name)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["work"]


def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(saved: Path) -> None:
    before = content(saved.parent)
    large = dataclasses.replace(BUNDLE, model=bytes(100_000))
    with disk_of(50_000), pytest.raises(GyrovaeError, match=r"cannot write .*: File too large"):
        large.save(saved)
    assert content(saved.parent) == before
    with disk_of(50_000), pytest.raises(GyrovaeError):
        large.save(saved.parent / "new.gyrovae")
    assert content(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_another_threshold_and_vote() -> None:
    promised = {"threshold": {"low": 2.0}, "trust": {}, "vote": {}, "macs": 9}
    old = dataclasses.replace(BUNDLE, metrics=promised)
    made = old.with_threshold(1.25, vote=(2, 4))
    assert made.calibration == dataclasses.replace(CALIBRATION, threshold=1.25, vote_alarms=2, vote_windows=4)
    assert made.metrics == {"macs": 9}
    assert old.with_threshold(np.float32(0.1)).calibration.threshold == float(np.float32(0.1))
    for threshold in (0, -1.0, math.nan, "1", None, True):
        with pytest.raises(GyrovaeError, match="threshold is not usable; expected a number above 0"):
            old.with_threshold(threshold)  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError, match="the vote is not usable"):
        old.with_threshold(1.0, vote=(5, 4))


def test_metrics_that_are_no_json_leave_the_old_bundle_and_nothing_else(saved: Path) -> None:
    before = content(saved.parent)
    with pytest.raises(GyrovaeError, match=r"manifest\.json cannot be written: Object of type float32 is not JSON"):
        dataclasses.replace(BUNDLE, metrics={"auroc": np.float32(0.9)}).save(saved)
    assert content(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize("stop", [OSError(5, "Input/output error"), KeyboardInterrupt("stop")])
@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_bundle_and_nothing_else(
    saved: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException, failing: int
) -> None:
    monkeypatch.setattr("gyrovae_tf.bundle.exchanged", lambda *_: False)  # as where a system cannot
    before = content(saved.parent)
    rename, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        if (self.suffix == ".part" and self.is_dir()) or self == saved:  # folders only: files are written before
            calls.append(self)
            if len(calls) == failing:
                raise stop
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(GyrovaeError if isinstance(stop, OSError) else KeyboardInterrupt):
        BUNDLE.save(saved)
    assert len(calls) == failing
    assert content(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_old_folder_that_cannot_be_put_back_is_not_lost(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyrovae_tf.bundle.exchanged", lambda *_: False)  # as where a system cannot
    before = content(saved)
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target) == saved:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(GyrovaeError):
        BUNDLE.save(saved)
    (aside,) = saved.parent.iterdir()
    assert content(aside / "folder") == before


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o077, 0o700)])
def test_permissions_are_those_of_an_ordinary_new_folder(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        BUNDLE.save(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_link_to_a_bundle_stays_a_link(saved: Path) -> None:
    link = saved.parent / "latest"
    link.symlink_to(saved.name)
    other = dataclasses.replace(BUNDLE, arena=None)
    other.save(link)
    assert link.is_symlink()
    assert Bundle.load(saved) == other


def test_only_what_holds_the_marker_is_replaceable(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "new", marker="run.json")
    check_replaceable(tmp_path, marker="run.json")
    (tmp_path / "notes").write_bytes(b"1")
    with pytest.raises(GyrovaeError, match="holds other files"):
        check_replaceable(tmp_path, marker="run.json")
    (tmp_path / "run.json").write_bytes(b"{}")
    check_replaceable(tmp_path, marker="run.json")
    with pytest.raises(GyrovaeError):
        check_replaceable(tmp_path / ("x" * 300), marker="run.json")
    with replacing_folder(tmp_path / "made", marker="run.json") as folder:
        (folder / "a").write_bytes(b"1")
        assert not (tmp_path / "made").exists()
    assert content(tmp_path / "made") == {"a": b"1"}
