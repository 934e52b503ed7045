"""Steps that are worked out rather than drawn: for tables of a fully connected layer, ties of products, multipliers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fixedsim
from fixedsim.model import Model
from fixedsim.network import Description, LinearLayer, LstmLayer
from fixedsim_golden.corners import TIES, sites
from fixedsim_golden.coverage import summarize
from fixedsim_golden.playing import play
from fixedsim_golden.stages import stages
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.ties import Factors, tie_pairs
from tests.golden.set_models import network


def quantized(layer: LinearLayer | LstmLayer, profile: str, bits: int, gain: float = 3.0) -> Model:
    """One layer with normal weights, quantized."""
    widths = {"fc.output": bits} if isinstance(layer, LinearLayer) else {}
    made = network(Description("one", (layer,)), seed=7, gain=gain)
    options: Any = {"weight_bits": bits, "activation_bits": bits, "bits": widths, "ranges": {"*": (-1.0, 1.0)}}
    return fixedsim.quantize(made, profile=profile, **options)


@given(
    st.lists(st.integers(-1 << 12, 1 << 12), min_size=1, max_size=40, unique=True),
    st.lists(st.integers(-1 << 12, 1 << 12), min_size=1, max_size=40, unique=True),
    st.integers(1, 1 << 10),
    st.integers(1, 40),
)
def test_pairs_are_those_whose_product_lies_half_way(
    first: list[int], second: list[int], multiplier: int, shift: int
) -> None:
    wanted = {(a, b) for a in first for b in second if a * b * multiplier % (1 << shift) == 1 << (shift - 1)}
    found = tie_pairs(np.array(first), np.array(second), multiplier, shift)
    assert found is not None
    assert {(int(a), int(b)) for a, b in found} == wanted


@pytest.mark.parametrize(
    ("profile", "bits"),
    [
        ("fixed-point", 4),
        pytest.param("bit-rnn", 2, marks=pytest.mark.slow),
        pytest.param("bit-rnn", 4, marks=pytest.mark.slow),
    ],
)
def test_no_step_makes_a_tie_of_the_hidden_state_that_is_ruled_out(profile: str, bits: int) -> None:
    made = quantized(LstmLayer("lstm", 2, 2), profile, bits)
    (site,) = [each for each in sites(made) if each.name == "lstm.hidden"]
    first = site.corners.index(TIES[0])
    ties = slice(first, first + len(TIES))
    assert "every pair of factors was tried for ties" in site.bounds
    rng = np.random.default_rng(bits)
    form, cell = made.layers[0].state_format, made.layers[0].datapath.read_cell  # type: ignore[union-attr]
    count = 200_000
    state = {
        "lstm": (
            form.raw_min + form.raw_step * rng.integers(0, form.levels, (count, 2)),
            rng.integers(cell.raw_min, cell.raw_max + 1, (count, 2)),
        )
    }
    read = made.input_format
    assert read is not None
    levels = rng.integers(0, read.levels, (1, count, 2))
    traced = made.run(read.raw_min + read.raw_step * levels, state=state, trace="*").trace
    seen = site.hits({name: raws[0] for name, raws in traced.items()})
    assert not np.any(seen[ties] & ~site.possible[ties])


@pytest.mark.slow
def test_ties_that_are_open_are_worked_out() -> None:
    made = quantized(LstmLayer("lstm", 2, 2), "bit-rnn", 8)
    stage = stages(made)["lstm.hidden"]
    pairs = Factors(made).ties(stage, 0)
    assert pairs is not None
    assert len(pairs)
    covered = make_cases(made, "full")
    (found,) = [site for site in summarize(covered) if site.to_dict()["site"] == "lstm.hidden"]
    assert not found.to_dict()["undecided"]


@pytest.mark.parametrize(("profile", "bits"), [("fixed-point", 8), ("bit-rnn", 4), ("bit-rnn", 1)])
def test_every_segment_of_a_fully_connected_layers_table_is_decided(profile: str, bits: int) -> None:
    covered = make_cases(quantized(LinearLayer("fc", 4, 3, activation="sigmoid"), profile, bits), "full")
    for site, seen in zip(covered.sites, covered.hits, strict=True):
        if site.kind == "table":
            assert not np.any(site.possible & ~seen)


def test_a_multiplier_that_is_one_off_shows_in_the_cases_for_it() -> None:
    """The sums of each row that any accumulator tells apart, and no other case need do so."""
    made = quantized(LinearLayer("fc", 4, 3, activation="relu"), "bit-rnn", 8)
    cases = [case for case in make_cases(made, "full").cases if "multiplier" in case.flags]
    assert cases
    layer: Any = made.layers[0]
    own = next(entry.raws for entry in play(made, cases, ["fc.sum"]) if entry.name == "fc.sum")
    for change in (1, -1):
        matrix = replace(layer.matrix, multiplier=layer.matrix.multiplier + change)
        other = Model("other", (replace(layer, matrix=matrix),))
        given = next(entry.raws for entry in play(other, cases, ["fc.sum"]) if entry.name == "fc.sum")
        assert np.any(own != given)
