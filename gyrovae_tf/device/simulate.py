"""A rotating machine in, what a 3-axis accelerometer on its housing reads out, healthy or with a fault.

Axes: x lies along the shaft, y is radial and horizontal, z is radial and points up. At rest without tilt
the sensor reads (0, 0, +9.80665) m/s^2. Everything that shakes grows with the load and with the square of the
speed, as the forces of unbalanced masses and of moved air do.

Every random process has its own child of the seed, and every filter looks only backwards. So a fault changes
no other draw, and a longer recording with the same seed begins with the shorter one. Tones above half the
rate are removed, as a sensor's own low-pass filter would do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import array, instance
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

Array = NDArray[np.float64]
Axes3 = tuple[float, float, float]
Span = tuple[float, float]
Change = Literal["louder", "quieter"]

GRAVITY = 9.80665  # m/s^2, standard gravity
AXES = ("x", "y", "z")
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "imbalance": "the shaft's 1x line grows on both radial axes, in phase with what the machine has",
        "misalignment": "the 2x line grows along the shaft and sideways, the 1x line along the shaft",
        "bearing": "an outer race defect: impulses (by default at 3.57x) ring its housing's resonance",
        "looseness": "lines at 0.5x, 1.5x, 2.5x and stronger 2x to 4x, of unsteady amplitude, mostly upright",
        "blockage": "less air is moved: the blade-pass line and the flow noise fall, the speed rises by 2 %",
        "off": "the machine stands still: gravity and the sensor's noise remain",
    }
)

# What a fault adds at severity 1, on (x, y, z), as a ratio of the machine's nominal rms (`_level`): order of
# the line (its frequency over the shaft's) -> peak amplitude.
_FAULT_TONES: Mapping[str, Mapping[float, Axes3]] = {
    "imbalance": {1.0: (0.0, 1.2, 1.2)},
    "misalignment": {1.0: (0.5, 0.0, 0.0), 2.0: (0.8, 0.5, 0.0)},
    "looseness": {
        0.5: (0.0, 0.15, 0.3),
        1.5: (0.0, 0.2, 0.35),
        2.0: (0.0, 0.1, 0.3),
        2.5: (0.0, 0.1, 0.2),
        3.0: (0.0, 0.1, 0.25),
        4.0: (0.0, 0.1, 0.2),
    },
}
_BEARING_RMS: Axes3 = (0.1, 0.25, 0.2)
_BEARING_SLIP = 0.015  # standard deviation of the spacing of impulses, as a ratio; rolling elements slip
_BEARING_SPREAD = 0.25  # standard deviation of the logarithm of an impulse's height
_LOOSE_UNSTEADINESS, _LOOSE_TAU_S = 0.4, 0.5
_BLOCKED_BLADE, _BLOCKED_FLOW, _BLOCKED_SPEED = 0.55, 0.65, 0.02

_USABLE = 0.98  # of half the rate: where a machine's shaft and structure may be
_HEARD = 0.97  # ... and where a bearing's impulses may be
_REGIME_LAG_S = 1.0  # a machine does not change its speed at once
_MAX_SAMPLES = 20_000_000
# One child seed each. Append only: the order decides what every committed simulation looks like.
_PROCESSES = ("angle", "speed", "load", "regime", "flow", "structure", "sensor", "bearing", "looseness")


class FaultBand(NamedTuple):
    """Where a fault mainly acts: one axis, from `low_hz` to `high_hz`, louder or quieter than healthy."""

    axis: str
    low_hz: float
    high_hz: float
    change: Change


def _within(default: Any, low: float, high: float, shape: tuple[int | None, ...] = ()) -> Any:
    """A field with its limits: lowest and highest value, shape (None: one or more)."""
    return field(default=default, metadata={"limits": (shape, low, high)})


_TRIPLE, _ROWS, _PAIRS = (3,), (None, 3), (None, 2)
_AMPLITUDES = ((0.20, 0.55, 0.50), (0.12, 0.20, 0.15), (0.04, 0.06, 0.05))
_PHASES = ((0.4, 0.0, -math.pi / 2), (1.1, 0.7, -0.2), (2.0, -1.3, 0.5))  # 1x: y and z in quadrature


@dataclass(frozen=True)
class Machine:
    """A machine and the sensor on it. Triples are (x, y, z); bad values raise `GyrovaeError`.

    The default is a small three-bladed fan at 1440 revolutions a minute with a +-4 g, 14-bit sensor.
    """

    rate_hz: float = _within(200.0, 10, 1e5)  # samples a second
    shaft_hz: float = _within(24.0, 0.01, 1e5)  # nominal revolutions a second
    # peak amplitudes of the lines at 1x, 2x, 3x, ... the shaft's speed
    harmonics_m_s2: tuple[Axes3, ...] = _within(_AMPLITUDES, 0, 1e4, _ROWS)
    phases_rad: tuple[Axes3, ...] = _within(_PHASES, -1e3, 1e3, _ROWS)  # phases of those lines
    # blades of the fan or pump: its blade-pass line lies at blades * shaft speed
    blades: int = _within(3, 1, 1000)
    # peak amplitudes of the blade-pass line
    blade_m_s2: tuple[float, float, float] = _within((0.18, 0.10, 0.08), 0, 1e4, _TRIPLE)
    # rms of the noise of the flow, white up to half the rate
    flow_m_s2: tuple[float, float, float] = _within((0.12, 0.08, 0.08), 0, 1e4, _TRIPLE)
    # natural frequency of the structure, which broadband noise excites
    structure_hz: float = _within(37.0, 0.5, 1e5)
    structure_damping: float = _within(0.04, 0.005, 0.9)  # damping ratio of the structure
    # rms of the structure's motion (one mode: the axes move together)
    structure_m_s2: tuple[float, float, float] = _within((0.05, 0.12, 0.10), 0, 1e4, _TRIPLE)
    # natural frequency of the bearing's housing, heard only when the bearing is bad
    bearing_hz: float = _within(88.0, 0.5, 1e5)
    bearing_damping: float = _within(0.05, 0.005, 0.9)  # damping ratio of the bearing's housing
    # impulses a revolution from a defect of the bearing's outer race (BPFO)
    bearing_ratio: float = _within(3.57, 0.1, 100)
    # standard deviation of the slow wander of the speed, as a ratio
    speed_jitter: float = _within(0.004, 0, 0.05)
    speed_tau_s: float = _within(5.0, 0.01, 1e5)  # correlation time of that wander
    # standard deviation of the logarithm of the amplitude as the load changes
    load_spread: float = _within(0.08, 0, 1)
    # how far one standard deviation of load slows the shaft, as a ratio
    load_slip: float = _within(0.003, 0, 0.05)
    load_tau_s: float = _within(20.0, 0.01, 1e5)  # correlation time of the load
    # (speed ratio, amplitude ratio) of each regime the machine runs in
    regimes: tuple[tuple[float, float], ...] = _within(((1.0, 1.0),), 0.1, 10, _PAIRS)
    # mean time in a regime; each stay lasts 0.5 to 1.5 times as long, then another regime follows
    regime_s: float = _within(20.0, 1, 1e5)
    roll_deg: float = _within(0.0, -360, 360)  # tilt of gravity about x: 90 puts it on y
    pitch_deg: float = _within(0.0, -360, 360)  # tilt of gravity about y: 90 puts it on -x
    sensor_noise_m_s2: float = _within(0.02, 0, 1e4)  # rms of the sensor's white noise on each axis
    # the sensor saturates at -full_scale and at full_scale - lsb
    full_scale_m_s2: float = _within(4 * GRAVITY, 0.01, 1e4)
    bits: int = _within(14, 2, 16)  # bits of a count, sign included

    @property
    def lsb(self) -> float:
        """Size of one count in m/s^2: 2 * full_scale / 2**bits."""
        return 2 * self.full_scale_m_s2 / 2**self.bits

    def __post_init__(self) -> None:
        for each in fields(self):
            shape, low, high = each.metadata["limits"]
            whole = each.name in ("bits", "blades")
            _check(each.name, getattr(self, each.name), low, high, shape, whole=whole)
        if len(self.harmonics_m_s2) != len(self.phases_rad):
            lengths = len(self.harmonics_m_s2), len(self.phases_rad)
            raise GyrovaeError("harmonics_m_s2 and phases_rad differ in length", received=lengths)
        top_hz = _USABLE * self.rate_hz / 2
        for name, value in (
            ("structure_hz", self.structure_hz),
            ("highest shaft speed", self.shaft_hz * max(speed for speed, _ in self.regimes)),
        ):
            if value > top_hz:
                raise GyrovaeError(
                    f"{name} is too fast for rate_hz {self.rate_hz:g}",
                    expected=f"at most {top_hz:g} Hz",
                    received=f"{value:g} Hz",
                    remedy=f"Raise rate_hz (--rate-hz) to {math.ceil(2 * value / _USABLE)} Hz or more.",
                )


def simulate(
    machine: Machine | None = None,
    *,
    seconds: float,
    fault: str | None = None,
    severity: float = 1.0,
    seed: int,
) -> Recording:
    """A machine (`Machine()` if none), a duration and a seed in, a `Recording` of its samples out.

    `severity` 0 is a healthy machine, 1 a plain fault, more is worse. The same seed gives the same samples,
    and the same underlying healthy machine whatever the fault. An unknown fault, a time, severity or seed out
    of range, and a bearing fault that lies above half the rate raise `GyrovaeError`.
    """
    m = Machine() if machine is None else instance(machine, "the machine is not usable", Machine, __name__)
    _check_fault(m, fault)
    _check("severity", severity, 0, 100)
    _check("seconds", seconds, 1 / m.rate_hz, _MAX_SAMPLES / m.rate_hz)
    _check("seed", seed, 0, 2**63 - 1, whole=True)
    n = round(seconds * m.rate_hz)
    counts = _counts(m, n, fault, float(severity), int(seed))
    return Recording(
        samples=counts * m.lsb,
        rate_hz=float(m.rate_hz),
        segments=((0, n),),
        source="simulated",
        lsb=m.lsb,
        metadata={"simulated": True, "fault": fault, "severity": float(severity), "seed": int(seed)},
    )


def fault_bands(machine: Machine, fault: str | None) -> tuple[FaultBand, ...]:
    """A machine and a fault in, the frequency bands and axes it mainly acts on out (none for a healthy one).

    "Mainly" leaves out axes on which a part of the fault is less than half as strong as on its strongest one.
    With several regimes a band spans all their speeds. Unknown faults raise `GyrovaeError`.
    """
    _check_fault(machine, fault)
    top_hz = 0.95 * machine.rate_hz / 2
    tones = _FAULT_TONES.get(fault or "")
    if tones:
        parts = [(_span_hz(machine, order), strength) for order, strength in tones.items()]
        return _bands([part for part in parts if part[0][1] <= top_hz], "louder")
    if fault == "bearing":
        return _bands([(_bearing_span_hz(machine), _BEARING_RMS)], "louder")
    if fault == "blockage":
        flow, blade = _widest_gap_hz(machine), _span_hz(machine, machine.blades)
        parts = [(blade, machine.blade_m_s2)] if blade[1] <= top_hz else []
        return _bands([*parts, (flow, machine.flow_m_s2)], "quieter")
    if fault == "off":
        return _bands([((0.005 * machine.rate_hz, top_hz), (1.0, 1.0, 1.0))], "quieter")
    return ()


def _bands(parts: list[tuple[Span, Axes3]], change: Change) -> tuple[FaultBand, ...]:
    return tuple(
        FaultBand(axis, *span, change)
        for span, strength in parts
        for axis, share in zip(AXES, strength, strict=True)
        if share > 0 and share >= 0.5 * max(strength)
    )


def _counts(m: Machine, n: int, fault: str | None, severity: float, seed: int) -> Array:
    """The simulation itself: whole sensor counts, float64 [n, 3]."""
    children = np.random.SeedSequence(seed).spawn(len(_PROCESSES))
    rng = {name: np.random.default_rng(child) for name, child in zip(_PROCESSES, children, strict=True)}
    # The resonances start from rest: let them ring in before the recording begins.
    slowest = min(m.structure_damping * m.structure_hz, m.bearing_damping * m.bearing_hz)
    settle = math.ceil(m.rate_hz * max(1.0, 8 / (2 * math.pi * slowest)))
    total = settle + n

    blocked = severity if fault == "blockage" else 0.0
    speed_ratio, load_ratio = _regimes(m, rng["regime"], total)
    load = _wander(rng["load"], total, m.load_tau_s * m.rate_hz)
    jitter = _wander(rng["speed"], total, m.speed_tau_s * m.rate_hz)
    speed = speed_ratio * (1 + m.speed_jitter * jitter - m.load_slip * load) * (1 + _BLOCKED_SPEED * blocked)
    loudness = load_ratio * np.exp(m.load_spread * load) * speed**2
    turns = rng["angle"].random() + np.cumsum(speed) * (m.shaft_hz / m.rate_hz)

    motion = _BLOCKED_FLOW**blocked * rng["flow"].standard_normal((total, 3)) * m.flow_m_s2
    motion += _structure(m, rng["structure"], total)[:, None] * np.asarray(m.structure_m_s2)
    blade = np.asarray(m.blade_m_s2) * _BLOCKED_BLADE**blocked
    for order, amplitude in enumerate(m.harmonics_m_s2, start=1):
        motion += _tone(m, turns, speed, order, amplitude)
    motion += _tone(m, turns, speed, m.blades, blade)
    strength = severity * _level(m)
    unsteady = np.ones(total)
    if fault == "looseness":
        walk = _wander(rng["looseness"], total, _LOOSE_TAU_S * m.rate_hz)
        unsteady = np.maximum(1 + _LOOSE_UNSTEADINESS * walk, 0)
    for part, share in _FAULT_TONES.get(fault or "", {}).items():
        motion += unsteady[:, None] * _tone(m, turns, speed, part, strength * np.asarray(share))
    if fault == "bearing":
        motion += _bearing(m, rng["bearing"], turns)[:, None] * (strength * np.asarray(_BEARING_RMS))
    running = max(0.0, 1 - severity) if fault == "off" else 1.0

    samples = _gravity(m) + running * loudness[settle:, None] * motion[settle:]
    samples += m.sensor_noise_m_s2 * rng["sensor"].standard_normal((n, 3))
    half = 2 ** (m.bits - 1)
    return np.clip(np.rint(samples / m.lsb), -half, half - 1)


def _decay(drive: NDArray[Any], pole: complex) -> NDArray[Any]:
    """y[n] = pole * y[n-1] + drive[n] from rest, without a loop over samples; |pole| < 1.

    By doubling: with y_k the sum over the last 2^k samples, y_(k+1)[n] = y_k[n] + pole^(2^k) * y_k[n - 2^k],
    until what is left out has decayed below 1e-12. With a complex pole the imaginary part is the second-order
    (AR(2)) resonator.
    """
    y = drive.astype(np.result_type(drive, type(pole)))
    span, weight = 1, pole
    while span < len(y) and abs(weight) > 1e-12:
        y[span:] = y[span:] + weight * y[:-span]
        span, weight = 2 * span, weight * weight
    return y


def _wander(rng: np.random.Generator, n: int, tau: float) -> Array:
    """Stationary Ornstein-Uhlenbeck walk within +-3: mean 0, deviation 1, correlation time `tau` samples."""
    pole = math.exp(-1 / tau)
    drive = rng.standard_normal(n)
    drive[1:] *= math.sqrt(1 - pole * pole)
    return np.clip(_decay(drive, pole), -3, 3)


def _regimes(m: Machine, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Speed ratio and amplitude ratio of every sample: random regimes, each different from the one before."""
    table = np.asarray(m.regimes, dtype=np.float64)
    draws = rng.random((math.ceil(n / m.rate_hz / (0.5 * m.regime_s)) + 1, 2))
    ends = np.cumsum(m.regime_s * (0.5 + draws[:, 0])) * m.rate_hz
    hops = 1 + np.floor(draws[:, 1] * max(1, len(table) - 1)).astype(np.int64)
    hops[0] = math.floor(draws[0, 1] * len(table))
    which = (np.cumsum(hops) % len(table))[np.searchsorted(ends, np.arange(n), side="right")]
    target = table[which]
    lag = math.exp(-1 / (_REGIME_LAG_S * m.rate_hz))
    smooth = target[0] + _decay((1 - lag) * (target - target[0]), lag)
    return smooth[:, 0], smooth[:, 1]


