"""A bundle in, one C and C++ header out: the model as a byte array, and every number of its front end and score.

The header is the only way by which tables reach the firmware, so that nothing there is typed in by hand.
"""

from __future__ import annotations

import os
import re
import textwrap
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from gyrovae_tf.arena import Arena
from gyrovae_tf.arguments import switch
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import OPTIONAL, WIDE, Calibration, View
from gyrovae_tf.ctext import array, chars, is_c, literals, plain, scalar, title
from gyrovae_tf.errors import GyrovaeError, atomic_write, check_same_kind
from gyrovae_tf.flash import detector_id, image
from gyrovae_tf.golden_npz import Golden
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
RESOLVER_METHODS = {
    "ADD": "Add",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DEQUANTIZE": "Dequantize",
    "DIV": "Div",
    "EXP": "Exp",
    "FULLY_CONNECTED": "FullyConnected",
    "MEAN": "Mean",
    "MUL": "Mul",
    "QUANTIZE": "Quantize",
    "RELU": "Relu",
    "RESHAPE": "Reshape",
    "RSQRT": "Rsqrt",
    "SLICE": "Slice",
    "SQRT": "Sqrt",
    "SQUARED_DIFFERENCE": "SquaredDifference",
    "STRIDED_SLICE": "StridedSlice",
    "SUB": "Sub",
    "SUM": "Sum",
    "TRANSPOSE": "Transpose",
    "TRANSPOSE_CONV": "TransposeConv",
}
"""Operator of the contract -> the method of tflite::MicroMutableOpResolver that registers it, less its "Add"."""
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BYTES_A_LINE = 16
_HEXADECIMAL = np.array([f"0x{value:02x}, ".encode() for value in range(256)])


def emit_header(
    bundle: Bundle | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    prefix: str = PREFIX,
    golden: bool = False,
) -> str:
    """A bundle (or the path of one, or of a run that holds one) in, the text of its header out; written to `output`.

    The text is C11 and C++17 and depends on the bundle, the prefix and gyrovae-tf's version alone: no time, no path.
    Every name in it starts with `prefix` and an underscore; the model is `<prefix>_tflite`, `<prefix>_tflite_len`.
    Floats of the calibration are written as the float32 nearest to them, with the fewest digits that give it back.
    With `golden` it holds the bundle's golden windows as well, for a self-test on the device: flash, 12.3 kB a window
    of 1024 samples, 7.7 kB one of 256, only in a program that uses them.

    Raises `GyrovaeError` for a prefix that `check_prefix` refuses, a bundle that cannot be read or whose numbers do not
    fit the header's types, one without golden windows when they are asked for, and an output that cannot be written
    (what was there before then stays).
    """
    check_prefix(prefix)
    golden = switch(golden, "golden is not usable")
    if output is not None:
        check_same_kind(output, is_c, "C header")
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    text = "\n".join(_lines(loaded, prefix, golden=golden)) + "\n"
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


def _lines(bundle: Bundle, prefix: str, *, golden: bool) -> Iterator[str]:
    """The header's lines, without line ends."""
    yield from _opening(bundle, prefix)
    yield from _model(bundle, prefix)
    yield from _front_end(bundle.spec, prefix)
    yield from _score(bundle.calibration, prefix)
    number = detector_id(image(bundle))
    yield scalar(
        "uint32_t", prefix, "detector_id", number, "CRC-32 of this detector as gyrovae-tf flash-image writes it"
    )
    yield from _bytes(bundle.model, prefix)
    yield f"#define {prefix}_HAS_GOLDEN {int(golden)}"
    if golden:
        yield from _golden(bundle.golden, prefix)
    yield from ("", f"#undef {prefix}_CONST", "", f"#endif  // {prefix}_HEADER_INCLUDED")


