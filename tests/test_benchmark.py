"""The benchmark on small simulated machines: its figures again by other ways, and what odd datasets come to."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import TINY_MACHINE, TINY_WINDOW, stock_recording, tiny_options
from gyrovae_tf.cli.main import cli
from sklearn.metrics import roc_auc_score

import gyrovae_tf
from gyrovae_tf import runtime
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import baselines, qat
from gyrovae_tf.learn import benchmark as module
from gyrovae_tf.learn.benchmark import benchmark
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.evaluate import evaluate
from gyrovae_tf.learn.floating import float_scores
from gyrovae_tf.learn.layout import anomaly_part, fault_session_part, normal_test_part
from gyrovae_tf.learn.run import Run
from gyrovae_tf.learn.windows import unseen, windows_like
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal import frontend

OPTIONS = tiny_options(seed=5)
SPLIT = {"normal_train": ["train.csv"], "normal_test": ["test.csv"], "normal_test_in_fault_sessions": ["session.csv"]}
KINDS = ["imbalance", "off"]


def moving(seconds: float, seed: int, fault: str | None = None) -> Recording:
    return simulate(TINY_MACHINE, seconds=seconds, seed=seed, fault=fault)


@pytest.fixture(scope="module", autouse=True)
def short_fine_tuning() -> Iterator[None]:
    """What these tests are about does not depend on how long quantisation-aware training takes, but they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qat, "STEPS", 100)
        yield


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute to learn from, two kinds of anomaly that can be scored, and four that cannot."""
    folder = tmp_path_factory.mktemp("data") / "machine"
    for name, recording in (
        ("normal/train.csv", moving(60, 1)),
        ("normal/test.csv", moving(20, 2)),
        ("normal/session.csv", moving(10, 3)),
        ("anomaly/imbalance/a.csv", moving(8, 4, "imbalance")),
        ("anomaly/imbalance/b.csv", moving(0.1, 5, "imbalance")),
        ("anomaly/loose.csv", moving(8, 4, "imbalance")),
        ("anomaly/off/a.csv", moving(8, 6, "off")),
        ("anomaly/brief/a.csv", moving(0.1, 7)),
        ("anomaly/slow/a.csv", Recording(np.zeros((500, 3)), 50.0, ((0, 500),), "slow")),
    ):
        recording.write(folder / name)
    (folder / "anomaly" / "empty").mkdir()
    (folder / "anomaly" / "broken").mkdir()
    (folder / "anomaly" / "broken" / "a.csv").write_text("x,y,z\n1,2,three\n")
    (folder / "meta.json").write_text(json.dumps({"recommended_window": TINY_WINDOW, "split": SPLIT}))
    return folder


@pytest.fixture(scope="module")
def measured(machine: Path) -> dict[str, Any]:
    """The benchmark of that machine, two seeds, lengths to learn from, and a folder that is no dataset before it."""
    return benchmark(
        [machine.parent / "missing", machine],
        machine.parent / "out",
        seeds=2,
        minutes=(0.02, 0.5, 3),
        options=OPTIONS,
    )


@pytest.fixture(scope="module")
def record(measured: dict[str, Any]) -> dict[str, Any]:
    return measured["datasets"][1]


def test_the_file_holds_what_is_returned(machine: Path, measured: dict[str, Any]) -> None:
    assert json.loads((machine.parent / "out" / "benchmark.json").read_text()) == measured
    assert measured["seeds"] == [5, 6]
    assert measured["frontend"] == "power"
    assert measured["runtime"] == runtime.best()
    assert {"tensorflow", "numpy", "scikit-learn", "gyrovae_tf", "python"} <= set(measured["versions"])


def test_a_folder_that_is_no_dataset_costs_only_itself(measured: dict[str, Any]) -> None:
    failed, fine = measured["datasets"]
    assert failed["name"] == "missing"
    assert "there is no" in failed["error"]
    assert "methods" not in failed
    assert fine["name"] == "machine"
    assert "error" not in fine


def test_a_folder_that_the_file_system_refuses_costs_only_itself(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path, *_: Any) -> dict[str, Any]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder / "normal"))
        return {"methods": {}}

    monkeypatch.setattr(module, "_one", refused)
    locked = unlike(machine, tmp_path / "locked")
    one, other = benchmark([locked, machine], tmp_path / "out")["datasets"]
    assert one["error"] == f"the file system refused {locked / 'normal'}: Permission denied"
    assert "error" not in other


def test_every_method_is_there_with_all_its_figures(record: dict[str, Any]) -> None:
    assert set(record["methods"]) == {"int8", "float", *baselines.FITS}
    for found in record["methods"].values():
        for figures in (found, found["in_fault_sessions"], *found["seeds"]):
            assert list(figures["kinds"]) == KINDS
            assert figures["mean"] == pytest.approx(np.mean(list(figures["kinds"].values())))
            assert figures["min"] == min(figures["kinds"].values())
            assert list(figures["partial"]["kinds"]) == list(figures["recall"]["kinds"]) == KINDS
            assert 0 <= figures["false_alarm_rate"] <= 1
        assert [one["seed"] for one in found["seeds"]] == [5, 6]
        for kind in KINDS:
            assert found["kinds"][kind] == pytest.approx(np.mean([one["kinds"][kind] for one in found["seeds"]]))
        assert found["seconds"] == pytest.approx(found["fit_seconds"] + found["score_seconds"])
        assert found["seconds"] > 0


def test_the_ways_to_quantise_are_beside_each_other(record: dict[str, Any]) -> None:
    """int8 is, seed by seed, the one that was kept."""
    assert set(record["modes"]) == {"ptq", "qat"}
    assert len(record["kept"]) == 2
    for place, mode in enumerate(record["kept"]):
        assert record["methods"]["int8"]["seeds"][place] == record["modes"][mode]["seeds"][place]
    for found in record["modes"].values():
        assert list(found["kinds"]) == KINDS
        assert found["kinds"] == pytest.approx(record["methods"]["float"]["kinds"], abs=0.05)


def test_what_cannot_be_scored_is_told(record: dict[str, Any]) -> None:
    skipped = record["skipped"]
    assert set(skipped) == {"anomaly/imbalance/b.csv", "anomaly/loose.csv", "brief", "broken", "empty", "slow"}
    assert "too few samples for one window of 64" in skipped["anomaly/imbalance/b.csv"]
    assert "too few samples for one window of 64" in skipped["brief"]
    assert skipped["anomaly/loose.csv"] == "it is in no kind's folder; expected anomaly/<kind>/loose.csv"
    assert "three" in skipped["broken"]
    assert "holds no .csv or .parquet files" in skipped["empty"]
    assert "another rate" in skipped["slow"]


def test_the_int8_figures_are_scikit_learn_s_of_the_detector_that_is_left(
    machine: Path, record: dict[str, Any]
) -> None:
    detector = runtime.Detector(machine.parent / "out" / "machine" / "run", runtime.best())
    spec, last = detector.bundle.spec, record["methods"]["int8"]["seeds"][-1]
    scores = {
        kind: detector.score_windows(windows_like(files, spec, hop=TINY_WINDOW // 2)[0]).score
        for kind, files in {"normal": normal_test_part(machine), **anomaly_part(machine)}.items()
        if kind in ("normal", *KINDS)
    }
    for kind in KINDS:
        truth = np.r_[np.zeros(len(scores["normal"])), np.ones(len(scores[kind]))]
        both = np.r_[scores["normal"], scores[kind]]
        assert last["kinds"][kind] == pytest.approx(roc_auc_score(truth, both))
        assert last["partial"]["kinds"][kind] == pytest.approx(roc_auc_score(truth, both, max_fpr=0.05))
        assert last["recall"]["kinds"][kind] == pytest.approx((scores[kind] >= 1).mean())
        assert record["windows"]["anomalies"][kind] == len(scores[kind])
    assert last["false_alarm_rate"] == pytest.approx((scores["normal"] >= 1).mean())
    assert record["windows"]["normal"] == len(scores["normal"])
    int8 = record["methods"]["int8"]
    assert int8["bytes"] == len(detector.bundle.model)
    assert int8["macs"] == detector.bundle.metrics["macs"]
    assert int8["frontend_macs"] > 100_000
    assert int8["frontend_table_bytes"] > 1000
    assert int8["score_table_bytes"] == detector.bundle.calibration.table_bytes


def test_evaluate_says_the_same_of_that_run(machine: Path, record: dict[str, Any]) -> None:
    anomalies = {kind: anomaly_part(machine)[kind] for kind in KINDS}
    run = machine.parent / "out" / "machine" / "run"
    found = evaluate(run, normal=normal_test_part(machine), anomalies=anomalies)
    assert found.auroc == pytest.approx(record["methods"]["int8"]["seeds"][-1]["kinds"], abs=0.02)  # other kernels
    assert found.baseline_auroc == pytest.approx(record["methods"]["mahalanobis"]["kinds"])
    stricter = evaluate(run, normal=fault_session_part(machine), anomalies=anomalies)
    assert stricter.baseline_auroc == pytest.approx(record["methods"]["mahalanobis"]["in_fault_sessions"]["kinds"])


def test_the_float_model_scores_almost_as_the_int8_one(machine: Path, record: dict[str, Any]) -> None:
    run = Run.load(machine.parent / "out" / "machine" / "run")
    detector = runtime.Detector(run)
    images = run.load_dataset().validation_images
    whole = float_scores(run.keras_model(), images, detector.bundle.spec, detector.bundle.calibration)
    assert whole == pytest.approx(detector.score_images(images).score, rel=0.5)
    assert np.corrcoef(whole, detector.score_images(images).score)[0, 1] > 0.95
    float_, int8 = record["methods"]["float"]["kinds"], record["methods"]["int8"]["kinds"]
    assert float_ == pytest.approx(int8, abs=0.05)


def test_a_machine_that_is_switched_off_is_found(record: dict[str, Any]) -> None:
    for name in ("int8", "float", "mahalanobis", "knn", "energy"):
        assert record["methods"][name]["kinds"]["off"] > 0.95


def test_less_to_learn_from(record: dict[str, Any]) -> None:
    too_short, half, too_long = record["minutes"]
    assert too_short["minutes"] == 0.02
    assert "too few samples" in too_short["error"]
    assert half["minutes_used"] == pytest.approx(0.5, abs=0.05)
    assert half["train_windows"] < record["windows"]["train"]
    assert list(half["kinds"]) == KINDS
    assert too_long == {"minutes": 3, "skipped": "there are only 1.0 minutes of normal motion to learn from"}


def test_the_folder_of_a_dataset_holds_its_dataset_and_run(machine: Path, record: dict[str, Any]) -> None:
    folder = machine.parent / "out" / "machine"
    dataset = Dataset.load(folder / "dataset")
    assert len(dataset.train_images) == record["windows"]["train"]
    assert len(dataset.validation_images) == record["windows"]["held_back"]
    assert Run.load(folder / "run").options.seed == 6


def test_the_same_seed_gives_the_same_figures(machine: Path, measured: dict[str, Any], tmp_path: Path) -> None:
    again = benchmark([machine], tmp_path / "out", seeds=1, options=OPTIONS)["datasets"][0]["methods"]
    for name, found in measured["datasets"][1]["methods"].items():
        assert again[name]["seeds"][0] == found["seeds"][0]


def unlike(machine: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the machine with another meta.json."""
    shutil.copytree(machine, folder)
    meta = json.loads((folder / "meta.json").read_text()) | changes
    (folder / "meta.json").write_text(json.dumps({key: value for key, value in meta.items() if value is not None}))
    return folder


