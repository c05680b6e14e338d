"""A .tflite, run or bundle in; what a target cannot run, computes wrongly or runs slowly, and what it costs, out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from gyrovae_tf import contract, tflite
from gyrovae_tf import golden as golden_windows
from gyrovae_tf.arena import Arena
from gyrovae_tf.arguments import told
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.findings import RULES, SEVERITIES, Finding, Severity, found, label, shown
from gyrovae_tf.kerneltypes import amiss
from gyrovae_tf.operators import WITH_OPTIONS
from gyrovae_tf.patterns import unfolded
from gyrovae_tf.stockbundle import StockBundle, load_bundle
from gyrovae_tf.target import DEFAULT, Basis, Target, Way, find_target
from gyrovae_tf.tflite import Model, Operator, Tensor
from gyrovae_tf.wording import first_of

_ALIGNED = 16  # bytes: TFLM's own alignment, and what a vector register of the ESP32-S3 holds
_NEEDS_OPTIONS = WITH_OPTIONS - {"ADD", "SUB", "MUL", "DIV", "CONCATENATION", "FULLY_CONNECTED"}
_FIXED = {
    **dict.fromkeys(("BROADCAST_TO", "EXPAND_DIMS", "PAD", "PADV2", "TRANSPOSE"), (1,)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), (1,)),
    **dict.fromkeys(("FILL", "SPLIT"), (0,)),
    "SPLIT_V": (2,),
    "STRIDED_SLICE": (1, 2, 3),
}
"""Operator -> which of its inputs esp-tflite-micro 1.4.0 refuses unless they are constants."""
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class Layer:
    """What one operator does and costs."""

    index: int
    op: str
    tensor: str
    """The name of its output."""
    shape: tuple[int, ...]
    """Of its output."""
    macs: int
    weight_bytes: int
    """Of its constants."""
    activation_bytes: int
    """Of its other inputs and its outputs."""
    kernel: str
    """The kernel that the target takes for it."""
    accelerated: bool
    """Whether that kernel uses the target's vector unit."""
    cycles: float
    """ESTIMATE."""
    us: float
    """ESTIMATE: microseconds."""
    basis: Basis
    """Where the estimate is from (`target.Way`)."""


@dataclass(frozen=True)
class Estimate:
    """Time of one inference on the target: an ESTIMATE, never a measurement."""

    cycles: float
    ms: float
    clock_hz: float
    assumed: float
    """Share of it, 0 to 1, for which no figure is published at all."""
    method: str


