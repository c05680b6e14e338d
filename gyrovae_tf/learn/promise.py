"""A bundle in, what its calibration found out: the threshold's interval, how far to trust it, and the vote."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.learn.threshold import Tail
from gyrovae_tf.learn.trust import Trust
from gyrovae_tf.learn.voting import Vote
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.wording import false_events

Kind = TypeVar("Kind", Tail, Trust, Vote)


@dataclass(frozen=True)
class Promise:
    """What is known of a detector's false alarms from its own normal data; None for what the bundle does not hold."""

    threshold: Tail | None = None
    trust: Trust | None = None
    vote: Vote | None = None
    events_per_day: float | None = None
    """Where so many false events a day were asked for, and not a rate of windows."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "threshold": self.threshold.to_dict() if self.threshold else None,
            "trust": self.trust.to_dict() if self.trust else None,
            "vote": self.vote.to_dict() if self.vote else None,
            "events_per_day": self.events_per_day,
        }

    def asked(self, rate: float) -> str:
        """The share of windows that the threshold was set for in, what was asked for out, as text."""
        if self.events_per_day is None:
            return f"{100 * rate:g} %"
        return false_events(self.events_per_day)


def promise(bundle: Bundle | StockBundle) -> Promise:
    """A bundle in, its `Promise` out: from the metrics that `quantize` left in it.

    They are a record for people and no part of the detector: one that is missing or of another form counts as none.
    """
    found = bundle.metrics
    asked = found.get("false_alarms_per_day")
    return Promise(
        _read(Tail, found, "threshold"),
        _read(Trust, found, "trust"),
        _read(Vote, found, "vote"),
        float(asked) if isinstance(asked, int | float) and _fits(asked, "float") and asked > 0 else None,
    )


def _read(kind: type[Kind], metrics: Mapping[str, Any], name: str) -> Kind | None:
    raw = metrics.get(name)
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    if not isinstance(raw, dict) or not all(field in raw and _fits(raw[field], fields[field]) for field in fields):
        return None
    values: dict[str, Any] = {
        field: tuple(raw[field]) if isinstance(raw[field], list) else raw[field] for field in fields
    }
    return kind(**values)


def _fits(value: object, annotation: str) -> bool:
    """Whether a value from JSON can stand in a field of this annotation."""
    if annotation.startswith("tuple["):
        inside = annotation.removeprefix("tuple[").removesuffix(", ...]")
        return isinstance(value, list | tuple) and all(_fits(one, inside) for one in value)
    if annotation == "dict[str, float]":
        return isinstance(value, dict) and all(_fits(one, "float") for one in value.values())
    if annotation == "str":
        return isinstance(value, str)
    number = int if annotation == "int" else int | float
    return isinstance(value, number) and not isinstance(value, bool)
