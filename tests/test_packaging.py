"""What is installed: a wheel and an sdist built from a copy of the tree, compared with the tree."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.1.0"
WHEEL = f"gyrovae_tf-{VERSION}-py3-none-any.whl"
SDIST = f"gyrovae_tf-{VERSION}.tar.gz"
MODULES = {
    str(Path("gyrovae_tf", path.relative_to(base)).as_posix())
    for base, folder in ((ROOT / "gyrovae_tf", "gyrovae_tf"), (ROOT, "cli"))
    for path in (ROOT / folder).rglob("*.py")
}
"""Every module on disk, by its place in the installed package: cli/main.py is gyrovae_tf/cli/main.py."""


def run(*command: str, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def newest(package: str) -> int:
    """The major version that is installed; 0 where none is."""
    try:
        return int(importlib.metadata.version(package).split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH with the setuptools that pyproject asks for; empty where the installed one will do."""
    folder = tmp_path_factory.mktemp("backend")
    if newest("setuptools") < 77:
        run("-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), "setuptools>=77", folder=folder)
    return str(folder)


def build(tree: Path, kind: str, output: Path, backend: str) -> None:
    """Call the project's build backend (PEP 517) as pip and build do, in a process of its own."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(output)!r})"
    run("-W", "ignore", "-c", code, folder=tree, PYTHONPATH=backend)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Path:
    """A folder with the wheel and the sdist of a copy of the tree: what lies about in the tree is not in the way."""
    tree, output = tmp_path_factory.mktemp("copy") / "tree", tmp_path_factory.mktemp("dist")
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__", "data")
    shutil.copytree(ROOT, tree, ignore=unwanted)
    build(tree, "sdist", output, backend)
    build(tree, "wheel", output, backend)
    return output


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_one_wheel_and_one_sdist(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [WHEEL, SDIST]


def test_the_wheel_holds_every_module_on_disk_and_no_other(built: Path) -> None:
    inside = contents(built / WHEEL)
    assert {name for name in inside if name.endswith(".py")} == MODULES
    for name in MODULES:
        place = name.removeprefix("gyrovae_tf/") if name.startswith("gyrovae_tf/cli/") else name
        assert inside[name] == (ROOT / place).read_bytes()


def test_the_wheel_has_one_top_level_package(built: Path) -> None:
    inside = contents(built / WHEEL)
    assert {name.split("/")[0] for name in inside} == {"gyrovae_tf", f"gyrovae_tf-{VERSION}.dist-info"}
    assert inside[f"gyrovae_tf-{VERSION}.dist-info/top_level.txt"].decode().split() == ["gyrovae_tf"]


def test_the_wheel_says_that_it_is_typed_and_under_which_licence(built: Path) -> None:
    inside = contents(built / WHEEL)
    assert "gyrovae_tf/py.typed" in inside
    assert inside["gyrovae_tf/learn/page.css"] == (ROOT / "gyrovae_tf" / "learn" / "page.css").read_bytes()
    assert inside[f"gyrovae_tf-{VERSION}.dist-info/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    metadata = inside[f"gyrovae_tf-{VERSION}.dist-info/METADATA"].decode()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: <3.14,>=3.10\n" in metadata


def test_the_command_is_installed(built: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(contents(built / WHEEL)[f"gyrovae_tf-{VERSION}.dist-info/entry_points.txt"].decode())
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "console_scripts": {"gyrovae-tf": "gyrovae_tf.cli.main:cli"}
    }


def test_the_sdist_builds_the_same_wheel(built: Path, backend: str, tmp_path: Path) -> None:
    with tarfile.open(built / SDIST) as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / SDIST.removesuffix(".tar.gz"), "wheel", tmp_path, backend)
    assert contents(tmp_path / WHEEL) == contents(built / WHEEL)


def test_the_wheel_works_where_the_tree_is_not(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built / WHEEL) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gyrovae_tf, gyrovae_tf.cli.main as main; "
        "assert gyrovae_tf.__file__.startswith(sys.argv[1]) and main.__file__.startswith(sys.argv[1]); "
        "main.cli(['preprocess', '--help'])"
    )
    run("-c", code, str(tmp_path), folder=tmp_path)