def _tone(m: Machine, turns: Array, speed: Array, order: float, amplitude: Axes3 | Array) -> Array:
    """The line at `order` times the shaft's speed, [n, 3]; it fades over the last 5 % below half the rate."""
    known = float(order).is_integer() and 1 <= order <= len(m.phases_rad)
    phase = np.asarray(m.phases_rad[int(order) - 1] if known else (0.0, 0.0, 0.0))
    passed = np.clip((1 - order * m.shaft_hz * speed / (m.rate_hz / 2)) / 0.05, 0, 1)
    # Whole turns are taken off first, so that long recordings do not lose the phase's last digits.
    angle = 2 * np.pi * ((order * turns) % 1.0)
    return passed[:, None] * np.cos(angle[:, None] + phase) * np.asarray(amplitude)


def _pole(m: Machine, natural_hz: float, damping: float) -> complex:
    omega = 2 * math.pi * natural_hz / m.rate_hz
    return complex(np.exp(omega * complex(-damping, math.sqrt(1 - damping * damping))))


def _structure(m: Machine, rng: np.random.Generator, n: int) -> Array:
    """White noise through the structure's resonance, with an rms of 1."""
    pole = _pole(m, m.structure_hz, m.structure_damping)
    # Sum of the squares of Im(pole^n), by the geometric series.
    energy = 0.5 * (1 / (1 - abs(pole) ** 2) - (1 / (1 - pole * pole)).real)
    return _decay(rng.standard_normal(n), pole).imag / math.sqrt(energy)


