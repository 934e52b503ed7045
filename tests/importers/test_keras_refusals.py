"""What networks lack is refused by name; what changes nothing is passed over with a note."""

import copy
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.chain import model_chain
from fixedsim.importers.keras.layers import Planner
from fixedsim.importers.keras.plans import LinearPlan, LstmPlan
from tests.importers.test_keras_models import FOLDER

Change = Callable[[Any], None]


def config(name: str) -> Any:
    with zipfile.ZipFile(FOLDER / name) as archive:
        return json.loads(archive.read("config.json"))


TAGGER, LAST = config("tagger3.keras"), config("last3.keras")
OLD_LAST = config("last2.keras")


def planned(model: Any, version: str | None = "3.8.0") -> Planner:
    planner = Planner(version)
    for node in model_chain(model):
        planner.take(node)
    return planner


def layer(model: Any, name: str) -> Any:
    return next(entry for entry in model["config"]["layers"] if entry["config"].get("name") == name)


def option(name: str, /, **values: Any) -> Change:
    return lambda model: layer(model, name)["config"].update(values)


def inner(name: str, key: str, **values: Any) -> Change:
    return lambda model: layer(model, name)["config"][key]["config"].update(values)


def entry(name: str, **values: Any) -> Change:
    return lambda model: layer(model, name).update(values)


def inserted(place: int, kind: str, **values: Any) -> Change:
    new = {"class_name": kind, "config": {"name": "new", **values}}
    return lambda model: model["config"]["layers"].insert(place, new)


def call(name: str, **values: Any) -> Change:
    return lambda model: layer(model, name)["inbound_nodes"][0]["kwargs"].update(values)


def twice(model: Any) -> None:
    nodes = layer(model, "drop")["inbound_nodes"]
    nodes.append(copy.deepcopy(nodes[0]))


def state(model: Any) -> None:
    layer(model, "drop")["inbound_nodes"][0]["args"][0]["config"]["keras_history"][2] = 1


def merged(model: Any) -> None:
    arguments = layer(model, "drop")["inbound_nodes"][0]["args"]
    arguments.append(copy.deepcopy(arguments[0]))


def beside(model: Any) -> None:
    model["config"]["layers"].append(copy.deepcopy(layer(model, "drop")))
    model["config"]["layers"][-1].update(name="other")


def masked(value: int | None) -> Change:
    """What Keras 3 writes of a mask, with the value that masks a step; no layer says so where it is None."""

    def change(model: Any) -> None:
        layers = model["config"]["layers"]
        source = {"class_name": "__keras_tensor__", "config": {"keras_history": ["source", 0, 0]}}
        made = {"class_name": "__keras_tensor__", "config": {"keras_history": ["not_equal", 0, 0]}}
        call = {"args": [source, 0], "kwargs": {}}
        layers.append({"class_name": "NotEqual", "name": "not_equal", "config": {}, "inbound_nodes": [call]})
        layer_call = layer(model, "cells")["inbound_nodes"][0]
        layer_call["kwargs"]["mask"] = made
        if value is not None:
            mask = {"class_name": "Masking", "name": "mask", "config": {"name": "mask", "mask_value": value}}
            layers.append({**mask, "inbound_nodes": [{"args": layer_call["args"], "kwargs": {}}]})
            layer_call["args"] = [{"class_name": "__keras_tensor__", "config": {"keras_history": ["mask", 0, 0]}}]

    return change


def ends(model: Any) -> None:
    model["config"]["output_layers"] = [["out", 0, 0], ["drop", 0, 0]]


def deep(model: Any) -> None:
    for _ in range(20):
        model["config"]["layers"] = [{"class_name": "Sequential", "config": {"layers": model["config"]["layers"]}}]


