"""Importers: files of other programs to networks and integer models."""

from fixedsim.importers.load import load_network as load_network
from fixedsim.importers.models import import_model as import_model
