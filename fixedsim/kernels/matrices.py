"""Products of bytes by the matrix registers of x86 (AMX), for batches; see :mod:`fixedsim.kernels.tiles` for panels.

A register holds 16 lines of a panel, or 64 codes of each of 16 vectors. One instruction multiplies the two, which makes
a block of 32 vectors and 32 rows several times as quick as the vector registers make it. Linux grants their use to a
process that asks. What is not there is not compiled, and :func:`permitted` then says 0.
"""

import platform
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import signature

from fixedsim.kernels.compilation import compiled, cpu_features
from fixedsim.kernels.vector import element_pointer, operation, prefetch_write

Panels = npt.NDArray[np.integer[Any]]  # uint8
Codes = npt.NDArray[np.integer[Any]]  # int8
Words = npt.NDArray[np.int32]

GROUP = 16  # vectors, rows or lines of a register
LINE = 64  # bytes of a line
TILE = GROUP * LINE  # bytes of a register
AVAILABLE = "amx-int8" in cpu_features() and platform.system() == "Linux"
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18  # a system call of x86-64, and its arguments

_I8, _I16, _I64 = (ir.IntType(bits) for bits in (8, 16, 64))
_POINTER = _I8.as_pointer()
_SUMS, _CODES, _WEIGHTS = 0, 4, 6  # the registers: four, two, two


def _call(builder: Any, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _register(value: int) -> Any:
    return ir.Constant(_I8, value)


@operation(lambda: 0)
def permitted(typingctx: Any) -> Any:
    """Ask for the matrix registers; 1 where the process may use them, else 0."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not AVAILABLE:
            return _number(0)
        kind = ir.FunctionType(_I64, [_I64], var_arg=True)
        ask = cgutils.get_or_insert_function(builder.module, kind, "syscall")  # of the C library
        refused = builder.call(ask, [_number(_ARCH_PRCTL), _number(_REQUEST_PERMISSION), _number(_TILE_DATA)])
        return builder.zext(builder.icmp_signed("==", refused, _number(0)), _I64)

    return signature(types.int64), code


def _nothing(*arguments: Any) -> None:
    raise NotImplementedError  # permitted() says that there are none


@operation(_nothing)
def configure(typingctx: Any) -> Any:
    """Shape the registers."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if AVAILABLE:
            kind = ir.ArrayType(_I8, LINE)
            place = builder.bitcast(cgutils.alloca_once_value(builder, ir.Constant(kind, bytearray(LINE))), _POINTER)
            _put(builder, place, 0, _register(1))  # the palette
            for register in range(8):
                _put(builder, place, 16 + 2 * register, ir.Constant(_I16, LINE))
                _put(builder, place, 48 + register, _register(GROUP))
            _call(builder, "ldtilecfg", place)
        return context.get_dummy_value()

    return signature(types.void), code


def _put(builder: Any, place: Any, offset: int, value: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(place, [_number(offset)]), value.type.as_pointer()), align=1)


