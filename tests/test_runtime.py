"""The detector on the PC: the same score for a window whatever is scored beside it, and no window without a score."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, Tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf import tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.calibration import View
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import cut
from gyrovae_tf.learn.floating import reconstructions
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.litert import litert
from gyrovae_tf.runtime import KERNELS, Detector, Model, best, difference, installed
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import Scores, expected_sums, profiles, reasons, score

FIELDS = ("score", "regime", "deviation")


@pytest.fixture(scope="module")
def detector(tiny: Tiny) -> Detector:
    return Detector(tiny.bundle)


@pytest.fixture(scope="module")
def windows(tiny: Tiny) -> NDArray[np.int16]:
    """Ten seconds of normal motion and ten of a fault, in counts."""
    recordings = [simulate(TINY_MACHINE, seconds=10, seed=8, fault=fault) for fault in (None, "looseness")]
    return cut(recordings, window=TINY_WINDOW, hop=29, lsb=tiny.dataset.spec.lsb)[0]


def same(one: Scores, other: Scores) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


def test_windows_score_the_same_alone_and_together(detector: Detector, windows: NDArray[np.int16]) -> None:
    together = detector.score_windows(windows)
    assert together.score.shape == (len(windows),)
    assert together.deviation.shape == (len(windows), 3, 32)
    assert len(windows) > 100
    for index in range(len(windows)):
        alone = detector.score_windows(windows[index : index + 1])
        for name in FIELDS:
            assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[index])
    backwards = detector.score_windows(windows[::-1])
    assert np.array_equal(backwards.score[::-1], together.score)


def test_scores_repeat(tiny: Tiny, detector: Detector, windows: NDArray[np.int16]) -> None:
    first = detector.score_windows(windows)
    assert same(first, detector.score_windows(windows))
    assert same(first, Detector(tiny.bundle).score_windows(windows))


def test_a_detector_from_a_bundle_its_path_or_its_run(tiny: Tiny, windows: NDArray[np.int16]) -> None:
    expected = Detector(tiny.bundle).score_windows(windows)
    for source in (tiny.run.path / BUNDLE, str(tiny.run.path / BUNDLE), tiny.run.path, tiny.run):
        assert same(Detector(source).score_windows(windows), expected)


def test_a_score_is_front_end_then_model_then_score(tiny: Tiny, detector: Detector, windows: NDArray[np.int16]) -> None:
    images = frontend.images(windows, tiny.bundle.spec)
    model = Model(tiny.bundle.model)
    scalogram, field = model.reconstruct(images)
    assert scalogram.shape == field.shape == (len(windows), 32, 32, 3)
    assert scalogram.dtype == field.dtype == np.int8
    sums = (
        expected_sums(scalogram, model.scale, model.zero_point),
        expected_sums(field, model.field_scale, model.field_zero_point),
    )
    expected = score(profiles(images, sums, tiny.bundle.spec), tiny.bundle.calibration)
    assert same(detector.score_windows(windows), expected)
    assert same(detector.score_images(images), expected)


def test_scales_and_zero_points_are_those_of_the_model(tiny: Tiny, detector: Detector) -> None:
    described = tflite.describe(tiny.bundle.model)
    scalogram, field = (described.tensors[index] for index in described.outputs)
    model = detector.model
    assert (model.scale, model.zero_point) == (scalogram.scale[0], scalogram.zero_point[0])
    assert (model.field_scale, model.field_zero_point) == (field.scale[0], field.zero_point[0])
    assert model.kernels == best()
    assert model.precision == "int8"


def test_the_fault_scores_higher(detector: Detector, windows: NDArray[np.int16]) -> None:
    scores = detector.score_windows(windows).score
    half = len(windows) // 2
    assert np.median(scores[half:]) > np.median(scores[:half])


RNG = np.random.default_rng(0)
SHAPE = (4, TINY_WINDOW, 3)
SQUARE = np.where(np.arange(TINY_WINDOW) % 2, 32767, -32768)[None, :, None]
ODD_WINDOWS = {
    "still at zero": np.zeros(SHAPE),
    "still at gravity": np.full(SHAPE, 4096),
    "saturated": np.full(SHAPE, 32767),
    "saturated below": np.full(SHAPE, -32768),
    "from one end to the other": np.broadcast_to(SQUARE, SHAPE),
    "noise of one count": RNG.integers(0, 2, SHAPE),
    "noise of full range": RNG.integers(-32768, 32768, SHAPE),
    "a single impulse": np.eye(TINY_WINDOW)[None, :, [40]] * np.full(SHAPE, 32767),
    "a dead axis": RNG.integers(-900, 900, SHAPE) * [1, 0, 1],
}


@pytest.mark.parametrize("name", ODD_WINDOWS)
def test_no_window_is_without_a_score(detector: Detector, name: str) -> None:
    windows = ODD_WINDOWS[name].astype(np.int16)
    found = detector.score_windows(windows)
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.deviation).all()
    assert (found.score > 1).all()  # none of it is how the machine moves
    assert same(found, detector.score_windows(windows))
    for reason in reasons(found.deviation[0], detector.bundle.spec):
        assert 0 < reason.share <= 1


@given(st.integers(0, 2**32), st.integers(0, 15), st.integers(-(2**15), 2**15 - 1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_any_noise_has_a_finite_score(detector: Detector, seed: int, bits: int, middle: int) -> None:
    noise = np.random.default_rng(seed).integers(-(1 << bits), 1 << bits, (1, TINY_WINDOW, 3)) + middle
    assert np.isfinite(detector.score_windows(np.clip(noise, -32768, 32767).astype(np.int16)).score).all()


def test_the_direction_of_gravity_does_not_count(detector: Detector, windows: NDArray[np.int16]) -> None:
    tilted = (windows + np.array([700, -300, -950])).astype(np.int16)
    assert same(detector.score_windows(tilted), detector.score_windows(windows))


def with_tilt(tiny: Tiny) -> Bundle:
    """The bundle with a tilt that counts: normal motion's mean is 0 on every axis."""
    tilt = View(codes=((0, 0, 0),), weight=(0.01,) * 3, scatter=(1.0,), center=1.0, power=1.0)
    return dataclasses.replace(tiny.bundle, calibration=dataclasses.replace(tiny.bundle.calibration, tilt=tilt))


