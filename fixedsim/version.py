"""The version of fixedsim."""

VERSION = "0.1.0"
