"""The cases of each level: the same by seed, valid, and at the ends that they promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.errors import InputError
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim_golden.cases import FLAGS, Case, Start
from fixedsim_golden.playing import lstms, play, streams
from fixedsim_golden.sequences import sequences_of
from fixedsim_golden.stimuli import Level, make_cases
from tests.golden.set_models import KINDS, PROFILES, model, raws_by_name, shipped
from tests.golden.set_models import few_tried as few_tried

slow_start = settings(deadline=None, suppress_health_check=list(HealthCheck))


def content(cases: list[Case]) -> list[Any]:
    """Everything that cases hold, to be compared."""
    return [
        (
            case.id,
            case.flags,
            case.inputs.tolist(),
            str(case.start),
            {name: (h.tolist(), c.tolist()) for name, (h, c) in case.state.items()},
            case.resets,
        )
        for case in cases
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_everything(kind: str) -> None:
    made = model(kind)
    first, again, other = (make_cases(made, "smoke", seed=seed).cases for seed in (4, 4, 5))
    assert content(first) == content(again)
    assert content(first) != content(other)
    directed = [place for place, case in enumerate(first) if case.id in ("minimum", "maximum", "alternating")]
    assert directed
    assert [content(first)[place] for place in directed] == [content(other)[place] for place in directed]


def check_valid(made: Model, cases: list[Case]) -> None:
    """Each case is one that the model takes, with names, flags and raws of the formats."""
    assert len({case.id for case in cases}) == len(cases)
    first = made.layers[0]
    for place, case in enumerate(cases):
        assert case.flags
        assert set(case.flags) <= set(FLAGS)
        if isinstance(first, Embedding):
            assert case.inputs.ndim == 1
            assert 0 <= case.inputs.min() <= case.inputs.max() < len(first.table)
        else:
            form = made.input_format
            assert form is not None
            assert all(form.contains(int(raw)) for raw in np.unique(case.inputs))
        if case.start is Start.CONTINUED:
            assert place
            assert streams(made)
        assert ("injected" in case.flags) == (case.start is Start.INJECTED)
        for name, (hidden, cell) in case.state.items():
            part = lstms(made)[name]
            assert all(part.state_format.contains(int(raw)) for raw in hidden)
            assert all(part.datapath.read_cell.contains(int(raw)) for raw in cell)
    assert play(made, cases)


@pytest.mark.parametrize("profile", PROFILES)
@given(st.data())
@settings(slow_start, max_examples=5)
def test_cases_of_a_smoke_set_are_valid(profile: str, data: st.DataObject) -> None:
    made = data.draw(shipped(profile))
    check_valid(made, make_cases(made, Level.SMOKE, seed=data.draw(st.integers(0, 1 << 64))).cases)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_cases_of_a_full_set_are_valid(kind: str, profile: str) -> None:
    made = model(kind, profile)
    check_valid(made, make_cases(made, "full", seed=9).cases)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["fixed-point", "litert", "hls4ml"])
@pytest.mark.parametrize("kind", ["stream", "both"])
def test_extremes_of_a_full_set_are_those_of_the_weights(kind: str, profile: str) -> None:
    """The lowest and the highest accumulator of every row of the first layer, by NumPy from weights and bias."""
    made = model(kind, profile, weight_bits=4, activation_bits=4)
    form, first = made.input_format, made.layers[0]
    assert form is not None
    cases = [case for case in make_cases(made, "full").cases if "extreme" in case.flags]
    raws = raws_by_name(play(made, cases, ["*accumulator"]))
    matrix: Any = first.input_matrix if isinstance(first, Lstm) else first.matrix  # type: ignore[union-attr]
    weights = matrix.weight.astype(np.int64) - matrix.zero_point[:, None]
    ends = np.array([form.raw_min, form.raw_max])
    if isinstance(first, Lstm):
        found = np.concatenate(
            [raws[f"lstm.gate.{gate}.input_accumulator"] for gate in ("input", "forget", "candidate", "output")], axis=1
        )
    else:
        found = raws["fc.accumulator"]
    products = weights[:, :, None] * (ends - (0 if made.layers[0].datapath.folded_zero_point else form.zero_point))  # type: ignore[union-attr]
    spans = products.max(axis=2).sum(axis=1) - products.min(axis=2).sum(axis=1)
    shift = -matrix.product_shift
    assert np.array_equal(found.max(axis=0) - found.min(axis=0), spans << shift)


def test_control_words_by_hand() -> None:
    """1 resets before a step, 2 ends a sequence, 4 puts a state in."""
    raws = np.zeros((4, 1), dtype=np.int64)
    assert Case("a", ("user",), raws).control.tolist() == [1, 0, 0, 2]
    assert Case("b", ("user",), raws, Start.CONTINUED, {}, (1, 3)).control.tolist() == [0, 1, 0, 3]
    assert Case("c", ("user",), raws[:1], Start.INJECTED).control.tolist() == [6]
    assert Case("d", ("user",), raws[:1]).control.tolist() == [3]


def test_levels() -> None:
    made = model("stream")
    smoke, user = make_cases(made), make_cases(made, "user", inputs=[np.array([[1, 2]])])
    assert [case.id for case in user.cases] == ["user-0"]
    both = make_cases(made, "smoke", inputs=[np.array([[1, 2]])]).cases
    assert content(both) == content(user.cases + smoke.cases)
    with pytest.raises(InputError, match="inputs must hold at least one sequence for level user, not none"):
        make_cases(made, "user")
    with pytest.raises(InputError, match="level must be one of smoke, full, user, not 'all'"):
        make_cases(made, "all")
    with pytest.raises(InputError, match="must be integers, not fc in float64"):
        make_cases(model("stream", keep_float=["fc"]))


@pytest.mark.slow
def test_a_full_set_leaves_less_open_than_a_smoke_set() -> None:
    made = model("stream", weight_bits=3, activation_bits=4)
    assert make_cases(made, "full").open < make_cases(made, "smoke").open


def test_sequences_of_a_user() -> None:
    stream, words = model("stream"), model("words")
    form = stream.input_format
    assert form is not None
    raws = np.arange(12).reshape(3, 2, 2)
    assert [each.tolist() for each in sequences_of(stream, raws)] == [raws[:, 0].tolist(), raws[:, 1].tolist()]
    assert [each.tolist() for each in sequences_of(stream, raws[:, 0].astype(np.int8))] == [raws[:, 0].tolist()]
    scale = float(form.scale)
    reals = np.array([[0.5 * scale, 1.5 * scale], [1e9, -1e9]])
    (rounded,) = sequences_of(stream, reals)
    assert rounded.tolist() == [[0, 2], [form.raw_max, form.raw_min]]  # half to even, saturated
    assert [each.tolist() for each in sequences_of(words, np.array([[0, 1], [4, 2]]))] == [[0, 4], [1, 2]]
    assert [each.tolist() for each in sequences_of(words, np.array([3]))] == [[3]]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("stream", np.zeros((2, 3), np.int64), "inputs must have 2 features, not 3"),
        ("stream", np.zeros(2, np.int64), "inputs must have shape"),
        ("stream", np.zeros((0, 2), np.int64), "with at least one step"),
        ("stream", np.zeros((2, 2, 2, 2), np.int64), "inputs must have shape"),
        ("stream", np.full((1, 2), 1 << 20), "inputs"),
        ("stream", np.full((1, 2), np.nan), "inputs|nan|finite"),
        ("words", np.array([5]), "inputs"),
        ("words", np.array([-1]), "inputs"),
        ("words", np.array([1.0]), "inputs"),
        ("words", np.zeros((2, 2, 2), np.int64), "inputs must have shape"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(kind: str, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sequences_of(model(kind), given)
