"""Operators of random content that LiteRT runs, added to a :class:`FileBuilder`.

Each function takes the index of its input and returns that of its output. Scales are chosen so that gates and
outputs use their range and saturate now and then.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tflite
from numpy.typing import NDArray

from tests.importers.tflite_files import GATES, FileBuilder, Generator


def add_input(file: FileBuilder, rng: Generator, shape: tuple[int, ...], type_name: str = "INT8") -> int:
    """Add an input of the graph, quantized with a zero point if it is INT8."""
    scale, zero_point = (rng.uniform(0.01, 0.03), int(rng.integers(-40, 40)))
    if type_name == "INT16":
        scale, zero_point = scale / 256, 0
    index = file.tensor("x", shape, type_name, scale=[scale], zero_point=[zero_point])
    file.inputs = (*file.inputs, index)
    return index


def add_fully_connected(
    file: FileBuilder,
    rng: Generator,
    x: int,
    outputs: int,
    *,
    per_channel: bool = False,
    activation: str = "NONE",
    bias: str = "INT32",
    keep_axes: bool = False,
    weight_type: str = "INT8",
) -> int:
    """Add FULLY_CONNECTED; ``bias`` is the bias's type, or empty for none."""
    source = file.tensors[x]
    inputs, top = source.shape[-1], 7 if weight_type == "INT4" else 127
    channels = outputs if per_channel else 1
    scales = (rng.uniform(0.3, 1.0, channels) / top).astype(np.float32)
    weights = rng.integers(-top, top + 1, (outputs, inputs))
    w = file.constant("w", weights, weight_type, scale=scales.tolist(), zero_point=[0] * channels)
    b = _bias(file, rng, "b", outputs, np.float32(source.scale[0]) * scales, bias) if bias else -1
    shape = (*source.shape[:-1], outputs) if keep_axes else (int(np.prod(source.shape[:-1])), outputs)
    y_scale, zero_point = 0.012 * inputs**0.5, int(rng.integers(-30, 30))
    if source.type == "INT16":
        y_scale, zero_point = y_scale / 256, 0
    y = file.tensor("y", shape, source.type, scale=[y_scale], zero_point=[zero_point])
    options: dict[str, Any] = {"fusedActivationFunction": activation, "keepNumDims": keep_axes}
    if source.type == "INT16" and bias:
        options["quantizedBiasType"] = getattr(tflite.TensorType, bias)
    file.operator("FULLY_CONNECTED", (x, w, b), (y,), options=options, version=4)
    return y


def _bias(file: FileBuilder, rng: Generator, name: str, size: int, scale: NDArray[np.float32], type_name: str) -> int:
    codes = np.round(rng.normal(0, 0.3, size) / scale)
    return file.constant(name, codes, type_name, scale=scale.tolist(), zero_point=[0] * scale.size)


class LstmPlan(NamedTuple):
    """The shape of a UNIDIRECTIONAL_SEQUENCE_LSTM, and which of its parts it has."""

    units: int
    cell_power: int = -12  # the cell state's scale is 2**cell_power
    cell_clip: float = 10.0
    coupled: bool = False  # no input gate: i = 1 - f
    peephole: bool = False
    projection: int = 0  # the size of the projected output; 0 for none
    projection_bias: bool = True
    projection_clip: float = 0.0
    layer_norm: bool = False
    time_major: bool = False
    own_state_scale: bool = False  # the state's quantization is not the output's
    output: tuple[float, int] | None = None  # scale and zero point of the output, drawn if None


