"""The reference step of one model as plain C99, for a test bench by DPI-C or for a host build."""

from fixedsim_golden.c_reference.write import write_c as write_c
