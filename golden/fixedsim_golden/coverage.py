"""What golden sets cover: for each accumulator, cast and table its corners hit, out of reach, waived or undecided."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedsim.errors import InputError
from fixedsim.patterns import matching
from fixedsim_golden.corners import sites
from fixedsim_golden.playing import play
from fixedsim_golden.search import Covered
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stages import signals_of

_SHOWN = 12  # undecided corners that a table names


@dataclass(frozen=True)
class SiteCoverage:
    """The corners of one site, by name."""

    site: str
    kind: str
    hit: tuple[str, ...]
    unreachable: tuple[str, ...]
    waived: Mapping[str, str]  # with the reason
    undecided: tuple[str, ...]
    bounds: str

    @property
    def corners(self) -> int:
        """How many there are."""
        return len(self.hit) + len(self.unreachable) + len(self.waived) + len(self.undecided)

    @property
    def why(self) -> str:
        """Why corners are undecided, in a sentence; empty where none is."""
        if not self.undecided:
            return ""
        return f"The bounds do not rule them out ({self.bounds}), and no case reached them."

    def to_dict(self) -> dict[str, Any]:
        """The record of a manifest: what was hit is counted, the rest is named."""
        return {
            "site": self.site,
            "kind": self.kind,
            "corners": self.corners,
            "hit": len(self.hit),
            "unreachable": len(self.unreachable),
            "waived": dict(self.waived),
            "undecided": list(self.undecided),
            "bounds": self.bounds,
            "why": self.why,
        }


def summarize(covered: Covered, waivers: Mapping[str, str] | None = None) -> list[SiteCoverage]:
    """The coverage of cases.

    Args:
        covered: cases, sites, and which corners are hit.
        waivers: reason by pattern over ``SITE: CORNER``, for corners that need not be hit.

    Raises:
        InputError: a pattern that matches no corner, or only such as are hit or out of reach already; no reason.
    """
    open_ = _open(covered)
    reasons: dict[str, str] = {}
    for pattern, reason in (waivers or {}).items():
        if not reason.strip():
            raise InputError(f"waiver of {pattern!r} must have a reason, not none")
        reasons |= dict.fromkeys(matching([pattern], open_, "waiver pattern over undecided corners"), reason)
    return [
        _summary(site.name, site.kind, site.corners, hits, site.possible, reasons, site.bounds)
        for site, hits in zip(covered.sites, covered.hits, strict=True)
    ]


def _summary(
    name: str, kind: str, corners: Sequence[str], hits: Any, possible: Any, reasons: Mapping[str, str], bounds: str
) -> SiteCoverage:
    hit = [corner for corner, seen in zip(corners, hits.tolist(), strict=True) if seen]
    unreachable = [corner for corner, left in zip(corners, (~possible & ~hits).tolist(), strict=True) if left]
    left = [corner for corner, open_ in zip(corners, (possible & ~hits).tolist(), strict=True) if open_]
    waived = {corner: reasons[f"{name}: {corner}"] for corner in left if f"{name}: {corner}" in reasons}
    undecided = tuple(corner for corner in left if corner not in waived)
    return SiteCoverage(name, kind, tuple(hit), tuple(unreachable), waived, undecided, bounds)


def measure(folders: Sequence[Path | str], waivers: Mapping[str, str] | None = None) -> list[SiteCoverage]:
    """The coverage of golden sets of one model, together; waivers that stand in their manifests count too.

    Raises:
        InputError: no set, or sets of different models; waivers as :func:`summarize`.
        FileError: a set that is damaged.
    """
    opened = [GoldenSet.open(folder) for folder in folders]
    if not opened:
        raise InputError("sets must be at least one, not none")
    digests = {each.manifest.model.file.sha256 for each in opened}
    if len(digests) > 1:
        raise InputError(f"sets must be of one model, not of {len(digests)}")
    found = sites(opened[0].model)
    hits = [np.zeros(len(site.corners), dtype=np.bool_) for site in found]
    cases = []
    for each in opened:
        cases += each.cases
        signals = signals_of(each.model, each.cases, play(each.model, each.cases))
        hits = [seen | site.hits(signals) for seen, site in zip(hits, found, strict=True)]
    covered = Covered(cases, found, hits)
    known = {
        f"{record['site']}: {corner}": reason
        for each in opened
        for record in each.manifest.coverage
        for corner, reason in record["waived"].items()
    }
    open_ = set(_open(covered))
    return summarize(covered, {name: known[name] for name in known if name in open_} | dict(waivers or {}))


def _open(covered: Covered) -> list[str]:
    """The corners that are neither hit nor out of reach, as ``SITE: CORNER``."""
    return [
        f"{site.name}: {corner}"
        for site, hits in zip(covered.sites, covered.hits, strict=True)
        for corner, left in zip(site.corners, (site.possible & ~hits).tolist(), strict=True)
        if left
    ]


def shown(names: Sequence[str]) -> str:
    """Names for a table, the first of many."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def to_html(coverage: Sequence[SiteCoverage], title: str) -> str:
    """A page with one row for each site, and every corner that is not hit by name."""
    rows = "\n".join(_row(site) for site in coverage)
    total = sum(site.corners for site in coverage)
    hit = sum(len(site.hit) for site in coverage)
    undecided = sum(len(site.undecided) for site in coverage)
    return _PAGE.format(
        title=html.escape(title), rows=rows, summary=f"{hit:,} of {total:,} corners hit, {undecided:,} undecided"
    )


def _row(site: SiteCoverage) -> str:
    state = "open" if site.undecided else "done"
    details = [f"<p>{html.escape(site.bounds)}</p>"]
    if site.undecided:
        details.append(f"<p>Undecided: {html.escape(', '.join(site.undecided))}. {html.escape(site.why)}</p>")
    if site.unreachable:
        details.append(f"<p>Out of reach: {html.escape(', '.join(site.unreachable))}</p>")
    details += [f"<p>Waived: {html.escape(corner)}: {html.escape(why)}</p>" for corner, why in site.waived.items()]
    numbers = (site.corners, len(site.hit), len(site.unreachable), len(site.waived), len(site.undecided))
    cells = "".join(f"<td class=number>{number}</td>" for number in numbers)
    name = f"<details><summary>{html.escape(site.site)}</summary>{''.join(details)}</details>"
    return f"<tr class={state}><td>{name}</td><td>{site.kind}</td>{cells}</tr>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #1b2a38; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid #d5dde5; text-align: left; vertical-align: top; }}
.number {{ text-align: right; }}
tr.open td:first-child {{ border-left: 4px solid #c9622f; }}
tr.done td:first-child {{ border-left: 4px solid #3f8f5b; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
<table>
<tr><th>site</th><th>kind</th><th class=number>corners</th><th class=number>hit</th><th class=number>out of reach</th>
<th class=number>waived</th><th class=number>undecided</th></tr>
{rows}
</table>
</body>
</html>
"""
