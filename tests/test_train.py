"""Training: what the VAE minimises, when it stops, what it refuses, and that a stopped run ends as if it never was."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Tiny, tiny_options
from gyrovae_tf.cli.main import cli
from numpy.typing import NDArray

from gyrovae_tf import bundle as bundle_files
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import kerasfile, npz
from gyrovae_tf.learn import run as records
from gyrovae_tf.learn import train as module
from gyrovae_tf.learn.dataset import Dataset, preprocess
from gyrovae_tf.learn.engine import keras, tf
from gyrovae_tf.learn.latent import carries, check_latent, latent_use, linear_gain
from gyrovae_tf.learn.quantize import BUNDLE, quantize
from gyrovae_tf.learn.report import report
from gyrovae_tf.learn.run import Options, Run
from gyrovae_tf.learn.train import train
from gyrovae_tf.learn.vae import VAE, Architecture, export_graph, to_float, unit_divergence
from gyrovae_tf.recording import Recording
from gyrovae_tf.runtime import Detector

COLUMNS = ["epoch", "loss", "error", "kl", "val_loss", "val_error", "val_kl"]
PIXELS = 32 * 32 * 3  # of one image


def log(run: Path) -> list[dict[str, float]]:
    text = (run / "log.csv").read_text()
    rows = csv.DictReader(io.StringIO(text))
    assert rows.fieldnames == COLUMNS
    return [{name: float(value) for name, value in row.items()} for row in rows]


def vae(**changes: Any) -> VAE:
    """A small VAE with drawn weights, ready for its steps."""
    settings = {"beta": 2.0, "warm_up_steps": 4, "free_nats": 0.0, "seed": 1, **changes}
    keras.utils.set_random_seed(7)
    made = VAE(Architecture(latent=3), **settings)
    made.build((None, 2, 32, 32, 3))
    made.compile(optimizer=keras.optimizers.Adam(1e-3))
    return made


def pictures(count: int = 8, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, (count, 2, 32, 32, 3)).astype(np.float32)


# --- what is minimised -----------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_run_s_folder_may_have_a_name_that_is_not_utf8(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"d\xfcse")
    run = train(tiny.dataset, folder, options=tiny_options(epochs=1))
    assert list((folder / "tensorboard").glob("events*"))
    assert [layer.name for layer in run.keras_model().layers] == [layer.name for layer in tiny.run.keras_model().layers]


def test_it_is_a_keras_model_with_its_own_step() -> None:
    assert issubclass(VAE, keras.Model)
    assert VAE.train_step is not keras.Model.train_step
    assert VAE.test_step is not keras.Model.test_step


def test_the_divergence_by_hand() -> None:
    assert unit_divergence(0.0, 0.0).numpy() == 0.0
    assert unit_divergence(2.0, 0.0).numpy() == 2.0
    assert unit_divergence(0.0, float(np.log(4.0))).numpy() == pytest.approx((4 - np.log(4) - 1) / 2)


@pytest.mark.parametrize("free_nats", [0.0, 0.5])
def test_the_validation_loss_is_the_negative_evidence_lower_bound(free_nats: float) -> None:
    """Per pixel, of both images together, with unit variance; Kingma and Welling (2014), appendix B."""
    model, images = vae(free_nats=free_nats), pictures()
    mean, log_variance = (np.asarray(part, np.float64) for part in model.encode(images))
    assert mean.shape == log_variance.shape == (8, 2, 3)
    decoded = np.asarray(model.decode(tf.constant(mean, tf.float32)))
    assert decoded.shape == images.shape
    squared = ((images - decoded) ** 2).sum(axis=(1, 2, 3, 4)).mean()
    units = (-0.5 * (1 + log_variance - mean**2 - np.exp(log_variance))).mean(axis=0)
    divergence = np.maximum(units, free_nats).sum()
    told = {name: float(value) for name, value in model.test_step(images).items()}
    assert told["error"] == pytest.approx(squared / (2 * PIXELS), rel=1e-5)
    assert told["kl"] == pytest.approx(divergence, rel=1e-5)
    assert told["loss"] == pytest.approx((0.5 * squared + 2.0 * divergence) / (2 * PIXELS), rel=1e-5)


def test_beta_rises_over_the_warm_up() -> None:
    model = vae()
    for step in range(7):
        for metric in model.metrics:
            metric.reset_state()
        told = {name: float(value) for name, value in model.train_step(pictures(seed=step)).items()}
        beta = 2.0 * min(step / 4, 1)
        assert told["loss"] == pytest.approx(0.5 * told["error"] + beta * told["kl"] / (2 * PIXELS), rel=1e-6)


def test_a_step_draws_by_seed_and_step_alone() -> None:
    first, second, other = vae(), vae(), vae(seed=2)
    for model in (first, second, other):
        model.train_step(pictures())
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_the_exported_graph_decodes_the_mean() -> None:
    model, images = vae(), pictures()
    exported = export_graph(model.architecture, model)
    assert isinstance(exported, keras.Model)
    assert [layer.name for layer in exported.layers if "log_variance" in layer.name] == []
    scalogram, field = exported([images[:, 0], images[:, 1]])
    together = model(images)
    assert np.asarray(scalogram) == pytest.approx(np.asarray(together[:, 0]), abs=1e-6)
    assert np.asarray(field) == pytest.approx(np.asarray(together[:, 1]), abs=1e-6)


def test_pixels_become_standard_deviations_exactly() -> None:
    assert to_float(np.array([-128, -1, 0, 1, 127], np.int8)).tolist() == [-4.0, -1 / 32, 0.0, 1 / 32, 127 / 32]


# --- a run -----------------------------------------------------------------------------------------------------


def test_a_run_learns_and_says_so(tiny: Tiny) -> None:
    rows = log(tiny.run.path)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[0]["loss"] > rows[1]["loss"] > rows[2]["loss"]
    assert rows[0]["val_error"] > rows[2]["val_error"]
    assert np.isfinite([list(row.values()) for row in rows]).all()
    metrics = tiny.run.metrics
    best = min(rows, key=lambda row: row["val_loss"])
    assert (metrics["epochs"], metrics["best_epoch"]) == (3, best["epoch"])
    assert (metrics["validation_loss"], metrics["validation_error"]) == (best["val_loss"], best["val_error"])
    assert metrics["latent"].keys() == {"scalogram", "field"}


def test_tensorboard_shows_the_log(tiny: Tiny) -> None:
    found: dict[tuple[str, int], float] = {}
    events = sorted((tiny.run.path / "tensorboard").glob("events.out.tfevents.*"))
    assert events
    for path in events:
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    expected = {(name, int(row["epoch"])): np.float32(row[name]) for row in log(tiny.run.path) for name in COLUMNS[1:]}
    assert found == expected


def test_a_run_is_read_as_it_was_written(tiny: Tiny) -> None:
    read = Run.load(tiny.run.path)
    assert read == tiny.run
    assert read.options == tiny_options()
    assert read.architecture == Architecture()
    assert read.load_dataset().digest == tiny.dataset.digest
    assert os.fspath(read) == str(tiny.run.path)
    record = json.loads((tiny.run.path / "run.json").read_text())
    assert record["finished"] is True
    assert {"tensorflow", "tf_keras", "numpy", "python"} <= record["versions"].keys()


def test_the_saved_model_is_the_one_that_was_measured(tiny: Tiny) -> None:
    images = to_float(tiny.dataset.validation_images)
    decoded = tiny.run.keras_model()([images[:, 0], images[:, 1]])
    error = np.mean([np.square(images[:, i] - np.asarray(decoded[i])).mean() for i in range(2)])
    assert error == pytest.approx(tiny.run.metrics["validation_error"], rel=1e-5)


def test_progress_is_told_up_to_the_end(tiny_dataset: Dataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    options = tiny_options(epochs=2, steps_per_epoch=15, learning_rate=2e-2)
    train(tiny_dataset, tmp_path / "run", options=options, progress=lambda *words: seen.append(words))
    assert [done for done, _, _ in seen] == [10, 15, 25, 30]
    assert {total for _, total, _ in seen} == {30}
    assert seen[-1][2] == f"validation loss {log(tmp_path / 'run')[0]['val_loss']:.4f}"


def test_training_stops_when_held_back_windows_no_longer_gain(tiny_dataset: Dataset, tmp_path: Path) -> None:
    options = tiny_options(epochs=60, steps_per_epoch=10, learning_rate=2e-2, patience=1)
    run = train(tiny_dataset, tmp_path / "run", options=options)
    losses = [row["val_loss"] for row in log(run.path)]
    assert len(losses) < 60
    assert losses[:-1] == sorted(losses[:-1], reverse=True)  # each better than the one before,
    assert losses[-1] >= losses[-2]  # until the last
    assert (run.metrics["epochs"], run.metrics["best_epoch"]) == (len(losses), len(losses) - 1)
    images = to_float(tiny_dataset.validation_images)
    decoded = run.keras_model()([images[:, 0], images[:, 1]])
    error = np.mean([np.square(images[:, i] - np.asarray(decoded[i])).mean() for i in range(2)])
    assert error == pytest.approx(log(run.path)[-2]["val_error"], rel=1e-5)  # the best weights, not the last


# --- trainings that fail ---------------------------------------------------------------------------------------


def unfinished(run: Path) -> None:
    """A run that cannot be taken for a trained one, and can be started again."""
    assert json.loads((run / "run.json").read_text())["finished"] is False
    assert not (run / "model.keras").exists()
    with pytest.raises(GyrovaeError, match=r"did not end\nContinue it: gyrovae-tf train .* --resume"):
        Run.load(run)
    with pytest.raises(GyrovaeError, match="did not end"):
        quantize(run)


def test_a_collapsed_latent_space_fails_the_training(tiny_dataset: Dataset, tmp_path: Path) -> None:
    options = tiny_options(beta=1e5, epochs=2)
    with pytest.raises(GyrovaeError, match="carries nothing") as caught:
        train(tiny_dataset, tmp_path / "run", options=options)
    assert "beta" in str(caught.value)
    unfinished(tmp_path / "run")
    with pytest.raises(GyrovaeError, match="carries nothing"):
        train(tiny_dataset, tmp_path / "run", resume=True)
    unfinished(tmp_path / "run")


def test_windows_that_all_look_alike_are_no_collapse(tmp_path: Path) -> None:
    """A machine at one steady speed: no code can tell its windows apart, and none has to."""
    times = np.arange(3000)[:, None] / 100
    samples = np.sin(2 * np.pi * times * [12.5, 25, 12.5])
    steady = Recording(samples, 100.0, ((0, 3000),), "steady")
    dataset = preprocess([steady], tmp_path / "steady", window=64)
    words = ["train", str(dataset.path), "-o", str(tmp_path / "run"), "--epochs", "1"]
    told = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert told.exit_code == 0
    assert "note: normal windows look alike but for noise" in told.output
    run = Run.load(tmp_path / "run")
    assert not any(carries(use) for use in run.metrics["latent"].values())
    assert all(0 <= gain < 0.1 for gain in run.metrics["alike"].values())
    assert run.metrics["alike"].keys() == {"scalogram", "field"}
    detector = Detector(quantize(run, mode="ptq"))
    assert (detector.score_windows(dataset.validation_windows).score < 1).all()
    assert (detector.score_windows(dataset.validation_windows // 2).score > 1).all()  # half as loud
    assert "normal windows look alike but for noise" in report(run, tmp_path / "report.html").path.read_text()


def test_a_diverging_loss_fails_the_training(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"diverged in epoch 1: .*\n.*learning-rate"):
        train(tiny_dataset, tmp_path / "run", options=tiny_options(learning_rate=1.0, beta=3e38))
    unfinished(tmp_path / "run")
    assert not (tmp_path / "run" / "state.npz").exists()


@pytest.mark.parametrize(
    ("use", "wrong"),
    [
        ({"kl": [0.15, 0.05], "error": 1.0, "shuffled_error": 1.01}, None),
        ({"kl": [0.15, 0.04], "error": 1.0, "shuffled_error": 2.0}, "posterior collapse"),
        (
            {"kl": [5.0, 5.0], "error": 1.0, "shuffled_error": 1.009},
            r"nothing about held-back windows(.|\n)*Record longer",
        ),
        ({"kl": [float("nan")], "error": 1.0, "shuffled_error": 2.0}, "posterior collapse"),
    ],
)
def test_what_counts_as_carrying(use: dict[str, Any], wrong: str | None) -> None:
    assert carries(use) is (wrong is None)
    nothing = {"kl": [0.0], "error": 1.0, "shuffled_error": 1.0}
    if wrong is None:
        assert check_latent({"scalogram": nothing, "field": use}, lambda: pytest.fail("need not be known")) == {}
    else:
        for most in ({"scalogram": 0.1, "field": 0.0}, {"scalogram": 0.0, "field": float("inf")}):
            with pytest.raises(GyrovaeError, match=wrong):
                check_latent({"scalogram": nothing, "field": use}, most.copy)
        little = {"scalogram": 0.099, "field": 0.0}
        assert check_latent({"scalogram": nothing, "field": use}, little.copy) == little


def test_what_there_is_to_tell_of_windows() -> None:
    """Windows of two pixels: the first swings by 3, the second by 1, and a code of one unit holds the first."""

    def windows(*pairs: tuple[int, int]) -> NDArray[np.int8]:
        images = np.zeros((len(pairs), 32, 32, 3), np.int8)
        images[:, 0, 0, 0], images[:, 4, 5, 1] = np.transpose(pairs)
        return images

    known = windows((3, 1), (3, -1), (-3, 1), (-3, -1))
    # From its own code a window lacks the second pixel, 1 squared; from that of the one half the set away it is also 6
    # off in the first: 37 times the error, 36 more.
    assert linear_gain(known, windows((3, 1), (3, -1), (-3, 1), (-3, -1)), 1) == pytest.approx(36)
    assert linear_gain(known, windows((3, 1), (-3, -1), (3, -1), (-3, 1)), 1) == pytest.approx(0)  # the same codes
    assert linear_gain(known, known, 2) > 1e6  # nothing is lacking
    assert linear_gain(known, windows((0, 0), (0, 0)), 2) == 0.0  # nothing to tell


def test_noise_has_nothing_to_tell_and_two_speeds_have() -> None:
    random = np.random.default_rng(0)
    images = random.normal(0, 32, (120, 32, 32, 3)).clip(-90, 90).astype(np.int8)
    assert 0 < linear_gain(images[:60], images[60:], 4) < 0.01
    images[::2, :16] += 32
    assert linear_gain(images[:60], images[61:], 4) > 0.05


def test_what_the_latent_space_of_a_dead_encoder_carries(tiny_dataset: Dataset) -> None:
    model = vae()
    for layer in model.encoder.layers:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    for use in latent_use(model, tiny_dataset.validation_images).values():
        assert use["kl"] == [0.0, 0.0, 0.0]
        assert use["error"] == use["shuffled_error"] > 0


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is not usable; expected at least 1, received 0"),
        ({"batch": 0}, "batch"),
        ({"patience": 0}, "patience"),
        ({"steps_per_epoch": -5}, "steps_per_epoch"),
        ({"epochs": 2.5}, "epochs is not usable; expected a whole number, received 2.5"),
        ({"epochs": True}, "epochs"),
        ({"batch": "32"}, "batch is not usable; expected a whole number, received '32'"),
        ({"batch": 8193}, "batch is not usable; expected at most 8192, received 8193"),
        ({"warm_up_steps": -1}, "warm_up_steps"),
        ({"seed": -1}, "seed is not usable; expected at least 0, received -1"),
        ({"seed": 1 << 32}, "seed"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": 1.5}, "learning_rate is not usable; expected above 0, at most 1, received 1.5"),
        ({"beta": float("inf")}, "beta"),
        ({"beta": -1.0}, "beta"),
        ({"free_nats": -0.1}, "free_nats"),
        ({"free_nats": float("nan")}, "free_nats"),
    ],
    ids=str,
)
def test_options_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        Options(**change)


@pytest.mark.parametrize(
    "change", [{"latent": 0}, {"patch_channels": -8}, {"code_channels": 1.5}, {"decoder_channels": 1 << 20}], ids=str
)
def test_an_architecture_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(GyrovaeError, match=f"{next(iter(change))} is not usable"):
        Architecture(**change)


def test_a_dataset_in_memory_only(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match="in memory only"):
        train(dataclasses.replace(tiny_dataset, path=None), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten_unasked(tiny: Tiny, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tiny.run.path.rglob("*") if path.is_file()}
    with pytest.raises(GyrovaeError, match="holds a run already\nContinue it with --resume"):
        train(tiny.dataset, tiny.run.path, options=tiny_options())
    assert {path: path.read_bytes() for path in tiny.run.path.rglob("*") if path.is_file()} == before
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(GyrovaeError, match="holds other files"):
        train(tiny.dataset, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwriting_leaves_nothing_of_the_old_run(tiny: Tiny, tmp_path: Path) -> None:
    """Stopped before its first epoch is over: all that is left is the new record."""
    run = tiny.copy(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(tiny.dataset, run, options=tiny_options(seed=3), overwrite=True, progress=interrupt(after=10))
    assert [path.name for path in run.iterdir()] == ["run.json"]
    assert json.loads((run / "run.json").read_text())["options"]["seed"] == 3


def test_nothing_to_resume(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match="holds no run to resume"):
        train(tiny_dataset, tmp_path / "run", resume=True)
    assert list(tmp_path.iterdir()) == []


def test_resuming_a_finished_run_changes_nothing(tiny: Tiny) -> None:
    before = {path: path.read_bytes() for path in tiny.run.path.rglob("*") if path.is_file()}
    assert train(tiny.dataset, tiny.run.path, resume=True) == tiny.run
    assert train(tiny.dataset, tiny.run.path, options=tiny_options(), resume=True) == tiny.run
    assert {path: path.read_bytes() for path in tiny.run.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": tiny_options(seed=1, epochs=9)}, "other settings: epochs, seed"),
        ({"architecture": Architecture(latent=5)}, "other settings: latent"),
    ],
)
def test_resuming_with_other_settings(tiny: Tiny, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        train(tiny.dataset, tiny.run.path, resume=True, **settings)


def test_resuming_on_another_dataset(tiny: Tiny, tmp_path: Path) -> None:
    images = tiny.dataset.train_images.copy()
    images[0, 0, 0, 0, 0] ^= 1
    other = dataclasses.replace(tiny.dataset, train_images=images).save(tmp_path / "other")
    with pytest.raises(GyrovaeError, match="started on another dataset"):
        train(other, tiny.run.path, resume=True)


# --- damage ----------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return tiny.copy(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 9}, "schema version .* expected 1, received 9"),
        ({"dataset": 3}, "dataset is missing or of a wrong kind"),
        ({"dataset_digest": None}, "dataset_digest"),
        ({"options": []}, "options"),
        ({"options": {"epochs": 3, "colour": "red"}}, "malformed: .*colour"),
        ({"options": {"epochs": "3"}}, "epochs"),
        ({"architecture": {"latent": 0}}, "latent"),
        ({"architecture": {"depth": 3}}, "malformed: .*depth"),
        ({"metrics": None}, "metrics"),
        ({"model_sha256": 5}, "model_sha256"),
        ({"finished": "yes"}, "finished"),
        ({"finished": False}, "did not end"),
    ],
    ids=str,
)
def test_a_damaged_record(copy: Path, change: dict[str, Any], message: str) -> None:
    record = json.loads((copy / "run.json").read_text()) | change
    (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(GyrovaeError, match=message):
        Run.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"{}"])
def test_a_record_that_is_none(copy: Path, content: bytes) -> None:
    (copy / "run.json").write_bytes(content)
    for attempt in (Run.load, quantize):
        with pytest.raises(GyrovaeError):
            attempt(copy)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"is not a run; expected a folder with run.json"):
        Run.load(tmp_path)
    with pytest.raises(GyrovaeError, match="there is no"):
        Run.load(tmp_path / "missing")


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "missing"])
def test_a_damaged_model(copy: Path, damage: str) -> None:
    path = copy / "model.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # a bit of a weight
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-100], "flipped": content, "emptied": b""}[damage])
    with pytest.raises(GyrovaeError, match=r"model.keras.*\nTrain again"):
        Run.load(copy).keras_model()


def test_a_run_is_where_it_was_though_the_working_directory_changes(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    run = Run.load(copy.name)
    assert (str(run.path), os.fspath(run)) == (copy.name, copy.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert os.fspath(run) == str(copy)
    assert len(run.keras_model().inputs) == 2
    assert pickle.loads(pickle.dumps(run)) == run
    assert os.fspath(pickle.loads(pickle.dumps(run))) == str(copy)


def test_a_model_of_another_keras(copy: Path) -> None:
    """A file whose hash is right and whose content this Keras cannot read."""
    with zipfile.ZipFile(copy / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    run = dataclasses.replace(Run.load(copy), model_sha256=records.sha256_of(copy / "model.keras"))
    with pytest.raises(GyrovaeError, match=r"cannot load .*model.keras"):
        run.keras_model()


def test_a_dataset_that_changed_or_went_away(copy: Path) -> None:
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {"dataset_digest": "0" * 64}))
    with pytest.raises(GyrovaeError, match=r"is not the dataset that .* expected digest 0000000000000000"):
        Run.load(copy).load_dataset()
    shutil.rmtree(copy.parent / "dataset")
    message = (
        r"there is no .*dataset, the dataset that .*run was trained on\nMove or copy the run together with its dataset"
    )
    with pytest.raises(GyrovaeError, match=message):
        Run.load(copy).load_dataset()


def test_a_run_and_its_dataset_move_together(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny.copy(tmp_path / "moved" / "here")
    assert Run.load(run).dataset == tmp_path / "moved" / "here" / "dataset"
    (tmp_path / "link").symlink_to(run)  # a link elsewhere to the run does not lose its dataset
    assert Run.load(tmp_path / "link").load_dataset().digest == tiny.dataset.digest
    monkeypatch.chdir(run)
    assert Run.load(".").load_dataset().digest == tiny.dataset.digest


def test_the_remedy_of_a_stopped_run_names_its_dataset(copy: Path) -> None:
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {"finished": False}))
    with pytest.raises(GyrovaeError) as caught:
        Run.load(copy)
    assert caught.value.remedy == f"Continue it: gyrovae-tf train {copy.parent / 'dataset'} -o {copy} --resume"


# --- stopping and going on -------------------------------------------------------------------------------------


def interrupt(*, after: int) -> Callable[[int, int, str], None]:
    """A progress bar that presses Ctrl-C when that many steps are done."""

    def press(done: int, _total: int, _what: str) -> None:
        if done >= after:
            raise KeyboardInterrupt

    return press


def same_run(one: Path, other: Path) -> None:
    """Exactly the same log, metrics and weights."""
    assert (one / "log.csv").read_bytes() == (other / "log.csv").read_bytes()
    for name in ("baseline.npz", "learnt.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    first, second = Run.load(one), Run.load(other)
    assert first.metrics == second.metrics
    pairs = list(zip(first.keras_model().get_weights(), second.keras_model().get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert len(pairs) == 18


@pytest.fixture(scope="module")
def stopped(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared training, stopped by Ctrl-C in its second epoch."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, run, options=tiny_options(), progress=interrupt(after=40))
    return run


def test_ctrl_c_and_resume_end_as_an_uninterrupted_run(tiny: Tiny, stopped: Path, tmp_path: Path) -> None:
    unfinished(stopped)
    assert len(log(stopped)) == 1
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    train(tiny.dataset, run, resume=True)
    same_run(run, tiny.run.path)
    assert quantize(run, mode="ptq").model == tiny.bundle.model


@pytest.mark.parametrize("damage", ["cut", "emptied", "no zip", "other arrays", "other shapes", "bits"])
def test_a_damaged_state(tiny: Tiny, stopped: Path, tmp_path: Path, damage: str) -> None:
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    content = (run / "state.npz").read_bytes()
    arrays = npz.load(run / "state.npz", remedy="")
    if damage == "other arrays":
        npz.save(run / "state.npz", {"a": np.zeros(3)})
    elif damage == "other shapes":
        npz.save(run / "state.npz", arrays | {"weight_0": np.zeros(3)})
    else:
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        bad = {"cut": content[:-1000], "emptied": b"", "no zip": b"\0" * len(content), "bits": bytes(flipped)}
        (run / "state.npz").write_bytes(bad[damage])
    with pytest.raises(GyrovaeError, match=r"state.npz is .*\nStart again with --overwrite"):
        train(tiny.dataset, run, resume=True)


def test_any_flipped_byte_of_an_array_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    stored = {"a": np.arange(40, dtype=np.float32), "b": np.array(3)}
    npz.save(path, stored)
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        for mask in (1, 0x20, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= mask
            path.write_bytes(damaged)
            try:
                found = npz.load(path, remedy="")
            except GyrovaeError as error:
                assert "arrays.npz is damaged" in error.problem  # noqa: PT017
                refused += 1
            else:  # a date or another field that says nothing about the arrays
                assert all(np.array_equal(value, stored[name]) for name, value in found.items() if name in stored)
    assert refused > len(content)  # of three times as many


CHILD = """
import json, sys, time
from gyrovae_tf.learn.run import Options
from gyrovae_tf.learn.train import train

