"""Evaluation: AUROC against scikit-learn, events counted by hand, and that the .tflite is what is tested."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.dataset import cut
from gyrovae_tf.learn.evaluate import Evaluation, Group, auroc, evaluate, group_of, load_baseline
from gyrovae_tf.learn.layout import to_test_on, training_part
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.recording import Recording
from gyrovae_tf.runtime import Detector, best
from gyrovae_tf.signal.score import Scores

NORMAL = simulate(TINY_MACHINE, seconds=20, seed=2)
OFF = simulate(TINY_MACHINE, seconds=10, seed=3, fault="off")
IMBALANCE = simulate(TINY_MACHINE, seconds=10, seed=4, fault="imbalance", severity=2)


@pytest.fixture(scope="module")
def result(tiny: Tiny) -> Evaluation:
    return evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [OFF], "imbalance": [IMBALANCE]})


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return tiny.copy(tmp_path)


# --- AUROC -----------------------------------------------------------------------------------------------------

SCORES = st.lists(st.integers(0, 6).map(float) | st.floats(0, 6, width=16), min_size=1, max_size=40)


@given(SCORES, SCORES)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_auroc_is_that_of_scikit_learn(normal: list[float], abnormal: list[float]) -> None:
    labels = [0] * len(normal) + [1] * len(abnormal)
    expected = roc_auc_score(labels, normal + abnormal)
    assert auroc(np.array(normal), np.array(abnormal)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("normal", "abnormal", "expected"),
    [([1, 2], [3], 1.0), ([2, 3], [1], 0.0), ([1, 3], [2], 0.5), ([2, 2], [2], 0.5), ([1, 2], [2, 3], 0.875)],
)
def test_auroc_by_hand(normal: list[float], abnormal: list[float], expected: float) -> None:
    assert auroc(np.array(normal), np.array(abnormal)) == expected


# --- alarms and events -----------------------------------------------------------------------------------------


def test_a_recording_of_several_kinds_of_motion_is_told(tiny: Tiny, tmp_path: Path) -> None:
    lines = [f"{row // 1000},{x},{y},{z}" for row, (x, y, z) in enumerate(NORMAL.samples[:2000].tolist())]
    (path := tmp_path / "a.csv").write_text("\n".join(["state,x,y,z", *lines]))
    found = evaluate(tiny.bundle, normal=[NORMAL, path], rate_hz=NORMAL.rate_hz)
    (told,) = found.mixed
    assert told in found.notes
    assert told.startswith("Columns that are not read part the rows of 1 of 2 recordings (a.csv): state (0, 1). ")
    assert evaluate(tiny.bundle, normal=[NORMAL]).mixed == ()


def still(lengths: list[int]) -> Recording:
    """A recording in segments of these lengths."""
    borders = [0, *itertools.accumulate(lengths)]
    return Recording(np.zeros((borders[-1], 3)), 200.0, tuple(itertools.pairwise(borders)), "still")


def scored(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Tiny,
    tmp_path: Path,
    alarms: str,
    lengths: list[int],
    vote: tuple[int, int],
    *,
    hop: int = TINY_WINDOW,
    kind: str = "normal",
) -> dict[str, Any]:
    """An evaluation whose windows score as `alarms` says: 1 at the threshold, 0 below. Windows lie side by side.

    What it says of one kind; another kind than "normal" comes after a normal window.
    """
    waiting = list(alarms) if kind == "normal" else ["0", *alarms]

    def score_windows(_: Detector, windows: NDArray[np.int16]) -> Scores:
        score = np.array([1.0 if waiting.pop(0) == "1" else 0.999 for _ in windows])
        return dataclasses.replace(Detector(tiny.bundle).score_images(tiny.dataset.train_images[:0]), score=score)

    monkeypatch.setattr(Detector, "score_windows", score_windows)
    calibration = dataclasses.replace(tiny.bundle.calibration, vote_alarms=vote[0], vote_windows=vote[1])
    bundle = dataclasses.replace(tiny.bundle, calibration=calibration).save(tmp_path / "a.gyrovae")
    if kind == "normal":
        found = evaluate(bundle, normal=[still(lengths)], hop=hop)
    else:
        found = evaluate(bundle, normal=[still([TINY_WINDOW])], anomalies={kind: [still(lengths)]}, hop=hop)
    assert waiting == []
    assert found.groups[kind].windows == len(alarms)
    record = found.to_dict()
    return {**dataclasses.asdict(found.groups[kind]), "record": record, "told_s": record["delay_s"]}


@pytest.mark.parametrize(
    ("alarms", "vote", "events"),
    [
        ("0110100", (2, 3), 1),  # holds at the third to the fifth window
        ("0110011", (2, 3), 2),
        ("1010101", (2, 3), 3),  # at the third, fifth and seventh
        ("1010101", (3, 3), 0),
        ("1110111", (3, 3), 2),
        ("1110111", (3, 5), 1),
        ("1010001", (1, 1), 3),
        ("0000000", (1, 1), 0),
        ("1111111", (3, 5), 1),
    ],
)
def test_events_by_hand(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path, alarms: str, vote: tuple[int, int], events: int
) -> None:
    found = scored(monkeypatch, tiny, tmp_path, alarms, [7 * TINY_WINDOW], vote)
    assert found["events"] == events
    assert found["alarms"] == pytest.approx(alarms.count("1") / 7)
    assert found["hours"] == pytest.approx(7 * TINY_WINDOW / 200 / 3600)
    assert found["record"]["events_per_hour"] == {"normal": pytest.approx(events / found["hours"])}
    assert found["record"]["vote"] == list(vote)


@pytest.mark.parametrize(
    ("alarms", "lengths", "events"),
    [
        ("011110", [3, 3], 2),  # a gap in the middle: two of three on either side
        ("001100", [3, 3], 0),  # and none where the two alarms lie apart
        ("001100", [6], 1),
        ("111111", [2, 2, 2], 3),
    ],
)
def test_no_event_reaches_over_a_gap(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path, alarms: str, lengths: list[int], events: int
) -> None:
    """With windows side by side a gap cannot be told by the distance of the windows."""
    found = scored(monkeypatch, tiny, tmp_path, alarms, [TINY_WINDOW * part for part in lengths], (2, 3))
    assert found["events"] == events
    assert found["hours"] == pytest.approx(6 * TINY_WINDOW / 200 / 3600)


@pytest.mark.parametrize(
    ("hop", "alarms", "lengths", "vote", "windows", "told"),
    [
        (64, "0110100", [7], (2, 3), [3], 1),  # the vote holds with the third window
        (64, "1010001", [7], (1, 1), [1], 1),
        (64, "0000011", [7], (2, 2), [7], 1),
        (64, "0000000", [7], (1, 1), [], 0),
        (64, "1000001", [7], (2, 3), [], 0),
        (64, "011011", [3, 3], (2, 3), [3, 3], 2),  # each from its own beginning
        (64, "110001", [3, 3], (2, 3), [2], 1),  # the second stretch has no event
        (64, "1100000", [7], (2, 3), [2], 1),
        (64, "11", [1, 1], (2, 2), [], 0),  # too short for a vote
        # Every second window shares no samples: the first, third, fifth vote, and the second, fourth, sixth.
        (32, "0110100", [7], (2, 3), [5], 1),
        (32, "1010001", [7], (1, 1), [1], 1),
        (32, "0000011", [7], (2, 2), [], 0),
        (32, "0000101", [7], (2, 2), [7], 1),
        (32, "1100000", [7], (2, 3), [], 0),
        (32, "1000001", [7], (2, 4), [7], 1),
        (32, "010111010", [5, 4], (2, 3), [4, 3], 2),
        (32, "11", [2], (2, 2), [], 0),  # too short for a vote
    ],
)
def test_delays_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Tiny,
    tmp_path: Path,
    hop: int,
    alarms: str,
    lengths: list[int],
    vote: tuple[int, int],
    windows: list[int],
    told: int,
) -> None:
    """A window lasts 0.32 s; the n-th ends n - 1 hops after the first. The mean is over stretches with an event."""
    rows = [TINY_WINDOW + (length - 1) * hop for length in lengths]
    found = scored(monkeypatch, tiny, tmp_path, alarms, rows, vote, hop=hop, kind="fault")
    ends = [(TINY_WINDOW + (number - 1) * hop) / 200 for number in windows]
    assert found["delay_s"] == (pytest.approx(np.mean(ends)) if ends else None)
    assert (found["stretches"], found["told"]) == (len(lengths), told)
    assert found["told_s"] == {"fault": found["delay_s"]}


def test_normal_motion_has_no_delay(monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path) -> None:
    found = scored(monkeypatch, tiny, tmp_path, "1111111", [7 * TINY_WINDOW], (1, 1))
    assert found["events"] == 1
    assert found["delay_s"] is None
    assert found["told_s"] == {}


def test_stretches_too_short_for_a_vote_have_no_rate_of_events(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path
) -> None:
    found = scored(monkeypatch, tiny, tmp_path, "00", [TINY_WINDOW] * 2, (2, 2))
    assert found["votable"] is False
    assert found["record"]["events_per_hour"] == {"normal": None}


@pytest.mark.parametrize(
    ("alarms", "events", "delay"), [("1111", 1, 3 * TINY_WINDOW / 200), ("1101", 1, 0.64 * 2), ("0110", 0, None)]
)
def test_an_event_needs_its_alarms_and_no_more_windows(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path, alarms: str, events: int, delay: float | None
) -> None:
    """As on the device, which does not wait for five windows where three of them are alarms."""
    found = scored(monkeypatch, tiny, tmp_path, alarms, [4 * TINY_WINDOW], (3, 5), kind="fault")
    assert (found["votable"], found["events"]) == (True, events)
    assert found["record"]["events_per_hour"]["fault"] == pytest.approx(events / found["hours"])
    assert found["delay_s"] == (None if delay is None else pytest.approx(delay))


def grouped(alarms: str, lengths: list[int], vote: tuple[int, int], hop: int = 64) -> Group:
    """What is counted of windows of 64 samples at 200 Hz, in stretches of so many."""
    calibration = SimpleNamespace(vote_alarms=vote[0], vote_windows=vote[1])
    bundle = cast(Bundle, SimpleNamespace(calibration=calibration, spec=SimpleNamespace(window=64, rate_hz=200.0)))
    scores = np.array([float(alarm) for alarm in alarms])
    return group_of(scores, np.repeat(np.arange(len(lengths)), lengths), bundle, hop, abnormal=True)


@pytest.mark.parametrize(
    ("hop", "alarms", "lengths", "vote", "silent"),
    [
        (64, "00", [2], (2, 3), 0),  # an event could have begun, but a vote looks back on three windows
        (64, "000", [3], (2, 3), 1),
        (64, "110", [3], (2, 3), 0),
        (64, "000110000", [3, 3, 3], (2, 3), 2),
        (64, "0001100", [3, 3, 1], (2, 3), 1),
        (32, "0000", [4], (2, 3), 0),  # every second window shares no samples: the fifth is the third of them
        (32, "00000", [5], (2, 3), 1),
    ],
)
def test_stretches_without_an_event_by_hand(
    hop: int, alarms: str, lengths: list[int], vote: tuple[int, int], silent: int
) -> None:
    assert grouped(alarms, lengths, vote, hop).silent == silent


@pytest.mark.parametrize(
    ("hop", "lengths", "samples"),
    [(64, [4], 256), (32, [4], 64 + 3 * 32), (32, [2, 2], 2 * (64 + 32)), (16, [1, 3], 64 + 64 + 2 * 16)],
)
def test_the_time_of_windows_that_overlap_counts_once(hop: int, lengths: list[int], samples: int) -> None:
    assert grouped("0000", lengths, (1, 1), hop).hours == pytest.approx(samples / 200 / 3600)


@pytest.mark.parametrize(
    ("hop", "lengths", "votable"),
    [(64, [2, 1], True), (64, [1, 2], True), (64, [1, 1, 1], False), (32, [2, 2], False), (32, [3, 1], True)],
)
def test_one_stretch_that_is_long_enough_for_an_event_will_do(hop: int, lengths: list[int], votable: bool) -> None:
    """It takes two alarms among three windows."""
    found = grouped("0" * sum(lengths), lengths, (2, 3), hop)
    assert found.votable is votable
    assert found.events_per_hour == (0.0 if votable else None)


def test_a_stretch_with_two_events_is_told_once() -> None:
    found = grouped("110011000", [6, 3], (2, 2))
    assert (found.windows, found.events, found.stretches, found.told, found.silent) == (9, 2, 2, 1, 1)
    assert found.alarms == pytest.approx(4 / 9)
    assert found.delay_s == pytest.approx(2 * 0.32)
    assert found.abnormal


def test_the_dictionary_by_hand() -> None:
    """Every figure under its own name."""
    groups = {
        "normal": Group(windows=100, alarms=0.02, events=3, hours=0.5, votable=True),
        "off": Group(10, 0.9, 1, 0.25, True, delay_s=0.96, stretches=4, told=2, silent=1, abnormal=True),
        "worn": Group(20, 0.5, 0, 0.1, False, stretches=3, abnormal=True),
        "loose": Group(30, 0.1, 2, 0.2, True, delay_s=1.5, stretches=5, told=1, silent=3, abnormal=True),
    }
    found = Evaluation(
        auroc={"off": 1.0, "worn": 0.9, "loose": 0.5},
        groups=groups,
        baseline_auroc={"off": 0.8, "worn": 0.7, "loose": 0.6},
        baseline_alarms={"normal": 0.01, "off": 0.4, "worn": 0.3, "loose": 0.2},
        false_alarm_rate=0.02,
        requested_false_alarm_rate=0.01,
        vote=(3, 5),
        hop=32,
        kernels="one",
        threshold_kernels="other",
        precision="third",
        learnt={"normal": 0.25, "off": 0.0, "worn": 0.0, "loose": 0.0},
        division=("The division.",),
        odd_units=("The units.",),
    )
    told = found.to_dict()
    assert told.pop("notes") == ["The division.", *found.notes[1:-1], "The units."]
    assert len(found.notes) == 3
    assert found.notes[1].startswith("normal: ")
    assert told == {
        "auroc": {"off": 1.0, "worn": 0.9, "loose": 0.5},
        "auroc_mean": pytest.approx(0.8),
        "auroc_min": 0.5,
        "false_alarm_rate": 0.02,
        "requested_false_alarm_rate": 0.01,
        "alarm_rate": {"normal": 0.02, "off": 0.9, "worn": 0.5, "loose": 0.1},
        "events_per_hour": {"normal": 6.0, "off": 4.0, "worn": None, "loose": pytest.approx(10.0)},
        "delay_s": {"off": 0.96, "worn": None, "loose": 1.5},
        "told": {"off": 2, "worn": 0, "loose": 1},
        "stretches": {"off": 4, "worn": 3, "loose": 5},
        "windows": {"normal": 100, "off": 10, "worn": 20, "loose": 30},
        "baseline": {
            "name": "mahalanobis",
            "auroc": {"off": 0.8, "worn": 0.7, "loose": 0.6},
            "alarm_rate": {"normal": 0.01, "off": 0.4, "worn": 0.3, "loose": 0.2},
        },
        "vote": [3, 5],
        "hop": 32,
        "learnt": {"normal": 0.25, "off": 0.0, "worn": 0.0, "loose": 0.0},
        "runtime": "one",
        "threshold_runtime": "other",
        "precision": "third",
        "compare": None,
        "threshold": None,
        "trust": None,
        "voting": None,
    }


# --- a whole evaluation ----------------------------------------------------------------------------------------


def test_an_evaluation_says_what_the_detector_says(tiny: Tiny, result: Evaluation) -> None:
    spec = tiny.dataset.spec
    scores, features = {}, {}
    for kind, recording in (("normal", NORMAL), ("off", OFF), ("imbalance", IMBALANCE)):
        windows, _ = cut([recording], window=TINY_WINDOW, hop=TINY_WINDOW // 2, lsb=spec.lsb)
        scores[kind] = Detector(tiny.bundle).score_windows(windows).score
        features[kind] = log_band_energies(windows)
        assert result.groups[kind].windows == len(windows) == (len(recording) - 64) // 32 + 1
        assert result.groups[kind].alarms == (scores[kind] >= 1).mean()
    classical = load_baseline(tiny.run)
    assert classical is not None
    assert result.baseline_auroc is not None
    for kind in ("off", "imbalance"):
        labels = [0] * len(scores["normal"]) + [1] * len(scores[kind])
        assert result.auroc[kind] == pytest.approx(roc_auc_score(labels, [*scores["normal"], *scores[kind]]))
        distances = [*classical.distance(features["normal"]), *classical.distance(features[kind])]
        assert result.baseline_auroc[kind] == pytest.approx(roc_auc_score(labels, distances))
    assert result.false_alarm_rate == result.groups["normal"].alarms
    assert result.requested_false_alarm_rate == 0.01


def test_the_baselines_alarms_are_those_at_its_threshold(tiny: Tiny, result: Evaluation) -> None:
    classical = load_baseline(tiny.run)
    assert classical is not None
    shares = {}
    for kind, recording in (("normal", NORMAL), ("off", OFF), ("imbalance", IMBALANCE)):
        windows, _ = cut([recording], window=TINY_WINDOW, hop=TINY_WINDOW // 2, lsb=tiny.dataset.spec.lsb)
        shares[kind] = (classical.distance(log_band_energies(windows)) >= classical.threshold).mean()
    assert result.baseline_alarms == pytest.approx(shares)
    assert shares["off"] > 0.9 > 0.5 > shares["normal"]


def test_it_tells_what_set_the_threshold(tiny: Tiny, result: Evaluation) -> None:
    assert result.threshold_kernels == tiny.bundle.metrics["runtime"] == best()
    assert result.precision == "int8"


def test_plain_faults_are_found(result: Evaluation) -> None:
    """Even three epochs on a minute of motion tell a machine that stands still, and a bad imbalance."""
    assert result.auroc["off"] > 0.99
    assert result.auroc["imbalance"] > 0.9
    assert result.false_alarm_rate < 0.3  # a minute shows few of the ways from one speed to the other


def test_the_dictionary_is_json(result: Evaluation) -> None:
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["auroc"] == result.auroc
    assert list(told["auroc"]) == ["off", "imbalance"]
    assert told["auroc_mean"] == pytest.approx(sum(result.auroc.values()) / 2)
    assert told["auroc_min"] == min(result.auroc.values())
    assert told["baseline"]["name"] == "mahalanobis"
    assert told["baseline"]["auroc"].keys() == {"off", "imbalance"}
    for name in ("alarm_rate", "events_per_hour", "windows"):
        assert told[name].keys() == {"normal", "off", "imbalance"}
    assert told["delay_s"].keys() == {"off", "imbalance"}
    assert told["delay_s"]["off"] == pytest.approx(3 * 64 / 200), "off from the start: with three windows side by side"
    assert (told["hop"], told["vote"], told["runtime"]) == (32, [3, 5], best())


def test_it_passes_on_what_the_calibration_found_out(tiny: Tiny, copy: Path, result: Evaluation) -> None:
    told, metrics = result.to_dict(), tiny.bundle.metrics
    assert (told["threshold"], told["trust"], told["voting"]) == tuple(
        metrics[name] for name in ("threshold", "trust", "vote")
    )
    assert not told["trust"]["promised"], "a minute is little"
    dataclasses.replace(tiny.bundle, metrics={}).save(copy / BUNDLE)
    bare = evaluate(copy, normal=[NORMAL]).to_dict()
    assert (bare["threshold"], bare["trust"], bare["voting"]) == (None, None, None)


def test_an_error_names_the_kind(tiny: Tiny) -> None:
    with pytest.raises(GyrovaeError, match=r"^slow: still was recorded at another rate"):
        evaluate(tiny.run, normal=[NORMAL], anomalies={"slow": [dataclasses.replace(still([200]), rate_hz=100.0)]})
    with pytest.raises(GyrovaeError, match=r"^short: "):
        evaluate(tiny.run, normal=[NORMAL], anomalies={"short": [still([TINY_WINDOW - 1])]})


def test_normal_motion_alone(tiny: Tiny) -> None:
    told = evaluate(tiny.run, normal=[NORMAL]).to_dict()
    assert (told["auroc"], told["auroc_mean"], told["auroc_min"]) == ({}, None, None)


def test_the_run_its_path_and_its_bundle_say_the_same(tiny: Tiny, result: Evaluation) -> None:
    for run in (tiny.run.path, str(tiny.run.path), tiny.run.path / BUNDLE):
        assert evaluate(run, normal=[NORMAL], anomalies={"off": [OFF], "imbalance": [IMBALANCE]}) == result


def test_a_bundle_alone_has_no_baseline(tiny: Tiny, tmp_path: Path, result: Evaluation) -> None:
    alone = shutil.copytree(tiny.run.path / BUNDLE, tmp_path / "alone.gyrovae")
    found = evaluate(alone, normal=[NORMAL], anomalies={"off": [OFF], "imbalance": [IMBALANCE]})
    assert found == dataclasses.replace(result, baseline_auroc=None, baseline_alarms=None, learnt=None)
    assert found.to_dict()["baseline"] is None


def test_recordings_may_be_files_and_several(tiny: Tiny, tmp_path: Path, result: Evaluation) -> None:
    for name, recording in (("normal", NORMAL), ("off", OFF)):
        recording.write(tmp_path / f"{name}.csv")
    seen: list[tuple[int, int, str]] = []
    found = evaluate(
        tiny.run,
        normal=[tmp_path / "normal.csv"],
        anomalies={"both": [tmp_path / "off.csv", IMBALANCE]},
        progress=lambda *words: seen.append(words),
    )
    assert found.groups["normal"] == result.groups["normal"]
    both = found.groups["both"]
    assert both.windows == result.groups["off"].windows + result.groups["imbalance"].windows
    assert {what for _, _, what in seen} == {"normal (1 of 2)", "both (2 of 2)"}
    assert all(0 < done <= total for done, total, _ in seen)


def test_the_hop(tiny: Tiny) -> None:
    assert evaluate(tiny.run, normal=[NORMAL], hop=64).groups["normal"].windows == 4000 // 64
    assert evaluate(tiny.run, normal=[NORMAL], hop=1000).groups["normal"].windows == 4


# --- it runs the .tflite ---------------------------------------------------------------------------------------


def test_nothing_of_keras_is_needed(copy: Path, result: Evaluation) -> None:
    for name in ("model.keras", "state.npz", "log.csv", "run.json"):
        (copy / name).unlink()
    shutil.rmtree(copy.parent / "dataset")
    assert evaluate(copy, normal=[NORMAL], anomalies={"off": [OFF], "imbalance": [IMBALANCE]}) == result


def test_another_tflite_gives_other_scores(tiny: Tiny, copy: Path) -> None:
    """Weights of the .tflite replaced by others (with the manifest to match): the figures follow."""
    model, rng = tiny.bundle.model, np.random.default_rng(0)
    for old in weights(tiny):
        model = model.replace(old, rng.bytes(len(old)))
    changed = dataclasses.replace(tiny.bundle, model=model)
    changed.save(copy / BUNDLE)
    assert Bundle.load(copy).model_sha256 != tiny.bundle.model_sha256
    windows, _ = cut([NORMAL], window=TINY_WINDOW, hop=TINY_WINDOW, lsb=tiny.dataset.spec.lsb)
    found, before = Detector(copy).score_windows(windows), Detector(tiny.bundle).score_windows(windows)
    assert found.score.tolist() != before.score.tolist()
    # Motion that is normal, too: there the order of windows, and so the AUROC, hangs on the least difference.
    alike = {"alike": [simulate(TINY_MACHINE, seconds=60, seed=5)]}
    other, own = (evaluate(run, normal=[NORMAL], anomalies=alike).auroc for run in (copy, tiny.run))
    assert other != own


def weights(tiny: Tiny) -> list[bytes]:
    """The int8 weights of the .tflite, as they stand in it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tiny.bundle.model)
    found = []
    for detail in interpreter.get_tensor_details():
        try:
            content = interpreter.get_tensor(detail["index"]).tobytes()
        except ValueError:  # an activation
            continue
        if detail["dtype"] == np.int8 and len(content) >= 256 and tiny.bundle.model.count(content) == 1:
            found.append(content)
    assert len(found) >= 6
    return found


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "missing"])
def test_a_damaged_tflite(copy: Path, damage: str) -> None:
    path = copy / BUNDLE / "model_int8.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-100], "flipped": content, "emptied": b""}[damage])
    with pytest.raises(GyrovaeError, match=r"model_int8.tflite"):
        evaluate(copy, normal=[NORMAL])


