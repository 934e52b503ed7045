"""The command line of the benchmarks."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.benchmarks import networks
from tests.benchmarks.limits import PEAKS, forget_arrays, has_peak, peak, reading
from tests.benchmarks.machine import cores, describe, load_average, pinned
from tests.benchmarks.measure import CLOCKS, Spread, interleave
from tests.benchmarks.plots import write_plots
from tests.benchmarks.report import limits_text, markdown, text
from tests.benchmarks.results import Result, measured
from tests.benchmarks.workload import Workload
from tests.benchmarks.workloads import all_workloads

READ_SIZES = tuple(1 << power for power in range(14, 30))
_LIMIT_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, print it, and write what is asked for."""
    options = _parser().parse_args(arguments)
    if options.results:
        saved = json.loads(options.results.read_text("utf-8"))
        machine, limits = saved["machine"], saved["limits"]
        results = [Result.from_dict(each) for each in saved["results"]]
    else:
        chosen = _chosen(options.only)
        if options.list:
            print("\n".join(f"{workload.name:<44}{workload.title}" for workload in chosen))
            return
        load = load_average()
        machine = describe() | {"clock": options.clock}
        limits, results = _measure(chosen, options)
        machine["load before and after"] = f"{load}, {load_average()}"
    _write(options, machine, limits, results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="PATTERN", help="workloads by name, such as 'ptb300.*'")
    parser.add_argument("--rounds", type=int, default=25, help="interleaved rounds of each workload (25)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="for all rounds of a workload, shared by its sides (20)"
    )
    parser.add_argument(
        "--clock",
        choices=sorted(CLOCKS),
        default="wall",
        help="processor: time that other programs take does not count",
    )
    parser.add_argument("--list", action="store_true", help="name the workloads and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, limits and results")
    parser.add_argument("--results", type=Path, metavar="FILE", help="take them from such a file, and measure nothing")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables; into a page between its marks")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write the curves as SVG")
    return parser


def _chosen(patterns: Iterable[str] | None) -> list[Workload]:
    known = all_workloads()
    if not patterns:
        return known
    chosen = [workload for workload in known if any(fnmatchcase(workload.name, pattern) for pattern in patterns)]
    if not chosen:
        sys.exit("no workload matches; --list names them")
    return chosen


def _measure(chosen: Sequence[Workload], options: argparse.Namespace) -> tuple[dict[str, float], list[Result]]:
    allowed = cores()
    with pinned(allowed, 1):
        limits = _limits(options.rounds, CLOCKS[options.clock])
    print(limits_text(limits), flush=True)
    results = []
    for workload in chosen:
        if workload.cores > max(1, len(allowed)):
            print(f"{workload.name}: needs {workload.cores} cores", flush=True)
            continue
        with pinned(allowed, workload.cores):
            results.append(measured(workload, rounds=options.rounds, seconds=options.seconds, clock=options.clock))
        print(text(results[-1]), flush=True)
    networks.forget()
    return limits, results


def _limits(rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Multiply-accumulates and bytes a second, by name."""
    probes = {name: peak(name) for name in PEAKS if has_peak(name)}
    probes |= {probe.name: probe for probe in map(reading, READ_SIZES)}
    calls = {name: probe.call for name, probe in probes.items()}
    samples = interleave(calls, rounds=rounds, seconds=_LIMIT_SECONDS, clock=clock)
    forget_arrays()
    return {name: probe.amount / Spread.of(samples[name]).median for name, probe in probes.items()}


def _write(
    options: argparse.Namespace, machine: dict[str, str], limits: dict[str, float], results: Sequence[Result]
) -> None:
    if options.json:
        values: dict[str, Any] = {"machine": machine, "limits": limits}
        values["results"] = [result.to_dict() for result in results]
        options.json.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    if options.markdown:
        _write_tables(options.markdown, markdown(machine, limits, results))
    if options.plots:
        write_plots(results, limits, options.plots)


_BEGIN, _END = "<!-- measured -->\n", "<!-- end of measured -->"


def _write_tables(path: Path, tables: str) -> None:
    """Write the tables into a file; where it has the marks, between them."""
    page = path.read_text("utf-8") if path.exists() else _BEGIN + _END + "\n"
    before, _, rest = page.partition(_BEGIN)
    after = rest.partition(_END)[2]
    path.write_text(f"{before}{_BEGIN}\n{tables}\n{_END}{after}", "utf-8")
