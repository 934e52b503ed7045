"""An LSTM in plain Python floats, one unit at a time: shares no code with what it checks."""

import math
from typing import Any

Matrix = list[list[float]]


def sigmoid(x: float) -> float:
    """The logistic function, from the exponential alone."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def dot(row: list[float], x: list[float]) -> float:
    """The sum of products."""
    return math.fsum(a * b for a, b in zip(row, x, strict=True))


def lstm_step(x: list[float], h: list[float], c: list[float], weights: dict[str, Any]) -> dict[str, list[float]]:
    """All signals of one step for one stream; rows of the matrices are input, forget, candidate, output gate."""
    units = len(h)
    signals: dict[str, list[float]] = {}
    for index, gate in enumerate(("input", "forget", "candidate", "output")):
        rows = range(index * units, (index + 1) * units)
        z = [dot(weights["input"][r], x) + dot(weights["recurrent"][r], h) + weights["bias"][r] for r in rows]
        signals[f"gate.{gate}.preactivation"] = z
        signals[f"gate.{gate}"] = [math.tanh(v) if gate == "candidate" else sigmoid(v) for v in z]
    signals["forget_product"] = [signals["gate.forget"][u] * c[u] for u in range(units)]
    signals["input_product"] = [signals["gate.input"][u] * signals["gate.candidate"][u] for u in range(units)]
    signals["cell"] = [signals["forget_product"][u] + signals["input_product"][u] for u in range(units)]
    signals["cell_activation"] = [math.tanh(v) for v in signals["cell"]]
    signals["hidden"] = [signals["gate.output"][u] * signals["cell_activation"][u] for u in range(units)]
    return signals


def lstm_stream(
    xs: Matrix, weights: dict[str, Any], *, length: int, resets: list[bool], backward: bool
) -> tuple[dict[str, Matrix], tuple[list[float], list[float]]]:
    """Every signal of every step of one stream, zeros past ``length``, and the last ``h`` and ``c``."""
    units = len(weights["recurrent"][0])
    h, c = [0.0] * units, [0.0] * units
    empty = {name: [0.0] * units for name in lstm_step(xs[0], h, c, weights)}
    steps = [empty] * len(xs)
    order = range(length - 1, -1, -1) if backward else range(length)
    for t in order:
        if resets[t]:
            h, c = [0.0] * units, [0.0] * units
        steps[t] = lstm_step(xs[t], h, c, weights)
        h, c = steps[t]["hidden"], steps[t]["cell"]
    return {name: [step[name] for step in steps] for name in empty}, (h, c)
