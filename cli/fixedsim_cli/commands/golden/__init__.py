"""``fixedsim golden``: write, verify and use golden sets."""

import sys

from fixedsim_cli.groups import lazy_group

command = lazy_group(
    sys.modules[__name__],
    name="golden",
    short_help="Write golden sets, and check devices against them.",
    help="""Golden sets: stimuli, the integers that a device must give for them, and a manifest.

    \b
    Example:
      fixedsim golden write model.safetensors -o vectors
      fixedsim golden verify vectors
    """,
)
