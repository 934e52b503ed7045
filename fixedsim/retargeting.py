"""A model under another profile: the same raws, and the other arithmetic around them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_linear, assemble_lstm
from fixedsim.assembly.tensors import RawVector, overrides
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.choices import FunctionKind
from fixedsim.profiles.datapath import (
    GATES,
    Activation,
    GateDatapath,
    LayerNorm,
    LstmDatapath,
    Narrowing,
    Peephole,
    PiecewiseLinear,
)
from fixedsim.profiles.profile import Profile

_CELL_STAGES = ("forget_product", "input_product", "forget_addend", "input_addend", "cell", "cell_input")
_FUNCTIONS = ("identity", "relu", "clipped_relu", "sigmoid", "tanh", "hard_sigmoid", "hard_sigmoid_fifth", "hard_tanh")


def retarget(model: Model, profile: Profile) -> Model:
    """The model with every choice of ``profile``: roundings, overflows, order of sums, functions, requantization.

    Weights, biases and the formats of what travels between layers stay. A format inside a layer is the profile's, but
    where the model's own differs from that of the profile that it was made with, it stays. Multipliers and shifts
    follow anew from the scales.

    Raises:
        ModelError: a layer in float64 or with choices of its own, a model that does not say what profile it was made
            with, or choices that its formats do not allow.
        ProfileError: choices that do not fit each other.
    """
    if not model.profile:
        raise ModelError("model must name the profile that it was made with, to be brought under another")
    own = Profile.from_dict(dict(model.profile), "profile of the model")
    layers = tuple(_layer(layer, own, profile) for layer in model.layers)
    return replace(model, layers=layers, profile=profile.to_dict())


def _layer(layer: Layer, own: Profile, profile: Profile) -> Layer:
    match layer:
        case Linear():
            return _linear(layer, own, profile)
        case Lstm():
            return _lstm(layer, own, profile)
        case Bidirectional():
            ahead, back = (_lstm(part, own, profile) for part in (layer.forward, layer.backward))
            return replace(layer, forward=ahead, backward=back)
        case Embedding():
            output = layer.datapath.output
            kept = replace(output, rounding=profile.activation.rounding, overflow=profile.activation.overflow)
            return replace(layer, datapath=replace(layer.datapath, output=kept))
        case Reversal():
            return layer
        case _:
            raise ModelError(f"{layer.name} must be on integers, not in float64, to be brought under another profile")


def _linear(layer: Linear, own: Profile, profile: Profile) -> Linear:
    tensors = _linear_tensors(layer, own)
    before = assemble_linear(layer.name, tensors, own).datapath.preactivation.format
    actual = layer.datapath.preactivation.format
    kept = {} if actual == before else {f"{layer.name}.preactivation": actual}
    again = assemble_linear(layer.name, tensors, own, overrides(kept))
    _require_same(layer, [(layer.datapath, again.datapath)], [(layer.matrix, again.matrix)])
    return assemble_linear(layer.name, tensors, profile, overrides(kept))


def _require_same(
    layer: Linear | Lstm, datapaths: Sequence[tuple[object, object]], matrices: Sequence[tuple[Matrix, Matrix]]
) -> None:
    """Refuse a layer that its profile does not give again: it has choices or constants of its own."""
    same = all(actual == made for actual, made in datapaths)
    constants = ("multiplier", "shift", "product_shift", "zero_point")
    same = same and all(
        np.array_equal(getattr(actual, name), getattr(made, name)) for actual, made in matrices for name in constants
    )
    if not same:
        raise ModelError(
            f"{layer.name} must have the choices of the model's profile, not ones of its own, to be brought under "
            f"another; build or import it under the other profile"
        )


def _linear_tensors(layer: Linear, own: Profile) -> LinearTensors:
    path = layer.datapath
    function = _function(path.activation, own, layer.name)
    clip = None
    if function == "clipped_relu" and isinstance(path.activation, PiecewiseLinear):
        form = path.activation.format
        clip = form.scale * (path.activation.high - form.zero_point)
    output, total = path.output.format, path.sum.format
    if (total.bits, total.scale) == (output.bits, output.scale):  # a range that the one cast is cut to
        output = replace(output, raw_min=total.raw_min, raw_max=total.raw_max)
    return LinearTensors(
        _raw_matrix(layer.matrix, path.weight, path.input.scale, path.accumulator.product),
        _raw_bias(layer.bias, path.bias),
        path.input,
        output,
        function,
        clip,
        sum_scale=total.scale,
    )


def _function(activation: Activation, own: Profile, name: str) -> str:
    """The function that an activation was made from: a profile's hard form stands for the smooth one."""
    function = activation.function or "identity"
    if function not in _FUNCTIONS:
        raise ModelError(f"activation of {name} must be one of {', '.join(_FUNCTIONS)}, not {function}")
    smooth = function.removeprefix("hard_")
    hard = {"sigmoid": own.sigmoid.kind, "tanh": own.tanh.kind}.get(smooth) is FunctionKind.HARD
    return smooth if hard else function


