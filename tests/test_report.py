"""Reports: one page, self-contained, with the figures of `evaluate`, that can be read anywhere."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import measured
from click.testing import CliRunner
from conftest import TINY_MACHINE, Tiny
from gyrovae_tf.cli.main import cli

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import Tail
from gyrovae_tf.learn.trust import Trust
from gyrovae_tf.learn.voting import Vote
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal.perturb import PERTURBATIONS

if TYPE_CHECKING:
    from gyrovae_tf.learn.figures import Figures
    from gyrovae_tf.learn.report import Report

SECTIONS = (
    "verdict",
    "results",
    "scores",
    "trust",
    "roc",
    "worst",
    "images",
    "health",
    "training",
    "latent",
    "int8",
    "device",
    "origin",
)
NASTY = 'bent <i>& "worn" v1.23456 #010203'
"""A kind of motion that would break a page which takes text for markup."""


class Page(HTMLParser):
    """A page's elements; raises when one is not closed where it must be."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {tag} {attrs}"
        assert tag not in self.VOID, f"{tag} does not close itself"
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    def all(self, attribute: str) -> list[str]:
        """Values of one attribute, wherever it stands."""
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Normal motion and two faults of the machine that `tiny` learnt, as files with names that need escaping."""
    folder = tmp_path_factory.mktemp("recordings")
    paths = {
        "normal": folder / "more <normal> & 'so on'.csv",
        "imbalance": folder / "fault.csv",
        NASTY: folder / "b.csv",
    }
    simulate(TINY_MACHINE, seconds=30, seed=8).write(paths["normal"])
    for seed, (kind, fault) in enumerate(zip(("imbalance", NASTY), ("imbalance", "off"), strict=True)):
        simulate(TINY_MACHINE, seconds=15, seed=20 + seed, fault=fault).write(paths[kind])
    return paths


@pytest.fixture(scope="module")
def given(tiny: Tiny, recordings: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on recordings."""
    from gyrovae_tf.learn.report import report

    anomalies = {kind: [path] for kind, path in recordings.items() if kind != "normal"}
    output = tmp_path_factory.mktemp("given") / "report.html"
    return report(tiny.run, output, normal=[recordings["normal"]], anomalies=anomalies)


