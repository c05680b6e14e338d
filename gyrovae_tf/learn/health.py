"""A dataset in, what is good and what is doubtful about its data out: facts with a line on what each means."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.promise import promise
from gyrovae_tf.learn.rows import Rows, spread
from gyrovae_tf.learn.trust import TOO_FEW, foreseen
from gyrovae_tf.recording import odd_pulls, pull_of, sum_of_means, turned_pull
from gyrovae_tf.spec import AXES, PIXEL
from gyrovae_tf.wording import first_of

Status = Literal["good", "look", "bad"]
AMOUNT = "motion to learn from"
"""The check that says what `trust` says, too, once there are scores."""
_LITTLE_S = 60.0
_REPEATED, _MOSTLY_REPEATED = 0.1, 0.5
_AT_THE_LIMIT = 0.002
_PILED_UP = 3  # times as often as the value beside it: more than the largest value of a sine, 2.4
_COARSE = 8.0  # steps of the sensor, as large as which motion shows them
_FEW_VALUES = 16  # that an axis takes at the most: its steps are large, and many samples are the largest by that alone
_CLIPPED = 0.02
_DRIFTED = 1.0  # standard deviations
_FAR_LESS = 5.0  # times
_LOOKED_AT = 256  # windows of a recording: enough for a mean
_RECORDINGS = 200  # that are looked at
_APART = 8  # samples of a window of which one is: enough for a mean


@dataclass(frozen=True)
class Check:
    """One fact about the data."""

    name: str
    value: str
    status: Status
    meaning: str
    """What it tells, and what to do where it is not good."""


def checks(data: Dataset, bundle: Bundle) -> list[Check]:
    """A run's dataset and its bundle in, the checks of its data out: on all windows, or on those held back.

    Of a large dataset they are on an excerpt.
    """
    amount, data = _amount(data, bundle), data.excerpt()
    suspect = [Check("recordings", "perhaps not all normal", "look", text) for text in data.suspect]
    return [amount, *suspect, *_samples(data), _extremes(data), _drift(data)]


def _samples(data: Dataset) -> list[Check]:
    """The checks of what the sensor gave."""
    windows = data.validation_windows
    if windows is None:
        meaning = (
            "This dataset holds images only: repeated samples, clipping and resolution cannot be checked. "
            "Preprocess the recordings again to have them checked."
        )
        return [Check("samples", "not kept", "look", meaning)]
    return [_repeats(windows), _limit(windows), _motion(windows, data.spec.lsb, data.spec.units)]


def doubts(data: Dataset, rate: float = 0.01) -> tuple[str, ...]:
    """A dataset, before any training, and a rate of false alarms in; what should be known of it out: see `foreseen`.

    `preprocess` calls it, so that a dataset's own notes are these, at a rate of 1 %; nothing is said twice.
    """
    return tuple(dict.fromkeys(text for text in (*data.notes, *oddities(data), *foreseen(data, rate)) if text))


def oddities(data: Dataset) -> tuple[str, ...]:
    """A dataset in, what is odd about its samples and their units out."""
    checks = _samples(data.excerpt())
    odd = [f"{check.name}: {check.value}. {check.meaning}" for check in checks if check.status != "good"]
    return (*_recordings(data), *odd)


def _recordings(data: Dataset) -> tuple[str, ...]:
    if data.train_windows is None:
        return ()
    step = data.spec.lsb
    return odd_recordings(data.train_windows, data.train_origins, data.sources, step, data.spec.units, least=step)


def odd_recordings(
    windows: NDArray[Any] | Rows,
    origins: NDArray[np.int64],
    sources: Sequence[str],
    step: float,
    units: str,
    *,
    least: float,
) -> tuple[str, ...]:
    """Why recordings may not be in the m/s^2 that they are taken for, and which move far less than the others.

    Windows [k, N, 3], their origins [k, 2], the recordings' names, what one is in them, in which units, and motion
    below which all are as still, in these, in; what is to be said out.
    """
    pulls, sizes = [], []
    recordings = np.unique(origins[:, 0])
    for index in recordings[spread(len(recordings), _RECORDINGS)].tolist():
        mine = np.flatnonzero(origins[:, 0] == index)
        some = windows[mine[spread(len(mine), _LOOKED_AT)]]
        pull = pull_of(sum_of_means(some), len(some), step)
        size = float(np.linalg.norm(some[:, ::_APART].astype(float), axis=2).mean()) * step
        pulls.append((sources[index], turned_pull(pull, size)))
        sizes.append((sources[index], max(float(np.linalg.norm(_size(some))) * step, least)))
    return (*odd_pulls(pulls, units), *_quiet(sizes))


def _quiet(sizes: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Which of recordings [(name, motion)] move far less than all others, with none between: off, perhaps."""
    if len(sizes) < 2:
        return ()
    ordered = sorted(sizes, key=lambda one: one[1])
    gaps = [loud / still for (_, still), (_, loud) in itertools.pairwise(ordered)]
    place = gaps.index(max(gaps)) + 1
    if gaps[place - 1] < _FAR_LESS:
        return ()
    names, louder = sorted(name for name, _ in ordered[:place]), len(ordered) - place
    count = "1 recording moves" if len(names) == 1 else f"{len(names)} recordings move"
    others = "the other" if louder == 1 else f"the {louder} others"
    return (
        f"{count} {gaps[place - 1]:.0f} times less than {others} "
        f"({first_of(names)}): where the machine is off, that is learnt as normal, too.",
    )


