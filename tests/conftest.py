"""Fixtures that several test files share."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers: the threads of each one's BLAS would wait for the others'
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")

from gyrovae_tf.device.simulate import Machine, simulate

if TYPE_CHECKING:  # TensorFlow takes seconds to import: only what uses the fixtures below waits for it
    from gyrovae_tf.bundle import Bundle
    from gyrovae_tf.learn.dataset import Dataset
    from gyrovae_tf.learn.run import Options, Run
    from gyrovae_tf.learn.stock_data import StockDataset
    from gyrovae_tf.recording import Recording
    from gyrovae_tf.stockbundle import StockBundle

# What a shell runs in the background ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Files go to pytest-xdist's workers in the order below, not by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most slow tests first: what is quick fills the time that one worker would wait for another."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


PROGRAM = [sys.executable, "-m", "gyrovae_tf.cli.main"]
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and golden vectors beside the checkout: required in CI, optional elsewhere."""
    if not (SHARED / "datasets").is_dir():
        message = f"the real recordings are missing: no folder {SHARED / 'datasets'}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return SHARED


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command with these words; what still runs at the end is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: object, **settings: Any) -> subprocess.Popen[str]:
        command = [*PROGRAM, *map(str, words)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> str:
    """The port that `simulate` names."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(scope="session")
def chromium() -> str:
    """A headless browser: required in CI, optional elsewhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    message = "no chromium is installed"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


TINY_MACHINE = Machine(regimes=((1.0, 1.0), (1.3, 1.6)), regime_s=3.0)
TINY_WINDOW = 64


def tiny_options(**changes: object) -> Options:
    """A training of a few seconds that is good enough to pass the collapse guard."""
    from gyrovae_tf.learn.run import Options

    settings = {"epochs": 3, "steps_per_epoch": 30, "batch": 32, "warm_up_steps": 10, "learning_rate": 5e-3}
    return Options(**{**settings, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tiny:
    """A folder with a dataset, the run that was trained on it, and the run's bundle. Not to be changed: copy it."""

    folder: Path
    dataset: Dataset
    run: Run
    bundle: Bundle

    def copy(self, to: Path) -> Path:
        """The same files in another folder, to be damaged; returns the run's path there."""
        shutil.copytree(self.folder, to, dirs_exist_ok=True)
        return to / "run"


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A minute of a simulated machine in windows of 64, saved as <folder>/dataset."""
    from gyrovae_tf.learn.dataset import preprocess

    recording = simulate(TINY_MACHINE, seconds=60, seed=1)
    return preprocess([recording], tmp_path_factory.mktemp("tiny") / "dataset", window=TINY_WINDOW, hop=32)


@pytest.fixture(scope="session")
def tiny(tiny_dataset: Dataset) -> Tiny:
    """The one training that most tests share, quantised with its defaults."""
    from gyrovae_tf.learn.quantize import quantize
    from gyrovae_tf.learn.train import train

    assert tiny_dataset.path is not None
    folder = tiny_dataset.path.parent
    run = train(tiny_dataset, folder / "run", options=tiny_options())
    return Tiny(folder, tiny_dataset, run, quantize(run, mode="ptq"))


def stock_recording(seed: int = 1, seconds: float = 60, gain: float = 1.0) -> Recording:
    """The simulated machine at 200 Hz, as large as the stock firmware's coarse steps ask for."""
    made = simulate(TINY_MACHINE, seconds=seconds, seed=seed)
    mean = made.samples.mean(axis=0)
    return dataclasses.replace(made, samples=mean + 4 * gain * (made.samples - mean), lsb=None)


@dataclass(frozen=True)
class StockTiny:
    """A folder with a dataset for the stock firmware, a run on it, and the run's bundle. Not to be changed: copy it."""

    folder: Path
    dataset: StockDataset
    bundle: StockBundle

    @property
    def run(self) -> Path:
        return self.folder / "run"


@pytest.fixture(scope="session")
def stock_tiny(tmp_path_factory: pytest.TempPathFactory) -> StockTiny:
    """The one training on the stock front end that tests share."""
    from gyrovae_tf.learn.stock_data import stock_preprocess
    from gyrovae_tf.learn.stock_quantize import stock_quantize
    from gyrovae_tf.learn.train import train

    folder = tmp_path_factory.mktemp("stock")
    dataset = stock_preprocess([stock_recording()], folder / "dataset", hop=64)
    train(folder / "dataset", folder / "run", options=tiny_options())
    return StockTiny(folder, dataset, stock_quantize(folder / "run"))
