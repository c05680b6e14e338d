"""The score: views, distances, scales and votes by hand, and reasons that name what was changed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.calibration import SIZES, Calibration, View
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.score import (
    LARGEST_RATIO,
    Profiles,
    Reason,
    distances,
    edges_hz,
    expected_sums,
    nearest,
    profiles,
    ratios,
    reasons,
    score,
    stride_of,
    vote,
)
from gyrovae_tf.spec import Spec

SPEC = fit(
    np.random.default_rng(0).integers(-900, 900, (8, 64, 3)).astype(np.int16), rate_hz=100, lsb=0.01, units="m/s^2"
)


def view(name: str, *codes: int, **fields: Any) -> View:
    """A view with a regime for each code, all of whose numbers are that code; weights of 1."""
    size = SIZES[name]
    codes = codes or (0,)
    settings = {
        "weight": (1.0,) * size,
        "scatter": (1.0,) * len(codes),
        "residual_weight": (1.0,) * size if name == "rhythm" else (),
    }
    return View(codes=tuple((code,) * size for code in codes), **{**settings, **fields})


def calibration(**fields: Any) -> Calibration:
    """Normal motion is 0 in every view, and a distance of 1 adds 1; but for what is given."""
    settings = {
        "bands": view("bands"),
        "groups": view("groups"),
        "quarters": None,
        "rhythm": view("rhythm"),
        "level": view("level"),
        "tilt": None,
        "threshold": 1.0,
        "false_alarm_rate": 0.01,
        "held_back_windows": 100,
        "vote_alarms": 3,
        "vote_windows": 5,
    }
    return Calibration(**{**settings, **fields})


def window(residual: float = 0.0, **seen: float) -> Profiles:
    """One window whose numbers are all the same in each view (0 where none is given)."""
    names = [name for name in SIZES if name != "tilt" or "tilt" in seen]
    return Profiles(
        {name: np.full((1, SIZES[name]), float(seen.get(name, 0))) for name in names},
        {"rhythm": np.full((1, 96), float(residual))},
    )


def picture(value: int = 0) -> NDArray[np.int8]:
    """One image [1, 32, 32, 3] of one brightness."""
    return np.full((1, 32, 32, 3), value, np.int8)


def pair(scalogram: NDArray[np.int8], field: NDArray[np.int8]) -> NDArray[np.int8]:
    """Scalograms and fields as the model's images [k, 2, 32, 32, 3]."""
    return np.stack([scalogram, field], axis=1)


NOTHING = (np.zeros((1, 3, 32)), np.zeros((1, 3, 32)))


# --- what is reconstructed --------------------------------------------------------------------------


def test_expected_sums_are_those_of_the_reconstruction_in_pixels() -> None:
    output = picture(-3)
    output[0, 7, :, 1] = 17  # 20 steps above the zero point
    sums = expected_sums(output, scale=0.0625, zero_point=-3)
    assert sums.shape == (1, 3, 32)
    assert sums[0, 1, 7] == 20 * 0.0625 * 32 * 32  # 20 steps of 2 pixels, 32 times
    assert (sums != 0).sum() == 1


# --- profiles -----------------------------------------------------------------------------------------------


def test_profiles_are_in_the_units_of_the_codes() -> None:
    """Pixels for images, 1/256 octave for the level, counts for the tilt."""
    found = profiles(pair(picture(16), picture(-7)), NOTHING, SPEC, np.array([[5, -6, 4096]]))
    assert {name: values.shape for name, values in found.seen.items()} == {name: (1, n) for name, n in SIZES.items()}
    assert (found.seen["bands"] == 16.0).all()
    assert (found.seen["groups"] == 16.0).all()
    assert (found.seen["rhythm"] == -7.0).all()
    assert found.seen["tilt"].tolist() == [[5.0, -6.0, 4096.0]]
    assert all(values.dtype == np.float64 for values in found.seen.values())


