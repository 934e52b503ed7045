"""Plans of a neuron increase: against sums written out, exhaustive search, and single evaluations."""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fixedsim
from fixedsim.errors import FixedsimError
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, preset
from fixedsim.planning import Measure, Plan, Verdict, evaluator, plan, plot
from fixedsim.planning.mixtures import Option, mixtures
from fixedsim.sweep import Configuration, Task
from tests.widening.test_widen import descriptions

SMALL = Description(
    "small", (EmbeddingLayer("embedding", 20, 4), LstmLayer("lstm", 4, 9), LinearLayer("decoder", 9, 20))
)
TOKENS = np.arange(60) * 7 % 66


def verdicts(found: Plan) -> dict[str, Verdict]:
    return {layer.name: layer.verdict for layer in found.ranking}


def test_the_papers_layers_are_chosen() -> None:
    """Kapur et al. widen layers 1, 2 and 5 of Deep Speech, and the LSTM of the language model."""
    speech = plan(preset("deep-speech"))
    assert set(speech.widened) == {"fc1", "fc2", "fc5"}
    assert verdicts(speech)["lstm"] is Verdict.LARGEST  # four fifths of all parameters
    assert verdicts(speech)["fc3"] is Verdict.FEEDS
    assert verdicts(speech)["fc6"] is Verdict.LAST
    language = plan(preset("ptb-lm"))
    assert language.widened == ("lstm",)
    assert verdicts(language)["embedding"] is Verdict.LARGEST


def test_shares_and_growth_are_those_of_sums_written_out() -> None:
    ranked = {layer.name: layer for layer in plan(preset("deep-speech")).ranking}
    total = 122_732_573
    assert ranked["fc1"].parameter_share == (494 * 2048 + 2048) / total
    assert ranked["lstm"].macs == 2 * 4 * 2048 * (4096 + 2048)
    assert ranked["lstm"].mac_share == ranked["lstm"].macs / (total - 2048 * 3 - 4096 - 29 - 2 * 4 * 2048)
    more = 512 * 495 + 512 * 2048  # 512 rows of fc1 with their biases, and as many columns of fc2
    assert ranked["fc1"].growth == pytest.approx(more / total, rel=1e-12)
    assert ranked["fc6"].growth is None


def ptb_whole(embedding: int, units: int) -> int:
    return 10_000 * embedding + 4 * units * (embedding + units + 1) + 10_000 * (units + 1)


def ptb_matrices(embedding: int, units: int) -> int:
    return 4 * units * (embedding + units)


@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize(("count", "tensors"), [(ptb_whole, ()), (ptb_matrices, ("lstm.*.weight",))])
def test_units_at_equal_storage_by_the_law(
    count: Callable[[int, int], int], tensors: tuple[str, ...], along: bool
) -> None:
    """The most units whose parameters times bits stay within those of 300 units at 8 bits, by trying every number."""
    layers = ("embedding", "lstm") if along else ("lstm",)
    found = plan(preset("ptb-lm"), weight_bits=(8, 4, 3, 2, 1), measure="law", tensors=tensors, layers=layers)
    limit = 8 * count(300, 300)
    for point in found.frontier:
        assert isinstance(point.bits, int)
        fits = [n for n in range(300, 3000) if count(n if along else 300, n) * point.bits <= limit]
        assert point.widths["lstm"] == max(fits)
    assert [point.bits for point in found.frontier] == [8, 4, 3, 2, 1]


def test_the_frontiers_of_the_language_model() -> None:
    """Whole model by the law: 551, 700, 969, 1629 with the embedding, 738, 986, 1417, 2429 without."""
    both = plan(preset("ptb-lm"), weight_bits=(8, 4, 3, 2, 1), measure="law", layers=["embedding", "lstm"])
    assert [point.widths["lstm"] for point in both.frontier] == [300, 551, 700, 969, 1629]
    alone = plan(preset("ptb-lm"), weight_bits=(8, 4, 3, 2, 1), measure="law")
    assert [point.widths["lstm"] for point in alone.frontier] == [300, 738, 986, 1417, 2429]


