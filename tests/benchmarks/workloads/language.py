"""The language model of 10,000 words: streamed, many steps at once, a batch, and a whole test set."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.evaluation import read_tokens, read_vocabulary
from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.networks import VOCABULARY
from tests.benchmarks.peers import onnx_runtime, pytorch
from tests.benchmarks.roofline import Part
from tests.benchmarks.workload import Goal, GoalKind, Side, Workload, ratio

UNITS = (300, 450, 600)
STREAMED, AT_ONCE = 40, 96
BATCH, BATCH_STEPS = 20, 35
TEST_TOKENS = 82_430
_TEST_SECONDS = 3.0


def workloads() -> Iterator[Workload]:
    """Streaming, steps at once and a batch for each width, then the whole test set."""
    for units in UNITS:
        yield streamed(units)
        yield at_once(units, AT_ONCE, 1)
        yield at_once(units, BATCH_STEPS, BATCH)
    for bits in (8, 2):
        yield _test_set(bits)


def streamed(units: int) -> Workload:
    """One token after the other."""
    tokens = networks.tokens(STREAMED)[:, 0]
    sides = [Side("fixedsim", lambda: ours.streamed(networks.language_model(units), tokens))]
    sides += [
        Side(f"onnxruntime {kind}", partial(_onnx, units, kind, tokens, streams=True)) for kind in ("int8", "fp32")
    ]
    sides += [Side(f"torch {kind}", partial(_torch, units, kind, tokens, streams=True)) for kind in ("int8", "fp32")]
    goals = (ratio("onnxruntime int8", 1.3), ratio("onnxruntime fp32", 5.0))
    return Workload(
        f"ptb{units}.stream",
        f"PTB LM, {units} units, 8/8, streamed, all logits of each token",
        tuple(sides),
        STREAMED * (_lstm_products(units) + units * VOCABULARY),
        streamed_parts(units, STREAMED),
        goals if units == UNITS[0] else (ratio("onnxruntime int8", 1.0),),
        units=STREAMED,
        unit="token",
    )


def at_once(units: int, steps: int, batch: int) -> Workload:
    """Steps of a batch in one call."""
    tokens = networks.tokens(steps, batch)
    sides = [Side("fixedsim", lambda: ours.whole(networks.language_model(units), tokens))]
    sides += [Side(f"onnxruntime {kind}", partial(_onnx, units, kind, tokens)) for kind in ("int8", "fp32")]
    sides += [Side(f"torch {kind}", partial(_torch, units, kind, tokens)) for kind in ("int8", "fp32")]
    goals = (ratio("onnxruntime int8", 1.0), ratio("onnxruntime fp32", 4.0))
    return Workload(
        f"ptb{units}.steps{steps}.batch{batch}",
        f"PTB LM, {units} units, 8/8, {steps} steps at once, batch {batch}",
        tuple(sides),
        steps * batch * (_lstm_products(units) + units * VOCABULARY),
        at_once_parts(units, steps, batch),
        goals if units == UNITS[0] else goals[:1],
        units=steps * batch,
        unit="token",
    )


def streamed_parts(units: int, steps: int, weight_bits: int = 8) -> tuple[Part, ...]:
    """The recurrent matrix and the decoder, both read at each step; embedding and input matrix make one table."""
    recurrent, decoder = 4 * units * units, units * VOCABULARY
    resident = (recurrent + decoder) * weight_bits / 8
    return tuple(
        Part(products, products * weight_bits / 8, resident=resident, times=steps) for products in (recurrent, decoder)
    )


def at_once_parts(units: int, steps: int, batch: int) -> tuple[Part, ...]:
    """The recurrent matrix at each step from a cache of its size; the decoder once for all steps."""
    recurrent, decoder = 4 * units * units, units * VOCABULARY
    return Part(recurrent * batch, recurrent, times=steps), Part(decoder * steps * batch, decoder)


def _lstm_products(units: int) -> int:
    return 4 * units * (networks.FEATURES + units)


def _onnx(units: int, kind: str, tokens: NDArray[np.int64], *, streams: bool = False) -> Call:
    model = onnx_runtime.language_model(networks.language_network(units), quantized=kind == "int8")
    return model.streamed(tokens) if streams else model.at_once(tokens)


def _torch(units: int, kind: str, tokens: NDArray[np.int64], *, streams: bool = False) -> Call:
    module = pytorch.language_model(VOCABULARY, networks.FEATURES, units, quantized=kind == "int8")
    return pytorch.streamed(module, tokens) if streams else pytorch.at_once(module, tokens)


def _test_set(bits: int) -> Workload:
    """Perplexity over the whole test set: every logit of every token, and its log-softmax."""
    tokens = _text()
    sides = [Side("fixedsim", lambda: ours.scored(networks.language_model(UNITS[0], bits), tokens))]
    goals = [Goal(GoalKind.SECONDS, _TEST_SECONDS)]
    if bits != 8:
        sides.append(Side("fixedsim, 8-bit weights", lambda: ours.scored(networks.language_model(UNITS[0]), tokens)))
        goals.append(ratio("fixedsim, 8-bit weights", 1.0))
    return Workload(
        f"ptb300.test.w{bits}",
        f"PTB LM, perplexity of {len(tokens):,} tokens, {bits}-bit weights",
        tuple(sides),
        len(tokens) * (_lstm_products(UNITS[0]) + UNITS[0] * VOCABULARY),
        at_once_parts(UNITS[0], len(tokens), 1),
        tuple(goals),
    )


def _text() -> NDArray[np.int64]:
    """The test set of a user's own copy, or random tokens of its length: the cost is the same."""
    beside = Path(__file__).resolve().parents[4] / "shared"
    folder = Path(os.environ.get("FIXEDSIM_SHARED", beside))
    text, vocabulary = folder / "data/ptb/ptb.test.txt", folder / "weights/vocab.txt"
    if text.is_file() and vocabulary.is_file():
        return read_tokens(text, read_vocabulary(vocabulary))
    return networks.tokens(TEST_TOKENS)[:, 0]
