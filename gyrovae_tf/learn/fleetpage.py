"""The scores of a fleet in, one self-contained HTML page that ranks its devices by need of attention out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from gyrovae_tf.errors import atomic_write
from gyrovae_tf.learn.markup import check_page, data_table, document, escaped, mark, refusals, small_print, verdict
from gyrovae_tf.learn.promise import promise
from gyrovae_tf.ranking import RISING, Device, Status
from gyrovae_tf.wording import score

if TYPE_CHECKING:
    from gyrovae_tf.scoring import Scored

_WORDS: dict[Status, str] = {"bad": "events", "look": "look", "good": "OK"}
_WIDTH, _HEIGHT = 128, 36  # of a curve
MOST = 2000
"""Devices that a page lists; the rest needs attention least."""
HEAD = ("score over time", "alarms", "events", "in events", "median", "upper", "trend", "hours", "windows")
"""Columns of what the scores of a device come to; the first is a picture."""
NOTES = (
    "Median and upper: what half of the windows and what one in twenty exceed, to 1 %. Trend: the median of the last "
    "third of a device's windows over that of the first, its recordings in the order of their names.",
    "Score over time: line, the median; bars, the highest score; dashes, the alarm at 1.0. Logarithmic, 0.1 to 10.",
    "Mostly: the top reason of most of its alarms.",
)
"""What these columns mean."""


def write_fleet_page(scored: Scored, path: str | PathLike[str]) -> Path:
    """What `score_recordings` returned in; the page written to `path`, wholly or not at all; that path out."""
    check_page(path)
    atomic_write(path, fleet_page(scored))
    return Path(path)


def fleet_page(scored: Scored) -> str:
    """What `score_recordings` returned in, the page's HTML out: nothing to load, no script."""
    return document(
        "Fleet: which device to look at",
        f"""{_verdict(scored)}
<section id="devices"><h2>Devices, those that need attention first</h2>
{_devices(scored)}
</section>
{_refused(scored)}<section id="origin"><h2>What this is made from</h2>
{_origin(scored)}
</section>""",
    )


def _verdict(scored: Scored) -> str:
    counts = {status: sum(device.status == status for device in scored.devices) for status in _WORDS}
    worst = next(status for status in _WORDS if counts[status] or status == "good")
    headline = {
        "bad": f"{counts['bad']:,} of {len(scored.devices):,} devices had events.",
        "look": f"No events; {counts['look']:,} of {len(scored.devices):,} devices are worth a look.",
        "good": f"Nothing stands out among {len(scored.devices):,} devices.",
    }[worst]
    points: dict[Status, str] = {
        "bad": "the vote over windows in a row held: motion was abnormal for more than a moment",
        "look": f"many more alarms than the threshold was set for, or scores that rose by {100 * RISING - 100:.0f} % "
        "and more",
        "good": "neither",
    }
    return verdict(worst, headline, [(s, _WORDS[s], f"{counts[s]:,}: {text}") for s, text in points.items()])


def _devices(scored: Scored) -> str:
    rows = [
        [escaped(device.name), mark(device.status, _WORDS[device.status]), escaped(device.why), *cells(device)]
        for device in scored.devices[:MOST]
    ]
    calibration = scored.bundle.calibration
    asked = promise(scored.bundle).asked(calibration.false_alarm_rate)
    vote = f"{calibration.vote_alarms} of {calibration.vote_windows} windows in a row that share no samples"
    notes = [
        "Order: those with events by the share of windows in them; then those with many alarms or rising scores; then "
        "the others; within each by alarms and upper score.",
        f"Alarms: share of windows that score 1.0 or more; on normal motion {asked} was asked for. Event: {vote} began "
        f"to be alarms; windows begin every {scored.hop} samples. In events: share of windows where it held.",
        *NOTES,
    ]
    return data_table(["device", "", "mostly", *HEAD], rows, "wwww") + small_print([*left_out(scored.devices), *notes])


def left_out(devices: Sequence[object]) -> list[str]:
    """What to say about devices that are too many to be listed."""
    more = len(devices) - MOST
    return [f"{more:,} devices that need attention least are not listed."] if more > 0 else []


def cells(device: Device) -> list[str]:
    """What the scores of a device come to, in the columns of `HEAD`."""
    return [
        _curve(device),
        f"{100 * device.alarm_rate:.1f}&#160;%",
        f"{device.events:,}",
        f"{100 * device.in_events:.1f}&#160;%",
        *(score(value) for value in (device.median, device.upper)),
        "" if device.trend is None else f"{device.trend:.2f}",
        f"{device.hours:,.2f}",
        f"{device.windows:,}",
    ]


def _curve(device: Device) -> str:
    """A device's scores over time as a small SVG."""
    step = _WIDTH / len(device.curve)
    places = [(index + 0.5) * step for index in range(len(device.curve))]
    line = " ".join(f"{x:.1f},{_y(score):.1f}" for x, score in zip(places, device.curve, strict=True))
    bars = "".join(
        f'<line x1="{x:.1f}" y1="{_y(median):.1f}" x2="{x:.1f}" y2="{_y(peak):.1f}" />'
        for x, median, peak in zip(places, device.curve, device.peaks, strict=True)
    )
    alarm = _y(1.0)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="width: {_WIDTH}px" role="img" '
        f'aria-label="score over time, highest {score(device.highest)}">'
        f'<g stroke="var(--grid)" stroke-width="{max(step - 0.5, 0.5):.1f}">{bars}</g>'
        f'<line x1="0" y1="{alarm:.1f}" x2="{_WIDTH}" y2="{alarm:.1f}" stroke="var(--alarm)" stroke-dasharray="3 3" />'
        f'<polyline points="{line}" fill="none" stroke="var(--normal)" stroke-width="1.5" /></svg>'
    )


def _y(score: float) -> float:
    share = (math.log10(min(max(score, 0.1), 10.0)) + 1) / 2
    return _HEIGHT - 1 - share * (_HEIGHT - 2)


def _refused(scored: Scored) -> str:
    if not scored.refused:
        return ""
    title = "Recordings that could not be scored"
    return refusals("refused", title, "Nothing above is of them.", scored.refused)


def _origin(scored: Scored) -> str:
    rows = [
        ["scores", escaped(str(scored.path))],
        ["recordings", f"{scored.recordings:,}"],
        ["windows", f"{scored.windows:,}, {scored.hop} samples apart"],
        ["detector", escaped(f"{scored.bundle.model_sha256[:16]}, on {scored.kernels}")],
    ]
    return data_table(["", ""], rows, "ww")
