"""A trained run in, a calibrated int8 bundle out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from gyrovae_tf import arena, golden, runtime, tflite
from gyrovae_tf.bundle import SUFFIX, Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.asked import BEST, MODES, check_asked
from gyrovae_tf.learn.calibrate import calibrate
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.engine import versions
from gyrovae_tf.learn.modes import Candidate, candidates, choose
from gyrovae_tf.learn.run import Run
from gyrovae_tf.signal.cost import frontend_cost

BUNDLE = f"detector{SUFFIX}"


def quantize(
    run: Run | str | PathLike[str],
    *,
    mode: str = BEST,
    false_alarm_rate: float | None = None,
    false_alarms_per_day: float | None = None,
    vote: tuple[int, int] | None = None,
    tilt: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """A run (or its folder) in; its model in int8, calibrated, as a `Bundle` out, saved in the run's folder.

    `mode` "ptq" quantises after training with the ranges of training windows; "qat" goes on training with int8's
    rounding (`qat`); "best" does both and keeps what tells more of the built-in changes of held-back windows, on the
    device's kernels where they are installed (`modes`). The threshold is set so that about
    `false_alarm_rate` of normal windows (a share, above 0, at most 0.2; 0.01 unless given) score 1.0 or more; or so
    that voting gives about `false_alarms_per_day` events on normal motion. `vote` is (alarms, windows): 3 of 5, or
    with `false_alarms_per_day` the one that tells a fault soonest. With `tilt`, orientation and slow acceleration
    count, too: for vehicles and goods in transport, not for a sensor that may be mounted anew. What can be promised is
    in `bundle.metrics`: "threshold", "trust" and "vote" (`threshold.Tail`, `trust.Trust`, `voting.Vote`); "mode" is
    the one that was kept, "modes" what was found out about each (`modes.Candidate`). Of a dataset of more than 12,288
    windows so many are used, and "excerpt" says how many of how many (`Dataset.excerpt`). The arena is measured and
    golden windows are made with the same kernels; without the device's (the extra `tflm`) the bundle has no arena.
    """
    asked = check_asked(mode, false_alarm_rate, false_alarms_per_day, vote, tilt)
    run = run if isinstance(run, Run) else Run.load(run)
    data = run.load_dataset()
    some = data.excerpt()
    found = candidates(run, some, MODES if mode == BEST else (mode,), runtime.best(), progress)
    bundle = detector(
        run,
        some,
        choose(found),
        found,
        **asked._asdict(),
        progress=progress,
    )
    if some is not data:
        used, of = (len(part.train_images) + len(part.validation_images) for part in (some, data))
        about = {"train_windows": len(data.train_images), "excerpt": {"windows": used, "of": of}}
        bundle = dataclasses.replace(bundle, metrics={**bundle.metrics, **about})
    bundle.save(Path(run) / BUNDLE)
    return bundle


def detector(
    run: Run,
    data: Dataset,
    kept: Candidate,
    found: Sequence[Candidate],
    *,
    false_alarm_rate: float = 0.01,
    false_alarms_per_day: float | None = None,
    vote: tuple[int, int] | None = None,
    tilt: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """A run, its dataset, the candidate to keep of those that were found in; the calibrated `Bundle`, not saved, out.

    The rest as for `quantize`.
    """
    content = kept.content
    if content is None:
        raise GyrovaeError("the float network cannot be the detector", expected="an int8 candidate")
    model = runtime.Model(content)
    described = tflite.describe(content)
    made = calibrate(
        model,
        data,
        false_alarm_rate=false_alarm_rate,
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
            "mode": kept.mode,
            "modes": [candidate.to_dict() for candidate in found],
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
            **({} if false_alarms_per_day is None else {"false_alarms_per_day": false_alarms_per_day}),
        },
        versions=versions(),
        arena=arena.measure(content),
    )
    windows = data.validation_windows
    if windows is None:  # a dataset made before they were kept: only the odd ones are left
        windows = np.zeros((0, data.spec.window, 3), np.int16)
    return dataclasses.replace(bundle, golden=golden.make(bundle, golden.choose(windows), model.kernels))
