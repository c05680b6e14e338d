"""Folders of recordings in the layout meta.json, normal/*.csv, anomaly/<kind>/*.csv: which file is for what.

meta.json names files of normal/ under split.normal_train and split.normal_test, from normal/ or from the dataset's
folder on. Where it lists one of the two, the other is all else in normal/, but for normal_test_in_fault_sessions; where
it lists neither, the last third of the files, in order of their names, is to be tested on. What is listed may be
folders and patterns, too, as for `streaming.find_recordings`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from gyrovae_tf.arguments import told
from gyrovae_tf.bundle import read_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording, Source, listed
from gyrovae_tf.streaming import ENDINGS, find_recordings
from gyrovae_tf.wording import first_of, many

_TRAIN, _TEST, _FAULT_SESSIONS = "normal_train", "normal_test", "normal_test_in_fault_sessions"


def training_part(dataset: str | PathLike[str]) -> tuple[list[Path], dict[str, Any]]:
    """A folder in the shared layout in; its normal training files and its meta.json out."""
    folder = Path(dataset)
    meta = _meta(folder)
    files = _named(folder, meta, _TRAIN)
    if files is None:
        files = _divided(folder, meta).train
    else:
        for part in (_TEST, _FAULT_SESSIONS):
            _check_apart(folder, files, part, _readable(folder, meta, part))
    if not files:
        raise GyrovaeError(
            f"{folder / 'meta.json'} lists all files of normal/ to be tested on",
            expected="one at least that is left to learn from",
            remedy=f"Take some of them out of split.{_TEST}.",
        )
    return files, meta


class ToTestOn(NamedTuple):
    """What a detector is tested on."""

    normal: Sequence[Source]
    anomalies: dict[str, Sequence[Source]]
    division: tuple[str, ...] = ()
    """What `division` says of the dataset that they are of, and what of its anomalies counts nowhere."""


def to_test_on(
    normal: Sequence[Source], anomalies: Mapping[str, Sequence[Source]] | None, dataset: str | PathLike[str] | None
) -> ToTestOn:
    """Recordings (or paths) of normal motion and by kind of anomaly, or a dataset instead, in; what to test on out."""
    anomalies = {} if anomalies is None else anomalies
    if not (isinstance(anomalies, Mapping) and all(isinstance(kind, str) for kind in anomalies)):
        raise GyrovaeError(
            "the anomalies are not usable",
            expected='the recordings of each kind, as in {"imbalance": ["a.csv"]}',
            received=told(anomalies),
        )
    normal, anomalies = listed(normal), {kind: listed(recordings) for kind, recordings in anomalies.items()}
    if dataset is None:
        check_normal(normal)
        return ToTestOn(normal, anomalies)
    if normal or anomalies:
        raise GyrovaeError("give either a dataset or recordings, not both")
    files, kinds = normal_test_part(dataset), anomaly_part(dataset)
    empty = [kind for kind, found in kinds.items() if not found]
    if len(empty) == len(kinds):
        raise GyrovaeError(
            f"{Path(dataset) / 'anomaly'} holds no recordings of {first_of(empty)}", expected="anomaly/<kind>/*.csv"
        )
    stray = stray_part(dataset)
    left = [f"{_shown(Path(dataset), stray)}: left out, as no kind's folder in anomaly/ holds it."] if stray else []
    left += [f"anomaly/{kind}: left out, as it holds no recordings." for kind in empty]
    return ToTestOn(files, {kind: found for kind, found in kinds.items() if found}, (*division(dataset), *left))


def check_normal(recordings: Iterable[Source] | Source) -> None:
    """Refuse folders that hold recordings of anomalies, too: they would be taken for normal."""
    for given in listed(recordings):
        if not isinstance(given, Recording) and (Path(given) / "anomaly").is_dir():
            raise GyrovaeError(
                f"{given} holds recordings of anomalies (the folder anomaly), too",
                expected="normal motion alone",
                remedy=f"Give {Path(given) / 'normal'}, or, where {given} has a meta.json, --dataset {given}.",
            )


def normal_test_part(dataset: str | PathLike[str]) -> list[Path]:
    """A folder in the shared layout in, its normal test files out."""
    folder = Path(dataset)
    files = _divided(folder, _meta(folder)).test
    if not files:
        raise GyrovaeError(
            f"{folder / 'meta.json'} lists all files of normal/ to be learnt from",
            expected="one at least that is left to test on",
            remedy=f"Take some of them out of split.{_TRAIN}.",
        )
    return files


def fault_session_part(dataset: str | PathLike[str]) -> list[Path]:
    """A folder in the shared layout in; normal test files that were recorded in the sessions of the faults out.

    They are the stricter comparison: what differs between sessions (mounting, temperature) cannot give a fault away.
    Empty where meta.json lists none.
    """
    folder = Path(dataset)
    return _fault_sessions(folder, _meta(folder))


def anomaly_part(dataset: str | PathLike[str]) -> dict[str, list[Path]]:
    """A folder in the shared layout in; its anomalies' files by kind out, an empty list where a kind has none.

    A kind's files are those that `streaming.find_recordings` finds in its folder.
    """
    folder = Path(dataset)
    kinds = sorted(path for path in (folder / "anomaly").glob("*") if path.is_dir() and not path.name.startswith("."))
    if not kinds:
        raise GyrovaeError(f"{folder / 'anomaly'} holds no recordings", expected="anomaly/<kind>/*.csv")
    return {path.name: _inside(path) for path in kinds}


def stray_part(dataset: str | PathLike[str]) -> list[Path]:
    """A folder in the shared layout in; recordings in anomaly/ that no kind's folder holds, out: they count nowhere."""
    inside = sorted((Path(dataset) / "anomaly").glob("*"))
    return [path for path in inside if path.name.lower().endswith(ENDINGS) and path.name[0] != "." and path.is_file()]


