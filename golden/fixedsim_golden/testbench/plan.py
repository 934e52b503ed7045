"""What a bench has to know of a golden set: its files, its sequences, the states to load and the signals to compare."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fixedsim.errors import InputError
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.model import Model
from fixedsim.model.storage import Kind, stored_tensors
from fixedsim.patterns import matching
from fixedsim_golden.encodings import ENCODINGS, Layout
from fixedsim_golden.manifest import EntryRecord
from fixedsim_golden.playing import lstms, streams
from fixedsim_golden.sets import GoldenSet

DIGIT_BITS = {"hex": 4, "bin": 1}  # bits of a digit, of the encodings that a bench reads, the preferred one first
_PATIENCE, _CLOCKS_OF_A_WEIGHT = 10_000, 4
_LEAST_NAME = 16  # characters; the names of the ports fit
_NAME = re.compile(r"[A-Za-z0-9_.@-]+")  # what source text of every language can hold in a string


@dataclass(frozen=True)
class Memory:
    """An entry of the set in the memory of the bench: ``words`` words from ``base`` on, ``row`` of them a step."""

    number: int
    entry: EntryRecord
    base: int
    row: int

    @property
    def name(self) -> str:
        """The name of the entry."""
        return self.entry.name

    @property
    def words(self) -> int:
        """How many words there are."""
        return self.entry.words

    @property
    def bits(self) -> int:
        """The width of a word."""
        return self.entry.word_bits

    @property
    def signed(self) -> bool:
        """Whether its raws are in two's complement."""
        return self.entry.format.raw_step == 1 and self.entry.format.raw_min < 0


@dataclass(frozen=True)
class Load:
    """A state that is put in: which LSTM, 0 hidden or 1 cell, and from where."""

    lstm: int
    select: int
    memory: Memory


@dataclass(frozen=True)
class Trace:
    """A signal that is compared; ``final`` is the state which its last step of a sequence must be as well."""

    number: int
    memory: Memory
    backward: bool
    late: bool  # it has a value a sequence, not a step
    final: Memory | None


@dataclass(frozen=True)
class Plan:
    """All that a bench of a set needs; ``memories`` are control, input, output, and then the others."""

    golden: GoldenSet
    encoding: str
    memories: tuple[Memory, ...]
    loads: tuple[Load, ...]
    traces: tuple[Trace, ...]

    @property
    def model(self) -> Model:
        """The model of the set."""
        return self.golden.model

    @cached_property
    def by_name(self) -> dict[str, Memory]:
        """The memories by the names of their entries."""
        return {memory.name: memory for memory in self.memories}

    @property
    def names(self) -> list[str]:
        """The names that a bench prints: of entries and sequences."""
        return [*(memory.name for memory in self.memories), *(case.id for case in self.golden.manifest.cases)]

    @property
    def name_length(self) -> int:
        """The characters that the longest name takes."""
        return max(_LEAST_NAME, *map(len, self.names))

    @property
    def compared(self) -> int:
        """The words that a whole run compares."""
        finals = sum(trace.final.words for trace in self.traces if trace.final is not None)
        return self.by_name["output"].words + sum(trace.memory.words for trace in self.traces) + finals

    @property
    def steps(self) -> int:
        """The steps of all sequences."""
        return self.by_name["control"].words

    @property
    def longest(self) -> int:
        """The steps of the longest sequence."""
        return max(case.steps for case in self.golden.manifest.cases)

    @property
    def load_bits(self) -> int:
        """The width of the port by which states are loaded."""
        return max((load.memory.bits for load in self.loads), default=1)

    @property
    def patience(self) -> int:
        """Clocks without progress after which a bench gives up, for one multiply-accumulate a clock and slower."""
        weights = sum(tensor.values for tensor in stored_tensors(self.model) if tensor.kind is Kind.WEIGHT)
        return _PATIENCE + _CLOCKS_OF_A_WEIGHT * weights * (1 if streams(self.model) else self.longest)