def _amount(data: Dataset, bundle: Bundle) -> Check:
    short = foreseen(data, bundle.calibration.false_alarm_rate)
    if not short:  # what the scores told of it, then: neighbours are more alike than can be foreseen
        trust = promise(bundle).trust
        short = tuple(text for text in (trust.warnings if trust else ()) if text.startswith(TOO_FEW))
    status: Status = "good" if not short else "look" if data.seconds >= _LITTLE_S else "bad"
    return Check(
        AMOUNT,
        f"{data.seconds / 60:.1f} min",
        status,
        " ".join(
            [
                f"{len(data.train_images)} windows of {data.spec.window_ms:.0f} ms, and {len(data.validation_images)} "
                "held back, which the training never saw.",
                *short,
            ]
        ),
    )


def _repeats(windows: NDArray[np.int16]) -> Check:
    same = windows[:, 1:] == windows[:, :-1]
    share = float(same.all(axis=2).mean())
    rounding = _repeats_by_rounding(windows, same)
    told = (share - rounding) / (1 - rounding) if rounding < 1 else 0.0
    status: Status = "good" if told < _REPEATED else "look" if share < _MOSTLY_REPEATED else "bad"
    meaning = "Samples that repeat the one before on all axes."
    if status != "good":
        meaning += " The sensor is slower than it is read: set its output rate at or above the recording's."
    return Check("repeated samples", f"{100 * share:.1f} %", status, meaning)


def _repeats_by_rounding(windows: NDArray[np.int16], same: NDArray[np.bool_]) -> float:
    """The share of samples that repeat the one before on all axes by chance, where motion is of few steps.

    Axes that move repeat independently then, window by window. A single one that moves tells nothing where it is
    coarse. `same` [k, N - 1, 3]: where each axis repeats.
    """
    live = [axis for axis in range(3) if not same[..., axis].all()]
    if len(live) > 1:
        return float(same[..., live].mean(axis=1).prod(axis=1).mean())
    coarse = any(_size(windows)[axis] < _COARSE * _step(windows, axis) for axis in live)
    return 1.0 if coarse else 0.0


def _limit(windows: NDArray[np.int16]) -> Check:
    total = windows[..., 0].size
    ends = [end for axis in range(3) for end in _ends(windows[..., axis])]
    share = max((there for there, _ in ends), default=0) / total
    clipped = any(there > _AT_THE_LIMIT * total and there > _PILED_UP * beside for there, beside in ends)
    more = " The sensor clips: choose a larger range (g or degrees a second) and record again." if clipped else ""
    return Check(
        "samples at the largest value",
        f"{100 * share:.2f} %",
        "look" if clipped else "good",
        f"Many equal extremes would mean that the sensor's range is too small.{more}",
    )


def _ends(samples: NDArray[np.int16]) -> tuple[tuple[int, int], ...]:
    """The samples of an axis in; how many are its largest value and how many the next to it, and so the least, out.

    Nothing for axes of few values.
    """
    counts = _counts(samples)
    counts = counts[counts > 0].tolist()
    return ((counts[-1], counts[-2]), (counts[0], counts[1])) if len(counts) > _FEW_VALUES else ()


def _size(windows: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square [3] of windows about each one's mean, in what they are in."""
    about = windows - windows.mean(axis=1, keepdims=True)
    return np.asarray(np.sqrt(np.square(about).mean(axis=(0, 1))))


def _step(windows: NDArray[np.int16], axis: int) -> int:
    """The least difference between two values of an axis: more than a count where that was chosen by the motion."""
    return int(np.diff(np.flatnonzero(_counts(windows[..., axis]))).min(initial=1 << 16))


def _counts(samples: NDArray[np.int16]) -> NDArray[np.intp]:
    """Samples in, how many are of each value, from -32768 on, out."""
    return np.bincount(samples.ravel().astype(np.intp) + (1 << 15))


def _motion(windows: NDArray[np.int16], lsb: float, units: str) -> Check:
    size = _size(windows)
    steps = [_step(windows, axis) for axis in range(3)]
    dead = [AXES[axis] for axis in range(3) if not size[axis]]
    few_steps = [axis for axis in range(3) if 0 < size[axis] < _COARSE * steps[axis]]
    coarse = [AXES[axis] for axis in few_steps]
    more = ""
    if dead:
        more += f" {', '.join(dead)} {'reads' if len(dead) == 1 else 'read'} the same all the time: see to the sensor."
    if coarse:
        sizes = " and ".join(dict.fromkeys(f"{steps[axis] * lsb:g}" for axis in few_steps))
        few = f"{', '.join(coarse)} that is only a few counts of {sizes} {units}"
        more += f" On {few}: choose a smaller range if there is one."
    return Check(
        "size of the motion",
        ", ".join(f"{AXES[axis]} {size[axis] * lsb:.3g}" for axis in range(3)) + f" {units}",
        "look" if coarse or dead else "good",
        f"Root mean square about each window's mean.{more}",
    )


def _extremes(data: Dataset) -> Check:
    pixels = data.validation_images[:, 0]
    share = float(((pixels == 127) | (pixels == -128)).mean())
    many = share > _CLIPPED
    more = " Normal motion differs much from itself: are some of these recordings not normal?" if many else ""
    return Check(
        "pixels at the end of their scale",
        f"{100 * share:.2f} %",
        "look" if many else "good",
        f"Share of the held-back scalograms beyond 4 standard deviations of normal motion.{more}",
    )


def _drift(data: Dataset) -> Check:
    trained, held_back = (images[:, 0].mean(axis=(0, 2)) for images in (data.train_images, data.validation_images))
    largest = float(np.abs(held_back - trained).max() / PIXEL)
    drifted = largest > _DRIFTED
    more = (
        " The motion changed while it was recorded: record longer, with every state in several places."
        if drifted
        else ""
    )
    return Check(
        "held back against trained on",
        f"{largest:.2f} sd",
        "look" if drifted else "good",
        f"Largest difference of a band's mean level between the two parts, in standard deviations.{more}",
    )
