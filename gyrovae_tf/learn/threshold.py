"""Scores of normal windows in, the threshold for a rate of false alarms out, with how far it can be trusted.

Neighbouring windows are alike, so a recording holds far fewer independent observations than windows. Whatever is said
here about uncertainty therefore rests on whole stretches of time ("blocks"): the interval resamples them, and the
check for drift compares them. Scores should be out-of-block ones (`folds`): those of windows that the score's
statistics were not fitted to, nor to their neighbours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import number
from gyrovae_tf.errors import GyrovaeError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Method = Literal["exponential", "pareto", "hill", "quantile"]

TAIL_SHARE = 0.2
"""The share of windows whose scores the tail is fitted to; no rate above it can be asked for."""
RESAMPLES = 400
_NORMAL_975 = 1.959964
_ABOVE = 1 + 1e-6  # scores equal to the threshold are alarms: where nothing exceeds the edge it must lie above it
_LEAST = 1e-9  # a threshold of 0 would make everything an alarm
_LEAST_TAIL = 5  # excesses to fit a shape to
_SHAPES = (-0.5, 0.5)  # outside of them probability-weighted moments have no finite variance


@dataclass(frozen=True)
class Tail:
    """A threshold, and what is known about it."""

    threshold: float
    """Normal windows score this or more at the rate asked for."""
    low: float
    """Lower end of its 95 % interval, from blocks drawn again with replacement."""
    high: float
    """Upper end."""
    rate: float
    """The share of normal windows asked for."""
    rate_low: float
    """Share of windows that the upper end would let through: between these two the true rate lies, ..."""
    rate_high: float
    """... and the lower end; for more time of the same kind, not for another day."""
    method: str
    """How the tail was fitted."""
    windows: int
    """Scores that were used."""
    effective_windows: float
    """Independent windows that would tell as much about the tail."""
    blocks: int
    """Stretches of time that were resampled."""

    @property
    def extrapolated(self) -> bool:
        """Whether fewer than one independent window was expected above the threshold: beyond what was seen."""
        return self.rate * self.effective_windows < 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**dataclasses.asdict(self), "extrapolated": self.extrapolated}


def tail_fit(
    scores: Floats,
    blocks: Labels,
    rate: float,
    *,
    method: Method = "exponential",
    resamples: int = RESAMPLES,
    most: float = math.inf,
    seed: int = 0,
) -> Tail:
    """Scores [k] of normal windows in time order, their blocks [k] and a rate in (0, 0.2] in, a `Tail` out.

    A window may stand for several scores (several ways to divide the time): give them the same block. The interval
    is log-normal: the standard error of the threshold's logarithm over resampled blocks (a cluster bootstrap), times
    Student's t for their number. A single block is divided in eight. `most` is how many windows there are side by
    side: no more are independent. `GyrovaeError` for no scores, for scores that are no numbers at or above 0, and for
    other rates and methods.
    """
    scores, blocks = _checked(scores, blocks)
    rate = check_rate(rate)
    if method not in METHODS:
        raise GyrovaeError("unknown way to fit a tail", expected=" or ".join(METHODS), received=method)
    fit = METHODS[method]
    parts = _parts(scores, blocks)
    threshold = fit(scores, rate)
    rng = np.random.default_rng(seed)
    logs = [
        math.log(fit(np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))]), rate))
        for _ in range(resamples)
    ]
    # Resampling n blocks shows (n - 1) / n of their variance.
    error = float(np.std(logs)) * math.sqrt(len(parts) / max(len(parts) - 1, 1))
    reach = min(student_975(max(len(parts) - 1, 1)) * error, 50.0)
    low, high = threshold * math.exp(-reach), threshold * math.exp(reach)
    return Tail(
        threshold=threshold,
        low=low,
        high=high,
        rate=rate,
        rate_low=_share_above(scores, high, rate, threshold),
        rate_high=_share_above(scores, low, rate, threshold),
        method=method,
        windows=len(scores),
        effective_windows=min(effective_windows(scores, blocks), most),
        blocks=len(parts),
    )


def tail_at(
    scores: Floats,
    blocks: Labels,
    threshold: float,
    low: float,
    high: float,
    *,
    least: float,
    most: float = math.inf,
) -> Tail:
    """Scores and blocks as for `tail_fit`, a threshold that was chosen otherwise and its interval in, the `Tail` out.

    The shares are those of an exponential tail, that of the threshold and of its lower end at least `least`; `most` is
    as for `tail_fit`.
    """
    scores, blocks = _checked(scores, blocks)
    edge, _ = _excesses(scores)

    def share(value: float, least: float) -> float:
        return min(max(_share_above(scores, value, TAIL_SHARE, edge), least), TAIL_SHARE)

    return Tail(
        threshold=threshold,
        low=low,
        high=high,
        rate=share(threshold, least),
        rate_low=share(high, 0.0),
        rate_high=share(low, least),
        method="exponential",
        windows=len(scores),
        effective_windows=min(effective_windows(scores, blocks), most),
        blocks=len(_parts(scores, blocks)),
    )


def check_rate(rate: float) -> float:
    """A false-alarm rate in, the same as Python's number out; refuses what is no share above 0, or is beyond where
    tails are fitted."""
    expected = f"above 0, at most {TAIL_SHARE}"
    return number(rate, "the false-alarm rate is not usable", expected, lambda value: 0 < value <= TAIL_SHARE)


def exponential(scores: Floats, rate: float) -> float:
    """Scores and a rate in, the threshold by an exponential tail above the upper fifth's edge out.

    Peaks over threshold (Pickands, 1975) with shape 0: edge + mean excess * log(0.2 / rate).
    """
    edge, excess = _excesses(scores)
    return _above(edge, edge + float(excess.mean()) * math.log(TAIL_SHARE / rate) if len(excess) else edge)


def pareto(scores: Floats, rate: float) -> float:
    """Scores and a rate in, the threshold by a generalised Pareto tail out; with few excesses an exponential one."""
    edge, excess = _excesses(scores)
    if len(excess) < _LEAST_TAIL:
        return exponential(scores, rate)
    shape, scale = pareto_fit(excess)
    ratio = TAIL_SHARE / rate
    grown = math.log(ratio) if abs(shape) < 1e-6 else (ratio**shape - 1) / shape
    return _above(edge, edge + scale * grown)


def hill(scores: Floats, rate: float) -> float:
    """Scores and a rate in, the threshold by an exponential tail of the scores' logarithms out (Hill, 1975)."""
    edge, excess = _excesses(np.log(np.maximum(scores, _LEAST)))
    reach = float(excess.mean()) * math.log(TAIL_SHARE / rate) if len(excess) else 0.0
    return _above(math.exp(edge), math.exp(min(edge + reach, 700.0)))


