"""The serial protocol: what each line means, in literal bytes, and that nothing on the wire can upset the parser."""

from __future__ import annotations

import dataclasses
import math
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.device.wire import (
    COMMANDS,
    LONGEST,
    MOST_SAMPLE_BYTES,
    WRAP,
    Banner,
    Event,
    Parser,
    Reason,
    Rebooted,
    Sample,
    Status,
    StockFigures,
    StockSample,
    StockSampled,
    Verdict,
    banner_line,
    command_line,
    crc,
    result_line,
    sample_line,
    status_line,
    stock_line,
    verdict_line,
)
from gyrovae_tf.errors import GyrovaeError

SAMPLE = b"1041 5207113 -12 33 4096*C955\n"
BANNER = (
    b'{"gyrovae":1,"firmware":"0.1.0","sensor":"QMA7981","rate_hz":200.000,"lsb":0.004788403,"units":"m/s^2",'
    b'"counts":[-8192,8191],"mode":"stream","boot":2716054034,"next":0,"t_us":1034,"model":"none","spec":null,'
    b'"window":0,"hop":0,"vote":[0,0],"threshold":1.000,"site_windows":0}*4D6C\n'
)
VERDICT = b"V 41 10751 53755102 1.734 1.000 AE x+61%48.50-55.00,z-20%12.00-14.50 5102 2533 410*DD3F\n"
WORD = b"#I calibration on site: 17 of 60 windows*43FB\n"
BOOT = b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"


def begun() -> Parser:
    """A parser that has seen a line's end: what follows is a whole line."""
    parser = Parser()
    parser.feed(b"\n")
    return parser


def marked(text: str) -> bytes:
    """A line of the protocol, its CRC computed here."""
    value = 0xFFFF
    for byte in text.encode():
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return f"{text}*{value:04X}\n".encode()


# --- the lines, as docs/protocol.md shows them


def test_the_crc_of_the_catalogue() -> None:
    assert crc(b"123456789") == 0x29B1
    assert crc(b"") == 0xFFFF


def test_a_sample() -> None:
    assert begun().feed(SAMPLE) == [Sample(number=1041, t_us=5207113, x=-12, y=33, z=4096)]
    assert sample_line(1041, 5207113, -12, 33, 4096) == SAMPLE


def test_numbers_and_times_begin_again_at_2_to_the_32() -> None:
    assert sample_line(WRAP + 3, 2 * WRAP - 1, 0, 0, 0) == marked("3 4294967295 0 0 0")


def test_no_sample_is_longer_than_stated() -> None:
    longest = sample_line(WRAP - 1, WRAP - 1, -32768, -32768, -32768)
    assert len(longest) == MOST_SAMPLE_BYTES - 1  # with LF; CR LF makes it one more
    assert begun().feed(longest) == [Sample(WRAP - 1, WRAP - 1, -32768, -32768, -32768)]


def test_the_banner() -> None:
    banner = Banner(
        version=1,
        firmware="0.1.0",
        sensor="QMA7981",
        rate_hz=200.0,
        lsb=0.004788403,
        units="m/s^2",
        counts=(-8192, 8191),
        mode="stream",
        boot=2716054034,
        next=0,
        t_us=1034,
    )
    assert begun().feed(BANNER) == [banner]
    assert banner_line(banner) == BANNER


def test_a_verdict() -> None:
    verdict = Verdict(
        window=41,
        number=10751,
        t_us=53755102,
        score=1.734,
        threshold=1.0,
        alarm=True,
        event=True,
        reasons=(Reason("x", 48.5, 55.0, "louder", 0.61), Reason("z", 12.0, 14.5, "quieter", 0.2)),
        frontend_us=5102,
        inference_us=2533,
        score_us=410,
    )
    assert begun().feed(VERDICT) == [verdict]
    assert verdict_line(verdict) == VERDICT


