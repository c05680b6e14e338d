"""Numbers in, pictures out: PNG images of a dot a number, as data URIs to be put into a page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.spec import BANDS

REBUILT = (
    "The model rebuilds the broad pattern of normal motion only: noise, fine and random, is missing from what it "
    "rebuilds of a normal window, too. Compare with a normal window: what is missing or added beyond that is what it "
    "does not know."
)
"""What a rebuilt image tells."""


def heat(values: NDArray[np.float64], limit: float) -> str:
    """Numbers [rows, columns], first row at the bottom, in; a PNG of a dot each as a data URI out.

    Blue is -limit, white 0, red +limit; NaN is transparent.
    """
    import matplotlib as mpl

    scaled = np.clip((values[::-1] + limit) / (2 * limit), 0, 1)
    pixels: NDArray[np.uint8] = mpl.colormaps["RdBu_r"](np.nan_to_num(scaled), bytes=True)
    pixels[np.isnan(scaled)] = 0
    return "data:image/png;base64," + base64.b64encode(_png(pixels)).decode("ascii")


def axes_side_by_side(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """An image [32, 32, 3] in; its three axes beside each other with a gap of a dot, [32, 98], out."""
    gap = np.full((BANDS, 1), np.nan)
    return np.concatenate([image[..., 0], gap, image[..., 1], gap, image[..., 2]], axis=1)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """RGBA [rows, columns, 4] in, a PNG out (ISO/IEC 15948: one IDAT, no filter)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows, columns, _ = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
