"""How often casts overflowed, as a table."""

from collections.abc import Mapping

from fixedsim_cli.output import Column, print_table, say

_COLUMNS = (Column("cast"), Column("values", True), Column("low", True), Column("high", True), Column("share", True))


def print_overflows(overflows: Mapping[str, Mapping[str, int]]) -> None:
    """Print the casts that overflowed, the largest share first, from ``{cast: {values, low, high}}``."""
    rows = [
        ((count["low"] + count["high"]) / count["values"], name, count)
        for name, count in overflows.items()
        if count["low"] + count["high"]
    ]
    if not rows:
        say(f"no cast overflowed, of {len(overflows)}" if overflows else "overflows are counted by the kernels only")
        return
    ordered = sorted(rows, key=lambda row: (-row[0], row[1]))
    print_table(
        _COLUMNS,
        [
            (name, f"{count['values']:,}", f"{count['low']:,}", f"{count['high']:,}", f"{100 * share:.2g} %")
            for share, name, count in ordered
        ],
        title=f"casts that overflowed: {len(rows)} of {len(overflows)}",
    )
