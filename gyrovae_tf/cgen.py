"""A bundle in, one C and C++ header out: the model as a byte array, and every number of its front end and score.

The header is the only way by which tables reach the firmware, so that nothing there is typed in by hand.
"""

from __future__ import annotations

import os
import re
import string
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import WIDE, Calibration, View
from gyrovae_tf.errors import GyrovaeError, atomic_write
from gyrovae_tf.signal.mtf import ONE
from gyrovae_tf.signal.profile import EXP2_TABLE, PIXELS_AN_OCTAVE
from gyrovae_tf.signal.scalogram import LOG2_TABLE
from gyrovae_tf.spec import (
    AMPLITUDE_SHIFT,
    AXES,
    BANDS,
    CELLS,
    FRACTION,
    HALF_BAND,
    LEVELS,
    PIXEL,
    SIGNAL_BITS,
    VERSION,
    Spec,
)
from gyrovae_tf.version import VERSION as PACKAGE_VERSION

PREFIX = "nn_model"
LONGEST_PREFIX = 40
"""With it the longest name still differs from others within the 63 characters that C11 (5.2.4.1) tells apart."""
# C11, then C++17 with its alternative tokens, then what C23 and C++20 add: toolchains move on.
_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t class compl const_cast constexpr decltype
    delete dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public reinterpret_cast static_assert static_cast template this thread_local throw true try
    typeid typename using virtual wchar_t xor xor_eq
    char8_t co_await co_return co_yield concept consteval constinit requires typeof typeof_unqual
"""
KEYWORDS = frozenset(_KEYWORDS.split())
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"[A-Z][A-Z0-9_]*")
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
_BYTES_A_LINE = 16
_HEXADECIMAL = np.array([f"0x{value:02x}, ".encode() for value in range(256)])

Table = Sequence[Any]  # of numbers, or of such tables


def emit_header(
    bundle: Bundle | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    prefix: str = PREFIX,
) -> str:
    """A bundle (or the path of one, or of a run that holds one) in, the text of its header out; written to `output`.

    The text is C11 and C++17 and depends on the bundle, the prefix and gyrovae-tf's version alone: no time, no path.
    Every name in it starts with `prefix` and an underscore; the model is `<prefix>_tflite`, `<prefix>_tflite_len`.
    Floats of the calibration are written as the float32 nearest to them, with the fewest digits that give it back.

    Raises `GyrovaeError` for a prefix that `check_prefix` refuses, a bundle that cannot be read or whose numbers do not
    fit the header's types, and an output that cannot be written (what was there before then stays).
    """
    check_prefix(prefix)
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    text = "\n".join(_lines(loaded, prefix)) + "\n"
    if output is not None:
        atomic_write(output, text)
    return text


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that C or C++ does not allow at the start of a file's names, or that they keep for themselves."""
    if not isinstance(prefix, str) or not _IDENTIFIER.fullmatch(prefix):
        problem = "is not an identifier of C and C++"
    elif prefix in KEYWORDS:
        problem = "is a keyword of C or C++"
    elif "__" in prefix or prefix.endswith("_"):
        problem = "leads to names with two underscores in a row, which C++ reserves"
    elif len(prefix) > LONGEST_PREFIX:
        problem = f"is {len(prefix)} characters long"
    else:
        return
    raise GyrovaeError(
        f"the prefix {str(prefix)[: 2 * LONGEST_PREFIX]!r} {problem}",
        expected=f"a letter, then letters (a-z, A-Z), digits and single underscores, none of them at the end, "
        f"at most {LONGEST_PREFIX} characters, no keyword",
        remedy=f"Choose another one, or leave it out for {PREFIX!r}.",
    )


def _lines(bundle: Bundle, prefix: str) -> Iterator[str]:
    """The header's lines, without line ends."""
    yield from _opening(bundle, prefix)
    yield from _model(bundle, prefix)
    yield from _front_end(bundle.spec, prefix)
    yield from _score(bundle.calibration, prefix)
    yield from _bytes(bundle.model, prefix)
    yield from ("", f"#undef {prefix}_CONST", "", f"#endif  // {prefix}_HEADER_INCLUDED")


