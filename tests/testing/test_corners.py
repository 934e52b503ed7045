"""What 500 draws reach: ties of both signs, ends, every rounding and overflow, extreme accumulators."""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.lstm_stages import narrowings as narrowings_of
from fixedsim.layers.parts import Matrix
from fixedsim.profiles.datapath import Accumulator, BiasStage, FixedFunction, Hazard, Narrowing, Primitive
from fixedsim.testing import casts, formats, lstm_layers, narrowings, profiles, raws, real_values
from fixedsim.testing import states as drawn_states
from fixedsim.testing.input import operands
from fixedsim.testing.value import near_powers, nearest_first

Drawn = TypeVar("Drawn")
OPTIONS = (
    *("bias_cast", "folded_zero_point", "input_rescale", "hidden_rescale", "forget_addend", "input_addend", "coupled"),
    *("hidden_state", "cell_state", "output"),
)
DRAWS = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


def tally(strategy: st.SearchStrategy[Drawn], of: Callable[[Drawn], Any], draws: int = 500) -> Counter[str]:
    """How many of the draws have each of the marks that ``of`` gives."""
    found: Counter[str] = Counter()

    @settings(DRAWS, max_examples=draws)
    @given(strategy)
    def each(drawn: Drawn) -> None:
        found.update(set(of(drawn)))

    each()
    return found


def marks(value: Fraction, form: Format) -> set[str]:
    """Where a real in raw units stands in a format: on a tie, beyond an end, on an end."""
    place = (value - form.raw_min) / form.raw_step
    sign = "negative" if value < 0 else "positive"
    found = {f"{sign} tie"} if place.denominator == 2 else set()
    found |= {"low"} if value < form.raw_min else {"lowest"} if value == form.raw_min else set()
    return found | ({"high"} if value > form.raw_max else {"highest"} if value == form.raw_max else set())


CORNERS = {"negative tie", "positive tie", "low", "high", "lowest", "highest"}


@pytest.mark.parametrize(
    "form", [Format.integer(2), Format.parse("s4.11"), Format.odd(4), Format.affine(8, Fraction(1, 8), 5)]
)
def test_reals(form: Format) -> None:
    found = tally(real_values(form), lambda real: marks(Fraction(real) / form.scale + form.zero_point, form))
    assert all(found[corner] >= 3 for corner in CORNERS), found


def test_reals_beside_a_tie() -> None:
    form = Format.parse("s4.11")
    found = tally(real_values(form), lambda real: {str(np.nextafter(real, way) * 4096 % 2 == 1) for way in (-9, 9)})
    assert found["True"] >= 30


@pytest.mark.parametrize("rounding", Rounding)
def test_ties_of_casts(rounding: Rounding) -> None:
    def of(cast: Any) -> set[str]:
        path: Narrowing = cast.narrowing
        value = Fraction(cast.value) * path.multiplier / Fraction(2) ** path.shift + path.format.zero_point
        return marks(value, path.format)

    given_narrowings = (
        formats(widest=8).flatmap(narrowings).map(lambda each: Narrowing(each.format, rounding, shift=abs(each.shift)))
    )
    found = tally(casts(given_narrowings), of, 200)
    assert found["negative tie"] + found["positive tie"] >= 35, found
    assert all(found[corner] >= 5 for corner in CORNERS), found


def test_choices_of_casts() -> None:
    found = tally(
        casts(),
        lambda cast: {cast.narrowing.rounding, cast.narrowing.overflow, f"step {cast.narrowing.format.raw_step}"},
        800,
    )
    assert all(found[choice] >= 20 for choice in (*Rounding, *Overflow, "step 1", "step 2")), found


def test_overflows_of_casts() -> None:
    def of(cast: Any) -> set[str]:
        path: Narrowing = cast.narrowing
        value = Fraction(cast.value) / Fraction(2) ** path.shift + path.format.zero_point
        high, low = (
            value >= path.format.raw_max + path.format.raw_step,
            value <= path.format.raw_min - path.format.raw_step,
        )
        return {f"{path.overflow} {side}" for side, there in (("high", high), ("low", low)) if there}

    found = tally(casts(), of, 1200)
    assert all(found[f"{mode} {side}"] >= 2 for mode in Overflow for side in ("high", "low")), found


def test_choices_of_profiles() -> None:
    def of(profile: Any) -> set[str]:
        return {
            f"{key} {profile.to_dict()[table][key]}"
            for table, key in (("activation", "rounding"), ("activation", "overflow"))
        }

    found = tally(profiles(), of, 400)
    wanted = [f"rounding {each}" for each in Rounding] + [f"overflow {each}" for each in Overflow]
    assert all(found[choice] >= 3 for choice in wanted), found


