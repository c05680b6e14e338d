"""The firmware looks at its tables before it uses them: `problem` finds each way in which they could do harm."""

from __future__ import annotations

from pathlib import Path

import portable_firmware as firmware
import pytest

WRONG = {
    "tables.spec_version = 2": "the front end is of another version",
    "tables.window = 32": "the window's length is not usable",
    "tables.window = 1056": "the window's length is not usable",
    "tables.window = 100": "the window's length is not usable",
    "tables.window = 128": "the window is longer than this firmware has room for",
    "levels[31] = 6; tables.band_level = levels": "a wavelet belongs to an octave that there is none of",
    "counts[9] = 0; tables.band_taps_count = counts": "a wavelet is longer than there is room for",
    "counts[9] = 65; tables.band_taps_count = counts": "a wavelet is longer than there is room for",
    "tables.wavelet_taps_count--": "a wavelet's taps lie outside their table",
    "offsets[0] = 65535; tables.band_taps_offset = offsets": "a wavelet's taps lie outside their table",
    "taps[1] = 32767; tables.wavelet_taps = taps": "a wavelet's taps are too large",
    "taps[1] = -32768; tables.wavelet_taps = taps": "a wavelet's taps are too large",
    "taps[counts[0]] = 1; tables.wavelet_taps = taps": "a wavelet's taps are too large",
    "hz[3] = nan; tables.band_hz = hz": "a wavelet's frequency is not usable",
    "hz[3] = 0; tables.band_hz = hz": "a wavelet's frequency is not usable",
    "half[10] = 4; tables.half_band = half": "the half-band filter is another one than this firmware knows",
    "means[95] = 14081; tables.power_mean = means": "the scalogram's tables are out of range",
    "gains[0] = -1; tables.power_gain = gains": "the scalogram's tables are out of range",
    "gains[95] = 65537; tables.power_gain = gains": "the scalogram's tables are out of range",
    "edges[20] = 131073; tables.field_edges = edges": "the field's tables are out of range",
    "edges[7] = edges[8] + 1; tables.field_edges = edges": "the field's edges do not ascend",
    "tables.field_shift = 1": "the field's tables are out of range",
    "tables.field_shift = -1": "the field's tables are out of range",
    "tables.field_shift = 31": "the field's tables are out of range",
    "exps[0] = 1962; tables.exp2_table = exps": "the table of exponentials is out of range",
    "tables.views[0].regimes = 0": "a view has a wrong number of regimes",
    "tables.views[3].regimes = 65": "a view has a wrong number of regimes",
    "tables.views[1].wide_codes = nn_model_level_codes[0]": "a view's codes are of another type",
    "tables.views[2].codes = nn_model_bands_codes[0]; tables.views[2].wide_codes = nullptr": (
        "a view's codes are of another type"
    ),
    "tables.views[4].weight = nullptr": "a view's tables are missing",
    "tables.views[3].residual_weight = nullptr": "a view's residual weights are misplaced",
    "tables.views[0].residual_weight = weights": "a view's residual weights are misplaced",
    "weights[95] = infinity; tables.views[0].weight = weights": "a view's weight is no number",
    "weights[0] = -nan; tables.views[3].residual_weight = weights": "a view's residual weight is no number",
    "scatter[0] = 0; tables.views[4].scatter = scatter": "a view's scatter is not usable",
    "mixing[5] = nan; tables.views[4].mixing = mixing": "a view's mixing is no number",
    "tables.views[5].center = infinity": "a view's center or power is not usable",
    "tables.views[5].power = -1": "a view's center or power is not usable",
    "tables.threshold = nan": "the threshold is not usable",
    "tables.threshold = 0": "the threshold is not usable",
    "tables.vote_alarms = 0": "the vote is not usable",
    "tables.vote_windows = tables.vote_alarms - 1": "the vote is not usable",
    "tables.vote_windows = 65": "the vote is not usable",
}
"""What is done to good tables of windows of 64 -> what `problem` says."""
FINE = (
    "",
    "tables.views[2].regimes = 0",  # these views need not count
    "tables.views[5].regimes = 0",
    "weights[0] = 0; tables.views[0].weight = weights",
    "levels[31] = 5; tables.band_level = levels",
    "gains[95] = 65536; means[95] = -14080; tables.power_gain = gains; tables.power_mean = means",
)


def program(changes: list[str]) -> str:
    blocks = "\n".join(f"  {{ TABLES {change}; say(tables); }}" for change in changes)
    return f"""\
#include <cmath>
#include <cstdio>
#include <cstring>
#include "gyrovae/tables.h"
#include "nn_model.h"
GYROVAE_TABLES(nn_model);
#define COPY(type, name, from) \\
  [[maybe_unused]] type name[sizeof from / sizeof(type)]; std::memcpy(name, from, sizeof from)
#define TABLES gyrovae::Tables tables = nn_model_tables; \\
  COPY(uint8_t, levels, nn_model_band_level); COPY(uint16_t, counts, nn_model_band_taps_count); \\
  COPY(uint16_t, offsets, nn_model_band_taps_offset); COPY(int16_t, taps, nn_model_wavelet_taps); \\
  COPY(float, hz, nn_model_band_hz); COPY(int16_t, half, nn_model_half_band); \\
  COPY(int16_t, means, nn_model_power_mean); COPY(int32_t, gains, nn_model_power_gain); \\
  COPY(int32_t, edges, nn_model_field_edges); COPY(uint16_t, exps, nn_model_exp2_table); \\
  COPY(float, weights, nn_model_rhythm_residual_weight); COPY(float, scatter, nn_model_level_scatter); \\
  COPY(float, mixing, nn_model_level_mixing); [[maybe_unused]] const float nan = NAN, infinity = INFINITY;
static void say(const gyrovae::Tables &tables) {{
  const char *const found = gyrovae::problem(tables, 64);
  std::puts(found ? found : "");
}}
int main() {{
{blocks}
}}
"""


@pytest.mark.parametrize("flags", [("-O2", "-fsanitize=address,undefined"), ("-O3", "-ffast-math")], ids=["O2", "fast"])
def test_each_wrong_table_is_found_and_named(tmp_path: Path, flags: tuple[str, ...]) -> None:
    case = firmware.case(firmware.fitted(64), firmware.random_windows(40, 64, seed=1), tilt=True)
    (tmp_path / "main.cpp").write_text(program([*FINE, *WRONG]))
    include = ["-I", firmware.header(tmp_path, case), "-I", firmware.COMPONENT / "include"]
    sources = [tmp_path / "main.cpp", firmware.COMPONENT / "tables.cpp"]
    firmware.checked([firmware.tool("g++"), "-std=c++17", *flags, *include, *sources, "-o", "program"], tmp_path)
    said = firmware.checked([tmp_path / "program"], tmp_path).splitlines()
    assert dict(zip([*FINE, *WRONG], said, strict=True)) == {**dict.fromkeys(FINE, ""), **WRONG}
