"""Make an integer model of a float network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear, RealLstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import IntegerLayer, RealLayer
from fixedsim.model.layer_kinds import Layer as IntegerOrReal
from fixedsim.model.model import Model
from fixedsim.network.description import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.network.network import Network
from fixedsim.network.weights import run_weights
from fixedsim.patterns import matching
from fixedsim.profiles.choices import ActivationChoices, Sums, WeightChoices
from fixedsim.profiles.profile import Profile, load_profile
from fixedsim.quantization.activations import RangeMethod
from fixedsim.quantization.build import Builder
from fixedsim.quantization.ranges import ActivationFormats, Calibration
from fixedsim.quantization.report import tensor_report
from fixedsim.quantization.targets import Widths, edge_name
from fixedsim.version import VERSION

DEFAULT_BITS = 8


def quantize(
    network: Network,
    *,
    profile: str | Path | Profile = "fixed-point",
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    bits: Mapping[str, int] | None = None,
    calibration: ArrayLike | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    range_method: str = "min_max",
    percentile: float = 99.99,
    keep_float: Sequence[str] = (),
) -> Model:
    """Make an integer model of ``network`` with the arithmetic of ``profile``.

    Weights become the nearest raws (ties to even) for the scale that the profile chooses, saturated; biases the nearest
    raws at the scale of their stage. The last layer's linear outputs keep accumulator width, on one common scale,
    unless ``bits`` names them.

    Args:
        network: float weights and description.
        profile: name, path or value of the arithmetic choices.
        weight_bits: width of every weight, 1..16; of a Bit-RNN network its own, else 8, if left out.
        activation_bits: width of every activation between layers and of hidden states, likewise.
        bits: widths by pattern over tensors (``lstm.recurrent.weight``), activations (``lstm.hidden``) and casts inside
            an LSTM (``lstm.cell``, ``lstm.gate.*.preactivation``); the last pattern that matches counts.
        calibration: inputs of a float run that shows the range of each activation.
        ranges: ``(low, high)`` by pattern over activations, instead of calibration.
        range_method: how calibration becomes a range: ``min_max``, ``percentile`` or ``least_squares``.
        percentile: share of samples kept by ``percentile``.
        keep_float: patterns of layers that stay in float64; such a model is not bit-exact.

    Raises:
        InputError: a width out of range, or a pattern that matches nothing.
        NetworkError: an activation whose range nothing bounds.
        ProfileError, ModelError: choices that this network cannot have, such as an accumulator too narrow for a bias.
    """
    choices = load_profile(profile)
    description = network.description
    weight_width, activation_width = default_bits(description, choices, weight_bits, activation_bits)
    widths = Widths(description, weight_width, activation_width, bits or {})
    builder = Builder(network, choices, widths)
    method = _method(range_method)
    formats = ActivationFormats(network, choices, widths, ranges or {}, Calibration(calibration, method, percentile))
    kept = matching(keep_float, [layer.name for layer in description.layers], "keep-float pattern")
    layers = _layers(builder, formats, kept)
    quantization: dict[str, Any] = {
        "fixedsim": VERSION,
        "weight_bits": weight_width,
        "activation_bits": activation_width,
        "bits": dict(bits or {}),
        "ranges": {pattern: list(ends) for pattern, ends in (ranges or {}).items()},
        "calibrated": calibration is not None,
        "range_method": str(method),
        "keep_float": sorted(kept),
        "tensors": tensor_report(builder, layers),
    }
    last = frozenset(layer.name for layer in description.lstm_layers if layer.steps == "last")
    return Model(description.name, layers, last, description.to_dict(), choices.to_dict(), quantization)


def default_bits(
    description: Description, profile: Profile, weight_bits: int | None, activation_bits: int | None
) -> tuple[int, int]:
    """The widths of weights and activations that no pattern names: given, else trained, the profile's, or 8."""
    rule = description.bit_rnn
    return (
        _default(weight_bits, rule.weight_bits if rule else None, _profile_bits(profile.weight)),
        _default(activation_bits, rule.activation_bits if rule else None, _profile_bits(profile.activation)),
    )


def _default(bits: int | None, trained: int | None, profile: int | None) -> int:
    return bits if bits is not None else trained or profile or DEFAULT_BITS


