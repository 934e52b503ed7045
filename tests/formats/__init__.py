"""Formats: names, codes, reals and what is refused."""
