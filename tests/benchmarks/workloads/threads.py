"""Two threads on two cores against one: across the sequences of a batch, and across directions."""

from collections.abc import Iterator

from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.workload import Side, Workload

STEPS, BATCH, FRAMES = 35, 20, 100
_ALONE = "fixedsim, one thread"


def workloads() -> Iterator[Workload]:
    """Sequences, then directions."""
    yield Workload(
        "threads.sequences",
        f"Two threads, PTB LM of 300 units, batch {BATCH}",
        (Side("fixedsim", lambda: _sequences(2), exact=True), Side(_ALONE, lambda: _sequences(1), exact=True)),
        0,
        units=STEPS * BATCH,
        unit="token",
        cores=2,
    )
    yield Workload(
        "threads.directions",
        "Two threads, Deep Speech's BiLSTM, one sequence",
        (Side("fixedsim", lambda: _directions(2), exact=True), Side(_ALONE, lambda: _directions(1), exact=True)),
        0,
        units=FRAMES,
        unit="frame",
        cores=2,
    )


def _sequences(threads: int) -> Call:
    return ours.whole(networks.language_model(300), networks.tokens(STEPS, BATCH), threads=threads)


def _directions(threads: int) -> Call:
    model = networks.speech_lstm_model(8)
    return ours.whole(model, networks.raws(model, FRAMES, 1), threads=threads)
