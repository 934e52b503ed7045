"""Make the committed golden sets: small layers under every profile that ships, at several widths.

    python golden/vectors/make.py [--every-signal] FOLDER [NAME...]

Writes FOLDER/<name> for each set that is not there, and FOLDER/index.json. Weights are drawn by the project's own
integer generator, so that the same command gives the same bytes on every machine. Sets that are committed stay as they
are: a change of stimuli makes sets under new names beside them.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixedsim import Description, Model, Network, quantize
from fixedsim.network import Layer, LinearLayer, LstmLayer
from fixedsim.stimuli import words
from fixedsim_golden.coverage import summarize
from fixedsim_golden.manifest import read_manifest
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.writing import Files, write

REACH = 6.0  # of weights, so that pre-activations run over both ends of their tables
FULL_SIGNALS = (
    "*.gate.input",
    "*.gate.forget",
    "*.gate.candidate",
    "*.gate.output",
    "*.cell",
    "*.cell_activation",
    "*.hidden",
)


@dataclass(frozen=True)
class Collected:
    """One set of the collection."""

    layer: str
    profile: str
    weight_bits: int
    activation_bits: int
    level: str

    @property
    def name(self) -> str:
        """``<layer>-<profile>-w<bits>a<bits>-<level>``."""
        return f"{self.layer}-{self.profile}-w{self.weight_bits}a{self.activation_bits}-{self.level}"


LAYERS: dict[str, Layer] = {
    "linear": LinearLayer("fc", 4, 3, activation="relu"),
    "linear_clipped": LinearLayer("fc", 4, 3, activation="clipped_relu", clip=3.0),
    "linear_identity": LinearLayer("fc", 4, 3),
    "linear_sigmoid": LinearLayer("fc", 4, 3, activation="sigmoid"),
    "lstm": LstmLayer("lstm", 2, 2),
    "bilstm": LstmLayer("lstm", 2, 2, bidirectional=True),
}
OWN = ("fixed-point", "bit-rnn")
VENDORS = {
    "litert": (8, 8),
    "tflm": (8, 8),
    "cmsis-nn": (8, 8),
    "cmsis-nn-s16": (8, 16),
    "hls4ml": (16, 16),
    "elastic-ai-fixed": (8, 8),
    "elastic-ai-integer": (8, 8),
}


def collection() -> list[Collected]:
    """All sets: smoke ones of every layer, and full ones under the project's own profiles."""
    found = [
        Collected(layer, profile, bits, bits, "smoke")
        for profile in OWN
        for bits in (8, 4, 2, 1)
        for layer in ("linear", "lstm", *(["bilstm"] if bits in (8, 2) else []))
    ]
    found += [
        Collected(layer, profile, *bits, "smoke") for profile, bits in VENDORS.items() for layer in ("linear", "lstm")
    ]
    found += [
        Collected(layer, profile, bits, bits, "full")
        for profile in OWN
        for bits in (8, 4, 2, 1)
        for layer in ("lstm", *(["linear"] if bits in (8, 2) else []))
    ]
    found += [Collected("bilstm", "fixed-point", 4, 4, "full"), Collected("bilstm", "bit-rnn", 2, 2, "full")]
    return found + [
        Collected(layer, profile, bits, bits, "full")
        for layer in ("linear_clipped", "linear_identity", "linear_sigmoid")
        for profile, bits in (("fixed-point", 8), ("bit-rnn", 4))
    ]


def model_of(wanted: Collected) -> Model:
    """The quantized layer of seeded weights."""
    layer = LAYERS[wanted.layer]
    description = Description(wanted.name, (layer,))
    weights = {}
    for place, (name, shape) in enumerate(description.tensors().items()):
        drawn = words(place, int(np.prod(shape))).astype(np.float64) / 2.0**64
        weights[name] = REACH * (2.0 * drawn.reshape(shape) - 1.0)
    is_linear = isinstance(layer, LinearLayer)
    bits = {"fc.output": wanted.activation_bits} if is_linear else {}
    return quantize(
        Network(description, weights),
        profile=wanted.profile,
        weight_bits=wanted.weight_bits,
        activation_bits=wanted.activation_bits,
        bits=bits,
        ranges={"input": (-1.0, 1.0), "fc.output": (-8.0, 8.0)} if is_linear else {"*": (-1.0, 1.0)},
    )


def make(wanted: Collected, folder: Path, *, every_signal: bool = False) -> None:
    """Write one set; a full one of an LSTM holds few signals, for its size, unless ``every_signal``."""
    model = model_of(wanted)
    covered = make_cases(model, wanted.level)
    few = wanted.level == "full" and not wanted.layer.startswith("linear") and not every_signal
    coverage = [site.to_dict() for site in summarize(covered)]
    write(
        model,
        folder / wanted.name,
        covered.cases,
        signals=FULL_SIGNALS if few else ("*",),
        files=Files(("hex",)),
        level=wanted.level,
        coverage=coverage,
    )


def index(folder: Path) -> dict[str, dict[str, object]]:
    """What stands in a folder: for each set its digest and sizes."""
    found = {}
    for path in sorted(each.parent for each in folder.glob("*/manifest.json")):
        manifest = read_manifest(path)
        found[path.name] = {
            "digest": manifest.digest,
            "level": manifest.level,
            "profile": manifest.profile["name"],
            "cases": len(manifest.cases),
            "steps": sum(case.steps for case in manifest.cases),
            "words": sum(entry.words for entry in manifest.entries),
            "hit": sum(site["hit"] for site in manifest.coverage),
            "undecided": sum(len(site["undecided"]) for site in manifest.coverage),
            "corners": sum(site["corners"] for site in manifest.coverage),
        }
    return found


def main() -> None:
    """Write the sets that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every-signal", action="store_true", help="also of full sets of LSTMs, as a study needs them")
    options = parser.parse_args()
    for wanted in collection():
        if (wanted.name in options.names or not options.names) and not (options.folder / wanted.name).exists():
            make(wanted, options.folder, every_signal=options.every_signal)
            print(wanted.name, flush=True)
    (options.folder / "index.json").write_text(json.dumps(index(options.folder), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