def test_the_direction_of_gravity_counts_where_it_shall(tiny: Tiny, windows: NDArray[np.int16]) -> None:
    detector = Detector(with_tilt(tiny))
    level = (windows - means(windows)[:, None]).astype(np.int16)
    tilted = (level + np.array([700, -300, -950])).astype(np.int16)
    found, upright = detector.score_windows(tilted), detector.score_windows(level)
    assert (found.score > upright.score).all()
    assert (found.shares["tilt"] > 0).all()
    assert (upright.shares["tilt"] == 0).all()
    distance = ((7**2 + 3**2 + 9.5**2) / 3) ** 0.5
    assert (found.score - upright.score) * 6 * tiny.bundle.calibration.threshold == pytest.approx(distance)


def test_images_alone_do_not_tell_the_tilt(tiny: Tiny, windows: NDArray[np.int16]) -> None:
    detector = Detector(with_tilt(tiny))
    images = frontend.images(windows, tiny.bundle.spec)
    with pytest.raises(GyrovaeError, match="needs the windows' tilt"):
        detector.score_images(images)
    assert same(detector.score_images(images, means(windows)), detector.score_windows(windows))


def test_no_windows_have_no_scores(detector: Detector) -> None:
    assert detector.score_windows(np.zeros((0, TINY_WINDOW, 3), np.int16)).score.shape == (0,)
    assert detector.score_images(np.zeros((0, 2, 32, 32, 3), np.int8)).score.shape == (0,)


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((2, 128, 3), np.int16), r"int16 \[2, 128, 3\]"),
        (np.zeros((2, TINY_WINDOW, 2), np.int16), r"int16 \[2, 64, 2\]"),
        (np.zeros((TINY_WINDOW, 3), np.int16), r"int16 \[64, 3\]"),
        (np.zeros((2, TINY_WINDOW, 3)), r"float64 \[2, 64, 3\]"),
    ],
)
def test_windows_of_another_form(detector: Detector, array: NDArray[np.int16], received: str) -> None:
    with pytest.raises(GyrovaeError, match=rf"expected int16 \[k, 64, 3\], received {received}"):
        detector.score_windows(array)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 2, 32, 32, 3), np.float32),
        np.zeros((2, 32, 32, 3), np.int8),
        np.zeros((1, 3, 32, 32, 3), np.int8),
        np.zeros((0, 2, 32, 32, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_images_of_another_form(detector: Detector, array: NDArray[np.int8]) -> None:
    with pytest.raises(GyrovaeError, match=r"expected int8 \[k, 2, 32, 32, 3\]"):
        detector.score_images(array)


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (np.full((2, 3), np.nan), r"ndarray of float64 \[2, 3\]"),
        (np.full((2, 3), np.inf), r"ndarray of float64 \[2, 3\]"),
        (np.zeros((1, 3), int), r"ndarray of int64 \[1, 3\]"),
        (np.zeros((2, 2)), r"ndarray of float64 \[2, 2\]"),
        (np.zeros((2, 3), complex), r"ndarray of complex128 \[2, 3\]"),
        ("a", r"'a' \(text\)"),
        ([[1, 2, 3], [1, 2]], r"\[\[1, 2, 3\], \[1, 2\]\] \(list\)"),
    ],
)
def test_means_of_another_form(detector: Detector, given: Any, received: str) -> None:
    """They are looked at whether the tilt counts or not."""
    images = np.zeros((2, 2, 32, 32, 3), np.int8)
    expected = rf"\(window_means\) are not usable; expected finite numbers \[2, 3\], received {received}"
    with pytest.raises(GyrovaeError, match=expected):
        detector.score_images(images, given)
    assert len(detector.score_images(images, [[1, 2, 3], [4, 5, 6]]).score) == 2  # type: ignore[arg-type]


