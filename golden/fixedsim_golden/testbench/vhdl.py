"""Benches and adapters in VHDL-2008."""

from collections.abc import Iterable

from fixedsim_golden.testbench.options import Options
from fixedsim_golden.testbench.plan import Memory, Plan, Trace
from fixedsim_golden.testbench.texts import adapter_values, common, filled

_INDENT = " " * 8
_KINDS = ("plain", "twos_complement", "odd")


def vhdl_bench(plan: Plan, options: Options, golden: str) -> str:
    """The text of a bench; ``golden`` is where it finds the set unless told otherwise."""
    length = plan.name_length
    cases = [
        f'{number} => ("{case.id:{length}}", {case.first}, {case.steps})'
        for number, case in enumerate(plan.golden.manifest.cases)
    ]
    return filled(
        "bench.vhd",
        {
            **common(plan, options, golden),
            "describe_entries": _joined(_entry(memory, length) for memory in plan.memories),
            "describe_cases": _joined(cases),
            "describe_states": "".join(f"{place} => {load.memory.number}, " for place, load in enumerate(plan.loads)),
            "describe_traces": "\n".join(f"{_INDENT}{_trace(trace)}," for trace in plan.traces),
        },
    )


def _joined(lines: Iterable[str]) -> str:
    return ",\n".join(_INDENT + line for line in lines)


def _entry(memory: Memory, length: int) -> str:
    form = memory.entry.format
    kind = _KINDS[2 if form.raw_step == 2 else int(memory.signed)]
    low = form.raw_min % (1 << 64)
    return (
        f'{memory.number} => ("{memory.name:{length}}", {memory.bits}, {memory.words}, {memory.row}, {memory.base}, '
        f'{kind}, x"{low:016x}")'
    )


def _trace(trace: Trace) -> str:
    final = -1 if trace.final is None else trace.final.number
    flags = f"{str(trace.backward).lower()}, {str(trace.late).lower()}"
    return f"{trace.number} => ({trace.memory.number}, {final}, {flags})"


def vhdl_adapter(plan: Plan) -> str:
    """The text of the entity that the user fills."""
    return filled("adapter_template.vhd", adapter_values(plan, "--"))
