"""From float weights to integers: scales, formats, requantization constants and tables, and a report on each."""

from fixedsim.quantization.quantize import quantize as quantize
