"""The portable firmware: clean for cppcheck, and in need of no heap, libm, exception or standard library."""

from __future__ import annotations

from pathlib import Path

import portable_firmware as firmware
import pytest

MEMORY = ("memcmp", "memcpy", "memmove", "memset")
"""Compilers call these by themselves, wherever they run."""
_FLOAT = (
    *("add", "sub", "rsub", "mul", "div", "cmpeq", "cmple", "cmplt", "cmpge", "cmpgt", "cmpun"),
    *("2iz", "2uiz", "2lz", "2ulz"),
)
ARITHMETIC = (
    *(f"__aeabi_{kind}{name}" for kind in "fd" for name in _FLOAT),
    *("__aeabi_f2d", "__aeabi_d2f", "__aeabi_i2f", "__aeabi_ui2f", "__aeabi_l2f", "__aeabi_ul2f"),
    *("__aeabi_i2d", "__aeabi_ui2d", "__aeabi_l2d", "__aeabi_ul2d"),
    *("__aeabi_idiv", "__aeabi_idivmod", "__aeabi_uidiv", "__aeabi_uidivmod", "__aeabi_ldivmod", "__aeabi_uldivmod"),
    *("__aeabi_lmul", "__aeabi_llsl", "__aeabi_llsr", "__aeabi_lasr", "__aeabi_lcmp", "__aeabi_ulcmp", "__clzsi2"),
)
"""Of the compiler's own library (Arm's run-time ABI, section 4): what a core has no instruction for."""


def sources() -> list[Path]:
    found = sorted(
        [*firmware.COMPONENT.glob("*.cpp"), *firmware.EMULATED.glob("*.cpp"), *firmware.EMULATED.glob("*.c")]
    )
    assert len(found) > 10
    return found


def test_cppcheck_finds_nothing(tmp_path: Path) -> None:
    command = [firmware.tool("cppcheck"), "--enable=warning,performance,portability", "--error-exitcode=1", "--quiet"]
    options = ["--inline-suppr", "--std=c++17", "--std=c11", "-I", str(firmware.COMPONENT / "include")]
    firmware.checked([*command, *options, *sources()], tmp_path)


def test_cppcheck_finds_something_where_there_is_something(tmp_path: Path) -> None:
    source = tmp_path / "wrong.cpp"
    source.write_text("int main() { int three[3] = {1, 2, 3}; return three[3]; }\n")
    command = [firmware.tool("cppcheck"), "--enable=warning,performance,portability", "--error-exitcode=1", "--quiet"]
    with pytest.raises(AssertionError, match="arrayIndexOutOfBounds"):
        firmware.checked([*command, source], tmp_path)


def undefined(objects: list[Path], folder: Path) -> set[str]:
    """Names that the objects need and do not define themselves."""
    nm = firmware.tool("arm-none-eabi-nm")
    needed = firmware.checked([nm, "--undefined-only", "--format=posix", *objects], folder)
    defined = firmware.checked([nm, "--defined-only", "--extern-only", "--format=posix", *objects], folder)
    names = [{line.split()[0] for line in text.splitlines() if not line.endswith(":")} for text in (needed, defined)]
    assert len(names[1]) > 20
    return names[0] - names[1]


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m0"])
def test_the_component_needs_nothing_but_what_every_compiler_brings(tmp_path: Path, core: str) -> None:
    needed = undefined(firmware.component_for(firmware.CORES[core], tmp_path), tmp_path)
    assert needed - {*MEMORY, *ARITHMETIC} == set()


def test_the_build_lists_all_of_the_component() -> None:
    listed = firmware.CMAKE.read_text().split("SRCS", 1)[1].split("INCLUDE_DIRS", 1)[0]
    assert sorted(listed.replace('"', "").split()) == sorted(path.name for path in firmware.COMPONENT.glob("*.cpp"))
