"""Recordings read piece by piece: the same as read at once, from any place on, in a bounded amount of memory."""

from __future__ import annotations

import datetime
import errno
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf import clock, csvchunks
from gyrovae_tf.csvchunks import CsvChunks
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.cutting import cut, cut_samples, segments_of
from gyrovae_tf.recording import Recording
from gyrovae_tf.streaming import Batch, Stream, find_recordings

ROOT = Path(__file__).resolve().parents[1]


def stream(path: Path, chunk: int = 61, rate_hz: float | None = None) -> Stream:
    read = CsvChunks(str(path), rate_hz, chunk)
    return Stream(str(path), read.facts, read)


def assert_same(one: Recording, other: Recording) -> None:
    assert np.array_equal(one.samples, other.samples)
    for name in ("segments", "rate_hz", "units", "lsb", "source", "metadata"):
        assert getattr(one, name) == getattr(other, name)


def joined(batches: list[Batch]) -> Batch:
    return Batch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


# --- the same as Recording.read


@pytest.mark.parametrize("path", sorted((ROOT / "data").glob("*.csv")), ids=lambda path: path.name)
def test_the_files_of_data(path: Path) -> None:
    for chunk in (1000, csvchunks.CHUNK):
        assert_same(stream(path, chunk).recording(), Recording.read(path))


def test_all_shared_recordings(shared: Path) -> None:
    paths = sorted((shared / "datasets").glob("*/**/*.csv"))
    assert len(paths) > 100
    for path in paths:
        assert_same(stream(path, 50_000).recording(), Recording.read(path))


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """CSV files of all formats, in all dresses, some with a fault."""
    number = st.sampled_from(["0", "-1.5", "9.81", "+3", "1e2", ".5", "7."])
    delimiter = draw(st.sampled_from([",", ";", "\t", " "]))
    kind = draw(st.sampled_from(["xyz", "stamped", "bare", "dt", "flat", "segments"]))
    count = draw(st.integers(1, 60))
    rows: list[list[str]] = []
    clock = 0.0
    stamps = {"timestamp x y z": 1, "time_s x y z": 1e-3, "T accel_x accel_y accel_z": 1, "micros ax_g ay_g az_g": 1e3}
    stamped, unit = draw(st.sampled_from(list(stamps.items())))
    day = draw(st.sampled_from([None, "", "2024-05-01T"]))  # None: times are numbers
    for row in range(count):
        values = [draw(number) for _ in range(3)]
        clock += draw(st.sampled_from([5, 5, 5, 5, 6, 4, 20, -3, 0, 0.25]))
        if kind == "stamped":
            written = f"{day}{(datetime.datetime(2024, 5, 1) + datetime.timedelta(hours=1, milliseconds=clock)).time()}"
            values = [f"{clock * unit:.9g}" if day is None else written, *values]
        elif kind == "dt":
            values.append(draw(st.sampled_from(["5", "5", "5", "6", "30", "0"])))
        elif kind == "segments":
            values.append(draw(st.sampled_from(["0", "0", "0", "b", ""])))
        elif kind == "flat":
            values = [draw(number) for _ in range(15)]
            if row == 0 and draw(st.booleans()):
                values = ["boot", "log", *values][: draw(st.integers(1, 17))]
        rows.append(values)
    header = {"xyz": "x y z", "stamped": stamped, "segments": "X Y Z segment"}.get(kind)
    lines = ([delimiter.join(header.split())] if header else []) + [delimiter.join(row) for row in rows]
    if draw(st.booleans()):
        fault = draw(st.sampled_from(["1,2", "nan,1,2", "x", "# note", "", '"1"', "1e9,1,1,1", "1 2 3 4 5"]))
        lines.insert(draw(st.integers(0, len(lines))), fault)
    if draw(st.booleans()):
        lines.insert(0, '# {"rate_hz": 200, "label": "fan"}')
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines) + draw(st.sampled_from(["", "\n"]))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