def _bearing(m: Machine, rng: np.random.Generator, turns: Array) -> Array:
    """Impulses at `bearing_ratio` a turn, with slip, ringing the housing; rms about 1 at nominal speed."""
    passes = m.bearing_ratio * (turns - turns[0])
    draws = np.clip(rng.standard_normal((math.ceil(1.1 * passes[-1]) + 10, 2)), -3, 3)
    at = np.cumsum(1 + _BEARING_SLIP * draws[:, 0])
    inside = at < passes[-1]
    moment = np.interp(at[inside], passes, np.arange(len(turns)))  # in samples, seldom a whole one
    pole = _pole(m, m.bearing_hz, m.bearing_damping)
    first = np.ceil(moment)
    height = np.exp(_BEARING_SPREAD * draws[inside, 1]) * pole ** (first - moment)
    drive = np.zeros(len(turns), dtype=np.complex128)
    np.add.at(drive, first.astype(np.int64), height)
    # The rms of the same ringing under perfectly regular impulses.
    period = m.rate_hz / (m.bearing_ratio * m.shaft_hz)
    one_period = (pole ** (np.arange(256) / 256 * period) / (1 - pole**period)).imag
    return _decay(drive, pole).imag / math.sqrt(np.mean(one_period**2))


def _gravity(m: Machine) -> Array:
    roll, pitch = math.radians(m.roll_deg), math.radians(m.pitch_deg)
    direction = (-math.sin(pitch), math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll))
    return GRAVITY * np.asarray(direction)


