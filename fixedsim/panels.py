"""Weight matrices as the tiles of :mod:`fixedsim.kernels.tiles` read them, and which tiles multiply which matrix.

Weights and inputs are affine in the codes that are multiplied: ``weight = step * u + factor`` and ``input = v +
offset``. A sum of products is then ``step * sum(u * v)`` plus a constant of its row and ``factor * sum(v)``, and what
wraps at 32 bits on the way is right at the end, where the sum itself fits 32 bits.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.bounds import Range
from fixedsim.kernels.compilation import cpu_features
from fixedsim.kernels.matrices import AVAILABLE as MATRICES
from fixedsim.kernels.panels import SCRATCH, add_window, encode, join_halves, multiply
from fixedsim.kernels.tiles import unpacked

Integers = NDArray[np.int64]
Words = NDArray[np.int32]
VARIABLE = "FIXEDSIM_KERNELS"
ROWS = 16  # of a panel
DENSE = 16  # vectors for which weights are better unpacked once
_FAR = 1 << 20  # bytes of weights from which near caches lose some between one vector and the next
_SLACK = 1024  # bytes that may be read after the last panel
_LINE = 64  # bytes of a panel that are read at once
_HALVES = Range(-(1 << 15) - 128, (1 << 15) - 129)  # what two signed bytes hold
_INT8, _INT16, _INT32 = (Range(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in (8, 16, 32))
_OPERAND = 1 << 17  # above every 16-bit raw less a zero point
_SHORT_WINDOW = 128  # codes below which 16-bit inputs are cut into bytes, so that windows get longer


class PanelKind(StrEnum):
    """How weights stand in panels."""

    PACKED = "packed"  # 4, 2 or 1 bits a weight, unpacked by shift and mask; multiplied as bytes
    DOT8 = "dot8"  # bytes, four products a lane; inputs beyond 8 bits are cut into two bytes
    DOT16 = "dot16"  # 16-bit weights and inputs, two products a lane


@dataclass(frozen=True)
class WeightCodes:
    """Weights as ``step * u + factor`` with codes u from 0 to ``highest``."""

    step: int
    factor: int
    highest: int

    @staticmethod
    def of(weight: NDArray[np.integer[Any]]) -> "WeightCodes":
        """The largest step that all weights have in common, and the least weight."""
        least = int(np.min(weight)) if weight.size else 0
        span = int(np.max(weight)) - least if weight.size else 0
        if span >= 2 * _OPERAND:
            return WeightCodes(1, least, span)
        met = np.zeros(span + 1, dtype=bool)
        met[weight.astype(np.int64).ravel() - least] = True
        step = max(int(np.gcd.reduce(np.flatnonzero(met))), 1)
        return WeightCodes(step, least, span // step)

    @property
    def greatest(self) -> int:
        """The greatest weight."""
        return self.factor + self.step * self.highest

    def within(self, magnitude: int) -> bool:
        """Whether no weight is larger."""
        return max(-self.factor, self.greatest) <= magnitude

    @property
    def bits(self) -> int:
        """The bits of a code as it is packed: 1, 2, 4, 8, 16, or 64 where none of them holds it."""
        return next((bits for bits in (1, 2, 4, 8, 16) if self.highest < 1 << bits), 64)


@dataclass(frozen=True)
class Coding:
    """How weights and inputs become codes.

    Attributes:
        kind: how weights stand.
        bits: of a weight as it stands: 16, 8, 4, 2 or 1.
        step, factor: a weight is ``step * u + factor``.
        offset: an input is ``v + offset``.
        parts: how many vectors of codes an input vector takes: 2 where 16 bits are cut into bytes.
    """

    kind: PanelKind
    bits: int
    step: int
    factor: int
    offset: int
    parts: int = 1

    @staticmethod
    def of(weight: WeightCodes, inputs: Range, kind: PanelKind | None = None) -> "Coding | None":
        """The kind that is quickest on the CPU that kernels are compiled for, or ``kind``; None if it can't serve."""
        if not weight.within(_OPERAND) or inputs.magnitude > _OPERAND or weight.bits > 16 or _span(inputs) >= 1 << 16:
            return None
        kind = _quickest(weight) if kind is None else kind
        if kind is PanelKind.DOT16:
            plain = weight.factor >= _INT16.low and weight.greatest <= _INT16.high
            step, factor = (1, 0) if plain else (weight.step, weight.factor - weight.step * int(_INT16.low))
            return Coding(kind, 16, step, factor, _offset(inputs, _INT16))
        if weight.bits > (4 if kind is PanelKind.PACKED else 8):
            return None
        narrow = _span(inputs) < 1 << 8
        offset, bits = _offset(inputs, _INT8 if narrow else _HALVES), weight.bits if kind is PanelKind.PACKED else 8
        return Coding(kind, bits, weight.step, weight.factor, offset, 1 if narrow else 2)

    @property
    def lane(self) -> int:
        """Codes of one row that stand together."""
        return 2 if self.kind is PanelKind.DOT16 else 4

    @property
    def groups(self) -> int:
        """Lines of bytes that a line of packed weights holds."""
        return max(8 // self.bits, 1)

    @property
    def weight_type(self) -> type[np.integer[Any]]:
        """The type of the panels."""
        return np.int16 if self.kind is PanelKind.DOT16 else np.uint8

    @property
    def input_type(self) -> type[np.signedinteger[Any]]:
        """The type of an input's codes."""
        return np.int16 if self.kind is PanelKind.DOT16 else np.int8

    def weights(self, weight: NDArray[np.integer[Any]], windows: int = 1) -> NDArray[Any]:
        """The codes of weights ``(rows, columns)``, padded with zeros to whole panels, and lines of every window."""
        rows, columns = weight.shape
        whole = self.lane * self.groups * windows
        shape = -(-rows // ROWS) * ROWS, max(-(-columns // whole), 1) * whole
        padded = np.zeros(shape, dtype=self.weight_type)
        padded[:rows, :columns] = (weight.astype(np.int32) - self.factor) // self.step
        return padded

    def panels(self, codes: NDArray[Any], windows: int = 1) -> NDArray[Any]:
        """The codes of :meth:`weights`, window by window and line by line, flat, at a multiple of a line's bytes."""
        height, width = codes.shape
        shape = height // ROWS, ROWS, windows, width // self.lane // windows, self.lane
        lines = codes.reshape(shape).transpose(2, 0, 3, 1, 4)
        if self.bits < 8:
            split = lines.reshape(windows, height // ROWS, -1, self.groups, ROWS, self.lane)
            shifts = np.arange(0, 8, self.bits, dtype=np.uint8)[:, None, None]
            lines = np.bitwise_or.reduce(split << shifts, axis=3)
        flat = aligned((lines.size,), codes.dtype)
        flat.reshape(lines.shape)[...] = lines
        return flat


def asked_kernel() -> str | None:
    """The kernel that the environment names, to be used wherever it serves, or None."""
    return os.environ.get(VARIABLE) or None


def _quickest(weight: WeightCodes) -> PanelKind:
    """The kind for the CPU that kernels are compiled for, or the one that the environment names if it serves."""
    asked = asked_kernel()
    if asked == PanelKind.DOT16 or weight.bits > 8:
        return PanelKind.DOT16
    if asked == PanelKind.DOT8 or (asked == PanelKind.PACKED and weight.bits <= 4):
        return PanelKind(asked)
    if not cpu_features() & {"avx512vnni", "avxvnni"}:
        return PanelKind.DOT16
    return PanelKind.PACKED if weight.bits < 8 else PanelKind.DOT8


def _span(inputs: Range) -> int:
    return int(inputs.high) - int(inputs.low)


def _offset(inputs: Range, held: Range) -> int:
    """What is subtracted from inputs to make them fit: nothing where they do."""
    low, high = int(inputs.low), int(inputs.high)
    return 0 if held.low <= low and high <= held.high else low - int(held.low)


def aligned(shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """An array of whatever is there that starts at a multiple of a line's bytes, with more bytes after it."""
    size = np.dtype(kind).itemsize
    count = math.prod(shape)
    spare = np.empty(count + (_LINE + _SLACK) // size, dtype=kind)
    first = -spare.ctypes.data % _LINE // size
    return spare[first : first + count].reshape(shape)


def unfilled(shape: tuple[int, int], kind: Any) -> NDArray[Any]:
    """An array of whatever is there, aligned where many vectors make up for the time that it takes."""
    return np.empty(shape, dtype=kind) if shape[0] < DENSE else aligned(shape, kind)


@dataclass(frozen=True, eq=False)
class Panels:
    """One matrix ``(rows, columns)`` in panels, for inputs of one range.

    Attributes:
        coding: how weights and inputs become codes.
        panels: every panel's lines, flat, window by window.
        constants: ``(height,)`` what is added to the sums of each row; the height is a multiple of 16.
        width: codes of a vector, padded.
        window: how many codes are added up in 32 bits before 64 take them, or None where every sum fits 32.
    """

    rows: int
    columns: int
    coding: Coding
    panels: NDArray[Any]
    constants: Integers
    width: int
    window: int | None

    @staticmethod
    def of(weight: NDArray[np.integer[Any]], inputs: Range, kind: PanelKind | None = None) -> "Panels | None":
        """The panels of a matrix, or None where codes of 16 bits (or those of ``kind``) do not hold its operands."""
        coding = Coding.of(WeightCodes.of(weight), inputs, kind)
        if coding is None:
            return None
        windows = 1
        exact = _fits_int32(weight, inputs)
        if not exact:
            coding, windows = _windowed(weight, inputs, coding)
        codes = coding.weights(weight, windows)
        rows, columns = weight.shape
        constants = coding.step * coding.offset * np.sum(codes, axis=1, dtype=np.int64)
        constants += columns * coding.factor * coding.offset
        width = codes.shape[1]
        window = None if exact else width // windows
        return Panels(rows, columns, coding, coding.panels(codes, windows), constants, width, window)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes over: nothing that is made of the rest when it is asked for."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a copy's or a pickle's state, the panels aligned and with bytes after them as before."""
        panels = aligned(state["panels"].shape, state["panels"].dtype)
        panels[:] = state["panels"]
        self.__dict__.update(state | {"panels": panels})

    @property
    def height(self) -> int:
        """Rows, padded to whole panels."""
        return len(self.constants)

    @property
    def pitch(self) -> int:
        """Codes from one vector to the next: whole lines, that matrix registers are filled from."""
        codes = _LINE // np.dtype(self.coding.input_type).itemsize
        return -(-self.width // codes) * codes

    def scratch(self) -> NDArray[Any]:
        """Memory for :func:`fixedsim.kernels.panels.multiply`, which writes to it where weights are packed."""
        return np.empty(SCRATCH, dtype=self.panels.dtype) if self.coding.bits < 8 else self.panels

    @cached_property
    def start(self) -> Words:
        """The constants modulo 2**32, ``(1, height)``, for :func:`fixedsim.kernels.panels.multiply`."""
        return self.constants.astype(np.int32)[None, :]

    @cached_property
    def dense(self) -> "Panels":
        """The same with unpacked weights, which take in the step where bytes hold them."""
        bits, step = self.coding.bits, self.coding.step
        if bits >= 8:
            return self
        lines = unpacked(self.panels.reshape(-1, _LINE), bits)
        if step * int(lines.max(initial=0)) <= np.iinfo(np.uint8).max:
            lines, step = lines * np.uint8(step), 1
        panels = aligned((lines.size,), lines.dtype)
        panels[:] = lines.reshape(-1)
        return replace(self, coding=replace(self.coding, kind=PanelKind.DOT8, bits=8, step=step), panels=panels)

    def suited(self, vectors: int) -> "Panels":
        """The quicker of packed and unpacked weights: packed for one vector, or for few and a matrix in far caches."""
        near = self.panels.nbytes * max(8 // self.coding.bits, 1) <= _FAR
        return self.dense if vectors >= DENSE or (near and vectors > 1) else self

    def codes(self, inputs: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], Integers]:
        """The codes ``(N * parts, pitch)`` of inputs ``(N, columns)``, and ``factor`` times the sum of each vector's.

        Inputs must lie in the range that the panels were made for. Of two parts the lower bytes come first.
        """
        coding = self.coding
        codes = unfilled((len(inputs) * coding.parts, self.pitch), coding.input_type)
        sums = np.empty(len(inputs), dtype=np.int64)
        encode(inputs, coding.offset, coding.factor, codes, sums)
        return codes, sums

    def multiply(self, inputs: NDArray[np.integer[Any]]) -> NDArray[np.signedinteger[Any]]:
        """The exact sums of products ``(N, rows)``: int32 where every sum fits 32 bits, else int64."""
        suited = self.suited(len(inputs))
        if suited is not self:
            return suited.multiply(inputs)
        codes, sums = self.codes(inputs)
        if self.window is not None:
            return self._wide(codes, sums)[:, : self.rows]
        short, coding = unfilled((len(inputs), self.height), np.int32), self.coding
        if MATRICES and coding.parts == 2 and len(codes) >= DENSE:
            both, none = aligned((len(codes), self.height), np.int32), np.zeros(len(codes), dtype=np.int32)
            multiply(coding.bits, 1, self.panels, codes, none, np.zeros_like(self.start), both, self.scratch(), False)
            join_halves(both, coding.step, sums.astype(np.int32), self.start, short)
        else:
            self.multiply_codes(codes, sums.astype(np.int32), short)
        return short[:, : self.rows]

    def multiply_codes(self, codes: NDArray[Any], sums: Words, out: Words) -> None:
        """Write to ``out`` (N, height) the sums of products of codes and what :meth:`codes` gives with them."""
        coding = self.coding
        turns = self.panels.nbytes > _FAR >= out.nbytes  # many sums are better written as they stand
        backward = turns and next(self._turns) % 2 == 1
        multiply(coding.bits, coding.step, self.panels, codes, sums, self.start, out, self.scratch(), backward)

    @cached_property
    def _turns(self) -> Iterator[int]:
        """How often it was multiplied."""
        return count()

    def _wide(self, codes: NDArray[Any], sums: Integers) -> Integers:
        """The sums of products ``(N, height)``, those of each window in 32 bits."""
        assert self.window is not None
        wide = self.constants + sums[:, None]
        none, short = np.zeros(len(codes), np.int32), np.empty((len(codes), self.height), np.int32)
        for first, panels in zip(
            range(0, self.width, self.window), self.panels.reshape(self.width // self.window, -1), strict=True
        ):
            read = np.ascontiguousarray(codes[:, first : first + self.window])
            multiply(self.coding.bits, 1, panels, read, none, np.zeros_like(self.start), short, self.scratch(), False)
            add_window(self.coding.step, short, wide)
        return wide


def _fits_int32(weight: NDArray[np.integer[Any]], inputs: Range) -> bool:
    """Whether the sum of each row's products fits 32 bits for all inputs."""
    low, high = int(inputs.low), int(inputs.high)
    positive = np.sum(np.maximum(weight, 0), axis=1, dtype=np.int64)
    negative = np.sum(np.minimum(weight, 0), axis=1, dtype=np.int64)
    ends = positive * low + negative * high, positive * high + negative * low
    least, most = int(np.min(ends[0], initial=0)), int(np.max(ends[1], initial=0))
    return least >= int(_INT32.low) and most <= int(_INT32.high)


def _windowed(weight: NDArray[np.integer[Any]], inputs: Range, coding: Coding) -> tuple[Coding, int]:
    """How many windows there must be; where they would be many and short, inputs are cut into bytes first."""
    windows = _windows(coding.weights(weight), coding, inputs)
    if coding.kind is PanelKind.DOT16 and weight.shape[1] < _SHORT_WINDOW * windows:
        coding = replace(coding, offset=_offset(inputs, _HALVES), parts=2)
        windows = _windows(coding.weights(weight), coding, inputs)
    return coding, windows


def _windows(codes: NDArray[Any], coding: Coding, inputs: Range) -> int:
    """A count of windows in each of which no sum of any row's products leaves 32 bits."""
    ends = int(inputs.low) - coding.offset, int(inputs.high) - coding.offset
    largest = 1 << 7 if coding.parts == 2 else max(abs(end) for end in ends)
    whole = coding.lane * coding.groups
    sizes = np.abs(codes.astype(np.int32)).reshape(len(codes), -1, whole).sum(axis=2, dtype=np.int64)
    steps, windows = sizes.shape[1], 1
    while windows < steps:
        sums: Integers = np.add.reduceat(sizes, np.arange(0, steps, -(-steps // windows)), axis=1)
        if int(np.max(sums, initial=0)) * largest <= int(_INT32.high):
            break
        windows *= 2
    return windows if windows < steps else int(steps)
