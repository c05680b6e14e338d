"""Recordings of normal motion in, a dataset for the stock firmware out: windows in m/s^2, and the scale of int8."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import STOCK, check_frontend, check_schema
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.copies import without_copies
from gyrovae_tf.learn.cutting import covered, cut_samples, divided, lost_to_gaps
from gyrovae_tf.learn.dataset import Progress, check_hop, check_share
from gyrovae_tf.learn.health import odd_recordings
from gyrovae_tf.learn.layout import check_normal, training_part
from gyrovae_tf.learn.making import Crew, mixture_notes
from gyrovae_tf.learn.rows import spread
from gyrovae_tf.learn.stored import MARKER, load_npy, read_record, write_dataset
from gyrovae_tf.mixed import mixtures
from gyrovae_tf.recording import Recording, listed
from gyrovae_tf.signal.frontend import to_counts
from gyrovae_tf.signal.perturb import PERTURBATIONS
from gyrovae_tf.signal.stock import stock_images, to_int8
from gyrovae_tf.spec import RATE_TOLERANCE
from gyrovae_tf.stockspec import DEFAULTS, RATE_HZ, UNITS, WINDOW, StockConstants, StockSpec
from gyrovae_tf.streaming import Stream, read_sources, sources_of

SCHEMA_VERSION = 1
LSB = 0.0025
"""m/s^2 a count where counts are needed (built-in changes, baselines): int16 holds 81.9, the sensor's range is 78.5."""
MARGIN = 1.5
"""int8 holds this many times the largest pixel of normal windows at the least, and every `LOUDER` change of them."""
LOUDER = ("gain +50 %", "added tone", "impulses", "more noise")
"""Built-in changes of `signal.perturb` that int8 has to hold, too."""
_ARRAYS = ("train_windows", "validation_windows", "train_origins", "validation_origins")
_PART = 1024  # windows between two reports of progress
_LEAST_STD = 0.05  # m/s^2: a still axis is no reason to blow its noise up
_LEAST_MOTION = 0.01  # m/s^2: below that all recordings are as still
_CHANGED = 1024  # windows that changes are tried on


@dataclass(frozen=True, eq=False)
class StockDataset:
    """Normal motion, cut into windows; training and validation share no sample."""

    spec: StockSpec
    """Constants of the firmware, and the input's scale, chosen by these windows."""
    hop: int
    """Samples from one window to the next."""
    train_windows: NDArray[np.float32]
    """[k, 256, 3] m/s^2."""
    validation_windows: NDArray[np.float32]
    """The same for the held-back windows."""
    train_origins: NDArray[np.int64]
    """[k, 2] recording and first row of each window."""
    validation_origins: NDArray[np.int64]
    """The same for the held-back windows."""
    sources: tuple[str, ...]
    """Where the recordings came from."""
    largest: float
    """The largest magnitude of a pixel of all these windows, before int8."""
    largest_changed: float
    """The same of held-back windows with a built-in change (louder, blows, tones ...)."""
    path: Path | None = None
    """The folder that it was written to or read from."""
    notes: tuple[str, ...] = ()
    """What was odd about the recordings."""

    def __repr__(self) -> str:
        number = (len(self.train_windows), len(self.validation_windows))
        return (
            f"StockDataset(windows=<{number[0]}, {number[1]} held back>, hop={self.hop}, "
            f"sources=<{len(self.sources)}>, path={str(self.path)!r})"
        )

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change when spec or windows do."""
        parts = (self.spec.to_json().encode(), self.train_windows.tobytes(), self.validation_windows.tobytes())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @property
    def seconds(self) -> float:
        """How much motion the training windows cover, in seconds (those of overlapping windows once)."""
        return covered(self.train_origins, WINDOW, self.hop)[0] / RATE_HZ

    @property
    def margin(self) -> float:
        """How many times the largest pixel of normal windows int8 holds."""
        return 127 * self.spec.input_scale / self.largest

    def save(self, path: str | PathLike[str]) -> StockDataset:
        """Write the folder, wholly or not at all, in place of a dataset that may be there; itself with `path` out."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "frontend": STOCK,
            "spec": json.loads(self.spec.to_json()),
            "hop": self.hop,
            "sources": list(self.sources),
            "train_windows": len(self.train_windows),
            "validation_windows": len(self.validation_windows),
            "largest": self.largest,
            "largest_changed": self.largest_changed,
            "notes": list(self.notes),
        }
        write_dataset(path, {name: getattr(self, name) for name in _ARRAYS}, record)
        return dataclasses.replace(self, path=Path(path))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> StockDataset:
        """Read a folder that `stock_preprocess` wrote; `GyrovaeError` when it is none, or was changed or damaged."""
        folder, record = Path(path), read_record(path)
        check_frontend(record, STOCK, folder)
        check_schema(record, SCHEMA_VERSION, folder, remedy="Preprocess the recordings again.")
        try:
            spec = StockSpec.from_dict(record["spec"])
            hop, sources, hashes = int(record["hop"]), tuple(map(str, record["sources"])), dict(record["files"])
            largest, changed = float(record["largest"]), float(record["largest_changed"])
            notes = tuple(map(str, record.get("notes", ())))
            arrays = {name: load_npy(folder / f"{name}.npy", hashes[f"{name}.npy"]) for name in _ARRAYS}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GyrovaeError(f"{folder / MARKER} is malformed: {error!r}") from None
        for part in ("train", "validation"):
            windows, origins = arrays[f"{part}_windows"], arrays[f"{part}_origins"]
            if windows.dtype != np.float32 or windows.shape[1:] != (WINDOW, 3) or not len(windows):
                raise GyrovaeError(f"{folder / part}_windows.npy holds no windows", received=list(windows.shape))
            if origins.shape != (len(windows), 2):
                raise GyrovaeError(f"{folder / part}_origins.npy is not of its windows", received=list(origins.shape))
        return cls(
            spec=spec,
            hop=hop,
            sources=sources,
            largest=largest,
            largest_changed=changed,
            path=folder,
            notes=notes,
            **arrays,
        )


