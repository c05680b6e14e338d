"""Health of data: where each check begins to complain, on samples and pixels that can be counted by hand."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.health import AMOUNT, Check, checks, doubts, oddities
from gyrovae_tf.learn.trust import Trust
from gyrovae_tf.signal import frontend

SPEC = frontend.fit(np.zeros((1, 64, 3), np.int16), rate_hz=200.0, lsb=0.01, units="m/s^2")
LONG = 910  # windows of 0.32 s, side by side: 291.2 s, and 9.1 of them are 1 %
RAMP = np.arange(-1000, 1000)


def dataset(trained: int = 1, **fields: Any) -> Dataset:
    """So many windows of nothing to train on, and one held back; of one recording, and without their samples."""
    parts: dict[str, Any] = {
        "train_images": np.zeros((trained, 2, 32, 32, 3), np.int8),
        "validation_images": np.zeros((1, 2, 32, 32, 3), np.int8),
        "train_origins": np.stack(np.broadcast_arrays(0, 64 * np.arange(trained)), axis=1),
        "validation_origins": np.array([[0, 64 * trained]]),
        "train_features": np.zeros((trained, 27)),
        "validation_features": np.zeros((1, 27)),
        "sources": ("a.csv", "b.csv"),
    }
    return Dataset(spec=SPEC, hop=64, **{**parts, **fields})


def detector(rate: float = 0.01, **metrics: Any) -> Bundle:
    """What of a bundle tells its false alarms."""
    return cast(Bundle, SimpleNamespace(calibration=SimpleNamespace(false_alarm_rate=rate), metrics=metrics))


def window(x: Any, y: Any = 0, z: Any = 0) -> NDArray[np.int16]:
    """One window of these counts, [1, N, 3]."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)[None].astype(np.int16)


def check(name: str, data: Dataset, bundle: Bundle | None = None) -> Check:
    (found,) = [one for one in checks(data, bundle or detector()) if one.name == name]
    return found


def test_every_check_is_there_once() -> None:
    names = [one.name for one in checks(dataset(validation_windows=window(RAMP)), detector())]
    assert names == [
        "motion to learn from",
        "repeated samples",
        "samples at the largest value",
        "size of the motion",
        "pixels at the end of their scale",
        "held back against trained on",
    ]


def test_what_may_not_be_normal_is_said_first_and_once() -> None:
    data = dataset(suspect=("One is of a fault.", "Another is of two machines."), notes=("One is of a fault.",))
    amount, one, other, *_ = checks(data, detector())
    assert amount.name == "motion to learn from"
    assert one == Check("recordings", "perhaps not all normal", "look", "One is of a fault.")
    assert other.meaning == "Another is of two machines."
    assert doubts(data)[0] == "One is of a fault."


def test_without_samples_it_is_said_that_they_were_not_looked_at() -> None:
    found = check("samples", dataset())
    assert (found.value, found.status) == ("not kept", "look")
    assert oddities(dataset())[0].startswith("samples: not kept. This dataset holds images only: ")


# --- how much --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trained", "value", "status"),
    [(187, "1.0 min", "bad"), (188, "1.0 min", "look"), (906, "4.8 min", "good")],  # 59.84, 60.16 and 289.92 s
)
def test_the_amount_of_motion(trained: int, value: str, status: str) -> None:
    """With the one held back 907 windows last 290 s; under a minute is bad."""
    found = check(AMOUNT, dataset(trained))
    assert (found.value, found.status) == (value, status)
    start = f"{trained} windows of 320 ms, and 1 held back, which the training never saw."
    assert found.meaning.startswith(start)
    assert ("Too uniform: one recording of" in found.meaning) == (status != "good")


def test_the_amount_is_that_for_the_detectors_rate() -> None:
    found = check(AMOUNT, dataset(LONG), detector(rate=0.001))
    assert found.status == "look"
    assert "911 independent windows; 0.1 % of them is 0.9. About 2,000 are needed to promise that." in found.meaning


