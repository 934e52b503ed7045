"""The worked-example device of golden/rtl: its memory files and parameters from a layer, and runs of it in Icarus."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError, ModelError
from fixedsim.formats import MAX_BITS, Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.model import Model
from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    Activation,
    BiasStage,
    Check,
    Form,
    GateDatapath,
    Hazard,
    Interpolation,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)

RTL = Path(__file__).parents[2] / "golden" / "rtl"
IVERILOG = shutil.which("iverilog") if shutil.which("vvp") else None

Integers = NDArray[np.int64]
Layer = Linear | Lstm | Bidirectional
Codes = tuple[list[int], int]  # words of a memory and their width
Files = dict[str, Codes]
Parameters = dict[str, int]

UNKNOWN = -(1 << 63)  # stands for a word that is no raw; no signal of a supported layer reaches it
_SHIFT_BITS = 8
_BIAS_SHIFT_BITS = 6
_ROUNDINGS = {rounding: place for place, rounding in enumerate(Rounding)}
_OVERFLOWS = {
    Overflow.WRAP: 0,
    Overflow.SATURATE: 1,
    Overflow.SATURATE_SYMMETRIC: 2,
    Overflow.SATURATE_ZERO: 3,
}
_SHARED_BY_MATRICES = ("PRODUCT_LEFT", "PRODUCT_RIGHT", "SUM_LEFT", "SUM_RIGHT", "MULTIPLIER_BITS", "BIAS_LEFT")


def device_module(layer: Layer) -> str:
    """Return the name of the module that is the layer."""
    return {Linear: "fixedsim_linear", Lstm: "fixedsim_lstm", Bidirectional: "fixedsim_bilstm"}[type(layer)]


def device_files(layer: Layer) -> Files:
    """Return the words of each memory and their width, by name; ``<NAME>_FILE`` is the parameter for its path.

    Raises:
        ModelError: arithmetic that the device does not have.
    """
    device_parameters(layer)  # refuses what the device does not have
    match layer:
        case Linear():
            path, bits = layer.datapath, _multiplier_bits([layer.matrix])
            files = _matrix_files("", layer.matrix, path.weight, path.accumulator, bits)
            return files | _bias_files(layer.bias, path.bias) | _table_files("table", path.activation)
        case Lstm():
            return _row_files(layer, _multiplier_bits(_matrices(layer))) | _lstm_tables(layer.datapath)
        case _:
            bits = _multiplier_bits(_matrices(layer))
            files = {}
            for direction, part in (("forward", layer.forward), ("backward", layer.backward)):
                files |= {f"{direction}_{name}": codes for name, codes in _row_files(part, bits).items()}
            return files | _lstm_tables(layer.forward.datapath)


def device_parameters(layer: Layer) -> Parameters:
    """Return the integer parameters of the layer's module; the rest are the files'.

    Raises:
        ModelError: arithmetic that the device does not have.
    """
    match layer:
        case Linear():
            return _linear_parameters(layer)
        case Lstm():
            return _lstm_parameters(layer)
        case _:
            ahead, back = _lstm_parameters(layer.forward), _lstm_parameters(layer.backward)
            tables = [_lstm_tables(part.datapath) for part in (layer.forward, layer.backward)]
            _require(tables[0] == tables[1], f"tables of {layer.name}", "the same in both directions", "different ones")
            joined = (*_SHARED_BY_MATRICES, "ACCUMULATOR_LEAST")
            ahead |= {name: max(ahead[name], back[name]) for name in joined}
            for name, value in back.items():
                same = name in joined or ahead[name] == value
                _require(same, f"{name} of {layer.name}", "the same in both directions", f"{ahead[name]} and {value}")
            return ahead


def hex_words(codes: Iterable[int], bits: int) -> str:
    """Return the words as text: one a line, lower case, exactly as many digits as ``bits`` bits need."""
    return "".join(f"{code:0{-(-bits // 4)}x}\n" for code in codes)


def _require(met: bool, subject: str, constraint: str, value: object) -> None:
    if not met:
        raise ModelError(f"{subject} must be {constraint}, not {value}")


def _masked(raws: Iterable[int], bits: int) -> Codes:
    return [int(raw) % (1 << bits) for raw in raws], bits


def _coded(raws: NDArray[np.integer], form: Format) -> Codes:
    return [form.code(int(raw)) for raw in raws.reshape(-1)], form.bits


def _matrices(layer: Lstm | Bidirectional) -> list[Matrix]:
    parts = [layer] if isinstance(layer, Lstm) else [layer.forward, layer.backward]
    return [matrix for part in parts for matrix in (part.input_matrix, part.recurrent_matrix)]


def _multiplier_bits(matrices: Sequence[Matrix]) -> int:
    return max(int(matrix.multiplier.max()).bit_length() for matrix in matrices)


def _matrix_files(prefix: str, matrix: Matrix, form: Format, accumulator: Accumulator, multiplier_bits: int) -> Files:
    return {
        f"{prefix}weight": _coded(matrix.weight, form),
        f"{prefix}product_shift": _masked(_product_shifts(matrix, accumulator), _SHIFT_BITS),
        f"{prefix}multiplier": _masked(matrix.multiplier, multiplier_bits),
        f"{prefix}shift": _masked(matrix.shift, _SHIFT_BITS),
    }


def _product_shifts(matrix: Matrix, accumulator: Accumulator) -> Integers:
    """The rows' shifts of products; 0 where products are exact."""
    return matrix.product_shift if accumulator.product else np.zeros_like(matrix.product_shift)


