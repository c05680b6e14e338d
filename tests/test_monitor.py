"""The monitor: what a device says in, decisions out, and what is done with them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import TINY_MACHINE, Tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.device.live import Intake, Rate, Windows
from gyrovae_tf.device.monitor import Decision, Monitor, in_words
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.device.stockconsole import StockReason
from gyrovae_tf.device.wire import (
    WRAP,
    Banner,
    Event,
    Reason,
    Rebooted,
    Sample,
    Status,
    StockFigures,
    StockSample,
    StockSampled,
    Verdict,
)
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Detector
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.score import Scores
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration
from gyrovae_tf.stockspec import StockSpec

if TYPE_CHECKING:
    from gyrovae_tf.spec import Spec

WINDOW, RATE_HZ, LSB = 64, 200.0, 0.5
STEP_US = 5000
BOOT = Rebooted("rst:0x1 (POWERON)")


@pytest.fixture(scope="session")
def spec() -> Spec:
    rng = np.random.default_rng(1)
    motion = rng.normal(0, 300, (40, WINDOW, 3)).astype(np.int16)
    return frontend.fit(motion, rate_hz=RATE_HZ, lsb=LSB, units="m/s^2")


@pytest.fixture
def detector(spec: Spec) -> Any:
    """Its score is the mean of x over 100 (counts), so that a test can say it; an event is 2 alarms of 3 windows."""
    return SimpleNamespace(
        bundle=SimpleNamespace(spec=spec, calibration=SimpleNamespace(vote_alarms=2, vote_windows=3)),
        score_images=_mean_of_x,
    )


def _mean_of_x(_images: NDArray[np.int8], means: NDArray[np.int64]) -> Scores:
    score = np.where(means[:, 0] < 0, np.nan, means[:, 0] / 100)
    return Scores(score, {}, np.zeros(1, np.intp), np.zeros((1, 3, 32)))


def banner(**changes: Any) -> Banner:
    """An answer, unless `next` is 0, as it is at a boot."""
    return Banner(**{"sensor": "test", "rate_hz": RATE_HZ, "lsb": LSB, "boot": 7, "next": 1, **changes})


def samples(first: int, stop: int, x: int = 0) -> list[Sample]:
    return [Sample(n % WRAP, n * STEP_US % WRAP, x, 1, -1) for n in range(first, stop)]


def started(detector: Any, **settings: Any) -> Monitor:
    monitor = Monitor(detector, **settings)
    monitor.connected(0.0)
    assert monitor.commands() == [b"stream\n"]
    monitor.take([banner()], 0.0)
    assert monitor.commands() == []
    return monitor


def numbers(decisions: list[Decision]) -> list[int | None]:
    return [decision.number for decision in decisions]


# --- windows


def test_windows_begin_with_the_first_sample_and_follow_one_another() -> None:
    windows = Windows(64)
    found = [(i, made) for i in range(200) if (made := windows.push((i, 2 * i, -i))) is not None]
    assert [i for i, _ in found] == [63, 127, 191]
    assert found[1][1].dtype == np.int16
    assert found[1][1].tolist() == [[i, 2 * i, -i] for i in range(64, 128)]


def test_a_hop() -> None:
    windows = Windows(64, 16)
    assert [i for i in range(120) if windows.push((i, 0, 0)) is not None] == [63, 79, 95, 111]


def test_no_window_spans_a_gap() -> None:
    windows = Windows(64, 16)
    assert [i for i in range(70) if windows.push((i, 0, 0)) is not None] == [63]
    windows.gap()
    found = [made for i in range(70, 150) if (made := windows.push((i, 0, 0))) is not None]
    assert [made[0, 0] for made in found] == [70, 86]


@pytest.mark.parametrize("hop", [0, -1, 1 << 21])
def test_hops_that_cannot_be(hop: int) -> None:
    with pytest.raises(GyrovaeError, match="the hop is not usable; expected 1 to 1,048,576 samples"):
        Windows(64, hop)


# --- this computer decides


def test_windows_are_decided_as_they_end(detector: Any) -> None:
    monitor = started(detector)
    assert monitor.take(samples(0, 63, 40), 1.0) == []
    (decision,) = monitor.take(samples(63, 100, 40), 2.0)
    assert decision == Decision(
        window=0,
        time=2.0,
        number=63,
        t_us=63 * STEP_US,
        score=0.4,
        threshold=1.0,
        alarm=False,
        event=False,
        begins=False,
        reasons=(),
        source="host",
    )
    assert numbers(monitor.take(samples(100, 300, 40), 3.0)) == [127, 191, 255]
    assert monitor.made == 4
    assert monitor.rate_hz == pytest.approx(200)


def test_a_missing_number_begins_a_new_window(detector: Any) -> None:
    monitor = started(detector)
    assert numbers(monitor.take([*samples(0, 100), *samples(103, 240)], 0.0)) == [63, 166, 230]
    traffic = monitor.traffic
    assert (traffic.samples, traffic.lost, traffic.gaps, traffic.repeated, traffic.late) == (237, 3, 1, 0, 0)


def test_numbers_and_times_begin_again_after_the_largest(detector: Any) -> None:
    monitor = started(detector)
    assert numbers(monitor.take(samples(WRAP - 32, WRAP + 96), 0.0)) == [31, 95]
    assert (monitor.traffic.lost, monitor.traffic.gaps) == (0, 0)
    assert monitor.rate_hz == pytest.approx(200)


def test_a_sample_that_comes_twice_is_taken_once(detector: Any) -> None:
    monitor = started(detector)
    twice = [sample for sample in samples(0, 64) for _ in range(2)]
    assert numbers(monitor.take(twice, 0.0)) == [63]
    assert (monitor.traffic.samples, monitor.traffic.repeated, monitor.traffic.gaps) == (64, 64, 0)


def test_a_late_sample_is_a_gap_but_not_lost(detector: Any) -> None:
    monitor = started(detector)
    order = samples(0, 140)
    order.insert(15, order.pop(10))
    assert numbers(monitor.take(order, 0.0)) == [74, 138]
    assert (monitor.traffic.late, monitor.traffic.lost, monitor.traffic.repeated, monitor.traffic.gaps) == (1, 0, 0, 1)


@pytest.mark.parametrize("told", [[BOOT, banner(boot=8)], [BOOT], [banner(boot=8)], []])
@pytest.mark.parametrize("after", [100, 5000])
def test_a_reboot_begins_a_new_window(detector: Any, told: list[Event], after: int) -> None:
    """Whether its ROM's text and its banner arrive or not."""
    monitor = started(detector)
    monitor.take(samples(0, after), 0.0)
    before = monitor.made
    found = monitor.take([*told, *samples(0, 600)], 0.0)
    assert found[0].number == (463 if told == [BOOT] else 63)  # without a banner two seconds are waited for one
    assert monitor.traffic.boots == (1 if told else 0)
    assert monitor.made == before + len(found)
    assert monitor.traffic.lost == 0


