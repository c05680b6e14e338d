"""The score: regimes, residual profiles and votes by hand, and reasons that name what was changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.calibration import Calibration
from gyrovae_tf.signal.frontend import fit
from gyrovae_tf.signal.score import (
    Reason,
    expected_sums,
    fourth_power_mean,
    reasons,
    recognise,
    residual_profile,
    score,
    time_sums,
    vote,
)

ONES = ((1.0,) * 32,) * 3
STILL = ((0,) * 32,) * 3
CALIBRATION = Calibration(
    codebook=(STILL,),
    weight=ONES,
    threshold=1.0,
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


# --- time sums --------------------------------------------------------------------------------------


def test_sums_are_over_time_for_each_axis_and_band() -> None:
    images = picture(-128)
    images[0, 5, :, 2] = np.arange(32)
    sums = time_sums(images)
    assert sums.shape == (1, 3, 32)
    assert sums[0, 2, 5] == 31 * 32 / 2
    assert sums[0, 0, 0] == -128 * 32
    assert (sums == -128 * 32).sum() == 3 * 32 - 1


def test_expected_sums_are_those_of_the_reconstruction_in_pixels() -> None:
    output = picture(-3)
    output[0, 7, :, 1] = 17  # 20 steps above the zero point
    sums = expected_sums(output, scale=0.0625, zero_point=-3)
    assert sums.shape == (1, 3, 32)
    assert sums[0, 1, 7] == 20 * 0.0625 * 32 * 32  # 20 steps of 2 pixels, 32 times
    assert (sums != 0).sum() == 1


# --- the regimes -----------------------------------------------------------------------------------------------


def test_the_nearest_regime_is_recognised() -> None:
    codebook = tuple(((value,) * 32,) * 3 for value in (-100, 0, 300))
    calibration = dataclasses.replace(CALIBRATION, codebook=codebook)
    sums = np.stack([np.full((3, 32), float(value)) for value in (-60, -40, 140, 160, 1000)])
    assert recognise(sums, calibration).tolist() == [0, 1, 1, 2, 2]


def test_of_two_regimes_as_near_the_first_counts() -> None:
    codebook = tuple(((value,) * 32,) * 3 for value in (10, -10))
    assert recognise(np.zeros((1, 3, 32)), dataclasses.replace(CALIBRATION, codebook=codebook)).tolist() == [0]


def test_nearness_is_judged_on_standardised_deviations() -> None:
    far_in_x = ((1000,) * 32, (0,) * 32, (0,) * 32)
    far_in_y = ((0,) * 32, (10,) * 32, (0,) * 32)
    weight = ((0.001,) * 32, (1.0,) * 32, (1.0,) * 32)  # x wanders, y does not
    calibration = dataclasses.replace(CALIBRATION, codebook=(far_in_y, far_in_x), weight=weight)
    assert recognise(np.zeros((1, 3, 32)), calibration).tolist() == [1]


# --- the residual profile --------------------------------------------------------------------------------------


def test_a_residual_profile_is_signed_and_weighted() -> None:
    codebook = tuple(((value,) * 32,) * 3 for value in (-100, 300))
    calibration = dataclasses.replace(CALIBRATION, codebook=codebook, weight=((0.5,) * 32,) * 3)
    sums = np.full((2, 3, 32), 100)
    deviation = residual_profile(sums, np.array([0, 1]), calibration)
    assert (deviation[0] == 100.0).all()  # (100 + 100) / 2: louder
    assert (deviation[1] == -100.0).all()  # (100 - 300) / 2: quieter


def test_the_fourth_power_mean_by_hand() -> None:
    deviation = np.zeros((3, 3, 32))
    deviation[0] = -2.0
    deviation[1, 0, :6] = 2.0  # 6 of 96, each 16: a mean of 1
    deviation[2, 2, 31] = 96.0**0.25
    assert fourth_power_mean(deviation) == pytest.approx([2.0, 1.0, 1.0], rel=1e-12)


# --- the score -------------------------------------------------------------------------------------------------


def test_the_score_is_1_exactly_at_the_threshold() -> None:
    calibration = dataclasses.replace(CALIBRATION, threshold=2048.0)  # 32 cells of 64 pixels
    assert score(picture(64), picture(), 1 / 32, 0, calibration).score.tolist() == [1.0]
    assert score(picture(-64), picture(), 1 / 32, 0, calibration).score.tolist() == [1.0]
    assert score(picture(), picture(), 1 / 32, 0, calibration).score.tolist() == [0.0]


def test_a_window_is_compared_with_the_regime_that_its_reconstruction_shows() -> None:
    slow, fast = STILL, ((1280,) * 32,) * 3  # 0 and 40 pixels
    calibration = dataclasses.replace(CALIBRATION, codebook=(slow, fast), threshold=32.0)
    # What is seen lies nearer to slow, but the model takes it for fast.
    found = score(picture(10), picture(35), 1 / 32, 0, calibration)
    assert found.regime.tolist() == [1]
    assert (found.deviation == 320 - 1280).all()
    assert found.score.tolist() == [30.0]


def test_quieter_counts_as_much_as_louder() -> None:
    louder, quieter = (score(picture(value), picture(), 1 / 32, 0, CALIBRATION) for value in (40, -40))
    assert louder.score == quieter.score
    assert louder.score > 1
    assert (louder.deviation > 0).all()
    assert (quieter.deviation < 0).all()


def test_windows_are_scored_one_by_one() -> None:
    seen = np.random.default_rng(1).integers(-60, 60, (9, 32, 32, 3)).astype(np.int8)
    output = np.random.default_rng(2).integers(-60, 60, (9, 32, 32, 3)).astype(np.int8)
    codebook = tuple(((value,) * 32,) * 3 for value in (-30, 0, 30))
    calibration = dataclasses.replace(CALIBRATION, codebook=codebook)
    together = score(seen, output, 0.04, 3, calibration)
    for index in range(9):
        alone = score(seen[index : index + 1], output[index : index + 1], 0.04, 3, calibration)
        for name in ("score", "regime", "deviation"):
            assert (getattr(alone, name)[0] == getattr(together, name)[index]).all()
    nothing = score(seen[:0], output[:0], 0.04, 3, calibration)
    assert nothing.score.shape == (0,)
    assert nothing.deviation.shape == (0, 3, 32)


# --- the reasons -----------------------------------------------------------------------------------------------


def test_reasons_name_axis_band_direction_and_share() -> None:
    deviation = np.zeros((3, 32))
    deviation[1, 20] = 3.0  # 81 of 100
    deviation[2, 4] = -2.0  # 16 of 100
    deviation[0, 31] = 2.0**0.25  # 2 of 100
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
    assert reasons(one, SPEC) == [Reason("z", SPEC.bands[0].center_hz, "quieter", 1.0)]


def test_a_louder_line_is_the_reason_of_its_score() -> None:
    seen = picture()
    seen[0, 12, :, 2] = 100
    seen[0, 30, :, 0] = -50
    found = score(seen, picture(), 1 / 32, 0, CALIBRATION)
    first, second = reasons(found.deviation[0], SPEC)
    assert (first.axis, first.center_hz, first.direction) == ("z", SPEC.bands[12].center_hz, "louder")
    assert (second.axis, second.center_hz, second.direction) == ("x", SPEC.bands[30].center_hz, "quieter")
    assert first.share == pytest.approx(16 / 17)  # twice the deviation, 16 times the fourth power


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
