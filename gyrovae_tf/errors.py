"""What can go wrong that a user can mend, and how files are written so that nothing is half there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


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
            text += f"; expected {self.expected}"
        if self.received is not None:
            text += f", received {self.received}" if self.expected is not None else f"; received {self.received}"
        if self.remedy is not None:
            text += f"\n{self.remedy}"
        return text

    def __reduce__(self) -> tuple[Callable[..., GyrovaeError], tuple[object, ...]]:
        # Exceptions with keyword arguments do not survive pickling (worker processes) without this.
        return _rebuild, (self.problem, self.expected, self.received, self.remedy)


def _rebuild(problem: str, expected: object, received: object, remedy: str | None) -> GyrovaeError:
    return GyrovaeError(problem, expected=expected, received=received, remedy=remedy)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and takes `path`'s place, else it is removed.

    A reader therefore sees the old file or the new one, never a part. Errors of the file system (no such folder,
    no permission, a full disk) become `GyrovaeError`.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        # mkstemp makes files private; give what an ordinary open() would have given.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise GyrovaeError(
            f"cannot write {target}: {error.strerror or error}",
            remedy="Check that the folder exists, may be written to, and that the disk is not full.",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, wholly or not at all; `GyrovaeError` when it cannot be written."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
