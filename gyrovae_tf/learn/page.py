"""Figures in, one self-contained HTML page out: nothing to load, no script, readable on a phone and in the dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources

from gyrovae_tf.learn import charts
from gyrovae_tf.learn.figures import NORMAL, Example, Figures, Row
from gyrovae_tf.learn.health import Check, Status
from gyrovae_tf.learn.latent import carries
from gyrovae_tf.learn.speed import shares
from gyrovae_tf.learn.vae import BRANCHES
from gyrovae_tf.learn.verdict import Verdict, asked, found, percent
from gyrovae_tf.signal.cost import frontend_cost
from gyrovae_tf.signal.score import Reason
from gyrovae_tf.spec import AXES

STYLE = "page.css"
_WORDS: dict[Status, str] = {"good": "OK", "look": "look", "bad": "problem"}
_FOUND: dict[Status, str] = {"good": "found", "look": "in part", "bad": "missed"}
_PIXEL_LIMIT, _DEVIATION_LIMIT = 4.0, 6.0
_OPEN = 2  # examples that are unfolded
_NAMES = {"mahalanobis": "Mahalanobis", "knn": "nearest neighbours", "energy": "energy"}


def page(figures: Figures, verdict: Verdict, health: Sequence[Check]) -> str:
    """All that a report shows in, its HTML out."""
    sections = [
        ("results", "Kinds of motion", _results(figures)),
        ("scores", "Scores", _scores(figures)),
        ("roc", "Against simple detectors", _roc(figures)),
        ("worst", "Worst windows, explained", _worst(figures)),
        ("images", "What the model sees", _images(figures)),
        ("health", "The data's health", _health(figures, health)),
        ("training", "Training", _training(figures)),
        ("latent", "Latent space", _latent(figures)),
        ("int8", "Float against int8", _agreement(figures)),
        ("device", "On the device", _device(figures)),
        ("origin", "What this is made from", _origin(figures)),
    ]
    links = " ".join(f'<a href="#{name}">{_text(title)}</a>' for name, title, _ in sections)
    body = "\n".join(
        f'<section id="{name}"><h2>{_text(title)}</h2>\n{content}\n</section>' for name, title, content in sections
    )
    title = f"Detector report: {figures.run.path.resolve().name}"
    style = resources.files("gyrovae_tf.learn").joinpath(STYLE).read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>{_text(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{_text(title)}</h1>
{_top(verdict)}
<nav aria-label="Contents">{links}</nav>
{body}
</main>
</body>
</html>
"""


def _top(verdict: Verdict) -> str:
    points = "\n".join(
        f"<li>{_pill(status, _WORDS[status])} <span>{_text(text)}</span></li>" for status, text in verdict.points
    )
    steps = "\n".join(f"<li>{_text(step)}</li>" for step in verdict.steps)
    return (
        f'<section id="verdict" class="verdict {verdict.status}">\n<p class="headline">{_text(verdict.headline)}</p>\n'
        f'<ul class="points">\n{points}\n</ul>\n<h3>What to do next</h3>\n<ol>\n{steps}\n</ol>\n</section>'
    )


def _results(figures: Figures) -> str:
    rivals = list(figures.rows[-1].baseline_auroc)
    head = ["motion", "", "alarms", "AUROC", *(_text(_NAMES.get(name, name)) for name in rivals), "events/h", "windows"]
    rows = []
    for row in figures.rows:
        cells = [_text(row.kind), _verdict_of(row), percent(row.alarms), _three(row.auroc)]
        cells += [_three(row.baseline_auroc.get(name)) for name in rivals]
        cells += ["" if row.events_per_hour is None else f"{row.events_per_hour:.1f}", f"{row.windows:,}"]
        rows.append(cells)
    notes = [
        "Alarms: share of windows that score 1.0 or more; on normal motion these are false alarms, and "
        f"{asked(figures)} was asked for.",
        "AUROC: the chance that a window of this kind scores higher than a normal one; 1 always, 0.5 a coin.",
        "Found: at least half of the windows raise an alarm; in part: at least a tenth.",
    ]
    if rivals:
        names = ", ".join(_NAMES.get(name, name) for name in rivals)
        notes.append(f"{names}: AUROC of simple detectors on the same windows.")
    if any(row.events_per_hour is not None for row in figures.rows):
        calibration = figures.bundle.calibration
        notes.append(
            f"Events an hour: how often {calibration.vote_alarms} of {calibration.vote_windows} windows in a row began "
            "to be alarms."
        )
    return _normal_note(figures) + _stand_in_note(figures) + _table(head, rows, "ww") + _notes(notes)


def _verdict_of(row: Row) -> str:
    return "" if row.kind == NORMAL else _pill(found(row), _FOUND[found(row)])


