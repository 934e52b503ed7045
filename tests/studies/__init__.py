"""Sweeps, the demo and storage: what people do with many models."""