@dataclass(frozen=True)
class Check:
    """What was found in one model for one target."""

    target: str
    title: str
    """The target in words."""
    sha256: str
    file_bytes: int
    findings: tuple[Finding, ...]
    """The gravest first."""
    layers: tuple[Layer, ...]
    """In the order of execution."""
    macs: int
    accelerated_macs: int
    """Those in kernels that use the target's vector unit."""
    weight_bytes: int
    """Of all constants, each once."""
    arena_lower_bound_bytes: int
    """Most bytes of activations alive at one time: an arena cannot be smaller."""
    scratch_bytes: int
    """ESTIMATE: the most that one of the target's kernels asks for besides."""
    estimate: Estimate
    arena: Arena | None = None
    """The arena that was measured, where a bundle says it."""
    golden: golden_windows.Verification | None = None
    """How the bundle's golden windows came out, where they were run."""

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.of("error")

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The rules of those errors that are not about Gyrovae's firmware alone, each once.

        Where there are none, a program of one's own with TensorFlow Lite Micro may run the model on the target.
        """
        return tuple(dict.fromkeys(f.rule for f in self.of("error") if not RULES[f.rule].ours))

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "target": {"name": self.target, "title": self.title},
            "ok": self.ok,
            "obstacles": list(self.obstacles),
            "findings": [finding.to_dict() for finding in self.findings],
            "layers": [{**asdict(layer), "shape": list(layer.shape)} for layer in self.layers],
            "totals": {
                "operators": len(self.layers),
                "macs": self.macs,
                "accelerated_macs": self.accelerated_macs,
                "file_bytes": self.file_bytes,
                "weight_bytes": self.weight_bytes,
                "arena_lower_bound_bytes": self.arena_lower_bound_bytes,
                "scratch_bytes": self.scratch_bytes,
                "sha256": self.sha256,
            },
            "estimate": {"label": "ESTIMATE, not a measurement", **asdict(self.estimate)},
            "arena": None if self.arena is None else self.arena.to_dict(),
            "golden": None if self.golden is None else self.golden.to_dict(),
        }


def check(source: bytes | Bundle | StockBundle | str | PathLike[str], target: str = DEFAULT) -> Check:
    """The bytes or the path of any .tflite, or a bundle (or the path of one, or of a run), in; a `Check` of it out.

    It is one for `target`, a name of `target.TARGETS`. The model is read, not run. Of a bundle (or the one in a run)
    also the list of operators is compared and, where nothing else is wrong, its golden windows are run on the kernels
    installed here (one for the stock firmware has none, and its input may be of another scale).
    `GyrovaeError` for what is no model at all, and for a bundle that does not load.
    """
    chosen = find_target(target)
    bundle: Bundle | StockBundle | None = None
    if isinstance(source, bytes):
        content = source
    elif isinstance(source, Bundle | StockBundle):
        bundle, content = source, source.model
    elif not isinstance(source, str | PathLike):
        raise GyrovaeError("there is nothing to check", expected=f"{tflite.MODELS}, or its path", received=told(source))
    else:
        try:
            is_file = Path(source).is_file()
        except OSError as error:  # a name that is too long, or no permission
            raise GyrovaeError(f"cannot read {source}: {error.strerror}") from None
        if is_file:
            content = tflite.read_model(source, tflite.MODELS)
        else:
            bundle = load_bundle(source)
            content = bundle.model
    model = tflite.describe(content)
    ways = [chosen.way(operator, model.tensors) for operator in model.operators]
    findings = [
        *_contract(model, bundle.spec.input_scale if isinstance(bundle, StockBundle) else contract.INPUT_SCALE, chosen),
        *_operators(model),
        *_constants(model),
        *(f for operator in model.operators for f in chosen.hazards(operator, model.tensors)),
        *_ways(model, ways),
        *unfolded(model),
    ]
    verification = None
    if bundle is not None:
        findings += _resolver(bundle, model)
    if isinstance(bundle, Bundle):
        verification, more = _golden(bundle, any(finding.severity == "error" for finding in findings))
        findings += more
    layers = tuple(_layer(*pair, model, chosen) for pair in zip(model.operators, ways, strict=True))
    cycles = sum(layer.cycles for layer in layers)
    assumed = sum(layer.cycles for layer in layers if layer.basis == "assumed")
    return Check(
        target=chosen.name,
        title=chosen.title,
        sha256=model.sha256,
        file_bytes=model.size_bytes,
        findings=tuple(sorted(findings, key=_gravity)),
        layers=layers,
        macs=model.macs,
        accelerated_macs=chosen.accelerated_macs(model),
        weight_bytes=model.weight_bytes,
        arena_lower_bound_bytes=model.activation_bytes,
        scratch_bytes=max((chosen.scratch_bytes(operator, model.tensors) for operator in model.operators), default=0),
        estimate=Estimate(
            cycles=cycles,
            ms=1e3 * cycles / chosen.clock_hz,
            clock_hz=chosen.clock_hz,
            assumed=assumed / cycles if cycles else 0.0,
            method=chosen.method,
        ),
        arena=None if bundle is None else bundle.arena,
        golden=verification,
    )


def _gravity(finding: Finding) -> tuple[int, str, int]:
    return SEVERITIES.index(finding.severity), finding.rule, -1 if finding.operator is None else finding.operator


def _layer(operator: Operator, way: Way, model: Model, target: Target) -> Layer:
    inputs = [model.tensors[i] for i in dict.fromkeys(operator.inputs) if i >= 0]
    outputs = [model.tensors[i] for i in operator.outputs]
    live = {tensor.index: tensor.needed_bytes or 0 for tensor in (*inputs, *outputs) if not tensor.is_constant}
    return Layer(
        index=operator.index,
        op=operator.name,
        tensor=outputs[0].name if outputs else "",
        shape=outputs[0].shape if outputs else (),
        macs=operator.macs,
        weight_bytes=sum(tensor.bytes for tensor in inputs if tensor.is_constant),
        activation_bytes=sum(live.values()),
        kernel=way.kernel,
        accelerated=way.accelerated,
        cycles=way.cycles,
        us=1e6 * way.cycles / target.clock_hz,
        basis=way.basis,
    )


def _contract(model: Model, input_scale: float, target: Target) -> Iterator[Finding]:
    """The contract's reasons. Operators, floats and shapes are told one by one, with their places."""
    reasons = contract.violations_by_kind(model, input_scale)
    rules = {"interface": "interface", "subgraphs": "subgraphs", "constants": "constant-size", "order": "order"}
    for kind, rule in rules.items():
        yield from (found(rule, reason) for reason in reasons[kind])
    unknown = {name for name in model.op_names if name not in contract.OPS}
    for operator in model.operators:
        if operator.name in unknown:
            rule = "operator" if operator.name in target.registrable else "unknown-operator"
            yield found(rule, f"{operator.name} is not registered", operator, model.tensors)
    touched: set[int] = set()
    for operator in model.operators:
        floats = {i for i in (*operator.inputs, *operator.outputs) if i >= 0 and model.tensors[i].is_float}
        touched |= floats
        if floats:
            names = first_of([f"{i} ({shown(model.tensors[i].name)})" for i in sorted(floats)])
            yield found("float", f"reads or writes the float tensors {names}", operator, model.tensors)
    unread = [t for t in model.tensors if t.is_float and t.index not in touched]
    if unread:
        yield found("float", f"{len(unread)} float tensors that no operator touches, such as {label(unread[0])}")
    for tensor in model.tensors:
        if -1 in tensor.shape_signature:
            yield found("dynamic-shape", f"{label(tensor)} has the signature {list(tensor.shape_signature)}")


