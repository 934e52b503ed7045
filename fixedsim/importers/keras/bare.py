"""Keras files of weights alone: the layers from names and shapes, in the one order that is possible.

Not told are the activations and whether an LSTM gives its last step only. An LSTM is taken to have Keras' own sigmoid
and tanh and to give all steps, with a note, unless the file is from a Keras whose own gate was the hard sigmoid.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.container import Contents
from fixedsim.importers.keras.naming import Names
from fixedsim.importers.keras.plans import (
    BIAS,
    EMBEDDINGS,
    KERNEL,
    RECURRENT,
    EmbeddingPlan,
    Leaf,
    LinearPlan,
    LstmPlan,
    Plan,
)
from fixedsim.importers.keras.weights import ByLeaf, Named, grouped_weights, is_listed, listed_weights, role
from fixedsim.network import Description, EmbeddingLayer, Layer

REMEDY = "describe the network in a TOML file"
MAX_OBJECTS = 64  # of a file without an order
MAX_TRIED = 5_000  # steps in the search for an order
_NUMBER = re.compile(r"(?:_(\d+))?\Z")
_WAY = re.compile(r"(.*)/(forward|backward)_layer/cell\Z")
_LISTED_WAY = re.compile(r"(?:.*/)?(forward|backward)_[^/]*/")


class Bare(NamedTuple):
    """Plans in rows, each of which is in order; the order of rows against each other is open. Tensors by leaf."""

    rows: list[list[Plan]]
    tensors: ByLeaf


def read_bare(contents: Contents) -> Bare:
    """The layers that names tell.

    Raises:
        NetworkError: a weight that is not understood.
    """
    return _listed(listed_weights(contents)) if is_listed(contents) else _grouped(grouped_weights(contents), contents)


def _listed(listed: Mapping[str, Named]) -> Bare:
    plans: list[Plan] = []
    tensors: ByLeaf = {}
    names = Names()
    for top, weights in listed.items():
        owners: dict[str, Named] = {}
        for name, tensor in weights:
            owners.setdefault(name.rpartition("/")[0], []).append((name.rpartition("/")[2], tensor))
        for path, parts in owners.items():
            tensors[f"{top}:{path}"] = [tensor for _, tensor in parts]
        leaves = [_leaf(top, path, [name for name, _ in parts]) for path, parts in owners.items()]
        ways = [match[1] for path in owners if (match := _LISTED_WAY.match(f"{path}/"))]
        if ways == ["forward", "backward"] and len(leaves) == 2:
            plans.append(LstmPlan(names.unique(top), tuple(leaves)))
        else:
            single = len(leaves) == 1
            plans += [_plan(names.unique(top if single else leaf.path.partition(":")[2]), leaf) for leaf in leaves]
    return Bare([plans], tensors)


def _leaf(top: str, path: str, names: Sequence[str]) -> Leaf:
    roles = tuple(role(name) or name for name in names)
    if roles not in (LSTM_ROLES, LSTM_ROLES[:2], DENSE_ROLES, DENSE_ROLES[:1], (EMBEDDINGS,)):
        raise NetworkError(
            f"weights of layer {top!r} must be those of an LSTM, Dense or Embedding, not {list(roles)[:12]}"
        )
    return Leaf(top, f"{top}:{path}", roles)


LSTM_ROLES, DENSE_ROLES = (KERNEL, RECURRENT, BIAS), (KERNEL, BIAS)


def _plan(name: str, leaf: Leaf) -> Plan:
    if leaf.roles == (EMBEDDINGS,):
        return EmbeddingPlan(name, (leaf,))
    return LinearPlan(name, (leaf,)) if RECURRENT not in leaf.roles else LstmPlan(name, (leaf,))


def _grouped(grouped: ByLeaf, contents: Contents) -> Bare:
    rows: dict[str, list[tuple[int, Plan]]] = {}
    names = Names()
    if len(grouped) > MAX_OBJECTS:
        raise NetworkError(
            f"layers of a file without an order must be at most {MAX_OBJECTS}, not {len(grouped)}; {REMEDY}"
        )
    done: set[str] = set()
    for path in grouped:
        if path in done:
            continue
        pair = _pair(path, grouped)
        done.update(pair)
        group, number = _numbered(_layer_path(path))
        leaves = tuple(_group_leaf(part, grouped[part]) for part in pair)
        called = contents.texts.get(f"{_layer_path(path)}/vars@name", _layer_path(path).rpartition("/")[2])
        name = names.unique(called)
        plan = LstmPlan(name, leaves) if len(leaves) == 2 else _plan(name, leaves[0])
        rows.setdefault(group, []).append((number, plan))
    return Bare([[plan for _, plan in sorted(row, key=lambda entry: entry[0])] for row in rows.values()], grouped)


def _pair(path: str, grouped: Mapping[str, Any]) -> tuple[str, ...]:
    match = _WAY.match(path)
    if match is None:
        return (path,)
    pair = tuple(f"{match[1]}/{way}_layer/cell" for way in ("forward", "backward"))
    for part in pair:
        if part not in grouped:
            raise NetworkError(f"weights of {part[:200]!r} must be in the file, not missing")
    return pair


def _layer_path(path: str) -> str:
    """The layer's group: that of what is called after its class, with the parts of a layer taken off."""
    return re.sub(r"(/(forward_layer|backward_layer|cell|layer))+\Z", "", path)