def test_a_damaged_baseline(copy: Path) -> None:
    (copy / "baseline.npz").write_bytes(b"nothing")
    with pytest.raises(GyrovaeError, match=r"baseline.npz is damaged"):
        evaluate(copy, normal=[NORMAL])


# --- recordings that were trained on ---------------------------------------------------------------------------

LEARNT = simulate(TINY_MACHINE, seconds=60, seed=1)  # as in conftest


def part_of(recording: Recording, first: int, last: int) -> Recording:
    return Recording(recording.samples[first:last], recording.rate_hz, ((0, last - first),), "part", lsb=recording.lsb)


@pytest.mark.parametrize("first", [0, 1, 5, 16, 31])
def test_motion_that_was_learnt_is_known_wherever_it_is_cut(tiny: Tiny, first: int) -> None:
    """By what it is, not by the name of its file; also what was held back, which set the threshold."""
    found = evaluate(tiny.run, normal=[part_of(LEARNT, first, 4000)], anomalies={"off": [OFF]})
    assert found.learnt is not None
    assert 0.6 < found.learnt["normal"] <= 1
    assert found.learnt["off"] == 0
    assert len(found.notes) == 1
    assert found.to_dict()["learnt"] == found.learnt


def test_motion_that_was_learnt_as_normal_is_no_anomaly(tiny: Tiny) -> None:
    found = evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [LEARNT]})
    assert [text.partition(":")[0] for text in found.notes] == ["off"]


