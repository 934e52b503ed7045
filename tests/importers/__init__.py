"""Tests of readers of other programs' files, and builders of such files."""
