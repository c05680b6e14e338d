"""The score: profiles, regimes and votes by hand, and reasons that name what was changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.calibration import Calibration
from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.score import (
    Reason,
    profile_deviation,
    reasons,
    regime_deviation,
    residual_profile,
    root_mean_square,
    score,
    time_sums,
    vote,
)

ZEROS = ((0.0,) * 32,) * 3
ONES = ((1.0,) * 32,) * 3
STILL = ((0,) * 32,) * 3
CALIBRATION = Calibration(
    profile_mean=ZEROS,
    profile_weight=ONES,
    profile_threshold=1.0,
    codebook=(STILL,),
    regime_weight=ONES,
    regime_threshold=1e9,
    false_alarm_rate=0.01,
    held_back_windows=100,
    vote_alarms=3,
    vote_windows=5,
)
SPEC = fit(
    np.random.default_rng(0).integers(-900, 900, (8, 64, 3)).astype(np.int16), rate_hz=100, lsb=0.01, units="m/s^2"
)


def picture(value: int = 0) -> NDArray[np.int8]:
    """One scalogram [1, 32 bands, 32 cells, 3 axes] of one brightness."""
    return np.full((1, 32, 32, 3), value, np.int8)


# --- the residual profile --------------------------------------------------------------------------------------


def test_sums_are_over_time_for_each_axis_and_band() -> None:
    images = picture(-128)
    images[0, 5, :, 2] = np.arange(32)
    sums = time_sums(images)
    assert sums.shape == (1, 3, 32)
    assert sums[0, 2, 5] == 31 * 32 / 2
    assert sums[0, 0, 0] == -128 * 32
    assert (sums == -128 * 32).sum() == 3 * 32 - 1


def test_a_residual_profile_by_hand() -> None:
    seen, output = picture(), picture(-3)
    seen[0, 7, :16, 1] = 64  # two standard deviations during half of the time: a mean of one
    output[0, 9, :, 0] = 17  # (17 + 3) * 0.05 = one standard deviation more than zero
    profile = residual_profile(seen, output, scale=0.05, zero_point=-3)
    expected = np.zeros((1, 3, 32))
    expected[0, 1, 7] = 1.0
    expected[0, 0, 9] = -1.0
    assert profile == pytest.approx(expected, abs=1e-15)


def test_a_perfect_reconstruction_has_no_residual() -> None:
    seen = np.random.default_rng(0).integers(-128, 128, (3, 32, 32, 3)).astype(np.int8)
    assert (residual_profile(seen, seen, 1 / 32, 0) == 0).all()


def test_deviations_are_standardised_on_normal_motion() -> None:
    profile = np.full((1, 3, 32), 0.75)
    mean = (ZEROS[0], (0.25,) * 32, ZEROS[0])
    weight = (ONES[0], (4.0,) * 32, ONES[0])
    calibration = dataclasses.replace(CALIBRATION, profile_mean=mean, profile_weight=weight)
    deviation = profile_deviation(profile, calibration)[0]
    assert deviation.tolist() == [[0.75] * 32, [2.0] * 32, [0.75] * 32]


def test_a_root_mean_square_by_hand() -> None:
    deviation = np.zeros((2, 3, 32))
    deviation[0] = -2
    deviation[1, 0, :3] = 4, 4, -8  # 96 squared in 96 places
    assert root_mean_square(deviation).tolist() == [2.0, 1.0]


# --- the regimes -----------------------------------------------------------------------------------------------


def test_the_nearest_regime_counts() -> None:
    codebook = tuple(((value,) * 32,) * 3 for value in (-100, 0, 300))
    calibration = dataclasses.replace(CALIBRATION, codebook=codebook, regime_weight=((0.5,) * 32,) * 3)
    sums = np.stack([np.full((3, 32), value) for value in (-60, -40, 140, 160, 1000)])
    # differences from -100, 0, 0, 300, 300, times 0.5
    assert regime_deviation(sums, calibration)[:, 1, 4].tolist() == [20.0, -20.0, 70.0, -70.0, 350.0]


def test_of_two_regimes_as_near_the_first_counts() -> None:
    codebook = tuple(((value,) * 32,) * 3 for value in (10, -10))
    calibration = dataclasses.replace(CALIBRATION, codebook=codebook)
    assert (regime_deviation(np.zeros((1, 3, 32), np.int64), calibration) == -10).all()


def test_nearness_is_judged_on_standardised_deviations() -> None:
    far_in_x = ((1000,) * 32, (0,) * 32, (0,) * 32)
    far_in_y = ((0,) * 32, (10,) * 32, (0,) * 32)
    weight = ((0.001,) * 32, (1.0,) * 32, (1.0,) * 32)  # x wanders, y does not
    calibration = dataclasses.replace(CALIBRATION, codebook=(far_in_y, far_in_x), regime_weight=weight)
    deviation = regime_deviation(np.zeros((1, 3, 32), np.int64), calibration)[0]
    assert deviation[:, 0].tolist() == [-1.0, 0.0, 0.0]  # far_in_x is nearer


# --- the score -------------------------------------------------------------------------------------------------


def test_the_score_is_1_exactly_at_the_threshold() -> None:
    seen = picture(64)  # two standard deviations in every band
    calibration = dataclasses.replace(CALIBRATION, profile_threshold=2.0)
    found = score(seen, picture(), 1 / 32, 0, calibration)
    assert found.score.tolist() == [1.0]
    assert found.profile.tolist() == [1.0]
    calibration = dataclasses.replace(CALIBRATION, profile_threshold=1e9, regime_threshold=2048.0)  # 32 * 64
    found = score(seen, picture(), 1 / 32, 0, calibration)
    assert found.score.tolist() == [1.0]
    assert found.regime.tolist() == [1.0]
    assert score(picture(), picture(), 1 / 32, 0, CALIBRATION).score.tolist() == [0.0]


def test_quieter_counts_as_much_as_louder() -> None:
    for regime_threshold in (1e9, 1.0):
        calibration = dataclasses.replace(CALIBRATION, regime_threshold=regime_threshold)
        louder, quieter = (score(picture(value), picture(), 1 / 32, 0, calibration) for value in (40, -40))
        assert louder.score == quieter.score
        assert louder.score > 1
        assert (louder.deviation > 0).all()
        assert (quieter.deviation < 0).all()


def test_the_more_abnormal_view_counts_and_gives_the_deviations() -> None:
    seen = picture(32)
    for profile_threshold, regime_threshold, view, deviation in (
        (0.5, 1024.0, "profile", 1.0),  # 1 / 0.5 = 2 against 1024 / 1024 = 1
        (1.0, 256.0, "regime", 1024.0),  # 1 against 4
        (1.0, 1024.0, "profile", 1.0),  # both 1
    ):
        calibration = dataclasses.replace(
            CALIBRATION, profile_threshold=profile_threshold, regime_threshold=regime_threshold
        )
        found = score(seen, picture(), 1 / 32, 0, calibration)
        assert found.score == getattr(found, view) == max(found.profile, found.regime)
        assert (found.deviation == deviation).all()


def test_windows_are_scored_one_by_one() -> None:
    seen = np.random.default_rng(1).integers(-60, 60, (9, 32, 32, 3)).astype(np.int8)
    output = np.random.default_rng(2).integers(-60, 60, (9, 32, 32, 3)).astype(np.int8)
    calibration = dataclasses.replace(CALIBRATION, regime_threshold=500.0)
    together = score(seen, output, 0.04, 3, calibration)
    for index in range(9):
        alone = score(seen[index : index + 1], output[index : index + 1], 0.04, 3, calibration)
        for name in ("score", "profile", "regime", "deviation"):
            assert (getattr(alone, name)[0] == getattr(together, name)[index]).all()
    nothing = score(seen[:0], output[:0], 0.04, 3, calibration)
    assert nothing.score.shape == (0,)
    assert nothing.deviation.shape == (0, 3, 32)


# --- the reasons -----------------------------------------------------------------------------------------------


def test_reasons_name_axis_band_direction_and_share() -> None:
    deviation = np.zeros((3, 32))
    deviation[1, 20] = 6.0  # 36 of 50
    deviation[2, 4] = -3.0  # 9 of 50
    deviation[0, 31] = 2.0  # 4 of 50
    deviation[0, 0] = 1.0  # 1 of 50
    hz = [band.center_hz for band in SPEC.bands]
    assert reasons(deviation, SPEC) == [
        Reason("y", hz[20], "louder", 0.72),
        Reason("z", hz[4], "quieter", 0.18),
        Reason("x", hz[31], "louder", 0.08),
    ]
    assert [reason.share for reason in reasons(deviation, SPEC, count=10)] == [0.72, 0.18, 0.08, 0.02]
    assert reasons(deviation, SPEC, count=0) == []


def test_without_deviations_there_are_no_reasons() -> None:
    assert reasons(np.zeros((3, 32)), SPEC) == []
    one = np.zeros((3, 32))
    one[2, 0] = -1e-3
    assert reasons(one, SPEC) == [Reason("z", SPEC.bands[0].center_hz, "quieter", 1.0)]


def test_a_louder_line_is_the_reason_of_its_score() -> None:
    seen = picture()
    seen[0, 12, :, 2] = 100
    seen[0, 30, :, 0] = -50
    found = score(seen, picture(), 1 / 32, 0, CALIBRATION)
    first, second = reasons(found.deviation[0], SPEC)
    assert (first.axis, first.center_hz, first.direction) == ("z", SPEC.bands[12].center_hz, "louder")
    assert (second.axis, second.center_hz, second.direction) == ("x", SPEC.bands[30].center_hz, "quieter")
    assert first.share == pytest.approx(0.8)


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
