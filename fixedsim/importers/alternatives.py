"""The conventions that a file's weights may be meant under, each a change to how they were read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np

from fixedsim.errors import NetworkError, nearest
from fixedsim.importers import rereading
from fixedsim.importers.conventions import CANONICAL
from fixedsim.importers.rereading import Reread
from fixedsim.network import LstmLayer
from fixedsim.network.layer_types import GATE_ACTIVATIONS


class Change(NamedTuple):
    """One convention that differs from how the file was read.

    ``options`` state it to ``fixedsim import``, and so does ``--convention`` with the name; None where no network can
    say it.
    """

    name: str
    text: str
    options: tuple[str, ...] | None
    apply: Callable[[Reread], Reread]


Choices = tuple[Change, ...]  # changes of which at most one holds


def _named(name: str, text: str, apply: Callable[[Reread], Reread], *, sayable: bool = True) -> Change:
    return Change(name, text, ("--convention", name) if sayable else None, apply)


def choices(read: Reread, order: str) -> list[Choices]:
    """The changes that make a difference to a network that was read in gate order ``order``.

    They are applied in the order in which they stand here.
    """
    bidirectional = any(layer.bidirectional for layer in read.description.lstm_layers)
    found = [
        _biases(),
        (_named("interleaved", "gates stand unit by unit", partial(rereading.interleaved, order=order)),),
        tuple(_orders(read, order)) if read.description.lstm_layers else (),
        (_transposed("recurrent"),),
        (
            _transposed("input"),
            _named("kernel-transposed", "input matrices are transposed", _kernels(order)),
        ),
        (_named("matrices-transposed", "square matrices are transposed", rereading.transposed_matrices),),
        _directions(read) if bidirectional else (),
        _halves(read) if bidirectional else (),
        tuple(_forget_biases(read)),
        tuple(_gate_functions(read)),
    ]
    return [kept for changes in found if (kept := tuple(_different(read, changes)))]


def under(read: Reread, order: str, names: Iterable[str]) -> tuple[Reread, tuple[str, ...]]:
    """``read`` under the conventions called ``names``, and what they say.

    Raises:
        NetworkError: a name that is unknown, or of a convention that makes no difference to this network.
    """
    wanted = set(names)
    known = {change.name: change for change in _nameable(read, order)} if wanted else {}
    for name in sorted(wanted - known.keys()):
        hint = nearest(name, known) if known else ""
        raise NetworkError(f"convention must be one that makes a difference to this network, not {name!r}{hint}")
    applied = [change for name, change in known.items() if name in wanted]
    for change in applied:
        read = change.apply(read)
    return read, tuple(f"stated: {change.text}" for change in applied)


def _nameable(read: Reread, order: str) -> Iterator[Change]:
    for changes in choices(read, order):
        yield from (change for change in changes if change.options is not None)


def _biases() -> Choices:
    return (
        _named("first-bias", "only the first of two biases counts", partial(rereading.with_bias, part=0)),
        _named("second-bias", "only the second of two biases counts", partial(rereading.with_bias, part=1)),
        _named("no-bias", "no bias counts", partial(rereading.with_bias, part=None)),
    )


def _orders(read: Reread, order: str) -> Iterator[Change]:
    """Every other gate order; of those that coupled gates make equal, the first."""
    coupled = {layer.coupled for layer in read.description.lstm_layers}
    seen = {_seen(order, coupled)}
    for letters in permutations(CANONICAL):
        other = "".join(letters)
        if _seen(other, coupled) not in seen:
            seen.add(_seen(other, coupled))
            apply = partial(rereading.with_order, order=order, other=other)
            text = f"gates are stacked {', '.join(other)}, not {', '.join(order)}"
            yield Change(f"gate-order-{other}", text, ("--gate-order", other), apply)


def _seen(order: str, coupled: set[bool]) -> str:
    return order if False in coupled else order.replace("i", "")


def _transposed(part: str) -> Change:
    apply = partial(rereading.transposed_blocks, part=f"{part}.weight")
    return _named(f"{part}-transposed", f"{part} matrices are transposed gate by gate", apply)


def _kernels(order: str) -> Callable[[Reread], Reread]:
    return partial(rereading.transposed_kernels, order=order)


def _directions(read: Reread) -> Choices:
    text = "backward's tensors come before forward's"
    return (_named("directions-swapped", text, rereading.exchanged_directions),)


def _halves(read: Reread) -> Choices:
    last = read.description.layers[-1]
    sayable = not (isinstance(last, LstmLayer) and last.bidirectional)
    return (
        _named(
            "halves-swapped",
            "backward's output comes before forward's",
            rereading.exchanged_halves,
            sayable=sayable,
        ),
        _named(
            "processing-order",
            "backward's output stands in the order in which it ran",
            rereading.in_processing_order,
            sayable=False,
        ),
    )


def _forget_biases(read: Reread) -> Iterator[Change]:
    """The forget bias that is added at run time, one more or one less."""
    given = {layer.forget_bias for layer in read.description.lstm_layers}
    for delta in (1.0, -1.0) if given else ():
        apply = partial(rereading.with_lstm_layers, change=partial(_with_forget_bias, delta=delta))
        values = sorted({value + delta for value in given})
        text = f"a forget bias of {' and '.join(f'{value:g}' for value in values)} is added at run time, not of "
        text += " and ".join(f"{value:g}" for value in sorted(given))
        options = (f"--forget-bias={values[0]:g}",) if len(values) == 1 else None
        yield Change(f"forget-bias{delta:+g}", text, options, apply)


def _with_forget_bias(layer: LstmLayer, delta: float) -> LstmLayer:
    return replace(layer, forget_bias=layer.forget_bias + delta)


def _gate_functions(read: Reread) -> Iterator[Change]:
    """Another function of the gates, in all LSTMs or in one of several."""
    layers = read.description.lstm_layers
    for name in GATE_ACTIVATIONS if layers else ():
        yield _named(
            f"gate-{name}", f"gates are {name}", partial(rereading.with_lstm_layers, change=_gates(name, None))
        )
        for layer in layers if len(layers) > 1 else ():
            apply = partial(rereading.with_lstm_layers, change=_gates(name, layer.name))
            yield _named(f"gate-{name}:{layer.name}", f"gates of {layer.name} are {name}, not {layer.gate}", apply)


def _gates(name: str, only: str | None) -> Callable[[LstmLayer], LstmLayer]:
    return lambda layer: replace(layer, gate=name) if only in (None, layer.name) else layer


def _different(read: Reread, changes: Sequence[Change]) -> Iterator[Change]:
    """The changes that change something, each another thing."""
    kept = [read]
    for change in changes:
        if change.name.startswith("gate-order-"):
            yield change
            continue
        made = change.apply(read)
        if not any(_same(made, other) for other in kept):
            kept.append(made)
            yield change


def _same(one: Reread, other: Reread) -> bool:
    return (
        one.description == other.description
        and (one.processing_order, one.swapped_output) == (other.processing_order, other.swapped_output)
        and all(
            weight is other.weights[name] or np.array_equal(weight, other.weights[name])
            for name, weight in one.weights.items()
        )
    )
