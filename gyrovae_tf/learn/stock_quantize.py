"""A run on the stock front end in, a calibrated int8 bundle for the stock firmware out."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import arena, runtime, tflite
from gyrovae_tf.bundle import STOCK, check_frontend
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.asked import check_vote
from gyrovae_tf.learn.convert import to_int8
from gyrovae_tf.learn.cutting import covered, stretches_of
from gyrovae_tf.learn.dataset import Progress
from gyrovae_tf.learn.engine import versions
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.stock_data import MARGIN, StockDataset, int8_images
from gyrovae_tf.learn.threshold import Tail, blocks_of, check_rate, tail_fit
from gyrovae_tf.learn.trust import Trust, check
from gyrovae_tf.learn.voting import DEFAULT, Vote, phases, vote_at
from gyrovae_tf.stockbundle import LARGEST_MODEL, MOST_OPERATORS, Band, StockBundle, StockCalibration
from gyrovae_tf.stockdetector import Errors, errors_of, ratios_of
from gyrovae_tf.stockspec import RATE_HZ, WINDOW

_REPRESENTATIVE = 300
_BLOCKS = 16
_PART = 256
_LEAST_DB = 0.5  # of a level from the middle: closer than half a decibel means nothing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StockCalibrated:
    """Alarm levels, and how far they can be trusted."""

    calibration: StockCalibration
    tail: Tail
    """The threshold of the score with its interval: 1.0, as levels are set so."""
    trust: Trust
    """Whether its rate of false alarms can be promised for other days."""
    vote: Vote
    """The vote, the events to expect, and the delay."""


def stock_quantize(
    run: Run | str | PathLike[str],
    *,
    false_alarm_rate: float | None = None,
    vote: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> StockBundle:
    """A run on a `StockDataset` (or its folder) in, its model in int8 with alarm levels out, saved in the run's folder.

    Quantised after training (PTQ) with the ranges of training windows. The model is refused where the stock firmware
    could not run it: other operators than its resolver has, more than 32 of them, more than 64 KiB. The levels of the
    console's two figures are set on held-back windows so that about `false_alarm_rate` of normal windows (0.01 unless
    given) have a figure beyond one of its two levels; each has the same share in that. `metrics` as for `quantize`.
    """
    rate = 0.01 if false_alarm_rate is None else false_alarm_rate
    rate, vote = check_rate(rate), check_vote(vote)
    run = run if isinstance(run, Run) else Run.load(run)
    data = load_dataset(run)
    chosen = data.train_windows[spread(len(data.train_windows), _REPRESENTATIVE)]
    content = to_int8(run.keras_model(), int8_images(chosen, data.spec), input_scale=data.spec.input_scale)
    bundle = stock_detector(run, data, content, false_alarm_rate=rate, vote=vote, progress=progress)
    bundle.save(Path(run) / BUNDLE)
    return bundle


def stock_detector(
    run: Run,
    data: StockDataset,
    content: bytes,
    *,
    false_alarm_rate: float,
    vote: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> StockBundle:
    """A run, its dataset and its int8 .tflite in, the calibrated `StockBundle`, not saved, out."""
    described = tflite.describe(content)
    check_size(content, described)
    model = runtime.Model(content, input_scale=data.spec.input_scale)
    made = calibrate(
        model, data, false_alarm_rate=false_alarm_rate, vote=vote, seed=run.options.seed, progress=progress
    )
    return StockBundle(
        model=content,
        spec=data.spec,
        calibration=made.calibration,
        ops=described.op_names,
        metrics={
            "mode": "ptq",
            "runtime": model.kernels,
            "macs": described.macs,
            "training": run.metrics,
            "train_windows": len(data.train_windows),
            "threshold": made.tail.to_dict(),
            "trust": made.trust.to_dict(),
            "vote": made.vote.to_dict(),
            "int8": {
                "largest": data.largest,
                "largest_changed": data.largest_changed,
                "margin": data.margin,
                "least_margin": MARGIN,
            },
        },
        versions=versions(),
        arena=arena.measure(content),
    )


def calibrate(
    model: runtime.Model,
    data: StockDataset,
    *,
    false_alarm_rate: float,
    vote: tuple[int, int] | None = None,
    seed: int,
    progress: Progress | None = None,
) -> StockCalibrated:
    """An int8 model and its dataset in; alarm levels, vote, and what can be promised of them out.

    From held-back windows alone, which the network never saw. Each figure gets a level below and one above its middle
    by the tail fit of a quarter of the rate; a common factor then makes the greatest of the four meet the rate.
    """
    order = np.lexsort((data.validation_origins[:, 1], data.validation_origins[:, 0]))
    origins, windows = data.validation_origins[order], data.validation_windows[order]
    errors = _in_parts(model, windows, data, progress)
    blocks = blocks_of(len(origins), _BLOCKS)
    bands = [_band(errors.figures[:, image], blocks, false_alarm_rate / 4, seed) for image in range(2)]
    score = np.max([ratios_of(errors.figures[:, image], band) for image, band in enumerate(bands)], axis=0)
    factor = tail_fit(np.maximum(score, 0), blocks, false_alarm_rate, seed=seed).threshold
    scalogram, field = (_widened(band, factor) for band in bands)
    score = np.maximum(score / factor, 0)
    samples, side_by_side = covered(origins, WINDOW, data.hop)
    tail = tail_fit(score, blocks, false_alarm_rate, most=side_by_side, seed=seed)
    step = max(1, round(WINDOW / data.hop))
    sequence, runs = phases(stretches_of(origins, data.hop), step)
    voted = vote_at(
        score[sequence],
        runs,
        blocks[sequence],
        1.0,
        hop_s=step * data.hop / RATE_HZ,
        repeats=step,
        vote=vote or DEFAULT,
        seed=seed,
    )
    trust = check(
        score,
        blocks,
        false_alarm_rate,
        seconds=samples / RATE_HZ,
        recordings=origins[:, 0].tolist(),
        most=side_by_side,
        seed=seed,
    )
    calibration = StockCalibration(
        scalogram=scalogram,
        field=field,
        row_db=float(np.median(errors.figures[:, 0] - errors.console[:, 0])),
        false_alarm_rate=false_alarm_rate,
        held_back_windows=len(origins),
        vote_alarms=voted.alarms,
        vote_windows=voted.windows,
    )
    return StockCalibrated(calibration, tail, trust, voted)


def load_dataset(run: Run) -> StockDataset:
    """A run in, the stock dataset that it was trained on out; `GyrovaeError` when that has moved or changed."""
    check_frontend({"frontend": run.frontend}, STOCK, run.path)
    run.check_there()
    data = StockDataset.load(run.dataset)
    run.check_dataset(data.digest)
    return data


def check_size(content: bytes, described: tflite.Model) -> None:
    """Refuse a model that the stock firmware has no room for. (Its operators are those of the contract.)"""
    if len(content) > LARGEST_MODEL:
        raise GyrovaeError(
            "the model is too large for the stock firmware, which keeps it in RAM",
            expected=f"up to {LARGEST_MODEL:,} bytes",
            received=f"{len(content):,}",
            remedy="Train with a smaller Architecture.",
        )
    if len(described.op_names) > MOST_OPERATORS:
        raise GyrovaeError(
            "the model needs more operators than the stock firmware registers",
            expected=MOST_OPERATORS,
            received=len(described.op_names),
        )


def _in_parts(
    model: runtime.Model, windows: NDArray[np.float32], data: StockDataset, progress: Progress | None
) -> Errors:
    parts = []
    for start in range(0, len(windows), _PART):
        parts.append(errors_of(model, windows[start : start + _PART], data.spec))
        if progress:
            progress(min(start + _PART, len(windows)), len(windows), "scoring normal windows")
    return Errors(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "row", "wrapped")))


def _band(found: Floats, blocks: NDArray[np.int64], rate: float, seed: int) -> Band:
    """Figures [k] of normal windows, their blocks and the rate of each side in, their band out."""
    middle = float(np.median(found))
    below, above = (
        max(tail_fit(np.maximum(side, 0), blocks, rate, seed=seed).threshold, _LEAST_DB)
        for side in (middle - found, found - middle)
    )
    return Band(middle - below, middle, middle + above)


def _widened(band: Band, factor: float) -> Band:
    """A band in, the same with its levels so many times as far from the middle out."""
    below, above = band.middle_db - band.low_db, band.high_db - band.middle_db
    return Band(band.middle_db - factor * below, band.middle_db, band.middle_db + factor * above)
