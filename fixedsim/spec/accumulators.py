"""Dot products on Python integers, with the accumulator's width, overflow and order."""

from collections.abc import Iterable, Sequence

from fixedsim.casts import Overflow
from fixedsim.profiles.datapath import Accumulator, Check
from fixedsim.spec.casts import narrow, overflow


def products(
    weights: Sequence[int], inputs: Sequence[int], accumulator: Accumulator, shift: int | None = None
) -> list[int]:
    """Return ``weight * input`` in order, each narrowed where the accumulator narrows products.

    ``shift`` stands in for the narrowing's own. Inputs are centred: their zero point is already subtracted.
    """
    exact = [weight * value for weight, value in zip(weights, inputs, strict=True)]
    if accumulator.product is None:
        return exact
    return [narrow(product, accumulator.product, None, shift) for product in exact]


def accumulate(addends: Iterable[int], accumulator: Accumulator, start: int = 0) -> int:
    """Return the sum of ``start`` and the addends, in order, as the accumulator holds it.

    ``start`` is loaded through the accumulator's overflow. With ``check`` at each step the overflow acts after every
    addition, with ``check`` at the end once on the exact sum.
    """
    if accumulator.check is Check.END:
        return limit(start + sum(addends), accumulator)
    total = limit(start, accumulator)
    for addend in addends:
        total = limit(total + addend, accumulator)
    return total


def limit(total: int, accumulator: Accumulator) -> int:
    """Return ``total`` after the accumulator's overflow."""
    return overflow(total, accumulator.format, Overflow(accumulator.overflow))