def quantile(scores: Floats, rate: float) -> float:
    """Scores and a rate in, the empirical quantile out: it never reaches beyond the largest score."""
    return max(float(np.quantile(scores, 1 - rate)), _LEAST)


METHODS: dict[str, Callable[[Floats, float], float]] = {
    "exponential": exponential,
    "pareto": pareto,
    "hill": hill,
    "quantile": quantile,
}
"""Ways to fit the tail; docs/experiments.md compares them."""


def pareto_fit(excess: Floats) -> tuple[float, float]:
    """Excesses [k] above an edge in; shape (positive: heavy tail) and scale of a generalised Pareto distribution out.

    Probability-weighted moments (Hosking and Wallis, 1987), which are steadier than maximum likelihood on few
    excesses; the shape is kept within +-0.5, the scale then follows from the mean.
    """
    ordered = np.sort(excess)
    count = len(ordered)
    mean = float(ordered.mean())
    weighted = float((ordered * (count - 1 - np.arange(count))).sum() / (count * (count - 1)))
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else _SHAPES[1]
    shape = min(max(shape, _SHAPES[0]), _SHAPES[1])
    return shape, mean * (1 - shape)


def effective_windows(scores: Floats, blocks: Labels) -> float:
    """Scores [k] in time order and their blocks [k] in; how many independent windows tell as much about the tail, out.

    k / (1 + 2 * sum of autocorrelations) of belonging to the upper fifth, pairs of lags summed while they are positive
    (Geyer, 1992); no pair of windows reaches across a block's edge.
    """
    high = (scores > np.quantile(scores, 1 - TAIL_SHARE)).astype(np.float64)
    variance = float(high.var())
    if not variance > 0:
        return 1.0
    high -= high.mean()

    def correlation(lag: int) -> float:
        same = blocks[lag:] == blocks[:-lag]
        return float((high[lag:] * high[:-lag])[same].mean()) / variance if same.any() else 0.0

    total, lag = 1.0, 1
    while lag + 1 < len(scores):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        total, lag = total + 2 * pair, lag + 2
    return max(len(scores) / total, 1.0)


