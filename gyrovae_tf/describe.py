"""A run, a bundle or a .tflite in, what it holds as tables out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import MANIFEST, STOCK, SUFFIX, Bundle, frontend_of, read_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.stockbundle import StockBundle, is_stock
from gyrovae_tf.stockspec import RATE_HZ, UNITS, WINDOW
from gyrovae_tf.target import DEFAULT, find_target
from gyrovae_tf.wording import figure, many

RUN = "run.json"
_DATASET = "dataset.json"
_LARGEST_RECORD = 256 << 20  # bytes: a large dataset names thousands of files

Section = tuple[str, list[list[str]]]


@dataclass(frozen=True)
class Description:
    """Tables for people, and the same facts for scripts."""

    facts: dict[str, Any]
    """JSON-ready values."""
    sections: tuple[Section, ...]
    """(title, rows of cells); the first row is the header."""

    def to_dict(self) -> dict[str, Any]:
        """The facts."""
        return self.facts


def describe(path: str | PathLike[str]) -> Description:
    """The path of a run, a bundle, a dataset or any .tflite in, a `Description` out; `GyrovaeError` for all else."""
    place = Path(path)
    try:
        if not place.exists():
            raise GyrovaeError(f"there is no {place}")
        is_file, is_bundle, is_run = place.is_file(), (place / MANIFEST).is_file(), (place / RUN).is_file()
    except OSError as error:  # no permission, or a name that is too long
        raise GyrovaeError(f"cannot read {place}: {error.strerror}") from None
    if is_file:
        return _model(tflite.read_model(place, tflite.MODELS))
    if is_bundle:
        return _bundle_at(place)
    if is_run:
        return _run(place)
    if (place / _DATASET).is_file():
        return _dataset(place)
    raise GyrovaeError(
        f"{place} is neither a run nor a bundle nor a dataset",
        expected=f"a folder with {RUN}, {MANIFEST} or {_DATASET}, or a .tflite file",
    )


def _dataset(folder: Path) -> Description:
    record = read_json(folder / _DATASET, largest=_LARGEST_RECORD, remedy="It is damaged: preprocess again.")
    spec = record.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    facts: dict[str, Any] = {"frontend": frontend_of(record)}
    if facts["frontend"] == STOCK:  # it has one window and one rate
        spec = {"window": WINDOW, "rate_hz": RATE_HZ, "units": UNITS, **spec}
    facts |= {name: record.get(name) for name in ("train_windows", "validation_windows")}
    facts |= {"window": spec.get("window", record.get("window")), "hop": record.get("hop")}
    facts |= {name: spec.get(name) for name in ("rate_hz", "lsb", "units")} | {"sources": record.get("sources")}
    rows = [
        ["windows", f"{_short(facts['train_windows'])} to train on, {_short(facts['validation_windows'])} held back"],
        ["window", f"{_short(facts['window'])} samples; {_short(facts['hop'])} from one to the next"],
        ["rate", f"{_short(facts['rate_hz'])} Hz"],
        ["one count", f"{_short(facts['lsb'])} {_short(facts['units'])}"],
        ["front end", "of Seeed's stock firmware" if facts["frontend"] == STOCK else facts["frontend"]],
        ["sources", _short(facts["sources"])],
        ["next", shlex.join(["gyrovae-tf", "train", str(folder), "-o", "run"])],
    ]
    if facts["lsb"] is None:  # the stock front end takes m/s^2
        del rows[3]
    return Description({"dataset": facts}, (("dataset", [["name", "value"], *rows]),))


def _run(folder: Path) -> Description:
    record = read_json(folder / RUN, remedy="It is damaged: train again, with --overwrite.")
    facts: dict[str, Any] = {
        name: record.get(name) for name in ("dataset", "finished", "options", "architecture", "metrics", "versions")
    }
    sections = [("training", _told_by(_TRAINING, facts, ()))]
    bundles = sorted(folder.glob(f"*{SUFFIX}/{MANIFEST}"))
    facts["bundles"] = {}
    for manifest in bundles:
        inside = _bundle_at(manifest.parent)
        facts["bundles"][manifest.parent.name] = inside.facts
        sections += [
            (f"{manifest.parent.name}: {title}", rows) for title, rows in inside.sections if title != "training"
        ]
    return Description(facts, tuple(sections))


def is_stock_run(path: str | PathLike[str]) -> bool:
    """A folder in, whether it is a run on the front end of the stock firmware out."""
    record = Path(path) / RUN
    return record.is_file() and frontend_of(read_json(record)) == STOCK


def _bundle_at(folder: Path) -> Description:
    return _stock_bundle(StockBundle.load(folder)) if is_stock(folder) else _bundle(Bundle.load(folder))


def _stock_bundle(bundle: StockBundle) -> Description:
    model = _model(bundle.model, bundle.spec.input_scale)
    spec, calibration = bundle.spec, bundle.calibration
    detector = {
        "frontend": STOCK,
        "window": spec.window,
        "window_ms": spec.window_ms,
        "rate_hz": spec.rate_hz,
        "units": spec.units,
        "input_scale": spec.input_scale,
        "spec_digest": spec.digest,
        "constants": spec.constants.to_dict(),
        "false_alarm_rate": calibration.false_alarm_rate,
        "console": dict(zip(("first", "second"), map(vars, calibration.console), strict=True)),
        "held_back_windows": calibration.held_back_windows,
        "vote": [calibration.vote_alarms, calibration.vote_windows],
        "arena": None if bundle.arena is None else bundle.arena.to_dict(),
    }
    c = calibration.console
    levels = [f"at or below {band.low_db:.2f} dB, or at or above {band.high_db:.2f} dB" for band in c]
    rows = [
        ["front end", "of Seeed's stock firmware"],
        ["window", f"{spec.window} samples, {spec.window_ms:g} ms"],
        ["rate", f"{spec.rate_hz:g} Hz"],
        ["input", f"in steps of {spec.input_scale:g}"],
        ["alarm, first figure", levels[0]],
        ["alarm, second figure", levels[1]],
        *_rows({"firmware": spec.constants.to_dict()})[1:],
    ]
    return _told(detector, rows, bundle, model)


def _bundle(bundle: Bundle) -> Description:
    model = _model(bundle.model)
    spec, calibration = bundle.spec, bundle.calibration
    detector = {
        "window": spec.window,
        "window_ms": spec.window_ms,
        "rate_hz": spec.rate_hz,
        "lsb": spec.lsb,
        "units": spec.units,
        "lowest_band_hz": spec.bands[0].center_hz,
        "highest_band_hz": spec.bands[-1].center_hz,
        "spec_digest": spec.digest,
        "false_alarm_rate": calibration.false_alarm_rate,
        "threshold": calibration.threshold,
        "regimes": {name: len(view.codes) for name, view in calibration.views.items()},
        "score_table_bytes": calibration.table_bytes,
        "held_back_windows": calibration.held_back_windows,
        "vote": [calibration.vote_alarms, calibration.vote_windows],
        "arena": None if bundle.arena is None else bundle.arena.to_dict(),
        "golden": None if bundle.golden is None else _golden(bundle.golden),
    }
    golden = bundle.golden
    rows = [
        ["window", f"{spec.window} samples, {spec.window_ms:g} ms"],
        ["rate", f"{spec.rate_hz:g} Hz"],
        ["one count", f"{spec.lsb:g} {spec.units}"],
        ["bands", f"{spec.bands[0].center_hz:.3g} to {spec.bands[-1].center_hz:.3g} Hz"],
        ["score's inner scale", f"{calibration.threshold:.6g}; scores are divided by it, so that the alarm is at 1.0"],
        ["regimes", ", ".join(f"{name} {len(view.codes)}" for name, view in calibration.views.items())],
        ["score's tables", many(calibration.table_bytes, "byte")],
        ["golden windows", "none" if golden is None else _golden_text(golden)],
    ]
    return _told(detector, rows, bundle, model)


def _told(
    detector: dict[str, Any], rows: list[list[str]], bundle: Bundle | StockBundle, model: Description
) -> Description:
    """What a bundle holds beside its model, and that, in; its description out."""
    metrics, versions = dict(bundle.metrics), dict(bundle.versions)
    facts = {"detector": detector, "metrics": metrics, "versions": versions, "model": model.facts}
    calibration, spec = bundle.calibration, bundle.spec
    arena = "not measured"
    if (known := bundle.arena) is not None:
        arena = f"reserve {known.suggested_bytes:,} bytes: {known.host_bytes:,} measured, {known.scratch_bytes:,} of "
        arena += f"scratch estimated ({known.kernels})"
    shared = [
        ["false alarms", f"{figure(100 * calibration.false_alarm_rate)} % of normal windows"],
        ["vote", f"{many(calibration.vote_alarms, 'alarm')} of {many(calibration.vote_windows, 'window')}"],
        ["calibrated on", many(calibration.held_back_windows, "normal window")],
        ["arena", arena],
        ["spec digest", spec.digest],
    ]
    modes, training = metrics.get("modes"), metrics.get("training")
    sections = [
        ("detector", [["name", "value"], *rows, *shared]),
        ("calibration", _told_by(_CALIBRATION, metrics, _ELSEWHERE)),
    ]
    if isinstance(modes, list) and all(isinstance(mode, dict) for mode in modes):
        sections.append(("ways to quantise", modes_rows(modes, str(metrics.get("mode")))))
    if isinstance(training, dict):
        sections.append(("training", _told_by(_TRAINING, {"metrics": training}, ())))
    sections.append(("versions", _rows(versions)))
    return Description(facts, (*sections, *model.sections))


def modes_rows(modes: Sequence[dict[str, Any]], kept: str) -> list[list[str]]:
    """What was found out about each way to quantise, and which one was kept, in; rows of cells out."""
    rows = [["network", "AUROC", "worst change", "its AUROC", "error", "off", "bytes", "MACs", "ops", ""]]
    for found in modes:
        get = found.get
        size = ["" if get(name) is None else f"{get(name):,}" for name in ("bytes", "macs", "operators")]
        rows.append([str(get("mode")), _four(get("auroc")), get("worst") or "", _four(get("worst_auroc"))])
        off = "" if get("bytes") is None else f"{get('from_float', 0):.2f}"  # of the float network itself: nothing
        rows[-1] += [_four(get("error")), off, *size, "kept" if get("mode") == kept else ""]
    return rows


def _four(number: float | None) -> str:
    return "n/a" if number is None else f"{number:.4f}"


def _golden_text(golden: Golden) -> str:
    alarms = int((golden.scores >= 1).sum())
    return f"{len(golden)}, of which {many(alarms, 'alarm')}; computed by {golden.version}"


def _golden(golden: Golden) -> dict[str, Any]:
    return {
        "windows": len(golden),
        "alarms": int((golden.scores >= 1).sum()),
        "kernels": golden.kernels,
        "version": golden.version,
    }


def _model(content: bytes, input_scale: float = contract.INPUT_SCALE) -> Description:
    model = tflite.describe(content)
    violations = contract.contract_violations(model, input_scale)
    accelerated = find_target(DEFAULT).accelerated_macs(model)
    summary = {
        "bytes": model.size_bytes,
        "sha256": model.sha256,
        "macs": model.macs,
        "accelerated_macs": accelerated,
        "weight_bytes": model.weight_bytes,
        "activation_bytes": model.activation_bytes,
        "contract": list(violations) or "kept",
    }
    operators = [
        {
            "index": operator.index,
            "name": operator.name,
            "version": operator.version,
            "macs": operator.macs,
            "weight_bytes": sum(
                model.tensors[i].bytes for i in operator.inputs if i >= 0 and model.tensors[i].is_constant
            ),
            "inputs": list(operator.inputs),
            "outputs": list(operator.outputs),
        }
        for operator in model.operators
    ]
    tensors = [
        {
            "index": tensor.index,
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "scale": list(tensor.scale),
            "zero_point": list(tensor.zero_point),
            "bytes": tensor.bytes,
        }
        for tensor in model.tensors
    ]
    facts = {
        **summary,
        "inputs": list(model.inputs),
        "outputs": list(model.outputs),
        "operators": operators,
        "tensors": tensors,
    }
    operator_rows = [["operator", "name", "output shape", "MACs", "weight bytes"]]
    for operator, known in zip(model.operators, operators, strict=True):
        shape = model.tensors[operator.outputs[0]].shape if operator.outputs else ()
        operator_rows.append(
            [str(operator.index), operator.name, _short(shape), f"{operator.macs:,}", f"{known['weight_bytes']:,}"]
        )
    tensor_rows = [["tensor", "shape", "dtype", "scale", "zero point", "bytes", "name"]]
    for tensor in model.tensors:
        scale = f"{tensor.scale[0]:.6g}" if len(tensor.scale) == 1 else f"{len(tensor.scale)} scales"
        zero = str(tensor.zero_point[0]) if len(tensor.zero_point) == 1 else ""
        role = "in" if tensor.index in model.inputs else "out" if tensor.index in model.outputs else ""
        number = f"{tensor.index} {role}".strip()
        tensor_rows.append(
            [
                number,
                _short(tensor.shape),
                tensor.dtype,
                scale if tensor.scale else "",
                zero,
                f"{tensor.bytes:,}",
                tensor.name[-48:],
            ]
        )
    told = [
        ["size", f"{model.size_bytes:,} bytes"],
        ["sha256", model.sha256],
        ["multiply-accumulates", f"{model.macs:,}, of which {accelerated:,} in accelerated kernels"],
        ["weights", f"{model.weight_bytes:,} bytes"],
        ["activations", f"{model.activation_bytes:,} bytes in all"],
        ["contract", _short(summary["contract"])],
    ]
    return Description(
        facts, (("model", [["name", "value"], *told]), ("operators", operator_rows), ("tensors", tensor_rows))
    )


_Words = tuple[str, tuple[str, ...], Callable[..., str]]


def _drift(by: float, p: float) -> str:
    return f"later stretches score {100 * (by - 1):+.0f} % against earlier ones (by chance: p = {p:.2g})"


def _ends(by: float, p: float) -> str:
    return f"first and last quarter score {100 * (by - 1):+.0f} % against the middle (by chance: p = {p:.2g})"


def _code(nats: Sequence[float]) -> str:
    return f"{sum(nats):.1f} nats: {' '.join(f'{unit:.2f}' for unit in nats)}"


_LATENT = "metrics.latent"
_VERSIONS = ("gyrovae_tf", "tensorflow", "tf_keras", "numpy", "python")
_TRAINING: tuple[_Words, ...] = (
    ("dataset", ("dataset",), str),
    ("finished", ("finished",), lambda yes: "yes" if yes else "no"),
    ("at the most", ("options.epochs", "options.steps_per_epoch"), "{} epochs of {} steps each".format),
    ("batch", ("options.batch",), "{} windows a step".format),
    ("learning rate", ("options.learning_rate",), "{:g} at the start".format),
    ("weight of the divergence", ("options.beta", "options.warm_up_steps"), "{:g}, reached after {} steps".format),
    ("divergence that is free", ("options.free_nats",), "{:g} nats a latent unit".format),
    ("patience", ("options.patience",), "{} epochs without improvement".format),
    ("seed", ("options.seed",), str),
    ("latent units", ("architecture.latent",), "{} an image".format),
    (
        "channels",
        ("architecture.patch_channels", "architecture.code_channels", "architecture.decoder_channels"),
        "patch {}, code {}, decoder {}".format,
    ),
    ("trained", ("metrics.epochs", "metrics.best_epoch"), "{} epochs, of which number {} is kept".format),
    ("error on held-back windows", ("metrics.validation_error",), "{:.4f} (mean square, a pixel)".format),
    ("loss on held-back windows", ("metrics.validation_loss",), "{:.4f}".format),
    *(
        words
        for branch in ("scalogram", "field")
        for words in (
            (f"{branch}: its code carries", (f"{_LATENT}.{branch}.kl",), _code),
            (
                f"{branch}: error",
                (f"{_LATENT}.{branch}.error", f"{_LATENT}.{branch}.shuffled_error"),
                "{:.4f}; from another window's code {:.4f}".format,
            ),
        )
    ),
    (
        "versions",
        tuple(f"versions.{name}" for name in _VERSIONS),
        ", ".join(f"{name} {{}}" for name in _VERSIONS).format,
    ),
)
"""Label, the facts that it tells, and how."""
_CALIBRATION: tuple[_Words, ...] = (
    ("quantised by", ("mode",), str),
    ("kernels", ("runtime",), str),
    ("model", ("macs",), "{:,} multiply-accumulates a window".format),
    (
        "front end",
        ("frontend_macs", "frontend_table_bytes"),
        "{:,} multiply-accumulates a window; tables of {:,} bytes".format,
    ),
    ("trained on", ("train_windows",), lambda windows: many(windows, "window")),
    ("excerpt", ("excerpt.windows", "excerpt.of"), "{:,} of {:,} windows were used here".format),
    (
        "normal windows",
        ("trust.windows", "trust.minutes", "trust.recordings", "trust.effective_windows"),
        lambda windows, minutes, recordings, independent: (
            f"{many(windows, 'window')}, {minutes:.1f} minutes in {many(recordings, 'recording')}; "
            f"as good as {independent:,.0f} independent ones"
        ),
    ),
    (
        "false alarms",
        ("threshold.rate", "threshold.rate_low", "threshold.rate_high"),
        lambda rate, low, high: (
            f"{figure(100 * rate)} % of windows asked for; for more time of the same kind {figure(100 * low)} to "
            f"{figure(100 * high)} % (95 % interval)"
        ),
    ),
    ("can be promised", ("trust.promised",), lambda yes: "yes" if yes else "no, see the notes"),
    (
        "false events",
        ("vote.events_per_day", "vote.events_low", "vote.events_high", "vote.alarms", "vote.windows", "vote.hop_s"),
        lambda events, low, high, alarms, windows, hop: (
            f"{figure(events)} a day (95 % interval {figure(low)} to {figure(high)}), by {many(alarms, 'alarm')} of "
            f"{many(windows, 'window')}, {figure(hop)} s apart"
        ),
    ),
    (
        "delay of an event",
        ("vote.delay_s.1", "vote.delay_s.0.9", "vote.delay_s.0.5"),
        lambda every, most, half: (
            f"{every:.1f} s where all windows of a fault are alarms, {most:.1f} s where nine in ten are, {half:.1f} s "
            "where half are"
        ),
    ),
    ("drift", ("trust.drift", "trust.drift_p"), _drift),
    ("beginning and end", ("trust.ends", "trust.ends_p"), _ends),
    (
        "stretch by stretch",
        ("trust.left_out_rates",),
        lambda rates: (
            f"{', '.join(figure(100 * rate) for rate in rates)} % would be alarms had the stretch not been recorded"
        ),
    ),
)
_ELSEWHERE = (  # told by another section, or for scripts alone
    *("modes", "training", "score_table_bytes", "threshold.threshold", "threshold.low", "threshold.high"),
    *("threshold.windows", "threshold.effective_windows", "threshold.blocks", "threshold.method"),
    *("threshold.extrapolated", "vote.threshold", "vote.low", "vote.high", "vote.days", "vote.events_seen"),
)
_NOTES = ("trust.warnings", "vote.warnings", "trust.note")


def _told_by(words: Sequence[_Words], facts: dict[str, Any], elsewhere: Sequence[str]) -> list[list[str]]:
    """Facts as rows of name and value: those that `words` knows in words, then the rest, but what is told elsewhere."""
    left = _flat({name: value for name, value in facts.items() if name not in elsewhere})
    rows = [["name", "value"]]
    for label, names, tell in words:
        values = [left.get(name) for name in names]
        if any(value is None for value in values):  # of an older version, or not there yet
            continue
        try:
            rows.append([label, tell(*values)])
        except (TypeError, ValueError):  # somebody else's record: told as it is, below
            continue
        for name in names:
            del left[name]
    notes = [left.pop(name, None) or () for name in _NOTES]
    rows += [[name, _short(value)] for name, value in left.items() if name not in elsewhere]
    return rows + [["note", str(text)] for found in notes for text in ([found] if isinstance(found, str) else found)]


def _flat(facts: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts with one name each: {"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _rows(facts: dict[str, Any]) -> list[list[str]]:
    """Nested facts as rows of name and value."""
    return [["name", "value"], *([name, _short(value)] for name, value in _flat(facts).items())]


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value)) if value and isinstance(value[0], str) else " ".join(map(_short, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}" if isinstance(value, float) else "not known" if value is None else str(value)
