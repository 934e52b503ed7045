"""Cases through a model: every entry of a golden set as an array of raws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.patterns import matching
from fixedsim_golden.cases import Case, Start

Integers = NDArray[np.int64]
State = Mapping[str, tuple[Integers, Integers]]
CONTROL = Format.integer(3, signed=False)


@dataclass(frozen=True, eq=False)
class Entry:
    """A named array of raws; its axes are ``step`` or ``sequence`` and ``unit``, or those of a stored tensor."""

    name: str
    role: str
    layer: str
    axes: tuple[str, ...]
    format: Format
    raws: NDArray[Any]


@dataclass(frozen=True)
class _Played:
    """What one case gave."""

    traces: dict[str, Integers]
    output: Integers
    before: State
    after: State


def lstms(model: Model) -> dict[str, Lstm]:
    """Every LSTM of a model, both directions of a bidirectional one, by the name of its state."""
    found: dict[str, Lstm] = {}
    for layer in model.layers:
        parts = (layer.forward, layer.backward) if isinstance(layer, Bidirectional) else (layer,)
        found |= {part.name: part for part in parts if isinstance(part, Lstm)}
    return found


def streams(model: Model) -> bool:
    """Whether every step gives an output before the next is read, so that states can be carried over and reset."""
    return not model.last and not any(isinstance(layer, Bidirectional | Reversal) for layer in model.layers)


def require_integers(model: Model) -> None:
    """Refuse a model that is not bit-exact.

    Raises:
        InputError: layers in floating point.
    """
    if model.real_layers:
        raise InputError(f"layers of a golden set must be integers, not {', '.join(model.real_layers)} in float64")


def play(model: Model, cases: Sequence[Case], signals: Sequence[str] = ("*",), engine: str = "kernels") -> list[Entry]:
    """Run the cases one after the other and return control words, inputs, states, signals and outputs.

    Entries ``(steps, units)`` hold the steps of all cases in a row; states, and what stands behind an LSTM that hands
    on its last step only, are ``(sequences, units)``.

    Args:
        model: without layers in floating point.
        cases: at least one.
        signals: patterns of the signals to keep.
        engine: as :meth:`fixedsim.Model.run` takes it.

    Raises:
        InputError: no case, a case that continues where the model cannot, a pattern that matches nothing, or inputs
            and states that are no raws of their formats.
    """
    require_integers(model)
    if not cases:
        raise InputError("cases must be at least one, not none")
    wanted = sorted(matching(signals, list(model.signals), "signal pattern"), key=list(model.signals).index)
    played = _play_all(model, cases, wanted, engine)
    return [*_stimuli(model, cases, played), *_results(model, wanted, played)]


def _play_all(model: Model, cases: Sequence[Case], wanted: Sequence[str], engine: str) -> list[_Played]:
    """What each case gave: those of one length that do not continue run side by side, the others one by one."""
    found: dict[int, _Played] = {}
    groups: dict[int, list[int]] = {}
    for place, case in enumerate(cases):
        _check(model, case, place)
        if case.start is not Start.CONTINUED:
            groups.setdefault(case.steps, []).append(place)
    for places in groups.values():
        group = [cases[place] for place in places]
        states = [_own_start(model, case) for case in group]
        found |= dict(zip(places, _play(model, group, states, wanted, engine), strict=True))
    for place, case in enumerate(cases):
        if case.start is Start.CONTINUED:
            (found[place],) = _play(model, [case], [found[place - 1].after], wanted, engine)
    return [found[place] for place in range(len(cases))]


def _check(model: Model, case: Case, place: int) -> None:
    """Refuse what the model cannot do.

    Raises:
        InputError: a case that continues or is reset where the model does not stream, or that has nothing before it.
    """
    if case.start is Start.CONTINUED and (place == 0 or not streams(model)):
        why = "first" if place == 0 else "one of a model that does not stream"
        raise InputError(f"case {case.id} must start from a reset or a state of its own, not continue: it is {why}")
    if case.resets and not streams(model):
        raise InputError(f"case {case.id} must have no reset in mid-sequence, for the model does not stream")


def _own_start(model: Model, case: Case) -> State:
    initial = {name: part.initial_state(1) for name, part in lstms(model).items()}
    resting = {name: (state.hidden[0], state.cell[0]) for name, state in initial.items()}
    return resting if case.start is Start.RESET else resting | dict(case.state)


def _play(
    model: Model, cases: Sequence[Case], states: Sequence[State], wanted: Sequence[str], engine: str
) -> list[_Played]:
    """Cases of one length, side by side."""
    inputs = np.stack([case.inputs for case in cases], axis=1)
    reset = np.zeros((cases[0].steps, len(cases)), dtype=bool)
    for place, case in enumerate(cases):
        reset[list(case.resets), place] = True
    stacked = {
        name: (np.stack([state[name][0] for state in states]), np.stack([state[name][1] for state in states]))
        for name in states[0]
    }
    result = model.run(inputs, state=stacked, reset=reset if reset.any() else None, trace=wanted, engine=engine)
    assert result.raw is not None
    output = result.raw[None] if model.last else result.raw
    return [
        _Played(
            {name: trace[:, place] for name, trace in result.trace.items()},
            output[:, place],
            states[place],
            {name: (h[place], c[place]) for name, (h, c) in result.state.items()},
        )
        for place in range(len(cases))
    ]


def _stimuli(model: Model, cases: Sequence[Case], played: Sequence[_Played]) -> list[Entry]:
    first = model.layers[0]
    form = token_format(first) if isinstance(first, Embedding) else model.input_format
    assert form is not None
    inputs = np.concatenate([case.inputs for case in cases])
    axes = ("step",) if inputs.ndim == 1 else ("step", "unit")
    found = [
        Entry("control", "control", "", ("step",), CONTROL, np.concatenate([case.control for case in cases])),
        Entry("input", "input", first.name, axes, form, inputs),
    ]
    for when, role in (("before", "initial_state"), ("after", "final_state")):
        for name, part in lstms(model).items():
            for place, (what, state_form) in enumerate(
                (("hidden", part.state_format), ("cell", part.datapath.read_cell))
            ):
                raws = np.stack([getattr(each, when)[name][place] for each in played])
                entry = f"{name}.{role}.{what}"
                found.append(Entry(entry, role, name, ("sequence", "unit"), state_form, raws))
    return found


def token_format(layer: Embedding) -> Format:
    """The tokens of an embedding."""
    bits = max(1, (layer.table.shape[0] - 1).bit_length())
    return Format(bits, 0, max(1, layer.table.shape[0] - 1))


def _results(model: Model, wanted: Sequence[str], played: Sequence[_Played]) -> list[Entry]:
    owners = {signal.name: layer for layer in model.layers for signal in layer.signals()}  # type: ignore[union-attr]
    late = _behind_last(model)
    found = []
    for name in wanted:
        axes = ("sequence" if owners[name].name in late else "step", "unit")
        raws = np.concatenate([each.traces[name] for each in played])
        found.append(Entry(name, "signal", owners[name].name, axes, model.signals[name].format, raws))
    assert model.output_format is not None
    output = np.concatenate([each.output for each in played])
    axes = ("sequence" if model.last else "step", "unit")
    return [*found, Entry("output", "output", model.layers[-1].name, axes, model.output_format, output)]


def _behind_last(model: Model) -> set[str]:
    """The layers that run once a sequence."""
    names = [layer.name for layer in model.layers]
    places = [names.index(name) for name in model.last]
    return set(names[min(places) + 1 :]) if places else set()
