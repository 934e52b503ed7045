"""Self-checking test benches of golden sets."""

from fixedsim_golden.testbench.generating import write_testbench as write_testbench
from fixedsim_golden.testbench.running import DeviceBench as DeviceBench
from fixedsim_golden.testbench.running import DeviceRun as DeviceRun
from fixedsim_golden.testbench.running import SimulatorError as SimulatorError
from fixedsim_golden.testbench.running import build_device as build_device
from fixedsim_golden.testbench.running import run_device as run_device
