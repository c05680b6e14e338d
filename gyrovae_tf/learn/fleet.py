"""A table of the recordings of a fleet in; a calibrated detector for each device or group out, and which to look at.

A model is made anew or not at all: workers make it in a folder of its own, and this process puts it into its place when
it is whole. So whatever is killed costs time only, and `resume` makes what is missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.arguments import check_begin, instance, switches
from gyrovae_tf.bundle import check_replaceable, read_json, replacing_folder, write_json
from gyrovae_tf.errors import GyrovaeError, atomic_write
from gyrovae_tf.fleettable import Wanted, check_apart, models_of, read_fleet_table
from gyrovae_tf.learn import fleetmodel
from gyrovae_tf.learn.asked import check_asked
from gyrovae_tf.learn.dataset import MARKER as DATASET
from gyrovae_tf.learn.dataset import Progress, check_hop
from gyrovae_tf.learn.fleetmodel import DATASETS, MODELS, Job, Outcome, Settings, Task
from gyrovae_tf.learn.fleetrecord import REPORT, Model, Standing, read_model, standings
from gyrovae_tf.learn.options import Options
from gyrovae_tf.parts import hold
from gyrovae_tf.recording import check_rate_hz
from gyrovae_tf.scoring import stamp
from gyrovae_tf.signal.frontend import check_lsb
from gyrovae_tf.spec import check_window
from gyrovae_tf.streaming import find_recordings
from gyrovae_tf.temporary import releasing
from gyrovae_tf.wording import one_line
from gyrovae_tf.workers import check_jobs, results

SCHEMA_VERSION = 2
RESULT = "fleet.json"
PAGE = "fleet.html"
_WORK = "work"
_RUN = "run.json"


@dataclass(frozen=True)
class Fleet:
    """What the models of a fleet came to."""

    path: Path
    """The folder: `fleet.json`, `fleet.html`, a run a model in `models/`, its dataset in `datasets/`."""
    by: str
    """device or group: what a model is made for."""
    models: tuple[Model, ...]
    """In the table's order."""
    devices: tuple[Standing, ...]
    """Those that need attention most first."""
    unused: tuple[str, ...]
    """Columns of the table that mean nothing here."""
    made: int
    """Models made; the others of those that are there were there."""
    seconds: float
    """Time that it took."""
    stale: tuple[str, ...] = ()
    """Folders in `models/` that no model of this table has: of devices that left it, or could not be made anew."""

    @property
    def failed(self) -> dict[str, str]:
        """Model that could not be made -> why."""
        return {model.name: model.failed for model in self.models if model.failed}

    @property
    def unscored(self) -> dict[str, str]:
        """Recording that was to be scored and could not be -> why."""
        return {
            name: why
            for model in self.models
            for recordings in model.unscored.values()
            for name, why in recordings.items()
        }

    @property
    def models_per_h(self) -> float:
        """Models made in an hour."""
        return 3600 * self.made / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "fleet": str(self.path),
            "page": str(self.path / PAGE),
            **_told(self.by, self.models, self.devices),
            "stale": list(self.stale),
            "made": self.made,
            "seconds": self.seconds,
            "models_per_h": self.models_per_h,
        }


