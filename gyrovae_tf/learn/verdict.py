"""Figures in, words out: does the detector work, what does it miss, and what to do next, for an engineer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gyrovae_tf.learn.figures import Figures, Row
from gyrovae_tf.learn.health import Check, Status
from gyrovae_tf.learn.learnt import overlaps
from gyrovae_tf.learn.motion import NAMES, NORMAL
from gyrovae_tf.wording import figure

FOUND, PARTLY = 0.5, 0.1
"""Share of a fault's windows that raise an alarm where it is found, and where it is found in part."""
SEPARATES = 0.9
"""AUROC from which another threshold would find a kind."""
_CHANCE, _HARDLY = 0.05, 0.001
GUESSES = 0.7
"""Mean AUROC on built-in changes below which a detector notices hardly anything."""
_MANY, _TOO_MANY = 2.0, 5.0
"""Times the rate that was asked for: more false alarms than that are worth a look, or too many."""
RESERVED = "It works, with reservations"
UNTRIED = "Not tried: some of these recordings were trained on"
RECORD_MORE = (
    "Record more normal motion, above all what these recordings hold and the training lacked (another speed, load, day "
    "or mounting), then preprocess, train and quantise again."
)
TOO_STRICT = (
    "The score tells {} from normal, but the threshold is too strict for it: quantise again with a higher "
    "--false-alarm-rate, and let the vote keep the events few."
)
LONGER = "Try it on longer recordings of normal motion: so few windows do not tell of false alarms."
TRY_OTHERS = (
    "Evaluate on recordings that the training never saw, of another day if you can: "
    "gyrovae-tf report RUN --normal other_day.csv --anomaly KIND=fault.csv"
)
RECORD_FAULT = "Record a real fault, however mild, and give it with --anomaly KIND=fault.csv."
_BEATEN = 0.01  # AUROC that the baseline must be ahead by to be worth a word


@dataclass(frozen=True)
class Verdict:
    """What the top of a report says."""

    status: Status
    headline: str
    points: tuple[tuple[Status, str], ...]
    """One finding each."""
    steps: tuple[str, ...]
    """What to do next, most useful first."""


def found(row: Row) -> Status:
    """Whether a kind of abnormal motion is found: half of its windows raise an alarm; a tenth; fewer."""
    return "good" if row.alarms >= FOUND else "look" if row.alarms >= PARTLY else "bad"


def silent(row: Row) -> int:
    """How many recordings of a kind never raise an event; 0 where that was not counted or none is long enough."""
    return 0 if row.group is None else row.group.silent


def _sure(row: Row) -> bool:
    return found(row) == "good" and not silent(row)


def judge(figures: Figures, health: Sequence[Check]) -> Verdict:
    """Figures and the checks of the data in, the verdict out."""
    faults = figures.rows[1:]
    points: list[tuple[Status, str]] = [false_alarms(figures)]
    steps: list[str] = []
    points += _promise(figures, points[0][0])
    if faults:
        points.append(_kinds(faults, made_up=bool(figures.stand_ins)))
    points += _against_baseline(faults)
    known = figures.evaluation
    learnt = overlaps(known.learnt) if known else ()
    points += [("bad", text[0].upper() + text[1:]) for text in learnt]
    if known:
        doubtful = (*known.division, *known.unused, *known.odd_units, *known.mixed)
        points += [("look", text) for text in doubtful]
    doubts = [check for check in health if check.status != "good"]
    if doubts:
        names = ", ".join(dict.fromkeys(check.name for check in doubts))
        worst: Status = "bad" if any(check.status == "bad" for check in doubts) else "look"
        points.append((worst, f"The data need a look: {names} (see the data's health below)."))
    alarm_status = points[0][0]
    if alarm_status != "good":
        few = too_few(figures.rows[0].windows, figures.bundle.calibration.false_alarm_rate)
        steps.append(LONGER if few and alarm_status == "look" else RECORD_MORE)
    elif figures.promise.trust is not None and not figures.promise.trust.promised:
        steps.append(
            "Before you rely on the rate of false alarms, record more normal motion, above all on other days, and "
            "preprocess, train and quantise again with all of it."
        )
    strict = [row for row in faults if not _sure(row) and (row.auroc or 0) >= SEPARATES]
    hard = [row for row in faults if not _sure(row) and (row.auroc or 0) < SEPARATES]
    if strict and not figures.stand_ins:
        steps.append(TOO_STRICT.format(_list(strict)))
    if hard and not figures.stand_ins:
        steps.append(
            f"{_list(hard)}: the score hardly tells it from normal. Look at its images below; try a longer window, "
            "a higher sampling rate, or a sensor nearer to the fault."
        )
    if figures.held_back or learnt:
        steps.append(TRY_OTHERS)
    elif figures.stand_ins:
        steps.append(RECORD_FAULT)
    elif not strict and not hard and alarm_status == "good" and not learnt:
        steps.append("Build the firmware's header: gyrovae-tf emit-header RUN -o nn_model.h")
    status, headline = _headline(figures, faults, alarm_status)
    if status == "good" and any(mark == "bad" for mark, _ in points):
        status, headline = "look", RESERVED
    return Verdict(status, headline, tuple(points), tuple(steps))


