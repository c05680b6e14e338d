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
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import tflite
from gyrovae_tf.errors import GyrovaeError

Invoke = Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
_OUTPUT = (32, 32, 3)
_MEMORY = 2 << 30  # bytes that the process may take beside Python's own
_SECONDS = 5  # for a process that has closed its side to end
_LENGTH = struct.Struct("<I")
_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from gyrovae_tf import isolated; isolated.serve()"


def load(model: bytes, kernels: str, described: tflite.Model) -> Invoke:
    """The bytes of a .tflite, a name of `runtime.KERNELS` and the bytes' description in; what runs one image pair out.

    `GyrovaeError` when the kernels refuse the model or crash on it, now or when it is run. The process ends with the
    last reference to what is returned.
    """
    told = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told
        )
    except OSError as error:
        raise GyrovaeError(f"cannot start Python to run the model: {error.strerror}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    to, back = process.stdin, process.stdout
    kind = np.dtype(described.tensors[described.inputs[0]].dtype)

    def ask(content: bytes) -> bytes:
        try:
            _send(to, content)
            return _received(back)
        except (OSError, EOFError):
            raise _crash(process, told) from None

    def invoke(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        pair = np.frombuffer(ask(np.ascontiguousarray(image, kind).tobytes()), kind).reshape(2, *_OUTPUT)
        return pair[0], pair[1]

    weakref.finalize(invoke, _end, process, told)
    try:
        _send(to, kernels.encode())
        refusal = ask(model)
    except OSError:
        raise _crash(process, told) from None
    if refusal:
        raise GyrovaeError(refusal.decode("utf-8", "replace"))
    return invoke


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
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


def _received(file: IO[bytes]) -> bytes:
    head = file.read(_LENGTH.size)
    size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    content = file.read(size)
    if len(head) < _LENGTH.size or len(content) < size:
        raise EOFError
    return content


def _crash(process: subprocess.Popen[bytes], told: IO[bytes]) -> GyrovaeError:
    """What became of the process, as an error."""
    try:
        code = process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    told.seek(0)
    lines = [line.strip() for line in told.read(1 << 16).decode("utf-8", "replace").splitlines() if line.strip()]
    reason = lines[-1][:200] if lines else f"signal {-code}" if code < 0 else f"exit status {code}"
    return GyrovaeError(
        f"the kernels crashed on this .tflite: {reason}",
        remedy="It is damaged, or not made for them: gyrovae-tf check MODEL.tflite",
    )


def _end(process: subprocess.Popen[bytes], told: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for file in (process.stdin, process.stdout, told):
        if file is not None:
            try:
                file.close()
            except OSError:  # a crash left something unsent
                continue
