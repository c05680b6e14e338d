"""A device on a machine that runs as it normally does in, its threshold for that place, which it keeps, out."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator

from gyrovae_tf.arguments import whole
from gyrovae_tf.device.port import BAUD, GoneError, Port
from gyrovae_tf.device.stream import check_version, told_instead
from gyrovae_tf.device.watch import patience_s
from gyrovae_tf.device.wire import Banner, Event, Mode, Parser, Status, Verdict, command_line
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal.score import stride_of

MINUTES = 5
_MOST_MINUTES = 1440
_ANSWER_S = 10.0
_ASK_S = 1.0
_SETTLED_S = 0.3
# How the firmware says that it calibrates: app.cpp, Core::calibrate and Core::fit. The number is that of all windows.
_CALIBRATES = re.compile(r"calibration on site: (?:keep .*; windows |\d+ of )(\d+)(?: windows)?")


def calibrate(
    port: str,
    *,
    minutes: int = MINUTES,
    baud: int = BAUD,
    progress: Callable[[int, int], None] | None = None,
    told: Callable[[str], None] = lambda _text: None,
    stop: Callable[[], bool] = lambda: False,
) -> Banner:
    """A port and minutes of normal motion in, the device's banner with its new threshold out.

    `progress` gets windows whose scores count and all that are wanted, `told` what the device complains of meanwhile.
    When `stop` says so, or anything else ends it early, the calibration is given up, and the device keeps the threshold
    that it had. `GyrovaeError` when no device of ours answers, when it has no detector, and when it cannot find a
    threshold: its own words.
    """
    expected = f"1 to {_MOST_MINUTES}"
    minutes = whole(minutes, "so many minutes cannot be asked for", 1, _MOST_MINUTES, expected=expected)
    with _Talk(port, baud) as talk:
        try:
            # One that detected cannot have said before that it streams: from here on it says what is true now.
            known = talk.answer("stream", "stream", stop)
            talk.say("calibrate", minutes)
            return _calibrated(talk, known, progress, told, stop)
        except BaseException:
            talk.say("detect")  # ends it
            raise


def _calibrated(
    talk: _Talk,
    known: Banner,
    progress: Callable[[int, int], None] | None,
    told: Callable[[str], None],
    stop: Callable[[], bool],
) -> Banner:
    """What the device says after it was told to calibrate in, the banner with which it ends out."""
    done = wanted = 0
    stride = stride_of(known.window, known.hop) if known.hop else 1  # windows that share samples are one observation
    error = ""  # the word of error that was the latest event
    for event in talk.events(known, stop):
        before, error = error, ""
        if before and not isinstance(event, Banner):
            told(f"the device says: {before}")
        if isinstance(event, Status):
            found = _CALIBRATES.fullmatch(event.text)
            if found:
                wanted = int(found[1])
            elif event.level == "error" and not wanted:
                raise GyrovaeError(f"the device cannot calibrate: {event.text}")
            elif event.level == "error":
                error = event.text
            elif event.level == "warning":
                told(f"the device says: {event.text}")
        elif isinstance(event, Banner):
            if event.boot != known.boot:
                raise GyrovaeError("the device started anew while it calibrated", remedy="Try again.")
            if wanted:
                return _ended(event, wanted, before)
        elif isinstance(event, Verdict) and wanted:
            done += event.window % stride == 0
            if progress:
                progress(min(done, wanted), wanted)
    raise _given_up()


def _given_up() -> GyrovaeError:
    return GyrovaeError("stopped; the device keeps the threshold that it had")


def _ended(banner: Banner, wanted: int, error: str) -> Banner:
    """The banner that ends a calibration in, the same out; what the device says just before it is why it failed."""
    if error:
        raise GyrovaeError(f"the device cannot calibrate: {error}", remedy=f"Its threshold is {banner.threshold:g}.")
    if banner.site_windows != wanted:
        raise GyrovaeError(
            "the device has ended the calibration without a new threshold",
            expected=f"one from {wanted} windows",
            received=f"one from {banner.site_windows}",
            remedy="Try again.",
        )
    return banner


def forget(port: str, *, baud: int = BAUD) -> Banner:
    """A port in, the banner of the device, which goes back to its detector's own threshold, out."""
    with _Talk(port, baud) as talk:
        first = talk.settled(talk.answer("info"))
        known = talk.answer("stream", "stream")  # as in `calibrate`
        mode = (talk.before or first).mode  # the latest that it said of itself before it was told to stream
        try:
            talk.say("forget")
            for event in talk.events(known):
                if isinstance(event, Status) and event.level == "error":
                    raise GyrovaeError(f"the device cannot forget: {event.text}")
                if isinstance(event, Banner) and event.site_windows == 0:
                    return event
        finally:
            talk.say(mode)
        raise AssertionError("there is no end without one of them")


