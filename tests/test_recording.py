"""Recordings: what each file format means, what is refused and in which words, and that nothing is lost in writing."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gyrovae_tf.clock import Clock, Steps, longest_step
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording, check_fits
from gyrovae_tf.streaming import Stream, find_recordings, read_all

AXES = "columns x,y,z or accX,accY,accZ (or ax, acc_x, accel_x ...) or gyrX,gyrY,gyrZ"
NUMBER = "Remove that row, or write a number there."
LESS = "Remove that row, or write a number there that can be."
NUMBERS = "Remove those rows, or write a number there."
CUTS = "Remove those rows if they are cut. Where lines stand above the names of the columns, remove those lines."
MARKS = "Write decimals with a point, and nothing between thousands."
ALONE = "Write what the values are in a first line, such as timestamp,x,y,z, and in the others values alone."
ROW = "Remove that row: it holds no sample."
RENAME = (
    "Rename the columns of the three axes to x,y,z (a gyroscope's in degrees per second to gyrX,gyrY,gyrZ). "
    "Where lines stand above the names of the columns, remove those lines. "
    "Where the file is no recording of motion, give the others without it."
)
CUT = "Remove that row if it is cut. Where lines stand above the names of the columns, remove those lines."
COMMAS = "Where decimals are written with commas, write them with points. Else remove that row."
JSON = "It looks like JSON: write its samples as CSV, below a first line such as timestamp,x,y,z"
GIVE = "Give it with --rate-hz (rate_hz in Python), or as sample_rate_hz in a meta.json beside it."
SAVE = "Save it as CSV UTF-8 in the program that it comes from, or in an editor or a spreadsheet."
ZEROS = "A logger whose power fails leaves some. Take them out: tr -d '\\000' < that file > another.csv"
TWO = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a text (or bytes) to a file that no meta.json stands near, and give its path."""

    def write(content: str | bytes, name: str = "r.csv") -> Path:
        path = tmp_path / "a" / "b" / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refusal(path: Path, **arguments: float) -> str:
    with pytest.raises(GyrovaeError) as caught:
        Recording.read(path, **arguments)
    return str(caught.value)


# --- a header with x,y,z


def test_x_y_z_is_one_segment_in_m_s2_of_unknown_rate(file):
    recording = Recording.read(file("x,y,z\n1,2,3\n4,5,6\n"))
    assert recording.samples.tolist() == TWO
    assert recording.samples.dtype == np.float64
    assert (recording.rate_hz, recording.lsb, recording.units, recording.source) == (None, None, "m/s^2", "r.csv")
    assert recording.segments == ((0, 2),)
    assert recording.metadata == {}
    assert len(recording) == 2
    assert recording.duration_s is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffx,y,z\r\n1,2,3\r\n4,5,6\r\n\r\n\r\n",
        "x;y;z\n1;2;3\n4;5;6",
        "x\ty\tz\n1\t2\t3\n4\t5\t6\n",
        "x y z\n1   2 3 \n 4\t5 6\n",
        '"X", "Y" ,"Z"\n"1", 2 ,3\n 4,5 ,"6"\n   \n',
        "x,y,z\r1,2,3\r4,5,6\r",
        "# a comment\n\n# another\nx,y,z\n1,2,3\n# and one between rows\n4,5,6\n",
        "z,note,y,X\n3,a,2,1\n6,,5,4\n",
        'note,x,y,z\n"a, b",1,2,3\n"über",4,5,6\n',
        "x,y,z\n1.0,+2,3.\n0.4e1,5E0,6.00\n",
        "1,2,3\n4,5,6\n",
        "1 2 3\n4 5 6\n",
        "x,y,z\n1,2,3,\n4,5,6,\n",
        "x,y,z,\n1,2,3,\n4,5,6,\n",
        "x;y;z; \n1;2;3\n4;5;6\n",
        "1,2,3,\r\n4,5,6, \r\n",
        "x\ty\tz\n1\t2\t3\t\n# a\tcomment\t\n4\t5\t6\t\n",
        '"x","y","z"\n"1","2","3",\n"4","5","6",\n',
        "x,y,z,label\n1,2,3,\n4,5,6,worn\n",
        "x,y,z,\n1,2,3,7\n4,5,6,\n",
    ],
    ids=[
        *["BOM CRLF", ";", "tab", "spaces", "quotes", "CR", "#", "order", "extra", "numbers", "headerless", "bare"],
        *["rows end in ,", "all end in ,", "names end in ;", "bare rows end in ,", "rows end in a tab"],
        *["quotes and a , at the end", "a last column that is empty", "a last column without a name"],
    ],
)
def test_the_same_two_samples_in_other_dress(file, text):
    assert Recording.read(file(text)).samples.tolist() == TWO


@pytest.mark.parametrize(
    "text",
    [
        "x;y;z\n1,5;-0,25;1,2E1\n3;4,125;-5\n",
        "x\ty\tz\n1,5\t-0,25\t12,0\n3\t4,125\t-5\n",
        "x y z\n1,5 -0,25 12\n3 4,125 -5\n",
        'x,y,z\n"1,5","-0,25",12\n3,"4,125",-5\n',
        "note;x;y;z\nwarm, v1.2;1,5;-0,25;12\nhot. v1,3;3;4,125;-5\n",
        "acc.x;acc.y;acc.z\n1,5;-0,25;12\n3;4,125;-5\n",
        "1,5;-0,25;12,0\n3,0;4,125;-5,0\n",
        "1,5;-0,25;12,0;\n3,0;4,125;-5,0;\n",
        "#x;y;z\n1,5;-0,25;12,0\n3,0;4,125;-5,0\n",
        "sep=;\nx;y;z\n1,5;-0,25;12,0\n3,0;4,125;-5,0\n",
    ],
    ids=["; as Excel", "tab", "spaces", "quotes", "notes", "names", "bare", "bare rows end in ;", "#", "sep="],
)
def test_decimals_with_a_comma(file, text):
    assert Recording.read(file(text)).samples.tolist() == [[1.5, -0.25, 12], [3, 4.125, -5]]


def test_times_beside_decimals_with_a_comma(file):
    rows = [f"{0.005 * i:.9E};0,5;{i};1E0".replace(".", ",") for i in range(20)]
    phone = "\n".join(['"Time (s)";"Acceleration x (m/s^2)";"Acceleration y (m/s^2)";"Acceleration z (m/s^2)"', *rows])
    assert Recording.read(file(phone)).rate_hz == pytest.approx(200)
    clock = "\n".join(["time;x;y;z", *(f"12:00:00.{10 * i:03};0,5;{i};1" for i in range(20))])
    assert Recording.read(file(clock)).rate_hz == pytest.approx(100)


def test_the_line_that_tells_excel_the_delimiter_is_passed_over(file):
    assert Recording.read(file('"sep=,"\nx,y,z\n1,2,3\n4,5,6\n')).samples.tolist() == TWO
    assert refusal(file("sep=,\nx,y,z\n1,2,oh\n4,5,6\n")).startswith("r.csv, row 3, column z;")


def test_g_forces_of_physics_toolbox(file):
    recording = Recording.read(file("time,gFx,gFy,gFz,TgF\n0,0,0,1,1\n0.01,0,0,2,2\n0.02,0,0,1,1\n0.03,0,0,1,1\n"))
    assert recording.samples[:2].tolist() == [[0, 0, 9.80665], [0, 0, 19.6133]]
    assert (recording.units, recording.rate_hz) == ("m/s^2", pytest.approx(100))


def test_utf_16_as_windows_powershell_redirects_it(file):
    assert Recording.read(file("x,y,z\r\n1,2,3\r\n4,5,6\r\n".encode("utf-16"))).samples.tolist() == TWO


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_journal_that_an_editor_saved_anew_keeps_its_notes(file, encoding, end):
    lines = [
        '# {"journal": 1, "rate_hz": 200.0}',
        "x,y,z,segment",
        "1,2,3,0",
        '# {"rate_hz": 195.0, "lost": 2}',
        "4,5,6,0",
    ]
    recording = Recording.read(file(end.join([*lines, "7,8,"]).encode(encoding)))
    assert (recording.samples.tolist(), recording.rate_hz, recording.metadata) == (TWO, 195.0, {"lost": 2})


def test_metadata_line(file):
    text = '# {"rate_hz": 200, "units": "g", "lsb": 0.5, "label": "fan on", "n": [1]}\n# a comment\nx,y,z\n1,2,3\n'
    recording = Recording.read(file(text))
    assert (recording.rate_hz, recording.units, recording.lsb) == (200.0, "g", 0.5)
    assert recording.metadata == {"label": "fan on", "n": [1]}
    assert recording.duration_s == 1 / 200


def test_a_change_in_the_segment_column_starts_a_segment(file):
    recording = Recording.read(file("x,y,z,segment\n" + "".join(f"1,2,3,{s}\n" for s in ["a", "a", "b", "", "", "a"])))
    assert recording.segments == ((0, 2), (2, 3), (3, 5), (5, 6))


def test_x_y_z_with_timestamps_and_segments_breaks_at_either(file):
    rows = [(0, 0), (10, 0), (20, 1), (30, 1), (50, 1), (60, 1)]
    recording = Recording.read(file("timestamp,x,y,z,segment\n" + "".join(f"{t},1,2,3,{s}\n" for t, s in rows)))
    assert recording.rate_hz == 100.0
    assert recording.segments == ((0, 2), (2, 4), (4, 6))


# --- Edge Impulse


def edge_impulse(*stamps_ms: float) -> str:
    return "timestamp,accX,accY,accZ\n" + "".join(f"{stamp},1,2,3\n" for stamp in stamps_ms)