def test_scores_may_tell_that_it_is_less_than_it_seemed() -> None:
    """Of what they tell only this is about the amount."""
    few, drift = "Too few data: 4.9 minutes hold about 20 independent windows.", "The data drift."
    trust = Trust(4.9, 1, 911, 20.0, (), 1.0, 1.0, 1.0, 1.0, (drift, few), "").to_dict()
    found = check(AMOUNT, dataset(LONG), detector(trust=trust))
    assert (found.status, found.meaning.endswith(f"never saw. {few}")) == ("look", True)
    fine = check(AMOUNT, dataset(LONG), detector(trust={**trust, "warnings": [drift]}))
    assert (fine.status, fine.meaning.endswith("never saw.")) == ("good", True)


def test_doubts_are_what_was_odd_and_what_can_be_foreseen() -> None:
    data = dataset(LONG, validation_windows=window(RAMP, RAMP, RAMP), notes=("Odd.",))
    assert doubts(data) == ("Odd.",)
    odd, few = doubts(data, 0.001)
    assert (odd, few.split(":")[0]) == ("Odd.", "Too few data")
    again = dataclasses.replace(data, notes=doubts(data, 0.001))
    assert doubts(again, 0.001) == (odd, few), "nothing is said twice"


# --- samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repeats", "value", "status"),
    [(9, "9.0 %", "good"), (10, "10.0 %", "look"), (49, "49.0 %", "look"), (50, "50.0 %", "bad")],
)
def test_repeated_samples(repeats: int, value: str, status: str) -> None:
    """Of a hundred samples behind the first so many are as the one before; on y and z all are."""
    x = np.concatenate([np.zeros(repeats), np.arange(101 - repeats)])
    found = check("repeated samples", dataset(validation_windows=window(x)))
    assert (found.value, found.status) == (value, status)
    assert ("slower than it is read" in found.meaning) == (status != "good")


@pytest.mark.parametrize("sign", [1, -1], ids=["largest", "smallest"])
@pytest.mark.parametrize(("equal", "value", "status"), [(4, "0.20 %", "good"), (5, "0.25 %", "look")])
def test_samples_at_the_limit(sign: int, equal: int, value: str, status: str) -> None:
    """Of 2000 samples of y so many are the largest; more than 0.2 % are too many. x is a ramp."""
    y = sign * np.minimum(RAMP, 1000 - equal)
    found = check("samples at the largest value", dataset(validation_windows=window(RAMP, y)))
    assert (found.value, found.status) == (value, status)
    assert ("The sensor clips" in found.meaning) == (status == "look")


@pytest.mark.parametrize(("values", "share"), [(16, "0.00 %"), (17, "5.90 %")])
def test_an_axis_of_few_values_has_many_at_its_limit_by_that_alone(values: int, share: str) -> None:
    """Of 0 to 16 by turns, each of a thousand samples is 0 at 59 places."""
    x = np.arange(1000) % values
    assert check("samples at the largest value", dataset(validation_windows=window(x))).value == share


def even(most: int, step: int = 1) -> NDArray[np.int64]:
    """Each value from -most to most once: their mean square is most * (most + 1) / 3 steps."""
    return step * np.arange(-most, most + 1)


@pytest.mark.parametrize(
    ("most", "step", "few"),
    [
        (14, 1, ""),  # root of 14 * 15 / 3 = 8.4 steps
        (13, 1, " On x that is only a few counts of 0.01 m/s^2: choose a smaller range if there is one."),  # 7.8
        (14, 5, ""),
        (13, 5, " On x that is only a few counts of 0.05 m/s^2: choose a smaller range if there is one."),
    ],
)
def test_motion_of_less_than_eight_steps_of_the_sensor(most: int, step: int, few: str) -> None:
    x, loud = even(most, step), 100 * even(most)
    loud[1] = loud[0] + 1  # a step is the least difference of two values
    size = step * math.sqrt(most * (most + 1) / 3) / 100
    found = check("size of the motion", dataset(validation_windows=window(x, loud, loud)))
    assert found.value.startswith(f"x {size:.3g}, y ")
    assert found.value.endswith(" m/s^2")
    assert found.meaning == f"Root mean square about each window's mean.{few}"
    assert found.status == ("look" if few else "good")


def test_the_size_of_the_motion_is_about_each_windows_own_mean() -> None:
    """A machine that was turned over between two windows does not move for that: root of 14 * 15 / 3 counts of 0.01."""
    x = even(14)
    turned = np.concatenate([window(x, x + 500, x), window(x, x - 500, x)])
    found = check("size of the motion", dataset(validation_windows=turned))
    assert (found.value, found.status) == ("x 0.0837, y 0.0837, z 0.0837 m/s^2", "good")


