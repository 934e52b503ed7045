"""Integer layers from float ones: every format, constant and table of a datapath."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import to_raw
from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_linear, assemble_lstm
from fixedsim.assembly.linear import linear_sum_format
from fixedsim.assembly.requantization import each_once, floor_log2, requantizing, row_constants
from fixedsim.assembly.sums import Sums, joined, sums
from fixedsim.assembly.tensors import Overrides, RawVector
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model.layer_kinds import IntegerLayer
from fixedsim.network.bit_rnn import weight_scale
from fixedsim.network.description import EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.network.network import Network
from fixedsim.network.weights import forget_rows
from fixedsim.profiles.choices import CastChoices, Granularity, Scheme
from fixedsim.profiles.datapath import BiasStage, EmbeddingDatapath, Narrowing
from fixedsim.profiles.profile import Profile
from fixedsim.quantization.biases import QuantizedBias, quantize_bias
from fixedsim.quantization.features import QuantizedState, require_possible
from fixedsim.quantization.scales import QuantizedWeight, bit_rnn_weight, quantize_weight
from fixedsim.quantization.targets import Widths

Reals = NDArray[np.float64]


@dataclass
class Builder:
    """Builds integer layers one by one and keeps the quantized tensors for the report."""

    network: Network
    profile: Profile
    widths: Widths
    weights: dict[str, QuantizedWeight] = field(default_factory=dict)
    biases: dict[str, QuantizedBias] = field(default_factory=dict)
    states: dict[str, QuantizedState] = field(default_factory=dict)

    def real(self, name: str) -> Reals:
        """A float tensor of the network, in float64."""
        return np.asarray(self.network.weights[name], dtype=np.float64)

    def bias(self, name: str, rows: int) -> Reals:
        """A float bias, zeros where the network has none."""
        return self.real(name) if name in self.network.weights else np.zeros(rows)

    def quantized(self, *names: str) -> list[QuantizedWeight]:
        """The raws of weight matrices.

        Those named together share one scale under a Bit-RNN rule, and where one accumulator holds the products of both
        and they can't be shifted to each other.
        """
        rule = self.network.description.bit_rnn
        if len(names) > 1 and self.profile.accumulator.joint and self.profile.weight.scheme is Scheme.SYMMETRIC:
            return self._joined(names)
        reals = [self.real(name) for name in names]
        scale = weight_scale(reals) if rule else 0.0
        for name, real in zip(names, reals, strict=True):
            bits = self.widths[name]
            self.weights[name] = (
                bit_rnn_weight(real, bits, scale) if rule else quantize_weight(real, bits, self.profile.weight)
            )
        return [self.weights[name] for name in names]

    def _joined(self, names: tuple[str, ...]) -> list[QuantizedWeight]:
        """The raws of matrices side by side, as one."""
        widths = [self.widths[name] for name in names]
        if len(set(widths)) > 1:
            raise ModelError(f"bits of {' and '.join(names)} must be equal in a joint accumulator, not {widths}")
        reals = [self.real(name) for name in names]
        whole = quantize_weight(np.concatenate(reals, axis=1), widths[0], self.profile.weight)
        ends = np.cumsum([real.shape[1] for real in reals])[:-1]
        for name, raws in zip(names, np.split(whole.raws, ends, axis=1), strict=True):
            self.weights[name] = QuantizedWeight(np.ascontiguousarray(raws), whole.format, whole.scale)
        return [self.weights[name] for name in names]

    def layer(
        self, layer: Layer, incoming: Format | None, output: Format | None, hidden: Format | None = None
    ) -> IntegerLayer:
        """The integer layer that reads ``incoming`` (None: tokens) and gives ``output`` (None: accumulator width).

        ``hidden`` is what the projection of an LSTM reads, where it has one.
        """
        match layer:
            case EmbeddingLayer() if output is not None:
                return self.embedding(layer, output)
            case LstmLayer() if incoming is not None and output is not None:
                return self.lstm(layer, incoming, output, hidden)
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
        ratios = each_once(lambda scale: Fraction(scale) / output.scale, weight.scale.tolist())
        constants = row_constants(ratios, self.profile.requantize, name)
        datapath = EmbeddingDatapath(weight.format, self._narrowing(output))
        return Embedding.from_raws(
            layer.name, weight.raws, datapath, multiplier=constants.multiplier, shift=constants.shift
        )

    def linear(self, layer: LinearLayer, incoming: Format, output: Format | None) -> Linear:
        """A fully connected layer; ``output`` None keeps the sums at accumulator width, on one common scale."""
        name = f"{layer.name}.weight"
        (weight,) = self.quantized(name)
        matrix = _matrix(weight, self.profile)
        added = sums(matrix.scale, incoming.scale, self.profile, name)
        scale = self._logit_scale(layer, weight, added, incoming) if output is None else output.scale
        stage = self.profile.linear.bias_stage or self.profile.bias.stage
        late = None
        if stage is BiasStage.PREACTIVATION:
            late = linear_sum_format(layer.activation, output, scale, self.profile)
        tensors = LinearTensors(
            matrix,
            self._bias(f"{layer.name}.bias", self.bias(f"{layer.name}.bias", layer.outputs), added, late),
            incoming,
            output,
            layer.activation,
            None if layer.clip is None else Fraction(layer.clip),
            sum_scale=scale,
        )
        return assemble_linear(layer.name, tensors, self.profile, self.overrides)

    def _logit_scale(self, layer: LinearLayer, weight: QuantizedWeight, added: Sums, incoming: Format) -> Fraction:
        """The finest power-of-two scale, no finer than the finest sum's, at which no sum leaves the accumulator."""
        reach = max(abs(incoming.raw_min - incoming.zero_point), abs(incoming.raw_max - incoming.zero_point))
        largest = np.sum(np.abs(weight.reals), axis=1) * reach * float(incoming.scale)
        bound = float(np.max(largest + np.abs(self.bias(f"{layer.name}.bias", layer.outputs)), initial=0.0))
        finest = Fraction(2) ** floor_log2(min(added.scale))
        top = (1 << (self.profile.accumulator.bits - 1)) - 1
        room = Fraction(bound) * (1 + Fraction(1, 1 << 20)) / top
        return finest if room <= finest else Fraction(2) ** (floor_log2(room) + 1)

    @property
    def overrides(self) -> Overrides:
        """The widths that the user set, as formats over the same range."""
        return Overrides(self._resized)

    def _resized(self, name: str, form: Format) -> Format:
        resized = self.widths.resized(name, form)
        return _same_scale(resized, form) if name.endswith((".sum", ".peephole_product")) else resized

    def _bias(self, name: str, real: Reals, added: Sums, late: Format | None) -> RawBias:
        """The quantized bias at its stage: of the accumulators, or of sums in the format ``late``."""
        fixed = self.profile.bias.fixed
        if fixed is not None:
            raws = to_raw(real, fixed.format, fixed.rounding, fixed.overflow)
            scales = [fixed.format.scale] * len(real)
            zeros = np.zeros(len(real), dtype=np.int64)
            self.biases[name] = QuantizedBias(raws.tolist(), zeros, fixed.format, scales, real)
            return RawBias(raws, fixed.format)
        scales = added.scale if late is None else [late.scale] * len(real)
        bits = self.widths.override(name) or self.profile.bias.bits
        width = self.profile.accumulator.bits if late is None else late.bits
        stored = quantize_bias(real, scales, bits, width, name.removesuffix(".bias"))
        self.biases[name] = stored
        return RawBias(np.array(stored.raws, dtype=np.int64), stored.format, stored.shift)

    def lstm(
        self, layer: LstmLayer, incoming: Format, output: Format, hidden: Format | None = None
    ) -> Lstm | Bidirectional:
        """An LSTM, in one direction or both; ``hidden`` is what its projection reads."""
        require_possible(layer, self.profile)
        parts = [self._direction(layer, direction, incoming, output, hidden) for direction in layer.directions]
        return Bidirectional(layer.name, *parts) if layer.bidirectional else parts[0]

    def _direction(
        self, layer: LstmLayer, direction: str, incoming: Format, output: Format, hidden: Format | None
    ) -> Lstm:
        names = f"{direction}.input.weight", f"{direction}.recurrent.weight"
        matrices = [_matrix(weight, self.profile) for weight in self.quantized(*names)]
        choices = self.profile.lstm
        read = _rescaled(choices.input_rescale, incoming), _rescaled(choices.hidden_rescale, output)
        added = [
            sums(matrix.scale, form.scale, self.profile, name)
            for matrix, form, name in zip(matrices, read, names, strict=True)
        ]
        if self.profile.accumulator.joint:
            added = list(joined(added[0], added[1], f"{names[0]} and {names[1]} in a joint accumulator"))
        real = self.bias(f"{direction}.bias", len(layer.gates) * layer.units).copy()
        real[forget_rows(layer)] += layer.forget_bias
        late = choices.sum.format if self.profile.bias.stage is BiasStage.PREACTIVATION else None
        start = 0.5 if self.network.description.initial_state == "half" else 0.0
        initial = int(to_raw(np.array([start]), output)[0])
        cell = float(output.real(initial)) if self.network.description.bit_rnn else start
        cell_format = self._resized(f"{direction}.cell", choices.cell.format)
        tensors = LstmTensors(
            matrices[0],
            matrices[1],
            self._bias(f"{direction}.bias", real, added[0], late),
            incoming,
            hidden or output,
            functions=(layer.gate, layer.candidate, layer.cell_activation),
            coupled=layer.coupled,
            peephole={gate: self._vector(f"{direction}.peephole.{gate}") for gate in layer.peephole_gates},
            projection=None if hidden is None else self._projection(direction, hidden, output),
            initial_hidden=None if layer.initial else initial,
            initial_cell=None if layer.initial else int(to_raw(np.array([cell]), cell_format)[0]),
            clip=None if layer.clip is None else Fraction(layer.clip),
            cell_clip=None if layer.cell_clip is None else Fraction(layer.cell_clip),
            start=self._start(direction, output, cell_format) if layer.initial else {},
        )
        return assemble_lstm(direction, tensors, self.profile, self.overrides)

    def _vector(self, name: str) -> RawVector:
        """The raws of a peephole, which share one scale."""
        self.weights[name] = weight = quantize_weight(self.real(name)[None], self.widths[name], self.profile.weight)
        return RawVector(weight.raws[0], weight.format.with_scale(Fraction(float(weight.scale[0]))))

    def _projection(self, direction: str, hidden: Format, output: Format) -> LinearTensors:
        """The matrix of a projection, which has no bias."""
        (weight,) = self.quantized(f"{direction}.projection.weight")
        fixed = self.profile.bias.fixed
        width = min(self.profile.bias.bits or self.profile.accumulator.bits, self.profile.accumulator.bits)
        bias = RawBias(None, Format.integer(width) if fixed is None else fixed.format)
        return LinearTensors(_matrix(weight, self.profile), bias, hidden, output)

    def _start(self, direction: str, hidden: Format, cell: Format) -> dict[str, NDArray[np.int64]]:
        """The raws of the initial state nearest to its reals, saturated."""
        found = {}
        for what, form in (("hidden", hidden), ("cell", cell)):
            name = f"{direction}.initial.{what}"
            found[what] = to_raw(self.real(name), form)
            self.states[name] = QuantizedState(found[what], form, self.real(name))
        return found

    def _narrowing(self, form: Format) -> Narrowing:
        activation = self.profile.activation
        return requantizing(form, activation.rounding, activation.overflow, self.profile.requantize.form)


def _matrix(weight: QuantizedWeight, profile: Profile) -> RawMatrix:
    scale = each_once(Fraction, weight.scale.tolist())
    return RawMatrix(weight.raws, weight.format, scale, by_row=profile.weight.granularity is Granularity.ROW)


def _rescaled(choices: CastChoices | None, form: Format) -> Format:
    return form if choices is None else choices.format


def _same_scale(form: Format, wanted: Format) -> Format:
    """The sums of a gate at another width keep their scale, for both are added: the range changes instead."""
    return Format.integer(form.bits, signed=form.signed).with_scale(wanted.scale) if form != wanted else form