def test_other_recordings_of_the_same_machine_were_not_learnt(result: Evaluation) -> None:
    assert result.learnt == {"normal": 0.0, "off": 0.0, "imbalance": 0.0}
    assert result.notes == ()


def test_recordings_that_may_be_in_g_are_told(tiny: Tiny, result: Evaluation) -> None:
    light = dataclasses.replace(OFF, samples=OFF.samples / 9.80665, lsb=None)
    found = evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [light]})
    (told,) = found.notes
    assert told.startswith(
        "The mean acceleration in 1 of 2 kinds of motion (off) is 1.00 m/s^2, as gravity is in g. If"
    )
    assert found.to_dict()["notes"] == [told]
    assert result.to_dict()["notes"] == []


def test_recordings_that_do_not_fit_the_counts_are_told(tiny: Tiny) -> None:
    """Counts of a sensor of 16384 to 1 g, taken for m/s^2: in int16 counts of the detector nothing is left of them."""
    counts = dataclasses.replace(NORMAL, samples=np.round(NORMAL.samples * 16384 / 9.80665), lsb=None)
    found = evaluate(tiny.run, normal=[counts], anomalies={"off": [OFF]})
    (told,) = found.notes
    assert told.startswith("The mean of 1 of 2 kinds of motion (normal) lies beyond ")
    assert "m/s^2, where the counts of this detector" in told
    assert found.groups["normal"].alarms == 1.0


