"""A detector as a folder `name.gyrovae/`: the int8 model, a manifest with everything else that the device needs, and
golden windows to prove a device by."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from gyrovae_tf.arena import Arena
from gyrovae_tf.arguments import number, path_of
from gyrovae_tf.calibration import Calibration, digest_of
from gyrovae_tf.errors import GyrovaeError, atomic_write, exchanged, read_file
from gyrovae_tf.golden_npz import LARGEST as _LARGEST_GOLDEN
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.spec import Spec
from gyrovae_tf.stockspec import FRONTEND
from gyrovae_tf.temporary import beside
from gyrovae_tf.upgrade import upgraded

SCHEMA_VERSION = 4
STOCK_SCHEMA_VERSION = 3
"""That of bundles for the stock firmware, whose calibration is another one."""
MANIFEST = "manifest.json"
MODEL = "model_int8.tflite"
GOLDEN = "golden.npz"
SUFFIX = ".gyrovae"
LARGEST_MANIFEST = 4 << 20
POWER, STOCK = "power", FRONTEND
"""Front ends. A manifest, a dataset and a run name theirs under "frontend"; those that name none are of "power"."""
_FIELDS = frozenset({"spec", "spec_digest", "files", "calibration", "ops", "arena", "golden", "metrics", "versions"})


@dataclass(frozen=True)
class Bundle:
    """One calibrated int8 detector."""

    model: bytes
    """The .tflite."""
    spec: Spec
    """The front end it was trained with."""
    calibration: Calibration
    """Its score and thresholds."""
    ops: tuple[str, ...]
    """Names of the operators that the firmware's resolver must register."""
    arena: Arena | None = None
    """The tensor arena that it needs, where it was measured."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Figures of training and quantisation, for people."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that made it."""
    golden: Golden | None = None
    """Windows with what the detector makes of them, for self-tests."""

    def __post_init__(self) -> None:
        if self.golden is not None and self.golden.windows.shape[1] != self.spec.window:
            raise GyrovaeError(
                "the golden windows are not of this detector",
                expected=f"windows of {self.spec.window} samples",
                received=self.golden.windows.shape[1],
            )

    def __repr__(self) -> str:
        # All of its tables would fill a hundred screens.
        spec, calibration = self.spec, self.calibration
        return (
            f"Bundle(window={spec.window}, rate_hz={spec.rate_hz:g}, model=<{len(self.model)} bytes>, "
            f"threshold={calibration.threshold:g}, false_alarm_rate={calibration.false_alarm_rate:g})"
        )

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the .tflite, in hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()

    def manifest(self) -> dict[str, Any]:
        """The manifest as JSON-ready values."""
        golden = self.golden
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": json.loads(self.spec.to_json()),
            "spec_digest": self.spec.digest,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in self._files().items()},
            "calibration": self.calibration.to_dict(),
            "calibration_digest": digest_of(self.calibration.to_dict()),
            "ops": list(self.ops),
            "arena": None if self.arena is None else self.arena.to_dict(),
            "golden": None if golden is None else {"kernels": golden.kernels, "version": golden.version},
            "metrics": dict(self.metrics),
            "versions": dict(self.versions),
        }

    def _files(self) -> dict[str, bytes]:
        """Name -> content of every file beside the manifest."""
        return {MODEL: self.model} | ({} if self.golden is None else {GOLDEN: self.golden.to_npz()})

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the folder, wholly or not at all, in place of a bundle that may be there; returns its path."""
        with replacing_folder(path, marker=MANIFEST) as folder:
            for name, content in self._files().items():
                atomic_write(folder / name, content)
            write_json(folder / MANIFEST, self.manifest())
        return Path(path)

    def with_threshold(self, threshold: float, *, vote: tuple[int, int] | None = None) -> Bundle:
        """Another threshold, and a vote (alarms, windows) where one is given, in; the bundle with them out.

        The threshold is in the units of `calibration.threshold`: a score of s becomes s * the old one / the new one.
        Golden windows get the scores that the detector gives now. What was promised of the old one (metrics
        "threshold", "trust" and "vote") is left out; `calibration.false_alarm_rate` and `reach` stay, what was asked
        for and what a device aims at on site: to ask for another rate, quantise again. `GyrovaeError` for a threshold
        that is not above 0, and for a vote that cannot be.
        """
        calibration = self.calibration
        found = number(threshold, "threshold is not usable", "a number above 0", lambda value: value > 0)
        alarms, windows = (calibration.vote_alarms, calibration.vote_windows) if vote is None else vote
        made = dataclasses.replace(
            calibration, threshold=float(np.float32(found)), vote_alarms=alarms, vote_windows=windows
        )
        golden = self.golden
        if golden is not None:
            golden = dataclasses.replace(golden, scores=golden.scores * (calibration.threshold / made.threshold))
        kept = {name: value for name, value in self.metrics.items() if name not in ("threshold", "trust", "vote")}
        return dataclasses.replace(self, calibration=made, golden=golden, metrics=kept)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Bundle:
        """Read a bundle (or the one inside a run) and check it; `GyrovaeError` names what does not hold.

        Checked are the schema's version (older ones are upgraded in memory), the manifest's fields, the digests of spec
        and calibration (older ones say none of the calibration) and every file's hash.
        """
        folder, raw = read_manifest(path, POWER)
        manifest = folder / MANIFEST
        spec, calibration, arena = parsed(raw, manifest, Spec.from_dict, Calibration.from_dict)
        ops, golden = raw["ops"], raw["golden"]
        if not all(isinstance(version, str) for version in raw["versions"].values()):
            raise GyrovaeError(f"{manifest}: versions holds something else than texts")
        if not (golden is None or (isinstance(golden, dict) and set(golden) == {"kernels", "version"})):
            raise GyrovaeError(f"{manifest}: golden must say the kernels of the golden windows and their version")
        check_files(raw, manifest, {MODEL} if golden is None else {MODEL, GOLDEN})
        model = read_hashed(folder / MODEL, raw["files"][MODEL])
        recorded = None
        if golden is not None:
            content = read_hashed(folder / GOLDEN, raw["files"][GOLDEN], largest=_LARGEST_GOLDEN)
            try:
                recorded = Golden.from_npz(content, **golden)
            except GyrovaeError as error:
                raise GyrovaeError(f"{folder / GOLDEN}: {error}") from None
        return cls(model, spec, calibration, tuple(ops), arena, raw["metrics"], raw["versions"], recorded)


class _HasDigest(Protocol):
    @property
    def digest(self) -> str: ...


_Spec = TypeVar("_Spec", bound=_HasDigest)
_Calibration = TypeVar("_Calibration")


def read_manifest(path: str | PathLike[str], frontend: str) -> tuple[Path, dict[str, Any]]:
    """A bundle, or a run that holds one, and the front end that it must be of in; its folder and its manifest out.

    An older schema is upgraded in memory. `GyrovaeError` names what is missing or of another kind.
    """
    folder = find_bundle(path)
    manifest = folder / MANIFEST
    raw = read_json(manifest, largest=LARGEST_MANIFEST, remedy="Quantise again.")
    check_frontend(raw, frontend, folder)
    known = STOCK_SCHEMA_VERSION
    if frontend == POWER:
        raw, known = upgraded(raw), SCHEMA_VERSION
    check_schema(raw, known, folder, remedy="Use the gyrovae-tf that made it, or quantise again with this one.")
    missing = _FIELDS - set(raw)
    if missing:
        raise GyrovaeError(f"{manifest} lacks {', '.join(sorted(missing))}")
    return folder, raw


def parsed(
    raw: Mapping[str, Any],
    manifest: Path,
    spec_of: Callable[[Any], _Spec],
    calibration_of: Callable[[Any], _Calibration],
) -> tuple[_Spec, _Calibration, Arena | None]:
    """A manifest and what reads its parts in; spec, calibration and arena out. Looks at ops, metrics, versions, too."""
    try:
        spec = spec_of(raw["spec"])
        calibration = calibration_of(raw["calibration"])
        arena = None if raw["arena"] is None else Arena.from_dict(raw["arena"])
    except GyrovaeError as error:
        raise GyrovaeError(f"{manifest}: {error}") from None
    made = digest_of(raw["calibration"])
    for what, said, found in (
        ("spec", raw["spec_digest"], spec.digest),
        ("calibration", raw.get("calibration_digest", made), made),
    ):
        if said != found:
            raise GyrovaeError(
                f"the {what} in {manifest} was changed after it was made",
                expected=f"digest {said}",
                received=found,
                remedy="Quantise again: gyrovae-tf quantize RUN/",
            )
    ops = raw["ops"]
    if not (isinstance(ops, list) and all(isinstance(op, str) for op in ops)):
        raise GyrovaeError(f"{manifest}: ops is not a list of names")
    if not (isinstance(raw["metrics"], dict) and isinstance(raw["versions"], dict)):
        raise GyrovaeError(f"{manifest}: metrics and versions must be objects")
    return spec, calibration, arena


def check_files(raw: Mapping[str, Any], manifest: Path, names: set[str]) -> None:
    """Refuse a manifest that names other files than these."""
    if not isinstance(raw["files"], dict) or set(raw["files"]) != names:
        raise GyrovaeError(f"{manifest}: files must name {' and '.join(sorted(names))} and nothing else")


def read_hashed(path: Path, sha256: object, *, largest: int = 256 << 20) -> bytes:
    """A file of a bundle with the hash that the manifest gives in, its content out."""
    remedy = "Quantise again: gyrovae-tf quantize RUN/"
    content = read_file(path, largest=largest, remedy=remedy)
    found = hashlib.sha256(content).hexdigest()
    if sha256 != found:
        raise GyrovaeError(
            f"{path} is damaged or was replaced", expected=f"sha256 {sha256}", received=found, remedy=remedy
        )
    return content


def find_bundle(path: str | PathLike[str]) -> Path:
    """A bundle or a run that holds one in, the bundle's folder out; `GyrovaeError` when there is none."""
    folder = path_of(path, "this is no bundle", "a gyrovae_tf.Bundle, or the path of one, or of a run that holds one")
    try:
        if not folder.exists():
            raise GyrovaeError(f"there is no {folder}", expected="a bundle, or a run that was quantised")
        if (folder / MANIFEST).is_file():
            return folder
        inside = sorted(folder.glob(f"*{SUFFIX}/{MANIFEST}")) if folder.is_dir() else []
    except OSError as error:  # no permission, or a name that is too long
        raise GyrovaeError(f"cannot read {folder}: {error.strerror}") from None
    if len(inside) == 1:
        return inside[0].parent
    if inside:
        raise GyrovaeError(f"{folder} holds several bundles: {', '.join(p.parent.name for p in inside)}; name one")
    raise GyrovaeError(
        f"{folder} holds no quantised model",
        expected=f"a bundle (a folder with {MANIFEST}) or a run that was quantised",
        remedy="Make one: gyrovae-tf quantize RUN/",
    )


