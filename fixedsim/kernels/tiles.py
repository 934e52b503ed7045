"""Tiles: the sums of products of a few panels of weights with a few vectors of codes, held in registers.

A panel is sixteen rows of a weight matrix, cut along its columns into lines of 64 bytes. A line gives each row as many
neighbouring columns as 32 bits hold, its lane: 4 weights of 8 bits, unsigned, or 2 of 16 bits, signed. Weights of 4,
2 and 1 bits stand packed: a line then holds 2, 4 or 8 lines of bytes, the first in the lowest bits of each byte.
Vectors are signed codes, of 8 bits where the weights are bytes and else of 16.

``tile_PxM(panels, place, stride, codes, first, width, lines, out, corner, pitch, step, halves, coming, ahead, pace)``
adds to the int32 ``out[corner + m * pitch + 16 * p + row]``, modulo 2**32, ``step`` times the sum of the products of
panel ``p`` and vector ``m`` over ``lines`` lines. Panels start at element ``place`` of the flat array, ``stride``
apart, vectors at ``first``, ``width`` apart. With ``halves`` 1, two vectors are the lower and the upper bytes of one:
what the odd ones add is taken 256 times, to the place of the one before, and ``m`` counts pairs. With each line, it
prefetches ``pace`` bytes of ``coming`` from element ``ahead`` on, for the tile that comes next. No index is checked.
``tile_PxM_B`` does it for weights of B bits.

An instruction of x86 is used only where Numba compiles for a CPU that has it: another would abort the process. With
``NUMBA_DISABLE_JIT=1`` the same functions work on NumPy arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import signature

from fixedsim.kernels.compilation import cpu_features
from fixedsim.kernels.vector import LANES, element_pointer, operation, prefetched, splatted

LINE = 64  # bytes
LANE = 4

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_WORDS = ir.VectorType(_I32, LANES)
_SHORTS = ir.VectorType(_I16, 2 * LANES)

Array = npt.NDArray[Any]
Dot = Callable[[Any, Any, Any, Any], Any]  # builder, sums, weights, codes -> sums, all vectors of sixteen words


@dataclass(frozen=True)
class Shape:
    """A tile of ``panels`` panels and ``vectors`` vectors with weights of ``bits`` bits (8 stands for 16 too).

    ``chains`` lines at a time are added to sums of their own, where a small tile would wait for each sum.
    """

    panels: int
    vectors: int
    bits: int = 8
    chains: int = 1

    @property
    def groups(self) -> int:
        """Lines of bytes that a line holds."""
        return 8 // self.bits


def unpacked(lines: Array, bits: int) -> Array:
    """Return lines ``(..., 64)`` of weights of ``bits`` bits as the lines of bytes ``(..., 8 // bits, 64)``."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return (lines[..., None, :] >> shifts) & np.uint8((1 << bits) - 1)


def _twin(shape: Shape) -> Callable[..., None]:
    def tile(
        panels: Array,
        place: int,
        stride: int,
        codes: Array,
        first: int,
        width: int,
        lines: int,
        out: Array,
        corner: int,
        pitch: int,
        step: int,
        halves: int,
        coming: Array,
        ahead: int,
        pace: int,
    ) -> None:
        lane, line = LANE // panels.itemsize, LINE // panels.itemsize
        vectors, sums = codes.reshape(-1), out.reshape(-1)
        for panel in range(shape.panels):
            start = place + panel * stride
            held: Array = panels[start : start + lines * line].reshape(lines, line)
            held = unpacked(held, shape.bits) if shape.groups > 1 else held
            weights = held.reshape(-1, LANES, lane).astype(np.int64)
            for vector in range(shape.vectors):
                begin, there = first + vector * width, corner + (vector >> halves) * pitch + LANES * panel
                read = vectors[begin : begin + lines * shape.groups * lane].reshape(-1, lane).astype(np.int64)
                added = (step << 8 * (vector & halves)) * np.einsum("krc,kc->r", weights, read)
                sums[there : there + LANES] += added.astype(np.int32)

    return tile


def _intrinsic(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """LLVM: a call of one of its intrinsics."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _halves(builder: Any, vector: Any) -> list[Any]:
    """LLVM: the lower and the upper half of a vector."""
    half = vector.type.count // 2
    positions = (range(half), range(half, 2 * half))
    undefined, kind = ir.Constant(vector.type, ir.Undefined), ir.VectorType(_I32, half)
    return [builder.shuffle_vector(vector, undefined, ir.Constant(kind, list(each))) for each in positions]


def _joined(builder: Any, lower: Any, upper: Any) -> Any:
    """LLVM: two vectors as one."""
    count = 2 * lower.type.count
    return builder.shuffle_vector(lower, upper, ir.Constant(ir.VectorType(_I32, count), list(range(count))))


def _whole(name: str) -> Dot:
    """An instruction that adds to sixteen sums."""
    return lambda builder, sums, weights, codes: _intrinsic(builder, name, _WORDS, sums, weights, codes)


def _halved(name: str) -> Dot:
    """An instruction that adds to eight sums."""
    kind = ir.VectorType(_I32, LANES // 2)

    def dot(builder: Any, *operands: Any) -> Any:
        pairs = zip(*(_halves(builder, operand) for operand in operands), strict=True)
        return _joined(builder, *(_intrinsic(builder, name, kind, *half) for half in pairs))

    return dot


def _added(multiply: Callable[[Any, Any, Any], Any]) -> Dot:
    """The sums of products of neighbours, then an addition."""
    return lambda builder, sums, weights, codes: builder.add(sums, multiply(builder, weights, codes))


def _pairs_512(builder: Any, weights: Any, codes: Any) -> Any:
    operands = (builder.bitcast(each, _SHORTS) for each in (weights, codes))
    return _intrinsic(builder, "llvm.x86.avx512.pmaddw.d.512", _WORDS, *operands)


def _pairs_256(builder: Any, weights: Any, codes: Any) -> Any:
    words, shorts = ir.VectorType(_I32, LANES // 2), ir.VectorType(_I16, LANES)
    operands = zip(*(_halves(builder, each) for each in (weights, codes)), strict=True)
    casts = ((builder.bitcast(each, shorts) for each in half) for half in operands)
    return _joined(builder, *(_intrinsic(builder, "llvm.x86.avx2.pmadd.wd", words, *half) for half in casts))


def _pairs_plain(builder: Any, weights: Any, codes: Any) -> Any:
    """LLVM: each word's lower 16 bits multiplied, and its upper ones, added up modulo 2**32."""
    half = ir.Constant(_WORDS, [16] * LANES)
    lower = [builder.ashr(builder.shl(each, half), half) for each in (weights, codes)]
    upper = [builder.ashr(each, half) for each in (weights, codes)]
    return builder.add(builder.mul(*lower), builder.mul(*upper))


def _pairs(features: frozenset[str]) -> Callable[[Any, Any, Any], Any]:
    if "avx512bw" in features:
        return _pairs_512
    return _pairs_256 if "avx2" in features else _pairs_plain


def _dot_shorts(features: frozenset[str]) -> Dot:
    """Two products a word of 16-bit weights and codes."""
    if "avx512vnni" in features:
        return _whole("llvm.x86.avx512.vpdpwssd.512")
    if "avxvnni" in features:
        return _halved("llvm.x86.avx512.vpdpwssd.256")
    return _added(_pairs(features))


def _bytes(multiply: Callable[[Any, Any, Any], Any]) -> Dot:
    """Bytes as 16-bit operands: the even ones, then the odd ones."""

    def dot(builder: Any, sums: Any, weights: Any, codes: Any) -> Any:
        eight, low = ir.Constant(_SHORTS, [8] * 2 * LANES), ir.Constant(_SHORTS, [255] * 2 * LANES)
        left, right = (builder.bitcast(each, _SHORTS) for each in (weights, codes))
        even = builder.and_(left, low), builder.ashr(builder.shl(right, eight), eight)
        odd = builder.lshr(left, eight), builder.ashr(right, eight)
        for pair in (even, odd):
            sums = builder.add(sums, multiply(builder, *(builder.bitcast(each, _WORDS) for each in pair)))
        return sums

    return dot


def _dot_bytes(features: frozenset[str]) -> Dot:
    """Four products a word of unsigned 8-bit weights and signed 8-bit codes."""
    if "avx512vnni" in features:
        return _whole("llvm.x86.avx512.vpdpbusd.512")
    if "avxvnni" in features:
        return _halved("llvm.x86.avx512.vpdpbusd.256")
    return _bytes(_pairs(features))


class _Emitter:
    """Writes the code of one tile."""

    def __init__(self, builder: Any, shape: Shape, dot: Dot, places: dict[str, Any]) -> None:
        self.builder = builder
        self.shape = shape
        self.dot = dot
        self.places = places  # bytes: of the first panel, between panels, ...

    def at(self, base: str, *offsets: tuple[Any, Any]) -> Any:
        """The address of a base plus each offset times its count."""
        address = self.places[base]
        for count, size in offsets:
            size = self.places[size] if isinstance(size, str) else ir.Constant(_I64, size)
            count = ir.Constant(_I64, count) if isinstance(count, int) else count
            address = self.builder.add(address, self.builder.mul(count, size))
        return address

    def load(self, address: Any, kind: Any) -> Any:
        return self.builder.load(self.builder.inttoptr(address, kind.as_pointer()), align=1)

    def prefetch(self, line: Any) -> None:
        pointer = self.builder.inttoptr(self.at("ahead", (line, "pace")), _I8.as_pointer())
        prefetched(self.builder, pointer)

    def group(self, line: Any, group: int) -> Any:
        """The weights of one of the groups of a line, as bytes."""
        mask = ((1 << self.shape.bits) - 1) * 0x01010101
        shifted = self.builder.lshr(line, ir.Constant(_WORDS, [group * self.shape.bits] * LANES)) if group else line
        return self.builder.and_(shifted, ir.Constant(_WORDS, [mask] * LANES)) if self.shape.groups > 1 else shifted

    def line(self, number: Any, sums: list[Any]) -> list[Any]:
        """The sums after one more line of each panel; those of one vector follow each other."""
        shape, groups = self.shape, self.shape.groups
        lines = [
            self.load(self.at("panels", (panel, "stride"), (number, LINE)), _WORDS) for panel in range(shape.panels)
        ]
        self.prefetch(number)
        sums = list(sums)
        for group in range(groups):
            weights = [self.group(line, group) for line in lines]
            for vector in range(shape.vectors):
                place = self.at("codes", (vector, "width"), (number, groups * LANE), (group, LANE))
                code = splatted(self.builder, self.load(place, _I32))
                for panel, weight in enumerate(weights):
                    index = vector * shape.panels + panel
                    sums[index] = self.dot(self.builder, sums[index], weight, code)
        return sums

    def loop(self, first: Any, end: Any, chains: int, sums: list[list[Any]]) -> list[list[Any]]:
        """The sums of each chain after the lines from ``first`` to ``end``, which is a multiple of ``chains`` away."""
        builder, before = self.builder, self.builder.block
        body, after = builder.append_basic_block("lines"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", first, end), body, after)
        builder.position_at_end(body)
        number = builder.phi(_I64)
        number.add_incoming(first, before)
        held = [[builder.phi(_WORDS) for _ in chain] for chain in sums]
        added = [self.line(builder.add(number, ir.Constant(_I64, at)), chain) for at, chain in enumerate(held)]
        following = builder.add(number, ir.Constant(_I64, chains))
        last = builder.block
        number.add_incoming(following, last)
        for chain, begin, new in zip(held, sums, added, strict=True):
            for phi, value, value_after in zip(chain, begin, new, strict=True):
                phi.add_incoming(value, before)
                phi.add_incoming(value_after, last)
        builder.cbranch(builder.icmp_signed("<", following, end), body, after)
        builder.position_at_end(after)
        return [self._either(begin, new, before, last) for begin, new in zip(sums, added, strict=True)]

    def _either(self, begin: list[Any], new: list[Any], before: Any, last: Any) -> list[Any]:
        found = []
        for value, value_after in zip(begin, new, strict=True):
            phi = self.builder.phi(_WORDS)
            phi.add_incoming(value, before)
            phi.add_incoming(value_after, last)
            found.append(phi)
        return found

    def write(self, lines: Any, step: Any, halves: Any) -> None:
        """All of the tile."""
        shape, builder = self.shape, self.builder
        zero, chains = ir.Constant(_WORDS, [0] * LANES), shape.chains
        sums = [[zero] * (shape.panels * shape.vectors) for _ in range(chains)]
        start, whole = ir.Constant(_I64, 0), lines
        if chains > 1:
            whole = builder.and_(lines, ir.Constant(_I64, -chains))
            sums = self.loop(start, whole, chains, sums)
            start = whole
        (first,) = self.loop(start, lines, 1, sums[:1])
        for other in sums[1:]:
            first = [builder.add(*pair) for pair in zip(first, other, strict=True)]
        for vector in range(shape.vectors):
            number = ir.Constant(_I64, vector)
            odd = builder.trunc(builder.and_(number, halves), _I32)
            factor = splatted(builder, builder.shl(step, builder.mul(odd, ir.Constant(_I32, 8))))
            for panel in range(shape.panels):
                address = self.at("out", (builder.lshr(number, halves), "pitch"), (panel, LINE))
                pointer = builder.inttoptr(address, _WORDS.as_pointer())
                product = builder.mul(first[vector * shape.panels + panel], factor)
                builder.store(builder.add(builder.load(pointer, align=1), product), pointer, align=1)


_PLACES = ("panels", "stride", "codes", "width", "out", "pitch", "ahead", "pace")  # addresses and distances in bytes
_COUNTS = ("lines", "step", "halves")


def _function(module: Any, shape: Shape, size: int) -> Any:
    """LLVM: the function of a tile, one for all its callers: copies of it would only take time to compile."""
    name = f"fixedsim_tile_{shape.panels}x{shape.vectors}_{shape.bits * size}"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [_I64] * len(_PLACES + _COUNTS))
    function = ir.Function(module, kind, name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    values = dict(zip(_PLACES + _COUNTS, function.args, strict=True))
    dot = (_dot_bytes if size == 1 else _dot_shorts)(cpu_features())
    _Emitter(builder, shape, dot, values).write(values["lines"], builder.trunc(values["step"], _I32), values["halves"])
    builder.ret_void()
    return function


def _tile(panels: int, vectors: int, bits: int = 8, chains: int = 1) -> Any:
    shape = Shape(panels, vectors, bits, chains)

    def generate(
        typingctx: Any,
        panels: Any,
        place: Any,
        stride: Any,
        codes: Any,
        first: Any,
        width: Any,
        lines: Any,
        out: Any,
        corner: Any,
        pitch: Any,
        step: Any,
        halves: Any,
        coming: Any,
        ahead: Any,
        pace: Any,
    ) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            def address(array: int, offset: int) -> Any:
                pointer = element_pointer(context, builder, sig.args[array], args[array], args[offset], _I8)
                return builder.ptrtoint(pointer, _I64)

            def scaled(count: int, size: int) -> Any:
                return builder.mul(args[count], ir.Constant(_I64, size))

            size = sig.args[0].dtype.bitwidth // 8
            panels = address(0, 1), scaled(2, size)
            read = address(3, 4), scaled(5, size)
            written = address(7, 8), scaled(9, 4)
            function = _function(builder.module, shape, size)
            ahead = address(12, 13), args[14]
            builder.call(function, [*panels, *read, *written, *ahead, args[6], args[10], args[11]])
            return context.get_dummy_value()

        count = types.intp
        matrix, vectors, target = (panels, count, count), (codes, count, count), (out, count, count)
        return signature(types.void, *matrix, *vectors, count, *target, count, count, coming, count, count), code

    return operation(_twin(shape))(generate)


def _unpacker(bits: int) -> Any:
    """``unpack_B(panels, place, lines, out, there)``: write lines of packed weights as lines of bytes."""

    def twin(panels: Array, place: int, lines: int, out: Array, there: int) -> None:
        packed = panels[place : place + lines * LINE].reshape(lines, LINE)
        found = unpacked(packed, bits).reshape(-1)
        out[there : there + len(found)] = found

    def generate(typingctx: Any, panels: Any, place: Any, lines: Any, out: Any, there: Any) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            source = element_pointer(context, builder, sig.args[0], args[0], args[1], _WORDS)
            target = element_pointer(context, builder, sig.args[3], args[3], args[4], _WORDS)
            emitter = _Emitter(builder, Shape(1, 1, bits), _dot_bytes(cpu_features()), {})
            with cgutils.for_range(builder, args[2]) as loop:
                line = builder.load(builder.gep(source, [loop.index]), align=1)
                first = builder.mul(loop.index, ir.Constant(_I64, 8 // bits))
                for group in range(8 // bits):
                    place = builder.gep(target, [builder.add(first, ir.Constant(_I64, group))])
                    builder.store(emitter.group(line, group), place, align=1)
            return context.get_dummy_value()

        return signature(types.void, panels, types.intp, types.intp, out, types.intp), code

    return operation(twin)(generate)


unpack_4 = _unpacker(4)
unpack_2 = _unpacker(2)
unpack_1 = _unpacker(1)
tile_4x4 = _tile(4, 4)
tile_4x3 = _tile(4, 3)
tile_4x2 = _tile(4, 2)
tile_4x1 = _tile(4, 1)
tile_1x4 = _tile(1, 4)
tile_1x1 = _tile(1, 1, chains=4)
tile_4x1_4 = _tile(4, 1, 4)
tile_1x1_4 = _tile(1, 1, 4, chains=2)
tile_4x1_2 = _tile(4, 1, 2)
tile_1x1_2 = _tile(1, 1, 2)
tile_4x1_1 = _tile(4, 1, 1)
tile_1x1_1 = _tile(1, 1, 1)
