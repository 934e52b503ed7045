"""Narrowings as the kernels of sixteen lanes take them, in as few bits as are proven to hold all that they compute."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.bounds import Range, format_range, unchanged
from fixedsim.casts import Overflow, Rounding
from fixedsim.execution import PreparedActivation, PreparedNarrowing, ProductKernel, Products
from fixedsim.formats import Format
from fixedsim.kernels import lanes as layout
from fixedsim.kernels.panels import encode
from fixedsim.kernels.vector import LANES
from fixedsim.panels import PanelKind, Panels, aligned, unfilled
from fixedsim.profiles.datapath import Activation, Form, Narrowing, Primitive

Integers = NDArray[np.int64]
_DOUBLING_BITS = 31  # of the first shift
_WRAPS = {True: layout.WRAPS, False: layout.WRAPS_UNSIGNED}  # by whether the format is signed
_WIDTHS = (32, 64)
_REPAIRS: dict[Primitive | None, int] = {
    Primitive.REPAIR_SIGN: layout.REPAIRS,
    Primitive.REPAIR_SIGN_FIRST: layout.REPAIRS_FIRST,
}
_RESIZES: dict[Primitive | None, int] = {
    Primitive.VHDL_RESIZE: layout.RESIZES,
    Primitive.VHDL_RESIZE_MAGNITUDE: layout.RESIZES_MAGNITUDE,
}
_SHIFTS_TO_TOP = layout.WRAPS | layout.PRIMITIVES
_TABLE_BITS = 16  # the widest format whose raws a table lists
_INT16, _INT32 = Format.integer(16), Format.integer(32)
_BYTE = 1 << 8


class UnfitError(Exception):
    """A datapath that the kernels of sixteen lanes can't carry out, and why not; the general ones do."""