def read_json(path: Path, *, largest: int = 16 << 20, remedy: str | None = None) -> dict[str, Any]:
    """A JSON file with one object in, the object out; `GyrovaeError` when it is missing, too large or malformed."""
    content = read_file(path, largest=largest)
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"{path} is not JSON: {error}", remedy=remedy) from None
    if not isinstance(raw, dict):
        raise GyrovaeError(f"{path} does not hold a JSON object", received=type(raw).__name__, remedy=remedy)
    return raw


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as `read_json` reads it: keys sorted, so that equal records are equal bytes."""
    try:
        text = json.dumps(record, indent=1, sort_keys=True)
    except TypeError as error:  # what a caller put among metrics, for one
        raise GyrovaeError(f"{path.name} cannot be written: {error}", expected="what JSON can hold") from None
    atomic_write(path, text + "\n")


def frontend_of(record: Mapping[str, Any]) -> str:
    """A manifest or the record of a dataset or run in, the name of its front end out."""
    name = record.get("frontend", POWER)
    return name if isinstance(name, str) else repr(name)


def check_frontend(record: Mapping[str, Any], expected: str, folder: Path) -> None:
    """Refuse a record of `folder` that is of the other front end: everything in it has another meaning."""
    found = frontend_of(record)
    if found == expected:
        return
    remedies = {
        POWER: "It is for our own firmware: monitor --model takes it with Seeed's in its sampling mode, too; collect "
        '--model and simulate --protocol stock-console do not (in Python: the functions without "stock_").',
        STOCK: "It is for Seeed's stock firmware: train, quantize, evaluate, benchmark and emit-header --flavour stock "
        "take it (in Python: train, stock_quantize, evaluate, stock_header).",
    }
    raise GyrovaeError(
        f"{folder} is of another front end", expected=expected, received=found, remedy=remedies.get(found)
    )


def check_schema(record: Mapping[str, Any], known: int, folder: Path, *, remedy: str | None = None) -> None:
    """Refuse a record of `folder` whose `schema_version` is not the one that is known."""
    version = record.get("schema_version")
    if type(version) is not int or version != known:
        raise GyrovaeError(
            f"{folder} has a schema version that this gyrovae-tf does not know",
            expected=known,
            received=version,
            remedy=remedy,
        )


@contextlib.contextmanager
def replacing_folder(path: str | PathLike[str], *, marker: str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes `path`'s place, else it is removed.

    A folder that is there already is replaced only when it is empty or holds `marker`, the file that makes it one of
    ours: a mistyped name must not cost somebody's files. The working folder is not replaced either: a shell in it would
    be left in one that no longer exists.
    """
    target = Path(os.path.realpath(path))
    with writable(path):
        check_replaceable(Path(path), marker=marker)
        check_elsewhere(path)
        with beside(target, folder=True) as temporary:
            yield temporary
            put_in_place(temporary, target)