def test_numbers_go_through_x_then_y_then_z() -> None:
    scalogram, field = picture(), picture()
    scalogram[0, 9, :, 1] = 16  # band 9 of y, in group 2
    field[0, 30, :, 2] = -32  # from segment 30 of z, wherever it leads
    found = profiles(pair(scalogram, field), NOTHING, SPEC)
    for name, place, value in (("bands", 32 + 9, 16.0), ("groups", 8 + 2, 4.0), ("rhythm", 64 + 30, -32.0)):
        assert found.seen[name][0, place] == value
        assert (found.seen[name] != 0).sum() == 1


def test_a_field_s_columns_do_not_count() -> None:
    field = picture()
    field[0, :, 5] = 32
    assert (profiles(pair(picture(), field), NOTHING, SPEC).seen["rhythm"] == 1.0).all()  # 32 of 32 cells, each row


def test_a_louder_image_has_a_higher_level() -> None:
    gain = 65536 // 16  # a log power is 1/16 pixel: an octave 16 pixels
    spec = dataclasses.replace(SPEC, power_mean=((0,) * 32,) * 3, power_gain=((gain,) * 32,) * 3)
    found = profiles(pair(picture(32), picture()), NOTHING, spec)
    assert found.seen["level"].tolist() == [[(2 + 5) * 256.0] * 3]  # two octaves up, and 32 bands together


def test_residuals_are_mean_pixels_seen_less_those_reconstructed() -> None:
    expected = (np.full((1, 3, 32), 32.0 * 10), np.full((1, 3, 32), 32.0 * -1.5))
    found = profiles(pair(picture(16), picture(-7)), expected, SPEC)
    assert found.residual.keys() == {"rhythm"}
    assert (found.residual["rhythm"] == -5.5).all()


def test_the_profile_of_power_is_of_powers_and_the_coarse_one_of_pixels() -> None:
    """One cell five octaves up: the mean power is 63 / 32, the mean pixel 80 / 32."""
    scalogram = picture()
    scalogram[0, 3, 8, 0] = 80
    found = profiles(pair(scalogram, picture()), NOTHING, SPEC)
    assert found.seen["bands"][0, 3] == 250 / 16
    assert found.seen["groups"][0, 0] == 2.5 / 4


def test_without_the_windows_means_there_is_no_tilt() -> None:
    assert "tilt" not in profiles(pair(picture(), picture()), NOTHING, SPEC).seen


def test_profiles_of_some_windows_and_of_all() -> None:
    parts = [window(residual=value, bands=value, tilt=value) for value in (1.0, 2.0, 3.0)]
    joined = Profiles.joined(parts)
    assert joined.seen["bands"][:, 0].tolist() == joined.residual["rhythm"][:, 0].tolist() == [1.0, 2.0, 3.0]
    some = joined[np.array([True, False, True])]
    assert some.seen["tilt"].tolist() == [[1.0] * 3, [3.0] * 3]
    assert some.residual["rhythm"][:, 95].tolist() == [1.0, 3.0]
    assert joined[1:].seen["level"].shape == (2, 3)


# --- the nearest regime -------------------------------------------------------------------------------------


def test_the_nearest_regime_and_the_distance_from_it() -> None:
    regime, distance = nearest(view("groups", -100, 0, 127), np.full((5, 24), [[-60.0], [-40], [63], [64], [1000]]))
    assert regime.tolist() == [0, 1, 1, 2, 2]
    assert distance.tolist() == [40.0, 40.0, 63.0, 63.0, 873.0]


def test_the_distance_is_a_root_mean_square() -> None:
    seen = np.zeros((2, 96))
    seen[0, :24] = 6.0  # a quarter of the numbers
    seen[1, 95] = -96.0
    assert nearest(view("bands"), seen)[1] == pytest.approx([3.0, 96.0**0.5], rel=1e-15)


def test_of_two_regimes_as_near_the_first_counts() -> None:
    assert nearest(view("level", 10, -10), np.zeros((1, 3)))[0].tolist() == [0]
    assert nearest(view("level", -10, 10), np.zeros((1, 3)))[0].tolist() == [0]


