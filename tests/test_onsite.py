"""calibrate on site, with a device that says what a test wants it to (with the firmware: test_emulated_programs)."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import portable_firmware as firmware
import pytest
from click.testing import CliRunner
from gyrovae_tf.cli.main import cli

from gyrovae_tf.device import onsite
from gyrovae_tf.device.collect import collect
from gyrovae_tf.device.wire import WRAP, Banner, Verdict, banner_line, status_line, verdict_line
from gyrovae_tf.errors import GyrovaeError

WANTED = 46
BEGUN = f"calibration on site: keep the machine running as it normally does; windows {WANTED}"
GLITCH = status_line("error", "I2C: the sensor does not answer 1")
NO_SENSOR = "no sensor answers on I2C: look at its power, at SDA and SCL, and at the pins in menuconfig 1"


def banner(**changes: Any) -> bytes:
    known = {"rate_hz": 200.0, "lsb": 0.001, "boot": 7, "next": 9_000_000, "t_us": 1, "mode": "detect"}
    detector = {"model": "partition", "spec": "ab" * 32, "window": 256, "hop": 256, "vote": (3, 5)}
    return banner_line(Banner(**{"firmware": "0", "sensor": "test", **known, **detector, **changes}))


def verdicts(count: int, first: int = 35_000) -> bytes:
    return b"".join(
        verdict_line(Verdict(w, 256 * w, 1_280_000 * w % WRAP, 0.6, 1.0, False, False, (), 1, 1, 1))
        for w in range(first, first + count)
    )


DETECTS = banner()


def kept() -> bytes:
    """What the device said to nobody since its boot, with a calibration that was asked for without reading it."""
    return b"".join(
        [
            b"ESP-ROM:esp32s3-20210327\r\n",
            banner(next=0),
            verdicts(40, 0),
            banner(next=12_000),
            status_line("info", BEGUN),
            verdicts(WANTED, 47),
            GLITCH,
            banner(next=24_000, threshold=9.9, site_windows=WANTED),
            verdicts(20, 94),
            status_line("warning", "lines dropped, the port is too slow or nobody reads: 1"),
        ]
    )


@dataclass
class Scripted:
    """A device at a TCP port: what it has kept comes first, then the answers to what it hears."""

    kept: bytes = b""
    calibrates: bytes = b""
    forgets: bytes = b""
    mode: str = "detect"
    rate_hz: float = 200.0
    hop: int = 256
    heard: list[bytes] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def talk(self, client: socket.socket) -> None:
        for line in client.makefile("rb"):
            client.sendall(self.kept)  # once asked: opening a port throws away what has come until then
            self.kept = b""
            words = line.split()
            self.heard += [line.strip()] if words else []
            if words in ([b"stream"], [b"detect"]):
                self.mode = words[0].decode()
            if words in ([b"stream"], [b"detect"], [b"info"]):
                client.sendall(banner(mode=self.mode, rate_hz=self.rate_hz, hop=self.hop))
            elif words == [b"forget"]:
                client.sendall(self.forgets)
            elif words[:1] == [b"calibrate"]:
                client.sendall(self.calibrates)

    @contextmanager
    def plugged_in(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                client, _ = server.accept()
                with client, contextlib.suppress(OSError):
                    self.talk(client)
                self.hung_up.set()

            threading.Thread(target=serve, daemon=True).start()
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"

    def calibrate(self, **settings: Any) -> Banner:
        """What `calibrate` makes of it; at the end all that was said to the device has been heard."""
        with self.plugged_in() as port:
            try:
                return onsite.calibrate(port, minutes=1, **settings)
            finally:
                assert self.hung_up.wait(10)

    def forget(self) -> Banner:
        with self.plugged_in() as port:
            try:
                return onsite.forget(port)
            finally:
                assert self.hung_up.wait(10)


def calibrating(*more: bytes, answer: bytes = DETECTS) -> bytes:
    """What a device says from the command on, with more between its windows and their end."""
    end = banner(threshold=1.31, site_windows=WANTED)
    half = verdicts(WANTED // 2)
    return answer + status_line("info", BEGUN) + half + b"".join(more) + half + end


def test_the_threshold_that_it_found() -> None:
    device = Scripted(calibrates=calibrating(status_line("info", f"calibration on site: 16 of {WANTED} windows")))
    seen: list[tuple[int, int]] = []
    told: list[str] = []
    found = device.calibrate(progress=lambda *at: seen.append(at), told=told.append)
    assert (found.threshold, found.site_windows) == (1.31, WANTED)
    assert seen == [(done, WANTED) for done in range(1, WANTED + 1)]
    assert device.heard == [b"stream", b"calibrate 1"]
    assert told == []


def test_of_windows_that_share_samples_as_many_count_as_on_the_device() -> None:
    """Every fourth; a bar that were full after a quarter of the time would stand still for the rest."""
    end = banner(hop=64, threshold=1.31, site_windows=WANTED)
    said = banner(hop=64) + status_line("info", BEGUN) + verdicts(4 * WANTED, 35_001) + end
    seen: list[tuple[int, int]] = []
    Scripted(calibrates=said, hop=64).calibrate(progress=lambda *at: seen.append(at))
    assert seen == [(done // 4, WANTED) for done in range(1, 4 * WANTED + 1)]


def test_nothing_that_it_said_before_is_taken_for_an_answer() -> None:
    device = Scripted(kept=kept(), calibrates=calibrating())
    seen: list[tuple[int, int]] = []
    told: list[str] = []
    found = device.calibrate(progress=lambda *at: seen.append(at), told=told.append)
    assert found.threshold == 1.31
    assert (len(seen), told) == (WANTED, [])


def test_a_beginning_that_was_lost_is_known_by_what_follows() -> None:
    following = status_line("info", f"calibration on site: 16 of {WANTED} windows")
    end = banner(threshold=1.31, site_windows=WANTED)
    assert Scripted(calibrates=DETECTS + verdicts(16) + following + verdicts(30) + end).calibrate().threshold == 1.31


def test_what_it_complains_of_meanwhile_is_told_and_ends_nothing() -> None:
    slow = status_line("warning", "samples dropped, the model does not keep up: 3")
    told: list[str] = []
    assert Scripted(calibrates=calibrating(GLITCH, slow)).calibrate(told=told.append).threshold == 1.31
    assert told == [
        "the device says: I2C: the sensor does not answer 1",
        "the device says: samples dropped, the model does not keep up: 3",
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            status_line("error", "there is no detector: flash one") + banner(mode="stream", model="none", spec=None),
            "the device cannot calibrate: there is no detector: flash one",
        ),
        (
            DETECTS + status_line("error", "too few windows: at least 30 are needed, calibrate for minutes: 2"),
            "the device cannot calibrate: too few windows: at least 30 are needed, calibrate for minutes: 2",
        ),
        (
            DETECTS
            + status_line("info", BEGUN)
            + verdicts(WANTED)
            + status_line("error", "normal motion here scores too high or too unsteadily: collect it and train again")
            + banner(threshold=1.2, site_windows=WANTED),
            "the device cannot calibrate: normal motion here scores too high or too unsteadily: collect it and train "
            "again\nIts threshold is 1.2.",
        ),
        (
            DETECTS + status_line("info", BEGUN) + verdicts(3) + banner(),
            f"the device has ended the calibration without a new threshold; expected one from {WANTED} windows, "
            "received one from 0\nTry again.",
        ),
        (
            DETECTS + status_line("info", BEGUN) + verdicts(3) + banner(boot=8, next=0),
            "the device started anew while it calibrated\nTry again.",
        ),
    ],
)
def test_what_comes_of_no_calibration(answer: bytes, says: str) -> None:
    device, told = Scripted(calibrates=answer), []
    with pytest.raises(GyrovaeError) as caught:
        device.calibrate(told=told.append)
    assert (str(caught.value), told) == (says, [])
    assert device.heard[-1] == b"detect", "it does not go on by itself"


class LeftError(Exception):
    """What a program's own progress might raise."""