def test_edge_impulse_rate_and_gap(file):
    recording = Recording.read(file(edge_impulse(0, 16, 32, 48, 96, 112)))
    assert recording.rate_hz == 62.5
    assert recording.segments == ((0, 4), (4, 6))
    assert recording.units == "m/s^2"
    assert recording.samples.tolist() == [[1.0, 2.0, 3.0]] * 6


@pytest.mark.parametrize(
    ("stamps", "segments"),
    [
        ((0, 10, 20, 35, 45), ((0, 5),)),  # 15 is 1.5 medians, not over
        ((0, 10, 20, 36, 46), ((0, 3), (3, 5))),
        ((0, 10, 20, 0, 10), ((0, 3), (3, 5))),  # backwards
        ((0, 10, 20, 20, 30), ((0, 3), (3, 5))),  # repeated
        ((0, 1, 2, 3, 5, 6, 7, 8, 10), ((0, 9),)),  # 1.125 ms in whole ms
        ((0, 1, 2, 3, 6, 7), ((0, 4), (4, 6))),
        ((1.7e12, 1.7e12 + 10, 1.7e12 + 20), ((0, 3),)),  # since 1970
    ],
)
def test_where_timestamps_start_a_segment(file, stamps, segments):
    assert Recording.read(file(edge_impulse(*stamps))).segments == segments


def test_the_rate_is_that_of_the_mean_step_because_whole_ms_round(file):
    stamps = [round(i * 1000 / 104) for i in range(105)]
    assert Recording.read(file(edge_impulse(*stamps))).rate_hz == pytest.approx(104.0, rel=1e-9)


def test_timestamps_that_all_repeat_measure_nothing(file):
    recording = Recording.read(file(edge_impulse(5, 5, 5)), rate_hz=50)
    assert (recording.rate_hz, recording.segments) == (50.0, ((0, 1), (1, 2), (2, 3)))


def test_edge_impulse_takes_the_gyroscope_only_where_there_is_no_accelerometer(file):
    both = Recording.read(file("timestamp,gyrX,gyrY,gyrZ,accX,accY,accZ\n0,7,8,9,1,2,3\n10,7,8,9,4,5,6\n"))
    assert both.samples.tolist() == TWO
    gyroscope = Recording.read(file("TIMESTAMP,GYRX,GYRY,GYRZ\n0,180,0,-90\n10,0,0,0\n"))
    assert gyroscope.samples[0].tolist() == [math.pi, 0.0, -math.pi / 2]  # degrees per second there
    assert gyroscope.units == "rad/s"


def test_units_in_the_metadata_line_are_the_units_of_the_columns(file):
    recording = Recording.read(file('# {"units": "deg/s"}\ngyrX,gyrY,gyrZ\n180,0,0\n'))
    assert (recording.samples.tolist(), recording.units) == ([[180.0, 0.0, 0.0]], "deg/s")


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("#time_s,accel_x,accel_y,accel_z", "{t},{i},0,9.8"),  # Klipper
        ("  ## time_s;  accel_x;accel_y;accel_z", "{t};{i};0;9.8"),
        ("# x y z time_s", "{i} 0 9.8 {t}"),  # numpy.savetxt
        ('# {"label": "a"}\n\n# made today\n# time_s,x,y,z', "{t},{i},0,9.8"),
    ],
    ids=["comma", "semicolon", "space", "after others"],
)
def test_names_of_columns_in_a_comment(file, head, row):
    rows = [row.format(t=f"{i / 100:.2f}", i=i % 7) for i in range(30)]
    found = Recording.read(file("\n".join([head, *rows[:20], "# a remark", *rows[20:]])))
    assert found.samples.tolist() == [[i % 7, 0, 9.8] for i in range(30)]
    assert (found.rate_hz, found.segments) == (pytest.approx(100), ((0, 30),))


@pytest.mark.parametrize(
    "comment", ["# x,y", "# a,b,c", "# x,x,y", "# x y z", "# x,y,z\n# and a remark", "# x,y,z,t", "#"]
)
def test_comments_that_name_no_columns(file, comment):
    found = Recording.read(file(comment + "\n" + "1,2,3\n" * 3))
    assert found.samples.tolist() == [[1, 2, 3]] * 3


def test_names_in_a_comment_above_names(file):
    assert Recording.read(file("# z,y,x\nx,y,z\n1,2,3\n")).samples.tolist() == [[1, 2, 3]]


# --- the stock firmware's x y z dt


@pytest.mark.parametrize("mark", [" ", ",", "\t"])
def test_stock_firmware_lines(file, mark):
    dts = [0, 5, 5, 5, 12, 5]
    text = "".join(f"0.1 -0.2 9.78762 {dt}\n" for dt in dts).replace(" ", mark)
    recording = Recording.read(file(text))
    assert recording.samples.tolist() == [[0.1, -0.2, 9.78762]] * 6
    assert (recording.rate_hz, recording.units) == (200.0, "m/s^2")
    assert recording.segments == ((0, 4), (4, 6))


def test_dt_is_cut_to_whole_ms_so_a_given_rate_may_be_slower_by_one_ms(file):
    path = file("".join(f"1 2 3.5 {dt}\n" for dt in [0, 4, 5, 4, 4, 5]))
    assert Recording.read(path).rate_hz == 250.0
    assert Recording.read(path, rate_hz=200).rate_hz == 200.0
    assert refusal(path, rate_hz=100) == (
        "r.csv: its timestamps do not fit its rate; expected 100 Hz (given), "
        "received 250 Hz (measured by its timestamps)\n"
        "Correct the rate. If its clock is at fault, remove the last column, and give --rate-hz (rate_hz in Python)."
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["0,1.5,2,3", "10,1,2,9", "20,1,2,9"], "the first column looks like a time"),
        (["1713836417,1,2,9", "1713836418,1,2,9", "1713836419,1,2,9"], "the first column looks like a time"),
        (["1713836417.63,1,2,-9", "1713836417.73,1,2,-8"], "the last column is no dt in whole milliseconds"),
        (["1,2,3,0.5", "1,2,3,5"], "the last column is no dt in whole milliseconds"),
        (["1,2,3,5", "1,2,3,-5"], "the last column is no dt in whole milliseconds"),
        (["1,2,3,0", "1,2,3,1", "1,2,3,1"], "the last column is no dt in whole milliseconds"),
    ],
    ids=["time first", "seconds since 1970", "with a part", "fraction", "negative", "label"],
)
def test_four_other_columns_are_refused(file, rows, reason):
    message = refusal(file("\n".join(rows)))
    assert message == (
        f"r.csv: 4 columns and no header are read as x y z dt, but {reason}\n"
        "Add a first line that names the columns, such as: timestamp,x,y,z"
    )


def test_a_first_of_four_columns_that_is_too_large(file):
    text = "\n".join(f"{x},0,0,5" for x in (1, 2000000, 1))
    assert refusal(file(text)).startswith("r.csv, row 2, column 1; expected at most 1e+06 in size, received 2000000")


@pytest.mark.parametrize(
    ("row", "column"),
    [("{i},0.1,9.8", 1), ("0.{i:02},0.1,9.8", 1), ("0.1,9.8,{i}", 3), ("0.1 {i} 9.8", 2)],
    ids=["first", "seconds", "last", "spaces"],
)
def test_three_columns_with_a_time_are_refused(file, row, column):
    assert refusal(file("\n".join(row.format(i=i) for i in range(10)))) == (
        f"r.csv: 3 columns and no header are read as x y z, but column {column} rises with every row, as a time does; "
        "expected the three axes of motion\n"
        "Record all three. If these are, add a first line that names them: x,y,z"
    )


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"{i},0.1,9.8" for i in range(9)),  # motion that rises for once
        "\n".join(f"{i},0.1,9.8" for i in [*range(9), 8]),
        "x,y,z\n" + "\n".join(f"{i},0.1,9.8" for i in range(20)),  # it says what it is
    ],
    ids=["few rows", "not with every row", "named"],
)
def test_three_columns_that_are_motion(file, text):
    assert Recording.read(file(text), rate_hz=100).samples[:9, 0].tolist() == list(range(9))


# --- SSCMA's read_serial.py


def flattened(first: int, last: int) -> list[str]:
    """Samples number i as i.5, i, -i."""
    return [text for i in range(first, last) for text in (f"{i}.5", f"{i}", f"-{i}")]


def expected(first: int, last: int) -> list[list[float]]:
    return [[i + 0.5, i, -i] for i in range(first, last)]


def sscma(serial: list[str], lines_a_row: int) -> str:
    """What the script writes for lines from the serial port: it drops the last word of each and joins some to a row."""
    rows = [serial[i : i + lines_a_row] for i in range(0, len(serial) - lines_a_row + 1, lines_a_row)]
    return "".join(",".join(word for line in row for word in line.split(" ")[:-1]) + "\r\n" for row in rows)


def test_sscma_rows_follow_each_other_in_one_segment(file):
    text = sscma([f"{i}.5 {i} -{i} 5" for i in range(17)], 5)
    assert text.count("\n") == 3  # the two samples of the unfinished row are lost there
    recording = Recording.read(file(text))
    assert recording.samples.tolist() == expected(0, 15)
    assert recording.segments == ((0, 15),)
    assert (recording.rate_hz, recording.units, recording.metadata) == (None, "m/s^2", {})


@pytest.mark.parametrize("rows", [1, 3])
def test_sscma_first_row_with_boot_messages_counts_from_its_end(file, rows):
    boot = ["Gyro sensor initialized", "Start sampling in 3 seconds..."]
    text = sscma(boot + [f"{i}.5 {i} -{i} 5" for i in range(8 * rows)], 8)
    samples = 8 * rows - 2
    assert text.startswith("Gyro,sensor,Start,sampling,in,3,0.5,0,-0,1.5")
    recording = Recording.read(file(text))
    assert recording.samples.tolist() == expected(0, samples)
    assert recording.metadata == {"skipped_values": 6}


