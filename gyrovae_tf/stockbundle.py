"""A detector for the stock firmware as a folder: its int8 model, and a manifest with its console's alarm levels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.arena import Arena
from gyrovae_tf.bundle import (
    LARGEST_MANIFEST,
    MANIFEST,
    MODEL,
    STOCK,
    STOCK_SCHEMA_VERSION,
    Bundle,
    check_files,
    find_bundle,
    frontend_of,
    parsed,
    read_hashed,
    read_json,
    read_manifest,
    replacing_folder,
    write_json,
)
from gyrovae_tf.calibration import digest_of
from gyrovae_tf.errors import GyrovaeError, atomic_write
from gyrovae_tf.stockspec import StockSpec

LARGEST_MODEL = 64 * 1024
"""Bytes. The firmware needs its model in an array that is not const, and so in internal RAM: an ESP32 has 124,580 bytes
for static data, an ESP32-S3 about 320 KiB, of which the firmware's own model takes 237,368. This is half the least."""
MOST_OPERATORS = 32
"""Registered ones: the room of the firmware's resolver."""


@dataclass(frozen=True)
class Band:
    """Where one of the console's figures lies on normal motion, in dB; lower is a worse reconstruction."""

    low_db: float
    """At or below this is an alarm: motion that the model cannot rebuild."""
    middle_db: float
    """The middle one of normal windows."""
    high_db: float
    """At or above this is an alarm, too: motion easier to rebuild than the normal one is, such as a machine's that
    stands still. (The tutorial looks at low figures alone.)"""

    def __post_init__(self) -> None:
        values = (self.low_db, self.middle_db, self.high_db)
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
        if not (numbers and self.low_db < self.middle_db < self.high_db):
            raise GyrovaeError("the levels are not usable", expected="low < middle < high", received=list(values))

    def shifted(self, by_db: float) -> Band:
        """The same band so many dB higher."""
        return Band(self.low_db + by_db, self.middle_db + by_db, self.high_db + by_db)


@dataclass(frozen=True)
class StockCalibration:
    """Where the alarm lies, in the two figures that the firmware's console prints."""

    scalogram: Band
    """Of the first figure, less the row of the scalogram that is undefined on the device."""
    field: Band
    """Of the second figure."""
    row_db: float
    """The first figure is about this much lower on the device, which counts that row, too."""
    false_alarm_rate: float
    """Share of normal windows that the levels together were set to let through as alarms."""
    held_back_windows: int
    """Normal windows that they rest on."""
    vote_alarms: int
    """An event needs this many alarms ..."""
    vote_windows: int
    """... among this many windows in a row that share no samples."""

    def __post_init__(self) -> None:
        for name in ("row_db", "false_alarm_rate"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
                raise GyrovaeError(f"the calibration's {name} is not usable", expected="a number", received=value)
        if not 0 < self.false_alarm_rate < 1:
            raise GyrovaeError(
                "the calibration's false_alarm_rate is not usable", expected="a share", received=self.false_alarm_rate
            )
        counts = (self.held_back_windows, self.vote_alarms, self.vote_windows)
        if not (all(type(v) is int for v in counts) and counts[0] >= 0 and 1 <= counts[1] <= counts[2] <= 64):
            raise GyrovaeError("the calibration's counts are not usable", expected="1 <= alarms <= windows <= 64")

    @property
    def bands(self) -> tuple[Band, Band]:
        """Of scalogram and field."""
        return self.scalogram, self.field

    @property
    def console(self) -> tuple[Band, Band]:
        """What to compare the console's two figures with."""
        return self.scalogram.shifted(-self.row_db), self.field

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, raw: Any) -> StockCalibration:
        """The inverse of `to_dict`; `GyrovaeError` for missing or unknown fields and for values out of range."""
        names = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(raw, dict) or set(raw) != names:
            odd = sorted(map(str, set(raw) ^ names)) if isinstance(raw, dict) else [type(raw).__name__]
            raise GyrovaeError(f"the stock calibration's fields are not the expected ones: {', '.join(odd)}")
        try:
            return cls(**{**raw, "scalogram": Band(**raw["scalogram"]), "field": Band(**raw["field"])})
        except TypeError as error:
            raise GyrovaeError(f"the stock calibration is malformed: {error}") from None


@dataclass(frozen=True)
class StockBundle:
    """One calibrated int8 detector for the stock firmware."""

    model: bytes
    """The .tflite."""
    spec: StockSpec
    """The front end it was trained with."""
    calibration: StockCalibration
    """The alarm levels."""
    ops: tuple[str, ...]
    """Names of its operators, all among those that the firmware's resolver registers."""
    arena: Arena | None = None
    """The tensor arena that it needs, where it was measured; the firmware reserves 1 MiB."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Figures of training and quantisation, for people."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that made it."""

    def __repr__(self) -> str:
        return (
            f"StockBundle(model=<{len(self.model)} bytes>, input_scale={self.spec.input_scale:g}, "
            f"calibration={self.calibration})"
        )

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the .tflite, in hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()

    def manifest(self) -> dict[str, Any]:
        """The manifest as JSON-ready values: that of `Bundle`, with `frontend` in it and without golden windows."""
        return {
            "schema_version": STOCK_SCHEMA_VERSION,
            "frontend": STOCK,
            "spec": json.loads(self.spec.to_json()),
            "spec_digest": self.spec.digest,
            "files": {MODEL: self.model_sha256},
            "calibration": self.calibration.to_dict(),
            "calibration_digest": digest_of(self.calibration.to_dict()),
            "ops": list(self.ops),
            "arena": None if self.arena is None else self.arena.to_dict(),
            "golden": None,
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
    def load(cls, path: str | PathLike[str]) -> StockBundle:
        """Read a bundle (or the one inside a run) and check it; `GyrovaeError` names what does not hold."""
        folder, raw = read_manifest(path, STOCK)
        manifest = folder / MANIFEST
        spec, calibration, arena = parsed(raw, manifest, StockSpec.from_dict, StockCalibration.from_dict)
        check_files(raw, manifest, {MODEL})
        model = read_hashed(folder / MODEL, raw["files"][MODEL])
        return cls(model, spec, calibration, tuple(raw["ops"]), arena, raw["metrics"], raw["versions"])


def is_stock(path: str | PathLike[str]) -> bool:
    """A bundle, or a run that holds one, in; whether it is for the stock firmware out."""
    manifest = find_bundle(path) / MANIFEST
    return frontend_of(read_json(manifest, largest=LARGEST_MANIFEST, remedy="Quantise again.")) == STOCK


def load_bundle(path: str | PathLike[str]) -> Bundle | StockBundle:
    """The path of a bundle, or of a run that holds one, in; the bundle, for our own firmware or the stock one, out."""
    return StockBundle.load(path) if is_stock(path) else Bundle.load(path)
