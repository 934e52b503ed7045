"""The command line of fixedsim."""
