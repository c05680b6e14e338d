"""Test recordings in, windows as a detector's front end takes them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import cut, cut_samples, segments_of
from gyrovae_tf.learn.layout import anomaly_part, fault_session_part, normal_test_part
from gyrovae_tf.recording import Recording, check_fits
from gyrovae_tf.spec import Spec
from gyrovae_tf.stockspec import StockSpec
from gyrovae_tf.streaming import read_all


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
    """Kind that cannot be scored (or normal_test_in_fault_sessions) -> why."""

    def groups(self) -> dict[tuple[str, str], NDArray[Any]]:
        """All of them by part and kind: ("normal", ""), ("fault_sessions", ""), ("anomaly", kind)."""
        found = {("normal", ""): self.normal, **{("anomaly", kind): part for kind, part in self.anomalies.items()}}
        if self.fault_sessions is not None:
            found["fault_sessions", ""] = self.fault_sessions
        return found


def unseen(folder: str | PathLike[str], spec: Spec | StockSpec, *, hop: int) -> Unseen:
    """A dataset in the shared layout and a spec in, its test windows, `hop` apart, out.

    A kind without a usable recording is skipped, and so is normal motion of the faults' sessions; `GyrovaeError` when
    no kind is left, and when the other normal recordings cannot be used.
    """
    anomalies, skipped = {}, {}
    for kind, files in anomaly_part(folder).items():
        try:
            if not files:
                raise GyrovaeError(f"{Path(folder) / 'anomaly' / kind} holds no .csv files")
            anomalies[kind], _ = windows_like(files, spec, hop=hop)
        except GyrovaeError as error:
            skipped[kind] = str(error)
    if not anomalies:
        raise GyrovaeError(f"no kind of anomaly can be scored: {next(iter(skipped.values()))}")
    normal, _ = windows_like(normal_test_part(folder), spec, hop=hop)
    stricter = None
    try:
        if files := fault_session_part(folder):
            stricter, _ = windows_like(files, spec, hop=hop)
    except GyrovaeError as error:
        skipped["normal_test_in_fault_sessions"] = str(error)
    return Unseen(normal, stricter, anomalies, skipped)
