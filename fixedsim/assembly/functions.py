"""The non-linear functions of a datapath, as the profile computes them."""

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from fixedsim.assembly.requantization import exact_log2
from fixedsim.errors import ProfileError
from fixedsim.formats import Format
from fixedsim.hls4ml_tables import hls4ml_activation
from fixedsim.profiles.choices import FunctionChoices, FunctionKind
from fixedsim.profiles.datapath import (
    Activation,
    FixedFunction,
    Function,
    Interpolation,
    LookupTable,
    PiecewiseLinear,
)
from fixedsim.profiles.profile import Profile
from fixedsim.tables import hard_sigmoid, hard_tanh, make_table

_PRIMITIVE_BITS = 16
_GATE_FRACTION_BITS = 12  # of the inputs that CMSIS-NN's table reads without a shift

_SLOPES = {"hard_sigmoid": Fraction(1, 6), "hard_sigmoid_fifth": Fraction(1, 5)}
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_sigmoid_fifth": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
}


def function_choices(function: str, profile: Profile) -> FunctionChoices:
    """The profile's choices for a function; the hard ones share the format of their smooth kin.

    Raises:
        ProfileError: a function that a datapath doesn't have.
    """
    if function not in RANGES:
        raise ProfileError(f"function of an LSTM must be one of {', '.join(RANGES)}, not {function}")
    return profile.tanh if function.endswith("tanh") else profile.sigmoid


def function(name: str, profile: Profile, input_format: Format, output: Format) -> Activation:
    """The function from ``input_format`` to ``output``: a table, a given table, its hard form or a primitive.

    Raises:
        ProfileError: given values that are too few, many or large; ModelError: a table that the formats don't allow.
    """
    choices = function_choices(name, profile)
    if choices.kind is FunctionKind.HARD or name.startswith("hard_"):
        return _hard(name, choices, input_format, output)
    match choices.kind:
        case FunctionKind.GEMMLOWP | FunctionKind.CMSIS:
            return _primitive(name, choices.kind, input_format, output)
        case FunctionKind.HLS4ML:
            return hls4ml_activation(
                name,
                input_format,
                output,
                choices.segments,
                choices.values,
                rounding=choices.entry_rounding,
                overflow=choices.entry_overflow,
            )
        case _:
            table = _table(name, choices, input_format, output)
            return table if choices.values is None else _given(table, choices.values, name)


def _primitive(name: str, kind: FunctionKind, input_format: Format, output: Format) -> FixedFunction:
    """LiteRT's or CMSIS-NN's function of 16-bit inputs: its argument follows from their fraction bits."""
    fraction = input_format.fraction_bits
    if input_format.bits != _PRIMITIVE_BITS or not input_format.signed or fraction is None or input_format.zero_point:
        raise ProfileError(f"input of {name} of kind {kind} must be 16 bits like s3.12, not {input_format.name}")
    if kind is FunctionKind.GEMMLOWP:
        primitive, argument = Function(f"gemmlowp_{name}"), _PRIMITIVE_BITS - 1 - fraction
    else:
        primitive, argument = Function(f"cmsis_{name}"), _GATE_FRACTION_BITS - fraction
    return FixedFunction(output, primitive, argument, name)


def _hard(name: str, choices: FunctionChoices, input_format: Format, output: Format) -> PiecewiseLinear:
    """The piecewise linear form, with the slope and the thresholds that the profile gives."""
    if name.endswith("tanh"):
        return hard_tanh(input_format, output, rounding=choices.rounding)
    slope, offset = (_SLOPES[name], Fraction(1, 2)) if name in _SLOPES else (choices.slope, choices.offset)
    line = hard_sigmoid(input_format, output, slope, offset, rounding=choices.rounding)
    if name == "hard_sigmoid_fifth":
        line = replace(line, function=name)
    if choices.slope_fraction_bits is not None:
        bits = choices.slope_fraction_bits
        ratio = exact_log2(output.scale / input_format.scale, "scale of a hard function")
        line = replace(line, slope=int(slope * (1 << bits)), shift=bits + ratio)  # the slope cut toward zero
    if choices.threshold is not None and name != "hard_sigmoid_fifth":  # a threshold belongs to the other slope
        reach = int(choices.threshold / input_format.scale)
        line = replace(line, low_input=-reach, high_input=reach)
    return line


@lru_cache(maxsize=32)
def _table(name: str, choices: FunctionChoices, input_format: Format, output: Format) -> LookupTable:
    return make_table(
        name,
        input_format=input_format,
        output=output,
        low=choices.low,
        high=choices.high,
        segments=choices.segments,
        interpolation=choices.interpolation,
        index_rounding=choices.index_rounding,
        rounding=choices.entry_rounding,
        interpolation_rounding=choices.rounding,
    )


def _given(table: LookupTable, values: tuple[int, ...], name: str) -> LookupTable:
    """The table with the profile's own entries in place of the computed ones."""
    if len(values) != len(table.values):
        raise ProfileError(
            f"{name}.values must hold {len(table.values)} entries for its {_segments(table)} segments, "
            f"not {len(values)}"
        )
    for position, value in enumerate(values):
        if not table.format.contains(value):
            raise ProfileError(f"{name}.values[{position}] must be a raw of {table.format.name}, not {value}")
    return LookupTable(
        values,
        table.format,
        table.index_shift,
        table.offset,
        table.interpolation,
        table.index_rounding,
        table.rounding,
        table.function,
    )


def _segments(table: LookupTable) -> int:
    return len(table.values) - (1 if table.interpolation is Interpolation.LINEAR else 0)
