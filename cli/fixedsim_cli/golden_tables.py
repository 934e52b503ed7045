"""Tables of golden sets: what was written, what is covered, how strong it is."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fixedsim_cli.output import Column, print_table, say
from fixedsim_golden.coverage import SiteCoverage, shown
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.strength import OUTCOMES, Verdict


def print_written(folder: Path, coverage: Sequence[SiteCoverage]) -> None:
    """Print what a set holds, by role, and a line on what it covers."""
    manifest = GoldenSet.open(folder).manifest
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for entry in manifest.entries:
        counts[entry.role] += 1
        words[entry.role] += entry.words
    rows = [(role.replace("_", " "), f"{counts[role]:,}", f"{words[role]:,}") for role in counts]
    print_table((Column("role"), Column("entries", True), Column("words", True)), rows)
    steps = sum(case.steps for case in manifest.cases)
    say(f"{folder}: {len(manifest.cases):,} cases of {steps:,} steps in {len(manifest.files) + 1:,} files", apart=True)
    say(summary(coverage))
    say(f"digest {manifest.digest}")


def summary(coverage: Sequence[SiteCoverage]) -> str:
    """Corners in one line."""
    hit, out = sum(len(site.hit) for site in coverage), sum(len(site.unreachable) for site in coverage)
    waived, left = sum(len(site.waived) for site in coverage), sum(len(site.undecided) for site in coverage)
    total = sum(site.corners for site in coverage)
    return f"{hit:,} of {total:,} corners hit, {out:,} out of reach, {waived:,} waived, {left:,} undecided"


def print_coverage(coverage: Sequence[SiteCoverage]) -> None:
    """Print one row for each accumulator, cast and table, and why corners are undecided."""
    columns = (
        Column("site"),
        Column("kind"),
        Column("corners", True),
        Column("hit", True),
        Column("out of reach", True),
        Column("waived", True),
        Column("undecided", True),
    )
    rows = [
        (
            each.site,
            each.kind,
            each.corners,
            len(each.hit),
            len(each.unreachable),
            len(each.waived),
            len(each.undecided),
        )
        for each in coverage
    ]
    print_table(columns, rows)
    for each in coverage:
        if each.undecided:
            say(f"{each.site}: {shown(each.undecided)}", apart=True)
            say(each.why)
    say(summary(coverage), apart=True)


def print_strength(found: Sequence[Verdict]) -> None:
    """Print how many neighbours had each outcome, and those that were missed by name."""
    counts = Counter(each.outcome for each in found)
    print_table((Column("outcome"), Column("neighbours", True)), [(name, f"{counts[name]:,}") for name in OUTCOMES])
    missed = [(each.neighbour, each.where) for each in found if each.outcome == "missed"]
    if missed:
        print_table((Column("missed"), Column("why")), missed, title="missed")
