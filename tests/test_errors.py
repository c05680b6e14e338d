"""The one exception for users, and files that are written wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrovae_tf.bundle import replacing_folder
from gyrovae_tf.errors import GyrovaeError, atomic_write, replacing


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes meanwhile: writes fail half way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the message -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GyrovaeError("no file"), "no file"),
        (GyrovaeError("bad rate", expected="above 0 Hz"), "bad rate; expected above 0 Hz"),
        (GyrovaeError("bad rate", received=-1), "bad rate; received -1"),
        (GyrovaeError("bad rate", expected="above 0 Hz", received=0), "bad rate; expected above 0 Hz, received 0"),
        (GyrovaeError("bad rate", received=False), "bad rate; received False"),
        (GyrovaeError("bad rate", remedy="Say --rate."), "bad rate\nSay --rate."),
        (GyrovaeError("bad", expected=[3, 32], received="", remedy="Do."), "bad; expected [3, 32], received \nDo."),
    ],
)
def test_the_message_says_what_is_wrong_what_was_expected_what_came_and_what_to_do(
    error: GyrovaeError, text: str
) -> None:
    assert str(error) == text
    assert error.args == (text,)


def test_a_damaged_file_does_not_fill_the_screen() -> None:
    text = str(GyrovaeError("bad", expected="a number", received="x" * 10_000_000, remedy="Do."))
    assert text == "bad; expected a number, received " + "x" * 300 + " ...\nDo."
    assert "y" * 300 in str(GyrovaeError("bad", expected="y" * 300))
    assert "..." not in str(GyrovaeError("bad", expected="y" * 300))


def test_it_survives_the_way_from_a_worker_process() -> None:
    error = GyrovaeError("bad rate", expected="above 0 Hz", received=0, remedy="Say --rate.")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is GyrovaeError
    assert str(back) == str(error)
    assert (back.problem, back.expected, back.received, back.remedy) == ("bad rate", "above 0 Hz", 0, "Say --rate.")


# --- atomic_write ----------------------------------------------------------------------------------------------


def test_bytes_and_text_are_written_as_they_are(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"\x00\xff\r\n")
    assert (tmp_path / "a").read_bytes() == b"\x00\xff\r\n"
    atomic_write(str(tmp_path / "a"), "µ\n")
    assert (tmp_path / "a").read_bytes() == b"\xc2\xb5\n"
    atomic_write(tmp_path / "a", b"")
    assert (tmp_path / "a").read_bytes() == b""
    assert names(tmp_path) == ["a"]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    atomic_write(tmp_path / "new" / "folder" / "a", b"1")
    assert (tmp_path / "new" / "folder" / "a").read_bytes() == b"1"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"old")
    with disk_of(4096), pytest.raises(GyrovaeError, match=r"cannot write .*/a: File too large\nCheck"):
        atomic_write(tmp_path / "a", bytes(10_000))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    with disk_of(4096), pytest.raises(GyrovaeError):
        atomic_write(tmp_path / "b", bytes(10_000))
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_no_space_left_is_said(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"cannot write .*/a: No space left on device"), replacing(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"1")
    assert names(tmp_path) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt("stop"), ValueError("stop"), GyrovaeError("stop")])
def test_whatever_stops_the_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path, stop: BaseException) -> None:
    atomic_write(tmp_path / "a", b"old")

    def write() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            assert (tmp_path / "a").read_bytes() == b"old"
            raise stop

    with pytest.raises(type(stop), match=r"^stop$"):
        write()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


HALF_WRITTEN = """
import os, signal, sys
from pathlib import Path
from gyrovae_tf.bundle import replacing_folder
from gyrovae_tf.errors import replacing
with replacing(Path(sys.argv[1], "a")) as file, replacing_folder(Path(sys.argv[1], "b"), marker="m") as folder:
    file.write_bytes(b"half")
    (folder / "m").write_bytes(b"half")
    print(flush=True)
    if sys.argv[2] == "waits":
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def half_written(folder: Path, then: str) -> subprocess.Popen[bytes]:
    """A process in the midst of writing a file `a` and a folder `b`, in which it waits, or is killed."""
    command = [sys.executable, "-c", HALF_WRITTEN, str(folder), then]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def write_both(folder: Path) -> None:
    atomic_write(folder / "a", b"1")
    with replacing_folder(folder / "b", marker="m") as made:
        (made / "m").write_bytes(b"1")


def test_what_a_killed_process_left_is_removed_when_the_same_is_written_again(tmp_path: Path) -> None:
    half_written(tmp_path, "dies").communicate()
    (tmp_path / ".c.abcdefgh.part").write_bytes(b"what something else left")
    assert len(names(tmp_path)) == 3
    write_both(tmp_path)
    assert names(tmp_path) == [".c.abcdefgh.part", "a", "b"]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b" / "m").read_bytes() == b"1"


def test_what_a_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    process = half_written(tmp_path, "waits")
    assert process.stdout is not None
    process.stdout.readline()
    before = names(tmp_path)
    write_both(tmp_path)
    assert names(tmp_path) == [*before, "a", "b"]
    process.communicate()


def test_a_name_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("x" * 300, "file/a", "folder", "."):
        with pytest.raises(GyrovaeError, match="cannot write"):
            atomic_write(tmp_path / name, b"1")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert names(tmp_path / "folder") == []


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(GyrovaeError, match="not an ordinary file"):
            atomic_write(tmp_path / name, b"1")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert names(tmp_path) == ["link", "pipe"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("a")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o000, 0o666)])
def test_permissions_are_those_of_an_ordinary_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "a", b"1")
    finally:
        assert os.umask(before) == umask  # and atomic_write left it as it was
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
