"""Where two models of the same network part: the first signal, step and unit whose integers differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Signal
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer, directions
from fixedsim.stimuli import uniform_raws

STEPS, SEQUENCES = 16, 8  # of drawn stimuli


@dataclass(frozen=True)
class Parting:
    """The earliest difference: ``raws`` and ``formats`` are those of the first model and of the second."""

    signal: str
    step: int
    sequence: int
    unit: int
    raws: tuple[int, int]
    formats: tuple[Format, Format]


@dataclass(frozen=True)
class Comparison:
    """What was compared: ``integers`` of ``signals`` that both models have, how many differ, and where they part.

    ``only`` names the signals that one of the models has alone.
    """

    signals: tuple[str, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    integers: int
    differing: int
    parting: Parting | None


def compare_models(first: Model, second: Model, inputs: ArrayLike | None = None, *, seed: int = 0) -> Comparison:
    """Run both models on the same inputs and compare every signal that both have.

    The earliest difference is that of the lowest step; within a step, of the first signal in the order of execution;
    within a signal, of the lowest sequence and unit. Signals in different formats are compared by the reals that they
    mean.

    Args:
        first: a model of integer layers.
        second: a model of the same network.
        inputs: as :meth:`Model.run` takes them; drawn from ``seed``, every raw of the input's format as likely, 16
            steps of 8 sequences, if left out.
        seed: of drawn inputs.

    Raises:
        InputError: models whose inputs have different widths or formats, or inputs that do not fit.
    """
    if first.input_format != second.input_format:
        names = [form.name if form else "tokens" for form in (first.input_format, second.input_format)]
        raise InputError(f"inputs of both models must have one format, not {names[0]} and {names[1]}")
    given = drawn_inputs(first, seed) if inputs is None else inputs
    common = [name for name in first.signals if name in second.signals]
    if not common:
        raise InputError("models must have signals in common, not none")
    traces = [model.run(given, trace=common).trace for model in (first, second)]
    signals = [{name: model.signals[name] for name in common} for model in (first, second)]
    masks = {name: _differing(name, traces, signals) for name in common}
    only = tuple(
        tuple(name for name in ours.signals if name not in theirs.signals)
        for ours, theirs in ((first, second), (second, first))
    )
    differing = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    integers = sum(mask.size for mask in masks.values())
    return Comparison(tuple(common), (only[0], only[1]), integers, differing, _earliest(masks, traces, signals))


def drawn_inputs(model: Model, seed: int) -> NDArray[Any]:
    """Inputs of the model drawn from a seed: 16 steps of 8 sequences.

    Raises:
        InputError: a first layer in float64.
    """
    layer = model.layers[0]
    if isinstance(layer, Embedding):
        return uniform_raws(_tokens(layer), (STEPS, SEQUENCES), seed)
    form, width = model.input_format, _width(model.layers)
    if form is None or width is None:
        raise InputError("inputs must be given for a first layer in float64, not drawn")
    return uniform_raws(form, (STEPS, SEQUENCES, width), seed)


def _tokens(layer: Embedding) -> Format:
    words = int(layer.table.shape[0])
    return Format(max(words.bit_length(), 1), 0, max(words - 1, 1))


def _width(layers: tuple[Layer, ...]) -> int | None:
    for layer in layers:
        if isinstance(layer, Linear):
            return layer.matrix.inputs
        for part in directions(layer):
            return part.input_matrix.inputs if isinstance(part, Lstm) else None
    return None


def _differing(
    name: str, traces: Sequence[Mapping[str, NDArray[np.int64]]], signals: Sequence[Mapping[str, Signal]]
) -> NDArray[np.bool_]:
    """Where a signal differs, ``(steps, sequences, units)``."""
    ours, theirs = (trace[name] for trace in traces)
    one, other = (found[name] for found in signals)
    if ours.shape != theirs.shape:
        raise InputError(f"signal {name} must have one shape in both models, not {ours.shape} and {theirs.shape}")
    same_units = one.scale is None or (other.scale is not None and np.array_equal(one.scale, other.scale))
    if one.format == other.format and same_units:
        return np.asarray(ours != theirs)
    return np.asarray(one.real(ours) != other.real(theirs))


def _earliest(
    masks: Mapping[str, NDArray[np.bool_]],
    traces: Sequence[Mapping[str, NDArray[np.int64]]],
    signals: Sequence[Mapping[str, Signal]],
) -> Parting | None:
    steps = {name: int(np.argmax(mask.any(axis=(1, 2)))) for name, mask in masks.items() if mask.any()}
    if not steps:
        return None
    name = min(steps, key=lambda each: steps[each])  # the first in the order of execution among equals
    step = steps[name]
    sequence, unit = (int(index) for index in np.argwhere(masks[name][step])[0])
    raws = tuple(int(trace[name][step, sequence, unit]) for trace in traces)
    forms = tuple(found[name].format for found in signals)
    return Parting(name, step, sequence, unit, (raws[0], raws[1]), (forms[0], forms[1]))