def test_a_calibration_that_is_left_early_is_given_up_on_the_device_too() -> None:
    def progress(done: int, _all: int) -> None:
        if done > 3:
            raise LeftError

    device = Scripted(calibrates=calibrating())
    with pytest.raises(LeftError):
        device.calibrate(progress=progress)
    assert device.heard == [b"stream", b"calibrate 1", b"detect"]
    device = Scripted(calibrates=DETECTS + status_line("info", BEGUN))
    with pytest.raises(GyrovaeError, match="stopped; the device keeps the threshold that it had"):
        device.calibrate(stop=lambda: b"calibrate 1" in device.heard)
    assert device.heard[-1] == b"detect"


def test_a_port_that_says_nothing_is_left_as_soon_as_somebody_stops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        with pytest.raises(GyrovaeError, match="stopped; the device keeps the threshold"):
            onsite.calibrate(
                f"socket://127.0.0.1:{server.getsockname()[1]}", stop=lambda: time.monotonic() - begun > 0.5
            )
    assert time.monotonic() - begun < 5


def test_a_device_with_long_windows_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of its windows take a minute."""
    monkeypatch.setattr(onsite, "_ANSWER_S", 0.5)
    long = {"rate_hz": 12.5}

    class Slow(Scripted):
        def talk(self, client: socket.socket) -> None:
            client.recv(100)
            client.sendall(banner(mode="stream", **long))
            client.recv(100)
            client.sendall(banner(**long) + status_line("info", BEGUN))
            time.sleep(1.0)  # twice the least patience
            client.sendall(verdicts(WANTED) + banner(threshold=1.31, site_windows=WANTED, **long))

    assert Slow().calibrate().threshold == 1.31


def test_one_that_falls_silent_is_given_up_with_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onsite, "_ANSWER_S", 0.5)
    begun = banner() + status_line("info", BEGUN)
    for word, says in (
        (GLITCH, "the device says: I2C: the sensor does not answer 1; expected a verdict or banner within 0.768 s"),
        (b"", "the device does not answer any more; expected a verdict or banner within 0.768 s"),
    ):
        with pytest.raises(GyrovaeError, match=says):
            Scripted(calibrates=begun + word, rate_hz=1000.0).calibrate()


def test_another_version_of_the_protocol() -> None:
    with pytest.raises(GyrovaeError, match="another version of the protocol; expected 1, received 2"):
        Scripted(kept=banner(version=2)).calibrate()


# --- no sensor, no banner


@pytest.mark.parametrize("ask", ["calibrate", "forget", "collect"])
def test_a_device_without_a_sensor_says_so_itself(ask: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onsite, "_ANSWER_S", 1.5)
    monkeypatch.setattr("gyrovae_tf.device.collect._ANSWER_S", 1.5)

    class Bare(Scripted):
        def talk(self, client: socket.socket) -> None:
            while client.recv(100):
                client.sendall(status_line("error", NO_SENSOR))
                client.sendall(status_line("warning", "the sensor is not open yet, and no command is followed before"))

    asked: dict[str, Callable[[str], object]] = {
        "calibrate": onsite.calibrate,
        "forget": onsite.forget,
        "collect": lambda port: collect(port, tmp_path / "r.csv"),
    }
    with Bare().plugged_in() as port, pytest.raises(GyrovaeError) as caught:
        asked[ask](port)
    assert f"the device says: {NO_SENSOR}; expected a banner within 1.5 s, received none\nSee to" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- forget


@pytest.mark.parametrize("mode", ["detect", "stream"])
def test_forgotten(mode: str) -> None:
    """Whatever it said before; and it goes on with what it did."""
    old = banner(mode=mode, next=0) + GLITCH
    device = Scripted(kept=old, forgets=banner(mode="stream", threshold=1.0, next=9_000_007), mode=mode)
    assert device.forget().next == 9_000_007
    assert device.heard == [b"info", b"stream", b"forget", mode.encode()]


def test_what_cannot_be_forgotten() -> None:
    problem = status_line("error", "the threshold of this site is still kept")
    device = Scripted(forgets=problem + banner(mode="stream"))
    with pytest.raises(GyrovaeError, match="the device cannot forget: the threshold of this site is still kept"):
        device.forget()
    assert device.heard[-1] == b"detect"


# --- the command


def test_the_command_tells_complaints_once_and_the_threshold() -> None:
    with Scripted(kept=kept(), calibrates=calibrating(GLITCH, GLITCH)).plugged_in() as port:
        done = CliRunner().invoke(cli, ["calibrate", "--port", port, "--minutes", "1"])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{port}: threshold 1.31, from {WANTED} windows; kept by the device\n"
    assert done.stderr == "the device says: I2C: the sensor does not answer 1\n"
    with Scripted(forgets=banner(mode="stream")).plugged_in() as port:
        done = CliRunner().invoke(cli, ["calibrate", "--port", port, "--forget", "--json"])
    assert json.loads(done.stdout) == {"port": port, "threshold": 1.0, "windows": 0, "spec": "ab" * 32}


# --- the arithmetic on the device

SITE = """\
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include "gyrovae/site.h"
using namespace gyrovae;
// Either `usable`, mean, spread, threshold and windows; or `fit`, how often, a score, another one, and the reach.
int main(int, char **words) {
  const auto number = [words](int i) { return static_cast<float>(std::atof(words[i])); };
  if (words[1][0] == 'u') {
    const site::Site site = {number(2), number(3), number(4), static_cast<uint32_t>(std::atoi(words[5]))};
    return std::puts(site::usable(site) ? "yes" : "no") < 0;
  }
  site::Fit fit;
  fit.start();
  for (int i = 0; i < std::atoi(words[2]); i++) fit.add(number(3 + i % 2));
  site::Site site;
  if (const char *problem = fit.finish(number(5), site)) return std::puts(problem) < 0;
  std::printf("%.3f %.3f %.3f %u", double(site.mean), double(site.spread), double(site.threshold), site.windows);
}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The firmware's arithmetic of a threshold on site."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "main.cpp").write_text(SITE)
    sources = [folder / "main.cpp", *(firmware.COMPONENT / f"{name}.cpp" for name in ("site", "real"))]
    program = firmware.sanitized(folder / "site", *sources)
    return lambda *words: firmware.checked([program, *map(str, words)], folder).strip()