@pytest.mark.parametrize(("flags", "alarm", "event"), [("-", 0, 0), ("A", 1, 0), ("E", 0, 1), ("AE", 1, 1)])
def test_the_flags_of_a_verdict(flags: str, alarm: bool, event: bool) -> None:
    (verdict,) = begun().feed(marked(f"V 0 255 1280000 0.500 1.000 {flags} - 1 2 3"))
    assert isinstance(verdict, Verdict)
    assert (verdict.alarm, verdict.event, verdict.reasons) == (bool(alarm), bool(event), ())


def test_a_score_that_is_no_number_is_written_as_the_largest() -> None:
    verdict = Verdict(0, 255, 0, math.nan, 1.0, True, False, (), 0, 0, 0)
    assert verdict_line(verdict) == marked("V 0 255 0 9999999.999 1.000 A - 0 0 0")
    assert verdict_line(dataclasses.replace(verdict, score=math.inf)) == verdict_line(verdict)


def test_words() -> None:
    assert begun().feed(WORD) == [Status("info", "calibration on site: 17 of 60 windows")]
    assert status_line("info", "calibration on site: 17 of 60 windows") == WORD
    assert begun().feed(marked("#W hot") + marked("#E unknown command")) == [
        Status("warning", "hot"),
        Status("error", "unknown command"),
    ]
    assert status_line("error", "Müll\n") == marked("#E M?ll?")


def test_commands() -> None:
    assert [command_line(name) for name in COMMANDS] == [
        b"stream\n",
        b"detect\n",
        b"info\n",
        b"calibrate\n",
        b"forget\n",
    ]
    assert command_line("calibrate", 10) == b"calibrate 10\n"
    with pytest.raises(GyrovaeError, match=r"unknown command for a device; expected stream, .*, received reset"):
        command_line("reset")


def test_a_banner_that_would_be_too_long_is_refused() -> None:
    with pytest.raises(GyrovaeError, match="too long a line for the protocol; expected at most 512 bytes"):
        banner_line(Banner(firmware="x" * 600))


def test_the_document_shows_these_very_lines() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "protocol.md").read_text(encoding="utf-8")
    shown = [line for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE) if re.search(r"\*[0-9A-F]{4}$", line)]
    assert [f"{line}\n".encode() for line in shown] == [SAMPLE, BANNER, VERDICT, WORD]


# --- the stock firmware


def test_the_stock_firmware_after_its_boot() -> None:
    parser = Parser()
    events = parser.feed(BOOT + b"I (311) main: start\r\n-0.12000 0.31000 9.79000 5\r\n0.14000 -0.30000 9.81000 10\n")
    assert events == [
        Rebooted("rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)"),
        StockSample(-0.12, 0.31, 9.79, 5),
        StockSample(0.14, -0.3, 9.81, 10),
    ]
    assert parser.protocol == "stock"
    assert stock_line(-0.12, 0.31, 9.79, 5) == b"-0.12000 0.31000 9.79000 5\n"


def test_a_first_stock_line_may_be_half_a_one_and_is_skipped() -> None:
    parser = Parser()
    assert parser.feed(b"2000 0.31000 9.79000 5\n0.14000 -0.30000 9.81000 5\n") == [StockSample(0.14, -0.3, 9.81, 5)]
    assert (parser.counts.lines, parser.counts.halves) == (2, 1)


@pytest.mark.parametrize(
    "line",
    [
        "0.1 0.2 0.3 5",
        "  0.12000 -0.31000 9.79000 5",
        "0.12000 -0.31000 9.79000",
        "0.12000 -0.31000 9.79000 5.5",
        "nan 0.00000 0.00000 5",
    ],
)
def test_what_is_no_stock_line(line: str) -> None:
    parser = begun()
    assert parser.feed(f"{line}\n".encode()) == []
    assert (parser.protocol, parser.counts.text) == (None, 1)


def test_once_ours_was_spoken_a_stock_line_is_text() -> None:
    parser = begun()
    assert len(parser.feed(SAMPLE + b"0.14000 -0.30000 9.81000 5\n")) == 1
    assert (parser.protocol, parser.counts.text) == ("gyrovae", 1)


def test_once_the_stock_firmware_spoke_a_line_of_ours_is_text() -> None:
    parser = begun()
    assert len(parser.feed(b"0.14000 -0.30000 9.81000 5\n" + SAMPLE + BANNER)) == 1
    assert (parser.protocol, parser.counts.text) == ("stock", 2)


