"""Cells, layers and embeddings by the names of their variables alone, where no graph says more."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from fixedsim.errors import NetworkError, nearest
from fixedsim.importers.tensorflow.parts import PEEPHOLES, Array, Cell, Dense, Lookup, Part, Recurrent

Reading = tuple[Part, ...]  # what one module can be: a layer, or a stack of them in order
_KERNELS, _BIASES = ("kernel", "weights", "weight", "Matrix", "W", "w"), ("bias", "biases", "Bias", "B", "b")
_JOINED = re.compile(r"(.+)_(kernel|weights|weight|W|w|biases|bias|B|b)\Z")
_NUMBERED = re.compile(r"(h|w|W|weights|b|B|bias|biases)_?(\d+)\Z")
_INNER = ("Linear", "linear")  # scopes inside a cell of the first versions
_NORMALIZATION = ("gamma", "beta", "moving_mean", "moving_variance")
_LEVEL = re.compile(r"cell_?(\d+)\Z", re.IGNORECASE)
_SERIAL = re.compile(r"_\d+\Z")
# The last part of a cell's scope, in lower case and without "_": its class and the forget bias that holds by default.
_CELLS = {
    "basiclstmcell": ("BasicLSTMCell", 1.0),
    "lstmcell": ("LSTMCell", 1.0),
    "lstmfusedcell": ("LSTMBlockFusedCell", 1.0),
    "lstmblockfusedcell": ("LSTMBlockFusedCell", 1.0),
    "lstmblockcell": ("LSTMBlockCell", 1.0),
    "cudnncompatiblelstmcell": ("CudnnCompatibleLSTMCell", 0.0),
}


class _Group(NamedTuple):
    """The variables of one scope by their role."""

    scope: str
    roles: dict[str, Array]


def modules_by_name(arrays: Mapping[str, Array]) -> list[list[Reading]]:
    """The readings of each module, in the order of the file.

    Raises:
        NetworkError: a variable that is of no known kind, or cells that a network can't hold.
    """
    groups = list(_groups(arrays).values())
    cells = {group.scope: _cell(group) for group in groups if _is_cell(group)}
    stacks = _stacks(_layers(cells))
    others: list[list[Reading]] = [_others(group) for group in groups if not _is_cell(group)]
    return [*([stack] for stack in stacks), *others]


def cell_kind(scope: str) -> tuple[str, float] | None:
    """The class of a cell by its scope, and the forget bias that it adds unless told otherwise.

    Raises:
        NetworkError: a cell that is no LSTM of the known kinds.
    """
    last = _SERIAL.sub("", scope.rpartition("/")[2])
    known = _CELLS.get(last.replace("_", "").lower())
    if known is None and last.lower().endswith("cell"):
        raise NetworkError(f"cell {scope!r} must be an LSTM of a known kind, not {last}{nearest(last, _CELLS)}")
    if known is None and "lstm" in last.lower():
        return "BasicLSTMCell", 1.0
    return known


def _groups(arrays: Mapping[str, Array]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for name, array in arrays.items():
        scope, role = _place(name, array)
        roles = groups.setdefault(scope, _Group(scope, {})).roles
        if role in roles:
            raise NetworkError(f"variable {name!r} must be the one {role} of {scope!r}, not a second one")
        roles[role] = array
    return groups


def _place(name: str, array: Array) -> tuple[str, str]:
    """The scope of a variable and its role there: kernel, bias, projection, table or the gate of a peephole."""
    scope, _, last = name.rpartition("/")
    if last == "recurrent_kernel":
        raise NetworkError(
            f"variable {name!r} must be of a TensorFlow cell, not of Keras; import its .h5 or .keras file"
        )
    if last in _NORMALIZATION:
        raise NetworkError(f"variable {name!r} must be a weight or a bias, not of a normalization, which networks lack")
    if last.lower() in PEEPHOLES:
        return scope, PEEPHOLES[last.lower()]
    outer, _, inner = scope.rpartition("/")
    scope = outer if inner in _INNER else scope
    if inner == "projection" and last in _KERNELS:
        return _sized(name, outer, "projection", array)
    if last in _KERNELS or last in _BIASES:
        return _sized(name, scope or "layer", "kernel" if last in _KERNELS else "bias", array)
    prefix = f"{scope}/" if scope else ""
    if match := _JOINED.match(last):
        return _sized(name, prefix + match[1], "kernel" if match[2] in _KERNELS else "bias", array)
    if match := _NUMBERED.match(last):
        return _sized(name, f"{prefix}layer_{match[2]}", "bias" if match[1][0] in "bB" else "kernel", array)
    return _sized(name, name, "table", array)


def _sized(name: str, scope: str, role: str, array: Array) -> tuple[str, str]:
    axes = 1 if role == "bias" else 2
    if array.ndim != axes:
        what = "a bias, with one axis" if role == "bias" else "a matrix of a known layer"
        raise NetworkError(f"variable {name!r} must be {what}, not of shape {array.shape}")
    return scope, role


def _is_cell(group: _Group) -> bool:
    return cell_kind(group.scope) is not None


def _cell(group: _Group) -> Cell:
    kind, forget_bias = cell_kind(group.scope) or ("", 0.0)
    if "kernel" not in group.roles:
        raise NetworkError(f"variable '{group.scope}/kernel' must be given, not missing")
    peepholes = {gate: group.roles[gate] for gate in PEEPHOLES.values() if gate in group.roles}
    roles = group.roles
    cell = Cell(group.scope, kind, roles["kernel"], roles.get("bias"), peepholes, roles.get("projection"))
    return replace(cell, forget_bias=forget_bias)


def _others(group: _Group) -> list[Reading]:
    """What a group that is no cell can be: a layer, an embedding, or either."""
    roles, scope = group.roles, group.scope
    for role in roles.keys() - {"kernel", "bias", "table"}:
        raise NetworkError(f"variables of {scope!r} must be a cell's with a kernel, not a {role} alone")
    matrix = roles.get("kernel", roles.get("table"))
    if matrix is None:
        raise NetworkError(f"variable '{scope}/kernel' must be given, not missing beside the bias")
    if "bias" in roles:
        return [(Dense(scope, matrix, roles["bias"]),)]
    if "emb" in scope.lower():
        return [(Lookup(scope, matrix),)]
    return [(Lookup(scope, matrix),), (Dense(scope, matrix, None),)]


def _layers(cells: Mapping[str, Cell]) -> list[Recurrent]:
    """One layer for each cell, or for a pair whose scopes differ in ``fw`` and ``bw`` alone."""
    layers: list[Recurrent] = []
    for scope, cell in cells.items():
        pieces = scope.split("/")
        side = next((piece for piece in pieces if piece in ("fw", "bw")), None)
        if side is None:
            layers.append(Recurrent(scope, (cell,)))
            continue
        other = "/".join({"fw": "bw", "bw": "fw"}.get(piece, piece) for piece in pieces)
        if other not in cells:
            other = _partner(scope, side, cells)
        if side == "fw":
            _refuse_inner_stack(pieces)
            shared = "/".join(piece for piece in pieces if piece != "fw")
            layers.append(Recurrent(shared, (cell, cells[other])))
    return layers


def _partner(scope: str, side: str, cells: Mapping[str, Cell]) -> str:
    """The cell of the other direction, where its class, and so its name, differs."""
    stem, wanted = scope.split(f"/{side}/")[0] + "/", {"fw": "bw", "bw": "fw"}[side]
    found = [other for other in cells if other.startswith(f"{stem}{wanted}/")]
    if len(found) != 1:
        raise NetworkError(f"cell {scope!r} must have one partner in the other direction, not {len(found)}")
    return found[0]


def _refuse_inner_stack(pieces: list[str]) -> None:
    inner = pieces[pieces.index("fw") :]
    if any((match := _LEVEL.match(piece)) and match[1] != "0" for piece in inner):
        raise NetworkError(
            f"cell {'/'.join(pieces)!r} must be one of a stack of bidirectional layers, not of a stack inside one "
            "direction, which networks lack"
        )


def _stacks(layers: list[Recurrent]) -> list[Reading]:
    """Layers whose scopes differ in the number of ``cell_0``, ``cell_1`` alone, in that order."""
    stacks: dict[str, dict[int, Recurrent]] = {}
    for layer in layers:
        pieces = layer.scope.split("/")
        levels = [index for index, piece in enumerate(pieces) if _LEVEL.match(piece)]
        number = 0
        if levels and (match := _LEVEL.match(pieces[levels[0]])):
            number, pieces[levels[0]] = int(match[1]), "cell"
        stacks.setdefault("/".join(pieces), {})[number] = layer
    return [_levels(scope, stack) for scope, stack in stacks.items()]


def _levels(scope: str, stack: dict[int, Recurrent]) -> Reading:
    if sorted(stack) != list(range(len(stack))) and len(stack) > 1:
        raise NetworkError(f"cells of {scope!r} must be numbered 0 and on, not {sorted(stack)}")
    return tuple(stack[number] for number in sorted(stack))
