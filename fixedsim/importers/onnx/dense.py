"""Operators of fully connected layers and embeddings, and the functions behind them."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fixedsim.importers.onnx import axes, constants
from fixedsim.importers.onnx.call import Call
from fixedsim.importers.onnx.found import Embedding, Linear, Source, depth_of, lstm_beneath
from fixedsim.importers.onnx.layout import moved, source_names
from fixedsim.importers.onnx.shapes import added_token, sizes_computed
from fixedsim.importers.onnx.sizes import product
from fixedsim.importers.onnx.values import Array, Atom, Axis, Constant, Opaque, Part, Stream, Value

NEWER_SOFTMAX = 13  # from which on its axis is one axis, and the last where it is left out


def readable(call: Call, data: Stream, width: int) -> Stream:
    """The data with their features, which stand in the last axis, for a layer that reads ``width`` of them.

    Raises:
        NetworkError: the last axis is another, or is of another size.
    """
    last: Axis = data.axes[-1] if data.axes else ()
    if source_names(data) is not None:
        source = data.parts[0].node
        order = [atom for axis in source.axes for atom in axis]
        if not last or (len(last) > 1 and tuple(order[-len(last) :]) != last):
            raise call.error(f"input {source.name!r} must be read with its features last, not as {data.dims}")
        data = replace(data, features=last)
    if data.ending:
        raise call.error(f"{data.ending} must stand at the end, not in the middle of the network")
    if last != data.features:
        raise call.error("features must be the whole last axis, not another")
    size = product(atom.size for atom in last)
    if size != width and isinstance(size, int):
        raise call.error(f"weight must be for {size} features, not {width}")
    return data


def real(call: Call, index: int, what: str, dimensions: int) -> Array:
    """The weights at an input.

    Raises:
        NetworkError: they are not real numbers of so many dimensions, given whole.
    """
    array = call.constant(index).exact(f"{call.label}: {what}")
    if array.dtype.kind != "f" or array.ndim != dimensions or not array.size:
        raise call.error(
            f"{what} must be real numbers of {dimensions} dimensions, not {array.dtype} of shape {array.shape}"
        )
    return array


def gather(call: Call) -> list[Value]:
    """``Gather``: an embedding where token ids come in, else one index of an axis or elements of a constant."""
    value = call.value(0)
    if not isinstance(call.value(1), Constant):
        return [_embedding(call)]
    indices = call.constant(1).exact(f"{call.label}: indices")
    if isinstance(value, Opaque):
        return [value]
    if indices.dtype.kind not in "iu":
        raise call.error(f"indices must be integers, not {indices.dtype}")
    axis = call.axis(call.integer("axis", 0), len(value.dims))
    if indices.size != 1 or indices.ndim > 1:
        return [moved(call, value, lambda c: constants.picked(c, axis, indices, call.budget), _no_indices(call))]
    index = int(indices.reshape(-1)[0])
    if isinstance(value, Constant):
        return [constants.picked(value, axis, indices, call.budget)]
    part = slice(index, None if index == -1 else index + 1, 1)
    keep = bool(indices.ndim)
    return [
        moved(call, value, lambda c: c, lambda d: axes.sliced(d, axis, part) if keep else axes.picked(d, axis, index))
    ]


def _no_indices(call: Call) -> Callable[[Stream], Stream]:
    def refuse(data: Stream) -> Stream:
        raise call.error("one index must be taken of data, not several")

    return refuse


def _embedding(call: Call) -> Stream:
    weight, data = real(call, 0, "table", 2), call.stream(1)
    if call.integer("axis", 0) != 0 or source_names(data) is None or len(data.parts) > 1:
        raise call.error("rows of a table must be looked up by the graph's input, not otherwise")
    source = data.parts[0].node
    source.tokens_only = ""
    names = (call.path, call.constant(0).origin)
    node = Embedding(names, weight, data, source.depth + 1)
    features = (Atom(weight.shape[1]),)
    return Stream((Part(node),), (*data.axes, features), features, turned=data.turned)


def _linear(call: Call, data: Stream, weight: Array, names: tuple[str, ...], scale: float = 1.0) -> Linear:
    return Linear(names, weight, data, depth_of(data) + 1, scale=scale, beneath=lstm_beneath(data))


def _output(node: Linear) -> Stream:
    data = node.input
    features = (Atom(node.weight.shape[0]),)
    return Stream((Part(node),), (*data.axes[:-1], features), features, data.time, data.turned)


def matrix_product(call: Call) -> list[Value]:
    """``MatMul`` of data and a constant matrix ``(inputs, outputs)``."""
    weight = real(call, 1, "matrix", 2).T
    data = readable(call, call.stream(0), weight.shape[1])
    return [_output(_linear(call, data, weight, (call.path, call.constant(1).origin)))]


def gemm(call: Call) -> list[Value]:
    """``Gemm``: ``alpha * A B + beta * C``, A the data, B and C constants, A and B transposed if so stated."""
    data, matrix = call.stream(0), real(call, 1, "matrix B", 2)
    if len(data.axes) != 2:
        raise call.error(f"input 0 must have 2 axes, not {len(data.axes)}")
    if call.integer("transA", 0):
        data = axes.transposed(data, (1, 0))
    weight = matrix if call.integer("transB", 0) else matrix.T
    data = readable(call, data, weight.shape[1])
    node = _linear(call, data, weight, (call.path, call.constant(1).origin), call.number("alpha", 1.0))
    if call.given(2):
        node = _with_bias(call, node, 2, call.number("beta", 1.0))
    return [_output(node)]


def _with_bias(call: Call, node: Linear, index: int, scale: float = 1.0) -> Linear:
    found, outputs = call.constant(index), node.weight.shape[0]
    array = found.exact(f"{call.label}: bias")
    along = array.shape[-1] if array.shape else 1
    if array.dtype.kind != "f" or array.size != along or along not in (1, outputs):
        raise call.error(f"bias must be {outputs} real numbers, not {array.dtype} of shape {array.shape}")
    bias = np.broadcast_to(array.reshape(-1), (outputs,))
    return replace(node, bias=bias, bias_scale=scale, names=(*node.names, found.origin))


def add(call: Call) -> list[Value]:
    """``Add``: a bias behind a matrix product; also of sizes."""
    call.require_two()
    values = call.inputs
    if all(isinstance(value, Constant) for value in values):
        return sizes_computed(call)
    if (token := added_token(call)) is not None:
        return [token]
    index = 0 if isinstance(values[0], Constant) else 1
    data = call.stream(1 - index)
    if not isinstance(values[index], Constant):
        raise call.error("one of the two must be a constant bias, not both data; networks have no branches that add")
    part, node = _layer(call, data)
    if node.bias is not None or node.activation != "identity" or part.step != "all" or data.axes[-1] != data.features:
        raise call.error("a bias must follow a matrix product directly, not what has one or a function")
    return [_renewed(data, part, _with_bias(call, node, index))]


def _layer(call: Call, data: Stream) -> tuple[Part, Linear]:
    part = data.parts[0]
    if len(data.parts) > 1 or not isinstance(part.node, Linear) or data.ending:
        before = data.ending or ("the graph's input" if isinstance(part.node, Source) else type(part.node).__name__)
        raise call.error(f"must follow a fully connected layer, not {before}; networks have functions there only")
    return part, part.node


def _renewed(data: Stream, part: Part, node: Linear) -> Stream:
    """The data with another layer in the place of the last."""
    return replace(data, parts=(replace(part, node=node),))


def function(call: Call, name: str, clip: float | None = None) -> list[Value]:
    """A function of each element behind a fully connected layer.

    Raises:
        NetworkError: it follows something else, or another function.
    """
    data = call.stream(0)
    part, node = _layer(call, data)
    bounded = node.activation == "relu" and name in ("clipped_relu", "relu")
    if node.activation != "identity" and not bounded:
        raise call.error(f"must follow a layer without a function, not one with {node.activation}")
    return [_renewed(data, part, replace(node, activation=name, clip=clip))]


def hard_sigmoid(call: Call) -> list[Value]:
    """``HardSigmoid`` of slope one fifth or one sixth."""
    slope, offset = call.number("alpha", 0.2), call.number("beta", 0.5)
    name = hard_sigmoid_name(slope, offset)
    if name is None:
        raise call.error(f"slope and offset must be 1/5 or 1/6 and 1/2, not {slope:g} and {offset:g}")
    return function(call, name)


def hard_sigmoid_name(slope: float, offset: float) -> str | None:
    """The hard sigmoid of a slope, as float32 has it, and an offset."""
    for name, wanted in (("hard_sigmoid_fifth", 0.2), ("hard_sigmoid", 1 / 6)):
        if math.isclose(slope, wanted, rel_tol=1e-6) and offset == 0.5:
            return name
    return None


def clip(call: Call) -> list[Value]:
    """``Clip`` from 0 up to a bound, from -1 to 1, or of what is not below 0 already."""
    low = _bound(call, 1, "min", -math.inf)
    high = _bound(call, 2, "max", math.inf)
    return _bounded(call, low, high)


def minimum(call: Call) -> list[Value]:
    """``Min`` of what is not below 0 and a bound; also of sizes."""
    if all(isinstance(value, Constant) for value in call.inputs):
        return sizes_computed(call)
    return _bounded(call, -math.inf, _bound(call, 1, "max", math.inf))


def _bounded(call: Call, low: float, high: float) -> list[Value]:
    data = call.stream(0)
    _, node = _layer(call, data)
    if node.activation == "relu" and low <= 0 < high < math.inf:
        return function(call, "clipped_relu", high)
    if low == 0 and high > 0:
        return function(call, "relu") if high == math.inf else function(call, "clipped_relu", high)
    if (low, high) == (-1, 1):
        return function(call, "hard_tanh")
    raise call.error(f"bounds must be 0 and a number above, or -1 and 1, not {low:g} and {high:g}")


def _bound(call: Call, index: int, name: str, default: float) -> float:
    if not call.given(index):
        return call.number(name, default) if call.has(name) else default
    value = call.constant(index).uniform
    if not isinstance(value, int | float):
        raise call.error(f"{name} must be one number, not several")
    return float(value)


def softmax(call: Call) -> list[Value]:
    """``Softmax`` and ``LogSoftmax`` over the features, at the end."""
    data = call.stream(0)
    rank = len(data.axes)
    newer = call.opset >= NEWER_SOFTMAX
    axis = call.axis(call.integer("axis", -1 if newer else 1), rank)
    over = data.axes[axis] if newer else tuple(atom for group in data.axes[axis:] for atom in group)
    if over != data.features or not over or data.ending:
        raise call.error(f"must be over the features, the last axis, not over axis {axis} of {rank}")
    return [replace(data, ending=call.op)]