def division(dataset: str | PathLike[str]) -> list[str]:
    """A folder in the shared layout in; what was divided here, as its meta.json does not list it, told in words, out.

    Figures depend on it, so whoever shows them has to tell. Empty where meta.json lists both parts.
    """
    folder = Path(dataset)
    return [note] if (note := _divided(folder, _meta(folder)).note) else []


class _Divided(NamedTuple):
    """Which normal files are for what."""

    train: list[Path]
    test: list[Path]
    note: str = ""
    """What meta.json does not say of that."""


def _divided(folder: Path, meta: dict[str, Any]) -> _Divided:
    """A dataset's folder and its meta.json in; its normal files, divided, out: either part may be empty.

    Refuses one file that is both learnt from and tested on, and fewer than two where nothing is listed.
    """
    train, test = (_named(folder, meta, part) for part in (_TRAIN, _TEST))
    sessions = _readable(folder, meta, _FAULT_SESSIONS)
    if train is not None:
        _check_apart(folder, train, _FAULT_SESSIONS, sessions)
        if test is not None:
            _check_apart(folder, train, _TEST, test)
            return _Divided(train, test)
        test = _without(_inside(folder / "normal"), [*train, *sessions])
        return _Divided(train, test, _rest(_TEST, test, "tested on"))
    if test is not None:
        train = _without(_inside(folder / "normal"), [*test, *sessions])
        return _Divided(train, test, _rest(_TRAIN, train, "learnt from"))
    files = _without(_inside(folder / "normal"), sessions)
    if len(files) < 2:
        raise GyrovaeError(
            f"{folder / 'meta.json'} does not list its split.{_TRAIN}, and normal/ cannot be divided",
            expected="two files or more, as what is learnt from must not be tested on",
            received=_shown(folder, files) or "none",
            remedy="Record normal motion once more, or cut the file in two.",
        )
    count = max(len(files) // 3, 1)
    train, test = files[:-count], files[-count:]
    note = (
        f"meta.json lists neither split.{_TRAIN} nor split.{_TEST}: of the {len(files)} files of normal/, in order of "
        f"their names, the last third ({_shown(folder, test)}) is tested on, the rest is learnt from."
    )
    return _Divided(train, test, note)


def _rest(part: str, files: Sequence[Path], use: str) -> str:
    """A part that meta.json does not list, and what was taken for it, in words."""
    return f"meta.json lists no split.{part}: what else there is in normal/ ({many(len(files), 'file')}) is {use}."


def _check_apart(folder: Path, train: Sequence[Path], part: str, test: Sequence[Path]) -> None:
    """Refuse files that are learnt from and tested on, however they are spelt."""
    apart = set(_without(train, test))
    if both := [path for path in train if path not in apart]:
        raise GyrovaeError(
            f"{folder / 'meta.json'} lists the same recordings under split.{_TRAIN} and split.{part}",
            expected="recordings to test on that nothing was learnt from",
            received=_shown(folder, both),
            remedy="Take them out of one of the two.",
        )


def _without(files: Iterable[Path], others: Iterable[Path]) -> list[Path]:
    """Files in, in the same order those that are none of the others out: links and spellings do not count."""
    taken = set(map(os.path.realpath, others))
    return [path for path in files if os.path.realpath(path) not in taken]


def _shown(folder: Path, files: Sequence[Path]) -> str:
    """Some of these files by name."""
    return first_of([os.path.relpath(path, folder) for path in files])


def _inside(folder: Path) -> list[Path]:
    """The recordings in a folder, if there are any."""
    with contextlib.suppress(GyrovaeError):
        return [Path(name) for name in find_recordings(folder)] if folder.is_dir() else []
    return []


def _meta(folder: Path) -> dict[str, Any]:
    if not (folder / "meta.json").is_file():
        raise GyrovaeError(
            f"{folder} is not a dataset of recordings" if folder.exists() else f"there is no {folder}",
            expected="a folder with meta.json, normal/ and anomaly/<kind>/",
        )
    return read_json(folder / "meta.json")


def _fault_sessions(folder: Path, meta: dict[str, Any]) -> list[Path]:
    split = meta.get("split")
    empty = not isinstance(split, dict) or split.get(_FAULT_SESSIONS) == []
    return [] if empty else _named(folder, meta, _FAULT_SESSIONS) or []


def _named(folder: Path, meta: dict[str, Any], part: str) -> list[Path] | None:
    """The files that meta.json lists for a part; None where it does not have it."""
    names = _names(folder, meta, part)
    if names is None:
        return None
    wrong = next((name for name in names if not _possible(folder / "normal" / name)), None)
    if wrong is not None:
        raise GyrovaeError(
            f"{folder / 'meta.json'} lists what no file can be called under split.{part}",
            expected="names of files in normal/",
            received=told(wrong),
        )
    return [Path(name) for name in find_recordings([_spelt(folder, name) for name in names])]


def _possible(path: Path) -> bool:
    """Whether a file may be called so: what JSON can hold, file systems need not."""
    try:
        path.stat()
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:  # a NUL, or half of a pair of surrogates
        return False
    return True


def _readable(folder: Path, meta: dict[str, Any], part: str) -> list[Path]:
    """The same where it can be read: what is wrong with a part is told where it is asked for."""
    with contextlib.suppress(GyrovaeError):
        return _named(folder, meta, part) or []
    return []


def _names(folder: Path, meta: dict[str, Any], part: str) -> list[str] | None:
    """The same as it is written there; refuses what is no list of names."""
    split = {} if meta.get("split") is None else meta["split"]
    names = split.get(part) if isinstance(split, dict) else split
    if names is None:
        return None
    if not (
        isinstance(split, dict)
        and isinstance(names, list)
        and names
        and all(isinstance(name, str) and name for name in names)
    ):
        raise GyrovaeError(
            f"{folder / 'meta.json'} does not list its split.{part}",
            expected=f'{{"split": {{"{part}": ["a.csv", ...]}}}}, names of files in normal/',
        )
    return names


def _spelt(folder: Path, name: str) -> Path:
    """A name as meta.json has it, from normal/ or from the dataset's folder on, in; its path out."""
    path = folder / "normal" / name
    return folder / name if Path(name).parts[:1] == ("normal",) and not path.exists() else path
