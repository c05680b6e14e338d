"""The recordings of one model of a fleet in, its dataset, run, scores and record out: in a process of its own.

A process a model: what TensorFlow keeps does not add up over hundreds of models, the same seed gives the same bytes
whatever was made before, and one that is killed for want of memory takes no other with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gyrovae_tf.chunks import name_of
from gyrovae_tf.errors import GyrovaeError, atomic_write
from gyrovae_tf.fleettable import Wanted
from gyrovae_tf.learn.fleetrecord import REPORT, SCORES, Judged, Model, write_model
from gyrovae_tf.wording import first_of, many

MODELS, DATASETS = "models", "datasets"
"""Folders of runs and of datasets."""
_OUTCOME = "outcome.json"
_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from gyrovae_tf.learn import fleetmodel; fleetmodel.serve()"


class Settings(NamedTuple):
    """What all models of a fleet share."""

    window: int | None
    hop: int | None
    rate_hz: float | None
    lsb: float | None
    options: dict[str, Any]
    """Fields of `Options`."""
    mode: str
    false_alarm_rate: float | None
    false_alarms_per_day: float | None
    vote: tuple[int, int] | None
    tilt: bool
    reports: bool
    keep_datasets: bool


class Task(NamedTuple):
    """One model to make."""

    wanted: Wanted
    made_from: str
    """A digest of recordings and settings."""


class Job(NamedTuple):
    """What tasks share."""

    settings: Settings
    work: str | None
    """A folder to make models in; None: a temporary one, whose files are sent."""


class Outcome(NamedTuple):
    """What came of a task."""

    model: Model
    place: str | None
    """The folder with `MODELS` and `DATASETS` in it; None where `files` are sent."""
    files: dict[str, bytes]


def make(job: Job, task: Task) -> Outcome:
    """What tasks share and one of them in, the model in a folder of its own out; `GyrovaeError` tells why not."""
    if job.work is not None:
        place = tempfile.mkdtemp(dir=job.work)
        return Outcome(_in_process(job.settings, task, Path(place)), place, {})
    with tempfile.TemporaryDirectory() as place:
        model = _in_process(job.settings, task, Path(place))
        files = [path for path in Path(place).rglob("*") if path.is_file()]
        return Outcome(model, None, {path.relative_to(place).as_posix(): path.read_bytes() for path in files})


def _in_process(settings: Settings, task: Task, place: Path) -> Model:
    """Make the model in another process, which ends when this one does."""
    said = {"settings": settings._asdict(), "wanted": vars(task.wanted), "made_from": task.made_from}
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=told,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")},
        )
        assert process.stdin is not None
        try:
            process.stdin.write((json.dumps({"place": str(place.resolve()), **said}) + "\n").encode())
            process.stdin.flush()
            code = process.wait()
        except BrokenPipeError:  # it ended before it had read
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):  # what it had not read is nobody's any more
                process.stdin.close()
        told.seek(0)
        complaint = told.read().decode("utf-8", "replace").strip().splitlines()
    try:
        outcome = json.loads((place / _OUTCOME).read_bytes())
        (place / _OUTCOME).unlink()
    except (OSError, ValueError):
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        more = f" ({complaint[-1].strip()[:200]})" if complaint and code >= 0 else ""
        raise GyrovaeError(
            f"the process that made it ended with {reason}{more}", remedy="Is there enough memory? Try fewer --jobs."
        ) from None
    if "problem" in outcome:
        raise GyrovaeError(outcome["problem"], remedy=outcome["remedy"])
    return Model.from_dict(outcome["model"])


def serve() -> None:
    """The other side: make the model that standard input tells of, and leave there what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asked
    said = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    place = Path(said["place"])
    outcome: dict[str, Any]
    try:
        outcome = {"model": _made(Settings(**said["settings"]), Wanted(**said["wanted"]), place, said["made_from"])}
    except GyrovaeError as error:
        outcome = {"problem": str(error).removesuffix(error.remedy or "").strip(), "remedy": error.remedy}
    except OSError as error:
        outcome = {"problem": f"the file system refused {error.filename}: {error.strerror or error}", "remedy": None}
    except MemoryError:
        outcome = {"problem": "not enough memory for this much data", "remedy": None}
    atomic_write(place / _OUTCOME, json.dumps(outcome))


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _made(settings: Settings, wanted: Wanted, place: Path, made_from: str) -> dict[str, Any]:
    """The whole way of one model; its record out."""
    import shutil

    from gyrovae_tf.learn.dataset import preprocess
    from gyrovae_tf.learn.health import AMOUNT, checks
    from gyrovae_tf.learn.options import Options
    from gyrovae_tf.learn.promise import promise
    from gyrovae_tf.learn.quantize import quantize
    from gyrovae_tf.learn.report import report
    from gyrovae_tf.learn.train import train
    from gyrovae_tf.learn.verdict import GUESSES

    owners = {name: device for device, names in wanted.train.items() for name in names}
    folder, dataset = place / MODELS / wanted.folder, place / DATASETS / wanted.folder
    rate_hz = settings.rate_hz
    data = preprocess(
        list(owners), dataset, window=settings.window, hop=settings.hop, rate_hz=rate_hz, lsb=settings.lsb
    )
    of_kept = [owner for number, owner in enumerate(owners.values()) if number not in data.left_out]
    run = train(data, folder, options=Options(**settings.options))
    bundle = quantize(
        run,
        mode=settings.mode,
        false_alarm_rate=settings.false_alarm_rate,
        false_alarms_per_day=settings.false_alarms_per_day,
        vote=settings.vote,
        tilt=settings.tilt,
    )
    judged, unscored = _scored(bundle, wanted, folder, rate_hz)
    others = set(wanted.devices) - {one.figures.name for one in judged}
    judged += _held_back(bundle, data, of_kept, others)
    if settings.reports:
        report(run, folder / REPORT)
    known = promise(bundle)
    assert known.trust is not None  # quantize has just put it there
    doubts = list(known.trust.warnings)
    if data.left_out:
        names = [name_of(name) for number, name in enumerate(owners) if number in data.left_out]
        doubts.append(f"{many(len(names), 'recording')} left out, as others hold the same samples: {first_of(names)}.")
    doubts += [
        f"{check.name} {check.value}: {check.meaning}"
        for check in checks(data, bundle)
        if check.status != "good" and check.name != AMOUNT
    ]
    (kept,) = (mode for mode in bundle.metrics["modes"] if mode["mode"] == bundle.metrics["mode"])
    if kept["auroc"] is not None and kept["auroc"] < GUESSES:
        doubts.append(f"It hardly notices built-in changes of normal motion: AUROC {kept['auroc']:.2f}.")
    model = Model(
        name=wanted.name,
        folder=wanted.folder,
        devices=wanted.devices,
        recordings=len(data.sources),
        minutes=known.trust.minutes,
        windows=len(data.train_images),
        epochs=run.metrics["epochs"],
        error=run.metrics["validation_error"],
        auroc=kept["auroc"],
        mode=bundle.metrics["mode"],
        bytes=len(bundle.model),
        sha256=bundle.model_sha256,
        false_alarm_rate=bundle.calibration.false_alarm_rate,
        events_per_day=known.events_per_day,
        vote=(bundle.calibration.vote_alarms, bundle.calibration.vote_windows),
        doubts=tuple(doubts),
        judged=tuple(sorted(judged, key=lambda one: wanted.devices.index(one.figures.name))),
        unscored=unscored,
        report=settings.reports,
    )
    if not settings.keep_datasets:
        shutil.rmtree(dataset)
    write_model(folder, model, made_from)
    return model.to_dict()


