"""Layer normalization as LiteRT 2.3 computes it: final states of small files, recorded from it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.importers import import_model
from tests.importers.tflite_files import FileBuilder
from tests.importers.tflite_layers import LstmPlan, add_input, add_lstm

UNITS, INPUTS, STEPS = 6, 4, 4


def patterned(shape: tuple[int, ...], top: int, start: int) -> NDArray[np.int64]:
    """Integers up to ``top`` of either sign, in no order that matters."""
    codes = (np.arange(np.prod(shape)) + start) * 7919 % (2 * top + 1) - top
    return np.reshape(codes, shape)


def content(weight_scale: float, norm_scale: float) -> bytes:
    """An LSTM with layer normalization, all of whose numbers are set."""
    file = FileBuilder()
    x = add_input(file, np.random.default_rng(0), (1, STEPS, INPUTS))
    file.outputs = (add_lstm(file, np.random.default_rng(0), x, LstmPlan(UNITS, layer_norm=True)),)
    for index, tensor in enumerate(file.tensors):
        prefix, _, gate = tensor.name.partition("_")
        if prefix in ("W", "R"):
            tensor.data, tensor.scale = patterned(tensor.shape, 127, index), [weight_scale]
        elif prefix == "ln":
            tensor.data, tensor.scale = patterned(tensor.shape, 32767, index), [norm_scale]
        elif prefix == "b":
            tensor.data = patterned(tensor.shape, 40000, index)
        elif prefix in ("y", "h") or gate == "hidden":
            tensor.scale, tensor.zero_point = [2.0**-7], [5]
        elif prefix == "x":
            tensor.scale, tensor.zero_point = [2.0**-6], [-3]
    return file.content()


INPUT = patterned((1, STEPS, INPUTS), 127, 3).astype(np.int8)
RECORDED = {
    (2.0**-9, 2.0**-14): ([6, 35, -55, 17, -45, -10], [185, 1377, -5298, 738, -2582, -2218]),
    (2.0**-9, 2.0**-13): ([4, 59, -62, 11, -78, -2], [-260, 2126, -5772, 352, -4243, -3052]),
    (2.0**-20, 9 / 10000): ([5, 101, -89, 5, -92, 5], [-7, 3964, -4220, 1, -4093, -4630]),
    (2.0**-21, 14 / 10000): ([5, 63, -45, 7, 107, 5], [-795, 2023, -4461, 118, 4624, -2317]),
}


@pytest.mark.parametrize(("weight_scale", "norm_scale"), RECORDED)
def test_final_states_as_recorded(weight_scale: float, norm_scale: float, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content(weight_scale, norm_scale))
    result = import_model(path).run(np.moveaxis(INPUT, 1, 0).astype(np.int64))
    hidden, cell = RECORDED[weight_scale, norm_scale]
    assert result.state["lstm"][0].tolist() == [hidden]
    assert result.state["lstm"][1].tolist() == [cell]
