"""The order of the layers of a Functional model, which must be a chain.

Keras 3 writes the operations that make a mask of a Masking layer or an embedding beside the chain. They are passed
over where they are those of such a layer.
"""

from typing import Any

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.config import Config

_MASKS = ("NotEqual", "Any")  # operations that make a mask


def functional_order(config: Config, entries: dict[str, Config]) -> list[str]:
    """The names of the layers from the input of a model to its output.

    Raises:
        NetworkError: the layers are not a chain.
    """
    name, end = _only(config, "output_layers"), _only(config, "input_layers")
    order: list[str] = []
    while name in entries and name not in order:
        order.append(name)
        calls = entries[name].listed("inbound_nodes")
        if not calls:
            break
        name = _before(
            calls, Config(entries[name].values, f"layer {name[:80]!r}"), masked=_mask_value(entries) is not None
        )
    _check_rest(config, entries, order, end)
    return order[::-1]


def _check_rest(config: Config, entries: dict[str, Config], order: list[str], end: str) -> None:
    """Refuse what is not on the way from the input to the output, but for the operations of a mask."""
    rest = [
        name for name, entry in entries.items() if name not in order and not _makes_mask(entry, _mask_value(entries))
    ]
    if rest or not order or order[-1] != end:
        beside = rest[0] if rest else end
        raise NetworkError(f"{config.where} must be a chain of layers, not one with {beside[:80]!r} beside it")


def _mask_value(entries: dict[str, Config]) -> float | None:
    """What masks a step, where a layer says so."""
    for entry in entries.values():
        values = entry.get("config")
        options = Config(values if isinstance(values, dict) else {}, entry.where)
        if entry.get("class_name") == "Masking":
            return options.number("mask_value", 0.0)
        if entry.get("class_name") == "Embedding" and options.flag("mask_zero", False):
            return 0.0
    return None


def _makes_mask(entry: Config, value: float | None) -> bool:
    """Whether the operation is one of those that make a mask of steps that differ from ``value``."""
    if value is None or entry.get("class_name") not in _MASKS:
        return False
    calls = entry.listed("inbound_nodes")
    if len(calls) != 1:
        return False
    constants = Config(calls[0], entry.where).listed("args")[1:]
    return constants == ([value] if entry.get("class_name") == "NotEqual" else [])


def _only(config: Config, key: str) -> str:
    """The one layer that ``input_layers`` or ``output_layers`` names."""
    ends = config.listed(key)
    if ends and isinstance(ends[0], str):
        ends = [ends]
    if len(ends) != 1:
        raise NetworkError(f"{config.where}: {key} must name one tensor, not {len(ends)}")
    return _history(ends[0], config)


def _history(history: Any, where: Config) -> str:
    """The layer that gives a tensor, which must be its first output."""
    if not isinstance(history, list) or len(history) < 3 or not isinstance(history[0], str):
        raise NetworkError(f"{where.where}: tensors must be named by layer, node and place, not {str(history)[:60]!r}")
    if history[2] != 0:
        raise NetworkError(
            f"{where.where}: tensors must be the first output of {history[0][:80]!r}, not output {str(history[2])[:20]}"
        )
    return history[0]


def _before(calls: list[Any], where: Config, *, masked: bool) -> str:
    """The layer whose output the one call of a layer reads."""
    if len(calls) > 1:
        raise NetworkError(f"{where.where} must be called once, not {len(calls)} times; weights cannot be shared")
    call = calls[0]
    tensors, options = _new_call(Config(call, where.where)) if isinstance(call, dict) else _old_call(call)
    if len(tensors) != 1:
        raise NetworkError(f"{where.where} must read one tensor, not {len(tensors)}; merges and states have no layer")
    for key, value in Config(options, f"{where.where}: kwargs").values.items():
        if value not in (None, False) and not (masked and key == "mask"):
            raise NetworkError(f"{where.where} must be called with its input alone, not {key} = {str(value)[:60]!r}")
    return _history(tensors[0], where)


def _new_call(call: Config) -> tuple[list[Any], Any]:
    """The tensors and options of a call as Keras 3 writes it."""
    arguments, options = call.listed("args"), call.get("kwargs")
    if len(arguments) == 1 and isinstance(arguments[0], list):
        arguments = arguments[0]
    tensors = [Config(argument, call.where) for argument in arguments]
    return [tensor.inner("config").listed("keras_history") for tensor in tensors], {} if options is None else options


def _old_call(call: Any) -> tuple[list[Any], Any]:
    """The tensors and options of a call as Keras 2 writes it."""
    tensors = [call] if isinstance(call, list) and call and isinstance(call[0], str) else call
    if not isinstance(tensors, list) or not all(isinstance(tensor, list) for tensor in tensors):
        raise NetworkError(f"inbound_nodes must be lists of tensors, not {str(call)[:60]!r}")
    options = [tensor[3] for tensor in tensors if len(tensor) > 3]
    return [tensor[:3] for tensor in tensors], options[0] if options else {}
