"""The frontier of bits against width, as PNG or SVG."""

from pathlib import Path
from typing import Any

from fixedsim.accounting.plots import FILL, INK, draw
from fixedsim.errors import InputError
from fixedsim.planning.frontier import Point
from fixedsim.planning.planner import Plan


def plot(plan: Plan, path: Path | str) -> None:
    """Draw how wide the layers can be at each width of the weights, and what a time step then computes.

    Raises:
        InputError: a plan whose frontier is empty.
        FileError: an ending other than .png and .svg, or a file that cannot be written.
        DependencyError: matplotlib is not installed.
    """
    if not plan.frontier:
        raise InputError("frontier must have a point to be drawn, not none")
    draw(path, lambda figure: _paint(figure, plan))


def _paint(figure: Any, plan: Plan) -> None:
    wide, compute = figure.subplots(1, 2)
    bits = [int(point.bits) for point in plan.frontier if isinstance(point.bits, int)]
    _line(wide, bits, [point.factor for point in plan.frontier], "", FILL)
    for point in plan.frontier:
        wide.annotate(f"{point.factor:.2f}", (point.bits, point.factor), textcoords="offset points", xytext=(4, 4))
    wide.set_ylabel(f"times as wide: {', '.join(plan.widened)}")
    wide.set_title(f"{plan.name}: {plan.limit:,} {plan.unit}", loc="left")
    _line(compute, bits, [_ratio(point, plan, "macs") for point in plan.frontier], "multiply-accumulates", FILL)
    _line(compute, bits, [_ratio(point, plan, "bit_operations") for point in plan.frontier], "bit operations", INK)
    compute.set_ylabel(f"times those of {plan.reference.bits} bits")
    compute.legend(frameon=False)
    for axes in (wide, compute):
        axes.set_xlabel("weight bits")
        axes.set_xticks(bits)
        axes.set_ylim(bottom=0)


def _line(axes: Any, bits: list[int], values: list[float], label: str, colour: str) -> None:
    axes.plot(bits, values, "o-", color=colour, label=label)


def _ratio(point: Point, plan: Plan, what: str) -> float:
    counts: list[int] = [getattr(each.memory.total, what) for each in (point, plan.reference)]
    return counts[0] / max(1, counts[1])