def _bias_files(bias: Bias, form: Format) -> Files:
    return {"bias": _coded(bias.raw, form), "bias_shift": _masked(bias.shift, _BIAS_SHIFT_BITS)}


def _row_files(layer: Lstm, multiplier_bits: int) -> Files:
    path = layer.datapath
    return {
        **_matrix_files("input_", layer.input_matrix, path.weight, path.accumulator, multiplier_bits),
        **_matrix_files("recurrent_", layer.recurrent_matrix, path.recurrent_weight, path.accumulator, multiplier_bits),
        **_bias_files(layer.bias, path.bias),
    }


def _table_files(name: str, activation: Activation) -> Files:
    if not isinstance(activation, LookupTable):
        return {}
    return {name: _masked(activation.values, activation.format.bits)}


def _lstm_tables(path: LstmDatapath) -> Files:
    return {
        **_table_files("gate_table", path.gates[1].activation),
        **_table_files("candidate_table", path.gates[2].activation),
        **_table_files("cell_table", path.cell_activation),
    }


def _linear_parameters(layer: Linear) -> Parameters:
    path, name = layer.datapath, layer.name
    _check_sums(path, name)
    return {
        "INPUTS": layer.matrix.inputs,
        "OUTPUTS": layer.matrix.rows,
        **_form("INPUT", path.input, name),
        **_form("WEIGHT", path.weight, name),
        **_accumulator(path.accumulator, [layer.matrix], name),
        "ACCUMULATOR_LEAST": int(layer.products.prefixes.bits(path.accumulator.overflow).max()),
        **_rows([layer.matrix], layer.bias, path, name),
        **_modes("SUM", path.sum, f"sum of {name}"),
        **_stage("PREACTIVATION", path.preactivation, f"preactivation of {name}"),
        **_activation(path.activation, name),
        **_cast("OUTPUT", path.output, f"output of {name}"),
    }


def _lstm_parameters(layer: Lstm) -> Parameters:
    path, name = layer.datapath, layer.name
    _check_sums(path, name)
    _check_lstm(layer)
    gate, candidate = path.gates[1], path.gates[2]
    matrices = [layer.input_matrix, layer.recurrent_matrix]
    products = layer.input_products, layer.recurrent_products
    parameters = {
        "INPUTS": layer.input_matrix.inputs,
        "UNITS": layer.units,
        **_form("INPUT", path.input, name),
        **_form("INPUT_WEIGHT", path.weight, name),
        **_form("RECURRENT_WEIGHT", path.recurrent_weight, name),
        **_accumulator(path.accumulator, matrices, name),
        "ACCUMULATOR_LEAST": max(int(each.prefixes.bits(path.accumulator.overflow).max()) for each in products),
        **_rows(matrices, layer.bias, path, name),
        **_modes("SUM", gate.input_sum, f"sums of {name}"),
        **_stage("PREACTIVATION", gate.preactivation, f"preactivation of {name}"),
        **_table("GATE_TABLE", gate.activation, f"gate activation of {name}"),
        **_signed_stage("GATE", gate.output, f"gate of {name}"),
        **_table("CANDIDATE_TABLE", candidate.activation, f"candidate activation of {name}"),
        **_signed_stage("CANDIDATE", candidate.output, f"candidate of {name}"),
        **_stage("FORGET_PRODUCT", path.forget_product, f"forget product of {name}"),
        **_stage("INPUT_PRODUCT", path.input_product, f"input product of {name}"),
        **_stage("CELL", path.cell, f"cell of {name}"),
        **_stage("CELL_INPUT", path.cell_input, f"cell input of {name}"),
        **_table("CELL_TABLE", path.cell_activation, f"cell activation of {name}"),
        **_signed_stage("CELL_OUTPUT", path.cell_output, f"cell activation of {name}"),
        **_cast("HIDDEN", path.hidden, f"hidden of {name}"),
        "INITIAL_HIDDEN": path.initial_hidden,
        "INITIAL_CELL": path.initial_cell,
    }
    return parameters | {"LOAD_BITS": max(path.hidden.format.bits, path.cell.format.bits)}


