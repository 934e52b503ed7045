"""Assembly: raws, formats and a profile to integer layers, every constant of their datapaths worked out."""

from fixedsim.assembly.assembler import Assembler as Assembler
from fixedsim.assembly.linear import assemble_linear as assemble_linear
from fixedsim.assembly.lstm import assemble_lstm as assemble_lstm
from fixedsim.assembly.tensors import LinearTensors as LinearTensors
from fixedsim.assembly.tensors import LstmTensors as LstmTensors
from fixedsim.assembly.tensors import RawBias as RawBias
from fixedsim.assembly.tensors import RawMatrix as RawMatrix
