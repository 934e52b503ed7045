"""Constants folded: the operators that move elements about, on arrays that may repeat along some axes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.limits import Budget
from fixedsim.importers.onnx.sizes import Size, product, shown
from fixedsim.importers.onnx.values import Array, Constant


def transposed(value: Constant, order: Sequence[int]) -> Constant:
    """The axes in another order."""
    dims = tuple(value.dims[axis] for axis in order)
    return replace(value, array=value.array.transpose(order), dims=dims)


def without_axes(value: Constant, axes: Sequence[int]) -> Constant:
    """Without some axes of one element each.

    Raises:
        NetworkError: one of them is longer.
    """
    for axis in axes:
        if value.dims[axis] != 1:
            raise NetworkError(f"axis {axis} of a constant must be of size 1 to be left out, not {value.dims[axis]}")
    kept = [axis for axis in range(len(value.dims)) if axis not in axes]
    dims = tuple(value.dims[axis] for axis in kept)
    return replace(value, array=value.array.reshape([value.array.shape[axis] for axis in kept]), dims=dims)


def with_axes(value: Constant, axes: Sequence[int]) -> Constant:
    """With axes of one element inserted so that they stand at ``axes``."""
    given = iter(zip(value.array.shape, value.dims, strict=True))
    pairs = [(1, 1) if axis in axes else next(given) for axis in range(len(value.dims) + len(axes))]
    return replace(value, array=value.array.reshape([size for size, _ in pairs]), dims=tuple(dim for _, dim in pairs))


def reshaped(value: Constant, sizes: Sequence[Size]) -> Constant:
    """With axes of ``sizes``, of which one may be -1.

    Raises:
        NetworkError: another count of elements, or a constant that repeats along some axes and not along others.
    """
    whole, known = product(value.dims), product(size for size in sizes if size != -1)
    if -1 in sizes:
        if not isinstance(whole, int) or not isinstance(known, int) or not known or whole % known:
            raise NetworkError(f"constant of shape {value.shown} must fit the shape {shown(sizes)}")
        sizes = [whole // known if size == -1 else size for size in sizes]
    elif whole != known:
        raise NetworkError(f"constant of shape {value.shown} must fit the shape {shown(sizes)}")
    if value.array.shape == value.dims:
        return replace(value, array=value.array.reshape([int(str(size)) for size in sizes]), dims=tuple(sizes))
    if value.uniform is None:
        raise NetworkError(f"constant that was expanded to {value.shown} must not be reshaped to {shown(sizes)}")
    return replace(value, array=value.array.reshape(-1)[:1].reshape((1,) * len(sizes)), dims=tuple(sizes))


def joined(values: Sequence[Constant], axis: int, budget: Budget) -> Constant:
    """Behind each other along ``axis``.

    Raises:
        NetworkError: other axes that differ, or sizes of ``axis`` that are not known.
    """
    first = values[0]
    dims = list(first.dims)
    for value in values[1:]:
        same = len(value.dims) == len(dims) and value.dims[:axis] == first.dims[:axis]
        if not same or value.dims[axis + 1 :] != first.dims[axis + 1 :]:
            raise NetworkError(
                f"constants must differ in axis {axis} alone, not in shapes {first.shown}, {value.shown}"
            )
    lengths = [value.dims[axis] for value in values]
    if not all(isinstance(length, int) for length in lengths):
        raise NetworkError(f"axis {axis} of constants must be of known size, not {shown(lengths)}")
    dims[axis] = product([1, sum(length for length in lengths if isinstance(length, int))])
    uniform = [value.uniform for value in values]
    if uniform[0] is not None and uniform.count(uniform[0]) == len(uniform) and first.array.size == 1:
        return replace(first, dims=tuple(dims))
    return replace(first, array=_stacked(values, axis, budget), dims=tuple(dims))


def _stacked(values: Sequence[Constant], axis: int, budget: Budget) -> Array:
    shapes = [[*value.array.shape] for value in values]
    for shape, value in zip(shapes, values, strict=True):
        shape[axis] = 1
        value_length = value.dims[axis]
        assert isinstance(value_length, int)
    common = list(np.broadcast_shapes(*(tuple(shape) for shape in shapes)))
    arrays = []
    for value in values:
        shape = [*common]
        shape[axis] = int(str(value.dims[axis]))
        budget.take(int(np.prod(shape, dtype=object)) * max(8, value.array.itemsize))
        arrays.append(np.broadcast_to(value.array, shape))
    return np.concatenate(arrays, axis=axis)


def sliced(value: Constant, axis: int, part: slice) -> Constant:
    """``[..., part, ...]`` along ``axis``.

    Raises:
        NetworkError: the size of the axis is not known.
    """
    length = value.dims[axis]
    if not isinstance(length, int):
        if part == slice(0, None, 1):
            return value
        raise NetworkError(f"axis {axis} of a constant must be of known size to be sliced, not {length}")
    dims = list(value.dims)
    dims[axis] = len(range(*part.indices(length)))
    repeats = value.array.shape[axis] != length
    array = value.array if repeats else value.array[(slice(None),) * axis + (part,)]
    return replace(value, array=array, dims=tuple(dims))


def picked(value: Constant, axis: int, indices: Array, budget: Budget) -> Constant:
    """The elements at ``indices`` along ``axis``, which takes the shape of ``indices``.

    Raises:
        NetworkError: an index outside the axis, or an axis of unknown size.
    """
    length = value.dims[axis]
    if not isinstance(length, int) or value.array.shape[axis] != length:
        raise NetworkError(f"axis {axis} of a constant must be of known size and content, not {length}")
    if indices.size and not (-length <= int(indices.min()) and int(indices.max()) < length):
        raise NetworkError(f"indices must be in {-length}..{length - 1}, not {indices.reshape(-1)[:8].tolist()}")
    others = value.array.size // max(length, 1)
    budget.take(others * max(indices.size, 1) * max(8, value.array.itemsize))
    dims = (*value.dims[:axis], *indices.shape, *value.dims[axis + 1 :])
    # An index array with an axis, for NumPy takes one element of an array of objects out of the array.
    taken = np.take(value.array, np.atleast_1d(indices), axis=axis)
    shape = (*value.array.shape[:axis], *indices.shape, *value.array.shape[axis + 1 :])
    return replace(value, array=taken.reshape(shape), dims=dims)


def expanded(value: Constant, sizes: Sequence[Size]) -> Constant:
    """Repeated so that axes of one element are as long as ``sizes`` say.

    Raises:
        NetworkError: an axis is of another size.
    """
    rank = max(len(sizes), len(value.dims))
    own = (1,) * (rank - len(value.dims)) + value.dims
    wanted = (1,) * (rank - len(sizes)) + tuple(sizes)
    for before, after in zip(own, wanted, strict=True):
        if before not in (1, after) and after != 1:
            raise NetworkError(f"constant of shape {value.shown} must expand to {shown(sizes)}")
    dims = tuple(before if after == 1 else after for before, after in zip(own, wanted, strict=True))
    array = value.array.reshape((1,) * (rank - len(value.dims)) + value.array.shape)
    return replace(value, array=array, dims=dims)
