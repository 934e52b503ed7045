"""Source text: names, comments and lists of numerals in C, SystemVerilog and VHDL."""

import re
from dataclasses import dataclass

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import ReadWords, Text
from fixedsim_golden.encodings.numerals import read_tokens

COMMA = re.compile(rb",")
_SLASHES = re.compile(rb"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_DASHES = re.compile(rb"--[^\n]*")
_NOT_NAME = re.compile(r"[^a-z0-9]+")
_VISIBLE = re.compile(rb"[^\n]")


def identifier(name: str) -> str:
    """``name`` in lower case as an identifier of all languages: what is no letter or digit becomes one underscore.

    It may be a keyword, and is therefore used with a suffix or in upper case.
    """
    plain = _NOT_NAME.sub("_", name.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"words_{plain}".strip("_")


def without_comments(text: Text) -> bytes:
    """The file with ``//`` and ``/* */`` comments blanked, of the same length and lines.

    Raises:
        FileError: a comment that does not end.
    """
    if b"/" not in text.data:
        return text.data
    for match in _SLASHES.finditer(text.data):
        if match[0].startswith(b"/*") and (len(match[0]) < 4 or not match[0].endswith(b"*/")):
            raise text.wrong(match.start(), "a comment that ends in */", match[0])
    return _SLASHES.sub(blank, text.data)


def without_dashes(text: Text) -> bytes:
    """The file with ``--`` comments blanked, of the same length and lines."""
    return _DASHES.sub(blank, text.data)


def blank(match: re.Match[bytes]) -> bytes:
    """Spaces in place of all characters of a match but the ends of lines."""
    return _VISIBLE.sub(b" ", match[0])


@dataclass(frozen=True, slots=True)
class Declaration:
    """The text around a list of numerals; ``head`` has a group ``count``."""

    head: re.Pattern[bytes]
    closing: bytes  # the last of this character ends the list
    tail: re.Pattern[bytes]  # all that stands after it
    allowed: str  # what the file must be, for messages

    def match(self, text: Text, bare: bytes) -> tuple[re.Match[bytes], slice]:
        """The head of a file without its comments, and where the list stands.

        Raises:
            FileError: the file starts or ends in another way.
        """
        head, end = self.head.match(bare), bare.rfind(self.closing)
        if head is None or end < head.end() or not self.tail.fullmatch(bare, end + 1):
            raise text.lacks(self.allowed)
        return head, slice(head.end(), end)


@dataclass(frozen=True, slots=True)
class Items:
    """How the items of a list stand in the text; the groups of ``item`` are digits, the lowest group first."""

    item: re.Pattern[bytes]
    radix: int
    allowed: str  # for messages
    separator: re.Pattern[bytes] = COMMA

    def read(self, text: Text, listed: bytes, start: int, count: int, word_bits: int) -> ReadWords:
        """The words of the ``count`` items of ``listed``, which stands at ``start`` of the file.

        Raises:
            FileError: something that is no item, or another number of items.
        """
        pieces = self.separator.split(listed)
        if len(pieces) != count:
            raise FileError(f"{text.source} must list the {count} words that it declares, not {len(pieces)}")

        def wrong(index: int) -> FileError:
            before = sum(len(piece) + 1 for piece in pieces[:index])
            indent = len(pieces[index]) - len(pieces[index].lstrip())
            return text.wrong(start + before + indent, self.allowed, pieces[index].strip())

        matches = [self.item.fullmatch(piece.strip()) for piece in pieces]
        if None in matches:
            raise wrong(matches.index(None))
        tokens = [b"".join(match.groups()[::-1]) for match in matches if match is not None]
        return read_tokens(tokens, self.radix, word_bits, wrong)
