"""Named arrays in, one .npz file out, and back again: written whole or not at all, and refused when damaged."""

from __future__ import annotations

import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.npy import read_npz

LARGEST = 4 << 30
"""Bytes: weights of the largest network three times over, and more."""


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the arrays to `path`."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(path, buffer.getvalue())


def load(path: Path, *, remedy: str) -> dict[str, NDArray[Any]]:
    """The inverse of `save`; `GyrovaeError` with this remedy when the file cannot be read or is damaged."""
    return loads(read_file(path, largest=LARGEST, remedy=remedy), path, remedy=remedy)


def loads(content: bytes, path: Path, *, remedy: str) -> dict[str, NDArray[Any]]:
    """The content of such a file, and its path for messages, in; the arrays out. The rest as for `load`."""
    try:
        return read_npz(content)
    except ValueError as error:
        raise GyrovaeError(f"{path} is damaged: {error}", remedy=remedy) from None


def of_run(run: str | PathLike[str], name: str) -> Path | None:
    """A run's folder, or the bundle inside it, in; its file of that name out, None where it has none."""
    folders = (Path(run), Path(run).absolute().parent)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