def _operators(model: Model) -> Iterator[Finding]:
    """What TFLM makes of single operators, whatever the target."""
    tensors = model.tensors
    for operator in model.operators:
        options = operator.options
        if operator.name in _NEEDS_OPTIONS:
            if options is None:
                yield found("options", "stride and padding are missing", operator, tensors)
            elif min(*options.stride, *options.dilation) < 1:
                stride, dilation = options.stride, options.dilation
                yield found("options", f"stride {stride}, dilation {dilation}: less than 1", operator, tensors)
        fixed = [operator.inputs[i] for i in _FIXED.get(operator.name, ()) if i < len(operator.inputs)]
        if computed := [i for i in fixed if i >= 0 and not tensors[i].is_constant]:
            yield found("computed", f"{label(tensors[computed[0]])} is no constant", operator, tensors)
        yield from _types(operator, tensors)


def _types(operator: Operator, tensors: tuple[Tensor, ...]) -> Iterator[Finding]:
    """What TFLM makes of the types of one operator's tensors, and of those of its weights."""
    inputs = [tensors[i] if i >= 0 else None for i in operator.inputs]
    first, weights, third = [*inputs, None, None, None][:3]
    source = third if operator.name == "TRANSPOSE_CONV" and third else first
    if operator.name not in _WEIGHTED or not first:
        weights = None
    if operator.name == "DEQUANTIZE" and first and first.dtype == "float16":
        yield found("float16", "its input is float16", operator, tensors)
    elif weights and source and source.is_float and weights.dtype.startswith("int"):
        yield found("hybrid", f"{source.dtype} input, {weights.dtype} weights", operator, tensors)
    elif reason := amiss(operator, tensors):
        yield found("type", reason, operator, tensors)
    if operator.name == "FULLY_CONNECTED" and weights and len(weights.scale) > 1:
        yield found("per-channel-fc", f"{len(weights.scale)} scales of its weights", operator, tensors)


def _constants(model: Model) -> Iterator[Finding]:
    """Weights and biases off alignment, as one finding: how the file was written, not how the network was built."""
    read = dict.fromkeys(i for o in model.operators if o.name in _WEIGHTED for i in o.inputs if i >= 0)
    off = [tensor for tensor in map(model.tensors.__getitem__, read) if tensor.offset and tensor.offset % _ALIGNED]
    if off:
        named = first_of([f"{label(tensor)} at byte {tensor.offset}" for tensor in off])
        yield found("constant-alignment", f"weights that do not begin at a multiple of {_ALIGNED} bytes: {named}")


def _ways(model: Model, ways: list[Way]) -> Iterator[Finding]:
    """What the target runs slowly."""
    for operator, way in zip(model.operators, ways, strict=True):
        if operator.name == "TRANSPOSE_CONV":
            yield found("transpose-conv", f"{operator.macs:,} MACs on the {way.kernel} kernel", operator, model.tensors)
        elif not way.accelerated:
            what = f"runs on the {way.kernel} kernel" + (f" ({way.remark})" if way.remark else "")
            if operator.macs:
                yield found("unaccelerated", f"{what}: {operator.macs:,} MACs", operator, model.tensors)
            else:
                yield found("reference-kernel", what, operator, model.tensors)
        elif way.remark:
            yield found("slow-path", f"{way.kernel}: {way.remark}", operator, model.tensors)


def _resolver(bundle: Bundle | StockBundle, model: Model) -> Iterator[Finding]:
    missing = sorted(set(model.op_names) - set(bundle.ops))
    if missing:
        yield found("resolver", f"the model uses what the manifest does not list: {', '.join(missing)}")


def _golden(bundle: Bundle, broken: bool) -> tuple[golden_windows.Verification | None, list[Finding]]:
    """A bundle, and whether its model has errors, in; its golden windows run on the kernels installed here out."""
    if bundle.golden is None:
        return None, [found("golden-missing", "the bundle holds no golden windows")]
    if broken:
        return None, [found("golden-not-run", "the golden windows were not run, as the model has errors")]
    try:
        ran = golden_windows.verify(bundle)
    except GyrovaeError as error:
        return None, [found("golden", f"the golden windows cannot be run: {error.problem}")]
    findings = [found("golden", f"{ran.windows} golden windows: {problem}") for problem in ran.problems]
    if not ran.same_kernels:
        what = (
            f"the golden windows are from {ran.recorded} and ran on {ran.kernels}: {ran.output_pixels} of "
            f"{ran.output_total} output pixels differ, by up to {ran.largest_lsb} LSB; verdicts: {ran.verdicts}"
        )
        findings.append(found("golden-kernels", what))
    return ran, findings
