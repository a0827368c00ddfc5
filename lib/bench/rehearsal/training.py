"""A training run at the paper's size, killed and resumed: the command as a user gives it, followed by its log."""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from re import findall, search
from typing import Any

from lib.bench.rehearsal.watch import Watched, watch
from lib.errors import TrainingError
from lib.training.execution import LAST, LOG

Facts = dict[str, Any]
STAMP = "%Y-%m-%d %H:%M:%S"  # of the log's lines
LOGS = f".*/{LOG}"  # of unfinished runs, in the store
AFTER_RESUMING = 1  # steps


class Run:
    """The run that a command trains, as its folder in the store shows it: what its log has more than before."""

    def __init__(self, runs: Path) -> None:
        """``runs`` is the run store, before the command is started."""
        self.runs, self.started = runs, time.time()
        self.known = {path: path.stat().st_size for path in runs.glob(LOGS)}

    @property
    def log(self) -> Path | None:
        """The log of the run; None before it has begun to train."""
        return next((p for p in self.runs.glob(LOGS) if p.stat().st_size > self.known.get(p, 0)), None)

    def lines(self) -> list[str]:
        """The lines that the command wrote, or none."""
        log = self.log
        return [] if log is None else log.read_bytes()[self.known.get(log, 0) :].decode().splitlines()

    def steps(self) -> list[tuple[float, int]]:
        """Time and number of the steps that the log names."""
        told = [(line, search(r" step (\d+) of", line[19:])) for line in self.lines() if "at step" not in line]
        return [(datetime.strptime(line[:19], STAMP).timestamp(), int(m.group(1))) for line, m in told if m]

    def checkpoint(self) -> float:
        """When the last checkpoint was written; 0 where there is none of this start."""
        path = None if self.log is None else self.log.with_name(LAST)
        written = path.stat().st_mtime if path is not None and path.exists() else 0.0
        return written if written >= self.started else 0.0


def train(
    arguments: list[str], environment: Mapping[str, str], folder: Path, steps: int, minutes: float, name: str
) -> Facts:
    """Train until ``steps`` or for ``minutes``, and a checkpoint at least; kill it; start it again, and see it go on.

    Args:
        arguments: of the interpreter: a run of one process.
        environment: of the process.
        folder: of the rehearsal, with the run store in ``cache/runs``.
        steps: to train for.
        minutes: after which fewer are enough.
        name: of its logs.

    Raises:
        TrainingError: the second start did not resume the first one's run after its checkpoint.
    """
    run = Run(folder / "cache" / "runs")

    def enough() -> bool:
        """Whether it has trained for long enough, and has a checkpoint."""
        seen = run.steps()
        long = bool(seen) and (seen[-1][1] >= steps or time.time() - seen[0][0] > 60 * minutes)
        return long and run.checkpoint() > 0

    seen = watch(arguments, environment, folder / f"{name}.log", enough, lambda: len(run.lines()))
    lost, done = time.time() - run.checkpoint(), run.steps()
    again = Run(folder / "cache" / "runs")
    resumed = watch(
        arguments, environment, folder / f"{name}-resumed.log", lambda: len(again.steps()) >= AFTER_RESUMING,
        lambda: len(again.lines()),
    )  # fmt: skip
    told = [findall(r"resumes at step (\d+) of", line) for line in again.lines()[:1]]
    at_step = int(told[0][0]) if told and told[0] else 0
    if not (seen.killed and resumed.killed and at_step and again.log == run.log and again.steps()[0][1] == at_step + 1):
        said = ", ".join(line[20:] for line in [*run.lines(), *again.lines()])
        raise TrainingError(f"{name}: it did not go on where it was killed; its log says: {said}")
    return facts_of(seen, done) | {
        "lost by the kill (s)": lost,
        "last step in the log": done[-1][1],
        "resumed at step": at_step,
        "processor seconds to resume": resumed.processor_before,
        "peak when resumed (GiB)": resumed.peak,
    }


def begin(arguments: list[str], environment: Mapping[str, str], folder: Path, minutes: float, name: str) -> Facts:
    """Train for ``minutes`` from the first step on, two steps at least, and end it."""
    run = Run(folder / "cache" / "runs")

    def enough() -> bool:
        """Whether it has trained for long enough to tell its rate."""
        seen = run.steps()
        return len(seen) > 1 and time.time() - seen[0][0] > 60 * minutes

    seen = watch(arguments, environment, folder / f"{name}.log", enough, lambda: len(run.lines()))
    return facts_of(seen, run.steps())


def facts_of(seen: Watched, done: list[tuple[float, int]]) -> Facts:
    """What a run that was killed after the steps ``done`` took."""
    steps = done[-1][1] - done[0][1] + 1
    return {
        "seconds": seen.seconds,
        "processor seconds": seen.processor_seconds,
        "processor seconds before the first step": seen.processor_before,
        "peak before the first step (GiB)": seen.peak_before,
        "peak (GiB)": seen.peak,
        "steps": steps,
        "processor seconds a step": (seen.marked - seen.processor_before) / steps,
    }
