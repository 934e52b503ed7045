"""Strength: neighbours that differ are told apart by a good set, and those called equivalent never differ."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.layers.linear import Linear
from fixedsim.model import Model
from fixedsim.profiles.datapath import Form, Narrowing
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.playing import play
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.strength import OUTCOMES, Verdict, _Neighbours, strength
from fixedsim_golden.tensors import named_tables
from fixedsim_golden.writing import write
from tests.golden.set_models import PROFILES, case_lists, drawn, model, raws_by_name, shipped
from tests.golden.set_models import few_tried as few_tried
from tests.golden.test_reach import extreme_cases, scaled

slow_start = settings(deadline=None, suppress_health_check=list(HealthCheck))


def verdicts(made: Model, cases: list[Case], folder: Path) -> dict[str, Verdict]:
    write(made, folder / "set", cases)
    return {each.neighbour: each for each in strength(folder / "set")}


@pytest.mark.slow
def test_one_zero_input_misses_things_and_a_full_set_does_not(tmp_path: Path) -> None:
    made = model("stream")
    (tmp_path / "zero").mkdir()
    zero = [Case("zero", ("user",), np.zeros((1, 2), dtype=np.int64))]
    weak = verdicts(made, zero, tmp_path / "zero")
    strong = verdicts(made, make_cases(made, "full").cases, tmp_path)
    assert {each.outcome for each in strong.values()} <= set(OUTCOMES)

    def missed(found: dict[str, Verdict]) -> set[str]:
        return {name for name, each in found.items() if each.outcome == "missed"}

    assert {"lstm inputs reversed", "lstm hidden state reversed"} <= missed(weak)
    assert not missed(strong) & missed(weak) & {name for name in weak if "reversed" in name or "swapped" in name}
    told = {name for name, each in strong.items() if each.outcome.startswith("told apart")}
    assert {
        "lstm input and forget gates swapped",
        "lstm candidate and output gates swapped",
        "lstm forget and output gates swapped",
        "lstm inputs reversed",
        "fc inputs reversed",
        "lstm.hidden rounds floor",
        "lstm.cell on overflow wrap",
        "a state that is cleared where it should be carried over",
        "a state that is carried over where it should be reset",
        "a reset in mid-sequence that does nothing",
    } <= told
    assert len(missed(strong)) < len(missed(weak)) / 4


@pytest.mark.parametrize("kind", ["both", pytest.param("last", marks=pytest.mark.slow)])
@pytest.mark.parametrize("profile", ["hls4ml", "litert"])
def test_strength_judges_every_kind_of_model(kind: str, profile: str, tmp_path: Path) -> None:
    made = model(kind, profile, weight_bits=3, activation_bits=4) if profile == "litert" else model(kind, profile)
    cases = make_cases(made, "smoke").cases
    cases = [cases[0], cases[3], *cases[-2:]]
    assert verdicts(made, cases, tmp_path)


def differ(found: Model, made: Model, cases: list[Case], signals: tuple[str, ...] = ("*",)) -> bool:
    """Whether any integer of a run differs, worked out by two runs."""
    one, other = (raws_by_name(play(each, cases, signals)) for each in (found, made))
    return any(not np.array_equal(raws, other[name]) for name, raws in one.items())


def check_equivalents(made: Model, cases: list[Case]) -> None:
    """No neighbour that is called equivalent gives another integer."""
    for neighbour in _Neighbours(made, cases[:1]).all():
        if neighbour.equivalent:
            assert not differ(neighbour.model, made, cases), (neighbour.name, neighbour.equivalent)


def many_cases(made: Model, seed: int, steps: int = 60, count: int = 20) -> list[Case]:
    """Random and extreme steps, from random states."""
    return [*extreme_cases(made), *_random_cases(made, seed, steps, count)]


def _random_cases(made: Model, seed: int, steps: int, count: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        form = made.input_format
        if form is None:
            raws = rng.integers(0, len(made.layers[0].table), steps)  # type: ignore[union-attr]
        else:
            width = extreme_cases(made)[0].inputs.shape[1]
            raws = form.raw_min + form.raw_step * rng.integers(0, form.levels, (steps, width))
        found.append(Case(f"random-{place}", ("random",), raws))
    return found


QUICK = ("fixed-point", "cmsis-nn")  # the others have larger tables, or more of them
LONG = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PROFILES]


@pytest.mark.parametrize("profile", LONG)
@given(st.data())
@settings(slow_start, max_examples=2)
def test_equivalents_of_shipped_profiles_never_differ(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    check_equivalents(made, many_cases(made, data.draw(st.integers(0, 1 << 32))))


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=10)
def test_equivalents_of_drawn_datapaths_never_differ(data: st.DataObject) -> None:
    made = data.draw(drawn())
    check_equivalents(made, [*many_cases(made, 1, 40, 5), *data.draw(case_lists(made))])


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=400)
def test_equivalents_of_many_drawn_datapaths_never_differ(data: st.DataObject) -> None:
    made = data.draw(drawn())
    check_equivalents(made, [*many_cases(made, 1, 40, 5), *data.draw(case_lists(made))])


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@given(st.data())
@settings(slow_start, max_examples=40)
def test_equivalents_never_differ_in_thousands_of_steps(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    check_equivalents(made, many_cases(made, data.draw(st.integers(0, 1 << 32)), 300, 20))


def neighbours(output: Narrowing, **choices: Any) -> dict[str, tuple[bool, bool]]:
    """Of each neighbour of one cast: whether it is called equivalent, and whether it ever differs."""
    made = scaled(output, **choices)
    form = made.input_format
    assert form is not None
    cases = [Case("every", ("user",), np.arange(form.raw_min, form.raw_max + 1)[:, None])]
    return {
        each.name: (bool(each.equivalent), differ(each.model, made, cases))
        for each in _Neighbours(made, cases).all()
        if each.name.startswith("fc.output ")
    }


WIDE = Format.integer(12)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("weight", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_equivalent_roundings_of_a_shift_by_every_input(rounding: Rounding, weight: int, shift: int) -> None:
    """Every input of 4 bits times a weight: nobody who is called equivalent differs."""
    for equivalent, different in neighbours(Narrowing(WIDE, rounding, shift=shift), weight=weight).values():
        assert not (equivalent and different)
        if shift == 0:
            assert equivalent != different


@pytest.mark.parametrize("shift", [30, 31, 32, 33, 34])
@pytest.mark.parametrize("multiplier", [1 << 30, (1 << 31) - 1, 1_234_567_891])
@pytest.mark.parametrize("rounding", [Rounding.HALF_EVEN, Rounding.HALF_UP, Rounding.HALF_AWAY])
def test_a_doubling_form_meets_ties_in_its_second_rounding(shift: int, multiplier: int, rounding: Rounding) -> None:
    """A doubling multiply by 2**30 halves; the shift beyond 31 rounds once more, and there are halves."""
    narrowing = Narrowing(WIDE, rounding, shift=shift, multiplier=multiplier, form=Form.DOUBLING)
    for weight in (1, 4):
        found = neighbours(narrowing, weight=weight)
        assert [name for name, (equivalent, different) in found.items() if equivalent and different] == []


@pytest.mark.parametrize("zero_point", [-9, -3, 0, 3, 9])
@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
def test_equivalent_overflows_by_every_input(bits: int, overflow: Overflow, zero_point: int) -> None:
    form = replace(Format.integer(bits), zero_point=zero_point)
    found = neighbours(Narrowing(form, overflow=overflow))
    assert [name for name, (equivalent, different) in found.items() if equivalent and different] == []


def test_a_bias_that_needs_the_safe_width_is_no_neighbour_that_stops_all(tmp_path: Path) -> None:
    """A bias of 100 and no weights: 8 bits are safe, and in 7 the layer itself is refused."""
    made = scaled(Narrowing(Format.integer(20)))
    (layer,) = made.layers
    assert isinstance(layer, Linear)
    made = Model("bias", (Linear.from_raws("fc", [[0]], [100], layer.datapath),))
    assert verdicts(made, [Case("one", ("user",), np.zeros((1, 1), dtype=np.int64))], tmp_path)


def test_saturated_bits_of_a_wrap_are_no_obstacle(tmp_path: Path) -> None:
    made = scaled(Narrowing(Format.integer(3), overflow=Overflow.WRAP, saturated_bits=1))
    cases = [Case("every", ("user",), np.arange(-8, 8)[:, None])]
    assert verdicts(made, cases, tmp_path)["fc.output on overflow saturate"].outcome == "told apart"


@pytest.mark.slow
def test_table_entries_are_told_apart_where_they_are_read(tmp_path: Path) -> None:
    made = model("stream", "hls4ml")
    cases = make_cases(made, "smoke").cases
    found = verdicts(made, cases, tmp_path)
    entries = {name: each for name, each in found.items() if " entry " in name}
    assert any(each.outcome.startswith("told apart") for each in entries.values())
    assert len(entries) == sum(len(table.values) for table in named_tables(made).values())


@pytest.mark.slow
def test_starts_are_part_of_the_neighbours(tmp_path: Path) -> None:
    made = model("stream")
    raws = np.array([[5, -9], [3, 100]])
    cases = [Case("a", ("user",), raws), Case("b", ("user",), raws, Start.CONTINUED)]
    found = verdicts(made, cases, tmp_path)
    assert found["a state that is cleared where it should be carried over"].outcome == "told apart"
    assert "a reset in mid-sequence that does nothing" not in found
