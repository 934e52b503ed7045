"""Whether two implementations give the same integers, and where they first part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.formats import Format
from fixedsim.model.model import Model
from fixedsim.model.run import RunResult

Signals = ArrayLike | Mapping[str, Any] | RunResult
Formats = Format | Mapping[str, Format] | Model
OUTPUT = "output"
_UNNAMED = "array"
_LISTED = 8  # signals of which the counts are given
_WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class _Difference:
    """A signal whose integers differ: how many of how many, and at which index first."""

    name: str
    count: int
    size: int
    first: tuple[int, ...]
    got: int
    expected: int

    @property
    def step(self) -> float:
        """The step of the first difference; arrays without the axes step, sequence and unit come after all steps."""
        return self.first[0] if len(self.first) == 3 else np.inf


def assert_bit_exact(
    ours: Signals, theirs: Signals, *, format: Formats | None = None, names: str | Sequence[str] | None = None
) -> None:
    """Fail unless both are the same integers: ``ours`` is what you got, ``theirs`` what is expected.

    The message says how many integers differ, and names the first one in order of causes: at the earliest step the
    first signal in the order of ``theirs``. Its index is ``[step, sequence, unit]`` for arrays of three axes; it is
    given in decimal, in hexadecimal of the format's width (without one, of the least of 8, 16, 32 and 64 bits), and as
    a real where there is a format. Integer types may differ, kinds may not: floats never equal raws.

    Args:
        ours: an array, arrays by signal name, or the result of a run: its trace, its output as ``output``, and its
            states as ``<lstm>.state.h`` and ``.c``.
        theirs: likewise.
        format: one format for all, formats by signal name, or the model that was run.
        names: of an array, its name in the message; of others, the signals to compare, in this order. Without it every
            signal must be in both.

    Raises:
        AssertionError: anything differs, in integers, in shape, in kind or in which signals there are.
    """
    got, expected = _signals(ours, names), _signals(theirs, names)
    _require_names(got, expected, names)
    wanted = expected if names is None else dict.fromkeys([names] if isinstance(names, str) else names)
    differences, compared = [], 0
    for name in wanted:
        left, right = _integers(got[name], name, "got"), _integers(expected[name], name, "expected")
        if left.shape != right.shape:
            raise AssertionError(f"{name}: shape must be {right.shape}, not {left.shape}")
        compared += right.size
        differences += _compare(name, left, right)
    if differences:
        raise AssertionError(_message(differences, compared, len(wanted), format))


def _signals(given: Signals, names: str | Sequence[str] | None) -> dict[str, Any]:
    if isinstance(given, RunResult):
        states = {
            f"{lstm}.state.{part}": raws
            for lstm, pair in given.state.items()
            for part, raws in zip("hc", pair, strict=True)
        }
        output = {} if given.raw is None else {OUTPUT: given.raw}
        return {**given.trace, **output, **states}
    if isinstance(given, Mapping):
        return dict(given)
    return {names if isinstance(names, str) else _UNNAMED: given}


def _require_names(got: Mapping[str, Any], expected: Mapping[str, Any], names: str | Sequence[str] | None) -> None:
    wanted = set(got) | set(expected) if names is None else set([names] if isinstance(names, str) else names)
    for signals, whose in ((got, "got"), (expected, "expected")):
        missing = sorted(wanted - set(signals))
        if missing:
            raise AssertionError(f"signals {whose} must include {', '.join(missing)}; they are {', '.join(signals)}")


def _integers(values: Any, name: str, whose: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise AssertionError(f"{name}: type of what is {whose} must be integers, not {array.dtype}")
    return array


def _compare(name: str, got: NDArray[Any], expected: NDArray[Any]) -> list[_Difference]:
    wrong = np.asarray(got != expected)
    if not wrong.any():
        return []
    place = np.unravel_index(int(wrong.argmax()), wrong.shape)
    first = tuple(int(index) for index in place)
    return [_Difference(name, int(wrong.sum()), wrong.size, first, int(got[first]), int(expected[first]))]


def _message(differences: list[_Difference], compared: int, signals: int, format: Formats | None) -> str:
    count = sum(difference.count for difference in differences)
    first = min(differences, key=lambda difference: difference.step)
    form = _format(format, first.name)
    bits = _width(first.got, first.expected) if form is None else form.bits
    got, expected = (_value(raw, bits, form) for raw in (first.got, first.expected))
    lines = [
        f"{count} of {compared} integers differ, first",
        f"{first.name} {list(first.first)}: got {got}, expected {expected}",
    ]
    if signals > 1:
        lines += [f"{each.name}: {each.count} of {each.size} differ" for each in differences[:_LISTED]]
        rest = len(differences) - _LISTED
        lines += [f"and {rest} more signals"] if rest > 0 else []
    return "\n".join(lines)


def _value(raw: int, bits: int, form: Format | None) -> str:
    code = f"{raw} (0x{raw & ((1 << bits) - 1):0{-(-bits // 4)}x})"
    if form is None:
        return code
    outside = "" if form.contains(raw) else f", no raw of {form.name}"
    return f"{code} = {_decimal(form.real(raw))}{outside}"


def _decimal(real: Fraction) -> str:
    return f"{float(real):.12g}"


def _width(*raws: int) -> int:
    unsigned = max(raws) >= 1 << 63
    needed = max(raw.bit_length() + (not unsigned) if raw >= 0 else (~raw).bit_length() + 1 for raw in raws)
    return next(width for width in _WIDTHS if width >= min(needed, _WIDTHS[-1]))


def _format(given: Formats | None, name: str) -> Format | None:
    if isinstance(given, Model):
        return _model_formats(given).get(name)
    return given.get(name) if isinstance(given, Mapping) else given


def _model_formats(model: Model) -> dict[str, Format]:
    formats = {name: signal.format for name, signal in model.signals.items()}
    for lstm in model.state_names:
        for part, signal in (("h", "hidden"), ("c", "cell")):
            if f"{lstm}.{signal}" in formats:
                formats[f"{lstm}.state.{part}"] = formats[f"{lstm}.{signal}"]
    output = model.output_format
    return formats if output is None else {**formats, OUTPUT: output}
