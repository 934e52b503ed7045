"""Models: integer networks that run, are traced and are saved."""

from fixedsim.model.model import ARITHMETIC as ARITHMETIC
from fixedsim.model.model import Model as Model
from fixedsim.model.run import RunResult as RunResult
from fixedsim.model.storage import StoredTensor as StoredTensor
from fixedsim.model.storage import storage_bits as storage_bits
from fixedsim.model.storage import stored_tensors as stored_tensors
from fixedsim.model.store import load_model as load_model
from fixedsim.model.stream import Stream as Stream