def plan(golden: GoldenSet, signals: Sequence[str] = ()) -> Plan:
    """The plan of a set's bench.

    Args:
        golden: the set.
        signals: patterns of the signals to compare; none compares the outputs alone.

    Raises:
        InputError: a set without files that a simulator reads, words of several steps, signals that are packed or
            that the set does not have, or names that source text cannot hold.
    """
    encoding = _encoding(golden)
    entries = {entry.name: entry for entry in golden.manifest.entries}
    states = [(name, what) for name in lstms(golden.model) for what in ("hidden", "cell")]
    names = ["control", "input", "output", *(f"{name}.initial_state.{what}" for name, what in states)]
    traced = _traced(golden, signals)
    finals = {f"{name}.{what}": f"{name}.final_state.{what}" for name, what in states}
    finals = {name: final for name, final in finals.items() if name in traced and _same(entries[name], entries[final])}
    memories: dict[str, Memory] = {}
    base = 0
    for number, name in enumerate([*names, *traced, *finals.values()]):
        memories[name] = Memory(number, entries[name], base, _row(entries[name]))
        base += entries[name].words
    loads = [
        Load(place // 2, place % 2, memories[f"{name}.initial_state.{what}"])
        for place, (name, what) in enumerate(states)
    ]
    backward = [layer.backward.name for layer in golden.model.layers if isinstance(layer, Bidirectional)]
    traces = [
        Trace(
            number,
            memories[name],
            any(name.startswith(f"{each}.") for each in backward),
            memories[name].entry.axes[0] == "sequence",
            memories[finals[name]] if name in finals else None,
        )
        for name, number in traced.items()
    ]
    found = Plan(golden, encoding, tuple(memories.values()), tuple(loads), tuple(traces))
    for name in found.names:
        _require_name(name)
    return found


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"name in a bench must be of letters, digits and _ . @ -, not {name[:40]!r}")


def _encoding(golden: GoldenSet) -> str:
    """The encoding that the bench reads."""
    present = [file.encoding for file in golden.manifest.entry("output").files]
    for name in DIGIT_BITS:
        if name in present:
            return name
    known = " or ".join(DIGIT_BITS)
    raise InputError(f"encodings of {golden.folder} must hold {known} for a bench, not only {', '.join(present)}")


def suffix(encoding: str) -> str:
    """The end of the names of an encoding's files."""
    return ENCODINGS[encoding].suffix


def _traced(golden: GoldenSet, signals: Sequence[str]) -> dict[str, int]:
    """The signals to compare, with the numbers that traces have for them: their places among the model's."""
    places = {name: place for place, name in enumerate(golden.model.signals)}
    held = [entry.name for entry in golden.manifest.entries if entry.role == "signal"]
    wanted = matching(signals, held, "signal pattern") if signals else set()
    found = {name: places[name] for name in held if name in wanted}
    for name in found:
        _require_plain(golden.manifest.entry(name))
    return found


def is_plain(entry: EntryRecord) -> bool:
    """Whether each word is the code of one value and nothing more."""
    return entry.layout["lanes"] == 1 and entry.word_bits == entry.format.bits


def _require_plain(entry: EntryRecord) -> None:
    if not is_plain(entry):
        lanes = entry.layout["lanes"]
        raise InputError(
            f"words of {entry.name} must hold one code each to be compared, not {lanes} in {entry.word_bits} bits"
        )


def _row(entry: EntryRecord) -> int:
    """The words of one step, or of one sequence."""
    layout = Layout.from_dict(entry.layout)
    units = entry.shape[1] if len(entry.shape) == 2 else 1
    whole = layout.pad_rows or units % layout.lanes == 0
    if layout.order != "out_in" or not whole:
        how = "transposed" if layout.order != "out_in" else f"{layout.lanes} values a word across steps"
        raise InputError(f"words of {entry.name} must be those of one step after the other for a bench, not {how}")
    return -(-units // layout.lanes)


def _same(signal: EntryRecord, state: EntryRecord) -> bool:
    """Whether a state is written as the signal that it is taken from."""
    return signal.format == state.format and signal.layout == state.layout and signal.axes[0] == "step"
