"""An array that lies in .npy files, some thousand rows in each: read where rows are asked for, and held nowhere."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError, open_to_read, readable
from gyrovae_tf.npy import Header, read_header

_BLOCK = 4 << 20  # bytes
_HEAD = 1 << 10  # bytes that a header takes at the most
_REMEDY = "Preprocess the recordings again."
_Number = TypeVar("_Number", bound=np.generic)


class Shard(NamedTuple):
    """One file."""

    path: Path
    rows: int
    offset: int
    """The byte where its array begins."""
    state: tuple[int, int, int]
    """What changes when the file is another one (`_state`)."""


class Rows:
    """What stands in for an array [k, ...] that is too large for memory.

    It has `shape`, `dtype` and `len`; a row, a slice and an array of rows' numbers (or of truth values) in brackets
    give NumPy arrays of what is asked for, and further indices apply to these. `np.asarray` reads all of it.
    `GyrovaeError` when a file can no longer be read.
    """

    def __init__(self, shards: Iterable[Shard], dtype: np.dtype[Any], row: tuple[int, ...], sha256: str = "") -> None:
        """Files in order, and type and shape of a row; `sha256` of all rows' bytes, where it is known."""
        self.shards = tuple(shards)
        self.dtype = dtype
        self._firsts = np.cumsum([0, *(shard.rows for shard in self.shards)])
        self.shape = (int(self._firsts[-1]), *row)
        self._row_bytes = dtype.itemsize * int(np.prod(row, dtype=np.int64))
        self._sha256 = sha256

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, on the disk as in memory."""
        return len(self) * self._row_bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes of all rows, in hexadecimal."""
        if not self._sha256:
            self._sha256 = sha256_of(self[start : start + 1024] for start in range(0, len(self), 1024))
        return self._sha256

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows; NumPy's own protocol."""
        if copy is False:
            raise ValueError("what is read from files is always a copy")
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        first, *more = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis or first is None:
            raise IndexError("the first index must be a row, a slice of rows or an array of rows")
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            found = self._slice(start, max(start, stop)) if step == 1 else self._gathered(np.arange(start, stop, step))
            every: tuple[Any, ...] = (slice(None), *more)
            return found[every] if more else found
        rows = np.asarray(first)
        if rows.dtype == np.bool_ and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.dtype.kind not in "iu" and rows.size:
            raise IndexError("rows are counted in whole numbers")
        rows = rows.astype(np.int64)
        if rows.size and not (-len(self) <= int(rows.min()) and int(rows.max()) < len(self)):
            raise IndexError(f"there are {len(self)} rows")
        rows = np.where(rows < 0, rows + len(self), rows)
        found = self._gathered(rows.reshape(-1)).reshape((*rows.shape, *self.shape[1:]))
        every = (*(slice(None),) * rows.ndim, *more)
        return found[every] if more else found

    def _slice(self, start: int, stop: int) -> NDArray[Any]:
        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        for number, shard in enumerate(self.shards):
            first = int(self._firsts[number])
            low, high = max(start, first), min(stop, first + shard.rows)
            if low < high:
                with readable(shard.path), _opened(shard) as file:
                    self._read(shard, file, low - first, found[low - start : high - start])
        return found

    def _gathered(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        of = np.searchsorted(self._firsts, rows[order], side="right") - 1
        for places in np.split(order, np.flatnonzero(np.diff(of)) + 1) if len(rows) else []:
            number = int(np.searchsorted(self._firsts, rows[places[0]], side="right")) - 1
            shard, first = self.shards[number], int(self._firsts[number])
            with readable(shard.path), _opened(shard) as file:
                for place in places.tolist():
                    self._read(shard, file, int(rows[place]) - first, found[place : place + 1])
        return found

    def _read(self, shard: Shard, file: Any, row: int, into: NDArray[Any]) -> None:
        file.seek(shard.offset + row * self._row_bytes)
        view = memoryview(into.reshape(-1).view(np.uint8).data)
        done = 0
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                raise GyrovaeError(f"{shard.path} is damaged: it has become shorter", remedy=_REMEDY)
            done += count


def _opened(shard: Shard) -> Any:
    """A file to read, which must be the one that it was when the rows were told."""
    file = shard.path.open("rb", buffering=0)
    if shard.state != _state(os.fstat(file.fileno())):
        file.close()
        raise GyrovaeError(
            f"{shard.path} is not the file that it was: the dataset was written anew, or is damaged",
            remedy="Load it again (gyrovae_tf.Dataset.load).",
        )
    return file


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def sha256_of(blocks: Iterable[NDArray[Any]]) -> str:
    """An array in parts in, the SHA-256 of its bytes out, in hexadecimal."""
    total = hashlib.sha256()
    for block in blocks:
        total.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def in_blocks(array: NDArray[_Number], size: int) -> Iterator[NDArray[_Number]]:
    """An array (or `Rows`) in, its rows `size` at a time out."""
    return (array[start : start + size] for start in range(0, len(array), size))


def spread(count: int, most: int) -> NDArray[np.int64]:
    """A number of rows in; the numbers of at most `most` of them, evenly spaced from the first to the last, out."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


def some_of(array: NDArray[_Number], most: int) -> NDArray[_Number]:
    """An array (or `Rows`) in, `most` of its rows in memory, evenly spaced, out; all of it where it has not more."""
    return np.asarray(array) if len(array) <= most else array[spread(len(array), most)]


def shard_of(path: Path, sha256: str | None, content: Any = None, largest: int = 1 << 40) -> tuple[Shard, Header]:
    """The path of an .npy file of numbers in, and what is known of it out; the bytes of its array go to `content` too.

    It is read once through, piece by piece, and must have this SHA-256, where one is given. `GyrovaeError` when it has
    another, cannot be read, or its array is larger than `largest` bytes; `ValueError` when it is no such file, or its
    header claims another size than it has.
    """
    with readable(path), os.fdopen(open_to_read(path), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise GyrovaeError(f"cannot read {path}: it is not an ordinary file", remedy=_REMEDY)
        if status.st_size > largest + _HEAD:
            raise GyrovaeError(
                f"{path} is damaged",
                expected=f"at most {largest + _HEAD} bytes",
                received=status.st_size,
                remedy=_REMEDY,
            )
        head = file.read(_HEAD)
        header = read_header(head)
        if sha256 is not None:
            total = hashlib.sha256(head)
            if header is not None and content is not None:
                content.update(head[header.end :])
            while block := file.read(_BLOCK):
                total.update(block)
                if content is not None:
                    content.update(block)
            if total.hexdigest() != sha256:
                raise GyrovaeError(
                    f"{path} is damaged",
                    expected=f"sha256 {sha256}",
                    received=total.hexdigest(),
                    remedy=_REMEDY,
                )
    if header is None or header.order != "C" or not header.shape:
        raise ValueError("not an .npy file, version 1.0, of numbers")
    size = np.dtype(header.kind).itemsize
    for length in header.shape:  # whole numbers of any size: nothing overflows
        size *= length
    if size != status.st_size - header.end:
        raise ValueError(f"{path.name} claims to hold {size} bytes and holds {status.st_size - header.end}")
    return Shard(path, header.shape[0], header.end, _state(status)), header
