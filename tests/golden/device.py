"""Runs of the worked-example device of golden/rtl in Icarus, by a small bench of the tests' own."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim_golden.device import device_files, device_module, device_parameters, hex_words
from fixedsim_golden.device.memories import Integers, Layer, coded
from fixedsim_golden.device.narrowings import OVERFLOWS, ROUNDINGS

RTL = Path(__file__).parents[2] / "golden" / "rtl"
IVERILOG = shutil.which("iverilog") if shutil.which("vvp") else None
UNKNOWN = -(1 << 63)  # stands for a word that is no raw; no signal of a supported layer reaches it


@dataclass(frozen=True)
class Feed:
    """A sequence for the device: raws ``(steps, inputs)``, and what it starts from.

    ``state`` gives raws ``(hidden, cell)`` of each direction, loaded before the first beat; then ``clear`` must be
    False. ``cut`` stops after so many beats and resets the device so many clocks later.
    """

    inputs: Integers
    clear: bool = True
    state: tuple[tuple[Integers, Integers], ...] = ()
    cut: tuple[int, int] | None = None


@dataclass(frozen=True)
class Recording:
    """What a run left since the last reset.

    ``signals`` maps the names of ``layer.signals()`` to raws ``(steps, units)`` in the order in which they were made:
    the backward direction's from the last step of each sequence on. ``outputs`` is what the output stream gave, and
    ``clocks`` how many it took from the first beat to the last output.
    """

    signals: dict[str, Integers]
    outputs: Integers
    passed: bool
    words: int
    clocks: int
    log: str = field(repr=False)


def signal_names(layer: Layer) -> list[str]:
    """Return the names that ``trace_signal`` counts."""
    return [signal.name for signal in layer.signals()]


def expected(layer: Layer, feeds: Sequence[Feed]) -> tuple[dict[str, Integers], Integers]:
    """Return every signal, in the order of the device, and the outputs, by the model, after the last feed that is cut.

    Each feed without ``clear`` and ``state`` goes on from the one before.
    """
    model = Model("device", (layer,))
    signals: dict[str, list[Integers]] = {name: [] for name in signal_names(layer)}
    outputs: list[Integers] = []
    held: Mapping[str, tuple[Integers, Integers]] = {}
    for feed in _after_reset(feeds):
        if feed.state:
            pairs = zip(model.state_names, feed.state, strict=True)
            held = {name: (hidden[None], cell[None]) for name, (hidden, cell) in pairs}
        result = model.run(feed.inputs[:, None, :], state={} if feed.clear else held, trace="*")
        held = result.state
        assert result.raw is not None
        outputs.append(result.raw[:, 0])
        for name, trace in result.trace.items():
            signals[name].append(trace[::-1, 0] if _is_backward(name, layer) else trace[:, 0])
    return {name: np.concatenate(parts) for name, parts in signals.items()}, np.concatenate(outputs)


def _after_reset(feeds: Sequence[Feed]) -> Sequence[Feed]:
    """The feeds after the last one that is cut."""
    cuts = [place for place, feed in enumerate(feeds) if feed.cut is not None]
    return feeds[cuts[-1] + 1 :] if cuts else feeds


def _is_backward(name: str, layer: Layer) -> bool:
    return isinstance(layer, Bidirectional) and name.startswith(f"{layer.backward.name}.")


def first_difference(layer: Layer, wanted: tuple[dict[str, Integers], Integers], got: Recording) -> str | None:
    """Return the name of the first signal in causal order that differs; ``stream`` where only the stream does.

    Causal order goes step by step, in each through the signals in order of execution; the directions of a
    bidirectional layer one after the other, and then the outputs.
    """
    signals, outputs = wanted
    groups = [signal_names(layer)]
    if isinstance(layer, Bidirectional):
        groups = [signal_names(layer.forward), signal_names(layer.backward), [f"{layer.name}.output"]]
    for group in groups:
        for step in range(len(signals[group[0]])):
            for name in group:
                found = got.signals[name]
                if step >= len(found) or not np.array_equal(found[step], signals[name][step]):
                    return name
    return None if np.array_equal(outputs, got.outputs) else "stream"


def simulate(
    layer: Layer,
    feeds: Sequence[Feed],
    folder: Path,
    *,
    defines: Sequence[str] = (),
    stall: int = 0,
    pressure: int = 0,
) -> Recording:
    """Run the device over the feeds; ``stall`` and ``pressure`` are percents of clocks without input and output.

    Raises:
        ModelError: arithmetic that the device does not have.
        RuntimeError: Icarus refuses the sources, or a memory file does not fit its memory.
    """
    written = {
        f"{name.upper()}_FILE": _write(folder / f"{name}.hex", *codes) for name, codes in device_files(layer).items()
    }
    commands = [word for feed in feeds for word in _commands(layer, feed)]
    _write(folder / "commands.hex", commands, _COMMAND_BITS)
    count = sum(len(feed.inputs) for feed in _after_reset(feeds)) * _outputs(layer)
    parameters = {name: _literal(value) for name, value in device_parameters(layer).items()}
    if isinstance(layer, Bidirectional):
        parameters["STEPS"] = str(max(len(feed.inputs) for feed in feeds))
    texts = {name: f'"{path}"' for name, path in written.items()}
    bench = _bench(layer, parameters | texts, commands=len(commands), outputs=count, stall=stall, pressure=pressure)
    (folder / "bench.v").write_text(bench)
    log = _icarus(folder, defines)
    return _recording(layer, folder, log)


def _write(path: Path, codes: Iterable[int], bits: int) -> Path:
    path.write_text(hex_words(codes, bits))
    return path


def _literal(value: int) -> str:
    if -(1 << 31) < value < 1 << 31:
        return str(value)
    return f"{'-' if value < 0 else ''}65'sd{abs(value)}"


def _outputs(layer: Layer) -> int:
    if isinstance(layer, Bidirectional):
        return layer.forward.units + layer.backward.units
    return layer.matrix.rows if isinstance(layer, Linear) else layer.units


_COMMAND_BITS = 96
_BEAT, _LOAD, _RESET = range(3)


def _command(kind: int, data: int, *, flags: int = 0, address: int = 0) -> int:
    return kind << 92 | flags << 88 | address << 64 | data % (1 << 64)


def _commands(layer: Layer, feed: Feed) -> list[int]:
    """The feed as words: states to load, beats, and a reset where it is cut."""
    words = []
    directions = [layer.forward, layer.backward] if isinstance(layer, Bidirectional) else [layer]
    for direction, state in enumerate(feed.state):
        part = directions[direction]
        assert isinstance(part, Lstm)
        for select, (raws, form) in enumerate(zip(state, (part.state_format, part.datapath.read_cell), strict=True)):
            flags = direction << 3 | select << 2
            codes = enumerate(coded(raws, form)[0])
            words += [_command(_LOAD, code, flags=flags, address=place) for place, code in codes]
    beats = []
    for step, raws in enumerate(feed.inputs):
        flags = (feed.clear and step == 0) << 1 | (step == len(feed.inputs) - 1)
        beats += [_command(_BEAT, code, flags=flags) for code in coded(raws, layer.input_format)[0]]
    if feed.cut is None:
        return words + beats
    count, clocks = feed.cut
    return [*words, *beats[:count], _command(_RESET, clocks)]


def _icarus(folder: Path, defines: Sequence[str]) -> str:
    """Compile and run the bench; return what it prints."""
    build = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-s", "bench", "-o", "bench.vvp"]
    build += [f"-D{name}" for name in defines] + ["bench.v", *map(str, sorted(RTL.glob("*.v")))]
    for command in (build, ["vvp", "-n", "bench.vvp"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        said = done.stdout + done.stderr
        if done.returncode or re.search(r"(?i)\b(error|warning)\b", said):
            raise RuntimeError(f"{command[0]} must run without complaints, not:\n{said[:2000]}")
    return said


def _recording(layer: Layer, folder: Path, log: str) -> Recording:
    names = signal_names(layer)
    events: dict[str, list[int]] = {name: [] for name in names}
    widths = {signal.name: signal.units for signal in layer.signals()}
    for line in _since_reset(folder / "traces.hex"):
        signal, unit, data = (_word(text) for text in line.split())
        values = events[names[signal]]
        known = data != UNKNOWN and unit == len(values) % widths[names[signal]]
        values.append(data - (data >> 63 << 64) if known else UNKNOWN)
    given = [_word(line) for line in _since_reset(folder / "outputs.hex")]
    form, width = layer.output_format, _outputs(layer)
    outputs = [_raw(code, form) for code in given[: len(given) // width * width]]
    verdict = re.search(r"^PASS (\d+) traced words, (\d+) output words, (\d+) clocks$", log, re.MULTILINE)
    return Recording(
        {
            name: np.array(values[: len(values) // widths[name] * widths[name]], np.int64).reshape(-1, widths[name])
            for name, values in events.items()
        },
        np.array(outputs, np.int64).reshape(-1, width),
        verdict is not None and int(verdict[1]) == sum(map(len, events.values())) and int(verdict[2]) == len(given),
        sum(map(len, events.values())) + len(given),
        int(verdict[3]) if verdict else 0,
        log,
    )


def _since_reset(path: Path) -> list[str]:
    """The lines after the last reset."""
    return path.read_text().rpartition("reset\n")[2].splitlines()


def _raw(code: int, form: Format) -> int:
    """The raw of a code; a code of a narrow range that stands for none is unknown."""
    try:
        return UNKNOWN if code == UNKNOWN else form.raw(code)
    except FormatError:
        return UNKNOWN


def _word(text: str) -> int:
    return UNKNOWN if set(text) & set("xXzZ") else int(text, 16)


def _bench(
    layer: Layer, parameters: Mapping[str, str], *, commands: int, outputs: int, stall: int, pressure: int
) -> str:
    form_in, form_out = layer.input_format, layer.output_format
    load = int(parameters.get("LOAD_BITS", "1"))
    return _BENCH.format(
        module=device_module(layer),
        parameters=",\n        ".join(f".{name}({value})" for name, value in parameters.items()),
        input_bits=form_in.bits,
        output_bits=form_out.bits,
        load_bits=load,
        commands=commands,
        outputs=outputs,
        stall=stall,
        pressure=pressure,
        patience=2000 * _outputs(layer) + 1000 * len(layer.signals()),
    )


# Signals are driven at falling edges, so that what is seen there is what the next rising edge sees.
_BENCH = """\
`timescale 1ns / 1ns
module bench;
    reg clk = 0, reset = 1;
    always #5 clk = ~clk;

    reg in_valid = 0, in_clear = 0, in_last = 0, out_ready = 0;
    reg [{input_bits}-1:0] in_data = 0;
    reg load_valid = 0, load_direction = 0, load_select = 0;
    reg [15:0] load_address = 0;
    reg [{load_bits}-1:0] load_data = 0;
    wire in_ready, out_valid, trace_valid;
    wire [{output_bits}-1:0] out_data;
    wire [7:0] trace_signal;
    wire [15:0] trace_unit;
    wire signed [63:0] trace_data;
    {module} #(
        {parameters}
    ) device (
        .clk(clk), .reset(reset),
        .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data), .in_clear(in_clear), .in_last(in_last),
        .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data),
        .load_valid(load_valid), .load_direction(load_direction), .load_select(load_select),
        .load_address(load_address), .load_data(load_data),
        .trace_valid(trace_valid), .trace_signal(trace_signal), .trace_unit(trace_unit), .trace_data(trace_data)
    );

    reg [95:0] commands [0:{commands}-1];
    reg [95:0] word;
    integer traces, outputs, traced, given, idle, broken, clock, began, ended, place, stalls, pressures;

    task clocks(input integer count);
        repeat (count) @(negedge clk);
    endtask

    task beat;
        begin
            while ($unsigned($random(stalls)) % 100 < {stall}) clocks(1);
            in_valid = 1;
            in_clear = word[89];
            in_last = word[88];
            in_data = word;
            while (!in_ready) clocks(1);
            clocks(1);
            in_valid = 0;
            in_data = ~in_data;
        end
    endtask

    task load;
        begin
            while (!in_ready) clocks(1);
            load_valid = 1;
            load_direction = word[91];
            load_select = word[90];
            load_address = word[79:64];
            load_data = word;
            clocks(1);
            load_valid = 0;
        end
    endtask

    task restart;
        begin
            clocks(word[15:0]);
            reset = 1;
            clocks(1);
            reset = 0;
            $fwrite(traces, "reset\\n");
            $fwrite(outputs, "reset\\n");
            traced = 0;
            given = 0;
            began = -1;
        end
    endtask

    initial begin
        $readmemh("commands.hex", commands);
        traces = $fopen("traces.hex");
        outputs = $fopen("outputs.hex");
        traced = 0;
        given = 0;
        idle = 0;
        broken = 0;
        clock = 0;
        began = -1;
        ended = 0;
        stalls = 1;
        pressures = 2;
        clocks(2);
        reset = 0;
        for (place = 0; place < {commands}; place = place + 1) begin
            word = commands[place];
            case (word[95:92])
                0: beat;
                1: load;
                default: restart;
            endcase
        end
        while (given < {outputs}) clocks(1);
        clocks(50);
        finish;
    end

    task finish;
        begin
            $fclose(traces);
            $fclose(outputs);
            if (given == {outputs} && traced > 0 && broken == 0)
                $display("PASS %0d traced words, %0d output words, %0d clocks", traced, given, ended - began + 1);
            else $display("FAIL %0d of %0d output words, %0d breaches", given, {outputs}, broken);
            $finish;
        end
    endtask

    // What the device makes and gives; what waits must stay; and nothing may take for ever.
    reg waits = 0;
    reg [{output_bits}-1:0] waiting;
    always @(negedge clk) out_ready <= $unsigned($random(pressures)) % 100 >= {pressure};
    always @(posedge clk) if (!reset) begin
        clock = clock + 1;
        if (began < 0 && in_valid && in_ready) began = clock;
        if (trace_valid) begin
            $fwrite(traces, "%h %h %h\\n", trace_signal, trace_unit, trace_data);
            traced = traced + 1;
        end
        if (out_valid && out_ready) begin
            $fwrite(outputs, "%h\\n", out_data);
            given = given + 1;
            ended = clock;
        end
        if (waits && (!out_valid || out_data !== waiting)) broken = broken + 1;
        waits <= out_valid && !out_ready;
        waiting <= out_data;
        idle = trace_valid || (out_valid && out_ready) ? 0 : idle + 1;
        if (idle > {patience}) finish;
    end else waits <= 0;
endmodule
"""


def compare_casts(
    chosen: Sequence[tuple[Format, Rounding, Overflow]], values: Sequence[tuple[int, int, int]], folder: Path
) -> list[list[int]]:
    """Return what ``fixedsim_cast`` makes, for each cast, of every ``(value, multiplier, shift)``, all small."""
    _write(
        folder / "values.hex", [value % 256 << 16 | factor << 8 | shift % 256 for value, factor, shift in values], 24
    )
    instances = [_CAST.format(place=place, **_cast_parameters(*each)) for place, each in enumerate(chosen)]
    count = len(chosen)
    bench = _CASTS.format(casts="".join(instances), last=count - 1, values=len(values), count=count)
    (folder / "bench.v").write_text(bench)
    _icarus(folder, [])
    words = [int(line, 16) for line in (folder / "raws.hex").read_text().split()]
    signed = [word - (word >> 15 << 16) for word in words]
    return [signed[place::count] for place in range(count)]


def _cast_parameters(form: Format, rounding: Rounding, mode: Overflow) -> dict[str, int]:
    shape = {"bits": form.bits, "low": form.raw_min, "high": form.raw_max, "step": form.raw_step}
    return shape | {"rounding": ROUNDINGS[rounding], "overflow": OVERFLOWS[mode]}


_CAST = """\
    wire signed [{bits}:0] raw{place};
    fixedsim_cast #(
        .VALUE_BITS(8), .MULTIPLIER_BITS(8), .LEFT(4), .RIGHT(8), .BITS({bits}), .LOW({low}), .HIGH({high}),
        .STEP({step}), .ROUNDING({rounding}), .OVERFLOW({overflow})
    ) cast{place} (.value(word[23:16]), .multiplier(word[15:8]), .shift(word[7:0]), .raw(raw{place}));
    assign raws[{place}] = raw{place};
"""
_CASTS = """\
`timescale 1ns / 1ns
module bench;
    reg [23:0] words [0:{values}-1];
    reg [23:0] word;
    wire signed [15:0] raws [0:{last}];
{casts}
    integer place, cast, file;
    initial begin
        $readmemh("values.hex", words);
        file = $fopen("raws.hex");
        for (place = 0; place < {values}; place = place + 1) begin
            word = words[place];
            #1;
            for (cast = 0; cast < {count}; cast = cast + 1) $fwrite(file, "%h\\n", raws[cast]);
        end
        $finish;
    end
endmodule
"""
