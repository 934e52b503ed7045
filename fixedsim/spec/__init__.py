"""The normative arithmetic: scalar, on Python integers of any size, with neither NumPy nor Numba.

Every kernel must give exactly what these functions give. They are written to be read beside a
hardware document, not to be fast.
"""
