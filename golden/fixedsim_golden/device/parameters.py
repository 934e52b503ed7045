"""The parameters of the device from a layer, which is refused where the device does not have its arithmetic."""

from collections.abc import Sequence

import numpy as np

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import MAX_BITS, Format
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    BiasStage,
    Check,
    Form,
    GateDatapath,
    Hazard,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
)
from fixedsim_golden.device.memories import (
    Integers,
    Layer,
    multiplier_bits,
    product_shifts,
    table_memories,
)
from fixedsim_golden.device.narrowings import (
    Parameters,
    activation_parameters,
    cast_parameters,
    form_parameters,
    mode_parameters,
    overflow_code,
    require,
    signed_stage_parameters,
    stage_parameters,
    table_parameters,
)

_SHARED_BY_MATRICES = ("PRODUCT_LEFT", "PRODUCT_RIGHT", "SUM_LEFT", "SUM_RIGHT", "MULTIPLIER_BITS", "BIAS_LEFT")


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
            tables = [table_memories(part.datapath) for part in (layer.forward, layer.backward)]
            require(tables[0] == tables[1], f"tables of {layer.name}", "the same in both directions", "different ones")
            joined = (*_SHARED_BY_MATRICES, "ACCUMULATOR_LEAST")
            ahead |= {name: max(ahead[name], back[name]) for name in joined}
            for name, value in back.items():
                same = name in joined or ahead[name] == value
                require(same, f"{name} of {layer.name}", "the same in both directions", f"{ahead[name]} and {value}")
            return ahead


def _linear_parameters(layer: Linear) -> Parameters:
    path, name = layer.datapath, layer.name
    _check_sums(path, name)
    return {
        "INPUTS": layer.matrix.inputs,
        "OUTPUTS": layer.matrix.rows,
        **form_parameters("INPUT", path.input, name),
        **form_parameters("WEIGHT", path.weight, name),
        **_accumulator(path.accumulator, [layer.matrix], name),
        "ACCUMULATOR_LEAST": int(layer.products.prefixes.bits(path.accumulator.overflow).max()),
        **_rows([layer.matrix], layer.bias, path, name),
        **mode_parameters("SUM", path.sum, f"sum of {name}"),
        **stage_parameters("PREACTIVATION", path.preactivation, f"preactivation of {name}"),
        **activation_parameters(path.activation, name),
        **cast_parameters("OUTPUT", path.output, f"output of {name}"),
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
        **form_parameters("INPUT", path.input, name),
        **form_parameters("INPUT_WEIGHT", path.weight, name),
        **form_parameters("RECURRENT_WEIGHT", path.recurrent_weight, name),
        **_accumulator(path.accumulator, matrices, name),
        "ACCUMULATOR_LEAST": max(int(each.prefixes.bits(path.accumulator.overflow).max()) for each in products),
        **_rows(matrices, layer.bias, path, name),
        **mode_parameters("SUM", gate.input_sum, f"sums of {name}"),
        **stage_parameters("PREACTIVATION", gate.preactivation, f"preactivation of {name}"),
        **table_parameters("GATE_TABLE", gate.activation, f"gate activation of {name}"),
        **signed_stage_parameters("GATE", gate.output, f"gate of {name}"),
        **table_parameters("CANDIDATE_TABLE", candidate.activation, f"candidate activation of {name}"),
        **signed_stage_parameters("CANDIDATE", candidate.output, f"candidate of {name}"),
        **stage_parameters("FORGET_PRODUCT", path.forget_product, f"forget product of {name}"),
        **stage_parameters("INPUT_PRODUCT", path.input_product, f"input product of {name}"),
        **stage_parameters("CELL", path.cell, f"cell of {name}"),
        **stage_parameters("CELL_INPUT", path.cell_input, f"cell input of {name}"),
        **table_parameters("CELL_TABLE", path.cell_activation, f"cell activation of {name}"),
        **signed_stage_parameters("CELL_OUTPUT", path.cell_output, f"cell activation of {name}"),
        **cast_parameters("HIDDEN", path.hidden, f"hidden of {name}"),
        "INITIAL_HIDDEN": path.initial_hidden,
        "INITIAL_CELL": path.initial_cell,
    }
    return parameters | {"LOAD_BITS": max(path.hidden.format.bits, path.cell.format.bits)}


def _check_sums(path: LinearDatapath | LstmDatapath, name: str) -> None:
    require(path.bias_stage is BiasStage.FIRST, f"bias stage of {name}", "first", path.bias_stage)
    require(path.bias_cast is None, f"bias of {name}", "without a cast", "with one")
    require(path.accumulator.check is Check.STEP, f"check of {name}", "step", path.accumulator.check)
    require(not path.accumulator.partial, f"accumulator of {name}", "without partial sums", "with them")
    require(path.bias.full_range, f"bias of {name}", "of a full range", path.bias.name)


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
        "initial state of each unit": layer.start or None,
        "normalization": layer.norm or None,
    }
    for what, value in absent.items():
        require(value is None or value is False, f"{what} of {name}", "absent for this device", "present")
    gates = dict(zip(GATES, path.gates, strict=True))
    for gate, choices in gates.items():
        reference = path.gates[2] if gate == "candidate" else path.gates[1]
        require(choices == reference, f"stages of the {gate} gate of {name}", "those of the forget gate", "others")
    sums = [stage for choices in path.present for stage in _sums(choices)]
    require(len({_shape(stage) for stage in sums}) == 1, f"sums of {name}", "narrowed alike", "differently")
    require(
        path.gates[1].preactivation == path.gates[2].preactivation,
        f"preactivations of {name}",
        "narrowed alike",
        "differently",
    )


def _sums(choices: GateDatapath) -> tuple[Narrowing, Narrowing]:
    return choices.input_sum, choices.recurrent_sum


def _shape(stage: Narrowing) -> tuple[Format, Rounding, Overflow, Form]:
    return stage.format, stage.rounding, stage.overflow, stage.form


def _accumulator(accumulator: Accumulator, matrices: Sequence[Matrix], name: str) -> Parameters:
    product = accumulator.product or Narrowing(Format.integer(MAX_BITS))
    require(product.multiplier == 1, f"multiplier of products of {name}", "1", product.multiplier)
    shifts = [product_shifts(matrix, accumulator) for matrix in matrices]
    return {
        **mode_parameters("PRODUCT", product, f"product of {name}"),
        **_reach("PRODUCT", np.concatenate(shifts)),
        "ACCUMULATOR_BITS": accumulator.bits,
        "ACCUMULATOR_OVERFLOW": overflow_code(accumulator.overflow, f"accumulator of {name}"),
    }


def _rows(matrices: Sequence[Matrix], bias: Bias, path: LinearDatapath | LstmDatapath, name: str) -> Parameters:
    for matrix in matrices:
        zero_points = matrix.zero_point.tolist()
        require(not any(zero_points), f"zero points of weights of {name}", "0", zero_points)
    return {
        "BIAS_BITS": path.bias.bits,
        "BIAS_LEFT": int(bias.shift.max()),
        "MULTIPLIER_BITS": multiplier_bits(matrices),
        **_reach("SUM", np.concatenate([matrix.shift for matrix in matrices])),
    }


def _reach(prefix: str, shifts: Integers) -> Parameters:
    """How far the shifts of rows go to the left and to the right."""
    return {f"{prefix}_LEFT": max(0, -int(shifts.min())), f"{prefix}_RIGHT": max(0, int(shifts.max()))}
