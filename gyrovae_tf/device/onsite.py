"""A device on a machine that runs as it normally does in, its threshold for that place, which it keeps, out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from gyrovae_tf.arguments import whole
from gyrovae_tf.device.port import BAUD, GoneError, Port
from gyrovae_tf.device.wire import Banner, Event, Parser, Status, Verdict, command_line
from gyrovae_tf.errors import GyrovaeError

MINUTES = 5
_MOST_MINUTES = 1440
_ANSWER_S = 10.0
_ASK_S = 1.0


def calibrate(
    port: str,
    *,
    minutes: int = MINUTES,
    baud: int = BAUD,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Banner:
    """A port and minutes of normal motion in, the device's banner with its new threshold out.

    `progress` gets windows that were scored and all that are wanted. When `stop` says so the calibration is given up,
    and the device keeps the threshold that it had. `GyrovaeError` when no device of ours answers, when it has no
    detector, and when it cannot find a threshold: its own words.
    """
    expected = f"1 to {_MOST_MINUTES}"
    minutes = whole(minutes, "so many minutes cannot be asked for", 1, _MOST_MINUTES, expected=expected)
    with _Talk(port, baud) as talk:
        known = talk.banner()
        talk.say("calibrate", minutes)
        done = wanted = 0
        for event in talk.events(stop):
            if isinstance(event, Banner) and event.boot != known.boot:
                raise GyrovaeError("the device started anew while it calibrated", remedy="Try again.")
            if isinstance(event, Status) and event.level == "error":
                raise GyrovaeError(f"the device cannot calibrate: {event.text}")
            if isinstance(event, Status) and not wanted and event.text.rpartition(" ")[2].isdigit():
                wanted = int(event.text.rpartition(" ")[2])
            elif isinstance(event, Verdict) and wanted:
                done += 1
                if progress:
                    progress(min(done, wanted), wanted)
            elif isinstance(event, Banner) and wanted:
                return event
        talk.say("detect")  # ends it
        raise GyrovaeError("stopped; the device keeps the threshold that it had")


def forget(port: str, *, baud: int = BAUD) -> Banner:
    """A port in, the banner of the device, which goes back to its detector's own threshold, out."""
    with _Talk(port, baud) as talk:
        talk.banner()
        talk.say("forget")
        for event in talk.events():
            if isinstance(event, Status) and event.level == "error":
                raise GyrovaeError(f"the device cannot forget: {event.text}")
            if isinstance(event, Banner) and event.site_windows == 0:
                return event
        raise _unclear()


class _Talk(contextlib.AbstractContextManager["_Talk"]):
    """Words to a device, and what it says."""

    def __init__(self, port: str, baud: int) -> None:
        self._port = Port(port, baud)
        self._parser = Parser()

    def __exit__(self, *_error: object) -> None:
        self._port.close()

    def say(self, *words: str | int) -> None:
        name, *numbers = words
        self._port.write(command_line(str(name), *(int(number) for number in numbers)))

    def events(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """What it says, until `stop`; `GyrovaeError` when it is gone, or says nothing of use for 10 s."""
        heard = time.monotonic()
        while not stop():
            found = self._heard()
            if found:
                heard = time.monotonic()
            elif time.monotonic() - heard > _ANSWER_S:
                raise _unclear()
            yield from found

    def banner(self) -> Banner:
        """Who it is; asked until it says so."""
        asked, begun = 0.0, time.monotonic()
        while time.monotonic() - begun < _ANSWER_S:
            if time.monotonic() - asked > _ASK_S:
                self.say("info")
                asked = time.monotonic()
            for event in self._heard():
                if isinstance(event, Banner):
                    return event
        raise _unclear()

    def _heard(self) -> list[Event]:
        try:
            return list(self._parser.feed(self._port.read()))
        except GoneError as error:
            raise GyrovaeError(f"{error} is gone", remedy="Plug it in, and try again.") from None


def _unclear() -> GyrovaeError:
    return GyrovaeError(
        "no device of ours answers on the port",
        expected=f"a banner within {_ANSWER_S:g} s",
        received="none",
        remedy="Is our firmware on it, and is this its port and baud rate? gyrovae-tf collect --list-ports names "
        "ports.",
    )
