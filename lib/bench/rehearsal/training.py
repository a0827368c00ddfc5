"""A training run at the paper's size, killed and resumed: the command as a user gives it, followed by its log."""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from re import findall, search
from typing import Any

from lib.bench.rehearsal.watch import Watched, watch
from lib.training.fit import LAST
from lib.training.progress import LOG

Facts = dict[str, Any]
STAMP = "%Y-%m-%d %H:%M:%S"  # of the log's lines
AFTER_RESUMING = 1  # steps


class Run:
    """The run that a command trains, as its folder in the store shows it.

    It is told by its log, since a log that is newer than ``started`` is that of the command that was started then.
    """

    def __init__(self, runs: Path) -> None:
        """``runs`` is the run store."""
        self.runs, self.started = runs, time.time()

    @property
    def folder(self) -> Path | None:
        """Where the run is kept; None before it has begun to train."""
        logs = [p for p in self.runs.glob(f".*/{LOG}") if p.stat().st_mtime >= self.started]
        return max(logs, key=lambda path: path.stat().st_mtime).parent if logs else None

    def lines(self) -> list[str]:
        """The lines of the log since ``started``, or none."""
        folder = self.folder
        if folder is None:
            return []
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
        first = datetime.fromtimestamp(int(self.started)).strftime(STAMP)
        return [line for line in lines if line[:19] >= first]

    def steps(self) -> list[tuple[float, int]]:
        """Time and number of the steps that the log names."""
        told = [(line, search(r" step (\d+) of", line[19:])) for line in self.lines() if "at step" not in line]
        return [(datetime.strptime(line[:19], STAMP).timestamp(), int(m.group(1))) for line, m in told if m]

    def checkpoint(self) -> float:
        """When the last checkpoint was written; 0 where there is none of this start."""
        path = None if self.folder is None else self.folder / LAST
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
    """
    run = Run(folder / "cache" / "runs")

    def enough() -> bool:
        """Whether it has trained for long enough, and has a checkpoint."""
        seen = run.steps()
        long = bool(seen) and (seen[-1][1] >= steps or time.time() - seen[0][0] > 60 * minutes)
        return long and run.checkpoint() > 0

    seen = watch(arguments, environment, folder / f"{name}.log", enough, lambda: bool(run.lines()))
    lost, done, at = time.time() - run.checkpoint(), run.steps(), run.folder
    again = Run(folder / "cache" / "runs")
    resumed = watch(
        arguments, environment, folder / f"{name}-resumed.log", lambda: len(again.steps()) >= AFTER_RESUMING,
        lambda: bool(again.lines()),
    )  # fmt: skip
    at_step = int(findall(r"resumes at step (\d+) of", again.lines()[0])[0])
    if again.folder != at or at_step < 1 or at_step > done[-1][1] + 1 or again.steps()[0][1] <= at_step:
        raise RuntimeError(f"{name}: it resumed at step {at_step} in {again.folder}, after step {done[-1][1]} in {at}")
    return facts_of(seen, done) | {
        "lost by the kill (s)": lost,
        "steps at the kill": done[-1][1],
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

    seen = watch(arguments, environment, folder / f"{name}.log", enough, lambda: bool(run.lines()))
    return facts_of(seen, run.steps())


def facts_of(seen: Watched, done: list[tuple[float, int]]) -> Facts:
    """What a run that was killed after the steps ``done`` took."""
    many, worked = done[-1][1], seen.processor_seconds - seen.processor_before
    return {
        "seconds": seen.seconds,
        "processor seconds": seen.processor_seconds,
        "processor seconds before the first step": seen.processor_before,
        "peak before the first step (GiB)": seen.peak_before,
        "peak (GiB)": seen.peak,
        "steps": many,
        "processor seconds a step": worked / many,
    }
