"""Files whose conventions are known, and what their trainer gives: an LSTM in plain loops, sharing no code."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[Any]
LETTERS = "ifgo"  # the order in which a direction below keeps its gates


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def hard_sigmoid(x: float) -> float:
    return min(max(x / 6 + 0.5, 0.0), 1.0)


@dataclass
class Direction:
    """One direction's weights: rows are the input, forget, candidate and output gates of all units."""

    input: Array
    recurrent: Array
    first_bias: Array
    second_bias: Array

    @classmethod
    def drawn(cls, inputs: int, units: int, seed: int) -> "Direction":
        rng = np.random.default_rng(seed)
        shapes: list[tuple[int, ...]] = [(4 * units, inputs), (4 * units, units), (4 * units,), (4 * units,)]
        return cls(*(rng.normal(size=shape) for shape in shapes))

    @property
    def units(self) -> int:
        return int(self.recurrent.shape[1])

    def bias(self, which: str) -> Array:
        """The bias that the trainer adds: of ``summed``, ``first`` and ``second`` one."""
        return {"summed": self.first_bias + self.second_bias, "first": self.first_bias, "second": self.second_bias}[
            which
        ]

    def run(self, x: Array, *, bias: str = "summed", forget: float = 0.0, gate: Any = sigmoid) -> Array:
        """The outputs ``(T, H)`` for one sequence ``(T, I)``, from a state of zeros."""
        added, hidden, cell, outputs = self.bias(bias), [0.0] * self.units, [0.0] * self.units, []
        for step in x:
            z = [
                sum(self.input[row, k] * step[k] for k in range(len(step)))
                + sum(self.recurrent[row, k] * hidden[k] for k in range(self.units))
                + added[row]
                for row in range(4 * self.units)
            ]
            for unit in range(self.units):
                i, f, g, o = (z[index * self.units + unit] for index in range(4))
                cell[unit] = gate(f + forget) * cell[unit] + gate(i) * math.tanh(g)
                hidden[unit] = gate(o) * math.tanh(cell[unit])
            outputs.append(list(hidden))
        return np.array(outputs)

    def tensors(self, name: str, ending: str, order: str = LETTERS, *, interleaved: bool = False) -> dict[str, Array]:
        """The tensors as a file has them, gates in ``order``: stacked, or unit by unit."""
        parts = {
            "weight_ih": self.input,
            "weight_hh": self.recurrent,
            "bias_ih": self.first_bias,
            "bias_hh": self.second_bias,
        }
        return {f"{name}.{part}_{ending}": _rows(array, order, interleaved) for part, array in parts.items()}


def _rows(array: Array, order: str, interleaved: bool) -> Array:
    units = len(array) // 4
    places = [(gate, unit) for gate in order for unit in range(units)]
    if interleaved:
        places = [(gate, unit) for unit in range(units) for gate in order]
    return np.stack([array[LETTERS.index(gate) * units + unit] for gate, unit in places])


def both(forward: Direction, backward: Direction, x: Array, **choices: Any) -> tuple[Array, Array]:
    """The outputs of both directions for one sequence, both in the order of the input."""
    return forward.run(x, **choices), backward.run(x[::-1], **choices)[::-1]


@dataclass
class Linear:
    """A fully connected layer."""

    weight: Array
    bias: Array

    @classmethod
    def drawn(cls, inputs: int, outputs: int, seed: int) -> "Linear":
        rng = np.random.default_rng(seed)
        return cls(rng.normal(size=(outputs, inputs)), rng.normal(size=outputs))

    def run(self, x: Array) -> Array:
        return np.array([[sum(row * step) + b for row, b in zip(self.weight, self.bias, strict=True)] for step in x])

    def tensors(self) -> dict[str, Array]:
        return {"fc.weight": self.weight, "fc.bias": self.bias}


def written(folder: Path, *parts: dict[str, Array]) -> Path:
    """A ``.safetensors`` file of all tensors of ``parts``."""
    path = folder / "planted.safetensors"
    save_file({name: np.ascontiguousarray(array) for part in parts for name, array in part.items()}, path)
    return path