def _raw_matrix(matrix: Matrix, form: Format, incoming: Fraction, product: Narrowing | None) -> RawMatrix:
    """The matrix with the scale of each row's weights, from that of its sums."""
    shifts = matrix.product_shift.tolist() if product is not None else [0] * matrix.rows
    scale = [
        Fraction(total) / incoming / Fraction(2) ** shift
        for total, shift in zip(matrix.scale.tolist(), shifts, strict=True)
    ]
    return RawMatrix(matrix.weight, form, scale, matrix.zero_point, len(set(scale)) > 1)


def _raw_bias(bias: Bias, form: Format) -> RawBias:
    return RawBias(bias.raw, form, bias.shift)


def _lstm(layer: Lstm, own: Profile, profile: Profile) -> Lstm:
    tensors = _lstm_tensors(layer, own)
    before = assemble_lstm(layer.name, tensors, own).datapath
    kept = _kept_formats(layer.name, layer.datapath, before)
    again = assemble_lstm(layer.name, tensors, own, overrides(kept))
    matrices = [(layer.input_matrix, again.input_matrix), (layer.recurrent_matrix, again.recurrent_matrix)]
    datapaths: list[tuple[object, object]] = [(layer.datapath, again.datapath)]
    if layer.projection is not None and again.projection is not None:
        datapaths.append((layer.projection.datapath, again.projection.datapath))
        matrices.append((layer.projection.matrix, again.projection.matrix))
    _require_same(layer, datapaths, matrices)
    return assemble_lstm(layer.name, tensors, profile, overrides(kept))


def _kept_formats(name: str, path: LstmDatapath, before: LstmDatapath) -> dict[str, Format]:
    """The formats inside the layer that are not those of the profile that it was made with."""
    actual, default = (dict(_stage_formats(name, each)) for each in (path, before))
    return {stage: form for stage, form in actual.items() if default.get(stage) != form}


def _stage_formats(name: str, path: LstmDatapath) -> Iterator[tuple[str, Format]]:
    for gate, choices in zip(GATES, path.gates, strict=True):
        if choices is not None:
            yield from _gate_formats(f"{name}.gate.{gate}", choices)
    for stage in _CELL_STAGES:
        narrowing = getattr(path, stage)
        if narrowing is not None:
            yield f"{name}.{stage}", narrowing.format


def _gate_formats(name: str, choices: GateDatapath) -> Iterator[tuple[str, Format]]:
    yield f"{name}.sum", choices.input_sum.format
    yield f"{name}.recurrent_sum", choices.recurrent_sum.format
    yield f"{name}.preactivation", choices.preactivation.format
    if choices.peephole is not None:
        yield f"{name}.peephole_product", choices.peephole.product.format
        yield f"{name}.peephole_sum", choices.peephole.sum.format
    if choices.norm is not None:
        yield f"{name}.normalized", choices.norm.output.format


def _lstm_tensors(layer: Lstm, own: Profile) -> LstmTensors:
    path = layer.datapath
    product = path.accumulator.product
    hidden = layer.state_format if path.hidden_rescale is None else path.hidden_rescale.format
    return LstmTensors(
        _raw_matrix(layer.input_matrix, path.weight, path.read_input.scale, product),
        _raw_matrix(layer.recurrent_matrix, path.recurrent_weight, hidden.scale, product),
        _raw_bias(layer.bias, path.bias),
        path.input,
        path.hidden.format,
        path.hidden_state,
        path.output,
        path.cell_state,
        (
            _function(path.gates[1].activation, own, layer.name),
            _function(path.gates[2].activation, own, layer.name),
            _function(path.cell_activation, own, layer.name),
        ),
        path.coupled is not None,
        _vectors(layer.peephole, {gate: choices.peephole for gate, choices in _by_gate(path)}),
        _vectors(layer.norm, {gate: choices.norm for gate, choices in _by_gate(path)}),
        None if layer.projection is None else _linear_tensors(layer.projection, own),
        path.initial_hidden,
        path.initial_cell,
        start=layer.start,
    )


def _by_gate(path: LstmDatapath) -> Iterator[tuple[str, GateDatapath]]:
    return zip(path.gate_names, path.present, strict=True)


def _vectors(
    given: Mapping[str, NDArray[Any]], parts: Mapping[str, Peephole | LayerNorm | None]
) -> dict[str, RawVector]:
    return {gate: RawVector(raws, part.weight) for gate, raws in given.items() if (part := parts[gate]) is not None}
