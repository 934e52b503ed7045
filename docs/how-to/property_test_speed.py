"""Examples per second of each strategy of fixedsim.testing, as the Markdown table of property-tests.md."""

import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim import testing
from fixedsim.formats import Format

EXAMPLES = 300
QUIET = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def with_inputs(layers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A layer and what it reads."""
    return layers.flatmap(lambda layer: st.tuples(st.just(layer), testing.inputs(layer)))


STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "formats()": testing.formats,
    "real_values(s4.11)": lambda: testing.real_values(Format.parse("s4.11")),
    "raws(int8, (4, 3, 5))": lambda: testing.raws(Format.integer(8), (4, 3, 5)),
    "narrowings()": testing.narrowings,
    "casts()": testing.casts,
    "activations()": testing.activations,
    "profiles()": testing.profiles,
    "embedding_layers() and inputs": lambda: with_inputs(testing.embedding_layers()),
    "linear_layers() and inputs": lambda: with_inputs(testing.linear_layers()),
    "lstm_layers() and inputs": lambda: with_inputs(testing.lstm_layers()),
    "bidirectional_layers() and inputs": lambda: with_inputs(testing.bidirectional_layers()),
    "networks()": testing.networks,
    "models() and inputs": lambda: with_inputs(testing.models()),
}


def rate(strategy: st.SearchStrategy[Any]) -> float:
    """Examples drawn in a second of processor time."""
    drawn: list[None] = []

    @QUIET
    @given(strategy)
    def each(_: Any) -> None:
        drawn.append(None)

    start = time.process_time()
    each()
    return len(drawn) / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    print("| strategy | examples per second |\n|---|---|")
    for name, strategy in STRATEGIES.items():
        print(f"| `{name}` | {rate(strategy()):.0f} |".replace(" and inputs`", "` and inputs"))


if __name__ == "__main__":
    main()
