"""Whole integer networks: run, streamed, threaded, saved and loaded."""