def progress(done, total, what):
    if done > 30:  # in the second epoch
        time.sleep(600)

train(sys.argv[1], sys.argv[2], options=Options(**json.loads(sys.argv[3])), progress=progress)
"""


@pytest.mark.slow
def test_a_killed_process_and_resume_end_as_an_uninterrupted_run(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = json.dumps(dataclasses.asdict(tiny_options()))
    command = [sys.executable, "-c", CHILD, str(tiny.dataset.path), str(run), options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 120
        while not (run / "state.npz").is_file():
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    unfinished(run)
    train(tiny.dataset, run, options=tiny_options(), resume=True)
    same_run(run, tiny.run.path)
    assert quantize(run, mode="ptq").model == tiny.bundle.model


WRITES = (
    *("run.json", "log.csv", "state.npz", "log.csv", "state.npz"),
    *("baseline.npz", "learnt.npz", "model.keras", "run.json"),
)
"""What a training of two epochs writes, in this order."""


@pytest.fixture(scope="module")
def two_epochs(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    return train(tiny_dataset, tmp_path_factory.mktemp("two") / "run", options=tiny_options(epochs=2)).path


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(WRITES)), ids=lambda n: f"{n} {WRITES[n]}")
def test_a_stop_before_any_write_loses_nothing(
    tiny_dataset: Dataset, two_epochs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    written: list[str] = []

    def write(path: Path, content: bytes | str, write: Any = module.atomic_write) -> None:
        if len(written) == number:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, content)

    run = tmp_path / "run"
    for place in (module, bundle_files, npz, kerasfile):
        monkeypatch.setattr(place, "atomic_write", write)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, run, options=tiny_options(epochs=2))
    monkeypatch.undo()
    assert tuple(written) == WRITES[:number]
    train(tiny_dataset, run, options=tiny_options(epochs=2), resume=(run / "run.json").exists())
    same_run(run, two_epochs)


@pytest.mark.slow
def test_the_seed_decides_every_byte(tiny: Tiny, tmp_path: Path) -> None:
    """And leaves the draws of who called it alone."""
    drawn = []
    for folder in (None, tmp_path / "again"):
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002
        if folder is not None:
            again = train(tiny.dataset, folder, options=tiny_options())
        drawn.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    same_run(again.path, tiny.run.path)
    bundle = quantize(again, mode="ptq")
    assert bundle.model == tiny.bundle.model
    assert bundle.calibration == tiny.bundle.calibration
    assert (again.path / BUNDLE / "manifest.json").read_bytes() == (
        tiny.run.path / BUNDLE / "manifest.json"
    ).read_bytes()
    other = train(tiny.dataset, tmp_path / "other", options=tiny_options(seed=1))
    assert (other.path / "log.csv").read_bytes() != (again.path / "log.csv").read_bytes()
    assert quantize(other, mode="ptq").model != tiny.bundle.model


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "tf.config.threading.set_intra_op_parallelism_threads(3); tf.zeros(3) + 1;"])
def test_a_process_that_used_tensorflow_before_is_on_record(tiny: Tiny, tmp_path: Path, before: str) -> None:
    """As its sums may be added up in another order, and give other last bits."""
    program = (
        f"import tensorflow as tf; {before} import gyrovae_tf as gt; from gyrovae_tf.learn.options import Options; "
        f"options = Options(epochs=1, steps_per_epoch=1, batch=8); "
        f"import gyrovae_tf.learn.train as module; module.check_latent = lambda *_: {{}}; "
        f"gt.train({str(tiny.dataset.path)!r}, {str(tmp_path / 'run')!r}, options=options)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert Run.load(tmp_path / "run").metrics.get("threads") == (3 if before else None)


@pytest.mark.slow
def test_another_architecture_goes_the_whole_way(tiny: Tiny, tmp_path: Path) -> None:
    small = Architecture(latent=3, patch_channels=8, code_channels=8, decoder_channels=4)
    run = train(tiny.dataset, tmp_path / "run", options=tiny_options(), architecture=small)
    assert Run.load(run).architecture == small
    assert len(quantize(run, mode="ptq").model) < len(tiny.bundle.model)


def test_motion_that_never_varies_is_refused(tmp_path: Path) -> None:
    """A still sensor, unplugged or on a machine that stands: there is nothing to learn."""
    from gyrovae_tf.recording import Recording

    still = Recording(np.tile([0.0, 0.0, 9.8], (4000, 1)), 100.0, ((0, 4000),), "still", lsb=0.01)
    with pytest.raises(GyrovaeError, match="no motion on any axis"):
        preprocess([still], tmp_path / "dataset", window=64)
    assert not (tmp_path / "dataset").exists()
