"""Memory files: ``$readmemh`` and ``$readmemb`` text, and Vivado's ``.mem``.

What is written is one word a line, all its digits in lower case, ended by LF, so that the line is the address and
VHDL's ``hread`` can read it too; ``.mem`` starts with an ``@0`` line. What is read is whatever a simulator dumps:
comments, ``@address`` lines (hexadecimal, ascending), several words a line, underscores, upper case, CRLF, digits x, z.
"""

import re
from functools import partial
from itertools import islice, pairwise

import numpy as np

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import (
    Encoding,
    Places,
    ReadWords,
    Text,
    most_words,
    placed,
    require_count,
)
from fixedsim_golden.encodings.numerals import binary, digits_of, hexadecimal, lines, read_numerals, read_tokens
from fixedsim_golden.encodings.source_text import without_comments
from fixedsim_golden.encodings.words import Words

_START = b"@0\n"
_KINDS = {16: "words of hexadecimal digits", 2: "words of binary digits"}
_TOKEN = re.compile(rb"\S+")
_ADDRESS = re.compile(rb"@[0-9a-fA-F]{1,16}\Z")
_NUMERAL = np.zeros(256, np.bool_)  # what may stand in a word, underscores apart
_NUMERAL[list(b"0123456789abcdefABCDEFxXzZuUwW?lLhH-")] = True


def write_hex(words: Words, name: str) -> bytes:
    """One word of ``ceil(word_bits / 4)`` hexadecimal digits a line; ``name`` does not stand in the file."""
    return lines(hexadecimal(words), b"\n")


def write_bin(words: Words, name: str) -> bytes:
    """One word of ``word_bits`` binary digits a line; ``name`` does not stand in the file."""
    return lines(binary(words), b"\n")


def write_mem(words: Words, name: str) -> bytes:
    """A line ``@0`` and then the lines of :func:`write_hex`."""
    return _START + write_hex(words, name)


def read_memory(data: bytes, word_bits: int, source: str, *, limit: int | None = None, radix: int) -> ReadWords:
    """The words of a memory file of radix 16 or 2; see :class:`~fixedsim_golden.encodings.encoding.Read`.

    A numeral of fewer digits is filled with zeros at the top. Words that no line sets are missing.

    Raises:
        FileError: something else than words, addresses and comments, an address that does not ascend, or too many
            words.
        InputError: a width outside 1..1024.
    """
    most = most_words(limit, len(data))
    text = Text(data, source)
    regular = _regular(text, word_bits, most, radix)
    return _general(text, word_bits, most, radix) if regular is None else regular


def _regular(text: Text, word_bits: int, most: int, radix: int) -> ReadWords | None:
    """The words of lines of all digits and nothing else, or None."""
    data, digits = text.data.removeprefix(_START), digits_of(word_bits, radix)
    end = b"\r\n" if data[digits : digits + 1] == b"\r" else b"\n"
    whole = data if data.endswith(b"\n") else data + end
    size = digits + len(end)
    if len(whole) % size:
        return None
    table = np.frombuffer(whole, np.uint8).reshape(-1, size)
    numerals = table[:, :digits]
    if not (table[:, digits:] == np.frombuffer(end, np.uint8)).all() or not _NUMERAL[numerals].all():
        return None
    require_count(len(table), most, text.source)
    first = len(text.data) - len(data)

    def wrong(index: int) -> FileError:
        return text.wrong(first + index * size, _KINDS[radix], numerals[index].tobytes())

    return read_numerals(numerals, radix, word_bits, lambda index: numerals[index].tobytes(), wrong)


def _general(text: Text, word_bits: int, most: int, radix: int) -> ReadWords:
    bare = without_comments(text)
    tokens = bare.split()
    indices = [index for index, token in enumerate(tokens) if not token.startswith(b"@")]
    require_count(len(indices), most, text.source)
    places = _places(text, bare, tokens, most)

    def wrong(index: int) -> FileError:
        return _wrong_token(text, bare, indices[index], f"{_KINDS[radix]}, @addresses and // comments")

    read = read_tokens([tokens[index] for index in indices], radix, word_bits, wrong)
    return placed(read, places, int(places[-1]) + 1 if len(places) else 0)


def _places(text: Text, bare: bytes, tokens: list[bytes], most: int) -> Places:
    """The address of each word of ``tokens``."""
    marks = [index for index, token in enumerate(tokens) if token.startswith(b"@")]
    ends = [*marks, len(tokens)]
    starts, counts = [0], [ends[0]]
    for mark, following in pairwise(ends):
        after = starts[-1] + counts[-1]
        address = int(tokens[mark][1:], 16) if _ADDRESS.match(tokens[mark]) else -1
        if not after <= address <= most:
            raise _wrong_token(text, bare, mark, f"an ascending hexadecimal @address in {after:#x}..{most:#x}")
        starts.append(address)
        counts.append(following - mark - 1)
    require_count(starts[-1] + counts[-1], most, text.source)
    firsts = np.cumsum([0, *counts[:-1]])
    return np.repeat(np.array(starts, np.int64) - firsts, counts) + np.arange(sum(counts))


def _wrong_token(text: Text, bare: bytes, index: int, allowed: str) -> FileError:
    match = next(islice(_TOKEN.finditer(bare), index, None))
    return text.wrong(match.start(), allowed, match[0])


HEX = Encoding("hex", ".hex", write_hex, partial(read_memory, radix=16))
BIN = Encoding("bin", ".bin", write_bin, partial(read_memory, radix=2))
MEM = Encoding("mem", ".mem", write_mem, partial(read_memory, radix=16))
