"""A dataset in, a run out: the trained VAE, its logs, and a state from which an interrupted run goes on."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import check_begin, instance
from gyrovae_tf.bundle import STOCK, check_replaceable, frontend_of, write_json
from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.learn import baseline, kerasfile, learnt, npz, stock_model
from gyrovae_tf.learn import distribute as distributed
from gyrovae_tf.learn.cluster import Cluster
from gyrovae_tf.learn.dataset import EXCERPT, Dataset, Progress
from gyrovae_tf.learn.distribute import MULTIWORKER, Team
from gyrovae_tf.learn.engine import keeps_generators, keras, make_reproducible, tf, threads, versions
from gyrovae_tf.learn.latent import check_latent, latent_use, linear_gain
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.rows import Rows, in_blocks, some_of
from gyrovae_tf.learn.run import (
    MARKER,
    MODEL,
    SCHEMA_VERSION,
    Run,
    check_links,
    check_same,
    read_record,
    relative,
    run_of,
    sha256_of,
)
from gyrovae_tf.learn.stock_data import StockDataset, counts_of
from gyrovae_tf.learn.stored import read_record as read_dataset
from gyrovae_tf.learn.vae import BRANCHES, VAE, Architecture, export_graph
from gyrovae_tf.spec import PIXEL
from gyrovae_tf.stockspec import UNDEFINED_ROWS

STATE = "state.npz"
LOG = "log.csv"
TENSORBOARD = "tensorboard"
_COLUMNS = ("epoch", "loss", "error", "kl", "val_loss", "val_error", "val_kl")
_BASELINE_RATE = 0.01
_BLOCK = 1 << 14  # windows
_ANEW = "Start again with --overwrite."
_TOLD_OF = 512  # windows, training and held-back ones, that a linear code is tried on where the network's says nothing
_VALIDATED = 1 << 13  # held-back windows that the loss is measured on after each epoch, at the most: evenly spaced ones


def train(
    dataset: Dataset | StockDataset | str | PathLike[str],
    output: str | PathLike[str],
    *,
    options: Options | None = None,
    architecture: Architecture | None = None,
    resume: bool = False,
    overwrite: bool = False,
    distribute: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """A dataset (or its folder) in, a `Run` in the folder `output` out.

    The state is saved after every epoch; after Ctrl-C or a kill, `resume` goes on from there and ends with what an
    uninterrupted run would have ended with (every draw depends on seed and step alone). The same data and seed give the
    same weights on a computer, in a process that has not used TensorFlow before: one that has may add up in another
    order (the metric `threads` says on how many threads). TensorFlow's seed and its deterministic kernels stay set in
    this process afterwards.

    `GyrovaeError` when `output` holds a run and neither `resume` nor `overwrite` is given, when both are, when the
    dataset has changed, when the loss is no number, and when the latent space ends up carrying nothing (posterior
    collapse) though there is something to tell; where there is not, as normal windows look alike but for noise, the
    metric `alike` says so (see `check_latent`).

    `distribute` "mirrored" shares each batch out among the GPUs (or else the processors that TensorFlow was told of) of
    this computer, "multiworker" among processes on several, each started with the same arguments and a TF_CONFIG that
    says who is who. The result is that of one process but for the order in which sums are made. The first worker
    alone writes and keeps the state; of the others, the `Run` returned has no metrics. `GyrovaeError` on all workers
    when they were given another dataset or other options, or when one does not come or ends.
    """
    resume, overwrite = check_begin(resume=resume, overwrite=overwrite)
    if options is not None:
        instance(options, "the options are not usable", Options)
    if architecture is not None:
        instance(architecture, "the architecture is not usable", Architecture)
    distributed.check_kind(distribute)
    cluster = distributed.cluster_of(distribute)
    folder = Path(output)
    data = dataset if isinstance(dataset, Dataset | StockDataset) else load(dataset)
    if data.path is None:
        raise GyrovaeError("this dataset is in memory only", remedy="Save it first: dataset = dataset.save(path)")
    if distribute is not None and isinstance(data, StockDataset):
        raise GyrovaeError("training for the stock firmware cannot be distributed", remedy="Leave --distribute out.")
    if cluster is not None and not cluster.is_first:
        return _help(folder, data, options, architecture, cluster, progress)
    check_replaceable(folder, marker=MARKER)
    exists = (folder / MARKER).is_file()
    if exists:
        check_links(folder)
    if exists and resume:
        record = read_record(folder)
        check_same(record, data, options, architecture, folder)
    elif exists and not overwrite:
        raise GyrovaeError(
            f"{folder} holds a run already",
            remedy="Continue it with --resume, replace it with --overwrite, or choose another name.",
        )
    elif resume:
        raise GyrovaeError(f"{folder} holds no run to resume", remedy="Leave --resume out.")
    else:
        record = {
            "schema_version": SCHEMA_VERSION,
            "dataset": relative(data.path.resolve(), folder.resolve()),
            "dataset_digest": data.digest,
            "options": dataclasses.asdict(options or Options()),
            "architecture": dataclasses.asdict(architecture or Architecture()),
            "metrics": {},
            "model_sha256": "",
            "versions": versions(),
            "finished": False,
        }
        if isinstance(data, StockDataset):
            record["frontend"] = STOCK
    goes_on = exists and resume
    state = read_state(folder / STATE) if goes_on and not record["finished"] else b""
    begun = {"dataset": record["dataset_digest"], **{name: record[name] for name in ("options", "architecture")}}
    distributed.meet(cluster, begun, record, state)
    if record["finished"]:
        return run_of(folder, record)
    team = distributed.team_of(distribute, cluster, record["options"]["batch"])
    if not goes_on:
        # State first: with that gone, a record that is new cannot be resumed from what is old.
        (folder / STATE).unlink(missing_ok=True)
        write_json(folder / MARKER, record)
    if not (folder / STATE).is_file():
        _remove_old(folder)
    record["metrics"] = _fit(run_of(folder, record), data, progress, team, state)
    record["model_sha256"] = sha256_of(folder / MODEL)
    record["finished"] = True
    write_json(folder / MARKER, record)
    return run_of(folder, record)


def _help(
    folder: Path,
    data: Dataset | StockDataset,
    options: Options | None,
    architecture: Architecture | None,
    cluster: Cluster,
    progress: Progress | None,
) -> Run:
    """Train with a first worker that has the run, and writes it."""
    assert data.path is not None
    given: dict[str, Any] = {"dataset": data.digest}
    for name, chosen in (("options", options), ("architecture", architecture)):
        given[name] = None if chosen is None else dataclasses.asdict(chosen)
    record, state = distributed.meet(cluster, given, {}, b"")
    mine = {"dataset": relative(data.path.resolve(), folder.resolve()), "metrics": {}, "model_sha256": ""}
    run = run_of(folder, {**record, **mine})
    if not record["finished"]:
        _fit(run, data, progress, distributed.team_of(MULTIWORKER, cluster, run.options.batch), state)
    return run


def read_state(path: Path) -> bytes:
    """The file of a state in, its content out; nothing where there is none yet."""
    if not path.is_file():
        return b""
    content = read_file(path, largest=npz.LARGEST, remedy=_ANEW)
    if not content:
        raise GyrovaeError(f"{path} is damaged: it is empty", remedy=_ANEW)
    return content


def load(path: str | PathLike[str]) -> Dataset | StockDataset:
    """The folder of a dataset of either front end in, the dataset out."""
    return StockDataset.load(path) if frontend_of(read_dataset(path)) == STOCK else Dataset.load(path)


@dataclass(frozen=True)
class _Material:
    """What of a dataset the training needs."""

    batches: Callable[[int], Any]
    """The first epoch in, batches from there on out."""
    validation: Any
    """Batches of the held-back windows."""
    known: NDArray[Any]
    """Images of the training windows."""
    held_back: NDArray[Any]
    """Their images."""
    features: tuple[NDArray[np.float64], NDArray[np.float64]]
    """The baseline's features of training and held-back windows."""
    learnt: tuple[NDArray[Any], ...]
    """All windows of both in counts; none where the dataset did not keep them."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Further metrics of the run."""
    blind_rows: int = 0
    finish: Callable[[Any], Any] = lambda model: model
    """The trained flat model in, the one to keep out."""