def _numbered(path: str) -> tuple[str, int]:
    match = _NUMBER.search(path)
    number = match[1] if match else None
    return (path, 0) if number is None else (path[: -len(number) - 1], int(number[:9]))


def _group_leaf(path: str, tensors: Sequence[NDArray[Any]]) -> Leaf:
    """The leaf of a group, whose class stands in its path."""
    kind = _numbered(_layer_path(path))[0].rpartition("/")[2]
    if kind == "embedding":
        roles: tuple[str, ...] = (EMBEDDINGS,)
    elif kind == "dense" or path.endswith("/layer"):
        roles = DENSE_ROLES[: len(tensors)]
    elif path.endswith("/cell") or kind == "lstm_cell":
        roles = LSTM_ROLES[: len(tensors)]
    else:
        roles = ()
    if len(roles) != len(tensors) or (roles == (KERNEL,) and path.endswith("/cell")):
        raise NetworkError(
            f"{path[:200]!r} must be an LSTM, Dense or Embedding with its weights, not {len(tensors)} weights"
        )
    return Leaf("", path, roles)


def inferred(bare: Bare, order: str) -> list[Plan]:
    """The plans in the one order in which each reads what the one before gives.

    Raises:
        NetworkError: no order, or more than one, is possible, or an activation would have to be known.
    """

    def follows(layer: Layer, before: Layer | None, place: int) -> bool:
        return before is None or (not isinstance(layer, EmbeddingLayer) and layer.inputs == before.output_width)

    plans = _only_order(bare, order, follows)
    for plan in plans[:-1]:
        if isinstance(plan, LinearPlan):
            raise NetworkError(
                f"layer {plan.name!r} must be the last layer, not followed by another, because the file does not "
                f"tell its activation; {REMEDY}"
            )
    return plans


def described(bare: Bare, description: Description, order: str) -> list[Plan]:
    """The plans in the order of a description that fits them.

    Raises:
        NetworkError: none does, or the file leaves open which is which.
    """
    layers = description.layers
    objects = sum(len(row) for row in bare.rows)
    if objects != len(layers):
        raise NetworkError(f"layers must be {objects} as the file has them, not {len(layers)}")
    if len(bare.rows) == 1:
        return bare.rows[0]
    return _only_order(bare, order, lambda layer, _, place: _fits(layer, layers[place]))


def _fits(own: Layer, layer: Layer) -> bool:
    """Whether the sizes of a layer of the file are those of a described one."""
    shapes = list(own.tensors().values()), list(layer.tensors().values())
    return own.kind == layer.kind and shapes[0] == shapes[1]


_Row = list[tuple[Plan, Layer]]
_Follows = Callable[[Layer, Layer | None, int], bool]


def _only_order(bare: Bare, order: str, follows: _Follows) -> list[Plan]:
    rows = [[(plan, _layer(plan, bare, order)) for plan in row] for row in bare.rows]
    found = list(islice(_orders(rows, [], follows, count()), 2))
    if not found:
        names = ", ".join(plan.name for row in bare.rows for plan in row)
        raise NetworkError(f"layers must follow each other in width in some order, not {names}; {REMEDY}")
    if len(found) > 1:
        several = " or ".join(" -> ".join(plan.name for plan, _ in order) for order in found)
        raise NetworkError(f"order of layers must follow from their widths, not be {several}; {REMEDY}")
    return [plan for plan, _ in found[0]]


def _layer(plan: Plan, bare: Bare, order: str) -> Layer:
    return plan.found([bare.tensors[leaf.path] for leaf in plan.leaves], order).layer


def _orders(rows: list[_Row], before: _Row, follows: _Follows, tried: Iterator[int]) -> Iterator[_Row]:
    if next(tried) > MAX_TRIED:
        raise NetworkError(f"orders of layers must be found within {MAX_TRIED} steps, not more; {REMEDY}")
    if not any(rows):
        yield before
    last = before[-1][1] if before else None
    for index, row in enumerate(rows):
        if row and follows(row[0][1], last, len(before)):
            yield from _orders([*rows[:index], row[1:], *rows[index + 1 :]], [*before, row[0]], follows, tried)
