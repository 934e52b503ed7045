"""The neuron increase: wider layers, on a description alone or on weights that keep computing the same function."""

from fixedsim.widening.factors import widened_description as widened_description
from fixedsim.widening.widen import Widened as Widened
from fixedsim.widening.widen import widen as widen