@pytest.fixture(scope="module")
def bare(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on a run alone: its dataset was made of recordings in memory, so there is no file to go back to."""
    from gyrovae_tf.learn.report import report

    return report(tiny.run, tmp_path_factory.mktemp("bare") / "report.html")


@pytest.fixture(scope="module", params=["given", "bare"])
def made(request: pytest.FixtureRequest) -> Report:
    result: Report = request.getfixturevalue(request.param)
    return result


def test_it_is_one_well_formed_page(made: Report) -> None:
    text = made.path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    page = Page(text)
    names = page.all("id")
    assert len(set(names)) == len(names), "an id twice"
    links = [value[1:] for value in page.all("href") + page.all("xlink:href")]
    clips = re.findall(r"url\(#([^)]+)\)", text)
    assert set(links + clips) <= set(names), "a link to nowhere"
    assert [name for name in names if name in SECTIONS] == list(SECTIONS)


def test_it_loads_nothing(made: Report) -> None:
    text = made.path.read_text(encoding="utf-8")
    page = Page(text)
    assert {re.sub(r".*?//", "", url) for url in re.findall(r"\w+://[^\s\"'<>]+", text)} == {
        "www.w3.org/2000/svg",
        "www.w3.org/1999/xlink",
    }
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(source.startswith("data:image/png;base64,") for source in page.all("src"))
    assert all(link.startswith("#") for link in page.all("href") + page.all("xlink:href"))
    assert not re.search(r"@import|url\((?!#)", text)
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")], "an event handler"


def test_every_image_says_what_it_shows(made: Report) -> None:
    page = Page(made.path.read_text(encoding="utf-8"))
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg")


def test_names_are_text_and_not_markup(given: Report, recordings: dict[str, Path]) -> None:
    text = given.path.read_text(encoding="utf-8")
    assert "<i>" not in text
    page = Page(text)
    assert NASTY in page.text, "whole, and with its digits"
    assert recordings["normal"].name in page.text


def test_the_same_inputs_give_the_same_bytes(
    tiny: Tiny, recordings: dict[str, Path], given: Report, tmp_path: Path
) -> None:
    from gyrovae_tf.learn.report import report

    anomalies = {kind: [path] for kind, path in recordings.items() if kind != "normal"}
    seen: list[tuple[int, int, str]] = []
    again = report(
        tiny.run.path,
        tmp_path / "again.html",
        normal=[recordings["normal"]],
        anomalies=anomalies,
        progress=lambda *step: seen.append(step),
    )
    assert again.path.read_bytes() == given.path.read_bytes()
    assert again.summary == given.summary
    assert {what for done, total, what in seen if done == total} >= set(recordings)
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", given.path.read_text(encoding="utf-8")), "no dates"


def test_its_figures_are_those_of_evaluate(tiny: Tiny, recordings: dict[str, Path], given: Report) -> None:
    from gyrovae_tf.learn.evaluate import evaluate

    anomalies = {kind: [path] for kind, path in recordings.items() if kind != "normal"}
    asked = evaluate(tiny.run, normal=[recordings["normal"]], anomalies=anomalies)
    assert asked.baseline_auroc is not None
    assert asked.baseline_alarms is not None
    assert list(given.summary["motions"]) == list(recordings)
    assert given.summary["normal"] == "given"
    assert given.summary["learnt"] == asked.learnt
    assert not given.summary["synthetic"]
    words = Page(given.path.read_text(encoding="utf-8")).text
    for kind, row in given.summary["motions"].items():
        group = asked.groups[kind]
        assert row["windows"] == group.windows
        assert row["alarm_rate"] == group.alarms
        assert row["events_per_hour"] == group.events_per_hour
        assert row["auroc"] == asked.auroc.get(kind)
        assert row["baseline_alarm_rate"] == asked.baseline_alarms[kind]
        assert row["baseline_auroc"].get("mahalanobis") == asked.baseline_auroc.get(kind)
        assert f"{100 * group.alarms:.1f} %" in words
    for figure in asked.auroc.values():
        assert f"{figure:.3f}" in words


def test_normal_recordings_alone_are_changed_to_stand_in_for_faults(
    tiny: Tiny, recordings: dict[str, Path], tmp_path: Path
) -> None:
    from gyrovae_tf.learn.report import report

    made = report(tiny.run, tmp_path / "normal.html", normal=[recordings["normal"]])
    assert list(made.summary["motions"]) == ["normal", *PERTURBATIONS]
    assert made.summary["normal"] == "given"
    assert made.summary["synthetic"]
    words = Page(made.path.read_text(encoding="utf-8")).text
    assert "Synthetic: no recordings of faults were given." in words.replace(" :", ":")
    assert "not yet tried on real faults" in words or "Not ready" in words
    assert made.summary["verdict"]["status"] != "good", "stand-ins are no proof"


def test_a_run_alone_is_tried_on_what_it_held_back(tiny: Tiny, bare: Report) -> None:
    assert bare.summary["normal"] == "held back"
    assert bare.summary["learnt"] is None
    assert bare.summary["synthetic"]
    motions = bare.summary["motions"]
    assert list(motions) == ["normal", *PERTURBATIONS]
    assert {row["windows"] for row in motions.values()} == {len(tiny.dataset.validation_images)}
    assert {row["events_per_hour"] for row in motions.values()} == {None}, "held-back windows are no stretch of time"
    assert motions["stillness"]["auroc"] > 0.95
    words = Page(bare.path.read_text(encoding="utf-8")).text
    assert "the threshold was set on it" in words
    for perturbation in PERTURBATIONS.values():
        assert perturbation.description in words


def test_a_dataset_without_windows_still_has_its_normal_part(tiny: Tiny, tmp_path: Path) -> None:
    from gyrovae_tf.learn.dataset import Dataset
    from gyrovae_tf.learn.report import report

    run = tiny.copy(tmp_path)
    dataclasses.replace(Dataset.load(tmp_path / "dataset"), validation_windows=None).save(tmp_path / "dataset")
    made = report(run, tmp_path / "report.html")
    assert list(made.summary["motions"]) == ["normal"]
    words = Page(made.path.read_text(encoding="utf-8")).text
    assert "holds images only" in words
    assert words.count("holds images only: repeated samples") == 1
    assert "No abnormal motion to compare on." in words
    assert made.summary["verdict"]["headline"] == "False alarms are measured; whether faults are found is not"
    whole = report(tiny.run, tmp_path / "whole.html")
    assert made.summary["motions"]["normal"]["alarm_rate"] == whole.summary["motions"]["normal"]["alarm_rate"]


def test_a_folder_of_test_recordings(tiny: Tiny, recordings: dict[str, Path], given: Report, tmp_path: Path) -> None:
    from gyrovae_tf.learn.report import report

    (tmp_path / "d" / "normal").mkdir(parents=True)
    (tmp_path / "d" / "anomaly" / "unbalanced").mkdir(parents=True)
    shutil.copy(recordings["normal"], tmp_path / "d" / "normal" / "a.csv")
    shutil.copy(recordings["imbalance"], tmp_path / "d" / "anomaly" / "unbalanced" / "b.csv")
    (tmp_path / "d" / "meta.json").write_text(json.dumps({"split": {"normal_test": ["a.csv"]}}))
    made = report(tiny.run, tmp_path / "report.html", dataset=tmp_path / "d")
    assert made.summary["motions"]["unbalanced"]["auroc"] == given.summary["motions"]["imbalance"]["auroc"]


def test_folders_and_parquet_as_evaluate_takes_them(
    tiny: Tiny, recordings: dict[str, Path], given: Report, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra scale)")
    import pyarrow
    import pyarrow.parquet

    from gyrovae_tf.learn.report import report

    (tmp_path / "normal" / "deep").mkdir(parents=True)
    shutil.copy(recordings["normal"], tmp_path / "normal" / "deep")
    fault = Recording.read(recordings["imbalance"])
    head = json.dumps({"rate_hz": fault.rate_hz, "units": fault.units, "lsb": fault.lsb, **fault.metadata})
    columns = {axis: fault.samples[:, index] for index, axis in enumerate("xyz")}
    table = pyarrow.table(columns).replace_schema_metadata({"gyrovae": head})
    pyarrow.parquet.write_table(table, tmp_path / "fault.parquet")
    names = {"imbalance": [tmp_path / "fault.parquet"], NASTY: [recordings[NASTY]]}
    found = report(tiny.run, tmp_path / "report.html", normal=[f"{tmp_path}/normal/"], anomalies=names)
    assert found.summary["motions"] == given.summary["motions"]
    assert found.summary["learnt"] == given.summary["learnt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anomalies": {"off": ["missing.csv"]}}, "missing.csv"),
        ({"normal": ["missing.csv"]}, "missing.csv"),
        ({"normal": ["missing.csv"], "dataset": "d"}, "either a dataset or recordings"),
        ({"dataset": "missing"}, "there is no missing"),
    ],
)
def test_what_it_cannot_be_made_of(tiny: Tiny, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    from gyrovae_tf.learn.report import report

    with pytest.raises(GyrovaeError, match=message):
        report(tiny.run, tmp_path / "report.html", **arguments)
    assert not list(tmp_path.iterdir())


def test_anomalies_need_normal_recordings(tiny: Tiny, recordings: dict[str, Path], tmp_path: Path) -> None:
    from gyrovae_tf.learn.report import report

    with pytest.raises(GyrovaeError, match="no normal recordings"):
        report(tiny.run, tmp_path / "report.html", anomalies={"imbalance": [recordings["imbalance"]]})


def test_a_run_without_a_detector_or_without_its_dataset(tiny: Tiny, tmp_path: Path) -> None:
    from gyrovae_tf.learn.report import report

    run = tiny.copy(tmp_path)
    shutil.rmtree(tmp_path / "dataset")
    with pytest.raises(GyrovaeError, match=r"there is no .*dataset"):
        report(run, tmp_path / "report.html")
    shutil.rmtree(run / "detector.gyrovae")
    with pytest.raises(GyrovaeError, match="no quantised model"):
        report(run, tmp_path / "report.html")


def test_device_and_quantisation(tiny: Tiny, given: Report) -> None:
    device = given.summary["device"]
    assert device["model_bytes"] == len(tiny.bundle.model)
    assert device["macs"] == tiny.bundle.metrics["macs"]
    assert device["score_table_bytes"] == tiny.bundle.calibration.table_bytes <= 8192
    assert device["table_bytes"] <= 24 * 1024
    words = Page(given.path.read_text(encoding="utf-8")).text
    assert f"score's tables {device['score_table_bytes']:,} bytes in flash; the limit is 8,192" in words
    assert device["frontend_macs"] <= 300_000
    assert f"front end {device['frontend_macs']:,} a window, in integers; the limit is 300,000 time" in words
    both = given.summary["int8_against_float"]
    # A machine that is off lies outside of what int8 outputs can say: the float network rebuilds it further away.
    assert 0 < both["scalogram_pixels"] < 20
    assert both["same_side"] > 0.99
    for pair in both["auroc"].values():
        assert pair["int8"] == pytest.approx(pair["float"], abs=0.005)


def test_the_worst_windows_are_where_they_are_said_to_be(
    tiny: Tiny, recordings: dict[str, Path], given: Report
) -> None:
    from gyrovae_tf.learn.dataset import cut
    from gyrovae_tf.recording import Recording
    from gyrovae_tf.runtime import Detector

    spec = tiny.bundle.spec
    (worst,) = [entry for entry in given.summary["worst"] if entry["kind"] == "imbalance"]
    recording = Recording.read(recordings["imbalance"])
    first = round(worst["start_s"] * spec.rate_hz)
    alone = dataclasses.replace(
        recording, samples=recording.samples[first : first + spec.window], segments=((0, spec.window),)
    )
    windows, _ = cut([alone], window=spec.window, hop=1, lsb=spec.lsb)
    assert Detector(tiny.bundle).score_windows(windows).score.tolist() == [worst["score"]]
    assert worst["recording"] == recordings["imbalance"].name
    assert worst["reasons"][0]["share"] >= worst["reasons"][-1]["share"] > 0


def test_the_command(tiny: Tiny, recordings: dict[str, Path], given: Report, tmp_path: Path) -> None:
    words = ["report", str(tiny.run.path), "-o", str(tmp_path / "r.html"), "--normal", str(recordings["normal"])]
    words += ["--anomaly", f"imbalance={recordings['imbalance']}", f"{NASTY}={recordings[NASTY]}"]
    printed = CliRunner().invoke(cli, words)
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.splitlines()[0] == given.summary["verdict"]["headline"]
    assert printed.stdout.splitlines()[-1] == f"{tmp_path / 'r.html'}: all figures, for a browser"
    assert (tmp_path / "r.html").read_bytes() == given.path.read_bytes()
    told = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert told == {"report": str(tmp_path / "r.html"), **given.summary}


# What it says

TRUST = Trust(
    minutes=30.0,
    recordings=3,
    windows=4000,
    effective_windows=900.0,
    left_out_rates=(0.0, 0.02, 0.15, 0.01),
    drift=1.0,
    drift_p=0.5,
    ends=1.0,
    ends_p=0.5,
    warnings=(),
    note="",
)
TAIL = Tail(
    threshold=1.5,
    low=1.25,
    high=1.75,
    rate=0.01,
    rate_low=0.0052,
    rate_high=0.021,
    method="exponential",
    windows=4000,
    effective_windows=900.0,
    blocks=4,
)
VOTE = Vote(
    alarms=3,
    windows=5,
    threshold=1.5,
    low=1.5,
    high=1.5,
    events_per_day=0.25,
    events_low=0.125,
    events_high=12.3,
    events_seen=0.0,
    days=0.02,
    hop_s=1.28,
    delay_s={"1": 3.84, "0.9": 4.27, "0.5": 9.3},
    warnings=("0.25 false events a day is an extrapolation.",),
)


@pytest.fixture(scope="module")
def figures(tiny: Tiny, recordings: dict[str, Path]) -> Figures:
    from gyrovae_tf.learn.figures import gather

    return gather(tiny.run, normal=[recordings["normal"]], anomalies={"clog": [recordings["imbalance"]]})


def judged(figures: Figures, false_alarms: float, **found: tuple[float, float, float]) -> Any:
    """The verdict on 1000 normal windows and kinds with these alarm rates, AUROCs and best baseline's AUROCs."""
    from gyrovae_tf.learn.figures import Row
    from gyrovae_tf.learn.promise import Promise
    from gyrovae_tf.learn.verdict import judge

    rows = [Row("normal", 1000, false_alarms, 0.5, None, None, None, {})]
    rows += [
        Row(kind, 100, alarms, 9.0, None, auroc, None, {"knn": other}) for kind, (alarms, auroc, other) in found.items()
    ]
    promise = Promise(trust=TRUST)
    return judge(dataclasses.replace(figures, rows=tuple(rows), promise=promise), [])


@pytest.mark.parametrize(
    ("false_alarms", "found", "status", "headline"),
    [
        (0.01, {"clog": (0.9, 0.99, 0.9)}, "good", "It works on these recordings"),
        (0.02, {"clog": (0.9, 0.99, 0.9), "off": (1.0, 1.0, 1.0)}, "good", "It works on these recordings"),
        (0.03, {"clog": (0.9, 0.99, 0.9)}, "look", "It works, with reservations"),
        (0.01, {"clog": (0.9, 0.99, 0.9), "off": (0.2, 0.9, 0.9)}, "look", "It works, with reservations"),
        (0.06, {"clog": (0.9, 0.99, 0.9)}, "bad", "Not ready: too many false alarms"),
        (0.01, {"clog": (0.05, 0.99, 0.9)}, "bad", "Not ready: it misses the faults it was tried on"),
    ],
)
def test_the_verdict(
    figures: Figures, false_alarms: float, found: dict[str, tuple[float, float, float]], status: str, headline: str
) -> None:
    verdict = judged(figures, false_alarms, **found)
    assert (verdict.status, verdict.headline) == (status, headline)
    assert verdict.points[0][1].startswith(f"False alarms: {round(1000 * false_alarms)} of 1000 normal windows (")
    assert verdict.steps


def test_what_is_wrong_with_the_data_tempers_the_verdict(figures: Figures) -> None:
    """A red mark below a green headline would be overlooked; and the events to expect are told in front."""
    from gyrovae_tf.learn.figures import Row
    from gyrovae_tf.learn.health import Check
    from gyrovae_tf.learn.promise import Promise
    from gyrovae_tf.learn.verdict import judge

    rows = (
        Row("normal", 1000, 0.01, 0.5, None, None, None, {}),
        Row("clog", 100, 0.9, 9.0, None, 0.99, None, {}),
    )
    given = dataclasses.replace(figures, rows=rows, promise=Promise(trust=TRUST, vote=VOTE))
    for health, headline in (("look", "It works on these recordings"), ("bad", "It works, with reservations")):
        status: Any = health
        verdict = judge(given, [Check("motion to learn from", "0.7 min", status, "Too few.")])
        assert verdict.headline == headline
        assert verdict.status == ("good" if health == "look" else "look")
        assert "False events to expect a day, by what was learnt: 0.25 (0.12 to 12)." in verdict.points[0][1]


@pytest.mark.parametrize(
    ("stretches", "told", "silent", "said"),
    [
        (7, 5, 2, "clog: no event in 2 of 7 recordings."),
        (1, 0, 1, "clog: no event."),
        (7, 7, 0, ""),
        (7, 0, 0, ""),  # too short for a vote
    ],
)
def test_recordings_without_an_event_are_named(
    figures: Figures, stretches: int, told: int, silent: int, said: str
) -> None:
    from gyrovae_tf.learn.evaluate import Group
    from gyrovae_tf.learn.figures import Row
    from gyrovae_tf.learn.verdict import judge

    group = Group(100, 0.9, 9, 0.1, told > 0, stretches=stretches, told=told, silent=silent, abnormal=True)
    rows = (
        Row("normal", 1000, 0.01, 0.5, None, None, None, {}),
        Row("clog", 100, 0.9, 9.0, group, 0.99, None, {}),
    )
    verdict = judge(dataclasses.replace(figures, rows=rows), [])
    (point,) = [point for point in verdict.points if point[1].startswith("Found: ")]
    assert point == ("look" if said else "good", f"Found: 1 of 1 kinds of abnormal motion (clog). {said}".strip())
    assert verdict.status == ("look" if said else "good")
    assert any("threshold is too strict" in step for step in verdict.steps) == bool(said)
    assert any("emit-header" in step for step in verdict.steps) == (not said)


def judged_for_stock(
    normal: list[float], *, made_up: bool = False, learnt: dict[str, float] | None = None, **kinds: list[float]
) -> Any:
    """The verdict of a stock report on the scores of normal windows and of each kind, where 1 % was asked for."""
    from gyrovae_tf.learn.promise import Promise
    from gyrovae_tf.learn.stock_report import _judge, _Seen

    scores: Any = {kind: SimpleNamespace(score=np.array(one)) for kind, one in {"normal": normal, **kinds}.items()}
    bundle: Any = SimpleNamespace(calibration=SimpleNamespace(false_alarm_rate=0.01))
    nothing: Any = None
    return _judge(_Seen(nothing, bundle, nothing, scores, made_up, "tflm", Promise(), learnt))


QUIET = [0.5] * 100


@pytest.mark.parametrize("loud", [[2.0], [0.4]])
@pytest.mark.parametrize("made_up", [False, True])
@pytest.mark.parametrize("learnt", [None, {"normal": 0.0}, {"normal": 0.5}])
def test_a_stock_firmware_is_built_only_with_a_model_that_was_tried(
    loud: list[float], made_up: bool, learnt: dict[str, float] | None
) -> None:
    verdict = judged_for_stock(QUIET, made_up=made_up, learnt=learnt, loud=loud)
    untried, good = learnt == {"normal": 0.5}, loud == [2.0]
    assert verdict.status == ("good" if good and not untried else "bad")
    assert any("emit-header" in step for step in verdict.steps) == (good and not made_up and not untried)
    assert verdict.steps[0].startswith("Record more normal motion") == (not good and not untried)
    assert verdict.steps[0].startswith("Evaluate on recordings") == untried
    assert verdict.steps[-1].endswith("our own firmware and the power front end.")


@pytest.mark.parametrize(
    ("normal", "kinds", "status", "marks", "told", "step"),
    [
        (QUIET, {"a": [2.0], "b": [2.0]}, "good", ["good", "good"], "a, b; in part: none; missed: none", "gyrovae-tf"),
        # Three of ten windows of each: neither found nor missed.
        (
            QUIET,
            {"a": [0.9] * 7 + [2.0] * 3, "b": [2.0]},
            "look",
            ["good", "look"],
            "b; in part: a; missed: none",
            "The score tells a from normal, but the threshold is too strict",
        ),
        # However well the score tells them: nothing is ever an alarm.
        (
            QUIET,
            {"a": [0.9], "b": [0.9]},
            "bad",
            ["good", "bad"],
            "none; in part: none; missed: a, b",
            "The score tells a, b from normal, but the threshold is too strict",
        ),
        ([0.5] * 10, {"a": [2.0]}, "look", ["look", "good"], "a; in part: none; missed: none", "Try it on longer"),
        ([0.5] * 9 + [1.5], {"a": [2.0]}, "look", ["look", "good"], "a; in part: none; missed: none", "Try it on"),
        ([0.5] * 90 + [1.5] * 10, {"a": [2.0]}, "look", ["bad", "good"], "a; in part: none; missed: none", "Record mo"),
    ],
)
def test_the_verdict_on_a_stock_firmware(
    normal: list[float], kinds: dict[str, list[float]], status: str, marks: list[str], told: str, step: str
) -> None:
    verdict = judged_for_stock(normal, **kinds)
    assert verdict.status == status
    assert [mark for mark, _ in verdict.points[:2]] == marks
    assert verdict.points[1][1] == f"Found of {len(kinds)} kinds of abnormal motion: {told}."
    assert verdict.steps[0].startswith(step)
    assert ("more false alarms than asked for" in verdict.headline) == (marks[0] == "bad")


@pytest.mark.parametrize(
    ("alarms", "windows", "status"),
    [
        (3, 139, "good"),  # 1.4 expected; three or more come by chance in 17 of 100 cases
        (5, 139, "look"),  # 3.6 %; in 1.4 of 100
        (8, 139, "bad"),  # 5.8 %
        (0, 10, "look"),  # as five in a hundred would show in 60 of 100 cases
        (0, 59, "good"),  # in 5 of 100
        (2, 20, "look"),  # 10 %; in 1.7 of 100
        (4, 20, "bad"),  # in 4 of 100,000: few as they are, that is no chance
    ],
)
def test_few_false_alarms_may_be_chance(figures: Figures, alarms: int, windows: int, status: str) -> None:
    from scipy.stats import binom

    from gyrovae_tf.learn.figures import Row
    from gyrovae_tf.learn.verdict import by_chance, judge

    assert figures.bundle.calibration.false_alarm_rate == 0.01
    row = Row("normal", windows, alarms / windows, None, None, None, None, {})
    verdict = judge(dataclasses.replace(figures, rows=(row,)), [])
    assert verdict.points[0][0] == status
    assert ("may be chance" in verdict.points[0][1]) == (alarms == 3)
    few = windows < 59 and status == "look"
    assert ("So few windows do not tell." in verdict.points[0][1]) == few
    assert verdict.steps[0].startswith("Try it on longer") == few
    assert by_chance(alarms, windows, 0.01) == pytest.approx(binom.sf(alarms - 1, windows, 0.01), abs=1e-12)


def test_recordings_that_were_trained_on_prove_nothing(figures: Figures) -> None:
    """However well it does on them."""
    assert figures.evaluation is not None
    assert figures.evaluation.learnt == {"normal": 0.0, "clog": 0.0}
    learnt = dataclasses.replace(figures.evaluation, learnt={"normal": 0.9, "clog": 0.0})
    verdict = judged(dataclasses.replace(figures, evaluation=learnt), 0.01, clog=(0.9, 0.99, 0.9))
    assert (verdict.status, verdict.headline) == ("bad", "Not tried: some of these recordings were trained on")
    assert ("bad", "Normal: 90 % of its windows lie in motion that was trained on") in [
        (status, text.partition(",")[0]) for status, text in verdict.points
    ]
    assert [step.split(",")[0] for step in verdict.steps] == ["Evaluate on recordings that the training never saw"]


def test_what_to_do_next(figures: Figures) -> None:
    works = judged(figures, 0.01, clog=(0.9, 0.99, 0.9))
    assert [step.split(":")[0] for step in works.steps] == ["Build the firmware's header"]
    strict = judged(figures, 0.0, clog=(0.2, 0.97, 0.9))
    assert any("--false-alarm-rate" in step and "clog" in step for step in strict.steps)
    hard = judged(figures, 0.0, clog=(0.05, 0.6, 0.5))
    assert any("hardly tells it from normal" in step and "clog" in step for step in hard.steps)
    noisy = judged(figures, 0.1, clog=(1.0, 1.0, 0.9))
    assert noisy.steps[0].startswith("Record more normal motion")


def test_a_baseline_that_does_better_is_owned_up_to(figures: Figures) -> None:
    points = judged(figures, 0.01, clog=(0.9, 0.92, 0.99)).points
    assert (
        "look",
        "A simple detector does better here: mean AUROC 0.920, the best simple detector (nearest neighbours) 0.990.",
    ) in points
    assert any("It beats a simple detector" in text for _, text in judged(figures, 0.01, clog=(0.9, 0.99, 0.92)).points)


def health_of(tiny: Tiny, **changes: Any) -> dict[str, str]:
    """Status of each check after these fields of the dataset were changed."""
    from gyrovae_tf.learn.health import checks

    return {check.name: check.status for check in checks(dataclasses.replace(tiny.dataset, **changes), tiny.bundle)}


def test_healthy_data(tiny: Tiny) -> None:
    found = health_of(tiny)
    for name in (
        "repeated samples",
        "samples at the largest value",
        "size of the motion",
        "held back against trained on",
    ):
        assert found[name] == "good", name
    assert found["motion to learn from"] == "bad", "40 s are little"


def test_what_is_wrong_with_data_is_noticed(tiny: Tiny) -> None:
    windows = tiny.dataset.validation_windows
    assert windows is not None
    slow = np.repeat(windows[:, ::8], 8, axis=1)  # read eight times as often as it measures: 7 of 8 are repeats
    assert health_of(tiny, validation_windows=slow)["repeated samples"] == "bad"
    size = int(np.abs(windows).max())
    mean, spread = windows.mean(axis=(0, 1)), windows.std(axis=(0, 1))
    clipped = np.clip(windows, mean - spread, mean + spread).astype(np.int16)
    assert health_of(tiny, validation_windows=clipped)["samples at the largest value"] == "look"
    coarse = np.rint(windows / size).astype(np.int16)
    assert health_of(tiny, validation_windows=coarse)["size of the motion"] == "look"
    louder = np.clip(tiny.dataset.validation_images.astype(int) + 64, -128, 127).astype(np.int8)
    assert health_of(tiny, validation_images=louder)["held back against trained on"] == "look"


def test_too_little_data_is_told_in_the_words_of_the_calibration(tiny: Tiny) -> None:
    from gyrovae_tf.learn.health import checks
    from gyrovae_tf.learn.trust import foreseen

    short = foreseen(tiny.dataset, 0.01)
    assert [text.split(":")[0] for text in short] == ["Too few data", "Too uniform"]
    (amount,) = [c for c in checks(tiny.dataset, tiny.bundle) if c.name == "motion to learn from"]
    assert all(text in amount.meaning for text in short)
    assert short[1] in tiny.bundle.metrics["trust"]["warnings"], "calibration says the same"


# How far to trust it


def trusted(figures: Figures, **changes: Any) -> str:
    """The words of the section on trust after these parts of the promise were changed."""
    from gyrovae_tf.learn.details import trust
    from gyrovae_tf.learn.promise import Promise

    promise = Promise(**{"threshold": TAIL, "trust": TRUST, "vote": VOTE, **changes})
    quiet = dataclasses.replace(figures.rows[0], alarms=0.01)
    return Page(trust(dataclasses.replace(figures, promise=promise, rows=(quiet, *figures.rows[1:])))).text


def test_the_section_on_trust(figures: Figures) -> None:
    words = trusted(figures)
    assert words.startswith("OK Nothing in the normal data speaks against 1 % as false alarms on other days. ")
    assert "rate 0.52 to 2.1 % of windows are false alarms (95 % interval) for more time of the same kind" in words
    assert "threshold 1.5 95 % interval 1.25 to 1.75;" in words
    assert "normal windows 4,000 as good as 900 independent ones; 30.0 minutes in 3 recordings" in words
    assert "false events 0.25 a day to expect after the vote (3 of 5 windows, 1.3 s apart); 95 % interval 0.12" in words
    assert "delay 3.8 s from a fault's first window to an event where all its windows are alarms; 4.3 s where" in words
    assert VOTE.warnings[0] in words
    assert "Normal motion in 4 stretches of time." in words


def test_a_rate_that_cannot_be_promised(figures: Figures) -> None:
    from gyrovae_tf.learn.promise import Promise
    from gyrovae_tf.learn.verdict import judge

    doubtful = dataclasses.replace(
        TRUST, warnings=("Too <few> data.", "The data drift."), note="All from one recording."
    )
    words = trusted(figures, trust=doubtful)
    assert words.startswith(
        "look The normal data do not allow to promise 1 % as false alarms on other days: Too <few> data."
    )
    assert "The data drift." in words
    assert "All from one recording." in words
    verdict = judge(dataclasses.replace(figures, promise=Promise(trust=doubtful)), [])
    assert ("look", "Other days: 1 % cannot be promised. Too <few> data. The data drift.") in verdict.points


def test_recordings_that_belie_the_promise(figures: Figures) -> None:
    verdict = judged(figures, 0.06, clog=(0.9, 0.99, 0.9))
    (text,) = [text for status, text in verdict.points if text.startswith("Other days") and status == "look"]
    assert text == "Other days: nothing in the data that were learnt spoke against 1 %, but these do."
    kept = judged(figures, 0.01, clog=(0.9, 0.99, 0.9))
    assert ("good", "Other days: nothing in the normal data speaks against 1 %.") in kept.points


def test_a_vote_that_never_held_promises_a_range(figures: Figures) -> None:
    never = dataclasses.replace(VOTE, events_per_day=0.0, events_low=0.0, events_high=512.4)
    assert "false events 0 to 512 a day to expect after the vote" in trusted(figures, vote=never)


def test_a_vote_that_hardly_ever_holds(figures: Figures) -> None:
    rare = dataclasses.replace(VOTE, events_per_day=0.012, events_low=1.4e-5)
    assert "false events 0.012 a day to expect" in trusted(figures, vote=rare)
    assert "95 % interval under 0.01 to 12" in trusted(figures, vote=rare)


def test_what_is_not_known_is_left_out(figures: Figures) -> None:
    words = trusted(figures, threshold=None, vote=None, trust=dataclasses.replace(TRUST, left_out_rates=()))
    assert "threshold" not in words
    assert "delay" not in words
    assert "stretches" not in words
    assert trusted(figures, trust=None).startswith("This detector does not tell how it was calibrated.")


def test_what_a_bundle_tells_of_its_calibration(tiny: Tiny) -> None:
    from gyrovae_tf.learn.promise import Promise, promise

    metrics = tiny.bundle.metrics
    told = {name: metrics[name] for name in ("threshold", "trust", "vote")}
    assert promise(tiny.bundle).to_dict() == {**told, "events_per_day": None}
    own = {"threshold": TAIL.to_dict(), "trust": TRUST.to_dict(), "vote": VOTE.to_dict()}
    read = promise(dataclasses.replace(tiny.bundle, metrics=json.loads(json.dumps(own))))
    assert read == Promise(TAIL, TRUST, VOTE)
    assert read.asked(0.01) == "1 %"
    assert dataclasses.replace(read, events_per_day=0.5).asked(0.0012) == "a mean of 0.5 false events a day"
    assert (
        promise(dataclasses.replace(tiny.bundle, metrics={**own, "false_alarms_per_day": "1"})).events_per_day is None
    )


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"warnings": ["too few windows"]},
        {**TRUST.to_dict(), "minutes": "30"},
        {**TRUST.to_dict(), "minutes": True},
        {**TRUST.to_dict(), "recordings": 1.5},
        {**TRUST.to_dict(), "left_out_rates": [0.1, "0.1"]},
        {**TRUST.to_dict(), "warnings": "none"},
        {**TRUST.to_dict(), "note": 3},
    ],
)
def test_a_record_of_another_form_counts_as_none(tiny: Tiny, odd: Any) -> None:
    from gyrovae_tf.learn.promise import promise

    found = promise(dataclasses.replace(tiny.bundle, metrics={**tiny.bundle.metrics, "trust": odd}))
    assert found.trust is None
    assert found.vote is not None
    assert promise(dataclasses.replace(tiny.bundle, metrics={"vote": {**VOTE.to_dict(), "delay_s": [1]}})).vote is None


