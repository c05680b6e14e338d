"""The models of a fleet in, one self-contained HTML page out: which device to look at, which threshold not to trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gyrovae_tf.learn.fleetpage import HEAD, MOST, NOTES, cells, left_out
from gyrovae_tf.learn.fleetrecord import REPORT, STATUS, Model, Need, Standing
from gyrovae_tf.learn.markup import data_table, document, escaped, mark, refusals, small_print, three, verdict
from gyrovae_tf.ranking import RISING
from gyrovae_tf.wording import false_events

if TYPE_CHECKING:
    from gyrovae_tf.learn.fleet import Fleet

WORDS: dict[Need, str] = {"events": "events", "no model": "no model", "look": "look", "doubt": "doubt", "good": "OK"}
"""What a mark says."""
_MEANS: dict[Need, str] = {
    "events": "the vote over windows in a row held on motion that was to be scored: abnormal for more than a moment",
    "no model": "it could not be made; nothing watches them",
    "look": "many more alarms than the threshold was set for, scores that rose by "
    f"{100 * RISING - 100:.0f} % and more, recordings that could not be scored, or events in what the model held back",
    "doubt": "nothing of that, but the threshold cannot be promised or the data are odd: see the models below",
    "good": "none of it",
}


def trained_page(fleet: Fleet) -> str:
    """What `fleet` found out in, the page's HTML out: no script, nothing to load but the reports that it links to."""
    return document(
        "Fleet: which device to look at, and which model",
        f"""{_verdict(fleet)}
<section id="devices"><h2>Devices, those that need attention first</h2>
{_devices(fleet)}
</section>
{refusals("failed", "Models that could not be made", "Nothing watches their devices.", fleet.failed)}\
{refusals("refused", "Recordings that could not be scored", "Nothing above is of them.", fleet.unscored)}\
<section id="models"><h2>Models</h2>
{_models(fleet)}
</section>""",
    )


def _verdict(fleet: Fleet) -> str:
    counts: dict[Need, int] = {need: sum(one.need == need for one in fleet.devices) for need in STATUS}
    total = len(fleet.devices)
    worst: Need = next((need for need, count in counts.items() if count), "good")
    headline = {
        "events": f"{counts['events']:,} of {total:,} devices had events.",
        "no model": f"{counts['no model']:,} of {total:,} devices have no model.",
        "look": f"No events; {counts['look']:,} of {total:,} devices are worth a look.",
        "doubt": f"Nothing stands out; {counts['doubt']:,} of {total:,} devices have a model that is to be doubted.",
        "good": f"Nothing stands out among {total:,} devices.",
    }[worst]
    points = [(STATUS[need], WORDS[need], f"{counts[need]:,}: {text}") for need, text in _MEANS.items()]
    return verdict(STATUS[worst], headline, points)


def _devices(fleet: Fleet) -> str:
    head = ["device", "", "model", "mostly", "motion", *HEAD]
    rows = [
        [escaped(one.name), mark(one.status, WORDS[one.need]), _linked(one.model), *_scores(one)]
        for one in fleet.devices[:MOST]
    ]
    notes = [
        "Order: those with events by the share of windows in them; then those without a model; then those with many "
        "alarms or rising scores; then those of a doubtful model; within each by alarms and upper score.",
        "Motion: scored, recordings that the model never saw; held back, what was kept from its training because "
        "nothing else was to be scored. The threshold was set on that, too, so its figures flatter.",
        f"Alarms: share of windows that score 1.0 or more; {_asked(fleet)}. Event: "
        f"{_vote(fleet)} windows in a row that share no samples began to be alarms. In events: share of windows where "
        "it held.",
        *NOTES,
    ]
    return data_table(head, rows, "wwwwww") + small_print([*left_out(fleet.devices), *notes])


def _scores(one: Standing) -> list[str]:
    if one.judged is None:
        return [""] * (2 + len(HEAD))
    figures = one.judged.figures
    return [escaped(figures.why), "held back" if one.judged.held_back else "scored", *cells(figures)]


def _linked(model: Model) -> str:
    # The folder's name is of plain characters alone, whatever the model's is.
    return f'<a href="#model-{model.folder}">{escaped(model.name)}</a>'


def _models(fleet: Fleet) -> str:
    reports = any(model.report for model in fleet.models)
    head = ["model", "", *["report"] * reports, "devices", "recordings", "minutes", "windows"]
    head += ["epochs", "error", "AUROC", "bytes"]
    rows, doubts = [], []
    for model in fleet.models[:MOST]:
        need: Need = "no model" if model.failed else "doubt" if model.doubts else "good"
        doubts.append(escaped(model.failed or " ".join(model.doubts)))
        name = f'<span id="model-{model.folder}">{escaped(model.name)}</span>'
        rows.append([name, mark(STATUS[need], WORDS[need])])
        if reports:
            rows[-1].append(f'<a href="models/{model.folder}/{REPORT}">report</a>' if model.report else "")
        rows[-1].append(f"{len(model.devices):,}")
        if model.failed:
            rows[-1] += [""] * (len(head) - len(rows[-1]))
            continue
        rows[-1] += [f"{model.recordings:,}", f"{model.minutes:,.1f}", f"{model.windows:,}", f"{model.epochs}"]
        rows[-1] += [f"{model.error:.3f}", three(model.auroc), f"{model.bytes:,}"]
    notes = [
        "Below a model to be doubted: why the rate of false alarms cannot be promised for other days, and what is odd "
        "in the data.",
        "Minutes and windows: normal motion that it learnt from. Error: mean squared error on held-back windows. "
        "AUROC: how well it tells held-back windows from the same with a built-in change, in a trial on half of them, "
        "which is not what its report shows; 1 always, 0.5 a coin.",
        "A model's run is in models/, its dataset in datasets/, under the model's name where that is a plain one; "
        "fleet.json has the names of the folders.",
    ]
    if len(fleet.models) > MOST:
        notes.insert(0, f"{len(fleet.models) - MOST:,} models are not listed.")
    return data_table(head, rows, "www" if reports else "ww", doubts) + small_print(notes)


def _asked(fleet: Fleet) -> str:
    rates = [model.false_alarm_rate for model in fleet.models if not model.failed]
    low, high = (f"{100 * rate:.3g} %" for rate in (min(rates, default=0.0), max(rates, default=0.0)))
    share = low if low == high else f"{low} to {high}, by model,"
    events = next((model.events_per_day for model in fleet.models if model.events_per_day is not None), None)
    if events is None:
        return f"on normal motion {share} was asked for"
    return f"{false_events(events)} was asked for of each device: thresholds were set for {share} of normal windows"


def _vote(fleet: Fleet) -> str:
    votes = sorted({model.vote for model in fleet.models if model.vote})
    return " or ".join(f"{alarms} of {windows}" for alarms, windows in votes) or "enough of the latest"
