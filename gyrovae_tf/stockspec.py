"""What a detector for the stock firmware rests on: the constants compiled into that firmware, and its input's scale."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.arguments import array, number, told, whole
from gyrovae_tf.errors import GyrovaeError

VERSION = 1
FRONTEND = "stock"
WINDOW = 256
"""Samples in a window."""
RATE_HZ = 200.0
"""Samples a second."""
UNITS = "m/s^2"
SCALES = 16
"""Scales of the wavelet transform; the scalogram's 32 rows are interpolated from them."""
SIZE = 32
"""Rows and columns of both images; samples that the wavelets see, segments of the field."""
UNDEFINED_ROWS = 1
"""Rows of the scalogram, the first ones, that the firmware leaves undefined."""
ARENA_BYTES = 1 << 20
"""What the firmware reserves for tensors."""
LARGEST = 1e6
"""No sample and no constant is larger."""


def _within(least: float, most: float) -> Callable[[float], bool]:
    return lambda found: least <= found <= most


@dataclass(frozen=True)
class StockConstants:
    """The numbers compiled into the stock firmware; the defaults are those of its app_main.cpp."""

    mean: tuple[float, float, float] = (5.096703647473537,) * 3
    """GEDAD_MEAN: taken from each axis, m/s^2."""
    std: tuple[float, float, float] = (2.768257565258182,) * 3
    """GEDAD_STD: what each axis is divided by, m/s^2."""
    squeeze: float = 1024.0 * 0.005
    """GEDAD_RESCALE_SQUEEZE: samples are rounded down to whole 1/squeeze ..."""
    expand: float = 200.0 / 1024.0
    """GEDAD_RESCALE_EXPAND: ... and times this afterwards."""
    cutoff_hz: float = 90.0
    """GEDAD_CUTOFF_FREQ: of the low pass before the field."""
    taps: int = 200
    """GEDAD_NUM_TAPS: its length."""
    bins: int = 64
    """GEDAD_MTF_BINS: levels of the field."""
    scale_start: float = 2.0
    """GEDAD_CWT_SCALE_START: the smallest scale."""
    scale_step: float = 1.0
    """GEDAD_CWT_SCALE_SETP (sic): from one scale to the next."""

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            problem, values = f"the stock constant {name} is not usable", getattr(self, name)
            if array(values).shape != (3,):
                raise GyrovaeError(problem, expected="three numbers", received=told(values))
            numbers = (number(value, problem, "three numbers", _within(-LARGEST, LARGEST)) for value in values)
            object.__setattr__(self, name, tuple(map(float, numbers)))
        if not min(self.std) > 1e-6:
            raise GyrovaeError("the stock constant std is not usable", expected="above 0", received=list(self.std))
        limits = {
            "squeeze": (1e-3, 1e5),
            "expand": (1e-5, 1e3),
            "cutoff_hz": (0.1, RATE_HZ / 2 - 0.1),
            "scale_start": (1.0, 64.0),
            "scale_step": (1e-3, 64.0),
        }
        for name, (least, most) in limits.items():
            problem, expected = f"the stock constant {name} is not usable", f"{least:g} to {most:g}"
            value = number(getattr(self, name), problem, expected, _within(least, most))
            object.__setattr__(self, name, float(value))
        for name, fewest, greatest in (("taps", 2, 1024), ("bins", 2, 256)):
            problem = f"the stock constant {name} is not usable"
            expected = f"a whole number from {fewest} to {greatest}"
            count = whole(getattr(self, name), problem, fewest, greatest, expected=expected)
            object.__setattr__(self, name, count)

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Any) -> StockConstants:
        """Numbers by name, as `to_dict` gives them, in; those that are missing are the firmware's own."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(raw, dict):
            raise GyrovaeError("stock constants are an object", received=type(raw).__name__)
        unknown = sorted(map(str, set(raw) - names))
        if unknown:
            raise GyrovaeError(
                f"unknown stock constants: {', '.join(unknown)}", expected=", ".join(sorted(names)), received=unknown
            )
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()}
        return cls(**given)


DEFAULTS = StockConstants()


@dataclass(frozen=True)
class StockSpec:
    """The stock firmware's front end as one detector needs it: windows of 256 samples at 200 Hz, int8 images out."""

    constants: StockConstants = DEFAULTS
    """What is compiled into the firmware."""
    input_scale: float = 0.125
    """Size of one int8 step of the model's input, a power of two (exact however a compiler divides); zero point 0."""

    def __post_init__(self) -> None:
        scale = number(
            self.input_scale,
            "the input's scale is not usable",
            "a power of two",
            lambda found: 2.0**-12 <= found <= 2.0**12 and math.frexp(found)[0] == 0.5,
        )
        object.__setattr__(self, "input_scale", float(scale))

    @property
    def window(self) -> int:
        """Samples in a window."""
        return WINDOW

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return RATE_HZ

    @property
    def units(self) -> str:
        """What the samples are in."""
        return UNITS

    @property
    def window_ms(self) -> float:
        """Length of a window in milliseconds."""
        return 1000.0 * WINDOW / RATE_HZ

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change when any number above does (SHA-256 of the canonical JSON)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The whole spec as one line of canonical JSON (sorted keys)."""
        record = {
            "spec_version": VERSION,
            "frontend": FRONTEND,
            "constants": self.constants.to_dict(),
            "input_scale": self.input_scale,
        }
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, raw: Any) -> StockSpec:
        """A spec from `to_json`'s parsed object; `GyrovaeError` for another version or front end, and bad values."""
        if not isinstance(raw, dict):
            raise GyrovaeError("the spec is not a JSON object", received=type(raw).__name__)
        for name, expected in (("frontend", FRONTEND), ("spec_version", VERSION)):
            if raw.get(name) != expected:
                raise GyrovaeError(f"this spec has another {name}", expected=expected, received=raw.get(name))
        if set(raw) != {"spec_version", "frontend", "constants", "input_scale"}:
            raise GyrovaeError(f"the stock spec's fields are not those of version {VERSION}: {', '.join(sorted(raw))}")
        return cls(StockConstants.from_dict(raw["constants"]), raw["input_scale"])