def padded(count: int) -> int:
    """``count`` rounded up to whole blocks of lanes."""
    return -(-count // LANES) * LANES


def raw_type(raws: Range) -> type[np.signedinteger[Any]]:
    """The smallest signed type that holds raws of a range."""
    low, high = int(raws.low), int(raws.high)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.int64


@dataclass(frozen=True, eq=False)
class LaneStage:
    """One narrowing of values of a known range, less their zero point.

    ``fields`` ``(16, n)`` are Python integers, one for each row or, where rows do not differ, one for all; ``bits`` are
    what the arithmetic needs, 32 or 64. ``outgoing`` is the range of what comes out, less its zero point.
    """

    flags: int
    fields: NDArray[Any]
    bits: int
    outgoing: Range

    def packed(self, bits: int, width: int) -> NDArray[Any]:
        """The fields ``(16, width)`` as integers of so many bits; ends beyond them never act."""
        limits = np.iinfo(np.int32 if bits == _WIDTHS[0] else np.int64)
        fields = self.fields.copy()
        for end in (layout.LOW, layout.HIGH, layout.GUARD_LOW, layout.GUARD_HIGH):
            fields[end] = np.minimum(np.maximum(fields[end], int(limits.min)), int(limits.max))
        if self.flags & _SHIFTS_TO_TOP:
            fields[layout.TOP] = bits - fields[layout.TOP]
        return np.array(np.broadcast_to(words(fields, bits), (layout.LANE_FIELDS, width)))


def lane_stage(
    narrowing: Narrowing | None, incoming: Range, multiplier: Integers | None = None, shift: Integers | None = None
) -> LaneStage:
    """The stage of a narrowing, or of none; multiplier and shift are its own or each row's.

    Raises:
        UnfitError: a narrowing that the lanes don't know, or values beyond 64 bits.
    """
    if narrowing is None:
        return LaneStage(0, _fields({}), _bits_of(incoming), incoming)
    multipliers = np.atleast_1d(np.array(narrowing.multiplier if multiplier is None else multiplier, dtype=object))
    shifts = np.atleast_1d(np.array(narrowing.shift if shift is None else shift, dtype=object))
    left, right = np.maximum(-shifts, 0), np.maximum(shifts, 0)
    doubles = narrowing.form is Form.DOUBLING and narrowing.primitive is None
    of_magnitude = narrowing.primitive is Primitive.VHDL_RESIZE_MAGNITUDE
    first = np.minimum(right, _DOUBLING_BITS) if doubles else np.zeros_like(right)
    second = right - first
    factor = multipliers * 2**left
    scaled = Range(incoming.low * factor, incoming.high * factor)
    half = 2**first // 2
    fields = {
        layout.MULTIPLIER: multipliers,
        layout.LEFT: left,
        layout.FIRST_HALF: half,
        layout.FIRST: first,
        **_rounding(Rounding.HALF_AWAY if of_magnitude else narrowing.rounding, second),
    }
    flags = layout.MULTIPLIES * bool(np.any(multipliers != 1)) | layout.SHIFTS_LEFT * bool(np.any(left))
    flags |= layout.DOUBLES * bool(np.any(first)) | layout.ROUNDS * bool(np.any(second))
    flags |= layout.BY_SIGN * bool(np.any(fields[layout.SIGNED])) | layout.BY_ODD * bool(np.any(fields[layout.ODD]))
    rounded = _rounded(scaled, first, second)
    bits = max(_bits_of(Range(scaled.low, scaled.high + half)), _bits_of(rounded), _bits_of_shift(max(first + second)))
    return _limited(narrowing, flags, fields, bits, rounded)


def _limited(narrowing: Narrowing, flags: int, fields: dict[int, Any], bits: int, rounded: Range) -> LaneStage:
    """The stage with its overflow, where it can act."""
    form, zero = narrowing.format, narrowing.format.zero_point
    if narrowing.primitive in _REPAIRS and not zero:
        ends = {layout.LOW: form.raw_min, layout.HIGH: form.raw_max, layout.TOP: form.bits, layout.ODD: 1}
        kept = Range(form.raw_min, form.raw_max)
        return LaneStage(
            flags | _REPAIRS[narrowing.primitive], _fields({**fields, **ends}), max(bits, _bits_of(kept)), kept
        )
    if narrowing.primitive in _RESIZES:
        return _resized(narrowing, flags, fields, bits, rounded)
    known = narrowing.primitive is None and form.raw_step == 1
    if not known or narrowing.saturated_bits or narrowing.overflow is Overflow.WRAP_SIGN_MAGNITUDE:
        raise UnfitError(f"a narrowing to {form.name} is {narrowing.primitive or narrowing.overflow}")
    kept = unchanged(form, narrowing.overflow)
    kept = Range(kept.low - zero, kept.high - zero)
    if np.all(rounded.low >= kept.low) and np.all(rounded.high <= kept.high):
        outgoing = Range(int(np.min(rounded.low)), int(np.max(rounded.high)))
        return LaneStage(flags, _fields(fields), bits, outgoing)
    flags |= layout.LIMITS
    outgoing = kept
    if narrowing.overflow is Overflow.WRAP:
        if zero:
            raise UnfitError(f"a narrowing to {form.name} wraps around a zero point")
        flags |= _WRAPS[form.signed]
    else:
        low, high = int(np.min(rounded.low)), int(np.max(rounded.high))
        outgoing = Range(min(max(low, kept.low), kept.high), max(min(high, kept.high), kept.low))
        if narrowing.overflow is Overflow.SATURATE_ZERO:
            flags |= layout.ZEROES
            outgoing = outgoing.union(Range(0, 0))
    ends = {layout.LOW: kept.low, layout.HIGH: kept.high, layout.TOP: form.bits}
    return LaneStage(flags, _fields({**fields, **ends}), max(bits, _bits_of(outgoing)), outgoing)


def _resized(narrowing: Narrowing, flags: int, fields: dict[int, Any], bits: int, rounded: Range) -> LaneStage:
    """The stage that ends with VHDL's resize, where it can act."""
    form, zero = narrowing.format, narrowing.format.zero_point
    kept = Range(form.raw_min - zero, form.raw_max - zero)
    if np.all(rounded.low >= kept.low) and np.all(rounded.high <= kept.high):
        return LaneStage(flags, _fields(fields), bits, Range(int(np.min(rounded.low)), int(np.max(rounded.high))))
    of_magnitude = narrowing.primitive is Primitive.VHDL_RESIZE_MAGNITUDE
    guarded = Format.integer(form.bits + (1 if of_magnitude else narrowing.guard_bits))
    held = Range(int(np.min(rounded.low)), int(np.max(rounded.high)))
    if of_magnitude:
        guards = Range(0, (1 << form.bits) - 1)
    elif narrowing.overflow is Overflow.WRAP:
        guards = held
    else:
        guards = Range(guarded.raw_min, guarded.raw_max)
    ends = {layout.LOW: kept.low, layout.HIGH: kept.high, layout.TOP: guarded.bits, layout.ZERO_POINT: zero}
    ends |= {layout.GUARD_LOW: guards.low, layout.GUARD_HIGH: guards.high}
    widest = max(-int(held.low), int(held.high), -guarded.raw_min) + abs(zero)
    bits = max(bits, _bits_of(Range(-widest, widest)))
    return LaneStage(flags | _RESIZES[narrowing.primitive], _fields({**fields, **ends}), bits, kept)


def _rounding(rounding: Rounding, shift: Any) -> dict[int, Any]:
    """The fields of a right shift; see :func:`fixedsim.kernels.lanes.round_lanes`."""
    unit, none = 2**shift, shift * 0
    half, one, rest = unit // 2, np.minimum(shift, 1), unit - 1
    less_one = rounding in (Rounding.HALF_DOWN, Rounding.HALF_TOWARD_ZERO, Rounding.HALF_EVEN, Rounding.HALF_ODD)
    added = none if rounding in (Rounding.FLOOR, Rounding.TOWARD_ZERO) else half - (one if less_one else none)
    signed = {Rounding.TOWARD_ZERO: rest, Rounding.HALF_AWAY: -one, Rounding.HALF_TOWARD_ZERO: one}
    odd = rounding in (Rounding.HALF_EVEN, Rounding.HALF_ODD)
    return {
        layout.REST: rest,
        layout.HALF: added,
        layout.SIGNED: signed.get(rounding, none),
        layout.FLIP: none - (1 if rounding is Rounding.HALF_ODD else 0),
        layout.ODD: one if odd else none,
        layout.SHIFT: shift,
    }


def _rounded(scaled: Range, first: Any, second: Any) -> Range:
    """A range that holds what both shifts leave, whatever their rounding."""
    ends = Range(scaled.low // 2**first, -(-scaled.high // 2**first))
    return Range(ends.low // 2**second, -(-ends.high // 2**second))


def _fields(given: dict[int, Any]) -> NDArray[Any]:
    """All fields ``(16, n)``, zeros where none is given."""
    columns = max((np.size(value) for value in given.values()), default=1)
    fields = np.zeros((layout.LANE_FIELDS, columns), dtype=object)
    for place, value in given.items():
        fields[place] = value
    return fields


def _bits_of(values: Range) -> int:
    """In how many bits lanes hold the values.

    Raises:
        UnfitError: more than 64.
    """
    low, high = int(np.min(values.low)), int(np.max(values.high))
    for bits in _WIDTHS:
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return bits
    raise UnfitError(f"a narrowing takes integers of {low}..{high}, beyond 64 bits")


def _bits_of_shift(shift: int) -> int:
    """In how many bits lanes shift so far and round.

    Raises:
        UnfitError: more than 64.
    """
    for bits in _WIDTHS:
        if shift <= bits - 2:
            return bits
    raise UnfitError(f"a narrowing shifts by {shift}")


def words(values: Any, bits: int) -> NDArray[Any]:
    """Integers that are known to fit, in so many bits."""
    return np.asarray(values).astype(np.int32 if bits == _WIDTHS[0] else np.int64)


NO_STAGE = LaneStage(0, _fields({}), _WIDTHS[0], Range(0, 0))


@dataclass(frozen=True, eq=False)
class RawTable:
    """An activation and the narrowing of its values, for every raw that it reads: ``(raws,)`` less their zero point.

    ``start`` is the place of the raw that is the zero point of what it reads.
    """

    values: Integers
    start: int

    @property
    def outgoing(self) -> Range:
        """The range of the values."""
        return Range(int(self.values.min()), int(self.values.max()))

    @cached_property
    def pieces(self) -> "Pieces | None":
        """The table in straight pieces, as few as there are; None where it is not made of such."""
        for piece in range(_TABLE_BITS - 2, 1, -1):
            found = Pieces.of(self.values, piece)
            if found is not None:
                return found
        return None


@dataclass(frozen=True, eq=False)
class Pieces:
    """A table of ``2**piece`` raws a piece: ``base`` and each piece's first value above 16 bits of its rise.

    Between, values are on the line to the next piece, rounded half up.
    """

    piece: int
    base: int
    entries: NDArray[np.int32]

    @staticmethod
    def of(values: Integers, piece: int) -> "Pieces | None":
        """The pieces, or None where the values are others or do not fit 16 bits."""
        size = 1 << piece
        if len(values) % size:
            return None
        rows = values.reshape(-1, size)
        rises = np.append(np.diff(rows[:, 0]), 0)
        for last in np.unique(np.append(rows[-1:, -1] - rows[-1, 0], [0, 1])).tolist():
            rises[-1] = last
            between = (rises[:, None] * np.arange(size) + size // 2) >> piece
            if np.array_equal(rows[:, :1] + between, rows):
                break
        else:
            return None
        base = (int(values.min()) + int(values.max()) + 1) // 2
        firsts = rows[:, 0] - base
        if any(not Range(int(each.min()), int(each.max())).within(_INT16) for each in (firsts, rises)):
            return None
        return Pieces(piece, base, ((firsts << 16) | (rises & 0xFFFF)).astype(np.int32))


@lru_cache(maxsize=64)
def raw_table(activation: Activation, output: Narrowing, read: Format, subject: str) -> RawTable:
    """The table of an activation of raws of ``read``.

    Raises:
        UnfitError: more raws than 16 bits, values that overflow the output, or that do not fit 32 bits.
    """
    if read.bits > _TABLE_BITS or read.raw_step != 1 or not format_range(read).within(_INT32):
        raise UnfitError(f"an activation reads {read.name}, which has more raws than a table lists")
    zero_point = activation.format.zero_point
    raws = np.arange(read.raw_min, read.raw_max + 1, dtype=np.int64)
    values = PreparedActivation(activation, format_range(read), subject).run(raws) - zero_point
    reach = Range(int(values.min()), int(values.max()))
    counts = np.zeros(2, dtype=np.int64)
    narrowed = PreparedNarrowing(output, reach).run(values[:, None], counts)[:, 0] - output.format.zero_point
    if counts.any() or not Range(int(narrowed.min()), int(narrowed.max())).within(_INT32):
        raise UnfitError(f"values of an activation overflow {output.format.name}")
    return RawTable(narrowed, read.zero_point - read.raw_min)


def word_panels(products: Products, rows: Integers) -> Panels:
    """The panels of the ``rows`` of a matrix whose sums of products 32 bits hold, an accumulator's limits apart.

    Raises:
        UnfitError: sums that need more bits or steps of their own.
    """
    if products.kernel is ProductKernel.STEPS or products.guard is None or products.magnitude > _INT32.raw_max:
        raise UnfitError(f"the accumulator is computed by {products.kernel}, in more than 32 bits")
    wide = int(products.inputs.high) - int(products.inputs.low) >= _BYTE
    panels = Panels.of(products.weight[rows], products.inputs, PanelKind.DOT16 if wide else None)
    if panels is None or panels.window is not None:
        raise UnfitError("sums of products need more than 32 bits")
    return panels


class WordSums:
    """The sums of products of ``vectors`` vectors at a time, from codes in memory that is used again and again."""

    def __init__(self, panels: Panels, vectors: int) -> None:
        self.panels = panels.suited(vectors)
        self.codes = aligned((vectors, panels.pitch), panels.coding.input_type)
        self.code_sums = np.empty(vectors, dtype=np.int64)

    def run(self, raws: NDArray[Any], zero_point: int, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """The sums ``(vectors, height)`` of ``raws`` (vectors, columns) less the zero point, in ``out`` if given.

        The raws may be of a type that their differences do not fit.
        """
        panels, coding = self.panels, self.panels.coding
        encode(raws, zero_point + coding.offset, coding.factor, self.codes, self.code_sums)
        found = unfilled((len(self.codes), panels.height), np.int32) if out is None else out
        panels.multiply_codes(self.codes, self.code_sums.astype(np.int32), found)
        return found


def word_sums(
    panels: Panels, raws: NDArray[Any], zero_point: int, out: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """The sums of products ``(N, height)`` of raws ``(N, columns)`` less the zero point, padded rows included."""
    return WordSums(panels, len(raws)).run(raws, zero_point, out)
