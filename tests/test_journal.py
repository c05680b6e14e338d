"""The file that a collection writes: what it holds, that it can be read however it ends, and how it is continued."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyrovae_tf.device.journal import HEADER, Journal
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

JOURNAL_LINE = '# {"journal": 1, "rate_hz": 200.0}\n'
HEAD = {"rate_hz": 200.0, "units": "m/s^2", "lsb": 0.5, "label": "fan"}
ROWS = ["0.5,1.0,9.5,0\n", "-0.5,1.0,10.0,0\n", "0.0,0.5,9.5,1\n"]


def written(path: Path, rows: list[str] = ROWS, **options: bool) -> Path:
    journal = Journal(path, **options)
    journal.begin(HEAD)
    journal.add(rows)
    journal.sync(0.0, force=True)
    journal.note({"rate_hz": 199.0, "collected": [{"samples": len(rows)}]})
    journal.sync(0.0, force=True)
    journal.close()
    return path


def test_the_file_in_full(tmp_path: Path) -> None:
    text = written(tmp_path / "a" / "r.csv").read_text()
    assert text == (
        '# {"journal": 1, "rate_hz": 200.0, "units": "m/s^2", "lsb": 0.5, "label": "fan"}\n'
        "x,y,z,segment\n"
        "0.5,1.0,9.5,0\n"
        "-0.5,1.0,10.0,0\n"
        "0.0,0.5,9.5,1\n"
        '# {"rate_hz": 199.0, "collected": [{"samples": 3}]}\n'
    )


def test_it_reads_as_a_recording_and_a_later_line_counts_more(tmp_path: Path) -> None:
    recording = Recording.read(written(tmp_path / "r.csv"))
    assert recording.samples.tolist() == [[0.5, 1.0, 9.5], [-0.5, 1.0, 10.0], [0.0, 0.5, 9.5]]
    assert recording.segments == ((0, 2), (2, 3))
    assert (recording.rate_hz, recording.units, recording.lsb) == (199.0, "m/s^2", 0.5)
    assert recording.metadata == {"label": "fan", "collected": [{"samples": 3}]}
    recording.write(tmp_path / "again.csv")
    again = Recording.read(tmp_path / "again.csv")
    assert (again.metadata, again.segments, again.rate_hz) == (recording.metadata, recording.segments, 199.0)


def test_cut_at_any_byte_it_holds_the_whole_lines_before(tmp_path: Path) -> None:
    whole = written(tmp_path / "r.csv").read_bytes()
    cut = tmp_path / "cut.csv"
    first_row = whole.index(b"segment\n") + len(b"segment\n")
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        rows = sum(not line.startswith(b"#") for line in whole[first_row : max(length, first_row)].split(b"\n")[:-1])
        if rows:
            recording = Recording.read(cut)
            assert len(recording) == rows
            assert recording.rate_hz == (199.0 if length == len(whole) else 200.0)
        else:
            with pytest.raises(GyrovaeError, match=r"no samples|only a header|is not JSON"):
                Recording.read(cut)


def test_zeros_that_a_power_failure_left_at_the_end_are_dropped(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv")
    path.write_bytes(path.read_bytes()[:-20] + bytes(100))
    assert len(Recording.read(path)) == 3


def test_a_cut_last_line_of_another_file_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("x,y,z\n1,2,3\n4,5")
    with pytest.raises(GyrovaeError, match="row 3: the number of columns changes"):
        Recording.read(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("# {nonsense}", "row 4: the metadata line is not JSON"),
        ('# {"lsb": 2}', "row 4: the metadata line must not change lsb"),
        ('# {"rate_hz": -1}', "rate_hz in its metadata line; expected a finite number above 0"),
    ],
)
def test_a_later_line_that_makes_no_sense_is_refused(tmp_path: Path, note: str, says: str) -> None:
    (tmp_path / "r.csv").write_text(f'# {{"journal": 1, "lsb": 1}}\nx,y,z,segment\n1,2,3,0\n{note}\n1,2,3,0\n')
    with pytest.raises(GyrovaeError, match=says):
        Recording.read(tmp_path / "r.csv")


def test_comments_in_a_file_of_another_kind_stay_comments(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('# {"rate_hz": 100, "journal": 1}\nx,y,z\n1,2,3\n# {"rate_hz": 50}\n# {\n4,5,6\n')
    recording = Recording.read(tmp_path / "r.csv")
    assert (recording.rate_hz, len(recording), recording.metadata) == (100.0, 2, {"journal": 1})


def test_nothing_is_there_before_the_first_row(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r.csv")
    journal.begin(HEAD)
    journal.sync(0.0, force=True)
    journal.close()
    assert list(tmp_path.iterdir()) == []
    assert not journal.written


def test_every_half_second_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    journal = Journal(tmp_path / "r.csv")
    journal.begin(HEAD)
    for i in range(40):
        journal.add(["1.0,2.0,3.0,0\n"])
        journal.sync(0.1 * i)
        if i >= 10:
            rows = (tmp_path / "r.csv").read_text().count("1.0,2.0,3.0,0\n")
            assert i + 1 - rows <= 5
            assert synced[-1] == (tmp_path / "r.csv").stat().st_size
    journal.close()


# --- a file that is there


def test_a_file_that_is_there_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv")
    before = path.read_bytes()
    with pytest.raises(GyrovaeError, match=r"r\.csv exists\nGive another name, --append .* or --overwrite"):
        Journal(path)
    assert path.read_bytes() == before


def test_overwriting_keeps_the_old_file_until_there_is_a_row(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv")
    journal = Journal(path, overwrite=True)
    journal.begin(HEAD)
    journal.sync(0.0, force=True)
    journal.close()
    assert len(Recording.read(path)) == 3
    written(path, ROWS[:1], overwrite=True)
    assert len(Recording.read(path)) == 1


@pytest.mark.parametrize("cut", [0, 1, 30, 60])
def test_going_on_with_a_file(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "r.csv")
    path.write_bytes(path.read_bytes()[: -cut or None])
    kept = len(Recording.read(path))
    journal = Journal(path, append=True)
    assert journal.earlier is not None
    assert len(journal.earlier) == kept
    assert journal.segment == len(journal.earlier.segments) - 1
    journal.begin(HEAD)
    journal.add([f"1.0,2.0,3.0,{journal.segment + 1}\n"] * 2)
    journal.sync(0.0, force=True)
    journal.close()
    recording = Recording.read(path)
    assert len(recording) == kept + 2
    assert recording.segments == (*journal.earlier.segments, (kept, kept + 2))
    assert recording.metadata["label"] == "fan"


def test_going_on_with_what_is_not_there_begins_it(tmp_path: Path) -> None:
    assert len(Recording.read(written(tmp_path / "r.csv", append=True))) == 3


@pytest.mark.parametrize("text", ["x,y,z\n1,2,3\n", "", '# {"rate_hz": 1}\nx,y,z,segment\n1,2,3,0\n'])
def test_only_what_collect_wrote_can_be_continued(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(GyrovaeError, match="was not written by gyrovae-tf collect"):
        Journal(tmp_path / "r.csv", append=True)
    assert (tmp_path / "r.csv").read_text() == text


FIGURES = '# {"journal": 1, "protocol": "stock"}\ntime_s,scalogram_db,field_db,segment\n'


@pytest.mark.parametrize("end", ["", '# {"label": "fan"}\n', "\n"])
def test_figures_without_a_row_are_refused_as_samples_are(tmp_path: Path, end: str) -> None:
    for header, text in (("time_s,scalogram_db,field_db,segment", FIGURES), (HEADER, f"{JOURNAL_LINE}{HEADER}\n")):
        (tmp_path / "f.csv").write_text(text + end)
        with pytest.raises(GyrovaeError, match=r"f\.csv: no .*; expected rows of numbers, received only a header"):
            Journal(tmp_path / "f.csv", append=True, header=header)
        assert (tmp_path / "f.csv").read_text() == text + end


@pytest.mark.parametrize("row", ["1700000000.000,-3.6,-18.0,x", "1700000000.000,-3.6,-18.0,1.0", "1700000000.000,-3"])
def test_figures_with_a_damaged_last_row_are_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "f.csv").write_text(f"{FIGURES}1700000000.000,-3.6,-18.0,0\n{row}\n")
    with pytest.raises(GyrovaeError) as raised:
        Journal(tmp_path / "f.csv", append=True, header="time_s,scalogram_db,field_db,segment")
    assert str(raised.value) == (
        f"{tmp_path / 'f.csv'}: its last row is damaged, so it cannot be continued; expected time_s,scalogram_db,"
        f"field_db,segment, the last one a whole number, received {row}\n"
        "Remove that row, or collect into another file."
    )


def test_notes_at_the_end_do_not_hide_the_segment(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(f"{FIGURES}1700000000.000,-3.6,-18.0,7\n" + '# {"label": "fan"}\n' * 2000)
    journal = Journal(tmp_path / "f.csv", append=True, header="time_s,scalogram_db,field_db,segment")
    journal.close()
    assert journal.segment == 7


def test_append_and_overwrite_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match="--append and --overwrite exclude each other"):
        Journal(tmp_path / "r.csv", append=True, overwrite=True)


def test_two_collections_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv")
    first = Journal(path, append=True)
    with pytest.raises(GyrovaeError, match="another collection is writing"):
        Journal(path, append=True)
    first.close()
    Journal(path, append=True).close()


@pytest.mark.parametrize("text", [None, "x,y,z\n1,2,3\n", '# {"journal": 1\nx,y,z,segment\n1,2,3,0\n'])
def test_what_cannot_be_continued_is_not_kept_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = written(tmp_path / "r.csv")
    first = Journal(path, append=text is None, overwrite=text is not None)
    if text is not None:
        path.write_text(text)
    ours: set[int] = set()
    open_, close = os.open, os.close

    def opened(name: object, *more: Any, **others: Any) -> int:
        file = open_(name, *more, **others)  # type: ignore[arg-type]
        ours.update([file] if name == path else [])
        return file

    def closed(file: int) -> None:
        ours.discard(file)
        close(file)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "close", closed)
    with pytest.raises(GyrovaeError):
        Journal(path, append=True)
    assert not ours
    first.close()


def test_what_another_collection_adds_before_it_is_through_is_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends between the opening of the file and its lock."""
    import fcntl

    path = written(tmp_path / "r.csv")
    lock = fcntl.flock

    def after_the_other(file: int, how: int) -> None:
        with path.open("a") as other:
            other.write("7.0,8.0,9.0,2\n")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", after_the_other)
    journal = Journal(path, append=True)
    journal.close()
    assert journal.earlier is not None
    assert (len(journal.earlier), journal.segment) == (len(ROWS) + 1, 2)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/proc/none/r.csv", "cannot write /proc/none/r.csv"),
        ("/dev/null", "cannot write /dev/null: it is not an ordinary file"),
        ("file/r.csv", "cannot write .*: (Not a directory|File exists)"),
    ],
)
def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(GyrovaeError, match=says):
        Journal(name)


