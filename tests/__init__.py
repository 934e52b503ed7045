"""The tests of fixedsim; strategies and oracles are imported as ``tests.strategies`` and the like."""
