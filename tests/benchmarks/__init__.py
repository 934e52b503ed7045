"""Every workload against its peers, interleaved in one process: ``python -m tests.benchmarks``.

:mod:`command` is the command line, :mod:`workloads` what is run, :mod:`peers` the programs of others, :mod:`ours` this
project's side, :mod:`limits` what the processor can do, :mod:`measure` the rounds, :mod:`report` and :mod:`plots` what
is made of them. ``test_kernels.py`` holds the main kernels for pytest-benchmark.
"""
