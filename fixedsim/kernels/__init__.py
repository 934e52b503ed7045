"""Kernels: the arithmetic of :mod:`fixedsim.spec` on arrays of 64-bit integers, compiled by Numba.

They trust their operands: :mod:`fixedsim.arrays` checks, allocates and calls. Each gives exactly the integers
of the scalar specification, compiled or interpreted (``NUMBA_DISABLE_JIT=1``). Nothing here imports anything of the
project outside this folder, so that a digest of its files is a valid stamp for the cache of compiled code.
"""