REFUSED = [
    (TAGGER, inserted(2, "GRU", units=3), "GRU 'new' must be one of InputLayer, Embedding.*, not GRU"),
    (TAGGER, inserted(2, "Lambda", function="x"), "Lambda 'new' must be one of .*, not Lambda"),
    (TAGGER, inserted(2, "Conv1D"), "Conv1D 'new' must be one of .*, not Conv1D"),
    (TAGGER, inserted(2, "Masking"), "Masking 'new' must stand before all other layers, not after 'words'"),
    (TAGGER, inserted(3, "Flatten"), "Flatten 'new' must follow an LSTM that gives its last step"),
    (TAGGER, inserted(3, "Activation", activation="relu"), "'new' must follow a Dense layer without activation"),
    (TAGGER, inserted(5, "Activation", activation="swish"), "activation must be one of linear, relu.*, not 'swish'"),
    (TAGGER, inserted(5, "ReLU", negative_slope=0.1), "ReLU 'new': negative_slope must be 0, not 0.1"),
    (TAGGER, inserted(5, "ReLU", threshold=1), "ReLU 'new': threshold must be 0, not 1"),
    (TAGGER, inserted(5, "Softmax", axis=1), "Softmax 'new': axis must be -1, not 1"),
    (TAGGER, inserted(4, "Dense", units=5, activation="softmax"), "Dense 'new': softmax must be the last function"),
    (TAGGER, inserted(3, "TimeDistributed", layer={"class_name": "LSTM", "config": {}}), "a Dense layer, not LSTM"),
    (TAGGER, inserted(2, "RNN", cell={"class_name": "GRUCell", "config": {"name": "g"}}), "must be an LSTMCell"),
    (TAGGER, entry("hard", registered_name="mine>LSTM"), "must be a layer of Keras itself, not the custom 'mine>LSTM'"),
    (TAGGER, entry("hard", module="evil.layers"), "must be a layer of Keras itself, not the custom"),
    (TAGGER, option("hard", go_backwards=True), "go_backwards must be false with return_sequences"),
    (TAGGER, option("hard", units="4"), "LSTM 'hard': units must be a positive whole number, not '4'"),
    (TAGGER, option("hard", units=None), "LSTM 'hard': units must be given, not missing"),
    (TAGGER, option("hard", use_bias=1), "LSTM 'hard': use_bias must be true or false, not 1"),
    (TAGGER, option("hard", activation={"class_name": "f", "config": {}}), "a function of Keras itself, not 'f'"),
    (TAGGER, option("both", merge_mode="sum"), "Bidirectional 'both': merge_mode must be concat, not 'sum'"),
    (TAGGER, inner("both", "backward_layer", units=4), "both directions must be alike, not differ in units"),
    (TAGGER, inner("both", "backward_layer", use_bias=False), "both directions must be alike"),
    (TAGGER, inner("both", "backward_layer", go_backwards=False), "must be true of the backward layer alone"),
    (TAGGER, inner("both", "layer", go_backwards=True), "must be true of the backward layer alone"),
    (TAGGER, lambda model: model.update(class_name="Mine"), "must be Sequential or Functional, not of class 'Mine'"),
    (TAGGER, lambda model: model["config"].pop("layers"), "layers must be given, not missing"),
    (TAGGER, lambda model: model.update(config=7), "must be an object, not 7"),
    (TAGGER, deep, "models must be nested at most 8 deep"),
    (LAST, twice, "layer 'drop' must be called once, not 2 times; weights cannot be shared"),
    (LAST, state, "layer 'drop': tensors must be the first output of 'cells', not output 1"),
    (LAST, merged, "layer 'drop' must read one tensor, not 2"),
    (LAST, beside, "must be a chain of layers, not one with 'other' beside it"),
    (LAST, masked(None), "layer 'cells' must be called with its input alone, not mask = "),
    (LAST, masked(1), "must be a chain of layers, not one with 'not_equal' beside it"),
    (LAST, ends, "output_layers must name one tensor, not 2"),
    (LAST, call("drop", training=True), "layer 'drop' must be called with its input alone, not training = 'True'"),
    (LAST, call("cells", initial_state=[1]), "layer 'cells' must be called with its input alone, not initial_state"),
    (LAST, inner("cells", "cell", cells=[]), "cells must be a list of cells, not"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "change", "message"), REFUSED)
