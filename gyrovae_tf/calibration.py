"""The numbers of a detector's score: what normal motion looks like in each view of it, and where the alarm lies."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.arguments import told
from gyrovae_tf.errors import GyrovaeError

_FLOAT32 = float.fromhex("0x1.fffffep127")
_INT16, _INT32 = (1 << 15) - 1, (1 << 31) - 1
SIZES = {"bands": 96, "groups": 24, "quarters": 12, "rhythm": 96, "level": 3, "tilt": 3}
"""View -> numbers in one of its profiles, all bands (or segments) of x first, then of y, then of z."""
OPTIONAL = ("quarters", "tilt")
"""Views that not every detector has: bundles of schema 3 have no quarters, and the tilt is asked for."""
RECONSTRUCTED = ("rhythm",)
"""Views that are also compared with what the VAE reconstructs."""
WIDE = ("quarters", "level", "tilt")
"""Views whose codes need 16 bits; those of the others are pixels."""
_INT8 = (1 << 7) - 1
MOST_VOTES = 64
"""Windows in a vote, at the most."""
MOST_PHASES = 16
"""Windows that share samples with one another on a device, at the most: a hop is a 16th of a window at the least."""
PAUSE_S, PAUSE_WINDOWS = 60.0, 10
"""Between decisions; a pause that is longer than both ends an event."""
_MOST_REGIMES = 64
_MOST_REACH = 100

Row = tuple[float, ...]


def digest_of(record: Any) -> str:
    """JSON-ready values in, 64 hexadecimal digits that change when any of them does (SHA-256 of canonical JSON) out."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class View:
    """One way to look at a window: the profiles of normal motion's regimes, and how far normal windows lie off them.

    A window's distance d is that of its profile from the nearest regime's: the root mean square of the deviations,
    each times its `weight`, and mixed where there is a `mixing`, over the regime's `scatter`. With a `residual_weight`
    it is a geometric mean: three parts of that, one part of the root mean square of the weighted residual from the
    reconstruction.
    (d / center) ** power is what the view adds to the score.
    """

    codes: tuple[tuple[int, ...], ...]
    """[regime][number] profiles: in pixels, for quarters and level in 1/256 octave, for the tilt in counts."""
    weight: Row
    """[number] 1 / spread of normal windows about their regime."""
    scatter: Row
    """[regime] how far its normal windows lie off it, where that is further than those of all regimes do; else 1."""
    mixing: tuple[Row, ...] = ()
    """[number][first numbers] lower triangular matrix that makes the weighted deviations uncorrelated; or none."""
    residual_weight: Row = ()
    """[number] 1 / spread of normal windows' residuals from their reconstruction, in pixels; or none."""
    center: float = 1.0
    """The distance of the middle one of normal windows."""
    power: float = 1.0
    """Makes the views comparable: 0.5 over the logarithm of (the 95 % distance of normal windows / center)."""

    def __repr__(self) -> str:
        return f"View(codes=<{len(self.codes)} x {len(self.weight)}>, center={self.center:.4g}, power={self.power:.4g})"


