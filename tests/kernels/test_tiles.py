"""Exact products in tiles against 64-bit integers: every width, kind and shape, and on processors that have less."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import panels as choice
from fixedsim.bounds import Range
from fixedsim.errors import ModelError
from fixedsim.execution import ProductKernel, Products
from fixedsim.kernels.target import cpu_features
from fixedsim.panels import VARIABLE, PanelKind, Panels
from fixedsim.profiles.datapath import Accumulator
from tests.kernels.engines import Engine
from tests.strategies import Words

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
Integers = npt.NDArray[np.int64]
JIT_OFF = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

# Rows, columns and vectors around the tiles' 16 and 64 rows, 4 vectors and 128 lines.
SHAPES = [
    (1, 1, 1), (16, 4, 1), (17, 3, 2), (63, 5, 3), (64, 8, 4), (65, 31, 5), (70, 70, 7), (33, 64, 9), (130, 513, 6),
    (20, 1100, 1), (64, 1100, 3), (5, 7, 0), (3, 0, 2), (0, 3, 2),
]  # fmt: skip


def lines(weight: Integers, bits: int) -> npt.NDArray[Any]:
    """Panels of weights, written weight by weight."""
    lane, kind = (2, np.int16) if bits == 16 else (4, np.uint8)
    groups, rows = max(8 // bits, 1), -(-weight.shape[0] // 16) * 16
    count = max(-(-weight.shape[1] // (lane * groups)), 1)
    packed = np.zeros((rows // 16, count, 16, lane), dtype=kind)
    for (row, column), value in np.ndenumerate(weight):
        line, rest = divmod(column, lane * groups)
        group, place = divmod(rest, lane)
        packed[row // 16, line, row % 16, place] |= kind(int(value) << group * bits if groups > 1 else value)
    return packed.reshape(-1)


def ends(bits: int) -> tuple[int, int]:
    """The codes of weights of so many bits."""
    return (-(1 << 15), (1 << 15) - 1) if bits == 16 else (0, (1 << bits) - 1)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("bits", [16, 8, 4, 2, 1])
def test_multiply(engine: Engine, bits: int, halves: bool) -> None:
    random = np.random.default_rng(bits)
    shapes = SHAPES if engine.name == "compiled" else SHAPES[:8]
    for (rows, columns, vectors), step in product(shapes, (1, -3)):
        low, high = ends(bits)
        weight = random.choice([low, high, *random.integers(low, high + 1, 5)], (rows, columns))
        written, code_bits = lines(weight, bits), 16 if bits == 16 else 8
        packed = choice.aligned(written.shape, written.dtype)
        packed[:] = written
        height, width = -(-rows // 16) * 16, packed.size * max(8 // bits, 1) // max(-(-rows // 16) * 16, 1)
        width = width if rows else max(columns, 8)
        limit = 1 << code_bits - 1
        pitch = int(random.choice([width, -(-width // 64) * 64]))
        codes = np.zeros((vectors * (1 + halves), pitch), dtype=np.int16 if bits == 16 else np.int8)
        codes[:, :columns] = random.choice([-limit, limit - 1, 1, -7], (len(codes), columns))
        sums = random.integers(-1000, 1000, vectors).astype(np.int32)
        start = random.integers(-(1 << 31), 1 << 31, (random.choice([1, vectors]), height)).astype(np.int32)
        out = np.empty((vectors, height), np.int32)
        scratch = np.empty(1 << 15, packed.dtype)
        engine.panels.multiply(bits, step, packed, codes, sums, start, out, scratch, bool(random.integers(2)))
        whole = codes[:, :columns].astype(np.int64)
        whole = whole[0::2] + (whole[1::2] << 8) if halves else whole
        expected = (step * (whole @ weight.T) + sums[:, None] + start[:, :rows]).astype(np.int32)
        assert out[:, :rows].tolist() == expected.tolist(), (rows, columns, vectors, step)


def bounded(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def require_equal(weight: Integers, inputs: npt.NDArray[Any], ends: tuple[int, int], kind: PanelKind | None) -> bool:
    """Whether the kind serves; if so, it must give the sums."""
    found = Panels.of(weight, Range(*ends), kind)
    if found is None:
        return False
    got, expected = found.multiply(inputs), inputs.astype(np.int64) @ weight.T.astype(np.int64)
    assert got.shape == expected.shape
    assert got.tolist() == expected.tolist(), (kind, found.coding, found.window, weight.shape)
    assert got.dtype == (np.int32 if found.window is None else np.int64)
    return True


@pytest.mark.parametrize("kind", [None, *PanelKind])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_width(bits: int, kind: PanelKind | None) -> None:
    """Weights of ``bits`` bits with inputs of every width, all at the ends of their formats."""
    for input_bits, signs in product(range(1, 17), product((False, True), repeat=2)):
        low, high = bounded(bits, signs[0])
        weight = np.array([[low] * 9, [high] * 9, [low, high, high, low, low, 0, high, low, high]])
        limits = bounded(input_bits, signs[1])
        least, most = limits
        inputs = np.array([[least] * 9, [most] * 9, [most, least, most, most, 0, least, most, least, least]])
        served = require_equal(weight, inputs, limits, kind)
        assert served or bits > {PanelKind.PACKED: 4, PanelKind.DOT8: 8}.get(kind or PanelKind.DOT16, 16)


@st.composite
def operands(draw: st.DrawFn) -> tuple[Integers, npt.NDArray[Any], tuple[int, int]]:
    """Weights ``(R, K)`` in steps of 1 to 3 around any zero point, inputs ``(N, K)`` of any layout, and their range."""
    rows, columns, vectors = (draw(st.integers(low, 70)) for low in (1, 1, 0))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    bits, step = draw(st.integers(1, 16)), draw(st.sampled_from((1, 1, 2, 3)))
    low = draw(st.sampled_from((0, -(step << bits - 1), -step * ((1 << bits) - 1), -5)))
    highest = (1 << bits) - 1
    codes = random.choice([0, highest, *random.integers(0, highest + 1, draw(st.integers(0, 9)))], (rows, columns))
    input_bits = draw(st.integers(1, 16))
    least = draw(st.sampled_from((0, -(1 << input_bits - 1), 1 - (1 << input_bits), -3, 60)))
    most = least + (1 << input_bits) - 1
    inputs = random.choice([least, most, *random.integers(least, most + 1, 4)], (vectors, columns))
    return (
        low + step * codes,
        laid_out(inputs, draw(st.sampled_from(("plain", "strided", "misaligned")))),
        (least, most),
    )


def laid_out(inputs: Integers, layout: str) -> npt.NDArray[Any]:
    if layout == "strided":
        spread = np.zeros((2 * inputs.shape[0], 3 * inputs.shape[1]), dtype=np.int64)
        spread[1::2, ::3] = inputs
        return spread[1::2, ::3]
    if layout == "misaligned":
        memory = np.zeros(inputs.nbytes + 1, dtype=np.uint8)[1:].view(np.int64).reshape(inputs.shape)
        memory[...] = inputs
        return memory
    return inputs


@settings(max_examples=150)
@given(operands(), st.sampled_from((None, *PanelKind)))
def test_any_operands(
    given_operands: tuple[Integers, npt.NDArray[Any], tuple[int, int]], kind: PanelKind | None
) -> None:
    require_equal(*given_operands, kind)


@pytest.mark.parametrize(
    ("bits", "input_bits", "columns", "wide"),
    [
        (16, 16, 1, False),
        (16, 16, 2, True),  # -32768 * -32768 twice is 2**31
        (16, 16, 1001, True),
        (16, 12, 1001, True),
        (8, 16, 511, False),
        (8, 16, 5003, True),
        (8, 8, 140001, True),
        (2, 16, 70001, True),
    ],
)
def test_sums_beyond_32_bits(bits: int, input_bits: int, columns: int, wide: bool) -> None:
    """Everything at its end, so that sums grow as quickly as they can, then half of them in turn."""
    low, high = bounded(bits, True)
    limits = bounded(input_bits, True)
    rows = [np.full(columns, low), np.full(columns, high), np.where(np.arange(columns) % 3, low, high)]
    vectors = [np.full(columns, end) for end in limits] + [np.where(np.arange(columns) % 2, *limits)]
    for kind in (None, *PanelKind):
        require_equal(np.array(rows), np.array(vectors), limits, kind)
    found = Panels.of(np.array(rows), Range(*limits))
    assert found is not None
    assert (found.window is not None) is wide


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "int32"])
def test_narrow_input_arrays(dtype: str) -> None:
    limits = (0, 100)
    inputs = np.arange(33 * 3).reshape(3, 33).astype(dtype)
    assert require_equal(np.arange(-40, 26).reshape(2, 33), inputs, limits, None)
    assert require_equal(np.arange(-40, 26).reshape(2, 33), inputs, (0, 30000), None)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512f", "avx512vnni"}, ["packed", "packed", "packed", "dot8", "dot8", "dot16", "dot16"]),
        ({"avx2", "avxvnni"}, ["packed", "packed", "packed", "dot8", "dot8", "dot16", "dot16"]),
        ({"avx2"}, ["dot16"] * 7),
        (set(), ["dot16"] * 7),
    ],
)
def test_the_kind_that_is_chosen(features: set[str], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "cpu_features", lambda: frozenset(features))
    monkeypatch.delenv(VARIABLE, raising=False)
    found = [Panels.of(np.arange(1 << bits)[None], Range(-8, 7)) for bits in (1, 2, 4, 5, 8, 9, 16)]
    assert [str(each.coding.kind) if each else None for each in found] == expected


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))])
def test_copies_may_be_read_beyond_their_end_as_well(
    copied: Callable[[Panels], Panels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_FAR", 0)  # the turns of a sweep are counted, and not copied
    weight, inputs = np.arange(-100, 100).reshape(2, 100), np.arange(-50, 50).reshape(1, 100).repeat(17, axis=0)
    found = Panels.of(weight, Range(-128, 127), PanelKind.DOT8)
    assert found is not None
    found.multiply(inputs)
    another = copied(found)
    for each in (found, another):
        assert each.panels.ctypes.data % 64 == 0
        whole = each.panels.base
        assert isinstance(whole, np.ndarray)
        assert whole.ctypes.data + whole.nbytes >= each.panels.ctypes.data + each.panels.nbytes + 1024
        assert (each.multiply(inputs) == inputs @ weight.T).all()


def products(weight: list[list[int]], limits: tuple[int, int]) -> Products:
    rows = len(weight)
    zeros = np.zeros(rows, dtype=object)
    return Products(
        np.array(weight), np.zeros(rows, np.int64), Accumulator(63), inputs=Range(*limits), start=Range(zeros, zeros)
    )


@pytest.mark.parametrize("kernel", [kernel for kernel in ProductKernel if kernel is not ProductKernel.STEPS])
def test_the_environment_names_a_kernel(kernel: ProductKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, kernel)
    found = products([[1, -2, 3], [0, 4, -5]], (-8, 7))
    assert found.kernel is kernel
    assert found.multiply(np.array([[1, 2, -8]] * 9)).tolist() == [[-27, 48]] * 9


def test_a_kernel_that_does_not_serve_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "packed")
    assert products([[1, 0, -200]], (-8, 7)).kernel in (ProductKernel.DOT8, ProductKernel.DOT16)
    assert products([[1, 1 << 20]], (-8, 7)).kernel is ProductKernel.FLOAT64
    assert products([[1, 1 << 50]], (-8, 7)).kernel is ProductKernel.INT64


def test_a_kernel_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "dot32")
    with pytest.raises(ModelError, match=r"^FIXEDSIM_KERNELS must be one of packed, dot8, .*, steps, not dot32$"):
        products([[1]], (0, 1)).kernel  # noqa: B018 - a property


# Runs in a process of its own, compiled for a processor that has less.
PROGRAM = """
import numpy as np
from fixedsim.bounds import Range
from fixedsim.panels import PanelKind, Panels
random = np.random.default_rng(0)
kinds = set()
for kind in (None, *PanelKind):
    for bits, input_bits in ((1, 8), (2, 8), (4, 8), (8, 8), (3, 16), (8, 16), (16, 16)):
        for rows, columns, vectors in ((70, 70, 7), (64, 600, 4), (17, 33, 1), (64, 64, 1)):
            weight, inputs = (
                random.choice([-(1 << width - 1), (1 << width - 1) - 1, 0], shape)
                for width, shape in ((bits, (rows, columns)), (input_bits, (vectors, columns)))
            )
            found = Panels.of(weight, Range(-(1 << input_bits - 1), (1 << input_bits - 1) - 1), kind)
            if found is not None:
                assert (found.multiply(inputs) == inputs @ weight.T).all(), (kind, bits, input_bits, rows)
                kinds |= {str(found.coding.kind)} if kind is None else set()
