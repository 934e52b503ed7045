"""TensorFlow 1: variables of a checkpoint as ``.npz`` or ``.safetensors``, and frozen graphs (``.pb``).

Read without TensorFlow. A graph tells layers, order, functions and forget biases by its operations; a file of
variables by their names, and what it does not hold is the cell's default or stated. :mod:`.variables` has the bound on
memory.
"""

from fixedsim.importers.tensorflow.reading import read as read
from fixedsim.importers.tensorflow.reading import recognises as recognises
