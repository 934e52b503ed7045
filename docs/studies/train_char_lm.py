"""Train and evaluate the three character language models that ship in fixedsim/data/char_lm.

Needs torch, which the library itself does not; char_lm.md beside this file has the commands and the figures.
The Bit-RNN arithmetic follows He et al. (2016), "Effective Quantization Methods for Recurrent Neural Networks".
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
UNKNOWN_RATE = 0.001  # share of training characters replaced by UNKNOWN, so that its row is trained too
EMBEDDING_WIDTH = 64
HIDDEN_UNITS = 100
FORGET_BIAS = 1.0
FLOAT_DROPOUT = 0.1  # the Bit-RNN models need none: their training and held-out losses stay close
HELD_OUT_SHARE = 0.05
STREAMS = 32
STEPS_PER_UPDATE = 64
CHECKED_PREDICTIONS = 100
EVALUATED_AT_ONCE = 1000  # time steps per forward pass, which bounds the memory needed
MODEL_BITS: dict[str, int | None] = {"fp32": None, "w4a4": 4, "w2a2": 2}
State = tuple[Tensor, Tensor]


class RoundStraightThrough(torch.autograd.Function):
    """round(x * levels) / levels, ties to even; the gradient passes unchanged."""

    @staticmethod
    def forward(context: Any, x: Tensor, levels: int) -> Tensor:
        return torch.round(x * levels) / levels

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class ClipStraightThrough(torch.autograd.Function):
    """min(max(x, 0), 1); the gradient passes unchanged, so that a clipped embedding can return."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.clamp(0.0, 1.0)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_bits(x: Tensor, bits: int) -> Tensor:
    """round_k(x): the nearest of the 2**bits levels in [0, 1], ties to even."""
    rounded: Tensor = RoundStraightThrough.apply(x, 2**bits - 1)  # type: ignore[no-untyped-call]
    return rounded


def weight_scale(*weights: Tensor) -> Tensor:
    """2.5 * mean|tanh(W)| over all elements of the tensors together."""
    return 2.5 * torch.cat([torch.tanh(weight).abs().flatten() for weight in weights]).mean()


def quantize_weight(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """scale * (round_k(clip(tanh(W) / scale, -1/2, 1/2) + 1/2) - 1/2)."""
    fraction = torch.clamp(torch.tanh(weight) / scale, -0.5, 0.5) + 0.5
    return scale * (round_bits(fraction, bits) - 0.5)


class BitLstm(nn.Module):
    """The Bit-RNN LSTM: quantized weights and hidden state; real bias, gates and cell; gate order i, j, f, o."""

    run_time_bias: Tensor

    def __init__(self, inputs: int, units: int, bits: int) -> None:
        super().__init__()
        self.bits = bits
        bound = math.sqrt(6.0 / (inputs + 5 * units))
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * units, inputs).uniform_(-bound, bound))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * units, units).uniform_(-bound, bound))
        self.bias_l0 = nn.Parameter(torch.zeros(4 * units))
        forget = torch.tensor([0.0, 0.0, FORGET_BIAS, 0.0]).repeat_interleave(units)
        self.register_buffer("run_time_bias", forget, persistent=False)

    def scale(self) -> Tensor:
        return weight_scale(self.weight_ih_l0, self.weight_hh_l0)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Hidden states (time, streams, units) for x (time, streams, inputs), and the last (h, c)."""
        h, c = state
        scale = self.scale()
        recurrent = quantize_weight(self.weight_hh_l0, scale, self.bits).t()
        sums = x @ quantize_weight(self.weight_ih_l0, scale, self.bits).t() + (self.bias_l0 + self.run_time_bias)
        hidden = []
        for step in sums.unbind(0):
            i, j, f, o = torch.sigmoid(torch.addmm(step, h, recurrent)).chunk(4, dim=-1)
            c = f * c + i * j
            h = round_bits(torch.sigmoid(c) * o, self.bits)
            hidden.append(h)
        return torch.stack(hidden), (h, c)


class BitCharacterModel(nn.Module):
    """Embedding, Bit-RNN LSTM and decoder, all at `bits` bits; the parameters are the real latent weights."""

    def __init__(self, symbols: int, inputs: int, units: int, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.embedding = nn.Embedding(symbols, inputs)
        nn.init.uniform_(self.embedding.weight, 0.0, 1.0)
        self.lstm = BitLstm(inputs, units, bits)
        self.decoder = nn.Linear(units, symbols)

    def initial_state(self, streams: int) -> State:
        """c = h = round_k(1/2)."""
        start = round_bits(self.decoder.weight.new_full((streams, self.decoder.in_features), 0.5), self.bits)
        return start, start

    def forward(self, symbols: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (time, streams, symbols) and the last state."""
        clipped: Tensor = ClipStraightThrough.apply(self.embedding(symbols))  # type: ignore[no-untyped-call]
        hidden, state = self.lstm(round_bits(clipped, self.bits), state)
        weight = quantize_weight(self.decoder.weight, weight_scale(self.decoder.weight), self.bits)
        return nn.functional.linear(hidden, weight, self.decoder.bias), state


