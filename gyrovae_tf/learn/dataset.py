"""Recordings of normal motion in, a folder of int8 training images with their front end's spec out."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import arguments
from gyrovae_tf.bundle import POWER, check_frontend, check_schema, replacing_folder, write_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.copies import without_copies
from gyrovae_tf.learn.cutting import covered, divided, lost_to_gaps
from gyrovae_tf.learn.cutting import cut as cut
from gyrovae_tf.learn.layout import check_normal, division, training_part
from gyrovae_tf.learn.making import (
    Crew,
    Unfinished,
    check_crew,
    fitted,
    identities,
    notes_on,
    size_of_count,
    surveyed,
    suspect_in,
)
from gyrovae_tf.learn.making import Progress as Progress
from gyrovae_tf.learn.preparing import Portion, changed, make, portions
from gyrovae_tf.learn.rows import Rows, in_blocks, sha256_of, shard_of
from gyrovae_tf.learn.stored import MARKER as MARKER
from gyrovae_tf.learn.stored import read_record, shard_name, write_shards
from gyrovae_tf.recording import Recording, check_alike, check_rate_hz, listed
from gyrovae_tf.signal.frontend import check_lsb
from gyrovae_tf.spec import CELLS, PIXEL, WINDOW_MAX, WINDOW_MIN, Spec, check_window
from gyrovae_tf.streaming import sources_of
from gyrovae_tf.temporary import releasing
from gyrovae_tf.workers import check_jobs

SCHEMA_VERSION = 2
SHARD = 4096
"""Windows in a shard: a file for each array."""
HELD = 1 << 29
"""Bytes of arrays that are kept in memory; where there are more, `Rows` stand in for them."""
EXCERPT = 12_288
"""Windows that what looks at all of them at once looks at, at the most (`Dataset.excerpt`): an hour at 200 Hz."""
_LARGEST_SHARD = 1 << 20  # windows
_SMALL = 64 << 20  # bytes of a file that is read before its size is judged
_STRETCH = 128  # windows in a row that an excerpt is made of: votes and blocks of time need neighbours
_ARRAYS = (
    "train_images",
    "validation_images",
    "train_origins",
    "validation_origins",
    "train_features",
    "validation_features",
)
_WINDOWS = ("train_windows", "validation_windows")
_WINDOW = 256
_BLOCK = 1024  # windows that are read at once
_INT64 = (1 << 63) - 1
_INTERLEAVED, _BUFFER = 8, 4096  # blocks that are open at a time, and windows that are shuffled


@dataclass(frozen=True, eq=False)
class Dataset:
    """Normal motion, cut into windows and turned into images; training and validation share no sample.

    The arrays of a dataset of more than half a gigabyte are `Rows` in its files, which stand in for arrays: `len`,
    `shape`, `dtype`, and slices and arrays of rows, which alone are read; `np.asarray` reads all. Only the origins, 16
    bytes a window, are always in memory.
    """

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
    notes: tuple[str, ...] = ()
    """What was odd about the recordings and their samples, and what can be foreseen of so much of them."""
    suspect: tuple[str, ...] = ()
    """Those of the notes by which not all of the recordings may be normal motion of one machine."""
    left_out: tuple[int, ...] = ()
    """Which of the recordings that were given, from 0, hold the samples of another, and are not among its sources."""

    def __repr__(self) -> str:
        spec, number = self.spec, (len(self.train_images), len(self.validation_images))
        path = None if self.path is None else str(self.path)
        return (
            f"Dataset(windows=<{number[0]}, {number[1]} held back>, window={spec.window}, hop={self.hop}, "
            f"rate_hz={spec.rate_hz:g}, sources=<{len(self.sources)}>, path={path!r})"
        )

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change when spec or images do."""
        parts = (hashlib.sha256(self.spec.to_json().encode()).hexdigest(), *map(_sha256, self._images))
        return hashlib.sha256(b"".join(map(bytes.fromhex, parts))).hexdigest()

    @property
    def _images(self) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        return self.train_images, self.validation_images

    @property
    def seconds(self) -> float:
        """How much motion the training windows cover, in seconds (those of overlapping windows once)."""
        return covered(self.train_origins, self.spec.window, self.hop)[0] / self.spec.rate_hz

    @property
    def held(self) -> bool:
        """Whether its images are in memory."""
        return not any(isinstance(images, Rows) for images in self._images)

    def excerpt(self, most: int = EXCERPT) -> Dataset:
        """Itself, where it is in memory and has at most `most` windows; else so many of them, or all, in memory.

        They are stretches of a hundred windows in a row and more, evenly spaced over the time of all of them, trained
        on and held back.
        """
        most = arguments.whole(most, "the number of windows is not usable", 1)
        count = len(self.train_images)
        total = count + len(self.validation_images)
        if total <= most and self.held:
            return self
        most = min(most, total)
        origins = np.concatenate([self.train_origins, self.validation_origins])
        order = np.lexsort((origins[:, 1], origins[:, 0]))
        number = max(most // _STRETCH, 1) if most < total else 1
        length = most // number
        starts = np.linspace(0, total - length, number).round().astype(np.int64)
        chosen = np.sort(order[(starts[:, None] + np.arange(length)).ravel()])
        rows = {"train": chosen[chosen < count], "validation": chosen[chosen >= count] - count}
        kept = {name: getattr(self, name) for name in (*_ARRAYS, *_WINDOWS)}
        some: dict[str, Any] = {
            name: None if array is None else array[rows[name.partition("_")[0]]] for name, array in kept.items()
        }
        return dataclasses.replace(self, **some)

    def tf_data(
        self, part: Literal["train", "validation"] = "train", *, batch: int = 64, seed: int | None = None
    ) -> Any:
        """A part's name in, its images once through as a `tf.data.Dataset` out: float32 [b, 2, 32, 32, 3] a batch.

        They are in standard deviations (pixels / 32), as the VAE takes them; the last batch may be smaller. They are
        read as they are asked for, so that memory does not depend on the dataset's size. In order; or, with a `seed`,
        shuffled: blocks of 1024 windows in an order that is drawn anew each time through, 8 of them interleaved, and
        4096 windows of these shuffled. `GyrovaeError` for other parts, batches and seeds.
        """
        from gyrovae_tf.learn.engine import tf

        parts = {"train": self.train_images, "validation": self.validation_images}
        if part not in parts:
            raise GyrovaeError("unknown part of a dataset", expected=" or ".join(parts), received=part)
        batch = arguments.whole(batch, "batch is not usable", 1, _INT64)
        if seed is not None:
            seed = arguments.whole(seed, "seed is not usable", -_INT64, _INT64 - 1)  # the next one is used, too
        images = parts[part]
        blocks = -(-len(images) // _BLOCK)

        def block(number: Any) -> Any:
            rows = tf.numpy_function(lambda n: images[n * _BLOCK : (n + 1) * _BLOCK], [number], tf.int8)
            return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(rows, (None, *images.shape[1:])))

        found = tf.data.Dataset.range(blocks)
        if seed is None:
            found = found.interleave(block, cycle_length=1)
        else:
            found = found.shuffle(blocks, seed=seed).interleave(
                block, cycle_length=_INTERLEAVED, num_parallel_calls=2, deterministic=True
            )
            found = found.shuffle(_BUFFER, seed=seed + 1)
        found = found.batch(batch).map(lambda some: tf.cast(some, tf.float32) / PIXEL)
        return found.apply(tf.data.experimental.assert_cardinality(-(-len(images) // batch))).prefetch(2)

    def save(self, path: str | PathLike[str]) -> Dataset:
        """Write the folder, wholly or not at all, in place of a dataset that may be there; itself with `path` out."""
        with replacing_folder(path, marker=MARKER) as folder:
            files: dict[str, str] = {}
            for name in (*_ARRAYS, *_WINDOWS):
                array = getattr(self, name)
                if array is not None:
                    files |= write_shards(folder, name, array, SHARD)
            counts = {"train": len(self.train_images), "validation": len(self.validation_images)}
            about = _About(self.spec, self.hop, self.sources, self.notes, self.suspect, self.left_out)
            write_json(folder / MARKER, _record(about, counts, SHARD, files))
        return dataclasses.replace(self, path=Path(path))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Dataset:
        """Read a folder that `preprocess` wrote; `GyrovaeError` when it is none, or was changed or damaged.

        All of it is read once through, piece by piece; what is more than half a gigabyte stays in its files.
        """
        record = read_record(path)
        folder = Path(path)
        check_frontend(record, POWER, folder)
        older = record.get("schema_version") == 1
        check_schema(record, 1 if older else SCHEMA_VERSION, folder, remedy="Preprocess the recordings again.")
        return _opened(folder, record, checked=False)


class _About(NamedTuple):
    """What a `Dataset` knows but for its windows."""

    spec: Spec
    hop: int
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    suspect: tuple[str, ...]
    left_out: tuple[int, ...]


def _record(about: _About, counts: Mapping[str, int], size: int, files: Mapping[str, str]) -> dict[str, Any]:
    """What the marker of a dataset says."""
    return {
        "schema_version": SCHEMA_VERSION,
        "spec": json.loads(about.spec.to_json()),
        "hop": about.hop,
        "sources": list(about.sources),
        "notes": list(about.notes),
        "suspect": list(about.suspect),
        **({"left_out": list(about.left_out)} if about.left_out else {}),
        "train_windows": counts["train"],
        "validation_windows": counts["validation"],
        "shard_windows": size,
        "files": dict(files),
    }


def _opened(folder: Path, record: Mapping[str, Any], *, checked: bool) -> Dataset:
    """A folder and its record in, the dataset out; the files' hashes are compared unless that was done."""
    found: dict[str, Any] = {}
    try:
        spec = Spec.from_dict(record["spec"])
        hop, hashes = int(record["hop"]), dict(record["files"])
        texts = (record["sources"], record.get("notes", ()), record.get("suspect", ()))
        sources, notes, suspect = (tuple(map(str, one)) for one in texts)
        about = _About(spec, hop, sources, notes, suspect, tuple(map(int, record.get("left_out", ()))))
        kept = [name for name in _WINDOWS if _files(record, name)[0] in hashes]
        for name in (*_ARRAYS, *kept):
            found[name] = _rows(folder, record, name, hashes, spec.window, checked=checked)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise GyrovaeError(f"{folder / MARKER} is malformed: {error!r}") from None
    for part in ("train", "validation"):
        counts = {name: len(rows) for name, rows in found.items() if name.startswith(part)}
        if len(set(counts.values())) > 1:
            raise GyrovaeError(f"{folder}: the arrays of the {part} windows differ in length", received=counts)
    held = sum(rows.nbytes for rows in found.values()) <= HELD
    arrays: dict[str, Any] = {
        name: np.asarray(rows) if held or name.endswith("_origins") else rows for name, rows in found.items()
    }
    return Dataset(**about._asdict(), path=folder, **arrays)


def _files(record: Mapping[str, Any], name: str) -> list[str]:
    """A dataset's record and the name of an array in, the names of its files out."""
    if record["schema_version"] == 1:
        return [f"{name}.npy"]
    count, size = record[f"{name.partition('_')[0]}_windows"], record["shard_windows"]
    if not (
        type(count) is int
        and type(size) is int
        and 1 <= size <= _LARGEST_SHARD
        and 1 <= count <= size * len(record["files"])
    ):
        raise ValueError(f"{count} windows in files of {size}")
    return [shard_name(name, number) for number in range(-(-count // size))]


def _rows(
    folder: Path, record: Mapping[str, Any], name: str, hashes: Mapping[str, Any], window: int, *, checked: bool
) -> Rows:
    """An array of a dataset; `GyrovaeError` when one of its files is damaged or holds something else."""
    part, _, what = name.partition("_")
    names = _files(record, name)
    count, size = record[f"{part}_windows"], record.get("shard_windows", record[f"{part}_windows"])
    kind, row, wrong = {
        "images": ("int8", (2, 32, 32, 3), "holds no images"),
        "windows": ("int16", (window, 3), "does not hold the windows of the images"),
        "origins": ("int64", (2,), "does not hold the origins of the windows"),
        "features": ("float64", (27,), "does not hold the features of the windows"),
    }[what]
    content = hashlib.sha256()
    shards = []
    for number, file in enumerate(names):
        expected = (min(size, count - number * size), *row)
        largest = max(math.prod(expected) * np.dtype(kind).itemsize, _SMALL)
        shard, header = shard_of(folder / file, None if checked else str(hashes[file]), content, largest)
        if np.dtype(header.kind) != np.dtype(kind) or header.shape != expected or not header.shape[0]:
            raise GyrovaeError(
                f"{folder / file} {wrong}",
                expected=f"{kind} {list(expected)}",
                received=f"{np.dtype(header.kind)} {list(header.shape)}",
            )
        shards.append(shard)
    return Rows(shards, np.dtype(kind), row, "" if checked else content.hexdigest())


def _sha256(array: NDArray[Any] | Rows) -> str:
    return array.sha256 if isinstance(array, Rows) else sha256_of(in_blocks(array, _BLOCK))


@releasing()
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
    jobs: int = 1,
    scheduler: str | None = None,
    resume: bool = False,
    shard_windows: int = SHARD,
    progress: Progress | None = None,
) -> Dataset:
    """Recordings of normal motion (or their names) in, a `Dataset` out, also written to `output` where given.

    Names are paths of CSV or Parquet files of any length, folders, patterns or URLs (`streaming.find_recordings`).
    Instead of recordings, `dataset` may be a folder with meta.json (see `layout`): its split.normal_train.
    `window` and `hop` are in samples (256, or that meta.json's recommended_window, and a quarter of the window);
    `rate_hz` is for files that do not state one; `lsb` is the size of a count in the recordings' units (that of the
    recordings where they agree on it, else chosen so that 2.5 times the largest sample to train on fits int16). The
    timeline of all recordings is divided into up to 8 blocks; the last `validation_share` of each is held back, and
    training windows that overlap a held-back one are dropped. The front end is fitted to the training windows alone:
    to all of them, or, where they are of more than 4 million samples (16,384 windows of 256), to so many evenly spaced
    ones. A recording whose samples another one holds, all in a row (a copy, an older backup of a file that grew), is
    left out, as it would be trained on and held back. What is odd about recordings and samples is told in the
    dataset's `notes`, and so is what follows from how much there is.

    `jobs` processes of this computer do the work, or the workers of a Dask `scheduler`, which have to reach the files
    by the same names. What is done is kept in `OUTPUT.parts`: with `resume` interrupted work goes on. The same
    recordings give the same bytes, whoever does the work, and however often it is interrupted. Memory does not depend
    on the recordings' length, but for some tens of bytes a window (and all of it without `output`). A shard, a file for
    each array, has `shard_windows` windows.

    `GyrovaeError` when there are too few windows of either, when nothing moves, and when the recordings do not fit
    int16 counts of `lsb`.
    """
    resume, rate_hz = arguments.switch(resume, "resume is not usable"), check_rate_hz(rate_hz)
    recommended, told = _WINDOW, list[str]()
    if dataset is not None:
        if recordings:
            raise GyrovaeError("give either recordings or a dataset, not both")
        recordings, meta = training_part(dataset)
        with contextlib.suppress(GyrovaeError):  # what is wrong with what is to be tested on is told there
            told = division(dataset)
        recommended = _usable(meta.get("recommended_window", _WINDOW))
    window = recommended if window is None else window
    window = check_window(window)
    hop = check_hop(window // 4 if hop is None else hop)
    lsb, validation_share, jobs = check_lsb(lsb), check_share(validation_share), check_jobs(jobs)
    shard_windows = arguments.whole(
        shard_windows, "the windows in a shard are not usable", 1, _LARGEST_SHARD, expected=f"1 to {_LARGEST_SHARD}"
    )
    recordings = listed(recordings)
    check_normal(recordings)
    sources, crew = sources_of(recordings), Crew(jobs, scheduler)
    check_crew(crew, sources)
    unfinished = None
    if output is not None:
        plan = {
            "schema_version": 2,
            "recordings": identities(sources),
            "options": [window, hop, rate_hz, lsb, validation_share, shard_windows],
        }
        unfinished = Unfinished(output, plan, resume=resume)
    known = surveyed(sources, rate_hz, crew, progress)
    check_alike([recording.stream for recording in known])
    everything = known  # what a copy says of its samples is true of the others, too
    apart = without_copies([recording.stream for recording in everything], sources, window, crew, progress)
    known = [everything[number] for number in apart.kept]
    origins, held_back, training = divided(known, window, hop, validation_share, apart.note)
    given, lsb = lsb, size_of_count(everything) if lsb is None else lsb
    spec = None if unfinished is None else unfinished.spec
    if spec is None:
        spec = fitted(known, origins[training], window, lsb, crew, progress)
    suspect = suspect_in(everything)
    odd = (*notes_on(everything, lsb, spec.lsb, given=given), lost_to_gaps(known, window), *suspect)
    notes = tuple(filter(None, (*told, apart.note, *odd)))
    names = tuple(recording.stream.source for recording in known)
    about = _About(spec, hop, names, notes, suspect, apart.left_out)
    chosen = {"train": training, "validation": held_back}
    tasks = [task for part in chosen for task in portions(part, known, origins, chosen[part], shard_windows)]
    expected = {part: origins[mask] for part, mask in chosen.items()}
    if unfinished is None:
        made: dict[str, list[Any]] = {}
        shards = _shards(tasks, expected, (spec, hop), crew, progress)
        for task, arrays in sorted(shards, key=lambda shard: shard[0].number):
            for name, array in arrays.items():
                made.setdefault(f"{task.part}_{name}", []).append(array)
        whole: dict[str, Any] = {name: np.concatenate(parts) for name, parts in made.items()}
        return _with_doubts(Dataset(**about._asdict(), **whole))
    with unfinished.begun(spec):
        files: dict[str, str] = {}
        missing = []
        for task in tasks:
            kept = unfinished.find(task)
            files |= kept or {}
            missing += [] if kept else [task]
        for task, arrays in _shards(missing, expected, (spec, hop), crew, progress):
            files |= unfinished.keep(task, arrays)
        counts = {part: len(mine) for part, mine in expected.items()}
        record = _record(about, counts, shard_windows, files)
        record["notes"] = list(_with_doubts(_opened(unfinished.dataset, record, checked=True)).notes)
        unfinished.finish(record)
    return _opened(Path(output or ""), record, checked=True)


def _with_doubts(made: Dataset) -> Dataset:
    """A dataset with what was odd about its recordings in; with what is to be said of its windows, too, out."""
    from gyrovae_tf.learn.health import doubts  # which looks at datasets, and so imports this module

    return dataclasses.replace(made, notes=doubts(made))


def _shards(
    tasks: Sequence[Portion],
    expected: Mapping[str, NDArray[np.int64]],
    shared: tuple[Spec, int],
    crew: Crew,
    progress: Progress | None,
) -> Iterator[tuple[Portion, dict[str, NDArray[Any]]]]:
    """Shards, and the origins of each part's windows in; what becomes of the shards, as it comes, out."""
    total = sum(map(len, expected.values()))
    missing = sum(task.windows for task in tasks)
    done = total - missing
    for number, arrays in crew.results(make, shared, tasks, worth=missing > 2 * SHARD):
        task = tasks[number]
        if not np.array_equal(arrays["origins"], expected[task.part][task.first : task.first + task.windows]):
            raise changed()
        yield task, arrays
        done += task.windows
        if progress:
            progress(done, total, "windows")


def _usable(recommended: Any) -> int:
    """A window length as somebody recommended it in, the nearest below that the front end can use out."""
    if not isinstance(recommended, int | float) or not math.isfinite(recommended):
        return _WINDOW
    return max(WINDOW_MIN, min(int(recommended) // CELLS * CELLS, WINDOW_MAX))


def check_share(share: float) -> float:
    """A share to hold back in, the same as Python's number out; refuses one that leaves nothing of either."""
    problem = "the validation share is not usable"
    return arguments.number(share, problem, "above 0, below 1", lambda value: 0 < value < 1)


def check_hop(hop: int) -> int:
    """A hop in, the same as Python's number out; refuses what is no number of samples."""
    return arguments.whole(hop, "the hop is not usable", 1, expected="at least 1 sample")


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
