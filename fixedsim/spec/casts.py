"""Narrowings on Python integers, and the roundings and overflows that they are made of."""

from fixedsim.profiles.datapath import Form, Narrowing
from fixedsim.spec.elementary import cast as cast
from fixedsim.spec.elementary import overflow as overflow
from fixedsim.spec.elementary import round_divide as round_divide
from fixedsim.spec.elementary import round_shift as round_shift
from fixedsim.spec.elementary import wrap as wrap
from fixedsim.spec.primitives import PRIMITIVES


def narrow(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
    """Return ``value * multiplier / 2**shift`` narrowed as ``narrowing`` says: the requantization of an accumulator.

    A row's own ``multiplier`` and ``shift`` stand in for those of the narrowing. In the ``single`` form the exact
    product is rounded once, by the narrowing's rounding. The ``doubling`` form rounds twice: ``shift`` below 31 first
    multiplies by ``2**(31 - shift)``, a doubling high multiply gives ``floor((value * multiplier + 2**30) / 2**31)``,
    and a shift of ``shift - 31`` above 31 rounds by the narrowing's rounding (gemmlowp's
    ``MultiplyByQuantizedMultiplier`` for ``half_away``). A primitive takes the place of all this.
    """
    multiplier = narrowing.multiplier if multiplier is None else multiplier
    shift = narrowing.shift if shift is None else shift
    if narrowing.primitive is not None:
        return PRIMITIVES[narrowing.primitive](value, narrowing, multiplier, shift)
    if narrowing.form is Form.DOUBLING:
        value = doubling_high_multiply(value << max(31 - shift, 0), multiplier)
        shift = max(shift - 31, 0)
    else:
        value *= multiplier
    return cast(
        value,
        shift,
        narrowing.format,
        narrowing.rounding,
        narrowing.overflow,
        saturated_bits=narrowing.saturated_bits,
    )


def doubling_high_multiply(value: int, multiplier: int) -> int:
    """Return ``value * multiplier / 2**31`` rounded half up (SQRDMULH of 32-bit words, without its one saturation)."""
    return (value * multiplier + (1 << 30)) >> 31
