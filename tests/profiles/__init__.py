"""Profiles: their files, their keys and what is wrong with others."""
