"""Sigmoid and tanh by the decimal module, whose exp is correctly rounded: an oracle of its own code."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil, floor

from fixedsim.casts import Rounding


def real(function: str, x: Fraction, digits: int = 60) -> Fraction:
    """Return ``f(x)`` to about ``digits`` digits behind the point."""
    with localcontext() as context:
        context.prec = digits + 20
        argument = Decimal(x.numerator) / Decimal(x.denominator)
        if function == "sigmoid":
            decay = (-abs(argument)).exp()
            return Fraction((1 if x >= 0 else decay) / (1 + decay))
        decay = (-2 * abs(argument)).exp()
        size = (1 - decay) / (1 + decay)
        return Fraction(size if x >= 0 else -size)


def rounded(value: Fraction, rounding: Rounding) -> int:
    """Return ``value`` rounded, from the definition of each rounding."""
    below, above = floor(value), ceil(value)
    if rounding is Rounding.FLOOR or below == above:
        return below
    if rounding is Rounding.TOWARD_ZERO:
        return below if value > 0 else above
    if value - below != above - value:
        return below if value - below < above - value else above
    even, odd = (below, above) if below % 2 == 0 else (above, below)
    small, large = (below, above) if value > 0 else (above, below)
    ties = {
        Rounding.HALF_UP: above,
        Rounding.HALF_DOWN: below,
        Rounding.HALF_AWAY: large,
        Rounding.HALF_TOWARD_ZERO: small,
        Rounding.HALF_EVEN: even,
        Rounding.HALF_ODD: odd,
    }
    return ties[rounding]
