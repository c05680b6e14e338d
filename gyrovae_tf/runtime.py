"""A bundle put to work on the PC: the same int8 model, front end and score as on the device."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.score import Scores, score

NAME = "litert"
"""What reports call the interpreter below."""


class Model:
    """An int8 .tflite that keeps the contract, run by LiteRT's built-in kernels on one thread."""

    def __init__(self, model: bytes) -> None:
        """Check the bytes against the contract and load them; `GyrovaeError` says what does not hold."""
        described = tflite.describe(model)
        contract.check_contract(described)
        self._interpreter = _interpreter(model)
        (self._input,) = described.inputs
        self._outputs = described.outputs
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
            self._interpreter.set_tensor(self._input, image)
            self._interpreter.invoke()
            scalogram[index] = self._interpreter.get_tensor(self._outputs[0])[0]
            field[index] = self._interpreter.get_tensor(self._outputs[1])[0]
        return scalogram, field


class Detector:
    """A bundle's front end, model and score in one call."""

    def __init__(self, bundle: Bundle | str | os.PathLike[str]) -> None:
        """A bundle, or the path of one (or of a run that holds one)."""
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self.model = Model(self.bundle.model)

    def score_windows(self, windows: NDArray[np.int16]) -> Scores:
        """int16 windows [k, N, 3] in counts of `bundle.spec.lsb` in, `Scores` out."""
        return self.score_images(frontend.images(windows, self.bundle.spec))

    def score_images(self, images: NDArray[np.int8]) -> Scores:
        """int8 images [k, 2, 32, 32, 3] in, `Scores` out."""
        output, _ = self.model.reconstruct(images)
        return score(images[:, 0], output, self.model.scale, self.model.zero_point, self.bundle.calibration)


def _interpreter(model: bytes) -> Any:
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
    return interpreter
