"""What 64-bit words could not hold exactly is refused, by message."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedsim.casts import Overflow
from fixedsim.errors import InputError, ModelError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    Check,
    Narrowing,
    PiecewiseLinear,
)
from tests.layers.byte_layers import BYTE, GATE, LINEAR, LSTM, bits, gated


def run_linear(weight_raw: int = 1, bias: int = 0, bias_shift: int = 0, value: int = 1, **changes: Any) -> Any:
    """The output of a layer of one weight and two equal inputs."""
    layer = Linear.from_raws(
        "fc", [[weight_raw, weight_raw]], [bias], replace(LINEAR, **changes), bias_shift=bias_shift
    )
    return layer.run(np.full((1, 1, 2), value), Recorder())


def run_lstm(**changes: Any) -> Any:
    """The output of an LSTM of one unit."""
    layer = Lstm.from_raws("lstm", np.ones((4, 1), int), np.ones((4, 1), int), None, replace(LSTM, **changes))
    return layer.run(np.ones((1, 1, 1), int), Recorder())[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weight": bits(30), "input": bits(30), "accumulator": Accumulator(63), "value": 1, "weight_raw": 1 << 28},
            None,  # 59 bits: any exact kernel
        ),
        (
            {"weight": bits(40), "input": bits(30), "accumulator": Accumulator(63), "weight_raw": 1 << 38},
            "accumulator must be at most 62 bits wide, or be proven not to overflow, not 63 bits with sums of up to 69",
        ),
        (
            {"weight": bits(40), "input": bits(30), "accumulator": Accumulator(20), "weight_raw": 1 << 38},
            "accumulator must be at most 62 bits wide, or be proven not to overflow, not 20 bits with sums of up to 69",
        ),
        (
            {
                "weight": bits(40),
                "input": bits(30),
                "accumulator": Accumulator(20, product=Narrowing(BYTE, shift=40)),
                "weight_raw": 1 << 38,
            },
            "products of weights and inputs must fit 64 bits, not 69; choose narrower formats for what enters it",
        ),
        (
            {"accumulator": Accumulator(20, product=Narrowing(bits(64), shift=1))},
            "accumulator must be at most 62 bits wide, or be proven not to overflow, not 20 bits with sums of up to",
        ),
        (
            {"input": Format(64, -(1 << 63), (1 << 63) - 1, zero_point=1)},
            "inputs less their zero point must fit 64 bits, not 65",
        ),
        ({"input": Format.integer(64, signed=False)}, "inputs less their zero point must fit 64 bits, not 65"),
        (
            {"sum": Narrowing(bits(64)), "bias": 1, "bias_stage": BiasStage.PREACTIVATION},
            "fc: sum and bias must fit 64 bits, not 65; choose narrower formats for what enters it",
        ),
        (
            {"preactivation": Narrowing(bits(60)), "activation": PiecewiseLinear(bits(60), slope=1 << 20)},
            "fc: slope times raw must fit 64 bits, not 80; choose narrower formats for what enters it",
        ),
        (
            {"bias": 127, "bias_shift": 62, "accumulator": Accumulator(overflow=Overflow.WRAP)},
            "fc.bias must fit 63 bits after its shift, not 70",
        ),
        (
            {"bias": 100, "bias_shift": 30},
            "accumulator of fc must be at least 38 bits wide to hold its bias 107374182400 of row 0, not 32 bits",
        ),
    ],
)
def test_linear(changes: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert run_linear(**changes).item() == 127  # saturated
        return
    with pytest.raises(ModelError) as caught:
        run_linear(**changes)
    assert message in str(caught.value)


WIDE = Narrowing(bits(40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"gates": gated(0, input_sum=Narrowing(bits(64)))},
            "lstm: input gate: sum of the pre-activation must fit 64 bits, not 65",
        ),
        ({"gates": gated(1, output=WIDE), "cell": WIDE}, "lstm: forget gate times cell must fit 64 bits, not 80"),
        (
            {"gates": (replace(GATE, output=WIDE), GATE, replace(GATE, output=WIDE), GATE)},
            "lstm: input gate times candidate must fit 64 bits, not 80",
        ),
        (
            {"forget_product": Narrowing(bits(64)), "input_product": Narrowing(bits(64))},
            "lstm: sum of the cell must fit 64 bits, not 65",
        ),
        (
            {"gates": gated(3, output=WIDE), "cell_output": WIDE},
            "lstm: output gate times cell activation must fit 64 bits, not 80",
        ),
    ],
)
def test_lstm(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        run_lstm(**changes)
    assert message in str(caught.value)


def test_both_directions_share_their_formats() -> None:
    def layer(**changes: Any) -> Lstm:
        ones = np.ones((4, 1), int)
        return Lstm.from_raws("lstm", ones, ones, None, replace(LSTM, **changes))

    with pytest.raises(
        ModelError, match="hidden formats of both must be the same in both directions, not int8 and int4"
    ):
        Bidirectional("both", layer(), layer(hidden=Narrowing(bits(4))))
    with pytest.raises(
        ModelError, match="input formats of both must be the same in both directions, not int8 and int4"
    ):
        Bidirectional("both", layer(), layer(input=bits(4)))


def test_the_largest_bias_of_either_sign_must_fit() -> None:
    with pytest.raises(ModelError, match="must be at least 9 bits wide to hold its bias 128 of row 1, not 8 bits"):
        Linear.from_raws(
            "fc", [[1], [1]], [-128, 128], replace(LINEAR, bias=bits(10), accumulator=Accumulator(8, check=Check.END))
        )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.full((1, 1, 2), 128), "input of fc[0, 0, 0] must be a raw of int8 (-128..127), not 128"),
        (np.zeros((1, 1, 3), int), "input of fc must have shape (T, N, 2), not (1, 1, 3)"),
        (np.zeros((1, 1, 2)), "input of fc must be integers of at most 64 bits, not float64"),
    ],
)
def test_inputs(inputs: Any, message: str) -> None:
    layer = Linear.from_raws("fc", [[1, 1]], None, LINEAR)
    with pytest.raises(InputError) as caught:
        layer.run(inputs, Recorder())
    assert message in str(caught.value)
