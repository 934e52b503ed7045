"""What is proven out of reach is never reached, and corners are what their names say."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.network import Network
from fixedsim.profiles import Profile, load_profile
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    Form,
    Interpolation,
    LinearDatapath,
    LookupTable,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.quantization import quantize
from fixedsim.spec.activations import look_up
from fixedsim.spec.casts import doubling_high_multiply, round_shift
from fixedsim.testing import Scope, linear_layers, lstm_layers
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.corners import TIES, Site, sites
from fixedsim_golden.exhaustion import Column, inputs_for, tried
from fixedsim_golden.playing import lstms, play
from fixedsim_golden.reach import Reach, reaches
from fixedsim_golden.stages import Stage, signals_of, stages
from fixedsim_golden.tensors import named_tables
from tests.golden.set_models import KINDS, PROFILES, RANGES, case_lists, drawn, model, network, shipped
from tests.golden.set_models import few_tried as few_tried
from tests.golden.test_stages import value

slow_start = settings(deadline=None, suppress_health_check=list(HealthCheck))
Signals = Mapping[str, Any]
TINY = Scope(operand_bits=(1, 3), accumulator_bits=(2, 12))


def extreme_cases(made: Model) -> list[Case]:
    """All inputs, hidden states and cells at one end or the other, from states that are put in."""
    found = []
    rng = np.random.default_rng(3)
    first = next(layer for layer in made.layers if not isinstance(layer, Reversal))
    for place in range(6):
        if isinstance(first, Embedding):
            raws = rng.integers(0, len(first.table), 3)
        else:
            form = made.input_format
            assert form is not None
            ends = np.array([form.raw_min, form.raw_max])
            features = np.shape(play_width(first))[-1]
            raws = ends[rng.integers(0, 2, (3, features)) if place > 1 else np.full((3, features), place)]
        state: dict[str, Any] = {}
        for name, part in lstms(made).items():
            hidden, cell = part.state_format, part.datapath.read_cell
            state[name] = tuple(
                np.array([each.raw_min, each.raw_max])[rng.integers(0, 2, width)]
                for each, width in ((hidden, part.outputs), (cell, part.units))
            )
        start = Start.INJECTED if state else Start.RESET
        found.append(Case(f"extreme-{place}", ("extreme",), raws, start, state))
    return found


def play_width(layer: Any) -> Any:
    """The matrix that reads the inputs of a layer."""
    part = getattr(layer, "forward", layer)
    return (part.matrix if isinstance(part, Linear) else part.input_matrix).weight


def check_bounds(made: Model, signals: Signals) -> None:
    """Every value is in its interval and congruent, and a corner that is hit is called possible."""
    for name, units in reaches(made).signals.items():
        for unit, reach in enumerate(units):
            for raw in signals[name][:, unit].tolist():
                assert reach.low <= raw <= reach.high, (name, unit)
                assert (raw - reach.offset) % (1 << reach.period) == 0, (name, unit)
    for site in sites(made):
        hit = site.hits(signals)
        assert not [corner for corner, seen, left in zip(site.corners, hit, site.possible, strict=True) if seen > left]


@pytest.mark.parametrize("profile", PROFILES)
@given(st.data())
@settings(slow_start, max_examples=5)
def test_signals_of_shipped_profiles_stay_within_reach(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_bounds(made, signals_of(made, cases, play(made, cases)))


@given(st.data())
@settings(slow_start, max_examples=30)
def test_signals_of_drawn_datapaths_stay_within_reach(data: st.DataObject) -> None:
    made = data.draw(drawn())
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_bounds(made, signals_of(made, cases, play(made, cases)))


def test_one_accumulator_over_both_matrices_moves_with_either() -> None:
    """In partial sums the two matrices stand in one: that the weights of one have a factor binds no sum."""
    plain = load_profile("fixed-point").to_dict()
    level = {"grouping": "lanes", "count": 2, "bits": 48}
    profile = Profile.from_dict(plain | {"accumulator": plain["accumulator"] | {"joint": True, "partial": [level]}})
    halves = {"lstm.input.weight": np.full((12, 2), [0.5, 3 / 128]), "lstm.recurrent.weight": np.full((12, 3), 0.5)}
    weights = {**network(KINDS["stream"]).weights, **halves}
    made = quantize(Network(KINDS["stream"], weights), profile=profile, ranges=RANGES)
    cases = extreme_cases(made)
    check_bounds(made, signals_of(made, cases, play(made, cases)))


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=2000)
def test_signals_of_many_drawn_datapaths_stay_within_reach(data: st.DataObject) -> None:
    made = data.draw(drawn())
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_bounds(made, signals_of(made, cases, play(made, cases)))


@given(st.integers(-40, 40), st.integers(0, 60), st.integers(0, 4), st.integers(-50, 50), st.integers(0, 30), st.data())
def test_within_is_what_a_list_of_the_values_says(
    low: int, width: int, period: int, first: int, length: int, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, (1 << period) - 1))
    reach = Reach(low, low + width, offset, period)
    values = [each for each in range(low, low + width + 1) if (each - offset) % (1 << period) == 0]
    assert reach.within(first, first + length) == any(first <= each <= first + length for each in values)
    assert not reach.within(first, first - 1)


def members(reach: Reach) -> list[int]:
    """The values that a reach allows."""
    return [each for each in range(reach.low, reach.high + 1) if (each - reach.offset) % (1 << reach.period) == 0]


@st.composite
def small_reaches(draw: st.DrawFn) -> Reach:
    low, period = draw(st.integers(-20, 20)), draw(st.integers(0, 4))
    return Reach(low, low + draw(st.integers(0, 20)), draw(st.integers(0, (1 << period) - 1)), period)


@given(small_reaches(), small_reaches(), st.integers(-12, 12))
def test_sums_and_products_hold_all_sums_and_products(first: Reach, second: Reach, constant: int) -> None:
    pairs = list(product(members(first), members(second)))
    checks = [
        (first.plus(second), [a + b for a, b in pairs]),
        (first.times(second), [a * b for a, b in pairs]),
        (first.scaled(constant), [a * constant for a in members(first)]),
        (first.shifted(constant), [a + constant for a in members(first)]),
    ]
    for found, wanted in checks:
        assert set(wanted) <= set(members(found))
    assert all(each % (1 << first.zeros) == 0 for each in members(first))


# What corners mean, by definition, on Python integers


def rounded(stage: Stage, given: int, unit: int) -> int:
    """The value after rounding, its zero point added, before any overflow; of odd raws the code."""
    narrowing, form = stage.narrowing, stage.narrowing.format
    multiplier, shift = int(stage.multiplier[unit]), int(stage.shift[unit])
    if narrowing.form is Form.DOUBLING:
        given = doubling_high_multiply(given << max(31 - shift, 0), multiplier)
        shift = max(shift - 31, 0)
    else:
        given *= multiplier
    return round_shift(given, shift, narrowing.rounding) + form.zero_point


def least_of(narrowing: Narrowing) -> int:
    form = narrowing.format
    symmetric = narrowing.overflow is Overflow.SATURATE_SYMMETRIC
    if symmetric and form.signed and form.bits > 1 and form.raw_max >= 0:
        return max(form.raw_min, -form.raw_max)
    return form.raw_min


def bits_seen(raws: Any, form: Format) -> set[str]:
    return {f"bit {bit} {int(raw) >> bit & 1}" for raw in np.unique(raws) for bit in range(form.bits)}


def cast_hits(stage: Stage, signals: Signals, names: set[str]) -> set[str]:
    """The corners of a cast that signals hit, one value after the other."""
    form, raws = stage.narrowing.format, signals[stage.signal]
    found = bits_seen(raws, form)
    found |= {"minimum"} if (raws == form.raw_min).any() else set()
    found |= {"maximum"} if (raws == form.raw_max).any() else set()
    if TIES[0] not in names or stage.source is None:
        return found
    for row, unit in np.ndindex(*raws.shape):
        given = value(stage.source, dict(signals), row, unit)
        word = "wraps" if "wraps low" in names else "saturates"
        wide = rounded(stage, given, unit)
        found |= {f"{word} low"} if wide < least_of(stage.narrowing) else set()
        found |= {f"{word} high"} if wide > form.raw_max else set()
        exact = Fraction(given * int(stage.multiplier[unit])) / Fraction(2) ** int(stage.shift[unit])
        if stage.narrowing.form is Form.SINGLE and exact.denominator == 2:
            sign = "above" if exact > 0 else "below"
            parity = "even" if (exact.numerator // 2) % 2 == 0 else "odd"
            found.add(f"tie {sign} zero over an {parity} raw")
    return found


def hit_names(site: Site, signals: Signals) -> set[str]:
    return {corner for corner, seen in zip(site.corners, site.hits(signals), strict=True) if seen}


def check_definitions(made: Model, signals: Signals) -> None:
    """Every site says of its corners what their definition says."""
    found, by_name = stages(made), {site.name: site for site in sites(made)}
    for name, stage in found.items():
        plain = stage.narrowing.primitive is None and stage.narrowing.format.raw_step == 1
        if not plain:
            continue
        site = by_name[name]
        assert hit_names(site, signals) == cast_hits(stage, signals, set(site.corners)), name
    for name, site in by_name.items():
        if site.kind == "accumulator":
            units = reaches(made).signals[name]
            raws = signals[name]
            wanted = bits_seen(raws, made.signals[name].format)
            wanted |= {"lowest sum"} if any(raws[:, u].min() == each.low for u, each in enumerate(units)) else set()
            wanted |= {"highest sum"} if any(raws[:, u].max() == each.high for u, each in enumerate(units)) else set()
            assert hit_names(site, signals) == wanted, name
    for name, table in named_tables(made).items():
        read = [int(raw) for reader in by_name[name].reads for raw in np.unique(signals[reader])]
        wanted = set().union(*(table_corners(table, raw) for raw in read))
        assert hit_names(by_name[name], signals) == wanted, name


def table_corners(table: LookupTable, raw: int) -> set[str]:
    """The corners of a table that one raw reads, from the definition of its index."""
    last = len(table.values) - 1
    if table.interpolation is Interpolation.LINEAR:
        width = 1 << table.index_shift
        entry, rest = raw // width + table.offset, raw % width
        if entry < 0:
            return {"below the first entry"}
        if entry >= last:
            return {"at or above the last entry"}
        found = {f"segment {entry}"}
        found |= {f"segment {entry} first"} if rest == 0 else set()
        return found | ({f"segment {entry} last"} if rest == width - 1 else set())
    entry = round_shift(raw * table.index_multiplier, table.index_shift, table.index_rounding) + table.offset
    if entry < 0:
        return {"below the first entry"}
    return {"above the last entry"} if entry > last else {f"entry {entry}"}


@pytest.mark.parametrize("profile", PROFILES)
@given(st.data())
@settings(slow_start, max_examples=2)
def test_corners_of_shipped_profiles_are_what_their_names_say(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_definitions(made, signals_of(made, cases, play(made, cases)))


@given(st.data())
@settings(slow_start, max_examples=30)
def test_corners_of_drawn_datapaths_are_what_their_names_say(data: st.DataObject) -> None:
    made = data.draw(drawn())
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_definitions(made, signals_of(made, cases, play(made, cases)))


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=1000)
def test_corners_of_many_drawn_datapaths_are_what_their_names_say(data: st.DataObject) -> None:
    made = data.draw(drawn())
    cases = [*data.draw(case_lists(made)), *extreme_cases(made)]
    check_definitions(made, signals_of(made, cases, play(made, cases)))


def scaled(
    output: Narrowing, *, weight: int = 1, bits: int = 4, total: Narrowing | None = None, zero_point: int = 0
) -> Model:
    """One input of ``bits`` bits times one weight, narrowed to what is given, by the identity."""
    wide = Narrowing(Format.integer(20))
    identity = PiecewiseLinear(Format.integer(20))
    path = LinearDatapath(
        input=replace(Format.integer(bits), zero_point=zero_point),
        weight=Format.integer(8),
        bias=Format.integer(16),
        accumulator=Accumulator(20),
        bias_stage=BiasStage.FIRST,
        sum=total or wide,
        preactivation=wide,
        activation=identity,
        output=output,
    )
    return Model("one", (Linear.from_raws("fc", [[weight]], None, path),))


def of_every_input(made: Model, forms: list[Format]) -> tuple[list[Case], Signals]:
    vectors = list(product(*(range(form.raw_min, form.raw_max + 1, form.raw_step) for form in forms)))
    case = Case("every", ("user",), np.array(vectors, dtype=np.int64).reshape(len(vectors), len(forms)))
    return [case], signals_of(made, [case], play(made, [case]))


def test_ties_and_overflows_by_hand() -> None:
    """Inputs -8..7 over 4, to 2 bits: halves at 2, 6 and -2, -6; -8 gives -2, 6 and 7 round to 2 beyond the range."""
    made = scaled(Narrowing(Format.integer(2), Rounding.HALF_UP, Overflow.SATURATE, shift=2))
    (site,) = [each for each in sites(made) if each.name == "fc.output"]
    _, signals = of_every_input(made, [Format.integer(4)])

    def seen(*raws: int) -> set[str]:
        places = np.isin(signals["fc.sum"][:, 0], raws)
        return {
            corner
            for corner in hit_names(site, {name: each[places] for name, each in signals.items()})
            if not corner.startswith("bit")
        }

    assert seen(2) == {"tie above zero over an even raw", "maximum"}  # 0.5 over 0, up to 1
    assert seen(6) == {"tie above zero over an odd raw", "maximum", "saturates high"}  # 1.5 over 1, up to 2
    assert seen(7) == {"maximum", "saturates high"}  # 1.75
    assert seen(-2) == {"tie below zero over an odd raw"}  # -0.5 over -1, up to 0
    assert seen(-6) == {"tie below zero over an even raw"}  # -1.5 over -2, up to -1
    assert seen(-8) == {"minimum"}
    assert not site.possible[site.corners.index("saturates low")]


def test_a_zero_point_moves_where_a_cast_overflows() -> None:
    """Raws -8..7 with zero point 3: 5, 6 and 7 become 8, 9 and 10, beyond 7; nothing falls below -5."""
    form = replace(Format.integer(4), zero_point=3)
    made = scaled(Narrowing(form))
    _, signals = of_every_input(made, [Format.integer(4)])
    (site,) = [each for each in sites(made) if each.name == "fc.output"]
    assert signals["fc.output"].max() == 7
    assert "saturates high" in hit_names(site, signals)
    assert bool(site.possible[site.corners.index("saturates high")])
    assert not site.possible[site.corners.index("saturates low")]


TABLES = [
    LookupTable((0, 3, 5, 9), Format.integer(8), index_shift=1, offset=2, interpolation=Interpolation.LINEAR),
    LookupTable((0, 3, 5, 9), Format.integer(8), index_shift=0, offset=1, interpolation=Interpolation.LINEAR),
    *(
        LookupTable((7, 1, 2), Format.integer(8), shift, offset, index_rounding=rounding, index_multiplier=multiplier)
        for shift, offset, multiplier in ((2, 1, 1), (1, 0, 1), (-1, 4, 1), (3, 1, 5), (0, 30, 1))
        for rounding in (Rounding.FLOOR, Rounding.HALF_EVEN, Rounding.TOWARD_ZERO)
    ),
]


@pytest.mark.parametrize("table", TABLES)
def test_corners_of_tables_raw_by_raw(table: LookupTable) -> None:
    """Each raw alone hits exactly the corners that its index says; those out of reach are those of no raw."""
    made = scaled(Narrowing(Format.integer(8)))
    (layer,) = made.layers
    assert isinstance(layer, Linear)
    made = Model("table", (replace(layer, datapath=replace(layer.datapath, activation=table)),))
    _, signals = of_every_input(made, [Format.integer(4)])
    (site,) = [each for each in sites(made) if each.kind == "table"]
    every = set()
    for raw in range(-8, 8):
        one = {site.reads[0]: np.array([[raw]])}
        assert hit_names(site, one) == table_corners(table, raw), raw
        every |= table_corners(table, raw)
    assert {corner for corner, left in zip(site.corners, site.possible, strict=True) if left} == every
    for place, raw in enumerate(signals["fc.preactivation"][:, 0].tolist()):
        assert int(signals["fc.output"][place, 0]) == look_up(raw, table)


def check_tried(made: Model, signals: Signals, *, rescaled: bool = False) -> int:
    """Each unit of a group has exactly the values that a brute-force run has; how many signals were found.

    What is ``rescaled`` has no longer every raw, so that there may be values too many.
    """
    names = set()
    for group in tried(made):
        for name, raws in group.items():
            if name.startswith("lstm.gate.") and name.endswith("sum") and f"{name[:-3]}accumulator" not in group:
                continue  # stands for what the pre-activation reads
            names.add(name)
            for unit in range(raws.shape[1]):
                found, wanted = set(raws[:, unit].tolist()), set(signals[name][:, unit].tolist())
                assert wanted <= found if rescaled else wanted == found, (name, unit)
    return len(names)


@given(st.data())
@settings(slow_start, max_examples=60)
def test_every_input_of_a_tiny_layer_is_tried(data: st.DataObject) -> None:
    """Out of reach is exactly what no input reaches, in a fully connected layer of few inputs."""
    layer = data.draw(linear_layers(TINY))
    made = Model("tiny", (layer,))
    form = layer.input_format
    if form.levels**layer.matrix.inputs > 1 << 12:
        return
    _, signals = of_every_input(made, [form] * layer.matrix.inputs)
    assert check_tried(made, signals) in (0, 4)
    check_bounds(made, signals)
    if tried(made):
        for site in sites(made):
            assert np.array_equal(site.possible, site.hits(signals)), site.name
            assert "every value was tried" in site.bounds


@given(st.data())
@settings(slow_start, max_examples=60)
def test_every_input_and_state_of_a_tiny_lstm_is_tried(data: st.DataObject) -> None:
    layer = data.draw(lstm_layers(TINY).filter(lambda each: each.projection is None))
    made = Model("tiny", (layer,))
    inputs, units = layer.input_matrix.inputs, layer.units
    forms = [*[layer.input_format] * inputs, *[layer.state_format] * units]
    if np.prod([float(form.levels) for form in forms]) > 40_000:
        return
    raws = np.array(
        list(product(*(range(form.raw_min, form.raw_max + 1, form.raw_step) for form in forms))), dtype=np.int64
    )
    cells = np.random.default_rng(0).integers(
        layer.datapath.read_cell.raw_min, layer.datapath.read_cell.raw_max, (len(raws), units), endpoint=True
    )
    cells -= (cells - layer.datapath.read_cell.raw_min) % layer.datapath.read_cell.raw_step
    result = made.run(raws[None, :, :inputs], state={layer.name: (raws[:, inputs:], cells)}, trace="*")
    signals = {name: trace[0] for name, trace in result.trace.items()} | {f"{layer.name}.cell@-1": cells}
    check_bounds(made, signals)
    path = layer.datapath
    check_tried(made, signals, rescaled=bool(path.input_rescale or path.hidden_rescale))


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=2000)
def test_every_input_and_state_of_many_tiny_lstms_is_tried(data: st.DataObject) -> None:
    test_every_input_and_state_of_a_tiny_lstm_is_tried.hypothesis.inner_test(data)  # type: ignore[attr-defined]


def test_every_token_is_tried_behind_an_embedding() -> None:
    made = model("words")
    result = made.run(np.arange(5)[None], trace="lstm.gate.*.input_*")
    (found,) = [group for group in tried(made) if "lstm.gate.input.input_sum" in group and len(group) == 8]
    assert set(found) == set(result.trace)
    for name, trace in result.trace.items():
        assert {tuple(row) for row in found[name].tolist()} == {tuple(row) for row in trace[0].tolist()}


@given(
    st.lists(st.integers(-6, 6), max_size=3),
    st.lists(st.builds(Column, st.integers(-4, 4), st.integers(1, 2), st.integers(1, 5)), min_size=3, max_size=3),
    st.integers(-40, 40),
)
def test_inputs_for_a_sum_are_found_where_there_are_any(weights: list[int], columns: list[Column], wanted: int) -> None:
    columns = columns[: len(weights)]
    ranges = [range(each.low, each.low + each.step * each.levels, each.step) for each in columns]
    sums = {sum(w * x for w, x in zip(weights, vector, strict=True)) for vector in product(*ranges)}
    found = inputs_for(np.array(weights, dtype=np.int64), columns, wanted)
    assert (found is not None) == (wanted in sums)
    if found is not None:
        assert sum(w * x for w, x in zip(weights, found.tolist(), strict=True)) == wanted
        assert all(x in values for x, values in zip(found.tolist(), ranges, strict=True))


def test_bounds_of_accumulators_are_those_of_weights_by_hand() -> None:
    """Three times -8..7 from 5: -19..26, 5 modulo nothing; four times -27..33, 1 modulo 4."""
    for weight, ends, period in ((3, (-19, 26), 0), (4, (-27, 33), 2), (-4, (-23, 37), 2), (0, (5, 5), None)):
        made = scaled(Narrowing(Format.integer(20)), weight=weight)
        (layer,) = made.layers
        assert isinstance(layer, Linear)
        made = Model("five", (Linear.from_raws("fc", [[weight]], [5], layer.datapath),))
        (reach,) = reaches(made).signals["fc.accumulator"]
        assert (reach.low, reach.high) == ends
        if period is not None:
            assert (reach.offset, reach.period) == (5 % (1 << period), period)
