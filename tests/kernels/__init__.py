"""Tests of the kernels, of the checked array operations over them, and of the self-test."""
