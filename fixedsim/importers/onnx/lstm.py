"""The operator LSTM: its attributes, weights, initial states and lengths, and what its outputs are."""

from typing import Final

import numpy as np

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.call import Call
from fixedsim.importers.onnx.dense import hard_sigmoid_name, readable, real
from fixedsim.importers.onnx.found import Lstm, LstmChoices, LstmDirection, depth_of
from fixedsim.importers.onnx.layout import source_names
from fixedsim.importers.onnx.sizes import shown
from fixedsim.importers.onnx.values import Array, Atom, Axis, Constant, Opaque, Part, Step, Stream, Value, axis_size

_DIRECTIONS: Final = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_DEFAULTS: Final = ("Sigmoid", "Tanh", "Tanh")
_PLAIN: Final = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu"}
_HARD: Final = "hardsigmoid"
_X, _W, _R, _B, _LENGTHS, _HIDDEN, _CELL, _PEEPHOLE = range(8)


def lstm(call: Call) -> list[Value]:
    """``LSTM``: the outputs of all steps, and hidden state and cell after the last that each direction takes."""
    node = _layer(call)
    count = len(node.directions)
    stack, features = Atom(count), Atom(node.choices.units)
    counted: Axis = (stack,) if count > 1 else ()
    time, batch = _axis(node.time), _axis(node.batch)
    later = call.integer("layout", 0) == 1
    every = (batch, time, counted, (features,)) if later else (time, counted, batch, (features,))
    after = (batch, counted, (features,)) if later else (counted, batch, (features,))

    def output(step: Step, axes: tuple[Axis, ...]) -> Stream:
        parts = tuple(Part(node, direction, step) for direction in range(count))
        return Stream(parts, axes, (*counted, features), node.time, node.input.turned if step == "all" else None)

    cells = Opaque(f"the cells of {call.label}", cells=frozenset([node]))
    return [output("all", every), output("final", after), cells]


def _axis(atom: Atom | None) -> Axis:
    return () if atom is None else (atom,)


def _layer(call: Call) -> Lstm:
    backward = _DIRECTIONS.get(call.text("direction", "forward"))
    if backward is None:
        raise call.error(f"direction must be forward, reverse or bidirectional, not {call.text('direction', '')!r}")
    count, units, inputs = len(backward), *_sizes(call, len(backward))
    data = readable(call, call.stream(_X), inputs)
    time, batch = _sequence_axes(call, data)
    turned = data.turned is not None
    if turned and data.turned is not time:
        raise call.error("data must be turned round along time alone, not along another axis")
    initial, states = _initial(call, count, units)
    parts = _direction_parts(call, count, units)
    directions = tuple(
        LstmDirection(way != turned, *part, initial=state)
        for way, part, state in zip(backward, parts, initial, strict=True)
    )
    gate, candidate, cell = _functions(call, count)
    lengths = _lengths(call, time)
    if lengths and turned:
        raise call.error("sequence_lens must be absent where time was turned round before")
    choices = LstmChoices(units, gate, candidate, cell, _clip(call), call.integer("input_forget", 0) != 0, lengths)
    names = (call.path, *(call.constant(index).origin for index in (_W, _R)))
    return Lstm(names, choices, directions, data, time, batch, depth_of(data) + 1, states)


def _sizes(call: Call, count: int) -> tuple[int, int]:
    """Units and inputs, from the shapes of the weights, which must fit each other."""
    weight, recurrent = real(call, _W, "W", 3), real(call, _R, "R", 3)
    units, inputs = recurrent.shape[2], weight.shape[2]
    if weight.shape != (count, 4 * units, inputs) or recurrent.shape != (count, 4 * units, units):
        raise call.error(
            f"W and R must be ({count}, 4H, I) and ({count}, 4H, H), not {weight.shape} and {recurrent.shape}"
        )
    if call.integer("hidden_size", units) != units:
        raise call.error(f"hidden_size must be {units} as R has it, not {call.integer('hidden_size', 0)}")
    return units, inputs


def _direction_parts(
    call: Call, count: int, units: int
) -> list[tuple[Array, Array, tuple[Array, Array] | None, Array | None]]:
    """Of each direction W, R, both halves of B, and P."""
    weight, recurrent = real(call, _W, "W", 3), real(call, _R, "R", 3)
    bias = _optional(call, _B, "B", (count, 8 * units))
    peephole = _optional(call, _PEEPHOLE, "P", (count, 3 * units))
    return [
        (
            weight[way],
            recurrent[way],
            None if bias is None else (bias[way, : 4 * units], bias[way, 4 * units :]),
            None if peephole is None else peephole[way],
        )
        for way in range(count)
    ]


def _optional(call: Call, index: int, what: str, shape: tuple[int, ...]) -> Array | None:
    if not call.given(index):
        return None
    found = call.constant(index)
    if found.dims == shape and found.uniform == 0:  # also where it was expanded
        return np.zeros(shape[0] * shape[1], np.float32).reshape(shape) if what == "B" else None
    array = real(call, index, what, 2)
    if array.shape != shape:
        raise call.error(f"{what} must be of shape {shape}, not {array.shape}")
    return array


