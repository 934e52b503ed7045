"""Layers from the calls of a project's function: each with its configuration checked, and its weights read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fixedsim.importers.hls4ml.declarations import Struct
from fixedsim.importers.hls4ml.description import HlsLayer, Variable
from fixedsim.importers.hls4ml.function import ACTIVATIONS, KINDS, Call, Function
from fixedsim.importers.hls4ml.weights import Weights

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]{0,99}")
_TABLES = ("sigmoid", "tanh")
_HARD = ("hard_sigmoid", "hard_tanh")


@dataclass
class Reader:
    """What calls are read with: the function, the configurations and the weights."""

    function: Function
    structs: Mapping[str, Struct]
    weights: Weights
    _names: set[str] = field(default_factory=set)

    def layer(self, call: Call, given: Variable) -> tuple[HlsLayer, Variable]:
        """The layer of a call that must read ``given``, and what it writes.

        Raises:
            FileError: an argument, a type, a size or a choice that does not fit.
        """
        name = call.label or call.templates[-1]
        if not _LABEL.fullmatch(name):
            self._refuse(call, f"comment must be the layer's name, not {name[:80]!r}")
        if name in self._names:
            self._refuse(call, f"name must be one layer's, not a second one's: {name}")
        self._names.add(name)
        step = _Step(self, call, name, given)
        read = {"dense": step.dense, "lstm": step.lstm}.get(KINDS[call.function], step.activation)
        return read(), step.written

    def _refuse(self, call: Call, message: str) -> NoReturn:
        raise self.function.source.error(call.line, message)


class _Step:
    """One call on its way to a layer."""

    def __init__(self, reader: Reader, call: Call, name: str, given: Variable) -> None:
        self.reader, self.call, self.name, self.given = reader, call, name, given
        weights = {"dense": 2, "lstm": 4}.get(KINDS[call.function], 0)
        if len(call.templates) != 3 or len(call.arguments) != 2 + weights:
            self.refuse(f"{name} must have one input, one output and {weights} arrays of weights, not initial states")
        if call.arguments[0] != given.name:
            self.refuse(f"input of {name} must be {given.name}, not {call.arguments[0][:80]}: layers must be a chain")
        found = reader.function.variables.get(call.arguments[1])
        if found is None:
            self.refuse(f"output of {name} must be declared, not {call.arguments[1][:80]}")
        self.written = found
        self._check_types()
        self.config = self._struct(call.templates[2])

    def refuse(self, message: str) -> NoReturn:
        """Raise the FileError of this call."""
        raise self.reader.function.source.error(self.call.line, message)

    def _check_types(self) -> None:
        for place, variable in enumerate((self.given, self.written)):
            spelling = self.reader.function.names.type(self.call.templates[place])
            if spelling != variable.type:
                self.refuse(f"type of {variable.name} must be that of the call, {spelling}, not {variable.type}")

    def _struct(self, name: str) -> Struct:
        if name not in self.reader.structs:
            self.refuse(f"configuration {name} of {self.name} must be in parameters.h, not missing")
        return self.reader.structs[name]

    def _check_base(self, base: str) -> None:
        if self.config.base != base:
            self.config.refuse(f"{self.config.name} must be a {base}, not {self.config.base!r}")

    def _check_shapes(self, given: tuple[int, ...], written: tuple[int, ...]) -> None:
        for variable, shape in ((self.given, given), (self.written, written)):
            if variable.shape != shape:
                self.refuse(f"shape of {variable.name} at {self.name} must be {shape}, not {variable.shape}")

    def _weights(self, place: int, spelling: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The numbers of the array that stands at a place of the arguments."""
        name, count = self.call.arguments[place], int(np.prod(shape))
        file = self.reader.function.weights.get(name)
        if file is None:
            self.refuse(f"weights {name[:80]} must be loaded from a text file, not from {name[:80]}.h alone")
        if (file.type, file.numbers) != (spelling, count):
            self.refuse(f"weights {name} must be {count} of {spelling}, not {file.numbers} of {file.type}")
        return self.reader.weights.read(file.file, count).reshape(shape)

    def _layer(self, types: dict[str, str], sizes: dict[str, int], weights: dict[str, NDArray[np.float64]]) -> HlsLayer:
        given, written = self.given, self.written
        ends = given.type, written.type, given.shape, written.shape
        return HlsLayer(KINDS[self.call.function], self.name, *ends, types, sizes, weights)

    def dense(self) -> HlsLayer:
        """A dense layer, of one vector or of every step."""
        steps = self.call.function != "dense"
        self._check_base("nnet::conv1d_config" if steps else "nnet::dense_config")
        sizes = self._pointwise_sizes() if steps else self._sizes("n_in", "n_out")
        product = self._struct(self.config.types.get("mult_config", "")) if steps else self.config
        self._check_product(product)
        inputs, outputs = sizes["n_in"], sizes["n_out"]
        shapes = [(sizes["n_sequence"], size) if steps else (size,) for size in (inputs, outputs)]
        self._check_shapes(shapes[0], shapes[1])
        types = {use: product.type(f"{use}_t") for use in ("accum", "weight", "bias")}
        weights = {
            "weight": self._weights(2, types["weight"], (inputs, outputs)),
            "bias": self._weights(3, types["bias"], (outputs,)),
        }
        return self._layer(types, sizes, weights)

    def _sizes(self, *members: str) -> dict[str, int]:
        return {member: self._size(self.config, member) for member in members}

    def _size(self, struct: Struct, member: str) -> int:
        size = struct.number(member)
        if size < 1:
            struct.refuse(f"{member} of {struct.name} must be at least 1, not {size}")
        return size

    def _pointwise_sizes(self) -> dict[str, int]:
        """The sizes of a dense layer that is written as a convolution of width 1."""
        config = self.config
        plain = {"filt_width": 1, "stride_width": 1, "pad_left": 0, "pad_right": 0}
        for member, value in plain.items():
            if config.number(member) != value:
                config.refuse(f"{member} of {config.name} must be {value}, not {config.number(member)}")
        names = {"n_in": "n_chan", "n_out": "n_filt", "n_sequence": "in_width"}
        sizes = {size: self._size(config, member) for size, member in names.items()}
        if config.number("out_width") != sizes["n_sequence"]:
            config.refuse(f"out_width of {config.name} must be {sizes['n_sequence']}, not {config.number('out_width')}")
        self._check_choice(config, "conv_kernel", "nnet::Conv1DLatency")
        return sizes

    def _check_product(self, struct: Struct) -> None:
        """Refuse another order of sums than ascending, one output after the other, and products of another kind."""
        strategy = struct.text("strategy")
        if strategy != "nnet::latency":
            struct.refuse(f"strategy of {self.name} must be nnet::latency, not {strategy[:80]}; convert with Latency")
        self._check_choice(struct, "kernel", "nnet::DenseLatency")
        self._check_choice(struct, "product", "nnet::product::mult")

    def _check_choice(self, struct: Struct, member: str, value: str) -> None:
        """Refuse a template that stands for another thing; the versions that had one choice did not name it."""
        if member in struct.types and struct.template(member) != value:
            struct.refuse(f"{member} of {self.name} must be {value}, not {struct.template(member)[:80]}")

    def activation(self) -> HlsLayer:
        """An activation of every number."""
        kind = self.call.function
        if kind not in _HARD:
            self._check_base("nnet::activ_config")
        elif not {"slope_type", "shift_type"} <= set(self.config.types):
            self.config.refuse(f"{self.config.name} must have slope and shift, not be without")
        sizes = self._sizes("n_in", *(["table_size"] if kind in _TABLES else []))
        if int(np.prod(self.given.shape)) != sizes["n_in"]:
            self.config.refuse(f"n_in of {self.name} must be that of shape {self.given.shape}, not {sizes['n_in']}")
        self._check_shapes(self.given.shape, self.given.shape)
        types = {"table": self.config.type("table_t")} if kind in _TABLES else {}
        if kind not in _HARD:
            return self._layer(types, sizes, {})
        types = {name: self.config.type(f"{name}_type") for name in ("slope", "shift")}
        layer = self._layer(types, sizes, {})
        constants = {name: self.config.real(name) for name in types}
        return replace(layer, constants=constants)

    def lstm(self) -> HlsLayer:
        """An LSTM that begins each sample with zeros."""
        self._check_base("nnet::lstm_config")
        sizes = self._sizes("n_in", "n_out", "n_state", "n_sequence", "n_sequence_out")
        units, steps = sizes["n_state"], sizes["n_sequence"]
        returned = len(self.written.shape) == 2
        for member, value in {"n_out": units, "n_sequence_out": steps if returned else 1}.items():
            if sizes[member] != value:
                self.config.refuse(f"{member} of {self.name} must be {value}, not {sizes[member]}")
        self._check_shapes((steps, sizes["n_in"]), (steps, units) if returned else (units,))
        types = self._lstm_types(sizes)
        recurrent = self._function("activation_recr", "ACT_CONFIG_LSTM", types, sizes)
        cell = self._function("activation", "ACT_CONFIG_T", types, sizes)
        layer = self._layer(types, sizes, self._lstm_weights(types, sizes))
        return replace(layer, return_sequences=returned, activation=cell, recurrent_activation=recurrent)

    def _lstm_types(self, sizes: dict[str, int]) -> dict[str, str]:
        """The LSTM's types, which its two products must share, and whose sizes must be the LSTM's."""
        uses = ("accum", "weight", "recurrent_weight", "bias", "recurrent_bias")
        types = {use: self.config.type(f"{use}_t") for use in uses}
        products = (
            ("mult_config1", "n_in", "weight", "bias"),
            ("mult_config2", "n_state", "recurrent_weight", "recurrent_bias"),
        )
        for member, inputs, weight, bias in products:
            struct = self._struct(self.config.types.get(member, ""))
            self._check_product(struct)
            own = struct.number("n_in"), struct.number("n_out"), *map(struct.type, ("accum_t", "weight_t", "bias_t"))
            expected = sizes[inputs], 4 * sizes["n_state"], types["accum"], types[weight], types[bias]
            if own != expected:
                struct.refuse(f"sizes and types of {struct.name} must be {expected}, not {own}")
        return types

    def _function(self, member: str, config: str, types: dict[str, str], sizes: dict[str, int]) -> str:
        """An activation of the LSTM; its table must be that of the other one."""
        name = self.config.template(member).removeprefix("nnet::activation::")
        if name not in ACTIVATIONS:
            self.config.refuse(f"{member} of {self.name} must be one of {', '.join(ACTIVATIONS)}, not {name[:80]}")
        if name in _TABLES:
            struct = self._struct(self.config.types.get(config, ""))
            table = struct.type("table_t"), self._size(struct, "table_size")
            if table != (types.setdefault("table", table[0]), sizes.setdefault("table_size", table[1])):
                struct.refuse(f"tables of {self.name} must have one type and size, not {table} besides")
        return name

    def _lstm_weights(self, types: dict[str, str], sizes: dict[str, int]) -> dict[str, NDArray[np.float64]]:
        inputs, units = sizes["n_in"], sizes["n_state"]
        gates = 4 * units
        shapes = {
            "weight": (inputs, gates), "recurrent_weight": (units, gates), "bias": (gates,), "recurrent_bias": (gates,),
        }  # fmt: skip
        return {use: self._weights(2 + at, types[use], shape) for at, (use, shape) in enumerate(shapes.items())}
