"""Arithmetic of ``ap_fixed`` and ``ac_fixed`` on arrays of raws; their types are :mod:`fixedsim.hls_types`.

Results are int64 (uint64 where the type needs it), or Python integers in an object array for types beyond 64 bits.
Every operation is exact until a cast: it gives the raws of the type that its twin in :mod:`fixedsim.hls_types` names.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError, InputError
from fixedsim.formats import MAX_BITS, Format
from fixedsim.hls_types import HlsType, difference_type, negation_type, product_type, quotient_type, sum_type
from fixedsim.profiles.datapath import MAX_SHIFT, STEP_BITS, Accumulator, Check, Narrowing
from fixedsim.spec import casts as scalar_casts

Raws = npt.NDArray[Any]
WORD_BITS = 63  # unsigned integers of so many bits fit int64
_MOVABLE = (Rounding.FLOOR, Rounding.HALF_UP, Rounding.HALF_DOWN)  # round(n + v) is n + round(v) for integers n


def narrowing(target: HlsType, fraction_bits: int) -> Narrowing:
    """Return the narrowing that assigns a value of so many fraction bits to a variable of the type.

    Raises:
        FormatError: a type beyond 64 bits, or a shift outside -62 .. 62.
    """
    shift = fraction_bits - target.fraction_bits
    return Narrowing(target.format, target.rounding, target.overflow, shift, saturated_bits=target.saturated_bits)


def assign(raws: npt.ArrayLike, fraction_bits: int, target: HlsType) -> Raws:
    """Return ``raws * 2**-fraction_bits`` assigned to the type: rounded, then its overflow.

    Raises:
        InputError: raws that are not integers.
        FormatError: a type beyond 64 bits.
    """
    given = _integers(raws)
    shift = fraction_bits - target.fraction_bits
    if given.dtype != object and abs(shift) <= MAX_SHIFT:
        return arrays.narrow(given, narrowing(target, fraction_bits))
    form, modes = target.format, (target.rounding, target.overflow)
    cast = [
        scalar_casts.cast(raw, shift, form, *modes, saturated_bits=target.saturated_bits)
        for raw in given.ravel().tolist()
    ]
    return _stored(cast, target.signed, target.bits).reshape(given.shape)


def from_double(values: npt.ArrayLike, target: HlsType) -> Raws:
    """Return binary64 numbers assigned to the type: their exact values rounded, then its overflow.

    Raises:
        InputError: values that are not numbers, NaN, or an infinity where the type wraps.
        FormatError: a type beyond 64 bits.
    """
    modes = target.rounding, target.overflow
    return arrays.to_raw(values, target.format, *modes, saturated_bits=target.saturated_bits)


def multiply(left: npt.ArrayLike, left_type: HlsType, right: npt.ArrayLike, right_type: HlsType) -> Raws:
    """Return the raws of ``left * right``, of :func:`~fixedsim.hls_types.product_type`, exactly."""
    result = product_type(left_type, right_type)
    return _computed(result, lambda a, b: a * b, left, right)


def add(left: npt.ArrayLike, left_type: HlsType, right: npt.ArrayLike, right_type: HlsType) -> Raws:
    """Return the raws of ``left + right``, of :func:`~fixedsim.hls_types.sum_type`, exactly."""
    result = sum_type(left_type, right_type)
    shifts = [result.fraction_bits - operand.fraction_bits for operand in (left_type, right_type)]
    return _computed(result, lambda a, b: a * (1 << shifts[0]) + b * (1 << shifts[1]), left, right)


def subtract(left: npt.ArrayLike, left_type: HlsType, right: npt.ArrayLike, right_type: HlsType) -> Raws:
    """Return the raws of ``left - right``, of :func:`~fixedsim.hls_types.difference_type`.

    Between unsigned operands of one position of the point, nothing is lost either: the result has a sign.
    """
    result = difference_type(left_type, right_type)
    shifts = [result.fraction_bits - operand.fraction_bits for operand in (left_type, right_type)]
    return _computed(result, lambda a, b: a * (1 << shifts[0]) - b * (1 << shifts[1]), left, right)


def divide(left: npt.ArrayLike, left_type: HlsType, right: npt.ArrayLike, right_type: HlsType) -> Raws:
    """Return the raws of ``left / right`` of ap types: ``(left << max(F2, 0)) / right`` toward zero.

    They are of :func:`~fixedsim.hls_types.quotient_type`.

    Raises:
        InputError: a division by zero.
        FormatError: ac types.
    """
    result = quotient_type(left_type, right_type)
    shift = max(right_type.fraction_bits, 0)

    def quotient(a: Raws, b: Raws) -> Raws:
        if (b == 0).any():
            raise InputError("divisors must be other than 0, not 0")
        whole: Raws = abs(a) * (1 << shift) // abs(b)
        return np.where((a < 0) != (b < 0), -whole, whole)

    return _computed(result, quotient, left, right)


def negate(raws: npt.ArrayLike, operand: HlsType) -> Raws:
    """Return the raws of ``-x`` of ap types, wrapped to x's own type.

    Raises:
        FormatError: ac types.
    """
    return assign(-_exact(raws), operand.fraction_bits, negation_type(operand))


def shift_left(raws: npt.ArrayLike, operand: HlsType, count: int) -> Raws:
    """Return the raws of ``x << count``, wrapped to x's own type; a negative count shifts to the right."""
    return assign(raws, operand.fraction_bits - count, operand.plain)


