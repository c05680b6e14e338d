"""Models in a process of their own: what they give is the same, and what they do to it is told in words."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from conftest import StockTiny, Tiny
from handmade import source

from gyrovae_tf import isolated, tflite
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.isolated import load
from gyrovae_tf.runtime import KERNELS, Detector, Model, installed
from gyrovae_tf.stockdetector import StockDetector

IMAGES = np.random.default_rng(0).integers(-128, 128, (4, 2, 32, 32, 3)).astype(np.int8)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux shows them")


def children() -> set[str]:
    """Processes of this one that run a model."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            words = (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if parent == str(os.getpid()) and b"isolated.serve" in words:
            found.add(folder.name)
    return found


@pytest.mark.parametrize("kernels", installed())
def test_it_gives_what_it_gives_in_this_process(tiny: Tiny, kernels: str) -> None:
    expected = Model(tiny.bundle.model, kernels).reconstruct(IMAGES)
    found = Model(tiny.bundle.model, kernels, isolate=True).reconstruct(IMAGES)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@linux
def test_its_process_ends_with_it(tiny: Tiny) -> None:
    before = children()
    model = Model(tiny.bundle.model, "litert", isolate=True)
    (process,) = children() - before
    del model
    gc.collect()
    assert process not in children()


@pytest.fixture
def model(tiny: Tiny) -> Model:
    """In a process of its own, by the fastest kernels to load."""
    return Model(tiny.bundle.model, "litert", isolate=True)


def fields(model: Model, images: np.ndarray = IMAGES) -> bytes:
    """What it makes of them, in bytes."""
    return b"".join(part.tobytes() for part in model.reconstruct(images))