class FloatCharacterModel(nn.Module):
    """Embedding, torch.nn.LSTM (tanh; gate order i, f, g, o) and decoder."""

    def __init__(self, symbols: int, inputs: int, units: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, inputs)
        self.dropout = nn.Dropout(FLOAT_DROPOUT)
        self.lstm = nn.LSTM(inputs, units)
        self.decoder = nn.Linear(units, symbols)

    def initial_state(self, streams: int) -> State:
        """c = h = 0."""
        zero = self.decoder.weight.new_zeros(1, streams, self.decoder.in_features)
        return zero, zero

    def forward(self, symbols: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (time, streams, symbols) and the last state."""
        hidden, state = self.lstm(self.dropout(self.embedding(symbols)), state)
        return self.decoder(self.dropout(hidden)), state


Model = BitCharacterModel | FloatCharacterModel


def make_model(name: str, symbols: int, inputs: int = EMBEDDING_WIDTH, units: int = HIDDEN_UNITS) -> Model:
    bits = MODEL_BITS[name]
    if bits is None:
        return FloatCharacterModel(symbols, inputs, units)
    return BitCharacterModel(symbols, inputs, units, bits)


def make_vocabulary(text: str) -> list[str]:
    """UNKNOWN at index 0, then newline and the printable ASCII characters of the text by code point."""
    return [UNKNOWN, *sorted({character for character in text if character == "\n" or " " <= character <= "~"})]


def encode(text: str, vocabulary: list[str]) -> Tensor:
    """The index of every character; a character outside the vocabulary is UNKNOWN."""
    index = {character: position for position, character in enumerate(vocabulary)}
    return torch.tensor([index.get(character, 0) for character in text])


def split(text: str) -> tuple[str, str]:
    """The training text, and the last HELD_OUT_SHARE of it."""
    boundary = len(text) - round(HELD_OUT_SHARE * len(text))
    return text[:boundary], text[boundary:]


def epoch_streams(symbols: Tensor, generator: torch.Generator) -> Tensor:
    """STREAMS contiguous columns (time, streams) from a random start, a few characters replaced by UNKNOWN."""
    offset = int(torch.randint(STEPS_PER_UPDATE, (1,), generator=generator))
    replaced = torch.rand(symbols.shape, generator=generator) < UNKNOWN_RATE
    kept = symbols.masked_fill(replaced, 0)[offset:]
    length = len(kept) // STREAMS
    return kept[: length * STREAMS].view(STREAMS, length).t().contiguous()


def loss_of(model: Model, streams: Tensor, state: State) -> tuple[Tensor, State]:
    """Mean of -ln p(next symbol) over streams (time, streams); the last symbol is a target only."""
    logits, state = model(streams[:-1], state)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), streams[1:].flatten())
    return loss, (state[0].detach(), state[1].detach())


def train_epoch(model: Model, optimizer: torch.optim.Optimizer, streams: Tensor, rates: list[float]) -> float:
    """One pass of truncated back-propagation, state carried; returns the mean loss in nats."""
    state, total = model.initial_state(STREAMS), 0.0
    for update, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = rate
        first = update * STEPS_PER_UPDATE
        loss, state = loss_of(model, streams[first : first + STEPS_PER_UPDATE + 1], state)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    return total / len(rates)


def cosine_rates(peak: float, epochs: int, epoch: int, updates: int) -> list[float]:
    """Learning rates of one epoch: peak at the first update of training, zero after the last."""
    return [0.5 * peak * (1 + math.cos(math.pi * (epoch + update / updates) / epochs)) for update in range(updates)]


def resume(checkpoint: Path, model: Model, optimizer: torch.optim.Optimizer) -> int:
    """Load the checkpoint if it exists; returns the number of epochs done."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["epochs"])


def save_checkpoint(checkpoint: Path, model: Model, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    """Replace the checkpoint at once, so that a killed run leaves the previous one."""
    partial = checkpoint.with_suffix(".partial")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}, partial)
    partial.replace(checkpoint)


