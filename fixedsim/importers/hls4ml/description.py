"""What an hls4ml project holds, in hls4ml's words: a chain of layers with their types, sizes and weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Variable:
    """An array of the project's function: one sample, ``(steps, features)`` or ``(features,)``."""

    name: str
    type: str  # as defines.h spells it: ap_fixed<16,6>
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class HlsLayer:
    """One call in the project's function, with what its configuration says.

    Attributes:
        kind: dense, lstm, relu, sigmoid, tanh, hard_sigmoid, hard_tanh or linear.
        name: the layer's name, from the comment behind the call.
        input_type: the type of what the layer reads, as defines.h spells it.
        output_type: the type of its result.
        input_shape: ``(steps, features)`` or ``(features,)``.
        output_shape: of the result, likewise.
        types: by use: accum, weight, bias, recurrent_weight, recurrent_bias, table, slope, shift.
        sizes: n_in, n_out, n_sequence, n_sequence_out, n_state, table_size; n_sequence of a dense layer that runs
            at every step.
        weights: the decimal numbers of the text files: weight ``(n_in, n_out)`` and bias ``(n_out,)`` of a dense
            layer; weight ``(n_in, 4 * n_state)``, recurrent_weight ``(n_state, 4 * n_state)``, bias and
            recurrent_bias ``(4 * n_state,)`` of an LSTM, gates i, f, c, o.
        constants: slope and shift of hard_sigmoid and hard_tanh.
        return_sequences: whether an LSTM gives its output at every step.
        activation: an LSTM's function of the cell.
        recurrent_activation: an LSTM's function of the gates.
    """

    kind: str
    name: str
    input_type: str
    output_type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    return_sequences: bool = False
    activation: str = ""
    recurrent_activation: str = ""


@dataclass(frozen=True, eq=False)
class Project:
    """A project: its function's name, what it reads and writes, and the layers between in their order."""

    name: str
    input: Variable
    output: Variable
    layers: tuple[HlsLayer, ...]