CONSOLE = (
    BOOT
    + b"I (311) main_task: Calling app_main()\r\nInitializing GEDAD...\r\nsample 1:\r\n  0.01000 -0.20000 9.78000 5\r\n"
    + b"Sampled 256 samples\r\nPredict results: -3.67124 -17.98375\r\nPredict time: 104ms\r\nSampled: 256 (277)\r\n"
    + b"Data skipped: no\r\nCoverage: 0.00000\r\nPredict results: -4.00000 inf\r\n"
)


def test_the_console_of_the_stock_firmware() -> None:
    """Its boot, its first samples and what else it says are text."""
    parser = Parser()
    assert parser.feed(CONSOLE) == [
        Rebooted("rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)"),
        StockFigures(-3.67124, -17.98375),
        StockSampled(256, 277),
        StockFigures(-4.0, math.inf),
    ]
    assert parser.protocol == "stock"
    assert parser.counts.damaged == 0
    assert result_line(StockFigures(-3.67124, -17.98375)) == b"Predict results: -3.67124 -17.98375\r\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Predict results: -11.0853 7", (-11.0853, 7.0)),  # six digits
        ("Predict results: 1e-05 -1.5E+02", (1e-5, -150.0)),
        ("Predict results: inf -inf", (math.inf, -math.inf)),
        ("I (3211) main: Predict results: 1 2", (1.0, 2.0)),
        ("\tPredict results: 1. .5 ", (1.0, 0.5)),
    ],
)
def test_a_result(line: str, expected: tuple[float, float]) -> None:
    assert begun().feed(f"{line}\n".encode()) == [StockFigures(*expected)]


def test_a_result_that_is_no_number() -> None:
    (figures,) = begun().feed(b"Predict results: nan -nan\n")
    assert isinstance(figures, StockFigures)
    assert all(map(math.isnan, figures))


@pytest.mark.parametrize(
    "line",
    [
        "Predict results: ",
        "Predict results: 1",
        "Predict results: 1 2 3",
        "Predict results: 1,5 2",
        "Predict results: -11.sample 12:",  # the sampling timer printed in between
        "Predict results: -3.67124 -17.98375Predict time: 104ms",  # the line's end was lost
        "Predict results: -3.67124 -1798375",  # the point was lost
        "Predict results: 0x10 2",
        "Predict results: 1_0 2",
        "Predict results: 1  2",
    ],
)
def test_a_result_that_was_cut_up_is_damaged(line: str) -> None:
    parser = begun()
    assert parser.feed(f"{line}\n".encode()) == []
    assert (parser.counts.undecodable, parser.counts.skipped, parser.protocol) == (1, 1, None)


@pytest.mark.parametrize("line", ["Predict results:", "redict results: 1 2", "Predict time: 104ms", "-3.67 -17.98"])
def test_what_is_no_result(line: str) -> None:
    parser = begun()
    assert parser.feed(f"{line}\n".encode()) == []
    assert (parser.counts.text, parser.counts.skipped) == (1, 1)


def test_samples_are_counted_only_by_the_stock_firmware() -> None:
    parser = begun()
    assert parser.feed(b"Sampled: 32 (1304)\n") == []
    parser.feed(result_line(StockFigures(1.0, 2.0)))
    assert parser.feed(b"Sampled: 32 (1304)\r\nSampled: 32 (4294967298)\nSampled: 1304 samples\nSampled: (1)\n") == [
        StockSampled(32, 1304),
        StockSampled(32, 2),
    ]


def test_once_ours_was_spoken_a_result_is_text() -> None:
    parser = begun()
    assert len(parser.feed(SAMPLE + b"Predict results: 1 2\n")) == 1
    assert (parser.protocol, parser.counts.text) == ("gyrovae", 1)


# --- what is skipped, and how it is counted


