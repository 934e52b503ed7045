"""The accumulators of a quantized layer: their scales, guard bits and biases."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format, bits_for
from fixedsim.profiles.datapath import STEP_BITS, Accumulator, BiasStage, Narrowing
from fixedsim.profiles.profile import Profile
from fixedsim.quantization.requantization import exact_log2, floor_log2
from fixedsim.spec.casts import round_divide

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


def accumulator(profile: Profile) -> Accumulator:
    """The accumulator of the profile; products are cast, or enter exactly, shifted left where they are coarse."""
    choices = profile.accumulator
    if choices.product is not None:
        product = choices.product.narrowing()
    elif choices.fraction_bits or choices.joint:
        product = Narrowing(Format.integer(STEP_BITS), Rounding.FLOOR)
    else:
        return Accumulator(choices.bits, choices.overflow, choices.check)
    return Accumulator(choices.bits, choices.overflow, choices.check, product)


def sums(weight_scale: NDArray[np.float64], input_scale: Fraction, profile: Profile, what: str) -> Sums:
    """The scales of the accumulators for weights and inputs of these scales.

    Raises:
        ModelError: a product cast of weights or inputs whose scales are no powers of two.
    """
    known = {scale: Fraction(scale) * input_scale for scale in set(weight_scale.tolist())}
    products = [known[scale] for scale in weight_scale.tolist()]
    product = profile.accumulator.product
    if product is not None:
        to_cast = product.format.scale
        shifts = [exact_log2(to_cast / scale, f"product scale of {what}") for scale in products]
        return Sums(np.array(shifts, dtype=np.int64), [to_cast] * len(products))
    least = profile.accumulator.fraction_bits
    guards = [max(0, least + _ceil_log2(scale)) for scale in products]
    scales = [scale / (1 << guard) for scale, guard in zip(products, guards, strict=True)]
    return Sums(-np.array(guards, dtype=np.int64), scales)


def joined(first: Sums, second: Sums, what: str) -> tuple[Sums, Sums]:
    """Both on the finer scale of each row: the coarser products are shifted left, exactly.

    Raises:
        ModelError: scales of a row that are not a power of two apart.
    """
    apart = [exact_log2(a / b, f"scales of {what}") for a, b in zip(first.scale, second.scale, strict=True)]
    left = np.array(apart, dtype=np.int64)
    scale = [min(pair) for pair in zip(first.scale, second.scale, strict=True)]
    return (
        Sums(first.product_shift - np.maximum(left, 0), scale),
        Sums(second.product_shift - np.maximum(-left, 0), scale),
    )


def _ceil_log2(value: Fraction) -> int:
    power = floor_log2(value)
    return power if Fraction(2) ** power == value else power + 1


@dataclass(frozen=True, eq=False)
class QuantizedBias:
    """Raws ``(rows,)`` of ``format``, each entering as ``raw * 2**shift``."""

    raws: list[int]
    shift: Integers
    format: Format
    scale: list[Fraction]  # of one raw unit, for each row
    real: NDArray[np.float64]  # what was quantized


def quantize_bias(
    bias: NDArray[np.float64], scale: Sequence[Fraction], bits: int | None, width: int, what: str
) -> QuantizedBias:
    """The biases nearest to the reals (ties to even), at the scale of the stage where they enter.

    With ``bits``, each is kept at a multiple ``2**shift`` of that scale, the least at which the largest bias fits.

    Raises:
        ModelError: a bias that does not fit the ``width`` bits of its stage.
    """
    form = Format.integer(min(bits or width, width))
    largest = Fraction(float(np.max(np.abs(bias), initial=0.0)))
    shifts = [0 if bits is None else _coarser(largest / each, form) for each in scale]
    units = [each * (1 << shift) for each, shift in zip(scale, shifts, strict=True)]
    raws = [_nearest(Fraction(real) / unit) for real, unit in zip(bias.tolist(), units, strict=True)]
    entering = [raw << shift for raw, shift in zip(raws, shifts, strict=True)]
    needed = bits_for(min(entering, default=0), max(entering, default=0))
    if needed > width:
        row = max(range(len(entering)), key=lambda index: abs(entering[index]))
        raise ModelError(
            f"accumulator of {what} must be at least {needed} bits wide to hold its bias "
            f"{entering[row]} of row {row}, not {width} bits"
        )
    raws = [min(max(raw, form.raw_min), form.raw_max) for raw in raws]
    return QuantizedBias(raws, np.array(shifts, dtype=np.int64), form, units, bias)


def _coarser(largest: Fraction, form: Format) -> int:
    shift = 0
    while _nearest(largest / (1 << shift)) > form.raw_max:
        shift += 1
    return shift


def _nearest(value: Fraction) -> int:
    return round_divide(value.numerator, value.denominator, Rounding.HALF_EVEN)


def bias_width(profile: Profile, sum_format: Format) -> int:
    """The width of the stage where the bias enters."""
    return sum_format.bits if profile.bias.stage is BiasStage.PREACTIVATION else profile.accumulator.bits
