"""Damaged copies of files, the same in every run for a seed."""

import random
import struct
from collections.abc import Callable

BYTES = (0x00, 0xFF, 0x7F, 0x80)
BOUNDARIES = (
    0,
    1,
    2,
    2**7,
    2**8 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
LONGEST = 64  # bytes that one mutation takes, gives or repeats
MOST = 4  # mutations of one file


def mutated(data: bytes, seed: int) -> bytes:
    """``data`` after 1 to 4 mutations of kinds and places that ``seed`` chooses."""
    chooser = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chooser.randint(1, MOST)):
        chooser.choice(MUTATIONS)(changed, chooser)
    return bytes(changed)


def _flip_bit(data: bytearray, chooser: random.Random) -> None:
    if data:
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)


def _set_byte(data: bytearray, chooser: random.Random) -> None:
    if data:
        data[chooser.randrange(len(data))] = chooser.choice(BYTES)


def _truncate(data: bytearray, chooser: random.Random) -> None:
    del data[chooser.randint(0, len(data)) :]


def _insert(data: bytearray, chooser: random.Random) -> None:
    place = chooser.randint(0, len(data))
    data[place:place] = chooser.randbytes(chooser.randint(1, LONGEST))


def _delete(data: bytearray, chooser: random.Random) -> None:
    place = chooser.randint(0, len(data))
    del data[place : place + chooser.randint(1, LONGEST)]


def _repeat(data: bytearray, chooser: random.Random) -> None:
    start, place = chooser.randint(0, len(data)), chooser.randint(0, len(data))
    data[place:place] = data[start : start + chooser.randint(1, LONGEST)]


def _set_integer(data: bytearray, chooser: random.Random) -> None:
    form = chooser.choice(("<I", "<Q"))
    size = struct.calcsize(form)
    if len(data) >= size:
        place = chooser.randint(0, len(data) - size)
        struct.pack_into(form, data, place, chooser.choice(BOUNDARIES) % (1 << 8 * size))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bit,
    _set_byte,
    _truncate,
    _insert,
    _delete,
    _repeat,
    _set_integer,
)
