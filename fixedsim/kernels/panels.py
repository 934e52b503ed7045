"""Products of whole matrices, tile by tile; see :mod:`fixedsim.kernels.tiles` for panels, lines and codes."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from fixedsim.kernels import tiles
from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.matrices import GROUP, add_matrices, permitted
from fixedsim.kernels.vector import LANES, lanes, splat32, store

Panels = npt.NDArray[np.integer[Any]]  # uint8 or int16
Codes = npt.NDArray[np.integer[Any]]  # int8 or int16
Words = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]
Block = tuple[int, int, int, int, int, int]
pasted = numba.njit(inline="always")  # into each caller, before anything is compiled: a part takes its time but once
_FEW = 2  # vectors up to which packed weights are unpacked for each
_NEAR = 1 << 18  # bytes of weights and sums that stay in the second cache while all vectors pass
_FAR = 1 << 20  # bytes of sums beyond which the second cache does not keep what the last call left
SCRATCH = 1 << 15  # bytes of four panels at a time, unpacked
_BLOCK = 128  # lines, unpacked, of four panels at a time: they stay in the first cache while every vector passes


@compiled
def multiply(
    bits: int,
    step: int,
    panels: Panels,
    codes: Codes,
    sums: Words,
    start: Words,
    out: Words,
    scratch: Panels,
    backward: bool,
) -> None:
    """Write ``out[n, r] = start[n, r] + sums[n] + step * sum of weight[r, k] * codes[n, k]``, modulo 2**32.

    Args:
        bits: of the weights as they stand in the panels: 16 (int16), or 8, 4, 2, 1 (uint8).
        step: what products are multiplied by.
        panels: the weights, all panels one after the other; of vectors of a multiple of 64 bytes, up to 1024 bytes more
            may be read.
        codes: ``(N, pitch)``, C-contiguous, zeros where a vector is shorter; or ``(2 N, pitch)``, the lower and the
            upper bytes of each vector. At least as many as the panels have weights.
        sums: ``(N,)``.
        start: ``(N, R)`` or, for all vectors, ``(1, R)``, C-contiguous; R is a multiple of 16.
        out: ``(N, R)``, C-contiguous; it may be ``start``.
        scratch: ``(SCRATCH,)`` where weights are packed, else anything of the panels' type.
        backward: take the last panels first. Where calls alternate, each begins with what the one before read last,
            which caches still hold.
    """
    count = out.shape[1] >> 4
    width = panels.size * max(8 // bits, 1) // max(out.shape[1], 1)
    lines = width * panels.itemsize >> 2
    few = bits < 8 and codes.shape[0] <= _FEW
    if few:
        begin(sums, start, out, 0, count)
        multiply_bytes(bits, step, panels, lines, codes, out, backward)
    elif fits_groups(bits, step, codes, out) and permitted() == 1:
        multiply_groups(panels, lines, codes, sums, start, out, backward)
    else:
        some = max(_NEAR // (64 * max(out.shape[0], 1)) & -4, 4)
        blocks = (count + some - 1) // some
        for block in range(blocks):
            first = (blocks - 1 - block if backward else block) * some
            last = min(first + some, count)
            begin(sums, start, out, first, last)
            multiply_lines(bits, step, panels, lines, codes, out, first, last, scratch, backward)


@inlined
def fits_groups(bits: int, step: int, codes: Codes, out: Words) -> bool:
    """Return whether the matrix registers can multiply: bytes, of enough vectors, each padded to whole registers."""
    whole = codes.shape[0] == out.shape[0] and codes.shape[1] & (GROUP * 4 - 1) == 0
    return bits == 8 and step == 1 and out.shape[0] >= GROUP and whole


@compiled
def multiply_groups(
    panels: Panels, lines: int, codes: Codes, sums: Words, start: Words, out: Words, backward: bool
) -> None:
    """Multiply bytes, by matrix registers but for the vectors after the last whole group."""
    count = out.shape[1] >> 4
    some = max(_NEAR // (lines * 64 + 64 * codes.shape[0]) & -4, 4)
    blocks = (count + some - 1) // some
    for block in range(blocks):
        first = (blocks - 1 - block if backward else block) * some
        last = min(first + some, count)
        begin(sums, start, out, first, last)
        ahead = 0 if out.nbytes <= _FAR or block + 1 == blocks else -some if backward else some
        done = add_matrices(panels, lines, codes, out, first, last, ahead)
        if done < codes.shape[0]:
            multiply_lines(8, 1, panels, lines, codes[done:], out[done:], first, last, panels, backward)


@pasted
def begin(sums: Words, start: Words, out: Words, first: int, last: int) -> None:
    """Write the start values and the sums of each vector to the rows of some panels of ``out``."""
    pitch = out.shape[1]
    source, target = start.reshape(-1), out.reshape(-1)
    away = pitch if start.shape[0] > 1 else 0
    for vector in range(out.shape[0]):
        added = splat32(sums[vector])
        for column in range(first * LANES, last * LANES, LANES):
            store(target, vector * pitch + column, lanes(source, vector * away + column) + added)


@pasted
def multiply_lines(
    bits: int,
    step: int,
    panels: Panels,
    lines: int,
    codes: Codes,
    out: Words,
    first: int,
    last: int,
    scratch: Panels,
    backward: bool,
) -> None:
    """Add what some panels give with all vectors, some lines of four panels at a time, unpacked first if need be."""
    line, groups = 64 // panels.itemsize, max(8 // bits, 1)
    stride, pace = lines // groups * line, 64 // groups
    dense = bits >= 8
    source = panels if dense else scratch
    between = stride if dense else _BLOCK * line
    final = (last - first - 1) & -4
    for position in range(0, last - first, 4):
        panel = first + (final - position if backward else position)
        coming = max(panel - 4, 0) if backward else panel + 4
        some = min(last - panel, 4)
        for begun in range(0, lines, _BLOCK):
            now = min(_BLOCK, lines - begun)
            place = panel * stride + begun // groups * line
            if not dense:
                unpack(bits, panels, place, stride, now // groups, some, source, between)
            ahead = place + now // groups * line if begun + now < lines else coming * stride
            block = place if dense else 0, between, begun * 4 // panels.itemsize, now, panel * 16, some
            add_block(step, source, codes, out, block, panels, (ahead, stride, pace))


@pasted
def add_block(
    step: int, panels: Panels, codes: Codes, out: Words, block: Block, coming: Panels, prefetch: tuple[int, int, int]
) -> None:
    """Add what some lines of up to four panels give with every vector.

    ``block`` are the place of the first panel, the stride between panels, the first code, the count of lines, the first
    row and the count of panels; ``prefetch`` where the block after it starts in ``coming``, the stride between its
    panels, and its bytes for each line.
    """
    place, stride, column, lines, corner, count = block
    ahead, away, pace = prefetch
    width, pitch, vectors = codes.shape[1], out.shape[1], codes.shape[0]
    halves = 1 if vectors > out.shape[0] else 0
    for vector in range(0, vectors, 4):
        near = ahead + min(vector >> 2, 3) * away
        row, there, rest = vector * width + column, (vector >> halves) * pitch + corner, vectors - vector
        if count < 4:
            add_narrow(step, panels, codes, out, block, vector)
        elif rest >= 4:
            tiles.tile_4x4(
                panels, place, stride, codes, row, width, lines, out, there, pitch, step, halves, coming, near, pace
            )
        elif rest == 3:
            tiles.tile_4x3(
                panels, place, stride, codes, row, width, lines, out, there, pitch, step, halves, coming, near, pace
            )
        elif rest == 2:
            tiles.tile_4x2(
                panels, place, stride, codes, row, width, lines, out, there, pitch, step, halves, coming, near, pace
            )
        else:
            tiles.tile_4x1(
                panels, place, stride, codes, row, width, lines, out, there, pitch, step, halves, coming, near, pace
            )


@pasted
def add_narrow(step: int, panels: Panels, codes: Codes, out: Words, block: Block, vector: int) -> None:
    """Add what some lines of fewer panels give with up to four vectors, one panel at a time."""
    place, stride, column, lines, corner, count = block
    width, pitch, vectors = codes.shape[1], out.shape[1], codes.shape[0]
    halves = 1 if vectors > out.shape[0] else 0
    for panel in range(count):
        begun, first = place + panel * stride, corner + panel * 16
        if vector + 4 <= vectors:
            row, there = vector * width + column, (vector >> halves) * pitch + first
            tiles.tile_1x4(
                panels, begun, 0, codes, row, width, lines, out, there, pitch, step, halves, panels, begun, 0
            )
            continue
        for single in range(vector, vectors):
            row, there, factor = (
                single * width + column,
                (single >> halves) * pitch + first,
                step << 8 * (single & halves),
            )
            tiles.tile_1x1(panels, begun, 0, codes, row, width, lines, out, there, pitch, factor, 0, panels, begun, 0)


def multiply_bytes(bits: int, step: int, panels: Panels, lines: int, codes: Codes, out: Words, backward: bool) -> None:
    """Add the products with weights of 4, 2 or 1 bits, which stand in bytes."""
    multiply_packed(bits, step, panels, lines, codes, out, backward)


@overload(multiply_bytes, strict=False)
def _compile_for_bytes(bits: Any, step: Any, panels: Any, lines: Any, codes: Any, out: Any, backward: Any) -> Any:
    """Compile nothing for panels of 16 bits, whose weights are never packed."""
    if panels.dtype == types.uint8:
        return lambda bits, step, panels, lines, codes, out, backward: multiply_packed(
            bits, step, panels, lines, codes, out, backward
        )
    return lambda bits, step, panels, lines, codes, out, backward: None


@compiled
def multiply_packed(bits: int, step: int, panels: Panels, lines: int, codes: Codes, out: Words, backward: bool) -> None:
    """Add the products with weights of 4, 2 or 1 bits, unpacked for each vector; ``lines`` are those of bytes."""
    packed, count = lines * bits >> 3, out.shape[1] >> 4
    halves, final = 1 if codes.shape[0] > out.shape[0] else 0, (count - 1) & -4
    for position in range(0, count, 4):
        panel = final - position if backward else position
        for vector in range(codes.shape[0]):
            place, factor = panel * packed * 64, step << 8 * (vector & halves)
            row, there = vector * codes.shape[1], (vector >> halves) * out.shape[1] + panel * 16
            add_packed(bits, factor, panels, codes, out, (place, row, packed, there, min(count - panel, 4)))


@pasted
def add_packed(
    bits: int, step: int, panels: Panels, codes: Codes, out: Words, block: tuple[int, int, int, int, int]
) -> None:
    """Add the products of one vector and up to four panels.

    ``block`` are the places of the first panel and of the vector, the count of lines, the place of the first sum and
    the count of panels.
    """
    place, row, lines, there, count = block
    stride = lines * 64
    if count == 4 and bits == 4:
        tiles.tile_4x1_4(panels, place, stride, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
    elif count == 4 and bits == 2:
        tiles.tile_4x1_2(panels, place, stride, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
    elif count == 4:
        tiles.tile_4x1_1(panels, place, stride, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
    else:
        for _ in range(count):
            if bits == 4:
                tiles.tile_1x1_4(panels, place, 0, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
            elif bits == 2:
                tiles.tile_1x1_2(panels, place, 0, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
            else:
                tiles.tile_1x1_1(panels, place, 0, codes, row, 0, lines, out, there, 0, step, 0, panels, place, 0)
            place += stride
            there += 16


@pasted
def unpack(
    bits: int, panels: Panels, place: int, stride: int, lines: int, count: int, scratch: Panels, between: int
) -> None:
    """Write ``lines`` lines of each of ``count`` panels of packed weights as lines of bytes."""
    for panel in range(count):
        begun, there = place + panel * stride, panel * between
        if bits == 4:
            tiles.unpack_4(panels, begun, lines, scratch, there)
        elif bits == 2:
            tiles.unpack_2(panels, begun, lines, scratch, there)
        else:
            tiles.unpack_1(panels, begun, lines, scratch, there)


@compiled
def join_halves(both: Words, step: int, sums: Words, start: Words, out: Words) -> None:
    """Write ``out`` (N, R) of what the lower and the upper bytes of each vector give, ``both`` (2 N, R).

    ``step``, ``sums`` (N,) and ``start`` (1, R) are those of :func:`multiply`; all is modulo 2**32.
    """
    source, first, target = both.reshape(-1), start.reshape(-1), out.reshape(-1)
    pitch, by, shift = out.shape[1], splat32(step), splat32(8)
    for vector in range(out.shape[0]):
        added = splat32(sums[vector])
        for row in range(0, pitch, LANES):
            place = 2 * vector * pitch + row
            value = lanes(source, place) + (lanes(source, place + pitch) << shift)
            store(target, vector * pitch + row, value * by + lanes(first, row) + added)


@compiled
def encode(inputs: Integers, offset: int, factor: int, codes: Codes, sums: Wide) -> None:
    """Write the codes ``inputs[n, k] - offset`` of each vector, then zeros, and to ``sums`` ``factor`` times their sum.

    With two vectors of codes for each input vector, the lower bytes come first, signed, then the upper ones.
    """
    columns = inputs.shape[1]
    parts = 2 if codes.shape[0] > inputs.shape[0] else 1
    for vector in range(inputs.shape[0]):
        source, target = inputs[vector], codes[parts * vector]
        if parts == 1:
            write_codes(source, offset, target)
        else:
            upper = codes[2 * vector + 1]
            write_halves(source, offset, target, upper)
            upper[columns:] = 0
        target[columns:] = 0
        sums[vector] = 0 if factor == 0 else factor * sum_codes(source, offset)


@inlined
def write_codes(source: Integers, offset: int, target: Codes) -> None:
    """Write the codes of one vector."""
    for column in range(len(source)):
        target[column] = int(source[column]) - offset


@inlined
def write_halves(source: Integers, offset: int, lower: Codes, upper: Codes) -> None:
    """Write the two bytes of each code of one vector."""
    for column in range(len(source)):
        code = int(source[column]) - offset
        low = ((code + 128) & 255) - 128
        lower[column] = low
        upper[column] = (code - low) >> 8


@inlined
def sum_codes(source: Integers, offset: int) -> int:
    """Return the sum of the codes of one vector."""
    total = np.int64(0)
    for column in range(len(source)):
        total += source[column]
    return int(total - len(source) * offset)


@compiled
def add_window(step: int, sums: Words, out: Wide) -> None:
    """Add to each vector of ``out`` (N, R) ``step`` times its ``sums`` (N, R); of (2 N, R), 256 times the odd ones."""
    halves = sums.shape[0] > out.shape[0]
    for vector in range(out.shape[0]):
        if halves:
            for row in range(out.shape[1]):
                both = sums[2 * vector, row] + (np.int64(sums[2 * vector + 1, row]) << 8)
                out[vector, row] += step * both
        else:
            for row in range(out.shape[1]):
                out[vector, row] += step * np.int64(sums[vector, row])