@settings(max_examples=300, deadline=None)
@given(text=texts(), chunk=st.integers(4, 200))
def test_whatever_the_file_and_wherever_it_is_cut(tmp_path_factory: pytest.TempPathFactory, text: bytes, chunk: int):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text)
    try:
        whole = Recording.read(path)
    except GyrovaeError:
        # Which of several faults is told may differ; that one is told may not.
        with pytest.raises(GyrovaeError):
            stream(path, chunk).recording()
        return
    found = stream(path, chunk).recording()
    assert found.rate_hz == pytest.approx(whole.rate_hz, rel=1e-12) if whole.rate_hz else found.rate_hz is None
    assert np.array_equal(found.samples, whole.samples)
    assert (found.segments, found.units, found.metadata) == (whole.segments, whole.units, whole.metadata)


def test_a_fault_at_the_end_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("x,y,z\n" + "1,2,3\n" * 1000 + "1,2\n")
    with pytest.raises(GyrovaeError, match="row 1002: the number of columns changes; expected 3, received 2"):
        stream(path)
    path.write_text("x,y,z\n" + "1,2,3\n" * 1000 + "1,two,3\n")
    with pytest.raises(GyrovaeError, match="row 1002, column y; expected a number, received 'two'"):
        stream(path).recording()


def test_how_many_rows_have_a_fault_is_told_of_all_pieces(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("x,y,z\n" + "1,2,3\n,2,3\n" * 1000)
    with pytest.raises(GyrovaeError, match="row 3 and 999 more, column x; expected a number, received ''"):
        stream(path, 100).recording()
    path.write_text("x,y,z\n" + "1,2,3\n,2,3\n" * 60_000)
    with pytest.raises(GyrovaeError, match="row 3 and at least 50,000 more, column x"):
        stream(path, 10_000).recording()
    path.write_text("x,y,z\n" + "1,2,3\n1,2\n" * 1000)
    with pytest.raises(GyrovaeError, match="row 3 and at least 3 more: the number of columns changes"):
        stream(path, 100)  # told by its first rows
    path.write_text("x,y,z\n" + "1,2,3\n" * 20 + "1,2,3\n1,2\n" * 1000)
    with pytest.raises(GyrovaeError, match="row 23 and 999 more: the number of columns changes"):
        stream(path, 100)
    path.write_bytes(b"x,y,z\n" + b"1,2,3\n" * 1000 + b"\0" * 1000)
    with pytest.raises(GyrovaeError, match="row 1002: bytes of zero"):
        stream(path, 100)


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvchunks, "_LONGEST_LINE", 1 << 20)
    path = tmp_path / "r.csv"
    path.write_bytes(b"x,y,z\n1,2,3\n" + b"1" * (2 << 20))
    with pytest.raises(GyrovaeError, match=r"r\.csv, row 3: a line of more than 1 MB"):
        stream(path, 1 << 18)


@given(steps=st.lists(st.sampled_from([-1.0, 0.0, 4.5, 5.0, 5.25, 6.0, 1e3]), max_size=50), exact=st.booleans())
def test_the_median_of_steps_that_are_not_kept(steps: list[float], exact: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "_DISTINCT", 1 << 20 if exact else 2)
        found = clock.Steps()
        for step in steps:
            found.add(np.array([step]))
    above = [step for step in steps if step > 0]
    assert found.median() == (pytest.approx(np.median(above), rel=0 if exact else 1e-6) if above else None)
    if above:
        kept = [step for step in above if step <= 6]
        assert found.up_to(6.0)[0] == pytest.approx(np.mean(kept), rel=1e-12) if kept else True


# --- windows


