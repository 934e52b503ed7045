"""Checked array operations: NumPy in, NumPy out, equal to :mod:`fixedsim.spec` element by element.

Integer operands may be of any integer or Boolean type, of any shape and memory layout. Where 64-bit integers cannot
carry an operation (unsigned 64-bit formats, 63-bit accumulators), the scalar specification itself runs.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError, InputError, ModelError
from fixedsim.formats import Format
from fixedsim.kernels import activations as activation_kernels
from fixedsim.kernels import elementwise, products
from fixedsim.kernels import narrowing as layout
from fixedsim.profiles.datapath import (
    MAX_MULTIPLIER,
    MAX_SHIFT,
    Accumulator,
    Activation,
    Check,
    FixedFunction,
    Form,
    Function,
    Grouping,
    Interpolation,
    LookupTable,
    Narrowing,
    Order,
    PartialSums,
    PiecewiseLinear,
    Primitive,
)
from fixedsim.spec import accumulators as scalar_accumulators
from fixedsim.spec import activations as scalar_activations
from fixedsim.spec import casts as scalar_casts
from fixedsim.spec.functions import CMSIS_TABLE

Integers = npt.NDArray[np.int64]
Raws = npt.NDArray[Any]  # int64, or uint64 where a format's raws need it
AnyIntegers = npt.NDArray[Any]  # of any width
Reals = npt.NDArray[np.float64]

INT64 = Format.integer(64)
STEP_BITS = 62  # the widest accumulator that leaves room in 64 bits for one more addend of up to STEP_ADDEND
STEP_ADDEND = 1 << 62
_ROUNDINGS = list(Rounding)
_OVERFLOWS = list(Overflow)
_PRIMITIVES = list(Primitive)
_FUNCTION_KINDS = {
    Function.GEMMLOWP_SIGMOID: activation_kernels.GEMMLOWP_SIGMOID,
    Function.GEMMLOWP_TANH: activation_kernels.GEMMLOWP_TANH,
    Function.CMSIS_SIGMOID: activation_kernels.CMSIS_SIGMOID,
    Function.CMSIS_TANH: activation_kernels.CMSIS_TANH,
}
_TABULATED = (Function.CMSIS_SIGMOID, Function.CMSIS_TANH)
_MANTISSA_BITS = 53
_EXACT_FLOAT64 = 1 << _MANTISSA_BITS
_PIECE = 1 << 14  # reals at a time: what is computed on the way stays in caches
_FAR = 1 << 10  # with a shift of -62, beyond every format and a multiple of every 2**bits


def pack_narrowing(narrowing: Narrowing) -> Integers:
    """Return the fields of a narrowing as kernels take them; see :mod:`fixedsim.kernels.narrowing`.

    Raises:
        FormatError: raws beyond 64-bit integers, odd raws of less than the full range or that saturate to zero.
    """
    form, mode = narrowing.format, narrowing.overflow
    _require_kernel_format(form)
    lowest = form.raw_min
    symmetric = mode is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1 and form.raw_step == 1
    if narrowing.reads_overflow and symmetric and form.raw_max >= 0:
        lowest = max(lowest, -form.raw_max)
    return _packed(
        multiplier=narrowing.multiplier,
        shift=narrowing.shift,
        doubling=narrowing.form is Form.DOUBLING and narrowing.primitive is None,
        rounding=narrowing.rounding,
        overflow=mode,
        form=form,
        lowest=lowest,
        highest=form.raw_max,
        zero_point=form.zero_point,
        primitive=narrowing.primitive,
        saturated_bits=narrowing.saturated_bits,
        guard_bits=narrowing.guard_bits,
    )


def _packed(
    *,
    multiplier: int,
    shift: int,
    doubling: bool,
    rounding: Rounding,
    overflow: Overflow,
    form: Format,
    lowest: int,
    highest: int,
    zero_point: int,
    primitive: Primitive | None = None,
    saturated_bits: int = 0,
    guard_bits: int = 0,
) -> Integers:
    code = layout.DOUBLING if doubling else layout.SINGLE
    unusual = overflow is Overflow.WRAP_SIGN_MAGNITUDE or saturated_bits or primitive is not None
    if unusual or form.raw_step == 2 or abs(zero_point) > layout.NEAR_ZERO_POINT:
        code |= layout.ALWAYS_WIDE
    fields = {
        layout.MULTIPLIER: multiplier,
        layout.SHIFT: shift,
        layout.FORM: code,
        layout.ROUNDING: _ROUNDINGS.index(rounding),
        layout.OVERFLOW: _OVERFLOWS.index(overflow),
        layout.BITS: form.bits,
        layout.RAW_MIN: lowest,
        layout.RAW_MAX: highest,
        layout.RAW_STEP: form.raw_step,
        layout.ZERO_POINT: zero_point,
        layout.PRIMITIVE: layout.NO_PRIMITIVE if primitive is None else 1 + _PRIMITIVES.index(primitive),
        layout.SATURATED_BITS: saturated_bits,
        layout.GUARD_BITS: guard_bits,
    }
    return np.array([fields[position] for position in range(layout.NARROWING_FIELDS)], np.int64)


def pack_levels(partial: Sequence[PartialSums]) -> tuple[Integers, Integers]:
    """Return levels of partial sums as kernels take them ``(n, 3)``, and the narrowing of each.

    See :mod:`fixedsim.kernels.products`.
    """
    levels = np.zeros((len(partial), products.LEVEL_FIELDS), np.int64)
    for fields, level in zip(levels, partial, strict=True):
        fields[products.LANES if level.grouping is Grouping.LANES else products.TILE] = level.count
        fields[products.TREE] = level.order is Order.TREE
    held = [pack_narrowing(Narrowing(level.format, overflow=level.overflow)) for level in partial]
    return levels, np.array(held, np.int64).reshape(len(partial), layout.NARROWING_FIELDS)


def pack_activations(activations: Sequence[Activation]) -> tuple[Integers, Integers]:
    """Return the fields of activations ``(n, fields)`` as kernels take them, and the values of all their tables.

    Raises:
        ModelError: a slope beyond 32 bits, an offset or threshold beyond 64, or neighbours of a linear table 2**32 or
            more apart.
        FormatError: values beyond 64-bit integers.
    """
    rows, values = [], list[int]()
    for activation in activations:
        if isinstance(activation, LookupTable):
            rows.append(_pack_table(activation, len(values)))
            values.extend(activation.values)
        elif isinstance(activation, FixedFunction):
            rows.append(_pack_function(activation, len(values)))
            values.extend(CMSIS_TABLE if activation.primitive in _TABULATED else ())
        else:
            rows.append(_pack_line(activation))
    fields = np.array(rows, np.int64).reshape(len(rows), activation_kernels.ACTIVATION_FIELDS)
    return fields, np.array(values, np.int64)


def _pack_table(table: LookupTable, start: int) -> list[int]:
    _require_kernel_format(table.format)
    linear = table.interpolation is Interpolation.LINEAR
    pairs = zip(table.values, table.values[1:], strict=False)
    if linear and any(abs(right - left) > MAX_MULTIPLIER for left, right in pairs):
        raise ModelError(f"neighbours of a linear table must be at most {MAX_MULTIPLIER} apart")
    index = _packed(
        multiplier=table.index_multiplier,
        shift=table.index_shift,
        doubling=False,
        rounding=Rounding.FLOOR if linear else table.index_rounding,
        overflow=Overflow.SATURATE,
        form=INT64,
        lowest=0,
        highest=len(table.values) - 1,
        zero_point=_require_word(table.offset, "offset of a table"),
    )
    kind = activation_kernels.LINEAR if linear else activation_kernels.NEAREST
    return [*index.tolist(), kind, start, len(table.values), _ROUNDINGS.index(table.rounding), 0, 0, 0, 0]


def _pack_line(function: PiecewiseLinear) -> list[int]:
    _require_kernel_format(function.format)
    if abs(function.slope) > MAX_MULTIPLIER:
        raise ModelError(f"slope must be in {-MAX_MULTIPLIER}..{MAX_MULTIPLIER}, not {function.slope}")
    line = _packed(
        multiplier=function.slope,
        shift=function.shift,
        doubling=False,
        rounding=function.rounding,
        overflow=Overflow.SATURATE,
        form=INT64,
        lowest=function.low,
        highest=function.high,
        zero_point=_require_word(function.offset, "offset of a piecewise linear function"),
    )
    low, high = function.low_input, function.high_input
    thresholds = activation_kernels.HAS_LOW_INPUT if low is not None else 0
    thresholds |= activation_kernels.HAS_HIGH_INPUT if high is not None else 0
    inputs = [_require_word(0 if end is None else end, "threshold of a line") for end in (low, high)]
    return [*line.tolist(), activation_kernels.LINE, 0, 0, 0, thresholds, *inputs, 0]


def _pack_function(function: FixedFunction, start: int) -> list[int]:
    kind = _FUNCTION_KINDS[function.primitive]
    return [*[0] * layout.NARROWING_FIELDS, kind, start, 0, 0, 0, 0, 0, function.argument]


def _require_word(value: int, what: str) -> int:
    if not INT64.contains(value):
        raise ModelError(f"{what} must fit 64 bits, not {value}")
    return value


def _require_kernel_format(form: Format) -> None:
    if not _kernel_format(form):
        raise FormatError(f"format must have raws of 64-bit integers, in full where they are odd, not {form.name}")


def _kernel_format(form: Format) -> bool:
    return _in_words(form.raw_min, form.raw_max) and (form.raw_step == 1 or form.full_range)


def _in_words(low: int, high: int) -> bool:
    return low >= INT64.raw_min and high <= INT64.raw_max


def narrow(
    values: npt.ArrayLike,
    narrowing: Narrowing,
    multipliers: npt.ArrayLike | None = None,
    shifts: npt.ArrayLike | None = None,
) -> Raws:
    """Return ``values * multiplier / 2**shift`` narrowed as ``narrowing`` says, in the shape of ``values``.

    ``multipliers`` and ``shifts`` hold one constant for each position of the last axis, instead of the narrowing's own.
    The type is int64, or uint64 where the format's raws need it. See :func:`fixedsim.spec.casts.narrow`.

    Raises:
        InputError: values that are not integers, or row constants of another number than the last axis.
        FormatError: a multiplier outside 1 .. 2**32 - 1 or a shift outside -62 .. 62 (of a primitive in IEEE arithmetic
            1 .. 2**53 - 1 and -900 .. 900).
    """
    given = _integers(values, "values")
    rows = given.shape[-1] if given.ndim else 1
    by_row = _row_constants(multipliers, narrowing.multiplier, rows, "multipliers", (1, narrowing.max_multiplier))
    largest = narrowing.max_shift
    shift_by_row = _row_constants(shifts, narrowing.shift, rows, "shifts", (-largest, largest))
    words = _words(given)
    if words is None or not _kernel_format(narrowing.format):
        return _narrow_scalar(given, narrowing, by_row, shift_by_row)
    table = words.reshape(math.prod(given.shape[:-1]), rows)
    out, counts = np.empty_like(table), np.zeros(2, np.int64)
    elementwise.narrow_rows(table, by_row, shift_by_row, pack_narrowing(narrowing), out, counts)
    return out.reshape(given.shape)


def _narrow_scalar(given: AnyIntegers, narrowing: Narrowing, multipliers: Integers, shifts: Integers) -> Raws:
    constants = list(zip(multipliers.tolist(), shifts.tolist(), strict=True))
    raws = [
        scalar_casts.narrow(value, narrowing, *constants[position % len(constants)])
        for position, value in enumerate(given.ravel().tolist())
    ]
    return _stored(raws, narrowing.format).reshape(given.shape)


def _stored(raws: list[int], form: Format) -> Raws:
    if form.raw_min >= 0 and form.raw_max > INT64.raw_max:
        return np.array(raws, np.uint64)
    if not _in_words(form.raw_min, form.raw_max):
        raise FormatError(f"format must have raws of 64-bit integers, not {form.name}")
    return np.array(raws, np.int64)


def cast(
    values: npt.ArrayLike, shift: int, form: Format, rounding: Rounding, overflow: Overflow = Overflow.SATURATE
) -> Raws:
    """Return ``values / 2**shift`` narrowed to ``form``; see :func:`fixedsim.spec.casts.cast`.

    Raises:
        InputError: values that are not integers.
        FormatError: a shift outside -62 .. 62, or an overflow that the format cannot have.
    """
    return narrow(values, Narrowing(form, rounding, overflow, shift))


def activate(values: npt.ArrayLike, activation: Activation) -> Raws:
    """Return the activation of each of ``values``, in their shape; see :func:`fixedsim.spec.activations.activate`.

    Raises:
        InputError: values that are not integers, or not of 16 bits where the activation is a :class:`FixedFunction`.
    """
    given = _integers(values, "values")
    if isinstance(activation, FixedFunction):
        given = require_raws(given, Format.integer(16), "values")
    words = _words(given)
    try:
        fields, table_values = pack_activations([activation])
    except (ModelError, FormatError):  # beyond the kernels
        words = None
    if words is None:
        raws = [scalar_activations.activate(value, activation) for value in given.ravel().tolist()]
        return _stored(raws, activation.format).reshape(given.shape)
    flat = words.reshape(-1)
    out = np.empty_like(flat)
    elementwise.activate_all(flat, fields[0], table_values, np.empty((3, max(len(flat), 2)), np.int64), out)
    return out.reshape(given.shape)


def dot(
    weight: npt.ArrayLike,
    inputs: npt.ArrayLike,
    accumulator: Accumulator,
    start: npt.ArrayLike | None = None,
    product_shifts: npt.ArrayLike | None = None,
) -> Integers:
    """Return ``start + sum of weight[r, k] * inputs[n, k]`` over ascending k as ``accumulator`` holds it, ``(N, R)``.

    ``weight`` is ``(R, K)``; ``inputs`` is ``(N, K)`` with its zero point already subtracted; ``start`` broadcasts to
    ``(N, R)`` (None: 0); ``product_shifts`` ``(R,)`` stand in for the shift of the product's narrowing. See
    :func:`fixedsim.spec.accumulators.accumulate`.

    Raises:
        InputError: operands that are not integers, or shapes that do not fit each other.
        FormatError: a product shift outside -62 .. 62.
    """
    rows, columns = _integers(weight, "weight"), _integers(inputs, "inputs")
    if rows.ndim != 2 or columns.ndim != 2 or rows.shape[1] != columns.shape[1]:
        raise InputError(f"weight and inputs must be (R, K) and (N, K), not {rows.shape} and {columns.shape}")
    first = _start(start, (columns.shape[0], rows.shape[0]))
    own = 0 if accumulator.product is None else accumulator.product.shift
    shifts = _row_constants(product_shifts, own, rows.shape[0], "product_shifts", (-MAX_SHIFT, MAX_SHIFT))
    left, right, begin = _words(rows), _words(columns), _words(first)
    if left is None or right is None or begin is None or not _dot_fits(left, right, begin, accumulator):
        return _dot_scalar(rows, columns, accumulator, first, shifts)
    if accumulator.check is Check.STEP:
        return _dot_steps(left, right, accumulator, begin, shifts, accumulator.format)
    if accumulator.product is None and not accumulator.partial:
        exact = np.empty(first.shape, np.int64)
        products.matmul_wide(left, right, exact)
        exact += begin
    else:
        exact = _dot_steps(left, right, accumulator, begin, shifts, INT64)
    return narrow(exact, Narrowing(accumulator.format, overflow=accumulator.overflow))


def _start(start: npt.ArrayLike | None, shape: tuple[int, int]) -> AnyIntegers:
    given = np.zeros(shape, np.int64) if start is None else _integers(start, "start")
    try:
        return np.broadcast_to(given, shape)
    except ValueError as error:
        raise InputError(f"start must broadcast to {shape}, not {given.shape}") from error


def _dot_fits(weight: Integers, inputs: Integers, start: Integers, accumulator: Accumulator) -> bool:
    """Whether 64 bits hold every product and every sum of the accumulator and an addend."""
    addend = _magnitude(weight) * _magnitude(inputs)
    if addend > INT64.raw_max:
        return False
    if accumulator.product is not None:
        form = accumulator.product.format
        addend = max(abs(form.raw_min), abs(form.raw_max))
        if not _kernel_format(form):
            return False
    if any(level.bits > STEP_BITS for level in accumulator.partial) or (accumulator.partial and addend >= STEP_ADDEND):
        return False
    if accumulator.check is Check.STEP:
        return accumulator.bits <= STEP_BITS and addend <= STEP_ADDEND
    return bool(_magnitude(start) + weight.shape[1] * addend <= INT64.raw_max)


def _dot_steps(
    weight: Integers, inputs: Integers, accumulator: Accumulator, start: Integers, shifts: Integers, held: Format
) -> Integers:
    product = pack_narrowing(Narrowing(INT64) if accumulator.product is None else accumulator.product)
    limiter = pack_narrowing(Narrowing(held, overflow=accumulator.overflow))
    last = np.zeros(weight.shape[0], np.int64)
    out, counts, product_counts = np.empty(start.shape, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    operands, written = (weight, inputs, start, last), (limiter, out, counts, product_counts)
    narrowed = accumulator.product is not None
    if accumulator.partial:
        levels = pack_levels(accumulator.partial)
        products.accumulate_partial(*operands, (narrowed, product, shifts), levels, *written)
    else:
        products.accumulate_steps(*operands, narrowed, product, shifts, *written)
    return out


def _dot_scalar(
    weight: AnyIntegers, inputs: AnyIntegers, accumulator: Accumulator, start: AnyIntegers, shifts: Integers
) -> Integers:
    rows = list(zip(weight.tolist(), shifts.tolist(), strict=True))
    sums = [
        scalar_accumulators.accumulate(
            scalar_accumulators.products(row, vector, accumulator, shift), accumulator, first
        )
        for vector, firsts in zip(inputs.tolist(), start.tolist(), strict=True)
        for (row, shift), first in zip(rows, firsts, strict=True)
    ]
    return np.array(sums, np.int64).reshape(start.shape)


def to_raw(
    reals: npt.ArrayLike,
    form: Format,
    rounding: Rounding = Rounding.HALF_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    *,
    saturated_bits: int = 0,
) -> Raws:
    """Return ``reals / scale`` narrowed to ``form``: rounded, moved by the zero point, brought into range.

    With ``scale = a / b`` the quotient is ``(real * b) / a`` in IEEE 754 binary64, two operations; its exact value is
    what is rounded (``raw_step`` 2: on the code). A quotient of infinity saturates.

    Raises:
        InputError: reals that are not numbers, NaN, or an infinite quotient where ``overflow`` wraps.
        FormatError: a scale beyond binary64, or an overflow that the format cannot have.
    """
    narrowing = Narrowing(form, rounding, overflow, saturated_bits=saturated_bits)
    quotient = _quotient(reals, form)
    infinite = np.isinf(quotient)
    if overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) and infinite.any():
        position = _first(infinite)
        raise InputError(f"reals{position} must be finite in units of the scale, not {quotient[infinite].flat[0]}")
    flat = quotient.reshape(-1)
    pieces = [_rounded(flat[first : first + _PIECE], narrowing) for first in range(0, max(flat.size, 1), _PIECE)]
    return (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(quotient.shape)


def _rounded(quotient: Reals, narrowing: Narrowing) -> Raws:
    """Reals ``(N,)`` narrowed as integers over a power of two, each with its own."""
    infinite = np.isinf(quotient)
    fraction, exponent = np.frexp(np.where(infinite, 0.0, quotient))
    mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
    shift = _MANTISSA_BITS - exponent.astype(np.int64)
    tiny = shift > MAX_SHIFT  # not zero and far below half a unit: any such value rounds alike
    mantissa = np.where(tiny, np.sign(mantissa), mantissa << np.clip(-MAX_SHIFT - shift, 0, 10))
    mantissa = np.where(infinite, np.where(quotient > 0, _FAR, -_FAR), mantissa)
    shift = np.where(infinite, -MAX_SHIFT, np.clip(shift, -MAX_SHIFT, MAX_SHIFT))
    return narrow(mantissa, narrowing, shifts=shift)


def _quotient(reals: npt.ArrayLike, form: Format) -> Reals:
    given = np.asarray(reals)
    if given.dtype.kind not in "fiub":
        raise InputError(f"reals must be numbers, not {given.dtype}")
    exact: Reals = given.astype(np.float64)
    if np.isnan(exact).any():
        raise InputError(f"reals{_first(np.isnan(exact))} must be a number, not nan")
    numerator, denominator = _scale(form)
    with np.errstate(over="ignore", under="ignore"):
        quotient: Reals = (exact * denominator) / numerator
    return quotient


def _scale(form: Format) -> tuple[float, float]:
    try:
        return float(form.scale.numerator), float(form.scale.denominator)
    except OverflowError as error:
        raise FormatError(f"scale must be a quotient of integers below 2**1024, not {form.scale}") from error


def to_real(raws: npt.ArrayLike, form: Format) -> Reals:
    """Return ``(raw - zero_point) * a / b`` for ``scale = a / b``: exact integers, then binary64, two operations.

    Raises:
        InputError: raws that are not integers.
        FormatError: a scale beyond binary64.
    """
    given = _integers(raws, "raws")
    numerator, denominator = _scale(form)
    table = given.reshape(math.prod(given.shape[:-1]), given.shape[-1]) if given.ndim > 1 else given.reshape(-1, 1)
    largest = _magnitude_of_type(given) + abs(form.zero_point)
    reals, some = np.empty(table.shape, np.float64), max(1, _PIECE // max(table.shape[1], 1))
    for first in range(0, len(table), some):  # what is computed stays in caches, and no second array is as large
        raw, real = table[first : first + some], reals[first : first + some]
        if largest <= _EXACT_FLOAT64:
            real[...] = raw
            real -= form.zero_point
        elif largest <= INT64.raw_max:
            np.subtract(raw, form.zero_point, out=real, dtype=np.int64, casting="unsafe")
        else:
            real[...] = [[float(each - form.zero_point) for each in row] for row in raw.tolist()]
        real *= numerator
        real /= denominator
    return reals.reshape(given.shape)


def require_raws(values: npt.ArrayLike, form: Format, what: str) -> Raws:
    """Return ``values`` as int64 (uint64 where the format needs it), each of them a raw of ``form``.

    Raises:
        InputError: another type than integers, or an element that is no raw; the first is named with its index.
    """
    given = checked_raws(values, form, what)
    return np.ascontiguousarray(given, np.uint64 if form.raw_max > INT64.raw_max else np.int64).reshape(given.shape)


def checked_raws(values: npt.ArrayLike, form: Format, what: str) -> AnyIntegers:
    """Return ``values`` in the integer type that they have, each of them a raw of ``form``.

    Raises:
        InputError: as of :func:`require_raws`.
    """
    given = _integers(values, what)
    if given.size and not _surely_raws(given, form):
        wrong = _not_raws(given, form)
        if wrong.any():
            value = int(given[wrong].flat[0])
            raise InputError(f"{what}{_first(wrong)} must be a raw of {_raws(form)}, not {value}")
    return given


def _surely_raws(given: AnyIntegers, form: Format) -> bool:
    """Whether the type, or else the least and the largest element, show that all are raws."""
    if form.raw_step != 1:
        return False
    held = np.iinfo(given.dtype)
    if form.raw_min <= held.min and held.max <= form.raw_max:
        return True
    return form.raw_min <= int(given.min()) and int(given.max()) <= form.raw_max


def _raws(form: Format) -> str:
    step = f" step {form.raw_step}" if form.raw_step != 1 else ""
    return f"{form.name} ({form.raw_min}..{form.raw_max}{step})"


def _not_raws(given: AnyIntegers, form: Format) -> npt.NDArray[np.bool_]:
    words = _words(given)
    if words is None or not _in_words(form.raw_min, form.raw_max):
        scalar = [not form.contains(raw) for raw in given.ravel().tolist()]
        return np.array(scalar, np.bool_).reshape(given.shape)
    outside = (words < form.raw_min) | (words > form.raw_max)
    return outside if form.raw_step == 1 else outside | ((words & 1) != (form.raw_min & 1))


def _first(wrong: npt.NDArray[np.bool_]) -> str:
    """The index of the first element that is wrong, as ``[3, 2]``; nothing for a scalar."""
    if wrong.ndim == 0:
        return ""
    return str([int(index) for index in np.unravel_index(int(wrong.argmax()), wrong.shape)])


def _integers(values: npt.ArrayLike, what: str) -> AnyIntegers:
    given = np.asarray(values)
    if given.dtype.kind == "b":
        return given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise InputError(f"{what} must be integers of at most 64 bits, not {given.dtype}")
    return given


def _words(given: AnyIntegers) -> Integers | None:
    """The integers as contiguous int64 of the same shape, or None where they do not fit."""
    if given.dtype == np.uint64 and given.size and int(given.max()) > INT64.raw_max:
        return None
    return np.ascontiguousarray(given, np.int64).reshape(given.shape)


def _magnitude(given: AnyIntegers) -> int:
    return max(abs(int(given.min())), abs(int(given.max()))) if given.size else 0


def _magnitude_of_type(given: AnyIntegers) -> int:
    """What no element exceeds: by the type, where that is below 64 bits."""
    return 1 << 8 * given.itemsize if given.itemsize < 8 else _magnitude(given)


def _row_constants(given: npt.ArrayLike | None, own: int, rows: int, what: str, allowed: tuple[int, int]) -> Integers:
    if given is None:
        return np.full(rows, own, np.int64)
    constants = _integers(given, what)
    if constants.shape != (rows,):
        raise InputError(f"{what} must be ({rows},), one for each position of the last axis, not {constants.shape}")
    if rows and not allowed[0] <= int(constants.min()) <= int(constants.max()) <= allowed[1]:
        outside = next(value for value in constants.tolist() if not allowed[0] <= value <= allowed[1])
        raise FormatError(f"{what} must be in {allowed[0]}..{allowed[1]}, not {outside}")
    return np.ascontiguousarray(constants, np.int64)
