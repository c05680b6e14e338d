"""Writes the pages of docs/ that are made of the sources: commands, the Python interface, the floors, the notices.

    python docs/generate.py

Nothing in them depends on the version of Python or of a package; tests/test_docs.py compares them with what is there.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
from gyrovae_tf.cli.main import _COMMANDS, cli

import gyrovae_tf

ROOT = Path(__file__).resolve().parents[1]
MADE = "Made by docs/generate.py from the sources; do not edit."
_SHOWN = ("__init__", "__fspath__")
"""Methods that are told, though nobody calls them by these names."""
_MARKS = ("property", "classmethod", "staticmethod")
_BEHIND = (
    ("info", "describe", "describe"),
    ("flash-image", "write_image", "flash"),
    ("flash-image --port", "write_to_device", "flash"),
    ("calibrate --forget", "forget", "device.onsite"),
    ("simulate", "serve", "device.serve"),
)
"""Commands without a public name, and the functions that they call."""
# Named in texts, and in no type that is public.
_ALSO = (("Model", "runtime"), ("Tail", "learn.threshold"), ("Trust", "learn.trust"), ("Vote", "learn.voting"))

# --- commands ---------------------------------------------------------------------------------------------------


def commands() -> dict[str, str]:
    """File name -> a page for each command, and one that lists them."""
    rows = "\n".join(f"| [{name}](commands/{name}.md) | {text} |" for name, (_, text) in _COMMANDS.items())
    pages = {"commands.md": f"# Commands\n\n<!-- {MADE} -->\n\n{_text(cli)}\n\n| command | |\n|---|---|\n{rows}\n"}
    for name in _COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        pages[f"commands/{name}.md"] = _command(name, command)
    return pages


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    arguments = [_metavar(p) for p in command.params if isinstance(p, click.Argument)]
    usage = " ".join(["gyrovae-tf", name, "[OPTIONS]", *arguments])
    rows = [_option(p, context) for p in command.params if isinstance(p, click.Option) and not p.hidden]
    table = "\n".join(["| option | |", "|---|---|", *rows, "| `-h`, `--help` | Show this text. |"])
    return f"# gyrovae-tf {name}\n\n<!-- {MADE} -->\n\n    {usage}\n\n{_text(command)}\n\n{table}\n"


def _text(command: click.Command) -> str:
    """The command's text with a paragraph a line, as a page has no width; lines that \\b keeps are code."""
    parts = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        kept = lines and lines[0].strip() == "\b"
        parts.append("\n".join(f"    {line}" for line in lines[1:]) if kept else " ".join(lines))
    return "\n\n".join(parts)


def _metavar(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper() + ("..." if argument.nargs != 1 else "")
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option(option: click.Option, context: click.Context) -> str:
    kind = ""
    if not option.is_flag and not option.count:
        choices = getattr(option.type, "choices", None)
        one = option.metavar or (f"[{'|'.join(map(str, choices))}]" if choices else option.type.name.split()[0].upper())
        kind = " " + (one if option.metavar else " ".join([one] * max(option.nargs, 1)))
    names = ", ".join(f"`{name}{kind}`" for name in option.opts)
    if option.secondary_opts:
        names += " / " + ", ".join(f"`{name}`" for name in option.secondary_opts)
    remarks = []
    default = option.get_default(context) if option.show_default else None
    if isinstance(option.show_default, str):
        remarks.append(f"default: {option.show_default}")
    elif isinstance(default, (str, int, float, Path)) and not isinstance(default, bool):
        remarks.append(f"default: {default}")
    elif isinstance(default, (list, tuple)):
        remarks.append(f"default: {', '.join(map(str, default))}")
    if option.required:
        remarks.append("required")
    text = " ".join((option.help or "").split()) + (f" [{'; '.join(remarks)}]" if remarks else "")
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in (names, text)) + " |"


# --- the Python interface ---------------------------------------------------------------------------------------


def api() -> str:
    """The page of the public names, by the docstrings of the sources."""
    parts = [f"# Python interface\n\n<!-- {MADE} -->\n\n```python\n{_example()}\n```\n"]
    parts.append("Names of `import gyrovae_tf as gt`; each is imported when it is first used.\n")
    found = dict.fromkeys(_ALSO)
    for name, home in sorted(gyrovae_tf._HOMES.items(), key=lambda item: (item[0][0].islower(), item[0].lower())):
        source, tree = _module(home)
        node = _named(tree, name)
        assert node is not None
        found |= dict.fromkeys(_types(node, tree, home))
        parts.append("\n".join(_described(node, source, f"gt.{name}", home)))
    parts.append("# Behind other commands\n\n| command | calls | |\n|---|---|---|")
    for command, name, home in _BEHIND:
        node = _named(_module(home)[1], name)
        assert isinstance(node, ast.FunctionDef)
        said = _doc(node).split("\n")[0]
        parts.append(f"| `{command}` | `gyrovae_tf.{home}.{name}` | {said} |")
    parts.append("")
    classes, others = _classes_and_others(found)
    parts.append("# Classes that these return or name\n\nNot names of `gyrovae_tf` itself, but of its modules.\n")
    for name, home in sorted(classes, key=lambda item: (item[0].lower(), item[1])):
        source, tree = _module(home)
        node = _named(tree, name)
        assert node is not None
        # Two of one name are told apart by their modules.
        full = f"{home}.{name}" if sum(other == name for other, _ in (*classes, *others)) > 1 else name
        parts.append("\n".join(_described(node, source, full, home)))
    parts.append("# Other types\n\n| name | | |\n|---|---|---|\n" + "\n".join(_rows(others)) + "\n")
    return "\n".join(parts)


