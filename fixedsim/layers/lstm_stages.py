"""The stages of an LSTM's datapath by name: their narrowings, what each reads, and how the kernel takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import pack_activations, pack_narrowing
from fixedsim.errors import ModelError
from fixedsim.execution import (
    PreparedActivation,
    Range,
    activation_range,
    format_range,
    product_range,
    require_int64,
)
from fixedsim.formats import Format
from fixedsim.kernels import lstm as layout
from fixedsim.profiles.datapath import GATES, Activation, GateDatapath, Hazard, LstmDatapath, Narrowing
from fixedsim.spec.activations import activate
from fixedsim.spec.casts import narrow

Integers = NDArray[np.int64]
_NOTHING = Narrowing(Format.integer(64))  # stands in the kernel's arrays for a stage that the datapath lacks
_NORM_INPUT = Format.integer(16)
# Signals that are not called as the narrowing that gives them.
_NARROWING_OF = {"cell_activation": "cell_output"}


def narrowings(path: LstmDatapath) -> dict[str, Narrowing]:
    """The element-wise narrowings that a datapath has, by name, in the kernel's order."""
    found = dict[str, Narrowing | None]()
    for gate, choices in zip(GATES, path.gates, strict=True):
        if choices is not None:
            stages = _gate_narrowings(choices, path.joint)
            found |= {f"gate.{gate}.{name}": stages[name] for name in layout.GATE_NARROWINGS if stages[name]}
    cell = {name: getattr(path, name) for name in layout.CELL_NARROWINGS}
    return {name: stage for name, stage in {**found, **cell}.items() if stage is not None}


def _gate_narrowings(choices: GateDatapath, joint: bool) -> dict[str, Narrowing | None]:
    peephole, norm = choices.peephole, choices.norm
    return {
        "input_sum": choices.input_sum,
        "recurrent_sum": None if joint else choices.recurrent_sum,
        "preactivation": choices.preactivation,
        "peephole_product": None if peephole is None else peephole.product,
        "peephole_sum": None if peephole is None else peephole.sum,
        "normalized": None if norm is None else norm.output,
        "output": choices.output,
    }


def kernel_signals(path: LstmDatapath) -> dict[str, int]:
    """The signals that a datapath has, as users name them, and their places among the kernel's."""
    joint = {"input_accumulator": "accumulator", "input_sum": "sum"} if path.joint else {}
    stages = narrowings(path)
    names = {}
    for position, name in enumerate(layout.SIGNALS):
        prefix, _, last = name.rpartition(".")
        if _is_present(prefix, last, path, stages):
            last = joint.get(last, last)
            names[prefix if last == "gate" else f"{prefix}.{last}".lstrip(".")] = position
    return names


def _is_present(prefix: str, last: str, path: LstmDatapath, stages: Mapping[str, Narrowing]) -> bool:
    if last.endswith("accumulator"):
        gate = prefix.removeprefix("gate.")
        return gate in path.gate_names and not (path.joint and last.startswith("recurrent"))
    if last == "gate":
        return True
    return f"{prefix}.{_NARROWING_OF.get(last, last)}".lstrip(".") in stages


def signal_format(name: str, path: LstmDatapath) -> Format:
    """The format of a signal, as users name it."""
    if name.endswith("accumulator"):
        return path.accumulator.format
    stages = narrowings(path)
    if path.joint and name.endswith(".sum"):
        return stages[name.replace(".sum", ".input_sum")].format
    if name in {f"gate.{gate}" for gate in GATES}:
        name = "gate.forget" if path.coupled is not None and name == "gate.input" else name
        return stages[f"{name}.output"].format
    return stages[_NARROWING_OF.get(name, name)].format


@dataclass(frozen=True, eq=False)
class PackedStages:
    """A datapath as the kernel takes it; see :func:`fixedsim.kernels.lstm.lstm_elementwise`."""

    choices: Integers
    narrowings: Integers
    centres: Integers
    activations: Integers
    values: Integers


def packed_stages(path: LstmDatapath) -> PackedStages:
    """The datapath's stages, absent ones filled in."""
    stages = narrowings(path)
    packed = [pack_narrowing(stages.get(name, _NOTHING)) for name in layout.NARROWINGS]
    gates = [choices or path.gates[1] for choices in path.gates]  # a coupled input gate is not read
    activations, values = pack_activations([*(gate.activation for gate in gates), path.cell_activation])
    return PackedStages(_choices(path), np.stack(packed), _centres(path), activations, values)


def _choices(path: LstmDatapath) -> Integers:
    choices = np.zeros(layout.CHOICES, dtype=np.int64)
    choices[layout.JOINT] = path.joint
    choices[layout.COUPLED] = path.coupled is not None
    choices[layout.COUPLED_RAW] = path.coupled or 0
    choices[layout.STALE] = path.hazard is Hazard.STALE_SIGMOID
    choices[layout.ADDENDS] = (path.forget_addend is not None) + 2 * (path.input_addend is not None)
    for position, gate in enumerate(path.gates):
        choices[layout.PEEPHOLES + position] = gate is not None and gate.peephole is not None
        choices[layout.NORMS + position] = gate is not None and gate.norm is not None
    return choices


def resting_register(path: LstmDatapath) -> int:
    """What a stale sigmoid register holds before the first step: the sigmoid of zero."""
    output = path.gates[3]
    return narrow(activate(0, output.activation) - output.activation.format.zero_point, output.output)


def gate_format(path: LstmDatapath, gate: str) -> Format:
    """The format of a gate; a coupled input gate has the forget gate's."""
    choices = path.gates[GATES.index(gate)] or path.gates[1]
    return choices.output.format


