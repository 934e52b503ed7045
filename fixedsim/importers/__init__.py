"""Importers: files of other programs to networks and integer models."""

from fixedsim.importers.exporting import export_network as export_network
from fixedsim.importers.load import load_network as load_network
from fixedsim.importers.models import import_model as import_model
from fixedsim.importers.network_import import ImportedNetwork as ImportedNetwork
from fixedsim.importers.network_import import import_network as import_network