def _opening(bundle: Bundle, prefix: str) -> Iterator[str]:
    # Macros keep the prefix as it is: in capitals, nn_model and NN_Model would share one include guard.
    versions = [f"//   {_plain(name)} {_plain(text)}" for name, text in sorted(bundle.versions.items())]
    yield f"""\
// The anomaly detector of one machine, as data for C11 and C++17. Generated by gyrovae-tf {PACKAGE_VERSION}
// (gyrovae-tf emit-header): do not edit, generate it again.
//
// It holds the int8 TensorFlow Lite model,
//
//   alignas(16) const unsigned char {prefix}_tflite[];
//   const unsigned int {prefix}_tflite_len;
//
// and every number that the device needs beside it: the front end that makes the model's input out of a window of
// sensor counts, and the score that turns its output into an alarm. They belong together: another model's numbers
// would give wrong scores without any sign of it. Compare {prefix}_spec_digest with what recorded or sent the data.
//
// How to use it: include it wherever a name is needed. All is constant and stays in flash. In C++17 any number of
// files may include it and share one copy; in C, and in C++ before 2017, each file that includes it has its own, so
// include it in one. Do not copy the model to RAM: give {prefix}_tflite to tflite::GetModel as it is.
//
// Packages that made the model:""" + "".join(f"\n{line}" for line in versions or ["//   not recorded"])
    yield f"""
#ifndef {prefix}_HEADER_INCLUDED
#define {prefix}_HEADER_INCLUDED

#include <stdint.h>

#ifdef __cplusplus
#if __cplusplus >= 201703L
#define {prefix}_CONST inline constexpr
#else
#define {prefix}_CONST static constexpr
#endif
#else
#include <stdalign.h>
#ifdef __GNUC__
#define {prefix}_CONST static __attribute__((unused))
#else
#define {prefix}_CONST static
#endif
#endif"""


def _model(bundle: Bundle, prefix: str) -> Iterator[str]:
    operators = list(dict.fromkeys(bundle.ops))
    odd = [name for name in operators if not _OPERATOR.fullmatch(name)]
    if odd or not operators:
        raise GyrovaeError(
            "the bundle's list of operators cannot be written as C names",
            expected="names of TensorFlow Lite operators, such as CONV_2D",
            received=", ".join(map(repr, odd[:3])) or "an empty list",
        )
    yield from _title(
        "The model. Input: int8 [2, 32, 32, 3], image 0 the scalogram [band][cell][axis], image 1 the Markov",
        "transition field [i][j][axis], a pixel's value int8 / 32. Outputs: two of int8 [1, 32, 32, 3], first the",
        "scalogram's reconstruction, then the field's; their scale and zero point stand in the model's tensors.",
    )
    yield _text(prefix, "tflite_sha256", bundle.model_sha256, "SHA-256 of the model's bytes")
    yield from _array("int32_t", prefix, "input_shape", [2, BANDS, CELLS, len(AXES)])
    yield _scalar("float", prefix, "input_scale", 1 / PIXEL)
    yield _scalar("int32_t", prefix, "input_zero_point", 0)
    yield from _array("int32_t", prefix, "output_shape", [1, BANDS, CELLS, len(AXES)], "each of the two")
    arena = "bytes of tensor arena that the model needs at least, as measured on a PC; 0: not measured"
    yield _scalar("uint32_t", prefix, "arena_bytes", bundle.arena.host_bytes if bundle.arena else 0, arena)
    yield _scalar("int32_t", prefix, "ops_count", len(operators), "operators that the resolver must register:")
    yield f"{prefix}_CONST const char *const {prefix}_ops[{len(operators)}] = {{"
    yield from (f'  "{name}",' for name in operators)
    yield "};"
    yield "// The same as a macro, to generate the resolver with: X is called with each name."
    each = " \\\n".join(f"  X({name})" for name in operators)
    yield f"#define {prefix}_FOR_EACH_OP(X) \\\n{each}"


