"""Files: tensors read with their sizes checked before they are believed, and written in one step."""

from fixedsim.files.reading import read_content as read_content
from fixedsim.files.reading import unreadable as unreadable
from fixedsim.files.tensors import TensorFile as TensorFile
from fixedsim.files.tensors import Tensors as Tensors
from fixedsim.files.tensors import read_metadata as read_metadata
from fixedsim.files.tensors import read_tensors as read_tensors
from fixedsim.files.writing import write_atomically as write_atomically
