"""Samples put in order: what is missing, twice, late or too far apart; and the conversation that yields them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.device.sequence import HELD, Row, Sequence, Steps, StockSequence, Tally
from gyrovae_tf.device.stream import Stream, told_instead
from gyrovae_tf.device.wire import (
    WRAP,
    Banner,
    Sample,
    Status,
    StockSample,
    banner_line,
    crc,
    sample_line,
    status_line,
    stock_line,
)
from gyrovae_tf.errors import GyrovaeError


def at(number: int, *, boot: int = 0) -> Sample:
    """The sample of that number at 200 Hz; its x is its number (of 8000), its y the boot."""
    return Sample(number % WRAP, (1000 + 5000 * number) % WRAP, number % 8000, boot, -(number % 8000))


def given_out(*samples: Sample, finish: bool = True) -> tuple[list[Row], Tally]:
    tally = Tally()
    sequence = Sequence(tally)
    for sample in samples:
        assert sequence.add(sample, 0.0)
    if finish:
        sequence.finish()
    return sequence.rows, tally


def places(rows: list[Row]) -> list[tuple[int, bool]]:
    return [(int(x), begins) for begins, x, _, _ in rows]


# --- ours: numbers tell


def test_in_order() -> None:
    rows, tally = given_out(at(10), at(11), at(12))
    assert rows == [(True, 10, 0, -10), (False, 11, 0, -11), (False, 12, 0, -12)]
    assert (tally.samples, tally.gaps, tally.lost, tally.repeated, tally.late) == (3, 0, 0, 0, 0)


def test_what_is_missing_ends_a_segment() -> None:
    rows, tally = given_out(at(10), at(11), at(14), at(15))
    assert places(rows) == [(10, True), (11, False), (14, True), (15, False)]
    assert (tally.gaps, tally.lost) == (1, 2)


def test_a_second_copy_is_dropped() -> None:
    rows, tally = given_out(at(10), at(10), at(11), at(12), at(10), at(12))
    assert places(rows) == [(10, True), (11, False), (12, False)]
    assert tally.repeated == 3


def test_what_is_late_is_put_in_its_place() -> None:
    rows, tally = given_out(at(10), at(12), at(14), at(13), at(11), at(15))
    assert places(rows) == [(n, n == 10) for n in range(10, 16)]
    assert (tally.late, tally.lost, tally.gaps) == (2, 0, 0)


def test_what_is_later_than_others_are_held_back_is_lost_and_too_late() -> None:
    rows, tally = given_out(at(10), *(at(12 + i) for i in range(HELD + 1)), at(11))
    assert places(rows)[:3] == [(10, True), (12, True), (13, False)]
    assert (tally.lost, tally.too_late, tally.gaps) == (1, 1, 1)


def test_a_hole_is_given_up_after_a_quarter_of_a_second() -> None:
    sequence = Sequence(Tally())
    for sample, now in ((at(10), 0.0), (at(12), 0.1), (at(13)._replace(t_us=at(12).t_us + 250_000), 0.3)):
        sequence.add(sample, now)
    sequence.tick(0.34, idle=False)
    assert places(sequence.rows) == [(10, True)]
    assert sequence.waiting
    sequence.tick(0.36, idle=False)
    assert [place for place, _ in places(sequence.rows)] == [10, 12, 13]
    assert not sequence.waiting


def test_a_hole_is_given_up_after_two_seconds_without_a_sample() -> None:
    sequence = Sequence(Tally())
    for sample, now in ((at(10), 0.0), (at(12), 0.1), (at(13), 0.2)):
        sequence.add(sample, now)
    sequence.tick(2.0)  # the device may stand still in between
    assert places(sequence.rows) == [(10, True)]
    sequence.tick(2.2)
    assert places(sequence.rows) == [(10, True), (12, True), (13, False)]
    assert not sequence.waiting


def test_a_computer_that_is_late_to_read_gives_nothing_up() -> None:
    sequence = Sequence(Tally())
    for sample, now in ((at(10), 0.0), (at(12), 0.1)):
        sequence.add(sample, now)
    sequence.tick(9.0, idle=False)  # more came than was read: by the device's clock no time has passed
    sequence.add(at(11), 9.0)
    assert places(sequence.rows) == [(10, True), (11, False), (12, False)]
    sequence.add(at(14), 9.0)
    sequence.add(at(15)._replace(t_us=at(14).t_us + 250_000), 9.3)
    sequence.tick(9.3, idle=False)
    assert places(sequence.rows)[3:] == [(14, True), (15, False)]


def test_numbers_and_times_wrap() -> None:
    start = WRAP - 2
    rows, tally = given_out(*(at(start + i) for i in (0, 1, 2, 5, 4, 3)))
    assert [int(-z) for *_, z in rows] == [(start + i) % 8000 for i in range(6)]
    assert (tally.late, tally.lost) == (2, 0)
    assert tally.steps.total_us == 5 * 5000


def test_a_number_that_fits_nowhere_is_a_stray_and_no_gap_of_millions() -> None:
    stray = Sample(1_000_000_000, 61_000, 1, 2, 3)  # a damaged line whose CRC happens to fit
    rows, tally = given_out(at(10), at(11), stray, at(12), at(13))
    assert places(rows) == [(10, True), (11, False), (12, False), (13, False)]
    assert (tally.stray, tally.lost, tally.gaps, tally.late) == (1, 0, 0, 0)
    rows, tally = given_out(at(10), at(11), stray)
    assert (len(rows), tally.stray, tally.lost) == (2, 1, 0)


def test_what_lies_far_behind_is_not_of_this_boot() -> None:
    sequence = Sequence(Tally())
    for number in range(2000, 2010):
        sequence.add(at(number), 0.0)
    assert not sequence.add(at(0, boot=1), 0.0)
    assert not sequence.add(at(2005, boot=1), 0.0)  # the number is known, with another content


def test_a_pause_of_the_clock_ends_a_segment_without_a_loss() -> None:
    samples = [at(i) for i in range(40)]
    samples += [sample._replace(t_us=sample.t_us + 8000) for sample in map(at, range(40, 60))]
    rows, tally = given_out(*samples)
    assert [n for n, begins in places(rows) if begins] == [0, 40]
    assert (tally.pauses, tally.lost, tally.gaps) == (1, 0, 0)
    assert tally.steps.largest_us == 5000


def test_a_clock_that_goes_back_ends_a_segment() -> None:
    samples = [at(i) for i in range(40)] + [at(40)._replace(t_us=5), at(41)._replace(t_us=5005)]
    rows, tally = given_out(*samples)
    assert [n for n, begins in places(rows) if begins] == [0, 40]
    assert tally.steps.rate_hz == 200.0


def test_a_wrong_rate_of_the_banner_makes_no_pauses() -> None:
    _, tally = given_out(*(Sample(i, 71_000 * i, 0, 0, 0) for i in range(200)))  # 14 Hz
    assert tally.pauses == 0
    assert tally.steps.rate_hz == pytest.approx(14.0845, abs=1e-4)


def test_a_rate_that_changes_is_got_used_to() -> None:
    times = [5000 * i for i in range(200)] + [1_000_000 + 50_000 * i for i in range(200)]
    _, tally = given_out(*(Sample(i, t, 0, 0, 0) for i, t in enumerate(times)))
    assert tally.pauses < 100


def test_rate_and_jitter_are_those_of_the_steps_within_segments() -> None:
    steps = Steps()
    for step in (4000, 6000, 4000, 6000):
        steps.add(step)
    assert (steps.rate_hz, steps.jitter_us, steps.largest_us) == (200.0, 1000.0, 6000)
    assert (Steps().rate_hz, Steps().jitter_us) == (None, None)
    _, tally = given_out(at(0), at(1), at(5), at(6))
    assert (tally.steps.count, tally.steps.total_us) == (2, 10_000)


def test_no_more_than_is_asked_for() -> None:
    tally = Tally(most=3)
    sequence = Sequence(tally)
    for number in (0, 2, 3, 4, 1, 7, 8):
        sequence.add(at(number), 0.0)
    sequence.finish()
    assert places(sequence.rows) == [(0, True), (1, False), (2, False)]
    assert (tally.lost, tally.gaps) == (0, 0)
    tally = Tally(most_us=20_000)
    sequence = Sequence(tally)
    for number in range(10):
        sequence.add(at(number), 0.0)
    assert len(sequence.rows) == 5


def test_of_the_bounds_each_is_where_it_is_said_to_be() -> None:
    """32 samples wait behind a hole, and the next gives it up; two seconds to the moment; 512 copies are known."""
    behind = [at(12 + i) for i in range(32)]
    rows, tally = given_out(at(10), *behind, at(11), finish=False)
    assert places(rows) == [(n, n == 10) for n in range(10, 44)]
    assert (tally.late, tally.lost) == (1, 0)
    rows, tally = given_out(at(10), *behind, at(44), finish=False)
    assert places(rows) == [(n, n in (10, 12)) for n in range(10, 45) if n != 11]
    assert tally.lost == 1

    sequence = Sequence(Tally())
    for number in (10, 12, 13):
        sequence.add(at(number), 0.0)
    sequence.tick(1.99)
    assert len(sequence.rows) == 1
    sequence.tick(2.0)
    assert len(sequence.rows) == 3

    tally = Tally()
    sequence = Sequence(tally)
    for number in range(512):
        sequence.add(at(number), 0.0)
    assert sequence.add(at(0), 0.0)
    assert tally.repeated == 1
    sequence.add(at(512), 0.0)
    assert not sequence.add(at(0), 0.0)
    assert sequence.add(at(1), 0.0)


def test_one_sample_behind_a_hole_is_given_out_after_two_seconds_where_its_time_fits() -> None:
    sequence = Sequence(Tally())
    for number in (10, 11, 14):
        sequence.add(at(number), 0.0)
    sequence.tick(2.0)
    assert places(sequence.rows) == [(10, True), (11, False), (14, True)]


def test_one_sample_whose_time_does_not_fit_waits_for_another_that_says_the_same() -> None:
    tally = Tally()
    sequence = Sequence(tally)
    for sample in (at(10), at(11), at(80_000)._replace(t_us=66_000)):  # 5 ms on by its time
        sequence.add(sample, 0.0)
    sequence.tick(9.0)
    assert sequence.waiting
    sequence.add(at(80_001)._replace(t_us=71_000), 9.0)
    sequence.tick(20.0)
    assert places(sequence.rows) == [(10, True), (11, False), (0, True), (1, False)]  # x is of 8000
    assert (tally.lost, tally.stray) == (80_000 - 12, 0)


@pytest.mark.parametrize(
    ("number", "found_us", "fits"),
    [
        # Number 51 is 40 steps of 5 ms behind 11: 200,000 us. It may be off by a quarter, five steps and 50,000 us.
        (51, 74_999, False),
        (51, 75_000, True),
        (51, 325_000, True),
        (51, 325_001, False),
        # Number 14 is 15,000 us behind 11, and may be off by 78,750: a clock may have been set back a little.
        (14, -63_750, True),
        (14, -63_751, False),
    ],
)
def test_how_far_the_time_of_a_sample_may_be_from_its_number(number: int, found_us: int, fits: bool) -> None:
    rows, tally = given_out(at(10), at(11), at(number)._replace(t_us=(at(11).t_us + found_us) % WRAP))
    assert (len(rows), tally.lost, tally.stray) == ((3, number - 12, 0) if fits else (2, 0, 1))


def test_several_numbers_that_fit_nowhere_are_strays() -> None:
    strays = [Sample(number, 61_000, 1, 2, 3) for number in (500_000_000, 1_000_000_000, 1_500_000_000)]
    rows, tally = given_out(at(10), at(11), *strays, at(12))
    assert places(rows) == [(10, True), (11, False), (12, False)]
    assert (tally.stray, tally.lost, tally.gaps) == (3, 0, 0)


def test_too_late_is_what_was_given_up_lately_and_once() -> None:
    tally = Tally()
    sequence = Sequence(tally)
    for number in (10, *range(13, 46), *range(47, 80)):  # 11, 12 and then 46 are given up
        sequence.add(at(number), 0.0)
    assert [sequence.add(at(number), 0.0) for number in (11, 12, 46)] == [True, True, True]
    assert (tally.lost, tally.too_late) == (3, 3)
    sequence.add(at(12), 0.0)  # a second copy: no more are too late than are lost
    assert tally.too_late == 3

    tally = Tally()
    sequence = Sequence(tally)
    for number in (10, *range(700, 733)):
        sequence.add(at(number), 0.0)
    assert tally.lost == 689
    assert [sequence.add(at(number), 0.0) for number in (187, 188)] == [False, True]  # of a long hole, the last 512


@pytest.mark.parametrize(("step_us", "pauses"), [(12_500, 0), (12_501, 1)])
def test_a_pause_is_longer_than_two_and_a_half_usual_steps(step_us: int, pauses: int) -> None:
    samples = [at(i) for i in range(40)]
    _, tally = given_out(*samples, at(40)._replace(t_us=at(39).t_us + step_us))
    assert tally.pauses == pauses


def test_before_it_is_known_what_is_usual_only_a_clock_that_goes_back_is_a_pause() -> None:
    _, tally = given_out(at(0), at(1), at(2)._replace(t_us=5_006_000))  # five seconds on
    assert (tally.pauses, tally.steps.largest_us) == (0, 5_000_000)
    rows, tally = given_out(at(0), at(1), at(2)._replace(t_us=5))
    assert (places(rows)[2], tally.pauses) == ((2, True), 1)


def test_the_usual_step_is_the_median_of_the_latest_65() -> None:
    steps = Steps()
    for count, step, usual in ((15, 5000, math.inf), (1, 5000, 5000), (32, 5000, 5000), (16, 8000, 5000)):
        for _ in range(count):
            steps.see(step)
        assert steps.usual_us == usual
    for _ in range(32):
        steps.see(8000)
    assert steps.usual_us == 8000  # 48 of 65; of all 96 it would be half


def test_figures_of_few_steps() -> None:
    steps = Steps()
    steps.add(5000)
    assert (steps.rate_hz, steps.jitter_us) == (200.0, 0.0)
    steps.add(3000)
    assert steps.largest_us == 5000
    none = Steps()
    none.add(0)
    assert none.rate_hz is None


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[int], int, set[int], list[int]]:
    """How a link may deliver numbers from `start` on: what comes, start, what is lost, what is sent twice."""
    start = draw(st.sampled_from([0, 7, 5000, WRAP - 100]))
    count = draw(st.integers(2, 200))
    lost = draw(st.sets(st.integers(1, count - 2), max_size=40)) if count > 2 else set()
    twice = draw(st.lists(st.integers(0, count - 1), max_size=20))
    kept = [n for n in range(count) if n not in lost]
    sent = [(n + 0.0, n) for n in kept] + [(n + 0.1, n) for n in twice if n not in lost]
    # Overtaken by at most eight: the hole in front of what overtakes is not given up before.
    delays = draw(st.lists(st.integers(0, 8), min_size=len(sent), max_size=len(sent)))
    order = sorted(range(len(sent)), key=lambda i: (sent[i][0] + (delays[i] if sent[i][1] else 0), i))
    numbers = [sent[i][1] for i in order]
    return numbers, start, lost, [n for n in twice if n not in lost]


@settings(max_examples=300)
@given(deliveries())
def test_whatever_a_link_does_every_loss_is_counted(delivered: tuple[list[int], int, set[int], list[int]]) -> None:
    numbers, start, lost, twice = delivered
    rows, tally = given_out(*(at(start + n) for n in numbers))
    expected = sorted(set(numbers))
    last = expected[-1]
    assert [int(x) for _, x, _, _ in rows] == [(start + n) % 8000 for n in expected]
    assert [begins for begins, *_ in rows] == [n == 0 or n - 1 in lost for n in expected]
    assert tally.lost == sum(n < last for n in lost)
    assert tally.repeated == len(twice)
    assert (tally.too_late, tally.stray, tally.pauses) == (0, 0, 0)


# --- the stock firmware: only its times tell


def test_stock_samples_break_where_their_time_does() -> None:
    tally = Tally()
    sequence = StockSequence(tally)
    for i in range(60):
        sequence.add(StockSample(i + 0.5, 0.0, 9.8, 20 if i == 40 else 5))
    assert [x for begins, x, _, _ in sequence.rows if begins] == [0.5, 40.5]
    assert (tally.samples, tally.pauses, tally.lost) == (60, 1, 0)
    assert tally.steps.rate_hz == 200.0


def test_stock_times_in_whole_milliseconds_are_no_gaps() -> None:
    tally = Tally()
    sequence = StockSequence(tally)
    for i in range(200):
        sequence.add(StockSample(0.0, 0.0, 9.8, int(1.25 * (i + 1)) - int(1.25 * i)))  # 800 Hz: 1, 1, 1, 2
    assert tally.pauses == 0
    assert tally.steps.rate_hz == pytest.approx(800, rel=0.01)


@pytest.mark.parametrize(("usual_ms", "longest_ms"), [(1, 2), (4, 6), (5, 7), (20, 30)])
def test_stock_steps_up_to_half_as_long_again_or_one_millisecond_are_no_gaps(usual_ms: int, longest_ms: int) -> None:
    for step, begins in ((longest_ms, False), (longest_ms + 1, True), (0, True)):  # 0: a repeat
        sequence = StockSequence(Tally())
        for dt in (*[usual_ms] * 40, step):
            sequence.add(StockSample(0.0, 0.0, 9.8, dt))
        assert sequence.rows[-1][0] == begins


def test_no_more_stock_samples_than_are_asked_for() -> None:
    tally = Tally(most=3)
    sequence = StockSequence(tally)
    for _ in range(5):
        sequence.add(StockSample(0.0, 0.0, 9.8, 5))
    assert (len(sequence.rows), tally.samples) == (3, 3)


# --- the conversation


BANNER = Banner(sensor="QMA7981", rate_hz=200.0, lsb=0.5, counts=(-8192, 8191), boot=1, next=1)  # an answer


def said(*numbers: int, boot: int = 0) -> bytes:
    return b"".join(sample_line(*at(number, boot=boot)) for number in numbers)


def started() -> Stream:
    """A stream whose device has answered."""
    stream = Stream()
    assert stream.feed(b"\n" + banner_line(BANNER), 0.0) == []
    assert stream.ready
    return stream


def test_it_asks_until_it_is_answered() -> None:
    stream = Stream()
    assert stream.question(0.0) == b"\nstream\n"
    assert [stream.question(t) for t in (0.1, 0.9)] == [b"", b""]
    assert stream.question(1.1) == b"\nstream\n"
    stream.feed(b"\n" + banner_line(BANNER), 1.2)
    assert [stream.question(t) for t in (1.3, 2.5, 4.0)] == [b"", b"", b""]


def test_it_asks_again_where_the_device_does_not_stream() -> None:
    stream = Stream()
    stream.question(0.0)
    detecting = dataclasses.replace(
        BANNER, mode="detect", model="compiled", spec="0" * 64, window=256, hop=256, vote=(3, 5)
    )
    stream.feed(b"\n" + banner_line(detecting), 0.1)
    assert stream.question(1.2) == b"\nstream\n"
    stream.feed(banner_line(BANNER) + said(5), 1.3)
    assert stream.question(3.0) == b""
    assert stream.question(5.0) == b"\nstream\n"  # no sample for more than 3 s


def test_the_recording_begins_with_the_banner() -> None:
    stream = Stream()
    assert stream.feed(b"\n" + said(1, 2), 0.0) == []
    assert places(stream.feed(banner_line(BANNER) + said(3, 4), 0.0)) == [(3, True), (4, False)]
    assert (stream.tally.lost, stream.unclaimed) == (0, 0)


BOOTED = dataclasses.replace(BANNER, next=0)


def test_what_a_device_has_kept_since_a_boot_of_long_ago_is_no_part_of_it() -> None:
    """16 KiB of lines, until somebody read: neither motion of now, nor is what came between lost on the way."""
    stream = Stream()
    stream.question(0.0)
    assert stream.feed(b"\n" + banner_line(BOOTED) + said(*range(480)), 0.1) == []
    assert stream.question(0.1) == b"\nstream\n", "at once"
    rows = stream.feed(said(6998, 6999) + banner_line(dataclasses.replace(BANNER, next=7000)) + said(7000), 0.2)
    assert places(rows) == [(6998, True), (6999, False), (7000, False)]
    assert (stream.tally.lost, stream.tally.gaps, stream.question(1.3)) == (0, 0, b"")


@pytest.mark.parametrize("number", [3, 600])
def test_of_a_boot_just_now_nothing_is_left_out(number: int) -> None:
    stream = Stream()
    stream.feed(b"\n" + banner_line(BOOTED) + said(*range(3)), 0.1)
    rows = stream.feed(said(number) + banner_line(dataclasses.replace(BANNER, next=number + 1)), 0.2) + stream.finish()
    assert places(rows) == [(0, True), (1, False), (2, False), (number, number > 3)]
    assert stream.tally.lost == number - 3


def test_a_device_that_boots_and_does_not_hear_is_believed_after_a_while() -> None:
    for ending in (lambda stream: stream.feed(said(3), 3.2), Stream.finish, lambda stream: stream.reopened(0.5)):
        stream = Stream()
        stream.feed(b"\n" + banner_line(BOOTED) + said(*range(3)), 0.1)
        assert places(ending(stream))[:3] == [(0, True), (1, False), (2, False)]
    stream = Stream()
    assert len(stream.feed(b"\n" + banner_line(BOOTED) + said(*range(3000)), 0.1)) == 3000, "more than it keeps"


def test_another_version_of_the_protocol_is_refused() -> None:
    text = b'{"gyrovae":2}'
    with pytest.raises(GyrovaeError, match="another version of the protocol; expected 1, received 2"):
        Stream().feed(b"\n%s*%04X\n" % (text, crc(text)), 0.0)


def test_a_reboot_that_is_told() -> None:
    stream = started()
    rows = stream.feed(said(100, 101) + b"ESP-ROM:esp32s3\r\nrst:0x3 (SW)\r\n", 0.0)
    rows += stream.feed(banner_line(dataclasses.replace(BANNER, boot=2)) + said(0, 1, boot=1), 0.1)
    assert rows == [(True, 100, 0, -100), (False, 101, 0, -101), (True, 0, 1, 0), (False, 1, 1, -1)]
    assert (stream.reboots, stream.tally.lost, stream.tally.gaps) == (1, 0, 0)


def test_a_reboot_of_which_only_the_numbers_tell() -> None:
    stream = started()
    assert len(stream.feed(said(*range(900, 1000)), 0.0)) == 100
    assert stream.feed(said(3, 4, 6, boot=1), 0.1) == []  # whose are they? it asks
    assert stream.question(0.1) == b"\nstream\n"
    rows = stream.feed(banner_line(dataclasses.replace(BANNER, boot=2)) + said(7, boot=1), 0.2)
    rows += stream.finish()
    assert rows == [(True, 3, 1, -3), (False, 4, 1, -4), (True, 6, 1, -6), (False, 7, 1, -7)]
    assert (stream.reboots, stream.tally.lost) == (1, 1)


def test_stale_lines_are_no_reboot() -> None:
    stream = started()
    stream.feed(said(*range(0, 1500)), 0.0)
    assert stream.feed(said(3, 1500), 0.1) == []
    assert places(stream.feed(banner_line(BANNER) + said(1501), 0.2)) == [(1500, False), (1501, False)]
    assert (stream.reboots, stream.tally.repeated, stream.tally.lost) == (0, 1, 0)


def test_a_port_that_is_opened_anew_goes_on_in_a_new_segment_and_knows_what_is_missing() -> None:
    stream = started()
    rows = stream.feed(said(0, 1) + said(2)[:9], 0.0)
    rows += stream.reopened(1.0)
    assert stream.question(1.0) == b"\nstream\n"
    rows += stream.feed(said(8)[5:] + said(9, 10), 1.1)  # whose they are, the banner will tell
    assert places(rows) == [(0, True), (1, False)]
    rows += stream.feed(banner_line(BANNER) + said(11), 1.2)
    rows += stream.finish()
    assert places(rows)[2:] == [(9, True), (10, False), (11, False)]
    assert (stream.tally.lost, stream.reboots) == (7, 0)


def test_a_port_that_is_opened_anew_joins_nothing_even_where_nothing_is_missing() -> None:
    stream = started()
    rows = stream.feed(said(0, 1), 0.0) + stream.reopened(1.0)
    rows += stream.feed(b"\n" + banner_line(BANNER) + said(2), 1.1)
    assert places(rows) == [(0, True), (1, False), (2, True)]
    assert stream.tally.lost == 0


def test_another_sensor_behind_the_same_port_is_refused() -> None:
    stream = started()
    stream.reopened(1.0)
    with pytest.raises(GyrovaeError, match=r"the device came back with another lsb; expected 0\.5, received 0\.25"):
        stream.feed(b"\n" + banner_line(dataclasses.replace(BANNER, lsb=0.25, boot=2)), 1.1)


def test_samples_that_nobody_explains_are_counted_and_take_no_memory() -> None:
    stream = started()
    stream.feed(said(0), 0.0)
    stream.reopened(1.0)
    for start in range(0, 25_000, 1000):
        stream.feed(b"\n" + said(*range(start, start + 1000)), 1.0)
    assert stream.unclaimed == 5000


def test_the_stock_firmware_needs_no_banner() -> None:
    stream = Stream()
    stream.question(0.0)
    rows = stream.feed(b"ets Jun  8 2016\r\nrst:0x1 (POWERON_RESET)\r\n" + stock_line(0.5, 1, 2, 0), 0.1)
    rows += stream.feed(stock_line(0.25, 1, 2, 5), 0.2)
    assert rows == [(True, 0.5, 1.0, 2.0), (False, 0.25, 1.0, 2.0)]
    assert (stream.protocol, stream.reboots, stream.question(5.0)) == ("stock", 0, b"")
    rows = stream.feed(b"rst:0x1 (POWERON_RESET)\r\n" + stock_line(0.5, 1, 2, 0), 0.3)
    assert (rows, stream.reboots) == ([(True, 0.5, 1.0, 2.0)], 1)


def test_what_a_stream_holds_back_is_given_out_when_its_time_has_come() -> None:
    stream = started()
    assert len(stream.feed(said(0, 1, 3, 4), 0.0)) == 2
    assert stream.feed(b"", 1.9) == []
    assert places(stream.feed(b"", 2.0)) == [(3, True), (4, False)]
    stream = started()
    assert len(stream.feed(said(0, 1, 3), 0.0)) == 2
    assert places(stream.feed(said(54), 0.3)) == [(3, True)]  # 255 ms on by the device's clock, too


@pytest.mark.parametrize(("number", "kept"), [(1002, 3), (1003, 0)])
def test_a_hole_of_five_seconds_in_front_of_the_answer_is_no_fresh_boot(number: int, kept: int) -> None:
    """At 200 Hz: from 2 to 1002 are a thousand samples."""
    stream = Stream()
    stream.feed(b"\n" + banner_line(BOOTED) + said(0, 1, 2), 0.1)
    assert len(stream.feed(banner_line(dataclasses.replace(BANNER, next=number)), 0.2)) == kept


@pytest.mark.parametrize(
    ("numbers", "due", "kept"),
    [
        (range(1501), 1501, 1501),  # a hole counts, not all that was kept
        ((0, 2, 1), 3, 3),  # overtaken
        ((0, WRAP - 2000), 3, 0),  # a hole in which numbers wrap
    ],
)
def test_holes_in_front_of_an_answer(numbers: Iterable[int], due: int, kept: int) -> None:
    stream = Stream()
    stream.feed(b"\n" + banner_line(BOOTED) + said(*numbers), 0.1)
    assert len(stream.feed(banner_line(dataclasses.replace(BANNER, next=due)), 0.2)) == kept


def test_samples_after_a_banner_of_another_mode_are_not_waited_with() -> None:
    stream = Stream()
    detecting = dataclasses.replace(
        BOOTED, mode="detect", model="compiled", spec="0" * 64, window=256, hop=256, vote=(3, 5)
    )
    assert len(stream.feed(b"\n" + banner_line(detecting) + said(0, 1), 0.1)) == 2


def test_a_device_that_does_not_hear_is_waited_for_three_seconds() -> None:
    stream = Stream()
    stream.feed(b"\n" + banner_line(BOOTED) + said(0, 1, 2), 0.0)
    assert stream.feed(b"", 2.9) == []
    assert len(stream.feed(b"", 3.0)) == 3


def test_a_port_that_is_opened_anew_gives_out_what_was_held_back() -> None:
    stream = started()
    assert len(stream.feed(said(0, 1, 3), 0.0)) == 2
    assert places(stream.reopened(1.0)) == [(3, True)]


def test_what_waits_for_a_banner_waits_on_where_the_port_is_opened_once_more() -> None:
    stream = started()
    stream.feed(said(0, 1), 0.0)
    for now, number in ((1.0, 5), (2.0, 8)):
        assert stream.reopened(now) == []
        assert stream.feed(said(number), now) == []
    rows = stream.feed(banner_line(BANNER), 2.1) + stream.finish()
    assert places(rows) == [(5, True), (8, True)]
    assert stream.tally.lost == 5


def test_half_a_line_is_not_joined_to_what_another_opening_of_the_port_gives() -> None:
    stream = started()
    stream.feed(said(0, 1) + said(2)[:9], 0.0)
    stream.reopened(1.0)
    rows = stream.feed(said(2)[9:] + banner_line(BANNER) + said(3), 1.1) + stream.finish()
    assert places(rows) == [(3, True)]
    assert (stream.tally.lost, stream.lines.halves) == (1, 2)


def test_half_a_line_at_the_end_is_counted() -> None:
    stream = started()
    stream.feed(said(0) + said(1)[:9], 0.0)
    stream.finish()
    assert stream.lines.halves == 1


def test_at_words_of_a_boot_what_was_held_back_is_given_out_and_the_device_is_asked() -> None:
    stream = started()
    assert len(stream.feed(said(0, 1, 3), 2.0)) == 2
    assert stream.question(2.0) == b""
    assert places(stream.feed(b"rst:0x3 (SW)\r\n", 2.0)) == [(3, True)]
    assert stream.question(2.0) == b"\nstream\n"


def test_samples_after_words_of_a_boot_are_none_of_the_boot_before() -> None:
    """Its first two are lost, and so its third has the number that is due."""
    stream = started()
    assert len(stream.feed(said(0, 1), 0.0)) == 2
    assert stream.feed(b"rst:0x3 (SW)\r\n" + said(2, boot=1), 0.1) == []
    rows = stream.feed(banner_line(dataclasses.replace(BANNER, boot=2)), 0.2)
    assert (rows, stream.reboots, stream.tally.lost) == ([(True, 2, 1, -2)], 1, 0)


def test_samples_of_a_first_boot_are_kept_where_the_device_boots_again_before_it_answers() -> None:
    stream = Stream()
    assert stream.feed(b"\n" + banner_line(BOOTED) + said(0, 1, 2), 0.1) == []
    assert places(stream.feed(b"rst:0x3 (SW)\r\n", 0.2)) == [(0, True), (1, False), (2, False)]


@pytest.mark.parametrize("boot", [2, 0])
@pytest.mark.parametrize("count", [0, 1])
def test_a_reboot_of_which_only_the_banner_tells(boot: int, count: int) -> None:
    """All in one piece, and some of it held back; the number of boots may have been erased."""
    stream = started()
    banner = dataclasses.replace(BANNER, boot=boot, next=count)
    rows = stream.feed(said(10, 11, 13) + banner_line(banner) + said(0, 1, boot=1), 0.1)
    assert rows == [
        (True, 10, 0, -10),
        (False, 11, 0, -11),
        (True, 13, 0, -13),
        (True, 0, 1, 0),
        (False, 1, 1, -1),
    ]
    assert (stream.reboots, stream.tally.lost) == (1, 1)


@pytest.mark.parametrize(
    ("name", "other"), [("sensor", "LIS3DH"), ("units", "g"), ("rate_hz", 100.0), ("counts", (-4096, 4095))]
)
def test_a_sensor_that_is_another_in_any_way_is_refused(name: str, other: object) -> None:
    with pytest.raises(GyrovaeError, match=f"the device came back with another {name}"):
        started().feed(banner_line(dataclasses.replace(BANNER, **{name: other})), 0.1)


def test_the_stock_firmware_in_its_detection_mode_is_refused() -> None:
    with pytest.raises(GyrovaeError, match="prints results, not samples"):
        Stream().feed(b"\nPredict results: 1.00000 2.00000\r\n", 0.0)


@pytest.mark.parametrize("way", [lambda stream: stream.reopened(1.0), lambda stream: stream.feed(b"rst:0x1\r\n", 1.0)])
def test_stock_samples_after_a_boot_or_another_opening_begin_a_segment_whatever_their_time(
    way: Callable[[Stream], list[Row]],
) -> None:
    stream = Stream()
    assert len(stream.feed(b"\n" + stock_line(0.5, 1, 2, 5) * 3, 0.0)) == 3
    way(stream)
    rows = stream.feed(b"\n" + stock_line(0.5, 1, 2, 5) * 2, 1.1)
    assert [begins for begins, *_ in rows] == [True, False]


def test_the_reason_that_is_told_is_the_latest_error_or_else_the_latest_warning() -> None:
    words = [Status("error", "one"), Status("error", "two"), Status("warning", "three"), Status("info", "four")]
    assert "the device says: two; expected a banner" in str(told_instead(words, "a banner"))
    assert "the device says: three" in str(told_instead(words[2:], "a banner"))
    assert told_instead(words[3:], "a banner") is None


def test_words_are_kept() -> None:
    stream = started()
    for i in range(30):
        stream.feed(status_line("warning", f"hot {i}"), 0.0)
    assert stream.words[-1] == Status("warning", "hot 29")
    assert len(stream.words) == 20


@settings(max_examples=200)
@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                banner_line(BANNER),
                said(1, 2),
                said(9),
                b"rst:0x1\n",
                stock_line(1, 2, 3, 5),
                banner_line(dataclasses.replace(BANNER, boot=2)),
                status_line("info", "x"),
                None,
            ]
        ),
        max_size=30,
    )
)
def test_whatever_comes_is_survived(pieces: list[bytes | None]) -> None:
    stream, given_out = Stream(), 0
    for i, piece in enumerate(pieces):
        now = 0.1 * i
        stream.question(now)
        given_out += len(stream.reopened(now) if piece is None else stream.feed(piece, now))
    given_out += len(stream.finish())
    assert given_out == stream.tally.samples
    assert math.isfinite(stream.tally.lost)
