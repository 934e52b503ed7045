"""What a network is, without its weights: layers in order, the Bit-RNN rule and the initial state."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from fixedsim.errors import NetworkError
from fixedsim.network.layer_checks import Shapes
from fixedsim.network.layer_types import EmbeddingLayer as EmbeddingLayer
from fixedsim.network.layer_types import Layer as Layer
from fixedsim.network.layer_types import LinearLayer as LinearLayer
from fixedsim.network.layer_types import LstmLayer as LstmLayer
from fixedsim.network.layer_types import layer_dict
from fixedsim.network.schema import DescriptionSchema, validated
from fixedsim.network.tensor_names import file_names

InitialState = Literal["zero", "half"]
MAX_RULE_BITS = 16


@dataclass(frozen=True, slots=True)
class BitRnnRule:
    """Bit-RNN (He et al. 2016): weights of ``weight_bits``, embedding and hidden outputs of ``activation_bits``.

    Raises:
        NetworkError: bits outside 1..16.
    """

    weight_bits: int
    activation_bits: int

    def __post_init__(self) -> None:
        for key, bits in asdict(self).items():
            if not 1 <= bits <= MAX_RULE_BITS:
                raise NetworkError(f"bit_rnn: {key} must be in 1..{MAX_RULE_BITS}, not {bits}")


@dataclass(frozen=True, slots=True)
class Description:
    """A network's layers in order; nothing is allocated.

    ``initial_state`` is the ``h`` and ``c`` of every LSTM at the start: zero, or one half, which a Bit-RNN rule
    rounds to its activation bits (ties to even).

    Raises:
        NetworkError: no layer, a name used twice, widths that do not follow each other, an embedding or an
            LSTM with ``steps = "last"`` in a place where it cannot stand, an LSTM that a Bit-RNN rule doesn't know.
    """

    name: str
    layers: tuple[Layer, ...]
    bit_rnn: BitRnnRule | None = None
    initial_state: InitialState = "zero"

    def __post_init__(self) -> None:
        if not self.layers:
            raise NetworkError("layers must hold at least one layer, not none")
        if self.initial_state not in get_args(InitialState):
            raise NetworkError(f"initial_state must be zero or half, not {self.initial_state!r}")
        self._check_chain()
        self._check_last_steps()
        self._check_unique()
        if self.bit_rnn is not None:
            self._check_rule()

    def _check_chain(self) -> None:
        for before, layer in zip(self.layers, self.layers[1:], strict=False):
            if isinstance(layer, EmbeddingLayer):
                raise NetworkError(f"layer {layer.name!r} must be the first layer, not after {before.name!r}")
            if layer.inputs != before.output_width:
                raise NetworkError(
                    f"layer {layer.name!r}: inputs must be {before.output_width}, the width of {before.name!r}, "
                    f"not {layer.inputs}"
                )

    def _check_last_steps(self) -> None:
        for layer in self.lstm_layers[:-1]:
            if layer.steps == "last":
                raise NetworkError(f"layer {layer.name!r}: steps must be 'all' before another LSTM, not 'last'")

    def _check_rule(self) -> None:
        for layer in self.lstm_layers:
            for key, given in (
                ("projection", layer.projection),
                ("peephole", layer.peephole),
                ("initial", layer.initial),
            ):
                if given:
                    raise NetworkError(f"layer {layer.name!r}: {key} must be absent under a Bit-RNN rule, not {given}")

    def _check_unique(self) -> None:
        seen: set[str] = set()
        for layer in self.layers:
            in_files = {name for names in file_names(layer).values() for name in names}
            for name in sorted({layer.name, *layer.tensors(), *in_files}):
                if name in seen:
                    raise NetworkError(f"layer name must be unique with all that it names, not {name!r} twice")
                seen.add(name)

    @property
    def lstm_layers(self) -> tuple[LstmLayer, ...]:
        """The LSTM layers in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, LstmLayer))

    @property
    def output_width(self) -> int:
        """The width of the last layer."""
        return self.layers[-1].output_width

    def tensors(self) -> Shapes:
        """Canonical tensor name to shape, in the order of the layers."""
        return {name: shape for layer in self.layers for name, shape in layer.tensors().items()}

    def parameters(self) -> dict[str, int]:
        """Canonical tensor name to its count of parameters; an LSTM has one bias vector to a direction."""
        return {name: math.prod(shape) for name, shape in self.tensors().items()}

    def signals(self) -> tuple[str, ...]:
        """The names that a trace can hold, in the order of the layers."""
        return tuple(name for layer in self.layers for name in layer.signals())

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values, which :meth:`from_dict` reads."""
        return {
            "name": self.name,
            "layers": [layer_dict(layer) for layer in self.layers],
            "bit_rnn": None if self.bit_rnn is None else asdict(self.bit_rnn),
            "initial_state": self.initial_state,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "description") -> Self:
        """The description that plain values hold, as TOML or JSON give them; ``source`` names them in errors.

        ``inputs`` may be left out after the first layer. ``depth = 2`` on an LSTM called ``lstm`` makes two,
        ``lstm.l0`` and ``lstm.l1``.

        Raises:
            NetworkError: a key that is unknown, missing or of another type, or a network that is not possible.
        """
        return cls.from_schema(validated(DescriptionSchema, data, source), source)

    @classmethod
    def from_schema(cls, schema: DescriptionSchema, source: str) -> Self:
        """The description of keys whose types have been checked.

        Raises:
            NetworkError: a network that is not possible.
        """
        try:
            rule = None if schema.bit_rnn is None else BitRnnRule(**schema.bit_rnn.model_dump())
            return cls(schema.name, schema.expanded_layers(), rule, schema.initial_state)
        except NetworkError as error:
            raise NetworkError(f"{source}: {error}") from None
