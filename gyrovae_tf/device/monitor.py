"""What a device says in, decisions out: its own verdicts, or those of the same detector on this computer.

Without port, clock or thread: `watch` gives it those.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.arguments import number, whole
from gyrovae_tf.device import wire
from gyrovae_tf.device.live import Ended, Intake, Rate, Traffic, Windows
from gyrovae_tf.device.stockconsole import Pace, StockReason, verdict
from gyrovae_tf.device.stream import check_version
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import reasons, vote
from gyrovae_tf.spec import RATE_TOLERANCE
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.wording import many

if TYPE_CHECKING:
    from gyrovae_tf.runtime import Detector
    from gyrovae_tf.stockdetector import StockDetector

Source = Literal["device", "host"]
Reason: TypeAlias = wire.Reason | StockReason
_MOST_ASKED = 3  # times that a device is told a mode
_AGAIN_S = 1.0  # until a device that has not said who it is is asked again
_UNHEARD_S = 3.0  # until one that has not answered is taken for one that hears nothing
_MOST_LOST_WINDOWS = 100_000
_LONGEST_VOTE = 64
_SPOILT = 10  # windows, from the first on, in which the first figure alone is too low


@dataclass(frozen=True)
class Decision:
    """What was made of one window."""

    window: int
    """Decisions before this one."""
    time: float
    """Of this computer when it was made, Unix seconds."""
    number: int | None
    """Of the window's last sample, since the device's boot; None from the stock firmware."""
    t_us: int | None
    """The device's clock then, microseconds since its boot, modulo 2^32."""
    score: float
    """Higher is more abnormal."""
    threshold: float
    """The score from which it is an alarm."""
    alarm: bool
    event: bool
    """With this window the vote makes an event of the alarms."""
    begins: bool
    """The event begins with this window."""
    reasons: tuple[Reason, ...]
    """What makes it abnormal, the most important first."""
    source: Source
    """Who decided."""
    frontend_us: int | None = None
    """What the device's front end took; None where this computer decided."""
    inference_us: int | None = None
    score_us: int | None = None
    figures: wire.StockFigures | None = None
    """What the stock firmware's console prints of it, or would print; None on the power front end."""
    images: NDArray[np.int8] | None = field(default=None, compare=False, repr=False)
    """int8 [2, 32, 32, 3], what the model was given; None where the device decided, and on the stock front end."""

    @property
    def words(self) -> tuple[str, ...]:
        """The reasons for people."""
        return tuple(map(in_words, self.reasons))

    @property
    def seen(self) -> str:
        """The reasons on one line; without any, the figures of the stock firmware, where there are some."""
        if self.figures is not None and not self.reasons:
            return "scalogram {:.2f} dB, field {:.2f} dB".format(*self.figures)
        return "; ".join(self.words)

    def to_dict(self) -> dict[str, Any]:
        """All but the images, JSON-ready: what is no finite number is None."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "images"}
        record["score"] = _finite(self.score)
        record["reasons"] = [{k: _finite(v) for k, v in reason._asdict().items()} for reason in self.reasons]
        if self.figures is not None:
            record["figures"] = {name: _finite(value) for name, value in self.figures._asdict().items()}
        return record


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_words(reason: Reason) -> str:
    """A reason in, as "x 48-55 Hz louder: 61 %" or "field -31.20 dB, alarm from -30.00 down: ...", out."""
    if isinstance(reason, StockReason):
        way, meaning = ("down", "unlike normal motion") if reason.side == "low" else ("up", "less than normal motion")
        return f"{reason.image} {reason.db:.2f} dB, alarm from {reason.level_db:.2f} {way}: {meaning}"
    digits = 0 if reason.low_hz >= 10 else 1
    low, high = f"{reason.low_hz:.{digits}f}", f"{reason.high_hz:.{digits}f}"
    return f"{reason.axis} {low}-{high} Hz {reason.direction}: {100 * reason.share:.0f} %"


class Monitor:
    """Events of `wire.Parser` in, `Decision`s out."""

    def __init__(
        self,
        detector: Detector | StockDetector | None = None,
        *,
        on_device: bool | None = None,
        hop: int | None = None,
        threshold: float = 1.0,
        second_alone: bool = False,
    ) -> None:
        """With a detector this computer decides, unless `on_device`: then it is only compared with the device's.

        `hop` (samples from one window to the next; a window, unless given) and `threshold` are for what this computer
        decides. One for the stock firmware decides by the figures that its console prints, and of the samples of its
        sampling mode; `second_alone` is for a device whose undefined row spoils the first figure.
        """
        self.source: Source = "device" if on_device or (on_device is None and detector is None) else "host"
        if self.source == "host" and detector is None:
            raise GyrovaeError("who is to decide", expected="a model, or a device with a detector", received="neither")
        if self.source == "device" and (hop is not None or threshold != 1.0):
            raise GyrovaeError(
                "hop and threshold are for what this computer decides",
                received="a device that decides itself",
                remedy="Give --model without --on-device; or calibrate the device on site for a threshold of its own.",
            )
        hop = None if hop is None else whole(hop, "the hop is not usable", 1)
        threshold = number(threshold, "the threshold is not usable", "above 0", lambda found: found > 0)
        bundle = None if detector is None else detector.bundle
        self._levels = bundle.calibration if isinstance(bundle, StockBundle) else None
        if self.source == "device" and self._levels is not None:
            raise GyrovaeError(
                "a device that decides itself runs our firmware, and the model is for the stock one",
                remedy="Leave --on-device out: the stock firmware's figures are judged on this computer.",
            )
        if second_alone and self._levels is None:
            raise GyrovaeError("the second figure alone can decide only with a model for the stock firmware")
        self.detector = detector
        self.threshold = threshold
        """From what score on a window is an alarm; of a device, what it last said."""
        self.banner: wire.Banner | None = None
        """The latest of this connection."""
        self.protocol: wire.Protocol | None = None
        """What is spoken; None until it is known."""
        self.made = 0
        """Decisions so far."""
        self.alarms = 0
        self.events = 0
        """Events that began."""
        self.lost_windows = 0
        """Verdicts of the device that never came."""
        self.traffic = Traffic()
        self._second_alone = second_alone
        self._first_alone: int | None = 0  # windows so far, if in all of them the first figure alone is too low
        self._rate = Rate()
        self._pace = Pace()
        self._intake: Intake | None = None
        if self.source == "host":
            assert detector is not None
            spec = detector.bundle.spec
            windows = Windows(spec.window, hop, np.int16 if self._levels is None else np.float32)
            self._intake = Intake(spec, windows, self.traffic, rate=self._rate)
            self._pace = Pace(windows.hop)
        self._notes: list[str] = []
        self._commands: list[bytes] = []
        self._said: set[str] = set()
        self._recent: deque[bool] = deque(maxlen=_LONGEST_VOTE)
        self._event = False
        self._asked = 0
        self._asked_at = 0.0
        self._opened_at = 0.0
        # What it says until it answers, and when it came: perhaps of long ago.
        self._stale: list[tuple[wire.Event, float]] | None = None
        self._refusal: GyrovaeError | None = None
        self._error = ""  # the device's last word of error
        self._expected: int | None = None  # number of the device's next window

    @property
    def rate_hz(self) -> float | None:
        """Samples a second by the device's clock, over the latest some thousands; None while it is not known."""
        return self._rate.hz

    def connected(self, now: float) -> None:
        """The port was opened, for the first time or anew: what follows does not join what came before."""
        self.traffic.connections += 1
        self._restart()
        self.protocol = None
        self._stale = [] if self.source == "device" else None
        self._ask()
        self._asked_at = self._opened_at = now

    def tick(self, now: float) -> None:
        """Time passes: a device that has not said who it is is asked again."""
        if self.banner is None and self.protocol != "stock" and now - self._asked_at >= _AGAIN_S:
            self._asked_at = now
            self._commands.append(b"\n" + self._command())  # the empty line ends what it may have got before

    def notes(self) -> list[str]:
        """What a person should know and was not told yet; each once."""
        found, self._notes = self._notes, []
        if self._intake is not None:
            found += self._intake.notes
            self._intake.notes.clear()
        return found

    def commands(self) -> list[bytes]:
        """Lines that are to be sent to the device, and were not yet."""
        found, self._commands = self._commands, []
        return found

    def take(self, events: Iterable[wire.Event], now: float) -> list[Decision]:
        """Events and this computer's time (Unix seconds) in, what was decided by them out.

        `GyrovaeError` when the device, its sensor or its detector is none that can be monitored so: at once, or, where
        something was decided before, the next time.
        """
        if self._refusal is not None:
            raise self._refusal
        due = [(event, now) for event in events]
        # Either way: this computer's clock may be set back.
        if self._stale is not None and abs(now - self._opened_at) >= _UNHEARD_S:
            kept, self._stale = self._stale, None
            due = [*kept, *due]
        found: list[Decision] = []
        for event, when in due:
            try:
                found += self._take(event, when)
            except GyrovaeError as error:
                if not found:
                    raise
                self._refusal = error
                break
        return found

    def _answered(self, event: wire.Banner | wire.Verdict, now: float) -> bool:
        """Whether the device says this now: while nobody reads, it keeps the first 16 KiB of what it says.

        It is told to stream, and then to detect: what it has kept holds no banner of a stream but that of a boot.
        """
        if self._stale is None:
            return True
        self._stale.append((event, now))
        if isinstance(event, wire.Banner) and event.mode == "stream" and event.next:
            old = sum(isinstance(one, wire.Verdict) for one, _ in self._stale)
            if old:
                self._note(f"left out {many(old, 'verdict')} from before the device was read", again=True)
            self._stale, self._error = None, ""
        return False

    def _take(self, event: wire.Event, now: float) -> Iterable[Decision]:
        if self._levels is not None and isinstance(event, wire.Sample | wire.Verdict | wire.Banner):
            raise GyrovaeError(
                "the model is for the stock firmware, and the device runs ours",
                remedy="Give a run that was preprocessed without --frontend stock.",
            )
        if isinstance(event, wire.Sample):
            self.protocol = "gyrovae"
            if self._intake is not None:
                return self._decide(self._intake.sample(event), now)
        elif isinstance(event, wire.StockSample):
            self.protocol = "stock"
            if self._intake is None:
                raise GyrovaeError(
                    "the stock firmware sends samples, no verdicts",
                    remedy="Decide on this computer: --model RUN",
                )
            return self._decide(self._intake.stock(event), now)
        elif isinstance(event, wire.StockFigures):
            self.protocol = "stock"
            return self._printed(event, now)
        elif isinstance(event, wire.StockSampled):
            if not self._pace.sampled(event):  # its ROM's words were lost
                self._boots("the device has booted")
        elif isinstance(event, wire.Verdict):
            self.protocol = "gyrovae"
            if self._intake is None:
                return [self._verdict(event, now)] if self._answered(event, now) else []
            if now - self._asked_at >= _AGAIN_S:  # verdicts that wait in a port say nothing of what it has heard since
                self._asked_at = now
                self._ask()
        elif isinstance(event, wire.Banner):
            self.protocol = "gyrovae"
            check_version(event)
            if self._answered(event, now):
                self._banner(event)
        elif isinstance(event, wire.Status):
            self._error = event.text if event.level == "error" else self._error
            # Until it has said who it is it may answer each word by the same: once is enough.
            self._note(f"the device says: {event.text}", again=self.banner is not None)
        else:
            self._boots("the device boots")
        return []

    def _boots(self, told: str) -> None:
        self.traffic.boots += 1
        self._note(told, again=True)
        self._restart()

    def _restart(self) -> None:
        """Nothing of what came before is known any more."""
        if self._intake is not None:
            self._intake.restart()
        self._rate.restart()
        self._pace.restart()
        self._recent.clear()
        self.banner, self._expected, self._event, self._asked, self._error = None, None, False, 0, ""

    def _note(self, text: str, *, again: bool = False) -> None:
        if again:
            self._notes.append(text)
        elif text not in self._said:
            self._notes.append(text)
            self._said.add(text)

    def _ask(self) -> None:
        """Tell the device its mode, unless it has been told often enough."""
        if self._asked < _MOST_ASKED:
            self._asked += 1
            self._commands.append(self._command())
        elif self.source == "host":
            self._note("the device goes on deciding itself: it does not hear `stream`; leave out --model to read it")

    def _command(self) -> bytes:
        if self.source == "host":
            return wire.command_line("stream")
        return wire.command_line("stream") * (self._stale is not None) + wire.command_line("detect")

    def _banner(self, banner: wire.Banner) -> None:
        if self.banner is not None and self.banner.boot != banner.boot:  # its ROM's words were lost
            self._boots("the device has booted")
        self.banner = banner
        self._compare(banner)
        if self._intake is not None:
            self._intake.banner(banner)
            if banner.mode != "stream":
                self._ask()
            return
        self.threshold = banner.threshold
        if banner.mode == "detect":
            return
        if banner.model == "none":
            raise GyrovaeError(
                "the device has no detector",
                remedy="Flash one (gyrovae-tf flash-image RUN), or decide on this computer: --model RUN",
            )
        if self._asked >= _MOST_ASKED or (self._asked and self._error):
            raise GyrovaeError(
                f"the device does not detect: {self._error or 'it stays in stream mode'}",
                remedy="Flash a detector that was made for its sensor, or decide on this computer: --model RUN",
            )
        self._ask()

    def _compare(self, banner: wire.Banner) -> None:
        """Say whether the device's detector is the model that was given."""
        if self.detector is None or banner.spec is None:
            return
        digest = self.detector.bundle.spec.digest
        if banner.spec != digest:
            self._note(f"the device's detector is another one than --model: its spec is {banner.spec}, not {digest}")
        elif self.source == "host" and banner.site_windows and banner.threshold != self.threshold:
            self._note(
                f"the device was calibrated on site: its threshold is {banner.threshold:g}, here it is "
                f"{self.threshold:g} (--threshold {banner.threshold:g} makes it the same)"
            )

    def _verdict(self, verdict: wire.Verdict, now: float) -> Decision:
        if self._expected is not None:
            missing = (verdict.window - self._expected) % wire.WRAP
            if missing > _MOST_LOST_WINDOWS:  # it began anew
                self._rate.restart()
                self._event = False
            else:
                self.lost_windows += missing
        self._expected = (verdict.window + 1) % wire.WRAP
        self._rate.add(verdict.number, verdict.t_us)
        self.threshold = verdict.threshold
        return self._made(
            Decision(
                self.made,
                now,
                verdict.number,
                verdict.t_us,
                verdict.score,
                verdict.threshold,
                verdict.alarm,
                verdict.event,
                verdict.event and not self._event,
                verdict.reasons,
                "device",
                verdict.frontend_us,
                verdict.inference_us,
                verdict.score_us,
            )
        )

    def _decide(self, ended: Ended | None, now: float) -> Iterable[Decision]:
        if ended is None:
            return []
        assert self.detector is not None
        hz, wanted_hz = self.rate_hz, self.detector.bundle.spec.rate_hz
        if hz is not None and not abs(hz / wanted_hz - 1) <= RATE_TOLERANCE:
            self._note(f"samples come at {hz:.4g} Hz; the model was made for {wanted_hz:g} Hz")
        windows = ended.samples[None]
        if self._levels is not None:
            first, second = map(float, cast("StockDetector", self.detector).score_windows(windows).figures[0])
            return [self._judged(wire.StockFigures(first - self._levels.row_db, second), now)]
        detector = cast("Detector", self.detector)
        spec = detector.bundle.spec
        images = frontend.images(windows, spec)
        scores = detector.score_images(images, means(windows))
        named = tuple(
            wire.Reason(r.axis, r.low_hz, r.high_hz, "louder" if r.direction == "louder" else "quieter", r.share)
            for r in reasons(scores.deviation[0], spec)
        )
        at = {"number": ended.number, "t_us": ended.t_us}
        return [self._hosted(float(scores.score[0]), named, now, images=images[0], **at)]

    def _printed(self, figures: wire.StockFigures, now: float) -> Iterable[Decision]:
        """Figures of the stock firmware's console in; the decision, where their window is one of its own, out."""
        if self._levels is None:
            missing = "its model" if self.detector is None else "its model (--model is one for our firmware)"
            raise GyrovaeError(
                f"the device prints the stock firmware's results: without {missing} nobody can say what they mean",
                remedy="Give the run whose model is on it, which was preprocessed with --frontend stock: --model RUN.",
            )
        self.traffic.results += 1
        self._note("the stock firmware does not say which model it runs: the levels are for that of --model")
        return [self._judged(figures, now)] if self._pace.due(now) else []

    def _judged(self, figures: wire.StockFigures, now: float) -> Decision:
        assert self._levels is not None
        found = verdict(figures, self._levels, second_alone=self._second_alone)
        if self._first_alone is not None:
            spoilt = [reason[::3] for reason in found.reasons] == [("scalogram", "low")]
            self._first_alone = self._first_alone + 1 if spoilt else None
            if self._first_alone == _SPOILT:
                self._note(
                    f"from the first window on ({_SPOILT} so far) the first figure alone is too low: if the machine "
                    "runs as it should, the scalogram's undefined row spoils it, and --second-alone leaves it out"
                )
        return self._hosted(found.score, found.reasons, now, figures=figures)

    def _hosted(self, score: float, named: tuple[Reason, ...], now: float, **more: Any) -> Decision:
        """The decision of this computer on a window with that score."""
        assert self.detector is not None
        calibration = self.detector.bundle.calibration
        alarm = not score < self.threshold  # as on the device: what is no number is an alarm
        self._recent.append(alarm)
        event = bool(vote(np.array(self._recent), calibration.vote_alarms, calibration.vote_windows)[-1])
        given: dict[str, Any] = {"number": None, "t_us": None, **more}
        return self._made(
            Decision(
                window=self.made,
                time=now,
                score=score,
                threshold=self.threshold,
                alarm=alarm,
                event=event,
                begins=event and not self._event,
                reasons=named,
                source="host",
                **given,
            )
        )

    def _made(self, decision: Decision) -> Decision:
        self.made += 1
        self.alarms += decision.alarm
        self.events += decision.begins
        self._event = decision.event
        return decision
