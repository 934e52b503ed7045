"""Benches and adapters in Verilog and SystemVerilog."""

from collections.abc import Iterator, Mapping

from fixedsim_golden.device import device_module, device_parameters
from fixedsim_golden.device.memories import Layer
from fixedsim_golden.testbench.options import Options
from fixedsim_golden.testbench.plan import Memory, Plan
from fixedsim_golden.testbench.texts import adapter_values, common, filled, sizes

_INDENT = " " * 12
# Verilog has no exit status; what comes nearest elsewhere is a stop, by which runs in batches fail.
_EXITS = {
    "verilog": f"`ifdef __ICARUS__\n{_INDENT}$finish_and_return(1);\n`else\n{_INDENT}$stop;\n`endif",
    "systemverilog": f'{_INDENT}$fatal(1, "the device and the golden set differ");',
}


def verilog_bench(plan: Plan, options: Options, golden: str, language: str) -> str:
    """The text of a bench; ``golden`` is where it finds the set unless told otherwise."""
    return filled(
        "bench.v",
        {
            **common(plan, options, golden),
            "radix": "h" if plan.encoding == "hex" else "b",
            "describe": "\n".join(_INDENT + line for line in _described(plan)),
            "exit": _EXITS[language],
        },
    )


def _described(plan: Plan) -> Iterator[str]:
    for memory in plan.memories:
        yield _entry(memory)
    for number, case in enumerate(plan.golden.manifest.cases):
        yield f'sequence_of({number}, "{case.id}", {case.first}, {case.steps});'
    for place, load in enumerate(plan.loads):
        yield f"state_entry[{place}] = {load.memory.number};"
    for trace in plan.traces:
        final = -1 if trace.final is None else trace.final.number
        yield f"signal({trace.number}, {trace.memory.number}, {final}, {int(trace.backward)}, {int(trace.late)});"


def _entry(memory: Memory) -> str:
    form = memory.entry.format
    kind = 2 if form.raw_step == 2 else int(memory.signed)
    low = literal(form.raw_min if kind == 2 else 0, 64)
    return (
        f'entry({memory.number}, "{memory.name}", {memory.bits}, {memory.words}, {memory.row}, {memory.base}, '
        f"{kind}, {low});"
    )


def literal(value: int, bits: int) -> str:
    """A signed number; of 32 bits and less without its width."""
    if -(1 << 31) < value < 1 << 31:
        return str(value)
    return f"{'-' if value < 0 else ''}{bits}'sd{abs(value)}"


def verilog_adapter(plan: Plan, body: str) -> str:
    """The text of an adapter around its body."""
    return filled("adapter_template.v", {**adapter_values(plan, "//"), "body": body.rstrip("\n")})


def empty_body(plan: Plan) -> str:
    """The inside of an adapter that its user fills."""
    return filled("adapter_empty.v", sizes(plan))


def device_body(plan: Plan, layer: Layer, files: Mapping[str, str]) -> str:
    """The inside of the adapter for the project's own device; ``files`` are the memory files by their parameters."""
    values = {name: literal(value, 65) for name, value in device_parameters(layer).items()}
    if device_module(layer) == "fixedsim_bilstm":
        values["STEPS"] = str(plan.longest)
    texts = {name: f'{{`MEMORIES, "/{file}"}}' for name, file in files.items()}
    parameters = ",\n        ".join(f".{name}({value})" for name, value in (values | texts).items())
    return filled("adapter_device.v", {"module": device_module(layer), "parameters": parameters})
