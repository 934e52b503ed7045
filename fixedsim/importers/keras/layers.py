"""From the layers of a Keras model to plans, with a note for each convention."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fixedsim.errors import NetworkError
from fixedsim.importers.keras.chain import Node
from fixedsim.importers.keras.config import Config
from fixedsim.importers.keras.functions import IDENTITY, SOFTMAX, Function, function, rectified
from fixedsim.importers.keras.naming import Names
from fixedsim.importers.keras.plans import (
    BIAS,
    EMBEDDINGS,
    KERNEL,
    RECURRENT,
    EmbeddingPlan,
    Leaf,
    LinearPlan,
    LstmPlan,
    Plan,
)

NOTHING = (
    "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization",
    "Identity",
)  # fmt: skip
LSTMS = ("LSTM", "CuDNNLSTM", "RNN")
_SAME = ("units", "gate", "activation", "steps")


@dataclass
class Planner:
    """The plans of a chain of nodes, and what is to be said of them."""

    version: str | None
    plans: list[Plan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    ended: str = ""  # where a softmax stood, after which nothing may come

    def take(self, node: Node) -> None:
        """Add what a layer does.

        Raises:
            NetworkError: a layer or an option that networks lack.
        """
        known: dict[str, Callable[[Node], None]] = {
            "InputLayer": lambda _: None,
            "Embedding": self._embedding,
            "Dense": self._dense,
            "Bidirectional": self._bidirectional,
            "Masking": self._masking,
            "Activation": self._activation,
            "ReLU": lambda node: self._apply(node, rectified(node.config)),
            "Softmax": lambda node: self._apply(node, Function(SOFTMAX)),
            "Flatten": self._flatten,
            **dict.fromkeys(LSTMS, self._lstm),
            **dict.fromkeys(NOTHING, self._nothing),
        }
        if node.kind not in known:
            raise NetworkError(f"{node.config.where} must be one of {', '.join(known)}, not {node.kind}")
        policy = _policy(node.config)
        if policy.startswith("mixed"):
            self.note(f"{node.name}: Keras computes it as {policy} says; here it is computed in one dtype")
        known[node.kind](node)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def _embedding(self, node: Node) -> None:
        sizes = node.config.whole("input_dim"), node.config.whole("output_dim")
        leaf = Leaf(node.top, node.path, (EMBEDDINGS,), node.frozen)
        self._add(node, EmbeddingPlan(self.names.unique(node.name), (leaf,), sizes))
        if node.config.flag("mask_zero", False):
            self._mask_note(f"{node.name}: token 0 masks a step (mask_zero)")

    def _masking(self, node: Node) -> None:
        if self.plans:
            raise NetworkError(
                f"{node.config.where} must stand before all other layers, not after {self.plans[-1].name!r}"
            )
        self._mask_note(f"{node.name}: features of {node.config.number('mask_value', 0.0):g} mask a step")

    def _mask_note(self, text: str) -> None:
        self.note(
            f"{text}; give the lengths of sequences instead, whose masked steps come last; outputs past them are 0"
        )

    def _dense(self, node: Node) -> None:
        roles = (KERNEL, BIAS) if node.config.flag("use_bias", True) else (KERNEL,)
        used = function(node.config, "activation", self.version)
        leaf = Leaf(node.top, node.path, roles, node.frozen)
        identity = used if used.name != SOFTMAX else IDENTITY
        self._add(node, LinearPlan(self.names.unique(node.name), (leaf,), identity, node.config.whole("units")))
        if used.name == SOFTMAX:
            self._softmax(node)

    def _activation(self, node: Node) -> None:
        self._apply(node, function(node.config, "activation", self.version))

    def _apply(self, node: Node, used: Function) -> None:
        """A function of its own layer becomes that of the Dense layer before it."""
        if node.kind == "Softmax" and node.config.get("axis") not in (None, -1):
            raise node.config.wrong("axis", "-1", node.config.get("axis"))
        last = self.plans[-1] if self.plans else None
        if used.name == "identity":
            return
        self._check_end(node)
        if used.name == SOFTMAX and isinstance(last, LinearPlan | LstmPlan):
            self._softmax(node)
        elif isinstance(last, LinearPlan) and last.function.name == "identity":
            self.plans[-1] = replace(last, function=used)
        else:
            raise NetworkError(f"{node.config.where} must follow a Dense layer without activation, not another")

    def _softmax(self, node: Node) -> None:
        self.ended = node.config.where
        self.note(f"{node.name}: the softmax after the last layer is left out; outputs are logits")

    def _check_end(self, node: Node) -> None:
        if self.ended:
            raise NetworkError(f"{self.ended}: softmax must be the last function, not before {node.config.where}")

    def _add(self, node: Node, plan: Plan) -> None:
        self._check_end(node)
        self.plans.append(plan)

    def _flatten(self, node: Node) -> None:
        if not any(isinstance(plan, LstmPlan) and plan.steps == "last" for plan in self.plans):
            raise NetworkError(f"{node.config.where} must follow an LSTM that gives its last step, not join steps")
        self._nothing(node)

    def _nothing(self, node: Node) -> None:
        self.note(f"{node.name}: {node.kind} changes nothing when a network runs and is passed over")

    def _lstm(self, node: Node) -> None:
        cells = self._cells(node)
        sequences = self._sequences(node)
        backwards = node.config.flag("go_backwards", False)
        if backwards and sequences:
            raise NetworkError(
                f"{node.config.where}: go_backwards must be false with return_sequences, not true; "
                "its outputs come in the order in which it reads"
            )
        name = self.names.unique(node.name)
        for level, cell in enumerate(cells):
            steps = "all" if sequences or level < len(cells) - 1 else "last"
            own = name if len(cells) == 1 else self.names.unique(f"{name}.l{level}")
            self._add(node, replace(cell, name=own, steps=steps, reverse=backwards))
            self._lstm_notes(own, cell, node)

    def _bidirectional(self, node: Node) -> None:
        mode = node.config.text("merge_mode", "concat")
        if mode != "concat":
            raise node.config.wrong("merge_mode", "concat", mode)
        forward = node.inner("layer")
        stated = node.config.get("backward_layer")
        backward = replace(node.inner("backward_layer") if stated else forward, path=f"{node.path}/backward_layer")
        ahead, back = (
            self._direction(part) for part in (replace(forward, path=f"{node.path}/forward_layer"), backward)
        )
        turned = [part.config.flag("go_backwards", False) for part in (forward, backward)]
        if turned[0] or (stated and not turned[1]):
            raise NetworkError(f"{node.config.where}: go_backwards must be true of the backward layer alone")
        for key in _SAME:
            if getattr(ahead, key) != getattr(back, key) or len(ahead.leaves[0].roles) != len(back.leaves[0].roles):
                raise NetworkError(f"{node.config.where}: both directions must be alike, not differ in {key} or bias")
        name = self.names.unique(node.name)
        self._add(node, replace(ahead, name=name, leaves=(*ahead.leaves, *back.leaves)))
        self._lstm_notes(name, ahead, forward)

    def _direction(self, node: Node) -> LstmPlan:
        if node.kind not in LSTMS:
            raise NetworkError(
                f"{node.config.where} must be one of {', '.join(LSTMS)} in both directions, not {node.kind}"
            )
        cells = self._cells(node)
        if len(cells) != 1:
            raise NetworkError(f"{node.config.where} must have one cell in both directions, not {len(cells)}")
        return replace(cells[0], steps="all" if self._sequences(node) else "last")

    def _sequences(self, node: Node) -> bool:
        return node.config.flag("return_sequences", False)

    def _cells(self, node: Node) -> list[LstmPlan]:
        """The plan of each cell, without a name."""
        if node.kind != "RNN":
            return [self._cell(replace(node, path=f"{node.path}/cell" if node.kind == "LSTM" else node.path))]
        cell = node.inner("cell")
        if cell.kind == "StackedRNNCells":
            parts = [cell.inner("cells", part) for part in cell.config.listed("cells")]
            if not parts:
                raise cell.config.wrong("cells", "a list of cells", [])
            endings = [f"lstm_cell_{index}" if index else "lstm_cell" for index in range(len(parts))]
            return [self._cell(replace(p, path=f"{p.path}/{end}")) for p, end in zip(parts, endings, strict=True)]
        return [self._cell(cell)]

    def _cell(self, node: Node) -> LstmPlan:
        config = node.config
        if node.kind not in ("LSTM", "CuDNNLSTM", "LSTMCell"):
            raise NetworkError(f"{config.where} must be an LSTMCell, not {node.kind}")
        roles = (KERNEL, RECURRENT, BIAS) if config.flag("use_bias", True) else (KERNEL, RECURRENT)
        gate, inner = "sigmoid", "tanh"
        if node.kind != "CuDNNLSTM":
            gate = function(config, "recurrent_activation", self.version).name
            inner = function(config, "activation", self.version).name
        leaf = Leaf(node.top, node.path, roles, node.frozen)
        return LstmPlan("lstm", (leaf,), gate, inner, units=config.whole("units"))

    def _lstm_notes(self, name: str, cell: LstmPlan, node: Node) -> None:
        config = node.config.inner("cell") if node.kind == "RNN" else node.config
        if BIAS not in cell.leaves[0].roles:
            text = "no bias"
        else:
            text = "two biases, summed; kernels as cuDNN has them" if node.kind == "CuDNNLSTM" else "one bias"
            text += "; the forget bias of 1 stands in it" if config.get("unit_forget_bias") is True else ""
        self.note(f"{name}: {text}")
        if node.config.flag("stateful", False):
            self.note(f"{name}: stateful; hand the state of one run to the next")
        if node.config.flag("time_major", False):
            self.note(f"{name}: time comes first, as it does here")


def _policy(config: Config) -> str:
    """The dtype policy by name."""
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict):
        policy = policy["config"].get("name")
    return policy if isinstance(policy, str) else ""
