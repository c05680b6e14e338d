"""What is known of the models of a fleet and of its devices: records, and the devices by need of attention."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gyrovae_tf.bundle import read_json, write_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.health import Status
from gyrovae_tf.ranking import Device

RECORD = "model.json"
SCORES = "scores.csv"
REPORT = "report.html"

Need = Literal["events", "no model", "look", "doubt", "good"]
STATUS: dict[Need, Status] = {"events": "bad", "no model": "bad", "look": "look", "doubt": "look", "good": "good"}
"""Why a device needs attention, the most urgent first -> how it is marked."""


@dataclass(frozen=True)
class Judged:
    """What the detector makes of one device."""

    figures: Device
    held_back: bool
    """Whether that is motion that the model's own data held back, because nothing else was there to be scored."""


@dataclass(frozen=True)
class Model:
    """One model of a fleet, made or not."""

    name: str
    """The device's or the group's."""
    folder: str
    """Its run is `models/<folder>`, its dataset `datasets/<folder>`."""
    devices: tuple[str, ...]
    failed: str = ""
    """Why it could not be made; nothing below is known then."""
    recordings: int = 0
    """Those that it learnt from."""
    minutes: float = 0.0
    """Motion in them that windows cover."""
    windows: int = 0
    """Those that it was trained on."""
    epochs: int = 0
    error: float = 0.0
    """Mean squared error on held-back windows, in squared standard deviations."""
    auroc: float | None = None
    """How well the int8 detector tells held-back windows from the same with a built-in change."""
    mode: str = ""
    """How it was quantised."""
    bytes: int = 0
    """Size of the .tflite."""
    sha256: str = ""
    """Of the .tflite."""
    false_alarm_rate: float = 0.0
    """What the threshold was set for."""
    events_per_day: float | None = None
    """Where so many false events a day were asked for, and not a rate of windows."""
    vote: tuple[int, ...] = ()
    """Alarms among how many windows make an event."""
    doubts: tuple[str, ...] = ()
    """Why threshold or data are not to be trusted, in plain words."""
    judged: tuple[Judged, ...] = ()
    """Its devices' scores."""
    unscored: dict[str, dict[str, str]] = field(default_factory=dict)
    """Device -> its recordings that were to be scored and could not be -> why."""
    report: bool = False
    """Whether there is a report beside the run."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        record = dataclasses.asdict(self)
        record["judged"] = [{**one.figures.to_dict(), "held_back": one.held_back} for one in self.judged]
        return record

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Model:
        """Its `to_dict` in; `KeyError` or `TypeError` where that is of another form."""
        known = {one.name for one in dataclasses.fields(Device)}
        judged = tuple(
            Judged(Device(**{key: value for key, value in _with_tuples(one).items() if key in known}), one["held_back"])
            for one in raw["judged"]
        )
        return cls(**{**_with_tuples(raw), "judged": judged})


@dataclass(frozen=True)
class Standing:
    """One device in the order of need of attention."""

    name: str
    model: Model
    need: Need
    """events: on motion that was to be scored; no model: it could not be made; look: many alarms, rising scores or a
    recording that could not be scored; doubt: threshold or data are not to be trusted; good: none of it."""
    judged: Judged | None
    """None without a model."""

    @property
    def status(self) -> Status:
        """How it is marked."""
        return STATUS[self.need]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        found = self.judged
        return {
            "device": self.name,
            "model": self.model.name,
            "need": self.need,
            "status": self.status,
            "held_back": None if found is None else found.held_back,
            "scores": None if found is None else found.figures.to_dict(),
        }


def _with_tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where records have tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}


def standings(models: Iterable[Model]) -> tuple[Standing, ...]:
    """Models in; their devices, those that need attention most first, out."""
    found = []
    for model in models:
        judged = {one.figures.name: one for one in model.judged}
        for name in model.devices:
            found.append(Standing(name, model, _need(name, model, judged.get(name)), judged.get(name)))
    return tuple(sorted(found, key=_place))


def _need(name: str, model: Model, judged: Judged | None) -> Need:
    if model.failed:
        return "no model"
    if judged is not None and judged.figures.status == "bad" and not judged.held_back:
        return "events"
    # Held-back motion was recorded as normal: events in it tell that the recordings differ, not that it is broken.
    if judged is None or judged.figures.status != "good" or name in model.unscored:
        return "look"
    return "doubt" if model.doubts else "good"


def _place(one: Standing) -> tuple[int, float, float, float, str]:
    urgency = list(STATUS).index(one.need)
    if one.judged is None:
        return urgency, 0.0, 0.0, 0.0, one.name
    figures = one.judged.figures
    return urgency, -figures.in_events, -figures.alarm_rate, -figures.upper, one.name


def write_model(folder: Path, model: Model, made_from: str) -> None:
    """Write a model's record beside its run, with the digest of what it was made from."""
    record = model.to_dict()
    write_json(folder / RECORD, {"made_from": made_from, "model": record, "sha256": _digest(record)})


def read_model(folder: Path, made_from: str) -> Model | None:
    """A run's folder in; the model that was made in it from what has this digest, or None, out."""
    try:
        raw = read_json(folder / RECORD)
        if raw["made_from"] != made_from or raw["sha256"] != _digest(raw["model"]):
            return None
        return Model.from_dict(raw["model"])
    except (GyrovaeError, KeyError, TypeError):  # none there, or damaged: it is made anew
        return None


def _digest(record: Any) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
