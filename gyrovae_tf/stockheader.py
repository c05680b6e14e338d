"""A bundle for the stock firmware in, the nn_model.h that takes the place of its own out.

That firmware is C++, includes its header once, in app_main.cpp, and casts the array to void*: it must not be const.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.ctext import is_c
from gyrovae_tf.errors import GyrovaeError, atomic_write, check_same_kind
from gyrovae_tf.stockbundle import StockBundle, is_stock
from gyrovae_tf.stockspec import DEFAULTS, StockConstants
from gyrovae_tf.version import VERSION

NAME = "nn_model.h"
"""The file in examples/gyro_anomaly_detection_nn/main of Seeed-Studio/sscma-example-esp32."""
ARRAY = "nn_model_tflite"
_BYTES_A_LINE = 16
_ALIGNMENT = 16


def stock_header(bundle: StockBundle | str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> str:
    """A bundle (or the path of one, or of a run that holds one) in, the text of its header out; written to `output`.

    It defines `unsigned char nn_model_tflite[]` and `unsigned int nn_model_tflite_len`, as the firmware's own does.
    The array is aligned to 16 bytes, which its kernels need and its own header leaves to chance. `GyrovaeError` for a
    detector that is for our own firmware.
    """
    if output is not None:
        check_same_kind(output, is_c, "C header")
    bundle = bundle if isinstance(bundle, StockBundle) else _loaded(bundle)
    text = "\n".join([*_lines(bundle), ""])
    if output is not None:
        atomic_write(output, text)
    return text


def check_ours(path: str | os.PathLike[str]) -> None:
    """Refuse a bundle for the stock firmware, or a run that holds one: our firmware has another front end."""
    if is_stock(path):
        raise GyrovaeError(
            f"{path} was trained for Seeed's stock firmware, and ours computes other images",
            expected="a detector on the power front end",
            received="the stock front end",
            remedy="Write its header with --flavour stock, or preprocess without --frontend stock and train again.",
        )


def edits(constants: StockConstants) -> list[str]:
    """Constants in, the lines of app_main.cpp that they need there in place of its own out; none for the defaults."""
    lines = []
    for macro, name in _MACROS.items():
        value = getattr(constants, name)
        if value == getattr(DEFAULTS, name):
            continue
        if isinstance(value, tuple):
            lines += [f"#define {macro} \\", "    { " + ", ".join(map(repr, value)) + " }"]
        else:
            lines.append(f"#define {macro} {value!r}")
    return lines


_MACROS = {
    "GEDAD_RESCALE_SQUEEZE": "squeeze",
    "GEDAD_RESCALE_EXPAND": "expand",
    "GEDAD_CUTOFF_FREQ": "cutoff_hz",
    "GEDAD_NUM_TAPS": "taps",
    "GEDAD_MTF_BINS": "bins",
    "GEDAD_CWT_SCALE_START": "scale_start",
    "GEDAD_CWT_SCALE_SETP": "scale_step",
    "GEDAD_STD": "std",
    "GEDAD_MEAN": "mean",
}
"""Macro of app_main.cpp (spelled as there) -> the constant that it is."""


def _loaded(path: str | os.PathLike[str] | Bundle) -> StockBundle:
    if isinstance(path, Bundle) or not is_stock(path):
        what = "the detector" if isinstance(path, Bundle) else path
        raise GyrovaeError(
            f"{what} was trained for our own firmware, and the stock one computes other images",
            expected="a detector on the stock front end",
            received="the power front end",
            remedy="Preprocess with --frontend stock and train again, or leave --flavour stock out.",
        )
    return StockBundle.load(path)


def _lines(bundle: StockBundle) -> Iterator[str]:
    first, second = bundle.calibration.console
    constants = edits(bundle.spec.constants)
    yield f"// nn_model.h for examples/gyro_anomaly_detection_nn of sscma-example-esp32, made by gyrovae-tf {VERSION}."
    yield "//"
    yield f"// spec {bundle.spec.digest}"
    yield f"// model {bundle.model_sha256}"
    yield '// "Predict results: a b" on the console is an alarm where'
    yield f"// a <= {first.low_db:.2f} or a >= {first.high_db:.2f}, or"
    yield f"// b <= {second.low_db:.2f} or b >= {second.high_db:.2f}."
    if constants:
        yield "// In app_main.cpp these lines have to stand in place of its own:"
        # On one line each: a backslash at its end would make what follows a comment, too.
        whole = "\n".join(constants).replace(" \\\n   ", "")
        yield from (f"//     {line}" for line in whole.splitlines())
    else:
        yield "// Nothing in app_main.cpp has to be edited."
    yield "#pragma once"
    yield ""
    yield f"unsigned char {ARRAY}[] __attribute__((aligned({_ALIGNMENT}))) = {{"
    for start in range(0, len(bundle.model), _BYTES_A_LINE):
        yield "  " + " ".join(f"0x{value:02x}," for value in bundle.model[start : start + _BYTES_A_LINE])
    yield "};"
    yield f"unsigned int {ARRAY}_len = {len(bundle.model)};"
