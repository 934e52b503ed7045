"""Tables of storage: per layer, per tensor, and one row for each of many configurations."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from fixedsim.accounting import ActivationMemory, Memory, TensorMemory
from fixedsim_cli.output import Column, print_table, shape_text


@dataclass(frozen=True)
class CountTable:
    """Headers, and rows of texts and numbers; a total at the end where there is one. ``note`` says what is counted."""

    headers: tuple[str, ...]
    rows: list[list[Any]]
    note: str


def table_of(
    found: Sequence[tuple[dict[str, Any], Memory]] | Sequence[tuple[dict[str, Any], ActivationMemory]], per: str
) -> CountTable:
    """The table of one configuration, ``per`` layer or tensor, or one row for each of several."""
    label, account = found[0]
    if isinstance(account, Memory):
        stored = [(label, each) for label, each in found if isinstance(each, Memory)]
        if len(stored) > 1:
            return grid_table(stored)
        return layer_table(account) if per == "layer" else tensor_table(account)
    if len(found) > 1:
        headers = (*_label_headers(label), "law bytes", "peak bytes", "peak in")
        rows = [
            [*each.values(), _bytes(live.law_peak_bits), *_peak(live)]
            for each, live in found
            if isinstance(live, ActivationMemory)
        ]
        return CountTable(headers, rows, _course(account))
    if per == "layer":
        laws = account.law_layers
        layers = [[name, _bytes(laws[name]), bits, _bytes(bits)] for name, bits in account.layers.items()]
        return CountTable(("layer", "law bytes", "peak bits", "peak bytes"), layers, _activation_note(account))
    live = account.schedule.live_at(account.schedule.peak_position)
    tensors = [[name, bits, _bytes(bits)] for name, bits in live.items()]
    return CountTable(("live at the peak", "bits", "bytes"), tensors, _activation_note(account))


def _peak(account: ActivationMemory) -> list[Any]:
    return [_bytes(account.peak_bits), account.schedule.operations[account.schedule.peak_position].name]


def _activation_note(account: ActivationMemory) -> str:
    size, where = _peak(account)
    return f"{_course(account)}: at most {size:,} bytes are live, in {where}"


def _course(account: ActivationMemory) -> str:
    return f"{account.name} over {account.steps} steps, batch {account.batch}, order {account.order}"


def _label_headers(label: dict[str, Any]) -> list[str]:
    return [name.replace("_", " ") for name in label]


def layer_table(memory: Memory) -> CountTable:
    """One row for each layer, and the total."""
    headers = ("layer", "parameters", "law bytes", "exact bits", "exact bytes", memory.target.block, "MACs", "bit ops")
    rows = [
        [
            layer.name,
            layer.parameters,
            _bytes(layer.law_bits),
            layer.total_bits,
            _bytes(layer.total_bits),
            layer.blocks,
            layer.macs,
            layer.bit_operations,
        ]
        for layer in (*memory.layers, memory.total)
    ]
    return CountTable(headers, rows, _note(memory))


def tensor_table(memory: Memory) -> CountTable:
    """One row for each stored tensor."""
    headers = (
        "tensor",
        "kind",
        "shape",
        "bits",
        "law bits",
        "exact bits",
        "words",
        "word bits",
        memory.target.block,
        "efficiency",
    )
    rows = [
        [
            each.stored.name,
            str(each.stored.kind),
            shape_text(each.stored.shape),
            each.stored.bits,
            each.law_bits,
            each.stored.total_bits,
            *_placed(each),
        ]
        for each in memory.tensors
    ]
    return CountTable(headers, rows, _note(memory))


def _placed(tensor: TensorMemory) -> list[Any]:
    placement = tensor.placement
    if placement is None:
        return [None, None, 0, ""]
    return [placement.words, placement.word_bits, placement.blocks, f"{100 * placement.efficiency:.1f} %"]


def grid_table(found: Sequence[tuple[dict[str, Any], Memory]]) -> CountTable:
    """One row for each configuration."""
    first = found[0][1]
    headers = (
        *_label_headers(found[0][0]),
        "parameters",
        "law bytes",
        "exact bytes",
        first.target.block,
        "MACs",
        "bit ops",
    )
    rows = []
    for label, memory in found:
        total = memory.total
        sizes = [total.parameters, _bytes(total.law_bits), _bytes(total.total_bits), total.blocks]
        rows.append([*label.values(), *sizes, total.macs, total.bit_operations])
    return CountTable(headers, rows, _note(first))


def print_counts(table: CountTable, as_csv: bool, as_markdown: bool) -> None:
    """Print a table for people, as comma-separated values or as Markdown."""
    if as_csv:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([table.headers, *table.rows])
        click.echo(stream.getvalue(), nl=False)
        return
    texts = [[_text(value) for value in row] for row in table.rows]
    numbers = [
        all(isinstance(row[place], int | float | None) for row in table.rows) for place in range(len(table.headers))
    ]
    if as_markdown:
        rule = ["---:" if number else "---" for number in numbers]
        for line in (table.headers, rule, *texts):
            click.echo(f"| {' | '.join(line)} |")
        return
    print_table([Column(name, number) for name, number in zip(table.headers, numbers, strict=True)], texts)
    click.echo(f"\n{table.note}")


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _note(memory: Memory) -> str:
    return f"{memory.target.block}: {memory.target.summary}; MACs and bit operations (bit ops) of one time step"
