"""What integer layers are made of: matrices and biases with the constants of their rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import require_raws
from fixedsim.casts import Overflow
from fixedsim.errors import ModelError
from fixedsim.formats import Format, bits_for
from fixedsim.profiles.datapath import MAX_SHIFT, Accumulator, BiasStage, Narrowing
from fixedsim.spec.layers import BiasRows, MatrixRows

Integers = NDArray[np.int64]
MAX_BIAS_BITS = 63  # as it enters
MAX_ZERO_POINT = 1 << 31


def smallest(values: ArrayLike) -> NDArray[np.integer[Any]]:
    """The integers in the smallest signed NumPy type that holds them all."""
    wide = np.asarray(values)
    low, high = int(wide.min(initial=0)), int(wide.max(initial=0))
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.ascontiguousarray(wide, dtype=kind)
    return np.ascontiguousarray(wide, dtype=np.int64)


def row_constants(values: ArrayLike | None, default: int, rows: int, low: int, high: int, what: str) -> Integers:
    """``values`` (one, or one for each row) as ``(rows,)`` int64.

    Raises:
        ModelError: not integers, not one for each row, or outside ``low .. high``.
    """
    array = np.asarray(default if values is None else values)
    if array.dtype.kind not in "iu" or array.shape not in ((), (1,), (rows,)):
        raise ModelError(f"{what} must be one integer or one for each of {rows} rows, not {array.dtype}{array.shape}")
    if array.size and not low <= int(array.min()) <= int(array.max()) <= high:
        raise ModelError(f"{what} must be in {low}..{high}, not {int(array.min())}..{int(array.max())}")
    return np.array(np.broadcast_to(array, (rows,)), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A weight matrix ``(rows, inputs)`` of raws, and for each row the constants of its narrowings.

    ``product_shift`` belongs to the narrowing of products, ``multiplier`` and ``shift`` to the requantization of the
    row's accumulator; ``zero_point`` is the raw weight that means zero; ``scale`` is the real value of one unit of the
    row's accumulator, for dequantized traces only.
    """

    weight: NDArray[np.integer[Any]]
    product_shift: Integers
    multiplier: Integers
    shift: Integers
    zero_point: Integers
    scale: NDArray[np.float64]

    @staticmethod
    def of(
        weight: ArrayLike,
        form: Format,
        accumulator: Accumulator,
        requantize: Narrowing,
        *,
        product_shift: ArrayLike | None = None,
        multiplier: ArrayLike | None = None,
        shift: ArrayLike | None = None,
        zero_point: ArrayLike | None = None,
        scale: ArrayLike = 1.0,
        what: str = "weight",
    ) -> "Matrix":
        """A checked matrix; constants left out are those of the datapath's narrowings.

        Raises:
            InputError: a weight that is not a raw of ``form``.
            ModelError: not two axes, or constants out of range.
        """
        raws = require_raws(weight, form, what)
        if raws.ndim != 2:
            raise ModelError(f"{what} must have 2 axes (rows, inputs), not shape {raws.shape}")
        rows = raws.shape[0]
        product = accumulator.product.shift if accumulator.product else 0
        shifts = -requantize.max_shift, requantize.max_shift
        multipliers = 1, requantize.max_multiplier
        return Matrix(
            smallest(raws),
            row_constants(product_shift, product, rows, -MAX_SHIFT, MAX_SHIFT, f"product shift of {what}"),
            row_constants(multiplier, requantize.multiplier, rows, *multipliers, f"multiplier of {what}"),
            row_constants(shift, requantize.shift, rows, *shifts, f"shift of {what}"),
            row_constants(zero_point, form.zero_point, rows, -MAX_ZERO_POINT, MAX_ZERO_POINT, f"zero point of {what}"),
            np.array(np.broadcast_to(np.asarray(scale, dtype=np.float64), (rows,))),
        )

    @property
    def rows(self) -> int:
        """The count of rows."""
        return int(self.weight.shape[0])

    @property
    def inputs(self) -> int:
        """The length of a row."""
        return int(self.weight.shape[1])

    @cached_property
    def centred(self) -> NDArray[np.integer[Any]]:
        """The weights less their zero points ``(rows, inputs)``."""
        if not np.any(self.zero_point):
            return self.weight
        return smallest(self.weight.astype(np.int64) - self.zero_point[:, None])

    def fold(self, zero_point: int) -> Any:
        """``-zero_point * sum of the row's weights`` as Python integers ``(rows,)``: what lets inputs stay raw."""
        return -zero_point * np.sum(self.centred.astype(np.int64), axis=1).astype(object)

    @cached_property
    def scalar(self) -> MatrixRows:
        """The same for the scalar specification."""
        return MatrixRows(
            self.weight.tolist(),
            self.product_shift.tolist(),
            self.multiplier.tolist(),
            self.shift.tolist(),
            self.zero_point.tolist(),
        )


