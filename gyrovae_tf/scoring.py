"""A bundle and recordings of many machines in, a table with the score of every window out.

The work is cut into shards: a recording, or some millions of rows of a long one. Workers score shards; this process
writes what they found into a folder beside the output, one file a shard, each wholly or not at all, and makes the table
of them at the end. A shard is the same whoever scores it, and how often. So whatever is killed costs time only, and
interrupted work goes on with the shards that are missing.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from gyrovae_tf import scoretable
from gyrovae_tf.arguments import switch, told, whole
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.chunks import is_url, optional
from gyrovae_tf.errors import GyrovaeError, readable
from gyrovae_tf.parts import Part, Parts, completed
from gyrovae_tf.ranking import Device, Tally, ranked
from gyrovae_tf.recording import Recording, Source, check_rate_hz, listed, odd_pulls, too_short
from gyrovae_tf.shards import Job, Shard, detector_of, divide, identity, lent, score_shard
from gyrovae_tf.spec import AXES
from gyrovae_tf.stockbundle import StockBundle, load_bundle
from gyrovae_tf.streaming import Stream, find_recordings
from gyrovae_tf.temporary import releasing
from gyrovae_tf.wording import first_of
from gyrovae_tf.workers import check_jobs, results

SHARD_ROWS = 2_000_000
"""Rows of a long recording that are one shard."""
LONG_BYTES = 64 << 20
"""A file that is not larger is one shard, without looking into it first."""
Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): for a progress bar."""


@dataclass(frozen=True)
class Scored:
    """What scoring came to."""

    path: Path
    """The table."""
    recordings: int
    """Those in the table."""
    windows: int
    """Rows of the table."""
    alarms: int
    """Windows with a score of 1.0 and more."""
    devices: tuple[Device, ...]
    """Those that need attention most first."""
    refused: dict[str, str]
    """Recording that could not be scored -> why. None of its windows is in the table."""
    seconds: float
    """Time that it took."""
    scored: int
    """Windows scored in that time; the others were there from interrupted work."""
    bundle: Bundle | StockBundle
    """What they were scored with."""
    hop: int
    """Samples from one window to the next."""
    kernels: str
    """What ran the model: a name of `runtime.KERNELS`."""
    notes: tuple[str, ...] = ()
    """What is odd about the recordings."""

    @property
    def windows_per_s(self) -> float:
        """Windows scored in a second, reading and writing included."""
        return self.scored / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        names = ("recordings", "windows", "alarms", "refused", "seconds", "scored", "windows_per_s", "hop", "kernels")
        return {
            "scores": str(self.path),
            **{name: getattr(self, name) for name in names},
            "notes": list(self.notes),
            "devices": [device.to_dict() for device in self.devices],
        }


