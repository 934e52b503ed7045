"""Importers: files of other programs to networks."""

from fixedsim.importers.load import load_network as load_network
