"""FULLY_CONNECTED as an executor computes it."""

from fractions import Fraction
from typing import Any

from fixedsim.assembly import LinearTensors, assemble_linear
from fixedsim.errors import FileError
from fixedsim.formats import Format
from fixedsim.importers.tflite.graph import Operator
from fixedsim.importers.tflite.operands import Source, bias_of, matrix_of, tensor_format
from fixedsim.layers.linear import Linear
from fixedsim.profiles.profile import Profile

_BIAS_TYPES: dict[Any, int] = {2: 32, 4: 64}  # the schema's numbers of INT32 and INT64
_ACTIVATIONS: dict[Any, dict[str, Any]] = {
    "NONE": {"activation": "identity"},
    "RELU": {"activation": "relu"},
    "RELU6": {"activation": "clipped_relu", "clip": Fraction(6)},
    "RELU_N1_TO_1": {"activation": "clipped_relu", "clip": Fraction(1), "lowest": Fraction(-1)},
}


def fully_connected(name: str, operator: Operator, source: Source) -> Linear:
    """FULLY_CONNECTED: ``clamp(requantize(bias + sum (w - zw) * (x - zx)) + zy)``, by the executor's rule.

    Where each row of weights has a scale, their zero points count for nothing.

    Raises:
        FileError: operands that are not integers, or an option that is not known.
    """
    given = source.graph.tensors[operator.inputs[0]]
    weight = source.needed(operator, 1, f"weights of {name}")
    output = source.graph.tensors[operator.outputs[0]]
    if operator.options.get("weightsFormat", 0) not in (0, "DEFAULT"):
        raise FileError(f"weightsFormat of {name} must be DEFAULT, not {operator.options['weightsFormat']}")
    form = tensor_format(given, f"input of {name}")
    matrix = matrix_of(weight, f"weights of {name}")
    written = tensor_format(output, f"output of {name}")
    bias = bias_of(source.operand(operator, 2), len(matrix.raws), _absent_bits(form, operator, source.profile), name)
    return assemble_linear(name, LinearTensors(matrix, bias, form, written, **_fused(name, operator)), source.profile)


def _absent_bits(given: Format, operator: Operator, profile: Profile) -> int:
    """The width of an absent bias, which chooses the rule of wider inputs."""
    if given.bits <= 8:
        return 32
    return _BIAS_TYPES.get(operator.options.get("quantizedBiasType"), profile.linear.absent_bias_bits)


def _fused(name: str, operator: Operator) -> dict[str, Any]:
    """The activation and its ends."""
    fused = operator.options.get("fusedActivationFunction", "NONE")
    if fused not in _ACTIVATIONS:
        raise FileError(f"activation of {name} must be {', '.join(_ACTIVATIONS)}, not {fused}")
    return _ACTIVATIONS[fused]
