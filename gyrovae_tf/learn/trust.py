"""Scores of normal stretches of time in, whether a false-alarm rate can be promised out, and if not, why.

The threshold is tried on what it was not made from: each block's windows against the threshold of all other blocks. If
blocks of the recordings at hand differ more than the rate allows, other days will, too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import covered
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.threshold import METHODS, Method, effective_windows
from gyrovae_tf.wording import figure, span

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BAND = (0.3, 3.0)
"""A promised rate is kept within these multiples of it."""
ODD = 10.0
"""A block with more than this multiple of the rate is unlike the others."""
_LEAST_EXPECTED = 2.0  # independent windows above the threshold
_LEAST_BLOCKS = 4
_DRIFT_P, _DRIFT_RATIO = 0.01, 1.1
_PERMUTATIONS = 4000
TOO_FEW = "Too few data"
"""How that warning begins."""
_LONG_S = 300.0
_UNFILLED_S = 10.0  # a recording of five minutes does not fill its last windows


def odd_share(rate: float) -> float:
    """A rate in; the share of alarms above which a stretch is unlike the rest: `ODD` times that, but not near all."""
    return min(ODD * rate, (1 + rate) / 2)


@dataclass(frozen=True)
class Trust:
    """How far a rate of false alarms can be promised for other days, from the normal data alone."""

    minutes: float
    """Time that the windows cover."""
    recordings: int
    """Recordings that they come from."""
    windows: int
    """Windows scored."""
    effective_windows: float
    """Independent windows that would tell as much about the tail."""
    left_out_rates: tuple[float, ...]
    """Block by block, the share of its windows above the threshold of all other blocks."""
    drift: float
    """Typical score of the later half of the blocks over that of the earlier half."""
    drift_p: float
    """How often blocks in random order differ as much (permutation test, two-sided)."""
    ends: float
    """Typical score of the first and last quarter of the blocks over that of the middle: drift both ways."""
    ends_p: float
    """How often blocks in random order differ as much."""
    warnings: tuple[str, ...]
    """Why the rate cannot be promised, in plain words; none where it can."""
    note: str
    """What no check of these data can show; empty where they come from several recordings."""

    @property
    def promised(self) -> bool:
        """Whether nothing speaks against the rate on other days."""
        return not self.warnings

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        record = dataclasses.asdict(self)
        return {
            **record,
            "left_out_rates": list(self.left_out_rates),
            "warnings": list(self.warnings),
            "promised": self.promised,
        }


def check(
    scores: Floats,
    blocks: Labels,
    rate: float,
    *,
    seconds: float,
    recordings: Sequence[str | int] = (),
    most: float = math.inf,
    method: Method = "exponential",
    seed: int = 0,
) -> Trust:
    """Out-of-block scores [k] in time order, their blocks [k], the rate and the seconds they cover in, a `Trust` out.

    Best with 12 to 16 blocks: drift shows by their order, and fewer than ten orders are too easily chance.
    `recordings` is the name or number of the recording of each window (none: all of one); `most` is how many
    windows there are side by side: no more are independent (see `foreseen`). `GyrovaeError` for no windows.
    """
    if not (len(scores) and scores.shape == blocks.shape):
        raise GyrovaeError(
            "scores and blocks differ in shape, or are empty", received=f"{scores.shape}, {blocks.shape}"
        )
    labels = np.unique(blocks)
    fit = METHODS[method]
    left_out = (
        tuple(float((scores[blocks == label] >= fit(scores[blocks != label], rate)).mean()) for label in labels)
        if len(labels) > 1
        else ()
    )
    typical = np.array([np.log(max(float(np.median(scores[blocks == label])), 1e-9)) for label in labels])
    order = np.arange(len(labels))
    drift, drift_p = _contrast(typical, order >= len(labels) / 2, seed)
    ends, ends_p = _contrast(typical, np.abs(order - (len(labels) - 1) / 2) >= len(labels) / 4, seed)
    effective = min(effective_windows(scores, blocks), most)
    number = len(set(recordings)) or 1
    minutes = seconds / 60
    warnings = []
    if rate * effective < _LEAST_EXPECTED or len(labels) < _LEAST_BLOCKS:
        warnings.append(_too_few(minutes, effective, rate))
    odd = [index for index, share in enumerate(left_out) if share > odd_share(rate)]
    if odd:
        worst = max(odd, key=lambda index: left_out[index])
        start, stop = (seconds * float((blocks < labels[worst] + extra).mean()) for extra in (0, 1))
        differ = "differs" if len(odd) == 1 else "differ"
        warnings.append(
            f"{len(odd)} of {len(labels)} stretches {differ} from the rest; worst, {span(start, stop, seconds)}, "
            f"would be {100 * left_out[worst]:.0f} % alarms had they not been recorded. "
            "If that is normal, record more of it."
        )
    if left_out and np.mean(left_out) > BAND[1] * rate and not odd:
        warnings.append(
            f"On stretches left out, {100 * np.mean(left_out):.1f} % were alarms where {100 * rate:.2g} % should be."
        )
    if drift_p < _DRIFT_P and max(drift, 1 / drift) > _DRIFT_RATIO:
        what = "above" if drift > 1 else "below"
        warnings.append(f"The data drift: later stretches score {100 * abs(drift - 1):.0f} % {what} earlier ones.")
    elif ends_p < _DRIFT_P and ends > _DRIFT_RATIO:
        warnings.append(
            f"The data drift: the first and the last stretches score {100 * (ends - 1):.0f} % above the middle."
        )
    note = ""
    if number == 1:
        note = "All data come from one recording: what differs from day to day, or from unit to unit, is not in them."
    if uniform := _too_uniform(minutes, number):
        warnings.append(uniform)
    return Trust(
        minutes=minutes,
        recordings=number,
        windows=len(scores),
        effective_windows=effective,
        left_out_rates=left_out,
        drift=drift,
        drift_p=drift_p,
        ends=ends,
        ends_p=ends_p,
        warnings=tuple(warnings),
        note=note,
    )


def foreseen(data: Dataset, rate: float = 0.01) -> tuple[str, ...]:
    """A dataset and a rate in; the warnings of `check` that follow from how much there is of it, before any score, out.

    Windows side by side are taken as independent, which is the most that can be hoped for.
    """
    origins = np.concatenate([data.train_origins, data.validation_origins])
    samples, apart = covered(origins, data.spec.window, data.hop)
    minutes = samples / data.spec.rate_hz / 60
    few = _too_few(minutes, apart, rate, "at most") if rate * apart < _LEAST_EXPECTED else ""
    # By their numbers: files of several days may well have one name, each in a folder of its own.
    recordings = len(np.unique(origins[:, 0]))
    return tuple(text for text in (few, _too_uniform(minutes, recordings)) if text)


def _too_few(minutes: float, effective: float, rate: float, about: str = "about") -> str:
    expected = rate * effective
    share = f"{expected:.1f}" if expected >= 0.05 else "less than 0.1"
    return (
        f"{TOO_FEW}: {figure(minutes)} minutes hold {about} {effective:,.0f} independent windows; "
        f"{100 * rate:.2g} % of them is {share}. About {_LEAST_EXPECTED / rate:,.0f} are needed to promise that."
    )


def _too_uniform(minutes: float, recordings: int) -> str:
    """Why one short recording promises nothing, whatever it holds; empty where there is more."""
    if recordings > 1 or 60 * minutes >= _LONG_S - _UNFILLED_S:
        return ""
    return (
        f"Too uniform: one recording of {figure(minutes)} minutes, less than {_LONG_S / 60:.0f}; "
        "record longer, on several days."
    )


def _contrast(typical: Floats, group: NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """Log scores of blocks and which form a group in; the group's mean over the others', and its permutation p, out."""
    if group.all() or not group.any():
        return 1.0, 1.0
    weight = group / group.sum() - ~group / (~group).sum()
    seen = float(weight @ typical)
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(typical, (_PERMUTATIONS, 1)), axis=1) @ weight
    extreme = int((np.abs(drawn) >= abs(seen) - 1e-12).sum())
    return float(np.exp(seen)), (extreme + 1) / (_PERMUTATIONS + 1)