def test_lists_of_arrays_are_arrays(detector: Detector, windows: NDArray[np.int16]) -> None:
    expected = detector.score_windows(windows[:2])
    assert same(detector.score_windows(list(windows[:2])), expected)  # type: ignore[arg-type]
    images = frontend.images(windows[:2], detector.bundle.spec)
    assert same(detector.score_images(list(images)), expected)  # type: ignore[arg-type]
    with pytest.raises(GyrovaeError, match=r"expected int16 \[k, 64, 3\], received int64 \[2, 64, 3\]"):
        detector.score_windows(windows[:2].tolist())
    with pytest.raises(GyrovaeError, match=r"expected int8 \[k, 2, 32, 32, 3\], received int64 \[2, 2, 32, 32, 3\]"):
        detector.score_images(images.tolist())


@pytest.mark.parametrize("model", ["model.tflite", 5])
def test_a_path_is_no_model(tiny: Tiny, model: Any) -> None:
    with pytest.raises(
        GyrovaeError, match=r"this is not a .tflite model; expected the bytes of one, received (.*text|5)"
    ):
        Detector(tiny.bundle, model=model)


def test_what_is_no_model(tiny: Tiny, tmp_path: Path) -> None:
    content = tiny.bundle.model
    for damaged in (b"", b"TFL3", content[:3000], content[8:], content.replace(b"TFL3", b"TFL9")):
        with pytest.raises(GyrovaeError):
            Model(damaged)
    with pytest.raises(GyrovaeError, match="there is no"):
        Detector(tmp_path / "missing")
    with pytest.raises(GyrovaeError, match="holds no quantised model"):
        Detector(tmp_path)


# The device's kernels


def tflm_model(content: bytes) -> Model:
    pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro has wheels for Linux on x86-64 only")
    return Model(content, "tflm")


def test_both_kernels_agree_to_a_step_or_two(tiny: Tiny) -> None:
    """On images of the machine, and on noise, where roundings that differ add up through the layers."""
    device, host = tflm_model(tiny.bundle.model), Model(tiny.bundle.model, "litert")
    assert (device.kernels, host.kernels) == ("tflm", "litert")
    assert (device.scale, device.zero_point) == (host.scale, host.zero_point)
    noise = RNG.integers(-128, 128, (60, 2, 32, 32, 3)).astype(np.int8)
    for images in (tiny.dataset.validation_images, noise):
        for one, other in zip(device.reconstruct(images), host.reconstruct(images), strict=True):
            assert one.shape == (len(images), 32, 32, 3)
            assert one.dtype == np.int8
            apart = np.abs(one.astype(int) - other)
            assert apart.max() <= 2
            assert (apart == 0).mean() > 0.98
            assert one.std() > 5  # it is no constant that they agree on


