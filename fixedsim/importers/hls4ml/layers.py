"""Integer layers with hls4ml's arithmetic: its profile, with the types of one layer in place of the default ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_linear, assemble_lstm
from fixedsim.errors import FileError
from fixedsim.hls_types import HlsType
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.profiles.profile import Profile, load_profile

DEFAULT_TABLE_TYPE = "ap_fixed<18,8>"
DEFAULT_TABLE_SIZE = 1024
_CLAMPS = {"linear": "identity", "relu": "relu"}


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation layer after a dense one: its kind, the type of its result, and its table."""

    kind: str  # linear, relu, sigmoid or tanh
    output: HlsType
    table: str = DEFAULT_TABLE_TYPE
    size: int = DEFAULT_TABLE_SIZE
    values: tuple[int, ...] | None = None


def layer_profile(changes: Mapping[str, Mapping[str, Any]]) -> Profile:
    """The profile ``hls4ml`` with other choices, table by table."""
    choices = load_profile("hls4ml").to_dict()
    for table, own in changes.items():
        choices[table] = {**choices[table], **own}
    return Profile.from_dict(choices, "hls4ml")


def dense(
    name: str, weight: ArrayLike, bias: ArrayLike, types: Mapping[str, HlsType], activation: Activation | None = None
) -> Linear:
    """A dense layer: ``acc = cast(bias); acc = cast(acc + cast(x * w))`` in ascending order; ``y = cast(acc)``.

    Args:
        name: the layer's name.
        weight: raws ``(inputs, outputs)``, as hls4ml stores them.
        bias: raws ``(outputs,)``.
        types: of the input, the weight, the bias, the accumulator (``accum``) and the result.
        activation: the activation layer that reads the result; none if left out.

    Raises:
        FileError: an activation that is not known; ModelError, InputError: raws or types that do not fit.
    """
    after = activation or Activation("linear", types["result"])
    accum, result = types["accum"], str(types["result"])
    changes: dict[str, dict[str, Any]] = {
        "accumulator": _accumulator(accum),
        "bias": {"fixed": {"format": str(types["bias"])}},
        "linear": {"preactivation": {"format": result}, "output": {"format": str(after.output)}},
    }
    if after.kind not in _CLAMPS:
        if after.kind not in ("sigmoid", "tanh"):
            allowed = ", ".join([*_CLAMPS, "sigmoid", "tanh"])
            raise FileError(f"activation of {name} must be one of {allowed}, not {after.kind}")
        changes[after.kind] = _function(after.table, after.size, after.values)
    tensors = LinearTensors(
        _matrix(weight, types["weight"]),
        RawBias(np.asarray(bias), types["bias"].format),
        types["input"].format,
        after.output.format,
        _CLAMPS.get(after.kind, after.kind),
    )
    return assemble_linear(name, tensors, layer_profile(changes))


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of an LSTM's sigmoid and tanh: type, size, and entries where they are given."""

    type: str = DEFAULT_TABLE_TYPE
    size: int = DEFAULT_TABLE_SIZE
    sigmoid: tuple[int, ...] | None = None
    tanh: tuple[int, ...] | None = None


def lstm(
    name: str,
    weight: ArrayLike,
    recurrent: ArrayLike,
    bias: ArrayLike,
    types: Mapping[str, HlsType],
    tables: Tables | None = None,
) -> Lstm:
    """An LSTM: two dense accumulators of one type, gates in it, one cast of the cell's exact sum.

    Args:
        name: the layer's name.
        weight: raws ``(inputs, 4 * units)``, gates i, f, c, o.
        recurrent: raws ``(units, 4 * units)``.
        bias: raws ``(4 * units,)``.
        types: of the input, the weight, the recurrent weight, the bias, the accumulator (``accum``) and the result.
        tables: those of sigmoid and tanh; the defaults if left out.
    """
    given = tables or Tables()
    accum, result = str(types["accum"]), str(types["result"])
    output = {"output": {"format": accum}}
    profile = layer_profile(
        {
            "accumulator": _accumulator(types["accum"]),
            "bias": {"fixed": {"format": str(types["bias"])}},
            "lstm": {
                "sum": {"format": accum},
                "preactivation": {"format": accum},
                "cell": {"format": result},
                "hidden": {"format": result},
            },
            "sigmoid": _function(given.type, given.size, given.sigmoid) | output,
            "tanh": _function(given.type, given.size, given.tanh) | output,
        }
    )
    tensors = LstmTensors(
        _matrix(weight, types["weight"]),
        _matrix(recurrent, types["recurrent_weight"]),
        RawBias(np.asarray(bias), types["bias"].format),
        types["input"].format,
        types["result"].format,
    )
    return assemble_lstm(name, tensors, profile)


def _accumulator(accum: HlsType) -> dict[str, Any]:
    return {"bits": accum.bits, "overflow": str(accum.overflow), "product": {"format": str(accum)}}


def _function(table: str, size: int, values: tuple[int, ...] | None) -> dict[str, Any]:
    choices: dict[str, Any] = {"kind": "hls4ml", "format": table, "segments": size}
    return choices if values is None else {**choices, "values": values}


def _matrix(weight: ArrayLike, kind: HlsType) -> RawMatrix:
    """The matrix ``(outputs, inputs)`` of weights ``(inputs, outputs)``."""
    raws: NDArray[Any] = np.asarray(weight).T
    scale: Fraction = kind.format.scale
    return RawMatrix(np.ascontiguousarray(raws), kind.format, [scale] * len(raws))
