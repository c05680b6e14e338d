"""Killed at any moment: what is on disk is what was there before or all of what is new, and training goes on.

Each command is run over and over in a process that is killed (SIGKILL) after a time that is drawn anew each time,
from before it writes anything to after its end.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forked
import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny

from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from one that has imported everything"),
]
KILLS = 100
SEEDS = (1, 2)


@dataclass(frozen=True)
class End:
    killed: bool
    seconds: float


def run(target: Callable[..., object], place: Path, *rest: object, after_s: float) -> End:
    """Call target(place, ...) in a process that is killed after a time, unless it has ended."""
    begun = place / "begun"
    process = forked.start(_begin, target, place, *rest)
    while not begun.exists() and not forked.ended(process, 0.001):
        pass
    began = time.monotonic()
    forked.ended(process, after_s)
    code = forked.end(process)
    begun.unlink()
    assert code in (0, -signal.SIGKILL), code
    return End(code != 0, time.monotonic() - began)


def _begin(target: Callable[..., object], place: Path, *rest: object) -> None:
    """Times count from here."""
    (place / "begun").touch()
    target(place, *rest)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and its content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


Content = Callable[[], Any]


def undisturbed(write: Callable[..., object], place: Path, wanted: Sequence[Any], content: Content) -> tuple[Any, Any]:
    """Call it for each that is wanted, undisturbed: what is on disk after each, and how many seconds each took."""
    states, seconds = {}, []
    for one in wanted:
        end = run(write, place, one, after_s=100)
        assert not end.killed
        states[one] = content()
        seconds.append(end.seconds)
    assert states[wanted[0]] != states[wanted[1]]
    return states, seconds


def disturbed(
    write: Callable[..., object], place: Path, wanted: Sequence[Any], seconds: list[float], kills: int
) -> Iterator[tuple[Any, bool]]:
    """Call it for what is wanted by turns until so many calls were cut short: after each, what for, and whether it was.

    Half are killed anywhere in the time that it took lately, for a machine is not always as fast as at first, half
    near its end, where files are written. The more in a row have not come to an end, the more time they are given.
    """
    rng, cut, row = np.random.default_rng(1), 0, 0
    for number in range(10 * kills):
        took = float(np.median(seconds[-5:])) * 1.1**row
        after_s = rng.uniform(0, 1.2 * took) if rng.random() < 0.5 else rng.uniform(0.6 * took, 1.3 * took)
        one = wanted[number % 2]
        end = run(write, place, one, after_s=float(after_s))
        if end.killed:
            cut, row = cut + 1, row + 1
        else:
            seconds.append(end.seconds)
            row = 0
        yield one, end.killed
        if cut == kills:
            return
    raise AssertionError("it ended before the most of the kills")


def replaced(
    write: Callable[..., object], place: Path, output: str, wanted: tuple[object, object], kills: int = KILLS
) -> None:
    """A command that writes the folder or file `output`, killed over and over while it puts one version in the place
    of another: always one of the two is there, whole."""

    def content() -> Any:
        path = place / output
        return tree(path) if path.is_dir() else path.read_bytes()

    states, seconds = undisturbed(write, place, wanted, content)
    before, outcomes = content(), set()
    for one, _ in disturbed(write, place, wanted, seconds, kills):
        found = content()
        assert found in (before, states[one])
        if before != states[one]:
            outcomes.add("old" if found == before else "new")
        before = found
    assert outcomes == {"old", "new"}


def _preprocess(place: Path, hop: int) -> None:
    from gyrovae_tf.learn.dataset import preprocess

    preprocess([place / "normal.csv"], place / "dataset", window=TINY_WINDOW, hop=hop)


def test_preprocess(tmp_path: Path) -> None:
    simulate(TINY_MACHINE, seconds=30, seed=1).write(tmp_path / "normal.csv")
    replaced(_preprocess, tmp_path, "dataset", (32, 48))


def _quantize(place: Path, rate: float) -> None:
    """The command itself, with what it computes, seconds in which nothing is written, known already."""
    from gyrovae_tf.learn import quantize as library

    known = Bundle.load(place / "known.gyrovae")
    made = dataclasses.replace(known, calibration=dataclasses.replace(known.calibration, false_alarm_rate=rate))
    library.candidates = lambda *_: []  # type: ignore[assignment]
    library.choose = lambda _: None  # type: ignore[assignment,return-value]
    library.detector = lambda *_, **__: made  # type: ignore[assignment]
    library.quantize(place / "run", mode="ptq", false_alarm_rate=rate)


def test_quantize(tiny: Tiny, tmp_path: Path) -> None:
    tiny.copy(tmp_path)
    tiny.bundle.save(tmp_path / "known.gyrovae")
    replaced(_quantize, tmp_path, "run/detector.gyrovae", (0.01, 0.02))
    assert Bundle.load(tmp_path / "run").calibration.false_alarm_rate in (0.01, 0.02)


def _header(place: Path, rate: float) -> None:
    from gyrovae_tf.cgen import emit_header

    made = Bundle.load(place / "known.gyrovae")
    calibration = dataclasses.replace(made.calibration, false_alarm_rate=rate)
    emit_header(dataclasses.replace(made, calibration=calibration), place / "nn_model.h", golden=True)


def _image(place: Path, threshold: float) -> None:
    from gyrovae_tf.flash import write_image

    made = Bundle.load(place / "known.gyrovae")
    calibration = dataclasses.replace(made.calibration, threshold=threshold)
    write_image(dataclasses.replace(made, calibration=calibration), place / "detector.bin")


def test_emit_header_and_flash_image(tiny: Tiny, tmp_path: Path) -> None:
    tiny.bundle.save(tmp_path / "known.gyrovae")
    replaced(_header, tmp_path, "nn_model.h", (0.01, 0.02), 20)
    replaced(_image, tmp_path, "detector.bin", (1.0, 2.0), 20)


def _export(place: Path, precision: str) -> None:
    from gyrovae_tf.learn import export as library

    library.to_precision = lambda *_: b"    TFL3 another model"  # type: ignore[assignment]  # seconds without writing
    library.tflite.describe = lambda _: SimpleNamespace(macs=0, op_names=())  # type: ignore[assignment,return-value]
    library.export(place / "run", precision=precision, output=place / "model.tflite")


def test_export(tiny: Tiny, tmp_path: Path) -> None:
    tiny.copy(tmp_path)
    replaced(_export, tmp_path, "model.tflite", ("int8", "float32"), 20)


def _report(place: Path, hop: int) -> None:
    from gyrovae_tf.learn import report as library

    library.gather = lambda *_, **rest: SimpleNamespace(data=None, bundle=None, hop=rest["hop"])  # type: ignore[assignment,return-value]
    library.checks = lambda *_: ()  # type: ignore[assignment]
    library.judge = lambda *_: None  # type: ignore[assignment,return-value]
    library.page = lambda figures, *_: "<!DOCTYPE html>" + f"{figures.hop} " * 2_000_000  # type: ignore[assignment,attr-defined]
    library._summary = lambda *_: {}  # type: ignore[assignment]
    library.report(place / "run", place / "report.html", hop=hop)


def test_report(tiny: Tiny, tmp_path: Path) -> None:
    tiny.copy(tmp_path)
    replaced(_report, tmp_path, "report.html", (32, 48), 20)


def _benchmark(place: Path, seed: int) -> None:
    from gyrovae_tf.learn import benchmark as library
    from gyrovae_tf.learn.run import Options

    library._one = lambda *_: {"figures": list(range(50_000))}  # type: ignore[assignment]  # hours without writing
    library.benchmark([place / "fan"], place / "benchmark", seeds=1, options=Options(seed=seed))


def test_benchmark(tmp_path: Path) -> None:
    (tmp_path / "fan").mkdir()
    split = {"normal_train": ["a.csv"], "normal_test": ["b.csv"]}
    (tmp_path / "fan" / "meta.json").write_text(json.dumps({"split": split}))
    replaced(_benchmark, tmp_path, "benchmark/benchmark.json", (1, 2), 20)


def _score(place: Path, hop: int) -> None:
    """Anew, whatever interrupted work has left; going on with it is tested in test_scoring.py."""
    from gyrovae_tf.scoring import score_recordings

    score_recordings(place / "known.gyrovae", [place / "normal.csv"], place / "s.csv", hop=hop)


def test_score(tiny: Tiny, tmp_path: Path) -> None:
    tiny.bundle.save(tmp_path / "known.gyrovae")
    simulate(TINY_MACHINE, seconds=20, seed=1).write(tmp_path / "normal.csv")
    replaced(_score, tmp_path, "s.csv", (32, 48), 20)


def _demo(place: Path, seed: int) -> None:
    """With seconds of motion. What training and quantising write is tested by itself, and evaluating writes nothing:
    what they give is known already."""
    from gyrovae_tf.learn import demo as library

    library._NORMAL_S, library._TEST_S, library._FAULT_S = 30.0, 8.0, 4.0
    library.train = lambda *_, **__: SimpleNamespace(path=place / "run")  # type: ignore[assignment]
    library.quantize = lambda *_, **__: Bundle.load(place / "known.gyrovae")  # type: ignore[assignment]
    library.evaluate = lambda *_, **__: SimpleNamespace(to_dict=lambda: {"seed": seed})  # type: ignore[assignment]
    library.demo(place / "demo", seed=seed)


def test_demo(tiny: Tiny, tmp_path: Path) -> None:
    """A demo is many files: killed at any moment, the next one takes its place without being told to, and is whole."""

    def content() -> dict[str, bytes]:
        """What it promises; a kill may leave what was being written, under a name that begins with a dot."""
        return {name: data for name, data in tree(tmp_path / "demo").items() if not f"/{name}".count("/.")}

    tiny.bundle.save(tmp_path / "known.gyrovae")
    states, seconds = undisturbed(_demo, tmp_path, SEEDS, content)
    for seed, killed in disturbed(_demo, tmp_path, SEEDS, seconds, 20):
        assert killed or content() == states[seed]
    assert not run(_demo, tmp_path, 1, after_s=100).killed
    assert content() == states[1]


LOADING = threading.Lock()


def _train(place: Path, seed: int, overwrite: bool) -> None:
    """Four short epochs without tracing, resumed where there is something to resume."""
    from gyrovae_tf.learn import train as library
    from gyrovae_tf.learn.engine import tf
    from gyrovae_tf.learn.run import MARKER, Options, read_record

    tf.config.run_functions_eagerly(True)
    library.check_latent = lambda *_: {}  # type: ignore[assignment]  # four steps teach a latent space nothing
    options = Options(epochs=4, steps_per_epoch=1, batch=8, seed=seed)
    resume = (place / "run" / MARKER).is_file() and not overwrite
    if resume:
        options = Options(**read_record(place / "run")["options"])
    library.train(place / "dataset", place / "run", options=options, resume=resume, overwrite=overwrite)


def result(run: Path) -> dict[str, bytes]:
    """What a training comes to: its record and log, and the network's weights (the .keras file holds the time)."""
    from gyrovae_tf.learn.run import Run
    from gyrovae_tf.learn.train import LOG

    loaded = Run.load(run)
    with LOADING:
        weights = b"".join(weight.tobytes() for weight in loaded.keras_model().get_weights())
    return {"log": (run / LOG).read_bytes(), "weights": weights, "metrics": repr(loaded.metrics).encode()}


