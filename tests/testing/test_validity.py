"""What is drawn runs: kernels and specification give the same integers, and every kind of layer is among the models."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedsim.arrays import narrow
from fixedsim.errors import InputError
from fixedsim.layers.recorder import Recorder
from fixedsim.model import Model
from fixedsim.network import Description, Network
from fixedsim.network.description import LinearLayer, LstmLayer
from fixedsim.profiles import Profile
from fixedsim.quantization import quantize
from fixedsim.testing import (
    Cast,
    assert_bit_exact,
    bidirectional_layers,
    casts,
    embedding_layers,
    inputs,
    linear_layers,
    lstm_layers,
    models,
    networks,
    profiles,
    states,
)

pytestmark = pytest.mark.kernels


@settings(max_examples=50)
@given(casts())
def test_casts(cast: Cast) -> None:
    assert_bit_exact(narrow(cast.value, cast.narrowing), cast.expected, format=cast.narrowing.format)
    assert cast.narrowing.format.contains(cast.expected)


@settings(max_examples=40)
@given(st.data(), linear_layers() | lstm_layers() | bidirectional_layers() | embedding_layers())
def test_layers(data: st.DataObject, layer: Any) -> None:
    drawn = data.draw(inputs(layer, steps=(0, 3), batch=2))
    traces = []
    for engine in ("kernels", "spec"):
        recorder = Recorder(frozenset(signal.name for signal in layer.signals()))
        layer.run(drawn, recorder, engine=engine)
        traces.append(recorder.traces)
    assert_bit_exact(*traces, format={signal.name: signal.format for signal in layer.signals()})


def kinds_of(network: Network) -> set[str]:
    """The kinds of integer layers that a network of :func:`networks` becomes."""
    found = {layer.kind.capitalize() for layer in network.description.layers}
    both = {layer.bidirectional for layer in network.description.lstm_layers}
    return found - {"Lstm"} | {"Bidirectional" if each else "Lstm" for each in both}


@pytest.mark.parametrize("kind", ["Linear", "Lstm", "Bidirectional", "Embedding"])
def test_models(kind: str) -> None:
    kinds: Counter[str] = Counter()

    @settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    @given(st.data(), models(networks().filter(lambda network: kind in kinds_of(network))))
    def each(data: st.DataObject, model: Model) -> None:
        drawn, state = data.draw(inputs(model, batch=2)), data.draw(states(model, batch=2))
        results = [model.run(drawn, state=state, trace="*", engine=engine) for engine in ("kernels", "spec")]
        assert_bit_exact(*results, format=model)
        kinds.update({type(layer).__name__ for layer in model.layers})

    each()
    assert kinds[kind] >= 5, kinds


@settings(max_examples=30)
@given(profiles())
def test_profiles_survive_their_files(profile: Profile) -> None:
    assert Profile.from_dict(profile.to_dict()) == profile


@settings(max_examples=30)
@given(networks())
def test_networks_run(network: Network) -> None:
    first = network.description.layers[0]
    given_inputs: Any = [[0.5] * first.inputs] * 2 if isinstance(first, LinearLayer | LstmLayer) else [0, 1]
    assert len(network.forward(given_inputs).output) == 2


def test_what_has_no_state_or_raws_is_refused() -> None:
    weights = {"fc.weight": np.ones((1, 1))}
    network = Network(Description("one", (LinearLayer("fc", 1, 1, bias=False),)), weights)
    model = quantize(network, keep_float=["fc"])
    with pytest.raises(InputError, match=r"^first layer must be one of integers, not fc in float64$"):
        inputs(model)
    with pytest.raises(InputError, match=r"^target of states must be an LSTM or a model, not "):
        states(quantize(network, ranges={"input": (-1.0, 1.0)}).layers[0], batch=1)  # type: ignore[arg-type]