def test_windows_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    rows = [(i, "a" if i < 7 else "b") for i in range(12)]
    path.write_text("x,y,z,segment\n" + "".join(f"{i},0,0,{s}\n" for i, s in rows))
    (found,) = stream(path).windows(4, 2, 1.0)
    assert found.starts.tolist() == [0, 2, 7]
    assert found.segments.tolist() == [0, 0, 1]
    assert found.windows[:, :, 0].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [7, 8, 9, 10]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 0}, "the window length is not usable; expected at least 1, received 0"),
        ({"hop": 0}, "the hop is not usable; expected at least 1, received 0"),
        ({"hop": -1}, "the hop is not usable; expected at least 1, received -1"),
        ({"batch": 0}, "batch is not usable; expected at least 1, received 0"),
        ({"lsb": 0}, r"the size of a count \(lsb\) is not usable; expected above 0, received 0"),
        ({"lsb": "a"}, r"the size of a count \(lsb\) is not usable; expected above 0, received 'a' \(text\)"),
    ],
)
def test_windows_that_cannot_be_are_refused_when_they_are_asked_for(given: dict[str, Any], message: str) -> None:
    held = Stream.of(Recording(np.zeros((9, 3)), 100.0, ((0, 9),), "w.csv"))
    with pytest.raises(GyrovaeError, match=message):
        held.windows(**{"window": 4, "hop": 2, "lsb": 1.0, **given})


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    window=st.integers(2, 20),
    hop=st.integers(1, 30),
    batch=st.integers(1, 9),
    chunk=st.integers(20, 300),
)
def test_windows_are_those_that_are_cut_out_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], window: int, hop: int, batch: int, chunk: int
) -> None:
    total = sum(lengths)
    borders = [0, *itertools.accumulate(lengths)]
    whole = Recording(np.arange(3.0 * total).reshape(-1, 3), 100.0, tuple(itertools.pairwise(borders)), "w.csv")
    path = tmp_path_factory.getbasetemp() / "w.csv"
    whole.write(path)
    read = stream(path, chunk)
    batches = list(read.windows(window, hop, 0.5, batch=batch))
    assert all(len(found.starts) == batch for found in batches[:-1])
    if max(lengths) < window:
        assert not batches
        return
    expected, origins = cut([whole], window=window, hop=hop, lsb=0.5)
    found = joined(batches)
    assert np.array_equal(found.windows, expected)
    assert np.array_equal(found.starts, origins[:, 1])
    assert np.array_equal(found.segments, segments_of(origins, [whole]))
    # The same in shards, each from the last mark in front of it.
    marks, parts = read.marks(), []
    for first in range(0, total, 37):
        mark = max(mark for mark in marks if mark.row <= first)
        parts += list(read.windows(window, hop, 0.5, first=first, last=first + 37, mark=mark))
    again = joined([part for part in parts if len(part.starts)])
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


def test_a_recording_in_memory_is_a_stream_too(tmp_path: Path) -> None:
    """More rows than one piece holds, with a gap in the first and one in the second."""
    rows, borders = 70_000, ((0, 500), (500, 66_000), (66_000, 70_000))
    whole = Recording(np.arange(3.0 * rows).reshape(-1, 3) % 1000, 100.0, borders, "w.csv", metadata={"a": 1})
    assert_same(Stream.of(whole).recording(), whole)
    found = joined(list(Stream.of(whole).windows(64, 40, 0.5)))
    expected, origins = cut([whole], window=64, hop=40, lsb=0.5)
    assert np.array_equal(found.windows, expected)
    assert np.array_equal(found.segments, segments_of(origins, [whole]))
    whole.write(tmp_path / "w.csv")
    samples, _ = cut_samples([whole], window=64, hop=40)
    for one in (Stream.of(whole), Stream.open(tmp_path / "w.csv")):
        windows = joined(list(one.windows(64, 40, None))).windows
        assert (windows.dtype, np.array_equal(windows, samples)) == (np.float32, True)
    nameless = Recording(whole.samples, None, ((0, rows),), "n.csv")
    assert (Stream.of(nameless).rate_hz, Stream.of(nameless, rate_hz=50.0).rate_hz) == (None, 50.0)