print(*sorted(kinds))
"""

AVX2 = "+avx,+avx2,+fma,+sse4.2,+popcnt"
PROCESSORS = {
    "haswell": (AVX2, "dot16"),
    "generic": ("", "dot16"),
    "skylake-avx512": (f"{AVX2},+avx512f,+avx512bw,+avx512vl,+avx512dq,+avx512cd", "dot16"),
    "alderlake": (f"{AVX2},+avxvnni", "dot16 dot8 packed"),
}


@pytest.mark.skipif(JIT_OFF, reason="needs compiled kernels")
@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSORS)
def test_processors_that_have_less(name: str) -> None:
    features, kinds = PROCESSORS[name]
    missing = {feature.removeprefix("+") for feature in features.split(",") if feature} - cpu_features()
    if missing:
        pytest.skip(f"needs {', '.join(sorted(missing))}")
    environment = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    environment.pop(VARIABLE, None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == kinds.split()


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
@pytest.mark.parametrize("rows", [7, 64, 150])
def test_a_vector_that_sweeps_its_matrix_to_and_fro(bits: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_FAR", 0)
    words = Words(rows)
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    weight = words.integers(lowest, highest, (rows, 900))
    made = Panels.of(weight, Range(-128, 127))
    assert made is not None
    for _ in range(3):  # each call begins where the one before ended
        vector = words.integers(-128, 127, (1, 900))
        assert np.array_equal(made.multiply(vector), vector @ weight.T)