def _classes_and_others(found: dict[tuple[str, str], None]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Names with their modules in; the classes among them and among what those name, and names of other types, out."""
    classes, others = [], []
    waiting = list(found)
    for name, home in waiting:  # grows meanwhile
        _, tree = _module(home)
        node = _named(tree, name)
        if isinstance(node, ast.ClassDef):
            classes.append((name, home))
        elif node is not None:
            others.append((name, home))
        if node is not None:
            waiting += [one for one in dict.fromkeys(_types(node, tree, home)) if one not in waiting]
    return classes, others


def _rows(others: list[tuple[str, str]]) -> list[str]:
    """Names of types that are no classes in, a row a type out; one that several modules define alike is told once."""
    rows = {}
    for name, home in others:
        source, tree = _module(home)
        node = _named(tree, name)
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        assert node.value is not None
        at = tree.body.index(node)
        kind = _flat((ast.get_source_segment(source, node.value) or "").strip('"'))
        said = _constant(tree.body[at + 1]) if at + 1 < len(tree.body) else ""
        rows.setdefault((name, kind.replace("npt.", "").replace("|", "\\|"), said), f"{home}.{name}")
    names = [name for name, _, _ in rows]
    return sorted(
        (
            f"| `{full if names.count(name) > 1 else name}` | `{kind}` | {said} |"
            for (name, kind, said), full in rows.items()
        ),
        key=str.lower,
    )


def _module(home: str) -> tuple[str, ast.Module]:
    """A module's name behind `gyrovae_tf.` in, its source and that as a tree out."""
    source = (ROOT / "gyrovae_tf" / f"{home.replace('.', '/')}.py").read_text(encoding="utf-8")
    return source, ast.parse(source)


def _named(tree: ast.Module, name: str) -> ast.stmt | None:
    """A class, a function or the name of a type."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if _is_alias(node) else []
        if getattr(node, "name", None) == name or any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return node
    return None


def _is_alias(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and getattr(node.annotation, "id", None) == "TypeAlias"


def _types(node: ast.stmt, tree: ast.Module, home: str) -> Iterator[tuple[str, str]]:
    """Names of ours, and their modules, in the types of a public function, or a public class's fields and methods."""
    types: list[ast.expr | None] = []
    for item in node.body if isinstance(node, ast.ClassDef) else [node]:
        if isinstance(item, ast.FunctionDef) and (item.name[0] != "_" or item.name == "__init__"):
            types += [*(one.annotation for one in (*item.args.args, *item.args.kwonlyargs)), item.returns]
        elif item is node and isinstance(item, ast.Assign | ast.AnnAssign):
            types.append(item.value)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_":
            types.append(item.annotation)
    for part in (part for one in types if one is not None for part in ast.walk(one)):
        known = _defined(part, tree, home)
        if known is not None and known[0] not in gyrovae_tf._HOMES:
            yield known


def _defined(part: ast.AST, tree: ast.Module, home: str) -> tuple[str, str] | None:
    """A name or a module's name in a module in; what it is called where it is defined, and that module of ours, out."""
    dotted = isinstance(part, ast.Attribute)
    owner = part.value if isinstance(part, ast.Attribute) else part
    if not isinstance(owner, ast.Name):
        return None
    name = owner.id
    if not dotted and _named(tree, name) is not None:
        return name, home
    for found in (one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)):
        for alias in found.names:
            there = [found.module or "", *([alias.name] if dotted else [])]
            path = (ROOT / "/".join(there).replace(".", "/")).with_suffix(".py")
            if (alias.asname or alias.name) == name and path.is_file():
                module = ".".join(there).removeprefix("gyrovae_tf.")
                sought = part.attr if isinstance(part, ast.Attribute) else alias.name
                return _defined(ast.Name(sought), _module(module)[1], module)
    return None


def _example() -> str:
    text = inspect.cleandoc(gyrovae_tf.__doc__ or "")
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ") or not line]
    return "\n".join(lines).strip()


