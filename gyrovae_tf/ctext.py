"""Names and numbers in, definitions of C11 and C++17 constants out, as lines of text.

Every name starts with a prefix and an underscore; `<prefix>_CONST` is a macro that the header itself defines.
"""

from __future__ import annotations

import string
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gyrovae_tf.errors import GyrovaeError

_PLAIN = frozenset(string.ascii_letters + string.digits + " ()+,-./:=^_~")
_RANGES = {
    "int8_t": (-0x80, 0x7F),
    "uint8_t": (0, 0xFF),
    "int16_t": (-0x8000, 0x7FFF),
    "uint16_t": (0, 0xFFFF),
    "int32_t": (-0x80000000, 0x7FFFFFFF),
    "uint32_t": (0, 0xFFFFFFFF),
    "unsigned int": (0, 0xFFFFFFFF),
}
_WIDTH = 118

Table = Sequence[Any]  # of numbers, or of such tables


def title(*lines: str) -> Iterator[str]:
    """A comment with an empty line before and after it."""
    yield ""
    yield from (f"// {line}" for line in lines)
    yield ""


def scalar(kind: str, prefix: str, name: str, value: float, comment: str = "") -> str:
    """The definition of one number of the type `kind`; `GyrovaeError` when the type cannot hold it."""
    return _defined(prefix, f"{kind} {prefix}_{name} = {literals(kind, name, [value])[0]};", comment)


def chars(prefix: str, name: str, text: str, comment: str = "") -> str:
    """A string as its UTF-8 bytes; all but plain characters as octal escapes (question marks may be trigraphs)."""
    literal = "".join(chr(b) if chr(b) in _PLAIN else f"\\{b:03o}" for b in text.encode("utf-8", "replace"))
    return _defined(prefix, f'char {prefix}_{name}[] = "{literal}";', comment)


def _defined(prefix: str, text: str, comment: str) -> str:
    """A definition with its comment behind it where the line has room, else above."""
    line = f"{prefix}_CONST const {text}"
    if not comment:
        return line
    beside = f"{line}  // {comment}"
    return beside if len(beside) <= _WIDTH else f"// {comment}\n{line}"


def array(kind: str, prefix: str, name: str, values: Table, comment: str = "") -> Iterator[str]:
    """The definition of an array of one or more dimensions; `GyrovaeError` when its type cannot hold a number."""
    extent, row = "", values
    while isinstance(row, list | tuple):
        extent += f"[{len(row)}]"
        row = row[0]
    if comment:
        yield f"// {comment}"
    yield f"{prefix}_CONST const {kind} {prefix}_{name}{extent} = {{"
    yield from _rows(kind, name, values, "  ")
    yield "};"


def _rows(kind: str, name: str, values: Table, indent: str) -> Iterator[str]:
    if not isinstance(values[0], list | tuple):
        text = ", ".join(literals(kind, name, values))
        yield from textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        return
    for row in values:
        yield indent + "{"
        yield from _rows(kind, name, row, indent + "  ")
        yield indent + "},"


def literals(kind: str, name: str, values: Table) -> list[str]:
    """Numbers in, literals of that type out which give back exactly the numbers (the nearest float32 for a float)."""
    if kind == "double":
        return [repr(float(value)) for value in values]
    if kind == "float":
        with np.errstate(over="ignore"):
            singles = [np.float32(value) for value in values]
        if not np.isfinite(singles).all():
            raise GyrovaeError(f"{name} holds a number that float32 cannot", received=max(values, key=abs))
        return [f"{value!s}f" for value in singles]
    low, high = _RANGES[kind]
    odd = [value for value in values if not (isinstance(value, int) and low <= value <= high)]
    if odd:
        raise GyrovaeError(
            f"{name} does not fit the header", expected=f"integers from {low} to {high} ({kind})", received=odd[0]
        )
    return [f"{value}u" if high > 0x7FFFFFFF else str(value) for value in values]


def plain(text: object) -> str:
    """Text for a comment: without what could end or continue it."""
    return "".join(c if c in _PLAIN else "_" for c in str(text))


_C = (b"//", b"/*", b"#if", b"#pragma", b"#include", b"#define", b"const ", b"unsigned ", b"alignas")


def is_c(head: bytes) -> bool:
    """Whether a file that begins so looks like C: a header that is to be replaced need not be one of ours."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_C)
