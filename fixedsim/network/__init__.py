"""Networks: descriptions, float weights, and the float reference that runs them."""

from fixedsim.network.description import BitRnnRule as BitRnnRule
from fixedsim.network.description import Description as Description
from fixedsim.network.description import EmbeddingLayer as EmbeddingLayer
from fixedsim.network.description import Layer as Layer
from fixedsim.network.description import LinearLayer as LinearLayer
from fixedsim.network.description import LstmLayer as LstmLayer
from fixedsim.network.description_files import preset as preset
from fixedsim.network.description_files import preset_names as preset_names
from fixedsim.network.description_files import read_description as read_description
from fixedsim.network.network import ForwardResult as ForwardResult
from fixedsim.network.network import Network as Network
