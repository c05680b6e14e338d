"""Recordings in, a dataset's shards out: its passes over them, by one process or many, and what is kept on the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import check_elsewhere, check_replaceable, put_in_place, read_json, writable, write_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.preparing import ROWS, Portion, Stretch, Surveyed, look, stretches, survey
from gyrovae_tf.learn.rows import shard_of, spread
from gyrovae_tf.learn.stored import MARKER, shard_name, write_npy
from gyrovae_tf.mixed import telling
from gyrovae_tf.parts import PLAN, Parts
from gyrovae_tf.recording import GUESSED, UNEVEN, Recording
from gyrovae_tf.scoring import stamp
from gyrovae_tf.signal import frontend
from gyrovae_tf.spec import LSB_TOLERANCE, Spec
from gyrovae_tf.wording import some
from gyrovae_tf.workers import Results, Work, check_jobs, results

FITTED = 1 << 22
"""Samples of training windows that the front end's statistics are of, at the most; evenly spaced windows then."""
SPEC = "spec.json"
_NAMED = 5  # recordings
_LEAST_MOVES = 4  # counts from the lowest to the highest sample of a window that moves: noise alone is more
_OUTLIER = 100  # times the largest sample of the middle one: a sensor of 16 g has 16 times gravity at the most
_OTHER_SENSOR = re.compile(r"gyro|magnet|gravity|orientation|barometer|rotation")  # files of an app for phones
_WORTH = 32 << 20  # bytes of files that other processes are started for, and that are not kept in memory
Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): for a progress bar."""


class Crew(NamedTuple):
    """Who does the work, as for `workers.results`."""

    jobs: int = 1
    scheduler: str | None = None

    def results(self, work: Work, shared: Any, tasks: Sequence[Any], *, worth: bool = True) -> Results:
        """What becomes of tasks, as it comes; processes are started only where it is worth it. Refusals are raised."""
        jobs = self.jobs if worth else 1
        with contextlib.closing(results(work, shared, tasks, jobs=jobs, scheduler=self.scheduler)) as found:
            for number, result in found:
                if isinstance(result, GyrovaeError):
                    raise result
                yield number, result


def size_of_count(known: Sequence[Surveyed]) -> float | None:
    """Recordings in, the size of one count of the sensor that they state out; None where none does, or they differ.

    What lies within the tolerance of the device is the same: files state it with more digits or fewer. A recording that
    states none is taken for one of the same sensor.
    """
    stated = _stated(known)
    alike = bool(stated) and max(stated) <= (1 + LSB_TOLERANCE) * min(stated)
    return stated[0] if alike else None


def notes_on(
    known: Sequence[Surveyed], found: float | None, lsb: float, *, given: float | None = None
) -> tuple[str, ...]:
    """Recordings, a count's size that was given or found, if any, and the one that is taken in; what is odd out."""
    notes = []
    units = known[0].stream.facts.units
    stated = _stated(known)
    if found is None:
        sizes = ", ".join(f"{size:g}" for size in sorted(set(stated))[:_NAMED])
        why = "Nothing says what one count of the sensor is"
        if stated:
            why = f"The recordings state different sizes of a count ({sizes} {units})"
        notes.append(
            f"{why}, so {lsb:g} {units} is taken, by the range of the motion. A detector runs on devices alone that "
            'measure in the same counts: if it is to run on one, give its size with --lsb ("lsb" in the first line of '
            "what collect writes from that device)."
        )
    others = sorted({size for size in stated if given is not None and abs(size - given) > LSB_TOLERANCE * given})
    if others:
        sizes = ", ".join(f"{size:g}" for size in others[:_NAMED])
        notes.append(
            f"One count is {given:g} {units}, as given, though recordings say {sizes} {units}: a device that measures "
            "in those counts refuses the detector."
        )
    guesses = [recording.stream for recording in known if GUESSED in recording.stream.facts.metadata]
    if guesses:
        rate = guesses[0].facts.metadata[GUESSED]
        notes.append(
            f"Nothing says what the times of {len(guesses)} of {len(known)} recordings are in "
            f"({some([stream.source for stream in guesses])}): by a guess they give {rate:,g} Hz. If that is not the "
            "rate, say what they are in by the column's name (time_s, time_ms, time_us); if they count samples, give "
            "--rate-hz (rate_hz in Python)."
        )
    late = [recording.stream.source for recording in known if UNEVEN in recording.stream.facts.metadata]
    if late:
        notes.append(
            f"The times of {len(late)} of {len(known)} recordings run unevenly, as those of arrival do: "
            f"{some(late)}. Samples are taken for evenly spaced; short gaps are not seen."
        )
    return tuple(notes)


