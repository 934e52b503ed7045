"""The worked-example device: its module, parameters and memory files from a layer of a model."""

from fixedsim_golden.device.mapping import device_files as device_files
from fixedsim_golden.device.mapping import device_module as device_module
from fixedsim_golden.device.mapping import device_sources as device_sources
from fixedsim_golden.device.memories import hex_words as hex_words
from fixedsim_golden.device.parameters import device_parameters as device_parameters