def _front_end(spec: Spec, prefix: str) -> Iterator[str]:
    yield from _title(
        "The front end: a window of int16 counts [window][axis] in, the model's input out, in integers throughout.",
        "The digest changes when any number of it does.",
    )
    yield _text(prefix, "spec_digest", spec.digest, "SHA-256 of the front end's numbers")
    yield from _array("uint8_t", prefix, "spec_digest_bytes", list(bytes.fromhex(spec.digest)))
    yield _scalar("int32_t", prefix, "spec_version", VERSION)
    yield _scalar("int32_t", prefix, "window", spec.window, "samples")
    yield _scalar("double", prefix, "rate_hz", spec.rate_hz, "samples a second")
    yield _scalar("double", prefix, "lsb", spec.lsb, "units a count")
    yield _text(prefix, "units", spec.units)
    yield _scalar("int32_t", prefix, "axes", len(AXES), "x, y, z")
    yield _scalar("int32_t", prefix, "bands", BANDS, "wavelets, lowest frequency first")
    cells = "time cells of an image; power is that at sample ((2 * cell + 1) * window / 64) >> level of the octave"
    yield _scalar("int32_t", prefix, "cells", CELLS, cells)
    yield _scalar("int32_t", prefix, "signal_bits", SIGNAL_BITS, "bits of a window's largest magnitude once shifted")
    yield _scalar("int32_t", prefix, "amplitude_shift", AMPLITUDE_SHIFT, "right shift of a wavelet's sum of products")
    yield _scalar("int32_t", prefix, "fraction", FRACTION, "log powers are in 1 / fraction octave")
    yield _scalar("int32_t", prefix, "pixel", PIXEL, "pixels a standard deviation")

    halves = [len(band.real) for band in spec.bands]
    offsets = np.cumsum([0, *(2 * half for half in halves)])[:-1].tolist()
    taps = [tap for band in spec.bands for tap in (*band.real, *band.imag)]
    yield from _array("float", prefix, "band_hz", [b.center_hz for b in spec.bands], "centre frequencies, to report")
    yield from _array("uint8_t", prefix, "band_level", [b.level for b in spec.bands], "octaves of decimation before it")
    yield from _array("uint16_t", prefix, "band_taps_count", halves, "taps of one part, at lags 0 .. count - 1")
    yield from _array("uint16_t", prefix, "band_taps_offset", offsets, "of its first tap in wavelet_taps")
    order = "for each band its real taps (even about lag 0), then its imaginary ones (odd)"
    yield from _array("int16_t", prefix, "wavelet_taps", taps, order)
    yield from _array("int16_t", prefix, "half_band", list(HALF_BAND), "low-pass of the octave pyramid, in 1/512")
    log2 = "fraction * log2(1 + i / 128), by the seven bits below the leading one"
    yield from _array("uint8_t", prefix, "log2_table", list(LOG2_TABLE), log2)
    yield from _array("int16_t", prefix, "power_floor", spec.power_floor, "[band] least log power that counts")
    yield from _array("int16_t", prefix, "power_mean", spec.power_mean, "[axis][band] log power of normal motion")
    yield from _array("int32_t", prefix, "power_gain", spec.power_gain, "[axis][band] pixels a log power, in 1/65536")
    yield _scalar("int32_t", prefix, "field_levels", LEVELS, "amplitude levels")
    yield _scalar("int32_t", prefix, "field_one", ONE, "a transition probability of 1")
    edges = "[axis][edge] in counts about the window's mean; a level starts at its edge"
    yield from _array("int32_t", prefix, "field_edges", spec.field_edges, edges)
    yield _scalar("int32_t", prefix, "field_shift", spec.field_shift, "right shift of a cell's sum")
    yield from _array("int32_t", prefix, "field_mean", spec.field_mean, "[axis]")
    yield from _array("int32_t", prefix, "field_gain", spec.field_gain, "[axis] pixels a unit, in 1/65536")


