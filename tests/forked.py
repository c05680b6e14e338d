"""Python calls in processes of their own that have imported everything: cheap to start, to limit and to kill."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_LEARN = ("train", "quantize", "export", "evaluate", "report", "trust", "benchmark", "demo")
_MODULES = ["pytest", "h5py", "ai_edge_litert.interpreter"]  # pytest: what holds the functions to call imports it
_MODULES += [f"gyrovae_tf.{name}" for name in ("cgen", "flash", "scoring")]
_MODULES += [f"gyrovae_tf.learn.{name}" for name in _LEARN]
_MODULES += [f"sklearn.{name}" for name in ("cluster", "decomposition", "ensemble", "neighbors", "svm")]
_MODULES += ["gyrovae_tf.cli.main", *(f"gyrovae_tf.cli.{name}" for name in ("learn", "deploy", "check", "report"))]


@lru_cache(maxsize=1)
def _context() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    return context


_TURN = threading.Lock()
"""Starting a process asks all others whether they have ended. Two threads that ask at once get half an answer each."""


def start(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Call a function of a test module with arguments, in a process that is returned while it runs."""
    process: BaseProcess = _context().Process(target=target, args=arguments, daemon=True)
    with _TURN:
        process.start()
    return process


def ended(process: BaseProcess, within_s: float) -> bool:
    """Whether a process ends within some seconds; it may be waited for so in several threads."""
    return bool(wait([process.sentinel], within_s))


def end(process: BaseProcess) -> int:
    """Kill a process, if it has not ended, and give its exit status; in one thread at a time."""
    with _TURN:
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    code: int
    """Exit status; below 0: the signal that ended it."""
    output: str
    errors: str
    used: int
    """MiB of memory that it took at the most, beyond what it began with."""

    @property
    def refused(self) -> bool:
        """Whether it was told in one or two lines what is wrong."""
        told = self.errors.startswith("gyrovae-tf: ") and self.errors.count("\n") <= 2
        return self.code == 2 and told and "Traceback" not in self.errors


def command(folder: Path, *words: object, limit_mib: int = 1024, timeout_s: float = 120) -> Outcome:
    """Run gyrovae-tf with these words in `folder`, with so much more memory than Python and its packages take."""
    folder.mkdir(parents=True, exist_ok=True)
    process = start(_command, folder, tuple(map(str, words)), limit_mib)
    in_time = ended(process, timeout_s)
    code = end(process)
    assert in_time, f"{words} did not end within {timeout_s} s"
    texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    used = (folder / "used").read_text() if (folder / "used").exists() else "0"
    return Outcome(code, *texts, int(used))


def _command(folder: Path, words: tuple[str, ...], limit_mib: int) -> None:
    from gyrovae_tf.cli.main import cli

    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(d, "w", buffering=1, closefd=False) for d in (1, 2))
    began = _kib("VmSize")
    most = (began << 10) + (limit_mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resident = _kib("VmRSS")
    try:
        os.chdir(folder)
        cli.main(args=list(words), prog_name="gyrovae-tf")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    (folder / "used").write_text(str((_kib("VmHWM") - resident) >> 10))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
