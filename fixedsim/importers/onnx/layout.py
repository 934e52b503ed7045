"""Operators that move elements about, on constants, shapes and the network's data alike."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx import axes, constants
from fixedsim.importers.onnx.call import Call
from fixedsim.importers.onnx.found import Source
from fixedsim.importers.onnx.sizes import Size, product
from fixedsim.importers.onnx.values import Constant, Opaque, Stream, Value

Moved: TypeAlias = Constant | Stream | Opaque
_FAR = (1 << 31) - 1  # exporters write this and more for "to the end"


def moved(
    call: Call, value: Moved, constant: Callable[[Constant], Constant], data: Callable[[Stream], Stream]
) -> Moved:
    """What becomes of a value; pieces of a graph's input and cells are followed by where they come from alone."""
    if isinstance(value, Opaque):
        return value
    if isinstance(value, Constant):
        return constant(value)
    try:
        return data(value)
    except NetworkError:
        names = source_names(value)
        if names is None:
            raise
        return Opaque(f"a piece of the graph's input, cut by {call.label}", names)


def source_names(value: Value | None) -> frozenset[str] | None:
    """The inputs of the graph that a value consists of, or None where it is something else."""
    if isinstance(value, Opaque):
        return None if value.cells else value.inputs
    if isinstance(value, Stream) and all(isinstance(part.node, Source) for part in value.parts):
        return frozenset(part.node.name for part in value.parts)
    return None


def rank_of(value: Moved) -> int:
    """How many axes a value has; 0 for one whose axes are not followed."""
    return 0 if isinstance(value, Opaque) else len(value.dims)


def identity(call: Call) -> list[Value]:
    """``Identity``, and ``Dropout`` outside training."""
    if call.op == "Dropout" and call.given(2) and call.constant(2).uniform is not False:
        raise call.error("training_mode must be false, not true or computed")
    return [call.value(0)]


def transpose(call: Call) -> list[Value]:
    """``Transpose``."""
    value = call.value(0)
    order = call.integers("perm") or tuple(reversed(range(rank_of(value))))
    if not isinstance(value, Opaque) and sorted(order) != list(range(rank_of(value))):
        raise call.error(f"perm must name each of {rank_of(value)} axes once, not {order}")
    return [moved(call, value, lambda c: constants.transposed(c, order), lambda d: axes.transposed(d, order))]


def squeeze(call: Call) -> list[Value]:
    """``Squeeze``."""
    value, given = call.value(0), call.listed(1, "axes")
    if isinstance(value, Opaque):
        return [value]
    if given is None:
        if isinstance(value, Stream) and any(not isinstance(size, int) for size in value.dims):
            raise call.error("axes must be given where sizes are known only when the graph runs")
        given = tuple(axis for axis, size in enumerate(value.dims) if size == 1)
    chosen = call.axes(given, len(value.dims))
    return [moved(call, value, lambda c: constants.without_axes(c, chosen), lambda d: axes.without_axes(d, chosen))]


def unsqueeze(call: Call) -> list[Value]:
    """``Unsqueeze``."""
    value, given = call.value(0), call.listed(1, "axes")
    if isinstance(value, Opaque):
        return [value]
    chosen = call.axes(given or (), len(value.dims) + len(given or ()))
    return [moved(call, value, lambda c: constants.with_axes(c, chosen), lambda d: axes.with_axes(d, chosen))]


def reshape(call: Call) -> list[Value]:
    """``Reshape``; 0 copies the size unless ``allowzero`` is set."""
    value = call.value(0)
    sizes = call.integers("shape") if not call.given(1) else call.constant(1).sizes(f"{call.label}: shape")
    if isinstance(value, Opaque):
        return [value]
    wanted = list(sizes or ())
    for index, size in enumerate(wanted):
        if size == 0 and not call.integer("allowzero", 0) and index < len(value.dims):
            wanted[index] = value.dims[index]
    if wanted.count(-1) > 1 or any(isinstance(size, int) and size < -1 for size in wanted):
        raise call.error(f"shape must have sizes and at most one -1, not {wanted}")
    return [moved(call, value, lambda c: constants.reshaped(c, wanted), lambda d: axes.reshaped(d, wanted))]


def flatten(call: Call) -> list[Value]:
    """``Flatten``: two axes, those before ``axis`` and those from it on."""
    value = call.value(0)
    if isinstance(value, Opaque):
        return [value]
    rank, axis = len(value.dims), call.integer("axis", 1)
    if not -rank <= axis <= rank:
        raise call.error(f"axis must be in {-rank}..{rank}, not {axis}")
    cut = axis % rank if axis < 0 else axis
    sizes = [product(value.dims[:cut]), product(value.dims[cut:])]
    return [moved(call, value, lambda c: constants.reshaped(c, sizes), lambda d: axes.reshaped(d, sizes))]


