"""One-line faults, each with the tests that must catch it."""

from typing import NamedTuple

SPEC = "tests/spec"  # the specification against its oracle
LAYERS = "tests/spec/test_layers.py"
STAGES = "tests/spec/test_stages.py"  # the stages by hand
ENGINES = "tests/layers/test_engines.py"  # kernels against the specification
COURSES = "tests/layers/test_courses.py"  # whole runs against the oracle
BOUNDS = "tests/layers/test_bounds.py"
PARTIAL = "tests/layers/test_partial_bounds.py"
TILES = "tests/kernels/test_tiles.py"
LANES = "tests/kernels/test_lanes.py"
FUSED = "tests/layers/test_fused.py"  # fused steps and layers against the specification
PRODUCTS = "tests/kernels/test_products.py"
STEPS = "tests/kernels/test_steps.py"
COUNTS = "tests/layers/test_counts.py"
WEIGHTS = "tests/quantization/test_weights.py"


class Fault(NamedTuple):
    """``old`` in ``file`` becomes ``new``; the tests ``caught_by`` must fail, kernels interpreted or ``compiled``."""

    name: str
    file: str
    old: str
    new: str
    caught_by: str
    compiled: bool = False  # for what generates machine code, which interpreted kernels do without


FAULTS = [
    Fault("half_up below a half", "spec/elementary.py", "HALF_UP: distance >= 0", "HALF_UP: distance > 0", SPEC),
    Fault("half_even to odd", "spec/elementary.py", "and quotient % 2 == 1)", "and quotient % 2 == 0)", SPEC),
    Fault("toward zero as floor", "spec/elementary.py", "negative and remainder != 0", "False", SPEC),
    Fault("no low saturation", "spec/elementary.py", "if raw > form.raw_max else form.raw_min", "", SPEC),
    Fault("doubling unrounded", "spec/casts.py", "value * multiplier + (1 << 30)", "value * multiplier", SPEC),
    Fault("order reversed", "spec/accumulators.py", "in addends:\n", "in list(addends)[::-1]:\n", SPEC),
    Fault("start unlimited", "spec/accumulators.py", "total = limit(start, accumulator)", "total = start", SPEC),
    Fault("gates swapped", "spec/layers.py", 'centred["forget"] * previous', 'centred["input"] * previous', LAYERS),
    Fault(
        "zero point ignored",
        "spec/layers.py",
        "list(raws) if datapath.folded_zero_point else _less(raws, form.zero_point)",
        "list(raws)",
        STAGES,
    ),
    Fault("weight zero point ignored", "spec/layers.py", "raw - self.zero_point[row] for", "raw for", STAGES),
    Fault("fold of the wrong sign", "spec/layers.py", "return -zero_point * sum(", "return zero_point * sum(", STAGES),
    Fault(
        "peephole of the output gate on the old cell",
        "spec/layers.py",
        '_gate("output", vectors, after,',
        '_gate("output", vectors, before,',
        STAGES,
    ),
    Fault(
        "peephole without its zero point",
        "spec/layers.py",
        "(weight - peephole.weight.zero_point) * value",
        "weight * value",
        STAGES,
    ),
    Fault("norm before the peephole", "spec/layers.py", "else choices.peephole.sum\n", "else given\n", STAGES),
    Fault("coupled swapped", "spec/layers.py", "datapath.coupled - raw for", "raw - datapath.coupled for", STAGES),
    Fault(
        "addend skipped",
        "spec/layers.py",
        'return values[f"{name}_addend"] - rescale.format.zero_point',
        "return centred",
        STAGES,
    ),
    Fault(
        "stale sigmoid of two units before",
        "spec/layers.py",
        "outputs = [register, *signals",
        "outputs = [register, register, *signals",
        STAGES,
    ),
    Fault(
        "projection's zero point ignored",
        "spec/layers.py",
        "return datapath.hidden.format if self.projection is None else",
        "return datapath.hidden.format if True else",
        STAGES,
    ),
    Fault("an odd addend of a tree dropped", "spec/accumulators.py", "held[2 * len(sums) :]", "[]", SPEC),
    Fault(
        "lanes shifted", "spec/accumulators.py", "addends[lane :: level.count]", "addends[-lane :: level.count]", SPEC
    ),
    Fault("last bias dropped", "spec/layers.py", "accumulator, start, last)", "accumulator, start)", LAYERS),
    Fault("rest dropped", "spec/activations.py", "values[index]) * rest", "values[index]) * 0", SPEC),
    Fault("index off by one", "spec/activations.py", "min(max(index, 0), last)", "min(max(index + 1, 0), last)", SPEC),
    Fault("rounding off by one", "kernels/rows.py", "(half & masks[0])", "(half & masks[0]) + 1", ENGINES),
    Fault("half_up as floor", "kernels/rows.py", "if rounding not in (FLOOR, TOWARD_ZERO)", "if False", ENGINES),
    Fault("no high saturation", "kernels/rows.py", "min(max(raw, lowest), highest)", "max(raw, lowest)", ENGINES),
    Fault("no low saturation", "kernels/rows.py", "min(max(raw, lowest), highest)", "min(raw, highest)", ENGINES),
    Fault("wrap for saturate", "kernels/rows.py", "if mode == WRAP:", "if True:", ENGINES),
    Fault("saturate for wrap", "kernels/rows.py", "if mode == WRAP:", "if False:", ENGINES),
    Fault("wrong shift sign", "kernels/rows.py", "<< max(-shift, 0)\n", "<< max(shift, 0)\n", ENGINES),
    Fault(
        "multiplier without its low bits",
        "kernels/rows.py",
        "scaled = (values[position] * multipliers[position])",
        "scaled = (values[position] * (multipliers[position] | 7))",
        ENGINES,
    ),
    Fault("overflow uncounted", "kernels/rows.py", "high += raw > highest", "high += 0", COUNTS),
    Fault(
        "order reversed",
        "kernels/products.py",
        "in range(weight.shape[1]):\n                addend = weight[row, column] * inputs",
        "in range(weight.shape[1] - 1, -1, -1):\n                addend = weight[row, column] * inputs",
        PRODUCTS,
    ),
    Fault(
        "order reversed",
        "kernels/steps.py",
        "in range(columns):\n        value = everywhere(",
        "in range(columns - 1, -1, -1):\n        value = everywhere(",
        STEPS,
    ),
    Fault("overflow uncounted", "kernels/steps.py", "less(highest, value) & one", "value ^ value", STEPS),
    Fault("shifts of other rows", "kernels/steps.py", "right_addend, shifts[1]", "right_addend, shifts[0]", STEPS),
    Fault("lanes too narrow", "stepping.py", "held + max(addend, last)", "held", STEPS),
    Fault(
        "lanes cut short", "kernels/products.py", "(length - group + lanes - 1) // lanes", "length // lanes", PRODUCTS
    ),
    Fault("last tile of full size", "kernels/products.py", "min(size, length - first)", "size", PRODUCTS),
    Fault("last bias twice", "kernels/products.py", "total + last[row]", "total + 2 * last[row]", PRODUCTS),
    Fault(
        "gates swapped",
        "kernels/lstm.py",
        "return signals[INPUT_GATE], signals[FORGET_GATE], signals",
        "return signals[FORGET_GATE], signals[INPUT_GATE], signals",
        ENGINES,
    ),
    Fault("late bias dropped", "kernels/lstm.py", " + late_bias[begin + unit]", "", ENGINES),
    Fault(
        "rows of a coupled gate",
        "kernels/lstm.py",
        "(gate - choices[COUPLED]) * units",
        "max(gate - 1, 0) * units",
        ENGINES,
    ),
    Fault(
        "coupled swapped",
        "kernels/lstm.py",
        "choices[COUPLED_RAW] - signals[FORGET_GATE, unit]",
        "signals[FORGET_GATE, unit] - choices[COUPLED_RAW]",
        ENGINES,
    ),
    Fault("addend skipped", "kernels/lstm.py", "right = added_addend", "pass", ENGINES),
    Fault("peephole on the old cell", "kernels/lstm.py", "seen[:] = work[CELL_SIGNAL]", "pass", ENGINES),
    Fault(
        "zero point of the old cell", "kernels/lstm.py", "centre_row(seen, centres[FORGET_PRODUCT, 1])", "pass", ENGINES
    ),
    Fault("norm's bias of one gate", "kernels/lstm.py", "norm_bias[gate], centres", "norm_bias[1], centres", ENGINES),
    Fault("register kept", "kernels/lstm.py", "register[0] = signals[OUTPUT_GATE, unit]", "pass", ENGINES),
    Fault(
        "zero point of one addend",
        "layers/lstm_stages.py",
        "kept.format.zero_point + added.format.zero_point",
        "kept.format.zero_point",
        ENGINES,
    ),
    Fault("weights not centred", "layers/parts.py", "if not np.any(self.zero_point):", "if True:", ENGINES),
    Fault(
        "fold of the wrong sign", "layers/linear.py", "start + self.matrix.fold(", "start - self.matrix.fold(", ENGINES
    ),
    Fault(
        "fold of the hidden state forgotten",
        "layers/lstm_accumulators.py",
        "self.recurrent_matrix.fold(self.read_hidden.zero_point)",
        "self.recurrent_matrix.fold(0)",
        ENGINES,
    ),
    Fault("register not reset", "layers/lstm.py", "register[back[:, 0]] = self._resting_register", "pass", COURSES),
    Fault("cell kept", "kernels/lstm.py", "cell[sequence, :] = work[CELL_SIGNAL]", "pass", ENGINES),
    Fault(
        "constants of the wrong matrix",
        "kernels/lstm.py",
        "multipliers = constants[2 * source, ",
        "multipliers = constants[0, ",
        ENGINES,
    ),
    Fault(
        "constants of the wrong row",
        "kernels/lstm.py",
        "shifts = constants[2 * source + 1, begin : begin + units]",
        "shifts = constants[2 * source + 1, begin : begin + units][::-1]",
        ENGINES,
    ),
    Fault(
        "index off by one",
        "kernels/activations.py",
        "table[start + out[position]]",
        "table[start + max(out[position] - 1, 0)]",
        ENGINES,
    ),
    Fault("rest dropped", "kernels/activations.py", "rest = raw & ((1 << shift) - 1)", "rest = raw & 0", ENGINES),
    Fault("guard not applied", "execution.py", "sums <<= self.guard", "pass", ENGINES),
    Fault("first bias dropped", "execution.py", "            sums += start\n", "", ENGINES),
    Fault(
        "only totals bounded",
        "execution.py",
        "self.prefixes.within(self.accumulator.format, ",
        "self.total.within(self.accumulator.format, ",
        BOUNDS,
    ),
    Fault("partial sums taken for exact", "execution.py", "level.bits >= self.accumulator.bits", "True", PARTIAL),
    Fault("leaves of a tree bounded", "bounds.py", "+ 1 < left[:, None]", "< left[:, None]", PARTIAL),
    Fault("overflowing levels proven", "execution.py", "before = all(self.proven_levels) and", "before =", PARTIAL),
    Fault("first matrix forgotten", "execution.py", "return before and self.prefixes", "return self.prefixes", BOUNDS),
    Fault(
        "symmetric as saturate", "bounds.py", "if symmetric else form.raw_min", "if False else form.raw_min", ENGINES
    ),
    Fault(
        "float64 beyond its mantissa", "execution.py", "_EXACT_FLOAT64 = 1 << 53", "_EXACT_FLOAT64 = 1 << 62", ENGINES
    ),
    Fault("32 bits for every sum", "panels.py", "exact = _fits_int32(weight, inputs)", "exact = True", TILES),
    Fault("rows without their constants", "panels.py", "constants += columns", "constants += 0", ENGINES),
    Fault("sums of windows unbounded", "panels.py", "        windows *= 2\n", "        return windows\n", TILES),
    Fault(
        "upper bytes not shifted",
        "kernels/tiles.py",
        "builder.mul(odd, ir.Constant(_I32, 8))",
        "odd",
        TILES,
        compiled=True,
    ),
    Fault(
        "weights of a line unmasked",
        "kernels/tiles.py",
        "return self.builder.and_(shifted, ir.Constant(_WORDS, [mask] * LANES)) if self.shape.groups > 1 else shifted",
        "return shifted",
        TILES,
        compiled=True,
    ),
    Fault(
        "first panels backward", "kernels/panels.py", "final = (last - first - 1) & -4", "final = last - first", TILES
    ),
    Fault(
        "sign not extended",
        "kernels/lanes.py",
        "held = ((held + zero_point) << top) >> top",
        "held = held + zero_point",
        LANES,
    ),
    Fault(
        "magnitude unmasked", "kernels/lanes.py", "(((value ^ sign) - sign) & guard)", "((value ^ sign) - sign)", LANES
    ),
    Fault("high overflow unseen", "kernels/lanes.py", "if anywhere(below | above):", "if anywhere(below):", LANES),
    Fault("32 bits for every narrowing", "lanes.py", "_bits_of(Range(-widest, widest))", "32", LANES),
    Fault(
        "rescaled state not reset",
        "layers/fused_lstm.py",
        "            self.hidden[back] = initial.hidden[back]\n",
        "",
        FUSED,
    ),
    Fault(
        "rescaled input uncounted",
        "layers/fused_lstm.py",
        "counted = self._input_rescale is not None",
        "counted = False",
        FUSED,
    ),
    Fault(
        "code off by one",
        "layers/fused_lstm.py",
        "zero_point - self.code_zero,",
        "zero_point - self.code_zero + 1,",
        FUSED,
    ),
    Fault(
        "first step not rescaled",
        "kernels/fused.py",
        "        if choices[RESCALES]:\n            rescale_hidden(",
        "        if choices[RESCALES] and step > 0:\n            rescale_hidden(",
        FUSED,
    ),
    Fault(
        "ended sequence goes on",
        "kernels/fused.py",
        "            if active[sequence]:\n",
        "            if True:\n",
        FUSED,
    ),
    Fault(
        "late bias dropped", "kernels/fused.py", "lanes(constants, LATE * rows + row)", "lanes(constants, 0) * 0", FUSED
    ),
    Fault(
        "last panels left out",
        "kernels/panels.py",
        "for panel in range(count):\n        begun",
        "for panel in range(count - 1):\n        begun",
        TILES,
    ),
    Fault("zero point ignored", "layers/linear.py", "raws - zero_point if zero_point else raws", "raws", ENGINES),
    Fault("zero point ignored", "layers/lstm.py", "(raws if folded else raws - form.zero_point)", "raws", ENGINES),
    Fault(
        "stale hidden state",
        "layers/lstm.py",
        'return State(self._project(after, step, collected, "kernels"), cell)',
        "return State(state.hidden, cell)",
        COURSES,
    ),
    Fault("cell not reset", "layers/lstm.py", "np.where(back, initial.cell, now.cell)", "now.cell", COURSES),
    Fault(
        "lengths ignored", "layers/lstm.py", "if lengths is not None and (lengths <= step).any():", "if False:", COURSES
    ),
    Fault(
        "backward unreversed", "layers/bidirectional.py", "ends - 1 - step, step)", "step, step + 0 * ends)", COURSES
    ),
    Fault(
        "embedding of another word",
        "layers/embedding.py",
        "raws = self.raws[tokens]",
        "raws = self.raws[tokens - 1]",
        ENGINES,
    ),
    Fault(
        "codes floored",
        "quantization/scales.py",
        "np.rint((quotient - form.raw_min)",
        "np.floor((quotient - form.raw_min)",
        WEIGHTS,
    ),
    Fault("half of the scale", "network/bit_rnn.py", "SPREAD = 2.5", "SPREAD = 2.0", WEIGHTS),
]
