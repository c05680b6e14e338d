"""LiteRT's modules, from its own package or from the copy inside TensorFlow."""

from __future__ import annotations

import importlib
from typing import Any

from gyrovae_tf.errors import GyrovaeError

_HOMES = ("ai_edge_litert", "tensorflow.lite.python")  # the first is what the second is being replaced by


def litert(module: str) -> Any:
    """The name of one of LiteRT's modules ("interpreter", "schema_py_generated") in, the module out.

    `GyrovaeError` when neither package is there, or what they need is not.
    """
    problems = []
    for home in _HOMES:
        try:
            return importlib.import_module(f"{home}.{module}")
        except (ImportError, OSError) as error:  # OSError: the package is there, a library that it loads is not
            problems.append(str(error))
    raise GyrovaeError(
        f"a .tflite cannot be read without the package ai-edge-litert: {problems[0]}",
        remedy="Install it: pip install ai-edge-litert",
    )