def _material(data: Dataset | StockDataset, options: Options) -> _Material:
    if isinstance(data, Dataset):
        held_back = some_of(data.validation_images, _VALIDATED)
        fewer = len(held_back) < len(data.validation_images)
        return _Material(
            lambda first_epoch: _batches(data.train_images, options, first_epoch),
            _whole(held_back),
            data.train_images,
            held_back,
            (some_of(data.train_features, EXCERPT), some_of(data.validation_features, EXCERPT)),
            tuple(windows for windows in (data.train_windows, data.validation_windows) if windows is not None),
            notes={"validated_on": len(held_back)} if fewer else {},
        )
    seen = stock_model.material(data)
    known, kept = (counts_of(windows) for windows in (data.train_windows, data.validation_windows))
    return _Material(
        lambda first_epoch: _batches(seen.train, options, first_epoch),
        tf.data.Dataset.from_tensor_slices(seen.validation).batch(256),
        seen.train[0],
        seen.validation[0],
        (baseline.log_band_energies(known), baseline.log_band_energies(kept)),
        (known, kept),
        blind_rows=UNDEFINED_ROWS,
        finish=lambda model: stock_model.fold(model, seen.standard),
    )


@keeps_generators
def _fit(run: Run, data: Dataset | StockDataset, progress: Progress | None, team: Team, state: bytes) -> dict[str, Any]:
    """Train to the end, from a state where there is one, and write model and logs; the metrics out."""
    options = run.options
    material = _material(data, options)
    make_reproducible(options.seed)
    steps = options.epochs * options.steps_per_epoch
    keeper = _Keeper(run.path, options, progress, writes=team.writes)
    with team.together(), team.scope():
        vae = _network(run, material)
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(options.learning_rate, steps))
        optimizer.build(vae.trainable_variables)
        vae.compile(optimizer=optimizer)
        keeper.restore(vae, state)
        if not keeper.over:
            vae.fit(
                team.batches(material.batches(keeper.epochs_done), options.batch),
                **team.held_back(material.validation),
                initial_epoch=keeper.epochs_done,
                epochs=options.epochs,
                steps_per_epoch=options.steps_per_epoch,
                callbacks=[keeper],
                verbose=0,
            )
    if not team.writes:
        return {}
    if team.strategy is not None:
        vae = _network(run, material)  # on one device, where nobody else is needed
    vae.set_weights(keeper.best_weights)
    latent = latent_use(vae, material.held_back)
    alike = check_latent(latent, lambda: _to_tell(run, material))
    known, held_back = material.features
    classical = baseline.Mahalanobis.fit(known, _BASELINE_RATE, held_back)
    classical.save(run.path / baseline.FILE)
    if material.learnt:
        blocks = (block for windows in material.learnt for block in in_blocks(windows, _BLOCK))
        learnt.Learnt.of(blocks).save(run.path / learnt.FILE)
    kerasfile.save(material.finish(export_graph(run.architecture, vae)), run.path / MODEL)
    best = keeper.history[keeper.best_epoch]
    return {
        "epochs": len(keeper.history),
        "best_epoch": keeper.best_epoch + 1,
        "validation_loss": best["val_loss"],
        "validation_error": best["val_error"],
        **({} if team.kind is None else {"distributed": {"how": team.kind, "replicas": team.replicas}}),
        **({} if threads() == 1 else {"threads": threads()}),
        **material.notes,
        "latent": latent,
        **({"alike": alike} if alike else {}),
    }