def _opening(bundle: Bundle, prefix: str) -> Iterator[str]:
    # Macros keep the prefix as it is: in capitals, nn_model and NN_Model would share one include guard.
    versions = [f"//   {plain(name)} {plain(text)}" for name, text in sorted(bundle.versions.items())]
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
// include it in one. Do not copy the model to RAM: give {prefix}_tflite to tflite::GetModel as it is. The operators:
//
//   #define COUNT(method) +1
//   #define REGISTER(method) resolver.method();
//   tflite::MicroMutableOpResolver<0 {prefix}_FOR_EACH_OP_METHOD(COUNT)> resolver;
//   {prefix}_FOR_EACH_OP_METHOD(REGISTER)
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
    odd = [name for name in operators if name not in RESOLVER_METHODS]
    if odd or not operators:
        raise GyrovaeError(
            "the bundle's list of operators is not one that the firmware can register",
            expected="names of TensorFlow Lite operators that are in the contract, such as CONV_2D",
            received=", ".join(map(repr, odd[:3])) or "an empty list",
        )
    yield from title(
        "The model. Input: int8 [2, 32, 32, 3], image 0 the scalogram [band][cell][axis], image 1 the Markov",
        "transition field [i][j][axis], a pixel's value int8 / 32. Outputs: two of int8 [1, 32, 32, 3], first the",
        "scalogram's reconstruction, then the field's; their scale and zero point stand in the model's tensors.",
    )
    yield chars(prefix, "tflite_sha256", bundle.model_sha256, "SHA-256 of the model's bytes")
    yield from array("int32_t", prefix, "input_shape", [2, BANDS, CELLS, len(AXES)])
    yield scalar("float", prefix, "input_scale", 1 / PIXEL)
    yield scalar("int32_t", prefix, "input_zero_point", 0)
    yield from array("int32_t", prefix, "output_shape", [1, BANDS, CELLS, len(AXES)], "each of the two")
    yield from _arena(bundle.arena, prefix)
    yield scalar("int32_t", prefix, "ops_count", len(operators), "operators that the resolver must register:")
    yield f"{prefix}_CONST const char *const {prefix}_ops[{len(operators)}] = {{"
    yield from (f'  "{name}",' for name in operators)
    yield "};"
    yield "// The same as a macro, to generate the resolver with: X is called with each name."
    yield _each(f"{prefix}_FOR_EACH_OP", operators)
    yield "// With the names of the methods of tflite::MicroMutableOpResolver that register them: AddConv2D, ..."
    yield _each(f"{prefix}_FOR_EACH_OP_METHOD", [f"Add{RESOLVER_METHODS[name]}" for name in operators])


def _each(name: str, words: Sequence[str]) -> str:
    return f"#define {name}(X)" + "".join(f" \\\n  X({word})" for word in words)


def _arena(arena: Arena | None, prefix: str) -> Iterator[str]:
    host, scratch, suggested = (arena.host_bytes, arena.scratch_bytes, arena.suggested_bytes) if arena else (0, 0, 0)
    if arena:
        yield f"// The tensor arena, measured with {plain(arena.kernels)}. Method:"
        yield from textwrap.wrap(plain(arena.method), 118, initial_indent="//   ", subsequent_indent="//   ")
    else:
        yield "// The tensor arena was not measured: 0 stands for that."
    yield scalar("uint32_t", prefix, "arena_host_bytes", host, "the smallest that works on a 64-bit PC")
    yield scalar("uint32_t", prefix, "arena_scratch_bytes", scratch, "what ESP-NN's kernels want besides, an estimate")
    yield scalar("uint32_t", prefix, "arena_bytes", suggested, "to reserve, aligned to 16: both and a sixteenth")


def _golden(golden: Golden | None, prefix: str) -> Iterator[str]:
    if golden is None:
        raise GyrovaeError(
            "the bundle holds no golden windows to put into the header",
            remedy="Quantise again: gyrovae-tf quantize RUN/",
        )
    yield from title(
        "Golden windows for a self-test: what front end, model and score must make of them. The outputs are those of",
        f"the kernels {plain(golden.kernels)} ({plain(golden.version)}); other kernels may differ by a few steps in",
        "some of them, and then the score by little. The front end has no such freedom: the images are equal.",
    )
    yield scalar("int32_t", prefix, "golden_count", len(golden), "windows")
    inputs = golden.windows.reshape(len(golden), -1).tolist()
    yield from array("int16_t", prefix, "golden_inputs", inputs, "[window][sample, axis] counts; the axis varies first")
    images = [zlib.crc32(image.tobytes()) for image in golden.images]
    crc = "of the 6144 bytes of each window's images [2][32][32][3], as in zlib"
    yield from array("uint32_t", prefix, "golden_image_crc32", images, crc)
    outputs = golden.outputs.reshape(len(golden), 2, -1).tolist()
    yield from array("int8_t", prefix, "golden_outputs", outputs, "[window][output][byte] the model's two outputs")
    yield from array("float", prefix, "golden_scores", golden.scores.tolist())
    alarms = [int(score >= 1) for score in golden.scores.astype(np.float32)]
    yield from array("uint8_t", prefix, "golden_alarms", alarms, "1: the score is 1 or more")