def test_a_stream_goes_to_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("timestamp,x,y,z\n" + "".join(f"{5 * i},{i},0,0\n" for i in range(50)))
    sent = pickle.loads(pickle.dumps(stream(path)))
    assert_same(sent.recording(), Recording.read(path))


_READ = """
import resource, sys
from gyrovae_tf.streaming import Stream
def most_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
list(Stream.open(sys.argv[1]).windows(256, 128, 0.01))
before = most_kb()
count = sum(len(batch.starts) for batch in Stream.open(sys.argv[2]).windows(256, 128, 0.01))
print(count, most_kb() - before)
"""


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """Two million rows in no more memory than half a million; held at once they are 88 MB as text, 48 as float64."""
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    rows = "".join(f"{math.sin(i):.12f},{math.cos(i):.12f},9.81234567890\n" for i in range(50_000))
    for path, times in ((small, 10), (large, 40)):
        path.write_text('# {"rate_hz": 200}\nx,y,z\n' + rows * times)
    done = subprocess.run(
        [sys.executable, "-c", _READ, small, large], capture_output=True, text=True, check=True, cwd=ROOT
    )
    count, grown_kb = map(int, done.stdout.split())
    assert count == (2_000_000 - 256) // 128 + 1
    assert grown_kb < 30_000


# --- Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write columns to a Parquet file."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra scale)")
    import pyarrow.parquet

    def write(about: dict[str, Any] | None = None, group: int = 7, **columns: Any) -> Path:
        table = arrow.table(columns)
        if about is not None:
            table = table.replace_schema_metadata({"gyrovae": json.dumps(about)})
        path = tmp_path / "r.parquet"
        pyarrow.parquet.write_table(table, path, row_group_size=group)
        return path

    return write


def test_parquet_is_read_as_csv_is(parquet: Callable[..., Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 100))
    stamps = np.cumsum(np.where(np.arange(100) % 40 == 39, 50, 5))
    labels = ["a"] * 60 + ["b"] * 40
    about = {"rate_hz": 200.0, "units": "g", "lsb": 0.5, "label": "fan"}
    path = parquet(about, other=labels, timestamp=stamps, x=x, Y=y, z=z, segment=labels)
    csv = tmp_path / "r.csv"
    rows = zip(stamps, x.tolist(), y.tolist(), z.tolist(), labels, strict=True)
    lines = [f"{t},{a!r},{b!r},{c!r},{s}" for t, a, b, c, s in rows]
    csv.write_text(f"# {json.dumps(about)}\ntimestamp,x,y,z,segment\n" + "\n".join(lines))
    read, expected = Stream.open(path), Recording.read(csv)
    found = read.recording()
    assert np.array_equal(found.samples, expected.samples)
    assert found.segments == expected.segments == ((0, 39), (39, 60), (60, 79), (79, 100))
    assert (found.rate_hz, found.units, found.lsb) == (200.0, "g", 0.5)
    assert found.metadata == {"label": "fan"}
    assert [mark.row for mark in read.marks()] == list(range(0, 100, 7))
    whole = joined(list(read.windows(8, 3, 0.5)))
    parts = []
    for first in range(0, 100, 20):
        mark = max(mark for mark in read.marks() if mark.row <= first)
        parts += list(read.windows(8, 3, 0.5, first=first, last=first + 20, mark=mark))
    assert all(np.array_equal(one, other) for one, other in zip(whole, joined(parts), strict=True))


def test_parquets_own_times_are_milliseconds_here(parquet: Callable[..., Path]) -> None:
    stamps = np.array([0, 10_000, 20_000, 60_000, 70_000], "datetime64[us]")
    found = Stream.open(parquet(timestamp=stamps, x=[1.0] * 5, y=[1.0] * 5, z=[1] * 5)).recording()
    assert found.rate_hz == 100.0
    assert found.segments == ((0, 3), (3, 5))


