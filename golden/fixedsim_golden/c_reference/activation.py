"""Activations as C functions, each once in a file: tables, lines and the registered algorithms."""

from fixedsim.errors import ModelError
from fixedsim.profiles.datapath import Activation, FixedFunction, Interpolation, LookupTable, PiecewiseLinear
from fixedsim_golden.c_reference import spans, text
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import ROOM, Span
from fixedsim_golden.c_reference.text import integer


def values_span(activation: Activation) -> Span:
    """The raws that an activation can give, less the zero point of their format."""
    zero_point = activation.format.zero_point
    if isinstance(activation, LookupTable):
        return spans.of(list(activation.values)).less(zero_point)
    if isinstance(activation, FixedFunction):
        return spans.raws(activation.format).less(zero_point)
    return Span(activation.low, activation.high).less(zero_point)


def activate(value: str, read: Span, activation: Activation, source: Source, subject: str) -> str:
    """The C expression of an activation of ``value``, a raw within ``read``, less the zero point of its format.

    Raises:
        ModelError: an intermediate value beyond one word, or a raw that a registered algorithm does not take.
    """
    _require_fit(read.word(subject), activation, subject)
    values_span(activation).word(subject)
    if isinstance(activation, FixedFunction):
        called = f"{activation.primitive.value}({value}, {integer(activation.argument)})"
    else:
        called = f"{_function(activation, source, subject)}({value})"
    zero_point = activation.format.zero_point
    return called if zero_point == 0 else f"{called} - {integer(zero_point)}"


def _require_fit(read: Span, activation: Activation, subject: str) -> None:
    if isinstance(activation, FixedFunction):
        read.fit(16, subject)
        return
    if isinstance(activation, PiecewiseLinear):
        largest = read.magnitude * abs(activation.slope) + abs(activation.offset)
    elif activation.interpolation is Interpolation.NEAREST:
        largest = read.magnitude * activation.index_multiplier << max(-activation.index_shift, 0)
        largest += abs(activation.offset)
    else:
        largest = spans.of(list(activation.values)).times(Span(-1, 1)).magnitude * 2 << activation.index_shift
        largest = max(largest, abs(activation.offset) + read.magnitude)
    if largest > ROOM:
        raise ModelError(f"{subject} must be at most 2**62 inside its activation, not {largest}")


def _function(activation: LookupTable | PiecewiseLinear, source: Source, subject: str) -> str:
    """The name of the C function of an activation."""
    if isinstance(activation, PiecewiseLinear):
        return source.shared("function", activation, lambda symbol: _line(activation, symbol))
    return source.shared("function", activation, lambda symbol: _table(activation, symbol, subject))


def _table(table: LookupTable, symbol: str, subject: str) -> str:
    count, shift = len(table.values), table.index_shift
    values = text.array(f"{symbol}_values", table.values, subject)
    named = f"{table.function or 'function'}: {table.format.name}, a table of {count} values"
    if table.interpolation is Interpolation.NEAREST:
        factor = "" if table.index_multiplier == 1 else f" * {table.index_multiplier}"
        note = f"{named} at raw{factor} / 2**{shift} + {table.offset}, rounding {table.index_rounding}, clamped"
        return f"{text.comment(note)}\n{values}\n\n{_nearest(table, symbol)}"
    note = f"{named} at raw / 2**{shift} + {table.offset}, on the line between two, rounding {table.rounding}, clamped"
    return f"{text.comment(note)}\n{values}\n\n{_linear(table, symbol)}"


def _nearest(table: LookupTable, symbol: str) -> str:
    scaled = "raw" if table.index_multiplier == 1 else f"raw * {integer(table.index_multiplier)}"
    index = (
        f"round_shift({scaled}, {integer(table.index_shift)}, {table.index_rounding.name}) + {integer(table.offset)}"
    )
    return (
        f"static int64_t {symbol}(int64_t raw)\n{{\n"
        f"    return {symbol}_values[saturate({index}, 0, {len(table.values) - 1})];\n}}"
    )


def _linear(table: LookupTable, symbol: str) -> str:
    shift, last = table.index_shift, len(table.values) - 1
    return f"""static int64_t {symbol}(int64_t raw)
{{
    int64_t index = floor_shift(raw, {shift}) + {integer(table.offset)};
    int64_t rest = raw & {integer((1 << shift) - 1)};
    int64_t rise;

    if (index < 0)
        return {symbol}_values[0];
    if (index >= {last})
        return {symbol}_values[{last}];
    rise = (int64_t){symbol}_values[index + 1] - {symbol}_values[index];
    return {symbol}_values[index] + round_shift(rise * rest, {shift}, {table.rounding.name});
}}"""


def _line(line: PiecewiseLinear, symbol: str) -> str:
    thresholds = ""
    if line.low_input is not None:
        thresholds += f"    if (raw <= {integer(line.low_input)})\n        return {integer(line.low)};\n"
    if line.high_input is not None:
        thresholds += f"    if (raw >= {integer(line.high_input)})\n        return {integer(line.high)};\n"
    scaled = "raw" if line.slope == 1 else f"raw * {integer(line.slope)}"
    quotient = scaled if line.shift == 0 else f"round_shift({scaled}, {line.shift}, {line.rounding.name})"
    total = quotient if line.offset == 0 else f"{quotient} + {integer(line.offset)}"
    note = (
        f"{line.function or 'function'}: {line.format.name} <- {line.slope} * raw / 2**{line.shift} + {line.offset}, "
        f"rounding {line.rounding}, within {line.low} .. {line.high}"
    )
    return (
        f"{text.comment(note)}\nstatic int64_t {symbol}(int64_t raw)\n{{\n{thresholds}"
        f"    return saturate({total}, {integer(line.low)}, {integer(line.high)});\n}}"
    )
