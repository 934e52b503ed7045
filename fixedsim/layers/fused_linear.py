"""A fully connected layer as the fused kernel takes it: everything after the sums of products in one pass."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.bounds import Range
from fixedsim.casts import Rounding
from fixedsim.execution import PreparedActivation, Products
from fixedsim.formats import Format
from fixedsim.kernels import fused as layout
from fixedsim.kernels.vector import LANES
from fixedsim.lanes import LaneStage, RawTable, WordSums, lane_stage, raw_table, word_panels, word_sums, words
from fixedsim.panels import PanelKind, Panels, aligned
from fixedsim.profiles.datapath import BiasStage, Narrowing

if TYPE_CHECKING:
    from fixedsim.layers import linear

Integers = NDArray[np.int64]
_CHUNK = 1 << 18  # sums of products at a time: 1 MiB, which caches hold
_BATCH = 112  # vectors at a time at least: each weight is read for all of them


class FusedLinear:
    """The panels, constants and table of one fully connected layer.

    Raises:
        UnfitError: a datapath whose shape the fused kernel does not have.
    """

    def __init__(self, layer: "linear.Linear") -> None:
        path, products = layer.datapath, layer.products
        self.path, self.rows = path, layer.matrix.rows
        self.panels = word_panels(products, np.arange(self.rows))
        self._order = np.minimum(np.arange(self.panels.height), self.rows - 1)
        limiter = Narrowing(path.accumulator.format, Rounding.FLOOR, path.accumulator.overflow)
        exact = Range(products.bounds.exact.low[self._order], products.bounds.exact.high[self._order])
        late = layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION)[self._order]
        limit = lane_stage(limiter, exact)
        held = limit.outgoing if limit.flags else exact
        constants = layer.matrix.multiplier[self._order], layer.matrix.shift[self._order]
        scaled = lane_stage(path.sum, held, *constants)
        preactivation = lane_stage(path.preactivation, scaled.outgoing.plus(Range(late, late)))
        self.table = self._table(layer.name, preactivation)
        activated = preactivation.outgoing if self.table is None else self.table.outgoing
        output = lane_stage(path.output if self.table is None else None, activated)
        stages = {
            layout.ACCUMULATOR: limit,
            layout.SUM: scaled,
            layout.LINEAR_PREACTIVATION: preactivation,
            layout.LINEAR_OUTPUT: output,
        }
        self.flags = np.array([stages[place].flags for place in range(layout.LINEAR_PLACES)], dtype=np.int64)
        self.bits = max(stage.bits for stage in stages.values())
        last = 0 if products.last is None else products.last
        vectors = products.guard, products.start.low + last, late
        self.output_type = _sum_type(output.outgoing, path.output.format.zero_point)
        self._plain = self._plainly(products, vectors) if self.table is None and not np.any(self.flags) else None
        self.constants = self._packed(vectors, scaled, [limit, preactivation, output])
        self.masks = np.where(np.arange(self.panels.height) < self.rows, -1, 0).astype(np.int32)

    def _table(self, name: str, preactivation: LaneStage) -> RawTable | None:
        """The activation and what narrows it, or None where it changes nothing."""
        path, zero_point = self.path, self.path.preactivation.format.zero_point
        raws = preactivation.outgoing.plus(Range(zero_point, zero_point))
        if path.activation.format.zero_point == zero_point and PreparedActivation(path.activation, raws, name).identity:
            return None
        return raw_table(path.activation, path.output, path.preactivation.format, name)

    def _plainly(self, products: Products, vectors: Any) -> Panels | None:
        """The panels that give the outputs at once, where nothing is left to do to sums but to add a start."""
        guard, start, late = vectors
        shift = int(guard[0])
        if self.output_type is not np.int32 or self.path.output.format.zero_point or np.any(guard != shift):
            return None
        panels = self.panels
        if shift:
            kind = PanelKind.DOT16 if panels.coding.kind is PanelKind.DOT16 else None
            shifted = Panels.of(products.weight.astype(np.int64) << shift, products.inputs, kind)
            if shifted is None or shifted.window is not None or shifted.coding.parts != 1:
                return None
            panels = shifted
        added = panels.constants + start[self._order] + late
        return replace(panels, constants=added.astype(np.int64))

    def _packed(self, vectors: Any, scaled: LaneStage, single: list[LaneStage]) -> NDArray[Any]:
        """All constants, as :func:`fixedsim.kernels.fused.linear_rows` has them."""
        bits = self.bits
        guard, start, late = vectors
        parts = [words(guard[self._order], bits), words(start[self._order], bits), words(late, bits)]
        parts.append(scaled.packed(bits, self.panels.height).reshape(-1))
        parts += [stage.packed(bits, LANES).reshape(-1) for stage in single]
        parts.append(words(np.full(LANES, self.path.output.format.zero_point), bits))
        return np.concatenate(parts)

    @cached_property
    def _table_words(self) -> tuple[NDArray[np.int32], int]:
        if self.table is None:
            return np.zeros(0, dtype=np.int32), 0
        return self.table.values.astype(np.int32), self.table.start

    def step(self, raws: NDArray[Any], sums: WordSums) -> NDArray[Any]:
        """What :meth:`run` gives for as many vectors as ``sums`` takes, which are those of :meth:`sums`."""
        found = sums.run(raws, self._input_zero)
        if self._plain is not None:
            return found[:, : self.rows]
        output = np.empty((len(raws), self.panels.height), dtype=self.output_type)
        self._finish(found, output)
        return output[:, : self.rows]

    def sums(self, vectors: int) -> WordSums:
        """The memory of steps of so many vectors."""
        return WordSums(self._plain or self.panels, vectors)

    @property
    def _input_zero(self) -> int:
        """What is subtracted from inputs before they are multiplied."""
        return 0 if self.path.folded_zero_point else self.path.input.zero_point

    @property
    def batch(self) -> int:
        """How many vectors are best taken at a time."""
        return max(_BATCH, _CHUNK // self.panels.height)

    def run(self, raws: NDArray[Any], counts: Integers, threads: int = 1) -> NDArray[Any]:
        """The output raws ``(N, rows)`` for inputs ``(N, inputs)``; adds to ``counts`` (4, 2) the overflows.

        These are of the accumulator, the sum, the pre-activation and the output.
        """
        output = aligned((len(raws), self.panels.height), self.output_type)
        parts = [slice(first, first + self.batch) for first in range(0, len(raws), self.batch)]
        if threads > 1 and len(parts) > 1:
            with ThreadPoolExecutor(threads) as pool:
                found = list(pool.map(lambda part: self._write(raws[part], output[part]), parts))
        else:
            found = [self._write(raws[part], output[part]) for part in parts]
        for each in found:
            counts += each
        return output[:, : self.rows]

    def _write(self, raws: NDArray[Any], output: NDArray[Any]) -> Integers:
        """Write the outputs of some vectors and return the overflows ``(4, 2)``."""
        if self._plain is None:
            return self._finish(word_sums(self.panels, raws, self._input_zero), output)
        word_sums(self._plain, raws, self._input_zero, output)
        return np.zeros((layout.LINEAR_PLACES, 2), dtype=np.int64)

    def _finish(self, sums: NDArray[np.int32], output: NDArray[Any]) -> Integers:
        found = np.zeros(layout.LINEAR_PLACES * 2 * LANES, dtype=np.int32)
        layout.linear_rows(sums, self.constants, self.flags, *self._table_words, self.masks, output, found)
        counts: Integers = found.reshape(layout.LINEAR_PLACES, 2, LANES).sum(axis=2, dtype=np.int64)
        return counts


def _sum_type(centred: Range, zero_point: int) -> type[np.signedinteger[Any]]:
    """The type of the outputs: 32 bits where they hold the raws, else 64."""
    low, high = centred.low + zero_point, centred.high + zero_point
    return np.int32 if Range(low, high).within(Format.integer(32)) else np.int64