def _normal_note(figures: Figures) -> str:
    if not figures.held_back:
        return ""
    text = (
        "Normal motion here is what the dataset held back: the training never saw it, but the threshold was set on it."
    )
    if figures.normal.windows is None:
        text += (
            " This dataset holds images only, not the windows, so built-in changes could not be tried. "
            "Preprocess the recordings again, or give recordings with --normal."
        )
    return f'<p class="lead">{_text(text)}</p>'


def _stand_in_note(figures: Figures) -> str:
    if not figures.stand_ins:
        return ""
    items = "".join(f"<li><b>{_text(kind)}</b>: {_text(what)}</li>" for kind, what in figures.stand_ins.items())
    return (
        '<p class="lead"><b>Synthetic:</b> no recordings of faults were given. What stands in for them below is normal '
        "motion, changed by computation. It tells what the detector can notice at all, not how it does on your "
        f"machine's faults.</p><details><summary>The built-in changes</summary><ul>{items}</ul></details>"
    )


def _scores(figures: Figures) -> str:
    normal = figures.normal
    borders = [i for i in range(1, len(normal.score)) if normal.segments[i] != normal.segments[i - 1]]
    step = normal.hop / figures.bundle.spec.rate_hz / 60
    by_kind = {kind: motion.score for kind, motion in figures.motions.items()}
    return _charts(
        (
            charts.histograms(by_kind),
            "How often each score occurs. The farther a kind lies to the right of the red line, the surer it is found.",
        ),
        (
            charts.over_time(normal.score, borders, step),
            "Scores of normal motion over time. Red dots are false alarms: a cluster means that something changed "
            "then, lone dots are chance. Grey lines: another recording or a gap.",
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
            f'<figure class="roc"><figcaption>{_text(kind)}</figcaption>'
            f"{charts.roc(number, kind, normal, fault)}</figure>"
        )
    key = " ".join(
        f'<span class="key line{index}">{_text(_NAMES.get(name, name))}</span>' for index, name in enumerate(detectors)
    )
    return f'<p class="keys">{key}</p><div class="rocs">{"".join(cells)}</div>' + _notes(
        [
            "Up: share of abnormal windows found. Right: share of normal windows that raise an alarm for it. The "
            "nearer a curve comes to the upper left corner, the better; the diagonal is guessing.",
            "Where a simple detector does as well, believe it: simple machines have simple answers.",
        ]
    )


def _worst(figures: Figures) -> str:
    items = "\n".join(
        f"<li><b>{_text(e.kind)}</b>{_made_up(e, figures)} scores <b>{e.score:.2f}</b> in {_text(e.source)} at "
        f'{e.start_s:.1f} s: <span class="why">{_reasons(e.reasons)}</span></li>'
        for e in figures.worst
    )
    return f'<ul class="worst">\n{items}\n</ul>\n' + _notes(
        [
            "The highest scores of each kind, and of normal motion: where to look first. Score 1.0 is the alarm.",
            "After the colon: axis, frequency, louder or quieter than normal, and its part of the score.",
        ]
    )


def _made_up(example: Example, figures: Figures) -> str:
    return " (synthetic)" if example.kind in figures.stand_ins else ""


def _images(figures: Figures) -> str:
    bands = figures.bundle.spec.bands
    low, high = bands[0].center_hz, bands[-1].center_hz
    ms = figures.bundle.spec.window_ms
    intro = _notes(
        [
            f"Scalogram: power by frequency (up, {low:.3g} to {high:.3g} Hz) over time (right, {ms:.0f} ms), one image "
            "an axis; red is more than normal motion's mean, blue less, full colour 4 standard deviations.",
            "Field: which amplitude levels follow one another (Markov transition field), time against time.",
            "Rebuilt: what the int8 model makes of it. It has learnt normal motion only, so what is missing in the "
            "rebuilt image is what it does not know.",
            "Deviation: the score's material. Each axis (rows) and band (columns, low to high frequency) against what "
            "is normal in this regime.",
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
        left += f"<figure>{wave}<figcaption>motion about its mean, {_text(spec.units)}</figcaption></figure>"
    strip = charts.heat(example.deviation[::-1], max(_DEVIATION_LIMIT, float(abs(example.deviation).max())))
    left += (
        f'<figure class="strip"><img src="{strip}" alt="deviation by axis and band" />'
        f"<figcaption>deviation: x, y, z down; {lowest:.3g} to {highest:.3g} Hz across</figcaption></figure>"
    )
    pictures = [f'<div class="pair">{left}</div>']
    for index, name in enumerate(("scalogram", "field")):
        both = "".join(
            _picture(charts.heat(charts.axes_side_by_side(image[index]), _PIXEL_LIMIT), f"{name}, {what}")
            for what, image in (("seen", example.seen), ("rebuilt", example.rebuilt))
        )
        pictures.append(f'<div class="pair">{both}</div>')
    state = " open" if number < _OPEN else ""
    return (
        f'<details class="card"{state}><summary><b>{_text(example.kind)}</b>{_made_up(example, figures)}: a typical '
        f"window, score {example.score:.2f}</summary>\n<p>{_text(example.source)} at {example.start_s:.1f} s. "
        f'{_reasons(example.reasons)}</p>\n<div class="pictures">{"".join(pictures)}</div></details>'
    )


def _picture(source: str, caption: str) -> str:
    axes = "".join(f"<span>{axis}</span>" for axis in AXES)
    return (
        f'<figure><div class="axes">{axes}</div><img src="{source}" alt="{_text(caption)}" />'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _health(figures: Figures, health: Sequence[Check]) -> str:
    rows = [
        [_pill(check.status, _WORDS[check.status]), _text(check.name), _text(check.value), _text(check.meaning)]
        for check in health
    ]
    table = _table(["", "what", "value", "what it means"], rows, "wwww")
    return table + _charts(
        (
            charts.spectrum(figures.bundle.spec),
            "Normal motion by frequency: the mean power of each axis, and one standard deviation about it (shaded). "
            "A fault in a band with a wide shade is hard to see; in one with a narrow shade, easy.",
        )
    )


def _training(figures: Figures) -> str:
    metrics = figures.run.metrics
    best = int(metrics["best_epoch"])
    text = (
        f"{metrics['epochs']} epochs, of which number {best} is kept. Mean squared error on held-back windows "
        f"{metrics['validation_error']:.3f} (1 would be a model that knows nothing)."
    )
    return f'<p class="lead">{_text(text)}</p>' + _charts(
        (
            charts.training(figures.log, best, "error", "squared error a pixel", "error"),
            "Reconstruction error. If the held-back curve turns up while training goes on down, the model learns by "
            "heart: more data helps.",
        ),
        (
            charts.training(figures.log, best, "kl", "divergence, nats", "kl"),
            "How much the code says about a window (Kullback-Leibler divergence of all latent units).",
        ),
    )


def _latent(figures: Figures) -> str:
    latent = figures.run.metrics["latent"]
    use = {branch: latent[branch] for branch in BRANCHES if branch in latent}
    head = ["image", "nats", "error", "error from another's code", ""]
    rows = [
        [
            _text(branch),
            f"{sum(one['kl']):.1f}",
            f"{one['error']:.3f}",
            f"{one['shuffled_error']:.3f}",
            _pill("good", "used") if carries(one) else _pill("look", "unused"),
        ]
        for branch, one in use.items()
    ]
    return (
        _table(head, rows, "wnnnw")
        + _charts(
            (
                charts.latent({branch: one["kl"] for branch, one in use.items()}),
                "What each latent unit carries (KL, in nats). Units near 0 are spare; all near 0 is a collapsed model.",
            )
        )
        + _notes(["Error from another's code: a code that matters makes a much larger error when it is exchanged."])
    )


def _agreement(figures: Figures) -> str:
    both = figures.agreement
    rise = float(both.int8_error.mean() / both.float_error.mean() - 1)
    normal = both.pixels[~both.abnormal].mean(axis=0)
    text = (
        f"On {len(both.float_error)} windows the int8 model's images were compared with the float model's. They differ "
        f"by {normal[0]:.2f} (scalogram) and {normal[1]:.2f} (field) pixel steps on average on normal motion"
    )
    if both.abnormal.any():
        other = both.pixels[both.abnormal].mean(axis=0)
        text += f", by {other[0]:.2f} and {other[1]:.2f} on abnormal motion"
    text += f"; one step is 1/32 standard deviation. The reconstruction error changes by {100 * rise:+.1f} %."
    return f'<p class="lead">{_text(text)}</p>' + _charts(
        (
            charts.agreement(both.float_error, both.int8_error, both.abnormal),
            "Reconstruction error of the same windows. Dots on the line: quantisation cost nothing. All scores and "
            "AUROCs on this page are those of the int8 model.",
        )
    )


def _device(figures: Figures) -> str:
    model, spec, bundle = figures.model, figures.bundle.spec, figures.bundle
    cost, parts = frontend_cost(spec), shares(figures.model)
    ms = sum(part.ms for part in parts)
    arena = "not measured" if bundle.arena_bytes is None else f"{bundle.arena_bytes:,} bytes"
    facts = [
        ["model", f"{model.size_bytes:,} bytes", "in flash"],
        ["front end's tables", f"{cost.total_table_bytes:,} bytes", "in flash"],
        ["tensor arena", arena, "in RAM; the smallest that works"],
        ["activations", f"{model.activation_bytes:,} bytes", "in RAM at one time; the arena is larger than this"],
        [
            "multiply-accumulates, model",
            f"{model.macs:,}",
            f"a window; {percent(_share(model.accelerated_macs, model.macs))} in kernels that ESP-NN accelerates",
        ],
        ["multiply-accumulates, front end", f"{cost.total_macs:,}", "a window of three axes, in integers"],
        ["time, model (estimate)", f"{ms:.1f} ms", f"of the {spec.window_ms:.0f} ms that a window lasts"],
    ]
    rows = [
        [_text(p.name), str(p.count), f"{p.macs:,}", "yes" if p.accelerated else "no", f"{p.ms:.2f}"] for p in parts
    ]
    stages = [[_text(stage), f"{macs:,}"] for stage, macs in cost.macs.items()]
    return (
        _table(["", "value", ""], [[_text(cell) for cell in fact] for fact in facts], "wnw")
        + _notes(
            [
                "The time is an estimate for an ESP32-S3 at 240 MHz with ESP-NN, not a measurement: published cycles a "
                "multiply-accumulate (1.3 in FULLY_CONNECTED, 6.3 in a convolution from 3 channels, 1.8 in other "
                "accelerated operators, 77 in the rest). Copies (RESHAPE, TRANSPOSE ...), the front end and the score "
                "are not in it.",
            ]
        )
        + "<details><summary>Operators and stages</summary>"
        + _table(["operator", "how often", "MACs", "accelerated", "ms (estimate)"], rows, "wnnwn")
        + _table(["stage of the front end", "MACs"], stages, "wn")
        + "</details>"
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _origin(figures: Figures) -> str:
    bundle, spec, options = figures.bundle, figures.bundle.spec, figures.run.options
    facts = [
        ("window", f"{spec.window} samples at {spec.rate_hz:g} Hz ({spec.window_ms:.0f} ms)"),
        ("one count", f"{spec.lsb:g} {spec.units}"),
        ("bands", f"{len(spec.bands)} from {spec.bands[0].center_hz:.3g} to {spec.bands[-1].center_hz:.3g} Hz"),
        ("threshold", f"for {asked(figures)} false alarms"),
        ("vote", f"{bundle.calibration.vote_alarms} of {bundle.calibration.vote_windows} windows"),
        ("training", f"seed {options.seed}, batch {options.batch}, beta {options.beta:g}"),
        ("spec digest", spec.digest),
        ("model SHA-256", bundle.model_sha256),
        *((f"version of {name}", version) for name, version in sorted(bundle.versions.items())),
    ]
    rows = [[_text(name), _text(value)] for name, value in facts]
    sources = "".join(f"<li>{_text(source)}</li>" for source in figures.data.sources)
    tried = "".join(
        f"<li><b>{_text(kind)}</b>: {_text(', '.join(motion.sources))}</li>"
        for kind, motion in figures.motions.items()
        if kind not in figures.stand_ins
    )
    return (
        _table(["", ""], rows, "ww")
        + f"<details><summary>Recordings</summary><p>Learnt from:</p><ul>{sources}</ul>"
        + f"<p>Tried on:</p><ul>{tried}</ul></details>"
    )


def _reasons(reasons: Iterable[Reason]) -> str:
    texts = [
        f"{_text(reason.axis)} near {reason.center_hz:.3g} Hz {_text(reason.direction)} ({100 * reason.share:.0f} %)"
        for reason in reasons
    ]
    return "; ".join(texts) if texts else "nothing deviates"


def _charts(*pairs: tuple[str, str]) -> str:
    cells = "".join(
        f'<figure class="chart">{svg}<figcaption>{_text(text)}</figcaption></figure>' for svg, text in pairs
    )
    return f'<div class="charts">{cells}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], columns: str) -> str:
    """HTML cells as a table; `columns` has a w for each column of words, the others hold numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        kinds = columns.ljust(len(cells), "n")
        return "".join(
            f"<{tag}>{cell}</{tag}>" if kind == "w" else f'<{tag} class="number">{cell}</{tag}>'
            for cell, kind in zip(cells, kinds, strict=True)
        )

    header = f"<thead><tr>{row(head, 'th')}</tr></thead>\n" if any(head) else ""
    body = "\n".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f'<div class="scroll" tabindex="0"><table>\n{header}<tbody>\n{body}\n</tbody>\n</table></div>\n'


def _notes(texts: Iterable[str]) -> str:
    return '<div class="notes">' + "".join(f"<p>{_text(text)}</p>" for text in texts) + "</div>\n"


def _pill(status: Status, word: str) -> str:
    return f'<span class="pill {status}">{_text(word)}</span>'


def _three(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"


def _text(text: str) -> str:
    """Text that may have come from a user, safe in HTML, in one line."""
    return html.escape(" ".join("".join(sign if sign.isprintable() else " " for sign in text).split()))