class _Talk(contextlib.AbstractContextManager["_Talk"]):
    """Words to a device, and what it says."""

    def __init__(self, port: str, baud: int) -> None:
        self._port = Port(port, whole(baud, "the baud rate is not usable", 1))
        self._parser = Parser()
        self._words: list[Status] = []  # of the device, since its latest answer
        self._waiting: deque[Banner] = deque()
        self.before: Banner | None = None
        """The latest banner in front of an answer."""

    def __exit__(self, *_error: object) -> None:
        self._port.close()

    def say(self, *words: str | int) -> None:
        """Send a command; the empty line before it ends what the device may have got before."""
        name, *numbers = words
        self._port.write(b"\n" + command_line(str(name), *(int(number) for number in numbers)))

    def answer(self, word: str, mode: Mode | None = None, stop: Callable[[], bool] = lambda: False) -> Banner:
        """The banner that answers a word, which is said again until one comes.

        With a mode it is one that is in that mode, and was not said at a boot: what the device has kept since while
        nobody read it begins with that.
        """
        asked, begun = 0.0, time.monotonic()
        while time.monotonic() - begun < _ANSWER_S:
            if stop():
                raise _given_up()
            if time.monotonic() - asked > _ASK_S:
                self.say(word)
                asked = time.monotonic()
            for event in self._banners():
                if mode is None or (event.mode == mode and event.next > 0):
                    self._words.clear()
                    return event
                self.before = event
        raise self._unclear("banner", _ANSWER_S)

    def settled(self, banner: Banner) -> Banner:
        """A banner in, the latest of those that follow it closely out: the first may be one that was kept."""
        heard = time.monotonic()
        while time.monotonic() - heard < _SETTLED_S:
            for later in self._banners():
                banner, heard = later, time.monotonic()
        return banner

    def _banners(self) -> Iterator[Banner]:
        """Those that have come; what is not taken of them comes the next time."""
        self._waiting += (event for event in self._heard() if isinstance(event, Banner))
        while self._waiting:
            check_version(self._waiting[0])
            yield self._waiting.popleft()

    def events(self, known: Banner, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """What it says, until `stop`; `GyrovaeError` when it is gone, or says no verdict and no banner for long."""
        patience = patience_s(_ANSWER_S, known)
        heard = time.monotonic()
        while not stop():
            found = self._heard()
            if any(isinstance(event, Verdict | Banner) for event in found):
                heard = time.monotonic()
            elif time.monotonic() - heard > patience:
                raise self._unclear("verdict or banner", patience)
            yield from found

    def _heard(self) -> list[Event]:
        try:
            found = list(self._parser.feed(self._port.read()))
        except GoneError as error:
            raise GyrovaeError(f"{error} is gone", remedy="Plug it in, and try again.") from None
        self._words += (event for event in found if isinstance(event, Status))
        return found

    def _unclear(self, what: str, waited_s: float) -> GyrovaeError:
        """Why there is no such answer, as far as the device has said it."""
        expected = f"a {what} within {waited_s:g} s"
        if instead := told_instead(self._words, expected):
            return instead
        problem = "no device of ours answers on the port"
        remedy = (
            "Is our firmware on it, and is this its port and baud rate? gyrovae-tf collect --list-ports names ports."
        )
        if self._parser.protocol == "gyrovae":
            problem, remedy = "the device does not answer any more", "Try again."
        return GyrovaeError(problem, expected=expected, received="none", remedy=remedy)
