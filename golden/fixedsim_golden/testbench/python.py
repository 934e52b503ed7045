"""Benches in Python for cocotb."""

from pprint import pformat

from fixedsim_golden.testbench.options import Options
from fixedsim_golden.testbench.plan import Memory, Plan
from fixedsim_golden.testbench.texts import common, filled

_WIDTH = 110


def cocotb_bench(plan: Plan, options: Options, golden: str) -> str:
    """The text of a bench; ``golden`` is where it finds the set unless told otherwise."""
    traces = {
        trace.number: (trace.memory.name, trace.final and trace.final.name, trace.backward, trace.late)
        for trace in plan.traces
    }
    return filled(
        "bench.py.txt",
        {
            **common(plan, options, golden),
            "describe_entries": _literal({memory.name: _entry(memory) for memory in plan.memories}),
            "describe_cases": _literal([(case.id, case.first, case.steps) for case in plan.golden.manifest.cases]),
            "describe_states": _literal([load.memory.name for load in plan.loads]),
            "describe_traces": _literal(traces),
        },
    )


def _literal(value: object) -> str:
    return pformat(value, width=_WIDTH, sort_dicts=False)


def _entry(memory: Memory) -> tuple[int, int, int, int, int, bool]:
    form = memory.entry.format
    return memory.bits, memory.words, memory.row, form.raw_step, form.raw_min, memory.signed
