"""C header: an array of the least unsigned type, or of 64-bit limbs (the lowest first) for words above 64 bits."""

import re

import numpy as np

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import Encoding, ReadWords, Text, most_words, require_count, require_words
from fixedsim_golden.encodings.numerals import Numerals, hexadecimal, joined, lines, octet_digits
from fixedsim_golden.encodings.source_text import Declaration, Items, blank, identifier, without_comments
from fixedsim_golden.encodings.words import Octets, Words, require_word_bits

_LIMB_BITS = 64
_LIMB_OCTETS = _LIMB_BITS // 8
_DIRECTIVES = re.compile(rb"^[ \t]*#[^\n]*", re.MULTILINE)
_DECLARATION = Declaration(
    head=re.compile(
        rb"\s*(?:static\s+)?const\s+uint(?:8|16|32|64)_t\s+[A-Za-z_]\w*"
        rb"\[(?P<count>\d{1,9})\](?:\[(?P<limbs>\d{1,4})\])?\s*=\s*\{"
    ),
    closing=b"}",
    tail=re.compile(rb"\s*;\s*"),
    allowed="a C header with one array of const uint8_t .. uint64_t",
)
_CONSTANTS = Items(re.compile(rb"0[xX](\w+)"), 16, "words as hexadecimal constants (0x2a)")


def write_c(words: Words, name: str) -> bytes:
    """``<NAME>_COUNT``, ``<NAME>_BITS`` and the ``static const`` array ``<name>_words``.

    Raises:
        InputError: no word.
    """
    plain, bits, count = identifier(name), require_words(words, "a C header").word_bits, len(words)
    upper, limbs = plain.upper(), -(-bits // _LIMB_BITS)
    shape = f"[{count}]" if limbs == 1 else f"[{count}][{limbs}]"
    head = (
        f"#ifndef {upper}_WORDS_H\n#define {upper}_WORDS_H\n\n#include <stdint.h>\n\n"
        f"#define {upper}_COUNT {count}\n#define {upper}_BITS {bits}\n\n"
        f"static const uint{_type_bits(bits)}_t {plain}_words{shape} = {{\n"
    )
    body = lines(b"    0x", hexadecimal(words), b",\n") if limbs == 1 else _limb_lines(words.octets, limbs)
    return head.encode() + joined(body) + b"};\n\n#endif\n"


def _type_bits(word_bits: int) -> int:
    return next((bits for bits in (8, 16, 32) if word_bits <= bits), _LIMB_BITS)


def _limb_lines(octets: Octets, limbs: int) -> bytes:
    filled = np.zeros((len(octets), limbs * _LIMB_OCTETS), np.uint8)
    filled[:, : octets.shape[1]] = octets
    columns: list[bytes | Numerals] = [b"    {0x"]
    for limb in np.split(filled, limbs, axis=1):
        columns += [octet_digits(limb[:, ::-1].copy()), b", 0x"]
    return lines(*columns[:-1], b"},\n")


def read_c(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of a header with one array of unsigned integers, as hexadecimal constants.

    Raises:
        FileError: another declaration, other limbs than the words need, or another count of words than declared.
        InputError: a width outside 1..1024.
    """
    text, limbs = Text(data, source), -(-require_word_bits(word_bits) // _LIMB_BITS)
    bare = _DIRECTIVES.sub(blank, without_comments(text))
    head, where = _DECLARATION.match(text, bare)
    count = require_count(int(head["count"]), most_words(limit, len(data)), source)
    declared = int(head["limbs"] or 1)
    if declared != limbs:
        raise FileError(f"{source}: limbs of a word of {word_bits} bits must be {limbs}, not {declared}")
    items = _CONSTANTS if head["limbs"] is None else _limb_items(limbs)
    return items.read(text, bare[where], where.start, count, word_bits)


def _limb_items(limbs: int) -> Items:
    row = rb"\{\s*" + rb"\s*,\s*".join([rb"0[xX](\w{16})"] * limbs) + rb"\s*\}"
    return Items(re.compile(row), 16, f"words as {limbs} limbs of 16 digits", re.compile(rb"(?<=\}),"))


C = Encoding("c", ".h", write_c, read_c)
