"""Folders of real recordings in, a table of how well the detector and simple baselines do on them out.

For each folder and seed the whole way is gone with the defaults: preprocess, train, quantize. The int8 model, the
Keras model it was made from and seven baselines then score the same windows of recordings that none of them has seen.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import runtime
from gyrovae_tf.arguments import instance, number, told, whole
from gyrovae_tf.bundle import POWER, STOCK, Bundle, check_replaceable, write_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baselines
from gyrovae_tf.learn.asked import MODES
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.dataset import Dataset, Progress, in_parts, preprocess
from gyrovae_tf.learn.engine import versions
from gyrovae_tf.learn.floating import float_scores
from gyrovae_tf.learn.layout import division, training_part
from gyrovae_tf.learn.measure import averaged
from gyrovae_tf.learn.modes import candidates, choose
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.portion import length_s, portion
from gyrovae_tf.learn.quantize import BUNDLE, detector, quantize
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.stock_benchmark import measure_stock
from gyrovae_tf.learn.threshold import check_rate
from gyrovae_tf.learn.train import train
from gyrovae_tf.learn.trial import Trial, baseline_trials, figured, learnt_notes, record_of, windows_of
from gyrovae_tf.learn.trust import foreseen
from gyrovae_tf.learn.windows import Unseen, shorter_window, unseen
from gyrovae_tf.signal.cost import frontend_cost
from gyrovae_tf.signal.frontend import images as images_of
from gyrovae_tf.signal.profile import means
from gyrovae_tf.streaming import read_all

SCHEMA_VERSION = 1
RESULT = "benchmark.json"
FRONTENDS = (POWER, STOCK)
_PART = 256  # windows
_PACKAGES = ("ai-edge-litert", "scikit-learn", "tflite-micro")

Scores = NDArray[np.float64]


def benchmark(
    folders: Sequence[str | PathLike[str]],
    output: str | PathLike[str] = "benchmark",
    *,
    seeds: int = 3,
    frontend: str = "power",
    minutes: Sequence[float] = (),
    false_alarm_rate: float = 0.01,
    options: Options | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Folders in the shared layout (see `layout`) in; what `benchmark.json` holds, JSON-ready, out.

    `output` is the folder to make: `benchmark.json`, written after each dataset, and for each a folder with the
    dataset and run of the last seed. `seeds` is how often everything random is repeated; `minutes` are lengths of
    normal motion on which the detector is trained once more to see how much it needs (see `portion`); `options` are
    those of the training but for the seed. `frontend` "stock" measures a model in Seeed's stock firmware instead, which
    needs recordings at 200 Hz in m/s^2 (see `stock_benchmark`). The result:

    - `datasets`: a list of objects, each with `name`, `folder`, and either `error` or
        - `methods`: name (`int8`, `float` and the baselines of `baselines.FITS`) -> `kinds` (kind of anomaly ->
          AUROC, the mean over seeds), their `mean` and `min`, `partial` (the same three of the partial AUROC up to
          5 % false alarms), `recall` and `false_alarm_rate` at the method's own threshold, `seconds` (`fit_seconds` +
          `score_seconds`), `seeds` (the figures of each), and, where the recordings hold normal motion of the faults'
          own sessions, `in_fault_sessions`: the figures against that; `int8` also tells `bytes`, `macs`,
          `frontend_macs`, `frontend_table_bytes` and `score_table_bytes`.
        - `modes`: the ways to quantise (`modes.MODES`) -> the same figures of each; `int8` is the one that `quantize`
          would keep, whose names `kept` lists by seed.
        - `window`, `hop`, `rate_hz`, `windows` (how many of what), `runtime`, `frontend`, `seeds`, `skipped` (kind ->
          why it was not scored; one of several files of a kind, or of the normal ones, by its path in the folder),
          `failed_seeds` (seed -> why), `minutes` (see `benchmark`'s argument), `notes` (what was settled here, as
          meta.json does not say it: which files are tested on, the window's length; figures depend on it; and what is
          odd about the recordings to learn from; what was learnt of those to test on; and why the last seed's false
          alarms cannot be promised).
    - `seeds`, `frontend`, `runtime`, `false_alarm_rate` (asked for), `versions`, `schema_version`.

    A dataset that fails is told under its `error`; the others go on. `GyrovaeError` when arguments are not usable,
    scikit-learn is missing, or every dataset failed.
    """
    minutes = _checked(folders, frontend, minutes)
    seeds = whole(seeds, "the number of seeds is not usable", 1)
    false_alarm_rate = check_rate(false_alarm_rate)
    baselines.check_installed()
    base = Options() if options is None else instance(options, "the options are not usable", Options)
    root, named = Path(output), _names(folders)
    check_replaceable(root, marker=RESULT)
    unlike = _not_in_the_layout(named)
    if len(unlike) == len(named):  # before anything is written
        raise _none_usable(unlike[0])
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "datasets": [],
        "seeds": [base.seed + number for number in range(seeds)],
        "frontend": frontend,
        "runtime": runtime.best(),
        "false_alarm_rate": false_alarm_rate,
        "versions": {**versions(), **_package_versions()},
    }
    if not (root / RESULT).exists():  # it makes the folder ours; an older result stays until there is a newer one
        write_json(root / RESULT, result)
    refused: list[tuple[str, GyrovaeError]] = []
    for name, folder in named.items():
        every = [dataclasses.replace(base, seed=seed) for seed in result["seeds"]]
        record: dict[str, Any] = {"name": name, "folder": str(folder)}
        try:
            told = _named(progress, name)
            if frontend == STOCK:
                record |= measure_stock(folder, root / name, every, false_alarm_rate, told)
            else:
                record |= _one(folder, root / name, every, minutes, false_alarm_rate, told)
            notes = list(dict.fromkeys((*division(folder), *record.get("notes", ()))))  # the dataset has some, too
            record |= {"runtime": result["runtime"], "frontend": frontend, "notes": notes}
        except (GyrovaeError, OSError) as error:
            why = _refusal(error)
            record["error"] = str(why)
            refused.append((name, why))
        result["datasets"].append(record)
        write_json(root / RESULT, result)
    if len(refused) == len(result["datasets"]):
        raise _none_usable(refused[0])
    return result


