"""Figures in, the sections of a report for who wants to know more out: data, training, quantisation, device."""

from __future__ import annotations

from collections.abc import Sequence

from gyrovae_tf.learn import charts
from gyrovae_tf.learn.figures import Figures
from gyrovae_tf.learn.health import Check, Status
from gyrovae_tf.learn.latent import ALIKE, carries
from gyrovae_tf.learn.markup import WORDS, data_table, escaped, mark, side_by_side, small_print, unparted
from gyrovae_tf.learn.speed import shares
from gyrovae_tf.learn.trust import Trust, odd_share
from gyrovae_tf.learn.vae import BRANCHES
from gyrovae_tf.learn.verdict import asked, false_alarms, percent
from gyrovae_tf.lint import check
from gyrovae_tf.signal.cost import MOST_MACS, MOST_SCORE_BYTES, MOST_TABLE_BYTES, frontend_cost
from gyrovae_tf.wording import figure


def trust(figures: Figures) -> str:
    """Figures in, how far the threshold and the vote can be trusted on other days out."""
    known, rate = figures.promise.trust, asked(figures)
    if known is None:
        return '<p class="lead">This detector does not tell how it was calibrated. Quantise its run again.</p>'
    status: Status = "look"
    if known.promised:
        sentence = f"Nothing in the normal data speaks against {rate} as false alarms on other days."
        status = false_alarms(figures)[0]
        if status != "good":
            sentence += f" But the normal recordings it was tried on do: {percent(figures.rows[0].alarms)}."
    else:
        sentence = f"The normal data do not allow to promise {rate} as false alarms on other days:"
    items = "".join(f"<li>{escaped(text)}</li>" for text in known.warnings)
    vote = figures.promise.vote
    notes = [text for text in (known.note, *(vote.warnings if vote else ())) if text]
    return (
        f'<p class="lead">{mark(status, WORDS[status])} {escaped(sentence)}</p>'
        + (f'<ul class="lead">{items}</ul>' if items else "")
        + data_table(["", "value", ""], [[escaped(cell) for cell in row] for row in _promised(figures)], "wnw")
        + small_print(notes)
        + _left_out(known, figures.bundle.calibration.false_alarm_rate)
    )


def _promised(figures: Figures) -> list[list[str]]:
    """What is known of the threshold and the vote: name, value, meaning."""
    tail, known, vote = figures.promise.threshold, figures.promise.trust, figures.promise.vote
    rows = []
    if tail is not None:
        span = f"{figure(100 * tail.rate_low)} to {figure(100 * tail.rate_high)} %"
        meaning = (
            f"of windows are false alarms (95 % interval) for more time of the same kind; {asked(figures)} was asked"
        )
        rows.append(["rate", span, meaning])
        meaning = f"95 % interval {tail.low:.3g} to {tail.high:.3g}; scores are divided by it, so that 1.0 is the alarm"
        if tail.extrapolated:
            meaning += "; it lies beyond what was seen"
        rows.append(["threshold", f"{tail.threshold:.3g}", meaning])
    if known is not None:
        meaning = f"as good as {known.effective_windows:,.0f} independent ones; {known.minutes:.1f} minutes in "
        meaning += "one recording" if known.recordings == 1 else f"{known.recordings} recordings"
        rows.append(["normal windows", f"{known.windows:,}", meaning])
    if vote is not None:
        rule = f"{vote.alarms} of {vote.windows} windows, {vote.hop_s:.2g} s apart"
        most = figure(vote.events_high)
        if vote.events_per_day > 0:
            value, span = f"{figure(vote.events_per_day)} a day", f"95 % interval {figure(vote.events_low)} to {most}"
        else:
            value, span = f"0 to {most} a day", "none was seen"
        rows.append(["false events", value, f"to expect after the vote ({rule}); {span}"])
        if "1" in vote.delay_s:
            meaning = "from a fault's first window to an event where all its windows are alarms"
            for share, part in (("0.9", "nine in ten"), ("0.5", "half")):
                meaning += f"; {vote.delay_s[share]:.1f} s where {part} are" if share in vote.delay_s else ""
            rows.append(["delay", f"{vote.delay_s['1']:.1f} s", meaning])
    return rows


def _left_out(known: Trust, rate: float) -> str:
    if not known.left_out_rates:
        return ""
    return side_by_side(
        (
            charts.left_out(known.left_out_rates, rate, odd_share(rate), 60 * known.minutes),
            f"Normal motion in {len(known.left_out_rates)} stretches of time. A bar: which part of one would have been "
            "alarms had the threshold been set without it. The line is the rate asked for. Single bars above it "
            f"are chance; a red one (above {100 * odd_share(rate):.3g} %) is a stretch unlike the rest.",
        )
    )


