"""Tests of the types of C++ hardware code."""
