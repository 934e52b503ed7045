"""The network's data moved about: what a transpose, a reshape or a slice makes of their axes, steps and parts."""

from collections.abc import Sequence
from dataclasses import replace

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.found import Source, lstm_beneath
from fixedsim.importers.onnx.sizes import Product, Size, product, shown
from fixedsim.importers.onnx.values import Atom, Axis, Part, Step, Stream, axis_size

_LATER_HALF = "only whole layers and directions can be taken out of data"


def transposed(data: Stream, order: Sequence[int]) -> Stream:
    """The axes in another order."""
    return replace(data, axes=tuple(data.axes[axis] for axis in order))


def without_axes(data: Stream, axes: Sequence[int]) -> Stream:
    """Without some axes of one element each.

    Raises:
        NetworkError: one of them is longer, or holds the features.
    """
    for axis in axes:
        if data.axes[axis]:
            raise NetworkError(f"axis {axis} must be of size 1 and not the features to be left out, not {data.dims}")
    return replace(data, axes=tuple(axis for index, axis in enumerate(data.axes) if index not in axes))


def with_axes(data: Stream, axes: Sequence[int]) -> Stream:
    """With axes of one element inserted so that they stand at ``axes``."""
    given = iter(data.axes)
    count = len(data.axes) + len(axes)
    return replace(data, axes=tuple(() if index in axes else next(given) for index in range(count)))


def reshaped(data: Stream, sizes: Sequence[Size]) -> Stream:
    """With axes of ``sizes``, of which one may be -1, each of them one or several of the axes before.

    Raises:
        NetworkError: axes would be taken apart, or the count of elements is another.
    """
    wide = [axis for axis in data.axes if axis_size(axis) != 1]
    longer = [size for size in sizes if size != 1]
    if len(wide) == len(longer) and all(map(_may_equal, map(axis_size, wide), longer)):
        kept = iter(wide)
        return replace(data, axes=_with_single(data, [() if size == 1 else next(kept) for size in sizes]))
    atoms = [atom for axis in data.axes for atom in axis if atom.size != 1]
    split = sizes.index(-1) if -1 in sizes else len(sizes)
    front, rest = _grouped(atoms, sizes[:split])
    back, middle = _grouped(rest[::-1], sizes[:split:-1])
    between = [tuple(middle[::-1])] if split < len(sizes) else []
    if middle and not between:
        raise NetworkError(
            f"data of axes {shown(data.dims)} must keep its axes or join them, not become {shown(sizes)}"
        )
    return replace(data, axes=_with_single(data, [*front, *between, *(group[::-1] for group in back[::-1])]))


def _may_equal(size: Size, wanted: Size) -> bool:
    """Whether an axis can be of a size: exporters also write the size that an unknown one had at the time."""
    return wanted in (size, -1) or (isinstance(size, Product) and isinstance(wanted, int) and wanted > 1)


def _grouped(atoms: Sequence[Atom], sizes: Sequence[Size]) -> tuple[list[Axis], list[Atom]]:
    """Atoms taken in order for axes of ``sizes``, and those that are left.

    Raises:
        NetworkError: an atom would be taken apart.
    """
    groups: list[Axis] = []
    place = 0
    for size in sizes:
        start = place
        while product(atom.size for atom in atoms[start:place]) != size:
            if place == len(atoms):
                raise NetworkError(f"axes of sizes {shown(atom.size for atom in atoms)} must not be taken apart")
            place += 1
        groups.append(tuple(atoms[start:place]))
    return groups, list(atoms[place:])


def _with_single(data: Stream, groups: list[Axis]) -> tuple[Axis, ...]:
    """The axes with features of one element, which sizes do not tell from an axis without any, back in the last."""
    single = tuple(atom for axis in data.axes for atom in axis if atom.size == 1)
    if not single:
        return tuple(groups)
    others = tuple(atom for atom in data.features if atom.size != 1)
    if not groups or data.axes[-1][-len(single) :] != single or groups[-1] not in ((), others):
        raise NetworkError(f"features of size 1 must stay in the last axis, not in another of {shown(data.dims)}")
    return (*groups[:-1], groups[-1] + single)


def sliced(data: Stream, axis: int, part: slice) -> Stream:
    """``[..., part, ...]`` along ``axis``, an axis of one element where one is left.

    Raises:
        NetworkError: the slice takes something else than all, one step, all steps turned round, or whole parts.
    """
    atoms = data.axes[axis]
    length = axis_size(atoms)
    if part == slice(0, None, 1) or (isinstance(length, int) and range(*part.indices(length)) == range(length)):
        return data
    if len(atoms) == 1 and _turns(part, length):
        return _turned(data, atoms[0])
    if atoms and atoms == data.features and isinstance(length, int):
        return _feature_parts(data, axis, part.indices(length))
    return _with_axis(data, axis, _chosen(data, axis, part, length), keep=True)


def _turns(part: slice, length: Size) -> bool:
    if part.step != -1:
        return False
    if isinstance(length, int):
        return len(range(*part.indices(length))) == length
    return part.start == -1 and part.stop is None


def turned(data: Stream, axis: int) -> Stream:
    """The other way round along ``axis``.

    Raises:
        NetworkError: the axis is made of several.
    """
    atoms = data.axes[axis]
    if len(atoms) > 1:
        raise NetworkError(f"data must be turned round along one axis, not along {len(atoms)} that were joined")
    return _turned(data, atoms[0]) if atoms else data


