"""The embedding on integers: a table of raws, one entry for each token."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import require_raws
from fixedsim.errors import InputError, ModelError
from fixedsim.execution import PreparedNarrowing, format_range
from fixedsim.formats import Format
from fixedsim.layers.parts import row_constants, smallest
from fixedsim.layers.recorder import Recorder, Signal
from fixedsim.profiles.datapath import MAX_MULTIPLIER, MAX_SHIFT, EmbeddingDatapath
from fixedsim.spec.layers import embed

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Embedding:
    """``output(table[token])``: the entry's raws narrowed by its own ``multiplier`` and ``shift``.

    Tokens are ``(steps, batch)`` integers in ``0 .. vocabulary - 1``, outputs ``(steps, batch, features)`` raws of
    ``datapath.output.format``.
    """

    name: str
    table: NDArray[np.integer[Any]]
    multiplier: Integers
    shift: Integers
    datapath: EmbeddingDatapath

    @classmethod
    def from_raws(
        cls,
        name: str,
        table: ArrayLike,
        datapath: EmbeddingDatapath,
        *,
        multiplier: ArrayLike | None = None,
        shift: ArrayLike | None = None,
    ) -> Self:
        """A layer from a table ``(vocabulary, features)`` of raws.

        Raises:
            InputError: an entry that is not a raw of its format.
            ModelError: not two axes, or constants out of range.
        """
        raws = require_raws(table, datapath.table, f"{name}.weight")
        if raws.ndim != 2:
            raise ModelError(f"{name}.weight must have 2 axes (vocabulary, features), not shape {raws.shape}")
        words, output = raws.shape[0], datapath.output
        return cls(
            name,
            smallest(raws),
            row_constants(multiplier, output.multiplier, words, 1, MAX_MULTIPLIER, f"multiplier of {name}.weight"),
            row_constants(shift, output.shift, words, -MAX_SHIFT, MAX_SHIFT, f"shift of {name}.weight"),
            datapath,
        )

    @property
    def output_format(self) -> Format:
        """The format of the output raws."""
        return self.datapath.output.format

    def signals(self) -> list[Signal]:
        """Every signal that can be traced."""
        return [Signal(f"{self.name}.output", self.table.shape[1], self.datapath.output.format)]

    @cached_property
    def _narrowed(self) -> tuple[NDArray[np.integer[Any]], Integers]:
        """The whole table as it comes out, and for each entry how many values overflow low and high."""
        entries = np.ascontiguousarray(self.table.T, dtype=np.int64)
        counts = np.zeros(2, dtype=np.int64)
        incoming = format_range(self.datapath.table)
        raws = PreparedNarrowing(self.datapath.output, incoming, self.multiplier, self.shift).run(entries, counts)
        overflows = np.zeros((self.table.shape[0], 2), dtype=np.int64)
        for word in range(self.table.shape[0]) if np.any(counts) else ():
            one = slice(word, word + 1)
            stage = PreparedNarrowing(self.datapath.output, incoming, self.multiplier[one], self.shift[one])
            stage.run(entries[:, one], overflows[word])
        return smallest(raws.T), overflows

    def run(self, tokens: Integers, recorder: Recorder, *, engine: str = "kernels") -> NDArray[np.integer[Any]]:
        """The output raws ``(steps, batch, features)`` for tokens ``(steps, batch)``.

        Raises:
            InputError: a token outside the vocabulary, or not two axes of integers.
        """
        self.check(tokens)
        if engine == "kernels":
            raws = self.raws[tokens]
            self.count(tokens, recorder)
        else:
            raws = self._specify(tokens)
        recorder.record(f"{self.name}.output", raws)
        return raws

    @property
    def raws(self) -> NDArray[np.integer[Any]]:
        """The output raws of every token ``(vocabulary, features)``."""
        return self._narrowed[0]

    def count(self, tokens: Integers, recorder: Recorder) -> None:
        """Count the overflows of the outputs of tokens ``(steps, batch)``."""
        overflows = self._narrowed[1]
        counts = overflows[tokens].reshape(-1, 2).sum(axis=0) if overflows.any() else (0, 0)
        recorder.count(f"{self.name}.output", tokens.size * self.table.shape[1], counts)

    def check(self, tokens: NDArray[np.integer[Any]]) -> None:
        """Refuse what is no tokens ``(steps, batch)``.

        Raises:
            InputError: a token outside the vocabulary, or not two axes of integers.
        """
        words = self.table.shape[0]
        if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
            raise InputError(f"tokens of {self.name} must be integers (T, N), not {tokens.dtype}{tokens.shape}")
        if len(tokens) == 1 and tokens.size:  # a step of a stream, where calls of NumPy count
            listed = tokens[0].tolist()
            if min(listed) >= 0 and max(listed) < words:
                return
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < words:
            outside = tokens[(tokens < 0) | (tokens >= words)]
            raise InputError(f"token must be in 0..{words - 1} (the vocabulary of {self.name}), not {outside[0]}")

    def _specify(self, tokens: Integers) -> Integers:
        constants = self.multiplier.tolist(), self.shift.tolist()
        entries = [
            embed(self.table[token].tolist(), constants[0][token], constants[1][token], self.datapath)["output"]
            for token in tokens.reshape(-1).tolist()
        ]
        return np.array(entries, dtype=np.int64).reshape(*tokens.shape, self.table.shape[1])
