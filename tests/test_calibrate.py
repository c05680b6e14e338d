"""The calibration of the score: views by hand, scales, and what is compared with what it was not fitted to."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny
from numpy.typing import NDArray

from gyrovae_tf import runtime, workers
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import SIZES, View
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.calibrate import (
    PLANS,
    Calibrated,
    calibrate,
    fit_views,
    fused,
    out_of_block,
    reach_of,
    scaled,
    view_distances,
)
from gyrovae_tf.learn.dataset import Dataset, cut
from gyrovae_tf.learn.threshold import blocks_of
from gyrovae_tf.learn.trust import foreseen
from gyrovae_tf.learn.voting import MENU
from gyrovae_tf.runtime import Detector, Model, profiles_of
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.score import Profiles, distances, nearest, ratios, score

# --- views by hand ------------------------------------------------------------------------------------------


def alike(values: list[float], residual: float = 0.0) -> Profiles:
    """A window for each value, all of whose numbers are that value in every view."""
    column = np.array(values, np.float64)[:, None]
    return Profiles(
        {name: np.tile(column, (1, size)) for name, size in SIZES.items()},
        {"rhythm": np.full((len(values), 96), residual)},
    )


def test_regimes_are_the_codes() -> None:
    views = fit_views(alike([0.0] * 8 + [100.0] * 8, residual=2.4), seed=0)
    assert views.keys() == SIZES.keys()
    for name, view in views.items():
        assert sorted(view.codes) == [(0,) * SIZES[name], (100,) * SIZES[name]]
        # They never leave their regime: only the least spread is left.
        assert view.weight == pytest.approx((1 / PLANS[name].least_spread,) * SIZES[name])
    assert views["rhythm"].residual_weight == pytest.approx((1 / 4.0,) * 96)  # root of 2.4^2 + 3.2^2
    assert [views[name].residual_weight for name in SIZES if name != "rhythm"] == [()] * 5


def test_weights_are_those_of_the_spread_within_regimes() -> None:
    """Regimes 0 and 100, windows 3.6 about them: 1 / root of 3.6^2 + 4.8^2, whatever lies between regimes."""
    seen = alike([3.6, -3.6] * 4 + [103.6, 96.4] * 4)
    views = fit_views(seen, seed=0)
    for name in ("bands", "rhythm"):
        assert sorted(views[name].codes) == [(0,) * 96, (100,) * 96]
        assert views[name].weight == pytest.approx((1 / 6.0,) * 96)


def test_scatter_is_that_of_the_wide_regimes() -> None:
    """Mean squares 1 and 4, together 2.5; 32 windows' worth of the latter is added to the 8 of each regime."""
    seen = alike([3.0, -3.0] * 4 + [106.0, 94.0] * 4)
    for name in ("bands", "rhythm"):
        view = fit_views(seen, seed=0)[name]
        expected = {0: 1.0, 100: ((8 * 4 + 32 * 2.5) / 40 / 2.5) ** 0.25}
        assert view.scatter == pytest.approx([expected[row[0]] for row in view.codes])


def test_regimes_without_any_scatter_are_alike() -> None:
    views = fit_views(alike([0.0] * 8 + [100.0] * 8), seed=0)
    assert {view.scatter for view in views.values()} == {(1.0, 1.0)}


def test_numbers_that_never_vary_do_not_weigh_without_limit() -> None:
    seen = alike([0.0] * 40)
    seen.seen["bands"][:, 5] = np.tile([64.0, -64.0], 20)
    weight = np.array(fit_views(seen[:8], seed=0)["bands"].weight)  # eight windows are one regime
    assert weight[5] == pytest.approx(1 / math.hypot(64, 4.8))
    assert np.delete(weight, 5) == pytest.approx(np.full(95, 1 / 4.8))


def test_codes_are_rounded_and_stay_in_their_range() -> None:
    assert fit_views(alike([10.4] * 8), seed=0)["groups"].codes == ((10,) * 24,)
    high, low = (fit_views(alike([value] * 8), seed=0) for value in (40_000.0, -40_000.0))
    for name, largest in (("bands", 127), ("groups", 127), ("quarters", 32767), ("level", 32767), ("tilt", 32767)):
        assert high[name].codes == ((largest,) * SIZES[name],)
        assert low[name].codes == ((-largest,) * SIZES[name],)


