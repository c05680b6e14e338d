"""Numbers in, charts out: SVG text to be put into a page.

Every chart is the same bytes for the same numbers, loads nothing, and takes its colours from the page's style sheet
(CSS custom properties), so that light and dark are one chart.
"""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.spec import AXES, FRACTION, GAIN_SHIFT, PIXEL, Spec
from gyrovae_tf.wording import unit_of_time

# Stand-ins that Matplotlib draws with, and the custom properties that take their place in the SVG.
_COLOURS = {
    "ink": "#010203",
    "muted": "#040506",
    "grid": "#070809",
    "normal": "#0a0b0c",
    "fault": "#0d0e0f",
    "alarm": "#101112",
    "other": "#131415",
    "third": "#161718",
}
_AXES = tuple(zip(AXES, ("normal", "fault", "third"), ("-", (0, (5, 1.5)), (0, (1.5, 1))), strict=True))
"""Each axis with its colour and its line: not everybody tells the colours apart."""
_LEAST_SCORE, _MOST_SCORE = 0.05, 100.0
_TICKS, _MORE_TICKS = (1, 3), (1, 2, 5)
_FEWEST_TICKS = 3
_ROOM = (0.5, 2.0)  # a score axis goes so far at the least: three ticks have room
_PLACES = 360  # places along a time axis, at the most
MOST_BORDERS = 40
"""Lines between recordings that a chart shows; more would hide the scores."""
_DECIBELS_AN_OCTAVE = 10 * math.log10(2)


@contextmanager
def _chart(width: float, height: float) -> Iterator[Any]:
    """A Matplotlib figure of this size in inches, drawn in our style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink, muted, grid = _COLOURS["ink"], _COLOURS["muted"], _COLOURS["grid"]
    style: Any = {
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.labelsize": 9.5,
        "axes.labelcolor": muted,
        "axes.edgecolor": muted,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlecolor": ink,
        "axes.unicode_minus": True,
        "axes.facecolor": "none",
        "axes.axisbelow": True,
        "figure.facecolor": "none",
        "text.color": ink,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "grid.color": grid,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "lines.linewidth": 1.6,
        "path.simplify": False,
    }
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style would make other bytes
        mpl.rcParams.update(style)
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Any, name: str, label: str) -> str:
    """A figure in, its SVG element out, under ids that begin with `name` and with a label for screen readers."""
    import matplotlib as mpl

    out = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the page's font draws the text, not Matplotlib's
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    # Only tags are changed, never text: a kind of motion may be called anything.
    text = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], name, used), text)
    head, rest = text.split(">", 1)
    (box,) = re.findall(r'viewBox="[^"]+"', head)
    head = (
        f'<svg {box} role="img" aria-label="{html.escape(label)}" xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink"'
    )
    return re.sub(r"\n\s*", "\n", f"{head}>{rest}").strip()


def _tag(tag: str, name: str, used: set[str]) -> str:
    """One tag in; out with custom properties as colours, the page's font, two decimals, and ids of its own."""
    for colour, stand_in in _COLOURS.items():
        tag = tag.replace(stand_in, f"var(--{colour})")
    tag = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag)
    tag = re.sub(r"font: (?:\w+ )?([\d.]+px) [^;\"]*", r"font-size: \1", tag)
    tag = re.sub(r"font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", tag)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)


def training(log: Mapping[str, Sequence[float]], best_epoch: int, column: str, label: str, name: str) -> str:
    """Columns of a run's log in; the curve of one of them, on training and on held-back windows, out."""
    with _chart(4.2, 2.6) as figure:
        axes = figure.add_subplot()
        axes.plot(log["epoch"], log[column], color=_COLOURS["muted"], label="training")
        axes.plot(log["epoch"], log[f"val_{column}"], color=_COLOURS["normal"], label="held back")
        axes.axvline(best_epoch, color=_COLOURS["ink"], linewidth=0.8, linestyle=(0, (2, 2)), label="kept")
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        figure.legend(ncols=3, loc="outside upper left")
        return _svg(figure, name, f"{label} over epochs")


def latent(kl: Mapping[str, Sequence[float]]) -> str:
    """Divergence of each unit in nats, by branch, in; bars, largest first, out."""
    with _chart(4.2, 2.4) as figure:
        axes = figure.subplots(1, len(kl), sharey=True, squeeze=False)[0]
        for place, (branch, units) in zip(axes, kl.items(), strict=True):
            place.bar(range(1, len(units) + 1), sorted(units, reverse=True), color=_COLOURS["normal"], width=0.7)
            place.set(title=branch, xlabel="unit, most used first")
            place.set_xticks(range(1, len(units) + 1, 1 if len(units) < 12 else 4))
            place.grid(axis="y")
        axes[0].set_ylabel("nats")
        return _svg(figure, "latent", "What each latent unit carries, in nats")


