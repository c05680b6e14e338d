"""What a linter finds in a model: the rules, why each matters and what to do, and a finding of one of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gyrovae_tf.tflite import Operator, Tensor

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the gravest: the firmware cannot run it or computes wrong values; slow or risky; to know."""


@dataclass(frozen=True)
class Rule:
    """What can be found."""

    severity: Severity
    why: str
    """Why it matters."""
    remedy: str
    """What to do."""
    ours: bool = False
    """Whether it is about Gyrovae's firmware alone, so that a program of one's own may run the model all the same."""


_SYMMETRIC = "Choose sizes whose padding is symmetric: SAME of 4x4 with stride 2 on even sizes, or VALID."
_REBUILD = "Take it out of the network and train again, or use a model that gyrovae-tf quantize made."

RULES: dict[str, Rule] = {
    # The contract of the firmware.
    "interface": Rule(
        "error",
        "Gyrovae's firmware checks input and outputs when it starts and refuses any others; a program of your own may "
        "take them.",
        "Use a model that gyrovae-tf quantize made.",
        ours=True,
    ),
    "operator": Rule(
        "error",
        "Gyrovae's firmware does not register this operator, so that the interpreter refuses the model; a program of "
        "your own may register it: TensorFlow Lite Micro has it.",
        _REBUILD,
        ours=True,
    ),
    "unknown-operator": Rule(
        "error",
        "The target's TensorFlow Lite Micro has no kernel for this operator, so that no firmware can register it (but "
        "one that brings a custom operator's kernel along).",
        _REBUILD,
    ),
    "float": Rule(
        "error",
        "The firmware is int8 throughout; floats run on slow reference kernels, between DEQUANTIZE and QUANTIZE.",
        "Export as int8 (gyrovae-tf quantize RUN/), without layers that have no int8 kernel (exp, for example).",
        ours=True,
    ),
    "hybrid": Rule(
        "error",
        "TensorFlow Lite Micro refuses integer weights with float activations (dynamic-range quantisation).",
        "Quantise activations too: gyrovae-tf quantize RUN/",
    ),
    "dynamic-shape": Rule(
        "error",
        "TensorFlow Lite Micro places every tensor before the first run; it cannot resize one, and takes what is open "
        "for 1.",
        "Convert a concrete function with every dimension fixed, the batch too.",
        ours=True,
    ),
    "subgraphs": Rule(
        "error",
        "Gyrovae's firmware takes one. The first was looked at; what control flow and variables (CALL_ONCE, IF, WHILE) "
        "do in the others is in no figure here.",
        "Convert one function without control flow (if, while) and without variables.",
        ours=True,
    ),
    "type": Rule(
        "error",
        "TensorFlow Lite Micro's kernel of this operator does not take this type of element: it refuses the model, or "
        "fails (rarely: computes nonsense) at the first inference.",
        "Convert again so that it gets another: int8 (inference_input_type=tf.int8) instead of uint8, int32 instead of "
        "int64 as indices. What TensorFlow 1 quantised to uint8 has to be quantised anew.",
    ),
    "float16": Rule(
        "error",
        "TensorFlow Lite Micro dequantises integers only, and refuses the model.",
        "Convert again, with weights in int8 (or float32) instead of float16.",
    ),
    "computed": Rule(
        "error",
        "TensorFlow Lite Micro wants the sizes and axes of this operator as constants, and refuses what is computed.",
        "Convert a concrete function with every dimension fixed, the batch too.",
    ),
    "constant-size": Rule(
        "error", "A kernel would read beyond the end of the constant, or too little of it.", "Export the model again."
    ),
    "order": Rule("error", "A kernel would read memory that nothing has written.", "Export the model again."),
    "options": Rule(
        "error", "The kernel cannot be prepared without them, or divides by zero.", "Export the model again."
    ),
    "resolver": Rule(
        "error",
        "The firmware's resolver is made from the manifest's list, so that the interpreter refuses the model.",
        "Quantise again: gyrovae-tf quantize RUN/",
    ),
    # What ESP-NN is known to compute wrongly; `hazards` says where each was read.
    "short-padding": Rule(
        "error",
        "ESP-NN pads both sides by what the front needs, reads beyond the last row or column, and silently computes "
        "wrong values there (esp-nn issue 31; 1.2.3 still does).",
        _SYMMETRIC,
    ),
    "depthwise-scratch": Rule(
        "error",
        "ESP-NN reserves too little scratch for unequal padding in front and writes beyond it, silently changing other "
        "values (esp-nn issue 30, pull request 37).",
        "Choose sizes whose padding is symmetric in both dimensions.",
    ),
    "fc-rows": Rule(
        "error",
        "Every row but the first begins off 8-byte alignment, and ESP-NN before 1.2.6 loads it from the wrong address: "
        "silently wrong values (esp-nn issue 34).",
        "Give the layer one row at a time, or a width that is a multiple of 16.",
    ),
    "fc-rows-slow": Rule(
        "warning",
        "Every other row begins off 16-byte alignment and runs on ESP-NN's slower kernel.",
        "Give the layer a width that is a multiple of 16.",
    ),
    "asymmetric-padding": Rule(
        "warning",
        "ESP-NN before 1.2.1 read beyond the input there and silently computed wrong values in the last row or column.",
        _SYMMETRIC,
    ),
    "uneven-padding": Rule(
        "note",
        "ESP-NN 1.2.3 is right about it, as far as it was read, but unequal padding is where its defects were (issues "
        "30, 31): only golden windows prove a device.",
        "Nothing has to be done; symmetric padding is safer.",
    ),
    "per-channel-fc": Rule(
        "warning",
        "TensorFlow Lite Micro before September 2024 has no per-channel FULLY_CONNECTED: it refuses the model or, "
        "before May 2024, uses the first channel's scale for all, silently wrong (tflite-micro 2602, 2673).",
        "Use esp-tflite-micro 1.4 or later; or convert with "
        "_experimental_disable_per_channel_quantization_for_dense_layers.",
    ),
    "weights-alignment": Rule(
        "warning",
        "ESP-NN before 1.2.2 loads the weights of a 1x1 convolution from the wrong address when they are off 8-byte "
        "alignment: silently wrong values.",
        "Use ESP-NN 1.2.2 or later, and embed the file as an array with alignas(16).",
    ),
    "constant-alignment": Rule(
        "note",
        "Vector kernels load 16 bytes at a time, and copy or shift what does not begin there. TensorFlow's converter "
        "aligns to 4 bytes only.",
        "Nothing has to be done; gyrovae-tf quantize aligns to 16. Embed the file as an array with alignas(16).",
    ),
    # What costs time.
    "transpose-conv": Rule(
        "warning",
        "It runs on reference kernels on this target, and quantisation-aware training of it is defective "
        "(tensorflow/model-optimization issue 771).",
        "Decode with dense layers or 1x1 convolutions whose channels are rearranged into pixels.",
    ),
    "unaccelerated": Rule(
        "warning",
        "Its multiplications run on plain C, many times slower than on this target's vector kernels.",
        "Use a configuration that the target accelerates.",
    ),
    "reference-kernel": Rule(
        "note",
        "It runs on TensorFlow Lite Micro's reference kernel, an element at a time.",
        "Worth removing where the estimate says that it takes long.",
    ),
    "slow-path": Rule(
        "note",
        "It is accelerated, but on a slower kernel, or part of the work is wasted.",
        "Use channels in multiples of 8 (16 for a depthwise convolution), dense widths in multiples of 16.",
    ),
    "unfolded-scale": Rule(
        "warning",
        "It is an operator, a tensor and a rounding more than needed: a batch norm that was not folded, or a constant "
        "factor or offset behind a layer that has weights.",
        "Fold it into weights and bias of the layer before it: a batch norm goes directly behind its convolution, "
        "before the activation.",
    ),
    "unfused-relu": Rule(
        "warning",
        "It is an operator and a tensor more than needed: the kernel before it can clamp its own output.",
        "Give the layer before it the activation.",
    ),
    "double-quantize": Rule(
        "warning",
        "Two roundings, one behind the other, where one would do.",
        "Convert again; quantise the tensor once.",
    ),
    "requantize": Rule(
        "note",
        "It only changes scale and zero point: an operator, a tensor and a rounding more.",
        "Give both tensors one range (inputs of a CONCATENATION want the range of its output).",
    ),
    "reshape-pair": Rule(
        "note", "One copy more than needed.", "Leave out the first of the two, or one that does nothing."
    ),
    "transpose-pair": Rule("note", "One copy more than needed.", "Make one transposition of both, or none."),
    # The golden windows of a bundle.
    "golden": Rule(
        "error",
        "Front end, model or score no longer give what they gave when the detector was made.",
        "Quantise again with this version: gyrovae-tf quantize RUN/",
    ),
    "golden-kernels": Rule(
        "warning",
        "Other kernels round some pixels otherwise, so that nothing is proven about the model's outputs.",
        'Check where they are installed: pip install "gyrovae-tf[tflm]" (Linux on x86-64)',
    ),
    "golden-not-run": Rule("note", "The detector was checked as a file only.", "See to the errors first."),
    "golden-missing": Rule(
        "note",
        "There is nothing to prove kernels or a device by.",
        "Make some: gyrovae-tf quantize RUN/ where tflite-micro is installed.",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing found. `operator`, `op` and `tensor` say where: None and empty for the model as a whole."""

    rule: str
    """A name of `RULES`."""
    severity: Severity
    operator: int | None
    """Index of the operator."""
    op: str
    """Its name."""
    tensor: str
    """The name of its output, which tells the layer."""
    what: str
    why: str
    remedy: str

    @property
    def where(self) -> str:
        """The place in words."""
        name = f" ({shown(self.tensor)})" if self.tensor else ""
        return "model" if self.operator is None else f"operator {self.operator} {self.op}{name}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {**asdict(self), "where": self.where}


def shown(name: str, longest: int = 48) -> str:
    """The name of a tensor in, its last part out: converters string the names of what they fused together."""
    name = name.split(";")[-1]
    return name if len(name) <= longest else f"..{name[2 - longest :]}"


def label(tensor: Tensor) -> str:
    """A tensor in, its index and name out."""
    return f"tensor {tensor.index} ({shown(tensor.name)})"


def found(rule: str, what: str, operator: Operator | None = None, tensors: tuple[Tensor, ...] = ()) -> Finding:
    """A rule, what was found, and the operator with its model's tensors in, the `Finding` out."""
    known = RULES[rule]
    tensor = tensors[operator.outputs[0]].name if operator is not None and operator.outputs else ""
    index, op = (None, "") if operator is None else (operator.index, operator.name)
    return Finding(rule, known.severity, index, op, tensor, what, known.why, known.remedy)
