"""The bytes of .npy and .npz files in, their arrays out: of numbers only, and never larger than the files are.

Read by hand: NumPy's own reader evaluates the header's text, makes room for whatever shape it claims, and unpacks what
a zip archive says it holds.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

_TYPES = ("|i1", "<i2", "<i4", "<i8", "|u1", "<f4", "<f8")
_MOST_MEMBERS = 4096
_ZIP = b"PK\x03\x04"  # of a first member: an archive may also stand behind something else
# Version 1.0 of the format, as NumPy writes it.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(...)', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,80})\), \} *\n",
    re.DOTALL,
)
_MAGIC = 10  # bytes before the header's text
# What zipfile raises for damaged bytes (RuntimeError: a bit that says "encrypted"; OSError: an impossible offset).
_DAMAGE = (KeyError, EOFError, RuntimeError, OSError, OverflowError, zipfile.BadZipFile, struct.error)


class Header(NamedTuple):
    """What an .npy file says of its array."""

    kind: str
    """Its type, as NumPy writes it: one of numbers, least byte first."""
    order: Literal["C", "F"]
    shape: tuple[int, ...]
    end: int
    """Where its bytes begin."""


def read_header(content: bytes) -> Header | None:
    """The bytes of an .npy file in, its header out; None when it is none, or its array is not one of numbers."""
    found = _HEADER.match(content)
    if not found or found.end() != _MAGIC + int.from_bytes(content[_MAGIC - 2 : _MAGIC], "little"):
        return None
    kind = found[1].decode("latin-1")
    shape = tuple(int(size) for size in found[3].split(b",") if size.strip())
    return Header(kind, "F" if found[2] == b"True" else "C", shape, found.end()) if kind in _TYPES else None


def read_npy(content: bytes) -> NDArray[Any]:
    """The bytes of an .npy file in, a copy of its array out; `ValueError` when they are anything else.

    Types: whole numbers of 8 to 64 bits and floats of 32 and 64, least byte first.
    """
    header = read_header(content)
    if header is None:
        raise ValueError("not an .npy file, version 1.0, of numbers")
    # An array has the size that its bytes have, or none.
    array: NDArray[Any] = np.frombuffer(content, header.kind, offset=header.end)
    return array.reshape(header.shape, order=header.order).copy(order="K")


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """The bytes of an uncompressed .npz file in, name -> array out; `ValueError` when they are anything else."""
    return {name.removesuffix(".npy"): read_npy(part) for name, part in read_stored(content).items()}


def read_stored(content: bytes, names: set[str] | None = None) -> dict[str, bytes]:
    """The bytes of a zip archive in, name -> content of its members, which have these names where given, out.

    `ValueError` when they are others, when one is compressed, or when they claim to be more than there is.
    """
    if not content.startswith(_ZIP):
        raise ValueError("it is no zip archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            found = [member.filename for member in members]
            if len(found) > _MOST_MEMBERS or len(set(found)) != len(found):
                raise ValueError("it holds too many members, or one twice")
            if names is not None and set(found) != names:
                raise ValueError("it does not hold " + ", ".join(sorted(names)) + " and nothing else")
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed")
            if sum(member.file_size for member in members) > len(content):
                raise ValueError("its members are larger than the file")
            return {name: archive.read(name) for name in found}
    except _DAMAGE as error:
        raise ValueError(str(error) or type(error).__name__) from None
