"""Windows in; which of them lie in motion that was learnt, out: figures on such motion flatter a detector.

Winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003): a window is known by the least of the hashes of all stretches
of 32 samples in it. Windows that share most of their samples, whatever they are cut at, share most of their marks, and
others share none: a sensor's noise alone does not repeat itself for 32 samples on three axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import npz

FILE = "learnt.npz"
_WORTH = 0.01  # share of a motion's windows that is worth a word
_SAMPLES = 32  # a power of two, and the shortest window's length at the most
_CHANGES = 16  # of one sample to the next: a stretch in which hardly anything moves may well come again
_MOST = 1 << 16  # marks kept
_LEAST = 5  # windows
_CHUNK = 1024  # windows hashed at once
_NONE = np.iinfo(np.int64).max
_AXES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_STEPS = np.array(
    [0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3], np.uint64
)
_REMEDY = "Train the run again."


def marks(windows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """int16 windows [k, N, 3] of counts in, N at least 32; a mark of each, [k], out: 2^63 - 1 where little moves."""
    parts = [_marks(windows[row : row + _CHUNK]) for row in range(0, len(windows), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _marks(windows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    samples = windows.astype(np.int64)
    moved = np.pad((np.diff(samples, axis=1) != 0).any(axis=2).cumsum(axis=1), ((0, 0), (1, 0)))
    stretch = _mixed((samples.view(np.uint64) * _AXES).sum(axis=2, dtype=np.uint64))
    for power, factor in enumerate(_STEPS):
        stretch = stretch[:, : -(1 << power)] * factor + stretch[:, 1 << power :]
    found = (_mixed(stretch) >> np.uint64(1)).view(np.int64)
    last = _SAMPLES - 1
    found[moved[:, last:] - moved[:, : moved.shape[1] - last] < _CHANGES] = _NONE
    least: NDArray[np.int64] = found.min(axis=1)
    return least


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread what tells values apart over all bits (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True, eq=False)
class Learnt:
    """What is known of the windows that a run was trained and calibrated on: half a megabyte at the most."""

    marks: NDArray[np.int64]
    """In order, each once."""
    whole: bool
    """Whether these are all; else they are the least ones."""

    @classmethod
    def of(cls, blocks: Iterable[NDArray[np.integer[Any]]]) -> Learnt:
        """Blocks of int16 windows [k, N, 3] in, what is known of all of them out."""
        known, whole = np.zeros(0, np.int64), True
        for block in blocks:
            known = np.union1d(known, marks(block))
            known = known[known < _NONE]
            whole &= len(known) <= _MOST
            known = known[:_MOST]
        return cls(known, whole)

    def count(self, windows: NDArray[np.integer[Any]]) -> tuple[int, int]:
        """int16 windows [k, N, 3] in; how many of them were learnt, and of how many that can be told, out."""
        found = marks(windows)
        telling = found[found < (_NONE if self.whole else self.marks[-1] + 1)]
        return int(np.isin(telling, self.marks).sum()), len(telling)

    def share(self, windows: NDArray[np.integer[Any]]) -> float:
        """int16 windows [k, N, 3] in, `share_of` them out."""
        return share_of(*self.count(windows))

    def save(self, path: Path) -> None:
        """Write it to a file."""
        npz.save(path, {"marks": self.marks, "whole": np.array(int(self.whole))})

    @classmethod
    def load(cls, path: Path) -> Learnt:
        """The inverse of `save`; `GyrovaeError` when the file is damaged."""
        stored = npz.load(path, remedy=_REMEDY)
        try:
            known, whole = stored["marks"], bool(stored["whole"])
        except (KeyError, ValueError) as error:
            raise GyrovaeError(f"{path} does not tell what was learnt: {error}", remedy=_REMEDY) from None
        if known.dtype != np.int64 or known.ndim != 1 or not (whole or len(known)):
            raise GyrovaeError(f"{path} does not tell what was learnt", remedy=_REMEDY)
        return cls(known, whole)


def share_of(known: int, telling: int) -> float:
    """How many windows were learnt, of how many that can be told, in; their share out, 0 for a few: that is chance."""
    return known / telling if known >= _LEAST else 0.0


def learnt_by(run: Path) -> Learnt | None:
    """A run's folder, or the bundle inside it, in; what is known of what it learnt, out.

    None where nothing is: a bundle that was copied out of its run, and runs of datasets that kept no windows.
    """
    file = npz.of_run(run, FILE)
    return None if file is None else Learnt.load(file)


def overlaps(shares: Mapping[str, float] | None) -> tuple[str, ...]:
    """ "normal" and kinds of anomaly, each with the share of its windows that were learnt, in; what is wrong out."""
    said = []
    for kind, share in (shares or {}).items():
        if share >= _WORTH:
            why = (
                "so its figures flatter; test on recordings that were not"
                if kind == "normal"
                else "as normal motion; a detector must learn from normal motion alone"
            )
            said.append(f"{kind}: {100 * share:.0f} % of its windows lie in motion that was trained on, {why}.")
    return tuple(said)
