"""Named arrays in, one .npz file out, and back again: written whole or not at all, and refused when damaged."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError, atomic_write

# What zipfile and NumPy raise for damaged bytes (RuntimeError: a bit that says "encrypted", or an unknown method).
_DAMAGE = (ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error)


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the arrays to `path`."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(path, buffer.getvalue())


def load(path: Path, *, remedy: str) -> dict[str, NDArray[Any]]:
    """The inverse of `save`; `GyrovaeError` with this remedy when the file cannot be read or is damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise GyrovaeError(f"cannot read {path}: {error.strerror or error}", remedy=remedy) from None
    except _DAMAGE as error:
        raise GyrovaeError(f"{path} is damaged: {error}", remedy=remedy) from None
