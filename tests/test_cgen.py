"""The header: what compilers make of it, number by number, against the bundle that it was generated from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf import contract
from gyrovae_tf.arena import Arena
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import SIZES, WIDE, Calibration, View
from gyrovae_tf.cgen import KEYWORDS, LONGEST_PREFIX, RESOLVER_METHODS, check_prefix, emit_header
from gyrovae_tf.ctext import scalar
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.flash import image
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.scalogram import LOG2_TABLE
from gyrovae_tf.spec import HALF_BAND, Spec

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef"]
OPS = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def row(first: float, step: float, count: int) -> tuple[float, ...]:
    """float32 numbers: first, first + step, ..."""
    return tuple(float(v) for v in (first + step * np.arange(count)).astype(np.float32))


def view(name: str, regimes: int, step: int, *, mixed: bool = False) -> View:
    """A view of which every table differs; codes reach both ends of their range."""
    size, largest = SIZES[name], 32767 if name in WIDE else 127
    seed = list(SIZES).index(name)
    codes = [tuple((regime + step * i) % (2 * largest + 1) - largest for i in range(size)) for regime in range(regimes)]
    codes[0] = (largest, -largest, *codes[0][2:])
    triangle = row(-1.0 - seed, 0.01, size * (size + 1) // 2)
    return View(
        codes=tuple(codes),
        weight=row(1e-6 * (seed + 1), 1e-8, size),
        scatter=row(0.7, 0.1, regimes),
        mixing=tuple(triangle[i * (i + 1) // 2 : (i + 1) * (i + 2) // 2] for i in range(size)) if mixed else (),
        residual_weight=row(0.3, 1e-3, size) if name == "rhythm" else (),
        center=row(1.5 + seed, 0, 1)[0],
        power=row(0.7 + seed, 0, 1)[0],
    )


CALIBRATION = Calibration(
    bands=view("bands", 3, 7),
    groups=view("groups", 2, 5, mixed=True),
    quarters=view("quarters", 3, 700),
    rhythm=view("rhythm", 4, 3),
    level=view("level", 2, 900, mixed=True),
    tilt=None,
    threshold=float(np.float32(1.7)),
    false_alarm_rate=float(np.float32(0.001)),
    held_back_windows=1234,
    vote_alarms=3,
    vote_windows=5,
)
TILTED = dataclasses.replace(CALIBRATION, tilt=view("tilt", 1, 11, mixed=True))


def spec(window: int = 64) -> Spec:
    windows = np.random.default_rng(7).integers(-3000, 3000, (4, window, 3)).astype(np.int16)
    return fit(windows, rate_hz=104.7, lsb=0.002, units="m/s^2")


SPEC = spec()
ARENA = Arena(31000, 5600, "tflite-micro 1", "measured")
MODEL = b"\x1c\x00\x00\x00TFL3" + np.random.default_rng(8).bytes(1500) + bytes(range(256))
BUNDLE = Bundle(MODEL, SPEC, CALIBRATION, OPS, ARENA, {"auroc": 0.9}, {"tensorflow": "2.21.0", "numpy": "2.4.6"})
ODD_UNITS = dataclasses.replace(SPEC, units='"µ??/\\% g*/')


@pytest.fixture(params=["gcc", "clang"])
def c(request: pytest.FixtureRequest) -> Callable[..., Path]:
    return compiler(request.param)


@pytest.fixture(params=["g++", "clang++"])
def cpp(request: pytest.FixtureRequest) -> Callable[..., Path]:
    return compiler(request.param)


@pytest.fixture
def gpp() -> Callable[..., Path]:
    return compiler("g++")


def compiler(name: str) -> Callable[..., Path]:
    """A function that compiles and links {file name: text} in a folder and returns the program's path."""
    found = shutil.which(name)
    if found is None:
        message = f"no {name} here to compile the header with"
        if os.environ.get("CI") and name.startswith("g"):
            pytest.fail(message)
        pytest.skip(message)

    def build(folder: Path, standard: str, sources: dict[str, str], *flags: str) -> Path:
        for file, text in sources.items():
            (folder / file).write_text(text, encoding="utf-8")
        units = [file for file in sources if not file.endswith(".h")]
        command = [found, f"-std={standard}", *WARNINGS, *flags, *units, "-o", "program"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder / "program"

    return build


def run(program: Path) -> str:
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def names(header: str) -> dict[str, str]:
    """What a header defines: each name's type."""
    found = re.findall(r"^(?:alignas\(16\) )?\w+_CONST const (.+?)\b(\w+)(?:\[\w*\])* = ", header, re.MULTILINE)
    return {name: kind.strip() for kind, name in found}


# --- numbers ------------------------------------------------------------------------------------------------


def printed(folder: Path, build: Callable[..., Path], bundle: Bundle) -> dict[str, Any]:
    """Every name of the header without its prefix, with what a C++ program that includes it finds there.

    Numbers come as flat lists of Python numbers (floats by their bits), strings as str.
    """
    header = emit_header(bundle)
    program = """
        #include "nn_model.h"
        #include <cstdio>
        #include <cstring>
        #include <type_traits>
        template <class T> void show(const T& v) {
          if constexpr (std::is_array_v<T>) { for (const auto& e : v) show(e); }
          else if constexpr (std::is_same_v<T, float>) { uint32_t b; std::memcpy(&b, &v, 4); std::printf(" f%u", b); }
          else if constexpr (std::is_same_v<T, double>) { std::printf(" %a", v); }
          else if constexpr (std::is_same_v<T, const char*>) { std::printf(" %s", v); }
          else { std::printf(" %lld", static_cast<long long>(v)); }
        }
        int main() {
    """
    for name in names(header):
        program += f'std::printf("{name}"); show({name}); std::printf("\\n");\n'
    text = run(build(folder, "c++17", {"nn_model.h": header, "main.cpp": program + "}"}))

    def number(word: str) -> Any:
        if word.startswith("f"):
            return float(np.uint32(int(word[1:])).view(np.float32))
        if "0x" in word:
            return float.fromhex(word)
        return int(word) if re.fullmatch(r"-?\d+", word) else word

    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, *words = line.split(" ")
        found[name.removeprefix("nn_model_")] = [number(word) for word in words]
    for name in ("tflite_sha256", "spec_digest", "units"):
        assert found[name].pop() == 0
        found[name] = bytes(v % 256 for v in found[name]).decode()
    return found


def flat(nested: Any) -> list[Any]:
    return [v for part in nested for v in flat(part)] if isinstance(nested, tuple) else [nested]


def in_header(name: str, view: View) -> dict[str, list[Any]]:
    """What a program finds of a view."""
    tables = {
        "codes": view.codes,
        "weight": view.weight,
        "scatter": view.scatter,
        "mixing": view.mixing,
        "residual_weight": view.residual_weight,
    }
    found = {f"{name}_{table}": flat(values) for table, values in tables.items() if values}
    return {
        **found,
        f"{name}_regimes": [len(view.codes)],
        f"{name}_center": [view.center],
        f"{name}_power": [view.power],
    }


def test_a_compiled_program_finds_every_number_of_the_bundle(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    found = printed(tmp_path, gpp, BUNDLE)
    assert bytes(found["tflite"]) == MODEL
    expected: dict[str, Any] = {
        "tflite_len": [len(MODEL)],
        "tflite_sha256": hashlib.sha256(MODEL).hexdigest(),
        "input_shape": [2, 32, 32, 3],
        "input_scale": [1 / 32],
        "input_zero_point": [0],
        "output_shape": [1, 32, 32, 3],
        "arena_host_bytes": [31000],
        "arena_scratch_bytes": [5600],
        "arena_bytes": [38896],  # 36,600 * 17 / 16 = 38,887.5
        "ops_count": [3],
        "ops": ["CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"],
        # the front end
        "spec_digest": SPEC.digest,
        "spec_digest_bytes": list(bytes.fromhex(SPEC.digest)),
        "spec_version": [1],
        "window": [64],
        "rate_hz": [104.7],
        "lsb": [0.002],
        "units": "m/s^2",
        "axes": [3],
        "bands": [32],
        "cells": [32],
        "signal_bits": [14],
        "amplitude_shift": [6],
        "fraction": [256],
        "pixel": [32],
        "band_hz": [float(np.float32(band.center_hz)) for band in SPEC.bands],
        "band_level": [band.level for band in SPEC.bands],
        "half_band": list(HALF_BAND),
        "log2_table": list(LOG2_TABLE),
        "power_floor": flat(SPEC.power_floor),
        "power_mean": flat(SPEC.power_mean),
        "power_gain": flat(SPEC.power_gain),
        "field_levels": [8],
        "field_one": [32768],
        "field_edges": flat(SPEC.field_edges),
        "field_shift": [SPEC.field_shift],
        "field_mean": flat(SPEC.field_mean),
        "field_gain": flat(SPEC.field_gain),
        # the score
        "threshold": [float(np.float32(1.7))],
        "exp2_table": [round(1024 * 2 ** (i / 16)) for i in range(16)],
        "pixels_an_octave": [16],
        "views": [5],
        **in_header("bands", CALIBRATION.bands),
        **in_header("groups", CALIBRATION.groups),
        **in_header("quarters", CALIBRATION.quarters),
        **in_header("rhythm", CALIBRATION.rhythm),
        **in_header("level", CALIBRATION.level),
        "false_alarm_rate": [float(np.float32(0.001))],
        "held_back_windows": [1234],
        "reach": [3.0],
        "detector_id": [zlib.crc32(image(BUNDLE))],
        "vote_alarms": [3],
        "vote_windows": [5],
    }
    assert {name: found[name] for name in expected} == expected
    # The wavelets: for band b, count real taps from its offset, then count imaginary ones.
    counts, offsets, taps = found["band_taps_count"], found["band_taps_offset"], found["wavelet_taps"]
    for band, count, offset in zip(SPEC.bands, counts, offsets, strict=True):
        assert tuple(taps[offset : offset + count]) == band.real
        assert tuple(taps[offset + count : offset + 2 * count]) == band.imag
    assert len(taps) == 2 * sum(counts)
    assert set(found) == set(expected) | {"tflite", "band_taps_count", "band_taps_offset", "wavelet_taps"}


def test_a_tilt_is_a_sixth_view(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    assert not [name for name in names(emit_header(BUNDLE)) if "tilt" in name]
    for has, bundle in enumerate((BUNDLE, dataclasses.replace(BUNDLE, calibration=TILTED))):
        assert f"#define nn_model_HAS_TILT {has} " in emit_header(bundle)
    found = printed(tmp_path, gpp, dataclasses.replace(BUNDLE, calibration=TILTED))
    assert TILTED.tilt is not None
    expected = {"views": [6], **in_header("tilt", TILTED.tilt), **in_header("level", TILTED.level)}
    assert {name: found[name] for name in expected} == expected
    assert found["tilt_codes"][:2] == [32767, -32767]


def test_a_detector_of_before_the_quarters_has_none(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    bundle = dataclasses.replace(BUNDLE, calibration=dataclasses.replace(CALIBRATION, quarters=None))
    assert not [name for name in names(emit_header(bundle)) if "quarters" in name]
    for has, one in enumerate((bundle, BUNDLE)):
        assert f"#define nn_model_HAS_QUARTERS {has} " in emit_header(one)
    assert printed(tmp_path, gpp, bundle)["views"] == [4]


def test_codes_are_arrays_by_regime(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    """[regime][number]: number 32 of the bands is the first of y."""
    codes = CALIBRATION.bands.codes
    main = (
        UNIT
        + f'static_assert(nn_model_bands_codes[2][32] == {codes[2][32]}, "");\n'
        + 'static_assert(sizeof(nn_model_bands_codes) == 3 * 96 && sizeof(nn_model_rhythm_codes) == 4 * 96, "");\n'
        + 'static_assert(sizeof(nn_model_level_codes) == 2 * 3 * 2, "");\n'
        + 'static_assert(sizeof(nn_model_groups_mixing) == 4 * 24 * 25 / 2, "");\n'
        + "int main() { return 0; }\n"
    )
    gpp(tmp_path, "c++17", {"nn_model.h": emit_header(BUNDLE), "b.cpp": main})


def test_c_finds_the_same_numbers_as_cpp(tmp_path: Path, c: Callable[..., Path]) -> None:
    main = (
        UNIT
        + "#include <stdio.h>\nint main(void) {\n"
        + "  for (int i = 0; i < 3; ++i)\n"
        + '    printf("%d %a ", nn_model_level_codes[1][i], (double)nn_model_level_weight[i]);\n'
        + '  printf("%d %a", nn_model_groups_codes[0][1], (double)nn_model_groups_mixing[299]);\n'
        + "  return 0;\n}\n"
    )
    words = run(c(tmp_path, "c11", {"nn_model.h": emit_header(BUNDLE), "a.c": main})).split()
    level, groups = CALIBRATION.level, CALIBRATION.groups
    assert [int(word) for word in words[:6:2]] == list(level.codes[1])
    assert [float.fromhex(word) for word in words[1:6:2]] == list(level.weight)
    assert (int(words[6]), float.fromhex(words[7])) == (-127, groups.mixing[23][23])


def test_the_score_s_tables_take_what_the_calibration_says(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    header = emit_header(dataclasses.replace(BUNDLE, calibration=TILTED))
    kinds = ("codes", "weight", "scatter", "mixing", "residual_weight", "center", "power")
    found = [name for name in names(header) if name.removeprefix("nn_model_").split("_", 1)[-1] in kinds]
    tables = [name for name in found if name.removeprefix("nn_model_").split("_", 1)[0] in SIZES]
    assert len(tables) == 6 * 5 + 3 + 1
    main = UNIT + '#include <cstdio>\nint main() { std::printf("%zu", ' + " + ".join(f"sizeof({n})" for n in tables)
    program = gpp(tmp_path, "c++17", {"nn_model.h": header, "b.cpp": main + "); }\n"})
    assert run(program) == str(TILTED.table_bytes)


def test_types_are_the_smallest_that_every_fitted_spec_fits() -> None:
    types = names(emit_header(BUNDLE))
    assert types["nn_model_tflite"] == "unsigned char"
    assert types["nn_model_tflite_len"] == "unsigned int"
    assert types["nn_model_wavelet_taps"] == types["nn_model_power_mean"] == "int16_t"
    assert types["nn_model_level_codes"] == types["nn_model_quarters_codes"] == "int16_t"
    assert {types[f"nn_model_{name}_codes"] for name in ("bands", "groups", "rhythm")} == {"int8_t"}
    assert types["nn_model_exp2_table"] == "uint16_t"
    assert types["nn_model_log2_table"] == types["nn_model_band_level"] == "uint8_t"
    assert types["nn_model_field_edges"] == types["nn_model_power_gain"] == "int32_t"
    assert types["nn_model_bands_weight"] == types["nn_model_groups_mixing"] == types["nn_model_threshold"] == "float"
    assert names(emit_header(dataclasses.replace(BUNDLE, spec=spec(1024)))) == types


def test_the_extremes_of_float32_and_of_the_tables_come_through(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    extremes = [0.0, -0.0, 1e-45, -(2.0**-126), 2.0**24 + 2, 3.4028234663852886e38, 1 / 3, 0.1, -1e16]
    odd = tuple(float(np.float32(v)) for v in (extremes * 11)[:96])
    calibration = dataclasses.replace(CALIBRATION, bands=dataclasses.replace(CALIBRATION.bands, weight=odd))
    wide = ((-131072, -65536, -1, 0, 1, 65536, 131072),) * 3
    loud = dataclasses.replace(SPEC, field_edges=wide, power_gain=((65536,) * 32,) * 3, power_floor=(-14080,) * 32)
    bundle = dataclasses.replace(BUNDLE, calibration=calibration, spec=loud, arena=None)
    found = printed(tmp_path, gpp, bundle)
    assert np.array(found["bands_weight"], np.float32).tobytes() == np.array(odd, np.float32).tobytes()
    assert found["field_edges"] == flat(wide)
    assert found["power_gain"] == [65536] * 96
    assert found["power_floor"] == [-14080] * 32
    assert found["arena_bytes"] == found["arena_host_bytes"] == found["arena_scratch_bytes"] == [0], "not measured"


def test_a_number_that_is_no_float32_is_rounded_to_the_nearest() -> None:
    header = emit_header(dataclasses.replace(BUNDLE, calibration=dataclasses.replace(CALIBRATION, threshold=0.1)))
    assert "const float nn_model_threshold = 0.1f;" in header
    assert "const float nn_model_input_scale = 0.03125f;" in header


@pytest.mark.parametrize(
    ("kind", "low", "high", "suffix"),
    [
        ("int8_t", -128, 127, ""),
        ("uint8_t", 0, 255, ""),
        ("int16_t", -32768, 32767, ""),
        ("uint16_t", 0, 65535, ""),
        ("int32_t", -2147483648, 2147483647, ""),
        ("uint32_t", 0, 4294967295, "u"),
        ("unsigned int", 0, 4294967295, "u"),
    ],
)
def test_a_type_holds_its_own_numbers_and_no_others(kind: str, low: int, high: int, suffix: str) -> None:
    for number in (low, high):
        assert scalar(kind, "fan", "number", number) == f"fan_CONST const {kind} fan_number = {number}{suffix};"
    for number in (low - 1, high + 1, 1.0):
        with pytest.raises(GyrovaeError, match=f"number does not fit the header; expected integers from {low} to"):
            scalar(kind, "fan", "number", number)


def test_text_that_would_end_a_string_or_a_comment_does_not(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    odd = dataclasses.replace(BUNDLE, spec=ODD_UNITS, versions={"a\\": "1\n#error ??/ */ \\"})
    assert printed(tmp_path, gpp, odd)["units"] == '"µ??/\\% g*/'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ops": ("CUSTOM:my op",)}, "CUSTOM:my op"),
        ({"ops": ("CONV_2D", "SOFTMAX")}, "received 'SOFTMAX'"),
        ({"ops": ()}, "an empty list"),
        ({"model": b""}, "model is empty"),
        ({"calibration": dataclasses.replace(CALIBRATION, threshold=1e-50)}, "threshold is 0 as a float32"),
        ({"calibration": dataclasses.replace(CALIBRATION, false_alarm_rate=1e-50)}, "rate is 0 as a float32"),
        (
            {
                "calibration": dataclasses.replace(
                    CALIBRATION, level=dataclasses.replace(CALIBRATION.level, power=1e-50)
                )
            },
            "level has a power that is 0 as a float32",
        ),
        (
            {
                "calibration": dataclasses.replace(
                    CALIBRATION, bands=dataclasses.replace(CALIBRATION.bands, center=1e-50)
                )
            },
            "bands has a center that is 0 as a float32",
        ),
        (
            {
                "calibration": dataclasses.replace(
                    CALIBRATION, bands=dataclasses.replace(CALIBRATION.bands, scatter=(1.0, 1e-50, 1.0))
                )
            },
            "bands has a scatter that is 0 as a float32",
        ),
    ],
)
def test_what_the_header_cannot_hold_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        emit_header(dataclasses.replace(BUNDLE, **change))


# --- compilers ----------------------------------------------------------------------------------------------

# Includes the header twice in the file itself, then shares the model with a second file.
UNIT = '#include "nn_model.h"\n#include "nn_model.h"\n'
SHARED = UNIT + "const unsigned char *model(void);\nconst unsigned char *model(void) { return nn_model_tflite; }\n"
MAIN = (
    UNIT
    + "#include <stdio.h>\nconst unsigned char *model(void);\n"
    # Compilers align large arrays of their own accord: what was asked for is __alignof__.
    + "int main(void) {\n"
    + '  printf("%d ", (int)__extension__ __alignof__(nn_model_tflite));\n'
    + '  printf("%d %d %u", (int)((uintptr_t)nn_model_tflite % 16), model() == nn_model_tflite, nn_model_tflite_len);\n'
    + "  return 0;\n}\n"
)


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
def test_two_files_of_cpp_share_one_aligned_model(tmp_path: Path, cpp: Callable[..., Path], optimise: str) -> None:
    sources = {"nn_model.h": emit_header(BUNDLE), "a.cpp": SHARED, "b.cpp": MAIN}
    assert run(cpp(tmp_path, "c++17", sources, optimise)) == f"16 0 1 {len(MODEL)}"


@pytest.mark.parametrize("standard", ["c11", "c17"])
def test_it_is_c(tmp_path: Path, c: Callable[..., Path], standard: str) -> None:
    sources = {"nn_model.h": emit_header(BUNDLE), "a.c": SHARED, "b.c": MAIN}
    # In C every file has its own copy, aligned as well.
    assert run(c(tmp_path, standard, sources)) == f"16 0 0 {len(MODEL)}"


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++20", "gnu++20"])
def test_it_compiles_as_the_cpp_of_other_firmwares(tmp_path: Path, cpp: Callable[..., Path], standard: str) -> None:
    sources = {"nn_model.h": emit_header(BUNDLE), "b.cpp": UNIT + "int main() { return 0; }\n"}
    cpp(tmp_path, standard, sources, "-Wold-style-cast")


def test_numbers_are_constants_that_the_compiler_can_check(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    checks = """
        static_assert(nn_model_window == 64 && nn_model_bands == 32, "");
        static_assert(sizeof(nn_model_power_mean) == sizeof(int16_t) * nn_model_axes * nn_model_bands, "");
        static_assert(nn_model_half_band[5] == 256 && nn_model_tflite[4] == 'T', "");
        constexpr int count() { int n = 0;
        #define ADD(op) ++n;
          nn_model_FOR_EACH_OP(ADD)
        #undef ADD
          return n; }
        static_assert(count() == nn_model_ops_count && count() == 3, "");
        #define COUNT(method) +1
        static_assert(0 nn_model_FOR_EACH_OP_METHOD(COUNT) == nn_model_ops_count, "");
        static_assert(nn_model_arena_bytes >= nn_model_arena_host_bytes + nn_model_arena_scratch_bytes, "");
        static_assert(nn_model_arena_bytes % 16 == 0, "");
        int main() { return 0; }
    """
    gpp(tmp_path, "c++17", {"nn_model.h": emit_header(BUNDLE), "b.cpp": UNIT + checks})


# A resolver with the methods' names in TFLM's micro_mutable_op_resolver.h, and the example of the header's opening.
RESOLVER = """
    #include <cstdio>
    template <unsigned n> struct MicroMutableOpResolver {
      unsigned used = 0;
      int add(const char *name) { std::printf("%s ", name); return ++used <= n ? 0 : 1; }
      int AddConv2D() { return add("Conv2D"); }
      int AddFullyConnected() { return add("FullyConnected"); }
      int AddTransposeConv() { return add("TransposeConv"); }
    };
    #define COUNT(method) +1
    #define REGISTER(method) failed += resolver.method();
    int main() {
      int failed = 0;
      MicroMutableOpResolver<0 nn_model_FOR_EACH_OP_METHOD(COUNT)> resolver;
      nn_model_FOR_EACH_OP_METHOD(REGISTER)
      std::printf("%d", failed);
    }
"""


def test_the_resolver_is_filled_from_the_header(tmp_path: Path, gpp: Callable[..., Path]) -> None:
    program = gpp(tmp_path, "c++17", {"nn_model.h": emit_header(BUNDLE), "b.cpp": UNIT + RESOLVER})
    assert run(program) == "Conv2D FullyConnected TransposeConv 0"


def test_every_operator_of_the_contract_can_be_registered() -> None:
    assert set(RESOLVER_METHODS) == set(contract.OPS)
    for name, method in RESOLVER_METHODS.items():
        assert method.upper() == name.replace("_", "")
    header = emit_header(dataclasses.replace(BUNDLE, ops=contract.OPS))
    assert [f"Add{RESOLVER_METHODS[op]}" for op in contract.OPS] == re.findall(
        r"^  X\((Add\w+)\)", header, re.MULTILINE
    )


# --- golden windows -----------------------------------------------------------------------------------------


def golden(count: int = 3) -> Golden:
    """Windows of noise that reach both ends of every type; scores just below, at and above the alarm."""
    rng = np.random.default_rng(9)
    windows = rng.integers(-32768, 32768, (count, 64, 3)).astype(np.int16)
    images, outputs = (rng.integers(-128, 128, (2, count, 2, 32, 32, 3))).astype(np.int8)
    windows[0, 0], outputs[0, 0, 0, 0] = (-32768, 32767, 0), (-128, 127, 0)
    return Golden(windows, images, outputs, np.array([0.999, 1.0, 1e6, 3.7])[:count], "tflm", "tflite-micro ??/ 1*/\\")


SELF_TEST = (
    '#include "nn_model.h"\n#include <stdio.h>\n'
    "#if !nn_model_HAS_GOLDEN\n#error no golden windows\n#endif\n"
    "int main(void) {\n"
    "  for (int i = 0; i < nn_model_golden_count; ++i) {\n"
    "    fwrite(nn_model_golden_inputs[i], 1, sizeof nn_model_golden_inputs[i], stdout);\n"
    "    fwrite(&nn_model_golden_image_crc32[i], 1, 4, stdout);\n"
    "    fwrite(nn_model_golden_outputs[i][0], 1, sizeof nn_model_golden_outputs[i][0], stdout);\n"
    "    fwrite(nn_model_golden_outputs[i][1], 1, sizeof nn_model_golden_outputs[i][1], stdout);\n"
    "    fwrite(&nn_model_golden_scores[i], 1, 4, stdout);\n"
    "    fwrite(&nn_model_golden_alarms[i], 1, 1, stdout);\n"
    "  }\n  return 0;\n}\n"
)


@pytest.mark.parametrize("language", ["c11", "c++17"])
def test_a_self_test_finds_every_byte_of_the_golden_windows(tmp_path: Path, language: str) -> None:
    made = golden()
    header = emit_header(dataclasses.replace(BUNDLE, golden=made), golden=True)
    build = compiler("gcc" if language == "c11" else "g++")
    program = build(tmp_path, language, {"nn_model.h": header, "a.c" if language == "c11" else "a.cpp": SELF_TEST})
    expected = b"".join(
        made.windows[i].tobytes()
        + zlib.crc32(made.images[i].tobytes()).to_bytes(4, "little")
        + made.outputs[i].tobytes()
        + np.float32(made.scores[i]).tobytes()
        + bytes([(0, 1, 1)[i]])
        for i in range(3)
    )
    assert subprocess.run([program], check=True, capture_output=True).stdout == expected


def test_without_being_asked_for_they_are_not_in_the_header() -> None:
    bundle = dataclasses.replace(BUNDLE, golden=golden())
    assert re.findall(".*golden.*", emit_header(bundle).lower()) == ["#define nn_model_has_golden 0"]
    assert max(map(len, emit_header(bundle, golden=True).splitlines())) <= 160


def test_windows_that_are_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match="holds no golden windows to put into the header\nQuantise again"):
        emit_header(BUNDLE, tmp_path / "nn_model.h", golden=True)
    assert list(tmp_path.iterdir()) == []


def test_two_models_fit_one_file_even_if_their_prefixes_differ_in_case_only(
    tmp_path: Path, gpp: Callable[..., Path], c: Callable[..., Path]
) -> None:
    longest = "p" * LONGEST_PREFIX
    one = emit_header(BUNDLE, prefix="fan")
    other = emit_header(dataclasses.replace(BUNDLE, model=b"abc"), prefix="FAN")
    third = emit_header(BUNDLE, prefix=longest)
    main = (
        '#include "1.h"\n#include "2.h"\n#include "3.h"\n#include <stdio.h>\n'
        f'int main(void) {{ printf("%u %u %u", fan_tflite_len, FAN_tflite_len, {longest}_tflite_len); return 0; }}\n'
    )
    sources = {"1.h": one, "2.h": other, "3.h": third}
    assert run(gpp(tmp_path, "c++17", {**sources, "a.cpp": main})) == f"{len(MODEL)} 3 {len(MODEL)}"
    assert run(c(tmp_path, "c11", {**sources, "a.c": main})) == f"{len(MODEL)} 3 {len(MODEL)}"


def test_no_prefix_makes_the_names_of_another() -> None:
    # fan_x + lsb would be fan + x_lsb: so no name may end with another one.
    header = emit_header(dataclasses.replace(BUNDLE, calibration=TILTED, golden=golden()), prefix="fan", golden=True)
    suffixes = {name.removeprefix("fan_") for name in names(header)}
    suffixes |= set(re.findall(r"#define fan_(\w+)", header))
    assert {"HEADER_INCLUDED", "CONST", "FOR_EACH_OP", "golden_outputs", "tflite", "lsb"} <= suffixes
    assert not [(a, b) for a in suffixes for b in suffixes if a.endswith("_" + b)]
    assert max(map(len, suffixes)) + 1 + LONGEST_PREFIX <= 63, "C11 tells names apart by 63 characters"
    assert "nn_model" not in header


# --- prefixes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["nn_model", "a", "A1", "fan_2_north", "Int", "p" * LONGEST_PREFIX])
def test_an_identifier_is_a_prefix(prefix: str) -> None:
    assert f"unsigned char {prefix}_tflite[{len(MODEL)}] = {{" in emit_header(BUNDLE, prefix=prefix)


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("", "identifier"),
        ("1a", "identifier"),
        ("a-b", "identifier"),
        ("a b", "identifier"),
        (" a", "identifier"),
        ("a\n", "identifier"),
        ("a;", "identifier"),
        ("ümlaut", "identifier"),
        ("a٣", "identifier"),
        ("_x", "identifier"),
        ("_X", "identifier"),
        ("_", "identifier"),
        ("__a", "identifier"),
        ("a__b", "two underscores"),
        ("a_", "two underscores"),
        ("int", "keyword"),
        ("restrict", "keyword"),
        ("class", "keyword"),
        ("xor_eq", "keyword"),
        ("constexpr", "keyword"),
        ("p" * (LONGEST_PREFIX + 1), "41 characters"),
    ],
)
def test_any_other_prefix_is_refused_and_named(prefix: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=reason) as caught:
        emit_header(BUNDLE, tmp_path / "nn_model.h", prefix=prefix)
    assert repr(prefix) in str(caught.value)
    assert "letter" in str(caught.value)
    assert "nn_model" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=12), st.text(alphabet="ab_XY19-", max_size=6), st.sampled_from(sorted(KEYWORDS))))
def test_an_accepted_prefix_is_an_identifier_that_nobody_reserves(prefix: str) -> None:
    lawful = re.fullmatch(r"[a-zA-Z](_?[a-zA-Z0-9])*", prefix) is not None and prefix not in KEYWORDS
    try:
        check_prefix(prefix)
    except GyrovaeError:
        assert not lawful
    else:
        assert lawful


# --- files --------------------------------------------------------------------------------------------------


def test_the_same_bundle_gives_the_same_text_wherever_it_lies(tmp_path: Path) -> None:
    text = emit_header(BUNDLE)
    BUNDLE.save(tmp_path / "run" / "fan.gyrovae")
    shutil.copytree(tmp_path / "run", tmp_path / "elsewhere")
    assert emit_header(tmp_path / "run" / "fan.gyrovae", tmp_path / "1.h") == text
    assert emit_header(str(tmp_path / "elsewhere"), str(tmp_path / "sub" / "2.h")) == text, "a run that holds a bundle"
    assert (tmp_path / "1.h").read_bytes() == (tmp_path / "sub" / "2.h").read_bytes() == text.encode("ascii")
    assert str(tmp_path) not in text
    assert emit_header(dataclasses.replace(BUNDLE, metrics={})) == text, "figures for people do not count"


def test_the_text_says_what_it_is_and_what_made_it() -> None:
    header = emit_header(BUNDLE)
    opening = header[: header.index("#ifndef")]
    assert "Generated by gyrovae-tf" in opening
    assert "alignas(16) const unsigned char nn_model_tflite[];" in opening
    assert "//   numpy 2.4.6\n//   tensorflow 2.21.0\n" in opening
    assert max(map(len, header.splitlines())) <= 160
    assert not [line for line in header.splitlines() if line != line.rstrip()]


def test_an_output_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "folder", tmp_path / "file" / "nn_model.h"):
        with pytest.raises(GyrovaeError, match="cannot write"):
            emit_header(BUNDLE, output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_refused_bundle_leaves_the_header_that_was_there(tmp_path: Path) -> None:
    output = tmp_path / "nn_model.h"
    emit_header(BUNDLE, output)
    before = output.read_bytes()
    with pytest.raises(GyrovaeError):
        emit_header(dataclasses.replace(BUNDLE, ops=()), output)
    with pytest.raises(GyrovaeError, match="there is no"):
        emit_header(tmp_path / "nowhere", output)
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["nn_model.h"]
