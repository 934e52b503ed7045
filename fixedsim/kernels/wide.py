"""Integers of up to 96 bits as two limbs: ``high * 2**32 + low`` with ``0 <= low < 2**32`` and a 64-bit ``high``.

No operation here leaves 64 bits, so that the interpreted functions give the same integers without warnings.
"""

from fixedsim.kernels.compilation import compiled

LIMB = (1 << 32) - 1
FAR = 1 << 34  # a high limb this far out stands for an integer beyond every format, whatever is still added to it


@compiled
def product(value: int, multiplier: int) -> tuple[int, int]:
    """Return ``value * multiplier`` exactly, for any 64-bit value and ``abs(multiplier) < 2**32``."""
    value_low = value & LIMB
    middle = value_low * (multiplier >> 16)
    low = value_low * (multiplier & 0xFFFF) + ((middle & 0xFFFF) << 16)
    high = (value >> 32) * multiplier + (middle >> 16) + (low >> 32)
    return high, low & LIMB


@compiled
def near(high: int) -> int:
    """Return ``high``, or a smaller limb of the same sign and the same low 33 bits where it is beyond ``FAR``."""
    kept = LIMB + LIMB + 1
    if high >= FAR:
        return (high & kept) + FAR
    if high < -FAR:
        return (high & kept) - FAR - kept - 1
    return high


@compiled
def shift_left(high: int, low: int, count: int) -> tuple[int, int]:
    """Return the integer times ``2**count``; one beyond ``FAR`` keeps its sign and its low 65 bits."""
    while count > 0:
        step = min(count, 28)
        shifted = low << step
        high = (near(high) << step) + (shifted >> 32)
        low = shifted & LIMB
        count -= step
    return high, low


@compiled
def shift_right(high: int, low: int, count: int) -> tuple[int, int, int, int]:
    """Return ``floor(integer / 2**count)`` and what was dropped: its highest bit, and whether any bit below is set."""
    half = low & 0  # a zero of the operands' type
    rest = low & 0
    while count > 0:
        step = min(count, 31)
        rest |= half | (low & ((1 << (step - 1)) - 1))
        half = (low >> (step - 1)) & 1
        low = (low >> step) | ((high & ((1 << step) - 1)) << (32 - step))
        high >>= step
        count -= step
    return high, low, half, rest


@compiled
def add(high: int, low: int, addend: int) -> tuple[int, int]:
    """Return the integer plus a 64-bit addend."""
    total = low + (addend & LIMB)
    return near(high) + (addend >> 32) + (total >> 32), total & LIMB


@compiled
def subtract(high: int, low: int, subtrahend: int) -> tuple[int, int]:
    """Return the integer minus a 64-bit subtrahend."""
    total = low - (subtrahend & LIMB)
    return near(high) - (subtrahend >> 32) + (total >> 32), total & LIMB


@compiled
def low_word(high: int, low: int) -> int:
    """Return the low 64 bits in two's complement."""
    signed = high & LIMB
    if signed > LIMB >> 1:
        signed -= LIMB + 1
    return (signed << 32) + low


@compiled
def bit(high: int, low: int, position: int) -> int:
    """Return the bit at ``position``, 0 .. 64."""
    return (low >> position) & 1 if position < 32 else (high >> (position - 32)) & 1