def health(figures: Figures, health: Sequence[Check]) -> str:
    """Figures and the checks of the data in, the section on the data out."""
    items = "\n".join(
        f"<li>{mark(check.status, WORDS[check.status])} <div><b>{escaped(check.name)}</b>{_after_colon(check.value)}"
        f"<br />{escaped(check.meaning)}</div></li>"
        for check in health
    )
    return f'<ul class="checks">\n{items}\n</ul>\n' + side_by_side(
        (
            charts.spectrum(figures.bundle.spec),
            "Normal motion by frequency: the mean power of each axis, and one standard deviation about it (shaded). "
            "A fault in a band with a wide shade is hard to see; in one with a narrow shade, easy.",
        )
    )


def _after_colon(value: str) -> str:
    return f": {unparted(escaped(value))}" if value else ""


def training(figures: Figures) -> str:
    """Figures in, the curves of the training out."""
    metrics = figures.run.metrics
    best = int(metrics["best_epoch"])
    text = (
        f"{metrics['epochs']} epochs, of which number {best} is kept. Mean squared error on held-back windows "
        f"{metrics['validation_error']:.3f} (1 would be a model that knows nothing)."
    )
    return f'<p class="lead">{escaped(text)}</p>' + side_by_side(
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


def latent(figures: Figures) -> str:
    """Figures in, what the latent space carries out."""
    latent = figures.run.metrics["latent"]
    use = {branch: latent[branch] for branch in BRANCHES if branch in latent}
    head = ["image", "nats", "error", "error from another's code", ""]
    rows = [
        [
            escaped(branch),
            f"{sum(one['kl']):.1f}",
            f"{one['error']:.3f}",
            f"{one['shuffled_error']:.3f}",
            mark("good", "used") if carries(one) else mark("look", "unused"),
        ]
        for branch, one in use.items()
    ]
    alike = f'<p class="lead">{escaped(ALIKE)}</p>' if "alike" in figures.run.metrics else ""
    return (
        alike
        + data_table(head, rows, "wnnnw")
        + side_by_side(
            (
                charts.latent({branch: one["kl"] for branch, one in use.items()}),
                "What each latent unit carries (KL, in nats). Units near 0 are spare; all near 0 is a collapsed model.",
            )
        )
        + small_print(
            ["Error from another's code: a code that matters makes a much larger error when it is exchanged."]
        )
    )


def agreement(figures: Figures) -> str:
    """Figures in, the comparison of the float model with the int8 one out."""
    both = figures.agreement
    still = ~both.abnormal
    ratio = float(both.int8_error[still].mean() / both.float_error[still].mean())
    rise = round(100 * (ratio - 1), 1) + 0.0  # never -0.0
    normal = both.pixels[still].mean(axis=0)
    change = figure(max(100 * both.change, 0.001)).removeprefix("under ")  # below it stands "less than"
    text = (
        f"On {len(both.float_error)} windows the int8 model's images were compared with the float model's. They differ "
        f"by {normal[0]:.2f} (scalogram) and {normal[1]:.2f} (field) pixel steps on average on normal motion"
    )
    if both.abnormal.any():
        other = both.pixels[both.abnormal].mean(axis=0)
        text += f", by {other[0]:.2f} and {other[1]:.2f} on abnormal motion"
    text += (
        "; one step is 1/32 standard deviation. The reconstruction error of normal motion changes by "
        f"{rise:+.1f} %. In half of the windows the score changes by less than {change} %; in "
        f"{percent(both.same_side)} both models agree on whether it is an alarm."
    )
    rows = [
        [escaped(kind), f"{exact:.3f}", f"{rounded:.3f}", f"{round(rounded - exact, 3) + 0.0:+.3f}"]
        for kind, (exact, rounded) in both.aurocs().items()
    ]
    return (
        f'<p class="lead">{escaped(text)}</p>'
        + side_by_side(
            (
                charts.agreement(both.float_score, both.int8_score, both.abnormal),
                "Scores of the same windows. Dots on the diagonal: quantisation cost nothing. Right of the upright red "
                "line the float model raises an alarm, above the level one the int8 model.",
            )
        )
        + (data_table(["AUROC on these windows", "float", "int8", "change"], rows, "w") if rows else "")
        + small_print(["All other scores and AUROCs on this page are those of the int8 model, on all windows."])
    )


def device(figures: Figures) -> str:
    """Figures in, size and estimated cost on the device out."""
    model, spec, bundle = figures.model, figures.bundle.spec, figures.bundle
    cost, checked = frontend_cost(spec), check(bundle.model)
    parts, ms, table_bytes = shares(checked.layers), checked.estimate.ms, bundle.calibration.table_bytes
    arena = "not measured" if bundle.arena is None else f"{bundle.arena.host_bytes:,} bytes"
    facts = [
        ["model", f"{model.size_bytes:,} bytes", "in flash"],
        [
            "front end's tables",
            f"{cost.total_table_bytes:,} bytes",
            f"in flash; {_limit(cost.total_table_bytes, MOST_TABLE_BYTES)}",
        ],
        ["score's tables", f"{table_bytes:,} bytes", f"in flash; {_limit(table_bytes, MOST_SCORE_BYTES)}"],
        [
            "tensor arena",
            arena,
            "in RAM; the smallest that works on a PC"
            + ("" if bundle.arena is None else f"; reserve {bundle.arena.suggested_bytes:,}"),
        ],
        ["activations", f"{model.activation_bytes:,} bytes", "in RAM at one time; the arena is larger than this"],
        [
            "multiply-accumulates, model",
            f"{model.macs:,}",
            f"a window; {percent(_share(checked.accelerated_macs, checked.macs))} in kernels that ESP-NN accelerates",
        ],
        [
            "multiply-accumulates, front end",
            f"{cost.total_macs:,}",
            f"a window, in integers; {_limit(cost.total_macs, MOST_MACS)}",
        ],
        ["time, model (estimate)", f"{ms:.1f} ms", f"of the {spec.window_ms:.0f} ms that a window lasts"],
    ]
    rows = [
        [escaped(p.name), str(p.count), f"{p.macs:,}", "yes" if p.accelerated else "no", f"{p.ms:.2f}"] for p in parts
    ]
    stages = [[escaped(stage), f"{macs:,}"] for stage, macs in cost.macs.items()]
    return (
        data_table(["", "value", ""], [[escaped(cell) for cell in fact] for fact in facts], "wnw")
        + small_print(
            [
                f"The time is an estimate for {checked.title}, not a measurement. {checked.estimate.method}",
            ]
        )
        + "<details><summary>Operators and stages</summary>"
        + data_table(["operator", "how often", "MACs", "accelerated", "ms (estimate)"], rows, "wnnwn")
        + data_table(["stage of the front end", "MACs"], stages, "wn")
        + "</details>"
    )


def _limit(count: int, most: int) -> str:
    return f"the limit is {most:,}" + (", which this exceeds" if count > most else "")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def origin(figures: Figures) -> str:
    """Figures in, what the detector was made of and tried on out."""
    bundle, spec, options = figures.bundle, figures.bundle.spec, figures.run.options
    facts = [
        ("window", f"{spec.window} samples at {spec.rate_hz:g} Hz ({spec.window_ms:.0f} ms)"),
        ("one count", f"{spec.lsb:g} {spec.units}"),
        ("bands", f"{len(spec.bands)} from {spec.bands[0].center_hz:.3g} to {spec.bands[-1].center_hz:.3g} Hz"),
        ("threshold", f"false alarms: {asked(figures)}"),
        (
            "views (regimes)",
            ", ".join(f"{name} ({len(view.codes)})" for name, view in bundle.calibration.views.items()),
        ),
        ("vote", f"{bundle.calibration.vote_alarms} of {bundle.calibration.vote_windows} windows"),
        ("training", f"seed {options.seed}, batch {options.batch}, beta {options.beta:g}"),
        ("spec digest", spec.digest),
        ("model SHA-256", bundle.model_sha256),
        *((f"version of {name}", version) for name, version in sorted(bundle.versions.items())),
    ]
    rows = [[escaped(name), escaped(value)] for name, value in facts]
    sources = "".join(f"<li>{escaped(source)}</li>" for source in figures.data.sources)
    tried = "".join(
        f"<li><b>{escaped(kind)}</b>: {escaped(', '.join(motion.sources))}</li>"
        for kind, motion in figures.motions.items()
        if kind not in figures.stand_ins
    )
    return (
        data_table(["", ""], rows, "ww")
        + f"<details><summary>Recordings</summary><p>Learnt from:</p><ul>{sources}</ul>"
        + f"<p>Tried on:</p><ul>{tried}</ul></details>"
    )