@pytest.mark.parametrize(
    ("windows", "one", "other", "reach", "found"),
    [
        # All alike: a twentieth of an octave is the least spread, 2^(2 * 0.05) = 1.072.
        (30, 1, 1, 2, "0.000 0.000 1.072 30"),
        (30, 2, 2, 2, "1.000 0.000 2.144 30"),
        # An octave to either side: the spread is sqrt(30 / 29) = 1.017, and 2^1.017 = 2.024.
        (30, 0.5, 2, 1, "0.000 1.017 2.024 30"),
        (300, 0.5, 2, 3, "0.000 1.002 8.028 300"),
        # The threshold is a quarter at the least, and 16 at the most: 2^(2.95 + 21 * 0.05) is 16 still.
        (30, 0.125, 0.125, 2, "-3.000 0.000 0.250 30"),
        (30, 0.3, 0.3, 2, "-1.737 0.000 0.322 30"),
        (30, 8, 8, 19.8, "3.000 0.000 15.889 30"),
        (30, 8, 8, 20.2, "normal motion here scores too high or too unsteadily: collect it and train again"),
        (30, 16, 16, 2, "normal motion here scores too high or too unsteadily: collect it and train again"),
        # Nothing is quieter than a millionth, 2^-19.932: not even nothing, whose logarithm there is none of.
        (30, 0, 1e-9, 2, "-19.932 0.000 0.250 30"),
        (30, 2e-6, 2e-6, 2, "-18.932 0.000 0.250 30"),
        (29, 1, 1, 2, "too few windows: at least 30 are needed, calibrate for more minutes"),
    ],
)
def test_a_threshold_by_hand(
    site: Callable[..., str], windows: int, one: float, other: float, reach: float, found: str
) -> None:
    """The mean of log2 of the scores and `reach` times their standard deviation, as a power of two."""
    assert site("fit", windows, one, other, reach) == found


