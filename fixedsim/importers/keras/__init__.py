"""Keras 2 and 3: whole models (``.keras``, ``.h5``) and files of weights (``.weights.h5``, ``.h5``), without Keras."""

from fixedsim.importers.keras.reader import read as read
from fixedsim.importers.keras.reader import recognises as recognises
