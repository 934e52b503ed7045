"""Accumulators that step 32 rows at a time: whether lanes can hold one, of which width, and its packed weights."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import INT64, pack_narrowing
from fixedsim.bounds import Range
from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.kernels.steps import accumulate_lanes, pack_panels
from fixedsim.profiles.datapath import Form, Narrowing

Integers = NDArray[np.int64]
_INT16, _INT32 = Format.integer(16), Format.integer(32)
_NARROW, _WIDE = 32, 64  # bits of a lane


@dataclass(frozen=True)
class Stepping:
    """A matrix whose products are narrowed and added one after the other, as its bounds have it.

    ``product`` narrows the products, with the row's own shift (None: exact), and ``register`` is the overflow after
    each addition. ``inputs`` and ``start`` are the ranges of what comes in, ``last`` (rows,) is what is added last.
    """

    weight: NDArray[np.integer[Any]]
    product: Narrowing | None
    shifts: Integers
    register: Narrowing
    inputs: Range
    start: Range
    last: Integers

    def lanes(self) -> "StepLanes | None":
        """The kernel of lanes that holds every product and every sum, or None."""
        if not _plain(self.register) or (self.product is not None and not _plain(self.product)):
            return None
        bits = self._bits
        if bits > _WIDE or self.inputs.magnitude > INT64.raw_max:
            return None
        near = self._weights.within(_INT32) and self.inputs.within(_INT32)
        if bits <= _NARROW and self._weights.within(_INT16) and self.inputs.within(_INT32):
            return StepLanes(self, panels=np.int16, operands=np.int32, word=np.int32)
        operands = np.int32 if near else np.int64
        return StepLanes(self, panels=operands, operands=operands, word=np.int64)

    @property
    def _weights(self) -> Range:
        return Range(int(np.min(self.weight, initial=0)), int(np.max(self.weight, initial=0)))

    @property
    def _largest_product(self) -> int:
        return self._weights.magnitude * self.inputs.magnitude

    @property
    def _narrowed(self) -> int:
        """The largest magnitude of a product after its shift, before its overflow."""
        if self.product is None:
            return self._largest_product
        largest = self._largest_product
        shifts = [int(shift) for shift in np.unique(self.shifts)]
        return max((largest << -shift if shift < 0 else (largest >> shift) + 1 for shift in shifts), default=0)

    @property
    def kept(self) -> bool:
        """Whether the overflow of the products can never act."""
        return self.product is None or Range(-self._narrowed, self._narrowed).within(
            self.product.format, self.product.overflow
        )

    @property
    def _bits(self) -> int:
        """The least width of a lane that holds every integer on the way, and exceeds every shift."""
        addend, widest_shift = self._narrowed, 0
        before = self._largest_product
        if self.product is not None:
            left, right = int(np.max(-self.shifts, initial=0)), int(np.max(self.shifts, initial=0))
            before, widest_shift = (before << left) + ((1 << right) >> 1), max(left, right)
            if not self.kept:
                addend = max(-self.product.format.raw_min, self.product.format.raw_max)
        held: int = min(-self.register.format.raw_min, self.start.magnitude + self.weight.shape[1] * addend)
        last = int(np.max(np.abs(self.last), initial=0))
        largest: int = max(before, held + max(addend, last), self.start.magnitude)
        return max(largest.bit_length() + 1, widest_shift + 1)


def _plain(product: Narrowing) -> bool:
    """Whether a narrowing only shifts, rounds and overflows to raws around 0."""
    form, mode = product.format, product.overflow
    scaled = product.multiplier != 1 or product.form is not Form.SINGLE or form.zero_point or form.raw_step != 1
    special = product.primitive is not None or product.saturated_bits or mode is Overflow.WRAP_SIGN_MAGNITUDE
    return not scaled and not special and form.contains(0) and (form.signed or mode is not Overflow.WRAP)


class StepLanes:
    """The weights of a :class:`Stepping` in panels of 32 rows, and what else the kernel of lanes takes."""

    def __init__(self, stepping: Stepping, *, panels: Any, operands: Any, word: Any) -> None:
        self.rows = stepping.weight.shape[0]
        self.panels = pack_panels(stepping.weight, panels)
        self.operands, self.word = operands, word
        self.padded = self.panels.shape[0] * self.panels.shape[2]
        self.shifts = self._pad(stepping.shifts, np.int64)
        self.narrowed = stepping.product is not None
        product = Narrowing(INT64, overflow=Overflow.WRAP) if stepping.product is None else stepping.product
        if stepping.kept:
            product = replace(product, format=INT64, overflow=Overflow.WRAP)
        self.product, self.register = pack_narrowing(product), pack_narrowing(stepping.register)

    def _pad(self, values: Integers, dtype: Any) -> NDArray[Any]:
        """Values ``(.., rows)`` with zeros for the rows that fill the last panel."""
        padded = np.zeros((*values.shape[:-1], self.padded), dtype)
        padded[..., : self.rows] = values
        return padded

    def run(self, inputs: Integers, start: Integers, last: Integers, counts: Integers) -> Integers:
        """The accumulators ``(vectors, rows)`` of inputs ``(vectors, inputs)``, starts that broadcast and last addends.

        Low and high overflows are added to ``counts``.
        """
        sums = np.empty((len(inputs), self.padded), np.int64)
        first = np.atleast_2d(start)
        accumulate_lanes(
            self.panels,
            np.ascontiguousarray(inputs, dtype=self.operands),
            self._pad(np.broadcast_to(first, (len(first), self.rows)), np.int64),
            self._pad(last, self.word),
            self.narrowed,
            self.product,
            self.shifts,
            self.register,
            sums,
            counts,
            np.zeros(0, np.int64),
        )
        return np.ascontiguousarray(sums[:, : self.rows])
