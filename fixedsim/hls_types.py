"""Fixed-point types of C++ hardware code by their own spelling: ``ap_fixed<16,6,AP_RND>``, ``ac_fixed<16,6,true>``.

Types are data here: their raws, their modes, and the types of their sums and products. Their arithmetic on arrays is
:mod:`fixedsim.hls_arithmetic`. The raw ``r`` of a type of ``W`` bits, ``I`` of them integer, means ``r * 2**(I - W)``.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import MAX_BITS, Format

MAX_INTEGER_BITS = 512  # in either direction


class Family(StrEnum):
    """Whose types they are."""

    AP = "ap"  # Xilinx's (AMD's) ap_fixed and ap_int
    AC = "ac"  # Algorithmic C's ac_fixed and ac_int


ROUNDINGS = {
    "TRN": Rounding.FLOOR,
    "TRN_ZERO": Rounding.TOWARD_ZERO,
    "RND": Rounding.HALF_UP,
    "RND_MIN_INF": Rounding.HALF_DOWN,
    "RND_INF": Rounding.HALF_AWAY,
    "RND_ZERO": Rounding.HALF_TOWARD_ZERO,
    "RND_CONV": Rounding.HALF_EVEN,
    "RND_CONV_ODD": Rounding.HALF_ODD,  # ac only
}
OVERFLOWS = {
    "WRAP": Overflow.WRAP,
    "SAT": Overflow.SATURATE,
    "SAT_SYM": Overflow.SATURATE_SYMMETRIC,
    "SAT_ZERO": Overflow.SATURATE_ZERO,
    "WRAP_SM": Overflow.WRAP_SIGN_MAGNITUDE,  # ap only
}
_ONLY_IN = {Rounding.HALF_ODD: Family.AC, Overflow.WRAP_SIGN_MAGNITUDE: Family.AP}
_SPELLING = re.compile(r"(?:\w+::)*(ap_u?fixed|ap_u?int|ac_fixed|ac_int)<([^<>]*)>")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_EXAMPLES = "ap_fixed<16,6>, ap_ufixed<8,0,AP_RND,AP_SAT>, ap_int<8>, ac_fixed<16,6,true,AC_RND,AC_SAT> or ac_int<8>"


@dataclass(frozen=True, slots=True)
class HlsType:
    """``bits`` bits, ``integer_bits`` of them integer (more than ``bits`` or below 0 too), and how it takes a value.

    Raises:
        FormatError: a width or a mode that the family does not have.
    """

    family: Family
    bits: int  # of a result of arithmetic also beyond 64
    integer_bits: int
    signed: bool = True
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.WRAP
    saturated_bits: int = 0  # ap_fixed's fifth parameter
    integer: bool = False  # spelt as ap_int or ac_int

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise FormatError(f"bits must be at least 1, not {self.bits}")
        for mode in (self.rounding, self.overflow):
            if _ONLY_IN.get(mode, self.family) is not self.family:
                raise FormatError(f"mode of a type of {self.family} must be one that it has, not {mode}")
        if self.overflow is Overflow.WRAP_SIGN_MAGNITUDE and not self.signed:
            raise FormatError(f"overflow must not be AP_WRAP_SM for the unsigned {self._stem}<{self._widths}>")
        wraps = self.overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) and self.family is Family.AP
        highest = self.bits if wraps else 0
        if not 0 <= self.saturated_bits <= highest:
            raise FormatError(
                f"saturated bits of {self._stem} must be in 0..{highest}, not {self.saturated_bits}; "
                "only AP_WRAP and AP_WRAP_SM have them"
            )

    @property
    def fraction_bits(self) -> int:
        """``W - I``: a raw counts units of ``2**-fraction_bits``."""
        return self.bits - self.integer_bits

    @property
    def raw_min(self) -> int:
        """The lowest raw."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def raw_max(self) -> int:
        """The highest raw."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def format(self) -> Format:
        """Its raws and scale, without its modes.

        Raises:
            FormatError: more than 64 bits.
        """
        return Format.qmn(self.integer_bits - self.signed, self.fraction_bits, signed=self.signed)

    @property
    def plain(self) -> "HlsType":
        """The same raws with the default modes, TRN and WRAP."""
        return replace(self, rounding=Rounding.FLOOR, overflow=Overflow.WRAP, saturated_bits=0)

    @property
    def name(self) -> str:
        """Its spelling, default modes left out."""
        return f"{self._stem}<{','.join([self._widths, *self._modes()])}>"

    def __str__(self) -> str:
        return self.name

    @property
    def _stem(self) -> str:
        unsigned = "u" if self.family is Family.AP and not self.signed else ""
        return f"{self.family}_{unsigned}{'int' if self.integer else 'fixed'}"

    @property
    def _widths(self) -> str:
        widths = str(self.bits) if self.integer else f"{self.bits},{self.integer_bits}"
        return f"{widths},{str(self.signed).lower()}" if self.family is Family.AC else widths

    def _modes(self) -> list[str]:
        if self == self.plain:
            return []
        rounding = next(name for name, mode in ROUNDINGS.items() if mode is self.rounding)
        overflow = next(name for name, mode in OVERFLOWS.items() if mode is self.overflow)
        prefix = self.family.upper()
        third = [str(self.saturated_bits)] if self.saturated_bits else []
        return [f"{prefix}_{rounding}", f"{prefix}_{overflow}", *third]

    @staticmethod
    def parse(text: str) -> "HlsType":
        """The type of a spelling; blanks and a namespace before a name do not matter.

        ``ap_fixed<W,I,Q,O,N>`` and ``ap_ufixed``, ``ac_fixed<W,I,S,Q,O>`` (modes may be left out: TRN and WRAP),
        ``ap_int<W>``, ``ap_uint<W>``, ``ac_int<W,S>`` (S is true where it is left out).

        Raises:
            FormatError: another spelling, a width outside 1..64, or a mode that the type does not have.
        """
        match = _SPELLING.fullmatch("".join(text.split()))
        if match is None:
            raise FormatError(f"type must be spelt like {_EXAMPLES}, not {text!r}")
        return _Spelling(text, match[1], match[2].split(",")).read()


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A type taken apart, for errors that quote it."""

    text: str
    stem: str
    arguments: list[str]

    def read(self) -> HlsType:
        """The type."""
        family, integer = Family(self.stem[:2]), self.stem.endswith("int")
        places = 1 if integer else 2
        highest = (1 if integer else 5) if family is Family.AP else places + (1 if integer else 3)
        if not places <= len(self.arguments) <= highest:
            raise FormatError(f"{self.stem} must have {places}..{highest} parameters, not {self.text!r}")
        numbers = [self._number(argument) for argument in self.arguments[:places]]
        if not 1 <= numbers[0] <= MAX_BITS:
            raise FormatError(f"width of {self.stem} must be in 1..{MAX_BITS}, not {numbers[0]}")
        if abs(numbers[-1]) > MAX_INTEGER_BITS:
            raise FormatError(
                f"integer bits of {self.stem} must be in {-MAX_INTEGER_BITS}..{MAX_INTEGER_BITS}, not {numbers[-1]}"
            )
        rest = self.arguments[places:]
        signed = "u" not in self.stem
        if family is Family.AC and rest:
            signed = self._truth(rest.pop(0))
        rounding = ROUNDINGS[self._mode(rest[0], family, ROUNDINGS)] if rest else Rounding.FLOOR
        overflow = OVERFLOWS[self._mode(rest[1], family, OVERFLOWS)] if len(rest) > 1 else Overflow.WRAP
        saturated = self._number(rest[2]) if len(rest) > 2 else 0
        return HlsType(family, numbers[0], numbers[-1], signed, rounding, overflow, saturated, integer)

    def _number(self, argument: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,4}", argument):
            raise FormatError(f"parameter of {self.stem} must be an integer, not {argument!r} in {self.text!r}")
        return int(argument)

    def _truth(self, argument: str) -> bool:
        if argument not in _TRUTH:
            raise FormatError(f"sign of {self.stem} must be true or false, not {argument!r} in {self.text!r}")
        return _TRUTH[argument]

    def _mode(self, argument: str, family: Family, known: dict[str, Rounding] | dict[str, Overflow]) -> str:
        prefix = f"{family.upper()}_"
        own = [name for name, mode in known.items() if _ONLY_IN.get(mode, family) is family]
        plain = argument.rsplit("::", 1)[-1]
        if not plain.startswith(prefix) or plain.removeprefix(prefix) not in own:
            wanted = ", ".join(prefix + name for name in own)
            raise FormatError(f"mode of {self.stem} must be one of {wanted}, not {argument!r} in {self.text!r}")
        return plain.removeprefix(prefix)