def _described(node: ast.stmt, source: str, name: str, home: str) -> Iterator[str]:
    yield f"## {name}\n\nIn `gyrovae_tf.{home}`.\n"
    if isinstance(node, ast.FunctionDef):
        yield f"```python\n{_signature(node, source)}\n```\n\n{_doc(node)}\n"
        return
    assert isinstance(node, ast.ClassDef)
    yield f"{_doc(node)}\n"
    fields = [
        (item, following)
        for item, following in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_"
    ]
    if fields:
        yield "| field | | |\n|---|---|---|"
        for item, following in fields:
            said = _constant(following)
            kind = _flat(ast.get_source_segment(source, item.annotation) or "").replace("|", "\\|")
            value = item.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id[0] == "_":
                value = value.args[0]  # of a field with limits, its default
            default = "" if value is None else f" = {_flat(ast.get_source_segment(source, value) or '')}"
            assert isinstance(item.target, ast.Name)
            yield f"| `{item.target.id}` | `{kind}{default}` | {said} |"
        yield ""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and (item.name[0] != "_" or item.name in _SHOWN) and _doc(item):
            yield f"```python\n{_signature(item, source)}\n```\n\n{_doc(item)}\n"


def _constant(node: ast.stmt | None) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return " ".join(node.value.value.split()) if is_text else ""  # type: ignore[union-attr]


def _signature(node: ast.FunctionDef, source: str) -> str:
    """The source from `def` (with a property's or class method's mark) to the colon."""
    lines = source.splitlines()
    text = "\n".join(lines[node.lineno - 1 : node.body[0].lineno - 1])
    marks = [f"@{mark.id}" for mark in node.decorator_list if isinstance(mark, ast.Name) and mark.id in _MARKS]
    return "\n".join([*marks, textwrap.dedent(text).strip().removesuffix(":")])


def _doc(node: ast.FunctionDef | ast.ClassDef) -> str:
    return "\n\n".join(map(_paragraph, (ast.get_docstring(node) or "").split("\n\n")))


def _paragraph(text: str) -> str:
    """In one line, as a page has no width; each item of a list in a line of its own, as far in as it was."""
    lines: list[str] = []
    for line in text.splitlines():
        if not lines or re.match(r" *- ", line):
            lines.append(line.rstrip())
        else:
            lines[-1] += f" {line.strip()}"
    return "\n".join(lines)


def _flat(text: str) -> str:
    return " ".join(text.split())


# --- architecture -----------------------------------------------------------------------------------------------

_BEFORE = """\
Three records flow, with plain arrays between them:

    Recording -> int16[k, N, 3] -> int8[k, 2, 32, 32, 3] -> VAE -> .tflite bytes -> Bundle -> report, header, image

- A `Recording` (`recording.py`) is samples with their rate, units and gaps, from a CSV file.
- A `Spec` (`spec.py`) is every number that Python and the device share; its digest stands in bundles, headers and
  images, and a device refuses what is not its own. The front end (`signal/`) is integer arithmetic on its tables, once
  here and once in `firmware/components/gyrovae`, equal bit for bit; each file names its twin.
- A `Bundle` (`bundle.py`) is a detector as a folder: the int8 model, a manifest, golden windows to prove a device by.

Files are read within limits and written whole or not at all (`errors.py`); what a user can mend is a `GyrovaeError`.
Models from files run in processes of their own (`isolated.py`).

## Floors

A module imports only from its own floor or from one below it. tests/test_floors.py holds it to that, and this drawing
is made of its list.
"""


def architecture() -> str:
    """The page with the floors, the top one first."""
    spec = importlib.util.spec_from_file_location("floors", ROOT / "tests" / "test_floors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    width = 112
    lines = []
    for floor in reversed(module.FLOORS):
        lines.append("+" + "-" * width + "+")
        for name in floor:
            for entry in _rooms(name):
                cut = entry if len(entry) <= width - 2 else entry[: width - 6].rsplit(" ", 1)[0] + " ..."
                lines.append("| " + cut.ljust(width - 2) + " |")
    lines.append("+" + "-" * width + "+")
    return f"# Architecture\n\n<!-- {MADE} -->\n\n{_BEFORE}\n```\n" + "\n".join(lines) + "\n```\n"


def _rooms(name: str) -> Iterator[str]:
    folder = ROOT / name if name == "cli" else ROOT / "gyrovae_tf" / name
    if not folder.is_dir():
        yield f"{name:<16}{_first(folder.with_suffix('.py'))}"
        return
    yield f"{name}/"
    for path in sorted(folder.glob("*.py")):
        if path.stem != "__init__":
            yield f"  {path.stem:<16}{_first(path)}"


def _first(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].replace("\n", " ")


def pages() -> dict[str, str]:
    """File name in docs/ -> its content, of every page that is made."""
    return {**commands(), "api.md": api(), "architecture.md": architecture()}


if __name__ == "__main__":
    folder = ROOT / "docs"
    made = pages()
    for old in (folder / "commands").glob("*.md"):
        old.unlink()
    for page, content in made.items():
        (folder / page).parent.mkdir(exist_ok=True)
        (folder / page).write_text(content, encoding="utf-8")
    print(f"{len(made)} pages")
