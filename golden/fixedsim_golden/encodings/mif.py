"""MIF: the memory initialization file of Intel's (Altera's) block memories."""

import re
from dataclasses import dataclass, field
from itertools import cycle, islice, repeat

import numpy as np

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import (
    Encoding,
    ReadWords,
    Text,
    most_words,
    placed,
    require_count,
    require_words,
)
from fixedsim_golden.encodings.numerals import Numerals, hexadecimal, lines, octet_digits, read_tokens
from fixedsim_golden.encodings.source_text import blank
from fixedsim_golden.encodings.words import Words, require_word_bits

_RADIXES = {b"HEX": 16, b"BIN": 2, b"OCT": 8, b"DEC": 10, b"UNS": 10}
_NUMBER, _RADIX = re.compile(rb"\d{1,9}\Z"), re.compile(rb"(?:HEX|BIN|OCT|DEC|UNS)\Z")
_VALUES = {b"WIDTH": _NUMBER, b"DEPTH": _NUMBER, b"ADDRESS_RADIX": _RADIX, b"DATA_RADIX": _RADIX}
_COMMENT = re.compile(rb"--[^\n]*|%[^%]*(?:%|\Z)")
_SETTING = re.compile(rb"\s*(\w+)\s*=\s*(\w{1,9})\s*;")
_BEGIN = re.compile(rb"\s*CONTENT\s+BEGIN\b", re.IGNORECASE)
_END = re.compile(rb"\s*END\s*;\s*\Z", re.IGNORECASE)
_STATEMENT = re.compile(rb"\s*(?:(\w{1,64})|\[\s*(\w{1,64})\s*\.\.\s*(\w{1,64})\s*\])\s*:([^;:\[\]]*);")


def write_mif(words: Words, name: str) -> bytes:
    """Radix HEX for addresses and data, one ``address : word;`` a line; ``name`` does not stand in the file.

    Raises:
        InputError: no word.
    """
    count = len(require_words(words, "a MIF file"))
    head = f"WIDTH={words.word_bits};\nDEPTH={count};\n\nADDRESS_RADIX=HEX;\nDATA_RADIX=HEX;\n\nCONTENT BEGIN\n"
    body = lines(b"    ", _addresses(count), b" : ", hexadecimal(words), b";\n")
    return head.encode() + body + b"END;\n"


def _addresses(count: int) -> Numerals:
    octets = np.arange(count, dtype=">u4").view(np.uint8).reshape(count, 4)
    digits = octet_digits(octets)
    return digits[:, digits.shape[1] - max(1, -(-(count - 1).bit_length() // 4)) :]


def read_mif(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of a MIF file of any radix; addresses ascend, and words that none sets are missing.

    ``[first..last] : words;`` repeats its words. Radix DEC takes negative words as two's complement.

    Raises:
        FileError: a setting that is missing, given twice or unknown, another WIDTH, a DEPTH beyond the limit, a
            statement that is none, or an address that does not ascend or is not below DEPTH.
        InputError: a width outside 1..1024.
    """
    text, bits = Text(data, source), require_word_bits(word_bits)
    bare = _without_comments(text)
    settings, start = _read_settings(text, bare)
    if settings.width != bits:
        raise FileError(f"{source}: WIDTH must be {bits}, not {settings.width}")
    depth = require_count(settings.depth, most_words(limit, len(data)), source)
    content = _read_content(text, bare, start, settings)

    def wrong(index: int) -> FileError:
        return text.wrong(content.offsets[index], f"words of radix {settings.data_radix}", content.tokens[index])

    read = read_tokens(content.tokens, settings.data_radix, bits, wrong, signed=settings.signed)
    return placed(read, np.array(content.places, np.int64), depth)


def _without_comments(text: Text) -> bytes:
    for match in _COMMENT.finditer(text.data):
        if match[0].startswith(b"%") and (len(match[0]) < 2 or not match[0].endswith(b"%")):
            raise text.wrong(match.start(), "a comment that ends in %", match[0])
    return _COMMENT.sub(blank, text.data)


@dataclass(frozen=True, slots=True)
class _Settings:
    width: int  # bits
    depth: int  # words
    address_radix: int
    data_radix: int
    signed: bool  # whether data are two's complement


def _read_settings(text: Text, bare: bytes) -> tuple[_Settings, int]:
    """What stands before the content, and where the content starts."""
    given = dict[bytes, bytes]()
    place = 0
    while match := _SETTING.match(bare, place):
        key = match[1].upper()
        if key not in _VALUES or key in given:
            raise text.wrong(match.start(1), "one each of WIDTH, DEPTH, ADDRESS_RADIX and DATA_RADIX", match[1])
        given[key] = match[2].upper()
        if not _VALUES[key].match(given[key]):
            raise text.wrong(match.start(2), f"a value of {key.decode()}", match[2])
        place = match.end()
    begin = _BEGIN.match(bare, place)
    if begin is None or b"WIDTH" not in given or b"DEPTH" not in given:
        raise text.lacks("a MIF file with WIDTH, DEPTH and CONTENT BEGIN")
    address, data = given.get(b"ADDRESS_RADIX", b"HEX"), given.get(b"DATA_RADIX", b"HEX")
    numbers = int(given[b"WIDTH"]), int(given[b"DEPTH"])
    return _Settings(*numbers, _RADIXES[address], _RADIXES[data], data == b"DEC"), begin.end()


@dataclass(frozen=True, slots=True)
class _Content:
    places: list[int] = field(default_factory=list)  # the address of each word
    tokens: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # where its statement starts in the file

    def add(self, places: range, tokens: list[bytes], offset: int) -> None:
        """Set the words at ``places``, from the first of ``tokens`` again after the last."""
        self.places.extend(places)
        self.tokens.extend(islice(cycle(tokens), len(places)))
        self.offsets.extend(repeat(offset, len(places)))


def _read_content(text: Text, bare: bytes, start: int, settings: _Settings) -> _Content:
    content = _Content()
    while match := _STATEMENT.match(bare, start):
        tokens, start = match[4].split(), match.end()
        places = _places(match, len(tokens), settings.address_radix)
        after = content.places[-1] + 1 if content.places else 0
        if not places or not after <= places[0] <= places[-1] < settings.depth:
            allowed = f"words at ascending addresses in {after}..{settings.depth - 1}"
            raise text.wrong(match.start(4), allowed, match[0].strip())
        content.add(places, tokens, match.start(4))
    if not _END.match(bare, start):
        raise text.wrong(start, "address : words; or the last END;", bare[start:].lstrip())
    return content


def _places(match: re.Match[bytes], count: int, radix: int) -> range:
    """The addresses of the words of a statement, none where it has no words or its addresses are no numbers."""
    try:
        first = int(match[1] or match[2], radix)
        after = first + count if match[1] else int(match[3], radix) + 1
    except ValueError:
        return range(0)
    return range(first, after if count else first)


MIF = Encoding("mif", ".mif", write_mif, read_mif)