def test_the_device_s_kernels_repeat_and_keep_nothing_from_window_to_window(tiny: Tiny) -> None:
    model, images = tflm_model(tiny.bundle.model), tiny.dataset.validation_images[:20]
    forwards, backwards = model.reconstruct(images), model.reconstruct(images[::-1])
    for one, other in zip(forwards, backwards, strict=True):
        assert np.array_equal(one, other[::-1])


def test_a_detector_with_the_device_s_kernels(tiny: Tiny, windows: NDArray[np.int16]) -> None:
    pytest.importorskip("tflite_micro")
    detector = Detector(tiny.bundle)
    assert detector.model.kernels == "tflm"
    expected = Detector(tiny.bundle, "litert").score_windows(windows).score
    assert detector.score_windows(windows).score == pytest.approx(expected, rel=0.2)


def without_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tflite_micro" else real(name))
    monkeypatch.setitem(sys.modules, "tflite_micro", None)


def test_the_best_kernels_are_the_device_s(monkeypatch: pytest.MonkeyPatch, tiny: Tiny) -> None:
    pytest.importorskip("tflite_micro")
    assert best() == "tflm"
    assert installed() == tuple(KERNELS) == ("tflm", "litert", "litert-reference", "litert-xnnpack")
    without_tflm(monkeypatch)
    assert best() == "litert"
    assert installed() == ("litert", "litert-reference", "litert-xnnpack")
    assert Detector(tiny.bundle).model.kernels == "litert"
    with pytest.raises(GyrovaeError, match=r'pip install "gyrovae-tf\[tflm\]"'):
        Model(tiny.bundle.model, "tflm")


def test_unknown_kernels(tiny: Tiny) -> None:
    expected = "unknown kernels; expected tflm or litert or litert-reference or litert-xnnpack, received xnnpack"
    with pytest.raises(GyrovaeError, match=expected):
        Model(tiny.bundle.model, "xnnpack")


def test_every_set_of_litert_s_kernels_runs_the_model(tiny: Tiny) -> None:
    images = tiny.dataset.validation_images[:40]
    plain = Model(tiny.bundle.model, "litert")
    assert difference(plain, plain, images).pixels == 0
    for kernels in ("litert-reference", "litert-xnnpack"):
        other = Model(tiny.bundle.model, kernels)
        assert other.kernels == kernels
        found = difference(plain, other, images)
        assert 0 < found.pixels < 0.2  # were it 0, the choice of kernels would have no effect
        assert 1 <= found.largest <= 3


class Fixed:
    """Kernels whose output is always the same."""

    def __init__(self, scalogram: int, field: int) -> None:
        self.outputs = (scalogram, field)

    def reconstruct(self, images: NDArray[np.int8]) -> tuple[NDArray[np.int8], ...]:
        scalogram, field = (np.full((len(images), 32, 32, 3), value, np.int8) for value in self.outputs)
        field[:, 0] = 0
        return scalogram, field


def test_a_difference_by_hand() -> None:
    """Scalograms alike; of the field 31 rows of 32 are 255 steps apart, as far as int8 goes."""
    images = np.zeros((3, 2, 32, 32, 3), np.int8)
    found = difference(Fixed(5, -128), Fixed(5, 127), images)  # type: ignore[arg-type]
    assert (found.pixels, found.largest) == (31 / 64, 255)
    none = difference(Fixed(5, -128), Fixed(5, 127), images[:0])  # type: ignore[arg-type]
    assert (none.pixels, none.largest) == (0.0, 0)


