"""The strength of golden sets: neighbouring models of each set's own model, and what became of them.

    python docs/studies/set_strength.py SETS -o FOLDER [--names PATTERN...]

Writes FOLDER/strength.jsonl, a line for each set, and FOLDER/strength.md. Sets that stand in the results are not run
again.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from fixedsim_golden.strength import OUTCOMES, strength


def measured(folder: Path) -> dict[str, Any]:
    """How many neighbours of a set came to each outcome, and those that it misses."""
    verdicts = strength(folder)
    counts = Counter(each.outcome for each in verdicts)
    missed = [{"neighbour": each.neighbour, "where": each.where} for each in verdicts if each.outcome == "missed"]
    return {"set": folder.name, **{outcome: counts[outcome] for outcome in OUTCOMES}, "neighbours missed": missed}


def table(results: list[dict[str, Any]]) -> str:
    """Sets downward, outcomes across."""
    rows = [f"| set | {' | '.join(OUTCOMES)} |", "|---" * (len(OUTCOMES) + 1) + "|"]
    for each in sorted(results, key=lambda record: str(record["set"])):
        rows.append(f"| {each['set']} | {' | '.join(str(each[outcome]) for outcome in OUTCOMES)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--names", nargs="*", default=["*-full"], help="patterns of sets")
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    file = options.output / "strength.jsonl"
    results = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    done = {each["set"] for each in results}
    wanted = {path.parent for pattern in options.names for path in options.sets.glob(f"{pattern}/manifest.json")}
    with file.open("a", encoding="utf-8") as stream:
        for folder in sorted(path for path in wanted if path.name not in done):
            results.append(measured(folder))
            stream.write(json.dumps(results[-1]) + "\n")
            stream.flush()
            print(results[-1], flush=True)
    (options.output / "strength.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