def train(options: argparse.Namespace, symbols: Tensor, vocabulary: list[str]) -> Model:
    """Train, from the last checkpoint if there is one; an epoch's seed depends on nothing before it."""
    torch.manual_seed(options.seed)
    model = make_model(options.model, len(vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=options.decay)
    checkpoint = options.checkpoints / f"char_lm_{options.model}.pt"
    for epoch in range(resume(checkpoint, model, optimizer), options.epochs):
        begun = time.monotonic()
        generator = torch.manual_seed(1000 * options.seed + epoch)
        streams = epoch_streams(symbols, generator)
        rates = cosine_rates(options.rate, options.epochs, epoch, (len(streams) - 1) // STEPS_PER_UPDATE)
        loss = train_epoch(model, optimizer, streams, rates)
        save_checkpoint(checkpoint, model, optimizer, epoch + 1)
        print(f"{options.model} epoch {epoch + 1}: loss {loss:.4f} nats, {time.monotonic() - begun:.1f} s", flush=True)
    return model


def float_metadata(symbols: int) -> dict[str, str]:
    return {
        "arch": "LSTM LM, 1 layer",
        "gate_order": "i,f,g,o (PyTorch)",
        "dtype": "float32",
        "vocab": "vocab.json",
        "embedding": f"{symbols}x{EMBEDDING_WIDTH}",
        "format": "pt",
    }


def bit_metadata(model: BitCharacterModel) -> dict[str, str]:
    """Every rule and scale that turns the latent weights into codes; the scales in float64."""
    levels = 2**model.bits - 1
    exact = copy.deepcopy(model).double()
    return {
        "arch": "Bit-RNN LSTM LM (He et al. 2016), 1 layer",
        "gate_order": "i,j,f,o",
        "a_bit": str(model.bits),
        "w_bit": str(model.bits),
        "forget_bias": str(FORGET_BIAS),
        "H": str(model.decoder.in_features),
        "lstm_scale": repr(exact.lstm.scale().item()),
        "decoder_scale": repr(weight_scale(exact.decoder.weight).item()),
        "weight_rule": "t=tanh(W); scale=2.5*mean|t| (ONE scale over weight_ih and weight_hh together); "
        "code=round_half_even((clip(t/scale,-.5,.5)+.5)*(2^w-1)); w=scale*(code/(2^w-1)-.5)",
        "embedding_rule": "code=round_half_even(clip(relu(E),0,1)*(2^a-1)); x=code/(2^a-1)",
        "cell": "i,j,f,o=sigmoid(Wx+Uh+b) with forget_bias added to f; c=f*c+i*j (not rounded, c>=0); "
        "h=round_half_even(sigmoid(c)*o*(2^a-1))/(2^a-1)",
        "initial_state": f"c=h={round(levels / 2)}/{levels}",
        "decoder": "logits=quantized decoder.weight . h + decoder.bias (float bias)",
        "format": "pt",
    }


def load_model(path: Path, name: str) -> Model:
    """The stored model in float64; its sizes are those of its tensors."""
    tensors = load_file(path)
    symbols, inputs = tensors["embedding.weight"].shape
    model = make_model(name, symbols, inputs, tensors["decoder.weight"].shape[1])
    model.load_state_dict(tensors)
    return model.double().eval()


def log_probabilities(model: Model, symbols: Tensor) -> Tensor:
    """ln p(symbols[t + 1] | symbols[0 .. t]) for every t but the last: one stream, state carried throughout."""
    state, found = model.initial_state(1), []
    with torch.no_grad():
        for first in range(0, len(symbols) - 1, EVALUATED_AT_ONCE):
            chunk = symbols[first : first + EVALUATED_AT_ONCE + 1]
            logits, state = model(chunk[:-1, None], state)
            found.append(torch.log_softmax(logits[:, 0], dim=-1).gather(1, chunk[1:, None])[:, 0])
    return torch.cat(found)


def report(label: str, found: Tensor) -> None:
    nats = -found.mean().item()
    print(f"{label}: {len(found)} predictions, {nats / math.log(2):.4f} bits, perplexity {math.exp(nats):.4f}")


def run_train(options: argparse.Namespace) -> None:
    """Write vocab.json and char_lm_<model>.safetensors into the output folder."""
    text = options.text.read_text(encoding="utf-8")
    vocabulary = make_vocabulary(text)
    model = train(options, encode(split(text)[0], vocabulary), vocabulary)
    metadata = bit_metadata(model) if isinstance(model, BitCharacterModel) else float_metadata(len(vocabulary))
    (options.output / "vocab.json").write_text(json.dumps(vocabulary) + "\n", encoding="utf-8")
    save_file(model.state_dict(), options.output / f"char_lm_{options.model}.safetensors", metadata=metadata)


def run_evaluate(options: argparse.Namespace) -> None:
    """Print the figures of the stored models in float64 and, where asked for, write the check file."""
    vocabulary = json.loads((options.output / "vocab.json").read_text(encoding="utf-8"))
    held_out = encode(split(options.text.read_text(encoding="utf-8"))[1], vocabulary)
    evaluation = encode((options.output / "eval.txt").read_text(encoding="utf-8"), vocabulary)
    check: dict[str, Any] = {"symbols": evaluation[: CHECKED_PREDICTIONS + 1].tolist(), "log_probabilities": {}}
    for name in MODEL_BITS:
        model = load_model(options.output / f"char_lm_{name}.safetensors", name)
        report(f"{name} held-out", log_probabilities(model, held_out))
        found = log_probabilities(model, evaluation)
        report(f"{name} eval.txt", found)
        check["log_probabilities"][name] = found[:CHECKED_PREDICTIONS].tolist()
    if options.check:
        options.check.write_text(json.dumps(check, indent=1) + "\n", encoding="utf-8")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    trainer = commands.add_parser("train", help="train one model, from its last checkpoint if there is one")
    evaluator = commands.add_parser("evaluate", help="print perplexities; write the check file of the tests")
    trainer.set_defaults(run=run_train)
    evaluator.set_defaults(run=run_evaluate)
    for command in (trainer, evaluator):
        command.add_argument("text", type=Path, help="the text; its last 5 % are held out")
        command.add_argument("--output", type=Path, required=True, help="folder of weights, vocab.json and eval.txt")
    trainer.add_argument("--model", choices=MODEL_BITS, required=True)
    trainer.add_argument("--checkpoints", type=Path, required=True, help="folder for checkpoints")
    trainer.add_argument("--epochs", type=int, required=True)
    trainer.add_argument("--rate", type=float, required=True, help="peak learning rate")
    trainer.add_argument("--decay", type=float, default=0.0, help="weight decay of AdamW")
    trainer.add_argument("--seed", type=int, required=True)
    evaluator.add_argument("--check", type=Path, help="JSON file for the first log-probabilities on eval.txt")
    return parser.parse_args()


def main() -> None:
    torch.set_num_threads(1)
    options = parse_options()
    options.run(options)


if __name__ == "__main__":
    main()