def test_a_line_ends_with_lf_or_cr_lf_and_empty_ones_are_nothing() -> None:
    parser = begun()
    assert len(parser.feed(SAMPLE.replace(b"\n", b"\r\n") + b"\n\r\n" + SAMPLE)) == 2
    assert parser.counts.lines == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"1041 5207113 -12 33 4097*C955\n", "checksum"),
        (b"1041 5207113 -12 33 4096*c955\n", "text"),  # capitals
        (b"1041 5207113 -12 33 4096\n", "text"),
        (b"104\xff 5207113 -12 33 4096*C955\n", "undecodable"),
        (b"1041 5207113 -12\0 33 4096*C955\n", "undecodable"),
        (marked("1041 5207113 -12 33 40960"), "undecodable"),  # no int16
        (marked("4294967296 5207113 -12 33 4096"), "undecodable"),
        (marked("1041  5207113 -12 33 4096"), "undecodable"),
        (marked("1041 5207113 -12 33"), "undecodable"),
        (marked("V 1 2 3"), "undecodable"),
        (marked("V 0 255 0 0.5 1.000 - - 1 2 3"), "undecodable"),
        (marked("V 0 255 0 0.500 1.000 EA - 1 2 3"), "undecodable"),
        (marked("V 0 255 0 0.500 1.000 - w+1%1.00-2.00 1 2 3"), "undecodable"),
        (marked("#X what"), "undecodable"),
        (marked("#I"), "undecodable"),
        (marked("hello"), "undecodable"),
        (marked("{}"), "undecodable"),
        (marked("{"), "undecodable"),
        (b"hello\n", "text"),
        (b"x" * LONGEST + b"\n", "text"),
        (b"x" * LONGEST + b"\r\n", "text"),
        (b"x" * (LONGEST + 1) + b"\n", "oversized"),
        (b"x" * 100_000 + b"\n", "oversized"),
    ],
)
def test_why_a_line_is_skipped(line: bytes, why: str) -> None:
    parser = begun()
    assert parser.feed(line) == []
    counts = dataclasses.asdict(parser.counts)
    assert counts.pop("lines") == 1
    assert {name: count for name, count in counts.items() if count} == {why: 1}
    assert parser.counts.skipped == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"gyrovae":1', '"gyrovae":"1"'),
        ('"gyrovae":1', '"gyrovae":true'),
        ('"sensor":"QMA7981"', '"sensor":7981'),
        ('"sensor":"QMA7981"', '"sensor":"' + "x" * 33 + '"'),
        ('"sensor":"QMA7981"', '"sensor":"\\u001b[2J"'),
        ('"units":"m/s^2"', '"units":""'),
        ('"rate_hz":200.000', '"rate_hz":0.000'),
        ('"rate_hz":200.000', '"rate_hz":NaN'),
        ('"rate_hz":200.000', '"rate_hz":1e400'),
        ('"lsb":0.004788403', '"lsb":-1'),
        ('"counts":[-8192,8191]', '"counts":[8191,-8192]'),
        ('"counts":[-8192,8191]', '"counts":[-8192]'),
        ('"counts":[-8192,8191]', '"counts":[-8192,81910]'),
        ('"mode":"stream"', '"mode":"sleep"'),
        ('"mode":"stream"', '"mode":["stream"]'),
        ('"boot":2716054034', '"boot":4294967296'),
        ('"next":0', '"next":0.5'),
        ('"model":"none"', '"model":"compiled"'),  # a model has a spec
        ('"spec":null', '"spec":"abc"'),
        (',"site_windows":0', ""),
        (',"vote":[0,0]', ""),
        ('"vote":[0,0]', '"vote":[3,5]'),  # without a detector
        ('"vote":[0,0]', '"vote":[0,5]'),
        ('"vote":[0,0]', '"vote":[0]'),
    ],
)
def test_a_banner_that_makes_no_sense_is_skipped(old: str, new: str) -> None:
    text = BANNER[:-6].decode()
    assert old in text
    parser = begun()
    assert parser.feed(marked(text.replace(old, new))) == []
    assert parser.counts.undecodable == 1


def test_of_another_version_of_the_protocol_only_its_number_is_known() -> None:
    assert begun().feed(marked('{"gyrovae":2,"what":"ever"}')) == [Banner(version=2)]