def _level(m: Machine) -> float:
    """Nominal rms of the healthy machine, mean over the axes, in m/s^2: the yardstick of every fault."""
    tones = np.sum(np.square((*m.harmonics_m_s2, m.blade_m_s2)), axis=0) / 2
    return float(np.sqrt(np.mean(tones + np.square(m.flow_m_s2) + np.square(m.structure_m_s2))))


def _span_hz(m: Machine, order: float) -> Span:
    """From where to where a line wanders, with 4 % of the shaft's speed to spare on each side."""
    speeds = [m.shaft_hz * order * ratio for ratio, _ in m.regimes]
    wander = 3 * (m.speed_jitter + m.load_slip)
    spare = 0.04 * m.shaft_hz
    return min(speeds) * (1 - wander) - spare, max(speeds) * (1 + wander) + spare


def _bearing_span_hz(m: Machine) -> Span:
    """The resonance and, for each regime, the line of the impulses next to it (that one rings most)."""
    passes = [m.bearing_ratio * m.shaft_hz * ratio for ratio, _ in m.regimes]
    lines = [f * max(1, round(m.bearing_hz / f)) for f in passes] + [m.bearing_hz]
    return max(1.0, min(lines) * 0.96), min(max(lines) * 1.04, 0.99 * m.rate_hz / 2)


