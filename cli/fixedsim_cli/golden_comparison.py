"""The comparison of a dump with a golden set for people: the outcome, the first cause, and the counts of each entry."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fixedsim_cli.options import check_output
from fixedsim_cli.output import Column, print_json, print_table, progress, say

if TYPE_CHECKING:
    from fixedsim_golden.comparing import Compared, Comparison, Mismatch, Seen

MAX_RAWS = 32  # of an operand
MAX_ENTRIES = 40  # of a table that shows only what differs


def run_comparison(
    folder: Path,
    dump: Path,
    *,
    encoding: str | None = None,
    resync: bool = False,
    junit_file: Path | None = None,
    plot_file: Path | None = None,
    plot_entry: str | None = None,
    every: bool = False,
    as_json: bool = False,
) -> bool:
    """Compare, print, and write the files that are asked for; return whether the dump passed.

    Args:
        folder, dump, encoding, resync: as :func:`fixedsim_golden.comparing.compare` takes them.
        junit_file: where JUnit XML goes, ``.xml``.
        plot_file: where the heat map goes, ``.png`` or ``.svg``; of the units of ``plot_entry`` where that is given.
        every: print the counts of all entries, not only of those that differ.
        as_json: print one JSON document instead.

    Raises:
        FileError, InputError, DependencyError: as the comparison and the files raise them.
    """
    from fixedsim.files import write_atomically
    from fixedsim_golden.comparing import compare, junit, plot

    for path, suffixes in ((junit_file, (".xml",)), (plot_file, (".png", ".svg"))):
        if path is not None:
            check_output(path, suffixes, folder, dump)
    with progress("entries", shown=not as_json) as move:
        found = compare(folder, dump, encoding=encoding, resync=resync, progress=move)
    if as_json:
        print_json(found.to_dict())
    else:
        print_comparison(found, every=every)
    if junit_file is not None:
        write_atomically(junit_file, junit(found))
    if plot_file is not None:
        plot(found, plot_file, plot_entry)
    return found.passed


def print_comparison(comparison: "Comparison", *, every: bool = False) -> None:
    """Print the outcome, the first cause with its operands, and a table of the entries that differ, or of all."""
    say(comparison.summary)
    if comparison.first is not None:
        print_mismatch(comparison.first)
    shown = [entry for entry in comparison.entries if every or not entry.passed or entry.own_faults]
    if shown:
        print_entries(shown if every else shown[:MAX_ENTRIES], comparison.resync)
    if not every and len(shown) > MAX_ENTRIES:
        say(f"{len(shown) - MAX_ENTRIES} more entries differ")
    if comparison.resync:
        _print_own(comparison)


def print_mismatch(mismatch: "Mismatch") -> None:
    """Print where a mismatch stands and what it is made of."""
    say("")
    rows = [(name, text) for name, text in _facts(mismatch) if text]
    print_table([Column("first mismatch", whole=True), Column("")], rows)
    if mismatch.operands:
        say("")
        columns = [Column("made of", whole=True), Column("from", whole=True), Column("raw"), Column("real")]
        print_table(columns, [_operand(each) for each in mismatch.operands])


def _facts(mismatch: "Mismatch") -> Iterable[tuple[str, str]]:
    layer = f"{mismatch.layer}, {mismatch.direction}" if mismatch.direction else mismatch.layer
    yield "layer", layer
    yield "gate", mismatch.gate
    yield mismatch.role.replace("_", " "), mismatch.entry
    yield "case", mismatch.case
    yield from mismatch.flags.items()
    if mismatch.case_step is not None:
        yield "step", f"{mismatch.case_step} of the case, {mismatch.step} of the set"
    if mismatch.unit is None:
        yield "index", ", ".join(map(str, mismatch.index))
    else:
        yield "unit", str(mismatch.unit)
    yield "expected", str(mismatch.expected)
    yield "got", mismatch.fault if mismatch.got is None else str(mismatch.got)
    yield "format", mismatch.format
    yield "narrowing", mismatch.narrowing
    yield "all values are", mismatch.likeness


def _operand(seen: "Seen") -> tuple[str, str, str, str]:
    return seen.name, seen.origin, _few(map(str, seen.raws)), _few(f"{real:g}" for real in seen.reals)


def _few(texts: Iterable[str]) -> str:
    """The first of many texts, and how many more there are."""
    given = list(texts)
    rest = f" and {len(given) - MAX_RAWS} more" if len(given) > MAX_RAWS else ""
    return " ".join(given[:MAX_RAWS]) + rest


def print_entries(entries: Iterable["Compared"], resync: bool) -> None:
    """Print the counts of entries, one a row."""
    columns = [Column("entry", whole=True), Column("words", True), Column("values", True), Column("mismatches", True)]
    columns += [Column("by itself", True)] if resync else []
    rows = [
        (entry.name, entry.words, entry.values, entry.mismatches, *_own(entry, resync), _faults(entry))
        for entry in entries
    ]
    say("")
    print_table([*columns, Column("faults")], rows)


def _own(entry: "Compared", resync: bool) -> tuple[int | None, ...]:
    return (entry.own_faults,) if resync else ()


def _faults(entry: "Compared") -> str:
    texts = [f"{count} {why}" for why, count in entry.faults.items()]
    return ", ".join([*texts, *([f"{entry.surplus} words too many"] if entry.surplus else [])])


def _print_own(comparison: "Comparison") -> None:
    """Print the first value of each entry that is wrong given the device's own operands."""
    found = [entry.first_own for entry in comparison.entries if entry.first_own is not None]
    if found:
        say("Wrong given the device's own operands:", apart=True)
    for mismatch in found:
        say(f"  {mismatch.summary}")