@dataclass(frozen=True, eq=False)
class Bias:
    """Stored biases ``(rows,)``; each enters as ``raw * 2**shift``, narrowed by ``cast``, at the datapath's stage."""

    raw: NDArray[np.integer[Any]]
    shift: Integers
    cast: Narrowing | None = None

    @staticmethod
    def of(
        raw: ArrayLike | None,
        form: Format,
        rows: int,
        *,
        shift: ArrayLike | None = None,
        cast: Narrowing | None = None,
        what: str,
    ) -> "Bias":
        """Checked biases, zeros where there are none.

        Raises:
            InputError: a bias that is not a raw of ``form``.
            ModelError: not one for each row, a shift outside 0..62 (-62..62 with a cast), a bias that is beyond 63
                bits as it enters, or a format with a zero point.
        """
        for each in (form, form if cast is None else cast.format):
            if each.zero_point:
                raise ModelError(f"zero point of {what} must be 0, not {each.zero_point}")
        raws = require_raws(np.zeros(rows, dtype=np.int64) if raw is None else raw, form, what)
        if raws.shape != (rows,):
            raise ModelError(f"{what} must have shape ({rows},), not {raws.shape}")
        own, least = (0, 0) if cast is None else (-cast.shift, -MAX_SHIFT)
        bias = Bias(smallest(raws), row_constants(shift, own, rows, least, MAX_SHIFT, f"shift of {what}"), cast)
        widest = max((bits_for(int(value), int(value)) for value in bias.value), default=1)
        if widest > MAX_BIAS_BITS:
            raise ModelError(f"{what} must fit {MAX_BIAS_BITS} bits after its shift, not {widest}")
        return bias

    @cached_property
    def value(self) -> Any:
        """The biases as they enter, as Python integers ``(rows,)``."""
        return np.array([self.scalar.value(row) for row in range(len(self.raw))], dtype=object)

    def at(self, stage: BiasStage, wanted: BiasStage) -> Any:
        """The values where the bias enters at ``wanted``, else zeros."""
        return self.value if stage is wanted else np.zeros(len(self.raw), dtype=object)

    @cached_property
    def scalar(self) -> BiasRows:
        """The same for the scalar specification."""
        return BiasRows(self.raw.tolist(), self.shift.tolist(), self.cast)

    def require_fit(self, accumulator: Accumulator, stage: BiasStage, what: str) -> None:
        """Refuse biases that the accumulator would cut off at once.

        Raises:
            ModelError: a bias that enters a saturating accumulator and does not fit it.
        """
        kept = accumulator.overflow not in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) and self.cast is None
        if not kept or stage not in (BiasStage.FIRST, BiasStage.LAST) or not len(self.raw):
            return
        form = accumulator.format
        widths = [bits_for(int(value), int(value)) for value in self.value]
        needed = max(widths)
        row = widths.index(needed)
        if not form.contains(self.value[row]):
            raise ModelError(
                f"accumulator of {what} must be at least {needed} bits wide to hold its bias "
                f"{self.value[row]} of row {row}, not {form.bits} bits"
            )
