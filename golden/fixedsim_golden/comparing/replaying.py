"""Every step of a device played again from its own values: what is wrong by itself, and not for what came before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fixedsim_golden.comparing.dumps import Dumped
from fixedsim_golden.comparing.known import Known
from fixedsim_golden.comparing.program import Program
from fixedsim_golden.comparing.rules import Copied, Flags, Integers, Rule


@dataclass
class Replay:
    """Where values of the dump are wrong given the device's own operands, and what they should be given these.

    An operand that the dump does not have is computed from those of it that the dump has; a state that it does not have
    is the set's. Values made of operands that cannot be read are not judged.
    """

    wrong: dict[str, Flags] = field(default_factory=dict)
    recomputed: dict[str, Integers] = field(default_factory=dict)  # of entries with something wrong


def replayed(program: Program, known: Known) -> Replay:
    """Play every rule once over all steps."""
    player = _Player(program, known)
    for rule in program.rules:
        player.play(rule)
    for name, rule in program.carried.items():
        player.carry(name, rule, program.continued)
    return player.found


class _Player:
    """Holds the values so far, each as the device has it if the dump does."""

    def __init__(self, program: Program, known: Known) -> None:
        self.known, self.found = known, Replay()
        self.dumped = dict(known.dumped)
        self.output = self._output_of(program)
        if self.output is not None:
            self.dumped[self.output] = known.dumped["output"]
        self.values: dict[str, Integers] = {}
        self.flags: dict[str, Flags] = {}
        given = {name for rule in program.rules for name in rule.gives}
        for name in [*(name for name in program.places if name not in given), *program.states]:
            self._start(name)

    def _output_of(self, program: Program) -> str | None:
        """The signal that the dump has as the output alone."""
        rule = program.rule_of("output")
        assert isinstance(rule, Copied)
        signal = rule.blocks[0]
        alone = "output" in self.dumped and signal not in self.dumped and signal in self.known.model.signals
        return signal if alone else None

    def _start(self, name: str) -> None:
        """A stimulus, or a state before it is played."""
        dumped = self.dumped.get(name)
        if dumped is None:
            self._put(name, self.known.golden(name))
        else:
            self._put_dumped(name, dumped)

    def _put(self, name: str, values: Integers, flags: Flags | None = None) -> None:
        self.values[name] = values
        self.flags[name] = np.zeros(values.shape, np.bool_) if flags is None else flags

    def _put_dumped(self, name: str, dumped: Dumped) -> None:
        """The device's values; where they cannot be read the set's stand in, and are flagged."""
        faulty = dumped.faulty
        values = np.where(faulty, self.known.golden(name), dumped.raws) if faulty.any() else dumped.raws
        self._put(name, values, faulty)

    def play(self, rule: Rule) -> None:
        """Judge what a rule gives, and go on with the device's values where there are any."""
        computed, unknown = rule.of(self.values), rule.unknown(self.flags)
        for name in rule.gives:
            dumped = self.dumped.get(name)
            if dumped is None:
                self._put(name, computed[name], unknown[name])
                continue
            wrong = ((dumped.raws != computed[name]) | dumped.faulty) & ~unknown[name]
            entry = "output" if name == self.output else name
            self._judge(entry, wrong, computed[name])
            self._put_dumped(name, dumped)

    def carry(self, name: str, rule: Copied, continued: Flags) -> None:
        """Judge an initial state: where a case continues, by the state that the device had before."""
        dumped = self.dumped.get(name)
        if dumped is None:
            return
        computed = np.where(continued[:, None], rule.of(self.values)[name], self.known.golden(name))
        unknown = continued[:, None] & rule.unknown(self.flags)[name]
        self._judge(name, ((dumped.raws != computed) | dumped.faulty) & ~unknown, computed)

    def _judge(self, entry: str, wrong: Flags, computed: Integers) -> None:
        if entry in self.found.wrong and not wrong.any():
            return  # the output beside the signal that it is
        self.found.wrong[entry] = wrong
        if wrong.any():
            self.found.recomputed[entry] = computed


def own_of(replay: Replay, dumped: Mapping[str, Dumped], wrong: Mapping[str, Flags]) -> dict[str, Flags]:
    """Where each entry of the dump is wrong by itself: stimuli and stored tensors where they differ from the set."""
    return {name: replay.wrong.get(name, wrong[name]) for name in dumped}
