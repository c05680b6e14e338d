"""The house keeps its floors: a module imports only from its own floor or from a lower one."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (  # from the bottom; a folder stands for the modules in it
    (
        *("errors", "spec", "recording", "bundle", "calibration", "tflite", "csvtable", "version", "contract"),
        *("temporary", "header", "arguments", "wording", "clock"),
        *("stockspec", "stockbundle"),
        *("litert", "arena", "espnn", "golden_npz", "ctext", "operators", "tflmops", "kerneltypes"),
        *("findings", "patterns", "target", "hazards"),
        *("npy", "upgrade", "chunks", "csvrows", "csvchunks", "parquetchunks", "mixed", "ranking", "fleettable"),
    ),
    ("signal",),
    (
        *("runtime", "isolated", "cgen", "describe", "golden", "lint", "flash", "firmware", "stockdetector"),
        *("stockheader", "streaming", "workers", "scoretable", "parts", "shards", "scoring"),
    ),
    ("device",),
    ("learn",),
    ("__init__",),
    ("cli",),
)
PACKAGES = {
    "ai_edge_litert",
    "click",
    "flatbuffers",
    "h5py",
    "matplotlib",
    "numpy",
    "pandas",
    "paho",
    "serial",
    "sklearn",
    "tensorflow",
    "tensorflow_model_optimization",
    "threadpoolctl",
    "tf_keras",
    "tflite_micro",
}
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
FILES = {
    ".".join(["gyrovae_tf", *path.relative_to(base).with_suffix("").parts]): path
    for base, folder in ((ROOT / "gyrovae_tf", "gyrovae_tf"), (ROOT, "cli"))
    for path in sorted((ROOT / folder).rglob("*.py"))
}
"""Dotted name of a module (gyrovae_tf.cli.main, gyrovae_tf.learn.__init__) -> its file."""


def home(module: str) -> str:
    """The name in FLOORS that a module of ours belongs to: gyrovae_tf.learn.vae -> learn, gyrovae_tf -> __init__."""
    return [*module.split("."), "__init__"][1]


def imports(module: str, *, top_level: bool = False) -> Iterator[str]:
    """What a module imports, by full dotted name; `top_level`: only what happens when it is imported itself."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    if top_level:
        inside = (ast.FunctionDef, ast.AsyncFunctionDef)
        skipped = [
            n for n in nodes if isinstance(n, inside) or (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test))
        ]
        later = {id(child) for node in skipped for child in ast.walk(node)}
        nodes = [node for node in nodes if id(node) not in later]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *(node.module or "").split(".")]).rstrip(".")
            for name in node.names:
                whole = f"{base}.{name.name}"
                yield whole if whole in FILES or f"{whole}.__init__" in FILES else base


def test_every_module_has_a_floor() -> None:
    assert {home(module) for module in FILES} <= set(HEIGHT)


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_from_its_own_floor_or_a_lower_one(module: str) -> None:
    ours = {name for name in imports(module) if name.split(".")[0] == "gyrovae_tf"}
    too_high = {name for name in ours if HEIGHT[home(name)] > HEIGHT[home(module)]}
    assert not too_high


def test_no_two_modules_import_each_other() -> None:
    graph = {module: {name for name in imports(module, top_level=True) if name in FILES} for module in FILES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("module", FILES)
def test_heavy_packages_are_imported_where_they_are_used(module: str) -> None:
    everywhere = {name.split(".")[0] for name in imports(module)}
    at_import = {name.split(".")[0] for name in imports(module, top_level=True)}
    if module != "gyrovae_tf.learn.engine":
        assert not everywhere & {"tensorflow", "tf_keras", "keras"}, "take tf and keras from learn.engine"
    if home(module) != "learn":
        assert not everywhere & {"tensorflow_model_optimization"}
        assert not at_import & {"pandas", "ai_edge_litert", "serial"}
    assert not at_import & {"paho", "sklearn", "tflite_micro"}, "optional: only who uses it needs it"
    assert "matplotlib" not in at_import, "half a second that only reports need"
    if home(module) in ("cli", "__init__", "errors"):
        assert "numpy" not in at_import
    assert everywhere <= {"gyrovae_tf", *PACKAGES, *sys.stdlib_module_names}, "not a dependency of the project"


def test_the_reader_of_imports_sees_them() -> None:
    assert "gyrovae_tf.cli.show" in set(imports("gyrovae_tf.cli.learn", top_level=True))
    assert "gyrovae_tf.learn.train" in set(imports("gyrovae_tf.cli.learn"))
    assert "gyrovae_tf.learn.train" not in set(imports("gyrovae_tf.cli.learn", top_level=True))
    assert "tensorflow" in set(imports("gyrovae_tf.learn.engine", top_level=True))
    assert "gyrovae_tf.tflite" in set(imports("gyrovae_tf.describe"))
