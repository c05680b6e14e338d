"""A trained run in, a calibrated int8 bundle out."""

from __future__ import annotations

import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf import runtime, tflite
from gyrovae_tf.bundle import SUFFIX, Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import convert
from gyrovae_tf.learn.calibrate import calibrate
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.engine import versions
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.threshold import check_rate
from gyrovae_tf.signal.cost import frontend_cost

MODES: dict[str, Callable[[Any, Dataset], bytes]] = {
    "ptq": lambda model, data: convert.to_int8(model, data.train_images),
}
"""Ways to quantise: the Keras model and its dataset in, the .tflite out."""
BUNDLE = f"detector{SUFFIX}"


def quantize(
    run: Run | str | PathLike[str],
    *,
    mode: str = "ptq",
    false_alarm_rate: float | None = None,
    false_alarms_per_day: float | None = None,
    vote: tuple[int, int] | None = None,
    tilt: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """A run (or its folder) in; its model in int8, calibrated, as a `Bundle` out, saved in the run's folder.

    `mode` "ptq" quantises after training with the ranges of training windows. The threshold is set so that about
    `false_alarm_rate` of normal windows (a share, above 0, at most 0.2; 0.01 unless given) score 1.0 or more; or so
    that voting gives about `false_alarms_per_day` events on normal motion. `vote` is (alarms, windows): 3 of 5, or
    with `false_alarms_per_day` the one that tells a fault soonest. With `tilt`, orientation and slow acceleration
    count, too: for vehicles and goods in transport, not for a sensor that may be mounted anew. What can be promised is
    in `bundle.metrics`: "threshold", "trust" and "vote" (`threshold.Tail`, `trust.Trust`, `voting.Vote`).
    """
    if mode not in MODES:
        raise GyrovaeError("unknown quantisation mode", expected=" or ".join(MODES), received=mode)
    if false_alarm_rate is not None and false_alarms_per_day is not None:
        raise GyrovaeError("give either a false-alarm rate or false alarms a day, not both")
    rate = 0.01 if false_alarm_rate is None else false_alarm_rate
    check_rate(rate)
    if false_alarms_per_day is not None and not 0 < false_alarms_per_day < math.inf:
        raise GyrovaeError("the false alarms a day are not usable", expected="above 0", received=false_alarms_per_day)
    check_vote(vote)
    run = run if isinstance(run, Run) else Run.load(run)
    data = run.load_dataset()
    content = MODES[mode](run.keras_model(), data)
    model = runtime.Model(content)
    described = tflite.describe(content)
    made = calibrate(
        model,
        data,
        false_alarm_rate=rate,
        false_alarms_per_day=false_alarms_per_day,
        vote=vote,
        tilt=tilt,
        seed=run.options.seed,
        progress=progress,
    )
    front = frontend_cost(data.spec)
    bundle = Bundle(
        model=content,
        spec=data.spec,
        calibration=made.calibration,
        ops=described.op_names,
        metrics={
            "mode": mode,
            "runtime": model.kernels,
            "macs": described.macs,
            "frontend_macs": front.total_macs,
            "frontend_table_bytes": front.total_table_bytes,
            "score_table_bytes": made.calibration.table_bytes,
            "training": run.metrics,
            "train_windows": len(data.train_images),
            "threshold": made.tail.to_dict(),
            "trust": made.trust.to_dict(),
            "vote": made.vote.to_dict(),
        },
        versions=versions(),
    )
    bundle.save(Path(run.path) / BUNDLE)
    return bundle


def check_vote(vote: tuple[int, int] | None) -> None:
    """Refuse a vote that is no k of n windows."""
    if vote is not None and not (all(type(v) is int for v in vote) and len(vote) == 2 and 1 <= vote[0] <= vote[1] <= 8):
        raise GyrovaeError("the vote is not usable", expected="1 <= alarms <= windows <= 8", received=f"{vote}")
