"""The main job on the small trained model that ships: quantize, check, evaluate and save at several widths."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixedsim.errors import DependencyError, ModelError
from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
from fixedsim.importers import load_network
from fixedsim.importers.shipped import TEXT, VOCABULARY
from fixedsim.model import Model, storage_bits
from fixedsim.network import Network
from fixedsim.quantization import quantize

UNKNOWN = "\ufffd"  # what characters outside the vocabulary are read as
CHECKED_TOKENS = 2  # run through the scalar specification too, which is slow
PLOT = "demo.png"
_FLOAT_BITS = 32
_WIDTHS = ((16, 16), (8, 8), (6, 8), (5, 8), (4, 8), (8, 4), (4, 4), (3, 8), (2, 8))
_TRAINED = ((4, 4), (2, 2))


@dataclass(frozen=True)
class DemoRow:
    """One quantized model: how it was trained, its widths, its storage and what it costs in perplexity."""

    training: str  # "float" (quantized afterwards) or "Bit-RNN" (trained at these widths)
    profile: str
    weight_bits: int
    activation_bits: int
    storage_bytes: int  # weights and biases, packed
    share: float  # of the bytes of the float model
    perplexity: float  # per character
    reference: float  # of the float network that it was made from
    compared: int  # integers that kernels and scalar specification computed both, all equal
    file: str


def demo(folder: Path, progress: Callable[[int, int], None] | None = None) -> list[DemoRow]:
    """Quantize the shipped character models at several widths, and write the models and a plot into ``folder``.

    Each model's first tokens are run through the kernels and through the scalar specification, every signal compared.

    Raises:
        FileError: a file cannot be written.
        ModelError: a kernel and the specification differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    jobs = list(_jobs())
    for done, (training, network, profile, widths) in enumerate(jobs):
        if progress:
            progress(done, len(jobs))
        rows.append(_row(training, network, profile, widths, folder))
    if progress:
        progress(len(jobs), len(jobs))
    return rows


def _jobs() -> Iterator[tuple[str, Network, str, tuple[int, int]]]:
    network = load_network("char-lm")
    for widths in _WIDTHS:
        yield "float", network, "fixed-point", widths
    for weight_bits, activation_bits in _TRAINED:
        trained = load_network(f"char-lm-w{weight_bits}a{activation_bits}")
        yield "Bit-RNN", trained, "bit-rnn", (weight_bits, activation_bits)


def _row(training: str, network: Network, profile: str, widths: tuple[int, int], folder: Path) -> DemoRow:
    weight_bits, activation_bits = widths
    model = quantize(network, profile=profile, weight_bits=weight_bits, activation_bits=activation_bits)
    tokens = read_tokens(TEXT, read_vocabulary(VOCABULARY), unknown=UNKNOWN)
    path = folder / f"char_lm_{profile}_w{weight_bits}a{activation_bits}.safetensors"
    model.save(path)
    bits = sum(storage_bits(model).values())
    return DemoRow(
        training,
        profile,
        weight_bits,
        activation_bits,
        -(-bits // 8),
        bits / (_FLOAT_BITS * sum(network.description.parameters().values())),
        evaluate(model, tokens).perplexity,
        evaluate(network, tokens).perplexity,
        _compare(model, tokens[:CHECKED_TOKENS]),
        path.name,
    )


def _compare(model: Model, tokens: np.ndarray) -> int:
    """How many integers the kernels and the scalar specification gave, signal by signal, all equal."""
    fast = model.run(tokens, trace="*").trace
    slow = model.run(tokens, trace="*", engine="spec").trace
    for name, raws in slow.items():
        if not np.array_equal(raws, fast[name]):
            raise ModelError(f"{name} of {model.name} must be what the specification gives, not otherwise: a defect")
    return sum(raws.size for raws in slow.values())


def draw(rows: list[DemoRow], path: Path) -> None:
    """Perplexity over storage as a PNG.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DependencyError("matplotlib must be installed to draw; pip install 'fixedsim[plots]'") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.add_subplot()
    for training, colour in (("float", "tab:blue"), ("Bit-RNN", "tab:orange")):
        chosen = [row for row in rows if row.training == training]
        label = "quantized after training" if training == "float" else "trained as Bit-RNN at these bits"
        axis.scatter(
            [row.storage_bytes / 1000 for row in chosen], [row.perplexity for row in chosen], color=colour, label=label
        )
        for row in chosen:
            axis.annotate(
                f"{row.weight_bits}/{row.activation_bits}",
                (row.storage_bytes / 1000, row.perplexity),
                textcoords="offset points",
                xytext=(5, 4),
                fontsize=9,
            )
    axis.axhline(rows[0].reference, color="grey", linewidth=1, label=f"float model, {rows[0].reference:.2f}")
    axis.set(xlabel="storage of weights and biases, kB", ylabel="perplexity per character")
    axis.set_xlim(0, 1.08 * max(row.storage_bytes for row in rows) / 1000)
    axis.set_title("weight bits / activation bits")
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)
