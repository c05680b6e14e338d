"""A bundle put to work on the PC: the same int8 model, front end and score as on the device."""

from __future__ import annotations

import copy
import importlib.util
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import contract, isolated, tflite
from gyrovae_tf.arguments import array, told
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.litert import litert
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import Profiles, Scores, expected_sums, profiles, score
from gyrovae_tf.spec import PIXEL, Spec

DEVICE, HOST = "tflm", "litert"
"""The kernels whose outputs equal the device's, and those that are there on every PC."""
_ARENA = 1 << 20  # bytes, beside what the tensors themselves need: too small a one may crash TFLM

_LARGEST_ARENA = 64 << 20  # a damaged model may ask for anything

_T = TypeVar("_T")
Invoke = Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
"""One image pair [2, 32, 32, 3] in; reconstructed scalogram and field, each [32, 32, 3], out."""


class Model:
    """A .tflite for image pairs, run on one thread by the kernels of LiteRT or of the device.

    An int8 one has to keep the contract of the firmware (`contract.contract_violations`); one of another precision is
    an export for the PC (`contract.float_violations`).
    """

    def __init__(
        self,
        model: bytes,
        kernels: str | None = None,
        *,
        input_scale: float = contract.INPUT_SCALE,
        isolate: bool = False,
    ) -> None:
        """Check the bytes and load them; `GyrovaeError` says what does not hold.

        `kernels` is a name of `KERNELS`: "tflm", TensorFlow Lite Micro's reference kernels, whose outputs equal the
        device's (package tflite-micro, the extra `tflm`; int8 only); "litert", LiteRT's built-in ones;
        "litert-reference", its plain ones; "litert-xnnpack", its fastest. They round differently, on a few pixels in a
        hundred to a neighbouring step. Unless given: `best()` for int8, "litert" for other precisions.
        `input_scale` is the size of an int8 step of its input: 1/32, but of models for the stock firmware. With
        `isolate` it runs in a process of its own: for bytes from a file, which may be made to crash the kernels.
        """
        if kernels is not None and kernels not in KERNELS:
            raise GyrovaeError("unknown kernels", expected=" or ".join(KERNELS), received=kernels)
        described = tflite.describe(model)
        exported = _is_float(described)
        if not exported:
            contract.check_contract(described, input_scale)
        elif contract.float_violations(described):
            raise GyrovaeError(
                "this .tflite is no model of gyrovae-tf: " + "; ".join(contract.float_violations(described)),
                remedy="Use one that gyrovae-tf quantized or exported.",
            )
        if exported and kernels == DEVICE:
            raise GyrovaeError(
                "the device's kernels are for int8 models", expected="an int8 .tflite", received="a float one"
            )
        self.kernels = kernels or (HOST if exported else best())
        """Which kernels run it: a name of `KERNELS`."""
        run = isolated.load if isolate else _here
        self._invoke = run(model, self.kernels, described)
        self.precision = "float32" if exported else "int8"
        """The type of its input and outputs."""
        scalogram, field = (described.tensors[index] for index in described.outputs)
        # An output of float32 is in standard deviations already.
        self.scale = 1.0 if exported else scalogram.scale[0]
        """Size of one step of the first output (the scalogram), in pixels / 32."""
        self.zero_point = 0 if exported else scalogram.zero_point[0]
        """Zero point of the first output."""
        self.field_scale = 1.0 if exported else field.scale[0]
        """The same for the second output (the field)."""
        self.field_zero_point = 0 if exported else field.zero_point[0]

    def __copy__(self) -> Model:
        """The same model; one in a process of its own gets another one."""
        return copied(self, _invoke=copy.copy(self._invoke))

    def reconstruct(self, images: NDArray[np.int8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """int8 images [k, 2, 32, 32, 3] in; reconstructed scalograms and fields, each [k, 32, 32, 3], out.

        They are of the type `precision`.
        """
        images = _check_images(images)
        scalogram = np.empty((len(images), 32, 32, 3), self.precision)
        field = np.empty((len(images), 32, 32, 3), self.precision)
        entries = images if self.precision == "int8" else images.astype(np.float32) / np.float32(PIXEL)
        for index, image in enumerate(entries):
            scalogram[index], field[index] = self._invoke(image)
        return scalogram, field

    def rebuilt(self, images: NDArray[np.int8]) -> NDArray[np.float64]:
        """int8 images [k, 2, 32, 32, 3] in, their reconstructions in standard deviations, of the same shape, out."""
        scalogram, field = self.reconstruct(images)
        return np.stack(
            [
                (scalogram - np.float64(self.zero_point)) * self.scale,
                (field - np.float64(self.field_zero_point)) * self.field_scale,
            ],
            axis=1,
        )


class Detector:
    """A bundle's front end, model and score in one call.

    The model runs in a process of its own. Threads may share a detector: they take turns. A copy, a pickle and a forked
    process start a process of their own.
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        kernels: str | None = None,
        *,
        model: bytes | None = None,
    ) -> None:
        """A bundle, or the path of one (or of a run that holds one); `kernels` as for `Model`.

        `model` is another .tflite to put in place of the bundle's: an export of the same run in another precision.
        """
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self.content = self.bundle.model if model is None else model
        """The bytes of the .tflite that is run."""
        self.model = Model(self.content, kernels, isolate=True)

    def __copy__(self) -> Detector:
        return copied(self, model=copy.copy(self.model))

    def score_windows(self, windows: NDArray[np.int16]) -> Scores:
        """int16 windows [k, N, 3] in counts of `bundle.spec.lsb` in, `Scores` out."""
        checked = frontend.check_windows(windows, self.bundle.spec.window)
        return self.score_images(frontend.images(checked, self.bundle.spec), means(checked))

    def score_images(self, images: NDArray[np.int8], window_means: NDArray[np.integer[Any]] | None = None) -> Scores:
        """int8 images [k, 2, 32, 32, 3] in, `Scores` out.

        `window_means` [k, 3] in counts are needed where the tilt counts; `GyrovaeError` when they are missing then, and
        when they are of another form or not finite.
        """
        images = _check_images(images)
        if window_means is not None:
            window_means = _check_means(window_means, len(images))
        return score(profiles_of(self.model, images, self.bundle.spec, window_means), self.bundle.calibration)


def copied(one: _T, **changed: Any) -> _T:
    """An object, and what is another in its copy, in; the copy, which shares all else, out."""
    made = object.__new__(type(one))
    vars(made).update(vars(one), **changed)
    return made


def profiles_of(
    model: Model, images: NDArray[np.int8], spec: Spec, window_means: NDArray[np.integer[Any]] | None = None
) -> Profiles:
    """A model, int8 images [k, 2, 32, 32, 3] and what `profiles` needs beside them in, `Profiles` of k windows out."""
    scalogram, field = model.reconstruct(images)
    expected = (
        expected_sums(scalogram, model.scale, model.zero_point),
        expected_sums(field, model.field_scale, model.field_zero_point),
    )
    return profiles(images, expected, spec, window_means)


def _check_images(images: Any) -> NDArray[np.int8]:
    """Images in, the same as an array out; refuses anything but int8 [k, 2, 32, 32, 3]."""
    found: NDArray[np.int8] = array(images)
    if found.dtype != np.int8 or found.ndim != 5 or found.shape[1:] != contract.INPUT_SHAPE:
        raise GyrovaeError(
            "the images are not of the model's form",
            expected=f"int8 [k, {', '.join(map(str, contract.INPUT_SHAPE))}]",
            received=f"{found.dtype} {list(found.shape)}",
        )
    return found


def _check_means(means: Any, count: int) -> NDArray[Any]:
    """Windows' means in, the same as an array out; refuses anything but finite numbers [count, 3]."""
    found: NDArray[Any] = array(means)
    if found.dtype.kind not in "iuf" or found.shape != (count, 3) or not np.isfinite(found).all():
        raise GyrovaeError(
            "the windows' means (window_means) are not usable",
            expected=f"finite numbers [{count}, 3]",
            received=told(means),
        )
    return found


def installed() -> tuple[str, ...]:
    """The names of `KERNELS` that can be used here, those nearest to the device's first."""
    device = (DEVICE,) if importlib.util.find_spec("tflite_micro") else ()
    return (*device, *(name for name in KERNELS if name != DEVICE))


def best() -> str:
    """The kernels nearest to the device's that are installed here: "tflm" where it can be imported, else "litert"."""
    return installed()[0]


@dataclass(frozen=True)
class Difference:
    """How far the outputs of two sets of kernels lie apart, on the same images."""

    pixels: float
    """Share of output pixels that differ."""
    largest: int
    """The largest difference, in steps of the output (LSB)."""


def difference(one: Model, other: Model, images: NDArray[np.int8]) -> Difference:
    """Two int8 models of the same bytes on different kernels and int8 images in, `Difference` of their outputs out."""
    apart = np.abs(
        np.stack(one.reconstruct(images)).astype(np.int16) - np.stack(other.reconstruct(images)).astype(np.int16)
    )
    return Difference(np.count_nonzero(apart) / max(apart.size, 1), int(apart.max(initial=0)))


def _here(model: bytes, kernels: str, described: tflite.Model) -> Invoke:
    """As `isolated.load`, in this process; threads take turns."""
    invoke, turn = KERNELS[kernels](model, described), threading.Lock()

    def in_turn(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        with turn:
            return invoke(image)

    return in_turn


def _is_float(described: tflite.Model) -> bool:
    return len(described.inputs) == 1 and described.tensors[described.inputs[0]].dtype == "float32"


def _litert(resolver: str) -> Callable[[bytes, tflite.Model], Invoke]:
    """The name of one of LiteRT's sets of kernels in, what loads a .tflite for it out."""

    def load(model: bytes, described: tflite.Model) -> Invoke:
        package = litert("interpreter")
        try:
            interpreter = package.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=getattr(package.OpResolverType, resolver),
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise GyrovaeError(f"LiteRT cannot run this .tflite: {error}") from None
        (entry,), (scalogram, field) = described.inputs, described.outputs

        def invoke(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            interpreter.set_tensor(entry, image)
            interpreter.invoke()
            return interpreter.get_tensor(scalogram)[0], interpreter.get_tensor(field)[0]

        return invoke

    return load


def _tflm(model: bytes, described: tflite.Model) -> Invoke:
    """TensorFlow Lite Micro's interpreter with its reference kernels."""
    try:
        from tflite_micro import runtime as tflm
    except ImportError as error:
        raise GyrovaeError(
            f"TensorFlow Lite Micro cannot be imported: {error}",
            remedy='Install it (Linux on x86-64): pip install "gyrovae-tf[tflm]"; or use the kernels of litert.',
        ) from None
    # TFLM trusts the bytes: LiteRT verifies them first. What gets past may crash: see isolated.py.
    KERNELS[HOST](model, described)
    arena = _ARENA + sum(tensor.needed_bytes or 0 for tensor in described.tensors if not tensor.is_constant)
    if arena > _LARGEST_ARENA:
        raise GyrovaeError(
            "this .tflite needs more memory than any microcontroller has",
            expected=f"up to {_LARGEST_ARENA:,} bytes of tensors",
            received=f"{arena:,}",
        )
    try:
        interpreter = tflm.Interpreter.from_bytes(model, arena_size=arena)
    except (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise GyrovaeError(f"TensorFlow Lite Micro cannot run this .tflite: {error}") from None

    def invoke(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        return interpreter.get_output(0)[0], interpreter.get_output(1)[0]

    return invoke


KERNELS: dict[str, Callable[[bytes, tflite.Model], Invoke]] = {
    DEVICE: _tflm,
    HOST: _litert("BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    "litert-reference": _litert("BUILTIN_REF"),
    "litert-xnnpack": _litert("AUTO"),
}
"""Name of a set of kernels -> what loads a .tflite (its bytes and their description) for it."""
