"""The numbers of a detector's score: what normal residuals look like, and where the alarm lies."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.spec import BANDS

Table = tuple[tuple[float, ...], ...]
_FLOAT32 = float.fromhex("0x1.fffffep127")
_INT32 = (1 << 31) - 1


@dataclass(frozen=True)
class Calibration:
    """All that turns a window's images and their reconstruction into a score of which 1.0 is the alarm.

    Every number is a float32 or an integer, so that the device computes with the same ones.
    """

    codebook: tuple[tuple[tuple[int, ...], ...], ...]
    """[regime][axis][band] time sums of the scalogram in pixels, one row for each regime of normal motion."""
    weight: Table
    """[axis][band] 1 / spread of normal windows about their regime, in time sums of pixels."""
    threshold: float
    """Fourth-power mean of the standardised residual profile at which the alarm lies."""
    false_alarm_rate: float
    """Share of normal windows that the threshold was set to let through as alarms."""
    held_back_windows: int
    """Normal windows, never trained on, that the threshold rests on."""
    vote_alarms: int
    """An event needs this many alarms ..."""
    vote_windows: int
    """... among this many consecutive windows."""

    def __post_init__(self) -> None:
        _check("weight", self.weight)
        if not 1 <= len(self.codebook) <= 256:
            raise GyrovaeError("the calibration's codebook has a wrong number of regimes", received=len(self.codebook))
        for row in self.codebook:
            _check("codebook", row)
            if not all(type(v) is int and abs(v) <= 1 << 12 for axis in row for v in axis):
                raise GyrovaeError("the calibration's codebook holds something else than time sums of pixels")
        for name in ("threshold", "false_alarm_rate"):
            value = getattr(self, name)
            if not (_is_float32(value) and value > 0):
                raise GyrovaeError(f"the calibration's {name} is not usable", expected="above 0", received=value)
        if not (type(self.held_back_windows) is int and 0 <= self.held_back_windows <= _INT32):
            raise GyrovaeError(
                "the calibration's held_back_windows is not usable",
                expected="a number of windows",
                received=self.held_back_windows,
            )
        counts = (self.vote_alarms, self.vote_windows)
        if not (all(type(v) is int for v in counts) and 1 <= self.vote_alarms <= self.vote_windows <= 64):
            raise GyrovaeError(
                "the vote is not usable",
                expected="1 <= alarms <= windows <= 64",
                received=f"{self.vote_alarms} of {self.vote_windows}",
            )

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, raw: Any) -> Calibration:
        """The inverse of `to_dict`; `GyrovaeError` for missing or unknown fields and for values out of range."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(raw, dict) or set(raw) != names:
            odd = sorted(set(raw) ^ names) if isinstance(raw, dict) else [type(raw).__name__]
            raise GyrovaeError(f"the calibration's fields are not the expected ones: {', '.join(odd)}")
        try:
            raw = dict(raw)
            raw["weight"] = tuple(tuple(row) for row in raw["weight"])
            raw["codebook"] = tuple(tuple(tuple(axis) for axis in row) for row in raw["codebook"])
            return cls(**raw)
        except (TypeError, ValueError) as error:
            raise GyrovaeError(f"the calibration is malformed: {error}") from None


def _check(name: str, table: Any) -> None:
    """Refuse anything but finite numbers [3][32]."""
    if len(table) != 3 or any(len(row) != BANDS for row in table):
        raise GyrovaeError(f"the calibration's {name} has a wrong shape", expected=[3, BANDS])
    for row in table:
        if not all(_is_float32(v) for v in row):
            raise GyrovaeError(f"the calibration's {name} holds something else than finite numbers")


def _is_float32(value: object) -> bool:
    """Whether this is a number of float32's range (NaN is not; JSON knows integers that no float can hold)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FLOAT32
