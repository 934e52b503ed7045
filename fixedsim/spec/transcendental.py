"""Sigmoid and tanh of rational numbers, enclosed between integers and rounded with a proof.

Only integers are calculated with, so every result is the same on every machine. ``exp(-x)`` is enclosed first; the
comments account for every truncation.
"""

from fractions import Fraction
from math import isqrt

from fixedsim.casts import Rounding
from fixedsim.errors import FormatError, ModelError
from fixedsim.spec.casts import round_divide

GUARD_BITS = 8  # by which exp(-x) is finer than the bounds that are made from it
FIRST_GUARD_BITS = 32  # finer than one unit of the scale, for the first try of correctly_rounded


def sigmoid_bounds(x: Fraction, precision: int) -> tuple[int, int]:
    """Return integers with ``lower <= 2**precision * sigmoid(x) <= upper`` and ``upper - lower <= 2``.

    ``sigmoid(x) = 1 / (1 + exp(-x))``, and ``1 - sigmoid(-x)`` below zero. For ``x > 0`` the bounds stay in the closed
    interval from ``2**precision / 2`` to ``2**precision``.
    """
    one = 1 << precision
    if x < 0:
        lower, upper = sigmoid_bounds(-x, precision)
        return one - upper, one - lower
    unit = one << GUARD_BITS
    least, most = _exp_minus_bounds(x, precision + GUARD_BITS)
    return (one * unit) // (unit + most), _ceiling_divide(one * unit, unit + least)


def tanh_bounds(x: Fraction, precision: int) -> tuple[int, int]:
    """Return integers with ``lower <= 2**precision * tanh(x) <= upper`` and ``upper - lower <= 2``.

    ``tanh(x) = (1 - exp(-2x)) / (1 + exp(-2x))``, and ``-tanh(-x)`` below zero. For ``x > 0`` the bounds stay in the
    closed interval from 0 to ``2**precision``.
    """
    if x < 0:
        lower, upper = tanh_bounds(-x, precision)
        return -upper, -lower
    unit = 1 << (precision + GUARD_BITS)
    least, most = _exp_minus_bounds(2 * x, precision + GUARD_BITS)
    lower = ((unit - most) << precision) // (unit + most)
    return lower, _ceiling_divide((unit - least) << precision, unit + least)


FUNCTIONS = {"sigmoid": sigmoid_bounds, "tanh": tanh_bounds}


def correctly_rounded(function: str, x: Fraction, scale: Fraction, rounding: Rounding) -> int:
    """Return ``f(x) / scale`` rounded to an integer, exactly as if ``f(x)`` were known to all its digits.

    ``function`` is ``sigmoid`` or ``tanh``. The precision is raised until no multiple of 1/2 lies strictly between the
    bounds of ``f(x) / scale``: all numbers between two such multiples round alike, whatever the rounding. The loop
    ends: for rational ``x`` other than 0, ``exp(x)`` is transcendental (Lindemann and Weierstrass), so ``f(x) / scale``
    is too; it is neither a multiple of 1/2 nor one of the bounds. At 0 the functions are 1/2 and 0, rounded exactly.

    Raises:
        ModelError: ``function`` is another name.
        FormatError: ``scale`` is not positive.
    """
    if function not in FUNCTIONS:
        raise ModelError(f"function must be one of {', '.join(FUNCTIONS)}, not {function!r}")
    if scale <= 0:
        raise FormatError(f"scale must be positive, not {scale}")
    if x == 0:
        exact = Fraction(function == "sigmoid", 2) / scale
        return round_divide(exact.numerator, exact.denominator, rounding)
    halves = _halves_below(function, x, scale)
    return round_divide(2 * halves + 1, 4, rounding)


def _halves_below(function: str, x: Fraction, scale: Fraction) -> int:
    """Return the ``n`` with ``n / 2 < f(x) / scale < (n + 1) / 2``, for ``x`` other than 0."""
    precision = FIRST_GUARD_BITS + max(scale.denominator.bit_length() - scale.numerator.bit_length(), 0)
    while True:
        lower, upper = FUNCTIONS[function](x, precision)
        unit = scale.numerator << precision
        halves = 2 * lower * scale.denominator // unit
        if 2 * upper * scale.denominator <= (halves + 1) * unit:
            return halves
        precision *= 2


def _exp_minus_bounds(x: Fraction, bits: int) -> tuple[int, int]:
    """Return integers with ``0 <= lower <= 2**bits * exp(-x) <= upper <= 2**bits``, for ``x >= 0``.

    ``exp(-x) = exp(-r)**(2**halvings)`` with ``r = x / 2**halvings < 2**-isqrt(bits)``. The finer unit ``2**-work``
    absorbs what squaring does to the enclosure: it at most doubles the width and adds 2 units. From ``4n + 1`` units
    (n terms, about sqrt(bits)) come fewer than ``2**halvings * (4n + 3)``, a fraction of the ``2**guard`` of a result.
    """
    if x.numerator >= bits * x.denominator:
        return 0, 1  # exp(-x) < 2**-x <= 2**-bits
    halvings = (x.numerator // x.denominator).bit_length() + isqrt(bits)
    guard = halvings + bits.bit_length() + 4
    work = bits + guard
    lower, upper = _exp_series_bounds((x.numerator << (work - halvings)) // x.denominator, work)
    for _ in range(halvings):
        lower, upper = lower * lower >> work, -(-upper * upper >> work)
    return lower >> guard, -(-upper >> guard)


def _exp_series_bounds(argument: int, work: int) -> tuple[int, int]:
    """Return bounds of ``2**work * exp(-r)`` for every ``r`` of ``argument <= 2**work * r < argument + 1``, r <= 1/2.

    Every term ``a**n / n!`` is the one before times ``a / n``, rounded down: it misses ``d(n) < d(n-1) / 2 + 1 < 2``
    units. The terms alternate and fall, so the rest after the last one is smaller than the first left out, which was
    rounded to 0 and so is below 2 units. n terms therefore miss fewer than ``2n`` units. The slope of exp(-r) is at
    most 1 in size: that ``r`` was rounded down moves the lower bound by 1 more.
    """
    one = 1 << work
    total, term, count = one, one, 0
    while term:
        count += 1
        term = (term * argument >> work) // count
        total += -term if count & 1 else term
    return max(total - 2 * count - 1, 0), min(total + 2 * count, one)


def _ceiling_divide(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
