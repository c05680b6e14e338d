"""The way to a model for the stock firmware: dataset, training, quantisation, evaluation, header, commands."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import StockTiny as Made
from conftest import stock_recording as recording
from conftest import tiny_options
from gyrovae_tf.cli.main import cli
from numpy.typing import NDArray

import gyrovae_tf as gt
from gyrovae_tf import contract, runtime, stockheader, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import stock_data
from gyrovae_tf.learn.convert import to_int8
from gyrovae_tf.learn.cutting import cut_samples
from gyrovae_tf.learn.stock_data import StockDataset, int8_images
from gyrovae_tf.learn.stock_model import fold, material, standard_of
from gyrovae_tf.learn.stock_quantize import check_size, load_dataset
from gyrovae_tf.learn.vae import VAE, Architecture, export_graph
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal.score import vote
from gyrovae_tf.signal.stock import macs, stock_images
from gyrovae_tf.signal.stock import to_int8 as pixels_of
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration, is_stock
from gyrovae_tf.stockdetector import Errors, StockDetector, ratios_of, scored
from gyrovae_tf.stockspec import DEFAULTS, StockConstants, StockSpec


@pytest.fixture(scope="module")
def made(stock_tiny: Made) -> Made:
    return stock_tiny


# --- the dataset ---


def test_the_dataset_knows_its_front_end(made: Made) -> None:
    record = json.loads((made.folder / "dataset" / "dataset.json").read_text())
    assert record["frontend"] == "stock"
    assert made.dataset.train_windows.shape[1:] == (256, 3)
    assert made.dataset.train_windows.dtype == np.float32
    again = StockDataset.load(made.folder / "dataset")
    assert again.digest == made.dataset.digest
    with pytest.raises(GyrovaeError, match="another front end; expected power, received stock"):
        gt.Dataset.load(made.folder / "dataset")


def test_dataset_and_bundle_show_themselves_in_a_line(made: Made) -> None:
    windows = f"<{len(made.dataset.train_windows)}, {len(made.dataset.validation_windows)} held back>"
    assert repr(made.dataset) == f"StockDataset(windows={windows}, hop=64, sources=<1>, path='{made.dataset.path}')"
    assert repr(made.bundle).startswith(f"StockBundle(model=<{len(made.bundle.model)} bytes>, input_scale=")
    assert len(repr(made.bundle)) < 700


def test_what_is_odd_about_the_recordings_is_told_and_kept(made: Made, tmp_path: Path) -> None:
    known = recording(seconds=30)
    lines = [f"{int(row > 3000)},{x},{y},{z}" for row, (x, y, z) in enumerate((known.samples / 9.80665).tolist())]
    (path := tmp_path / "a.csv").write_text("\n".join(["state,x,y,z", *lines]))
    told = CliRunner().invoke(
        cli, ["preprocess", str(path), "-o", str(tmp_path / "d"), "--frontend", "stock", "--rate-hz", "200", "--json"]
    )
    mixed, units = json.loads(told.stdout)["notes"]
    assert mixed.startswith(
        "Columns that are not read part the rows of 1 of 1 recordings (a.csv): state (0, 1). All rows"
    )
    assert units.startswith("The mean acceleration is 1.0")
    assert StockDataset.load(tmp_path / "d").notes == (mixed, units)
    assert made.dataset.notes == ()


def test_windows_are_the_recordings_samples(made: Made) -> None:
    samples = recording().samples.astype(np.float32)
    place = made.dataset.train_origins[5, 1]
    np.testing.assert_array_equal(made.dataset.train_windows[5], samples[place : place + 256])


def test_no_sample_is_both_trained_on_and_held_back(made: Made) -> None:
    trained = {row for first in made.dataset.train_origins[:, 1] for row in range(first, first + 256)}
    kept = {row for first in made.dataset.validation_origins[:, 1] for row in range(first, first + 256)}
    assert not trained & kept


def test_int8_holds_normal_windows_and_louder_ones(made: Made) -> None:
    data = made.dataset
    assert data.margin >= stock_data.MARGIN
    for part in (data.train_windows, data.validation_windows):
        pair = np.stack(stock_images(part), axis=1)
        assert np.abs(pair).max() <= data.largest
        whole = np.trunc(pair / data.spec.input_scale)
        np.testing.assert_array_equal(int8_images(part, data.spec), whole)  # nothing wraps
    for name in stock_data.LOUDER:
        pair = np.stack(stock_images(stock_data.changed_windows(name, data.validation_windows)), axis=1)
        assert np.abs(pair / data.spec.input_scale).max() <= 128


@pytest.mark.parametrize(
    ("largest", "changed", "scale"),
    [
        (10.0, 10.0, 0.125),  # 15 of 127 / 8 = 15.875
        (10.6, 10.0, 0.25),  # 15.9 is more than that
        (1.0, 15.8, 0.125),  # a louder window decides
        (0.1, 0.1, 2.0**-6),  # a field's 1.0 is held in any case: 127 / 64 = 1.98
    ],
)
def test_the_scale_of_int8(largest: float, changed: float, scale: float) -> None:
    assert stock_data.scale_for(largest, changed) == scale


def test_constants_fitted_to_the_windows() -> None:
    windows = np.zeros((2, 256, 3), np.float32)
    windows[..., 0] = np.where(np.arange(256) % 2, 2.0, -2.0)  # mean 0, spread 2
    windows[..., 1] = 9.0  # still: a least spread
    fitted = stock_data.fit_constants(windows)
    assert fitted.mean == (0.0, 9.0, 0.0)
    assert fitted.std == (2.0, 0.05, 0.05)
    assert dataclasses.replace(fitted, mean=DEFAULTS.mean, std=DEFAULTS.std) == DEFAULTS


def test_other_rates_and_units_are_refused_with_a_remedy() -> None:
    samples = np.random.default_rng(0).normal(size=(8000, 3))
    whole = ((0, 8000),)
    with pytest.raises(GyrovaeError, match=r"(?s)samples at 200 Hz.*received 100 Hz.*power front end takes any rate"):
        gt.stock_preprocess([Recording(samples, 100.0, whole, "a.csv")])
    with pytest.raises(GyrovaeError, match=r"(?s)takes m/s.2; expected m/s.2, received rad/s.*any units"):
        gt.stock_preprocess([Recording(samples, 200.0, whole, "a.csv", units="rad/s")])
    bursts = tuple((first, first + 200) for first in range(0, 8000, 200))
    with pytest.raises(GyrovaeError, match=r"(?s)windows of 256 samples.*received 200"):
        gt.stock_preprocess([Recording(samples, 200.0, bursts, "a.csv")])
    with pytest.raises(GyrovaeError, match="no motion"):
        gt.stock_preprocess([Recording(np.zeros((8000, 3)), 200.0, whole, "a.csv")])


def test_a_damaged_dataset_is_refused(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder / "dataset", tmp_path / "dataset")
    file = tmp_path / "dataset" / "train_windows.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(GyrovaeError, match="damaged"):
        StockDataset.load(tmp_path / "dataset")


# --- the network ---


def test_shift_and_scale_are_folded_into_the_network() -> None:
    """A network of standardised images, folded, gives back what it gave, in the images' own units."""
    rng = np.random.default_rng(0)
    pairs = rng.normal([[[[3.0, -2.0, 0.5]]]], 0.7, (40, 2, 32, 32, 3)).astype(np.float32)
    pairs[:, 1] = 0.1 * pairs[:, 1] + 0.4
    standard = standard_of(pairs)
    vae = VAE(Architecture(), beta=1.0, warm_up_steps=1, free_nats=0.0, seed=0, blind_rows=1)
    vae.build((None, 2, 32, 32, 3))
    inside = standard.of(pairs)
    expected = [np.asarray(image) for image in export_graph(Architecture(), vae)([inside[:, 0], inside[:, 1]])]
    found = fold(export_graph(Architecture(), vae), standard)([pairs[:, 0], pairs[:, 1]])
    for index, first in enumerate((1, 0)):
        back = expected[index] * standard.std[index] + standard.mean[index]
        np.testing.assert_allclose(np.asarray(found[index])[:, first:], back[:, first:], atol=2e-4)