def _headline(figures: Figures, faults: Sequence[Row], alarms: Status) -> tuple[Status, str]:
    if figures.evaluation and overlaps(figures.evaluation.learnt):
        return "bad", UNTRIED
    missed = [row for row in faults if found(row) == "bad"]
    whole = all(_sure(row) for row in faults)
    if figures.stand_ins or not faults:
        # Stand-ins are mild, and no fault of this machine: what they can show is that a detector knows nothing.
        if alarms == "bad":
            return "bad", "Not ready: too many false alarms"
        if faults and (len(missed) == len(faults) or sum(row.auroc or 0.0 for row in faults) / len(faults) < GUESSES):
            return "bad", "Not ready: it hardly notices built-in changes of normal motion"
        if not faults:
            return "look", "False alarms are measured; whether faults are found is not"
        return "look", "Plausible on built-in changes; not yet tried on real faults"
    if alarms == "bad":
        return "bad", "Not ready: too many false alarms"
    if len(missed) == len(faults):
        return "bad", "Not ready: it misses the faults it was tried on"
    if whole and alarms == "good":
        return "good", "It works on these recordings"
    return "look", RESERVED


def false_alarms(figures: Figures) -> tuple[Status, str]:
    """Whether about as many normal windows raise an alarm as were asked for, and how many do."""
    normal, rate = figures.rows[0], figures.bundle.calibration.false_alarm_rate
    count = round(normal.alarms * normal.windows)
    status, remark = as_asked(count, normal.windows, rate)
    text = (
        f"False alarms: {count} of {normal.windows} normal windows ({percent(normal.alarms)}); "
        f"{asked(figures)} was asked for.{remark}"
    )
    if normal.events_per_hour is not None:
        needed, windows = figures.bundle.calibration.vote_alarms, figures.bundle.calibration.vote_windows
        text += f" After the vote ({needed} of {windows} windows): {normal.events_per_hour:.1f} events an hour."
    if (vote := figures.promise.vote) is not None:
        low, high = figure(vote.events_low), figure(vote.events_high)
        text += f" False events to expect a day, by what was learnt: {figure(vote.events_per_day)} ({low} to {high})."
    if figures.held_back:
        text += " These windows also set the threshold, so this figure flatters: other recordings may give more."
    return status, text


def as_asked(count: int, windows: int, rate: float) -> tuple[Status, str]:
    """Alarms among normal windows and the rate that was asked for in; whether that fits, and a remark or "", out."""
    ratio, chance = count / windows / rate, by_chance(count, windows, rate)
    status: Status = "good" if ratio <= _MANY or chance >= _CHANCE else "look" if ratio <= _TOO_MANY else "bad"
    if too_few(windows, rate) and (status == "good" or chance >= _HARDLY):
        return "look", " So few windows do not tell."
    return status, " With so few windows that may be chance." if ratio > _MANY and status == "good" else ""