@releasing()
def fleet(
    table: str | PathLike[str],
    output: str | PathLike[str],
    *,
    by: str | None = None,
    window: int | None = None,
    hop: int | None = None,
    rate_hz: float | None = None,
    lsb: float | None = None,
    options: Options | None = None,
    mode: str = "best",
    false_alarm_rate: float | None = None,
    false_alarms_per_day: float | None = None,
    vote: tuple[int, int] | None = None,
    tilt: bool = False,
    reports: bool = False,
    keep_datasets: bool = True,
    jobs: int = 1,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fleet:
    """A CSV table with columns device, recording and, where wanted, group and part in; a `Fleet` in `output` out.

    A recording is a path (seen from the table's folder), a folder, a pattern or a URL; its part is train (normal
    motion, to learn from; so it is where nothing is said) or score. `by` is "device" or "group": what gets a model of
    its own (groups, where the table has that column). Each is preprocessed, trained and quantised with the same
    settings, which are those of `preprocess`, `train` and `quantize`, and scores its devices' recordings of the part
    score or, where a device has none, what its data held back. With `reports` each run gets a `report`; without
    `keep_datasets` its dataset is removed, and it cannot be quantised again or reported on.

    `jobs` models are made side by side, each in a process of one thread, here or by the workers of a Dask `scheduler`,
    which have to reach the recordings by the same names. With `resume` the models that are there stay when they were
    made from the same recordings, and others are made; with `overwrite` all are made anew. A model that cannot be made
    is told in `Fleet.failed`; the others go on. `GyrovaeError` for a table or settings that cannot be meant.
    """
    began = time.monotonic()
    resume, overwrite = check_begin(resume=resume, overwrite=overwrite)
    settings = Settings(
        window,
        hop,
        rate_hz,
        lsb,
        dataclasses.asdict(Options() if options is None else instance(options, "the options are not usable", Options)),
        mode,
        false_alarm_rate,
        false_alarms_per_day,
        vote,
        tilt,
        reports,
        keep_datasets,
    )
    settings, jobs = _checked(settings), check_jobs(jobs)
    known = read_fleet_table(table)
    by = by or ("group" if known.grouped else "device")
    wanted = models_of(known, by)
    root = Path(output)
    head = {"schema_version": SCHEMA_VERSION, "by": by, "settings": settings._asdict()}
    hold(root)
    _begin(root, head, resume=resume, overwrite=overwrite)
    hold(root)
    tasks: list[Task] = []
    models: dict[str, Model] = {}
    for one in wanted:
        try:
            check_replaceable(root / MODELS / one.folder, marker=_RUN)
            check_replaceable(root / DATASETS / one.folder, marker=DATASET)
            task = _task(one, settings)
        except GyrovaeError as error:
            models[one.name] = _failed(one, error)
            continue
        there = read_model(root / MODELS / one.folder, task.made_from) if resume else None
        if there is None:
            tasks.append(task)
        else:
            models[one.name] = there
    made = 0
    work = root / _WORK
    work.mkdir(exist_ok=True)
    try:
        job = Job(settings, str(work) if scheduler is None else None)
        for done, (index, found) in enumerate(results(fleetmodel.make, job, tasks, jobs=jobs, scheduler=scheduler)):
            one = tasks[index].wanted
            if isinstance(found, GyrovaeError):
                models[one.name] = _failed(one, found)
            else:
                _put(found, work, root)
                models[one.name] = found.model
                made += 1
            if progress:
                progress(done + 1, len(tasks), one.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ordered = tuple(models[one.name] for one in wanted)
    ranking = standings(ordered)
    result = Fleet(root, by, ordered, ranking, known.unused, made, time.monotonic() - began, _stale(root, ordered))
    from gyrovae_tf.learn.trainedpage import trained_page

    atomic_write(root / PAGE, trained_page(result))
    write_json(root / RESULT, {**head, "finished": True, **_told(by, ordered, ranking)})
    return result


def _checked(settings: Settings) -> Settings:
    """Settings in, the same in Python's numbers out; refuses at once what every model would fail on."""
    window, hop, rate_hz = settings.window, settings.hop, settings.rate_hz
    asked = check_asked(
        settings.mode, settings.false_alarm_rate, settings.false_alarms_per_day, settings.vote, settings.tilt
    )
    reports, keep_datasets = switches(reports=settings.reports, keep_datasets=settings.keep_datasets)
    return settings._replace(
        window=None if window is None else check_window(window),
        hop=None if hop is None else check_hop(hop),
        rate_hz=check_rate_hz(rate_hz),
        lsb=check_lsb(settings.lsb),
        # What was not given stays so: a fleet is known by its settings.
        false_alarm_rate=None if settings.false_alarm_rate is None else asked.false_alarm_rate,
        false_alarms_per_day=asked.false_alarms_per_day,
        vote=asked.vote,
        tilt=asked.tilt,
        reports=reports,
        keep_datasets=keep_datasets,
    )


def _begin(root: Path, head: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Make the output's folder, or go on with one; refuse one of other work, or that is not ours."""
    check_replaceable(root, marker=RESULT)
    exists = (root / RESULT).is_file()
    if exists and not (resume or overwrite):
        raise GyrovaeError(
            f"{root} holds a fleet already",
            remedy="Make what is missing in it with --resume, all of it anew with --overwrite, or choose another name.",
        )
    if exists and not overwrite:
        before = read_json(root / RESULT, largest=1 << 30)
        now = json.loads(json.dumps(head))
        changed = [key for key in ("schema_version", "by") if before.get(key) != now[key]]
        old = before.get("settings")
        old = old if isinstance(old, dict) else {}
        changed += [key for key, value in now["settings"].items() if old.get(key) != value]
        if changed:
            raise GyrovaeError(
                f"the models in {root} were made with other settings: {', '.join(changed)}",
                remedy="Resume with the same ones, make all anew with --overwrite, or choose another name.",
            )
        return
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / RESULT, {**head, "finished": False})


def _task(wanted: Wanted, settings: Settings) -> Task:
    """A model with names from the table in, the same with the recordings that these stand for out."""
    if not wanted.train:
        raise GyrovaeError("there is nothing to learn from: no recording of the part train")
    try:
        found = dataclasses.replace(
            wanted,
            train={device: tuple(find_recordings(names)) for device, names in wanted.train.items()},
            score={device: tuple(find_recordings(names)) for device, names in wanted.score.items()},
        )
    except OSError as error:
        raise GyrovaeError(f"cannot read {error.filename}: {error.strerror}") from None
    check_apart(found.train, found.score)
    stamps = [
        [device, [[name, stamp(name)] for name in names]]
        for part in (found.train, found.score)
        for device, names in part.items()
    ]
    digest = hashlib.sha256(json.dumps([settings._asdict(), len(found.train), stamps]).encode())
    return Task(found, digest.hexdigest())


def _failed(wanted: Wanted, error: GyrovaeError) -> Model:
    return Model(wanted.name, wanted.folder, wanted.devices, failed=one_line(str(error)))


def _put(outcome: Outcome, work: Path, root: Path) -> None:
    """Put a model that is whole into its place, its dataset first."""
    place = work / "sent" if outcome.place is None else Path(outcome.place)
    for name, content in outcome.files.items():
        atomic_write(place / name, content)
    for folder, marker in ((DATASETS, DATASET), (MODELS, _RUN)):
        source = place / folder / outcome.model.folder
        if source.is_dir():
            with replacing_folder(root / folder / outcome.model.folder, marker=marker) as target:
                for entry in source.iterdir():
                    entry.rename(target / entry.name)
        elif folder == DATASETS:
            _remove_dataset(root / folder / outcome.model.folder)
    shutil.rmtree(place, ignore_errors=True)


def _remove_dataset(old: Path) -> None:
    """Take away what an earlier model was trained on, where that of the new one is not to be kept."""
    if (old / DATASET).is_file():
        shutil.rmtree(old)
    with contextlib.suppress(OSError):  # other datasets are in it, or it is not there
        old.parent.rmdir()


def _stale(root: Path, models: Sequence[Model]) -> tuple[str, ...]:
    """Runs that an earlier table made and this one did not; they are somebody's detectors, and so are not removed."""
    ours = {model.folder for model in models if not model.failed}
    return tuple(
        sorted(run.parent.name for run in (root / MODELS).glob(f"[!.]*/{_RUN}") if run.parent.name not in ours)
    )


def _told(by: str, models: Sequence[Model], devices: Sequence[Standing]) -> dict[str, Any]:
    """Models and devices as JSON-ready values."""
    return {
        "by": by,
        "models": [_of_model(model) for model in models],
        "devices": [one.to_dict() for one in devices],
        "failed": {model.name: model.failed for model in models if model.failed},
    }


def _of_model(model: Model) -> dict[str, Any]:
    """A model's record without its devices' scores, which stand with the devices."""
    record = model.to_dict()
    del record["judged"]
    if not model.failed:
        record["run"] = f"{MODELS}/{model.folder}"
        record["report"] = f"{MODELS}/{model.folder}/{REPORT}" if model.report else None
    return record
