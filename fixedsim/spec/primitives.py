"""Narrowings that are algorithms of their own, on Python integers: ``raw = f(value, narrowing, multiplier, shift)``.

Each is named in :class:`~fixedsim.profiles.datapath.Primitive` and stands in :data:`PRIMITIVES`. Where it counts, an
overflow acts where the rounded value, plus the zero point that the primitive adds, is no raw of the format.
"""

from collections.abc import Callable

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Narrowing, Primitive
from fixedsim.spec.elementary import cast, overflow, round_shift, wrap
from fixedsim.spec.ieee import BINARY32, BINARY64, FloatFormat, multiply, nearest_float


def repair_sign(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return ``value * multiplier / 2**shift`` wrapped, toward zero, and saturated where its sign came out wrong.

    With the exact product ``p``: ``q = wrap(floor(p / 2**shift))``, plus 1 where ``q < 0`` and bits were dropped; then
    the highest raw where ``p > 0 > q`` and the lowest where ``p < 0 < q``. An overflow that wraps to the right sign, or
    to 0, stays. Rounding, overflow and zero point are not read. (The fixed-point LSTM cell of elastic-ai.creator.)
    """
    product, form = value * multiplier, narrowing.format
    raw = wrap(round_shift(product, shift, Rounding.FLOOR), form)
    if raw < 0 and _drops(product, shift):
        raw += 1
    if product > 0 > raw:
        return form.raw_max
    return form.raw_min if product < 0 < raw else raw


def repair_sign_first(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return ``value * multiplier / 2**shift`` wrapped, and saturated where its sign came out wrong, else toward zero.

    With the exact product ``p`` and ``q = wrap(floor(p / 2**shift))``: the lowest raw where ``p < 0 <= q``, the highest
    where ``q < 0 <= p``, else ``q``, plus 1 where ``q < 0`` and bits were dropped. Unlike :func:`repair_sign` it
    saturates a negative product that wraps to 0, and never adds 1 to what it saturated. Rounding, overflow and zero
    point are not read. (The fixed-point linear layer of elastic-ai.creator.)
    """
    product, form = value * multiplier, narrowing.format
    raw = wrap(round_shift(product, shift, Rounding.FLOOR), form)
    if product < 0 <= raw:
        return form.raw_min
    if raw < 0 <= product:
        return form.raw_max
    return raw + 1 if raw < 0 and _drops(product, shift) else raw


def _drops(product: int, shift: int) -> bool:
    """Whether a shift to the right loses set bits."""
    return shift > 0 and product % (1 << shift) != 0


def vhdl_resize(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return ``resize(wrap(saturate(round(value * multiplier / 2**shift)) + zero_point))``.

    ``saturate`` and ``wrap`` are to ``bits + guard_bits`` bits, ``resize`` is numeric_std's to the format: it keeps the
    sign bit and the low ``bits - 1`` bits. The rounding is the narrowing's; with its overflow ``wrap`` nothing
    saturates. (The integer LSTM cell of elastic-ai.creator: rescaled values saturate, the sum of the cell wraps.)
    """
    form = narrowing.format
    guarded = Format.integer(form.bits + narrowing.guard_bits)
    rounded = round_shift(value * multiplier, shift, narrowing.rounding)
    held = rounded if narrowing.overflow is Overflow.WRAP else overflow(rounded, guarded, Overflow.SATURATE)
    return resize(wrap(held + form.zero_point, guarded), form)


def vhdl_resize_magnitude(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return ``resize(wrap(sign(value) * (round(abs(value) * multiplier / 2**shift) mod 2**bits) + zero_point))``.

    The magnitude is rounded half up, so that the value is rounded half away from zero; ``wrap`` is to ``bits + 1``
    bits, ``resize`` as in :func:`vhdl_resize`. Nothing saturates. Rounding, overflow and guard bits are not read. (The
    integer linear layer of elastic-ai.creator.)
    """
    form = narrowing.format
    magnitude = round_shift(abs(value) * multiplier, shift, Rounding.HALF_UP) % (1 << form.bits)
    signed = -magnitude if value < 0 else magnitude
    return resize(wrap(signed + form.zero_point, Format.integer(form.bits + 1)), form)


def resize(value: int, form: Format) -> int:
    """Return VHDL's ``resize`` of a signed number to fewer bits: its sign bit and its low ``bits - 1`` bits."""
    low = value % (1 << (form.bits - 1))
    return low + form.raw_min if value < 0 else low


def float32(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return the cast of ``f(f(value) * f(multiplier / 2**shift))``, where ``f`` rounds to IEEE binary32.

    The product is then rounded to an integer by the narrowing's rounding, moved by the zero point and brought into
    range. (XNNPACK, with ``half_even``.)
    """
    return _cast_float(value, narrowing, multiplier, shift, BINARY32)


def float64(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """Return the cast of ``f(f(value) * multiplier / 2**shift)``, where ``f`` rounds to IEEE binary64.

    The scale is exact, for the multiplier has at most 53 bits. (LiteRT's reference kernels, with ``half_away``.)
    """
    return _cast_float(value, narrowing, multiplier, shift, BINARY64)


def _cast_float(value: int, narrowing: Narrowing, multiplier: int, shift: int, numbers: FloatFormat) -> int:
    scale = nearest_float(multiplier, -shift, numbers)
    product = multiply(nearest_float(value, 0, numbers), scale, numbers)
    return cast(
        product.significand,
        -product.exponent,
        narrowing.format,
        narrowing.rounding,
        narrowing.overflow,
        saturated_bits=narrowing.saturated_bits,
    )


PRIMITIVES: dict[Primitive, Callable[[int, Narrowing, int, int], int]] = {
    Primitive.REPAIR_SIGN: repair_sign,
    Primitive.REPAIR_SIGN_FIRST: repair_sign_first,
    Primitive.VHDL_RESIZE: vhdl_resize,
    Primitive.VHDL_RESIZE_MAGNITUDE: vhdl_resize_magnitude,
    Primitive.FLOAT32: float32,
    Primitive.FLOAT64: float64,
}
