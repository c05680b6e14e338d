"""The tensor arena: what TFLM says it needs, tried; and ESP-NN's scratch, against figures of its own functions."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Tiny
from handmade import source
from hypothesis import given
from hypothesis import strategies as st

from gyrovae_tf import arena, tflite
from gyrovae_tf.arena import Arena, measure
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.espnn import scratch_bytes

needs_tflm = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is for Linux on x86-64"
)

PROBE = """
import sys, numpy
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_bytes(open(sys.argv[1], "rb").read(), arena_size=int(sys.argv[2]))
interpreter.set_input(numpy.ones((2, 32, 32, 3), numpy.int8), 0)
interpreter.invoke()
"""


def works(path: Path, size: int) -> bool:
    """Whether the model runs in an arena of this size; a crash is none of our process."""
    return subprocess.run([sys.executable, "-c", PROBE, path, str(size)], capture_output=True).returncode == 0


# --- measured -----------------------------------------------------------------------------------------------


@needs_tflm
def test_the_arena_is_the_smallest_that_works(tiny: Tiny, tmp_path: Path) -> None:
    found = measure(tiny.bundle.model)
    assert found is not None
    (tmp_path / "m.tflite").write_bytes(tiny.bundle.model)
    assert works(tmp_path / "m.tflite", found.host_bytes)
    assert not works(tmp_path / "m.tflite", found.host_bytes - 16)
    described = tflite.describe(tiny.bundle.model)
    assert found.host_bytes % 16 == 0
    assert found.host_bytes > described.activation_bytes
    most = max(scratch_bytes(operator, described.tensors) for operator in described.operators)
    assert most > 0
    assert found.scratch_bytes == most, "the figure that check tells"
    assert re.fullmatch(r"tflite-micro \S+", found.kernels)
    assert "the one that it reports; 16 less fails" in found.method
    assert "an estimate" in found.method
    assert measure(tiny.bundle.model) == found


@needs_tflm
@pytest.mark.slow
def test_a_search_over_all_sizes_finds_the_same(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny.bundle.model)
    fails, enough = 0, 1 << 16
    while enough - fails > 16:
        middle = (fails + enough) // 32 * 16
        if works(tmp_path / "m.tflite", middle):
            enough = middle
        else:
            fails = middle
    found = measure(tiny.bundle.model)
    assert found is not None
    assert found.host_bytes == enough


@needs_tflm
def test_a_model_that_tflm_refuses_is_an_error_that_says_why(tiny: Tiny) -> None:
    """The first operator becomes one that TFLM has no kernel for."""
    import flatbuffers

    from gyrovae_tf.litert import litert

    schema = litert("schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(tiny.bundle.model)
    code = model.operatorCodes[0]
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.REAL, 127
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(GyrovaeError, match="TensorFlow Lite Micro cannot run this") as caught:
        measure(bytes(builder.Output()))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + bytes(100)])
def test_what_is_no_model_is_refused_before_anything_runs(content: bytes) -> None:
    with pytest.raises(GyrovaeError, match="tflite"):
        measure(content)


# --- without tflite-micro, or with another one --------------------------------------------------------------


def test_without_tflite_micro_nothing_is_measured(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    assert measure(tiny.bundle.model) is None


class Fake:
    """A folder with a package tflite_micro of our making, which `measure` finds first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tflite_micro"
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("")

    def interpreter(self, body: str, *, reports: int = 4000) -> None:
        """`body` runs with `size` known; `output` is what the model gives then."""
        (self.folder / "runtime.py").write_text(
            "import os, sys, time, numpy\n"
            "class Interpreter:\n"
            "    @classmethod\n"
            "    def from_bytes(cls, model, arena_size):\n"
            "        self, size, output = cls(), arena_size, 1\n"
            f"        {body}\n"
            "        self.output = output\n"
            "        return self\n"
            "    def get_input_details(self, index): return {'shape': [2, 32, 32, 3], 'dtype': numpy.int8}\n"
            "    def set_input(self, data, index): assert data.shape == (2, 32, 32, 3)\n"
            "    def invoke(self): pass\n"
            f"    def print_allocations(self): os.write(2, b'[x] Arena allocation total {reports} bytes\\n')\n"
            "    def get_output(self, index): return numpy.full(3, self.output)\n"
        )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "tflite_micro"]:
        monkeypatch.delitem(sys.modules, name)
    return Fake(tmp_path)