def test_nearness_is_judged_on_weighted_deviations() -> None:
    # x wanders, y does not
    wandering = View(codes=((0, 10, 0), (1000, 0, 0)), weight=(0.0625, 1.0, 1.0), scatter=(1.0, 1.0))
    regime, distance = nearest(wandering, np.array([[1000.0, 10.0, 0.0], [0.0, 0.0, 0.0]]))
    assert regime.tolist() == [1, 0]
    assert distance == pytest.approx([(100 / 3) ** 0.5] * 2)


def test_mixing_comes_after_the_weight() -> None:
    mixed = View(
        codes=((0, 0, 0),), weight=(2.0, 0.5, 1.0), scatter=(1.0,), mixing=((1.0,), (1.0, 1.0), (0.0, 0.0, 2.0))
    )
    # (1, 2, 3) -> weighted (2, 1, 3) -> mixed (2, 2 + 1, 2 * 3)
    assert nearest(mixed, np.array([[1.0, 2.0, 3.0]]))[1] == pytest.approx([((4 + 9 + 36) / 3) ** 0.5])


def test_codes_are_mixed_as_what_is_seen() -> None:
    """What usually goes together is near, what usually does not is far."""
    together = View(
        codes=((100, 100, 0), (0, 0, 0)),
        weight=(1.0,) * 3,
        scatter=(1.0, 1.0),
        mixing=((1.0,), (-10.0, 10.0), (0.0, 0.0, 1.0)),
    )
    regime, distance = nearest(together, np.array([[130.0, 130.0, 0.0], [100.0, 97.0, 0.0], [60.0, 57.0, 0.0]]))
    assert regime.tolist() == [0, 0, 0]
    assert distance == pytest.approx([(900 / 3) ** 0.5, (900 / 3) ** 0.5, ((1600 + 900) / 3) ** 0.5])


def test_a_regime_that_scatters_widely_reaches_further() -> None:
    """The same deviation counts less there, and what lies between two regimes belongs to the wider one."""
    wide = view("level", 0, 100, scatter=(1.0, 4.0))
    regime, distance = nearest(wide, np.array([[8.0] * 3, [108.0] * 3, [30.0] * 3]))
    assert regime.tolist() == [0, 1, 1]
    assert distance.tolist() == [8.0, 2.0, 17.5]


# --- distances and what they add ----------------------------------------------------------------------------


def test_without_a_residual_weight_the_distance_stays() -> None:
    found = np.array([0.0, 2.5])
    assert distances(view("bands"), found, np.full((2, 96), 7.0)).tolist() == [0.0, 2.5]
    assert distances(view("level"), found, None).tolist() == [0.0, 2.5]


def test_the_residual_counts_a_quarter_of_a_geometric_mean() -> None:
    residual = np.full((4, 96), [[-81.0], [81], [0], [16]])
    # 16^(3/4) * 81^(1/4) = 8 * 3
    assert distances(view("rhythm"), np.array([16.0, 16, 16, 0]), residual).tolist() == [24.0, 24.0, 0.0, 0.0]


def test_the_residual_is_a_weighted_root_mean_square() -> None:
    weight = (0.5,) * 48 + (0.0,) * 48
    residual = np.full((1, 96), 32.0 * 2**0.5)  # times 1/2, over half of the numbers: 16
    assert distances(view("rhythm", residual_weight=weight), np.array([1.0]), residual) == pytest.approx([2.0])


def test_a_distance_adds_its_power_over_the_middle_one() -> None:
    scaled = view("level", center=2.0, power=3.0)
    assert ratios(scaled, np.array([0.0, 1.0, 2.0, 4.0])).tolist() == [0.0, 0.125, 1.0, 8.0]


