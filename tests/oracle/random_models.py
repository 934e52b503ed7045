"""TensorFlow Lite files with random shapes, scales and zero points, wider than what a converter writes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from tests.importers.tflite_files import FileBuilder, Generator, PlannedTensor
from tests.importers.tflite_layers import (
    LstmPlan,
    add_concatenation,
    add_last_step,
    add_lstm,
    add_reshape,
    add_reverse,
)

Array = NDArray[Any]
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
_RANGES = {"INT8": (-128, 127), "INT16": (-32768, 32767)}


@dataclass
class Case:
    """A file, the shape and type of its input, and the state tensors ``(hidden, cell)`` of its LSTMs in order."""

    file: FileBuilder
    steps_first: bool = False
    states: list[tuple[int, int]] = field(default_factory=list)

    @property
    def input(self) -> PlannedTensor:
        """The input of the graph."""
        return self.file.tensors[self.file.inputs[0]]

    def inputs(self, rng: Generator, run: int) -> Array:
        """Random inputs, extremes at random or by turns, the highest or the zero point, by the number of the run."""
        low, high = _RANGES[str(self.input.type)]
        shape = self.input.shape
        dtype = np.int8 if self.input.type == "INT8" else np.int16
        match run % 5:
            case 0:
                values = rng.integers(low, high + 1, shape)
            case 1:
                values = rng.choice([low, high], shape)
            case 2:
                values = np.where(np.indices(shape).sum(0) % 2 == 0, low, high)
            case 3:
                values = np.full(shape, high)
            case _:
                values = np.full(shape, self.input.zero_point[0])
        return values.astype(dtype)

    def initial(self, rng: Generator) -> dict[int, Array]:
        """Random states by the index of the tensor."""
        found: dict[int, Array] = {}
        for pair in self.states:
            for index in pair:
                tensor = self.file.tensors[index]
                low, high = _RANGES[str(tensor.type)]
                dtype = np.int8 if tensor.type == "INT8" else np.int16
                found[index] = rng.integers(low, high + 1, tensor.shape).astype(dtype)
        return found


def power(rng: Generator, low: float, high: float) -> float:
    """A number whose logarithm to the base 2 is uniform between ``low`` and ``high``."""
    return float(2.0 ** rng.uniform(low, high))


def zero_point(rng: Generator) -> int:
    """A zero point of 8 bits, often one of the extremes or zero."""
    return int(rng.choice([-128, 0, 127, *rng.integers(-128, 128, 3)]))


def add_random_input(file: FileBuilder, rng: Generator, shape: tuple[int, ...], type_name: str = "INT8") -> int:
    """Add the input of the graph."""
    zero = zero_point(rng) if type_name == "INT8" else 0
    scale = power(rng, -8, -4) if type_name == "INT8" else power(rng, -16, -12)
    index = file.tensor("x", shape, type_name, scale=[scale], zero_point=[zero])
    file.inputs = (index,)
    return index


@dataclass(frozen=True)
class Dense:
    """The choices of a FULLY_CONNECTED."""

    outputs: int
    by_row: bool = False
    activation: str = "NONE"
    bias: str = "INT32"  # or INT64, or empty for none
    weight_zero_point: int = 0
    tie_shift: int | None = None  # scales with this power of two between sum and output, so that many sums are ties
    weight_type: str = "INT8"  # or INT4
    bias_option: str = ""  # the type of biases that the operator states, of 16-bit inputs; that of its bias if empty


def add_dense(file: FileBuilder, rng: Generator, x: int, plan: Dense) -> int:
    """Add FULLY_CONNECTED of a whole input of 2 axes or more."""
    given = file.tensors[x]
    inputs, rows = given.shape[-1], plan.outputs if plan.by_row else 1
    scales = np.array([power(rng, -9, -6) for _ in range(rows)])
    y_scale = given.scale[0] * float(np.max(scales)) * inputs**0.5 * power(rng, 3.0, 8.5)
    if plan.tie_shift is not None:
        scales = 2.0 ** -rng.integers(6, 10, rows)
        given.scale = [2.0 ** -int(rng.integers(4, 8))]
        y_scale = given.scale[0] * float(scales[0]) * 2.0**plan.tie_shift
    zero = plan.weight_zero_point
    top = 7 if plan.weight_type == "INT4" else 127
    codes = rng.integers(-top - bool(zero), top + 1, (plan.outputs, inputs))
    w = file.constant("w", codes, plan.weight_type, scale=scales.tolist(), zero_point=[zero] * rows)
    b = _dense_bias(file, rng, plan, given.scale[0] * scales, y_scale) if plan.bias else -1
    y_zero = zero_point(rng) if given.type == "INT8" else 0
    y = file.tensor(
        "y", (int(np.prod(given.shape[:-1])), plan.outputs), given.type, scale=[y_scale], zero_point=[y_zero]
    )
    options: dict[str, Any] = {"fusedActivationFunction": plan.activation}
    stated = plan.bias_option or plan.bias
    if given.type == "INT16" and stated:
        options["quantizedBiasType"] = getattr(tflite.TensorType, stated)
    file.operator("FULLY_CONNECTED", (x, w, b), (y,), options=options, version=4)
    return y


def _dense_bias(file: FileBuilder, rng: Generator, plan: Dense, scale: Array, y_scale: float) -> int:
    """Biases of about the range of the output, now and then far beyond it."""
    top = y_scale * (127 if file.tensors[file.inputs[0]].type == "INT8" else 32767)
    codes = np.round(rng.normal(0, 0.5, plan.outputs) * top / scale)
    codes[rng.random(plan.outputs) < 0.1] *= 7
    codes = np.clip(codes, -(2**30), 2**30)
    return file.constant("b", codes, plan.bias, scale=scale.tolist(), zero_point=[0] * scale.size)


def dense_case(rng: Generator, batch: int, inputs: int, plan: Dense, type_name: str = "INT8") -> Case:
    """A file with one FULLY_CONNECTED."""
    file = FileBuilder()
    file.outputs = (add_dense(file, rng, add_random_input(file, rng, (batch, inputs), type_name), plan),)
    return Case(file)


def dense_stack_case(rng: Generator, batch: int, inputs: int, plans: tuple[Dense, ...]) -> Case:
    """A file with one FULLY_CONNECTED after the other."""
    file = FileBuilder()
    value = add_random_input(file, rng, (batch, inputs))
    for plan in plans:
        value = add_dense(file, rng, value, plan)
    file.outputs = (value,)
    return Case(file)


def clamped_case(rng: Generator, activation: str, bound: int) -> Case:
    """A FULLY_CONNECTED whose activation ends in the middle between two raws, or one float beside it."""
    case = dense_case(rng, 2, 4, Dense(8, activation=activation, by_row=bool(rng.integers(2))))
    x, w, b, y = case.file.tensors
    scale = np.float32(bound / (int(rng.integers(0, 100)) + 0.5))
    y.scale = [float(np.nextafter(scale, np.float32(side))) if (side := rng.choice([0, 9, -1])) >= 0 else float(scale)]
    ratio = y.scale[0] / (x.scale[0] * max(w.scale))
    w.scale = [float(one * ratio * 2.0 ** -rng.integers(3, 7)) for one in w.scale]
    b.scale = [float(x.scale[0] * one) for one in w.scale]
    b.data = rng.integers(-500, 500, 8)
    return case


def add_random_lstm(case: Case, rng: Generator, x: int, plan: LstmPlan, *, reach: float = 2.0) -> int:
    """Add an LSTM and draw its scales anew; gates of about ``2**reach`` on average."""
    file = case.file
    start = len(file.tensors)
    y = add_lstm(file, rng, x, plan)
    own = {tensor.name: tensor for tensor in file.tensors[start:]}
    case.states.append((start, start + 1))
    case.steps_first = plan.time_major
    _draw_scales(own, rng, plan, file.tensors[x], reach)
    if plan.layer_norm:
        _draw_norms(own, rng)
    return y


def _draw_scales(own: dict[str, PlannedTensor], rng: Generator, plan: LstmPlan, x: PlannedTensor, reach: float) -> None:
    """Scales of weights after those of what they meet, zero points of all 8-bit tensors."""
    hidden = own["h_state"]
    if plan.output is None:
        for name in ("y", "mid_hidden", "h_state"):
            own[name].scale, own[name].zero_point = [power(rng, -9, -6)], [zero_point(rng)]
    for gate in "ifco":
        for name, given in ((f"W_{gate}", x), (f"R_{gate}", hidden)):
            if name in own:
                width = own[name].shape[-1]
                own[name].scale = [power(rng, reach - 3, reach) / (given.scale[0] * 75 * 75 * width**0.5)]
        bias = own.get(f"b_{gate}")
        if bias is not None and isinstance(bias.data, np.ndarray) and not plan.layer_norm:
            bias.data = np.round(rng.normal(0, 1, bias.shape) / (x.scale[0] * own[f"W_{gate}"].scale[0]))
        if f"P_{gate}" in own:
            own[f"P_{gate}"].scale = [power(rng, -17, -13)]
    if plan.projection:
        own["proj_w"].scale = [power(rng, -2, 2) * hidden.scale[0] / (own["mid_hidden"].scale[0] * 75)]


def _draw_norms(own: dict[str, PlannedTensor], rng: Generator) -> None:
    """Scales of the normalization, which need be no powers of two, and biases on its scale."""
    for gate in "ifco":
        own[f"mid_{gate}"].scale = [power(rng, -14, -9) if rng.random() < 0.7 else 2.0**-12]
        weight = own.get(f"ln_{gate}")
        if weight is None:
            continue
        step = int(rng.integers(1, 40))
        weight.scale = [float(rng.choice([power(rng, -17, -12), step / 10000]))]
        own[f"b_{gate}"].data = np.round(rng.normal(0, 1, weight.shape) * 1024 / weight.scale[0])


def lstm_case(rng: Generator, shape: tuple[int, int, int], plan: LstmPlan, *, reach: float = 2.0) -> Case:
    """A file with one LSTM on an input of ``(batch, steps, features)``, or steps first."""
    case = Case(FileBuilder())
    x = add_random_input(case.file, rng, shape)
    case.file.outputs = (add_random_lstm(case, rng, x, plan, reach=reach),)
    return case


def stack_case(rng: Generator, shape: tuple[int, int, int], units: tuple[int, ...], outputs: int) -> Case:
    """LSTMs one after the other, then the last step, then a FULLY_CONNECTED."""
    case = Case(FileBuilder())
    value = add_random_input(case.file, rng, shape)
    for count in units:
        value = add_random_lstm(case, rng, value, LstmPlan(count, cell_power=int(rng.integers(-15, -8))))
    value = add_last_step(case.file, value)
    case.file.outputs = (add_dense(case.file, rng, value, Dense(outputs)),)
    return case


def reshaped_case(rng: Generator, shape: tuple[int, int, int], units: int, outputs: int) -> Case:
    """An LSTM whose steps and sequences a reshape joins for a FULLY_CONNECTED, and another parts again."""
    case = Case(FileBuilder())
    x = add_random_input(case.file, rng, shape)
    value = add_random_lstm(case, rng, x, LstmPlan(units))
    value = add_reshape(case.file, value, (shape[0] * shape[1], units))
    value = add_dense(case.file, rng, value, Dense(outputs, by_row=bool(rng.integers(2))))
    case.file.outputs = (add_reshape(case.file, value, (*shape[:2], outputs)),)
    return case


def both_case(rng: Generator, shape: tuple[int, int, int], units: int, outputs: int, *, last: bool) -> Case:
    """Both directions joined, of all steps or of the last ones, and a FULLY_CONNECTED after them."""
    case = Case(FileBuilder())
    x = add_random_input(case.file, rng, shape)
    joined = power(rng, -8, -6), zero_point(rng)
    plan = LstmPlan(units, output=joined, own_state_scale=bool(rng.integers(2)))
    ahead = add_random_lstm(case, rng, x, plan)
    back = add_random_lstm(case, rng, add_reverse(case.file, x), plan._replace(cell_power=-10))
    if last:
        parts = add_last_step(case.file, ahead), add_last_step(case.file, back)
    else:
        parts = ahead, add_reverse(case.file, back)
    value = add_concatenation(case.file, parts, axis=1 if last else 2)
    if not last:
        value = add_reshape(case.file, value, (shape[0] * shape[1], 2 * units))
    case.file.outputs = (add_dense(case.file, rng, value, Dense(outputs)),)
    return case
