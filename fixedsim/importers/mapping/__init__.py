"""Weights of any program: one file to a tensor, or archives, and a TOML file that says which is which and how it lies.

Memory: at most 16 times all files together and 1 GiB.
"""

from fixedsim.importers.mapping.reading import read as read
from fixedsim.importers.mapping.reading import recognises as recognises
