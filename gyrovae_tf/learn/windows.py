"""Test recordings in, windows as a detector's front end takes them out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import cut, cut_samples, segments_of
from gyrovae_tf.learn.layout import anomaly_part, fault_session_part, normal_test_part, stray_part, training_part
from gyrovae_tf.recording import Recording, check_fits, too_short
from gyrovae_tf.spec import Spec
from gyrovae_tf.stockspec import StockSpec
from gyrovae_tf.streaming import find_recordings, read, read_all

_USUAL = (256, 128, 64)  # samples


def windows_like(
    recordings: Sequence[Recording | str | PathLike[str]],
    spec: Spec | StockSpec,
    *,
    hop: int,
    rate_hz: float | None = None,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Recordings (or paths) and a spec in; windows [k, N, 3], `hop` apart, and the segment [k] of each out.

    Windows are int16 counts of the spec's `lsb`; for the stock front end float32 m/s^2.
    `GyrovaeError` when a recording has another rate (by more than 2 %) or other units than the spec, and when all are
    too short for a window.
    """
    known = read_all(recordings, rate_hz=rate_hz)
    for recording in known:
        check_fits(recording, spec.rate_hz, spec.units)
    return _cut(known, spec, hop)


def _cut(known: Sequence[Recording], spec: Spec | StockSpec, hop: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Recordings that fit a spec in, their windows and segments as above out."""
    windows: NDArray[Any]
    if isinstance(spec, StockSpec):
        windows, origins = cut_samples(known, window=spec.window, hop=hop)
    else:
        windows, origins = cut(known, window=spec.window, hop=hop, lsb=spec.lsb)
    return windows, segments_of(origins, known)


@dataclass(frozen=True)
class Unseen:
    """The windows of a dataset in the shared layout that nothing may be trained on, [k, N, 3] each."""

    normal: NDArray[Any]
    """Normal motion."""
    fault_sessions: NDArray[Any] | None
    """Normal motion of the sessions in which the faults were recorded, where there is any."""
    anomalies: dict[str, NDArray[Any]]
    """Kind of anomaly -> its windows."""
    skipped: dict[str, str]
    """What cannot be scored -> why: a kind (or normal_test_in_fault_sessions), or one of several files, as in
    "anomaly/kind/a.csv"."""

    def groups(self) -> dict[tuple[str, str], NDArray[Any]]:
        """All of them by part and kind: ("normal", ""), ("fault_sessions", ""), ("anomaly", kind)."""
        found = {("normal", ""): self.normal, **{("anomaly", kind): part for kind, part in self.anomalies.items()}}
        if self.fault_sessions is not None:
            found["fault_sessions", ""] = self.fault_sessions
        return found


def unseen(folder: str | PathLike[str], spec: Spec | StockSpec, *, hop: int) -> Unseen:
    """A dataset in the shared layout and a spec in, its test windows, `hop` apart, out.

    Files that cannot be read, do not fit the spec or hold no window are skipped; a kind without a usable recording is,
    too, and so is normal motion of the faults' sessions. `GyrovaeError` when no kind is left, and when none of the
    other normal recordings can be used.
    """
    folder = Path(folder)
    anomalies: dict[str, NDArray[Any]] = {}
    skipped: dict[str, str] = {}
    for kind, files in anomaly_part(folder).items():
        try:
            anomalies[kind] = _scorable(files or [folder / "anomaly" / kind], folder, spec, hop, skipped)
        except GyrovaeError as error:
            skipped[kind] = str(error)
    if not anomalies:
        raise GyrovaeError(f"no kind of anomaly can be scored: {next(iter(skipped.values()))}")
    for stray in stray_part(folder):
        wrong = GyrovaeError("it is in no kind's folder", expected=f"anomaly/<kind>/{stray.name}")
        skipped[f"anomaly/{stray.name}"] = str(wrong)
    normal = _scorable(normal_test_part(folder), folder, spec, hop, skipped)
    stricter = None
    try:
        if files := fault_session_part(folder):
            stricter = _scorable(files, folder, spec, hop, skipped)
    except GyrovaeError as error:
        skipped["normal_test_in_fault_sessions"] = str(error)
    return Unseen(normal, stricter, anomalies, skipped)


def _scorable(
    files: Sequence[Path], folder: Path, spec: Spec | StockSpec, hop: int, skipped: dict[str, str]
) -> NDArray[Any]:
    """Files of a dataset's folder in, the windows of those that can be used out; the others are put into `skipped`.

    `GyrovaeError` when none can be used, with what is wrong with the first; then none is put there.
    """
    known, wrong = [], {}
    for name in find_recordings(files):
        try:
            known.append(_fitting(name, spec))
        except GyrovaeError as error:
            wrong[name] = error
    if not known:
        first = next(iter(wrong.values()))
        if len(wrong) == 1:
            raise first
        raise GyrovaeError(f"none of {len(wrong)} recordings can be used; the first: {first}")
    skipped |= {Path(os.path.relpath(name, folder)).as_posix(): str(why) for name, why in wrong.items()}
    return _cut(known, spec, hop)[0]


def _fitting(name: str, spec: Spec | StockSpec) -> Recording:
    """A test file in, its recording out; `GyrovaeError` unless it fits the spec and holds a window."""
    recording = read(name)
    check_fits(recording, spec.rate_hz, spec.units)
    longest = max(stop - start for start, stop in recording.segments)
    if longest < spec.window:
        error = too_short(spec.window, longest, len(recording), source=recording.source)
        shorter = "" if isinstance(spec, StockSpec) else ", or let meta.json say a shorter recommended_window"
        raise GyrovaeError(
            error.problem,
            expected=error.expected,
            received=error.received,
            remedy=f"Record longer, without gaps{shorter}.",
        )
    return recording


def shorter_window(dataset: str | PathLike[str]) -> int | None:
    """A dataset in the shared layout in whose training recordings give too few windows of 256; a shorter length out.

    It is the longest of 128 and 64 such that half of all samples lie in segments at least that long. None where they
    do in ones of 256, or not in ones of 64, and where meta.json recommends a window.
    """
    files, meta = training_part(dataset)
    if meta.get("recommended_window") is not None:
        return None
    lengths = np.array([stop - start for recording in read_all(files) for start, stop in recording.segments])
    fitting = (window for window in _USUAL if 2 * lengths[lengths >= window].sum() >= lengths.sum())
    found = next(fitting, None)
    return None if found == _USUAL[0] else found
