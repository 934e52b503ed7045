"""All encodings of words, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from fixedsim_golden.encodings.c import C
from fixedsim_golden.encodings.coe import COE
from fixedsim_golden.encodings.encoding import Encoding
from fixedsim_golden.encodings.ihex import IHEX
from fixedsim_golden.encodings.memory import BIN, HEX, MEM
from fixedsim_golden.encodings.mif import MIF
from fixedsim_golden.encodings.sv import SV
from fixedsim_golden.encodings.vhdl import VHDL

ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {encoding.name: encoding for encoding in (HEX, BIN, MEM, COE, MIF, IHEX, C, SV, VHDL)}
)
