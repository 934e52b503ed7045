"""Operators that compute shapes, and those that exporters write around token ids."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedsim.importers.onnx import constants
from fixedsim.importers.onnx.call import Call
from fixedsim.importers.onnx.found import Source
from fixedsim.importers.onnx.layout import source_names
from fixedsim.importers.onnx.sizes import Product, Size, product
from fixedsim.importers.onnx.values import MAX_LISTED, Array, Constant, Opaque, Refused, Stream, Value

_FLOATS = {1: "f4", 10: "f2", 11: "f8"}
_BFLOAT16 = 16
_INTEGERS = {2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 12: "u4", 13: "u8"}
_BOOL = 9


def constant(call: Call) -> list[Value]:
    """``Constant``."""
    if (tensor := call.tensor("value")) is not None:
        return [Constant.whole(call.tensors.array(call.label, tensor), next(iter(call.node.output), ""))]
    if call.has("value_int"):
        return [Constant.whole(np.array(call.integer("value_int", 0), np.int64))]
    if call.has("value_float"):
        return [Constant.whole(np.array(call.number("value_float", 0.0), np.float32))]
    if (listed := call.integers("value_ints")) is not None:
        return [Constant.whole(np.array(listed, np.int64))]
    if call.has("value_floats"):
        return [Constant.whole(np.array(call.numbers("value_floats"), np.float32))]
    raise call.error("value must be a tensor or numbers, not strings or a sparse tensor")


def constant_of_shape(call: Call) -> list[Value]:
    """``ConstantOfShape``: a constant that repeats along all axes."""
    sizes = call.constant(0).sizes(f"{call.label}: shape")
    tensor = call.tensor("value")
    value = np.zeros(1, np.float32) if tensor is None else call.tensors.array(call.label, tensor).reshape(-1)
    if value.size != 1:
        raise call.error(f"value must have 1 element, not {value.size}")
    return [constants.expanded(Constant.whole(value.reshape(())), sizes)]


def shape(call: Call) -> list[Value]:
    """``Shape``: sizes, of which some are known only when the graph runs."""
    value = call.value(0)
    if isinstance(value, Opaque):
        raise call.error(f"input must be data or a constant, not {value.what}")
    sizes = value.dims[call.integer("start", 0) : call.integer("end", len(value.dims))]
    return [Constant.whole(_array(list(sizes), (len(sizes),)))]


def _array(values: list[Any], dims: tuple[int, ...]) -> Array:
    """Integers as int64, sizes that are not known as objects."""
    flat = np.empty(len(values), object)
    flat[:] = values
    known = all(isinstance(value, int) and abs(value) < 1 << 63 for value in values)
    return (flat.astype(np.int64) if known else flat).reshape(dims)


def cast(call: Call) -> list[Value]:
    """``Cast``: constants are converted; data must stay what they are."""
    value, to = call.value(0), call.integer("to", 1)
    if isinstance(value, Constant):
        return [_converted(call, value, to)]
    if isinstance(value, Stream) and to in _INTEGERS:
        if source_names(value) is None:
            raise call.error("data must stay real numbers, not be cast to integers")
        _for_tokens(value, "they are cast to integers")
    elif to not in (*_FLOATS, *_INTEGERS, _BFLOAT16):
        raise call.error(f"data must be cast to real numbers or integers, not to type {to}")
    return [value]


def _converted(call: Call, value: Constant, to: int) -> Constant:
    if value.array.dtype == object:
        if to not in _INTEGERS:
            raise call.error("sizes that are known only when the graph runs must stay integers")
        return value
    name = {**_FLOATS, **_INTEGERS, _BOOL: "?"}.get(to)
    if name is None:
        raise call.error(f"type of a constant must be a number's, not {to}")
    call.budget.take(value.array.size * 8)
    with np.errstate(all="ignore"):
        return Constant(value.array.astype(name), value.dims, value.origin)


def _for_tokens(data: Stream, why: str) -> None:
    for part in data.parts:
        if isinstance(part.node, Source):
            part.node.tokens_only = why


def below_zero(call: Call) -> list[Value]:
    """``Less`` and ``GreaterOrEqual`` of token ids and zero: no token is below zero."""
    data = call.stream(0)
    if source_names(data) is None or call.constant(1).uniform != 0:
        raise call.error("must compare token ids with 0, not other data; this is not part of a network")
    _for_tokens(data, "they are compared with 0")
    return [Constant.whole(np.array(call.op == "GreaterOrEqual"))]


def not_(call: Call) -> list[Value]:
    """``Not`` of a constant."""
    value = call.constant(0)
    return [Constant(~value.array.astype(bool), value.dims)]


def where(call: Call) -> list[Value]:
    """``Where`` with a condition that is the same everywhere, or of sizes."""
    condition = call.constant(0)
    if condition.uniform is not None and condition.dims == ():
        return [call.value(1 if condition.uniform else 2)]
    return [_elementwise(call, lambda where, one, other: one if where else other, range(3))]


def multiply(call: Call) -> list[Value]:
    """``Mul`` of sizes, or of token ids by 0 or 1."""
    call.require_two()
    for index in (0, 1):
        value, other = call.inputs[index], call.inputs[1 - index]
        if isinstance(value, Constant) and value.dims == () and not isinstance(other, Constant) and _whole(value):
            if value.uniform == 0:
                return [value]
            if value.uniform == 1:
                return [call.value(1 - index)]
    return [_elementwise(call, lambda one, other: product([one, other]), range(2))]


def _whole(value: Constant) -> bool:
    return value.array.dtype.kind in "iu"


def added_token(call: Call) -> Value | None:
    """``Add`` of 0 to token ids, which stay; or an addition that other operators must leave out."""
    for index in (0, 1):
        value, other = call.inputs[index], call.inputs[1 - index]
        if isinstance(value, Constant) and value.dims == () and _whole(value) and source_names(other) is not None:
            if value.uniform == 0:
                return call.value(1 - index)
            return Refused(f"{call.label}: token ids must be looked up as they are, not changed")
    return None


def sizes_computed(call: Call) -> list[Value]:
    """``Add``, ``Sub``, ``Div``, ``Equal``, ``Min``, ``Max`` of sizes."""
    return [_elementwise(call, lambda one, other: _computed(call, one, other), range(2))]


def _computed(call: Call, one: Size, other: Size) -> Any:
    if call.op == "Equal" and (one == other or _differ(one, other)):
        return one == other
    if isinstance(one, Product) or isinstance(other, Product):
        raise call.error(f"sizes must be known, not {one} and {other}")
    match call.op:
        case "Add":
            return one + other
        case "Sub":
            return one - other
        case "Min":
            return min(one, other)
        case "Max":
            return max(one, other)
        case "Div" if other:
            return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
    raise call.error(f"sizes must be computed with sizes, not {one} and {other}")


def _differ(one: Size, other: Size) -> bool:
    """Whether two sizes can never be equal: a size of data is above 0."""
    known = [size for size in (one, other) if isinstance(size, int)]
    return len(known) == 2 or (len(known) == 1 and known[0] <= 0)


def _elementwise(call: Call, function: Callable[..., Any], inputs: range) -> Constant:
    """A function of short constants of integers, sizes or truth values, element by element."""
    arrays = [call.constant(index).exact(call.label) for index in inputs]
    if any(array.dtype.kind not in "iubO" or array.size > MAX_LISTED for array in arrays):
        raise call.error("constants that are computed with must be short and of integers, not other ones")
    try:
        wide = np.broadcast_arrays(*(array.astype(object) for array in arrays))
    except ValueError:
        raise call.error("shapes of constants must fit each other") from None
    if wide[0].size > MAX_LISTED:
        raise call.error(f"constants must have at most {MAX_LISTED} elements, not {wide[0].size}")
    columns = zip(*(array.reshape(-1).tolist() for array in wide), strict=True)
    return Constant.whole(_array([function(*column) for column in columns], wide[0].shape))