@given(descriptions(), st.sampled_from(list(Measure)), st.integers(1, 7), st.integers(0, 3000))
@settings(max_examples=25, deadline=None)
def test_a_point_is_the_widest_that_fits(description: Description, measure: Measure, bits: int, more: int) -> None:
    target = "sram:64x8"
    least = fixedsim.memory(description, weight_bits=bits, target=target)
    sizes = {
        "law": -(-least.total.law_bits // 8),
        "exact": -(-least.total.total_bits // 8),
        "blocks": least.total.blocks,
    }
    budget = max(1, sizes[measure]) + more // (60 if measure is Measure.BLOCKS else 1)
    found = plan(description, weight_bits=[bits], measure=measure, budget=budget, target=target)
    assume(found.widened)
    (point,) = found.frontier
    base = max(_units(description, name) for name in found.widened)
    most = max(point.widths.values())
    for units, fits in ((most, True), (most + 1, False)):
        wide = fixedsim.memory(
            description, weight_bits=bits, target=target, widen=dict.fromkeys(found.widened, units / base)
        )
        size = {"law": -(-wide.total.law_bits // 8), "exact": -(-wide.total.total_bits // 8)}
        assert (size.get(measure, wide.total.blocks) <= budget) is fits
    assert point.size <= budget


def _units(description: Description, name: str) -> int:
    layer = next(layer for layer in description.layers if layer.name == name)
    return layer.units if isinstance(layer, LstmLayer) else layer.output_width


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.tuples(st.integers(1, 8), st.integers(1, 30), st.integers(0, 20)), min_size=1, max_size=4),
        min_size=1,
    )
)
def test_mixtures_are_those_that_none_beats(given_options: dict[str, list[tuple[int, int, int]]]) -> None:
    options = {name: [Option(*each) for each in choices] for name, choices in given_options.items()}
    every = [
        (sum(each.parts for each in picked), sum(each.loss for each in picked))
        for picked in itertools.product(*options.values())
    ]
    wanted = {
        (parts, loss)
        for parts, loss in every
        if not any((p <= parts and q <= loss) and (p, q) != (parts, loss) for p, q in every)
    }
    found = mixtures(options)
    assert [(each.parts, each.loss) for each in found] == sorted(wanted)
    for each in found:
        picked = [next(o for o in options[name] if o.bits == bits) for name, bits in each.bits.items()]
        assert len(picked) == len(options)


def by_layer(configuration: Configuration, full: int) -> dict[str, int]:
    """The widths of a configuration, read from its options."""
    bits = configuration.options["bits"]
    names = {"embedding": "embedding.weight", "lstm": "lstm.input.weight", "decoder": "decoder.weight"}
    return {layer: bits.get(tensor, full) for layer, tensor in names.items()}


def answering(loss: Callable[[Mapping[str, int]], float]) -> Callable[[Sequence[Configuration]], list[float]]:
    """A function of evaluation that needs no run: 10 times the exponential of a loss."""
    return lambda wanted: [10 * math.exp(loss(by_layer(each, 8))) for each in wanted]


SENSITIVE = {"embedding": 0.01, "lstm": 0.2, "decoder": 0.05}


def additive(bits: Mapping[str, int]) -> float:
    return sum(SENSITIVE[name] * (2.0 ** (4 - width) - 2.0**-4) for name, width in bits.items())


def interacting(bits: Mapping[str, int]) -> float:
    """Layers at few bits hurt more together than alone."""
    return additive(bits) * (1 + 2 * additive(bits))


def exact_size(bits: Mapping[str, int]) -> int:
    widths = {f"{name}.*weight": width for name, width in bits.items()}
    return -(-fixedsim.memory(SMALL, bits=widths).total.total_bits // 8)


WIDTHS = (1, 2, 3, 4, 8)
EVERY = [dict(zip(SENSITIVE, widths, strict=True)) for widths in itertools.product(WIDTHS, repeat=3)]


@pytest.mark.parametrize("target", [10.01, 10.3, 11.0, 13.7, 20.0, 1000.0])
def test_the_cheapest_plan_for_a_target_is_that_of_an_exhaustive_search(target: float) -> None:
    found = plan(SMALL, weight_bits=WIDTHS, max_perplexity=target, evaluate=answering(additive))
    assert found.choice is not None
    meeting = [bits for bits in EVERY if 10 * math.exp(additive(bits)) <= target]
    assert found.choice.point.size == min(map(exact_size, meeting))
    assert found.choice.perplexity == 10 * math.exp(additive(found.choice.bits))
    assert found.choice.perplexity <= target


@pytest.mark.parametrize("target", [10.01, 10.3, 11.0, 13.7, 20.0])
def test_a_target_is_met_though_layers_interact(target: float) -> None:
    found = plan(SMALL, weight_bits=WIDTHS, max_perplexity=target, evaluate=answering(interacting))
    assert found.choice is not None
    assert found.choice.perplexity == 10 * math.exp(interacting(found.choice.bits)) <= target
    smallest = min(exact_size(bits) for bits in EVERY if 10 * math.exp(interacting(bits)) <= target)
    assert smallest <= found.choice.point.size <= 1.1 * smallest


def test_full_width_meets_a_target_that_a_lucky_mixture_misses() -> None:
    """Alone, 4 bits in a layer look better than 8; together they do not."""

    def lucky(bits: Mapping[str, int]) -> float:
        few = [name for name, width in bits.items() if width < 8]
        return -0.01 if len(few) == 1 else 0.1 * len(few)

    found = plan(SMALL, weight_bits=(4, 8), max_perplexity=10.0, evaluate=answering(lucky))
    assert found.choice is not None
    assert found.choice.perplexity == 10.0
    assert set(found.choice.bits.values()) == {8}
    with pytest.raises(FixedsimError, match=r"must be at least 10, what all weights at 8 bits give, not 9.95"):
        plan(SMALL, weight_bits=(4, 8), max_perplexity=9.95, evaluate=answering(lucky))


def test_a_budget_takes_the_mixture_of_least_loss() -> None:
    for budget in range(exact_size(EVERY[0]), exact_size(EVERY[-1]) + 60, 37):
        found = plan(SMALL, weight_bits=WIDTHS, budget=budget, evaluate=answering(additive), layers=["lstm"])
        assert found.choice is not None
        least = min(additive(bits) for bits in EVERY if exact_size(bits) <= budget)
        assert additive(found.choice.bits) == pytest.approx(least, rel=1e-12, abs=1e-12)
        assert found.choice.point.size <= budget


def test_a_budget_alone_takes_the_most_bits_and_then_width() -> None:
    sizes = {bits: fixedsim.memory(preset("ptb-lm"), weight_bits=bits).total.total_bits // 8 + 1 for bits in (3, 4)}
    found = plan(preset("ptb-lm"), budget=sizes[4] - 2)
    assert found.choice is not None
    assert set(found.choice.bits.values()) == {3}
    assert found.choice.point.factor > 1
    assert sizes[3] < found.choice.point.size < sizes[4]
    assert found.choice.perplexity is None


def test_a_target_within_a_budget_spends_the_rest_on_width() -> None:
    options: dict[str, Any] = {"weight_bits": WIDTHS, "max_perplexity": 11.0, "evaluate": answering(additive)}
    cheapest = plan(SMALL, **options).choice
    assert cheapest is not None
    size = cheapest.point.size
    roomy = plan(SMALL, **options, budget=2 * size, layers=["lstm"]).choice
    assert roomy is not None
    assert roomy.bits == cheapest.bits
    assert size < roomy.point.size <= 2 * size
    with pytest.raises(FixedsimError, match=f"budget must be at least {size:,} bytes for a perplexity of 11.0"):
        plan(SMALL, **options, budget=size - 1)


def test_sensitivities_are_single_evaluations(tmp_path: Path) -> None:
    task = Task("char-lm", TOKENS)
    network = fixedsim.load_network("char-lm")
    results = tmp_path / "results.jsonl"
    found = plan(network, weight_bits=(8, 2), evaluate=evaluator(task, results))
    for layer in found.ranking:
        model = fixedsim.quantize(network, weight_bits=8, bits={f"{layer.name}.*weight": 2})
        assert layer.perplexities == {2: fixedsim.evaluate(model, TOKENS).perplexity}
    assert found.reference_perplexity == fixedsim.evaluate(fixedsim.quantize(network), TOKENS).perplexity
    content = results.read_bytes()
    again = plan(network, weight_bits=(8, 2), evaluate=evaluator(task, results))
    assert again.ranking == found.ranking
    assert results.read_bytes() == content  # nothing was run again
    sensitive = [layer.name for layer in found.ranking if layer.verdict is Verdict.WIDEN]
    assert sensitive == ["embedding"]


def test_the_most_sensitive_candidate_comes_first() -> None:
    stack = tuple(LinearLayer(f"fc{index}", 10, 10, "relu") for index in range(6))
    big = Description("big", (*stack, LinearLayer("wide", 10, 500), LinearLayer("last", 500, 1)))

    def evaluate(wanted: Sequence[Configuration]) -> list[float]:
        return [10.0 + ("fc3.weight" in each.options["bits"]) for each in wanted]

    assert plan(big, weight_bits=(8, 1), evaluate=evaluate).ranking[0].name == "fc3"


def test_json_has_nothing_that_is_not_finite() -> None:
    """A plan within a budget may have a perplexity beyond all numbers."""

    def evaluate(wanted: Sequence[Configuration]) -> list[float]:
        return [10.0 if set(by_layer(each, 8).values()) == {8} else math.inf for each in wanted]

    found = plan(SMALL, weight_bits=(1, 8), budget=exact_size(dict.fromkeys(SENSITIVE, 1)), evaluate=evaluate)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["plan"]["perplexity"] is None
    assert document["ranking"][0]["perplexities"] == {"1": None}


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_frontier_is_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"frontier{suffix}"
    plot(plan(preset("ptb-lm")), file)
    assert file.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"weight_bits": ()}, "weight_bits must hold at least one width, not none"),
        ({"weight_bits": (8, 17)}, "weight_bits must be in 1..16, not 17"),
        ({"weight_bits": (8, 0)}, "weight_bits must be in 1..16, not 0"),
        ({"activation_bits": 20}, "activation_bits must be in 1..16, not 20"),
        ({"budget": 0}, "budget must be at least 1, not 0"),
        ({"budget": 900_000, "weight_bits": (8, 2)}, "budget must be at least 1,748,503 bytes for ptb-lm with all"),
        ({"max_perplexity": 100.0}, "max_perplexity must come with weights and a text to evaluate, not alone"),
        ({"layers": ["decoder"]}, "widen pattern must name a layer before the last, not 'decoder'"),
        ({"layers": ["lstn"]}, "widen pattern must match a name, not 'lstn'; did you mean 'lstm'?"),
        ({"tensors": ["fc*"]}, "tensor pattern must match a name, not 'fc*'"),
        (
            {"tensors": ["embedding.*"], "layers": ["lstm"]},
            "tensors that count must grow with lstm, not stay as they are",
        ),
        ({"measure": "nibbles"}, "measure must be one of law, exact, blocks, not 'nibbles'"),
        (
            {"max_perplexity": 9.5, "evaluate": lambda wanted: [10.0] * len(wanted)},
            "max_perplexity must be at least 10,",
        ),
        ({"evaluate": lambda wanted: [math.inf] * len(wanted)}, "perplexity with all weights at 8 bits must be finite"),
    ],
)
def test_what_cannot_be_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(FixedsimError) as caught:
        plan(preset("ptb-lm"), **choices)
    assert str(caught.value).startswith(message)
