"""What is known of a signal: the device's values, the set's, and those that the model gives where neither has them."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from fixedsim.model import Model
from fixedsim_golden.comparing.dumps import Dumped
from fixedsim_golden.comparing.program import Program, program
from fixedsim_golden.comparing.rules import Integers
from fixedsim_golden.playing import play
from fixedsim_golden.sets import GoldenSet


class Known:
    """The values of signals by name, from the dump, from the set, or played on the set's model."""

    def __init__(self, golden_set: GoldenSet, dumped: Mapping[str, Dumped]) -> None:
        self.set, self.dumped = golden_set, dumped
        self._golden: dict[str, Integers] = {}
        self._names = {entry.name for entry in golden_set.manifest.entries}

    @property
    def model(self) -> Model:
        """The model of the set."""
        return self.set.model

    @cached_property
    def program(self) -> Program:
        """The rules of the model over the cases of the set."""
        return program(self.model, self.set.cases)

    @cached_property
    def _played(self) -> dict[str, Integers]:
        return {entry.name: entry.raws for entry in play(self.model, self.set.cases)}

    def golden(self, name: str) -> Integers:
        """What a signal must be, also one that the set has no file of."""
        if name not in self._golden:
            self._golden[name] = self._found(name)
        return self._golden[name]

    def _found(self, name: str) -> Integers:
        if name in self._names:
            return self.set.raws(name)
        if name in self.model.signals:
            return self._played[name]
        rule = self.program.rule_of(name)
        assert rule is not None
        return rule.of({read: self.golden(read) for read in rule.reads})[name]

    def device(self, name: str) -> tuple[Integers, bool]:
        """A signal as the device has it, else as it must be; and whether it is the device's."""
        dumped = self.dumped.get(name)
        if dumped is not None:
            return np.where(dumped.faulty, self.golden(name), dumped.raws), True
        if name in self._names or name in self.model.signals:
            return self.golden(name), False
        rule = self.program.rule_of(name)
        assert rule is not None
        read = {each: self.device(each) for each in rule.reads}
        values = rule.of({each: values for each, (values, _) in read.items()})[name]
        return values, all(own for each, (_, own) in read.items() if "initial_state" not in each)
