"""What can go wrong that a user can mend; how files are read within a limit, and written so that none is half there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gyrovae_tf.temporary import beside

_LONGEST = 300  # characters of a value in a message: a damaged file's may be megabytes


class GyrovaeError(Exception):
    """What is wrong, what was expected, what was received, what to do: one or two lines for a person.

    The command line prints it and exits with status 2. Everything else that escapes is a defect of ours.
    """

    def __init__(
        self,
        problem: str,
        *,
        expected: object | None = None,
        received: object | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.expected = expected
        self.received = received
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.problem
        if self.expected is not None:
            text += f"; expected {_shown(self.expected)}"
        if self.received is not None:
            text += f"{';' if self.expected is None else ','} received {_shown(self.received)}"
        if self.remedy is not None:
            text += f"\n{self.remedy}"
        return text

    def __reduce__(self) -> tuple[Callable[..., GyrovaeError], tuple[object, ...]]:
        # Exceptions with keyword arguments do not survive pickling (worker processes) without this.
        return _rebuild, (self.problem, self.expected, self.received, self.remedy)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def _rebuild(problem: str, expected: object, received: object, remedy: str | None) -> GyrovaeError:
    return GyrovaeError(problem, expected=expected, received=received, remedy=remedy)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and takes `path`'s place, else it is removed.

    A reader therefore sees the old file or the new one, never a part. Symbolic links are followed. Errors of the file
    system (no such folder, no permission, a full disk) become `GyrovaeError`, and so does a `path` that is something
    else than an ordinary file: a rename would put a file in the place of a device such as /dev/null.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            raise GyrovaeError(f"cannot write {path}: it is not an ordinary file", remedy="Choose another name.")
        with beside(target) as temporary:
            yield temporary
            with temporary.open("r+b") as file:  # Windows syncs only what is open for writing
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
    except OSError as error:
        raise GyrovaeError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="Check that the folder exists, may be written to, and that the disk is not full.",
        ) from error


def open_to_read(path: str | os.PathLike[str]) -> int:
    """A path in, a descriptor to read its bytes from out: not the letters, on Windows, and no wait at a pipe's end."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def read_file(path: str | os.PathLike[str], *, largest: int, remedy: str | None = None) -> bytes:
    """An ordinary file of at most `largest` bytes in, its content out; `GyrovaeError` for everything else.

    Symbolic links are followed; a device such as /dev/zero, which never ends, or a pipe, at which one may wait for
    ever, is none.
    """
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise GyrovaeError(f"cannot read {path}: it is not an ordinary file", remedy=remedy)
            content = b"" if status.st_size > largest else file.read(status.st_size)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise GyrovaeError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", remedy=remedy) from None
    if status.st_size > largest:
        raise GyrovaeError(f"{path} is too large", expected=f"at most {largest} bytes", remedy=remedy)
    return content


def check_same_kind(path: str | os.PathLike[str], is_ours: Callable[[bytes], bool], what: str) -> None:
    """Refuse to write `what` over a file that is something else by its first 4 KiB: a slip of the name must not cost a
    recording. What is not there, is empty, or is no ordinary file is left to `replacing`."""
    try:
        if not Path(path).is_file():
            return
        with Path(path).open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise GyrovaeError(f"cannot write {path}: {error.strerror or error}") from None
    if head and not is_ours(head):
        raise GyrovaeError(
            f"{path} is there already, and is no {what}", remedy="Choose another name, or remove that file first."
        )


@contextlib.contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """What goes wrong inside while `path` is read becomes `GyrovaeError`."""
    try:
        yield
    except OSError as error:
        raise GyrovaeError(f"cannot read {path}: {error.strerror or error}") from None


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, wholly or not at all; `GyrovaeError` when it cannot be written."""
    # A file's name in a text may hold bytes that are none in UTF-8.
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def exchanged(one: Path, other: Path) -> bool:
    """Two files or folders of one file system in; whether they have changed places, in one step that nothing divides.

    Linux and macOS can, on most file systems; Python does not offer it. Where it is False, nothing has happened.
    """
    import ctypes

    library: Any = ctypes.CDLL(None) if os.name == "posix" else None
    paths = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # glibc 2.28
        here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        return int(library.renameat2(here, paths[0], here, paths[1], ctypes.c_uint(exchange))) == 0
    if hasattr(library, "renamex_np"):
        swap = 2  # RENAME_SWAP
        return int(library.renamex_np(*paths, ctypes.c_uint(swap))) == 0
    return False


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