def shift_right(raws: npt.ArrayLike, operand: HlsType, count: int) -> Raws:
    """Return the raws of ``x >> count``, floored, of x's own type; a negative count shifts to the left."""
    return shift_left(raws, operand, -count)


def to_integer(raws: npt.ArrayLike, operand: HlsType) -> Raws:
    """Return ``(int)x``: the real value toward zero, but -1 for every negative x of a type without integer bits.

    The cut to the 32 bits of an ``int`` is not done.
    """
    exact = _exact(raws)
    if operand.integer_bits <= 0:
        return np.where(exact < 0, -1, 0)
    fraction = operand.fraction_bits
    cast = [scalar_casts.round_shift(raw, fraction, Rounding.TOWARD_ZERO) for raw in exact.ravel().tolist()]
    return _stored(cast, operand.signed, operand.integer_bits).reshape(exact.shape)


def accumulator(target: HlsType, fraction_bits: int, *, product_cast: bool) -> Accumulator:
    """Return the accumulator of a sum in a variable of the type, its products having so many fraction bits.

    With ``product_cast`` each product is assigned to the type before it is added (hls4ml). Without, each step is
    ``sum = sum + product``, and rounds the sum of both. Where the type has all fraction bits of the products, or its
    rounding does not depend on what is added (floor, half up, half down), the product may be rounded instead.

    Raises:
        FormatError: what an accumulator does not have: an unsigned type, saturated bits, and without ``product_cast``
            other roundings, or AP_WRAP_SM with a rounding; :func:`dot` computes these too.
    """
    if not target.signed or target.saturated_bits:
        raise FormatError(f"type of an accumulator must be signed and without saturated bits, not {target.name}")
    if product_cast:
        return Accumulator(target.bits, target.overflow, Check.STEP, narrowing(target, fraction_bits))
    shift = fraction_bits - target.fraction_bits
    carries = target.overflow is Overflow.WRAP_SIGN_MAGNITUDE and target.rounding is not Rounding.FLOOR
    if shift > 0 and (target.rounding not in _MOVABLE or carries):
        raise FormatError(
            f"type of an accumulator must round toward minus infinity or have {fraction_bits} fraction bits or more, "
            f"not {target.name}; cast the products first"
        )
    product = Narrowing(Format.integer(STEP_BITS), target.rounding, shift=shift) if shift else None
    return Accumulator(target.bits, target.overflow, Check.STEP, product)


def dot(
    weights: npt.ArrayLike,
    inputs: npt.ArrayLike,
    fraction_bits: int,
    start: npt.ArrayLike,
    target: HlsType,
    *,
    product_cast: bool,
) -> Raws:
    """Return the raws of ``sum = start; sum = sum + weights[..., k] * inputs[..., k]`` in the type, for each k.

    The products have ``fraction_bits``; ``start`` is a raw of the type, and has their shape without the last axis. With
    ``product_cast`` each product is assigned to the type first, else only the sum is.

    Raises:
        InputError: operands that are not integers.
        FormatError: a type beyond 64 bits.
    """
    products = _exact(weights) * _exact(inputs)
    total = _exact(start)
    for step in range(products.shape[-1]):
        addend, finest = products[..., step], max(fraction_bits, target.fraction_bits)
        if product_cast:
            addend, finest = _exact(assign(addend, fraction_bits, target)), target.fraction_bits
        else:
            addend = addend * (1 << (finest - fraction_bits))
        total = _exact(assign(total * (1 << (finest - target.fraction_bits)) + addend, finest, target))
    return _stored(total.ravel().tolist(), target.signed, target.bits).reshape(total.shape)


def _computed(
    result: HlsType, operation: Callable[[Raws, Raws], Raws], left: npt.ArrayLike, right: npt.ArrayLike
) -> Raws:
    a, b = _integers(left), _integers(right)
    if result.bits <= WORD_BITS:
        return operation(a.astype(np.int64), b.astype(np.int64))
    exact = operation(a.astype(object), b.astype(object))
    return _stored(exact.ravel().tolist(), result.signed, result.bits).reshape(exact.shape)


def _integers(values: npt.ArrayLike) -> Raws:
    given = np.asarray(values)
    if given.dtype.kind not in "iub" and not (given.dtype == object and all(_is_integer(each) for each in given.flat)):
        raise InputError(f"raws must be integers, not {given.dtype}")
    return given.astype(np.int64) if given.dtype.kind == "b" else given


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _exact(values: npt.ArrayLike) -> Raws:
    """Python integers in an object array, which no operation overflows."""
    return _integers(values).astype(object)


def _stored(raws: list[int], signed: bool, bits: int) -> Raws:
    """Raws in the narrowest of int64, uint64 and Python integers that the type fits."""
    if bits < MAX_BITS or (signed and bits == MAX_BITS):
        return np.array(raws, np.int64)
    return np.array(raws, np.uint64 if bits == MAX_BITS else object)