def test_material_is_what_the_device_sees_and_what_it_compares_with(made: Made) -> None:
    seen = material(made.dataset)
    inputs, targets = seen.validation
    scale = made.dataset.spec.input_scale
    off = (inputs - targets) * seen.standard.std[:, None, None, None]
    assert np.abs(off).max() < scale * 1.0001  # truncation never moves a pixel by a step
    original = np.stack(stock_images(made.dataset.validation_windows), axis=1)
    np.testing.assert_allclose(
        targets * seen.standard.std[:, None, None, None] + seen.standard.mean, original, atol=1e-4
    )


def test_the_undefined_row_changes_nothing(made: Made) -> None:
    """Bit for bit, whatever the device finds in front of its buffer."""
    model = runtime.Model(made.bundle.model, input_scale=made.bundle.spec.input_scale)
    images = int8_images(made.dataset.validation_windows[:20], made.bundle.spec)
    other = images.copy()
    other[:, 0, 0] = np.random.default_rng(0).integers(-128, 128, other[:, 0, 0].shape)
    for one, two in zip(model.reconstruct(images), model.reconstruct(other), strict=True):
        np.testing.assert_array_equal(one, two)


# --- the bundle ---


def test_the_model_is_what_the_stock_firmware_can_run(made: Made) -> None:
    model = tflite.describe(made.bundle.model)
    assert not contract.contract_violations(model, made.bundle.spec.input_scale)
    assert contract.contract_violations(model)  # our own firmware's input is in steps of 1/32
    assert set(model.op_names) <= set(contract.OPS)
    assert len(model.op_names) <= 32
    assert len(made.bundle.model) <= 64 * 1024
    (entry,) = model.inputs
    assert model.tensors[entry].shape == (2, 32, 32, 3)
    assert model.tensors[entry].zero_point == (0,)
    assert np.log2(model.tensors[entry].scale[0]) % 1 == 0


