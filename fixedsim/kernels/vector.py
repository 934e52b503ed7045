"""Sixteen integers at once: the lanes of vector registers, as values of kernels.

``int32x16`` and ``int64x16`` are Numba types with ``+ - * & | ^ << >>`` between values of one type, wrapping; there is
no augmented assignment, and shift counts must be below the width. A mask is a value whose lanes are 0 or -1, as
:func:`less` gives it. LLVM turns them into what the processor has: one or two registers with AVX-512, more with AVX2 or
NEON. Memory is read and written in blocks of :data:`LANES` elements of one-dimensional contiguous arrays, unchecked.

With ``NUMBA_DISABLE_JIT=1`` the same functions work on NumPy arrays of sixteen, bit for bit the same.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16

Lanes: TypeAlias = Any  # a value of either type
Block = npt.NDArray[np.integer[Any]]


class LanesType(types.Type):
    """The Numba type of sixteen integers of ``bits`` bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"int{bits}x{LANES}")

    @property
    def llvm(self) -> ir.VectorType:
        """The type in LLVM."""
        return ir.VectorType(ir.IntType(self.bits), LANES)


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """A value is one LLVM vector."""

    def __init__(self, manager: Any, kind: LanesType) -> None:
        super().__init__(manager, kind, kind.llvm)


int32x16 = LanesType(32)
int64x16 = LanesType(64)

_OPERATORS = {
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.and_: "and_",
    operator.or_: "or_",
    operator.xor: "xor",
    operator.lshift: "shl",
    operator.rshift: "ashr",
}


def _register(function: Callable[..., Any], instruction: str) -> None:
    class Between(AbstractTemplate):
        """Types ``value operator value`` of two values of one type."""

        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and args[0] == args[1] and isinstance(args[0], LanesType):
                return signature(args[0], *args)
            return None

    infer_global(function)(Between)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)

    lower_builtin(function, LanesType, LanesType)(lower)


for _function, _instruction in _OPERATORS.items():
    _register(_function, _instruction)


def operation(twin: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an intrinsic of a Numba typing function, or use ``twin`` where nothing is compiled."""

    def choose(generate: Callable[..., Any]) -> Any:
        interpreted = bool(getattr(numba.config, "DISABLE_JIT", False))
        return twin if interpreted else intrinsic(generate)

    return choose


def splatted(builder: Any, scalar: Any, lanes: int = LANES) -> Any:
    """LLVM: ``scalar`` in each of ``lanes`` lanes."""
    kind = ir.VectorType(scalar.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), zeros)


def element_pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any, target: Any) -> Any:
    """LLVM: a pointer to ``target`` at element ``offset`` of a contiguous array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), target.as_pointer())


def prefetched(builder: Any, pointer: Any, *, write: bool = False) -> None:
    """LLVM: have the line of a pointer to bytes brought into the first cache; the pointer may lead anywhere."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
    call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(call, [pointer, *(ir.Constant(number, flag) for flag in (int(write), 3, 1))])


def _fit(builder: Any, vector: Any, bits: int, *, signed: bool = True) -> Any:
    """LLVM: ``vector`` with elements of ``bits`` bits."""
    now, kind = vector.type.element.width, ir.VectorType(ir.IntType(bits), vector.type.count)
    if now == bits:
        return vector
    if now > bits:
        return builder.trunc(vector, kind)
    return builder.sext(vector, kind) if signed else builder.zext(vector, kind)


def _kind_of(array: Any) -> LanesType:
    """The lanes that an array's elements are held in: 64 bits for those of 64, else 32."""
    return int64x16 if array.dtype.bitwidth == 64 else int32x16


@operation(lambda array, offset: array[offset : offset + LANES].astype(np.int64 if array.itemsize == 8 else np.int32))
def lanes(typingctx: Any, array: Any, offset: Any) -> Any:
    """The elements of ``array`` from ``offset`` on: int64x16 of 64-bit integers, int32x16 of narrower ones."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element = sig.args[0].dtype
        kind = ir.VectorType(ir.IntType(element.bitwidth), LANES)
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], kind)
        loaded = builder.load(place, align=element.bitwidth // 8)
        return _fit(builder, loaded, sig.return_type.bits, signed=element.signed)

    return signature(_kind_of(array), array, types.intp), code


def _store(array: Block, offset: int, value: Lanes) -> None:
    array[offset : offset + LANES] = value.astype(array.dtype)


@operation(_store)
def store(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write the low bits of ``value`` to the elements of ``array`` from ``offset`` on."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = sig.args[0].dtype.bitwidth
        fitted = _fit(builder, args[2], bits)
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], fitted.type)
        builder.store(fitted, place, align=bits // 8)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, value), code


@operation(lambda array, offset: None)
def prefetch_write(typingctx: Any, array: Any, offset: Any) -> Any:
    """Have the line of an element, which need not exist, brought into the first cache to be written."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        prefetched(builder, element_pointer(context, builder, sig.args[0], args[0], args[1], ir.IntType(8)), write=True)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp), code