def spectrum(spec: Spec) -> str:
    """A front end in; the mean power of normal motion by frequency, with one standard deviation about it, out."""
    hertz = [band.center_hz for band in spec.bands]
    with _chart(4.2, 2.8) as figure:
        axes = figure.add_subplot()
        for axis, (name, colour, line) in enumerate(_AXES):
            mean = np.array(spec.power_mean[axis]) / FRACTION * _DECIBELS_AN_OCTAVE
            gain = np.maximum(np.array(spec.power_gain[axis]), 1)
            spread = PIXEL * (1 << GAIN_SHIFT) / gain / FRACTION * _DECIBELS_AN_OCTAVE
            axes.fill_between(hertz, mean - spread, mean + spread, color=_COLOURS[colour], alpha=0.15, linewidth=0)
            axes.plot(hertz, mean, color=_COLOURS[colour], linestyle=line, label=name)
        axes.set(xlabel="Hz", ylabel="power, dB")
        axes.grid(axis="y")
        figure.legend(ncols=3, loc="outside upper left")
        axes.margins(x=0.02)
        return _svg(figure, "spectrum", "Mean power of normal motion by frequency, for each axis")


def histograms(scores: Mapping[str, NDArray[np.float64]]) -> str:
    """Scores by kind of motion, "normal" first, in; a histogram of each above one logarithmic axis out."""
    edges = np.geomspace(_LEAST_SCORE, _MOST_SCORE, 67)
    with _chart(4.2, 0.8 + 0.52 * len(scores)) as figure:
        rows = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (kind, values) in zip(rows, scores.items(), strict=True):
            shares = np.histogram(np.clip(values, _LEAST_SCORE, _MOST_SCORE * 0.999), edges)[0] / len(values)
            colour = _COLOURS["normal" if kind == "normal" else "fault"]
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.85)
            axes.axvline(1.0, color=_COLOURS["alarm"], linewidth=1.2)
            axes.set_xscale("log")
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="x", which="both", length=0)
            name = _short(kind)
            axes.annotate(
                name, (0, 1), xycoords="axes fraction", va="top", fontsize=9, parse_math=False, color=_COLOURS["ink"]
            )
        rows[-1].set(xlim=(_LEAST_SCORE, _MOST_SCORE), xlabel="score (the red line is the alarm)")
        _score_axis(rows[-1].xaxis)
        rows[-1].tick_params(axis="x", which="major", length=3)
        return _svg(figure, "histograms", "Histograms of scores by kind of motion, with the threshold at 1")


