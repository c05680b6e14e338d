"""Images and their reconstruction in, scores with reasons out: two-sided, in units of the threshold.

The C++ twin is firmware/components/gyrovae/score.cpp.

A window is looked at in several views (`calibration.View`): its profile of power over all bands, the same coarse, the
power of each quarter of the bands, the profile of its Markov transition field, and its level. Normal motion is a few
regimes (speeds, loads); in each view a window's distance is that from the nearest of them; in the field's, where it
helps, the distance from the VAE's reconstruction counts as well. Distances have no sign: what falls silent is as far
away as what becomes loud. Each is brought to a common scale by normal windows that the regimes were not fitted to, and
the score is their mean: as the views err in different ways, what several see a little counts as much as what one sees
plainly.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.calibration import RECONSTRUCTED, Calibration, View
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.profile import band_powers, band_profile, group_profile, levels, quarters, time_sums
from gyrovae_tf.spec import AXES, BANDS, CELLS, PIXEL, Spec

Floats = NDArray[np.float64]
LARGEST_RATIO = 1e6
"""No view adds more than this, so that a float32 holds the sum."""


@dataclass(frozen=True)
class Profiles:
    """What k windows look like in each view."""

    seen: dict[str, Floats]
    """View -> [k, numbers of the view] in the units of its codes; no "tilt" where the windows' means are not known."""
    residual: dict[str, Floats]
    """View that the VAE reconstructs -> [k, 96] mean pixels seen less those reconstructed."""

    @classmethod
    def joined(cls, parts: Sequence[Profiles]) -> Profiles:
        """Profiles of some windows and of others in, those of all out."""
        first = parts[0]
        return cls(
            {name: np.concatenate([part.seen[name] for part in parts]) for name in first.seen},
            {name: np.concatenate([part.residual[name] for part in parts]) for name in first.residual},
        )

    def __getitem__(self, rows: Any) -> Profiles:
        """Some of the windows."""
        return Profiles(
            {name: values[rows] for name, values in self.seen.items()},
            {name: values[rows] for name, values in self.residual.items()},
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of k windows and what they are made of."""

    score: Floats
    """[k] 1.0 is the alarm, higher is more abnormal."""
    shares: dict[str, Floats]
    """View -> [k] its part of the score, 0 to 1; those of a window sum to 1."""
    regime: NDArray[np.intp]
    """[k] the regime that is nearest to the profile of power: a row of `calibration.bands.codes`."""
    deviation: NDArray[np.float64]
    """[k, 3, 32] standardised deviation of power from that regime (axis, band); above 0 is louder."""


@dataclass(frozen=True)
class Reason:
    """A stretch of neighbouring bands of one axis that makes a window abnormal."""

    axis: str
    """x, y or z."""
    center_hz: float
    """Centre frequency of the band that deviates most."""
    low_hz: float
    """Where the stretch begins."""
    high_hz: float
    """Where it ends."""
    direction: str
    """louder or quieter."""
    share: float
    """Its part of what the power contributes, 0 to 1."""


def profiles(
    images: NDArray[np.int8],
    expected: tuple[Floats, Floats],
    spec: Spec,
    means: NDArray[np.integer[Any]] | None = None,
) -> Profiles:
    """int8 images [k, 2, 32, 32, 3] and the time sums of their reconstructions in, `Profiles` of k windows out.

    `expected` are those of the scalogram and of the field, each [k, 3, 32] in pixels (`expected_sums`); `means` are
    the windows' means [k, 3] in counts (`profile.means`), which only the tilt needs.
    """
    profile = band_profile(images[:, 0])
    power = band_powers(profile, spec)
    sums = time_sums(images[:, 0])
    field = time_sums(images[:, 1])
    cells = BANDS // group_profile(sums).shape[2] * CELLS
    seen = {
        "bands": _flat(profile) / 16,
        "groups": _flat(group_profile(sums)) / cells,
        "quarters": _flat(quarters(power)),
        "rhythm": _flat(field) / CELLS,
        "level": levels(power).astype(np.float64),
    }
    if means is not None:
        seen["tilt"] = means.astype(np.float64)
    reconstructed = {"bands": sums - expected[0], "rhythm": field - expected[1]}
    residual = {name: _flat(reconstructed[name]) / CELLS for name in RECONSTRUCTED}
    return Profiles(seen, residual)


def expected_sums(output: NDArray[Any], scale: float, zero_point: int) -> Floats:
    """Reconstructed images [k, 32, 32, 3], int8 or float32, in, their time sums [k, 3, 32] in pixels out.

    `scale` (in standard deviations, 32 pixels) and `zero_point` are those of the model's output: 1 and 0 of a float's.
    """
    sums = output.sum(axis=2, dtype=np.float64).swapaxes(1, 2)  # exact for int8
    return (sums - CELLS * zero_point) * np.float64(scale * PIXEL)


def nearest(view: View, seen: Floats) -> tuple[NDArray[np.intp], Floats]:
    """A view and profiles [k, n] in; the nearest regime of each (the first of equals) [k] and its distance [k] out."""
    weight = np.array(view.weight)
    codes = _mixed(view, np.array(view.codes) * weight)
    points = _mixed(view, seen * weight)
    least, regime = np.full(len(seen), np.inf), np.zeros(len(seen), np.intp)
    for index, (code, scatter) in enumerate(zip(codes, view.scatter, strict=True)):  # all at once would be large
        distance = np.sqrt(np.square(points - code).mean(axis=1)) / scatter
        closer = distance < least
        regime[closer] = index
        least[closer] = distance[closer]
    return regime, least


def distances(view: View, found: Floats, residual: Floats | None) -> Floats:
    """A view, distances [k] from its nearest regime and residuals [k, 96] (or none) in, its distances [k] out."""
    if not view.residual_weight:
        return found
    assert residual is not None
    rest = np.sqrt(np.square(residual * np.array(view.residual_weight)).mean(axis=1))
    return np.sqrt(found * np.sqrt(found * rest))


def ratios(view: View, distance: Floats) -> Floats:
    """A view and distances [k] in, what they add to the score [k] out: 1 for the middle one of normal windows."""
    return np.minimum((distance / view.center) ** view.power, LARGEST_RATIO)


def score(seen: Profiles, calibration: Calibration) -> Scores:
    """Profiles of k windows in, their `Scores` out; `GyrovaeError` when the tilt counts and is not known."""
    added: dict[str, Floats] = {}
    regime = np.zeros(0, np.intp)
    for name, view in calibration.views.items():
        if name not in seen.seen:
            raise GyrovaeError(f"this detector needs the windows' {name}", remedy="Score windows instead of images.")
        which, found = nearest(view, seen.seen[name])
        added[name] = ratios(view, distances(view, found, seen.residual.get(name)))
        if name == "bands":
            regime = which
    total = np.sum(list(added.values()), axis=0)
    bands = calibration.bands
    deviation = (seen.seen["bands"] - np.array(bands.codes)[regime]) * np.array(bands.weight)
    return Scores(
        score=total / len(added) / calibration.threshold,
        shares={name: part / np.maximum(total, np.finfo(np.float64).tiny) for name, part in added.items()},
        regime=regime,
        deviation=deviation.reshape(-1, len(AXES), BANDS),
    )


def edges_hz(spec: Spec) -> NDArray[np.float64]:
    """A spec in; the 33 frequencies in Hz between its bands and at both ends, half way between centres, out."""
    center = np.array([band.center_hz for band in spec.bands])
    between = (center[1:] + center[:-1]) / 2
    return np.concatenate([[max(2 * center[0] - between[0], 0.0)], between, [2 * center[-1] - between[-1]]])


def reasons(deviation: Floats, spec: Spec, count: int = 3) -> list[Reason]:
    """One window's deviations [3, 32] in, the `count` stretches of bands that contribute most out, largest first.

    A stretch is one of neighbouring bands of an axis, all louder or all quieter by a standard deviation or more (where
    none is, the largest deviation alone). Contributions are squares, as in the distance; shares are those of all bands.
    """
    powers = deviation**2
    total = float(powers.sum())
    if not total > 0:
        return []
    strong = np.abs(deviation) >= min(1.0, float(np.abs(deviation).max()))
    sign = np.where(strong, np.sign(deviation), 0)
    center, edges = np.array([band.center_hz for band in spec.bands]), edges_hz(spec)
    found = []
    for axis, name in enumerate(AXES):
        breaks = np.flatnonzero(np.diff(sign[axis])) + 1
        for low, high in itertools.pairwise([0, *breaks.tolist(), len(center)]):
            if sign[axis, low]:
                part = powers[axis, low:high]
                found.append(
                    Reason(
                        axis=name,
                        center_hz=float(center[low + int(part.argmax())]),
                        low_hz=float(edges[low]),
                        high_hz=float(edges[high]),
                        direction="louder" if sign[axis, low] > 0 else "quieter",
                        share=float(part.sum()) / total,
                    )
                )
    return sorted(found, key=lambda reason: -reason.share)[:count]


def stride_of(window: int, hop: int) -> int:
    """A window's samples, and those from one window to the next, in; every how manieth window shares none, out."""
    return max(-(-window // hop), 1)


def vote(alarms: NDArray[np.bool_], alarms_needed: int, windows: int, stride: int = 1) -> NDArray[np.bool_]:
    """Alarms of consecutive windows [k] in, whether `alarms_needed` of the latest `windows` were alarms out, bool [k].

    False for the first `windows` - 1 windows only where too few alarms have come so far. Where only every `stride`-th
    window shares no samples with the one before (`stride_of`), those are counted that do not: window i is one of
    sequence i % stride, each sequence votes by itself, and the vote holds while one of them does. So a knock that many
    windows see is one alarm. Several sequences still have somewhat more events than one.
    """
    counts = np.zeros(len(alarms), np.int64)
    for back in range(0, min(windows * stride, len(alarms)), stride):
        counts[back:] += alarms[: len(alarms) - back]
    held = counts >= alarms_needed
    latest = held.copy()
    for back in range(1, min(stride, len(alarms))):
        held[back:] |= latest[: len(alarms) - back]
    return held


def _flat(values: NDArray[Any]) -> Floats:
    return values.reshape(len(values), values.shape[1] * values.shape[2]).astype(np.float64)


def _mixed(view: View, deviations: Floats) -> Floats:
    """Weighted deviations [k, n] in, the same times the view's mixing, where there is one, out.

    Column by column: how a matrix product rounds depends on how many windows there are.
    """
    if not view.mixing:
        return deviations
    mixed = np.zeros_like(deviations)
    for index, row in enumerate(view.mixing):
        for place, factor in enumerate(row):
            mixed[:, index] += factor * deviations[:, place]
    return mixed