def test_no_view_adds_more_than_a_float32_can_sum() -> None:
    assert LARGEST_RATIO == 1e6
    steep = view("level", center=0.001, power=10.0)
    assert ratios(steep, np.array([0.003, 0.01, 32767.0])).tolist() == [pytest.approx(3.0**10), 1e6, 1e6]


# --- the score ----------------------------------------------------------------------------------------------


def test_the_score_is_the_mean_of_what_the_views_add_over_the_threshold() -> None:
    seen = window(residual=4, bands=16, groups=8, rhythm=4, level=4)  # they add 16 + 8 + 4 + 4
    found = score(seen, calibration(threshold=8.0))
    assert found.score.tolist() == [1.0]  # exactly: the alarm
    assert {name: part.tolist() for name, part in found.shares.items()} == {
        "bands": [0.5],
        "groups": [0.25],
        "rhythm": [0.125],
        "level": [0.125],
    }
    assert score(seen, calibration(threshold=16.0)).score.tolist() == [0.5]


def test_the_tilt_is_a_fifth_view() -> None:
    seen = window(residual=4, bands=16, groups=8, rhythm=4, level=4, tilt=48)
    found = score(seen, calibration(tilt=view("tilt"), threshold=16.0))
    assert found.score.tolist() == [1.0]  # (16 + 8 + 4 + 4 + 48) / 5
    assert found.shares["tilt"].tolist() == [0.6]
    assert score(seen, calibration(threshold=8.0)).score.tolist() == [1.0]  # known, but it does not count


def test_a_tilt_that_counts_must_be_known() -> None:
    with pytest.raises(GyrovaeError, match="this detector needs the windows' tilt\nScore windows instead of images"):
        score(window(bands=1), calibration(tilt=view("tilt")))


@pytest.mark.parametrize("name", SIZES)
def test_less_counts_as_much_as_more(name: str) -> None:
    made = calibration(**{name: view(name, 10)})
    more, less = (score(window(residual=sign * 3, **{name: 10 + sign * 40}), made) for sign in (1, -1))
    assert more.score.tolist() == less.score.tolist()
    assert more.score > 1


def test_a_window_like_normal_motion_scores_0() -> None:
    found = score(window(), calibration())
    assert found.score.tolist() == [0.0]
    assert {name: part.tolist() for name, part in found.shares.items()} == {
        name: [0.0] for name in ("bands", "groups", "rhythm", "level")
    }


def test_each_view_has_its_own_nearest_regime() -> None:
    made = calibration(bands=view("bands", 0, 40), groups=view("groups", 0, 60), threshold=0.5)
    found = score(window(bands=42, groups=2, rhythm=0), made)
    assert found.regime.tolist() == [1]
    assert found.score.tolist() == [(2 + 2) / 4 / 0.5]


def test_deviations_are_signed_weighted_and_by_axis_and_band() -> None:
    made = calibration(bands=view("bands", -100, 100, weight=(0.5,) * 96))
    seen = window()
    seen.seen["bands"][0] = np.arange(96)
    found = score(seen, made)
    assert found.regime.tolist() == [1]
    assert found.deviation.shape == (1, 3, 32)
    assert found.deviation[0, 2, 31] == (95 - 100) / 2
    assert found.deviation[0, 1, 0] == (32 - 100) / 2


def some(count: int, seed: int) -> tuple[Profiles, Calibration]:
    """Windows and a calibration of which every number differs."""
    rng = np.random.default_rng(seed)

    def fitted(name: str) -> View:
        size = SIZES[name]

        def row(length: int) -> tuple[float, ...]:
            return tuple(float(v) for v in rng.uniform(0.1, 2, length).astype(np.float32))

        return View(
            codes=tuple(tuple(int(v) for v in line) for line in rng.integers(-100, 100, (5, size))),
            weight=row(size),
            scatter=row(5),
            mixing=() if name in ("bands", "rhythm") else tuple(row(index + 1) for index in range(size)),
            residual_weight=row(size) if name == "rhythm" else (),
            center=row(1)[0],
            power=row(1)[0],
        )

    seen = {name: rng.normal(0, 60, (count, size)) for name, size in SIZES.items()}
    residual = {"rhythm": rng.normal(0, 9, (count, 96))}
    return Profiles(seen, residual), calibration(**{name: fitted(name) for name in SIZES}, threshold=3.0)


