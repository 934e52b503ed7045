"""From float weights to integers: scales, formats, requantization constants and tables, and a report on each."""

from fixedsim.quantize.quantize import quantize as quantize
