"""Two at work in one folder: the second is refused, and what was killed is in nobody's way."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gyrovae_tf import temporary
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.parts import PLAN, Parts, hold
from gyrovae_tf.temporary import releasing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
OTHER = """
import sys
from pathlib import Path
from gyrovae_tf.parts import Parts
Parts(Path(sys.argv[1]), {"of": "another"}, resume=False, again="")
print("begun", flush=True)
while sys.stdin.readline():  # begin anew, in another folder of that name
    Parts(Path(sys.argv[1]), {"of": "another"}, resume=False, again="")
    print("begun", flush=True)
"""
WORDS = r"another gyrovae-tf is at work in .*x\.parts\nWait until it has ended"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "x.parts"


@pytest.fixture
def other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Another process, at work in that folder."""
    monkeypatch.setattr(temporary, "_PATIENCE_S", 0.2)
    command = [sys.executable, "-c", OTHER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    yield process
    process.kill()
    process.communicate()


def mine(folder: Path, *, resume: bool = False) -> Parts:
    return Parts(folder, {"of": "mine"}, resume=resume, again="")


@pytest.mark.parametrize("resume", [False, True])
def test_the_second_is_refused(folder: Path, other: subprocess.Popen[str], resume: bool) -> None:
    before = (folder / PLAN).read_bytes()
    with pytest.raises(GyrovaeError, match=WORDS):
        mine(folder, resume=resume)
    assert (folder / PLAN).read_bytes() == before
    other.kill()
    other.wait()
    with releasing():
        mine(folder)
    assert (folder / PLAN).read_bytes() != before


@pytest.mark.usefixtures("other")
def test_a_worker_that_finds_its_parent_at_work_is_told_of_the_guard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has begun to run its parent's script once more."""
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(GyrovaeError, match='jobs above 1 need a script with if __name__ == "__main__"'):
        mine(folder)


def test_who_was_killed_is_waited_for(
    folder: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers end a moment later."""
    monkeypatch.setattr(temporary, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(temporary.time, "sleep", lambda _: other.kill())
    with releasing():
        mine(folder)


def test_who_begins_anew_lets_nobody_in_between(
    folder: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was locked is another folder then."""

    def begin_anew(_: float) -> None:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "begun\n"

    monkeypatch.setattr(temporary.time, "sleep", begin_anew)
    with pytest.raises(GyrovaeError, match=WORDS):
        mine(folder)
    assert '"another"' in (folder / PLAN).read_text()


def test_a_thread_keeps_others_out_and_lets_go_of_its_own_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary, "_PATIENCE_S", 0.0)
    with releasing():
        hold(tmp_path)
        with ThreadPoolExecutor(1) as pool:

            @releasing()
            def elsewhere() -> None:
                mine(folder)
                hold(tmp_path)

            with pytest.raises(GyrovaeError, match="another gyrovae-tf is at work"):
                pool.submit(elsewhere).result()
            with pytest.raises(GyrovaeError, match="another gyrovae-tf is at work"):
                pool.submit(releasing()(hold), tmp_path).result()
        mine(folder)


def test_one_process_goes_on_with_its_own_work_as_often_as_it_likes(folder: Path) -> None:
    with releasing():
        for resume in (False, True, True, False):
            mine(folder, resume=resume)


def test_nothing_is_held_longer_than_what_it_was_for(folder: Path) -> None:
    """A notebook in which the work was stopped keeps nobody from going on with it elsewhere."""

    @releasing()
    def stopped() -> None:
        mine(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    done = subprocess.run([sys.executable, "-c", OTHER, str(folder)], input="", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "begun\n"), done.stderr


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), Path.touch], ids=["FIFO", "file"])
def test_what_is_no_folder_is_held_by_nobody(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A FIFO is not waited for."""
    make(tmp_path / "output")
    with releasing():
        hold(tmp_path / "output")
        hold(tmp_path / "output" / "below")


def test_what_is_held_outside_stays_so(folder: Path, tmp_path: Path) -> None:
    with releasing():
        hold(tmp_path)
        with releasing():
            mine(folder)
        held = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from gyrovae_tf import temporary as t; t._PATIENCE_S = 0; t.hold(t.Path({str(tmp_path)!r}))",
            ],
            capture_output=True,
            text=True,
        )
    assert "BlockingIOError" in held.stderr