@pytest.mark.parametrize(
    ("mean", "spread", "threshold", "windows", "usable"),
    [
        (0.0, 0.5, 1.5, 46, "yes"),
        (-20.0, 0.0, 0.25, 30, "yes"),
        (4.0, 99.9, 16.0, 100_000, "yes"),
        ("nan", 0.5, 1.5, 46, "no"),
        ("inf", 0.5, 1.5, 46, "no"),
        (0.0, -0.1, 1.5, 46, "no"),
        (0.0, 100.0, 1.5, 46, "no"),
        (0.0, "nan", 1.5, 46, "no"),
        (0.0, 0.5, 0.249, 46, "no"),
        (0.0, 0.5, 16.01, 46, "no"),
        (0.0, 0.5, "nan", 46, "no"),
        (0.0, 0.5, 1.5, 29, "no"),
        (0.0, 0.0, 1.0, 0, "no"),
    ],
)
def test_what_was_kept_is_used_where_it_can_have_been_found(
    site: Callable[..., str], mean: object, spread: object, threshold: object, windows: int, usable: str
) -> None:
    assert site("usable", mean, spread, threshold, windows) == usable


# --- no device


@pytest.mark.parametrize("ask", [onsite.calibrate, onsite.forget])
def test_a_port_that_goes_away_before_a_device_answers_is_told(ask: Any) -> None:
    """And not as a device that is none of ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        threading.Timer(0.3, lambda: server.accept()[0].close()).start()
        with pytest.raises(GyrovaeError, match=rf"{port} is gone\nPlug it in"):
            ask(port)


@pytest.mark.parametrize("minutes", [0, 1441, "5", 2.5])
def test_minutes_that_cannot_be_asked_for(minutes: Any) -> None:
    with pytest.raises(GyrovaeError, match="so many minutes cannot be asked for; expected 1 to 1440, received"):
        onsite.calibrate("/dev/none", minutes=minutes)


@pytest.mark.parametrize("ask", [onsite.calibrate, onsite.forget])
def test_a_baud_rate_that_is_none(ask: Any) -> None:
    with pytest.raises(GyrovaeError, match="the baud rate is not usable; expected a whole number, received '115200'"):
        ask("/dev/none", baud="115200")