def too_few(windows: int, rate: float) -> bool:
    """Whether normal windows are so few that a detector with far too many false alarms might show none in them."""
    return bool((1 - min(_TOO_MANY * rate, 1.0)) ** windows > _CHANCE)


def _promise(figures: Figures, alarms: Status) -> list[tuple[Status, str]]:
    """Whether the rate holds for other days, as far as the normal data tell; these recordings may tell otherwise."""
    trust = figures.promise.trust
    if trust is None:
        return []
    if trust.promised:
        note = f" {trust.note}" if trust.note else ""
        if alarms != "good":
            text = (
                f"Other days: nothing in the data that were learnt spoke against {asked(figures)}, but these do.{note}"
            )
            return [("look", text)]
        return [("good", f"Other days: nothing in the normal data speaks against {asked(figures)}.{note}")]
    return [("look", f"Other days: {asked(figures)} cannot be promised. {' '.join(trust.warnings)}")]


def by_chance(count: int, windows: int, rate: float) -> float:
    """The chance that so many or more of independent windows are alarms where each is one at this rate (binomial)."""
    fewer = (
        math.exp(
            math.lgamma(windows + 1)
            - math.lgamma(i + 1)
            - math.lgamma(windows - i + 1)
            + i * math.log(rate)
            + (windows - i) * math.log1p(-rate)
        )
        for i in range(count)
    )
    return max(0.0, 1.0 - math.fsum(fewer))


def _kinds(faults: Sequence[Row], *, made_up: bool) -> tuple[Status, str]:
    what = "built-in changes of normal motion" if made_up else "kinds of abnormal motion"
    groups = {status: [row for row in faults if found(row) == status] for status in ("good", "look", "bad")}
    whole = groups["good"]
    text = f"Found: {len(whole)} of {len(faults)} {what}" + (f" ({_list(whole)})." if whole else ".")
    if groups["look"]:
        text += f" Found in part: {_list(groups['look'])}."
    if groups["bad"]:
        text += f" Missed: {_list(groups['bad'])}."
    quiet = [row for row in faults if silent(row) and found(row) != "bad"]
    if quiet:
        text += f" {'; '.join(map(_without_event, quiet))}."
    if made_up:
        text += " No recordings of faults were given; these are computed stand-ins, not real faults."
    missed = len(groups["bad"])
    sure = all(_sure(row) for row in faults)
    return ("good" if sure else "bad" if missed == len(faults) else "look"), text


def _without_event(row: Row) -> str:
    """In how many recordings of a kind, though its windows raise alarms, there are never enough for an event."""
    stretches = 1 if row.group is None else row.group.stretches
    return f"{row.kind}: no event" + (f" in {silent(row)} of {stretches} recordings" if stretches > 1 else "")


def _against_baseline(faults: Sequence[Row]) -> list[tuple[Status, str]]:
    rivals = list(faults[0].baseline_auroc) if faults else []
    if not rivals:
        return []
    means = {name: sum(row.baseline_auroc[name] for row in faults) / len(faults) for name in rivals}
    best = max(means, key=lambda name: means[name])
    ours, theirs = sum(row.auroc or 0.0 for row in faults) / len(faults), means[best]
    text = f"mean AUROC {ours:.3f}, the best simple detector ({NAMES.get(best, best)}) {theirs:.3f}."
    if theirs > ours + _BEATEN:
        return [("look", f"A simple detector does better here: {text}")]
    if ours > theirs + _BEATEN:
        return [("good", f"It beats a simple detector: {text}")]
    return [("good", f"A simple detector does as well here: {text}")]


def percent(share: float) -> str:
    """A share as text: 0.0123 as 1.2 %."""
    return f"{100 * share:.1f} %"


def asked(figures: Figures) -> str:
    """The false alarms that the threshold was set for, as text."""
    return figures.promise.asked(figures.bundle.calibration.false_alarm_rate)


def _list(rows: Sequence[Row]) -> str:
    return ", ".join(row.kind for row in rows if row.kind != NORMAL)