def _to_tell(run: Run, material: _Material) -> dict[str, float]:
    """A run and what it trains on in; what there is to tell of its held-back windows, by branch, out."""
    seen, new = (some_of(images, _TOLD_OF) for images in (material.known, material.held_back))
    return {
        branch: float(f"{linear_gain(seen[:, index], new[:, index], run.architecture.latent):.6g}")
        for index, branch in enumerate(BRANCHES)
    }


def _network(run: Run, material: _Material) -> VAE:
    """A run and what it trains on in, its network with weights drawn anew out."""
    options = run.options
    vae = VAE(
        run.architecture,
        beta=options.beta,
        warm_up_steps=options.warm_up_steps,
        free_nats=options.free_nats,
        seed=options.seed,
        blind_rows=material.blind_rows,
    )
    vae.build((None, 2, 32, 32, 3))
    return vae


class _Keeper(keras.callbacks.Callback):
    """After each epoch: early stopping, logs, and the state that `resume` starts from."""

    def __init__(self, folder: Path, options: Options, progress: Progress | None, *, writes: bool) -> None:
        super().__init__()
        self._folder = folder
        self._options = options
        self._progress = progress
        self._writes = writes
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
        state = self._state()  # by all: to read a variable that several workers share takes all of them
        if self._writes:
            # The log comes first: whatever a kill leaves out of it or puts there too early, `resume` writes again.
            self._log(row)
            npz.save(self._folder / STATE, state)
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
                self._writer = tf.summary.create_file_writer(os.fsencode(self._folder / TENSORBOARD))
            with self._writer.as_default(step=int(row["epoch"])):
                for name in _COLUMNS[1:]:
                    tf.summary.write(name, tf.constant(row[name]), metadata=_scalar_metadata())
            self._writer.flush()
        except tf.errors.OpError as error:  # a full disk, for one
            raise GyrovaeError(
                f"cannot write {self._folder / TENSORBOARD}: {error.message}",
                remedy="Check that the folder may be written to and that the disk is not full.",
            ) from None

    def _state(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {f"weight_{i}": value for i, value in enumerate(self.model.get_weights())}
        arrays |= {f"best_{i}": value for i, value in enumerate(self.best_weights)}
        arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(self.model.optimizer.variables)}
        arrays["history"] = np.array([[row[name] for name in _COLUMNS] for row in self.history])
        arrays["best_epoch"] = np.array(self.best_epoch)
        return arrays

    def restore(self, vae: VAE, content: bytes) -> None:
        """Put a saved state, if there is one, into model and optimizer."""
        if not content:
            return
        path = self._folder / STATE
        state = npz.loads(content, path, remedy=_ANEW)
        try:
            count, variables = len(vae.weights), vae.optimizer.variables
            vae.set_weights([state[f"weight_{i}"] for i in range(count)])
            for i, variable in enumerate(variables):
                variable.assign(state[f"optimizer_{i}"])
            self.best_weights = [state[f"best_{i}"] for i in range(count)]
            self.history = [dict(zip(_COLUMNS, map(float, row), strict=True)) for row in state["history"]]
            self.best_epoch = int(state["best_epoch"])
        except (KeyError, TypeError, ValueError) as error:
            raise GyrovaeError(f"{path} is not the state of this run: {error}", remedy=_ANEW) from None


