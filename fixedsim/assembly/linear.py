"""A fully connected layer from raws and a profile."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from fixedsim.assembly.assembler import Assembler
from fixedsim.assembly.clamps import CLAMPS, clamp, clamp_range
from fixedsim.assembly.functions import function_choices
from fixedsim.assembly.requantization import requantizing
from fixedsim.assembly.sums import accumulator, sums
from fixedsim.assembly.tensors import LinearTensors, Overrides
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.linear import Linear
from fixedsim.profiles.choices import LinearStages, RequantizeChoices, RuleChoices
from fixedsim.profiles.datapath import Activation, BiasStage, LinearDatapath, Narrowing
from fixedsim.profiles.profile import Profile
from fixedsim.tables import identity

_SHORT_WEIGHT = 4  # bits
_LONG_BIAS = 32  # bits; wider ones take the rule of 64-bit accumulators
_Stages = tuple[Narrowing, Narrowing, Activation, Narrowing]


def assemble_linear(
    name: str,
    tensors: LinearTensors,
    profile: Profile,
    overrides: Overrides | None = None,
    rule: RequantizeChoices | None = None,
) -> Linear:
    """A fully connected layer ``output(activation(preactivation(sum(W x + b))))`` with the profile's arithmetic.

    ``rule`` requantizes in place of the profile's rule for the widths of inputs and biases.

    Raises:
        ModelError: raws, formats or scales that do not fit each other or the profile.
        InputError: a weight or bias that is no raw of its format.
    """
    assembler = Assembler(profile, overrides or Overrides())
    if profile.linear.ignored_weight_zero_point:
        matrix = tensors.matrix
        blind = replace(matrix, format=replace(matrix.format, zero_point=0), zero_point=None)
        tensors = replace(tensors, matrix=blind)
    rule = rule or requantization_rule(profile, tensors)
    held = accumulator(profile, rule.accumulator_bits if isinstance(rule, RuleChoices) else None)
    added = sums(tensors.matrix.scale, tensors.input.scale, profile, f"{name}.weight")
    stages = _stages(name, tensors, assembler, rule)
    stage = profile.linear.bias_stage or profile.bias.stage
    late = stage is BiasStage.PREACTIVATION
    scales = [stages[0].format.scale] * len(added.scale) if late else added.scale
    bias, bias_cast = assembler.bias(tensors.bias, scales, held)
    datapath = LinearDatapath(
        input=tensors.input,
        weight=tensors.matrix.format,
        bias=bias.format,
        accumulator=held,
        bias_stage=stage,
        sum=stages[0],
        preactivation=stages[1],
        activation=stages[2],
        output=stages[3],
        bias_cast=bias_cast,
        folded_zero_point=profile.accumulator.folded_zero_point,
    )
    target, incoming = stages[0].format.scale, tensors.input.scale
    constants = assembler.row_constants(f"{name}.weight", tensors.matrix, incoming, added, target, rule)
    shift = {} if bias.shift is None else {"bias_shift": bias.shift}
    return Linear.from_raws(name, tensors.matrix.raws, bias.raws, datapath, **constants, **shift)


def requantization_rule(profile: Profile, tensors: LinearTensors) -> RequantizeChoices:
    """The rule for the widths of a layer's inputs, weights and biases, and for weights with a zero point."""
    choices, matrix = profile.linear, tensors.matrix
    shifted = bool(matrix.format.zero_point) if matrix.zero_point is None else bool(np.any(matrix.zero_point))
    own = None
    if tensors.input.bits <= 8:
        if shifted:
            own = choices.requantize_zero_point
        elif matrix.format.bits == _SHORT_WEIGHT and matrix.raws.shape[1] % 2:
            own = choices.requantize_odd_weight_4
    elif tensors.bias.format.bits > _LONG_BIAS:
        own = choices.requantize_16
    else:
        own = (choices.requantize_16_zero_point if shifted else None) or choices.requantize_16_bias_32
    return own or choices.requantize or profile.requantize


def linear_sum_format(activation: str, output: Format | None, scale: Fraction, profile: Profile) -> Format:
    """The format of a layer's requantized sums, where a late bias enters; ``scale`` is that of its outputs."""
    choices = profile.linear
    if activation in CLAMPS and choices.stages is LinearStages.DIRECT and output is not None:
        return output
    if activation in CLAMPS and choices.stages is not LinearStages.PREACTIVATION:
        return Format.integer(profile.accumulator.bits).with_scale(scale)
    return choices.preactivation.format