def test_the_first_output_is_the_scalogram(made: Made) -> None:
    images = np.stack(stock_images(made.dataset.validation_windows[:50]), axis=1)
    model = runtime.Model(made.bundle.model, input_scale=made.bundle.spec.input_scale)
    rebuilt = model.rebuilt(pixels_of(images, made.bundle.spec.input_scale))
    assert np.square(rebuilt[:, 0] - images[:, 0]).mean() < np.square(rebuilt[:, 1] - images[:, 0]).mean()
    assert np.square(rebuilt[:, 1] - images[:, 1]).mean() < np.square(rebuilt[:, 0] - images[:, 1]).mean()


def test_a_model_that_has_no_room_is_refused(made: Made) -> None:
    with pytest.raises(GyrovaeError, match="too large for the stock firmware"):
        check_size(b"x" * 65537, tflite.describe(made.bundle.model))


def test_a_bundle_is_saved_and_loaded(made: Made, tmp_path: Path) -> None:
    assert is_stock(made.run)
    again = StockBundle.load(made.run)
    assert again.manifest() == made.bundle.manifest()
    assert again.model == made.bundle.model
    manifest = made.bundle.manifest()
    assert (manifest["schema_version"], manifest["frontend"], manifest["golden"]) == (3, "stock", None)
    with pytest.raises(GyrovaeError, match="another front end; expected power, received stock"):
        gt.Bundle.load(made.run)
    with pytest.raises(GyrovaeError, match="another front end"):
        gt.Detector(made.run)
    path = again.save(tmp_path / "b.gyrovae")
    record = json.loads((path / "manifest.json").read_text())
    record["spec"]["input_scale"] *= 2
    (path / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(GyrovaeError, match="was changed after it was made"):
        StockBundle.load(path)


def test_a_power_bundle_is_no_stock_bundle(tiny: object) -> None:
    run = tiny.run  # type: ignore[attr-defined]
    assert not is_stock(run)
    with pytest.raises(GyrovaeError, match="another front end; expected stock, received power"):
        StockBundle.load(run)
    with pytest.raises(GyrovaeError, match="another front end; expected stock, received power"):
        gt.stock_quantize(run)
    with pytest.raises(GyrovaeError, match="was trained for our own firmware"):
        gt.stock_header(run)
    with pytest.raises(GyrovaeError, match="the detector was trained for our own firmware"):
        gt.stock_header(tiny.bundle)  # type: ignore[attr-defined]


def test_what_is_for_our_firmware_refuses_a_stock_run(made: Made) -> None:
    with pytest.raises(GyrovaeError, match="stock_quantize"):
        gt.quantize(made.run)
    with pytest.raises(GyrovaeError, match="another front end"):
        gt.emit_header(made.run)
    with pytest.raises(GyrovaeError, match="another front end"):
        gt.export(made.run, precision="float32")
    with pytest.raises(GyrovaeError, match="was trained for Seeed's stock firmware"):
        stockheader.check_ours(made.run)


# --- the score ---

LEVELS = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 3, 5)