def test_sscma_first_row_with_half_a_line_counts_from_its_end(file):
    recording = Recording.read(file(",".join(["7", *flattened(1, 6)]) + "\n" + ",".join(flattened(6, 12)) + "\n"))
    assert recording.samples.tolist() == expected(1, 12)
    assert recording.metadata == {"skipped_values": 1}


def test_sscma_text_in_a_later_row_is_refused(file):
    rows = [flattened(0, 5), flattened(5, 10)]
    rows[1][3] = "rst:0x1"
    text = "\n".join(map(",".join, rows))
    assert refusal(file(text)) == "r.csv, row 2, column 4; expected a number, received 'rst:0x1'\n" + NUMBER


def test_sscma_rows_with_dt_or_of_another_width_are_refused(file):
    with_dt = [text for i in range(12) for text in (f"{i}.5", f"{i}.25", f"-{i}.5", "5")]
    assert refusal(file(",".join(with_dt))) == (
        "r.csv: every fourth value looks like a dt; expected rows of x y z x y z ...\nWrite one sample a line: x y z dt"
    )
    assert refusal(file(",".join(with_dt[:16]))) == (
        "r.csv: rows of 16 values and no header; expected x y z x y z ..., a multiple of 3"
    )
    ragged = "\n".join(",".join(flattened(0, n)) for n in (5, 6, 5))
    assert refusal(file(ragged)) == "r.csv, row 2: the number of columns changes; expected 15, received 18\n" + CUT
    cut = "\n".join([*[",".join(["0.5"] * 18)] * 12, ",".join(["0.5"] * 15)])
    assert refusal(file(cut)) == "r.csv, row 13: the number of columns changes; expected 18, received 15\n" + CUT


@pytest.mark.parametrize("width", [1, 2, 5, 6, 7, 9, 12])
def test_other_widths_without_a_header_are_refused(file, width):
    message = refusal(file(",".join(["1.5"] * width) + "\n"))
    assert message.startswith(f"r.csv: {width} columns and no header, so what they are is not plain")
    assert message.endswith(
        "\nWhere lines stand above the names of the columns, remove those lines. "
        "Where there are no names, add a first line with one for each column: x, y, z, timestamp for a time, and any "
        "other for what is to be left out."
    )


# --- which rate


def test_a_given_rate_serves_a_file_that_states_none_and_must_agree_with_one_that_does(file):
    assert Recording.read(file("x,y,z\n1,2,3\n"), rate_hz=59).rate_hz == 59.0
    stated = file('# {"rate_hz": 200}\nx,y,z\n1,2,3\n')
    assert Recording.read(stated).rate_hz == 200.0
    assert Recording.read(stated, rate_hz=201).rate_hz == 201.0
    assert refusal(stated, rate_hz=210) == (
        "r.csv: its rate is not the given one; expected 210 Hz (given), received 200 Hz (stated in the recording)"
    )


def test_a_measured_rate_gives_way_to_a_stated_or_given_one_within_5_percent(file):
    measured = edge_impulse(0, 10, 20)
    assert Recording.read(file(measured), rate_hz=104).rate_hz == 104.0
    assert Recording.read(file('# {"rate_hz": 96}\n' + measured)).rate_hz == 96.0
    assert "expected 106 Hz (given), received 100 Hz (measured" in refusal(file(measured), rate_hz=106)
    message = refusal(file('# {"rate_hz": 50}\n' + measured))
    assert "expected 50 Hz (stated in the file), received 100 Hz" in message


def test_timestamps_may_be_in_seconds_microseconds_or_nanoseconds(file):
    """In what a column's name says, else in what gives the known rate, else a likely one, 4 to 4000 Hz."""
    assert Recording.read(file(edge_impulse(0, 5, 10))).rate_hz == 200.0
    assert Recording.read(file(edge_impulse(0, 0.005, 0.01))).rate_hz == pytest.approx(200)
    assert Recording.read(file(edge_impulse(0, 5000, 10000))).rate_hz == 200.0
    assert Recording.read(file(edge_impulse(0, 5e6, 10e6))).rate_hz == pytest.approx(200)
    for step, hz in ((0.05, 20), (0.1, 10), (0.25, 4000), (1, 1000), (100, 10), (250, 4), (500, 2000), (1000, 1000)):
        assert Recording.read(file(edge_impulse(0, step, 2 * step))).rate_hz == pytest.approx(hz), step
    assert Recording.read(file(edge_impulse(0, 0.1, 0.2)), rate_hz=10_000).rate_hz == 10_000.0
    assert Recording.read(file(edge_impulse(0, 500, 1000)), rate_hz=2).rate_hz == 2.0
    assert Recording.read(file('# {"rate_hz": 5000}\n' + edge_impulse(0, 200, 400))).rate_hz == 5000.0
    for name, hz in (("time_ms", 10_000), ("time_s", 10), ("Time (s)", 10)):
        assert Recording.read(file(edge_impulse(0, 0.1, 0.2).replace("timestamp", name))).rate_hz == pytest.approx(hz)
    assert Recording.read(file(edge_impulse(0, 200, 400).replace("timestamp", "micros"))).rate_hz == pytest.approx(5000)


def test_the_files_of_sensor_logger(file):
    """Nanoseconds since 1970, and seconds since the start."""
    both = "time,seconds_elapsed,z,y,x\n" + "".join(
        f"{1714564800000000000 + 10_000_000 * i},{0.01 * i:.2f},3,2,1\n" for i in (0, 1, 2, 5)
    )
    for text in (both, both.replace("time,", "noted,")):
        recording = Recording.read(file(text))
        assert recording.rate_hz == pytest.approx(100)
        assert recording.segments == ((0, 3), (3, 4))
        assert recording.samples[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["time", "Timestamp", "t_s", "elapsed"])
@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-05-01T12:00:00.000", "2024-05-01T12:00:00.010", "2024-05-01T12:00:00.020", "2024-05-01T12:00:01"],
        ["2024-02-29 23:59:59.980Z", "2024-02-29 23:59:59.990Z", "2024-03-01 00:00:00Z", "2024-03-01 00:00:00.980Z"],
        [
            "2024-05-01T12:00:00.5+02:00",
            "2024-05-01T11:00:00.51+01:00",
            "2024-05-01T10:00:00.52Z",
            "2024-05-01T12:00:00.6Z",
        ],
        ["12:59:59.995", "13:00:00.005", " 13:00:00.015", "13:00:01"],
        ["0:00:59,99", "0:01:00,00", "0:01:00,01", "0:00:00,00"],
    ],
    ids=["ISO", "month", "zones", "clock", "comma"],
)
def test_times_may_be_written_as_such(file, name, stamps):
    recording = Recording.read(file(f"{name};x;y;z\n" + "".join(f"{stamp};1;2;3\n" for stamp in stamps)))
    assert (recording.rate_hz, recording.segments) == (pytest.approx(100), ((0, 3), (3, 4)))


def test_midnight_is_a_gap_where_days_are_not_written(file):
    text = "time,x,y,z\n23:59:59.980,1,2,3\n23:59:59.990,1,2,3\n00:00:00.000,1,2,3\n00:00:00.010,1,2,3\n"
    assert Recording.read(file(text)).segments == ((0, 2), (2, 4))


@pytest.mark.parametrize(
    "stamp", ["", "5", "noon", "2024-02-30T12:00:00.5", "12:60:00.5", "24:00:00.5", "1:2:3.5", "12:00:00.5+1"]
)
def test_a_written_time_that_is_none(file, stamp):
    assert refusal(file(f"time,x,y,z\n12:00:00.5,1,2,3\n{stamp},1,2,3\n")) == (
        f"r.csv, row 3, column time; expected a time such as 12:00:00.005, received '{stamp}'\n"
        "Remove that row, or write a time there."
    )


@pytest.mark.parametrize("name", ["time", "timestamp"])
@pytest.mark.parametrize("stamp", ["12:30", "12:30:00", "2024-05-01T12:30:00", "01/05/2024 12:30:00.5", "noon"])
def test_times_that_cannot_be_read_are_ignored_where_the_rate_is_known_and_told_where_not(file, name, stamp):
    path = file(f"{name},x,y,z\n{stamp},1,2,3\n{stamp},4,5,6\n")
    assert Recording.read(path, rate_hz=9).segments == ((0, 2),)
    assert refusal(path) == (
        f"r.csv: nothing says its sample rate, as its column {name} holds no times that can be read; expected numbers, "
        "or times with parts of a second such as 12:00:00.005 or 2024-05-01T12:00:00.005, "
        f"received '{stamp}'\n{GIVE}"
    )


def test_a_few_whole_seconds_do_not_fit_a_given_rate(file):
    assert refusal(file(edge_impulse(0, 0, 0, 1, 1, 1, 2).replace("timestamp", "Time")), rate_hz=200) == (
        "r.csv: its timestamps do not fit its rate; expected 200 Hz (given), "
        "received 1000 Hz (measured by its timestamps)\n"
        "Correct the rate. If its clock is at fault, remove the column time, or call it what is no time, such as note, "
        "and give --rate-hz (rate_hz in Python)."
    )


JITTER = [0, 0, 4, -3, 0, 0, -4, 4]  # ms: steps of 10, 14, 3, 13, 10, 6, 18 and 6 where 10 are meant


def test_times_that_jitter_are_no_gaps_and_a_long_step_still_is(file):
    stamps = [10 * i + JITTER[i % 8] + (100 if i >= 150 else 0) for i in range(300)]
    path = file(edge_impulse(*stamps))
    recording = Recording.read(path, rate_hz=100)
    assert recording.segments == ((0, 150), (150, 300))
    assert recording.metadata == {"uneven_times": {"rate_hz": 96.858, "gap_s": 0.052}}  # four typical steps, of 13 ms


