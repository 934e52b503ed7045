"""The non-linear functions of a datapath, as the profile computes them."""

from fractions import Fraction
from functools import lru_cache

from fixedsim.errors import ProfileError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Activation, Interpolation, LookupTable
from fixedsim.profiles.profile import FunctionChoices, FunctionKind, Profile
from fixedsim.tables import hard_sigmoid, hard_tanh, make_table

RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
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
    choices: FunctionChoices = getattr(profile, function.removeprefix("hard_"))
    return choices


def function(name: str, profile: Profile, input_format: Format, output: Format) -> Activation:
    """The function from ``input_format`` to ``output``: a table, a given table, or its hard form.

    Raises:
        ProfileError: given values that are too few, many or large; ModelError: a table that the formats don't allow.
    """
    choices = function_choices(name, profile)
    hard = choices.kind is FunctionKind.HARD or name.startswith("hard_")
    if not hard:
        table = _table(name, choices, input_format, output)
        return table if choices.values is None else _given(table, choices.values, name)
    if name.endswith("tanh"):
        return hard_tanh(input_format, output, rounding=choices.rounding)
    slope, offset = (Fraction(1, 6), Fraction(1, 2)) if name == "hard_sigmoid" else (choices.slope, choices.offset)
    return hard_sigmoid(input_format, output, slope, offset, rounding=choices.rounding)


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