def host_bytes(model: bytes) -> int:
    found = measure(model)
    assert found is not None
    return found.host_bytes


def test_a_package_that_cannot_be_imported_is_none(tiny: Tiny, fake: Fake) -> None:
    (fake.folder / "__init__.py").write_text("raise ImportError('no such processor')")
    assert measure(tiny.bundle.model) is None


def test_a_figure_that_is_too_small_is_searched_beyond(tiny: Tiny, fake: Fake) -> None:
    fake.interpreter("if size < 5000: os.abort()")
    found = measure(tiny.bundle.model)
    assert found is not None
    assert found.host_bytes == 5008  # the first multiple of 16 from 5000 on
    assert "searched for, as the one that it reports, 4000, is not the smallest" in found.method


def test_a_figure_that_is_too_large_is_searched_below(tiny: Tiny, fake: Fake) -> None:
    fake.interpreter("if size < 3000: raise RuntimeError('failed to allocate')")
    assert host_bytes(tiny.bundle.model) == 3008


def test_a_figure_that_is_no_multiple_of_16_is_rounded_up(tiny: Tiny, fake: Fake) -> None:
    fake.interpreter("if size < 3990: os.abort()", reports=3990)
    assert host_bytes(tiny.bundle.model) == 4000


def test_an_arena_that_is_overwritten_does_not_work(tiny: Tiny, fake: Fake) -> None:
    fake.interpreter("output = 1 if size >= 4016 else 2")
    assert host_bytes(tiny.bundle.model) == 4016


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.kill(os.getpid(), 11)", "it crashed with signal 11"),
        ("raise RuntimeError('no kernel for op REAL')", "RuntimeError: no kernel for op REAL"),
        ("os._exit(1)", "it gave no reason"),
        ("time.sleep(60)", "it did not end within 1 seconds"),
    ],
)
def test_what_cannot_run_at_all_is_an_error(
    tiny: Tiny, fake: Fake, monkeypatch: pytest.MonkeyPatch, body: str, reason: str
) -> None:
    if "sleep" in body:
        monkeypatch.setattr(arena, "_SECONDS", 1)
    fake.interpreter(body)
    with pytest.raises(GyrovaeError, match=f"cannot run this .tflite: {reason}"):
        measure(tiny.bundle.model)


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (4000, (4000, "the one that it reports; 16 less fails")),
        (4001, (4016, "searched for, as the one that it reports, 4000, is not the smallest")),
        (8500, (8512, "searched for, as the one that it reports, 4000, is not the smallest")),
        (3984, (3984, "searched for, as the one that it reports, 4000, is not the smallest")),
        (32, (32, "searched for, as the one that it reports, 4000, is not the smallest")),
    ],
)
def test_the_search_by_hand(least: int, expected: tuple[int, str]) -> None:
    tried: list[int] = []

    def works(size: int) -> bool:
        tried.append(size)
        return size >= least

    assert arena._smallest(works, 4000, 9008) == expected
    assert all(size % 16 == 0 for size in tried)
    assert len(set(tried)) == len(tried) <= 10, "each a process"


def test_the_first_arena_holds_all_activations(fake: Fake) -> None:
    made, image = source([1, 3 << 20])
    result = made.then("RELU", image)
    fake.interpreter("if size < 6815744: os.abort()", reports=6815744)  # 6.5 MiB; both tensors take 6
    assert host_bytes(made.build(result)) == 6815744


def test_a_model_beyond_every_microcontroller_is_not_run(fake: Fake) -> None:
    made, image = source([1, 32 << 20])
    result = made.then("RELU", image)
    fake.interpreter("os.abort()")
    with pytest.raises(GyrovaeError, match="too large to run on a microcontroller; received 68157440 bytes"):  # 65 MiB
        measure(made.build(result))
    made, image = source([1, 31 << 20])
    with pytest.raises(GyrovaeError, match="cannot run this"):
        measure(made.build(made.then("RELU", image)))


