"""Rounding, overflow and casts on Python integers."""

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Form, Narrowing


def round_shift(value: int, shift: int, rounding: Rounding) -> int:
    """Return ``value / 2**shift`` rounded to an integer; exactly ``value * 2**-shift`` for ``shift <= 0``."""
    if shift <= 0:
        return value << -shift
    return round_divide(value, 1 << shift, rounding)


def round_divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Return ``numerator / denominator`` rounded to an integer, for ``denominator > 0``.

    With ``q = floor(numerator / denominator)`` and ``r`` the remainder, the result is ``q`` or ``q + 1``.
    """
    quotient, remainder = divmod(numerator, denominator)
    distance = 2 * remainder - denominator  # below, at or above half-way
    negative = numerator < 0
    up = {
        Rounding.FLOOR: False,
        Rounding.TOWARD_ZERO: negative and remainder != 0,
        Rounding.HALF_UP: distance >= 0,
        Rounding.HALF_DOWN: distance > 0,
        Rounding.HALF_AWAY: distance > 0 or (distance == 0 and not negative),
        Rounding.HALF_TOWARD_ZERO: distance > 0 or (distance == 0 and negative),
        Rounding.HALF_EVEN: distance > 0 or (distance == 0 and quotient % 2 == 1),
        Rounding.HALF_ODD: distance > 0 or (distance == 0 and quotient % 2 == 0),
    }[rounding]
    return quotient + up


def overflow(raw: int, form: Format, mode: Overflow) -> int:
    """Return ``raw`` brought into the range of ``form``, a format of step 1.

    ``wrap`` keeps the low ``bits`` bits; ``saturate`` the nearest end; ``saturate_symmetric`` the same, and
    a raw below ``-raw_max`` of a signed format of at least 2 bits becomes ``-raw_max`` even when it was in range;
    ``saturate_zero`` gives the zero point.

    Raises:
        FormatError: ``wrap`` into a narrow range, ``saturate_zero`` where no raw means zero.
    """
    if mode is Overflow.WRAP:
        return wrap(raw, form)
    if mode is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1 and form.raw_max >= 0:
        return min(max(raw, max(form.raw_min, -form.raw_max)), form.raw_max)
    if form.raw_min <= raw <= form.raw_max:
        return raw
    if mode is Overflow.SATURATE_ZERO:
        if not form.contains(form.zero_point):
            raise FormatError(f"overflow must not be saturate_zero: {form.name} has no raw that means zero")
        return form.zero_point
    return form.raw_max if raw > form.raw_max else form.raw_min


def wrap(raw: int, form: Format) -> int:
    """Return the raw of ``form`` that is congruent to ``raw`` modulo ``2**bits``."""
    if not form.full_range:
        raise FormatError(f"overflow of the narrow range {form.raw_min}..{form.raw_max} must not be wrap")
    return form.raw_min + (raw - form.raw_min) % (1 << form.bits)


def cast(value: int, shift: int, form: Format, rounding: Rounding, mode: Overflow) -> int:
    """Return ``value / 2**shift`` narrowed to ``form``: rounded, moved by the zero point, brought into range.

    ``value`` counts units of ``form.scale / 2**shift`` from real zero. Overflow is decided after rounding. With
    ``raw_step`` 2, rounding, ties and overflow are decided on the code ``(raw - raw_min) / 2``.
    """
    if form.raw_step == 1:
        return overflow(round_shift(value, shift, rounding) + form.zero_point, form, mode)
    if mode is Overflow.SATURATE_ZERO:
        raise FormatError("overflow of a format of odd raws must not be saturate_zero: it has no zero")
    value, shift = (value << -shift, 0) if shift < 0 else (value, shift)
    code = round_shift(value + ((form.zero_point - form.raw_min) << shift), shift + 1, rounding)
    return form.raw_min + 2 * overflow(code, Format.integer(form.bits, signed=False), mode)


def narrow(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
    """Return ``value * multiplier / 2**shift`` narrowed as ``narrowing`` says: the requantization of an accumulator.

    A row's own ``multiplier`` and ``shift`` stand in for those of the narrowing. In the ``single`` form the exact
    product is rounded once, by the narrowing's rounding. The ``doubling`` form rounds twice: ``shift`` below 31 first
    multiplies by ``2**(31 - shift)``, a doubling high multiply gives ``floor((value * multiplier + 2**30) / 2**31)``,
    and a shift of ``shift - 31`` above 31 rounds by the narrowing's rounding (gemmlowp's
    ``MultiplyByQuantizedMultiplier`` for ``half_away``).
    """
    multiplier = narrowing.multiplier if multiplier is None else multiplier
    shift = narrowing.shift if shift is None else shift
    if narrowing.form is Form.DOUBLING:
        value = doubling_high_multiply(value << max(31 - shift, 0), multiplier)
        shift = max(shift - 31, 0)
    else:
        value *= multiplier
    return cast(value, shift, narrowing.format, narrowing.rounding, narrowing.overflow)


def doubling_high_multiply(value: int, multiplier: int) -> int:
    """Return ``value * multiplier / 2**31`` rounded half up (SQRDMULH of 32-bit words, without its one saturation)."""
    return (value * multiplier + (1 << 30)) >> 31
