"""What the columns of a file are, by their names: the names that sensors' loggers usually give them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from gyrovae_tf.header import Header, read_header

G = 9.80665


def header(names: str, first: Sequence[str] | None = None) -> Header | None:
    """Of names as a file has them, and the fields of its first row (numbers, where none are given)."""
    split = names.split(",")
    return read_header(split, lambda index: first is None or first[index].replace(".", "").isdigit())


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
        ("gyrX,gyrY,gyrZ", (0, 1, 2), "rad/s", math.pi / 180),
        ("gyrX,gyrY,gyrZ,ax,ay,az", (3, 4, 5), None, 1.0),  # the accelerometer, where one is there
        ("ax,ay,az,x,y,z", (3, 4, 5), None, 1.0),  # the plain names before others
        ("ax_g,ay,az,acc_x,acc_y,acc_z", (3, 4, 5), None, 1.0),  # of one kind, all three
    ],
)
def test_the_axes(names: str, axes: tuple[int, int, int], units: str | None, factor: float) -> None:
    found = header(names)
    assert found is not None
    assert (found.axes, found.units) == (axes, units)
    assert found.factor == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(
    "names", ["", "a,b", "x,y", "ax,ay", "ax,ay_g,az", "gx,gy,gz", "accx_kg,accy_kg,accz_kg", "max,may,maz", "x1,y1,z1"]
)
def test_no_motion(names: str) -> None:
    assert header(names) is None


@pytest.mark.parametrize(
    ("name", "tick_ms"),
    [
        *(("timestamp", None), ("time", None), ("Time Stamp", None), ("t", None), ("elapsed", None)),
        *(("time_ms", 1.0), ("timestamp(ms)", 1.0), ("t (ms)", 1.0), ("millis", 1.0)),
        *(("time_s", 1000.0), ("Time [s]", 1000.0), ("t_sec", 1000.0), ("seconds", 1000.0)),
        *(("timestamp_us", 1e-3), ("micros", 1e-3), ("time (µs)", 1e-3)),
    ],
)
def test_the_time(name: str, tick_ms: float | None) -> None:
    assert header(f"x,{name},y,z") == Header((0, 2, 3), None, 1.0, 1, tick_ms, None)


@pytest.mark.parametrize("name", ["date", "ts", "times", "time_of_day", "hour", "timer", "temperature", "time_h"])
def test_no_time(name: str) -> None:
    assert header(f"x,{name},y,z") == Header((0, 2, 3), None, 1.0, None, None, None)


def test_what_counts_where_several_could() -> None:
    assert header("time,x,y,z,timestamp,segment") == Header((1, 2, 3), None, 1.0, 4, None, 5)
    assert header("time,t_ms,x,y,z", ["2026-01-01T10:00", "5", "1", "1", "1"]) == Header(
        (2, 3, 4), None, 1.0, 1, 1.0, None
    )
    assert header("time,x,y,z", ["noon", "1", "1", "1"]) == Header((1, 2, 3), None, 1.0, None, None, None)
    assert header("timestamp,x,y,z", ["noon", "1", "1", "1"]) == Header(
        (1, 2, 3), None, 1.0, 0, None, None
    )  # told then


@pytest.mark.parametrize("names", ["x,y,z,X", "ax,ay,az,ay", "x,y,z,timestamp,timestamp", "x,y,z,segment,Segment"])
def test_what_counts_must_be_there_once(names: str) -> None:
    with pytest.raises(ValueError, match=r"^column \w+ is there 2 times$"):
        header(names)
