"""The reversal of time on integers: each sequence from its own last step to its first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.layers.bidirectional import reversal
from fixedsim.layers.recorder import Signal

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reversal:
    """``output[t] = input[T - 1 - t]``, for raws ``(steps, batch, features)`` of one format; lengths count."""

    name: str
    form: Format

    @property
    def input_format(self) -> Format:
        """The format of the input raws."""
        return self.form

    @property
    def output_format(self) -> Format:
        """The format of the output raws."""
        return self.form

    def signals(self) -> list[Signal]:
        """None: its output is its input."""
        return []

    def run(self, inputs: Integers, *, lengths: Integers | None = None) -> Integers:
        """The raws ``(steps, batch, features)`` with each sequence turned round within its length."""
        order = reversal(inputs.shape[0], inputs.shape[1], lengths)
        return np.take_along_axis(inputs, order[:, :, None], axis=0)
