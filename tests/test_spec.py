"""The spec: there and back as JSON, a digest that sees every number, and nothing out of range."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.mtf import ONE
from gyrovae_tf.spec import (
    FIELD_ONE,
    GAIN_SHIFT,
    LOG_POWER_LIMIT,
    Band,
    Spec,
    check_window,
    design_bands,
    field_shift_of,
    power_floors,
)

RAW: dict[str, Any] = json.loads(
    fit(
        np.random.default_rng(0).integers(-900, 900, (8, 64, 3)).astype(np.int16), rate_hz=104, lsb=0.01, units="m/s^2"
    ).to_json()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def raw() -> dict[str, Any]:
    return json.loads(json.dumps(RAW))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every number and text in parsed JSON."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))
    else:
        yield path


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def get(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


# --- there and back --------------------------------------------------------------------------------------------


def test_there_and_back() -> None:
    spec = Spec.from_dict(raw())
    back = Spec.from_json(spec.to_json())
    assert back == spec
    assert back.digest == spec.digest
    assert hash(back) == hash(spec)
    assert back.to_json() == spec.to_json()


def test_the_json_is_one_line_in_one_order_and_the_digest_is_its_sha256() -> None:
    text = Spec.from_dict(raw()).to_json()
    assert "\n" not in text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert json.loads(text) == RAW
    assert Spec.from_json(text).digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_order_and_layout_of_the_json_do_not_matter() -> None:
    text = json.dumps(dict(reversed(raw().items())), indent=3)
    assert Spec.from_json(text).digest == Spec.from_dict(raw()).digest


def test_equal_specs_have_equal_digests_however_their_numbers_are_written() -> None:
    whole = Spec.from_dict(raw())
    assert RAW["rate_hz"] == 104.0
    integer = dataclasses.replace(whole, rate_hz=104)
    assert integer == whole
    assert integer.digest == whole.digest


def test_the_digest_does_not_depend_on_the_process() -> None:
    text = Spec.from_dict(raw()).to_json()
    program = "import sys; from gyrovae_tf.spec import Spec; print(Spec.from_json(sys.stdin.read()).digest)"
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Spec.from_json(text).digest


def test_the_digest_changes_with_any_number() -> None:
    other = raw()
    digests = [Spec.from_dict(other).digest]
    for path in places(RAW):
        if path[0] in ("spec_version", "window") or (path[0] == "bands" and path[2:] == ("imag", 0)):
            continue  # these have no other value that is allowed (here)
        old = get(RAW, path)
        if isinstance(old, str):
            new: Any = old + "x"
        elif isinstance(old, float):
            new = math.nextafter(old, math.inf)
        elif path[0] == "field_edges":  # the next edge may be as high
            new = old + 1 if path[2] == 6 or get(RAW, path[:2])[path[2] + 1] > old else old - 1
        elif path[0] == "field_shift" or path[-1] == "level":
            new = old + 1 if old < 5 else old - 1
        else:
            new = old - 1 if old > 0 else old + 1
        put(other, path, new)
        digests.append(Spec.from_dict(other).digest)
        put(other, path, old)
    assert len(set(digests)) == len(digests)
    assert len(digests) > 32 + 2 * 3 * 32 + 3 * 7 + 2 * 3 + 1 + 32 * 20  # every table entry is among them


def test_a_window_lasts_its_samples_over_the_rate() -> None:
    assert Spec.from_dict({**raw(), "rate_hz": 128.0}).window_ms == 500.0


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[1, 2]", "1", "null", '"spec"', "[" * 200_000, '{"a": 1}'])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(GyrovaeError):
        Spec.from_json(text)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0, [1]])
def test_another_version_is_refused_and_both_are_named(version: object) -> None:
    with pytest.raises(GyrovaeError) as caught:
        Spec.from_dict({**raw(), "spec_version": version})
    assert str(caught.value) == "this spec has another version; expected 1" + (
        "" if version is None else f", received {version}"
    )


def test_missing_and_unknown_fields_are_named() -> None:
    for name in RAW:
        less = raw()
        del less[name]
        with pytest.raises(GyrovaeError, match="version" if name == "spec_version" else name):
            Spec.from_dict(less)
    with pytest.raises(GyrovaeError, match="colour"):
        Spec.from_dict({**raw(), "colour": 1})
    for name in ("center_hz", "level", "real", "imag"):
        less = raw()
        del less["bands"][3][name]
        with pytest.raises(GyrovaeError, match=name):
            Spec.from_dict(less)
    more = raw()
    more["bands"][3]["colour"] = 1
    with pytest.raises(GyrovaeError, match="colour"):
        Spec.from_dict(more)


@pytest.mark.parametrize("name", ["power_floor", "power_mean", "power_gain", "field_edges", "field_mean", "field_gain"])
def test_tables_of_another_shape_are_refused(name: str) -> None:
    for path in ((name,), (name, 1)):
        table = get(raw(), path)
        if not isinstance(table, list):
            continue
        for new in (table[:-1], [*table, table[-1]], [], table[0], {}, None, [table]):
            other = raw()
            put(other, path, new)
            with pytest.raises(GyrovaeError):
                Spec.from_dict(other)


@pytest.mark.parametrize("bad", [True, 1.0, 1.5, "1", None, math.nan, math.inf, 10**400, 1 << 31, -(1 << 31), [1]])
def test_only_integers_of_their_range_are_numbers_of_a_table(bad: object) -> None:
    for path in (
        ("window",),
        ("power_floor", 31),
        ("power_mean", 2, 0),
        ("power_gain", 0, 5),
        ("field_edges", 1, 6),
        ("field_shift",),
        ("field_mean", 0),
        ("field_gain", 2),
        ("bands", 4, "level"),
        ("bands", 4, "real", 0),
        ("bands", 4, "imag", 1),
    ):
        other = raw()
        put(other, path, bad)
        with pytest.raises(GyrovaeError):
            Spec.from_dict(other)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf, -math.inf, "1", None, True, 10**400, [1.0]])
@pytest.mark.parametrize("path", [("rate_hz",), ("lsb",), ("bands", 0, "center_hz")])
def test_rate_and_size_of_a_count_are_above_0(path: tuple[Any, ...], bad: object) -> None:
    other = raw()
    put(other, path, bad)
    with pytest.raises(GyrovaeError):
        Spec.from_dict(other)


@pytest.mark.parametrize("units", ["", " ", "\n", "m/s^2\n", "a\x00b", "\x1b[31m", "x" * 33, 5, None, ["m"], b"m"])
def test_units_are_a_printable_text(units: object) -> None:
    with pytest.raises(GyrovaeError, match="units are not usable"):
        dataclasses.replace(Spec.from_dict(raw()), units=units)  # type: ignore[arg-type]


@pytest.mark.parametrize("units", ["m/s^2", "rad/s", "g", "°/s", "µT", "x" * 32])
def test_units_may_be_any_unit(units: str) -> None:
    assert Spec.from_dict({**raw(), "units": units}).units == units


@pytest.mark.parametrize("window", [0, 32, 63, 65, 100, 1056, -64, 64.0, "64", None, True])
def test_windows_are_multiples_of_32_from_64_to_1024(window: object) -> None:
    with pytest.raises(GyrovaeError, match="multiple of 32 samples from 64 to 1024"):
        check_window(window)  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError):
        design_bands(window, 100.0)  # type: ignore[arg-type]
    for good in (64, 96, 256, 1024):
        check_window(good)


def test_edges_ascend() -> None:
    other = raw()
    other["field_edges"][1][2:4] = [5, 4]
    with pytest.raises(GyrovaeError, match="ascend"):
        Spec.from_dict(other)
    other["field_edges"][1] = [3] * 7
    assert Spec.from_dict(other).field_edges[1] == (3,) * 7


def test_wavelets_that_could_overflow_or_are_not_odd_are_refused() -> None:
    spec = Spec.from_dict(raw())

    def accepted(**change: Any) -> bool:
        band = dataclasses.replace(spec.bands[7], **change)
        try:
            dataclasses.replace(spec, bands=(*spec.bands[:7], band, *spec.bands[8:]))
        except GyrovaeError:
            return False
        return True

    assert accepted()
    assert accepted(real=(32767, 16384), imag=(0, 32767))  # 65535 and 65534
    assert not accepted(real=(32768, 16384), imag=(0, 0))  # 65536
    assert not accepted(real=(0, 0), imag=(0, 32768))
    assert not accepted(real=(0, 0), imag=(1, 0))
    assert not accepted(real=(), imag=())
    assert not accepted(real=(0,), imag=(0, 0))
    assert not accepted(real=[0], imag=[0])
    assert not accepted(real=(1,) * 65, imag=(0,) * 65)  # longer than the window
    assert not accepted(level=6)
    assert not accepted(level=-1)
    for bands in ((), spec.bands[:-1], (*spec.bands, spec.bands[0]), list(spec.bands)):
        with pytest.raises(GyrovaeError, match="number of bands"):
            dataclasses.replace(spec, bands=bands)  # type: ignore[arg-type]


# --- int32 on the device ---------------------------------------------------------------------------------------


def limits(name: str, index: tuple[int, ...]) -> tuple[int, int]:
    """The least and the largest number that a place of a table may hold."""

    def fits(value: int) -> bool:
        other = raw()
        put(other, (name, *index), value)
        try:
            Spec.from_dict(other)
        except GyrovaeError:
            return False
        return True

    bounds = []
    for sign in (-1, 1):
        good, bad = (0 if fits(0) else RAW[name], 1 << 40)
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if fits(sign * middle) else (good, middle)
        bounds.append(sign * good)
    return bounds[0], bounds[1]


def test_the_pixels_of_every_accepted_spec_fit_int32() -> None:
    mean, gain, floor = (
        limits(name, (0,) * depth) for name, depth in (("power_mean", 2), ("power_gain", 2), ("power_floor", 1))
    )
    power = (-LOG_POWER_LIMIT, max(LOG_POWER_LIMIT, floor[1]))
    products = [(p - m) * g + (1 << GAIN_SHIFT - 1) for p in power for m in mean for g in gain]
    assert min(products) >= -(1 << 31)
    assert max(products) < 1 << 31
    assert max(map(abs, products)) > 1 << 30  # the limits are no tighter than they need to be

    mean, gain = limits("field_mean", (0,)), limits("field_gain", (0,))
    products = [(cell - m) * g + (1 << GAIN_SHIFT - 1) for cell in (0, FIELD_ONE) for m in mean for g in gain]
    assert min(products) >= -(1 << 31)
    assert max(products) < 1 << 31


def test_the_largest_cell_of_a_field_fits_15_bits_after_the_shift() -> None:
    assert ONE == FIELD_ONE == 1 << 15
    for length in range(64, 1025, 32):
        largest = (length // 32) ** 2 * FIELD_ONE
        assert largest >> field_shift_of(length) <= FIELD_ONE
        assert largest >> field_shift_of(length) - 1 > FIELD_ONE
    assert [field_shift_of(length) for length in (64, 96, 128, 256, 1024)] == [2, 4, 4, 6, 10]
    with pytest.raises(GyrovaeError, match="field_shift leaves more than 15 bits; expected at least 2, received 1"):
        Spec.from_dict({**raw(), "field_shift": 1})
    assert Spec.from_dict({**raw(), "field_shift": 16}).field_shift == 16


def test_every_window_length_gives_a_spec() -> None:
    for length in range(64, 1025, 32):
        windows = np.random.default_rng(length).integers(-32768, 32768, (2, length, 3)).astype(np.int16)
        spec = fit(windows, rate_hz=1000.0, lsb=0.001, units="g")
        assert Spec.from_json(spec.to_json()) == spec
        assert max(spec.power_floor) < LOG_POWER_LIMIT


def test_a_louder_wavelet_has_a_higher_floor() -> None:
    quiet = Band(1.0, 0, (0, 64), (0, 0))  # 2 * 64^2 / 12 / 64^2 = 1/6
    loud = Band(1.0, 0, (0, 128), (0, 0))
    deep = Band(1.0, 3, (0, 128), (0, 0))
    assert power_floors((quiet, loud, deep)) == (-662, -150, -918)  # 256 * log2(1/6), + 512, - 3 * 256


# --- anything at all -------------------------------------------------------------------------------------------


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(sorted(RAW)), JSON)
@example("bands", [[]] * 32)
@example("bands", "x" * 32)
@example("power_mean", ["x" * 32] * 3)
@example("power_floor", {str(i): i for i in range(32)})
def test_any_value_in_a_field_is_a_spec_or_an_error(name: str, value: object) -> None:
    text = json.dumps({**RAW, name: value})
    try:
        spec = Spec.from_json(text)
    except GyrovaeError:
        return
    assert Spec.from_json(spec.to_json()) == spec


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(list(places(RAW["bands"]))), JSON)
def test_any_value_in_a_band_is_a_spec_or_an_error(path: tuple[Any, ...], value: object) -> None:
    other = raw()
    put(other["bands"], path, value)
    try:
        spec = Spec.from_json(json.dumps(other))
    except GyrovaeError:
        return
    assert Spec.from_json(spec.to_json()) == spec


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_a_spec_or_an_error(text: str) -> None:
    with pytest.raises(GyrovaeError):
        Spec.from_json(text)
