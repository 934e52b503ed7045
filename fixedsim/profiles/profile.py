"""A profile: every arithmetic choice of one hardware target, as a TOML file that a person can read and edit."""

import tomllib
from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FixedsimError, ProfileError, nearest
from fixedsim.formats import Format
from fixedsim.profiles.datapath import BiasStage, Check, Interpolation, Narrowing

SCHEMA = 1
_BUILT_IN = resources.files("fixedsim.profiles") / "data"


def _format(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Format.parse(value)
    except FixedsimError as error:
        raise ValueError(str(error)) from None


def _fraction(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return value
    return Fraction(value)


NamedFormat = Annotated[Format, BeforeValidator(_format), PlainSerializer(lambda form: form.name, return_type=str)]
Rational = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str, return_type=str)]


class Scheme(StrEnum):
    """How the scale and the raws of weights or activations are chosen."""

    POWER_OF_TWO = "power_of_two"  # Qm.n: two's complement, scale a power of two
    SYMMETRIC = "symmetric"  # two's complement without its lowest raw, any scale
    ODD = "odd"  # Bit-RNN's weights: 2**bits odd raws, none of them zero
    UNIT = "unit"  # Bit-RNN's activations: codes over [0, 1] (or [-1, 1])


class Granularity(StrEnum):
    """What shares one weight scale."""

    ROW = "row"  # each output row (each gate's unit, each word of an embedding) has its own
    TENSOR = "tensor"  # one for the whole matrix


class ScaleSearch(StrEnum):
    """How a weight scale is found."""

    LEAST_SQUARES = "least_squares"  # least squared error over the weights that share it
    MAXIMUM = "maximum"  # the largest magnitude just fits


class OneBit(StrEnum):
    """What one signed bit means."""

    SIGN = "sign"  # {-1, +1}
    TWOS_COMPLEMENT = "twos_complement"  # {-1, 0}


class Requantization(StrEnum):
    """How an accumulator is brought to the next scale."""

    SHIFT = "shift"  # power-of-two scales only
    MULTIPLIER = "multiplier"  # integer multiplier and shift, one rounding
    DOUBLING = "doubling"  # doubling high multiply and rounding shift, two roundings


class FunctionKind(StrEnum):
    """How a non-linear function is computed."""

    TABLE = "table"
    HARD = "hard"  # piecewise linear: slope * x + offset, clamped