def _stages(name: str, tensors: LinearTensors, assembler: Assembler, rule: RequantizeChoices) -> _Stages:
    """The narrowing of the sum, the pre-activation, the activation and the output."""
    choices = assembler.profile.linear
    if tensors.activation not in CLAMPS:
        return _function_stages(name, tensors, assembler, rule)
    match choices.stages:
        case LinearStages.DIRECT if tensors.output is not None:
            return _direct_stages(name, tensors, assembler, rule)
        case LinearStages.PREACTIVATION:
            total = _preactivation(name, assembler, rule)
            output = tensors.output or total.format
            narrowed = _output(name, total.format.scale, output, assembler)
            return total, Narrowing(total.format), clamp(tensors, total.format), narrowed
        case _:
            return _wide_stages(tensors, assembler.profile, rule)


def _wide_stages(tensors: LinearTensors, profile: Profile, rule: RequantizeChoices) -> _Stages:
    """Sums at accumulator width on the scale of the output, clamped there."""
    choices = profile.linear
    scale = tensors.sum_scale if tensors.output is None else tensors.output.scale
    if scale is None:
        raise ModelError("sum_scale must be given where the output has no format")
    form = Format.integer(profile.accumulator.bits).with_scale(scale)
    total = requantizing(form, choices.rounding, choices.overflow, rule.form)
    narrowed = Narrowing(tensors.output or form, overflow=profile.activation.overflow)
    return total, Narrowing(form, overflow=choices.overflow), clamp(tensors, form), narrowed


def _direct_stages(name: str, tensors: LinearTensors, assembler: Assembler, rule: RequantizeChoices) -> _Stages:
    """The accumulator becomes the output in one cast, whose range is the activation's where it saturates."""
    choices = assembler.profile.linear
    output = tensors.output
    assert output is not None
    saturates = choices.primitive is None and choices.overflow is Overflow.SATURATE
    rounding = rule.rounding if isinstance(rule, RuleChoices) else choices.rounding
    own = rounding if isinstance(rule, RuleChoices) else Rounding.HALF_AWAY
    low, high = clamp_range(tensors, output, own) if saturates else (output.raw_min, output.raw_max)
    form = replace(output, raw_min=low, raw_max=high) if low < high else output
    plain = requantizing(form, rounding, choices.overflow, rule.form)
    total = replace(plain, primitive=choices.primitive or plain.primitive)
    activation = identity(form, form) if saturates else clamp(tensors, form)
    if low == high:
        activation = replace(activation, lower=low, upper=high)
    return total, Narrowing(form), activation, Narrowing(output)


def _function_stages(name: str, tensors: LinearTensors, assembler: Assembler, rule: RequantizeChoices) -> _Stages:
    """A table or another function on the pre-activation."""
    total = _preactivation(name, assembler, rule)
    form = function_choices(tensors.activation, assembler.profile).format
    activation = assembler.activation(f"{name}.activation", tensors.activation, total.format, form)
    narrowed = _output(name, activation.format.scale, tensors.output or form, assembler)
    overflow = Overflow.SATURATE if total.primitive else total.overflow
    return total, Narrowing(total.format, overflow=overflow), activation, narrowed


def _output(name: str, source: Fraction, output: Format, assembler: Assembler) -> Narrowing:
    """The cast of the activation's value to the output's format."""
    choices = assembler.profile.linear.output
    if choices is None:
        return assembler.activation_cast(f"{name}.output", source, output)
    fixed = Assembler(assembler.profile, Overrides(constants=assembler.overrides.constants))
    return fixed.cast(f"{name}.output", choices.model_copy(update={"format": output}), source)


def _preactivation(name: str, assembler: Assembler, rule: RequantizeChoices) -> Narrowing:
    """The cast of the accumulator to the profile's pre-activation; the rows have their own constants."""
    choices = assembler.profile.linear.preactivation
    form = assembler.overrides.format(f"{name}.preactivation", choices.format)
    plain = requantizing(form, choices.rounding, choices.overflow, rule.form)
    primitive = choices.primitive or plain.primitive
    return replace(plain, primitive=primitive, saturated_bits=choices.saturated_bits, guard_bits=choices.guard_bits)