def _not_in_the_layout(named: dict[str, Path]) -> list[tuple[str, GyrovaeError]]:
    """Names and folders in; which of them cannot be datasets, and why, out."""
    found = []
    for name, folder in named.items():
        try:
            training_part(folder)
        except (GyrovaeError, OSError) as error:
            found.append((name, _refusal(error)))
    return found


def _refusal(error: GyrovaeError | OSError) -> GyrovaeError:
    """Why a dataset failed in, the same as it is told out: a folder that may not be read costs only itself, too."""
    if isinstance(error, GyrovaeError):
        return error
    return GyrovaeError(f"the file system refused {error.filename or 'it'}: {error.strerror or error}")


def _none_usable(refused: tuple[str, GyrovaeError]) -> GyrovaeError:
    """The first of all datasets, and why it was refused, in; the refusal of all out."""
    name, why = refused
    return GyrovaeError(
        f"no dataset could be used: {name}: {why.problem}",
        expected=why.expected,
        received=why.received,
        remedy=why.remedy,
    )


def _one(
    folder: Path,
    work: Path,
    options: Sequence[Options],
    minutes: Sequence[float],
    rate: float,
    progress: Progress | None,
) -> dict[str, Any]:
    """One dataset: all methods and seeds, and the detector on less to learn from."""
    data, notes = _preprocessed(folder, work / "dataset", progress)
    some, hop = data.excerpt(), data.spec.window // 2
    tests = unseen(folder, data.spec, hop=hop)
    trials: dict[str, list[Trial]] = {}
    ways: dict[str, list[Trial]] = {mode: [] for mode in MODES}
    kept = []
    used, failed, bundle = [], {}, None
    for choice in options:
        told = _named(progress, f"seed {choice.seed}")
        try:
            started = time.perf_counter()
            run = train(data, work / "run", options=choice, overwrite=True, progress=told)
            trained = time.perf_counter()
            found = candidates(run, some, MODES, runtime.best(), told)
            chosen = choose(found)
            bundles = {
                c.mode: detector(run, some, c, found, false_alarm_rate=rate, progress=told) for c in found if c.content
            }
            bundle = bundles[chosen.mode]
            bundle.save(run.path / BUNDLE)
            fitted = time.perf_counter()
        except GyrovaeError as error:
            failed[str(choice.seed)] = str(error)
            continue
        used.append(choice.seed)
        kept.append(chosen.mode)
        for mode, made in bundles.items():
            ways[mode].append(_int8(made, tests, fitted - started, told))
        trials.setdefault("int8", []).append(ways[chosen.mode][-1])
        trials.setdefault("float", []).append(_float(run, bundle, tests, trained - started, told))
        for name, trial in baseline_trials(
            (some.train_features, some.validation_features),
            {group: log_band_energies(windows) for group, windows in tests.groups().items()},
            seed=choice.seed,
            rate=rate,
        ).items():
            trials.setdefault(name, []).append(trial)
    if bundle is None:
        raise GyrovaeError("no seed led to a detector: " + next(iter(failed.values())))
    cost = frontend_cost(data.spec)
    of_amount = foreseen(data)
    methods = {name: record_of(found, used) for name, found in trials.items()}
    methods["int8"] |= {
        "bytes": len(bundle.model),
        "macs": bundle.metrics["macs"],
        "frontend_macs": cost.total_macs,
        "frontend_table_bytes": cost.total_table_bytes,
        "score_table_bytes": bundle.calibration.table_bytes,
    }
    return {
        "window": data.spec.window,
        "hop": hop,
        "rate_hz": data.spec.rate_hz,
        "windows": windows_of(len(data.train_images), len(data.validation_images), tests),
        "seeds": used,
        "methods": methods,
        "modes": {mode: record_of(found, used) for mode, found in ways.items()},
        "kept": kept,
        "skipped": tests.skipped,
        "failed_seeds": failed,
        "minutes": [_shorter(folder, data.spec.window, length, options, rate, progress) for length in minutes],
        "notes": [
            *notes,
            *(text for text in data.notes if text not in of_amount),  # the trust below says it of this rate
            *learnt_notes(work / "run", tests),
            *(f"false alarms cannot be promised: {text}" for text in bundle.metrics["trust"]["warnings"]),
        ],
    }


