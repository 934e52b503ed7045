"""A width for each layer: the mixtures of which none is both smaller and more accurate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One layer at one width: its part of the size, and how much its logarithm of perplexity rises alone."""

    bits: int
    parts: int
    loss: float


@dataclass(frozen=True)
class Mixture:
    """A width for each layer; parts and losses are the sums of theirs."""

    bits: Mapping[str, int]
    parts: int
    loss: float


def mixtures(options: Mapping[str, Sequence[Option]]) -> list[Mixture]:
    """The mixtures that no other beats in both size and loss, the smallest first, so that losses fall.

    Losses of layers are taken to add up, which holds for small ones.
    """
    found = [Mixture({}, 0, 0.0)]
    for name, choices in options.items():
        found = _undominated(
            [
                Mixture({**mixture.bits, name: option.bits}, mixture.parts + option.parts, mixture.loss + option.loss)
                for mixture in found
                for option in choices
            ]
        )
    return found


def _undominated(given: Sequence[Mixture]) -> list[Mixture]:
    kept: list[Mixture] = []
    for mixture in sorted(given, key=lambda each: (each.parts, each.loss)):
        if not kept or mixture.loss < kept[-1].loss:
            kept.append(mixture)
    return kept