def add_lstm(file: FileBuilder, rng: Generator, x: int, plan: LstmPlan) -> int:
    """Add UNIDIRECTIONAL_SEQUENCE_LSTM on int8 activations and weights, with the cell state in int16."""
    outer = file.tensors[x].shape[:2]
    batch, width = outer[1] if plan.time_major else outer[0], plan.projection or plan.units
    output = _quantization(rng, 0.010 if plan.projection else 0.006, plan.output)
    hidden = _quantization(rng, 0.006) if plan.projection else output
    state = _quantization(rng, 0.008) if plan.own_state_scale else output
    h = file.tensor("h_state", (batch, width), "INT8", variable=True, **state)
    c = file.tensor(
        "c_state", (batch, plan.units), "INT16", variable=True, scale=[2.0**plan.cell_power], zero_point=[0]
    )
    y = file.tensor("y", (*outer, width), "INT8", **output)
    parts = _lstm_parts(file, rng, x, h, plan)
    order = (
        *(f"W_{g}" for g in GATES), *(f"R_{g}" for g in GATES), "P_i", "P_f", "P_o", *(f"b_{g}" for g in GATES),
        "proj_w", "proj_b", "h", "c", *(f"ln_{g}" for g in GATES),
    )  # fmt: skip
    options = {
        "fusedActivationFunction": "TANH",
        "cellClip": plan.cell_clip,
        "projClip": plan.projection_clip,
        "timeMajor": plan.time_major,
    }
    given = {**parts, "h": h, "c": c}
    file.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        (x, *(given.get(name, -1) for name in order)),
        (y,),
        intermediates=_intermediates(file, plan, hidden),
        options=options,
    )
    return y


def _quantization(rng: Generator, scale: float, given: tuple[float, int] | None = None) -> dict[str, Any]:
    scale, zero_point = given or (rng.uniform(scale, 1.3 * scale), int(rng.integers(-9, 9)))
    return {"scale": [scale], "zero_point": [zero_point]}


def _intermediates(file: FileBuilder, plan: LstmPlan, hidden: Mapping[str, Any]) -> list[int]:
    """Four of the gates, which layer normalization alone uses, and the hidden one."""
    gate: dict[str, Any] = {"scale": [2.0**-12], "zero_point": [0]} if plan.layer_norm else {}
    type_name = "INT16" if plan.layer_norm else "FLOAT32"
    gates = [file.tensor(f"mid_{g}", (0,), type_name, **gate) for g in GATES]
    return [*gates, file.tensor("mid_hidden", (0,), "INT8", **hidden)]


def _lstm_parts(file: FileBuilder, rng: Generator, x: int, h: int, plan: LstmPlan) -> dict[str, int]:
    """The constants of the gates and of the projection, by their names in the operator's description."""
    inputs, width = file.tensors[x].shape[-1], file.tensors[h].shape[-1]
    parts: dict[str, int] = {}
    for g in GATES[1:] if plan.coupled else GATES:
        parts[f"W_{g}"] = _matrix(file, rng, f"W_{g}", (plan.units, inputs))
        parts[f"R_{g}"] = _matrix(file, rng, f"R_{g}", (plan.units, width))
        scale = np.float32(file.tensors[x].scale[0] * file.tensors[parts[f"W_{g}"]].scale[0])
        if plan.layer_norm:
            parts[f"ln_{g}"] = _vector(file, rng, f"ln_{g}", plan.units)
            scale = np.float32(file.tensors[parts[f"ln_{g}"]].scale[0] / 1024)
        parts[f"b_{g}"] = _bias(file, rng, f"b_{g}", plan.units, scale.reshape(1), "INT32")
        if plan.peephole and g != "c":
            parts[f"P_{g}"] = _vector(file, rng, f"P_{g}", plan.units)
    if plan.projection:
        parts["proj_w"] = _matrix(file, rng, "proj_w", (plan.projection, plan.units))
    if plan.projection and plan.projection_bias:
        scale = np.float32(0.007 * file.tensors[parts["proj_w"]].scale[0])
        parts["proj_b"] = _bias(file, rng, "proj_b", plan.projection, scale.reshape(1), "INT32")
    return parts


def _matrix(file: FileBuilder, rng: Generator, name: str, shape: tuple[int, int]) -> int:
    scale = rng.uniform(2.0, 4.0) / (127 * shape[1] ** 0.5)
    return file.constant(name, rng.integers(-127, 128, shape), "INT8", scale=[scale], zero_point=[0])


