"""How many memory blocks hold a tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from fixedsim.accounting.targets import MemoryTarget, Shape, check_whole
from fixedsim.errors import InputError, nearest

_CHUNK = 64  # data bits that one group of check bits guards at most
_Column = tuple[int, int]  # the width of a column of blocks and the blocks that it takes


@dataclass(frozen=True)
class Arrangement:
    """How the values of a tensor stand in the words of a memory, and by which rule blocks are counted.

    Raises:
        InputError: lanes or align below 1, a flag that is not a bool, or an unknown rule.
    """

    lanes: int = 1  # values in one word, read at once
    pad_rows: bool = False  # whether every row begins a new word
    align: int = 1  # each value takes a multiple of this many bits
    ecc: bool = False  # whether each chunk of up to 64 data bits has SECDED check bits beside it
    rule: str = "least"  # one of RULES

    def __post_init__(self) -> None:
        check_whole("lanes", self.lanes)
        check_whole("align", self.align)
        for name, flag in (("pad_rows", self.pad_rows), ("ecc", self.ecc)):
            if not isinstance(flag, bool):
                raise InputError(f"{name} must be true or false, not {flag!r}")
        if self.rule not in RULES:
            raise InputError(f"rule must be one of {', '.join(RULES)}, not {self.rule!r}{nearest(self.rule, RULES)}")

    def words(self, rows: int, columns: int) -> int:
        """``ceil(rows * columns / lanes)``, or ``rows * ceil(columns / lanes)`` with padded rows."""
        return rows * _ceil(columns, self.lanes) if self.pad_rows else _ceil(rows * columns, self.lanes)

    def word_bits(self, bits: int) -> int:
        """The bits of one word of values of ``bits`` bits: ``lanes`` aligned values, and their check bits."""
        data = self.lanes * self.align * _ceil(bits, self.align)
        if not self.ecc:
            return data
        whole, rest = divmod(data, _CHUNK)
        return data + whole * secded_bits(_CHUNK) + (secded_bits(rest) if rest else 0)


@dataclass(frozen=True)
class Placement:
    """A tensor in the blocks of a memory."""

    words: int
    word_bits: int  # padding and check bits counted
    blocks: int
    stored_bits: int  # rows * columns * bits: neither padding nor check bits counted
    efficiency: float  # stored_bits / (blocks * bits of a block)
    rule: str


def secded_bits(data: int) -> int:
    """Check bits of a code that corrects one error and detects two in ``data`` bits.

    The least r with ``2**r >= data + r + 1`` (Hamming), and one more for the parity of all.

    Raises:
        InputError: ``data`` below 1.
    """
    check_whole("data", data)
    check = 1
    while 2**check < data + check + 1:
        check += 1
    return check + 1


def blocks(
    target: MemoryTarget, rows: int, columns: int, bits: int, arrangement: Arrangement | None = None
) -> Placement:
    """Place ``rows * columns`` values of ``bits`` bits in the blocks of ``target``.

    The rules: ``bits`` divides all bits, padding and check bits counted, by those of a block, a bound that no
    placement beats; ``single`` gives every block the one aspect ratio that needs fewest; ``estimate`` takes the
    aspect ratio that a tool's heuristic names; ``least`` also cuts words into columns and the depth into bands of
    different aspect ratios and, on a packed target, stands several words in a line.

    Raises:
        InputError: a size below 1, or the rule ``estimate`` on a target without one.
    """
    for subject, value in (("rows", rows), ("columns", columns), ("bits", bits)):
        check_whole(subject, value)
    arrangement = arrangement or Arrangement()
    words, word_bits = arrangement.words(rows, columns), arrangement.word_bits(bits)
    count = RULES[arrangement.rule](target, words, word_bits)
    stored = rows * columns * bits
    return Placement(words, word_bits, count, stored, stored / (count * target.block_bits), arrangement.rule)


def _ceil(amount: int, part: int) -> int:
    return -(-amount // part)


def _filled(shape: Shape, words: int, word_bits: int) -> int:
    return _ceil(words, shape.depth) * _ceil(word_bits, shape.width)


def _by_bits(target: MemoryTarget, words: int, word_bits: int) -> int:
    return _ceil(words * word_bits, target.block_bits)


def _single(target: MemoryTarget, words: int, word_bits: int) -> int:
    return min(_filled(shape, words, word_bits) for shape in target.shapes)


def _estimate(target: MemoryTarget, words: int, word_bits: int) -> int:
    if not target.estimate:
        others = ", ".join(rule for rule in RULES if rule != "estimate")
        raise InputError(
            f"rule must be one of {others} for memory {target.name}, which has no estimate, not 'estimate'"
        )
    entry = next(entry for entry in target.estimate if entry.holds(words, word_bits))
    return _filled(entry.shape, words, word_bits)


def _least(target: MemoryTarget, words: int, word_bits: int) -> int:
    shapes = set(target.shapes)
    if target.packed:  # p words in a line of a block are a block p times as deep, of the word's width
        narrow = (shape for shape in target.shapes if word_bits < shape.width)
        shapes |= {Shape(shape.depth * (shape.width // word_bits), word_bits) for shape in narrow}
    return _banded(tuple(sorted(shapes, reverse=True)), words, word_bits)


RULES: dict[str, Callable[[MemoryTarget, int, int], int]] = {
    "least": _least,
    "single": _single,
    "bits": _by_bits,
    "estimate": _estimate,
}


@lru_cache(maxsize=1 << 14)
def _banded(shapes: tuple[Shape, ...], words: int, word_bits: int) -> int:
    """The fewest blocks with the depth in bands: as many whole block depths as fit, then the remainder's own."""
    fewest = _side_by_side(_columns(shapes, words), word_bits)
    for depth in {shape.depth for shape in shapes}:
        rest = words % depth
        if 0 < rest < words:
            upper = _side_by_side(_columns(shapes, words - rest), word_bits)
            if upper < fewest:
                fewest = min(fewest, upper + _banded(shapes, rest, word_bits))
    return fewest


def _columns(shapes: tuple[Shape, ...], words: int) -> tuple[_Column, ...]:
    """The columns worth taking: those that are wider than every column of no more blocks."""
    columns: list[_Column] = []
    for count, negative in sorted((_ceil(words, shape.depth), -shape.width) for shape in shapes):
        if not columns or -negative > columns[-1][0]:
            columns.append((-negative, count))
    return tuple(columns)


def _side_by_side(columns: tuple[_Column, ...], width: int) -> int:
    """The fewest blocks of columns that cover ``width`` bits together, each taken as often as is good."""
    scale = gcd(*(count for _, count in columns))
    return scale * _cover(tuple((wide, count // scale) for wide, count in columns), width)


def _cover(columns: tuple[_Column, ...], width: int) -> int:
    best, price = min(columns, key=lambda column: (column[1] / column[0], column[0]))
    if len(columns) == 1:
        return price * _ceil(width, best)
    # Of any `best` other columns some together are a multiple of `best` wide, and columns of the best price per bit
    # replace them: fewer than `best` others are ever needed, and all beyond those is of the best price.
    surely = max(0, width - (best - 1) * columns[-1][0]) // best
    rest = width - surely * best
    needed = _needed(columns)
    for covered in range(len(needed), rest + 1):
        needed.append(min(needed[max(0, covered - wide)] + count for wide, count in columns))
    return surely * price + needed[rest]


@lru_cache(maxsize=1 << 10)
def _needed(columns: tuple[_Column, ...]) -> list[int]:
    """The fewest blocks that cover 0, 1, 2 ... bits; :func:`_cover` lengthens the list as wider words come."""
    return [0]