def test_the_rate_of_times_that_jitter_must_be_known(file):
    stamps = [10 * i + JITTER[i % 8] for i in range(300)]
    path = file(edge_impulse(*stamps))
    assert refusal(path) == (
        "r.csv: its times run so unevenly that they do not say its rate; expected samples that follow one another in "
        "even steps, or a rate that is known, received 100.1 a second on the whole, 13 % right behind another, or with "
        "it\nIf they are of one sensor, and were stamped as they arrived or by a coarse clock, give --rate-hz (rate_hz "
        "in Python). If they are of several sensors, or written twice, make a file of one of each."
    )
    assert "do not fit its rate; expected 90 Hz (given)" in refusal(path, rate_hz=90)
    assert Recording.read(path, rate_hz=100).metadata == {"uneven_times": {"rate_hz": 100.1, "gap_s": 0.052}}
    path.with_name("meta.json").write_text('{"sample_rate_hz": 100}')
    assert Recording.read(path).rate_hz == 100.0
    path.with_name("meta.json").write_text('{"sample_rate_hz": 120}')
    assert "do not fit its rate; expected 120 Hz (stated in " in refusal(path)


def test_losses_are_gaps_whatever_their_number(file):
    """Nothing makes up for them, so the clock is even."""
    assert Recording.read(file(edge_impulse(0, 10, 50))).segments == ((0, 2), (2, 3))
    stamps = [10 * i for i in range(300) if i % 3]
    recording = Recording.read(file(edge_impulse(*stamps)))
    assert recording.segments == tuple((2 * i, 2 * i + 2) for i in range(100))
    assert recording.metadata == {}


def test_losses_are_gaps_among_times_that_jitter_too(file):
    """A rate that is known tells that samples are missing: 10 % here."""
    stamps = [10 * i + (6 if i % 20 == 7 else 0) for i in range(3000) if i % 10]
    path = file(edge_impulse(*stamps))
    assert "received 90.0" in refusal(path)
    recording = Recording.read(path, rate_hz=100)
    assert max(stop - start for start, stop in recording.segments) == 9


def test_a_few_late_samples_are_no_matter(file):
    """One of 200 is 6 ms late: a rate that is known is not needed, and says that these are no gaps."""
    path = file(edge_impulse(*(10 * i + (6 if i % 200 == 100 else 0) for i in range(1000))))
    recording = Recording.read(path)
    assert recording.rate_hz == pytest.approx(100, rel=0.005)
    assert recording.segments[:2] == ((0, 100), (100, 300))
    assert Recording.read(path, rate_hz=100).segments == ((0, 1000),)


def test_a_clock_that_was_set_back_is_a_gap_in_times_that_jitter(file):
    half = [10 * i + JITTER[i % 8] for i in range(30)]
    assert Recording.read(file(edge_impulse(*half, *half)), rate_hz=100).segments == ((0, 30), (30, 60))


