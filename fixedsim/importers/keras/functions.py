"""The activation functions of Keras by this project's names."""

from typing import NamedTuple

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.config import Config

UNDECIDED = "hard_sigmoid of an unknown version"
SOFTMAX = "softmax"  # has no name here: the last layer's is left to the reader of the logits
NAMES = {
    "linear": "identity",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "hard_tanh": "hard_tanh",
    "hard_sigmoid": UNDECIDED,
    "relu6": "clipped_relu",
    "softmax": SOFTMAX,
    "log_softmax": SOFTMAX,
}
HARD_SIGMOIDS = {True: "hard_sigmoid_fifth", False: "hard_sigmoid"}  # before Keras 3: x / 5 + 1/2; from it: x / 6 + 1/2


class Function(NamedTuple):
    """An activation and the upper end of a clipped ReLU."""

    name: str
    clip: float | None = None


IDENTITY = Function("identity")


def major(version: str | None) -> int | None:
    """The first number of a version, or None."""
    first = "" if version is None else version.partition(".")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 4 else None


def function(config: Config, key: str, version: str | None) -> Function:
    """The activation under ``key``: a name, a ReLU layer, or none, which is the identity.

    Raises:
        NetworkError: one that networks lack.
    """
    value = config.get(key)
    if isinstance(value, dict):
        return _serialized(config.inner(key), version)
    return _named(config, key, config.text(key, "linear"), version)


def _named(config: Config, key: str, name: str, version: str | None) -> Function:
    if name not in NAMES:
        raise config.wrong(key, f"one of {', '.join(NAMES)}", name)
    known = NAMES[name]
    number = major(version)
    if known == UNDECIDED and number is not None:
        known = HARD_SIGMOIDS[number < 3]
    return Function(known, 6.0 if name == "relu6" else None)


def _serialized(entry: Config, version: str | None) -> Function:
    """A function or a layer that is written as an object."""
    kind = entry.text("class_name")
    if kind == "ReLU":
        return rectified(entry.inner("config"))
    if entry.get("registered_name") in (None, kind) and isinstance(entry.get("config"), str):
        return _named(entry, "config", entry.text("config"), version)
    raise NetworkError(f"{entry.where} must be a function of Keras itself, not {kind!r}")


def rectified(config: Config) -> Function:
    """The function of a ReLU layer: ``relu``, or ``clipped_relu`` where it has a greatest value.

    Raises:
        NetworkError: a slope or a threshold.
    """
    for key in ("negative_slope", "threshold"):
        value = config.get(key)
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value not in (None, 0):
            raise config.wrong(key, "0", value)
    if "max_value" not in config:
        return Function("relu")
    return Function("clipped_relu", config.number("max_value", 0.0))
