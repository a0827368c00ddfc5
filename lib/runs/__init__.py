"""Runs: a frozen `RunConfig` in, a `Result` out, stored under the hash of its content."""

from lib.runs.config import Limits, RunConfig
from lib.runs.results import Result
from lib.runs.runner import run, run_all, run_here, stored, stored_with_weights, trained

__all__ = [
    "Limits",
    "Result",
    "RunConfig",
    "run",
    "run_all",
    "run_here",
    "stored",
    "stored_with_weights",
    "trained",
]
