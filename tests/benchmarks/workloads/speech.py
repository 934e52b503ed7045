"""Deep Speech on 100 frames, and its bidirectional LSTM alone at few weight bits."""

from collections.abc import Iterator

from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.peers import pytorch
from tests.benchmarks.roofline import Part
from tests.benchmarks.workload import Goal, Side, Workload, ratio

FRAMES = 100
INPUTS, UNITS = 4096, 2048
_DENSE = 494 * 2048 + 2048 * 2048 + 2048 * 4096 + 4096 * 2048 + 2048 * 29
_INPUT, _RECURRENT = 4 * UNITS * INPUTS, 4 * UNITS * UNITS  # of one direction
_LSTM_GOALS = {8: 1.0, 4: 1.8}


def workloads() -> Iterator[Workload]:
    """The whole network, then its LSTM."""
    yield Workload(
        "speech.whole",
        f"Deep Speech, 8/8, {FRAMES} frames",
        (
            Side("fixedsim", _whole),
            Side("torch int8", lambda: pytorch.speech(FRAMES, quantized=True)),
            Side("torch fp32", lambda: pytorch.speech(FRAMES, quantized=False)),
        ),
        FRAMES * (_DENSE + 2 * (_INPUT + _RECURRENT)),
        (Part(FRAMES * _DENSE, _DENSE), *lstm_parts(8)),
        (ratio("torch int8", 1.0),),
        units=FRAMES,
        unit="frame",
    )
    for bits, goal in _LSTM_GOALS.items():
        yield _lstm(bits, (ratio("torch int8", goal),))


def lstm_parts(weight_bits: int) -> tuple[Part, ...]:
    """Both directions: the input matrices once for all frames, the recurrent ones read anew for each."""
    bytes_of = weight_bits / 8
    inputs = Part(FRAMES * _INPUT, _INPUT * bytes_of, times=2)
    recurrent = Part(_RECURRENT, _RECURRENT * bytes_of, times=2 * FRAMES)
    return inputs, recurrent


def _whole() -> Call:
    model = networks.speech_model()
    return ours.whole(model, networks.raws(model, FRAMES, 1))


def _lstm(bits: int, goals: tuple[Goal, ...]) -> Workload:
    def prepare() -> Call:
        model = networks.speech_lstm_model(bits)
        return ours.whole(model, networks.raws(model, FRAMES, 1))

    return Workload(
        f"speech.lstm.w{bits}",
        f"Deep Speech's BiLSTM alone, {bits}-bit weights, {FRAMES} frames",
        (
            Side("fixedsim", prepare),
            Side("torch int8", lambda: pytorch.bidirectional(INPUTS, UNITS, FRAMES, quantized=True)),
        ),
        FRAMES * 2 * (_INPUT + _RECURRENT),
        lstm_parts(bits),
        goals,
        units=FRAMES,
        unit="frame",
    )
