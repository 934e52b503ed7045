"""Which layers to widen, bits against width at equal size, and the cheapest plan within a budget or for a target."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixedsim.accounting import Arrangement, MemoryTarget
from fixedsim.errors import InputError
from fixedsim.network import Description, Network
from fixedsim.planning.frontier import Point, frontier, point, widest
from fixedsim.planning.mixtures import Mixture, Option, mixtures
from fixedsim.planning.ranking import RankedLayer, Verdict, rank
from fixedsim.planning.sensitivity import Evaluate, Trials, sensitivities
from fixedsim.planning.size import Costs, Measure
from fixedsim.profiles import Profile
from fixedsim.widening.factors import layer_factors

WEIGHT_BITS = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Choice:
    """What was chosen: a width for each layer's weights, and how wide the layers become.

    ``perplexity`` is measured with these bits before anything is widened, None where nothing was evaluated.
    """

    point: Point
    perplexity: float | None

    @property
    def bits(self) -> Mapping[str, int]:
        """The weight bits of each layer."""
        return dict(self.point.bits) if isinstance(self.point.bits, Mapping) else {}


@dataclass(frozen=True)
class Plan:
    """What :func:`plan` finds. Sizes are in ``unit``; ``reference`` has the given widths and the most bits."""

    name: str
    unit: str
    limit: int
    ranking: tuple[RankedLayer, ...]
    widened: tuple[str, ...]
    reference: Point
    reference_perplexity: float | None
    frontier: tuple[Point, ...]
    choice: Choice | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        chosen = self.choice
        return {
            "name": self.name,
            "unit": self.unit,
            "limit": self.limit,
            "ranking": [_plain_layer(each) for each in self.ranking],
            "widened": list(self.widened),
            "reference": _plain(self.reference) | {"perplexity": self.reference_perplexity},
            "frontier": [_plain(each) for each in self.frontier],
            "plan": None if chosen is None else _plain(chosen.point) | {"perplexity": _finite(chosen.perplexity)},
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _plain_layer(layer: RankedLayer) -> dict[str, Any]:
    perplexities = {bits: _finite(value) for bits, value in layer.perplexities.items()}
    return {**asdict(layer), "verdict": str(layer.verdict), "perplexities": perplexities}


def _plain(given: Point) -> dict[str, Any]:
    bits = dict(given.bits) if isinstance(given.bits, Mapping) else given.bits
    total = asdict(given.memory.total)
    del total["name"]
    return {
        "weight_bits": bits,
        "factor": given.factor,
        "widths": dict(given.widths),
        "size": given.size,
        **total,
    }


def plan(
    source: Description | Network,
    *,
    weight_bits: Sequence[int] = WEIGHT_BITS,
    activation_bits: int | None = None,
    profile: str | Path | Profile = "fixed-point",
    layers: Sequence[str] = (),
    budget: int | None = None,
    max_perplexity: float | None = None,
    evaluate: Evaluate | None = None,
    measure: Measure | str = Measure.EXACT,
    tensors: Sequence[str] = (),
    target: str | Path | MemoryTarget = "ramb36",
    arrangement: Arrangement | None = None,
) -> Plan:
    """Plan a neuron increase: lower the bits, widen the small layers, within the storage that there is.

    The frontier holds, for each width of the weights, the widest network within ``budget``, or without one within the
    storage of the network as it is at the most bits. The plan is the cheapest for what is asked:

    - a budget alone: the most bits for all weights that fit, then wider layers with what is left;
    - a budget with ``evaluate``: the widths by layer of least perplexity that fit, by the losses of layers alone, then
      wider layers with what is left;
    - ``max_perplexity``: the widths by layer of least size whose perplexity, evaluated together, is not above it;
      with a budget too, wider layers with what is left of it.

    Args:
        source: the network; no weight is read.
        weight_bits: widths to choose from, 1..16.
        activation_bits: width of every activation; a Bit-RNN's own, else 8, if left out.
        profile: the arithmetic.
        layers: patterns of layers to widen, in place of those that the ranking chooses.
        budget: bytes or blocks.
        max_perplexity: needs ``evaluate``.
        evaluate: gives perplexities of configurations; see :func:`fixedsim.planning.evaluator`.
        measure: ``law``, ``exact`` or ``blocks``.
        tensors: patterns of stored tensors that count; all if left out.
        target: the memory, as :func:`fixedsim.memory` takes it.
        arrangement: how values stand in its words.

    Raises:
        InputError: no width, a width out of range, a pattern that matches nothing, a target without ``evaluate``, or
            a budget or a target that nothing meets.
        NetworkError, ProfileError, FileError: as :func:`fixedsim.memory`.
    """
    description = source.description if isinstance(source, Network) else source
    counted = Costs(profile, activation_bits, target, arrangement or Arrangement(), _measure(measure), tensors)
    widths = sorted(set(weight_bits), reverse=True)
    _check(widths, budget, max_perplexity, evaluate)
    full = widths[0]
    account = counted.account(description, full)
    trials = Trials(description, profile, activation_bits, full)
    perplexity, alone = (None, None) if evaluate is None else sensitivities(trials, widths, evaluate)
    if perplexity is not None and not math.isfinite(perplexity):
        raise InputError(f"perplexity with all weights at {full} bits must be finite, not {perplexity}")
    ranking = rank(description, account, alone)
    chosen = _chosen(description, layers, ranking)
    reference = point(description, chosen, full, 1.0, counted)
    limit = reference.size if budget is None else budget
    points = frontier(description, chosen, widths, limit, counted)
    search = _Search(description, chosen, widths, counted, trials)
    choice = None
    if evaluate is not None and perplexity is not None and alone is not None:
        found = search.mixtures(perplexity, alone)
        if max_perplexity is not None:
            choice = search.meeting(max_perplexity, budget, found, evaluate)
        elif budget is not None:
            choice = search.fitting(budget, found, evaluate)
    elif budget is not None:
        choice = search.fitting(budget, search.uniform(), None)
    return Plan(description.name, counted.unit, limit, ranking, chosen, reference, perplexity, points, choice)


def _measure(given: Measure | str) -> Measure:
    if given not in tuple(Measure):
        raise InputError(f"measure must be one of {', '.join(Measure)}, not {str(given)!r}")
    return Measure(given)


def _check(
    weight_bits: Sequence[int], budget: int | None, max_perplexity: float | None, evaluate: Evaluate | None
) -> None:
    if not weight_bits:
        raise InputError("weight_bits must hold at least one width, not none")
    if budget is not None and budget < 1:
        raise InputError(f"budget must be at least 1, not {budget}")
    if max_perplexity is not None and evaluate is None:
        raise InputError("max_perplexity must come with weights and a text to evaluate, not alone")
    if max_perplexity is not None and not max_perplexity >= 1:
        raise InputError(f"max_perplexity must be at least 1, not {max_perplexity}")


def _chosen(description: Description, layers: Sequence[str], ranking: Sequence[RankedLayer]) -> tuple[str, ...]:
    """The layers that become wider, in the order of the network."""
    picked = {each.name for each in ranking if each.verdict is Verdict.WIDEN}
    if layers:
        picked = set(layer_factors(description, dict.fromkeys(layers, 1.0)))
    return tuple(layer.name for layer in description.layers if layer.name in picked)


@dataclass(frozen=True)
class _Search:
    """Chooses among mixtures of one network."""

    description: Description
    layers: tuple[str, ...]
    weight_bits: Sequence[int]  # the most first
    costs: Costs
    trials: Trials

    def mixtures(self, perplexity: float, alone: Mapping[str, Mapping[int, float]]) -> list[Mixture]:
        """The mixtures that none beats in size and loss, the smallest first."""
        accounts = {bits: self.costs.account(self.description, bits) for bits in self.weight_bits}
        full = self.weight_bits[0]
        options = {
            name: [
                Option(bits, self.costs.parts(accounts[bits], name), _rise(found.get(bits, perplexity), perplexity))
                for bits in (full, *found)
            ]
            for name, found in alone.items()
        }
        return mixtures(options)

    def uniform(self) -> list[Mixture]:
        """All layers at one width, the fewest bits first; the fewer, the worse."""
        names = [layer.name for layer in self.description.layers]
        return [Mixture(dict.fromkeys(names, bits), bits, -float(bits)) for bits in reversed(self.weight_bits)]

    def fitting(self, budget: int, found: Sequence[Mixture], evaluate: Evaluate | None) -> Choice:
        """The mixture of least loss within the budget, widened with what is left."""
        for mixture in reversed(found):
            best = widest(self.description, self.layers, mixture.bits, budget, self.costs)
            if best is not None:
                return Choice(best, None if evaluate is None else self._perplexity(mixture, evaluate))
        least = self._point(found[0])
        raise InputError(
            f"budget must be at least {least.size:,} {self.costs.unit} for {self.description.name} "
            f"with {_widths(found[0].bits)}, not {budget:,}"
        )

    def meeting(
        self, max_perplexity: float, budget: int | None, found: Sequence[Mixture], evaluate: Evaluate
    ) -> Choice:
        """The smallest mixture whose perplexity is not above the target; perplexities are taken to fall with size."""
        full = Mixture(dict.fromkeys(found[-1].bits, self.weight_bits[0]), found[-1].parts, 0.0)
        if found[-1].bits != full.bits:  # where fewer bits in a layer did better alone, which together they need not
            found = [*found, full]
        place, perplexity = _smallest(found, max_perplexity, lambda mixture: self._perplexity(mixture, evaluate))
        best = self._point(found[place])
        if budget is None:
            return Choice(best, perplexity)
        if best.size > budget:
            raise InputError(
                f"budget must be at least {best.size:,} {self.costs.unit} for a perplexity of {max_perplexity}, "
                f"not {budget:,}"
            )
        wide = widest(self.description, self.layers, found[place].bits, budget, self.costs)
        return Choice(wide or best, perplexity)

    def _perplexity(self, mixture: Mixture, evaluate: Evaluate) -> float:
        return evaluate([self.trials.configuration(mixture.bits)])[0]

    def _point(self, mixture: Mixture) -> Point:
        return point(self.description, self.layers, mixture.bits, 1.0, self.costs)


def _smallest(found: Sequence[Mixture], limit: float, measure: Callable[[Mixture], float]) -> tuple[int, float]:
    """The place and the perplexity of the first mixture within the limit, sought from where losses foretell it."""
    high = len(found) - 1
    perplexity = full = measure(found[high])
    if full > limit:
        raise InputError(
            f"max_perplexity must be at least {full:.6g}, what {_widths(found[high].bits)} give, not {limit}"
        )
    low, slack = -1, math.log(limit) - math.log(full)
    guess = next(place for place, mixture in enumerate(found) if mixture.loss <= slack)
    while high - low > 1:
        guess = min(max(guess, low + 1), high - 1)
        tried = measure(found[guess])
        if tried <= limit:
            high, perplexity, guess = guess, tried, guess - 1
        else:
            low, guess = guess, guess + max(1, (high - guess) // 2)
    return high, perplexity


def _rise(perplexity: float, full: float) -> float:
    return math.log(perplexity) - math.log(full)


def _widths(bits: Mapping[str, int]) -> str:
    if len(set(bits.values())) == 1:
        return f"all weights at {next(iter(bits.values()))} bits"
    return ", ".join(f"{name} at {width}" for name, width in bits.items()) + " bits"
