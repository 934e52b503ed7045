"""The kernels twice: compiled, and the same source interpreted; and what the specification says of an overflow."""

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType

import numba

import fixedsim
from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Form, Narrowing, Primitive
from fixedsim.spec import casts, ieee

PACKAGE = "fixedsim.kernels"
MODULES = (
    "narrowing",
    "primitives",
    "rows",
    "wide",
    "activations",
    "elementwise",
    "products",
    "steps",
    "panels",
    "lstm",
    "softmax",
)


@dataclass(frozen=True)
class Engine:
    """The modules of the kernels, compiled or interpreted."""

    name: str
    narrowing: ModuleType
    primitives: ModuleType
    rows: ModuleType
    wide: ModuleType
    activations: ModuleType
    elementwise: ModuleType
    products: ModuleType
    steps: ModuleType
    panels: ModuleType
    lstm: ModuleType
    softmax: ModuleType


def compiled_engine() -> Engine:
    """The kernels as everyone imports them (interpreted too where ``NUMBA_DISABLE_JIT=1``)."""
    return Engine("compiled", **{name: importlib.import_module(f"{PACKAGE}.{name}") for name in MODULES})


def interpreted_engine() -> Engine:
    """The kernels imported a second time with the JIT off; what others have imported stays as it is."""
    compiled_engine()
    saved = {name: module for name, module in sys.modules.items() if name == PACKAGE or name.startswith(PACKAGE + ".")}
    flag = numba.config.DISABLE_JIT  # type: ignore[attr-defined]
    for name in saved:
        del sys.modules[name]
    try:
        setattr(numba.config, "DISABLE_JIT", 1)  # noqa: B010 - the attribute is not typed
        return Engine("interpreted", **{name: importlib.import_module(f"{PACKAGE}.{name}") for name in MODULES})
    finally:
        setattr(numba.config, "DISABLE_JIT", flag)  # noqa: B010
        sys.modules.update(saved)
        setattr(fixedsim, "kernels", saved[PACKAGE])  # noqa: B010


def unlimited(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """The raw before overflow, from the specification's rounding alone."""
    form = narrowing.format
    if narrowing.primitive is not None:
        return unlimited_primitive(value, narrowing, multiplier, shift)
    if narrowing.form is Form.DOUBLING:
        value = casts.doubling_high_multiply(value << max(31 - shift, 0), multiplier)
        shift = max(shift - 31, 0)
    else:
        value *= multiplier
    if form.raw_step == 1:
        return casts.round_shift(value, shift, narrowing.rounding) + form.zero_point
    value, shift = (value << -shift, 0) if shift < 0 else (value, shift)
    offset = (form.zero_point - form.raw_min) << shift
    return form.raw_min + 2 * casts.round_shift(value + offset, shift + 1, narrowing.rounding)


def unlimited_primitive(value: int, narrowing: Narrowing, multiplier: int, shift: int) -> int:
    """The rounded value of a primitive, and the zero point where it adds it."""
    kind, rounding, zero_point = narrowing.primitive, narrowing.rounding, narrowing.format.zero_point
    if kind in (Primitive.REPAIR_SIGN, Primitive.REPAIR_SIGN_FIRST):
        rounding, zero_point = Rounding.TOWARD_ZERO, 0
    if kind is Primitive.VHDL_RESIZE_MAGNITUDE:
        rounding = Rounding.HALF_AWAY
    if kind in (Primitive.FLOAT32, Primitive.FLOAT64):
        numbers = ieee.BINARY32 if kind is Primitive.FLOAT32 else ieee.BINARY64
        scale = ieee.nearest_float(multiplier, -shift, numbers)
        product = ieee.multiply(ieee.nearest_float(value, 0, numbers), scale, numbers)
        return casts.round_shift(product.significand, -product.exponent, rounding) + zero_point
    return casts.round_shift(value * multiplier, shift, rounding) + zero_point


def acted(raw: int, narrowing: Narrowing) -> int:
    """-1, 0 or 1 where the overflow of an unlimited raw acts low, not, or high."""
    form = narrowing.format
    if raw > form.raw_max:
        return 1
    changed = narrowing.reads_overflow and form.raw_step == 1 and casts.overflow(raw, form, narrowing.overflow) != raw
    return -1 if raw < form.raw_min or changed else 0  # saturate_symmetric changes raws in range, always upward


def possible(form: Format, mode: Overflow) -> bool:
    """Whether a format can have an overflow."""
    if mode is Overflow.WRAP:
        return form.full_range
    if mode is Overflow.WRAP_SIGN_MAGNITUDE:
        return form.full_range and form.raw_step == 1 and form.signed
    return mode is not Overflow.SATURATE_ZERO or (form.raw_step == 1 and form.contains(form.zero_point))
