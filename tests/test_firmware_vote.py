"""The firmware's vote by hand: what windows that share samples are worth, and how much it remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest
from esp_firmware import STUBS

from gyrovae_tf.calibration import MOST_PHASES, MOST_VOTES


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vote")
    objects = firmware.compiled("g++", firmware.SANITIZED, folder)
    return firmware.sanitized(folder / "vote", STUBS / "vote.cpp", *objects, flags=firmware.PORTABLE)


def votes(program: Path, needed: int, windows: int, stride: int, alarms: str) -> str:
    return firmware.checked([program, *map(str, (needed, windows, stride)), alarms], program.parent)


@pytest.mark.parametrize(
    ("needed", "windows", "stride", "alarms", "held"),
    [
        (2, 3, 1, "0110100", "0011100"),
        (3, 5, 1, "111", "001"),
        # One knock in two windows, or in three, is one alarm of each phase.
        (2, 3, 2, "0011000000", "0000000000"),
        (2, 3, 3, "0011100000", "0000000000"),
        # Two alarms of one phase with one of its windows between them; of the other phase nothing is known meanwhile.
        (2, 3, 2, "1000100000", "0000110000"),
        (2, 3, 2, "0100010000", "0000011000"),
        # Phase 0 holds in windows 3 to 8, phase 1 in 4 to 9.
        (2, 3, 3, "110110000000", "000111111100"),
        (1, 1, 3, "1000000", "1110000"),
        (2, 2, 2, "1r1r1", "000"),
        (2, 2, 2, "1010r000", "0011000"),
        # A reset begins with phase 0, whatever came before.
        (2, 2, 2, "0r1010", "00011"),
        (2, 2, 3, "10r1000100", "000000000"),
    ],
)
def test_windows_that_share_no_samples_vote_together(
    program: Path, needed: int, windows: int, stride: int, alarms: str, held: str
) -> None:
    assert votes(program, needed, windows, stride, alarms) == held


def test_a_knock_is_no_event_however_often_it_is_looked_at(program: Path) -> None:
    for stride in range(1, MOST_PHASES + 1):
        assert "1" not in votes(program, 2, 5, stride, stride * "0" + stride * "1" + 8 * stride * "0")
        assert "1" in votes(program, 2, 5, stride, (stride + 1) * "1")


def test_as_many_windows_and_phases_as_there_can_be(program: Path) -> None:
    alarms = np.random.default_rng(5).random(3000) < 0.5
    text = "".join("01"[int(alarm)] for alarm in alarms)
    for needed, windows, stride in ((36, MOST_VOTES, 1), (40, MOST_VOTES, MOST_PHASES), (9, 11, 7)):
        expected = firmware.held(alarms, needed, windows, stride)
        assert 0 < sum(expected) < len(expected)
        assert votes(program, needed, windows, stride, text) == "".join("01"[int(one)] for one in expected)
