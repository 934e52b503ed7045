"""Perplexity of a language model quantized after training, over weight bits x activation bits, and layer by layer.

    python docs/studies/bit_widths.py NETWORK TEXT VOCAB -o FOLDER

Writes FOLDER/results.jsonl, the tables as Markdown (FOLDER/tables.md), and the plots. It may be stopped and started
again: what stands in the results is not done again.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from fixedsim import load_network, load_profile
from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
from fixedsim.network import Description
from fixedsim.sweep import Configuration, Result, Task, sweep

WEIGHT_BITS = (16, 8, 6, 5, 4, 3, 2)
ACTIVATION_BITS = (16, 8, 4, 3, 2)
FULL = 16


def profile_of(granularity: str) -> dict[str, object]:
    """The fixed-point profile with one weight scale for each row, or for each tensor."""
    choices = load_profile("fixed-point").to_dict()
    choices["weight"]["granularity"] = granularity
    return choices


def grid() -> list[Configuration]:
    """Weight bits x activation bits, with a scale for each row and with one for each tensor."""
    return [
        Configuration(
            f"{granularity} w{weight} a{activation}",
            {"profile": profile_of(granularity), "weight_bits": weight, "activation_bits": activation},
        )
        for granularity in ("row", "tensor")
        for weight in WEIGHT_BITS
        for activation in ACTIVATION_BITS
    ]


def one_at_a_time(description: Description) -> list[Configuration]:
    """The weights of one layer at few bits, everything else at 16."""
    return [
        Configuration(
            f"only {layer.name} w{bits}",
            {"weight_bits": FULL, "activation_bits": FULL, "bits": {f"{layer.name}*.weight": bits}},
        )
        for layer in description.layers
        for bits in WEIGHT_BITS[1:]
    ]


def show(done: int, total: int, result: Result) -> None:
    """Print a result as it comes."""
    print(f"{done}/{total}  {result['label']:<24} {result['perplexity']:>10.3f}  {result['seconds']:.0f} s", flush=True)


def grid_table(found: dict[str, float], granularity: str) -> str:
    """The grid as Markdown, weight bits downward."""
    head = f"| weight bits \\ activation bits | {' | '.join(map(str, ACTIVATION_BITS))} |\n"
    rule = "|---" * (len(ACTIVATION_BITS) + 1) + "|\n"
    rows = [
        f"| {weight} | "
        + " | ".join(_cell(found[f"{granularity} w{weight} a{each}"]) for each in ACTIVATION_BITS)
        + " |"
        for weight in WEIGHT_BITS
    ]
    return head + rule + "\n".join(rows)


def layer_table(found: dict[str, float], description: Description) -> str:
    """Each layer alone at few bits as Markdown."""
    head = f"| only this layer's weights at | {' | '.join(f'{bits} bits' for bits in WEIGHT_BITS[1:])} |\n"
    rule = "|---" * len(WEIGHT_BITS) + "|\n"
    rows = [
        f"| {layer.name} | " + " | ".join(_cell(found[f"only {layer.name} w{bits}"]) for bits in WEIGHT_BITS[1:]) + " |"
        for layer in description.layers
    ]
    return head + rule + "\n".join(rows)


def _cell(perplexity: float) -> str:
    return f"{perplexity:.2f}" if perplexity < 1000 else f"{perplexity:.0f}"


def heat_map(found: dict[str, float], path: Path) -> None:
    """Both grids, coloured by the logarithm of perplexity."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained", sharey=True)
    for axis, granularity in zip(axes, ("row", "tensor"), strict=True):
        values = np.array([[found[f"{granularity} w{w} a{a}"] for a in ACTIVATION_BITS] for w in WEIGHT_BITS])
        image = axis.imshow(np.log10(values), cmap="viridis_r", vmin=2, vmax=3, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if np.log10(value) > 2.5 else "black"
            axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=9)
        axis.set_xticks(range(len(ACTIVATION_BITS)), map(str, ACTIVATION_BITS))
        axis.set_yticks(range(len(WEIGHT_BITS)), map(str, WEIGHT_BITS))
        axis.set(title=f"one weight scale for each {granularity}", xlabel="activation bits")
    axes[0].set_ylabel("weight bits")
    figure.colorbar(image, ax=axes, label="log10 of perplexity per word", extend="max")
    figure.savefig(path)
    plt.close(figure)


def curves(found: dict[str, float], reference: float, path: Path) -> None:
    """Weight bits alone and activation bits alone, the other at 16."""
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for granularity, style in (("row", "o-"), ("tensor", "o--")):
        values = [found[f"{granularity} w{bits} a{FULL}"] for bits in WEIGHT_BITS]
        axis.plot(WEIGHT_BITS, values, style, color="tab:blue", label=f"weights, a scale for each {granularity}")
    values = [found[f"row w{FULL} a{bits}"] for bits in ACTIVATION_BITS]
    axis.plot(ACTIVATION_BITS, values, "s-", color="tab:orange", label="activations")
    axis.axhline(reference, color="grey", linewidth=1, label=f"float, {reference:.2f}")
    axis.set(xlabel="bits (the other kind at 16)", ylabel="perplexity per word", xscale="log", yscale="log")
    axis.set_xticks(WEIGHT_BITS, map(str, WEIGHT_BITS))
    axis.minorticks_off()
    axis.set_ylim(100, 1.2 * max(found.values()))
    axis.set_yticks([100, 150, 200, 300, 500, 1000], ["100", "150", "200", "300", "500", "1000"])
    axis.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "fixedsim"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("text")
    parser.add_argument("vocab")
    parser.add_argument("-o", "--folder", type=Path, required=True)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    network = load_network(chosen.network)
    tokens = read_tokens(chosen.text, read_vocabulary(chosen.vocab), limit=chosen.tokens)
    wanted = [*grid(), *one_at_a_time(network.description)]
    results = sweep(
        Task(chosen.network, tokens),
        wanted,
        chosen.folder / "results.jsonl",
        processes=chosen.processes,
        progress=show,
    )
    found = {result["label"]: result["perplexity"] for result in results}
    reference = evaluate(network, tokens).perplexity
    parts = [
        f"Float: {reference:.4f} over {len(tokens) - 1} predictions.",
        "One weight scale for each row:\n\n" + grid_table(found, "row"),
        "One weight scale for each tensor:\n\n" + grid_table(found, "tensor"),
        "One layer at a time, everything else at 16 bits:\n\n" + layer_table(found, network.description),
    ]
    (chosen.folder / "tables.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    heat_map(found, chosen.folder / "bit_widths_grid.svg")
    curves(found, reference, chosen.folder / "bit_widths_curves.svg")
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