class _Choices(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class WeightChoices(_Choices):
    """`[weight]`: how float weights become raws."""

    scheme: Scheme = Field(Scheme.POWER_OF_TWO, description="power_of_two, symmetric or odd")
    granularity: Granularity = Field(Granularity.ROW, description="what shares one scale: row or tensor")
    scale: ScaleSearch = Field(ScaleSearch.LEAST_SQUARES, description="how the scale is found")
    one_bit: OneBit = Field(OneBit.SIGN, description="what a 1-bit weight means: sign {-1, +1}, or {-1, 0}")

    @model_validator(mode="after")
    def _scheme_of_weights(self) -> Self:
        if self.scheme is Scheme.UNIT:
            raise ValueError("must be power_of_two, symmetric or odd, not unit; unit is a scheme of activations")
        return self


class ActivationChoices(_Choices):
    """`[activation]`: the raws that travel between layers and through the recurrence."""

    scheme: Scheme = Field(Scheme.POWER_OF_TWO, description="power_of_two, symmetric or unit")
    rounding: Rounding = Field(Rounding.HALF_EVEN, description="of the cast to an activation")
    overflow: Overflow = Field(Overflow.SATURATE, description="of the cast to an activation")

    @model_validator(mode="after")
    def _scheme_of_activations(self) -> Self:
        if self.scheme is Scheme.ODD:
            raise ValueError("must be power_of_two, symmetric or unit, not odd; odd is a scheme of weights")
        return self


class BiasChoices(_Choices):
    """`[bias]`: where a bias enters, and how wide it is stored."""

    stage: BiasStage = Field(BiasStage.FIRST, description="first, last (in the accumulator) or preactivation")
    bits: int | None = Field(None, ge=1, le=64, description="stored width; the width of its stage if left out")


class CastChoices(_Choices):
    """A named cast: `{format = "s4.11", rounding = "half_up", overflow = "saturate"}`."""

    format: NamedFormat = Field(description="the target's format by name: s4.11, u0.8, ...")
    rounding: Rounding = Field(Rounding.HALF_UP, description="one of the eight roundings")
    overflow: Overflow = Field(Overflow.SATURATE, description="one of the four overflows")

    @model_validator(mode="after")
    def _is_a_narrowing(self) -> Self:
        self.narrowing()
        return self

    def narrowing(self, shift: int = 0) -> Narrowing:
        """The narrowing that it names, from a scale finer by ``2**shift``."""
        return Narrowing(self.format, self.rounding, self.overflow, shift)


class AccumulatorChoices(_Choices):
    """`[accumulator]`: width, overflow and order of the sums of products."""

    bits: int = Field(32, ge=1, le=64, description="width in two's complement")
    overflow: Overflow = Field(Overflow.SATURATE, description="what an overflow does")
    check: Check = Field(Check.STEP, description="step: after every addition; end: once on the exact sum")
    joint: bool = Field(False, description="one accumulator over inputs then hidden state, or one each")
    fraction_bits: int = Field(0, ge=0, le=48, description="least fraction bits: coarser products are shifted left")
    product: CastChoices | None = Field(None, description="a cast of every product; exact if left out")


class RequantizeChoices(_Choices):
    """`[requantize]`: how accumulators are scaled."""

    form: Requantization = Field(Requantization.SHIFT, description="shift, multiplier or doubling")
    multiplier_bits: int = Field(16, ge=2, le=32, description="width of the integer multiplier")


class LstmChoices(_Choices):
    """`[lstm]`: the casts of the LSTM step, in the order of execution."""

    sum: CastChoices = Field(description="each requantized accumulator")
    preactivation: CastChoices = Field(description="the sum of both")
    forget_product: CastChoices | None = Field(None, description="forget * cell; exact if left out")
    input_product: CastChoices | None = Field(None, description="input * candidate; exact if left out")
    cell: CastChoices = Field(description="the sum of the two products")
    cell_input: CastChoices | None = Field(None, description="the cell as its activation reads it; as is if left out")


class LinearChoices(_Choices):
    """`[linear]`: the casts of a fully connected layer."""

    preactivation: CastChoices = Field(description="where a table or hard function follows")
    rounding: Rounding = Field(Rounding.HALF_UP, description="of the accumulator where none or a ReLU follows")
    overflow: Overflow = Field(Overflow.SATURATE, description="of the accumulator where none or a ReLU follows")


class FunctionChoices(_Choices):
    """`[sigmoid]`, `[tanh]`: how the function is computed and in which format it comes out."""

    kind: FunctionKind = Field(FunctionKind.TABLE, description="table or hard (piecewise linear)")
    format: NamedFormat = Field(description="format of the result")
    low: int = Field(-16, description="table: lower end of the real range")
    high: int = Field(16, description="table: upper end of the real range")
    segments: int = Field(1024, ge=1, le=1 << 20, description="table: segments over the range")
    interpolation: Interpolation = Field(Interpolation.LINEAR, description="table: nearest or linear")
    index_rounding: Rounding = Field(Rounding.HALF_UP, description="table, nearest: rounding of the index")
    entry_rounding: Rounding = Field(Rounding.HALF_EVEN, description="table: rounding of the entries")
    rounding: Rounding = Field(Rounding.HALF_UP, description="of the interpolation, or of the hard function's product")
    slope: Rational = Field(Fraction(1, 4), description="hard: slope, as 1/4 or 0.25")
    offset: Rational = Field(Fraction(1, 2), description="hard: offset")
    values: tuple[int, ...] | None = Field(None, description="table: its entries as integers, instead of computed ones")


class Profile(_Choices):
    """Every arithmetic choice of one hardware target.

    Raises:
        ProfileError: by the loaders, an unknown key (with the nearest right one) or a value that is not allowed.
    """

    schema_version: int = Field(SCHEMA, alias="schema", description="version of this file's layout")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the profile's name")
    summary: str = Field("", description="one line for lists")
    weight: WeightChoices = WeightChoices.model_construct()
    activation: ActivationChoices = ActivationChoices.model_construct()
    bias: BiasChoices = BiasChoices.model_construct()
    accumulator: AccumulatorChoices = AccumulatorChoices.model_construct()
    requantize: RequantizeChoices = RequantizeChoices.model_construct()
    lstm: LstmChoices
    linear: LinearChoices
    sigmoid: FunctionChoices
    tanh: FunctionChoices

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schema_version != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, not {self.schema_version}")
        if self.requantize.form is Requantization.SHIFT and self.weight.scheme is not Scheme.POWER_OF_TWO:
            raise ValueError(
                f"requantize.form must be multiplier or doubling, not shift, for weight.scheme {self.weight.scheme}"
            )
        if self.requantize.form is Requantization.SHIFT and self.activation.scheme is not Scheme.POWER_OF_TWO:
            raise ValueError(
                f"requantize.form must be multiplier or doubling, not shift, "
                f"for activation.scheme {self.activation.scheme}"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The choices as JSON values, formats by name; :meth:`from_dict` gives the profile back."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @staticmethod
    def from_dict(choices: dict[str, Any], source: str = "profile") -> "Profile":
        """The profile of a mapping as TOML or JSON gives it; ``source`` is named in errors."""
        try:
            return Profile.model_validate(choices)
        except ValidationError as error:
            raise ProfileError(_explain(error, source)) from None


def _explain(error: ValidationError, source: str) -> str:
    return "\n".join(_explain_one(dict(entry), source) for entry in error.errors())


def _explain_one(entry: dict[str, Any], source: str) -> str:
    path = [str(part) for part in entry["loc"]]
    key = ".".join(path)
    if entry["type"] == "extra_forbidden":
        return f"{source}: key {key!r} is unknown{nearest(path[-1], _keys(path[:-1]))}"
    if entry["type"] == "missing":
        return f"{source}: key {key!r} is missing"
    cause = entry.get("ctx", {}).get("error")
    if cause:
        return f"{source}: {key + ': ' if key else ''}{cause}"
    return f"{source}: {key} {entry['msg'].replace('Input should', 'must')}, not {entry['input']!r}"


def _keys(path: Iterable[str]) -> list[str]:
    model: type[BaseModel] = Profile
    for part in path:
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]


def profile_names() -> list[str]:
    """The names of the profiles that ship."""
    return sorted(entry.name.removesuffix(".toml") for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml"))


def profile_text(name: str) -> str:
    """The TOML text of a profile that ships, comments included.

    Raises:
        ProfileError: no such profile.
    """
    if name not in profile_names():
        raise ProfileError(
            f"profile {name!r} is unknown{nearest(name, profile_names())}; or give a path to a TOML file"
        )
    return (_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8")


def load_profile(source: str | Path | Profile) -> Profile:
    """The profile of that name, or of the TOML file at that path.

    Raises:
        ProfileError: unknown name, unreadable file, not TOML, an unknown key or a value that is not allowed.
    """
    if isinstance(source, Profile):
        return source
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".toml":
        text, label = profile_text(source), f"profile {source}"
    else:
        text, label = _read(path), str(path)
    try:
        return Profile.from_dict(tomllib.loads(text), label)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{label} must be TOML: {error}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} must be a readable TOML file: {error}") from None
