"""The verdict on a recording: what is wrong with it, by how much, and that real recordings are not refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyrovae_tf.device.judge import Judgement, judge
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import preprocess
from gyrovae_tf.recording import Recording


def of(
    samples: Any, *, segments: tuple[tuple[int, int], ...] | None = None, lsb: float | None = None, **metadata: Any
) -> Judgement:
    values = np.asarray(samples, float)
    return judge(Recording(values, 200.0, segments or ((0, len(values)),), "r", lsb=lsb, metadata=metadata))


def session(**changes: float) -> list[Mapping[str, float]]:
    return [
        {"steps": 1000, "steps_us": 5_000_000, "jitter_us": 0.0, "lost": 0, "lines": 1000, "bad_lines": 0, **changes}
    ]


NORMAL = simulate(seconds=30, seed=1).samples
"""6,000 samples of a healthy machine."""


def names(judgement: Judgement) -> list[tuple[str, bool]]:
    return [(flaw.name, flaw.refused) for flaw in judgement.flaws]


def test_a_good_recording() -> None:
    found = of(NORMAL)
    assert found.good
    assert found.flaws == ()
    assert (found.samples, found.duration_s, found.gaps) == (6000, 30.0, 0)
    assert found.windows == (6000 - 256) // 64 + 1
    assert (found.duplicates, found.held, found.still_axes) == (0.0, 0.0, ())
    assert (found.clipped, found.rate_error, found.jitter, found.lost) == (None, None, None, None)


def test_a_sensor_at_14_hz_under_a_poll_of_200_hz() -> None:
    held = NORMAL[(np.floor(np.floor(np.arange(6000) * 0.07) / 0.07)).astype(int)]
    found = of(held)
    assert found.duplicates == pytest.approx(0.93, abs=0.001)
    assert found.held == pytest.approx(0.93, abs=0.001)
    assert names(found) == [("duplicates", True)]
    assert found.flaws[0].reason == (
        "93 % of the samples repeat the one before: the sensor is read more often than it measures, so it gives about "
        "14 values a second"
    )
    assert not found.good


def test_coarse_steps_of_a_quiet_machine_are_not_taken_for_a_slow_sensor() -> None:
    rng = np.random.default_rng(1)
    quiet = np.rint(rng.normal(0, 0.3, (50_000, 3)))
    found = of(quiet)
    assert found.duplicates > 0.4
    assert found.held < 0.02
    assert found.good
    slow = quiet[np.arange(50_000) // 2]
    assert of(slow).held == pytest.approx(0.5, abs=0.03)


def test_duplicates_across_a_gap_do_not_count() -> None:
    found = of([[1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 5, 6]], segments=((0, 1), (1, 2), (2, 4)))
    assert found.duplicates == 0.0


def test_a_machine_that_stands_still() -> None:
    found = of(np.tile([0.0, 0.0, 9.8], (6000, 1)))
    assert names(found) == [("still", True)]
    assert found.still_axes == ("x", "y", "z")
    assert found.flaws[0].reason == "nothing moves: every sample reads the same"
    assert "while the machine runs" in found.flaws[0].remedy


def test_an_axis_that_never_changes() -> None:
    found = of(NORMAL * [1, 0, 1])
    assert names(found) == [("still", True)]
    assert found.flaws[0].reason == "axis y never changes: every sample reads the same"
    found = of(NORMAL * [1, 0, 0])
    assert found.flaws[0].reason == "axes y and z never change: every sample reads the same"


@pytest.mark.parametrize(("clipped", "told"), [(0, []), (30, [("clipping", False)]), (600, [("clipping", True)])])
def test_clipping(clipped: int, told: list[tuple[str, bool]]) -> None:
    counts = np.rint(NORMAL / 0.01)
    counts[np.arange(clipped) * 7, 1] = 8191
    found = of(counts * 0.01, lsb=0.01, counts=[-8192, 8191])
    assert found.clipped == clipped / 6000
    assert names(found) == told


@pytest.mark.parametrize(
    ("rate_hz", "told"), [(199.0, []), (188.0, [("rate", False)]), (212.0, [("rate", False)]), (14.0, [("rate", True)])]
)
def test_a_rate_that_is_not_what_the_device_says(rate_hz: float, told: list[tuple[str, bool]]) -> None:
    found = of(NORMAL, nominal_rate_hz=200.0, collected=session(steps_us=round(1e9 / rate_hz)))
    assert found.rate_error == pytest.approx(rate_hz / 200 - 1, abs=1e-6)
    assert names(found) == told


@pytest.mark.parametrize(
    ("jitter_us", "told"), [(100.0, []), (1000.0, [("jitter", False)]), (3000.0, [("jitter", True)])]
)
def test_jitter(jitter_us: float, told: list[tuple[str, bool]]) -> None:
    found = of(NORMAL, nominal_rate_hz=200.0, collected=session(jitter_us=jitter_us))
    assert found.jitter == pytest.approx(jitter_us / 5000)
    assert names(found) == told


def test_whole_milliseconds_are_no_jitter() -> None:
    found = of(NORMAL, protocol="stock", collected=session(steps_us=2_500_000, jitter_us=500.0))
    assert found.jitter == 0.0
    assert found.lost is None


def test_losses_and_damaged_lines_are_told_and_not_refused() -> None:
    found = of(NORMAL, collected=session(lost=200, bad_lines=30))
    assert names(found) == [("lost", False), ("lines", False)]
    assert found.lost == 200
    assert found.good
    assert names(of(NORMAL, collected=session(lost=10, bad_lines=1))) == []


@pytest.mark.parametrize(
    ("facts", "reason", "remedy"),
    [
        (
            {"lost": 200, "gaps": 150},
            "200 samples were lost on the way (3.23 %)",
            "Use a higher baud rate or a shorter cable, and close other programs that keep this computer busy.",
        ),
        (
            {"lost": 200, "gaps": 1, "reconnects": 1},
            "200 samples were lost (3.23 %) while the device was unplugged or its port gone: 1 reconnection",
            "See that plug and cable sit firmly, and that nothing switches the port off.",
        ),
        (
            {"lost": 200, "gaps": 9, "reconnects": 2},
            "200 samples were lost (3.23 %), some of them while the device was unplugged or its port gone: "
            "2 reconnections",
            "See that plug and cable sit firmly, and that nothing switches the port off. For the rest use a higher "
            "baud rate or a shorter cable, and close other programs that keep this computer busy.",
        ),
    ],
)
def test_why_samples_were_lost(facts: dict[str, float], reason: str, remedy: str) -> None:
    (flaw,) = of(NORMAL, collected=session(**facts)).flaws
    assert (flaw.name, flaw.refused, flaw.reason, flaw.remedy) == ("lost", False, reason, remedy)


def test_several_collections_in_one_file_count_together() -> None:
    found = of(NORMAL, nominal_rate_hz=200.0, collected=[*session(lost=5), *session(lost=7, steps_us=5_200_000)])
    assert found.lost == 12
    assert found.rate_error == pytest.approx(2000 / 10.2 / 200 - 1)


@pytest.mark.parametrize(("stop", "told"), [(255, [("windows", True)]), (256, [("windows", False)]), (6000, [])])
def test_windows_that_are_too_few(stop: int, told: list[tuple[str, bool]]) -> None:
    assert names(of(NORMAL[:stop])) == told


def test_windows_of_the_file_that_is_continued_count() -> None:
    part = Recording(np.asarray(NORMAL[:1000], float), 200.0, ((0, 1000),), "r")
    alone, few, enough = (judge(part, earlier=earlier) for earlier in (0, 12, 13))
    assert [found.windows for found in (alone, few, enough)] == [12, 12, 12]
    assert [found.enough for found in (alone, few, enough)] == [False, False, True]
    assert [found.good for found in (alone, few, enough)] == [True, True, True]
    assert alone.flaws[0].reason == "it gives only 12 windows of 256 samples, too few to train on"
    assert few.flaws[0].reason == "with this the file gives only 24 windows of 256 samples, too few to train on"
    assert alone.flaws[0].remedy == "Record longer, or go on with --append."
    assert alone.to_dict()["enough"] is False


@pytest.mark.parametrize("windows", range(18, 60))
def test_what_is_enough_is_enough_for_preprocess(windows: int) -> None:
    """Of one stretch without a gap."""
    rows = 256 + 64 * (windows - 1)
    recording = Recording(np.resize(np.asarray(NORMAL, float), (rows, 3)), 200.0, ((0, rows),), "r")
    found = judge(recording)
    assert found.windows == windows
    if found.enough:
        preprocess([recording])
    else:
        with pytest.raises(GyrovaeError, match="too few samples"):
            preprocess([recording])


def test_windows_do_not_cross_gaps() -> None:
    pieces = tuple((start, start + 200) for start in range(0, 6000, 200))
    found = of(NORMAL, segments=pieces)
    assert (found.windows, found.gaps) == (0, 29)
    assert found.flaws[0].reason == (
        "no stretch without a gap is as long as a window of 256 samples (the longest: 200)"
    )
    assert judge(Recording(NORMAL, 200.0, pieces, "r"), window=128).windows == 30 * 3


def test_json_and_the_refusal_of_a_window_that_cannot_be() -> None:
    told = of(NORMAL * [1, 0, 1]).to_dict()
    assert told["good"] is False
    assert told["flaws"][0]["name"] == "still"
    with pytest.raises(GyrovaeError, match="the window length is not usable"):
        judge(Recording(NORMAL, 200.0, ((0, 6000),), "r"), window=100)


def test_metadata_of_others_is_no_reason_to_fail() -> None:
    found = of(NORMAL, collected="yesterday", nominal_rate_hz="fast", counts=[1], protocol=3)
    assert found.good


@pytest.mark.parametrize("name", ["ceiling_fan_esp32", "nicla_transport_accel", "nxp_fan", "rosa_shaft_imu"])
def test_real_recordings_are_not_refused(shared: Path, name: str) -> None:
    files = sorted((shared / "datasets" / name / "normal").glob("*.csv"))[:20]
    assert files
    for file in files:
        recording = Recording.read(file)
        if len(recording) >= 128:
            assert judge(recording, window=128).good, file
