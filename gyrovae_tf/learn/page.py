"""Figures in, one self-contained HTML page out: nothing to load, no script, readable on a phone and in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gyrovae_tf.learn import charts, details, pictures
from gyrovae_tf.learn.evaluate import Group
from gyrovae_tf.learn.figures import Example, Figures, Row
from gyrovae_tf.learn.health import Check, Status
from gyrovae_tf.learn.markup import (
    WORDS,
    data_table,
    document,
    escaped,
    mark,
    side_by_side,
    small_print,
    three,
    unparted,
)
from gyrovae_tf.learn.motion import NAMES, NORMAL
from gyrovae_tf.learn.verdict import Verdict, asked, found, percent
from gyrovae_tf.learn.views import SEES, in_words
from gyrovae_tf.signal.score import Reason
from gyrovae_tf.spec import AXES
from gyrovae_tf.wording import many, score

_FOUND: dict[Status, str] = {"good": "found", "look": "in part", "bad": "missed"}
_PIXEL_LIMIT, _DEVIATION_LIMIT = 4.0, 6.0
_OPEN = 2  # examples that are unfolded


def page(figures: Figures, verdict: Verdict, health: Sequence[Check]) -> str:
    """All that a report shows in, its HTML out."""
    sections = [
        ("results", "Kinds of motion", _results(figures)),
        ("scores", "Scores", _scores(figures)),
        ("trust", "How far to trust the threshold", details.trust(figures)),
        ("roc", "Against simple detectors", _roc(figures)),
        ("worst", "Worst windows, explained", _worst(figures)),
        ("images", "What the model sees", _images(figures)),
        ("health", "The data's health", details.health(figures, health)),
        ("training", "Training", details.training(figures)),
        ("latent", "Latent space", details.latent(figures)),
        ("int8", "Float against int8", details.agreement(figures)),
        ("device", "On the device", details.device(figures)),
        ("origin", "What this is made from", details.origin(figures)),
    ]
    return shell(f"Detector report: {figures.run.path.resolve().name}", verdict, sections)


def shell(title: str, verdict: Verdict, sections: Sequence[tuple[str, str, str]]) -> str:
    """A title, the verdict and sections (name, title, HTML) in, the whole page out."""
    links = " ".join(f'<a href="#{name}">{escaped(title)}</a>' for name, title, _ in sections)
    body = "\n".join(
        f'<section id="{name}"><h2>{escaped(title)}</h2>\n{content}\n</section>' for name, title, content in sections
    )
    return document(title, f'{_top(verdict)}\n<nav aria-label="Contents">{links}</nav>\n{body}')


def _top(verdict: Verdict) -> str:
    points = "\n".join(
        f"<li>{mark(status, WORDS[status])} <span>{unparted(escaped(text))}</span></li>"
        for status, text in verdict.points
    )
    # No line may end within an option: what is copied from two lines is another command.
    whole = (
        re.sub(r"--[\w-]+|gyrovae-tf", r'<span class="word">\g<0></span>', escaped(step)) for step in verdict.steps
    )
    steps = "\n".join(f"<li>{step}</li>" for step in whole)
    return (
        f'<section id="verdict" class="verdict {verdict.status}">\n'
        f'<p class="headline">{escaped(verdict.headline)}</p>\n'
        f'<ul class="points">\n{points}\n</ul>\n<h3>What to do next</h3>\n<ol>\n{steps}\n</ol>\n</section>'
    )


def _results(figures: Figures) -> str:
    rivals = list(figures.rows[-1].baseline_auroc)
    counted = any(row.events_per_hour is not None for row in figures.rows)
    head = ["motion", "", *["event"] * counted, "alarms", "AUROC", *(escaped(NAMES.get(name, name)) for name in rivals)]
    head += ["events/h"] * counted + ["windows"]
    rows = []
    for row in figures.rows:
        cells = [escaped(row.kind), _verdict_of(row), *[_event(row.group)] * counted]
        cells += [percent(row.alarms), three(row.auroc)]
        cells += [three(row.baseline_auroc.get(name)) for name in rivals]
        if counted:
            cells.append("" if row.events_per_hour is None else f"{row.events_per_hour:.1f}")
        rows.append([*cells, f"{row.windows:,}"])
    notes = [
        "Alarms: share of windows that score 1.0 or more; on normal motion these are false alarms, and "
        f"{asked(figures)} was asked for.",
        "AUROC: the chance that a window of this kind scores higher than a normal one; 1 always, 0.5 a coin.",
        "Found: at least half of the windows raise an alarm; in part: at least a tenth.",
    ]
    if rivals:
        names = ", ".join(NAMES.get(name, name) for name in rivals)
        notes.append(f"{names}: AUROC of simple detectors on the same windows.")
    if figures.evaluation is not None and not counted:
        windows = many(figures.bundle.calibration.vote_alarms, "window")
        notes.append(f"Events could not be counted: no recording is long enough for {windows} that share no samples.")
    if counted:
        notes += _about_events(figures)
    table = data_table(head, rows, "www" if counted else "ww")
    return _normal_note(figures) + _stand_in_note(figures) + table + small_print(notes)


def _event(group: Group | None) -> str:
    """Whether the vote found a kind of abnormal motion, in how many of its stretches, and when."""
    if group is None or not group.abnormal:
        return ""
    if not group.votable:
        return "too short"
    if group.delay_s is None:
        return "none"
    where = "" if group.stretches == 1 else f"in {group.told} of {group.stretches}, "
    return f"{where}after {group.delay_s:.1f}&#160;s"


def _about_events(figures: Figures) -> list[str]:
    calibration, spec = figures.bundle.calibration, figures.bundle.spec
    vote = f"{calibration.vote_alarms} of {calibration.vote_windows} windows in a row that share no samples"
    hop = figures.normal.hop
    return [
        f"Event: whether {vote} are alarms at any time, in how many recordings (a gap makes two of one), and the mean "
        "time from their beginning to that. It is the delay of an alarm where the fault is there from the start.",
        f"Events an hour: how often {vote} began to be alarms; a fault that is seen all the time is one event. Windows "
        f"here begin {hop} samples ({hop / spec.rate_hz:.2g} s) apart; the more of them, the more events.",
    ]


def _verdict_of(row: Row) -> str:
    return "" if row.kind == NORMAL else mark(found(row), _FOUND[found(row)])


def _normal_note(figures: Figures) -> str:
    if not figures.held_back:
        return ""
    text = (
        "Normal motion here is what the dataset held back: the training never saw it, but the score's regimes were "
        "fitted to it, too, and the threshold was set on it."
    )
    if figures.normal.windows is None:
        text += (
            " This dataset holds images only, not the windows, so built-in changes could not be tried. "
            "Preprocess the recordings again, or give recordings with --normal."
        )
    used, of = len(figures.normal.score), len(figures.data.validation_images)
    if used < of:
        text += f" These are {used:,} of the {of:,} windows that were held back: stretches evenly spaced over the time."
    return f'<p class="lead">{escaped(text)}</p>'


def _stand_in_note(figures: Figures) -> str:
    if not figures.stand_ins:
        return ""
    items = "".join(f"<li><b>{escaped(kind)}</b>: {escaped(what)}</li>" for kind, what in figures.stand_ins.items())
    return (
        '<p class="lead"><b>Synthetic:</b> no recordings of faults were given. What stands in for them below is normal '
        "motion, changed by computation. It tells what the detector can notice at all, not how it does on your "
        f"machine's faults.</p><details><summary>The built-in changes</summary><ul>{items}</ul></details>"
    )


def _scores(figures: Figures) -> str:
    normal = figures.normal
    borders = [i for i in range(1, len(normal.score)) if normal.segments[i] != normal.segments[i - 1]]
    step_s = normal.hop / figures.bundle.spec.rate_hz
    marked = " Grey lines: another recording or a gap." if 0 < len(borders) <= charts.MOST_BORDERS else ""
    by_kind = {kind: motion.score for kind, motion in figures.motions.items()}
    return side_by_side(
        (
            charts.histograms(by_kind),
            "How often each score occurs. The farther a kind lies to the right of the red line, the surer it is found.",
        ),
        (
            charts.over_time(normal.score, borders, step_s),
            "Scores of normal motion over time. Red dots are false alarms: a cluster means that something changed "
            f"then, lone dots are chance.{marked}",
        ),
    )


def _roc(figures: Figures) -> str:
    kinds = [kind for kind in figures.motions if kind != NORMAL]
    if not kinds:
        return '<p class="lead">No abnormal motion to compare on.</p>'
    detectors = ["this detector", *figures.normal.distance]
    normal = {"this detector": figures.normal.score, **figures.normal.distance}
    cells = []
    for number, kind in enumerate(kinds):
        fault = {"this detector": figures.motions[kind].score, **figures.motions[kind].distance}
        cells.append(
            f'<figure class="roc"><figcaption>{escaped(kind)}</figcaption>'
            f"{charts.roc(number, kind, normal, fault)}</figure>"
        )
    key = " ".join(
        f'<span class="key line{index}">{escaped(NAMES.get(name, name))}</span>' for index, name in enumerate(detectors)
    )
    return f'<p class="keys">{key}</p><div class="rocs">{"".join(cells)}</div>' + small_print(
        [
            "Up: share of abnormal windows found. Right: share of normal windows that raise an alarm for it. The "
            "nearer a curve comes to the upper left corner, the better; the diagonal is guessing.",
            "Where a simple detector does as well, believe it: simple machines have simple answers.",
        ]
    )


def _worst(figures: Figures) -> str:
    items = "\n".join(
        f"<li><b>{escaped(e.kind)}</b>{_made_up(e, figures)} scores <b>{score(e.score)}</b> in {escaped(e.source)} at "
        f"{e.start_s:.1f} s.<br />{_seen_by(e)}<br />"
        f'<span class="why">{_reasons(e.reasons)}</span></li>'
        for e in figures.worst
    )
    return (
        f'<ul class="worst">\n{items}\n</ul>\n'
        + small_print(
            [
                "The highest scores of each kind, and of normal motion: where to look first. Score 1.0 is the alarm.",
                "Last line: what deviates most in the view of bands: axis, frequency and how far about it, louder or "
                "quieter than normal, and its part of that deviation. Where another view has the largest part, it is "
                "not the whole story.",
                f"Views: the score is the mean of what {len(figures.bundle.calibration.views)} views of a window add; "
                f"where all see it alike, each has {100 / len(figures.bundle.calibration.views):.0f} %. They look at:",
            ]
        )
        + _views(figures)
    )


def _seen_by(example: Example) -> str:
    return unparted(escaped(f"Parts of the score: {in_words(example.shares)}."))


def _views(figures: Figures) -> str:
    items = "".join(
        f"<li><b>{escaped(name)}</b>: {escaped(SEES[name])}</li>" for name in figures.bundle.calibration.views
    )
    return f'<ul class="notes">{items}</ul>'


def _made_up(example: Example, figures: Figures) -> str:
    return " (synthetic)" if example.kind in figures.stand_ins else ""


def _images(figures: Figures) -> str:
    bands = figures.bundle.spec.bands
    low, high = bands[0].center_hz, bands[-1].center_hz
    ms = figures.bundle.spec.window_ms
    intro = small_print(
        [
            f"Scalogram: power by frequency (up, {low:.3g} to {high:.3g} Hz) over time (right, {ms:.0f} ms), one image "
            "an axis; red is more than normal motion's mean, blue less, full colour 4 standard deviations.",
            "Field: which amplitude levels follow one another (Markov transition field), time against time.",
            f"Rebuilt: what the int8 model makes of it. {pictures.REBUILT}",
            "Deviation: what explanations are read from. Each axis (rows) and band (columns, low to high frequency) "
            "against what is normal in this regime.",
        ]
    )
    cards = [_example(number, example, figures) for number, example in enumerate(figures.examples)]
    return intro + "\n".join(cards)


def _example(number: int, example: Example, figures: Figures) -> str:
    spec = figures.bundle.spec
    lowest, highest = spec.bands[0].center_hz, spec.bands[-1].center_hz
    left = ""
    if example.motion is not None:
        wave = charts.waveform(number, example.motion, spec.rate_hz, spec.units)
        left += f"<figure>{wave}<figcaption>motion about its mean, {escaped(spec.units)}</figcaption></figure>"
    strip = pictures.heat(example.deviation[::-1], max(_DEVIATION_LIMIT, float(abs(example.deviation).max())))
    left += (
        f'<figure class="strip"><img src="{strip}" alt="deviation by axis and band" />'
        f"<figcaption>deviation: x, y, z down; {lowest:.3g} to {highest:.3g} Hz across</figcaption></figure>"
    )
    pairs = [f'<div class="pair">{left}</div>']
    for index, name in enumerate(("scalogram", "field")):
        both = "".join(
            _picture(pictures.heat(pictures.axes_side_by_side(image[index]), _PIXEL_LIMIT), f"{name}, {what}")
            for what, image in (("seen", example.seen), ("rebuilt", example.rebuilt))
        )
        pairs.append(f'<div class="pair">{both}</div>')
    state = " open" if number < _OPEN else ""
    return (
        f'<details class="card"{state}><summary><b>{escaped(example.kind)}</b>{_made_up(example, figures)}: a typical '
        f"window, score {score(example.score)}</summary>\n<p>{escaped(example.source)} at {example.start_s:.1f} s. "
        f"{_seen_by(example)} Bands: {_reasons(example.reasons)}.</p>\n"
        f'<div class="pictures">{"".join(pairs)}</div></details>'
    )


def _picture(source: str, caption: str) -> str:
    axes = "".join(f"<span>{axis}</span>" for axis in AXES)
    return (
        f'<figure><div class="axes">{axes}</div><img src="{source}" alt="{escaped(caption)}" />'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )


def _reasons(reasons: Iterable[Reason]) -> str:
    texts = [
        f"{escaped(reason.axis)} near {reason.center_hz:.3g} Hz ({reason.low_hz:.3g} to {reason.high_hz:.3g}) "
        f"{escaped(reason.direction)}, {100 * reason.share:.0f}&#160;%"
        for reason in reasons
    ]
    return "; ".join(texts) if texts else "nothing deviates"
