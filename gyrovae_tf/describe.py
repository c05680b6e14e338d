"""A run, a bundle or a .tflite in, what it holds as tables out."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import MANIFEST, STOCK, SUFFIX, Bundle, frontend_of, read_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.golden_npz import Golden
from gyrovae_tf.stockbundle import StockBundle, is_stock

RUN = "run.json"

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
    """The path of a run, a bundle or any .tflite in, a `Description` out; `GyrovaeError` when it is none of these."""
    place = Path(path)
    try:
        if not place.exists():
            raise GyrovaeError(f"there is no {place}")
        is_file, is_bundle, is_run = place.is_file(), (place / MANIFEST).is_file(), (place / RUN).is_file()
    except OSError as error:  # no permission, or a name that is too long
        raise GyrovaeError(f"cannot read {place}: {error.strerror}") from None
    if is_file:
        return _model(tflite.read(place))
    if is_bundle:
        return _bundle_at(place)
    if is_run:
        return _run(place)
    raise GyrovaeError(
        f"{place} is neither a run nor a bundle",
        expected=f"a folder with {RUN} or {MANIFEST}, or a .tflite file",
    )


def _run(folder: Path) -> Description:
    record = read_json(folder / RUN)
    facts: dict[str, Any] = {
        name: record.get(name) for name in ("dataset", "finished", "options", "architecture", "metrics", "versions")
    }
    sections = [("training", _rows(facts))]
    bundles = sorted(folder.glob(f"*{SUFFIX}/{MANIFEST}"))
    facts["bundles"] = {}
    for manifest in bundles:
        inside = _bundle_at(manifest.parent)
        facts["bundles"][manifest.parent.name] = inside.facts
        sections += [(f"{manifest.parent.name}: {title}", rows) for title, rows in inside.sections]
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
    return _told(detector, bundle, model)


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
    return _told(detector, bundle, model)


def _told(detector: dict[str, Any], bundle: Bundle | StockBundle, model: Description) -> Description:
    """What a bundle holds beside its model, and that, in; its description out."""
    metrics, versions = dict(bundle.metrics), dict(bundle.versions)
    facts = {"detector": detector, "metrics": metrics, "versions": versions, "model": model.facts}
    sections = (("detector", _rows(detector)), ("metrics", _rows(metrics)), ("versions", _rows(versions)))
    return Description(facts, sections + model.sections)


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
    summary = {
        "bytes": model.size_bytes,
        "sha256": model.sha256,
        "macs": model.macs,
        "accelerated_macs": model.accelerated_macs,
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
    return Description(facts, (("model", _rows(summary)), ("operators", operator_rows), ("tensors", tensor_rows)))


def _rows(facts: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """Nested facts as rows of name and value."""
    rows = [] if prefix else [["name", "value"]]
    for name, value in facts.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            rows.append([prefix + name, _short(value)])
    return rows


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value)) if value and isinstance(value[0], str) else " ".join(map(_short, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}" if isinstance(value, float) else "not known" if value is None else str(value)
