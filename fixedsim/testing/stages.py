"""The stages of a datapath, one by one: casts, gates, and what a datapath may lack."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    Activation,
    GateDatapath,
    LayerNorm,
    Narrowing,
    Peephole,
    Primitive,
)
from fixedsim.testing.cast import STAGE_BITS, narrowings, requantizations
from fixedsim.testing.format import formats
from fixedsim.testing.function import activations, fixed_functions, reaching

_MAX_NORM_BITS = 16  # of what layer normalization reads
_NORM_GAIN_BITS = 2  # normalized values are within a few times their deviation


@dataclass(frozen=True)
class Stages:
    """Draws the stages of a datapath: any of them, or with ``fitting`` those that keep what they read.

    A chain of any casts soon gives one value whatever it reads, and hides every fault before it. Those that fit shift
    by about as many bits as the target is narrower than its source, and their functions reach over their whole input.
    With ``more`` there are zero points inside, and one in three of the stages that a datapath may lack; ``algorithms``
    lets primitives, registered functions and layer normalizations be among them.
    """

    draw: st.DrawFn
    fitting: bool
    more: bool
    algorithms: bool

    def some(self) -> bool:
        """Whether a stage that a datapath may lack is there."""
        return self.more and self.draw(st.sampled_from((False, False, True)))

    def format(self) -> Format:
        """The format of a cast."""
        if not self.fitting:
            return self.draw(formats(widest=STAGE_BITS, zero_points=self.more))
        form = Format.integer(self.draw(st.integers(4, STAGE_BITS)))
        return replace(form, zero_point=self.draw(st.sampled_from((0, 3, -5)))) if self.more else form

    def cast(self, bits: int, form: Format | None = None) -> Narrowing:
        """A narrowing of integers of that many bits."""
        form = self.format() if form is None else form
        shifts = _around(bits - form.bits) if self.fitting else (-2, 6)
        return self._special(self.draw(narrowings(form, shifts=shifts)))

    def optional(self, bits: int) -> Narrowing | None:
        """A narrowing that a datapath may lack."""
        return self.cast(bits) if self.some() else None

    def bias_cast(self) -> Narrowing | None:
        """What a stored bias is narrowed to, a format without a zero point."""
        return self.draw(narrowings()) if self.some() else None

    def reread(self, form: Format) -> Format | None:
        """The same raws, read with another zero point."""
        return replace(form, zero_point=self.draw(st.integers(-9, 9))) if self.some() else None

    def _special(self, plain: Narrowing) -> Narrowing:
        """The narrowing, some of its highest bits saturated, or a primitive in its place."""
        if not self.some():
            return plain
        wraps = plain.overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)
        if wraps and plain.format.raw_step == 1 and self.draw(st.booleans()):
            return replace(plain, saturated_bits=self.draw(st.integers(0, min(plain.format.bits, 3))))
        if not self.algorithms or plain.format.raw_step == 2:
            return plain
        full = plain.format.signed and plain.format.full_range and plain.format.bits > 1
        primitive = self.draw(st.sampled_from([each for each in Primitive if full or each.is_float]))
        return replace(plain, primitive=primitive, guard_bits=self.draw(st.integers(0, 2)))

    def sum(self, added: Accumulator, incoming: Format, weight: Format) -> Narrowing:
        """The requantization of an accumulator."""
        form, shifts = self.format(), (-2, 6)
        if self.fitting:
            product, bits = added.product, incoming.bits + weight.bits
            if product is not None:
                bits = min(bits - product.shift, product.format.bits)
            shifts = _around(min(bits, added.bits) - form.bits)
        return self._special(self.draw(requantizations(form, shifts=shifts)))

    def gate(
        self, added: Accumulator, incoming: tuple[Format, Format], weights: tuple[Format, Format], cell: Format
    ) -> GateDatapath:
        """One gate's datapath."""
        sums = self.sum(added, incoming[0], weights[0]), self.sum(added, incoming[1], weights[1])
        preactivation = self.cast(max(each.format.bits for each in sums) + 1)
        peephole = self._peephole(preactivation, cell) if self.some() else None
        norm = self._norm() if self.algorithms and self.some() else None
        last = preactivation if peephole is None else peephole.sum
        function = self.function((last if norm is None else norm.output).format)
        return GateDatapath(*sums, preactivation, function, self.cast(function.format.bits), peephole, norm)

    def _peephole(self, preactivation: Narrowing, cell: Format) -> Peephole:
        weight = self.format()
        product = self.cast(weight.bits + cell.bits - 1)
        return Peephole(weight, product, self.cast(max(preactivation.format.bits, product.format.bits) + 1))

    def _norm(self) -> LayerNorm:
        weight = Format.integer(self.draw(st.integers(2, _MAX_NORM_BITS)))
        least_variance = self.draw(st.sampled_from((1, 10, (1 << 31) - 1)))
        return LayerNorm(weight, self.cast(weight.bits + _NORM_GAIN_BITS), least_variance)

    def function(self, read: Format) -> Activation:
        """The function of raws of a format."""
        if self.algorithms and self.some():
            return self.draw(fixed_functions())
        return self.draw(reaching(read, registered=self.algorithms) if self.fitting else activations())


def _around(shift: int) -> tuple[int, int]:
    return shift - 2, shift + 1
