"""Products of one matrix: fully connected, beyond the caches, with wide activations, with accumulators in steps."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Overflow
from fixedsim.profiles.datapath import Accumulator
from tests.benchmarks import ours
from tests.benchmarks.measure import Call
from tests.benchmarks.peers import integer_arrays, onnx_runtime, pytorch
from tests.benchmarks.roofline import Part
from tests.benchmarks.workload import Goal, GoalKind, Side, Workload, ratio, share

SIZE = 2048
LARGE = 8192, 6144
SATURATING = Accumulator(bits=20, overflow=Overflow.SATURATE)
_INTEGER_PEERS = ("onnxruntime int8", "onnxruntime fp32", "torch int8", "torch fp32")
_EIGHT = "fixedsim, 8-bit weights"
_LARGE_GOALS = {4: 1.5, 2: 3.0}

Operands = tuple[NDArray[np.int64], NDArray[np.int64]]


@lru_cache(maxsize=2)
def operands(rows: int, columns: int, weight_bits: int, activation_bits: int, batch: int) -> Operands:
    """Weights and vectors."""
    return ours.random_matrix(weight_bits, rows, columns), ours.random_vectors(activation_bits, batch, columns)


def our_side(shape: tuple[int, int], batch: int, *, weight: int = 8, activation: int = 8) -> Side:
    """The exact sums of this project's kernels."""

    def prepare() -> Call:
        return ours.matrix(*operands(*shape, weight, activation, batch), bits=activation)

    return Side("fixedsim", prepare, exact=True)


def peer_side(name: str, shape: tuple[int, int], batch: int, *, weight: int = 8, activation: int = 8) -> Side:
    """The products on a program of others."""
    programs: dict[str, Callable[..., Call]] = {
        "onnxruntime int8": onnx_runtime.matmul_integer,
        "onnxruntime fp32": onnx_runtime.matmul_float,
        "torch int8": partial(pytorch.linear, quantized=True),
        "torch fp32": partial(pytorch.linear, quantized=False),
        "NumPy int64": integer_arrays.numpy_int64,
        "apytypes": partial(integer_arrays.apytypes_product, bits=max(weight, activation)),
    }
    exact = name in ("onnxruntime int8", "NumPy int64")
    return Side(name, lambda: programs[name](*operands(*shape, weight, activation, batch)), exact)


def part(shape: tuple[int, int], batch: int, *, weight: int = 8, peak: str = "dot8", times: int = 1) -> Part:
    """What a product must read and compute, weights packed."""
    rows, columns = shape
    return Part(rows * columns * batch, rows * columns * weight / 8, peak, times=times)


def workloads() -> Iterator[Workload]:
    """Every workload of one matrix."""
    yield from _fully_connected()
    yield from _beyond_caches()
    yield from _wide_activations()
    yield _step_by_step()


def _fully_connected() -> Iterator[Workload]:
    shape = SIZE, SIZE
    goals = {
        1: (share(0.8), ratio("onnxruntime int8", 1.2)),
        16: (share(0.85), ratio("onnxruntime int8", 1.0)),
        100: (share(0.85), ratio("onnxruntime int8", 1.0)),
    }
    for batch, reached in goals.items():
        peers = [peer_side(name, shape, batch) for name in (*_INTEGER_PEERS, "NumPy int64", "apytypes")]
        yield Workload(
            f"matrix.2048.batch{batch}",
            f"Fully connected 2048x2048, 8/8, batch {batch}",
            (our_side(shape, batch), *peers),
            SIZE * SIZE * batch,
            (part(shape, batch),),
            reached,
        )


def _beyond_caches() -> Iterator[Workload]:
    rows, columns = LARGE
    for bits in (8, 4, 2, 1):
        peers = [peer_side("onnxruntime int8", LARGE, 1, weight=bits)]
        goals = (ratio(_EIGHT, _LARGE_GOALS[bits]),) if bits in _LARGE_GOALS else ()
        if bits < 8:
            peers.insert(0, Side(_EIGHT, our_side(LARGE, 1).prepare))
        yield Workload(
            f"matrix.8192x6144.w{bits}",
            f"Matrix 8192x6144, one vector, {bits}-bit weights",
            (our_side(LARGE, 1, weight=bits), *peers),
            rows * columns,
            (part(LARGE, 1, weight=bits),),
            goals,
        )


def _wide_activations() -> Iterator[Workload]:
    shape = SIZE, SIZE
    for bits in (9, 12, 16):
        peers = [peer_side(name, shape, 16, activation=bits) for name in ("onnxruntime fp32", "NumPy int64")]
        yield Workload(
            f"matrix.2048.a{bits}",
            f"2048x2048, 8-bit weights, {bits}-bit activations, batch 16",
            (our_side(shape, 16, activation=bits), *peers),
            SIZE * SIZE * 16,
            (part(shape, 16, peak="dot16"),),
            (share(0.85),),
        )


def _step_by_step() -> Workload:
    shape, batch = (SIZE, SIZE), 16

    def prepare() -> Call:
        return ours.stepped(*operands(*shape, 8, 8, batch), bits=8, accumulator=SATURATING)

    return Workload(
        "matrix.2048.steps",
        f"2048x2048, accumulator of {SATURATING.bits} bits that saturates at each step, batch {batch}",
        (Side("fixedsim", prepare),),
        SIZE * SIZE * batch,
        goals=(Goal(GoalKind.RATE, 1e9),),
    )
