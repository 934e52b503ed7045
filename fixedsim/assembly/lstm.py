"""One direction of an LSTM from raws and a profile."""

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from fixedsim.assembly.assembler import Assembler, same
from fixedsim.assembly.clamps import clipped
from fixedsim.assembly.functions import function_choices
from fixedsim.assembly.linear import assemble_linear
from fixedsim.assembly.requantization import requantizing
from fixedsim.assembly.sums import Sums, accumulator, joined, sums
from fixedsim.assembly.tensors import LstmTensors, Overrides
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ProfileError
from fixedsim.formats import Format, bits_for
from fixedsim.layers.lstm import Lstm
from fixedsim.profiles.choices import CastChoices, RuleChoices
from fixedsim.profiles.datapath import (
    STEP_BITS,
    BiasStage,
    GateDatapath,
    LayerNorm,
    LstmDatapath,
    Narrowing,
    Peephole,
)
from fixedsim.profiles.profile import Profile

_NORM_SHIFT = 12  # LiteRT: the normalized value times its weight has 2**-12 of the pre-activation's scale


def assemble_lstm(name: str, tensors: LstmTensors, profile: Profile, overrides: Overrides | None = None) -> Lstm:
    """An LSTM with the profile's arithmetic; what stands in for it is named as the stages are, ``<name>.cell``.

    Raises:
        ModelError: raws, formats or scales that do not fit each other or the profile.
        ProfileError: choices that do not fit each other, such as cell addends of different scales.
        InputError: a weight or bias that is no raw of its format.
    """
    return _Assembly(name, tensors, Assembler(profile, overrides or Overrides())).layer()


