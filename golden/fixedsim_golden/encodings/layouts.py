"""Layouts: how the raws of a tensor stand in words, as the memories and ports of a device want them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fixedsim.arrays import Raws, require_raws
from fixedsim.errors import InputError, nearest
from fixedsim.formats import Format
from fixedsim.packing import Packing, pack, unpack
from fixedsim_golden.encodings.words import MAX_WORD_BITS, Words, octets_of, require_word_bits, word_chunks

GATES = "ifgo"  # input, forget, candidate, output: how a layer stacks them along the first axis
_SIGN_BITS = 64
_CHOICES = {"lane_order": ("lsb", "msb"), "order": ("out_in", "in_out"), "extend": ("zero", "sign")}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the raws of a tensor stand in words.

    A word holds ``lanes`` elements in C order, each in the lowest bits of a field; the last word (of each row with
    ``pad_rows``) is filled with zero fields. Gates are reordered first, then the matrix is transposed and packed.

    Raises:
        InputError: fewer than one lane, an alignment below one bit, a word width outside 1..1024, a choice that is
            none, or a gate order that does not name each gate once.
    """

    lanes: int = 1  # elements of a word
    lane_order: str = "lsb"  # "lsb": element 0 of a word in its lowest bits, rightmost in hexadecimal; "msb": highest
    align: int = 1  # bits; a field is the format's bits rounded up to a multiple of it
    extend: str = "zero"  # what fills a field: "zero", or "sign", the top bit of two's complement codes
    pad_rows: bool = False  # whether each row (all axes but the last flattened) starts a new word
    word_bits: int | None = None  # to which a word is filled with zeros at the top; None: lanes * field
    order: str = "out_in"  # axes of a matrix: "out_in" as layers hold it, "in_out" transposed
    gate_order: str | None = None  # the gates of the first axis as they are written, of the letters ifgo (c: g)

    def __post_init__(self) -> None:
        Packing(self.lanes, self.align)
        if self.word_bits is not None:
            require_word_bits(self.word_bits)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.gate_order is not None:
            object.__setattr__(self, "gate_order", _require_gates(self.gate_order))

    def field(self, form: Format) -> int:
        """The bits that one element takes."""
        return -(-form.bits // self.align) * self.align

    def width(self, form: Format) -> int:
        """The bits of a word.

        Raises:
            InputError: more than 1024, or ``word_bits`` below what the lanes take.
        """
        taken = self.lanes * self.field(form)
        if taken > MAX_WORD_BITS:
            raise InputError(f"lanes must take at most {MAX_WORD_BITS} bits, not {self.lanes} * {self.field(form)}")
        if self.word_bits is not None and self.word_bits < taken:
            raise InputError(f"word_bits must be at least the {taken} bits of the lanes, not {self.word_bits}")
        return self.word_bits or taken

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The layout of :meth:`to_dict`; fields that are absent have their defaults.

        Raises:
            InputError: an unknown field, a value of another type, or one that :class:`Layout` refuses.
        """
        allowed = {field.name: field.type for field in fields(cls)}
        for name, value in given.items():
            if name not in allowed:
                raise InputError(f"field of a layout must be a known one, not {name!r}{nearest(name, allowed)}")
            if not _is_of(value, allowed[name]):
                raise InputError(f"{name} must be of type {_name(allowed[name])}, not {value!r}")
        return cls(**given)


def _is_of(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _require_gates(given: str) -> str:
    gates = given.replace("c", "g")
    if sorted(gates) != sorted(GATES):
        raise InputError(f"gate_order must be of i, f, g (or c) and o, each once, not {given!r}")
    return gates


def to_words(raws: npt.ArrayLike, form: Format, layout: Layout = Layout()) -> Words:
    """The words of raws of any shape, in C order.

    Raises:
        InputError: another type than integers, an element that is no raw of ``form``, a shape that the layout's order
            of axes or gates does not fit, or words of more than 1024 bits.
    """
    width = layout.width(form)
    arranged = _arranged(require_raws(raws, form, "raws"), layout)
    packed = pack(arranged, _field_form(form, layout), _packing(layout))
    words = Words.of_packed(packed)
    return _wide(_lanes(words, form, layout), width)


def from_words(words: Words, shape: tuple[int, ...], form: Format, layout: Layout = Layout()) -> Raws:
    """The raws of ``shape`` that :func:`to_words` made ``words`` of: int64, or uint64 where the format needs it.

    Raises:
        InputError: another count or width of words, padding that is not as it is written, a code that stands for no raw
            (each named with its place), or a shape that the layout does not fit.
    """
    width, taken = layout.width(form), layout.lanes * layout.field(form)
    if words.word_bits != width:
        raise InputError(f"words must be of {width} bits, not {words.word_bits}")
    arranged = _arranged_shape(shape, layout)
    _require_padding(words, arranged, form, layout)
    narrow = _lanes(Words(words.octets[:, : octets_of(taken)], taken), form, layout)
    raws = unpack(narrow.packed_data(), arranged, _field_form(form, layout), _packing(layout))
    return require_raws(_rearranged(raws, layout), form, "raws")


def append_bias(weight: npt.ArrayLike, bias: npt.ArrayLike) -> Raws:
    """The matrix ``(rows, inputs + 1)`` of a weight ``(rows, inputs)`` with its bias ``(rows,)`` as the last column.

    Raises:
        InputError: shapes that do not fit each other, or types without a common integer type.
    """
    matrix, column = np.asarray(weight), np.asarray(bias)
    if matrix.ndim != 2 or column.shape != matrix.shape[:1]:
        raise InputError(f"weight and bias must be (rows, inputs) and (rows,), not {matrix.shape} and {column.shape}")
    if np.result_type(matrix, column).kind not in "iu":
        raise InputError(f"weight and bias must share an integer type, not {matrix.dtype} and {column.dtype}")
    return np.column_stack([matrix, column])


def split_bias(matrix: npt.ArrayLike) -> tuple[Raws, Raws]:
    """The weight and the bias that :func:`append_bias` joined.

    Raises:
        InputError: something else than a matrix of at least one column.
    """
    given = np.asarray(matrix)
    if given.ndim != 2 or not given.shape[1]:
        raise InputError(f"matrix must be (rows, inputs + 1), not {given.shape}")
    return given[:, :-1], given[:, -1]


def _packing(layout: Layout) -> Packing:
    return Packing(layout.lanes, layout.align, layout.pad_rows)


def _field_form(form: Format, layout: Layout) -> Format:
    """The format whose codes fill the fields: a wider two's complement where the sign is extended."""
    bits = layout.field(form)
    if layout.extend == "zero" or not form.signed or form.raw_step != 1 or bits == form.bits:
        return form
    if bits > _SIGN_BITS:
        raise InputError(f"fields with an extended sign must be of at most {_SIGN_BITS} bits, not {bits}")
    return Format.integer(bits)


def _arranged(raws: Raws, layout: Layout) -> Raws:
    """The raws with their gates and axes as they are written."""
    _arranged_shape(raws.shape, layout)
    if layout.gate_order is not None:
        gates = raws.reshape(4, -1)[[GATES.index(gate) for gate in layout.gate_order]]
        raws = gates.reshape(raws.shape)
    return raws.T if layout.order == "in_out" else raws


def _rearranged(raws: Raws, layout: Layout) -> Raws:
    """The inverse of :func:`_arranged`."""
    if layout.order == "in_out":
        raws = np.ascontiguousarray(raws.T)
    if layout.gate_order is not None:
        gates = raws.reshape(4, -1)[[layout.gate_order.index(gate) for gate in GATES]]
        raws = gates.reshape(raws.shape)
    return raws


def _arranged_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    if layout.gate_order is not None and (not shape or shape[0] % len(GATES)):
        raise InputError(f"first axis must hold {len(GATES)} gates, not {shape}")
    if layout.order == "in_out" and len(shape) != 2:
        raise InputError(f"shape must be (out, in) for the order in_out, not {shape}")
    return shape[::-1] if layout.order == "in_out" else shape


def _lanes(words: Words, form: Format, layout: Layout) -> Words:
    """The words with their lanes reversed where element 0 is the highest; its own inverse."""
    if layout.lane_order == "lsb" or layout.lanes == 1:
        return words
    octets, field = np.empty_like(words.octets), layout.field(form)
    for chunk in word_chunks(len(words), words.word_bits):
        bits = np.unpackbits(words.octets[chunk], axis=1, count=words.word_bits, bitorder="little")
        turned = bits.reshape(-1, layout.lanes, field)[:, ::-1].reshape(-1, words.word_bits)
        octets[chunk] = np.packbits(turned, axis=1, bitorder="little")
    return Words(octets, words.word_bits)


def _wide(words: Words, word_bits: int) -> Words:
    """The words filled with zeros at the top."""
    octets = np.zeros((len(words), octets_of(word_bits)), np.uint8)
    octets[:, : words.octets.shape[1]] = words.octets
    return Words(octets, word_bits)


def _require_padding(words: Words, shape: tuple[int, ...], form: Format, layout: Layout) -> None:
    """Check the count of words, and that bits that no element takes are zero."""
    if any(axis < 0 for axis in shape):
        raise InputError(f"shape must be of axes of at least 0, not {shape}")
    used = _used(shape, form, layout)
    if len(used) != len(words):
        raise InputError(f"words must be {len(used)} for the shape {shape}, not {len(words)}")
    wrong = words.octets & ~used.octets
    if wrong.any():
        word, octet = divmod(int((wrong.reshape(-1) != 0).argmax()), wrong.shape[1])
        lowest = int(wrong[word, octet]) & -int(wrong[word, octet])
        raise InputError(f"padding bit {8 * octet + lowest.bit_length() - 1} of word {word} must be 0, not 1")


def _used(shape: tuple[int, ...], form: Format, layout: Layout) -> Words:
    """Words whose bits are 1 where an element stands, its extended sign too."""
    bits = _field_form(form, layout).bits
    ones = np.full(shape, (1 << bits) - 1, np.uint64)
    packed = pack(ones, Format.integer(bits, signed=False), _packing(layout))
    return _wide(_lanes(Words.of_packed(packed), form, layout), layout.width(form))
