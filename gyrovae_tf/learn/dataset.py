"""Recordings of normal motion in, a folder of int8 training images with their front end's spec out."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import POWER, check_frontend, check_schema, read_json, replacing_folder, write_json
from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.cutting import cut, divided
from gyrovae_tf.learn.layout import training_part
from gyrovae_tf.npy import read_npy
from gyrovae_tf.recording import Recording, read_all
from gyrovae_tf.signal import frontend
from gyrovae_tf.spec import CELLS, WINDOW_MAX, WINDOW_MIN, Spec, check_window

SCHEMA_VERSION = 1
MARKER = "dataset.json"
_ARRAYS = (
    "train_images",
    "validation_images",
    "train_origins",
    "validation_origins",
    "train_features",
    "validation_features",
)
_WINDOWS = ("train_windows", "validation_windows")
_LARGEST = 64 << 30  # bytes of one array
_WINDOW = 256
_PART = 1024  # windows between two reports of progress

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): for a progress bar."""


@dataclass(frozen=True)
class Dataset:
    """Normal motion, cut into windows and turned into images; training and validation share no sample."""

    spec: Spec
    """The front end, fitted to the training part alone."""
    hop: int
    """Samples from one window to the next."""
    train_images: NDArray[np.int8]
    """[k, 2, 32, 32, 3] scalogram and field, pixels."""
    validation_images: NDArray[np.int8]
    """The same for the held-back windows."""
    train_origins: NDArray[np.int64]
    """[k, 2] recording and first row of each window."""
    validation_origins: NDArray[np.int64]
    """The same for the held-back windows."""
    train_features: NDArray[np.float64]
    """[k, 27] features of the baseline, for comparison only."""
    validation_features: NDArray[np.float64]
    """The same for the held-back windows."""
    sources: tuple[str, ...]
    """Where the recordings came from."""
    train_windows: NDArray[np.int16] | None = None
    """int16 [k, window, 3] the windows in counts; None in datasets made before they were kept."""
    validation_windows: NDArray[np.int16] | None = None
    """The same for the held-back windows."""
    path: Path | None = None
    """The folder that it was written to or read from."""

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change when spec or images do."""
        parts = (self.spec.to_json().encode(), self.train_images.tobytes(), self.validation_images.tobytes())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @property
    def seconds(self) -> float:
        """How much motion the training windows cover, in seconds (those of overlapping windows once)."""
        return len(self.train_images) * min(self.hop, self.spec.window) / self.spec.rate_hz

    def save(self, path: str | PathLike[str]) -> Dataset:
        """Write the folder, wholly or not at all, in place of a dataset that may be there; itself with `path` out."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "spec": json.loads(self.spec.to_json()),
            "hop": self.hop,
            "sources": list(self.sources),
            "train_windows": len(self.train_images),
            "validation_windows": len(self.validation_images),
        }
        write_dataset(path, {name: getattr(self, name) for name in (*_ARRAYS, *_WINDOWS)}, record)
        return dataclasses.replace(self, path=Path(path))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Dataset:
        """Read a folder that `preprocess` wrote; `GyrovaeError` when it is none, or was changed or damaged."""
        folder, record = Path(path), read_record(path)
        check_frontend(record, POWER, folder)
        check_schema(record, SCHEMA_VERSION, folder, remedy="Preprocess the recordings again.")
        try:
            spec = Spec.from_dict(record["spec"])
            hop, sources, hashes = int(record["hop"]), tuple(map(str, record["sources"])), dict(record["files"])
            arrays = {name: load_npy(folder / f"{name}.npy", hashes[f"{name}.npy"]) for name in _ARRAYS}
            kept = [name for name in _WINDOWS if f"{name}.npy" in hashes]
            arrays |= {name: load_npy(folder / f"{name}.npy", hashes[f"{name}.npy"]) for name in kept}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GyrovaeError(f"{folder / MARKER} is malformed: {error!r}") from None
        for part in ("train", "validation"):
            images = arrays[f"{part}_images"]
            if images.dtype != np.int8 or images.shape[1:] != (2, 32, 32, 3) or not len(images):
                raise GyrovaeError(f"{folder / part}_images.npy holds no images", received=list(images.shape))
            windows, expected = arrays.get(f"{part}_windows"), (len(images), spec.window, 3)
            if windows is not None and (windows.dtype != np.int16 or windows.shape != expected):
                raise GyrovaeError(
                    f"{folder / part}_windows.npy does not hold the windows of the images",
                    expected=f"int16 {list(expected)}",
                    received=f"{windows.dtype} {list(windows.shape)}",
                )
        return cls(spec=spec, hop=hop, sources=sources, path=folder, **arrays)


