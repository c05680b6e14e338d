"""The package as `import gyrovae_tf` shows it."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gyrovae_tf

ROOT = Path(__file__).resolve().parents[1]
NAMES = [
    "Architecture",
    "Bundle",
    "Calibration",
    "Check",
    "Dataset",
    "Detector",
    "Evaluation",
    "GyrovaeError",
    "Live",
    "Options",
    "Recording",
    "Report",
    "Run",
    "Spec",
    "StockBundle",
    "StockConstants",
    "StockDataset",
    "StockDetector",
    "Stream",
    "benchmark",
    "calibrate",
    "check",
    "collect",
    "collect_figures",
    "demo",
    "emit_header",
    "evaluate",
    "export",
    "fleet",
    "images",
    "judge",
    "list_ports",
    "monitor",
    "preprocess",
    "quantize",
    "reasons",
    "report",
    "score_recordings",
    "simulate",
    "stock_header",
    "stock_images",
    "stock_preprocess",
    "stock_quantize",
    "stride_of",
    "train",
    "vote",
    "write_image",
]


def python(code: str) -> str:
    """What a fresh Python prints for this code."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_public_names() -> None:
    assert gyrovae_tf.__all__ == ["__version__", *NAMES]
    assert dir(gyrovae_tf) == sorted(gyrovae_tf.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    value = getattr(gyrovae_tf, name)
    assert value.__name__ == name
    assert value.__module__.startswith("gyrovae_tf.")
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    text = (ROOT / "gyrovae_tf" / "__init__.py").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^    from gyrovae_tf\.\S+ import (\w+) as \1$", text, re.MULTILINE)) == NAMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gyrovae_tf' has no attribute 'quantise'"):
        gyrovae_tf.quantise  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, gyrovae_tf as gt; gt.GyrovaeError; print(*sorted(m.split('.')[0] for m in sys.modules))"
    loaded = set(python(code).split())
    assert "gyrovae_tf" in loaded
    assert not loaded & {"numpy", "pandas", "tensorflow", "tf_keras", "ai_edge_litert", "serial", "click"}


def test_what_does_not_learn_needs_no_tensorflow() -> None:
    code = (
        "import sys, gyrovae_tf as gt; gt.Recording, gt.Spec, gt.Bundle, gt.Detector, gt.images, gt.emit_header; "
        "gt.simulate, gt.preprocess, gt.evaluate; print('tensorflow' in sys.modules)"
    )
    assert python(code) == "False"


def test_star_import_takes_the_public_names() -> None:
    assert (
        python("from gyrovae_tf import *; print(Recording.__name__, __version__)")
        == f"Recording {gyrovae_tf.__version__}"
    )


def test_the_version_is_that_of_the_installed_project() -> None:
    assert gyrovae_tf.__version__ == importlib.metadata.version("gyrovae-tf")
    assert re.fullmatch(r"\d+\.\d+\.\d+", gyrovae_tf.__version__)