def _scalar_metadata() -> Any:
    """What makes TensorBoard draw a curve; `tf.summary.scalar` adds it, too, but needs the package tensorboard."""
    metadata = tf.compat.v1.SummaryMetadata
    return metadata(plugin_data=metadata.PluginData(plugin_name="scalars"))


def _batches(images: NDArray[np.int8] | tuple[NDArray[Any], NDArray[Any]], options: Options, first_epoch: int) -> Any:
    """Endless batches of float images (or of such and their targets); which ones depends on seed and step alone."""
    pair = tuple(map(tf.constant, images)) if isinstance(images, tuple) else None
    gathered = None if isinstance(images, tuple) else _gatherer(images)
    count = len(images[0]) if isinstance(images, tuple) else len(images)

    def batch(step: Any) -> Any:
        seed = tf.stack([tf.cast(options.seed, tf.int64) + 1, step])
        chosen = tf.random.stateless_uniform([options.batch], seed, 0, count, tf.int64)
        if gathered is None:
            return tuple(tf.gather(part, chosen) for part in pair or ())
        return tf.cast(gathered(chosen), tf.float32) / PIXEL

    first = first_epoch * options.steps_per_epoch
    last = options.epochs * options.steps_per_epoch
    return tf.data.Dataset.range(first, last).map(batch).prefetch(2)


def _gatherer(images: NDArray[np.int8] | Rows) -> Callable[[Any], Any]:
    """Images in; what takes numbers of rows, and gives their pixels, out: from memory, or from the dataset's files."""
    if isinstance(images, Rows):
        shape = (None, *images.shape[1:])
        return lambda rows: tf.ensure_shape(tf.numpy_function(images.__getitem__, [rows], tf.int8), shape)
    pixels = tf.constant(images)
    return lambda rows: tf.gather(pixels, rows)


def _whole(images: NDArray[np.int8]) -> Any:
    return tf.data.Dataset.from_tensor_slices(images).batch(256).map(lambda part: tf.cast(part, tf.float32) / PIXEL)


def _remove_old(folder: Path) -> None:
    """Take away what an overwritten run left, so that nothing old can be taken for new."""
    for name in (MODEL, LOG, baseline.FILE, learnt.FILE):
        (folder / name).unlink(missing_ok=True)
    for old in (folder / TENSORBOARD, *folder.glob("*.gyrovae")):
        shutil.rmtree(old, ignore_errors=True)
