"""The folder of a dataset: a record that names its files with their hashes, and arrays in .npy files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import path_of
from gyrovae_tf.bundle import read_json, replacing_folder, write_json
from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.learn.rows import in_blocks
from gyrovae_tf.npy import read_npy

MARKER = "dataset.json"
_LARGEST = 64 << 30  # bytes of one array
_LARGEST_RECORD = 256 << 20


def read_record(path: str | PathLike[str]) -> dict[str, Any]:
    """A dataset's folder in, what its marker says out; `GyrovaeError` when it is none."""
    folder = path_of(path, "this is no dataset", "a gyrovae_tf.Dataset, or the path of its folder")
    if not (folder / MARKER).is_file():
        raise GyrovaeError(
            f"{folder} is not a dataset" if folder.exists() else f"there is no {folder}",
            expected=f"a folder with {MARKER}",
            remedy="Make one: gyrovae-tf preprocess RECORDING.csv -o DATASET/",
        )
    return read_json(folder / MARKER, largest=_LARGEST_RECORD, remedy="It is damaged: preprocess again.")


def hashes_of(path: str | PathLike[str]) -> dict[str, Any] | None:
    """A folder in, the hashes of the files of the dataset that is there out; None where none is that can be read."""
    try:
        hashes = read_record(path)["files"]
    except (GyrovaeError, KeyError):
        return None
    return hashes if isinstance(hashes, dict) else None


def write_dataset(
    path: str | PathLike[str], arrays: Mapping[str, NDArray[Any] | None], record: Mapping[str, Any]
) -> None:
    """A folder, arrays (None: left out) by the names of their files and the marker's record in; written, with hashes.

    Wholly or not at all, in place of a dataset that may be there.
    """
    with replacing_folder(path, marker=MARKER) as folder:
        hashes = {
            f"{name}.npy": write_npy(folder / f"{name}.npy", array)
            for name, array in arrays.items()
            if array is not None
        }
        write_json(folder / MARKER, {**record, "files": hashes})


def write_npy(path: Path, array: NDArray[Any]) -> str:
    """An .npy file, written wholly or not at all; its SHA-256 out."""
    content = to_npy(np.ascontiguousarray(array))
    atomic_write(path, content)
    return hashlib.sha256(content).hexdigest()


def shard_name(name: str, number: int) -> str:
    """An array's name and a shard's number in, the name of its file out."""
    return f"{name}-{number:05}.npy"


def write_shards(folder: Path, name: str, array: NDArray[Any], size: int) -> Iterator[tuple[str, str]]:
    """An array (or `Rows`) in, written `size` rows a file; the names of these with their SHA-256 out."""
    for number, part in enumerate(in_blocks(array, size)):
        yield shard_name(name, number), write_npy(folder / shard_name(name, number), part)


def to_npy(array: NDArray[Any]) -> bytes:
    """An array in, the bytes of its .npy file out."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_npy(path: Path, expected: str) -> NDArray[Any]:
    """An array whose file has the expected SHA-256."""
    content = read_file(path, largest=_LARGEST)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise GyrovaeError(
            f"{path} is damaged",
            expected=f"sha256 {expected}",
            received=found,
            remedy="Preprocess the recordings again.",
        )
    return read_npy(content)
