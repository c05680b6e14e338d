"""What reading a recording piece by piece shares, whatever its format: rows, marks to begin at, gaps, rates, files.

The rules are those of `recording.Recording.read`, which holds a whole file at once; tests hold the two together.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.clock import Clock, Floats
from gyrovae_tf.errors import GyrovaeError


class Mark(NamedTuple):
    """A place in a file where reading may begin."""

    row: int
    """The first row that is read there, from 0."""
    offset: int
    """Where it is: a byte of a CSV file, a row group of a Parquet file."""
    line: int
    """Line of a CSV file, as a person counts."""
    segment: int
    """The segment of that row, from 0."""
    began: int
    """The first row of that segment."""


class Piece(NamedTuple):
    """Some rows of a recording."""

    row: int
    """The first one's number in the recording."""
    samples: Floats
    """float64 [n, 3] in the recording's units."""
    breaks: NDArray[np.bool_]
    """[n] whether a segment begins at that row."""

    def starts(self) -> list[int]:
        """The rows of the recording where segments begin."""
        return (self.row + np.flatnonzero(self.breaks)).tolist()


class Facts(NamedTuple):
    """What is known of a recording before its samples are read: the fields of `Recording` without them."""

    rows: int
    rate_hz: float | None
    units: str
    lsb: float | None
    metadata: dict[str, Any]


def optional(name: str) -> Any:
    """The name of a package of the extra `scale` in, the package out; `GyrovaeError` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise GyrovaeError(
            f"this needs the package {name.partition('.')[0]}, which cannot be imported: {error}",
            remedy='Install it: pip install "gyrovae-tf[scale]"',
        ) from None


def is_url(path: str) -> bool:
    """Whether a name is for fsspec: scheme://..."""
    scheme, sign, _ = path.partition("://")
    return bool(sign) and scheme.replace("+", "").isalnum()


def name_of(path: str) -> str:
    """A path or URL in, what messages call its file out."""
    return path.rstrip("/").rpartition("/")[2] if is_url(path) else Path(path).name


def open_bytes(path: str) -> IO[bytes]:
    """A path or URL in, its file, open for reading, out; `GyrovaeError` when it cannot be read."""
    try:
        if is_url(path):
            file: IO[bytes] = optional("fsspec").open(path, "rb").open()
            return file
        local = Path(path)
        if local.is_dir():
            raise GyrovaeError(f"{path}: a folder", expected="a recording")
        if local.exists() and not local.is_file():  # a pipe cannot be read twice
            raise GyrovaeError(f"{path}: not an ordinary file", expected="a recording")
        return local.open("rb")
    except (OSError, ValueError, ImportError) as error:  # ImportError: a scheme whose package is not installed
        reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        raise GyrovaeError(f"cannot read {path}: {reason}") from None


class Gaps:
    """Where segments begin, piece by piece."""

    def __init__(self, mark: Mark | None, clock: Clock | None, *, is_dt: bool) -> None:
        """Rows come from `mark` (or the first) on; `is_dt`: the clock's column holds the steps themselves."""
        self._times, self._is_dt = clock, is_dt
        self.row, self._segment, self._began = (0, -1, 0) if mark is None else (mark.row, mark.segment, mark.began)
        self._starts = mark is None or mark.began == mark.row  # whether a segment begins at the first row
        if mark is not None and self._starts:
            self._segment -= 1
        self._clock: float | None = None
        self._label: object = None
        self._any = False

    def of(
        self, count: int, clock: Floats | None, labels: NDArray[np.object_] | None
    ) -> tuple[int, int, int, NDArray[np.bool_]]:
        """The next rows in; the first one's number, its segment, where that began, and where segments begin out."""
        breaks = np.zeros(count, np.bool_)
        if labels is not None and count:
            breaks[1:] |= labels[1:] != labels[:-1]
            breaks[0] = labels[0] != self._label
            self._label = labels[-1]
        if clock is not None and count:
            steps = clock if self._is_dt else np.diff(clock, prepend=clock[0] if self._clock is None else self._clock)
            assert self._times is not None
            breaks |= self._times.gaps(steps)
            self._clock = float(clock[-1])
        if count and not self._any:
            breaks[0], self._any = self._starts, True
        row = self.row
        starts = np.flatnonzero(breaks)
        if count and breaks[0]:
            segment, began = self._segment + 1, row
        else:
            segment, began = self._segment, self._began
        if len(starts):
            self._segment, self._began = self._segment + len(starts), row + int(starts[-1])
        self.row += count
        return row, segment, began, breaks