@releasing()
def score_recordings(
    bundle: Bundle | StockBundle | str | PathLike[str],
    recordings: Iterable[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    hop: int | None = None,
    rate_hz: float | None = None,
    kernels: str | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    resume: bool = False,
    shard_rows: int = SHARD_ROWS,
    long_bytes: int = LONG_BYTES,
    devices: Mapping[Any, str] | None = None,
    progress: Progress | None = None,
) -> Scored:
    """A bundle (or the path of one or of a run) and recordings in; their windows' scores in `output`, `Scored` out.

    `recordings` are paths, folders, patterns or URLs (`streaming.find_recordings`); `output` ends in .parquet or .csv;
    `hop` is in samples (half a window unless given); `rate_hz` is for files that do not state one; `kernels` as for
    `Detector`. `jobs` processes of this computer do the work, or the workers of a Dask `scheduler`, which have to reach
    the recordings by the same names. With `resume` interrupted work of the same kind goes on. Files of more than
    `long_bytes` are scored in shards of `shard_rows` rows. `devices` says whose a recording is, by its path or URL; of
    others it is what they say themselves, else their folder, else their file.

    A recording that cannot be scored is left out, whole, and told in `Scored.refused`; `GyrovaeError` when all are.
    """
    began = time.monotonic()
    scoretable.check_output(output)
    known = bundle if isinstance(bundle, Bundle | StockBundle) else load_bundle(bundle)
    hop = known.spec.window // 2 if hop is None else hop
    hop = whole(hop, "the hop is not usable", 1)
    shard_rows, long_bytes = check_shards(shard_rows, long_bytes)
    jobs, resume, rate_hz = check_jobs(jobs), switch(resume, "resume is not usable"), check_rate_hz(rate_hz)
    owned = _checked(devices)
    detector = detector_of(known, kernels)
    job = Job(known, detector.model.kernels, hop, rate_hz)
    sources = listed(recordings)
    table = os.path.realpath(output)  # what an earlier scoring wrote into the folder is no recording
    names = [name for name in find_recordings(sources) if is_url(name) or os.path.realpath(name) != table]
    if not names:
        raise GyrovaeError("no recordings", expected="at least one file", received="none")
    owned, unknown = _owned(owned, names)
    plan = {"schema_version": 3, "job": identity(job), "shard_rows": shard_rows, "long_bytes": long_bytes}
    refused: dict[int, GyrovaeError] = {}
    sizes: list[list[Any] | None] = []
    for number, name in enumerate(names):
        try:
            sizes.append(stamp(name))
        except GyrovaeError as error:
            refused[number] = error
            sizes.append(None)
    plan["recordings"] = [[name, size] for name, size in zip(names, sizes, strict=True)]
    parts = Parts(Path(f"{fspath(output)}.parts"), plan, resume=resume, again="Begin anew, without --resume.")
    how: dict[str, Any] = {"jobs": jobs, "scheduler": scheduler}
    shards: list[Shard] = []
    long: list[Shard] = []
    for number, (name, size) in enumerate(zip(names, sizes, strict=True)):
        if size is not None:
            (long if size[0] > long_bytes else shards).append(Shard(number, 0, name))
    for index, found in results(divide, (job, shard_rows), long, **how):
        if isinstance(found, GyrovaeError):
            refused[long[index].recording] = found
        else:
            shards += found
        if progress:
            progress(index + 1, len(long), "long recordings, first look")
    shards.sort()
    counts: dict[str, int] = {}
    pulls: dict[int, float] = {}
    scored = 0
    started = time.monotonic()
    with lent(job, detector):
        for done, (index, found, kept_from_before) in enumerate(completed(score_shard, job, shards, parts, **how), 1):
            shard = shards[index]
            if isinstance(found, GyrovaeError):
                refused.setdefault(shard.recording, found)
            else:
                counts[shard.file] = len(found["start"])
                if counts[shard.file]:
                    pulls.setdefault(shard.recording, float(found["pull"][0]))
                scored += 0 if kept_from_before else counts[shard.file]
            if progress:
                speed = scored / max(time.monotonic() - started, 1e-9)
                progress(done, len(shards), f"{speed:,.0f} windows/s")
    kept = [shard for shard in shards if shard.recording not in refused]
    windows = Counter[int]()
    for shard in kept:
        windows[shard.recording] += counts[shard.file]
    for shard in kept:
        if shard.number or windows[shard.recording]:
            continue
        name = names[shard.recording]
        try:
            with readable(name):
                stream = shard.stream or Stream.open(name, rate_hz=job.rate_hz)
                refused[shard.recording] = too_short(
                    known.spec.window, stream.longest(), stream.facts.rows, source=name
                )
        except GyrovaeError as error:  # it is gone since
            refused[shard.recording] = error
    kept = [shard for shard in kept if shard.recording not in refused]
    if not kept:
        if not counts:  # nothing was done that could be gone on with
            parts.remove()
        raise NothingScoredError({names[number]: error for number, error in sorted(refused.items())})
    ranking = _written(job, parts, kept, counts, names, _owners(names, sources), owned, output)
    parts.remove()
    return Scored(
        path=Path(output),
        recordings=len({shard.recording for shard in kept}),
        windows=sum(device.windows for device in ranking),
        alarms=sum(device.alarms for device in ranking),
        devices=ranking,
        refused={names[number]: str(error) for number, error in sorted(refused.items())},
        seconds=time.monotonic() - began,
        scored=scored,
        bundle=known,
        hop=hop,
        kernels=job.kernels,
        notes=(
            *odd_pulls(
                [(names[number], pull) for number, pull in sorted(pulls.items()) if number not in refused],
                known.spec.units,
                lsb=known.spec.lsb if isinstance(known, Bundle) else None,
            ),
            *([f"devices names what is no recording here: {first_of(unknown)}"] if unknown else []),
        ),
    )


class NothingScoredError(GyrovaeError):
    """None of the recordings could be scored: what is wrong with the first, as an error, and with each."""

    def __init__(self, errors: Mapping[str, GyrovaeError]) -> None:
        first = next(iter(errors.values()))
        super().__init__(first.problem, expected=first.expected, received=first.received, remedy=first.remedy)
        self.refused = {name: str(error) for name, error in errors.items()}


def check_shards(shard_rows: int, long_bytes: int) -> tuple[int, int]:
    """Rows of a shard, and bytes from which a file is long, in; the same as Python's numbers out."""
    return (
        whole(shard_rows, "the number of rows in a shard is not usable", 1),
        whole(long_bytes, "long_bytes is not usable", 0),
    )


def _checked(devices: Mapping[Any, str] | None) -> dict[str, str]:
    """Whose recordings are in, the same by their names out; refuses what does not name a device for each."""
    known = {} if devices is None else devices
    if not (
        isinstance(known, Mapping)
        and all(isinstance(name, str | PathLike) and isinstance(device, str) for name, device in known.items())
    ):
        raise GyrovaeError(
            "the devices are not usable",
            expected='the device of each, as in {"a.csv": "pump 1"}',
            received=told(devices),
        )
    return {fspath(name): device for name, device in known.items()}


def _owned(given: dict[str, str], names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Whose recordings are, by any path of theirs, in; the same by their names here, and what is none of them, out."""
    found: dict[str, str | None] = {name: name for name in names if name in given}
    if others := given.keys() - found.keys():
        real = {os.path.realpath(name): name for name in names if not is_url(name)}
        found |= {name: real.get(os.path.realpath(name)) for name in given if name in others}
    return (
        {known: given[name] for name, known in found.items() if known is not None},
        [name for name, known in found.items() if known is None],
    )


# --- the folder of the work


def stamp(name: str) -> list[Any]:
    """A file's path or URL in; its bytes, and what changes when it is written anew, out."""
    try:
        if is_url(name):
            system, path = optional("fsspec").core.url_to_fs(name)
            about = system.info(path)
            changed = next((about[key] for key in ("mtime", "LastModified", "ETag", "created") if key in about), None)
            return [int(about.get("size") or 0), str(changed)]
        status = Path(name).stat()
    except (OSError, ValueError, ImportError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        raise GyrovaeError(f"cannot read {name}: {reason}") from None
    return [status.st_size, status.st_mtime_ns]


# --- the table


def _written(
    job: Job,
    parts: Parts,
    shards: Sequence[Shard],
    counts: Mapping[str, int],
    names: Sequence[str],
    owners: Mapping[str, str],
    given: Mapping[str, str],
    output: Any,
) -> tuple[Device, ...]:
    """Parts in, the table written, the devices out."""
    rate = job.bundle.calibration.false_alarm_rate
    devices: dict[str, Tally] = {}
    of: dict[str, str] = {}
    totals: dict[str, int] = {}
    for shard in shards:
        told = bytes(parts.read(shard.file)["device"]).decode("utf-8", "replace")
        name = names[shard.recording]
        of[shard.file] = given.get(name) or told or owners[name]
        totals[of[shard.file]] = totals.get(of[shard.file], 0) + counts[shard.file]
    with scoretable.table(output, identity(job)) as table:
        for shard in shards:
            part = parts.read(shard.file)
            rate_hz = float(part.pop("rate_hz")[0])
            part.pop("device")
            table.add(names[shard.recording], rate_hz, part)
            tally = devices.setdefault(of[shard.file], Tally(of[shard.file], totals[of[shard.file]]))
            tally.add(
                shard.recording, part["segment"], part["score"], part["event"], job.hop / rate_hz, top_reasons_of(part)
            )
    return ranked(tally.device(rate) for tally in devices.values())


def top_reasons_of(part: Part) -> Iterator[str]:
    """The arrays of windows in, the top reason of each alarm in words out."""
    for row in np.flatnonzero((part["alarm"] != 0) & (part["axis"] != 0)):
        center = math.sqrt(max(part["low_hz"][row], 0.5) * part["high_hz"][row])
        direction = scoretable.DIRECTIONS[part["direction"][row]]
        yield f"{AXES[part['axis'][row] - 1]} near {float(f'{center:.1g}'):g} Hz {direction}"


def _owners(names: Sequence[str], given: Sequence[Source]) -> dict[str, str]:
    """All recordings, and what was given for them, in; whose each is by its place out: a folder is a device.

    It is so whichever of them can be scored. Where one folder was given, its own folders are the devices.
    """
    folders = {name: _folder_of(name) for name in names}
    root = _root(given)
    if root is None or set(folders.values()) == {root.rstrip("/")}:
        if len(set(folders.values())) == 1:
            return {name: name.rpartition("/")[2] for name in names}
        root = _common(list(folders.values()))
    return {name: folder[len(root) :] or "." for name, folder in folders.items()}


def _root(given: Sequence[Source]) -> str | None:
    """How the names of recordings begin, where one folder was given for all of them."""
    (name, *others) = given
    if others or isinstance(name, Recording) or is_url(fspath(name)) or not Path(name).is_dir():
        return None
    folder = Path(name).as_posix()
    return "" if folder == "." else f"{folder.rstrip('/')}/"


def _folder_of(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[0]


def _common(folders: Sequence[str]) -> str:
    """What all folders begin with, up to a slash."""
    parts = [folder.split("/") for folder in dict.fromkeys(folders)]
    shared = 0
    while all(len(part) > shared for part in parts) and len({part[shared] for part in parts}) == 1:
        shared += 1
    return "".join(f"{part}/" for part in parts[0][:shared]) if shared < min(map(len, parts)) or len(parts) > 1 else ""