def student_975(freedom: int) -> float:
    """Degrees of freedom (1 or more) in, the 97.5 % point of Student's t out: exact up to 3, then an expansion."""
    exact = {1: 12.706205, 2: 4.302653, 3: 3.182446}
    if freedom in exact:
        return exact[freedom]
    z, n = _NORMAL_975, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


def blocks_of(windows: int, number: int) -> Labels:
    """A number of windows in time order and one of blocks in; the block of each window, 0 upwards, out."""
    if windows < 1 or number < 1:
        raise GyrovaeError("no windows to divide into blocks", received=f"{windows} windows, {number} blocks")
    return np.arange(windows, dtype=np.int64) * min(number, windows) // windows


def folds(
    origins: Labels, segments: Labels, blocks: Labels, window: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Origins [k, 2], segments [k] and blocks [k] of windows in; for each block, which windows lie in it, and which
    share no sample with those, out: score the former with statistics of the latter.
    """
    place = segments * (int(origins[:, 1].max()) + window) + origins[:, 1]  # segments never come near each other
    for block in np.unique(blocks):
        inside = blocks == block
        mine = np.sort(place[inside])
        after = np.searchsorted(mine, place)
        to_next = np.abs(mine[np.minimum(after, len(mine) - 1)] - place)
        to_previous = np.abs(mine[np.maximum(after - 1, 0)] - place)
        yield inside, np.minimum(to_next, to_previous) >= window


def _checked(scores: Floats, blocks: Labels) -> tuple[Floats, Labels]:
    scores, blocks = np.asarray(scores, np.float64), np.asarray(blocks, np.int64)
    if scores.ndim != 1 or scores.shape != blocks.shape:
        raise GyrovaeError(
            "scores and blocks differ in shape", expected="[k] and [k]", received=f"{scores.shape}, {blocks.shape}"
        )
    if not len(scores):
        raise GyrovaeError("no scores of normal windows", remedy="Record longer.")
    if not (np.isfinite(scores).all() and (scores >= 0).all()):
        raise GyrovaeError("a score is not usable", expected="finite, 0 or more")
    return scores, blocks


def _parts(scores: Floats, blocks: Labels) -> list[Floats]:
    """The scores of each block; a single block's in up to eight stretches."""
    labels = np.unique(blocks)
    if len(labels) > 1:
        return [scores[blocks == label] for label in labels]
    return np.array_split(scores, min(8, len(scores)))


def _excesses(values: Floats) -> tuple[float, Floats]:
    """The upper fifth's edge, and by how much the values above it exceed it."""
    edge = float(np.quantile(values, 1 - TAIL_SHARE))
    return edge, values[values > edge] - edge


def _above(edge: float, threshold: float) -> float:
    """A threshold that lies above the edge, whatever the rounding."""
    return max(threshold, edge * _ABOVE, _LEAST)


def _share_above(scores: Floats, value: float, rate: float, threshold: float) -> float:
    """The share of windows at or above a value: counted up to the threshold, beyond it by an exponential tail."""
    edge, excess = _excesses(scores)
    if value <= edge or not len(excess):
        return float((scores >= value).mean()) if value <= threshold else 0.0
    return rate * math.exp(min((threshold - value) / float(excess.mean()), math.log(TAIL_SHARE / rate)))
