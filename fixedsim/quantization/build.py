"""Integer layers from float ones: every format, constant and table of a datapath."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import to_raw
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError, ProfileError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.model.layer_kinds import IntegerLayer
from fixedsim.network.bit_rnn import weight_scale
from fixedsim.network.description import EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.network.network import Network
from fixedsim.profiles.datapath import (
    STEP_BITS,
    Activation,
    BiasStage,
    EmbeddingDatapath,
    GateDatapath,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.profiles.profile import CastChoices, Profile
from fixedsim.quantization.functions import function, function_choices
from fixedsim.quantization.requantization import floor_log2, requantization_form, requantize, row_constants
from fixedsim.quantization.scales import QuantizedWeight, bit_rnn_weight, quantize_weight
from fixedsim.quantization.sums import QuantizedBias, Sums, accumulator, bias_width, joined, quantize_bias, sums
from fixedsim.quantization.targets import Widths
from fixedsim.tables import clipped_relu, identity, relu

Reals = NDArray[np.float64]


@dataclass
class Builder:
    """Builds integer layers one by one and keeps the quantized tensors for the report."""

    network: Network
    profile: Profile
    widths: Widths
    weights: dict[str, QuantizedWeight] = field(default_factory=dict)
    biases: dict[str, QuantizedBias] = field(default_factory=dict)

    def real(self, name: str) -> Reals:
        """A float tensor of the network, in float64."""
        return np.asarray(self.network.weights[name], dtype=np.float64)

    def bias(self, name: str, rows: int) -> Reals:
        """A float bias, zeros where the network has none."""
        return self.real(name) if name in self.network.weights else np.zeros(rows)

    def quantized(self, *names: str) -> list[QuantizedWeight]:
        """The raws of weight matrices; under a Bit-RNN rule those named together share one scale."""
        rule = self.network.description.bit_rnn
        reals = [self.real(name) for name in names]
        scale = weight_scale(reals) if rule else 0.0
        for name, real in zip(names, reals, strict=True):
            bits = self.widths[name]
            self.weights[name] = (
                bit_rnn_weight(real, bits, scale) if rule else quantize_weight(real, bits, self.profile.weight)
            )
        return [self.weights[name] for name in names]

    def layer(self, layer: Layer, incoming: Format | None, output: Format | None) -> IntegerLayer:
        """The integer layer that reads ``incoming`` (None: tokens) and gives ``output`` (None: accumulator width)."""
        match layer:
            case EmbeddingLayer() if output is not None:
                return self.embedding(layer, output)
            case LstmLayer() if incoming is not None and output is not None:
                return self.lstm(layer, incoming, output)
            case LinearLayer() if incoming is not None:
                return self.linear(layer, incoming, output)
            case _:
                raise ModelError(f"formats around {layer.name} must be known, not missing")

    def embedding(self, layer: EmbeddingLayer, output: Format) -> Embedding:
        """The table at weight bits, narrowed to the output; a Bit-RNN's holds the output's codes themselves."""
        name = f"{layer.name}.weight"
        if self.network.description.bit_rnn:
            raws = to_raw(self.real(name), output)
            unit = np.full(len(raws), float(output.scale))
            self.weights[name] = QuantizedWeight(raws, output.with_scale(Fraction(1)), unit)
            return Embedding.from_raws(layer.name, raws, EmbeddingDatapath(output, Narrowing(output)))
        (weight,) = self.quantized(name)
        ratios = [Fraction(scale) / output.scale for scale in weight.scale.tolist()]
        constants = row_constants(ratios, self.profile.requantize, name)
        datapath = EmbeddingDatapath(weight.format, self._narrowing(output))
        return Embedding.from_raws(
            layer.name, weight.raws, datapath, multiplier=constants.multiplier, shift=constants.shift
        )

    def linear(self, layer: LinearLayer, incoming: Format, output: Format | None) -> Linear:
        """A fully connected layer; ``output`` None keeps the sums at accumulator width, on one common scale."""
        name = f"{layer.name}.weight"
        (weight,) = self.quantized(name)
        added = sums(weight.scale, incoming.scale, self.profile, name)
        total, activation, narrowed = self._linear_stages(layer, weight, added, incoming, output)
        bias, stored = self._bias(f"{layer.name}.bias", self.bias(f"{layer.name}.bias", layer.outputs), added, total)
        datapath = LinearDatapath(
            input=incoming,
            weight=weight.format,
            bias=stored.format,
            accumulator=accumulator(self.profile),
            bias_stage=self.profile.bias.stage,
            sum=total,
            preactivation=Narrowing(total.format, overflow=total.overflow),
            activation=activation,
            output=narrowed,
        )
        return Linear(layer.name, self._matrix(weight, added, total, name), bias, datapath)

    def _linear_stages(
        self, layer: LinearLayer, weight: QuantizedWeight, added: Sums, incoming: Format, output: Format | None
    ) -> tuple[Narrowing, Activation, Narrowing]:
        choices = self.profile.linear
        if layer.activation in ("identity", "relu", "clipped_relu"):
            scale = self._logit_scale(layer, weight, added, incoming) if output is None else output.scale
            form = Format.integer(self.profile.accumulator.bits).with_scale(scale)
            total = Narrowing(
                form, choices.rounding, choices.overflow, form=requantization_form(self.profile.requantize)
            )
            return total, _clamp(layer, form), Narrowing(output or form, overflow=self.profile.activation.overflow)
        total = Narrowing(
            choices.preactivation.format,
            choices.preactivation.rounding,
            choices.preactivation.overflow,
            form=requantization_form(self.profile.requantize),
        )
        form = function_choices(layer.activation, self.profile).format
        activation = function(layer.activation, self.profile, total.format, form)
        return total, activation, self._rescale(form.scale, output or form)

    def _logit_scale(self, layer: LinearLayer, weight: QuantizedWeight, added: Sums, incoming: Format) -> Fraction:
        """The finest power-of-two scale, no finer than the finest sum's, at which no sum leaves the accumulator."""
        reach = max(abs(incoming.raw_min - incoming.zero_point), abs(incoming.raw_max - incoming.zero_point))
        largest = np.sum(np.abs(weight.reals), axis=1) * reach * float(incoming.scale)
        bound = float(np.max(largest + np.abs(self.bias(f"{layer.name}.bias", layer.outputs)), initial=0.0))
        finest = Fraction(2) ** floor_log2(min(added.scale))
        top = (1 << (self.profile.accumulator.bits - 1)) - 1
        room = Fraction(bound) * (1 + Fraction(1, 1 << 20)) / top
        return finest if room <= finest else Fraction(2) ** (floor_log2(room) + 1)

    def _matrix(self, weight: QuantizedWeight, added: Sums, total: Narrowing, name: str) -> Matrix:
        ratios = [scale / total.format.scale for scale in added.scale]
        constants = row_constants(ratios, self.profile.requantize, name)
        return Matrix.of(
            weight.raws,
            weight.format,
            accumulator(self.profile),
            total,
            product_shift=added.product_shift,
            multiplier=constants.multiplier,
            shift=constants.shift,
            scale=added.floats,
            what=name,
        )

    def _bias(self, name: str, real: Reals, added: Sums, total: Narrowing) -> tuple[Bias, QuantizedBias]:
        late = self.profile.bias.stage is BiasStage.PREACTIVATION
        scale = [total.format.scale] * len(real) if late else added.scale
        bits = self.widths.override(name) or self.profile.bias.bits
        stored = quantize_bias(real, scale, bits, bias_width(self.profile, total.format), name.removesuffix(".bias"))
        self.biases[name] = stored
        raws = np.array(stored.raws, dtype=np.int64)
        return Bias.of(raws, stored.format, len(raws), shift=stored.shift, what=name), stored

    def lstm(self, layer: LstmLayer, incoming: Format, hidden: Format) -> Lstm | Bidirectional:
        """An LSTM, in one direction or both."""
        parts = [self._direction(layer, direction, incoming, hidden) for direction in layer.directions]
        return Bidirectional(layer.name, *parts) if layer.bidirectional else parts[0]

    def _direction(self, layer: LstmLayer, direction: str, incoming: Format, hidden: Format) -> Lstm:
        names = f"{direction}.input.weight", f"{direction}.recurrent.weight"
        weights = self.quantized(*names)
        added = [
            sums(weight.scale, scale, self.profile, name)
            for weight, scale, name in zip(weights, (incoming.scale, hidden.scale), names, strict=True)
        ]
        if self.profile.accumulator.joint:
            added = list(joined(added[0], added[1], f"{names[0]} and {names[1]} in a joint accumulator"))
        real = self.bias(f"{direction}.bias", 4 * layer.units).copy()
        real[layer.units : 2 * layer.units] += layer.forget_bias
        sum_choices = self.profile.lstm.sum
        total = Narrowing(
            sum_choices.format,
            sum_choices.rounding,
            sum_choices.overflow,
            form=requantization_form(self.profile.requantize),
        )
        bias, stored = self._bias(f"{direction}.bias", real, added[0], total)
        datapath = self._lstm_datapath(layer, direction, incoming, hidden, total, weights, stored)
        from_inputs, from_hidden = (
            self._matrix(weight, each, total, name) for weight, each, name in zip(weights, added, names, strict=True)
        )
        return Lstm(direction, from_inputs, from_hidden, bias, datapath)

    def _lstm_datapath(
        self,
        layer: LstmLayer,
        direction: str,
        incoming: Format,
        hidden: Format,
        total: Narrowing,
        weights: list[QuantizedWeight],
        bias: QuantizedBias,
    ) -> LstmDatapath:
        names = {"input": layer.gate, "forget": layer.gate, "candidate": layer.candidate, "output": layer.gate}
        gates = {gate: self._gate(f"{direction}.gate.{gate}", name, total) for gate, name in names.items()}
        choices = self.profile.lstm
        cell = self._cast(choices.cell, f"{direction}.cell")
        read = cell if choices.cell_input is None else self._cast(choices.cell_input, f"{direction}.cell_input")
        cell_function = function_choices(layer.cell_activation, self.profile).format
        activated = self.widths.resized(f"{direction}.cell_activation", cell_function)
        products = self._cell_products(direction, gates, cell.format)
        state = self.network.description.initial_state
        start = 0.5 if state == "half" else 0.0
        initial_hidden = int(to_raw(np.array([start]), hidden)[0])
        initial_cell = float(hidden.real(initial_hidden)) if self.network.description.bit_rnn else start
        return LstmDatapath(
            input=incoming,
            weight=weights[0].format,
            recurrent_weight=weights[1].format,
            bias=bias.format,
            accumulator=accumulator(self.profile),
            joint=self.profile.accumulator.joint,
            bias_stage=self.profile.bias.stage,
            gates=(gates["input"], gates["forget"], gates["candidate"], gates["output"]),
            forget_product=products[0],
            input_product=products[1],
            cell=_from(products[0].format, cell),
            cell_input=_from(cell.format, read),
            cell_activation=function(layer.cell_activation, self.profile, read.format, activated),
            cell_output=Narrowing(activated),
            hidden=self._rescale(gates["output"].output.format.scale * activated.scale, hidden),
            initial_hidden=initial_hidden,
            initial_cell=int(to_raw(np.array([initial_cell]), cell.format)[0]),
        )

    def _gate(self, name: str, function_name: str, total: Narrowing) -> GateDatapath:
        scaled = Narrowing(
            _same_scale(self.widths.resized(f"{name}.sum", total.format), total.format, name),
            total.rounding,
            total.overflow,
            form=total.form,
        )
        preactivation = self._cast(self.profile.lstm.preactivation, f"{name}.preactivation")
        form = self.widths.resized(name, function_choices(function_name, self.profile).format)
        return GateDatapath(
            input_sum=scaled,
            recurrent_sum=scaled,
            preactivation=_from(total.format, preactivation),
            activation=function(function_name, self.profile, preactivation.format, form),
            output=Narrowing(form),
        )

    def _cell_products(
        self, direction: str, gates: dict[str, GateDatapath], cell: Format
    ) -> tuple[Narrowing, Narrowing]:
        """Both addends of the cell on one scale: exact ones on the finer of the two."""
        form = {gate: choices.output.format for gate, choices in gates.items()}
        scales = form["forget"].scale * cell.scale, form["input"].scale * form["candidate"].scale
        choices = self.profile.lstm.forget_product, self.profile.lstm.input_product
        targets = []
        for name, scale, choice in zip(("forget_product", "input_product"), scales, choices, strict=True):
            exact = CastChoices(
                format=Format.integer(STEP_BITS - 1).with_scale(min(scales)),
                rounding=Rounding.FLOOR,
                overflow=_SATURATE,
            )
            cast = exact if choice is None else self._cast(choice, f"{direction}.{name}")
            targets.append(_shifted(scale, cast, f"{direction}.{name}"))
        if targets[0].format.scale != targets[1].format.scale:
            raise ProfileError(
                "lstm.forget_product and lstm.input_product must have the same fraction bits, not formats "
                f"{targets[0].format.name} and {targets[1].format.name}"
            )
        return targets[0], targets[1]

    def _cast(self, choices: CastChoices, name: str) -> CastChoices:
        form = self.widths.resized(name, choices.format)
        return CastChoices(format=form, rounding=choices.rounding, overflow=choices.overflow)

    def _narrowing(self, form: Format) -> Narrowing:
        activation = self.profile.activation
        return Narrowing(
            form, activation.rounding, activation.overflow, form=requantization_form(self.profile.requantize)
        )

    def _rescale(self, scale: Fraction, form: Format) -> Narrowing:
        """The cast of values of ``scale`` to an activation."""
        multiplier, shift = requantize(scale / form.scale, self.profile.requantize, form.name)
        kind = requantization_form(self.profile.requantize)
        activation = self.profile.activation
        return Narrowing(form, activation.rounding, activation.overflow, shift, multiplier, kind)


_SATURATE = Overflow.SATURATE


def _clamp(layer: LinearLayer, form: Format) -> PiecewiseLinear:
    """The function of a layer whose sums are already on the scale of its output."""
    if layer.activation == "identity":
        return identity(form, form)
    return relu(form, form) if layer.clip is None else clipped_relu(form, form, Fraction(layer.clip))


def _from(source: Format, choices: CastChoices) -> Narrowing:
    return _shifted(source.scale, choices, choices.format.name)


def _shifted(scale: Fraction, choices: CastChoices, what: str) -> Narrowing:
    """The cast from values of ``scale``: a shift, since every format inside a datapath is a power of two."""
    ratio = choices.format.scale / scale
    power = floor_log2(ratio)
    if Fraction(2) ** power != ratio:
        raise ProfileError(
            f"format of {what} must have a power-of-two scale like its source, not {choices.format.name}"
        )
    return choices.narrowing(power)


def _same_scale(form: Format, wanted: Format, name: str) -> Format:
    """The sums of a gate at another width keep their scale, for both are added: the range changes instead."""
    return Format.integer(form.bits, signed=form.signed).with_scale(wanted.scale) if form != wanted else form
