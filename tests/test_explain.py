"""The explanation: on simulated faults of known axis, band and direction, that is what the reasons name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gyrovae_tf as gt
from gyrovae_tf.device.simulate import FAULTS, FaultBand, Machine, fault_bands
from gyrovae_tf.learn.dataset import cut
from gyrovae_tf.signal.score import Reason, reasons

MACHINES = {
    "fan": Machine(),
    "pump": Machine(rate_hz=400.0, shaft_hz=49.0, blades=5, structure_hz=120.0, bearing_hz=170.0),
    "two speeds": Machine(regimes=((0.8, 0.7), (1.05, 1.2)), regime_s=20.0, bearing_hz=85.0),
}


def names(reason: Reason, band: FaultBand) -> bool:
    """Whether a reason is about this band: same axis, same direction, and they overlap."""
    same = (reason.axis, reason.direction) == (band.axis, band.change)
    return same and reason.low_hz <= band.high_hz and reason.high_hz >= band.low_hz


@pytest.mark.slow
def test_the_true_band_is_among_the_top_three(tmp_path: Path) -> None:
    """In at least 95 % of the alarms, each fault of each machine counting the same, and mostly as the first reason."""
    named, first = {}, {}
    for name, machine in MACHINES.items():
        data = gt.preprocess([gt.simulate(machine, seconds=300, seed=1)], tmp_path / name / "dataset")
        run = gt.train(data, tmp_path / name / "run", options=gt.Options(epochs=5))
        detector = gt.Detector(gt.quantize(run, mode="ptq"))
        spec = detector.bundle.spec
        for number, fault in enumerate(FAULTS):
            recording = gt.simulate(machine, seconds=60, seed=50 + number, fault=fault, severity=1.0)
            windows, _ = cut([recording], window=spec.window, hop=spec.window // 2, lsb=spec.lsb)
            found = detector.score_windows(windows)
            told = [reasons(deviation, spec) for deviation in found.deviation[found.score >= 1]]
            assert told, f"{fault} of the {name} raised no alarm"
            bands = fault_bands(machine, fault)
            hits = [[any(names(reason, band) for band in bands) for reason in three] for three in told]
            named[name, fault] = float(np.mean([any(three) for three in hits]))
            first[name, fault] = float(np.mean([three[0] for three in hits]))
    print({key: (round(named[key], 2), round(first[key], 2)) for key in named})
    assert np.mean(list(named.values())) >= 0.95
    assert np.mean(list(first.values())) >= 0.85
