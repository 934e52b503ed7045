"""Every fault of the Verilog device under golden sets: which sets catch it, and where a comparison sees it first.

    python docs/studies/device_faults.py SETS -o FOLDER [--processes N] [--names PATTERN...]

SETS is a folder of golden sets of one-layer models, such as golden/vectors, or what its make.py --every-signal writes.
Writes FOLDER/results.jsonl, a line for each fault and set, and FOLDER/table.md. It may be stopped and started again:
what stands in the results is not run again. Needs Icarus Verilog.
"""

import argparse
import json
import re
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from fixedsim_golden.comparing import compare
from fixedsim_golden.device import device_sources
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.testbench import build_device

OPTIONS = {"FAULT_VALID_IGNORED": "stalls", "FAULT_BACKPRESSURE_IGNORED": "backpressure"}
KINDS = {"linear": {"linear"}, "lstm": {"lstm"}, "bilstm": {"bilstm"}}  # of other modules: linear and lstm


def faults() -> dict[str, set[str]]:
    """The defines of the device, and the kinds of layers that have them."""
    text = (device_sources()[0].parent / "README.md").read_text("utf-8")
    found = {}
    for name, modules in re.findall(r"^\| `(FAULT_\w+)` \| ([\w, ]+) \|", text, re.MULTILINE):
        parts = [each.strip() for each in modules.split(",")]
        found[name] = set().union(*(KINDS.get(part, {"linear", "lstm"}) for part in parts))
    return found


def run(fault: str, folder: Path) -> dict[str, Any]:
    """One fault on one set: what the bench says, and the first mismatch of the dump."""
    switch = {OPTIONS[fault]: True} if fault in OPTIONS else {}
    with tempfile.TemporaryDirectory() as scratch:
        done = build_device(folder, scratch, defines=[fault], **switch).run(dump=Path(scratch, "dump"))
        first = "" if done.passed else _first(folder, Path(scratch, "dump"))
    return {"fault": fault, "set": folder.name, "caught": not done.passed, "first": first}


def _first(folder: Path, dump: Path) -> str:
    mismatch = compare(folder, dump).first
    return "" if mismatch is None else mismatch.entry


def missing(sets: list[Path], done: set[tuple[str, str]]) -> list[tuple[str, Path]]:
    """The pairs that are still to be run."""
    kinds = {path: path.name.partition("-")[0].partition("_")[0] for path in sets}
    return [
        (fault, path)
        for fault, wanted in faults().items()
        for path in sets
        if kinds[path] in wanted and (fault, path.name) not in done
    ]


def table(results: list[dict[str, Any]], levels: dict[str, str]) -> str:
    """Faults downward: how many sets of each level caught it, and the first signals."""
    rows = ["| fault | smoke sets | full sets | first seen at |", "|---|---|---|---|"]
    for fault in sorted({each["fault"] for each in results}):
        own = [each for each in results if each["fault"] == fault]
        cells = []
        for level in ("smoke", "full"):
            here = [each for each in own if levels[each["set"]] == level]
            cells.append(f"{sum(each['caught'] for each in here)} of {len(here)}")
        firsts = sorted({_short(each["first"]) for each in own if each["caught"]})
        rows.append(f"| `{fault.removeprefix('FAULT_')}` | {' | '.join(cells)} | {', '.join(firsts)} |")
    return "\n".join(rows) + "\n"


def _short(name: str) -> str:
    return "`" + re.sub(r"^(fc|lstm(\.forward|\.backward)?)\.", "", name) + "`" if name else "output stream"


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--names", nargs="*", default=["*fixed-point*", "*bit-rnn*"], help="patterns of sets")
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    file = options.output / "results.jsonl"
    results = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    named = {path for pattern in options.names for path in options.sets.glob(f"{pattern}/manifest.json")}
    sets = [path.parent for path in sorted(named)]
    jobs = missing(sets, {(each["fault"], each["set"]) for each in results})
    with ProcessPoolExecutor(options.processes) as pool, file.open("a", encoding="utf-8") as stream:
        for place, done in enumerate(as_completed([pool.submit(run, *job) for job in jobs])):
            results.append(done.result())
            stream.write(json.dumps(results[-1]) + "\n")
            stream.flush()
            print(f"{place + 1}/{len(jobs)} {results[-1]}", flush=True)
    names = {each["set"] for each in results}  # of earlier runs too
    levels = {name: GoldenSet.open(options.sets / name).manifest.level for name in names}
    (options.output / "table.md").write_text(table(results, levels), encoding="utf-8")


if __name__ == "__main__":
    main()
