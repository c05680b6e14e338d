"""A bundle in, the image of its detector for a partition of the device's flash out.

The C++ twin is firmware/components/gyrovae/flash.cpp, which uses the image where it lies. With it a model is replaced
without a compiler. All numbers are little-endian, and those of the same bundle's header (`cgen`). First 64 bytes:

    bytes  what
    8      "GYROVAE" and a zero
    4      version of this format, 2
    4      length of the whole image
    4      CRC-32 (as in zlib) of everything behind it
    32     digest of the spec
    12     zeros

Then tables one after the other, each at the next multiple of 16 bytes, in the order in which `_tables` has them.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import SIZES, WIDE
from gyrovae_tf.errors import GyrovaeError, atomic_write, check_same_kind
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.signal.profile import EXP2_TABLE
from gyrovae_tf.signal.scalogram import LOG2_TABLE
from gyrovae_tf.spec import HALF_BAND, VERSION, Spec

MAGIC = b"GYROVAE\0"
FORMAT = 2
ALIGN = 16
PARTITION = "detector"
"""The partition's name in firmware/partitions.csv."""
OFFSET, SIZE = 0x310000, 0x40000
"""Where it begins in the flash, and its size, in bytes; a test compares with firmware/partitions.csv."""
_HEAD = struct.Struct("<8sIII32s12x")


def image(bundle: Bundle | str | os.PathLike[str]) -> bytes:
    """A bundle (or the path of one, or of a run that holds one) in, its image out, a multiple of 16 bytes long.

    Golden windows are in it where the bundle has them. `GyrovaeError` when a number does not fit its type.
    """
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    body = b"".join(_padded(table.tobytes()) for table in _tables(loaded))
    digest = bytes.fromhex(loaded.spec.digest)
    length = _HEAD.size + len(body)
    rest = digest + bytes(12) + body
    return _HEAD.pack(MAGIC, FORMAT, length, zlib.crc32(rest), digest) + body


def write_image(bundle: Bundle | str | os.PathLike[str], output: str | os.PathLike[str]) -> bytes:
    """As `image`, and written to a file: wholly, or not at all. Refused when the partition cannot hold it."""
    check_same_kind(output, lambda head: head.startswith(MAGIC), "image of a detector")
    made = image(bundle)
    if len(made) > SIZE:
        raise GyrovaeError(
            "the image does not fit the partition",
            expected=f"at most {SIZE:,} bytes",
            received=f"{len(made):,}",
            remedy="Train a smaller network: that of gyrovae-tf train fits, one with an `architecture` of your own may "
            "not. For a larger partition change firmware/partitions.csv, and SIZE and OFFSET in gyrovae_tf/flash.py as "
            "there.",
        )
    atomic_write(output, made)
    return made


def esptool_command(path: str | os.PathLike[str], port: str | None = None) -> list[str]:
    """An image's file and a port in, the command that writes it into its partition out."""
    where = [] if port is None else ["--port", port]
    return ["esptool", *where, "write-flash", hex(OFFSET), os.fspath(path)]


def write_to_device(path: str | os.PathLike[str], port: str) -> None:
    """An image's file and a serial port in; the image is in the flash of the device there, which starts anew.

    What esptool says goes to standard error. `GyrovaeError` when esptool is not installed, or fails.
    """
    if importlib.util.find_spec("esptool") is None:
        raise GyrovaeError("esptool is not installed", remedy="pip install 'gyrovae-tf[flash]'")
    command = [sys.executable, "-m", *esptool_command(path, port)]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise GyrovaeError(
            f"esptool could not write to {port}",
            received=f"exit status {done.returncode}; what it said stands above",
            remedy="Close what else uses the port; hold BOOT while you plug the board in, and try again.",
        )


def detector_id(made: bytes) -> int:
    """An image in, the number by which a device tells its detector from others: CRC-32 of the whole of it."""
    return zlib.crc32(made)


def _padded(table: bytes) -> bytes:
    return table + bytes(-len(table) % ALIGN)


def _tables(bundle: Bundle) -> Iterator[NDArray[Any]]:
    """Every table in its order: whole numbers, rate and unit, floats; front end; views; model; golden windows."""
    spec, calibration, golden = bundle.spec, bundle.calibration, bundle.golden
    views = [getattr(calibration, name) for name in SIZES]
    taps = [tap for band in spec.bands for tap in (*band.real, *band.imag)]
    yield _array(
        "<i4",
        [
            *(VERSION, spec.window, spec.field_shift, calibration.vote_alarms, calibration.vote_windows),
            *(len(taps), len(bundle.model), bundle.arena.suggested_bytes if bundle.arena else 0),
            len(golden) if golden else 0,
            *(len(view.codes) if view else 0 for view in views),
            *(int(bool(view and view.mixing)) for view in views),
        ],
    )
    yield _array("<f8", [spec.rate_hz, spec.lsb])
    scales = [*(view.center if view else 0 for view in views), *(view.power if view else 0 for view in views)]
    yield _array("<f4", [calibration.threshold, calibration.reach, *scales])
    yield from _front_end(spec, taps)
    for name, view in zip(SIZES, views, strict=True):
        if view is None:
            continue
        yield _array("<i2" if name in WIDE else "|i1", view.codes)
        yield _array("<f4", view.weight)
        yield _array("<f4", view.scatter)
        if view.mixing:
            yield _array("<f4", [value for row in view.mixing for value in row])
        if view.residual_weight:
            yield _array("<f4", view.residual_weight)
    yield np.frombuffer(bundle.model, np.uint8)
    if golden:
        yield from _golden(golden)


def _front_end(spec: Spec, taps: list[int]) -> Iterator[NDArray[Any]]:
    halves = [len(band.real) for band in spec.bands]
    yield _array("<f4", [band.center_hz for band in spec.bands])
    yield _array("|u1", [band.level for band in spec.bands])
    yield _array("<u2", halves)
    yield _array("<u2", np.cumsum([0, *(2 * half for half in halves)])[:-1])
    yield _array("<i2", taps)
    yield _array("<i2", HALF_BAND)
    yield _array("|u1", LOG2_TABLE)
    yield _array("<i2", spec.power_floor)
    yield _array("<i2", spec.power_mean)
    yield _array("<i4", spec.power_gain)
    yield _array("<i4", spec.field_edges)
    yield _array("<i4", spec.field_mean)
    yield _array("<i4", spec.field_gain)
    yield _array("<u2", EXP2_TABLE)


def _golden(golden: Golden) -> Iterator[NDArray[Any]]:
    yield _array("<i2", golden.windows)
    yield _array("<u4", [zlib.crc32(one.tobytes()) for one in golden.images])
    yield _array("|i1", golden.outputs)
    yield _array("<f4", golden.scores)
    yield _array("|u1", golden.scores.astype(np.float32) >= 1)


def _array(kind: str, values: Any) -> NDArray[Any]:
    """Numbers of a type; none may change by it, but floats lose what a float32 does not hold."""
    exact = np.asarray(values)
    made = exact.astype(kind)
    if made.dtype.kind != "f" and not np.array_equal(made, exact):
        raise GyrovaeError("a number of the bundle does not fit the image", expected=f"numbers of the type {kind}")
    return made