def test_score_by_hand() -> None:
    """Sums of 10^(-figure / 10): -10 dB is the middle of the first band, -20 and 0 its levels."""
    figures = np.array([[-10.0, -25.0], [-20.0, -25.0], [-5.0, -25.0], [-10.0, -35.0], [-10.0, -10.0]])
    found = scored(Errors(10 ** (-figures / 10), np.zeros(5), np.zeros(5)), LEVELS)
    np.testing.assert_allclose(found.figures, figures, atol=1e-9)
    np.testing.assert_allclose(found.score, [0, 1, 0.5, 2, 1.5], atol=1e-9)
    assert found.too_low[1:4].tolist() == [[True, False], [False, False], [False, True]]


def test_the_undefined_row_is_left_out_of_the_score_and_allowed_for_on_the_console() -> None:
    errors = Errors(np.array([[9.0, 1.0]]), np.array([1.0]), np.zeros(1))
    assert errors.figures.tolist() == [[pytest.approx(-10 * np.log10(9)), 0.0]]
    assert errors.console.tolist() == [[pytest.approx(-10.0), 0.0]]
    assert LEVELS.console == (Band(-20.5, -10.5, -0.5), Band(-30.0, -25.0, -15.0))


def test_errors_are_those_of_the_images_before_int8(made: Made) -> None:
    """As the firmware: the model sees truncated pixels, its output is compared with the floats they were made of."""
    detector = StockDetector(made.bundle)
    windows = made.dataset.validation_windows[:3]
    spec = made.bundle.spec
    pair = np.stack(stock_images(windows), axis=1)
    rebuilt = detector.model.rebuilt(pixels_of(pair, spec.input_scale))
    off = [
        float(sum((rebuilt[0, 1] - pair[0, 1]).ravel() ** 2)),
        float(sum((rebuilt[0, 0, 1:] - pair[0, 0, 1:]).ravel() ** 2)),
    ]
    found = detector.score_windows(windows)
    assert found.figures[0].tolist() == pytest.approx([-10 * np.log10(off[1]), -10 * np.log10(off[0])])


def test_a_loud_window_wraps_as_on_the_device(made: Made) -> None:
    loud = (100 * made.dataset.validation_windows[:2]).astype(np.float32)
    found = StockDetector(made.bundle).score_windows(loud)
    assert (found.wrapped > 0).all()
    assert (found.score > 1).all()
    assert StockDetector(made.bundle).score_windows(made.dataset.validation_windows).wrapped.max() == 0


def test_levels_let_through_about_what_was_asked_for(made: Made) -> None:
    wide = stock_quantize_at(made, 0.2)
    share = (StockDetector(wide).score_windows(made.dataset.validation_windows).score >= 1).mean()
    assert 0.08 < share < 0.35
    strict = made.bundle.calibration  # 1 %
    for one, two in zip(wide.calibration.bands, strict.bands, strict=True):
        assert two.low_db < one.low_db < one.high_db < two.high_db


def stock_quantize_at(made: Made, rate: float) -> StockBundle:
    from gyrovae_tf.learn.run import Run
    from gyrovae_tf.learn.stock_quantize import stock_detector

    run = Run.load(made.run)
    return stock_detector(run, load_dataset(run), made.bundle.model, false_alarm_rate=rate)


