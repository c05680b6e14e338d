"""A bundle put to work on the PC: the same int8 model, front end and score as on the device."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import Profiles, Scores, expected_sums, profiles, score
from gyrovae_tf.spec import Spec

NAME = "litert"
"""The kernels that are used unless others are asked for, as reports call them."""
_ARENA = 1 << 20  # bytes, beside what the tensors themselves need: too small a one may crash TFLM

Invoke = Callable[[NDArray[np.int8]], tuple[NDArray[np.int8], NDArray[np.int8]]]
"""One image pair [2, 32, 32, 3] in; reconstructed scalogram and field, each [32, 32, 3], out."""


class Model:
    """An int8 .tflite that keeps the contract, run on one thread by LiteRT's kernels or by those of the device."""

    def __init__(self, model: bytes, kernels: str = NAME) -> None:
        """Check the bytes against the contract and load them; `GyrovaeError` says what does not hold.

        `kernels` is "litert" (LiteRT's built-in ones) or "tflm": TensorFlow Lite Micro's reference kernels, whose
        outputs equal the device's (package tflite-micro, the extra `tflm`). On a few pixels in a thousand the two
        round to neighbouring steps.
        """
        if kernels not in KERNELS:
            raise GyrovaeError("unknown kernels", expected=" or ".join(KERNELS), received=kernels)
        described = tflite.describe(model)
        contract.check_contract(described)
        self._invoke = KERNELS[kernels](model, described)
        self.kernels = kernels
        """Which kernels run it: a name of `KERNELS`."""
        scalogram, field = (described.tensors[index] for index in described.outputs)
        self.scale = scalogram.scale[0]
        """Size of one step of the first output (the scalogram), in pixels / 32."""
        self.zero_point = scalogram.zero_point[0]
        """Zero point of the first output."""
        self.field_scale = field.scale[0]
        """The same for the second output (the field)."""
        self.field_zero_point = field.zero_point[0]

    def reconstruct(self, images: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """int8 images [k, 2, 32, 32, 3] in; reconstructed scalograms and fields, each int8 [k, 32, 32, 3], out."""
        if images.dtype != np.int8 or images.ndim != 5 or images.shape[1:] != contract.INPUT_SHAPE:
            raise GyrovaeError(
                "the images are not of the model's form",
                expected=f"int8 [k, {', '.join(map(str, contract.INPUT_SHAPE))}]",
                received=f"{images.dtype} {list(images.shape)}",
            )
        scalogram = np.empty((len(images), 32, 32, 3), np.int8)
        field = np.empty((len(images), 32, 32, 3), np.int8)
        for index, image in enumerate(images):
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
    """A bundle's front end, model and score in one call."""

    def __init__(self, bundle: Bundle | str | os.PathLike[str], kernels: str = NAME) -> None:
        """A bundle, or the path of one (or of a run that holds one); `kernels` as for `Model`."""
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self.model = Model(self.bundle.model, kernels)

    def score_windows(self, windows: NDArray[np.int16]) -> Scores:
        """int16 windows [k, N, 3] in counts of `bundle.spec.lsb` in, `Scores` out."""
        return self.score_images(frontend.images(windows, self.bundle.spec), means(windows))

    def score_images(self, images: NDArray[np.int8], window_means: NDArray[np.integer[Any]] | None = None) -> Scores:
        """int8 images [k, 2, 32, 32, 3] in, `Scores` out.

        `window_means` [k, 3] in counts are needed where the tilt counts; `GyrovaeError` when they are missing then.
        """
        return score(profiles_of(self.model, images, self.bundle.spec, window_means), self.bundle.calibration)


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


def best() -> str:
    """The kernels nearest to the device's that are installed here: "tflm" where it can be imported, else "litert"."""
    return "tflm" if importlib.util.find_spec("tflite_micro") else NAME


def _litert(model: bytes, described: tflite.Model) -> Invoke:
    """A LiteRT interpreter with built-in kernels only: XNNPACK rounds otherwise than the device, by up to 3 steps."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise GyrovaeError(f"LiteRT cannot run this .tflite: {error}") from None
    (entry,), (scalogram, field) = described.inputs, described.outputs

    def invoke(image: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        interpreter.set_tensor(entry, image)
        interpreter.invoke()
        return interpreter.get_tensor(scalogram)[0], interpreter.get_tensor(field)[0]

    return invoke


def _tflm(model: bytes, described: tflite.Model) -> Invoke:
    """TensorFlow Lite Micro's interpreter with its reference kernels."""
    try:
        from tflite_micro import runtime as tflm
    except ImportError as error:
        raise GyrovaeError(
            f"TensorFlow Lite Micro cannot be imported: {error}",
            remedy='Install it (Linux on x86-64): pip install "gyrovae-tf[tflm]"; or use the kernels of litert.',
        ) from None
    arena = _ARENA + sum(tensor.needed_bytes or 0 for tensor in described.tensors if not tensor.is_constant)
    try:
        interpreter = tflm.Interpreter.from_bytes(model, arena_size=arena)
    except (RuntimeError, ValueError) as error:
        raise GyrovaeError(f"TensorFlow Lite Micro cannot run this .tflite: {error}") from None

    def invoke(image: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        interpreter.set_input(image, 0)
        interpreter.invoke()
        return interpreter.get_output(0)[0], interpreter.get_output(1)[0]

    return invoke


KERNELS: dict[str, Callable[[bytes, tflite.Model], Invoke]] = {"litert": _litert, "tflm": _tflm}
"""Name of a set of kernels -> what loads a .tflite (its bytes and their description) for it."""