def test_an_axis_that_never_moves_is_named() -> None:
    found = check("size of the motion", dataset(validation_windows=window(RAMP, RAMP, 7)))
    assert found.status == "look"
    assert found.meaning.endswith("mean. z reads the same all the time: see to the sensor.")


# --- gravity ---------------------------------------------------------------------------------------------------


def pulled(z: list[int], recordings: list[int]) -> tuple[str, ...]:
    """What is odd about windows that rest at so many hundredths of m/s^2, of these recordings."""
    origins = np.stack([recordings, 64 * np.arange(len(z))], axis=1)
    windows = np.concatenate([window(np.zeros(64), 0, value) for value in z])
    data = dataset(len(z), train_windows=windows, train_origins=origins, validation_windows=window(RAMP, RAMP, RAMP))
    return oddities(data)


def test_gravity_is_that_of_each_recording() -> None:
    (told,) = pulled([981, 981, 100, 100], [0, 0, 1, 1])
    assert told.startswith("The mean acceleration in 1 of 2 recordings (b.csv) is 1.00 m/s^2, as gravity is in g.")
    (told,) = pulled([100, 100, 981, 981], [0, 0, 1, 1])
    assert told.startswith("The mean acceleration in 1 of 2 recordings (a.csv) is 1.00 m/s^2, as gravity is in g.")
    assert pulled([981, 981, 981, 981], [0, 0, 1, 1]) == ()


@pytest.mark.parametrize(
    ("z", "shown"),
    [
        ([86], "0.86"),
        ([114], "1.14"),
        ([100, 100, -100], "1.00"),  # turned over: 0.33 on average
        ([70, 114, 114, -60], "0.90"),
    ],
)
def test_what_could_be_gravity_in_g(z: list[int], shown: str) -> None:
    (told,) = pulled(z, [0] * len(z))
    assert told.startswith(f"The mean acceleration is {shown} m/s^2, as gravity is in g.")


@pytest.mark.parametrize("z", [[84], [116], [100, -100], [100, 100, -145], [20, 20, 20]])
def test_what_could_not(z: list[int]) -> None:
    """Too small or too large; and motion without gravity."""
    assert pulled(z, [0] * len(z)) == ()


def test_gravity_is_the_mean_over_a_recordings_windows() -> None:
    assert pulled([100, 981, 981], [0, 0, 0]) == ()
    (told,) = pulled([0, 200, 100], [0, 0, 0])
    assert told.startswith("The mean acceleration is 1.00 m/s^2, as gravity is in g.")


# --- images ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("high", "low", "value", "status"),
    [(61, 0, "1.99 %", "good"), (62, 0, "2.02 %", "look"), (0, 62, "2.02 %", "look"), (31, 31, "2.02 %", "look")],
)
def test_pixels_at_the_end_of_their_scale(high: int, low: int, value: str, status: str) -> None:
    """Of the 32 * 32 * 3 pixels of a scalogram so many; the field does not count."""
    pixels = np.zeros(3072, np.int8)
    pixels[:high], pixels[3072 - low :] = 127, -128
    image = np.stack([pixels.reshape(32, 32, 3), np.full((32, 32, 3), 127, np.int8)])[None]
    found = check("pixels at the end of their scale", dataset(validation_images=image))
    assert (found.value, found.status) == (value, status)
    assert ("are some of these recordings not normal?" in found.meaning) == (status == "look")


@pytest.mark.parametrize(
    ("level", "value", "status"),
    [(32, "1.00 sd", "good"), (-32, "1.00 sd", "good"), (34, "1.06 sd", "look"), (-34, "1.06 sd", "look")],
)
def test_one_band_that_changed_is_drift(level: int, value: str, status: str) -> None:
    """32 pixels are one standard deviation; the sixth band of y in the held-back window, against zeros."""
    image = np.zeros((1, 2, 32, 32, 3), np.int8)
    image[0, 0, 5, :, 1] = level
    image[0, 1] = 100  # the field does not count
    found = check("held back against trained on", dataset(validation_images=image))
    assert (found.value, found.status) == (value, status)
    assert ("The motion changed while it was recorded" in found.meaning) == (status == "look")
