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
from gyrovae_tf.calibration import MOST_PHASES, MOST_VOTES, PAUSE_S, PAUSE_WINDOWS
from gyrovae_tf.device import wire
from gyrovae_tf.device.live import Ended, Intake, Rate, Traffic, Windows
from gyrovae_tf.device.stockconsole import RESULT_SAMPLES, Pace, StockReason, verdict
from gyrovae_tf.device.stream import check_version
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.profile import means
from gyrovae_tf.signal.score import reasons, stride_of, vote
from gyrovae_tf.spec import RATE_TOLERANCE
from gyrovae_tf.stockbundle import StockBundle
from gyrovae_tf.stockspec import WINDOW
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
_VOTE = (3, 5)  # alarms of windows, of a device that never says who it is: as `quantize` has it by default
_PATIENCE_S, _PATIENCE_WINDOWS = 5.0, 3
_FRESH_S = 5.0  # of samples before a device's answer: what is older was kept while nobody read
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
        self.window_s: float | None = None
        """Seconds from one decision to the next, or that a window takes, whichever is more; None until it is known."""
        self.traffic = Traffic()
        self._second_alone = second_alone
        self._first_alone: int | None = 0  # windows so far, if in all of them the first figure alone is too low
        self._rate = Rate()
        self._pace = Pace()
        self._stride = 1  # every how manieth decision is of samples that those before did not have
        self._intake: Intake | None = None
        if self.source == "host":
            assert detector is not None
            spec = detector.bundle.spec
            windows = Windows(spec.window, hop, np.int16 if self._levels is None else np.float32)
            self._intake = Intake(spec, windows, self.traffic, rate=self._rate)
            self._pace = Pace(windows.hop)
            self.window_s = max(windows.window, windows.hop) / spec.rate_hz
            self._stride = stride_of(windows.window, windows.hop)
        self._notes: list[str] = []
        self._commands: list[bytes] = []
        self._said: set[str] = set()
        most = MOST_VOTES * (MOST_PHASES if self.source == "device" else self._stride)
        self._recent: deque[bool] = deque(maxlen=most)  # alarms, over a break as well
        self._event = False
        self._their_vote = _VOTE
        self._own: int | None = None  # windows in the device's own vote, where a break has begun that anew
        self._who: tuple[Any, ...] | None = None  # whose alarms and event these are
        self._decided_at = 0.0
        self._counted = (0, 0, 0)  # samples, those that were lost, and gaps when the latest decision was made
        self._samples = 0  # of a device that is to decide, since then
        self._complained = self._wrong_rate = False
        self._asked = 0
        self._asked_at = 0.0
        self._opened_at = 0.0
        # What it says until it answers, and when it came: perhaps of long ago. None once it has answered.
        self._stale: list[tuple[wire.Event, float]] | None = None
        self._refusal: GyrovaeError | None = None
        self._error = ""  # the device's last word of error
        self._expected: int | None = None  # number of the device's next window

    @property
    def rate_hz(self) -> float | None:
        """Samples a second by the device's clock, over the latest some thousands; None while it is not known."""
        return self._rate.hz

    @property
    def patience_s(self) -> float:
        """Seconds after which a decision is overdue."""
        return max(_PATIENCE_S, _PATIENCE_WINDOWS * (self.window_s or 0.0))

    @property
    def pause_s(self) -> float:
        """Seconds without a decision that end an event."""
        return max(PAUSE_S, PAUSE_WINDOWS * (self.window_s or 0.0))

    def connected(self, now: float) -> None:
        """The port was opened, for the first time or anew: no window spans this, vote and event go on."""
        self.traffic.connections += 1
        self._restart()
        self.protocol = None
        self._leave_out(self._stale or [])  # gone before it has answered
        self._stale = []
        self._ask()
        self._asked_at = self._opened_at = now

    def tick(self, now: float) -> None:
        """Time passes: a device that has not answered is asked again; samples that nothing is made of are told."""
        unanswered = self.banner is None or self._stale is not None
        # Here and below: this computer's clock may be set back.
        if unanswered and self.protocol != "stock" and abs(now - self._asked_at) >= _AGAIN_S:
            self._ask_again(now)
        self._complain(now)

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

    def _answered(self, event: wire.Banner) -> Iterable[Decision] | None:
        """A banner in; None where it may be an old one, else what is decided of samples that came just before it.

        While nobody reads, the device keeps the first 16 KiB of what it says. It is told to stream, and perhaps then to
        detect: what it has kept holds no banner of a stream but that of a boot.
        """
        if self._stale is None or event.mode != "stream" or not event.next:
            return None
        held, self._stale, self._error = self._stale, None, ""
        old: list[tuple[wire.Event, float]] = []
        fresh: list[tuple[wire.Event, float]] = []
        for one, when in held:
            near = isinstance(one, wire.Sample) and (event.next - one.number) % wire.WRAP <= _FRESH_S * event.rate_hz
            (fresh if near else old).append((one, when))
        self._leave_out(old)
        if self._intake is not None:
            self._banner(event)
        return [decision for one, when in fresh for decision in self._take(one, when)]

    def _leave_out(self, held: Iterable[tuple[wire.Event, float]]) -> None:
        """Tell what is not used, as it may be old."""
        kinds = [type(one) for one, _ in held]
        for kind, what in ((wire.Verdict, "verdict"), (wire.Sample, "sample")):
            if old := kinds.count(kind):
                self._note(f"left out {many(old, what)} from before the device was read", again=True)

    def _take(self, event: wire.Event, now: float) -> Iterable[Decision]:
        if self._levels is not None and isinstance(event, wire.Sample | wire.Verdict | wire.Banner):
            raise GyrovaeError(
                "the model is for the stock firmware, and the device runs ours",
                remedy="Give a run that was preprocessed without --frontend stock.",
            )
        if isinstance(event, wire.Sample):
            self.protocol = "gyrovae"
            if self._intake is None:
                self._samples += 1
            elif self._stale is not None:
                self._stale.append((event, now))
            else:
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
            if self._intake is None and self._stale is not None:
                self._stale.append((event, now))
            elif self._intake is None:
                return self._verdict(event, now)
            # Verdicts that wait in a port say nothing of what it has heard since.
            elif abs(now - self._asked_at) >= _AGAIN_S:
                self._asked_at = now
                self._ask()
        elif isinstance(event, wire.Banner):
            self.protocol = "gyrovae"
            check_version(event)
            found = self._answered(event)
            if found is not None:
                return found
            if self._stale is not None and self._intake is None:
                self._stale.append((event, now))
            else:
                self._banner(event)
                if self._stale is not None and event.mode == "stream":
                    self._ask()  # that of a boot, or an answer just after one: the next answer tells
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
        """What follows does not join what came before. Vote and event go on, so that no loss silences them."""
        if self._intake is not None:
            self._intake.restart()
        self._rate.restart()
        self._pace.restart()
        self.banner, self._expected, self._asked, self._error = None, None, 0, ""
        self._break()

    def _break(self) -> None:
        """A device that decides begins its vote anew here."""
        self._own = 0 if self._recent else None

    def _forget(self) -> None:
        """Neither alarms nor event of before count any more: they are of another device, detector or time."""
        self._recent.clear()
        self._event, self._own = False, None

    def _go_on(self, now: float) -> None:
        """Before a decision: what was is over, where it is long ago, as on the device."""
        if abs(now - self._decided_at) > self.pause_s:
            self._forget()

    def _note(self, text: str, *, again: bool = False) -> None:
        if again:
            self._notes.append(text)
        elif text not in self._said:
            self._notes.append(text)
            self._said.add(text)

    def _complain(self, now: float) -> None:
        """Samples come, and nothing is decided: say so once, until something is."""
        if self._intake is None:
            if self.banner is None or self._samples < self.patience_s * self.banner.rate_hz:
                return
            self._samples = 0
            self._ask_again(now)
            text = f"no verdict for {self.patience_s:.0f} s, though samples come: the device is told again to detect"
        else:
            traffic, spec = self.traffic, self._intake.spec
            before, lost, gaps = self._counted
            came, lost = self._came() - before, traffic.lost - lost
            if came < self.patience_s * spec.rate_hz or came - lost < spec.window:
                return
            text = (
                f"no verdict for {came / spec.rate_hz:.0f} s, though samples come: {lost:,} of {came:,} were lost, in "
                f"{many(traffic.gaps - gaps, 'gap')}, and a window takes {spec.window} in a row; see to the cable, the "
                "baud rate and what else this computer does"
            )
        if not self._complained:
            self._note(text, again=True)
        self._complained = True

    def _came(self) -> int:
        """Samples that were sent so far, as far as is known."""
        return self.traffic.samples + self.traffic.lost + self.traffic.late

    def _ask_again(self, now: float) -> None:
        self._asked_at = now
        self._commands.append(b"\n" + self._command())  # the empty line ends what it may have got before

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
        who = (
            banner.sensor,
            banner.units,
            *((banner.spec, banner.threshold, banner.vote, banner.hop) if self._intake is None else ()),
        )
        if who != (self._who or who):
            self._forget()
        self._who = who
        self._compare(banner)
        if self._intake is not None:
            self._intake.banner(banner)
            if banner.mode != "stream":
                self._ask()
            return
        self.threshold = banner.threshold
        if banner.model != "none":
            self._their_vote = banner.vote
        if banner.window and banner.rate_hz:
            self.window_s = max(banner.window, banner.hop) / banner.rate_hz
            self._stride = stride_of(banner.window, banner.hop) if banner.hop else 1
        if banner.mode == "detect":
            return
        self._break()
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

    def _verdict(self, verdict: wire.Verdict, now: float) -> Iterable[Decision]:
        missing = 0
        if self._expected is not None:
            missing = (verdict.window - self._expected) % wire.WRAP
            if missing == wire.WRAP - 1:
                self.traffic.repeated += 1
                return []
            if missing > _MOST_LOST_WINDOWS:  # it began anew
                missing = 0
                self._rate.restart()
                self._break()
            self.lost_windows += missing
        self._expected = (verdict.window + 1) % wire.WRAP
        self._rate.add(verdict.number, verdict.t_us, 0.0 if self.banner is None else self.banner.rate_hz)
        self.threshold = verdict.threshold
        self._go_on(now)
        event = self._carried(verdict, missing)
        made = self._made(
            Decision(
                self.made,
                now,
                verdict.number,
                verdict.t_us,
                verdict.score,
                verdict.threshold,
                verdict.alarm,
                event,
                event and not self._event,
                verdict.reasons,
                "device",
                verdict.frontend_us,
                verdict.inference_us,
                verdict.score_us,
            )
        )
        return [made]

    def _carried(self, verdict: wire.Verdict, missing: int) -> bool:
        """Whether it is an event: as the device says, or, while its own vote begins anew after a break, by a vote over
        its alarms from before and after that."""
        self._recent.append(verdict.alarm)
        if self._own is None:
            return verdict.event
        needed, windows = self.rule
        self._own += 1 + missing
        if self._own >= windows * self._stride:
            self._own = None
        if self._own is None or verdict.event or not self._voted():
            return verdict.event
        self._note(
            "the device's vote began anew with the connection or a boot, and this computer goes on with it: "
            f"{many(needed, 'alarm')} of {many(windows, 'window')}"
        )
        return True

    @property
    def rule(self) -> tuple[int, int]:
        """How many alarms among how many windows in a row, which share no samples, make an event."""
        if self.source == "device":
            return self._their_vote
        assert self.detector is not None
        calibration = self.detector.bundle.calibration
        return calibration.vote_alarms, calibration.vote_windows

    def _voted(self) -> bool:
        latest = list(self._recent)[-self.rule[1] * self._stride :]
        return bool(vote(np.array(latest), *self.rule, self._stride)[-1])

    def _decide(self, ended: Ended | None, now: float) -> Iterable[Decision]:
        if ended is None:
            return []
        assert self._intake is not None
        hz, wanted_hz = self.rate_hz, self._intake.spec.rate_hz
        if hz is not None:
            wrong = not abs(hz / wanted_hz - 1) <= RATE_TOLERANCE
            if wrong and not self._wrong_rate:
                self._note(f"samples come at {hz:.4g} Hz; the model was made for {wanted_hz:g} Hz", again=True)
            self._wrong_rate = wrong
        return [self.decide(ended, now)]

    def decide(self, ended: Ended, now: float) -> Decision:
        """A window for the detector of this computer, and its time (Unix seconds), in, the decision on it out."""
        windows = ended.samples[None]
        if self._levels is not None:
            first, second = map(float, cast("StockDetector", self.detector).score_windows(windows).figures[0])
            return self._judged(wire.StockFigures(first - self._levels.row_db, second), now)
        detector = cast("Detector", self.detector)
        spec = detector.bundle.spec
        images = frontend.images(windows, spec)
        scores = detector.score_images(images, means(windows))
        named = tuple(
            wire.Reason(r.axis, r.low_hz, r.high_hz, "louder" if r.direction == "louder" else "quieter", r.share)
            for r in reasons(scores.deviation[0], spec)
        )
        at = {"number": ended.number, "t_us": ended.t_us}
        return self._hosted(float(scores.score[0]), named, now, images=images[0], **at)

    def _printed(self, figures: wire.StockFigures, now: float) -> Iterable[Decision]:
        """Figures of the stock firmware's console in; the decision, where their window is one of its own, out."""
        if self._levels is None:
            missing = "its model" if self.detector is None else "its model (--model is one for our firmware)"
            raise GyrovaeError(
                f"the device prints the stock firmware's results: without {missing} nobody can say what they mean",
                remedy="Give the run whose model is on it, which was preprocessed with --frontend stock: --model RUN.",
            )
        self.traffic.results += 1
        # Of its results every so manieth is taken.
        self._stride = stride_of(WINDOW, RESULT_SAMPLES * -(-self._pace.hop // RESULT_SAMPLES))
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
        self._go_on(now)
        alarm = not score < self.threshold  # as on the device: what is no number is an alarm
        self._recent.append(alarm)
        event = self._voted()
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
        self._decided_at = decision.time
        self._counted = (self._came(), self.traffic.lost, self.traffic.gaps)
        self._samples, self._complained = 0, False
        return decision
