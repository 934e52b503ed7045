"""One operator with its attributes and the values that it reads, each checked as it is asked for."""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.limits import Budget
from fixedsim.importers.onnx.tensors import TensorReader
from fixedsim.importers.onnx.values import MAX_LISTED, Constant, Opaque, Refused, Stream, Value

_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8
_FIELD: Final = {
    _FLOAT: "f",
    _INT: "i",
    _STRING: "s",
    _TENSOR: "t",
    _FLOATS: "floats",
    _INTS: "ints",
    _STRINGS: "strings",
}
_KIND: Final = {
    _FLOAT: "a number", _INT: "an integer", _STRING: "a string", _TENSOR: "a tensor", _FLOATS: "numbers",
    _INTS: "integers", _STRINGS: "strings",
}  # fmt: skip


class Unreadable(NetworkError):
    """A value that is read was not understood, for a reason that another operator gave."""


_SCOPES: Final = "pkg.torch.onnx.name_scopes"  # as Python writes a list of strings
_QUOTED: Final = re.compile(r"'([^']*)'")
_LONGEST_SCOPES: Final = 1000


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """An operator of the graph, the values of its inputs (None for those left out), and what all operators share."""

    node: Any
    inputs: tuple[Value | None, ...]
    opset: int
    tensors: TensorReader

    @property
    def budget(self) -> Budget:
        """How much may still be made of constants."""
        return self.tensors.budget

    @property
    def op(self) -> str:
        """The operator's name, with its domain if that is not ONNX's own."""
        domain = self.node.domain
        return str(self.node.op_type if domain in ("", "ai.onnx") else f"{domain}.{self.node.op_type}")[:80]

    @property
    def label(self) -> str:
        """The operator as messages name it."""
        name = self.node.name or next(iter(self.node.output), "")
        return f"{self.op} {name[:80]!r}"

    @property
    def path(self) -> str:
        """Where the operator stands in the exporter's modules, with slashes, or its name."""
        for entry in self.node.metadata_props:
            if entry.key == _SCOPES and len(scopes := _QUOTED.findall(entry.value[:_LONGEST_SCOPES])) > 1:
                return "/".join(scope for scope in scopes if scope)
        return str(self.node.name)

    def error(self, text: str) -> NetworkError:
        """An error that names the operator first."""
        return NetworkError(f"{self.label}: {text}")

    def name_of(self, index: int) -> str:
        """The name of an input's value."""
        return str(self.node.input[index]) if index < len(self.node.input) else ""

    def given(self, index: int) -> bool:
        """Whether an input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def require_two(self) -> None:
        """Refuse an operator of two inputs that has another count.

        Raises:
            NetworkError: it has.
        """
        if len(self.inputs) != 2:
            raise self.error(f"inputs must be 2, not {len(self.inputs)}")

    def value(self, index: int) -> Constant | Stream | Opaque:
        """What an input holds.

        Raises:
            NetworkError: it is missing or not understood.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise self.error(f"input {index} must be given, not missing")
        if isinstance(value, Refused):
            raise Unreadable(value.reason)
        return value

    def stream(self, index: int) -> Stream:
        """The network's data at an input.

        Raises:
            NetworkError: it is something else.
        """
        value = self.value(index)
        if isinstance(value, Opaque):
            raise self.error(f"input {index} must be an LSTM's or another layer's output, not {value.what}")
        if isinstance(value, Constant):
            raise self.error(f"input {index} must come from the graph's input, not be the constant {value.origin!r}")
        return value

    def constant(self, index: int) -> Constant:
        """The constant at an input.

        Raises:
            NetworkError: it is something else.
        """
        value = self.value(index)
        if not isinstance(value, Constant):
            raise self.error(f"input {index} ({self.name_of(index)[:60]!r}) must be a constant, not computed")
        return value

    def _attribute(self, name: str, kind: int) -> Any:
        for attribute in self.node.attribute:
            if attribute.name == name:
                if attribute.type != kind or attribute.ref_attr_name:
                    raise self.error(f"attribute {name!r} must be {_KIND[kind]}, not of type {attribute.type}")
                return getattr(attribute, _FIELD[kind])
        return None

    def has(self, name: str) -> bool:
        """Whether an attribute is there."""
        return any(attribute.name == name for attribute in self.node.attribute)

    def integer(self, name: str, default: int) -> int:
        """An attribute."""
        found = self._attribute(name, _INT)
        return default if found is None else int(found)

    def number(self, name: str, default: float) -> float:
        """An attribute, finite.

        Raises:
            NetworkError: it is infinite or not a number.
        """
        found = self._attribute(name, _FLOAT)
        value = default if found is None else float(found)
        if not math.isfinite(value):
            raise self.error(f"attribute {name!r} must be finite, not {value}")
        return value

    def text(self, name: str, default: str) -> str:
        """An attribute."""
        found = self._attribute(name, _STRING)
        return default if found is None else found.decode("utf-8", "replace")[:80]

    def tensor(self, name: str) -> Any:
        """An attribute, or None."""
        return self._attribute(name, _TENSOR)

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute, or None."""
        found = self._attribute(name, _INTS)
        return None if found is None else tuple(self._listed(name, found))

    def numbers(self, name: str) -> tuple[float, ...]:
        """An attribute, empty if it is left out."""
        return tuple(self._listed(name, self._attribute(name, _FLOATS) or ()))

    def texts(self, name: str) -> tuple[str, ...]:
        """An attribute, empty if it is left out."""
        found = self._listed(name, self._attribute(name, _STRINGS) or ())
        return tuple(text.decode("utf-8", "replace")[:80] for text in found)

    def _listed(self, name: str, values: Any) -> Any:
        if len(values) > MAX_LISTED:
            raise self.error(f"attribute {name!r} must hold at most {MAX_LISTED} values, not {len(values)}")
        return values

    def listed(self, index: int, name: str) -> tuple[int, ...] | None:
        """Integers that newer files have as an input and older ones as an attribute; None where they are left out."""
        if self.given(index):
            return self.constant(index).integers(f"{self.label}: {name}")
        return self.integers(name)

    def axis(self, value: int, rank: int) -> int:
        """An axis counted from the front.

        Raises:
            NetworkError: there is none.
        """
        if not -rank <= value < rank:
            raise self.error(f"axis must be in {-rank}..{rank - 1}, not {value}")
        return value % rank

    def axes(self, values: tuple[int, ...], rank: int) -> tuple[int, ...]:
        """Axes counted from the front.

        Raises:
            NetworkError: one of them is none, or there twice.
        """
        axes = tuple(self.axis(value, rank) for value in values)
        if len(set(axes)) < len(axes):
            raise self.error(f"axes must be different, not {values}")
        return axes