def _sequence_axes(call: Call, data: Stream) -> tuple[Atom | None, Atom | None]:
    """The axes of time and of sequences; None for one of size 1."""
    layout = call.integer("layout", 0)
    if layout not in (0, 1) or len(data.axes) != 3:
        raise call.error(f"X must have 3 axes and layout must be 0 or 1, not {len(data.axes)} and {layout}")
    time, batch = data.axes[layout], data.axes[1 - layout]
    if len(time) > 1 or len(batch) > 1:
        raise call.error(f"time and sequences must be axes of their own, not joined as in {shown(data.dims)}")
    atom = time[0] if time else None
    if any(part.step != "all" for part in data.parts):
        raise call.error("X must hold all steps of the layer before, not one")
    if data.time not in (None, atom):
        raise call.error("time must be the axis that the LSTM before runs over, not another")
    return atom, batch[0] if batch else None


def _clip(call: Call) -> float | None:
    if not call.has("clip"):
        return None
    clip = call.number("clip", 0.0)
    if clip <= 0:
        raise call.error(f"clip must be above 0, not {clip:g}")
    return clip


def _functions(call: Call, count: int) -> tuple[str, str, str]:
    """The functions of gates, candidate and cell, the same for both directions."""
    given = call.texts("activations") or _DEFAULTS * count
    slopes, offsets = list(call.numbers("activation_alpha")), list(call.numbers("activation_beta"))
    if len(given) != 3 * count:
        raise call.error(f"activations must be {3 * count}, not {len(given)}")
    names = [_function(call, name, slopes, offsets) for name in given]
    if names[:3] * count != names:
        raise call.error(f"activations must be the same for both directions, not {', '.join(given)}")
    return names[0], names[1], names[2]


def _function(call: Call, name: str, slopes: list[float], offsets: list[float]) -> str:
    """Our name of a function; a hard sigmoid takes the next slope and offset, or ONNX's default."""
    if name.lower() in _PLAIN:
        return _PLAIN[name.lower()]
    if name.lower() != _HARD:
        raise call.error(f"activations must be Sigmoid, Tanh, Relu or HardSigmoid, not {name!r}")
    slope = slopes.pop(0) if slopes else 0.2
    offset = offsets.pop(0) if offsets else 0.5
    found = hard_sigmoid_name(slope, offset)
    if found is None:
        raise call.error(f"HardSigmoid must have slope 1/5 or 1/6 and offset 1/2, not {slope:g} and {offset:g}")
    return found


def _lengths(call: Call, time: Atom | None) -> str:
    """The input of the graph that says how long sequences are; empty where all are of full length."""
    if not call.given(_LENGTHS):
        return ""
    value = call.value(_LENGTHS)
    if isinstance(value, Constant):
        if value.uniform is None or value.uniform != axis_size(_axis(time)):
            raise call.error("sequence_lens must be the full length for all, or an input of the graph")
        return ""
    return ", ".join(sorted(_inputs(call, value, "sequence_lens")))


def _inputs(call: Call, value: Value, what: str) -> frozenset[str]:
    names = source_names(value)
    if names is None:
        raise call.error(f"{what} must be a constant or an input of the graph, not computed")
    return names


def _initial(call: Call, count: int, units: int) -> tuple[list[tuple[Array | None, Array | None]], tuple[str, ...]]:
    """Hidden state and cell of each direction at the start, None for zero, and the graph's inputs that hold some."""
    states: list[list[Array | None]] = []
    names: set[str] = set()
    for index, what in ((_HIDDEN, "initial_h"), (_CELL, "initial_c")):
        rows: list[Array | None] = [None] * count
        if call.given(index):
            value = call.value(index)
            if isinstance(value, Constant):
                rows = _rows(call, value, what, count, units)
            else:
                names |= _inputs(call, value, what)
        states.append(rows)
    return list(zip(*states, strict=True)), tuple(sorted(names))


def _rows(call: Call, value: Constant, what: str, count: int, units: int) -> list[Array | None]:
    """One row for each direction, which is the same for all sequences."""
    if value.uniform == 0:
        return [None] * count
    array = value.array.swapaxes(0, 1) if value.array.ndim == 3 and call.integer("layout", 0) else value.array
    if (
        array.ndim != 3
        or array.dtype.kind != "f"
        or array.shape[0] not in (1, count)
        or array.shape[2] not in (1, units)
    ):
        raise call.error(f"{what} must be real numbers of shape ({count}, sequences, {units}), not {value.shown}")
    if not array.size or not np.array_equal(array, np.broadcast_to(array[:, :1], array.shape)):
        raise NetworkError(f"{call.label}: {what} must be the same for all sequences, not one for each")
    return list(np.broadcast_to(array[:, 0], (count, units)))
