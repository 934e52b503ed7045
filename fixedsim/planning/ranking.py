"""Which layers to widen: each layer's share of size and compute, what a wider one costs, how sensitive it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fixedsim.accounting import Memory
from fixedsim.network import Description
from fixedsim.widening import widened_description

TRIAL_FACTOR = 1.25  # the paper's smaller step


class Verdict(StrEnum):
    """What is to become of a layer."""

    WIDEN = "widen"
    LARGEST = "among the largest"
    FEEDS = "feeds one of the largest"
    LAST = "gives the outputs"


@dataclass(frozen=True)
class RankedLayer:
    """One layer. Shares are of the network's; ``growth`` is by how much the network grows if this layer alone is 1.25
    times as wide. ``perplexities`` maps weight bits to the perplexity with only this layer at them, where measured."""

    name: str
    verdict: Verdict
    parameters: int
    parameter_share: float
    macs: int
    mac_share: float
    growth: float | None  # None: the last layer, which cannot be wider
    perplexities: Mapping[int, float] = field(default_factory=dict)


def rank(
    description: Description, account: Memory, sensitivities: Mapping[str, Mapping[int, float]] | None = None
) -> tuple[RankedLayer, ...]:
    """The layers to widen first, the most sensitive at the fewest bits first, or else the one that costs least.

    The largest layers are never chosen: those that hold at least half of the parameters, counted from the largest down.
    The last layer is not, for its outputs are the network's. One that would make the inputs of a largest layer wider is
    chosen only if there is no other.

    Args:
        description: the network.
        account: its memory at any width, for the multiply-accumulates.
        sensitivities: perplexity by layer and weight bits with only that layer at them.
    """
    sizes = parameters_by_layer(description)
    verdicts = _verdicts(description, sizes)
    total = sum(sizes.values())
    macs = {layer.name: layer.macs for layer in account.layers}
    ranked = [
        RankedLayer(
            name,
            verdicts[name],
            size,
            size / total,
            macs.get(name, 0),
            macs.get(name, 0) / max(1, account.total.macs),
            None if verdicts[name] is Verdict.LAST else _growth(description, name, total),
            dict((sensitivities or {}).get(name, {})),
        )
        for name, size in sizes.items()
    ]
    return tuple(sorted(ranked, key=_order))


def parameters_by_layer(description: Description) -> dict[str, int]:
    """The parameters of each layer."""
    counts = description.parameters()
    return {layer.name: sum(counts[name] for name in layer.tensors()) for layer in description.layers}


def _order(layer: RankedLayer) -> tuple[bool, float, float]:
    fewest = min(layer.perplexities, default=0)
    return layer.verdict is not Verdict.WIDEN, -layer.perplexities.get(fewest, 0.0), layer.growth or 0.0


def _verdicts(description: Description, sizes: Mapping[str, int]) -> dict[str, Verdict]:
    names = [layer.name for layer in description.layers]
    largest = _largest(sizes)
    found = {}
    for name, after in zip(names, [*names[1:], None], strict=True):
        if after is None:
            found[name] = Verdict.LAST
        elif name in largest:
            found[name] = Verdict.LARGEST
        else:
            found[name] = Verdict.FEEDS if after in largest else Verdict.WIDEN
    if Verdict.WIDEN not in found.values():
        found |= {name: Verdict.WIDEN for name, verdict in found.items() if verdict is Verdict.FEEDS}
    return found


def _largest(sizes: Mapping[str, int]) -> frozenset[str]:
    """The fewest layers, from the largest down, that hold at least half of all parameters."""
    found: list[str] = []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if 2 * sum(sizes[each] for each in found) >= sum(sizes.values()):
            break
        found.append(name)
    return frozenset(found)


def _growth(description: Description, name: str, total: int) -> float:
    wider = widened_description(description, {name: TRIAL_FACTOR})
    return sum(wider.parameters().values()) / total - 1
