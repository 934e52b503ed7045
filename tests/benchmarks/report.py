"""Results as text for a terminal, and as the Markdown of docs/explanation/performance.md."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from tests.benchmarks.limits import PEAKS
from tests.benchmarks.results import GoalResult, Result

_SECTIONS = {  # heading: workloads
    "Fully connected, 8-bit weights and activations": "matrix.2048.batch*",
    "A matrix that exceeds the caches, one vector": "matrix.8192x6144.*",
    "8-bit weights, wider activations": "matrix.2048.a*",
    "An accumulator that saturates step by step": "matrix.2048.steps",
    "Language model of 10,000 words, token by token": "ptb*.stream",
    "The same, many steps at once": "ptb*.steps*",
    "The same, perplexity of a whole test set": "ptb*.test.*",
    "Deep Speech": "speech.*",
    "LSTMs under the profiles of other programs": "lstm.*",
    "Two threads on two cores": "threads.*",
    "Two processes on two cores": "processes.*",
}


def text(result: Result) -> str:
    """Every side of a workload with its ratio, the limit, and the goals."""
    lines = [f"{result.name}: {result.title}"]
    for side in result.sides:
        spread = f"{_time(side.seconds.low)} .. {_time(side.seconds.high)}"
        beside = (
            "" if side.ratio is None else f"  {side.ratio.median:6.2f}x ({side.ratio.low:.2f} .. {side.ratio.high:.2f})"
        )
        lines.append(
            f"  {side.name:<26}{_time(side.seconds.median):>11}/{result.unit} ({spread}, n={side.rounds}){beside}"
        )
    if result.products_per_second:
        lines.append(f"  {'rate':<26}{result.products_per_second / 1e9:>8.2f} GMAC/s")
    if result.limit:
        limit = result.limit
        lines.append(
            f"  {'limit':<26}{_time(limit.seconds):>11}/{result.unit}  share {_percent(limit.share)} ({limit.bound})"
        )
    if result.peak_bytes is not None:
        lines.append(f"  {'memory':<26}{result.peak_bytes / 2**20:>7.1f} MiB")
    lines += [f"  {name:<26}missing: {reason}" for name, reason in result.missing.items()]
    lines += [f"  goal {goal.text}: {_goal(goal)}" for goal in result.goals]
    return "\n".join(lines)


def limits_text(limits: Mapping[str, float]) -> str:
    """The measured limits."""
    return "\n".join(f"{name:<32}{value}" for name, value in _limit_rows(limits))


def markdown(machine: Mapping[str, str], limits: Mapping[str, float], results: Sequence[Result]) -> str:
    """The machine, its limits, a table for each subject, and the growth."""
    parts = [
        _table(("machine", ""), machine.items()),
        "### Limits of this core",
        _table(("limit", "measured"), _limit_rows(limits)),
    ]
    for heading, pattern in _SECTIONS.items():
        found = [result for result in results if fnmatchcase(result.name, pattern)]
        if found:
            parts += [f"### {heading}", _comparison(found)]
    growing = [result for result in results if result.peak_bytes is not None]
    if growing:
        parts += ["### Growth", _growth(growing)]
    missing = {name: reason for result in results for name, reason in result.missing.items()}
    if missing:
        parts += ["Not measured: " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()) + "."]
    return "\n\n".join(parts) + "\n"


def _limit_rows(limits: Mapping[str, float]) -> list[tuple[str, str]]:
    rows = [
        (peak.title, f"{limits[name] / 1e9:.0f} GMAC/s" if name in limits else "instruction not there")
        for name, peak in PEAKS.items()
    ]
    sizes = sorted(int(name.removeprefix("read ")) for name in limits if name.startswith("read "))
    return rows + [(f"reading {_size(size)}", f"{limits[f'read {size}'] / 1e9:.1f} GB/s") for size in sizes]


def _comparison(results: Sequence[Result]) -> str:
    """Workloads by line, peers by column: how many times as long as ours each took."""
    peers = list(dict.fromkeys(side.name for result in results for side in result.sides[1:]))
    head = ("workload", "ours", *peers, "share of the limit", "goals")
    return _table(head, (_comparison_row(result, peers) for result in results))


def _comparison_row(result: Result, peers: Sequence[str]) -> tuple[str, ...]:
    relative = {side.name: f"{side.ratio.median:.2f}x" for side in result.sides if side.ratio}
    ours = f"{_time(result.sides[0].seconds.median)}/{result.unit}" if result.sides else "-"
    share = _percent(result.limit.share) if result.limit else "-"
    goals = "; ".join(f"{goal.text}: {_goal(goal)}" for goal in result.goals) or "-"
    return (result.title, ours, *(relative.get(name, "-") for name in peers), share, goals)


def _growth(results: Sequence[Result]) -> str:
    rows = [
        (
            result.title,
            f"{_time(result.sides[0].seconds.median)}/{result.unit}",
            f"{(result.peak_bytes or 0) / 2**20:.1f} MiB",
        )
        for result in results
    ]
    return _table(("workload", "time", "memory beyond the results"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _goal(goal: GoalResult) -> str:
    if goal.found is None:
        return "not measured"
    shown = goal.found / 1e9 if "GMAC/s" in goal.text else goal.found
    value = _percent(goal.found) if "%" in goal.text else f"{shown:.3g}"
    return f"{value}, {'reached' if goal.met else 'missed'}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
