"""This project's side of the workloads: each function gives the call that is timed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim import Model
from fixedsim.evaluation import evaluate
from fixedsim.execution import Products, Range, format_range
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator
from tests.benchmarks.measure import Call

PROVEN = Accumulator(bits=40)  # no sum of the measured matrices can overflow it
_BYTE = 8


def random_matrix(bits: int, rows: int, columns: int) -> NDArray[np.int64]:
    """Random raws of a signed format; of the values -1 and 1 for one bit."""
    rng = np.random.default_rng(rows + columns)
    if bits == 1:
        return rng.choice(np.array([-1, 1]), (rows, columns))
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (rows, columns))


def random_vectors(bits: int, count: int, columns: int) -> NDArray[np.int64]:
    """Random raws ``(count, columns)`` of a signed format."""
    rng = np.random.default_rng(bits)
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (count, columns))


def matrix(weight: NDArray[Any], vectors: NDArray[Any], *, bits: int) -> Call:
    """The exact sums ``(vectors, rows)`` of a matrix ``(rows, inputs)`` and vectors of signed ``bits``."""
    products = _products(weight, bits, PROVEN)
    given: NDArray[Any] = np.ascontiguousarray(vectors, dtype=np.int8 if bits <= _BYTE else np.int16)
    return lambda: products.multiply(given)


def stepped(weight: NDArray[Any], vectors: NDArray[Any], *, bits: int, accumulator: Accumulator) -> Call:
    """What an accumulator holds after the products of each row, its overflow acting at every step."""
    products = _products(weight, bits, accumulator)
    start, counts = np.zeros(len(weight), dtype=np.int64), np.zeros(2, dtype=np.int64)
    return lambda: products.run(vectors, start, counts)


def _products(weight: NDArray[Any], bits: int, accumulator: Accumulator) -> Products:
    zeros = np.zeros(len(weight), dtype=np.int64)
    start = Range(zeros.astype(object), zeros.astype(object))
    return Products(weight, zeros, accumulator, inputs=format_range(Format.integer(bits)), start=start)


def whole(model: Model, inputs: NDArray[Any], *, threads: int = 1) -> Call:
    """The output raws of all steps at once, from the initial state."""
    return lambda: model.run(inputs, threads=threads).values


def with_reals(model: Model, inputs: NDArray[Any]) -> Call:
    """All that a run gives for its outputs: raws and reals."""

    def run() -> tuple[object, object]:
        result = model.run(inputs)
        return result.values, result.real

    return run


def streamed(model: Model, tokens: NDArray[np.int64]) -> Call:
    """One step after the other, every output of each, the state carried on; tokens ``(steps,)``."""

    rows = list(tokens[:, None])

    def run() -> None:
        stream = model.stream()
        for row in rows:
            stream.step(row)

    return run


def scored(model: Model, tokens: NDArray[np.int64]) -> Call:
    """The perplexity over a stream of tokens."""
    return lambda: evaluate(model, tokens)


def imported(path: Path, inputs: NDArray[Any], executor: str | None = None) -> Call:
    """A file or folder of another program, run on raws ``(steps, batch, features)``."""
    from fixedsim.importers import import_model

    model = import_model(path) if executor is None else import_model(path, executor=executor)
    return whole(model, inputs)
