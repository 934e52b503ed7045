"""The fully connected layer on integers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import checked_raws
from fixedsim.errors import InputError
from fixedsim.execution import (
    PreparedActivation,
    PreparedNarrowing,
    Products,
    Range,
    activation_range,
    format_range,
    require_int64,
)
from fixedsim.formats import Format
from fixedsim.lanes import UnfitError
from fixedsim.layers.fused_linear import FusedLinear
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.layers.recorder import Recorder, Signal
from fixedsim.profiles.datapath import BiasStage, LinearDatapath
from fixedsim.spec.layers import LinearRows, linear

Integers = NDArray[np.int64]
_STAGES = ("accumulator", "sum", "preactivation", "output")
_CHUNK = 1 << 20  # elements of one intermediate signal handled at a time: 8 MiB, which caches hold


@dataclass(frozen=True, eq=False)
class Linear:
    """``output(activation(preactivation(sum(W x + b))))`` on raws; see :class:`LinearDatapath`.

    Inputs are ``(steps, batch, inputs)`` raws of ``datapath.input``, outputs ``(steps, batch, rows)`` raws of
    ``datapath.output.format``. Rounding and overflow are those of the datapath's narrowings.
    """

    name: str
    matrix: Matrix
    bias: Bias
    datapath: LinearDatapath

    def __post_init__(self) -> None:
        self.bias.require_fit(self.datapath.accumulator, self.datapath.bias_stage, self.name)

    @classmethod
    def from_raws(
        cls, name: str, weight: ArrayLike, bias: ArrayLike | None, datapath: LinearDatapath, **constants: ArrayLike
    ) -> Self:
        """A layer from raw weights ``(rows, inputs)`` and biases ``(rows,)``.

        ``constants`` may give ``product_shift``, ``multiplier``, ``shift``, ``zero_point`` (of the weights),
        ``bias_shift`` and ``scale`` for each row; what is left out comes from the datapath's narrowings and formats.

        Raises:
            InputError: a weight or bias that is not a raw of its format.
            ModelError: wrong shapes, constants out of range, an accumulator too narrow for the bias.
        """
        bias_shift = constants.pop("bias_shift", None)
        matrix = Matrix.of(
            weight, datapath.weight, datapath.accumulator, datapath.sum, what=f"{name}.weight", **constants
        )
        return cls(
            name,
            matrix,
            Bias.of(bias, datapath.bias, matrix.rows, shift=bias_shift, cast=datapath.bias_cast, what=f"{name}.bias"),
            datapath,
        )

    @property
    def input_format(self) -> Format:
        """The format of the input raws."""
        return self.datapath.input

    @property
    def output_format(self) -> Format:
        """The format of the output raws."""
        return self.datapath.output.format

    def signals(self) -> list[Signal]:
        """Every signal that can be traced, in order of execution."""
        path, rows = self.datapath, self.matrix.rows
        return [
            Signal(f"{self.name}.accumulator", rows, path.accumulator.format, self.matrix.scale),
            Signal(f"{self.name}.sum", rows, path.sum.format),
            Signal(f"{self.name}.preactivation", rows, path.preactivation.format),
            Signal(f"{self.name}.output", rows, path.output.format),
        ]

    @cached_property
    def products(self) -> Products:
        """The bound of the accumulators and the kernel that it allows."""
        path = self.datapath
        last = self.bias.at(path.bias_stage, BiasStage.LAST)
        return Products(
            self.matrix.centred,
            self.matrix.product_shift,
            path.accumulator,
            inputs=format_range(path.input, centred=not path.folded_zero_point),
            start=Range(self._start, self._start),
            last=last.astype(np.int64) if path.bias_stage is BiasStage.LAST else None,
        )

    @cached_property
    def _start(self) -> Any:
        """What the accumulators start with, Python integers ``(rows,)``."""
        path = self.datapath
        start = self.bias.at(path.bias_stage, BiasStage.FIRST)
        return start + self.matrix.fold(path.input.zero_point) if path.folded_zero_point else start

    @cached_property
    def _late(self) -> Integers:
        """What is added to the sums: the late bias, less the sums' zero point."""
        late = self.bias.at(self.datapath.bias_stage, BiasStage.PREACTIVATION)
        return np.asarray(late - self.datapath.sum.format.zero_point, dtype=np.int64)

    @cached_property
    def _stages(self) -> tuple[PreparedNarrowing, PreparedNarrowing, PreparedActivation, PreparedNarrowing]:
        path = self.datapath
        held = self.products.total if self.products.proven else format_range(path.accumulator.format)
        late = Range(self._late.astype(object), self._late.astype(object))
        added = format_range(path.sum.format).plus(late)
        require_int64(added, f"{self.name}: sum and bias")
        scaled = PreparedNarrowing(path.sum, held, self.matrix.multiplier, self.matrix.shift)
        if scaled.left is not None:
            factor = np.array([1 << int(shift) for shift in scaled.left], dtype=object)
            added = Range(held.low * factor, held.high * factor).plus(late)
        preactivation = PreparedNarrowing(path.preactivation, added)
        activation = PreparedActivation(path.activation, format_range(path.preactivation.format), self.name)
        zero_point = path.activation.format.zero_point
        activated = activation_range(path.activation).plus(Range(-zero_point, -zero_point))
        return scaled, preactivation, activation, PreparedNarrowing(path.output, activated)

    def run(
        self, inputs: NDArray[np.integer[Any]], recorder: Recorder, *, engine: str = "kernels", threads: int = 1
    ) -> NDArray[np.integer[Any]]:
        """The output raws ``(steps, batch, rows)``, in a type that holds them, for inputs ``(steps, batch, inputs)``.

        With several ``threads``, vectors are computed side by side where the fused kernel serves.

        Raises:
            InputError: inputs of another width, or not raws of the input's format.
        """
        raws = self._checked(inputs)
        flat = raws.reshape(raws.shape[0] * raws.shape[1], self.matrix.inputs)
        traced = recorder.wanted and any(recorder.wants(signal.name) for signal in self.signals())
        if engine == "kernels" and not traced and self.fused is not None:
            counts = np.zeros((len(_STAGES), 2), dtype=np.int64)
            output = self.fused.run(flat, counts, threads)
            for name, pair in zip(_STAGES, counts, strict=True):
                recorder.count(f"{self.name}.{name}", output.size, pair)
            return output.reshape(*raws.shape[:2], self.matrix.rows)
        collected: dict[str, list[Integers]] = {}
        step = max(1, _CHUNK // max(self.matrix.rows, self.matrix.inputs))
        for first in range(0, max(len(flat), 1), step):
            compute = self._compute if engine == "kernels" else self._specify
            for name, values in compute(flat[first : first + step].astype(np.int64), recorder).items():
                if name == "output" or recorder.wants(f"{self.name}.{name}"):
                    collected.setdefault(name, []).append(values)
        shape = *raws.shape[:2], self.matrix.rows
        whole = {name: _joined(parts).reshape(shape) for name, parts in collected.items()}
        for name, values in whole.items():
            recorder.record(f"{self.name}.{name}", values)
        return whole["output"]

    def _checked(self, inputs: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        raws = checked_raws(inputs, self.datapath.input, f"input of {self.name}")
        if raws.ndim != 3 or raws.shape[2] != self.matrix.inputs:
            raise InputError(f"input of {self.name} must have shape (T, N, {self.matrix.inputs}), not {raws.shape}")
        return raws

    def _compute(self, raws: Integers, recorder: Recorder) -> dict[str, Integers]:
        counts = {name: np.zeros(2, dtype=np.int64) for name in _STAGES}
        start = np.asarray(self._start, dtype=np.int64)
        scaled, narrowed, activated, output = self._stages
        zero_point = 0 if self.datapath.folded_zero_point else self.datapath.input.zero_point
        total = self.products.run(raws - zero_point if zero_point else raws, start, counts["accumulator"])
        sums = scaled.run(total, counts["sum"])
        late = sums + self._late if np.any(self._late) else sums
        preactivation = narrowed.run(late, counts["preactivation"])
        values = activated.run(preactivation)
        zero_point = self.datapath.activation.format.zero_point
        result = output.run(values - zero_point if zero_point else values, counts["output"])
        for name, pair in counts.items():
            recorder.count(f"{self.name}.{name}", result.size, pair)
        return {"accumulator": total, "sum": sums, "preactivation": preactivation, "output": result}

    @property
    def fused(self) -> FusedLinear | None:
        """The layer as the fused kernel takes it, or None where its datapath has another shape."""
        return self._fused if isinstance(self._fused, FusedLinear) else None

    @property
    def unfused(self) -> str | None:
        """Why no fused kernel carries the layer out; None where one does."""
        return self._fused if isinstance(self._fused, str) else None

    @cached_property
    def _fused(self) -> FusedLinear | str:
        self._stages  # noqa: B018  refuses what neither step can carry out
        try:
            return FusedLinear(self)
        except UnfitError as error:
            return str(error)

    @cached_property
    def scalar(self) -> LinearRows:
        """The same for the scalar specification."""
        return LinearRows(self.matrix.scalar, self.bias.scalar, self.datapath)

    def _specify(self, raws: Integers, recorder: Recorder) -> dict[str, Integers]:
        vectors = [linear(row, self.scalar) for row in raws.tolist()]
        return {
            name: np.array([vector[name] for vector in vectors], dtype=np.int64).reshape(len(raws), self.matrix.rows)
            for name in _STAGES
        }


def _joined(parts: list[Integers]) -> Integers:
    """The parts in one array, without a copy of a part that is alone."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
