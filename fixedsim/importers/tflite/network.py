"""From the operators of a TensorFlow Lite graph to the layers of a model, in order.

Each tensor of the graph is followed as a :class:`Value`: the layers that give it, and how it lies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fixedsim.errors import FileError, FixedsimError
from fixedsim.importers.tflite.file import read_tflite
from fixedsim.importers.tflite.graph import Graph, Operator, Tensor
from fixedsim.importers.tflite.layers import LAYERS, build
from fixedsim.importers.tflite.operands import Source, tensor_format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.profiles.executors import DEFAULT_EXECUTOR, executor_profile
from fixedsim.profiles.profile import Profile

Layer = Linear | Lstm | Bidirectional | Reversal
_NAMES = {"FULLY_CONNECTED": "fc", "UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm"}


@dataclass(frozen=True)
class Value:
    """A tensor as the layers before it give it.

    ``leading`` are the axes before the features as the model's input has them (batch and steps, in the file's order).
    ``reversed`` says that time runs backward against the layers' output; ``backward_of`` is what an LSTM read that
    reads it backward; ``last`` that only the last step is left.
    """

    layers: tuple[Layer, ...]
    leading: tuple[int, ...]
    last: frozenset[str] = frozenset()
    reversed: bool = False
    backward_of: "Value | None" = None


def read_model(path: Path | str, executor: str | Profile = DEFAULT_EXECUTOR) -> Model:
    """The integer model in a ``.tflite`` file, as ``executor`` computes it, or under a profile.

    Raises:
        FileError: the file is damaged, or holds an operator or a choice that is not known, by name.
        ProfileError: no such executor.
        DependencyError: the package that reads the schema is missing.
    """
    profile = executor if isinstance(executor, Profile) else executor_profile(executor)
    graph = read_tflite(path)
    try:
        return graph_model(graph, Source(graph, profile), Path(path).stem)
    except FixedsimError as error:
        raise FileError(f"{path}: {error}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A check that is missing before an operand is used; the file is at fault all the same.
        raise FileError(f"{path} must hold operators that fit their operands, not ones with {str(error)!r}") from None


def graph_model(graph: Graph, source: Source, name: str) -> Model:
    """The model of a graph with one input and one output.

    Raises:
        FileError: an operator or a way of joining them that has no layer.
    """
    for what, given in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(given) != 1:
            raise FileError(f"{what} of the graph must be 1, not {len(given)}")
    walk = _Walk(graph, source)
    value = walk.value(graph.outputs[0])
    layers = [*value.layers, *walk.turned(value)]
    if not layers:
        raise FileError("graph must have a layer, not only operators that move data")
    kept = {layer.name for layer in layers} & value.last
    return Model(name, tuple(layers), frozenset(kept), profile=source.profile.to_dict())


class _Walk:
    """Follows the tensors of a graph through its operators."""

    def __init__(self, graph: Graph, source: Source) -> None:
        self.graph, self.source = graph, source
        self.counts: dict[str, int] = {}
        shape = graph.tensors[graph.inputs[0]].shape
        self.values = {graph.inputs[0]: Value((), shape[:-1])}
        moves: dict[str, Callable[[Operator], Value]] = {
            "RESHAPE": self._reshape,
            "EXPAND_DIMS": self._reshape,
            "SQUEEZE": self._reshape,
            "STRIDED_SLICE": self._slice,
            "REVERSE_V2": self._reverse,
            "CONCATENATION": self._concatenate,
        }
        for operator in graph.operators:
            known = moves.get(operator.kind, self._layer)
            if operator.kind not in moves and operator.kind not in LAYERS:
                allowed = ", ".join([*LAYERS, *moves])
                raise FileError(f"operators must be of {allowed}, not {operator.kind[:60]}")
            if not operator.inputs or not operator.outputs:
                raise FileError(f"{operator.kind} must have inputs and outputs")
            self.values[operator.outputs[0]] = known(operator)

    def value(self, index: int) -> Value:
        """How a tensor comes about.

        Raises:
            FileError: no operator before gives it.
        """
        if index not in self.values:
            raise FileError(f"tensor {index} must come from the graph's input, not from elsewhere")
        return self.values[index]

    def tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def _name(self, kind: str) -> str:
        """The next name of a kind of layer: fc, fc2, ..."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return kind if self.counts[kind] == 1 else f"{kind}{self.counts[kind]}"

    def turned(self, value: Value) -> tuple[Reversal, ...]:
        """The reversal that has to be carried out before a layer reads the value."""
        if not value.reversed:
            return ()
        if value.layers:
            form = value.layers[-1].output_format
        else:
            form = tensor_format(self.tensor(self.graph.inputs[0]), "input")
        return (Reversal(self._name("reversal"), form),)

    def _layer(self, operator: Operator) -> Value:
        given = self.value(operator.inputs[0])
        tensor = self.tensor(operator.inputs[0])
        if operator.kind == "FULLY_CONNECTED":
            weight = self.source.needed(operator, 1, "weights")
            if weight.shape[-1:] != tensor.shape[-1:]:
                raise FileError(f"weights must have {tensor.shape[-1]} columns, the last axis of the input, as "
                                f"FULLY_CONNECTED reads it, not shape {weight.shape}")  # fmt: skip
            layer: Linear | Lstm = build(self._name(_NAMES[operator.kind]), operator, self.source)
            turned = self.turned(given)
            return replace(given, layers=(*given.layers, *turned, layer), reversed=False, backward_of=None)
        if len(tensor.shape) != 3 or tensor.shape[:2] != given.leading or given.last:
            raise FileError(f"input of an LSTM must be the whole sequence {given.leading}, not shape {tensor.shape}")
        layer = build(self._name(_NAMES[operator.kind]), operator, self.source)
        whole = (*given.layers, *self.turned(given), layer)
        return Value(whole, given.leading, backward_of=given if given.reversed else None, reversed=False)

    def _reshape(self, operator: Operator) -> Value:
        """A reshape that leaves the features together and only joins or parts steps and batch."""
        given, before = self.value(operator.inputs[0]), self.tensor(operator.inputs[0])
        after = self.tensor(operator.outputs[0])
        if before.shape[-1:] != after.shape[-1:]:
            raise FileError(f"{operator.kind} must keep the last axis {before.shape[-1:]}, not make it {after.shape}")
        return self._moved(operator, given)

    def _slice(self, operator: Operator) -> Value:
        """The last step of a sequence that an LSTM gives."""
        given, before = self.value(operator.inputs[0]), self.tensor(operator.inputs[0])
        layer = given.layers[-1] if given.layers else None
        axis = 0 if self._time_major() else 1
        if not isinstance(layer, Lstm | Bidirectional) or len(before.shape) != 3:
            raise FileError("STRIDED_SLICE must take the last step of an LSTM's output, not of another tensor")
        if given.reversed or not self._is_last_step(operator, before.shape, axis):
            raise FileError("STRIDED_SLICE must take the last step and all the rest of a sequence, not another part")
        if isinstance(layer, Bidirectional):
            raise FileError("STRIDED_SLICE must stand before the directions of an LSTM are joined, not after")
        return replace(self._moved(operator, given), last=given.last | {layer.name})

    def _is_last_step(self, operator: Operator, shape: tuple[int, ...], axis: int) -> bool:
        begin, end, stride = (self._numbers(operator, position, len(shape)) for position in (1, 2, 3))
        options = {name: int(operator.options.get(name) or 0) for name in _MASKS}  # type: ignore[arg-type]
        if options["ellipsisMask"] or options["newAxisMask"] or options["shrinkAxisMask"] != 1 << axis:
            return False
        for position, size in enumerate(shape):
            first = 0 if options["beginMask"] >> position & 1 else begin[position]
            last = size if options["endMask"] >> position & 1 else end[position]
            if position == axis:
                if options["beginMask"] >> position & 1 or first not in (-1, size - 1):
                    return False
            elif (first, last, stride[position]) != (0, size, 1):
                return False
        return True

    def _numbers(self, operator: Operator, position: int, count: int) -> list[int]:
        tensor = self.source.needed(operator, position, "begin, end and strides")
        if tensor.data is None or tensor.data.size != count or tensor.data.dtype.kind not in "iu":
            raise FileError(f"operand {position} of {operator.kind} must be {count} constant integers")
        return [int(value) for value in tensor.data.reshape(-1)]

    def _reverse(self, operator: Operator) -> Value:
        """The reversal of time."""
        given, before = self.value(operator.inputs[0]), self.tensor(operator.inputs[0])
        axis = self._numbers(operator, 1, 1)[0] % max(len(before.shape), 1)
        if len(before.shape) != 3 or axis != (0 if self._time_major() else 1) or given.last:
            raise FileError(f"REVERSE_V2 must reverse the steps of a sequence, not axis {axis} of {before.shape}")
        return replace(self._moved(operator, given), reversed=not given.reversed)

    def _concatenate(self, operator: Operator) -> Value:
        """Both directions of an LSTM, joined."""
        if len(operator.inputs) != 2:
            raise FileError(f"CONCATENATION must join the 2 directions of an LSTM, not {len(operator.inputs)} tensors")
        shapes = [self.tensor(index).shape for index in operator.inputs]
        axis = operator.options.get("axis", -1)
        if axis not in (-1, len(shapes[0]) - 1) or operator.options.get("fusedActivationFunction", "NONE") != "NONE":
            raise FileError("CONCATENATION must join the last axis without an activation")
        for index in operator.inputs:
            self._require_same_format(self.tensor(index), self.tensor(operator.outputs[0]))
        return self._both(*(self.value(index) for index in operator.inputs))

    def _both(self, ahead: Value, back: Value) -> Value:
        """The bidirectional LSTM of two values, one of which read the same input backward."""
        base = back.backward_of
        forward, backward = ahead.layers[-1:], back.layers[-1:]
        pair = [*forward, *backward]
        fits = base is not None and base.layers == ahead.layers[:-1] and ahead.backward_of is None
        lasts = bool(ahead.last), bool(back.last)
        turned = back.reversed or all(lasts)
        if not fits or ahead.reversed or not turned or lasts[0] != lasts[1] or base is None:
            raise FileError("CONCATENATION must join an LSTM and one that reads the same input reversed, and is then "
                            "reversed again (or both last steps), not other tensors")  # fmt: skip
        if not isinstance(pair[0], Lstm) or not isinstance(pair[1], Lstm):
            raise FileError("CONCATENATION must join two LSTMs, not other layers")
        name = self._name("bilstm")
        both = Bidirectional(name, replace(pair[0], name=f"{name}.forward"), replace(pair[1], name=f"{name}.backward"))
        last = base.last | ({name} if all(lasts) else set())
        return Value((*base.layers, both), base.leading, frozenset(last))

    def _time_major(self) -> bool:
        lstms = [operator for operator in self.graph.operators if operator.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM"]
        return any(bool(operator.options.get("timeMajor")) for operator in lstms)

    def _moved(self, operator: Operator, given: Value) -> Value:
        """The value after an operator that moves data: raws stay, and may be read with another scale from then on."""
        before, after = self.tensor(operator.inputs[0]), self.tensor(operator.outputs[0])
        layer = given.layers[-1] if given.layers else None
        form = tensor_format(after, f"output of {operator.kind}")
        if isinstance(layer, Lstm) and before.type == after.type and form != layer.output_format:
            layer = replace(layer, datapath=replace(layer.datapath, output=form))
            return replace(given, layers=(*given.layers[:-1], layer))
        self._require_same_format(before, after)
        return given

    @staticmethod
    def _require_same_format(before: Tensor, after: Tensor) -> None:
        if (before.type, before.scale, before.zero_point) != (after.type, after.scale, after.zero_point):
            raise FileError(
                f"tensors {before.index} and {after.index} must have one type, scale and zero point where data is "
                f"moved from one to the other, not two"
            )


_MASKS = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")


def _renamed(layer: Lstm, name: str) -> Lstm:
    projection = layer.projection and replace(layer.projection, name=f"{name}.projection")
    return replace(layer, name=name, projection=projection)
