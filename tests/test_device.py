"""The device: its app behind a serial port, driven from Python; on an emulated Cortex-M4F, here under sanitisers."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import emulated_device as emulated
import numpy as np
import pytest
from conftest import TINY_MACHINE, Tiny

from gyrovae_tf.device import wire
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.flash import image
from gyrovae_tf.signal import frontend

WINDOW, HOP_S = emulated.WINDOW, emulated.WINDOW / emulated.RATE_HZ
HOSTS = ("host", "cortex-m4f")
CASE = emulated.made_up()
SCORES = CASE.scores


@pytest.fixture(scope="module", params=HOSTS)
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    return emulated.built(tmp_path_factory.mktemp(f"device-{request.param}"), CASE, on=request.param)


@pytest.fixture
def device(command: list[str | Path], tmp_path: Path) -> Iterator[emulated.Device]:
    """A device that has just been switched on, with nothing kept from before."""
    with emulated.running(command, tmp_path) as running:
        running.send("info")
        yield running


def verdicts(device: emulated.Device, count: int) -> list[wire.Verdict]:
    found = [device.event(wire.Verdict) for _ in range(count)]
    return [one for one in found if isinstance(one, wire.Verdict)]


def banner(device: emulated.Device, **fields: object) -> wire.Banner:
    """The next banner with these contents."""
    while True:
        found = device.event(wire.Banner)
        assert isinstance(found, wire.Banner)
        if all(getattr(found, name) == value for name, value in fields.items()):
            return found


def test_it_says_who_it_is(device: emulated.Device) -> None:
    found = banner(device)
    expected = wire.Banner(
        firmware="0.0.0-emulated",
        sensor="script",
        rate_hz=200.0,
        lsb=0.001,
        counts=(-32768, 32767),
        mode="detect",
        model="compiled",
        spec=CASE.bundle.spec.digest,
        window=64,
        hop=64,
        vote=(CASE.bundle.calibration.vote_alarms, CASE.bundle.calibration.vote_windows),
        threshold=1.0,
        site_windows=0,
    )
    assert dataclasses.replace(found, boot=0, next=0, t_us=0) == expected


def test_samples_come_as_the_sensor_gave_them(device: emulated.Device) -> None:
    device.send("stream")
    started = banner(device, mode="stream")
    found = [device.event(wire.Sample) for _ in range(1000)]
    script = CASE.windows.reshape(-1, 3)
    first = found[0]
    assert isinstance(first, wire.Sample)
    assert first.number == started.next
    for i, one in enumerate(found):
        assert isinstance(one, wire.Sample)
        assert (one.number, one.t_us) == (first.number + i, (first.number + i) * 5000)
        assert (one.x, one.y, one.z) == tuple(script[i % len(script)])
    assert device.parser.counts.skipped == 0


def test_verdicts_are_those_of_python(device: emulated.Device) -> None:
    device.send("stream", "detect")
    banner(device, mode="stream")
    started = banner(device, mode="detect")
    found = verdicts(device, 2 * len(SCORES))
    expected = np.tile(SCORES, 2)
    np.testing.assert_allclose([one.score for one in found], expected, rtol=1e-4, atol=5.1e-4)  # thousandths
    alarms = expected >= 1
    assert [one.alarm for one in found] == alarms.tolist()
    votes = [alarms[max(i - 4, 0) : i + 1].sum() >= 3 for i in range(len(alarms))]
    assert [one.event for one in found] == votes
    assert {one.alarm for one in found} == {one.event for one in found} == {True, False}
    assert [one.number for one in found] == [started.next + (i + 1) * WINDOW - 1 for i in range(len(found))]
    assert [one.window for one in found] == list(range(found[0].window, found[0].window + len(found)))
    assert all(1 <= len(one.reasons) <= 3 for one in found)
    assert device.parser.counts.skipped == 0


@pytest.mark.slow
def test_a_trained_detector_gives_the_numbers_of_the_pc(tiny: Tiny, tmp_path: Path) -> None:
    """The int8 model's outputs are recorded with TensorFlow Lite Micro; all else runs on the emulated core."""
    length, spec = tiny.bundle.spec.window, tiny.bundle.spec
    motion = [simulate(TINY_MACHINE, seconds=8, seed=9, fault=fault) for fault in (None, "imbalance", "off")]
    counts = [frontend.to_counts(one.samples, spec.lsb) for one in motion]
    windows = np.concatenate([one[: len(one) // length * length].reshape(-1, length, 3) for one in counts])
    script = emulated.recorded(tiny.bundle, windows)
    assert (script.scores < 1).sum() > 10
    assert (script.scores >= 1).sum() > 10
    with emulated.running(emulated.built(tmp_path, script, on="cortex-m4f"), tmp_path) as device:
        found = verdicts(device, len(script.scores))
        assert found[0].window == 0  # golden windows were all right
        np.testing.assert_allclose([one.score for one in found], script.scores, rtol=1e-4, atol=5.1e-4)
        assert [one.alarm for one in found] == (script.scores >= 1).tolist()


def test_a_threshold_is_found_on_site_and_kept(command: list[str | Path], tmp_path: Path) -> None:
    windows = int(60 / HOP_S)  # a minute
    logs = np.log2(np.resize(SCORES, windows))
    threshold = 2 ** (logs.mean() + CASE.bundle.calibration.reach * logs.std(ddof=1))
    assert 1.5 < threshold < 16
    with emulated.running(command, tmp_path) as device:
        device.send("calibrate 1")
        word = device.event(wire.Status)
        assert word == wire.Status(
            "info", f"calibration on site: keep the machine running as it normally does; windows {windows}"
        )
        assert device.event(wire.Status) == wire.Status("info", f"calibration on site: 16 of {windows} windows")
        found = banner(device, site_windows=windows)
        assert found.threshold == pytest.approx(threshold, rel=1e-3)
        after = verdicts(device, len(SCORES))
        assert {one.threshold for one in after} == {found.threshold}
        assert [one.alarm for one in after] == [one.score >= found.threshold for one in after]
    with emulated.running(command, tmp_path) as device:  # switched off and on
        device.send("info")
        assert banner(device).threshold == found.threshold
        device.send("forget")
        assert banner(device, site_windows=0).threshold == 1.0
    with emulated.running(command, tmp_path) as device:
        device.send("info")
        assert banner(device).site_windows == 0


def test_what_cannot_be_forgotten_or_was_kept_damaged(command: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "site.bin").mkdir()  # neither read nor written
    with emulated.running(command, tmp_path) as device:
        device.send("forget")
        assert device.event(wire.Status) == wire.Status("error", "the threshold of this site is still kept")
    (tmp_path / "site.bin").rmdir()
    known = zlib.crc32(image(CASE.bundle))
    for windows, threshold in ((30, 2.5), (29, 1.0)):  # a calibration takes thirty at the least
        (tmp_path / "site.bin").write_bytes(struct.pack("<IfffI", known, 1.0, 0.5, 2.5, windows))
        with emulated.running(command, tmp_path) as device:
            device.send("info")
            assert banner(device).threshold == threshold


def test_a_place_where_nothing_is_normal_is_refused(tmp_path: Path) -> None:
    wide = dataclasses.replace(CASE.bundle.calibration, reach=3.0)
    case = dataclasses.replace(CASE, bundle=dataclasses.replace(CASE.bundle, calibration=wide))
    with emulated.running(emulated.built(tmp_path, case, on="host"), tmp_path) as device:
        device.send("calibrate 1")
        problem = "normal motion here scores too high or too unsteadily: collect it and train again"
        while device.event(wire.Status) != wire.Status("error", problem):
            pass
        found = banner(device)
        assert (found.threshold, found.site_windows) == (1.0, 0)
    assert not (tmp_path / "site.bin").exists()


def test_a_calibration_ends_with_the_mode(device: emulated.Device) -> None:
    device.send("calibrate 1", "stream", "detect")
    banner(device, mode="stream")
    verdicts(device, int(60 / HOP_S) + 20)
    device.send("info")
    assert banner(device).site_windows == 0


def test_what_it_does_not_understand_it_says(device: emulated.Device) -> None:
    device.send("hello", "calibrate 0", "calibrate 1441", "x" * 1000, "info\0")
    for _ in range(5):
        expected = "unknown command: stream, detect, info, calibrate MINUTES (1 to 1440), forget"
        assert device.event(wire.Status) == wire.Status("error", expected)
    device.send("info")
    assert banner(device).mode == "detect"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("image_crc32", "self-test: the front end gives other images than on the PC"),
        ("outputs", "self-test: the model gives other outputs than on the PC"),
        ("scores", "self-test: the score is another than on the PC"),
    ],
)
def test_a_detector_that_cannot_prove_itself_is_not_used(tmp_path: Path, change: str, problem: str) -> None:
    golden = CASE.bundle.golden
    assert golden is not None
    other = {
        "image_crc32": {"images": golden.images + np.int8(1)},
        "outputs": {"outputs": golden.outputs ^ np.int8(4)},
        "scores": {"scores": golden.scores * 1.02},
    }[change]
    bundle = dataclasses.replace(CASE.bundle, golden=dataclasses.replace(golden, **other))
    command = emulated.built(tmp_path, dataclasses.replace(CASE, bundle=bundle), on="host")
    with emulated.running(command, tmp_path) as device:
        assert device.event(wire.Status) == wire.Status("error", problem)
        expected = "there is no detector: flash one (gyrovae-tf flash-image), or compile one in"
        assert device.event(wire.Status) == wire.Status("error", expected)
        found = banner(device)
        assert (found.mode, found.model, found.spec, found.window) == ("stream", "none", None, 0)
        assert device.event(wire.Sample)
        device.send("detect")
        assert device.event(wire.Status) == wire.Status("error", expected)
        assert banner(device).mode == "stream"