def test_only_some_views_are_mixed() -> None:
    views = fit_views(alike([0.0] * 16), seed=0)
    assert [name for name, view in views.items() if view.mixing] == ["groups", "level", "tilt"]
    # Without any deviation there is only the ridge.
    assert views["level"].mixing == (
        pytest.approx((0.002**-0.5,)),
        pytest.approx((0.0, 0.002**-0.5)),
        pytest.approx((0.0, 0.0, 0.002**-0.5)),
    )


@pytest.mark.parametrize("name", ["groups", "level", "tilt"])
def test_mixing_makes_deviations_uncorrelated_and_of_one_size(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(PLANS, name, PLANS[name]._replace(regimes=1))  # what varies lies within the regime
    rng, size = np.random.default_rng(0), SIZES[name]
    seen = alike([0.0] * 4000)
    together = rng.normal(0, 300, (4000, 1))
    seen.seen[name][:] = together + rng.normal(0, 100, (4000, size))
    view = fit_views(seen, seed=0)[name]
    full = np.array([row + (0.0,) * (size - len(row)) for row in view.mixing])
    mixed = (seen.seen[name] - np.array(view.codes)) * np.array(view.weight) @ full.T
    assert np.cov(mixed.T) == pytest.approx(np.eye(size), abs=0.05)


def test_the_seed_decides_the_views() -> None:
    rng = np.random.default_rng(1)
    seen = Profiles(
        {name: rng.normal(0, 50, (300, size)) for name, size in SIZES.items()}, {"rhythm": rng.normal(0, 5, (300, 96))}
    )
    assert fit_views(seen, seed=1) == fit_views(seen, seed=1)
    assert fit_views(seen, seed=1)["bands"].codes != fit_views(seen, seed=2)["bands"].codes


def test_every_number_is_a_float32() -> None:
    rng = np.random.default_rng(2)
    seen = Profiles(
        {name: rng.normal(0, 50, (60, size)) for name, size in SIZES.items()}, {"rhythm": rng.normal(0, 5, (60, 96))}
    )
    views = fit_views(seen, seed=0)
    for view in scaled(views, view_distances(views, seen)).values():
        for value in (
            *view.weight,
            *view.scatter,
            *view.residual_weight,
            view.center,
            view.power,
            *sum(view.mixing, ()),
        ):
            assert type(value) is float
            assert value == float(np.float32(value))


# --- scales -------------------------------------------------------------------------------------------------


def test_view_distances_are_those_of_the_score() -> None:
    rng = np.random.default_rng(3)
    seen = Profiles(
        {name: rng.normal(0, 50, (60, size)) for name, size in SIZES.items()}, {"rhythm": rng.normal(0, 5, (60, 96))}
    )
    views = fit_views(seen[:40], seed=0)
    found = view_distances(views, seen)
    assert found.keys() == SIZES.keys()
    rhythm = views["rhythm"]
    expected = distances(rhythm, nearest(rhythm, seen.seen["rhythm"])[1], seen.residual["rhythm"])
    assert np.array_equal(found["rhythm"], expected)
    assert np.array_equal(found["tilt"], nearest(views["tilt"], seen.seen["tilt"])[1])


VIEW = View(codes=((0, 0, 0),), weight=(1.0, 1.0, 1.0), scatter=(1.0,))


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_the_middle_distance_adds_1_and_the_95_percent_one_root_e(factor: float, spread: float) -> None:
    found = factor * np.exp(np.random.default_rng(4).normal(0, spread, 1001))
    made = scaled({"level": VIEW}, {"level": found})["level"]
    assert dataclasses.replace(made, center=1.0, power=1.0) == VIEW  # nothing else changes
    added = ratios(made, found)
    assert np.median(added) == pytest.approx(1.0)
    assert np.quantile(added, 0.95) == pytest.approx(math.exp(0.5))


def test_scales_by_hand() -> None:
    found = np.array([1.0] + [2.0] * 18 + [2.0 * math.e, 100.0])  # the 20th of 21 is the 95 % one
    made = scaled({"level": VIEW}, {"level": found})["level"]
    assert (made.center, made.power) == (pytest.approx(2.0), pytest.approx(0.5))


def test_distances_that_do_not_differ_do_not_scale_without_limit() -> None:
    for value, center in ((3.0, 3.0), (0.0, 1e-6)):
        made = scaled({"level": VIEW}, {"level": np.full(50, value)})["level"]
        assert (made.center, made.power) == (pytest.approx(center), pytest.approx(0.5 / 0.05))


def test_views_count_alike() -> None:
    other = dataclasses.replace(VIEW, center=2.0, power=2.0)
    added = fused({"level": VIEW, "tilt": other}, {"level": np.array([1.0, 3.0]), "tilt": np.array([2.0, 4.0])})
    assert added.tolist() == [(1 + 1) / 2, (3 + 4) / 2]
    three = dict.fromkeys(("groups", "level", "tilt"), VIEW)
    found = {"groups": np.array([1.0]), "level": np.array([2.0]), "tilt": np.array([9.0])}
    assert fused(three, found).tolist() == [4.0]


# --- the parts of it, without a model -----------------------------------------------------------------------


def test_least_spreads_by_hand() -> None:
    """What never varied weighs 1 over these, in the units of the view's codes."""
    views = fit_views(alike([0.0] * 8), seed=0)
    least = {"bands": 4.8, "groups": 2.4, "quarters": 76.8, "rhythm": 4.8, "level": 76.8, "tilt": 16.0}
    assert {name: 1 / view.weight[0] for name, view in views.items()} == pytest.approx(least)


def test_there_are_no_more_regimes_than_the_plan_has() -> None:
    """Of 300 windows without any order."""
    rng = np.random.default_rng(0)
    seen = Profiles(
        {name: rng.normal(0, 50, (300, size)) for name, size in SIZES.items()}, {"rhythm": rng.normal(0, 5, (300, 96))}
    )
    number = {name: len(view.codes) for name, view in fit_views(seen, seed=0, trials=1).items()}
    assert number == {"bands": 24, "groups": 16, "quarters": 24, "rhythm": 16, "level": 16, "tilt": 16}


@pytest.mark.parametrize(
    ("scores", "threshold", "reach"),
    [
        ([1.0, 4.0], 8.0, 2 / 2**0.5),  # logarithms 0 and 2: the mean is 1, the deviation the root of 2
        ([1.0, 1.0, 4.0, 4.0], 8.0, 2 / (4 / 3) ** 0.5),
        ([1.0, 4.0], 2.0, 0.5),  # at the mean, but at least that
        ([1.0, 1.0, 1.0], 2.0, 20.0),  # no deviation, and at most that
        ([2.0], 4.0, 20.0),
        ([2**0.1, 2**-0.1], 2.0, 1 / 0.02**0.5),
        ([0.0, 1.0], 2.0, (1 + 3 / math.log10(2)) / (6 / math.log10(2) / 2**0.5)),  # 0 counts as 1e-6
    ],
)
def test_the_reach_by_hand(scores: list[float], threshold: float, reach: float) -> None:
    assert reach_of(np.array(scores), threshold) == pytest.approx(reach)


def apart(values: list[float], counts: list[int], hop: int = 64) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Distances in the bands, out of block, of so many windows of 64 samples of each value, each a block of its own."""
    windows = sum(counts)
    origins = np.stack([np.zeros(windows, np.int64), hop * np.arange(windows)], axis=1)
    blocks = np.repeat(np.arange(len(counts)), counts)
    seen = alike(np.repeat(values, counts).tolist())
    found, known = out_of_block(seen, origins, np.zeros(windows, np.int64), blocks, 64, 0, None)
    return found["bands"], known


def test_what_only_one_block_holds_is_far_from_the_others() -> None:
    """Twice 0, and once 100: that is no regime of the others, who never vary and weigh 1 over 4.8."""
    bands, known = apart([0.0, 100.0, 0.0], [8, 8, 8])
    assert known.all()
    assert bands == pytest.approx(np.repeat([0, 100 / 4.8, 0], 8))


@pytest.mark.parametrize(("counts", "known"), [([8, 8], [True] * 16), ([8, 7], [False] * 8 + [True] * 7)])
def test_a_block_needs_eight_windows_elsewhere(counts: list[int], known: list[bool]) -> None:
    bands, found = apart([0.0, 0.0], counts)
    assert found.tolist() == known
    assert len(bands) == sum(known)


def test_a_block_needs_eight_windows_that_share_no_samples_with_it() -> None:
    """Half a window apart, the first of nine others does."""
    assert apart([0.0, 0.0], [9, 9], hop=32)[1].all()
    assert apart([0.0, 0.0], [8, 9], hop=32)[1].tolist() == [True] * 8 + [False] * 9


def planned(monkeypatch: pytest.MonkeyPatch, hop: int, windows: int = 32, **asked: Any) -> Calibrated:
    """A calibration on windows of 64 samples at 200 Hz, of noise instead of what a model sees."""
    rng = np.random.default_rng(0)
    noise = Profiles(
        {name: rng.normal(0, 20, (windows, size)) for name, size in SIZES.items() if name != "tilt"},
        {"rhythm": rng.normal(0, 5, (windows, 96))},
    )
    monkeypatch.setattr(runtime, "profiles_of", lambda *_: noise[: len(_[1])])
    origins = np.stack([np.repeat([0, 1], windows // 2), hop * np.tile(np.arange(windows // 2), 2)], axis=1)
    data = SimpleNamespace(
        train_images=np.zeros(windows - 8),
        validation_images=np.zeros(8),
        train_origins=origins[: windows - 8],
        validation_origins=origins[windows - 8 :],
        train_windows=None,
        validation_windows=None,
        hop=hop,
        spec=SimpleNamespace(window=64, rate_hz=200.0),
    )
    return calibrate(cast(Model, None), cast(Dataset, data), **{"seed": 0, **asked})


@pytest.mark.parametrize(
    ("hop", "seconds", "side_by_side", "apart_s"),
    [
        (64, 32 * 0.32, 32, 0.32),
        (32, 2 * (15 * 0.16 + 0.32), 16, 0.32),  # every second window
        (128, 32 * 0.32, 32, 0.64),  # what lies between windows was not seen
        (48, 2 * (15 * 0.24 + 0.32), 24, 0.24),  # as near as can be to a window's length
    ],
)
def test_the_time_that_windows_cover(
    monkeypatch: pytest.MonkeyPatch, hop: int, seconds: float, side_by_side: int, apart_s: float
) -> None:
    """Sixteen windows of each of two recordings."""
    found = planned(monkeypatch, hop)
    assert 60 * found.trust.minutes == pytest.approx(seconds)
    assert found.vote.hop_s == pytest.approx(apart_s)
    assert max(found.trust.effective_windows, found.tail.effective_windows) <= side_by_side + 1e-9
    assert (found.trust.recordings, found.trust.windows, found.tail.blocks) == (2, 32, 16)
    assert len(found.trust.left_out_rates) == 16
    assert found.calibration.held_back_windows == 32


def test_a_rate_is_never_below_that_of_half_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 32: so few windows tell nothing of a false alarm in three years."""
    found = planned(monkeypatch, 64, false_alarms_per_day=1e-3)
    assert found.tail.rate == pytest.approx(0.5 / 32)


# --- a detector's calibration -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tiny: Tiny) -> Calibrated:
    return calibrated(tiny)


def calibrated(tiny: Tiny, data: Dataset | None = None, **asked: Any) -> Calibrated:
    """The tiny model calibrated on its own dataset, or on another."""
    return calibrate(Model(tiny.bundle.model), data or tiny.dataset, **{"seed": 0, **asked})


def detector(tiny: Tiny, made: Calibrated) -> Detector:
    return Detector(Bundle(tiny.bundle.model, tiny.bundle.spec, made.calibration, tiny.bundle.ops))


def windows_of(tiny: Tiny, seconds: float, seed: int, fault: str | None = None) -> NDArray[np.int16]:
    """Windows that nobody learned from."""
    recording = simulate(TINY_MACHINE, seconds=seconds, seed=seed, fault=fault)
    return cut([recording], window=TINY_WINDOW, hop=32, lsb=tiny.dataset.spec.lsb)[0]


def with_odd_block(tiny: Tiny, block: int) -> tuple[Dataset, NDArray[np.bool_], NDArray[np.int8]]:
    """The dataset with one sixteenth of its time replaced by a fault; which windows, and their images, in time order.

    The windows are in the order of training windows, then held-back ones.
    """
    data = tiny.dataset
    every = np.concatenate([data.train_images, data.validation_images])
    order = np.argsort(np.concatenate([data.train_origins, data.validation_origins])[:, 1], kind="stable")
    odd = np.zeros(len(every), bool)
    odd[order] = blocks_of(len(every), 16) == block
    images = frontend.images(windows_of(tiny, 20, 8, "imbalance"), data.spec)[: odd.sum()]
    every[odd] = images
    count = len(data.train_images)
    changed = dataclasses.replace(data, train_images=every[:count], validation_images=every[count:])
    return changed, odd, images


def test_all_normal_windows_have_a_part_in_it(tiny: Tiny, made: Calibrated) -> None:
    data = tiny.dataset
    every = len(data.train_images) + len(data.validation_images)
    assert made.calibration.held_back_windows == made.tail.windows == every
    swapped = dataclasses.replace(
        data,
        train_images=data.validation_images,
        validation_images=data.train_images,
        train_origins=data.validation_origins,
        validation_origins=data.train_origins,
    )
    assert calibrated(tiny, swapped) == made


def test_a_block_is_compared_with_the_other_blocks_alone(tiny: Tiny) -> None:
    """What happened once is far from all else, even though the detector itself then knows it."""
    changed, odd, images = with_odd_block(tiny, 7)
    found = calibrated(tiny, changed)
    rates = found.trust.left_out_rates
    assert len(rates) == 16
    assert rates[7] > 0.9
    assert max(rates[:7] + rates[8:]) < 0.3
    assert found.trust.warnings
    known = detector(tiny, found).score_images(images).score
    assert len(known) == odd.sum() > 15
    assert (known >= 1).mean() < 0.1
    before = detector(tiny, calibrated(tiny)).score_images(images).score
    assert (before >= 1).mean() > 0.9


def test_no_more_windows_are_independent_than_lie_side_by_side(tiny: Tiny) -> None:
    """What `foreseen` told before any score must not be taken back, however little neighbours seem alike."""
    scattered = dataclasses.replace(
        tiny.dataset,
        train_images=np.random.default_rng(0).permutation(tiny.dataset.train_images),
        validation_images=np.random.default_rng(1).permutation(tiny.dataset.validation_images),
    )
    found = calibrated(tiny, scattered)
    assert found.tail.windows > 1.5 * found.trust.effective_windows
    assert found.trust.effective_windows == pytest.approx(found.tail.windows / 2, rel=0.03)  # half a window apart
    assert found.tail.effective_windows <= found.trust.effective_windows
    assert foreseen(scattered)[0].split("; ")[1:] == found.trust.warnings[0].split("; ")[1:]


def test_recordings_of_one_name_are_several(tiny: Tiny) -> None:
    """As those of several days are, each in the folder of its day."""
    data = tiny.dataset
    halves = [
        np.where(origins[:, 1:] < 6000, origins, origins + np.array([1, 0]))
        for origins in (data.train_origins, data.validation_origins)
    ]
    two = dataclasses.replace(
        data, train_origins=halves[0], validation_origins=halves[1], sources=(data.sources[0],) * 2
    )
    alone, found = calibrated(tiny).trust, calibrated(tiny, two).trust
    assert (alone.recordings, found.recordings) == (1, 2)
    assert alone.note
    assert not found.note
    assert [any("one recording" in text for text in trust.warnings) for trust in (alone, found)] == [True, False]


def test_scales_and_threshold_are_float32_and_the_rest_as_asked(made: Calibrated) -> None:
    calibration = made.calibration
    assert calibration.threshold == float(np.float32(made.tail.threshold))
    assert calibration.false_alarm_rate == made.tail.rate == 0.01
    assert (calibration.vote_alarms, calibration.vote_windows) == (made.vote.alarms, made.vote.windows) == (3, 5)
    assert made.tail.low < made.tail.threshold < made.tail.high
    assert made.vote.threshold == made.tail.threshold
    assert list(calibration.views) == ["bands", "groups", "quarters", "rhythm", "level"]
    for name, view in calibration.views.items():
        assert len(view.codes) <= PLANS[name].regimes
        assert bool(view.mixing) == PLANS[name].mixed


@pytest.mark.parametrize("rate", [0.2, 0.05])
def test_about_the_asked_share_of_new_normal_windows_raises_the_alarm(tiny: Tiny, rate: float) -> None:
    found = calibrated(tiny, false_alarm_rate=rate)
    assert found.calibration.false_alarm_rate == rate
    alarms = detector(tiny, found).score_windows(windows_of(tiny, 60, 21)).score >= 1
    assert rate / 3 <= alarms.mean() <= 3 * rate
    assert 0 < found.tail.rate_low <= rate <= found.tail.rate_high


def test_a_smaller_rate_raises_the_threshold_and_changes_no_view(tiny: Tiny, made: Calibrated) -> None:
    loose, strict = (calibrated(tiny, false_alarm_rate=rate).calibration for rate in (0.2, 0.001))
    assert loose.threshold < made.calibration.threshold < strict.threshold
    assert loose.views == made.calibration.views == strict.views


def test_the_vote_can_be_given(tiny: Tiny, made: Calibrated) -> None:
    found = calibrated(tiny, vote=(1, 2))
    assert (found.calibration.vote_alarms, found.calibration.vote_windows) == (1, 2)
    assert (found.vote.alarms, found.vote.windows) == (1, 2)
    assert found.calibration.threshold == made.calibration.threshold
    assert found.vote.events_per_day > made.vote.events_per_day
    assert found.vote.hop_s == made.vote.hop_s == TINY_WINDOW / 200  # windows side by side
    assert found.vote.days == pytest.approx(60 / 86400, rel=0.15)


def test_false_alarms_a_day_set_threshold_and_vote(tiny: Tiny) -> None:
    found = calibrated(tiny, false_alarms_per_day=100.0)
    calibration = found.calibration
    assert (calibration.vote_alarms, calibration.vote_windows) == (found.vote.alarms, found.vote.windows)
    assert (found.vote.alarms, found.vote.windows) in MENU
    assert calibration.threshold == float(np.float32(found.vote.threshold))
    assert (found.tail.threshold, found.tail.low, found.tail.high) == (
        found.vote.threshold,
        found.vote.low,
        found.vote.high,
    )
    assert found.vote.events_per_day == pytest.approx(100.0)
    assert 0 < calibration.false_alarm_rate <= 0.2
    assert calibration.false_alarm_rate == float(np.float32(found.tail.rate))
    assert found.tail.rate_low < found.tail.rate < found.tail.rate_high  # of the threshold that was set


def test_fewer_false_alarms_a_day_raise_the_threshold_of_a_given_vote(tiny: Tiny) -> None:
    many, few = (calibrated(tiny, false_alarms_per_day=number, vote=(2, 2)) for number in (5000.0, 5.0))
    assert (many.vote.alarms, many.vote.windows) == (few.vote.alarms, few.vote.windows) == (2, 2)
    assert many.calibration.threshold < few.calibration.threshold
    assert many.calibration.false_alarm_rate > few.calibration.false_alarm_rate
    assert few.vote.warnings  # a minute does not tell what happens in a day


# --- the tilt -----------------------------------------------------------------------------------------------


def test_a_tilted_machine_is_found_with_the_tilt_and_not_without(tiny: Tiny, made: Calibrated) -> None:
    with_tilt = calibrated(tiny, tilt=True)
    assert list(with_tilt.calibration.views) == ["bands", "groups", "quarters", "rhythm", "level", "tilt"]
    upright = windows_of(tiny, 20, 22)
    sideways = (upright + np.array([600, 0, -600])).astype(np.int16)
    knows, ignores = detector(tiny, with_tilt), detector(tiny, made)
    assert np.array_equal(ignores.score_windows(sideways).score, ignores.score_windows(upright).score)
    assert (knows.score_windows(upright).score >= 1).mean() < 0.1
    found = knows.score_windows(sideways)
    assert (found.score >= 1).all()
    assert (found.shares["tilt"] > 0.5).all()
    for name in ("bands", "groups", "quarters", "rhythm", "level"):
        assert with_tilt.calibration.views[name] == made.calibration.views[name]


@pytest.mark.parametrize("name", ["train_windows", "validation_windows"])
def test_the_tilt_needs_the_windows(tiny: Tiny, made: Calibrated, name: str) -> None:
    older = dataclasses.replace(tiny.dataset, **{name: None})
    with pytest.raises(GyrovaeError, match="the dataset did not keep its windows, whose means the tilt needs"):
        calibrated(tiny, older, tilt=True)
    assert calibrated(tiny, older) == made


# --- few windows, seeds, progress ---------------------------------------------------------------------------


def shorter(data: Dataset, train: int, held_back: int) -> Dataset:
    """The first windows of each part."""
    return dataclasses.replace(
        data,
        train_images=data.train_images[:train],
        train_origins=data.train_origins[:train],
        validation_images=data.validation_images[:held_back],
        validation_origins=data.validation_origins[:held_back],
    )


@pytest.mark.parametrize(("train", "held_back"), [(1, 0), (4, 3), (7, 1)])
def test_too_few_windows(tiny: Tiny, train: int, held_back: int) -> None:
    with pytest.raises(GyrovaeError, match="too few windows to calibrate the score\nRecord longer, or use a smaller"):
        calibrated(tiny, shorter(tiny.dataset, train, held_back))


@pytest.mark.parametrize(("train", "held_back"), [(12, 4), (16, 4), (30, 0), (50, 10)])
@pytest.mark.parametrize("per_day", [None, 10.0])
def test_few_windows_are_enough_for_a_score(tiny: Tiny, train: int, held_back: int, per_day: float | None) -> None:
    found = calibrated(tiny, shorter(tiny.dataset, train, held_back), false_alarms_per_day=per_day)
    assert 8 <= found.calibration.held_back_windows <= train + held_back
    assert found.trust.warnings
    assert np.isfinite(detector(tiny, found).score_windows(windows_of(tiny, 5, 23)).score).all()


def test_the_same_seed_gives_the_same_numbers(tiny: Tiny, made: Calibrated) -> None:
    assert calibrated(tiny) == made
    assert calibrated(tiny, seed=1).calibration.bands.codes != made.calibration.bands.codes


@pytest.mark.parametrize("cores", [1, 4])
def test_the_number_of_cores_changes_nothing(
    tiny: Tiny, made: Calibrated, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(workers, "cores", lambda: cores)
    assert calibrated(tiny) == made


def test_progress_is_told(tiny: Tiny) -> None:
    told: list[tuple[int, int, str]] = []
    calibrated(tiny, progress=lambda *step: told.append(step))
    ended = {what for done, total, what in told if done == total}
    assert {"scoring normal windows", "calibrating"} <= ended
    assert all(0 < done <= total for done, total, _ in told)


def test_scores_are_in_units_of_the_threshold(tiny: Tiny, made: Calibrated) -> None:
    """The score that `Detector` gives is what `fused` makes of the views' distances."""
    images = tiny.dataset.validation_images
    found = detector(tiny, made)
    seen = profiles_of(found.model, images, tiny.dataset.spec)
    views = made.calibration.views
    expected = fused(views, view_distances(views, seen)) / made.calibration.threshold
    assert found.score_images(images).score == pytest.approx(expected, rel=1e-12)
    assert score(seen, made.calibration).score == pytest.approx(expected, rel=1e-12)