def _splatter(lanes: LanesType) -> Callable[..., Any]:
    def generate(typingctx: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            word = args[0] if lanes.bits == 64 else builder.trunc(args[0], ir.IntType(lanes.bits))
            return splatted(builder, word)

        return signature(lanes, types.int64), code

    return generate


splat32 = operation(lambda value: np.full(LANES, value, dtype=np.int64).astype(np.int32))(_splatter(int32x16))
splat64 = operation(lambda value: np.full(LANES, value, dtype=np.int64))(_splatter(int64x16))


def _cast(value: Lanes, array: Block) -> Lanes:
    return value.astype(np.int64 if array.itemsize == 8 else np.int32)


@operation(_cast)
def cast_like(typingctx: Any, value: Any, array: Any) -> Any:
    """``value`` with as many bits as :func:`lanes` gives of ``array``; a narrower one keeps the low bits."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _fit(builder, args[0], sig.return_type.bits)

    return signature(_kind_of(array), value, array), code


def _comparer(predicate: str) -> Callable[..., Any]:
    def generate(typingctx: Any, left: Any, right: Any) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.sext(builder.icmp_signed(predicate, *args), sig.return_type.llvm)

        return signature(left, left, right), code

    return generate


less = operation(lambda left, right: -(left < right).astype(left.dtype))(_comparer("<"))
equal = operation(lambda left, right: -(left == right).astype(left.dtype))(_comparer("=="))


@operation(lambda mask, left, right: np.where(mask != 0, left, right))
def where(typingctx: Any, mask: Any, left: Any, right: Any) -> Any:
    """``left`` where the mask is set, else ``right``."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, [0] * LANES)
        return builder.select(builder.icmp_signed("!=", args[0], zero), args[1], args[2])

    return signature(left, mask, left, right), code


def _chooser(predicate: str) -> Callable[..., Any]:
    def generate(typingctx: Any, left: Any, right: Any) -> Any:
        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.select(builder.icmp_signed(predicate, *args), *args)

        return signature(left, left, right), code

    return generate


minimum = operation(np.minimum)(_chooser("<"))
maximum = operation(np.maximum)(_chooser(">"))


@operation(lambda mask: bool(mask.any()))
def anywhere(typingctx: Any, mask: Any) -> Any:
    """Whether any lane of a mask is set."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.icmp_signed("!=", args[0], ir.Constant(args[0].type, [0] * LANES))
        word = builder.bitcast(bits, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", word, ir.Constant(word.type, 0))

    return signature(types.boolean, mask), code


@operation(lambda value: int(value.sum(dtype=np.int64)))
def total(typingctx: Any, value: Any) -> Any:
    """The sum of the lanes, 64 bits."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = _fit(builder, args[0], 64)
        kind = ir.FunctionType(ir.IntType(64), [wide.type])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{LANES}i64")
        return builder.call(add, [wide])

    return signature(types.int64, value), code


@operation(lambda table, offset, index: table[offset + index.astype(np.int64)].astype(np.int32))
def gather(typingctx: Any, table: Any, offset: Any, index: Any) -> Any:
    """The elements of a table of int32 at ``offset`` plus each lane of an int32x16."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, wide = ir.IntType(32), ir.VectorType(ir.IntType(64), LANES)
        base = element_pointer(context, builder, sig.args[0], args[0], args[1], word)
        start = splatted(builder, builder.ptrtoint(base, ir.IntType(64)))
        steps = builder.shl(builder.sext(args[2], wide), ir.Constant(wide, [2] * LANES))
        places = builder.inttoptr(builder.add(start, steps), ir.VectorType(word.as_pointer(), LANES))
        bit = ir.VectorType(ir.IntType(1), LANES)
        kind = ir.FunctionType(args[2].type, [places.type, word, bit, args[2].type])
        read = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}i32.v{LANES}p0")
        every = ir.Constant(bit, [1] * LANES)
        return builder.call(read, [places, ir.Constant(word, 4), every, ir.Constant(args[2].type, ir.Undefined)])

    return signature(int32x16, table, types.intp, index), code