def _check_sums(path: LinearDatapath | LstmDatapath, name: str) -> None:
    _require(path.bias_stage is BiasStage.FIRST, f"bias stage of {name}", "first", path.bias_stage)
    _require(path.bias_cast is None, f"bias of {name}", "without a cast", "with one")
    _require(path.accumulator.check is Check.STEP, f"check of {name}", "step", path.accumulator.check)
    _require(not path.accumulator.partial, f"accumulator of {name}", "without partial sums", "with them")
    _require(path.bias.full_range, f"bias of {name}", "of a full range", path.bias.name)


def _check_lstm(layer: Lstm) -> None:
    path, name = layer.datapath, layer.name
    absent = {
        "joint accumulator": path.joint,
        "projection": layer.projection,
        "coupled input gate": path.coupled,
        "input rescale": path.input_rescale,
        "hidden rescale": path.hidden_rescale,
        "forget addend": path.forget_addend,
        "input addend": path.input_addend,
        "hidden state format": path.hidden_state,
        "cell state format": path.cell_state,
        "output format": path.output,
        "hazard": None if path.hazard is Hazard.NONE else path.hazard,
        "peephole": layer.peephole or None,
        "normalization": layer.norm or None,
    }
    for what, value in absent.items():
        _require(value is None or value is False, f"{what} of {name}", "absent for this device", "present")
    gates = dict(zip(GATES, path.gates, strict=True))
    for gate, choices in gates.items():
        reference = path.gates[2] if gate == "candidate" else path.gates[1]
        _require(choices == reference, f"stages of the {gate} gate of {name}", "those of the forget gate", "others")
    sums = [stage for choices in path.present for stage in _sums(choices)]
    _require(len({_shape(stage) for stage in sums}) == 1, f"sums of {name}", "narrowed alike", "differently")
    _require(
        path.gates[1].preactivation == path.gates[2].preactivation,
        f"preactivations of {name}",
        "narrowed alike",
        "differently",
    )


def _sums(choices: GateDatapath) -> tuple[Narrowing, Narrowing]:
    return choices.input_sum, choices.recurrent_sum


def _shape(stage: Narrowing) -> tuple[Format, Rounding, Overflow, Form]:
    return stage.format, stage.rounding, stage.overflow, stage.form


def _form(prefix: str, form: Format, name: str) -> Parameters:
    _require(form.zero_point == 0, f"zero point of {prefix.lower()} of {name}", "0", form.zero_point)
    return {f"{prefix}_BITS": form.bits, f"{prefix}_LOW": form.raw_min, f"{prefix}_STEP": form.raw_step}


def _accumulator(accumulator: Accumulator, matrices: Sequence[Matrix], name: str) -> Parameters:
    product = accumulator.product or Narrowing(Format.integer(MAX_BITS))
    _require(product.multiplier == 1, f"multiplier of products of {name}", "1", product.multiplier)
    shifts = [_product_shifts(matrix, accumulator) for matrix in matrices]
    return {
        **_modes("PRODUCT", product, f"product of {name}"),
        **_reach("PRODUCT", np.concatenate(shifts)),
        "ACCUMULATOR_BITS": accumulator.bits,
        "ACCUMULATOR_OVERFLOW": _overflow(accumulator.overflow, f"accumulator of {name}"),
    }


def _rows(matrices: Sequence[Matrix], bias: Bias, path: LinearDatapath | LstmDatapath, name: str) -> Parameters:
    for matrix in matrices:
        zero_points = matrix.zero_point.tolist()
        _require(not any(zero_points), f"zero points of weights of {name}", "0", zero_points)
    return {
        "BIAS_BITS": path.bias.bits,
        "BIAS_LEFT": int(bias.shift.max()),
        "MULTIPLIER_BITS": _multiplier_bits(matrices),
        **_reach("SUM", np.concatenate([matrix.shift for matrix in matrices])),
    }


def _reach(prefix: str, shifts: Integers) -> Parameters:
    """How far the shifts of rows go to the left and to the right."""
    return {f"{prefix}_LEFT": max(0, -int(shifts.min())), f"{prefix}_RIGHT": max(0, int(shifts.max()))}


