"""hls4ml's tables of sigmoid and tanh, as its C simulation builds them, and how its code reads them.

The program fills its tables by float functions of the C library, which differ from machine to machine by one unit in
the last place of a float. The tables at its defaults are shipped as recorded; others are computed here from functions
that are rounded correctly, which the recorded tables agree with.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from functools import cache, lru_cache
from importlib.resources import files

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import LookupTable
from fixedsim.spec.casts import cast
from fixedsim.spec.ieee import BINARY32, BINARY64, FloatFormat, nearest_float
from fixedsim.spec.transcendental import sigmoid_bounds, tanh_bounds

RANGES = {"sigmoid": 16, "tanh": 8}  # the tables' inputs go from minus half of it to half of it
DEFAULT_SIZE = 1024
DEFAULT_FORMAT = Format.qmn(7, 10)  # ap_fixed<18,8>
MAX_SIZE = 1 << 20
FIRST_PRECISION = 64


def hls4ml_activation(
    function: str,
    input_type: Format,
    table_format: Format,
    size: int = DEFAULT_SIZE,
    values: tuple[int, ...] | None = None,
    *,
    rounding: Rounding = Rounding.FLOOR,
    overflow: Overflow = Overflow.WRAP,
) -> LookupTable:
    """``values[clamp(trunc(x * size / range) + size // 2)]``: hls4ml's table of a real input ``x``, ``range`` 16 or 8.

    ``function`` is ``sigmoid`` (range 16) or ``tanh`` (range 8). The index is rounded toward zero, so that the entry in
    the middle covers twice the width of the others; it is clamped to ``0 .. size - 1``. ``values`` are those of
    :func:`hls4ml_table` unless given; ``rounding`` and ``overflow`` are the table type's (``AP_TRN``, ``AP_WRAP``).

    Raises:
        ModelError: an unknown function, a size outside ``1 .. 2**20``, another number of given values than the size, or
            an input whose scale is no power of two, or that has a zero point.
    """
    _check(function, size)
    fraction_bits = _fraction_bits("input_type", input_type)
    if values is None:
        values = hls4ml_table(function, size, table_format, rounding, overflow)
    if len(values) != size:
        raise ModelError(f"values of a table must be {size}, as its size says, not {len(values)}")
    spare = (size & -size).bit_length() - 1
    return LookupTable(
        values,
        table_format,
        index_shift=fraction_bits + RANGES[function].bit_length() - 1 - spare,
        offset=size // 2,
        index_rounding=Rounding.TOWARD_ZERO,
        function=function,
        index_multiplier=size >> spare,
    )


@lru_cache(maxsize=32)
def hls4ml_table(
    function: str,
    size: int = DEFAULT_SIZE,
    table_format: Format = DEFAULT_FORMAT,
    rounding: Rounding = Rounding.FLOOR,
    overflow: Overflow = Overflow.WRAP,
) -> tuple[int, ...]:
    """``table[i] = float(f(x)) / table_format.scale`` with ``x = float(range * (i - size / 2) / size)``.

    ``f`` is ``tanh``, one float operation, or ``float(1 / (1 + expf(-x)))``: the exponential and the sum as floats, the
    quotient as a double, which is then made a float. The exponential and tanh are rounded correctly; a C library may be
    one unit in the last place of a float off, and an entry of its table one raw. The tables of ``ap_fixed<18,8>`` with
    1024 entries are those that the program recorded, not computed.

    Raises:
        ModelError: an unknown function, a size outside ``1 .. 2**20``, a table format whose scale is no power of two,
            or that has a zero point.
    """
    _check(function, size)
    fraction_bits = _fraction_bits("table_format", table_format)
    if (size, table_format, rounding, overflow) == (DEFAULT_SIZE, DEFAULT_FORMAT, Rounding.FLOOR, Overflow.WRAP):
        return recorded_table(function)
    return computed_table(function, size, table_format, fraction_bits, rounding, overflow)


@cache
def recorded_table(function: str) -> tuple[int, ...]:
    """The table of 1024 entries of ``ap_fixed<18,8>`` that hls4ml 1.3.0 built with g++ 12.2.0 and glibc."""
    text = files("fixedsim").joinpath("data", "hls4ml", "tables.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)[function])


def computed_table(
    function: str, size: int, table_format: Format, fraction_bits: int, rounding: Rounding, overflow: Overflow
) -> tuple[int, ...]:
    """The table of :func:`hls4ml_table` from correctly rounded functions, also where there is a recorded one."""
    evaluate = _sigmoid if function == "sigmoid" else _tanh
    entries = []
    for index in range(size):
        x = Fraction(RANGES[function] * (index - size / 2) / size)  # an IEEE double, then a float
        value = evaluate(rounded_to(x, BINARY32))
        shift = value.denominator.bit_length() - 1 - fraction_bits
        entries.append(cast(value.numerator, shift, table_format, rounding, overflow))
    return tuple(entries)


def _tanh(x: Fraction) -> Fraction:
    """Return tanh as a float, correctly rounded."""
    return x if x == 0 else _proven(lambda precision: _scaled(tanh_bounds(x, precision), precision))


def _sigmoid(x: Fraction) -> Fraction:
    """Return ``float(1 / (1 + expf(-x)))``, the quotient a double."""
    exponential = Fraction(1) if x == 0 else _proven(lambda precision: _exponential_bounds(-x, precision))
    total = rounded_to(1 + exponential, BINARY32)
    return rounded_to(rounded_to(1 / total, BINARY64), BINARY32)


def _exponential_bounds(x: Fraction, precision: int) -> tuple[Fraction, Fraction]:
    """Return bounds of ``exp(x) = sigmoid(x) / (1 - sigmoid(x))``, for ``abs(x) <= 8``."""
    lower, upper = sigmoid_bounds(x, precision)
    one = 1 << precision
    return Fraction(lower, one - lower), Fraction(upper, one - upper)


def _scaled(bounds: tuple[int, int], precision: int) -> tuple[Fraction, Fraction]:
    return Fraction(bounds[0], 1 << precision), Fraction(bounds[1], 1 << precision)


def _proven(bounds: Callable[[int], tuple[Fraction, Fraction]]) -> Fraction:
    """Return the float that both bounds round to, at the first precision where they agree.

    There is one: tanh and exp of a rational number other than 0 are transcendental, hence between two ties.
    """
    precision = FIRST_PRECISION
    while True:
        lower, upper = (rounded_to(bound, BINARY32) for bound in bounds(precision))
        if lower == upper:
            return lower
        precision *= 2


def rounded_to(value: Fraction, form: FloatFormat) -> Fraction:
    """Return the number of ``form`` next to ``value``, ties to even."""
    excess = max(form.precision + 2 + value.denominator.bit_length() - abs(value.numerator).bit_length(), 0)
    quotient, rest = divmod(value.numerator << excess, value.denominator)
    rounded = nearest_float(2 * quotient + (rest != 0), -excess - 1, form)
    return rounded.significand * Fraction(2) ** rounded.exponent


def _check(function: str, size: int) -> None:
    if function not in RANGES:
        raise ModelError(f"function of an hls4ml table must be one of {', '.join(RANGES)}, not {function!r}")
    if not 1 <= size <= MAX_SIZE:
        raise ModelError(f"size of an hls4ml table must be in 1..{MAX_SIZE}, not {size}")


def _fraction_bits(subject: str, form: Format) -> int:
    if form.fraction_bits is None or form.zero_point:
        raise ModelError(f"{subject} must have a power of two as its scale and zero point 0; use one like s5.10")
    return form.fraction_bits
