"""The commands: a module ``<name>.py`` with a click command called ``command`` is ``fixedsim <name>``.

``fixedsim --help`` imports all of them, so what takes long to import is imported inside their functions.
"""