def test_litert_of_tensorflow_stands_in(monkeypatch: pytest.MonkeyPatch, tiny: Tiny) -> None:
    images = tiny.dataset.validation_images[:3]
    expected = Model(tiny.bundle.model, "litert").reconstruct(images)
    for name in ("interpreter", "schema_py_generated"):
        monkeypatch.setitem(sys.modules, f"ai_edge_litert.{name}", None)  # as if it were not installed
    assert litert("interpreter").__name__ == "tensorflow.lite.python.interpreter"
    for one, other in zip(Model(tiny.bundle.model, "litert").reconstruct(images), expected, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    monkeypatch.setitem(sys.modules, "tensorflow.lite.python.interpreter", None)
    with pytest.raises(GyrovaeError, match=r"without the package ai-edge-litert.*\nInstall it: pip install ai-edge"):
        litert("interpreter")


@pytest.mark.slow
def test_a_damaged_model_is_refused_or_runs(tiny: Tiny, tmp_path: Path) -> None:
    """Flipped bytes: in a weight they cannot be told; elsewhere nothing worse than a message may come of them.

    On LiteRT's kernels: TFLM trusts its model, and what gets past the checks before it may crash it. A bundle's hash
    keeps damage from it.
    """
    (tmp_path / "model.tflite").write_bytes(tiny.bundle.model)
    command = [sys.executable, "-c", FLIPPING, str(tmp_path / "model.tflite")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]  # a crash of native code would end more than a test
    run, refused = map(int, done.stdout.split())
    assert run + refused == 300
    assert refused > 30


FLIPPING = """
import sys
from pathlib import Path
import numpy as np
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Model

content, rng, refused = Path(sys.argv[1]).read_bytes(), np.random.default_rng(0), 0
for _ in range(300):
    damaged = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 4)):
        damaged[place] ^= int(rng.integers(1, 256))
    try:
        Model(bytes(damaged), "litert").reconstruct(np.zeros((1, 2, 32, 32, 3), np.int8))
    except GyrovaeError:
        refused += 1
print(300 - refused, refused)
"""


# Models of other precisions


@pytest.fixture(scope="module")
def exported(tiny: Tiny) -> bytes:
    """The run's network in float32, with the input of the contract."""
    from gyrovae_tf.learn.engine import tf

    network = tiny.run.keras_model()

    @tf.function(input_signature=[tf.TensorSpec((2, 32, 32, 3), tf.float32)])
    def both(images: Any) -> Any:
        scalogram, field = network([images[0:1], images[1:2]])
        return {"output_0": field, "output_1": scalogram}  # TensorFlow's converter turns them round

    converter = tf.lite.TFLiteConverter.from_concrete_functions([both.get_concrete_function()], network)
    content: bytes = converter.convert()
    return content


def test_a_float_model_scores_as_the_network_does(tiny: Tiny, exported: bytes, windows: NDArray[np.int16]) -> None:
    detector = Detector(tiny.bundle, model=exported)
    assert (detector.model.precision, detector.model.kernels) == ("float32", "litert")
    images = frontend.images(windows, tiny.bundle.spec)
    scalogram, field = detector.model.reconstruct(images)
    assert scalogram.dtype == field.dtype == np.float32
    expected = reconstructions(tiny.run.keras_model(), images)
    if np.abs(scalogram - expected[0]).max() > np.abs(scalogram - expected[1]).max():
        expected = expected[::-1]  # the converter's version decides the order
    assert scalogram == pytest.approx(expected[0], abs=1e-4)
    assert field == pytest.approx(expected[1], abs=1e-4)
    assert detector.model.rebuilt(images) == pytest.approx(np.stack(expected, axis=1), abs=1e-4)
    int8 = Detector(tiny.bundle).score_windows(windows).score
    assert detector.score_windows(windows).score == pytest.approx(int8, rel=0.2)


def test_the_device_s_kernels_are_not_for_floats(exported: bytes) -> None:
    with pytest.raises(GyrovaeError, match=r"kernels are for int8 models; expected an int8 \.tflite, received a float"):
        Model(exported, "tflm")


def test_a_model_that_breaks_the_contract(tiny: Tiny) -> None:
    """A float conversion whose inputs are apart and of any number of windows."""
    from gyrovae_tf.learn.engine import tf

    content = tf.lite.TFLiteConverter.from_keras_model(tiny.run.keras_model()).convert()
    with pytest.raises(GyrovaeError, match="2 inputs instead of 1"):
        Model(content)
