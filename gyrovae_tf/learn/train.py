"""A dataset in, a run out: the trained VAE, its logs, and a state from which an interrupted run goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.bundle import check_replaceable, read_json
from gyrovae_tf.errors import GyrovaeError, atomic_write
from gyrovae_tf.learn import baseline, npz
from gyrovae_tf.learn.dataset import Dataset, Progress
from gyrovae_tf.learn.engine import keras, make_reproducible, tf, versions
from gyrovae_tf.learn.vae import BRANCHES, VAE, Architecture, export_graph, unit_divergence
from gyrovae_tf.spec import PIXEL

SCHEMA_VERSION = 1
MARKER = "run.json"
MODEL = "model.keras"
STATE = "state.npz"
LOG = "log.csv"
TENSORBOARD = "tensorboard"
_COLUMNS = ("epoch", "loss", "error", "kl", "val_loss", "val_error", "val_kl")
_LEAST_NATS = 0.2
_LEAST_GAIN = 0.01
_BASELINE_RATE = 0.01


@dataclass(frozen=True)
class Options:
    """How to train; the defaults suit minutes of motion of one machine."""

    epochs: int = 40
    """At the most; an epoch is 100 steps whatever the size of the dataset."""
    batch: int = 64
    """Windows a step, drawn with replacement."""
    learning_rate: float = 2e-3
    """At the start; falls to 0 along half a cosine over all epochs."""
    beta: float = 1.0
    """Weight of the divergence."""
    warm_up_steps: int = 500
    """Steps over which beta rises from 0."""
    free_nats: float = 0.02
    """Divergence of each latent unit that costs nothing."""
    patience: int = 10
    """Epochs without a better validation loss before training stops."""
    seed: int = 0
    """Of every random draw."""

    steps_per_epoch: int = 100
    """Steps between two validations."""

    def __post_init__(self) -> None:
        counts = {"epochs": 1, "batch": 1, "patience": 1, "steps_per_epoch": 1, "warm_up_steps": 0, "seed": 0}
        for name, least in counts.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise GyrovaeError(f"{name} is not usable", expected="a whole number", received=repr(value))
            if value < least:
                raise GyrovaeError(f"{name} is not usable", expected=f"at least {least}", received=value)
        if self.seed >= 1 << 32:
            raise GyrovaeError("seed is not usable", expected="below 2^32", received=self.seed)
        for name in ("learning_rate", "beta"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise GyrovaeError(f"{name} is not usable", expected="above 0", received=value)
        if not (math.isfinite(self.free_nats) and self.free_nats >= 0):
            raise GyrovaeError("free_nats is not usable", expected="0 or more", received=self.free_nats)


@dataclass(frozen=True)
class Run:
    """A trained model in its folder."""

    path: Path
    """The folder."""
    dataset: Path
    """The dataset that it was trained on."""
    dataset_digest: str
    """Digest of that dataset's spec and images."""
    options: Options
    architecture: Architecture
    metrics: dict[str, Any]
    """Figures of the training: best epoch, losses, what the latent space carries."""
    model_sha256: str = ""
    """SHA-256 of the Keras model's file; empty while training."""

    def __fspath__(self) -> str:
        """The folder: a run may stand wherever its path may."""
        return str(self.path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Run:
        """Read a folder that `train` finished; `GyrovaeError` when it is none or its training did not end."""
        folder = Path(path)
        record = _read_record(folder)
        if not record["finished"]:
            raise GyrovaeError(
                f"the training in {folder} did not end",
                remedy=f"Continue it: gyrovae-tf train {_dataset(folder, record)} -o {folder} --resume",
            )
        return _run(folder, record)

    def keras_model(self) -> Any:
        """The flat Functional Keras model: two images [b, 32, 32, 3] in, two reconstructions out."""
        path = self.path / MODEL
        found = sha256_of(path)
        if found != self.model_sha256:
            raise GyrovaeError(
                f"{path} is damaged or was replaced",
                expected=f"sha256 {self.model_sha256}",
                received=found,
                remedy="Train again.",
            )
        try:
            return keras.models.load_model(path, compile=False, safe_mode=True)
        except (OSError, ValueError, KeyError, TypeError) as error:  # another version of tf-keras wrote it
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise GyrovaeError(f"cannot load {path}: {reason}", remedy="Train again.") from None

    def load_dataset(self) -> Dataset:
        """The dataset that it was trained on; `GyrovaeError` when that has moved or changed."""
        dataset = Dataset.load(self.dataset)
        if dataset.digest != self.dataset_digest:
            raise GyrovaeError(
                f"{self.dataset} is not the dataset that {self.path} was trained on",
                expected=f"digest {self.dataset_digest[:16]}",
                received=dataset.digest[:16],
                remedy="Train again on it, or preprocess the first recordings again.",
            )
        return dataset


def train(
    dataset: Dataset | str | PathLike[str],
    output: str | PathLike[str],
    *,
    options: Options | None = None,
    architecture: Architecture | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """A dataset (or its folder) in, a `Run` in the folder `output` out.

    The state is saved after every epoch; after Ctrl-C or a kill, `resume` goes on from there and ends with what an
    uninterrupted run would have ended with (every draw depends on seed and step alone). `GyrovaeError` when `output`
    holds a run and neither `resume` nor `overwrite` is given, when the dataset has changed, when the loss is no
    number, and when the latent space ends up carrying nothing (posterior collapse).
    """
    folder = Path(output)
    data = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset)
    if data.path is None:
        raise GyrovaeError("this dataset is in memory only", remedy="Save it first: dataset = dataset.save(path)")
    check_replaceable(folder, marker=MARKER)
    exists = (folder / MARKER).is_file()
    if exists and resume:
        record = _read_record(folder)
        _check_same(record, data, options, architecture, folder)
        if record["finished"]:
            return _run(folder, record)
    elif exists and not overwrite:
        raise GyrovaeError(
            f"{folder} holds a run already",
            remedy="Continue it with --resume, replace it with --overwrite, or choose another name.",
        )
    elif resume:
        raise GyrovaeError(f"{folder} holds no run to resume", remedy="Leave --resume out.")
    else:
        _remove_old(folder)
        record = {
            "schema_version": SCHEMA_VERSION,
            "dataset": _relative(data.path.resolve(), folder.resolve()),
            "dataset_digest": data.digest,
            "options": dataclasses.asdict(options or Options()),
            "architecture": dataclasses.asdict(architecture or Architecture()),
            "metrics": {},
            "model_sha256": "",
            "versions": versions(),
            "finished": False,
        }
        _write_record(folder, record)
    record["metrics"] = _fit(_run(folder, record), data, progress)
    record["model_sha256"] = sha256_of(folder / MODEL)
    record["finished"] = True
    _write_record(folder, record)
    return _run(folder, record)


def _fit(run: Run, data: Dataset, progress: Progress | None) -> dict[str, Any]:
    """Train to the end and write model and logs; the metrics out."""
    options = run.options
    make_reproducible(options.seed)
    steps = options.epochs * options.steps_per_epoch
    vae = VAE(
        run.architecture,
        beta=options.beta,
        warm_up_steps=options.warm_up_steps,
        free_nats=options.free_nats,
        seed=options.seed,
    )
    vae.build((None, 2, 32, 32, 3))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(options.learning_rate, steps))
    optimizer.build(vae.trainable_variables)
    vae.compile(optimizer=optimizer)
    keeper = _Keeper(run.path, options, progress)
    keeper.restore(vae)
    if not keeper.over:
        vae.fit(
            _batches(data.train_images, options, keeper.epochs_done),
            validation_data=_whole(data.validation_images),
            initial_epoch=keeper.epochs_done,
            epochs=options.epochs,
            steps_per_epoch=options.steps_per_epoch,
            callbacks=[keeper],
            verbose=0,
        )
    vae.set_weights(keeper.best_weights)
    latent = latent_use(vae, data.validation_images)
    check_latent(latent)
    classical = baseline.Mahalanobis.fit(data.train_features, _BASELINE_RATE, data.validation_features)
    classical.save(run.path / baseline.FILE)
    _save_model(export_graph(run.architecture, vae), run.path / MODEL)
    best = keeper.history[keeper.best_epoch]
    return {
        "epochs": len(keeper.history),
        "best_epoch": keeper.best_epoch + 1,
        "validation_loss": best["val_loss"],
        "validation_error": best["val_error"],
        "latent": latent,
    }