def _widest_gap_hz(m: Machine) -> Span:
    """The widest band free of lines and of the structure's resonance, where the flow is heard best."""
    spans = [_span_hz(m, order) for order in (*range(1, len(m.harmonics_m_s2) + 1), m.blades)]
    taken = [(low * 0.97, high * 1.03) for low, high in spans]
    width = 4 * m.structure_damping
    taken.append((m.structure_hz * (1 - width), m.structure_hz * (1 + width)))
    gaps, start, top_hz = [], 0.005 * m.rate_hz, 0.98 * m.rate_hz / 2
    for low, high in [*sorted(taken), (top_hz, top_hz)]:
        gaps.append((start, max(start, min(low, top_hz))))
        start = max(start, high)
    return max(gaps, key=lambda gap: gap[1] - gap[0])


def _check_fault(m: Machine, fault: str | None) -> None:
    if fault is not None and fault not in FAULTS:
        raise GyrovaeError("unknown fault", expected="one of " + ", ".join(FAULTS), received=repr(fault))
    impulses_hz = m.bearing_ratio * m.shaft_hz * max(ratio for ratio, _ in m.regimes)
    top_hz = _HEARD * m.rate_hz / 2
    if fault == "bearing" and (fastest_hz := max(impulses_hz, m.bearing_hz)) > top_hz:
        raise GyrovaeError(
            "the impulses of a bearing or its resonance are too fast to be seen at this rate",
            expected=f"at most {top_hz:g} Hz",
            received=f"impulses at {impulses_hz:g} Hz, bearing_hz {m.bearing_hz:g}",
            remedy=f"Raise rate_hz (--rate-hz) to {math.ceil(2 * fastest_hz / _HEARD)} Hz or more, or lower shaft_hz "
            "or bearing_hz.",
        )


def _check(
    name: str, value: Any, low: float, high: float, shape: tuple[int | None, ...] = (), *, whole: bool = False
) -> None:
    """Refuse what is not a number, or an array of numbers of that shape, within the bounds."""
    found = array(value)
    fine = found.dtype.kind in ("iu" if whole else "iuf") and found.ndim == len(shape) and found.size > 0
    fine = fine and all(want in (None, got) for want, got in zip(shape, found.shape, strict=True))
    if not (fine and np.all((low <= found) & (found <= high))):
        what = {(): "a number", (3,): "(x, y, z)", (None, 3): "rows of (x, y, z)"}.get(shape, "rows of pairs")
        raise GyrovaeError(
            f"{name} is not usable",
            expected=f"{'a whole number' if whole else what} from {low:g} to {high:g}",
            received=repr(value),
        )