def test_shares_sum_to_1() -> None:
    found = score(*some(50, 1))
    assert found.shares.keys() == SIZES.keys()
    assert np.sum(list(found.shares.values()), axis=0) == pytest.approx(np.ones(50))
    assert min(part.min() for part in found.shares.values()) > 0


def test_windows_are_scored_one_by_one() -> None:
    seen, made = some(33, 2)
    together = score(seen, made)
    assert len(set(together.regime.tolist())) > 1
    for index in range(33):
        alone = score(seen[index : index + 1], made)
        for name in ("score", "regime", "deviation"):
            assert (getattr(alone, name)[0] == getattr(together, name)[index]).all()
        assert all(part[0] == together.shares[name][index] for name, part in alone.shares.items())


def test_no_windows_have_no_scores() -> None:
    seen, made = some(3, 3)
    found = score(seen[:0], made)
    assert found.score.shape == found.regime.shape == (0,)
    assert found.deviation.shape == (0, 3, 32)
    assert {part.shape for part in found.shares.values()} == {(0,)}
    images = pair(picture(), picture())[:0]
    nothing = profiles(images, (np.zeros((0, 3, 32)), np.zeros((0, 3, 32))), SPEC, np.zeros((0, 3), np.int64))
    assert {name: values.shape for name, values in nothing.seen.items()} == {name: (0, n) for name, n in SIZES.items()}
    assert score(nothing, made).score.shape == (0,)


# --- the reasons --------------------------------------------------------------------------------------------


def test_reasons_name_axis_band_direction_and_share() -> None:
    deviation = np.zeros((3, 32))
    deviation[1, 20] = 9.0  # 81 of 100
    deviation[2, 4] = -4.0  # 16 of 100
    deviation[0, 31] = 2.0**0.5  # 2 of 100
    deviation[0, 0] = 1.0  # 1 of 100
    hz = [band.center_hz for band in SPEC.bands]
    found = reasons(deviation, SPEC, count=10)
    assert [(reason.axis, reason.center_hz, reason.direction) for reason in found] == [
        ("y", hz[20], "louder"),
        ("z", hz[4], "quieter"),
        ("x", hz[31], "louder"),
        ("x", hz[0], "louder"),
    ]
    assert [reason.share for reason in found] == pytest.approx([0.81, 0.16, 0.02, 0.01])
    assert reasons(deviation, SPEC) == found[:3]
    assert reasons(deviation, SPEC, count=0) == []


def test_without_deviations_there_are_no_reasons() -> None:
    assert reasons(np.zeros((3, 32)), SPEC) == []
    one = np.zeros((3, 32))
    one[2, 0] = -1e-3
    (found,) = reasons(one, SPEC)
    assert isinstance(found, Reason)
    assert (found.axis, found.center_hz, found.direction, found.share) == ("z", SPEC.bands[0].center_hz, "quieter", 1.0)


def ruled(first: float = 10.0) -> Spec:
    """A spec whose bands are centred at 10 (or another frequency), 20, 30, ... 320 Hz."""
    centers = [first, *(10.0 * number for number in range(2, 33))]
    bands = [dataclasses.replace(band, center_hz=hz) for band, hz in zip(SPEC.bands, centers, strict=True)]
    return dataclasses.replace(SPEC, bands=tuple(bands))


def test_bands_meet_half_way_between_their_centres() -> None:
    assert edges_hz(ruled()).tolist() == [5.0 + 10 * number for number in range(33)]
    assert edges_hz(ruled(4.0))[:3].tolist() == [0.0, 12.0, 25.0]  # not 8 below 4


