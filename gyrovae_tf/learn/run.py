"""What a training run is: its folder and its record."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf.arguments import path_of
from gyrovae_tf.bundle import POWER, check_frontend, check_schema, frontend_of, read_json
from gyrovae_tf.errors import GyrovaeError, read_file
from gyrovae_tf.learn import kerasfile
from gyrovae_tf.learn.dataset import Dataset
from gyrovae_tf.learn.options import Options
from gyrovae_tf.learn.stock_data import StockDataset
from gyrovae_tf.learn.vae import Architecture

SCHEMA_VERSION = 1
MARKER = "run.json"
MODEL = "model.keras"
LARGEST_MODEL = 1 << 30


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
    frontend: str = POWER
    """Whose images it was trained on: "power", or "stock"."""
    _folder: Path = dataclasses.field(init=False, repr=False, compare=False)
    """`path` as it was meant when the run was read or made."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_folder", self.path.absolute())

    def __fspath__(self) -> str:
        """The folder: a run may stand wherever its path may, also when the working directory is another by now."""
        return str(self.path if self.path.absolute() == self._folder else self._folder)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Run:
        """Read a folder that `train` finished; `GyrovaeError` when it is none or its training did not end."""
        folder = path_of(path, "this is no run", "a gyrovae_tf.Run, or the path of its folder")
        record = read_record(folder)
        if not record["finished"]:
            raise GyrovaeError(
                f"the training in {folder} did not end",
                remedy=f"Continue it: gyrovae-tf train {dataset_of(folder, record)} -o {folder} --resume",
            )
        return run_of(folder, record)

    def keras_model(self) -> Any:
        """The flat Functional model of tf_keras (Keras 2), not compiled: two images in, two reconstructions out.

        All are float32 [b, 32, 32, 3], in standard deviations: `[images[:, 0] / 32, images[:, 1] / 32]` of int8 images
        [b, 2, 32, 32, 3], or a batch of `Dataset.tf_data`. The codes are the outputs of the layers "scalogram_mean" and
        "field_mean" (`tf_keras.Model(model.inputs, model.get_layer(name).output)`; not `tf.keras`, which is Keras 3).
        `GyrovaeError` when the file is gone, damaged or was replaced.
        """
        path = Path(self) / MODEL
        content = read_file(path, largest=LARGEST_MODEL, remedy="Train again, where the run was removed.")
        found = hashlib.sha256(content).hexdigest()
        if found != self.model_sha256:
            raise GyrovaeError(
                f"{path} is damaged or was replaced",
                expected=f"sha256 {self.model_sha256}",
                received=found,
                remedy="Train again.",
            )
        try:
            return kerasfile.load(path, content)
        except ValueError as error:  # another version of tf-keras wrote it
            raise GyrovaeError(f"cannot load {path}: {error}", remedy="Train again.") from None

    def load_dataset(self) -> Dataset:
        """The dataset that it was trained on; `GyrovaeError` when that has moved or changed."""
        check_frontend({"frontend": self.frontend}, POWER, self.path)
        self.check_there()
        dataset = Dataset.load(self.dataset)
        self.check_dataset(dataset.digest)
        return dataset

    def check_there(self) -> None:
        """Refuse a run whose dataset is gone: it was left behind, or removed."""
        if not self.dataset.exists():
            raise GyrovaeError(
                f"there is no {self.dataset}, the dataset that {self.path} was trained on",
                remedy="Move or copy the run together with its dataset, or preprocess the same recordings with the "
                "same options again, there.",
            )

    def check_dataset(self, digest: str) -> None:
        """Refuse a dataset whose digest is not that of the one that it was trained on."""
        if digest != self.dataset_digest:
            raise GyrovaeError(
                f"{self.dataset} is not the dataset that {self.path} was trained on",
                expected=f"digest {self.dataset_digest[:16]}",
                received=digest[:16],
                remedy="Train again on it, or preprocess the first recordings again.",
            )


def sha256_of(path: Path) -> str:
    """A file of a run in, the SHA-256 of its bytes out, in hexadecimal."""
    return hashlib.sha256(read_file(path, largest=LARGEST_MODEL, remedy="Train again.")).hexdigest()


def read_record(folder: Path) -> dict[str, Any]:
    """A run's folder in, its record out; `GyrovaeError` when it is none, of another version or malformed."""
    if not (folder / MARKER).is_file():
        raise GyrovaeError(
            f"{folder} is not a run" if folder.exists() else f"there is no {folder}",
            expected=f"a folder with {MARKER}",
            remedy="Make one: gyrovae-tf train DATASET/ -o RUN/",
        )
    check_links(folder)
    record = read_json(folder / MARKER, remedy="It is damaged: train again, with --overwrite.")
    fields = {
        **dict.fromkeys(("dataset", "dataset_digest", "model_sha256"), str),
        **dict.fromkeys(("options", "architecture", "metrics"), dict),
        "finished": bool,
    }
    check_schema(record, SCHEMA_VERSION, folder)
    for name, kind in fields.items():
        if not isinstance(record.get(name), kind):
            raise GyrovaeError(f"{folder / MARKER} is malformed: {name} is missing or of a wrong kind")
    return record


def check_links(folder: Path) -> None:
    """Refuse a run that holds symbolic links: what is written into it would end up elsewhere."""
    links = [entry.name for entry in folder.iterdir() if entry.is_symlink()]
    if links:
        raise GyrovaeError(f"{folder} holds symbolic links: {', '.join(sorted(links))}", remedy="Put the files there.")


def run_of(folder: Path, record: dict[str, Any]) -> Run:
    """A run's folder and its record in, the `Run` out."""
    try:
        options, architecture = Options(**record["options"]), Architecture(**record["architecture"])
    except TypeError as error:
        raise GyrovaeError(f"{folder / MARKER} is malformed: {error}") from None
    return Run(
        path=folder,
        dataset=dataset_of(folder, record),
        dataset_digest=record["dataset_digest"],
        options=options,
        architecture=architecture,
        metrics=record["metrics"],
        model_sha256=record["model_sha256"],
        frontend=frontend_of(record),
    )


def dataset_of(folder: Path, record: dict[str, Any]) -> Path:
    """Where the run's record says that its dataset is: it is relative to the run, so that both may move together."""
    return Path(os.path.normpath(folder.resolve() / record["dataset"]))


def relative(path: Path, start: Path) -> str:
    """`path` as seen from `start`; itself where no way leads there (another drive)."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return str(path)


def check_same(
    record: dict[str, Any],
    data: Dataset | StockDataset,
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
