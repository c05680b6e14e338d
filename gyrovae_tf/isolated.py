"""A .tflite in, what runs it in a process of its own out: kernels trust a model, and one made to crash them may.

A crash there, an endless allocation or memory that is overwritten is a `GyrovaeError` here.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import tflite
from gyrovae_tf.errors import GyrovaeError

_OUTPUT = (32, 32, 3)
_MEMORY = 2 << 30  # bytes that the process may take beside Python's own
_SECONDS = 5  # for a process that has closed its side to end
_OUTSIDE = {-9: "SIGKILL", -15: "SIGTERM"}
"""Exit status -> a signal that comes from somebody else, or from a system without memory left: no crash ends by it."""
_LENGTH = struct.Struct("<I")
_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from gyrovae_tf import isolated; isolated.serve()"


def load(model: bytes, kernels: str, described: tflite.Model) -> Isolated:
    """The bytes of a .tflite, a name of `runtime.KERNELS` and the bytes' description in; what runs one image pair out.

    `GyrovaeError` when the kernels refuse the model or crash on it, now or when it is run. The process ends with the
    last reference to what is returned.
    """
    return Isolated(model, kernels, np.dtype(described.tensors[described.inputs[0]].dtype))


class Isolated:
    """One image pair in; reconstructed scalogram and field out, by a process of its own.

    Threads take turns. A copy, a pickle and a process that was forked from this one start a process of their own, and
    so does a question after one that was interrupted: the answer to that may still come. Where the process is killed
    from outside, another one is asked the same, once.
    """

    def __init__(self, model: bytes, kernels: str, kind: np.dtype[Any]) -> None:
        self._made_of = (model, kernels, kind)
        self._turn = threading.Lock()
        try:
            self._start()
        except _KilledError:
            self._start_anew()
        _ALL.add(self)

    def __call__(self, image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        kind = self._made_of[2]
        content = np.ascontiguousarray(image, kind).tobytes()
        with self._turn:
            try:
                answer = self._answer(content)
            except _KilledError:
                answer = self._answer(content)
        pair = np.frombuffer(answer, kind).reshape(2, *_OUTPUT)
        return pair[0], pair[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return Isolated, self._made_of

    def _start(self) -> None:
        model, kernels, _ = self._made_of
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, *sys.path],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._told,
            )
        except OSError as error:
            raise GyrovaeError(f"cannot start Python to run the model: {error.strerror}") from None
        self._owner, self._asking = os.getpid(), False
        self._finalizer = weakref.finalize(self, _end, self._process, self._told, self._owner)
        try:
            _send(self._pipes[0], kernels.encode())
        except OSError:
            raise self._died() from None
        if refusal := self._ask(model):
            raise GyrovaeError(refusal.decode("utf-8", "replace"))

    def _start_anew(self) -> None:
        self._finalizer()
        self._start()

    def _answer(self, content: bytes) -> bytes:
        if self._asking or self._owner != os.getpid():
            self._start_anew()
        return self._ask(content)

    def _ask(self, content: bytes) -> bytes:
        to, back = self._pipes
        self._asking = True
        try:
            _send(to, content)
            answer = _received(back)
        except (OSError, EOFError):
            raise self._died() from None
        self._asking = False
        return answer

    def _died(self) -> GyrovaeError:
        """What became of the process. One that crashed stays dead; after one that was killed another is to begin."""
        error = _crash(self._process, self._told)
        self._asking = isinstance(error, _KilledError)
        return error

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def forked(self) -> None:
        """In a process that was forked from the one that started this: let go of what is not its own.

        While it held the pipes, the process behind them would not end with its owner. Of threads there is one now.
        """
        self._turn = threading.Lock()
        self._finalizer()


class _KilledError(GyrovaeError):
    """The process was ended by somebody else than the kernels."""


_ALL: weakref.WeakSet[Isolated] = weakref.WeakSet()


def _forked() -> None:
    for one in list(_ALL):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def serve() -> None:
    """The other side: load the model that comes over standard input, and run each image that follows."""
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what kernels print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asked
    from gyrovae_tf import runtime

    kernels, content = _received(source).decode(), _received(source)
    _limit()
    try:
        described = tflite.describe(content)
        kind = np.dtype(described.tensors[described.inputs[0]].dtype)
        invoke = runtime.KERNELS[kernels](content, described)
        _send(target, b"")
    except GyrovaeError as error:
        _send(target, str(error).encode())
        return
    while True:
        try:
            image = np.frombuffer(_received(source), kind).reshape(2, *_OUTPUT)
        except EOFError:
            return
        _send(target, np.stack(invoke(image)).astype(kind).tobytes())


def _limit() -> None:
    """No core dumps, and no more memory than a model for a microcontroller can need; only Linux tells what there is."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = taken + _MEMORY if hard == resource.RLIM_INFINITY else min(taken + _MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(file: IO[bytes], content: bytes) -> None:
    left = memoryview(_LENGTH.pack(len(content)) + content)
    while left:  # a pipe may take a part
        left = left[file.write(left) :]
    file.flush()


def _received(file: IO[bytes]) -> bytes:
    return _exactly(file, _LENGTH.unpack(_exactly(file, _LENGTH.size))[0])


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        part = file.read(size - len(content))
        if not part:
            raise EOFError
        content += part
    return bytes(content)


def _crash(process: subprocess.Popen[bytes], told: IO[bytes]) -> GyrovaeError:
    """What became of the process, as an error."""
    try:
        code = process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = process.returncode = 1  # it had given up before: it was not killed from outside
    if code in _OUTSIDE:
        return _KilledError(
            f"the process that ran the model was killed from outside, by {_OUTSIDE[code]}",
            remedy="Is there enough memory? It may be tried again.",
        )
    told.seek(0)
    lines = [line.strip() for line in told.read(1 << 16).decode("utf-8", "replace").splitlines() if line.strip()]
    reason = lines[-1][:200] if lines else f"signal {-code}" if code < 0 else f"exit status {code}"
    return GyrovaeError(
        f"the kernels crashed on this .tflite: {reason}",
        remedy="It is damaged, or not made for them: gyrovae-tf check MODEL.tflite",
    )


def _end(process: subprocess.Popen[bytes], told: IO[bytes], owner: int) -> None:
    if owner == os.getpid():
        process.kill()
        process.wait()
    else:
        process.returncode = 0  # not ours to wait for
    for file in (process.stdin, process.stdout, told):
        if file is not None:
            try:
                file.close()
            except OSError:  # a crash left something unsent
                continue
