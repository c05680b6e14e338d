"""The calibration: there and back, what it takes on the device, and every number out of range refused by name."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.calibration import SIZES, Calibration, View
from gyrovae_tf.errors import GyrovaeError

LARGEST = {"bands": 127, "groups": 127, "quarters": 32767, "rhythm": 127, "level": 32767, "tilt": 32767}


def rows(size: int) -> tuple[tuple[float, ...], ...]:
    """A lower triangle of 1, 2, 3, ..."""
    return tuple(tuple(float(i + 1) for i in range(length)) for length in range(1, size + 1))


def view(name: str, regimes: int = 2, *, mixed: bool = False, **fields: Any) -> View:
    """A view whose regimes are 0, 1, 2, ..."""
    size = SIZES[name]
    made = View(
        codes=tuple((regime,) * size for regime in range(regimes)),
        weight=tuple(float(i + 1) for i in range(size)),
        scatter=(0.5,) * regimes,
        mixing=rows(size) if mixed else (),
        residual_weight=(0.25,) * size if name == "rhythm" else (),
        center=2.0,
        power=0.5,
    )
    return dataclasses.replace(made, **fields)


CALIBRATION = Calibration(
    bands=view("bands"),
    groups=view("groups", 3, mixed=True),
    quarters=view("quarters", 2),
    rhythm=view("rhythm", 1),
    level=view("level", mixed=True),
    tilt=view("tilt", mixed=True),
    threshold=2.5,
    false_alarm_rate=0.001,
    held_back_windows=1234,
    vote_alarms=3,
    vote_windows=5,
)


def with_view(name: str, **fields: Any) -> Calibration:
    """The calibration with one view changed."""
    return dataclasses.replace(CALIBRATION, **{name: dataclasses.replace(CALIBRATION.views[name], **fields)})


# --- there and back -----------------------------------------------------------------------------------------

FLOAT32 = st.floats(-(2.0**127), 2.0**127, width=32)
POSITIVE = st.floats(2.0**-126, 2.0**127, width=32)


@st.composite
def views(draw: st.DrawFn, name: str) -> View:
    """A view of few different numbers: tables are long."""
    size = SIZES[name]
    codes = st.integers(-LARGEST[name], LARGEST[name])
    few = draw(st.lists(FLOAT32, min_size=1, max_size=5))
    cycled = [few[i % len(few)] for i in range(size * (size + 1) // 2)]
    regimes = draw(st.lists(codes, min_size=1, max_size=4))
    return View(
        codes=tuple((code,) * (size - 1) + (0,) for code in regimes),
        weight=tuple(cycled[:size]),
        scatter=(draw(POSITIVE),) * len(regimes),
        mixing=tuple(tuple(cycled[i : 2 * i + 1]) for i in range(size)) if draw(st.booleans()) else (),
        residual_weight=tuple(cycled[:size]) if name == "rhythm" else (),
        center=draw(POSITIVE),
        power=draw(POSITIVE),
    )


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.data())
def test_a_calibration_there_and_back(data: st.DataObject) -> None:
    windows = data.draw(st.integers(1, 64))
    made = Calibration(
        **{name: data.draw(views(name)) for name in SIZES if name != "tilt"},
        tilt=data.draw(st.none() | views("tilt")),
        threshold=data.draw(POSITIVE),
        false_alarm_rate=data.draw(POSITIVE),
        held_back_windows=data.draw(st.integers(0, 2**31 - 1)),
        vote_alarms=data.draw(st.integers(1, windows)),
        vote_windows=windows,
        reach=data.draw(st.floats(2**-20, 99, width=32)),
    )
    assert Calibration.from_dict(json.loads(json.dumps(made.to_dict(), allow_nan=False))) == made


def test_views_that_count_are_in_the_order_of_the_score() -> None:
    assert list(CALIBRATION.views) == ["bands", "groups", "quarters", "rhythm", "level", "tilt"]
    assert list(dataclasses.replace(CALIBRATION, tilt=None).views) == ["bands", "groups", "quarters", "rhythm", "level"]
    assert list(dataclasses.replace(CALIBRATION, quarters=None, tilt=None).views) == [
        *("bands", "groups", "rhythm", "level")
    ]


def test_missing_and_unknown_fields_are_named() -> None:
    for name in CALIBRATION.to_dict():
        less = CALIBRATION.to_dict()
        del less[name]
        with pytest.raises(GyrovaeError, match=name):
            Calibration.from_dict(less)
    with pytest.raises(GyrovaeError, match="colour"):
        Calibration.from_dict({**CALIBRATION.to_dict(), "colour": 1})
    for bad in (None, [], "a", 1):
        with pytest.raises(GyrovaeError, match="fields"):
            Calibration.from_dict(bad)


@pytest.mark.parametrize("name", SIZES)
def test_missing_and_unknown_fields_of_a_view_are_named(name: str) -> None:
    for field in dataclasses.fields(View):
        less = CALIBRATION.to_dict()
        del less[name][field.name]
        with pytest.raises(GyrovaeError, match=f"{name}'s fields are not the expected ones: {field.name}"):
            Calibration.from_dict(less)
    more = CALIBRATION.to_dict()
    more[name]["colour"] = 1
    with pytest.raises(GyrovaeError, match=f"{name}'s fields are not the expected ones: colour"):
        Calibration.from_dict(more)
    for bad in ([], "a", 1):
        with pytest.raises(GyrovaeError, match=name):
            Calibration.from_dict({**CALIBRATION.to_dict(), name: bad})


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("table", ["codes", "weight", "scatter", "mixing", "residual_weight"])
@pytest.mark.parametrize("bad", [None, 1, "ab", [1, 1, 1, 1], [None], [["x"]], [[[1]]], [{}]], ids=repr)
def test_a_table_of_another_kind_is_refused(name: str, table: str, bad: object) -> None:
    raw = CALIBRATION.to_dict()
    raw[name][table] = bad
    with pytest.raises(GyrovaeError):
        Calibration.from_dict(raw)


def test_only_quarters_and_tilt_may_be_missing() -> None:
    for name in SIZES:
        raw = {**CALIBRATION.to_dict(), name: None}
        if name in ("quarters", "tilt"):
            assert Calibration.from_dict(raw) == dataclasses.replace(CALIBRATION, **{name: None})
            continue
        with pytest.raises(GyrovaeError, match=name):
            Calibration.from_dict(raw)
        with pytest.raises(GyrovaeError, match=f"view {name} is missing"):
            dataclasses.replace(CALIBRATION, **{name: None})


# --- what it takes on the device ----------------------------------------------------------------------------


def test_table_bytes_by_hand() -> None:
    bands = 2 * 96 + 4 * (96 + 2 + 2)  # codes of a byte; weight, scatter, center and power of four
    groups = 3 * 24 + 4 * (24 + 3 + 24 * 25 // 2 + 2)  # a triangle of 300
    quarters = 2 * 2 * 12 + 4 * (12 + 2 + 2)  # codes of two bytes
    rhythm = 1 * 96 + 4 * (96 + 1 + 96 + 2)  # with a residual weight
    level = tilt = 2 * 2 * 3 + 4 * (3 + 2 + 6 + 2)  # codes of two bytes
    assert (bands, groups, quarters, rhythm, level) == (592, 1388, 112, 876, 64)
    assert CALIBRATION.table_bytes == bands + groups + quarters + rhythm + level + tilt
    assert dataclasses.replace(CALIBRATION, tilt=None).table_bytes == bands + groups + quarters + rhythm + level


def test_the_largest_calibration_fits_8_kib() -> None:
    """With as many regimes and as much mixing as are ever fitted."""
    from gyrovae_tf.learn.calibrate import PLANS

    assert PLANS.keys() == SIZES.keys()
    made = {name: view(name, plan.regimes, mixed=plan.mixed) for name, plan in PLANS.items()}
    assert dataclasses.replace(CALIBRATION, **made).table_bytes == 2792 + 1752 + 728 + 2376 + 204 + 204
    assert 2792 + 1752 + 728 + 2376 + 204 + 204 <= 8192


# --- views --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_codes_are_integers_of_the_view_s_range(name: str) -> None:
    size, largest = SIZES[name], LARGEST[name]
    for code in (-largest, largest):
        with_view(name, codes=((code,) * size,), scatter=(1.0,))
    for bad in (largest + 1, -largest - 1, 1.0, True, "1", None, math.nan, 10**400):
        with pytest.raises(GyrovaeError, match=f"view {name} holds codes out of range"):
            with_view(name, codes=((0,) * size, (0,) * (size - 1) + (bad,)))
    for row in ((0,) * (size - 1), (0,) * (size + 1), ()):
        with pytest.raises(GyrovaeError, match=f"view {name} has codes of a wrong length"):
            with_view(name, codes=((0,) * size, row))


@pytest.mark.parametrize("name", SIZES)
def test_a_view_has_1_to_64_regimes(name: str) -> None:
    row = (0,) * SIZES[name]
    for regimes in (1, 64):
        made = with_view(name, codes=(row,) * regimes, scatter=(1.0,) * regimes)
        assert len(made.views[name].codes) == regimes
    for regimes in (0, 65):
        with pytest.raises(GyrovaeError, match=f"view {name} has a wrong number of regimes"):
            with_view(name, codes=(row,) * regimes)


NO_FLOATS = [math.nan, math.inf, -math.inf, "1", None, True, 10**400, 1e39, (1.0,)]


@pytest.mark.parametrize("bad", NO_FLOATS, ids=lambda bad: repr(bad)[:10])
@pytest.mark.parametrize("name", SIZES)
def test_weights_and_mixing_are_numbers_of_float32(name: str, bad: Any) -> None:
    size = SIZES[name]
    tables: dict[str, Any] = {
        "weight": (1.0,) * (size - 1) + (bad,),
        "mixing": (*rows(size)[:-1], (1.0,) * (size - 1) + (bad,)),
    }
    if name == "rhythm":
        tables["residual_weight"] = (bad,) + (1.0,) * 95
    for table, value in tables.items():
        with pytest.raises(GyrovaeError, match=f"view {name} holds something else than finite numbers"):
            with_view(name, **{table: value})


@pytest.mark.parametrize("name", SIZES)
def test_tables_have_the_view_s_shape(name: str) -> None:
    size = SIZES[name]
    for length in (0, size - 1, size + 1):
        with pytest.raises(GyrovaeError, match=f"view {name} has weights of a wrong length"):
            with_view(name, weight=(1.0,) * length)
    for mixing in (rows(size)[:-1], rows(size + 1), rows(size)[::-1], ((1.0,) * size,) * size):
        with pytest.raises(GyrovaeError, match=f"view {name} has a mixing that is not triangular"):
            with_view(name, mixing=mixing)


@pytest.mark.parametrize("name", SIZES)
def test_every_regime_has_a_scatter_above_0(name: str) -> None:
    regimes = len(CALIBRATION.views[name].codes)
    for length in (0, regimes - 1, regimes + 1):
        with pytest.raises(GyrovaeError, match=f"view {name} has scatters of a wrong length"):
            with_view(name, scatter=(1.0,) * length)
    for bad in (0, 0.0, -1.0, *NO_FLOATS):
        with pytest.raises(GyrovaeError, match=f"view {name} holds an unusable scatter; expected numbers above 0"):
            with_view(name, scatter=(1.0,) * (regimes - 1) + (bad,))


def test_what_is_reconstructed_has_a_residual_weight_and_nothing_else_has() -> None:
    for length in (0, 95, 97):
        with pytest.raises(GyrovaeError, match="view rhythm has weights of a wrong length"):
            with_view("rhythm", residual_weight=(1.0,) * length)
    for name in ("bands", "groups", "quarters", "level", "tilt"):
        with pytest.raises(GyrovaeError, match=f"view {name} has weights of a wrong length"):
            with_view(name, residual_weight=(1.0,) * SIZES[name])


@pytest.mark.parametrize("bad", [0, 0.0, -1.0, math.nan, math.inf, "1", None, True, 10**400, 1e39])
@pytest.mark.parametrize("field", ["center", "power"])
@pytest.mark.parametrize("name", SIZES)
def test_center_and_power_are_above_0(name: str, field: str, bad: Any) -> None:
    with pytest.raises(GyrovaeError, match=f"view {name} has an unusable center or power; expected above 0"):
        with_view(name, **{field: bad})


# --- the rest -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf, "1", None, True, 10**400, 1e39])
@pytest.mark.parametrize("name", ["threshold", "false_alarm_rate"])
def test_threshold_and_rate_are_above_0(name: str, bad: Any) -> None:
    with pytest.raises(GyrovaeError, match=name):
        dataclasses.replace(CALIBRATION, **{name: bad})


@pytest.mark.parametrize("bad", [0, 0.0, -0.5, 100, math.nan, math.inf, "1", None, True, 10**400])
def test_the_reach_is_above_0_and_below_100(bad: Any) -> None:
    with pytest.raises(GyrovaeError, match="reach is not usable; expected above 0, below 100"):
        dataclasses.replace(CALIBRATION, reach=bad)
    assert dataclasses.replace(CALIBRATION, reach=99.5).reach == 99.5


@pytest.mark.parametrize(
    ("alarms", "windows"), [(0, 5), (6, 5), (3, 65), (True, 5), (1, True), (3.0, 5), (3, 5.0), ("3", 5), (None, 5)]
)
def test_the_vote_is_so_many_of_at_most_64(alarms: Any, windows: Any) -> None:
    with pytest.raises(GyrovaeError, match="vote is not usable"):
        dataclasses.replace(CALIBRATION, vote_alarms=alarms, vote_windows=windows)
    for good in ((1, 1), (64, 64), (1, 64)):
        dataclasses.replace(CALIBRATION, vote_alarms=good[0], vote_windows=good[1])


@pytest.mark.parametrize("bad", [-1, True, 1.0, "1", None, 1 << 31])
def test_held_back_windows_are_a_number_of_windows(bad: Any) -> None:
    with pytest.raises(GyrovaeError, match="held_back_windows"):
        dataclasses.replace(CALIBRATION, held_back_windows=bad)


def test_numpy_numbers_are_refused_before_they_reach_a_file() -> None:
    """JSON knows only Python's own."""
    with pytest.raises(GyrovaeError):
        with_view("level", codes=((np.int64(1), 0, 0),))
    with pytest.raises(GyrovaeError):
        dataclasses.replace(CALIBRATION, threshold=np.float32(1.0))  # type: ignore[arg-type]