def test_a_folder_with_anomalies_is_no_normal_motion(tiny: Tiny, tmp_path: Path) -> None:
    for name in ("normal", "anomaly/off"):
        NORMAL.write(tmp_path / name / "a.csv")
    with pytest.raises(GyrovaeError, match=r"holds recordings of anomalies .*\nGive .*normal, or, where"):
        evaluate(tiny.run, normal=[tmp_path])
    assert evaluate(tiny.run, normal=[tmp_path / "normal"]).groups["normal"].windows > 0


def test_a_bundle_alone_does_not_know_what_was_learnt(tiny: Tiny, tmp_path: Path) -> None:
    alone = tiny.bundle.save(tmp_path / "alone.gyrovae")
    found = evaluate(alone, normal=[LEARNT])
    assert found.learnt is None
    assert found.notes == ()


def test_what_was_learnt_is_damaged(copy: Path) -> None:
    (copy / "learnt.npz").write_bytes(b"nothing")
    with pytest.raises(GyrovaeError, match=r"learnt.npz is damaged.*\nTrain the run again"):
        evaluate(copy, normal=[NORMAL])


# --- refusals --------------------------------------------------------------------------------------------------

SLOW = dataclasses.replace(NORMAL, rate_hz=100.0, source="slow.csv")
TURNS = dataclasses.replace(NORMAL, units="rad/s", source="turns.csv")
SHORT = Recording(NORMAL.samples[:63], 200.0, ((0, 63),), "short.csv")
UNKNOWN = dataclasses.replace(NORMAL, rate_hz=None, source="unknown.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "no normal recordings to evaluate on"),
        ({"anomalies": {"off": [OFF]}}, "no normal recordings to evaluate on"),
        ({"normal": [NORMAL], "anomalies": {"normal": [OFF]}}, 'a kind of anomaly cannot be called "normal"'),
        ({"normal": [NORMAL], "anomalies": {"off": []}}, "no recordings"),
        ({"normal": [SLOW]}, "slow.csv was recorded at another rate .* expected 200 Hz, received 100 Hz"),
        ({"normal": [NORMAL], "anomalies": {"off": [SLOW]}}, "slow.csv was recorded at another rate"),
        ({"normal": [TURNS]}, "turns.csv is in other units .* expected m/s.2, received rad/s"),
        ({"normal": [NORMAL], "anomalies": {"off": [TURNS]}}, "turns.csv is in other units"),
        ({"normal": [UNKNOWN]}, "unknown.csv: nothing says its sample rate"),
        ({"normal": [SHORT]}, "normal: too few samples for one window of 64; expected .* received 63"),
        ({"normal": [NORMAL], "anomalies": {"worn": [SHORT]}}, "worn: too few samples for one window of 64"),
        ({"normal": [NORMAL], "hop": 0}, "the hop is not usable"),
        ({"normal": [NORMAL], "hop": 1.5}, "the hop is not usable"),
        ({"normal": ["no-such.csv"]}, "cannot read no-such.csv: no such file"),
        ({"normal": [NORMAL], "dataset": "somewhere"}, "give either a dataset or recordings"),
        ({"dataset": "no-such-folder"}, "there is no no-such-folder"),
    ],
)
def test_a_refusal(tiny: Tiny, words: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        evaluate(tiny.run, **words)


def test_a_rate_within_two_percent_is_the_same(tiny: Tiny) -> None:
    near = dataclasses.replace(NORMAL, rate_hz=203.9)
    assert evaluate(tiny.run, normal=[near]).groups["normal"].windows > 0
    assert evaluate(tiny.run, normal=[UNKNOWN], rate_hz=200.0).groups["normal"].windows > 0
    with pytest.raises(GyrovaeError, match="another rate"):
        evaluate(tiny.run, normal=[dataclasses.replace(NORMAL, rate_hz=204.1)])


def test_a_run_that_was_not_quantised(copy: Path) -> None:
    shutil.rmtree(copy / BUNDLE)
    with pytest.raises(GyrovaeError, match="holds no quantised model"):
        evaluate(copy, normal=[NORMAL])
    with pytest.raises(GyrovaeError, match="there is no"):
        evaluate(copy / "missing", normal=[NORMAL])


# --- datasets of recordings ------------------------------------------------------------------------------------


@pytest.fixture
def fan(tmp_path: Path) -> Path:
    """A folder in the layout of the real recordings."""
    folder = tmp_path / "fan"
    for name, recording in (
        ("normal/train.csv", NORMAL),
        ("normal/test.csv", NORMAL),
        ("anomaly/off/b.csv", OFF),
        ("anomaly/off/a.csv", OFF),
        ("anomaly/imbalance/a.csv", IMBALANCE),
    ):
        recording.write(folder / name)
    (folder / "anomaly" / "notes.txt").write_text("not a kind")
    split = {"normal_train": ["train.csv"], "normal_test": ["test.csv"]}
    (folder / "meta.json").write_text(json.dumps({"sample_rate_hz": 200, "split": split}))
    return folder


def test_a_dataset_of_recordings(tiny: Tiny, fan: Path, result: Evaluation) -> None:
    files, meta = training_part(fan)
    assert files == [fan / "normal" / "train.csv"]
    assert meta["sample_rate_hz"] == 200
    normal, anomalies, notes = to_test_on([], {}, fan)
    assert normal == [fan / "normal" / "test.csv"]
    assert anomalies == {
        "imbalance": [fan / "anomaly" / "imbalance" / "a.csv"],
        "off": [fan / "anomaly" / "off" / "a.csv", fan / "anomaly" / "off" / "b.csv"],
    }
    assert notes == ()
    found = evaluate(tiny.run, dataset=fan)
    assert found.auroc == pytest.approx(result.auroc)
    assert found.groups["off"].windows == 2 * result.groups["off"].windows


def test_a_dataset_that_lists_one_part_only(tiny: Tiny, fan: Path) -> None:
    (fan / "meta.json").write_text('{"split": {"normal_train": ["train.csv"]}}')
    note = "meta.json lists no split.normal_test: what else there is in normal/ (1 file) is tested on."
    found = evaluate(tiny.run, dataset=fan)
    assert found.groups["normal"].windows > 0
    assert note in found.notes


def test_what_of_a_dataset_counts_nowhere_is_told(tiny: Tiny, fan: Path) -> None:
    (fan / "anomaly" / "worn").mkdir()
    few = TINY_WINDOW - 1
    short = dataclasses.replace(OFF, samples=OFF.samples[:few], segments=((0, few),))
    short.write(fan / "anomaly" / "off" / "c.csv")
    found = evaluate(tiny.run, dataset=fan)
    assert set(found.auroc) == {"imbalance", "off"}
    assert found.notes[:2] == (
        "anomaly/worn: left out, as it holds no recordings.",
        "off: 1 recording (c.csv) with no stretch as long as a window: left out.",
    )
    for kind in ("imbalance", "off"):
        shutil.rmtree(fan / "anomaly" / kind)
    with pytest.raises(GyrovaeError, match="anomaly holds no recordings of worn; expected anomaly/<kind>/"):
        evaluate(tiny.run, dataset=fan)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{", "meta.json is not JSON"),
        ("[]", "does not hold a JSON object"),
        ('{"split": []}', r"does not list its split.normal_train"),
        ('{"split": {"normal_test": []}}', r"does not list its split.normal_test"),
        ('{"split": {"normal_test": "test.csv"}}', r"does not list its split.normal_test"),
        ('{"split": {"normal_test": [3]}}', r"does not list its split.normal_test"),
        ('{"split": {"normal_test": ["gone.csv"]}}', r"cannot read .*gone.csv: no such file"),
    ],
)
def test_a_broken_meta(tiny: Tiny, fan: Path, meta: str, message: str) -> None:
    (fan / "meta.json").write_text(meta)
    with pytest.raises(GyrovaeError, match=message):
        evaluate(tiny.run, dataset=fan)


def test_a_broken_layout(tiny: Tiny, fan: Path) -> None:
    (fan / "anomaly" / "normal").mkdir()
    OFF.write(fan / "anomaly" / "normal" / "a.csv")
    with pytest.raises(GyrovaeError, match='cannot be called "normal"'):
        evaluate(tiny.run, dataset=fan)
    shutil.rmtree(fan / "anomaly")
    with pytest.raises(GyrovaeError, match="anomaly holds no recordings"):
        evaluate(tiny.run, dataset=fan)
    (fan / "meta.json").unlink()
    with pytest.raises(GyrovaeError, match=r"is not a dataset of recordings; expected a folder with meta.json"):
        evaluate(tiny.run, dataset=fan)
