"""Rows and notes in, a CSV file (of a recording, mostly) out that grows by whole lines and can be read after any end.

The file is never rewritten. It begins with a line of metadata, and what becomes known later (the true rate, what was
lost) is written as further such lines: `Recording.read` lets a later one count more than an earlier one, and drops a
last line that was cut by a kill or a power failure. Every half a second what has come is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gyrovae_tf.csvtable import JOURNAL, json_object
from gyrovae_tf.errors import GyrovaeError, atomic_write, replacing
from gyrovae_tf.recording import Recording

HEADER = "x,y,z,segment"
"""Columns of a recording; the last one is the segment's number in every journal."""
SYNC_S = 0.5
_REMEDY = "Check that the folder may be written to, and that the disk is not full."


class Journal:
    """The file of one collection."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        append: bool = False,
        overwrite: bool = False,
        header: str = HEADER,
    ) -> None:
        """See that the file can be written; nothing is written yet. `GyrovaeError` says why not.

        A file that is there is refused, unless it is to be continued (`append`) or replaced by the first samples
        (`overwrite`).
        """
        self.path = Path(path)
        self.earlier: Recording | None = None
        """What the file held before, where it is a recording that is continued."""
        self.head: dict[str, Any] = {}
        """What the first line of a file that is continued says."""
        self.segment = -1
        """The segment of the latest row."""
        self._file: int | None = None
        self._start = 0  # where this collection's own bytes begin
        self._head = b""
        self._header = header
        self._buffer: list[str] = []
        self._synced: float | None = None
        if append and overwrite:
            raise GyrovaeError("--append and --overwrite exclude each other")
        if self.path.suffix.lower() == ".parquet" or str(path) == "-":
            raise GyrovaeError(
                f"what is collected is written as CSV, to a file that is called so: {path} is no name for it",
                remedy=f"Give another name, as in {self.path.with_name('normal.csv')}",
            )
        if self.path.is_dir():
            raise GyrovaeError(
                f"{path} is a folder",
                expected="a file to write",
                remedy=f"Give a file's name, as in {self.path / 'normal.csv'}",
            )
        if self.path.exists() and not self.path.is_file():
            raise GyrovaeError(f"cannot write {path}: it is not an ordinary file", remedy="Choose another name.")
        if not self.path.exists():
            append = False
        elif not (append or overwrite):
            raise GyrovaeError(
                f"{path} exists", remedy="Give another name, --append to go on with it, or --overwrite to replace it."
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
            if append:
                with contextlib.ExitStack() as refused:
                    refused.callback(self.close)
                    self._continue()
                    refused.pop_all()
        except OSError as error:
            raise self._failed(error) from error

    def _continue(self) -> None:
        """Open a file that is there, and drop a last line that was cut."""
        self._open()  # first: another collection may write until it is locked
        assert self._file is not None
        with self.path.open("rb") as file:
            first, second = file.readline(), file.readline()
        if not first.startswith(JOURNAL):
            raise GyrovaeError(
                f"{self.path} was not written by gyrovae-tf collect, so it cannot be continued",
                remedy="Collect into another file: preprocess takes several.",
            )
        if second.rstrip() != self._header.encode():
            raise GyrovaeError(
                f"{self.path} holds something else, so it cannot be continued",
                expected=f"columns {self._header}",
                received=second.rstrip().decode(errors="replace")[:60],
                remedy="Collect into another file.",
            )
        self.head = json_object(first.lstrip(b"# "), f"{self.path}: the first line")
        if self._header == HEADER:
            self.earlier = Recording.read(self.path)
        raw = self.path.read_bytes().rstrip(b"\0")
        whole = raw.rfind(b"\n") + 1
        self._start, self._head = whole, first + second
        self.segment = self._last_segment(raw[len(self._head) : whole])
        os.ftruncate(self._file, whole)

    def _last_segment(self, content: bytes) -> int:
        """The rows of a file in, the segment of the last one out."""
        rows = (line for line in reversed(content.splitlines()) if line.strip() and not line.startswith(b"#"))
        last = next(rows, None)
        if last is None:
            raise GyrovaeError(
                f"{self.path}: no rows, so it cannot be continued",
                expected="rows of numbers",
                received="only a header",
                remedy="Collect into another file, or give --overwrite.",
            )
        *others, segment = last.split(b",")
        if len(others) != self._header.count(",") or not segment.strip().isdigit():
            raise GyrovaeError(
                f"{self.path}: its last row is damaged, so it cannot be continued",
                expected=f"{self._header}, the last one a whole number",
                received=last.decode(errors="replace")[:60],
                remedy="Remove that row, or collect into another file.",
            )
        return int(segment)

    def begin(self, head: Mapping[str, object]) -> None:
        """What the first line is to say, before any row: of a new file. An earlier one keeps its own."""
        if self._file is None:
            # The first words tell the reader what kind of file it is: csvtable.JOURNAL.
            text = json.dumps({"journal": 1, **head}, allow_nan=False)
            self._head = f"# {text}\n{self._header}\n".encode()

    def add(self, rows: list[str]) -> None:
        """Lines, each with its end, to be written with the next `sync`."""
        self._buffer += rows

    def note(self, content: Mapping[str, object]) -> None:
        """More metadata, which replaces what was said under the same names before."""
        self._buffer.append(f"# {json.dumps(content, allow_nan=False)}\n")

    def sync(self, now: float, *, force: bool = False) -> None:
        """Put what has been added on the disk if the last time is half a second ago; `now` in seconds."""
        if self._synced is None:
            self._synced = now
        if not self._buffer or (now - self._synced < SYNC_S and not force):
            return
        data, self._buffer, self._synced = "".join(self._buffer).encode(), [], now
        if self._file is None:
            self._create(data)
        else:
            self._append(data)

    def _create(self, data: bytes) -> None:
        """A new file appears with its first rows, or not at all."""
        with replacing(self.path) as temporary:
            temporary.write_bytes(self._head + data)
        try:
            self._open()
        except OSError as error:
            raise self._failed(error) from error
        self._start = len(self._head)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        before = os.fstat(self._file).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # keep the whole lines of what still went in
                kept = os.pread(self._file, len(data), before) if hasattr(os, "pread") else b""
                os.ftruncate(self._file, before + kept.rfind(b"\n") + 1)
            raise self._failed(error) from error

    def _open(self) -> None:
        """Open the file, and let no other collection write to it."""
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise GyrovaeError(f"another collection is writing {self.path}", remedy="Give another name.") from None

    def _failed(self, error: OSError) -> GyrovaeError:
        return GyrovaeError(f"cannot write {self.path}: {error.strerror or error}", remedy=_REMEDY)

    @property
    def written(self) -> bool:
        """Whether the file is there with rows of this collection in it."""
        return self._file is not None and os.fstat(self._file).st_size > self._start

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def reject(self) -> Path:
        """Move what this collection wrote to a file of another name, which is returned: .rejected behind it.

        A file that was continued is again what it was before. Nothing is lost in between, whenever the power fails.
        """
        assert self._file is not None
        target = self.path.with_name(self.path.name + ".rejected")
        number = 1
        while target.exists():
            number += 1
            target = self.path.with_name(f"{self.path.name}.rejected.{number}")
        try:
            if self.earlier is None:
                self.path.rename(target)
            else:
                atomic_write(target, self._head + self.path.read_bytes()[self._start :])
                os.ftruncate(self._file, self._start)
                os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from error
        return target
