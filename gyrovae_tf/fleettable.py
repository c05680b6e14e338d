"""A table of the recordings of a fleet in, which model learns from which of them out; names of folders for models.

The table is a CSV file with a header: `device` and `recording`, and where wanted `group` and `part` (train or score).
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from gyrovae_tf.arguments import path_of
from gyrovae_tf.chunks import is_url
from gyrovae_tf.errors import GyrovaeError, read_file

DEVICE, GROUP = "device", "group"
TRAIN, SCORE = "train", "score"
PARTS = (TRAIN, SCORE)
_NEEDED = (DEVICE, "recording")
_KNOWN = (*_NEEDED, GROUP, "part")
_SEPARATORS = ",;\t"
_LARGEST = 256 << 20  # bytes
_SHOWN = 5

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}")
_MARKED = re.compile(r".*-[0-9a-f]{12}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_KEPT = 40  # characters of a name that is no plain one


class Row(NamedTuple):
    """One line of the table."""

    line: int
    """As a person counts."""
    device: str
    recording: str
    """A path, folder, pattern or URL; what is relative in the table is seen from the table's folder here."""
    group: str
    part: str
    """A name of `PARTS`."""


@dataclass(frozen=True)
class FleetTable:
    """What a table says."""

    path: Path
    rows: tuple[Row, ...]
    grouped: bool
    """Whether it has a column for groups."""
    unused: tuple[str, ...]
    """Columns that mean nothing here."""


@dataclass(frozen=True)
class Wanted:
    """A model to make."""

    name: str
    """The device's or the group's, as the table has it."""
    folder: str
    """A name for its folder."""
    train: dict[str, tuple[str, ...]]
    """Device -> names of what is to be learnt from, in the table's order."""
    score: dict[str, tuple[str, ...]]
    """Device -> names of what is to be scored."""

    @property
    def devices(self) -> tuple[str, ...]:
        """All of its devices, in order."""
        return tuple(dict.fromkeys((*self.train, *self.score)))


def read_fleet_table(path: str | PathLike[str]) -> FleetTable:
    """A CSV file in, its rows out; `GyrovaeError` names the line that cannot be meant.

    Columns are parted by commas, semicolons or tabs; names of columns are understood in upper and lower case.
    """
    path = path_of(path, "this is no table", "the path of a CSV file")
    try:
        text = read_file(path, largest=_LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GyrovaeError(f"{path} is not UTF-8: {error}", remedy="Save it as CSV in UTF-8.") from None
    if "\0" in text:
        raise GyrovaeError(f"{path} holds a NUL character", expected="a CSV file")
    names: list[str] = []
    for separator in _SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        try:
            names = [name.strip().casefold() for name in next(reader, [])]
        except csv.Error:
            continue
        if set(_NEEDED) <= set(names):
            break
    else:
        first = text.partition("\n")[0].strip()
        raise GyrovaeError(
            f"{path} has no header for a fleet",
            expected=f"columns {' and '.join(_NEEDED)}, and where wanted {GROUP} and part",
            received=first or "nothing",
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name in _KNOWN]
    if twice:
        raise GyrovaeError(f"{path} has the column {twice[0]} twice")
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_row(path, reader.line_num, names, cells))
    except csv.Error as error:
        raise GyrovaeError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise GyrovaeError(f"{path} has no rows", expected="one for each recording")
    return FleetTable(path, tuple(rows), GROUP in names, tuple(name for name in names if name and name not in _KNOWN))


def _row(path: Path, line: int, names: Sequence[str], cells: Sequence[str]) -> Row:
    where = f"{path}, line {line}"
    if len(cells) > len(names):
        raise GyrovaeError(
            f"{where} has more cells than the header",
            expected=len(names),
            received=len(cells),
            remedy="A cell that holds the separator stands in double quotes.",
        )
    cell = dict.fromkeys(_KNOWN, "") | {
        name: value.strip() for name, value in zip(names, cells, strict=False) if name in _KNOWN
    }
    for name in _NEEDED:
        if not cell[name]:
            raise GyrovaeError(f"{where} has no {name}")
    part = cell["part"].casefold() or TRAIN
    if part not in PARTS:
        raise GyrovaeError(f"{where}: unknown part", expected=" or ".join(PARTS), received=cell["part"])
    return Row(line, cell[DEVICE], _seen_from(path.parent, cell["recording"]), cell[GROUP], part)


