"""A function and tasks in, results out as they come: in this process, in several of this computer, or by Dask.

Tasks must be such that doing one twice does no harm: one whose worker died is done again. Only who asked for them
writes files, so a worker that is killed costs time, and neither loses nor doubles a result.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import multiprocessing.connection
import multiprocessing.reduction
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from gyrovae_tf.arguments import whole
from gyrovae_tf.chunks import optional
from gyrovae_tf.errors import GyrovaeError

Work = Callable[[Any, Any], Any]
"""What all tasks share and one task in, its result out."""
Results = Generator[tuple[int, Any], None, None]
"""Number of a task, and its result or the `GyrovaeError` that it ended with. Closing it ends the workers at once."""
_THREADS = 8  # at the most: each holds what it works on, some 70 MB for the largest excerpt of a dataset
_AHEAD = 2  # tasks for each worker that are handed out at a time
_DEATHS = 3  # of workers, one after the other without a result in between: then it is the tasks' fault
_PATIENCE_S = 30.0  # for a scheduler to answer, and for its first worker to come
_GUARD = 'jobs above 1 need a script with if __name__ == "__main__".'

_shared: Any = None


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def threaded() -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A `map` whose calls run in threads, one for each of up to eight cores, out; one in a process among workers.

    BLAS has a thread to each of them meanwhile: the matrices of a window's profile are too small to be shared out, and
    its own threads wait for each other without end where another process wants the core.
    """
    from threadpoolctl import threadpool_limits

    pool = ThreadPoolExecutor(1 if multiprocessing.parent_process() is not None else min(cores(), _THREADS))
    try:
        with threadpool_limits(1, "blas"):
            yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C only what has begun is waited for


def check_jobs(jobs: int) -> int:
    """A number of processes in, the same as Python's number out; everything else is refused."""
    found = whole(jobs, "the number of jobs is not usable", 1)
    if found > 1:
        check_guard()
    return found


def check_guard() -> None:
    """`GyrovaeError` in a worker that is still being started, and runs its parent's script a second time meanwhile.

    It does so with all that does not stand under the script's `if __name__ == "__main__"`.
    """
    # multiprocessing knows it by this, too, and refuses to start further processes then.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise GyrovaeError("a worker process has begun to run this script once more", remedy=f"In Python: {_GUARD}")


def results(work: Work, shared: Any, tasks: Sequence[Any], *, jobs: int = 1, scheduler: str | None = None) -> Results:
    """A module's function, what its tasks share, and these in; (number of the task, result) out as they come.

    With `jobs` 1 they are done here, one after the other; with more in so many processes, which are started afresh
    (spawn); with `scheduler`, the address of a Dask scheduler, by its workers, which need this package. `GyrovaeError`
    when workers die again and again, or the scheduler does not answer.
    """
    if scheduler is not None:
        return _by_dask(work, shared, tasks, scheduler)
    if min(jobs, len(tasks)) > 1:
        return _by_processes(work, shared, tasks, min(jobs, len(tasks)))
    return ((number, _attempt(work, shared, task)) for number, task in enumerate(tasks))


def _attempt(work: Work, shared: Any, task: Any) -> Any:
    try:
        return work(shared, task)
    except GyrovaeError as error:
        return error