def roc(number: int, kind: str, normal: Mapping[str, NDArray[np.float64]], fault: Mapping[str, Any]) -> str:
    """Scores of normal windows and of one kind, each by detector, ours first, in; their ROC curves out."""
    with _chart(2.1, 1.85) as figure:
        axes = figure.add_subplot()
        styles = [("normal", "-"), ("other", "--"), ("third", ":"), ("fault", (0, (1, 2)))]
        axes.plot([0, 1], [0, 1], color=_COLOURS["grid"], linewidth=0.8)
        for (detector, scores), (colour, line) in zip(normal.items(), styles, strict=False):
            alarms, found = roc_points(scores, np.asarray(fault[detector]))
            axes.plot(alarms, found, color=_COLOURS[colour], linestyle=line, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        return _svg(figure, f"roc{number}", f"ROC curve of {kind}")


def roc_points(normal: NDArray[np.float64], fault: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores of normal and abnormal windows in; false-alarm rates and shares found, from (0, 0) to (1, 1), out."""
    levels = np.unique(np.concatenate([normal, fault]))[::-1]
    alarms = 1 - np.searchsorted(np.sort(normal), levels, side="left") / len(normal)
    found = 1 - np.searchsorted(np.sort(fault), levels, side="left") / len(fault)
    alarms, found = np.concatenate([[0.0], alarms]), np.concatenate([[0.0], found])
    # Points amid a straight horizontal or vertical stretch are not needed.
    flat = (np.diff(alarms)[:-1] == 0) & (np.diff(alarms)[1:] == 0)
    flat |= (np.diff(found)[:-1] == 0) & (np.diff(found)[1:] == 0)
    kept = np.concatenate([[True], ~flat, [True]])
    return alarms[kept], found[kept]


def over_time(scores: NDArray[np.float64], borders: Sequence[int], step_s: float) -> str:
    """Scores of normal windows in time order, where a new recording begins, and a window's step in seconds in.

    The scores over time out: alarms as dots. With very many windows each place shows the range of its scores.
    """
    unit, unit_name = unit_of_time(len(scores) * step_s)
    step = step_s / unit
    at = (np.arange(len(scores)) + 0.5) * step
    shown = np.clip(scores, _LEAST_SCORE, _MOST_SCORE)
    parts = np.array_split(np.arange(len(scores)), min(_PLACES, len(scores)))
    place = np.array([at[part].mean() for part in parts])
    low, high = (np.array([pick(shown[part]) for part in parts]) for pick in (np.min, np.max))
    with _chart(4.2, 2.6) as figure:
        axes = figure.add_subplot()
        for border in borders if len(borders) <= MOST_BORDERS else ():
            axes.axvline(border * step, color=_COLOURS["grid"], linewidth=0.8)
        axes.fill_between(place, low, high, color=_COLOURS["normal"], alpha=0.35, linewidth=0)
        axes.plot(place, np.sqrt(low * high), color=_COLOURS["normal"], linewidth=0.9)
        over = high >= 1.0
        axes.plot(place[over], high[over], linestyle="", marker="o", markersize=3.2, color=_COLOURS["alarm"])
        axes.axhline(1.0, color=_COLOURS["alarm"], linewidth=1.2)
        axes.set_yscale("log")
        axes.set(xlabel=f"{unit_name} of normal motion", ylabel="score")
        axes.set_ylim(min(max(_LEAST_SCORE, float(low.min()) * 0.8), _ROOM[0]), max(float(high.max()) * 1.25, _ROOM[1]))
        _score_axis(axes.yaxis)
        axes.margins(x=0.01)
        return _svg(figure, "time", "Scores of normal motion over time")


def agreement(float32: NDArray[np.float64], int8: NDArray[np.float64], abnormal: NDArray[np.bool_]) -> str:
    """Scores of the same windows by the float and the int8 model in; one against the other out."""
    with _chart(4.2, 2.9) as figure:
        axes = figure.add_subplot()
        float32, int8 = (np.clip(scores, _LEAST_SCORE, _MOST_SCORE) for scores in (float32, int8))
        both = np.concatenate([float32, int8])
        ends = [min(float(both.min()) * 0.9, _ROOM[0]), max(float(both.max()) * 1.1, _ROOM[1])]
        axes.plot(ends, ends, color=_COLOURS["muted"], linewidth=0.8)
        for line in (axes.axhline, axes.axvline):
            line(1.0, color=_COLOURS["alarm"], linewidth=0.8)
        for chosen, colour, label in ((~abnormal, "normal", "normal"), (abnormal, "fault", "abnormal")):
            if chosen.any():
                dots = {"linestyle": "", "marker": "o", "markersize": 2.6, "alpha": 0.6, "markeredgewidth": 0}
                axes.plot(float32[chosen], int8[chosen], color=_COLOURS[colour], label=label, **dots)
        axes.set(xscale="log", yscale="log", xlabel="score, float model", ylabel="score, int8 model")
        axes.set(xlim=ends, ylim=ends)
        for axis in (axes.xaxis, axes.yaxis):
            _score_axis(axis)
        figure.legend(ncols=2, loc="outside upper left", handletextpad=0.2, markerscale=2)
        return _svg(figure, "agreement", "Scores of the int8 model against those of the float model")


def left_out(shares: Sequence[float], rate: float, odd: float, seconds: float) -> str:
    """Block by block the share of alarms had it been left out, the rate asked for, the share from which a block is
    unlike the others, and the seconds that all cover in; a bar a block out.
    """
    unit, unit_name = unit_of_time(seconds)
    with _chart(4.2, 2.4) as figure:
        axes = figure.add_subplot()
        width = seconds / unit / len(shares)
        place = (np.arange(len(shares)) + 0.5) * width
        colours = [_COLOURS["alarm" if share > odd else "normal"] for share in shares]
        axes.bar(place, [100 * share for share in shares], width=0.8 * width, color=colours)
        axes.axhline(100 * rate, color=_COLOURS["alarm"], linewidth=1.2)
        axes.set(xlabel=f"{unit_name} of normal motion", ylabel="alarms, %")
        axes.set(xlim=(0, seconds / unit), ylim=(0, max(400 * rate, 110 * max(shares))))
        axes.grid(axis="y")
        return _svg(figure, "leftout", "Alarms in each stretch of normal motion, had the threshold been set without it")


def waveform(number: int, motion: NDArray[np.float64], rate_hz: float, units: str) -> str:
    """One window's motion [N, 3] about its mean in; its three axes over time out."""
    with _chart(3.1, 1.9) as figure:
        axes = figure.add_subplot()
        ms = np.arange(len(motion)) * 1000 / rate_hz
        for axis, (name, colour, line) in enumerate(_AXES):
            axes.plot(ms, motion[:, axis], color=_COLOURS[colour], linestyle=line, linewidth=0.8, label=name)
        axes.set(xlabel="ms", ylabel=_short(units, 12))
        axes.margins(x=0.01)
        axes.grid(axis="y")
        figure.legend(ncols=3, loc="outside upper left", handlelength=2.4)
        return _svg(figure, f"wave{number}", "The window's motion about its mean")


def _short(text: str, longest: int = 28) -> str:
    """Text in one line of at most so many characters."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _score_axis(axis: Any) -> None:
    """Ticks of a logarithmic score axis, whose limits are set, as plain numbers, if it can be three or more."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axis.get_view_interval()
    ticks = [tick for tick in _score_ticks(_TICKS) if low <= tick <= high]
    if len(ticks) < _FEWEST_TICKS:
        ticks = [tick for tick in _score_ticks(_MORE_TICKS) if low <= tick <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _score_ticks(steps: Sequence[int]) -> list[float]:
    """Where ticks can be in each decade that scores are drawn in."""
    return [step * decade for decade in (0.01, 0.1, 1.0, 10.0, 100.0) for step in steps]
