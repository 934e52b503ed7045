"""What a profile chooses, table by table of its TOML file."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FixedsimError
from fixedsim.formats import Format
from fixedsim.hls_types import HlsType, is_hls_type
from fixedsim.profiles.datapath import (
    BiasStage,
    Check,
    Grouping,
    Hazard,
    Interpolation,
    Narrowing,
    Order,
    PartialSums,
    Primitive,
)


def _format(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return HlsType.parse(value).format if is_hls_type(value) else Format.parse(value)
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
    AFFINE = "affine"  # two's complement with any scale and a zero point
    FIXED = "fixed"  # the format that the profile names
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
    MULTIPLIER_16 = "multiplier_16"  # the multiplier of doubling cut to 16 bits, one rounding
    FLOAT32 = "float32"  # a product in IEEE binary32
    FLOAT64 = "float64"  # a product in IEEE binary64


class ScaleArithmetic(StrEnum):
    """In which arithmetic a ratio of scales is computed before it becomes a multiplier."""

    EXACT = "exact"
    FLOAT32 = "float32"  # every product and quotient rounded to IEEE binary32
    FLOAT64 = "float64"  # every product and quotient rounded to IEEE binary64
    MIXED = "mixed"  # the product in binary32, the quotient in binary64; rows of their own scales as float64


class Sums(StrEnum):
    """What a last linear layer without activation gives."""

    ACCUMULATOR = "accumulator"  # sums at accumulator width, on one common scale
    ACTIVATION = "activation"  # activations as between layers


class LinearStages(StrEnum):
    """What a fully connected layer without a table does with its accumulators."""

    WIDE = "wide"  # to the output's scale at accumulator width, clamped there, then cast to the output
    DIRECT = "direct"  # to the output in one cast, whose range a ReLU cuts
    PREACTIVATION = "preactivation"  # to linear.preactivation, clamped there, then cast to the output


class FunctionKind(StrEnum):
    """How a non-linear function is computed."""

    TABLE = "table"
    HARD = "hard"  # piecewise linear: slope * x + offset, clamped
    GEMMLOWP = "gemmlowp"  # LiteRT's fixed-point function, a registered primitive
    CMSIS = "cmsis"  # CMSIS-NN's table of 256 entries with interpolation, a registered primitive
    HLS4ML = "hls4ml"  # hls4ml's table, its index cut toward zero


class Choices(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class WeightChoices(Choices):
    """`[weight]`: how float weights become raws."""

    scheme: Scheme = Field(default=Scheme.POWER_OF_TWO, description="power_of_two, symmetric, odd or fixed")
    granularity: Granularity = Field(default=Granularity.ROW, description="what shares one scale: row or tensor")
    scale: ScaleSearch = Field(default=ScaleSearch.LEAST_SQUARES, description="how the scale is found")
    one_bit: OneBit = Field(default=OneBit.SIGN, description="what a 1-bit weight means: sign {-1, +1}, or {-1, 0}")
    bits: int | None = Field(default=None, ge=1, le=16, description="width where the user names none; 8 if left out")
    fixed: "CastChoices | None" = Field(default=None, description="scheme fixed: the format, its rounding and overflow")

    @model_validator(mode="after")
    def _scheme_of_weights(self) -> Self:
        if self.scheme in (Scheme.UNIT, Scheme.AFFINE):
            raise ValueError(
                f"must be power_of_two, symmetric, odd or fixed, not {self.scheme}; it is a scheme of activations"
            )
        _require_fixed(self.scheme, self.fixed)
        return self


class ActivationChoices(Choices):
    """`[activation]`: the raws that travel between layers and through the recurrence."""

    scheme: Scheme = Field(default=Scheme.POWER_OF_TWO, description="power_of_two, symmetric, affine, unit or fixed")
    rounding: Rounding = Field(default=Rounding.HALF_EVEN, description="of the cast to an activation")
    overflow: Overflow = Field(default=Overflow.SATURATE, description="of the cast to an activation")
    bits: int | None = Field(default=None, ge=1, le=16, description="width where the user names none; 8 if left out")
    fixed: "CastChoices | None" = Field(
        default=None, description="scheme fixed: the format; its rounding and overflow hold"
    )

    @model_validator(mode="after")
    def _scheme_of_activations(self) -> Self:
        if self.scheme is Scheme.ODD:
            raise ValueError(
                "must be power_of_two, symmetric, affine, unit or fixed, not odd; odd is a scheme of weights"
            )
        _require_fixed(self.scheme, self.fixed)
        return self


def _require_fixed(scheme: Scheme, fixed: "CastChoices | None") -> None:
    if (scheme is Scheme.FIXED) != (fixed is not None):
        raise ValueError("fixed must be given with scheme fixed, and with no other")


class BiasChoices(Choices):
    """`[bias]`: where a bias enters, and how wide it is stored."""

    stage: BiasStage = Field(default=BiasStage.FIRST, description="first, last (in the accumulator) or preactivation")
    bits: int | None = Field(default=None, ge=1, le=64, description="stored width; the width of its stage if left out")
    fixed: "CastChoices | None" = Field(default=None, description="the stored format, cast where it enters")

    @model_validator(mode="after")
    def _stage_of_every_network(self) -> Self:
        _refuse_normalization(self.stage)
        return self


def _refuse_normalization(stage: BiasStage | None) -> None:
    if stage is BiasStage.NORMALIZATION:
        raise ValueError(
            "stage must be first, last or preactivation, not normalization; layers that have one add their bias there"
        )


def _of_hls_type(given: Any, *names: str) -> Any:
    """The choices with what a format spelled as an HLS type brings: rounding, overflow and saturated bits, so named."""
    if not isinstance(given, dict) or not is_hls_type(given.get("format")):
        return given
    try:
        kind = HlsType.parse(given["format"])
    except FixedsimError as error:
        raise ValueError(str(error)) from None
    own = dict(zip(names, (kind.rounding, kind.overflow, kind.saturated_bits), strict=False))
    return {**own, **given, "format": kind.format}


class CastChoices(Choices):
    """A named cast: `{format = "s4.11", rounding = "half_up", overflow = "saturate"}`.

    A format spelled as an HLS type, `{format = "ap_fixed<16,6,AP_RND,AP_SAT>"}`, brings its rounding and overflow.
    """

    format: NamedFormat = Field(description="the target's format by name: s4.11, u0.8, ap_fixed<16,6>, ...")
    rounding: Rounding = Field(default=Rounding.HALF_UP, description="one of the eight roundings")
    overflow: Overflow = Field(default=Overflow.SATURATE, description="one of the overflows")
    form: Requantization = Field(default=Requantization.SHIFT, description="how the value is brought to the scale")
    multiplier_bits: int = Field(default=16, ge=2, le=32, description="width of the multiplier of form multiplier")
    primitive: Primitive | None = Field(default=None, description="a registered algorithm in place of the cast")
    saturated_bits: int = Field(default=0, ge=0, le=63, description="wrap: highest bits that saturate on overflow")
    guard_bits: int = Field(default=0, ge=0, le=8, description="vhdl_resize: bits beyond the format's")

    @model_validator(mode="before")
    @classmethod
    def _hls_type(cls, given: Any) -> Any:
        return _of_hls_type(given, "rounding", "overflow", "saturated_bits")

    @model_validator(mode="after")
    def _is_a_narrowing(self) -> Self:
        self.narrowing()
        return self

    def narrowing(self, shift: int = 0) -> Narrowing:
        """The narrowing that it names, from a scale finer by ``2**shift``."""
        return Narrowing(
            self.format,
            self.rounding,
            self.overflow,
            shift,
            primitive=self.primitive,
            saturated_bits=self.saturated_bits,
            guard_bits=self.guard_bits,
        )


class PartialChoices(Choices):
    """`[[accumulator.partial]]`: one level of partial sums, the first of the products themselves."""

    grouping: Grouping = Field(description="lanes or tiles")
    count: int = Field(ge=0, description="how many lanes, or the addends of a tile (0: all)")
    bits: int = Field(ge=1, le=64, description="width of a partial sum")
    order: Order = Field(default=Order.SEQUENCE, description="sequence or tree")
    overflow: Overflow = Field(default=Overflow.WRAP, description="what an overflow of a partial sum does")

    def partial_sums(self) -> PartialSums:
        """The level as a datapath has it."""
        return PartialSums(self.grouping, self.count, self.bits, self.order, self.overflow)


class AccumulatorChoices(Choices):
    """`[accumulator]`: width, overflow and order of the sums of products."""

    bits: int = Field(default=32, ge=1, le=64, description="width in two's complement")
    overflow: Overflow = Field(default=Overflow.SATURATE, description="what an overflow does")
    check: Check = Field(default=Check.STEP, description="step: after every addition; end: once on the exact sum")
    joint: bool = Field(default=False, description="one accumulator over inputs then hidden state, or one each")
    fraction_bits: int = Field(
        default=0, ge=0, le=48, description="least fraction bits: coarser products are shifted left"
    )
    product: CastChoices | None = Field(default=None, description="a cast of every product; exact if left out")
    folded_zero_point: bool = Field(
        default=False, description="zero points of inputs folded into what the sum starts with"
    )
    partial: tuple[PartialChoices, ...] = Field(
        default=(), description="levels of partial sums, as tables of their own"
    )


class RequantizeChoices(Choices):
    """`[requantize]`: how accumulators are scaled."""

    form: Requantization = Field(default=Requantization.SHIFT, description="shift, multiplier, doubling, ...")
    multiplier_bits: int = Field(default=16, ge=2, le=32, description="width of the integer multiplier")
    scales: ScaleArithmetic = Field(default=ScaleArithmetic.EXACT, description="arithmetic of the ratio of scales")


class RuleChoices(RequantizeChoices):
    """A requantization of a fully connected layer, with its rounding and accumulator."""

    rounding: Rounding = Field(default=Rounding.HALF_AWAY, description="of the requantization")
    accumulator_bits: int = Field(default=32, ge=1, le=64, description="width of the accumulator")


class LstmChoices(Choices):
    """`[lstm]`: the casts of the LSTM step, in the order of execution."""

    input_rescale: CastChoices | None = Field(default=None, description="the inputs as the products read them")
    hidden_rescale: CastChoices | None = Field(default=None, description="the hidden state as the products read it")
    sum: CastChoices = Field(description="each requantized accumulator")
    recurrent_sum: CastChoices | None = Field(default=None, description="the recurrent one; as sum if left out")
    preactivation: CastChoices = Field(description="the sum of both")
    peephole_product: CastChoices | None = Field(default=None, description="peephole weight * cell; as sum if left out")
    peephole_sum: CastChoices | None = Field(
        default=None, description="with the peephole; as preactivation if left out"
    )
    forget_product: CastChoices | None = Field(default=None, description="forget * cell; exact if left out")
    input_product: CastChoices | None = Field(default=None, description="input * candidate; exact if left out")
    forget_addend: CastChoices | None = Field(default=None, description="the forget product as the cell adds it")
    input_addend: CastChoices | None = Field(default=None, description="the input product as the cell adds it")
    cell: CastChoices = Field(description="the sum of the two products")
    cell_input: CastChoices | None = Field(
        default=None, description="the cell as its activation reads it; as is if left out"
    )
    hidden: CastChoices | None = Field(default=None, description="output * cell activation; as activations if left out")
    hazard: Hazard = Field(default=Hazard.NONE, description="a fault of published hardware: none or stale_sigmoid")


class LinearChoices(Choices):
    """`[linear]`: the casts of a fully connected layer."""

    preactivation: CastChoices = Field(description="where a table or hard function follows")
    rounding: Rounding = Field(default=Rounding.HALF_UP, description="of the accumulator where none or a ReLU follows")
    overflow: Overflow = Field(default=Overflow.SATURATE, description="of the accumulator where none or a ReLU follows")
    output: CastChoices | None = Field(
        default=None, description="of the activation's value, to the output's format; as activations if left out"
    )
    stages: LinearStages = Field(default=LinearStages.WIDE, description="of layers without a table: wide, direct, ...")
    primitive: Primitive | None = Field(default=None, description="a registered algorithm for that one cast")
    sums: Sums = Field(default=Sums.ACCUMULATOR, description="a last layer's outputs: accumulator or activation")
    bias_stage: BiasStage | None = Field(default=None, description="where the bias enters; as [bias] says if left out")
    ignored_weight_zero_point: bool = Field(default=False, description="zero points of weights are taken for 0")
    requantize: RuleChoices | None = Field(default=None, description="the rule of inputs of up to 8 bits")
    requantize_zero_point: RuleChoices | None = Field(
        default=None, description="the rule of inputs of up to 8 bits where weights have a zero point"
    )
    requantize_odd_weight_4: RuleChoices | None = Field(
        default=None, description="the rule of inputs of up to 8 bits where weights have 4 bits and rows an odd length"
    )
    requantize_16: RuleChoices | None = Field(
        default=None, description="the rule of wider inputs with biases over 32 bits"
    )
    requantize_16_bias_32: RuleChoices | None = Field(
        default=None, description="the rule of wider inputs, biases to 32 bits"
    )
    requantize_16_zero_point: RuleChoices | None = Field(
        default=None, description="the same where weights have a zero point"
    )
    absent_bias_bits: int = Field(
        default=64, ge=32, le=64, description="wider inputs without a bias: the width of bias whose rule holds"
    )

    @model_validator(mode="after")
    def _bias_of_every_network(self) -> Self:
        _refuse_normalization(self.bias_stage)
        return self


class FunctionChoices(Choices):
    """`[sigmoid]`, `[tanh]`: how the function is computed and in which format it comes out."""

    kind: FunctionKind = Field(default=FunctionKind.TABLE, description="table, hard, gemmlowp, cmsis or hls4ml")
    format: NamedFormat = Field(description="format of the result")
    low: int = Field(default=-16, description="table: lower end of the real range")
    high: int = Field(default=16, description="table: upper end of the real range")
    segments: int = Field(default=1024, ge=1, le=1 << 20, description="table: segments over the range")
    interpolation: Interpolation = Field(default=Interpolation.LINEAR, description="table: nearest or linear")
    index_rounding: Rounding = Field(default=Rounding.HALF_UP, description="table, nearest: rounding of the index")
    entry_rounding: Rounding = Field(default=Rounding.HALF_EVEN, description="table: rounding of the entries")
    rounding: Rounding = Field(
        default=Rounding.HALF_UP, description="of the interpolation, or of the hard function's product"
    )
    slope: Rational = Field(default=Fraction(1, 4), description="hard: slope, as 1/4 or 0.25")
    offset: Rational = Field(default=Fraction(1, 2), description="hard: offset")
    slope_fraction_bits: int | None = Field(
        default=None,
        ge=0,
        le=30,
        description="hard: the slope cut toward zero to so many fraction bits; 16 bits if left out",
    )
    threshold: Rational | None = Field(
        default=None, description="hard: inputs from here on give an end of the range, whatever the line says"
    )
    entry_overflow: Overflow = Field(default=Overflow.SATURATE, description="hls4ml: overflow of the entries")
    output: CastChoices | None = Field(default=None, description="the cast of the function's value; none if left out")
    values: tuple[int, ...] | None = Field(
        default=None, description="table: its entries as integers, instead of computed ones"
    )

    @model_validator(mode="before")
    @classmethod
    def _hls_type(cls, given: Any) -> Any:
        return _of_hls_type(given, "entry_rounding", "entry_overflow")


for _model in (WeightChoices, ActivationChoices, BiasChoices):
    _model.model_rebuild()
