"""Texts of benches: templates of this package with ``<<names>>`` filled in, and what all of them are filled with."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from fixedsim_golden.testbench.options import Options
from fixedsim_golden.testbench.plan import DIGIT_BITS, Plan, suffix

_NAME = re.compile(r"<<([a-z_]+)>>")
_NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9_.@ -]")


def filled(template: str, values: Mapping[str, object]) -> str:
    """The text of a template file; every name in it must be among ``values``."""
    text = (files(__package__) / "templates" / template).read_text(encoding="utf-8")
    return _NAME.sub(lambda match: str(values[match[1]]), text)


def common(plan: Plan, options: Options, golden: str) -> dict[str, object]:
    """What every bench is filled with; ``golden`` is where it finds the set unless told otherwise."""
    width, digit_bits = max(memory.bits for memory in plan.memories), DIGIT_BITS[plan.encoding]
    return {
        **sizes(plan),
        "about": about(plan),
        "golden": golden,
        "stall": options.stall,
        "pressure": options.pressure,
        "restarts": options.restarts,
        "patience": plan.patience,
        "width": width,
        "digits": -(-width // digit_bits),
        "digit_bits": digit_bits,
        "name_length": plan.name_length,
        "encoding": plan.encoding,
        "suffix": suffix(plan.encoding),
    }


def sizes(plan: Plan) -> dict[str, int]:
    """The numbers of a plan that every bench has."""
    given, output = plan.by_name["input"], plan.by_name["output"]
    return {
        "entries": len(plan.memories),
        "words": sum(memory.words for memory in plan.memories),
        "steps": plan.steps,
        "cases": len(plan.golden.manifest.cases),
        "signals": len(plan.model.signals),
        "states": len(plan.loads),
        "inputs": given.row,
        "outputs": output.words,
        "traces": sum(trace.memory.words for trace in plan.traces),
        "compared": plan.compared,
        "in_bits": given.bits,
        "out_bits": output.bits,
        "load_bits": plan.load_bits,
    }


def about(plan: Plan) -> str:
    """One line on the set."""
    manifest = plan.golden.manifest
    return f"Model {_plain(manifest.model.name)}, {len(manifest.cases)} sequences, digest of the set {manifest.digest}."


def adapter_values(plan: Plan, comment: str) -> dict[str, object]:
    """The widths of an adapter's ports, and the numbers of LSTMs and signals as comments."""
    output = plan.by_name["output"]
    once = output.entry.axes[0] == "sequence"
    values = {**sizes(plan), "outputs": output.row, "output_unit": "a sequence" if once else "a step"}
    return {
        **values,
        "ports": "\n".join(f"{comment} {line}" for line in filled("ports.txt", values).splitlines()),
        "tables": "\n".join(f"{comment} {line}" for line in _tables(plan)),
    }


def _tables(plan: Plan) -> Iterator[str]:
    for load in plan.loads[::2]:
        yield f"load_lstm {load.lstm}: {load.memory.name.removesuffix('.initial_state.hidden')}"
    for number, name in enumerate(plan.model.signals):
        yield f"trace_signal {number}: {_plain(name)}"


def _plain(text: str) -> str:
    """The text without what might end a comment."""
    return _NOT_IN_COMMENTS.sub("_", text)
