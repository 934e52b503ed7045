"""A mismatch in words and numbers: where it stands, what it is made of, and how that is narrowed."""

from collections.abc import Iterator

import numpy as np

from fixedsim.casts import Overflow, Rounding
from fixedsim.profiles.datapath import GATES, Form, Narrowing
from fixedsim_golden.comparing.decoding import Fault
from fixedsim_golden.comparing.dumps import Dumped
from fixedsim_golden.comparing.known import Known
from fixedsim_golden.comparing.results import Mismatch, Seen, Value
from fixedsim_golden.comparing.rules import Integers, Staged
from fixedsim_golden.stages import Applied

Index = tuple[int, ...]
ROUNDINGS = {
    Rounding.FLOOR: "rounded toward minus infinity",
    Rounding.TOWARD_ZERO: "rounded toward zero",
    Rounding.HALF_UP: "rounded to nearest, ties toward plus infinity",
    Rounding.HALF_DOWN: "rounded to nearest, ties toward minus infinity",
    Rounding.HALF_AWAY: "rounded to nearest, ties away from zero",
    Rounding.HALF_TOWARD_ZERO: "rounded to nearest, ties toward zero",
    Rounding.HALF_EVEN: "rounded to nearest, ties to even",
    Rounding.HALF_ODD: "rounded to nearest, ties to odd",
}
OVERFLOWS = {
    Overflow.WRAP: "wrapped",
    Overflow.SATURATE: "saturated",
    Overflow.SATURATE_SYMMETRIC: "saturated symmetrically",
    Overflow.SATURATE_ZERO: "set to zero on overflow",
    Overflow.WRAP_SIGN_MAGNITUDE: "wrapped by sign and magnitude",
}
_KINDS = {"table": "a table", "piecewise_linear": "lines", "primitive": "an algorithm"}


def narrowing_text(narrowing: Narrowing) -> str:
    """``rounded to nearest, ties to even, and saturated to s1.6``."""
    name = narrowing.format.name
    if narrowing.primitive is not None and not narrowing.reads_overflow:
        return f"{narrowing.primitive} to {name}"
    first = f"{narrowing.primitive}, " if narrowing.primitive is not None else ""
    first = "doubling high multiply, " if narrowing.form is Form.DOUBLING else first
    high = f" with the {narrowing.saturated_bits} highest bits saturated" if narrowing.saturated_bits else ""
    return f"{first}{ROUNDINGS[narrowing.rounding]}, {OVERFLOWS[narrowing.overflow]} to {name}{high}"


class Describer:
    """Describes values of a dump."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.manifest = known.set.manifest
        self.scales = {name: signal.scale for name, signal in known.model.signals.items()}

    def mismatch(self, dumped: Dumped, index: Index, recomputed: Integers | None = None) -> Mismatch:
        """The mismatch at an index of an entry; ``recomputed`` is the entry from the device's own operands."""
        entry, steps = dumped.entry, dumped.entry.axes[0] in ("step", "sequence")
        case, case_step = self._place(entry.name, index[0]) if steps else (None, None)
        record = None if case is None else self.manifest.cases[case]
        unit = index[-1] if steps and len(index) > 1 else None
        return Mismatch(
            entry=entry.name,
            role=entry.role,
            layer=entry.layer,
            direction=self.known.program.directions.get(_part(entry.name, self.known.program.directions), ""),
            gate=_gate(entry.name),
            case="" if record is None else record.id,
            flags={} if record is None else {flag: self.manifest.notes.get(flag, "") for flag in record.flags},
            step=index[0] if entry.axes[0] == "step" else None,
            case_step=case_step,
            index=index,
            unit=unit,
            format=entry.format.name,
            expected=self._value(entry.name, int(self.known.golden(entry.name)[index]), unit),
            got=self._got(dumped, index, unit),
            fault=dumped.reason(index),
            recomputed=None if recomputed is None else self._value(entry.name, int(recomputed[index]), unit),
            operands=tuple(self._operands(entry.name, index[0], unit)),
            narrowing=self._narrowing(entry.name),
        )

    def _place(self, name: str, row: int) -> tuple[int, int | None]:
        """The case of a row, and the step in it."""
        frame = self.known.program.places[name].frame
        case = frame.case_of(row)
        step = row - int(frame.first[case])
        return case, step if self.manifest.entry(name).axes[0] == "step" else None

    def _value(self, name: str, raw: int, unit: int | None) -> Value:
        scale = self.scales.get(name)
        own = None if scale is None or unit is None else float(scale[unit])
        return Value.of(raw, self.known.set.form(name), own)

    def _got(self, dumped: Dumped, index: Index, unit: int | None) -> Value | None:
        if Fault(int(dumped.kinds[index])) not in (Fault.NONE, Fault.NO_RAW):
            return None
        return self._value(dumped.entry.name, int(dumped.raws[index]), unit)

    def _narrowing(self, name: str) -> str:
        rule = self.known.program.rule_of(name)
        if not isinstance(rule, Staged):
            return ""
        source, text = rule.stage.source, narrowing_text(rule.stage.narrowing)
        if isinstance(source, Applied) and source.activation.function:
            return f"{source.activation.function} by {_KINDS[source.activation.kind]}, {text}"
        return text

    def _operands(self, name: str, row: int, unit: int | None) -> Iterator[Seen]:
        rule = self.known.program.rule_of(name)
        if rule is None or unit is None:
            return
        for signal, at, own in rule.seen(name, row, unit):
            values, device = self.known.device(signal)
            raws = values[at] if own is None else values[at][own]
            yield self._seen(signal, device, np.atleast_1d(raws), own)
        for constant, stored in rule.constants(name, unit).items():
            yield Seen(constant, "constant", tuple(stored))

    def _seen(self, name: str, device: bool, raws: Integers, unit: int | None) -> Seen:
        signal = self.known.model.signals.get(name.partition("@")[0])
        reals: tuple[float, ...] = ()
        if signal is not None:
            centred = raws.astype(np.float64) - signal.format.zero_point
            scale = float(signal.format.scale) if signal.scale is None else signal.scale[... if unit is None else unit]
            reals = tuple((centred * scale).tolist())
        return Seen(name, "device" if device else "golden", tuple(int(raw) for raw in raws), reals)


def _part(name: str, directions: dict[str, str]) -> str:
    """The direction's layer that a signal is of, or nothing."""
    return next((part for part in directions if name.startswith(f"{part}.")), "")


def _gate(name: str) -> str:
    parts = name.split(".gate.")
    gate = parts[-1].partition(".")[0]
    return gate if len(parts) > 1 and gate in GATES else ""