# What the score is made of


def test_parts_of_a_score_in_words() -> None:
    from gyrovae_tf.learn.views import SEES, in_words

    assert in_words({"bands": 0.3, "groups": 0.2, "rhythm": 0.09, "level": 0.41}) == (
        "level 41 %, bands 30 %, groups 20 %, rhythm 9 %"
    )
    assert in_words({"level": 0.5, "tilt": 0.5}) == "level 50 %, tilt 50 %"
    from gyrovae_tf.calibration import SIZES

    assert SEES.keys() == SIZES.keys(), "each view is explained"


def test_the_parts_of_the_worst_windows(given: Report) -> None:
    from gyrovae_tf.learn.views import in_words

    words = Page(given.path.read_text(encoding="utf-8")).text
    for worst in given.summary["worst"]:
        assert sum(worst["shares"].values()) == pytest.approx(1)
        assert list(worst["shares"]) == ["bands", "groups", "quarters", "rhythm", "level"]
        assert f"Parts of the score: {in_words(worst['shares'])}." in words


def test_events_and_delays(given: Report) -> None:
    """A machine that is off is so from the start: three windows of 64 that share no samples, at 200 Hz."""
    motions = given.summary["motions"]
    assert motions["normal"]["delay_s"] is None
    assert motions[NASTY]["delay_s"] == pytest.approx(3 * 64 / 200)
    words = Page(given.path.read_text(encoding="utf-8")).text
    assert "after 1.0 s" in words
    assert "Windows here begin 32 samples (0.16 s) apart" in words