class _Keeper(keras.callbacks.Callback):
    """After each epoch: early stopping, logs, and the state that `resume` starts from."""

    def __init__(self, folder: Path, options: Options, progress: Progress | None) -> None:
        super().__init__()
        self._folder = folder
        self._options = options
        self._progress = progress
        self._writer: Any = None
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_weights: list[NDArray[Any]] = []

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    @property
    def over(self) -> bool:
        """Whether the last epoch was reached, or the last better one is too long ago."""
        waited = self.epochs_done - 1 - self.best_epoch
        return self.epochs_done >= self._options.epochs or (self.epochs_done > 0 and waited >= self._options.patience)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if self._progress and ((batch + 1) % 10 == 0 or batch + 1 == self._options.steps_per_epoch):
            done = self.epochs_done * self._options.steps_per_epoch + batch + 1
            note = f"validation loss {self.history[-1]['val_loss']:.4f}" if self.history else "training"
            self._progress(done, self._options.epochs * self._options.steps_per_epoch, note)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {"epoch": float(epoch + 1), **{name: float((logs or {})[name]) for name in _COLUMNS[1:]}}
        if not all(math.isfinite(value) for value in row.values()):
            raise GyrovaeError(
                f"training diverged in epoch {epoch + 1}: the loss is no number",
                remedy="Use a smaller --learning-rate.",
            )
        self.history.append(row)
        if epoch == 0 or row["val_loss"] < self.history[self.best_epoch]["val_loss"]:
            self.best_epoch, self.best_weights = epoch, self.model.get_weights()
        # The log comes first: whatever a kill leaves out of it or puts there too early, `resume` writes again.
        self._log(row)
        self._save()
        self.model.stop_training = self.over

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if self._writer is not None:
            self._writer.close()

    def _log(self, row: dict[str, float]) -> None:
        lines = [",".join(_COLUMNS)]
        lines += [",".join([f"{int(r['epoch'])}", *(repr(r[name]) for name in _COLUMNS[1:])]) for r in self.history]
        atomic_write(self._folder / LOG, "\n".join(lines) + "\n")
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._folder / TENSORBOARD))
            with self._writer.as_default(step=int(row["epoch"])):
                for name in _COLUMNS[1:]:
                    tf.summary.write(name, tf.constant(row[name]), metadata=_scalar_metadata())
            self._writer.flush()
        except tf.errors.OpError as error:  # a full disk, for one
            raise GyrovaeError(
                f"cannot write {self._folder / TENSORBOARD}: {error.message}",
                remedy="Check that the folder may be written to and that the disk is not full.",
            ) from None

    def _save(self) -> None:
        arrays: dict[str, NDArray[Any]] = {f"weight_{i}": value for i, value in enumerate(self.model.get_weights())}
        arrays |= {f"best_{i}": value for i, value in enumerate(self.best_weights)}
        arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(self.model.optimizer.variables)}
        arrays["history"] = np.array([[row[name] for name in _COLUMNS] for row in self.history])
        arrays["best_epoch"] = np.array(self.best_epoch)
        npz.save(self._folder / STATE, arrays)

    def restore(self, vae: VAE) -> None:
        """Put the saved state, if there is one, into model and optimizer."""
        path = self._folder / STATE
        if not path.is_file():
            return
        remedy = "Start again with --overwrite."
        state = npz.load(path, remedy=remedy)
        try:
            count, variables = len(vae.weights), vae.optimizer.variables
            vae.set_weights([state[f"weight_{i}"] for i in range(count)])
            for i, variable in enumerate(variables):
                variable.assign(state[f"optimizer_{i}"])
            self.best_weights = [state[f"best_{i}"] for i in range(count)]
            self.history = [dict(zip(_COLUMNS, map(float, row), strict=True)) for row in state["history"]]
            self.best_epoch = int(state["best_epoch"])
        except (KeyError, TypeError, ValueError) as error:
            raise GyrovaeError(f"{path} is not the state of this run: {error}", remedy=remedy) from None


