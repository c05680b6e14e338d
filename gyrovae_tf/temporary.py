"""Hidden files and folders beside what they are to become, and what a killed process left of such."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and so nothing is taken for left behind
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part")  # as `tempfile` makes them


@contextlib.contextmanager
def beside(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A path in; a new empty hidden file (or folder) beside it out, removed at the end if it is still there.

    It is locked while this process lives. What was left by one that was killed is not, and is removed when something
    of the same name is written again, by another process. `OSError` when it cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in _left_behind(target.parent).pop(target.name, ()):
        _remove_if_free(path)
    temporary, handle = _make(target, folder)
    try:
        # These are made private; give what an ordinary open() or mkdir() would have given.
        temporary.chmod((0o777 if folder else 0o666) & ~_umask())
        yield temporary
    finally:
        _remove(temporary)
        if handle is not None:
            os.close(handle)


def _umask() -> int:
    """The permission bits that this process takes from new files.

    Only Linux tells them. Elsewhere they are read by setting them, which other threads' files of that moment meet, too.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/self/status").read_text(encoding="ascii").split("Umask:")[1].split()[0], 8)
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _make(target: Path, folder: bool) -> tuple[Path, int | None]:
    while True:
        if folder:
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        else:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
            os.close(handle)
            temporary = Path(name)
        if fcntl is None:
            return temporary, None
        with contextlib.suppress(FileNotFoundError):  # taken for left behind, before it was locked: another, then
            lock = os.open(temporary, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks: then nobody removes it
                fcntl.flock(lock, fcntl.LOCK_EX)
            if temporary.exists():
                return temporary, lock
            os.close(lock)


_HELD: dict[str, int] = {}
"""Folders of `hold`, and what is open of them."""
_PATIENCE_S = 5.0  # workers of a process that was killed end a moment after it
_LOOK_S = 0.05  # from one look whether a folder is free to the next


class _Scopes(threading.local):
    """Of each thread: what is held in each `releasing` that has not ended, the innermost last."""

    def __init__(self) -> None:
        self.held: list[set[str]] = [set()]


_SCOPES = _Scopes()


def hold(folder: Path) -> None:
    """A folder in, which nobody else may hold from now on until `releasing` ends.

    Who holds it already goes on with it, also where another folder has got its name meanwhile. `BlockingIOError` where
    another process or thread does, for seconds. Nothing is held where a file system has no locks.
    """
    if fcntl is None:
        return
    name = os.path.realpath(folder)
    mine = next((scope for scope in _SCOPES.held if name in scope), None)
    if mine is not None and _is_at(_HELD[name], name):
        return
    handle = _locked(name, time.monotonic() + _PATIENCE_S)
    if mine is not None:
        os.close(_HELD[name])
    _HELD[name] = handle
    (_SCOPES.held[-1] if mine is None else mine).add(name)


def _locked(name: str, limit: float) -> int:
    """What is open and locked of the folder that has this name now."""
    while True:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY)  # a FIFO would wait for who writes to it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() > limit:
                raise
            time.sleep(_LOOK_S)
            continue
        except OSError:  # no locks here
            return handle
        if _is_at(handle, name):
            return handle
        os.close(handle)  # another one has got its name since


def _is_at(handle: int, name: str) -> bool:
    """Whether what is open is what has this name now."""
    try:
        there = Path(name).stat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(handle), there)


@contextlib.contextmanager
def releasing() -> Iterator[None]:
    """What this thread holds inside is held no longer than that, however it ends."""
    _SCOPES.held.append(set())
    try:
        yield
    finally:
        for name in _SCOPES.held.pop():
            if name in _HELD:  # without locks another thread may have held it, too
                os.close(_HELD.pop(name))


@lru_cache(maxsize=64)
def _left_behind(folder: Path) -> dict[str, list[Path]]:
    """What a folder holds of hidden files of ours when this process first writes there, by what they were to become."""
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError):  # one that may be written, but not listed
        for path in folder.iterdir() if fcntl is not None else ():
            if named := _NAME.fullmatch(path.name):
                found.setdefault(named[1], []).append(path)
    return found


def _remove_if_free(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone by now, another user's, or locked by who is writing it
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
