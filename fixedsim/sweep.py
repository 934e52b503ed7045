"""Many configurations of one network, quantized and evaluated one by one in several processes.

Results are lines of JSON, written as they come: a sweep that is stopped goes on where it was, for what stands in the
file is not done again.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError
from fixedsim.evaluation import evaluate
from fixedsim.evaluation.processes import WARMING_TOKENS, in_processes, require_processes
from fixedsim.importers import load_network
from fixedsim.model import storage_bits
from fixedsim.network import Description, Network
from fixedsim.profiles import Profile, load_profile
from fixedsim.quantization import quantize
from fixedsim.quantization.quantize import default_bits
from fixedsim.quantization.targets import Widths

Result = dict[str, Any]
Progress = Callable[[int, int, Result], None]


@dataclass(frozen=True)
class Configuration:
    """One way to quantize a network: the keyword arguments of :func:`fixedsim.quantize`, as JSON values.

    ``profile`` may be a name, a path, or a profile's plain values.
    """

    label: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def quantize_options(self) -> dict[str, Any]:
        """The arguments with a profile made of plain values."""
        options = dict(self.options)
        if isinstance(options.get("profile"), Mapping):
            options["profile"] = Profile.from_dict(dict(options["profile"]), f"profile of {self.label}")
        return options


@dataclass(frozen=True)
class Task:
    """What a sweep runs on: the files of a network, and the tokens to evaluate it on."""

    network: str
    tokens: NDArray[np.int64]
    weights: str | None = None


def sweep(
    task: Task,
    configurations: Iterable[Configuration],
    results: str | Path,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> list[Result]:
    """Evaluate every configuration and return its results in the order of the configurations.

    Each process has one thread, loads the network once and runs one configuration at a time. Widths, patterns and
    profiles of all are checked before the first is run. A result holds ``label``, ``options``, ``perplexity``,
    ``predictions``, ``storage_bits`` and ``seconds``. ``progress`` is called with the count done, the count of all, and
    each new result.

    Raises:
        InputError: two configurations with one label, or fewer than 1 process.
        FileError: a results file that is not lines of JSON, or of other options or tokens under the same label.
        FixedsimError: what quantizing or evaluating a configuration raises.
    """
    wanted = list(configurations)
    if len({each.label for each in wanted}) < len(wanted):
        raise InputError("labels of a sweep must differ from each other")
    require_processes(processes)
    path = Path(results)
    known = {result["label"]: result for result in read_results(path)} if path.exists() else {}
    for each in wanted:
        _check_known(known.get(each.label), each, len(task.tokens) - 1, path)
    missing = [each for each in wanted if each.label not in known]
    for each in missing:
        _check_options(_network(task.network, task.weights).description, each.quantize_options())
    jobs = [(task, each) for each in missing]
    for done, (_, result) in enumerate(
        in_processes(_evaluate, jobs, processes, warm=_warm), start=len(wanted) - len(missing) + 1
    ):
        known[result["label"]] = result
        _append(path, result)
        if progress:
            progress(done, len(wanted), result)
    return [known[each.label] for each in wanted]


def _check_known(known: Result | None, wanted: Configuration, predictions: int, path: Path) -> None:
    if known is None:
        return
    if known["options"] != json.loads(json.dumps(dict(wanted.options))) or known["predictions"] != predictions:
        raise FileError(f"{path}: result {wanted.label!r} must be of the same options and tokens; name another file")


def _check_options(description: Description, options: Mapping[str, Any]) -> None:
    profile = load_profile(options.get("profile", "fixed-point"))
    widths = default_bits(description, profile, options.get("weight_bits"), options.get("activation_bits"))
    Widths(description, *widths, options.get("bits") or {})


@lru_cache(maxsize=1)
def _network(source: str, weights: str | None) -> Network:
    return load_network(source, weights)


def _warm(job: tuple[Task, Configuration]) -> None:
    task, configuration = job
    _evaluate((replace(task, tokens=task.tokens[:WARMING_TOKENS]), configuration))


def _evaluate(job: tuple[Task, Configuration]) -> Result:
    task, configuration = job
    model = quantize(_network(task.network, task.weights), **configuration.quantize_options())
    evaluation = evaluate(model, task.tokens)
    return {
        "label": configuration.label,
        "options": dict(configuration.options),
        "perplexity": evaluation.perplexity,
        "predictions": evaluation.predictions,
        "storage_bits": sum(storage_bits(model).values()),
        "seconds": evaluation.seconds,
    }


def read_results(path: str | Path) -> list[Result]:
    """The results in a file, in the order in which they came; a last line that was cut off is left out.

    Raises:
        FileError: unreadable, or a line that is no result.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} must be a readable file of results: {error}") from None
    return [_result(line, number, path) for number, line in enumerate(lines[:-1], start=1)]


def _result(line: str, number: int, path: str | Path) -> Result:
    try:
        result = json.loads(line)
    except json.JSONDecodeError:
        result = None
    if not isinstance(result, dict) or not {"label", "options", "perplexity", "predictions"} <= result.keys():
        raise FileError(f"{path}: line {number} must be a result as JSON, not {line[:60]!r}")
    return result


def _append(path: Path, result: Result) -> None:
    """Add one line; what a killed run left of a line goes first."""
    with path.open("a+b") as stream:
        stream.seek(0)
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)
        stream.write(json.dumps(result, sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
