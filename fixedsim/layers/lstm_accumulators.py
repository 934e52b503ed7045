"""The accumulators of an LSTM: what they start with, their bounds, and how inputs and hidden state are summed up."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import ModelError
from fixedsim.execution import Products, Range, format_range
from fixedsim.formats import Format
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.profiles.datapath import BiasStage, LstmDatapath

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LstmAccumulators:
    """Sums of products, gate-major ``(vectors, rows)``: one over inputs and one over the hidden state, or one of both.

    ``read_hidden`` is the format of the hidden state as the products read it.
    """

    name: str
    input_matrix: Matrix
    recurrent_matrix: Matrix
    bias: Bias
    path: LstmDatapath
    read_hidden: Format

    @property
    def concatenated(self) -> bool:
        """Whether one matrix over inputs and hidden state is needed: partial sums do not stop between the two."""
        return self.path.joint and bool(self.path.accumulator.partial)

    @cached_property
    def starts(self) -> tuple[Any, Any]:
        """What the input and the recurrent accumulators start with, Python integers ``(rows,)``."""
        first = self.bias.at(self.path.bias_stage, BiasStage.FIRST)
        zeros = np.zeros(self.input_matrix.rows, dtype=object)
        if not self.path.folded_zero_point:
            return first, zeros
        folds = (
            self.input_matrix.fold(self.path.read_input.zero_point),
            self.recurrent_matrix.fold(self.read_hidden.zero_point),
        )
        return (first + folds[0] + folds[1], zeros) if self.path.joint else (first + folds[0], folds[1])

    @cached_property
    def _words(self) -> tuple[Integers, Integers]:
        first, second = (np.asarray(start, dtype=np.int64) for start in self.starts)
        return first, second

    def _reach(self, form: Format) -> Range:
        return format_range(form, centred=not self.path.folded_zero_point)

    def _last(self, *, here: bool) -> Integers | None:
        """The bias where it is added after the products of this accumulator."""
        return self.bias.value.astype(np.int64) if here and self.path.bias_stage is BiasStage.LAST else None

    @cached_property
    def input_products(self) -> Products:
        """The bound of the input accumulators and the kernel that it allows."""
        return Products(
            self.input_matrix.centred,
            self.input_matrix.product_shift,
            self.path.accumulator,
            inputs=self._reach(self.path.read_input),
            start=Range(self.starts[0], self.starts[0]),
            last=self._last(here=not self.path.joint),
        )

    @cached_property
    def recurrent_products(self) -> Products:
        """The bound of the recurrent (or joint) accumulators and the kernel that it allows.

        Raises:
            ModelError: one accumulator with partial sums over matrices whose product shifts differ.
        """
        if self.concatenated:
            return self._joint_products()
        joint = self.path.joint
        return Products(
            self.recurrent_matrix.centred,
            self.recurrent_matrix.product_shift,
            self.path.accumulator,
            inputs=self._reach(self.read_hidden),
            start=self.input_products.total if joint else Range(self.starts[1], self.starts[1]),
            continues=self.input_products if joint else None,
            last=self._last(here=joint),
        )

    def _joint_products(self) -> Products:
        """The accumulators over inputs and hidden state in one."""
        shifts = self.input_matrix.product_shift, self.recurrent_matrix.product_shift
        if np.any(shifts[0] != shifts[1]):
            raise ModelError(f"product shifts of {self.name} must be the same for inputs and hidden state in one sum")
        return Products(
            np.concatenate([self.input_matrix.centred, self.recurrent_matrix.centred], axis=1),
            shifts[0],
            self.path.accumulator,
            inputs=self._reach(self.path.read_input).union(self._reach(self.read_hidden)),
            start=Range(self.starts[0], self.starts[0]),
            last=self._last(here=True),
        )

    def begin(self, inputs: Integers, counts: Integers) -> Integers:
        """What the accumulators hold after the inputs ``(vectors, inputs)``; where one matrix is needed, the inputs."""
        if self.concatenated:
            return inputs
        totals = self.input_products.run(inputs, self._words[0], counts, finish=not self.path.joint)
        return np.ascontiguousarray(totals)

    def finish(self, totals: Integers, hidden: Integers, counts: Integers) -> tuple[Integers, Integers]:
        """The input and the recurrent accumulators ``(batch, rows)``; joint, both are the one there is."""
        if self.concatenated:
            vector = np.concatenate([totals, hidden], axis=1)
            joint = self.recurrent_products.run(vector, self._words[0], counts)
            return joint, joint
        begin = totals if self.path.joint else np.broadcast_to(self._words[1], (len(hidden), self.input_matrix.rows))
        recurrent = self.recurrent_products.run(hidden, begin, counts)
        return (recurrent, recurrent) if self.path.joint else (totals, recurrent)