def _front_end(spec: Spec, prefix: str) -> Iterator[str]:
    yield from title(
        "The front end: a window of int16 counts [window][axis] in, the model's input out, in integers throughout.",
        "The digest changes when any number of it does.",
    )
    yield chars(prefix, "spec_digest", spec.digest, "SHA-256 of the front end's numbers")
    yield from array("uint8_t", prefix, "spec_digest_bytes", list(bytes.fromhex(spec.digest)))
    yield scalar("int32_t", prefix, "spec_version", VERSION)
    yield scalar("int32_t", prefix, "window", spec.window, "samples")
    yield scalar("double", prefix, "rate_hz", spec.rate_hz, "samples a second")
    yield scalar("double", prefix, "lsb", spec.lsb, "units a count")
    yield chars(prefix, "units", spec.units)
    yield scalar("int32_t", prefix, "axes", len(AXES), "x, y, z")
    yield scalar("int32_t", prefix, "bands", BANDS, "wavelets, lowest frequency first")
    cells = "time cells of an image; power is that at sample ((2 * cell + 1) * window / 64) >> level of the octave"
    yield scalar("int32_t", prefix, "cells", CELLS, cells)
    yield scalar("int32_t", prefix, "signal_bits", SIGNAL_BITS, "bits of a window's largest magnitude once shifted")
    yield scalar("int32_t", prefix, "amplitude_shift", AMPLITUDE_SHIFT, "right shift of a wavelet's sum of products")
    yield scalar("int32_t", prefix, "fraction", FRACTION, "log powers are in 1 / fraction octave")
    yield scalar("int32_t", prefix, "pixel", PIXEL, "pixels a standard deviation")

    halves = [len(band.real) for band in spec.bands]
    offsets = np.cumsum([0, *(2 * half for half in halves)])[:-1].tolist()
    taps = [tap for band in spec.bands for tap in (*band.real, *band.imag)]
    yield from array("float", prefix, "band_hz", [b.center_hz for b in spec.bands], "centre frequencies, to report")
    yield from array("uint8_t", prefix, "band_level", [b.level for b in spec.bands], "octaves of decimation before it")
    yield from array("uint16_t", prefix, "band_taps_count", halves, "taps of one part, at lags 0 .. count - 1")
    yield from array("uint16_t", prefix, "band_taps_offset", offsets, "of its first tap in wavelet_taps")
    order = "for each band its real taps (even about lag 0), then its imaginary ones (odd)"
    yield from array("int16_t", prefix, "wavelet_taps", taps, order)
    yield from array("int16_t", prefix, "half_band", list(HALF_BAND), "low-pass of the octave pyramid, in 1/512")
    log2 = "fraction * log2(1 + i / 128), by the seven bits below the leading one"
    yield from array("uint8_t", prefix, "log2_table", list(LOG2_TABLE), log2)
    yield from array("int16_t", prefix, "power_floor", spec.power_floor, "[band] least log power that counts")
    yield from array("int16_t", prefix, "power_mean", spec.power_mean, "[axis][band] log power of normal motion")
    yield from array("int32_t", prefix, "power_gain", spec.power_gain, "[axis][band] pixels a log power, in 1/65536")
    yield scalar("int32_t", prefix, "field_levels", LEVELS, "amplitude levels")
    yield scalar("int32_t", prefix, "field_one", ONE, "a transition probability of 1")
    edges = "[axis][edge] in counts about the window's mean; a level starts at its edge"
    yield from array("int32_t", prefix, "field_edges", spec.field_edges, edges)
    yield scalar("int32_t", prefix, "field_shift", spec.field_shift, "right shift of a cell's sum")
    yield from array("int32_t", prefix, "field_mean", spec.field_mean, "[axis]")
    yield from array("int32_t", prefix, "field_gain", spec.field_gain, "[axis] pixels a unit, in 1/65536")