def suspect_in(known: Sequence[Surveyed]) -> tuple[str, ...]:
    """Recordings in, why not all of them may be normal motion of one machine out."""
    notes = []
    faults = [recording.stream.source for recording in known if recording.stream.facts.metadata.get("fault")]
    if faults:
        notes.append(
            f"{len(faults)} of {len(known)} recordings say that they are of a fault: {some(faults)}. "
            "A detector must learn from normal motion alone."
        )
    streams = [recording.stream for recording in known]
    odd = [one.source for one in streams if one.facts.units == "m/s^2" and _OTHER_SENSOR.match(one.source.lower())]
    if odd:
        notes.append(
            f"By their names {len(odd)} of {len(known)} recordings ({some(odd)}) are of another sensor than an "
            "accelerometer; what they hold is taken for m/s^2."
        )
    return (*notes, *mixture_notes({one.stream.source: one.mixed for one in known if one.mixed}, len(known)))


def mixture_notes(found: Mapping[str, Mapping[str, Sequence[str]]], total: int) -> tuple[str, ...]:
    """Mixed recordings, as of `mixed.mixtures`, and the number of all in, what to say to who learns from them out."""
    if not found:
        return ()
    return (
        f"{telling(found, total)} All rows are taken for normal motion of one machine, seen by one sensor: "
        "where such a column tells faults, machines or sensors apart, keep only the rows that are normal, in a file "
        "for each sensor.",
    )


def _stated(known: Sequence[Surveyed]) -> list[float]:
    """The sizes of a count that recordings state, in their order."""
    return [lsb for recording in known if (lsb := recording.stream.facts.lsb) is not None]


def check_crew(crew: Crew, sources: Sequence[Recording | str]) -> None:
    """Refuse workers that there are none of, and recordings that these could not read."""
    check_jobs(crew.jobs)
    if (crew.jobs > 1 or crew.scheduler) and any(isinstance(source, Recording) for source in sources):
        raise GyrovaeError(
            "several workers cannot share recordings that are in memory",
            expected="files",
            remedy="Write them first (Recording.write), or leave jobs and scheduler out.",
        )


def identities(sources: Sequence[Recording | str]) -> list[list[Any]]:
    """What tells each recording from another, or from itself after it was written anew, JSON-ready."""
    return [
        [source.source, len(source), hashlib.sha256(source.samples.tobytes()).hexdigest()]
        if isinstance(source, Recording)
        else [source, *stamp(source)]
        for source in sources
    ]


def surveyed(
    sources: Sequence[Recording | str], rate_hz: float | None, crew: Crew, progress: Progress | None
) -> list[Surveyed]:
    """Recordings (or names) in, all that is known of them without their samples out."""
    known: dict[int, Surveyed] = {}
    sizes = [0 if isinstance(source, Recording) else int(stamp(source)[0]) for source in sources]
    worth = sum(sizes) > _WORTH
    kept = not worth and crew.scheduler is None
    for number, found in crew.results(survey, (rate_hz, kept), sources, worth=worth):
        known[number] = found
        if progress and worth:
            progress(len(known), len(sources), "recordings, first look")
    return [known[number] for number in range(len(sources))]


