"""What a model holds: its layers, the stages of their datapaths, its tensors, tables and kernels."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from fixedsim.execution import Products, safe_bits
from fixedsim.kernels.compilation import cpu_features
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model, storage_bits
from fixedsim.model.layer_kinds import Layer, input_format, output_format
from fixedsim_cli.datapath_contents import stages, tables
from fixedsim_cli.output import Column, decimals, print_table, say, shape_text

IntegerPart = Embedding | Linear | Lstm

_CHOOSING_FEATURES = ("avx2", "avx512bw", "avx512vnni", "avxvnni", "amx-int8")

_TENSOR_COLUMNS = (
    Column("tensor"),
    Column("shape"),
    Column("bits", True),
    Column("format"),
    Column("scales", True),
    Column("raws"),
    Column("clipped", True),
    Column("SNR\ndB", True),
    Column("safe\nbits", True),
)
_LAYER_COLUMNS = (
    Column("layer"),
    Column("kind"),
    Column("inputs", True),
    Column("input format"),
    Column("outputs", True),
    Column("output format"),
)
_STAGE_COLUMNS = (
    Column("stage", whole=True),
    Column("format", whole=True),
    Column("rounding", whole=True),
    Column("overflow", whole=True),
    Column("more"),
)
_KERNEL_COLUMNS = (
    Column("matrix"),
    Column("shape"),
    Column("weight\nbits", True),
    Column("inputs"),
    Column("kernel"),
    Column("proven"),
    Column("safe\nbits", True),
    Column("accumulator\nbits", True),
)


def model_contents(model: Model, kernels: bool) -> dict[str, Any]:
    """What a model holds, as JSON values; with ``kernels`` the bounds are computed."""
    stored = storage_bits(model)
    found: dict[str, Any] = {
        "kind": "model",
        "name": model.name,
        "profile": model.profile.get("name"),
        "bit_exact": not model.real_layers,
        "real_layers": model.real_layers,
        "bytes": (sum(stored.values()) + 7) // 8,
        "layers": [_layer(layer) for layer in model.layers],
        "stages": [row for part in _parts(model) for row in stages(part.name, part.datapath)],
        "tables": tables({part.name: part.datapath for part in _parts(model)}),
        "tensors": model.quantization.get("tensors", []),
        "storage_bits": stored,
        "quantization": {key: value for key, value in model.quantization.items() if key != "tensors"},
    }
    if kernels:
        found["cpu_features"] = sorted(cpu_features())
        found["kernels"] = [_kernel(name, bits, products) for name, bits, products in _products(model)]
        found["fused"] = {part.name: part.unfused for part in _parts(model) if isinstance(part, Linear | Lstm)}
    return found


def _parts(model: Model) -> Iterator[IntegerPart]:
    """The integer layers, each direction of a bidirectional one and each projection for itself."""
    for layer in model.layers:
        if isinstance(layer, Bidirectional):
            parts: list[IntegerPart] = [layer.forward, layer.backward]
        else:
            parts = [layer] if isinstance(layer, Embedding | Linear | Lstm) else []
        for part in parts:
            yield part
            if isinstance(part, Lstm) and part.projection is not None:
                yield part.projection


def _layer(layer: Layer) -> dict[str, Any]:
    given, gives = input_format(layer), output_format(layer)
    inputs, outputs = _widths(layer)
    return {
        "name": layer.name,
        "kind": type(layer).__name__.removeprefix("Real").lower(),
        "inputs": inputs,
        "input_format": given.name
        if given
        else "tokens"
        if isinstance(layer, Embedding | RealEmbedding)
        else "float64",
        "outputs": outputs,
        "output_format": gives.name if gives else "float64",
    }


def _widths(layer: Layer) -> tuple[int, int]:
    """How many inputs (of an embedding: words) and outputs a layer has."""
    match layer:
        case Embedding():
            return layer.table.shape[0], layer.table.shape[1]
        case Linear():
            return layer.matrix.inputs, layer.matrix.rows
        case Lstm():
            return layer.input_matrix.inputs, layer.outputs
        case Reversal():
            return 0, 0
        case RealEmbedding():
            return layer.weight.shape[0], layer.weight.shape[1]
        case RealLinear():
            return layer.weight.shape[1], layer.weight.shape[0]
        case Bidirectional() | RealBidirectional():
            return _widths(layer.forward)[0], _widths(layer.forward)[1] + _widths(layer.backward)[1]
        case _:
            return layer.input_weight.shape[1], layer.recurrent_weight.shape[1]


def _products(model: Model) -> Iterator[tuple[str, int, Products]]:
    """Each matrix: its name, the bits of a weight, and what multiplies by it."""
    for part in _parts(model):
        if isinstance(part, Linear):
            yield f"{part.name}.weight", part.datapath.weight.bits, part.products
        elif isinstance(part, Lstm):
            yield f"{part.name}.input.weight", part.datapath.weight.bits, part.input_products
            yield f"{part.name}.recurrent.weight", part.datapath.recurrent_weight.bits, part.recurrent_products


def _kernel(name: str, weight_bits: int, products: Products) -> dict[str, Any]:
    return {
        "matrix": name,
        "shape": list(products.weight.shape),
        "weight_bits": weight_bits,
        "inputs": [int(products.inputs.low), int(products.inputs.high)],
        "kernel": str(products.kernel),
        "proven": products.proven,
        "safe_bits": int(np.max(safe_bits(products), initial=1)),
        "accumulator_bits": products.accumulator.bits,
        "partial_safe_bits": list(products.partial_bits),
        "partial_bits": [level.bits for level in products.accumulator.partial],
    }


def print_model(found: Mapping[str, Any]) -> None:
    """Print what :func:`model_contents` gave."""
    exact = "bit-exact" if found["bit_exact"] else f"not bit-exact: {', '.join(found['real_layers'])} in float64"
    say(f"model {found['name']}, profile {found['profile'] or 'none'}, {exact}")
    say(f"weights and biases in {found['bytes']:,} bytes")
    layers = [tuple(each[key] for key in each) for each in found["layers"]]
    print_table(_LAYER_COLUMNS, layers, title="layers")
    for layer, stages_of_layer in groupby(found["stages"], key=itemgetter("layer")):
        print_table(_STAGE_COLUMNS, [_stage_row(each) for each in stages_of_layer], title=f"datapath of {layer}")
    if found["tables"]:
        columns = (Column("function"), Column("values", True), Column("format"), Column("read"), Column("used by"))
        rows = [(*(each[key] for key in ("function", "values", "format", "interpolation")), ", ".join(each["used_by"]))
                for each in found["tables"]]  # fmt: skip
        print_table(columns, rows, title="tables")
    if found["tensors"]:
        print_tensors(found["tensors"], title="tensors")
    if "kernels" in found:
        print_table(_KERNEL_COLUMNS, [_kernel_row(each) for each in found["kernels"]], title="kernels")
        fused = [(name, "general" if why else "fused", why or "") for name, why in found["fused"].items()]
        print_table((Column("layer"), Column("step"), Column("because")), fused, title="steps without traces")
        vector = [name for name in found["cpu_features"] if name in _CHOOSING_FEATURES]
        say(f"compiled for a CPU with {', '.join(vector) or 'none of the features that choose kernels'}", apart=True)


def _stage_row(stage: Mapping[str, str]) -> tuple[str, ...]:
    return stage["stage"], stage["format"], stage["rounding"], stage["overflow"], stage["note"]


def _kernel_row(kernel: Mapping[str, Any]) -> tuple[object, ...]:
    proven = "yes" if kernel["proven"] else "no"
    widths = (
        _joined([*kernel[f"partial_{name}"], kernel[whole]])
        for name, whole in (("safe_bits", "safe_bits"), ("bits", "accumulator_bits"))
    )
    low, high = kernel["inputs"]
    matrix = kernel["matrix"], shape_text(kernel["shape"]), kernel["weight_bits"], f"{low}..{high}"
    return *matrix, kernel["kernel"], proven, *widths


def _joined(widths: list[int]) -> str:
    """Widths from the first partial sums to the accumulator."""
    return ", ".join(map(str, widths))


def print_tensors(tensors: list[dict[str, Any]], title: str = "") -> None:
    """Print the rows of a model's report on its tensors."""
    rows = [
        (
            each["name"],
            shape_text(each["shape"]),
            each["bits"],
            each["format"],
            each["scales"],
            f"{each['raw_min']}..{each['raw_max']}",
            each["clipped"],
            decimals(each["snr_db"], 1),
            each["accumulator_bits"],
        )
        for each in tensors
    ]
    print_table(_TENSOR_COLUMNS, rows, title)
