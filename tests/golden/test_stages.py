"""Every stage explains its signal: what it says of source, multiplier and shift gives the traced integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.model import Model
from fixedsim.profiles.datapath import Hazard
from fixedsim.spec.activations import activate
from fixedsim.spec.casts import narrow
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.playing import lstms, play
from fixedsim_golden.stages import Applied, Operand, Product, Source, Sum, Weighted, previous, signals_of, stages
from tests.golden.set_models import PROFILES, case_lists, drawn, model, raws_by_name, shipped

slow_start = settings(deadline=None, suppress_health_check=list(HealthCheck))


def value(source: Source, signals: dict[str, Any], row: int, unit: int) -> int:
    """What a source gives, in Python integers."""

    def read(operand: Operand) -> int:
        return int(signals[operand.signal][row][unit]) - operand.zero_point

    match source:
        case Sum():
            return sum(read(operand) for operand in source.operands) + int(source.constant[unit])
        case Product():
            return read(source.first) * read(source.second)
        case Weighted():
            return read(source.operand) * int(source.weight[unit])
        case Applied():
            assert source.operand.zero_point == 0  # an activation reads raws as they are
            return activate(read(source.operand), source.activation) - source.activation.format.zero_point


def check_stages(made: Model, cases: list[Case]) -> int:
    """Every traced signal is its stage's narrowing of its source; how many values were compared."""
    signals = signals_of(made, cases, play(made, cases, engine="spec"))
    compared = 0
    for name, stage in stages(made).items():
        traced = signals[name]
        assert stage.units == traced.shape[1]
        assert stage.narrowing.format == made.signals[name].format
        if stage.source is None:
            continue
        assert stage.reads == tuple(operand.signal for operand in stage.source.operands)
        for row in range(len(traced)):
            for unit in range(stage.units):
                given = value(stage.source, signals, row, unit)
                wanted = narrow(given, stage.narrowing, int(stage.multiplier[unit]), int(stage.shift[unit]))
                assert traced[row, unit] == wanted, (name, row, unit)
                compared += 1
        rows = range(len(traced))
        fast = np.asarray(stage.source.of(signals))
        slow = [[value(stage.source, signals, row, unit) for unit in range(stage.units)] for row in rows]
        assert np.array_equal(fast, np.array(slow).reshape(fast.shape))
    return compared


@pytest.mark.parametrize("profile", PROFILES)
@given(st.data())
@settings(slow_start, max_examples=12)
def test_stages_of_shipped_profiles_give_the_signals(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    assert check_stages(made, data.draw(case_lists(made)))


@given(st.data())
@settings(slow_start, max_examples=60)
def test_stages_of_drawn_datapaths_give_the_signals(data: st.DataObject) -> None:
    made = data.draw(drawn())
    check_stages(made, data.draw(case_lists(made)))


@pytest.mark.slow
@given(st.data())
@settings(slow_start, max_examples=1500)
def test_stages_of_many_drawn_datapaths_give_the_signals(data: st.DataObject) -> None:
    made = data.draw(drawn())
    check_stages(made, data.draw(case_lists(made)))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["stream", "words", "both", "stack", "last"])
def test_every_cast_has_a_stage_with_a_source(profile: str, kind: str) -> None:
    made = model(kind, profile)
    no_stages = ("accumulator", "embedding.output", "lstm.output", "rescaled_input", "rescaled_hidden")
    casts = {name for name in made.signals if not name.endswith(no_stages)}
    found = stages(made)
    assert set(found) == casts
    stale = any(part.datapath.hazard is not Hazard.NONE for part in lstms(made).values())
    unexplained = {name.rpartition(".")[2] for name, stage in found.items() if stage.source is None}
    assert unexplained == ({"forget_product", "input_product"} if stale else set())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_stage_comes_after_all_that_it_reads(profile: str) -> None:
    for kind in ("stack", "both"):
        seen: set[str] = set()
        for name, stage in stages(model(kind, profile)).items():
            for read in stage.reads:
                assert read in seen or read.endswith(("accumulator", "cell@-1"))
            seen.add(name)


@pytest.mark.parametrize("kind", ["stream", "words", "stack"])
@given(st.data())
@settings(slow_start, max_examples=25)
def test_the_cell_before_each_step_is_found_step_by_step(kind: str, data: st.DataObject) -> None:
    """Each step alone, from the state that the step before left, has that state's cell as its ``cell@-1``."""
    made = model(kind)
    cases = data.draw(case_lists(made))
    signals = signals_of(made, cases, play(made, cases))
    resting: dict[str, Any] = {name: tuple(part.initial_state(1)) for name, part in lstms(made).items()}
    now: dict[str, Any] = resting
    row = 0
    for case in cases:
        if case.start is not Start.CONTINUED:
            put = {name: (h[None], c[None]) for name, (h, c) in case.state.items()}
            now = put if case.start is Start.INJECTED else resting
        for step in range(case.steps):
            now = resting if step in case.resets else now
            for name in lstms(made):
                assert np.array_equal(signals[previous(name)][row], now[name][1][0])
            now = dict(made.run(case.inputs[step : step + 1, None], state=now).state)
            row += 1


def test_the_backward_cell_of_an_injected_case_comes_from_the_last_step() -> None:
    made = model("both")
    state = {name: (np.full(2, 3), np.array([5, -7])) for name in lstms(made)}
    inputs = np.array([[1, 2, 3], [-4, 5, -6], [7, 0, 1]])
    case = Case("put", ("injected",), inputs, Start.INJECTED, state)
    entries = play(made, [case])
    signals, raws = signals_of(made, [case], entries), raws_by_name(entries)
    forward, backward = (f"lstm.{direction}" for direction in ("forward", "backward"))
    assert signals[previous(forward)][0].tolist() == [5, -7]
    assert np.array_equal(signals[previous(forward)][1:], raws[f"{forward}.cell"][:-1])
    assert signals[previous(backward)][-1].tolist() == [5, -7]
    assert np.array_equal(signals[previous(backward)][:-1], raws[f"{backward}.cell"][1:])


def test_without_the_cell_among_the_signals_there_is_none_before_it() -> None:
    made = model("stream")
    cases = [Case("one", ("user",), np.zeros((2, 2), dtype=np.int64))]
    found = signals_of(made, cases, play(made, cases, ["lstm.hidden", "fc.*"]))
    assert previous("lstm") not in found
    assert {"lstm.hidden", "fc.output"} <= set(found)
