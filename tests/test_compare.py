"""Other kernels beside those that were evaluated: against outputs and scores counted here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny
from numpy.typing import NDArray

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.compare import compare, evenly
from gyrovae_tf.learn.dataset import cut
from gyrovae_tf.learn.evaluate import evaluate
from gyrovae_tf.runtime import Detector, Model, installed
from gyrovae_tf.signal.frontend import images

NORMAL = simulate(TINY_MACHINE, seconds=20, seed=2)
OFF = simulate(TINY_MACHINE, seconds=10, seed=3, fault="off")


def windows_of(tiny: Tiny, recording: object) -> NDArray[np.int16]:
    return cut([recording], window=TINY_WINDOW, hop=TINY_WINDOW, lsb=tiny.dataset.spec.lsb)[0]  # type: ignore[list-item]


def test_the_figures_are_those_of_outputs_and_scores(tiny: Tiny) -> None:
    kinds = {"normal": windows_of(tiny, NORMAL), "off": windows_of(tiny, OFF)}
    found = compare(Detector(tiny.bundle, "litert"), kinds)
    assert tuple(found) == tuple(name for name in installed() if name != "litert")
    every = np.concatenate(list(kinds.values()))
    seen = images(every, tiny.bundle.spec)
    own, score = Model(tiny.bundle.model, "litert").reconstruct(seen), Detector(tiny.bundle, "litert").score_windows
    for name, one in found.items():
        other = Model(tiny.bundle.model, name).reconstruct(seen)
        apart = np.abs(np.concatenate(own).astype(int) - np.concatenate(other))
        assert one.windows == len(every)
        assert one.pixels == pytest.approx((apart > 0).mean(), abs=1e-12)
        assert one.largest == apart.max() > 0
        scores = score(every).score, Detector(tiny.bundle, name).score_windows(every).score
        moved = np.abs(scores[1] / scores[0] - 1)
        assert (one.score_median, one.score_largest) == (np.median(moved), moved.max())
        assert one.verdicts == ((scores[0] >= 1) != (scores[1] >= 1)).mean()
        assert one.score_largest < 0.1


def test_at_most_256_windows_of_a_kind_evenly_chosen() -> None:
    assert evenly(256).tolist() == list(range(256))
    assert evenly(511).tolist() == list(range(0, 511, 2))  # 511 = 2 * 256 - 1
    assert evenly(0).tolist() == []


def test_evaluate_compares_when_asked(tiny: Tiny) -> None:
    result = evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [OFF]}, kernels="litert", compare=True)
    assert (result.kernels, result.threshold_kernels) == ("litert", tiny.bundle.metrics["runtime"])
    hop = TINY_WINDOW // 2
    kinds = [cut([part], window=TINY_WINDOW, hop=hop, lsb=tiny.dataset.spec.lsb)[0] for part in (NORMAL, OFF)]
    expected = compare(
        Detector(tiny.bundle, "litert"), dict(zip("ab", (part[evenly(len(part))] for part in kinds), strict=True))
    )
    assert result.comparison == expected
    assert result.to_dict()["compare"] == {name: dataclasses.asdict(one) for name, one in expected.items()}
    assert evaluate(tiny.run, normal=[NORMAL]).to_dict()["compare"] is None


def test_the_kernels_decide_the_scores(tiny: Tiny) -> None:
    device, host = (evaluate(tiny.run, normal=[NORMAL], kernels=name).kernels for name in (None, "litert-xnnpack"))
    assert (device, host) == (installed()[0], "litert-xnnpack")
    with pytest.raises(GyrovaeError, match="unknown kernels; expected tflm or litert"):
        evaluate(tiny.run, normal=[NORMAL], kernels="gpu")


def test_progress_is_told(tiny: Tiny) -> None:
    told: list[tuple[int, int, str]] = []
    detector = Detector(tiny.bundle, "litert")
    compare(detector, {"normal": windows_of(tiny, NORMAL)[:2]}, lambda *step: told.append(step))
    count = len(installed()) - 1
    assert [step[:2] for step in told] == [(number, count) for number in range(1, count + 1)]


def test_another_tflite_in_the_bundle_s_place(tiny: Tiny, tmp_path: Path) -> None:
    own = evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [OFF]})
    same = tmp_path / "copy.tflite"
    same.write_bytes(tiny.bundle.model)
    assert evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [OFF]}, model=same) == own
    with pytest.raises(GyrovaeError, match=r"cannot read .*missing.tflite: No such file"):
        evaluate(tiny.run, normal=[NORMAL], model=tmp_path / "missing.tflite")
    (tmp_path / "text").write_text("no model")
    with pytest.raises(GyrovaeError, match=r"text is not a \.tflite model; .* received a text file of 8 bytes"):
        evaluate(tiny.run, normal=[NORMAL], model=tmp_path / "text")
