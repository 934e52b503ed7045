"""Two cores against one: threads across the sequences of a batch and across directions, processes across a sweep."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from fixedsim.sweep import Configuration, Task, sweep
from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.workload import Side, Workload

STEPS, BATCH, FRAMES = 35, 20, 100
CONFIGURATIONS, SWEEP_TOKENS = 6, 82_430
_ALONE, _ONE_PROCESS = "fixedsim, one thread", "fixedsim, one process"


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

    yield Workload(
        "processes.sweep",
        f"Two processes, sweep of {CONFIGURATIONS} configurations over {SWEEP_TOKENS:,} tokens, PTB LM of 300 units",
        (Side("fixedsim", lambda: _sweep(2)), Side(_ONE_PROCESS, lambda: _sweep(1))),
        0,
        units=CONFIGURATIONS,
        unit="configuration",
        cores=2,
    )


def _sweep(processes: int) -> Call:
    folder = TemporaryDirectory()
    network = Path(folder.name) / "network.safetensors"
    networks.language_network(300).save(network)
    task = Task(str(network), networks.tokens(SWEEP_TOKENS + 1)[:, 0])
    configurations = [
        Configuration(f"{bits} bits", {"weight_bits": bits, "activation_bits": 8})
        for bits in range(3, 3 + CONFIGURATIONS)
    ]

    def run() -> None:
        results = Path(folder.name) / "results.jsonl"
        results.unlink(missing_ok=True)
        sweep(task, configurations, results, processes=processes)

    return run


def _sequences(threads: int) -> Call:
    return ours.whole(networks.language_model(300), networks.tokens(STEPS, BATCH), threads=threads)


def _directions(threads: int) -> Call:
    model = networks.speech_lstm_model(8)
    return ours.whole(model, networks.raws(model, FRAMES, 1), threads=threads)