def _vector(file: FileBuilder, rng: Generator, name: str, size: int) -> int:
    scale = rng.uniform(2.0, 4.0) * 2.0**-16
    return file.constant(name, rng.integers(-32767, 32768, size), "INT16", scale=[scale], zero_point=[0])


def add_reshape(file: FileBuilder, x: int, shape: tuple[int, ...]) -> int:
    """Add RESHAPE, its target both as an option and as an operand."""
    wanted = file.constant("shape", np.array(shape), "INT32")
    y = file.like(x, "reshaped", shape)
    file.operator("RESHAPE", (x, wanted), (y,), options={"newShape": shape})
    return y


def add_last_step(file: FileBuilder, x: int) -> int:
    """Add STRIDED_SLICE, ``x[:, -1, :]`` of an array of shape (batch, steps, features)."""
    batch, _, features = file.tensors[x].shape
    ends = [("begin", (0, -1, 0)), ("end", (0, 0, 0)), ("strides", (1, 1, 1))]
    operands = [file.constant(name, np.array(values), "INT32") for name, values in ends]
    y = file.like(x, "last", (batch, features))
    options = {"beginMask": 5, "endMask": 5, "shrinkAxisMask": 2}
    file.operator("STRIDED_SLICE", (x, *operands), (y,), options=options, version=2)
    return y


def add_reverse(file: FileBuilder, x: int, axis: int = 1) -> int:
    """Add REVERSE_V2 along one axis."""
    axes = file.constant("axes", np.array([axis]), "INT32")
    y = file.like(x, "reversed", file.tensors[x].shape)
    file.operator("REVERSE_V2", (x, axes), (y,), options={}, version=3)
    return y


def add_concatenation(file: FileBuilder, parts: tuple[int, ...], axis: int = 2) -> int:
    """Add CONCATENATION of tensors that have one quantization."""
    shape = list(file.tensors[parts[0]].shape)
    shape[axis] = sum(file.tensors[part].shape[axis] for part in parts)
    y = file.like(parts[0], "joined", shape)
    file.operator("CONCATENATION", parts, (y,), options={"axis": axis, "fusedActivationFunction": "NONE"}, version=2)
    return y


def fully_connected(
    rng: Generator, shape: tuple[int, ...], outputs: int, type_name: str = "INT8", **more: Any
) -> bytes:
    """A file with one FULLY_CONNECTED on an input of ``shape``; ``more`` as for :func:`add_fully_connected`."""
    file = FileBuilder()
    file.outputs = (add_fully_connected(file, rng, add_input(file, rng, shape, type_name), outputs, **more),)
    return file.content()


def lstm(rng: Generator, shape: tuple[int, int, int], plan: LstmPlan) -> bytes:
    """A file with one LSTM on an input of ``shape`` (batch, steps, features), or (steps, batch, features)."""
    file = FileBuilder()
    file.outputs = (add_lstm(file, rng, add_input(file, rng, shape), plan),)
    return file.content()


class LitertRun(NamedTuple):
    """What LiteRT gave: the outputs, and the variable tensors after the run by index."""

    outputs: tuple[NDArray[Any], ...]
    states: dict[int, NDArray[Any]]


def run_litert(
    content: bytes,
    *inputs: NDArray[Any],
    states: Mapping[int, NDArray[Any]] | None = None,
    variables: tuple[int, ...] = (),
    resolver: str = "BUILTIN_REF",
) -> LitertRun:
    """Run a file in LiteRT from its reset state, or with ``states`` written into the variable tensors by index."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=getattr(OpResolverType, resolver), num_threads=1
    )
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    for index, values in (states or {}).items():
        interpreter.tensor(index)()[...] = values
    interpreter.invoke()
    outputs = tuple(interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details())
    return LitertRun(outputs, {index: interpreter.get_tensor(index).copy() for index in variables})