@pytest.mark.parametrize("form", [Format.integer(8), Format.odd(3), Format.integer(64, signed=False), Format(4, 1, 9)])
def test_raws(form: Format) -> None:
    def of(drawn: Any) -> set[str]:
        assert all(form.contains(int(raw)) for raw in drawn.ravel())
        ends = {form.raw_min: "lowest", form.raw_max: "highest"}
        found = {ends[raw] for raw in ends if (drawn == raw).any()}
        return found | {f"all {ends[raw]}" for raw in ends if (drawn == raw).all()}

    found = tally(raws(form, (2, 3)), of)
    assert all(found[mark] >= 3 for mark in ("lowest", "highest", "all lowest", "all highest")), found


def test_near_powers_are_those_of_the_list() -> None:
    assert near_powers(-5, 9) == [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, 7, 8, 9]
    assert set(near_powers(0, 40)) >= {14, 15, 16, 17, 18, 30, 31, 32, 33, 34, 40}
    assert 22 not in near_powers(0, 40)


@pytest.mark.parametrize(("low", "high"), [(-3, 5), (-5, 3), (0, 4), (-4, 0), (2, 6), (-6, -2), (-4, 3)])
def test_every_place_is_one_integer(low: int, high: int) -> None:
    found = nearest_first(np.arange(high - low + 1, dtype=np.uint64), low, high).tolist()
    assert sorted(found) == list(range(low, high + 1))
    assert abs(found[0]) == min(abs(value) for value in range(low, high + 1))


def test_places_of_whole_words() -> None:
    places = np.array([0, 1, 2, (1 << 64) - 2, (1 << 64) - 1], np.uint64)
    signed = nearest_first(places, -(1 << 63), (1 << 63) - 1).tolist()
    assert signed == [0, 1, -1, 1 - (1 << 63), -(1 << 63)]
    assert nearest_first(places, 0, (1 << 64) - 1).tolist() == places.tolist()


def test_inputs_matched_to_a_row_drive_it_to_its_extreme() -> None:
    form, weight = Format.integer(8), np.array([[3, -1, 2, -3, 1, -2, 3, -1]])
    matrix = Matrix.of(weight, Format.integer(4), Accumulator(), Narrowing(form))
    most, least = 9 * 127 + 7 * 128, -9 * 128 - 7 * 127

    def of(vector: Any) -> set[str]:
        total = int(weight[0] @ vector)
        return {"most"} if total == most else {"least"} if total == least else set()

    found = tally(operands(matrix, form, ()), of, 200)
    assert min(found["most"], found["least"]) >= 10, found


def test_states_reach_both_ends_of_the_cell() -> None:
    def of(case: tuple[Any, Any]) -> set[str]:
        layer, state = case
        form = layer.datapath.cell.format
        return {str(raw == form.raw_max) for raw in state.cell.ravel() if raw in (form.raw_min, form.raw_max)}

    found = tally(lstm_layers().flatmap(lambda layer: st.tuples(st.just(layer), drawn_states(layer, batch=2))), of, 100)
    assert min(found["True"], found["False"]) >= 10, found


@pytest.mark.slow
def test_stages_that_a_datapath_may_lack() -> None:
    def of(layer: Lstm) -> set[str]:
        path, stages = layer.datapath, narrowings_of(layer.datapath)
        found = {name.rpartition(".")[2] for name in stages} | {f"bias {path.bias_stage}", path.hazard}
        found |= {f"option {name}" for name in OPTIONS if getattr(path, name) not in (None, False)}
        found |= {
            "zero points inside" for name, stage in stages.items() if stage.format.zero_point and name != "hidden"
        }
        found |= {f"a {primitive}" for stage in stages.values() if (primitive := stage.primitive)}
        found |= {"registered" for gate in path.present if isinstance(gate.activation, FixedFunction)}
        return found | {"projection" for _ in (layer.projection,) if layer.projection} | {"a layer"}

    found = tally(lstm_layers(), of, 200)
    wanted = ["peephole_sum", "normalized", "registered", "projection", "zero points inside", *Hazard]
    wanted += [f"a {each}" for each in Primitive] + [f"bias {each}" for each in BiasStage]
    wanted += [f"option {each}" for each in OPTIONS]
    assert all(3 <= found[stage] < found["a layer"] for stage in wanted), found
