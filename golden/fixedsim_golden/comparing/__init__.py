"""The comparison of a device's dump with a golden set."""

from fixedsim_golden.comparing.compare import compare as compare
from fixedsim_golden.comparing.dumps import SUFFIXES as SUFFIXES
from fixedsim_golden.comparing.heat_map import plot as plot
from fixedsim_golden.comparing.junit import junit as junit
from fixedsim_golden.comparing.results import Compared as Compared
from fixedsim_golden.comparing.results import Comparison as Comparison
from fixedsim_golden.comparing.results import Mismatch as Mismatch
from fixedsim_golden.comparing.results import Seen as Seen
from fixedsim_golden.comparing.results import Value as Value
