"""PyTorch's state dictionaries, from ``.pt``, ``.pth``, ``.bin``, ``.safetensors`` and ``.npz`` files.

LSTM rows are in the order input, forget, candidate ("g"), output; two biases are summed. No pickle is ever run: an
interpreter of the few opcodes that ``torch.save`` writes builds tensors and plain values, and knows no other names.

Memory is at most 8 times the file plus 1 GiB for tensors as float64, twice that while biases are summed, and
``pickles.MAX_OPERATIONS`` small values.
"""

from fixedsim.importers.pytorch.reader import read as read
from fixedsim.importers.pytorch.reader import recognises as recognises
from fixedsim.importers.pytorch.state_dict import inferred_description as inferred_description
from fixedsim.importers.pytorch.state_dict import with_levels as with_levels
