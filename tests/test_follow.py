"""Decisions for programs of one's own: on samples that are pushed, and on what a port says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_MACHINE, StockTiny, Tiny, stock_recording
from numpy.typing import NDArray

import gyrovae_tf as gt
from gyrovae_tf.device.pretend import Device, Motion
from gyrovae_tf.device.serve import pretend
from gyrovae_tf.errors import GyrovaeError

WINDOW = 64
ALWAYS = 1e-9
"""A threshold at which every window is an alarm."""


@pytest.fixture(scope="module")
def detector(tiny: Tiny) -> gt.Detector:
    return gt.Detector(tiny.bundle)


@pytest.fixture(scope="module")
def motion() -> gt.Recording:
    """2,000 samples of the machine, the second half of them with a fault."""
    normal = gt.simulate(TINY_MACHINE, seconds=5, seed=7)
    worn = gt.simulate(TINY_MACHINE, seconds=5, seed=8, fault="imbalance", severity=3.0)
    return gt.Recording(np.concatenate([normal.samples, worn.samples]), normal.rate_hz, ((0, 2000),), "motion")


def pieces(samples: NDArray[Any], sizes: tuple[int, ...] = (1, 50, 0, 333, 7)) -> Iterator[NDArray[Any]]:
    """The same samples in pieces of these lengths, over and over."""
    at, turn = 0, 0
    while at < len(samples):
        stop = at + sizes[turn % len(sizes)]
        yield samples[at:stop]
        at, turn = stop, turn + 1


def test_pushed_samples_are_decided_as_windows_of_the_recording_are(
    detector: gt.Detector, motion: gt.Recording
) -> None:
    live = gt.Live(detector)
    found = [decision for piece in pieces(motion.samples) for decision in live.push(piece)]
    counts = np.rint(motion.samples / detector.bundle.spec.lsb).astype(np.int16)
    windows = counts[: len(counts) // WINDOW * WINDOW].reshape(-1, WINDOW, 3)
    scores = detector.score_windows(windows).score
    assert [one.score for one in found] == scores.tolist()
    assert [one.number for one in found] == list(range(WINDOW - 1, 2000, WINDOW))
    assert [one.alarm for one in found] == (scores >= 1).tolist()
    rule = detector.bundle.calibration
    assert [one.event for one in found] == gt.vote(scores >= 1, rule.vote_alarms, rule.vote_windows).tolist()
    assert (live.windows, live.alarms) == (31, int(np.sum(scores >= 1)))
    assert live.events == sum(one.begins for one in found) == 1
    first = next(one for one in found if one.begins)
    assert first.number is not None
    assert first.number > 1000
    assert first.words[0].endswith(" %")


def test_counts_are_taken_as_they_are(detector: gt.Detector, motion: gt.Recording) -> None:
    counts = np.rint(motion.samples / detector.bundle.spec.lsb).astype(np.int16)
    plain, as_counts = gt.Live(detector), gt.Live(detector, counts=True)
    wanted = [one.score for one in plain.push(motion.samples)]
    assert [one.score for one in as_counts.push(counts)] == wanted
    assert [one.score for one in gt.Live(detector, counts=True).push(counts.tolist())] == wanted  # as JSON brings them


def test_a_sample_at_a_time_and_a_hop(detector: gt.Detector, motion: gt.Recording) -> None:
    live = gt.Live(detector, hop=16)
    found = [decision for sample in motion.samples[:112] for decision in live.push(sample)]
    assert [one.number for one in found] == [63, 79, 95, 111]


def test_no_window_spans_a_gap(detector: gt.Detector, motion: gt.Recording) -> None:
    live = gt.Live(detector)
    assert live.push(motion.samples[:63]) == []
    live.gap()
    assert [one.number for one in live.push(motion.samples[:64])] == [126]


def test_the_vote_goes_on_over_a_gap_and_ends_with_a_pause(detector: gt.Detector, motion: gt.Recording) -> None:
    live = gt.Live(detector, threshold=ALWAYS)
    piece = motion.samples[:WINDOW]
    events = []
    for at in (0.0, 1.0, 2.0, 62.0, 123.0):  # the last comes after more than a minute
        live.gap()
        events += [one.event for one in live.push(piece, at=at)]
    assert events == [False, False, True, True, False]
    assert live.events == 1


def test_what_a_decision_holds_beside(detector: gt.Detector, motion: gt.Recording) -> None:
    decision = gt.Live(detector, threshold=2.5).push(motion.samples[:WINDOW], at=1700000000.5)[0]
    assert (decision.window, decision.time, decision.threshold, decision.source) == (0, 1700000000.5, 2.5, "host")
    assert decision.images is not None
    assert decision.images.shape == (2, 32, 32, 3)


def test_a_bundle_a_run_and_a_path_do_as_well(tiny: Tiny, motion: gt.Recording) -> None:
    made = {
        gt.Live(given).push(motion.samples[:WINDOW])[0].score for given in (tiny.bundle, tiny.run, str(tiny.run.path))
    }
    assert len(made) == 1


def test_a_detector_for_the_stock_firmware(stock_tiny: StockTiny) -> None:
    detector = gt.StockDetector(stock_tiny.run)
    samples = stock_recording(seed=5, seconds=4).samples.astype(np.float32)
    live = gt.Live(detector)
    found = [decision for piece in pieces(samples) for decision in live.push(piece)]
    wanted = detector.score_windows(samples[:768].reshape(3, 256, 3)).score
    # Judged as figures that the console would print, by levels that are moved likewise: other last bits.
    assert [one.score for one in found] == pytest.approx(wanted.tolist(), abs=1e-12)
    with pytest.raises(GyrovaeError, match=r"takes no counts; expected samples in m/s\^2"):
        gt.Live(detector, counts=True)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([[0.0, 0.0, math.nan]], "expected finite numbers, received NaN or infinity"),
        ([[1.0, 2.0]], r"expected numbers \[n, 3\], in m/s\^2, received ndarray of float64 \[1, 2\]"),
        (["a", "b", "c"], r"expected numbers \[n, 3\]"),
        ([[1.0, 2.0, 3.0], [1.0]], r"expected numbers \[n, 3\]"),
        (7, r"expected numbers \[n, 3\]"),
    ],
)
def test_what_is_no_sample_is_refused_and_nothing_of_it_taken(
    detector: gt.Detector, motion: gt.Recording, samples: Any, message: str
) -> None:
    live = gt.Live(detector)
    live.push(motion.samples[:63])
    with pytest.raises(GyrovaeError, match=message):
        live.push(samples)
    assert [one.number for one in live.push(motion.samples[63:64])] == [63]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([[1, 2, 40000]], "expected counts of 16 bits, received 1 to 40000"),
        ([[0.5, 1.0, 2.0]], "expected counts, whole"),
    ],
)
def test_what_are_no_counts(detector: gt.Detector, samples: Any, message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        gt.Live(detector, counts=True).push(samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop": 0}, "the hop is not usable"),
        ({"threshold": 0.0}, "the threshold is not usable"),
        ({"counts": "yes"}, "counts is not usable"),
    ],
)
def test_settings_that_cannot_be(detector: gt.Detector, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        gt.Live(detector, **settings)
    with pytest.raises(GyrovaeError, match="the time is not usable"):
        gt.Live(detector).push([0.0, 0.0, 0.0], at=math.nan)


def test_what_is_no_detector(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError):
        gt.Live(None)  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError, match="nothing"):
        gt.Live(tmp_path / "nothing")


def test_decisions_on_a_port_one_by_one(detector: gt.Detector) -> None:
    motion = Motion(TINY_MACHINE, seed=4)
    with pretend(Device(motion, seed=1), speed=20.0) as it:
        found = list(gt.monitor(it.port, model=detector, windows=3, seconds=60))
    assert [one.window for one in found] == [0, 1, 2]
    for one in found:
        assert one.number is not None
        counts = motion(one.number + np.arange(1 - WINDOW, 1))
        assert one.score == detector.score_windows(counts[None]).score[0]


def test_a_loop_that_ends_closes_the_port(detector: gt.Detector) -> None:
    with pretend(Device(Motion(TINY_MACHINE, seed=4), seed=1), speed=20.0) as it:
        for turn in range(2):  # a port that is still open could not be opened again
            for decision in gt.monitor(it.port, model=detector, seconds=60):
                assert decision.window == 0, turn
                break


def test_a_port_that_cannot_be_opened_and_settings_that_do_not_fit(detector: gt.Detector, tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match="nowhere"):
        next(gt.monitor(str(tmp_path / "nowhere")))
    with pytest.raises(GyrovaeError, match="hop and threshold are for what this computer decides"):
        gt.monitor("nowhere", hop=16)
    with pytest.raises(GyrovaeError, match="the baud rate is not usable"):
        gt.monitor("nowhere", model=detector, baud=0)
