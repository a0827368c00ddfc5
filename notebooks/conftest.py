"""Notebooks under test: each worker of `pytest -n` has one core, so that its notebook trains in its own process.

A notebook takes every core that it sees, one process each, and starting those takes longer than what they train here.
"""

import os


def pytest_configure() -> None:
    """Give this worker, and the kernels that it starts, a core of its own, where the system can."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})
