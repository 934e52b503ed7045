"""Narrowings, formats and activations as parameters of the device."""

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Activation, Form, Interpolation, LookupTable, Narrowing, PiecewiseLinear

Parameters = dict[str, int]

ROUNDINGS = {rounding: place for place, rounding in enumerate(Rounding)}
OVERFLOWS = {
    Overflow.WRAP: 0,
    Overflow.SATURATE: 1,
    Overflow.SATURATE_SYMMETRIC: 2,
    Overflow.SATURATE_ZERO: 3,
}


def require(met: bool, subject: str, constraint: str, value: object) -> None:
    """Refuse what the device does not have.

    Raises:
        ModelError: the condition is not met.
    """
    if not met:
        raise ModelError(f"{subject} must be {constraint}, not {value}")


def form_parameters(prefix: str, form: Format, name: str) -> Parameters:
    """A format of codes: bits, lowest raw and step.

    Raises:
        ModelError: a zero point other than 0.
    """
    require(form.zero_point == 0, f"zero point of {prefix.lower()} of {name}", "0", form.zero_point)
    return {f"{prefix}_BITS": form.bits, f"{prefix}_LOW": form.raw_min, f"{prefix}_STEP": form.raw_step}


def overflow_code(mode: Overflow, what: str) -> int:
    """The number that the device has for an overflow.

    Raises:
        ModelError: one that it does not have.
    """
    require(mode in OVERFLOWS, f"overflow of {what}", "wrap or a saturating one", mode)
    return OVERFLOWS[mode]


def plain_parameters(prefix: str, stage: Narrowing, what: str) -> Parameters:
    """Bits, rounding and overflow of a plain cast.

    Raises:
        ModelError: a primitive, another form, saturated bits or a zero point.
    """
    require(stage.primitive is None, f"narrowing of {what}", "a plain cast", stage.primitive)
    require(stage.form is Form.SINGLE, f"form of {what}", "single", stage.form)
    require(stage.saturated_bits == 0, f"saturated bits of {what}", "0", stage.saturated_bits)
    require(stage.format.zero_point == 0, f"zero point of {what}", "0", stage.format.zero_point)
    return {
        f"{prefix}_BITS": stage.format.bits,
        f"{prefix}_ROUNDING": ROUNDINGS[stage.rounding],
        f"{prefix}_OVERFLOW": overflow_code(stage.overflow, what),
    }


def mode_parameters(prefix: str, stage: Narrowing, what: str, *, signed: bool | None = True) -> Parameters:
    """Those of a stage whose format uses all its codes; ``signed`` None allows both kinds.

    Raises:
        ModelError: another format, or as :func:`plain_parameters`.
    """
    form = stage.format
    natural = form.full_range and form.raw_step == 1 and signed in (None, form.signed)
    require(natural, f"format of {what}", "signed, of a full range" if signed else "of a full range", form.name)
    return plain_parameters(prefix, stage, what)


def stage_parameters(prefix: str, stage: Narrowing, what: str, *, signed: bool | None = True) -> Parameters:
    """Those of a stage whose shift is wired.

    Raises:
        ModelError: a multiplier, or as :func:`mode_parameters`.
    """
    require(stage.multiplier == 1, f"multiplier of {what}", "1", stage.multiplier)
    return {**mode_parameters(prefix, stage, what, signed=signed), f"{prefix}_SHIFT": stage.shift}


def signed_stage_parameters(prefix: str, stage: Narrowing, what: str) -> Parameters:
    """Those of a stage that may be signed or not.

    Raises:
        ModelError: as :func:`stage_parameters`.
    """
    return {**stage_parameters(prefix, stage, what, signed=None), f"{prefix}_SIGNED": int(stage.format.signed)}


def cast_parameters(prefix: str, stage: Narrowing, what: str) -> Parameters:
    """Those of a stage of any format with a multiplier.

    Raises:
        ModelError: as :func:`plain_parameters`.
    """
    form = stage.format
    return {
        **plain_parameters(prefix, stage, what),
        f"{prefix}_LOW": form.raw_min,
        f"{prefix}_HIGH": form.raw_max,
        f"{prefix}_STEP": form.raw_step,
        f"{prefix}_SHIFT": stage.shift,
        f"{prefix}_MULTIPLIER": stage.multiplier,
        f"{prefix}_MULTIPLIER_BITS": stage.multiplier.bit_length(),
    }


def activation_parameters(activation: Activation, name: str) -> Parameters:
    """A clamp or a table.

    Raises:
        ModelError: another activation.
    """
    if not isinstance(activation, PiecewiseLinear):
        return {"ACTIVATION": 1, **table_parameters("TABLE", activation, f"activation of {name}")}
    line = activation.slope, activation.shift, activation.offset, activation.low_input, activation.high_input
    require(line == (1, 0, 0, None, None), f"activation of {name}", "a clamp or a table", activation.function)
    require(activation.format.zero_point == 0, f"zero point of {name}", "0", activation.format.zero_point)
    return {"ACTIVATION": 0, "CLAMP_LOW": activation.low, "CLAMP_HIGH": activation.high}


def table_parameters(prefix: str, activation: Activation, what: str) -> Parameters:
    """A table with linear interpolation.

    Raises:
        ModelError: another activation or another table.
    """
    if not isinstance(activation, LookupTable):
        raise ModelError(f"{what} must be a table, not {activation.kind}")
    linear = activation.interpolation is Interpolation.LINEAR
    require(linear, f"interpolation of {what}", "linear", activation.interpolation)
    form = activation.format
    require(form.full_range and form.zero_point == 0, f"values of {what}", "of a full range around 0", form.name)
    return {
        f"{prefix}_VALUES": len(activation.values),
        f"{prefix}_BITS": form.bits,
        f"{prefix}_SIGNED": int(form.signed),
        f"{prefix}_INDEX_SHIFT": activation.index_shift,
        f"{prefix}_OFFSET": activation.offset,
        f"{prefix}_ROUNDING": ROUNDINGS[activation.rounding],
    }
