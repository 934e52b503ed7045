"""What the assembly of every kind of layer needs: casts, functions and row constants as a profile chooses them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from fixedsim.assembly.functions import function, function_choices
from fixedsim.assembly.requantization import (
    each_once,
    exact_log2,
    floor_log2,
    requantize,
    requantizing,
    row_constants,
    scale_ratio,
)
from fixedsim.assembly.sums import Sums
from fixedsim.assembly.tensors import Overrides, RawBias, RawMatrix
from fixedsim.casts import Overflow
from fixedsim.errors import ProfileError
from fixedsim.formats import Format
from fixedsim.profiles.choices import CastChoices, Requantization, RequantizeChoices, ScaleArithmetic
from fixedsim.profiles.datapath import Accumulator, Activation, Narrowing
from fixedsim.profiles.profile import Profile


@dataclass(frozen=True, eq=False)
class Assembler:
    """The stages of datapaths after a profile, with what stands in for its choices."""

    profile: Profile
    overrides: Overrides = field(default_factory=Overrides)

    def cast(
        self,
        name: str,
        choices: CastChoices,
        source: Fraction,
        *,
        scales: ScaleArithmetic = ScaleArithmetic.EXACT,
    ) -> Narrowing:
        """The narrowing of values of scale ``source`` that a named cast makes, the ratio of scales in ``scales``.

        Raises:
            ProfileError: a cast by a shift between scales that are no power of two apart.
        """
        form = self.overrides.format(name, choices.format)
        narrowing = choices.model_copy(update={"format": form}).narrowing()
        ratio = scale_ratio((source, Fraction(1)), form.scale, scales, by_row=True)
        multiplier, shift = self.overrides.constants.get(name) or self._constants(name, choices, ratio)
        requantized = requantizing(form, narrowing.rounding, narrowing.overflow, choices.form, (multiplier, shift))
        return replace(
            requantized,
            primitive=narrowing.primitive or requantized.primitive,
            saturated_bits=narrowing.saturated_bits,
            guard_bits=narrowing.guard_bits,
        )

    def _constants(self, name: str, choices: CastChoices, ratio: Fraction) -> tuple[int, int]:
        if choices.form is Requantization.SHIFT and Fraction(2) ** floor_log2(ratio) != ratio:
            raise ProfileError(
                f"format of {name} must have a power-of-two scale like its source, not {choices.format.name}"
            )
        return requantize(ratio, RequantizeChoices(form=choices.form, multiplier_bits=choices.multiplier_bits), name)

    def activation(self, name: str, function_name: str, read: Format, form: Format) -> Activation:
        """The activation called ``function_name`` from ``read`` to ``form``, or what stands in for it."""
        return self.overrides.functions.get(name) or function(function_name, self.profile, read, form)

    def function_output(self, name: str, function_name: str, form: Format) -> Narrowing:
        """The cast of a function's value of ``form``: the profile's, or none."""
        choices = function_choices(function_name, self.profile).output
        if name in self.overrides.functions:
            form = self.overrides.functions[name].format
        return Narrowing(form) if choices is None else self.cast(name, choices, form.scale)

    def activation_cast(self, name: str, source: Fraction, form: Format) -> Narrowing:
        """The cast of values of scale ``source`` to an activation that travels between layers."""
        activation, choices = self.profile.activation, self.profile.requantize
        given = self.overrides.constants.get(name)
        ratio = scale_ratio((source, Fraction(1)), form.scale, choices.scales, by_row=True)
        constants = given or requantize(ratio, choices, name)
        return requantizing(form, activation.rounding, activation.overflow, choices.form, constants)

    def row_constants(
        self,
        name: str,
        matrix: RawMatrix,
        incoming: Fraction,
        added: Sums,
        target: Fraction,
        choices: RequantizeChoices,
    ) -> dict[str, ArrayLike]:
        """Product shift, multiplier, shift and scale of each row of a matrix, whose sums go to scale ``target``."""

        def ratio(scale: Fraction, total: Fraction) -> Fraction:
            guard = scale * incoming / total
            return scale_ratio((incoming, scale), target * guard, choices.scales, by_row=matrix.by_row)

        constants = row_constants(each_once(ratio, matrix.scale, added.scale), choices, name)
        found: dict[str, ArrayLike] = {
            "product_shift": added.product_shift,
            "multiplier": constants.multiplier,
            "shift": constants.shift,
            "scale": added.floats,
        }
        given = self.overrides.constants.get(name)
        if given is not None:
            found |= {"multiplier": given[0], "shift": given[1]}
        return found if matrix.zero_point is None else found | {"zero_point": matrix.zero_point}

    def bias(
        self, bias: RawBias, stage_scale: Sequence[Fraction], accumulator: Accumulator
    ) -> tuple[RawBias, Narrowing | None]:
        """The bias with the shift of each row, and its cast where the profile names the stored format."""
        fixed = self.profile.bias.fixed
        if fixed is None:
            return bias, None
        left = [exact_log2(fixed.format.scale / scale, "scale of the bias") for scale in stage_scale]
        cast = None
        product = accumulator.product
        if self.profile.accumulator.product is not None and product is not None:
            cast = Narrowing(
                accumulator.format, product.rounding, product.overflow, saturated_bits=product.saturated_bits
            )
        return RawBias(bias.raws, bias.format, np.array(left, dtype=np.int64)), cast


def same(form: Format, overflow: Overflow = Overflow.SATURATE) -> Narrowing:
    """The narrowing to a format of values that already have its scale."""
    return Narrowing(form, overflow=overflow)
