"""Find the one order in which layers can follow each other."""

from collections.abc import Iterator, Sequence
from itertools import islice

from fixedsim.errors import NetworkError
from fixedsim.network import EmbeddingLayer, Layer

MAX_MODULES = 10  # beyond which orders are not tried
_REMEDY = "describe the network in a TOML file"
Form = tuple[Layer, ...]


def only_order(modules: Sequence[Sequence[Form]]) -> tuple[Layer, ...]:
    """The layers of all modules in the one order in which each reads what the one before gives.

    Each module is given as the readings that it allows, of which one is taken.

    Raises:
        NetworkError: no order, or more than one, is possible, or there are too many modules to tell.
    """
    if not 1 <= len(modules) <= MAX_MODULES:
        raise NetworkError(f"modules without a description must be 1..{MAX_MODULES}, not {len(modules)}; {_REMEDY}")
    orders = list(islice(_orders(modules, None), 2))
    if not orders:
        names = ", ".join(forms[0][0].name for forms in modules)
        raise NetworkError(f"layers must follow each other in width in some order, not {names}; {_REMEDY}")
    if len(orders) > 1:
        several = " or ".join(" -> ".join(f"{layer.name} ({layer.kind})" for layer in order) for order in orders)
        raise NetworkError(f"order of layers must follow from their widths, not be {several}; {_REMEDY}")
    return orders[0]


def _orders(modules: Sequence[Sequence[Form]], before: Layer | None) -> Iterator[tuple[Layer, ...]]:
    if not modules:
        yield ()
    for index, forms in enumerate(modules):
        rest = [*modules[:index], *modules[index + 1 :]]
        for form in forms:
            if _follows(form[0], before):
                yield from ((*form, *order) for order in _orders(rest, form[-1]))


def _follows(layer: Layer, before: Layer | None) -> bool:
    if before is None:
        return True
    return not isinstance(layer, EmbeddingLayer) and layer.inputs == before.output_width
