"""Rounding, overflow and the plain cast on Python integers: what every narrowing is made of."""

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format


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


def overflow(raw: int, form: Format, mode: Overflow, *, unrounded: int | None = None, saturated_bits: int = 0) -> int:
    """Return ``raw`` brought into the range of ``form``, a format of step 1.

    ``wrap`` keeps the low ``bits`` bits, or with ``saturated_bits`` what :func:`wrap_below` keeps; ``saturate`` the
    nearest end; ``saturate_symmetric`` the same, and a raw below ``-raw_max`` of a signed format of at least 2 bits
    becomes ``-raw_max`` even when it was in range; ``saturate_zero`` gives the zero point; ``wrap_sign_magnitude`` is
    :func:`wrap_sign_magnitude` with ``unrounded``, the floor of what was rounded (None: ``raw``).

    Raises:
        FormatError: a wrap into a narrow range, ``wrap_sign_magnitude`` into an unsigned one, ``saturate_zero`` where
            no raw means zero.
    """
    if mode is Overflow.WRAP:
        return wrap_below(raw, form, saturated_bits)
    if mode is Overflow.WRAP_SIGN_MAGNITUDE:
        return wrap_sign_magnitude(raw, form, raw if unrounded is None else unrounded, saturated_bits)
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


def wrap_below(raw: int, form: Format, saturated_bits: int) -> int:
    """Return ``wrap(raw)``; where it overflows, with the highest ``saturated_bits`` bits of the end that it passed.

    The end is the lowest raw for ``raw`` below the range of a signed format, else the highest; the other bits are those
    of ``raw`` (``AP_WRAP`` with its third parameter).
    """
    wrapped = wrap(raw, form)
    if saturated_bits == 0 or wrapped == raw:
        return wrapped
    return _saturate_high_bits(raw, form, saturated_bits, low=form.signed and raw < form.raw_min)


def _saturate_high_bits(raw: int, form: Format, count: int, *, low: bool) -> int:
    """Return the highest ``count`` bits of an end of the range, and below them the bits of ``raw``."""
    modulus = 1 << (form.bits - count)
    end = form.raw_min if low else form.raw_max
    return end - end % modulus + raw % modulus


def wrap_sign_magnitude(raw: int, form: Format, unrounded: int, saturated_bits: int) -> int:
    """Return ``wrap(raw)``; where it overflows, every bit inverted if its sign is not the wanted one.

    That one is bit ``bits`` of ``unrounded``, the first bit that is dropped, which a carry of the rounding does not
    reach; with ``saturated_bits`` it is the sign of ``raw``. With 2 saturated bits or more, every bit is inverted if
    the lowest of them equals the sign of ``raw``; then they become those of the end that it passed (``AP_WRAP_SM``).
    """
    if not form.signed:
        raise FormatError(f"overflow of the unsigned {form.name} must not be wrap_sign_magnitude")
    wrapped, negative = wrap(raw, form), raw < 0
    if wrapped == raw:
        return raw
    if saturated_bits < 2:
        wanted = negative if saturated_bits else (unrounded >> form.bits) % 2 == 1
        return wrapped if (wrapped < 0) == wanted else ~wrapped
    inverted = (raw >> (form.bits - saturated_bits)) % 2 == negative
    return _saturate_high_bits(~raw if inverted else raw, form, saturated_bits, low=negative)


def cast(value: int, shift: int, form: Format, rounding: Rounding, mode: Overflow, *, saturated_bits: int = 0) -> int:
    """Return ``value / 2**shift`` narrowed to ``form``: rounded, moved by the zero point, brought into range.

    ``value`` counts units of ``form.scale / 2**shift`` from real zero. Overflow is decided after rounding. With
    ``raw_step`` 2, rounding, ties and overflow are decided on the code ``(raw - raw_min) / 2``.
    """
    if form.raw_step == 1:
        floor = round_shift(value, shift, Rounding.FLOOR) + form.zero_point
        raw = round_shift(value, shift, rounding) + form.zero_point
        return overflow(raw, form, mode, unrounded=floor, saturated_bits=saturated_bits)
    if mode in (Overflow.SATURATE_ZERO, Overflow.WRAP_SIGN_MAGNITUDE) or saturated_bits:
        raise FormatError(f"overflow of a format of odd raws must be saturate or wrap, not {mode}: it has no zero")
    value, shift = (value << -shift, 0) if shift < 0 else (value, shift)
    code = round_shift(value + ((form.zero_point - form.raw_min) << shift), shift + 1, rounding)
    return form.raw_min + 2 * overflow(code, Format.integer(form.bits, signed=False), mode)
