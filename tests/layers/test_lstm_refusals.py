"""Stages and tensors of an LSTM that do not go together are refused, by message."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import InputError, ModelError
from fixedsim.formats import Format
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    FixedFunction,
    Function,
    Grouping,
    Hazard,
    LayerNorm,
    Narrowing,
    PartialSums,
    Peephole,
)
from tests.layers.byte_layers import CAST, GATE, LINEAR, LSTM, bits, gated

PEEPHOLE = Peephole(bits(8), CAST, CAST)
NORM = LayerNorm(bits(8), CAST)


def zero_at(zero_point: int, width: int = 8) -> Format:
    """Integers of which that one means zero."""
    return Format.affine(width, Fraction(1), zero_point)


def build(
    units: int = 1,
    outputs: int | None = None,
    *,
    rows: int | None = None,
    recurrent_rows: int | None = None,
    tensors: Any = None,
    **changes: Any,
) -> Lstm:
    """An LSTM of ones with one input; ``tensors`` holds what else ``from_raws`` takes."""
    path = replace(LSTM, **changes)
    rows = len(path.present) * units if rows is None else rows
    width = units if outputs is None else outputs
    first, second = np.ones((rows, 1), int), np.ones((recurrent_rows or rows, width), int)
    return Lstm.from_raws("lstm", first, second, None, path, **(tensors or {}))


def run(**given: Any) -> Any:
    """The output of one step."""
    return build(**given).run(np.ones((1, 1, 1), int), Recorder())[0]


def projection(shape: tuple[int, int], **changes: Any) -> Linear:
    """A projection of ones."""
    return Linear.from_raws("lstm.projection", np.ones(shape, int), None, replace(LINEAR, **changes))


def refused(make: Callable[[], Any]) -> str:
    """The words of the refusal."""
    with pytest.raises(ModelError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: replace(LINEAR, bias_stage=BiasStage.NORMALIZATION),
            "bias stage must be first, last or preactivation, not normalization",
        ),
        (
            lambda: replace(LSTM, bias_stage=BiasStage.NORMALIZATION),
            "bias stage must be first, last or preactivation, not normalization",
        ),
        (lambda: replace(LSTM, gates=gated(2, norm=NORM)), "bias stage must be normalization, not first"),
        (
            lambda: replace(LSTM, gates=(None, GATE, GATE, GATE)),
            "coupled must be given exactly where the input gate has no datapath of its own",
        ),
        (
            lambda: replace(LSTM, coupled=127),
            "coupled must be given exactly where the input gate has no datapath of its own",
        ),
        (
            lambda: replace(LSTM, gates=(None, GATE, GATE, GATE), coupled=127, hazard=Hazard.STALE_SIGMOID),
            "hazard must be none where gates are coupled or the output gate has a peephole",
        ),
        (
            lambda: replace(LSTM, gates=gated(3, peephole=PEEPHOLE), hazard=Hazard.STALE_SIGMOID),
            "hazard must be none where gates are coupled or the output gate has a peephole",
        ),
        (
            lambda: replace(NORM, weight=bits(17)),
            "weight of a normalization must have at most 16 bits and zero point 0, not int17",
        ),
        (lambda: replace(NORM, least_variance=0), "least_variance must be in 1..2147483647, not 0"),
        (lambda: replace(NORM, least_variance=1 << 31), "least_variance must be in 1..2147483647, not 2147483648"),
    ],
)
def test_datapaths(make: Callable[[], Any], message: str) -> None:
    assert refused(make) == message


COUPLED = {"gates": (None, GATE, GATE, GATE), "coupled": 127}
SHIFTS = {"input_constants": {"product_shift": 0}, "recurrent_constants": {"product_shift": 1}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 5}, "lstm.input.weight must have 4 rows (4 x units), not 5"),
        ({"rows": 4} | COUPLED, "lstm.input.weight must have 3 rows (3 x units), not 4"),
        ({"rows": 0}, "lstm.input.weight must have 0 rows (4 x units), not 0"),
        ({"recurrent_rows": 3}, "lstm.recurrent.weight must have 4 rows (4 x units), not 3"),
        ({"outputs": 2}, "lstm.recurrent.weight must have 1 columns, not 2"),
        ({"bias": zero_at(3)}, "zero point of lstm.bias must be 0, not 3"),
        ({"bias_cast": Narrowing(zero_at(4))}, "zero point of lstm.bias must be 0, not 4"),
        ({"initial_hidden": 128}, "initial hidden of lstm must be a raw of int8, not 128"),
        ({"initial_cell": -129}, "initial cell of lstm must be a raw of int8, not -129"),
        (
            {"hidden_state": bits(4)},
            "hidden state of lstm must be read in a format that holds the raws of int8, not int4",
        ),
        ({"output": bits(4)}, "output of lstm must be read in a format that holds the raws of int8, not int4"),
        (
            {"cell_state": Format.integer(8, narrow=True)},
            f"cell of lstm must be read in a format that holds the raws of int8, not "
            f"{Format.integer(8, narrow=True).name}",
        ),
        (
            {"gates": gated(1, peephole=PEEPHOLE)},
            "peephole weights of lstm must be of the gates ['forget'], not []",
        ),
        (
            {"gates": gated(1, norm=NORM), "bias_stage": BiasStage.NORMALIZATION},
            "norm weights of lstm must be of the gates ['forget'], not []",
        ),
        (
            {"tensors": {"peephole": {"input": [1]}}},
            "peephole weights of lstm must be of gates whose datapath has a peephole, not of input",
        ),
        (
            {"tensors": {"norm": {"cell": [1]}}},
            "norm weights of lstm must be of gates whose datapath has a norm, not of cell",
        ),
        (
            {"gates": gated(3, peephole=PEEPHOLE), "tensors": {"peephole": {"output": [1, 1]}}},
            "lstm.peephole.output must have shape (1,), not (2,)",
        ),
        (
            {"outputs": 3, "tensors": {"projection": projection((2, 1))}},
            "projection of lstm must be of shape (3, 1), not (2, 1)",
        ),
        (
            {"outputs": 3, "tensors": {"projection": projection((3, 2))}},
            "projection of lstm must be of shape (3, 1), not (3, 2)",
        ),
        (
            {"tensors": {"projection": projection((1, 1), input=bits(4))}},
            "input of the projection of lstm must be int8, not int4",
        ),
        (
            {"tensors": {"projection": projection((1, 1), output=Narrowing(bits(4)))}, "initial_hidden": 8},
            "initial hidden of lstm must be a raw of int4, not 8",
        ),
    ],
)
def test_layers(given: dict[str, Any], message: str) -> None:
    assert refused(lambda: build(**given)) == message


WIDE, ONES = Narrowing(bits(40)), {"peephole": {"output": [1]}}
NORMED = {"bias_stage": BiasStage.NORMALIZATION, "tensors": {"norm": {"output": [1]}}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {
                "joint": True,
                "accumulator": Accumulator(partial=(PartialSums(Grouping.LANES, 2, 32),)),
                "tensors": SHIFTS,
            },
            "product shifts of lstm must be the same for inputs and hidden state in one sum",
        ),
        (
            {"gates": gated(3, peephole=replace(PEEPHOLE, weight=bits(40))), "cell": WIDE, "tensors": ONES},
            "lstm: output gate: peephole weight times cell must fit 64 bits, not 80; "
            "choose narrower formats for what enters it",
        ),
        (
            {"gates": gated(3, peephole=replace(PEEPHOLE, product=Narrowing(bits(64)))), "tensors": ONES},
            "lstm: output gate: sum with the peephole must fit 64 bits, not 65; "
            "choose narrower formats for what enters it",
        ),
        (
            NORMED | {"gates": gated(3, norm=NORM, preactivation=Narrowing(bits(17)))},
            "lstm: output gate: input of the normalization must fit 16 bits, not int17",
        ),
        (
            NORMED | {"gates": gated(3, norm=NORM, preactivation=Narrowing(zero_at(1, 16)))},
            f"lstm: output gate: input of the normalization must fit 16 bits, not {zero_at(1, 16).name}",
        ),
        (
            {"cell_input": Narrowing(zero_at(1, 64))},
            "lstm.cell_input less its zero point must fit 64 bits, not 65; choose narrower formats for what enters it",
        ),
        (
            {"cell": Narrowing(bits(63)), "cell_state": zero_at(1, 64)},
            "lstm.cell less its zero point must fit 64 bits, not 65; choose narrower formats for what enters it",
        ),
        (
            COUPLED | {"coupled": 1 << 62},
            "lstm: input gate times candidate must fit 64 bits, not 71; choose narrower formats for what enters it",
        ),
        (
            {"gates": gated(0, activation=FixedFunction(bits(16), Function.CMSIS_TANH), preactivation=WIDE)},
            "lstm: input gate: input of cmsis_tanh must be in -32768..32767, not -549755813888..549755813887; "
            "choose a format of 16 bits for what enters it",
        ),
    ],
)
def test_widths(given: dict[str, Any], message: str) -> None:
    assert refused(lambda: run(**given)) == message


def test_the_new_cell_decides_for_the_output_gate_alone() -> None:
    """Of the peepholes that see the old cell, the format that it is read in is too wide: 40 + 40 bits."""
    peephole = replace(PEEPHOLE, weight=bits(40))
    wide = {"cell_state": bits(40), "forget_product": WIDE}
    first = refused(lambda: run(gates=gated(0, peephole=peephole), tensors={"peephole": {"input": [1]}}, **wide))
    assert first.startswith("lstm: input gate: peephole weight times cell must fit 64 bits, not 80")
    assert run(gates=gated(3, peephole=peephole), tensors=ONES, **wide).item() == 2


def test_what_a_peephole_is_given_must_be_raws_of_its_format() -> None:
    with pytest.raises(
        InputError, match=r"^lstm\.peephole\.output\[0\] must be a raw of int8 \(-128\.\.127\), not 128$"
    ):
        build(gates=gated(3, peephole=PEEPHOLE), tensors={"peephole": {"output": [128]}})