def test_a_question_that_is_interrupted_leaves_no_answer_behind(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C does it in a notebook, whose user then asks again."""
    expected, received = fields(model), isolated._received

    def interrupted(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(isolated, "_received", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.reconstruct(IMAGES[:1])
    monkeypatch.setattr(isolated, "_received", received)
    assert fields(model) == expected


@pytest.mark.parametrize("isolate", [True, False])
def test_threads_take_turns(tiny: Tiny, isolate: bool) -> None:
    model = Model(tiny.bundle.model, "litert", isolate=isolate)
    expected = [fields(model, image[None]) for image in IMAGES]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: fields(model, IMAGES[n % 4][None]), range(400)))
    assert found == expected * 100


def test_copies_have_processes_of_their_own(model: Model) -> None:
    expected = fields(model)
    others = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    assert [fields(other) for other in others] == [expected] * 3
    del others
    gc.collect()
    assert fields(model) == expected


@linux
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_detector_has_a_process_of_its_own(
    tiny: Tiny, stock_tiny: StockTiny, copied: Callable[[Any], Any]
) -> None:
    for one in (Detector(tiny.bundle, "litert"), StockDetector(stock_tiny.bundle, "litert")):
        gc.collect()
        before = children()
        other = copied(one)
        (process,) = children() - before
        assert type(other) is type(one)
        assert fields(other.model) == fields(one.model)
        del other
        gc.collect()
        assert process not in children()
        assert len(fields(one.model)) > 0


@linux
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_from_outside_is_started_anew(tiny: Tiny, model: Model, by: signal.Signals) -> None:
    expected, others = fields(model), children()
    model = Model(tiny.bundle.model, "litert", isolate=True)
    for _ in range(3):
        (process,) = children() - others
        os.kill(int(process), by)
        assert fields(model) == expected
    assert process not in children()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forked_processes_have_processes_of_their_own(tiny: Tiny, tmp_path: Path) -> None:
    script = f"""
import os, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from gyrovae_tf.runtime import Model
images = np.load({str(tmp_path / "images.npy")!r})
model = Model(pathlib.Path({str(tmp_path / "model")!r}).read_bytes(), "litert", isolate=True)
def asked(): return b"".join(part.tobytes() for part in model.reconstruct(images))
expected = asked()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(0 if [asked() for _ in range(5)] == [expected] * 5 else 1)
    children.append(child)
same = [asked() for _ in range(5)] == [expected] * 5
print(same, [os.waitpid(child, 0)[1] for child in children], asked() == expected)
"""
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / "model").write_bytes(tiny.bundle.model)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "True [0, 0, 0] True\n"), done.stderr


def test_a_refusal_is_told_as_it_would_be_here() -> None:
    made, entry = source([2, 32, 32, 3])
    odd = made.then("CONCATENATION", entry, made.tensor([1, 7, 3], constant=True), shape=[2, 32, 32, 3])
    content = made.build(odd, made.then("RELU", entry))
    with pytest.raises(GyrovaeError, match=r"LiteRT cannot run this \.tflite: .*CONCATENATION") as here:
        KERNELS["litert"](content, tflite.describe(content))
    with pytest.raises(GyrovaeError, match=r"LiteRT cannot run this \.tflite: .*CONCATENATION") as there:
        load(content, "litert", tflite.describe(content))
    assert str(here.value) == str(there.value)


CRASH = """
import ctypes, sys
from gyrovae_tf import isolated, runtime
def load(model, described):
    def invoke(image):
        if image[0, 0, 0, 0] == 7:
            {what}
        return image[0], image[1]
    return invoke
runtime.KERNELS["litert"] = load
isolated.serve()
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("ctypes.string_at(0)", r"signal 11"),
        ("import os; os.abort()", r"signal 6"),
        ("bytearray(64 << 30)", r"MemoryError"),
        ("sys.exit(3)", r"exit status 3"),
    ],
)
def test_a_crash_is_told_and_spares_this_process(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    """Kernels that do it to one image, and give back every other."""
    monkeypatch.setattr(
        "gyrovae_tf.isolated._SERVE", "import sys; sys.path[:] = sys.argv[1:]" + CRASH.format(what=what)
    )
    invoke = load(tiny.bundle.model, "litert", tflite.describe(tiny.bundle.model))
    np.testing.assert_array_equal(np.stack(invoke(IMAGES[0])), IMAGES[0])
    deadly = IMAGES[0].copy()
    deadly[0, 0, 0, 0] = 7
    for _ in range(2):  # what is dead stays so
        with pytest.raises(GyrovaeError, match=f"the kernels crashed on this .tflite: .*{reason}") as caught:
            invoke(deadly)
        assert str(caught.value).count("\n") == 1
    with pytest.raises(GyrovaeError, match=f"the kernels crashed on this .tflite: .*{reason}"):
        invoke(IMAGES[0])


@pytest.mark.parametrize("number", [9, 15])
def test_killed_twice_in_a_row_is_told_and_may_be_tried_again(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As where there is too little memory; what the kernels printed before is not to blame."""
    what = f"import os; print('odd', file=sys.stderr, flush=True); os.kill(os.getpid(), {number})"
    monkeypatch.setattr(
        "gyrovae_tf.isolated._SERVE", "import sys; sys.path[:] = sys.argv[1:]" + CRASH.format(what=what)
    )
    invoke = load(tiny.bundle.model, "litert", tflite.describe(tiny.bundle.model))
    deadly = IMAGES[0].copy()
    deadly[0, 0, 0, 0] = 7
    for image in IMAGES[1:3]:
        with pytest.raises(GyrovaeError, match=f"was killed from outside, by {signal.Signals(number).name}\nIs there"):
            invoke(deadly)
        np.testing.assert_array_equal(np.stack(invoke(image)), image)


def test_killed_at_its_start(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once is mended, twice is told."""
    described, die = tflite.describe(tiny.bundle.model), "import os; os.kill(os.getpid(), 9)"
    mark = str(tmp_path / "mark")
    once = f"import os; os.path.exists({mark!r}) or (os.mkdir({mark!r}), os.kill(os.getpid(), 9))"
    monkeypatch.setattr(isolated, "_SERVE", f"{once}; {isolated._SERVE}")
    invoke = load(tiny.bundle.model, "litert", described)
    expected = np.stack(invoke(IMAGES[0]))
    monkeypatch.setattr(isolated, "_SERVE", die)
    with pytest.raises(GyrovaeError, match="was killed from outside, by SIGKILL"):
        load(tiny.bundle.model, "litert", described)
    with pytest.raises(GyrovaeError, match="was killed from outside, by SIGKILL"):
        copy.copy(invoke)
    np.testing.assert_array_equal(np.stack(invoke(IMAGES[0])), expected)


def test_a_model_that_crashes_tflm_is_an_error_of_one_line(tiny: Tiny, tmp_path: Path) -> None:
    """Bytes flipped until TFLM, asked in this process's child, dies of one: no command may die of it."""
    pytest.importorskip("tflite_micro")
    normal = tmp_path / "normal.csv"
    normal.write_text('# {"rate_hz": 200}\nx,y,z\n' + "1,2,3\n3,1,2\n" * 300)
    rng, content, endings = np.random.default_rng(0), tiny.bundle.model, []
    described = tflite.describe(content)
    places = [t.offset for t in described.tensors if t.offset]
    for number in range(40):
        broken = bytearray(content)
        for place in rng.integers(8, min(places) if number % 2 else len(content), 2):
            broken[place & ~3 : (place & ~3) + 4] = struct.pack("<i", int(rng.integers(-(2**31), 2**31)))
        try:
            Model(bytes(broken), "tflm", isolate=True).reconstruct(IMAGES[:1])
        except GyrovaeError as error:
            endings.append(str(error))
        if endings and "crashed" in endings[-1]:
            (tmp_path / "crash.tflite").write_bytes(broken)
            done = forked.command(
                tmp_path / "out", "evaluate", tiny.run.path, "--model", tmp_path / "crash.tflite", "--normal", normal
            )
            assert done.refused, (done.code, done.errors)
            break
    assert len(endings) > 0


def test_python_that_cannot_be_started(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/none/python")
    with pytest.raises(GyrovaeError, match="cannot start Python to run the model: No such file"):
        load(tiny.bundle.model, "litert", tflite.describe(tiny.bundle.model))
