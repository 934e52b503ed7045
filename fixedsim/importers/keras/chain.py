"""The layers of a Keras model one after the other: Sequential and Functional models, nested ones taken apart."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.config import Config
from fixedsim.importers.keras.functional import functional_order

MAX_DEPTH = 8  # of models within models
MAX_LAYERS = 1024
MODELS = ("Sequential", "Functional", "Model")
_MODULE = re.compile(r"(keras|tf_keras|tensorflow|builtins)(\.|\Z)")


@dataclass(frozen=True)
class Node:
    """One layer: its class, its configuration, and where its weights stand.

    ``top`` is the layer of the whole model that it belongs to, ``path`` its group in the layout of Keras 3, ``frozen``
    whether it or what it stands in is not trained.
    """

    kind: str
    config: Config
    name: str
    top: str
    path: str
    frozen: bool

    def inner(self, key: str, value: Any = None) -> "Node":
        """The layer or cell that the configuration holds under ``key``, or ``value``."""
        part = self.config.inner(key) if value is None else Config(value, f"{self.config.where}: {key}")
        kind, config = serialized(part)
        frozen = self.frozen or not config.flag("trainable", True)
        return Node(kind, config, self.name, self.top, f"{self.path}/{key}", frozen)


def serialized(entry: Config) -> tuple[str, Config]:
    """The class and the configuration of a layer of Keras' own.

    Raises:
        NetworkError: a class of others, or not a layer.
    """
    kind = entry.text("class_name")
    module, registered = entry.get("module"), entry.get("registered_name")
    own = module is None or (isinstance(module, str) and _MODULE.match(module))
    if not own or registered not in (None, kind):
        raise NetworkError(f"{entry.where} must be a layer of Keras itself, not the custom {registered or kind!r}")
    inner = Config(entry.get("config"), entry.where)
    return kind, Config(inner.values, _called(kind, inner))


def _called(kind: str, config: Config) -> str:
    name = config.get("name")
    return f"{kind} {str(name)[:80]!r}" if name is not None else kind


def model_chain(model: Any) -> list[Node]:
    """The layers of a model's configuration in order, none of which is a model or TimeDistributed.

    Raises:
        NetworkError: a model that is not a chain of layers of Keras itself.
    """
    entry = Config(model, "model configuration")
    kind, values = entry.text("class_name"), entry.get("config")
    if kind not in MODELS:
        raise NetworkError(f"model must be Sequential or Functional, not of class {kind!r}; it has no list of layers")
    if isinstance(values, list):  # Sequential before Keras 2.2.3
        values = {"layers": values}
    config = Config(values, _called(kind, Config(values, "model configuration")))
    nodes = list(_layers(Node(kind, config, "", "", "", not config.flag("trainable", True)), 0))
    if len(nodes) > MAX_LAYERS:
        raise NetworkError(f"layers must be at most {MAX_LAYERS}, not {len(nodes)}")
    return nodes


def _layers(model: Node, depth: int) -> Iterator[Node]:
    if depth > MAX_DEPTH:
        raise NetworkError(f"models must be nested at most {MAX_DEPTH} deep, not deeper than {model.path[:200]!r}")
    entries = [Config(entry, f"{model.config.where}: layer") for entry in model.config.listed("layers")]
    nodes = _nodes(model, entries)
    if model.kind != "Sequential":
        nodes = _in_order(model.config, entries, nodes)
    for node in nodes:
        yield from _parts(node, depth)


def _in_order(config: Config, entries: list[Config], nodes: list[Node]) -> list[Node]:
    """The layers of a Functional model from its input to its output."""
    names = [entry.text("name", node.name) for entry, node in zip(entries, nodes, strict=True)]
    by_name = dict(zip(names, nodes, strict=True))
    if len(by_name) < len(names):
        raise NetworkError(f"{config.where}: layers must have {len(names)} names, not {len(by_name)}")
    order = functional_order(config, dict(zip(names, entries, strict=True)))
    return [by_name[name] for name in order]


def _nodes(model: Node, entries: list[Config]) -> list[Node]:
    """One node a layer; groups in files are counted by class, in the order of the configuration."""
    counts: Counter[str] = Counter()
    nodes = []
    for entry in entries:
        kind, config = serialized(entry)
        snake = snake_case(kind)
        number, counts[snake] = counts[snake], counts[snake] + 1
        name = config.text("name", str(entry.get("name") or snake))
        group = snake if number == 0 else f"{snake}_{number}"
        path = f"{model.path}/layers/{group}" if model.path else f"layers/{group}"
        frozen = model.frozen or not config.flag("trainable", True)
        nodes.append(Node(kind, config, name, model.top or name, path, frozen))
    return nodes


def snake_case(kind: str) -> str:
    """A class name as Keras 3 names groups by it: ``re_lu`` for ``ReLU``."""
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def _parts(node: Node, depth: int) -> Iterator[Node]:
    """The layers of a nested model, the layer in TimeDistributed, or the layer itself."""
    if node.kind in MODELS:
        yield from _layers(node, depth + 1)
    elif node.kind == "TimeDistributed":
        inner = node.inner("layer")
        if inner.kind not in ("Dense", "Dropout", "Activation", "ReLU", "Softmax"):
            raise NetworkError(f"{node.config.where} must hold a Dense layer, not {inner.kind}")
        yield replace(inner, name=node.name)
    else:
        yield node
