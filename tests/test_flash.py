"""The image for the flash: what the firmware reads in it is what its header says; what is damaged is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest
from click.testing import CliRunner
from gyrovae_tf.cli.main import cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyrovae_tf.arena import Arena
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.flash import OFFSET, PARTITION, SIZE, esptool_command, image, write_image, write_to_device
from gyrovae_tf.golden_npz import Golden


def bundle(*, tilt: bool = True) -> Bundle:
    """A detector with golden windows; without a tilt it has no quarters either."""
    windows = firmware.random_windows(40, 64, seed=8)
    made = firmware.case(firmware.fitted(64), windows, seed=8, quarters=tilt, tilt=tilt)
    golden = Golden(
        windows=made.windows[:3],
        images=made.images[:3],
        outputs=np.stack([made.outputs[:3], made.outputs[3:6]], axis=1),
        scores=np.array([0.5, 1.0, 7.25]),
        kernels="tflm",
        version="tflite-micro 1",
    )
    return dataclasses.replace(made.bundle, golden=golden, arena=Arena(31000, 5600, "tflite-micro 1", "measured"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The program that reads an image in windows.bin and compares it with its own header: all views, or few."""
    folder = tmp_path_factory.mktemp("flash")
    objects = firmware.compiled("g++", firmware.SANITIZED, folder)
    programs: dict[bool, Path] = {}
    for tilt in (False, True):
        made = folder / f"tilt{tilt:d}"
        made.mkdir()
        emit_header(bundle(tilt=tilt), made / "nn_model.h", golden=True)
        programs[tilt] = Path(firmware.on_host("flash", made, firmware.SANITIZED, objects)[0])
    return programs


def read(program: Path, made: bytes) -> str:
    """What the firmware says of an image: the name of what differs from its header, a problem, or `equal`."""
    folder = program.parent
    (folder / "windows.bin").write_bytes(struct.pack("<I", len(made)) + made)
    firmware.checked([program], folder)
    return (folder / "results.bin").read_bytes().decode()


def sealed(made: bytearray) -> bytes:
    """An image whose length and CRC are right whatever else was changed."""
    struct.pack_into("<I", made, 12, len(made))
    struct.pack_into("<I", made, 16, zlib.crc32(made[20:]))
    return bytes(made)


@pytest.mark.parametrize("tilt", [False, True])
def test_an_image_holds_every_number_of_the_header(reader: dict[bool, Path], tilt: bool) -> None:
    assert read(reader[tilt], image(bundle(tilt=tilt))) == "equal"


def test_another_detector_is_seen_to_be_another(reader: dict[bool, Path]) -> None:
    made = bundle()
    changed = dataclasses.replace(made, calibration=dataclasses.replace(made.calibration, threshold=1.5))
    assert read(reader[True], image(changed)) == "threshold"


def test_its_head_is_as_documented() -> None:
    made = image(bundle())
    assert made[:8] == b"GYROVAE\0"
    assert struct.unpack("<III", made[8:20]) == (2, len(made), zlib.crc32(made[20:]))
    assert made[20:52].hex() == bundle().spec.digest
    assert made[52:64] == bytes(12)
    assert struct.unpack("<ii", made[64:72]) == (1, 64)  # the front end's version, the window
    assert len(made) % 16 == 0


def test_what_is_damaged_is_refused(reader: dict[bool, Path]) -> None:
    made, program = image(bundle()), reader[True]
    assert read(program, b"") == "there is no detector's image"
    assert read(program, b"\xff" * len(made)) == "there is no detector's image"
    assert read(program, made[:63]) == "there is no detector's image"
    assert read(program, made[:8] + b"\x01\0\0\0" + made[12:]) == "the image is of another version"
    assert read(program, made[:-1]) == "the image is not whole"
    assert read(program, made[:12] + b"\0\0\0\0" + made[16:]) == "the image is not whole"
    assert read(program, made[:-1] + b"\x01") == "the image is damaged (CRC-32)"
    longer = made + b"\xff" * 1000  # what stands in the flash behind it
    assert read(program, longer) == "equal"


@settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_whatever_stands_in_an_image_nothing_is_read_beyond_it(reader: dict[bool, Path], data: st.DataObject) -> None:
    """The sanitisers end the program where it is; a CRC is no protection from a wrong program on the PC."""
    made = bytearray(image(bundle()))
    head = data.draw(st.booleans())  # sizes and counts stand at the beginning
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(64, 64 + 160 if head else len(made) - 4)) & ~3
        struct.pack_into(
            "<i",
            made,
            place,
            data.draw(st.sampled_from((0, 1, -1, 64, 2**31 - 1, -(2**31))) | st.integers(-(2**31), 2**31 - 1)),
        )
    if data.draw(st.booleans()):
        del made[data.draw(st.integers(64, len(made))) :]
    assert read(reader[True], sealed(made))


def test_it_is_written_by_the_command(tmp_path: Path) -> None:
    made = bundle()
    folder, output = made.save(tmp_path / "fan.gyrovae"), tmp_path / "detector.bin"
    done = CliRunner().invoke(cli, ["flash-image", str(folder), "-o", str(output), "--json"])
    assert done.exit_code == 0, done.output
    assert output.read_bytes() == image(made)
    assert json.loads(done.stdout) == {
        "image": str(output),
        "bytes": len(image(made)),
        "id": zlib.crc32(image(made)),
        "written": False,
        "command": f"esptool write-flash {OFFSET:#x} {output}",
    }
    done = CliRunner().invoke(cli, ["flash-image", str(folder), "-o", str(output)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [f"next: esptool write-flash {OFFSET:#x} {output}"]  # piped, too
    assert esptool_command("a b.bin", "/dev/ttyACM0")[:3] == ["esptool", "--port", "/dev/ttyACM0"]


def test_what_does_not_fit_the_partition_is_refused(tmp_path: Path) -> None:
    large = dataclasses.replace(bundle(), model=bytes(SIZE))
    says = f"does not fit the partition; expected at most {SIZE:,} bytes, .*\nTrain a smaller network"
    with pytest.raises(GyrovaeError, match=says):
        write_image(large, tmp_path / "detector.bin")
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    pytest.importorskip("esptool", reason="esptool is an extra") if not os.environ.get("CI") else None
    write_image(bundle(), tmp_path / "detector.bin")
    with pytest.raises(GyrovaeError, match="esptool could not write to /dev/none-here"):
        write_to_device(tmp_path / "detector.bin", "/dev/none-here")


def test_the_partition_is_where_the_command_writes() -> None:
    table = (firmware.FIRMWARE / "partitions.csv").read_text()
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines() if not line.startswith("#")]
    found = {row[0]: (row[1], int(row[3], 0), int(row[4], 0)) for row in rows if len(row) > 4 and row[3]}
    assert found[PARTITION] == ("data", OFFSET, SIZE)