def stock_preprocess(
    recordings: Sequence[Recording | str | PathLike[str]] = (),
    output: str | PathLike[str] | None = None,
    *,
    dataset: str | PathLike[str] | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    constants: StockConstants | str = DEFAULTS,
    validation_share: float = 0.25,
    progress: Progress | None = None,
) -> StockDataset:
    """Recordings of normal motion (or paths) at 200 Hz in m/s^2 in, a `StockDataset` out, written to `output` if given.

    Arguments as for `preprocess`; windows are of 256 samples. `constants` are those compiled into the firmware, or
    "fit": mean and spread of each axis from the training windows, which then have to be edited there. The input's
    scale is the least power of two in which int8 holds `MARGIN` times the largest pixel of all these windows and every
    built-in change that makes them louder (`LOUDER`), so that none wraps. `GyrovaeError` when recordings have another
    rate (by more than 2 %) or other units, and when there are too few.
    """
    if dataset is not None:
        if recordings:
            raise GyrovaeError("give either recordings or a dataset, not both")
        recordings, _ = training_part(dataset)
    hop = WINDOW // 4 if hop is None else hop
    hop, validation_share = check_hop(hop), check_share(validation_share)
    recordings = listed(recordings)
    check_normal(recordings)
    sources = sources_of(recordings)
    known = read_sources(sources, rate_hz=rate_hz)
    _check_like_the_firmware(known)
    mixture = mixture_notes(mixtures(sources), len(known))
    apart = without_copies([Stream.of(recording) for recording in known], sources, WINDOW, Crew())
    known = [known[number] for number in apart.kept]
    origins, held_back, training = divided(known, WINDOW, hop, validation_share, apart.note)
    windows, _ = cut_samples(known, window=WINDOW, hop=hop)
    to_train, to_hold_back = windows[training], windows[held_back]
    if isinstance(constants, str):
        if constants != "fit":
            raise GyrovaeError("the stock constants are not usable", expected='"fit" or constants', received=constants)
        constants = fit_constants(to_train)
    if not (to_train.std(axis=(0, 1)) > 0).any():
        raise GyrovaeError(
            "the recordings show no motion on any axis",
            expected="a machine that runs",
            remedy="Check the sensor and its wiring, and record while the machine runs.",
        )
    largest = max(
        _largest(to_train, constants, progress, "training windows"),
        _largest(to_hold_back, constants, progress, "held-back windows"),
    )
    chosen = to_hold_back[spread(len(to_hold_back), _CHANGED)]
    changed = max(_largest(changed_windows(name, chosen), constants, progress, f"changed: {name}") for name in LOUDER)
    made = StockDataset(
        spec=StockSpec(constants, scale_for(largest, changed)),
        hop=hop,
        train_windows=to_train,
        validation_windows=to_hold_back,
        train_origins=origins[training],
        validation_origins=origins[held_back],
        sources=tuple(recording.source for recording in known),
        largest=largest,
        largest_changed=changed,
        notes=tuple(filter(None, (apart.note, *_notes(known, mixture, to_train, origins[training])))),
    )
    return made if output is None else made.save(output)


