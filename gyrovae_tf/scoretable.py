"""The scores of windows in, a table of them on disk out: Parquet or CSV, one row a window, written part by part."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.chunks import optional
from gyrovae_tf.errors import GyrovaeError, check_same_kind, replacing
from gyrovae_tf.spec import AXES

COLUMNS = {
    "recording": "string",
    "segment": "int64",
    "start": "int64",
    "start_s": "float64",
    "score": "float64",
    "alarm": "bool",
    "event": "bool",
    "axis": "string",
    "low_hz": "float64",
    "high_hz": "float64",
    "direction": "string",
    "share": "float64",
}
"""Column -> its type. `start` is the window's first row in its recording, `start_s` that in seconds of motion (gaps do
not count), `event` whether the vote holds at the window's end; axis to share are the top reason, empty without one."""
DIRECTIONS = ("", "louder", "quieter")
_AXES = ("", *AXES)
Part = Mapping[str, NDArray[Any]]
"""Arrays of windows of one recording: the columns from segment on, but start_s; axis and direction by number."""


class Table(Protocol):
    """What rows are written to."""

    def add(self, recording: str, rate_hz: float, part: Part) -> None:
        """Write the windows of a recording, or further ones of it."""


def check_name(path: str | PathLike[str]) -> None:
    """Refuse a name that does not say which format is meant, and Parquet where it cannot be written."""
    ending = Path(path).suffix.lower()
    if ending not in (".parquet", ".csv"):
        raise GyrovaeError(f"the scores cannot be written to {path}", expected="a name ending in .parquet or .csv")
    if ending == ".parquet":
        optional("pyarrow.parquet")


def check_output(path: str | PathLike[str]) -> None:
    """Refuse a name as `check_name` does, and one of a file that holds something else than scores."""
    check_name(path)
    if Path(path).suffix.lower() == ".csv":
        check_same_kind(path, lambda head: head.startswith(",".join(COLUMNS).encode()), "table of scores")
    else:
        check_same_kind(path, lambda _: _holds_scores(path), "table of scores")


def _holds_scores(path: str | PathLike[str]) -> bool:
    try:
        return bool(optional("pyarrow.parquet").read_schema(path).names == list(COLUMNS))
    except (OSError, ValueError, optional("pyarrow").ArrowException):
        return False


@contextmanager
def table(path: str | PathLike[str], about: Mapping[str, Any]) -> Iterator[Table]:
    """A name ending in .parquet or .csv in, what to write rows to out; the file is there at the end, or not at all.

    `about` becomes a JSON object under "gyrovae" in a Parquet file's metadata.
    """
    check_name(path)
    with replacing(path) as temporary:
        if Path(path).suffix.lower() == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                yield _Csv(writer)
        else:
            arrow, parquet = optional("pyarrow"), optional("pyarrow.parquet")
            types = {
                "string": arrow.string(),
                "int64": arrow.int64(),
                "float64": arrow.float64(),
                "bool": arrow.bool_(),
            }
            schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
            schema = schema.with_metadata({"gyrovae": json.dumps(about, sort_keys=True)})
            with parquet.ParquetWriter(temporary, schema) as writer:
                yield _Parquet(writer, schema)


def _printable(name: str) -> str:
    """A path in, the same as text that can be written out: a file's name may hold bytes that are none in UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class _Csv:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, recording: str, rate_hz: float, part: Part) -> None:
        bools = ("false", "true")
        lists = {name: values.tolist() for name, values in part.items()}
        for row, start in enumerate(lists["start"]):
            axis = lists["axis"][row]
            reason = [lists[name][row] if axis else "" for name in ("low_hz", "high_hz", "share")]
            self._writer.writerow(
                [
                    *(_printable(recording), lists["segment"][row], start, start / rate_hz, lists["score"][row]),
                    *(bools[lists["alarm"][row]], bools[lists["event"][row]]),
                    *(_AXES[axis], reason[0], reason[1], DIRECTIONS[lists["direction"][row]], reason[2]),
                ]
            )


class _Parquet:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema

    def add(self, recording: str, rate_hz: float, part: Part) -> None:
        arrow = optional("pyarrow")
        nothing = part["axis"] == 0
        columns = {
            "recording": np.full(len(part["start"]), _printable(recording), object),
            "start_s": part["start"] / rate_hz,
            "axis": np.array(_AXES, object)[part["axis"]],
            "direction": np.array(DIRECTIONS, object)[part["direction"]],
        } | {name: part[name] for name in ("segment", "start", "score", "low_hz", "high_hz", "share")}
        columns |= {name: part[name].astype(bool) for name in ("alarm", "event")}
        reason = ("axis", "low_hz", "high_hz", "direction", "share")
        arrays = [
            arrow.array(columns[name], type=kind.type, mask=nothing if name in reason else None)
            for name, kind in zip(COLUMNS, self._schema, strict=True)
        ]
        self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema))
