"""Compare recorded cases with fixedsim, integer by integer: ``python tests/oracle/replay.py FOLDER``.

FOLDER holds cases as ``.npz`` files, most with a ``.json`` description beside them, in any folders below it; each is
recognised by what is in its files. Prints a row for each signal, and ends with status 1 where an integer differs or a
case could not be replayed.
"""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.oracle import ap_ac, cmsis, hls4ml, litert, rtl
from tests.oracle.results import Result

Replay = Callable[[Path], list[Result]]
DESCRIBED: tuple[Any, ...] = (litert, hls4ml, cmsis)


def cases(folder: Path) -> Iterator[tuple[Path, Replay | None]]:
    """Every case below a folder, and what replays it; None for one that nothing recognises."""
    for path in sorted(folder.rglob("*.npz")):
        description = path.with_suffix(".json")
        yield (description, _described(description)) if _is_described(description) else (path, _by_arrays(path))


def _is_described(path: Path) -> bool:
    return path.exists() and _described(path) is not None


def _described(path: Path) -> Replay | None:
    try:
        description = json.loads(path.read_text())
    except ValueError:
        return None
    found = (module.replay for module in DESCRIBED if isinstance(description, dict) and module.recognises(description))
    return next(found, None)


def _by_arrays(path: Path) -> Replay | None:
    try:
        with np.load(path) as arrays:
            names = set(arrays)
    except (OSError, ValueError):
        return None
    if hls4ml.recognises_sweeps(names):
        return hls4ml.replay_sweeps
    if cmsis.recognises_sweep(names):
        return cmsis.replay_sweep
    if cmsis.recognises_table(names):
        return cmsis.replay_table
    return ap_ac.replay if ap_ac.recognises(names) else rtl.recognises(names)


def replayed(path: Path, replay: Replay | None) -> list[Result]:
    """The rows of one case; one with an error where it could not be replayed."""
    family = path.parent.name
    if replay is None:
        return [Result(family, path.stem, "", 0, 0, "is of no kind that is known")]
    try:
        return replay(path)
    except Exception as error:  # whatever stops one case must not stop the others, and must be seen
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return [Result(family, path.stem, "", 0, 0, message)]


def main(arguments: list[str]) -> int:
    """Replay a folder; the status of the program."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python tests/oracle/replay.py FOLDER", file=sys.stderr)
        return 2
    rows = []
    print(f"{'family':<10} {'case':<40} {'signal':<48} {'compared':>10} {'differing':>10}")
    for path, replay in cases(Path(arguments[0])):
        for row in replayed(path, replay):
            rows.append(row)
            print(
                f"{row.family:<10} {row.case:<40} {row.signal:<48} {row.compared:>10} {row.differing:>10} {row.error}"
            )
    wrong = [row for row in rows if not row.agrees]
    compared, differing = sum(row.compared for row in rows), sum(row.differing for row in rows)
    counts = len({(row.family, row.case) for row in rows}), len(rows)
    print(f"{counts[0]} cases, {counts[1]} signals, {compared} integers compared, {differing} differing")
    for row in wrong:
        print(f"WRONG {row.family}/{row.case} {row.signal} {row.error or f'{row.differing} differ'}")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
