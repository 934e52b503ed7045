"""The same work 1, 10 and 100 times as long, and 1, 10 and 100 times as wide: seconds of a unit, and memory."""

from collections.abc import Iterator

from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.workload import Side, Workload

FACTORS = (1, 10, 100)
TOKENS, STEPS = 500, 8


def workloads() -> Iterator[Workload]:
    """Steps, then batch."""
    for factor in FACTORS:
        yield _growing("steps", f"Perplexity of {TOKENS * factor:,} tokens", factor, TOKENS * factor)
    for factor in FACTORS:
        yield _growing("batch", f"{STEPS} steps of a batch of {factor}", factor, STEPS * factor)


def _growing(what: str, title: str, factor: int, units: int) -> Workload:
    def prepare() -> Call:
        model = networks.language_model(300)
        if what == "steps":
            return ours.scored(model, networks.tokens(units + 1)[:, 0])
        return ours.with_reals(model, networks.tokens(STEPS, factor))

    return Workload(
        f"growth.{what}.{factor}",
        f"{title}, PTB LM of 300 units",
        (Side("fixedsim", prepare),),
        0,
        units=units,
        unit="token",
        memory=True,
    )
