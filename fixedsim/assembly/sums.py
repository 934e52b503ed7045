"""The accumulators of a layer: what they hold, and the scale of each row's sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.assembly.requantization import each_once, exact_log2, floor_log2
from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import STEP_BITS, Accumulator, Narrowing
from fixedsim.profiles.profile import Profile

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sums:
    """How a matrix's products are accumulated: the shift of each row's product, the scale of each row's sum."""

    product_shift: Integers
    scale: list[Fraction]

    @property
    def floats(self) -> NDArray[np.float64]:
        """The scales as float64, for traces."""
        return np.array([float(scale) for scale in self.scale])


def accumulator(profile: Profile, bits: int | None = None) -> Accumulator:
    """The accumulator of the profile; products are cast, or enter exactly, shifted left where they are coarse."""
    choices = profile.accumulator
    product = None
    if choices.product is not None:
        product = choices.product.narrowing()
    elif choices.fraction_bits or choices.joint:
        product = Narrowing(Format.integer(STEP_BITS), Rounding.FLOOR)
    partial = tuple(level.partial_sums() for level in choices.partial)
    return Accumulator(bits or choices.bits, choices.overflow, choices.check, product, partial)


def sums(weight_scale: Sequence[Fraction], input_scale: Fraction, profile: Profile, what: str) -> Sums:
    """The scales of the accumulators for weights and inputs of these scales.

    Raises:
        ModelError: a product cast of weights or inputs whose scales are no powers of two.
    """
    products = each_once(lambda scale: scale * input_scale, weight_scale)
    product = profile.accumulator.product
    if product is not None:
        to_cast = product.format.scale
        shifts = each_once(lambda scale: exact_log2(to_cast / scale, f"product scale of {what}"), products)
        return Sums(np.array(shifts, dtype=np.int64), [to_cast] * len(products))
    least = profile.accumulator.fraction_bits
    guards = each_once(lambda scale: max(0, least + _ceil_log2(scale)), products)
    scales = each_once(lambda scale, guard: scale / (1 << guard), products, guards)
    return Sums(-np.array(guards, dtype=np.int64), scales)


def joined(first: Sums, second: Sums, what: str) -> tuple[Sums, Sums]:
    """Both on the finer scale of each row: the coarser products are shifted left, exactly.

    Raises:
        ModelError: scales of a row that are not a power of two apart.
    """
    apart = each_once(lambda a, b: exact_log2(a / b, f"scales of {what}"), first.scale, second.scale)
    left = np.array(apart, dtype=np.int64)
    scale = [min(pair) for pair in zip(first.scale, second.scale, strict=True)]
    return (
        Sums(first.product_shift - np.maximum(left, 0), scale),
        Sums(second.product_shift - np.maximum(-left, 0), scale),
    )


def _ceil_log2(value: Fraction) -> int:
    power = floor_log2(value)
    return power if Fraction(2) ** power == value else power + 1
