"""An int8 model and its dataset in, the score's views, their scales, the threshold and the vote out.

All normal windows have a part in it, trained on or held back: what a window is compared with is fitted without it. The
time is divided into blocks; the regimes of all other blocks give a block's distances ("out of block"), which set the
views' scales and the threshold. The detector itself then gets the regimes of all windows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.calibration import RECONSTRUCTED, WIDE, Calibration, View
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import covered, stretches_of
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.regimes import regimes, shrunk_covariance
from gyrovae_tf.learn.threshold import Tail, blocks_of, folds, tail_at, tail_fit
from gyrovae_tf.learn.trust import Trust, check
from gyrovae_tf.learn.voting import DEFAULT, Vote, choose_vote, phases, vote_at
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import Profiles, distances, nearest, ratios
from gyrovae_tf.workers import threaded

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_BLOCKS = 16  # coarse ones: what the interval resamples, and by which drift shows
_FINE_S = 10.0  # a fine block's least length, beyond which windows are hardly alike ...
_FEWEST, _MOST = 8, 64  # ... and the limits of their number: a block must not be all there is of a regime
_LEAST_WINDOWS = 8  # to fit regimes to
_PART = 256  # windows between two reports of progress


class Plan(NamedTuple):
    """How a view is fitted."""

    regimes: int
    """At the most."""
    least_spread: float
    """In the units of the view's codes: what never varied must not decide alone."""
    mixed: bool
    """Whether its deviations are decorrelated."""


PLANS = {
    "bands": Plan(24, 4.8, False),  # 0.15 standard deviations of a pixel
    "groups": Plan(16, 2.4, True),
    "quarters": Plan(24, 76.8, False),
    "rhythm": Plan(16, 4.8, False),
    "level": Plan(16, 76.8, True),  # 0.3 octaves: a tenth of the amplitude
    "tilt": Plan(16, 16.0, True),  # counts
}
_LEAST_RESIDUAL = 3.2  # pixels: 0.1 standard deviations
_RIDGE = 2e-3
_ALIKE = 32  # windows
_SOFT = 0.5
_UPPER = 0.95
_LEAST_SCORE = 1e-6  # as the device has it, before the logarithm
_REACHES = (0.5, 20.0)  # standard deviations: a threshold for another place, within reason
_LEAST_REACH = 0.05  # of the logarithm of a distance, from the middle to the upper end


@dataclass(frozen=True)
class Calibrated:
    """A calibration, and how far it can be trusted."""

    calibration: Calibration
    tail: Tail
    """The threshold with its interval (in the units of `calibration.threshold`)."""
    trust: Trust
    """Whether its rate of false alarms can be promised for other days."""
    vote: Vote
    """The vote, the events to expect, and the delay."""


