"""From a layer's integers, once: proven bounds, the kernel that they allow, and packed weights. Never saved.

A bound here is proven from the actual weights, for every input of the input's format and for every prefix of the
accumulation order, start value included, and for every register of partial sums. Where it shows that nothing can
overflow, any exact kernel gives the accumulator's result; where it doesn't, a step-by-step kernel runs.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import INT64, narrow, pack_activations, pack_levels, pack_narrowing
from fixedsim.bounds import Range as Range
from fixedsim.bounds import format_range as format_range
from fixedsim.bounds import partial_ranges, running
from fixedsim.bounds import product_range as product_range
from fixedsim.bounds import require_int64 as require_int64
from fixedsim.bounds import unchanged as unchanged
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.kernels.elementwise import activate_all, narrow_rows
from fixedsim.kernels.products import accumulate_partial, accumulate_steps, matmul_wide
from fixedsim.panels import VARIABLE, Panels, asked_kernel
from fixedsim.profiles.datapath import (
    STEP_BITS,
    Accumulator,
    Activation,
    Check,
    FixedFunction,
    Form,
    LookupTable,
    Narrowing,
    PartialSums,
    PiecewiseLinear,
)
from fixedsim.stepping import StepLanes, Stepping

Integers = NDArray[np.int64]
_CHUNK = 1 << 22  # elements of weight x input handled at a time where bounds need every prefix
_FEW = 4  # input vectors up to which the 64-bit loops are quicker than BLAS
_STEP_ADDEND = 1 << 62  # beside an accumulator of STEP_BITS, 64 bits hold the sum with it
_EXACT_FLOAT64 = 1 << 53
_INT16 = Format.integer(16)


class ProductKernel(StrEnum):
    """What computes the sums of products of a matrix."""

    PACKED = "packed"  # tiles, weights of up to 4 bits packed, inputs of up to 16
    DOT8 = "dot8"  # tiles, weights of up to 8 bits in bytes, inputs of up to 16
    DOT16 = "dot16"  # tiles, weights and inputs of up to 16 bits
    FLOAT64 = "float64"  # BLAS, exact while every partial sum stays within 2**53; for a few vectors integer loops
    INT64 = "int64"  # compiled integer loops
    STEPS = "steps"  # the accumulator as it is, its partial sums included, step by step


@dataclass(frozen=True)
class _Bounds:
    """What rows can reach: the accumulator at the end and on the way, and the registers of each level.

    ``exact`` is the range of the exact sum on the way, without any overflow of partial sums; ``magnitude`` the largest
    sum of magnitudes of one row's plain products.
    """

    total: Range
    prefixes: Range
    exact: Range
    levels: tuple[Range, ...]
    magnitude: int

    @staticmethod
    def joined(parts: "list[_Bounds]") -> "_Bounds":
        """The bounds of the rows of every part."""
        return _Bounds(
            Range.joined([part.total for part in parts]),
            Range.joined([part.prefixes for part in parts]),
            Range.joined([part.exact for part in parts]),
            tuple(Range.joined(list(level)) for level in zip(*(part.levels for part in parts), strict=True)),
            max(part.magnitude for part in parts),
        )


def activation_range(activation: Activation) -> Range:
    """The raws that an activation can give."""
    if isinstance(activation, LookupTable):
        return Range(min(activation.values), max(activation.values))
    if isinstance(activation, FixedFunction):
        return format_range(activation.format)
    return Range(activation.low, activation.high)


class Products:
    """The sums of products of one matrix, in one accumulator, for input vectors of one format.

    Args:
        weight: raws ``(rows, inputs)``.
        product_shift: ``(rows,)`` shift of each row's product narrowing (ignored where products are exact).
        inputs: range of the centred inputs.
        start: range of the start value of each row.
        last: what is added after the products, ``(rows,)``, or None.
        continues: what gave the start values, where one accumulator goes over two matrices.

    Raises:
        ModelError: centred inputs, or products that are narrowed, beyond 64 bits; partial sums over two matrices.
    """

    def __init__(
        self,
        weight: NDArray[np.integer[Any]],
        product_shift: Integers,
        accumulator: Accumulator,
        *,
        inputs: Range,
        start: Range,
        last: Integers | None = None,
        continues: "Products | None" = None,
    ) -> None:
        self.weight = weight
        self.product_shift = product_shift
        self.accumulator = accumulator
        self.inputs = inputs
        self.start = start
        self.last = last
        self.continues = continues
        if continues is not None and accumulator.partial:
            raise ModelError("accumulator over two matrices must have no partial sums; join the matrices")
        require_int64(inputs, "inputs less their zero point")
        if self.guard is None:
            require_int64(self._products, "products of weights and inputs")
        self.bounds = self._bounds()
        self.total, self.prefixes, self.magnitude = self.bounds.total, self.bounds.prefixes, self.bounds.magnitude

    @property
    def rows(self) -> int:
        """The count of sums."""
        return int(self.weight.shape[0])

    @cached_property
    def proven(self) -> bool:
        """Whether no prefix of any row can leave the accumulator, and no partial sum its register."""
        before = all(self.proven_levels) and (self.continues is None or self.continues.proven)
        return before and self.prefixes.within(self.accumulator.format, self.accumulator.overflow)

    @cached_property
    def proven_levels(self) -> tuple[bool, ...]:
        """Whether the overflow of each level of partial sums can never act."""
        pairs = zip(self.bounds.levels, self.accumulator.partial, strict=True)
        return tuple(reached.within(level.format, level.overflow) for reached, level in pairs)

    @cached_property
    def partial_bits(self) -> tuple[int, ...]:
        """The least width of each level at which no partial sum of any row can overflow, levels before as they are."""
        pairs = zip(self.bounds.levels, self.accumulator.partial, strict=True)
        return tuple(int(np.max(reached.bits(level.overflow), initial=1)) for reached, level in pairs)

    @cached_property
    def guard(self) -> Integers | None:
        """Left shift of each row's products where their narrowing keeps every bit, else None."""
        product = self.accumulator.product
        if product is None:
            return np.zeros(self.rows, dtype=np.int64)
        scaled = product.multiplier != 1 or product.format.zero_point or product.format.raw_step != 1
        if scaled or product.primitive or np.any(self.product_shift > 0):
            return None
        largest = self._products.high << int(np.max(-self.product_shift, initial=0))
        return -self.product_shift if Range(-largest, largest).within(product.format, product.overflow) else None

    @property
    def _products(self) -> Range:
        """A range that holds every exact product."""
        largest = self._largest_weight * self.inputs.magnitude
        return Range(-largest, largest)

    @property
    def _largest_addend(self) -> int:
        """The largest magnitude that is added at one step, the last one left out."""
        if self.guard is None:
            product = self.accumulator.product
            assert product is not None
            return format_range(product.format).magnitude
        return int(self._products.high) << int(np.max(self.guard, initial=0))

    @cached_property
    def kernel(self) -> ProductKernel:
        """The quickest kernel that the bounds allow, or what FIXEDSIM_KERNELS names where they allow that one.

        Raises:
            ModelError: an accumulator or partial sums wider than the step-by-step kernel's may overflow, or a kernel
                is named that there is not.
        """
        plain = self.guard is not None and self._acts_once
        if plain and self._fits_int64():
            if self.panels is not None:
                return ProductKernel(self.panels.coding.kind)
            exact = self.magnitude <= _EXACT_FLOAT64 and self._asked is not ProductKernel.INT64
            return ProductKernel.FLOAT64 if exact else ProductKernel.INT64
        at_end = self.accumulator.check is Check.END
        if not plain and self._fits_steps() and (not at_end or self.prefixes.within(self._stepping.format)):
            return ProductKernel.STEPS
        raise self._refusal()

    @cached_property
    def _asked(self) -> ProductKernel | None:
        """The kernel that the environment names."""
        name = asked_kernel()
        if name is not None and name not in list(ProductKernel):
            raise ModelError(f"{VARIABLE} must be one of {', '.join(ProductKernel)}, not {name}")
        return None if name is None else ProductKernel(name)

    @cached_property
    def panels(self) -> Panels | None:
        """The weights as tiles read them, or None where they or the inputs are too wide, or another kernel is named."""
        if self._asked in (ProductKernel.FLOAT64, ProductKernel.INT64):
            return None
        return Panels.of(self.weight, self.inputs)

    def _refusal(self) -> ModelError:
        widest = max((level.bits for level in self._stepping_levels), default=0)
        if widest > STEP_BITS:
            what, bits, needed = "partial sums", widest, max(self.partial_bits)
        else:
            what, bits, needed = "accumulator", self.accumulator.bits, int(np.max(self.prefixes.bits()))
        return ModelError(
            f"{what} must be at most {STEP_BITS} bits wide, or be proven not to overflow, "
            f"not {bits} bits with sums of up to {needed} bits"
        )

    @property
    def _acts_once(self) -> bool:
        """Whether the accumulator's overflow of the exact sum of all addends gives what the accumulator holds.

        A wrapping register that is no narrower than the accumulator keeps all the bits that wrapping leaves of it.
        """
        wraps = self.accumulator.overflow is Overflow.WRAP
        exact = all(
            proven or (wraps and level.overflow is Overflow.WRAP and level.bits >= self.accumulator.bits)
            for proven, level in zip(self.proven_levels, self.accumulator.partial, strict=True)
        )
        return exact and (self.proven or wraps or self.accumulator.check is Check.END)

    @cached_property
    def _stepping(self) -> Narrowing:
        """The overflow after each addition of the step-by-step kernel: none for one that acts at the end."""
        if self.accumulator.check is Check.END:
            return Narrowing(Format.integer(STEP_BITS), Rounding.FLOOR, Overflow.WRAP)
        return self._limiter

    def _fits_int64(self) -> bool:
        return self.bounds.exact.within(INT64) and self.magnitude < 1 << 62

    def _fits_steps(self) -> bool:
        """Whether 64 bits hold every product, every sum of a register and an addend, and every sum of two addends."""
        last = 0 if self.last is None else int(np.max(np.abs(self.last), initial=0))
        addend = max(self._largest_addend, last)
        fits = addend < _STEP_ADDEND if self.accumulator.partial else addend <= _STEP_ADDEND
        widths = (self._stepping.format.bits, *(level.bits for level in self._stepping_levels))
        return fits and max(widths) <= STEP_BITS and self._products.within(INT64)

    @cached_property
    def _stepping_levels(self) -> tuple[PartialSums, ...]:
        """The levels as they step: of those that can't overflow, no more bits than any sum needs."""
        triples = zip(self.accumulator.partial, self.proven_levels, self.partial_bits, strict=True)
        return tuple(replace(level, bits=bits) if proven else level for level, proven, bits in triples)

    def _bounds(self) -> _Bounds:
        found = _Bounds.joined([self._row_bounds(rows) for rows in self._row_chunks()])
        total, prefixes, exact = (each.plus(self.start) for each in (found.total, found.prefixes, found.exact))
        if self.last is not None:
            last = self.last.astype(object)
            total = total.plus(Range(last, last))
            exact = exact.union(exact.plus(Range(last, last)))
        return replace(found, total=total, prefixes=prefixes.union(total), exact=exact)

    def _row_chunks(self) -> list[slice]:
        step = max(1, _CHUNK // max(1, self.weight.shape[1]))
        return [slice(first, first + step) for first in range(0, self.rows, step)] or [slice(0, 0)]

    def _row_bounds(self, rows: slice) -> _Bounds:
        weight = self.weight[rows].astype(np.int64)
        largest = max(self._products.high, self.inputs.magnitude, self._largest_addend)
        if largest * max(1, weight.shape[1]) >= 1 << 62:
            weight = weight.astype(object)
        addends = Range(*self._extremes(weight, rows))
        magnitude = int(np.max(np.sum(np.abs(weight), axis=1), initial=0)) * self.inputs.magnitude
        exact, levels = running(addends)[1], []
        for level in self.accumulator.partial:
            addends, entering = partial_ranges(addends, level)
            levels.append(entering)
        return _Bounds(*running(addends), exact, tuple(levels), magnitude)

    @cached_property
    def _largest_weight(self) -> int:
        return max(abs(int(np.min(self.weight, initial=0))), abs(int(np.max(self.weight, initial=0))))

    def _extremes(self, weight: Any, rows: slice) -> tuple[Any, Any]:
        """The least and the largest value of each product, as it is added."""
        ends = weight * int(self.inputs.low), weight * int(self.inputs.high)
        least, most = np.minimum(*ends), np.maximum(*ends)
        product = self.accumulator.product
        if product is None:
            return least, most
        if self.guard is not None:
            return least << self.guard[rows, None], most << self.guard[rows, None]
        if product.overflow is not Overflow.SATURATE or product.primitive:  # not monotone: any raw can come out
            return np.full_like(least, product.format.raw_min), np.full_like(most, product.format.raw_max)
        narrowed = (narrow(end.T.astype(np.int64), product, shifts=self.product_shift[rows]).T for end in (least, most))
        lowest, highest = (end.astype(weight.dtype) for end in narrowed)
        return lowest, highest

    def run(self, inputs: Integers, start: Integers, counts: Integers, *, finish: bool = True) -> Integers:
        """The accumulators ``(vectors, rows)`` for centred inputs ``(vectors, inputs)`` and starts that broadcast.

        ``finish`` adds what comes last and applies an overflow that acts at the end; without it another
        :class:`Products` goes on with the sum. Low and high overflows are added to ``counts``.
        """
        if self.kernel is ProductKernel.STEPS:
            sums = self._run_steps(inputs, start, counts, finish=finish)
        else:
            sums = np.ascontiguousarray(self.multiply(inputs), dtype=np.int64)
            if self.guard is not None and np.any(self.guard):
                sums <<= self.guard
            sums += start
            if finish and self.last is not None:
                sums += self.last
        limited = self.proven or not finish or (self._stepping is self._limiter and self.kernel is ProductKernel.STEPS)
        return sums if limited else self._limit(sums, counts)

    def _limit(self, sums: Integers, counts: Integers) -> Integers:
        kept = unchanged(self.accumulator.format, self.accumulator.overflow)
        counts[0] += np.count_nonzero(sums < kept.low)
        counts[1] += np.count_nonzero(sums > kept.high)
        return narrow(sums, self._limiter)

    @cached_property
    def _limiter(self) -> Narrowing:
        return Narrowing(self.accumulator.format, Rounding.FLOOR, self.accumulator.overflow)

    def multiply(self, inputs: Integers) -> NDArray[np.signedinteger[Any]]:
        """The exact sums of products ``(vectors, rows)`` for centred inputs, no accumulator applied.

        They are int32 where every sum fits 32 bits and else int64; every one must fit 64 bits, as it does wherever
        :attr:`kernel` is not the step-by-step one.
        """
        if self.panels is not None:
            return self.panels.multiply(inputs)
        if self.kernel is ProductKernel.FLOAT64 and len(inputs) > _FEW:
            return np.asarray(np.matmul(inputs.astype(np.float64), self._floats.T).astype(np.int64))
        sums = np.empty((len(inputs), self.rows), dtype=np.int64)
        matmul_wide(self._wide, np.ascontiguousarray(inputs), sums)
        return sums

    @cached_property
    def _wide(self) -> Integers:
        return np.ascontiguousarray(self.weight, dtype=np.int64)

    @cached_property
    def _floats(self) -> NDArray[Any]:
        return np.ascontiguousarray(self.weight, dtype=np.float64)

    def _run_steps(self, inputs: Integers, start: Integers, counts: Integers, *, finish: bool) -> Integers:
        last = self.last if finish and self.last is not None else np.zeros(self.rows, dtype=np.int64)
        if self._lanes is not None:
            return self._lanes.run(inputs, start, last, counts)
        shape = (len(inputs), self.rows)
        sums = np.empty(shape, dtype=np.int64)
        product = self.accumulator.product
        first = np.ascontiguousarray(np.broadcast_to(start, shape))
        operands = self._wide, np.ascontiguousarray(inputs), first, last
        products = product is not None, pack_narrowing(product or self._stepping), self.product_shift
        written = pack_narrowing(self._stepping), sums, counts, np.zeros(2, dtype=np.int64)
        if self.accumulator.partial:
            accumulate_partial(*operands, products, pack_levels(self._stepping_levels), *written)
        else:
            accumulate_steps(*operands, *products, *written)
        return sums

    @cached_property
    def _lanes(self) -> StepLanes | None:
        return self.step_lanes(np.arange(self.rows), self.weight.shape[1])

    def step_lanes(self, order: Integers, columns: int) -> StepLanes | None:
        """The kernel that steps 32 rows at a time, where one holds all that there is.

        Its rows are those of ``order``, zeros for each -1, and zeros fill it up to so many columns; none overflows.
        """
        if self.accumulator.partial or not self.rows:
            return None
        register = Narrowing(INT64, overflow=Overflow.WRAP) if self.proven else self._stepping
        last = np.zeros(self.rows, dtype=np.int64) if self.last is None else self.last
        product, there = self.accumulator.product, order >= 0
        weight = np.zeros((len(order), columns), dtype=self.weight.dtype)
        weight[there, : self.weight.shape[1]] = self.weight[order[there]]
        shifts = np.where(there, self.product_shift[order], 0)
        return Stepping(weight, product, shifts, register, self.inputs, self.start, last).lanes()


def safe_bits(products: Products) -> Integers:
    """The least accumulator width, per row, at which no prefix can overflow, partial sums as they are."""
    return products.prefixes.bits(products.accumulator.overflow)


class PreparedNarrowing:
    """A narrowing of values ``(vectors, rows)`` whose range is known: skipped or shifted where that is proven exact."""

    def __init__(
        self, narrowing: Narrowing, incoming: Range, multiplier: Integers | None = None, shift: Integers | None = None
    ) -> None:
        self.narrowing = narrowing
        self.multiplier = np.array([narrowing.multiplier]) if multiplier is None else multiplier
        self.shift = np.array([narrowing.shift]) if shift is None else shift
        self.left = self._left(incoming)
        self.packed = pack_narrowing(narrowing)

    def _left(self, incoming: Range) -> Integers | None:
        """The left shift that is all there is to it, or None."""
        form = self.narrowing.format
        plain = form.raw_step == 1 and form.zero_point == 0 and self.narrowing.form is Form.SINGLE
        plain = plain and self.narrowing.primitive is None
        if not plain or np.any(self.multiplier != 1) or np.any(self.shift > 0):
            return None
        factor = np.array([1 << int(-shift) for shift in self.shift], dtype=object)
        scaled = Range(incoming.low * factor, incoming.high * factor)
        return -self.shift if scaled.within(form, self.narrowing.overflow) else None

    def run(self, values: Integers, counts: Integers) -> Integers:
        """The raws ``(vectors, rows)``; low and high overflows are added to ``counts``."""
        if self.left is not None:
            return values << self.left if np.any(self.left) else values
        rows = values.shape[1]
        raws = np.empty(values.shape, dtype=np.int64)
        multiplier = np.ascontiguousarray(np.broadcast_to(self.multiplier, (rows,)))
        shift = np.ascontiguousarray(np.broadcast_to(self.shift, (rows,)))
        narrow_rows(np.ascontiguousarray(values), multiplier, shift, self.packed, raws, counts)
        return raws


class PreparedActivation:
    """An activation of values of a known range: skipped where it is proven to change nothing."""

    def __init__(self, activation: Activation, incoming: Range, subject: str) -> None:
        self.packed, self.values = pack_activations([activation])
        self.identity = False
        if isinstance(activation, PiecewiseLinear):
            line = product_range(incoming, Range(activation.slope, activation.slope))
            require_int64(line.plus(Range(activation.offset, activation.offset)), f"{subject}: slope times raw")
            self.identity = _is_identity(activation, incoming)
        elif isinstance(activation, FixedFunction):
            _require_int16(activation, incoming, subject)
        else:
            _require_index(activation, incoming, subject)

    def run(self, raws: Integers) -> Integers:
        """The activations, of the same shape."""
        if self.identity:
            return raws
        activated = np.empty(raws.shape, dtype=np.int64)
        flat = np.ascontiguousarray(raws).reshape(-1)
        scratch = np.empty((3, max(len(flat), 2)), dtype=np.int64)
        activate_all(flat, self.packed[0], self.values, scratch, activated.reshape(-1))
        return activated


def _is_identity(line: PiecewiseLinear, incoming: Range) -> bool:
    plain = line.slope == 1 and line.shift == 0 and line.offset == 0
    plain = plain and line.low_input is None and line.high_input is None
    return bool(plain and line.low <= incoming.low and incoming.high <= line.high)


def _require_int16(function: FixedFunction, incoming: Range, subject: str) -> None:
    """Refuse raws that a registered function does not read."""
    if not incoming.within(_INT16):
        low, high = int(np.min(incoming.low)), int(np.max(incoming.high))
        raise ModelError(
            f"{subject}: input of {function.primitive} must be in {_INT16.raw_min}..{_INT16.raw_max}, "
            f"not {low}..{high}; choose a format of 16 bits for what enters it"
        )


def _require_index(table: LookupTable, incoming: Range, subject: str) -> None:
    """Refuse a table whose index or rise 64 bits could not hold."""
    index = product_range(incoming, Range(table.index_multiplier, table.index_multiplier))
    require_int64(index, f"{subject}: index multiplier of the table times raw")
    rest = (1 << max(table.index_shift, 0)) - 1
    rise = max(table.values) - min(table.values)
    require_int64(Range(-rise * rest, rise * rest), f"{subject}: rise of the table times the rest of the index")