def _notes(
    known: Sequence[Recording],
    mixture: Sequence[str],
    windows: NDArray[np.float32],
    origins: NDArray[np.int64],
) -> tuple[str, ...]:
    """Recordings, what is told of their mixtures, and windows to train on with their origins in; what is odd out."""
    names = [recording.source for recording in known]
    odd = odd_recordings(windows, origins, names, 1.0, UNITS, least=_LEAST_MOTION)
    return (lost_to_gaps(known, WINDOW), *mixture, *odd)


def fit_constants(windows: NDArray[np.float32]) -> StockConstants:
    """Windows [k, 256, 3] of normal motion in; the firmware's constants with their own means and spreads out."""
    flat = windows.reshape(-1, 3).astype(np.float64)
    mean, std = flat.mean(axis=0), np.maximum(flat.std(axis=0), _LEAST_STD)
    (x, y, z), (dx, dy, dz) = ([float(f"{v:.6g}") for v in values] for values in (mean, std))
    return dataclasses.replace(DEFAULTS, mean=(x, y, z), std=(dx, dy, dz))


def scale_for(largest: float, changed: float) -> float:
    """The largest pixels of normal and of changed windows in, the input's scale, a power of two, out."""
    least = max(MARGIN * largest, changed, 1.0) / 127  # 1: what a field can hold
    return float(2.0 ** math.ceil(math.log2(least)))


def changed_windows(name: str, windows: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """The name of a perturbation and windows in m/s^2 in, the changed windows, rounded to `LSB`, out."""
    counts = PERTURBATIONS[name].apply(counts_of(windows), seed)
    return counts.astype(np.float32) * np.float32(LSB)


def counts_of(windows: NDArray[np.float32]) -> NDArray[np.int16]:
    """Windows in m/s^2 in, int16 counts of `LSB` out."""
    return to_counts(windows, LSB)


def features(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Windows in m/s^2 in, the baselines' features of them [k, 27] out."""
    return log_band_energies(counts_of(windows))


def int8_images(windows: NDArray[np.float32], spec: StockSpec) -> NDArray[np.int8]:
    """Windows in m/s^2 in, the model's input int8 [k, 2, 32, 32, 3] as the firmware makes it out."""
    return to_int8(np.stack(stock_images(windows, spec.constants), axis=1), spec.input_scale)


def _check_like_the_firmware(recordings: Sequence[Recording]) -> None:
    """Refuse recordings that the stock firmware could not have made."""
    for recording in recordings:
        rate = recording.rate_hz
        if rate is None or abs(rate / RATE_HZ - 1) > RATE_TOLERANCE:
            raise GyrovaeError(
                f"{recording.source}: the stock firmware samples at {RATE_HZ:g} Hz, whatever is recorded",
                expected=f"{RATE_HZ:g} Hz",
                received="no known rate" if rate is None else f"{rate:g} Hz",
                remedy="Record with that firmware, or at its rate; the power front end takes any rate.",
            )
        if recording.units != UNITS:
            raise GyrovaeError(
                f"{recording.source}: the stock firmware takes {UNITS}",
                expected=UNITS,
                received=recording.units,
                remedy="Record acceleration in m/s^2; the power front end takes any units.",
            )
    longest = max(stop - start for recording in recordings for start, stop in recording.segments)
    if longest < WINDOW:
        raise GyrovaeError(
            f"the stock firmware takes windows of {WINDOW} samples, and no recording has as many without a gap",
            expected=f"at least {WINDOW} samples",
            received=longest,
            remedy="Record longer; the power front end takes windows from 64 samples on.",
        )


def _largest(windows: NDArray[np.float32], constants: StockConstants, progress: Progress | None, what: str) -> float:
    """The largest magnitude of a pixel of these windows' images."""
    found = 0.0
    for start in range(0, len(windows), _PART):
        images = stock_images(windows[start : start + _PART], constants)
        found = max(found, *(float(np.abs(image).max()) for image in images))
        if progress:
            progress(min(start + _PART, len(windows)), len(windows), what)
    return found


def load_arrays(data: StockDataset, part: str) -> tuple[NDArray[np.int8], NDArray[Any]]:
    """A dataset and "train" or "validation" in; the model's int8 images and the float32 images they stand for out."""
    windows = data.train_windows if part == "train" else data.validation_windows
    pairs = np.empty((len(windows), 2, 32, 32, 3), np.float32)
    for start in range(0, len(windows), _PART):
        rows = slice(start, start + _PART)
        pairs[rows, 0], pairs[rows, 1] = stock_images(windows[rows], data.spec.constants)
    return to_int8(pairs, data.spec.input_scale), pairs
