"""What shards of work came to, kept in a folder until all of it is done: what is interrupted goes on with the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf import temporary
from gyrovae_tf.bundle import check_replaceable, read_json, replacing_folder, write_json
from gyrovae_tf.errors import GyrovaeError, atomic_write, read_file
from gyrovae_tf.npy import read_npz
from gyrovae_tf.temporary import beside
from gyrovae_tf.workers import Work, check_guard, results

PLAN = "plan.json"
Part = dict[str, NDArray[Any]]
"""Arrays that a shard came to."""
_LARGEST = 4 << 30  # bytes of a part


class Parts:
    """A folder with a plan, and a file for each shard that is done, wholly or not at all."""

    def __init__(self, folder: Path, plan: Mapping[str, Any], *, resume: bool, again: str) -> None:
        """Make the folder, or with `resume` go on with one of the same plan; refuse another's, or one not ours.

        The plan is what tells work of one kind from other work, JSON-ready; `again` is how to begin anew.
        """
        check_replaceable(folder, marker=PLAN)
        self.folder = folder
        hold(folder)
        if resume and (folder / PLAN).is_file():
            before, now = read_json(folder / PLAN, largest=1 << 30), json.loads(json.dumps(plan))
            if before == now:
                return
            if before.get("schema_version") != now.get("schema_version"):
                raise GyrovaeError(f"another version of gyrovae-tf began the work in {folder}", remedy=again)
            raise GyrovaeError(
                f"the interrupted work in {folder} was another: other recordings, another detector or other options",
                remedy=again,
            )
        # In one step: a folder without its plan, as a kill could leave it, would be refused for ever.
        with replacing_folder(folder, marker=PLAN) as fresh:
            write_json(fresh / PLAN, plan)
            hold(folder)  # where it is there since a moment ago
        hold(folder)  # this is another folder than the one before

    def find(self, name: str) -> Part | None:
        """What a shard came to; None where it is not done, or damaged."""
        try:
            return self.read(name) if (self.folder / name).is_file() else None
        except GyrovaeError:
            return None

    def read(self, name: str) -> Part:
        """What a shard came to; `GyrovaeError` when it is not there whole."""
        try:
            return read_npz(read_file(self.folder / name, largest=_LARGEST))
        except ValueError as error:
            raise GyrovaeError(
                f"{self.folder / name} is damaged: {error}", remedy="Remove it, and go on with the rest."
            ) from None

    def write(self, name: str, part: Part) -> None:
        """Keep what a shard came to."""
        buffer = io.BytesIO()
        np.savez(buffer, **dict[str, Any](part))  # NumPy before 2.1 would keep allow_pickle=False as an array
        atomic_write(self.folder / name, buffer.getvalue())

    def remove(self) -> None:
        """All is done: take the folder away."""
        with beside(self.folder, folder=True) as gone:
            self.folder.replace(gone / "folder")


def hold(folder: Path) -> None:
    """A folder in, which is this process's until `temporary.releasing` ends; `GyrovaeError` where it is another's.

    One that is not there is nobody's.
    """
    try:
        temporary.hold(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except BlockingIOError:
        check_guard()  # it may be this process's own parent that is at work
        raise GyrovaeError(
            f"another gyrovae-tf is at work in {folder}", remedy="Wait until it has ended, or choose another output."
        ) from None
    except OSError as error:
        raise GyrovaeError(f"cannot read {folder}: {error.strerror or error}") from None


def completed(
    work: Work,
    shared: Any,
    shards: Sequence[Any],
    parts: Parts | None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> Generator[tuple[int, Part | GyrovaeError, bool], None, None]:
    """As `workers.results` for shards (with `file`, the name of its part, each) that come to parts, but none twice.

    Out come the number of a shard, what it came to, and whether that was kept from before. What is new is kept.
    """
    missing = []
    for number, shard in enumerate(shards):
        kept = None if parts is None else parts.find(shard.file)
        if kept is None:
            missing.append(number)
        else:
            yield number, kept, True
    for index, found in results(work, shared, [shards[number] for number in missing], jobs=jobs, scheduler=scheduler):
        if parts is not None and not isinstance(found, GyrovaeError):
            parts.write(shards[missing[index]].file, found)
        yield missing[index], found, False