def calibrate(
    model: runtime.Model,
    data: Dataset,
    *,
    false_alarm_rate: float = 0.01,
    false_alarms_per_day: float | None = None,
    vote: tuple[int, int] | None = None,
    tilt: bool = False,
    seed: int,
    progress: Progress | None = None,
) -> Calibrated:
    """An int8 model and its dataset in, the score's statistics, threshold and vote out.

    The threshold lets through `false_alarm_rate` of normal windows; with `false_alarms_per_day` it is set, together
    with the vote, for that many false events a day at windows side by side. `vote` (alarms, windows) fixes the vote.
    With `tilt` the windows' means count as well. `GyrovaeError` when there are too few windows, and when the tilt is
    asked for of a dataset that did not keep its windows.
    """
    order, origins = _in_time(data)
    seen = _profiles(model, data, tilt=tilt, progress=progress)[order]
    stretches = stretches_of(origins, data.hop)
    window, rate_hz = data.spec.window, data.spec.rate_hz
    samples, side_by_side = covered(origins, window, data.hop)
    # Blocks go by hops: with the last windows whole, short recordings would have more of them, of less each.
    by_hops_s = len(origins) * min(data.hop, window) / rate_hz
    views = fit_views(seen, seed=seed)
    fine = blocks_of(len(origins), max(_FEWEST, min(_MOST, int(by_hops_s / _FINE_S))))
    apart, known = out_of_block(seen, origins, stretches, fine, window, seed, progress)
    views = scaled(views, apart)
    scores = fused(views, apart)
    blocks = blocks_of(len(origins), _BLOCKS)
    wide_apart, wide_known = out_of_block(seen, origins, stretches, blocks, window, seed, progress)
    wide, wide_blocks = fused(views, wide_apart), blocks[wide_known]
    blocks, stretches = blocks[known], stretches[known]
    step = max(1, round(window / data.hop))  # as near as can be to windows side by side, which the device looks at
    sequence, runs = phases(stretches, step)
    hop_s = step * data.hop / rate_hz
    if false_alarms_per_day is not None:
        menu = {} if vote is None else {"menu": (vote,)}
        voted = choose_vote(
            scores[sequence], runs, blocks[sequence], false_alarms_per_day, hop_s=hop_s, repeats=step, seed=seed, **menu
        )
        # So many events take as many alarms at the least; and of less than half a window these tell nothing.
        least = max(false_alarms_per_day * hop_s / 86_400, 0.5 / len(scores))
        tail = tail_at(scores, blocks, voted.threshold, voted.low, voted.high, least=least, most=side_by_side)
        false_alarm_rate = tail.rate
    else:
        tail = tail_fit(scores, blocks, false_alarm_rate, most=side_by_side, seed=seed)
        voted = vote_at(
            scores[sequence],
            runs,
            blocks[sequence],
            tail.threshold,
            hop_s=hop_s,
            repeats=step,
            vote=vote or DEFAULT,
            seed=seed,
        )
    trust = check(
        wide,
        wide_blocks,
        false_alarm_rate,
        seconds=samples / rate_hz,
        recordings=origins[wide_known, 0].tolist(),
        most=side_by_side,
        seed=seed,
    )
    rounded = _float32([tail.threshold, false_alarm_rate, reach_of(scores, tail.threshold)])
    calibration = Calibration(
        bands=views["bands"],
        groups=views["groups"],
        quarters=views["quarters"],
        rhythm=views["rhythm"],
        level=views["level"],
        tilt=views.get("tilt"),
        threshold=rounded[0],
        false_alarm_rate=rounded[1] if false_alarms_per_day is not None else false_alarm_rate,
        held_back_windows=len(scores),
        vote_alarms=voted.alarms,
        vote_windows=voted.windows,
        reach=rounded[2],
    )
    return Calibrated(calibration, tail, trust, voted)


def reach_of(scores: Floats, threshold: float) -> float:
    """Scores [k] and a threshold in; standard deviations of log2 scores from their mean to it, 0.5 to 20, out."""
    logs = np.log2(np.maximum(scores, _LEAST_SCORE))
    spread = float(np.std(logs, ddof=1)) if len(logs) > 1 else 0.0
    return float(np.clip((math.log2(threshold) - logs.mean()) / max(spread, 1e-3), *_REACHES))


def _in_time(data: Dataset) -> tuple[NDArray[np.intp], Labels]:
    """The order in time of all normal windows, trained on and held back, and their origins in it."""
    origins = np.concatenate([data.train_origins, data.validation_origins])
    order = np.lexsort((origins[:, 1], origins[:, 0]))
    return order, origins[order]


def _profiles(model: runtime.Model, data: Dataset, *, tilt: bool, progress: Progress | None) -> Profiles:
    """Profiles of the training windows, then of the held-back ones."""
    windows = (data.train_windows, data.validation_windows)
    if tilt and any(part is None for part in windows):
        raise GyrovaeError(
            "the dataset did not keep its windows, whose means the tilt needs", remedy="Preprocess it again."
        )
    total = len(data.train_images) + len(data.validation_images)
    parts: list[Profiles] = []
    done = 0
    for images, counts in zip((data.train_images, data.validation_images), windows, strict=True):
        for start in range(0, len(images), _PART):
            rows = slice(start, start + _PART)
            mean = means(counts[rows]) if tilt and counts is not None else None
            parts.append(runtime.profiles_of(model, images[rows], data.spec, mean))
            done += len(images[rows])
            if progress:
                progress(done, total, "scoring normal windows")
    return Profiles.joined(parts)


