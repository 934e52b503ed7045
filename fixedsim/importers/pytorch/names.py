"""Names of tensors as wrappers and trainers write them, on the way to a layer's."""

import re
from collections.abc import Iterable

from fixedsim.errors import NetworkError
from fixedsim.files.tensors import Tensors

_COMPILED = "_orig_mod."  # torch.compile
_WRAPPERS = ("module.", "model.")  # DataParallel; Lightning and many others
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]")
_UNUSUAL = (
    (re.compile(r"(^|\.)parametrizations\.|_orig\Z|_mask\Z"), "parametrized or pruned",
     "torch.nn.utils.parametrize.remove_parametrizations or prune.remove"),
    (re.compile(r"(^|\.)weight(_\w+)?_[gv]\Z"), "weight-normalised", "torch.nn.utils.remove_weight_norm"),
)  # fmt: skip
_QUANTIZED = re.compile(r"(^|\.)(_packed_params\b|_all_weight_values\b|zero_point\Z)")


def refuse_unusual(names: Iterable[str]) -> None:
    """Refuse parametrized, pruned, weight-normalised and quantized parameters.

    Raises:
        NetworkError: there is one; it says what to do in the trainer.
    """
    for name in names:
        for pattern, what, remedy in _UNUSUAL:
            if pattern.search(name):
                raise NetworkError(
                    f"tensor {name[:200]!r} must be a plain weight, not a {what} one; in the trainer, call {remedy} "
                    "before saving"
                )
        if _QUANTIZED.search(name):
            raise NetworkError(f"tensor {name[:200]!r} must be a float weight, not quantized; save the float model")


def without_wrappers(tensors: Tensors, wanted: frozenset[str]) -> tuple[Tensors, tuple[str, ...]]:
    """``tensors`` without the prefixes of wrappers, and notes that say which.

    ``wanted``: names that a description asks for; where the file has one as it is, nothing is taken away.

    Raises:
        NetworkError: two names that become one.
    """
    names = {name: name for name in tensors}
    gone: list[str] = []
    if any(_COMPILED in name for name in tensors):
        names = {name: short.replace(_COMPILED, "") for name, short in names.items()}
        gone.append(_COMPILED)
    while names and not wanted & set(names.values()):
        prefix = next((p for p in _WRAPPERS if all(short.startswith(p) for short in names.values())), None)
        if prefix is None:
            break
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
        gone.append(prefix)
    notes = tuple(f"prefix {prefix!r} taken off the names" for prefix in gone)
    return _renamed(tensors, names), notes


def with_allowed_names(tensors: Tensors) -> tuple[Tensors, tuple[str, ...]]:
    """``tensors`` under names of letters, digits, ``_`` and ``-``; ``:`` and ``/`` become dots, others ``_``.

    Raises:
        NetworkError: two names that become one.
    """
    names = {name: _NOT_ALLOWED.sub("_", name.replace("/", ".").replace(":", ".")) for name in tensors}
    changed = [f"{name[:60]!r} is {new[:60]!r}" for name, new in names.items() if name != new]
    notes = (f"names changed to what layers may have: {', '.join(changed[:4])}",) if changed else ()
    return _renamed(tensors, names), notes


def _renamed(tensors: Tensors, names: dict[str, str]) -> Tensors:
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        if names[name] in renamed:
            raise NetworkError(
                f"tensor {name[:200]!r} must have a name of its own, not become a second {names[name]!r}"
            )
        renamed[names[name]] = tensor
    return renamed
