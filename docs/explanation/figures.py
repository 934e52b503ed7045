"""Draw the picture of each rounding: ``python docs/explanation/figures.py`` writes ``roundings/*.svg``.

A picture shows the rounded value over the exact one. A filled dot is a value that a step contains, a hollow one a value
that it does not. Steps are computed here from the definitions, not by the library.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / "roundings"
REACH = 3  # the picture shows -3 .. 3
COLOUR, GUIDE = "#1f6feb", "#8b949e"  # both stand out on a light page and on a dark one
HALF = Fraction(1, 2)


def nearest(tie: Callable[[int, int], int]) -> Callable[[Fraction], int]:
    """Return the rounding to nearest that resolves a tie between two neighbours, low and high, by ``tie``."""

    def resolve(value: Fraction) -> int:
        low = math.floor(value)
        rest = value - low
        return tie(low, low + 1) if rest == HALF else low + (rest > HALF)

    return resolve


ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "toward_zero": math.trunc,
    "half_up": nearest(max),
    "half_down": nearest(min),
    "half_away": nearest(lambda low, high: max(low, high, key=abs)),
    "half_toward_zero": nearest(lambda low, high: min(low, high, key=abs)),
    "half_even": nearest(lambda low, high: low if low % 2 == 0 else high),
    "half_odd": nearest(lambda low, high: low if low % 2 == 1 else high),
}


def steps(rounding: Callable[[Fraction], int]) -> list[tuple[Fraction, Fraction, int]]:
    """Return begin, end and value of each step between -REACH and REACH; steps begin and end at halves."""
    found: list[tuple[Fraction, Fraction, int]] = []
    for quarter in range(-4 * REACH + 1, 4 * REACH, 2):
        middle = Fraction(quarter, 4)
        begin, end, value = middle - Fraction(1, 4), middle + Fraction(1, 4), rounding(middle)
        if found and found[-1][2] == value:
            begin = found.pop()[0]
        found.append((begin, end, value))
    return found


def draw(axes: Axes, rounding: Callable[[Fraction], int]) -> None:
    """Draw the steps of a rounding, with a dot at each end inside the picture."""
    axes.plot([-REACH, REACH], [-REACH, REACH], color=GUIDE, linewidth=0.7, linestyle="dashed")
    for begin, end, value in steps(rounding):
        axes.plot([float(begin), float(end)], [value, value], color=COLOUR, linewidth=2, solid_capstyle="butt")
        for place in (begin, end):
            if abs(place) < REACH:
                fill = COLOUR if rounding(place) == value else "white"
                axes.plot([float(place)], [value], "o", color=COLOUR, markerfacecolor=fill, markersize=4, zorder=3)


def dress(axes: Axes) -> None:
    """Give the axes integer ticks, a thin grid and no frame."""
    ticks = range(-REACH, REACH + 1)
    axes.set(xticks=ticks, yticks=ticks, xlim=(-REACH - 0.1, REACH + 0.1), ylim=(-REACH - 0.3, REACH + 0.3))
    axes.set_aspect("equal")
    axes.tick_params(colors=GUIDE, length=0)
    axes.grid(color=GUIDE, linewidth=0.3, alpha=0.5)
    axes.spines[:].set_visible(False)


def picture(name: str) -> Figure:
    """Return the picture of one rounding."""
    figure = Figure(figsize=(2.2, 2.3), layout="constrained")
    axes = figure.subplots()
    draw(axes, ROUNDINGS[name])
    dress(axes)
    axes.set_title(name, fontsize=9, color=GUIDE, family="monospace")
    return figure


def main() -> None:
    """Write one SVG for each rounding."""
    FOLDER.mkdir(exist_ok=True)
    # A fixed salt gives the same bytes each time; text stays text, in one font, which keeps the files small.
    with rc_context(
        {"svg.hashsalt": "fixedsim", "svg.fonttype": "none", "font.size": 8, "font.sans-serif": "DejaVu Sans"}
    ):
        for name in ROUNDINGS:
            picture(name).savefig(FOLDER / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