@contextlib.contextmanager
def writable(path: str | PathLike[str]) -> Iterator[None]:
    """What goes wrong inside while the folder `path` is written becomes `GyrovaeError`."""
    try:
        yield
    except OSError as error:
        raise GyrovaeError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="Check that the folder may be written to and that the disk is not full.",
        ) from error


def check_elsewhere(path: str | PathLike[str]) -> None:
    """Refuse to replace the working folder, or one that holds it."""
    here = Path.cwd()
    if Path(os.path.realpath(path)) in (here, *here.parents):
        raise GyrovaeError(
            f"{path} is the folder that you are in, or holds it",
            expected="a folder that may be replaced",
            remedy="Choose another name.",
        )


def put_in_place(folder: Path, target: Path) -> None:
    """Give a folder the place of another, if there is one, which takes its name or is removed."""
    if target.exists():
        _swap(folder, target)
    else:
        folder.replace(target)


def _swap(temporary: Path, target: Path) -> None:
    """Put one folder in the place of another, which stays or comes back when that fails."""
    if exchanged(temporary, target):
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    try:
        target.replace(old / "folder")
        temporary.replace(target)
    finally:
        if not target.exists():
            (old / "folder").replace(target)  # where even this fails, the old folder is not removed
        shutil.rmtree(old, ignore_errors=True)


def check_replaceable(target: Path, *, marker: str) -> None:
    """Refuse an output folder that is a file, or holds files that are not ours."""
    try:
        if target.exists() and not target.is_dir():
            raise GyrovaeError(f"{target} is a file", expected="a folder to write to")
        foreign = target.is_dir() and any(target.iterdir()) and not (target / marker).is_file()
    except OSError as error:  # no permission, or a name that is too long
        raise GyrovaeError(f"cannot write {target}: {error.strerror}") from None
    if foreign:
        raise GyrovaeError(
            f"{target} holds other files",
            expected=f"a new or empty folder, or one with {marker} to replace",
            remedy="Choose another name.",
        )