# --- what goes wrong


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let a disk take so many bytes more; then it is full."""
    real = os.write

    def start(room: int) -> None:
        left = [room]

        def write(file: int, data: bytes) -> int:
            if not left[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = real(file, data[: left[0]])
            left[0] -= done
            return done

        monkeypatch.setattr(os, "write", write)

    return start


def test_a_disk_that_fills_up_keeps_the_whole_lines(tmp_path: Path, filling: Callable[[int], None]) -> None:
    journal = Journal(tmp_path / "r.csv")
    journal.begin(HEAD)
    journal.add(ROWS)
    journal.sync(0.0, force=True)
    filling(40)
    journal.add(["1.0,2.0,3.0,1\n"] * 10)
    with pytest.raises(GyrovaeError, match=r"cannot write .*r\.csv: No space left on device\n.*disk is not full"):
        journal.sync(1.0)
    journal.close()
    assert (tmp_path / "r.csv").read_text().endswith("0.0,0.5,9.5,1\n1.0,2.0,3.0,1\n1.0,2.0,3.0,1\n")
    assert len(Recording.read(tmp_path / "r.csv")) == 5


# --- what is refused


def test_a_refused_collection_gets_another_name_that_no_pattern_for_csv_files_finds(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        journal = Journal(tmp_path / "r.csv")
        journal.begin(HEAD)
        journal.add(ROWS)
        journal.sync(0.0, force=True)
        target = journal.reject()
        journal.close()
        assert target.name == ("r.csv.rejected" if number == 1 else f"r.csv.rejected.{number}")
        assert len(Recording.read(target)) == 3
    assert list(tmp_path.glob("*.csv")) == []


def test_what_is_refused_of_a_continued_file_is_taken_out_again(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv")
    before = path.read_bytes()
    journal = Journal(path, append=True)
    journal.begin(HEAD)
    journal.add(["1.0,2.0,3.0,2\n"] * 4)
    journal.note({"collected": [{"samples": 3}, {"samples": 4}]})
    journal.sync(0.0, force=True)
    target = journal.reject()
    journal.close()
    assert path.read_bytes() == before
    refused = Recording.read(target)
    assert refused.samples.tolist() == [[1.0, 2.0, 3.0]] * 4
    assert (refused.lsb, refused.metadata["label"]) == (0.5, "fan")
    assert json.loads(target.read_text().splitlines()[-1][2:]) == {"collected": [{"samples": 3}, {"samples": 4}]}