def test_a_model_without_operators_needs_no_scratch(fake: Fake) -> None:
    made, image = source([1, 4])
    fake.interpreter("if size < 3990: os.abort()", reports=3990)
    found = measure(made.build(image))
    assert found is not None
    assert (found.host_bytes, found.scratch_bytes) == (4000, 0)
    assert "the one that it reports; 16 less fails" in found.method  # and none was searched for


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("self.print_allocations = lambda: None", "it gave no reason"),
        ("self.get_output = None", "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_a_figure_without_outputs_and_outputs_without_a_figure_are_errors(
    tiny: Tiny, fake: Fake, body: str, reason: str
) -> None:
    fake.interpreter(body)
    with pytest.raises(GyrovaeError, match=f"cannot run this .tflite: {reason}"):
        measure(tiny.bundle.model)


def test_python_that_cannot_be_started_is_told(tiny: Tiny, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.interpreter("pass")
    monkeypatch.setattr(sys, "executable", str(fake.folder / "no python"))
    with pytest.raises(GyrovaeError, match="cannot start Python to measure the arena: No such file"):
        measure(tiny.bundle.model)


def test_the_reason_is_the_last_line_that_is_none_of_spaces() -> None:
    assert arena._last_line("Traceback\n  RuntimeError: no kernel \n \n") == "RuntimeError: no kernel"
    assert arena._last_line(" \n") == "it gave no reason"
    assert arena._last_line("x" * 300) == "x" * 200


# --- the record ---------------------------------------------------------------------------------------------


def test_what_to_reserve() -> None:
    assert Arena(16_000, 1_600, "k 1", "m").suggested_bytes == 18_704  # 17,600 * 17 / 16 = 18,700
    assert Arena(16, 0, "k 1", "m").suggested_bytes == 32


@given(st.integers(1, 1 << 25), st.integers(0, 1 << 25))
def test_what_to_reserve_holds_both_and_a_sixteenth(host: int, scratch: int) -> None:
    suggested = Arena(host, scratch, "k 1", "m").suggested_bytes
    assert suggested % 16 == 0
    assert 0 <= suggested - (host + scratch) * 17 / 16 <= 16


def test_there_and_back() -> None:
    record = Arena(18912, 5584, "tflite-micro 1", "measured")
    assert record.to_dict() == {
        "host_bytes": 18912,
        "scratch_bytes": 5584,
        "kernels": "tflite-micro 1",
        "method": "measured",
        "suggested_bytes": 26032,  # 24,496 * 17 / 16 = 26,027
    }
    assert Arena.from_dict(record.to_dict()) == record


LARGEST = 67_108_864  # 64 MiB


@pytest.mark.parametrize("sizes", [(1, 0), (LARGEST, LARGEST)])
def test_sizes_that_can_be(sizes: tuple[int, int]) -> None:
    assert Arena(*sizes, "k 1", "m").host_bytes == sizes[0]


@pytest.mark.parametrize(
    "figures",
    [
        (0, 0, "k 1", "m"),
        (-16, 0, "k 1", "m"),
        (16, -16, "k 1", "m"),
        (LARGEST + 1, 0, "k 1", "m"),
        (16, LARGEST + 1, "k 1", "m"),
        (16.0, 0, "k 1", "m"),
        (16, True, "k 1", "m"),
        (16, 0, "", "m"),
        (16, 0, "k 1", ""),
        (16, 0, "k 1", 5),
    ],
)
def test_figures_that_cannot_be(figures: tuple[Any, ...]) -> None:
    with pytest.raises(GyrovaeError, match="the arena's figures are not usable; expected host_bytes and scratch_bytes"):
        Arena(*figures)


RECORD = {"host_bytes": 16_000, "scratch_bytes": 1_600, "kernels": "k 1", "method": "m", "suggested_bytes": 18_704}


@pytest.mark.parametrize(
    "record",
    [
        None,
        list(RECORD),  # its names alone
        {name: value for name, value in RECORD.items() if name != "suggested_bytes"},
        {name: value for name, value in RECORD.items() if name != "kernels"},
        {**RECORD, "more": 1},
    ],
)
def test_what_is_no_record(record: object) -> None:
    with pytest.raises(GyrovaeError, match="not usable; expected an object of host_bytes, scratch_bytes, kernels"):
        Arena.from_dict(record)


@pytest.mark.parametrize("suggested", [18_688, 18_720])
def test_a_record_whose_sum_is_wrong(suggested: int) -> None:
    assert Arena.from_dict(RECORD) == Arena(16_000, 1_600, "k 1", "m")
    with pytest.raises(GyrovaeError, match=f"does not follow .*; expected 18704, received {suggested}"):
        Arena.from_dict({**RECORD, "suggested_bytes": suggested})


# --- scratch ------------------------------------------------------------------------------------------------


def operator(
    name: str, source: tuple[int, ...], kernel: tuple[int, int], result: tuple[int, ...], dtype: str = "int8"
) -> tuple[tflite.Operator, list[tflite.Tensor]]:
    """One operator with its tensors: input, weights, output."""
    weights = (result[-1], *kernel, source[-1]) if name == "CONV_2D" else (1, *kernel, result[-1])
    tensors = [
        tflite.Tensor("", i, shape, (), kind, (0.1,), (0,), 0, 0, is_constant=i == 1)
        for i, (shape, kind) in enumerate([(source, dtype), (weights, "int8"), (result, dtype)])
    ]
    return tflite.Operator(index=0, name=name, version=1, inputs=(0, 1), outputs=(2,), macs=0), tensors


@pytest.mark.parametrize(
    ("name", "source", "kernel", "result", "expected"),
    # What esp_nn_get_conv_scratch_size_esp32s3 and the depthwise one of ESP-NN 1.2.3, compiled, return for them.
    [
        ("CONV_2D", (1, 32, 32, 3), (4, 4), (1, 16, 16, 8), 560),
        ("CONV_2D", (1, 16, 16, 8), (3, 3), (1, 16, 16, 16), 9152),
        ("CONV_2D", (1, 8, 8, 16), (1, 1), (1, 8, 8, 32), 832),
        ("CONV_2D", (1, 8, 8, 12), (1, 1), (1, 8, 8, 32), 1856),
        ("CONV_2D", (1, 16, 16, 8), (2, 2), (1, 8, 8, 16), 3976),
        ("CONV_2D", (1, 2, 2, 16), (1, 1), (1, 2, 2, 8), 192),
        ("CONV_2D", (1, 32, 32, 3), (1, 1), (1, 16, 16, 8), 352),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 16), (3, 3), (1, 16, 16, 16), 5344),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 8), (3, 3), (1, 8, 8, 8), 4272),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 24), (3, 3), (1, 16, 16, 24), 21344),
        ("DEPTHWISE_CONV_2D", (1, 8, 8, 12), (3, 3), (1, 8, 8, 12), 3568),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 8), (5, 5), (1, 16, 16, 8), 4528),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 2), (3, 3), (1, 16, 16, 8), 1200),
        ("DEPTHWISE_CONV_2D", (1, 16, 16, 3), (3, 3), (1, 16, 16, 3), 32),
        ("DEPTHWISE_CONV_2D", (1, 32, 32, 64), (3, 3), (1, 32, 32, 64), 7120),
        ("DEPTHWISE_CONV_2D", (1, 32, 32, 32), (4, 4), (1, 16, 16, 32), 9248),
        ("SOFTMAX", (1, 10), (1, 1), (1, 10), 40),
        ("FULLY_CONNECTED", (1, 512), (1, 1), (1, 8), 0),
        ("ADD", (1, 8, 8, 8), (1, 1), (1, 8, 8, 8), 0),
    ],
)
def test_scratch_is_what_esp_nn_asks_for(
    name: str, source: tuple[int, ...], kernel: tuple[int, int], result: tuple[int, ...], expected: int
) -> None:
    assert scratch_bytes(*operator(name, source, kernel, result)) == expected
    assert scratch_bytes(*operator(name, source, kernel, result, dtype="float32")) == 0


def test_operators_without_what_the_sums_need_ask_for_none() -> None:
    convolution, tensors = operator("CONV_2D", (1, 8, 8, 3), (3, 3), (1, 8, 8, 8))
    assert scratch_bytes(convolution, tensors) > 0
    for inputs, outputs in (((), (2,)), ((-1, 1), (2,)), ((0, -1), (2,)), ((0,), (2,)), ((0, 1), ())):
        assert scratch_bytes(dataclasses.replace(convolution, inputs=inputs, outputs=outputs), tensors) == 0
    unrelated = operator("CONV_2D", (1, 8, 8, 3), (3, 3), (1, 80, 80, 8))
    assert scratch_bytes(*unrelated) == 0