def test_a_meta_json_without_the_optional_parts(machine: Path, tmp_path: Path) -> None:
    """No recommended window: 256. No stricter normal motion: no figures against it. Two of one name: numbered."""
    first = unlike(
        machine, tmp_path / "a" / "twin", recommended_window=None, split={**SPLIT, "normal_test_in_fault_sessions": []}
    )
    second = unlike(machine, tmp_path / "b" / "twin", split={"normal_train": []})
    one, other = benchmark([first, second], tmp_path / "out", seeds=1, options=OPTIONS)["datasets"]
    assert (one["name"], other["name"]) == ("twin", "twin-2")
    assert (one["window"], one["hop"]) == (256, 128)
    assert "in_fault_sessions" not in one["methods"]["int8"]
    assert one["windows"]["normal_in_fault_sessions"] == 0
    # A minute promises nothing, which is told here as where the detector is quantised.
    told = Bundle.load(tmp_path / "out" / "twin" / "run" / "detector.gyrovae").metrics["trust"]["warnings"]
    assert told[0].startswith("Too few data")
    assert one["notes"] == [f"false alarms cannot be promised: {text}" for text in told]
    assert "does not list its split.normal_train" in other["error"]


@pytest.mark.slow
def test_what_meta_json_leaves_open_is_settled_and_told(tmp_path: Path) -> None:
    """Bursts of a second, no split, no recommended window."""
    for place in range(60):
        moving(1, place).write(tmp_path / "bursts" / "normal" / f"{place:02}.csv")
        moving(1, place, "imbalance").write(tmp_path / "bursts" / "anomaly" / "imbalance" / f"{place:02}.csv")
    (tmp_path / "bursts" / "meta.json").write_text("{}")
    (one,) = benchmark([tmp_path / "bursts"], tmp_path / "out", seeds=1, options=OPTIONS)["datasets"]
    assert (one["window"], one["hop"]) == (128, 64)
    assert one["windows"]["normal"] == 20 * 2
    assert one["windows"]["anomalies"] == {"imbalance": 60 * 2}
    settled, doubts = one["notes"][:2], one["notes"][2:]
    assert all(text.startswith("false alarms cannot be promised: ") for text in doubts)
    assert settled == [
        "meta.json lists neither split.normal_train nor split.normal_test: of the 60 files of normal/, in order of "
        "their names, the last third (normal/40.csv, normal/41.csv, normal/42.csv and 17 more) is tested on, the rest "
        "is learnt from.",
        "meta.json has no recommended_window, and the recordings to learn from are too short for 256 samples: windows "
        "are of 128.",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("frontend", ["power", "stock"])
def test_copies_are_told(tmp_path: Path, frontend: str) -> None:
    """Of four files one to learn from is another once more, and so are the one to test on and the fault."""
    folder = tmp_path / "copies"
    recordings = [stock_recording(seed) for seed in (1, 2)]
    for name, recording in zip(("a", "b", "c", "d"), (0, 1, 0, 0), strict=True):
        recordings[recording].write(folder / "normal" / f"{name}.csv")
    recordings[0].write(folder / "anomaly" / "clog" / "a.csv")
    (folder / "meta.json").write_text(json.dumps({"split": {"normal_train": ["a.csv", "b.csv", "c.csv"]}}))
    (one,) = benchmark([folder], tmp_path / "out", seeds=1, options=OPTIONS, frontend=frontend)["datasets"]
    notes = [re.sub(r"\d+ %", "N %", text) for text in one["notes"]]
    left_out = {
        "power": "c.csv holds the same samples as a.csv and is left out.",
        "stock": "c.csv holds the same samples as a.csv and is left out.",
    }
    assert left_out[frontend] in notes
    trained = "of its windows lie in motion that was trained on"
    assert f"normal: N % {trained}, so its figures flatter; test on recordings that were not." in notes
    assert any(text.startswith(f"clog: N % {trained}, as normal motion") for text in notes)


def test_a_file_to_learn_from_must_be_whole(machine: Path, tmp_path: Path) -> None:
    torn = unlike(machine, tmp_path / "torn", recommended_window=None)
    with (torn / "normal" / "train.csv").open("a") as file:
        file.write("nan,0,0\n")
    with pytest.raises(GyrovaeError, match=r"torn: train.csv, row \d+, column x; expected a number, .*\n") as told:
        benchmark([torn], tmp_path / "out", options=OPTIONS)
    assert told.value.received == "'nan'"
    assert str(told.value.remedy).startswith("Remove that row")


def test_when_every_dataset_fails(machine: Path, tmp_path: Path) -> None:
    gone = unlike(machine, tmp_path / "gone", split={**SPLIT, "normal_test": ["gone.csv"]})
    mute = unlike(machine, tmp_path / "mute")
    shutil.rmtree(mute / "anomaly")
    with pytest.raises(GyrovaeError, match=r"no dataset could be used: gone: cannot read .*gone.csv"):
        benchmark([gone, mute], tmp_path / "out", options=OPTIONS)
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [sorted(record) for record in written["datasets"]] == [["error", "folder", "name"]] * 2
    assert "anomaly holds no recordings" in written["datasets"][1]["error"]


def test_no_seed_leads_to_a_detector(machine: Path, tmp_path: Path) -> None:
    hopeless = tiny_options(beta=1e6, warm_up_steps=0, epochs=1)  # the latent space must collapse
    with pytest.raises(GyrovaeError, match=r"no seed led to a detector: .*collapse"):
        benchmark([machine], tmp_path / "out", seeds=1, options=hopeless)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frontend": "stock", "minutes": (1,)}, "is measured on the power front end alone"),
        ({"frontend": "raw"}, "unknown front end; expected power or stock, received raw"),
        ({"seeds": 0}, "the number of seeds is not usable"),
        ({"minutes": (1, 0)}, "minutes above 0"),
        ({"minutes": ["5"]}, r"minutes above 0, received .5. \(text\)"),
        ({"false_alarm_rate": 0.5}, r"the false-alarm rate is not usable; expected above 0, at most 0.2, received 0.5"),
        ({"folders": []}, "no datasets"),
        ({"folders": "machine"}, "expected a list of folders"),
    ],
    ids=str,
)
def test_what_is_refused_before_anything_is_done(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arguments = {"folders": [tmp_path], "output": tmp_path / "out", **changes}
    with pytest.raises(GyrovaeError, match=message):
        benchmark(**arguments)
    assert not (tmp_path / "out").exists()


def test_other_files_are_not_overwritten(machine: Path) -> None:
    with pytest.raises(GyrovaeError, match="holds other files"):
        benchmark([machine], machine)


def test_windows_that_nothing_was_trained_on(machine: Path, tmp_path: Path) -> None:
    recording = Recording.read(normal_test_part(machine)[0])
    spec = frontend.fit(np.zeros((1, 64, 3), np.int16), rate_hz=recording.rate_hz, lsb=0.01, units=recording.units)
    found = unseen(machine, spec, hop=64)
    assert list(found.groups()) == [
        ("normal", ""),
        ("anomaly", "imbalance"),
        ("anomaly", "off"),
        ("fault_sessions", ""),
    ]
    assert len(found.normal) == len(recording) // 64
    assert np.array_equal(found.normal[0], np.rint(recording.samples[:64] / 0.01))
    for strange in ("session.csv", [1], ["gone.csv"]):
        other = unlike(machine, tmp_path / repr(strange), split={**SPLIT, "normal_test_in_fault_sessions": strange})
        assert unseen(other, spec, hop=64).fault_sessions is None
        assert "normal_test_in_fault_sessions" in unseen(other, spec, hop=64).skipped
    with pytest.raises(GyrovaeError, match="is in other units than the detector was made for; expected g"):
        windows_like([recording], frontend.fit(found.normal, rate_hz=200, lsb=0.01, units="g"), hop=64)


def test_it_is_public() -> None:
    assert gyrovae_tf.benchmark is benchmark


# The command


SEPARATE: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def call(*words: str | Path) -> Result:
    result = CliRunner(**SEPARATE).invoke(cli, ["benchmark", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, measured: dict[str, Any]) -> dict[str, Any]:
    """The measured result in the place of the measuring; filled with what the command asks for."""
    asked: dict[str, Any] = {}

    def instead(folders: tuple[Path, ...], output: Path, **options: Any) -> dict[str, Any]:
        asked.update({"folders": folders, "output": output, **options})
        return measured

    monkeypatch.setattr(module, "benchmark", instead)
    return asked


def test_the_command_asks_for_what_was_typed(printed: dict[str, Any]) -> None:
    assert call("a", "b", "-o", "c", "--seeds", 2, "--minutes", "0.5,2,10", "--false-alarm-rate", 0.05).exit_code == 0
    assert printed == {
        "folders": (Path("a"), Path("b")),
        "output": Path("c"),
        "seeds": 2,
        "frontend": "power",
        "minutes": (0.5, 2.0, 10.0),
        "false_alarm_rate": 0.05,
        "progress": None,
    }
    call("a")
    assert (printed["output"], printed["seeds"], printed["minutes"]) == (Path("benchmark"), 3, ())


@pytest.mark.usefixtures("printed")
def test_json_is_the_object_of_the_file(measured: dict[str, Any]) -> None:
    assert json.loads(call("a", "--json").stdout) == measured


@pytest.mark.usefixtures("printed")
def test_the_tables(record: dict[str, Any]) -> None:
    text = call("a").stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "missing: not measured: there is no" in text
    assert "not scored: slow:" in text
    assert "3 minutes: there are only 1.0 minutes of normal motion to learn from" in text
    assert "all figures: benchmark/benchmark.json" in text
    for mode in ("ptq", "qat"):
        assert re.search(
            rf"^{mode} +{record['modes'][mode]['mean']:.4f} .* {record['kept'].count(mode)} of 2$", text, re.M
        )
    methods = record["methods"]
    listed = re.findall(r"^(\w+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) % +([\d.]+) % +([\d.]+)$", text, re.MULTILINE)
    assert {row[0] for row in listed} == set(methods)
    means = [float(row[1]) for row in listed]
    assert means == sorted(means, reverse=True)
    for name, mean, worst, partial, recall, alarms, _ in listed:
        found = methods[name]
        assert mean == f"{found['mean']:.3f}"
        assert worst == f"{found['min']:.3f}"
        assert partial == f"{found['partial']['mean']:.3f}"
        assert recall == f"{100 * found['recall']['mean']:.1f}"
        assert alarms == f"{100 * found['false_alarm_rate']:.1f}"
    best = max(found["mean"] for name, found in methods.items() if name not in ("int8", "float"))
    (ahead,) = re.findall(r"^machine .* ([+-]\d\.\d{3}) ", text, re.MULTILINE)
    assert ahead == f"{methods['int8']['mean'] - best:+.3f}"


def test_notes_and_files_that_were_not_scored_are_printed(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped = {"off": "gone", **{f"anomaly/a/{place}.csv": "bad\nMend it." for place in range(7)}, "worn": "gone"}
    record = {**measured["datasets"][1], "notes": ["one is divided."], "skipped": skipped}
    monkeypatch.setattr(module, "benchmark", lambda *_, **__: {**measured, "datasets": [record]})
    lines = call("a").stdout.splitlines()
    assert "note: one is divided." in lines
    assert [line for line in lines if line.startswith("not scored")] == [
        "not scored: off: gone",
        *(f"not scored: anomaly/a/{place}.csv: bad. Mend it." for place in range(5)),
        "not scored: worn: gone",
        "not scored: 2 more files; benchmark.json names them",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing argument 'DIR...'"),
        (("a", "--minutes", "1,x"), "'1,x' is not a list of minutes, as in 0.5,1,2,5,10"),
        (("a", "--minutes", "0"), "'0' is not a list of minutes"),
        (("a", "--minutes", "nan"), "'nan' is not a list of minutes"),
        (("a", "--frontend", "stock", "--minutes", "1"), "is measured on the power front end alone"),
        (("missing",), "no dataset could be used: missing: there is no missing"),
    ],
)
def test_the_command_refuses(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert 1 <= result.stderr.count("\n") <= 2
    assert not list(tmp_path.iterdir())