def test_the_usual_names_of_columns_in_parquet(parquet: Callable[..., Path]) -> None:
    columns: dict[str, Any] = {"AX_g": [1.0] * 3, "ay_g": [0.0] * 3, "az_g": [2.0] * 3}
    found = Stream.open(parquet(time=["a", "b", "c"], t_s=[0.0, 0.01, 0.05], **columns)).recording()
    assert found.samples.tolist() == [[9.80665, 0.0, 19.6133]] * 3
    assert (found.units, found.rate_hz, found.segments) == ("m/s^2", 100.0, ((0, 2), (2, 3)))
    own = np.array([0, 50_000, 100_000], "datetime64[ns]")  # 20 kHz: of these it is known what they are in
    assert Stream.open(parquet(time=own, **columns)).recording().rate_hz == pytest.approx(20_000)
    with pytest.raises(GyrovaeError, match=r"its timestamps give 2e\+05 Hz; expected 2 to 20000 Hz"):
        Stream.open(parquet(time=np.array([0, 5_000, 10_000], "datetime64[ns]"), **columns))
    with pytest.raises(
        GyrovaeError, match=r"nothing says its sample rate, as its column Time holds no times .*, received string\n"
    ):
        Stream.open(parquet(Time=["12:00:00.5"] * 3, **columns))
    assert Stream.open(parquet(Time=["12:00:00.5"] * 3, **columns), rate_hz=9).rate_hz == 9.0
    since_1970 = 1714564800000000000 + 10_000_000 * np.arange(3)
    assert Stream.open(parquet(time=since_1970, **columns)).rate_hz == pytest.approx(100)
    with pytest.raises(GyrovaeError, match="column ax_g is there 2 times"):
        Stream.open(parquet(ax_g=[1.0] * 3, **columns))


def test_gyroscope_columns_become_radians(parquet: Callable[..., Path]) -> None:
    found = Stream.open(parquet(gyrX=[180.0], gyrY=[0.0], gyrZ=[-90.0]), rate_hz=50).recording()
    assert found.samples.tolist() == [[math.pi, 0.0, -math.pi / 2]]
    assert (found.units, found.rate_hz) == ("rad/s", 50.0)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [1.0], "y": [1.0]}, r"wrong columns; expected columns x,y,z .*, received 'x,y'"),
        (
            {"x": [1.0] * 9, "y": [1.0] * 9, "z": [1.0] * 8 + [None]},
            "row 9, column z; expected a number, received nothing",
        ),
        ({"x": [1.0, math.nan], "y": [1.0] * 2, "z": [1.0] * 2}, "row 2, column x; expected a number, received nan"),
        ({"x": [1.0], "y": [1.0], "z": [2e6]}, r"row 1, column z; expected at most 1e\+06 in size, received 2000000.0"),
        ({"x": ["1"], "y": [1.0], "z": [1.0]}, "column x; expected numbers, received string"),
        ({"x": [[1.0]], "y": [1.0], "z": [1.0]}, "column x; expected numbers, received list<"),
        (
            {"x": [1.0], "y": [1.0], "z": [1.0], "segment": [[1]]},
            "column segment; expected text or numbers, received list<",
        ),
        ({"x": [], "y": [], "z": []}, "no samples"),
        ({"x": [1.0], "X": [1.0], "y": [1.0], "z": [1.0]}, "column x is there 2 times"),
    ],
)
def test_what_is_no_motion_in_parquet(parquet: Callable[..., Path], columns: dict[str, Any], words: str) -> None:
    path = parquet(**columns)
    with pytest.raises(GyrovaeError, match=words):
        Stream.open(path).recording()


def test_a_parquet_column_that_is_there_twice_is_told(parquet: Callable[..., Path]) -> None:
    path = parquet(x=[1.0], y=[1.0], z=[1.0], t=[0.0], u=[0.0])
    import pyarrow.parquet

    twice = pyarrow.parquet.read_table(path).rename_columns(["x", "y", "z", "t", "t"])
    pyarrow.parquet.write_table(twice, path)
    with pytest.raises(GyrovaeError, match="column t is there 2 times"):
        Stream.open(path)


