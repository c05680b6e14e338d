"""A detector as a folder `name.gyrovae/`: the int8 model and a manifest with everything else that the device needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.calibration import Calibration
from gyrovae_tf.errors import GyrovaeError, atomic_write, current_umask
from gyrovae_tf.spec import Spec

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model_int8.tflite"
SUFFIX = ".gyrovae"
_LARGEST_MANIFEST = 4 << 20


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
    arena_bytes: int | None = None
    """Smallest tensor arena that works, where it was measured."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Figures of training and quantisation, for people."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that made it."""

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the .tflite, in hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()

    def manifest(self) -> dict[str, Any]:
        """The manifest as JSON-ready values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": json.loads(self.spec.to_json()),
            "spec_digest": self.spec.digest,
            "files": {MODEL: self.model_sha256},
            "calibration": self.calibration.to_dict(),
            "ops": list(self.ops),
            "arena_bytes": self.arena_bytes,
            "metrics": dict(self.metrics),
            "versions": dict(self.versions),
        }

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the folder, wholly or not at all, in place of a bundle that may be there; returns its path."""
        with replacing_folder(path, marker=MANIFEST) as folder:
            atomic_write(folder / MODEL, self.model)
            write_json(folder / MANIFEST, self.manifest())
        return Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Bundle:
        """Read a bundle (or the one inside a run) and check it; `GyrovaeError` names what does not hold.

        Checked are the schema's version, the manifest's fields, the spec's digest and the model's hash.
        """
        folder = find_bundle(path)
        raw = read_json(folder / MANIFEST, largest=_LARGEST_MANIFEST)
        check_schema(
            raw, SCHEMA_VERSION, folder, remedy="Use the gyrovae-tf that made it, or quantise again with this one."
        )
        missing = {
            "spec",
            "spec_digest",
            "files",
            "calibration",
            "ops",
            "arena_bytes",
            "metrics",
            "versions",
        } - set(raw)
        if missing:
            raise GyrovaeError(f"{folder / MANIFEST} lacks {', '.join(sorted(missing))}")
        try:
            spec = Spec.from_dict(raw["spec"])
            calibration = Calibration.from_dict(raw["calibration"])
        except GyrovaeError as error:
            raise GyrovaeError(f"{folder / MANIFEST}: {error}") from None
        if raw["spec_digest"] != spec.digest:
            raise GyrovaeError(
                f"the spec in {folder / MANIFEST} was changed after it was made",
                expected=f"digest {raw['spec_digest']}",
                received=spec.digest,
            )
        arena = raw["arena_bytes"]
        ops = raw["ops"]
        if not (arena is None or (type(arena) is int and arena > 0)):
            raise GyrovaeError(f"{folder / MANIFEST}: arena_bytes is not usable", received=arena)
        if not (isinstance(ops, list) and all(isinstance(op, str) for op in ops)):
            raise GyrovaeError(f"{folder / MANIFEST}: ops is not a list of names")
        if not (isinstance(raw["metrics"], dict) and isinstance(raw["versions"], dict)):
            raise GyrovaeError(f"{folder / MANIFEST}: metrics and versions must be objects")
        if not all(isinstance(version, str) for version in raw["versions"].values()):
            raise GyrovaeError(f"{folder / MANIFEST}: versions holds something else than texts")
        if not isinstance(raw["files"], dict) or set(raw["files"]) != {MODEL}:
            raise GyrovaeError(f"{folder / MANIFEST}: files must name {MODEL} and nothing else")
        try:
            model = (folder / MODEL).read_bytes()
        except OSError as error:
            raise GyrovaeError(f"cannot read {folder / MODEL}: {error.strerror}") from None
        found = hashlib.sha256(model).hexdigest()
        if raw["files"][MODEL] != found:
            raise GyrovaeError(
                f"{folder / MODEL} is damaged or was replaced",
                expected=f"sha256 {raw['files'][MODEL]}",
                received=found,
                remedy="Quantise again: gyrovae-tf quantize RUN/",
            )
        return cls(model, spec, calibration, tuple(ops), arena, raw["metrics"], raw["versions"])


def find_bundle(path: str | PathLike[str]) -> Path:
    """A bundle or a run that holds one in, the bundle's folder out; `GyrovaeError` when there is none."""
    folder = Path(path)
    try:
        if not folder.exists():
            raise GyrovaeError(f"there is no {folder}")
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


def read_json(path: Path, *, largest: int = 64 << 20) -> dict[str, Any]:
    """A JSON file with one object in, the object out; `GyrovaeError` when it is missing, too large or malformed."""
    try:
        if path.stat().st_size > largest:
            raise GyrovaeError(f"{path} is too large", expected=f"at most {largest} bytes")
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise GyrovaeError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise GyrovaeError(f"{path} is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise GyrovaeError(f"{path} does not hold a JSON object", received=type(raw).__name__)
    return raw


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as `read_json` reads it: keys sorted, so that equal records are equal bytes."""
    atomic_write(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


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
    temporary: Path | None = None
    try:
        check_replaceable(Path(path), marker=marker)
        here = Path.cwd()
        if target in (here, *here.parents):
            raise GyrovaeError(
                f"{path} is the folder that you are in, or holds it",
                expected="a folder that may be replaced",
                remedy="Choose another name.",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        temporary.chmod(0o777 & ~current_umask())
        yield temporary
        if target.exists():
            _swap(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        raise GyrovaeError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="Check that the folder may be written to and that the disk is not full.",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap(temporary: Path, target: Path) -> None:
    """Put one folder in the place of another, which stays or comes back when that fails."""
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
