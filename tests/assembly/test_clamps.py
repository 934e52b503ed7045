"""The ends of fused activations as LiteRT 2.3 gives them, recorded from its outputs less the zero point."""

from fractions import Fraction

import numpy as np
import pytest

from fixedsim.assembly import LinearTensors, RawBias, RawMatrix, assemble_linear
from fixedsim.formats import Format
from fixedsim.model import Model
from fixedsim.profiles.executors import executor_profile

ENDS = {"relu": (None, 0), "relu6": (6, 0), "relu_n1_to_1": (1, -1)}


def ends(activation: str, scale: str, zero_point: int, executor: str) -> list[int]:
    """The outputs of a layer at the highest and the lowest sum, less the zero point."""
    clip, lowest = ENDS[activation]
    tensors = LinearTensors(
        RawMatrix(np.array([[127], [-127]]), Format.integer(8), [Fraction(1)] * 2),
        RawBias(None, Format.integer(32)),
        Format.integer(8),
        Format.affine(8, Fraction(float(np.float32(scale))), zero_point),
        "relu" if clip is None else "clipped_relu",
        None if clip is None else Fraction(clip),
        Fraction(lowest),
    )
    model = Model("ends", (assemble_linear("fc", tensors, executor_profile(executor)),))
    raw = model.run(np.array([[127]])).raw
    assert raw is not None
    return [int(value) - zero_point for value in raw[0]]


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "reference", "xnnpack"),
    [
        ("relu_n1_to_1", "2", 0, [1, -1], [0, 0]),
        ("relu_n1_to_1", "2", 1, [1, -1], [1, -1]),
        ("relu_n1_to_1", "2", 127, [0, -1], [0, -1]),
        ("relu_n1_to_1", "2", -128, [1, 0], [0, 0]),
        ("relu_n1_to_1", "5", 1, [0, 0], [0, 0]),
        ("relu6", "12", 0, [1, 0], [0, 0]),
        ("relu6", "12", 1, [1, 0], [1, 0]),
        ("relu6", "4", 0, [2, 0], [2, 0]),
        ("relu6", "4", 1, [2, 0], [1, 0]),
        ("relu6", "2.4", -128, [3, 0], [2, 0]),
        ("relu6", "2.4", -127, [3, 0], [3, 0]),
        ("relu6", "50", -128, [0, 0], [0, 0]),
        ("relu", "50", 0, [127, 0], [127, 0]),
        ("relu", "50", 127, [0, 0], [0, 0]),
    ],
)
def test_ends_as_recorded(
    activation: str, scale: str, zero_point: int, reference: list[int], xnnpack: list[int]
) -> None:
    for executor in ("litert-reference", "litert-optimized", "tflm"):
        assert ends(activation, scale, zero_point, executor) == reference
    assert ends(activation, scale, zero_point, "litert-xnnpack") == xnnpack