def test_train_and_resume(tiny: Tiny, tmp_path: Path) -> None:
    """Killed at any moment of a training, of one that goes on, and of one that overwrites a finished run."""
    places = [tmp_path / "one", tmp_path / "other"]
    for place in places:
        tiny.copy(place)
    uninterrupted, took = {}, 0.0
    with ThreadPoolExecutor(2) as pool:
        for seed in SEEDS:
            # Side by side, as those that are killed: each is slower so than alone.
            ends = list(pool.map(lambda place, seed=seed: run(_train, place, seed, True, after_s=100), places))
            uninterrupted[seed], took = result(places[0] / "run"), max(end.seconds for end in ends)
        assert uninterrupted[1] != uninterrupted[2]
        finished = list(pool.map(lambda place: chain(place, uninterrupted, took), places))
    assert min(finished) >= 3


def chain(place: Path, uninterrupted: dict[int, dict[str, bytes]], took: float) -> int:
    """Half of the trainings to be killed, in a folder with the last seed's finished run; how many came to their end."""
    rng, cut, finished, overwrite = np.random.default_rng(len(place.name)), 0, 0, True
    seconds, in_vain = [took], 0
    while cut < KILLS // 2:
        seed, former = SEEDS[finished % 2], SEEDS[(finished + 1) % 2]
        # A machine is not always as fast as at first: after some that were all too slow they get more time.
        longest = 1.2 * float(np.median(seconds[-5:])) * 1.1 ** max(in_vain - 8, 0)
        end = run(_train, place, seed, overwrite, after_s=float(rng.uniform(0, longest)))
        cut += end.killed
        in_vain = in_vain + 1 if end.killed else 0
        if not end.killed:
            seconds.append(end.seconds)
        try:
            found = result(place / "run")
        except GyrovaeError as error:
            if "did not end" not in str(error):
                raise
            overwrite = False
            continue
        if end.killed and overwrite and found == uninterrupted[former]:
            continue  # before it wrote anything
        assert found == uninterrupted[seed], "a training that was interrupted ended elsewhere"
        finished, overwrite = finished + 1, True
    return finished
