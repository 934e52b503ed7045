"""UNIDIRECTIONAL_SEQUENCE_LSTM as an executor computes it."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_lstm
from fixedsim.assembly.tensors import RawVector, overrides
from fixedsim.errors import FileError
from fixedsim.formats import Format
from fixedsim.importers.tflite.graph import Operator, Tensor
from fixedsim.importers.tflite.operands import Source, bias_of, constant, matrix_of, tensor_format
from fixedsim.layers.lstm import Lstm
from fixedsim.profiles.choices import FunctionKind
from fixedsim.profiles.datapath import GATES

_GATE_FORMAT = Format.parse("s3.12")
_CELL_BITS = 16
# Where the operands stand; the file's gates are input, forget, candidate, output.
_INPUT, _WEIGHTS, _RECURRENT, _BIAS = 0, 1, 5, 12
_PEEPHOLES = {"input": 9, "forget": 10, "output": 11}
_PROJECTION, _PROJECTION_BIAS, _HIDDEN, _CELL, _NORMS = 16, 17, 18, 19, 20
_OPERANDS = 24
_MID_HIDDEN = 4  # of the intermediates: the quantization of output gate * tanh(cell)


def sequence_lstm(name: str, operator: Operator, source: Source) -> Lstm:
    """UNIDIRECTIONAL_SEQUENCE_LSTM on 8-bit activations with a 16-bit cell, and every optional operand.

    Raises:
        FileError: operands that are missing or do not fit, or options that are not known.
    """
    return _SequenceLstm(name, operator, source).layer()


class _SequenceLstm:
    """One operator on its way to a layer."""

    def __init__(self, name: str, operator: Operator, source: Source) -> None:
        self.name, self.operator, self.source = name, operator, source
        if len(operator.inputs) not in (20, _OPERANDS):
            raise FileError(f"{name} must have 20 or {_OPERANDS} operands, not {len(operator.inputs)}")
        if operator.options.get("fusedActivationFunction", "TANH") != "TANH":
            raise FileError(f"activation of {name} must be TANH, not {operator.options['fusedActivationFunction']}")
        if operator.options.get("diagonalRecurrentTensors"):
            raise FileError(f"recurrent tensors of {name} must be full, not diagonal")
        self.given = source.graph.tensors[operator.inputs[_INPUT]]
        self.input = tensor_format(self.given, f"input of {name}")
        self.cell = self._cell_format()
        self.hidden_state = tensor_format(source.needed(operator, _HIDDEN, "hidden state"), f"hidden state of {name}")
        self.coupled = source.operand(operator, _WEIGHTS) is None
        self.gates = GATES[1:] if self.coupled else GATES
        self.units = self._shape(_WEIGHTS + 1, "input-to-forget weights")[0]
        self.outputs = self._shape(_HIDDEN, "hidden state")[1]

    def _needed(self, position: int, what: str) -> Tensor:
        return self.source.needed(self.operator, position, f"{what} of {self.name}")

    def _shape(self, position: int, what: str) -> tuple[int, ...]:
        """The shape of an operand of 2 axes."""
        shape = self._needed(position, what).shape
        if len(shape) != 2:
            raise FileError(f"{what} of {self.name} must have 2 axes, not shape {shape}")
        return shape

    def _cell_format(self) -> Format:
        """The cell's format: 16 bits, a power of two as scale."""
        form = tensor_format(self._needed(_CELL, "cell state"), f"cell state of {self.name}")
        if form.bits != _CELL_BITS or form.fraction_bits is None or form.zero_point:
            raise FileError(f"cell state of {self.name} must be 16 bits with a power of two as scale, not {form.name}")
        return form

    def layer(self) -> Lstm:
        projected = self.source.operand(self.operator, _PROJECTION) is not None
        written = self._hidden_format(projected)
        tensors = LstmTensors(
            self._matrices(_WEIGHTS, self.given.shape[-1], "input"),
            self._matrices(_RECURRENT, self.outputs, "recurrent"),
            self._biases(),
            self.input,
            written,
            hidden_state=self.hidden_state,
            output=tensor_format(self.source.graph.tensors[self.operator.outputs[0]], f"output of {self.name}"),
            cell_state=self.cell,
            coupled=self.coupled,
            peephole=self._peepholes(),
            norm=self._vectors({gate: _NORMS + place for place, gate in enumerate(GATES)}, "norm"),
            projection=self._projection(written) if projected else None,
        )
        self._check_executor(tensors)
        return assemble_lstm(self.name, tensors, self.source.profile, overrides(self._formats(tensors)))

    def _check_executor(self, tensors: LstmTensors) -> None:
        """Refuse what an executor with tables does not compute."""
        parts = {"coupled gates": tensors.coupled, "peepholes": tensors.peephole, "layer norm": tensors.norm}
        parts["a projection"] = tensors.projection
        if self.source.profile.sigmoid.kind is not FunctionKind.CMSIS:
            return
        for what, present in parts.items():
            if present:
                raise FileError(f"{self.name} must not have {what}: {self.source.profile.name} refuses such models")
        clip, raw = self._option("cellClip"), float(self.cell.scale)
        if 0 < clip < raw:
            raise FileError(f"cellClip of {self.name} must be 0 or at least {raw}, one raw of the cell, not {clip}")

    def _hidden_format(self, projected: bool) -> Format:
        """The quantization of output gate * tanh(cell), which some executors take from the hidden state."""
        if self.source.profile.sigmoid.kind is FunctionKind.CMSIS:
            return self.hidden_state
        if len(self.operator.intermediates) <= _MID_HIDDEN:
            raise FileError(f"{self.name} must have 5 intermediates, not {len(self.operator.intermediates)}")
        form = tensor_format(
            self.source.graph.tensors[self.operator.intermediates[_MID_HIDDEN]], f"intermediate of {self.name}"
        )
        return replace(form, zero_point=-form.zero_point) if projected else form

    def _matrices(self, first: int, columns: int, what: str) -> RawMatrix:
        """The weights of all gates, one below the other."""
        parts, scale = [], list[Fraction]()
        for gate in self.gates:
            label = f"{what} weights of {self.name}, {gate} gate"
            tensor = self._needed(first + GATES.index(gate), f"{what} weights, {gate} gate,")
            raws = constant(tensor, (self.units, columns), label)
            form = tensor_format(tensor, label)
            if form.bits != 8 or form.zero_point:
                raise FileError(f"{label} must be 8 bits with zero point 0, not {form.name}")
            parts.append(raws)
            scale += [form.scale] * self.units
        return RawMatrix(np.concatenate(parts), Format.integer(8), scale)

    def _biases(self) -> RawBias:
        parts = []
        for gate in self.gates:
            tensor = self.source.operand(self.operator, _BIAS + GATES.index(gate))
            label = f"bias of {self.name}, {gate} gate"
            parts.append(np.zeros(self.units, np.int64) if tensor is None else constant(tensor, (self.units,), label))
        return RawBias(np.concatenate(parts), Format.integer(32))

    def _vectors(self, places: dict[str, int], what: str) -> dict[str, RawVector]:
        found = {}
        for gate in self.gates:
            tensor = self.source.operand(self.operator, places[gate]) if gate in places else None
            if tensor is not None:
                label = f"{what} of {self.name}, {gate} gate"
                found[gate] = RawVector(constant(tensor, (self.units,), label), tensor_format(tensor, label))
        return found

    def _peepholes(self) -> dict[str, RawVector]:
        """The peepholes as LiteRT reads them: it takes the width of the output for the number of units.

        Units past a narrower output have no peephole. With steps first and several sequences, weights would meet
        cells of other units and sequences.
        """
        found = self._vectors(_PEEPHOLES, "peephole")
        if not found or self.outputs == self.units:
            return found
        batch = self.given.shape[1] if self._time_major() else 1
        if self.outputs > self.units or batch > 1:
            raise FileError(
                f"outputs of {self.name} must be as many as its {self.units} units where it has peepholes, not "
                f"{self.outputs}; batch first, they may be fewer"
            )
        reached = np.arange(self.units) < self.outputs
        return {gate: replace(vector, raws=np.where(reached, vector.raws, 0)) for gate, vector in found.items()}

    def _time_major(self) -> bool:
        return bool(self.operator.options.get("timeMajor"))

    def _projection(self, hidden: Format) -> LinearTensors:
        tensor = self._needed(_PROJECTION, "projection")
        matrix = matrix_of(tensor, f"projection of {self.name}")
        if matrix.raws.shape != (self.outputs, self.units):
            shape = (self.outputs, self.units)
            raise FileError(f"projection of {self.name} must have shape {shape}, not {tensor.shape}")
        output, clip = self.hidden_state, self._option("projClip")
        scale = tensor_format(self.source.graph.tensors[self.operator.outputs[0]], f"output of {self.name}").scale
        reach = _clipped(clip, float(scale), 1 << 7)
        if reach:
            output = replace(output, raw_min=max(-reach, output.raw_min), raw_max=min(reach, output.raw_max))
        bias = bias_of(self.source.operand(self.operator, _PROJECTION_BIAS), self.outputs, 32, self.name)
        return LinearTensors(matrix, bias, hidden, output)

    def _option(self, name: str) -> float:
        value: Any = self.operator.options.get(name) or 0.0
        if not np.isfinite(value):
            raise FileError(f"{name} of {self.name} must be finite, not {value}")
        return float(value)

    def _formats(self, tensors: LstmTensors) -> dict[str, Format]:
        """The formats that the file gives in place of the profile's."""
        added = self.source.profile.lstm.input_product
        bits = _CELL_BITS if added is None else added.format.bits  # CMSIS-NN does not cut it to the cell's
        cell, reach = self.cell, _clipped(self._option("cellClip"), float(self.cell.scale), 1 << 15)
        if reach:
            cell = replace(cell, raw_min=-reach, raw_max=reach)
        formats = {
            f"{self.name}.forget_product": self.cell,
            f"{self.name}.input_product": Format.integer(bits).with_scale(self.cell.scale),
            f"{self.name}.cell": cell,
        }
        if tensors.norm:
            formats |= self._norm_formats()
        return formats

    def _norm_formats(self) -> dict[str, Format]:
        """With layer normalization, sums have the scale of the gate's intermediate."""
        formats = dict[str, Format]()
        for gate in self.gates:
            tensor = self.source.graph.tensors[self.operator.intermediates[GATES.index(gate)]]
            scale = tensor_format(tensor, f"intermediate of {self.name}, {gate} gate").scale
            name = f"{self.name}.gate.{gate}"
            sixteen, long = (Format.integer(bits).with_scale(scale) for bits in (16, 32))
            formats |= {f"{name}.sum": sixteen, f"{name}.preactivation": sixteen, f"{name}.recurrent_sum": long}
            formats |= {f"{name}.peephole_product": long, f"{name}.peephole_sum": sixteen}
            formats[f"{name}.normalized"] = _GATE_FORMAT
        return formats


def _clipped(clip: float, scale: float, limit: int) -> int:
    """``clip / scale`` in IEEE binary32, below ``limit`` and cut toward zero: at 0, nothing is clipped."""
    with np.errstate(over="ignore"):  # infinity is above the limit, as it should be
        ratio = float(np.float32(clip) / np.float32(scale))
    return int(min(max(ratio, 0.0), limit - 1))
