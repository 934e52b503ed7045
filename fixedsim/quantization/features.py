"""What an LSTM may have beside four gates, on integers: which profiles can say it, and its initial state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.network.description import LstmLayer
from fixedsim.profiles.datapath import Hazard
from fixedsim.profiles.profile import Profile


@dataclass(frozen=True, eq=False)
class QuantizedState:
    """Raws of ``format`` for each unit of an initial hidden state or cell, and the reals that they are of."""

    raws: NDArray[np.int64]
    format: Format
    real: NDArray[np.float64]


def require_possible(layer: LstmLayer, profile: Profile) -> None:
    """Refuse what the arithmetic of a profile has no place for.

    Raises:
        ModelError: coupled gates or peepholes under a stale sigmoid register, whose gates are of other evaluations.
    """
    if profile.lstm.hazard is Hazard.NONE:
        return
    for key, given in (("coupled", layer.coupled), ("peephole", layer.peephole)):
        if given:
            raise ModelError(
                f"layer {layer.name!r}: {key} must be false under profile {profile.name} with hazard "
                f"{profile.lstm.hazard}, not true"
            )
