"""The pages that are made of the sources are those that the sources make; the notices name every package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert SPEC is not None
assert SPEC.loader is not None
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)
PAGES = generate.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_sources_make_it(name: str) -> None:
    path = ROOT / "docs" / name
    assert path.is_file(), "run: python docs/generate.py"
    assert path.read_text(encoding="utf-8") == PAGES[name], "run: python docs/generate.py"


def test_no_page_is_left_of_a_command_that_is_gone() -> None:
    found = {f"commands/{path.name}" for path in (ROOT / "docs" / "commands").glob("*.md")}
    assert found == {name for name in PAGES if name.startswith("commands/")}


def test_a_page_says_what_help_says() -> None:
    import click

    command = generate.cli.get_command(click.Context(generate.cli), "train")
    shown = " ".join(command.get_help(click.Context(command, info_name="train")).split())
    page = PAGES["commands/train.md"]
    for option in command.params[1:]:
        assert option.opts[-1] in page
        assert " ".join(option.help.split()) in page
    assert "Go on where an interrupted run stopped." in shown
    assert "Go on where an interrupted run stopped." in page


def test_the_page_of_the_interface_has_every_class_that_it_names() -> None:
    """Those in the fields of what is returned, too; two of one name are told apart."""
    titles = re.findall(r"(?m)^## (\S+)$", PAGES["api.md"])
    assert len(set(titles)) == len(titles)
    assert {"Promise", "Trust", "Layer", "Flaw", "Machine", "learn.fleetrecord.Model", "runtime.Model"} <= set(titles)
    assert "| `Progress` | `Callable[[int, int, str], None]` | Called with (done, total, what): for" in PAGES["api.md"]
    assert "| `info` | `gyrovae_tf.describe.describe` |" in PAGES["api.md"]


def test_links_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "firmware").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {re.match(r"[\w.-]+", line)[0] for line in lines} - {"gyrovae-tf"}  # type: ignore[index]


def test_the_lock_file_holds_every_package_in_a_version_that_is_allowed() -> None:
    locked = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "requirements-test.lock").read_text(encoding="utf-8")))
    locked = {canonicalize_name(name): version for name, version in locked.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        needed = Requirement(line)
        assert needed.specifier.contains(locked[canonicalize_name(needed.name)], prereleases=True), line


def notices() -> dict[str, str]:
    rows = re.findall(r"(?m)^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "THIRD_PARTY_NOTICES.md").read_text())
    return {name: licence for name, licence in rows if name != "package"}


def test_the_notices_name_every_package() -> None:
    assert declared() <= set(notices())


def test_the_notices_say_what_the_packages_say() -> None:
    words = {"Apache": "Apache", "BSD": "BSD", "MIT": "MIT", "MPL": "MPL", "GPL": "GPL", "PSF": "Python Software"}
    for name, licence in notices().items():
        try:
            about = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        classes = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
        said = " ".join([about.get("License-Expression") or "", about.get("License") or "", *classes])
        if said.strip():
            word = next(word for word in words if licence.startswith(word) or word in licence)
            assert words[word] in said, (name, licence, said[:200])
