"""The memory of activations as a schedule: what the general step writes and reads, layer by layer or streaming."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fixedsim.accounting.lifetimes import Operation, Schedule
from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.kernels.lstm import CELL_SIGNALS
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.datapath import GATES

_DISTINCT_STEPS = 3  # the first, all between, the last: those between are alike


class Order(StrEnum):
    """In which order a network runs over a sequence."""

    SEQUENCE = "sequence"  # each layer over the whole sequence, then the next
    STREAMING = "streaming"  # each step through all layers; a bidirectional layer collects the sequence first


@dataclass(frozen=True)
class Sized:
    """A layer that has the widths of every signal, and its own sizes, which may be those of a larger one."""

    layer: Layer
    inputs: int  # tokens for an embedding: their count
    units: int  # outputs of a fully connected layer, features of an embedding
    last: bool = False  # an LSTM that hands on only its last step
    law: bool = False  # every value takes the bits of the activations that the layer reads: the paper's law
    outputs: int | None = None  # width of an LSTM's hidden state; as its projection has it, or the units, if None

    def bits(self, form: Format) -> int:
        """The bits of a value of a format."""
        return self._read.bits if self.law else form.bits

    @property
    def _read(self) -> Format:
        """The format of the activations that the layer reads, or gives where it reads tokens."""
        match self.layer:
            case Embedding():
                return self.layer.output_format
            case Linear() | Lstm() | Bidirectional():
                return self.layer.input_format
            case _:
                raise InputError(f"layer {self.name} must be an integer layer of a network, not {type(self.layer)}")

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    def hidden_width(self, layer: Lstm) -> int:
        """The width of the hidden state of the LSTM, or of one direction of it."""
        if layer.projection is None:
            return self.units
        return layer.outputs if self.outputs is None else self.outputs

    @property
    def input_bits(self) -> int:
        """The bits of the input of one step."""
        if isinstance(self.layer, Embedding):
            return max(1, (self.inputs - 1).bit_length())
        return self.inputs * self._read.bits


def sized_layers(model: Model) -> list[Sized]:
    """The layers of a model with their own sizes.

    Raises:
        InputError: a layer in floating point, or one that reverses time by itself.
    """
    if model.real_layers:
        raise InputError(f"layers must be integers, not {', '.join(model.real_layers)} in float64")
    return [_sized(layer, layer.name in model.last) for layer in model.layers]


def _sized(layer: Layer, last: bool) -> Sized:
    match layer:
        case Embedding():
            return Sized(layer, layer.table.shape[0], layer.table.shape[1])
        case Linear():
            return Sized(layer, layer.matrix.inputs, layer.matrix.rows)
        case Lstm():
            return Sized(layer, layer.input_matrix.inputs, layer.units, last)
        case Bidirectional():
            return Sized(layer, layer.forward.input_matrix.inputs, layer.forward.units, last)
        case _:
            raise InputError(f"layer {layer.name} must not reverse time by itself to be scheduled")


def activation_schedule(
    layers: Sequence[Sized], *, steps: int, batch: int = 1, order: Order | str = Order.SEQUENCE
) -> Schedule:
    """The schedule of the activations over ``steps`` time steps of ``batch`` sequences in lock step.

    Every signal of the general step is a tensor ``(batch, units)`` of its format's bits. The rows of a gate are
    computed one after another, accumulator, sum and pre-activation of each, so the three vectors are live together;
    likewise the products, the cell, its input and its activation. Hidden state and cell are tensors of their own at
    each step. Whole sequences are tensors ``(steps, batch, width)``: between layers in the order ``sequence``, around
    bidirectional layers in both. The network's input and output count too. Of more than three steps, those between the
    first and the last are alike and stand once.

    Raises:
        InputError: steps or batch below 1, or an unknown order.
    """
    for what, value in (("steps", steps), ("batch", batch)):
        if value < 1:
            raise InputError(f"{what} must be at least 1, not {value}")
    if order not in tuple(Order):
        raise InputError(f"order must be one of {', '.join(Order)}, not {str(order)!r}")
    builder = _Builder(steps)
    groups = _groups(layers, order == Order.SEQUENCE)
    whole = order == Order.SEQUENCE or isinstance(layers[0].layer, Bidirectional)
    source = None
    if whole:
        source = "input"
        builder.add("input", "input", (), {"input": steps * layers[0].input_bits})
    for group in groups:
        final = group is groups[-1] and order == Order.STREAMING and not isinstance(group[0].layer, Bidirectional)
        source = builder.group(group, source, final and not group[-1].last)
    if source is not None:
        builder.add("output", "output", (source,), {})
    return Schedule(tuple(builder.operations), {name: bits * batch for name, bits in builder.bits.items()})


def _groups(layers: Sequence[Sized], apart: bool) -> list[list[Sized]]:
    """Layers that run step by step together: each alone if ``apart``, else up to a bidirectional or last-step one."""
    groups: list[list[Sized]] = []
    for each in layers:
        alone = apart or isinstance(each.layer, Bidirectional)
        before = groups[-1][-1] if groups else None
        if before is None or alone or before.last or isinstance(before.layer, Bidirectional):
            groups.append([each])
        else:
            groups[-1].append(each)
    return groups


class _Builder:
    """Collects operations, and the bits of each tensor of one sequence."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.operations: list[Operation] = []
        self.bits: dict[str, int] = {}

    def add(self, name: str, layer: str, reads: Sequence[str], writes: Mapping[str, int]) -> None:
        self.operations.append(Operation(name, layer, tuple(reads), tuple(writes)))
        self.bits |= writes

    def group(self, layers: list[Sized], source: str | None, streams: bool) -> str | None:
        """Run layers together over the sequence; return the tensor that holds their outputs, None if they stream."""
        first, final = layers[0], layers[-1]
        if isinstance(final.layer, Bidirectional):
            self._bidirectional(final, final.layer, str(source))
        else:
            for step in range(min(self.steps, _DISTINCT_STEPS)):
                read = source
                if read is None:
                    read = f"input@{step}"
                    self.add(read, "input", (), {read: first.input_bits})
                for each in layers:
                    kept = each is final and not streams
                    read = self._step(each, step, read, kept)
                if streams:
                    self.add(f"output@{step}", "output", (read,), {})
        if final.last:
            self.steps = 1
        return None if streams else f"{final.name}.sequence"

    def _step(self, each: Sized, step: int, read: str, kept: bool) -> str:
        """One step of a layer; ``kept`` puts its output into the sequence. Returns the tensor of the output."""
        layer, sequence = each.layer, f"{each.name}.sequence"
        match layer:
            case Embedding() | Linear():
                output = sequence if kept else f"{each.name}.output@{step}"
                width = each.units * each.bits(layer.output_format)
                signals = {} if isinstance(layer, Embedding) else _signals(layer, each, step)
                signals = {name: bits for name, bits in signals.items() if not name.startswith(f"{each.name}.output")}
                self.add(output, each.name, (read,), {**signals, output: width * (self.steps if kept else 1)})
                return output
            case Lstm():
                hidden = self._lstm(each, layer, step, read)
                if kept:
                    self._store(each, layer, step, hidden, 1)
                    return sequence
                return hidden
            case _:
                raise InputError(f"layer {each.name} must be an integer layer, not {type(layer).__name__}")

    def _store(self, each: Sized, layer: Lstm, step: int, hidden: str, directions: int) -> None:
        if each.last and step < min(self.steps, _DISTINCT_STEPS) - 1:
            return
        bits = (
            directions * each.hidden_width(layer) * each.bits(layer.written_format) * (1 if each.last else self.steps)
        )
        self.add(f"{layer.name}.store@{step}", each.name, (hidden,), {f"{each.name}.sequence": bits})

    def _bidirectional(self, each: Sized, layer: Bidirectional, source: str) -> None:
        for part in (layer.forward, layer.backward):
            for step in range(min(self.steps, _DISTINCT_STEPS)):
                self._store(each, part, step, self._lstm(each, part, step, source), 2)

    def _lstm(self, each: Sized, layer: Lstm, step: int, read: str) -> str:
        """The operations of one step of one direction; returns the tensor of the new hidden state."""
        path, name = layer.datapath, layer.name
        bits = _signals(layer, each, step)
        at = {tensor.removeprefix(f"{name}.").rpartition("@")[0]: tensor for tensor in bits}
        hidden, cell = (f"{name}.{what}@{step - 1}" for what in (_written(layer), "cell"))
        if step == 0:
            state = {
                hidden: each.hidden_width(layer) * each.bits(layer.state_format),
                cell: each.units * each.bits(path.read_cell),
            }
            self.add(f"{name}.reset", each.name, (), state)

        def run(what: str, reads: Sequence[str], *signals: str) -> None:
            self.add(
                f"{name}.{what}@{step}", each.name, reads, {at[key]: bits[at[key]] for key in signals if key in at}
            )

        if path.input_rescale is not None:
            run("rescale_input", (read,), "rescaled_input")
            read = at["rescaled_input"]
        before = hidden
        if path.hidden_rescale is not None:
            run("rescale_hidden", (hidden,), "rescaled_hidden")
            before = at["rescaled_hidden"]

        def gate(which: str, seen: str) -> None:
            key = f"gate.{which}"
            sums = ("accumulator", "sum", "input_accumulator", "recurrent_accumulator", "input_sum", "recurrent_sum")
            run(f"{key}.sums", (read, before), *(f"{key}.{each}" for each in sums), f"{key}.preactivation")
            last = at[f"{key}.preactivation"]
            if f"{key}.peephole_sum" in at:
                run(f"{key}.peephole_product", (seen,), f"{key}.peephole_product")
                run(f"{key}.peephole_sum", (last, at[f"{key}.peephole_product"]), f"{key}.peephole_sum")
                last = at[f"{key}.peephole_sum"]
            if f"{key}.normalized" in at:
                run(f"{key}.normalized", (last,), f"{key}.normalized")
                last = at[f"{key}.normalized"]
            run(key, (last,), key)

        late = path.gates[3].peephole is not None
        for which in path.gate_names:
            if not (late and which == "output"):
                gate(which, cell)
        if path.coupled is not None:
            run("gate.input", (at["gate.forget"],), "gate.input")
        run(
            "cell",
            [at[f"gate.{which}"] for which in GATES[:3]] + [cell],
            *(key for key in CELL_SIGNALS if key != "hidden"),
        )
        if late:
            gate("output", at["cell"])
        run("hidden", (at["gate.output"], at["cell_activation"]), "hidden")
        if layer.projection is not None:
            signals = [key for key in at if key.startswith("projection.")]
            run("projection", (at["hidden"],), *signals)
        return at[_written(layer)]


def _written(layer: Lstm) -> str:
    return "hidden" if layer.projection is None else "projection.output"


def _signals(layer: Linear | Lstm, each: Sized, step: int) -> dict[str, int]:
    """The bits of each signal of one step."""
    if isinstance(layer, Linear):
        return {f"{signal.name}@{step}": each.units * each.bits(signal.format) for signal in layer.signals()}
    widths = {f"{layer.name}.rescaled_input": each.inputs}
    projected = layer.projection is not None
    found = {}
    for signal in layer.signals():
        of_outputs = projected and (".projection." in signal.name or signal.name.endswith("rescaled_hidden"))
        width = widths.get(signal.name, each.hidden_width(layer) if of_outputs else each.units)
        found[f"{signal.name}@{step}"] = width * each.bits(signal.format)
    return found