def test_damaged_parquet_is_told(parquet: Callable[..., Path]) -> None:
    path = parquet(x=np.arange(1000.0), y=np.ones(1000), z=np.ones(1000), group=1000)
    content = path.read_bytes()
    for place in (10, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:place])
        with pytest.raises(GyrovaeError, match="no Parquet file that can be read"):
            Stream.open(path).recording()


def test_labels_that_are_no_text_are_told(parquet: Callable[..., Path]) -> None:
    path = parquet(x=[1.0, 2.0], y=[1.0] * 2, z=[1.0] * 2, segment=["morning"] * 2)
    path.write_bytes(path.read_bytes().replace(b"morning", b"\xad\xad\xad\xad\xad\xad\xad"))
    with pytest.raises(GyrovaeError, match=r"no Parquet file that can be read: .*UTF8"):
        Stream.open(path, rate_hz=200).recording()


def test_whatever_is_no_list_is_a_label(parquet: Callable[..., Path]) -> None:
    """A recording's segments begin where the label changes."""
    days = [datetime.date(2026, 1, day) for day in (1, 1, 2)]
    for labels in ([7, 7, 8], ["a", "a", "b"], [None, None, "b"], [True, True, False], [0.5, 0.5, 1], days):
        path = parquet(x=[1.0] * 3, y=[1.0] * 3, z=[1.0] * 3, segment=labels)
        assert Stream.open(path, rate_hz=200).recording().segments == ((0, 2), (2, 3))


@pytest.mark.parametrize("seed", range(4))
def test_parquet_with_any_bytes_changed_is_read_or_told(parquet: Callable[..., Path], seed: int) -> None:
    """A thousand changes each, most of them to the description at the end of the file."""
    columns = {
        "x": np.arange(300.0) % 7,
        "y": np.ones(300),
        "z": np.arange(300) % 5,
        "segment": ["a"] * 99 + ["b"] * 201,
    }
    path = parquet(**columns, group=100)
    whole = path.read_bytes()
    described = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    rng, told = np.random.default_rng(seed), 0
    for _ in range(1000):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(described if rng.random() < 0.7 else 0, len(content)))
            size = int(rng.integers(9))
            content[place : place + size] = (b"", rng.bytes(size), b"\xff\xff\xff\xff\x0f")[rng.integers(3)]
        path.write_bytes(content)
        try:
            Stream.open(path, rate_hz=200).recording()
        except GyrovaeError:
            told += 1
    assert told > 500


# --- names