def preprocess(
    recordings: Sequence[Recording | str | PathLike[str]] = (),
    output: str | PathLike[str] | None = None,
    *,
    dataset: str | PathLike[str] | None = None,
    window: int | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    lsb: float | None = None,
    validation_share: float = 0.25,
    progress: Progress | None = None,
) -> Dataset:
    """Recordings of normal motion (or their paths) in, a `Dataset` out, also written to `output` where given.

    Instead of recordings, `dataset` may be a folder with meta.json (see `layout`): its split.normal_train.
    `window` and `hop` are in samples (256, or that meta.json's recommended_window, and a quarter of the window);
    `rate_hz` is for files that do not state one; `lsb` is the size of a count in the recordings' units (that of the
    recordings where they state it, else chosen so that 2.5 times the largest sample to train on fits int16). The
    timeline of all recordings is divided into up to 8 blocks; the last `validation_share` of each is held back, and
    training windows that overlap a held-back one are dropped. The front end is fitted to the training windows alone.
    `GyrovaeError` when there are too few windows of either, when nothing moves, and when the recordings do not fit
    int16 counts of `lsb`.
    """
    recommended = _WINDOW
    if dataset is not None:
        if recordings:
            raise GyrovaeError("give either recordings or a dataset, not both")
        recordings, meta = training_part(dataset)
        recommended = _usable(meta.get("recommended_window", _WINDOW))
    window = recommended if window is None else window
    check_window(window)
    hop = window // 4 if hop is None else hop
    check_hop(hop)
    if lsb is not None and not (math.isfinite(lsb) and lsb > 0):
        raise GyrovaeError("the size of a count (lsb) is not usable", expected="above 0", received=lsb)
    check_share(validation_share)
    known = read_all(recordings, rate_hz=rate_hz)
    stated = {recording.lsb for recording in known}
    if lsb is None and len(stated) == 1:
        lsb = stated.pop()
    if lsb is not None:
        _check_range(known, lsb)
    origins, held_back, training = divided(known, window, hop, validation_share)
    lsb = _lsb(known, origins[training], window) if lsb is None else lsb
    windows, _ = cut(known, window=window, hop=hop, lsb=lsb)
    rate = known[0].rate_hz
    assert rate is not None  # read_all refuses recordings without a rate
    to_train, to_hold_back = windows[training], windows[held_back]
    spec = frontend.fit(to_train, rate_hz=rate, lsb=lsb, units=known[0].units)
    if all(mean <= floor for axis in spec.power_mean for mean, floor in zip(axis, spec.power_floor, strict=True)):
        raise GyrovaeError(
            "the recordings show no motion on any axis",
            expected="a machine that runs",
            remedy="Check the sensor and its wiring, and record while the machine runs.",
        )

    def render(part: NDArray[np.int16]) -> NDArray[np.int8]:
        return frontend.images(part, spec)

    made = Dataset(
        spec=spec,
        hop=hop,
        train_images=in_parts(render, to_train, _PART, progress, "training windows"),
        validation_images=in_parts(render, to_hold_back, _PART, progress, "held-back windows"),
        train_origins=origins[training],
        validation_origins=origins[held_back],
        train_features=log_band_energies(to_train),
        validation_features=log_band_energies(to_hold_back),
        sources=tuple(recording.source for recording in known),
        train_windows=to_train,
        validation_windows=to_hold_back,
    )
    return made if output is None else made.save(output)


