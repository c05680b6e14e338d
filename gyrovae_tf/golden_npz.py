"""Golden windows (`Golden`) in, the bytes of an .npz file out, and back again; what is not exactly that is refused."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.npy import read_header, read_npy, read_stored
from gyrovae_tf.spec import WINDOW_MAX, check_window

MOST = 32
"""Golden windows in one bundle: the firmware keeps them in flash."""
_IMAGE = (2, 32, 32, 3)
_TYPES = {"windows": "<i2", "images": "|i1", "outputs": "|i1", "scores": "<f8"}  # as .npy files name them
LARGEST = MOST * (2 * 3 * WINDOW_MAX + 2 * 6144 + 8) + (8 << 10)
"""Bytes of the largest file: that many windows of the longest kind, and what the format adds."""


@dataclass(frozen=True, eq=False)
class Golden:
    """Windows with what front end, model and score make of them, to prove another implementation by.

    n windows, at least 1 and at most `MOST`; the arrays are copies that cannot be written to.
    """

    windows: NDArray[np.int16]
    """[n, window, 3] counts."""
    images: NDArray[np.int8]
    """[n, 2, 32, 32, 3] the model's input: scalogram and field."""
    outputs: NDArray[np.int8]
    """[n, 2, 32, 32, 3] the model's outputs: scalogram and field."""
    scores: NDArray[np.float64]
    """[n] 1.0 is the alarm."""
    kernels: str
    """Which kernels computed the outputs: a name of `runtime.KERNELS`."""
    version: str
    """The package that holds those kernels, and its version."""

    def __post_init__(self) -> None:
        shape = np.shape(self.windows)
        count, window = (shape[0], shape[1]) if len(shape) == 3 else (0, 0)
        wanted = _shapes(count, window)
        for name, kind in _TYPES.items():
            array = np.asarray(getattr(self, name))
            if array.dtype != np.dtype(kind) or array.shape != wanted[name] or not 1 <= count <= MOST:
                raise GyrovaeError(
                    f"the golden windows' {name} are not of their form",
                    expected=f"{np.dtype(kind)} {list(wanted[name])}, 1 to {MOST} of them",
                    received=f"{array.dtype} {list(array.shape)}",
                )
            array = array.astype(np.dtype(kind), order="C", copy=True)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        check_window(window)
        if not np.isfinite(self.scores).all():
            raise GyrovaeError("a golden window's score is not a number", expected="finite scores")
        if not all(isinstance(text, str) and 0 < len(text) <= 100 for text in (self.kernels, self.version)):
            raise GyrovaeError("the golden windows do not say which kernels made them", expected="a name and a version")

    def __len__(self) -> int:
        """How many windows."""
        return len(self.windows)

    def __eq__(self, other: object) -> bool:
        """The same bytes, from the same kernels."""
        if not isinstance(other, Golden):
            return NotImplemented
        mine, theirs = ((g.kernels, g.version, *(getattr(g, n).tobytes() for n in _TYPES)) for g in (self, other))
        return mine == theirs

    def __hash__(self) -> int:
        return hash((self.windows.tobytes(), self.kernels, self.version))

    def to_npz(self) -> bytes:
        """The arrays as an .npz file: uncompressed, so that the same arrays are the same bytes everywhere."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in _TYPES:
                array = io.BytesIO()
                np.lib.format.write_array(array, getattr(self, name), version=(1, 0), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue())
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, content: bytes, *, kernels: str, version: str) -> Golden:
        """The inverse of `to_npz`; `GyrovaeError` when the bytes are anything else.

        Nothing is unpickled or unpacked, and nothing beyond `LARGEST` bytes is looked at, whatever the headers claim.
        """
        if len(content) > LARGEST:
            raise GyrovaeError(
                "the golden windows are too large", expected=f"at most {LARGEST} bytes", received=len(content)
            )
        try:
            parts = read_stored(content, {f"{name}.npy" for name in _TYPES})
            arrays = {name: _array(name, parts[f"{name}.npy"]) for name in _TYPES}
        except ValueError as error:
            raise GyrovaeError(f"the golden windows are damaged: {error}") from None
        return cls(**arrays, kernels=kernels, version=version)


def _shapes(count: int, window: int) -> dict[str, tuple[int, ...]]:
    return {
        "windows": (count, window, 3),
        "images": (count, *_IMAGE),
        "outputs": (count, *_IMAGE),
        "scores": (count,),
    }


def _array(name: str, content: bytes) -> NDArray[Any]:
    """The bytes of an .npy file in, its array out; ValueError when it is another one than `name` is."""
    header = read_header(content)
    if header is None or (header.kind, header.order) != (_TYPES[name], "C"):
        raise ValueError(f"{name} is not an array of {np.dtype(_TYPES[name])}")
    return read_npy(content)