def _score(calibration: Calibration, prefix: str) -> Iterator[str]:
    yield from _title(
        "The score, as the mean of what several views of a window add, over threshold; 1 is the alarm. Every view has",
        "the profiles of normal motion's regimes (codes, in pixels; level in 1/256 octave, tilt in counts), a weight",
        "for each number of a profile. d = root mean square of mixing * ((profile - code) * weight), over the regime's",
        "scatter, for the regime where it is least; where a view has a residual_weight, d ^ 0.75 * r ^ 0.25 instead, r",
        "the root mean square of (profile - reconstruction's profile) * residual_weight, both of mean pixels. It adds",
        "(d / center) ^ power.",
    )
    yield from _array("uint16_t", prefix, "exp2_table", list(EXP2_TABLE), "1024 * 2^(i / 16), for powers of pixels")
    yield _scalar("int32_t", prefix, "pixels_an_octave", PIXELS_AN_OCTAVE, "of a profile of powers")
    yield _scalar("int32_t", prefix, "views", len(calibration.views), "so many add to the score")
    for name, view in calibration.views.items():
        yield from _view(name, view, prefix)
    for name in ("threshold", "false_alarm_rate"):
        if _literals("float", name, [getattr(calibration, name)]) == ["0.0f"]:
            raise GyrovaeError(f"the calibration's {name} is 0 as a float32", received=getattr(calibration, name))
    yield _scalar("float", prefix, "threshold", calibration.threshold)
    rate = "share of normal windows that the threshold lets through as alarms"
    yield _scalar("float", prefix, "false_alarm_rate", calibration.false_alarm_rate, rate)
    rest = "normal windows, compared with what they were not fitted to, that the threshold rests on"
    yield _scalar("int32_t", prefix, "held_back_windows", calibration.held_back_windows, rest)
    yield _scalar("int32_t", prefix, "vote_alarms", calibration.vote_alarms, "an event: so many alarms ...")
    yield _scalar("int32_t", prefix, "vote_windows", calibration.vote_windows, "... in so many consecutive windows")


def _view(name: str, view: View, prefix: str) -> Iterator[str]:
    yield _scalar("int32_t", prefix, f"{name}_regimes", len(view.codes), "rows of its codes")
    kind = "int16_t" if name in WIDE else "int8_t"
    yield from _array(kind, prefix, f"{name}_codes", view.codes, "[regime][number], all of x first, then y, then z")
    yield from _array("float", prefix, f"{name}_weight", view.weight)
    yield from _array("float", prefix, f"{name}_scatter", view.scatter, "[regime]")
    if view.mixing:
        rows = [value for row in view.mixing for value in row]
        yield from _array("float", prefix, f"{name}_mixing", rows, "lower triangle, row by row")
    if view.residual_weight:
        yield from _array("float", prefix, f"{name}_residual_weight", view.residual_weight)
    for label, values in (("scatter", view.scatter), ("center", [view.center]), ("power", [view.power])):
        if "0.0f" in _literals("float", name, values):
            raise GyrovaeError(f"the calibration's {name} has a {label} that is 0 as a float32", received=min(values))
    for label, value in (("center", view.center), ("power", view.power)):
        yield _scalar("float", prefix, f"{name}_{label}", value)


def _bytes(model: bytes, prefix: str) -> Iterator[str]:
    if not model:
        raise GyrovaeError("the bundle's model is empty", remedy="Quantise again: gyrovae-tf quantize RUN/")
    yield from _title(
        "The model's bytes. Kernels read weights in place: 16-byte alignment is what the fastest ask for."
    )
    yield _scalar("unsigned int", prefix, "tflite_len", len(model))
    yield f"alignas(16) {prefix}_CONST const unsigned char {prefix}_tflite[{len(model)}] = {{"
    text = _HEXADECIMAL[np.frombuffer(model, np.uint8)].tobytes().decode()
    width = _HEXADECIMAL.itemsize * _BYTES_A_LINE
    for start in range(0, len(text), width):
        yield "  " + text[start : start + width].rstrip()
    yield "};"
    yield f"""
#ifdef __cplusplus
static_assert(sizeof({prefix}_tflite) == {prefix}_tflite_len, "the model is not whole");
#endif"""


def _title(*lines: str) -> Iterator[str]:
    yield ""
    yield from (f"// {line}" for line in lines)
    yield ""


def _scalar(kind: str, prefix: str, name: str, value: float, comment: str = "") -> str:
    return _defined(prefix, f"{kind} {prefix}_{name} = {_literals(kind, name, [value])[0]};", comment)


def _text(prefix: str, name: str, text: str, comment: str = "") -> str:
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


def _array(kind: str, prefix: str, name: str, values: Table, comment: str = "") -> Iterator[str]:
    """The definition of an array of one or more dimensions."""
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
        text = ", ".join(_literals(kind, name, values))
        yield from textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        return
    for row in values:
        yield indent + "{"
        yield from _rows(kind, name, row, indent + "  ")
        yield indent + "},"


def _literals(kind: str, name: str, values: Table) -> list[str]:
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


def _plain(text: object) -> str:
    """Text for a comment: without what could end or continue it."""
    return "".join(c if c in _PLAIN else "_" for c in str(text))
