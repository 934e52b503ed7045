"""``fixedsim selftest``: the kernels of this machine against the specification."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from fixedsim_cli.options import json_option

if TYPE_CHECKING:
    from fixedsim.selftest import SelfTestReport


@click.command("selftest")
@click.option(
    "--effort", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Multiplies the cases."
)
@json_option
def command(effort: int, as_json: bool) -> None:
    """Compare this machine's kernels with the specification.

    Ends with status 1 if a single integer differs.

    \b
    Example:
      fixedsim selftest --effort 10
    """
    from fixedsim.selftest import selftest
    from fixedsim_cli.output import print_json

    report = selftest(effort=effort)
    if as_json:
        print_json({"effort": effort, "differences": report.differences, **asdict(report)})
    else:
        _print(report)
    if report.differences:
        raise SystemExit(1)


def _print(report: "SelfTestReport") -> None:
    from fixedsim_cli.output import Column, print_table, say

    columns = (Column("kernels"), Column("comparisons", True), Column("differences", True))
    print_table(columns, [(each.name, f"{each.comparisons:,}", f"{each.differences:,}") for each in report.families])
    for each in report.families:
        if each.first_difference:
            say(f"{each.name}: {each.first_difference}")
    verdict = "differ from" if report.differences else "equal"
    count = f"{report.comparisons:,} integers, {report.differences:,} differences"
    say(f"the kernels {verdict} the specification: {count}", apart=True)