def test_quantising_again_gives_the_same(made: Made) -> None:
    from gyrovae_tf.learn.run import Run

    run = Run.load(made.run)
    images = int8_images(made.dataset.train_windows, made.dataset.spec)
    chosen = np.linspace(0, len(images) - 1, min(300, len(images))).round().astype(int)
    again = to_int8(run.keras_model(), images[chosen], input_scale=made.dataset.spec.input_scale)
    assert again == made.bundle.model


@pytest.mark.parametrize(
    "bad",
    [
        {"scalogram": {"low_db": 0.0, "middle_db": 0.0, "high_db": 1.0}},
        {"field": {"low_db": float("nan"), "middle_db": 0.0, "high_db": 1.0}},
        {"row_db": "0"},
        {"false_alarm_rate": 0},
        {"vote_alarms": 6},
        {"extra": 1},
        {"field": {"low_db": 0.0}},
    ],
)
def test_an_unusable_calibration_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(GyrovaeError):
        StockCalibration.from_dict({**LEVELS.to_dict(), **bad})
    assert StockCalibration.from_dict(json.loads(json.dumps(LEVELS.to_dict()))) == LEVELS


def test_ratios_are_one_at_the_levels() -> None:
    band = Band(-12.0, -10.0, -4.0)
    found: NDArray[np.float64] = np.array([-12.0, -11.0, -10.0, -7.0, -4.0])
    assert ratios_of(found, band).tolist() == [1.0, 0.5, 0.0, 0.5, 1.0]


# --- evaluation ---


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    recording(seed=2, seconds=30).write(folder / "normal.csv")
    recording(seed=3, seconds=30, gain=3.0).write(folder / "loud.csv")
    return folder


def test_evaluate_tells_what_the_console_prints(made: Made, recordings: Path) -> None:
    found = gt.evaluate(made.run, normal=[recordings / "normal.csv"], anomalies={"loud": [recordings / "loud.csv"]})
    assert found.auroc["loud"] > 0.9
    assert found.baseline_auroc is not None
    assert found.console is not None
    assert found.console.bands == dict(zip(("scalogram", "field"), made.bundle.calibration.console, strict=True))
    told = found.console.motion["loud"]
    assert told.too_low["scalogram"] > 0.5
    assert told.middle_db["scalogram"] < found.console.motion["normal"].middle_db["scalogram"]
    record = json.loads(json.dumps(found.to_dict()))
    assert record["frontend"] == "stock"
    assert record["console"]["bands"]["field"]["low_db"] == made.bundle.calibration.field.low_db


def test_evaluate_in_shards_gives_the_same(made: Made, recordings: Path) -> None:
    tested = {"normal": [recordings / "normal.csv"], "anomalies": {"loud": [recordings / "loud.csv"]}}
    assert gt.evaluate(made.run, **tested, shard_rows=2000, long_bytes=1000) == gt.evaluate(made.run, **tested)


def test_a_fleet_is_scored_with_what_the_console_tells(made: Made, recordings: Path, tmp_path: Path) -> None:
    """The detector's own scores and votes; its two figures name no axis and no band, so there are no reasons."""
    names = [recordings / "loud.csv", recordings / "normal.csv"]
    done = gt.score_recordings(made.run, names, tmp_path / "s.csv", shard_rows=2000, long_bytes=1000)
    rows = [line.split(",") for line in (tmp_path / "s.csv").read_text().splitlines()[1:]]
    detector, calibration = StockDetector(made.bundle), made.bundle.calibration
    expected: list[list[str]] = []
    for path in names:
        windows, origins = cut_samples([Recording.read(path)], window=256, hop=128)
        scores = detector.score_windows(windows).score
        events = vote(scores >= 1, calibration.vote_alarms, calibration.vote_windows, stride=2)
        for start, score, event in zip(origins[:, 1].tolist(), scores.tolist(), events.tolist(), strict=True):
            verdicts = [str(score >= 1).lower(), str(event).lower()]
            expected.append([str(path), "0", str(start), str(start / 200), str(score), *verdicts, *[""] * 5])
    assert rows == expected
    assert [device.name for device in done.devices] == ["loud.csv", "normal.csv"]
    assert (done.devices[0].status, done.devices[0].why) == ("bad", "")


