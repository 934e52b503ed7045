"""Narrowings as C expressions: ``format <- value * multiplier / 2**shift``, rounded, with the overflow."""

import re
from collections.abc import Callable
from typing import NamedTuple

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Form, Narrowing, Primitive
from fixedsim.spec.ieee import BINARY32, BINARY64, FloatFormat, nearest_float
from fixedsim_golden.c_reference import spans
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import INT64_MAX, ROOM, Span
from fixedsim_golden.c_reference.text import Constant, integer, literal

Rounded = Callable[[Rounding], str]
_NORMAL = {Primitive.FLOAT32: -126, Primitive.FLOAT64: -1022}  # exponents of the least normal numbers
_FLOATS = {Primitive.FLOAT32: BINARY32, Primitive.FLOAT64: BINARY64}


def float_format(stage: Narrowing) -> FloatFormat | None:
    """The floating-point format in which a narrowing multiplies, if any."""
    return None if stage.primitive is None else _FLOATS.get(stage.primitive)


class Scale(NamedTuple):
    """``multiplier / 2**shift``; of a primitive in IEEE arithmetic the significand and the exponent, negated."""

    multiplier: Constant
    shift: Constant


def own_scale(stage: Narrowing) -> Scale:
    """The scale of a narrowing that rows do not change."""
    multiplier, shift = _read_scale(stage, stage.multiplier, stage.shift)
    return Scale(literal(multiplier), literal(shift))


def row_scale(
    source: Source, prefix: str, stage: Narrowing, multipliers: list[int], shifts: list[int], subject: str
) -> Scale:
    """The scale of each row, as numbers or as arrays that are added to the source."""
    pairs = [_read_scale(stage, *pair) for pair in zip(multipliers, shifts, strict=True)]
    multiplier, shift = (list(values) for values in zip(*pairs, strict=True))
    return Scale(
        source.constant(prefix, "multiplier", multiplier, subject),
        source.constant(prefix, "shift", shift, subject),
    )


def _read_scale(stage: Narrowing, multiplier: int, shift: int) -> tuple[int, int]:
    """The two integers of :class:`Scale`."""
    form = float_format(stage)
    if form is None:
        return multiplier, shift
    significand, exponent = nearest_float(multiplier, -shift, form)
    return significand, -exponent


def describe(stage: Narrowing, value: str, scale: Scale) -> str:
    """What a comment says of a narrowing: its formula, format, rounding and overflow."""
    times = "" if scale.multiplier.single == 1 else f" * {scale.multiplier.name}"
    shift = scale.shift.single
    over = f" / 2**{scale.shift.name}" if shift is None or shift > 0 else f" * 2**{-shift}" if shift else ""
    whole = f"({value})" if over and re.search(" [-+] ", value) else value
    parts = [f"{stage.format.name} <- {whole}{times}{over}"]
    if stage.primitive is not None:
        parts.append(stage.primitive.value)
    elif stage.form is Form.DOUBLING:
        parts.append("doubling")
    parts.append(f"rounding {stage.rounding}")
    if stage.reads_overflow or stage.primitive is Primitive.VHDL_RESIZE:
        parts.append(f"overflow {stage.overflow}")
    if stage.saturated_bits:
        parts.append(f"{stage.saturated_bits} saturated bits")
    if stage.guard_bits:
        parts.append(f"{stage.guard_bits} guard bits")
    return ", ".join(parts)


def narrow(value: str, span: Span, stage: Narrowing, subject: str, scale: Scale | None = None) -> str:
    """The C expression of a narrowing of the variable ``value``, which is within ``span``.

    Raises:
        ModelError: an intermediate value that the arithmetic in C does not hold.
    """
    factor, count = own_scale(stage) if scale is None else scale
    span.word(subject)
    spans.centred(stage.format).word(subject)
    spans.raws(stage.format).word(subject)
    if float_format(stage) is not None:
        return _narrow_float(value, span, stage, subject, factor, count)
    product = span.times(factor.span).magnitude << max(-count.span.low, 0)
    scaled = value if factor.single == 1 else f"{value} * {factor.text}"
    if stage.format.raw_step == 2:
        return _narrow_odd(scaled, product, stage, subject, count)
    if stage.primitive is not None:
        _require_room(product, subject)
        return _primitive(scaled, stage, count)
    if product + abs(stage.format.zero_point) > ROOM:
        return _narrow_wide(value, product, stage, subject, factor, count)
    return limited(lambda rounding: _plus(_shifted(scaled, stage, count, rounding), stage.format.zero_point), stage)


def _require_room(magnitude: int, subject: str) -> None:
    if magnitude > ROOM:
        raise ModelError(f"{subject} must be at most 2**62 before its rounding, not {magnitude}")


def _shifted(scaled: str, stage: Narrowing, shift: Constant, rounding: Rounding) -> str:
    if shift.single == 0:
        return scaled
    twice = stage.form is Form.DOUBLING and shift.span.high > 0
    return f"{'round_shift_twice' if twice else 'round_shift'}({scaled}, {shift.text}, {rounding.name})"


def _plus(expression: str, addend: int) -> str:
    return expression if addend == 0 else f"{expression} + {integer(addend)}"


def limited(rounded: Rounded, stage: Narrowing) -> str:
    """The overflow of a narrowing on what ``rounded`` gives, the zero point added."""
    raw = rounded(stage.rounding)
    if stage.overflow is Overflow.WRAP_SIGN_MAGNITUDE:
        floor = rounded(Rounding.FLOOR)
        return _sign_magnitude(raw, floor, stage.format, stage.saturated_bits)
    return overflowed(raw, stage.format, stage.overflow, stage.saturated_bits)


