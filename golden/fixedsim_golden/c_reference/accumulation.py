"""Accumulators as C functions: products into a buffer of addends, and the addends into one register."""

from dataclasses import dataclass
from typing import NamedTuple

from fixedsim.casts import Overflow
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.parts import Matrix
from fixedsim.profiles.datapath import Accumulator, Check, Grouping, Narrowing, Order, PartialSums
from fixedsim_golden.c_reference import spans, text
from fixedsim_golden.c_reference.narrowing import Scale, describe, narrow, overflowed, row_scale
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import INT64_MAX, Span
from fixedsim_golden.c_reference.text import Constant

_LANES = """    for (k = 0; k < {count} && k < count; k++)
        addends[k] = {add_up}(addends + k, (count - k + {count} - 1) / {count}, {count});
    count = count < {count} ? count : {count};
"""
_TILES = """    for (k = 0; k * {count} < count; k++)
        addends[k] = {add_up}(addends + k * {count}, count - k * {count} < {count} ? count - k * {count} : {count}, 1);
    count = k;
"""
_ONE_TILE = """    addends[0] = {add_up}(addends, count, 1);
    count = 1;
"""
_SEQUENCE = """static int64_t @(int64_t *addends, int count, int stride)
{{
    int64_t total = 0;
    int k;

    for (k = 0; k < count; k++)
        total = {sum};
    return total;
}}"""
_TREE = """static int64_t @(int64_t *addends, int count, int stride)
{{
    int k;

    if (count == 1)
        return {alone};
    for (; count > 1; count = count / 2 + count % 2) {{
        for (k = 0; k < count / 2; k++)
            addends[k * stride] = {sum};
        if (count % 2)
            addends[k * stride] = addends[2 * k * stride];
    }}
    return addends[0];
}}"""


class Vector(NamedTuple):
    """What a matrix is multiplied with: its C name, its range, where its addends begin, and what messages name."""

    name: str
    span: Span
    first: int
    subject: str


@dataclass(frozen=True)
class Products:
    """The products of a matrix and a vector: the statements that fill ``addends``, and what they can reach."""

    code: str
    count: int
    each: int  # largest magnitude of one
    total: int  # largest sum of magnitudes of a row


def products(
    source: Source, prefix: str, rows: slice, matrix: Matrix, vector: Vector, accumulator: Accumulator
) -> Products:
    """Add the weights of some rows, and return the products of one row ``unit`` into ``addends``.

    Raises:
        ModelError: a matrix without columns, or products beyond 64 bits.
    """
    name, read, first, subject = vector
    if matrix.inputs == 0:
        raise ModelError(f"inputs of {subject} must be at least 1, not 0")
    weights = [[int(raw) for raw in row] for row in matrix.centred[rows].tolist()]
    span = spans.of([raw for row in weights for raw in row]).times(read).word(subject)
    symbol = source.array(f"{prefix}_weight", weights, subject)
    product = f"{symbol}[unit][k] * {name}[k]"
    place = "addends[k]" if first == 0 else f"addends[{first} + k]"
    header = f"        for (k = 0; k < {matrix.inputs}; k++)"
    widest = max(sum(abs(raw) for raw in row) for row in weights) * read.magnitude
    stage = accumulator.product
    if stage is None:
        return Products(f"{header}\n            {place} = {product};\n", matrix.inputs, span.magnitude, widest)
    shifts = matrix.product_shift[rows].tolist()
    scale = row_scale(source, f"{prefix}_product", stage, [stage.multiplier] * len(shifts), shifts, subject)
    narrowed = narrow("value", span, stage, subject, scale)
    note = text.comment("product: " + describe(stage, "weight * value", scale), "            ")
    code = f"{header} {{\n            value = {product};\n{note}\n            {place} = {narrowed};\n        }}\n"
    each = min(_widest(stage.format), _moved(span, stage, scale))
    return Products(code, matrix.inputs, each, each * matrix.inputs)


def _moved(span: Span, stage: Narrowing, scale: Scale) -> int:
    """A bound of the magnitude of narrowed products where their overflow does not act."""
    if stage.format.raw_step == 2 or stage.primitive is not None:
        return _widest(stage.format)
    product = span.times(scale.multiplier.span).magnitude
    least = scale.shift.span.low
    return (product << max(-least, 0) >> max(least, 0)) + 1 + abs(stage.format.zero_point)


