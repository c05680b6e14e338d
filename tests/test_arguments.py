"""What the public functions take as numbers, switches and objects, and how they refuse the rest."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TINY_MACHINE, Tiny

import gyrovae_tf as gt
from gyrovae_tf.arguments import instance, number, path_of, switch, told, whole
from gyrovae_tf.learn.asked import check_asked
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.spec import check_window
from gyrovae_tf.workers import check_jobs

NORMAL = gt.simulate(TINY_MACHINE, seconds=60, seed=1)


# --- the helpers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.int64(3)])
def test_a_whole_number_becomes_pythons(value: Any) -> None:
    assert type(whole(value, "no", 3, 3)) is int
    assert type(number(value, "no", "3", lambda found: found == 3)) is int


@pytest.mark.parametrize("value", [0.5, np.float16(0.5), np.float32(0.5), np.float64(0.5), np.longdouble(0.5)])
def test_a_number_becomes_pythons(value: Any) -> None:
    assert type(number(value, "no", "0.5", lambda found: found == 0.5)) is float


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("3", "'3' (text)"),
        (None, "None"),
        (True, "True (bool)"),
        ([3], "[3] (list)"),
        (3j, "3j (complex)"),
        (Decimal(3), "Decimal('3') (Decimal)"),
        (Fraction(3), "Fraction(3, 1) (Fraction)"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_what_is_no_number_is_told(value: Any, shown: str) -> None:
    for refused in (
        lambda: whole(value, "the hop is not usable", 1),
        lambda: number(value, "the hop is not usable", "a whole number", lambda found: found > 0),
    ):
        with pytest.raises(gt.GyrovaeError) as found:
            refused()
        assert str(found.value) == f"the hop is not usable; expected a whole number, received {shown}"


def test_numbers_out_of_range_are_told() -> None:
    for least, most, message in ((4, None, "at least 4, received 3"), (1, 2, "at most 2, received 3")):
        with pytest.raises(gt.GyrovaeError, match=f"no; expected {message}"):
            whole(3, "no", least, most)
    for huge in (10**400, 10**5000):  # a float holds neither, and Python does not write the second
        with pytest.raises(gt.GyrovaeError, match="no; expected above 0, received"):
            number(huge, "no", "above 0", lambda found: found > 0)
        with pytest.raises(gt.GyrovaeError, match="no; expected at most 5, received"):
            whole(huge, "no", 0, 5)


def test_a_switch_is_true_or_false() -> None:
    assert switch(True, "no") is True
    assert switch(np.bool_(False), "no") is False
    for value, shown in (("no", r"'no' \(text\)"), (0, "0"), (None, "None")):
        with pytest.raises(gt.GyrovaeError, match=f"tilt is not usable; expected True or False, received {shown}"):
            switch(value, "tilt is not usable")


def test_an_object_is_of_its_class() -> None:
    options = gt.Options()
    assert instance(options, "no", gt.Options) is options
    with pytest.raises(gt.GyrovaeError, match=r"no; expected a gyrovae_tf.Options, received {'epochs': 1} \(dict\)"):
        instance({"epochs": 1}, "no", gt.Options)


def test_an_array_is_told_by_its_form() -> None:
    assert told(np.zeros((5, 3), np.int16)) == "ndarray of int16 [5, 3]"
    assert told(np.float32(0.5)).endswith("(float32)")


def test_a_path_is_a_text_or_names_itself() -> None:
    assert path_of("a/b", "no") == path_of(Path("a/b"), "no") == Path("a/b")
    with pytest.raises(gt.GyrovaeError, match="no; expected a path, received 5"):
        path_of(5, "no")


RECORDING = gt.Recording(np.arange(30.0).reshape(10, 3), 100.0, ((0, 10),), "a")


@pytest.mark.parametrize(
    ("take", "begin"),
    [
        (lambda bundle: gt.quantize(bundle), "this is no run; expected a gyrovae_tf.Run, or the path of its folder"),
        (lambda bundle: gt.export(bundle), "this is no run; "),
        (lambda bundle: gt.report(bundle, "r.html"), "this is no run; "),
        (lambda _: gt.Run.load(None), "this is no run; "),  # type: ignore[arg-type]
        (lambda _: gt.train(RECORDING, "run"), "this is no dataset; expected a gyrovae_tf.Dataset, or the path"),
        (lambda _: gt.Dataset.load(None), "this is no dataset; "),  # type: ignore[arg-type]
        (lambda bundle: gt.Detector(bundle.model), "this is no bundle; expected a gyrovae_tf.Bundle, or the path of"),
        (lambda _: gt.emit_header(None), "this is no bundle; "),  # type: ignore[arg-type]
        (lambda _: gt.Stream.open(RECORDING), "this is no file; expected a recording's path or URL"),
        (lambda _: gt.Stream.of(5), "this is no recording; expected a gyrovae_tf.Recording, received 5"),  # type: ignore[arg-type]
        (lambda _: gt.Recording.read(None), "this is no file; "),  # type: ignore[arg-type]
        (lambda _: gt.Spec.from_json(None), "the spec is not JSON: "),  # type: ignore[arg-type]
        (lambda _: gt.fleet(None, "out"), "this is no table; "),  # type: ignore[arg-type]
        (lambda _: gt.collect(None, "a.csv"), "this is no port; "),  # type: ignore[arg-type]
        (lambda _: dataclasses.replace(RECORDING, source=None), "source is not usable; "),
        (
            lambda bundle: dataclasses.replace(bundle, metrics={"a": np.float32(1)}).save("kept.gyrovae"),
            "manifest.json cannot be written: ",
        ),
    ],
)
def test_another_kind_of_object_is_refused(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take: Callable[..., object], begin: str
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(take, tiny.bundle)
    assert message.startswith(begin)
    assert len(message) < 300
    assert list(tmp_path.iterdir()) == []


def test_a_data_frame_is_no_recording_yet() -> None:
    frame = pd.DataFrame({"x": [1.0], "y": [2.0], "z": [3.0]})
    assert r"received DataFrame [1, 3]" in refused(gt.preprocess, frame)


# --- switches ----------------------------------------------------------------------------------------------------


def refused(take: Callable[..., object], *given: Any, **words: Any) -> str:
    """What a call is refused with."""
    with pytest.raises(gt.GyrovaeError) as found:
        take(*given, **words)
    return str(found.value)


SWITCHES = [
    (gt.preprocess, "resume"),
    (gt.train, "resume"),
    (gt.train, "overwrite"),
    (gt.fleet, "resume"),
    (gt.fleet, "overwrite"),
    (gt.fleet, "tilt"),
    (gt.fleet, "reports"),
    (gt.fleet, "keep_datasets"),
    (gt.collect, "append"),
    (gt.collect, "overwrite"),
    (gt.collect, "accept_anyway"),
]


@pytest.mark.parametrize(("take", "name"), SWITCHES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("value", ["no", None, 1])
def test_no_text_is_a_switch(tmp_path: Path, take: Callable[..., object], name: str, value: Any) -> None:
    """The text "no" would be true: what it was to keep would be replaced."""
    kept = tmp_path / "kept"
    kept.write_text("kept")
    assert refused(take, "nothing", kept, **{name: value}).startswith(f"{name} is not usable; expected True or False,")
    assert kept.read_text() == "kept"


def test_no_text_is_a_switch_of_a_detector(tiny: Tiny, tmp_path: Path) -> None:
    for take, name in (
        (lambda **words: gt.emit_header(tiny.bundle, **words), "golden"),
        (lambda **words: gt.evaluate(tiny.bundle, normal=[NORMAL], **words), "compare"),
        (lambda **words: gt.score_recordings(tiny.bundle, ["a.csv"], tmp_path / "s.csv", **words), "resume"),
    ):
        for value in ("yes", None):
            message = refused(take, **{name: value})
            assert message.startswith(f"{name} is not usable; expected True or False, received {told(value)}")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_gone_on_with_or_replaced(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    before = (run / "run.json").read_bytes()
    message = "--resume and --overwrite exclude each other"
    assert refused(gt.train, tmp_path / "dataset", run, resume=True, overwrite=True) == message
    assert (run / "run.json").read_bytes() == before
    assert refused(gt.fleet, "table.csv", tmp_path / "fleet", resume=True, overwrite=True) == message


# --- options -----------------------------------------------------------------------------------------------------


def test_options_take_numpys_numbers_and_keep_pythons() -> None:
    given = gt.Options(
        epochs=np.int64(3),  # type: ignore[arg-type]
        seed=np.uint32(7),  # type: ignore[arg-type]
        learning_rate=np.float32(0.5),  # type: ignore[arg-type]
        free_nats=np.int64(0),  # type: ignore[arg-type]
    )
    assert given == gt.Options(epochs=3, seed=7, learning_rate=0.5, free_nats=0)
    types = {name: type(value) for name, value in dataclasses.asdict(given).items()}
    assert types == {
        "epochs": int,
        "batch": int,
        "learning_rate": float,
        "beta": float,
        "warm_up_steps": int,
        "free_nats": int,
        "patience": int,
        "seed": int,
        "steps_per_epoch": int,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", "3", r"expected above 0, at most 1, received '3' \(text\)"),
        ("learning_rate", None, "expected above 0, at most 1, received None"),
        ("learning_rate", [1], r"expected above 0, at most 1, received \[1\] \(list\)"),
        ("learning_rate", 1j, r"expected above 0, at most 1, received 1j \(complex\)"),
        ("learning_rate", True, r"expected above 0, at most 1, received True \(bool\)"),
        ("learning_rate", 1e300, r"expected above 0, at most 1, received 1e\+300"),
        ("learning_rate", Decimal("0.5"), "received Decimal"),
        ("beta", Fraction(1, 2), "expected above 0, at most 3.4e38, received Fraction"),
        ("beta", 1e39, r"expected above 0, at most 3.4e38, received 1e\+39"),
        ("free_nats", "0", r"expected 0 or more, at most 3.4e38, received '0' \(text\)"),
        ("warm_up_steps", 10**400, "expected at most 2147483647, received 1000"),
        ("epochs", 1 << 31, "expected at most 2147483647, received 2147483648"),
        ("steps_per_epoch", 1 << 31, "expected at most 2147483647, received 2147483648"),
        ("patience", 1 << 31, "expected at most 2147483647, received 2147483648"),
    ],
)
def test_options_refuse_what_is_no_number_or_too_much(name: str, value: Any, message: str) -> None:
    with pytest.raises(gt.GyrovaeError, match=f"{name} is not usable; .*{message}"):
        gt.Options(**{name: value})
    gt.Options(learning_rate=1, beta=3.4e38, epochs=(1 << 31) - 1, warm_up_steps=(1 << 31) - 1)


@pytest.mark.parametrize(("name", "kind"), [("options", "Options"), ("architecture", "Architecture")])
def test_train_takes_objects_of_its_classes(tiny_dataset: Dataset, tmp_path: Path, name: str, kind: str) -> None:
    for value in ({"epochs": 1}, {}, "fast"):
        with pytest.raises(
            gt.GyrovaeError, match=rf"{name} (are|is) not usable; expected a gyrovae_tf.{kind}, received"
        ):
            gt.train(tiny_dataset, tmp_path / "run", **{name: value})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


# --- preprocess --------------------------------------------------------------------------------------------------


def test_preprocess_takes_numpys_numbers(tiny_dataset: Dataset, tmp_path: Path) -> None:
    made = gt.preprocess(
        [NORMAL],
        tmp_path / "dataset",
        window=np.int64(64),  # type: ignore[arg-type]
        hop=np.int32(32),  # type: ignore[arg-type]
        validation_share=np.float32(0.25),  # type: ignore[arg-type]
        jobs=np.int64(1),  # type: ignore[arg-type]
        shard_windows=np.int64(4096),  # type: ignore[arg-type]
    )
    assert made.digest == tiny_dataset.digest
    assert gt.Dataset.load(tmp_path / "dataset").digest == tiny_dataset.digest


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("window", "256", r"a multiple of 32 samples from 64 to 1024, received '256' \(text\)"),
        ("window", 256.0, "a multiple of 32 samples from 64 to 1024, received 256.0"),
        ("hop", "64", r"the hop is not usable; expected at least 1 sample, received '64' \(text\)"),
        ("hop", True, r"the hop is not usable; expected at least 1 sample, received True \(bool\)"),
        ("lsb", "0.01", r"\(lsb\) is not usable; expected above 0, received '0.01' \(text\)"),
        ("validation_share", "a", r"expected above 0, below 1, received 'a' \(text\)"),
        ("jobs", "2", r"the number of jobs is not usable; expected a whole number, received '2' \(text\)"),
        ("shard_windows", "5", r"expected 1 to 1048576, received '5' \(text\)"),
    ],
)
def test_preprocess_refuses_texts(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(gt.GyrovaeError, match=message):
        gt.preprocess([NORMAL], tmp_path / "dataset", **{name: value})
    assert list(tmp_path.iterdir()) == []


def test_checks_give_pythons_numbers() -> None:
    assert type(check_window(np.int64(256))) is int  # type: ignore[arg-type]
    assert type(check_jobs(np.int8(2))) is int  # type: ignore[arg-type]


# --- datasets ----------------------------------------------------------------------------------------------------


def test_an_excerpt_is_of_at_least_one_window(tiny_dataset: Dataset) -> None:
    assert len(tiny_dataset.excerpt(1).train_images) + len(tiny_dataset.excerpt(1).validation_images) == 1
    assert tiny_dataset.excerpt(np.int64(10_000)) is tiny_dataset  # type: ignore[arg-type]
    for value, message in ((0, "at least 1, received 0"), (-1, "at least 1"), ("a", r"a whole number, received 'a'")):
        with pytest.raises(gt.GyrovaeError, match=f"the number of windows is not usable; expected {message}"):
            tiny_dataset.excerpt(value)  # type: ignore[arg-type]


def test_tf_data_takes_whole_numbers(tiny_dataset: Dataset) -> None:
    for words, message in (
        ({"batch": 0}, "batch is not usable; expected at least 1, received 0"),
        ({"batch": "64"}, "batch is not usable; expected a whole number, received '64'"),
        ({"seed": "a"}, "seed is not usable; expected a whole number, received 'a'"),
        ({"seed": 1 << 63}, "seed is not usable; expected at most"),
    ):
        with pytest.raises(gt.GyrovaeError, match=message):
            tiny_dataset.tf_data(**words)  # type: ignore[arg-type]
    batches = tiny_dataset.tf_data(batch=np.int64(50), seed=np.int64(-1))  # type: ignore[arg-type]
    assert next(iter(batches)).shape == (50, 2, 32, 32, 3)


# --- quantize ----------------------------------------------------------------------------------------------------


def test_a_quantisation_is_asked_for_in_pythons_numbers() -> None:
    asked = check_asked("best", np.float32(0.125), None, (np.int64(3), np.int8(5)), np.bool_(True))  # type: ignore[arg-type]
    assert asked == (0.125, None, (3, 5), True)
    assert list(map(type, (asked.false_alarm_rate, *(asked.vote or ()), asked.tilt))) == [float, int, int, bool]
    assert check_asked("ptq", None, np.int64(2), [1, 2]) == (0.01, 2, (1, 2), False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"false_alarm_rate": "0.01"},
            r"false-alarm rate is not usable; expected above 0, .* received '0.01' \(text\)",
        ),
        ({"false_alarms_per_day": "1"}, r"a day are not usable; expected above 0, received '1' \(text\)"),
        ({"false_alarms_per_day": True}, r"a day are not usable; expected above 0, received True \(bool\)"),
        ({"vote": 3}, "the vote is not usable; expected 1 <= alarms <= windows <= 8, received 3"),
        ({"vote": "35"}, r"the vote is not usable; .* received '3' \(text\)"),
        ({"tilt": "no"}, r"tilt is not usable; expected True or False, received 'no' \(text\)"),
        ({"tilt": None}, "tilt is not usable; expected True or False, received None"),
    ],
)
def test_quantize_refuses_at_once(tmp_path: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(gt.GyrovaeError, match=message):
        gt.quantize(tmp_path / "no-such-run", **words)


def test_quantize_takes_numpys_numbers(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    rate, vote = np.float32(0.125), (np.int64(2), np.int8(3))
    made = gt.quantize(run, mode="ptq", false_alarm_rate=rate, vote=vote)  # type: ignore[arg-type]
    kept = gt.Bundle.load(run).calibration
    assert kept == made.calibration
    assert (kept.false_alarm_rate, kept.vote_alarms, kept.vote_windows) == (0.125, 2, 3)


def test_a_calibration_says_what_it_cannot_take(tiny: Tiny) -> None:
    with pytest.raises(gt.GyrovaeError, match=r"threshold is not usable; expected above 0, received .*\(float32\)"):
        dataclasses.replace(tiny.bundle.calibration, threshold=np.float32(1.2))  # type: ignore[arg-type]


# --- bundles -----------------------------------------------------------------------------------------------------


def test_evaluate_takes_a_bundle_itself(tiny: Tiny) -> None:
    off = gt.simulate(TINY_MACHINE, seconds=10, seed=3, fault="off")
    by_path = gt.evaluate(tiny.run, normal=[NORMAL], anomalies={"off": [off]}, hop=32)
    found = gt.evaluate(tiny.bundle, normal=[NORMAL], anomalies={"off": [off]}, hop=np.int64(32))  # type: ignore[arg-type]
    assert by_path.baseline_auroc is not None
    assert found == dataclasses.replace(by_path, baseline_auroc=None, baseline_alarms=None, learnt=None)
    assert type(found.hop) is int


def test_evaluate_refuses_what_is_neither_a_bundle_nor_a_path(tiny: Tiny) -> None:
    for value, name in ((None, "NoneType"), (3, "int"), (tiny.dataset, "Dataset")):
        with pytest.raises(
            gt.GyrovaeError, match=f"nothing to evaluate; expected a bundle, or a path, received {name}"
        ):
            gt.evaluate(value, normal=[NORMAL])  # type: ignore[arg-type]
    with pytest.raises(gt.GyrovaeError, match=r"number of jobs is not usable; expected a whole number, received '2'"):
        gt.evaluate(tiny.bundle, normal=[NORMAL], jobs="2")  # type: ignore[arg-type]


def test_a_bundle_shows_itself_in_a_line(tiny: Tiny) -> None:
    shown = repr(tiny.bundle)
    assert shown.startswith("Bundle(window=64, rate_hz=200, model=<")
    assert f"<{len(tiny.bundle.model)} bytes>, threshold=" in shown
    assert shown.endswith("false_alarm_rate=0.01)")
    assert len(repr(tiny.bundle.calibration)) < 500
    assert repr(tiny.bundle.calibration.level).startswith("View(codes=<")
    digest = tiny.bundle.spec.digest[:12]
    assert repr(tiny.bundle.spec).endswith(
        f"rate_hz=200, lsb={tiny.bundle.spec.lsb:g}, units='m/s^2', digest='{digest}...')"
    )


def test_motion_shows_itself_in_a_line(tiny: Tiny) -> None:
    recording = gt.Recording(np.zeros((500, 3)), 62.5, ((0, 200), (200, 500)), "fan.csv")
    line = "Recording(source='fan.csv', samples=<500 x 3>, rate_hz=62.5, segments=<2>, units='m/s^2')"
    assert repr(recording) == line
    rate_less = dataclasses.replace(recording, rate_hz=None)
    assert "rate_hz=None" in repr(rate_less)
    data = tiny.dataset
    trained, held = len(data.train_images), len(data.validation_images)
    assert repr(data) == (
        f"Dataset(windows=<{trained}, {held} held back>, window=64, hop=32, rate_hz=200, sources=<1>, "
        f"path='{data.path}')"
    )


NO_RECORDING = "this is no recording; expected a gyrovae_tf.Recording, or the name of a file, received "
ARRAY = np.zeros((500, 3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"anomalies": ["a.csv"]}, "the anomalies are not usable; expected the recordings of each kind, as in "),
        ({"anomalies": "a.csv"}, "the anomalies are not usable; expected the recordings of each kind, as in "),
        ({"anomalies": {5: "a.csv"}}, "the anomalies are not usable; expected the recordings of each kind, as in "),
        ({"anomalies": {"off": None}}, f"{NO_RECORDING}None"),
        ({"normal": None}, f"{NO_RECORDING}None"),
        ({"normal": 5}, f"{NO_RECORDING}5"),
        ({"normal": [None]}, f"{NO_RECORDING}None"),
        ({"normal": [ARRAY]}, f"{NO_RECORDING}ndarray of float64 [500, 3]\nSamples [n, 3] in memory become one: Reco"),
        ({"normal": ARRAY}, f"{NO_RECORDING}ndarray of float64 [3]"),
        ({"model": b"abc"}, "this is no path of a model; expected a .tflite file, received b'abc' (bytes)"),
        ({"rate_hz": "a"}, "rate_hz; expected a finite number above 0, received 'a' (text)"),
        ({"shard_rows": "a"}, "the number of rows in a shard is not usable; expected a whole number, received 'a'"),
        ({"shard_rows": 0}, "the number of rows in a shard is not usable; expected at least 1, received 0"),
        ({"long_bytes": None}, "long_bytes is not usable; expected a whole number, received None"),
        ({"long_bytes": -1}, "long_bytes is not usable; expected at least 0, received -1"),
    ],
)
def test_evaluate_refuses(tiny: Tiny, words: dict[str, Any], message: str) -> None:
    assert refused(gt.evaluate, tiny.bundle, **{"normal": [NORMAL], **words}).startswith(message)


def test_recordings_may_come_one_by_one(tiny: Tiny) -> None:
    found = gt.evaluate(tiny.bundle, normal=(one for one in [NORMAL]))  # type: ignore[arg-type]
    assert found == gt.evaluate(tiny.bundle, normal=[NORMAL])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"anomalies": ["a.csv"]}, "the anomalies are not usable"),
        ({"hop": "a"}, "the hop is not usable; expected at least 1 sample, received 'a' (text)"),
        ({"hop": 0}, "the hop is not usable; expected at least 1 sample, received 0"),
        ({"rate_hz": "a"}, "rate_hz; expected a finite number above 0, received 'a' (text)"),
    ],
)
def test_report_refuses_without_recordings_too(tiny: Tiny, tmp_path: Path, words: dict[str, Any], message: str) -> None:
    assert refused(gt.report, tiny.run, tmp_path / "report.html", **words).startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recordings", "words", "message"),
    [
        (None, {}, f"{NO_RECORDING}None"),
        ([ARRAY], {}, f"{NO_RECORDING}ndarray of float64 [500, 3]"),
        (["none.csv"], {}, "cannot read none.csv: no such file"),
        (["a.csv"], {"long_bytes": "a"}, "long_bytes is not usable; expected a whole number, received 'a'"),
        (["a.csv"], {"rate_hz": "a"}, "rate_hz; expected a finite number above 0, received 'a'"),
        (["a.csv"], {"devices": [1]}, "the devices are not usable; expected the device of each, as in "),
        (["a.csv"], {"devices": {"a.csv": 1}}, "the devices are not usable; expected the device of each, as in "),
    ],
)
def test_scoring_that_is_refused_leaves_nothing(
    tiny: Tiny, tmp_path: Path, recordings: Any, words: dict[str, Any], message: str
) -> None:
    output = tmp_path / "scores.csv"
    assert refused(gt.score_recordings, tiny.bundle, recordings, output, **words).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_checked_as_its_folder_is(tiny: Tiny) -> None:
    assert gt.check(tiny.bundle) == gt.check(tiny.run)
    assert gt.check(tiny.bundle).golden is not None
    message = "there is nothing to check; expected a .tflite file, a run or a bundle, or its path, received "
    assert refused(gt.check, None) == f"{message}None"
    assert refused(gt.check, 5) == f"{message}5"


# --- recordings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("take", [gt.preprocess, gt.stock_preprocess])
def test_samples_are_no_recording_yet(take: Callable[..., object]) -> None:
    for given, shown in (([None], "None"), (None, "None"), ([ARRAY], "ndarray of float64 [500, 3]")):
        assert refused(take, given).startswith(NO_RECORDING + shown)


def test_a_rate_of_numpys_is_one(tmp_path: Path) -> None:
    made = gt.preprocess([NORMAL], tmp_path / "dataset", window=64, rate_hz=np.float32(200))  # type: ignore[arg-type]
    assert made.spec.rate_hz == 200
    assert refused(gt.preprocess, [NORMAL], rate_hz="a").startswith("rate_hz; expected a finite number above 0")


def test_only_a_recording_is_judged() -> None:
    assert (
        refused(gt.judge, "a.csv") == "this cannot be judged; expected a gyrovae_tf.Recording, received 'a.csv' (text)"
    )
    for earlier, message in (("a", "a whole number, received 'a' (text)"), (-1, "at least 0, received -1")):
        expected = f"the number of earlier windows is not usable; expected {message}"
        assert refused(gt.judge, NORMAL, earlier=earlier) == expected


def test_only_a_machine_is_simulated() -> None:
    expected = "the machine is not usable; expected a gyrovae_tf.device.simulate.Machine, received 5"
    assert refused(gt.simulate, 5, seconds=1, seed=0) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"minutes": 5},
            "a length of motion to learn from is not usable; expected a list of minutes above 0, received 5",
        ),
        (
            {"folders": 5},
            "no datasets; expected a list of folders with meta.json, normal/ and anomaly/<kind>/, received 5",
        ),
        (
            {"folders": [5]},
            "no datasets; expected a list of folders with meta.json, normal/ and anomaly/<kind>/, receiv",
        ),
    ],
)
def test_benchmark_refuses_at_once(tmp_path: Path, words: dict[str, Any], message: str) -> None:
    assert refused(gt.benchmark, **{"folders": ["a"], "output": tmp_path / "out", **words}).startswith(message)
    assert list(tmp_path.iterdir()) == []


# --- the stock firmware ------------------------------------------------------------------------------------------


def test_stock_constants_take_numpys_numbers() -> None:
    given = gt.StockConstants(
        mean=np.ones(3),  # type: ignore[arg-type]
        std=(np.float32(2),) * 3,  # type: ignore[arg-type]
        squeeze=np.float32(5),  # type: ignore[arg-type]
        taps=np.int64(100),  # type: ignore[arg-type]
    )
    assert given == gt.StockConstants(mean=(1.0, 1.0, 1.0), std=(2.0, 2.0, 2.0), squeeze=5.0, taps=100)
    assert {type(value) for value in (*given.mean, *given.std, given.squeeze)} == {float}
    assert type(given.taps) is int


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"mean": np.ones(2)}, "mean is not usable; expected three numbers, received ndarray of float64 [2]"),
        ({"mean": 5}, "mean is not usable; expected three numbers, received 5"),
        ({"std": (1, "a", 1)}, "std is not usable; expected three numbers, received 'a' (text)"),
        ({"squeeze": "5"}, "squeeze is not usable; expected 0.001 to 100000, received '5' (text)"),
        ({"taps": 1.5}, "taps is not usable; expected a whole number from 2 to 1024, received 1.5"),
    ],
)
def test_stock_constants_say_what_they_were_given(words: dict[str, Any], message: str) -> None:
    assert refused(gt.StockConstants, **words) == f"the stock constant {message}"


@pytest.mark.parametrize("constants", [{"taps": 100}, 5, None])
def test_stock_constants_are_of_their_class(constants: Any) -> None:
    expected = f"the stock constants are not usable; expected a gyrovae_tf.StockConstants, received {told(constants)}"
    assert refused(gt.stock_images, np.zeros((1, 256, 3), np.float32), constants) == expected
    assert refused(gt.stock_preprocess, [NORMAL], constants=constants) == expected


def test_rows_of_different_lengths_are_no_windows() -> None:
    expected = (
        "the windows are not of the stock front end's form; expected float32 [k, 256, 3] in m/s^2, received object []"
    )
    assert refused(gt.stock_images, [[1.0], [1.0, 2.0]]) == expected


# --- types -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_type_checkers_find_a_misspelt_name(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import gyrovae_tf as gt\n\nnormal = gt.Recording.read('a.csv')\ngt.nope(normal)\n")
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert 'script.py:4: error: Module has no attribute "nope"' in done.stdout
