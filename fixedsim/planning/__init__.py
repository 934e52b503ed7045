"""Planning a neuron increase: which layers to widen, and what bits and widths a budget of storage buys."""

from fixedsim.planning.frontier import Point as Point
from fixedsim.planning.planner import WEIGHT_BITS as WEIGHT_BITS
from fixedsim.planning.planner import Choice as Choice
from fixedsim.planning.planner import Plan as Plan
from fixedsim.planning.planner import plan as plan
from fixedsim.planning.plots import plot as plot
from fixedsim.planning.ranking import RankedLayer as RankedLayer
from fixedsim.planning.ranking import Verdict as Verdict
from fixedsim.planning.sensitivity import Evaluate as Evaluate
from fixedsim.planning.sensitivity import evaluator as evaluator
from fixedsim.planning.size import Measure as Measure
