"""Tables of a plan: the ranking of layers, the frontier, and what was chosen."""

from collections.abc import Iterable, Mapping
from typing import Any

from fixedsim.planning import Choice, Plan, Point, RankedLayer
from fixedsim_cli.memory_tables import CountTable, print_counts
from fixedsim_cli.output import say


def print_plan(plan: Plan, as_csv: bool, as_markdown: bool) -> None:
    """Print all tables of a plan, or the frontier alone as comma-separated values."""
    if as_csv:
        print_counts(frontier_table(plan), True, False)
        return
    print_counts(ranking_table(plan), False, as_markdown)
    say("")
    print_counts(frontier_table(plan), False, as_markdown)
    if plan.choice is not None:
        say("")
        print_counts(choice_table(plan, plan.choice), False, as_markdown)


def ranking_table(plan: Plan) -> CountTable:
    """One row for each layer, those to widen first."""
    widths = sorted({bits for layer in plan.ranking for bits in layer.perplexities})
    headers = ["layer", "widen", "parameters", "share", "MACs", "share", "25 % wider"]
    headers += [f"at {bits} bit{'s' * (bits > 1)}" for bits in widths]
    rows = [_ranked(layer, layer.name in plan.widened, widths) for layer in plan.ranking]
    notes = ["25 % wider: by how much the network's parameters grow if this layer alone is"]
    if plan.reference_perplexity is not None:
        notes.append(
            f"perplexity with only this layer's weights at so few bits; {plan.reference_perplexity:.4f} with all at "
            f"{plan.reference.bits}"
        )
    return CountTable(tuple(headers), rows, "; ".join(notes))


def _ranked(layer: RankedLayer, chosen: bool, widths: Iterable[int]) -> list[Any]:
    return [
        layer.name,
        "yes" if chosen else "no" if str(layer.verdict) == "widen" else f"no: {layer.verdict}",
        layer.parameters,
        f"{100 * layer.parameter_share:.2f} %",
        layer.macs,
        f"{100 * layer.mac_share:.2f} %",
        "" if layer.growth is None else f"{100 * layer.growth:+.2f} %",
        *(f"{layer.perplexities[bits]:,.3f}" for bits in widths),
    ]


def frontier_table(plan: Plan) -> CountTable:
    """One row for each width of the weights."""
    headers = ["weight bits", "times as wide", *plan.widened, *_size_headers(plan)]
    rows = [
        [point.bits, f"{point.factor:.3f}", *(point.widths[name] for name in plan.widened), *_sizes(plan, point)]
        for point in plan.frontier
    ]
    note = f"the widest that fit into {plan.limit:,} {plan.unit}; MACs and bit operations (bit ops) of one time step"
    return CountTable(tuple(headers), rows, note)


def _size_headers(plan: Plan) -> list[str]:
    counted = [] if plan.unit == "blocks" else [f"counted {plan.unit}"]
    return [*counted, "law bytes", "exact bytes", plan.reference.memory.target.block, "MACs", "bit ops"]


def _sizes(plan: Plan, point: Point) -> list[int]:
    total = point.memory.total
    counted = [] if plan.unit == "blocks" else [point.size]
    law, exact = (-(-bits // 8) for bits in (total.law_bits, total.total_bits))
    return [*counted, law, exact, total.blocks, total.macs, total.bit_operations]


def choice_table(plan: Plan, choice: Choice) -> CountTable:
    """One row for each layer of the plan, and what it takes."""
    headers = ("plan", "weight bits", "units", "parameters", "exact bytes", plan.reference.memory.target.block)
    layers = {layer.name: layer for layer in choice.point.memory.layers}
    rows: list[list[Any]] = [
        [
            name,
            bits,
            choice.point.widths.get(name),
            layers[name].parameters,
            -(-layers[name].total_bits // 8),
            layers[name].blocks,
        ]
        for name, bits in choice.bits.items()
    ]
    return CountTable(headers, rows, f"{_outcome(plan, choice)}\noptions: {_options(choice)}")


def _outcome(plan: Plan, choice: Choice) -> str:
    taken = f"{choice.point.size:,} {plan.unit} of {plan.reference.size:,} at {plan.reference.bits} bits"
    if choice.perplexity is None:
        return taken
    before = " before any layer is wider" if choice.point.factor > 1 else ""
    return f"{taken}; perplexity {choice.perplexity:.4f}{before}"


def _options(choice: Choice) -> str:
    bits = _bit_options(choice.bits)
    factor = choice.point.factor
    wider = [f"--widen {name}={factor:.10g}" for name in choice.point.widths] if factor > 1 else []
    return " ".join([*bits, *wider])


def _bit_options(bits: Mapping[str, int]) -> list[str]:
    if len(set(bits.values())) == 1:
        return [f"--weight-bits {next(iter(bits.values()))}"]
    return [f"--bits '{name}.*weight={width}'" for name, width in bits.items()]