def test_a_device_that_has_not_said_who_it_is_is_asked_again(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(10.0)
    assert monitor.commands() == [b"stream\n"]
    monitor.tick(10.9)
    assert monitor.commands() == []
    monitor.tick(11.0)
    monitor.tick(11.1)
    assert monitor.commands() == [b"\nstream\n"]
    monitor.take([banner()], 11.2)
    monitor.tick(20.0)
    assert monitor.commands() == []


def test_opened_anew(detector: Any) -> None:
    monitor = started(detector)
    monitor.take(samples(0, 100), 0.0)
    monitor.connected(0.0)
    assert monitor.commands() == [b"stream\n"]
    assert numbers(monitor.take([banner(), *samples(100, 200)], 0.0)) == [163]
    assert (monitor.traffic.connections, monitor.traffic.lost) == (2, 0)


def test_an_event_is_two_alarms_of_three_windows(detector: Any) -> None:
    monitor = started(detector)
    high = [0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1]
    stream = [s for i, alarm in enumerate(high) for s in samples(64 * i, 64 * i + 64, 100 if alarm else 99)]
    found = monitor.take(stream, 0.0)
    assert [decision.alarm for decision in found] == [bool(alarm) for alarm in high]
    assert [int(decision.event) for decision in found] == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert [int(decision.begins) for decision in found] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert (monitor.alarms, monitor.events) == (5, 1)


def test_the_vote_goes_on_over_a_gap_and_over_a_boot(detector: Any) -> None:
    """A cable that loses a sample now and then, or a device that boots again and again, silences nothing."""
    monitor = started(detector)
    first, second = monitor.take([*samples(0, 64, 200), *samples(70, 134, 200)], 0.0)
    assert (first.event, second.event) == (False, True)
    after = monitor.take([BOOT, banner(boot=9), *samples(0, 128, 200), *samples(128, 256)], 0.0)
    assert [decision.event for decision in after] == [True, True, True, False]
    assert monitor.events == 1


def test_a_window_a_connection_is_enough_for_an_event(detector: Any) -> None:
    monitor = Monitor(detector)
    found = []
    for i in range(5):
        monitor.connected(float(i))
        found += monitor.take([banner(next=100 * i + 1), *samples(100 * i + 1, 100 * i + 65, 200)], i + 0.5)
    assert [decision.begins for decision in found] == [False, True, False, False, False]
    assert monitor.events == 1


@pytest.mark.parametrize(("pause_s", "goes_on"), [(60.0, True), (60.1, False)])
def test_a_pause_of_a_minute_ends_what_was(detector: Any, pause_s: float, goes_on: bool) -> None:
    """Or of ten windows, where these are longer. Of two alarms then neither makes an event with those of before."""
    monitor = started(detector)
    monitor.take(samples(0, 128, 200), 10.0)
    monitor.connected(12.0)
    found = monitor.take([banner(next=9000), *samples(9000, 9128, 200)], 10.0 + pause_s)
    assert [decision.event for decision in found] == [goes_on, True]
    assert monitor.events == (1 if goes_on else 2)


@pytest.mark.parametrize(("pause_s", "goes_on"), [(60.0, True), (60.1, False)])
def test_so_does_one_without_a_break(detector: Any, pause_s: float, goes_on: bool) -> None:
    """As on the device: samples that a sensor did not give for an hour are no part of an event."""
    monitor = started(detector)
    monitor.take(samples(0, 128, 200), 10.0)
    found = monitor.take(samples(9000, 9128, 200), 10.0 + pause_s)
    assert [decision.event for decision in found] == [goes_on, True]
    assert monitor.events == (1 if goes_on else 2)


def test_another_sensor_s_alarms_are_no_part_of_the_vote(detector: Any) -> None:
    monitor = started(detector)
    monitor.take(samples(0, 64, 200), 0.0)
    monitor.connected(1.0)
    (decision,) = monitor.take([banner(sensor="another"), *samples(1, 65, 200)], 1.0)
    assert not decision.event


def test_samples_that_were_kept_while_nobody_read_are_left_out(detector: Any) -> None:
    """An event among them was eight hours ago. What came just before the answer is of now."""
    monitor = Monitor(detector)
    monitor.connected(0.0)
    now = 8 * 3600 * 200
    boot = banner(next=0)
    assert monitor.take([boot, *samples(0, 300, 200), *samples(now - 64, now)], 0.1) == []
    found = monitor.take([banner(next=now), *samples(now, now + 64, 200)], 0.1)
    assert numbers(found) == [now - 1, now + 63]
    assert [decision.alarm for decision in found] == [False, True]
    assert monitor.notes() == ["left out 300 samples from before the device was read"]
    assert (monitor.traffic.samples, monitor.traffic.lost) == (128, 0)
    assert monitor.rate_hz == pytest.approx(200)


def test_samples_of_a_device_that_does_not_answer_are_believed_after_a_while(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(10.0)
    assert monitor.take([banner(next=0), *samples(0, 64)], 10.1) == []
    monitor.tick(11.0)
    assert monitor.commands() == [b"stream\n", b"stream\n", b"\nstream\n"], "asked again"
    assert [(one.number, one.time) for one in monitor.take(samples(64, 128), 13.0)] == [(63, 10.1), (127, 13.0)]
    assert monitor.notes() == []


def test_samples_of_a_connection_that_broke_before_an_answer_are_told(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    monitor.take(samples(0, 64), 0.1)
    monitor.connected(2.0)
    assert monitor.notes() == ["left out 64 samples from before the device was read"]
    assert monitor.take([], 5.0) == []


def test_samples_of_which_no_window_is_whole_are_complained_of_once(detector: Any) -> None:
    """Every 50th of 200 a second is lost, and a window takes 64 in a row."""
    monitor = started(detector)

    def lossy(first: int, stop: int) -> list[Event]:
        return [sample for sample in samples(first, stop) if sample.number % 50]

    monitor.take(lossy(0, 1000), 0.0)
    monitor.tick(5.0)
    assert monitor.notes() == [], "the first, 0, is not missed"
    monitor.take(lossy(1000, 4000), 0.0)
    for _ in range(2):
        monitor.tick(20.0)
    assert monitor.notes() == [
        "no verdict for 20 s, though samples come: 79 of 3,999 were lost, in 79 gaps, and a window takes 64 in a row; "
        "see to the cable, the baud rate and what else this computer does"
    ]
    assert len(monitor.take(samples(4001, 4065), 0.0)) == 1
    monitor.take(lossy(4065, 6000), 0.0)
    monitor.tick(30.0)
    assert len(monitor.notes()) == 1, "once more, after a verdict"


def test_a_port_that_flaps_faster_than_windows_come_is_complained_of(detector: Any) -> None:
    monitor = Monitor(detector)
    for i in range(40):
        monitor.connected(0.3 * i)
        assert monitor.take([banner(), *samples(50 * i, 50 * i + 50)], 0.3 * i) == []
        monitor.tick(0.3 * i)
    (note,) = monitor.notes()
    assert note.startswith("no verdict for 5 s, though samples come: 0 of 1,000 were lost, in 19 gaps")


def test_how_long_a_verdict_may_take(detector: Any) -> None:
    """Three windows, at least 5 s; and ten, at least a minute, for an event that is broken off. A hop may be longer."""
    fast = Monitor(detector)
    assert (fast.window_s, fast.patience_s, fast.pause_s) == (0.32, 5.0, 60.0)
    slow = Monitor(detector, hop=2000)
    assert (slow.window_s, slow.patience_s, slow.pause_s) == (10.0, 30.0, 100.0)
    unknown = Monitor()
    assert (unknown.window_s, unknown.patience_s, unknown.pause_s) == (None, 5.0, 60.0)


def test_a_threshold_of_its_own(detector: Any) -> None:
    monitor = started(detector, threshold=1.5)
    low, high = monitor.take([*samples(0, 64, 149), *samples(64, 128, 150)], 0.0)
    assert (low.alarm, high.alarm) == (False, True)
    assert (low.threshold, monitor.threshold) == (1.5, 1.5)


def test_a_score_that_is_no_number_is_an_alarm(detector: Any) -> None:
    """As on the device; and JSON knows no NaN."""
    (decision,) = started(detector).take(samples(0, 64, -100), 0.0)
    assert math.isnan(decision.score)
    assert decision.alarm
    assert decision.to_dict()["score"] is None
    json.dumps(decision.to_dict(), allow_nan=False)


def test_as_json(detector: Any) -> None:
    (decision,) = started(detector).take(samples(0, 64, 40), 1.5)
    assert decision.images is not None
    assert decision.images.shape == (2, 32, 32, 3)
    assert decision.to_dict() == {
        "window": 0,
        "time": 1.5,
        "number": 63,
        "t_us": 315000,
        "score": 0.4,
        "threshold": 1.0,
        "alarm": False,
        "event": False,
        "begins": False,
        "reasons": [],
        "source": "host",
        "frontend_us": None,
        "inference_us": None,
        "score_us": None,
        "figures": None,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": 205.0}, "another sample rate than this sensor's; expected 200 Hz, received 205 Hz"),
        ({"lsb": 0.501}, r"another size of a count \(lsb\) than this sensor's; expected 0.5 m/s\^2, received 0.501"),
        ({"units": "rad/s"}, r"another units than this sensor's; expected m/s\^2, received rad/s"),
        ({"version": 2}, "another version of the protocol; expected 1, received 2"),
    ],
)
def test_a_sensor_that_the_model_was_not_made_for(detector: Any, changes: dict[str, Any], message: str) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    with pytest.raises(GyrovaeError, match=message):
        monitor.take([banner(**changes)], 0.0)


def test_a_sensor_that_is_a_little_off(detector: Any) -> None:
    monitor = started(detector)
    monitor.take([banner(rate_hz=203.9, lsb=0.5004)], 0.0)


def test_a_device_that_decides_is_told_to_stream(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    assert monitor.commands() == [b"stream\n"]
    digest = detector.bundle.spec.digest
    monitor.take([BOOT, banner(mode="detect", model="compiled", spec=digest)], 0.0)
    assert monitor.commands() == [b"stream\n"]
    assert numbers(monitor.take([banner(mode="stream", model="compiled", spec=digest), *samples(0, 64)], 0.0)) == [63]
    assert monitor.notes() == ["the device boots"]


def test_one_that_does_not_hear(detector: Any) -> None:
    monitor = started(detector)
    for now in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5):
        assert monitor.take([verdict(0)] * 5, now) == []
    assert monitor.commands() == [b"stream\n"] * 2
    assert monitor.notes() == []
    monitor.take([verdict(0)], 3.0)
    (note,) = monitor.notes()
    assert "does not hear `stream`" in note


def test_a_detector_of_another_kind_is_told(detector: Any) -> None:
    monitor = started(detector)
    monitor.take([banner(model="partition", spec="ab" * 32)] * 2, 0.0)
    (note,) = monitor.notes()
    assert "its spec is " + "ab" * 32 in note
    assert detector.bundle.spec.digest in note


def test_a_threshold_of_the_site_is_told(detector: Any) -> None:
    monitor = started(detector)
    digest = detector.bundle.spec.digest
    monitor.take([banner(model="compiled", spec=digest, threshold=1.3, site_windows=60)], 0.0)
    (note,) = monitor.notes()
    assert "its threshold is 1.3, here it is 1" in note


def test_the_device_s_words_are_passed_on(detector: Any) -> None:
    monitor = started(detector)
    monitor.take([Status("warning", "queue full"), Status("warning", "queue full")], 0.0)
    assert monitor.notes() == ["the device says: queue full"] * 2
    assert monitor.notes() == []


def test_without_a_banner_two_seconds_tell_the_rate(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    assert monitor.take(samples(0, 600), 0.0) == []
    assert numbers(monitor.take([], 3.0)) == [463, 527, 591]  # 2 s are 400 steps
    assert "no banner came" in monitor.notes()[0]


def test_without_a_banner_a_wrong_rate_is_seen(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    slow = [Sample(n, n * 10_000, 0, 0, 0) for n in range(600)]
    with pytest.raises(
        GyrovaeError, match=r"another rate than the model was made for; expected 200 Hz.*received 100 Hz"
    ):
        monitor.take(slow, 3.0)


def test_a_banner_that_is_wrong_about_the_rate_is_told(detector: Any) -> None:
    """Once, however the measured figure changes, until it is right again."""
    monitor = started(detector)
    times = itertools.accumulate([5200] * 10_000 + [5250] * 10_000 + [5000] * 10_000 + [5200] * 10_000)
    monitor.take([Sample(n, t_us % WRAP, 0, 0, 0) for n, t_us in enumerate(times)], 0.0)
    first, second = monitor.notes()
    assert first == "samples come at 192.3 Hz; the model was made for 200 Hz"
    assert re.fullmatch(r"samples come at 19[56]\.\d+ Hz; the model was made for 200 Hz", second)


# --- the stock firmware


def stock(count: int, x: float = 20.0, dt_ms: int = 5) -> list[Event]:
    return [StockSample(x, 0.0, 0.0, dt_ms) for _ in range(count)]


def test_the_stock_firmware_s_samples_become_counts(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    found = monitor.take([*stock(401), *stock(63), *stock(64, 20.2), *stock(64, -1e5)], 0.0)
    # 20.0 / 0.5 = 40 counts; 20.2 / 0.5 = 40.4, rounded to 40; what int16 does not hold is clipped
    assert [decision.score for decision in found[:2]] == [0.4, 0.4]
    assert [decision.number for decision in found] == [None, None, None]
    assert found[2].alarm
    assert monitor.rate_hz == pytest.approx(200)
    assert "stock firmware" in monitor.notes()[0]


def test_a_long_step_of_the_stock_firmware_is_a_gap(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(0.0)
    monitor.take(stock(401), 0.0)  # the last of which begins a window
    assert monitor.take([*stock(62), StockSample(0, 0, 0, 20), *stock(62)], 0.0) == []
    assert len(monitor.take(stock(1), 0.0)) == 1
    assert (monitor.traffic.gaps, monitor.traffic.lost) == (1, 3)


def test_a_stock_firmware_of_another_rate(detector: Any) -> None:
    monitor = Monitor(detector)
    with pytest.raises(GyrovaeError, match="expected 200 Hz, to 5 %, received 100 Hz"):
        monitor.take(stock(300, dt_ms=10), 0.0)


def test_a_model_of_other_units(spec: Spec) -> None:
    intake = Intake(dataclasses.replace(spec, units="rad/s"), Windows(64))
    for _ in range(400):
        assert intake.stock(StockSample(0.0, 0.0, 0.0, 5)) is None
    with pytest.raises(GyrovaeError, match=r"expected rad/s, received m/s\^2"):
        intake.stock(StockSample(0.0, 0.0, 0.0, 5))


# --- a detector for the stock firmware

LEVELS = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 2, 3)
"""On the console the first band is -20.5, -10.5, -0.5. An event is 2 alarms of 3 windows."""
WHICH = "the stock firmware does not say which model it runs: the levels are for that of --model"


@pytest.fixture
def stock_detector() -> Any:
    """The figures of a window are the mean of its x, and -25."""

    def score_windows(windows: NDArray[np.float32]) -> Any:
        assert windows.dtype == np.float32
        assert windows.shape == (1, 256, 3)
        return SimpleNamespace(figures=np.array([[windows[0, :, 0].mean(), -25.0]]))

    bundle = StockBundle(b"", StockSpec(), LEVELS, ())
    return SimpleNamespace(bundle=bundle, score_windows=score_windows)


def printed(*figures: tuple[float, float], first: int = 1000, step: int = 300) -> list[Event]:
    """What the console says of windows: their figures, and the samples so far."""
    events: list[Event] = []
    for i, pair in enumerate(figures):
        events += [StockFigures(*pair), StockSampled(step, (first + step * i) % WRAP)]
    return events


def test_figures_of_the_console_are_judged_by_the_levels(stock_detector: Any) -> None:
    monitor = Monitor(stock_detector)
    monitor.connected(0.0)
    low, high, fine = monitor.take(printed((-30.5, -25.0), (-10.5, -5.0), (-11.0, -25.5)), 5.0)
    assert low == Decision(
        window=0,
        time=5.0,
        number=None,
        t_us=None,
        score=2.0,
        threshold=1.0,
        alarm=True,
        event=False,
        begins=False,
        reasons=(StockReason("scalogram", -30.5, -20.5, "low"),),
        source="host",
        figures=StockFigures(-30.5, -25.0),
    )
    assert low.seen == "scalogram -30.50 dB, alarm from -20.50 down: unlike normal motion"
    assert (high.score, high.alarm, high.event, high.begins) == (2.0, True, True, True)
    assert high.words == ("field -5.00 dB, alarm from -15.00 up: less than normal motion",)
    assert (fine.score, fine.alarm, fine.event, fine.reasons) == (pytest.approx(0.1), False, True, ())
    assert fine.seen == "scalogram -11.00 dB, field -25.50 dB"
    assert (monitor.made, monitor.alarms, monitor.events, monitor.traffic.results) == (3, 2, 1, 3)
    assert (monitor.protocol, monitor.rate_hz, monitor.commands()) == ("stock", None, [b"stream\n"])


def test_a_decision_on_figures_as_json(stock_detector: Any) -> None:
    (decision,) = Monitor(stock_detector).take(printed((-math.inf, math.nan)), 5.0)
    record = decision.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["figures"] == {"scalogram_db": None, "field_db": None}
    assert record["reasons"] == [{"image": "scalogram", "db": None, "level_db": -20.5, "side": "low"}]
    assert (record["score"], record["alarm"]) == (1e6, True)


def test_figures_that_are_no_numbers_are_an_alarm(stock_detector: Any) -> None:
    """As scores are that are none: such a device watches nothing."""
    (decision,) = Monitor(stock_detector).take(printed((math.nan, math.nan)), 5.0)
    assert (decision.alarm, decision.reasons, decision.to_dict()["score"]) == (True, (), None)
    assert decision.seen == "scalogram nan dB, field nan dB"


@pytest.mark.parametrize(("hop", "decided"), [(None, 5), (64, 20), (1, 40)])
def test_results_of_the_same_samples_are_one_observation(stock_detector: Any, hop: int | None, decided: int) -> None:
    """The firmware gives one every 32 samples, of the latest 256."""
    monitor = Monitor(stock_detector, hop=hop)
    assert len(monitor.take(printed(*[(-10.5, -25.0)] * 40, first=320, step=32), 5.0)) == decided
    assert monitor.traffic.results == 40


@pytest.mark.parametrize("hop", [1, 20, 32, 40, 64, 100])
def test_results_that_share_samples_make_no_event(stock_detector: Any, hop: int) -> None:
    """Two alarms of windows that share none do: however often it is looked, a window after the first."""
    monitor = Monitor(stock_detector, hop=hop)
    found = monitor.take(printed(*[(-30.5, -25.0)] * 40, first=320, step=32), 5.0)
    apart = 32 * math.ceil(hop / 32)
    assert [decision.event for decision in found].index(True) == math.ceil(256 / apart)


def test_a_threshold_for_figures(stock_detector: Any) -> None:
    monitor = Monitor(stock_detector, threshold=2.5)
    assert [one.alarm for one in monitor.take(printed((-30.5, -25.0), (-40.5, -25.0)), 5.0)] == [False, True]


def test_a_first_figure_that_is_always_too_low_is_told_and_can_be_left_out(stock_detector: Any) -> None:
    spoilt = printed(*[(-80.0, -25.0)] * 30)
    monitor = Monitor(stock_detector)
    assert len(monitor.take(spoilt[:18], 5.0)) == 9
    assert monitor.notes() == [WHICH]
    assert all(one.alarm for one in monitor.take(spoilt[18:], 5.0)), "only a person can know"
    (note,) = monitor.notes()
    assert "--second-alone leaves it out" in note
    monitor = Monitor(stock_detector, second_alone=True)
    assert [one.score for one in monitor.take(spoilt, 5.0)] == [0.0] * 30
    assert monitor.notes() == [WHICH]


def test_a_machine_that_once_was_normal_spoils_no_figure(stock_detector: Any) -> None:
    monitor = Monitor(stock_detector)
    monitor.take(printed((-10.5, -25.0), *[(-80.0, -25.0)] * 30), 5.0)
    assert monitor.notes() == [WHICH]


@pytest.mark.parametrize("told", [[BOOT], []])
def test_the_vote_goes_on_over_a_boot_of_the_stock_firmware(stock_detector: Any, told: list[Event]) -> None:
    """Whether its ROM's words come or not: the number of samples begins again."""
    monitor = Monitor(stock_detector)
    monitor.take(printed((-30.5, -25.0), first=9000), 5.0)
    found = monitor.take([*told, *printed((-10.5, -25.0), (-30.5, -25.0), first=288)], 6.0)
    assert [one.event for one in found] == [False, True]
    assert monitor.traffic.boots == 1
    assert [note for note in monitor.notes() if note != WHICH] == [
        "the device boots" if told else "the device has booted"
    ]


def test_samples_of_the_stock_firmware_on_the_stock_front_end(stock_detector: Any) -> None:
    """The first figure counts the undefined row, for which the levels of the console allow half a dB."""
    monitor = Monitor(stock_detector)
    fine, low = monitor.take([*stock(401, -10.0), *stock(255, -10.0), *stock(256, -22.0)], 0.0)
    assert (fine.score, fine.figures) == (0.0, StockFigures(-10.5, -25.0))
    assert low.score == pytest.approx(1.2)
    assert low.reasons == (StockReason("scalogram", -22.5, -20.5, "low"),)
    assert monitor.rate_hz == pytest.approx(200)


@pytest.mark.parametrize("event", [Sample(0, 0, 0, 0, 0), banner()])
def test_a_model_for_the_stock_firmware_on_ours(stock_detector: Any, event: Event) -> None:
    with pytest.raises(GyrovaeError, match="the model is for the stock firmware, and the device runs ours"):
        Monitor(stock_detector).take([event], 0.0)


def test_figures_without_their_model(detector: Any) -> None:
    with pytest.raises(GyrovaeError, match=r"without its model nobody can say(?s:.*)--frontend stock: --model RUN"):
        Monitor().take(printed((-10.5, -25.0)), 0.0)
    with pytest.raises(GyrovaeError, match=r"\(--model is one for our firmware\)"):
        Monitor(detector).take(printed((-10.5, -25.0)), 0.0)


def test_settings_of_the_stock_firmware(detector: Any, stock_detector: Any) -> None:
    with pytest.raises(GyrovaeError, match="a device that decides itself runs our firmware"):
        Monitor(stock_detector, on_device=True)
    for other in (None, detector):
        with pytest.raises(GyrovaeError, match="the second figure alone can decide only with a model for the stock"):
            Monitor(other, second_alone=True)


# --- the device decides


def verdict(window: int, **changes: Any) -> Verdict:
    given = {
        "window": window,
        "number": 64 * window + 63,
        "t_us": (64 * window + 63) * STEP_US,
        "score": 0.5,
        "threshold": 1.0,
        "alarm": False,
        "event": False,
        "reasons": (Reason("x", 48.5, 55.0, "louder", 0.61),),
        "frontend_us": 5102,
        "inference_us": 2533,
        "score_us": 410,
    }
    return Verdict(**{**given, **changes})


def detecting(**changes: Any) -> Banner:
    return banner(mode="detect", model="compiled", spec="cd" * 32, window=64, hop=64, vote=(3, 5), **changes)


def streaming(**changes: Any) -> Banner:
    """What a device with a detector answers to `stream`."""
    return dataclasses.replace(detecting(**{"next": 1088, **changes}), mode="stream")


def reading(detector: Any = None, **settings: Any) -> Monitor:
    """Of a device that has answered to `stream`."""
    monitor = Monitor(detector, **settings)
    monitor.connected(0.0)
    assert monitor.commands() == [b"stream\ndetect\n"]
    assert monitor.take([streaming()], 0.0) == []
    assert monitor.commands() == monitor.notes() == []
    return monitor


def test_verdicts_of_the_device() -> None:
    monitor = reading()
    (decision,) = monitor.take([detecting(threshold=1.2), verdict(17, score=1.25, threshold=1.2, alarm=True)], 5.0)
    assert decision == Decision(
        window=0,
        time=5.0,
        number=1151,
        t_us=5_755_000,
        score=1.25,
        threshold=1.2,
        alarm=True,
        event=False,
        begins=False,
        reasons=(Reason("x", 48.5, 55.0, "louder", 0.61),),
        source="device",
        frontend_us=5102,
        inference_us=2533,
        score_us=410,
    )
    assert monitor.threshold == 1.2
    more = monitor.take([verdict(18, event=True), verdict(19, event=True), verdict(22), verdict(23, event=True)], 6.0)
    assert [decision.begins for decision in more] == [True, False, False, True]
    assert (monitor.lost_windows, monitor.events) == (2, 2)
    assert monitor.rate_hz == pytest.approx(200)


def test_in_words() -> None:
    assert in_words(Reason("x", 48.5, 55.0, "louder", 0.61)) == "x 48-55 Hz louder: 61 %"
    assert in_words(Reason("z", 2.25, 4.5, "quieter", 0.04)) == "z 2.2-4.5 Hz quieter: 4 %"


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (0, [BOOT, Status("info", "golden windows passed: 6"), "boot"]),  # since a boot
        (1234, ["answer", Status("info", "calibration on site: 16 of 60 windows"), "answer"]),  # since the last reader
    ],
)
def test_what_a_device_said_before_it_was_read_is_no_news(window: int, kept: list[Any]) -> None:
    """It keeps the first 16 KiB of what it says to nobody; an event among them was long ago."""
    said = {"boot": detecting(), "answer": detecting(next=64 * window)}
    events = [said[one] if isinstance(one, str) else one for one in kept]
    events += [verdict(window + i, alarm=5 < i < 9, event=5 < i < 9) for i in range(240)]
    monitor = Monitor()
    monitor.connected(0.0)
    assert monitor.take(events, 0.1) == []
    assert (monitor.made, monitor.alarms, monitor.events) == (0, 0, 0)
    now = {"next": 53_000_000}
    (decision,) = monitor.take([streaming(**now), detecting(**now), verdict(828_126)], 0.2)
    assert (decision.window, decision.number) == (0, 64 * 828_126 + 63)
    assert monitor.lost_windows == 0
    assert monitor.notes()[-1] == "left out 240 verdicts from before the device was read"
    monitor.connected(60.0)  # unplugged for a while
    assert monitor.commands()[-1] == b"stream\ndetect\n"
    assert monitor.take([verdict(828_127 + i, alarm=True, event=True) for i in range(40)], 60.1) == []
    now = {"next": 53_012_800}
    found = monitor.take([streaming(**now), detecting(**now), *(verdict(828_300 + i) for i in range(100))], 60.2)
    assert len(found) == 100, "while it is read nothing is left out"
    assert (monitor.made, monitor.alarms, monitor.lost_windows) == (101, 0, 0)
    assert monitor.notes() == ["left out 40 verdicts from before the device was read"]


def test_a_device_that_hears_nothing_is_believed_after_a_while() -> None:
    """A recorded conversation that is played again, or a line that goes one way only: nothing of it is lost."""
    monitor = Monitor()
    monitor.connected(10.0)
    assert monitor.take([detecting(), verdict(0, event=True), verdict(1, event=True)], 10.1) == []
    assert monitor.take([verdict(2)], 12.9) == []
    kept = monitor.take([], 13.0)
    assert [(one.number, one.time) for one in kept] == [(63, 10.1), (127, 10.1), (191, 12.9)]
    assert [one.number for one in monitor.take([verdict(3)], 13.1)] == [255]
    assert (monitor.made, monitor.events, monitor.lost_windows, monitor.notes()) == (4, 1, 0, [])


def test_a_clock_that_is_set_back_keeps_nothing_for_an_hour() -> None:
    monitor = Monitor()
    monitor.connected(5000.0)
    assert monitor.take([detecting(), verdict(0)], 5000.1) == []
    assert [one.number for one in monitor.take([verdict(1)], 1400.0)] == [63, 127]


def test_what_was_decided_before_a_refusal_is_not_lost() -> None:
    monitor = Monitor()
    monitor.connected(10.0)
    answer = banner(next=0)
    assert (
        monitor.take([detecting(), verdict(0), verdict(1), Status("error", "there is no detector"), answer], 10.1) == []
    )
    assert [one.number for one in monitor.take([], 13.0)] == [63, 127]
    with pytest.raises(GyrovaeError, match="the device has no detector"):
        monitor.take([], 13.1)


def test_a_clock_that_is_set_back_does_not_end_the_asking(detector: Any) -> None:
    monitor = Monitor(detector)
    monitor.connected(5000.0)
    assert monitor.commands() == [b"stream\n"]
    monitor.tick(1400.0)
    assert monitor.commands() == [b"\nstream\n"]
    monitor.tick(1400.9)
    assert monitor.commands() == []


def reopened(monitor: Monitor, now: float) -> None:
    monitor.connected(now)
    monitor.take([streaming(), detecting()], now)


def alarms(first: int, count: int, **changes: Any) -> list[Event]:
    return [verdict(first + i, **{"alarm": True, **changes}) for i in range(count)]


def test_an_event_goes_on_over_a_connection_though_the_device_s_vote_begins_anew() -> None:
    """An event is 3 alarms of 5 windows here: it is over when the latest five hold but two."""
    monitor = reading()
    monitor.take([detecting(), *alarms(17, 2), *alarms(19, 3, event=True)], 5.0)
    reopened(monitor, 10.0)
    found = monitor.take([verdict(30), *alarms(31, 1), verdict(32), verdict(33), verdict(34)], 12.0)
    assert [(one.event, one.begins) for one in found] == [(True, False)] * 3 + [(False, False)] * 2
    assert monitor.events == 1


def test_connections_of_two_windows_hide_no_event() -> None:
    """The device's own vote never sees three alarms."""
    monitor = Monitor()
    found = []
    for i in range(5):
        reopened(monitor, 3.0 * i)
        found += monitor.take(alarms(17 + 10 * i, 2), 3.0 * i + 2.5)
    assert [one.begins for one in found] == [False, False, True] + 7 * [False]
    assert all(one.event for one in found[2:])
    assert [note for note in monitor.notes() if "vote" in note] == [
        "the device's vote began anew with the connection or a boot, and this computer goes on with it: 3 alarms of 5 "
        "windows"
    ]


def test_the_vote_that_is_taken_where_none_is_known_is_that_of_quantize() -> None:
    from gyrovae_tf.device import monitor
    from gyrovae_tf.learn import voting

    assert monitor._VOTE == voting.DEFAULT


def test_it_is_the_vote_that_the_device_says() -> None:
    """2 alarms of 3 windows, and 5 of 8."""
    for vote, begins in (((2, 3), [True]), ((5, 8), [False])):
        monitor = Monitor()
        for i in range(2):
            monitor.connected(3.0 * i)
            own = [dataclasses.replace(one, vote=vote) for one in (streaming(), detecting())]
            found = monitor.take([*own, *alarms(17 + 10 * i, 1)], 3.0 * i)
        assert [one.begins for one in found] == begins


def test_once_its_vote_is_full_again_the_device_alone_decides() -> None:
    monitor = reading()
    monitor.take([detecting(), *alarms(17, 5)], 5.0)
    assert monitor.events == 0, "its vote may be 6 of 8: while nothing is broken off it is believed"
    reopened(monitor, 10.0)
    found = monitor.take([verdict(30), *alarms(31, 9)], 12.0)
    assert [one.event for one in found] == [True] * 4 + [False] * 6


def test_a_boot_of_a_device_that_decides_ends_no_event() -> None:
    monitor = reading()
    monitor.take([detecting(), *alarms(17, 2), *alarms(19, 3, event=True)], 5.0)
    found = monitor.take([BOOT, detecting(boot=8), *alarms(0, 2)], 6.0)
    assert [(one.event, one.begins) for one in found] == [(True, False)] * 2


@pytest.mark.parametrize("changes", [{"spec": "ef" * 32}, {"threshold": 1.5}, {"vote": (2, 3)}])
def test_alarms_of_another_detector_or_threshold_are_no_part_of_the_vote(changes: dict[str, Any]) -> None:
    monitor = reading()
    monitor.take([detecting(), *alarms(17, 2), *alarms(19, 3, event=True)], 5.0)
    monitor.connected(10.0)
    other = [dataclasses.replace(one, **changes) for one in (streaming(), detecting())]
    assert [one.event for one in monitor.take([*other, *alarms(30, 2)], 12.0)] == [False, False]


def test_a_verdict_that_comes_twice_counts_once() -> None:
    monitor = reading()
    assert len(monitor.take([detecting(), verdict(17), verdict(17), verdict(18)], 0.0)) == 2
    assert (monitor.lost_windows, monitor.traffic.repeated) == (0, 1)


def test_samples_of_a_device_that_is_to_detect_are_complained_of_and_it_is_told_again() -> None:
    """The word `detect` was lost, or somebody else has told it to stream."""
    monitor = reading()
    monitor.take([detecting(), verdict(17), *samples(0, 1000)], 0.0)
    for _ in range(2):
        monitor.tick(5.0)
    assert monitor.notes() == ["no verdict for 5 s, though samples come: the device is told again to detect"]
    assert monitor.commands() == [b"\ndetect\n"]


@pytest.mark.parametrize(("window", "rate_hz"), [(256, 25), (1024, 100), (1024, 50), (256, 200)])
def test_the_rate_of_slow_verdicts(window: int, rate_hz: int) -> None:
    """500 of them span more than the device's clock, which begins again after 71.6 minutes."""
    rate = Rate()
    for number in range(window, 600 * window, window):
        rate.add(number % WRAP, number * 1_000_000 // rate_hz % WRAP, rate_hz)
    assert rate.hz == pytest.approx(rate_hz)


def test_a_step_that_is_longer_than_the_device_s_clock_is_no_measure() -> None:
    """Two hours at 100 Hz."""
    rate = Rate()
    for number in [0, 16, 32, 720_000, 720_016, 720_032]:
        rate.add(number, number * 10_000 % WRAP, 100.0)
    assert rate.hz == pytest.approx(100)


def test_a_boot_while_it_is_read_leaves_nothing_out() -> None:
    monitor = reading()
    found = monitor.take([detecting(), verdict(17), BOOT, detecting(boot=8), verdict(0), verdict(1)], 1.0)
    assert [one.number for one in found] == [1151, 63, 127]


def test_a_device_without_a_detector() -> None:
    monitor = Monitor()
    monitor.connected(0.0)
    answer = banner(next=5)
    with pytest.raises(GyrovaeError, match="the device has no detector"):
        monitor.take([answer, Status("error", "there is no detector"), answer], 0.0)


def test_a_device_whose_detector_does_not_fit() -> None:
    with pytest.raises(GyrovaeError, match="the device does not detect: the detector was made for another sample rate"):
        reading().take([Status("error", "the detector was made for another sample rate"), streaming()], 0.0)


def test_an_error_of_before_says_nothing_of_the_detector() -> None:
    monitor = Monitor()
    monitor.connected(0.0)
    old = [streaming(next=0), *samples(0, 100), Status("error", "I2C: the sensor does not answer 1"), *samples(101, 9)]
    assert len(monitor.take([*old, streaming(), detecting(), verdict(17)], 0.0)) == 1


def test_a_device_that_streams_is_told_to_detect() -> None:
    monitor = reading()
    monitor.take([streaming(), *samples(0, 100)], 0.0)
    assert monitor.commands() == [b"detect\n"]
    with pytest.raises(GyrovaeError, match="it stays in stream mode"):
        monitor.take([streaming()] * 3, 0.0)


def test_the_stock_firmware_gives_no_verdicts() -> None:
    with pytest.raises(GyrovaeError, match="no verdicts\nDecide on this computer: --model RUN"):
        Monitor().take(stock(1), 0.0)


def test_a_model_beside_a_device_that_decides(detector: Any) -> None:
    monitor = reading(detector, on_device=True)
    assert len(monitor.take([detecting(), verdict(0)], 0.0)) == 1
    assert "another one than --model" in monitor.notes()[0]


def test_settings_that_cannot_be(detector: Any) -> None:
    with pytest.raises(GyrovaeError, match="for what this computer decides"):
        Monitor(hop=32)
    for threshold in (math.nan, 0.0, "1.5"):
        with pytest.raises(GyrovaeError, match="the threshold is not usable; expected above 0"):
            Monitor(detector, threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError, match="the hop is not usable; expected a whole number, received '32'"):
        Monitor(detector, hop="32")  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError, match="who is to decide"):
        Monitor(on_device=False)


# --- whatever comes

_EVENTS = st.one_of(
    st.builds(Sample, *[st.integers(0, 200) | st.integers(WRAP - 50, WRAP - 1)] * 2, *[st.integers(-32768, 32767)] * 3),
    st.integers(1, 150).map(lambda n: ("run", n)),
    st.integers(1, 9).map(lambda n: ("lose", n)),
    st.builds(StockSample, *[st.floats(-1e6, 1e6)] * 3, st.integers(0, 50)),
    st.builds(StockFigures, st.floats(), st.floats()),
    st.builds(StockSampled, *[st.integers(0, WRAP - 1)] * 2),
    st.sampled_from(
        [BOOT, banner(), banner(boot=8), banner(next=9), detecting(), Status("error", "no"), verdict(3), verdict(2**31)]
    ),
    st.just("connected"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_EVENTS, max_size=40), st.sampled_from([None, 16, 100]))
def test_no_window_spans_a_gap_whatever_comes(spec: Spec, script: list[Any], hop: int | None) -> None:
    """x tells where a sample stands in what was sent; a window's must be neighbours."""
    decided: list[NDArray[np.int16]] = []
    intake = Intake(spec, Windows(WINDOW, hop))
    sent: list[tuple[int, int]] = []  # boot and number of each sample that was sent
    boot, number = 0, 0

    def send(sample: Sample) -> None:
        place = len(sent) % 32768
        sent.append((boot, sample.number))
        ended = intake.sample(sample._replace(x=place))
        if ended is not None:
            decided.append(ended.samples)

    intake.banner(banner())
    for step in script:
        if isinstance(step, Sample):
            send(step)
            number = (step.number + 1) % WRAP
        elif type(step) is tuple and step[0] == "run":
            for _ in range(step[1]):
                send(Sample(number, number * STEP_US % WRAP, 0, 0, 0))
                number = (number + 1) % WRAP
        elif type(step) is tuple and step[0] == "lose":
            number = (number + step[1]) % WRAP
        elif step in (BOOT, "connected"):
            intake.restart()
            intake.banner(banner())
            boot, number = boot + 1, 0
    for window in decided:
        taken = [sent[place] for place in window[:, 0].tolist()]
        assert len({which for which, _ in taken}) == 1
        assert all((b - a) % WRAP == 1 for (_, a), (_, b) in itertools.pairwise(taken))


@settings(max_examples=150, deadline=None)
@given(st.lists(_EVENTS, max_size=40), st.sampled_from(["device", "host", "stock"]))
def test_nothing_but_our_error_whatever_comes(spec: Spec, script: list[Any], who: str) -> None:
    fakes: dict[str, Any] = {
        "device": None,
        "host": SimpleNamespace(
            bundle=SimpleNamespace(spec=spec, calibration=SimpleNamespace(vote_alarms=2, vote_windows=3)),
            score_images=_mean_of_x,
        ),
        "stock": SimpleNamespace(
            bundle=StockBundle(b"", StockSpec(), LEVELS, ()),
            score_windows=lambda windows: SimpleNamespace(figures=windows[:, 0, :2]),
        ),
    }
    monitor = Monitor(fakes[who])
    number, made = 0, 0
    for step in script:
        events = [step]
        if step == "connected":
            monitor.connected(0.0)
            continue
        monitor.tick(1.0)
        if type(step) is tuple:
            events = samples(number, number + step[1]) if step[0] == "run" else []
            number += step[1]
        try:
            found = monitor.take(events, 1.0)
        except GyrovaeError:
            return
        assert [decision.window for decision in found] == list(range(made, made + len(found)))
        made += len(found)
        for decision in found:
            json.dumps(decision.to_dict(), allow_nan=False)
    assert monitor.made == made
    assert monitor.traffic.lost >= 0
    assert len(monitor.commands()) <= 3 * (1 + len(script))


# --- the very same numbers


@pytest.mark.slow
@pytest.mark.parametrize("hop", [None, 32])
def test_what_it_decides_is_what_the_detector_says_of_the_same_windows(tiny: Tiny, hop: int | None) -> None:
    from gyrovae_tf.signal.score import reasons, vote

    detector, spec = Detector(tiny.bundle), tiny.bundle.spec
    recording = simulate(TINY_MACHINE, seconds=20, seed=9, fault="imbalance", severity=2.0)
    counts = frontend.to_counts(recording.samples, spec.lsb)
    monitor = Monitor(detector, hop=hop)
    monitor.connected(0.0)
    stream = [Sample(n, n * STEP_US, *xyz) for n, xyz in enumerate(counts.tolist())]
    began = time.time()
    found = monitor.take([banner(lsb=spec.lsb), *stream[:1000], *stream[1003:]], began)
    ends = np.array(numbers(found))
    step = hop or spec.window
    assert ends.tolist() == [*range(spec.window - 1, 1000, step), *range(1002 + spec.window, len(counts), step)]
    windows = np.stack([counts[end - spec.window + 1 : end + 1] for end in ends])
    scores = detector.score_windows(windows)
    assert [decision.score for decision in found] == scores.score.tolist()
    calibration = tiny.bundle.calibration
    events = vote(scores.score >= 1, calibration.vote_alarms, calibration.vote_windows, spec.window // step)
    assert [decision.event for decision in found] == events.tolist()
    for decision, deviation in zip(found, scores.deviation, strict=True):
        named = [(r.axis, r.low_hz, r.high_hz, r.direction, r.share) for r in reasons(deviation, spec)]
        assert [tuple(reason) for reason in decision.reasons] == named