def _preprocessed(folder: Path, output: Path, progress: Progress | None) -> tuple[Dataset, list[str]]:
    """A folder in the shared layout in, its dataset out, and what was settled here about its window.

    Only recordings that are too short for the usual window, of which meta.json recommends none, get a shorter one.
    """
    try:
        return preprocess(output=output, dataset=folder, progress=progress), []
    except GyrovaeError:
        window = shorter_window(folder)
        if window is None:
            raise
    data = preprocess(output=output, dataset=folder, window=window, progress=progress)
    note = "meta.json has no recommended_window, and the recordings to learn from are too short for 256 samples"
    return data, [f"{note}: windows are of {window}."]


def _int8(bundle: Bundle, tests: Unseen, fit_s: float, progress: Progress | None) -> Trial:
    """The quantised model with the device's kernels where they are installed."""
    detector = runtime.Detector(bundle, runtime.best())
    return _trial(lambda windows: detector.score_windows(windows).score, tests, 1.0, fit_s, progress)


def _float(run: Run, bundle: Bundle, tests: Unseen, fit_s: float, progress: Progress | None) -> Trial:
    """The Keras model that was quantised, under the int8 model's calibration: what quantising costs."""
    model = run.keras_model()

    def scores(windows: NDArray[np.int16]) -> Scores:
        return float_scores(model, images_of(windows, bundle.spec), bundle.spec, bundle.calibration, means(windows))

    return _trial(scores, tests, 1.0, fit_s, progress)