def test_evaluate_is_told_which_front_end_to_expect(made: Made, tiny: Any, recordings: Path) -> None:
    words = ["--normal", str(recordings / "normal.csv"), "--json"]
    asked = CliRunner().invoke(cli, ["evaluate", str(made.run), "--frontend", "stock", *words])
    assert asked.exit_code == 0
    assert asked.stdout == CliRunner().invoke(cli, ["evaluate", str(made.run), *words]).stdout
    for run, frontend, received in ((made.run, "power", "stock"), (tiny.run.path, "stock", "power")):
        with pytest.raises(GyrovaeError, match=f"another front end; expected {frontend}, received {received}"):
            gt.evaluate(run, normal=[recordings / "normal.csv"], frontend=frontend)
    with pytest.raises(GyrovaeError, match="unknown front end; expected power or stock, received 'scalogram'"):
        gt.evaluate(made.run, normal=[recordings / "normal.csv"], frontend="scalogram")


def test_evaluate_refuses_what_stock_has_not(made: Made, recordings: Path) -> None:
    with pytest.raises(GyrovaeError, match="without --model or --compare"):
        gt.evaluate(made.run, normal=[recordings / "normal.csv"], compare=True)


# --- the report ---


def test_the_report_says_the_alarm_levels(made: Made, recordings: Path, tmp_path: Path) -> None:
    found = gt.report(
        made.run,
        tmp_path / "a.html",
        normal=[recordings / "normal.csv"],
        anomalies={"l<o>ud": [recordings / "loud.csv"]},
    )
    page = (tmp_path / "a.html").read_text()
    for band in made.bundle.calibration.console:
        for level in (band.low_db, band.high_db):
            assert f"{level:.2f}" in page
    assert "l&lt;o&gt;ud" in page
    assert "<script" not in page
    evaluated = gt.evaluate(
        made.run, normal=[recordings / "normal.csv"], anomalies={"l<o>ud": [recordings / "loud.csv"]}
    )
    assert found.summary["auroc"] == evaluated.auroc
    assert found.summary["alarm_rate"]["normal"] == evaluated.false_alarm_rate
    assert found.summary["synthetic"] is False


def test_a_report_on_recordings_that_were_trained_on(made: Made, recordings: Path, tmp_path: Path) -> None:
    learnt = made.dataset.train_windows[:40]
    path = tmp_path / "again.csv"
    gt.Recording(learnt.reshape(-1, 3), 200.0, tuple((n * 256, n * 256 + 256) for n in range(40)), "again").write(path)
    for normal, share in ((path, 1.0), (recordings / "normal.csv", 0.0)):
        found = gt.report(made.run, tmp_path / "a.html", normal=[normal], anomalies={"loud": [recordings / "loud.csv"]})
        assert found.summary["learnt"] == {"normal": share, "loud": 0.0}
        evaluated = gt.evaluate(made.run, normal=[normal], anomalies={"loud": [recordings / "loud.csv"]})
        assert evaluated.learnt == found.summary["learnt"]
        untried = found.summary["verdict"]["headline"] == "Not tried: some of these recordings were trained on"
        assert untried == bool(share)


def test_a_report_without_recordings_makes_changes_up(made: Made, tmp_path: Path) -> None:
    said = run_cli("report", made.run, "-o", tmp_path / "a.html", "--json")
    found = json.loads(said)
    assert found["synthetic"] is True
    assert found["frontend"] == "stock"
    assert "stillness" in found["auroc"]
    assert "computed changes" in (tmp_path / "a.html").read_text()
    assert "normal windows raise an alarm" in run_cli("report", made.run, "-o", tmp_path / "a.html")


