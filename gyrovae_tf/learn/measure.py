"""Scores of normal and abnormal windows in, figures of how well they are told apart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.learn.evaluate import auroc

PARTIAL = 0.05
"""False-alarm rate up to which the partial AUROC looks."""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """How well one method tells kinds of anomaly from one set of normal windows."""

    kinds: dict[str, float]
    """Kind of anomaly -> AUROC."""
    partial: dict[str, float]
    """Kind -> partial AUROC up to 5 % false alarms, standardised: 0.5 is a coin, 1.0 perfect."""
    recall: dict[str, float]
    """Kind -> share of its windows at or above the threshold."""
    false_alarm_rate: float
    """Share of normal windows at or above it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, with `mean` and `min` over kinds of the AUROC and of the partial AUROC."""
        return {
            "mean": float(np.mean(list(self.kinds.values()))),
            "min": min(self.kinds.values()),
            "kinds": self.kinds,
            "partial": {
                "mean": float(np.mean(list(self.partial.values()))),
                "min": min(self.partial.values()),
                "kinds": self.partial,
            },
            "recall": {"mean": float(np.mean(list(self.recall.values()))), "kinds": self.recall},
            "false_alarm_rate": self.false_alarm_rate,
        }


def figures(normal: Scores, abnormal: Mapping[str, Scores], threshold: float) -> Figures:
    """Scores of normal windows [k], those of each kind of anomaly, and the alarm's threshold in, `Figures` out."""
    return Figures(
        kinds={kind: auroc(normal, scores) for kind, scores in abnormal.items()},
        partial={kind: partial_auroc(normal, scores) for kind, scores in abnormal.items()},
        recall={kind: float((scores >= threshold).mean()) for kind, scores in abnormal.items()},
        false_alarm_rate=float((normal >= threshold).mean()),
    )


def averaged(found: Sequence[Figures]) -> Figures:
    """Figures of several seeds in, the mean of each out."""
    return Figures(
        kinds=_means([one.kinds for one in found]),
        partial=_means([one.partial for one in found]),
        recall=_means([one.recall for one in found]),
        false_alarm_rate=float(np.mean([one.false_alarm_rate for one in found])),
    )


def partial_auroc(normal: Scores, abnormal: Scores, most: float = PARTIAL) -> float:
    """Scores of normal and of abnormal windows in, the area under the ROC curve up to a false-alarm rate `most` out.

    Standardised (McClish, Analyzing a Portion of the ROC Curve, 1989): 0.5 for a coin, 1.0 for a perfect detector.
    """
    thresholds = np.unique(np.concatenate([normal, abnormal]))[::-1]
    false_alarms = _shares(normal, thresholds)
    found = _shares(abnormal, thresholds)
    beyond = int(np.searchsorted(false_alarms, most, side="right"))
    if beyond < len(false_alarms):
        at_most = np.interp(most, false_alarms[beyond - 1 : beyond + 1], found[beyond - 1 : beyond + 1])
        false_alarms, found = np.append(false_alarms[:beyond], most), np.append(found[:beyond], at_most)
    area = float((np.diff(false_alarms) * (found[1:] + found[:-1]) / 2).sum())
    least = most**2 / 2
    return 0.5 * (1 + (area - least) / (most - least))


def _shares(scores: Scores, thresholds: Scores) -> Scores:
    """The share of scores at or above each threshold (in falling order), after a 0 for none."""
    reached = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
    return np.concatenate([[0.0], reached / len(scores)])


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: float(np.mean([one[kind] for one in found])) for kind in found[0]}
