"""Folders of recordings in the layout meta.json, normal/*.csv, anomaly/<kind>/*.csv: which file is for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.bundle import read_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording, Source, listed

_FAULT_SESSIONS = "normal_test_in_fault_sessions"


def training_part(dataset: str | PathLike[str]) -> tuple[list[Path], dict[str, Any]]:
    """A folder in the shared layout in; its normal training files and its meta.json out."""
    folder = Path(dataset)
    meta = _meta(folder)
    return _named(folder, meta, "normal_train"), meta


def test_part(dataset: str | PathLike[str]) -> tuple[list[Path], dict[str, list[Path]]]:
    """A folder in the shared layout in; its normal test files and its anomalies' files by kind out."""
    folder = Path(dataset)
    normal, anomalies = normal_test_part(folder), anomaly_part(folder)
    empty = [kind for kind, files in anomalies.items() if not files]
    if empty:
        raise GyrovaeError(f"{folder / 'anomaly'} holds no recordings of {empty[0]}")
    return normal, anomalies


test_part.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest makes of its name


def to_test_on(
    normal: Sequence[Source], anomalies: Mapping[str, Sequence[Source]] | None, dataset: str | PathLike[str] | None
) -> tuple[Sequence[Source], dict[str, Sequence[Source]]]:
    """Recordings (or paths) of normal motion and by kind of anomaly, or a dataset instead, in; what to test on out."""
    if dataset is None:
        check_normal(normal)
        return normal, dict(anomalies or {})
    if normal or anomalies:
        raise GyrovaeError("give either a dataset or recordings, not both")
    files, kinds = test_part(dataset)
    return files, dict(kinds)


def check_normal(recordings: Iterable[Source] | Source) -> None:
    """Refuse folders that hold recordings of anomalies, too: they would be taken for normal."""
    for given in listed(recordings):
        if not isinstance(given, Recording) and (Path(given) / "anomaly").is_dir():
            raise GyrovaeError(
                f"{given} holds recordings of anomalies (the folder anomaly), too",
                expected="normal motion alone",
                remedy=f"Give {Path(given) / 'normal'}, or, where {given} has a meta.json, --dataset {given}.",
            )


def normal_test_part(dataset: str | PathLike[str]) -> list[Path]:
    """A folder in the shared layout in, its normal test files out."""
    folder = Path(dataset)
    return _named(folder, _meta(folder), "normal_test")


def fault_session_part(dataset: str | PathLike[str]) -> list[Path]:
    """A folder in the shared layout in; normal test files that were recorded in the sessions of the faults out.

    They are the stricter comparison: what differs between sessions (mounting, temperature) cannot give a fault away.
    Empty where meta.json lists none.
    """
    folder = Path(dataset)
    meta = _meta(folder)
    split = meta.get("split")
    listed = isinstance(split, dict) and split.get(_FAULT_SESSIONS) not in (None, [])
    return _named(folder, meta, _FAULT_SESSIONS) if listed else []


def anomaly_part(dataset: str | PathLike[str]) -> dict[str, list[Path]]:
    """A folder in the shared layout in; its anomalies' files by kind out, an empty list where a kind has none."""
    folder = Path(dataset)
    kinds = sorted(path for path in (folder / "anomaly").glob("*") if path.is_dir() and not path.name.startswith("."))
    if not kinds:
        raise GyrovaeError(f"{folder / 'anomaly'} holds no recordings", expected="anomaly/<kind>/*.csv")
    return {path.name: sorted(path.glob("*.csv")) for path in kinds}


def _meta(folder: Path) -> dict[str, Any]:
    if not (folder / "meta.json").is_file():
        raise GyrovaeError(
            f"{folder} is not a dataset of recordings" if folder.exists() else f"there is no {folder}",
            expected="a folder with meta.json, normal/ and anomaly/<kind>/",
        )
    return read_json(folder / "meta.json")


def _named(folder: Path, meta: dict[str, Any], part: str) -> list[Path]:
    split = meta.get("split")
    names = split.get(part) if isinstance(split, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise GyrovaeError(f"{folder / 'meta.json'} does not list its split.{part}")
    return [folder / "normal" / name for name in names]