def _centres(path: LstmDatapath) -> Integers:
    """For each narrowing, what is subtracted from its operands: (36, 2)."""
    found = dict.fromkeys(layout.NARROWINGS, (0, 0))
    for gate, choices in zip(GATES, path.gates, strict=True):
        if choices is not None:
            found |= {f"gate.{gate}.{name}": pair for name, pair in _gate_centres(choices, path.joint).items()}
    kept, added = path.forget_addend or path.forget_product, path.input_addend or path.input_product
    zero = {gate: gate_format(path, gate).zero_point for gate in GATES}
    found |= {
        "forget_product": (zero["forget"], path.read_cell.zero_point),
        "input_product": (zero["input"], zero["candidate"]),
        "forget_addend": (path.forget_product.format.zero_point, 0),
        "input_addend": (path.input_product.format.zero_point, 0),
        "cell": (kept.format.zero_point + added.format.zero_point, 0),
        "cell_input": (path.cell.format.zero_point, 0),
        "cell_output": (path.cell_activation.format.zero_point, 0),
        "hidden": (zero["output"], path.cell_output.format.zero_point),
    }
    return np.array([found[name] for name in layout.NARROWINGS], dtype=np.int64)


def _gate_centres(choices: GateDatapath, joint: bool) -> dict[str, tuple[int, int]]:
    before = choices.preactivation.format.zero_point
    sums = choices.input_sum.format.zero_point + (0 if joint else choices.recurrent_sum.format.zero_point)
    centres = {"preactivation": (sums, 0), "output": (choices.activation.format.zero_point, 0)}
    if choices.peephole is not None:
        peephole = choices.peephole
        centres["peephole_product"] = (peephole.weight.zero_point, 0)
        centres["peephole_sum"] = (before + peephole.product.format.zero_point, 0)
        before = peephole.sum.format.zero_point
    if choices.norm is not None:
        centres["normalized"] = (before, choices.norm.least_variance)
    return centres


def require_words(path: LstmDatapath, late: Any, name: str) -> None:
    """Refuse a datapath whose sums and products of operands could leave 64-bit words.

    Raises:
        ModelError: by name, the stage whose operands are too wide.
    """
    _require_centred(path, name)
    for gate, choices in zip(GATES, path.gates, strict=True):
        if choices is not None:
            seen = path.cell.format if gate == "output" else path.read_cell
            _require_gate(choices, path, late, f"{name}: {gate} gate", seen)
    read = {gate: _gate_range(path, gate) for gate in GATES}
    kept = product_range(read["forget"], format_range(path.read_cell, centred=True))
    require_int64(kept, f"{name}: forget gate times cell")
    require_int64(product_range(read["input"], read["candidate"]), f"{name}: input gate times candidate")
    addends = path.forget_addend or path.forget_product, path.input_addend or path.input_product
    ranges = [format_range(stage.format, centred=True) for stage in addends]
    require_int64(ranges[0].plus(ranges[1]), f"{name}: sum of the cell")
    PreparedActivation(path.cell_activation, format_range(path.cell_input.format), name)
    require_int64(activation_range(path.cell_activation), f"{name}: cell activation")
    activated = format_range(path.cell_output.format, centred=True)
    require_int64(product_range(read["output"], activated), f"{name}: output gate times cell activation")


def _gate_range(path: LstmDatapath, gate: str) -> Range:
    """The values of a gate as the cell reads it, less its zero point; a coupled one may leave its format."""
    form = gate_format(path, gate)
    if path.coupled is None or gate != "input":
        return format_range(form, centred=True)
    low, high = path.coupled - form.raw_max, path.coupled - form.raw_min
    return Range(low, high).plus(Range(-form.zero_point, -form.zero_point))


def _require_gate(choices: GateDatapath, path: LstmDatapath, late: Any, name: str, seen: Format) -> None:
    """Refuse a gate by the name; its peephole sees a cell of the format ``seen``."""
    sums = format_range(choices.input_sum.format, centred=True)
    if not path.joint:
        sums = sums.plus(format_range(choices.recurrent_sum.format, centred=True))
    require_int64(sums.plus(Range(late, late)), f"{name}: sum of the pre-activation")
    if choices.peephole is not None:
        weight, cell = (format_range(form, centred=True) for form in (choices.peephole.weight, seen))
        require_int64(product_range(weight, cell), f"{name}: peephole weight times cell")
        addend = format_range(choices.peephole.product.format, centred=True)
        added = addend.plus(format_range(choices.preactivation.format, centred=True))
        require_int64(added, f"{name}: sum with the peephole")
    if choices.norm is not None:
        read = choices.preactivation.format if choices.peephole is None else choices.peephole.sum.format
        if not format_range(read, centred=True).within(_NORM_INPUT):
            raise ModelError(f"{name}: input of the normalization must fit 16 bits, not {read.name}")
    PreparedActivation(choices.activation, format_range(choices.read), name)


def _require_centred(path: LstmDatapath, name: str) -> None:
    """Refuse formats whose raws less their zero point 64 bits could not hold."""
    for stage, narrowing in narrowings(path).items():
        require_int64(format_range(narrowing.format, centred=True), f"{name}.{stage} less its zero point")
    require_int64(format_range(path.read_cell, centred=True), f"{name}.cell less its zero point")
    for what, choices in zip(path.gate_names, path.present, strict=True):
        _require_function(choices.activation, f"{name}: {what} gate")
    _require_function(path.cell_activation, f"{name}: cell activation")


def _require_function(activation: Activation, name: str) -> None:
    zero_point = activation.format.zero_point
    values = activation_range(activation).plus(Range(-zero_point, -zero_point))
    require_int64(values, f"{name}: values of the activation less their zero point")
