"""What each cast inside a Bit-RNN costs: perplexity with one of them at 16, 12, 10 and 8 bits, the rest at 16.

    python docs/studies/bit_rnn_casts.py WEIGHTS.safetensors TEXT VOCAB -o RESULTS.jsonl

It may be stopped and started again: what stands in the results file is not done again.
"""

import argparse

from fixedsim import load_network
from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
from fixedsim.sweep import Configuration, Result, Task, sweep

WIDTHS = (16, 12, 10, 8)
CASTS = {
    "pre-activation": ["lstm.gate.*.preactivation"],
    "gate": ["lstm.gate.input", "lstm.gate.forget", "lstm.gate.candidate", "lstm.gate.output"],
    "cell": ["lstm.cell"],
    "bias": ["*.bias"],
}
ALL = "all four"


def configurations() -> list[Configuration]:
    """All at 16 bits, then each cast alone at fewer, then all of them."""
    everything = [pattern for patterns in CASTS.values() for pattern in patterns]
    full = dict.fromkeys(everything, WIDTHS[0])
    fewer = [
        Configuration(f"{name} {width}", {"profile": "bit-rnn", "bits": full | dict.fromkeys(patterns, width)})
        for name, patterns in (CASTS | {ALL: everything}).items()
        for width in WIDTHS[1:]
    ]
    return [Configuration("16 bits", {"profile": "bit-rnn", "bits": full}), *fewer]


def cell(perplexity: float, reference: float) -> str:
    """A result with its distance from the real-valued network."""
    return f"{perplexity:.3f} ({100 * (perplexity / reference - 1):+.2f} %)"


def show(done: int, total: int, result: Result) -> None:
    """Print a result as it comes."""
    print(f"{done}/{total}  {result['label']:<20} {result['perplexity']:.3f}  {result['seconds']:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("text")
    parser.add_argument("vocab")
    parser.add_argument("-o", "--results", required=True)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    tokens = read_tokens(chosen.text, read_vocabulary(chosen.vocab), limit=chosen.tokens)
    results = sweep(
        Task(chosen.weights, tokens), configurations(), chosen.results, processes=chosen.processes, progress=show
    )
    by_label = {result["label"]: result["perplexity"] for result in results}
    reference = evaluate(load_network(chosen.weights), tokens).perplexity
    print(f"\nreal-valued: {reference:.3f}; all casts at 16 bits: {cell(by_label['16 bits'], reference)}\n")
    print(
        "| this cast at | " + " | ".join(f"{width} bits" for width in WIDTHS[1:]) + " |\n" + "|---" * len(WIDTHS) + "|"
    )
    for name in [*CASTS, ALL]:
        print(f"| {name} | " + " | ".join(cell(by_label[f"{name} {width}"], reference) for width in WIDTHS[1:]) + " |")


if __name__ == "__main__":
    main()