def _trial(
    score: Callable[[NDArray[np.int16]], Scores],
    tests: Unseen,
    threshold: float,
    fit_s: float,
    progress: Progress | None,
) -> Trial:
    """Score all windows, so many at a time, and time it."""
    started = time.perf_counter()
    scores = {
        group: in_parts(score, windows, _PART, progress, group[1] or group[0])
        for group, windows in tests.groups().items()
    }
    return figured(scores, threshold, fit_s, time.perf_counter() - started)


def _shorter(
    folder: Path, window: int, length: float, options: Sequence[Options], rate: float, progress: Progress | None
) -> dict[str, Any]:
    """The int8 detector from so many minutes of normal motion alone (a quarter of them held back, as ever)."""
    record: dict[str, Any] = {"minutes": length}
    try:
        known = read_all(training_part(folder)[0])
        whole = length_s(known, window) / 60
        if length > whole:
            return {**record, "skipped": f"there are only {whole:.1f} minutes of normal motion to learn from"}
        part, told = portion(known, 60 * length, window), _named(progress, f"{length:g} min")
        found = []
        with tempfile.TemporaryDirectory() as work:
            data = preprocess(part, Path(work) / "dataset", window=window, progress=told)
            tests = unseen(folder, data.spec, hop=window // 2)
            for choice in options:
                run = train(data, Path(work) / "run", options=choice, overwrite=True, progress=told)
                bundle = quantize(run, false_alarm_rate=rate, progress=told)
                found.append(_int8(bundle, tests, 0.0, told).figures)
    except GyrovaeError as error:
        return {**record, "error": str(error)}
    used = sum(map(len, part)) / (60 * data.spec.rate_hz)
    return {**record, "minutes_used": used, "train_windows": len(data.train_images), **averaged(found).to_dict()}


def _checked(folders: Sequence[str | PathLike[str]], frontend: str, minutes: Sequence[float]) -> list[float]:
    """Refuse what would fail, or mean nothing, after a long training; the minutes in Python's numbers out."""
    named = isinstance(folders, Sequence) and all(isinstance(folder, str | PathLike) for folder in folders)
    if isinstance(folders, str | PathLike) or not named or not folders:
        expected = "a list of folders with meta.json, normal/ and anomaly/<kind>/"
        raise GyrovaeError("no datasets", expected=expected, received=told(folders))
    if frontend not in FRONTENDS:
        raise GyrovaeError("unknown front end", expected=" or ".join(FRONTENDS), received=frontend)
    problem, expected = "a length of motion to learn from is not usable", "minutes above 0"
    if not isinstance(minutes, Iterable):
        raise GyrovaeError(problem, expected=f"a list of {expected}", received=told(minutes))
    lengths = [number(length, problem, expected, lambda found: found > 0) for length in minutes]
    if frontend == STOCK and lengths:
        raise GyrovaeError("how much there is to learn from is measured on the power front end alone")
    return lengths


def _names(folders: Sequence[str | PathLike[str]]) -> dict[str, Path]:
    """Folders in; a name for each, that of its folder, numbered where two have the same, out."""
    named: dict[str, Path] = {}
    for folder in map(Path, folders):
        name = folder.resolve().name or "dataset"
        number = 1
        while (name if number == 1 else f"{name}-{number}") in named:
            number += 1
        named[name if number == 1 else f"{name}-{number}"] = folder
    return named


def _named(progress: Progress | None, name: str) -> Progress | None:
    """The same progress, each stage preceded by the name of what it belongs to."""
    if progress is None:
        return None
    return lambda done, total, what: progress(done, total, f"{name} {what}")


def _package_versions() -> dict[str, str]:
    """Versions of the packages that only some of this needs, where they are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
