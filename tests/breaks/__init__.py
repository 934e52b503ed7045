"""Faults put into a copy of the package, each of which must be caught."""