def test_refused_by_name(model: Any, change: Change, message: str) -> None:
    planned(model)
    changed = copy.deepcopy(model)
    change(changed)
    with pytest.raises(NetworkError, match=message):
        planned(changed)


def after(model: Any, *changes: Change, version: str | None = "3.8.0") -> Planner:
    changed = copy.deepcopy(model)
    for change in changes:
        change(changed)
    return planned(changed, version)


@pytest.mark.parametrize("kind", ["Dropout", "SpatialDropout1D", "GaussianNoise", "ActivityRegularization"])
def test_what_changes_nothing_is_passed_over(kind: str) -> None:
    planner = after(TAGGER, inserted(2, kind))
    assert len(planner.plans) == len(planned(TAGGER).plans)
    assert f"new: {kind} changes nothing when a network runs and is passed over" in planner.notes


@pytest.mark.parametrize(
    ("values", "function"),
    [({}, ("relu", None)), ({"max_value": 20}, ("clipped_relu", 20.0)), ({"max_value": 6.0}, ("clipped_relu", 6.0))],
)
def test_a_relu_layer_becomes_the_function_before_it(
    values: dict[str, Any], function: tuple[str, float | None]
) -> None:
    plan = after(TAGGER, inserted(5, "ReLU", **values)).plans[-1]
    assert isinstance(plan, LinearPlan)
    assert plan.function == function


@pytest.mark.parametrize("kind", ["Softmax", "Activation"])
def test_a_softmax_at_the_end_is_left_out(kind: str) -> None:
    options = {"activation": "softmax"} if kind == "Activation" else {"axis": -1}
    planner = after(TAGGER, inserted(5, kind, **options))
    plan = planner.plans[-1]
    assert isinstance(plan, LinearPlan)
    assert plan.function.name == "identity"
    assert "new: the softmax after the last layer is left out; outputs are logits" in planner.notes


def test_an_lstm_that_reads_backwards_to_its_last_step() -> None:
    plan = after(TAGGER, option("hard", go_backwards=True, return_sequences=False)).plans[2]
    assert isinstance(plan, LstmPlan)
    assert (plan.reverse, plan.steps) == (True, "last")


def test_flatten_after_the_last_step_changes_nothing() -> None:
    notes = after(TAGGER, option("hard", return_sequences=False), inserted(4, "Flatten")).notes
    assert "new: Flatten changes nothing when a network runs and is passed over" in notes


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (option("hard", stateful=True), "hard: stateful; hand the state of one run to the next"),
        (option("hard", time_major=True), "hard: time comes first, as it does here"),
        (
            option("words", mask_zero=True),
            "words: token 0 masks a step (mask_zero); give the lengths of sequences instead",
        ),
        (
            inserted(1, "Masking", mask_value=-1),
            "new: features of -1 mask a step; give the lengths of sequences instead",
        ),
        (option("tags", dtype="mixed_float16"), "tags: Keras computes it as mixed_float16 says; here"),
    ],
)
def test_notes(change: Change, note: str) -> None:
    assert any(text.startswith(note) for text in after(TAGGER, change).notes)


def test_operations_of_a_mask_are_passed_over() -> None:
    planner = after(LAST, masked(0))
    assert [plan.name for plan in planner.plans] == ["cells.l0", "cells.l1", "out"]
    assert any(note.startswith("mask: features of 0 mask a step") for note in planner.notes)


def test_names_become_ours_and_stay_unique() -> None:
    changes = option("words", name="a/b:0"), option("both", name="a.b.0"), option("hard", name="größe 1")
    names = [plan.name for plan in after(TAGGER, *changes).plans]
    assert names == ["a.b.0", "a.b.0_2", "gr__e_1", "tags"]


def test_both_ways_to_write_a_functional_model() -> None:
    new, old = (planned(model).plans for model in (LAST, OLD_LAST))
    assert [plan.name for plan in new] == [plan.name for plan in old] == ["cells.l0", "cells.l1", "out"]