def is_hls_type(value: object) -> bool:
    """Whether a value is meant as the spelling of such a type: text with an angle bracket."""
    return isinstance(value, str) and "<" in value


def product_type(left: HlsType, right: HlsType) -> HlsType:
    """Return the type of ``left * right``: ``W1 + W2`` bits, ``I1 + I2`` of them integer, signed where either is."""
    return _result(
        left, right, left.bits + right.bits, left.integer_bits + right.integer_bits, left.signed or right.signed
    )


def sum_type(left: HlsType, right: HlsType) -> HlsType:
    """Return the type of ``left + right``: every bit of both operands and a carry, signed where either is."""
    mixed = left.signed != right.signed
    integer = 1 + max(
        left.integer_bits + (mixed and right.signed),
        right.integer_bits + (mixed and left.signed),
    )
    fraction = max(left.fraction_bits, right.fraction_bits)
    return _result(left, right, integer + fraction, integer, left.signed or right.signed)


def difference_type(left: HlsType, right: HlsType) -> HlsType:
    """Return the type of ``left - right``: as of the sum, and always signed."""
    return replace(sum_type(left, right), signed=True)


def quotient_type(left: HlsType, right: HlsType) -> HlsType:
    """Return the type of ``left / right`` of ap types: ``W1 + max(F2, 0) + S2`` bits, ``I1 + F2 + S2`` of them integer.

    Raises:
        FormatError: ac types.
    """
    _require_ap(left, "a quotient")
    bits = left.bits + max(right.fraction_bits, 0) + right.signed
    integer = left.integer_bits + right.fraction_bits + right.signed
    return _result(left, right, bits, integer, left.signed or right.signed)


def negation_type(operand: HlsType) -> HlsType:
    """Return the type of ``-operand`` of ap types: its own, so that the lowest raw wraps.

    Raises:
        FormatError: ac types.
    """
    _require_ap(operand, "a negation")
    return operand.plain


def _result(left: HlsType, right: HlsType, bits: int, integer_bits: int, signed: bool) -> HlsType:
    if left.family is not right.family:
        raise FormatError(f"operands must be of one family, not {left.name} and {right.name}")
    return HlsType(left.family, bits, integer_bits, signed, integer=left.integer and right.integer)


def _require_ap(operand: HlsType, what: str) -> None:
    if operand.family is not Family.AP:
        raise FormatError(f"operands of {what} must be ap types, not {operand.name}")
