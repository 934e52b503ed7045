"""Small float networks, and integer models of them."""

from hypothesis import assume
from hypothesis import strategies as st

from fixedsim.errors import FixedsimError
from fixedsim.model.model import Model
from fixedsim.network.description import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.network.network import Network
from fixedsim.profiles.profile import Profile
from fixedsim.quantization.quantize import quantize
from fixedsim.testing.profile import profiles
from fixedsim.testing.words import SEEDS, Words

BOUNDED = ("hard_sigmoid", "hard_tanh", "sigmoid", "tanh")
INNER = ("relu", "clipped_relu", *BOUNDED)
SIZES = st.integers(1, 3)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A float :class:`~fixedsim.network.Network` of one to four layers of up to 3 units.

    An embedding in front or none, then LSTMs in one direction or both and fully connected layers, with every activation
    that an integer model can have. Weights are uniform in -reach .. reach, from a seed. Shrinks to one fully connected
    layer.
    """
    description = draw(_descriptions())
    words, reach = Words(draw(SEEDS)), draw(st.sampled_from((1.0, 0.25, 4.0)))
    weights = {name: words.uniform(-reach, reach, shape) for name, shape in description.tensors().items()}
    return Network(description, weights)


@st.composite
def _descriptions(draw: st.DrawFn) -> Description:
    layers: list[Layer] = []
    width = draw(SIZES)
    if draw(st.booleans()):
        layers.append(EmbeddingLayer("embedding", draw(st.integers(2, 5)), width))
    for position, kind in enumerate(draw(st.lists(st.sampled_from(("linear", "lstm", "both")), max_size=2))):
        layer = draw(_inner_layers(kind, position, width))
        layers.append(layer)
        width = layer.output_width
    if not layers or draw(st.booleans()):
        layers.append(draw(_linears("out", width, ("identity", *INNER))))
    return Description("drawn", tuple(layers), None, draw(st.sampled_from(("zero", "half"))))


def _inner_layers(kind: str, position: int, width: int) -> st.SearchStrategy[LinearLayer | LstmLayer]:
    return _linears(f"fc{position}", width, INNER) if kind == "linear" else _lstms(kind, position, width)


@st.composite
def _linears(draw: st.DrawFn, name: str, width: int, functions: tuple[str, ...]) -> LinearLayer:
    function = draw(st.sampled_from(functions))
    clip = draw(st.sampled_from((1.0, 6.0, 20.0))) if function == "clipped_relu" else None
    return LinearLayer(name, width, draw(SIZES), function, clip, draw(st.booleans()))


@st.composite
def _lstms(draw: st.DrawFn, kind: str, position: int, width: int) -> LstmLayer:
    return LstmLayer(
        f"lstm{position}",
        width,
        draw(SIZES),
        bidirectional=kind == "both",
        gate=draw(st.sampled_from(("hard_sigmoid", "sigmoid"))),
        candidate=draw(st.sampled_from(BOUNDED)),
        cell_activation=draw(st.sampled_from(BOUNDED)),
        forget_bias=draw(st.sampled_from((0.0, 1.0))),
        bias=draw(st.booleans()),
    )


@st.composite
def models(
    draw: st.DrawFn,
    network: st.SearchStrategy[Network] | None = None,
    profile: st.SearchStrategy[Profile] | None = None,
    *,
    widest: int = 8,
) -> Model:
    """A :class:`~fixedsim.model.Model`: a network (None: any of :func:`networks`) quantized by a profile.

    ``profile`` None stands for any of :func:`profiles`; weights and activations have 1 to ``widest`` bits. Pairs that
    do not go together are drawn again.
    """
    given, choices = draw(networks() if network is None else network), draw(profiles() if profile is None else profile)
    bits = st.integers(1, widest)
    weight_bits, activation_bits = draw(bits), draw(bits)
    try:
        return quantize(
            given, profile=choices, weight_bits=weight_bits, activation_bits=activation_bits, ranges=_ranges(given)
        )
    except FixedsimError:
        assume(False)
        raise


def _ranges(network: Network) -> dict[str, tuple[float, float]]:
    """Ranges of the activations that no function bounds: the input, and ReLU."""
    layers = network.description.layers
    ranges = {} if isinstance(layers[0], EmbeddingLayer) else {"input": (-1.0, 1.0)}
    relus = [layer.name for layer in layers if isinstance(layer, LinearLayer) and layer.activation == "relu"]
    return ranges | {f"{name}.output": (0.0, 4.0) for name in relus}