def _sign_magnitude(raw: str, floor: str, form: Format, saturated_bits: int) -> str:
    ends = f"{integer(form.raw_min)}, {integer(form.raw_max)}"
    return f"wrap_sign_magnitude({raw}, {floor}, {form.bits}, {saturated_bits}, {ends})"


def overflowed(raw: str, form: Format, overflow: Overflow, saturated_bits: int = 0) -> str:
    """The C expression of an overflow of what nothing was rounded off."""
    low, high = (integer(end) for end in spans.kept(form, overflow))
    if overflow is Overflow.WRAP_SIGN_MAGNITUDE:
        return _sign_magnitude(raw, raw, form, saturated_bits)
    if overflow is Overflow.SATURATE_ZERO:
        return f"saturate_zero({raw}, {low}, {high}, {integer(form.zero_point)})"
    if overflow is not Overflow.WRAP:
        return f"saturate({raw}, {low}, {high})"
    if saturated_bits:
        return f"wrap_below({raw}, {form.bits}, {saturated_bits}, {low}, {high})"
    return f"wrap_signed({raw}, {form.bits})" if form.signed else f"wrap_unsigned({raw}, {form.bits})"


def _narrow_wide(
    value: str, product: int, stage: Narrowing, subject: str, multiplier: Constant, shift: Constant
) -> str:
    """The narrowing with a product of 128 bits; the overflow acts on the low 64 bits or on what they saturate to."""
    if product > 1 << 126:
        raise ModelError(f"{subject} must be at most 2**126 before its rounding, not {product}")
    rounded = (product >> max(shift.span.low, 0)) + 1 + abs(stage.format.zero_point)
    saturates = stage.overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC) or (
        stage.overflow is Overflow.SATURATE_ZERO and stage.format.raw_max < INT64_MAX
    )
    wraps = stage.overflow is Overflow.WRAP and not stage.saturated_bits
    if rounded > INT64_MAX and not (saturates or wraps):
        raise ModelError(f"{subject} must fit 64 bits before its overflow {stage.overflow}, not {rounded}")
    twice = stage.form is Form.DOUBLING and shift.span.high > 0
    function = "wide_round_shift_twice" if twice else "wide_round_shift"
    low = "wide_low" if rounded <= INT64_MAX or wraps else "wide_saturate"

    def shifted(rounding: Rounding) -> str:
        whole = f"{function}(wide_product({value}, {multiplier.text}), {shift.text}, {rounding.name})"
        zero_point = stage.format.zero_point
        return f"{low}({whole if zero_point == 0 else f'wide_add({whole}, {integer(zero_point)})'})"

    return limited(shifted, stage)


def _narrow_float(
    value: str, span: Span, stage: Narrowing, subject: str, significand: Constant, negated: Constant
) -> str:
    """The narrowing by a product in IEEE arithmetic, emulated in integers; of normal numbers only."""
    assert stage.primitive is not None
    least, form = _NORMAL[stage.primitive], _FLOATS[stage.primitive]
    if significand.span.low.bit_length() - 1 - negated.span.high < least:
        raise ModelError(f"scale of {subject} must be at least 2**{least}, not {significand.name} / 2**{negated.name}")
    largest = max(span.magnitude, 1) * significand.span.high
    rounded = (largest >> max(negated.span.low, 0) << max(-negated.span.low, 0)) + 2
    _require_room(2 * rounded + abs(stage.format.zero_point), subject)
    arguments = f"{value}, {significand.text}, -({negated.text}), {form.precision}"
    return limited(
        lambda rounding: _plus(f"float_product({arguments}, {rounding.name})", stage.format.zero_point), stage
    )


def _narrow_odd(scaled: str, product: int, stage: Narrowing, subject: str, shift: Constant) -> str:
    """The narrowing to raws of step 2, decided on the code ``(raw - raw_min) / 2``."""
    form = stage.format
    offset, right = form.zero_point - form.raw_min, max(shift.span.high, 0)
    _require_room(product + (abs(offset) + 1 << right + 1), subject)
    function = "odd_code_twice" if stage.form is Form.DOUBLING else "odd_code"
    code = f"{function}({scaled}, {shift.text}, {integer(offset)}, {stage.rounding.name})"
    codes = Format.integer(form.bits, signed=False)
    return f"{integer(form.raw_min)} + 2 * {overflowed(code, codes, stage.overflow)}"


def _primitive(product: str, stage: Narrowing, shift: Constant) -> str:
    form, zero_point = stage.format, stage.format.zero_point
    if stage.primitive in (Primitive.REPAIR_SIGN, Primitive.REPAIR_SIGN_FIRST):
        return f"{stage.primitive.value}({product}, {shift.text}, {form.bits})"
    if stage.primitive is Primitive.VHDL_RESIZE:
        guarded = Format.integer(form.bits + stage.guard_bits)
        held = f"round_shift({product}, {shift.text}, {stage.rounding.name})"
        if stage.overflow is not Overflow.WRAP:
            held = overflowed(held, guarded, Overflow.SATURATE)
        return f"resize(wrap_signed({_plus(held, zero_point)}, {guarded.bits}), {form.bits})"
    magnitude = f"wrapped_magnitude({product}, {shift.text}, {form.bits})"
    return f"resize(wrap_signed({_plus(magnitude, zero_point)}, {form.bits + 1}), {form.bits})"