def test_what_a_later_version_adds_to_the_banner_is_ignored() -> None:
    (banner,) = begun().feed(marked(BANNER[:-6].decode().replace('"next":0', '"next":0,"battery":3.7')))
    assert (banner,) == tuple(begun().feed(BANNER))


def test_the_first_line_after_opening_may_have_lost_its_beginning() -> None:
    parser = Parser()
    assert parser.feed(SAMPLE[5:] + SAMPLE) == [Sample(1041, 5207113, -12, 33, 4096)]
    assert (parser.counts.lines, parser.counts.halves, parser.counts.checksum) == (2, 1, 0)


def test_opening_anew_drops_the_half_line_that_was_being_read() -> None:
    parser = begun()
    parser.feed(SAMPLE[:10])
    parser.restart()
    assert parser.feed(SAMPLE[10:] + SAMPLE) == [Sample(1041, 5207113, -12, 33, 4096)]
    assert (parser.counts.lines, parser.counts.halves) == (3, 2)


def test_a_stream_without_newlines_takes_no_memory() -> None:
    parser, chunk = begun(), b"7" * 4096
    parser.feed(chunk)
    tracemalloc.start()
    for _ in range(5000):  # 20 MB
        assert parser.feed(chunk) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert parser.feed(b"\n" + SAMPLE) == [Sample(1041, 5207113, -12, 33, 4096)]
    assert (parser.counts.lines, parser.counts.oversized) == (2, 1)


# --- whatever comes


NUMBERS = st.integers(0, WRAP - 1)
COUNTS = st.integers(-32768, 32767)
HUNDREDTHS = st.integers(0, 99_999_999).map(lambda n: n / 100)
THOUSANDTHS = st.integers(1, 9_999_999_999).map(lambda n: n / 1000)
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=32)
REASONS = st.builds(
    Reason,
    st.sampled_from("xyz"),
    HUNDREDTHS,
    HUNDREDTHS,
    st.sampled_from(["louder", "quieter"]),
    st.integers(0, 100).map(lambda n: n / 100),
)
VERDICTS = st.builds(
    Verdict,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    THOUSANDTHS,
    THOUSANDTHS,
    st.booleans(),
    st.booleans(),
    st.lists(REASONS, max_size=3).map(tuple),
    NUMBERS,
    NUMBERS,
    NUMBERS,
)


@st.composite
def banners(draw: st.DrawFn) -> Banner:
    model = draw(st.sampled_from(["none", "compiled", "partition"]))
    low = draw(st.integers(-32768, 32766))
    return Banner(
        firmware=draw(WORDS),
        sensor=draw(WORDS),
        rate_hz=draw(THOUSANDTHS),
        lsb=draw(st.integers(1, 10**12).map(lambda n: n / 1e9)),
        units=draw(WORDS.filter(bool)),
        counts=(low, draw(st.integers(low + 1, 32767))),
        mode=draw(st.sampled_from(["stream", "detect"])),
        boot=draw(NUMBERS),
        next=draw(NUMBERS),
        t_us=draw(NUMBERS),
        model=model,
        spec=None if model == "none" else draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        window=draw(NUMBERS),
        hop=draw(NUMBERS),
        vote=(0, 0) if model == "none" else (draw(st.integers(1, 8)), draw(st.integers(8, 64))),
        threshold=draw(THOUSANDTHS),
        site_windows=draw(NUMBERS),
    )


@given(NUMBERS, NUMBERS, COUNTS, COUNTS, COUNTS)
def test_every_sample_comes_back(number: int, t_us: int, x: int, y: int, z: int) -> None:
    assert begun().feed(sample_line(number, t_us, x, y, z)) == [(number, t_us, x, y, z)]


@given(VERDICTS)
def test_every_verdict_comes_back(verdict: Verdict) -> None:
    assert begun().feed(verdict_line(verdict)) == [verdict]


@given(banners())
def test_every_banner_comes_back(banner: Banner) -> None:
    assert begun().feed(banner_line(banner)) == [banner]