class _Assembly:
    """The assembly of one layer."""

    def __init__(self, name: str, tensors: LstmTensors, assembler: Assembler) -> None:
        self.name, self.tensors, self.assembler = name, tensors, assembler
        self.profile = assembler.profile
        self.choices = assembler.profile.lstm
        self.input_rescale = self._rescale("input_rescale", self.choices.input_rescale, tensors.input)
        projected = tensors.projection and tensors.projection.output
        read = tensors.hidden_state or projected or tensors.hidden
        self.hidden_rescale = self._rescale("hidden_rescale", self.choices.hidden_rescale, read)
        self.read_input = tensors.input if self.input_rescale is None else self.input_rescale.format
        self.read_hidden = read if self.hidden_rescale is None else self.hidden_rescale.format

    def _rescale(self, stage: str, choices: CastChoices | None, source: Format) -> Narrowing | None:
        return None if choices is None else self.assembler.cast(f"{self.name}.{stage}", choices, source.scale)

    def layer(self) -> Lstm:
        tensors = self.tensors
        added = self._sums()
        held = accumulator(self.profile)
        gates = {gate: self._gate(gate) for gate in tensors.gate_names}
        units = len(added[0].scale) // len(gates)
        scales = list(added[0].scale)
        if self.profile.bias.stage not in (BiasStage.FIRST, BiasStage.LAST):
            scales = [gates[gate].input_sum.format.scale for gate in gates for _ in range(units)]
        bias, bias_cast = self.assembler.bias(tensors.bias, scales, held)
        datapath = self._datapath(gates, bias.format, bias_cast)
        projection = None
        if tensors.projection is not None:
            name = f"{self.name}.projection"
            rule = _projection_rule(self.profile)
            projection = assemble_linear(name, tensors.projection, self.profile, self.assembler.overrides, rule)
        return Lstm.from_raws(
            self.name,
            tensors.input_matrix.raws,
            tensors.recurrent_matrix.raws,
            bias.raws,
            datapath,
            input_constants=self._constants("input", added[0], gates),
            recurrent_constants=self._constants("recurrent", added[1], gates),
            bias_shift=bias.shift,
            peephole={gate: vector.raws for gate, vector in tensors.peephole.items()},
            norm={gate: vector.raws for gate, vector in tensors.norm.items()},
            projection=projection,
            start=tensors.start,
        )

    def _sums(self) -> tuple[Sums, Sums]:
        names = f"{self.name}.input.weight", f"{self.name}.recurrent.weight"
        matrices = self.tensors.input_matrix, self.tensors.recurrent_matrix
        scales = self.read_input.scale, self.read_hidden.scale
        first, second = (
            sums(matrix.scale, scale, self.profile, name)
            for matrix, scale, name in zip(matrices, scales, names, strict=True)
        )
        if not self.profile.accumulator.joint:
            return first, second
        return joined(first, second, f"{names[0]} and {names[1]} in a joint accumulator")

    def _constants(self, source: str, added: Sums, gates: Mapping[str, GateDatapath]) -> dict[str, ArrayLike]:
        """The row constants of one matrix, gate by gate, for each gate's sums may have a scale of their own."""
        from_inputs = source == "input"
        matrix = self.tensors.input_matrix if from_inputs else self.tensors.recurrent_matrix
        incoming = (self.read_input if from_inputs else self.read_hidden).scale
        units = len(added.scale) // len(gates)
        parts = []
        for position, gate in enumerate(gates):
            rows = slice(position * units, (position + 1) * units)
            stage = gates[gate].input_sum if from_inputs else gates[gate].recurrent_sum
            parts.append(
                self.assembler.row_constants(
                    f"{self.name}.gate.{gate}.{source}_sum",
                    matrix.rows(rows),
                    incoming,
                    Sums(added.product_shift[rows], added.scale[rows]),
                    stage.format.scale,
                    self.profile.requantize,
                )
            )
        return {
            key: np.concatenate([np.broadcast_to(np.asarray(part[key]), (units,)) for part in parts])
            for key in parts[0]
        }

    def _gate(self, gate: str) -> GateDatapath:
        """The stages of one gate."""
        name = f"{self.name}.gate.{gate}"
        choices, tensors = self.choices, self.tensors
        total = recurrent = self._sum(f"{name}.sum", choices.sum)
        if choices.recurrent_sum is not None:
            recurrent = self._sum(f"{name}.recurrent_sum", choices.recurrent_sum)
        function = tensors.functions[1] if gate == "candidate" else tensors.functions[0]
        preactivation = self.assembler.cast(f"{name}.preactivation", choices.preactivation, total.format.scale)
        peephole = self._peephole(name, gate, preactivation)
        norm = self._norm(name, gate, preactivation)
        read = (norm.output if norm else peephole.sum if peephole else preactivation).format
        preactivation, peephole, norm = self._clipped(name, preactivation, peephole, norm)
        form = self.assembler.overrides.format(name, function_choices(function, self.profile).format)
        activation = self.assembler.activation(name, function, read, form)
        output = self.assembler.function_output(name, function, activation.format)
        return GateDatapath(total, recurrent, preactivation, activation, output, peephole, norm)

    def _clipped(
        self, name: str, preactivation: Narrowing, peephole: Peephole | None, norm: LayerNorm | None
    ) -> tuple[Narrowing, Peephole | None, LayerNorm | None]:
        """The stages with the clip on the one that the function reads."""
        clip, what = self.tensors.clip, f"clip of {self.name}"
        if norm is not None:
            return preactivation, peephole, replace(norm, output=clipped(norm.output, clip, what, f"{name}.normalized"))
        if peephole is not None:
            added = clipped(peephole.sum, clip, what, f"{name}.peephole_sum")
            return preactivation, replace(peephole, sum=added), None
        return clipped(preactivation, clip, what, f"{name}.preactivation"), None, None

    def _sum(self, name: str, choices: CastChoices) -> Narrowing:
        """The cast of requantized accumulators; at another width it keeps its scale, for both are added."""
        form = self.assembler.overrides.format(name, choices.format)
        plain = requantizing(form, choices.rounding, choices.overflow, self.profile.requantize.form)
        given = choices.model_copy(update={"format": form}).narrowing()
        return replace(given, form=plain.form, primitive=given.primitive or plain.primitive)

    def _peephole(self, name: str, gate: str, preactivation: Narrowing) -> Peephole | None:
        if gate not in self.tensors.peephole:
            return None
        vector, choices = self.tensors.peephole[gate], self._peephole_choices(preactivation.format)
        added = self.choices.peephole_sum or self.choices.preactivation
        cell = self.tensors.cell_state or self._cell().format
        source, scales = vector.format.scale * cell.scale, self.profile.requantize.scales
        product = self.assembler.cast(f"{name}.peephole_product", choices, source, scales=scales)
        return Peephole(
            vector.format, product, self.assembler.cast(f"{name}.peephole_sum", added, preactivation.format.scale)
        )

    def _peephole_choices(self, added: Format) -> CastChoices:
        """The cast of a peephole's product, on the scale of the pre-activation that it is added to.

        Raises:
            ProfileError: a cast of its own on another scale than that of the profile's pre-activation.
        """
        own, before = self.choices.peephole_product, self.choices.preactivation.format
        if own is not None and own.format.scale != before.scale:
            raise ProfileError(
                f"lstm.peephole_product must have the fraction bits of lstm.preactivation, {before.name}, "
                f"not {own.format.name}"
            )
        choices = own or self.choices.sum
        form = choices.format.with_scale(added.scale)
        return choices.model_copy(update={"format": form, "form": self.profile.requantize.form})

    def _norm(self, name: str, gate: str, preactivation: Narrowing) -> LayerNorm | None:
        if gate not in self.tensors.norm:
            return None
        vector = self.tensors.norm[gate]
        choices = self.choices.sum.model_copy(update={"form": self.profile.requantize.form})
        form = self.assembler.overrides.format(f"{name}.normalized", choices.format)
        source = vector.format.scale * form.scale * (1 << _NORM_SHIFT)
        stage = self.assembler.cast(f"{name}.normalized", choices, source)
        least = max(1, int(np.float32(10000) * np.float32(float(vector.format.scale))))
        return LayerNorm(vector.format, stage, least)

    def _cell(self) -> Narrowing:
        """The narrowing of the cell from a source of its own scale: its format, rounding and overflow."""
        choices = self.choices.cell
        form = self.assembler.overrides.format(f"{self.name}.cell", choices.format)
        return choices.model_copy(update={"format": form}).narrowing()

    def _datapath(self, gates: Mapping[str, GateDatapath], bias: Format, bias_cast: Narrowing | None) -> LstmDatapath:
        tensors, choices, assembler = self.tensors, self.choices, self.assembler
        state = tensors.cell_state or self._cell().format
        products = self._cell_products(gates, state)
        addends = self._addends(products)
        stage = f"{self.name}.cell"
        cell = assembler.cast(stage, choices.cell, (addends[0] or products[0]).format.scale)
        read = self._cell_input(cell)
        cell = clipped(cell, tensors.cell_clip, f"cell_clip of {self.name}", stage)
        function, stage = tensors.functions[2], f"{self.name}.cell_activation"
        form = assembler.overrides.format(stage, function_choices(function, self.profile).format)
        activation = assembler.activation(stage, function, read.format, form)
        cell_output = assembler.function_output(stage, function, activation.format)
        output = gates["output"].output.format
        hidden = self._hidden(output.scale * cell_output.format.scale)
        resting = (tensors.hidden_state or self._written(hidden)).zero_point
        return LstmDatapath(
            input=tensors.input,
            weight=tensors.input_matrix.format,
            recurrent_weight=tensors.recurrent_matrix.format,
            bias=bias,
            accumulator=accumulator(self.profile),
            joint=self.profile.accumulator.joint,
            bias_stage=BiasStage.NORMALIZATION if tensors.norm else self.profile.bias.stage,
            gates=(gates.get("input"), gates["forget"], gates["candidate"], gates["output"]),
            forget_product=products[0],
            input_product=products[1],
            cell=cell,
            cell_input=read,
            cell_activation=activation,
            cell_output=cell_output,
            hidden=hidden,
            initial_hidden=resting if tensors.initial_hidden is None else tensors.initial_hidden,
            initial_cell=state.zero_point if tensors.initial_cell is None else tensors.initial_cell,
            bias_cast=bias_cast,
            folded_zero_point=self.profile.accumulator.folded_zero_point,
            input_rescale=self.input_rescale,
            hidden_rescale=self.hidden_rescale,
            forget_addend=addends[0],
            input_addend=addends[1],
            coupled=_one(gates["forget"].output.format) if tensors.coupled else None,
            hidden_state=tensors.hidden_state,
            cell_state=tensors.cell_state,
            output=tensors.output,
            hazard=choices.hazard,
        )

    def _written(self, hidden: Narrowing) -> Format:
        projection = self.tensors.projection
        return hidden.format if projection is None or projection.output is None else projection.output

    def _cell_products(self, gates: Mapping[str, GateDatapath], cell: Format) -> tuple[Narrowing, Narrowing]:
        """Both products of the cell: exact ones on the finer of the two scales, as wide as the wider of them needs."""
        form = {gate: choices.output.format for gate, choices in gates.items()}
        operands = (form["forget"], cell), (form.get("input", form["forget"]), form["candidate"])
        scales = [first.scale * second.scale for first, second in operands]
        finer = min(scales)
        width = max(
            _product_bits(first, second, scale / finer) for (first, second), scale in zip(operands, scales, strict=True)
        )
        exact = CastChoices(
            format=Format.integer(min(width, STEP_BITS - 1)).with_scale(finer),
            rounding=Rounding.FLOOR,
            overflow=Overflow.SATURATE,
        )
        targets = [
            self.assembler.cast(f"{self.name}.{stage}", choice or exact, scale)
            for stage, choice, scale in zip(
                ("forget_product", "input_product"),
                (self.choices.forget_product, self.choices.input_product),
                scales,
                strict=True,
            )
        ]
        self._require_same_scale(targets, "forget_product and lstm.input_product", self.choices.forget_addend is None)
        return targets[0], targets[1]

    def _addends(self, products: tuple[Narrowing, Narrowing]) -> tuple[Narrowing | None, Narrowing | None]:
        """The rescaled products, where the profile rescales them before they are added."""
        choices = self.choices.forget_addend, self.choices.input_addend
        found = [
            None if choice is None else self.assembler.cast(f"{self.name}.{stage}", choice, product.format.scale)
            for stage, choice, product in zip(("forget_addend", "input_addend"), choices, products, strict=True)
        ]
        added = [addend or product for addend, product in zip(found, products, strict=True)]
        self._require_same_scale(added, "forget_addend and lstm.input_addend", True)
        return found[0], found[1]

    @staticmethod
    def _require_same_scale(stages: list[Narrowing], what: str, needed: bool) -> None:
        if needed and stages[0].format.scale != stages[1].format.scale:
            raise ProfileError(
                f"lstm.{what} must have the same fraction bits, not formats "
                f"{stages[0].format.name} and {stages[1].format.name}"
            )

    def _cell_input(self, cell: Narrowing) -> Narrowing:
        choices = self.choices.cell_input
        if choices is None:
            return same(cell.format)
        return self.assembler.cast(f"{self.name}.cell_input", choices, cell.format.scale)

    def _hidden(self, source: Fraction) -> Narrowing:
        """The narrowing of the hidden state: a cast of the profile's own, or that of activations."""
        name, form = f"{self.name}.hidden", self.tensors.hidden
        if self.choices.hidden is None:
            return self.assembler.activation_cast(name, source, form)
        choices = self.choices.hidden.model_copy(update={"format": form})
        fixed = Assembler(self.profile, Overrides(constants=self.assembler.overrides.constants))
        return fixed.cast(name, choices, source)


def _product_bits(first: Format, second: Format, ratio: Fraction) -> int:
    """The least width of every product of two raws less their zero points, brought to a scale finer by ``ratio``."""
    ends = [
        math.floor(ratio * (one - first.zero_point) * (other - second.zero_point))
        for one in (first.raw_min, first.raw_max)
        for other in (second.raw_min, second.raw_max)
    ]
    return bits_for(min(ends), max(ends))


def _one(form: Format) -> int:
    """The raw that means one, or the highest."""
    return min(int(1 / form.scale), form.raw_max)


def _projection_rule(profile: Profile) -> RuleChoices:
    """A projection is requantized as the step's other sums are, not as a layer of its own."""
    own = profile.requantize.model_dump()
    return RuleChoices(**own, rounding=profile.lstm.sum.rounding, accumulator_bits=profile.accumulator.bits)
