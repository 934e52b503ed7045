"""The operators that are layers, by their names in the schema."""

from collections.abc import Callable

from fixedsim.errors import FileError, FixedsimError
from fixedsim.importers.tflite.fully_connected import fully_connected
from fixedsim.importers.tflite.graph import Operator
from fixedsim.importers.tflite.operands import Source
from fixedsim.importers.tflite.sequence_lstm import sequence_lstm
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm

LAYERS: dict[str, Callable[[str, Operator, Source], Linear | Lstm]] = {
    "FULLY_CONNECTED": fully_connected,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": sequence_lstm,
}


def build(name: str, operator: Operator, source: Source) -> Linear | Lstm:
    """The layer of an operator.

    Raises:
        FileError: it does not make one, with what is wrong.
    """
    try:
        return LAYERS[operator.kind](name, operator, source)
    except FileError:
        raise
    except FixedsimError as error:
        raise FileError(f"{operator.kind} {name!r}: {error}") from None
