"""Curves as SVG: cost against weight bits, activation bits, width, batch and sequence length."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.peers import required
from tests.benchmarks.results import Result
from tests.benchmarks.workload import slug

_COLOURS = ("#1f6feb", "#d29922", "#8b949e")  # stand out on a light page and on a dark one
_SIZE = 6.0, 3.6
_DESCRIPTION = {"Date": None, "Creator": None}  # the same file for the same numbers


def write_plots(results: Sequence[Result], limits: Mapping[str, float], folder: Path) -> list[Path]:
    """Write a plot for each curve, and one of reading against size; gives the files.

    Raises:
        MissingError: Matplotlib is not installed.
    """
    curves: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.curve and result.sides:
            curves[result.curve[0]].append(result)
    folder.mkdir(parents=True, exist_ok=True)
    written = [_curve(title, points, folder) for title, points in curves.items()]
    return written + _reading(limits, folder)


def _curve(title: str, points: Sequence[Result], folder: Path) -> Path:
    """Time of a unit over the abscissa, a line for each side and one for the limit."""
    points = sorted(points, key=lambda point: point.curve[1] if point.curve else 0.0)
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        assert point.curve is not None
        for side in point.sides:
            lines[side.name].append((point.curve[1], 1e6 * side.seconds.median))
        if point.limit:
            lines["limit"].append((point.curve[1], 1e6 * point.limit.seconds))
    abscissa, _, rest = title.partition(",")
    return _draw(folder / f"{slug(title)}.svg", rest.strip(), abscissa, f"us/{points[0].unit}", lines)


def _reading(limits: Mapping[str, float], folder: Path) -> list[Path]:
    found = sorted((int(name.removeprefix("read ")), rate) for name, rate in limits.items() if name.startswith("read "))
    if not found:
        return []
    line = {"one core": [(size / 2**20, rate / 1e9) for size, rate in found]}
    return [_draw(folder / "reading.svg", "reading an array", "MiB", "GB/s", line)]


def _draw(
    path: Path, title: str, abscissa: str, ordinate: str, lines: Mapping[str, Sequence[tuple[float, float]]]
) -> Path:
    figures = required("matplotlib.figure", "Matplotlib")
    with required("matplotlib", "Matplotlib").rc_context({"svg.hashsalt": path.name}):
        figure = figures.Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(lines.items()):
            style = {"linestyle": "dashed"} if name == "limit" else {"marker": "o", "markersize": 4}
            colour = _COLOURS[-1] if name == "limit" else _COLOURS[number % 2]
            axes.plot(*zip(*points, strict=True), label=name, color=colour, **style)
        axes.set(title=title, xlabel=abscissa, ylabel=ordinate, xscale="log", yscale="log")
        ticks = sorted({x for points in lines.values() for x, _ in points})
        if len(ticks) <= 10:
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path, transparent=True, metadata=_DESCRIPTION)
    return path