def _profile_bits(choices: WeightChoices | ActivationChoices) -> int | None:
    """The width that a profile names: its fixed format's, or the one for where the user names none."""
    return choices.bits if choices.fixed is None else choices.fixed.format.bits


def _method(name: str) -> RangeMethod:
    try:
        return RangeMethod(name)
    except ValueError:
        raise InputError(f"range_method must be one of {', '.join(RangeMethod)}, not {name}") from None


def _layers(builder: Builder, formats: ActivationFormats, kept: frozenset[str]) -> tuple[IntegerOrReal, ...]:
    description = builder.network.description
    layers: list[IntegerOrReal] = []
    incoming: Format | None = None
    for layer in description.layers:
        if layer.name in kept:
            layers.append(_real_layer(builder.network, layer))
            incoming = None if layer is description.layers[-1] else formats.output(layer)
            continue
        if incoming is None and not isinstance(layer, EmbeddingLayer):
            incoming = formats.input()
        free = layer is description.layers[-1] and _keeps_accumulators(layer, builder)
        outgoing = None if free else formats.output(layer)
        layers += _in_its_time(layer, builder.layer(layer, incoming, outgoing, formats.hidden(layer)))
        incoming = outgoing
    return tuple(layers)


def _in_its_time(layer: Layer, integer: IntegerLayer) -> list[IntegerOrReal]:
    """The integer layer, between two reversals of time where it reads time backwards; its last step needs no second."""
    if not (isinstance(layer, LstmLayer) and layer.reverse and isinstance(integer, Lstm)):
        return [integer]
    turned = Reversal(f"{layer.name}.reversed", integer.input_format)
    back = Reversal(f"{layer.name}.restored", integer.output_format)
    return [turned, integer] if layer.steps == "last" else [turned, integer, back]


def _keeps_accumulators(layer: Layer, builder: Builder) -> bool:
    """Whether the outputs are sums at accumulator width: linear ones that no pattern names, if the profile says so."""
    linear = isinstance(layer, LinearLayer) and layer.activation == "identity"
    kept = builder.profile.linear.sums is Sums.ACCUMULATOR
    return linear and kept and builder.widths.override(edge_name(layer)) is None


def _real_layer(network: Network, layer: Layer) -> RealLayer:
    """The layer as the float reference computes it, in float64."""
    weights = run_weights(network.description, network.weights, np.dtype(np.float64))
    real = {name: np.asarray(values, dtype=np.float64) for name, values in weights.items()}
    match layer:
        case EmbeddingLayer():
            return RealEmbedding(layer.name, real[f"{layer.name}.weight"])
        case LinearLayer():
            bias = real.get(f"{layer.name}.bias", np.zeros(layer.outputs))
            return RealLinear(layer.name, real[f"{layer.name}.weight"], bias, layer.activation, layer.clip)
        case LstmLayer():
            parts = [_real_direction(network, layer, index, real) for index in range(len(layer.directions))]
            return RealBidirectional(layer.name, *parts) if layer.bidirectional else parts[0]


def _real_direction(network: Network, layer: LstmLayer, index: int, real: Mapping[str, Any]) -> RealLstm:
    name = layer.directions[index]
    rule = network.description.bit_rnn
    start = 0.5 if network.description.initial_state == "half" else 0.0
    if rule:
        top = (1 << rule.activation_bits) - 1
        start = float(np.rint(start * top) / top)
    return RealLstm(
        name,
        real[f"{name}.input.weight"],
        real[f"{name}.recurrent.weight"],
        real.get(f"{name}.bias", np.zeros(len(layer.gates) * layer.units)),
        layer.gate,
        layer.candidate,
        layer.cell_activation,
        start,
        rule.activation_bits if rule else None,
        reverse=layer.runs_backwards(index),
        coupled=layer.coupled,
        clip=layer.clip,
        cell_clip=layer.cell_clip,
        projection=real.get(f"{name}.projection.weight"),
        peephole={gate: real[f"{name}.peephole.{gate}"] for gate in layer.peephole_gates},
        start={what: real[f"{name}.initial.{what}"] for what in ("hidden", "cell") if layer.initial},
    )
