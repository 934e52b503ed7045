"""What one core can do: its dot-product instructions on registers, and how fast it reads memory of a size.

Each probe is a compiled loop with nothing but the limit in it. Peaks count the useful operations of independent
instructions that fill the pipelines; reading sums an array over and over, so that it stays in the nearest cache that
holds it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, reduce
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from tests.benchmarks.measure import Call

_CHAINS = 20  # independent accumulators: more than latency times instructions a cycle, fewer than 32 registers
_STEPS = 20_000
_READ_BYTES = 1 << 23  # read by one call, at least
_LANES = 16
_WORDS, _BLOCK = 8, 64  # 64-bit integers of a vector, and of a block of 8 independent ones


@dataclass(frozen=True)
class Probe:
    """A loop that does ``amount`` of something in one call."""

    name: str
    amount: float
    unit: str
    call: Call


@dataclass(frozen=True)
class _Peak:
    """A multiply-accumulate instruction on vectors of 512 bits."""

    title: str
    feature: str
    function: str
    products: int
    is_float: bool = False


PEAKS = {
    "dot8": _Peak("8-bit dot product", "avx512vnni", "llvm.x86.avx512.vpdpbusd.512", 64),
    "dot16": _Peak("16-bit dot product", "avx512vnni", "llvm.x86.avx512.vpdpwssd.512", 32),
    "float32": _Peak("fp32 multiply-add", "avx512f", "llvm.fma.v16f32", 16, is_float=True),
}


def has_peak(name: str) -> bool:
    """Whether the processor has the instruction."""
    return bool(binding.get_host_cpu_features().get(PEAKS[name].feature, False))


@cache
def peak(name: str) -> Probe:
    """Multiply-accumulates of one instruction, as many a second as the core starts."""
    chosen = PEAKS[name]
    loop = _register_loop(chosen)
    amount = float(chosen.products * _CHAINS * _STEPS)
    return Probe(name, amount, "MAC", lambda: loop(_STEPS))


@cache
def reading(size: int) -> Probe:
    """Bytes read from an array of about ``size`` bytes that was read before."""
    values = _aligned(max(1, size // 8 // _BLOCK) * _BLOCK)
    passes = max(1, _READ_BYTES // values.nbytes)
    loop = _reader()
    return Probe(reading_name(size), float(values.nbytes * passes), "byte", lambda: loop(values, passes))


def _aligned(count: int) -> NDArray[np.int64]:
    """Ones in whole cache lines, written so that each page has memory of its own."""
    spare = np.ones(count + _WORDS, dtype=np.int64)
    first = -spare.ctypes.data % 64 // 8
    return spare[first : first + count]


def reading_name(size: int) -> str:
    """The name of the probe that reads ``size`` bytes."""
    return f"read {size}"


def forget_arrays() -> None:
    """Free the arrays of the reading probes."""
    reading.cache_clear()


@cache
def _reader() -> Callable[..., Any]:
    """A compiled loop that reads an array in vectors, so many times; gives what they sum up to."""

    def vectors(_: Any, address: Any, count: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
            return _emit_reading(builder, *operands)

        return types.int64(types.int64, types.int64), build

    body: Any = intrinsic(vectors)

    def read(values: Any, passes: int) -> Any:
        total = 0
        for _ in range(passes):
            total += body(values.ctypes.data, values.size // _BLOCK)
        return total

    compiled: Callable[..., Any] = njit(nogil=True)(read)
    return compiled


def _emit_reading(builder: Any, address: Any, count: Any) -> Any:
    """Write a loop over blocks of independent vectors, each added to a register of its own."""
    index, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), _WORDS)
    with _loop(builder, count, vector, _BLOCK // _WORDS) as loop:
        block = builder.add(address, builder.mul(loop.step, ir.Constant(index, 8 * _BLOCK)))
        for number, held in enumerate(loop.held):
            place = builder.add(block, ir.Constant(index, 8 * _WORDS * number))
            read = builder.load(builder.inttoptr(place, vector.as_pointer()))
            read.align = 8
            loop.written.append(builder.add(held, read))
    return _first_lane(builder, loop.written, builder.add)


def _register_loop(chosen: _Peak) -> Callable[..., Any]:
    """A compiled loop of ``_CHAINS`` independent instructions; gives the sum of what they accumulate."""
    element: Any = ir.FloatType() if chosen.is_float else ir.IntType(32)
    result: Any = types.float32 if chosen.is_float else types.int32

    def chains(_: Any, steps: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
            return _emit_peak(builder, chosen, element, operands[0])

        return result(types.int64), build

    body: Any = intrinsic(chains)

    def loop(steps: int) -> Any:
        return body(steps)

    compiled: Callable[..., Any] = njit(nogil=True)(loop)
    return compiled


def _emit_peak(builder: Any, chosen: _Peak, element: Any, steps: Any) -> Any:
    """Write a loop of independent instructions, each chain's accumulator in a register of its own."""
    vector = ir.VectorType(element, _LANES)
    insert: Any = cgutils.get_or_insert_function
    function = insert(builder.module, ir.FunctionType(vector, [vector] * 3), chosen.function)
    factor = _spread(builder, vector, element, builder.trunc(steps, ir.IntType(32)))
    with _loop(builder, steps, vector, _CHAINS) as loop:
        for held in loop.held:
            operands = [factor, factor, held] if chosen.is_float else [held, factor, factor]
            loop.written.append(builder.call(function, operands))
    return _first_lane(builder, loop.written, builder.fadd if chosen.is_float else builder.add)


@dataclass
class _Loop:
    """The inside of a loop: the number of the step, the registers as it begins, and as it ends."""

    step: Any
    held: list[Any]
    written: list[Any] = field(default_factory=list)


@contextmanager
def _loop(builder: Any, steps: Any, vector: Any, registers: int) -> Iterator[_Loop]:
    """A loop of at least one step over registers that begin at zero; what is written inside is its body."""
    index = ir.IntType(64)
    before, inside, after = builder.block, builder.append_basic_block("inside"), builder.append_basic_block("after")
    builder.branch(inside)
    builder.position_at_end(inside)
    step = builder.phi(index)
    loop = _Loop(step, [builder.phi(vector) for _ in range(registers)])
    yield loop
    following = builder.add(step, ir.Constant(index, 1))
    step.add_incoming(ir.Constant(index, 0), before)
    step.add_incoming(following, inside)
    for held, written in zip(loop.held, loop.written, strict=True):
        held.add_incoming(ir.Constant(vector, None), before)
        held.add_incoming(written, inside)
    builder.cbranch(builder.icmp_signed("<", following, steps), inside, after)
    builder.position_at_end(after)


def _spread(builder: Any, vector: Any, element: Any, value: Any) -> Any:
    """A vector of one value that the compiler does not know."""
    scalar = builder.sitofp(value, element) if isinstance(element, ir.FloatType) else value
    lane = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(lane, ir.Constant(vector, ir.Undefined), everywhere)


def _first_lane(builder: Any, vectors: list[Any], add: Any) -> Any:
    """The first lane of the sum of all registers, which keeps every one alive."""
    return builder.extract_element(reduce(add, vectors), ir.Constant(ir.IntType(32), 0))
