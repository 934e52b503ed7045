"""Where the tensors of a Keras model stand: under each layer's list of weights, or in numbered groups.

Keras 2, and Keras 3 in ``.h5`` files, list the weights of each layer of the whole model, those that are trained first.
Keras 3 numbers the tensors of each object in a group ``vars``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from fixedsim.errors import NetworkError, nearest
from fixedsim.importers.keras.container import Contents
from fixedsim.importers.keras.plans import BIAS, EMBEDDINGS, KERNEL, RECURRENT, Leaf

Named = list[tuple[str, NDArray[Any]]]
ByLeaf = dict[str, list[NDArray[Any]]]  # by the leaf's path
_ROLE = re.compile(rf"(?:.*/)?({KERNEL}|{RECURRENT}|{BIAS}|{EMBEDDINGS})(?:_\d+)?(?::\d+)?\Z")
_SEED = "seed_generator"  # of a dropout, which draws nothing when a network runs
_GROUPS = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3, and of Keras 2.12


def is_listed(contents: Contents) -> bool:
    """Whether each layer lists its weights."""
    return bool(_layer_names(contents)[0])


def listed_weights(contents: Contents) -> dict[str, Named]:
    """Layer of the whole model to its weights, name and tensor, in the order of the file; layers without are left out.

    Raises:
        NetworkError: a tensor that is listed is not in the file, or two layers have one name.
    """
    names, root = _layer_names(contents)
    if len(set(names)) < len(names):
        raise NetworkError(f"layer_names must hold each name once, not {len(names)} of which some are twice")
    prefix = f"{root}/" if root else ""
    found = {name: _listed(contents, f"{prefix}{name}") for name in names}
    return {name: weights for name, weights in found.items() if weights}


def _layer_names(contents: Contents) -> tuple[list[str], str]:
    for root in ("", "model_weights"):
        names = _chunks(contents.lists, root, "layer_names")
        if names:
            return names, root
    return [], ""


def _chunks(lists: Mapping[str, list[str]], path: str, key: str) -> list[str]:
    """A list of an attribute, which Keras cuts into numbered parts where it is long."""
    whole = list(lists.get(f"{path}@{key}", []))
    number = 0
    while (part := lists.get(f"{path}@{key}{number}")) is not None:
        whole += part
        number += 1
    return whole


def _listed(contents: Contents, group: str) -> Named:
    weights: Named = []
    for name in _chunks(contents.lists, group, "weight_names"):
        path = f"{group}/{name}"
        if path not in contents.tensors:
            raise NetworkError(f"tensor {path!r} must be in the file as weight_names says, not missing")
        if _SEED not in name:
            weights.append((name, contents.tensors[path]))
    return weights


def role(name: str) -> str | None:
    """What a weight's name says that it is; None where it says nothing."""
    match = _ROLE.match(name)
    return match[1] if match else None


def assigned_lists(listed: Mapping[str, Named], leaves: Sequence[Leaf]) -> ByLeaf:
    """The tensors of each leaf.

    Raises:
        NetworkError: a layer has more or fewer weights, or others, than its leaves.
    """
    found: ByLeaf = {}
    tops = {leaf.top for leaf in leaves}
    for left in listed:
        if left not in tops:
            raise NetworkError(f"weights of layer {left!r} must belong to a layer of the model{nearest(left, tops)}")
    for top in tops:
        inside = sorted((leaf for leaf in leaves if leaf.top == top), key=lambda leaf: leaf.frozen)
        found |= _assigned(top, listed.get(top, []), inside)
    return found


def _assigned(top: str, weights: Named, leaves: Sequence[Leaf]) -> ByLeaf:
    wanted = [(leaf, part) for leaf in leaves for part in leaf.roles]
    if len(weights) != len(wanted):
        raise NetworkError(f"layer {top!r} must have {len(wanted)} weights as it is described, not {len(weights)}")
    found: ByLeaf = {leaf.path: [] for leaf in leaves}
    for (leaf, part), (name, tensor) in zip(wanted, weights, strict=True):
        if role(name) not in (None, part):
            raise NetworkError(f"layer {top!r}: {part} must stand in the place of the weight {name!r}")
        found[leaf.path].append(tensor)
    return found


def grouped_weights(contents: Contents) -> dict[str, list[NDArray[Any]]]:
    """Path of each object that owns tensors to these, in the order of their numbers.

    Raises:
        NetworkError: a tensor stands elsewhere, or a number is missing.
    """
    owners: dict[str, dict[str, NDArray[Any]]] = {}
    for path, tensor in contents.tensors.items():
        owner, _, number = path.rpartition("/vars/")
        if _SEED in path:
            continue
        if not owner or owner.partition("/")[0] not in _GROUPS:
            raise NetworkError(f"tensor {path[:200]!r} must be a weight of a layer, not stand elsewhere")
        owners.setdefault(_path(owner), {})[number] = tensor
    for owner, numbered in owners.items():
        if set(numbered) != {str(number) for number in range(len(numbered))}:
            raise NetworkError(f"weights of {owner[:200]!r} must be numbered from 0, not {sorted(numbered)[:9]}")
    return {owner: [numbered[str(n)] for n in range(len(numbered))] for owner, numbered in owners.items()}


def _path(owner: str) -> str:
    """The path as Keras 3 writes it."""
    return "/".join(_GROUPS[0] if part in _GROUPS else part for part in owner.split("/"))


def assigned_groups(grouped: Mapping[str, list[NDArray[Any]]], leaves: Sequence[Leaf]) -> ByLeaf:
    """The tensors of each leaf.

    Raises:
        NetworkError: an object has more or fewer tensors than its leaf, or belongs to no leaf.
    """
    wanted = {leaf.path: len(leaf.roles) for leaf in leaves}
    for path in grouped:
        if path not in wanted:
            raise NetworkError(f"weights of {path[:200]!r} must belong to a layer of the model{nearest(path, wanted)}")
    for path, count in wanted.items():
        if len(grouped.get(path, [])) != count:
            raise NetworkError(
                f"{path!r} must have {count} weights as it is described, not {len(grouped.get(path, []))}"
            )
    return dict(grouped)