def out_of_block(
    seen: Profiles,
    origins: Labels,
    stretches: Labels,
    blocks: Labels,
    window: int,
    seed: int,
    progress: Progress | None,
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Profiles, origins [k, 2], stretches [k] and blocks [k] of windows in time order in; each view's distances from
    the regimes of all other blocks, and for which of the windows, bool [k], there are any, out.

    There are none where fewer than eight windows elsewhere share no sample with the block; `GyrovaeError` for no
    window at all.
    """
    found: dict[str, Floats] = {name: np.zeros(len(origins)) for name in seen.seen}
    known = np.zeros(len(origins), bool)

    def judged(part: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> dict[str, Floats]:
        inside, usable = part
        return view_distances(fit_views(seen[usable], seed=seed, trials=1), seen[inside])

    parts = [part for part in folds(origins, stretches, blocks, window) if part[1].sum() >= _LEAST_WINDOWS]
    with threaded() as each:
        for done, ((inside, _), of_views) in enumerate(zip(parts, each(judged, parts), strict=True), 1):
            for name, distance in of_views.items():
                found[name][inside] = distance
            known |= inside
            if progress:
                progress(done, len(parts), "calibrating")
    if not known.any():
        raise GyrovaeError("too few windows to calibrate the score", remedy="Record longer, or use a smaller --hop.")
    return {name: distance[known] for name, distance in found.items()}, known


def fused(views: dict[str, View], found: dict[str, Floats]) -> Floats:
    """Views with their scales and distances [k] in each in, the mean of what they add [k] out."""
    added = [ratios(view, found[name]) for name, view in views.items()]
    return np.asarray(np.mean(added, axis=0), np.float64)


def fit_views(seen: Profiles, *, seed: int, trials: int = 4) -> dict[str, View]:
    """Profiles of normal windows in, their views (regimes, spreads, decorrelation; not yet their scales) out.

    `trials`: how often regimes are looked for from other starts.
    """
    return {name: _fit(name, points, seen.residual.get(name), seed, trials) for name, points in seen.seen.items()}


def _fit(name: str, points: Floats, residual: Floats | None, seed: int, trials: int) -> View:
    plan = PLANS[name]
    overall = points.std(axis=0) + plan.least_spread
    centers, label = regimes(points / overall, plan.regimes, seed, trials)
    largest = 32767 if name in WIDE else 127
    codes = np.clip(np.rint(centers * overall), -largest, largest)
    about = points - codes[label]
    weight = 1 / np.sqrt(np.square(about).mean(axis=0) + plan.least_spread**2)
    mixing: Floats = np.zeros((0, 0))
    if plan.mixed:
        covariance = shrunk_covariance(about * weight) + _RIDGE * np.eye(len(weight))
        mixing = np.linalg.inv(np.linalg.cholesky(covariance))
    view = View(
        codes=tuple(tuple(int(v) for v in row) for row in codes),
        weight=_float32(weight),
        scatter=(1.0,) * len(codes),
        mixing=tuple(_float32(row[: index + 1]) for index, row in enumerate(mixing)),
        residual_weight=()
        if name not in RECONSTRUCTED or residual is None
        else _float32(1 / np.sqrt(np.square(residual).mean(axis=0) + _LEAST_RESIDUAL**2)),
    )
    return dataclasses.replace(view, scatter=_scatter(view, points))


def _scatter(view: View, points: Floats) -> tuple[float, ...]:
    """A view that takes all regimes for equally wide and the profiles [k, n] it was fitted to in, its scatter out.

    The square root of the ratio of the root mean square of a regime's distances to that of all, shrunk as if it had
    `_ALIKE` windows more of the latter: halfway between one reach for all and each its own. At least 1: what is wide
    reaches further, but what was quiet may still become as wide as the others.
    """
    label, distance = nearest(view, points)
    squares = np.square(distance)
    overall = float(squares.mean())
    if not overall > 0:
        return view.scatter
    count = np.bincount(label, minlength=len(view.codes))
    own = np.bincount(label, squares, minlength=len(view.codes))
    return _float32(np.maximum(((own + _ALIKE * overall) / (count + _ALIKE) / overall) ** 0.25, 1.0))


def view_distances(views: dict[str, View], seen: Profiles) -> dict[str, Floats]:
    """Views and profiles of k windows in, each view's distances [k] out."""
    return {
        name: distances(view, nearest(view, seen.seen[name])[1], seen.residual.get(name))
        for name, view in views.items()
    }


def scaled(views: dict[str, View], found: dict[str, Floats]) -> dict[str, View]:
    """Views and the distances of normal windows they were not fitted to in, the views with their scales out.

    The middle distance adds 1, the 95 % one exp(0.5).
    """
    out = {}
    for name, view in views.items():
        logs = np.log(np.maximum(found[name], 1e-6))
        center = float(np.median(logs))
        reach = max(float(np.quantile(logs, _UPPER)) - center, _LEAST_REACH)
        center_32, power_32 = _float32(np.array([math.exp(center), _SOFT / reach]))
        out[name] = dataclasses.replace(view, center=center_32, power=power_32)
    return out


def _float32(values: Sequence[float] | Floats) -> tuple[float, ...]:
    """Numbers rounded to float32, as Python floats."""
    return tuple(float(v) for v in np.asarray(values, np.float32))
