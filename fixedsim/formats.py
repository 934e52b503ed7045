"""Formats: which raws are allowed, how they are stored and which reals they mean.

``real = scale * (raw - zero_point)``. The scale is an exact rational number, so that nothing that is
derived from it (a shift, a multiplier) depends on a machine's floating point.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from fixedsim.errors import FormatError

MAX_BITS = 64
_MAX_ODD_BITS = MAX_BITS - 2  # odd raws reach twice as far
_MAX_NAMED_FRACTION = 900  # beyond it a name would have more than three digits
_QMN = re.compile(r"([su])(-?[0-9]{1,3})\.(-?[0-9]{1,3})\Z")
_INTEGER = re.compile(r"(u?)int(0|[1-9][0-9]?)\Z")
_ODD = re.compile(r"odd(0|[1-9][0-9]?)\Z")
_UNIT = re.compile(r"(u|s)unit(0|[1-9][0-9]?)\Z")


@dataclass(frozen=True, slots=True)
class Format:
    """The raws ``raw_min, raw_min + raw_step .. raw_max`` with ``real = scale * (raw - zero_point)``.

    Raises:
        FormatError: bits outside 1..64, a range that does not fit the bits, a step other than 1 or 2, a range of
            step 2 that leaves codes unused, a scale that is not positive, or a zero point outside 64 bits.
    """

    bits: int  # width of the stored code
    raw_min: int  # lowest raw; below zero exactly where the format is signed
    raw_max: int  # highest raw
    raw_step: int = 1  # 2: only every other raw exists (Bit-RNN's k-bit weights: -15, -13 .. 15)
    scale: Fraction = Fraction(1)  # real value of one raw unit
    zero_point: int = 0  # the raw that means zero

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise FormatError(f"bits must be in 1..{MAX_BITS}, not {self.bits}")
        if self.raw_step not in (1, 2):
            raise FormatError(f"raw_step must be 1 or 2, not {self.raw_step}")
        if self.raw_min >= self.raw_max or (self.raw_max - self.raw_min) % self.raw_step:
            raise FormatError(
                f"raw range must be ascending in steps of {self.raw_step}, not {self.raw_min}..{self.raw_max}"
            )
        if (self.raw_max - self.raw_min) // self.raw_step >= 1 << self.bits:
            raise FormatError(f"raw range must fit {self.bits} bits, not {self.raw_min}..{self.raw_max}")
        if self.raw_step == 1 and not self._natural_min <= self.raw_min <= self.raw_max <= self._natural_max:
            raise FormatError(f"raw range must fit {self.bits}-bit codes, not {self.raw_min}..{self.raw_max}")
        if self.raw_step == 2 and not -(1 << 63) <= self.raw_min <= self.raw_max < 1 << 63:
            raise FormatError(f"raw range must fit 64 bits, not {self.raw_min}..{self.raw_max}")
        if self.raw_step == 2 and not self.full_range:
            raise FormatError(f"raw range of step 2 must hold 2**bits raws, not {self.levels} with {self.bits} bits")
        if self.scale <= 0:
            raise FormatError(f"scale must be positive, not {self.scale}")
        if not -(1 << 63) <= self.zero_point < 1 << 63:
            raise FormatError(f"zero_point must fit 64 bits, not {self.zero_point}")

    @property
    def signed(self) -> bool:
        """Whether raws below zero exist (codes are then two's complement, for ``raw_step`` 1)."""
        return self.raw_min < 0

    @property
    def _natural_min(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def _natural_max(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def full_range(self) -> bool:
        """Whether every code of ``bits`` bits is a raw, so that wrapping is defined."""
        return (self.raw_max - self.raw_min) // self.raw_step == (1 << self.bits) - 1

    @property
    def levels(self) -> int:
        """The count of raws."""
        return (self.raw_max - self.raw_min) // self.raw_step + 1

    @property
    def fraction_bits(self) -> int | None:
        """``n`` where the scale is exactly ``2**-n``, else None."""
        numerator, denominator = self.scale.numerator, self.scale.denominator
        if numerator == 1 and denominator & (denominator - 1) == 0:
            return denominator.bit_length() - 1
        if denominator == 1 and numerator & (numerator - 1) == 0:
            return -(numerator.bit_length() - 1)
        return None

    @property
    def name(self) -> str:
        """The everyday name (``s4.11``, ``int8``, ``odd4``, ``uunit4``) or a description of every field."""
        for name, form in self._named().items():
            if form == self:
                return name
        return self._description()

    def _named(self) -> dict[str, "Format"]:
        """The everyday formats of this width, the plainest name first."""
        bits, fraction = self.bits, self.fraction_bits
        named = {f"int{bits}": Format.integer(bits), f"uint{bits}": Format.integer(bits, signed=False)}
        if bits <= _MAX_ODD_BITS:
            named[f"odd{bits}"] = Format.odd(bits)
        named[f"uunit{bits}"] = Format.unit(bits)
        if bits > 1:
            named[f"sunit{bits}"] = Format.unit(bits, signed=True)
        if fraction is not None and abs(fraction) < _MAX_NAMED_FRACTION:
            kind, integer = ("s", bits - 1 - fraction) if self.signed else ("u", bits - fraction)
            named[f"{kind}{integer}.{fraction}"] = Format.qmn(integer, fraction, signed=self.signed)
        return named

    def _description(self) -> str:
        step = f" step {self.raw_step}" if self.raw_step != 1 else ""
        zero = f" zero {self.zero_point}" if self.zero_point else ""
        try:
            scale = f"{float(self.scale):.6g}"
        except OverflowError:
            scale = str(self.scale)
        return f"{self.bits} bits [{self.raw_min}, {self.raw_max}]{step} scale {scale}{zero}"

    def contains(self, raw: int) -> bool:
        """Whether ``raw`` is one of the format's raws."""
        return self.raw_min <= raw <= self.raw_max and (raw - self.raw_min) % self.raw_step == 0

    def real(self, raw: int) -> Fraction:
        """``scale * (raw - zero_point)``, exactly."""
        return self.scale * (raw - self.zero_point)

    def code(self, raw: int) -> int:
        """The stored bits of ``raw`` as an unsigned integer in ``0 .. 2**bits - 1``.

        Two's complement for ``raw_step`` 1, ``(raw - raw_min) / raw_step`` otherwise.

        Raises:
            FormatError: ``raw`` is not one of the format's raws.
        """
        if not self.contains(raw):
            raise FormatError(f"raw must be in {self.raw_min}..{self.raw_max} step {self.raw_step}, not {raw}")
        return raw & ((1 << self.bits) - 1) if self.raw_step == 1 else (raw - self.raw_min) // self.raw_step

    def raw(self, code: int) -> int:
        """The raw that the stored bits ``code`` mean; the inverse of :meth:`code`.

        Raises:
            FormatError: ``code`` is not in ``0 .. 2**bits - 1`` or stands for no raw of a narrow range.
        """
        if not 0 <= code < 1 << self.bits:
            raise FormatError(f"code must be in 0..{(1 << self.bits) - 1}, not {code}")
        if self.raw_step != 1:
            raw = self.raw_min + self.raw_step * code
        else:
            raw = code - (1 << self.bits) if self.signed and code >> (self.bits - 1) else code
        if not self.contains(raw):
            raise FormatError(f"code must stand for a raw in {self.raw_min}..{self.raw_max}, not {code}")
        return raw

    def with_scale(self, scale: Fraction) -> Self:
        """The same raws with another scale."""
        return replace(self, scale=scale)

    @staticmethod
    def qmn(integer_bits: int, fraction_bits: int, *, signed: bool = True) -> "Format":
        """Fixed point: ``integer_bits + fraction_bits`` bits, one more if signed; scale ``2**-fraction_bits``.

        Either count may be negative (``s-2.9`` has 8 bits below 1/4). ARM's Qm.n without the sign in m.
        """
        bits = integer_bits + fraction_bits + (1 if signed else 0)
        scale = Fraction(1, 1 << fraction_bits) if fraction_bits >= 0 else Fraction(1 << -fraction_bits)
        return Format.integer(bits, signed=signed).with_scale(scale)

    @staticmethod
    def integer(bits: int, *, signed: bool = True, narrow: bool = False) -> "Format":
        """Integers of ``bits`` bits with scale 1; ``narrow`` leaves out the lowest (int8: -127 .. 127)."""
        if not 1 <= bits <= MAX_BITS:
            raise FormatError(f"bits must be in 1..{MAX_BITS}, not {bits}")
        if not signed:
            return Format(bits, 0, (1 << bits) - 1)
        if narrow and bits == 1:
            raise FormatError("bits of a narrow signed format must be in 2..64, not 1; use odd1 for {-1, +1}")
        half = 1 << (bits - 1)
        return Format(bits, -half + narrow, half - 1)

    @staticmethod
    def odd(bits: int) -> "Format":
        """Bit-RNN's k-bit weights: the 2**bits odd raws ``-(2**bits - 1) .. 2**bits - 1``; none is zero."""
        if not 1 <= bits <= _MAX_ODD_BITS:
            raise FormatError(f"bits of an odd format must be in 1..{_MAX_ODD_BITS}, not {bits}")
        top = (1 << bits) - 1
        return Format(bits, -top, top, raw_step=2)

    @staticmethod
    def unit(bits: int, *, signed: bool = False) -> "Format":
        """Codes over [0, 1], scale ``1 / (2**bits - 1)`` (Bit-RNN's activations), or over [-1, 1] if signed."""
        form = Format.integer(bits, signed=signed, narrow=signed)
        return form.with_scale(Fraction(1, form.raw_max))

    @staticmethod
    def affine(bits: int, scale: Fraction, zero_point: int, *, signed: bool = True, narrow: bool = False) -> "Format":
        """Integers with a scale and a zero point (LiteRT's int8 activations: ``narrow`` False)."""
        return replace(Format.integer(bits, signed=signed, narrow=narrow), scale=scale, zero_point=zero_point)

    @staticmethod
    def parse(name: str) -> "Format":
        """The format of an everyday name.

        ``s4.11`` (sign, 4 integer, 11 fraction bits), ``u0.8``, ``int8``, ``uint16``, ``odd4`` (odd raws,
        scale 1), ``uunit4`` (0 .. 15 over [0, 1]), ``sunit8`` (-127 .. 127 over [-1, 1]).

        Raises:
            FormatError: the name is of none of these kinds, or its width is not in 1..64.
        """
        if match := _QMN.match(name):
            return Format.qmn(int(match[2]), int(match[3]), signed=match[1] == "s")
        if match := _INTEGER.match(name):
            return Format.integer(int(match[2]), signed=not match[1])
        if match := _ODD.match(name):
            return Format.odd(int(match[1]))
        if match := _UNIT.match(name):
            return Format.unit(int(match[2]), signed=match[1] == "s")
        raise FormatError(f"format must be a name like s4.11, u0.8, int8, uint16, odd4, uunit4 or sunit8, not {name!r}")


def bits_for(low: int, high: int) -> int:
    """The least width of a two's complement number that holds every integer of ``low .. high``."""
    return max((low if low >= 0 else ~low).bit_length(), (high if high >= 0 else ~high).bit_length()) + 1