@given(st.tuples(*[st.integers(-(10**8), 10**8).map(lambda n: n / 1e5)] * 3), st.integers(0, 10**9 - 1))
def test_every_stock_sample_comes_back(axes: tuple[float, float, float], dt_ms: int) -> None:
    assert begun().feed(stock_line(*axes, dt_ms)) == [(*axes, dt_ms)]


DB = st.floats(-400, 400)


@given(DB, DB, st.sampled_from([".5f", ".6g", "g"]))
def test_every_result_comes_back(first: float, second: float, form: str) -> None:
    """As C++ prints it: with five decimals, or with six digits and perhaps an exponent."""
    told = begun().feed(f"Predict results: {first:{form}} {second:{form}}\r\n".encode())
    assert told == [(float(f"{first:{form}}"), float(f"{second:{form}}"))]


LINES = st.one_of(
    st.builds(sample_line, NUMBERS, NUMBERS, COUNTS, COUNTS, COUNTS),
    VERDICTS.map(verdict_line),
    banners().map(banner_line),
    st.builds(status_line, st.sampled_from(["info", "warning", "error"]), st.text(max_size=20)),
    st.builds(stock_line, *[st.floats(-99, 99)] * 3, st.integers(0, 99)),
    st.builds(StockFigures, st.floats(), st.floats()).map(result_line),
    st.integers(0, 2 * WRAP).map(lambda total: b"Sampled: 32 (%d)\r\n" % total),
    st.text(max_size=30).map(lambda text: marked(text.replace("\n", " ").encode("ascii", "ignore").decode())),
    st.sampled_from([BOOT, CONSOLE, b"\n", b"\r\n", b"\r\r\n", b"x" * 511, b"y" * 1000 + b"\n"]),
    st.binary(max_size=40),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Lines of every kind; some bytes changed, some missing."""
    stream = bytearray(b"".join(draw(st.lists(LINES, max_size=12))))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(-1, 255)), max_size=6)):
        if place < len(stream):
            stream[place : place + 1] = b"" if byte < 0 else bytes([byte])
    return bytes(stream)


def check_counts(parser: Parser, events: list[Event], stream: bytes) -> None:
    """Each line that is not empty is counted once: as an event's or as skipped (a boot's line is text that tells)."""
    lines = [line for line in stream.split(b"\n")[:-1] if line.rstrip(b"\r") or len(line) > LONGEST + 1]
    assert parser.counts.lines == len(lines)
    assert parser.counts.skipped == len(lines) - sum(not isinstance(event, Rebooted) for event in events)


@settings(max_examples=300)
@given(damaged() | st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=12))
def test_any_bytes_in_any_chunks(stream: bytes, cuts: list[int]) -> None:
    whole, parts = Parser(), Parser()
    events = whole.feed(stream)
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[low:high] for low, high in zip(borders, [*borders[1:], None], strict=True)]
    found: list[Event] = []
    for piece in pieces:
        found += parts.feed(piece)
        assert len(parts._rest) <= LONGEST + 1
    assert found == events
    assert parts == whole
    check_counts(whole, events, stream)


@settings(max_examples=50)
@given(damaged())
def test_byte_by_byte(stream: bytes) -> None:
    whole, parts = Parser(), Parser()
    events = whole.feed(stream)
    assert [event for byte in stream for event in parts.feed(bytes([byte]))] == events
    assert parts == whole


@given(damaged(), damaged())
def test_opening_anew_counts_the_rest_once(first: bytes, second: bytes) -> None:
    parser = Parser()
    events = parser.feed(first)
    before = parser.counts.lines
    rest = first.rsplit(b"\n", 1)[-1]
    parser.restart()
    assert parser.counts.lines == before + bool(rest)
    events += parser.feed(second)
    assert parser.counts.lines == parser.counts.skipped + sum(not isinstance(event, Rebooted) for event in events)


@given(st.integers(0, len(SAMPLE) - 2), st.integers(1, 255))
def test_no_changed_byte_gets_through(place: int, flip: int) -> None:
    changed = bytearray(SAMPLE)
    changed[place] ^= flip
    parser = begun()
    assert [event for event in parser.feed(bytes(changed)) if isinstance(event, Sample)] == []
