"""Folders of recordings in the layout meta.json, normal/*.csv, anomaly/<kind>/*.csv: which file is for what."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.bundle import read_json
from gyrovae_tf.errors import GyrovaeError


def training_part(dataset: str | PathLike[str]) -> tuple[list[Path], dict[str, Any]]:
    """A folder in the shared layout in; its normal training files and its meta.json out."""
    folder = Path(dataset)
    meta = _meta(folder)
    return _named(folder, meta, "normal_train"), meta


def test_part(dataset: str | PathLike[str]) -> tuple[list[Path], dict[str, list[Path]]]:
    """A folder in the shared layout in; its normal test files and its anomalies' files by kind out."""
    folder = Path(dataset)
    meta = _meta(folder)
    kinds = sorted(path for path in (folder / "anomaly").glob("*") if path.is_dir())
    anomalies = {path.name: sorted(path.glob("*.csv")) for path in kinds}
    empty = [kind for kind, files in anomalies.items() if not files]
    if not anomalies or empty:
        raise GyrovaeError(f"{folder / 'anomaly'} holds no recordings" + (f" of {empty[0]}" if empty else ""))
    return _named(folder, meta, "normal_test"), anomalies


test_part.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest makes of its name


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
