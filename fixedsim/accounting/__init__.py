"""What a network costs before any hardware exists: storage, blocks of memory, multiply-accumulates."""

from fixedsim.accounting.account import ActivationMemory as ActivationMemory
from fixedsim.accounting.account import Memory as Memory
from fixedsim.accounting.account import TensorMemory as TensorMemory
from fixedsim.accounting.account import activations as activations
from fixedsim.accounting.account import memory as memory
from fixedsim.accounting.blocks import Arrangement as Arrangement
from fixedsim.accounting.blocks import Placement as Placement
from fixedsim.accounting.plots import plot as plot
from fixedsim.accounting.targets import MemoryTarget as MemoryTarget
from fixedsim.accounting.targets import load_memory as load_memory
from fixedsim.accounting.targets import memory_names as memory_names