def test_a_reader_that_stalls_and_catches_up_loses_nothing(file):
    """100 Hz; each second the first ten samples arrive at its tenth, half a millisecond apart."""
    stamps = [max(10 * i, 1000 * (i // 100) + 100 + 0.5 * (i % 100)) for i in range(1000)]
    path = file(edge_impulse(*stamps))
    assert "received 101.01 a second on the whole, 10 % right behind another, or with it" in refusal(path)
    recording = Recording.read(path, rate_hz=100)
    assert (recording.rate_hz, recording.segments) == (100.0, ((0, 1000),))


@pytest.mark.parametrize(
    ("rate_hz", "tick", "without"),
    [
        (1125, 1, 1000),  # steps of 0 and 1: what looks like a repeat is a gap
        (1344, 1, 1000),
        (104, 10, 100),
        (119, 10, 100),
        (3200, 1, None),  # too few steps are above 0
        (20, 1000, None),
    ],
)
def test_a_coarse_clock_and_a_rate_that_is_known(file, rate_hz, tick, without):
    path = file(edge_impulse(*(int(1000 * i / rate_hz / tick) * tick for i in range(1600))))
    if without is None:
        assert "its times run so unevenly that they do not say its rate" in refusal(path)
    else:
        found = Recording.read(path)
        assert (found.rate_hz, len(found.segments) > 50) == (without, True)
    recording = Recording.read(path, rate_hz=rate_hz)
    assert (recording.rate_hz, recording.segments) == (rate_hz, ((0, 1600),))


def test_samples_that_came_twice_are_gaps_and_not_lateness(file):
    """2 % of them; as ever."""
    path = file(edge_impulse(*(10 * (i - i // 50) for i in range(1000))))
    for rate_hz in (None, 100):
        recording = Recording.read(path, rate_hz=rate_hz)
        assert (recording.rate_hz, recording.segments[1]) == (100.0, (50, 100))


def test_stalls_do_not_hide_what_is_lost(file):
    """50 ms late and then made up for, twelve times; and ninety samples lost."""
    stamps = [max(10 * i, 10 * (i // 100 * 100) + 50) + (900 if i >= 600 else 0) for i in range(1200)]
    recording = Recording.read(file(edge_impulse(*stamps)), rate_hz=100)
    assert 600 in [start for start, _ in recording.segments]


def test_meta_json_does_not_overrule_times_that_run_evenly_but_for_a_few(tmp_path):
    (tmp_path / "meta.json").write_text('{"sample_rate_hz": 104}')
    path = tmp_path / "r.csv"
    stamps = (10 * i + (7 if i % 300 == 150 else 0) for i in range(6000))
    path.write_text("timestamp,x,y,z\n" + "".join(f"{stamp},1,2,3\n" for stamp in stamps))
    assert Recording.read(path).rate_hz == pytest.approx(100, rel=0.005)


def test_rows_of_two_sensors_are_refused_and_so_are_rows_written_twice(file):
    acceleration, rotation = (10 * i for i in range(300)), (9.96 * i + 3 for i in range(300))
    path = file(edge_impulse(*sorted((*acceleration, *rotation))))
    assert "of several sensors" in refusal(path)
    assert "do not fit its rate" in refusal(path, rate_hz=100)
    path = file(edge_impulse(*(10 * (i // 2) for i in range(300))))
    assert "or written twice" in refusal(path)
    assert len(Recording.read(path, rate_hz=100).segments) == 151  # of which no window is made


def bursts(folder: Path) -> Path:
    """4,000 samples of 100 Hz that arrive ten at once, a tenth of a millisecond from one another."""
    stamps = (100 * (i // 10) + 0.1 * (i % 10) for i in range(4000))
    (folder / "r.csv").write_text("time_ms,x,y,z\n" + "".join(f"{stamp:.1f},1,2,3\n" for stamp in stamps))
    return folder / "r.csv"


def test_bursts_of_arrival_are_told_by_a_rate_that_is_known(tmp_path):
    path = bursts(tmp_path)
    assert Recording.read(path).segments[:2] == ((0, 10), (10, 20))  # as what such a file looks like: 10 kHz and pauses
    recording = Recording.read(path, rate_hz=100)
    assert (recording.rate_hz, recording.segments) == (100.0, ((0, 4000),))
    assert recording.metadata == {"uneven_times": {"rate_hz": pytest.approx(100.2, rel=0.001), "gap_s": 0.3964}}
    (tmp_path / "meta.json").write_text('{"sample_rate_hz": 100}')
    assert Recording.read(path).segments == ((0, 4000),)
    (tmp_path / "meta.json").write_text('{"sample_rate_hz": 300}')  # fits neither
    assert Recording.read(path).rate_hz == pytest.approx(10_000)
    with pytest.raises(GyrovaeError, match=r"expected 300 Hz \(given\), received 10000 Hz"):
        Recording.read(path, rate_hz=300)


def test_bursts_of_a_sensor_that_sleeps_are_not_taken_for_arrival(tmp_path):
    """200 samples of 100 Hz each ten seconds: the rate that is known fits their own steps."""
    path = tmp_path / "r.csv"
    stamps = (10_000 * (i // 200) + 10 * (i % 200) for i in range(2000))
    path.write_text("timestamp,x,y,z\n" + "".join(f"{stamp},1,2,3\n" for stamp in stamps))
    for rate_hz in (None, 100):
        recording = Recording.read(path, rate_hz=rate_hz)
        assert (recording.rate_hz, len(recording.segments), recording.metadata) == (100.0, 10, {})


# --- the clock itself: so many steps of so many milliseconds in


def clock_of(*steps: tuple[int, float]) -> Clock:
    found = Steps()
    for count, step in steps:
        found.add(np.full(count, float(step)))
    return Clock.of(found, fractional=False, is_dt=False)


LATE = ((900, 10), (50, 2), (50, 18))  # each that is late is made up for


def test_a_clock_by_hand():
    even = clock_of((100, 10), (1, 30))
    assert (even.shortest, even.longest, even.measured_hz, even.late, even.bursts) == (0.0, 15.0, 100.0, None, None)
    assert even.gaps(np.array([-1, 0, 0.1, 15, 15.1])).tolist() == [True, True, False, False, True]
    assert clock_of((99, 10), (1, 15)).measured_hz == pytest.approx(99.5025)  # 15 is no gap: 1,005 ms of 100 steps
    assert clock_of((5, 10), (5, 12), (9, 0), (2, -3)).longest == 16.5  # the median of those above 0 is 11
    late = clock_of(*LATE).late
    assert late == Clock(-10.0, 40.0, 100.0, behind=0.05, above=0.05)
    assert late.gaps(np.array([-10.5, -10, -9.5, 0, 40, 40.5])).tolist() == [True, True, False, False, False, True]


def counted(name: str, rows: int = 40, missing: int = -1) -> str:
    lines = [f"{row},{row % 7},0,9.8" for row in range(rows) if row != missing]
    return "\n".join([f"{name},x,y,z", *lines])


@pytest.mark.parametrize("name", ["time", "timestamp"])
def test_a_column_that_counts_samples_is_no_time_where_the_rate_is_another(file, name):
    path = file(counted(name))
    found = Recording.read(path, rate_hz=100)
    assert (found.rate_hz, found.segments, found.metadata) == (100, ((0, 40),), {})
    assert Recording.read(path, rate_hz=1000).metadata == {}  # milliseconds
    found = Recording.read(path)
    assert (found.rate_hz, found.metadata) == (1000, {"guessed_rate_hz": 1000})


def test_it_is_a_time_where_it_says_so_or_a_number_is_missing(file):
    assert "received 1000 Hz (measured by its timestamps)" in refusal(file(counted("time_ms")), rate_hz=100)
    assert "received 974.36 Hz (measured by its timestamps)" in refusal(file(counted("time", missing=9)), rate_hz=100)
    assert Recording.read(file(counted("time_ms"))).metadata == {}


@pytest.mark.parametrize(
    ("name", "step", "rate_hz", "metadata"),
    [
        ("time", 0.5, 2000, {"guessed_rate_hz": 2000}),  # or half seconds
        ("time", 2, 500, {"guessed_rate_hz": 500}),
        ("time", 2.5, 400, {}),
        ("time", 510, 1960.784, {"guessed_rate_hz": 1960.784}),  # microseconds, or milliseconds of 1.96 Hz
        ("time_us", 510, 1960.784, {}),
        ("time", 1_000_000, 1000, {}),  # nothing but nanoseconds
        ("time", 502, 1992.032, {"guessed_rate_hz": 1992.032}),
        ("time_ms", 502, 1.992032, {}),  # 2 Hz, as clocks go
        ("time", 0.1, 10, {}),  # seconds: 10 kHz is less likely
    ],
)
def test_a_guess_of_what_times_are_in_is_on_record_where_another_could_be_meant(file, name, step, rate_hz, metadata):
    text = "\n".join([f"{name},x,y,z", *(f"{round(step * row, 3):g},{row % 7},0,9.8" for row in range(40))])
    found = Recording.read(file(text))
    assert found.rate_hz == pytest.approx(rate_hz, rel=1e-6)
    assert found.metadata == metadata


@pytest.mark.parametrize(
    ("steps", "rate_hz", "segments"),
    [
        (((0.76, 650), (1.27, 350)), 1060, 1),  # a loop that waits by turns: no whole numbers of steps
        (((0.76, 650), (1.27, 350)), None, 351),
        (((10, 875), (20, 125)), 89, 1),  # a coarse clock, if the rate is 89 Hz
        (((10, 875), (20, 125)), 100, 126),  # losses, if it is 100
        (((10, 930), (20, 70)), 96, 71),  # losses also where the whole, 93.46 Hz, fits better
    ],
)
def test_a_loop_that_jitters_and_samples_that_are_lost(file, steps, rate_hz, segments):
    order = np.random.default_rng(0).permutation(np.repeat([step for step, _ in steps], [count for _, count in steps]))
    times = np.concatenate([[0], np.cumsum(order)])
    text = "\n".join(["time_ms,x,y,z", *(f"{time:.2f},0,0,{row % 7}" for row, time in enumerate(times))])
    found = Recording.read(file(text), rate_hz=rate_hz)
    assert len(found.segments) == segments
    assert ("uneven_times" in found.metadata) == (segments == 1)


@pytest.mark.parametrize(("even", "found"), [(27, None), (28, 100.0)])
def test_of_fewer_than_32_steps_it_is_not_told_how_they_differ(even, found):
    late = clock_of((even, 10), (2, 2), (2, 18)).late
    assert (late and late.measured_hz) == found


@pytest.mark.parametrize(
    ("step", "measured_hz"),
    [
        (1001, 100),  # over a hundred medians: no lateness, and not looked at
        (1000, 91),  # 11,000 ms of 1001 steps
        (-10, 100),  # by a median back: the clock was set
        (-9, 100.19),  # 9,991 ms of 1001 steps
    ],
)
def test_which_steps_are_looked_at(step, measured_hz):
    assert clock_of(*LATE, (1, step)).late.measured_hz == pytest.approx(measured_hz, abs=0.01)


@pytest.mark.parametrize(("lost", "is_late"), [(28, True), (29, False)])
def test_where_the_mean_is_over_five_quarters_of_the_median_more_is_lost_than_late(lost, is_late):
    """10,000 ms in 1,000 steps, and so many of 100 ms: 12.45 on the whole with 28 of them, 12.54 with 29."""
    assert (clock_of((600, 10), (200, 2), (200, 18), (lost, 100)).late is not None) == is_late


@pytest.mark.parametrize(
    ("steps", "behind"),
    [
        (((800, 10), (10, 0), (40, 20), (100, 7)), 10 / 950),  # too long by 400 ms; too short by 100: a quarter
        (((800, 10), (10, 0), (43, 20), (110, 7)), None),  # 430 and 100
    ],
)
def test_a_quarter_of_what_is_too_long_has_to_be_made_up_for(steps, behind):
    late = clock_of(*steps).late
    assert (late and late.behind) == behind
    if late:
        assert late.above == 40 / 950


@pytest.mark.parametrize(
    ("steps", "longest"),
    [
        (((900, 10), (40, 0), (10, 60), (50, 8)), 1000),  # too long by 500 ms, too short by 400: four fifths
        (((900, 10), (39, 0), (10, 60), (55, 8)), 40),  # 390
        (((20_000, 10), (50, 0), (10, 60)), 40),  # all is made up for, but so few are no habit
    ],
)
def test_stalls_that_are_usual_and_made_up_for_are_no_gaps(steps, longest):
    assert clock_of(*steps).late.longest == longest


@pytest.mark.parametrize(
    ("steps", "is_late", "is_unsure"),
    [
        (((9971, 10), (20, 2), (9, 18)), False, False),  # less than one of a thousand is too long
        (((9980, 10), (9, 2), (11, 18)), False, False),  # or too short
        (((9978, 10), (11, 2), (11, 18)), True, False),
        (((9802, 10), (99, 2), (99, 18)), True, False),
        (((9800, 10), (100, 2), (100, 18)), True, True),  # one of a hundred
        (((9800, 10), (200, 0)), True, False),  # none is too long: repeats
    ],
)
def test_from_which_share_on_a_clock_is_late_and_unsure(steps, is_late, is_unsure):
    found = clock_of(*steps)
    assert (found.late is not None, found.unsure) == (is_late, is_unsure)


@pytest.mark.parametrize(
    ("step", "measured_hz"),
    [
        (1821, 100),  # over 20 times the longest usual step: a pause, and not looked at
        (1820, 84.69),  # 11,820 ms of 1001 steps
        (-1, 100),  # by a median back
    ],
)
def test_bursts_by_hand(step, measured_hz):
    """Ten samples at once, a millisecond from one another: 10,000 ms in 1,000 steps."""
    found = clock_of((900, 1), (100, 91), (1, step))
    assert (found.measured_hz, found.longest, found.late) == (1000.0, 2.0, None)
    assert found.bursts.measured_hz == pytest.approx(measured_hz, abs=0.01)
    assert found.bursts.longest == 364  # 4 times what is typical of most of the time


def test_bursts_too_may_be_set_back_by_less_than_a_step():
    bursts = clock_of((900, 1), (100, 91), (1, -0.5)).bursts
    assert bursts.shortest == -1.0
    assert bursts.measured_hz == pytest.approx(100.105, abs=0.001)  # 9,999.5 ms of 1001 steps


@pytest.mark.parametrize(("ones", "hundreds", "usual"), [(199, 1, 1), (198, 2, 100)])
def test_the_longest_usual_step_is_that_of_all_but_one_in_200(ones, hundreds, usual):
    found = Steps()
    found.add(np.array([1.0] * ones + [100.0] * hundreds + [0.0] * 50))
    assert found.usual() == usual


def test_times_that_go_back_more_than_on_are_no_late_clock():
    found = clock_of((45, -9), (40, 10))
    assert (found.measured_hz, found.late, found.bursts) == (100.0, None, None)


@pytest.mark.parametrize(
    ("median", "fractional", "longest"), [(10, False, 15), (10, True, 15), (2, False, 3), (1, False, 2), (1, True, 1.5)]
)
def test_the_longest_step_that_is_no_gap(median, fractional, longest):
    assert longest_step(median, fractional=fractional) == longest


def test_a_written_time_of_whole_seconds_is_one_where_others_have_parts(file):
    """As Python's isoformat leaves out a part that is zero."""
    written = ["2024-05-01T12:00:00", "2024-05-01T12:00:00.010000", "2024-05-01T12:00:00.020000", "2024-05-01T12:00:03"]
    recording = Recording.read(file("timestamp,x,y,z\n" + "".join(f"{time},1,2,3\n" for time in written)))
    assert (recording.rate_hz, recording.segments) == (100.0, ((0, 3), (3, 4)))


def test_timestamps_that_give_no_rate_that_can_be_are_refused(file):
    remedy = (
        "Say what its times are in by the column's name, such as time_s, time_us or time_ns. If its clock is at fault, "
        "or samples were stamped as they arrived, give --rate-hz (rate_hz in Python); if that does not help, remove "
        "the column of times, too, or call it what is no time, such as note."
    )
    assert refusal(file(edge_impulse(0, 1e-5, 2e-5))) == (
        f"r.csv: its timestamps give 1e+08 Hz; expected 2 to 20000 Hz\n{remedy}"
    )
    assert "its timestamps give 1e-09 Hz" in refusal(file(edge_impulse(0, 1e12, 2e12)))
    assert "its timestamps give 0.2 Hz" in refusal(file(edge_impulse(0, 5, 10).replace("timestamp", "t_s")))
    assert "expected 300 Hz (given), received 200 Hz (measured" in refusal(
        file(edge_impulse(0, 0.005, 0.01)), rate_hz=300
    )


def test_other_usual_names_of_columns(file):
    recording = Recording.read(file("time_s,accel_x,accel_y,accel_z,label\n0,1,2,3,a\n0.01,4,5,6,a\n0.05,7,8,9,a\n"))
    assert recording.samples.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert (recording.rate_hz, recording.units, recording.segments) == (100.0, "m/s^2", ((0, 2), (2, 3)))
    assert Recording.read(file("ax_g,ay_g,az_g\n0,0,1\n"), rate_hz=9).samples.tolist() == [[0, 0, 9.80665]]
    assert Recording.read(file('# {"units": "g"}\nax_g,ay_g,az_g\n0,0,1\n'), rate_hz=9).samples.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, 10**400, "200", None, True])
def test_a_rate_that_is_none(file, rate):
    stated = file('# {"rate_hz": ' + json.dumps(rate, allow_nan=True) + "}\nx,y,z\n1,2,3\n")
    if rate is None:
        assert Recording.read(stated).rate_hz is None
        return
    assert "r.csv" in refusal(stated)
    message = refusal(file("x,y,z\n1,2,3\n"), rate_hz=rate)
    assert message.startswith("rate_hz; expected a finite number above 0, received ")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.int16, np.uint8])
def test_a_rate_may_be_of_numpys_numbers(file, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a limit that overflows in the number's own type
        rate = Recording.read(file("x,y,z\n1,2,3\n"), rate_hz=kind(200)).rate_hz
    assert (type(rate), rate) == (float, 200.0)


def test_meta_json_beside_or_up_to_two_folders_above_gives_rate_and_units(file):
    path = file("x,y,z\n1,2,3\n")
    (path.parents[2] / "meta.json").write_text('{"sample_rate_hz": 62.5, "units": "rad/s"}')
    assert (Recording.read(path).rate_hz, Recording.read(path).units) == (62.5, "rad/s")
    (path.parents[1] / "meta.json").write_text('{"name": "of something else"}')
    assert Recording.read(path).rate_hz == 62.5
    (path.parent / "meta.json").write_text('{"sample_rate_hz": 59, "units": 3}')
    assert (Recording.read(path).rate_hz, Recording.read(path).units) == (59.0, "m/s^2")
    assert Recording.read(path, rate_hz=60).rate_hz == 60.0
    message = "r.csv: its rate is not the given one; expected 100 Hz (given), received 59 Hz (stated in "
    assert refusal(path, rate_hz=100) == f"{message}{path.parent / 'meta.json'})\nCorrect the rate, or that file."
    timed = file("time_ms,x,y,z\n" + "".join(f"{10 * i},1,2,3\n" for i in range(9)))
    assert Recording.read(timed, rate_hz=100).rate_hz == 100.0  # its times speak for it
    assert Recording.read(file('# {"rate_hz": 7}\nx,y,z\n1,2,3\n')).rate_hz == 7.0


def test_units_of_a_meta_json_count_without_a_rate_too(file):
    timed = file("time_ms,x,y,z\n" + "".join(f"{10 * i},1,2,3\n" for i in range(9)), "d/r.csv")
    (timed.parents[1] / "meta.json").write_text('{"sample_rate_hz": 100, "units": "mg"}')
    assert Recording.read(timed).units == "mg"
    (timed.parents[0] / "meta.json").write_text('{"units": "g"}')  # the nearer one counts, for what it says
    assert (Recording.read(timed).rate_hz, Recording.read(timed).units) == (100.0, "g")
    plain = file("x,y,z\n1,2,3\n", "d/p.csv")
    assert (Recording.read(plain).rate_hz, Recording.read(plain).units) == (100.0, "g")


def test_meta_json_four_folders_above_does_not_count(file):
    path = file("x,y,z\n1,2,3\n", "d/r.csv")
    (path.parents[4] / "meta.json").write_text('{"sample_rate_hz": 62.5}')
    assert Recording.read(path).rate_hz is None
    (path.parents[3] / "meta.json").write_text('{"sample_rate_hz": 50}')
    assert Recording.read(path).rate_hz == 50.0


def test_meta_json_is_parsed_once_for_many_files_and_again_when_it_changes(file):
    paths = [file("x,y,z\n1,2,3\n", f"{i}.csv") for i in range(20)]
    meta = paths[0].with_name("meta.json")
    meta.write_text('{"sample_rate_hz": 123}')
    with patch("gyrovae_tf.recording.json_object", side_effect=lambda text, _: json.loads(text)) as parse:
        assert {recording.rate_hz for recording in read_all(paths)} == {123.0}
        assert parse.call_count == 1
    meta.write_text('{"sample_rate_hz": 1234}')
    assert Recording.read(paths[0]).rate_hz == 1234.0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON: "),
        ("[200]", "expected a JSON object, received list"),
        ('{"sample_rate_hz": "200"}', "sample_rate_hz; expected a finite number above 0, received '200'"),
        ('{"sample_rate_hz": NaN}', "is not JSON: "),
        ('{"sample_rate_hz": null}', "sample_rate_hz; expected a finite number above 0, received None"),
    ],
)
def test_a_malformed_meta_json_is_refused(file, text, problem):
    path = file("x,y,z\n1,2,3\n")
    (path.parent / "meta.json").write_text(text)
    message = refusal(path)
    assert "meta.json" in message
    assert problem in message


# --- what is refused: one line each


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f"r.csv: no samples; expected {AXES}, received an empty file"),
        (" \n\n# only words\n", f"r.csv: no samples; expected {AXES}, received an empty file"),
        ('\n""\n', f"r.csv: no samples; expected {AXES}, received an empty file"),
        ("x,y,z\n", "r.csv: no samples; expected rows of numbers, received only a header"),
        ("a,b\n1,2\n", f"r.csv: wrong columns; expected {AXES}, received 'a,b'\n{RENAME}"),
        ("x,y\n1,2\n", f"r.csv: wrong columns; expected {AXES}, received 'x,y'\n{RENAME}"),
        ("gx,gy,gz\n1,2,3\n", f"r.csv: wrong columns; expected {AXES}, received 'gx,gy,gz'\n{RENAME}"),
        ("Logger\nx,y,z\n1,2,3\n", f"r.csv: wrong columns; expected {AXES}, received 'logger'\n{RENAME}"),
        ("x,y,z,x\n1,2,3,4\n", "r.csv: column x is there 2 times"),
        ("# c\nx,y,z\n1,2,3\n\n1,nan,3\n", f"r.csv, row 5, column y; expected a number, received 'nan'\n{NUMBER}"),
        ("x,y,z\n1,2,inf\n", f"r.csv, row 2, column z; expected a number, received 'inf'\n{NUMBER}"),
        ("x,y,z\n1,2,1e400\n", "r.csv, row 2, column z; expected at most 1e+06 in size, received 1e400\n" + LESS),
        ("x,y,z\n1,2,3\n-1000001,2,3\n", "r.csv, row 3, column x; expected at most 1e+06 in size, received -1000001\n"
         + LESS),
        ("x,y,z\r\n1,2,3\r\nab c,2,3\r\n", f"r.csv, row 3, column x; expected a number, received 'ab c'\n{NUMBER}"),
        ("x,y,z\n1,,3\n", f"r.csv, row 2, column y; expected a number, received ''\n{NUMBER}"),
        ("x,y,z\n1,2,0x1F\n", f"r.csv, row 2, column z; expected a number, received '0x1F'\n{NUMBER}"),
        ("x,y,z\n1,2,1_0\n", f"r.csv, row 2, column z; expected a number, received '1_0'\n{NUMBER}"),
        ("x,y,z\n1,2,٣\n", f"r.csv, row 2, column z; expected a number, received '٣'\n{NUMBER}"),
        ("1,2,3\n1,oops,3\n", f"r.csv, row 2, column 2; expected a number, received 'oops'\n{NUMBER}"),
        ("1,oops,3\n1,2,3\n", f"r.csv, row 1, column 2; expected a number, received 'oops'\n{NUMBER}"),
        ("x;y;z\n1,5;2.5;3\n", f"r.csv, row 2, column x; expected a number, received '1,5'\n{MARKS}"),
        ("x;y;z\n1,5;2,5;3\n1,5;2.500,5;3\n4;5;6\n", f"r.csv, row 2 and 1 more, column x; expected a number, "
         f"received '1,5'\n{MARKS}"),
        ("x;y;z\n1,5;2,5;3,5\n" + "1;2;3\n" * 9 + "1;2.500;3,5\n", "r.csv, row 12, column y; expected a "
         f"number, received '2.500'\nIt may be 2.500 or 2500. {MARKS}"),
        ('x,y,z\n"1,001","2,002","10,000"\n1,2,3\n', "r.csv, row 2, column x; expected a number, received '1,001'\n"
         f"It may be 1.001 or 1001. {MARKS}"),
        ('x,y,z\n"1,001.3",2,3\n4,5,6\n', f"r.csv, row 2, column x; expected a number, received '1,001.3'\n{MARKS}"),
        ("x,y,z\n-9.8 m/s²,2 m/s²,3 m/s²\n4,5,6\n", "r.csv, row 2, column x; expected a number, "
         "received '-9.8 m/s²'\nWrite numbers alone, and what they are in behind the column's name, such as x (m/s²)."),
        ("x,y,z\n\u22129.8,2,3\n4,5,6\n", "r.csv, row 2, column x; expected a number, received '\u22129.8'\n"
         "It holds the character MINUS SIGN: write it in plain ASCII."),
        ("x,y,z\n1\u00a0,2,3\n4,5,6\n", "r.csv, row 2, column x; expected a number, received '1\\xa0'\n"
         "It holds the character NO-BREAK SPACE: write it in plain ASCII."),
        ("x:0.1,y:0.2,z:9.8\n" * 2, f"r.csv: wrong columns; expected {AXES}, received 'x:0.1,y:0.2,z:9.8'\n{ALONE}"),
        ("12:00:00.010,1,2,3\n12:00:00.020,4,5,6\n", "r.csv, row 1 and 1 more, column 1; expected a number, "
         f"received '12:00:00.010'\n{ALONE}"),
        ("12:00:00.010 -> 1,2,3\n12:00:00.020 -> 4,5,6\n", "r.csv, row 1 and 1 more, column 1; expected a number, "
         f"received '12:00:00.010 -> 1'\n{ALONE}"),
        ("x,y,z\nnan,2,3\nnan,5,6\n", "r.csv, row 2 and 1 more, column x; expected a number, received 'nan'\n"
         "No row has one there: write one in each."),
        ("x,y,z\nTrue,2,3\n", f"r.csv, row 2, column x; expected a number, received 'True'\n{NUMBER}"),
        ('{\n"accX": [1]}\n', f"r.csv: wrong columns; expected {AXES}, received '{{'\n{JSON}"),
        ('{"values":[[1,2,3],[1,2,3],[1,2,3],[1,2,3],[1,2,3]]}', "r.csv: rows of 15 values and no header; "
         f"expected x y z x y z ..., a multiple of 3\n{JSON}"),
        ("x,y,z\nah,oh,uh\n1,2,3\n", f"r.csv, row 2, column x; expected a number, received 'ah'\n{ROW}"),
        ("x,y,z\n[mg],[mg],[mg]\n1,2,3\n", "r.csv, row 2, column x; expected a number, received '[mg]'\n"
         "These look like units: write them behind the names, such as x (mg), and remove that row."),
        ("timestamp,x,y,z\n,1,2,3\n", f"r.csv, row 2, column timestamp; expected a number, received ''\n{NUMBER}"),
        ("timestamp,x,y,z\n5,1,2,3\n1e20,1,2,3\n", "r.csv, row 3, column timestamp; expected at most 1e+19 in size, "
         "received 1e20\n" + LESS),
        ("x,y,z\n1,2,3\n1,2\n", f"r.csv, row 3: the number of columns changes; expected 3, received 2\n{CUT}"),
        ("x,y,z\n1,2,3,4\n", f"r.csv, row 2: the number of columns changes; expected 3, received 4\n{COMMAS}"),
        ("x,y,z\n1,2,3,\n4,5,\n", f"r.csv, row 3: the number of columns changes; expected 3, received 2\n{CUT}"),
        ("x,y,z\n1,2,,\n", f"r.csv, row 2, column z; expected a number, received ''\n{NUMBER}"),
        ("1,2,\n3,4,5\n", f"r.csv, row 1, column 3; expected a number, received ''\n{NUMBER}"),
        ("x,y,z\n1,2,3\n1 2 3\n", f"r.csv, row 3: the number of columns changes; expected 3, received 1\n{CUT}"),
        ("x,y,z\n0,5,-1,5,9,8\n", f"r.csv, row 2: the number of columns changes; expected 3, received 6\n{COMMAS}"),
        ("Logger,2\nx,y,z\n1,2,3\n", "r.csv, row 2 and 1 more: the number of columns changes; expected 2, "
         f"received 3\n{CUTS}"),
        (b"x,y,z\n1,2,\xff\n", f"r.csv: its text is not UTF-8; expected CSV in UTF-8\n{SAVE}"),
        (b"\x89PNG\r\n\x1a\n\x00", f"r.csv: its text is not UTF-8; expected CSV in UTF-8\n{SAVE}"),
        (b"\x00\x01\x02", f"r.csv: a binary file; expected CSV in UTF-8\n{SAVE}"),
        (b"\x00\x00", f"r.csv: a binary file; expected CSV in UTF-8\n{SAVE}"),
        (b"x,y,z\n1,2,3\n\x00\x00", "r.csv, row 3: bytes of zero in its text; expected CSV in UTF-8\n" + ZEROS),
        ("x,y,z\n1,2,3\n,2,3\n4,5,6\n,7,8\n", "r.csv, row 3 and 1 more, column x; expected a number, received ''\n"
         + NUMBERS),
        ("x,y,z\n1,2,3\n,,\n4,5,6\n7,oops,8\n,,\n", "r.csv, row 3 and 2 more, column x; expected a number, "
         "received ''\nRemove those rows: they hold no sample."),
        ("x,y,z\n1,2,3\n-\n4,5,6\n-\n-\n", "r.csv, row 3 and 2 more: the number of columns changes; expected 3, "
         "received 1\n" + CUTS),
        ("x,y,z,note\n1,2,3,größe\n".encode("latin-1"), "r.csv: its text is not UTF-8; expected CSV in UTF-8\n" + SAVE),
        (b"PK\x03\x04 and so on", "r.csv: a spreadsheet or an archive, whatever its name says; expected CSV in UTF-8\n"
         "Open or unpack it, and save what is inside as CSV UTF-8."),
        (b"PAR1 and so on", "r.csv: a Parquet file, whatever its name says; expected CSV in UTF-8\nName it .parquet."),
        ("# {rate: 200}\nx,y,z\n1,2,3\n", "r.csv, row 1: the metadata line is not JSON: "
         "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('# {"a": 1}\n# {"b": 1}\nx,y,z\n1,2,3\n', "r.csv, row 2: a second metadata line; expected one JSON object"),
        ('# {"lsb": 0}\nx,y,z\n1,2,3\n', "r.csv: lsb in its metadata line; expected a finite number above 0, "
         "received 0"),
        ('# {"units": 9}\nx,y,z\n1,2,3\n', "r.csv: units in its metadata line; expected a text, received 9"),
    ],
)  # fmt: skip
def test_refusals(file, content, message):
    assert refusal(file(content)) == message


def test_a_missing_file_and_a_folder(tmp_path):
    assert refusal(tmp_path / "no.csv") == f"cannot read {tmp_path / 'no.csv'}: no such file"
    assert refusal(tmp_path) == f"{tmp_path}: a folder; expected a CSV file\nName its files: {tmp_path / '*.csv'}"


def test_an_error_deep_in_a_large_file_is_found_by_its_row(file):
    rows = ["1,2,3"] * 50_000
    rows[40_000] = "1,2,x"
    assert refusal(file("x,y,z\n" + "\n".join(rows))) == (
        f"r.csv, row 40002, column z; expected a number, received 'x'\n{NUMBER}"
    )


# --- several files


def test_read_all(file):
    paths = [file('# {"rate_hz": 200}\nx,y,z\n1,2,3\n', "a.csv"), file('# {"rate_hz": 201}\nx,y,z\n4,5,6\n', "b.csv")]
    assert [recording.samples.tolist() for recording in read_all(paths)] == [[TWO[0]], [TWO[1]]]


def test_read_all_refuses_what_does_not_belong_together(file):
    slow = file('# {"rate_hz": 200}\nx,y,z\n1,2,3\n', "slow.csv")
    fast = file('# {"rate_hz": 250}\nx,y,z\n1,2,3\n', "fast.csv")
    turning = file('# {"rate_hz": 200, "units": "rad/s"}\nx,y,z\n1,2,3\n', "turning.csv")
    silent = file("x,y,z\n1,2,3\n", "silent.csv")
    for paths, message in [
        ([], "no recordings; expected at least one CSV file, received none"),
        ([slow, fast], "the recordings differ in rate; expected 200 Hz as in slow.csv, received 250 Hz in fast.csv"),
        (
            [slow, turning],
            "the recordings differ in units; expected m/s^2 as in slow.csv, received rad/s in turning.csv",
        ),
        ([slow, silent], f"silent.csv: nothing says its sample rate\n{GIVE}"),
        ([silent, slow], f"silent.csv: nothing says its sample rate\n{GIVE}"),
    ]:
        with pytest.raises(GyrovaeError) as caught:
            read_all(paths)
        assert str(caught.value) == message
    assert [recording.rate_hz for recording in read_all([slow, silent], rate_hz=200)] == [200.0, 200.0]


def test_a_recording_must_fit_a_detector():
    for rate_hz, units, message in [
        (None, "m/s^2", "a: nothing says its sample rate; expected 200 Hz, which the detector was made for\n"
         f"{GIVE}"),
        (100.0, "m/s^2", "a was recorded at another rate than the detector was made for; expected 200 Hz, "
         "received 100 Hz\nRecord at that rate. If its clock is at fault, or samples were stamped as they arrived, "
         "give --rate-hz (rate_hz in Python); if that does not help, remove the column of times, too, or call it what "
         "is no time, such as note."),
        (200.0, "rad/s", "a is in other units than the detector was made for; expected m/s^2, received rad/s\n"
         "Give recordings in those units. (Columns that are called x (g), y (g), z (g) become m/s^2.)"),
    ]:  # fmt: skip
        with pytest.raises(GyrovaeError) as caught:
            check_fits(Recording(np.zeros((1, 3)), rate_hz, ((0, 1),), "a", units), 200.0, "m/s^2")
        assert str(caught.value) == message
    for rate_hz in (196.1, 203.9):  # as on the device
        check_fits(Recording(np.zeros((1, 3)), rate_hz, ((0, 1),), "a"), 200.0, "m/s^2")
    for rate_hz in (195.9, 204.1):
        with pytest.raises(GyrovaeError, match="a was recorded at another rate"):
            check_fits(Recording(np.zeros((1, 3)), rate_hz, ((0, 1),), "a"), 200.0, "m/s^2")


# --- the record and its file


def test_what_is_written(tmp_path):
    samples = np.array([[0.1, -0.0, 1e-7], [1, 2, 3]])
    Recording(samples, 200, ((0, 1), (1, 2)), "s", lsb=0.5, metadata={"label": "fan"}).write(tmp_path / "w.csv")
    assert (tmp_path / "w.csv").read_text() == (
        '# {"rate_hz": 200.0, "units": "m/s^2", "lsb": 0.5, "label": "fan"}\n'
        "x,y,z,segment\n0.1,-0.0,1e-07,0\n1.0,2.0,3.0,1\n"
    )


texts = st.text(st.characters(codec="utf-8"), max_size=8)
positive = st.none() | st.floats(1e-300, 1e300)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    samples=arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e6, 1e6)),
    cuts=st.sets(st.integers(1, 19)),
    rate_hz=positive,
    lsb=positive,
    units=st.sampled_from(["m/s^2", "rad/s", "°/s"]),
    metadata=st.dictionaries(
        texts.filter(lambda key: key not in ("rate_hz", "lsb", "units")),
        st.none()
        | texts
        | st.booleans()
        | st.integers()
        | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        max_size=3,
    ),
)
def test_read_gives_back_what_write_was_given(tmp_path_factory, samples, cuts, rate_hz, lsb, units, metadata):
    borders = [0, *sorted(cut for cut in cuts if cut < len(samples)), len(samples)]
    segments = tuple(itertools.pairwise(borders))
    path = tmp_path_factory.mktemp("round") / "trip.csv"
    Recording(samples, rate_hz, segments, "trip.csv", units, lsb, metadata).write(path)
    back = Recording.read(path)
    assert back.samples.tobytes() == samples.tobytes()
    assert (back.rate_hz, back.lsb, back.units) == (rate_hz, lsb, units)
    assert (back.segments, back.source) == (segments, "trip.csv")
    assert back.metadata == metadata


def test_a_recording_that_cannot_be_is_refused_when_made():
    samples = np.zeros((4, 3))
    for arguments, problem in [
        ((np.zeros((4, 2)), 1.0, ((0, 4),), "s"), "expected samples [n, 3], n at least 1, received [4, 2]"),
        ((np.zeros((0, 3)), 1.0, (), "s"), "received [0, 3]"),
        ((np.full((1, 3), np.nan), 1.0, ((0, 1),), "s"), "a sample is not finite"),
        ((samples + 2e6, 1.0, ((0, 4),), "s"), "larger than 1e+06 m/s^2"),
        ((samples, 1.0, ((0, 3),), "s"), "segments do not cover the rows in order"),
        ((samples, 1.0, ((0, 2), (3, 4)), "s"), "segments do not cover the rows in order"),
        ((samples, 1.0, ((0, 2), (2, 2), (2, 4)), "s"), "segments do not cover the rows in order"),
        ((samples, 1.0, (), "s"), "segments do not cover the rows in order"),
        ((samples, 1.0, None, "s"), "expected half-open ranges from 0 to 4, such as ((0, 4),), received None"),
        (
            (samples, 1.0, (0, 4), "s"),
            "expected half-open ranges from 0 to 4, such as ((0, 4),), received (0, 4) (tuple)",
        ),
        ((samples, 1.0, "ab", "s"), "expected half-open ranges from 0 to 4, such as ((0, 4),), received 'ab' (text)"),
        ((samples, 1.0, (("a", "b"),), "s"), "segments do not cover the rows in order"),
        ((samples, 0.0, ((0, 4),), "s"), "s: rate_hz; expected a finite number above 0, received 0.0"),
        ((samples, 1.0, ((0, 4),), "s", ""), "s: units; expected a text, received ''"),
        ((samples, 1.0, ((0, 4),), "s", "g", 0.0), "s: lsb; expected a finite number above 0"),
        ((samples, 1.0, ((0, 4),), "s", "g", None, {"lsb": 1}), "metadata must not hold any of rate_hz, units, lsb"),
        ((samples, 1.0, ((0, 4),), "s", "g", None, None), "s: metadata; expected values by name, received None"),
        ((samples, 1.0, ((0, 4),), "s", "g", None, [1]), "s: metadata; expected values by name, received [1] (list)"),
    ]:
        with pytest.raises(GyrovaeError) as caught:
            Recording(*arguments)
        assert problem in str(caught.value)


def test_a_recordings_samples_cannot_be_changed_but_the_array_it_was_made_from_can():
    samples = np.zeros((4, 3))
    recording = Recording(samples, 1.0, ((0, 4),), "s")
    with pytest.raises(ValueError, match="read-only"):
        recording.samples[0, 0] = 1
    samples[0, 0] = 1


def test_write_keeps_the_old_file_when_it_cannot_write(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("old")
    recording = Recording(np.zeros((1, 3)), 1.0, ((0, 1),), "s", metadata={"bad": object()})
    with pytest.raises(GyrovaeError, match="s: metadata cannot be written as JSON"):
        recording.write(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("w.csv", "old")]
    with pytest.raises(GyrovaeError, match="cannot write"):
        Recording(np.zeros((1, 3)), 1.0, ((0, 1),), "s").write(path / "below.csv")


# --- what data/README.md shows


def test_the_examples_of_the_format_description(file):
    readme = (Path(__file__).parents[1] / "data" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n)+", readme, flags=re.MULTILINE)
    *examples, meta = [block.replace("\n    ", "\n")[4:] for block in blocks]
    found = [Recording.read(file(example)) for example in examples]
    assert [(len(recording), recording.rate_hz) for recording in found] == [
        (1, 200.0),
        (2, 200.0),
        (2, 198.7),
        (2, 62.5),
        (3, 200.0),
        (10, None),
    ]
    assert [recording.samples[0].tolist() for recording in found] == [[0.12, -0.31, 9.79]] * 6
    path = file(examples[5])
    path.with_name("meta.json").write_text(meta)
    assert Recording.read(path).rate_hz == 62.5


# --- anything at all

words = ["1", "-2.5", "1e9", "nan", "timestamp", "segment", "x,y,z\n", "accX,accY,accZ\n", "1,2,3\n", "1 2 3 5\n"]
tokens = st.sampled_from([*"xyz,;\t #\"'{}\n\r", *words, "1,2,3," * 5, '# {"rate_hz": 1}\n', "\ufeff", "é"])
anything = st.lists(tokens, max_size=25).map("".join).map(str.encode) | st.binary(max_size=60)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(content=anything)
def test_any_bytes_are_a_recording_or_a_clear_refusal(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        recording = Recording.read(path)
    except GyrovaeError as error:  # any other exception fails this test
        message = str(error)
        recording = None
    if recording is None:
        assert "any.csv" in message
        assert message.count("\n") <= 1
    else:
        assert recording.samples.shape == (recording.segments[-1][1], 3)


# --- the real recordings


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [("ceiling_fan_esp32", 200), ("nicla_transport_accel", 59), ("nxp_fan", 200), ("rosa_shaft_imu", 62.5)],
)
def test_real_recordings(shared, name, rate_hz):
    folder = shared / "datasets" / name
    for path in (sorted(folder.glob("normal/*.csv"))[0], sorted(folder.glob("anomaly/*/*.csv"))[0]):
        recording = Recording.read(path)
        assert (recording.rate_hz, recording.units) == (
            rate_hz,
            json.loads((folder / "meta.json").read_text())["units"],
        )
        expected_samples = np.loadtxt(path, delimiter=",", skiprows=1)
        assert np.array_equal(recording.samples, expected_samples)
        assert recording.segments == ((0, len(expected_samples)),)


# --- in memory


def test_samples_are_the_recordings_own() -> None:
    given = np.zeros((3, 3))
    recording = Recording(given, 100.0, ((0, 3),), "r")
    given[0] = 99
    assert not recording.samples.any()
    for other in (recording, copy.deepcopy(recording), pickle.loads(pickle.dumps(recording))):
        with pytest.raises(ValueError, match="read-only"):
            other.samples[0] = 1


@pytest.mark.parametrize(
    "samples",
    [
        np.ma.masked_array(np.zeros((3, 3)), mask=True),
        np.zeros((3, 3), complex),
        np.zeros((3, 3), "datetime64[s]"),
        [[1, 2, 3], [1, 2]],
        [["a", "b", "c"]],
        None,
    ],
)
def test_samples_that_are_no_numbers(samples: object) -> None:
    with pytest.raises(GyrovaeError, match=r"r: no recording; expected samples \[n, 3\]"):
        Recording(samples, 100.0, ((0, 3),), "r")


def test_one_alone_is_one(tmp_path: Path) -> None:
    """And no text of many letters, of which "." is a folder."""
    recording = Recording(np.zeros((3, 3)), 100.0, ((0, 3),), "r")
    assert read_all(recording) == [recording]
    for name in (str(tmp_path / "r.csv"), tmp_path / "r.csv"):
        recording.write(name)
        assert [found.source for found in read_all(name)] == ["r.csv"]
        assert find_recordings(name) == [str(name)]
    with pytest.raises(GyrovaeError, match="r is in memory, and files are needed here"):
        find_recordings([recording])


@pytest.mark.parametrize("given", [None, 5, [None], [np.zeros((3, 3))], np.zeros((3, 3)), [["a.csv"]]])
def test_what_is_no_recording(given: Any) -> None:
    for take in (read_all, find_recordings):
        with pytest.raises(GyrovaeError, match=r"this is no recording; expected a gyrovae_tf\.Recording, or the name"):
            take(given)


def test_a_given_rate_must_be_that_of_a_recording_in_memory_too() -> None:
    stated = Recording(np.zeros((3, 3)), 200.0, ((0, 3),), "r")
    assert read_all(stated, rate_hz=201)[0].rate_hz == 200.0
    assert read_all(dataclasses.replace(stated, rate_hz=None), rate_hz=100)[0].rate_hz == 100.0
    for take in (read_all, Stream.of):
        with pytest.raises(
            GyrovaeError, match=r"expected 100 Hz \(given\), received 200 Hz \(stated in the recording\)"
        ):
            take(stated, rate_hz=100)
        with pytest.raises(GyrovaeError, match=r"rate_hz; expected a finite number above 0, received 'a' \(text\)"):
            take(stated, rate_hz="a")
