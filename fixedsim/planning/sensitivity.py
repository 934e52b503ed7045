"""How perplexity answers to few bits in one layer at a time."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fixedsim.network import Description
from fixedsim.planning.size import tensor_bits
from fixedsim.profiles import Profile
from fixedsim.sweep import Configuration, Progress, Task, sweep

Evaluate = Callable[[Sequence[Configuration]], Sequence[float]]


def evaluator(
    task: Task, results: str | Path | None = None, *, processes: int = 1, progress: Progress | None = None
) -> Evaluate:
    """A function that gives the perplexity of each configuration on the task's tokens.

    Args:
        task: the network's files and the tokens.
        results: lines of JSON as :func:`fixedsim.sweep.sweep` writes them; what stands there is not run again. Without
            it a planning that is stopped begins anew.
        processes: how many run side by side.
        progress: as :func:`fixedsim.sweep.sweep` calls it.
    """

    def evaluate(configurations: Sequence[Configuration]) -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "results.jsonl") if results is None else results
            found = sweep(task, configurations, path, processes=processes, progress=progress)
        return [float(result["perplexity"]) for result in found]

    return evaluate


class Trials:
    """Configurations of one network: a width for the weights of each layer, all else as ``profile`` has it."""

    def __init__(
        self, description: Description, profile: str | Path | Profile, activation_bits: int | None, full_bits: int
    ) -> None:
        self.description, self.full_bits = description, full_bits
        plain = profile.to_dict() if isinstance(profile, Profile) else str(profile)
        self.options = {"profile": plain, "weight_bits": full_bits, "activation_bits": activation_bits}

    def configuration(self, by_layer: Mapping[str, int]) -> Configuration:
        """The layers at the widths given, the others at full width."""
        few = {name: bits for name, bits in by_layer.items() if bits != self.full_bits}
        widths = ", ".join(f"{name} {bits}" for name, bits in few.items()) or "no layer fewer"
        label = f"weights {self.full_bits} bits, {widths}"
        return Configuration(label, {**self.options, "bits": tensor_bits(self.description, few)})


def sensitivities(
    trials: Trials, weight_bits: Sequence[int], evaluate: Evaluate
) -> tuple[float, dict[str, dict[int, float]]]:
    """The perplexity with all weights at full width, and by layer and width with only that layer narrower."""
    names = [layer.name for layer in trials.description.layers]
    alone = [(name, bits) for name in names for bits in weight_bits if bits != trials.full_bits]
    wanted = [trials.configuration({})] + [trials.configuration({name: bits}) for name, bits in alone]
    full, *found = evaluate(wanted)
    by_layer: dict[str, dict[int, float]] = {name: {} for name in names}
    for (name, bits), perplexity in zip(alone, found, strict=True):
        by_layer[name][bits] = perplexity
    return full, by_layer