def _score(calibration: Calibration, prefix: str) -> Iterator[str]:
    yield from title(
        "The score, as the mean of what several views of a window add, over threshold; 1 is the alarm. Every view has",
        "the profiles of normal motion's regimes (codes: pixels; quarters and level in 1/256 octave, tilt in counts),",
        "a weight for each number of a profile. d = root mean square of mixing * ((profile - code) * weight), over the",
        "regime's scatter, for the regime where it is least; where a view has a residual_weight, d ^ 0.75 * r ^ 0.25",
        "instead, r the root mean square of (profile - reconstruction's profile) * residual_weight, both in pixels. It",
        "adds (d / center) ^ power.",
    )
    yield from array("uint16_t", prefix, "exp2_table", list(EXP2_TABLE), "1024 * 2^(i / 16), for powers of pixels")
    yield scalar("int32_t", prefix, "pixels_an_octave", PIXELS_AN_OCTAVE, "of a profile of powers")
    yield scalar("int32_t", prefix, "views", len(calibration.views), "so many add to the score")
    for name in OPTIONAL:
        has = int(name in calibration.views)
        yield f"#define {prefix}_HAS_{name.upper()} {has}  // a view that not every detector has"
    for name, view in calibration.views.items():
        yield from _view(name, view, prefix)
    for name in ("threshold", "false_alarm_rate"):
        if literals("float", name, [getattr(calibration, name)]) == ["0.0f"]:
            raise GyrovaeError(f"the calibration's {name} is 0 as a float32", received=getattr(calibration, name))
    yield scalar("float", prefix, "threshold", calibration.threshold)
    rate = "share of normal windows that the threshold lets through as alarms"
    yield scalar("float", prefix, "false_alarm_rate", calibration.false_alarm_rate, rate)
    rest = "normal windows, compared with what they were not fitted to, that the threshold rests on"
    yield scalar("int32_t", prefix, "held_back_windows", calibration.held_back_windows, rest)
    yield scalar("int32_t", prefix, "vote_alarms", calibration.vote_alarms, "an event: so many alarms ...")
    yield scalar("int32_t", prefix, "vote_windows", calibration.vote_windows, "... in so many consecutive windows")
    reach = "standard deviations from the mean of normal windows' log2 scores to the threshold: for another on site"
    yield scalar("float", prefix, "reach", calibration.reach, reach)


def _view(name: str, view: View, prefix: str) -> Iterator[str]:
    yield scalar("int32_t", prefix, f"{name}_regimes", len(view.codes), "rows of its codes")
    kind = "int16_t" if name in WIDE else "int8_t"
    yield from array(kind, prefix, f"{name}_codes", view.codes, "[regime][number], all of x first, then y, then z")
    yield from array("float", prefix, f"{name}_weight", view.weight)
    yield from array("float", prefix, f"{name}_scatter", view.scatter, "[regime]")
    yield f"#define {prefix}_{name}_HAS_MIXING {int(bool(view.mixing))}"
    if view.mixing:
        rows = [value for row in view.mixing for value in row]
        yield from array("float", prefix, f"{name}_mixing", rows, "lower triangle, row by row")
    if view.residual_weight:
        yield from array("float", prefix, f"{name}_residual_weight", view.residual_weight)
    for label, values in (("scatter", view.scatter), ("center", [view.center]), ("power", [view.power])):
        if "0.0f" in literals("float", name, values):
            raise GyrovaeError(f"the calibration's {name} has a {label} that is 0 as a float32", received=min(values))
    for label, value in (("center", view.center), ("power", view.power)):
        yield scalar("float", prefix, f"{name}_{label}", value)


def _bytes(model: bytes, prefix: str) -> Iterator[str]:
    if not model:
        raise GyrovaeError("the bundle's model is empty", remedy="Quantise again: gyrovae-tf quantize RUN/")
    yield from title("The model's bytes. Kernels read weights in place: 16-byte alignment is what the fastest ask for.")
    yield scalar("unsigned int", prefix, "tflite_len", len(model))
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
