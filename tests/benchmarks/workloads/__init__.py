"""What is run, by subject."""

from tests.benchmarks.workload import Workload
from tests.benchmarks.workloads import curves, growth, language, lstm, matrices, speech, threads


def all_workloads() -> list[Workload]:
    """Every workload, in the order of the report."""
    return [
        workload
        for subject in (matrices, language, speech, lstm, threads, growth, curves)
        for workload in subject.workloads()
    ]