@dataclass(frozen=True)
class Calibration:
    """All that turns a window's images and their reconstruction into a score of which 1.0 is the alarm.

    Every number is a float32 or an integer, so that the device computes with the same ones.
    """

    bands: View
    """The profile of power over all 32 bands of each axis."""
    groups: View
    """The same, coarse: 8 groups of bands, decorrelated."""
    quarters: View | None
    """The power of each quarter of the bands, of each axis; None: it does not count, as in
    bundles of schema 3."""
    rhythm: View
    """The Markov transition field's profile: how the motion is laid out in time."""
    level: View
    """The power of all bands together, of each axis."""
    tilt: View | None
    """The window's mean, which tells orientation and slow acceleration; None: it does not count."""
    threshold: float
    """Mean of what the views add at which the alarm lies."""
    false_alarm_rate: float
    """Share of normal windows that the threshold was set to let through as alarms."""
    held_back_windows: int
    """Normal windows, not used for what they were compared with, that the threshold rests on."""
    vote_alarms: int
    """An event needs this many alarms ..."""
    vote_windows: int
    """... among this many windows in a row that share no samples."""
    reach: float = 3.0
    """How many standard deviations of log2 of normal windows' scores the threshold lies above their mean: from this a
    device finds the threshold anew where it is mounted."""

    def __post_init__(self) -> None:
        for name, view in self.views.items():
            _check_view(name, view)
        for name in ("threshold", "false_alarm_rate"):
            value = getattr(self, name)
            if not (_is_float32(value) and value > 0):
                raise GyrovaeError(f"the calibration's {name} is not usable", expected="above 0", received=told(value))
        if not (_is_float32(self.reach) and 0 < self.reach < _MOST_REACH):
            raise GyrovaeError(
                "the calibration's reach is not usable",
                expected=f"above 0, below {_MOST_REACH}",
                received=told(self.reach),
            )
        if not (type(self.held_back_windows) is int and 0 <= self.held_back_windows <= _INT32):
            raise GyrovaeError(
                "the calibration's held_back_windows is not usable",
                expected="a number of windows",
                received=told(self.held_back_windows),
            )
        counts = (self.vote_alarms, self.vote_windows)
        if not (all(type(v) is int for v in counts) and 1 <= self.vote_alarms <= self.vote_windows <= MOST_VOTES):
            raise GyrovaeError(
                "the vote is not usable",
                expected=f"1 <= alarms <= windows <= {MOST_VOTES}",
                received=f"{told(self.vote_alarms)} of {told(self.vote_windows)}",
            )

    @property
    def views(self) -> dict[str, View]:
        """The views that count, by name, in the order in which the score adds them."""
        found = {name: getattr(self, name) for name in SIZES}
        return {name: view for name, view in found.items() if view is not None or name not in OPTIONAL}

    @property
    def table_bytes(self) -> int:
        """What the tables take on the device: pixels as int8, other codes as int16, all else as float32."""
        total = 0
        for name, view in self.views.items():
            code = 2 if name in WIDE else 1
            floats = len(view.weight) + len(view.scatter) + sum(map(len, view.mixing)) + len(view.residual_weight) + 2
            total += code * len(view.codes) * SIZES[name] + 4 * floats
        return total

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, raw: Any) -> Calibration:
        """The inverse of `to_dict`; `GyrovaeError` for missing or unknown fields and for values out of range."""
        raw = dict(_fields(cls, raw, "calibration"))
        try:
            for name in SIZES:
                if raw[name] is not None or name not in OPTIONAL:
                    raw[name] = _view(name, raw[name])
            return cls(**raw)
        except (TypeError, ValueError) as error:
            raise GyrovaeError(f"the calibration is malformed: {error}") from None


def _view(name: str, raw: Any) -> View:
    raw = dict(_fields(View, raw, f"calibration's {name}"))
    for table in ("codes", "mixing"):
        raw[table] = tuple(tuple(row) for row in raw[table])
    for row in ("weight", "scatter", "residual_weight"):
        raw[row] = tuple(raw[row])
    return View(**raw)


def _fields(kind: type, raw: Any, what: str) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(raw, dict) or set(raw) != names:
        odd = sorted(map(str, set(raw) ^ names)) if isinstance(raw, dict) else [type(raw).__name__]
        raise GyrovaeError(f"the {what}'s fields are not the expected ones: {', '.join(odd)}")
    return raw


def _check_view(name: str, view: View) -> None:
    """Refuse tables of other shapes than the view's, and numbers out of range."""
    what, size = f"the calibration's view {name}", SIZES[name]
    if not isinstance(view, View):
        raise GyrovaeError(f"{what} is missing")
    if not 1 <= len(view.codes) <= _MOST_REGIMES:
        raise GyrovaeError(f"{what} has a wrong number of regimes", expected=f"1 to {_MOST_REGIMES}")
    largest = _INT16 if name in WIDE else _INT8
    for row in view.codes:
        if len(row) != size:
            raise GyrovaeError(f"{what} has codes of a wrong length", expected=size, received=len(row))
        if not all(type(v) is int and -largest <= v <= largest for v in row):
            raise GyrovaeError(f"{what} holds codes out of range", expected=f"integers within +-{largest}")
    residual = size if name in RECONSTRUCTED else 0
    for weights, length in ((view.weight, size), (view.residual_weight, residual)):
        if len(weights) != length:
            raise GyrovaeError(f"{what} has weights of a wrong length", expected=length, received=len(weights))
        _check_floats(what, weights)
    if len(view.scatter) != len(view.codes):
        raise GyrovaeError(
            f"{what} has scatters of a wrong length", expected=len(view.codes), received=len(view.scatter)
        )
    if not all(_is_float32(v) and v > 0 for v in view.scatter):
        raise GyrovaeError(f"{what} holds an unusable scatter", expected="numbers above 0")
    if view.mixing and [len(row) for row in view.mixing] != list(range(1, size + 1)):
        raise GyrovaeError(f"{what} has a mixing that is not triangular")
    for mixed in view.mixing:
        _check_floats(what, mixed)
    for value in (view.center, view.power):
        if not (_is_float32(value) and value > 0):
            raise GyrovaeError(f"{what} has an unusable center or power", expected="above 0", received=value)


def _check_floats(what: str, row: Row) -> None:
    if not all(_is_float32(v) for v in row):
        raise GyrovaeError(f"{what} holds something else than finite numbers")


def _is_float32(value: object) -> bool:
    """Whether this is a number of float32's range (NaN is not; JSON knows integers that no float can hold)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FLOAT32