def test_folders_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/1.csv", "a/deep/2.CSV", "a/3.parquet", "a/notes.txt", "a/.hidden/4.csv", "a/.5.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_recordings(["a"]) == ["a/3.parquet", "a/deep/2.CSV"]
    assert find_recordings(["b/*.csv", "a/**/*.CSV"]) == ["b/1.csv", "a/deep/2.CSV"]
    assert find_recordings(["b/1.csv", "b", "missing.csv"]) == ["b/1.csv", "missing.csv"]
    for name, words in (("a/.hidden/*.parquet", "nothing matches"), ("a/.hidden", "")):
        if words:
            with pytest.raises(GyrovaeError, match=words):
                find_recordings([name])
    for folder in ("./a", "./a/", "a//", "b/../a", str(tmp_path / "a"), f"{tmp_path}/./a/"):
        assert [Path(name).resolve() for name in find_recordings([folder])] == [
            tmp_path / "a" / "3.parquet",
            tmp_path / "a" / "deep" / "2.CSV",
        ]
    assert find_recordings(["b/1.csv", "./b/1.csv", str(tmp_path / "b"), "a/../b/*.csv"]) == ["b/1.csv"]
    monkeypatch.chdir(tmp_path / "b")
    for name in ("2.csv", "10.csv", ".6.csv"):
        Path(name).write_text("")
    for folder in (".", "./", "./."):
        assert find_recordings([folder]) == ["1.csv", "10.csv", "2.csv"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GyrovaeError, match=r"empty holds no \.csv or \.parquet files"):
        find_recordings(["empty"])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), ""),
        (("b.csv.gz", "a.csv.gz"), "; received a.csv.gz, b.csv.gz\nUnpack them."),
        (
            ("log.txt", ".hidden"),
            "; received log.txt\nWhere recordings in CSV are among these, let their names end in .csv.",
        ),
    ],
)
def test_what_a_folder_holds_instead_of_recordings(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(GyrovaeError) as caught:
        find_recordings(tmp_path)
    assert str(caught.value) == f"{tmp_path} holds no .csv or .parquet files{told}"


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "lost+found").mkdir()
    look = os.scandir
    shut = {tmp_path / "lost+found"}

    def scandir(folder: str) -> Any:
        if Path(folder) in shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return look(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_recordings(tmp_path) == [str(tmp_path / "a.csv")]
    shut.add(tmp_path)
    with pytest.raises(GyrovaeError, match=f"cannot read {tmp_path}: Permission denied"):
        find_recordings(tmp_path)


def test_urls() -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra scale)")
    system = fsspec.filesystem("memory")
    text = "x,y,z\n" + "1,2,3\n4,5,6\n" * 50
    for name in ("/fleet/a/1.csv", "/fleet/b/2.csv", "/fleet/b/.3.csv"):
        system.pipe(name, text.encode())
    names = ["memory://fleet/a/1.csv", "memory://fleet/b/2.csv"]
    assert [name.replace(":///", "://") for name in find_recordings(["memory://fleet"])] == names
    assert [name.replace(":///", "://") for name in find_recordings(["memory://fleet/*/[12].csv"])] == names
    read = Stream.open(names[0], rate_hz=100)
    assert (read.source, read.facts.rows, read.facts.rate_hz) == ("1.csv", 100, 100.0)
    assert read.recording().samples[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(GyrovaeError, match=r"cannot read memory://fleet/none\.csv: no such file"):
        Stream.open("memory://fleet/none.csv")
    with pytest.raises(GyrovaeError, match="cannot read nonsense://fleet"):
        find_recordings(["nonsense://fleet"])


@pytest.mark.parametrize(("package", "name"), [("fsspec", "s3://bucket/1.csv"), ("pyarrow.parquet", "1.parquet")])
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, package: str, name: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        GyrovaeError, match=rf'{package.split(".")[0]}.*\nInstall it: pip install "gyrovae-tf\[scale\]"'
    ):
        Stream.open(name)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"none\.csv: no such file"):
        Stream.open(tmp_path / "none.csv")
    with pytest.raises(GyrovaeError, match="a folder; expected a recording"):
        Stream.open(tmp_path)
    with pytest.raises(GyrovaeError, match="not an ordinary file"):
        Stream.open("/dev/zero")


def test_linked_folders_are_looked_into_and_nothing_is_found_twice(tmp_path: Path) -> None:
    for file in ("fans/a/1.csv", "elsewhere/2.csv", "elsewhere/deep/3.csv", "hidden/4.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x,y,z\n1,2,3\n")
    for link, to in (
        ("fans/b", "elsewhere"),
        ("fans/0", "fans/a"),  # found under its own name
        ("fans/up", "."),
        ("elsewhere/back", "fans"),
        ("elsewhere/deep/round", "elsewhere"),
        ("fans/c", "elsewhere/deep"),  # found in b
        ("fans/.d", "hidden"),
    ):
        (tmp_path / link).symlink_to(tmp_path / to)
    found = [Path(name).relative_to(tmp_path / "fans").as_posix() for name in find_recordings(tmp_path / "fans")]
    assert found == ["a/1.csv", "b/2.csv", "b/deep/3.csv"]