def fitted(
    known: Sequence[Surveyed],
    training: NDArray[np.int64],
    window: int,
    lsb: float | None,
    crew: Crew,
    progress: Progress | None,
    *,
    rows: int = ROWS,
    most: int = FITTED,
) -> Spec:
    """Recordings, the origins [k, 2] of their training windows and, where it is known, a count's size in; the spec out.

    The front end is fitted to all of these windows, or, where they are of more than `most` samples, to so many, evenly
    spaced. `GyrovaeError` when the samples do not fit int16 counts of `lsb`, and when nothing moves.
    """
    chosen = training[spread(len(training), max(most // window, 1))]
    tasks: list[Stretch] = []
    for index, recording in enumerate(known):
        trained, mine = (
            origins[slice(*np.searchsorted(origins[:, 0], [index, index + 1])), 1] for origins in (training, chosen)
        )
        tasks += stretches(recording, trained, mine, window, rows)
    worth = sum(map(len, known)) > ROWS
    seen: dict[int, Any] = {}
    for number, found in crew.results(look, (window, lsb), tasks, worth=worth):
        seen[number] = found
        if progress and worth:
            progress(len(seen), len(tasks), "samples, second look")
    facts = known[0].stream.facts
    lost = ""
    if lsb is None:
        largest = max(part.largest_trained for part in seen.values())
        lsb = frontend.lsb_of([np.array([largest])])
        looked_at = [part.windows for part in seen.values() if len(part.windows)]
        _check_outlier(looked_at, lsb, largest, facts.units)
        if any(np.ptp(part, axis=1).any() for part in looked_at):
            lost = f" in counts of {lsb:g} {facts.units}, which int16 needs to hold samples of {largest:g}"
        windows = [frontend.to_counts(seen.pop(number).windows, lsb) for number in range(len(tasks))]
    else:
        _check_range(max(part.largest for part in seen.values()), lsb, facts.units)
        windows = [seen.pop(number).windows for number in range(len(tasks))]
    rate = facts.rate_hz
    assert rate is not None  # recordings without one are refused before
    spec = frontend.fit(np.concatenate(windows), rate_hz=rate, lsb=lsb, units=facts.units)
    if all(mean <= floor for axis in spec.power_mean for mean, floor in zip(axis, spec.power_floor, strict=True)):
        raise GyrovaeError(
            f"the recordings show no motion on any axis{lost}",
            expected="a machine that runs",
            remedy="Take out what is added to all samples, if it is no acceleration. Else check the sensor and its "
            "wiring, and record while the machine runs."
            if lost
            else "Check the sensor and its wiring, and record while the machine runs.",
        )
    return spec


def _check_outlier(windows: Sequence[NDArray[Any]], lsb: float, largest: float, units: str) -> None:
    """Refuse a count's size, chosen by the largest sample, where that is no motion: little is left of what is."""
    moves = np.concatenate([np.ptp(part, axis=1).max(axis=1) for part in windows])
    reach = np.concatenate([np.abs(part).max(axis=(1, 2)) for part in windows])
    moving = moves > 0
    if not moving.any():
        return
    if np.median(moves[moving]) < _LEAST_MOVES * lsb and largest > _OUTLIER * np.median(reach[moving]):
        raise GyrovaeError(
            f"a sample of {largest:g} {units} is far beyond all others, so that {lsb:g} {units} would be taken for one "
            "count of the sensor, in which the motion is lost",
            remedy="Is it a fault of the recording? Leave that sample out, or give the sensor's own count with --lsb.",
        )


def _check_range(largest: float, lsb: float, units: str) -> None:
    """Refuse a count's size in which the recordings would not fit int16: it cannot be that of their sensor."""
    if largest > 32768.5 * lsb:
        raise GyrovaeError(
            f"the recordings do not fit int16 counts of {lsb:g} {units} (lsb)",
            expected=f"samples up to {32768 * lsb:g}",
            received=f"{largest:g}",
            remedy="Give the sensor's own count with --lsb, in the units of the recordings, or leave out samples that "
            "no sensor of that count can have measured.",
        )


class Unfinished:
    """A dataset that is being made: a folder beside it with what is done, `OUTPUT.parts`."""

    def __init__(self, output: str | PathLike[str], plan: Mapping[str, Any], *, resume: bool) -> None:
        """Look whether there is interrupted work, and with `resume` go on with it. Nothing is written yet.

        Other work is refused, and so are files that are not ours.
        """
        self._output, self._plan = output, plan
        self._target = Path(os.path.realpath(output))
        check_replaceable(Path(output), marker=MARKER)
        check_elsewhere(output)
        self._folder = self._target.with_name(f"{self._target.name}.parts")
        check_replaceable(self._folder, marker=PLAN)
        self._parts = self._planned(resume=True) if resume and (self._folder / PLAN).is_file() else None

    def _planned(self, *, resume: bool) -> Parts:
        return Parts(self._folder, self._plan, resume=resume, again="Begin anew, without --resume.")

    @property
    def spec(self) -> Spec | None:
        """The front end, if it was fitted before."""
        file = self._folder / SPEC
        return Spec.from_dict(read_json(file)) if self._parts is not None and file.is_file() else None

    @property
    def dataset(self) -> Path:
        """The folder that takes the dataset's place once all is done."""
        return self._folder / "dataset"

    @contextlib.contextmanager
    def begun(self, spec: Spec) -> Iterator[None]:
        """From here on files are written; where nothing comes of it, none is left."""
        with writable(self._output):
            try:
                self._begin(spec)
                yield
            except BaseException:
                if self._parts is not None and not any((self._folder / "done").glob("*.json")):
                    with contextlib.suppress(OSError):
                        self._parts.remove()
                raise

    def _begin(self, spec: Spec) -> None:
        if self._parts is None:
            self._parts = self._planned(resume=False)
        for inside in ("dataset", "done"):
            (self._folder / inside).mkdir(exist_ok=True)
        write_json(self._folder / SPEC, json.loads(spec.to_json()))

    def find(self, portion: Portion) -> dict[str, str] | None:
        """The files of a shard and their hashes; None where it is not done, or damaged."""
        try:
            files: dict[str, Any] = read_json(self._done(portion))
            for name, sha256 in files.items():
                shard_of(self.dataset / Path(name).name, str(sha256))
        except (GyrovaeError, ValueError):
            return None
        return files

    def keep(self, portion: Portion, arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
        """Write the files of a shard; their hashes out."""
        files = {}
        for name, array in arrays.items():
            file = shard_name(f"{portion.part}_{name}", portion.number)
            files[file] = write_npy(self.dataset / file, array)
        write_json(self._done(portion), files)
        return files

    def _done(self, portion: Portion) -> Path:
        return self._folder / "done" / f"{portion.part}-{portion.number:05}.json"

    def finish(self, record: Mapping[str, Any]) -> None:
        """All shards are there: the dataset takes its place."""
        assert self._parts is not None  # begun
        for path in self.dataset.iterdir():
            if path.name not in record["files"]:  # half a file, which a kill left under another name
                path.unlink()
        write_json(self.dataset / MARKER, record)
        put_in_place(self.dataset, self._target)
        self._parts.remove()
