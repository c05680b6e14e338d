"""The committed recordings in data/ are what the simulator makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.recording import Recording

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.mark.parametrize(("name", "fault"), [("simulated_normal", None), ("simulated_imbalance", "imbalance")])
def test_committed_recordings_are_thirty_seconds_of_the_simulator(name: str, fault: str | None, tmp_path: Path) -> None:
    made = simulate(seconds=30, fault=fault, seed=7)
    made.write(tmp_path / "made.csv")
    stored = Recording.read(DATA / f"{name}.csv")
    assert np.array_equal(stored.samples, made.samples)
    assert (stored.rate_hz, stored.lsb, stored.segments) == (200.0, made.lsb, ((0, 6000),))
    assert (DATA / f"{name}.csv").read_bytes() == (tmp_path / "made.csv").read_bytes()
