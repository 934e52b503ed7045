"""Tests of networks, their files and their importers."""
