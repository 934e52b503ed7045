"""An LSTM in plain Python floats, one unit at a time: shares no code with what it checks."""

import math
from collections.abc import Callable
from typing import Any

Matrix = list[list[float]]
GATES = ("input", "forget", "candidate", "output")


def sigmoid(x: float) -> float:
    """The logistic function, from the exponential alone."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def hard_sigmoid_fifth(x: float) -> float:
    """Keras 2's: 0 up to -2.5, 1 from 2.5 on, a line between."""
    return 0.0 if x < -2.5 else 1.0 if x > 2.5 else 0.2 * x + 0.5


FUNCTIONS: dict[str, Callable[[float], float]] = {"sigmoid": sigmoid, "hard_sigmoid_fifth": hard_sigmoid_fifth}


def dot(row: list[float], x: list[float]) -> float:
    """The sum of products."""
    return math.fsum(a * b for a, b in zip(row, x, strict=True))


def clipped(x: float, limit: float | None) -> float:
    """``x``, or the end of ``-limit .. limit`` that it lies beyond."""
    if limit is None:
        return x
    return -limit if x < -limit else limit if x > limit else x


def lstm_step(x: list[float], h: list[float], c: list[float], weights: dict[str, Any]) -> dict[str, list[float]]:
    """All signals of one step for one stream; rows of the matrices are input, forget, candidate, output gate.

    ``weights`` holds the matrices and the bias, and where the layer has them ``projection``, ``peephole`` (by gate),
    ``coupled`` (no rows of the input gate), ``clip``, ``cell_clip`` and ``gate``, the name of the gates' function.
    """
    units, clip = len(c), weights.get("clip")
    function = FUNCTIONS[weights.get("gate", "sigmoid")]
    rows = GATES[1:] if weights.get("coupled") else GATES
    signals: dict[str, list[float]] = {}

    def gate(name: str, cell: list[float]) -> None:
        first = rows.index(name) * units
        z = [
            dot(weights["input"][r], x) + dot(weights["recurrent"][r], h) + weights["bias"][r]
            for r in range(first, first + units)
        ]
        peephole = weights.get("peephole", {}).get(name)
        if peephole is None:
            read = signals[f"gate.{name}.preactivation"] = [clipped(v, clip) for v in z]
        else:
            signals[f"gate.{name}.preactivation"] = z
            read = [clipped(z[u] + peephole[u] * cell[u], clip) for u in range(units)]
            signals[f"gate.{name}.peephole_sum"] = read
        signals[f"gate.{name}"] = [math.tanh(v) if name == "candidate" else function(v) for v in read]

    for name in rows[:-1]:
        gate(name, c)
    if weights.get("coupled"):
        signals["gate.input"] = [1 - f for f in signals["gate.forget"]]
    signals["forget_product"] = [signals["gate.forget"][u] * c[u] for u in range(units)]
    signals["input_product"] = [signals["gate.input"][u] * signals["gate.candidate"][u] for u in range(units)]
    sums = [signals["forget_product"][u] + signals["input_product"][u] for u in range(units)]
    signals["cell"] = [clipped(v, weights.get("cell_clip")) for v in sums]
    gate("output", signals["cell"])
    signals["cell_activation"] = [math.tanh(v) for v in signals["cell"]]
    signals["hidden"] = [signals["gate.output"][u] * signals["cell_activation"][u] for u in range(units)]
    if weights.get("projection") is not None:
        signals["projection.output"] = [dot(row, signals["hidden"]) for row in weights["projection"]]
    return signals


def lstm_stream(
    xs: Matrix, weights: dict[str, Any], *, length: int, resets: list[bool], backward: bool
) -> tuple[dict[str, Matrix], tuple[list[float], list[float]]]:
    """Every signal of every step of one stream, zeros past ``length``, and the last ``h`` and ``c``.

    ``weights["initial"]`` is the ``h`` and ``c`` at the start, zeros where it is not given.
    """
    units, width = len(weights["bias"]) // (3 if weights.get("coupled") else 4), len(weights["recurrent"][0])
    start = weights.get("initial", ([0.0] * width, [0.0] * units))
    written = "hidden" if weights.get("projection") is None else "projection.output"
    h, c = start
    empty = {name: [0.0] * len(values) for name, values in lstm_step(xs[0], h, c, weights).items()}
    steps = [empty] * len(xs)
    order = range(length - 1, -1, -1) if backward else range(length)
    for t in order:
        if resets[t]:
            h, c = start
        steps[t] = lstm_step(xs[t], h, c, weights)
        h, c = steps[t][written], steps[t]["cell"]
    return {name: [step[name] for step in steps] for name in empty}, (h, c)