def accumulate(
    source: Source,
    subject: str,
    parts: list[Products],
    accumulator: Accumulator,
    start: Constant,
    last: Constant | None,
) -> tuple[str, Span]:
    """The C expression of the sum of the addends of ``parts``, and its range.

    Raises:
        ModelError: sums that 64 bits do not hold on the way.
    """
    each, total = max(part.each for part in parts), sum(part.total for part in parts)
    left = count = sum(part.count for part in parts)
    levels = ""
    for level in accumulator.partial:
        levels += _grouped(source, level, each, total, subject)
        left = min(left, level.count) if level.grouping is Grouping.LANES else -(-left // (level.count or left))
        total = min(total, left * _widest(level.format))
        each = min(_widest(level.format), total)
    added = 0 if last is None else last.span.magnitude
    reach = total + start.span.magnitude + added
    _require_register(accumulator, reach, max(each, added), subject)
    body = _register(accumulator, levels, biased=last is not None)
    symbol = source.shared("accumulate", body, lambda symbol: body.replace("@", symbol))
    held = spans.raws(accumulator.format)
    call = f"{symbol}(addends, {count}, {start.text}{'' if last is None else f', {last.text}'})"
    return call, Span(-reach, reach) if reach <= held.high else held


def _widest(form: Format) -> int:
    return spans.raws(form).magnitude


def _sum(left: str, right: str, form: Format, overflow: Overflow) -> str:
    """One addition and its overflow; one that wraps adds modulo 2**64."""
    added = f"plus({left}, {right})" if overflow is Overflow.WRAP else f"{left} + {right}"
    return overflowed(added, form, overflow)


def _require_sums(overflow: Overflow, held: int, reach: int, addend: int, subject: str) -> None:
    if overflow is not Overflow.WRAP and min(held, reach) + addend > INT64_MAX:
        raise ModelError(f"sums of {subject} must fit 64 bits before their overflow, not {min(held, reach) + addend}")


def _grouped(source: Source, level: PartialSums, each: int, reach: int, subject: str) -> str:
    """The statements that replace the addends by the partial sums of a level."""
    tree = level.order is Order.TREE
    held = max(_widest(level.format), each) if tree else _widest(level.format)
    _require_sums(level.overflow, held, reach, held if tree else each, subject)
    body = _level(level)
    add_up = source.shared("partial", body, lambda symbol: body.replace("@", symbol))
    template = _LANES if level.grouping is Grouping.LANES else _TILES if level.count else _ONE_TILE
    return template.format(count=level.count, add_up=add_up)


def _level(level: PartialSums) -> str:
    """The function ``@`` that adds up one group of a level, in place."""
    form, overflow = level.format, level.overflow
    note = text.comment(f"A partial sum in {form.name}, overflow {overflow} at every addition.")
    if level.order is Order.SEQUENCE:
        return f"{note}\n" + _SEQUENCE.format(sum=_sum("total", "addends[k * stride]", form, overflow))
    added = _sum("addends[2 * k * stride]", "addends[(2 * k + 1) * stride]", form, overflow)
    return f"{note}\n" + _TREE.format(sum=added, alone=overflowed("addends[0]", form, overflow))


def _require_register(accumulator: Accumulator, reach: int, largest: int, subject: str) -> None:
    if accumulator.check is Check.END:
        _require_sums(accumulator.overflow, reach, reach, 0, subject)
    else:
        _require_sums(accumulator.overflow, _widest(accumulator.format), reach, largest, subject)


def _register(accumulator: Accumulator, levels: str, *, biased: bool) -> str:
    """The function ``@`` of an accumulator's register."""
    form, overflow, at_end = accumulator.format, accumulator.overflow, accumulator.check is Check.END
    when = "once, on the exact sum" if at_end else "at every addition"
    note = f"The sum of the addends{' and of the bias' if biased else ''} in {form.name}, overflow {overflow} {when}."
    plain = "plus(total, {0})" if overflow is Overflow.WRAP else "total + {0}"
    step = plain if at_end else overflowed(plain, form, overflow)
    loaded = "start" if at_end else overflowed("start", form, overflow)
    bias = f"    total = {step.format('last')};\n" if biased else ""
    return (
        f"{text.comment(note)}\nstatic int64_t @(int64_t *addends, int count, int64_t start"
        f"{', int64_t last' if biased else ''})\n{{\n    int64_t total = {loaded};\n    int k;\n\n{levels}"
        f"    for (k = 0; k < count; k++)\n        total = {step.format('addends[k]')};\n{bias}"
        f"    return {overflowed('total', form, overflow) if at_end else 'total'};\n}}"
    )