def _scored(
    bundle: Any, wanted: Wanted, folder: Path, rate_hz: float | None
) -> tuple[list[Judged], dict[str, dict[str, str]]]:
    """What the detector makes of the recordings that were to be scored; and which could not be, by device, and why."""
    from gyrovae_tf.scoring import NothingScoredError, score_recordings

    owners = {name: device for device, names in wanted.score.items() for name in names}
    if not owners:
        return [], {}
    try:
        done = score_recordings(bundle, owners, folder / SCORES, rate_hz=rate_hz, devices=owners)
        devices, refused = done.devices, done.refused
    except NothingScoredError as error:
        devices, refused = (), error.refused
    except GyrovaeError as error:
        devices, refused = (), dict.fromkeys(owners, str(error))
    unscored: dict[str, dict[str, str]] = {}
    for name, why in refused.items():
        unscored.setdefault(owners[name], {})[name] = why
    return [Judged(device, held_back=False) for device in devices], unscored


def _held_back(bundle: Any, data: Any, owners: list[str], devices: set[str]) -> list[Judged]:
    """What the detector makes of the motion of some devices that the dataset held back; `owners` by recording."""
    from gyrovae_tf.learn.motion import held_back
    from gyrovae_tf.ranking import Tally
    from gyrovae_tf.runtime import Detector
    from gyrovae_tf.scoring import top_reasons_of
    from gyrovae_tf.shards import judged, top_reasons
    from gyrovae_tf.signal.score import stride_of

    motion = held_back(data, Detector(bundle), {}, (None, ""))
    top = top_reasons(motion.deviation, bundle.spec)
    stride = stride_of(bundle.spec.window, motion.hop)
    part = judged(motion.score, motion.segments, top, bundle.calibration, stride)
    mine = np.array(owners)[motion.origins[:, 0]]
    step_s = motion.hop / bundle.spec.rate_hz
    found = []
    for device in dict.fromkeys(owners):
        places = np.flatnonzero(mine == device)
        if device not in devices or not len(places):
            continue
        tally = Tally(device, len(places))
        for recording in np.unique(motion.origins[places, 0]):
            own = places[motion.origins[places, 0] == recording]
            why = top_reasons_of({name: values[own] for name, values in part.items()})
            tally.add(int(recording), motion.segments[own], motion.score[own], part["event"][own], step_s, why)
        found.append(Judged(tally.device(bundle.calibration.false_alarm_rate), held_back=True))
    return found