def _turned(data: Stream, atom: Atom) -> Stream:
    if data.turned not in (None, atom) or atom in data.features:
        raise NetworkError("data must be turned round along time alone, not along another axis")
    return replace(data, turned=None if data.turned is atom else atom)


def _chosen(data: Stream, axis: int, part: slice, length: Size) -> int:
    """The one index that a slice takes, counted from the end if it is negative."""
    start, stop = part.start or 0, part.stop
    if isinstance(length, int):
        indices = range(*part.indices(length))
        if len(indices) == 1:
            return indices[0]
    elif part.step == 1 and (stop == start + 1 if start != -1 else stop is None):
        return int(start)
    raise NetworkError(f"axis {axis} of data must be taken whole, or one step of it, not a slice; {_LATER_HALF}")


def picked(data: Stream, axis: int, index: int) -> Stream:
    """The data at one index of ``axis``, which is gone.

    Raises:
        NetworkError: the axis is neither time nor the one that counts parts.
    """
    return _with_axis(data, axis, index, keep=False)


def _with_axis(data: Stream, axis: int, index: int, *, keep: bool) -> Stream:
    atoms = data.axes[axis]
    axes = (*data.axes[:axis], *([()] if keep else []), *data.axes[axis + 1 :])
    length = axis_size(atoms)
    if isinstance(length, int) and not -length <= index < length:
        raise NetworkError(f"index must be in {-length}..{length - 1}, not {index}")
    if not atoms:
        return replace(data, axes=axes)
    if len(data.parts) > 1 and atoms == (data.layers[0],):
        return replace(data, axes=axes, parts=(data.parts[index],), features=data.features[1:])
    if atoms == (data.time,):
        parts = tuple(_stepped(data, part, index, length) for part in data.parts)
        return replace(data, axes=axes, parts=parts, turned=None if data.turned is data.time else data.turned)
    raise NetworkError(f"axis {axis} of data must be time or directions to take one index, not {shown(data.dims)}")


def _stepped(data: Stream, part: Part, index: int, length: Size) -> Part:
    """The part at one step in time: the first or the last."""
    last = index == -1 or (isinstance(length, int) and index == length - 1)
    first = index == 0 or (isinstance(length, int) and index == -length)
    if not (first or last) or isinstance(part.node, Source) or not lstm_beneath(data):
        raise NetworkError(f"step that goes on must be the first or the last after an LSTM, not step {index}")
    step: Step = "last" if last != (data.turned is not None) else "first"
    return replace(part, step=step)


def _feature_parts(data: Stream, axis: int, indices: tuple[int, int, int]) -> Stream:
    """The parts whose features a slice takes whole."""
    start, stop, step = indices
    widths = [part_width(part) for part in data.parts]
    edges = [sum(widths[:count]) for count in range(len(widths) + 1)]
    if step != 1 or start not in edges or stop not in edges or start >= stop:
        raise NetworkError(f"features {start}..{stop - 1} must be those of whole directions, not others; {_LATER_HALF}")
    parts = data.parts[edges.index(start) : edges.index(stop)]
    width = Atom(stop - start)
    axes = (*data.axes[:axis], (width,), *data.axes[axis + 1 :])
    return replace(data, parts=parts, features=(width,), axes=axes)


def part_width(part: Part) -> int:
    """How many features a part has.

    Raises:
        NetworkError: it is an input of the graph.
    """
    if isinstance(part.node, Source):
        raise NetworkError(f"features of the input {part.node.name!r} must go on together, not in parts")
    return int(part.node.choices.units if hasattr(part.node, "choices") else _width(part.node.weight.shape, part.node))


def _width(shape: tuple[int, ...], node: object) -> int:
    return shape[0] if hasattr(node, "beneath") else shape[1]


def joined(streams: Sequence[Stream], axis: int) -> Stream:
    """Several data behind each other along ``axis``: their features, or their parts stacked.

    Raises:
        NetworkError: the axis is another, or other axes differ.
    """
    first = streams[0]
    if len({_others(data, axis) for data in streams}) > 1:
        raise NetworkError("data that are joined must have the same axes, not other ones")
    parts = tuple(part for data in streams for part in data.parts)
    if all(data.axes[axis] == data.features for data in streams):
        features: Axis = (Atom(sum(part_width(part) for part in parts)),)
        axes = (*first.axes[:axis], features, *first.axes[axis + 1 :])
        return replace(first, parts=parts, features=features, axes=axes)
    return _stacked(streams, parts, axis)


def _others(data: Stream, axis: int) -> tuple[object, ...]:
    """What must be the same in data that are joined: the other axes, whatever atoms count features, and time."""
    features = [None if axis[-1:] == data.features[-1:] else axis for axis in data.axes]
    return (*features[:axis], "joined", *features[axis + 1 :], data.time, data.turned, data.ending)


def _stacked(streams: Sequence[Stream], parts: tuple[Part, ...], axis: int) -> Stream:
    for data in streams:
        counts = data.layers[0] if len(data.parts) > 1 else None
        if data.axes[axis] != (() if counts is None else (counts,)) or len({part_width(part) for part in parts}) > 1:
            raise NetworkError(f"data must be joined along their features or directions, not along axis {axis}")
    first, stack = streams[0], Atom(len(parts))
    axes = (*first.axes[:axis], (stack,), *first.axes[axis + 1 :])
    return replace(first, parts=parts, axes=axes, features=(stack, first.features[-1]))