# --- the benchmark ---


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> dict[str, Any]:
    """The stock firmware on a machine at 200 Hz, and on one that it could not have recorded."""
    folder = tmp_path_factory.mktemp("measured")
    machine, slow = folder / "machine", folder / "slow"
    recording().write(machine / "normal" / "train.csv")
    for place in ("normal/test.csv", "anomaly/loud/a.csv"):
        (machine / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(recordings / ("normal.csv" if "normal" in place else "loud.csv"), machine / place)
    split = {"split": {"normal_train": ["train.csv"], "normal_test": ["test.csv"]}}
    (machine / "meta.json").write_text(json.dumps(split))
    Recording(np.zeros((500, 3)), 50.0, ((0, 500),), "a").write(slow / "normal" / "train.csv")
    (slow / "meta.json").write_text(json.dumps({"split": {"normal_train": ["train.csv"]}}))
    return gt.benchmark([machine, slow], folder / "out", seeds=1, frontend="stock", options=tiny_options())


def test_the_benchmark_measures_what_the_console_can_tell(measured: dict[str, Any]) -> None:
    fine, refused = measured["datasets"]
    assert measured["frontend"] == fine["frontend"] == "stock"
    assert "the stock firmware samples at 200 Hz" in refused["error"]
    methods = fine["methods"]
    assert {"int8", "as printed", "scalogram alone", "field alone", "mahalanobis"} <= set(methods)
    for name in ("int8", "as printed", "scalogram alone"):
        assert methods[name]["kinds"]["loud"] > 0.9
    assert methods["int8"]["bytes"] <= 64 * 1024
    assert fine["window"] == 256
    assert json.loads(json.dumps(measured)) == measured


def test_front_end_work_by_hand() -> None:
    """Filter: 1 + 2 + ... + 200, then 56 times 200; wavelets: 32 samples times 4 s + 1 for the scales 2 to 17."""
    filtered = 200 * 201 // 2 + 56 * 200
    transform = 32 * sum(4 * scale + 1 for scale in range(2, 18))
    assert macs() == 3 * (filtered + transform)


def test_check_knows_the_stock_models_input(made: Made) -> None:
    found = gt.check(made.run)
    assert [finding for finding in found.findings if finding.severity == "error"] == []
    assert found.golden is None
    assert [f.rule for f in gt.check(made.bundle.model).findings if f.severity == "error"] == ["interface"]


# --- the header ---


def test_the_header_is_what_the_firmware_includes(made: Made, tmp_path: Path) -> None:
    text = gt.stock_header(made.run, tmp_path / "nn_model.h")
    assert (tmp_path / "nn_model.h").read_text() == text
    assert "Nothing in app_main.cpp has to be edited." in text
    assert f"unsigned int nn_model_tflite_len = {len(made.bundle.model)};" in text
    assert "const unsigned" not in text
    inside = text[text.index("= {") : text.index("};")]
    assert bytes(int(word, 16) for word in re.findall(r"0x([0-9a-f]{2}),", inside)) == made.bundle.model


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_the_header_compiles_as_the_firmware_uses_it(made: Made, tmp_path: Path, standard: str) -> None:
    gt.stock_header(made.bundle, tmp_path / "nn_model.h")
    (tmp_path / "main.cpp").write_text(
        """#include <cstdint>
#include <cstdio>
#include "nn_model.h"
#include "nn_model.h"
int main() {
    void* model = reinterpret_cast<void*>(nn_model_tflite);  // as app_main.cpp has it: refused for a const array
    std::printf("%u %u %.4s %u", nn_model_tflite_len, static_cast<unsigned>(sizeof(nn_model_tflite)),
                static_cast<char*>(model) + 4, static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(model) % 16));
}
"""
    )
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["g++", *flags, "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    size = len(made.bundle.model)
    assert said == f"{size} {size} TFL3 0"


def test_other_constants_are_lines_to_edit() -> None:
    assert stockheader.edits(DEFAULTS) == []
    assert stockheader.edits(StockConstants(mean=(0.0, 0.5, 9.8), bins=32)) == [
        "#define GEDAD_MTF_BINS 32",
        "#define GEDAD_MEAN \\",
        "    { 0.0, 0.5, 9.8 }",
    ]


def test_other_constants_stand_in_the_header(made: Made) -> None:
    spec = StockSpec(StockConstants(std=(1.0, 2.0, 3.0)), made.bundle.spec.input_scale)
    text = gt.stock_header(dataclasses.replace(made.bundle, spec=spec))
    assert "have to stand in place" in text
    assert "//     #define GEDAD_STD { 1.0, 2.0, 3.0 }\n" in text  # whole, without the sign in front
    assert "\\\n" not in text  # a comment must not swallow the next line


# --- the commands ---


def run_cli(*args: object) -> str:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*args: object) -> str:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 2
    return result.output


def test_the_way_by_commands(tmp_path: Path, recordings: Path) -> None:
    recording().write(tmp_path / "normal.csv")
    data, run, header = tmp_path / "dataset", tmp_path / "run", tmp_path / "nn_model.h"
    assert "stock firmware" in run_cli("preprocess", tmp_path / "normal.csv", "-o", data, "--frontend", "stock")
    run_cli("train", data, "-o", run, "--epochs", 1)
    quantised = run_cli("quantize", run)
    assert '"Predict results: a b"' in quantised
    calibration = StockBundle.load(run).calibration
    assert f"a <= {calibration.console[0].low_db:.2f}" in quantised
    told = run_cli("evaluate", run, "--normal", recordings / "normal.csv", "--anomaly", f"loud={recordings}/loud.csv")
    assert f"b >= {calibration.field.high_db:.2f}" in told
    assert json.loads(run_cli("evaluate", run, "--normal", recordings / "normal.csv", "--json"))["frontend"] == "stock"
    assert "nn_model_tflite" in run_cli("emit-header", run, "-o", header, "--flavour", "stock")
    assert header.read_text() == gt.stock_header(run)
    assert "stock" in run_cli("info", run)
    assert "kept" in run_cli("info", run)  # the contract, with its own input scale
    assert "trained for Seeed's stock firmware" in refused("emit-header", run, "-o", header)
    assert "--mode qat" in refused("quantize", run, "--mode", "qat")
    assert "--tilt" in refused("quantize", run, "--tilt")
    assert "--golden" in refused("emit-header", run, "--flavour", "stock", "--golden")
    assert "--prefix" in refused("emit-header", run, "--flavour", "stock", "--prefix", "m")


def test_constants_from_a_file(tmp_path: Path) -> None:
    recording().write(tmp_path / "normal.csv")
    (tmp_path / "constants.json").write_text('{"mean": [0, 0, 9.8]}')
    words = ("preprocess", tmp_path / "normal.csv", "-o", tmp_path / "d", "--frontend", "stock", "--stock-constants")
    said = run_cli(*words, tmp_path / "constants.json")
    assert "app_main.cpp" in said
    assert "{ 0.0, 0.0, 9.8 }" in said
    found = json.loads(run_cli(*words, "fit", "--json"))
    assert any("GEDAD_STD" in line for line in found["edits"])
    assert "no.json" in refused(*words, tmp_path / "no.json")
    (tmp_path / "constants.json").write_text('{"gain": 1}')
    assert "unknown stock constants: gain" in refused(*words, tmp_path / "constants.json")


@pytest.mark.parametrize("option", [("--window", 128), ("--lsb", 0.01)])
def test_what_the_stock_firmware_fixes_cannot_be_chosen(tmp_path: Path, option: tuple[object, ...]) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n")
    assert str(option[0]) in refused(
        "preprocess", tmp_path / "a.csv", "-o", tmp_path / "d", "--frontend", "stock", *option
    )


def test_stock_constants_are_for_the_stock_front_end(tmp_path: Path) -> None:
    assert "only with --frontend stock" in refused("preprocess", "a.csv", "-o", tmp_path, "--stock-constants", "fit")


def test_a_power_run_is_refused_as_stock(tiny: object, tmp_path: Path) -> None:
    run = tiny.run.path  # type: ignore[attr-defined]
    said = refused("emit-header", run, "-o", tmp_path / "nn_model.h", "--flavour", "stock")
    assert "trained for our own firmware" in said
    assert "--frontend stock" in said
