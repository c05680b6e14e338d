"""What the columns of a file are, by their names: the names that sensors' loggers usually give them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from gyrovae_tf.header import Header, Kind, read_header

G = 9.80665


def header(names: str, first: Sequence[str] | None = None) -> Header | None:
    """Of names as a file has them, and the fields of its first row (numbers, where none are given)."""
    known: dict[str, Kind] = {"noon": "text", "12:00:00.5": "time", "": "nothing"}
    return read_header(names.split(","), lambda index: "number" if first is None else known.get(first[index], "number"))


@pytest.mark.parametrize(
    ("names", "axes", "units", "factor"),
    [
        ("x,y,z", (0, 1, 2), None, 1.0),
        ("label, Z ,Y,X", (3, 2, 1), None, 1.0),
        ("timestamp,accX,accY,accZ", (1, 2, 3), "m/s^2", 1.0),
        ("ax,ay,az,gx,gy,gz", (0, 1, 2), None, 1.0),
        ("gx,gy,gz,aX,aY,aZ", (3, 4, 5), None, 1.0),
        ("a_x,a_y,a_z", (0, 1, 2), None, 1.0),
        ("acc_x,acc_y,acc_z", (0, 1, 2), None, 1.0),
        ("acc.x,acc.y,acc.z", (0, 1, 2), None, 1.0),
        ("accel_x,accel_y,accel_z,label", (0, 1, 2), None, 1.0),
        ("accelerometer_x,accelerometer_y,accelerometer_z", (0, 1, 2), None, 1.0),
        ("Acceleration X,Acceleration Y,Acceleration Z", (0, 1, 2), None, 1.0),
        ("linear_acceleration_x,linear_acceleration_y,linear_acceleration_z", (0, 1, 2), None, 1.0),
        ("t,IMU[0].AccX,IMU[0].AccY,IMU[0].AccZ", (1, 2, 3), None, 1.0),
        ("acc_x_g,acc_y_g,acc_z_g", (0, 1, 2), "m/s^2", G),
        ("X (g),Y (g),Z (g)", (0, 1, 2), "m/s^2", G),
        ("ax[mg],ay[mg],az[mg]", (0, 1, 2), "m/s^2", G / 1000),
        ("accel_x (m/s^2),accel_y (m/s^2),accel_z (m/s^2)", (0, 1, 2), "m/s^2", 1.0),
        ("acc_x_ms2,acc_y_ms2,acc_z_ms2", (0, 1, 2), "m/s^2", 1.0),
        ("x (mm/s^2),y (mm/s^2),z (mm/s^2)", (0, 1, 2), "m/s^2", 1e-3),
        ("X-axis,Y-axis,Z-axis", (0, 1, 2), None, 1.0),
        ("x axis (g),y axis (g),z axis (g)", (0, 1, 2), "m/s^2", G),
        ("axis_x,axis_y,axis_z", (0, 1, 2), None, 1.0),
        ("gyrX,gyrY,gyrZ", (0, 1, 2), "rad/s", math.pi / 180),
        ("gyrX,gyrY,gyrZ,ax,ay,az", (3, 4, 5), None, 1.0),  # the accelerometer, where one is there
        ("ax,ay,az,x,y,z", (3, 4, 5), None, 1.0),  # the plain names before others
        ("ax_g,ay,az,acc_x,acc_y,acc_z", (3, 4, 5), None, 1.0),  # of one kind, all three
        ("x,y,z,w,accX,accY,accZ", (4, 5, 6), "m/s^2", 1.0),  # with w they are a quaternion
        ("W,X,Y,Z,ax,ay,az", (4, 5, 6), None, 1.0),
    ],
)
def test_the_axes(names: str, axes: tuple[int, int, int], units: str | None, factor: float) -> None:
    found = header(names)
    assert found is not None
    assert (found.axes, found.units) == (axes, units)
    assert found.factor == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(
    "names",
    [
        "",
        "a,b",
        "x,y",
        "ax,ay",
        "ax,ay_g,az",
        "gx,gy,gz",
        "accx_kg,accy_kg,accz_kg",
        "max,may,maz",
        "x1,y1,z1",
        "Beschl. X,Y,Z",
        "x,y,z,w",
        "gx,gy,gz,qx,qy,qz,w,x,y,z",
    ],
)
def test_no_motion(names: str) -> None:
    assert header(names) is None


@pytest.mark.parametrize(
    ("name", "tick_ms"),
    [
        *(("timestamp", None), ("time", None), ("Time Stamp", None), ("t", None), ("elapsed", None)),
        *(("time_ms", 1.0), ("timestamp(ms)", 1.0), ("t (ms)", 1.0), ("millis", 1.0)),
        *(
            ("time_s", 1000.0),
            ("Time [s]", 1000.0),
            ("t_sec", 1000.0),
            ("seconds", 1000.0),
            ("seconds_elapsed", 1000.0),
        ),
        *(("timestamp_us", 1e-3), ("micros", 1e-3), ("time (µs)", 1e-3)),
        *(("unix_timestamp", None), ("relative_time", None), ("utime", None), ("uptime_ms", 1.0)),
        *(("device_timestamp_ms", 1.0), ("Time t (s)", 1000.0), ("Time since start in ms ", 1.0)),
        *(("time_ns", 1e-6), ("t_ns", 1e-6), ("nanoseconds", 1e-6), ("timestamp [ns]", 1e-6)),
    ],
)
def test_the_time(name: str, tick_ms: float | None) -> None:
    assert header(f"x,{name},y,z") == Header((0, 2, 3), None, 1.0, 1, tick_ms, None)


@pytest.mark.parametrize(
    "name", ["date", "ts", "times", "time_of_day", "hour", "timer", "temperature", "time_h", "second", "unix"]
)
def test_no_time(name: str) -> None:
    assert header(f"x,{name},y,z") == Header((0, 2, 3), None, 1.0, None, None, None)


def test_what_counts_where_several_could() -> None:
    assert header("time,x,y,z,timestamp,segment") == Header((1, 2, 3), None, 1.0, 4, None, 5)
    written, number, text, nothing = "12:00:00.5", "5", "noon", ""
    for names, first, *expected in [
        ("time,t_ms,x,y,z", [written, number], 1, 1.0, None, False, None),
        ("time,t_s,x,y,z", [text, written], 1, 1.0, None, True, None),  # as they are milliseconds then
        ("t,timestamp,x,y,z", [number, written], 1, 1.0, None, True, None),
        ("t,timestamp,x,y,z", [number, text], 0, None, None, False, None),
        ("t,timestamp,x,y,z", [number, nothing], 1, None, None, False, None),  # told with its row
        ("time,t,x,y,z", [text, text], None, None, None, False, 0),
        ("note,time,x,y,z", [number, nothing], None, None, None, False, 1),
    ]:
        assert header(names, [*first, "1", "1", "1"]) == Header((2, 3, 4), None, 1.0, *expected), names


@pytest.mark.parametrize("names", ["x,y,z,X", "ax,ay,az,ay", "x,y,z,timestamp,timestamp", "x,y,z,segment,Segment"])
def test_what_counts_must_be_there_once(names: str) -> None:
    with pytest.raises(ValueError, match=r"^column \w+ is there 2 times$"):
        header(names)