def _seen_from(folder: Path, name: str) -> str:
    """A recording as the table has it in; the same, seen from where we are, out."""
    if is_url(name):
        return name
    # Only what the table says may be a pattern, not the name of its folder.
    is_pattern = glob.has_magic(name) and not os.path.lexists(folder / name)
    return str((Path(glob.escape(str(folder))) if is_pattern else folder) / name)


def models_of(table: FleetTable, by: str | None = None) -> tuple[Wanted, ...]:
    """A table, and "device" or "group" (that, unless given, where the table has groups) in; its models out, in order.

    `GyrovaeError` where models are by group and a device has none or several.
    """
    if by is None:
        by = GROUP if table.grouped else DEVICE
    if by not in (DEVICE, GROUP):
        raise GyrovaeError("unknown kind of models", expected=f"{DEVICE} or {GROUP}", received=by)
    if by == GROUP:
        _check_groups(table)
    found: dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]] = {}
    for row in table.rows:
        parts = found.setdefault(row.group if by == GROUP else row.device, ({}, {}))
        named = parts[PARTS.index(row.part)].setdefault(row.device, [])
        if row.recording not in named:
            named.append(row.recording)
    folders = folder_names(found)
    return tuple(
        Wanted(name, folders[name], *({device: tuple(names) for device, names in part.items()} for part in parts))
        for name, parts in found.items()
    )


def _check_groups(table: FleetTable) -> None:
    groups: dict[str, Row] = {}
    for row in table.rows:
        if not row.group:
            raise GyrovaeError(
                f"{table.path}, line {row.line}: {row.device} has no group",
                remedy="Give it one, or make one model a device: --by device.",
            )
        before = groups.setdefault(row.device, row)
        if before.group != row.group:
            raise GyrovaeError(
                f"{table.path}, line {row.line}: {row.device} is in two groups",
                expected=f"{before.group}, as in line {before.line}",
                received=row.group,
            )


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Names from anywhere in; for each a name for a folder that is one anywhere, and no other's, out.

    A plain name stays what it is. Of others some plain characters are kept, and a hash of the whole tells them apart;
    so is it for names that differ in upper and lower case alone, which some file systems take for the same.
    """
    known = list(dict.fromkeys(names))
    alike = Counter(name.casefold() for name in known)
    return {name: name if _is_plain(name) and alike[name.casefold()] == 1 else _marked(name) for name in known}


def _is_plain(name: str) -> bool:
    whole = _PLAIN.fullmatch(name) is not None and not name.endswith(".")
    # What looks like a name with a hash would be one that another name may get.
    return whole and not _RESERVED.fullmatch(name) and not _MARKED.fullmatch(name.casefold())


def _marked(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    kept = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:_KEPT].strip("-")
    return f"{kept or 'x'}-{digest}"


def check_apart(train: Mapping[str, Sequence[str]], score: Mapping[str, Sequence[str]]) -> None:
    """Recordings by device, to learn from and to score, in; refuses those that are both: such scores say nothing.

    Refused, too, is one that is given to two devices: it is of one of them.
    """
    for part in (train, score):
        owners: dict[str, str] = {}
        for device, names in part.items():
            for name in names:
                if (other := owners.setdefault(_place(name), device)) != device:
                    raise GyrovaeError(
                        f"{name} is given to two devices: {other} and {device}", remedy="Mend the table: it is of one."
                    )
    learnt = {_place(name) for names in train.values() for name in names}
    both = [name for names in score.values() for name in names if _place(name) in learnt]
    if both:
        more = f" and {len(both) - _SHOWN} more" if len(both) > _SHOWN else ""
        raise GyrovaeError(f"recordings are both to be learnt and to be scored: {', '.join(both[:_SHOWN])}{more}")


def _place(name: str) -> str:
    """A path or URL in, what is the same for all ways to spell it out."""
    return name if is_url(name) else os.path.realpath(name)