def _overflow(mode: Overflow, what: str) -> int:
    _require(mode in _OVERFLOWS, f"overflow of {what}", "wrap or a saturating one", mode)
    return _OVERFLOWS[mode]


def _plain(prefix: str, stage: Narrowing, what: str) -> Parameters:
    """Rounding and overflow of a plain cast."""
    _require(stage.primitive is None, f"narrowing of {what}", "a plain cast", stage.primitive)
    _require(stage.form is Form.SINGLE, f"form of {what}", "single", stage.form)
    _require(stage.saturated_bits == 0, f"saturated bits of {what}", "0", stage.saturated_bits)
    _require(stage.format.zero_point == 0, f"zero point of {what}", "0", stage.format.zero_point)
    return {
        f"{prefix}_BITS": stage.format.bits,
        f"{prefix}_ROUNDING": _ROUNDINGS[stage.rounding],
        f"{prefix}_OVERFLOW": _overflow(stage.overflow, what),
    }


def _modes(prefix: str, stage: Narrowing, what: str, *, signed: bool | None = True) -> Parameters:
    """Those of a stage whose format uses all its codes; ``signed`` None allows both kinds."""
    form = stage.format
    natural = form.full_range and form.raw_step == 1 and signed in (None, form.signed)
    _require(natural, f"format of {what}", "signed, of a full range" if signed else "of a full range", form.name)
    return _plain(prefix, stage, what)


def _stage(prefix: str, stage: Narrowing, what: str, *, signed: bool | None = True) -> Parameters:
    _require(stage.multiplier == 1, f"multiplier of {what}", "1", stage.multiplier)
    return {**_modes(prefix, stage, what, signed=signed), f"{prefix}_SHIFT": stage.shift}


def _signed_stage(prefix: str, stage: Narrowing, what: str) -> Parameters:
    return {**_stage(prefix, stage, what, signed=None), f"{prefix}_SIGNED": int(stage.format.signed)}


def _cast(prefix: str, stage: Narrowing, what: str) -> Parameters:
    form = stage.format
    return {
        **_plain(prefix, stage, what),
        f"{prefix}_LOW": form.raw_min,
        f"{prefix}_HIGH": form.raw_max,
        f"{prefix}_STEP": form.raw_step,
        f"{prefix}_SHIFT": stage.shift,
        f"{prefix}_MULTIPLIER": stage.multiplier,
        f"{prefix}_MULTIPLIER_BITS": stage.multiplier.bit_length(),
    }


def _activation(activation: Activation, name: str) -> Parameters:
    if not isinstance(activation, PiecewiseLinear):
        return {"ACTIVATION": 1, **_table("TABLE", activation, f"activation of {name}")}
    line = activation.slope, activation.shift, activation.offset, activation.low_input, activation.high_input
    _require(line == (1, 0, 0, None, None), f"activation of {name}", "a clamp or a table", activation.function)
    _require(activation.format.zero_point == 0, f"zero point of {name}", "0", activation.format.zero_point)
    return {"ACTIVATION": 0, "CLAMP_LOW": activation.low, "CLAMP_HIGH": activation.high}


def _table(prefix: str, activation: Activation, what: str) -> Parameters:
    if not isinstance(activation, LookupTable):
        raise ModelError(f"{what} must be a table, not {activation.kind}")
    linear = activation.interpolation is Interpolation.LINEAR
    _require(linear, f"interpolation of {what}", "linear", activation.interpolation)
    form = activation.format
    _require(form.full_range and form.zero_point == 0, f"values of {what}", "of a full range around 0", form.name)
    return {
        f"{prefix}_VALUES": len(activation.values),
        f"{prefix}_BITS": form.bits,
        f"{prefix}_SIGNED": int(form.signed),
        f"{prefix}_INDEX_SHIFT": activation.index_shift,
        f"{prefix}_OFFSET": activation.offset,
        f"{prefix}_ROUNDING": _ROUNDINGS[activation.rounding],
    }


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
            codes = enumerate(_coded(raws, form)[0])
            words += [_command(_LOAD, code, flags=flags, address=place) for place, code in codes]
    beats = []
    for step, raws in enumerate(feed.inputs):
        flags = (feed.clear and step == 0) << 1 | (step == len(feed.inputs) - 1)
        beats += [_command(_BEAT, code, flags=flags) for code in _coded(raws, layer.input_format)[0]]
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
    return shape | {"rounding": _ROUNDINGS[rounding], "overflow": _OVERFLOWS[mode]}


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
