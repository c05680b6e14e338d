"""The device's lines and the PC's are the same bytes, and the device understands what the PC says."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import portable_firmware as firmware
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyrovae_tf.device import wire

WORDS = ("stream", "detect", "info", "calibrate", "forget")
"""In the order of `Word` in gyrovae/wire.h; what is none of them comes last."""
UINT32 = st.integers(0, 2**32 - 1)
INT16 = st.integers(-32768, 32767)


def singles(most: float) -> st.SearchStrategy[float]:
    """float32 numbers from 0 on."""
    return st.floats(0, most, width=32)


SAMPLES = st.tuples(UINT32, UINT32, INT16, INT16, INT16)
REASONS = st.lists(
    st.builds(
        wire.Reason,
        st.sampled_from("xyz"),
        singles(10_000),
        singles(10_000),
        st.sampled_from(("louder", "quieter")),
        singles(1),
    ),
    max_size=3,
)
SCORES = singles(1e6) | st.sampled_from((float("inf"), float("nan"), 0.0, 0.0625, 0.1875, 1.0, 9_999_999.0, 3e38))
VERDICTS = st.builds(
    wire.Verdict,
    *(UINT32, UINT32, UINT32, SCORES, singles(16), st.booleans(), st.booleans(), REASONS.map(tuple)),
    *(UINT32, UINT32, UINT32),
)
PLAIN = st.text(st.sampled_from("abcXYZ0189 .-_/^2"), max_size=32)
DETECTORS = st.tuples(st.just("none"), st.none()) | st.tuples(
    st.sampled_from(("compiled", "partition")), st.binary(min_size=32, max_size=32).map(bytes.hex)
)
BANNERS = st.builds(
    lambda detector, vote, **rest: wire.Banner(
        model=detector[0], spec=detector[1], vote=vote if detector[1] else (0, 0), **rest
    ),
    DETECTORS,
    firmware=PLAIN,
    sensor=PLAIN,
    rate_hz=st.floats(1e-3, 20_000),
    lsb=st.sampled_from((0.001, 0.0095768, 0.000598, 1.0, 0.061 * 9.80665e-3, 1e-9)),
    units=st.sampled_from(("m/s^2", "rad/s")),
    counts=st.tuples(INT16, INT16),
    mode=st.sampled_from(wire.MODES),
    boot=UINT32,
    next=UINT32,
    t_us=UINT32,
    window=st.sampled_from((0, 64, 1024)),
    hop=st.integers(0, 2**31 - 1),
    vote=st.integers(1, 64).flatmap(lambda windows: st.tuples(st.integers(1, windows), st.just(windows))),
    threshold=singles(16),
    site_windows=UINT32,
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    objects = firmware.compiled("g++", firmware.SANITIZED, folder)
    return Path(firmware.on_host("lines", folder, firmware.SANITIZED, objects)[0])


def said(program: Path, records: list[bytes]) -> bytes:
    """What the device says of these records."""
    (program.parent / "windows.bin").write_bytes(struct.pack("<i", len(records)) + b"".join(records))
    (program.parent / "results.bin").unlink(missing_ok=True)
    firmware.checked([program], program.parent)
    found = program.parent / "results.bin"
    return found.read_bytes() if found.exists() else b""


def text(words: str) -> bytes:
    return struct.pack("<i", len(words)) + words.encode()


def of_sample(sample: tuple[int, int, int, int, int]) -> bytes:
    return struct.pack("<iII3h", 0, *sample)


def of_verdict(verdict: wire.Verdict) -> bytes:
    v = verdict
    head = struct.pack(
        "<iIIIffiii", 1, v.window, v.number, v.t_us, v.score, v.threshold, v.alarm, v.event, len(v.reasons)
    )
    reasons = b"".join(
        struct.pack("<BBfff", "xyz".index(r.axis), r.direction == "louder", r.low_hz, r.high_hz, r.share)
        for r in v.reasons
    )
    return head + reasons + struct.pack("<III", v.frontend_us, v.inference_us, v.score_us)


def of_banner(banner: wire.Banner) -> bytes:
    b = banner
    texts = struct.pack("<i", 2) + text(b.firmware) + text(b.sensor) + text(b.units)
    numbers = struct.pack("<ddhhiIII", b.rate_hz, b.lsb, *b.counts, b.mode == "detect", b.boot, b.next, b.t_us)
    source = struct.pack("<i", ("none", "compiled", "partition").index(b.model)) + bytes.fromhex(b.spec or "00" * 32)
    return texts + numbers + source + struct.pack("<iiiifI", b.window, b.hop, *b.vote, b.threshold, b.site_windows)


EXAMPLES = settings(
    derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EXAMPLES
@given(st.lists(SAMPLES, min_size=1, max_size=50))
def test_samples(program: Path, samples: list[tuple[int, int, int, int, int]]) -> None:
    assert said(program, list(map(of_sample, samples))) == b"".join(wire.sample_line(*one) for one in samples)


@EXAMPLES
@given(st.lists(VERDICTS, min_size=1, max_size=30))
def test_verdicts(program: Path, verdicts: list[wire.Verdict]) -> None:
    assert said(program, list(map(of_verdict, verdicts))) == b"".join(map(wire.verdict_line, verdicts))


@EXAMPLES
@given(st.lists(BANNERS, min_size=1, max_size=20))
def test_banners(program: Path, banners: list[wire.Banner]) -> None:
    assert said(program, list(map(of_banner, banners))) == b"".join(map(wire.banner_line, banners))


def test_words(program: Path) -> None:
    record = struct.pack("<ic", 3, b"W") + text("too hot")
    assert said(program, [record]) == wire.status_line("warning", "too hot")
    long = struct.pack("<ic", 3, b"I") + text("x" * 600)
    assert said(program, [long]) == wire.status_line("error", "a line was too long to be sent")
    fits = struct.pack("<ic", 3, b"I") + text("x" * (wire.LONGEST - 8))
    assert len(said(program, [fits])) == wire.LONGEST + 1
    longer = struct.pack("<ic", 3, b"I") + text("x" * (wire.LONGEST - 7))
    assert said(program, [longer]) == said(program, [long])


def heard(program: Path, words: str) -> list[tuple[str, int]]:
    """The commands that the device makes of what a host says."""
    lines = said(program, [struct.pack("<i", 4) + text(words)]).decode().splitlines()
    numbers = [tuple(map(int, line.split("*")[0].split())) for line in lines]
    return [((*WORDS, "unknown")[word], minutes) for word, minutes in numbers]


def test_commands(program: Path) -> None:
    everything = b"".join(wire.command_line(name, *([5] if name == "calibrate" else [])) for name in wire.COMMANDS)
    assert set(wire.COMMANDS) == set(WORDS)
    assert heard(program, everything.decode()) == [(name, 5 if name == "calibrate" else 0) for name in wire.COMMANDS]
    assert heard(program, "stream\r\n\r\n\ninfo  \n") == [("stream", 0), ("info", 0)]
    assert heard(program, "calibrate 1440\ncalibrate 1\n") == [("calibrate", 1440), ("calibrate", 1)]
    most = "info" + 20 * " "  # 24 bytes
    assert heard(program, f"{most}\n{most} \n") == [("info", 0), ("unknown", 0)]
    odd = [
        "Stream",
        "strea",
        "streams",
        " stream",
        "calibrate",
        "calibrate ",
        "calibrate 0",
        "calibrate 1441",
        "info 1",
    ]
    odd += ["calibrate -1", "calibrate 12345", "calibrate 00005", "calibrate 1x", "x" * 25, "stream" + "x" * 100, " "]
    assert heard(program, "".join(f"{word}\n" for word in odd)) == [("unknown", 0)] * len(odd)


def test_the_crc_is_the_published_one() -> None:
    assert wire.crc(b"123456789") == 0x29B1  # CRC-16/IBM-3740's check value
    assert wire.sample_line(1, 2, -3, 4, -32768) == b"1 2 -3 4 -32768*%04X\n" % wire.crc(b"1 2 -3 4 -32768")


def test_scores_are_rounded_alike(program: Path) -> None:
    """Ties that a float32 can hold go to the even digit, as Python has it."""
    ties = [float(np.float32(k / 16)) for k in range(1, 200)]
    verdicts = [wire.Verdict(0, 0, 0, score, 1.0, False, False, (), 0, 0, 0) for score in ties]
    assert said(program, list(map(of_verdict, verdicts))) == b"".join(map(wire.verdict_line, verdicts))
    assert b" 0.062 " in wire.verdict_line(verdicts[0])