@operation(_nothing)
def release(typingctx: Any) -> Any:
    """Give the registers back."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if AVAILABLE:
            _call(builder, "tilerelease")
        return context.get_dummy_value()

    return signature(types.void), code


def _block(groups: int, panels: int) -> Any:
    """``block(panels, place, stride, codes, first, width, steps, out, corner, pitch)``: add products to sums.

    ``groups`` of 16 vectors start at code ``first``, ``width`` apart, and ``panels`` panels at byte ``place``,
    ``stride`` apart; of each, ``steps`` registers follow one another. The sums of vector m and row r stand at
    ``out[corner + m * pitch + r]``.
    """

    def generate(
        typingctx: Any,
        weights: Any,
        place: Any,
        stride: Any,
        codes: Any,
        first: Any,
        width: Any,
        steps: Any,
        out: Any,
        corner: Any,
        pitch: Any,
    ) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if AVAILABLE:
                _multiply(context, builder, sig, args, groups, panels)
            return context.get_dummy_value()

        size = types.int64
        return signature(types.void, weights, size, size, codes, size, size, size, out, size, size), code

    return operation(_nothing)(generate)


def _multiply(context: Any, builder: Any, sig: Any, args: Any, groups: int, panels: int) -> None:
    place, stride, first, width, steps, corner, pitch = (args[index] for index in (1, 2, 4, 5, 6, 8, 9))
    weights = element_pointer(context, builder, sig.args[0], args[0], place, _I8)
    codes = element_pointer(context, builder, sig.args[3], args[3], first, _I8)
    out = element_pointer(context, builder, sig.args[7], args[7], corner, _I8)
    bytes_apart = builder.mul(pitch, _number(4))
    blocks = [(group, panel) for group in range(groups) for panel in range(panels)]

    def sums(group: int, panel: int) -> tuple[Any, Any]:
        down = builder.mul(bytes_apart, _number(GROUP * group))
        return _register(_SUMS + 2 * group + panel), builder.gep(out, [builder.add(down, _number(LINE * panel))])

    for block in blocks:
        register, there = sums(*block)
        _call(builder, "tileloadd64", register, there, bytes_apart)
    with cgutils.for_range(builder, steps) as loop:
        for group in range(groups):
            across = builder.mul(loop.index, _number(LINE))
            there = builder.gep(codes, [builder.add(across, builder.mul(width, _number(GROUP * group)))])
            _call(builder, "tileloadd64", _register(_CODES + group), there, width)
        for panel in range(panels):
            down = builder.mul(loop.index, _number(TILE))
            there = builder.gep(weights, [builder.add(down, builder.mul(stride, _number(panel)))])
            _call(builder, "tileloadd64", _register(_WEIGHTS + panel), there, _number(LINE))
        for group, panel in blocks:
            registers = _SUMS + 2 * group + panel, _CODES + group, _WEIGHTS + panel
            _call(builder, "tdpbsud", *map(_register, registers))
    for block in blocks:
        register, there = sums(*block)
        _call(builder, "tilestored64", register, there, bytes_apart)


_block_2x2, _block_2x1, _block_1x2, _block_1x1 = (_block(*shape) for shape in ((2, 2), (2, 1), (1, 2), (1, 1)))


@compiled
def add_matrices(panels: Panels, lines: int, codes: Codes, out: Words, first: int, last: int, ahead: int) -> int:
    """Add to ``out`` (N, R) what panels ``first`` up to ``last`` of bytes give with groups of the ``codes`` (N, pitch).

    Return how many vectors were done: those of whole groups of 16. The registers must be permitted, the pitch a
    multiple of 64. Where the ``lines`` of a panel do not fill registers, the last one holds lines of what comes after
    it, and the codes there are zeros. Sums that stand ``ahead`` panels away are brought near, for they are next; with 0
    there are none.
    """
    done: int
    done = codes.shape[0] // GROUP * GROUP
    sums, vector_codes = (out.reshape(-1), out.shape[1]), (codes.reshape(-1), codes.shape[1])
    configure()
    add_blocks(panels, lines, vector_codes, sums, done, first, last, ahead)
    release()
    return done


@compiled
def add_blocks(
    panels: Panels,
    lines: int,
    codes: tuple[Codes, int],
    sums: tuple[Words, int],
    vectors: int,
    first: int,
    last: int,
    ahead: int,
) -> None:
    """Add what panels and vectors give, two by two where there are as many."""
    flat, width = codes
    out, pitch = sums
    stride, steps = lines * LINE, (lines + GROUP - 1) // GROUP
    for panel in range(first, last, 2):
        place = panel * stride
        for vector in range(0, vectors, 2 * GROUP):
            code, corner = vector * width, vector * pitch + panel * GROUP
            if ahead != 0:
                for coming in range(min(2 * GROUP, vectors - vector)):
                    there = corner + coming * pitch + ahead * GROUP
                    prefetch_write(out, there)
                    prefetch_write(out, there + GROUP)
            if vector + GROUP < vectors:
                if panel + 1 < last:
                    _block_2x2(panels, place, stride, flat, code, width, steps, out, corner, pitch)
                else:
                    _block_2x1(panels, place, stride, flat, code, width, steps, out, corner, pitch)
            elif panel + 1 < last:
                _block_1x2(panels, place, stride, flat, code, width, steps, out, corner, pitch)
            else:
                _block_1x1(panels, place, stride, flat, code, width, steps, out, corner, pitch)