def _scalar_metadata() -> Any:
    """What makes TensorBoard draw a curve; `tf.summary.scalar` adds it, too, but needs the package tensorboard."""
    metadata = tf.compat.v1.SummaryMetadata
    return metadata(plugin_data=metadata.PluginData(plugin_name="scalars"))


def latent_use(vae: VAE, images: NDArray[np.int8]) -> dict[str, dict[str, Any]]:
    """A trained VAE and held-back images in; for each branch what its code carries out.

    `kl`: divergence of each unit in nats; `error`: squared error a pixel; `shuffled_error`: the same when each window
    is decoded from another window's code (half the set away).
    """
    mean, log_variance, error, shuffled = [], [], [], []
    codes: list[Any] = []
    batches = [to_float(images[start : start + 256]) for start in range(0, len(images), 256)]
    for batch in batches:
        part_mean, part_log_variance = vae.encode(batch)
        mean.append(part_mean)
        log_variance.append(part_log_variance)
    codes = tf.concat(mean, axis=0)
    other = tf.roll(codes, max(len(images) // 2, 1), axis=0)
    for index, batch in enumerate(batches):
        rows = slice(index * 256, index * 256 + len(batch))
        error.append(np.square(batch - vae.decode(codes[rows])).mean(axis=(2, 3, 4)))
        shuffled.append(np.square(batch - vae.decode(other[rows])).mean(axis=(2, 3, 4)))
    units = tf.reduce_mean(unit_divergence(codes, tf.concat(log_variance, axis=0)), axis=0).numpy()
    own, others = np.concatenate(error).mean(axis=0), np.concatenate(shuffled).mean(axis=0)
    return {
        branch: {
            "kl": [float(f"{unit:.6g}") for unit in units[index]],
            "error": float(f"{own[index]:.6g}"),
            "shuffled_error": float(f"{others[index]:.6g}"),
        }
        for index, branch in enumerate(BRANCHES)
    }


def carries(use: dict[str, Any]) -> bool:
    """Whether a branch's code says anything: some divergence, and a worse reconstruction from another's code."""
    return bool(sum(use["kl"]) >= _LEAST_NATS and use["shuffled_error"] >= (1 + _LEAST_GAIN) * use["error"])


def check_latent(latent: dict[str, dict[str, Any]]) -> None:
    """Refuse a model whose code carries nothing in either branch: it would call everything the same."""
    if any(carries(use) for use in latent.values()):
        return
    found = "; ".join(
        f"{branch} {sum(use['kl']):.2f} nats and {100 * (use['shuffled_error'] / use['error'] - 1):.1f} %"
        for branch, use in latent.items()
    )
    raise GyrovaeError(
        "the model's latent space carries nothing (posterior collapse)",
        expected=f"{_LEAST_NATS} nats or more and an error {100 * _LEAST_GAIN:g} % larger from another window's code",
        received=found,
        remedy="Start again (--overwrite) with more --epochs, a smaller --beta, or motion that varies more.",
    )


def sha256_of(path: Path) -> str:
    """A file of a run in, the SHA-256 of its bytes out, in hexadecimal."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GyrovaeError(f"cannot read {path}: {error.strerror}", remedy="Train again.") from None


def to_float(images: NDArray[np.int8]) -> NDArray[np.float32]:
    """int8 pixels in, standard deviations out (exact)."""
    pixels: NDArray[np.float32] = images.astype(np.float32) / np.float32(PIXEL)
    return pixels


def _batches(images: NDArray[np.int8], options: Options, first_epoch: int) -> Any:
    """Endless batches of float images; which ones depends on seed and step alone."""
    pixels = tf.constant(images)

    def batch(step: Any) -> Any:
        seed = tf.stack([tf.cast(options.seed, tf.int64) + 1, step])
        chosen = tf.random.stateless_uniform([options.batch], seed, 0, len(images), tf.int64)
        return tf.cast(tf.gather(pixels, chosen), tf.float32) / PIXEL

    first = first_epoch * options.steps_per_epoch
    last = options.epochs * options.steps_per_epoch
    return tf.data.Dataset.range(first, last).map(batch).prefetch(2)


def _whole(images: NDArray[np.int8]) -> Any:
    return tf.data.Dataset.from_tensor_slices(images).batch(256).map(lambda part: tf.cast(part, tf.float32) / PIXEL)


def _save_model(model: Any, path: Path) -> None:
    """Keras writes in place, and only to names that end in .keras; ours appears whole."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / MODEL)
        atomic_write(path, (Path(folder) / MODEL).read_bytes())


def _remove_old(folder: Path) -> None:
    """Take away what an overwritten run left, state first, so that nothing old can be taken for new."""
    for name in (STATE, MODEL, LOG, MARKER, baseline.FILE):
        (folder / name).unlink(missing_ok=True)
    for old in (folder / TENSORBOARD, *folder.glob("*.gyrovae")):
        shutil.rmtree(old, ignore_errors=True)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    atomic_write(folder / MARKER, json.dumps(record, indent=1, sort_keys=True) + "\n")


def _read_record(folder: Path) -> dict[str, Any]:
    if not (folder / MARKER).is_file():
        raise GyrovaeError(
            f"{folder} is not a run" if folder.exists() else f"there is no {folder}",
            expected=f"a folder with {MARKER}",
            remedy="Make one: gyrovae-tf train DATASET/ -o RUN/",
        )
    record = read_json(folder / MARKER)
    fields = {
        **dict.fromkeys(("dataset", "dataset_digest", "model_sha256"), str),
        **dict.fromkeys(("options", "architecture", "metrics"), dict),
        "finished": bool,
    }
    if record.get("schema_version") != SCHEMA_VERSION:
        raise GyrovaeError(
            f"{folder} has a schema version that this gyrovae-tf does not know",
            expected=SCHEMA_VERSION,
            received=record.get("schema_version"),
        )
    for name, kind in fields.items():
        if not isinstance(record.get(name), kind):
            raise GyrovaeError(f"{folder / MARKER} is malformed: {name} is missing or of a wrong kind")
    return record


def _run(folder: Path, record: dict[str, Any]) -> Run:
    try:
        options, architecture = Options(**record["options"]), Architecture(**record["architecture"])
    except TypeError as error:
        raise GyrovaeError(f"{folder / MARKER} is malformed: {error}") from None
    return Run(
        path=folder,
        dataset=_dataset(folder, record),
        dataset_digest=record["dataset_digest"],
        options=options,
        architecture=architecture,
        metrics=record["metrics"],
        model_sha256=record["model_sha256"],
    )


def _dataset(folder: Path, record: dict[str, Any]) -> Path:
    """Where the run's record says that its dataset is: it is relative to the run, so that both may move together."""
    return Path(os.path.normpath(folder.resolve() / record["dataset"]))


def _relative(path: Path, start: Path) -> str:
    """`path` as seen from `start`; itself where no way leads there (another drive)."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return str(path)


def _check_same(
    record: dict[str, Any],
    data: Dataset,
    options: Options | None,
    architecture: Architecture | None,
    folder: Path,
) -> None:
    """Refuse to resume with another dataset or other settings than the run was started with."""
    if record["dataset_digest"] != data.digest:
        raise GyrovaeError(f"{folder} was started on another dataset", remedy="Start a new run: choose another name.")
    for name, given in (("options", options), ("architecture", architecture)):
        if given is not None and dataclasses.asdict(given) != record[name]:
            changed = [key for key, value in dataclasses.asdict(given).items() if record[name].get(key) != value]
            raise GyrovaeError(
                f"{folder} was started with other settings: {', '.join(changed)}",
                remedy="Resume with the same ones, or start a new run.",
            )