def _usable(recommended: Any) -> int:
    """A window length as somebody recommended it in, the nearest below that the front end can use out."""
    if not isinstance(recommended, int | float) or not math.isfinite(recommended):
        return _WINDOW
    return max(WINDOW_MIN, min(int(recommended) // CELLS * CELLS, WINDOW_MAX))


def check_share(share: float) -> None:
    """Refuse a share to hold back that leaves nothing of either."""
    if not 0 < share < 1:
        raise GyrovaeError("the validation share is not usable", expected="above 0, below 1", received=share)


def check_hop(hop: int) -> None:
    """Refuse a hop that is no number of samples."""
    if not (isinstance(hop, int) and hop >= 1):
        raise GyrovaeError("the hop is not usable", expected="at least 1 sample", received=hop)


def _check_range(recordings: Sequence[Recording], lsb: float) -> None:
    """Refuse a count's size in which the recordings would not fit int16: it cannot be that of their sensor."""
    largest = max(float(np.abs(recording.samples).max()) for recording in recordings)
    if largest > 32768.5 * lsb:
        raise GyrovaeError(
            f"the recordings do not fit int16 counts of {lsb:g} {recordings[0].units} (lsb)",
            expected=f"samples up to {32768 * lsb:g}",
            received=f"{largest:g}",
            remedy="Give the sensor's own count with --lsb, in the units of the recordings.",
        )


def _lsb(recordings: Sequence[Recording], training: NDArray[np.int64], window: int) -> float:
    """A count's size by the samples of the training windows alone."""
    samples: list[NDArray[np.floating[Any]]] = []
    for index, recording in enumerate(recordings):
        used = np.zeros(len(recording), bool)
        for first in training[training[:, 0] == index, 1]:
            used[first : first + window] = True
        samples.append(recording.samples[used])
    return frontend.lsb_of(samples)


def in_parts(
    compute: Callable[[NDArray[Any]], NDArray[Any]],
    values: NDArray[Any],
    size: int,
    progress: Progress | None,
    what: str,
) -> NDArray[Any]:
    """Values [k, ...] in, what `compute` makes of them, `size` at a time so that progress can be shown, out."""
    parts = []
    for start in range(0, len(values), size):
        parts.append(compute(values[start : start + size]))
        if progress:
            progress(min(start + size, len(values)), len(values), what)
    return np.concatenate(parts)


def read_record(path: str | PathLike[str]) -> dict[str, Any]:
    """A dataset's folder in, what its marker says out; `GyrovaeError` when it is none."""
    folder = Path(path)
    if not (folder / MARKER).is_file():
        raise GyrovaeError(
            f"{folder} is not a dataset" if folder.exists() else f"there is no {folder}",
            expected=f"a folder with {MARKER}",
            remedy="Make one: gyrovae-tf preprocess RECORDING.csv -o DATASET/",
        )
    return read_json(folder / MARKER)


def write_dataset(
    path: str | PathLike[str], arrays: Mapping[str, NDArray[Any] | None], record: Mapping[str, Any]
) -> None:
    """A folder, arrays (None: left out) by the names of their files and the marker's record in; written, with hashes.

    Wholly or not at all, in place of a dataset that may be there.
    """
    with replacing_folder(path, marker=MARKER) as folder:
        hashes = {}
        for name, array in arrays.items():
            if array is None:
                continue
            content = to_npy(array)
            hashes[f"{name}.npy"] = hashlib.sha256(content).hexdigest()
            atomic_write(folder / f"{name}.npy", content)
        write_json(folder / MARKER, {**record, "files": hashes})


def to_npy(array: NDArray[Any]) -> bytes:
    """An array in, the bytes of its .npy file out."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_npy(path: Path, expected: str) -> NDArray[Any]:
    """An array whose file has the expected SHA-256."""
    content = read_file(path, largest=_LARGEST)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise GyrovaeError(
            f"{path} is damaged",
            expected=f"sha256 {expected}",
            received=found,
            remedy="Preprocess the recordings again.",
        )
    return read_npy(content)
