"""Replay of ``ap_fixed`` and ``ac_fixed`` in C++: casts, results of arithmetic, conversions and dot products.

A file holds many combinations of types: row k of ``fmt`` has the columns that ``fmt_cols`` names, and belongs to the
elements ``off_x[k] .. off_x[k + 1]`` of array ``x``.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim import hls_arithmetic as hls
from fixedsim.hls_types import (
    OVERFLOWS,
    ROUNDINGS,
    Family,
    HlsType,
    difference_type,
    product_type,
    quotient_type,
    sum_type,
)
from tests.oracle.results import Result

Array = NDArray[Any]
INT, UNSIGNED = (HlsType(Family.AP, 32, 32, signed) for signed in (True, False))  # C++'s own, as ap types see them


class Combination(NamedTuple):
    """One row of ``fmt``, and its elements of every array."""

    columns: Mapping[str, int]
    arrays: Mapping[str, Array]
    modes: tuple[list[str], list[str]]
    family: Family

    def type(self, prefix: str, *, modes: tuple[str, str] | None = None) -> HlsType:
        """The type of the columns ``W``, ``I`` and ``S`` after a prefix, and of the columns of its modes."""
        bits, integer = self.columns[f"{prefix}W"], self.columns[f"{prefix}I"]
        plain = HlsType(self.family, bits, integer, bool(self.columns.get(f"{prefix}S", 1)))
        if modes is None:
            return plain
        rounding, overflow = (names[self.columns[column]][3:] for names, column in zip(self.modes, modes, strict=True))
        shape = plain.family, plain.bits, plain.integer_bits, plain.signed
        return HlsType(*shape, ROUNDINGS[rounding], OVERFLOWS[overflow], self.columns.get("n", 0))


Rows = Iterator[tuple[str, Array, Array]]  # what is compared, found and recorded


def replay(path: Path) -> list[Result]:
    """Compare every recorded element; one row for each kind of result and combination of modes."""
    combinations, kind = load(path)
    compared, differing = Counter[str](), Counter[str]()
    for combination in combinations:
        for signal, found, recorded in kind(combination):
            wrong = np.asarray(found).astype(object).ravel() != np.asarray(recorded).astype(object).ravel()
            compared[signal] += np.size(recorded)
            differing[signal] += int(np.count_nonzero(wrong))
    family = f"{combinations[0].family}_fixed"
    return [Result(family, path.stem, signal, compared[signal], differing[signal]) for signal in sorted(compared)]


def recognises(names: set[str]) -> bool:
    """Whether arrays of these names are of this kind."""
    return {"fmt", "fmt_cols", "q_names", "o_names"} <= names and _kind(names) is not None


def load(path: Path) -> tuple[list[Combination], Callable[[Combination], Rows]]:
    """The combinations of a file, and what compares one of them."""
    with np.load(path) as stored:
        held = {name: stored[name] for name in stored}
    kind = _kind(set(held))
    if kind is None:
        raise ValueError(f"{path} must hold recorded casts, arithmetic, conversions or dot products")
    modes: tuple[list[str], list[str]] = held["q_names"].tolist(), held["o_names"].tolist()
    family = Family(modes[0][0][:2].lower())
    names = [name.removeprefix("off_") for name in held if name.startswith("off_")]
    columns = held["fmt_cols"].tolist()
    combinations = []
    for number, row in enumerate(held["fmt"].tolist()):
        arrays = {name: held[name][slice(*held[f"off_{name}"][number : number + 2].tolist())] for name in names}
        combinations.append(Combination(dict(zip(columns, row, strict=True)), arrays, modes, family))
    return combinations, kind


def _kind(names: set[str]) -> Callable[[Combination], Rows] | None:
    kinds: list[tuple[set[str], Callable[[Combination], Rows]]] = [
        ({"src_f64_bits", "tgt"}, doubles),
        ({"to_int", "neg"}, conversions),
        ({"acc_fused", "acc_prodcast"}, dot_products),
        ({"a", "b", "mul", "add", "sub"}, arithmetic),
        ({"tgt"}, casts),
    ]
    return next((kind for wanted, kind in kinds if wanted <= names), None)


def _modes(kind: HlsType) -> str:
    return (
        kind.name.partition(">")[0].split(",", 3 if kind.family is Family.AC else 2)[-1] if kind != kind.plain else ""
    )


def casts(combination: Combination) -> Rows:
    """Assignments of one type to another: of the sources that stand there, or of every raw in ascending order."""
    source, target = combination.type("src"), combination.type("dst", modes=("q", "o"))
    given = combination.arrays.get("src")
    raws = np.arange(source.raw_min, source.raw_max + 1) if given is None else given
    found = hls.assign(raws, source.fraction_bits, target)
    yield f"cast {_modes(target)}", found, combination.arrays["tgt"]


def doubles(combination: Combination) -> Rows:
    """Assignments of binary64 numbers."""
    target = combination.type("", modes=("q", "o"))
    values = combination.arrays["src_f64_bits"].astype(np.int64).view(np.float64)
    yield f"double {_modes(target)}", hls.from_double(values, target), combination.arrays["tgt"]


def arithmetic(combination: Combination) -> Rows:
    """Products, sums and differences at full precision, and their types."""
    left, right = combination.type("a"), combination.type("b")
    a, b = combination.arrays["a"], combination.arrays["b"]
    operations = {
        "mul": (product_type, hls.multiply),
        "add": (sum_type, hls.add),
        "sub": (difference_type, hls.subtract),
    }
    for name, (result_type, operation) in operations.items():
        yield f"{name} type", _shape(result_type(left, right)), _shape(combination.type(name))
        yield name, operation(a, left, b, right), combination.arrays[name]


def _shape(kind: HlsType) -> Array:
    return np.array([kind.bits, kind.integer_bits, kind.signed], np.int64)


def conversions(combination: Combination) -> Rows:
    """Conversions to an integer, a quotient, and the operators that keep the type."""
    kind, raws, recorded = combination.type(""), combination.arrays["a"], combination.arrays
    product, quotient = product_type(kind, UNSIGNED), quotient_type(product_type(kind, UNSIGNED), INT)
    yield "mul type", _shape(product), _shape(combination.type("mul"))
    yield "div type", _shape(quotient), _shape(combination.type("div"))
    scaled = hls.divide(hls.multiply(raws, kind, [1024], UNSIGNED), product, [16], INT)
    yield "(int)x", hls.to_integer(raws, kind), recorded["to_int"]
    yield "(int)(x*1024u/16)", hls.to_integer(scaled, quotient), recorded["idx_x_times_1024_div_16"]
    yield "-x", hls.negate(raws, kind), recorded["neg"]
    yield "x<<2", hls.shift_left(raws, kind, 2), recorded["shl2"]
    yield "x>>2", hls.shift_right(raws, kind, 2), recorded["shr2"]


def dot_products(combination: Combination) -> Rows:
    """Sums of products, rounded at each step or with the products cast first, and their casts to an output."""
    target, output = combination.type("acc", modes=("acc_q", "acc_o")), combination.type("y", modes=("y_q", "y_o"))
    product = product_type(combination.type("x"), combination.type("w"))
    bias = combination.arrays["bias"]
    weights, inputs = (combination.arrays[name].reshape(len(bias), -1) for name in ("w", "x"))
    for name in ("fused", "prodcast"):
        first = name == "prodcast"
        found = hls.dot(weights, inputs, product.fraction_bits, bias, target, product_cast=first)
        yield f"acc_{name} {_modes(target)}", found, combination.arrays[f"acc_{name}"]
        assigned = hls.assign(found, target.fraction_bits, output)
        yield f"y_{name} {_modes(output)}", assigned, combination.arrays[f"y_{name}"]