def concat(call: Call) -> list[Value]:
    """``Concat`` of constants, of data along features or directions, or of what is not followed."""
    values = [call.value(index) for index in range(len(call.inputs))]
    if not values:
        raise call.error("inputs must be at least 1, not none")
    folded = [value for value in values if isinstance(value, Constant)]
    data = [value for value in values if isinstance(value, Stream)]
    if len(values) == 1:
        return [values[0]]
    if len(folded) == len(values):
        return [constants.joined(folded, call.axis(call.integer("axis", 0), len(folded[0].dims)), call.budget)]
    if len(data) == len(values):
        return [axes.joined(data, call.axis(call.integer("axis", 0), len(data[0].axes)))]
    if all(isinstance(value, Opaque) or source_names(value) for value in values):
        return [_together(call, values)]
    raise call.error("inputs must be all constants or all data, not both")


def _together(call: Call, values: Iterable[Value]) -> Opaque:
    inputs: frozenset[str] = frozenset()
    cells: frozenset[object] = frozenset()
    for value in values:
        inputs |= value.inputs if isinstance(value, Opaque) else source_names(value) or frozenset()
        cells |= value.cells if isinstance(value, Opaque) else frozenset()
    return Opaque(f"what {call.label} joins", inputs, cells)


def slice_(call: Call) -> list[Value]:
    """``Slice``."""
    value = call.value(0)
    if isinstance(value, Opaque):
        return [value]
    starts, ends = _bounds(call, 1, "starts"), _bounds(call, 2, "ends")
    chosen = call.axes(call.listed(3, "axes") or tuple(range(len(starts))), len(value.dims))
    steps = call.listed(4, "steps") or (1,) * len(starts)
    if not len(starts) == len(ends) == len(chosen) == len(steps):
        raise call.error("starts, ends, axes and steps must be as many as each other")
    result: Moved = value
    for start, end, axis, step in zip(starts, ends, chosen, steps, strict=True):
        if isinstance(result, Opaque):
            break
        part = _part(call, start, end, step, result.dims[axis])
        result = _cut(call, result, axis, part)
    return [result]


def _cut(call: Call, value: Constant | Stream, axis: int, part: slice) -> Moved:
    return moved(call, value, lambda c: constants.sliced(c, axis, part), lambda d: axes.sliced(d, axis, part))


def _bounds(call: Call, index: int, name: str) -> tuple[Size, ...]:
    if call.given(index):
        return call.constant(index).sizes(f"{call.label}: {name}")
    return call.integers(name) or ()


def _part(call: Call, start: Size, end: Size, step: int, length: Size) -> slice:
    """The slice, with None for an end beyond the axis."""
    if start == length and step < 0:
        start = -1
    if not isinstance(start, int) or not step:
        raise call.error(f"start and step must be known integers, the step not 0, not {start} and {step}")
    if step < 0:
        stop = None if isinstance(end, int) and end <= -_FAR else end
        begin = -1 if start >= _FAR else start
    else:
        stop = None if end == length or (isinstance(end, int) and end >= _FAR) else end
        begin = start
        if isinstance(length, int) and begin <= -length:
            begin = 0
    if not (stop is None or isinstance(stop, int)):
        raise call.error(f"end must be a known integer or the size of the axis, not {end}")
    return slice(begin, stop, step)


def split(call: Call) -> list[Value]:
    """``Split``: one slice for each output."""
    value = call.value(0)
    count = len(call.node.output)
    if isinstance(value, Opaque):
        return [value] * count
    axis = call.axis(call.integer("axis", 0), len(value.dims))
    length, sizes = value.dims[axis], call.listed(1, "split")
    if not isinstance(length, int):
        raise call.error(f"axis {axis} must be of known size to be split, not {length}")
    each = -(-length // max(count, 1))
    sizes = sizes or tuple(min(each, length - index * each) for index in range(count))
    if len(sizes) != count or sum(sizes) != length or any(size < 0 for size in sizes):
        raise call.error(f"split must be {count} sizes that add to {length}, not {sizes}")
    ends = np.cumsum(sizes).tolist()
    return [_cut(call, value, axis, slice(end - size, end, 1)) for end, size in zip(ends, sizes, strict=True)]


def expand(call: Call) -> list[Value]:
    """``Expand`` of a constant."""
    return [constants.expanded(call.constant(0), call.constant(1).sizes(f"{call.label}: shape"))]


def reverse_sequence(call: Call) -> list[Value]:
    """``ReverseSequence`` of whole sequences: time turned round."""
    data, lengths = call.stream(0), call.constant(1)
    axis = call.axis(call.integer("time_axis", 0), len(data.axes))
    if lengths.uniform is None or lengths.uniform != data.dims[axis]:
        raise call.error("sequence_lens must be the size of the time axis for all, not other lengths")
    return [axes.turned(data, axis)]