def test_neighbouring_bands_that_deviate_alike_are_one_reason() -> None:
    """Squares 4 + 16 + 4 and, of another sign, 9 behind it; 1 + 1; and 1/4, which is less than a standard deviation."""
    deviation = np.zeros((3, 32))
    deviation[0, 3:7] = 2.0, 4.0, 2.0, -3.0
    deviation[1, 30:] = 1.0, 1.0
    deviation[2, 0] = -0.5
    total = 24 + 9 + 2 + 0.25
    assert reasons(deviation, ruled()) == [
        Reason("x", 50.0, 35.0, 65.0, "louder", 24 / total),
        Reason("x", 70.0, 65.0, 75.0, "quieter", 9 / total),
        Reason("y", 310.0, 305.0, 325.0, "louder", 2 / total),
    ]
    assert len(reasons(deviation, ruled(), count=10)) == 3


def test_below_a_standard_deviation_the_largest_alone_is_the_reason() -> None:
    deviation = np.zeros((3, 32))
    deviation[2, 7:10] = 0.25, -0.5, -0.25
    assert reasons(deviation, ruled()) == [Reason("z", 90.0, 85.0, 95.0, "quieter", 2 / 3)]


def test_a_louder_line_is_the_reason_of_its_score() -> None:
    scalogram = picture()
    scalogram[0, 12, :, 2] = 100
    scalogram[0, 30, :, 0] = -50
    found = score(profiles(pair(scalogram, picture()), NOTHING, SPEC), calibration())
    first, second = reasons(found.deviation[0], SPEC)
    assert (first.axis, first.center_hz, first.direction) == ("z", SPEC.bands[12].center_hz, "louder")
    assert (second.axis, second.center_hz, second.direction) == ("x", SPEC.bands[30].center_hz, "quieter")
    assert first.share == pytest.approx(4 / 5, abs=0.002)  # twice the deviation, four times the square


# --- the vote --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alarms", "needed", "windows", "held"),
    [
        ("0110100", 1, 1, "0110100"),
        ("0110100", 2, 3, "0011100"),
        ("1010101", 2, 3, "0010101"),
        ("1100000", 2, 4, "0111000"),
        ("0001110", 3, 3, "0000010"),
        ("111", 3, 5, "001"),
        ("11", 3, 5, "00"),
        ("1", 1, 5, "1"),
        ("1000001", 1, 3, "1110001"),
        ("0000", 1, 4, "0000"),
        ("", 3, 5, ""),
    ],
)
def test_so_many_alarms_of_the_latest_windows(alarms: str, needed: int, windows: int, held: str) -> None:
    found = vote(np.array([a == "1" for a in alarms], bool), needed, windows)
    assert found.dtype == bool
    assert "".join("01"[int(v)] for v in found) == held


@pytest.mark.parametrize(
    ("alarms", "needed", "windows", "stride", "held"),
    [
        ("1100", 2, 2, 2, "0000"),  # two looks at one thing
        (
            "101000",
            2,
            2,
            2,
            "001100",
        ),  # windows 0 and 2 have nothing in common, and window 4 is the next of theirs
        ("010100", 2, 2, 2, "000110"),
        ("1010000010", 2, 3, 2, "0011110000"),
        ("111111", 2, 3, 3, "000111"),
        ("111000", 2, 3, 3, "000000"),
        ("100100", 2, 3, 3, "000111"),
        ("11", 1, 2, 5, "11"),
        ("", 1, 2, 5, ""),
    ],
)
def test_windows_that_share_samples_are_counted_once(
    alarms: str, needed: int, windows: int, stride: int, held: str
) -> None:
    found = vote(np.array([a == "1" for a in alarms], bool), needed, windows, stride)
    assert "".join("01"[int(v)] for v in found) == held


@pytest.mark.parametrize(("hop", "stride"), [(256, 1), (300, 1), (255, 2), (128, 2), (100, 3), (64, 4), (16, 16)])
def test_every_how_manieth_window_shares_no_samples(hop: int, stride: int) -> None:
    assert stride_of(256, hop) == stride
