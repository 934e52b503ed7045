"""hls4ml projects: their layers, types and weights as plain data, and as integer layers with hls4ml's arithmetic."""

from fixedsim.importers.hls4ml.project import HlsLayer as HlsLayer
from fixedsim.importers.hls4ml.project import Project as Project
from fixedsim.importers.hls4ml.project import Variable as Variable
from fixedsim.importers.hls4ml.project import read_project as read_project