class _Spawn(multiprocessing.context.SpawnContext):
    """Makes fresh processes and remembers them: all other children of this process are not the pool's to end.

    `ProcessPoolExecutor` makes each of its own by calling `Process`, a class in the context that this stands for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: list[multiprocessing.process.BaseProcess] = []

    def Process(self, *args: Any, **options: Any) -> multiprocessing.process.BaseProcess:  # type: ignore[override]  # noqa: N802
        self.made.append(super().Process(*args, **options))
        return self.made[-1]


class _Passed:
    """What a new process gets of its parent, in a file without a name: over the pipe goes the file's number alone.

    Who starts a process writes all that it gets into a pipe, of which it holds both ends until then. Where the process
    has died, more than the pipe takes (64 KiB) is never read, and never refused.
    """

    def __init__(self, value: Any) -> None:
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # as long as workers may be started
            multiprocessing.reduction.dump(value, self._file)
            self._file.flush()
        except OSError as error:
            raise GyrovaeError(
                f"cannot write a temporary file for the workers: {error.strerror or error}",
                remedy="Is there room in the folder for temporary files? TMPDIR names another.",
            ) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _fetched, (multiprocessing.reduction.DupFd(self._file.fileno()),)

    def close(self) -> None:
        self._file.close()


def _fetched(number: Any) -> Any:
    """In a new process: what `_Passed` was made of."""
    handle = number.detach()
    try:
        with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as content:  # all processes share the place to read from
            return pickle.loads(content)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _passed(value: Any) -> Iterator[Any]:
    """A value in; what becomes that value again in the processes that are started with it, out."""
    if os.name == "nt":  # such numbers are not handed on there
        yield value
        return
    with contextlib.closing(_Passed(value)) as passed:
        yield passed


def _by_processes(work: Work, shared: Any, tasks: Sequence[Any], jobs: int) -> Results:
    check_guard()
    with _passed(shared) as passed:
        yield from _by_pools(work, passed, tasks, jobs)


def _by_pools(work: Work, shared: Any, tasks: Sequence[Any], jobs: int) -> Results:
    waiting = list(range(len(tasks)))
    deaths = 0
    while waiting:
        context = _Spawn()
        pool = ProcessPoolExecutor(jobs, context, _begin, (shared,))
        running: dict[Future[Any], int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _AHEAD * jobs:
                    running[pool.submit(_call, work, tasks[waiting[0]])] = waiting[0]
                    waiting.pop(0)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    found = future.result()
                    yield running.pop(future), found
                    deaths = 0
        except BrokenProcessPool:
            # What has ended stays; a worker may have died while others had results ready.
            for future, number in sorted(running.items(), key=lambda item: item[1]):
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield number, future.result()
                    deaths = 0
                else:
                    waiting.append(number)
            waiting.sort()
            deaths += 1
            if deaths >= _DEATHS:
                raise GyrovaeError(
                    f"worker processes died {deaths} times in a row",
                    remedy=f"Is there enough memory? Try fewer --jobs. In Python: {_GUARD}",
                ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            mine = [process for process in context.made if process.pid is not None]
            for process in mine:
                process.terminate()
            for process in mine:
                process.join()
                while process.is_alive():  # join() does not wait where the pool's own thread is about to note its end
                    time.sleep(0.001)


def _begin(shared: Any) -> None:
    """In a new process: keep what tasks share, leave Ctrl-C to the parent, and do not outlive it."""
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _call(work: Work, task: Any) -> Any:
    return _attempt(work, _shared, task)


def _by_dask(work: Work, shared: Any, tasks: Sequence[Any], address: str) -> Results:
    dask = optional("distributed")
    try:
        client = dask.Client(address, timeout=_PATIENCE_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise GyrovaeError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE_S)
        except TimeoutError:
            raise GyrovaeError(f"the Dask scheduler at {address} has no workers") from None
        # What is scattered is lost with its workers; what is computed is computed again. On all workers, as tasks go
        # where their data are.
        common = client.submit(_itself, shared, pure=False)
        dask.wait(common)
        client.replicate(common)
        handed = dask.as_completed()
        numbers: dict[str, int] = {}
        waiting = iter(enumerate(tasks))

        def hand_out(most: int) -> None:
            for number, task in waiting:
                future = client.submit(_attempt, work, common, task, pure=False, retries=_DEATHS)
                numbers[future.key] = number
                handed.add(future)
                if len(numbers) >= most:
                    return

        most = _AHEAD * max(sum(client.ncores().values()), 1)
        hand_out(most)
        for future in handed:
            try:
                found = future.result()
            except dask.KilledWorker as error:
                raise GyrovaeError(
                    f"a task's workers died again and again: {error}", remedy="Is there enough memory on them?"
                ) from None
            yield numbers.pop(future.key), found
            future.release()
            hand_out(most)


def _itself(value: Any) -> Any:
    return value
