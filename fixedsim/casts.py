"""The names of every rounding and every overflow that a narrowing can have.

The arithmetic behind the names is :mod:`fixedsim.spec.casts`. Values are real numbers measured in
units of the target's last place; "tie" means exactly half-way between two neighbours.
"""

from enum import StrEnum


class Rounding(StrEnum):
    """How a value between two representable ones is resolved."""

    FLOOR = "floor"  # toward minus infinity: drop the bits (AP_TRN, arithmetic shift right)
    TOWARD_ZERO = "toward_zero"  # drop the magnitude's fraction (AP_TRN_ZERO, C's integer division)
    HALF_UP = "half_up"  # nearest, ties toward plus infinity (AP_RND: add half, then shift)
    HALF_DOWN = "half_down"  # nearest, ties toward minus infinity (AP_RND_MIN_INF)
    HALF_AWAY = "half_away"  # nearest, ties away from zero (AP_RND_INF, C's round())
    HALF_TOWARD_ZERO = "half_toward_zero"  # nearest, ties toward zero (AP_RND_ZERO)
    HALF_EVEN = "half_even"  # nearest, ties to an even count from zero (AP_RND_CONV, IEEE 754's default)
    HALF_ODD = "half_odd"  # nearest, ties to an odd count from zero (AC_RND_CONV_ODD)


class Overflow(StrEnum):
    """What becomes of a rounded value outside the target's range."""

    WRAP = "wrap"  # keep the low bits (two's complement); the target must use its full range
    SATURATE = "saturate"  # the nearest end of the range
    SATURATE_SYMMETRIC = "saturate_symmetric"  # as saturate, and the lowest raw becomes minus the highest
    SATURATE_ZERO = "saturate_zero"  # zero (the zero point, where there is one)
    WRAP_SIGN_MAGNITUDE = "wrap_sign_magnitude"  # AP_WRAP_SM: wrap, inverted where the first dropped bit says so