# Float against int8


def test_float_scores_are_those_of_the_keras_model(tiny: Tiny) -> None:
    """By the definition of the score from the outputs of `predict`, and the tilt counts where it is known."""
    from gyrovae_tf.learn.calibrate import calibrate
    from gyrovae_tf.learn.floating import float_scores, reconstructions
    from gyrovae_tf.runtime import Model
    from gyrovae_tf.signal.profile import means, time_sums
    from gyrovae_tf.signal.score import profiles, score

    keras, spec, windows = tiny.run.keras_model(), tiny.dataset.spec, tiny.dataset.validation_windows
    assert windows is not None
    images = np.tile(tiny.dataset.validation_images, (3, 1, 1, 1, 1))[:300]
    mean = np.tile(means(windows), (3, 1))[:300]
    outputs = keras.predict([images[:, 0] / np.float32(32), images[:, 1] / np.float32(32)], verbose=0)
    for found, expected in zip(reconstructions(keras, images), outputs, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    sums = [32 * output.astype(np.float64).sum(axis=2).swapaxes(1, 2) for output in outputs]
    seen = profiles(images, (sums[0], sums[1]), spec, mean)
    assert time_sums(images[:, 0]).shape == sums[0].shape
    assert float_scores(keras, images, spec, tiny.bundle.calibration) == pytest.approx(
        score(seen, tiny.bundle.calibration).score, rel=1e-4
    )
    assert len(float_scores(keras, images[:0], spec, tiny.bundle.calibration)) == 0
    tilted = calibrate(Model(tiny.bundle.model), tiny.dataset, tilt=True, seed=0).calibration
    assert float_scores(keras, images, spec, tilted, mean) == pytest.approx(score(seen, tilted).score, rel=1e-4)
    with pytest.raises(GyrovaeError, match="needs the windows' tilt"):
        float_scores(keras, images, spec, tilted)


def test_both_models_side_by_side(given: Report, figures: Figures) -> None:
    from sklearn.metrics import roc_auc_score

    both = figures.agreement
    assert both.kinds == ("normal",) * int(np.sum(~both.abnormal)) + ("clog",) * int(np.sum(both.abnormal))
    ((kind, (exact, rounded)),) = both.aurocs().items()
    assert kind == "clog"
    assert exact == pytest.approx(roc_auc_score(both.abnormal, both.float_score))
    assert rounded == pytest.approx(roc_auc_score(both.abnormal, both.int8_score))
    assert both.int8_score == pytest.approx(both.float_score, rel=0.2)
    known = given.summary["int8_against_float"]
    assert list(known["auroc"]) == ["imbalance", NASTY]
    assert 0.9 < known["same_side"] <= 1
    assert 0 < known["score_change"] < 0.1


@pytest.mark.parametrize(("moved", "said"), [(0.0, "0.01"), (0.00001, "0.01"), (0.0234, "2.3")])
def test_how_far_scores_move_is_told_as_one_figure(figures: Figures, moved: float, said: str) -> None:
    from gyrovae_tf.learn.details import agreement

    both = dataclasses.replace(figures.agreement, int8_score=figures.agreement.float_score * (1 + moved))
    page = agreement(dataclasses.replace(figures, agreement=both))
    assert f"In half of the windows the score changes by less than {said} %; in " in page


def test_agreement_by_hand() -> None:
    from gyrovae_tf.learn.agreement import Agreement

    scores = np.array([0.5, 0.9, 2.0, 4.0])
    other = np.array([0.5, 1.0, 2.2, 5.0])
    both = Agreement(("normal", "normal", "off", "off"), np.zeros((4, 2)), scores, scores, scores, other)
    assert both.same_side == 0.75, "0.9 is none, 1.0 is an alarm"
    assert both.change == pytest.approx((0.1 + 1 / 9) / 2), "the middle of 0, 10 %, 11 % and 25 %"
    assert both.aurocs() == {"off": (1.0, 1.0)}


# What it draws


def test_a_chart_changes_no_words() -> None:
    from gyrovae_tf.learn.charts import histograms

    name = 'id="x" url(#y) #010203 1.234'
    scores = np.array([0.5, 1.5])
    page = Page(histograms({"normal": scores, name: scores}))
    assert name in page.text
    assert "x" not in "".join(page.all("id")).split("-")
    assert "var(--ink)" in "".join(page.all("style"))


@pytest.mark.parametrize("scores", [[0.6, 0.7], [0.9, 1.1], [0.02, 0.5], [0.3, 90.0], [1.5, 1.6]])
def test_an_axis_of_scores_has_three_ticks(scores: list[float]) -> None:
    from gyrovae_tf.learn.charts import agreement, histograms, over_time

    values = np.array(scores)
    for chart, axes in (
        (over_time(values, [], 1.28), 1),
        (agreement(values, values, values > 1), 2),
        (histograms({"normal": values}), 1),
    ):
        plain = [word for word in Page(chart).words if re.fullmatch(r"(0\.)?0*[1235]0*", word)]
        assert len(plain) >= 3 * axes
        assert "1" in plain


def test_an_axis_of_time_is_in_seconds_below_ten_minutes() -> None:
    from gyrovae_tf.learn.charts import left_out, over_time

    scores = np.linspace(0.5, 1.5, 60)
    for seconds, unit in ((59.0, "seconds"), (3600.0, "minutes")):
        assert f"{unit} of normal motion" in Page(over_time(scores, [20], seconds / 60)).text
        assert f"{unit} of normal motion" in Page(left_out([0.0, 0.02, 0.5], 0.01, 0.1, seconds)).text


def test_the_lines_of_axes_differ_in_more_than_colour() -> None:
    from gyrovae_tf.learn.charts import waveform

    lines = re.findall(r"<path [^>]*stroke: var\(--(?:normal|fault|third)\)[^>]*>", waveform(0, np.eye(3), 50.0, "g"))
    dashes = [found[0] if (found := re.findall("stroke-dasharray: ([^;]*);", line)) else "" for line in lines]
    assert len(dashes) == 6, "each in the chart and in its key"
    assert len(set(dashes)) == 3


def test_a_sentence_below_a_row_is_as_wide_as_the_table() -> None:
    from gyrovae_tf.learn.markup import data_table

    page = data_table(["a", "b"], [["1", "2"], ["3", "4"]], "", ["", "why <b>not</b>"])
    rows = re.findall(r"<tr.*?</tr>", page)
    assert [row.count("<td") for row in rows] == [0, 2, 2, 1]
    assert rows[2].startswith('<tr class="above">')
    assert rows[3] == '<tr class="below"><td colspan="2"><div>why <b>not</b></div></td></tr>'


def test_a_change_to_the_first_decimal_has_no_minus_before_nothing(figures: Figures) -> None:
    from gyrovae_tf.learn.details import agreement

    both = figures.agreement
    alike = dataclasses.replace(both, int8_error=both.float_error * (1 - 1e-6))
    words = Page(agreement(dataclasses.replace(figures, agreement=alike))).text
    assert "normal motion changes by +0.0 %." in words


def test_roc_points_by_hand() -> None:
    from gyrovae_tf.learn.charts import roc_points

    alarms, found = roc_points(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 5.0]))
    # From the top: 5 finds one; 4 is a false alarm; 3.5 finds the other; then 3, 2 and 1 are false alarms.
    assert list(zip(alarms.tolist(), found.tolist(), strict=True)) == [(0, 0), (0, 0.5), (0.25, 0.5), (0.25, 1), (1, 1)]


def test_roc_points_enclose_the_auroc() -> None:
    from gyrovae_tf.learn.charts import roc_points
    from gyrovae_tf.learn.evaluate import auroc

    draw = np.random.default_rng(3)
    normal, fault = draw.integers(0, 30, 200).astype(float), draw.integers(10, 40, 150).astype(float)
    alarms, found = roc_points(normal, fault)
    area = float((np.diff(alarms) * (found[1:] + found[:-1]) / 2).sum())
    assert area == pytest.approx(auroc(normal, fault))


def test_heat_is_an_image_of_its_numbers() -> None:
    import base64
    import io

    from matplotlib.image import imread

    from gyrovae_tf.learn.pictures import heat

    source = heat(np.array([[-4.0, 0.0, 4.0], [9.0, np.nan, -9.0]]), 4.0)
    pixels = imread(io.BytesIO(base64.b64decode(source.partition(",")[2])), format="png")
    assert pixels.shape == (2, 3, 4)
    blue, white, red = pixels[1]  # the first row is at the bottom
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert white[:3].min() > 0.95
    assert pixels[0, 0].tolist() == red.tolist(), "beyond the limit is as at the limit"
    assert pixels[0, 2].tolist() == blue.tolist()
    assert pixels[0, 1, 3] == 0


def test_the_time_of_a_model_is_that_of_check(tiny: Tiny, made: Report) -> None:
    """Both branches: 4x4 patches from 3 channels, 2x2 from 8, and three dense layers."""
    from gyrovae_tf.learn.speed import shares
    from gyrovae_tf.lint import check

    checked = check(tiny.bundle.model)
    found = {share.name: share for share in shares(checked.layers)}
    patches, code = 8 * 8 * 8 * 4 * 4 * 3, 4 * 4 * 8 * 2 * 2 * 8
    dense = 4 * 4 * 8 * 4 + 4 * 32 * 8 + 32 * 8 * 96
    assert (found["CONV_2D"].count, found["CONV_2D"].macs) == (4, 2 * (patches + code))
    assert (found["FULLY_CONNECTED"].count, found["FULLY_CONNECTED"].macs) == (6, 2 * dense)
    assert found["CONV_2D"].accelerated
    assert not found["RESHAPE"].accelerated
    assert sum(share.ms for share in found.values()) == pytest.approx(checked.estimate.ms)
    times = [share.ms for share in shares(checked.layers)]
    assert times == sorted(times, reverse=True)
    assert f"{checked.estimate.ms:.1f} ms" in Path(made.path).read_text(encoding="utf-8")


# How it looks


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it_whole(chromium: str, made: Report, tmp_path: Path, width: int) -> None:
    """No part but a table in its own box is wider than the window, all images decode, and nothing is complained of."""
    shutil.copy(made.path, tmp_path / "report.html")
    out = measured(chromium, tmp_path / "report.html", width)
    assert out["scroll"] <= width
    assert out["wide"] == []
    assert out["sections"] == len(SECTIONS)
    assert out["unseen"] == 0
    assert out["smallest"] >= 9, "pixels of a chart's smallest text"
